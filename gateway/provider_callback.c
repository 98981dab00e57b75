#include "provider_callback.h"

#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "http_words.h"
#include "json_read.h"
#include "provider_callback_private.h"
#include "provider_private.h"
#include "utf8.h"
#include "xalloc.h"
#include "banned.h"

/* What a receipt or a reply looks like: borrowed from the description. */
struct look {
	const json_t *source; /* NULL: there is none */
	const char *each;     /* a list in the JSON; NULL */
};

struct provider_callback {
	struct callback_sign sign;
	struct look receipt, reply;
};

/* --- compile --- */

static size_t word_of(const json_t *in, const char *name, const char *const words[], size_t count)
{
	const char *word = json_string_value(json_object_get(in, name));

	for (size_t i = 0; word && i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	return 0;
}

static const char *text_of(const json_t *in, const char *name, const char *fallback)
{
	const char *text = json_string_value(json_object_get(in, name));

	return text ? text : fallback;
}

/* False: the key comes out empty. */
static bool key_compile(const json_t *signature, const json_t *settings, struct callback_sign *out,
			struct text *errors)
{
	struct mustache *key =
		provider_text("callbacks.signature.key", json_object_get(signature, "key"), errors);
	json_t *view = json_pack("{s:o}", "settings", provider_settings_view(settings, VIEW_PLAIN));
	struct text text;

	text_init(&text, CALLBACK_VALUE_MAX);
	if (key && provider_render(key, view, &text, errors)) {
		out->key_len = text.len;
		out->key = xstrdup(text.data);
	}
	text_release(&text);
	json_decref(view);
	mustache_free(key);
	return out->key_len > 0;
}

static bool sign_compile(const json_t *signature, const json_t *settings, struct callback_sign *out,
			 struct text *errors)
{
	static const char *const types[] = {"twilio", "sorted", "jwt", "hmac", "secret"};
	static const char *const names[] = {"X-Twilio-Signature", "sig", "Authorization", "", ""};
	static const char *const prefixes[] = {"", "", "Bearer ", "", ""};
	static const char *const digests[] = {"sha256", "sha512", "sha1", "md5"},
				 *const places[] = {"header", "query"},
				 *const encodings[] = {"hex", "base64"};
	static const enum digest_kind kinds[] = {DIGEST_SHA256, DIGEST_SHA512, DIGEST_SHA1, DIGEST_MD5};

	out->type = (enum callback_signature)word_of(signature, "type", types, 5);
	out->name = text_of(signature, "name", names[out->type]);
	/* a header of its own holds the token alone */
	out->prefix =
		text_of(signature, "prefix", json_object_get(signature, "name") ? "" : prefixes[out->type]);
	out->in_query = word_of(signature, "in", places, 2) == 1;
	out->base64 = out->type == SIGNED_TWILIO || word_of(signature, "encoding", encodings, 2) == 1;
	out->digest =
		out->type == SIGNED_TWILIO ? DIGEST_SHA1 : kinds[word_of(signature, "digest", digests, 4)];
	out->wants_url = json_is_true(json_object_get(signature, "url"));
	if (json_object_get(signature, "sign")) {
		out->sign =
			provider_text("callbacks.signature.sign", json_object_get(signature, "sign"), errors);
		out->sign_source = json_string_value(json_object_get(signature, "sign"));
	}
	return key_compile(signature, settings, out, errors);
}

static void look_compile(const json_t *callbacks, const char *name, struct look *out)
{
	out->source = json_object_get(callbacks, name);
	out->each = json_string_value(json_object_get(out->source, "each"));
}

struct provider_callback *provider_callback_compile(const json_t *file, const json_t *settings,
						    struct text *errors)
{
	const json_t *callbacks = json_object_get(file, "callbacks");
	struct provider_callback *callback;

	if (!callbacks)
		return NULL;
	callback = xcalloc(1, sizeof *callback);
	look_compile(callbacks, "receipt", &callback->receipt);
	look_compile(callbacks, "reply", &callback->reply);
	if (sign_compile(json_object_get(callbacks, "signature"), settings, &callback->sign, errors))
		return callback;
	provider_callback_free(callback);
	return NULL;
}

void provider_callback_free(struct provider_callback *callback)
{
	if (!callback)
		return;
	free(callback->sign.key);
	mustache_free(callback->sign.sign);
	free(callback);
}

bool provider_callback_has_receipts(const struct provider_callback *callback)
{
	return callback && callback->receipt.source;
}

/* --- fields --- */

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* What is no UTF-8, and NUL, is replaced. */
static char *mend(const char *s, size_t len)
{
	struct text out;

	text_init(&out, 3 * len + 1);
	for (size_t size; len; s += size, len -= size) {
		uint32_t point;
		size = utf8_take(s, len, &point);
		if (point == UTF8_REPLACEMENT || !point)
			text_puts(&out, UTF8_REPLACEMENT_TEXT);
		else
			text_add(&out, s, size);
	}
	return text_detach(&out);
}

/* A part of application/x-www-form-urlencoded. */
static char *form_decode(const char *s, size_t len)
{
	char *raw = xmalloc(len + 1);
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		int high = s[i] == '%' && i + 2 < len ? hex_digit(s[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(s[i + 2]) : -1;
		if (low >= 0) {
			raw[used++] = (char)(high << 4 | low);
			i += 2;
		} else {
			raw[used++] = (char)(s[i] == '+' ? ' ' : s[i]);
		}
	}
	char *out = mend(raw, used);
	free(raw);
	return out;
}

/* False: more than are looked at. */
static bool fields_read(const char *s, size_t len, struct callback_fields *out)
{
	const char *end = s + len;

	while (s < end) {
		const char *stop = memchr(s, '&', (size_t)(end - s));
		stop = stop ? stop : end;
		const char *equals = memchr(s, '=', (size_t)(stop - s));
		const char *name_end = equals ? equals : stop;
		if (stop > s) {
			if (out->count == CALLBACK_FIELDS_MAX)
				return false;
			out->list = xreallocarray(out->list, out->count + 1, sizeof *out->list);
			out->list[out->count++] = (struct callback_field){
				form_decode(s, (size_t)(name_end - s)),
				equals ? form_decode(equals + 1, (size_t)(stop - equals - 1)) : xstrdup("")};
		}
		s = stop + (stop < end);
	}
	return true;
}

static void fields_release(struct callback_fields *fields)
{
	for (size_t i = 0; i < fields->count; i++) {
		free(fields->list[i].name);
		free(fields->list[i].value);
	}
	free(fields->list);
}

static const char *fields_find(const struct callback_fields *fields, const char *name)
{
	for (size_t i = 0; i < fields->count; i++)
		if (strcmp(fields->list[i].name, name) == 0)
			return fields->list[i].value;
	return NULL;
}

const char *callback_field(const struct callback_reading *reading, const char *name)
{
	const char *value = fields_find(&reading->form, name);

	return value ? value : fields_find(&reading->query, name);
}

static bool depth_fits(const json_t *json, int left)
{
	const char *name;
	json_t *value;
	size_t i;

	if (!left)
		return false;
	json_object_foreach((json_t *)json, name, value) if (!depth_fits(value, left - 1)) return false;
	json_array_foreach(json, i, value) if (!depth_fits(value, left - 1)) return false;
	return true;
}

/* --- looking --- */

/* "results.0.status": keys and indices. NULL: not there. */
static const json_t *at_path(const json_t *node, const char *path)
{
	while (node && *path) {
		size_t len = strcspn(path, ".");
		if (json_is_array(node)) {
			bool number = len && len < 6 && strspn(path, "0123456789") == len;
			node = number ? json_array_get(node, strtoul(path, NULL, 10)) : NULL;
		} else {
			char *key = xmemdup0(path, len);
			node = json_object_get(node, key);
			free(key);
		}
		path += len;
		path += *path == '.';
	}
	return node;
}

static char *scalar(const json_t *value)
{
	if (json_is_string(value))
		return xstrdup(json_string_value(value));
	if (json_is_integer(value))
		return xasprintf("%lld", (long long)json_integer_value(value));
	if (json_is_boolean(value))
		return xstrdup(json_is_true(value) ? "true" : "false");
	return NULL;
}

/* One receipt or reply: its element in the JSON, and the request for what stands beside. */
struct seen {
	const struct callback_reading *reading;
	const json_t *element; /* NULL: the body is no JSON */
};

/* The value of a field of the description ("id": "MessageSid"); NULL: not named, or not there. Owned. */
static char *seen_text(const struct seen *seen, const json_t *look, const char *what)
{
	const char *name = json_string_value(json_object_get(look, what));
	char *value = NULL;

	if (!name && strcmp(what, "attempt") == 0)
		name = what; /* as callback_url has it */

	if (!name)
		return NULL;
	if (seen->element)
		value = scalar(at_path(seen->element, name));
	if (!value) {
		const char *field = callback_field(seen->reading, name);
		value = field ? xstrdup(field) : NULL;
	}
	return value;
}

/* Short enough to be kept; "" where it is not there. */
static char *seen_word(const struct seen *seen, const json_t *look, const char *what)
{
	char *value = seen_text(seen, look, what);

	if (value && strlen(value) < CALLBACK_VALUE_MAX)
		return value;
	free(value);
	return xstrdup("");
}

/* All fields of `when` have the values that it names. */
static bool when_holds(const struct seen *seen, const json_t *look)
{
	const json_t *when = json_object_get(look, "when");
	const char *name;
	json_t *wanted;
	bool holds = true;

	json_object_foreach((json_t *)when, name, wanted)
	{
		json_t *named = json_pack("{s:s}", "field", name);
		char *value = seen_text(seen, named, "field");
		holds = holds && value && strcmp(value, json_string_value(wanted)) == 0;
		free(value);
		json_decref(named);
	}
	return holds;
}

static bool is_listed(const json_t *look, const char *list, const char *word)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(look, list), i, item)
	{
		if (json_is_string(item) && strcmp(json_string_value(item), word) == 0)
			return true;
	}
	return false;
}

