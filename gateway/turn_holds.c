/* Holds in the turn. What is in force stands in the store and, for the one writer, here; it is asked in the
 * transaction that claims, so nothing that is held leaves, wherever it comes from.
 *
 * How what is held waits: a channel, or a provider with no other beside it, holds its line: no row moves, and
 * none is looked at. A product, a campaign or a lane moves its rows to a place of their own in the waiting
 * index (hold_key), in slices of TURN_HELD_MAX a turn, the first ones first; those whose turn comes sooner
 * are found when they are placed. A release has them chosen again, in slices likewise. So a hold costs
 * nothing while it stands, and others wait no longer for it. What was moved and what is left to move is in
 * the index alone: a crash changes nothing.
 *
 * A cancelled campaign is a hold that ends what it meets. */
#include <stdlib.h>
#include <string.h>

#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

void holds_forget(struct turn *turn)
{
	for (size_t i = 0; i < turn->hold_count; i++)
		hold_release(&turn->holds[i].hold);
	free(turn->holds);
	turn->holds = NULL;
	turn->hold_count = 0;
	for (size_t i = 0; i < turn->releasing_count; i++)
		free(turn->releasing[i]);
	free(turn->releasing);
	turn->releasing = NULL;
	turn->releasing_count = 0;
	turn->holds_known = false;
}

/* --- what is in force --- */

const struct hold *holds_find(const struct turn *turn, enum hold_kind kind, const char *name)
{
	for (size_t i = 0; i < turn->hold_count; i++)
		if (turn->holds[i].hold.kind == kind && strcmp(turn->holds[i].hold.name, name) == 0)
			return &turn->holds[i].hold;
	return NULL;
}

static bool moves_rows(enum hold_kind kind)
{
	return kind != HOLD_CHANNEL && kind != HOLD_PROVIDER;
}

/* A sweep that was under way goes on where it was. */
static void holding_resume(struct holding *holding, const struct holding *before, size_t count)
{
	holding->sweeping = moves_rows(holding->hold.kind);
	holding->line = 0;
	holding->swept = (struct waiting_at){0};
	if (holding->hold.kind == HOLD_LANE)
		lane_parse(holding->hold.name, &holding->swept.lane);
	for (size_t i = 0; i < count; i++)
		if (before[i].hold.seq == holding->hold.seq) {
			holding->sweeping = before[i].sweeping;
			holding->line = before[i].line;
			holding->swept = before[i].swept;
		}
}

/* The lines are others now. */
void holds_restart(struct turn *turn)
{
	for (size_t i = 0; i < turn->hold_count; i++)
		holding_resume(&turn->holds[i], NULL, 0);
	lines_follow_holds(turn);
}

/* What waits for a hold that is gone. */
static bool find_released(struct turn *turn)
{
	char **names = NULL;
	size_t count = 0;
	bool ok = store_waited_for(turn->store, &names, &count);

	for (size_t i = 0; i < count; i++) {
		bool gone = hold_is_key(names[i]);
		for (size_t h = 0; gone && h < turn->hold_count; h++) {
			char *key = hold_key(turn->holds[h].hold.kind, turn->holds[h].hold.name);
			gone = strcmp(key, names[i]) != 0;
			free(key);
		}
		if (gone) {
			turn->releasing = xreallocarray(turn->releasing, turn->releasing_count + 1,
							sizeof *turn->releasing);
			turn->releasing[turn->releasing_count++] = names[i];
		} else {
			free(names[i]);
		}
	}
	free(names);
	return ok;
}

bool holds_load(struct turn *turn)
{
	struct hold *holds = NULL;
	size_t count = 0, known = turn->hold_count;
	struct holding *before = turn->holds;

	if (turn->holds_known)
		return true;
	if (!store_get_holds(turn->store, &holds, &count))
		return false;
	turn->holds = NULL;
	turn->hold_count = 0;
	struct holding *list = xcalloc(count + 1, sizeof *list);
	for (size_t i = 0; i < count; i++) {
		list[i].hold = holds[i];
		if (!turn->lost) /* of a transaction that was lost: from the start */
			holding_resume(&list[i], before, known);
		else
			holding_resume(&list[i], NULL, 0);
	}
	free(holds); /* what it held is in the list */
	for (size_t i = 0; i < known; i++)
		hold_release(&before[i].hold);
	free(before);
	for (size_t i = 0; i < turn->releasing_count; i++)
		free(turn->releasing[i]);
	turn->releasing_count = 0;
	turn->holds = list;
	turn->hold_count = count;
	turn->holds_known = find_released(turn);
	if (turn->holds_known)
		lines_follow_holds(turn);
	return turn->holds_known;
}

/* --- what it means for a message --- */

static const struct hold *find_in_turn(const void *turn, enum hold_kind kind, const char *name)
{
	return holds_find(turn, kind, name);
}

static const struct hold *row_hold(const struct turn *turn, const struct message_row *row)
{
	return turn->hold_count ? hold_of_message(find_in_turn, turn, row->campaign, row->product,
						  lane_name(row->lane))
				: NULL;
}

const struct hold *holds_stop(const struct turn *turn, const struct message_row *row, const struct line *line,
			      const char *bound)
{
	const struct hold *hold = row_hold(turn, row);

	if (hold || !line || !turn->hold_count)
		return hold;
	hold = holds_find(turn, HOLD_CHANNEL, line->config->name);
	if (hold || bound)
		return hold ? hold : holds_find(turn, HOLD_PROVIDER, bound);
	return line->held ? holds_find(turn, HOLD_PROVIDER, line->config->provider) : NULL;
}

const struct hold *holds_cancel(const struct turn *turn, const struct message_row *row)
{
	return turn->hold_count && *row->campaign ? holds_find(turn, HOLD_CANCEL, row->campaign) : NULL;
}

