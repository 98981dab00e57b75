/* Looking again at what waits of one customer: the choice changed, an address, a cap was freed. A customer
 * may have any number of rows that wait, so a turn takes TURN_AGAIN_MAX of them in all, and what is left is
 * taken by the next turns. Nothing of the promise hangs on it: whatever waits is chosen for in the
 * transaction that claims it. It is for what may go sooner than it waits, and for what may end. The store
 * knows how far it came: the next start goes on. */
#include <stdlib.h>

#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

/* One at a time for a customer: a new change begins anew. */
static void again_remember(struct turn *turn, int64_t customer, int64_t after)
{
	struct again *again = NULL;

	for (size_t i = 0; i < turn->again_count; i++)
		if (turn->again[i].customer == customer)
			again = &turn->again[i];
	if (!again) {
		turn->again = xreallocarray(turn->again, turn->again_count + 1, sizeof *turn->again);
		again = &turn->again[turn->again_count++];
	}
	*again = (struct again){.customer = customer, .after = after, .next = after};
}

/* As many as this turn may take still. *last: the n to go on behind; MOMENT_NEVER: none is left. */
static bool again_slice(struct turn *turn, int64_t customer, int64_t after, again_wants wants,
			const void *context, int64_t *last, size_t *added)
{
	struct message_rows rows = {0};
	size_t room = TURN_AGAIN_MAX > turn->plan.looked ? TURN_AGAIN_MAX - turn->plan.looked : 0;
	bool ok = store_waiting_of(turn->store, customer, after, room, &rows);

	*last = rows.count < room ? MOMENT_NEVER : after;
	for (size_t i = 0; ok && i < rows.count; i++) {
		const struct message_row *row = &rows.rows[i];
		if (*last != MOMENT_NEVER)
			*last = row->n;
		turn->plan.looked++;
		if ((wants && !wants(row, context)) || work_of(turn, row->n))
			continue;
		work_add(turn, WORK_RECONSIDER, row);
		++*added;
	}
	message_rows_release(&rows);
	return ok;
}

bool again_look(struct turn *turn, int64_t customer, again_wants wants, const void *context, size_t *added)
{
	int64_t last = 0;
	size_t count = 0;
	bool ok = again_slice(turn, customer, 0, wants, context, &last, &count);

	if (ok && last != MOMENT_NEVER) {
		ok = store_put_again(turn->store, &(struct again_at){customer, last});
		again_remember(turn, customer, last);
	}
	if (added)
		*added += count;
	return ok;
}

/* What a run before left, or another gateway has in hand: twice does no harm. */
static bool again_load(struct turn *turn)
{
	struct again_at *left = NULL;
	size_t count = 0;
	bool ok = store_get_again(turn->store, &left, &count);

	for (size_t i = 0; ok && i < count; i++)
		again_remember(turn, left[i].customer, left[i].after);
	turn->again_known = ok;
	free(left);
	return ok;
}

static bool again_write(struct turn *turn, const struct again *again)
{
	if (again->next == MOMENT_NEVER)
		return store_drop_again(turn->store, again->customer);
	return again->next == again->after ||
	       store_put_again(turn->store, &(struct again_at){again->customer, again->next});
}

bool again_take(struct turn *turn)
{
	size_t added = 0;
	bool ok = turn->again_known || again_load(turn);

	for (size_t i = 0; ok && i < turn->again_count && turn->plan.looked < TURN_AGAIN_MAX; i++) {
		struct again *again = &turn->again[i];
		ok = again_slice(turn, again->customer, again->after, NULL, NULL, &again->next, &added) &&
		     again_write(turn, again);
	}
	return ok;
}

void again_after_commit(struct turn *turn)
{
	size_t left = 0;

	for (size_t i = 0; i < turn->again_count; i++) {
		struct again again = turn->again[i];
		again.after = again.next;
		if (again.next != MOMENT_NEVER)
			turn->again[left++] = again;
	}
	turn->again_count = left;
}

void again_after_loss(struct turn *turn)
{
	for (size_t i = 0; i < turn->again_count; i++)
		turn->again[i].next = turn->again[i].after;
}
