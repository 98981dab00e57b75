/* Moments: UTC microseconds since 1970 in int64_t, until a person reads them. Pure but for moment_now/_mono.
 */
#ifndef HEED_MOMENT_H
#define HEED_MOMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOMENT_MS INT64_C(1000)
#define MOMENT_S INT64_C(1000000)
#define MOMENT_MINUTE (60 * MOMENT_S)
#define MOMENT_HOUR (3600 * MOMENT_S)
#define MOMENT_DAY (86400 * MOMENT_S)
#define MOMENT_NEVER INT64_MAX

#define MOMENT_TEXT 32 /* room for the text of a moment */

int64_t moment_now(void);  /* the wall clock: what is stored */
int64_t moment_mono(void); /* never jumps: waits inside a process */
int64_t moment_boot(void); /* likewise, and goes on while the machine sleeps */

/* "2026-11-22T10:00:00.123Z" (RFC 3339, milliseconds). Years 0000 to 9999; outside: "". */
void moment_format(int64_t at, char out[MOMENT_TEXT]);
/* RFC 3339 with any offset and fraction. False if it isn't one. */
bool moment_parse(const char *s, int64_t *at);
/* A civil date and time of day (proleptic Gregorian) to and from days since 1970-01-01. */
int64_t moment_days(int64_t year, int month, int day);
void moment_civil(int64_t days, int64_t *year, int *month, int *day);
/* Durations of the configuration: 500ms, 10s, 5m, 2h, 3d. Positive whole numbers. */
bool duration_parse(const char *s, int64_t *duration);
/* The same, in the largest unit that fits whole milliseconds: 7200 s is "2h". */
void duration_format(int64_t duration, char out[MOMENT_TEXT]);

#endif
