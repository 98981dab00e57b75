/* Requests that are signed by an HMAC: what is signed, how the key, the digest and the signature are written,
 * and where it goes, are the description's. */
#include "provider_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "xalloc.h"
#include "banned.h"

enum key_encoding { KEY_AS_TEXT, KEY_AS_BASE64, KEY_AS_HEX };

struct provider_sign {
	const char *name;
	struct mustache *key, *sign, *value;
	enum key_encoding key_encoding;
	enum digest_kind digest;
	bool base64, in_query;
};

/* Which of the words it is; the first where it is left out. */
static size_t word_of(const json_t *auth, const char *name, const char *const words[], size_t count,
		      struct text *errors)
{
	const char *word = json_string_value(json_object_get(auth, name));

	for (size_t i = 0; i < count; i++)
		if (!word || strcmp(word, words[i]) == 0)
			return i;
	text_addf(errors, "request.auth.%s: is %s, which is not known\n", name, word);
	return 0;
}

struct provider_sign *provider_sign_compile(const json_t *auth, struct text *errors)
{
	static const char *const keys[] = {"text", "base64", "hex"},
				 *const digests[] = {"sha256", "sha512", "sha1", "md5"},
				 *const encodings[] = {"hex", "base64"},
				 *const places[] = {"header", "query"};
	static const enum digest_kind kinds[] = {DIGEST_SHA256, DIGEST_SHA512, DIGEST_SHA1, DIGEST_MD5};
	struct provider_sign *sign = xcalloc(1, sizeof *sign);
	size_t before = errors->len;

	sign->name = json_string_value(json_object_get(auth, "name"));
	if (!sign->name)
		text_puts(errors, "request.auth.name: is missing; the header's or parameter's name\n");
	sign->key = provider_text("request.auth.key", json_object_get(auth, "key"), errors);
	sign->sign = provider_text("request.auth.sign", json_object_get(auth, "sign"), errors);
	if (json_object_get(auth, "value"))
		sign->value = provider_text("request.auth.value", json_object_get(auth, "value"), errors);
	sign->key_encoding = (enum key_encoding)word_of(auth, "key_encoding", keys, 3, errors);
	sign->digest = kinds[word_of(auth, "digest", digests, 4, errors)];
	sign->base64 = word_of(auth, "encoding", encodings, 2, errors) == 1;
	sign->in_query = word_of(auth, "in", places, 2, errors) == 1;
	if (errors->len == before && !errors->full)
		return sign;
	provider_sign_free(sign);
	return NULL;
}

void provider_sign_free(struct provider_sign *sign)
{
	if (!sign)
		return;
	mustache_free(sign->key);
	mustache_free(sign->sign);
	mustache_free(sign->value);
	free(sign);
}

bool provider_sign_in_query(const struct provider_sign *sign)
{
	return sign->in_query;
}

const char *provider_sign_name(const struct provider_sign *sign)
{
	return sign->name;
}

static char *hex_encode(const unsigned char *data, size_t len)
{
	char *out = xmalloc(2 * len + 1);

	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", data[i]);
	out[2 * len] = '\0';
	return out;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	if (!at)
		return -1;
	return (int)(at - digits) < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

static bool hex_decode(const char *s, unsigned char **out, size_t *len)
{
	*len = strlen(s) / 2;
	*out = xmalloc(*len + 1);
	for (size_t i = 0; i < *len; i++) {
		int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		(*out)[i] = (unsigned char)(high << 4 | low);
	}
	return strlen(s) % 2 == 0;
}

static bool key_bytes(const struct provider_sign *sign, const struct text *key, unsigned char **out,
		      size_t *len)
{
	if (sign->key_encoding == KEY_AS_BASE64)
		return base64_decode(key->data, out, len);
	if (sign->key_encoding == KEY_AS_HEX)
		return hex_decode(key->data, out, len);
	*out = (unsigned char *)xmemdup0(key->data, key->len);
	*len = key->len;
	return true;
}

bool provider_sign_make(const struct provider_sign *sign, json_t *data, struct text *out, struct text *error)
{
	unsigned char mac[DIGEST_SIZE_MAX], *key = NULL;
	struct text key_text, message;
	size_t key_len = 0;
	bool ok = false;

	text_init(&key_text, PROVIDER_VALUE_MAX);
	text_init(&message, PROVIDER_SIGNED_MAX);
	if (!provider_render(sign->key, data, &key_text, error) ||
	    !provider_render(sign->sign, data, &message, error))
		goto out;
	if (!key_bytes(sign, &key_text, &key, &key_len)) {
		text_error(error, "the key to sign with is not %s, as the provider's file says",
			   sign->key_encoding == KEY_AS_HEX ? "hex" : "base64");
		goto out;
	}
	size_t size = digest_hmac(sign->digest, key, key_len, message.data, message.len, mac);
	char *signature = sign->base64 ? base64_encode(mac, size) : hex_encode(mac, size);
	json_object_set_new(data, "signature", json_string(signature));
	if (sign->value)
		ok = provider_render(sign->value, data, out, error);
	else
		ok = text_puts(out, signature);
	free(signature);
out:
	free(key);
	text_release(&key_text);
	text_release(&message);
	return ok;
}

static void set_owned(json_t *object, const char *name, char *value)
{
	json_object_set_new(object, name, json_string(value));
	free(value);
}

json_t *provider_request_view(const char *method, const char *url, const struct text *body,
			      const char *content_type)
{
	json_t *view = json_object();
	unsigned char hash[DIGEST_SIZE_MAX];
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	size_t host_len = strcspn(host, "/?");
	const char *target = host + host_len;
	json_object_set_new(view, "method", json_string(method));
	json_object_set_new(view, "host", json_stringn(host, host_len));
	/* a URL without a path asks for "/" */
	set_owned(view, "path",
		  xasprintf("%s%.*s", *target == '/' ? "" : "/", (int)strcspn(target, "?"), target));
	set_owned(view, "target", xasprintf("%s%s", *target == '/' ? "" : "/", target));
	json_object_set_new(view, "body", json_stringn(body->data, body->len));
	json_object_set_new(view, "content_type", json_string(content_type));
	size_t size = digest_hash(DIGEST_SHA256, body->data, body->len, hash);
	set_owned(view, "body_sha256", hex_encode(hash, size));
	set_owned(view, "body_sha256_base64", base64_encode(hash, size));
	size = digest_hash(DIGEST_MD5, body->data, body->len, hash);
	set_owned(view, "body_md5_base64", base64_encode(hash, size));
	return view;
}
