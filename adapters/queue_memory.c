/* The queue inside one process, for tests: `memory:NAME`. Handles of the same name see the same streams, from
 * any thread; they stay until the process ends. */
#include "queue_memory.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "moment.h"
#include "queue_private.h"
#include "xalloc.h"
#include "banned.h"

#define MEMORY_FIELDS_MAX 16

struct memory_entry {
	char id[QUEUE_ID_MAX];
	struct queue_field fields[MEMORY_FIELDS_MAX]; /* owned */
	size_t field_count;
	char *owner;     /* the consumer that it was given to; NULL: new */
	uint64_t handle; /* that handed it out last */
};

struct memory_stream {
	char *key;
	struct memory_entry *entries;
	size_t count, capacity;
};

struct memory_consumer {
	char *name;
	int64_t seen; /* monotonic */
};

struct memory_server {
	struct memory_server *next;
	char *url;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t added;
	struct memory_stream *streams;
	size_t stream_count;
	struct memory_consumer *consumers;
	size_t consumer_count;
	uint64_t last_ms, last_seq; /* of the ids, for all streams */
	uint64_t handles;
};

struct queue_memory {
	struct queue base;
	struct memory_server *server;
	uint64_t handle;
};

static pthread_mutex_t servers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory_server *servers;

/* --- servers, streams, entries: all but server_find with the server's lock --- */

static struct memory_server *server_find(const char *url)
{
	pthread_condattr_t clock;

	pthread_mutex_lock(&servers_lock);
	struct memory_server *server = servers;
	while (server && strcmp(server->url, url) != 0)
		server = server->next;
	if (!server) {
		server = xcalloc(1, sizeof *server);
		server->url = xstrdup(url);
		pthread_mutex_init(&server->lock, NULL);
		pthread_condattr_init(&clock);
		pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
		pthread_cond_init(&server->added, &clock);
		pthread_condattr_destroy(&clock);
		server->next = servers;
		servers = server;
	}
	pthread_mutex_unlock(&servers_lock);
	return server;
}

static struct memory_stream *stream_find(struct memory_server *server, const char *key)
{
	for (size_t i = 0; i < server->stream_count; i++)
		if (strcmp(server->streams[i].key, key) == 0)
			return &server->streams[i];
	server->streams = xreallocarray(server->streams, server->stream_count + 1, sizeof *server->streams);
	server->streams[server->stream_count] = (struct memory_stream){.key = xstrdup(key)};
	return &server->streams[server->stream_count++];
}

static struct memory_entry *stream_add(struct memory_server *server, const char *key)
{
	struct memory_stream *stream = stream_find(server, key);
	uint64_t now = (uint64_t)(moment_now() / MOMENT_MS);

	if (stream->count == stream->capacity) {
		stream->capacity = stream->capacity ? stream->capacity * 2 : 64;
		stream->entries = xreallocarray(stream->entries, stream->capacity, sizeof *stream->entries);
	}
	server->last_seq = now > server->last_ms ? 0 : server->last_seq + 1;
	server->last_ms = now > server->last_ms ? now : server->last_ms;
	struct memory_entry *entry = &stream->entries[stream->count++];
	*entry = (struct memory_entry){0};
	snprintf(entry->id, sizeof entry->id, "%" PRIu64 "-%" PRIu64, server->last_ms, server->last_seq);
	pthread_cond_broadcast(&server->added);
	return entry;
}

static void entry_set(struct memory_entry *entry, const char *name, const char *value, size_t len)
{
	if (entry->field_count == MEMORY_FIELDS_MAX)
		return;
	entry->fields[entry->field_count++] =
		(struct queue_field){xstrdup(name), strlen(name), xmemdup0(value, len), len};
}

static void stream_remove(struct memory_stream *stream, size_t index)
{
	struct memory_entry *entry = &stream->entries[index];

	for (size_t i = 0; i < entry->field_count; i++) {
		free((char *)entry->fields[i].name);
		free((char *)entry->fields[i].value);
	}
	free(entry->owner);
	stream->count--;
	memmove(entry, entry + 1, (stream->count - index) * sizeof *entry);
}

