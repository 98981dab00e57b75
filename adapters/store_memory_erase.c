/* Erasure and pruning, in memory. There are no months: one contact after the other goes. */
#include "store_memory_private.h"

#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

static struct memory *of(struct store *store)
{
	return ((struct store_memory *)store)->memory;
}

static void replace(char **text, const char *with)
{
	char *old = *text;

	*text = xstrdup(with);
	free(old);
}

static struct memory_customer *customer_copied(const struct memory *memory, int64_t n)
{
	const struct memory_customer *from = slots_get(&memory->tables[CUSTOMERS], n);
	struct memory_customer *copy = xcalloc(1, sizeof *copy);

	*copy = *from;
	copy->id = xstrdup(from->id);
	copy->name = xstrdup(from->name);
	copy->locale = xstrdup(from->locale);
	copy->timezone = xstrdup(from->timezone);
	copy->erasing = xstrdup(from->erasing);
	copy->addresses = NULL; /* one who is erased has none */
	copy->address_count = 0;
	return copy;
}

bool memory_erase_customer(struct store *store, int64_t customer, const char *name, int64_t at)
{
	struct memory *memory = of(store);

	if (!slots_get(&memory->tables[CUSTOMERS], customer))
		return text_error(&store->error, "store: there is no customer %lld", (long long)customer);
	struct memory_customer *copy = customer_copied(memory, customer);
	if (!copy->erased_at)
		replace(&copy->erasing, copy->id);
	copy->erased_at = at;
	replace(&copy->id, name);
	replace(&copy->name, "");
	replace(&copy->locale, "");
	memory_put(memory, CUSTOMERS, customer, copy);
	return true;
}

bool memory_get_erasing(struct store *store, int64_t *customer, char **id)
{
	const struct memory *memory = of(store);

	for (int64_t n = 1; !*customer && n <= memory->numbers[NUMBER_CUSTOMER]; n++) {
		const struct memory_customer *row = slots_get(&memory->tables[CUSTOMERS], n);
		if (row && *row->erasing) {
			*customer = n;
			*id = xstrdup(row->erasing);
		}
	}
	return true;
}

bool memory_end_erasing(struct store *store, int64_t customer)
{
	struct memory_customer *copy = customer_copied(of(store), customer);

	replace(&copy->erasing, "");
	memory_put(of(store), CUSTOMERS, customer, copy);
	return true;
}

bool memory_stamp_customer(struct store *store, int64_t customer, int64_t seq)
{
	if (!slots_get(&of(store)->tables[CUSTOMERS], customer))
		return text_error(&store->error, "store: there is no customer %lld", (long long)customer);
	const struct memory_customer *from = slots_get(&of(store)->tables[CUSTOMERS], customer);
	struct memory_customer *copy = customer_copied(of(store), customer);
	copy->seq = seq;
	copy->addresses = xcalloc(from->address_count, sizeof *copy->addresses);
	for (; copy->address_count < from->address_count; copy->address_count++) {
		copy->addresses[copy->address_count] = from->addresses[copy->address_count];
		copy->addresses[copy->address_count].details =
			xstrdup(from->addresses[copy->address_count].details);
	}
	memory_put(of(store), CUSTOMERS, customer, copy);
	return true;
}

bool memory_rename_address(struct store *store, int64_t address, const char *value)
{
	if (!slots_get(&of(store)->tables[ADDRESSES], address))
		return text_error(&store->error, "store: there is no address %lld", (long long)address);
	struct memory_address *copy = address_copy(of(store), address);
	free(copy->key);
	copy->key = address_key(copy->channel, value);
	replace(&copy->value, value);
	memory_put(of(store), ADDRESSES, address, copy);
	return true;
}

bool memory_get_changes(struct store *store, int64_t customer, int64_t after, size_t limit,
			struct change **out, size_t *count)
{
	changes_read(of(store), customer, CHANGE_KINDS, after, limit, out, count);
	return true;
}

bool memory_rewrite_change(struct store *store, const struct change *change)
{
	struct memory *memory = of(store);
	struct change *list = NULL;
	size_t count = 0;

	changes_read(memory, 0, CHANGE_KINDS, change->seq - 1, 1, &list, &count);
	if (!count)
		return text_error(&store->error, "store: there is no change %lld", (long long)change->seq);
	replace(&list->subject, change->subject);
	replace(&list->actor, change->actor);
	replace(&list->source, change->source);
	replace(&list->evidence, change->evidence);
	replace(&list->old_value, change->old_value);
	replace(&list->new_value, change->new_value);
	memory_put(memory, CHANGES, change->seq, list);
	return true;
}

bool memory_rewrite_event(struct store *store, int64_t seq, const char *json)
{
	struct memory *memory = of(store);
	const struct memory_event *from = slots_get(&memory->tables[EVENTS], seq);

	if (from)
		memory_put(memory, EVENTS, seq, memory_event_make(from->stream, json));
	return true;
}

