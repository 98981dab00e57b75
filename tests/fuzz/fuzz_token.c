/* What strangers show us as ours: links, the tokens of forms, tickets and codes, the API's tokens, the names
 * in mails. Any bytes are read; then one of our own is made of the same bytes, and changed where they say: it
 * opens for whom it was made, and changed in anything it does not. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api_token.h"
#include "fuzz.h"
#include "link.h"
#include "mail_token.h"
#include "xalloc.h"

#define NOW INT64_C(1796000000000000)
#define KEY "0123456789abcdef0123456789abcdef"

/* What the input has left; zeros behind its end. */
static uint64_t take(const uint8_t **data, size_t *size, size_t bytes)
{
	uint64_t value = 0;

	for (; bytes; bytes--) {
		value = value << 8 | (*size ? **data : 0);
		if (*size) {
			++*data;
			--*size;
		}
	}
	return value;
}

static void anything(const struct link_keys *keys, const char *shown)
{
	unsigned char hash[SHA256_SIZE];
	const struct api_token none = {0};
	char again[LINK_TOKEN_SIZE];
	enum mail_token_kind kind;
	struct link link;
	int64_t at, n;
	bool right;

	if (link_read(shown, &link)) {
		assert(link.customer >= 0 && link.customer <= LINK_CUSTOMER_MAX && link.expires_at >= 0);
		link_expired(&link, NOW);
		link_write(keys, &link, "c-1", again);
		assert(link_opens(keys, again, "c-1") == link_read(again, &link));
	}
	assert(!link_opens(keys, shown, "c-1"));
	assert(!link_form_opens(keys, shown, "choices", NOW, shown));
	assert(!link_ticket_read(keys, "token", shown, NOW, shown, shown, &at, &right) && !right);
	assert(!mail_token_find(KEY, shown, &kind, &n));
	assert(!api_token_find(&none, 1, shown));
	if (api_token_hash_parse(shown, hash))
		assert(strlen(shown) == 2 * SHA256_SIZE);
	if (api_token_name_valid(shown))
		assert(strlen(shown) <= TOKEN_NAME_MAX);
}

/* Another character in one place, or the same. True: it is still what it was. */
static bool change(char *token, uint64_t where, uint64_t what)
{
	size_t at = (size_t)where % strlen(token);
	char to = (char)(what ? what : (uint8_t)token[at]);
	bool same = token[at] == to;

	token[at] = to;
	return same;
}

static void a_link(const struct link_keys *keys, const uint8_t *data, size_t size)
{
	struct link link = {.kind = (enum link_kind)(LINK_CHOOSE + take(&data, &size, 1) % 3),
			    .customer = (int64_t)take(&data, &size, 5),
			    .product = (uint32_t)take(&data, &size, 4),
			    .address = (uint16_t)take(&data, &size, 2),
			    .expires_at = (int64_t)take(&data, &size, 8)},
		    read;
	uint64_t where = take(&data, &size, 1), what = take(&data, &size, 1);
	char token[LINK_TOKEN_SIZE], form[LINK_FORM_SIZE];
	char *id = xmemdup0((const char *)data, size);

	link_write(keys, &link, id, token);
	assert(strlen(token) == LINK_TOKEN_LEN && link_read(token, &read));
	assert(read.kind == link.kind && read.customer == link.customer && read.product == link.product &&
	       read.address == link.address && !read.expires_at == !link.expires_at);
	link_form_write(keys, token, id, NOW, form);
	/* What is too long to be signed opens nothing. */
	bool fits = link_opens(keys, token, id), form_fits = link_form_opens(keys, token, id, NOW, form);
	assert(fits || strlen(id) > 3000);
	assert(!link_form_opens(keys, token, id, NOW + 2 * LINK_FORM_KEEP, form));
	assert(link_opens(keys, token, "another") == (fits && strcmp(id, "another") == 0));
	bool same = change(form, where, what);
	assert(link_form_opens(keys, token, id, NOW, form) == (same && form_fits));
	same = change(token, where, what);
	assert(link_opens(keys, token, id) == (same && fits));
	free(id);
}

static void a_code(const struct link_keys *keys, const uint8_t *data, size_t size)
{
	char ticket[LINK_TICKET_SIZE], code[LINK_CODE_DIGITS + 1];
	uint64_t where = take(&data, &size, 1), what = take(&data, &size, 1);
	char *typed = xmemdup0((const char *)data, size);
	bool right;
	int64_t at;

	link_ticket_write(keys, "token", "full", NOW, ticket, code);
	assert(link_ticket_read(keys, "token", "full", NOW, ticket, code, &at, &right) && right);
	assert(link_ticket_read(keys, "token", "full", at, ticket, code, &at, &right) && !right);
	assert(link_ticket_read(keys, "token", "full", NOW, ticket, typed, &at, &right));
	assert(!link_ticket_read(keys, "token", "erase", NOW, ticket, code, &at, &right) && !right);
	bool same = change(ticket, where, what);
	assert(link_ticket_read(keys, "token", "full", NOW, ticket, code, &at, &right) == same);
	free(typed);
}

static void a_name_in_a_mail(const uint8_t *data, size_t size)
{
	char token[MAIL_TOKEN_MAX], *reference;
	enum mail_token_kind kind = (enum mail_token_kind)(take(&data, &size, 1) % 2), found;
	int64_t n = (int64_t)(take(&data, &size, 8) >> 1), read;

	if (!n)
		return;
	mail_token_make(KEY, kind, n, token);
	char *before = xmemdup0((const char *)data, size);
	reference = xasprintf("%s@%s", token, before);
	assert(mail_token_find(KEY, reference, &found, &read) && found == kind && read == n);
	assert(!mail_token_find("another key of thirty-two bytes!", reference, &found, &read));
	free(reference);
	reference = xasprintf("%s+%s@example.com", before, token);
	bool there = !strchr(before, '@');
	assert(mail_token_find(KEY, reference, &found, &read) == there);
	free(reference);
	free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const secrets[] = {KEY, "an older secret of thirty-two bytes"};
	struct link_keys *keys = link_keys_new("https://m.example.com", secrets, 2);
	char *shown = xmemdup0((const char *)data, size);

	anything(keys, shown);
	a_link(keys, data, size);
	a_code(keys, data, size);
	a_name_in_a_mail(data, size);
	free(shown);
	link_keys_drop(keys);
	return 0;
}
