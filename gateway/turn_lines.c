/* Lines: the channels in use, who carries each and what it may take in this turn, and the rows that wait for
 * them. */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define STRAYS_MAX 500

struct line *line_find(const struct turn *turn, const char *channel)
{
	for (size_t i = 0; i < turn->line_count; i++)
		if (strcmp(turn->lines[i].config->name, channel) == 0)
			return &turn->lines[i];
	return NULL;
}

struct outlet *line_find_outlet(struct line *line, const char *provider)
{
	for (size_t i = 0; i < line->outlet_count; i++)
		if (strcmp(line->outlets[i].config->provider, provider) == 0)
			return &line->outlets[i];
	return NULL;
}

static bool carries(const struct outlet *outlet, const char *bound)
{
	return !outlet->held && (!bound || strcmp(outlet->config->provider, bound) == 0);
}

struct outlet *line_outlet(struct line *line, const char *bound, bool urgent)
{
	for (size_t i = 0; i < line->outlet_count; i++) {
		struct outlet *outlet = &line->outlets[i];
		size_t room = urgent ? outlet->credit : outlet->budget;
		if (!carries(outlet, bound))
			continue;
		if (room)
			return outlet;
		if (!outlet->breaker.open)
			break; /* its turn; another one only where this is at fault */
	}
	return NULL;
}

bool line_at_fault(const struct line *line, const char *bound)
{
	bool any = false;

	for (size_t i = 0; i < line->outlet_count; i++) {
		if (!carries(&line->outlets[i], bound))
			continue;
		any = true;
		if (!line->outlets[i].breaker.open)
			return false;
	}
	return any;
}

/* How many rows that wait may be claimed. */
static size_t line_room(const struct line *line)
{
	size_t room = 0;

	for (size_t i = 0; i < line->outlet_count; i++) {
		if (!carries(&line->outlets[i], NULL))
			continue;
		room += line->outlets[i].budget;
		if (!line->outlets[i].breaker.open)
			break;
	}
	return line->held ? 0 : room;
}

/* What the line takes at once; 0 also where it is not to be asked. */
static size_t line_credit(const struct turn *turn, const struct line *line)
{
	size_t credit = 0;

	for (size_t o = 0; o < line->outlet_count && !line->held && line->next.due > turn->now; o++) {
		const struct outlet *outlet = &line->outlets[o];
		if (outlet->channel && !outlet->held && !outlet->breaker.open)
			credit += channel_credit_left(outlet->channel);
	}
	return credit;
}

size_t lines_room(const struct turn *turn)
{
	size_t all = 0, least = SIZE_MAX;
	bool known = false;

	for (size_t i = 0; i < turn->line_count; i++) {
		const struct line *line = &turn->lines[i];
		size_t credit = line_credit(turn, line);
		all += credit;
		known = known || line->share;
		if (!line->share || !credit)
			continue;
		size_t fits = credit * SHARE_ONE / line->share;
		least = fits < least ? fits : least;
	}
	return !known ? all : least < SIZE_MAX ? least : 0;
}

static bool line_is_brisk(const struct line *line)
{
	bool brisk = !line->held && !line_at_fault(line, NULL);

	for (size_t o = 0; brisk && o < line->outlet_count; o++) {
		const struct outlet *outlet = &line->outlets[o];
		int64_t pace = outlet->channel ? atomic_load(&outlet->channel->pace) : 0;
		brisk = pace > 0 && pace <= LINE_BRISK_PACE && !outlet->config->rate.count;
	}
	return brisk;
}

bool lines_are_brisk(const struct turn *turn)
{
	bool brisk = true, known = false;

	for (size_t i = 0; brisk && i < turn->line_count; i++) {
		known = known || turn->lines[i].share;
		brisk = !turn->lines[i].share || line_is_brisk(&turn->lines[i]);
	}
	return known && brisk;
}

/* So that a few that chose otherwise are soon forgotten. */
static void line_learn(struct line *line, size_t admitted)
{
	unsigned now = (unsigned)(line->chosen * SHARE_ONE / admitted);

	line->share = (line->share * 7 + now) / 8;
}

void line_waits(struct turn *turn, const char *channel, int64_t due)
{
	if (hold_is_key(channel))
		return; /* its release wakes it */
	struct line *line = line_find(turn, channel);
	struct hint *hint = line ? &line->next : &turn->unassigned;

	if (due < hint->due)
		hint->due = due;
	if (due < hint->this_turn)
		hint->this_turn = due;
}

