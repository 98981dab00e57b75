/* The store in memory: who shares it, and the readers. */
#include "store_memory_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moment.h"
#include "product.h"
#include "xalloc.h"
#include "banned.h"

struct memory_reader {
	struct store_reader base;
	struct memory *memory;
};

static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct memory *shared; /* those with a name */

static struct memory *memory_new(const char *name)
{
	struct memory *memory = xcalloc(1, sizeof *memory);
	pthread_mutexattr_t kind;

	memory->name = xstrdup(name);
	memory->first_event = 1;
	store_make_id(memory->id);
	store_make_id(memory->erasure_key);
	/* A thread that reads in the middle of its own transaction is told so, and does not wait for ever. */
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&memory->mutex, &kind);
	pthread_mutexattr_destroy(&kind);
	return memory;
}

struct memory *memory_attach(const char *name, bool writer, struct text *error)
{
	struct memory *memory = NULL;

	pthread_mutex_lock(&shared_mutex);
	for (memory = *name ? shared : NULL; memory && strcmp(memory->name, name) != 0; memory = memory->next)
		;
	if (memory && writer && memory->has_writer) {
		text_error(error, "store: memory:%s: held by process %ld (this one); one writer at a time",
			   name, (long)getpid());
		memory = NULL;
	} else {
		if (!memory) {
			memory = memory_new(name);
			if (*name) {
				memory->next = shared;
				shared = memory;
			}
		}
		memory->holders++;
		memory->has_writer = memory->has_writer || writer;
	}
	pthread_mutex_unlock(&shared_mutex);
	return memory;
}

void memory_detach(struct memory *memory, bool writer)
{
	pthread_mutex_lock(&shared_mutex);
	if (writer)
		memory->has_writer = false;
	bool last = --memory->holders == 0;
	for (struct memory **at = &shared; last && *at; at = &(*at)->next) {
		if (*at == memory) {
			*at = memory->next;
			break;
		}
	}
	pthread_mutex_unlock(&shared_mutex);
	if (last) {
		memory_release(memory);
		pthread_mutex_destroy(&memory->mutex);
		free(memory);
	}
}

struct store_reader *memory_reader_open(const char *where, struct text *error)
{
	struct memory_reader *reader = xcalloc(1, sizeof *reader);

	reader->base.ops = &store_memory_ops;
	text_init(&reader->base.error, TEXT_ERROR_MAX);
	reader->memory = memory_attach(where, false, error);
	return &reader->base;
}

void memory_reader_close(struct store_reader *reader)
{
	memory_detach(((struct memory_reader *)reader)->memory, false);
	free(reader);
}

/* Waits for the end of a transaction. NULL: it is this thread's own. */
struct memory *memory_enter(struct store_reader *reader)
{
	struct memory *memory = ((struct memory_reader *)reader)->memory;

	if (pthread_mutex_lock(&memory->mutex) == 0)
		return memory;
	text_error(&reader->error, "store: memory: read in the middle of this thread's own transaction");
	return NULL;
}

bool memory_leave(struct memory *memory)
{
	pthread_mutex_unlock(&memory->mutex);
	return true;
}

/* --- the log --- */

static bool has_message(const struct contact *contact, int64_t message)
{
	bool has = contact->message == message;

	for (size_t i = 0; i < contact->several_count; i++)
		has = has || contact->several[i] == message;
	return has;
}

static bool wanted(const struct log_query *query, const struct contact *contact, int64_t customer,
		   int64_t message)
{
	return (!query->customer || contact->customer == customer) &&
	       (!query->message || has_message(contact, message)) &&
	       (!query->product || product_is_within(contact->product, query->product)) &&
	       (!query->products || store_product_among(contact->product, query->products)) &&
	       (!query->channel || strcmp(contact->channel, query->channel) == 0) &&
	       (!query->has_state || contact->state == query->state) &&
	       (!query->captured || contact->captured) && contact->at >= query->since &&
	       contact->changed > query->after && (!query->before || contact->seq < query->before);
}

static int by_seq(const void *a, const void *b)
{
	const struct contact *left = *(struct contact *const *)a;
	const struct contact *right = *(struct contact *const *)b;

	return (left->seq > right->seq) - (left->seq < right->seq);
}

static int by_changed(const void *a, const void *b)
{
	const struct contact *left = *(struct contact *const *)a;
	const struct contact *right = *(struct contact *const *)b;

	return (left->changed > right->changed) - (left->changed < right->changed);
}

