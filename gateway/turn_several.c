/* What a turn owes the others where several gateways write to one store: it locks whose choices it reads or
 * changes, sees what they held, shares the rates, and publishes events only while that is its office. Where
 * one writes alone, all of it is nothing.
 *
 * The promise across gateways: a claim reads a choice under the shared lock of the customer's stripe, in a
 * statement after the lock; a change is made under the exclusive one. So a change waits for the claims that
 * read the old choice, and lists them as on their way; a claim that comes after it reads the new one. All
 * that is known beforehand is locked first, in one statement and in order; what turns up later (rows that are
 * due) is only claimed where its stripe can be had without waiting. So nobody waits for each other in a
 * circle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define LOOK_EVERY MOMENT_S         /* at how many there are, the sum, and the office */
#define JOIN_PAUSE (2 * LOOK_EVERY) /* until all the others have seen that their share is smaller */

/* --- stripes --- */

static void want(struct turn *turn, int n, bool exclusive)
{
	unsigned char *wanted = &turn->several.wanted[n];

	if (*wanted < (exclusive ? STRIPE_EXCLUSIVE : STRIPE_SHARED))
		*wanted = exclusive ? STRIPE_EXCLUSIVE : STRIPE_SHARED;
}

void stripe_change(struct turn *turn, const char *customer_id)
{
	want(turn, store_stripe_of(customer_id), true);
}

/* Under each of these names a receipt may come. Who keeps one that is early, and who has the outcome that it
 * is about, must not pass each other by: one of the two has to see what the other has written. */
static void want_receipt(struct turn *turn, const char *provider_ref, int64_t contact, bool exclusive)
{
	char name[32];

	snprintf(name, sizeof name, "contact %lld", (long long)contact);
	if (contact)
		want(turn, store_stripe_of(name), exclusive);
	if (*provider_ref)
		want(turn, store_stripe_of(provider_ref), exclusive);
}

void stripe_receipt(struct turn *turn, const char *provider_ref, int64_t contact)
{
	want_receipt(turn, provider_ref, contact, true);
}

/* Whose counters it reads nobody else may count in meanwhile. */
static bool is_capped(const struct turn *turn, const char *name, bool marketing)
{
	const struct product *product = product_find(turn->config->products, name);

	return product && (product->cap.count || (turn->config->limits.marketing.count &&
						  (marketing || product->purpose == PURPOSE_MARKETING)));
}

static void want_known(struct turn *turn)
{
	bool all = false;

	for (const struct attempt *attempt = turn->outcomes; attempt; attempt = attempt->next) {
		const struct flight *flight = attempt->turn_private;
		want(turn, store_stripe_of(flight->row.customer_id),
		     is_capped(turn, flight->row.product, flight->row.purpose == PURPOSE_MARKETING));
		if (gives_receipts(turn, flight->contact.channel, flight->contact.provider))
			want_receipt(turn, attempt->outcome.provider_ref, flight->contact.seq, false);
	}
	for (const struct admission *a = turn->admissions; a; a = a->next)
		if (a->message.customer)
			want(turn, store_stripe_of(a->message.customer),
			     is_capped(turn, a->message.product,
				       a->message.has_purpose && a->message.purpose == PURPOSE_MARKETING));
	for (struct request *request = turn->requests; request; request = request->next) {
		if (request->stripes)
			request->stripes(request, turn);
		else
			all = true;
	}
	if (turn->stopping || turn->reloaded) /* what has not begun is called back, and chosen again */
		for (const struct flight *flight = turn->flights; flight; flight = flight->next)
			want(turn, store_stripe_of(flight->row.customer_id),
			     is_capped(turn, flight->row.product, flight->row.purpose == PURPOSE_MARKETING));
	want(turn, STORE_STRIPES, all);
}

/* Asks for those that are wanted and not held. */
static bool take(struct turn *turn, bool wait)
{
	struct store_stripe stripes[STORE_STRIPES + 1];
	unsigned char *held = turn->several.held, *wanted = turn->several.wanted;
	size_t count = 0;

	for (int n = 0; n <= STORE_STRIPES; n++)
		if (wanted[n] > held[n])
			stripes[count++] = (struct store_stripe){n, wanted[n] == STRIPE_EXCLUSIVE, false};
	bool ok = wait ? store_lock_stripes(turn->store, stripes, count)
		       : store_try_stripes(turn->store, stripes, count);
	for (size_t i = 0; ok && i < count; i++)
		if (stripes[i].got)
			held[stripes[i].n] = stripes[i].exclusive ? STRIPE_EXCLUSIVE : STRIPE_SHARED;
	memset(wanted, 0, sizeof turn->several.wanted);
	return ok;
}

