/* Hours, cadences, caps and rates: a promise a test. "cases": reads questions and prints answers, which
 * test_hours_model.py compares with its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bucket.h"
#include "cadence.h"
#include "cap.h"
#include "hours.h"
#include "moment.h"
#include "xalloc.h"
#include "zone.h"

static int64_t moment(const char *text)
{
	int64_t at;
	if (!moment_parse(text, &at))
		fail_msg("no moment: %s", text);
	return at;
}

static void assert_moment(int64_t at, const char *expected)
{
	char text[MOMENT_TEXT];
	moment_format(at, text);
	if (at != moment(expected))
		fail_msg("%s, not %s", text, expected);
}

static struct hours *hours_of(const char *text)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct hours *hours = hours_parse(text, &error);
	if (!hours)
		fail_msg("%s: %s", text, error.data);
	text_release(&error);
	return hours;
}

/* --- writing hours --- */

static void assert_prints_as(const char *text, const char *expected, bool quiet)
{
	struct text out, error;

	text_init(&out, HOURS_TEXT_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	struct hours *hours = quiet ? hours_parse_quiet(text, &error) : hours_parse(text, &error);
	if (!hours)
		fail_msg("%s: %s", text, error.data);
	hours_print(hours, &out);
	assert_string_equal(out.data, expected);
	hours_free(hours);
	text_release(&out);
	text_release(&error);
	if (!quiet && strcmp(text, expected) != 0)
		assert_prints_as(expected, expected, false);
}

static void hours_have_one_normal_form(void **state)
{
	(void)state;
	assert_prints_as("", "", false);
	assert_prints_as("  ", "", false);
	assert_prints_as("00:00-24:00", "00:00-24:00", false);
	assert_prints_as("mon-sun 0:00-24:00", "00:00-24:00", false);
	assert_prints_as("mon-fri 09:00-20:00, sat 10:00-14:00", "mon-fri 09:00-20:00, sat 10:00-14:00",
			 false);
	assert_prints_as("SAT 10:00-14:00,Mon-Fri 9:00-20:00", "mon-fri 09:00-20:00, sat 10:00-14:00", false);
	assert_prints_as("09:00-12:00, 11:00-13:00, 13:00-14:00", "09:00-14:00", false);
	assert_prints_as("mon-fri 09:00-12:00, mon-fri 13:00-18:00",
			 "mon-fri 09:00-12:00, mon-fri 13:00-18:00", false);
	assert_prints_as("22:00-07:00", "22:00-07:00", false);
	assert_prints_as("sun 22:00-07:00", "sun 22:00-07:00", false);
	assert_prints_as("22:00-00:00", "22:00-24:00", false);
	assert_prints_as("fri-mon 10:00-11:00", "fri-mon 10:00-11:00", false);
	assert_prints_as("mon 10:00-11:00, wed-thu 10:00-11:00, sat 10:00-11:00, sun 10:00-11:00",
			 "wed-thu 10:00-11:00, sat-mon 10:00-11:00", false);
	assert_prints_as("fri 20:00-24:00, sat 00:00-24:00, sun 0:00-2:00",
			 "fri 20:00-24:00, sat 00:00-24:00, sun 00:00-02:00", false);
	assert_prints_as("mon-sun 18:00-20:00, mon 08:00-09:00", "mon 08:00-09:00, mon-sun 18:00-20:00",
			 false);
}

static void quiet_hours_leave_the_rest_open(void **state)
{
	(void)state;
	assert_prints_as("22:00-07:00", "07:00-22:00", true);
	assert_prints_as("12:00-14:00", "14:00-12:00", true);
	assert_prints_as("sat-sun 00:00-24:00", "mon-fri 00:00-24:00", true);
	assert_prints_as("", "", true);
}

static void assert_refused(const char *text, bool quiet, const char *says)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct hours *hours = quiet ? hours_parse_quiet(text, &error) : hours_parse(text, &error);
	if (hours)
		fail_msg("taken: %s", text);
	if (!strstr(error.data, says))
		fail_msg("%s: %s", text, error.data);
	text_release(&error);
}

