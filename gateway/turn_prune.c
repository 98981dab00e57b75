/* Pruning: what was kept long enough goes, in slices of a turn: once a day by itself, and when it is asked
 * for. */
#include <stdlib.h>

#include "log.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define PRUNE_EVERY MOMENT_DAY
#define PRUNE_AFTER_START (1 * MOMENT_MINUTE)
#define PRUNE_SLICE 400     /* contacts, in a turn that has nothing else to do */
#define PRUNE_SLICE_BUSY 50 /* and in one that has */
#define PRUNE_BUSY 50       /* works from which on a turn is busy */

void prune_start(struct turn *turn)
{
	if (!turn->prune.running)
		turn->prune = (struct pruning){.running = true};
}

void prune_put_off(struct turn *turn)
{
	turn->prune.next = turn->mono + PRUNE_EVERY;
}

bool prune_take(struct turn *turn)
{
	const struct prune limits = {.contents = turn->now - turn->config->history.content_keep,
				     .contacts = turn->now - turn->config->history.contacts_keep};

	turn->prune.slice = (struct pruned){0};
	turn->prune.more = false;
	if (!turn->prune.next)
		turn->prune.next = turn->mono + PRUNE_AFTER_START;
	if (!turn->prune.running && !turn->alone && turn->mono >= turn->prune.next)
		prune_start(turn);
	if (!turn->prune.running)
		return true;
	return store_prune(turn->store, &limits,
			   turn->plan.count > PRUNE_BUSY ? PRUNE_SLICE_BUSY : PRUNE_SLICE, &turn->prune.slice,
			   &turn->prune.more);
}

void prune_after_commit(struct turn *turn)
{
	struct pruning *prune = &turn->prune;

	if (!prune->running)
		return;
	prune->done.contents += prune->slice.contents;
	prune->done.contacts += prune->slice.contacts;
	prune->done.messages += prune->slice.messages;
	prune->running = prune->more;
	if (prune->running)
		return;
	prune->next = turn->mono + PRUNE_EVERY;
	const struct pruned *done = &prune->done;
	if (!done->contents && !done->contacts && !done->messages)
		return;
	turn->erasing.cleaning = true;
	log_info("pruned: %lld contacts and %lld messages, the texts of %lld contacts",
		 (long long)done->contacts, (long long)done->messages, (long long)done->contents);
}

int64_t prune_next(const struct turn *turn)
{
	if (turn->prune.running)
		return 0;
	if (!turn->prune.next)
		return MOMENT_NEVER; /* the first turn says it */
	return turn->prune.next > turn->mono ? turn->prune.next - turn->mono : 0;
}
