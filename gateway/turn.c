/* The turn.
 *
 * The life of a message on one page. Each line is a state, what was committed for it to be there, and what a
 * crash leaves in it.
 */
/* clang-format off */
/*
 *   in Redis            XADDed; read by a gateway or not. Nothing is committed.
 *      |                CRASH  Redis has it; what a reader had read is read again at its next start.
 *      v
 *   queued              the admission: row, counters, event; after that commit XACK and XDEL.
 *      |                CRASH  between the two it is read again, found by its id, and only acknowledged.
 *      |
 *      +<------------+  deferred: the same row with a due time, a channel or a hold that it waits for.
 *      |             |  CRASH  it waits on.
 *      v             |
 *   sending          |  the claim: a new epoch, its contact, its event, in the transaction that read the
 *      |             |  preference (law 2); beside it, in the file of what has begun: "not begun".
 *      |             |  After the commit it is handed to the channel. attempt_begin() is the point of no
 *      |             |  return: not called back, its lease and its time not over; it notes "begun".
 *      |             |  CRASH  the next start finds `sending`. Noted as not begun: nothing left, it is
 *      |             |         chosen for again (called_back). All else: IN DOUBT.
 *      |             |  FROZEN longer than gateway.lease, where gateways share a store: another one takes
 *      |             |         it over as in doubt. What the frozen one reports later has an epoch that is
 *      |             |         over: it is kept in its contact, settles that doubt, and overwrites nothing.
 *      v             |
 *   the outcome      |  one commit: contact, row, counters, event.
 *      |             |  CRASH  before it: the process took the answer with it, so in doubt as above.
 *      +-- retry ----+
 *      +-- sent -----+  (no receipt within the customer's `wait`: the next channel of the list)
 *      +-- delivered
 *      +-- in_doubt     it may have been taken, and nobody can say. Policy `resend`: it waits as in_doubt and
 *      |                is claimed again: THE ONE PLACE WHERE A SECOND COPY CAN COME FROM, and its contact
 *      |                says so. Policy `hold`: it stays until somebody settles it. Never another channel.
 *      +-- rejected     the next channel of the list, or the end:
 *   suppressed, failed, expired, cancelled
 *                       the commit that decided it; with a closing line in the contacts where no attempt
 *                       was made.
 */
/* clang-format on */
/*
 * Why nowhere else: a row is handed to one channel by one commit; a channel sends an attempt once and reports
 * it once; what is called back can't begin; and a claim needs the row's epoch to be the one that was read.
 *
 * Events go out after their commit, from the store: at least once. A turn whose transaction is lost is run
 * again from the same inputs; what the world saw of it (an attempt called back) is remembered in the flights,
 * which are not forgotten. */
#include "turn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit.h"
#include "crash.h"
#include "digest.h"
#include "log.h"
#include "pages.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define READY_TRIES 10 /* at a start, where other gateways are in the way */

/* --- the plan of one run --- */

static void plan_begin(struct turn *turn)
{
	turn->plan = (struct plan){.tail = NULL};
	turn->plan.tail = &turn->plan.first;
	for (struct flight *flight = turn->flights; flight; flight = flight->next)
		flight->in_turn = false;
	for (struct request *request = turn->requests; request; request = request->next) {
		request->status = 0;
		text_clear(&request->problem);
		json_decref(request->answer);
		request->answer = NULL;
	}
}

static void plan_end(struct turn *turn)
{
	for (struct work *work = turn->plan.first, *next; work; work = next) {
		next = work->next;
		begun_release(turn->begun, work->begun);
		work_free(work);
	}
	for (size_t i = 0; i < turn->plan.events.count; i++) {
		struct event_row *row = turn->plan.events.list[i];
		free(row->json);
		free(row);
	}
	free(turn->plan.events.list);
	free(turn->plan.by_n);
	for (size_t i = 0; i < turn->plan.late.count; i++) {
		contact_release(turn->plan.late.list[i]);
		free(turn->plan.late.list[i]);
	}
	free(turn->plan.late.list);
	free(turn->plan.notes);
	for (size_t i = 0; i < turn->plan.cap_count; i++)
		free(turn->plan.caps[i].name);
	free(turn->plan.caps);
	json_decref(turn->plan.cap_index);
	for (size_t i = 0; i < turn->plan.freed.count; i++)
		free(turn->plan.freed.list[i]);
	free(turn->plan.freed.list);
	receipts_forget(&turn->plan.receipts);
	turn->plan = (struct plan){0};
}

/* --- one transaction --- */

static bool run_requests(struct turn *turn)
{
	for (struct request *request = turn->requests; request; request = request->next) {
		if (request->deadline && moment_mono() > request->deadline) {
			request->status = 503;
			text_error(
				&request->problem,
				"the gateway could not make the change binding in time; nothing was changed");
		} else if (!request->run(request, turn)) {
			return false;
		}
	}
	return true;
}