static void bad_hours_get_an_error_that_shows_the_right_form(void **state)
{
	static const char *const bad[] = {"nine to five",
					  "9-17",
					  "25:00-26:00",
					  "24:00-07:00",
					  "09:60-10:00",
					  "09:00-24:01",
					  "mon-09:00-10:00",
					  "mon09:00-10:00",
					  "mon- 09:00-10:00",
					  "09:00-10:00,",
					  ",",
					  "09:00-10:00;",
					  "9:0-10:00",
					  "009:00-10:00",
					  "09:00 - 10:00",
					  "montag 09:00-10:00",
					  "-1:00-02:00",
					  "\xff",
					  "09:00-10:00 11:00-12:00"};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_refused(bad[i], false, "write hours like mon-fri 09:00-20:00, sat 10:00-14:00");
	assert_refused("mon,wed 09:00-17:00", false,
		       "\"mon\" has no times; write each day with its own, like mon 09:00-20:00");
}

static void a_window_without_days_beside_one_with_days_is_not_guessed(void **state)
{
	(void)state;
	assert_refused("mon-fri 09:00-12:00, 13:00-18:00", false,
		       "write the days with each, mon-sun for every day");
	assert_refused("13:00-18:00, mon-fri 09:00-12:00", false,
		       "write the days with each, mon-sun for every day");
}

static void hours_that_never_open_are_refused(void **state)
{
	(void)state;
	assert_refused("09:00-09:00", false,
		       "\"09:00-09:00\" never opens; write the whole day as 00:00-24:00");
	assert_refused("00:00-24:00", true, "leave no time of the week");
	assert_refused("22:00-07:00, 07:00-22:00", true, "leave no time of the week");
}

static void hours_have_bounds(void **state)
{
	struct text text;

	(void)state;
	text_init(&text, 4096);
	for (int i = 0; i < HOURS_WINDOWS_MAX; i++)
		text_addf(&text, "%smon %02d:%02d-%02d:%02d", i ? ", " : "", i / 2, i % 2 * 30, i / 2,
			  i % 2 * 30 + 10);
	hours_free(hours_of(text.data));
	text_puts(&text, ", tue 09:00-10:00");
	assert_refused(text.data, false, "too many windows; at most 32 fit");
	text_clear(&text);
	for (int i = 0; i < 8; i++) /* few as they are written, many as they are */
		text_addf(&text,
			  "%smon-sun %02d:00-%02d:30, mon %02d:15-%02d:45, wed %02d:10-%02d:50, fri "
			  "%02d:20-%02d:40",
			  i ? ", " : "", i, i, i, i, i, i, i, i);
	assert_refused(text.data, false, "too many windows; at most 32 fit");
	text_clear(&text);
	text_puts(&text, "09:00-10:00");
	while (text.len < HOURS_TEXT_MAX)
		text_putc(&text, ' ');
	hours_free(hours_of(text.data));
	text_putc(&text, ' ');
	assert_refused(text.data, false, "too long; at most 1024 bytes fit");
	text_release(&text);
}

static void no_text_upsets_the_reader(void **state)
{
	static const char alphabet[] = "montuewedthufrisatsun 0123456789:::---,,,  \xff";
	(void)state;
	srandom(1042); // NOLINT
	for (int round = 0; round < 20000; round++) {
		char text[48];
		struct cadence cadence;
		struct cap cap;
		struct rate rate;
		size_t len = (size_t)random() % (sizeof text - 1);
		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[(size_t)random() % (sizeof alphabet - 1)];
		text[len] = '\0';
		hours_free(hours_parse(text, NULL));
		cadence_parse(text, &cadence, NULL);
		cap_parse(text, &cap, NULL);
		rate_parse(text, &rate, NULL);
	}
}

/* --- when hours are open --- */

static void assert_next_open(const char *text, const char *zone, const char *at, const char *open)
{
	struct hours *hours = hours_of(text);
	int64_t next = hours_next_open(hours, zone_find(zone), moment(at));

	assert_moment(next, open);
	assert_int_equal(hours_open(hours, zone_find(zone), moment(at)), next == moment(at));
	hours_free(hours);
}

static void assert_closes(const char *text, const char *zone, const char *at, const char *closes)
{
	struct hours *hours = hours_of(text);

	assert_moment(hours_closes(hours, zone_find(zone), moment(at)), closes);
	hours_free(hours);
}

