/* Claiming: a message becomes `sending`, with the contact and the attempt that go with it; a digest takes all
 * that is due with it. */
#include <stdlib.h>
#include <string.h>

#include "registry.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define DIGEST_MAX 100       /* messages in one contact; the rest goes in the next */
#define DIGEST_SLICE 200     /* rows that wait and are read at once to fill it */
#define DIGEST_LOOK_MAX 2000 /* and in all */

static const char *first_text(const char *a, const char *b, const char *c)
{
	return a && *a ? a : b && *b ? b : c;
}

static struct attempt *attempt_make(struct turn *turn, struct work *work, const struct outlet *outlet,
				    const struct decision *decision, const struct product *product)
{
	struct attempt *attempt = xcalloc(1, sizeof *attempt);
	const struct message *message = work_message(work);
	const struct customer *customer = work->facts.customer;
	const struct config *config = turn->config;

	attempt->channel = outlet->channel;
	attempt->epoch = work->row.epoch;
	attempt->number = work->row.attempts;
	attempt->message_id = xstrdup(work->row.id);
	attempt->customer_id = xstrdup(customer->id);
	attempt->customer_name = xstrdup(customer->name);
	attempt->product = xstrdup(product->name);
	attempt->locale = xstrdup(first_text(message->locale, customer->locale, config->customers.locale));
	attempt->address = xstrdup(decision->address->value);
	attempt->address_details = xstrdup(decision->address->details);
	attempt->product_title = xstrdup(product_title(product, attempt->locale, config->customers.locale));
	attempt->traceparent = xstrdup(message->traceparent);
	attempt->templates = templates_hold(config->templates);
	attempt->links = link_keys_hold(config->links);
	attempt->customer = customer->n;
	attempt->may_stop = product->may_stop;
	attempt->template = *message->template ? templates_find(config->templates, message->template) : NULL;
	/* shared with another thread: nobody changes them, and Jansson's counts are atomic */
	attempt->content = json_incref(message->content);
	attempt->data = json_incref(message->data);
	attempt->meta = json_incref(message->meta);
	attempt->content_kept = product->content;
	attempt->lease_until = turn->mono + config->gateway.lease;
	attempt->begin_before = decision->before;
	atomic_init(&attempt->phase, ATTEMPT_HANDED);
	return attempt;
}

/* The row's side of a claim. */
static void row_claim(struct turn *turn, struct work *work, const struct outlet *outlet)
{
	struct message_row *row = &work->row;

	if (work->was == STATES && row->state == STATES) {
		work_set_state(turn, work, STATE_QUEUED);
		work_event(turn, work, STATE_QUEUED, NULL);
	}
	row_queued(row, turn->now);
	row->due = MOMENT_NEVER;
	row->claimed.give_up_at = row->give_up_at;
	row->claimed.fault_since = row->fault_since;
	row->claimed.wait_since = row->wait_since;
	row->claimed.wait_until = row->wait_until;
	row_fault_over(row, turn->now);
	if (!row->give_up_at)
		row->give_up_at = turn->now + outlet->config->retry.give_up_after;
	row->epoch++;
	row->attempts++;
	row->tries++;
	row->lease = turn->now + turn->config->gateway.lease;
	row->gateway = turn->gateway;
	xreplace(&row->waits_for, "");
	xreplace(&row->channel, outlet->config->name);
	work_set_state(turn, work, STATE_SENDING);
}

static struct contact *contact_claim(struct turn *turn, struct work *work, const struct outlet *outlet,
				     const struct decision *decision)
{
	const struct reason *why = &decision->reasons.list[decision->reasons.count - 1];
	const struct preference *preference = decision->preference;
	const char *template = decision->digest ? TEMPLATE_DIGEST : work->row.template;
	const struct template *found = *template ? templates_find(turn->config->templates, template) : NULL;
	struct contact *contact = xcalloc(1, sizeof *contact);

	*contact = (struct contact){
		.at = turn->now,
		.customer = work->row.customer,
		.message = work->row.n,
		.direction = DIRECTION_OUT,
		.state = STATE_SENDING,
		.attempt = work->row.attempts,
		.captured = outlet->config->captured_by == registry_capture(),
		.address = decision->address->n,
		.address_seq = decision->address->seq,
		.customer_seq = work->facts.customer->seq,
		.products_seq = turn->config->products->seq,
		.preference = preference ? preference->version : 0,
		.preference_seq = preference ? preference->seq : 0,
		.product = work->row.product,
		.channel = (char *)outlet->config->name,
		.provider = (char *)outlet->config->provider,
		.template = (char *)template,
		.template_hash = found ? (char *)template_hash(found) : NULL,
		.reason = (char *)reason_code_name(why->code),
		.reason_args = why->args,
	};
	contact_gather(contact);
	return contact;
}

