#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "message.h"
#include "xalloc.h"

#define REQUIRED "\"customer\":\"c-1\",\"product\":\"cards\",\"template\":\"t\""
#define TRACE_IDS "-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define TRACE "00" TRACE_IDS
#define NEXT_TRACE "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"

/* A message with these keys more; false: `error` is filled. Release it in both cases. */
static bool read_with(const char *keys, struct message *out, struct text *error)
{
	char *json = xasprintf("{" REQUIRED "%s%s}", *keys ? "," : "", keys);

	text_clear(error);
	bool ok = message_parse(json, strlen(json), out, error);
	free(json);
	return ok;
}

static void read_traced(const char *value, struct message *out)
{
	char *keys = xasprintf("\"traceparent\":\"%s\"", value);
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (!read_with(keys, out, &error))
		fail_msg("%s: %s", value, error.data);
	text_release(&error);
	free(keys);
}

static void expect_refused(const char *keys, const char *says)
{
	struct message message;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	assert_false(read_with(keys, &message, &error));
	if (!strstr(error.data, says) || strstr(error.data, "JSON_"))
		fail_msg("%s: '%s' is wanted in '%s'", keys, says, error.data);
	message_release(&message);
	text_release(&error);
}

static void test_a_new_span_of_the_same_trace_leaves_the_message_the_same(void **state)
{
	struct message first, second;

	(void)state;
	read_traced(TRACE, &first);
	read_traced(NEXT_TRACE, &second);
	assert_memory_equal(first.hash, second.hash, MESSAGE_HASH_SIZE);
	assert_string_equal(second.traceparent, NEXT_TRACE);
	assert_non_null(strstr(second.body, NEXT_TRACE));
	message_release(&first);
	message_release(&second);
}

static void test_a_traceparent_of_a_later_version_is_carried_on(void **state)
{
	const char *later[] = {"01" TRACE_IDS, "cc" TRACE_IDS "-what.comes-next"};
	struct message message;

	(void)state;
	for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
		read_traced(later[i], &message);
		message_trace(&message, "m-1");
		assert_string_equal(message.traceparent, later[i]);
		message_release(&message);
	}
}

static void test_a_malformed_traceparent_is_replaced_by_one_of_the_messages_own(void **state)
{
	char long_one[601];
	const char *malformed[] = {"",
				   "x",
				   TRACE "-more",
				   long_one,
				   "ff" TRACE_IDS,
				   "01" TRACE_IDS "x",
				   "01" TRACE_IDS "-a b",
				   "00-00000000000000000000000000000000-b7ad6b7169203331-01"};
	struct message message, again, other;
	struct text error;

	(void)state;
	memset(long_one, 'a', sizeof long_one - 1);
	long_one[sizeof long_one - 1] = '\0';
	text_init(&error, TEXT_ERROR_MAX);
	for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
		read_traced(malformed[i], &message);
		message_trace(&message, "m-1");
		assert_int_equal(strlen(message.traceparent), strlen(TRACE));
		assert_memory_equal(message.traceparent, "00-", 3);
		assert_true(message_parse(message.body, strlen(message.body), &again, &error));
		message_trace(&again, "m-1");
		assert_string_equal(again.traceparent, message.traceparent);
		read_traced(malformed[i], &other);
		message_trace(&other, "m-2");
		assert_string_not_equal(other.traceparent, message.traceparent);
		message_release(&other);
		message_release(&again);
		message_release(&message);
	}
	text_release(&error);
}

static void test_a_traceparent_that_is_no_string_is_an_error(void **state)
{
	(void)state;
	expect_refused("\"traceparent\":7", "traceparent: must be a string");
}

static void test_a_number_beyond_64_bits_is_taken_and_stays_the_same_message(void **state)
{
	struct message message, again;
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	assert_true(read_with("\"data\":{\"n\":123456789012345678901234567890}", &message, &error));
	assert_true(json_is_real(json_object_get(message.data, "n")));
	assert_true(message_parse(message.body, strlen(message.body), &again, &error));
	assert_memory_equal(message.hash, again.hash, MESSAGE_HASH_SIZE);
	message_release(&message);
	message_release(&again);
	text_release(&error);
}

static void test_what_is_wrong_is_said_in_plain_words(void **state)
{
	(void)state;
	expect_refused("\"data\":{\"n\":1e400}", "a number is too large");
	expect_refused("\"data\":{\"n\":\"\\u0000\"}",
		       "a text holds the character U+0000, which is not allowed");
	expect_refused("\"data\":{\"\\u0000\":1}", "a text holds the character U+0000, which is not allowed");
	expect_refused("\"data\":{", "is not JSON: line 1");
	expect_refused("\"data\":{},\"data\":{}", "duplicate");
}

static void test_times_before_1970_are_times_too(void **state)
{
	static const char *const over[] = {"1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z",
					   "0001-01-01T00:00:00Z"};
	struct message message;
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	for (size_t i = 0; i < 3; i++) {
		char *keys = xasprintf("\"send_at\":\"1960-01-01T00:00:00Z\",\"expires_at\":\"%s\"", over[i]);
		assert_true(read_with(keys, &message, &error));
		assert_true(message.expires_at == 1 && message.send_at == 0); /* 0 is none */
		message_release(&message);
		free(keys);
	}
	text_release(&error);
	expect_refused("\"send_at\":\"2030-01-01T00:00:00Z\",\"expires_at\":\"1969-01-01T00:00:00Z\"",
		       "expires_at: is not after send_at");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_span_of_the_same_trace_leaves_the_message_the_same),
		cmocka_unit_test(test_a_traceparent_of_a_later_version_is_carried_on),
		cmocka_unit_test(test_a_malformed_traceparent_is_replaced_by_one_of_the_messages_own),
		cmocka_unit_test(test_a_traceparent_that_is_no_string_is_an_error),
		cmocka_unit_test(test_a_number_beyond_64_bits_is_taken_and_stays_the_same_message),
		cmocka_unit_test(test_what_is_wrong_is_said_in_plain_words),
		cmocka_unit_test(test_times_before_1970_are_times_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
