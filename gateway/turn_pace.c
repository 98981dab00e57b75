/* How much a turn takes. The more it takes, the cheaper each message, and the longer somebody who changed his
 * mind waits: for the turn that runs, and for his own. So while somebody waits, or lately did, a turn takes
 * what fits in PACE_TIME, by what the last ones took; else as much as there is. */
#include "turn_private.h"
#include "banned.h"

#define PACE_TIME (10 * MOMENT_MS) /* of work, beside the commit */
#define PACE_LINGER (1 * MOMENT_S) /* after the last one who waited */
#define PACE_LEAST 50              /* messages a turn takes in any case */
#define PACE_COUNTED 20            /* fewer say little of what one costs */
#define PACE_FIRST 50              /* microseconds a message, until it was measured */
#define PACE_SMOOTH 8

size_t pace_most(struct turn *turn)
{
	struct pace *pace = &turn->pace;

	if (turn->requests)
		pace->asked = turn->mono;
	if (turn->stopping || !pace->asked || turn->mono - pace->asked > PACE_LINGER)
		return pace->most = PACE_NO_END;
	int64_t each = pace->each ? pace->each : PACE_FIRST * 1000, fit = PACE_TIME * 1000 / each;
	return pace->most = fit > PACE_LEAST ? (size_t)fit : PACE_LEAST;
}

size_t pace_left(const struct turn *turn)
{
	const size_t most = turn->pace.most, count = turn->plan.count, quarter = most / 4;

	return count + quarter < most ? most - count : quarter;
}

void pace_learn(struct turn *turn, int64_t took)
{
	const int64_t count = (int64_t)turn->plan.count;
	struct pace *pace = &turn->pace;

	if (count < PACE_COUNTED)
		return;
	int64_t each = took * 1000 / count;
	pace->each = pace->each ? pace->each + (each - pace->each) / PACE_SMOOTH : each;
}
