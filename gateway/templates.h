/* The company's templates: templates/messages/NAME/[LOCALE/]FILE and templates/partials/NAME (contract:
 * Templates), loaded and compiled whole, then immutable; a set is counted, so a reload leaves attempts under
 * way alone. */
#ifndef HEED_TEMPLATES_H
#define HEED_TEMPLATES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "product.h"
#include "text.h"

struct template_set;
struct template;

/* What a channel's adapter sends: mail (NAME.subject, NAME.text, NAME.html, else email.*), JSON (NAME, else
 * webhook; else the body made of `content`), plain text (NAME). */
enum channel_text { CHANNEL_TEXT_MAIL, CHANNEL_TEXT_JSON, CHANNEL_TEXT_PLAIN };

/* Reads everything under `folder`; every mistake is a line of `errors` (file:line: what). NULL if there was
 * one. */
struct template_set *templates_load(const char *folder, struct text *errors);
struct template_set *templates_hold(struct template_set *set);
void templates_drop(struct template_set *set);

const struct template *templates_find(const struct template_set *set, const char *name);
size_t templates_count(const struct template_set *set);
const struct template *templates_at(const struct template_set *set, size_t i); /* by name */

const char *template_name(const struct template *t);
const char *template_hash(const struct template *t); /* SHA-256 hex of all its files and the partials */
json_t *template_source(const struct template *t);   /* {file: text}: what the store keeps; a new reference */
/* Does it have a text for the channel, in any locale? */
bool template_has(const struct template *t, const char *channel, enum channel_text text);
/* True if `data` has every name of the file `required`; else `error` names those missing. */
bool template_check_data(const struct template *t, const json_t *data, struct text *error);

struct render_input {
	struct template_set *templates;
	const struct template *template; /* NULL: content */
	json_t *content;                 /* {"subject","text","html"}; NULL with a template */
	json_t *data;
	const char *locale; /* es-AR falls back to es, then to the template's own files */
	const char *message_id;
	const char *customer_id, *customer_name;
	const char *product, *product_title;
};

struct rendered {
	struct text subject, text, html; /* mail: text or html may be empty, not both; JSON and plain: text */
	struct text summary;             /* at most 160 characters */
	char *locale;                    /* the one that was found; "" for the template's own files; owned */
};

/* False: `error` says what could not be made (a webhook body that is not JSON, too long). Release in both
 * cases. */
bool templates_render(const struct render_input *input, const char *channel, enum channel_text text,
		      struct rendered *out, struct text *error);
void rendered_release(struct rendered *rendered);

#endif
