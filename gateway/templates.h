/* The company's templates: templates/messages/NAME/[LOCALE/]FILE and templates/partials/NAME (contract:
 * Templates), loaded and compiled whole, then immutable; a set is counted, so a reload leaves attempts under
 * way alone. Names whose first letter is a dot or whose last is ~ are not looked at. */
#ifndef HEED_TEMPLATES_H
#define HEED_TEMPLATES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "link.h"
#include "product.h"
#include "text.h"

#define TEMPLATES_MAX 10000
#define TEMPLATE_ENTRIES_MAX 500 /* files and locales of one template */
#define TEMPLATE_PARTIALS_MAX 1000
#define TEMPLATE_FILE_MAX (256 * 1024)
#define TEMPLATE_SUBJECT_MAX 2000 /* bytes, rendered */
#define TEMPLATE_SUMMARY_MAX 160  /* characters, rendered */
#define TEMPLATE_DIGEST "digest"  /* the name of the template that digests go through */

struct attempt_item;
struct template_set;
struct template;

/* What a channel's adapter sends: mail (NAME.subject, NAME.text, NAME.html, else email.*), JSON (NAME, else
 * webhook; else the body made of `content`), plain text (NAME). */
enum channel_text { CHANNEL_TEXT_MAIL, CHANNEL_TEXT_JSON, CHANNEL_TEXT_PLAIN };

/* Reads everything under `folder` (NULL: an empty set); every mistake is a line of `errors` (file:line:
 * what). NULL if there was one. */
struct template_set *templates_load(const char *folder, struct text *errors);
struct template_set *templates_hold(struct template_set *set);
void templates_drop(struct template_set *set); /* NULL is fine */

const struct template *templates_find(const struct template_set *set, const char *name);
size_t templates_count(const struct template_set *set);
const struct template *templates_at(const struct template_set *set, size_t i); /* by name */

const char *template_name(const struct template *t);
/* SHA-256 hex of template_source, compact and with sorted keys. */
const char *template_hash(const struct template *t);
/* {file: text} of all its files ("email.text", "es/email.text") and of the partials that they reach
 * ("partials/footer"): what the store keeps; a new reference. */
json_t *template_source(const struct template *t);
/* Does it have a text for the channel, in any locale? Then templates_render finds one. */
bool template_has(const struct template *t, const char *channel, enum channel_text text);
/* True if `data` has every name of the file `required` (one a line; a dotted name is looked up in objects;
 * null counts as missing); else `error` names those missing. */
bool template_check_data(const struct template *t, const json_t *data, struct text *error);

struct render_input {
	struct template_set *templates;
	const struct template *template; /* NULL: content */
	json_t *content;                 /* {"subject","text","html"}; NULL with a template */
	json_t *data; /* keys customer, product, message in it are hidden by the gateway's own */
	/* For each file: es-AR falls back to es, then to the template's own file; where there is neither, to
	 * the first locale that has it. */
	const char *locale;
	const char *message_id;
	const char *customer_id, *customer_name; /* a name "" is null to the template */
	const char *product, *product_title;
	/* What `preferences_url` and `unsubscribe_url` are made of; NULL: they are "". A customer's row of 0
	 * is nobody's: a link as long as a real one, for a preview. */
	const struct link_keys *links;
	struct link link; /* as in preferences_url; the product may be stopped, or may_stop is false */
	bool may_stop;
	/* A digest: the template sees `count` and `items`, each with `id`, `summary`, and `more` where
	 * another one follows (for the commas of JSON). */
	const struct attempt_item *items;
	size_t item_count;
};

struct rendered {
	struct text subject; /* mail: one line; the product's title where there is none */
	struct text text;    /* mail: text or html may be empty, not both; JSON and plain: the body */
	struct text html;
	struct text summary; /* at most TEMPLATE_SUMMARY_MAX, one line */
	char *locale;        /* the one that the body was found in; "" for the template's own files; owned */
};

/* False: `error` says what could not be made (a webhook body that is not JSON, too long). Release in both
 * cases. */
bool templates_render(const struct render_input *input, const char *channel, enum channel_text text,
		      struct rendered *out, struct text *error);
/* The first characters of a text as a summary shows them, on one line. The caller frees. */
char *templates_summary(const char *text);
void rendered_release(struct rendered *rendered);

#endif
