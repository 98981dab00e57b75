/* The queue on Redis: reading. Groups, own pending entries, those of readers that are gone, new ones. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "moment.h"
#include "queue_redis_private.h"
#include "xalloc.h"
#include "banned.h"

#define REDIS_TOUCH_ROUNDS 100 /* of a slice each: our own entries that are touched in one sweep */
#define REDIS_SWEEPS 4         /* within idle_reclaim */
#define REDIS_TOUCHES 16       /* within idle_reclaim: what is idle for longer is touched in a sweep */
/* times idle_reclaim: after it a consumer with nothing pending is forgotten */
#define REDIS_CONSUMER_KEEP 60

/* Which lanes have no group. By a command that only reads. */
static bool groups_missing(struct queue_redis *redis, bool missing[LANES])
{
	redisReply *replies[LANES];
	int lanes[LANES], count = 0;

	for (int lane = 0; lane < LANES; lane++) {
		if (!(redis->lanes & 1u << lane))
			continue;
		PUT(redis, "XPENDING", redis->base.streams[lane], QUEUE_GROUP, "-", "+", "1");
		lanes[count++] = lane;
	}
	bool ok = redis_replies(redis, (size_t)count, replies);
	for (int i = 0; ok && i < count; i++) {
		missing[lanes[i]] = redis_is_error(replies[i], "NOGROUP");
		ok = missing[lanes[i]] || redis_fine(redis, 1, &replies[i]);
	}
	redis_replies_free((size_t)count, replies);
	return ok;
}

static bool group_make(struct queue_redis *redis, enum lane lane, bool *made)
{
	redisReply *reply = NULL;

	PUT(redis, "XGROUP", "CREATE", redis->base.streams[lane], QUEUE_GROUP, "0", "MKSTREAM");
	bool ok = redis_replies(redis, 1, &reply);
	if (ok && !redis_is_error(reply, "BUSYGROUP")) { /* else another gateway was faster */
		ok = redis_fine(redis, 1, &reply);
		*made = *made || ok;
		if (ok)
			snprintf(redis->own[lane].after, QUEUE_ID_MAX, "0-0");
	}
	redis_replies_free(1, &reply);
	return ok;
}

/* Only a reader needs the groups. One that is new starts from 0: so does what we handed out. Made only where
 * they are missing: a Redis that is full refuses to make one, also where it is there, and must be read. */
static bool groups_ready(struct queue_redis *redis)
{
	bool missing[LANES] = {false}, made = false;

	if (!redis_ready(redis))
		return false;
	if (redis->groups)
		return true;
	bool ok = groups_missing(redis, missing);
	for (int lane = 0; ok && lane < LANES; lane++)
		ok = !missing[lane] || group_make(redis, (enum lane)lane, &made);
	if (made && redis->had_groups)
		log_warn("queue: %s: the consumer group was gone; made again, all that is there is read",
			 redis->base.place);
	redis->groups = ok;
	redis->had_groups = redis->had_groups || ok;
	return ok;
}

/* The group went away under us: nothing was read, and the next call makes it again. */
static bool group_is_gone(struct queue_redis *redis, const redisReply *reply)
{
	if (!redis_is_error(reply, "NOGROUP") && !redis_is_error(reply, "UNBLOCKED"))
		return false;
	redis->groups = false;
	return true;
}

/* --- entries --- */

static bool entry_read(struct queue_redis *redis, enum lane lane, const redisReply *id,
		       const redisReply *values, struct queue_batch *batch)
{
	size_t count = values->elements / 2;
	struct queue_field *fields = xreallocarray(NULL, count, sizeof *fields);
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++) {
		const redisReply *name = values->element[2 * i], *value = values->element[2 * i + 1];
		ok = redis_is_string(name) && redis_is_string(value);
		if (ok)
			fields[i] = (struct queue_field){name->str, name->len, value->str, value->len};
	}
	if (ok)
		queue_batch_add_fields(batch, &redis->base, lane, id->str, fields, count);
	free(fields);
	return ok || redis_nonsense(redis);
}

/* It was deleted while it was pending: nothing is left to be done for it. */
static bool entry_forget(struct queue_redis *redis, enum lane lane, const char *id)
{
	PUT(redis, "XACK", redis->base.streams[lane], QUEUE_GROUP, id);
	return redis_run(redis, 1);
}