/* With everybody's, each one is held. */
static bool is_held(const struct turn *turn, int n, bool exclusive)
{
	return turn->several.held[STORE_STRIPES] == STRIPE_EXCLUSIVE ||
	       turn->several.held[n] >= (exclusive ? STRIPE_EXCLUSIVE : STRIPE_SHARED);
}

/* A digest gathers all of a customer: then nobody else may be at it. */
static bool wants_alone(const struct turn *turn, const struct work *work)
{
	return is_capped(turn, work->row.product, work->row.purpose == PURPOSE_MARKETING) ||
	       (work->why == WORK_DUE && !*work->row.waits_for);
}

/* What can wait for the next turn, as it stands. */
static bool can_wait(const struct work *work)
{
	return work->why == WORK_DUE || work->why == WORK_RECONSIDER;
}

static bool lacks(const struct turn *turn, const struct work *work)
{
	return work->why != WORK_SETTLED && !work->placed && *work->row.customer_id &&
	       !is_held(turn, store_stripe_of(work->row.customer_id), wants_alone(turn, work));
}

bool several_place(struct turn *turn, struct work *first)
{
	bool any = false, must = false;

	if (!store_is_shared(turn->store))
		return true;
	for (struct work *work = first; work; work = work->next)
		if (lacks(turn, work)) {
			want(turn, store_stripe_of(work->row.customer_id), wants_alone(turn, work));
			any = true;
		}
	if (any && !take(turn, false))
		return false;
	for (struct work *work = first; any && work; work = work->next) {
		if (!lacks(turn, work))
			continue;
		if (can_wait(work)) {
			work->placed = work->unchanged =
				true; /* somebody is at this customer: the next turn */
			turn->several.left++;
		} else {
			want(turn, store_stripe_of(work->row.customer_id), wants_alone(turn, work));
			must = true;
		}
	}
	return !must || take(turn, true);
}

/* --- the beginning --- */

/* Holds that others made or released since. */
static bool look_at_holds(struct turn *turn)
{
	int64_t seq;

	if (!store_last_hold(turn->store, &seq))
		return false;
	if (seq != turn->several.last_hold)
		turn->holds_known = false;
	turn->several.last_hold = seq;
	return true;
}

/* The events of all go out through one at a time, in the order of their commits. */
static bool look_at_office(struct turn *turn)
{
	const int64_t lease = turn->config->gateway.lease;
	bool mine = false;

	if (turn->alone || turn->mono < turn->several.next_office)
		return true;
	if (!store_take_role(turn->store, "events", turn->gateway, turn->now, turn->now + lease, &mine))
		return false;
	turn->several.next_office = turn->mono + (lease / 3 < LOOK_EVERY ? lease / 3 : LOOK_EVERY);
	outbox_office(turn, mine);
	return true;
}

bool several_begin(struct turn *turn)
{
	turn->clock = store_clock_ahead(turn->store);
	turn->now = turn_clock(turn);
	turn->several.left = 0;
	if (!store_is_shared(turn->store))
		return true;
	memset(turn->several.held, 0, sizeof turn->several.held);
	memset(turn->several.wanted, 0, sizeof turn->several.wanted);
	want_known(turn);
	return take(turn, true) && look_at_holds(turn);
}

bool several_reported(struct turn *turn)
{
	return !store_is_shared(turn->store) || look_at_office(turn);
}

/* --- between two turns --- */

/* How many share what a provider takes. */
static void look_at_others(struct turn *turn)
{
	int64_t count = 1;

	if (!store_count_gateways(turn->store, turn->now - turn->config->gateway.lease, &count))
		return;
	count = count > 1 ? count : 1;
	if (count == turn->several.gateways)
		return;
	if (turn->several.gateways)
		log_info("%lld gateways share the rates now", (long long)count);
	/* who joins waits until the others have seen it */
	bool joins = !turn->several.gateways && count > 1;
	lines_share(turn, count, joins ? turn->mono + JOIN_PAUSE : turn->mono);
	turn->several.gateways = count;
}

void several_after_commit(struct turn *turn)
{
	struct counters counters;

	if (!store_is_shared(turn->store) || turn->alone || turn->mono < turn->several.next_look)
		return;
	turn->several.next_look = turn->mono + LOOK_EVERY;
	look_at_others(turn);
	if (store_counters(turn->store, &counters)) {
		pthread_mutex_lock(&turn->lock);
		turn->stats.counters = counters;
		pthread_mutex_unlock(&turn->lock);
	}
}

/* Others make rows wait, and leave some: never long without a look. */
int64_t several_hint(const struct turn *turn, int64_t due)
{
	if (!store_is_shared(turn->store))
		return due;
	int64_t soon = turn->now + SEVERAL_PAUSE, late = turn->now + LOOK_EVERY;
	return due < soon ? soon : due < late ? due : late;
}