/* Whose contact it is: one message's, or those of a digest. */
static void contact_of(const struct turn *turn, struct work *lead)
{
	struct contact *contact = lead->contact;

	contact->message = lead->followers ? 0 : lead->row.n;
	contact->several =
		lead->followers ? xreallocarray(NULL, lead->followers + 1, sizeof *contact->several) : NULL;
	for (const struct work *work = turn->plan.first; work && lead->followers; work = work->next)
		if (work == lead || work->lead == lead)
			contact->several[contact->several_count++] = work->row.n;
}

static bool write_works(struct turn *turn)
{
	struct pointers added = {0}, saved = {0}, contacts = {0}, ended = {0};

	for (struct work *work = turn->plan.first; work; work = work->next) {
		if (work->unchanged)
			continue;
		pointers_add(work->was == STATES ? &added : &saved, &work->row);
		if (work->contact)
			pointers_add(&contacts, work->contact);
		if (work->ended && !work->shares)
			pointers_add(&ended, work->ended);
	}
	bool ok = store_number_messages(turn->store, (struct message_row *const *)added.list, added.count);
	for (struct work *work = turn->plan.first; ok && work; work = work->next)
		if (work->contact)
			contact_of(turn, work);
	ok = ok && store_number_contacts(turn->store, (struct contact *const *)contacts.list, contacts.count);
	for (struct work *work = turn->plan.first; ok && work; work = work->next)
		if (work->contact && work->attempt)
			work->begun = begun_take(turn->begun, work->contact->seq, work->contact->at);
	for (struct work *work = turn->plan.first; ok && work; work = work->next)
		if (work->contact || work->lead)
			work->row.contact = (work->lead ? work->lead : work)->contact->seq;
	ok = ok && store_add_messages(turn->store, (struct message_row *const *)added.list, added.count) &&
	     store_save_messages(turn->store, (struct message_row *const *)saved.list, saved.count) &&
	     caps_write(turn) &&
	     /* last: what is given from here on keeps other gateways from committing */
	     store_save_contacts(turn->store, (struct contact *const *)ended.list, ended.count) &&
	     store_save_contacts(turn->store, (struct contact *const *)turn->plan.late.list,
				 turn->plan.late.count) &&
	     store_add_contacts(turn->store, (struct contact *const *)contacts.list, contacts.count) &&
	     store_count(turn->store, &turn->plan.deltas);
	free(added.list);
	free(saved.list);
	free(contacts.list);
	free(ended.list);
	return ok;
}

/* What the customers' page says in each language, so that the evidence of a change can be read. */
static bool pages_keep(struct turn *turn)
{
	const struct page_set *pages = turn->config->pages;
	const char *language;
	bool ok = true;

	for (size_t i = 0; ok && pages && (language = pages_language_at(pages, i)); i++) {
		json_t *source = pages_wording_source(pages, language);
		char *words = json_dumps(source, JSON_COMPACT | JSON_SORT_KEYS);
		char *name = xasprintf("page %s", language);
		ok = store_put_template(turn->store, pages_wording(pages, language), name, words, turn->now);
		free(name);
		free(words);
		json_decref(source);
	}
	return ok;
}

/* What the proof needs of a configuration: the products and the templates in force, by content. */
static bool config_keep(struct turn *turn)
{
	struct config *config = turn->config;
	char *kept = audit_keep_products(config->products, config->customers.timezone);
	char hash[2 * SHA256_SIZE + 1];

	digest_sha256_hex(kept, strlen(kept), hash);
	bool ok = store_put_products(turn->store, hash, kept, turn->now, &config->products->seq);
	free(kept);
	for (size_t i = 0; ok && i < templates_count(config->templates); i++) {
		const struct template *template = templates_at(config->templates, i);
		json_t *source = template_source(template);
		char *words = json_dumps(source, JSON_COMPACT | JSON_SORT_KEYS);
		ok = store_put_template(turn->store, template_hash(template), template_name(template), words,
					turn->now);
		free(words);
		json_decref(source);
	}
	return ok && pages_keep(turn) && (turn->alone || lines_adopt_strays(turn));
}

/* A change that is not binding by now must not be: its transaction is rolled back, it is refused, and what
 * else was taken has its turn again. */
static bool change_is_late(const struct turn *turn)
{
	for (const struct request *request = turn->requests; request; request = request->next)
		if (request->status < 400 && request->deadline && moment_mono() > request->deadline)
			return true;
	return false;
}

