/* What the turn finds by itself that keeps it from taking and beginning: no file descriptors, and a clock
 * that jumped (trouble.h has all there is). Outcomes and changes of choices go on: they want neither. */
#include <stdlib.h>

#include "clock_watch.h"
#include "descriptors.h"
#include "log.h"
#include "turn_private.h"
#include "banned.h"

#define LOOK_EVERY MOMENT_S

/* One that is the server's is followed as it is. */
static bool watches_clock(const struct turn *turn)
{
	return !turn->alone && !store_is_shared(turn->store);
}

int64_t turn_clock(struct turn *turn)
{
	int64_t now = moment_now() + turn->clock;

	if (watches_clock(turn))
		now = clock_watch_see(&turn->watch, now, moment_boot());
	return now + turn->ahead + turn->moving;
}

static void look_at_clock(struct turn *turn)
{
	const struct clock_watch *watch = &turn->watch;

	if (!watches_clock(turn))
		return;
	if (watch->jump)
		trouble_is(&turn->troubles, TROUBLE_CLOCK, "the clock jumped %s by %lld s",
			   watch->jump > 0 ? "ahead" : "back",
			   (long long)((llabs(watch->jump) + MOMENT_S / 2) / MOMENT_S));
	else if (turn->standing)
		trouble_over(&turn->troubles, TROUBLE_CLOCK);
}

static void look_at_descriptors(struct turn *turn)
{
	if (turn->alone || turn->mono < turn->next_look)
		return;
	turn->next_look = turn->mono + LOOK_EVERY;
	if (descriptors_left())
		trouble_over(&turn->troubles, TROUBLE_DESCRIPTORS);
	else
		trouble_is(&turn->troubles, TROUBLE_DESCRIPTORS,
			   "this process has no file descriptors left (its limit, or the system's)");
}

void turn_no_descriptors(struct turn *turn)
{
	trouble_is(&turn->troubles, TROUBLE_DESCRIPTORS,
		   "this process had no file descriptors left (its limit, or the system's)");
	turn->standing = true;
	turn->claiming = false; /* in this run already */
	turn->next_look = turn->mono + LOOK_EVERY;
}

/* Where it jumped to it has stayed: what waits for a while, and not for a time of day, waits no longer and no
 * shorter for it. In memory at once, and for good: the transaction is run until it is committed. */
static void begin_move(struct turn *turn)
{
	if (!turn->watch.trusted || turn->moving)
		return;
	const int64_t was = turn->now, by = turn->watch.jump;
	turn->moving = by;
	turn->now += by;
	for (struct flight *flight = turn->flights; flight; flight = flight->next) {
		message_row_move_clock(&flight->row, was, by);
		for (size_t i = 0; i < flight->others.count; i++)
			message_row_move_clock(&flight->others.rows[i], was, by);
		flight->claimed_at += by;
	}
}

void turn_look(struct turn *turn)
{
	turn->mono = moment_mono();
	turn->now = turn_clock(turn);
	look_at_clock(turn);
	begin_move(turn);
	look_at_descriptors(turn);
	turn->standing = trouble_has(&turn->troubles, TROUBLE_CLOCK) ||
			 trouble_has(&turn->troubles, TROUBLE_DESCRIPTORS);
}

/* --- the time that is followed in the end --- */

bool clock_move(struct turn *turn)
{
	return !turn->moving || store_move_clock(turn->store, turn->now - turn->moving, turn->moving);
}

void clock_moved(struct turn *turn)
{
	if (!turn->moving)
		return;
	log_warn("the clock is followed: what waits for a while waits neither longer nor shorter for it");
	if (turn->moving > 0)
		prune_put_off(turn); /* what that clock calls old may be young */
	clock_watch_move(&turn->watch, turn->moving);
	turn->moving = 0;
	lines_forget_turn(turn);
	turn->expiry.due = 0;
}

bool clock_since_last_run(struct turn *turn, int64_t last)
{
	if (!watches_clock(turn) || turn->moving || last <= turn->now + CLOCK_JUMP_LEAST)
		return true;
	log_warn("the clock is %lld s behind the end of the last run: what waits for a while does not wait "
		 "for that",
		 (long long)((last - turn->now) / MOMENT_S));
	return store_move_clock(turn->store, last, turn->now - last);
}
