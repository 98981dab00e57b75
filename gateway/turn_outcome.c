/* Outcomes: what became of each attempt is recorded, and decides what follows: the end, another try, the next
 * channel of the customer's list, or a provider that is at fault. Also what a crash left behind, and
 * call-backs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "inbound_private.h"
#include "log.h"
#include "xalloc.h"
#include "banned.h"

#define RECOVER_MAX 500 /* rows a turn */

static uint64_t turn_random(struct turn *turn)
{
	/* xorshift64: for jitter only */
	turn->random ^= turn->random << 13;
	turn->random ^= turn->random >> 7;
	turn->random ^= turn->random << 17;
	return turn->random;
}

void contact_outcome(struct contact *contact, enum state state, const struct outcome *outcome)
{
	contact->state = state;
	if (!outcome)
		return;
	xreplace(&contact->code, outcome->code);
	xreplace(&contact->detail, outcome->text);
	xreplace(&contact->provider_ref, outcome->provider_ref);
	xreplace(&contact->summary, outcome->summary ? outcome->summary : "");
	xreplace(&contact->content, outcome->content ? outcome->content : "");
	contact->segments = outcome->segments;
}

/* The contact of the attempt, to be saved with its outcome. */
static void work_end_contact(struct work *work, enum state state, const struct outcome *outcome)
{
	work->ended = xcalloc(1, sizeof *work->ended);
	if (work->flight->contact.words)
		contact_share(&work->flight->contact, work->ended);
	else
		contact_copy(&work->flight->contact, work->ended);
	contact_outcome(work->ended, state, outcome);
}

/* With what every outcome says of its attempt. NULL: nobody can say. */
static void outcome_reason(struct work *work, enum reason_code code, const struct outcome *outcome)
{
	const struct contact *contact = &work->flight->contact;
	struct text args;

	if (!outcome) {
		work_reason(work, code, NULL);
		return;
	}
	text_init(&args, TEXT_ERROR_MAX);
	text_puts(&args, "{\"channel\":");
	text_json(&args, contact->channel);
	text_puts(&args, ",\"provider\":");
	text_json(&args, *contact->provider ? contact->provider : contact->channel);
	text_puts(&args, ",\"attempt\":");
	text_number(&args, contact->attempt);
	text_puts(&args, ",\"code\":");
	text_json(&args, outcome->code);
	text_putc(&args, '}');
	work_reason_text(work, code, args.full ? "{}" : args.data);
	text_release(&args);
}

static void work_retry_at(struct turn *turn, struct work *work, enum state state, int64_t due)
{
	if (work->row.give_up_at && due > work->row.give_up_at)
		due = work->row.give_up_at;
	work_set_state(turn, work, state);
	bool gone = !config_channel(turn->config, work->row.channel); /* since it was handed over */
	xreplace(&work->row.waits_for, gone ? "" : work->row.channel);
	/* then the next channel has its turn */
	if (work->row.wait_until && due > work->row.wait_until && !work->row.fault_since)
		due = work->row.wait_until > turn->now ? work->row.wait_until : turn->now;
	work->row.due = gone ? turn->now : due;
	line_waits(turn, work->row.waits_for, work->row.due);
	expiry_waits(turn, &work->row);
}

static int64_t next_try(struct turn *turn, const struct work *work, int64_t asked)
{
	const struct channel_config *config = config_channel(turn->config, work->row.channel);

	return !config ? turn->now
		       : turn->now + backoff_pause(&config->retry, work->row.tries, asked, turn_random(turn));
}

bool gives_receipts(const struct turn *turn, const char *channel, const char *provider)
{
	struct line *line = line_find(turn, channel);
	const struct outlet *outlet = line ? line_find_outlet(line, provider) : NULL;

	return outlet && outlet->config->receipts;
}

void work_try_again(struct turn *turn, struct work *work)
{
	work_retry_at(turn, work, STATE_DEFERRED, next_try(turn, work, 0));
}

