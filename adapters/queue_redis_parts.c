/* The queue on Redis in parts: partitions, on one Redis or on a cluster. A part is a handle of its own
 * (queue_redis.c) for streams that lie in one slot: the three lanes of a partition
 * ("heed:outbound:urgent:{3}"), or what has no braces; the dead letters and what goes out have handles too. A
 * part whose Redis is away holds up nobody but itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "log.h"
#include "moment.h"
#include "queue_redis_private.h"
#include "xalloc.h"
#include "banned.h"

#define POLL_MS_FIRST 1
#define POLL_MS_MAX 20 /* between two looks at streams that can't be waited for together */

struct part {
	struct queue_redis *redis;
	bool away;    /* and said so */
	size_t asked; /* answers to come, of the take under way */
	size_t wanted[LANES], before[LANES];
};

struct queue_parts {
	struct queue base;
	struct redis_router *router; /* NULL: one Redis */
	struct part *parts;          /* the partitions, then what has no braces */
	size_t count;
	int partitions;
	int lane_part[LANES]; /* which part has the lane's stream without braces */
	struct queue_redis *dead, *out[EVENT_STREAMS];
	size_t turn; /* who is asked first */
};

static struct queue_parts *of(struct queue *queue)
{
	return (struct queue_parts *)queue;
}

/* What a part could not. Always false. */
static bool fails_as(struct queue_parts *parts, const struct queue_redis *redis)
{
	text_clear(&parts->base.error);
	text_puts(&parts->base.error, redis->base.error.data);
	return false;
}

/* Says once that a part is away, and once that it is back. */
static bool heard(struct queue_parts *parts, struct part *part, bool ok)
{
	const char *stream = part->redis->key;

	if (!ok)
		fails_as(parts, part->redis);
	if (!ok && !part->away)
		log_warn("queue: %s: %s; what is there waits for it", stream, part->redis->base.error.data);
	else if (ok && part->away)
		log_info("queue: %s: answers again", stream);
	part->away = !ok;
	return ok;
}

static struct part *in_turn(struct queue_parts *parts, size_t i)
{
	return &parts->parts[(parts->turn + i) % parts->count];
}

/* --- reading --- */

static bool parts_recover(struct queue *queue, struct queue_batch *batch)
{
	struct queue_parts *parts = of(queue);
	bool any = false;

	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = in_turn(parts, i);
		any |= heard(parts, part, !batch->room || redis_recover(&part->redis->base, batch));
	}
	return any;
}

static size_t lane_count(const struct queue_batch *batch, size_t from, int lane)
{
	size_t found = 0;

	for (size_t i = from; i < batch->count; i++)
		found += batch->entries[i].lane == (enum lane)lane;
	return found;
}

/* Shares `counts` among the parts that may have more; a part that gave less than it was asked for has none.
 */
static void share(struct queue_parts *parts, const size_t counts[LANES], bool first)
{
	for (int lane = 0; lane < LANES; lane++) {
		size_t takers = 0, left = counts[lane];
		for (size_t i = 0; i < parts->count; i++) {
			struct part *part = in_turn(parts, i);
			bool may =
				!part->away && part->redis->lanes & 1u << lane &&
				(first || (part->wanted[lane] && part->before[lane] == part->wanted[lane]));
			part->before[lane] = may;
			takers += may;
		}
		for (size_t i = 0; i < parts->count; i++) {
			struct part *part = in_turn(parts, i);
			size_t wanted = part->before[lane] && takers ? (left + takers - 1) / takers : 0;
			takers -= part->before[lane];
			left -= wanted;
			part->wanted[lane] = wanted;
		}
	}
}

/* All are asked before any is heard. *full: one that gave all that was asked for, so there may be more. */
static bool round_of(struct queue_parts *parts, struct queue_batch *batch, bool *full)
{
	bool any = false;

	*full = false;
	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = in_turn(parts, i);
		size_t wanted = 0;
		part->asked = 0;
		for (int lane = 0; lane < LANES; lane++)
			wanted += part->wanted[lane];
		/* one that is away is tried, so that it is seen when it is back */
		if (wanted || part->away)
			heard(parts, part, redis_ask_new(part->redis, part->wanted, &part->asked));
	}
	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = in_turn(parts, i);
		size_t from = batch->count;
		if (part->asked)
			heard(parts, part, redis_hear_new(part->redis, part->asked, batch));
		any |= !part->away;
		for (int lane = 0; lane < LANES; lane++) {
			part->before[lane] = lane_count(batch, from, lane);
			*full |= part->wanted[lane] && part->before[lane] == part->wanted[lane];
		}
	}
	return any;
}

