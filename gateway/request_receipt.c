/* Receipts: what a provider says later of what it took. The best that became of a message stands; a receipt
 * that says no has the next channel of the customer's list tried. */
#include <stdlib.h>
#include <string.h>

#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

struct receipt_request {
	struct request base;
	const struct receipt *receipt;
};

static struct message_row *row_in_flight(struct flight *flight, int64_t n)
{
	for (size_t i = 0; i < flight->others.count; i++)
		if (flight->others.rows[i].n == n)
			return &flight->others.rows[i];
	return &flight->row;
}

/* Did another channel than this one, perhaps, take it? */
static bool taken_elsewhere(const struct message_row *row, const char *channel)
{
	for (const char *at = row->waited; *at; at += strcspn(at, ","), at += *at == ',') {
		char *one = xmemdup0(at, strcspn(at, ","));
		bool other = strcmp(one, channel) != 0 && !channel_list_has(row->rejected, one);
		free(one);
		if (other)
			return true;
	}
	return false;
}

static void row_learns(struct message_row *row, const struct contact *contact, enum receipt_says says)
{
	if (says == RECEIPT_DELIVERED) {
		row->best = STATE_DELIVERED;
		return;
	}
	if (says == RECEIPT_REJECTED && !channel_list_has(row->rejected, contact->channel)) {
		char *list = *row->rejected ? xasprintf("%s,%s", row->rejected, contact->channel)
					    : xstrdup(contact->channel);
		free(row->rejected);
		row->rejected = list;
	}
	if (row->best == STATE_SENT && !taken_elsewhere(row, contact->channel))
		row->best = STATE_QUEUED;
}

static void work_receipt_reason(struct work *work, const struct receipt *receipt)
{
	static const enum reason_code codes[] = {[RECEIPT_DELIVERED] = REASON_receipt_delivered,
						 [RECEIPT_REJECTED] = REASON_receipt_rejected,
						 [RECEIPT_RETRY] = REASON_receipt_retry};

	work_reason(work, codes[receipt->says],
		    json_pack("{s:s, s:s}", "provider", receipt->provider, "code", receipt->code));
}

static bool waits_or_ended(const struct message_row *row)
{
	return row->state == STATE_SENT || row->state == STATE_IN_DOUBT ||
	       (row->best == STATE_SENT && (row->state == STATE_QUEUED || row->state == STATE_DEFERRED));
}

/* The message rests somewhere: its state follows the receipt. */
static struct work *receipt_at_rest(struct turn *turn, const struct message_row *row,
				    const struct contact *contact, const struct receipt *receipt)
{
	const bool delivered = receipt->says == RECEIPT_DELIVERED;
	bool latest = row->contact == contact->seq && row->state != STATE_QUEUED;
	bool again = !delivered && latest && waits_or_ended(row);
	struct work *work =
		work_add(turn, again && receipt->says == RECEIPT_REJECTED ? WORK_AGAIN : WORK_SETTLED, row);

	if (row->state == STATE_DELIVERED || (!delivered && !waits_or_ended(row)))
		return work; /* it ended otherwise: the contact alone says it */
	row_learns(&work->row, contact, receipt->says);
	work_receipt_reason(work, receipt);
	if (delivered) { /* whatever it had come to: it arrived */
		work_set_state(turn, work, STATE_DELIVERED);
		work->row.due = MOMENT_NEVER;
	} else if (again && receipt->says == RECEIPT_RETRY) {
		work_try_again(turn, work);
	} else if (again) {
		work_set_state(turn, work,
			       STATE_DEFERRED); /* no doubt and no waiting any more: it is chosen on */
	}
	return work;
}

/* The work on the message, whose row knows of the receipt. *out NULL: there is no such message. False: the
 * store failed. */
static bool receipt_message(struct turn *turn, int64_t n, const struct contact *contact,
			    const struct receipt *receipt, struct work **out)
{
	struct flight *flight = flight_aloft(turn, n);
	struct message_row row = {0};
	bool ok = true;

	*out = NULL;
	if (flight) { /* the next channel has it: what it comes to counts from there */
		struct message_row *aloft = row_in_flight(flight, n);
		row_learns(aloft, contact, receipt->says);
		*out = work_add(turn, WORK_SETTLED, aloft);
	} else {
		ok = store_get_messages(turn->store, &n, 1, &row);
		if (ok && row.n)
			*out = receipt_at_rest(turn, &row, contact, receipt);
		message_row_release(&row);
	}
	return ok;
}

