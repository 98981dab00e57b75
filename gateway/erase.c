#include "erase.h"

#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "text.h"
#include "xalloc.h"
#include "banned.h"

/* Kind and value are told apart by a NUL, which neither has. */
static void name_of(const char *key, const char *kind, const char *value, char out[ERASED_NAME_SIZE])
{
	unsigned char mac[SHA256_SIZE];
	size_t kind_len = strlen(kind) + 1, len = strlen(value);
	struct text both;

	text_init(&both, kind_len + len + 1);
	text_add(&both, kind, kind_len);
	text_add(&both, value, len);
	digest_hmac_sha256(key, strlen(key), both.data, both.len, mac);
	text_release(&both);
	memcpy(out, ERASED_PREFIX, sizeof ERASED_PREFIX - 1);
	out += sizeof ERASED_PREFIX - 1;
	for (size_t i = 0; i < 16; i++) {
		*out++ = "0123456789abcdef"[mac[i] >> 4];
		*out++ = "0123456789abcdef"[mac[i] & 15];
	}
	*out = '\0';
}

void erased_customer(const char *key, const char *id, char out[ERASED_NAME_SIZE])
{
	name_of(key, "", id, out);
}

void erased_address(const char *key, const char *channel, const char *value, char out[ERASED_NAME_SIZE])
{
	name_of(key, channel, value, out);
}

bool erased_is_name(const char *text)
{
	return strncmp(text, ERASED_PREFIX, sizeof ERASED_PREFIX - 1) == 0;
}

/* --- facts --- */

struct facts_run {
	const char *key;
	erased_found found;
	void *context;
	bool ok;
};

static json_t *facts_address(struct facts_run *run, const char *channel, const json_t *address)
{
	const char *value =
		json_string_value(json_is_object(address) ? json_object_get(address, "url") : address);
	char name[ERASED_NAME_SIZE];

	if (!value || erased_is_name(value)) /* of an earlier erasure that was cut off */
		return json_string(value ? value : "");
	if (run->found && run->ok)
		run->ok = run->found(run->context, channel, value);
	erased_address(run->key, channel, value, name);
	return json_string(name);
}

static json_t *facts_addresses(struct facts_run *run, const json_t *addresses)
{
	json_t *out = json_object(), *list;
	const char *channel;
	const json_t *value, *item;
	size_t i;

	json_object_foreach((json_t *)addresses, channel, value)
	{
		if (!json_is_array(value)) {
			json_object_set_new(out, channel, facts_address(run, channel, value));
			continue;
		}
		list = json_array();
		json_array_foreach(value, i, item)
			json_array_append_new(list, facts_address(run, channel, item));
		json_object_set_new(out, channel, list);
	}
	return out;
}

char *erased_facts(const char *key, const char *id, const char *facts, erased_found found, void *context,
		   bool *ok)
{
	struct facts_run run = {key, found, context, true};
	json_t *json = *facts ? json_loads(facts, 0, NULL) : NULL, *states = json_array();
	char name[ERASED_NAME_SIZE];
	const json_t *state;
	size_t i;

	erased_customer(key, id, name);
	json_array_foreach(json_object_get(json, "states"), i, state)
	{
		json_t *channel = json_object_get(state, "channel");
		if (json_is_string(channel))
			json_array_append_new(states,
					      json_pack("{s:O, s:o, s:O?}", "channel", channel, "address",
							facts_address(&run, json_string_value(channel),
								      json_object_get(state, "address")),
							"state", json_object_get(state, "state")));
	}
	const char *zone = json_string_value(json_object_get(json, "timezone"));
	json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "id", name, "name", "", "locale", "",
				"timezone", zone ? zone : "", "addresses",
				facts_addresses(&run, json_object_get(json, "addresses")), "states", states);
	char *text = json ? json_dumps(out, JSON_COMPACT) : xstrdup("");
	json_decref(out);
	json_decref(json);
	*ok = run.ok;
	return text;
}

/* --- reasons --- */

/* What the configuration, the clock and numbers say; anything else may be somebody's words. */
static bool is_plain(const char *arg)
{
	static const char *const plain[] = {"channel", "product", "template", "provider", "attempt",
					    "code",    "until",   "hours",    "digest",   "cap",
					    "at",      "from",    "wait",     "count",    "kind",
					    "name",    "by",      "as",       "after"};

	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		if (strcmp(plain[i], arg) == 0)
			return true;
	return false;
}

static void strip_args(json_t *args)
{
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(args, next, name, value)
	{
		if (!json_is_number(value) && !json_is_boolean(value) && !is_plain(name))
			json_object_set_new(args, name, json_string("-"));
	}
}

char *erased_args(const char *args)
{
	json_t *json = json_loads(args, 0, NULL);

	strip_args(json);
	char *text = json ? json_dumps(json, JSON_COMPACT) : xstrdup("{}");
	json_decref(json);
	return text;
}

char *erased_reasons(const char *reasons)
{
	json_t *list = json_loads(reasons, 0, NULL), *reason;
	size_t i;

	json_array_foreach(list, i, reason) strip_args(json_object_get(reason, "args"));
	char *text = list ? json_dumps(list, JSON_COMPACT) : xstrdup("[]");
	json_decref(list);
	return text;
}

/* --- events --- */

static bool event_is_about(const json_t *json, const char *id)
{
	const char *customer = json_string_value(json_object_get(json_object_get(json, "data"), "customer"));
	const char *subject = json_string_value(json_object_get(json, "subject"));

	return (customer && strcmp(customer, id) == 0) || (!customer && subject && strcmp(subject, id) == 0);
}

char *erased_event(const char *key, const char *id, const char *event)
{
	static const char *const kept[] = {"message", "product", "channel", "attempt", "provider"};
	char name[ERASED_NAME_SIZE], *out = NULL;
	struct text word;

	text_init(&word, 8 * strlen(id) + 8);
	text_json(&word, id);
	json_t *json = strstr(event, word.data) ? json_loads(event, 0, NULL) : NULL;
	text_release(&word);
	if (json && event_is_about(json, id)) {
		json_t *data = json_object_get(json, "data"), *left = json_object();
		const char *subject = json_string_value(json_object_get(json, "subject"));
		erased_customer(key, id, name);
		json_object_set_new(left, "customer", json_string(name));
		for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
			if (json_object_get(data, kept[i]))
				json_object_set(left, kept[i], json_object_get(data, kept[i]));
		if (subject && strcmp(subject, id) == 0)
			json_object_set_new(json, "subject", json_string(name));
		json_object_set_new(json, "data", left);
		json_object_del(json, "traceparent"); /* the trace may lead to whom it was for */
		out = json_dumps(json, JSON_COMPACT);
	}
	json_decref(json);
	return out;
}