static void outcome_accepted(struct turn *turn, struct work *work, const struct outcome *outcome)
{
	struct message_row *row = &work->row;
	enum state state = outcome->delivered ? STATE_DELIVERED : STATE_SENT;

	work_end_contact(work, state, outcome);
	outcome_reason(work, REASON_accepted, outcome);
	state = row_rests(row, state);
	row->best = state;
	work_set_state(turn, work, state);
	if (state == STATE_SENT && gives_receipts(turn, row->channel, work->flight->contact.provider) &&
	    row->wait_until) {
		/* without a receipt by then, the next channel is tried */
		xreplace(&row->waits_for, "");
		row->due = row->wait_until;
		line_waits(turn, "", row->due);
		expiry_waits(turn, row);
	}
	work_event(turn, work, state, work->ended);
}

/* Only where there is a provider: without a breaker nothing would hold the message. */
static bool is_providers_fault(const struct turn *turn, const struct work *work,
			       const struct outcome *outcome)
{
	const struct channel_config *config = config_channel(turn->config, work->row.channel);

	return outcome->kind == OUTCOME_RETRY && outcome->scope == SCOPE_PROVIDER && config &&
	       config->ops->has_provider;
}

/* The company sends faster than its provider has agreed to: that is not the customer's to pay for. */
static bool is_over_rate(const struct turn *turn, const struct work *work, const struct outcome *outcome)
{
	const struct channel_config *config = config_channel(turn->config, work->row.channel);

	return config && config->ops->has_provider && strncmp(outcome->code, "429", 3) == 0;
}

static void outcome_retry(struct turn *turn, struct work *work, const struct outcome *outcome)
{
	enum state state =
		work->flight->resend ? STATE_IN_DOUBT : STATE_DEFERRED; /* a doubt is not forgotten */

	work_end_contact(work, STATE_RETRY, outcome);
	if (work->row.best == STATE_DELIVERED) { /* an earlier channel's receipt came meanwhile */
		work->why = WORK_AGAIN;
		return;
	}
	if (is_providers_fault(turn, work, outcome)) {
		/* nothing of this counts against the message */
		work->row.attempts--;
		work->row.tries--;
		work->row.fault_since = work->flight->claimed_at;
		outcome_reason(work, REASON_provider_at_fault, outcome);
		work_retry_at(turn, work, state,
			      turn->now); /* the breaker holds it, for as long as was asked for */
	} else {
		int64_t due = next_try(turn, work, outcome->retry_after);
		outcome_reason(work, REASON_retry, outcome);
		if (is_over_rate(turn, work, outcome))
			row_wait_longer(&work->row, due - work->flight->claimed_at);
		work_retry_at(turn, work, state, due);
	}
	work_event(turn, work, state, work->ended);
}

/* False: the store failed. */
static bool outcome_rejected(struct turn *turn, struct work *work, const struct outcome *outcome)
{
	struct contact *contact;
	bool ok = true;

	work_end_contact(work, STATE_REJECTED, outcome);
	contact = work->ended;
	if (outcome->scope == SCOPE_ADDRESS) {
		outcome_reason(work, REASON_address_died, outcome);
		ok = work->shares ||
		     turn_address_dies(turn, contact->address, contact->channel, work->row.customer,
				       work->row.customer_id, contact->provider);
	} else {
		outcome_reason(work, REASON_rejected, outcome);
		char *list = *work->row.rejected ? xasprintf("%s,%s", work->row.rejected, contact->channel)
						 : xstrdup(contact->channel);
		free(work->row.rejected);
		work->row.rejected = list;
	}
	work->why = WORK_AGAIN;
	if (work->flight->resend)
		work_set_state(turn, work, STATE_IN_DOUBT); /* what was in doubt before still is */
	return ok;
}

static void outcome_in_doubt(struct turn *turn, struct work *work, const struct outcome *outcome,
			     enum reason_code why)
{
	const struct channel_config *config = config_channel(turn->config, work->row.channel);

