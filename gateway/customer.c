#include "customer.h"

#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "xalloc.h"
#include "zone.h"
#include "banned.h"

#define SHOWN_MAX 64 /* bytes of a name that is repeated in an error */

static void set_string(char **to, const char *value)
{
	char *copy = xstrdup(value); /* first: `value` may be *to */

	free(*to);
	*to = copy;
}

static void address_copy(const struct address *from, struct address *to)
{
	*to = *from;
	to->channel = xstrdup(from->channel ? from->channel : "");
	to->value = xstrdup(from->value ? from->value : "");
	to->details = xstrdup(from->details ? from->details : "");
}

static void address_release(struct address *address)
{
	free(address->channel);
	free(address->value);
	free(address->details);
	*address = (struct address){0};
}

static void customer_fill(struct customer *out, const struct customer *customer)
{
	*out = *customer;
	out->id = xstrdup(customer->id ? customer->id : "");
	out->name = xstrdup(customer->name ? customer->name : "");
	out->locale = xstrdup(customer->locale ? customer->locale : "");
	out->timezone = xstrdup(customer->timezone ? customer->timezone : "");
	out->addresses = xcalloc(customer->address_count, sizeof *out->addresses);
	for (size_t i = 0; i < customer->address_count; i++)
		address_copy(&customer->addresses[i], &out->addresses[i]);
}

struct customer *customer_copy(const struct customer *customer)
{
	if (!customer)
		return NULL;
	struct customer *copy = xcalloc(1, sizeof *copy);
	customer_fill(copy, customer);
	return copy;
}

void customer_release(struct customer *customer)
{
	for (size_t i = 0; i < customer->address_count; i++)
		address_release(&customer->addresses[i]);
	free(customer->addresses);
	free(customer->id);
	free(customer->name);
	free(customer->locale);
	free(customer->timezone);
	*customer = (struct customer){0};
}

void customer_free(struct customer *customer)
{
	if (customer)
		customer_release(customer);
	free(customer);
}

const struct address *customer_address(const struct customer *customer, const char *channel, size_t *dead,
				       size_t *stopped)
{
	*dead = *stopped = 0;
	for (size_t i = 0; i < customer->address_count; i++) {
		const struct address *address = &customer->addresses[i];
		if (strcmp(address->channel, channel) != 0)
			continue;
		if (address->state == ADDRESS_OK)
			return address;
		*(address->state == ADDRESS_DEAD ? dead : stopped) += 1;
	}
	return NULL;
}

/* --- reading --- */

struct reading {
	bool merge;
	address_form_of form_of;
	const void *context;
	struct customer *customer;
	struct text *error;
};

/* A name that somebody wrote, as an error repeats it. */
static const char *shown(const char *name)
{
	return strlen(name) <= SHOWN_MAX ? name : "(a long name)";
}

/* A string, or null and absent for "". */
static bool read_string(const char *key, const json_t *value, const char **out, struct text *error)
{
	*out = "";
	if (!value || json_is_null(value))
		return true;
	if (!json_is_string(value) || json_string_length(value) != strlen(json_string_value(value)))
		return text_error(error, "%s: must be a string without NUL", key);
	*out = json_string_value(value);
	return true;
}

