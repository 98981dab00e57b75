#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "import.h"

static char *const channels[] = {(char *)"email", (char *)"sms", (char *)"webhook"};

struct reading {
	FILE *file;
	struct import_file *import;
	struct text error;
};

static void begin(struct reading *r, const char *text, bool csv)
{
	r->file = fmemopen((void *)text, strlen(text), "r");
	assert_non_null(r->file);
	text_init(&r->error, TEXT_ERROR_MAX);
	r->import = csv ? import_csv(r->file, channels, 3, &r->error) : import_jsonl(r->file);
}

static void end(struct reading *r)
{
	import_free(r->import);
	text_release(&r->error);
	fclose(r->file);
}

static void expect_customer(struct reading *r, const char *wanted)
{
	json_t *customer, *json = json_loads(wanted, 0, NULL);

	assert_non_null(json);
	assert_int_equal(import_next(r->import, &customer, &r->error), IMPORT_CUSTOMER);
	char *got = json_dumps(customer, JSON_COMPACT);
	if (!json_equal(customer, json))
		fail_msg("got %s, wanted %s", got, wanted);
	free(got);
	json_decref(customer);
	json_decref(json);
}

static void expect_bad(struct reading *r, long long line, const char *why)
{
	json_t *customer;

	assert_int_equal(import_next(r->import, &customer, &r->error), IMPORT_BAD);
	assert_int_equal(import_line(r->import), line);
	assert_non_null(strstr(r->error.data, why));
}

static void expect_end(struct reading *r)
{
	json_t *customer;

	assert_int_equal(import_next(r->import, &customer, &r->error), IMPORT_END);
}

static void expect_columns_refused(const char *heading, const char *why)
{
	struct reading r;

	begin(&r, heading, true);
	assert_null(r.import);
	assert_non_null(strstr(r.error.data, why));
	end(&r);
}

static void columns_become_facts_addresses_and_preferences(void **state)
{
	struct reading r;

	(void)state;
	begin(&r,
	      "id,name,timezone,email,sms,prefer:card-alerts\n"
	      "c-1,\"Díaz, Ana\",UTC,ana@example.com,+549115550100; +549115550101,\"sms,email\"\n",
	      true);
	expect_customer(&r,
			"{\"id\":\"c-1\",\"name\":\"Díaz, Ana\",\"timezone\":\"UTC\",\"addresses\":"
			"{\"email\":[\"ana@example.com\"],\"sms\":[\"+549115550100\",\"+549115550101\"]},"
			"\"preferences\":[{\"product\":\"card-alerts\",\"channels\":[\"sms\",\"email\"]}]}");
	expect_end(&r);
	end(&r);
}

static void an_empty_cell_clears(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, "id,name,email,prefer:news\nc-1,,,\n", true);
	expect_customer(&r, "{\"id\":\"c-1\",\"name\":\"\",\"addresses\":{\"email\":[]},"
			    "\"preferences\":[{\"product\":\"news\",\"channels\":null}]}");
	end(&r);
}

static void the_word_stop_is_no_channel_at_all(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, "id,prefer:news\nc-1,stop\n", true);
	expect_customer(&r, "{\"id\":\"c-1\",\"preferences\":[{\"product\":\"news\",\"channels\":[]}]}");
	end(&r);
}

static void a_secret_stands_beside_its_url(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, "id,webhook.secret,webhook\nc-1,new;old,https://a.example\nc-2,,https://b.example\n", true);
	expect_customer(&r, "{\"id\":\"c-1\",\"addresses\":{\"webhook\":[{\"url\":\"https://a.example\","
			    "\"secret\":[\"new\",\"old\"]}]}}");
	expect_customer(&r, "{\"id\":\"c-2\",\"addresses\":{\"webhook\":[{\"url\":\"https://b.example\","
			    "\"secret\":null}]}}");
	end(&r);
}

static void columns_that_nobody_knows_are_refused(void **state)
{
	(void)state;
	expect_columns_refused("id,emial\n", "'emial'");
	expect_columns_refused("id,prefer:\n", "'prefer:'");
	expect_columns_refused("id,email,email\n", "twice");
	expect_columns_refused("id,webhook.secret\n", "needs the column 'webhook'");
	expect_columns_refused("email\n", "no column 'id'");
	expect_columns_refused("\n", "is empty");
}

static void a_bad_record_is_named_and_the_next_one_read(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, "id,name\nc-1\nc-2,\xff\nc-3,Ana\n", true);
	expect_bad(&r, 2, "1 fields where the first line names 2");
	expect_bad(&r, 3, "column 2: is not UTF-8");
	expect_customer(&r, "{\"id\":\"c-3\",\"name\":\"Ana\"}");
	end(&r);
}

static void json_lines_are_one_customer_each(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, "{\"id\":\"c-1\"}\n\n{\"id\":\n[1]\n{\"id\":\"c-2\",\"id\":\"c-3\"}\n{\"id\":\"c-4\"}",
	      false);
	expect_customer(&r, "{\"id\":\"c-1\"}");
	expect_bad(&r, 3, "not JSON");
	expect_bad(&r, 4, "object is wanted");
	expect_bad(&r, 5, "duplicate");
	expect_customer(&r, "{\"id\":\"c-4\"}");
	expect_end(&r);
	end(&r);
}

static void a_line_without_end_is_bounded(void **state)
{
	static const char rest[] = "\n{\"id\":\"c-1\"}";
	char *big = malloc(IMPORT_LINE_MAX + 1 + sizeof rest);
	struct reading r;

	(void)state;
	memset(big, ' ', IMPORT_LINE_MAX + 1);
	memcpy(big + IMPORT_LINE_MAX + 1, rest, sizeof rest);
	begin(&r, big, false);
	expect_bad(&r, 1, "more than");
	expect_customer(&r, "{\"id\":\"c-1\"}");
	end(&r);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_become_facts_addresses_and_preferences),
		cmocka_unit_test(an_empty_cell_clears),
		cmocka_unit_test(the_word_stop_is_no_channel_at_all),
		cmocka_unit_test(a_secret_stands_beside_its_url),
		cmocka_unit_test(columns_that_nobody_knows_are_refused),
		cmocka_unit_test(a_bad_record_is_named_and_the_next_one_read),
		cmocka_unit_test(json_lines_are_one_customer_each),
		cmocka_unit_test(a_line_without_end_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
