/* The files that come with heed, made into the program by the Makefile. */
#ifndef HEED_PAGES_PRIVATE_H
#define HEED_PAGES_PRIVATE_H

#include <stddef.h>

struct page_source {
	const char *name; /* below templates/: "pages/choices.html"; NULL ends the list */
	const char *text;
	size_t len;
};
extern const struct page_source page_sources[];

#endif
