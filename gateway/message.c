#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "json_read.h"
#include "json_write.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define TRACEPARENT_MAX 256 /* bytes; longer ones are malformed */
#define BODY_USUAL 200      /* bytes: thousands of them may be in memory */

/* Which member of the object is being read, for the errors. */
struct reading {
	const json_t *json;
	struct text *error;
	bool stored;
};

static bool read_text(const struct reading *in, const char *key, bool required, size_t max, char **out)
{
	const json_t *value = json_object_get(in->json, key);

	if (!value)
		return !required || text_error(in->error, "%s: is missing; it is required, a string", key);
	if (!json_is_string(value))
		return text_error(in->error, "%s: must be a string", key);
	size_t len = json_string_length(value);
	if (len < 1 || len > max)
		return text_error(in->error, "%s: has %zu bytes; 1 to %zu are allowed", key, len, max);
	free(*out);
	*out = xstrdup(json_string_value(value));
	return true;
}

static bool depth_within(const json_t *json, int left)
{
	const char *key;
	json_t *value;
	size_t i;

	if (left < 0)
		return false;
	if (json_is_object(json)) {
		json_object_foreach((json_t *)json, key,
				    value) if (!depth_within(value, left - 1)) return false;
	} else if (json_is_array(json)) {
		json_array_foreach(json, i, value) if (!depth_within(value, left - 1)) return false;
	}
	return true;
}

static bool known_keys(const struct reading *in)
{
	static const char *const keys[] = {"id",      "customer",   "product",  "template",   "content",
					   "data",    "meta",       "locale",   "purpose",    "lane",
					   "send_at", "expires_at", "campaign", "traceparent"};
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)in->json, key, value)
	{
		bool known = in->stored && strcmp(key, "answer") == 0;
		for (size_t i = 0; !known && i < sizeof keys / sizeof keys[0]; i++)
			known = *key == *keys[i] && strcmp(key, keys[i]) == 0;
		if (!known)
			return text_error(in->error,
					  "%s: is not a key of a message; those are id, customer, product, "
					  "template, content, data, meta, locale, purpose, lane, send_at, "
					  "expires_at, campaign, traceparent",
					  key);
	}
	return true;
}

static bool read_content(const struct reading *in, struct message *out)
{
	json_t *content = json_object_get(in->json, "content");
	const char *key;
	json_t *value;

	if (!content)
		return *out->template ||
		       text_error(in->error,
				  "template: is missing; a template's name is required, or content");
	if (*out->template)
		return text_error(in->error, "content: stands beside template; one of the two is allowed");
	if (!json_is_object(content))
		return text_error(in->error, "content: must be an object {\"subject\", \"text\", \"html\"}");
	json_object_foreach(content, key, value)
	{
		if (strcmp(key, "subject") != 0 && strcmp(key, "text") != 0 && strcmp(key, "html") != 0)
			return text_error(
				in->error,
				"content.%s: is not a key of content; those are subject, text, html", key);
		if (!json_is_string(value))
			return text_error(in->error, "content.%s: must be a string", key);
	}
	const char *text = json_string_value(json_object_get(content, "text"));
	if (!text || !*text)
		return text_error(in->error, "content.text: is missing; it is required, a string");
	out->content = json_incref(content);
	return true;
}

static bool read_objects(const struct reading *in, struct message *out)
{
	json_t *data = json_object_get(in->json, "data"), *meta = json_object_get(in->json, "meta"), *value;
	const char *key;

	if (data && !json_is_object(data))
		return text_error(in->error, "data: must be an object");
	if (meta && !json_is_object(meta))
		return text_error(in->error, "meta: must be an object of strings");
	json_object_foreach(meta, key, value) if (!json_is_string(value)) return text_error(
		in->error, "meta.%s: must be a string", key);
	if (meta && json_dumpb(meta, NULL, 0, JSON_COMPACT) > MESSAGE_META_MAX)
		return text_error(in->error, "meta: is over %d bytes", MESSAGE_META_MAX);
	out->data = data ? json_incref(data) : json_object();
	out->meta = meta ? json_incref(meta) : json_object();
	return true;
}