static bool turn_transaction(struct turn *turn)
{
	if (!store_begin(turn->store) || !several_begin(turn))
		return false;
	turn->placing = moment_mono();
	CRASH_POINT(turn_begun);
	if (!clock_move(turn) || !gateway_report(turn) || !several_reported(turn) || !holds_load(turn) ||
	    (turn->config_new && !config_keep(turn)) || !recover_take(turn))
		return false;
	CRASH_POINT(turn_recovered);
	if (!outcomes_take(turn))
		return false;
	CRASH_POINT(turn_outcomes);
	if (turn->stopping || turn->reloaded)
		flights_call_back(turn, 0, &(const struct touched){0});
	if (!receipts_take(turn) || !run_requests(turn) || !again_take(turn) || !erasures_take(turn) ||
	    !admissions_take(turn))
		return false;
	CRASH_POINT(turn_asked);
	if (!holds_sweep(turn) || !lines_sweep(turn) || !expiries_take(turn) || !holds_take_released(turn) ||
	    !lines_take_due(turn) || !prune_take(turn) || !works_place(turn))
		return false;
	CRASH_POINT(turn_placed);
	if (!write_works(turn) || !receipts_match(turn))
		return false;
	CRASH_POINT(turn_written);
	for (struct request *request = turn->requests; request; request = request->next)
		if (request->finish)
			request->finish(request, turn);
	if (!outbox_before_commit(turn))
		return false;
	CRASH_POINT(turn_before_commit);
	turn->late = change_is_late(turn);
	pace_learn(turn, moment_mono() - turn->placing);
	return !turn->late && store_commit(turn->store);
}

/* --- after the commit --- */

static void flight_free(struct flight *flight)
{
	message_row_release(&flight->row);
	message_rows_release(&flight->others);
	contact_release(&flight->contact);
	free(flight);
}

static void flight_remove(struct turn *turn, struct flight *flight)
{
	*flight->link = flight->next;
	if (flight->next)
		flight->next->link = flight->link;
	begun_release(turn->begun, flight->begun);
	flight_free(flight);
	turn->flight_count--;
}

const char *turn_mail_key(const struct turn *turn)
{
	return store_id(turn->store);
}

/* So that a bounce can be told whose it is. */
static void sign_mail(const struct turn *turn, struct attempt *attempt)
{
	const char *key = turn_mail_key(turn);

	if (attempt->channel->config->ops->text != CHANNEL_TEXT_MAIL)
		return;
	mail_token_make(key, MAIL_TOKEN_ATTEMPT, attempt->contact, attempt->mail_token);
	mail_token_make(key, MAIL_TOKEN_MESSAGE, attempt->message, attempt->message_token);
}

static void hand_over(struct turn *turn, struct work *work)
{
	struct flight *flight = xcalloc(1, sizeof *flight);
	struct attempt *attempt = work->attempt;

	work->attempt = NULL;
	attempt->message = work->row.n;
	attempt->contact = work->contact->seq;
	sign_mail(turn, attempt);
	attempt->turn_private = flight;
	flight->attempt = attempt;
	flight->begun = attempt->begun = work->begun;
	work->begun = NULL;
	flight->claimed_at = turn->now;
	flight->resend = work->was == STATE_IN_DOUBT || (work->flight && work->flight->resend);
	flight->probe = work->probe;
	flight->row = work->row;
	for (struct work *one = turn->plan.first; one && work->followers; one = one->next)
		if (one->lead == work) {
			*message_rows_add(&flight->others) = one->row;
			one->row = (struct message_row){0};
		}
	work->row = (struct message_row){0};
	flight->contact = *work->contact;
	free(work->contact);
	work->contact = NULL;
	flight->next = turn->flights;
	flight->link = &turn->flights;
	if (flight->next)
		flight->next->link = &flight->next;
	turn->flights = flight;
	turn->flight_count++;
	channel_send(work->outlet->channel, attempt);
}

static void tell_breaker(struct turn *turn, const struct breaker_note *note)
{
	struct breaker *breaker = &note->outlet->breaker;

	switch ((enum verdict)note->verdict) {
	case NOTE_OK:
		breaker_ok(breaker);
		break;
	case NOTE_FAULT:
		breaker_fault(breaker, turn->mono, note->fault);
		if (note->retry_after)
			breaker_asked(breaker, turn->mono, note->retry_after);
		break;
	case NOTE_PACE:
		breaker_pace(breaker, turn->mono, note->retry_after);
		break;
	case NOTE_NO_VERDICT:
		breaker_probe_back(breaker);
		break;
	}
}

