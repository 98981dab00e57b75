/* Hashes, signatures, random bytes: fills digest.h by OpenSSL. A call of OpenSSL that fails here means that
 * the library is broken or memory is gone: the process ends, as in xalloc.h. */
#include "digest.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define RSA_BITS_MIN 1024 /* RFC 8301 */
#define SHA256_BLOCK 64

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t hashing_key; /* each thread's context */
static EVP_MD *sha256;

static void must(bool worked, const char *what)
{
	if (worked)
		return;
	fprintf(stderr, "heed: OpenSSL: %s failed\n", what);
	abort();
}

static void hashing_free(void *context)
{
	EVP_MD_CTX_free(context);
}

/* Fetched once for all threads and kept for the life of the process. */
static void fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	must(sha256 != NULL, "finding SHA-256");
	must(pthread_key_create(&hashing_key, hashing_free) == 0, "a key for threads");
}

static EVP_MD_CTX *hashing_of_thread(void)
{
	pthread_once(&once, fetch);
	EVP_MD_CTX *hashing = pthread_getspecific(hashing_key);
	if (!hashing) {
		hashing = EVP_MD_CTX_new();
		must(hashing && pthread_setspecific(hashing_key, hashing) == 0, "a thread's context");
	}
	return hashing;
}

void digest_sha256(const void *data, size_t len, unsigned char out[SHA256_SIZE])
{
	EVP_MD_CTX *hashing = hashing_of_thread();

	must(EVP_DigestInit_ex2(hashing, sha256, NULL) && EVP_DigestUpdate(hashing, data, len) &&
		     EVP_DigestFinal_ex(hashing, out, NULL),
	     "SHA-256");
}

void digest_sha256_hex(const void *data, size_t len, char out[2 * SHA256_SIZE + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[SHA256_SIZE];

	digest_sha256(data, len, hash);
	for (size_t i = 0; i < SHA256_SIZE; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[2 * SHA256_SIZE] = '\0';
}

/* out = SHA-256(block, data) */
static void hash_behind(EVP_MD_CTX *hashing, const unsigned char block[SHA256_BLOCK], const void *data,
			size_t len, unsigned char out[SHA256_SIZE])
{
	must(EVP_DigestInit_ex2(hashing, sha256, NULL) && EVP_DigestUpdate(hashing, block, SHA256_BLOCK) &&
		     EVP_DigestUpdate(hashing, data, len) && EVP_DigestFinal_ex(hashing, out, NULL),
	     "SHA-256");
}

/* HMAC as RFC 2104 has it, out of two hashes: nearly every message has another key, and OpenSSL's own is
 * twice as long at setting one. */
void digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
			unsigned char out[SHA256_SIZE])
{
	unsigned char block[SHA256_BLOCK] = {0}, inner[SHA256_SIZE];

	EVP_MD_CTX *hashing = hashing_of_thread();
	if (key_len > sizeof block)
		digest_sha256(key, key_len, block);
	else if (key_len)
		memcpy(block, key, key_len);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36;
	hash_behind(hashing, block, data, len, inner);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36 ^ 0x5c;
	hash_behind(hashing, block, inner, sizeof inner, out);
	OPENSSL_cleanse(block, sizeof block);
}

static const char *const digest_names[] = {
	[DIGEST_MD5] = "MD5",
	[DIGEST_SHA1] = "SHA1",
	[DIGEST_SHA256] = "SHA256",
	[DIGEST_SHA512] = "SHA512",
};

size_t digest_hash(enum digest_kind kind, const void *data, size_t len, unsigned char out[DIGEST_SIZE_MAX])
{
	size_t size = 0;

	must(EVP_Q_digest(NULL, digest_names[kind], NULL, data, len, out, &size) == 1, digest_names[kind]);
	return size;
}

size_t digest_hmac(enum digest_kind kind, const void *key, size_t key_len, const void *data, size_t len,
		   unsigned char out[DIGEST_SIZE_MAX])
{
	size_t size = 0;

	must(EVP_Q_mac(NULL, "HMAC", NULL, digest_names[kind], NULL, key_len ? key : "", key_len, data, len,
		       out, DIGEST_SIZE_MAX, &size) != NULL,
	     "HMAC");
	return size;
}

void digest_random(void *out, size_t len)
{
	unsigned char *at = out;

	while (len) {
		int part = len > 1024 * 1024 ? 1024 * 1024 : (int)len;
		must(RAND_bytes(at, part) == 1, "random bytes");
		at += part;
		len -= (size_t)part;
	}
}

bool digest_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t len)
{
	const unsigned char *in = data;
	char *out = xreallocarray(NULL, len / 3 + 2, 4), *at = out;

	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		unsigned bits = (unsigned)in[i] << 16;
		if (have > 1)
			bits |= (unsigned)in[i + 1] << 8;
		if (have > 2)
			bits |= in[i + 2];
		*at++ = base64_digits[bits >> 18];
		*at++ = base64_digits[bits >> 12 & 63];
		*at++ = '=';
		*at++ = '=';
		if (have > 1)
			at[-2] = base64_digits[bits >> 6 & 63];
		if (have > 2)
			at[-1] = base64_digits[bits & 63];
	}
	*at = '\0';
	return out;
}

