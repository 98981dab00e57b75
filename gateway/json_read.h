/* JSON that came from outside, and in plain words what is wrong with it. */
#ifndef HEED_JSON_READ_H
#define HEED_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "text.h"

/* RFC 8259, no key twice. `any`: any value, not an object or array only. Where an integer is beyond 64 bits,
 * all numbers are read as reals. NULL: `error` (may be NULL) says where and what, as a verb phrase. The
 * caller owns the result. */
json_t *json_read(const char *json, size_t len, bool any, struct text *error);

#endif
