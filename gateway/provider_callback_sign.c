/* Is a callback by whom it says? Each company has a way of its own:
 *
 *   twilio   base64 of HMAC-SHA1 over the URL and, of a form, each name and value, sorted by name
 *   sorted   Vonage's signed SMS: hex of an HMAC over "&name=value" of all parameters but `sig`, sorted, with
 * & and = in the values as _; and a timestamp that is not old jwt      RFC 7519, HS256 or HS512, in a header:
 * `payload_hash` is the SHA-256 of the body, `url_hash` of the URL (MessageBird, Vonage) hmac     an HMAC
 * over the body, or over what `sign` says secret   a word that only the two know, in a header or in the URL
 *
 * Nothing else is believed: no other algorithm, and never "none". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "digest.h"
#include "json_read.h"
#include "provider_callback_private.h"
#include "xalloc.h"
#include "banned.h"

#define SIGNED_MAX (3 * 1024 * 1024) /* bytes of what is signed */
#define JWT_MAX 8192
#define JWT_LEEWAY MOMENT_MINUTE /* their clock and ours */
#define CLAIM_MAX 253402300800.0 /* seconds: the year 10000; what is claimed beyond is that */

static bool same_text(const char *a, const char *b)
{
	size_t len = strlen(a);

	return len == strlen(b) && digest_equal(a, b, len);
}

static void hex(const unsigned char *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", data[i]);
}

static bool signature_fits(const struct callback_sign *sign, const struct text *message, const char *shown)
{
	unsigned char mac[DIGEST_SIZE_MAX];
	char digits[2 * DIGEST_SIZE_MAX + 1] = "";
	size_t len = digest_hmac(sign->digest, sign->key, sign->key_len, message->data, message->len, mac);

	if (message->full)
		return false;
	if (sign->base64) {
		char *made = base64_encode(mac, len);
		bool same = same_text(made, shown);
		free(made);
		return same;
	}
	char *lower = xstrdup(shown);
	for (char *at = lower; *at; at++)
		if (*at >= 'A' && *at <= 'F')
			*at = (char)(*at - 'A' + 'a');
	hex(mac, len, digits);
	bool same = same_text(digits, lower);
	free(lower);
	return same;
}

static const char *shown_signature(const struct callback_sign *sign, const struct callback_reading *reading)
{
	const char *shown = sign->in_query ? callback_field(reading, sign->name)
					   : reading->request->header(reading->request->context, sign->name);
	size_t len = strlen(sign->prefix);

	if (!shown || strncmp(shown, sign->prefix, len) != 0)
		return "";
	return shown + len;
}

static int by_name(const void *a, const void *b)
{
	const struct callback_field *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order ? order : strcmp(left->value, right->value);
}

static struct callback_field *sorted(const struct callback_fields *a, const struct callback_fields *b,
				     size_t *count)
{
	struct callback_field *list = xcalloc(a->count + b->count + 1, sizeof *list);

	for (size_t i = 0; i < a->count; i++)
		list[i] = a->list[i];
	for (size_t i = 0; i < b->count; i++)
		list[a->count + i] = b->list[i];
	*count = a->count + b->count;
	qsort(list, *count, sizeof *list, by_name);
	return list;
}

static bool twilio(const struct callback_sign *sign, const struct callback_reading *reading,
		   const char *shown)
{
	static const struct callback_fields none;
	const char *wanted = callback_field(reading, "bodySHA256");
	char body_hash[2 * SHA256_SIZE + 1];
	struct text message;
	size_t count;
	bool fits = true;

	text_init(&message, SIGNED_MAX);
	text_puts(&message, reading->request->url);
	struct callback_field *list = sorted(reading->is_form ? &reading->form : &none, &none, &count);
	for (size_t i = 0; i < count; i++) {
		if (i && by_name(&list[i], &list[i - 1]) == 0)
			continue; /* the same twice counts once */
		text_puts(&message, list[i].name);
		text_puts(&message, list[i].value);
	}
	free(list);
	if (!reading->is_form && reading->request->body_len) { /* any other body is in the URL by its hash */
		digest_sha256_hex(reading->request->body, reading->request->body_len, body_hash);
		fits = wanted && same_text(body_hash, wanted);
	}
	fits = fits && signature_fits(sign, &message, shown);
	text_release(&message);
	return fits;
}

