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
	out->erased_at = from->erased_at;
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

/* A copy of the row, to be changed and put in its place. */
struct memory_address *address_copy(const struct memory *memory, int64_t n)
{
	const struct memory_address *from = slots_get(&memory->tables[ADDRESSES], n);
	struct memory_address *copy = xcalloc(1, sizeof *copy);

	*copy = *from;
	copy->channel = xstrdup(from->channel);
	copy->value = xstrdup(from->value);
	copy->key = xstrdup(from->key);
	return copy;
}

bool memory_get_address(struct store *store, const char *channel, const char *value, bool make,
			struct address_row *out)
{
	struct memory *memory = of(store);
	char *key = address_key(channel, value);
	int64_t n = names_find(&memory->address_keys, key);
	const struct memory_address *known = slots_get(&memory->tables[ADDRESSES], n);

	if (known) {
		*out = (struct address_row){n, known->state, known->seq, known->answered_at};
	} else if (make) {
		struct memory_address *row = xcalloc(1, sizeof *row);
		*row = (struct memory_address){.key = xstrdup(key),
					       .channel = xstrdup(channel),
					       .value = xstrdup(value),
					       .state = out->state,
					       .seq = out->seq};
		out->n = ++memory->numbers[NUMBER_ADDRESS];
		memory_put(memory, ADDRESSES, out->n, row);
	}
	free(key);
	return true;
}

bool memory_answered(struct store *store, int64_t address, int64_t at)
{
	struct memory_address *copy = address_copy(of(store), address);

	copy->answered_at = at;
	memory_put(of(store), ADDRESSES, address, copy);
	return true;
}

/* The address's row: the one that all share, or a new one. */
static void put_address(struct store *store, struct address *address)
{
	struct address_row row = {.state = address->state, .seq = address->seq};

	memory_get_address(store, address->channel, address->value, true, &row);
	address->n = row.n;
	address->state = row.state;
	address->seq = row.seq;
}

bool customer_write(struct store *store, const struct customer *customer)
{
	struct memory *memory = of(store);
	int64_t same = names_find(&memory->customer_ids, customer->id);

	if (same != customer->n && same)
		return text_error(&store->error, "store: there is a customer %s already", customer->id);
	struct memory_customer *row = xcalloc(1, sizeof *row);
	*row = (struct memory_customer){.id = xstrdup(customer->id),
					.name = xstrdup(customer->name),
					.locale = xstrdup(customer->locale),
					.timezone = xstrdup(customer->timezone),
					.erasing = xstrdup(""),
					.seq = customer->seq,
					.address_count = customer->address_count};
	row->addresses = xcalloc(row->address_count, sizeof *row->addresses);
	for (size_t i = 0; i < row->address_count; i++) {
		row->addresses[i].n = customer->addresses[i].n;
		row->addresses[i].details = xstrdup(customer->addresses[i].details);
	}
	memory_put(memory, CUSTOMERS, customer->n, row);
	return true;
}

