#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "suggest.h"

static const char *nearest(const char *word)
{
	static const char *const names[] = {"send", "settle", "log", "link", "queue", "--lane"};
	struct suggest suggest;

	suggest_init(&suggest, word);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		suggest_look(&suggest, names[i]);
	return suggest.best ? suggest.best : "";
}

static void the_word_that_was_meant_is_found(void **state)
{
	(void)state;
	assert_string_equal(nearest("sned"), "send");
	assert_string_equal(nearest("setle"), "settle");
	assert_string_equal(nearest("quue"), "queue");
	assert_string_equal(nearest("--lan"), "--lane");
}

static void a_word_that_is_near_none_has_no_suggestion(void **state)
{
	char endless[10 * SUGGEST_WORD_MAX];

	(void)state;
	memset(endless, 'x', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	assert_string_equal(nearest("frobnicate"), "");
	assert_string_equal(nearest("xyz"), "");
	assert_string_equal(nearest(""), "");
	assert_string_equal(nearest(endless), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_word_that_was_meant_is_found),
		cmocka_unit_test(a_word_that_is_near_none_has_no_suggestion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