static void closed_hours_open_at_their_next_window(void **state)
{
	const char *hours = "mon-fri 09:00-20:00, sat 10:00-14:00", *zone = "America/Argentina/Buenos_Aires";
	(void)state;
	assert_next_open(hours, zone, "2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"); /* a Friday, 09:00 */
	assert_next_open(hours, zone, "2026-11-20T11:59:59.999999Z", "2026-11-20T12:00:00Z");
	assert_next_open(hours, zone, "2026-11-20T23:00:00Z", "2026-11-21T13:00:00Z");
	assert_next_open(hours, zone, "2026-11-21T17:00:00Z", "2026-11-23T12:00:00Z");
	assert_closes(hours, zone, "2026-11-20T12:00:00Z", "2026-11-20T23:00:00Z");
	assert_closes(hours, zone, "2026-11-20T23:00:00Z", "2026-11-20T23:00:00Z");
}

static void a_window_goes_over_midnight_and_over_the_week(void **state)
{
	(void)state;
	assert_next_open("22:00-07:00", "UTC", "2026-11-22T07:00:00Z", "2026-11-22T22:00:00Z");
	assert_next_open("sun 22:00-07:00", "UTC", "2026-11-23T06:59:59Z", "2026-11-23T06:59:59Z");
	assert_next_open("sun 22:00-07:00", "UTC", "2026-11-23T07:00:00Z", "2026-11-29T22:00:00Z");
	assert_closes("sun 22:00-07:00", "UTC", "2026-11-22T23:00:00Z", "2026-11-23T07:00:00Z");
	assert_closes("fri-sun 00:00-24:00", "UTC", "2026-11-20T01:00:00Z", "2026-11-23T00:00:00Z");
}

static void no_hours_are_always_open_and_never_close(void **state)
{
	const int64_t at = moment("2026-11-22T10:00:00Z");
	static const char *const texts[] = {"", "00:00-24:00", "00:00-12:00, 12:00-24:00"};
	(void)state;
	assert_true(hours_open(NULL, NULL, at));
	assert_int_equal(hours_next_open(NULL, NULL, at), at);
	assert_int_equal(hours_closes(NULL, NULL, at), MOMENT_NEVER);
	for (size_t i = 0; i < 3; i++) {
		struct hours *hours = hours_of(texts[i]);
		assert_true(hours_open(hours, NULL, at));
		assert_int_equal(hours_closes(hours, NULL, at), MOMENT_NEVER);
		hours_free(hours);
	}
}