/* Adds [[id, fields], …]. `after`: where to note how far we are; NULL for entries of others. */
static bool entries_read(struct queue_redis *redis, enum lane lane, const redisReply *list, char *after,
			 struct queue_batch *batch)
{
	bool ok = true;

	for (size_t i = 0; ok && i < list->elements; i++) {
		const redisReply *entry = list->element[i];
		if (entry->type == REDIS_REPLY_NIL)
			continue; /* Redis 6.2's XAUTOCLAIM, of a deleted one */
		if (!redis_is_array(entry, 2) || !redis_is_string(entry->element[0]) || !batch->room)
			return redis_nonsense(redis);
		const redisReply *id = entry->element[0];
		ok = redis_is_array(entry->element[1], 0)
			     ? entry_read(redis, lane, id, entry->element[1], batch)
			     : entry_forget(redis, lane, id->str);
		if (ok && after)
			snprintf(after, QUEUE_ID_MAX, "%s", id->str);
	}
	return ok;
}

/* [[stream, entries], …] of an XREADGROUP: which lane a stream is. */
static bool streams_read(struct queue_redis *redis, const redisReply *reply, struct queue_batch *batch)
{
	bool ok = true;

	if (reply->type == REDIS_REPLY_NIL)
		return true;
	if (!redis_is_array(reply, 0))
		return redis_nonsense(redis);
	for (size_t i = 0; ok && i < reply->elements; i++) {
		const redisReply *stream = reply->element[i];
		if (!redis_is_array(stream, 2) || !redis_is_string(stream->element[0]) ||
		    !redis_is_array(stream->element[1], 0))
			return redis_nonsense(redis);
		int lane = 0;
		while (lane < LANES && strcmp(redis->base.streams[lane], stream->element[0]->str) != 0)
			lane++;
		if (lane == LANES)
			return redis_nonsense(redis);
		ok = entries_read(redis, (enum lane)lane, stream->element[1], redis->own[lane].after, batch);
	}
	return ok;
}

static void put_read(struct queue_redis *redis, enum lane lane, size_t count, const char *after)
{
	char max[24];

	snprintf(max, sizeof max, "%zu", count);
	PUT(redis, "XREADGROUP", "GROUP", QUEUE_GROUP, redis->base.config.consumer, "COUNT", max, "STREAMS",
	    redis->base.streams[lane], after);
}

/* --- recovering --- */

/* Our own pending entries that were not handed out, a page at a time. */
static bool recover_own(struct queue_redis *redis, enum lane lane, struct queue_batch *batch)
{
	bool ok = true;

	while (ok && batch->room && !redis->own[lane].done) {
		redisReply *reply = NULL;
		size_t asked = batch->room < REDIS_SLICE ? batch->room : REDIS_SLICE;
		put_read(redis, lane, asked, redis->own[lane].after);
		ok = redis_replies(redis, 1, &reply);
		if (ok && group_is_gone(redis, reply)) {
			freeReplyObject(reply);
			return true;
		}
		ok = ok && redis_fine(redis, 1, &reply) && streams_read(redis, reply, batch);
		if (ok)
			redis->own[lane].done =
				!redis_is_array(reply, 1) || reply->element[0]->element[1]->elements < asked;
		redis_replies_free(1, &reply);
	}
	return ok;
}

static void sweep_ms(const struct queue_redis *redis, int part, char out[24])
{
	int64_t ms = redis->base.config.idle_reclaim / MOMENT_MS / part;
	snprintf(out, 24, "%" PRId64, ms > 0 ? ms : 1);
}