static bool has_controls(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

static bool read_id(struct reading *r, const json_t *json)
{
	struct customer *customer = r->customer;
	const json_t *value = json_object_get(json, "id");
	const char *id;

	if (!value && r->merge && customer->id[0])
		return true;
	if (!value)
		return text_error(r->error, "id: is missing; a customer needs one (1-128 bytes)");
	if (!read_string("id", value, &id, r->error))
		return false;
	if (!customer_id_valid(id))
		return text_error(r->error, "id: must be 1-%d bytes of UTF-8 without control characters",
				  ID_MAX);
	if (r->merge && customer->id[0] && strcmp(id, customer->id) != 0)
		return text_error(r->error, "id: is another customer's; leave it out, or give the same one");
	set_string(&customer->id, id);
	return true;
}

static bool read_facts(struct reading *r, const json_t *json)
{
	struct customer *customer = r->customer;
	const char *value;

	if (json_object_get(json, "name")) {
		if (!read_string("name", json_object_get(json, "name"), &value, r->error))
			return false;
		if (strlen(value) > CUSTOMER_NAME_MAX || has_controls(value))
			return text_error(r->error,
					  "name: must be at most %d bytes without control characters",
					  CUSTOMER_NAME_MAX);
		set_string(&customer->name, value);
	}
	if (json_object_get(json, "locale")) {
		if (!read_string("locale", json_object_get(json, "locale"), &value, r->error))
			return false;
		if (*value && !locale_valid(value))
			return text_error(r->error,
					  "locale: \"%s\" is not a language tag; write it like es or "
					  "es-AR (BCP 47)",
					  shown(value));
		set_string(&customer->locale, value);
	}
	if (json_object_get(json, "timezone")) {
		if (!read_string("timezone", json_object_get(json, "timezone"), &value, r->error))
			return false;
		if (*value && !zone_find(value))
			return text_error(r->error,
					  "timezone: \"%s\" is not known; write a name of the time zone "
					  "database, like Europe/Berlin",
					  shown(value));
		set_string(&customer->timezone, value);
	}
	return true;
}

bool address_secret_key(const char *secret, unsigned char **key, size_t *len)
{
	size_t prefix = strlen(ADDRESS_SECRET_PREFIX);

	if (strncmp(secret, ADDRESS_SECRET_PREFIX, prefix) != 0 || !base64_decode(secret + prefix, key, len))
		return false;
	if (!*len)
		free(*key);
	return *len > 0;
}

static bool secret_valid(const json_t *secret)
{
	const char *value = json_string_value(secret);
	unsigned char *key;
	size_t len;

	if (!value || json_string_length(secret) > ADDRESS_SECRET_SIZE ||
	    strlen(value) != json_string_length(secret) || !address_secret_key(value, &key, &len))
		return false;
	free(key);
	return true;
}

/* {"secret": "a"} or {"secret": ["a", "b"]} into {"secret":["a","b"]}. */
static bool read_secrets(const char *where, const json_t *secret, struct address *out, struct text *error)
{
	json_t *list = json_array(), *details = NULL;
	size_t count = json_is_array(secret) ? json_array_size(secret) : 1;
	bool ok = false;

	if (!count || count > ADDRESS_SECRETS_MAX) {
		text_error(error, "%s.secret: must be a string, or a list of 1 to %d, newest first", where,
			   ADDRESS_SECRETS_MAX);
		goto out;
	}
	for (size_t i = 0; i < count; i++) {
		json_t *one = json_is_array(secret) ? json_array_get(secret, i) : (json_t *)secret;
		if (!secret_valid(one)) {
			text_error(error,
				   "%s.secret: nothing can be signed with it; " ADDRESS_SECRET_FORM
				   ", of at most %d bytes, or a list of such, newest first, would be right",
				   where, ADDRESS_SECRET_SIZE);
			goto out;
		}
		json_array_append(list, one);
	}
	details = json_pack("{s:O}", "secret", list);
	free(out->details);
	out->details = json_dumps(details, JSON_COMPACT);
	ok = true;
out:
	json_decref(list);
	json_decref(details);
	return ok;
}

/* The value of {"url"|"address": …}, NULL where it has none, and what stands beside it. */
static bool read_address_object(const char *where, const json_t *json, enum address_kind kind,
				struct address *out, const json_t **found, struct text *error)
{
	const char *value_key = kind == ADDRESS_URL ? "url" : "address";
	const char *key;
	json_t *value;

	*found = NULL;
	json_object_foreach((json_t *)json, key, value)
	{
		if (strcmp(key, value_key) == 0) {
			*found = value;
		} else if (strcmp(key, "secrets") == 0) {
			return text_error(
				error,
				"%s.secrets: is how many are hidden here; write \"secret\" with the secrets "
				"themselves",
				where);
		} else if (strcmp(key, "secret") == 0 && kind == ADDRESS_URL) {
			if (!json_is_null(value) && !read_secrets(where, value, out, error))
				return false;
		} else {
			return text_error(error, "%s.%s: unknown key; there are: %s", where, shown(key),
					  kind == ADDRESS_URL ? "url, secret" : "address");
		}
	}
	return true;
}

/* `only`: NULL, or the one that the channel had, in whose place it comes: it keeps what is not named. */
static bool read_address(const char *where, const char *channel, const struct address_form *form,
			 const json_t *json, const struct address *only, struct address *out,
			 struct text *error)
{
	struct text value, why;
	bool ok = false;

	text_init(&value, ADDRESS_VALUE_MAX);
	text_init(&why, TEXT_ERROR_MAX);
	*out = (struct address){.channel = xstrdup(channel), .details = xstrdup("")};
	const json_t *given = json;
	if (json_is_object(json) && !read_address_object(where, json, form->kind, out, &given, error))
		goto out;
	if (!given && only) {
		out->value = xstrdup(only->value);
		ok = true;
		goto out;
	}
	if (!given) {
		text_error(error, "%s.%s: is missing", where, form->kind == ADDRESS_URL ? "url" : "address");
		goto out;
	}
	if (!json_is_string(given) || strlen(json_string_value(given)) != json_string_length(given)) {
		text_error(error, "%s: must be a string, an object {\"%s\": …}, or a list of them", where,
			   form->kind == ADDRESS_URL ? "url" : "address");
		goto out;
	}
	if (!address_normalise(form, json_string_value(given), &value, &why)) {
		text_error(error, "%s: %s", where, why.data);
		goto out;
	}
	out->value = text_detach(&value);
	ok = true;
out:
	text_release(&value);
	text_release(&why);
	return ok;
}

/* Takes a channel's addresses out; `taken` has room for CUSTOMER_ADDRESSES_MAX. */
static size_t take_channel(struct customer *customer, const char *channel, struct address *taken)
{
	size_t kept = 0, count = 0;

	for (size_t i = 0; i < customer->address_count; i++) {
		if (strcmp(customer->addresses[i].channel, channel) == 0)
			taken[count++] = customer->addresses[i];
		else
			customer->addresses[kept++] = customer->addresses[i];
	}
	customer->address_count = kept;
	return count;
}

/* A secret that is not named stays with its address, and with the one that comes in its only place. */
static void keep_details(const json_t *json, const struct address before[], size_t count,
			 const struct address *only, struct address *address)
{
	const struct address *same = only;

	if (json_is_object(json) && json_object_get(json, "secret"))
		return;
	for (size_t i = 0; i < count; i++)
		if (strcmp(before[i].value, address->value) == 0)
			same = &before[i];
	if (same) {
		free(address->details);
		address->details = xstrdup(same->details);
	}
}

static bool has_address(const struct customer *customer, const struct address *address)
{
	for (size_t i = 0; i < customer->address_count; i++)
		if (strcmp(customer->addresses[i].channel, address->channel) == 0 &&
		    strcmp(customer->addresses[i].value, address->value) == 0)
			return true;
	return false;
}

/* What a channel has from now on: one address or a list. `before`: what it had, where it is merged. */
static bool read_list(struct reading *r, const char *channel, const struct address_form *form,
		      const json_t *json, const struct address before[], size_t count)
{
	struct customer *customer = r->customer;
	bool list = json_is_array(json);
	size_t given = list ? json_array_size(json) : 1;
	const struct address *only = count == 1 && given == 1 ? before : NULL;

	for (size_t i = 0; i < given; i++) {
		const json_t *one = list ? json_array_get(json, i) : json;
		struct address address;
		char *where = list ? xasprintf("addresses.%s[%zu]", channel, i)
				   : xasprintf("addresses.%s", channel);
		bool ok = read_address(where, channel, form, one, only, &address, r->error);
		if (ok)
			keep_details(one, before, count, only, &address);
		if (ok && has_address(customer, &address))
			ok = text_error(r->error, "%s: is there twice; leave one out", where);
		if (ok && customer->address_count >= CUSTOMER_ADDRESSES_MAX)
			ok = text_error(r->error, "%s: too many addresses; a customer has at most %d", where,
					CUSTOMER_ADDRESSES_MAX);
		free(where);
		if (!ok) {
			address_release(&address);
			return false;
		}
		customer->addresses = xreallocarray(customer->addresses, customer->address_count + 1,
						    sizeof *customer->addresses);
		customer->addresses[customer->address_count++] = address;
	}
	return true;
}

static bool read_channel(struct reading *r, const char *channel, const json_t *json)
{
	struct address before[CUSTOMER_ADDRESSES_MAX];
	bool known = false, ok = true;

	struct address_form form = r->form_of(r->context, channel, &known);
	if (!known)
		return text_error(r->error, "addresses.%s: the configuration has no channel of that name",
				  shown(channel));
	size_t count = take_channel(r->customer, channel, before);
	if (!json_is_null(json) && !(json_is_string(json) && !*json_string_value(json)))
		ok = read_list(r, channel, &form, json, before, count);
	for (size_t i = 0; i < count; i++)
		address_release(&before[i]);
	return ok;
}

static bool read_addresses(struct reading *r, const json_t *json)
{
	const char *channel;
	json_t *value;

	if (!json)
		return true;
	if (json_is_null(json)) {
		while (r->customer->address_count)
			address_release(&r->customer->addresses[--r->customer->address_count]);
		return true;
	}
	if (!json_is_object(json))
		return text_error(r->error,
				  "addresses: must be an object, like {\"email\": \"ana@example.com\"}");
	json_object_foreach((json_t *)json, channel, value)
	{
		if (!read_channel(r, channel, value))
			return false;
	}
	return true;
}

static bool check_keys(const json_t *json, struct text *error)
{
	static const char *const keys[] = {"id",          "name",   "locale",  "timezone",    "addresses",
					   "preferences", "states", "version", "on_their_way"};
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return text_error(error, "a customer must be an object, like {\"id\": \"c-1042\", …}");
	json_object_foreach((json_t *)json, key, value)
	{
		bool known = false;
		for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
			known |= strcmp(key, keys[i]) == 0;
		if (!known)
			return text_error(error,
					  "%s: unknown key; a customer has: id, name, locale, timezone, "
					  "addresses, preferences",
					  shown(key));
	}
	return true;
}

bool customer_from_json(const json_t *json, bool merge, address_form_of form_of, const void *context,
			struct customer *out, struct text *error)
{
	struct customer read, nothing = {0};
	struct reading r = {merge, form_of, context, &read, error};

	customer_fill(&read, merge ? out : &nothing);
	bool ok = check_keys(json, error) && read_id(&r, json) && read_facts(&r, json) &&
		  read_addresses(&r, json_object_get(json, "addresses"));
	if (ok) {
		customer_release(out);
		*out = read;
	} else {
		customer_release(&read);
	}
	return ok;
}
