/* Hashes, signatures and random bytes: a port that is filled at link time by adapters/sign.c (OpenSSL).
 * Threads may call all of it. */
#ifndef HEED_DIGEST_H
#define HEED_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define SHA256_SIZE 32

void digest_sha256(const void *data, size_t len, unsigned char out[SHA256_SIZE]);
/* Lower-case hex of the SHA-256, NUL-terminated. */
void digest_sha256_hex(const void *data, size_t len, char out[2 * SHA256_SIZE + 1]);
/* HMAC-SHA256 (RFC 2104). */
void digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
			unsigned char out[SHA256_SIZE]);
/* What the interfaces of others still ask for; ours use SHA-256. The length of `out`. */
enum digest_kind { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512 };
#define DIGEST_SIZE_MAX 64
size_t digest_hash(enum digest_kind kind, const void *data, size_t len, unsigned char out[DIGEST_SIZE_MAX]);
size_t digest_hmac(enum digest_kind kind, const void *key, size_t key_len, const void *data, size_t len,
		   unsigned char out[DIGEST_SIZE_MAX]);
void digest_random(void *out, size_t len);
/* Takes the same time whatever differs. */
bool digest_equal(const void *a, const void *b, size_t len);
/* RFC 4648 section 4, padded; the caller frees. */
char *base64_encode(const void *data, size_t len);
/* False unless it is base64 (padding optional); the caller frees *out. */
bool base64_decode(const char *s, unsigned char **out, size_t *len);

/* Private keys that sign: RSA of 1024 bits or more (PKCS #1 1.5 over SHA-256), Ed25519 (RFC 8032). */
enum sign_key_kind { SIGN_KEY_RSA, SIGN_KEY_ED25519 };
struct sign_key;
/* NULL: the PEM holds no such key, or one that wants a password. */
struct sign_key *sign_key_read(const char *pem);
enum sign_key_kind sign_key_kind(const struct sign_key *key);
/* The signature as base64; the caller frees. NULL: it could not be made. */
char *sign_key_sign(const struct sign_key *key, const void *data, size_t len);
void sign_key_free(struct sign_key *key); /* NULL is fine */

#endif
