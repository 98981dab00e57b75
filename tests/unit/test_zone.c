/* Zones against what is known of them, and against glibc. HEED_FULL=1 looks at glibc every three hours
 * instead of every five days. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <cmocka.h>

#include "file.h"
#include "moment.h"
#include "xalloc.h"
#include "zone.h"

#define ZONES "/usr/share/zoneinfo"

static const struct zone *zone_of(const char *name)
{
	const struct zone *zone = zone_find(name);
	if (!zone)
		fail_msg("no zone %s", name);
	return zone;
}

static int64_t moment(const char *text)
{
	int64_t at;
	if (!moment_parse(text, &at))
		fail_msg("no moment: %s", text);
	return at;
}

static struct civil civil_of(const char *text)
{
	struct civil civil;
	zone_civil(NULL, moment(text), &civil);
	return civil;
}

static void assert_shows(const char *zone, const char *at, const char *local, int weekday)
{
	struct civil civil;
	char shown[64];

	zone_civil(zone_of(zone), moment(at), &civil);
	int minutes = (int)(civil.offset / MOMENT_MINUTE);
	snprintf(shown, sizeof shown, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", (int)civil.year,
		 civil.month, civil.day, civil.hour, civil.minute, civil.second, minutes < 0 ? '-' : '+',
		 abs(minutes) / 60, abs(minutes) % 60);
	assert_string_equal(shown, local);
	assert_int_equal(civil.weekday, weekday);
}

/* `first` and `second`: the instants that show `local`, "" for none; `after`: from when it or more is shown.
 */
static void assert_comes(const char *zone, const char *local, const char *first, const char *second,
			 const char *after)
{
	struct civil civil = civil_of(local);
	int64_t out[2];

	int count = zone_instants(zone_of(zone), &civil, out);
	assert_int_equal(count, !!*first + !!*second);
	if (*first)
		assert_int_equal(out[0], moment(first));
	if (*second)
		assert_int_equal(out[1], moment(second));
	assert_int_equal(zone_at_or_after(zone_of(zone), &civil), moment(after));
}

static void zones_are_those_of_the_database(void **state)
{
	static const char *const bad[] = {
		"",         "Mars/Olympus",  "../../../etc/passwd", "/etc/localtime", "America",
		"zone.tab", "tzdata.zi",     "Europe/../UTC",       "Europe//Berlin", "Europe/Berlin/",
		"UTC ",     "europe\\berlin"};
	(void)state;
	assert_non_null(zone_find("UTC"));
	assert_non_null(zone_find("America/Argentina/Buenos_Aires"));
	assert_non_null(zone_find("Etc/GMT+3"));
	assert_ptr_equal(zone_find("Europe/Berlin"), zone_find("Europe/Berlin"));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_null(zone_find(bad[i]));
}

static void a_name_has_a_bound(void **state)
{
	char name[ZONE_NAME_MAX + 2];

	(void)state;
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_null(zone_find(name));
}

static void zones_with_leap_seconds_are_for_other_clocks(void **state)
{
	(void)state;
	assert_null(zone_find("right/Europe/Paris"));
}

static void the_clock_on_the_wall_is_shown(void **state)
{
	(void)state;
	assert_shows("UTC", "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59+00:00", 2);
	assert_shows("Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T05:45:00+05:45", 3);
	assert_shows("America/Argentina/Buenos_Aires", "2026-11-22T02:30:00Z", "2026-11-21T23:30:00-03:00",
		     5);
}

