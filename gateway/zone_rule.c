/* The footer of a TZif file: "CET-1CEST,M3.5.0,M10.5.0/3". Offsets in it count west of Greenwich. */
#include "zone_private.h"

#include <ctype.h>

#include "banned.h"

#define NAME_MIN 3
#define CHANGE_HOURS_MAX 167 /* POSIX says 24; version 3 of TZif a week */
#define OFFSET_HOURS_MAX 24

static bool take(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static bool take_name(const char **s)
{
	bool quoted = take(s, '<');
	const char *start = *s;

	while (isalpha((unsigned char)**s) ||
	       (quoted && (isdigit((unsigned char)**s) || **s == '+' || **s == '-')))
		(*s)++;
	return *s - start >= NAME_MIN && (!quoted || take(s, '>'));
}

static bool take_number(const char **s, int min, int max, int *out)
{
	int value = 0;

	if (!isdigit((unsigned char)**s))
		return false;
	for (; isdigit((unsigned char)**s); (*s)++) {
		value = value * 10 + (**s - '0');
		if (value > max)
			return false;
	}
	*out = value;
	return value >= min;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(const char **s, int hours_max, int32_t *out)
{
	int hours, minutes = 0, seconds = 0;
	int sign = take(s, '-') ? -1 : 1;

	if (sign > 0)
		take(s, '+');
	if (!take_number(s, 0, hours_max, &hours))
		return false;
	if (take(s, ':') &&
	    (!take_number(s, 0, 59, &minutes) || (take(s, ':') && !take_number(s, 0, 59, &seconds))))
		return false;
	*out = sign * (hours * 3600 + minutes * 60 + seconds);
	return true;
}

static bool take_change(const char **s, struct rule_change *out)
{
	bool read;

	*out = (struct rule_change){.time = 2 * 3600};
	if (take(s, 'J')) {
		out->kind = RULE_JULIAN;
		read = take_number(s, 1, 365, &out->day);
	} else if (take(s, 'M')) {
		out->kind = RULE_WEEKDAY;
		read = take_number(s, 1, 12, &out->month) && take(s, '.') &&
		       take_number(s, 1, 5, &out->week) && take(s, '.') && take_number(s, 0, 6, &out->day);
	} else {
		out->kind = RULE_ZERO;
		read = take_number(s, 0, 365, &out->day);
	}
	return read && (!take(s, '/') || take_time(s, CHANGE_HOURS_MAX, &out->time));
}

bool zone_rule_parse(const char *s, struct zone_rule *out)
{
	int32_t west;

	*out = (struct zone_rule){0};
	if (!take_name(&s) || !take_time(&s, OFFSET_HOURS_MAX, &west))
		return false;
	out->standard = -west;
	if (!*s)
		return true;
	if (!take_name(&s))
		return false;
	out->changes = true;
	out->daylight = out->standard + 3600;
	if (*s != ',') {
		if (!take_time(&s, OFFSET_HOURS_MAX, &west))
			return false;
		out->daylight = -west;
	}
	return take(&s, ',') && take_change(&s, &out->begins) && take(&s, ',') &&
	       take_change(&s, &out->ends) && !*s;
}
