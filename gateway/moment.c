#include "moment.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "banned.h"

static int64_t clock_read(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * MOMENT_S + now.tv_nsec / 1000;
}

int64_t moment_now(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t moment_mono(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

int64_t moment_boot(void)
{
	return clock_read(CLOCK_BOOTTIME);
}

/* Days from civil and back: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
int64_t moment_days(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t yoe = year - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

void moment_civil(int64_t days, int64_t *year, int *month, int *day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t doe = days - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = yoe + era * 400 + (*month <= 2);
}

void moment_format(int64_t at, char out[MOMENT_TEXT])
{
	int64_t days = at / MOMENT_DAY, rest = at % MOMENT_DAY, year;
	int month, day;

	if (rest < 0) {
		rest += MOMENT_DAY;
		days--;
	}
	moment_civil(days, &year, &month, &day);
	if (year < 0 || year > 9999) {
		out[0] = '\0';
		return;
	}
	int ms = (int)(rest / MOMENT_MS);
	snprintf(out, MOMENT_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year, month, day, ms / 3600000,
		 ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

/* Exactly `count` digits at *s, stepped over; -1 if they aren't there. */
static int take_digits(const char **s, int count)
{
	int value = 0;

	for (int i = 0; i < count; i++, (*s)++) {
		if (**s < '0' || **s > '9')
			return -1;
		value = value * 10 + (**s - '0');
	}
	return value;
}

static bool take_char(const char **s, const char *one_of)
{
	if (!**s || !strchr(one_of, **s))
		return false;
	(*s)++;
	return true;
}

static int month_length(int year, int month)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return lengths[month - 1] + (month == 2 && leap);
}

static bool take_offset(const char **s, int64_t *offset)
{
	*offset = 0;
	if (take_char(s, "Zz"))
		return true;
	int sign = **s == '-' ? -1 : 1;
	if (!take_char(s, "+-"))
		return false;
	int hours = take_digits(s, 2);
	if (hours < 0 || hours > 23 || !take_char(s, ":"))
		return false;
	int minutes = take_digits(s, 2);
	if (minutes < 0 || minutes > 59)
		return false;
	*offset = sign * (hours * MOMENT_HOUR + minutes * MOMENT_MINUTE);
	return true;
}

bool moment_parse(const char *s, int64_t *at)
{
	int year = take_digits(&s, 4);
	if (year < 0 || !take_char(&s, "-"))
		return false;
	int month = take_digits(&s, 2);
	if (month < 1 || month > 12 || !take_char(&s, "-"))
		return false;
	int day = take_digits(&s, 2);
	if (day < 1 || day > month_length(year, month) || !take_char(&s, "Tt "))
		return false;
	int hour = take_digits(&s, 2);
	if (hour < 0 || hour > 23 || !take_char(&s, ":"))
		return false;
	int minute = take_digits(&s, 2);
	if (minute < 0 || minute > 59 || !take_char(&s, ":"))
		return false;
	int second = take_digits(&s, 2);
	if (second < 0 || second > 60)
		return false;
	int64_t fraction = 0;
	if (take_char(&s, ".")) {
		int64_t unit = MOMENT_S;
		if (*s < '0' || *s > '9')
			return false;
		for (; *s >= '0' && *s <= '9'; s++) {
			unit /= 10;
			fraction += (*s - '0') * unit;
		}
	}
	int64_t offset;
	if (!take_offset(&s, &offset) || *s)
		return false;
	*at = moment_days(year, month, day) * MOMENT_DAY + hour * MOMENT_HOUR + minute * MOMENT_MINUTE +
	      second * MOMENT_S + fraction - offset;
	return true;
}

static const struct {
	const char *name;
	int64_t unit;
} units[] = {{"ms", MOMENT_MS}, {"s", MOMENT_S}, {"m", MOMENT_MINUTE}, {"h", MOMENT_HOUR}, {"d", MOMENT_DAY}};

void duration_format(int64_t duration, char out[MOMENT_TEXT])
{
	size_t i = sizeof units / sizeof units[0] - 1;

	while (i > 0 && duration % units[i].unit != 0)
		i--;
	snprintf(out, MOMENT_TEXT, "%lld%s", (long long)(duration / units[i].unit), units[i].name);
}

bool duration_parse(const char *s, int64_t *duration)
{
	int64_t count = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(count, 10, &count) ||
		    __builtin_add_overflow(count, *s - '0', &count))
			return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(s, units[i].name) == 0)
			return !__builtin_mul_overflow(count, units[i].unit, duration) && count > 0;
	return false;
}
