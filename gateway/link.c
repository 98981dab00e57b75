#include "link.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "xalloc.h"
#include "banned.h"

#define BODY_SIZE 15
#define MAC_SIZE 12
#define TOKEN_SIZE (BODY_SIZE + MAC_SIZE)
#define EPOCH INT64_C(1735689600000000) /* 2025-01-01, from which the minutes of an expiry count */
#define MINUTES_MAX 0xffffff
#define MESSAGE_MAX 4096

struct link_keys {
	_Atomic size_t holders;
	char *public_url;
	char *secrets[LINK_SECRETS_MAX];
	size_t count;
};

/* --- keys --- */

struct link_keys *link_keys_new(const char *public_url, const char *const secrets[], size_t count)
{
	struct link_keys *keys = xcalloc(1, sizeof *keys);
	size_t len = strlen(public_url);

	while (len && public_url[len - 1] == '/')
		len--;
	atomic_init(&keys->holders, 1);
	keys->public_url = xmemdup0(public_url, len);
	for (; keys->count < count && keys->count < LINK_SECRETS_MAX; keys->count++)
		keys->secrets[keys->count] = xstrdup(secrets[keys->count]);
	return keys;
}

struct link_keys *link_keys_hold(struct link_keys *keys)
{
	if (keys)
		atomic_fetch_add_explicit(&keys->holders, 1, memory_order_relaxed);
	return keys;
}

