/* What the look at the bytes calls JSON, Jansson calls JSON too; and what is rendered every day needs no
 * second look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "json_scan.h"

static bool jansson_takes(const char *text, size_t len)
{
	json_t *json =
		json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
	bool takes = json != NULL;

	json_decref(json);
	return takes;
}

static const char *const plain[] = {
	"{}",
	"[]",
	"0",
	"-1.50",
	"\"\"",
	"true",
	"false",
	"null",
	" [ 1 , 2 ] ",
	"{\"id\":\"m-1\",\"list\":[1,-2.5,{\"a\":{}},[[]]],\"none\":null,\"yes\":true}\n",
	"{ \"a\" : \"Ana D\xc3\xad\x61z \\\"\\\\\\/\\b\\f\\n\\r\\t\" , \"b\" : [ { } , [ ] ] }",
	"{\"a\":1,\"a\":2}"};

static void what_is_rendered_every_day_is_known_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		if (!json_surely_valid(plain[i], strlen(plain[i])))
			fail_msg("%s", plain[i]);
		if (!jansson_takes(plain[i], strlen(plain[i])))
			fail_msg("Jansson: %s", plain[i]);
	}
}

static void what_is_none_or_is_left_to_jansson_is_not_called_json(void **state)
{
	static const char *const none[] = {
		"",   " ",   "{",     "[1,]",   "{\"a\":1,}", "{\"a\"}",     "{a:1}",         "01",
		"1.", "-",   "1e999", "\"\n\"", "\"\\x\"",    "\"\\u0000\"", "\"\xc3\"",      "[1}",
		"{]", "1 2", "nul",   "[,1]",   "\"a",        "\"\\",        "\xef\xbb\xbf{}"};

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		if (json_surely_valid(none[i], strlen(none[i])))
			fail_msg("%s", none[i]);
	char deep[2 * (JSON_SCAN_DEPTH + 2)];
	memset(deep, '[', sizeof deep / 2);
	memset(deep + sizeof deep / 2, ']', sizeof deep / 2);
	assert_false(json_surely_valid(deep, sizeof deep));
	assert_true(json_surely_valid(deep + 1, sizeof deep - 2));
}

/* The same members in the same order, or neither is read. */
static void assert_reads_as_jansson(const char *text, size_t len)
{
	json_t *read = json_surely_read(text, len);
	json_t *other = read ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	char *words = json_dumps(read, JSON_COMPACT), *others = json_dumps(other, JSON_COMPACT);

	if (read && (!other || strcmp(words, others) != 0))
		fail_msg("%.*s\nis read as\n%s\nand not as\n%s", (int)len, text, words, others);
	free(words);
	free(others);
	json_decref(read);
	json_decref(other);
}

static void a_message_of_every_day_is_read_at_once(void **state)
{
	static const char *const messages[] = {
		"{}", "[]",
		"{\"customer\":\"c-1042\",\"product\":\"card-alerts\",\"template\":\"payment-received\","
		"\"data\":"
		"{\"amount\":\"12.50\",\"count\":3,\"less\":-40,\"none\":null,\"yes\":true,\"no\":false}}",
		" { \"\" : [ 0 , -0 , 999999999999999999 , { \"Ana D\xc3\xad\x61z\" : \"\" } , [ ] ] } \n"};

	(void)state;
	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
		json_t *read = json_surely_read(messages[i], strlen(messages[i]));
		if (!read)
			fail_msg("%s", messages[i]);
		json_decref(read);
		assert_reads_as_jansson(messages[i], strlen(messages[i]));
	}
}

static void what_is_not_of_the_plain_kind_is_left_to_jansson(void **state)
{
	static const char *const others[] = {"",
					     "1",
					     "\"a\"",
					     "{\"a\":1,\"a\":2}",
					     "[1.5]",
					     "[1e3]",
					     "[1000000000000000000]",
					     "[01]",
					     "[-]",
					     "[\"\\n\"]",
					     "{\"\\u0041\":1}",
					     "[\"\xc3\"]",
					     "[\"\xed\xa0\x80\"]",
					     "[1] 2",
					     "[1,]",
					     "{\"a\"}",
					     "{\"a\":}",
					     "[nul]",
					     "{\"a\":1"};

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (json_surely_read(others[i], strlen(others[i])))
			fail_msg("%s", others[i]);
	assert_null(json_surely_read("[\"a\0b\"]", 7));
	assert_null(json_surely_read("[1]\0", 4));
	char deep[2 * (JSON_SCAN_DEPTH + 1)];
	memset(deep, '[', sizeof deep / 2);
	memset(deep + sizeof deep / 2, ']', sizeof deep / 2);
	assert_null(json_surely_read(deep, sizeof deep));
	assert_reads_as_jansson(deep + 1, sizeof deep - 2);
}

/* The plain ones with a few bytes changed, taken out and put in. */
static void whatever_it_calls_json_jansson_does_too(void **state)
{
	static const char bytes[] = "{}[]\":,\\ue0.-+1 \n\t\x01\xc3\xa9\xed\xa0\x80tfn";
	unsigned long long random = 88172645463325252ULL;
	size_t called = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[256];
		const char *from = plain[(size_t)i % (sizeof plain / sizeof plain[0])];
		size_t len = strlen(from);
		memcpy(text, from, len);
		for (int change = 0; change < 1 + i % 3; change++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			size_t at = len ? (size_t)(random >> 8) % len : 0;
			char byte = bytes[(random >> 40) % (sizeof bytes - 1)];
			if (random % 3 == 0 && len) {
				text[at] = byte;
			} else if (random % 3 == 1 && len) {
				memmove(text + at, text + at + 1, --len - at);
			} else {
				memmove(text + at + 1, text + at, len++ - at);
				text[at] = byte;
			}
		}
		bool valid = json_surely_valid(text, len);
		called += valid;
		if (valid && !jansson_takes(text, len))
			fail_msg("%.*s", (int)len, text);
		assert_reads_as_jansson(text, len);
	}
	assert_true(called > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_rendered_every_day_is_known_at_once),
		cmocka_unit_test(what_is_none_or_is_left_to_jansson_is_not_called_json),
		cmocka_unit_test(a_message_of_every_day_is_read_at_once),
		cmocka_unit_test(what_is_not_of_the_plain_kind_is_left_to_jansson),
		cmocka_unit_test(whatever_it_calls_json_jansson_does_too)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