	work_end_contact(work, STATE_IN_DOUBT, outcome);
	if (work->row.best == STATE_DELIVERED) {
		work->why = WORK_AGAIN;
		return;
	}
	outcome_reason(work, why, outcome);
	if (config && config->resend_in_doubt) {
		work_reason(work, REASON_doubt_resend, json_pack("{s:s}", "channel", work->row.channel));
		work_retry_at(turn, work, STATE_IN_DOUBT,
			      next_try(turn, work, outcome ? outcome->retry_after : 0));
	} else {
		work_reason(work, REASON_doubt_held, json_pack("{s:s}", "channel", work->row.channel));
		/* what an earlier channel came to is more than a doubt */
		work_set_state(turn, work, row_rests(&work->row, STATE_IN_DOUBT));
		work->row.due = MOMENT_NEVER;
	}
	work_event(turn, work, work->row.state, work->ended);
}

static bool outcome_unsendable(struct turn *turn, struct work *work, const struct outcome *outcome)
{
	enum state state = row_rests(&work->row, work->flight->resend ? STATE_IN_DOUBT : STATE_FAILED);

	work_end_contact(work, STATE_REJECTED, outcome);
	work_reason(work, REASON_unsendable,
		    json_pack("{s:s, s:s}", "channel", work->row.channel, "error", outcome->text));
	work_set_state(turn, work, state);
	work_event(turn, work, state, work->ended);
	return state != STATE_FAILED || caps_release(turn, work);
}

/* It never left: as if it had not been claimed. */
static void outcome_not_begun(struct turn *turn, struct work *work, const struct outcome *outcome)
{
	bool ours = outcome && strcmp(outcome->code, OUTCOME_CODE_DESCRIPTORS) == 0;

	work_end_contact(work, STATE_CALLED_BACK, ours ? outcome : NULL);
	if (ours)
		turn_no_descriptors(turn);
	work->row.attempts--;
	work->row.tries--;
	/* its clocks did not run: nothing was tried */
	work->row.give_up_at = work->row.claimed.give_up_at;
	work->row.fault_since = work->row.claimed.fault_since;
	work->row.wait_since = work->row.claimed.wait_since;
	work->row.wait_until = work->row.claimed.wait_until;
	work->why = WORK_AGAIN;
	if (work->flight->resend)
		work_set_state(turn, work, STATE_IN_DOUBT);
}

/* The provider works, and asks for less. */
static bool asks_for_less(const struct outcome *outcome)
{
	static const char *const codes[] = {"421", "429", "450"};
	bool says = outcome->retry_after > 0;

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		says = says || strncmp(outcome->code, codes[i], 3) == 0;
	return outcome->kind == OUTCOME_RETRY && says;
}

static void note_verdict(struct turn *turn, const struct work *work, const struct outcome *outcome)
{
	struct line *line = line_find(turn, work->row.channel);
	struct outlet *outlet = line ? line_find_outlet(line, work->flight->contact.provider) : NULL;

	if (!outlet || !line->config->ops->has_provider)
		return;
	bool fault = is_providers_fault(turn, work, outcome);
	bool says_nothing = outcome->kind == OUTCOME_NOT_BEGUN || outcome->kind == OUTCOME_IN_DOUBT ||
			    outcome->kind == OUTCOME_UNSENDABLE;
	if ((fault && outlet->breaker.open && !work->flight->probe) || (says_nothing && !work->flight->probe))
		return; /* handed over before it opened: only the probe's word lets the next one go */
	if (fault)
		plan_note(turn, line, outlet, NOTE_FAULT,
			  strncmp(outcome->code, "401", 3) == 0 || strncmp(outcome->code, "403", 3) == 0 ||
					  strncmp(outcome->code, "535", 3) == 0
				  ? BREAKER_CREDENTIALS
				  : BREAKER_DOWN,
			  outcome->retry_after);
	else if (asks_for_less(outcome))
		plan_note(turn, line, outlet, NOTE_PACE, BREAKER_DOWN, outcome->retry_after);
	else
		plan_note(turn, line, outlet, says_nothing ? NOTE_NO_VERDICT : NOTE_OK, BREAKER_DOWN, 0);
}

