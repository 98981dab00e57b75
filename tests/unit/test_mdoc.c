#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mdoc.h"

static void expect(void (*write)(struct text *out, const char *s), const char *s, const char *page)
{
	struct text out;

	text_init(&out, 1000);
	write(&out, s);
	assert_string_equal(out.data, page);
	text_release(&out);
}

static void no_request_or_escape_comes_of_words(void **state)
{
	(void)state;
	expect(mdoc_line, ".Sh x", "\\&.Sh x\n");
	expect(mdoc_line, "'br", "\\(aqbr\n");
	expect(mdoc_line, "a\\fBb", "a\\efBb\n");
	expect(mdoc_line, "… and so on", "\\&... and so on\n");
}

static void what_can_be_copied_stays_what_it_is(void **state)
{
	(void)state;
	expect(mdoc_line, "heed --x `a`", "heed \\-\\-x \\(gaa\\(ga\n");
}

static void a_sentence_is_a_line(void **state)
{
	(void)state;
	expect(mdoc_text, "One. Two, 12.50. .three", "One.\nTwo, 12.50.\n\\&.three\n");
	expect(mdoc_line, "One. Two.", "One. Two.\n");
}

static void a_word_is_one_argument_that_may_be_broken_between_choices(void **state)
{
	(void)state;
	expect(mdoc_word, "say \"a\"|b", " \"say \\(dqa\\(dq|\\:b\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_request_or_escape_comes_of_words),
		cmocka_unit_test(what_can_be_copied_stays_what_it_is),
		cmocka_unit_test(a_sentence_is_a_line),
		cmocka_unit_test(a_word_is_one_argument_that_may_be_broken_between_choices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
