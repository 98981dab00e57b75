/* The turn: the one writer (law 3). A thread takes whatever waits (outcomes, requests, new messages, rows
 * that are due), does it in one transaction, commits, and then acknowledges, answers and hands over. turn.c
 * begins with the life of a message and what a crash leaves in each state. */
#ifndef HEED_TURN_H
#define HEED_TURN_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "begun.h"
#include "config.h"
#include "queue.h"
#include "store.h"
#include "trouble.h"

struct turn;

/* A message on its way in. Made by the reader, owned by the turn from turn_admit on. */
struct admission {
	struct admission *next;
	struct queue_entry entry; /* stream and id: what is acknowledged */
	struct message message;
	struct text error; /* not empty: it goes to the dead letters */
	bool refused;      /* the error is the turn's: found in the store, not in the message's form */
	int status;        /* as HTTP, of an error of the turn's: 409, 422, 503; else 0 */
	enum state state;  /* once it is committed: its own, or that of the same message before */
	struct admission_batch *batch; /* who waits for it; NULL: it came from the queue */
};
void admission_free(struct admission *admission);

/* Messages that came another way than through the queue, and who waits for what becomes of them. */
struct admission_batch {
	struct admission **list; /* the caller's, each with an id, and without an error */
	size_t count;
	int64_t deadline; /* monotonic: what is not committed by then is refused with 503 */
	size_t left;      /* the turn's */
};

/* A change asked for by a person or an application. First member of each kind of request. Runs in the turn's
 * thread, inside the transaction; may run again if the store failed, so it starts its answer afresh each
 * time. */
struct request {
	struct request *next;
	/* False: the store failed, and the turn will be repeated. A refusal is true with `status` and
	 * `problem`. */
	bool (*run)(struct request *request, struct turn *turn);
	/* Where several gateways write: stripe_change() for each customer whose choices or facts it changes,
	 * before the transaction reads anything; none for a message's own affairs. NULL: it may concern
	 * anybody. */
	void (*stripes)(struct request *request, struct turn *turn);
	/* Or NULL: once all messages are placed, before the commit. */
	void (*finish)(struct request *request, struct turn *turn);
	int64_t deadline;    /* monotonic: not begun before it: answered 503 */
	int status;          /* as HTTP: 200, 404, 409, 422, 503 */
	struct text problem; /* for 4xx, 5xx: what, where, what would be right */
	json_t *answer;      /* owned; NULL */
	/* the turn's */
	bool done;
	pthread_cond_t answered; /* who waits is woken alone */
};

/* What the turn tells of itself, for /metrics and /healthz. */
#define TURN_STATS_OUTLETS_MAX 64
#define TURN_STATS_NAME_MAX 64
#define TURN_TIMES 12                                  /* bounds of the histogram, the last one open */
extern const int64_t turn_time_bounds[TURN_TIMES - 1]; /* microseconds, rising */

struct turn_stats {
	int64_t turns, committed, store_failures;
	int64_t beat; /* monotonic: when its thread last looked for work */
	struct counters counters;
	int64_t times[TURN_TIMES]; /* turns that took up to each bound, and not to the one before */
	int64_t time_sum;          /* microseconds */
	int64_t batch_messages;    /* admitted for somebody who waited */
	/* Who carries, as it is now. */
	struct outlet_stats {
		char channel[TURN_STATS_NAME_MAX], provider[TURN_STATS_NAME_MAX];
		bool breaker_open, held;
		size_t in_hand, credit;
		/* of a channel: from all its providers; outcomes since the start, of each provider */
		int64_t outcomes[CONTACT_STATES];
	} outlets[TURN_STATS_OUTLETS_MAX];
	size_t outlet_count;
};

/* `store` is the turn's alone from now on. `queue` NULL: nothing to acknowledge (the CLI working alone). No
 * thread yet. */
struct turn *turn_new(struct store *store, struct config *config);
/* What of an earlier run's attempts had begun, and a place for this one's. Owned by the turn from now on. */
void turn_remember_begun(struct turn *turn, struct begun *begun);
/* Opens the channels, recovers what a crash left, starts the thread. False and `error`. */
bool turn_start(struct turn *turn, struct text *error);
/* Runs requests in the caller's thread instead: for the CLI when no gateway runs. No channels. */
bool turn_run_alone(struct turn *turn, struct request *request);
/* Stops admitting and claiming, calls back what has not begun, waits `drain` for the rest, ends the thread.
 */
void turn_stop(struct turn *turn);
void turn_free(struct turn *turn);

/* Any thread. Blocks while the inbox is full; false when the turn is stopping (the caller keeps the
 * admission). */
bool turn_admit(struct turn *turn, struct admission *const admissions[], size_t count);
/* Any thread. Blocks until each is committed, or refused: its status and error say why, and it was not
 * admitted. The admissions stay the caller's. */
void turn_admit_batch(struct turn *turn, struct admission_batch *batch);
/* What the names of mails are signed with (mail_token.h); the store's, and nobody else's. Any thread. */
const char *turn_mail_key(const struct turn *turn);
/* Any thread. Blocks until it is answered: after the commit, and after nothing can leave against it. */
void turn_call(struct turn *turn, struct request *request);
/* Any thread: takes over a new configuration between two turns (channels are opened anew). */
bool turn_reload(struct turn *turn, struct config *config, struct text *error);
void turn_stats(struct turn *turn, struct turn_stats *out);
/* Which lanes may be taken now (a mask of 1 << lane): 0 while something stops all (trouble.h), no bulk over
 * max_backlog. */
unsigned turn_lanes(struct turn *turn);

/* What keeps it from taking. Any thread. */
struct troubles *turn_troubles(struct turn *turn);

/* What the courier carries to the queue once it is committed. */
struct carriage {
	struct admission *
		settled; /* to be acknowledged; those with an error are dead letters. Owned: admission_free */
	struct event_row *events; /* to be published, in order; owned */
	size_t event_count;
};

/* By the courier's thread: waits at most `wait_ms` for something to carry. Without `events` those are neither
 * waited for nor taken: the courier still has some that it can't publish. False once the turn has ended and
 * nothing is left. */
bool turn_collect(struct turn *turn, int wait_ms, bool events, struct carriage *out);
/* Events up to `seq` are out: their rows may go. */
void turn_published(struct turn *turn, int64_t seq);

#endif
