/* How often a customer wants to hear: immediate, hourly, daily HH:MM, weekly DAY HH:MM (DAY mon to sun).
 * Pure. */
#ifndef HEED_CADENCE_H
#define HEED_CADENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct zone;

enum cadence_kind { CADENCE_IMMEDIATE, CADENCE_HOURLY, CADENCE_DAILY, CADENCE_WEEKLY };

struct cadence {
	enum cadence_kind kind;
	int weekday;      /* of weekly; 0: Monday */
	int hour, minute; /* of daily and weekly */
};

/* "" is immediate. False: `error` says what is wrong and what would be right (without naming the field). */
bool cadence_parse(const char *text, struct cadence *out, struct text *error);
void cadence_print(const struct cadence *cadence, struct text *out);
/* The first time strictly after `after`; immediate: `after` itself. Hourly is at the full hours that the
 * clock on the wall shows. A time that daylight saving skips is at the end of the gap, one that comes twice
 * is at its first time (hourly: at both); a day that was skipped whole has none. `zone` NULL is UTC. */
int64_t cadence_next(const struct cadence *cadence, const struct zone *zone, int64_t after);

#endif
