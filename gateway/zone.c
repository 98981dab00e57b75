#include "zone_private.h"

#include "moment.h"
#include "banned.h"

#define DAY_S INT64_C(86400)

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t inside(int64_t at)
{
	return at < ZONE_BEGINS ? ZONE_BEGINS : at > ZONE_ENDS ? ZONE_ENDS : at;
}

/* --- the rule for the years beyond the table --- */

static int64_t rule_day(const struct rule_change *change, int64_t year)
{
	int64_t first = moment_days(year, 1, 1), days;

	switch (change->kind) {
	case RULE_JULIAN: /* 29 February is not counted */
		days = first + change->day - 1;
		return days >= moment_days(year, 2, 28) + 1
			       ? days + (moment_days(year + 1, 1, 1) - first - 365)
			       : days;
	case RULE_ZERO:
		return first + change->day;
	case RULE_WEEKDAY:
		break;
	}
	int64_t next =
		change->month == 12 ? moment_days(year + 1, 1, 1) : moment_days(year, change->month + 1, 1);
	first = moment_days(year, change->month, 1);
	int64_t weekday = floor_div(first + 4, 7) * -7 + first + 4; /* of the first; 0: Sunday */
	days = first + (change->day - weekday + 7) % 7 + (int64_t)(change->week - 1) * 7;
	return days < next ? days : days - 7;
}

/* The change's time is of the clock before it. */
static struct zone_transition rule_transition(const struct zone_rule *rule, int64_t year, bool begins)
{
	const struct rule_change *change = begins ? &rule->begins : &rule->ends;

	return (struct zone_transition){
		.at = rule_day(change, year) * DAY_S + change->time -
		      (begins ? rule->standard : rule->daylight),
		.offset = begins ? rule->daylight : rule->standard,
	};
}

/* Two years to each side, for a change may lie a week outside its year. Of two at one instant the later
 * year's counts: so a zone says that it has daylight saving all year. */
static void rule_stretch(const struct zone_rule *rule, int64_t at, int64_t *from, int64_t *to,
			 int32_t *offset)
{
	int64_t year;
	int month, day;

	*from = INT64_MIN;
	*to = INT64_MAX;
	*offset = rule->standard;
	if (!rule->changes)
		return;
	moment_civil(floor_div(at, DAY_S), &year, &month, &day);
	for (int64_t y = year - 2; y <= year + 2; y++) {
		struct zone_transition two[2] = {rule_transition(rule, y, true),
						 rule_transition(rule, y, false)};
		bool swap = two[1].at < two[0].at;
		for (int i = 0; i < 2; i++) {
			const struct zone_transition *one = &two[swap ? 1 - i : i];
			if (one->at <= at && one->at >= *from) {
				*from = one->at;
				*offset = one->offset;
			} else if (one->at > at && one->at < *to) {
				*to = one->at;
			}
		}
	}
}

/* --- stretches --- */