bool memory_put_customer(struct store *store, struct customer *customer)
{
	struct memory *memory = of(store);

	if (customer->n && !slots_get(&memory->tables[CUSTOMERS], customer->n))
		return text_error(&store->error, "store: there is no customer %lld", (long long)customer->n);
	if (!customer->n)
		customer->n = ++memory->numbers[NUMBER_CUSTOMER];
	for (size_t i = 0; i < customer->address_count; i++)
		put_address(store, &customer->addresses[i]);
	return customer_write(store, customer);
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
	struct memory_address *copy = address_copy(of(store), address);
	copy->state = state;
	copy->seq = seq;
	memory_put(of(store), ADDRESSES, address, copy);
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

bool memory_put_again(struct store *store, const struct again_at *again)
{
	int64_t *after = xmalloc(sizeof *after);

	*after = again->after;
	memory_put(of(store), AGAIN, again->customer, after);
	return true;
}

bool memory_drop_again(struct store *store, int64_t customer)
{
	memory_put(of(store), AGAIN, customer, NULL);
	return true;
}

bool memory_get_again(struct store *store, struct again_at **out, size_t *count)
{
	const struct slots *slots = &of(store)->tables[AGAIN];

	for (size_t n = 1; n < slots->size; n++) {
		if (!slots->at[n])
			continue;
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		(*out)[(*count)++] = (struct again_at){(int64_t)n, *(int64_t *)slots->at[n]};
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
		memory_put(memory, PRODUCT_SETS, change.seq, xstrdup(body));
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

/* --- receipts that came first --- */

static bool receipt_is(const struct kept_receipt *row, const char *provider, const char *provider_ref,
		       int64_t contact)
{
	return row && row->contact == contact && strcmp(row->provider, provider) == 0 &&
	       strcmp(row->provider_ref, provider_ref) == 0;
}

static int64_t receipt_find(const struct memory *memory, const char *provider, const char *provider_ref,
			    int64_t contact)
{
	for (int64_t n = 1; n <= memory->receipts; n++)
		if (receipt_is(slots_get(&memory->tables[RECEIPTS], n), provider, provider_ref, contact))
			return n;
	return 0;
}

static void receipt_copy(const struct kept_receipt *from, struct kept_receipt *out)
{
	*out = *from;
	out->provider = xstrdup(from->provider);
	out->provider_ref = xstrdup(from->provider_ref);
	out->channel = xstrdup(from->channel);
	out->code = xstrdup(from->code);
	out->detail = xstrdup(from->detail);
}

bool memory_keep_receipt(struct store *store, const struct kept_receipt *receipt)
{
	struct memory *memory = of(store);
	struct kept_receipt *row = xmalloc(sizeof *row);
	int64_t n = receipt_find(memory, receipt->provider, receipt->provider_ref, receipt->contact);

	for (int64_t i = 1; !n && i <= memory->receipts; i++)
		if (!slots_get(&memory->tables[RECEIPTS], i))
			n = i; /* whose row is gone */
	receipt_copy(receipt, row);
	memory_put(memory, RECEIPTS, n ? n : ++memory->receipts, row);
	return true;
}

bool memory_find_receipt(struct store *store, const char *provider, const char *provider_ref, int64_t contact,
			 struct kept_receipt *out)
{
	const struct memory *memory = of(store);
	int64_t n = receipt_find(memory, provider, provider_ref, contact);

	if (n)
		receipt_copy(slots_get(&memory->tables[RECEIPTS], n), out);
	return true;
}

bool memory_drop_receipt(struct store *store, const char *provider, const char *provider_ref, int64_t contact)
{
	struct memory *memory = of(store);
	int64_t n = receipt_find(memory, provider, provider_ref, contact);

	if (n)
		memory_put(memory, RECEIPTS, n, NULL);
	return true;
}

/* -1, 0, 1: in the order in which they are given out. */
static int receipt_order(const void *a, const void *b)
{
	const struct kept_receipt *left = a, *right = b;
	int order = (left->at > right->at) - (left->at < right->at);

	order = order ? order : strcmp(left->provider, right->provider);
	order = order ? order : strcmp(left->provider_ref, right->provider_ref);
	return order ? order : (left->contact > right->contact) - (left->contact < right->contact);
}

bool memory_get_receipts(struct store *store, int64_t after, size_t limit, struct kept_receipt **out,
			 size_t *count)
{
	const struct memory *memory = of(store);

	for (int64_t n = 1; n <= memory->receipts; n++) {
		const struct kept_receipt *row = slots_get(&memory->tables[RECEIPTS], n);
		if (!row || row->at < after)
			continue;
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		receipt_copy(row, &(*out)[(*count)++]);
	}
	if (*count)
		qsort(*out, *count, sizeof **out, receipt_order);
	while (*count > limit)
		kept_receipt_release(&(*out)[--*count]);
	return true;
}

bool memory_count_receipts(struct store *store, int64_t *count)
{
	const struct memory *memory = of(store);

	for (int64_t n = 1; n <= memory->receipts; n++)
		*count += slots_get(&memory->tables[RECEIPTS], n) != NULL;
	return true;
}
