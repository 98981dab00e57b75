/* Text for man pages in mdoc(7): words in, no request or escape by accident out. */
#ifndef HEED_MDOC_H
#define HEED_MDOC_H

#include "text.h"

/* Text, each sentence on a line of its own. */
void mdoc_text(struct text *out, const char *s);
/* A line as it stands. */
void mdoc_line(struct text *out, const char *s);
/* One argument of a request, in quotes; it may be broken behind a |. */
void mdoc_word(struct text *out, const char *s);

#endif
