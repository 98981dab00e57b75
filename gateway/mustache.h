/* Mustache (mustache(5), specification 1.4, the six core modules): compiled once, rendered often,
 * thread-safe. */
#ifndef HEED_MUSTACHE_H
#define HEED_MUSTACHE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define MUSTACHE_DEPTH_MAX 64 /* nested sections and partials */
#define MUSTACHE_OUTPUT_MAX (1024 * 1024)

enum escape { ESCAPE_NONE, ESCAPE_HTML, ESCAPE_JSON };

struct mustache;

/* NULL and `error` with line and column. Immutable afterwards. */
struct mustache *mustache_compile(const char *source, size_t len, struct text *error);
void mustache_free(struct mustache *template);

/* Finds a partial by name; NULL: it is empty. */
struct mustache_partials {
	const struct mustache *(*find)(const void *context, const char *name);
	const void *context;
};

/* A stack of data: names are looked up in the last first. Any JSON value (NULL entries are skipped).
 * False: `error` (too deep, too long). Appends to `out`. */
bool mustache_render(const struct mustache *template, json_t *const *stack, size_t stack_len,
		     const struct mustache_partials *partials, enum escape escape, struct text *out,
		     struct text *error);

#endif
