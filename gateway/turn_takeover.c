/* Whose claim it is: this gateway says that it is alive, takes over what others left, and notices what others
 * took over from it. Their clock is the store's. An outcome that comes after that is a late report: it cannot
 * overwrite what its successor does, and settles a doubt only where it is sure to be about the same attempt.
 */
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "log.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define REPORTS_IN_LEASE 3 /* how often it reports in the time after which others would take over */

static int64_t report_pause(const struct turn *turn)
{
	return turn->config->gateway.lease / REPORTS_IN_LEASE;
}

static bool report_due(const struct turn *turn, int64_t now)
{
	return !turn->reported || now < turn->reported || now - turn->reported >= report_pause(turn);
}

int64_t gateway_next_report(const struct turn *turn)
{
	if (turn->alone || store_is_alone(turn->store)) /* nobody waits for it */
		return MOMENT_NEVER;
	return report_due(turn, turn->now) ? 0 : turn->reported + report_pause(turn) - turn->now;
}

/* Others may have claimed what is in flight. Those that were are marked. False: the store failed. */
static bool flights_check(struct turn *turn)
{
	bool ok = true;

	for (struct flight *flight = turn->flights; ok && flight; flight = flight->next) {
		struct message_row row = {0};
		ok = store_get_messages(turn->store, &flight->row.n, 1, &row);
		flight->lost = flight->lost || (ok && row.epoch != flight->row.epoch);
		message_row_release(&row);
	}
	return ok;
}

bool gateway_report(struct turn *turn)
{
	char boot[BOOT_ID_SIZE];
	bool silent = turn->reported &&
		      (turn->now < turn->reported || turn->now - turn->reported >= 2 * report_pause(turn));

	if (turn->alone)
		return true;
	if ((silent || turn->overtaken) && !store_is_alone(turn->store) && !flights_check(turn))
		return false;
	if (!report_due(turn, turn->now))
		return true;
	file_boot_id(boot);
	int64_t last;
	if (!store_report_gateway(turn->store, turn->name, boot, turn->now, &turn->gateway, &last) ||
	    (!turn->reported && !clock_since_last_run(turn, last)))
		return false;
	turn->reported = turn->now;
	turn->look_for_abandoned = !store_is_alone(turn->store);
	return true;
}

/* --- late reports --- */

/* The contact says what became of it, and since when that is known. */
static struct contact *late_contact(const struct turn *turn, const struct flight *flight)
{
	static const enum state states[] = {
		[OUTCOME_ACCEPTED] = STATE_SENT,       [OUTCOME_RETRY] = STATE_RETRY,
		[OUTCOME_REJECTED] = STATE_REJECTED,   [OUTCOME_IN_DOUBT] = STATE_IN_DOUBT,
		[OUTCOME_UNSENDABLE] = STATE_REJECTED, [OUTCOME_NOT_BEGUN] = STATE_CALLED_BACK};
	const struct outcome *outcome = &flight->attempt->outcome;
	struct contact *contact = xcalloc(1, sizeof *contact);

	contact_copy(&flight->contact, contact);
	contact_outcome(contact, outcome->delivered ? STATE_DELIVERED : states[outcome->kind], outcome);
	contact->late = turn->now;
	return contact;
}

/* Nothing was claimed since, so the doubt is about this very attempt. */
static bool doubt_is_about(const struct message_row *row, const struct flight *flight)
{
	return row->state == STATE_IN_DOUBT && row->contact == flight->contact.seq && !flight->resend;
}

/* It was taken, whatever was done about it since. */
static void late_accepted(struct turn *turn, struct work *work, const struct contact *contact)
{
	struct message_row *row = &work->row;

	row->best = row->best == STATE_DELIVERED ? row->best : contact->state;
	work_set_state(turn, work, row->best);
	row->due = MOMENT_NEVER;
	work_event(turn, work, row->state, contact);
}

/* It was not taken: what was in doubt is not any more. */
static void late_refused(struct turn *turn, struct work *work, const struct flight *flight)
{
	struct message_row *row = &work->row;
	const char *channel = flight->contact.channel;

	if (flight->attempt->outcome.kind == OUTCOME_REJECTED && !channel_list_has(row->rejected, channel)) {
		char *list = *row->rejected ? xasprintf("%s,%s", row->rejected, channel) : xstrdup(channel);
		free(row->rejected);
		row->rejected = list;
	}
	work_set_state(turn, work, STATE_DEFERRED);
	work->why = WORK_AGAIN;
}

/* One message of a flight that others took over. */
static bool late_message(struct turn *turn, struct flight *flight, int64_t n, const struct contact *contact)
{
	const struct outcome *outcome = &flight->attempt->outcome;
	struct message_row row = {0};
	bool ok = true;

	if (flight_aloft(turn, n) || work_of(turn, n))
		return true; /* its successor is under way here */
	ok = store_get_messages(turn->store, &n, 1, &row);
	if (ok && row.n && row.state == STATE_IN_DOUBT) {
		struct work *work = work_add(turn, WORK_SETTLED, &row);
		work_reason(work, REASON_late_report,
			    json_pack("{s:s, s:i, s:s}", "channel", contact->channel, "attempt",
				      contact->attempt, "outcome", state_name(contact->state)));
		if (outcome->kind == OUTCOME_ACCEPTED)
			late_accepted(turn, work, contact);
		else if (outcome->kind != OUTCOME_IN_DOUBT && doubt_is_about(&row, flight))
			late_refused(turn, work, flight);
	}
	message_row_release(&row);
	return ok;
}

bool outcome_late(struct turn *turn, struct flight *flight)
{
	const struct outcome *outcome = &flight->attempt->outcome;
	struct contact *contact = late_contact(turn, flight);
	bool ok = late_message(turn, flight, flight->row.n, contact);

	flight->in_turn = true;
	pointers_add(&turn->plan.late, contact);
	for (size_t i = 0; ok && i < flight->others.count; i++)
		ok = late_message(turn, flight, flight->others.rows[i].n, contact);
	if (ok && outcome->kind == OUTCOME_REJECTED && outcome->scope == SCOPE_ADDRESS)
		ok = turn_address_dies(turn, contact->address, contact->channel, flight->row.customer,
				       flight->row.customer_id, contact->provider);
	log_warn("message %s, attempt %d on %s: reported late, after another gateway had taken it over",
		 flight->row.id, contact->attempt, contact->channel);
	return ok;
}
