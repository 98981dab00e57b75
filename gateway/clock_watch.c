#include "clock_watch.h"

#include "banned.h"

static bool is_small(int64_t difference)
{
	return difference > -CLOCK_JUMP_LEAST && difference < CLOCK_JUMP_LEAST;
}

int64_t clock_watch_see(struct clock_watch *watch, int64_t wall, int64_t steady)
{
	if (!watch->known)
		*watch = (struct clock_watch){.known = true, .offset = wall - steady};
	int64_t jump = wall - steady - watch->offset;
	if (is_small(jump)) {
		watch->offset += jump;
		watch->jump = 0;
		watch->trusted = false;
		return wall;
	}
	if (!watch->jump || !is_small(jump - watch->jump)) { /* or once more */
		watch->jump = jump;
		watch->since = steady;
	}
	watch->trusted = steady - watch->since >= CLOCK_TRUSTED_AFTER;
	return steady + watch->offset;
}

void clock_watch_move(struct clock_watch *watch, int64_t by)
{
	watch->offset += by;
	watch->jump = 0;
	watch->trusted = false;
}
