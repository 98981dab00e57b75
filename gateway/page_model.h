/* What the customers' pages show: from values to the tree that Mustache renders (templates/pages). Pure; who
 * reads the store and answers is page_routes.c. Every function gives a new reference. */
#ifndef HEED_PAGE_MODEL_H
#define HEED_PAGE_MODEL_H

#include <jansson.h>
#include <stdbool.h>

#include "contact.h"
#include "link.h"
#include "page_choice.h"
#include "pages.h"
#include "zone.h"

#define PAGE_LANGUAGE_MAX 36

/* Who looks, at what, and in which language. Everything is borrowed. */
struct page_view {
	const struct config *config;
	const struct customer *customer; /* NULL on pages that know nobody */
	const struct preference *preferences;
	size_t preference_count;
	const char *token;
	struct link link;
	const struct product *focus; /* what the link's message was about; NULL */
	char language[PAGE_LANGUAGE_MAX];
	bool language_asked; /* by ?lang=, so that it stays */
	const json_t *words;
	const struct zone *zone;
	int64_t now;
	const char *open; /* the product whose line is open; "" */
};

enum page_part { PAGE_CHOICES, PAGE_ADDRESSES, PAGE_HISTORY, PAGE_DATA };

/* What is said on top, after a form: one of the kinds below. */
enum notice_kind { NOTICE_DONE, NOTICE_PROBLEM, NOTICE_CHANGED };
json_t *notice_new(enum notice_kind kind, json_t *heading); /* takes it */
void notice_add(json_t *notice, json_t *line);              /* takes it; "" adds nothing */

/* The parts that all pages have. `heading` is taken; `notice` is taken, NULL: none. */
json_t *page_base(const struct page_view *view, enum page_part part, json_t *heading, json_t *notice);
/* A form's own token (link.h): `form` names it, "save card-alerts". */
void page_set_form(const struct page_view *view, json_t *object, const char *key, const char *form);
/* The page's own address with a query: "TOKEN?lang=de&view=history". `query` "" or "view=history". */
json_t *page_href(const struct page_view *view, const char *query);

/* One sentence on what applies: "You get it by text message." */
void choice_says(const struct page_view *view, const struct choice *choice, struct text *out);
json_t *choice_says_pause(const struct page_view *view, const struct choice *choice); /* NULL: none counts */
/* By whom and when the line was changed last; "" where it never was. */
json_t *choice_changed_by(const struct page_view *view, const struct choice *choice);

/* A form that could not be taken as it was typed. */
struct page_typed {
	const char *product;       /* whose it is; "*" */
	const json_t *form;        /* as it was sent */
	const char *channels_word; /* the key of what is wrong there; "" */
	const char *hours_word, *until_word;
	bool overwrite; /* it was changed meanwhile: shown on top, to be saved all the same */
};
/* choices.html. `typed` NULL: none. */
json_t *page_choices(const struct page_view *view, json_t *notice, const struct page_typed *typed);
/* addresses.html; `bad` is {"channel","value","error"} of one that could not be taken, or NULL. */
json_t *page_addresses(const struct page_view *view, json_t *notice, const json_t *bad);
/* history.html: contacts, newest first, at most `limit`; one more says that there are older ones. `waiting`:
 * {"product","at","reason":{"code","args"}}, …, what has not left yet. */
json_t *page_history(const struct page_view *view, const struct contact contacts[], size_t count,
		     size_t limit, bool newest, const json_t *waiting);
/* data.html: download and erase. */
json_t *page_data(const struct page_view *view);
/* A page that only says something, and may ask for one tap: message.html. `ask` (taken) is NULL or
 * {"do","label","class","form","hidden","tick"}; `back` is the word of a link to the choices, or NULL. */
json_t *page_message(const struct page_view *view, enum page_part part, json_t *heading, json_t *paragraphs,
		     json_t *ask, const char *back);
/* code.html. `action` is what the form does; `wrong` a word's key or "". */
json_t *page_code(const struct page_view *view, const char *action, const char *channel, const char *address,
		  const char *ticket, const char *wrong);
/* A title for a message's product; heed's own messages have none. */
const char *page_title_of(const struct page_view *view, const char *product);

/* The channels to which a code can be sent: with a usable address, and a text that a person reads. */
bool page_takes_code(const struct page_view *view, const char *channel);
/* What the customer was shown, for the log: {"wording","locale","products","page","how","link"}. */
json_t *page_evidence(const struct page_view *view, const char *how);

#endif
