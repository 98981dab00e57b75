/* What the customers' pages say, in a language of pages.h: words with values in them, dates, hours. Pure; any
 * thread. */
#ifndef HEED_PAGE_WORDS_H
#define HEED_PAGE_WORDS_H

#include <jansson.h>
#include <stdint.h>

#include "text.h"

struct zone;

#define SAY_MAX 4096

/* The word as it stands; "by.email" is in the map `by`. "" where there is none. Borrowed. */
const char *say_word(const json_t *words, const char *key);
/* With {name} replaced: pairs of name and value, ended by NULL. A new JSON string. */
json_t *say(const json_t *words, const char *key, ...) __attribute__((sentinel));
/* The same, appended. */
void say_to(struct text *out, const json_t *words, const char *key, ...) __attribute__((sentinel));
/* The words of `like` with what `values` (an object of strings) has. Appended. */
void say_values(struct text *out, const char *like, const json_t *values);

/* "29 November 2026", and with the time: "29 November 2026, 14:05". Appended. */
void say_date(struct text *out, const json_t *words, const struct zone *zone, int64_t at);
void say_date_time(struct text *out, const json_t *words, const struct zone *zone, int64_t at);
/* A channel's name, and "by e-mail". */
void say_channel(struct text *out, const json_t *words, const char *channel);
void say_by(struct text *out, const json_t *words, const char *channel);
/* Hours (hours.h) with the language's short names of days, and back: any letters that are one of them, or an
 * English one, become the English one; all else stays. */
void say_hours(struct text *out, const json_t *words, const char *hours);
void read_hours(struct text *out, const json_t *words, const char *typed);
/* A stored reason, as its customer reads it: {product} is replaced by `product`. Appended. */
void say_why(struct text *out, const json_t *words, const struct zone *zone, const char *code,
	     const json_t *args, const char *product);

#endif