/* False: the store failed. */
static bool work_outcome(struct turn *turn, struct work *work, const struct outcome *outcome)
{
	switch (outcome->kind) {
	case OUTCOME_ACCEPTED:
		outcome_accepted(turn, work, outcome);
		break;
	case OUTCOME_RETRY:
		outcome_retry(turn, work, outcome);
		break;
	case OUTCOME_REJECTED:
		return outcome_rejected(turn, work, outcome);
	case OUTCOME_IN_DOUBT:
		outcome_in_doubt(turn, work, outcome, REASON_in_doubt);
		break;
	case OUTCOME_UNSENDABLE:
		return outcome_unsendable(turn, work, outcome);
	case OUTCOME_NOT_BEGUN:
		outcome_not_begun(turn, work, outcome);
		break;
	}
	return true;
}

struct work *flight_works(struct turn *turn, struct flight *flight, enum work_why why)
{
	struct work *first = work_add(turn, why, &flight->row);

	flight->in_turn = true;
	first->flight = flight;
	first->row.lease = 0;
	for (size_t i = 0; i < flight->others.count; i++) {
		struct work *work = work_add(turn, why, &flight->others.rows[i]);
		work->flight = flight;
		work->shares = true;
		work->row.lease = 0;
	}
	return first;
}

bool flight_has(const struct flight *flight, int64_t n)
{
	bool has = flight->row.n == n;

	for (size_t i = 0; i < flight->others.count; i++)
		has = has || flight->others.rows[i].n == n;
	return has;
}

struct flight *flight_aloft(const struct turn *turn, int64_t n)
{
	for (struct flight *flight = turn->flights; flight; flight = flight->next)
		if (!flight->in_turn && !flight->lost && flight->state != FLIGHT_RESOLVED &&
		    flight_has(flight, n))
			return flight;
	return NULL;
}

static bool outcome_apply(struct turn *turn, struct flight *flight)
{
	const struct outcome *outcome = &flight->attempt->outcome;
	struct work *work = flight_works(turn, flight, WORK_SETTLED);
	bool ok = true;

	note_verdict(turn, work, outcome);
	for (; ok && work && work->flight == flight; work = work->next)
		ok = work_outcome(turn, work, outcome);
	return ok;
}

bool outcomes_take(struct turn *turn)
{
	bool ok = true;

	for (int late = 0; late < 2; late++) /* after those that it may be about */
		for (struct attempt *attempt = turn->outcomes; ok && attempt; attempt = attempt->next) {
			struct flight *flight = attempt->turn_private;
			if (flight->state != FLIGHT_RESOLVED && !flight->in_turn &&
			    flight->lost == (late != 0))
				ok = late ? outcome_late(turn, flight) : outcome_apply(turn, flight);
		}
	return ok;
}

struct work *flight_call_back(struct turn *turn, struct flight *flight)
{
	if (flight->in_turn || flight->state == FLIGHT_RESOLVED)
		return NULL;
	if (flight->state == FLIGHT_ALOFT && !attempt_call_back(flight->attempt))
		return NULL;
	flight->state = FLIGHT_CALLED_BACK;
	if (flight->lost) /* its row is another's: its report says that it did not begin */
		return NULL;
	struct work *first = flight_works(turn, flight, WORK_AGAIN);
	struct line *line = line_find(turn, first->row.channel);
	struct outlet *outlet = line ? line_find_outlet(line, flight->contact.provider) : NULL;
	if (outlet && flight->probe)
		plan_note(turn, line, outlet, NOTE_NO_VERDICT, BREAKER_DOWN, 0);
	for (struct work *work = first; work && work->flight == flight; work = work->next)
		outcome_not_begun(turn, work, NULL);
	return first;
}

void flights_stop(struct turn *turn)
{
	for (struct flight *flight = turn->flights; flight; flight = flight->next)
		if (flight->state == FLIGHT_ALOFT && attempt_call_back(flight->attempt))
			flight->state = FLIGHT_CALLED_BACK;
}

