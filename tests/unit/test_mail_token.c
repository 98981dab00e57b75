/* The names by which a mail that comes back is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "mail_token.h"

#define KEY "0123456789abcdef0123456789abcdef"

static void assert_found(const char *reference, enum mail_token_kind kind, int64_t n)
{
	enum mail_token_kind is;
	int64_t number = 0;

	if (!mail_token_find(KEY, reference, &is, &number))
		fail_msg("nothing in %s", reference);
	assert_int_equal(is, kind);
	assert_int_equal(number, n);
}

static void assert_nothing(const char *key, const char *reference)
{
	enum mail_token_kind kind;
	int64_t n;

	if (mail_token_find(key, reference, &kind, &n))
		fail_msg("something in %s", reference);
}

static void a_token_is_found_in_what_is_made_of_it_on_the_way(void **state)
{
	static const int64_t numbers[] = {1, 31, 32, 4096, 20260000001, INT64_MAX};
	char token[MAIL_TOKEN_MAX], address[256];

	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		mail_token_make(KEY, MAIL_TOKEN_ATTEMPT, numbers[i], token);
		assert_true(strlen(token) < MAIL_TOKEN_MAX);
		snprintf(address, sizeof address, "bounces+%s@example.com", token);
		assert_found(address, MAIL_TOKEN_ATTEMPT, numbers[i]);
		for (char *c = address; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		assert_found(address, MAIL_TOKEN_ATTEMPT, numbers[i]);
		snprintf(address, sizeof address, "SRS0=ab=cd=example.com=bounces+%s@forward.test", token);
		assert_found(address, MAIL_TOKEN_ATTEMPT, numbers[i]);
		mail_token_make(KEY, MAIL_TOKEN_MESSAGE, numbers[i], token);
		snprintf(address, sizeof address, "order.17%%20x.%s@example.com", token);
		assert_found(address, MAIL_TOKEN_MESSAGE, numbers[i]);
	}
}

static void what_nobody_signed_is_no_token(void **state)
{
	char token[MAIL_TOKEN_MAX], other[MAIL_TOKEN_MAX];

	(void)state;
	mail_token_make(KEY, MAIL_TOKEN_ATTEMPT, 4711, token);
	assert_nothing("another key", token);
	for (size_t i = 0; i < strlen(token); i++) {
		memcpy(other, token, sizeof other);
		other[i] = other[i] == 'b' ? 'c' : 'b';
		assert_nothing(KEY, other);
	}
	/* one for a message is none for an attempt */
	memcpy(other, token, sizeof other);
	other[0] = 'm';
	assert_nothing(KEY, other);
	memcpy(other, token, sizeof other);
	other[strlen(other) - 1] = '\0';
	assert_nothing(KEY, other);
	assert_nothing(KEY, "");
	assert_nothing(KEY, "@");
	assert_nothing(KEY, "ana@example.com");
	assert_nothing(KEY, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.com");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_found_in_what_is_made_of_it_on_the_way),
		cmocka_unit_test(what_nobody_signed_is_no_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