static void new_york_skips_an_hour_and_has_one_twice(void **state)
{
	const char *zone = "America/New_York";
	(void)state;
	assert_shows(zone, "2026-03-08T06:59:59Z", "2026-03-08T01:59:59-05:00", 6);
	assert_shows(zone, "2026-03-08T07:00:00Z", "2026-03-08T03:00:00-04:00", 6);
	assert_shows(zone, "2026-11-01T05:59:59Z", "2026-11-01T01:59:59-04:00", 6);
	assert_shows(zone, "2026-11-01T06:00:00Z", "2026-11-01T01:00:00-05:00", 6);
	assert_comes(zone, "2026-03-08T02:30:00Z", "", "", "2026-03-08T07:00:00Z");
	assert_comes(zone, "2026-03-08T03:00:00Z", "2026-03-08T07:00:00Z", "", "2026-03-08T07:00:00Z");
	assert_comes(zone, "2026-11-01T01:30:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z",
		     "2026-11-01T05:30:00Z");
	assert_comes(zone, "2026-11-01T02:00:00Z", "2026-11-01T07:00:00Z", "", "2026-11-01T07:00:00Z");
}

static void paris_changes_at_one_utc(void **state)
{
	const char *zone = "Europe/Paris";
	(void)state;
	assert_shows(zone, "2026-03-29T00:59:59Z", "2026-03-29T01:59:59+01:00", 6);
	assert_shows(zone, "2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00", 6);
	assert_comes(zone, "2026-03-29T02:00:00Z", "", "", "2026-03-29T01:00:00Z");
	assert_comes(zone, "2026-10-25T02:59:59Z", "2026-10-25T00:59:59Z", "2026-10-25T01:59:59Z",
		     "2026-10-25T00:59:59Z");
}

static void lord_howe_changes_by_half_an_hour(void **state)
{
	const char *zone = "Australia/Lord_Howe";
	(void)state;
	assert_shows(zone, "2026-04-04T14:59:59Z", "2026-04-05T01:59:59+11:00", 6);
	assert_shows(zone, "2026-04-04T15:00:00Z", "2026-04-05T01:30:00+10:30", 6);
	assert_comes(zone, "2026-04-05T01:45:00Z", "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z",
		     "2026-04-04T14:45:00Z");
	assert_comes(zone, "2026-10-04T02:15:00Z", "", "", "2026-10-03T15:30:00Z");
}

static void casablanca_goes_back_for_ramadan(void **state)
{
	const char *zone = "Africa/Casablanca";
	(void)state;
	assert_shows(zone, "2026-02-15T01:59:59Z", "2026-02-15T02:59:59+01:00", 6);
	assert_shows(zone, "2026-02-15T02:00:00Z", "2026-02-15T02:00:00+00:00", 6);
	assert_shows(zone, "2026-03-22T01:59:59Z", "2026-03-22T01:59:59+00:00", 6);
	assert_shows(zone, "2026-03-22T02:00:00Z", "2026-03-22T03:00:00+01:00", 6);
	assert_shows(zone, "2099-07-01T00:00:00Z", "2099-07-01T01:00:00+01:00", 2);
}

static void cairo_changes_at_midnight(void **state)
{
	const char *zone = "Africa/Cairo";
	(void)state;
	assert_comes(zone, "2026-04-24T00:00:00Z", "", "", "2026-04-23T22:00:00Z");
	assert_int_equal(zone_day_begins(zone_of(zone), moment("2026-04-24T12:00:00Z")),
			 moment("2026-04-23T22:00:00Z"));
	/* Thursday's last hour comes twice */
	assert_comes(zone, "2026-10-29T23:30:00Z", "2026-10-29T20:30:00Z", "2026-10-29T21:30:00Z",
		     "2026-10-29T20:30:00Z");
	assert_int_equal(zone_day_ends(zone_of(zone), moment("2026-10-29T20:30:00Z")),
			 moment("2026-10-29T22:00:00Z"));
}

