/* Time in the turn: what choose() is told of it, caps as they are counted, and what expires. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counter.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

/* Counters are kept so much longer than their period: a customer may move to where it is still that day. */
#define CAP_KEPT (2 * MOMENT_DAY)
#define COUNTED_MAX ((size_t)CHOOSE_CAPS_MAX * (COUNTER_NAME_MAX + 32)) /* bytes of a row's lines */
#define COMPANIONS_SLICE 200 /* waiting rows of a customer that are read at once */

enum state row_rests(const struct message_row *row, enum state state)
{
	if (row->best == STATE_DELIVERED || (row->best == STATE_SENT && state != STATE_DELIVERED))
		return row->best;
	return state;
}

/* Its time has come, and the channel whose turn it is has no room: a rate, or others before it. */
static bool queues(const struct message_row *row, int64_t now)
{
	return row->due < now && *row->waits_for && strcmp(row->waits_for, row->wait_channel) == 0;
}

int64_t row_wait_stood(const struct message_row *row, int64_t now)
{
	int64_t since = row->fault_since ? row->fault_since : now;

	if (queues(row, now) && row->due < since)
		since = row->due;
	return now - since;
}

void row_wait_longer(struct message_row *row, int64_t by)
{
	if (row->wait_since)
		row->wait_since += by;
	if (row->wait_until)
		row->wait_until += by;
}

void row_queued(struct message_row *row, int64_t now)
{
	int64_t until = row->fault_since ? row->fault_since : now;

	if (queues(row, now) && row->due < until)
		row_wait_longer(row, until - row->due);
}

/* The provider works again, or it is not waited for any more: the clocks that stood go on. */
static void clocks_go_on(struct message_row *row, int64_t now, int64_t waited)
{
	if (row->give_up_at && row->fault_since)
		row->give_up_at += now - row->fault_since;
	row_wait_longer(row, waited);
	row->fault_since = 0;
}

void row_fault_over(struct message_row *row, int64_t now)
{
	clocks_go_on(row, now, row_wait_stood(row, now));
}

void row_fault_over_in_place(struct message_row *row, int64_t now)
{
	int64_t queued = queues(row, now) ? now - row->due : 0;

	clocks_go_on(row, now, row_wait_stood(row, now) - queued);
}

/* --- caps --- */

/* The place of the counter in the plan, read from the store when it is first asked for. NULL: it failed. */
static struct cap_use *cap_use_of(struct turn *turn, int64_t customer, const char *name, int64_t ends)
{
	struct plan *plan = &turn->plan;
	char *key = xasprintf("%lld %s", (long long)customer, name);
	const json_t *known = json_object_get(plan->cap_index, key);
	struct cap_use *use = NULL;
	int64_t used = 0;

	if (known) {
		use = &plan->caps[json_integer_value(known)];
	} else if (store_cap_used(turn->store, customer, name, &used)) {
		if (!plan->cap_index)
			plan->cap_index = json_object();
		json_object_set_new(plan->cap_index, key, json_integer((json_int_t)plan->cap_count));
		plan->caps = xreallocarray(plan->caps, plan->cap_count + 1, sizeof *plan->caps);
		use = &plan->caps[plan->cap_count++];
		*use = (struct cap_use){
			.customer = customer, .name = xstrdup(name), .used = used, .ends = ends};
	}
	free(key);
	return use;
}

/* The row's lines are "ENDS NAME": with 0 for what another message of the same digest has counted, with a +
 * in front where it counts for others too. NULL: it does not count there. */
static const char *counts_in(const char *counted, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = counted; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t size = strcspn(line, "\n"), ends = strcspn(line, " ") + 1;
		if (size == ends + len && strncmp(line + ends, name, len) == 0)
			return line;
	}
	return NULL;
}

void caps_share(struct work *lead, struct work *work)
{
	struct text lines, shared;

	if (*work->row.counted)
		return;
	text_init(&lines, COUNTED_MAX);
	text_init(&shared, COUNTED_MAX);
	for (const char *line = lead->row.counted; *line;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		size_t size = strcspn(line, "\n"), space = strcspn(line, " ");
		text_addf(&lines, "%s0", lines.len ? "\n" : "");
		text_add(&lines, line + space, size - space);
		text_addf(&shared, "%s%s", shared.len ? "\n" : "", *line == '0' || *line == '+' ? "" : "+");
		text_add(&shared, line, size);
	}
	if (lines.len) {
		xreplace(&work->row.counted, lines.data);
		xreplace(&lead->row.counted, shared.data);
	}
	text_release(&lines);
	text_release(&shared);
}

