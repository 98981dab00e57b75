/* UTF-8, a character at a time, for text that others wrote (RFC 3629). Pure. */
#ifndef HEED_UTF8_H
#define HEED_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xfffdU
#define UTF8_REPLACEMENT_TEXT "\xef\xbf\xbd"

/* The next character of `s`, which has `len` > 0 bytes: how many bytes it takes (1 to 4). Where there is none
 * (overlong forms, surrogates and cut sequences included), 1, and *point is UTF8_REPLACEMENT. */
size_t utf8_take(const char *s, size_t len, uint32_t *point);
/* A copy in which what is not UTF-8 is replaced; NULL where there is nothing to replace. The caller frees. */
char *utf8_mend(const char *s, size_t len);
/* The C0 and C1 controls, DEL, and the separators of lines and paragraphs. */
bool utf8_is_control(uint32_t point);

#endif
