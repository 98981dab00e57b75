/* Route: the sum, what waits in Redis, and how long. */
#include <pthread.h>
#include <stdlib.h>

#include "api_private.h"
#include "queue.h"
#include "xalloc.h"
#include "banned.h"

/* The handle is one connection, and calls come from any thread. */
#define QUEUE_SEEN_EVERY MOMENT_S
#define QUEUE_DEAD_PAGE 200

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;

/* False: *why (the caller frees). Under the lock. */
static bool ask_depths(struct queue *queue, struct queue_depths *depths, char **why)
{
	bool ok = queue && queue_depths(queue, depths);

	*why = ok ? NULL : xstrdup(queue ? queue_error(queue) : "the queue was not opened");
	return ok;
}

bool queue_seen(struct api *api, struct queue_depths *depths, char **why)
{
	static struct queue_depths last;
	static char *last_why; /* NULL: it answered */
	static int64_t next;

	pthread_mutex_lock(&queue_lock);
	if (moment_mono() >= next) {
		free(last_why);
		ask_depths(api->queue, &last, &last_why);
		next = moment_mono() + QUEUE_SEEN_EVERY;
	}
	*depths = last;
	*why = last_why ? xstrdup(last_why) : NULL;
	pthread_mutex_unlock(&queue_lock);
	return !*why;
}

/* A page of them, from `after` on, which is moved on. Under the lock. */
static bool drop_page(struct queue *queue, char **after,
		      bool (*wanted)(const struct dead_letter *, const void *), const void *context,
		      int64_t *dropped, size_t *count)
{
	struct dead_letter *letters = NULL;
	bool found, ok = queue_dead_list(queue, *after, QUEUE_DEAD_PAGE, &letters, count);

	for (size_t i = 0; i < *count; i++) {
		if (ok && wanted(&letters[i], context)) {
			ok = queue_dead_drop(queue, letters[i].dead_id, &found);
			*dropped += ok && found;
		}
		free(*after);
		*after = xstrdup(letters[i].dead_id);
		dead_letter_release(&letters[i]);
	}
	free(letters);
	return ok;
}

bool queue_drop_dead(struct api *api, bool (*wanted)(const struct dead_letter *, const void *),
		     const void *context, int64_t *dropped, char **why)
{
	char *after = xstrdup("");
	bool ok = api->queue != NULL;
	size_t count = QUEUE_DEAD_PAGE;

	*why = NULL;
	while (ok && count == QUEUE_DEAD_PAGE) { /* others may ask in between */
		count = 0;
		pthread_mutex_lock(&queue_lock);
		ok = drop_page(api->queue, &after, wanted, context, dropped, &count);
		if (!ok)
			*why = xstrdup(queue_error(api->queue));
		pthread_mutex_unlock(&queue_lock);
	}
	if (!ok && !*why)
		*why = xstrdup("the queue was not opened");
	free(after);
	return ok;
}

/* Sets dead and waiting; null, and `redis` says why, where Redis does not answer. */
static void add_depths(struct queue *queue, json_t *out)
{
	struct queue_depths depths;
	char *why;

	pthread_mutex_lock(&queue_lock);
	bool ok = ask_depths(queue, &depths, &why);
	pthread_mutex_unlock(&queue_lock);
	if (!ok) {
		json_t *words = json_string(why);
		free(why);
		json_object_set_new(out, "dead", json_null());
		json_object_set_new(out, "waiting", json_null());
		json_object_set_new(out, "redis", words ? words : json_string("does not answer"));
		return;
	}
	json_t *waiting = json_object();
	for (int lane = 0; lane < LANES; lane++)
		json_object_set_new(waiting, lane_name((enum lane)lane), json_integer(depths.waiting[lane]));
	json_object_set_new(out, "dead", json_integer(depths.dead));
	json_object_set_new(out, "waiting", waiting);
}

/* Seconds that the oldest admitted message of each lane has waited; null: none waits. */
static json_t *ages_json(const int64_t oldest[LANES])
{
	json_t *ages = json_object();
	int64_t now = moment_now();

	for (int lane = 0; lane < LANES; lane++) {
		int64_t age = now > oldest[lane] ? now - oldest[lane] : 0;
		json_object_set_new(ages, lane_name((enum lane)lane),
				    oldest[lane] ? json_real((double)age / MOMENT_S) : json_null());
	}
	return ages;
}

void api_queue(struct call *call)
{
	struct counters counters;
	int64_t oldest[LANES];

	if (!store_read_counters(call->api->reader, &counters) ||
	    !store_read_ages(call->api->reader, oldest)) {
		call_store_failed(call);
		return;
	}
	json_t *holds = holds_json(call);
	if (!holds)
		return;
	json_t *out = json_pack("{s:I}", "admitted", (json_int_t)counters.admitted);
	for (int state = 0; state < STATES; state++)
		json_object_set_new(out, state_name((enum state)state), json_integer(counters.states[state]));
	add_depths(call->api->queue, out);
	json_object_set_new(out, "ages", ages_json(oldest));
	json_object_set_new(out, "holds", holds);
	json_t *troubles = troubles_json(call);
	if (troubles)
		json_object_set_new(out, "troubles", troubles);
	call_answer(call, 200, out);
}