static void resolve(const struct memory *memory, struct contact *contact)
{
	const struct memory_customer *customer = slots_get(&memory->tables[CUSTOMERS], contact->customer);
	const struct memory_address *address = slots_get(&memory->tables[ADDRESSES], contact->address);
	const struct message_row *message = slots_get(&memory->tables[MESSAGES], contact->message);

	if (customer) {
		free(contact->customer_id);
		contact->customer_id = xstrdup(customer->id);
	}
	if (address) {
		free(contact->address_value);
		contact->address_value = xstrdup(address->value);
	}
	size_t count = message ? 1 : contact->several_count;
	contact->message_ids = xcalloc(count, sizeof *contact->message_ids);
	for (size_t i = 0; i < count; i++) {
		if (contact->several_count)
			message = slots_get(&memory->tables[MESSAGES], contact->several[i]);
		if (!message)
			continue;
		contact->message_ids[contact->message_count++] = xstrdup(message->id);
		if (contact->message_count == 1)
			free(contact->meta);
		if (contact->message_count == 1)
			contact->meta = store_body_meta(message->body);
	}
}

bool memory_read_log(struct store_reader *reader, const struct log_query *query, struct contact **out,
		     size_t *count)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	int64_t customer = query->customer ? names_find(&memory->customer_ids, query->customer) : 0;
	int64_t message = query->message ? names_find(&memory->message_ids, query->message) : 0;
	bool nothing = (query->customer && !customer) || (query->message && !message);
	int64_t last = nothing ? 0 : memory->numbers[NUMBER_CONTACT];
	struct contact **found = xcalloc((size_t)last, sizeof(struct contact *));
	size_t found_count = 0;

	for (int64_t seq = 1; seq <= last; seq++) {
		struct contact *contact = slots_get(&memory->tables[CONTACTS], seq);
		if (contact && wanted(query, contact, customer, message))
			found[found_count++] = contact;
	}
	qsort(found, found_count, sizeof(struct contact *), query->by_change ? by_changed : by_seq);
	*count = found_count < query->limit ? found_count : query->limit;
	*out = xcalloc(*count, sizeof **out);
	for (size_t i = 0; i < *count; i++) {
		size_t from = query->newest_first        ? found_count - 1 - i
			      : log_query_is_tail(query) ? found_count - *count + i
							 : i;
		contact_read(found[from], &(*out)[i]);
		resolve(memory, &(*out)[i]);
	}
	free(found);
	return memory_leave(memory);
}

bool memory_read_last_change(struct store_reader *reader, int64_t *changed)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	*changed = memory->numbers[NUMBER_CHANGED];
	return memory_leave(memory);
}

/* --- the rest --- */

bool memory_read_message(struct store_reader *reader, const char *id, struct message_row *out)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	message_row_read(memory, names_find(&memory->message_ids, id), out);
	return memory_leave(memory);
}

bool memory_read_open_of(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			 struct message_rows *out)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	for (int64_t n = after + 1; limit && n <= memory->numbers[NUMBER_MESSAGE]; n++) {
		const struct message_row *row = slots_get(&memory->tables[MESSAGES], n);
		if (!row || row->customer != customer ||
		    (row->due == MOMENT_NEVER && row->state != STATE_SENDING && row->state != STATE_IN_DOUBT))
			continue;
		message_row_read(memory, n, message_rows_add(out));
		limit--;
	}
	return memory_leave(memory);
}

bool memory_read_customer(struct store_reader *reader, const char *id, struct customer **out,
			  struct preference **preferences, size_t *count)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	*out = customer_read(memory, names_find(&memory->customer_ids, id));
	if (*out)
		preferences_read(memory, (*out)->n, preferences, count);
	return memory_leave(memory);
}

static bool has_address(const struct memory *memory, const struct memory_customer *customer,
			const char *value)
{
	for (size_t i = 0; i < customer->address_count; i++) {
		const struct memory_address *address =
			slots_get(&memory->tables[ADDRESSES], customer->addresses[i].n);
		if (strcmp(address->value, value) == 0)
			return true;
	}
	return false;
}

bool memory_read_cap_used(struct store_reader *reader, int64_t customer, const char *name, int64_t *used)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	*used = cap_used(memory, customer, name);
	return memory_leave(memory);
}

bool memory_read_find(struct store_reader *reader, const char *address, char ***ids, size_t *count)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	for (int64_t n = 1; n <= memory->numbers[NUMBER_CUSTOMER]; n++) {
		const struct memory_customer *customer = slots_get(&memory->tables[CUSTOMERS], n);
		if (customer && has_address(memory, customer, address)) {
			*ids = xreallocarray(*ids, *count + 1, sizeof **ids);
			(*ids)[(*count)++] = xstrdup(customer->id);
		}
	}
	return memory_leave(memory);
}

