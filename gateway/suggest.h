/* The word that was meant: the nearest of some candidates to one that is none of them. */
#ifndef HEED_SUGGEST_H
#define HEED_SUGGEST_H

#include <stddef.h>

#define SUGGEST_DISTANCE 2  /* letters changed, put in or left out */
#define SUGGEST_WORD_MAX 32 /* what is longer is never near */

struct suggest {
	const char *word; /* borrowed */
	const char *best; /* of the candidates looked at; NULL: none is near */
	size_t far;
};

void suggest_init(struct suggest *suggest, const char *word);
void suggest_look(struct suggest *suggest, const char *candidate);

#endif