static void apia_had_no_30_december(void **state)
{
	const struct zone *apia = zone_of("Pacific/Apia");
	const int64_t skip = moment("2011-12-30T10:00:00Z");
	(void)state;
	assert_shows("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T23:59:59-10:00", 3);
	assert_shows("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T00:00:00+14:00", 5);
	assert_comes("Pacific/Apia", "2011-12-30T12:00:00Z", "", "", "2011-12-30T10:00:00Z");
	assert_int_equal(zone_day_ends(apia, skip - 1), skip);
	assert_int_equal(zone_day_begins(apia, skip), skip);
	assert_int_equal(zone_day_ends(apia, skip), skip + MOMENT_DAY);
	assert_int_equal(zone_week_begins(apia, skip), moment("2011-12-26T10:00:00Z"));
	assert_int_equal(zone_week_ends(apia, skip), moment("2012-01-01T10:00:00Z"));
}

static void a_day_that_has_begun_goes_on_when_the_clock_goes_back_over_midnight(void **state)
{
	/* St John's, 2007-11-04 00:01 to 2007-11-03 23:01 */
	const struct zone *zone = zone_of("America/St_Johns");
	const int64_t midnight = moment("2007-11-04T02:30:00Z"), again = moment("2007-11-04T02:45:00Z");
	(void)state;
	assert_shows("America/St_Johns", "2007-11-04T02:45:00Z", "2007-11-03T23:15:00-03:30", 5);
	assert_int_equal(zone_day_ends(zone, midnight - 1), midnight);
	assert_int_equal(zone_day_begins(zone, again), midnight);
	assert_int_equal(zone_day_ends(zone, again), moment("2007-11-05T03:30:00Z"));
}

static void the_years_beyond_the_table_follow_the_rule(void **state)
{
	(void)state;
	assert_shows("America/New_York", "2600-07-01T12:00:00Z", "2600-07-01T08:00:00-04:00", 1);
	assert_shows("America/New_York", "2600-12-31T23:59:59Z", "2600-12-31T18:59:59-05:00", 2);
	assert_shows("Australia/Sydney", "2601-01-01T00:00:00Z", "2601-01-01T11:00:00+11:00", 3);
	assert_shows("Europe/Dublin", "2200-01-15T12:00:00Z", "2200-01-15T12:00:00+00:00", 2);
}

static void moments_beyond_the_calendar_are_its_ends(void **state)
{
	struct stretch stretch;
	struct civil civil;
	static const int64_t ends[] = {INT64_MIN, INT64_MAX, ZONE_BEGINS, ZONE_ENDS};
	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		const struct zone *zone = zone_of("America/New_York");
		zone_stretch(zone, ends[i], &stretch);
		assert_true(stretch.from <= ends[i] && ends[i] <= stretch.to);
		zone_civil(zone, ends[i], &civil);
		assert_true(zone_week_begins(zone, ends[i]) < zone_week_ends(zone, ends[i]));
	}
	civil.year = INT64_MAX;
	zone_at_or_after(zone_of("Europe/Paris"), &civil);
}

/* --- against glibc --- */

static uint64_t compared;

static void assert_as_glibc(const char *name, const struct zone *zone, time_t at)
{
	struct tm tm;
	struct civil civil;
	int64_t instants[2];

	localtime_r(&at, &tm);
	zone_civil(zone, at * MOMENT_S, &civil);
	compared++;
	if (civil.year != tm.tm_year + 1900 || civil.month != tm.tm_mon + 1 || civil.day != tm.tm_mday ||
	    civil.hour != tm.tm_hour || civil.minute != tm.tm_min || civil.second != tm.tm_sec ||
	    civil.weekday != (tm.tm_wday + 6) % 7 || civil.offset != tm.tm_gmtoff * MOMENT_S)
		fail_msg("%s at %lld", name, (long long)at);
	int count = zone_instants(zone, &civil, instants);
	if (!((count > 0 && instants[0] == at * MOMENT_S) || (count > 1 && instants[1] == at * MOMENT_S)))
		fail_msg("%s at %lld: not found again", name, (long long)at);
}

