/* What a short message asks for: the keywords that heed follows by itself, in every language that there is a
 * file for (templates/replies/LANGUAGE.yaml), and the words of its answers. Deciding is pure.
 *
 * A keyword is the whole message, as carriers define it, in any case, with or without accents, whatever
 * punctuation, quotes or emoji stand around it; behind STOP, LATER, WHY and the name of a channel a product
 * may follow. "Please stop" is none: a person reads it. Keywords of all languages count for everybody. */
#ifndef HEED_REPLY_H
#define HEED_REPLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define REPLY_LOOKED_AT 256 /* bytes: what is longer is no keyword */
#define REPLY_LANGUAGES_MAX 64

struct reply_set;
struct config_report;

/* Of the company's folder of templates (replies/ in it), and for languages that are not there the installed
 * ones. Adds every mistake to the report; NULL if there was one. */
struct reply_set *reply_set_load(const char *templates, struct text *errors);
void reply_set_free(struct reply_set *set);

enum reply_action {
	REPLY_PASSES_ON, /* no keyword: a person reads it */
	REPLY_STOPS,     /* the address */
	REPLY_OPENS,
	REPLY_HELPS,
	REPLY_STOPS_PRODUCT,
	REPLY_MOVES, /* the product, to `channel` */
	REPLY_PAUSES,
	REPLY_EXPLAINS
};

/* What deciding wants to know of the customer's world. */
struct reply_facts {
	const char *product; /* of the last message to the address; NULL: there is none */
	/* The product that is called so: folded as reply_fold does; NULL: none. */
	const char *(*product_called)(const void *context, const char *folded);
	bool (*may_stop)(const void *context, const char *product);
	/* May the product be had on the channel, and has the customer a usable address there? */
	bool (*reaches)(const void *context, const char *product, const char *channel);
	const void *context;
};

enum reply_words {
	WORDS_STOPPED,
	WORDS_OPENED,
	WORDS_HELP,
	WORDS_PRODUCT_STOPPED,
	WORDS_KEPT, /* the product may not be stopped or paused */
	WORDS_MOVED,
	WORDS_NOT_MOVED, /* it is not to be had there, or there is no address */
	WORDS_PAUSED,
	WORDS_WHY,
	REPLY_WORDS
};

struct reply_decision {
	enum reply_action action;
	const char *keyword; /* as the help names it: "STOP"; NULL */
	const char *product; /* of what is stopped, moved, paused, explained; NULL */
	const char *channel; /* REPLY_MOVES; the set's */
	enum reply_words words;
	bool refused; /* the words say why nothing was changed */
};

void reply_decide(const struct reply_set *set, const char *text, const struct reply_facts *facts,
		  struct reply_decision *out);

/* The words in the language of the locale, else of `fallback`, else English: Mustache over `data`; one short
 * message, cut where it would be more. */
void reply_render(const struct reply_set *set, const char *locale, const char *fallback,
		  enum reply_words words, json_t *data, struct text *out);

/* For comparing: lower case, letters without accents, full-width forms as narrow ones, ß as ss; a space for
 * any run of what is neither letter nor digit, and none at the ends. */
void reply_fold(const char *text, struct text *out);
/* Are they the same, but for spaces? */
bool reply_same(const char *folded, const char *other);

#endif
