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

static void row_learns(struct message_row *row, const struct contact *contact, bool delivered)
{
	if (delivered) {
		row->best = STATE_DELIVERED;
		return;
	}
	if (!channel_list_has(row->rejected, contact->channel)) {
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
	work_reason(work, receipt->delivered ? REASON_receipt_delivered : REASON_receipt_rejected,
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
	bool latest = row->contact == contact->seq && row->state != STATE_QUEUED;
	bool again = !receipt->delivered && latest && waits_or_ended(row);
	struct work *work = work_add(turn, again ? WORK_AGAIN : WORK_SETTLED, row);

	if (!waits_or_ended(row))
		return work; /* it ended otherwise: the contact alone says it */
	row_learns(&work->row, contact, receipt->delivered);
	work_receipt_reason(work, receipt);
	if (receipt->delivered) {
		work_set_state(turn, work, STATE_DELIVERED);
		work->row.due = MOMENT_NEVER;
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

	turn->plan.waiting_touched = true;
	*out = work_of(turn, n);
	if (*out) { /* an outcome came in this very turn */
		row_learns(&(*out)->row, contact, receipt->delivered);
	} else if (flight) { /* the next channel has it: what it comes to counts from there */
		struct message_row *aloft = row_in_flight(flight, n);
		row_learns(aloft, contact, receipt->delivered);
		*out = work_add(turn, WORK_SETTLED, aloft);
	} else {
		ok = store_get_messages(turn->store, &n, 1, &row);
		if (ok && row.n)
			*out = receipt_at_rest(turn, &row, contact, receipt);
		message_row_release(&row);
	}
	return ok;
}

static bool receipt_apply(struct turn *turn, const struct contact *contact, const struct receipt *receipt)
{
	size_t count = contact->message ? 1 : contact->several_count;
	struct contact *ended = NULL;
	struct work *work;
	const char *customer = "";
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++) {
		int64_t n = contact->message ? contact->message : contact->several[i];
		ok = receipt_message(turn, n, contact, receipt, &work);
		if (!ok || !work || work->ended)
			continue;
		work->shares = ended != NULL;
		work->ended = xcalloc(1, sizeof *work->ended);
		contact_copy(contact, work->ended);
		work->ended->state = receipt->delivered ? STATE_DELIVERED : STATE_REJECTED;
		xreplace(&work->ended->code, receipt->code);
		xreplace(&work->ended->detail, receipt->text);
		ended = work->ended;
		customer = work->row.customer_id;
		if (work->row.state == STATE_DELIVERED && work->was != STATE_DELIVERED)
			work_event(turn, work, STATE_DELIVERED, work->ended);
	}
	if (ok && ended && receipt->address_dead && !receipt->delivered)
		ok = turn_address_dies(turn, contact->address, contact->channel, contact->customer, customer,
				       contact->provider);
	return ok;
}

static bool receipt_run(struct request *request, struct turn *turn)
{
	const struct receipt *receipt = ((struct receipt_request *)request)->receipt;
	struct contact contact = {0};
	bool ok = store_find_contact(turn->store, DIRECTION_OUT, receipt->provider, receipt->provider_ref,
				     &contact);

	if (ok && !contact.seq)
		request_refuse(request, 404, "receipt: nothing was sent by %s as %s", receipt->provider,
			       receipt->provider_ref);
	else if (ok)
		request->status = 200;
	/* said before, or settled: the first word stands, but that a better one may come */
	if (ok && (contact.state == STATE_SENT || contact.state == STATE_IN_DOUBT ||
		   (contact.state == STATE_REJECTED && receipt->delivered)))
		ok = receipt_apply(turn, &contact, receipt);
	contact_release(&contact);
	return ok;
}

int request_receipt(const struct turn_door *door, const struct receipt *receipt, struct text *problem)
{
	struct receipt_request asked = {.base = {.run = receipt_run}, .receipt = receipt};

	return request_run(door, &asked.base, NULL, problem);
}