/* What became of it already stands, whatever becomes of the rest of it. */
static bool rests(enum state state)
{
	return state == STATE_IN_DOUBT || state == STATE_SENT || state == STATE_DELIVERED;
}

void work_hold(struct turn *turn, struct work *work, const struct hold *hold, const char *channel)
{
	struct message_row *row = &work->row;
	const struct line *line = line_find(turn, channel);
	bool with_line = !moves_rows(hold->kind) && line && line->held;
	char *key = with_line ? xstrdup(channel) : hold_key(hold->kind, hold->name);
	bool waits = work->was != STATES && row->due != MOMENT_NEVER && row->due <= turn->now;

	work_reason(work, REASON_held, hold_reason_args(hold, channel));
	if (strcmp(row->waits_for, key) != 0)
		row_queued(row, turn->now);
	if (!row->fault_since)
		row->fault_since = turn->now;
	/* it keeps its place among those that are held with it; what was called back was before them */
	int64_t due = waits ? row->due : work->flight ? row->admitted_at : turn->now;
	work_wait(turn, work, rests(row->state) ? row->state : STATE_DEFERRED, key, due);
	free(key);
}

bool work_cancel(struct turn *turn, struct work *work, const char *who, const char *why)
{
	bool rested = rests(work->row.state);

	work_reason(work, REASON_cancelled, json_pack("{s:s, s:s}", "by", who, "why", *why ? why : "-"));
	work_end(turn, work, rested ? work->row.state : STATE_CANCELLED, NULL);
	return rested || caps_release(turn, work);
}

/* --- moving, in slices --- */

static void move(struct turn *turn, const struct message_row *row)
{
	const struct hold *hold = row_hold(turn, row);

	if (!hold || row->due > turn->now || work_of(turn, row->n))
		return;
	struct work *work = work_add(turn, WORK_SETTLED, row);
	turn->plan.swept++;
	work_hold(turn, work, hold, row->waits_for);
}

/* The rows of a campaign, wherever they wait. */
static bool sweep_campaign(struct turn *turn, struct holding *holding)
{
	struct message_rows rows = {0};
	const struct hold *hold = &holding->hold;
	bool ok = store_waiting_of_campaign(turn->store, hold->name, holding->swept.n, TURN_HELD_MAX, &rows);

	for (size_t i = 0; ok && i < rows.count; i++) {
		const struct message_row *row = &rows.rows[i];
		holding->swept.n = row->n;
		if (hold->kind == HOLD_CANCEL && !work_of(turn, row->n)) {
			turn->plan.swept++;
			ok = work_cancel(turn, work_add(turn, WORK_SETTLED, row), hold_who(hold), hold->why);
		} else if (hold->kind == HOLD_CAMPAIGN && line_find(turn, row->waits_for)) {
			move(turn, row);
		}
	}
	holding->sweeping = rows.count == TURN_HELD_MAX;
	message_rows_release(&rows);
	return ok;
}

/* The rows of a product or a lane, line by line. */
static bool sweep_lines(struct turn *turn, struct holding *holding)
{
	struct message_rows rows = {0};
	const bool of_lane = holding->hold.kind == HOLD_LANE;
	enum lane lane = LANE_URGENT;
	bool end = true, ok = true;

	if (of_lane)
		lane_parse(holding->hold.name, &lane);
	if (holding->line < turn->line_count) {
		const char *name = turn->lines[holding->line].config->name;
		ok = store_waiting(turn->store, name, &holding->swept, TURN_HELD_MAX, &rows);
		end = rows.count < TURN_HELD_MAX;
		for (size_t i = 0; ok && i < rows.count; i++)
			move(turn, &rows.rows[i]);
		end = end || (of_lane && rows.rows[rows.count - 1].lane != lane);
	}
	if (end) {
		holding->line++;
		holding->swept = (struct waiting_at){.lane = lane};
	}
	holding->sweeping = holding->line < turn->line_count;
	message_rows_release(&rows);
	return ok;
}

bool holds_sweep(struct turn *turn)
{
	for (size_t i = 0; i < turn->hold_count; i++) {
		struct holding *holding = &turn->holds[i];
		if (!holding->sweeping || turn->stopping ||
		    (turn->alone && holding->hold.kind != HOLD_CANCEL))
			continue;
		if (holding->hold.kind == HOLD_PRODUCT || holding->hold.kind == HOLD_LANE)
			return sweep_lines(turn, holding);
		return sweep_campaign(turn, holding);
	}
	return true;
}

bool holds_take_released(struct turn *turn)
{
	struct message_rows rows = {0};
	struct waiting_at from = {0};
	bool ok = true;

	if (!turn->claiming || !turn->releasing_count)
		return true;
	char **last = &turn->releasing[turn->releasing_count - 1];
	ok = store_waiting(turn->store, *last, &from, TURN_HELD_MAX, &rows);
	for (size_t i = 0; ok && i < rows.count; i++)
		if (!work_of(turn, rows.rows[i].n))
			work_take(turn, WORK_DUE, &rows.rows[i]);
	/* those just taken are in the index until the commit: the next turn finds that there are none */
	if (ok && !rows.count) {
		free(*last);
		turn->releasing_count--;
	}
	message_rows_release(&rows);
	return ok;
}

bool holds_busy(const struct turn *turn, bool cancels)
{
	if (!cancels && turn->releasing_count && !turn->stopping)
		return true;
	for (size_t i = 0; i < turn->hold_count; i++)
		if (turn->holds[i].sweeping && (!cancels || turn->holds[i].hold.kind == HOLD_CANCEL))
			return true;
	return false;
}