static bool is_fresh(const char *seconds, int64_t now)
{
	char *end;
	long long at = seconds ? strtoll(seconds, &end, 10) : 0;

	if (!seconds || *end || at <= 0 || at > INT64_MAX / MOMENT_S)
		return false;
	int64_t age = now - at * MOMENT_S;
	return age <= CALLBACK_AGE_MAX && age >= -CALLBACK_AGE_MAX;
}

static json_t *with_json(const struct callback_reading *reading, struct callback_fields *out)
{
	const char *name;
	json_t *value;

	json_object_foreach(reading->json, name, value)
	{
		if (!json_is_string(value) && !json_is_integer(value))
			continue;
		out->list = xreallocarray(out->list, out->count + 1, sizeof *out->list);
		out->list[out->count++] = (struct callback_field){
			xstrdup(name), json_is_string(value)
					       ? xstrdup(json_string_value(value))
					       : xasprintf("%lld", (long long)json_integer_value(value))};
	}
	return reading->json;
}

static bool sorted_fields(const struct callback_sign *sign, const struct callback_reading *reading)
{
	struct callback_fields members = {0};
	struct text message;
	size_t count;
	const char *shown = NULL, *at = NULL;

	with_json(reading, &members);
	text_init(&message, SIGNED_MAX);
	struct callback_field *list =
		sorted(&reading->query, members.count ? &members : &reading->form, &count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].name, sign->name) == 0) {
			shown = list[i].value;
			continue;
		}
		if (strcmp(list[i].name, "timestamp") == 0)
			at = list[i].value;
		text_addf(&message, "&%s=", list[i].name);
		for (const char *c = list[i].value; *c; c++)
			text_putc(&message, *c == '&' || *c == '=' ? '_' : *c);
	}
	bool fits = shown && signature_fits(sign, &message, shown) && is_fresh(at, reading->request->now);
	free(list);
	for (size_t i = 0; i < members.count; i++) {
		free(members.list[i].name);
		free(members.list[i].value);
	}
	free(members.list);
	text_release(&message);
	return fits;
}

/* --- JWT --- */

/* base64url (RFC 4648 section 5) without padding. NULL: it is none. */
static unsigned char *url_decode64(const char *s, size_t len, size_t *out_len)
{
	char *plain = xmemdup0(s, len);
	unsigned char *out = NULL;
	bool ok = strlen(plain) == len && !strpbrk(plain, "+/=");

	for (char *at = plain; *at; at++)
		*at = (char)(*at == '-' ? '+' : *at == '_' ? '/' : *at);
	if (ok && !base64_decode(plain, &out, out_len)) {
		free(out);
		out = NULL;
	}
	free(plain);
	return out;
}

static json_t *jwt_part(const char *s, size_t len)
{
	size_t size = 0;
	unsigned char *bytes = url_decode64(s, len, &size);
	json_t *json = bytes ? json_read((const char *)bytes, size, false, NULL) : NULL;

	free(bytes);
	return json;
}

static bool jwt_signed(const struct callback_sign *sign, const char *token, size_t signed_len,
		       const json_t *head)
{
	const char *alg = json_string_value(json_object_get(head, "alg"));
	const char *mac_text = token + signed_len + 1;
	unsigned char mac[DIGEST_SIZE_MAX];
	size_t shown_len = 0;

	if (!alg || (strcmp(alg, "HS256") != 0 && strcmp(alg, "HS512") != 0))
		return false;
	unsigned char *shown = url_decode64(mac_text, strlen(mac_text), &shown_len);
	size_t len = digest_hmac(strcmp(alg, "HS256") == 0 ? DIGEST_SHA256 : DIGEST_SHA512, sign->key,
				 sign->key_len, token, signed_len, mac);
	bool fits = shown && shown_len == len && digest_equal(mac, shown, len);
	free(shown);
	return fits;
}