/* What the state says; false: something in between, or nothing that is known. */
static bool read_state(const json_t *look, const char *state, struct callback_item *out)
{
	if (is_listed(look, "delivered", state))
		out->says = RECEIPT_DELIVERED;
	else if (is_listed(look, "rejected", state) || is_listed(look, "dead", state))
		out->says = RECEIPT_REJECTED;
	else if (is_listed(look, "retry", state))
		out->says = RECEIPT_RETRY;
	else
		return false;
	out->dead = out->says == RECEIPT_REJECTED &&
		    (is_listed(look, "dead", state) || is_listed(look, "dead_codes", out->code));
	return true;
}

static void item_release(struct callback_item *item)
{
	free(item->id);
	free(item->code);
	free(item->text);
	free(item->from);
	free(item->to);
	free(item->answers);
}

void callback_items_release(struct callback_items *items)
{
	for (size_t i = 0; i < items->count; i++)
		item_release(&items->list[i]);
	free(items->list);
	*items = (struct callback_items){0};
}

static void item_add(struct callback_items *items, struct callback_item *item)
{
	items->list = xreallocarray(items->list, items->count + 1, sizeof *items->list);
	items->list[items->count++] = *item;
}

static bool read_receipt(const struct seen *seen, const json_t *look, struct callback_items *items)
{
	char *state = seen_text(seen, look, "state");

	if (!state || !when_holds(seen, look)) {
		free(state);
		return false;
	}
	char *attempt = seen_word(seen, look, "attempt");
	struct callback_item item = {.kind = CALLBACK_RECEIPT,
				     .id = seen_word(seen, look, "id"),
				     .code = seen_word(seen, look, "code"),
				     .text = seen_word(seen, look, "text"),
				     .from = xstrdup(""),
				     .to = xstrdup(""),
				     .answers = xstrdup("")};
	if (*attempt && strspn(attempt, "0123456789") == strlen(attempt) && strlen(attempt) < 19)
		item.attempt = strtoll(attempt, NULL, 10);
	if (!*item.code && strlen(state) < CALLBACK_VALUE_MAX) {
		free(item.code);
		item.code = xstrdup(state);
	}
	if (read_state(look, state, &item) && (*item.id || item.attempt))
		item_add(items, &item);
	else
		item_release(&item);
	free(attempt);
	free(state);
	return true;
}

