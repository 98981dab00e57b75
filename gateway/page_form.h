/* What a browser sends of a form: application/x-www-form-urlencoded, or multipart/form-data (RFC 7578) with
 * texts. Pure. */
#ifndef HEED_PAGE_FORM_H
#define HEED_PAGE_FORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define FORM_BODY_MAX (64 * 1024)
#define FORM_FIELDS_MAX 200

/* Of a type that nobody told it is taken as URL-encoded. {name: text}; of a name that is there twice the
 * first. NULL: another kind of body, too large, broken, not UTF-8, or with NUL. The caller owns it. */
json_t *form_read(const char *content_type, const char *body, size_t len);
/* A field of it; "" where it is not there. */
const char *form_field(const json_t *form, const char *name);

#endif