static void compare_with_glibc(const char *name, bool full)
{
	static const time_t around[] = {-86400, -3601, -3600, -1, 0, 1, 1800, 3599, 3600, 86400};
	const time_t end = moment("2038-01-01T00:00:00Z") / MOMENT_S;
	struct stretch stretch;

	const struct zone *zone = zone_of(name);
	setenv("TZ", name, 1);
	tzset();
	for (time_t at = 0; at < end; at += full ? 3 * 3600 : 5 * 86400)
		assert_as_glibc(name, zone, at);
	for (int64_t at = 0; at < end * MOMENT_S; at = stretch.to) {
		zone_stretch(zone, at, &stretch);
		for (size_t i = 0; i < sizeof around / sizeof around[0] && stretch.to != MOMENT_NEVER; i++)
			assert_as_glibc(name, zone, stretch.to / MOMENT_S + around[i]);
	}
}

/* Every zone of the folder, but those that count leap seconds. */
static size_t visit(const char *folder, const char *prefix, void (*visitor)(const char *name, bool full),
		    bool full)
{
	size_t count = 0;

	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat about;
		char *path = xasprintf("%s/%s", folder, entry->d_name);
		char *name = xasprintf("%s%s", prefix, entry->d_name);
		if (entry->d_name[0] == '.' || strcmp(name, "right") == 0 || stat(path, &about) != 0)
			; /* nothing for us */
		else if (S_ISDIR(about.st_mode)) {
			char *below = xasprintf("%s/", name);
			count += visit(path, below, visitor, full);
			free(below);
		} else if (zone_find(name)) {
			visitor(name, full);
			count++;
		}
		free(path);
		free(name);
	}
	closedir(dir);
	return count;
}

static void every_zone_shows_what_glibc_shows(void **state)
{
	char *zone = getenv("TZ") ? xstrdup(getenv("TZ")) : NULL;

	(void)state;
	size_t zones = visit(ZONES, "", compare_with_glibc, getenv("HEED_FULL") != NULL);
	print_message("%zu zones, %llu conversions\n", zones, (unsigned long long)compared);
	assert_true(zones > 300);
	if (zone)
		setenv("TZ", zone, 1);
	else
		unsetenv("TZ");
	free(zone);
}

/* --- files --- */

static void put(struct text *out, uint64_t value, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		text_putc(out, (char)(value >> (8 * i)));
}

static void put_header(struct text *out, char version, uint32_t leaps, uint32_t times, uint32_t types)
{
	text_puts(out, "TZif");
	text_putc(out, version);
	for (int i = 0; i < 15; i++)
		text_putc(out, '\0');
	const uint32_t counts[] = {0, 0, leaps, times, types, types ? 4 : 0};
	for (int i = 0; i < 6; i++)
		put(out, counts[i], 4);
}

/* A slim file: one hour and the next in turns, a transition a day, then the rule. */
static void make_file(struct text *out, uint32_t times, int32_t offset, const char *footer)
{
	text_init(out, 1 << 20);
	put_header(out, '2', 0, 0, 0);
	put_header(out, '2', 0, times, 2);
	for (uint32_t i = 0; i < times; i++)
		put(out, i * 86400, 8);
	for (uint32_t i = 0; i < times; i++)
		text_putc(out, (char)(1 - i % 2));
	put(out, (uint32_t)offset, 4), put(out, 0, 2);
	put(out, (uint32_t)offset + 3600, 4), put(out, 0x0100, 2);
	text_puts(out, "LMT");
	text_putc(out, '\0');
	text_addf(out, "\n%s\n", footer);
}

static struct zone *zone_made(uint32_t times, int32_t offset, const char *footer)
{
	struct text file;

	make_file(&file, times, offset, footer);
	struct zone *zone = zone_read(file.data, file.len);
	text_release(&file);
	return zone;
}

static void assert_offset(const char *footer, const char *at, int minutes)
{
	struct stretch stretch;
	struct zone *zone = zone_made(0, 0, footer);

	if (!zone)
		fail_msg("refused: %s", footer);
	zone_stretch(zone, moment(at), &stretch);
	assert_int_equal(stretch.offset, minutes * MOMENT_MINUTE);
	zone_free(zone);
}

