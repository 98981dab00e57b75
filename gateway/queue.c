/* The gate before the back ends of the queue: what is read in which order, and for reading, settling and
 * publishing one line in the log when they begin to fail and when they go on. */
#include "queue.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "log.h"
#include "moment.h"
#include "queue_private.h"
#include "registry.h"
#include "xalloc.h"
#include "banned.h"

#define QUEUE_READ_MAX 10000             /* entries of one read */
#define QUEUE_SLICE_MS 200               /* an interrupt is seen after this long */
#define QUEUE_PAUSE_MS 200               /* after a read that failed: what is gone is not asked in a spin */
#define QUEUE_IDLE_RECLAIM MOMENT_MINUTE /* where the configuration says nothing */
#define QUEUE_FIELD_SHOWN 64             /* bytes of an unknown field's name in the error */

void queue_entry_release(struct queue_entry *entry)
{
	free(entry->stream);
	free(entry->id);
	free(entry->payload);
	free(entry->error);
	*entry = (struct queue_entry){0};
}

void dead_letter_release(struct dead_letter *letter)
{
	free(letter->dead_id);
	free(letter->message);
	free(letter->error);
	free(letter->stream);
	free(letter->id);
	*letter = (struct dead_letter){0};
}

struct queue_config queue_config_of(const struct config *config, const char *consumer)
{
	return (struct queue_config){.url = config->queue.redis,
				     .prefix = config->queue.prefix,
				     .consumer = consumer,
				     .partitions = config->queue.partitions,
				     .events_max = config->queue.events_max,
				     .dead_max = config->queue.dead_max,
				     .idle_reclaim = 2 * config->gateway.lease};
}

#define CRC_POLYNOMIAL 0xEDB88320u /* of IEEE 802.3, its bits reversed */

unsigned queue_partition(const char *customer, size_t len, unsigned partitions)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned char)customer[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
	}
	return (crc ^ UINT32_MAX) % partitions;
}

char *queue_message_id(const char *stream, const char *entry)
{
	char *id = xasprintf("%s:%s", stream, entry), *to = id;

	for (const char *from = id; *from; from++)
		if (*from != '{' && *from != '}')
			*to++ = *from;
	*to = '\0';
	return id;
}

/* --- for the back ends --- */

void queue_init(struct queue *queue, const struct queue_ops *ops, const struct queue_config *config,
		const char *place)
{
	static const char *const suffixes[LANES] = {":outbound:urgent", ":outbound", ":outbound:bulk"};

	*queue = (struct queue){.ops = ops, .config = *config, .place = xstrdup(place)};
	queue->config.url = NULL; /* it may hold a password: a back end takes what it needs */
	queue->config.prefix = xstrdup(config->prefix);
	queue->config.consumer = xstrdup(config->consumer ? config->consumer : "");
	if (queue->config.idle_reclaim <= 0)
		queue->config.idle_reclaim = QUEUE_IDLE_RECLAIM;
	for (int lane = 0; lane < LANES; lane++)
		queue->streams[lane] = xasprintf("%s%s", config->prefix, suffixes[lane]);
	queue->dead = xasprintf("%s:dead", config->prefix);
	queue->out[STREAM_EVENTS] = xasprintf("%s:events", config->prefix);
	queue->out[STREAM_INBOUND] = xasprintf("%s:inbound", config->prefix);
	text_init(&queue->error, TEXT_ERROR_MAX);
}

void queue_release(struct queue *queue)
{
	free((char *)queue->config.prefix);
	free((char *)queue->config.consumer);
	for (int lane = 0; lane < LANES; lane++)
		free(queue->streams[lane]);
	free(queue->dead);
	for (int stream = 0; stream < EVENT_STREAMS; stream++)
		free(queue->out[stream]);
	free(queue->place);
	text_release(&queue->error);
}

