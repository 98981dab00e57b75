/* A breaker for each provider: while the provider is at fault its messages wait here and cost nothing; one at
 * a time tries whether it is back. Pure: the clock is monotonic and passed in (microseconds). One thread.
 *
 *           fault                       pause is over                 ok
 *   closed ───────▶ open, pause P ────────────────────▶ one probe ─────────▶ closed
 *     all               none     ◀──────────────────────  fault: P doubles
 *                                                         without a verdict: the next probe may go */
#ifndef HEED_BREAKER_H
#define HEED_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_PAUSE_FIRST INT64_C(1000000)
#define BREAKER_PAUSE_DOWN \
	INT64_C(5000000) /* the longest: what is held goes out within seconds of a return */
#define BREAKER_PAUSE_CREDENTIALS INT64_C(60000000) /* the longest: asking more often may lock an account */
#define BREAKER_PACE_FIRST INT64_C(100000)
#define BREAKER_PACE_MAX INT64_C(5000000)     /* the longest that it did not ask for itself */
#define BREAKER_ASKED_MAX INT64_C(3600000000) /* the longest that a provider may ask for */

enum breaker_fault_kind { BREAKER_DOWN, BREAKER_CREDENTIALS };
enum breaker_allows { BREAKER_NONE, BREAKER_ONE, BREAKER_ALL };

/* All zeroes is closed. */
struct breaker {
	bool open;
	bool probing;  /* the one probe is under way */
	int64_t pause; /* the last one; 0: closed */
	int64_t until; /* no probe before */
	int64_t pace;  /* the last pause of one that works and asked for less; 0: it took something since */
	int64_t paced_until; /* nothing before */
};

/* How many of its messages may be claimed now. Changes nothing: call breaker_probe once one was claimed. */
enum breaker_allows breaker_may_send(const struct breaker *b, int64_t now);
/* The one that BREAKER_ONE allowed is on its way. */
void breaker_probe(struct breaker *b);
/* It came back without a verdict (called back, not begun, nothing to do with the provider's health): the next
 * may go. */
void breaker_probe_back(struct breaker *b);
/* An outcome of provider scope. What was under way when the breaker opened reports late: while no probe is
 * under way that changes nothing, so many faults at once are one. */
void breaker_fault(struct breaker *b, int64_t now, enum breaker_fault_kind kind);
/* The provider asked to be left alone for so long (Retry-After): called behind breaker_fault; only makes it
 * longer, up to BREAKER_ASKED_MAX. */
void breaker_asked(struct breaker *b, int64_t now, int64_t retry_after);
/* It works, and asks for less (421, 429, 450, Retry-After): all its messages pause, for as long as it asked,
 * or twice as long as the last time. What was under way reports late: that changes nothing. Closes it. */
void breaker_pace(struct breaker *b, int64_t now, int64_t asked);
/* Any outcome that shows that the provider works: it took or refused a message. True: it was open. */
bool breaker_ok(struct breaker *b);
/* When to look again; MOMENT_NEVER while it is closed or a probe is under way (its outcome comes by itself).
 */
int64_t breaker_next(const struct breaker *b);

#endif