void flights_call_back_if(struct turn *turn, bool (*wants)(const struct flight *, const void *context),
			  const void *context)
{
	for (struct flight *flight = turn->flights; flight; flight = flight->next)
		if (wants(flight, context))
			flight_call_back(turn, flight);
}

struct touch {
	int64_t customer;
	const struct touched *touched;
};

static bool is_touched(const struct flight *flight, const void *context)
{
	const struct touch *touch = context;

	return (!touch->customer || flight->row.customer == touch->customer) &&
	       touched_has(touch->touched, flight->row.product);
}

void flights_call_back(struct turn *turn, int64_t customer, const struct touched *touched)
{
	flights_call_back_if(turn, is_touched, &(const struct touch){customer, touched});
}

/* *lives is false where it is dead already, or stopped, which outlasts any put. */
static bool address_lives(struct turn *turn, int64_t address, const char *customer_id, bool *lives)
{
	struct customer *customer = NULL;
	bool ok = store_get_customer(turn->store, customer_id, &customer);

	for (size_t i = 0; customer && i < customer->address_count; i++)
		if (customer->addresses[i].n == address)
			*lives = customer->addresses[i].state == ADDRESS_OK;
	customer_free(customer);
	return ok;
}

static void died_event(struct turn *turn, const char *customer_id, const char *channel, const char *provider)
{
	struct text data;

	text_init(&data, 4096);
	text_puts(&data, "{\"customer\":");
	text_json(&data, customer_id);
	text_puts(&data, ",\"channel\":");
	text_json(&data, channel);
	if (*provider) {
		text_puts(&data, ",\"provider\":");
		text_json(&data, provider);
	}
	text_putc(&data, '}');
	event_add(turn, "heed.address.dead", customer_id, data.data);
	text_release(&data);
}

/* To the others who have the address. */
static bool died_for_others(struct turn *turn, int64_t address, int64_t customer, const char *channel,
			    const char *provider)
{
	int64_t *owners = NULL;
	size_t count = 0;
	bool ok = store_customers_of_address(turn->store, address, &owners, &count);

	for (size_t i = 0; ok && i < count && i < INBOUND_OWNERS_MAX; i++) {
		struct customer *owner = NULL;
		if (owners[i] == customer)
			continue;
		ok = customer_numbered(turn, owners[i], &owner);
		if (owner)
			died_event(turn, owner->id, channel, provider);
		customer_free(owner);
	}
	free(owners);
	return ok;
}

bool turn_address_dies(struct turn *turn, int64_t address, const char *channel, int64_t customer,
		       const char *customer_id, const char *provider)
{
	struct change change = {.kind = CHANGE_ADDRESS,
				.at = turn->now,
				.given_at = turn->now,
				.customer = customer,
				.address = address,
				.subject = (char *)channel,
				.by = (char *)"gateway",
				.actor = (char *)"",
				.source = (char *)provider,
				.evidence = (char *)"",
				.old_value = (char *)"\"ok\"",
				.new_value = (char *)"\"dead\""};
	struct change *const changes[] = {&change};
	bool lives = true;

	if (!address_lives(turn, address, customer_id, &lives))
		return false;
	if (!address || !lives)
		return true;
	if (!store_append_changes(turn->store, changes, 1) ||
	    !store_set_address_state(turn->store, address, ADDRESS_DEAD, change.seq))
		return false;
	died_event(turn, customer_id, channel, provider);
	return died_for_others(turn, address, customer, channel, provider);
}

/* --- after a crash --- */

/* It is sure that nothing of it left: it is chosen for again, as if it had been called back. */
static void recover_unbegun(struct turn *turn, struct work *work)
{
	bool resend = strcmp(work->flight->contact.reason, reason_code_name(REASON_doubt_resend)) == 0;

	work_end_contact(work, STATE_CALLED_BACK, NULL);
	work->row.attempts--;
	work->row.tries--;
	work->why = WORK_AGAIN;
	if (resend) /* what was in doubt before still is */
		work_set_state(turn, work, STATE_IN_DOUBT);
}

