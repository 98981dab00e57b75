#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "reason.h"
#include "xalloc.h"

static void assert_says(const char *code, const char *args, const char *words)
{
	json_t *json = args ? json_loads(args, 0, NULL) : NULL;
	char *says = reason_says(code, json);
	assert_string_equal(says, words);
	free(says);
	json_decref(json);
}

static void a_reason_reads_as_plain_words(void **unused)
{
	(void)unused;
	assert_says("chosen", "{\"channel\":\"sms\",\"product\":\"card-alerts\"}",
		    "sms is the first channel in the choice for card-alerts that can be used");
	assert_says("may_not_stop", "{\"product\":\"terms\",\"from\":\"*\"}",
		    "terms cannot be stopped, so its default is used in place of the stop for all products");
	assert_says("retry", "{\"attempt\":2,\"channel\":\"email\",\"code\":\"451 4.7.1\"}",
		    "attempt 2 on email was put off by the other side (451 4.7.1); tried again later");
	assert_says("accepted", "{\"provider\":\"\",\"code\":\"\"}", "the receiver took it (no code)");
}

static void what_is_missing_or_newer_is_said_so(void **unused)
{
	(void)unused;
	assert_says("stopped", NULL, "the customer stopped ?");
	assert_says("full_moon", "{}", "a rule that this heed does not know (full_moon)");
}

static void every_code_has_a_name_words_and_help(void **unused)
{
	(void)unused;
	for (int i = 0; i < REASON_COUNT; i++) {
		enum reason_code code;
		const char *name = reason_code_name((enum reason_code)i);
		assert_true(reason_code_parse(name, &code) && (int)code == i);
		assert_true(strlen(reason_help(code)) > 10);
		char *says = reason_says(name, NULL);
		assert_true(strlen(says) > 10);
		assert_null(strpbrk(says, "{}"));
		free(says);
	}
	enum reason_code code;
	assert_false(reason_code_parse("", &code));
}

static void the_last_reason_is_kept_when_there_are_too_many(void **unused)
{
	struct reasons reasons = {0};
	(void)unused;
	for (int i = 0; i < REASONS_MAX + 5; i++)
		reasons_add(&reasons, REASON_no_address, "{s:s}", "channel", "sms");
	reasons_add(&reasons, REASON_no_channel_left, "{s:s}", "product", "cards");
	assert_int_equal(reasons.count, REASONS_MAX);
	assert_int_equal(reasons.list[REASONS_MAX - 1].code, REASON_no_channel_left);
	reasons_release(&reasons);
	assert_int_equal(reasons.count, 0);
}

static void what_is_no_text_leaves_the_code_alone(void **unused)
{
	struct reasons reasons = {0};
	struct text put;
	(void)unused;
	text_init(&put, 1024);
	reasons_put(&put, &reasons);
	assert_string_equal(put.data, "[]");
	text_clear(&put);
	reasons_add(&reasons, REASON_stopped, "{s:s}", "product", "a \"b\" \xc3\xa9");
	reasons_add_until(&reasons, REASON_paused, 0, "{s:s}", "product", "\xc3");
	reasons_add_until(&reasons, REASON_send_at, 0, "{}");
	reasons_put(&put, &reasons);
	assert_string_equal(put.data,
			    "[{\"code\":\"stopped\",\"args\":{\"product\":\"a \\\"b\\\" \xc3\xa9\"}},"
			    "{\"code\":\"paused\",\"args\":{}},"
			    "{\"code\":\"send_at\",\"args\":{\"until\":\"1970-01-01T00:00:00.000Z\"}}]");
	text_release(&put);
	reasons_release(&reasons);
}

