/* Customers, addresses, preferences and the log of changes, in memory. */
#include "store_memory_private.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

static struct memory *of(struct store *store)
{
	return ((struct store_memory *)store)->memory;
}

char *address_key(const char *channel, const char *value)
{
	return xasprintf("%s %s", channel, value);
}

struct customer *customer_read(const struct memory *memory, int64_t n)
{
	const struct memory_customer *from = slots_get(&memory->tables[CUSTOMERS], n);

	if (!from)
		return NULL;
	struct customer *out = xcalloc(1, sizeof *out);
	out->n = n;
	out->id = xstrdup(from->id);
	out->name = xstrdup(from->name);
	out->locale = xstrdup(from->locale);
	out->timezone = xstrdup(from->timezone);
	out->seq = from->seq;
	out->addresses = xcalloc(from->address_count, sizeof *out->addresses);
	out->address_count = from->address_count;
	for (size_t i = 0; i < from->address_count; i++) {
		const struct owned_address *owned = &from->addresses[i];
		const struct memory_address *address = slots_get(&memory->tables[ADDRESSES], owned->n);
		out->addresses[i] = (struct address){.n = owned->n,
						     .channel = xstrdup(address->channel),
						     .value = xstrdup(address->value),
						     .details = xstrdup(owned->details),
						     .state = address->state,
						     .seq = address->seq};
	}
	return out;
}

bool memory_get_customer(struct store *store, const char *id, struct customer **out)
{
	*out = customer_read(of(store), names_find(&of(store)->customer_ids, id));
	return true;
}

static int by_product(const void *a, const void *b)
{
	return strcmp(((const struct preference *)a)->product, ((const struct preference *)b)->product);
}

void preferences_read(struct memory *memory, int64_t customer, struct preference **out, size_t *count)
{
	const struct memory_lists *lists = memory_lists(memory, customer);

	if (!lists->preference_count)
		return;
	*out = xcalloc(lists->preference_count, sizeof **out);
	for (size_t i = 0; i < lists->preference_count; i++) {
		struct preference *copy = preference_copy(lists->preferences[i]);
		(*out)[(*count)++] = *copy;
		free(copy);
	}
	qsort(*out, *count, sizeof **out, by_product);
}

bool memory_get_preferences(struct store *store, int64_t customer, struct preference **out, size_t *count)
{
	preferences_read(of(store), customer, out, count);
	return true;
}

static struct preference *preference_of(const struct memory_lists *lists, const char *product)
{
	for (size_t i = 0; i < lists->preference_count; i++)
		if (strcmp(lists->preferences[i]->product, product) == 0)
			return preference_copy(lists->preferences[i]);
	return NULL;
}

bool memory_read_facts(struct store *store, struct facts *const facts[], size_t count)
{
	struct memory *memory = of(store);

	for (size_t i = 0; i < count; i++) {
		struct facts *fact = facts[i];
		int64_t n = fact->customer_id ? names_find(&memory->customer_ids, fact->customer_id)
					      : fact->customer_n;
		fact->own = fact->parents = fact->star = NULL;
		fact->customer = customer_read(memory, n);
		if (!fact->customer)
			continue;
		const struct memory_lists *lists = memory_lists(memory, n);
		fact->own = preference_of(lists, fact->product);
		if (*fact->parent)
			fact->parents = preference_of(lists, fact->parent);
		if (strcmp(fact->product, "*") != 0)
			fact->star = preference_of(lists, "*");
	}
	return true;
}

static void set_state(struct memory *memory, int64_t n, enum address_state state, int64_t seq)
{
	const struct memory_address *from = slots_get(&memory->tables[ADDRESSES], n);
	struct memory_address *copy = xcalloc(1, sizeof *copy);

	copy->channel = xstrdup(from->channel);
	copy->value = xstrdup(from->value);
	copy->key = xstrdup(from->key);
	copy->state = state;
	copy->seq = seq;
	memory_put(memory, ADDRESSES, n, copy);
}

bool memory_find_address(struct store *store, const char *channel, const char *value, struct address *out)
{
	const struct memory *memory = of(store);
	char *key = address_key(channel, value);
	int64_t n = names_find(&memory->address_keys, key);
	const struct memory_address *known = slots_get(&memory->tables[ADDRESSES], n);

	if (known) {
		out->n = n;
		out->state = known->state;
		out->seq = known->seq;
	}
	free(key);
	return true;
}

