/* DKIM, relaxed/relaxed, over mails of our own making. OpenDKIM's library could do it, but in Debian 12 it
 * loses 600 bytes at every Ed25519 signature and reads the key anew for every mail; what is left to do once
 * there are SHA-256 and a key that signs is this page. */
#include "mail_sign.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "digest.h"
#include "mail_text.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define SIGNATURE_MAX 4096
#define NAME_MAX_BYTES 253
#define LINE_MAX_BYTES 76
#define HEADERS_MAX 64 /* of a mail */

struct mail_key {
	char *domain, *selector;
	struct sign_key *key;
};

struct mail_signer {
	struct mail_key keys[MAIL_SIGN_KEYS_MAX];
	size_t count;
};

struct header {
	const char *start;
	size_t name_len, len; /* the folded lines and the CRLF behind them included */
};

/* Signed where they are there; `once`: and once more, so that nobody can add a second one. */
static const struct {
	const char *name;
	bool prefix, once;
} signed_headers[] = {{"From", false, true},          {"To", false, true},
		      {"Subject", false, true},       {"Date", false, true},
		      {"Message-ID", false, false},   {"MIME-Version", false, false},
		      {"Content-Type", false, false}, {"Auto-Submitted", false, false},
		      {"List-", true, false}};
#define SIGNED_COUNT (sizeof signed_headers / sizeof signed_headers[0])

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* --- canonical forms (RFC 6376 section 3.4) --- */

/* The name in small letters, the value on one line with single blanks. */
static void add_relaxed_header(struct text *out, const char *start, size_t name_len, size_t len)
{
	for (size_t i = 0; i < name_len; i++)
		text_putc(out, start[i] >= 'A' && start[i] <= 'Z' ? (char)(start[i] + 'a' - 'A') : start[i]);
	text_putc(out, ':');
	bool first = true, blank = false;
	for (size_t i = name_len + 1; i < len; i++) {
		if (is_blank(start[i])) {
			blank = true;
			continue;
		}
		if (blank && !first)
			text_putc(out, ' ');
		text_putc(out, start[i]);
		first = blank = false;
	}
}

/* No blanks at the end of a line, single ones in it, no empty lines at the end. */
static void add_relaxed_body(struct text *out, const char *body, size_t len)
{
	size_t empty = 0;

	for (size_t i = 0; i < len;) {
		const char *end = memchr(body + i, '\n', len - i);
		size_t next = end ? (size_t)(end - body) + 1 : len;
		bool blank = false, written = false;
		for (; i < next; i++) {
			if (is_blank(body[i])) {
				blank = true;
				continue;
			}
			for (; empty; empty--)
				text_puts(out, "\r\n");
			if (blank)
				text_putc(out, ' ');
			text_putc(out, body[i]);
			blank = false;
			written = true;
		}
		if (written)
			text_puts(out, "\r\n");
		else
			empty++;
	}
}

/* --- a signature --- */

/* The mail's headers; where its body begins. */
static size_t headers_find(const struct text *mail, struct header headers[HEADERS_MAX], size_t *count)
{
	size_t at = 0;

	*count = 0;
	while (at < mail->len && strncmp(mail->data + at, "\r\n", 2) != 0) {
		const char *start = mail->data + at;
		size_t len = 0;
		do {
			len += strcspn(start + len, "\n");
			len += start[len] == '\n';
		} while (start[len] == ' ' || start[len] == '\t');
		if (*count < HEADERS_MAX)
			headers[(*count)++] = (struct header){start, strcspn(start, ":"), len};
		at += len;
	}
	return at + 2 < mail->len ? at + 2 : mail->len;
}

static bool is_signed(const struct header *header)
{
	for (size_t i = 0; i < SIGNED_COUNT; i++) {
		size_t len = strlen(signed_headers[i].name);
		if ((signed_headers[i].prefix ? header->name_len > len : header->name_len == len) &&
		    strncasecmp(header->start, signed_headers[i].name, len) == 0)
			return true;
	}
	return false;
}

/* Adds to a list whose lines are folded: `column` is where it stands. */
static void add_folded(struct text *out, size_t *column, const char *s, size_t len)
{
	if (*column + len > LINE_MAX_BYTES) {
		text_puts(out, "\r\n\t ");
		*column = 2;
	}
	text_add(out, s, len);
	*column += len;
}

/* h=: from the last header to the first, which is the order that a verifier takes those of one name in; their
 * canonical form goes to `data`. */
static void add_names(struct text *out, const struct header *headers, size_t count, struct text *data)
{
	size_t column = 3;

	text_puts(out, "\r\n\th=");
	for (size_t i = count; i-- > 0;) {
		if (!is_signed(&headers[i]))
			continue;
		add_folded(out, &column, headers[i].start, headers[i].name_len + 1); /* with its colon */
		add_relaxed_header(data, headers[i].start, headers[i].name_len, headers[i].len);
		text_puts(data, "\r\n");
	}
	for (size_t i = 0, more = 0; i < SIGNED_COUNT; i++) {
		if (!signed_headers[i].once)
			continue;
		if (more++)
			text_putc(out, ':');
		add_folded(out, &column, signed_headers[i].name, strlen(signed_headers[i].name));
		column++;
	}
	text_putc(out, ';');
}