static void reasons_are_stored_without_words_and_shown_with_them(void **unused)
{
	struct reasons reasons = {0};
	(void)unused;
	reasons_add(&reasons, REASON_stopped, "{s:s}", "product", "cards");
	json_t *stored = reasons_to_json(&reasons);
	char *text = json_dumps(stored, JSON_COMPACT);
	struct text put;
	assert_string_equal(text, "[{\"code\":\"stopped\",\"args\":{\"product\":\"cards\"}}]");
	text_init(&put, 1024);
	reasons_put(&put, &reasons);
	assert_string_equal(put.data, text);
	text_release(&put);
	free(text);
	json_t *one = json_array_get(stored, 0);
	json_t *shown = reason_json("stopped", json_object_get(one, "args"));
	text = json_dumps(shown, JSON_COMPACT);
	assert_string_equal(
		text,
		"{\"code\":\"stopped\",\"args\":{\"product\":\"cards\"},\"says\":\"the customer stopped "
		"cards\"}");
	free(text);
	json_decref(shown);
	json_decref(stored);
	reasons_release(&reasons);
}

/* As it is made from the stored text, and as it is made from a tree. */
static void assert_put(const char *code, const char *args)
{
	const struct reason_part part = {code, args, strlen(code), strlen(args)};
	json_t *tree = json_loads(args, 0, NULL), *json = reason_json(code, tree);
	char *words = json_dumps(json, JSON_COMPACT);
	struct text put;

	text_init(&put, 8192);
	text_puts(&put, "before ");
	reason_put(&put, &part);
	assert_string_equal(put.data + strlen("before "), words);
	text_release(&put);
	free(words);
	json_decref(json);
	json_decref(tree);
}

static void a_reason_for_an_event_is_the_same_without_a_tree(void **unused)
{
	static const char *const args[] = {
		"{}",
		"{\"channel\":\"sms\",\"product\":\"*\",\"provider\":\"\",\"code\":\"\",\"attempt\":-2}",
		"{\"attempt\":17,\"channel\":\"a \\\"b\\\\\",\"product\":\"\xc3\xb1\",\"code\":\"x\"}",
		"{\"channel\":[\"sms\",\"email\"],\"product\":null,\"code\":1.5}",
		("{\"by\":\"cli\",\"why\":\"}]},{\\\"code\\\":\\\"x\\\"\",\"kind\":\"channel\",\"name\":"
		 "\"x\"}")};
	(void)unused;
	for (int i = 0; i < REASON_COUNT; i++)
		for (size_t a = 0; a < sizeof args / sizeof args[0]; a++)
			assert_put(reason_code_name((enum reason_code)i), args[a]);
	assert_put("full_moon", "{}");
}

static void assert_last(const char *stored, const char *code, const char *args)
{
	struct reason_part last;

	assert_true(reasons_last(stored, &last));
	assert_int_equal(last.code_len, strlen(code));
	assert_memory_equal(last.code, code, strlen(code));
	assert_int_equal(last.args_len, strlen(args));
	assert_memory_equal(last.args, args, strlen(args));
}

static void the_last_reason_is_found_in_what_is_stored(void **unused)
{
	struct reason_part last;

	(void)unused;
	assert_last("[{\"code\":\"a\",\"args\":{}}]", "a", "{}");
	assert_last(
		"[{\"code\":\"a\",\"args\":{\"code\":\"1\"}},{\"code\":\"bc\",\"args\":{\"code\":\"2\"}}]",
		"bc", "{\"code\":\"2\"}");
	assert_last("[{\"code\":\"a\",\"args\":{\"why\":\"},{\\\"code\\\":\\\"no\"}}]", "a",
		    "{\"why\":\"},{\\\"code\\\":\\\"no\"}");
	assert_false(reasons_last("", &last));
	assert_false(reasons_last("[]", &last));
	assert_false(reasons_last("[{\"code\":\"a\"}]", &last));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reason_reads_as_plain_words),
		cmocka_unit_test(what_is_missing_or_newer_is_said_so),
		cmocka_unit_test(every_code_has_a_name_words_and_help),
		cmocka_unit_test(the_last_reason_is_kept_when_there_are_too_many),
		cmocka_unit_test(reasons_are_stored_without_words_and_shown_with_them),
		cmocka_unit_test(what_is_no_text_leaves_the_code_alone),
		cmocka_unit_test(a_reason_for_an_event_is_the_same_without_a_tree),
		cmocka_unit_test(the_last_reason_is_found_in_what_is_stored),
	};
	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
