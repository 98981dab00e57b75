/* Events out: written with the change (law 1), kept ready in memory for the courier, taken out once they are
 * published. When the queue is away the store keeps them, and the memory is filled again from there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define EVENT_MAX (MESSAGE_META_MAX * 2 + 16384)

static void event_open(struct turn *turn, size_t max, const char *type, const char *word, const char *subject)
{
	struct text *json = &turn->event;

	if (!json->max)
		text_init(json, max);
	if (turn->event_at != turn->now)
		moment_format(turn->event_at = turn->now, turn->event_time);
	text_clear(json);
	json->max = max;
	text_puts(json, "{\"specversion\":\"1.0\",\"id\":\"");
	text_puts(json, turn->event_prefix);
	text_putc(json, '-');
	text_number(json, (long long)turn->event_next++);
	text_puts(json, "\",\"source\":\"heed\",\"type\":\"");
	text_puts(json, type);
	text_puts(json, word);
	text_puts(json, "\",\"subject\":");
	text_json(json, subject);
	text_puts(json, ",\"time\":\"");
	text_puts(json, turn->event_time);
	text_puts(json, "\",\"datacontenttype\":\"application/json\",\"data\":");
}

static void event_close(struct turn *turn, enum event_stream stream)
{
	struct event_row *row = xcalloc(1, sizeof *row);

	text_putc(&turn->event, '}');
	row->stream = stream;
	row->json = xmemdup0(turn->event.data, turn->event.len);
	pointers_add(&turn->plan.events, row);
}

struct text *event_begin(struct turn *turn, const char *type, const char *word, const char *subject)
{
	event_open(turn, EVENT_MAX, type, word, subject);
	return &turn->event;
}

void event_end(struct turn *turn)
{
	event_close(turn, STREAM_EVENTS);
}

void event_add(struct turn *turn, const char *type, const char *subject, const char *data)
{
	text_puts(event_begin(turn, type, "", subject), data);
	event_end(turn);
}

void event_add_inbound(struct turn *turn, const char *type, const char *subject, const char *data)
{
	event_open(turn, strlen(data) + EVENT_MAX, type, "", subject);
	text_puts(&turn->event, data);
	event_close(turn, STREAM_INBOUND);
}

void events_forget(struct turn *turn, size_t count)
{
	while (turn->plan.events.count > count) {
		struct event_row *row = turn->plan.events.list[--turn->plan.events.count];
		free(row->json);
		free(row);
	}
}

bool outbox_before_commit(struct turn *turn)
{
	struct plan *plan = &turn->plan;

	pthread_mutex_lock(&turn->lock);
	int64_t published = turn->outbox.dropping = turn->outbox.published;
	bool ours = !turn->outbox.others || turn->outbox.office;
	pthread_mutex_unlock(&turn->lock);
	if (ours && published > turn->outbox.dropped && !store_drop_events(turn->store, published))
		return false;
	return store_add_events(turn->store, (struct event_row *const *)plan->events.list,
				plan->events.count);
}

/* Under the lock. Takes the row's text. */
static void outbox_keep(struct turn *turn, struct event_row *row)
{
	if (turn->outbox.event_count == turn->outbox.event_capacity) {
		turn->outbox.event_capacity =
			turn->outbox.event_capacity ? turn->outbox.event_capacity * 2 : 256;
		turn->outbox.events = xreallocarray(turn->outbox.events, turn->outbox.event_capacity,
						    sizeof *turn->outbox.events);
	}
	turn->outbox.events[turn->outbox.event_count++] = *row;
	turn->outbox.last_kept = row->seq;
	row->json = NULL;
}

/* Under the lock. Its own events can be kept as they are; where others publish some too, only those that
 * follow what is known: their numbers are in the order of the commits, without gaps. */
static bool outbox_keeps(const struct turn *turn)
{
	const struct pointers *events = &turn->plan.events;

	if (turn->alone || !events->count)
		return false;
	const struct event_row *first = events->list[0];
	return !turn->outbox.others || (turn->outbox.office && first->seq == turn->outbox.last_kept + 1 &&
					turn->outbox.event_count < OUTBOX_MEMORY_MAX);
}