static bool read_reply(const struct seen *seen, const json_t *look, struct callback_items *items)
{
	char *text = seen_text(seen, look, "text"), *from = seen_word(seen, look, "from");

	if (!text || !*from || !when_holds(seen, look)) {
		free(text);
		free(from);
		return false;
	}
	struct callback_item item = {.kind = CALLBACK_REPLY,
				     .id = seen_word(seen, look, "id"),
				     .code = xstrdup(""),
				     .text = text,
				     .from = from,
				     .to = seen_word(seen, look, "to"),
				     .answers = seen_word(seen, look, "answers")};
	item_add(items, &item);
	return true;
}

/* The elements of a look's list, or the whole body. */
static bool read_look(const struct callback_reading *reading, const struct look *look,
		      bool (*read)(const struct seen *, const json_t *, struct callback_items *),
		      struct callback_items *items)
{
	bool any = false;
	size_t i;
	json_t *element;

	if (!look->source)
		return false;
	if (!look->each) {
		const struct seen whole = {reading, reading->json};
		return read(&whole, look->source, items);
	}
	json_array_foreach(at_path(reading->json, look->each), i, element)
	{
		const struct seen one = {reading, element};
		if (items->count < CALLBACK_ITEMS_MAX)
			any = read(&one, look->source, items) || any;
	}
	return any;
}