/* The address's row: the one that all share, or a new one. */
static void put_address(struct store *store, struct address *address)
{
	struct memory *memory = of(store);

	address->n = 0;
	memory_find_address(store, address->channel, address->value, address);
	if (address->n)
		return;
	char *key = address_key(address->channel, address->value);
	struct memory_address *row = xcalloc(1, sizeof *row);
	*row = (struct memory_address){.key = key,
				       .channel = xstrdup(address->channel),
				       .value = xstrdup(address->value),
				       .state = address->state,
				       .seq = address->seq};
	address->n = ++memory->numbers[NUMBER_ADDRESS];
	memory_put(memory, ADDRESSES, address->n, row);
}

bool memory_put_customer(struct store *store, struct customer *customer)
{
	struct memory *memory = of(store);
	int64_t same = names_find(&memory->customer_ids, customer->id);

	if (same != customer->n && same)
		return text_error(&store->error, "store: there is a customer %s already", customer->id);
	if (customer->n && !slots_get(&memory->tables[CUSTOMERS], customer->n))
		return text_error(&store->error, "store: there is no customer %lld", (long long)customer->n);
	if (!customer->n)
		customer->n = ++memory->numbers[NUMBER_CUSTOMER];
	struct memory_customer *row = xcalloc(1, sizeof *row);
	*row = (struct memory_customer){.id = xstrdup(customer->id),
					.name = xstrdup(customer->name),
					.locale = xstrdup(customer->locale),
					.timezone = xstrdup(customer->timezone),
					.seq = customer->seq,
					.address_count = customer->address_count};
	row->addresses = xcalloc(row->address_count, sizeof *row->addresses);
	for (size_t i = 0; i < row->address_count; i++) {
		put_address(store, &customer->addresses[i]);
		row->addresses[i].n = customer->addresses[i].n;
		row->addresses[i].details = xstrdup(customer->addresses[i].details);
	}
	memory_put(memory, CUSTOMERS, customer->n, row);
	return true;
}

bool memory_store_preference(struct store *store, int64_t customer, const struct preference *preference)
{
	memory_put_preference(of(store), customer, preference_copy(preference));
	return true;
}

bool memory_set_address_state(struct store *store, int64_t address, enum address_state state, int64_t seq)
{
	if (!slots_get(&of(store)->tables[ADDRESSES], address))
		return text_error(&store->error, "store: there is no address %lld", (long long)address);
	set_state(of(store), address, state, seq);
	return true;
}

bool memory_customers_of_address(struct store *store, int64_t address, int64_t **customers, size_t *count)
{
	const struct memory *memory = of(store);

	for (int64_t n = 1; n <= memory->numbers[NUMBER_CUSTOMER]; n++) {
		const struct memory_customer *customer = slots_get(&memory->tables[CUSTOMERS], n);
		bool has = false;
		for (size_t i = 0; customer && i < customer->address_count; i++)
			has = has || customer->addresses[i].n == address;
		if (has) {
			*customers = xreallocarray(*customers, *count + 1, sizeof **customers);
			(*customers)[(*count)++] = n;
		}
	}
	return true;
}

bool memory_drop_hold(struct store *store, enum hold_kind kind, const char *name)
{
	struct memory *memory = of(store);

	for (size_t seq = 1; seq < memory->tables[HOLDS].size; seq++) {
		const struct hold *hold = memory->tables[HOLDS].at[seq];
		if (hold && hold->kind == kind && strcmp(hold->name, name) == 0)
			memory_put(memory, HOLDS, (int64_t)seq, NULL);
	}
	return true;
}

bool memory_put_hold(struct store *store, const struct hold *hold)
{
	struct hold *row = xmalloc(sizeof *row);

	memory_drop_hold(store, hold->kind, hold->name);
	hold_copy(hold, row);
	memory_put(of(store), HOLDS, hold->seq, row);
	return true;
}

void holds_read(const struct memory *memory, struct hold **out, size_t *count)
{
	for (size_t seq = 1; seq < memory->tables[HOLDS].size; seq++) {
		const struct hold *hold = memory->tables[HOLDS].at[seq];
		if (!hold)
			continue;
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		hold_copy(hold, &(*out)[(*count)++]);
	}
}

