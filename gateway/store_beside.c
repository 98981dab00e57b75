/* The copy of a customer's addresses and preferences that stands beside the facts, where the message's turn
 * reads it: fields one behind the other, each its length in bytes, a colon and the bytes; "-:" for NULL
 * (config/schema/041-beside.sql says which). Adapters of the store write the addresses with the customer, by
 * store_beside_text; the choices, of which one at a time is put, by the view customer_beside. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_private.h"
#include "xalloc.h"
#include "banned.h"

#define BESIDE_MAX 2000 /* bytes; as in the view */
#define ADDRESS_FIELDS 6
#define CHOICE_FIELDS 9
#define FIELDS_MAX CHOICE_FIELDS

struct field {
	const char *at; /* NULL: it is NULL */
	size_t len;
};

/* Takes `count` fields off the front of the text. */
static bool take_fields(const char **text, struct field out[], size_t count)
{
	const char *at = *text;
	size_t left = strlen(at);

	for (size_t i = 0; i < count; i++) {
		size_t len = 0, digits = 0;
		if (left >= 2 && at[0] == '-' && at[1] == ':') {
			out[i] = (struct field){NULL, 0};
			at += 2;
			left -= 2;
			continue;
		}
		while (digits < 7 && digits < left && at[digits] >= '0' && at[digits] <= '9')
			len = 10 * len + (size_t)(at[digits++] - '0');
		if (!digits || digits >= left || at[digits] != ':' || len > left - digits - 1)
			return false;
		out[i] = (struct field){at + digits + 1, len};
		at += digits + 1 + len;
		left -= digits + 1 + len;
	}
	*text = at;
	return true;
}

static int64_t number_of(const struct field *field)
{
	const char *at = field->at, *end = at + field->len;
	bool negative = at < end && *at == '-';
	uint64_t value = 0;

	for (at += negative; at < end; at++)
		value = 10 * value + (uint64_t)(*at - '0');
	return negative ? -(int64_t)value : (int64_t)value;
}

static char *text_of(const struct field *field)
{
	return xmemdup0(field->at ? field->at : "", field->len);
}

/* --- writing --- */

static void put_text(struct text *out, const char *value, size_t len)
{
	text_number(out, (long long)len);
	text_putc(out, ':');
	text_add(out, value, len);
}

static void put_number(struct text *out, int64_t value)
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%lld", (long long)value);

	put_text(out, digits, (size_t)len);
}

const char *store_beside_text(const struct customer *customer, struct text *room)
{
	text_clear(room);
	room->max = BESIDE_MAX;
	for (size_t i = 0; i < customer->address_count; i++) {
		const struct address *address = &customer->addresses[i];
		put_number(room, address->n);
		put_text(room, address->channel, strlen(address->channel));
		put_text(room, address->value, strlen(address->value));
		put_text(room, address->details, strlen(address->details));
		put_number(room, address->state);
		put_number(room, address->seq);
	}
	return room->full ? NULL : room->data;
}

/* --- reading --- */

bool store_beside_addresses(const char *text, struct customer *out)
{
	struct field fields[ADDRESS_FIELDS];
	size_t count = 0;

	for (const char *at = text; *at; count++)
		if (!take_fields(&at, fields, ADDRESS_FIELDS))
			return false;
	out->addresses = count ? xcalloc(count, sizeof *out->addresses) : NULL;
	for (size_t i = 0; i < count && take_fields(&text, fields, ADDRESS_FIELDS); i++)
		out->addresses[out->address_count++] = (struct address){
			.n = number_of(&fields[0]),
			.channel = text_of(&fields[1]),
			.value = text_of(&fields[2]),
			.details = text_of(&fields[3]),
			.state = (enum address_state)number_of(&fields[4]),
			.seq = number_of(&fields[5]),
		};
	return true;
}

static struct preference *choice_of(const struct field fields[CHOICE_FIELDS])
{
	struct preference *out = xcalloc(1, sizeof *out);
	char *channels = fields[1].at ? text_of(&fields[1]) : NULL;

	out->product = text_of(&fields[0]);
	store_channels_read(channels, out);
	free(channels);
	out->hours = text_of(&fields[2]);
	out->digest = text_of(&fields[3]);
	out->paused_until = number_of(&fields[4]);
	out->version = number_of(&fields[5]);
	out->changed_at = number_of(&fields[6]);
	out->changed_by = text_of(&fields[7]);
	out->seq = number_of(&fields[8]);
	return out;
}

static bool is_named(const struct field *field, const char *name)
{
	return strlen(name) == field->len && memcmp(field->at, name, field->len) == 0;
}

bool store_beside_choices(const char *text, struct facts *out)
{
	struct field fields[CHOICE_FIELDS];

	for (const char *at = text; *at;)
		if (!take_fields(&at, fields, CHOICE_FIELDS))
			return false;
	while (*text && take_fields(&text, fields, CHOICE_FIELDS)) {
		struct preference **place = is_named(&fields[0], out->product)  ? &out->own
					    : is_named(&fields[0], out->parent) ? &out->parents
					    : is_named(&fields[0], "*")         ? &out->star
										: NULL;
		if (place && !*place)
			*place = choice_of(fields);
	}
	return true;
}

/* --- who is stale --- */

void store_stale_add(struct store_stale *stale, int64_t customer)
{
	if (stale->count && stale->customers[stale->count - 1] == customer)
		return;
	if (stale->count == stale->capacity) {
		stale->capacity = stale->capacity ? 2 * stale->capacity : 16;
		stale->customers = xreallocarray(stale->customers, stale->capacity, sizeof *stale->customers);
	}
	stale->customers[stale->count++] = customer;
}

static int by_n(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

void store_stale_sort(struct store_stale *stale)
{
	size_t count = 0;

	if (stale->count < 2)
		return;
	qsort(stale->customers, stale->count, sizeof *stale->customers, by_n);
	for (size_t i = 0; i < stale->count; i++)
		if (!count || stale->customers[count - 1] != stale->customers[i])
			stale->customers[count++] = stale->customers[i];
	stale->count = count;
}
