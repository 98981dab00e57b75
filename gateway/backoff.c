#include "backoff.h"

#include "config.h"
#include "banned.h"

/* first * factor^(attempt - 1), never over max and never overflowing on the way. */
static int64_t grown(const struct retry_policy *policy, int attempt)
{
	double pause = (double)policy->first;

	for (int i = 1; i < attempt && pause < (double)policy->max && policy->factor > 1; i++)
		pause *= policy->factor;
	return pause < (double)policy->max ? (int64_t)pause : policy->max;
}

int64_t backoff_pause(const struct retry_policy *policy, int attempt, int64_t retry_after, uint64_t random)
{
	int64_t pause = grown(policy, attempt);
	int64_t half = pause / 2;

	if (half > 0)
		pause = pause - half + (int64_t)(random % ((uint64_t)half + 1));
	if (retry_after > RETRY_AFTER_MAX)
		retry_after = RETRY_AFTER_MAX;
	if (pause < retry_after)
		pause = retry_after;
	return pause > 0 ? pause : 1;
}