static bool claim_time(const json_t *claims, const char *name, int64_t *out)
{
	const json_t *value = json_object_get(claims, name);

	if (!value)
		return false;
	double seconds = json_number_value(value);
	seconds = seconds < 0 ? 0 : seconds > CLAIM_MAX ? CLAIM_MAX : seconds;
	*out = (int64_t)seconds * MOMENT_S;
	return true;
}

static bool hash_is(const json_t *claims, const char *name, const void *data, size_t len, bool wanted)
{
	const char *shown = json_string_value(json_object_get(claims, name));
	char hash[2 * SHA256_SIZE + 1];

	if (!shown)
		return !wanted;
	digest_sha256_hex(data, len, hash);
	return same_text(hash, shown);
}

static bool claims_fit(const struct callback_sign *sign, const struct callback_request *request,
		       const json_t *claims)
{
	int64_t at;

	if (claim_time(claims, "exp", &at)
		    ? request->now > at + JWT_LEEWAY
		    : !claim_time(claims, "iat", &at) || request->now > at + CALLBACK_AGE_MAX)
		return false;
	if ((claim_time(claims, "nbf", &at) || claim_time(claims, "iat", &at)) &&
	    request->now < at - JWT_LEEWAY)
		return false;
	return hash_is(claims, "payload_hash", request->body, request->body_len, request->body_len > 0) &&
	       hash_is(claims, "url_hash", request->url, strlen(request->url), sign->wants_url);
}

static bool jwt(const struct callback_sign *sign, const struct callback_reading *reading, const char *token)
{
	const char *claims_at = strchr(token, '.'), *mac_at = claims_at ? strchr(claims_at + 1, '.') : NULL;

	if (!mac_at || strlen(token) > JWT_MAX)
		return false;
	json_t *head = jwt_part(token, (size_t)(claims_at - token)),
	       *claims = jwt_part(claims_at + 1, (size_t)(mac_at - claims_at - 1));
	bool fits = head && claims && jwt_signed(sign, token, (size_t)(mac_at - token), head) &&
		    claims_fit(sign, reading->request, claims);
	json_decref(head);
	json_decref(claims);
	return fits;
}

/* --- hmac --- */

/* What `sign` sees: url, base (the URL without its query), method, body, header.NAME (in lower case). */
static json_t *signed_view(const struct callback_reading *reading, const struct callback_sign *sign)
{
	const struct callback_request *request = reading->request;
	json_t *headers = json_object();
	const char *source = sign->sign_source;

	for (const char *at = strstr(source, "header."); at; at = strstr(at + 7, "header.")) {
		char *name = xmemdup0(at + 7, strcspn(at + 7, "} \t"));
		json_object_set_new(headers, name, json_string(request->header(request->context, name)));
		free(name);
	}
	return json_pack("{s:s, s:o, s:s, s:s%, s:o}", "url", request->url, "base",
			 json_stringn(request->url, strcspn(request->url, "?")), "method", request->method,
			 "body", request->body, request->body_len, "header", headers);
}

static bool hmac(const struct callback_sign *sign, const struct callback_reading *reading, const char *shown)
{
	struct text message;
	bool fits = true;

	text_init(&message, SIGNED_MAX);
	if (sign->sign) {
		json_t *view = signed_view(reading, sign);
		fits = view && mustache_render(sign->sign, &view, 1, NULL, ESCAPE_NONE, &message, NULL);
		json_decref(view);
	} else {
		text_add(&message, reading->request->body, reading->request->body_len);
	}
	fits = fits && signature_fits(sign, &message, shown);
	text_release(&message);
	return fits;
}

bool callback_is_signed(const struct callback_sign *sign, const struct callback_reading *reading)
{
	const char *shown = sign->type == SIGNED_SORTED ? "" : shown_signature(sign, reading);

	switch (sign->type) {
	case SIGNED_TWILIO:
		return twilio(sign, reading, shown);
	case SIGNED_SORTED:
		return sorted_fields(sign, reading);
	case SIGNED_JWT:
		return jwt(sign, reading, shown);
	case SIGNED_HMAC:
		return hmac(sign, reading, shown);
	case SIGNED_SECRET:
		return same_text(sign->key, shown);
	}
	return false;
}