/* Nothing is left that is due now: when is the next? */
static bool hint_ask(struct turn *turn, const char *waits_for, struct hint *hint)
{
	if (!store_next_due(turn->store, waits_for, &hint->due))
		return false;
	hint->due = several_hint(turn, hint->due);
	if (hint->this_turn < hint->due)
		hint->due = hint->this_turn;
	return true;
}

static void turn_report(void *context, struct attempt *attempt)
{
	struct turn *turn = context;

	attempt->next = NULL;
	pthread_mutex_lock(&turn->lock);
	*turn->inbox.outcomes_tail = attempt;
	turn->inbox.outcomes_tail = &attempt->next;
	pthread_cond_signal(&turn->wake);
	pthread_mutex_unlock(&turn->lock);
}

static void lines_retire(struct turn *turn)
{
	for (size_t i = 0; i < turn->line_count; i++) {
		struct line *line = &turn->lines[i];
		turn->retired = xreallocarray(turn->retired, turn->retired_count + line->outlet_count + 1,
					      sizeof *turn->retired);
		for (size_t o = 0; o < line->outlet_count; o++)
			if (line->outlets[o].channel)
				turn->retired[turn->retired_count++] =
					(struct retired){line->outlets[o].channel, config_hold(turn->config)};
		free(line->outlets);
	}
	free(turn->lines);
	turn->lines = NULL;
	turn->line_count = 0;
}

/* The channels of an earlier configuration go once nothing is in their hands. */
static void retired_close(struct turn *turn)
{
	for (size_t i = 0; i < turn->retired_count;) {
		if (atomic_load(&turn->retired[i].channel->in_hand) == 0) {
			channel_close(turn->retired[i].channel, 0);
			config_drop(turn->retired[i].config);
			turn->retired[i] = turn->retired[--turn->retired_count];
		} else {
			i++;
		}
	}
}

static void line_close(struct line *line)
{
	for (size_t i = 0; i < line->outlet_count; i++)
		if (line->outlets[i].channel)
			channel_close(line->outlets[i].channel, 0);
	free(line->outlets);
}

/* Its part of the rate where several gateways share it. A bucket that is made anew is empty. */
static void outlet_rate(const struct turn *turn, struct outlet *outlet, int64_t from)
{
	struct rate rate = outlet->config->rate;

	rate.per *= turn->share ? turn->share : 1;
	bucket_init(&outlet->bucket, &rate);
	if (turn->share)
		bucket_begin(&outlet->bucket, from);
}

/* What its provider was sent under the configuration before counts in its rate, and it is still left alone.
 */
static void outlet_goes_on(const struct turn *turn, const struct line *line, struct outlet *outlet)
{
	struct line *before = line_find(turn, line->config->name);
	const struct outlet *was = before ? line_find_outlet(before, outlet->config->provider) : NULL;

	if (!was)
		return;
	outlet->breaker.paced_until = was->breaker.paced_until;
	if (was->bucket.depth == outlet->bucket.depth && was->bucket.interval == outlet->bucket.interval)
		outlet->bucket = was->bucket;
}

static bool line_open(struct turn *turn, struct line *line, const struct channel_config *config,
		      bool with_channels, struct text *error)
{
	const struct outcome_sink sink = {turn_report, turn};

	line->config = config;
	line->outlets = xcalloc(config->other_count + 1, sizeof *line->outlets);
	for (size_t i = 0; i <= config->other_count; i++) {
		struct outlet *outlet = &line->outlets[line->outlet_count++];
		outlet->config = i ? &config->others[i - 1] : config;
		outlet_rate(turn, outlet, moment_mono());
		outlet_goes_on(turn, line, outlet);
		if (with_channels && !(outlet->channel = channel_open(outlet->config, sink, error)))
			return false;
	}
	return true;
}

bool lines_open(struct turn *turn, struct config *config, bool with_channels, struct text *error)
{
	struct line *lines = xcalloc(config->channel_count + 1, sizeof *lines);
	size_t count = 0;
	bool ok = true;

	while (ok && count < config->channel_count) {
		ok = line_open(turn, &lines[count], &config->channels[count], with_channels, error);
		count++;
	}
	if (!ok) {
		while (count-- > 0)
			line_close(&lines[count]);
		free(lines);
		return false;
	}
	lines_retire(turn);
	turn->lines = lines;
	turn->line_count = config->channel_count;
	turn->unassigned.due = 0; /* look once: rows may wait for a channel that is gone */
	holds_restart(turn);
	return true;
}