/* --- one request --- */

static enum callback_verdict read_body(struct callback_reading *reading, struct text *why)
{
	const struct callback_request *request = reading->request;
	const char *type = request->header(request->context, "Content-Type");

	if (!fields_read(request->query, strlen(request->query), &reading->query))
		return text_error(why, "more than %d parameters", CALLBACK_FIELDS_MAX), CALLBACK_MALFORMED;
	reading->is_form = http_type_is(type, "application/x-www-form-urlencoded");
	if (reading->is_form && !fields_read(request->body, request->body_len, &reading->form))
		return text_error(why, "more than %d fields", CALLBACK_FIELDS_MAX), CALLBACK_MALFORMED;
	/* some leave the type out, or call it text */
	if (!reading->is_form && request->body_len)
		reading->json = json_read(request->body, request->body_len, false, why);
	if (http_type_is(type, "application/json") && request->body_len && !reading->json)
		return CALLBACK_MALFORMED;
	if (reading->json && !depth_fits(reading->json, CALLBACK_DEPTH_MAX))
		return text_error(why, "nested deeper than %d", CALLBACK_DEPTH_MAX), CALLBACK_MALFORMED;
	return CALLBACK_FINE;
}

enum callback_verdict provider_callback_read(const struct provider_callback *callback,
					     const struct callback_request *request,
					     struct callback_items *items, struct text *why)
{
	struct callback_reading reading = {.request = request};
	enum callback_verdict verdict = read_body(&reading, why);

	*items = (struct callback_items){0};
	/* who is not known is not told what is wrong with the rest */
	if (!callback_is_signed(&callback->sign, &reading)) {
		text_error(why, "the signature does not fit");
		verdict = CALLBACK_UNSIGNED;
	} else if (verdict == CALLBACK_FINE && !read_look(&reading, &callback->reply, read_reply, items)) {
		read_look(&reading, &callback->receipt, read_receipt, items);
	}
	fields_release(&reading.query);
	fields_release(&reading.form);
	json_decref(reading.json);
	return verdict;
}
