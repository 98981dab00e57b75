#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "words.h"

static void language_tags_are_known_by_their_form(void **state)
{
	static const char *const tags[] = {"es",        "es-AR",     "zh-Hant-TW", "de-CH-1996",
					   "x-private", "i-klingon", "en-x-y"};
	static const char *const none[] = {"",      "e",        "x",   "i-", "a-b",
					   "es_AR", "spanish!", "es-", "12", "x-ninechars"};

	(void)state;
	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
		if (!locale_valid(tags[i]))
			fail_msg("%s", tags[i]);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		if (locale_valid(none[i]))
			fail_msg("%s", none[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(language_tags_are_known_by_their_form)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