static void a_window_that_is_skipped_waits_for_the_first_open_instant(void **state)
{
	(void)state;
	/* whole: the next day's; in part: the end of the gap */
	assert_next_open("02:00-03:00", "America/New_York", "2026-03-08T06:30:00Z", "2026-03-09T06:00:00Z");
	assert_next_open("02:30-05:00", "America/New_York", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z");
	assert_next_open("02:00-02:30", "Australia/Lord_Howe", "2026-10-03T15:00:00Z",
			 "2026-10-04T15:00:00Z");
	assert_next_open("02:15-02:45", "Australia/Lord_Howe", "2026-10-03T15:00:00Z",
			 "2026-10-03T15:30:00Z");
	assert_next_open("fri 09:00-20:00", "Pacific/Apia", "2011-12-30T09:00:00Z", "2012-01-05T19:00:00Z");
}

static void a_window_that_comes_twice_is_open_twice(void **state)
{
	const char *hours = "01:00-01:30", *zone = "America/New_York";
	(void)state;
	assert_next_open(hours, zone, "2026-11-01T04:00:00Z", "2026-11-01T05:00:00Z");
	assert_closes(hours, zone, "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z");
	assert_next_open(hours, zone, "2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z");
	assert_closes(hours, zone, "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z");
}

static void a_window_is_shortened_and_lengthened_by_the_clock(void **state)
{
	(void)state;
	assert_closes("01:00-05:00", "Europe/Paris", "2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z");
	assert_closes("01:00-05:00", "Europe/Paris", "2026-10-24T23:00:00Z", "2026-10-25T04:00:00Z");
	/* the clock goes back out of the window, and into it again */
	assert_closes("02:00-05:00", "Africa/Casablanca", "2026-02-15T01:30:00Z", "2026-02-15T05:00:00Z");
	assert_closes("02:30-05:00", "Africa/Casablanca", "2026-02-15T01:30:00Z", "2026-02-15T02:00:00Z");
}

static int64_t both_open(const struct hours *a, const struct hours *b, const struct zone *zone, int64_t at)
{
	const struct hours *const list[] = {a, b};

	return hours_all_next_open(list, 2, zone, at);
}

static void two_hours_are_open_where_both_are(void **state)
{
	struct hours *own = hours_of("mon-fri 09:00-20:00"), *channel = hours_of("18:00-22:00"),
		     *never = hours_of("sat-sun 00:00-24:00"), *touching = hours_of("20:00-21:00");
	const struct hours *const two_by_two[] = {own, channel, hours_of("sat 21:00-23:00, mon 10:00-11:00")};
	const int64_t at = moment("2026-11-20T20:00:00Z"); /* a Friday */
	(void)state;
	assert_moment(both_open(own, channel, NULL, at), "2026-11-23T18:00:00Z");
	assert_moment(both_open(own, NULL, NULL, at), "2026-11-23T09:00:00Z");
	assert_moment(both_open(NULL, channel, NULL, at), "2026-11-20T20:00:00Z");
	assert_int_equal(both_open(NULL, NULL, NULL, at), at);
	assert_true(hours_meet(own, channel));
	assert_true(hours_meet(own, NULL));
	assert_false(hours_meet(own, never));
	assert_false(hours_meet(own, touching));
	assert_int_equal(both_open(own, never, NULL, at), MOMENT_NEVER);
	/* each two have some time in common, and all three have none */
	assert_int_equal(hours_all_next_open(two_by_two, 3, NULL, at), MOMENT_NEVER);
	hours_free((struct hours *)two_by_two[2]);
	hours_free(own), hours_free(channel), hours_free(never), hours_free(touching);
}

/* --- cadences --- */

static struct cadence cadence_of(const char *text)
{
	struct cadence cadence;
	if (!cadence_parse(text, &cadence, NULL))
		fail_msg("refused: %s", text);
	return cadence;
}

static void assert_falls(const char *text, const char *zone, const char *after, const char *at)
{
	struct cadence cadence = cadence_of(text);
	assert_moment(cadence_next(&cadence, zone_find(zone), moment(after)), at);
}

static void a_cadence_is_printed_as_it_is_written(void **state)
{
	static const char *const texts[][2] = {{"", "immediate"},
					       {"immediate", "immediate"},
					       {"hourly", "hourly"},
					       {"daily 18:00", "daily 18:00"},
					       {"daily 9:05", "daily 09:05"},
					       {"weekly fri 09:00", "weekly fri 09:00"},
					       {"weekly Sun 00:00", "weekly sun 00:00"}};
	static const char *const bad[] = {"dayly 09:00",  "daily",          "daily 24:00",
					  "daily 9",      "weekly 09:00",   "weekly friday 09:00",
					  "weekly fri",   "hourly 10",      "daily 09:00 ",
					  "daily  09:00", "weekly fri09:00"};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct text out;
		struct cadence cadence = cadence_of(texts[i][0]);
		text_init(&out, 100);
		cadence_print(&cadence, &out);
		assert_string_equal(out.data, texts[i][1]);
		text_release(&out);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct text error;
		struct cadence cadence;
		text_init(&error, TEXT_ERROR_MAX);
		assert_false(cadence_parse(bad[i], &cadence, &error));
		assert_non_null(strstr(error.data, "like daily 18:00 or weekly fri 09:00"));
		assert_int_equal(cadence.kind, CADENCE_IMMEDIATE);
		text_release(&error);
	}
}

