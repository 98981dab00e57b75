/* The store in memory: the writer. */
#include "store_memory_private.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

static struct memory *of(struct store *store)
{
	return ((struct store_memory *)store)->memory;
}

static struct store *memory_open(const char *where, bool migrate, struct text *error, bool *locked)
{
	struct memory *memory = memory_attach(where, true, error);

	(void)migrate;
	*locked = !memory;
	if (!memory)
		return NULL;
	struct store_memory *store = xcalloc(1, sizeof *store);
	store->base.ops = &store_memory_ops;
	store->memory = memory;
	text_init(&store->base.error, TEXT_ERROR_MAX);
	memcpy(store->base.id, memory->id, sizeof memory->id);
	memcpy(store->base.erasure_key, memory->erasure_key, sizeof memory->erasure_key);
	return &store->base;
}

static void memory_close(struct store *store)
{
	memory_detach(of(store), true);
	free(store);
}

static bool memory_begin(struct store *store)
{
	return pthread_mutex_lock(&of(store)->mutex) == 0 ||
	       text_error(&store->error, "store: memory: this thread is inside it already");
}

static bool memory_commit(struct store *store)
{
	memory_keep(of(store));
	pthread_mutex_unlock(&of(store)->mutex);
	return true;
}

static void memory_rollback(struct store *store)
{
	struct memory *memory = of(store);

	memory_revert(memory, 0);
	memcpy(memory->numbers, memory->committed, sizeof memory->numbers);
	memory->products = memory->committed_products;
	pthread_mutex_unlock(&memory->mutex);
}

static bool memory_save_point(struct store *store)
{
	struct memory *memory = of(store);

	memcpy(memory->point_numbers, memory->numbers, sizeof memory->numbers);
	memory->point_products = memory->products;
	memory->point_undo = memory->undo_count;
	return true;
}

static bool memory_end_point(struct store *store, bool keep)
{
	struct memory *memory = of(store);

	if (!keep) {
		memory_revert(memory, memory->point_undo);
		memcpy(memory->numbers, memory->point_numbers, sizeof memory->numbers);
		memory->products = memory->point_products;
	}
	return true;
}

/* --- messages --- */

/* The strings that a copy owns; customer_id and kept are made when it is read. */
static void row_own(struct message_row *row)
{
	row->words = NULL;
	row->id = xstrdup(row->id);
	row->customer_id = NULL;
	row->product = xstrdup(row->product);
	row->template = xstrdup(row->template);
	row->campaign = xstrdup(row->campaign);
	row->body = xstrdup(row->body);
	row->waits_for = xstrdup(row->waits_for);
	row->rejected = xstrdup(row->rejected);
	row->waited = xstrdup(row->waited);
	row->wait_channel = xstrdup(row->wait_channel);
	row->counted = xstrdup(row->counted);
	row->channel = xstrdup(row->channel);
	row->reasons = xstrdup(row->reasons);
	row->kept.waits_for = NULL;
}

void message_row_read(const struct memory *memory, int64_t n, struct message_row *out)
{
	const struct message_row *from = slots_get(&memory->tables[MESSAGES], n);

	*out = (struct message_row){0};
	if (!from)
		return;
	const struct memory_customer *customer = slots_get(&memory->tables[CUSTOMERS], from->customer);
	*out = *from;
	row_own(out);
	out->customer_id = xstrdup(customer ? customer->id : "");
	message_row_keep(out);
}

static bool memory_find_messages(struct store *store, const char *const ids[], size_t count,
				 struct message_row out[])
{
	for (size_t i = 0; i < count; i++)
		message_row_read(of(store), names_find(&of(store)->message_ids, ids[i]), &out[i]);
	return true;
}

static bool memory_get_messages(struct store *store, const int64_t n[], size_t count,
				struct message_row out[])
{
	for (size_t i = 0; i < count; i++)
		message_row_read(of(store), n[i], &out[i]);
	return true;
}

static bool memory_number_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		rows[i]->n = ++of(store)->numbers[NUMBER_MESSAGE];
	return true;
}

static bool memory_add_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	struct memory *memory = of(store);

	for (size_t i = 0; i < count; i++) {
		if (names_find(&memory->message_ids, rows[i]->id) ||
		    slots_get(&memory->tables[MESSAGES], rows[i]->n))
			return text_error(&store->error, "store: there is a message %s already", rows[i]->id);
		struct message_row *row = xmalloc(sizeof *row);
		*row = *rows[i];
		row_own(row);
		memory_put(memory, MESSAGES, row->n, row);
		message_row_keep(rows[i]);
	}
	return true;
}

