#include "crash.h"

#ifdef HEED_CRASH

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "banned.h"

static const char *const labels[] = {
#define CRASH(name, what) #name,
#include "crash_labels.h"
#undef CRASH
};

static enum crash_label chosen = CRASH_LABELS;
static atomic_long left;

/* LABEL[:N]. A label that is none would test nothing: it ends the process with a word. */
static void crash_choose(void)
{
	const char *wish = getenv("HEED_CRASH");
	size_t len = wish ? strcspn(wish, ":") : 0;

	for (int i = 0; wish && *wish && i < CRASH_LABELS; i++)
		if (strlen(labels[i]) == len && strncmp(labels[i], wish, len) == 0)
			chosen = (enum crash_label)i;
	if (wish && *wish && chosen == CRASH_LABELS) {
		fprintf(stderr, "heed: HEED_CRASH: %s is no label\n", wish);
		_exit(2);
	}
	left = wish && wish[len] == ':' ? strtol(wish + len + 1, NULL, 10) : 1;
}

void crash_point(enum crash_label label)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, crash_choose);
	if (label == chosen && atomic_fetch_sub(&left, 1) == 1)
		kill(getpid(), SIGKILL);
}

#endif
