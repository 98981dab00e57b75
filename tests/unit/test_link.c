/* Links: what opens, and all that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "link.h"
#include "banned.h"

#define OLD "an older secret of thirty-two bytes"
#define NEW "a newer secret of thirty-two bytes!"
#define NOW INT64_C(1796000000000000)

static struct link_keys *keys;

static int setup(void **state)
{
	static const char *const secrets[] = {OLD};

	(void)state;
	keys = link_keys_new("https://m.example.com/", secrets, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	link_keys_drop(keys);
	return 0;
}

static struct link a_link(enum link_kind kind)
{
	return (struct link){.kind = kind,
			     .customer = 1042,
			     .product = link_product("card-alerts"),
			     .address = link_address("email", "ana@example.com"),
			     .expires_at = NOW / MOMENT_MINUTE * MOMENT_MINUTE};
}

static void a_link_says_what_it_was_made_for(void **state)
{
	struct link link = a_link(LINK_CHOOSE), read;
	char token[LINK_TOKEN_SIZE];

	(void)state;
	link_write(keys, &link, "c-1042", token);
	assert_true(link_read(token, &read));
	assert_int_equal(read.kind, LINK_CHOOSE);
	assert_int_equal(read.customer, 1042);
	assert_int_equal(read.product, link.product);
	assert_int_equal(read.address, link.address);
	assert_int_equal(read.expires_at, link.expires_at);
	assert_true(link_opens(keys, token, "c-1042"));
}

static void its_path_has_at_most_forty_characters(void **state)
{
	struct link link = a_link(LINK_FULL);
	struct text url;

	(void)state;
	link.customer = LINK_CUSTOMER_MAX;
	text_init(&url, LINK_URL_MAX);
	link_url(keys, &link, "c-1042", &url);
	assert_memory_equal(url.data, "https://m.example.com/p/", 24);
	assert_true(url.len - strlen("https://m.example.com") <= 40);
	text_clear(&url);
	link.kind = LINK_STOP;
	link_url(keys, &link, "c-1042", &url);
	assert_memory_equal(url.data, "https://m.example.com/u/", 24);
	text_release(&url);
}

/* Every bit of it counts: kind, customer, product, address, expiry, MAC. */
static void a_changed_character_opens_nothing(void **state)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	struct link link = a_link(LINK_CHOOSE);
	char token[LINK_TOKEN_SIZE];

	(void)state;
	link_write(keys, &link, "c-1042", token);
	for (size_t i = 0; i < LINK_TOKEN_LEN; i++) {
		char was = token[i];
		for (const char *c = letters; *c; c++) {
			if (*c == was)
				continue;
			token[i] = *c;
			assert_false(link_opens(keys, token, "c-1042"));
		}
		token[i] = was;
	}
	assert_true(link_opens(keys, token, "c-1042"));
}

static void what_is_cut_longer_or_otherwise_written_is_no_token(void **state)
{
	struct link link = a_link(LINK_CHOOSE), read;
	char token[LINK_TOKEN_SIZE], longer[LINK_TOKEN_SIZE + 4], stranger[LINK_TOKEN_SIZE];

	(void)state;
	link_write(keys, &link, "c-1042", token);
	snprintf(longer, sizeof longer, "%s=", token);
	assert_false(link_read(longer, &read));
	snprintf(longer, sizeof longer, "%sA", token);
	assert_false(link_read(longer, &read));
	for (int c = 1; c < 256; c++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", c))
			continue;
		snprintf(stranger, sizeof stranger, "%s", token);
		stranger[20] = (char)c;
		assert_false(link_read(stranger, &read));
	}
	for (size_t len = 0; len < LINK_TOKEN_LEN; len++) {
		snprintf(longer, sizeof longer, "%.*s", (int)len, token);
		assert_false(link_read(longer, &read));
		assert_false(link_opens(keys, longer, "c-1042"));
	}
}

static void another_customers_opens_nothing_even_on_the_same_row(void **state)
{
	struct link link = a_link(LINK_FULL);
	char token[LINK_TOKEN_SIZE];

	(void)state;
	link_write(keys, &link, "c-1042", token);
	assert_false(link_opens(keys, token, "c-1043"));
	assert_false(link_opens(keys, token, ""));
}

static void an_expired_one_still_says_whose_it_was(void **state)
{
	struct link link = a_link(LINK_CHOOSE), read;
	char token[LINK_TOKEN_SIZE];

	(void)state;
	link_write(keys, &link, "c-1042", token);
	assert_true(link_read(token, &read));
	assert_true(link_opens(keys, token, "c-1042"));
	assert_false(link_expired(&read, link.expires_at - 1));
	assert_true(link_expired(&read, link.expires_at));
	link.expires_at = 0;
	link_write(keys, &link, "c-1042", token);
	link_read(token, &read);
	assert_false(link_expired(&read, MOMENT_NEVER));
}