static bool sign_with(const struct mail_key *key, const struct text *mail, const char *body_hash,
		      struct text *out)
{
	static const char name[] = "DKIM-Signature";
	bool ed25519 = sign_key_kind(key->key) == SIGN_KEY_ED25519;
	struct header headers[HEADERS_MAX];
	unsigned char hash[SHA256_SIZE];
	size_t count, column = 3;
	struct text header, data;

	text_init(&header, SIGNATURE_MAX);
	text_init(&data, mail->len + SIGNATURE_MAX);
	headers_find(mail, headers, &count);
	text_addf(&header, "%s: v=1; a=%s; c=relaxed/relaxed; t=%lld;\r\n\td=%s;\r\n\ts=%s;\r\n\tbh=%s;",
		  name, ed25519 ? "ed25519-sha256" : "rsa-sha256", (long long)(moment_now() / MOMENT_S),
		  key->domain, key->selector, body_hash);
	add_names(&header, headers, count, &data);
	text_puts(&header, "\r\n\tb=");
	add_relaxed_header(&data, header.data, strlen(name), header.len);
	digest_sha256(data.data, data.len, hash);
	/* RFC 8463 section 3: Ed25519 signs the hash; RSA makes its own, which is the same */
	char *signature = ed25519 ? sign_key_sign(key->key, hash, sizeof hash)
				  : sign_key_sign(key->key, data.data, data.len);
	for (const char *s = signature; s && *s; s += strnlen(s, LINE_MAX_BYTES - 6))
		add_folded(&header, &column, s, strnlen(s, LINE_MAX_BYTES - 6));
	bool ok = signature && !header.full && !data.full;
	if (ok)
		text_addf(out, "%s\r\n", header.data);
	free(signature);
	text_release(&header);
	text_release(&data);
	return ok;
}

bool mail_sign(const struct mail_signer *signer, struct text *mail, struct text *error)
{
	struct header headers[HEADERS_MAX];
	unsigned char hash[SHA256_SIZE];
	struct text out, body;
	size_t count;
	bool ok = true;

	text_init(&out, mail->max + MAIL_SIGN_KEYS_MAX * SIGNATURE_MAX);
	text_init(&body, mail->len + 2);
	size_t begin = headers_find(mail, headers, &count);
	add_relaxed_body(&body, mail->data + begin, mail->len - begin);
	digest_sha256(body.data, body.len, hash);
	char *body_hash = base64_encode(hash, sizeof hash);
	for (size_t i = 0; ok && i < signer->count; i++) {
		ok = sign_with(&signer->keys[i], mail, body_hash, &out);
		if (!ok)
			text_error(error, "the mail can't be signed for selector %s of %s",
				   signer->keys[i].selector, signer->keys[i].domain);
	}
	if (ok) {
		text_add(&out, mail->data, mail->len);
		text_release(mail);
		*mail = out;
	} else {
		text_release(&out);
	}
	text_release(&body);
	free(body_hash);
	return ok;
}

/* --- the keys --- */

/* A host's name, or the part of one. */
static bool is_name(const char *s)
{
	return *s && strlen(s) <= NAME_MAX_BYTES && *s != '.' &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")];
}

static void key_read(struct mail_signer *signer, size_t i, const json_t *entry, struct text *errors)
{
	const char *domain = json_string_value(json_object_get(entry, "domain")),
		   *selector = json_string_value(json_object_get(entry, "selector")),
		   *pem = json_string_value(json_object_get(entry, "key"));
	struct sign_key *key = pem ? sign_key_read(pem) : NULL;

	if (!domain || !is_name(domain))
		text_addf(errors, "dkim.%zu.domain: is not a domain; example.com would be right\n", i);
	if (!selector || !is_name(selector))
		text_addf(errors, "dkim.%zu.selector: is not a selector; s2026 would be right\n", i);
	if (!key)
		text_addf(
			errors,
			"dkim.%zu.key: is not a key that can sign; the PEM of a private RSA key of 1024 bits "
			"or more, or of an Ed25519 key, would be right\n",
			i);
	signer->keys[signer->count++] = (struct mail_key){.domain = xstrdup(domain ? domain : ""),
							  .selector = xstrdup(selector ? selector : ""),
							  .key = key};
}

struct mail_signer *mail_signer_new(const json_t *dkim, struct text *errors)
{
	struct mail_signer *signer = xcalloc(1, sizeof *signer);
	size_t before = errors->len, i;
	const json_t *entry;

	if (json_array_size(dkim) > MAIL_SIGN_KEYS_MAX)
		text_addf(errors, "dkim: has too many keys; at most %d would be right\n", MAIL_SIGN_KEYS_MAX);
	else
		json_array_foreach(dkim, i, entry) key_read(signer, i, entry, errors);
	if (errors->len != before) {
		mail_signer_free(signer);
		signer = NULL;
	}
	return signer;
}

void mail_signer_free(struct mail_signer *signer)
{
	if (!signer)
		return;
	for (size_t i = 0; i < signer->count; i++) {
		free(signer->keys[i].domain);
		free(signer->keys[i].selector);
		sign_key_free(signer->keys[i].key);
	}
	free(signer);
}