/* The value of a base64 digit; 64: it is none. */
static unsigned base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	return c == '+' ? 62 : c == '/' ? 63 : 64;
}

bool base64_decode(const char *s, unsigned char **out, size_t *len)
{
	size_t digits = 0;
	unsigned bits = 0;
	int have = 0;

	while (base64_value(s[digits]) < 64)
		digits++;
	size_t padding = strspn(s + digits, "=");

	*out = NULL;
	*len = 0;
	if (s[digits + padding] || digits % 4 == 1 || (padding && (padding > 2 || (digits + padding) % 4)))
		return false;
	unsigned char *bytes = xmalloc(digits / 4 * 3 + 3);
	for (size_t i = 0; i < digits; i++) {
		bits = bits << 6 | base64_value(s[i]);
		have += 6;
		if (have >= 8) {
			have -= 8;
			bytes[(*len)++] = (unsigned char)(bits >> have);
			bits &= (1U << have) - 1;
		}
	}
	if (bits) { /* bits behind the last byte: something was cut off */
		free(bytes);
		*len = 0;
		return false;
	}
	*out = bytes;
	return true;
}

/* --- keys --- */

/* What follows is OpenSSL's own EVP_PKEY under another name. */
static EVP_PKEY *pkey_of(const struct sign_key *key)
{
	return (EVP_PKEY *)key;
}

/* A key with a password would have OpenSSL ask at the terminal. */
static int no_password(char *into, int size, int writing, void *arg)
{
	(void)into;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

struct sign_key *sign_key_read(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	must(bio != NULL, "BIO_new_mem_buf");
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);

	BIO_free(bio);
	ERR_clear_error();
	bool usable = pkey && (EVP_PKEY_id(pkey) == EVP_PKEY_ED25519 ||
			       (EVP_PKEY_id(pkey) == EVP_PKEY_RSA && EVP_PKEY_bits(pkey) >= RSA_BITS_MIN));
	if (!usable)
		EVP_PKEY_free(pkey);
	return usable ? (struct sign_key *)pkey : NULL;
}

enum sign_key_kind sign_key_kind(const struct sign_key *key)
{
	return EVP_PKEY_id(pkey_of(key)) == EVP_PKEY_ED25519 ? SIGN_KEY_ED25519 : SIGN_KEY_RSA;
}

char *sign_key_sign(const struct sign_key *key, const void *data, size_t len)
{
	const EVP_MD *digest = sign_key_kind(key) == SIGN_KEY_RSA ? EVP_sha256() : NULL;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char *signature = NULL;
	char *out = NULL;
	size_t size = 0;

	must(context != NULL, "EVP_MD_CTX_new");
	if (EVP_DigestSignInit(context, NULL, digest, NULL, pkey_of(key)) == 1 &&
	    EVP_DigestSign(context, NULL, &size, data, len) == 1) {
		signature = xmalloc(size);
		if (EVP_DigestSign(context, signature, &size, data, len) == 1)
			out = base64_encode(signature, size);
	}
	ERR_clear_error();
	EVP_MD_CTX_free(context);
	free(signature);
	return out;
}

void sign_key_free(struct sign_key *key)
{
	EVP_PKEY_free(pkey_of(key));
}
