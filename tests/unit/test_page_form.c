/* Forms as browsers and mail programs send them, and what the company's colour becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "page_colour.h"
#include "page_form.h"
#include "banned.h"

#define URLENCODED "application/x-www-form-urlencoded"

static json_t *read(const char *type, const char *body)
{
	return form_read(type, body, strlen(body));
}

static void a_form_is_read(void **state)
{
	json_t *form = read(URLENCODED "; charset=UTF-8", "do=save&name=Ana+D%C3%ADaz&on-sms=&last");

	(void)state;
	assert_string_equal(form_field(form, "do"), "save");
	assert_string_equal(form_field(form, "name"), "Ana D\xc3\xad"
						      "az");
	assert_string_equal(form_field(form, "on-sms"), "");
	assert_non_null(json_object_get(form, "last"));
	assert_string_equal(form_field(form, "other"), "");
	json_decref(form);
}

/* As some mail programs send one click. */
static void a_line_end_behind_it_and_a_type_that_is_missing_do_no_harm(void **state)
{
	json_t *form = read("", "List-Unsubscribe=One-Click\r\n");

	(void)state;
	assert_string_equal(form_field(form, "List-Unsubscribe"), "One-Click");
	json_decref(form);
}

static void of_a_field_that_is_there_twice_the_first_counts(void **state)
{
	json_t *form = read(URLENCODED, "a=1&a=2");

	(void)state;
	assert_string_equal(form_field(form, "a"), "1");
	json_decref(form);
}

static void what_is_broken_is_no_form(void **state)
{
	(void)state;
	assert_null(read(URLENCODED, "a=%"));
	assert_null(read(URLENCODED, "a=%4"));
	assert_null(read(URLENCODED, "a=%zz"));
	assert_null(read(URLENCODED, "a=%00"));
	assert_null(read(URLENCODED, "%00=a"));
	assert_null(read(URLENCODED, "a=%ff"));
	assert_null(read("application/json", "a=1"));
	assert_null(read(URLENCODED "x", "a=1"));
}

static void a_form_has_a_limit(void **state)
{
	static char body[FORM_BODY_MAX + 2];
	struct text many;

	(void)state;
	memset(body, 'a', sizeof body - 1);
	assert_null(form_read(URLENCODED, body, FORM_BODY_MAX + 1));
	text_init(&many, FORM_BODY_MAX);
	for (int i = 0; i <= FORM_FIELDS_MAX; i++)
		text_addf(&many, "f%d=1&", i);
	assert_null(read(URLENCODED, many.data));
	text_release(&many);
}

/* RFC 8058 section 3.2. */
static void a_mail_programs_multipart_is_read(void **state)
{
	json_t *form = read("multipart/form-data; boundary=---FormBoundaryjWmhtjORrn",
			    "-----FormBoundaryjWmhtjORrn\r\n"
			    "Content-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n"
			    "One-Click\r\n"
			    "-----FormBoundaryjWmhtjORrn--\r\n");

	(void)state;
	assert_non_null(form);
	assert_string_equal(form_field(form, "List-Unsubscribe"), "One-Click");
	json_decref(form);
}

static void a_multipart_may_have_a_preamble_other_headers_and_empty_parts(void **state)
{
	json_t *form = read("Multipart/Form-Data; charset=utf-8; boundary=\"a b\"",
			    "preamble\r\n--a b\r\nContent-Type: text/plain\r\n"
			    "content-disposition: form-data; name=one\r\n\r\n\r\n"
			    "--a b\r\nContent-Disposition: form-data; name=\"two\"\r\n\r\n2\r\n2\r\n--a b--");

	(void)state;
	assert_non_null(form);
	assert_non_null(json_object_get(form, "one"));
	assert_string_equal(form_field(form, "one"), "");
	assert_string_equal(form_field(form, "two"), "2\r\n2");
	json_decref(form);
}

static void a_broken_multipart_is_no_form(void **state)
{
	static const char *const bodies[] = {
		"",
		"--b",
		"--b\r\n",
		"--b\r\n\r\n",
		"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
		"--b\r\nContent-Disposition: form-data; name=\"x\r\n\r\nx\r\n--b--",
		"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nx",
		"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nx\r\n--b",
		"--c\r\n\r\n--c--"};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
		assert_null(read("multipart/form-data; boundary=b", bodies[i]));
	assert_null(read("multipart/form-data", "--b--"));
}

static void a_colour_is_read(void **state)
{
	struct colour colour;

	(void)state;
	assert_true(colour_parse("#0a5C36", &colour));
	assert_int_equal(colour.red, 0x0a);
	assert_int_equal(colour.blue, 0x36);
	assert_true(colour_parse("#0c6", &colour));
	assert_int_equal(colour.green, 0xcc);
	assert_false(colour_parse("0a5c36", &colour));
	assert_false(colour_parse("#0a5c3", &colour));
	assert_false(colour_parse("#0a5c3g", &colour));
	assert_false(colour_parse("#fff;}", &colour));
}

/* Every eighth colour of each channel, on the grounds of both schemes. */
static void every_colour_becomes_one_that_can_be_read(void **state)
{
	static const struct colour grounds[] = {
		{255, 255, 255}, {0xf4, 0xf5, 0xf7}, {0x1c, 0x21, 0x27}, {0x12, 0x16, 0x1a}};

	(void)state;
	for (int red = 0; red < 256; red += 15)
		for (int green = 0; green < 256; green += 15)
			for (int blue = 0; blue < 256; blue += 15)
				for (size_t i = 0; i < 4; i++) {
					struct colour made = colour_readable(
						(struct colour){red, green, blue}, grounds[i]);
					assert_true(colour_contrast(made, grounds[i]) >= COLOUR_CONTRAST);
				}
}

static void a_colour_that_can_be_read_stays_as_it_is(void **state)
{
	struct text css;

	(void)state;
	text_init(&css, 4096);
	colour_css((struct colour){0x0a, 0x5c, 0x36}, &css);
	assert_non_null(strstr(css.data, "--company:#0a5c36;--accent:#0a5c36;--on-accent:#ffffff;"));
	text_release(&css);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_form_is_read),
		cmocka_unit_test(a_line_end_behind_it_and_a_type_that_is_missing_do_no_harm),
		cmocka_unit_test(of_a_field_that_is_there_twice_the_first_counts),
		cmocka_unit_test(what_is_broken_is_no_form),
		cmocka_unit_test(a_form_has_a_limit),
		cmocka_unit_test(a_mail_programs_multipart_is_read),
		cmocka_unit_test(a_multipart_may_have_a_preamble_other_headers_and_empty_parts),
		cmocka_unit_test(a_broken_multipart_is_no_form),
		cmocka_unit_test(a_colour_is_read),
		cmocka_unit_test(every_colour_becomes_one_that_can_be_read),
		cmocka_unit_test(a_colour_that_can_be_read_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