/* --- digests --- */

static void item_make(struct turn *turn, struct work *work, struct attempt *attempt)
{
	const struct message *message = work_message(work);
	struct attempt_item *item = &attempt->items[attempt->item_count++];

	*item = (struct attempt_item){
		.message = work->row.n,
		.message_id = xstrdup(work->row.id),
		.locale = xstrdup(*message->locale ? message->locale : attempt->locale),
		.template = *message->template ? templates_find(turn->config->templates, message->template)
					       : NULL,
		.content = json_incref(message->content),
		.data = json_incref(message->data),
	};
}

/* In one digest before: put off or in doubt, they go together again, though each has its own pause. */
static bool went_with(const struct work *lead, const struct message_row *row)
{
	return row->contact && row->contact == lead->row.contact;
}

static bool is_due(const struct turn *turn, const struct work *lead, const struct message_row *row)
{
	return row->due == MOMENT_NEVER || row->due <= turn->now || went_with(lead, row);
}

/* May it go in the contact of `lead`? It is due, not held, and chosen in the same way; a doubt goes again
 * with those that it went with. *before: it may not begin later. False: the store failed. */
static bool may_follow(struct turn *turn, const struct work *lead, struct work *work,
		       const struct decision *of_lead, bool *may, int64_t *before)
{
	const struct message_row *row = &work->row;
	const struct reasons *why = &of_lead->reasons;
	bool again = why->list[why->count - 1].code == REASON_doubt_resend;
	struct decision decision = {0};

	*may = false;
	if (row->customer != lead->row.customer || strcmp(row->product, lead->row.product) != 0 ||
	    (row->state == STATE_IN_DOUBT) != again || (again && !went_with(lead, row)) ||
	    !is_due(turn, lead, row) || !work_message(work) || holds_cancel(turn, row) ||
	    holds_stop(turn, row, NULL, NULL))
		return true;
	/* the contact counts once in a cap: its first message does */
	bool ok = work_decide(turn, work, &lead->facts, false, &decision);
	*may = ok && decision.kind == CHOOSE_SEND && decision.digest &&
	       row->purpose == lead->row.purpose && /* else they count in other caps */
	       strcmp(decision.channel, of_lead->channel) == 0 && decision.address == of_lead->address;
	*before = decision.before;
	reasons_release(&decision.reasons);
	return ok;
}

/* It may not begin later than `before`, and so the contact may not. */
static void follow(struct turn *turn, struct work *lead, struct work *work, int64_t before)
{
	work->placed = true;
	work->lead = lead;
	work->outlet = lead->outlet;
	free(work->row.reasons);
	work->row.reasons = xstrdup(lead->row.reasons);
	xreplace(&work->row.wait_channel, lead->row.wait_channel);
	work->row.wait_since = lead->row.wait_since;
	work->row.wait_until = lead->row.wait_until;
	work->row.due = MOMENT_NEVER; /* what it stood is in those of the lead */
	caps_share(lead, work);
	row_claim(turn, work, lead->outlet);
	work->row.wait_since = lead->row.wait_since;
	work->row.wait_until = lead->row.wait_until;
	item_make(turn, work, lead->attempt);
	if (before < lead->attempt->begin_before)
		lead->attempt->begin_before = before;
	lead->followers++;
}

