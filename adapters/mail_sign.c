/* DKIM by OpenDKIM's library: relaxed/relaxed, RSA-SHA256 and Ed25519-SHA256. */
#include "mail_sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <dkim.h>

#include "digest.h"
#include "xalloc.h"
#include "banned.h"

#define SIGNATURE_MAX 4096
#define KEY_MAX 16384 /* bytes of a key's PEM */
#define PKCS8_HEAD 16 /* bytes in which its algorithm stands */

struct mail_key {
	char *domain, *selector, *pem;
	dkim_alg_t algorithm;
};

struct mail_signer {
	DKIM_LIB *library;
	struct mail_key keys[MAIL_SIGN_KEYS_MAX];
	size_t count;
};

/* Signed where they are there. */
static const char *const signed_headers[] = {
	"From",         "To",           "Subject",        "Date",   "Message-ID",
	"MIME-Version", "Content-Type", "Auto-Submitted", "List-*", NULL};
/* Signed once more than they are there, so that nobody can put a second one before them. */
static const char *const only_once[] = {"From", "To", "Subject", "Date", NULL};

/* Appends the header with the signature. */
static bool sign_with(const struct mail_signer *signer, const struct mail_key *key, const struct text *mail,
		      struct text *out, struct text *error)
{
	DKIM_STAT status;
	u_char *value = NULL;
	size_t len = 0;

	DKIM *dkim = dkim_sign(signer->library, (const unsigned char *)"heed", NULL, (dkim_sigkey_t)key->pem,
			       (const unsigned char *)key->selector, (const unsigned char *)key->domain,
			       DKIM_CANON_RELAXED, DKIM_CANON_RELAXED, key->algorithm, -1, &status);
	if (dkim)
		status = dkim_chunk(dkim, (u_char *)mail->data, mail->len);
	if (dkim && status == DKIM_STAT_OK)
		status = dkim_chunk(dkim, NULL, 0);
	if (dkim && status == DKIM_STAT_OK)
		status = dkim_eom(dkim, NULL);
	if (dkim && status == DKIM_STAT_OK)
		status = dkim_getsighdr_d(dkim, strlen(DKIM_SIGNHEADER) + 2, &value, &len);
	if (status == DKIM_STAT_OK)
		text_addf(out, "%s: %.*s\r\n", DKIM_SIGNHEADER, (int)len, (const char *)value);
	else
		text_error(error, "DKIM, selector %s of %s: %s", key->selector, key->domain,
			   dkim_getresultstr(status));
	if (dkim)
		dkim_free(dkim);
	return status == DKIM_STAT_OK;
}

/* RFC 8410: the algorithm stands at the beginning of a PKCS #8 key. To be asked, because the library would
 * sign with any other key, too, what nobody could verify. */
static bool is_ed25519(const char *pem)
{
	static const unsigned char oid[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
	unsigned char *der = NULL;
	struct text body;
	size_t len = 0;

	text_init(&body, KEY_MAX);
	for (const char *line = pem; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (*line != '-')
			text_add(&body, line, strcspn(line, "\r\n"));
	bool ok = base64_decode(body.data, &der, &len) &&
		  memmem(der, len < PKCS8_HEAD ? len : PKCS8_HEAD, oid, sizeof oid) != NULL;
	free(der);
	text_release(&body);
	return ok;
}

/* Can it sign at all? */
static bool key_works(const struct mail_signer *signer, const struct mail_key *key)
{
	struct text mail, out;

	text_init(&mail, TEXT_ERROR_MAX);
	text_init(&out, SIGNATURE_MAX);
	text_puts(&mail, "From: a@example.com\r\n\r\nhello\r\n");
	bool ok = sign_with(signer, key, &mail, &out, NULL);
	text_release(&mail);
	text_release(&out);
	return ok;
}

/* A host's name, or the part of one. */
static bool is_name(const char *s)
{
	return *s && strlen(s) <= 253 && *s != '.' &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")];
}

static void key_read(struct mail_signer *signer, size_t i, const json_t *entry, struct text *errors)
{
	const char *domain = json_string_value(json_object_get(entry, "domain")),
		   *selector = json_string_value(json_object_get(entry, "selector")),
		   *pem = json_string_value(json_object_get(entry, "key"));
	struct mail_key *key = &signer->keys[signer->count];

	if (!domain || !is_name(domain))
		text_addf(errors, "dkim.%zu.domain: is not a domain; example.com would be right\n", i);
	else if (!selector || !is_name(selector))
		text_addf(errors, "dkim.%zu.selector: is not a selector; s2026 would be right\n", i);
	else if (!pem)
		text_addf(errors, "dkim.%zu.key: is missing; \"${file:dkim.pem}\" would be right\n", i);
	else {
		*key = (struct mail_key){.domain = xstrdup(domain),
					 .selector = xstrdup(selector),
					 .pem = xasprintf("%s\n", pem),
					 .algorithm = is_ed25519(pem) ? DKIM_SIGN_ED25519SHA256
								      : DKIM_SIGN_RSASHA256};
		signer->count++;
		if (!key_works(signer, key))
			text_addf(errors,
				  "dkim.%zu.key: is not a key that can sign; the PEM of a private RSA key of "
				  "1024 bits or more, or of an Ed25519 key, would be right\n",
				  i);
	}
}

struct mail_signer *mail_signer_new(const json_t *dkim, struct text *errors)
{
	struct mail_signer *signer = xcalloc(1, sizeof *signer);
	size_t before = errors->len, i;
	const json_t *entry;

	signer->library = dkim_init(NULL, NULL);
	if (!signer->library ||
	    dkim_options(signer->library, DKIM_OP_SETOPT, DKIM_OPTS_SIGNHDRS, (void *)signed_headers,
			 sizeof(const char **)) != DKIM_STAT_OK ||
	    dkim_options(signer->library, DKIM_OP_SETOPT, DKIM_OPTS_OVERSIGNHDRS, (void *)only_once,
			 sizeof(const char **)) != DKIM_STAT_OK)
		text_addf(errors, "dkim: OpenDKIM's library can't be used here\n");
	else if (json_array_size(dkim) > MAIL_SIGN_KEYS_MAX)
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
		free(signer->keys[i].pem);
	}
	if (signer->library)
		dkim_close(signer->library);
	free(signer);
}

bool mail_sign(const struct mail_signer *signer, struct text *mail, struct text *error)
{
	struct text out;
	bool ok = true;

	text_init(&out, mail->max + MAIL_SIGN_KEYS_MAX * SIGNATURE_MAX);
	for (size_t i = 0; ok && i < signer->count; i++)
		ok = sign_with(signer, &signer->keys[i], mail, &out, error);
	if (ok) {
		text_add(&out, mail->data, mail->len);
		text_release(mail);
		*mail = out;
	} else {
		text_release(&out);
	}
	return ok;
}
