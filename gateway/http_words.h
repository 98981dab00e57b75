/* How the values of HTTP's headers read (RFC 9110): content types and what is accepted. Pure. */
#ifndef HEED_HTTP_WORDS_H
#define HEED_HTTP_WORDS_H

#include <stdbool.h>

/* Is the media type of `content_type` (parameters aside, in whatever case) that one? */
bool http_type_is(const char *content_type, const char *type);
/* Would who sent this Accept take `type`? "" takes everything. */
bool http_accepts(const char *accept, const char *type);
/* Does it name the type itself (not by a *), with no smaller weight than it gives the usual one? */
bool http_prefers(const char *accept, const char *type, const char *usual);

#endif