static bool parts_take(struct queue *queue, const size_t counts[LANES], struct queue_batch *batch)
{
	struct queue_parts *parts = of(queue);
	size_t left[LANES], from = batch->count;
	bool full = true, ok = true;

	memcpy(left, counts, sizeof left);
	parts->turn = (parts->turn + 1) % parts->count;
	for (bool first = true; ok && full && left[0] + left[1] + left[2]; first = false) {
		share(parts, left, first);
		ok = round_of(parts, batch, &full);
		for (int lane = 0; lane < LANES; lane++)
			left[lane] = counts[lane] - lane_count(batch, from, lane);
	}
	return ok;
}

static bool parts_wait(struct queue *queue, unsigned lanes, int ms, struct queue_batch *batch)
{
	int64_t until = moment_mono() + ms * MOMENT_MS;
	size_t from = batch->count, counts[LANES];

	for (int pause = POLL_MS_FIRST;; pause = 2 * pause < POLL_MS_MAX ? 2 * pause : POLL_MS_MAX) {
		size_t room = batch->room;
		for (int lane = 0; lane < LANES; lane++) {
			counts[lane] = lanes & 1u << lane ? (room < LANES ? room : room / LANES) : 0;
			room = batch->room < LANES && counts[lane] ? 0 : room;
		}
		if (!parts_take(queue, counts, batch))
			return false;
		int64_t left = until - moment_mono();
		if (batch->count > from || left <= 0)
			return true;
		const struct timespec time = {
			.tv_nsec = (left < pause * MOMENT_MS ? left : pause * MOMENT_MS) * 1000};
		nanosleep(&time, NULL);
	}
}

/* --- settling --- */

/* NULL: it is no stream of ours. */
static struct queue_redis *part_of(struct queue_parts *parts, const char *stream)
{
	const char *brace = strrchr(stream, '{');

	if (brace) {
		long n = strtol(brace + 1, NULL, 10);
		return n >= 0 && n < parts->partitions ? parts->parts[n].redis : NULL;
	}
	for (int lane = 0; lane < LANES; lane++)
		if (strcmp(stream, parts->base.streams[lane]) == 0)
			return parts->parts[parts->lane_part[lane]].redis;
	return NULL;
}

/* The next ones of a part, from *at on. `dead`: those whose letter is in; else those that were committed. */
static size_t slice_of(struct queue_parts *parts, const struct queue_redis *redis, bool dead,
		       struct queue_settlement *done, size_t count, size_t *at,
		       struct queue_settlement *slice[REDIS_SLICE])
{
	size_t n = 0;

	for (; *at < count && n < REDIS_SLICE; (*at)++) {
		struct queue_settlement *one = &done[*at];
		if (!one->settled && (one->dead != NULL) == dead && (!dead || one->letter_in) &&
		    part_of(parts, one->stream) == redis)
			slice[n++] = one;
	}
	return n;
}

static bool let_go_all(struct queue_parts *parts, bool dead, struct queue_settlement *done, size_t count)
{
	struct queue_settlement *slice[REDIS_SLICE];
	bool ok = true;

	for (size_t i = 0; i < parts->count; i++) {
		struct queue_redis *redis = parts->parts[i].redis;
		size_t at = 0, n;
		while ((n = slice_of(parts, redis, dead, done, count, &at, slice)))
			if (!redis_ready(redis) || !redis_let_go(redis, slice, n)) {
				ok = fails_as(parts, redis);
				break;
			}
	}
	return ok;
}

static bool parts_settle(struct queue *queue, struct queue_settlement *done, size_t count)
{
	struct queue_parts *parts = of(queue);
	struct queue_settlement *slice[REDIS_SLICE];
	bool ok = let_go_all(parts, false, done, count);

	for (size_t at = 0; at < count;) {
		size_t n = 0;
		for (; at < count && n < REDIS_SLICE; at++)
			if (done[at].dead && !done[at].settled && !done[at].letter_in)
				slice[n++] = &done[at];
		if (n && (!redis_ready(parts->dead) || !redis_put_letters(parts->dead, slice, n))) {
			ok = fails_as(parts, parts->dead);
			break;
		}
	}
	return let_go_all(parts, true, done, count) && ok;
}

/* --- putting in --- */

