/* What the audit reads. */
#include "store_memory_private.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

static bool is_audited(const struct contact *contact, const struct audit_at *after)
{
	return contact && contact->direction == DIRECTION_OUT && *contact->channel && contact->attempt > 0 &&
	       (!after->end || contact->customer < after->end) &&
	       (contact->customer > after->customer ||
		(contact->customer == after->customer && contact->seq > after->seq));
}

static int by_customer(const void *a, const void *b)
{
	const struct contact *left = *(const struct contact *const *)a;
	const struct contact *right = *(const struct contact *const *)b;

	if (left->customer != right->customer)
		return left->customer < right->customer ? -1 : 1;
	return (left->seq > right->seq) - (left->seq < right->seq);
}

static void contact_line(const struct memory *memory, const struct contact *contact, int64_t n, bool first,
			 struct audit_contact *line)
{
	const struct memory_address *address = slots_get(&memory->tables[ADDRESSES], contact->address);
	const struct message_row *row = slots_get(&memory->tables[MESSAGES], n);

	*line = (struct audit_contact){.seq = contact->seq,
				       .at = contact->at,
				       .customer = contact->customer,
				       .address = contact->address,
				       .preference_seq = contact->preference_seq,
				       .customer_seq = contact->customer_seq,
				       .address_seq = contact->address_seq,
				       .products_seq = contact->products_seq,
				       .log_seq = contact->log_seq,
				       .state = contact->state,
				       .first = first,
				       .several = contact->message == 0,
				       .message_n = row ? n : 0,
				       .product = xstrdup(contact->product),
				       .channel = xstrdup(contact->channel),
				       .provider = xstrdup(contact->provider),
				       .reason = xstrdup(contact->reason),
				       .address_channel = xstrdup(address ? address->channel : ""),
				       .address_value = xstrdup(address ? address->value : ""),
				       .message_id = xstrdup(row ? row->id : ""),
				       .message_product = xstrdup(row ? row->product : ""),
				       .campaign = xstrdup(row ? row->campaign : "")};
	if (!row)
		return;
	line->message_customer = row->customer;
	line->purpose = row->purpose;
	line->lane = row->lane;
	line->admitted_at = row->admitted_at;
	line->send_at = row->send_at;
	line->expires_at = row->expires_at;
}

static void contact_lines(const struct memory *memory, const struct contact *contact,
			  struct audit_contact **out, size_t *count)
{
	size_t lines = contact->message || !contact->several_count ? 1 : contact->several_count;

	*out = xreallocarray(*out, *count + lines, sizeof **out);
	for (size_t i = 0; i < lines; i++)
		contact_line(memory, contact, contact->several_count ? contact->several[i] : contact->message,
			     i == 0, &(*out)[(*count)++]);
}

bool memory_audit_contacts(struct store_reader *reader, struct audit_at *after, size_t limit,
			   struct audit_contact **out, size_t *count)
{
	struct memory *memory = memory_enter(reader);
	size_t found = 0;

	if (!memory)
		return false;
	const struct slots *table = &memory->tables[CONTACTS];
	const struct contact **list = xcalloc(table->size + 1, sizeof *list);
	for (size_t i = 0; i < table->size; i++)
		if (is_audited(table->at[i], after))
			list[found++] = table->at[i];
	if (found)
		qsort(list, found, sizeof *list, by_customer);
	for (size_t i = 0; i < found && i < limit; i++) {
		contact_lines(memory, list[i], out, count);
		after->customer = list[i]->customer;
		after->seq = list[i]->seq;
	}
	free(list);
	return memory_leave(memory);
}

static bool contact_has(const struct contact *contact, int64_t n)
{
	bool has = contact->message == n;

	for (size_t i = 0; i < contact->several_count; i++)
		has = has || contact->several[i] == n;
	return has;
}

bool memory_audit_messages(struct store_reader *reader, int64_t after, size_t limit,
			   struct audit_message **out, size_t *count)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	for (int64_t n = after + 1; *count < limit && n <= memory->numbers[NUMBER_MESSAGE]; n++) {
		const struct message_row *row = slots_get(&memory->tables[MESSAGES], n);
		if (!row)
			continue;
		const struct contact *contact = slots_get(&memory->tables[CONTACTS], row->contact);
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		struct audit_message *message = &(*out)[(*count)++];
		*message = (struct audit_message){.n = n,
						  .id = xstrdup(row->id),
						  .customer = row->customer,
						  .state = row->state,
						  .contact = row->contact,
						  .first_contact = 1,
						  .contact_there = contact != NULL};
		if (contact) {
			message->contact_state = contact->state;
			message->contact_customer = contact->customer;
			message->contact_has_it = contact_has(contact, n);
		}
	}
	return memory_leave(memory);
}

bool memory_audit_sum(struct store_reader *reader, struct counters *rows, struct counters *kept)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	for (int64_t n = 1; n <= memory->numbers[NUMBER_MESSAGE]; n++) {
		const struct message_row *row = slots_get(&memory->tables[MESSAGES], n);
		rows->admitted += row != NULL;
		if (row)
			rows->states[row->state]++;
	}
	numbers_counters(memory->numbers, kept);
	return memory_leave(memory);
}

bool memory_read_products(struct store_reader *reader, const char *hash, char **body)
{
	struct memory *memory = memory_enter(reader);

	if (!memory)
		return false;
	for (int64_t seq = memory->products; seq > 0 && !*body; seq--) {
		const struct change *change = slots_get(&memory->tables[CHANGES], seq);
		if (change && change->kind == CHANGE_PRODUCTS && strcmp(change->subject, hash) == 0)
			*body = xstrdup(slots_get(&memory->tables[PRODUCT_SETS], seq));
	}
	return memory_leave(memory);
}
