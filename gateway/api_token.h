/* Tokens of the API: who asks, what they may, and for which products. Only their hashes are kept. Pure but
 * for api_api_token_new, which takes random bytes. */
#ifndef HEED_API_TOKEN_H
#define HEED_API_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "digest.h"
#include "text.h"

/* What a token may. */
enum scope {
	SCOPE_SEND = 1,    /* enqueue messages, take them back */
	SCOPE_READ = 2,    /* messages, customers, preferences; explain */
	SCOPE_HISTORY = 4, /* contacts: log, history, export */
	SCOPE_WRITE = 8,   /* customers and preferences; links to the page; erasure */
	SCOPE_OPS = 16     /* the queue, holds, settling, retrying, the log */
};
#define SCOPES 5

const char *scope_name(enum scope scope);
bool scope_parse(const char *name, enum scope *scope);
/* Appends "read" or "read or ops". */
void scopes_say(unsigned scopes, const char *between, struct text *out);

struct api_token {
	char *name;
	char *by; /* "api:NAME": who changed something, for the log */
	unsigned char hash[SHA256_SIZE];
	unsigned scopes;
	char **products; /* with their parts; none: all */
	size_t product_count;
};
void api_token_release(struct api_token *token);

/* 1 to 64 of A-Za-z0-9._- */
bool api_token_name_valid(const char *name);
#define TOKEN_NAME_MAX 64
/* The one that the bearer shows; NULL: none. Takes the same time whichever it is, and if it is none. */
const struct api_token *api_token_find(const struct api_token *tokens, size_t count, const char *shown);
/* May it see and send what is about the product? "*" only where it is limited to none. */
bool api_token_has_product(const struct api_token *token, const char *product);

#define TOKEN_TEXT 48 /* "heed_", 43 characters of base64url without the NUL: 256 random bits */
void api_token_new(char out[TOKEN_TEXT + 1]);
/* 64 digits of hex. */
bool api_token_hash_parse(const char *hex, unsigned char out[SHA256_SIZE]);

#endif
