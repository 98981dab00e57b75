/* The gate in front of the channels, and an attempt's way through it. */
#include "channel.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config.h"
#include "moment.h"
#include "xalloc.h"

/* --- a channel that keeps what it is sent --- */

struct keeper {
	struct channel base;
	struct attempt *last;
	bool *closed;
};

static bool closed;

static struct channel *keeper_open(const struct channel_config *config, struct outcome_sink sink,
				   struct text *error)
{
	(void)sink;
	if (json_is_true(json_object_get(config->settings, "fails"))) {
		text_error(error, "it does not open");
		return NULL;
	}
	struct keeper *keeper = xcalloc(1, sizeof *keeper);
	keeper->base.credit = 2;
	keeper->closed = &closed;
	return &keeper->base;
}

static void keeper_send(struct channel *channel, struct attempt *attempt)
{
	((struct keeper *)channel)->last = attempt;
}

static void keeper_close(struct channel *channel, int64_t patience)
{
	(void)patience;
	*((struct keeper *)channel)->closed = true;
	free(channel);
}

static const struct channel_ops keeper_ops = {
	.adapter = "keeper", .open = keeper_open, .send = keeper_send, .close = keeper_close};

static struct attempt *reported;

static void take_report(void *context, struct attempt *attempt)
{
	(*(int *)context)++;
	reported = attempt;
}

static struct attempt *an_attempt(void)
{
	struct attempt *attempt = xcalloc(1, sizeof *attempt);

	attempt->message_id = xstrdup("m-1");
	attempt->number = 1;
	attempt->lease_until = moment_mono() + MOMENT_MINUTE;
	return attempt;
}

static void an_attempt_begins_once_and_is_then_too_late_to_call_back(void **state)
{
	struct attempt *attempt = an_attempt();

	(void)state;
	assert_true(attempt_begin(attempt));
	assert_false(attempt_begin(attempt));
	assert_false(attempt_call_back(attempt));
	attempt_free(attempt);
}

static void what_was_called_back_never_begins(void **state)
{
	struct attempt *attempt = an_attempt();

	(void)state;
	assert_true(attempt_call_back(attempt));
	assert_false(attempt_begin(attempt));
	attempt_free(attempt);
}

static void what_outlived_its_lease_never_begins(void **state)
{
	struct attempt *attempt = an_attempt();

	(void)state;
	attempt->lease_until = moment_mono() - 1;
	assert_false(attempt_begin(attempt));
	assert_true(attempt_call_back(attempt));
	attempt_free(attempt);
}

struct race {
	struct attempt *attempt;
	pthread_barrier_t *start;
	bool begun;
};

static void *begin_in_thread(void *context)
{
	struct race *race = context;

	pthread_barrier_wait(race->start);
	race->begun = attempt_begin(race->attempt);
	return NULL;
}

static void beginning_and_calling_back_at_once_have_one_winner(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		pthread_barrier_t start;
		pthread_t thread;
		struct race race = {.attempt = an_attempt(), .start = &start};
		pthread_barrier_init(&start, NULL, 2);
		pthread_create(&thread, NULL, begin_in_thread, &race);
		pthread_barrier_wait(&start);
		bool called_back = attempt_call_back(race.attempt);
		pthread_join(thread, NULL);
		assert_true(called_back != race.begun);
		pthread_barrier_destroy(&start);
		attempt_free(race.attempt);
	}
}

static void credit_falls_with_each_attempt_in_hand_and_comes_back_with_its_report(void **state)
{
	int reports = 0;
	struct channel_config config = {.name = (char *)"sms", .ops = &keeper_ops};
	struct outcome_sink sink = {take_report, &reports};
	struct channel *channel = channel_open(&config, sink, NULL);
	struct attempt *attempt = an_attempt();
	struct outcome outcome = outcome_make(OUTCOME_ACCEPTED, SCOPE_MESSAGE, "202", "taken");

	(void)state;
	assert_int_equal(channel_credit_left(channel), 2);
	channel_send(channel, attempt);
	assert_int_equal(channel_credit_left(channel), 1);
	outcome.summary = xstrdup("Your card");
	channel_report(attempt, &outcome);
	assert_int_equal(channel_credit_left(channel), 2);
	assert_int_equal(reports, 1);
	assert_ptr_equal(reported, attempt);
	assert_int_equal(attempt->outcome.kind, OUTCOME_ACCEPTED);
	assert_string_equal(attempt->outcome.code, "202");
	assert_string_equal(attempt->outcome.summary, "Your card");
	attempt_free(attempt);
	closed = false;
	channel_close(channel, 0);
	assert_true(closed);
}