/* --- contacts and messages --- */

struct message_row *message_copied(struct memory *memory, int64_t n)
{
	struct message_row *copy = xmalloc(sizeof *copy);

	message_row_read(memory, n, copy);
	free(copy->customer_id);
	free(copy->kept.waits_for);
	copy->customer_id = copy->kept.waits_for = NULL;
	return copy;
}

static void erase_message(struct memory *memory, int64_t n)
{
	if (!slots_get(&memory->tables[MESSAGES], n))
		return;
	struct message_row *copy = message_copied(memory, n);
	char *reasons = erased_reasons(copy->reasons);
	replace(&copy->body, "");
	replace(&copy->reasons, reasons);
	memset(copy->hash, 0, sizeof copy->hash);
	memory_put(memory, MESSAGES, n, copy);
	free(reasons);
}

static struct contact *contact_copied(const struct contact *from)
{
	struct contact *copy = xmalloc(sizeof *copy);

	contact_read(from, copy);
	return copy;
}

/* The messages of a contact. */
static const int64_t *messages_of(const struct contact *contact, size_t *count)
{
	*count = contact->message ? 1 : contact->several_count;
	return contact->message ? &contact->message : contact->several;
}

bool memory_erase_contacts(struct store *store, int64_t customer, int64_t *after, size_t limit, size_t *count)
{
	struct memory *memory = of(store);

	while (*count < limit && *after < memory->numbers[NUMBER_CONTACT]) {
		const struct contact *from = slots_get(&memory->tables[CONTACTS], ++*after);
		size_t messages;
		if (!from || from->customer != customer)
			continue;
		struct contact *copy = contact_copied(from);
		char *args = erased_args(copy->reason_args);
		char **texts[] = {&copy->summary, &copy->content, &copy->detail, &copy->provider_ref};
		for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
			replace(texts[i], "");
		replace(&copy->reason_args, args);
		memory_put(memory, CONTACTS, copy->seq, copy);
		const int64_t *n = messages_of(copy, &messages);
		for (size_t i = 0; i < messages; i++)
			erase_message(memory, n[i]);
		free(args);
		++*count;
	}
	return true;
}

static bool texts_go(struct memory *memory, const struct contact *from)
{
	size_t messages;
	const int64_t *n = messages_of(from, &messages);
	bool had = *from->summary || *from->content;

	for (size_t i = 0; i < messages; i++) {
		const struct message_row *row = slots_get(&memory->tables[MESSAGES], n[i]);
		if (!row || row->contact != from->seq || !message_row_ended(row) || !*row->body)
			continue;
		struct message_row *copy = message_copied(memory, n[i]);
		replace(&copy->body, "");
		memory_put(memory, MESSAGES, n[i], copy);
	}
	if (had) {
		struct contact *copy = contact_copied(from);
		replace(&copy->summary, "");
		replace(&copy->content, "");
		memory_put(memory, CONTACTS, copy->seq, copy);
	}
	return had;
}

static void contact_goes(struct memory *memory, const struct contact *from, struct pruned *out)
{
	size_t messages;
	const int64_t *n = messages_of(from, &messages);

	for (size_t i = 0; i < messages; i++) {
		const struct message_row *row = slots_get(&memory->tables[MESSAGES], n[i]);
		if (!row || row->contact != from->seq)
			continue;
		if (message_row_ended(row)) {
			memory->numbers[NUMBER_PRUNED + row->state]++;
			out->messages++;
			memory_put(memory, MESSAGES, n[i], NULL);
		} else {
			struct message_row *copy = message_copied(memory, n[i]);
			copy->contact = 0;
			memory_put(memory, MESSAGES, n[i], copy);
		}
	}
	memory_put(memory, CONTACTS, from->seq, NULL);
}

static int month_of(int64_t at)
{
	int64_t year;
	int month, day;

	moment_civil(at / MOMENT_DAY, &year, &month, &day);
	return (int)year * 100 + month;
}

bool memory_prune(struct store *store, const struct prune *prune, size_t limit, struct pruned *out,
		  bool *more)
{
	struct memory *memory = of(store);
	size_t used = 0;

	for (int64_t seq = 1; used < limit && seq <= memory->numbers[NUMBER_CONTACT]; seq++) {
		const struct contact *from = slots_get(&memory->tables[CONTACTS], seq);
		if (!from)
			continue;
		if (store_month_end(month_of(from->at)) <= prune->contacts) {
			contact_goes(memory, from, out);
			out->contacts++;
			used++;
		} else if (from->at < prune->contents && texts_go(memory, from)) {
			out->contents++;
			used++;
		}
	}
	*more = used >= limit;
	return true;
}

bool memory_clean(struct store *store, bool *done)
{
	(void)store;
	*done = true;
	return true;
}