static bool stream_remove_id(struct memory_stream *stream, const char *id)
{
	for (size_t i = 0; i < stream->count; i++) {
		if (strcmp(stream->entries[i].id, id) == 0) {
			stream_remove(stream, i);
			return true;
		}
	}
	return false;
}

static const struct queue_field *entry_field(const struct memory_entry *entry, const char *name)
{
	for (size_t i = 0; i < entry->field_count; i++)
		if (strcmp(entry->fields[i].name, name) == 0)
			return &entry->fields[i];
	return NULL;
}

static struct memory_consumer *consumer_find(struct memory_server *server, const char *name)
{
	for (size_t i = 0; i < server->consumer_count; i++)
		if (strcmp(server->consumers[i].name, name) == 0)
			return &server->consumers[i];
	server->consumers =
		xreallocarray(server->consumers, server->consumer_count + 1, sizeof *server->consumers);
	server->consumers[server->consumer_count] = (struct memory_consumer){.name = xstrdup(name)};
	return &server->consumers[server->consumer_count++];
}

/* --- reading --- */

static struct memory_server *lock(struct queue *queue)
{
	struct memory_server *server = ((struct queue_memory *)queue)->server;
	pthread_mutex_lock(&server->lock);
	return server;
}

static void unlock(struct queue *queue)
{
	pthread_mutex_unlock(&((struct queue_memory *)queue)->server->lock);
}

static void hand_out(struct queue *queue, enum lane lane, struct memory_entry *entry,
		     struct queue_batch *batch)
{
	if (!entry->owner || strcmp(entry->owner, queue->config.consumer) != 0) {
		free(entry->owner);
		entry->owner = xstrdup(queue->config.consumer);
	}
	entry->handle = ((struct queue_memory *)queue)->handle;
	queue_batch_add_fields(batch, queue, lane, entry->id, entry->fields, entry->field_count);
}

static bool memory_recover(struct queue *queue, struct queue_batch *batch)
{
	struct memory_server *server = lock(queue);
	int64_t now = moment_mono();

	consumer_find(server, queue->config.consumer)->seen = now;
	for (int gone = 0; gone < 2; gone++) {
		for (int lane = 0; lane < LANES; lane++) {
			struct memory_stream *stream = stream_find(server, queue->streams[lane]);
			for (size_t i = 0; batch->room && i < stream->count; i++) {
				struct memory_entry *entry = &stream->entries[i];
				if (!entry->owner)
					continue;
				bool mine = strcmp(entry->owner, queue->config.consumer) == 0;
				bool due = mine ? entry->handle != ((struct queue_memory *)queue)->handle
						: now - consumer_find(server, entry->owner)->seen >
							   queue->config.idle_reclaim;
				if (due && mine == !gone)
					hand_out(queue, (enum lane)lane, entry, batch);
			}
		}
	}
	unlock(queue);
	return true;
}

static void take_new(struct queue *queue, struct memory_server *server, enum lane lane, size_t count,
		     struct queue_batch *batch)
{
	struct memory_stream *stream = stream_find(server, queue->streams[lane]);

	for (size_t i = 0; count && batch->room && i < stream->count; i++) {
		if (stream->entries[i].owner)
			continue;
		hand_out(queue, lane, &stream->entries[i], batch);
		count--;
	}
}

static bool memory_take(struct queue *queue, const size_t counts[LANES], struct queue_batch *batch)
{
	struct memory_server *server = lock(queue);

	for (int lane = 0; lane < LANES; lane++)
		take_new(queue, server, (enum lane)lane, counts[lane], batch);
	unlock(queue);
	return true;
}