void lines_forget_turn(struct turn *turn)
{
	turn->unassigned.due = 0;
	for (size_t i = 0; i < turn->line_count; i++) {
		turn->lines[i].next.due = 0;
		turn->lines[i].sweeping = turn->lines[i].resuming || turn->lines[i].held ||
					  line_at_fault(&turn->lines[i], NULL);
		turn->lines[i].swept = (struct waiting_at){0};
	}
}

void lines_close(struct turn *turn, int64_t patience)
{
	int64_t until = moment_mono() + patience;

	lines_retire(turn);
	for (size_t i = 0; i < turn->retired_count; i++) {
		int64_t left = until - moment_mono();
		channel_close(turn->retired[i].channel, left > 0 ? left : 0);
		config_drop(turn->retired[i].config);
	}
	free(turn->retired);
	turn->retired = NULL;
	turn->retired_count = 0;
}

static void outlet_begin_turn(const struct turn *turn, struct outlet *outlet)
{
	size_t credit = outlet->channel && turn->claiming ? channel_credit_left(outlet->channel) : 0;
	enum breaker_allows allows = breaker_may_send(&outlet->breaker, turn->mono);
	int64_t rate = bucket_available(&outlet->bucket, turn->mono);

	if (allows == BREAKER_NONE)
		credit = 0;
	else if (allows == BREAKER_ONE && credit)
		credit = 1;
	outlet->credit = credit;
	outlet->budget = rate < (int64_t)credit ? (size_t)rate : credit;
	outlet->claimed = 0;
}

void lines_begin_turn(struct turn *turn)
{
	retired_close(turn);
	turn->unassigned.this_turn = MOMENT_NEVER;
	turn->claiming =
		!turn->stopping && !turn->alone && !turn->standing && turn->recovered == MOMENT_NEVER;
	for (size_t i = 0; i < turn->line_count; i++) {
		turn->lines[i].next.this_turn = MOMENT_NEVER;
		turn->lines[i].chosen = 0;
		for (size_t o = 0; o < turn->lines[i].outlet_count; o++)
			outlet_begin_turn(turn, &turn->lines[i].outlets[o]);
	}
}

void lines_share(struct turn *turn, int64_t gateways, int64_t from)
{
	turn->share = gateways;
	for (size_t i = 0; i < turn->line_count; i++)
		for (size_t o = 0; o < turn->lines[i].outlet_count; o++)
			outlet_rate(turn, &turn->lines[i].outlets[o], from);
}

void lines_after_commit(struct turn *turn)
{
	for (size_t i = 0; i < turn->line_count; i++) {
		if (turn->plan.admitted)
			line_learn(&turn->lines[i], turn->plan.admitted);
		for (size_t o = 0; o < turn->lines[i].outlet_count; o++) {
			struct outlet *outlet = &turn->lines[i].outlets[o];
			bucket_take(&outlet->bucket, (int64_t)outlet->claimed, turn->mono);
			outlet->claimed = 0;
		}
	}
}

/* At most `limit` behind the first `seen`, which this turn has already: those that bulk keeps. */
static bool due_of(struct turn *turn, const char *waits_for, enum lane lane, size_t limit, size_t seen,
		   bool kept, size_t *got)
{
	struct message_rows rows = {0};
	/* those that a sweep took in hand are still in the index, and not to be counted */
	size_t room = limit + seen + turn->plan.swept;
	bool ok = limit == 0 || store_due(turn->store, waits_for, lane, turn->now, room, &rows);

	*got = 0;
	for (size_t i = 0; ok && i < rows.count && *got < limit; i++) {
		if (work_of(turn, rows.rows[i].n))
			continue;
		work_take(turn, WORK_DUE, &rows.rows[i])->kept = kept;
		++*got;
	}
	message_rows_release(&rows);
	return ok;
}