/* --- a digest of which the one that counted for all goes no further --- */

static bool may_count(const struct message_row *row, const struct work *for_all)
{
	return row->n != for_all->row.n && row->customer == for_all->row.customer &&
	       row->contact == for_all->row.contact && row->counted[0] == '0' && row->state != STATE_SENT &&
	       row->state != STATE_DELIVERED;
}

/* One that waits in the store, as work that is saved. NULL in *out: there is none. False: the store failed.
 */
static bool waiting_companion(struct turn *turn, const struct work *for_all, struct work **out)
{
	int64_t after = 0;
	bool ok = true;

	*out = NULL;
	while (ok && !*out && after != MOMENT_NEVER) {
		struct message_rows rows = {0};
		ok = store_waiting_of(turn->store, for_all->row.customer, after, COMPANIONS_SLICE, &rows);
		for (size_t i = 0; ok && i < rows.count && !*out; i++)
			if (may_count(&rows.rows[i], for_all) && !work_of(turn, rows.rows[i].n))
				(*out = work_add(turn, WORK_SETTLED, &rows.rows[i]))->heir = true;
		after = rows.count == COMPANIONS_SLICE ? rows.rows[rows.count - 1].n : MOMENT_NEVER;
		message_rows_release(&rows);
	}
	return ok;
}

/* Another one counts for all instead. *handed false: there is none. False: the store failed. */
static bool counters_hand_over(struct turn *turn, struct work *work, bool *handed)
{
	struct work *heir = NULL;
	bool ok = true;

	*handed = false;
	if (*work->row.counted != '+' || !work->row.contact)
		return true;
	for (struct work *one = turn->plan.first; one && !heir; one = one->next)
		if (may_count(&one->row, work))
			heir = one;
	if (!heir)
		ok = waiting_companion(turn, work, &heir);
	if (heir) {
		xreplace(&heir->row.counted, work->row.counted);
		*handed = true;
	}
	return ok;
}

/* Takes back the lines of the row that are not among `kept`. */
static bool counters_drop(struct turn *turn, struct work *work, const struct counter kept[], size_t count)
{
	bool ok = true;

	for (const char *line = work->row.counted; ok && *line;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		size_t size = strcspn(line, "\n"), space = strcspn(line, " ");
		char *name = xmemdup0(line + space + 1, size - space - 1);
		bool keep = line[0] == '0'; /* not its own */
		for (size_t i = 0; i < count; i++)
			keep = keep || strcmp(kept[i].name, name) == 0;
		struct cap_use *use =
			keep ? NULL : cap_use_of(turn, work->row.customer, name, strtoll(line, NULL, 10));
		ok = keep || use;
		if (use) {
			use->more--;
			pointers_add(&turn->plan.freed, xmemdup0(&use->customer, sizeof use->customer));
		}
		free(name);
	}
	return ok;
}

bool caps_count(struct turn *turn, struct work *work, const struct customer *customer,
		const struct product *product)
{
	struct counter counters[CHOOSE_CAPS_MAX];
	size_t count = counters_of(turn->config, product, work->row.purpose,
				   customer_zone(turn->config, customer), turn->now, counters);
	struct text lines;
	bool ok = counters_drop(turn, work, counters, count);

	text_init(&lines, COUNTED_MAX);
	for (size_t i = 0; ok && i < count; i++) {
		int64_t ends = counters[i].ends + CAP_KEPT;
		struct cap_use *use = cap_use_of(turn, work->row.customer, counters[i].name, ends);
		const char *line = counts_in(work->row.counted, counters[i].name);
		ok = use != NULL;
		if (ok && !line)
			use->more++;
		text_addf(&lines, "%s%s%lld %s", i ? "\n" : "", line && *line == '+' ? "+" : "",
			  line && *line == '0' ? 0 : (long long)ends, counters[i].name);
	}
	if (ok)
		xreplace(&work->row.counted, lines.len ? lines.data : "");
	text_release(&lines);
	return ok;
}