static bool parts_publish(struct queue *queue, enum event_stream stream, const char *const events[],
			  size_t count)
{
	struct queue_redis *redis = of(queue)->out[stream];

	return redis_publish(&redis->base, stream, events, count) || fails_as(of(queue), redis);
}

static size_t partition_of(const struct queue_parts *parts, const char *message)
{
	json_t *json = json_loads(message, 0, NULL);
	const json_t *customer = json_object_get(json, "customer");
	size_t n = 0;

	if (json_is_string(customer))
		n = queue_partition(json_string_value(customer), json_string_length(customer),
				    (unsigned)parts->partitions);
	json_decref(json);
	return n;
}

static bool parts_send(struct queue *queue, enum lane lane, const char *const messages[], size_t count,
		       struct queue_place places[])
{
	struct queue_parts *parts = of(queue);
	size_t *part = xcalloc(count, sizeof *part);
	const char **some = xcalloc(count, sizeof *some);
	struct queue_place *there = xcalloc(count, sizeof *there);
	bool ok = true;

	for (size_t i = 0; i < count; i++)
		part[i] = partition_of(parts, messages[i]);
	for (size_t p = 0; p < (size_t)parts->partitions; p++) {
		struct queue_redis *redis = parts->parts[p].redis;
		size_t n = 0;
		for (size_t i = 0; i < count; i++)
			if (part[i] == p)
				some[n++] = messages[i];
		memset(there, 0, n * sizeof *there);
		if (n && !redis_send(&redis->base, lane, some, n, there))
			ok = fails_as(parts, redis);
		for (size_t i = count; i-- > 0;)
			if (part[i] == p)
				places[i] = there[--n];
	}
	free(there);
	free(some);
	free(part);
	return ok;
}

/* --- looking --- */

static bool part_depths(struct queue_redis *redis, struct queue_depths *out)
{
	redisReply *replies[LANES];
	int lanes[LANES], count = 0;

	if (!redis_ready(redis))
		return false;
	for (int lane = 0; lane < LANES; lane++)
		if (redis->lanes & 1u << lane) {
			PUT(redis, "XLEN", redis->base.streams[lane]);
			lanes[count++] = lane;
		}
	bool ok = redis_replies(redis, (size_t)count, replies) && redis_fine(redis, (size_t)count, replies);
	for (int i = 0; ok && i < count; i++)
		out->waiting[lanes[i]] += replies[i]->integer;
	redis_replies_free((size_t)count, replies);
	return ok;
}

static bool parts_depths(struct queue *queue, struct queue_depths *out)
{
	struct queue_parts *parts = of(queue);

	for (size_t i = 0; i < parts->count; i++)
		if (!part_depths(parts->parts[i].redis, out))
			return fails_as(parts, parts->parts[i].redis);
	if (!redis_ready(parts->dead))
		return fails_as(parts, parts->dead);
	PUT(parts->dead, "XLEN", queue->dead);
	redisReply *reply = redis_reply(parts->dead);
	if (!reply)
		return fails_as(parts, parts->dead);
	out->dead = reply->integer;
	freeReplyObject(reply);
	return true;
}

static bool parts_dead_list(struct queue *queue, const char *from, bool included, size_t max,
			    struct dead_letter **out, size_t *count)
{
	struct queue_redis *dead = of(queue)->dead;

	return redis_dead_list(&dead->base, from, included, max, out, count) || fails_as(of(queue), dead);
}

static bool parts_dead_drop(struct queue *queue, const char *dead_id, bool *found)
{
	struct queue_redis *dead = of(queue)->dead;

	return redis_dead_drop(&dead->base, dead_id, found) || fails_as(of(queue), dead);
}

/* They may lie in two slots, so the message is put in first: a crash between the two leaves the letter, and
 * its retry is the same message by its id. */
static bool parts_dead_retry(struct queue *queue, const struct dead_letter *letter, const char *message,
			     size_t len, char **new_id)
{
	struct queue_parts *parts = of(queue);
	struct queue_redis *redis = part_of(parts, letter->stream);
	struct redis_words words = {.count = 0};
	bool found;

	if (!redis)
		return queue_fail(queue, "the letter came from \"%s\", which is no partition any more",
				  letter->stream);
	if (!redis_ready(redis))
		return fails_as(parts, redis);
	redis_word(&words, "XADD");
	redis_word(&words, letter->stream);
	redis_word(&words, "*");
	redis_word(&words, "message");
	redis_word_n(&words, message, len);
	redis_put_words(redis, &words);
	redisReply *reply = redis_reply(redis);
	if (!reply)
		return fails_as(parts, redis);
	*new_id = redis_is_string(reply) ? xstrdup(reply->str) : NULL;
	freeReplyObject(reply);
	if (!*new_id) {
		redis_nonsense(redis);
		return fails_as(parts, redis);
	}
	return parts_dead_drop(queue, letter->dead_id, &found);
}