static void a_new_secret_signs_and_the_old_one_still_opens(void **state)
{
	static const char *const both[] = {NEW, OLD}, *const only_new[] = {NEW};
	struct link_keys *rotating = link_keys_new("https://m.example.com", both, 2);
	struct link_keys *rotated = link_keys_new("https://m.example.com", only_new, 1);
	struct link link = a_link(LINK_CHOOSE);
	char old[LINK_TOKEN_SIZE], new[LINK_TOKEN_SIZE];

	(void)state;
	link_write(keys, &link, "c-1042", old);
	link_write(rotating, &link, "c-1042", new);
	assert_string_not_equal(old, new);
	assert_true(link_opens(rotating, old, "c-1042"));
	assert_true(link_opens(rotating, new, "c-1042"));
	assert_true(link_opens(rotated, new, "c-1042"));
	assert_false(link_opens(rotated, old, "c-1042"));
	assert_false(link_opens(keys, new, "c-1042"));
	link_keys_drop(rotating);
	link_keys_drop(rotated);
}

static void a_form_is_good_for_its_own_link_and_form_and_a_day(void **state)
{
	char form[LINK_FORM_SIZE], cut[LINK_FORM_SIZE];

	(void)state;
	link_form_write(keys, "token", "save card-alerts", NOW, form);
	assert_true(link_form_opens(keys, "token", "save card-alerts", NOW, form));
	assert_true(link_form_opens(keys, "token", "save card-alerts", NOW + LINK_FORM_KEEP - 1, form));
	assert_false(link_form_opens(keys, "token", "save card-alerts", NOW + LINK_FORM_KEEP + MOMENT_MINUTE,
				     form));
	assert_false(link_form_opens(keys, "token", "save offers", NOW, form));
	assert_false(link_form_opens(keys, "other", "save card-alerts", NOW, form));
	assert_false(link_form_opens(keys, "token", "save card-alerts", NOW, ""));
	snprintf(cut, sizeof cut, "%.19s", form);
	assert_false(link_form_opens(keys, "token", "save card-alerts", NOW, cut));
}

static void a_code_is_good_for_its_ticket_and_a_quarter_of_an_hour(void **state)
{
	char ticket[LINK_TICKET_SIZE], code[LINK_CODE_DIGITS + 1], typed[32], wrong[LINK_CODE_DIGITS + 1];
	int64_t expires_at;
	bool right;

	(void)state;
	link_ticket_write(keys, "token", "open sms", NOW, ticket, code);
	assert_int_equal(strlen(code), LINK_CODE_DIGITS);
	assert_true(link_ticket_read(keys, "token", "open sms", NOW, ticket, code, &expires_at, &right));
	assert_true(right);
	snprintf(typed, sizeof typed, " %.3s-%s ", code, code + 3);
	assert_true(link_ticket_read(keys, "token", "open sms", NOW, ticket, typed, &expires_at, &right));
	assert_true(right);
	snprintf(wrong, sizeof wrong, "%s", code);
	wrong[5] = wrong[5] == '9' ? '0' : (char)(wrong[5] + 1);
	assert_true(link_ticket_read(keys, "token", "open sms", NOW, ticket, wrong, &expires_at, &right));
	assert_false(right);
	snprintf(typed, sizeof typed, "%s0", code);
	assert_true(link_ticket_read(keys, "token", "open sms", NOW, ticket, typed, &expires_at, &right));
	assert_false(right);
	assert_true(
		link_ticket_read(keys, "token", "open sms", expires_at, ticket, code, &expires_at, &right));
	assert_false(right);
	assert_false(link_ticket_read(keys, "other", "open sms", NOW, ticket, code, &expires_at, &right));
	assert_false(link_ticket_read(keys, "token", "open email", NOW, ticket, code, &expires_at, &right));
}

static void two_codes_for_the_same_are_two(void **state)
{
	char one[LINK_TICKET_SIZE], other[LINK_TICKET_SIZE], code[LINK_CODE_DIGITS + 1];

	(void)state;
	link_ticket_write(keys, "token", "open sms", NOW, one, code);
	link_ticket_write(keys, "token", "open sms", NOW, other, code);
	assert_string_not_equal(one, other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_link_says_what_it_was_made_for),
		TEST(its_path_has_at_most_forty_characters),
		TEST(a_changed_character_opens_nothing),
		TEST(what_is_cut_longer_or_otherwise_written_is_no_token),
		TEST(another_customers_opens_nothing_even_on_the_same_row),
		TEST(an_expired_one_still_says_whose_it_was),
		TEST(a_new_secret_signs_and_the_old_one_still_opens),
		TEST(a_form_is_good_for_its_own_link_and_form_and_a_day),
		TEST(a_code_is_good_for_its_ticket_and_a_quarter_of_an_hour),
		TEST(two_codes_for_the_same_are_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
