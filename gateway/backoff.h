/* How long to wait before the next attempt. Pure: the chance comes in as a number. */
#ifndef HEED_BACKOFF_H
#define HEED_BACKOFF_H

#include <stdint.h>

struct retry_policy;

/* No other side makes us wait longer than this with its Retry-After. */
#define RETRY_AFTER_MAX (INT64_C(24) * 3600 * 1000000)

/* The pause after the `attempt`-th counted attempt (from 1): first * factor^(attempt - 1), at most max, with
 * equal jitter: half of it is sure and half is drawn, so that what failed together comes back apart (Marc
 * Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). `random` is any 64 random bits.
 * What the other side asked for (`retry_after`; 0: nothing) is the least, up to RETRY_AFTER_MAX.
 * Microseconds, over 0. */
int64_t backoff_pause(const struct retry_policy *policy, int attempt, int64_t retry_after, uint64_t random);

#endif