static void tell_breakers(struct turn *turn)
{
	for (size_t i = 0; i < turn->plan.note_count; i++) {
		const struct breaker_note *note = &turn->plan.notes[i];
		struct line *line = note->line;
		const char *provider = note->outlet->config->provider;
		bool was_open = note->outlet->breaker.open, stood = line_at_fault(line, NULL);
		tell_breaker(turn, note);
		bool open = note->outlet->breaker.open, stands = line_at_fault(line, NULL);
		if (open && !was_open)
			log_warn("channel %s: %s is at fault; %s", line->config->name, provider,
				 stands ? "its messages wait" : "the next provider takes over");
		else if (!open && was_open)
			log_info("channel %s: %s works again", line->config->name, provider);
		if (stands && !stood) {
			line->sweeping = true;
			line->resuming = false;
			line->swept = (struct waiting_at){0};
		}
		if (open != was_open)
			line->next.due = 0;
	}
}

static void finish_flights(struct turn *turn)
{
	for (struct work *work = turn->plan.first; work; work = work->next)
		if (work->flight)
			work->flight->state = FLIGHT_RESOLVED;
	for (struct attempt *attempt = turn->outcomes, *next; attempt; attempt = next) {
		next = attempt->next;
		flight_remove(turn, attempt->turn_private);
		attempt_free(attempt);
	}
	turn->outcomes = NULL;
}

/* Under the lock; then it is its owner's again. */
static void request_done(struct request *request)
{
	request->done = true;
	pthread_cond_signal(&request->answered);
}

static void give_answers(struct turn *turn)
{
	pthread_mutex_lock(&turn->lock);
	for (struct request *request = turn->requests, *next; request; request = next) {
		next = request->next;
		request_done(request);
	}
	turn->requests = NULL;
	admissions_settle(turn);
	pthread_cond_broadcast(&turn->space);
	pthread_mutex_unlock(&turn->lock);
}

/* Those of the list that cannot wait any longer (all: none can) are answered that nothing was changed. Under
 * the lock. Gives the new end of the list. */
static struct request **refuse_late(struct request **link, bool all, const char *why)
{
	int64_t now = moment_mono();

	while (*link) {
		struct request *request = *link;
		if (!all && (!request->deadline || now <= request->deadline)) {
			link = &request->next;
			continue;
		}
		*link = request->next;
		request->status = 503;
		text_error(&request->problem, "not done: %s; nothing was changed", why);
		request_done(request);
	}
	return link;
}

static void refuse_requests(struct turn *turn, bool all, const char *why)
{
	pthread_mutex_lock(&turn->lock);
	refuse_late(&turn->requests, all, why);
	turn->inbox.requests_tail = refuse_late(&turn->inbox.requests, all, why);
	batches_refuse_late(turn, all, why);
	pthread_cond_broadcast(&turn->space);
	pthread_mutex_unlock(&turn->lock);
}

static void turn_committed(struct turn *turn)
{
	trouble_over(&turn->troubles, TROUBLE_STORE);
	CRASH_POINT(turn_committed);
	turn->lost = turn->reloaded = turn->overtaken = false;
	turn->contended = 0;
	again_after_commit(turn);
	erasures_after_commit(turn);
	prune_after_commit(turn);
	turn->config_new = turn->config_new && turn->plan.strays;
	if (turn->begun_asked && turn->recovered == MOMENT_NEVER) {
		begun_clear(turn->begun);
		turn->begun_asked = false;
	}
	tell_breakers(turn);
	lines_after_commit(turn);
	outbox_after_commit(turn);
	receipts_after_commit(turn);
	/* publish first: whoever is answered next may read the counters */
	stats_publish(turn, true);
	several_after_commit(turn);
	clock_moved(turn);
	for (struct work *work = turn->plan.first; work; work = work->next) {
		if (work->admission && !work->admission->refused)
			work->admission->state = work->row.state;
		if (work->attempt) {
			if (work->probe)
				breaker_probe(&work->outlet->breaker);
			hand_over(turn, work);
			CRASH_POINT(turn_handed);
		}
	}
	CRASH_POINT(turn_all_handed);
	finish_flights(turn);
	CRASH_POINT(turn_finished);
	give_answers(turn);
	CRASH_POINT(turn_answered);
}

/* To be run again: what the run remembered beside the store is as before it. */
static void turn_undo(struct turn *turn)
{
	turn->lost = turn->overtaken = true;
	store_rollback(turn->store);
	turn->reported = 0; /* and the number is void */
	lines_forget_turn(turn);
	again_after_loss(turn);
	receipts_lost(turn);
	turn->holds_known = false;
	turn->expiry.due = 0;
}

static void turn_lost(struct turn *turn)
{
	if (turn->late) {
		turn_undo(turn);
		log_warn("a change could not be made binding in time: it was rolled back");
		refuse_requests(turn, false, "the gateway could not make the change binding in time");
		return;
	}
	if (store_is_contended(turn->store) && ++turn->contended < TURN_CONTENDED_MAX) {
		log_debug("another gateway was faster: %s", store_error(turn->store));
		turn_undo(turn);
		refuse_requests(turn, false, "other gateways were at it all the time");
		return;
	}
	turn->contended = 0;
	trouble_is(&turn->troubles, TROUBLE_STORE, "the store failed: %s", store_error(turn->store));
	turn_undo(turn);
	stats_publish(turn, false);
	refuse_requests(turn, false, "the store fails, so the change could not be made binding in time");
}