static void the_rule_has_three_ways_to_name_a_day(void **state)
{
	(void)state;
	assert_offset("<-03>3", "2026-01-01T00:00:00Z", -180);
	assert_offset("AAA0BBB,J60/0,J300/0", "2024-02-29T12:00:00Z",
		      0); /* J60: 1 March, also in leap years */
	assert_offset("AAA0BBB,J60/0,J300/0", "2024-03-01T00:00:00Z", 60);
	assert_offset("AAA0BBB,59/0,300/0", "2024-02-29T00:00:00Z", 60); /* the 60th day */
	assert_offset("AAA0BBB,59/0,300/0", "2023-03-01T00:00:00Z", 60);
	assert_offset("AAA0BBB,M3.5.0/0,M10.5.0/0", "2026-03-28T23:59:59Z", 0);
	assert_offset("AAA0BBB,M3.5.0/0,M10.5.0/0", "2026-03-29T00:00:00Z", 60);
	assert_offset("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z",
		      -60);                                                 /* Nuuk: the day before */
	assert_offset("EST5EDT,0/0,J365/25", "2026-01-01T05:00:00Z", -240); /* all year */
	assert_offset("EST5EDT,0/0,J365/25", "2026-12-31T23:59:59Z", -240);
}

static void a_broken_rule_is_refused(void **state)
{
	static const char *const bad[] = {"A0",
					  "AAA",
					  "AAA25",
					  "<AA0",
					  "AAA0BBB",
					  "AAA0BBB,J0,J5",
					  "AAA0BBB,J1",
					  "AAA0BBB,J366,J5",
					  "AAA0BBB,M13.1.0,J5",
					  "AAA0BBB,M1.6.0,J5",
					  "AAA0BBB,M1.1.7,J5",
					  "AAA0BBB,1/168,2",
					  "AAA0BBB,1,2x",
					  "AAA0 "};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (zone_made(0, 0, bad[i]))
			fail_msg("taken: %s", bad[i]);
}

static void a_table_without_a_rule_goes_on_as_it_ends(void **state)
{
	struct stretch stretch;
	struct zone *zone = zone_made(3, 3600, "");

	(void)state;
	assert_non_null(zone);
	zone_stretch(zone, moment("2500-01-01T00:00:00Z"), &stretch);
	assert_int_equal(stretch.from, 2 * MOMENT_DAY);
	assert_int_equal(stretch.to, MOMENT_NEVER);
	assert_int_equal(stretch.offset, 2 * MOMENT_HOUR);
	zone_free(zone);
}

static void a_file_has_bounds(void **state)
{
	struct zone *zone = zone_made(ZONE_TRANSITIONS_MAX, 0, "");

	(void)state;
	assert_non_null(zone);
	zone_free(zone);
	assert_null(zone_made(ZONE_TRANSITIONS_MAX + 1, 0, ""));
	assert_null(zone_made(1, ZONE_OFFSET_MAX, ""));
	assert_null(zone_made(1, -ZONE_OFFSET_MAX, ""));
}

static uint64_t seed;

