#include "api_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void a_new_token_is_found_by_its_hash_and_no_other_is(void **state)
{
	char shown[TOKEN_TEXT + 1], other[TOKEN_TEXT + 1], hex[2 * SHA256_SIZE + 1];
	struct api_token tokens[2] = {0};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		api_token_new(i ? other : shown);
		digest_sha256_hex(i ? other : shown, TOKEN_TEXT, hex);
		assert_true(api_token_hash_parse(hex, tokens[i].hash));
	}
	assert_int_equal(strlen(shown), TOKEN_TEXT);
	assert_string_not_equal(shown, other);
	assert_ptr_equal(api_token_find(tokens, 2, shown), &tokens[0]);
	assert_ptr_equal(api_token_find(tokens, 2, other), &tokens[1]);
	assert_null(api_token_find(tokens, 1, other));
	assert_null(api_token_find(tokens, 0, shown));
	for (size_t cut = 0; cut < TOKEN_TEXT; cut++) {
		char word[TOKEN_TEXT + 1];
		memcpy(word, shown, sizeof word);
		word[cut] = word[cut] == 'A' ? 'B' : 'A';
		assert_null(api_token_find(tokens, 2, word));
		word[cut] = '\0';
		assert_null(api_token_find(tokens, 2, word));
	}
}

static void a_token_for_products_is_for_their_parts_too_and_for_nothing_else(void **state)
{
	static char *products[] = {(char *)"cards", (char *)"loans/new"};
	const struct api_token limited = {.products = products, .product_count = 2}, any = {0};

	(void)state;
	assert_true(api_token_has_product(&limited, "cards"));
	assert_true(api_token_has_product(&limited, "cards/fraud"));
	assert_true(api_token_has_product(&limited, "loans/new"));
	assert_false(api_token_has_product(&limited, "loans"));
	assert_false(api_token_has_product(&limited, "cards2"));
	assert_false(api_token_has_product(&limited, "*"));
	assert_false(api_token_has_product(&limited, ""));
	assert_true(api_token_has_product(&any, "*"));
}

static void scopes_have_names(void **state)
{
	enum scope scope;
	struct text words;

	(void)state;
	text_init(&words, 100);
	assert_true(scope_parse("history", &scope));
	assert_int_equal(scope, SCOPE_HISTORY);
	assert_string_equal(scope_name(SCOPE_OPS), "ops");
	assert_false(scope_parse("Ops", &scope));
	assert_false(scope_parse("", &scope));
	scopes_say(SCOPE_SEND | SCOPE_OPS, " or ", &words);
	assert_string_equal(words.data, "send or ops");
	text_release(&words);
}

static void only_sixty_four_digits_are_a_hash(void **state)
{
	char hex[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
	unsigned char out[SHA256_SIZE];

	(void)state;
	assert_true(api_token_hash_parse(hex, out));
	assert_int_equal(out[1], 0x11);
	assert_int_equal(out[31], 0xff);
	assert_false(api_token_hash_parse("", out));
	assert_false(api_token_hash_parse(hex + 1, out));
	hex[63] = 'g';
	assert_false(api_token_hash_parse(hex, out));
	hex[63] = '\0';
	assert_false(api_token_hash_parse(hex, out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_token_is_found_by_its_hash_and_no_other_is),
		cmocka_unit_test(a_token_for_products_is_for_their_parts_too_and_for_nothing_else),
		cmocka_unit_test(scopes_have_names),
		cmocka_unit_test(only_sixty_four_digits_are_a_hash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