/* Urgent first, then normal, then bulk; but bulk keeps a tenth. */
static bool line_take(struct turn *turn, const char *waits_for, size_t credit, size_t *taken)
{
	size_t tenth = credit >= 10 ? credit / 10 : turn->number % 10 == 0, kept, urgent, normal, bulk;

	if (!due_of(turn, waits_for, LANE_BULK, tenth, 0, true, &kept) ||
	    !due_of(turn, waits_for, LANE_URGENT, credit - kept, 0, false, &urgent) ||
	    !due_of(turn, waits_for, LANE_NORMAL, credit - kept - urgent, 0, false, &normal) ||
	    !due_of(turn, waits_for, LANE_BULK, kept < tenth ? 0 : credit - kept - urgent - normal, kept,
		    false, &bulk))
		return false;
	*taken = kept + urgent + normal + bulk;
	return true;
}

bool lines_take_due(struct turn *turn)
{
	size_t taken;

	if (!turn->claiming)
		return true;
	for (size_t i = 0; i < turn->line_count; i++) {
		struct line *line = &turn->lines[i];
		size_t budget = line_room(line), left = pace_left(turn);
		if (!budget || line->next.due > turn->now)
			continue;
		budget = budget < left ? budget : left;
		if (!line_take(turn, line->config->name, budget, &taken))
			return false;
		/* those just taken are still in the index: then it says to look again next turn */
		if (taken < budget && !hint_ask(turn, line->config->name, &line->next))
			return false;
	}
	if (turn->unassigned.due <= turn->now) {
		size_t left = pace_left(turn);
		if (!line_take(turn, "", left < TURN_ADMISSIONS_MAX ? left : TURN_ADMISSIONS_MAX, &taken))
			return false;
		if (!taken && !hint_ask(turn, "", &turn->unassigned))
			return false;
	}
	return true;
}

/* The hold that has all of a line stand still. */
static const struct hold *line_hold(const struct turn *turn, const struct line *line)
{
	const struct hold *hold = holds_find(turn, HOLD_CHANNEL, line->config->name);

	for (size_t i = 0; !hold && i < line->outlet_count; i++)
		if (!line->outlets[i].held)
			return NULL;
	return hold ? hold : holds_find(turn, HOLD_PROVIDER, line->config->provider);
}

void lines_follow_holds(struct turn *turn)
{
	for (size_t i = 0; i < turn->line_count; i++) {
		struct line *line = &turn->lines[i];
		for (size_t o = 0; o < line->outlet_count; o++) {
			struct outlet *outlet = &line->outlets[o];
			outlet->held = holds_find(turn, HOLD_PROVIDER, outlet->config->provider) != NULL;
		}
		bool held = line_hold(turn, line) != NULL;
		if (held != line->held) {
			line->sweeping = true;
			line->resuming = !held;
			line->swept = (struct waiting_at){0};
		}
		line->held = held;
		line->next.due = 0;
	}
}

/* The provider came to be at fault, or is held: what waits there is deferred, not queued, and its
 * clocks stand. */
static void row_stands(struct turn *turn, const struct line *line, const struct message_row *row)
{
	const struct hold *hold = line->held ? line_hold(turn, line) : NULL;

	if (row->state != STATE_QUEUED && (row->fault_since || !row->give_up_at))
		return;
	struct work *work = work_add(turn, WORK_SETTLED, row);
	if (row->state == STATE_QUEUED && hold) {
		work_hold(turn, work, hold, line->config->name);
	} else if (row->state == STATE_QUEUED) {
		work_reason(work, REASON_provider_at_fault,
			    json_pack("{s:s, s:s}", "provider", line->config->provider, "code", ""));
		work_wait(turn, work, STATE_DEFERRED, row->waits_for, row->due);
	}
	if (!work->row.fault_since)
		work->row.fault_since = turn->now;
}

/* It is held no more: nothing but its turn is missing to what waits there. */
static void row_resumes(struct turn *turn, const struct line *line, const struct message_row *row)
{
	if (!row->fault_since)
		return;
	struct work *work = work_add(turn, WORK_SETTLED, row);
	row_fault_over_in_place(&work->row, turn->now);
	if (row->state != STATE_DEFERRED || row->due > turn->now)
		return;
	work_reason(work, REASON_waits_turn, json_pack("{s:s}", "channel", line->config->name));
	work_wait(turn, work, STATE_QUEUED, row->waits_for, row->due);
}

