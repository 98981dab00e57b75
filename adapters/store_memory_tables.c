/* Tables by number, names, what waits, and how a rollback puts all of it back. */
#include "store_memory_private.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

void *slots_get(const struct slots *slots, int64_t n)
{
	return n > 0 && (size_t)n < slots->size ? slots->at[n] : NULL;
}

void slots_set(struct slots *slots, int64_t n, void *row)
{
	if ((size_t)n >= slots->size) {
		size_t size = slots->size ? slots->size : 32;
		while (size <= (size_t)n)
			size *= 2;
		slots->at = xreallocarray(slots->at, size, sizeof *slots->at);
		memset(slots->at + slots->size, 0, (size - slots->size) * sizeof *slots->at);
		slots->size = size;
	}
	slots->at[n] = row;
}

/* --- names --- */

static size_t name_home(const struct names *names, const char *key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	return (size_t)(hash ^ (hash >> 32)) & (names->size - 1);
}

/* Where the key is, or the free place where it would be. */
static size_t name_place(const struct names *names, const char *key)
{
	size_t i = name_home(names, key);

	while (names->at[i].n && strcmp(names->at[i].key, key) != 0)
		i = (i + 1) & (names->size - 1);
	return i;
}

int64_t names_find(const struct names *names, const char *key)
{
	return names->size ? names->at[name_place(names, key)].n : 0;
}

void names_add(struct names *names, const char *key, int64_t n)
{
	if (2 * names->count >= names->size) {
		struct names larger = {.size = names->size ? 2 * names->size : 32, .count = names->count};
		larger.at = xcalloc(larger.size, sizeof *larger.at);
		for (size_t i = 0; i < names->size; i++)
			if (names->at[i].n)
				larger.at[name_place(&larger, names->at[i].key)] = names->at[i];
		free(names->at);
		*names = larger;
	}
	size_t place = name_place(names, key);
	names->count += names->at[place].n == 0;
	names->at[place] = (struct name){.key = key, .n = n};
}

/* Moves up those behind that would no longer be found. */
void names_remove(struct names *names, const char *key)
{
	size_t mask = names->size - 1;
	size_t hole = name_place(names, key);

	if (!names->at[hole].n)
		return;
	for (size_t i = (hole + 1) & mask; names->at[i].n; i = (i + 1) & mask) {
		size_t home = name_home(names, names->at[i].key);
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			names->at[hole] = names->at[i];
			hole = i;
		}
	}
	names->at[hole] = (struct name){0};
	names->count--;
}

/* --- what waits --- */

struct wait_queue *queue_of(struct memory *memory, const char *waits_for, enum lane lane, bool make)
{
	for (size_t i = 0; i < memory->queue_count; i++)
		if (memory->queues[i].lane == lane && strcmp(memory->queues[i].waits_for, waits_for) == 0)
			return &memory->queues[i];
	if (!make)
		return NULL;
	memory->queues = xreallocarray(memory->queues, memory->queue_count + 1, sizeof *memory->queues);
	struct wait_queue *queue = &memory->queues[memory->queue_count++];
	*queue = (struct wait_queue){.waits_for = xstrdup(waits_for), .lane = lane};
	return queue;
}