bool queue_fail(struct queue *queue, const char *format, ...)
{
	va_list args;

	text_clear(&queue->error);
	text_addf(&queue->error, "%s: ", queue->place);
	va_start(args, format);
	text_vaddf(&queue->error, format, args);
	va_end(args);
	return false;
}

struct queue_entry *queue_batch_add(struct queue_batch *batch)
{
	assert(batch->room > 0);
	batch->room--;
	struct queue_entry *entry = &batch->entries[batch->count++];
	*entry = (struct queue_entry){0};
	return entry;
}

/* Whatever an application wrote there, as printable ASCII. */
static char *field_name_shown(const struct queue_field *field)
{
	size_t len = field->name_len < QUEUE_FIELD_SHOWN ? field->name_len : QUEUE_FIELD_SHOWN;
	char *name = xmemdup0(field->name, len);

	for (size_t i = 0; i < len; i++)
		if (name[i] < ' ' || name[i] > '~')
			name[i] = '?';
	return name;
}

void queue_batch_add_fields(struct queue_batch *batch, const struct queue *queue, enum lane lane,
			    const char *id, const struct queue_field *fields, size_t count)
{
	struct queue_entry *entry = queue_batch_add(batch);
	const struct queue_field *message = NULL, *unknown = NULL;
	size_t messages = 0;

	for (size_t i = 0; i < count; i++) {
		if (fields[i].name_len == 7 && memcmp(fields[i].name, "message", 7) == 0) {
			if (!messages++)
				message = &fields[i];
		} else if (!unknown) {
			unknown = &fields[i];
		}
	}
	entry->stream = xstrdup(queue->streams[lane]);
	entry->id = xstrdup(id);
	entry->lane = lane;
	entry->payload = message ? xmemdup0(message->value, message->value_len) : xstrdup("");
	entry->len = message ? message->value_len : 0;
	if (unknown) {
		char *name = field_name_shown(unknown);
		entry->error =
			xasprintf("the entry has the unknown field \"%s\"; only \"message\" is read", name);
		free(name);
	} else if (messages == 0) {
		entry->error = xstrdup("the entry has no field \"message\"");
	} else if (messages > 1) {
		entry->error = xasprintf(
			"the entry has the field \"message\" %zu times; it must be there once", messages);
	}
}

/* --- opening --- */

struct queue *queue_open(const struct queue_config *config, struct text *error)
{
	const struct queue_ops *ops = NULL;
	size_t len = strcspn(config->url, ":");
	char *scheme = xmemdup0(config->url, len);

	if (config->url[len] == ':')
		ops = registry_queue(scheme);
	if (!ops) /* the scheme alone: what follows may be a password */
		text_error(error, "\"%s\" is not a kind of queue: give redis://HOST:PORT/DB or unix:PATH",
			   config->url[len] == ':' ? scheme : "(no scheme)");
	free(scheme);
	return ops ? ops->open(config, error) : NULL;
}

void queue_close(struct queue *queue)
{
	if (queue)
		queue->ops->close(queue);
}

const char *queue_error(const struct queue *queue)
{
	return queue->error.data;
}

void queue_interrupt(struct queue *queue)
{
	atomic_store(&queue->interrupted, true);
}

/* --- reading --- */

static void sleep_ms(int ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	nanosleep(&time, NULL);
}

static size_t batch_of_lane(const struct queue_batch *batch, size_t from, enum lane lane)
{
	size_t found = 0;

	for (size_t i = from; i < batch->count; i++)
		found += batch->entries[i].lane == lane;
	return found;
}

/* Urgent before normal before bulk, each lane in its own order. */
static void batch_sort(struct queue_batch *batch, size_t from)
{
	size_t count = batch->count - from, at = 0;
	struct queue_entry *sorted = xreallocarray(NULL, count, sizeof *sorted);

	for (int lane = 0; lane < LANES; lane++)
		for (size_t i = from; i < batch->count; i++)
			if (batch->entries[i].lane == (enum lane)lane)
				sorted[at++] = batch->entries[i];
	if (count)
		memcpy(batch->entries + from, sorted, count * sizeof *sorted);
	free(sorted);
}

