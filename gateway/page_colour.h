/* The company's colour on a page that everybody can read: darker on white and lighter on black until text in
 * it has the contrast that WCAG 2.2 asks for (1.4.3: 4.5 to 1). Pure. */
#ifndef HEED_PAGE_COLOUR_H
#define HEED_PAGE_COLOUR_H

#include <stdbool.h>

#include "text.h"

#define COLOUR_CONTRAST 4.5

struct colour {
	int red, green, blue; /* 0 to 255 */
};

/* "#0a5c36" or "#0c6". */
bool colour_parse(const char *text, struct colour *out);
/* 1 (the same) to 21 (black and white). */
double colour_contrast(struct colour a, struct colour b);
/* The nearest to `colour` between it and black, or white where the ground is dark, that stands out from it.
 */
struct colour colour_readable(struct colour colour, struct colour ground);
/* Appends the style sheet company.css. */
void colour_css(struct colour company, struct text *out);

#endif