static bool memory_wait(struct queue *queue, unsigned lanes, int ms, struct queue_batch *batch)
{
	struct memory_server *server = lock(queue);
	int64_t until = moment_mono() + ms * MOMENT_MS;
	struct timespec time = {.tv_sec = until / MOMENT_S, .tv_nsec = until % MOMENT_S * 1000};
	size_t from = batch->count;
	int timed_out = 0;

	for (;;) {
		for (int lane = 0; lane < LANES; lane++)
			if (lanes & (1u << lane))
				take_new(queue, server, (enum lane)lane, batch->room, batch);
		if (timed_out || batch->count > from)
			break;
		timed_out = pthread_cond_timedwait(&server->added, &server->lock, &time);
	}
	unlock(queue);
	return true;
}

/* --- settling, putting in, looking --- */

static void add_dead_letter(struct queue *queue, struct memory_server *server,
			    const struct queue_settlement *done)
{
	struct memory_entry *entry = stream_add(server, queue->dead);
	char at[MOMENT_TEXT];

	moment_format(done->dead->at, at);
	entry_set(entry, "message", done->dead->message, done->dead->message_len);
	entry_set(entry, "error", done->dead->error, strlen(done->dead->error));
	entry_set(entry, "stream", done->stream, strlen(done->stream));
	entry_set(entry, "id", done->id, strlen(done->id));
	entry_set(entry, "at", at, strlen(at));
}

static bool memory_settle(struct queue *queue, struct queue_settlement *done, size_t count)
{
	struct memory_server *server = lock(queue);

	for (size_t i = 0; i < count; i++) {
		if (done[i].settled)
			continue;
		if (done[i].dead)
			add_dead_letter(queue, server, &done[i]);
		stream_remove_id(stream_find(server, done[i].stream), done[i].id);
		done[i].letter_in = done[i].dead != NULL;
		done[i].settled = true;
	}
	unlock(queue);
	return true;
}

static bool memory_publish(struct queue *queue, enum event_stream out, const char *const events[],
			   size_t count)
{
	struct memory_server *server = lock(queue);

	for (size_t i = 0; i < count; i++)
		entry_set(stream_add(server, queue->out[out]), "event", events[i], strlen(events[i]));
	struct memory_stream *stream = stream_find(server, queue->out[out]);
	while (stream->count > (size_t)queue->config.events_max)
		stream_remove(stream, 0);
	unlock(queue);
	return true;
}

static bool memory_depths(struct queue *queue, struct queue_depths *out)
{
	struct memory_server *server = lock(queue);

	for (int lane = 0; lane < LANES; lane++)
		out->waiting[lane] = (int64_t)stream_find(server, queue->streams[lane])->count;
	out->dead = (int64_t)stream_find(server, queue->dead)->count;
	unlock(queue);
	return true;
}

static bool memory_send(struct queue *queue, enum lane lane, const char *const messages[], size_t count,
			struct queue_place places[])
{
	struct memory_server *server = lock(queue);

	for (size_t i = 0; i < count; i++) {
		struct memory_entry *entry = stream_add(server, queue->streams[lane]);
		entry_set(entry, "message", messages[i], strlen(messages[i]));
		places[i] = (struct queue_place){queue->streams[lane], xstrdup(entry->id)};
	}
	unlock(queue);
	return true;
}

static char *field_copy(const struct memory_entry *entry, const char *name)
{
	const struct queue_field *field = entry_field(entry, name);
	return field ? xmemdup0(field->value, field->value_len) : xstrdup("");
}

/* Negative, 0 or positive, as strcmp(). */
static int id_order(const char *a, const char *b)
{
	char *a_rest, *b_rest;
	uint64_t a_ms = strtoull(a, &a_rest, 10), b_ms = strtoull(b, &b_rest, 10);
	uint64_t a_seq = strtoull(a_rest + (*a_rest == '-'), NULL, 10);
	uint64_t b_seq = strtoull(b_rest + (*b_rest == '-'), NULL, 10);

	return a_ms != b_ms ? (a_ms < b_ms ? -1 : 1) : (a_seq > b_seq) - (a_seq < b_seq);
}

static bool memory_dead_list(struct queue *queue, const char *from, bool included, size_t max,
			     struct dead_letter **out, size_t *count)
{
	struct memory_server *server = lock(queue);
	struct memory_stream *stream = stream_find(server, queue->dead);
	size_t i = 0;