void link_keys_drop(struct link_keys *keys)
{
	if (!keys || atomic_fetch_sub_explicit(&keys->holders, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < keys->count; i++)
		free(keys->secrets[i]);
	free(keys->public_url);
	free(keys);
}

const char *link_public_url(const struct link_keys *keys)
{
	return keys->public_url;
}

/* --- MACs --- */

/* What is signed: a label that keeps the kinds apart, then parts with their lengths before them. */
struct message {
	unsigned char bytes[MESSAGE_MAX];
	size_t len;
	bool full;
};

static void message_add(struct message *message, const void *data, size_t len)
{
	if (message->full || len > 0xffff || message->len + 2 + len > sizeof message->bytes) {
		message->full = true;
		return;
	}
	message->bytes[message->len++] = (unsigned char)(len >> 8);
	message->bytes[message->len++] = (unsigned char)(len & 0xff);
	memcpy(message->bytes + message->len, data, len);
	message->len += len;
}

static void message_text(struct message *message, const char *text)
{
	message_add(message, text, strlen(text));
}

static void mac(const struct link_keys *keys, size_t secret, const struct message *message,
		unsigned char out[SHA256_SIZE])
{
	digest_hmac_sha256(keys->secrets[secret], strlen(keys->secrets[secret]), message->bytes, message->len,
			   out);
}

/* Which secret made it; all are tried, whichever fits. -1: none. */
static int who_signed(const struct link_keys *keys, const struct message *message, const unsigned char *given,
		      size_t len)
{
	unsigned char made[SHA256_SIZE];
	int found = -1;

	for (size_t i = 0; i < keys->count; i++) {
		mac(keys, i, message, made);
		if (digest_equal(made, given, len) && found < 0)
			found = (int)i;
	}
	return message->full ? -1 : found;
}

/* --- base64url (RFC 4648 section 5), without padding --- */

static void to_base64url(const unsigned char *data, size_t len, char *out, size_t size)
{
	char *base64 = base64_encode(data, len);

	snprintf(out, size, "%s", base64);
	free(base64);
	out[strcspn(out, "=")] = '\0';
	for (char *c = out; *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
}

/* Exactly `len` bytes, and no other way to write them. */
static bool from_base64url(const char *s, unsigned char *out, size_t len)
{
	char base64[2 * LINK_TOKEN_SIZE];
	unsigned char *data = NULL;
	size_t size = 0, chars = (len * 4 + 2) / 3;

	if (strlen(s) != chars || chars + 4 > sizeof base64)
		return false;
	for (size_t i = 0; i <= chars; i++) {
		if (s[i] == '+' || s[i] == '/' || s[i] == '=')
			return false;
		base64[i] = (char)(s[i] == '-' ? '+' : s[i] == '_' ? '/' : s[i]);
	}
	bool ok = base64_decode(base64, &data, &size) && size == len;
	if (ok) {
		char again[2 * LINK_TOKEN_SIZE];
		memcpy(out, data, len);
		to_base64url(out, len, again, sizeof again);
		ok = strcmp(again, s) == 0;
	}
	free(data);
	return ok;
}

/* --- the short names --- */

static uint32_t short_name(const char *a, const char *b)
{
	unsigned char hash[SHA256_SIZE];
	struct message message = {.len = 0};

	message_text(&message, a);
	message_text(&message, b);
	digest_sha256(message.bytes, message.len, hash);
	return (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
}

uint32_t link_product(const char *product)
{
	uint32_t name = *product ? short_name("product", product) : 0;

	return *product && !name ? 1 : name;
}

uint16_t link_address(const char *channel, const char *value)
{
	uint16_t name = *value ? (uint16_t)(short_name(channel, value) >> 16) : 0;

	return *value && !name ? 1 : name;
}

/* --- tokens --- */

static void put_bytes(unsigned char *at, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		at[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
}

static uint64_t get_bytes(const unsigned char *at, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* 0 is never; what lies outside is the nearest that can be written. */
static uint64_t minutes_of(int64_t at)
{
	if (!at)
		return 0;
	int64_t minutes = at <= EPOCH ? 1 : (at - EPOCH + MOMENT_MINUTE - 1) / MOMENT_MINUTE;
	return minutes < 1 ? 1 : minutes > MINUTES_MAX ? MINUTES_MAX : (uint64_t)minutes;
}

static int64_t at_minutes(uint64_t minutes)
{
	return minutes ? EPOCH + (int64_t)minutes * MOMENT_MINUTE : 0;
}

static struct message token_message(const unsigned char body[BODY_SIZE], const char *customer_id)
{
	struct message message = {.len = 0};

	message_text(&message, "heed link");
	message_add(&message, body, BODY_SIZE);
	message_text(&message, customer_id);
	return message;
}

void link_write(const struct link_keys *keys, const struct link *link, const char *customer_id,
		char out[LINK_TOKEN_SIZE])
{
	unsigned char token[TOKEN_SIZE], made[SHA256_SIZE];

	token[0] = (unsigned char)link->kind;
	put_bytes(token + 1, (uint64_t)link->customer, 5);
	put_bytes(token + 6, link->product, 4);
	put_bytes(token + 10, link->address, 2);
	put_bytes(token + 12, minutes_of(link->expires_at), 3);
	const struct message message = token_message(token, customer_id);
	mac(keys, 0, &message, made);
	memcpy(token + BODY_SIZE, made, MAC_SIZE);
	to_base64url(token, TOKEN_SIZE, out, LINK_TOKEN_SIZE);
}

bool link_read(const char *token, struct link *out)
{
	unsigned char bytes[TOKEN_SIZE];

	if (!from_base64url(token, bytes, TOKEN_SIZE) || bytes[0] < LINK_CHOOSE || bytes[0] > LINK_STOP)
		return false;
	*out = (struct link){.kind = (enum link_kind)bytes[0],
			     .customer = (int64_t)get_bytes(bytes + 1, 5),
			     .product = (uint32_t)get_bytes(bytes + 6, 4),
			     .address = (uint16_t)get_bytes(bytes + 10, 2),
			     .expires_at = at_minutes(get_bytes(bytes + 12, 3))};
	return true;
}

bool link_opens(const struct link_keys *keys, const char *token, const char *customer_id)
{
	unsigned char bytes[TOKEN_SIZE];

	if (!from_base64url(token, bytes, TOKEN_SIZE))
		return false;
	const struct message message = token_message(bytes, customer_id);
	return who_signed(keys, &message, bytes + BODY_SIZE, MAC_SIZE) >= 0;
}

bool link_expired(const struct link *link, int64_t now)
{
	return link->expires_at && now >= link->expires_at;
}

void link_url(const struct link_keys *keys, const struct link *link, const char *customer_id,
	      struct text *out)
{
	char token[LINK_TOKEN_SIZE];

	link_write(keys, link, customer_id, token);
	text_addf(out, "%s/%s/%s", keys->public_url, link->kind == LINK_STOP ? "u" : "p", token);
}

/* --- forms --- */

#define FORM_BYTES (3 + MAC_SIZE)

static struct message form_message(const char *token, const char *form, const unsigned char minutes[3])
{
	struct message message = {.len = 0};

	message_text(&message, "heed form");
	message_text(&message, token);
	message_text(&message, form);
	message_add(&message, minutes, 3);
	return message;
}

void link_form_write(const struct link_keys *keys, const char *token, const char *form, int64_t now,
		     char out[LINK_FORM_SIZE])
{
	unsigned char bytes[FORM_BYTES], made[SHA256_SIZE];

	put_bytes(bytes, minutes_of(now + LINK_FORM_KEEP), 3);
	const struct message message = form_message(token, form, bytes);
	mac(keys, 0, &message, made);
	memcpy(bytes + 3, made, MAC_SIZE);
	to_base64url(bytes, FORM_BYTES, out, LINK_FORM_SIZE);
}

bool link_form_opens(const struct link_keys *keys, const char *token, const char *form, int64_t now,
		     const char *given)
{
	unsigned char bytes[FORM_BYTES];

	if (!from_base64url(given, bytes, FORM_BYTES))
		return false;
	const struct message message = form_message(token, form, bytes);
	return who_signed(keys, &message, bytes + 3, MAC_SIZE) >= 0 && now < at_minutes(get_bytes(bytes, 3));
}

/* --- codes --- */

#define TICKET_RANDOM 12
#define TICKET_BYTES (3 + TICKET_RANDOM + MAC_SIZE)

static struct message ticket_message(const char *label, const char *token, const char *what,
				     const unsigned char ticket[TICKET_BYTES])
{
	struct message message = {.len = 0};

	message_text(&message, label);
	message_text(&message, token);
	message_text(&message, what);
	message_add(&message, ticket, 3 + TICKET_RANDOM);
	return message;
}

/* Each of the million is as likely, but for one in 10^13. */
static void code_of(const struct link_keys *keys, size_t secret, const char *token, const char *what,
		    const unsigned char ticket[TICKET_BYTES], char code[LINK_CODE_DIGITS + 1])
{
	const struct message message = ticket_message("heed code", token, what, ticket);
	unsigned char made[SHA256_SIZE];

	mac(keys, secret, &message, made);
	snprintf(code, LINK_CODE_DIGITS + 1, "%06u", (unsigned)(get_bytes(made, 8) % 1000000));
}

void link_ticket_write(const struct link_keys *keys, const char *token, const char *what, int64_t now,
		       char out[LINK_TICKET_SIZE], char code[LINK_CODE_DIGITS + 1])
{
	unsigned char bytes[TICKET_BYTES], made[SHA256_SIZE];

	put_bytes(bytes, minutes_of(now + LINK_CODE_KEEP), 3);
	digest_random(bytes + 3, TICKET_RANDOM);
	const struct message message = ticket_message("heed ticket", token, what, bytes);
	mac(keys, 0, &message, made);
	memcpy(bytes + 3 + TICKET_RANDOM, made, MAC_SIZE);
	to_base64url(bytes, TICKET_BYTES, out, LINK_TICKET_SIZE);
	code_of(keys, 0, token, what, bytes, code);
}

bool link_ticket_read(const struct link_keys *keys, const char *token, const char *what, int64_t now,
		      const char *ticket, const char *code, int64_t *expires_at, bool *right)
{
	unsigned char bytes[TICKET_BYTES];
	char digits[LINK_CODE_DIGITS + 1] = "", own[LINK_CODE_DIGITS + 1];
	size_t len = 0;
	bool fits = true;

	*right = false;
	if (!from_base64url(ticket, bytes, TICKET_BYTES))
		return false;
	const struct message message = ticket_message("heed ticket", token, what, bytes);
	int secret = who_signed(keys, &message, bytes + 3 + TICKET_RANDOM, MAC_SIZE);
	if (secret < 0)
		return false;
	*expires_at = at_minutes(get_bytes(bytes, 3));
	for (; *code; code++) {
		if (strchr(" -\t", *code))
			continue;
		fits = fits && len < LINK_CODE_DIGITS;
		if (fits)
			digits[len++] = *code;
	}
	code_of(keys, (size_t)secret, token, what, bytes, own);
	*right = fits && now < *expires_at && digest_equal(digits, own, sizeof own);
	return true;
}
