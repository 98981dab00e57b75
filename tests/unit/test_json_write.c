/* What is written is what Jansson would write, byte for byte: hashes of messages from before hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "json_write.h"
#include "message.h"
#include "xalloc.h"

#define WRITTEN_MAX (1024 * 1024)

static unsigned long long random_state = 88172645463325252ULL;

static unsigned draw(unsigned below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 20) % below;
}

static void assert_written_as_by_jansson(const json_t *value)
{
	struct text out;
	char *other = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	text_init(&out, WRITTEN_MAX);
	json_write(&out, value);
	assert_non_null(other);
	assert_string_equal(out.data, other);
	assert_int_equal(out.len, strlen(other));
	text_release(&out);
	free(other);
}

static json_t *a_string(void)
{
	static const char *const parts[] = {"a",    "\"",   "\\",       "/",        "\n",          "\x01",
					    "\x1f", "\x7f", "\t\b\f\r", "\xc3\xb1", "\xe2\x82\xac"};
	char s[128] = "";

	for (unsigned left = draw(10); left; left--)
		strcat(s, parts[draw(sizeof parts / sizeof parts[0])]);
	return json_string(s);
}

static json_t *a_value(int depth)
{
	static const double reals[] = {0.1, 12.5, 1e300, -1e-7, 100000.0, 123456789012345680.0, 0.0, -0.0};
	unsigned kind = draw(depth ? 8 : 6);
	json_t *all = kind == 6 ? json_array() : kind == 7 ? json_object() : NULL;

	for (unsigned left = all ? draw(depth == 4 ? 60 : 5) : 0; left; left--) {
		json_t *key = a_string(), *value = a_value(depth - 1);
		if (kind == 6)
			json_array_append_new(all, value);
		else
			json_object_set_new(all, json_string_value(key), value);
		json_decref(key);
	}
	if (all)
		return all;
	switch (kind) {
	case 0:
		return json_null();
	case 1:
		return json_boolean(draw(2));
	case 2:
		return json_integer((json_int_t)random_state);
	case 3:
		return json_real(reals[draw(sizeof reals / sizeof reals[0])]);
	default:
		return a_string();
	}
}

static void any_value_is_written_as_jansson_writes_it(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		json_t *value = a_value(4);
		assert_written_as_by_jansson(value);
		json_decref(value);
	}
}

static void members_may_be_left_out_at_the_top(void **state)
{
	json_t *object = json_loads("{\"id\":\"m-1\",\"b\":{\"id\":2},\"a\":1,\"idle\":3}", 0, NULL);
	struct text out;

	(void)state;
	text_init(&out, WRITTEN_MAX);
	json_write_without(&out, object, (const char *const[]){"id", "none", NULL});
	assert_string_equal(out.data, "{\"a\":1,\"b\":{\"id\":2},\"idle\":3}");
	text_clear(&out);
	json_write_without(&out, object, (const char *const[]){"a", "b", "id", "idle", NULL});
	assert_string_equal(out.data, "{}");
	text_release(&out);
	json_decref(object);
}

static void past_its_bound_a_text_is_full(void **state)
{
	json_t *object = json_loads("{\"a\":\"0123456789\"}", 0, NULL);
	struct text out;

	(void)state;
	text_init(&out, 10);
	json_write(&out, object);
	assert_true(out.full);
	text_release(&out);
	json_decref(object);
}

/* Numbers may take more room as they are kept than as they came. */
static void the_longest_message_can_be_read_again_from_what_is_kept_of_it(void **state)
{
	static const char head[] =
		"{\"customer\":\"c\",\"product\":\"p\",\"template\":\"t\",\"data\":{\"a\":[0.1";
	static char text[MESSAGE_SIZE_MAX + 1];
	struct message message, again;
	struct text error;
	size_t len = sizeof head - 1;

	(void)state;
	memcpy(text, head, len);
	for (; len + 6 <= MESSAGE_SIZE_MAX; len += 4)
		memcpy(text + len, ",0.1", 4);
	memcpy(text + len, "]}}", 4);
	len += 3;
	text_init(&error, TEXT_ERROR_MAX);
	assert_true(message_parse(text, len, &message, &error));
	assert_true(strlen(message.body) > MESSAGE_SIZE_MAX);
	assert_true(message_parse_stored(message.body, strlen(message.body), &again, &error));
	assert_string_equal(again.body, message.body);
	message_release(&message);
	message_release(&again);
	text_release(&error);
}

/* As the API may be given one, which reads many at once. */
static void what_is_longer_by_far_is_told_what_is_allowed(void **state)
{
	char *huge = xmalloc(MESSAGE_BODY_MAX + 1);
	struct message message;
	struct text error;

	(void)state;
	memset(huge, 'x', MESSAGE_BODY_MAX);
	huge[MESSAGE_BODY_MAX] = '\0';
	json_t *json = json_pack("{s:s, s:s, s:s, s:{s:s}}", "customer", "c", "product", "p", "template", "t",
				 "data", "a", huge);
	text_init(&error, TEXT_ERROR_MAX);
	assert_false(message_from_json(json, &message, &error));
	assert_string_equal(error.data, "message: has over 2097152 bytes; 262144 are allowed");
	message_release(&message);
	text_release(&error);
	json_decref(json);
	free(huge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_value_is_written_as_jansson_writes_it),
		cmocka_unit_test(members_may_be_left_out_at_the_top),
		cmocka_unit_test(past_its_bound_a_text_is_full),
		cmocka_unit_test(the_longest_message_can_be_read_again_from_what_is_kept_of_it),
		cmocka_unit_test(what_is_longer_by_far_is_told_what_is_allowed)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
