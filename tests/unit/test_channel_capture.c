/* The channel that sends nothing: what it keeps, and what the address asks for. Runs in the root of the
 * source tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "channel_fixture.h"

extern const struct channel_ops channel_capture_ops, channel_email_ops, channel_http_ops, channel_webhook_ops;

static struct channel_config config;
static struct channel *channel;

static void open_as(const struct channel_ops *ops, const char *name)
{
	struct outcome_sink sink = {.report = reports_take};
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	config.name = (char *)name;
	config.ops = ops;
	config.captured_by = &channel_capture_ops;
	config.provider = (char *)"";
	channel = channel_open(&config, sink, &error);
	assert_non_null(channel);
	text_release(&error);
}

static int stop(void **state)
{
	(void)state;
	if (channel)
		channel_close(channel, 0);
	channel = NULL;
	reports_clear();
	json_decref(config.settings);
	json_decref(config.provider_file);
	config = (struct channel_config){0};
	return 0;
}

static const struct outcome *send_to(const char *address, const char *text)
{
	size_t before = reports.count;

	channel_send(channel, attempt_new(address, "", text));
	reports_wait(before + 1);
	return &reports.list[before]->outcome;
}

static void assert_outcome(const char *address, enum outcome_kind kind)
{
	const struct outcome *outcome = send_to(address, "Hello");

	if (outcome->kind != kind || outcome->scope != SCOPE_MESSAGE)
		fail_msg("%s: %d, scope %d", address, (int)outcome->kind, (int)outcome->scope);
	assert_non_null(outcome->content);
}

static void a_mail_says_its_outcome_behind_the_local_part(void **state)
{
	(void)state;
	open_as(&channel_email_ops, "email");
	assert_outcome("ana@example.com", OUTCOME_ACCEPTED);
	assert_outcome("ana+sent@example.com", OUTCOME_ACCEPTED);
	assert_outcome("ana+rejected@example.com", OUTCOME_REJECTED);
	assert_outcome("ana+retry@example.com", OUTCOME_RETRY);
	assert_outcome("ana+x+doubt@example.com", OUTCOME_IN_DOUBT);
	assert_outcome("ana+retry-not@example.com", OUTCOME_ACCEPTED);
	assert_outcome("ana@retry.example.com", OUTCOME_ACCEPTED);
}

static void a_number_says_its_outcome_by_its_last_two_digits(void **state)
{
	(void)state;
	open_as(&channel_capture_ops, "sms");
	assert_outcome("+5491155550199", OUTCOME_ACCEPTED);
	assert_outcome("+5491155550101", OUTCOME_ACCEPTED);
	assert_outcome("+5491155550102", OUTCOME_REJECTED);
	assert_outcome("+5491155550103", OUTCOME_RETRY);
	assert_outcome("+5491155550104", OUTCOME_IN_DOUBT);
}

static void a_url_says_its_outcome_at_the_end_of_its_path(void **state)
{
	(void)state;
	open_as(&channel_webhook_ops, "webhook");
	assert_outcome("https://example.com/hook+sent", OUTCOME_ACCEPTED);
	assert_true(reports.list[0]->outcome.delivered);
	assert_outcome("https://example.com/hook+rejected", OUTCOME_REJECTED);
	assert_outcome("https://example.com/hook+retry?a=b", OUTCOME_RETRY);
	assert_outcome("https://example.com/+doubt", OUTCOME_IN_DOUBT);
	assert_outcome("https://example.com/hook?a=+doubt", OUTCOME_ACCEPTED);
}

static void any_other_address_says_it_as_it_looks(void **state)
{
	(void)state;
	open_as(&channel_capture_ops, "pager");
	assert_outcome("+4930123402", OUTCOME_REJECTED);
	assert_outcome("ana+retry", OUTCOME_RETRY);
	assert_outcome("ana02", OUTCOME_ACCEPTED);
}

static void a_request_is_kept_whole_and_its_secrets_are_hidden(void **state)
{
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	struct config_tree *tree = config_tree_read("config/providers/kannel.yaml", &error);
	assert_non_null(tree);
	config.provider_file = json_incref(config_tree_json(tree));
	config_tree_free(tree);
	config.settings =
		json_pack("{s:{s:s, s:s, s:s, s:s}}", "settings", "base_url", "http://127.0.0.1:13013",
			  "username", "heed", "password", "p&ss", "from", "Bank");
	open_as(&channel_http_ops, "sms");
	assert_string_equal(
		send_to("+5491155550199", "10 €")->content,
		"GET http://127.0.0.1:13013/cgi-bin/sendsms?username=heed&password=hidden&from=Bank&"
		"to=%2B5491155550199&text=10%20%E2%82%AC&charset=UTF-8\n"
		"User-Agent: heed/0.1\n\n");
	assert_non_null(strstr(send_to("+5491155550199", "código")->content, "&coding=2\n"));
	assert_int_equal(reports.list[1]->outcome.segments, 1);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(config.settings, "settings"), "password")),
		"p&ss");
	text_release(&error);
}

static void a_text_over_max_segments_is_an_error_and_is_not_cut(void **state)
{
	char text[400];

	(void)state;
	config.max_segments = 2;
	memset(text, 'x', sizeof text);
	open_as(&channel_capture_ops, "sms");
	text[306] = '\0';
	assert_int_equal(send_to("+5491155550199", text)->segments, 2);
	text[306] = 'x';
	text[307] = '\0';
	const struct outcome *outcome = send_to("+5491155550199", text);
	assert_int_equal(outcome->kind, OUTCOME_UNSENDABLE);
	assert_int_equal(outcome->segments, 3);
	assert_null(outcome->content);
	assert_string_equal(outcome->text,
			    "the text takes 3 segments (307 septets of the GSM alphabet), and channel "
			    "sms allows max_segments: 2; a shorter text would be right");
}

static void what_was_called_back_is_not_kept(void **state)
{
	struct attempt *attempt = attempt_new("+5491155550199", "", "Hello");

	(void)state;
	open_as(&channel_capture_ops, "sms");
	assert_true(attempt_call_back(attempt));
	channel_send(channel, attempt);
	reports_wait(1);
	assert_int_equal(reports.list[0]->outcome.kind, OUTCOME_NOT_BEGUN);
	assert_null(reports.list[0]->outcome.content);
}

static void closing_reports_all_that_is_in_hand(void **state)
{
	(void)state;
	open_as(&channel_capture_ops, "sms");
	for (int i = 0; i < 100; i++)
		channel_send(channel, attempt_new("+5491155550199", "", "Hello"));
	channel_close(channel, 0);
	channel = NULL;
	assert_int_equal(reports.count, 100);
	for (size_t i = 0; i < 100; i++)
		assert_true(reports.list[i]->outcome.kind == OUTCOME_ACCEPTED ||
			    reports.list[i]->outcome.kind == OUTCOME_NOT_BEGUN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_mail_says_its_outcome_behind_the_local_part, stop),
		cmocka_unit_test_teardown(a_number_says_its_outcome_by_its_last_two_digits, stop),
		cmocka_unit_test_teardown(a_url_says_its_outcome_at_the_end_of_its_path, stop),
		cmocka_unit_test_teardown(any_other_address_says_it_as_it_looks, stop),
		cmocka_unit_test_teardown(a_request_is_kept_whole_and_its_secrets_are_hidden, stop),
		cmocka_unit_test_teardown(a_text_over_max_segments_is_an_error_and_is_not_cut, stop),
		cmocka_unit_test_teardown(what_was_called_back_is_not_kept, stop),
		cmocka_unit_test_teardown(closing_reports_all_that_is_in_hand, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
