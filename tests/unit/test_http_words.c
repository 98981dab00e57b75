#include "http_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_content_type_is_compared_without_its_parameters(void **state)
{
	(void)state;
	assert_true(http_type_is("application/json", "application/json"));
	assert_true(http_type_is(" Application/JSON ; charset=utf-8", "application/json"));
	assert_false(http_type_is("application/jsonp", "application/json"));
	assert_false(http_type_is("text/plain; application/json", "application/json"));
	assert_false(http_type_is("", "application/json"));
}

static void what_is_accepted_is_the_nearest_of_what_is_named(void **state)
{
	static const struct {
		const char *accept;
		bool takes, prefers; /* application/json, and that to text/html */
	} cases[] = {
		{"", true, false},
		{"*/*", true, false},
		{"application/json", true, true},
		{"text/html, application/json;q=0.1", true, false},
		{"text/html;q=0.1, application/json;q=0.15", true, true},
		{"text/html;q=1.0, application/json;q=1", true, true},
		{"text/*, application/json;q=0.1", true, true},
		{"text/html,application/*", true, false},
		{"text/html", false, false},
		{"application/json;q=0, */*", false, false},
		{"*/*;q=0, application/json", true, true},
		{"application/json; q=0.0", false, false},
		{"application/json;v=1;q=0", false, false},
		{",,, ;q", false, false},
		{"application", false, false},
		{"APPLICATION/json", true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (http_accepts(cases[i].accept, "application/json") != cases[i].takes)
			fail_msg("accepts: %s", cases[i].accept);
		if (http_prefers(cases[i].accept, "application/json", "text/html") != cases[i].prefers)
			fail_msg("prefers: %s", cases[i].accept);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_content_type_is_compared_without_its_parameters),
		cmocka_unit_test(what_is_accepted_is_the_nearest_of_what_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