/* Of the rows that wait. */
static bool gather_rows(struct turn *turn, struct work *lead, const struct decision *decision,
			const struct message_rows *rows)
{
	bool ok = true, may;
	int64_t before;

	for (size_t i = 0; ok && i < rows->count && lead->followers + 1 < DIGEST_MAX; i++) {
		const struct message_row *row = &rows->rows[i];
		if (!is_due(turn, lead, row) || strcmp(row->product, lead->row.product) != 0 ||
		    work_of(turn, row->n))
			continue;
		struct work *work = work_add(turn, WORK_DUE, row);
		ok = may_follow(turn, lead, work, decision, &may, &before);
		if (ok && may) {
			follow(turn, lead, work, before);
		} else {
			work->placed = work->unchanged = true; /* its own turn comes */
		}
	}
	return ok;
}

/* What is due with it: in this turn, or in the store. */
static bool gather(struct turn *turn, struct work *lead, const struct decision *decision)
{
	bool ok = true, may;
	int64_t after = 0, before;

	for (struct work *work = turn->plan.first; ok && work && lead->followers + 1 < DIGEST_MAX;
	     work = work->next) {
		if (work == lead || work->placed || work->why == WORK_NEW ||
		    (work->why == WORK_SETTLED && !work->heir))
			continue;
		ok = may_follow(turn, lead, work, decision, &may, &before);
		if (ok && may)
			follow(turn, lead, work, before);
	}
	for (size_t looked = 0; ok && looked < DIGEST_LOOK_MAX && after != MOMENT_NEVER;
	     looked += DIGEST_SLICE) {
		struct message_rows rows = {0};
		ok = store_waiting_of(turn->store, lead->row.customer, after, DIGEST_SLICE, &rows) &&
		     gather_rows(turn, lead, decision, &rows);
		bool more = rows.count == DIGEST_SLICE && lead->followers + 1 < DIGEST_MAX;
		after = more ? rows.rows[rows.count - 1].n : MOMENT_NEVER;
		message_rows_release(&rows);
	}
	return ok;
}

static int by_message(const void *a, const void *b)
{
	int64_t left = ((const struct attempt_item *)a)->message;
	int64_t right = ((const struct attempt_item *)b)->message;

	return (left > right) - (left < right);
}

static bool digest_make(struct turn *turn, struct work *lead, const struct decision *decision)
{
	struct attempt *attempt = lead->attempt;

	attempt->items = xcalloc(DIGEST_MAX, sizeof *attempt->items);
	item_make(turn, lead, attempt);
	bool ok = gather(turn, lead, decision);
	/* it has the id of its first message, on every attempt */
	qsort(attempt->items, attempt->item_count, sizeof *attempt->items, by_message);
	xreplace(&attempt->message_id, attempt->items[0].message_id);
	attempt->template = templates_find(turn->config->templates, TEMPLATE_DIGEST);
	json_decref(attempt->content);
	json_decref(attempt->data);
	attempt->content = NULL;
	attempt->data = json_object();
	return ok;
}

/* Each of them says with how many it went, and has its own events. */
static void digest_tell(struct turn *turn, struct work *lead)
{
	for (struct work *work = turn->plan.first; work && lead->followers; work = work->next)
		if (work == lead || work->lead == lead)
			work_reason(work, REASON_in_digest,
				    json_pack("{s:i}", "count", (int)lead->followers + 1));
	for (struct work *work = turn->plan.first; work && lead->followers; work = work->next)
		if (work->lead == lead)
			work_event(turn, work, STATE_SENDING, lead->contact);
}

bool work_claim(struct turn *turn, struct work *work, struct outlet *outlet, const struct decision *decision,
		const struct product *product)
{
	bool ok = caps_count(turn, work, work->facts.customer, product);

	row_claim(turn, work, outlet);
	outlet->credit--;
	outlet->budget -= outlet->budget > 0;
	outlet->claimed++;
	work->probe = outlet->breaker.open;
	work->contact = contact_claim(turn, work, outlet, decision);
	work->outlet = outlet;
	work->attempt = attempt_make(turn, work, outlet, decision, product);
	if (ok && decision->digest)
		ok = digest_make(turn, work, decision);
	work_event(turn, work, STATE_SENDING, work->contact);
	digest_tell(turn, work);
	return ok;
}