static bool read_words(const struct reading *in, struct message *out)
{
	char *purpose = NULL, *lane = NULL;
	bool ok = false;

	if (!read_text(in, "purpose", false, 32, &purpose) || !read_text(in, "lane", false, 32, &lane))
		goto out;
	out->has_purpose = purpose != NULL;
	if (purpose && !purpose_parse(purpose, &out->purpose)) {
		text_error(in->error, "purpose: is neither service, marketing nor critical");
		goto out;
	}
	out->has_lane = lane != NULL;
	if (lane && !lane_parse(lane, &out->lane)) {
		text_error(in->error, "lane: is neither urgent, normal nor bulk");
		goto out;
	}
	ok = true;
out:
	free(purpose);
	free(lane);
	return ok;
}

static bool read_moment(const struct reading *in, const char *key, int64_t *out)
{
	const json_t *value = json_object_get(in->json, key);

	return !value || (json_is_string(value) && moment_parse(json_string_value(value), out)) ||
	       text_error(in->error, "%s: is not a moment like 2026-11-22T10:00:00Z (RFC 3339)", key);
}

static bool read_times(const struct reading *in, struct message *out)
{
	if (!read_moment(in, "send_at", &out->send_at) || !read_moment(in, "expires_at", &out->expires_at))
		return false;
	/* 0 says that there is none: what lies before 1970 is as long over as its first instant */
	if (out->send_at < 0)
		out->send_at = 0;
	if (json_object_get(in->json, "expires_at") && out->expires_at <= 0)
		out->expires_at = 1;
	return !out->expires_at || out->expires_at > out->send_at ||
	       text_error(in->error, "expires_at: is not after send_at: it could never be sent");
}

/* W3C Trace Context, version 00: 00-32 hex-16 hex-2 hex, neither id all zeroes. A later version begins like
 * that, and may have more behind a further dash. */
