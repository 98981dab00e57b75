/* Hashes, signatures, random bytes: fills digest.h by OpenSSL. A call of OpenSSL that fails here means that
 * the library is broken or memory is gone: the process ends, as in xalloc.h. */
#include "digest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define RSA_BITS_MIN 1024 /* RFC 8301 */
#define HMAC_KEYS 8       /* contexts a thread keeps */
#define HMAC_KEY_MAX 128  /* longer keys get a context of their own each time */

/* A context that keeps its key: re-initialised it costs a third of a new one; with another key, half. */
struct keyed {
	EVP_MAC_CTX *mac;
	size_t key_len;
	unsigned char key[HMAC_KEY_MAX];
};

struct keyring {
	struct keyed keys[HMAC_KEYS];
	size_t next; /* the one to give up */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t keyring_key;
static EVP_MD *sha256;
static EVP_MAC *hmac;

static void must(bool worked, const char *what)
{
	if (worked)
		return;
	fprintf(stderr, "heed: OpenSSL: %s failed\n", what);
	abort();
}

static void keyring_free(void *ring_of_thread)
{
	struct keyring *ring = ring_of_thread;

	for (size_t i = 0; i < HMAC_KEYS; i++)
		EVP_MAC_CTX_free(ring->keys[i].mac);
	OPENSSL_cleanse(ring, sizeof *ring);
	free(ring);
}

/* Fetched once for all threads and kept for the life of the process. */
static void fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(sha256 && hmac, "finding SHA-256 and HMAC");
	must(pthread_key_create(&keyring_key, keyring_free) == 0, "a key for threads");
}

void digest_sha256(const void *data, size_t len, unsigned char out[SHA256_SIZE])
{
	pthread_once(&once, fetch);
	must(EVP_Digest(data, len, out, NULL, sha256, NULL), "SHA-256");
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

static EVP_MAC_CTX *mac_new(const void *key, size_t key_len)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
			       OSSL_PARAM_construct_end()};
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);

	must(mac && EVP_MAC_init(mac, key, key_len, params), "an HMAC key");
	return mac;
}

/* This thread's context for the key, ready for data. */
static EVP_MAC_CTX *mac_of_thread(const void *key, size_t key_len)
{
	struct keyring *ring = pthread_getspecific(keyring_key);

	if (!ring) {
		ring = xcalloc(1, sizeof *ring);
		must(pthread_setspecific(keyring_key, ring) == 0, "a thread's keys");
	}
	for (size_t i = 0; i < HMAC_KEYS; i++) {
		struct keyed *k = &ring->keys[i];
		if (k->mac && k->key_len == key_len && CRYPTO_memcmp(k->key, key, key_len) == 0) {
			must(EVP_MAC_init(k->mac, NULL, 0, NULL), "HMAC");
			return k->mac;
		}
	}
	struct keyed *k = &ring->keys[ring->next];
	ring->next = (ring->next + 1) % HMAC_KEYS;
	if (k->mac && key_len) /* of no length, a key would mean "the key before" */
		must(EVP_MAC_init(k->mac, key, key_len, NULL), "an HMAC key");
	else if (k->mac)
		EVP_MAC_CTX_free(k->mac);
	if (!k->mac || !key_len)
		k->mac = mac_new(key, key_len);
	memcpy(k->key, key, key_len);
	k->key_len = key_len;
	return k->mac;
}

void digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
			unsigned char out[SHA256_SIZE])
{
	pthread_once(&once, fetch);
	if (!key_len)
		key = ""; /* NULL would mean "the key before" */
	bool fits = key_len <= HMAC_KEY_MAX;
	EVP_MAC_CTX *mac = fits ? mac_of_thread(key, key_len) : mac_new(key, key_len);
	must(EVP_MAC_update(mac, data, len) && EVP_MAC_final(mac, out, NULL, SHA256_SIZE), "HMAC");
	if (!fits)
		EVP_MAC_CTX_free(mac);
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