static bool parts_check(struct queue *queue, struct text *warnings)
{
	struct queue_parts *parts = of(queue);

	for (size_t i = 0; i < parts->count; i++) {
		struct queue_redis *redis = parts->parts[i].redis;
		bool again = false; /* each Redis once */
		if (!redis_ready(redis))
			return fails_as(parts, redis);
		for (size_t k = 0; k < i; k++)
			again |= !redis->host || (parts->parts[k].redis->port == redis->port &&
						  strcmp(parts->parts[k].redis->host, redis->host) == 0);
		if (!again && !redis_check(&redis->base, warnings))
			return fails_as(parts, redis);
	}
	return true;
}

/* --- opening --- */

static const struct queue_ops queue_parts_ops;

static void parts_close(struct queue *queue)
{
	struct queue_parts *parts = of(queue);

	for (size_t i = 0; i < parts->count; i++)
		redis_part_close(parts->parts[i].redis);
	redis_part_close(parts->dead);
	for (int stream = 0; stream < EVENT_STREAMS; stream++)
		redis_part_close(parts->out[stream]);
	if (parts->router)
		parts->router->free(parts->router);
	free(parts->parts);
	queue_release(queue);
	free(parts);
}

static struct queue_redis *open_part(const struct queue_parts *parts, const struct queue_redis *like,
				     const struct queue_config *config, unsigned lanes, bool cluster)
{
	struct queue_redis *redis = redis_part(like, config, lanes);

	redis->router = parts->router;
	redis->cluster = cluster;
	return redis;
}

/* The lanes without braces lie in a slot each. */
static void open_without_braces(struct queue_parts *parts, const struct queue_redis *like,
				const struct queue_config *config, bool cluster)
{
	const unsigned all = (1u << LANES) - 1;

	for (int lane = 0; lane < LANES; lane++) {
		if (lane == 0 || cluster) {
			struct queue_redis *redis =
				open_part(parts, like, config, cluster ? 1u << lane : all, cluster);
			redis->key = redis->base.streams[lane];
			parts->parts[parts->count++].redis = redis;
		}
		parts->lane_part[lane] = (int)parts->count - 1;
	}
}

struct queue *redis_parts_open(struct queue_redis *like, const struct queue_config *config, bool cluster,
			       struct redis_router *router)
{
	struct queue_parts *parts = xcalloc(1, sizeof *parts);
	const unsigned all = (1u << LANES) - 1;

	parts->router = router;
	parts->partitions = config->partitions > 1 ? config->partitions : 1;
	parts->parts = xcalloc((size_t)parts->partitions + LANES, sizeof *parts->parts);
	for (int n = 0; n < parts->partitions; n++) {
		struct queue_redis *redis = open_part(parts, like, config, all, cluster);
		for (int lane = 0; lane < LANES; lane++) {
			char *stream = xasprintf("%s:{%d}", redis->base.streams[lane], n);
			free(redis->base.streams[lane]);
			redis->base.streams[lane] = stream;
		}
		redis->key = redis->base.streams[LANE_NORMAL];
		parts->parts[parts->count++].redis = redis;
	}
	open_without_braces(parts, like, config, cluster);
	parts->dead = open_part(parts, like, config, 0, cluster);
	parts->dead->key = parts->dead->base.dead;
	for (int stream = 0; stream < EVENT_STREAMS; stream++) {
		parts->out[stream] = open_part(parts, like, config, 0, cluster);
		parts->out[stream]->key = parts->out[stream]->base.out[stream];
	}
	queue_init(&parts->base, &queue_parts_ops, config, parts->dead->base.place);
	return &parts->base;
}

static const struct queue_ops queue_parts_ops = {
	.open = NULL, /* by queue_redis.c, which reads the URL */
	.close = parts_close,
	.recover = parts_recover,
	.take = parts_take,
	.wait = parts_wait,
	.settle = parts_settle,
	.publish = parts_publish,
	.depths = parts_depths,
	.send = parts_send,
	.dead_list = parts_dead_list,
	.dead_retry = parts_dead_retry,
	.dead_drop = parts_dead_drop,
	.check = parts_check,
};