/* How many transitions there were at or before `at`. */
static size_t transitions_until(const struct zone *zone, int64_t at)
{
	size_t low = 0, high = zone->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zone->transitions[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void zone_stretch(const struct zone *zone, int64_t at, struct stretch *out)
{
	int64_t from = INT64_MIN, to = INT64_MAX;
	int32_t offset = 0;
	const int64_t moment = inside(at), second = floor_div(moment, MOMENT_S);

	if (zone && zone->has_rule && second >= zone->rule_from) {
		rule_stretch(&zone->rule, second, &from, &to, &offset);
		from = from > zone->rule_from ? from : zone->rule_from;
	} else if (zone) {
		size_t i = transitions_until(zone, second);
		from = i ? zone->transitions[i - 1].at : from;
		offset = i ? zone->transitions[i - 1].offset : zone->before;
		if (zone->has_rule)
			to = zone->rule_from;
		if (i < zone->count)
			to = zone->transitions[i].at;
	}
	out->from = from < ZONE_BEGINS / MOMENT_S || at < moment ? INT64_MIN : from * MOMENT_S;
	out->to = to > ZONE_ENDS / MOMENT_S || at > moment ? MOMENT_NEVER : to * MOMENT_S;
	out->offset = offset * MOMENT_S;
}

/* --- the wall's clock and calendar --- */

void zone_civil(const struct zone *zone, int64_t at, struct civil *out)
{
	struct stretch stretch;

	at = inside(at);
	zone_stretch(zone, at, &stretch);
	int64_t local = floor_div(at + stretch.offset, MOMENT_S), days = floor_div(local, DAY_S);
	int second = (int)(local - days * DAY_S);
	*out = (struct civil){.hour = second / 3600,
			      .minute = second / 60 % 60,
			      .second = second % 60,
			      .weekday = (int)(days + 3 - floor_div(days + 3, 7) * 7),
			      .offset = stretch.offset};
	moment_civil(days, &out->year, &out->month, &out->day);
}

/* What the clock shows, as microseconds. */
static int64_t civil_local(const struct civil *civil)
{
	int64_t year = civil->year < 0 ? 0 : civil->year > 9999 ? 9999 : civil->year;
	return moment_days(year, civil->month, civil->day) * MOMENT_DAY + civil->hour * MOMENT_HOUR +
	       civil->minute * MOMENT_MINUTE + civil->second * MOMENT_S;
}

int zone_instants(const struct zone *zone, const struct civil *civil, int64_t out[2])
{
	const int64_t local = civil_local(civil), reach = ZONE_OFFSET_MAX * MOMENT_S;
	struct stretch stretch;
	int count = 0;

	for (int64_t at = local - reach; at < local + reach && count < 2; at = stretch.to) {
		zone_stretch(zone, at, &stretch);
		int64_t candidate = local - stretch.offset;
		if (candidate >= stretch.from && candidate < stretch.to)
			out[count++] = candidate;
	}
	return count;
}

/* The first instant whose clock shows `local` or more. */
static int64_t first_showing(const struct zone *zone, int64_t local)
{
	struct stretch stretch;
	int64_t at = local - ZONE_OFFSET_MAX * MOMENT_S; /* never shows as much */

	for (;; at = stretch.to) {
		zone_stretch(zone, at, &stretch);
		int64_t candidate = local - stretch.offset;
		if (candidate < stretch.from)
			candidate = stretch.from;
		if (candidate < stretch.to)
			return candidate;
	}
}

int64_t zone_at_or_after(const struct zone *zone, const struct civil *civil)
{
	return first_showing(zone, civil_local(civil));
}

static int64_t day_begin(const struct zone *zone, int64_t day)
{
	return first_showing(zone, day * MOMENT_DAY);
}

/* The latest day that has begun: that of the clock, or the next one where the clock went back over midnight.
 */
static int64_t day_of(const struct zone *zone, int64_t at)
{
	struct stretch stretch;

	zone_stretch(zone, at, &stretch);
	int64_t day = floor_div(at + stretch.offset, MOMENT_DAY);
	while (day_begin(zone, day + 1) <= at)
		day++;
	return day;
}

static int64_t monday_of(int64_t day)
{
	return floor_div(day + 3, 7) * 7 - 3;
}

int64_t zone_day_begins(const struct zone *zone, int64_t at)
{
	return day_begin(zone, day_of(zone, inside(at)));
}

int64_t zone_day_ends(const struct zone *zone, int64_t at)
{
	return day_begin(zone, day_of(zone, inside(at)) + 1);
}

int64_t zone_week_begins(const struct zone *zone, int64_t at)
{
	return day_begin(zone, monday_of(day_of(zone, inside(at))));
}

int64_t zone_week_ends(const struct zone *zone, int64_t at)
{
	return day_begin(zone, monday_of(day_of(zone, inside(at))) + 7);
}