static const int64_t *messages_of(const struct contact *contact, size_t *count)
{
	*count = contact->message ? 1 : contact->several_count;
	return contact->message ? &contact->message : contact->several;
}

/* Does this very turn deal with one of its messages already? */
static bool is_in_turn(struct turn *turn, const struct contact *contact)
{
	size_t count;
	const int64_t *messages = messages_of(contact, &count);
	bool in_turn = false;

	for (size_t i = 0; i < count; i++)
		in_turn = in_turn || work_of(turn, messages[i]);
	return in_turn;
}

static bool receipt_apply(struct turn *turn, const struct contact *contact, const struct receipt *receipt)
{
	static const enum state states[] = {[RECEIPT_DELIVERED] = STATE_DELIVERED,
					    [RECEIPT_REJECTED] = STATE_REJECTED,
					    [RECEIPT_RETRY] = STATE_RETRY};
	size_t count;
	const int64_t *messages = messages_of(contact, &count);
	struct contact *ended = NULL;
	struct work *work;
	const char *customer = "";
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++) {
		ok = receipt_message(turn, messages[i], contact, receipt, &work);
		if (!ok || !work)
			continue;
		work->shares = ended != NULL;
		work->ended = xcalloc(1, sizeof *work->ended);
		contact_copy(contact, work->ended);
		work->ended->state = states[receipt->says];
		xreplace(&work->ended->code, receipt->code);
		xreplace(&work->ended->detail, receipt->text);
		ended = work->ended;
		customer = work->row.customer_id;
		if (work->row.state != work->was && work->why == WORK_SETTLED)
			work_event(turn, work, work->row.state, work->ended);
	}
	if (ok && ended && receipt->address_dead && receipt->says == RECEIPT_REJECTED)
		ok = turn_address_dies(turn, contact->address, contact->channel, contact->customer, customer,
				       contact->provider);
	return ok;
}

/* Said before, or settled: the first word stands, but that a better one may come. */
static bool says_more(const struct contact *contact, enum receipt_says says)
{
	if (contact->state == STATE_REJECTED || contact->state == STATE_RETRY)
		return says == RECEIPT_DELIVERED;
	return contact->state == STATE_SENT || contact->state == STATE_IN_DOUBT;
}

bool receipt_take(struct turn *turn, const struct receipt *receipt, const struct contact *contact)
{
	if (contact->state == STATE_SENDING)
		return receipt_keep(turn, receipt, contact->seq);
	if (!says_more(contact, receipt->says))
		return true;
	if (is_in_turn(turn, contact))
		return receipt_keep_for_next(turn, receipt, contact->seq);
	return receipt_apply(turn, contact, receipt);
}

static void receipt_stripes(struct request *request, struct turn *turn)
{
	const struct receipt *receipt = ((struct receipt_request *)request)->receipt;

	stripe_receipt(turn, receipt->provider_ref, receipt->contact);
}

static bool receipt_run(struct request *request, struct turn *turn)
{
	const struct receipt *receipt = ((struct receipt_request *)request)->receipt;
	struct contact contact;
	bool ok = receipt_contact(turn, receipt->provider, receipt->provider_ref, receipt->contact, &contact);

	request->status = contact.seq && contact.state != STATE_SENDING ? 200 : 202;
	if (ok && contact.seq)
		ok = receipt_take(turn, receipt, &contact);
	else if (ok && *receipt->provider_ref)
		ok = receipt_keep(turn, receipt, 0);
	contact_release(&contact);
	return ok;
}

int request_receipt(const struct turn_door *door, const struct receipt *receipt, struct text *problem)
{
	struct receipt_request asked = {.base = {.run = receipt_run, .stripes = receipt_stripes},
					.receipt = receipt};

	return request_run(door, &asked.base, NULL, problem);
}