static bool line_sweep(struct turn *turn, struct line *line)
{
	struct message_rows rows = {0};
	bool ok = store_waiting(turn->store, line->config->name, &line->swept, TURN_SWEEP_MAX, &rows);

	for (size_t i = 0; ok && i < rows.count; i++) {
		if (work_of(turn, rows.rows[i].n))
			continue;
		size_t before = turn->plan.count;
		if (line->resuming)
			row_resumes(turn, line, &rows.rows[i]);
		else
			row_stands(turn, line, &rows.rows[i]);
		turn->plan.swept += turn->plan.count - before;
	}
	if (rows.count < TURN_SWEEP_MAX)
		line->sweeping = line->resuming = false;
	message_rows_release(&rows);
	return ok;
}

bool lines_sweep(struct turn *turn)
{
	for (size_t i = 0; i < turn->line_count; i++) {
		struct line *line = &turn->lines[i];
		bool stands = line->held || line_at_fault(line, NULL);
		if (line->sweeping && line->resuming == stands)
			line->sweeping = line->resuming = false;
		if (line->sweeping && !turn->stopping && !line_sweep(turn, line))
			return false;
	}
	return true;
}

bool lines_adopt_strays(struct turn *turn)
{
	char **names = NULL;
	size_t count = 0;
	bool ok = store_waited_for(turn->store, &names, &count);

	for (size_t i = 0; i < count; i++) {
		struct line *line = line_find(turn, names[i]);
		if (line)
			line->next.due = 0;
		struct waiting_at from = {0};
		struct message_rows rows = {0};
		if (ok && !line && *names[i] && !hold_is_key(names[i])) {
			ok = store_waiting(turn->store, names[i], &from, STRAYS_MAX, &rows);
			if (rows.count)
				log_warn("%zu messages waited for channel %s, which is gone: they "
					 "are chosen "
					 "again",
					 rows.count, names[i]);
			for (size_t r = 0; ok && r < rows.count; r++) {
				if (work_of(turn, rows.rows[r].n))
					continue;
				struct work *work = work_add(turn, WORK_SETTLED, &rows.rows[r]);
				turn->plan.strays = true;
				free(work->row.waits_for);
				work->row.waits_for = xstrdup("");
				line_waits(turn, "", work->row.due);
			}
			message_rows_release(&rows);
		}
		free(names[i]);
	}
	free(names);
	return ok;
}

/* When one that waits for the line could be claimed, if it is due; MOMENT_NEVER: an outcome, or a
 * release, wakes us. */
static int64_t line_ready(const struct turn *turn, const struct line *line)
{
	int64_t ready = MOMENT_NEVER;

	for (size_t i = 0; i < line->outlet_count && !line->held; i++) {
		const struct outlet *outlet = &line->outlets[i];
		bool open = outlet->breaker.open;
		int64_t at = open ? breaker_next(&outlet->breaker) : bucket_next(&outlet->bucket, turn->mono);
		if (!outlet->channel || !carries(outlet, NULL))
			continue;
		at = at > outlet->breaker.paced_until ? at : outlet->breaker.paced_until;
		if (channel_credit_left(outlet->channel) && at < ready)
			ready = at;
		if (!open)
			break;
	}
	return ready;
}

int64_t lines_next(struct turn *turn)
{
	int64_t wait = TURN_WAIT_MAX;

	if (holds_busy(turn, false))
		return 0;
	for (size_t i = 0; i < turn->line_count; i++) {
		const struct line *line = &turn->lines[i];
		if (line->sweeping)
			return 0;
		if (line->next.due == MOMENT_NEVER)
			continue;
		int64_t ready = line_ready(turn, line), left = line->next.due - turn->now;
		if (ready == MOMENT_NEVER)
			continue;
		left = ready - turn->mono > left ? ready - turn->mono : left;
		if (left < wait)
			wait = left;
	}
	if (turn->unassigned.due != MOMENT_NEVER && turn->unassigned.due - turn->now < wait)
		wait = turn->unassigned.due - turn->now;
	return wait > 0 ? wait : 0;
}

void plan_note(struct turn *turn, struct line *line, struct outlet *outlet, int verdict,
	       enum breaker_fault_kind fault, int64_t retry_after)
{
	struct plan *plan = &turn->plan;

	if (verdict == NOTE_FAULT || verdict == NOTE_PACE)
		outlet->budget = outlet->credit =
			0; /* it stops with the commit: this turn sends nothing after it */
	plan->notes = xreallocarray(plan->notes, plan->note_count + 1, sizeof *plan->notes);
	plan->notes[plan->note_count++] = (struct breaker_note){.line = line,
								.outlet = outlet,
								.verdict = verdict,
								.fault = fault,
								.retry_after = retry_after};
}