/* One message whose sender is gone, or may be. *doubts counts those in doubt. */
static bool recover_one(struct turn *turn, const struct message_row *row, bool start, size_t *doubts)
{
	struct flight *gone = xcalloc(1, sizeof *gone);
	struct contact contact = {0};
	bool ours = store_is_alone(turn->store) || row->gateway == turn->gateway;
	bool ok = store_get_contacts(turn->store, &row->contact, 1, &contact);

	contact_copy(&contact, &gone->contact);
	contact_release(&contact);
	struct work *work = work_add(turn, WORK_SETTLED, row);
	work->flight = gone;
	work->row.lease = 0;
	work->row.epoch++; /* whatever its sender still reports is late */
	if (start && ours && begun_says_no(turn->begun, gone->contact.seq, gone->contact.at)) {
		recover_unbegun(turn, work);
	} else {
		++*doubts;
		outcome_in_doubt(turn, work, NULL, ours ? REASON_doubt_after_crash : REASON_doubt_taken_over);
	}
	work->flight = NULL;
	if (!work->ended->seq) { /* no such contact: nothing to save */
		contact_release(work->ended);
		free(work->ended);
		work->ended = NULL;
	}
	contact_release(&gone->contact);
	free(gone);
	return ok;
}

/* Ours, by the store, but nothing here is about it. */
static bool is_orphan(const struct turn *turn, const struct message_row *row)
{
	bool orphan = row->lease < turn->now;

	for (const struct flight *flight = turn->flights; orphan && flight; flight = flight->next)
		orphan = !flight_has(flight, row->n);
	return orphan;
}

/* What is `sending` as ours stays so for as long as we are alive: nobody takes it over. So whatever was
 * missed, at a start beside others who were at it or otherwise, is found here, once a lease. */
static bool recover_orphans(struct turn *turn)
{
	struct message_rows rows = {0};
	size_t doubts = 0;
	bool ok = true;

	if (turn->now >= turn->orphans_looked &&
	    turn->now - turn->orphans_looked < turn->config->gateway.lease)
		return true;
	do {
		int64_t after = rows.count ? rows.rows[rows.count - 1].n : 0;
		message_rows_release(&rows);
		ok = store_abandoned(turn->store, turn->gateway, turn->now, 0, after, RECOVER_MAX, &rows);
		for (size_t i = 0; ok && i < rows.count; i++)
			if (is_orphan(turn, &rows.rows[i]))
				ok = recover_one(turn, &rows.rows[i], false, &doubts);
	} while (ok && rows.count == RECOVER_MAX);
	message_rows_release(&rows);
	if (ok && doubts)
		log_warn("%zu messages were being sent by this gateway, which knows nothing of them: they "
			 "are in "
			 "doubt",
			 doubts);
	if (ok)
		turn->orphans_looked = turn->now;
	return ok;
}

/* Whoever was sending it is gone, or silent for too long. What may have begun is in doubt. */
bool recover_take(struct turn *turn)
{
	struct message_rows rows = {0};
	bool start = turn->recovered != MOMENT_NEVER;
	int64_t whose = !start ? 0 : store_is_alone(turn->store) ? GATEWAY_ANY : turn->gateway;
	size_t doubts = 0;

	if (!start && !turn->look_for_abandoned)
		return true;
	if (!store_abandoned(turn->store, whose, turn->now, turn->now - turn->config->gateway.lease,
			     start ? turn->recovered : 0, RECOVER_MAX, &rows))
		return false;
	bool ok = true;
	for (size_t i = 0; ok && i < rows.count; i++)
		ok = recover_one(turn, &rows.rows[i], start, &doubts);
	if (ok && rows.count)
		log_warn("%zu messages were being sent when their gateway ended or fell silent: %zu are in "
			 "doubt, "
			 "the others had not begun",
			 rows.count, doubts);
	turn->look_for_abandoned = rows.count == RECOVER_MAX;
	turn->recovered = !start || rows.count < RECOVER_MAX ? MOMENT_NEVER : rows.rows[rows.count - 1].n;
	message_rows_release(&rows);
	return ok && (start || recover_orphans(turn));
}