/* One turn over what was taken. False: the store failed, and what was taken is kept for the next try. */
static bool turn_once(struct turn *turn)
{
	int64_t recovered = turn->recovered;

	turn_look(turn);
	turn->number++;
	plan_begin(turn);
	lines_begin_turn(turn);
	turn->expiry.this_turn = MOMENT_NEVER;
	turn->late = false;
	bool ok = turn_transaction(turn);
	if (ok) {
		turn_committed(turn);
	} else {
		turn->recovered = recovered;
		turn_lost(turn);
	}
	plan_end(turn);
	return ok;
}

/* --- the thread --- */

/* Takes at most `max` off the front of a list whose elements begin with `next`; the rest stays. `head` points
 * to the first element's pointer, `tail` to the pointer to the last one's `next`. `max` becomes what was
 * taken. */
static void *list_take(void *head, void *tail, size_t *max)
{
	void **first = head, **end = head;
	size_t n = 0;

	for (; *end && n < *max; n++)
		end = *end;
	*max = n;
	void *taken = end == first ? NULL : *first, *rest = *end;
	*end = NULL;
	*first = rest;
	if (!rest)
		*(void ***)tail = first;
	return taken;
}

/* Urgent first, then normal, then bulk, which keeps a tenth. As many as the channels take at once: the others
 * would be written twice and read again in between. */
static void take_admissions(struct turn *turn, size_t most)
{
	const struct inbox_lane *bulk = &turn->inbox.lanes[LANE_BULK];
	size_t room = lines_room(turn);

	if (!room && (!turn->started || turn->mono >= turn->overflow)) { /* by hand: at once */
		room = TURN_OVERFLOW_MAX;
		turn->overflow =
			turn->mono + (lines_are_brisk(turn) ? TURN_OVERFLOW_BRISK : TURN_OVERFLOW_EVERY);
	}
	most = most < TURN_ADMISSIONS_MAX ? most : TURN_ADMISSIONS_MAX;
	room = room < most ? room : most;
	const size_t tenth = room / 10, kept = bulk->count < tenth ? bulk->count : tenth;
	struct admission **end = &turn->admissions;

	for (int lane = 0; lane < LANES; lane++) {
		struct inbox_lane *in = &turn->inbox.lanes[lane];
		size_t count = lane == LANE_BULK ? room : room - kept;
		*end = list_take(&in->first, &in->tail, &count);
		in->count -= count;
		turn->inbox.admission_count -= count;
		room -= count;
		while (*end)
			end = &(*end)->next;
	}
}

static void take_inbox(struct turn *turn)
{
	size_t requests = TURN_REQUESTS_MAX;

	turn->requests = list_take(&turn->inbox.requests, &turn->inbox.requests_tail, &requests);
	const size_t most = pace_most(turn);
	size_t outcomes = most / 2 < TURN_OUTCOMES_MAX ? most / 2 : TURN_OUTCOMES_MAX;
	turn->outcomes = list_take(&turn->inbox.outcomes, &turn->inbox.outcomes_tail, &outcomes);
	if (!turn->standing)
		take_admissions(turn, most - outcomes);
	pthread_cond_broadcast(&turn->space);
}

static void pause_until(struct turn *turn, int64_t wait)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t at = (int64_t)until.tv_sec * MOMENT_S + until.tv_nsec / 1000 + wait;
	until.tv_sec = (time_t)(at / MOMENT_S);
	until.tv_nsec = (long)(at % MOMENT_S * 1000);
	pthread_cond_timedwait(&turn->wake, &turn->lock, &until);
}

static bool inbox_waits(const struct turn *turn)
{
	return turn->inbox.outcomes || turn->inbox.requests ||
	       (turn->inbox.admission_count && !turn->standing);
}

/* Taken by an earlier run, whose transaction was lost. */
static bool taken_waits(const struct turn *turn)
{
	return turn->outcomes || turn->requests || turn->admissions;
}

