/* A customer as JSON: for answers as a tree, for the log of changes as text, of which an import writes one
 * for each. */
#include "customer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

static json_t *address_to_json(const struct address *address, bool with_secrets)
{
	json_t *details = *address->details ? json_loads(address->details, 0, NULL) : NULL;
	json_t *secret = json_object_get(details, "secret");
	json_t *json = NULL;

	if (!secret) {
		json = json_string(address->value);
	} else {
		json = json_pack("{s:s}", "url", address->value);
		if (!with_secrets)
			json_object_set_new(json, "secrets",
					    json_integer((json_int_t)json_array_size(secret)));
		else if (json_array_size(secret) == 1)
			json_object_set(json, "secret", json_array_get(secret, 0));
		else
			json_object_set(json, "secret", secret);
	}
	json_decref(details);
	return json;
}

/* One address stands alone, several are a list. */
static void put_address(json_t *addresses, const char *channel, json_t *address)
{
	json_t *there = json_object_get(addresses, channel);

	if (!there)
		json_object_set_new(addresses, channel, address);
	else if (json_is_array(there))
		json_array_append_new(there, address);
	else
		json_object_set_new(addresses, channel, json_pack("[O,o]", there, address));
}

json_t *customer_to_json(const struct customer *customer, bool with_secrets)
{
	json_t *addresses = json_object(), *states = json_array();

	for (size_t i = 0; i < customer->address_count; i++) {
		const struct address *address = &customer->addresses[i];
		put_address(addresses, address->channel, address_to_json(address, with_secrets));
		if (address->state != ADDRESS_OK)
			json_array_append_new(states, json_pack("{s:s,s:s,s:s}", "channel", address->channel,
								"address", address->value, "state",
								address_state_name(address->state)));
	}
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "id", customer->id, "name", customer->name, "locale",
			 customer->locale, "timezone", customer->timezone, "addresses", addresses, "states",
			 states);
}

/* --- as text --- */

/* The list of secrets, as read_secrets wrote it: {"secret":["…","…"]}. False: it is something else. */
static bool secrets_text(const char *details, const char **list, size_t *len)
{
	static const char head[] = "{\"secret\":[", tail[] = "]}";
	size_t all = strlen(details), around = sizeof head + sizeof tail - 2;

	if (all <= around || strncmp(details, head, sizeof head - 1) != 0 ||
	    strcmp(details + all - (sizeof tail - 1), tail) != 0)
		return false;
	*list = details + sizeof head - 1;
	*len = all - around;
	return true;
}

static void put_address_text(struct text *out, const struct address *address)
{
	const char *list;
	size_t len;

	if (!*address->details) {
		text_json(out, address->value);
	} else if (secrets_text(address->details, &list, &len)) {
		bool several = memchr(list, ',', len); /* they are base64 */
		text_puts(out, "{\"url\":");
		text_json(out, address->value);
		text_puts(out, several ? ",\"secret\":[" : ",\"secret\":");
		text_add(out, list, len);
		text_puts(out, several ? "]}" : "}");
	} else {
		json_t *json = address_to_json(address, true);
		char *words = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
		text_puts(out, words);
		free(words);
		json_decref(json);
	}
}

/* Those of the channel of the `first`th, which no earlier one is of. */
static void put_channel_text(struct text *out, const struct customer *customer, size_t first)
{
	const char *channel = customer->addresses[first].channel;
	size_t count = 0, put = 0;

	for (size_t i = first; i < customer->address_count; i++)
		count += strcmp(customer->addresses[i].channel, channel) == 0;
	text_json(out, channel);
	text_puts(out, count > 1 ? ":[" : ":");
	for (size_t i = first; i < customer->address_count; i++) {
		if (strcmp(customer->addresses[i].channel, channel) != 0)
			continue;
		if (put++)
			text_putc(out, ',');
		put_address_text(out, &customer->addresses[i]);
	}
	if (count > 1)
		text_putc(out, ']');
}

static bool channel_is_new(const struct customer *customer, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(customer->addresses[i].channel, customer->addresses[at].channel) == 0)
			return false;
	return true;
}

static void put_states_text(struct text *out, const struct customer *customer)
{
	size_t put = 0;

	for (size_t i = 0; i < customer->address_count; i++) {
		const struct address *address = &customer->addresses[i];
		if (address->state == ADDRESS_OK)
			continue;
		text_puts(out, put++ ? ",{\"channel\":" : "{\"channel\":");
		text_json(out, address->channel);
		text_puts(out, ",\"address\":");
		text_json(out, address->value);
		text_puts(out, ",\"state\":");
		text_json(out, address_state_name(address->state));
		text_putc(out, '}');
	}
}

static void put_fact_text(struct text *out, const char *name, const char *value)
{
	text_puts(out, name);
	text_json(out, value);
}

char *customer_to_text(const struct customer *customer)
{
	struct text out;

	text_init(&out, SIZE_MAX / 2);
	put_fact_text(&out, "{\"id\":", customer->id);
	put_fact_text(&out, ",\"name\":", customer->name);
	put_fact_text(&out, ",\"locale\":", customer->locale);
	put_fact_text(&out, ",\"timezone\":", customer->timezone);
	text_puts(&out, ",\"addresses\":{");
	for (size_t i = 0; i < customer->address_count; i++) {
		if (!channel_is_new(customer, i))
			continue;
		if (i)
			text_putc(&out, ',');
		put_channel_text(&out, customer, i);
	}
	text_puts(&out, "},\"states\":[");
	put_states_text(&out, customer);
	text_puts(&out, "]}");
	return text_detach(&out);
}