/* Our own entries that wait for their settlement: so that no other reader thinks that we are gone. */
static bool touch_own(struct queue_redis *redis, enum lane lane)
{
	const char *stream = redis->base.streams[lane], *me = redis->base.config.consumer;
	char idle[24], count[24];
	bool more = true;

	sweep_ms(redis, REDIS_TOUCHES, idle);
	snprintf(count, sizeof count, "%d", REDIS_SLICE);
	for (int round = 0; more && round < REDIS_TOUCH_ROUNDS; round++) {
		struct redis_words claim = {.count = 0};
		PUT(redis, "XPENDING", stream, QUEUE_GROUP, "IDLE", idle, "-", "+", count, me);
		redisReply *list = redis_reply(redis);
		if (!list)
			return false;
		redis_word(&claim, "XCLAIM");
		redis_word(&claim, stream);
		redis_word(&claim, QUEUE_GROUP);
		redis_word(&claim, me);
		redis_word(&claim, "0");
		size_t found = redis_is_array(list, 0) && list->elements <= REDIS_SLICE ? list->elements : 0;
		for (size_t i = 0; i < found; i++)
			if (redis_is_array(list->element[i], 4) &&
			    redis_is_string(list->element[i]->element[0]))
				redis_word(&claim, list->element[i]->element[0]->str);
		redis_word(&claim, "JUSTID");
		if (found)
			redis_put_words(redis, &claim);
		bool ok = !found || redis_run(redis, 1);
		freeReplyObject(list);
		if (!ok)
			return false;
		more = found == REDIS_SLICE;
	}
	return true;
}

/* Readers that have been gone for long and have nothing pending. In one step, in the server: a consumer that
 * is deleted takes what it has pending with it. Where scripts aren't allowed, they stay. */
static bool forget_consumers(struct queue_redis *redis, enum lane lane)
{
	static const char script[] =
		"for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do "
		"  if c[2] ~= ARGV[2] and c[4] == 0 and c[6] > tonumber(ARGV[3]) then "
		"    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], c[2]) "
		"  end "
		"end";
	char keep[24];

	snprintf(keep, sizeof keep, "%" PRId64,
		 redis->base.config.idle_reclaim / MOMENT_MS * REDIS_CONSUMER_KEEP);
	PUT(redis, "EVAL", script, "1", redis->base.streams[lane], QUEUE_GROUP, redis->base.config.consumer,
	    keep);
	redisReply *reply = NULL;
	bool ok = redis_replies(redis, 1, &reply);
	if (ok && reply->type == REDIS_REPLY_ERROR)
		log_debug("queue: %s: old consumers stay: %s", redis->base.place, reply->str);
	redis_replies_free(1, &reply);
	return ok;
}

/* One step of XAUTOCLAIM in the sweep's lane. */
static bool claim_others(struct queue_redis *redis, struct queue_batch *batch)
{
	char idle[24], count[24];
	enum lane lane = (enum lane)redis->sweep.lane;

	sweep_ms(redis, 1, idle);
	snprintf(count, sizeof count, "%zu", batch->room < REDIS_SLICE ? batch->room : (size_t)REDIS_SLICE);
	PUT(redis, "XAUTOCLAIM", redis->base.streams[lane], QUEUE_GROUP, redis->base.config.consumer, idle,
	    redis->sweep.cursor, "COUNT", count);
	redis->sweep.unanswered = true;
	redisReply *reply = redis_reply(redis);
	if (!reply) {
		redis->sweep.unanswered = redis->context == NULL; /* an error took nothing */
		return false;
	}
	bool ok = redis_is_array(reply, 2) && redis_is_string(reply->element[0]) &&
		  redis_is_array(reply->element[1], 0);
	if (!ok)
		redis_nonsense(redis);
	ok = ok && entries_read(redis, lane, reply->element[1], NULL, batch);
	if (ok) {
		redis->sweep.unanswered = false;
		snprintf(redis->sweep.cursor, QUEUE_ID_MAX, "%s", reply->element[0]->str);
	} else {
		redis_drop(redis); /* what was claimed is read again after it */
	}
	freeReplyObject(reply);
	return ok;
}

/* At start and now and then: ours are touched, then those of readers that are gone become ours. Stops where
 * there is no more room and goes on at the next read. */
