#include "cadence.h"

#include <string.h>

#include "hours.h"
#include "moment.h"
#include "zone.h"
#include "banned.h"

bool cadence_parse(const char *text, struct cadence *out, struct text *error)
{
	const char *s = text;
	int minute = 0;
	bool fine = false;

	*out = (struct cadence){.kind = CADENCE_IMMEDIATE};
	if (!*text || strcmp(text, "immediate") == 0)
		return true;
	if (strcmp(text, "hourly") == 0) {
		out->kind = CADENCE_HOURLY;
		return true;
	}
	if (strncmp(s, "daily ", 6) == 0) {
		out->kind = CADENCE_DAILY;
		s += 6;
		fine = true;
	} else if (strncmp(s, "weekly ", 7) == 0) {
		out->kind = CADENCE_WEEKLY;
		s += 7;
		fine = weekday_take(&s, &out->weekday) && *s++ == ' ';
	}
	if (!fine || !clock_take(&s, &minute) || minute == 24 * 60 || *s) {
		*out = (struct cadence){.kind = CADENCE_IMMEDIATE};
		return text_error(error,
				  "must be immediate, hourly, daily HH:MM or weekly DAY HH:MM, like daily "
				  "18:00 or weekly fri 09:00");
	}
	out->hour = minute / 60;
	out->minute = minute % 60;
	return true;
}

void cadence_print(const struct cadence *cadence, struct text *out)
{
	switch (cadence->kind) {
	case CADENCE_IMMEDIATE:
		text_puts(out, "immediate");
		break;
	case CADENCE_HOURLY:
		text_puts(out, "hourly");
		break;
	case CADENCE_DAILY:
		text_addf(out, "daily %02d:%02d", cadence->hour, cadence->minute);
		break;
	case CADENCE_WEEKLY:
		text_addf(out, "weekly %s %02d:%02d", weekday_name(cadence->weekday), cadence->hour,
			  cadence->minute);
		break;
	}
}

static int64_t hour_of(int64_t local)
{
	return local / MOMENT_HOUR - (local % MOMENT_HOUR < 0);
}

/* The next instant at which the clock shows a full hour, or has just skipped one. */
static int64_t next_hour(const struct zone *zone, int64_t after)
{
	struct stretch now, next;

	for (int64_t at = after;; at = now.to) {
		zone_stretch(zone, at, &now);
		int64_t hour = (hour_of(at + now.offset) + 1) * MOMENT_HOUR - now.offset;
		if (hour < now.to)
			return hour;
		zone_stretch(zone, now.to, &next);
		int64_t shown = now.to + next.offset;
		if (shown % MOMENT_HOUR == 0 || hour_of(shown) > hour_of(now.to + now.offset - 1))
			return now.to;
	}
}

/* Days are looked at in order, for what comes later on the calendar does not come earlier. */
static int64_t next_day(const struct cadence *cadence, const struct zone *zone, int64_t after)
{
	struct civil start;

	zone_civil(zone, after, &start);
	for (int64_t days = moment_days(start.year, start.month, start.day);; days++) {
		struct civil civil = {0}, tomorrow = {0};
		int weekday = (int)(((days + 3) % 7 + 7) % 7);
		if (cadence->kind == CADENCE_WEEKLY && weekday != cadence->weekday)
			continue;
		moment_civil(days, &civil.year, &civil.month, &civil.day);
		moment_civil(days + 1, &tomorrow.year, &tomorrow.month, &tomorrow.day);
		if (zone_at_or_after(zone, &civil) == zone_at_or_after(zone, &tomorrow))
			continue; /* the day was skipped */
		civil.hour = cadence->hour;
		civil.minute = cadence->minute;
		int64_t at = zone_at_or_after(zone, &civil);
		if (at > after)
			return at;
	}
}

int64_t cadence_next(const struct cadence *cadence, const struct zone *zone, int64_t after)
{
	if (cadence->kind == CADENCE_IMMEDIATE)
		return after;
	if (after >= ZONE_ENDS - 15 * MOMENT_DAY)
		return MOMENT_NEVER;
	if (after < ZONE_BEGINS)
		after = ZONE_BEGINS;
	return cadence->kind == CADENCE_HOURLY ? next_hour(zone, after) : next_day(cadence, zone, after);
}