bool memory_get_holds(struct store *store, struct hold **out, size_t *count)
{
	holds_read(of(store), out, count);
	return true;
}

bool memory_append_changes(struct store *store, struct change *const changes[], size_t count)
{
	struct memory *memory = of(store);

	for (size_t i = 0; i < count; i++) {
		struct change *row = xcalloc(1, sizeof *row);
		changes[i]->seq = ++memory->numbers[NUMBER_CHANGE];
		*row = *changes[i];
		row->subject = xstrdup(row->subject);
		row->by = xstrdup(row->by);
		row->actor = xstrdup(row->actor);
		row->source = xstrdup(row->source);
		row->evidence = xstrdup(row->evidence);
		row->old_value = xstrdup(row->old_value);
		row->new_value = xstrdup(row->new_value);
		memory_put(memory, CHANGES, row->seq, row);
		if (row->kind == CHANGE_PRODUCTS)
			memory->products = row->seq;
	}
	return true;
}

bool memory_last_choice(struct store *store, int64_t customer, const char *product, char **choice)
{
	struct memory *memory = of(store);

	for (int64_t seq = memory->numbers[NUMBER_CHANGE]; seq > 0; seq--) {
		const struct change *change = slots_get(&memory->tables[CHANGES], seq);
		if (change && change->customer == customer && change->kind == CHANGE_PREFERENCE &&
		    strcmp(change->subject, product) == 0 && strcmp(change->by, "import") != 0) {
			*choice = xstrdup(change->new_value);
			break;
		}
	}
	return true;
}

/* The bodies of product sets and templates are for the audit, which has no use for this store. */
bool memory_put_products(struct store *store, const char *hash, const char *body, int64_t at, int64_t *seq)
{
	struct memory *memory = of(store);
	const struct change *last = slots_get(&memory->tables[CHANGES], memory->products);

	(void)body;
	if (!last || strcmp(last->subject, hash) != 0) {
		char nothing[] = "";
		char by[] = "gateway";
		struct change change = {.kind = CHANGE_PRODUCTS,
					.at = at,
					.given_at = at,
					.subject = (char *)hash,
					.by = by,
					.actor = nothing,
					.source = nothing,
					.evidence = nothing,
					.old_value = nothing,
					.new_value = nothing};
		memory_append_changes(store, (struct change *const[]){&change}, 1);
	}
	*seq = memory->products;
	return true;
}

bool memory_put_template(struct store *store, const char *hash, const char *name, const char *source,
			 int64_t at)
{
	(void)store, (void)hash, (void)name, (void)source, (void)at;
	return true;
}

/* --- caps --- */

static char *cap_key(int64_t customer, const char *name)
{
	return xasprintf("%lld %s", (long long)customer, name);
}

int64_t cap_used(const struct memory *memory, int64_t customer, const char *name)
{
	char *key = cap_key(customer, name);
	const struct memory_cap *cap = slots_get(&memory->tables[CAPS], names_find(&memory->cap_keys, key));

	free(key);
	return cap ? cap->used : 0;
}

bool memory_cap_used(struct store *store, int64_t customer, const char *name, int64_t *used)
{
	*used = cap_used(of(store), customer, name);
	return true;
}

/* Counters that are over are left: nobody asks for them again. */
bool memory_count_caps(struct store *store, const struct cap_count counts[], size_t count, int64_t now)
{
	struct memory *memory = of(store);

	for (size_t i = 0; i < count; i++) {
		char *key = cap_key(counts[i].customer, counts[i].name);
		int64_t n = names_find(&memory->cap_keys, key);
		if (counts[i].ends <= now) {
			free(key);
			continue;
		}
		if (n) {
			free(key);
		} else {
			n = ++memory->caps;
			names_add(&memory->cap_keys, key, n);
		}
		const struct memory_cap *old = slots_get(&memory->tables[CAPS], n);
		struct memory_cap *cap = xmalloc(sizeof *cap);
		*cap = (struct memory_cap){.used = (old ? old->used : 0) + counts[i].used,
					   .ends = counts[i].ends};
		memory_put(memory, CAPS, n, cap);
	}
	return true;
}
