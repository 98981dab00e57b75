/* Products: what a message is about and what the customer chooses for. A set is read from products.yaml,
 * checked, and from then on immutable and shared between threads; it is kept in the store by its content
 * hash. */
#ifndef HEED_PRODUCT_H
#define HEED_PRODUCT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cap.h"
#include "text.h"
#include "words.h"

struct hours;

enum content_kept { CONTENT_FULL, CONTENT_SUMMARY, CONTENT_NONE };

struct product {
	char *name;                   /* "card-alerts" or "card-alerts/fraud" */
	const struct product *parent; /* NULL, or the product that this is a part of */
	json_t *title;                /* {locale: text} */
	json_t *description;          /* {locale: text} */
	enum purpose purpose;
	char **channels; /* what may be chosen */
	size_t channel_count;
	char **defaults; /* until the customer chooses; none = opt-in */
	size_t default_count;
	bool may_stop;
	enum content_kept content;
	bool urgent;           /* with purpose critical: hours, digest, pause and rate do not hold it */
	char *quiet_hours;     /* as written; "" for none */
	struct hours *quiet;   /* open outside the quiet hours; NULL: always */
	struct cap cap;        /* for each customer */
	int64_t expires_after; /* 0: never */
};

struct product_set {
	char *hash;               /* SHA-256 of `body`, hex */
	char *body;               /* canonical JSON of the whole file */
	int64_t seq;              /* its number in the log of changes, once stored; else 0 */
	struct product *products; /* sorted by name: a part comes behind its product */
	size_t count;
};

struct config_report;

/* Reads products.yaml. `channels` are those configured, `content` is history.content. Adds every mistake to
 * the report; NULL if there was an error. */
struct product_set *product_set_read(const char *file, const char *const channels[], size_t channel_count,
				     enum content_kept content, struct config_report *report);
/* A set again from its body, which was checked when it was read. NULL: it can't be. */
struct product_set *product_set_kept(const json_t *products);
/* "full", "summary", "none". */
bool content_kept_parse(const char *name, enum content_kept *content);

/* NULL if there is none of that name. */
const struct product *product_find(const struct product_set *set, const char *name);
/* What a message about it is for: what it said or had, or what the product is by now where that is stricter.
 */
enum purpose product_purpose(const struct product *product, enum purpose said);
/* A product's, or a part's. */
bool product_name_valid(const char *name);
/* Is it `of`, or a part of it? Both are names. */
bool product_is_within(const char *product, const char *of);
bool product_offers(const struct product *product, const char *channel);
/* In the locale, its language, `fallback`, else the first there is, else the name. Owned by the product. */
const char *product_title(const struct product *product, const char *locale, const char *fallback);
const char *product_description(const struct product *product, const char *locale, const char *fallback);
void product_set_free(struct product_set *set);

#endif
