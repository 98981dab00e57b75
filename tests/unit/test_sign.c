/* Hashes, signatures and base64 against the vectors of their specifications. */
#include "digest.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "xalloc.h"

static char *hex(const unsigned char *bytes, size_t len)
{
	char *out = xmalloc(2 * len + 1);

	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return out;
}

static void expect_hmac(const void *key, size_t key_len, const char *data, const char *expected)
{
	unsigned char mac[SHA256_SIZE];

	digest_hmac_sha256(key, key_len, data, strlen(data), mac);
	char *shown = hex(mac, sizeof mac);
	assert_string_equal(shown, expected);
	free(shown);
}

static void sha256_is_that_of_fips_180(void **state)
{
	char out[2 * SHA256_SIZE + 1];

	(void)state;
	digest_sha256_hex("abc", 3, out);
	assert_string_equal(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_sha256_hex("", 0, out);
	assert_string_equal(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, test cases 1, 2 and 6; each twice, for the key that is kept. */
static void hmac_of_a_key_of_any_length_is_what_openssl_says(void **state)
{
	unsigned char key[200], data[300], ours[SHA256_SIZE], theirs[DIGEST_SIZE_MAX];

	(void)state;
	digest_random(key, sizeof key);
	digest_random(data, sizeof data);
	for (size_t len = 0; len <= sizeof key; len++) {
		digest_hmac_sha256(key, len, data, len + len / 2, ours);
		assert_int_equal(digest_hmac(DIGEST_SHA256, key, len, data, len + len / 2, theirs),
				 SHA256_SIZE);
		assert_memory_equal(ours, theirs, SHA256_SIZE);
	}
}

static void hmac_is_that_of_rfc_4231_with_a_new_a_kept_and_a_long_key(void **state)
{
	unsigned char key1[20], key6[131];

	(void)state;
	memset(key1, 0x0b, sizeof key1);
	memset(key6, 0xaa, sizeof key6);
	for (int i = 0; i < 2; i++) {
		expect_hmac(key1, sizeof key1, "Hi There",
			    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
		expect_hmac("Jefe", 4, "what do ya want for nothing?",
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
		expect_hmac(key6, sizeof key6, "Test Using Larger Than Block-Size Key - Hash Key First",
			    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
		expect_hmac(NULL, 0, "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	}
}

static void *sign_much(void *seed)
{
	unsigned char key[16], first[24][SHA256_SIZE], again[SHA256_SIZE];

	for (int i = 0; i < 480; i++) {
		memset(key, i % 24 + *(int *)seed, sizeof key);
		digest_hmac_sha256(key, sizeof key, "x", 1, i < 24 ? first[i] : again);
		if (i >= 24 && memcmp(first[i % 24], again, sizeof again) != 0)
			return "differs";
	}
	return NULL;
}

static void more_keys_than_a_thread_keeps_and_several_threads_sign_alike(void **state)
{
	pthread_t threads[3];
	int seeds[3] = {1, 30, 60};
	void *wrong;

	(void)state;
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, sign_much, &seeds[i]);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

static void base64_is_that_of_rfc_4648_both_ways(void **state)
{
	static const char *const pairs[][2] = {{"", ""},
					       {"f", "Zg=="},
					       {"fo", "Zm8="},
					       {"foo", "Zm9v"},
					       {"foob", "Zm9vYg=="},
					       {"fooba", "Zm9vYmE="},
					       {"foobar", "Zm9vYmFy"},
					       {"\xff\xfe\xfd", "//79"}};
	unsigned char *bytes;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		char *text = base64_encode(pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(text, pairs[i][1]);
		assert_true(base64_decode(text, &bytes, &len));
		assert_int_equal(len, strlen(pairs[i][0]));
		assert_memory_equal(bytes, pairs[i][0], len);
		free(bytes);
		free(text);
	}
}

static void base64_may_lack_its_padding_and_nothing_else(void **state)
{
	static const char *const bad[] = {"Zg=",    "Zg===", "Z",    "Zm9vYg==x", "Zm 9v",
					  "Zm9v\n", "Zh==",  "Zm9-", "===="};
	unsigned char *bytes;
	size_t len;

	(void)state;
	assert_true(base64_decode("Zm9vYg", &bytes, &len));
	assert_int_equal(len, 4);
	free(bytes);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(base64_decode(bad[i], &bytes, &len));
}

static void random_bytes_differ_and_equal_means_equal(void **state)
{
	unsigned char a[32] = {0}, b[32] = {0};

	(void)state;
	assert_true(digest_equal(a, b, sizeof a));
	digest_random(a, sizeof a);
	digest_random(b, sizeof b);
	assert_false(digest_equal(a, b, sizeof a));
	digest_random(a, 0);
}

static void is_hex(const unsigned char *bytes, size_t len, const char *expected)
{
	char text[2 * DIGEST_SIZE_MAX + 1] = "";

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	assert_string_equal(text, expected);
}

/* RFC 1321, FIPS 180, RFC 2202 and RFC 4231, test case 2. */
static void the_digests_of_others_give_the_published_values(void **state)
{
	static const char key[] = "Jefe", data[] = "what do ya want for nothing?";
	unsigned char out[DIGEST_SIZE_MAX];

	(void)state;
	is_hex(out, digest_hash(DIGEST_MD5, "abc", 3, out), "900150983cd24fb0d6963f7d28e17f72");
	is_hex(out, digest_hash(DIGEST_SHA1, "abc", 3, out), "a9993e364706816aba3e25717850c26c9cd0d89d");
	is_hex(out, digest_hash(DIGEST_SHA256, "abc", 3, out),
	       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	is_hex(out, digest_hmac(DIGEST_MD5, key, 4, data, sizeof data - 1, out),
	       "750c783e6ab0b503eaa86e310a5db738");
	is_hex(out, digest_hmac(DIGEST_SHA1, key, 4, data, sizeof data - 1, out),
	       "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	is_hex(out, digest_hmac(DIGEST_SHA256, key, 4, data, sizeof data - 1, out),
	       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	is_hex(out, digest_hmac(DIGEST_SHA512, key, 4, data, sizeof data - 1, out),
	       "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
	       "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digests_of_others_give_the_published_values),
		cmocka_unit_test(sha256_is_that_of_fips_180),
		cmocka_unit_test(hmac_of_a_key_of_any_length_is_what_openssl_says),
		cmocka_unit_test(hmac_is_that_of_rfc_4231_with_a_new_a_kept_and_a_long_key),
		cmocka_unit_test(more_keys_than_a_thread_keeps_and_several_threads_sign_alike),
		cmocka_unit_test(base64_is_that_of_rfc_4648_both_ways),
		cmocka_unit_test(base64_may_lack_its_padding_and_nothing_else),
		cmocka_unit_test(random_bytes_differ_and_equal_means_equal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
