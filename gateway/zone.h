/* Time zones: the system's TZif files (RFC 9636, which replaces RFC 8536), versions 2 and later, with the
 * rule for the years beyond the table. Any thread, any zone: no process-wide state but a locked cache of the
 * zones that were asked for. A zone is never changed and lives as long as the process.
 *
 * Local time is what a clock on the wall shows: days of 86,400 s, no leap seconds. Moments count from
 * ZONE_BEGINS to ZONE_ENDS; one outside is taken as the nearer end. */
#ifndef HEED_ZONE_H
#define HEED_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zone;

#define ZONE_NAME_MAX 64            /* bytes */
#define ZONE_FILE_MAX (64 * 1024)   /* bytes; the longest of the database has 4,000 */
#define ZONE_TRANSITIONS_MAX 4096   /* in one file's table; Casablanca's has 200 */
#define ZONES_MAX 4096              /* that are kept: the database has 600 names, and as many under posix/ */
#define ZONE_OFFSET_MAX (26 * 3600) /* seconds from UTC, either way */

#define ZONE_BEGINS INT64_C(-62167219200000000) /* year 0 */
#define ZONE_ENDS INT64_C(253402300800000000)   /* year 10000 */

/* A name of /usr/share/zoneinfo: "Europe/Berlin". NULL: unknown, or not for clocks without leap seconds
 * ("right/…"). "UTC" is known without a file. Any thread. */
const struct zone *zone_find(const char *name);

/* What follows takes NULL as UTC. */

struct civil {
	int64_t year;
	int month, day; /* from 1 */
	int hour, minute, second;
	int weekday;    /* 0: Monday; not read where a civil time goes in */
	int64_t offset; /* microseconds east of UTC; not read where a civil time goes in */
};

void zone_civil(const struct zone *zone, int64_t at, struct civil *out);
/* The instants that show this date and time: 0 (it was skipped), 1 or 2 (it came twice), in order. */
int zone_instants(const struct zone *zone, const struct civil *civil, int64_t out[2]);
/* The first instant that shows this date and time or a later one: the first of two; the end of the gap where
 * it was skipped. */
int64_t zone_at_or_after(const struct zone *zone, const struct civil *civil);

/* The calendar day of `at`, from its first instant to the first instant of the next one, whatever was skipped
 * between them (Apia 2011 had no 30 December). Days follow each other without gap or overlap: where clocks
 * went back over midnight (St John's, 00:01 to 23:01), the new day has begun and goes on. begins <= at <
 * ends. */
int64_t zone_day_begins(const struct zone *zone, int64_t at);
int64_t zone_day_ends(const struct zone *zone, int64_t at);
/* The same for weeks, from Monday. */
int64_t zone_week_begins(const struct zone *zone, int64_t at);
int64_t zone_week_ends(const struct zone *zone, int64_t at);

/* A stretch of time with one offset: from <= at < to; INT64_MIN and MOMENT_NEVER where it has no end. */
struct stretch {
	int64_t from, to;
	int64_t offset; /* microseconds east of UTC */
};
void zone_stretch(const struct zone *zone, int64_t at, struct stretch *out);

/* For tests: a zone from a file's bytes (NULL: not TZif, or broken); zone_free takes only such a one. */
struct zone *zone_read(const void *bytes, size_t len);
void zone_free(struct zone *zone);

#endif