void outbox_after_commit(struct turn *turn)
{
	struct plan *plan = &turn->plan;

	pthread_mutex_lock(&turn->lock);
	turn->outbox.dropped = turn->outbox.dropping;
	bool keeps = outbox_keeps(turn);
	for (size_t i = 0; i < plan->events.count && keeps; i++) {
		struct event_row *row = plan->events.list[i];
		turn->outbox.last_stored = row->seq;
		if (turn->outbox.event_count >= OUTBOX_MEMORY_MAX)
			turn->outbox.behind = true;
		if (!turn->outbox.behind)
			outbox_keep(turn, row);
	}
	pthread_mutex_unlock(&turn->lock);
}

/* Between transactions: what the memory had no room for, or what an earlier run left. */
bool outbox_refill(struct turn *turn)
{
	struct event_row *rows = NULL;
	size_t count = 0;

	pthread_mutex_lock(&turn->lock);
	bool wanted = (turn->outbox.others ? turn->outbox.office : turn->outbox.behind) &&
		      turn->outbox.event_count < OUTBOX_MEMORY_MAX / 2;
	int64_t after = turn->outbox.last_kept;
	pthread_mutex_unlock(&turn->lock);
	if (!wanted || turn->alone)
		return true;
	bool ok = store_get_events(turn->store, after, OUTBOX_MEMORY_MAX / 4, &rows, &count);
	pthread_mutex_lock(&turn->lock);
	for (size_t i = 0; ok && i < count; i++)
		outbox_keep(turn, &rows[i]);
	if (ok)
		turn->outbox.behind = count == OUTBOX_MEMORY_MAX / 4;
	pthread_cond_broadcast(&turn->space);
	pthread_mutex_unlock(&turn->lock);
	for (size_t i = 0; i < count; i++)
		free(rows[i].json);
	free(rows);
	return ok;
}

void outbox_office(struct turn *turn, bool mine)
{
	pthread_mutex_lock(&turn->lock);
	if (turn->outbox.others && mine == turn->outbox.office) {
		pthread_mutex_unlock(&turn->lock);
		return;
	}
	/* from the start: what another had in hand it may not have published */
	for (size_t i = 0; i < turn->outbox.event_count; i++)
		free(turn->outbox.events[i].json);
	turn->outbox.event_count = 0;
	turn->outbox.last_kept = 0;
	turn->outbox.others = true;
	turn->outbox.office = mine;
	turn->outbox.behind = false;
	pthread_mutex_unlock(&turn->lock);
	if (mine)
		log_info("this gateway publishes the events");
}

bool turn_collect(struct turn *turn, int wait_ms, bool events, struct carriage *out)
{
	struct timespec until;

	*out = (struct carriage){0};
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += wait_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&turn->lock);
	while (!turn->outbox.settled && !(events && turn->outbox.event_count) && !turn->outbox.ended)
		if (!wait_ms || pthread_cond_timedwait(&turn->space, &turn->lock, &until) != 0)
			break;
	out->settled = turn->outbox.settled;
	turn->outbox.settled = NULL;
	turn->outbox.settled_tail = &turn->outbox.settled;
	bool more = out->settled || turn->outbox.event_count || !turn->outbox.ended;
	if (events) {
		out->events = turn->outbox.events;
		out->event_count = turn->outbox.event_count;
		turn->outbox.events = NULL;
		turn->outbox.event_count = turn->outbox.event_capacity = 0;
	}
	if (events && turn->outbox.behind)
		pthread_cond_signal(&turn->wake);
	pthread_mutex_unlock(&turn->lock);
	return more;
}

void turn_published(struct turn *turn, int64_t seq)
{
	pthread_mutex_lock(&turn->lock);
	if (seq > turn->outbox.published)
		turn->outbox.published = seq;
	pthread_mutex_unlock(&turn->lock);
}
