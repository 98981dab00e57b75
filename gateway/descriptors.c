#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "moment.h"
#include "banned.h"

#define BLAME_FOR MOMENT_S /* after a refusal */

static struct {
	pthread_mutex_t lock;
	int kept[DESCRIPTORS_KEPT_BACK];
	size_t count;
	bool wanted; /* they are kept at all: a gateway's */
} back = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Atomic int64_t refused_at; /* monotonic; 0: never */

static bool says_none(int why)
{
	return why == EMFILE || why == ENFILE;
}

/* Opens until there are `count`; gives how many there are. */
static size_t fill(int fds[], size_t from, size_t count)
{
	while (from < count && (fds[from] = open("/", O_PATH | O_CLOEXEC)) >= 0)
		from++;
	return from;
}

static void let_go(int fds[], size_t count)
{
	while (count-- > 0)
		close(fds[count]);
}

static void let_go_of_all(void)
{
	let_go(back.kept, back.count);
	back.count = 0;
}

void descriptors_keep_back(void)
{
	pthread_mutex_lock(&back.lock);
	back.wanted = true;
	back.count = fill(back.kept, back.count, DESCRIPTORS_KEPT_BACK);
	pthread_mutex_unlock(&back.lock);
}

bool descriptors_ran_out(void)
{
	int why = errno;

	if (!says_none(why))
		return false;
	atomic_store(&refused_at, moment_mono());
	pthread_mutex_lock(&back.lock);
	let_go_of_all();
	pthread_mutex_unlock(&back.lock);
	errno = why;
	return true;
}

bool descriptors_left(void)
{
	int more[DESCRIPTORS_FREE_LEAST];

	pthread_mutex_lock(&back.lock);
	if (back.wanted)
		back.count = fill(back.kept, back.count, DESCRIPTORS_KEPT_BACK);
	size_t count = fill(more, 0, DESCRIPTORS_FREE_LEAST);
	bool left = count == DESCRIPTORS_FREE_LEAST || !says_none(errno);
	let_go(more, count);
	if (!left)
		let_go_of_all();
	pthread_mutex_unlock(&back.lock);
	if (!left)
		atomic_store(&refused_at, moment_mono());
	return left;
}

bool descriptors_short(void)
{
	int64_t refused = atomic_load(&refused_at);

	return (refused && moment_mono() - refused < BLAME_FOR) || !descriptors_left();
}
