/* The wall clock, held against one that never jumps. Small differences are followed at once. One of a minute
 * or more is a jump: somebody set it, or it is broken. Until it is back, or has gone on for a while from
 * where it jumped to, the time is as if it had not jumped: what is written meanwhile fits to what was written
 * before, nothing expires and nothing is given up for a mistake of seconds. Pure. One thread. */
#ifndef HEED_CLOCK_WATCH_H
#define HEED_CLOCK_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "moment.h"

#define CLOCK_JUMP_LEAST MOMENT_MINUTE
#define CLOCK_TRUSTED_AFTER (10 * MOMENT_S)

/* All zeroes has seen nothing yet. */
struct clock_watch {
	bool known;
	int64_t offset; /* of the time that is told, from the steady clock */
	int64_t jump;   /* so far away from it is the wall clock; 0: it did not jump */
	int64_t since;  /* steady: when it did */
	bool trusted;   /* it has gone on from there for long enough: to be followed */
};

/* The time, in the wall clock's microseconds. `steady`: CLOCK_BOOTTIME, which goes on while a machine sleeps.
 */
int64_t clock_watch_see(struct clock_watch *watch, int64_t wall, int64_t steady);
/* From now on the time is so much later. */
void clock_watch_move(struct clock_watch *watch, int64_t by);

#endif