static bool memory_save_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	struct memory *memory = of(store);

	for (size_t i = 0; i < count; i++) {
		const struct message_row *old = slots_get(&memory->tables[MESSAGES], rows[i]->n);
		struct message_row *row = xmalloc(sizeof *row);
		if (!old) {
			free(row);
			return text_error(&store->error, "store: there is no message %lld",
					  (long long)rows[i]->n);
		}
		if (old->epoch != rows[i]->kept.epoch) {
			free(row);
			return text_error(&store->error,
					  "store: message %lld was claimed by another meanwhile",
					  (long long)rows[i]->n);
		}
		*row = *rows[i];
		row_own(row);
		memory_put(memory, MESSAGES, row->n, row);
		message_row_keep(rows[i]);
	}
	return true;
}

/* --- what waits --- */

static bool memory_due(struct store *store, const char *waits_for, enum lane lane, int64_t now, size_t limit,
		       struct message_rows *out)
{
	const struct wait_queue *queue = queue_of(of(store), waits_for, lane, false);

	for (size_t i = 0; queue && i < queue->count && i < limit; i++) {
		const struct wait *wait = &queue->at[queue->head + i];
		if (wait->due > now)
			break;
		message_row_read(of(store), wait->n, message_rows_add(out));
	}
	return true;
}

static bool memory_next_due(struct store *store, const char *waits_for, int64_t *due)
{
	for (int lane = 0; lane < LANES; lane++) {
		const struct wait_queue *queue = queue_of(of(store), waits_for, (enum lane)lane, false);
		if (queue && queue->count && queue->at[queue->head].due < *due)
			*due = queue->at[queue->head].due;
	}
	return true;
}

static bool memory_waiting(struct store *store, const char *waits_for, struct waiting_at *after, size_t limit,
			   struct message_rows *out)
{
	struct waiting_at from = *after;

	for (int lane = (int)from.lane; lane < LANES && limit; lane++) {
		const struct wait_queue *queue = queue_of(of(store), waits_for, (enum lane)lane, false);
		struct wait start = {.due = from.due, .n = from.n + 1};
		size_t i = queue && lane == (int)from.lane ? queue_place(queue, start) : 0;
		for (; queue && i < queue->count && limit; i++, limit--) {
			const struct wait *wait = &queue->at[queue->head + i];
			message_row_read(of(store), wait->n, message_rows_add(out));
			*after = (struct waiting_at){(enum lane)lane, wait->due, wait->n};
		}
	}
	return true;
}

static bool memory_expired(struct store *store, int64_t now, size_t limit, struct message_rows *out)
{
	const struct wait_queue *queue = &of(store)->expiring;

	for (size_t i = 0; i < queue->count && i < limit && queue->at[queue->head + i].due <= now; i++)
		message_row_read(of(store), queue->at[queue->head + i].n, message_rows_add(out));
	return true;
}

static bool memory_next_expiry(struct store *store, int64_t *at)
{
	const struct wait_queue *queue = &of(store)->expiring;

	if (queue->count)
		*at = queue->at[queue->head].due;
	return true;
}

static bool memory_waited_for(struct store *store, char ***names, size_t *count)
{
	const struct memory *memory = of(store);

	for (size_t i = 0; i < memory->queue_count; i++) {
		bool seen = !memory->queues[i].count;
		for (size_t j = 0; j < *count; j++)
			seen = seen || strcmp((*names)[j], memory->queues[i].waits_for) == 0;
		if (!seen) {
			*names = xreallocarray(*names, *count + 1, sizeof **names);
			(*names)[(*count)++] = xstrdup(memory->queues[i].waits_for);
		}
	}
	return true;
}

static bool is_waiting(const struct message_row *row)
{
	return row->due != MOMENT_NEVER;
}

static bool is_open(const struct message_row *row)
{
	return row->state == STATE_SENDING || row->state == STATE_IN_DOUBT;
}

