#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sms_text.h"
#include "text.h"

#include "banned.h"

#define GSM_CHARACTERS                                                                                                              \
	"@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

static struct text text;

static int setup(void **state)
{
	(void)state;
	text_init(&text, 1024 * 1024);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	text_release(&text);
	return 0;
}

static void add(const char *s, size_t times)
{
	while (times--)
		text_puts(&text, s);
}

static void assert_count(enum sms_alphabet alphabet, size_t units, size_t segments)
{
	struct sms_count count = sms_text_count(text.data);

	assert_int_equal(count.alphabet, alphabet);
	assert_int_equal(count.units, units);
	assert_int_equal(count.segments, segments);
}

static void the_default_alphabet_is_one_septet_a_character(void **state)
{
	(void)state;
	text_puts(&text, GSM_CHARACTERS);
	assert_count(SMS_GSM, 127, 1); /* 128 codes, and one of them is the escape */
}

static void the_extension_is_two_septets_a_character(void **state)
{
	(void)state;
	text_puts(&text, "\f^{}\\[~]|€");
	assert_count(SMS_GSM, 20, 1);
}

static void one_character_beyond_it_makes_the_whole_ucs2(void **state)
{
	static const char *const beyond[] = {"código", "`", "日本", "ç", "\t", "\x7f", "☎", "a\u0301"};

	(void)state;
	for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++)
		if (sms_text_is_gsm(beyond[i]))
			fail_msg("%s", beyond[i]);
	text_puts(&text, "código 😀");
	assert_count(SMS_UCS2, 9, 1);
}

static void a_gsm_segment_alone_holds_160_and_one_of_several_153(void **state)
{
	(void)state;
	assert_count(SMS_GSM, 0, 1);
	add("x", 160);
	assert_count(SMS_GSM, 160, 1);
	add("x", 1);
	assert_count(SMS_GSM, 161, 2);
	add("x", 2 * 153 - 161);
	assert_count(SMS_GSM, 306, 2);
	add("x", 1);
	assert_count(SMS_GSM, 307, 3);
}

static void a_ucs2_segment_alone_holds_70_and_one_of_several_67(void **state)
{
	(void)state;
	add("ж", 70);
	assert_count(SMS_UCS2, 70, 1);
	add("ж", 1);
	assert_count(SMS_UCS2, 71, 2);
	add("ж", 134 - 71);
	assert_count(SMS_UCS2, 134, 2);
	add("ж", 1);
	assert_count(SMS_UCS2, 135, 3);
}

static void an_escape_sequence_is_never_split(void **state)
{
	size_t ends[3];

	(void)state;
	add("x", 152);
	add("€", 1);
	add("x", 10);
	assert_int_equal(sms_text_split(text.data, ends, 3), 2);
	assert_int_equal(ends[0], 152);
	assert_int_equal(ends[1], text.len);

	text_clear(&text); /* alone it would be 159 and 2 */
	add("x", 159);
	add("{", 1);
	assert_count(SMS_GSM, 161, 2);
}

static void a_surrogate_pair_is_never_split(void **state)
{
	size_t ends[3];

	(void)state;
	add("ж", 66);
	add("😀", 3);
	assert_int_equal(sms_text_split(text.data, ends, 3), 2);
	assert_int_equal(ends[0], 2 * 66);
	assert_int_equal(ends[1], text.len);
}

static void no_more_ends_are_written_than_there_is_room_for(void **state)
{
	size_t ends[2] = {0, 7};

	(void)state;
	add("x", 400);
	assert_int_equal(sms_text_split(text.data, ends, 1), 3);
	assert_int_equal(ends[0], 153);
	assert_int_equal(ends[1], 7);
}

static void what_is_not_utf8_is_counted_a_byte_each(void **state)
{
	(void)state;
	text_puts(&text, "a\xff\xc3(\xed\xa0\x80\xf0\x80\x80\x80");
	assert_count(SMS_UCS2, 11, 1);
	text_clear(&text);
	text_puts(&text, "cut \xe2\x82");
	assert_count(SMS_UCS2, 6, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_default_alphabet_is_one_septet_a_character, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_extension_is_two_septets_a_character, setup, teardown),
		cmocka_unit_test_setup_teardown(one_character_beyond_it_makes_the_whole_ucs2, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_gsm_segment_alone_holds_160_and_one_of_several_153, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_ucs2_segment_alone_holds_70_and_one_of_several_67, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_escape_sequence_is_never_split, setup, teardown),
		cmocka_unit_test_setup_teardown(a_surrogate_pair_is_never_split, setup, teardown),
		cmocka_unit_test_setup_teardown(no_more_ends_are_written_than_there_is_room_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_not_utf8_is_counted_a_byte_each, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