size_t queue_place(const struct wait_queue *queue, struct wait wait)
{
	size_t low = 0;
	size_t high = queue->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct wait *at = &queue->at[queue->head + middle];
		if (at->due < wait.due || (at->due == wait.due && at->n < wait.n))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void queue_add(struct wait_queue *queue, struct wait wait)
{
	size_t place = queue_place(queue, wait);

	if (queue->head + queue->count == queue->size) {
		if (queue->head > queue->count) {
			memmove(queue->at, queue->at + queue->head, queue->count * sizeof *queue->at);
			queue->head = 0;
		} else {
			queue->size = queue->size ? 2 * queue->size : 32;
			queue->at = xreallocarray(queue->at, queue->size, sizeof *queue->at);
		}
	}
	struct wait *at = queue->at + queue->head + place;
	memmove(at + 1, at, (queue->count - place) * sizeof *at);
	*at = wait;
	queue->count++;
}

static void queue_remove(struct wait_queue *queue, struct wait wait)
{
	if (!queue->at)
		return;
	size_t place = queue_place(queue, wait);
	struct wait *at = queue->at + queue->head + place;
	if (place == 0)
		queue->head++;
	else
		memmove(at, at + 1, (queue->count - place - 1) * sizeof *at);
	queue->count--;
}

static void wait_add(struct memory *memory, const struct message_row *row)
{
	queue_add(queue_of(memory, row->waits_for, row->lane, true), (struct wait){row->due, row->n});
	if (row->expires_at)
		queue_add(&memory->expiring, (struct wait){row->expires_at, row->n});
}

static void wait_remove(struct memory *memory, const struct message_row *row)
{
	queue_remove(queue_of(memory, row->waits_for, row->lane, true), (struct wait){row->due, row->n});
	if (row->expires_at)
		queue_remove(&memory->expiring, (struct wait){row->expires_at, row->n});
}

/* --- rows come and go --- */

static void customer_forget(struct memory_customer *customer)
{
	free(customer->id);
	free(customer->name);
	free(customer->locale);
	free(customer->timezone);
	for (size_t i = 0; i < customer->address_count; i++)
		free(customer->addresses[i].details);
	free(customer->addresses);
	free(customer);
}

static void address_forget(struct memory_address *address)
{
	free(address->key);
	free(address->channel);
	free(address->value);
	free(address);
}

static void row_free(enum table table, void *row)
{
	if (!row)
		return;
	switch (table) {
	case MESSAGES:
		message_row_release(row);
		free(row);
		break;
	case CONTACTS:
		contact_release(row);
		free(row);
		break;
	case CUSTOMERS:
		customer_forget(row);
		break;
	case ADDRESSES:
		address_forget(row);
		break;
	case CHANGES:
		change_release(row);
		free(row);
		break;
	case PREFERENCES:
		preference_free(row);
		break;
	case HOLDS:
		hold_release(row);
		free(row);
		break;
	case GATEWAYS:
		free(((struct memory_gateway *)row)->name);
		free(row);
		break;
	case RECEIPTS:
		kept_receipt_release(row);
		free(row);
		break;
	case EVENTS:
	default:
		free(row);
		break;
	}
}

/* What stands beside the tables follows: names and what waits. */
static void row_goes(struct memory *memory, enum table table, void *row)
{
	if (table == MESSAGES) {
		const struct message_row *message = row;
		names_remove(&memory->message_ids, message->id);
		if (message->due != MOMENT_NEVER)
			wait_remove(memory, message);
	} else if (table == CUSTOMERS) {
		names_remove(&memory->customer_ids, ((struct memory_customer *)row)->id);
	} else if (table == ADDRESSES) {
		names_remove(&memory->address_keys, ((struct memory_address *)row)->key);
	}
}

static void row_comes(struct memory *memory, enum table table, int64_t n, void *row)
{
	if (table == MESSAGES) {
		const struct message_row *message = row;
		names_add(&memory->message_ids, message->id, n);
		if (message->due != MOMENT_NEVER)
			wait_add(memory, message);
	} else if (table == CUSTOMERS) {
		names_add(&memory->customer_ids, ((struct memory_customer *)row)->id, n);
	} else if (table == ADDRESSES) {
		names_add(&memory->address_keys, ((struct memory_address *)row)->key, n);
	} else if (table == EVENTS) {
		memory->first_event = n < memory->first_event ? n : memory->first_event;
	}
}

static void *row_swap(struct memory *memory, enum table table, int64_t n, void *row)
{
	void *old = slots_get(&memory->tables[table], n);

	if (old)
		row_goes(memory, table, old);
	slots_set(&memory->tables[table], n, row);
	if (row)
		row_comes(memory, table, n, row);
	return old;
}

static void undo_add(struct memory *memory, struct undo undo)
{
	if (memory->undo_count == memory->undo_size) {
		memory->undo_size = memory->undo_size ? 2 * memory->undo_size : 64;
		memory->undo = xreallocarray(memory->undo, memory->undo_size, sizeof *memory->undo);
	}
	memory->undo[memory->undo_count++] = undo;
}

void memory_put(struct memory *memory, enum table table, int64_t n, void *row)
{
	void *old = row_swap(memory, table, n, row);

	undo_add(memory, (struct undo){.table = table, .n = n, .old = old});
	if (table == MESSAGES && !old) {
		const struct message_row *message = row;
		struct memory_lists *lists = memory_lists(memory, message->customer);
		lists->messages =
			xreallocarray(lists->messages, lists->message_count + 1, sizeof *lists->messages);
		lists->messages[lists->message_count++] = n;
	}
}

struct memory_lists *memory_lists(struct memory *memory, int64_t customer)
{
	/* Messages of nobody stand at the place of number 0, moved up by one like all others. */
	struct memory_lists *lists = slots_get(&memory->tables[PREFERENCES], customer + 1);

	if (!lists) {
		lists = xcalloc(1, sizeof *lists);
		slots_set(&memory->tables[PREFERENCES], customer + 1, lists);
	}
	return lists;
}

void memory_put_preference(struct memory *memory, int64_t customer, struct preference *preference)
{
	struct memory_lists *lists = memory_lists(memory, customer);
	size_t i = 0;

	while (i < lists->preference_count &&
	       strcmp(lists->preferences[i]->product, preference->product) != 0)
		i++;
	if (i == lists->preference_count) {
		lists->preferences = xreallocarray(lists->preferences, lists->preference_count + 1,
						   sizeof(struct preference *));
		lists->preferences[lists->preference_count++] = NULL;
	}
	undo_add(memory, (struct undo){PREFERENCES, customer, i, lists->preferences[i]});
	lists->preferences[i] = preference;
}

void memory_keep(struct memory *memory)
{
	for (size_t i = 0; i < memory->undo_count; i++)
		row_free(memory->undo[i].table, memory->undo[i].old);
	memory->undo_count = 0;
	memcpy(memory->committed, memory->numbers, sizeof memory->committed);
	memory->committed_products = memory->products;
}

/* From the last to the first, so that what was appended is taken from the end again. */
void memory_revert(struct memory *memory, size_t undo_count)
{
	while (memory->undo_count > undo_count) {
		struct undo undo = memory->undo[--memory->undo_count];
		if (undo.table == PREFERENCES) {
			struct memory_lists *lists = memory_lists(memory, undo.n);
			preference_free(lists->preferences[undo.index]);
			lists->preferences[undo.index] = undo.old;
			lists->preference_count -= undo.old == NULL;
			continue;
		}
		void *gone = row_swap(memory, undo.table, undo.n, undo.old);
		if (undo.table == MESSAGES && !undo.old)
			memory_lists(memory, ((struct message_row *)gone)->customer)->message_count--;
		row_free(undo.table, gone);
	}
}

static void lists_free(struct memory_lists *lists)
{
	if (!lists)
		return;
	for (size_t i = 0; i < lists->preference_count; i++)
		preference_free(lists->preferences[i]);
	free(lists->preferences);
	free(lists->messages);
	free(lists);
}

void memory_release(struct memory *memory)
{
	for (int table = 0; table < TABLES; table++) {
		struct slots *slots = &memory->tables[table];
		for (size_t n = 0; n < slots->size; n++) {
			if (table == PREFERENCES)
				lists_free(slots->at[n]);
			else
				row_free((enum table)table, slots->at[n]);
		}
		free(slots->at);
	}
	for (size_t i = 0; i < memory->queue_count; i++) {
		free(memory->queues[i].waits_for);
		free(memory->queues[i].at);
	}
	free(memory->queues);
	free(memory->expiring.at);
	for (size_t i = 0; i < memory->cap_keys.size; i++)
		if (memory->cap_keys.at[i].n)
			free((char *)memory->cap_keys.at[i].key);
	free(memory->cap_keys.at);
	free(memory->message_ids.at);
	free(memory->customer_ids.at);
	free(memory->address_keys.at);
	free(memory->undo);
	free(memory->name);
}