static bool turn_has_work(struct turn *turn, int64_t *wait)
{
	turn_look(turn);
	*wait = turn->stopping ? 20 * MOMENT_MS : turn->standing ? TURN_STANDS_WAIT : lines_next(turn);
	if (gateway_next_report(turn) < *wait)
		*wait = gateway_next_report(turn);
	if (!turn->standing && turn->expiry.due - turn->now < *wait)
		*wait = turn->expiry.due > turn->now ? turn->expiry.due - turn->now : 0;
	if (erasures_next(turn) < *wait)
		*wait = erasures_next(turn);
	if (prune_next(turn) < *wait)
		*wait = prune_next(turn);
	if (turn->receipts.due - turn->now < *wait)
		*wait = turn->receipts.due > turn->now ? turn->receipts.due - turn->now : 0;
	bool admits = turn->inbox.admission_count && !turn->standing;
	if (admits && turn->overflow - turn->mono < *wait)
		*wait = turn->overflow > turn->mono ? turn->overflow - turn->mono : 0;
	return turn->inbox.outcomes || turn->inbox.requests || (admits && lines_room(turn)) || turn->moving ||
	       *wait == 0 || turn->again_count || turn->receipts.found.count ||
	       turn->receipts.swept != MOMENT_NEVER || turn->recovered != MOMENT_NEVER || turn->config_new;
}

static void reload_take(struct turn *turn)
{
	struct config *config = turn->inbox.reload;
	bool ok;

	pthread_mutex_unlock(&turn->lock);
	ok = lines_open(turn, config, true, turn->inbox.reload_error);
	if (ok) {
		config_drop(turn->config);
		turn->config = config_hold(config);
		turn->config_new = turn->reloaded = true;
		flights_stop(turn); /* it was claimed under other products */
	}
	pthread_mutex_lock(&turn->lock);
	turn->inbox.reload = NULL;
	turn->inbox.reload_ok = ok;
	turn->inbox.reload_done = true;
	pthread_cond_broadcast(&turn->space);
}

bool turn_step(struct turn *turn)
{
	pthread_mutex_lock(&turn->lock);
	if (turn->inbox.reload)
		reload_take(turn);
	if (!taken_waits(turn))
		take_inbox(turn);
	pthread_mutex_unlock(&turn->lock);
	if (!turn_once(turn))
		return false;
	erasures_clean(turn);
	return outbox_refill(turn);
}

/* What was called back will never begin: its channel may report that when it is closed. */
static bool anything_begun(const struct turn *turn)
{
	for (const struct flight *flight = turn->flights; flight; flight = flight->next)
		if (flight->state == FLIGHT_ALOFT)
			return true;
	return false;
}

/* Nothing begins any more; what had begun is waited for, then cut. */
static void turn_wind_down(struct turn *turn)
{
	int64_t until = moment_mono() + turn->config->gateway.drain;

	for (bool ok = true, closed = false;;) {
		pthread_mutex_lock(&turn->lock);
		turn->stats.beat = moment_mono();
		if (!closed && (!ok || (!inbox_waits(turn) && anything_begun(turn))))
			pause_until(turn, 20 * MOMENT_MS);
		if (!taken_waits(turn))
			take_inbox(turn);
		pthread_mutex_unlock(&turn->lock);
		bool reported = turn->outcomes != NULL;
		ok = turn_once(turn);
		bool waits = anything_begun(turn) || (!ok && turn->flight_count);
		if (!closed && (!waits || moment_mono() >= until)) {
			lines_close(turn, 0);
			closed = true;
		} else if (closed && (!turn->flight_count || !ok || !reported)) {
			break; /* what no channel reported is in doubt at the next start */
		}
	}
}

/* What other gateways have to be published; under the lock. False: go on waiting. */
static bool look_at_outbox(struct turn *turn)
{
	pthread_mutex_unlock(&turn->lock);
	bool ok = outbox_refill(turn);
	pthread_mutex_lock(&turn->lock);
	return !ok; /* the turn finds out what is wrong */
}

static void *turn_thread(void *argument)
{
	struct turn *turn = argument;
	int64_t wait;

	pthread_setname_np(pthread_self(), "turn");
	pthread_mutex_lock(&turn->lock);
	while (!turn->inbox.stop) {
		turn->stats.beat = moment_mono();
		if (!turn->inbox.reload && !taken_waits(turn) && !turn_has_work(turn, &wait)) {
			bool publishes = turn->outbox.office && !turn->outbox.event_count;
			pause_until(turn, publishes && wait > OUTBOX_LOOK ? OUTBOX_LOOK : wait);
			if (!inbox_waits(turn) && publishes && !look_at_outbox(turn))
				continue;
			if (!inbox_waits(turn) && (turn->outbox.office || !turn->outbox.behind))
				continue;
		}
		pthread_mutex_unlock(&turn->lock);
		bool ok = turn_step(turn);
		pthread_mutex_lock(&turn->lock);
		if (!ok && !turn->late)
			pause_until(turn, turn->contended ? SEVERAL_PAUSE : TURN_FAILURE_PAUSE);
	}
	turn->stopping = true;
	turn->lanes = 0;
	pthread_cond_broadcast(&turn->space);
	pthread_mutex_unlock(&turn->lock);
	turn_wind_down(turn);
	pthread_mutex_lock(&turn->lock);
	turn->outbox.ended = true;
	pthread_mutex_unlock(&turn->lock);
	refuse_requests(turn, true, "the gateway is ending");
	pthread_mutex_lock(&turn->lock);
	pthread_cond_broadcast(&turn->space);
	pthread_mutex_unlock(&turn->lock);
	return NULL;
}