	while (*from && i < stream->count && id_order(stream->entries[i].id, from) < !included)
		i++;
	for (; max && i < stream->count; i++, max--) {
		const struct memory_entry *entry = &stream->entries[i];
		const struct queue_field *message = entry_field(entry, "message");
		char *at = field_copy(entry, "at");
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		struct dead_letter *letter = &(*out)[(*count)++];
		*letter = (struct dead_letter){.dead_id = xstrdup(entry->id),
					       .message = field_copy(entry, "message"),
					       .message_len = message ? message->value_len : 0,
					       .error = field_copy(entry, "error"),
					       .stream = field_copy(entry, "stream"),
					       .id = field_copy(entry, "id")};
		if (!moment_parse(at, &letter->at))
			letter->at = 0;
		free(at);
	}
	unlock(queue);
	return true;
}

static bool memory_dead_retry(struct queue *queue, const struct dead_letter *letter, const char *message,
			      size_t len, char **new_id)
{
	struct memory_server *server = lock(queue);
	struct memory_entry *entry = stream_add(server, letter->stream);

	entry_set(entry, "message", message, len);
	*new_id = xstrdup(entry->id);
	stream_remove_id(stream_find(server, queue->dead), letter->dead_id);
	unlock(queue);
	return true;
}

static bool memory_dead_drop(struct queue *queue, const char *dead_id, bool *found)
{
	struct memory_server *server = lock(queue);

	*found = stream_remove_id(stream_find(server, queue->dead), dead_id);
	unlock(queue);
	return true;
}

static bool memory_check(struct queue *queue, struct text *warnings)
{
	text_addf(warnings, "%s: a queue in memory is for tests: it ends with the process\n", queue->place);
	return true;
}

/* --- opening --- */

extern const struct queue_ops queue_memory_ops; /* below; adapters/registry.c names it */

static struct queue *memory_open(const struct queue_config *config, struct text *error)
{
	struct queue_memory *memory = xcalloc(1, sizeof *memory);

	(void)error;
	queue_init(&memory->base, &queue_memory_ops, config, config->url);
	memory->server = server_find(config->url);
	pthread_mutex_lock(&memory->server->lock);
	memory->handle = ++memory->server->handles;
	pthread_mutex_unlock(&memory->server->lock);
	return &memory->base;
}

static void memory_close(struct queue *queue)
{
	queue_release(queue);
	free(queue);
}

const struct queue_ops queue_memory_ops = {
	.open = memory_open,
	.close = memory_close,
	.recover = memory_recover,
	.take = memory_take,
	.wait = memory_wait,
	.settle = memory_settle,
	.publish = memory_publish,
	.depths = memory_depths,
	.send = memory_send,
	.dead_list = memory_dead_list,
	.dead_retry = memory_dead_retry,
	.dead_drop = memory_dead_drop,
	.check = memory_check,
};

/* --- for tests --- */

void queue_memory_add(const char *url, const char *stream, const char *const fields[])
{
	struct memory_server *server = server_find(url);

	pthread_mutex_lock(&server->lock);
	struct memory_entry *entry = stream_add(server, stream);
	for (; fields[0]; fields += 2)
		entry_set(entry, fields[0], fields[1], strlen(fields[1]));
	pthread_mutex_unlock(&server->lock);
}

size_t queue_memory_length(const char *url, const char *stream)
{
	struct memory_server *server = server_find(url);

	pthread_mutex_lock(&server->lock);
	size_t count = stream_find(server, stream)->count;
	pthread_mutex_unlock(&server->lock);
	return count;
}

char *queue_memory_field(const char *url, const char *stream, size_t index, const char *field)
{
	struct memory_server *server = server_find(url);
	char *value = NULL;

	pthread_mutex_lock(&server->lock);
	struct memory_stream *found = stream_find(server, stream);
	if (index < found->count) {
		const struct queue_field *at = entry_field(&found->entries[index], field);
		value = at ? xmemdup0(at->value, at->value_len) : NULL;
	}
	pthread_mutex_unlock(&server->lock);
	return value;
}