static bool traceparent_valid(const char *s)
{
	static const char hex[] = "0123456789abcdef";
	static const char more[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._";
	static const size_t lengths[] = {2, 32, 16, 2};
	bool later = strncmp(s, "00", 2) != 0;

	if (strlen(s) > TRACEPARENT_MAX)
		return false;
	if (strncmp(s, "ff", 2) == 0)
		return false;
	for (size_t i = 0; i < 4; i++) {
		if (strspn(s, hex) != lengths[i] || (i == 1 || i == 2 ? strspn(s, "0") == lengths[i] : false))
			return false;
		s += lengths[i];
		if (i == 3 && later && *s == '-')
			return s[strspn(s, more)] == '\0';
		if (*s != (i < 3 ? '-' : '\0'))
			return false;
		s++;
	}
	return true;
}

static bool read_traceparent(const struct reading *in, struct message *out)
{
	const json_t *value = json_object_get(in->json, "traceparent");

	if (!value)
		return true;
	if (!json_is_string(value))
		return text_error(in->error, "traceparent: must be a string");
	if (traceparent_valid(json_string_value(value)))
		xreplace(&out->traceparent, json_string_value(value));
	else
		out->trace_malformed = true;
	return true;
}

void message_trace(struct message *message, const char *id)
{
	char hex[2 * SHA256_SIZE + 1];
	struct text whole;

	if (!message->trace_malformed || *message->traceparent)
		return;
	text_init(&whole, ID_MAX + MESSAGE_HASH_SIZE);
	text_add(&whole, (const char *)message->hash, MESSAGE_HASH_SIZE);
	text_puts(&whole, id);
	digest_sha256_hex(whole.data, whole.len, hex);
	free(message->traceparent);
	message->traceparent = xasprintf("00-%.32s-%.16s-01", hex, hex + 40);
	text_release(&whole);
}

/* What is kept, and its hash. The hash leaves the traceparent out: who traces begins a new span at each try,
 * and the message is still the same. */
static bool read_body(const struct reading *in, struct message *out)
{
	unsigned char hash[SHA256_SIZE];
	struct text body, hashed;

	text_init(&body, MESSAGE_BODY_MAX);
	text_init(&hashed, MESSAGE_BODY_MAX);
	text_expect(&body, BODY_USUAL);
	json_write_without(&body, in->json, (const char *const[]){"id", NULL});
	bool traced = json_object_get(in->json, "traceparent") != NULL;
	if (traced)
		json_write_without(&hashed, in->json, (const char *const[]){"id", "traceparent", NULL});
	const struct text *counts = traced ? &hashed : &body;
	digest_sha256(counts->data, counts->len, hash);
	memcpy(out->hash, hash, sizeof out->hash);
	bool ok = body.full ? text_error(in->error, "message: has over %d bytes; %d are allowed",
					 MESSAGE_BODY_MAX, MESSAGE_SIZE_MAX)
			    : read_traceparent(in, out);
	free(out->body);
	out->body = text_detach(&body);
	text_release(&hashed);
	return ok;
}

static bool read_answer(const struct reading *in, struct message *out)
{
	const json_t *answer = json_object_get(in->json, "answer");
	const char *channel = json_string_value(json_object_get(answer, "channel"));
	const char *value = json_string_value(json_object_get(answer, "value"));

	if (!answer)
		return true;
	out->answer.contact = json_integer_value(json_object_get(answer, "contact"));
	out->answer.address = json_integer_value(json_object_get(answer, "address"));
	out->answer.though_stopped = json_is_true(json_object_get(answer, "stopped"));
	out->answer.asked = json_is_true(json_object_get(answer, "asked"));
	if (channel)
		xreplace(&out->answer.channel, channel);
	if (value)
		xreplace(&out->answer.value, value);
	return out->answer.contact > 0 || out->answer.asked ||
	       text_error(in->error, "answer: does not say to what");
}

static void message_init(struct message *out)
{
	*out = (struct message){
		.id = xstrdup(""),
		.customer = xstrdup(""),
		.product = xstrdup(""),
		.template = xstrdup(""),
		.locale = xstrdup(""),
		.campaign = xstrdup(""),
		.traceparent = xstrdup(""),
		.body = xstrdup(""),
		.answer.channel = xstrdup(""),
		.answer.value = xstrdup(""),
	};
}

static bool message_read(const json_t *json, bool stored, struct message *out, struct text *error)
{
	const struct reading in = {.json = json, .error = error, .stored = stored};

	if (!json_is_object(json))
		return text_error(error, "message: must be a JSON object");
	if (!depth_within(json, MESSAGE_DEPTH_MAX))
		return text_error(error, "message: is nested deeper than %d levels", MESSAGE_DEPTH_MAX);
	if (!known_keys(&in))
		return false;
	bool answers = stored && json_object_get(json, "answer"); /* perhaps about no product */
	if (!read_text(&in, "id", false, ID_MAX, &out->id) ||
	    !read_text(&in, "customer", true, ID_MAX, &out->customer) ||
	    !read_text(&in, "product", !answers, ID_MAX, &out->product) ||
	    !read_text(&in, "template", false, ID_MAX, &out->template) ||
	    !read_text(&in, "locale", false, LOCALE_MAX, &out->locale) ||
	    !read_text(&in, "campaign", false, ID_MAX, &out->campaign))
		return false;
	if (*out->id && !message_id_valid(out->id))
		return text_error(error, "id: may hold only A-Z a-z 0-9 . _ : -");
	if (!customer_id_valid(out->customer))
		return text_error(error, "customer: may hold no control characters");
	if (*out->locale && !locale_valid(out->locale))
		return text_error(error, "locale: is not a language tag like es or es-AR");
	return read_words(&in, out) && read_times(&in, out) && read_content(&in, out) &&
	       read_objects(&in, out) && read_answer(&in, out) && read_body(&in, out);
}

bool message_from_json(const json_t *json, struct message *out, struct text *error)
{
	message_init(out);
	return message_read(json, false, out, error);
}

static bool parse(const char *json, size_t len, bool stored, struct message *out, struct text *error)
{
	struct text why;

	message_init(out);
	int most = stored ? MESSAGE_BODY_MAX : MESSAGE_SIZE_MAX;
	if (len > (size_t)most)
		return text_error(error, "message: has %zu bytes; %d are allowed", len, most);
	text_init(&why, TEXT_ERROR_MAX);
	json_t *tree = json_read(json, len, false, &why);
	bool ok = tree ? message_read(tree, stored, out, error) : text_error(error, "message: %s", why.data);
	json_decref(tree);
	text_release(&why);
	return ok;
}

bool message_parse(const char *json, size_t len, struct message *out, struct text *error)
{
	return parse(json, len, false, out, error);
}

bool message_parse_stored(const char *json, size_t len, struct message *out, struct text *error)
{
	return parse(json, len, true, out, error);
}

bool message_answers(const struct message *message)
{
	return message->answer.contact || message->answer.asked;
}

void message_release(struct message *message)
{
	free(message->id);
	free(message->customer);
	free(message->product);
	free(message->template);
	free(message->locale);
	free(message->campaign);
	free(message->traceparent);
	free(message->body);
	free(message->answer.channel);
	free(message->answer.value);
	json_decref(message->content);
	json_decref(message->data);
	json_decref(message->meta);
	*message = (struct message){0};
}