bool memory_read_waiting_of(struct store_reader *reader, int64_t customer, size_t limit,
			    struct message_rows *out)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	for (int64_t n = 1; limit && n <= memory->numbers[NUMBER_MESSAGE]; n++) {
		const struct message_row *row = slots_get(&memory->tables[MESSAGES], n);
		if (row && row->customer == customer && row->due != MOMENT_NEVER) {
			message_row_read(memory, n, message_rows_add(out));
			limit--;
		}
	}
	return memory_leave(memory);
}

bool memory_read_customer_id(struct store_reader *reader, int64_t customer, char **id)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	const struct memory_customer *found = slots_get(&memory->tables[CUSTOMERS], customer);
	*id = found ? xstrdup(found->id) : NULL;
	return memory_leave(memory);
}

bool memory_read_holds(struct store_reader *reader, struct hold **out, size_t *count)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	holds_read(memory, out, count);
	return memory_leave(memory);
}

bool memory_read_counters(struct store_reader *reader, struct counters *out)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	numbers_counters(memory->numbers, out);
	return memory_leave(memory);
}

bool memory_read_ages(struct store_reader *reader, int64_t oldest[LANES])
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	for (size_t i = 0; i < memory->queue_count; i++) {
		const struct wait_queue *queue = &memory->queues[i];
		for (size_t j = 0; j < queue->count; j++) {
			const struct message_row *row =
				slots_get(&memory->tables[MESSAGES], queue->at[queue->head + j].n);
			if (!oldest[queue->lane] || row->admitted_at < oldest[queue->lane])
				oldest[queue->lane] = row->admitted_at;
		}
	}
	return memory_leave(memory);
}

void changes_read(const struct memory *memory, int64_t customer, enum change_kind kind, int64_t after,
		  size_t limit, struct change **out, size_t *count)
{
	for (int64_t seq = after + 1; seq <= memory->numbers[NUMBER_CHANGE] && *count < limit; seq++) {
		const struct change *change = slots_get(&memory->tables[CHANGES], seq);
		if (!change || (customer && change->customer != customer) ||
		    (kind != CHANGE_KINDS && change->kind != kind))
			continue;
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		struct change *copy = &(*out)[(*count)++];
		*copy = *change;
		copy->subject = xstrdup(change->subject);
		copy->by = xstrdup(change->by);
		copy->actor = xstrdup(change->actor);
		copy->source = xstrdup(change->source);
		copy->evidence = xstrdup(change->evidence);
		copy->old_value = xstrdup(change->old_value);
		copy->new_value = xstrdup(change->new_value);
	}
}

bool memory_read_changes(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			 struct change **out, size_t *count)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	changes_read(memory, customer, CHANGE_KINDS, after, limit, out, count);
	return memory_leave(memory);
}

bool memory_read_changes_of_kind(struct store_reader *reader, enum change_kind kind, int64_t after,
				 size_t limit, struct change **out, size_t *count)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	changes_read(memory, 0, kind, after, limit, out, count);
	return memory_leave(memory);
}

static int by_customer(const void *a, const void *b)
{
	const struct change *left = a, *right = b;

	if (left->customer != right->customer)
		return left->customer < right->customer ? -1 : 1;
	return (left->seq > right->seq) - (left->seq < right->seq);
}

static bool is_audited(const struct change *change, const struct audit_at *after)
{
	return (change->kind == CHANGE_PREFERENCE || change->kind == CHANGE_CUSTOMER) &&
	       (!after->end || change->customer < after->end) &&
	       (change->customer > after->customer ||
		(change->customer == after->customer && change->seq > after->seq));
}

bool memory_audit_changes(struct store_reader *reader, struct audit_at *after, size_t limit,
			  struct change **out, size_t *count)
{
	struct memory *memory = memory_enter(reader);
	struct change *all = NULL;
	size_t total = 0;

	if (!memory)
		return false;
	changes_read(memory, 0, CHANGE_KINDS, 0, SIZE_MAX, &all, &total);
	for (size_t i = 0; i < total; i++)
		if (is_audited(&all[i], after))
			all[(*count)++] = all[i];
		else
			change_release(&all[i]);
	if (all)
		qsort(all, *count, sizeof *all, by_customer);
	for (; *count > limit; --*count)
		change_release(&all[*count - 1]);
	*out = all;
	return memory_leave(memory);
}