/* The first lane of the mask gets all but a tenth for each of the others. Tenths of an entry are saved up, so
 * that this holds for small reads too. */
static void shares_make(struct queue *queue, unsigned lanes, size_t room, size_t counts[LANES])
{
	size_t left = room;
	int first = LANES;

	for (int lane = LANES - 1; lane >= 0; lane--) {
		counts[lane] = 0;
		if (lanes & (1u << lane))
			first = lane;
	}
	for (int lane = first + 1; lane < LANES; lane++) {
		if (!(lanes & (1u << lane)))
			continue;
		queue->owed[lane] += room;
		counts[lane] = queue->owed[lane] / 10 < left ? queue->owed[lane] / 10 : left;
		left -= counts[lane];
	}
	if (first < LANES)
		counts[first] = left;
}

static bool read_new(struct queue *queue, unsigned lanes, struct queue_batch *batch)
{
	size_t counts[LANES], from = batch->count;

	shares_make(queue, lanes, batch->room, counts);
	bool ok = queue->ops->take(queue, counts, batch);
	bool more[LANES]; /* may have: it filled its share, or had none of a small read */
	for (int lane = 0; lane < LANES; lane++) {
		bool full = counts[lane] && batch_of_lane(batch, from, (enum lane)lane) == counts[lane];
		if (full)
			queue->owed[lane] -=
				counts[lane] * 10 < queue->owed[lane] ? counts[lane] * 10 : queue->owed[lane];
		else if (counts[lane])
			queue->owed[lane] = 0; /* it did not have to wait */
		more[lane] = full || (!counts[lane] && lanes & 1u << lane);
	}
	/* what others left goes to those who may have more */
	for (int lane = 0; ok && batch->room && lane < LANES; lane++) {
		size_t rest[LANES] = {0};
		rest[lane] = batch->room;
		if (more[lane])
			ok = queue->ops->take(queue, rest, batch);
	}
	batch_sort(batch, from);
	return ok;
}

/* In slices, so that an interrupt is seen; and what a connection that broke meanwhile had given is not waited
 * for to the end. */
static bool read_waiting(struct queue *queue, unsigned lanes, int wait_ms, struct queue_batch *batch)
{
	int64_t until = moment_mono() + wait_ms * MOMENT_MS;
	size_t from = batch->count;

	while (!atomic_exchange(&queue->interrupted, false) && batch->count == from) {
		int64_t left = (until - moment_mono()) / MOMENT_MS;
		int slice = left < QUEUE_SLICE_MS ? (int)left : QUEUE_SLICE_MS;
		if (left <= 0)
			break;
		if (!lanes)
			sleep_ms(slice);
		else if (!queue->ops->wait(queue, lanes, slice, batch) ||
			 (batch->count == from && !queue->ops->recover(queue, batch)))
			return false;
	}
	return true;
}

/* One line when it begins to fail, one when it goes on. */
static void say_once(struct queue *queue, bool ok, bool *away, const char *waits, const char *goes_on)
{
	if (!ok && !*away)
		log_warn("queue: %s; %s", queue->error.data, waits);
	else if (ok && *away)
		log_info("queue: %s: %s", queue->place, goes_on);
	*away = !ok;
}

bool queue_read(struct queue *queue, unsigned lanes, size_t max, int wait_ms, struct queue_entry **out,
		size_t *count)
{
	struct queue_batch batch = {.count = *count, .room = max < QUEUE_READ_MAX ? max : QUEUE_READ_MAX};

	batch.entries = xreallocarray(*out, batch.count + batch.room, sizeof *batch.entries);
	bool ok = queue->ops->recover(queue, &batch);
	if (ok && batch.count == *count && lanes && batch.room)
		ok = read_new(queue, lanes, &batch);
	if (ok && batch.count == *count && batch.room)
		ok = read_waiting(queue, lanes, wait_ms, &batch);
	say_once(queue, ok, &queue->read_away, "waiting for it", "answers again");
	if (!ok && batch.count == *count)
		sleep_ms(QUEUE_PAUSE_MS);
	ok = ok ||
	     batch.count > *count; /* what was read before it broke is handed out: it isn't read again */
	*out = batch.entries;
	*count = batch.count;
	return ok;
}

