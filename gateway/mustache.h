/* Mustache (mustache(5), specification 1.4, the six core modules): compiled once, rendered often,
 * thread-safe. What the specification leaves open: false, null, [] and what is missing are false, anything
 * else is true (0 and "" as well); null, objects and lists print as nothing; numbers print shortest. */
#ifndef HEED_MUSTACHE_H
#define HEED_MUSTACHE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define MUSTACHE_SOURCE_MAX (1024 * 1024) /* bytes of one template */
#define MUSTACHE_DEPTH_MAX 64             /* nested sections and partials */
#define MUSTACHE_STACK_MAX 8              /* data to look names up in, at the start */
#define MUSTACHE_STEPS_MAX 5000000        /* pieces and turns of lists in one rendering */
#define MUSTACHE_OUTPUT_MAX (1024 * 1024)

/* HTML: & < > " and ', so that a value cannot leave an attribute. JSON: what a JSON string must escape. */
enum escape { ESCAPE_NONE, ESCAPE_HTML, ESCAPE_JSON };

struct mustache;

/* NULL and `error`: "LINE:COLUMN: what is wrong". Immutable afterwards. */
struct mustache *mustache_compile(const char *source, size_t len, struct text *error);
void mustache_free(struct mustache *template);

/* The name of its i-th partial tag, in order of the text; NULL behind the last. Owned by the template. */
const char *mustache_partial(const struct mustache *template, size_t i);

/* Finds a partial by name; NULL: it is empty. */
struct mustache_partials {
	const struct mustache *(*find)(const void *context, const char *name);
	const void *context;
};

/* A stack of data: names are looked up in the last first. Any JSON value (NULL entries are skipped).
 * `partials` NULL: all are empty. Appends to `out`; false, and nothing added: `error` (too deep, too long,
 * too much work). */
bool mustache_render(const struct mustache *template, json_t *const *stack, size_t stack_len,
		     const struct mustache_partials *partials, enum escape escape, struct text *out,
		     struct text *error);

/* Appends, as a tag's value is written. */
void mustache_escape(enum escape escape, const char *s, size_t len, struct text *out);

#endif
