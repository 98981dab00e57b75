/* At most so many in a calendar day or week of the customer: 20/day, 3/week. Pure; who counts is the caller.
 */
#ifndef HEED_CAP_H
#define HEED_CAP_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct zone;

enum cap_per { CAP_NONE, CAP_DAY, CAP_WEEK };

struct cap {
	int count; /* 1 to CAP_COUNT_MAX; 0 with CAP_NONE */
	enum cap_per per;
};

#define CAP_COUNT_MAX 1000000

/* "": none. False: `error` says what is wrong and what would be right (without naming the field). */
bool cap_parse(const char *text, struct cap *out, struct text *error);
void cap_print(const struct cap *cap, struct text *out);
/* The period that `at` lies in: begins <= at < ends (weeks from Monday). CAP_NONE: INT64_MIN, MOMENT_NEVER.
 * `zone` NULL is UTC. */
int64_t cap_period_begins(const struct cap *cap, const struct zone *zone, int64_t at);
int64_t cap_period_ends(const struct cap *cap, const struct zone *zone, int64_t at);

#endif
