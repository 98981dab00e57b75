#include "suggest.h"

#include <stdint.h>
#include <string.h>

#include "banned.h"

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters must be changed, put in or left out (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
	size_t row[SUGGEST_WORD_MAX + 1], a_len = strlen(a), b_len = strlen(b);

	if (a_len > SUGGEST_WORD_MAX || b_len > SUGGEST_WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t above = row[j];
			row[j] = least(corner + (a[i - 1] != b[j - 1]), least(above, row[j - 1]) + 1);
			corner = above;
		}
	}
	return row[b_len];
}

void suggest_init(struct suggest *suggest, const char *word)
{
	*suggest = (struct suggest){.word = word, .far = SUGGEST_DISTANCE + 1};
}

void suggest_look(struct suggest *suggest, const char *candidate)
{
	size_t far = distance(suggest->word, candidate);

	/* a short word that shares no letter with the candidate is not near it */
	if (far < suggest->far && far < strlen(candidate)) {
		suggest->far = far;
		suggest->best = candidate;
	}
}