/* --- settling and publishing --- */

bool queue_settle(struct queue *queue, struct queue_settlement *done, size_t count)
{
	if (count == 0)
		return true;
	bool ok = queue->ops->settle(queue, done, count);
	say_once(queue, ok, &queue->settle_away, "what was read waits to be acknowledged",
		 "acknowledging goes on");
	return ok;
}

bool queue_publish(struct queue *queue, enum event_stream stream, const char *const events[], size_t count)
{
	if (count == 0)
		return true;
	bool ok = queue->ops->publish(queue, stream, events, count);
	say_once(queue, ok, &queue->publish_away, "events wait to be published", "publishing goes on");
	return ok;
}

/* --- the rest goes straight through --- */

bool queue_depths(struct queue *queue, struct queue_depths *out)
{
	*out = (struct queue_depths){0};
	return queue->ops->depths(queue, out);
}

bool queue_send(struct queue *queue, enum lane lane, const char *const messages[], size_t count,
		struct queue_place places[])
{
	for (size_t i = 0; i < count; i++)
		places[i] = (struct queue_place){0};
	return count == 0 || queue->ops->send(queue, lane, messages, count, places);
}

/* "1763805600000-0" */
static bool entry_id_valid(const char *id)
{
	size_t first = strspn(id, "0123456789");
	if (first < 1 || first > 20 || id[first] != '-')
		return false;
	size_t second = strspn(id + first + 1, "0123456789");
	return second >= 1 && second <= 20 && id[first + 1 + second] == '\0';
}

bool queue_dead_list(struct queue *queue, const char *after, size_t max, struct dead_letter **out,
		     size_t *count)
{
	return queue->ops->dead_list(queue, after, false, max < QUEUE_READ_MAX ? max : QUEUE_READ_MAX, out,
				     count);
}

bool queue_dead_show(struct queue *queue, const char *dead_id, struct dead_letter *out, bool *found)
{
	struct dead_letter *letters = NULL;
	size_t count = 0;

	*out = (struct dead_letter){0};
	*found = false;
	if (!entry_id_valid(dead_id))
		return true;
	bool ok = queue->ops->dead_list(queue, dead_id, true, 1, &letters, &count);
	if (ok && count == 1 && strcmp(letters[0].dead_id, dead_id) == 0) {
		*out = letters[0];
		*found = true;
	} else if (count == 1) {
		dead_letter_release(&letters[0]);
	}
	free(letters);
	return ok;
}

/* One of the lanes' streams, or a partition of it. */
static bool stream_is_ours(const struct queue *queue, const char *stream)
{
	for (int lane = 0; lane < LANES; lane++) {
		size_t len = strlen(queue->streams[lane]);
		if (strncmp(stream, queue->streams[lane], len) == 0 &&
		    (!stream[len] || strncmp(stream + len, ":{", 2) == 0))
			return true;
	}
	return false;
}

bool queue_dead_retry(struct queue *queue, const struct dead_letter *letter, const char *message, size_t len,
		      char **new_id)
{
	*new_id = NULL;
	if (!stream_is_ours(queue, letter->stream))
		return queue_fail(queue, "the letter came from \"%s\", which is no stream of this queue",
				  letter->stream);
	return queue->ops->dead_retry(queue, letter, message, len, new_id);
}

bool queue_dead_drop(struct queue *queue, const char *dead_id, bool *found)
{
	*found = false;
	return !entry_id_valid(dead_id) || queue->ops->dead_drop(queue, dead_id, found);
}

bool queue_check(struct queue *queue, struct text *warnings)
{
	return queue->ops->check(queue, warnings);
}