static int by_number(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static void messages_of(struct memory *memory, int64_t customer, bool (*want)(const struct message_row *),
			int64_t after, size_t limit, struct message_rows *out)
{
	const struct memory_lists *lists = memory_lists(memory, customer);
	int64_t *wanted = xcalloc(lists->message_count, sizeof *wanted);
	size_t count = 0;

	for (size_t i = 0; i < lists->message_count; i++)
		if (lists->messages[i] > after && slots_get(&memory->tables[MESSAGES], lists->messages[i]) &&
		    want(slots_get(&memory->tables[MESSAGES], lists->messages[i])))
			wanted[count++] = lists->messages[i];
	if (count)
		qsort(wanted, count, sizeof *wanted, by_number);
	for (size_t i = 0; i < count && i < limit; i++)
		message_row_read(memory, wanted[i], message_rows_add(out));
	free(wanted);
}

static bool memory_waiting_of_campaign(struct store *store, const char *campaign, int64_t after, size_t limit,
				       struct message_rows *out)
{
	const struct memory *memory = of(store);

	for (int64_t n = after + 1; limit && n <= memory->numbers[NUMBER_MESSAGE]; n++) {
		const struct message_row *row = slots_get(&memory->tables[MESSAGES], n);
		if (row && is_waiting(row) && strcmp(row->campaign, campaign) == 0) {
			message_row_read(memory, n, message_rows_add(out));
			limit--;
		}
	}
	return true;
}

static bool memory_waiting_of(struct store *store, int64_t customer, int64_t after, size_t limit,
			      struct message_rows *out)
{
	messages_of(of(store), customer, is_waiting, after, limit, out);
	return true;
}

static bool memory_open_of(struct store *store, int64_t customer, struct message_rows *out)
{
	messages_of(of(store), customer, is_open, 0, SIZE_MAX, out);
	return true;
}

/* --- contacts --- */

void contact_read(const struct contact *from, struct contact *out)
{
	*out = *from;
	out->several = xreallocarray(NULL, from->several_count, sizeof *out->several);
	for (size_t i = 0; i < from->several_count; i++)
		out->several[i] = from->several[i];
	out->product = xstrdup(from->product);
	out->channel = xstrdup(from->channel);
	out->provider = xstrdup(from->provider);
	out->provider_ref = xstrdup(from->provider_ref);
	out->template = xstrdup(from->template);
	out->template_hash = xstrdup(from->template_hash);
	out->summary = xstrdup(from->summary);
	out->content = xstrdup(from->content);
	out->reason = xstrdup(from->reason);
	out->reason_args = xstrdup(from->reason_args);
	out->code = xstrdup(from->code);
	out->detail = xstrdup(from->detail);
	out->customer_id = xstrdup("");
	out->address_value = xstrdup("");
	out->words = NULL;
	out->message_ids = NULL;
	out->message_count = 0;
	out->meta = xstrdup("");
}

static bool memory_number_contacts(struct store *store, struct contact *const contacts[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		contacts[i]->seq = ++of(store)->numbers[NUMBER_CONTACT];
	return true;
}

static bool memory_add_contacts(struct store *store, struct contact *const contacts[], size_t count)
{
	struct memory *memory = of(store);

	for (size_t i = 0; i < count; i++) {
		struct contact *row = xmalloc(sizeof *row);
		if (!contacts[i]->seq)
			contacts[i]->seq = ++memory->numbers[NUMBER_CONTACT];
		contacts[i]->changed = ++memory->numbers[NUMBER_CHANGED];
		contacts[i]->log_seq = memory->numbers[NUMBER_CHANGE];
		contact_read(contacts[i], row);
		memory_put(memory, CONTACTS, row->seq, row);
	}
	return true;
}

static void replace(char **text, const char *with)
{
	free(*text);
	*text = xstrdup(with);
}

static bool memory_save_contacts(struct store *store, struct contact *const contacts[], size_t count)
{
	struct memory *memory = of(store);

	for (size_t i = 0; i < count; i++) {
		const struct contact *old = slots_get(&memory->tables[CONTACTS], contacts[i]->seq);
		if (!old)
			return text_error(&store->error, "store: there is no contact %lld",
					  (long long)contacts[i]->seq);
		struct contact *row = xmalloc(sizeof *row);
		contact_read(old, row);
		row->changed = contacts[i]->changed = ++memory->numbers[NUMBER_CHANGED];
		row->state = contacts[i]->state;
		replace(&row->provider, contacts[i]->provider);
		replace(&row->provider_ref, contacts[i]->provider_ref);
		replace(&row->summary, contacts[i]->summary);
		replace(&row->content, contacts[i]->content);
		replace(&row->code, contacts[i]->code);
		replace(&row->detail, contacts[i]->detail);
		replace(&row->reason, contacts[i]->reason);
		replace(&row->reason_args, contacts[i]->reason_args);
		row->segments = contacts[i]->segments;
		row->late = contacts[i]->late;
		memory_put(memory, CONTACTS, row->seq, row);
	}
	return true;
}

static bool memory_get_contacts(struct store *store, const int64_t seq[], size_t count, struct contact out[])
{
	memset(out, 0, count * sizeof *out);
	for (size_t i = 0; i < count; i++) {
		const struct contact *row = slots_get(&of(store)->tables[CONTACTS], seq[i]);
		if (row)
			contact_read(row, &out[i]);
	}
	return true;
}

static bool memory_doubts_of(struct store *store, int64_t customer, int64_t since, struct contact **out,
			     size_t *count)
{
	const struct memory *memory = of(store);

	for (int64_t seq = 1; seq <= memory->numbers[NUMBER_CONTACT]; seq++) {
		const struct contact *row = slots_get(&memory->tables[CONTACTS], seq);
		if (!row || row->customer != customer || row->state != STATE_IN_DOUBT || row->at < since)
			continue;
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		contact_read(row, &(*out)[(*count)++]);
	}
	return true;
}

static bool memory_find_contact(struct store *store, enum direction direction, const char *provider,
				const char *provider_ref, struct contact *out)
{
	const struct memory *memory = of(store);

	for (int64_t seq = memory->numbers[NUMBER_CONTACT]; seq > 0 && *provider_ref; seq--) {
		const struct contact *row = slots_get(&memory->tables[CONTACTS], seq);
		if (row && row->direction == direction && strcmp(row->provider_ref, provider_ref) == 0 &&
		    strcmp(row->provider, provider) == 0) {
			contact_read(row, out);
			break;
		}
	}
	return true;
}

static bool may_have_arrived(const struct contact *row)
{
	return row->direction == DIRECTION_OUT && row->attempt > 0 && strcmp(row->reason, "answer") != 0 &&
	       (row->state == STATE_SENDING || row->state == STATE_SENT || row->state == STATE_DELIVERED ||
		row->state == STATE_IN_DOUBT);
}

static bool memory_last_sent(struct store *store, int64_t customer, int64_t address, const char *provider,
			     struct contact *out)
{
	const struct memory *memory = of(store);

	for (int64_t seq = memory->numbers[NUMBER_CONTACT]; seq > 0; seq--) {
		const struct contact *row = slots_get(&memory->tables[CONTACTS], seq);
		if (row && row->customer == customer && row->address == address && may_have_arrived(row) &&
		    (!provider || strcmp(row->provider, provider) == 0)) {
			contact_read(row, out);
			break;
		}
	}
	return true;
}

static bool is_of_message(const struct contact *row, int64_t message)
{
	bool is = row->message == message;

	for (size_t i = 0; i < row->several_count; i++)
		is = is || row->several[i] == message;
	return is;
}

static bool memory_attempt_of(struct store *store, int64_t message, const char *channel, struct contact *out)
{
	const struct memory *memory = of(store);

	for (int64_t seq = memory->numbers[NUMBER_CONTACT]; seq > 0; seq--) {
		const struct contact *row = slots_get(&memory->tables[CONTACTS], seq);
		if (row && row->direction == DIRECTION_OUT && row->attempt > 0 &&
		    strcmp(row->channel, channel) == 0 && is_of_message(row, message)) {
			contact_read(row, out);
			break;
		}
	}
	return true;
}

/* --- the outbox, the sum --- */

struct memory_event *memory_event_make(enum event_stream stream, const char *json)
{
	size_t len = strlen(json) + 1;
	struct memory_event *row = xmalloc(sizeof *row + len);

	row->stream = stream;
	memcpy(row->json, json, len);
	return row;
}

static bool memory_add_events(struct store *store, struct event_row *const events[], size_t count)
{
	struct memory *memory = of(store);

	for (size_t i = 0; i < count; i++) {
		events[i]->seq = ++memory->numbers[NUMBER_EVENT];
		memory_put(memory, EVENTS, events[i]->seq,
			   memory_event_make(events[i]->stream, events[i]->json));
	}
	return true;
}

static bool memory_get_events(struct store *store, int64_t after, size_t limit, struct event_row **out,
			      size_t *count)
{
	const struct memory *memory = of(store);
	int64_t seq = after + 1 > memory->first_event ? after + 1 : memory->first_event;

	for (; limit && seq <= memory->numbers[NUMBER_EVENT]; seq++) {
		const struct memory_event *row = slots_get(&memory->tables[EVENTS], seq);
		if (!row)
			continue;
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		(*out)[(*count)++] =
			(struct event_row){.seq = seq, .stream = row->stream, .json = xstrdup(row->json)};
		limit--;
	}
	return true;
}

static bool memory_drop_events(struct store *store, int64_t up_to)
{
	struct memory *memory = of(store);

	for (; memory->first_event <= up_to && memory->first_event <= memory->numbers[NUMBER_EVENT];
	     memory->first_event++)
		if (slots_get(&memory->tables[EVENTS], memory->first_event))
			memory_put(memory, EVENTS, memory->first_event, NULL);
	return true;
}

static bool memory_count(struct store *store, const struct counters *deltas)
{
	numbers_count(of(store)->numbers, deltas);
	return true;
}

static bool memory_counters(struct store *store, struct counters *out)
{
	numbers_counters(of(store)->numbers, out);
	return true;
}

const struct store_ops store_memory_ops = {
	.scheme = "memory",
	.open = memory_open,
	.close = memory_close,
	.begin = memory_begin,
	.commit = memory_commit,
	.rollback = memory_rollback,
	.save_point = memory_save_point,
	.end_point = memory_end_point,
	.find_messages = memory_find_messages,
	.get_messages = memory_get_messages,
	.number_messages = memory_number_messages,
	.add_messages = memory_add_messages,
	.save_messages = memory_save_messages,
	.due = memory_due,
	.next_due = memory_next_due,
	.waiting = memory_waiting,
	.expired = memory_expired,
	.next_expiry = memory_next_expiry,
	.waited_for = memory_waited_for,
	.waiting_of_campaign = memory_waiting_of_campaign,
	.waiting_of = memory_waiting_of,
	.open_of = memory_open_of,
	.abandoned = memory_abandoned,
	.report_gateway = memory_report_gateway,
	.move_clock = memory_move_clock,
	.gateway_name = memory_gateway_name,
	.number_contacts = memory_number_contacts,
	.add_contacts = memory_add_contacts,
	.save_contacts = memory_save_contacts,
	.get_contacts = memory_get_contacts,
	.doubts_of = memory_doubts_of,
	.find_contact = memory_find_contact,
	.last_sent = memory_last_sent,
	.attempt_of = memory_attempt_of,
	.read_facts = memory_read_facts,
	.get_customer = memory_get_customer,
	.get_preferences = memory_get_preferences,
	.put_customer = memory_put_customer,
	.get_customers = memory_get_customers,
	.get_preferences_of = memory_get_preferences_of,
	.get_addresses = memory_get_addresses,
	.number_customers = memory_number_customers,
	.add_customers = memory_add_customers,
	.put_preferences = memory_put_preferences,
	.any_erased = memory_any_erased,
	.stamp_customer = memory_stamp_customer,
	.erase_customer = memory_erase_customer,
	.get_erasing = memory_get_erasing,
	.end_erasing = memory_end_erasing,
	.rename_address = memory_rename_address,
	.get_changes = memory_get_changes,
	.rewrite_change = memory_rewrite_change,
	.erase_contacts = memory_erase_contacts,
	.rewrite_event = memory_rewrite_event,
	.prune = memory_prune,
	.clean = memory_clean,
	.put_preference = memory_store_preference,
	.set_address_state = memory_set_address_state,
	.get_address = memory_get_address,
	.answered = memory_answered,
	.customers_of_address = memory_customers_of_address,
	.keep_receipt = memory_keep_receipt,
	.find_receipt = memory_find_receipt,
	.drop_receipt = memory_drop_receipt,
	.get_receipts = memory_get_receipts,
	.count_receipts = memory_count_receipts,
	.put_again = memory_put_again,
	.drop_again = memory_drop_again,
	.get_again = memory_get_again,
	.put_hold = memory_put_hold,
	.drop_hold = memory_drop_hold,
	.get_holds = memory_get_holds,
	.cap_used = memory_cap_used,
	.count_caps = memory_count_caps,
	.append_changes = memory_append_changes,
	.last_choice = memory_last_choice,
	.put_products = memory_put_products,
	.put_template = memory_put_template,
	.add_events = memory_add_events,
	.get_events = memory_get_events,
	.drop_events = memory_drop_events,
	.count = memory_count,
	.counters = memory_counters,
	.reader_open = memory_reader_open,
	.reader_close = memory_reader_close,
	.read_log = memory_read_log,
	.read_last_change = memory_read_last_change,
	.read_message = memory_read_message,
	.read_open_of = memory_read_open_of,
	.read_customer = memory_read_customer,
	.read_cap_used = memory_read_cap_used,
	.read_find = memory_read_find,
	.read_waiting_of = memory_read_waiting_of,
	.read_customer_id = memory_read_customer_id,
	.read_holds = memory_read_holds,
	.read_counters = memory_read_counters,
	.read_ages = memory_read_ages,
	.read_changes = memory_read_changes,
	.audit_contacts = memory_audit_contacts,
	.audit_changes = memory_audit_changes,
	.audit_messages = memory_audit_messages,
	.audit_sum = memory_audit_sum,
	.read_products = memory_read_products,
	.read_changes_of_kind = memory_read_changes_of_kind,
};
