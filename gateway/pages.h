/* The customers' pages as files: templates/pages/NAME.html (Mustache), templates/pages/words/LANG.json (all
 * that they say in a language) and templates/assets/. Those that come with heed are in the program; a file of
 * the same name under the configuration's `templates` takes its place, of words only those that it has; a
 * further language is one more file. Loaded and checked whole, then immutable; any thread. */
#ifndef HEED_PAGES_H
#define HEED_PAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "digest.h"
#include "text.h"

#define PAGES_FILE_MAX (256 * 1024) /* bytes of one file */
#define PAGES_FILES_MAX 100         /* in one folder */
#define PAGES_LOGO_MAX (512 * 1024)
#define PAGES_FALLBACK "en" /* the language that has every word */

struct page_set;

/* `folder` NULL: only what comes with heed. `logo` is a picture's file, "" for none; `colour` "" for heed's
 * own. Every mistake is a line of `errors`. NULL if there was one. */
struct page_set *pages_load(const char *folder, const char *logo, const char *colour, struct text *errors);
void pages_free(struct page_set *set); /* NULL is fine */

/* The language for a locale: the longest there is that it begins with, else that for `otherwise`, else
 * PAGES_FALLBACK. Owned by the set. */
const char *pages_language(const struct page_set *set, const char *locale, const char *otherwise);
/* Is there exactly this one? */
bool pages_has_language(const struct page_set *set, const char *language);
/* By name; NULL behind the last. */
const char *pages_language_at(const struct page_set *set, size_t i);
/* Every word in the language, those that it lacks in PAGES_FALLBACK. Borrowed. */
json_t *pages_words(const struct page_set *set, const char *language);
/* What a customer is shown in a language: the hash of {"pages":{…},"words":{…}}, and that (a new reference):
 * what the store keeps, so that evidence can be read. */
const char *pages_wording(const struct page_set *set, const char *language);
json_t *pages_wording_source(const struct page_set *set, const char *language);

/* Appends the page NAME.html. False: `error`. */
bool pages_render(const struct page_set *set, const char *name, json_t *model, struct text *out,
		  struct text *error);

struct page_asset {
	char *name; /* "page.css", "company.css", "logo" */
	char *data;
	size_t len;
	const char *type;
};
const struct page_asset *pages_asset(const struct page_set *set, const char *name); /* NULL */
/* Of all assets, short: a new one is asked for by a new URL. */
const char *pages_assets_version(const struct page_set *set);

#endif
