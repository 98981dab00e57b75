/* When somebody wants to hear: windows of the week in local time. Pure; after parsing nothing is changed, so
 * any thread may read.
 *
 * "mon-fri 09:00-20:00, sat 10:00-14:00": each window with a day or a range of days (fri-mon goes over
 * Sunday). "09:00-12:00, 13:00-20:00": all of them without, for every day. Some with and some without is an
 * error (does the one without mean every day?); mon-sun says it. "fri 22:00-02:00" goes over midnight: the
 * day is the one on which the window begins. Windows may touch and overlap.
 *
 * An instant is open if the clock on the wall then shows a time inside a window: a window that daylight
 * saving skips is not open that day, one that comes twice is open both times. */
#ifndef HEED_HOURS_H
#define HEED_HOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct hours;
struct zone;

#define HOURS_TEXT_MAX 1024                                  /* bytes */
#define HOURS_WINDOWS_MAX 32                                 /* in one text */
#define HOURS_AHEAD_MAX (INT64_C(366) * 24 * 3600 * 1000000) /* how far is looked for an open instant */

/* NULL: `error` says what is wrong and what would be right (without naming the field). "" is always open.
 * Hours that never open are an error. hours_free takes NULL. */
struct hours *hours_parse(const char *text, struct text *error);
/* Quiet hours, "22:00-07:00": closed then and open in the rest. */
struct hours *hours_parse_quiet(const char *text, struct text *error);
void hours_free(struct hours *hours);

/* In what follows `hours` NULL is always open, and `zone` NULL is UTC. */

bool hours_open(const struct hours *hours, const struct zone *zone, int64_t at);
/* The first open instant at or after `at`; MOMENT_NEVER if there is none in HOURS_AHEAD_MAX. */
int64_t hours_next_open(const struct hours *hours, const struct zone *zone, int64_t at);
/* The first instant at or after `at` that all of them leave open (a customer's hours and their channel's);
 * MOMENT_NEVER likewise. */
int64_t hours_all_next_open(const struct hours *const list[], size_t count, const struct zone *zone,
			    int64_t at);
/* The first closed instant after `at`, which is open (closed: `at` itself); MOMENT_NEVER: never closes. */
int64_t hours_closes(const struct hours *hours, const struct zone *zone, int64_t at);
/* Is there a time of the week that both leave open? If not, refuse them where they are written. */
bool hours_meet(const struct hours *a, const struct hours *b);
/* The one normal form of what is open: equal hours print equally, and parse back to the same. Always open
 * without having been given is ""; given it is 00:00-24:00. */
void hours_print(const struct hours *hours, struct text *out);

/* How days and times of day are written, also in a digest: mon to sun (0 to 6), HH:MM (minutes; 24:00 is
 * one). Steps over what it read. */
bool weekday_take(const char **s, int *weekday);
bool clock_take(const char **s, int *minute);
const char *weekday_name(int weekday);

#endif
