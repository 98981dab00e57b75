#include "mail_token.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "digest.h"
#include "banned.h"

/* A letter for the kind, the number, the signature: base32 (RFC 4648), five bits a character. */
#define SIGNED_CHARS 13 /* 65 bits, of which the signature has 64 */
#define NUMBER_CHARS 13

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char kinds[] = "am";

static void sign(const char *key, const char *words, size_t len, char out[SIGNED_CHARS])
{
	unsigned char mac[SHA256_SIZE];
	uint64_t bits = 0;

	digest_hmac_sha256(key, strlen(key), words, len, mac);
	for (int i = 0; i < 8; i++)
		bits = bits << 8 | mac[i];
	for (int i = 0; i < SIGNED_CHARS; i++, bits >>= 5)
		out[i] = alphabet[bits & 31];
}

void mail_token_make(const char *key, enum mail_token_kind kind, int64_t n, char out[MAIL_TOKEN_MAX])
{
	size_t len = 0;

	out[len++] = kinds[kind];
	for (uint64_t left = (uint64_t)n; left; left >>= 5)
		out[len++] = alphabet[left & 31];
	sign(key, out, len, out + len);
	out[len + SIGNED_CHARS] = '\0';
}

static bool token_read(const char *key, const char *piece, size_t len, enum mail_token_kind *kind, int64_t *n)
{
	char token[MAIL_TOKEN_MAX], right[MAIL_TOKEN_MAX];
	uint64_t number = 0;

	if (len < 2 + SIGNED_CHARS || len > 1 + NUMBER_CHARS + SIGNED_CHARS)
		return false;
	for (size_t i = 0; i < len; i++)
		token[i] = (char)tolower((unsigned char)piece[i]);
	token[len] = '\0';
	const char *mark = strchr(kinds, token[0]);
	if (!mark)
		return false;
	for (size_t i = len - SIGNED_CHARS; i-- > 1;) {
		const char *at = strchr(alphabet, token[i]);
		if (!at || number >> 58)
			return false;
		number = number << 5 | (uint64_t)(at - alphabet);
	}
	if (!number || number > INT64_MAX)
		return false;
	mail_token_make(key, (enum mail_token_kind)(mark - kinds), (int64_t)number, right);
	if (strlen(right) != len || !digest_equal(right, token, len))
		return false;
	*kind = (enum mail_token_kind)(mark - kinds);
	*n = (int64_t)number;
	return true;
}

bool mail_token_find(const char *key, const char *reference, enum mail_token_kind *kind, int64_t *n)
{
	for (const char *s = reference; *s && *s != '@';) {
		size_t len = 0;
		while (isalnum((unsigned char)s[len]))
			len++;
		if (token_read(key, s, len, kind, n))
			return true;
		s += len;
		s += *s && *s != '@' && !isalnum((unsigned char)*s);
	}
	return false;
}