/* --- open and close --- */

struct turn *turn_new(struct store *store, struct config *config)
{
	struct turn *turn = xcalloc(1, sizeof *turn);
	pthread_condattr_t monotonic;
	unsigned char seed[8];

	turn->store = store;
	store_set_lease(store, config->gateway.lease);
	turn->config = config_hold(config);
	turn->name = xstrdup(config->gateway.name);
	turn->config_new = true;
	turn->alone = true;
	turn->pace.most = PACE_NO_END;
	turn->recovered = MOMENT_NEVER;
	turn->receipts.count = -1;
	turn->inbox.outcomes_tail = &turn->inbox.outcomes;
	turn->inbox.requests_tail = &turn->inbox.requests;
	for (int lane = 0; lane < LANES; lane++)
		turn->inbox.lanes[lane].tail = &turn->inbox.lanes[lane].first;
	turn->outbox.settled_tail = &turn->outbox.settled;
	turn->outbox.behind = true;    /* an earlier run may have left some */
	turn->erasing.pending = true;  /* likewise */
	turn->erasing.cleaning = true; /* likewise, and have been cut off before the files were clean */
	digest_random(seed, sizeof seed);
	for (size_t i = 0; i < sizeof seed; i++)
		snprintf(turn->event_prefix + 2 * i, 3, "%02x", seed[i]);
	memcpy(&turn->random, seed, sizeof turn->random);
	turn->random |= 1;
	troubles_init(&turn->troubles);
	pthread_mutex_init(&turn->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&turn->wake, &monotonic);
	pthread_cond_init(&turn->space, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return turn;
}

void turn_remember_begun(struct turn *turn, struct begun *begun)
{
	turn->begun = begun;
	turn->begun_asked = true;
}

bool turn_ready(struct turn *turn, struct text *error)
{
	turn->alone = false;
	turn->recovered = 0;
	if (!store_begin(turn->store) || !store_counters(turn->store, &turn->stats.counters)) {
		text_error(error, "store: %s", store_error(turn->store));
		store_rollback(turn->store);
		return false;
	}
	store_rollback(turn->store);
	if (!lines_open(turn, turn->config, true, error))
		return false;
	/* another gateway may be taking over what a run before left */
	for (int tries = 0; tries < READY_TRIES; tries++)
		if (turn_once(turn))
			return true;
		else if (!turn->contended)
			break;
	return text_error(error, "store: %s", store_error(turn->store));
}

bool turn_start(struct turn *turn, struct text *error)
{
	if (!turn_ready(turn, error))
		return false;
	turn->started = true; /* the thread reads it */
	int failed = pthread_create(&turn->thread, NULL, turn_thread, turn);
	if (failed)
		turn->started = false;
	return !failed || text_error(error, "no thread: %s", strerror(failed));
}

bool turn_run_alone(struct turn *turn, struct request *request)
{
	if (!turn->line_count)
		lines_open(turn, turn->config, false, NULL);
	request->next = NULL;
	request->answered = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	turn->requests = request;
	if (turn_once(turn)) {
		/* what was taken back has ended when we say so */
		while ((holds_busy(turn, true) || turn->again_count ||
			(turn->alone && turn->erasing.pending) || turn->prune.running) &&
		       turn_once(turn))
			;
		erasures_clean(turn);
		return true;
	}
	turn->requests = NULL;
	request->status = 503;
	return turn->late || text_error(&request->problem, "the store failed: %s", store_error(turn->store));
}

void turn_stop(struct turn *turn)
{
	if (!turn->started)
		return;
	pthread_mutex_lock(&turn->lock);
	turn->inbox.stop = true;
	pthread_cond_signal(&turn->wake);
	pthread_mutex_unlock(&turn->lock);
	pthread_join(turn->thread, NULL);
	turn->started = false;
}

static void admissions_free(struct admission *list)
{
	for (struct admission *next; list; list = next) {
		next = list->next;
		admission_free(list);
	}
}

static void attempts_free(struct attempt *list)
{
	for (struct attempt *next; list; list = next) {
		next = list->next;
		attempt_free(list);
	}
}

void turn_free(struct turn *turn)
{
	if (!turn)
		return;
	lines_close(turn, 0);
	holds_forget(turn);
	receipts_forget(&turn->receipts.found);
	free(turn->again);
	/* the last events that went out, so that the next start does not repeat them */
	if ((!turn->outbox.others || turn->outbox.office) && turn->outbox.published > turn->outbox.dropped &&
	    !(store_begin(turn->store) && store_drop_events(turn->store, turn->outbox.published) &&
	      store_commit(turn->store)))
		store_rollback(turn->store);
	/* what the store did not take is still in the queue; what was under way is in doubt at the next start
	 */
	for (int lane = 0; lane < LANES; lane++)
		admissions_free(turn->inbox.lanes[lane].first);
	admissions_free(turn->admissions);
	admissions_free(turn->outbox.settled);
	attempts_free(turn->inbox.outcomes);
	attempts_free(turn->outcomes);
	for (struct flight *flight = turn->flights, *next; flight; flight = next) {
		next = flight->next;
		flight_free(flight);
	}
	for (size_t i = 0; i < turn->outbox.event_count; i++)
		free(turn->outbox.events[i].json);
	free(turn->outbox.events);
	if (turn->event.max)
		text_release(&turn->event);
	begun_close(turn->begun); /* as it stands: the next start asks it */
	free(turn->name);
	config_drop(turn->config);
	troubles_release(&turn->troubles);
	pthread_mutex_destroy(&turn->lock);
	pthread_cond_destroy(&turn->wake);
	pthread_cond_destroy(&turn->space);
	free(turn);
}

/* --- other threads' side --- */

bool turn_admit(struct turn *turn, struct admission *const admissions[], size_t count)
{
	pthread_mutex_lock(&turn->lock);
	while (turn->inbox.admission_count >= INBOX_ADMISSIONS_MAX && !turn->inbox.stop)
		pthread_cond_wait(&turn->space, &turn->lock);
	bool taken = !turn->inbox.stop;
	for (size_t i = 0; taken && i < count; i++) {
		struct inbox_lane *lane = admission_lane(turn, admissions[i]);
		admissions[i]->next = NULL;
		*lane->tail = admissions[i];
		lane->tail = &admissions[i]->next;
		lane->count++;
		turn->inbox.admission_count++;
	}
	pthread_cond_signal(&turn->wake);
	pthread_mutex_unlock(&turn->lock);
	return taken;
}

static bool request_is_in_inbox(const struct turn *turn, const struct request *request)
{
	const struct request *waiting = turn->inbox.requests;

	while (waiting && waiting != request)
		waiting = waiting->next;
	return waiting;
}

/* False: its deadline is over. */
static bool wait_answer(struct turn *turn, struct request *request)
{
	const int64_t until = request->deadline;
	const struct timespec at = {.tv_sec = (time_t)(until / MOMENT_S),
				    .tv_nsec = (long)(until % MOMENT_S * 1000)};

	if (moment_mono() > until)
		return false;
	pthread_cond_clockwait(&request->answered, &turn->lock, CLOCK_MONOTONIC, &at);
	return true;
}

void turn_call(struct turn *turn, struct request *request)
{
	request->next = NULL;
	request->done = false;
	request->answered = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	pthread_mutex_lock(&turn->lock);
	if (turn->outbox.ended) {
		struct request *only = request;
		refuse_late(&only, true, "the gateway has ended");
	} else {
		*turn->inbox.requests_tail = request;
		turn->inbox.requests_tail = &request->next;
		pthread_cond_signal(&turn->wake);
		while (!request->done) {
			/* what the turn has not taken by then is answered all the same */
			if (!request->deadline || !request_is_in_inbox(turn, request))
				pthread_cond_wait(&request->answered, &turn->lock);
			else if (!wait_answer(turn, request))
				turn->inbox.requests_tail =
					refuse_late(&turn->inbox.requests, false,
						    "the gateway could not make the change binding in time");
		}
	}
	pthread_mutex_unlock(&turn->lock);
	pthread_cond_destroy(&request->answered);
}

bool turn_reload(struct turn *turn, struct config *config, struct text *error)
{
	pthread_mutex_lock(&turn->lock);
	turn->inbox.reload = config;
	turn->inbox.reload_error = error;
	turn->inbox.reload_done = false;
	pthread_cond_signal(&turn->wake);
	while (!turn->inbox.reload_done && !turn->outbox.ended)
		pthread_cond_wait(&turn->space, &turn->lock);
	bool ok = turn->inbox.reload_done && turn->inbox.reload_ok;
	if (!turn->inbox.reload_done)
		text_error(error, "the gateway is ending");
	turn->inbox.reload = NULL;
	pthread_mutex_unlock(&turn->lock);
	return ok;
}

unsigned turn_lanes(struct turn *turn)
{
	pthread_mutex_lock(&turn->lock);
	unsigned lanes = turn->inbox.stop ? 0 : turn->lanes;
	pthread_mutex_unlock(&turn->lock);
	lanes = troubles_stop(&turn->troubles) ? 0 : lanes;
	return lanes;
}

struct troubles *turn_troubles(struct turn *turn)
{
	return &turn->troubles;
}