static void a_digest_falls_due_after_and_never_at_the_same_instant(void **state)
{
	(void)state;
	assert_falls("immediate", "UTC", "2026-11-22T10:00:00.5Z", "2026-11-22T10:00:00.5Z");
	assert_falls("hourly", "UTC", "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z");
	assert_falls("hourly", "Asia/Kathmandu", "2026-11-22T10:00:00Z", "2026-11-22T10:15:00Z");
	assert_falls("daily 18:00", "Europe/Paris", "2026-11-22T16:59:59Z", "2026-11-22T17:00:00Z");
	assert_falls("daily 18:00", "Europe/Paris", "2026-11-22T17:00:00Z", "2026-11-23T17:00:00Z");
	assert_falls("weekly sun 00:00", "UTC", "2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z");
	assert_falls("weekly mon 09:00", "UTC", "2026-11-22T10:00:00Z", "2026-11-23T09:00:00Z");
}

static void a_skipped_digest_is_at_the_end_of_the_gap(void **state)
{
	(void)state;
	assert_falls("daily 02:30", "America/New_York", "2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z");
	assert_falls("daily 02:30", "America/New_York", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z");
	assert_falls("weekly fri 00:00", "Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z");
	assert_falls("hourly", "Australia/Lord_Howe", "2026-10-03T15:00:00Z", "2026-10-03T15:30:00Z");
	assert_falls("hourly", "Australia/Lord_Howe", "2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z");
}

static void a_digest_whose_time_comes_twice_comes_once(void **state)
{
	(void)state;
	assert_falls("daily 01:30", "America/New_York", "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z");
	assert_falls("daily 01:30", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z");
	assert_falls("hourly", "America/New_York", "2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z");
	assert_falls("hourly", "America/New_York", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z");
}

static void a_day_that_was_skipped_has_no_digest(void **state)
{
	(void)state;
	assert_falls("daily 09:00", "Pacific/Apia", "2011-12-29T19:00:00Z", "2011-12-30T19:00:00Z");
	assert_falls("weekly fri 09:00", "Pacific/Apia", "2011-12-29T19:00:00Z", "2012-01-05T19:00:00Z");
}

/* --- caps --- */

static void a_cap_is_so_many_a_day_or_week(void **state)
{
	static const char *const bad[] = {"0/day",   "20",      "20/month",    "/day",
					  "-1/day",  "20 /day", "1000001/day", "99999999999999999999/day",
					  "020/day", "20/day "};
	struct text out;
	struct cap cap;

	(void)state;
	text_init(&out, 100);
	assert_true(cap_parse("20/day", &cap, NULL));
	assert_int_equal(cap.count, 20);
	assert_int_equal(cap.per, CAP_DAY);
	cap_print(&cap, &out);
	assert_string_equal(out.data, "20/day");
	assert_true(cap_parse("1000000/week", &cap, NULL));
	assert_int_equal(cap.count, CAP_COUNT_MAX);
	assert_int_equal(cap.per, CAP_WEEK);
	assert_true(cap_parse("", &cap, NULL));
	assert_int_equal(cap.per, CAP_NONE);
	text_clear(&out);
	cap_print(&cap, &out);
	assert_string_equal(out.data, "");
	text_release(&out);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (cap_parse(bad[i], &cap, NULL) || cap.per != CAP_NONE || cap.count)
			fail_msg("taken: %s", bad[i]);
}

static void a_cap_counts_by_the_customers_calendar(void **state)
{
	struct cap day = {20, CAP_DAY}, week = {3, CAP_WEEK}, none = {0};
	const struct zone *zone = zone_find("America/New_York");
	const int64_t at = moment("2026-11-01T12:00:00Z"); /* a Sunday of 25 hours */
	(void)state;
	assert_moment(cap_period_begins(&day, zone, at), "2026-11-01T04:00:00Z");
	assert_moment(cap_period_ends(&day, zone, at), "2026-11-02T05:00:00Z");
	assert_moment(cap_period_begins(&week, zone, at), "2026-10-26T04:00:00Z");
	assert_moment(cap_period_ends(&week, zone, at), "2026-11-02T05:00:00Z");
	assert_int_equal(cap_period_begins(&none, zone, at), INT64_MIN);
	assert_int_equal(cap_period_ends(&none, zone, at), MOMENT_NEVER);
}

/* --- rates --- */

static struct rate rate_of(const char *text)
{
	struct rate rate;
	if (!rate_parse(text, &rate, NULL))
		fail_msg("refused: %s", text);
	return rate;
}

static void a_rate_is_so_many_a_second_minute_or_hour(void **state)
{
	static const char *const texts[] = {"", "100/s", "30/m", "1000/h", "1000000/s"};
	static const char *const bad[] = {"0/s", "100", "100/d", "1000001/s", "1.5/s", "100/s ", "s"};
	struct rate rate;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct text out;
		text_init(&out, 100);
		rate = rate_of(texts[i]);
		rate_print(&rate, &out);
		assert_string_equal(out.data, texts[i]);
		text_release(&out);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(rate_parse(bad[i], &rate, NULL));
}

static void without_a_rate_as_many_go_as_there_are(void **state)
{
	struct bucket bucket;
	struct rate rate = {0};

	(void)state;
	bucket_init(&bucket, &rate);
	bucket_take(&bucket, 1000000, 5);
	assert_int_equal(bucket_available(&bucket, 5), INT64_MAX);
	assert_int_equal(bucket_next(&bucket, 5), 5);
}

static void a_slow_rate_spaces_its_messages(void **state)
{
	struct rate rate = rate_of("30/m");
	struct bucket bucket;
	const int64_t now = 1000 * MOMENT_S;

	(void)state;
	bucket_init(&bucket, &rate);
	assert_int_equal(bucket_available(&bucket, now), 1);
	bucket_take(&bucket, 1, now);
	assert_int_equal(bucket_available(&bucket, now), 0);
	const int64_t next = now + 2 * MOMENT_S + 2 * MOMENT_S / BUCKET_SLACK;
	assert_int_equal(bucket_next(&bucket, now), next);
	assert_int_equal(bucket_available(&bucket, next - 1), 0);
	assert_int_equal(bucket_available(&bucket, next), 1);
	assert_int_equal(bucket_available(&bucket, now + MOMENT_DAY), 1);
}

static void more_than_were_there_are_owed(void **state)
{
	struct rate rate = rate_of("1/s");
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, &rate);
	bucket_take(&bucket, 3, 0);
	assert_int_equal(bucket_next(&bucket, 0), 3 * (MOMENT_S + MOMENT_S / BUCKET_SLACK));
}

/* Greedy, at the sparse and uneven times of a turn. Returns how many went in `seconds`; the most in any
 * `per`. */
static int64_t drain(const char *text, int64_t seconds, bool wait, int64_t *most)
{
	enum { MAX = 200000 };
	struct rate rate = rate_of(text);
	struct bucket bucket;
	int64_t *gone = xcalloc(MAX, sizeof *gone), count = 0, first = 0;

	srandom(1042); // NOLINT
	bucket_init(&bucket, &rate);
	*most = 0;
	for (int64_t now = 77; now < 77 + seconds * MOMENT_S;) {
		int64_t n = bucket_available(&bucket, now);
		bucket_take(&bucket, n, now);
		for (; n > 0 && count < MAX; n--) {
			gone[count++] = now;
			while (gone[first] <= now - rate.per)
				first++;
			*most = count - first > *most ? count - first : *most;
		}
		int64_t next = bucket_next(&bucket, now);
		assert_true(next > now);
		assert_int_equal(bucket_available(&bucket, next - 1), 0);
		assert_true(bucket_available(&bucket, next) > 0);
		now = wait ? next : now + 1 + random() % 20000;
	}
	free(gone);
	return count;
}

static void no_second_ever_has_more_than_the_rate(void **state)
{
	int64_t most;

	(void)state;
	assert_in_range(drain("100/s", 100, true, &most), 9600, 10000);
	assert_in_range(most, 98, 100);
	assert_in_range(drain("100/s", 100, false, &most), 9500, 10000);
	assert_in_range(most, 98, 100);
	assert_in_range(drain("1000/s", 60, false, &most), 56000, 60000);
	assert_in_range(most, 960, 1000);
	assert_in_range(drain("7/s", 100, false, &most), 650, 700);
	assert_in_range(most, 7, 7);
	assert_in_range(drain("90/m", 600, true, &most), 885, 900);
	assert_in_range(most, 89, 90);
}

/* --- cases --- */

/* A line: the zone, the instant, the hours, hours of a channel, quiet or not, a daily and a weekly cadence,
 * with tabs between. The answer: all that can be asked, as numbers. */
static void answer(char *fields[7])
{
	const struct zone *zone = zone_find(fields[0]);
	int64_t at = strtoll(fields[1], NULL, 10), twice[2] = {0};
	bool quiet = *fields[4] == '1';
	struct civil civil;
	struct hours *hours = quiet ? hours_parse_quiet(fields[2], NULL) : hours_parse(fields[2], NULL);
	struct hours *channel = hours_parse(fields[3], NULL);
	struct cadence hourly = cadence_of("hourly"), daily = cadence_of(fields[5]),
		       weekly = cadence_of(fields[6]);
	struct text printed;

	text_init(&printed, HOURS_TEXT_MAX);
	if (!zone || !hours || !channel) {
		puts("refused");
	} else {
		hours_print(hours, &printed);
		struct hours *again = hours_of(printed.data);
		int64_t next = hours_next_open(hours, zone, at);
		zone_civil(zone, at, &civil);
		int count = zone_instants(zone, &civil, twice);
		const int64_t numbers[] = {next,
					   hours_closes(hours, zone, next),
					   both_open(hours, channel, zone, at),
					   zone_day_begins(zone, at),
					   zone_day_ends(zone, at),
					   zone_week_begins(zone, at),
					   zone_week_ends(zone, at),
					   cadence_next(&hourly, zone, at),
					   cadence_next(&daily, zone, at),
					   cadence_next(&weekly, zone, at),
					   count,
					   hours_next_open(again, zone, at)};
		for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
			printf("%lld ", (long long)numbers[i]);
		putchar('\n');
		hours_free(again);
	}
	text_release(&printed);
	hours_free(hours);
	hours_free(channel);
}

static int answer_cases(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		char *fields[7], *rest = line;
		line[strcspn(line, "\n")] = '\0';
		for (int i = 0; i < 7; i++)
			if (!(fields[i] = strsep(&rest, "\t")))
				return 1;
		answer(fields);
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hours_have_one_normal_form),
		cmocka_unit_test(quiet_hours_leave_the_rest_open),
		cmocka_unit_test(bad_hours_get_an_error_that_shows_the_right_form),
		cmocka_unit_test(a_window_without_days_beside_one_with_days_is_not_guessed),
		cmocka_unit_test(hours_that_never_open_are_refused),
		cmocka_unit_test(hours_have_bounds),
		cmocka_unit_test(no_text_upsets_the_reader),
		cmocka_unit_test(closed_hours_open_at_their_next_window),
		cmocka_unit_test(a_window_goes_over_midnight_and_over_the_week),
		cmocka_unit_test(no_hours_are_always_open_and_never_close),
		cmocka_unit_test(a_window_that_is_skipped_waits_for_the_first_open_instant),
		cmocka_unit_test(a_window_that_comes_twice_is_open_twice),
		cmocka_unit_test(a_window_is_shortened_and_lengthened_by_the_clock),
		cmocka_unit_test(two_hours_are_open_where_both_are),
		cmocka_unit_test(a_cadence_is_printed_as_it_is_written),
		cmocka_unit_test(a_digest_falls_due_after_and_never_at_the_same_instant),
		cmocka_unit_test(a_skipped_digest_is_at_the_end_of_the_gap),
		cmocka_unit_test(a_digest_whose_time_comes_twice_comes_once),
		cmocka_unit_test(a_day_that_was_skipped_has_no_digest),
		cmocka_unit_test(a_cap_is_so_many_a_day_or_week),
		cmocka_unit_test(a_cap_counts_by_the_customers_calendar),
		cmocka_unit_test(a_rate_is_so_many_a_second_minute_or_hour),
		cmocka_unit_test(without_a_rate_as_many_go_as_there_are),
		cmocka_unit_test(a_slow_rate_spaces_its_messages),
		cmocka_unit_test(more_than_were_there_are_owed),
		cmocka_unit_test(no_second_ever_has_more_than_the_rate),
	};

	xalloc_init();
	if (argc > 1 && strcmp(argv[1], "cases") == 0)
		return answer_cases();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