bool caps_release(struct turn *turn, struct work *work)
{
	bool handed = false;

	if (!*work->row.counted)
		return true;
	bool ok = counters_hand_over(turn, work, &handed) && (handed || counters_drop(turn, work, NULL, 0));
	if (ok)
		xreplace(&work->row.counted, "");
	return ok;
}

bool caps_write(struct turn *turn)
{
	struct plan *plan = &turn->plan;
	struct cap_count *counts = xcalloc(plan->cap_count, sizeof *counts);
	size_t count = 0;

	for (size_t i = 0; i < plan->cap_count; i++)
		if (plan->caps[i].more)
			counts[count++] = (struct cap_count){plan->caps[i].customer, plan->caps[i].name,
							     plan->caps[i].more, plan->caps[i].ends};
	bool ok = store_count_caps(turn->store, counts, count, turn->now);
	free(counts);
	return ok;
}

static bool waits_for_cap(const struct message_row *row, const void *context)
{
	(void)context;
	return row->state == STATE_DEFERRED &&
	       (strstr(row->reasons, "\"cap\"") != NULL || strstr(row->reasons, "\"marketing_cap\"") != NULL);
}

bool caps_freed(struct turn *turn, bool *any)
{
	struct pointers freed = turn->plan.freed;
	size_t added = 0;
	bool ok = true;

	turn->plan.freed = (struct pointers){0};
	for (size_t i = 0; i < freed.count; i++) {
		ok = ok && again_look(turn, *(int64_t *)freed.list[i], waits_for_cap, NULL, &added);
		free(freed.list[i]);
	}
	free(freed.list);
	*any = added > 0;
	return ok;
}

/* --- what choose() is told --- */

bool when_fill(struct turn *turn, const struct message_row *row, const struct customer *customer,
	       const struct product *product, struct choose_input *in)
{
	struct counter counters[CHOOSE_CAPS_MAX];
	bool ok = true;

	in->now = turn->now;
	in->zone = customer_zone(turn->config, customer);
	in->zone_known = *customer->timezone != '\0';
	in->admitted_at = row->admitted_at;
	in->send_at = row->send_at;
	in->expires_at = row->expires_at;
	in->waited = row->waited;
	in->wait_channel = row->wait_channel;
	in->wait_since = row->wait_since + row_wait_stood(row, turn->now);
	in->taken = row->best == STATE_SENT || row->best == STATE_DELIVERED;
	/* not where the next channel has its turn already and is only waited for */
	in->sent = in->taken && row->state == STATE_SENT && strcmp(row->wait_channel, row->channel) == 0;
	size_t count = counters_of(turn->config, product, row->purpose, in->zone, turn->now, counters);
	for (size_t i = 0; ok && i < count; i++) {
		if (counts_in(row->counted, counters[i].name))
			continue;
		const struct cap_use *use =
			cap_use_of(turn, row->customer, counters[i].name, counters[i].ends + CAP_KEPT);
		ok = use != NULL;
		if (ok && use->used + use->more >= counters[i].cap.count)
			in->caps[in->cap_count++] =
				(struct choose_cap){counters[i].cap, counters[i].marketing, counters[i].ends};
	}
	return ok;
}

/* --- expiry --- */

void expiry_waits(struct turn *turn, const struct message_row *row)
{
	if (!row->expires_at || row->due == MOMENT_NEVER)
		return;
	if (row->expires_at < turn->expiry.due)
		turn->expiry.due = row->expires_at;
	if (row->expires_at < turn->expiry.this_turn)
		turn->expiry.this_turn = row->expires_at;
}

bool expiries_take(struct turn *turn)
{
	struct message_rows rows = {0};

	if (!turn->claiming || turn->expiry.due > turn->now)
		return true;
	bool ok = store_expired(turn->store, turn->now, TURN_EXPIRED_MAX, &rows);
	if (rows.count)
		for (size_t i = 0; ok && i < rows.count; i++)
			if (!work_of(turn, rows.rows[i].n))
				work_take(turn, WORK_DUE, &rows.rows[i]);
	/* those just taken are in the index until the commit */
	if (rows.count)
		turn->expiry.due = 0;
	else
		ok = ok && store_next_expiry(turn->store, &turn->expiry.due);
	turn->expiry.due = rows.count ? 0 : several_hint(turn, turn->expiry.due);
	if (turn->expiry.this_turn < turn->expiry.due)
		turn->expiry.due = turn->expiry.this_turn;
	message_rows_release(&rows);
	return ok;
}
