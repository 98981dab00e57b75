/* Lines: the channels in use, what each may take in this turn, and the rows that wait for them. */
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

void line_waits(struct turn *turn, const char *channel, int64_t due)
{
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
	turn->retired =
		xreallocarray(turn->retired, turn->retired_count + turn->line_count, sizeof *turn->retired);
	for (size_t i = 0; i < turn->line_count; i++)
		if (turn->lines[i].channel)
			turn->retired[turn->retired_count++] =
				(struct retired){turn->lines[i].channel, config_hold(turn->config)};
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

bool lines_open(struct turn *turn, struct config *config, bool with_channels, struct text *error)
{
	const struct outcome_sink sink = {turn_report, turn};
	struct line *lines = xcalloc(config->channel_count + 1, sizeof *lines);

	for (size_t i = 0; i < config->channel_count; i++) {
		struct line *line = &lines[i];
		line->config = &config->channels[i];
		if (with_channels && !(line->channel = channel_open(line->config, sink, error))) {
			while (i-- > 0)
				channel_close(lines[i].channel, 0);
			free(lines);
			return false;
		}
	}
	lines_retire(turn);
	turn->lines = lines;
	turn->line_count = config->channel_count;
	turn->unassigned.due = 0; /* look once: rows may wait for a channel that is gone */
	return true;
}

void lines_forget_turn(struct turn *turn)
{
	turn->unassigned.due = 0;
	for (size_t i = 0; i < turn->line_count; i++) {
		turn->lines[i].next.due = 0;
		turn->lines[i].sweeping = turn->lines[i].breaker.open;
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

void lines_begin_turn(struct turn *turn)
{
	retired_close(turn);
	turn->unassigned.this_turn = MOMENT_NEVER;
	turn->claiming = !turn->stopping && !turn->alone && turn->recovered == MOMENT_NEVER;
	for (size_t i = 0; i < turn->line_count; i++) {
		struct line *line = &turn->lines[i];
		line->next.this_turn = MOMENT_NEVER;
		size_t credit = line->channel ? channel_credit_left(line->channel) : 0;
		enum breaker_allows allows = breaker_may_send(&line->breaker, turn->mono);
		line->budget = !turn->claiming || allows == BREAKER_NONE ? 0
			       : allows == BREAKER_ONE && credit         ? 1
									 : credit;
	}
}

static bool due_of(struct turn *turn, const char *waits_for, enum lane lane, size_t limit, size_t skip,
		   size_t *got)
{
	struct message_rows rows = {0};
	bool ok = limit == 0 || store_due(turn->store, waits_for, lane, turn->now, limit + skip, &rows);

	*got = 0;
	for (size_t i = skip; ok && i < rows.count; i++) {
		if (!work_of(turn, rows.rows[i].n))
			work_add(turn, WORK_DUE, &rows.rows[i]);
		++*got;
	}
	message_rows_release(&rows);
	return ok;
}

/* Urgent first, then normal, then bulk; but bulk keeps a tenth. */
static bool line_take(struct turn *turn, const char *waits_for, size_t credit, size_t *taken)
{
	size_t tenth = credit >= 10 ? credit / 10 : turn->number % 10 == 0, kept, urgent, normal, bulk;

	if (!due_of(turn, waits_for, LANE_BULK, tenth, 0, &kept) ||
	    !due_of(turn, waits_for, LANE_URGENT, credit - kept, 0, &urgent) ||
	    !due_of(turn, waits_for, LANE_NORMAL, credit - kept - urgent, 0, &normal) ||
	    !due_of(turn, waits_for, LANE_BULK, kept < tenth ? 0 : credit - kept - urgent - normal, kept,
		    &bulk))
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
		if (!line->budget || line->next.due > turn->now)
			continue;
		size_t budget = line->budget;
		if (!line_take(turn, line->config->name, budget, &taken))
			return false;
		/* those just taken are still in the index: then it says to look again next turn */
		if (taken < budget && !hint_ask(turn, line->config->name, &line->next))
			return false;
	}
	if (turn->unassigned.due <= turn->now) {
		if (!line_take(turn, "", TURN_ADMISSIONS_MAX, &taken))
			return false;
		if (!taken && !hint_ask(turn, "", &turn->unassigned))
			return false;
	}
	return true;
}

/* A breaker opened: what waits there is deferred, not queued, and its give-up clock stands. */
static bool line_sweep(struct turn *turn, struct line *line)
{
	struct message_rows rows = {0};
	bool ok = store_waiting(turn->store, line->config->name, &line->swept, TURN_SWEEP_MAX, &rows);

	for (size_t i = 0; ok && i < rows.count; i++) {
		struct message_row *row = &rows.rows[i];
		if ((row->state != STATE_QUEUED && (row->fault_since || !row->give_up_at)) ||
		    work_of(turn, row->n))
			continue;
		struct work *work = work_add(turn, WORK_SETTLED, row);
		turn->plan.waiting_touched = true;
		if (!work->row.fault_since)
			work->row.fault_since = turn->now;
		if (row->state == STATE_QUEUED) {
			work_reason(work, REASON_provider_at_fault,
				    json_pack("{s:s, s:s}", "provider", line->config->provider, "code", ""));
			work_set_state(turn, work, STATE_DEFERRED);
			work_event(turn, work, STATE_DEFERRED, NULL);
		}
	}
	if (rows.count < TURN_SWEEP_MAX)
		line->sweeping = false;
	message_rows_release(&rows);
	return ok;
}

bool lines_sweep(struct turn *turn)
{
	for (size_t i = 0; i < turn->line_count; i++) {
		struct line *line = &turn->lines[i];
		if (line->sweeping && !line->breaker.open)
			line->sweeping = false;
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
		if (ok && !line && *names[i]) {
			ok = store_waiting(turn->store, names[i], &from, STRAYS_MAX, &rows);
			if (rows.count)
				log_warn("%zu messages waited for channel %s, which is gone: they are chosen "
					 "again",
					 rows.count, names[i]);
			for (size_t r = 0; ok && r < rows.count; r++) {
				if (work_of(turn, rows.rows[r].n))
					continue;
				struct work *work = work_add(turn, WORK_SETTLED, &rows.rows[r]);
				turn->plan.waiting_touched = turn->plan.strays = true;
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

int64_t lines_next(struct turn *turn)
{
	int64_t wait = TURN_WAIT_MAX;

	for (size_t i = 0; i < turn->line_count; i++) {
		const struct line *line = &turn->lines[i];
		int64_t left = line->next.due - turn->now, probe = breaker_next(&line->breaker);
		if (line->sweeping)
			return 0;
		if (line->next.due == MOMENT_NEVER || !line->channel)
			continue;
		if (line->breaker.open && probe != MOMENT_NEVER && probe - turn->mono > left)
			left = probe - turn->mono;
		else if (line->breaker.open && probe == MOMENT_NEVER)
			continue; /* a probe is out: its outcome wakes us */
		if (left <= 0 && channel_credit_left(line->channel) == 0)
			continue; /* an outcome wakes us */
		if (left < wait)
			wait = left;
	}
	if (turn->unassigned.due != MOMENT_NEVER && turn->unassigned.due - turn->now < wait)
		wait = turn->unassigned.due - turn->now;
	return wait > 0 ? wait : 0;
}

void plan_note(struct turn *turn, struct line *line, int verdict, enum breaker_fault_kind fault,
	       int64_t retry_after)
{
	struct plan *plan = &turn->plan;

	if (verdict == NOTE_FAULT)
		line->budget = 0; /* the breaker opens with the commit: this turn sends nothing after it */
	plan->notes = xreallocarray(plan->notes, plan->note_count + 1, sizeof *plan->notes);
	plan->notes[plan->note_count++] = (struct breaker_note){
		.line = line, .verdict = verdict, .fault = fault, .retry_after = retry_after};
}
