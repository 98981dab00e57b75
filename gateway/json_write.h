/* JSON as text: compact, the keys in the order of their bytes. The very bytes that Jansson's json_dumps
 * writes with JSON_COMPACT | JSON_SORT_KEYS, for what is written once a message: it needs a fifth of the
 * time. Any thread. `value` is nested no deeper than the caller has checked. */
#ifndef HEED_JSON_WRITE_H
#define HEED_JSON_WRITE_H

#include <jansson.h>

#include "text.h"

void json_write(struct text *out, const json_t *value);
/* An object without these of its members; `without` ends with NULL. */
void json_write_without(struct text *out, const json_t *object, const char *const without[]);

#endif
