#include "api_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "product.h"
#include "banned.h"

static const struct {
	enum scope scope;
	const char *name;
} scopes[SCOPES] = {{SCOPE_SEND, "send"},
		    {SCOPE_READ, "read"},
		    {SCOPE_HISTORY, "history"},
		    {SCOPE_WRITE, "write"},
		    {SCOPE_OPS, "ops"}};

const char *scope_name(enum scope scope)
{
	for (size_t i = 0; i < SCOPES; i++)
		if (scopes[i].scope == scope)
			return scopes[i].name;
	return "";
}

bool scope_parse(const char *name, enum scope *scope)
{
	for (size_t i = 0; i < SCOPES; i++)
		if (strcmp(scopes[i].name, name) == 0) {
			*scope = scopes[i].scope;
			return true;
		}
	return false;
}

void scopes_say(unsigned mask, const char *between, struct text *out)
{
	const char *before = "";

	for (size_t i = 0; i < SCOPES; i++)
		if (mask & scopes[i].scope) {
			text_addf(out, "%s%s", before, scopes[i].name);
			before = between;
		}
}

void api_token_release(struct api_token *token)
{
	free(token->name);
	free(token->by);
	for (size_t i = 0; i < token->product_count; i++)
		free(token->products[i]);
	free(token->products);
	*token = (struct api_token){0};
}

bool api_token_name_valid(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return len >= 1 && len <= TOKEN_NAME_MAX && !name[len];
}

const struct api_token *api_token_find(const struct api_token *tokens, size_t count, const char *shown)
{
	const struct api_token *found = NULL;
	unsigned char hash[SHA256_SIZE];

	digest_sha256(shown, strlen(shown), hash);
	for (size_t i = 0; i < count; i++)
		if (digest_equal(tokens[i].hash, hash, sizeof hash))
			found = &tokens[i];
	return found;
}

bool api_token_has_product(const struct api_token *token, const char *product)
{
	if (!token->product_count)
		return true;
	for (size_t i = 0; i < token->product_count; i++)
		if (product_is_within(product, token->products[i]))
			return true;
	return false;
}

void api_token_new(char out[TOKEN_TEXT + 1])
{
	unsigned char bytes[32];

	digest_random(bytes, sizeof bytes);
	char *words = base64_encode(bytes, sizeof bytes);
	for (char *c = words; *c; c++)
		*c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
	snprintf(out, TOKEN_TEXT + 1, "heed_%.43s", words); /* the 44th is padding */
	free(words);
}

bool api_token_hash_parse(const char *hex, unsigned char out[SHA256_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 2 * (size_t)SHA256_SIZE; i++) {
		char c = hex[i];
		const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
		if (!digit)
			return false;
		unsigned char value = (unsigned char)(digit - digits);
		out[i / 2] = (unsigned char)(i % 2 ? out[i / 2] | value : value << 4);
	}
	return !hex[2 * SHA256_SIZE];
}
