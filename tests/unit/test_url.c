#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "url.h"

static void assert_decodes(const char *encoded, const char *plain)
{
	struct text out;

	text_init(&out, 100);
	assert_int_equal(url_decode(encoded, strlen(encoded), &out), plain != NULL);
	if (plain)
		assert_string_equal(out.data, plain);
	text_release(&out);
}

static void escapes_become_bytes(void **state)
{
	(void)state;
	assert_decodes("ana%40example.com", "ana@example.com");
	assert_decodes("D%C3%ADaz", "Díaz");
	assert_decodes("%2A", "*");
}

static void a_plus_is_a_plus(void **state)
{
	(void)state;
	assert_decodes("+5491155550100", "+5491155550100");
}

static void broken_escapes_nul_and_bad_utf8_are_refused(void **state)
{
	(void)state;
	assert_decodes("50%", NULL);
	assert_decodes("50%4", NULL);
	assert_decodes("50%zz", NULL);
	assert_decodes("a%00b", NULL);
	assert_decodes("%ff", NULL);
	assert_decodes("%C3", NULL);
}

static void what_is_encoded_is_decoded_again(void **state)
{
	const char *plain = "c/1?x=1&y=%00 Díaz*+";
	struct text encoded;

	(void)state;
	text_init(&encoded, 200);
	url_encode(plain, &encoded);
	assert_null(strpbrk(encoded.data, "/?&*+ "));
	assert_decodes(encoded.data, plain);
	text_release(&encoded);
}

static void a_path_is_split_before_it_is_decoded(void **state)
{
	char *parts[4];
	size_t count;

	(void)state;
	assert_true(url_parts("/v1/customers/c%2F1", 4, parts, &count));
	assert_int_equal(count, 3);
	assert_string_equal(parts[2], "c/1");
	url_parts_free(parts, count);
}

static void paths_with_empty_or_too_many_parts_are_refused(void **state)
{
	static const char *const bad[] = {"", "/", "v1", "/v1/", "//v1", "/1/2/3/4/5", "/v1/%00"};
	char *parts[4];
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_false(url_parts(bad[i], 4, parts, &count));
		url_parts_free(parts, count);
	}
}

static void a_query_gives_its_values_by_name(void **state)
{
	struct url_query query;

	(void)state;
	assert_true(url_query_parse("customer=c%2F1&limit=5&flag", &query, NULL));
	assert_string_equal(url_query_get(&query, "customer"), "c/1");
	assert_string_equal(url_query_get(&query, "limit"), "5");
	assert_string_equal(url_query_get(&query, "flag"), "");
	assert_null(url_query_get(&query, "state"));
	url_query_release(&query);
}

static void a_parameter_twice_is_refused(void **state)
{
	struct url_query query;
	struct text error;

	(void)state;
	text_init(&error, 100);
	assert_false(url_query_parse("a=1&a=2", &query, &error));
	assert_string_equal(error.data, "query: a parameter is there twice");
	url_query_release(&query);
	text_release(&error);
}

static void more_parameters_than_there_is_room_for_are_refused(void **state)
{
	struct url_query query;
	struct text words;

	(void)state;
	text_init(&words, 1000);
	for (int i = 0; i <= URL_QUERY_MAX; i++)
		text_addf(&words, "p%d=1&", i);
	assert_false(url_query_parse(words.data, &query, NULL));
	url_query_release(&query);
	text_release(&words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_become_bytes),
		cmocka_unit_test(a_plus_is_a_plus),
		cmocka_unit_test(broken_escapes_nul_and_bad_utf8_are_refused),
		cmocka_unit_test(what_is_encoded_is_decoded_again),
		cmocka_unit_test(a_path_is_split_before_it_is_decoded),
		cmocka_unit_test(paths_with_empty_or_too_many_parts_are_refused),
		cmocka_unit_test(a_query_gives_its_values_by_name),
		cmocka_unit_test(a_parameter_twice_is_refused),
		cmocka_unit_test(more_parameters_than_there_is_room_for_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