static bool sweep(struct queue_redis *redis, struct queue_batch *batch)
{
	int64_t now = moment_mono();

	if (!redis->sweep.running) {
		if (now < redis->sweep.next)
			return true;
		redis->sweep.next = now + redis->base.config.idle_reclaim / REDIS_SWEEPS;
		redis->sweep.running = true;
		redis->sweep.lane = 0;
		snprintf(redis->sweep.cursor, QUEUE_ID_MAX, "0-0");
	}
	while (redis->sweep.lane < LANES && batch->room) {
		enum lane lane = (enum lane)redis->sweep.lane;
		if (!(redis->lanes & 1u << lane)) {
			redis->sweep.lane++;
			continue;
		}
		if (!touch_own(redis, lane) || !claim_others(redis, batch))
			return false;
		if (strcmp(redis->sweep.cursor, "0-0") != 0)
			continue;
		if (!forget_consumers(redis, lane))
			return false;
		redis->sweep.lane++;
	}
	redis->sweep.running = redis->sweep.lane < LANES;
	return true;
}

bool redis_recover(struct queue *queue, struct queue_batch *batch)
{
	struct queue_redis *redis = (struct queue_redis *)queue;

	if (!groups_ready(redis))
		return false;
	for (int lane = 0; lane < LANES; lane++)
		if (redis->lanes & 1u << lane && !recover_own(redis, (enum lane)lane, batch))
			return false;
	return !redis->groups || !batch->room || sweep(redis, batch);
}

/* --- new ones --- */

/* A read failed: what Redis gave us all the same is among our pending entries. They are read before anything
 * that is newer: `after` would be behind them. */
static bool given_is_unread(struct queue_redis *redis)
{
	for (int lane = 0; lane < LANES; lane++)
		redis->own[lane].done = false;
	return false;
}

bool redis_ask_new(struct queue_redis *redis, const size_t counts[LANES], size_t *asked)
{
	*asked = 0;
	if (!groups_ready(redis))
		return false;
	for (int lane = 0; lane < LANES; lane++) {
		if (!counts[lane] || !(redis->lanes & 1u << lane) || !redis->own[lane].done)
			continue;
		put_read(redis, (enum lane)lane, counts[lane], ">");
		(*asked)++;
	}
	return true;
}

bool redis_hear_new(struct queue_redis *redis, size_t asked, struct queue_batch *batch)
{
	redisReply *replies[LANES];
	bool ok = redis_replies(redis, asked, replies);

	for (size_t i = 0; ok && i < asked; i++)
		ok = group_is_gone(redis, replies[i]) ||
		     (redis_fine(redis, 1, &replies[i]) && streams_read(redis, replies[i], batch));
	redis_replies_free(asked, replies);
	return ok || given_is_unread(redis);
}

bool redis_take(struct queue *queue, const size_t counts[LANES], struct queue_batch *batch)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	size_t asked;

	return redis_ask_new(redis, counts, &asked) && redis_hear_new(redis, asked, batch);
}

/* COUNT holds for each stream: with room for fewer entries than there are lanes, only the first ones are
 * waited for, and the next read looks at all of them again. */
bool redis_wait(struct queue *queue, unsigned lanes, int ms, struct queue_batch *batch)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	struct redis_words words = {.count = 0};
	size_t waited = 0;
	char block[24], count[24];
	redisReply *reply = NULL;

	if (!groups_ready(redis))
		return false;
	for (int lane = 0; lane < LANES; lane++)
		if (lanes & 1u << lane && !redis->own[lane].done)
			return true; /* connected anew: ours first */
	snprintf(block, sizeof block, "%d", ms);
	snprintf(count, sizeof count, "%zu", batch->room < LANES ? 1 : batch->room / LANES);
	redis_word(&words, "XREADGROUP");
	redis_word(&words, "GROUP");
	redis_word(&words, QUEUE_GROUP);
	redis_word(&words, redis->base.config.consumer);
	redis_word(&words, "COUNT");
	redis_word(&words, count);
	redis_word(&words, "BLOCK");
	redis_word(&words, block);
	redis_word(&words, "STREAMS");
	for (int lane = 0; lane < LANES && waited < batch->room; lane++) {
		if (lanes & (1u << lane)) {
			redis_word(&words, redis->base.streams[lane]);
			waited++;
		}
	}
	while (waited--)
		redis_word(&words, ">");
	redis_put_words(redis, &words);
	bool ok = redis_replies(redis, 1, &reply);
	ok = ok && (group_is_gone(redis, reply) ||
		    (redis_fine(redis, 1, &reply) && streams_read(redis, reply, batch)));
	redis_replies_free(1, &reply);
	return ok || given_is_unread(redis);
}
