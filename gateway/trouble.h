/* What keeps the gateway from taking messages, or some of them: the one place that knows it. The log,
 * /readyz, `heed queue` and /metrics all tell it from here. Whoever finds a cause says so, and whoever finds
 * it gone says that, as often as they like: the log has a line when it begins and one when it is over. Any
 * thread. */
#ifndef HEED_TROUBLE_H
#define HEED_TROUBLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum trouble {
	TROUBLE_STORE,        /* it can't be written: nothing is taken, nothing begun */
	TROUBLE_DESCRIPTORS,  /* no file descriptors are left: likewise */
	TROUBLE_CLOCK,        /* it jumped: likewise, until it is back or stands */
	TROUBLE_DEAD_LETTERS, /* queue.dead_max: nothing is read from Redis */
	TROUBLE_BACKLOG,      /* store.max_backlog: the bulk lane is not read */
	TROUBLES
};

#define TROUBLE_TEXT_MAX 400
#define TROUBLE_SAID_EVERY (10 * MOMENT_S) /* a cause that comes and goes: a line in so long */

struct trouble_seen {
	bool is;
	int64_t since; /* wall clock */
	char says[TROUBLE_TEXT_MAX];
};

struct troubles {
	pthread_mutex_t lock;
	struct {
		struct trouble_seen seen;
		bool said;       /* that it began */
		int64_t said_at; /* monotonic */
	} each[TROUBLES];
};

void troubles_init(struct troubles *troubles);
void troubles_release(struct troubles *troubles);
/* "store", "descriptors", …: for /readyz, `heed queue` and /metrics. */
const char *trouble_name(enum trouble trouble);
/* What is not done meanwhile, in words. */
const char *trouble_stops(enum trouble trouble);
__attribute__((format(printf, 3, 4))) void trouble_is(struct troubles *troubles, enum trouble trouble,
						      const char *format, ...);
void trouble_over(struct troubles *troubles, enum trouble trouble);
bool trouble_has(struct troubles *troubles, enum trouble trouble);
/* Is any of those there that stop everything? */
bool troubles_stop(struct troubles *troubles);
void troubles_see(struct troubles *troubles, struct trouble_seen out[TROUBLES]);

#endif