static uint64_t draw(void) /* splitmix64 */
{
	uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Whatever was read can be asked. */
static void ask(const struct zone *zone)
{
	for (int i = 0; i < 20; i++) {
		struct stretch stretch;
		struct civil civil;
		int64_t out[2], at = i % 2 ? (int64_t)draw() : (int64_t)(draw() % (100 * 366)) * MOMENT_DAY;
		zone_stretch(zone, at, &stretch);
		assert_true(stretch.from <= at && at <= stretch.to);
		zone_civil(zone, at, &civil);
		zone_instants(zone, &civil, out);
		at = at < ZONE_BEGINS ? ZONE_BEGINS : at > ZONE_ENDS ? ZONE_ENDS : at;
		assert_true(zone_day_begins(zone, at) <= at && at < zone_day_ends(zone, at));
	}
}

static void no_bytes_upset_the_reader(void **state)
{
	static const char *const names[] = {"America/New_York", "Africa/Casablanca", "Europe/Dublin",
					    "Pacific/Apia"};
	size_t read = 0;

	(void)state;
	seed = 1042;
	for (int round = 0; round < 12000; round++) {
		struct text file;
		if (round % 6 < 4) {
			char *path = xasprintf(ZONES "/%s", names[round % 4]);
			text_init(&file, ZONE_FILE_MAX);
			assert_true(file_read(path, ZONE_FILE_MAX, &file, NULL));
			free(path);
		} else if (round % 6 == 4) {
			make_file(&file, 5, 0, "EST5EDT,M3.2.0,M11.1.0");
		} else {
			text_init(&file, 512);
			text_puts(&file, draw() % 2 ? "TZif2" : "");
			for (size_t i = draw() % 400; i > 0; i--)
				text_putc(&file, draw() % 2 ? '\0' : (char)draw());
		}
		for (size_t i = draw() % 8; i > 0 && file.len; i--)
			file.data[draw() % file.len] =
				(char)(draw() % 2 ? draw() : UINT64_C(1) << draw() % 8);
		if (file.len && draw() % 3 == 0)
			file.len = draw() % file.len;
		void *exact = xmemdup0(file.data, file.len); /* so that a byte too far is seen */
		exact = xrealloc(exact, file.len ? file.len : 1);
		struct zone *zone = zone_read(exact, file.len);
		if (zone) {
			ask(zone);
			read++;
		}
		zone_free(zone);
		free(exact);
		text_release(&file);
	}
	assert_in_range(read, 500, 11500);
}

/* --- threads --- */

static void *find_many(void *unused)
{
	static const char *const names[] = {"Asia/Tokyo",  "Asia/Seoul",   "Asia/Dubai",   "Europe/Rome",
					    "Europe/Oslo", "Africa/Lagos", "America/Lima", "Mars/Olympus"};
	struct civil civil;

	(void)unused;
	for (int i = 0; i < 2000; i++)
		zone_civil(zone_find(names[(i * 5) % 8]), i * MOMENT_DAY, &civil);
	return NULL;
}

static void any_thread_may_ask(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, find_many, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_null(zone_find("Mars/Olympus"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zones_are_those_of_the_database),
		cmocka_unit_test(a_name_has_a_bound),
		cmocka_unit_test(zones_with_leap_seconds_are_for_other_clocks),
		cmocka_unit_test(the_clock_on_the_wall_is_shown),
		cmocka_unit_test(new_york_skips_an_hour_and_has_one_twice),
		cmocka_unit_test(paris_changes_at_one_utc),
		cmocka_unit_test(lord_howe_changes_by_half_an_hour),
		cmocka_unit_test(casablanca_goes_back_for_ramadan),
		cmocka_unit_test(cairo_changes_at_midnight),
		cmocka_unit_test(apia_had_no_30_december),
		cmocka_unit_test(a_day_that_has_begun_goes_on_when_the_clock_goes_back_over_midnight),
		cmocka_unit_test(the_years_beyond_the_table_follow_the_rule),
		cmocka_unit_test(moments_beyond_the_calendar_are_its_ends),
		cmocka_unit_test(every_zone_shows_what_glibc_shows),
		cmocka_unit_test(the_rule_has_three_ways_to_name_a_day),
		cmocka_unit_test(a_broken_rule_is_refused),
		cmocka_unit_test(a_table_without_a_rule_goes_on_as_it_ends),
		cmocka_unit_test(a_file_has_bounds),
		cmocka_unit_test(no_bytes_upset_the_reader),
		cmocka_unit_test(any_thread_may_ask),
	};

	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
