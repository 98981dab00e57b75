/* Messages that somebody waits for: put beside those of the queue, in the same transactions, and answered
 * after the commit. */
#include <errno.h>
#include <time.h>

#include "turn_private.h"
#include "banned.h"

static void answer(struct admission *admission)
{
	struct admission_batch *batch = admission->batch;

	admission->next = NULL;
	batch->left--;
}

void admissions_settle(struct turn *turn)
{
	for (struct admission *admission = turn->admissions, *next; admission; admission = next) {
		next = admission->next;
		if (admission->batch) {
			answer(admission);
			continue;
		}
		admission->next = NULL;
		*turn->outbox.settled_tail = admission;
		turn->outbox.settled_tail = &admission->next;
	}
	turn->admissions = NULL;
}

static void refuse(struct admission *admission, const char *why)
{
	admission_refuse(admission, "%s; it was not admitted", why);
	admission->status = 503;
	answer(admission);
}

/* Is it to go out of the list? `batch` NULL: any that it is too late for, or, with `all`, any. */
static bool goes(const struct admission *admission, const struct admission_batch *batch, bool all,
		 int64_t now)
{
	if (!admission->batch || (batch && admission->batch != batch))
		return false;
	return all || batch || admission->batch->deadline < now;
}

/* Refuses those of the list that go, and gives its new end. */
static struct admission **refuse_from(struct admission **link, const struct admission_batch *batch, bool all,
				      const char *why, size_t *refused)
{
	int64_t now = moment_mono();

	while (*link) {
		struct admission *admission = *link;
		if (!goes(admission, batch, all, now)) {
			link = &admission->next;
			continue;
		}
		*link = admission->next;
		refuse(admission, why);
		(*refused)++;
	}
	return link;
}

static void refuse_from_inbox(struct turn *turn, const struct admission_batch *batch, bool all,
			      const char *why)
{
	for (int i = 0; i < LANES; i++) {
		struct inbox_lane *lane = &turn->inbox.lanes[i];
		size_t refused = 0;
		lane->tail = refuse_from(&lane->first, batch, all, why, &refused);
		lane->count -= refused;
		turn->inbox.admission_count -= refused;
	}
}

void batches_refuse_late(struct turn *turn, bool all, const char *why)
{
	size_t refused = 0;

	refuse_from(&turn->admissions, NULL, all, why, &refused);
	refuse_from_inbox(turn, NULL, all, why);
}

/* Waits for the turn to have answered or made room. False: the time is over. */
static bool wait_until(struct turn *turn, int64_t deadline)
{
	const struct timespec at = {.tv_sec = (time_t)(deadline / MOMENT_S),
				    .tv_nsec = (long)(deadline % MOMENT_S * 1000)};

	return pthread_cond_timedwait(&turn->space, &turn->lock, &at) != ETIMEDOUT;
}

static void put_in(struct turn *turn, struct admission_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct admission *admission = batch->list[i];
		struct inbox_lane *lane = admission_lane(turn, admission);
		admission->batch = batch;
		admission->next = NULL;
		*lane->tail = admission;
		lane->tail = &admission->next;
		lane->count++;
		turn->inbox.admission_count++;
	}
	pthread_cond_signal(&turn->wake);
}

void turn_admit_batch(struct turn *turn, struct admission_batch *batch)
{
	static const char too_long[] = "the gateway could not take it in time";
	bool in_time = true;

	batch->left = batch->count;
	pthread_mutex_lock(&turn->lock);
	while (turn->inbox.admission_count >= INBOX_ADMISSIONS_MAX && !turn->inbox.stop && in_time)
		in_time = wait_until(turn, batch->deadline);
	if (turn->inbox.stop || !in_time) {
		for (size_t i = 0; i < batch->count; i++) {
			batch->list[i]->batch = batch;
			refuse(batch->list[i], in_time ? "the gateway is ending" : too_long);
		}
	} else {
		put_in(turn, batch);
	}
	while (batch->left && in_time)
		in_time = wait_until(turn, batch->deadline);
	if (batch->left)
		refuse_from_inbox(turn, batch, false, too_long);
	while (batch->left) /* a transaction has them: it is committed or lost, and then they are answered */
		pthread_cond_wait(&turn->space, &turn->lock);
	pthread_mutex_unlock(&turn->lock);
}
