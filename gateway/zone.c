#include "zone.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "banned.h"

struct zone {
	int unused;
};

const struct zone *zone_find(const char *name)
{
	static const struct zone utc;
	return strcmp(name, "UTC") == 0 || strchr(name, '/') ? &utc : NULL;
}

void zone_stretch(const struct zone *zone, int64_t at, struct stretch *out)
{
	(void)zone, (void)at;
	*out = (struct stretch){INT64_MIN, MOMENT_NEVER, 0};
}

static int64_t day_of(int64_t at)
{
	return at / MOMENT_DAY - (at % MOMENT_DAY < 0);
}

void zone_civil(const struct zone *zone, int64_t at, struct civil *out)
{
	(void)zone;
	int64_t seconds = (at - day_of(at) * MOMENT_DAY) / MOMENT_S;
	moment_civil(day_of(at), &out->year, &out->month, &out->day);
	out->hour = (int)(seconds / 3600);
	out->minute = (int)(seconds / 60 % 60);
	out->second = (int)(seconds % 60);
	out->weekday = (int)(((day_of(at) + 3) % 7 + 7) % 7);
	out->offset = 0;
}

int64_t zone_at_or_after(const struct zone *zone, const struct civil *civil)
{
	(void)zone;
	return moment_days(civil->year, civil->month, civil->day) * MOMENT_DAY + civil->hour * MOMENT_HOUR +
	       civil->minute * MOMENT_MINUTE + civil->second * MOMENT_S;
}

int zone_instants(const struct zone *zone, const struct civil *civil, int64_t out[2])
{
	out[0] = zone_at_or_after(zone, civil);
	return 1;
}

int64_t zone_day_begins(const struct zone *zone, int64_t at)
{
	(void)zone;
	return day_of(at) * MOMENT_DAY;
}

int64_t zone_day_ends(const struct zone *zone, int64_t at)
{
	return zone_day_begins(zone, at) + MOMENT_DAY;
}

int64_t zone_week_begins(const struct zone *zone, int64_t at)
{
	struct civil civil;
	zone_civil(zone, at, &civil);
	return zone_day_begins(zone, at) - civil.weekday * MOMENT_DAY;
}

int64_t zone_week_ends(const struct zone *zone, int64_t at)
{
	return zone_week_begins(zone, at) + 7 * MOMENT_DAY;
}

struct zone *zone_read(const void *bytes, size_t len)
{
	(void)bytes, (void)len;
	return NULL;
}

void zone_free(struct zone *zone)
{
	free(zone);
}