static void what_was_called_back_is_reported_as_not_begun_whatever_went_wrong(void **state)
{
	int count = 0;
	struct channel_config config = {.name = (char *)"sms", .ops = &keeper_ops};
	struct outcome_sink sink = {take_report, &count};
	struct channel *channel = channel_open(&config, sink, NULL);
	struct attempt *attempt = an_attempt();
	struct outcome outcome = outcome_make(OUTCOME_RETRY, SCOPE_PROVIDER, "curl 28", "no connection");

	(void)state;
	channel_send(channel, attempt);
	assert_true(attempt_call_back(attempt));
	channel_report(attempt, &outcome);
	assert_int_equal(attempt->outcome.kind, OUTCOME_NOT_BEGUN);
	attempt_free(attempt);
	channel_close(channel, 0);
}

static void a_channel_that_does_not_open_says_why(void **state)
{
	struct text error;
	struct channel_config config = {.name = (char *)"sms", .ops = &keeper_ops};
	struct outcome_sink sink = {0};

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	config.settings = json_pack("{s:b}", "fails", 1);
	assert_null(channel_open(&config, sink, &error));
	assert_string_equal(error.data, "it does not open");
	json_decref(config.settings);
	text_release(&error);
}

static void expect_clean(const char *theirs, const char *ours)
{
	struct outcome outcome = outcome_make(OUTCOME_RETRY, SCOPE_MESSAGE, "1", "%s", theirs);

	assert_string_equal(outcome.text, ours);
}

static void what_the_other_side_wrote_is_made_fit_to_store_and_show(void **state)
{
	(void)state;
	expect_clean("niño \xe2\x82\xac \xf0\x9f\x98\x80", "niño \xe2\x82\xac \xf0\x9f\x98\x80");
	expect_clean("two\r\nlines\x1b[31m", "two  lines [31m");
	expect_clean("c1\xc2\x9b end", "c1  end");
	expect_clean("\xff\xc0\xaf \xed\xa0\x80 \xe0\x80\x80 \xf4\x90\x80\x80", "??? ??? ??? ????");
	expect_clean("cut \xe2\x82", "cut ");
}

static void a_long_answer_is_cut_at_a_character(void **state)
{
	char theirs[OUTCOME_TEXT_MAX * 2 + 2] = "x";
	struct outcome outcome;

	(void)state;
	for (size_t i = 1; i + 2 < sizeof theirs; i += 2)
		memcpy(theirs + i, "é", 2);
	theirs[sizeof theirs - 1] = '\0';
	outcome = outcome_make(OUTCOME_RETRY, SCOPE_MESSAGE, "1", "%s", theirs);
	assert_int_equal(strlen(outcome.text), OUTCOME_TEXT_MAX - 1);
	assert_memory_equal(outcome.text + OUTCOME_TEXT_MAX - 3, "é", 2);
}

static void content_is_rendered_only_without_a_template(void **state)
{
	struct attempt *attempt = an_attempt();
	struct render_input input;

	(void)state;
	attempt->content = json_pack("{s:s}", "text", "hello");
	attempt_render_input(attempt, &input);
	assert_ptr_equal(input.content, attempt->content);
	assert_string_equal(input.message_id, "m-1");
	attempt->template = (const struct template *)attempt; /* any */
	attempt_render_input(attempt, &input);
	assert_null(input.content);
	attempt_free(attempt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_attempt_begins_once_and_is_then_too_late_to_call_back),
		cmocka_unit_test(what_was_called_back_never_begins),
		cmocka_unit_test(what_outlived_its_lease_never_begins),
		cmocka_unit_test(beginning_and_calling_back_at_once_have_one_winner),
		cmocka_unit_test(credit_falls_with_each_attempt_in_hand_and_comes_back_with_its_report),
		cmocka_unit_test(what_was_called_back_is_reported_as_not_begun_whatever_went_wrong),
		cmocka_unit_test(a_channel_that_does_not_open_says_why),
		cmocka_unit_test(what_the_other_side_wrote_is_made_fit_to_store_and_show),
		cmocka_unit_test(a_long_answer_is_cut_at_a_character),
		cmocka_unit_test(content_is_rendered_only_without_a_template),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
