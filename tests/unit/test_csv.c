#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "csv.h"

struct reading {
	FILE *file;
	struct csv csv;
	struct text error;
};

static void reading_begin(struct reading *r, const char *text, size_t len)
{
	r->file = fmemopen((void *)text, len, "r");
	assert_non_null(r->file);
	csv_init(&r->csv, r->file);
	text_init(&r->error, TEXT_ERROR_MAX);
}

static void reading_end(struct reading *r)
{
	csv_release(&r->csv);
	text_release(&r->error);
	fclose(r->file);
}

/* Reads one record and compares its fields, joined by |. */
static void expect_record(struct reading *r, const char *joined)
{
	struct text got;

	text_init(&got, 1000);
	assert_int_equal(csv_next(&r->csv, &r->error), CSV_RECORD);
	for (size_t i = 0; i < r->csv.count; i++)
		text_addf(&got, "%s%s", i ? "|" : "", r->csv.fields[i]);
	assert_string_equal(got.data, joined);
	text_release(&got);
}

static void expect_bad(const char *text, size_t len, const char *why)
{
	struct reading r;

	reading_begin(&r, text, len);
	assert_int_equal(csv_next(&r.csv, &r.error), CSV_BAD);
	assert_non_null(strstr(r.error.data, why));
	reading_end(&r);
}

static void quotes_hold_commas_quotes_and_line_ends(void **state)
{
	static const char text[] = "id,name\r\nc-1,\"Díaz, \"\"Ana\"\"\r\nof Rosario\"\r\nc-2,\n";
	struct reading r;

	(void)state;
	reading_begin(&r, text, strlen(text));
	expect_record(&r, "id|name");
	expect_record(&r, "c-1|Díaz, \"Ana\"\nof Rosario");
	assert_int_equal(r.csv.line, 2);
	expect_record(&r, "c-2|");
	assert_int_equal(r.csv.line, 4);
	assert_int_equal(csv_next(&r.csv, &r.error), CSV_END);
	assert_int_equal(r.csv.bytes, strlen(text));
	reading_end(&r);
}

static void a_byte_order_mark_and_empty_lines_are_passed_over(void **state)
{
	static const char text[] = "\xef\xbb\xbfid\n\n\r\nc-1\n\n";
	struct reading r;

	(void)state;
	reading_begin(&r, text, strlen(text));
	expect_record(&r, "id");
	expect_record(&r, "c-1");
	assert_int_equal(r.csv.line, 4);
	assert_int_equal(csv_next(&r.csv, &r.error), CSV_END);
	reading_end(&r);
}

static void the_last_line_may_end_without_a_line_end(void **state)
{
	struct reading r;

	(void)state;
	reading_begin(&r, "a,b", 3);
	expect_record(&r, "a|b");
	assert_int_equal(csv_next(&r.csv, &r.error), CSV_END);
	reading_end(&r);

	reading_begin(&r, "a,", 2);
	expect_record(&r, "a|");
	reading_end(&r);
}

static void what_is_not_csv_is_refused_with_its_reason(void **state)
{
	(void)state;
	expect_bad("a,\"b", 4, "not closed");
	expect_bad("\"a\"b", 4, "behind a closing quote");
	expect_bad("a\"b", 3, "quote inside");
	expect_bad("a\rb", 3, "carriage return");
	expect_bad("a\0b", 3, "NUL");
}

static void records_and_fields_are_bounded(void **state)
{
	char *big = malloc(CSV_RECORD_MAX + 2);

	(void)state;
	memset(big, 'x', CSV_RECORD_MAX + 2);
	expect_bad(big, CSV_RECORD_MAX + 2, "more than");
	memset(big, ',', CSV_FIELDS_MAX);
	expect_bad(big, CSV_FIELDS_MAX, "fields");
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_hold_commas_quotes_and_line_ends),
		cmocka_unit_test(a_byte_order_mark_and_empty_lines_are_passed_over),
		cmocka_unit_test(the_last_line_may_end_without_a_line_end),
		cmocka_unit_test(what_is_not_csv_is_refused_with_its_reason),
		cmocka_unit_test(records_and_fields_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
