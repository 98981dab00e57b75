/* Percent-encoding (RFC 3986) of paths and queries. A path is split first and then decoded, so a `%2F` stays
 * inside its part. `+` is a plus: telephone numbers begin with one. Pure. */
#ifndef HEED_URL_H
#define HEED_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define URL_PART_MAX 4096 /* bytes of a decoded part or value */
#define URL_QUERY_MAX 16  /* name=value pairs */

/* Appends the decoded bytes. False: a broken escape, %00, or not UTF-8. */
bool url_decode(const char *s, size_t len, struct text *out);
/* Is it UTF-8 without NUL once it is decoded? */
bool url_is_encoded(const char *s);
/* Appends `s` with all but RFC 3986's unreserved characters escaped: one part of a path, or a value. */
void url_encode(const char *s, struct text *out);

/* Splits at `/` and decodes: "/a/b%2Fc" is {"a", "b/c"}. False: broken, empty parts, or more than `max`. Free
 * with url_parts_free in both cases. */
bool url_parts(const char *path, size_t max, char *parts[], size_t *count);
void url_parts_free(char *parts[], size_t count);

struct url_query {
	struct {
		char *name, *value;
	} pairs[URL_QUERY_MAX];
	size_t count;
};
/* False: broken, too many, or a name twice; `error` says which. Release in both cases. */
bool url_query_parse(const char *query, struct url_query *out, struct text *error);
void url_query_release(struct url_query *query);
const char *url_query_get(const struct url_query *query, const char *name); /* NULL: not there */

#endif
