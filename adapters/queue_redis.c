/* The queue on Redis Streams (6.2 or later), by hiredis 0.14. That version has no TLS, and a context that saw
 * a timeout or an I/O error is dead: it is freed, and the next call connects anew. It writes with write():
 * the process must ignore SIGPIPE.
 *
 * What keeps entries from being lost, and from being handed out twice without need:
 * - `after` is, for each lane, the id up to which this handle has handed entries out. After a reconnect the
 *   consumer's own pending entries are read from there on: those are the ones whose answer was lost. A handle
 *   starts at 0-0: all that an earlier process left.
 * - While we live, our own pending entries are touched (XCLAIM JUSTID) before they are idle for long. So an
 *   entry that is idle for `idle_reclaim` belongs to a reader that is gone, and XAUTOCLAIM takes it.
 * - An entry that is done with is deleted first and acknowledged second: a crash between the two leaves a
 *   pending id without fields, which the next reader acknowledges. The other way round it would stay in the
 *   stream for ever. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "log.h"
#include "moment.h"
#include "queue_private.h"
#include "url.h"
#include "xalloc.h"
#include "banned.h"

#define REDIS_CONNECT_SECONDS 5
#define REDIS_COMMAND_SECONDS 10 /* far above the longest wait that is asked for */
#define REDIS_SLICE 256          /* entries in one pipeline */
#define REDIS_SLICE_BYTES (1024 * 1024)
#define REDIS_WORDS (REDIS_SLICE + 16) /* of one command */
#define REDIS_TOUCH_ROUNDS 100         /* of a slice each: our own entries that are touched in one sweep */
#define REDIS_SWEEPS 4                 /* within idle_reclaim */
#define REDIS_TOUCHES 16 /* within idle_reclaim: what is idle for longer is touched in a sweep */
#define REDIS_CONSUMER_KEEP                                                             \
	60 /* times idle_reclaim: after it a consumer with nothing pending is forgotten \
	    */
#define REDIS_PORT_MAX 65535
#define REDIS_DB_MAX 65535
#define REDIS_PIPELINE_MAX (2 * REDIS_SLICE + 8) /* commands in it */

struct queue_redis {
	struct queue base;
	char *host; /* NULL: path */
	char *path;
	int port, db;
	char *user, *password; /* NULL: none */
	redisContext *context; /* NULL: not connected */
	bool groups;           /* made, on this connection */
	bool had_groups;       /* ever */
	struct {
		char after[QUEUE_ID_MAX]; /* handed out up to here */
		bool done;                /* own entries were read to the end, on this connection */
	} own[LANES];
	struct {
		int64_t next; /* monotonic */
		bool running;
		int lane;
		char cursor[QUEUE_ID_MAX];
		bool unanswered; /* what an XAUTOCLAIM gave us may never have arrived */
	} sweep;
};

/* --- commands and answers --- */

struct command_words {
	const char *at[REDIS_WORDS];
	size_t len[REDIS_WORDS];
	int count;
};

static void word_add_n(struct command_words *words, const char *word, size_t len)
{
	words->at[words->count] = word;
	words->len[words->count++] = len;
}

static void word_add(struct command_words *words, const char *word)
{
	word_add_n(words, word, strlen(word));
}

static void words_put(struct queue_redis *redis, const struct command_words *words)
{
	redisAppendCommandArgv(redis->context, words->count, (const char **)words->at, words->len);
}

#define PUT(redis, ...) command_put(redis, (const char *[]){__VA_ARGS__, NULL})

/* Into the pipeline; the words are copied. */
static void command_put(struct queue_redis *redis, const char *const words[])
{
	struct command_words command = {.count = 0};

	for (; *words; words++)
		word_add(&command, *words);
	words_put(redis, &command);
}

static void redis_drop(struct queue_redis *redis)
{
	if (redis->context)
		redisFree(redis->context);
	redis->context = NULL;
}

/* The connection is dead: says why. */
static bool redis_broken(struct queue_redis *redis)
{
	if (redis->context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK))
		queue_fail(&redis->base, "no answer within %d s", REDIS_COMMAND_SECONDS);
	else
		queue_fail(&redis->base, "%s", redis->context->errstr);
	redis_drop(redis);
	return false;
}

static bool redis_nonsense(struct queue_redis *redis)
{
	queue_fail(&redis->base, "an answer that was not expected; is this Redis 6.2 or later?");
	redis_drop(redis);
	return false;
}

static bool is_error(const redisReply *reply, const char *code)
{
	return reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

static bool is_array(const redisReply *reply, size_t at_least)
{
	return reply && reply->type == REDIS_REPLY_ARRAY && reply->elements >= at_least;
}

static bool is_string(const redisReply *reply)
{
	return reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
}

/* An error as Redis words it, but for the arguments that it repeats: they may be content or secrets. */
static bool reply_refused(struct queue_redis *redis, const redisReply *reply)
{
	const char *args = strstr(reply->str, ", with args");
	int len = args ? (int)(args - reply->str) : (int)reply->len;

	if (is_error(reply, "NOGROUP"))
		redis->groups = false; /* the next call makes it again */
	return queue_fail(&redis->base, "%.*s", len, reply->str);
}

/* Reads `count` answers, always all of them, so that the next command meets its own. False: the connection
 * broke; what is missing is NULL. */
static bool replies_read(struct queue_redis *redis, size_t count, redisReply *replies[])
{
	bool ok = true;

	for (size_t i = 0; i < count; i++) {
		replies[i] = NULL;
		if (ok && redisGetReply(redis->context, (void **)&replies[i]) != REDIS_OK)
			ok = redis_broken(redis);
	}
	return ok;
}

static void replies_free(size_t count, redisReply *replies[])
{
	for (size_t i = 0; i < count; i++)
		if (replies[i])
			freeReplyObject(replies[i]);
}

/* False at the first one that is an error. */
static bool replies_fine(struct queue_redis *redis, size_t count, redisReply *replies[])
{
	for (size_t i = 0; i < count; i++) {
		if (replies[i]->type == REDIS_REPLY_ERROR)
			return reply_refused(redis, replies[i]);
		for (size_t j = 0; replies[i]->type == REDIS_REPLY_ARRAY && j < replies[i]->elements; j++)
			if (replies[i]->element[j]->type == REDIS_REPLY_ERROR) /* inside an EXEC */
				return reply_refused(redis, replies[i]->element[j]);
	}
	return true;
}

/* Sends what is in the pipeline; only whether all went well matters. */
static bool pipeline_run(struct queue_redis *redis, size_t count)
{
	redisReply *replies[REDIS_PIPELINE_MAX];

	bool ok = replies_read(redis, count, replies) && replies_fine(redis, count, replies);
	replies_free(count, replies);
	return ok;
}

/* One command that was put: its answer, or NULL after queue_fail. */
static redisReply *reply_get(struct queue_redis *redis)
{
	redisReply *reply = NULL;

	if (!replies_read(redis, 1, &reply))
		return NULL;
	if (reply->type == REDIS_REPLY_ERROR) {
		reply_refused(redis, reply);
		freeReplyObject(reply);
		return NULL;
	}
	return reply;
}

/* --- connecting --- */

/* The answer to AUTH may repeat what it was given (a server that doesn't know the command does). */
static bool redis_login(struct queue_redis *redis)
{
	redisReply *reply = NULL;

	if (!redis->password)
		return true;
	if (redis->user)
		PUT(redis, "AUTH", redis->user, redis->password);
	else
		PUT(redis, "AUTH", redis->password);
	if (!replies_read(redis, 1, &reply))
		return false;
	bool ok = reply->type != REDIS_REPLY_ERROR;
	if (!ok) {
		queue_fail(&redis->base, "the login was refused (%.*s)", (int)strcspn(reply->str, " "),
			   reply->str);
		redis_drop(redis);
	}
	freeReplyObject(reply);
	return ok;
}

static bool redis_select(struct queue_redis *redis)
{
	char db[16];

	if (!redis->db)
		return true;
	snprintf(db, sizeof db, "%d", redis->db);
	PUT(redis, "SELECT", db);
	redisReply *reply = reply_get(redis);
	if (!reply) {
		redis_drop(redis);
		return false;
	}
	freeReplyObject(reply);
	return true;
}

static bool redis_ready(struct queue_redis *redis)
{
	struct timeval connect = {.tv_sec = REDIS_CONNECT_SECONDS};
	struct timeval command = {.tv_sec = REDIS_COMMAND_SECONDS};

	if (redis->context)
		return true;
	redis->context = redis->path ? redisConnectUnixWithTimeout(redis->path, connect)
				     : redisConnectWithTimeout(redis->host, redis->port, connect);
	if (!redis->context)
		return queue_fail(&redis->base, "could not connect");
	if (redis->context->err || redisSetTimeout(redis->context, command) != REDIS_OK) {
		queue_fail(&redis->base, "could not connect: %s", redis->context->errstr);
		redis_drop(redis);
		return false;
	}
	if (redis->host)
		redisEnableKeepAlive(redis->context);
	redis->groups = false;
	for (int lane = 0; lane < LANES; lane++) {
		redis->own[lane].done = false;
		if (redis->sweep.unanswered)
			snprintf(redis->own[lane].after, QUEUE_ID_MAX, "0-0");
	}
	redis->sweep.unanswered = false;
	return redis_login(redis) && redis_select(redis);
}

/* Only a reader needs the groups. One that is new starts from 0: so does what we handed out. */
static bool groups_ready(struct queue_redis *redis)
{
	redisReply *replies[LANES];

	if (!redis_ready(redis))
		return false;
	if (redis->groups)
		return true;
	for (int lane = 0; lane < LANES; lane++)
		PUT(redis, "XGROUP", "CREATE", redis->base.streams[lane], QUEUE_GROUP, "0", "MKSTREAM");
	bool ok = replies_read(redis, LANES, replies), made = false;
	for (int lane = 0; ok && lane < LANES; lane++) {
		if (is_error(replies[lane], "BUSYGROUP"))
			continue;
		ok = replies_fine(redis, 1, &replies[lane]);
		made = made || ok;
		if (ok)
			snprintf(redis->own[lane].after, QUEUE_ID_MAX, "0-0");
	}
	replies_free(LANES, replies);
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
	if (!is_error(reply, "NOGROUP") && !is_error(reply, "UNBLOCKED"))
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
		ok = is_string(name) && is_string(value);
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
	return pipeline_run(redis, 1);
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
		if (!is_array(entry, 2) || !is_string(entry->element[0]) || !batch->room)
			return redis_nonsense(redis);
		const redisReply *id = entry->element[0];
		ok = is_array(entry->element[1], 0) ? entry_read(redis, lane, id, entry->element[1], batch)
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
	if (!is_array(reply, 0))
		return redis_nonsense(redis);
	for (size_t i = 0; ok && i < reply->elements; i++) {
		const redisReply *stream = reply->element[i];
		if (!is_array(stream, 2) || !is_string(stream->element[0]) ||
		    !is_array(stream->element[1], 0))
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
		ok = replies_read(redis, 1, &reply);
		if (ok && group_is_gone(redis, reply)) {
			freeReplyObject(reply);
			return true;
		}
		ok = ok && replies_fine(redis, 1, &reply) && streams_read(redis, reply, batch);
		if (ok)
			redis->own[lane].done =
				!is_array(reply, 1) || reply->element[0]->element[1]->elements < asked;
		replies_free(1, &reply);
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
		struct command_words claim = {.count = 0};
		PUT(redis, "XPENDING", stream, QUEUE_GROUP, "IDLE", idle, "-", "+", count, me);
		redisReply *list = reply_get(redis);
		if (!list)
			return false;
		word_add(&claim, "XCLAIM");
		word_add(&claim, stream);
		word_add(&claim, QUEUE_GROUP);
		word_add(&claim, me);
		word_add(&claim, "0");
		size_t found = is_array(list, 0) && list->elements <= REDIS_SLICE ? list->elements : 0;
		for (size_t i = 0; i < found; i++)
			if (is_array(list->element[i], 4) && is_string(list->element[i]->element[0]))
				word_add(&claim, list->element[i]->element[0]->str);
		word_add(&claim, "JUSTID");
		if (found)
			words_put(redis, &claim);
		bool ok = !found || pipeline_run(redis, 1);
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
	bool ok = replies_read(redis, 1, &reply);
	if (ok && reply->type == REDIS_REPLY_ERROR)
		log_debug("queue: %s: old consumers stay: %s", redis->base.place, reply->str);
	replies_free(1, &reply);
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
	redisReply *reply = reply_get(redis);
	if (!reply) {
		redis->sweep.unanswered = redis->context == NULL; /* an error took nothing */
		return false;
	}
	bool ok = is_array(reply, 2) && is_string(reply->element[0]) && is_array(reply->element[1], 0);
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

static bool redis_recover(struct queue *queue, struct queue_batch *batch)
{
	struct queue_redis *redis = (struct queue_redis *)queue;

	if (!groups_ready(redis))
		return false;
	for (int lane = 0; lane < LANES; lane++)
		if (!recover_own(redis, (enum lane)lane, batch))
			return false;
	return !redis->groups || !batch->room || sweep(redis, batch);
}

/* --- new ones --- */

/* A read failed: what Redis gave us all the same is among our pending entries. */
static bool given_is_unread(struct queue_redis *redis)
{
	for (int lane = 0; lane < LANES; lane++)
		redis->own[lane].done = false;
	return false;
}

static bool redis_take(struct queue *queue, const size_t counts[LANES], struct queue_batch *batch)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	redisReply *replies[LANES];
	size_t asked = 0;

	if (!groups_ready(redis))
		return false;
	for (int lane = 0; lane < LANES; lane++) {
		if (!counts[lane])
			continue;
		put_read(redis, (enum lane)lane, counts[lane], ">");
		asked++;
	}
	bool ok = replies_read(redis, asked, replies);
	for (size_t i = 0; ok && i < asked; i++)
		ok = group_is_gone(redis, replies[i]) ||
		     (replies_fine(redis, 1, &replies[i]) && streams_read(redis, replies[i], batch));
	replies_free(asked, replies);
	return ok || given_is_unread(redis);
}

/* COUNT holds for each stream: with room for fewer entries than there are lanes, only the first ones are
 * waited for, and the next read looks at all of them again. */
static bool redis_wait(struct queue *queue, unsigned lanes, int ms, struct queue_batch *batch)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	struct command_words words = {.count = 0};
	size_t waited = 0;
	char block[24], count[24];
	redisReply *reply = NULL;

	if (!groups_ready(redis))
		return false;
	snprintf(block, sizeof block, "%d", ms);
	snprintf(count, sizeof count, "%zu", batch->room < LANES ? 1 : batch->room / LANES);
	word_add(&words, "XREADGROUP");
	word_add(&words, "GROUP");
	word_add(&words, QUEUE_GROUP);
	word_add(&words, redis->base.config.consumer);
	word_add(&words, "COUNT");
	word_add(&words, count);
	word_add(&words, "BLOCK");
	word_add(&words, block);
	word_add(&words, "STREAMS");
	for (int lane = 0; lane < LANES && waited < batch->room; lane++) {
		if (lanes & (1u << lane)) {
			word_add(&words, redis->base.streams[lane]);
			waited++;
		}
	}
	while (waited--)
		word_add(&words, ">");
	words_put(redis, &words);
	bool ok = replies_read(redis, 1, &reply);
	ok = ok && (group_is_gone(redis, reply) ||
		    (replies_fine(redis, 1, &reply) && streams_read(redis, reply, batch)));
	replies_free(1, &reply);
	return ok || given_is_unread(redis);
}

/* --- settling --- */

/* How many of `done` go into one pipeline. */
static size_t settle_slice(const struct queue_settlement *done, size_t count)
{
	size_t bytes = 0, i = 0;

	while (i < count && i < REDIS_SLICE && bytes < REDIS_SLICE_BYTES) {
		bytes += done[i].dead ? done[i].dead->message_len : 0;
		i++;
	}
	return i;
}

static void put_dead_letter(struct queue_redis *redis, const struct queue_settlement *done)
{
	const struct dead_letter *letter = done->dead;
	struct command_words words = {.count = 0};
	char at[MOMENT_TEXT];

	moment_format(letter->at, at);
	word_add(&words, "XADD");
	word_add(&words, redis->base.dead);
	word_add(&words, "*");
	word_add(&words, "message");
	word_add_n(&words, letter->message, letter->message_len);
	word_add(&words, "error");
	word_add(&words, letter->error);
	word_add(&words, "stream");
	word_add(&words, done->stream);
	word_add(&words, "id");
	word_add(&words, done->id);
	word_add(&words, "at");
	word_add(&words, at);
	words_put(redis, &words);
}

/* XDEL and XACK of a run of entries of one stream; how many those are. */
static size_t put_done(struct queue_redis *redis, const struct queue_settlement *done, size_t count)
{
	struct command_words words = {.count = 0};
	size_t run = 0;

	word_add(&words, "XDEL");
	word_add(&words, done->stream);
	for (; run < count && strcmp(done[run].stream, done->stream) == 0; run++)
		word_add(&words, done[run].id);
	words_put(redis, &words);
	words.count = 0;
	word_add(&words, "XACK");
	word_add(&words, done->stream);
	word_add(&words, QUEUE_GROUP);
	for (size_t i = 0; i < run; i++)
		word_add(&words, done[i].id);
	words_put(redis, &words);
	return run;
}

/* Dead letters first: an entry is let go only when Redis has said that its letter is in. */
static bool redis_settle(struct queue *queue, const struct queue_settlement *done, size_t count)
{
	struct queue_redis *redis = (struct queue_redis *)queue;

	if (!redis_ready(redis))
		return false;
	while (count) {
		size_t slice = settle_slice(done, count), commands = 0;
		for (size_t i = 0; i < slice; i++) {
			if (done[i].dead) {
				put_dead_letter(redis, &done[i]);
				commands++;
			}
		}
		if (!pipeline_run(redis, commands))
			return false;
		commands = 0;
		for (size_t i = 0; i < slice; commands += 2)
			i += put_done(redis, done + i, slice - i);
		if (!pipeline_run(redis, commands))
			return false;
		done += slice;
		count -= slice;
	}
	return true;
}

/* --- putting in --- */

static size_t text_slice(const char *const texts[], size_t count)
{
	size_t bytes = 0, i = 0;

	while (i < count && i < REDIS_SLICE && bytes < REDIS_SLICE_BYTES)
		bytes += strlen(texts[i++]);
	return i;
}

/* A slice is one transaction: a refusal in its middle would let later events overtake earlier ones. */
static bool redis_publish(struct queue *queue, const char *const events[], size_t count)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	char max[24];

	if (!redis_ready(redis))
		return false;
	snprintf(max, sizeof max, "%" PRId64, queue->config.events_max);
	while (count) {
		size_t slice = text_slice(events, count);
		PUT(redis, "MULTI");
		for (size_t i = 0; i < slice; i++)
			PUT(redis, "XADD", queue->events, "MAXLEN", "~", max, "*", "event", events[i]);
		PUT(redis, "EXEC");
		if (!pipeline_run(redis, slice + 2))
			return false;
		events += slice;
		count -= slice;
	}
	return true;
}

static bool redis_send(struct queue *queue, enum lane lane, const char *const messages[], size_t count,
		       char **ids)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	redisReply *replies[REDIS_SLICE];
	bool ok = redis_ready(redis);

	while (ok && count) {
		size_t slice = text_slice(messages, count);
		for (size_t i = 0; i < slice; i++)
			PUT(redis, "XADD", queue->streams[lane], "*", "message", messages[i]);
		ok = replies_read(redis, slice, replies);
		for (size_t i = 0; i < slice; i++)
			if (is_string(replies[i]))
				ids[i] = xstrdup(replies[i]->str);
		ok = ok && replies_fine(redis, slice, replies);
		replies_free(slice, replies);
		messages += slice;
		ids += slice;
		count -= slice;
	}
	return ok;
}

/* --- looking --- */

static bool redis_depths(struct queue *queue, struct queue_depths *out)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	redisReply *replies[LANES + 1];

	if (!redis_ready(redis))
		return false;
	for (int lane = 0; lane < LANES; lane++)
		PUT(redis, "XLEN", queue->streams[lane]);
	PUT(redis, "XLEN", queue->dead);
	bool ok = replies_read(redis, LANES + 1, replies) && replies_fine(redis, LANES + 1, replies);
	if (ok) {
		for (int lane = 0; lane < LANES; lane++)
			out->waiting[lane] = replies[lane]->integer;
		out->dead = replies[LANES]->integer;
	}
	replies_free(LANES + 1, replies);
	return ok;
}

static void letter_read(const char *id, const redisReply *values, struct dead_letter *out)
{
	const struct {
		const char *name;
		char **text;
	} texts[] = {{"message", &out->message},
		     {"error", &out->error},
		     {"stream", &out->stream},
		     {"id", &out->id}};

	*out = (struct dead_letter){.dead_id = xstrdup(id)};
	for (size_t i = 0; i + 1 < values->elements; i += 2) {
		const redisReply *name = values->element[i], *value = values->element[i + 1];
		if (!is_string(name) || !is_string(value))
			continue;
		for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
			if (strcmp(name->str, texts[t].name) == 0 && !*texts[t].text) {
				*texts[t].text = xmemdup0(value->str, value->len);
				if (t == 0)
					out->message_len = value->len;
			}
		}
		if (strcmp(name->str, "at") == 0 && !moment_parse(value->str, &out->at))
			out->at = 0;
	}
	for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++)
		if (!*texts[t].text)
			*texts[t].text = xstrdup("");
}

static bool redis_dead_list(struct queue *queue, const char *from, bool included, size_t max,
			    struct dead_letter **out, size_t *count)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	char start[QUEUE_ID_MAX + 1], limit[24];

	if (!redis_ready(redis))
		return false;
	snprintf(start, sizeof start, "%s%s", !*from || included ? "" : "(", *from ? from : "-");
	snprintf(limit, sizeof limit, "%zu", max);
	PUT(redis, "XRANGE", queue->dead, start, "+", "COUNT", limit);
	redisReply *reply = reply_get(redis);
	if (!reply)
		return false;
	bool ok = is_array(reply, 0) || redis_nonsense(redis);
	*out = xreallocarray(*out, *count + (ok ? reply->elements : 0), sizeof **out);
	for (size_t i = 0; ok && i < reply->elements; i++) {
		const redisReply *entry = reply->element[i];
		ok = (is_array(entry, 2) && is_string(entry->element[0]) && is_array(entry->element[1], 0)) ||
		     redis_nonsense(redis);
		if (ok)
			letter_read(entry->element[0]->str, entry->element[1], &(*out)[(*count)++]);
	}
	freeReplyObject(reply);
	return ok;
}

static bool redis_dead_retry(struct queue *queue, const struct dead_letter *letter, const char *message,
			     size_t len, char **new_id)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	struct command_words words = {.count = 0};
	redisReply *replies[4];

	if (!redis_ready(redis))
		return false;
	PUT(redis, "MULTI");
	word_add(&words, "XADD");
	word_add(&words, letter->stream);
	word_add(&words, "*");
	word_add(&words, "message");
	word_add_n(&words, message, len);
	words_put(redis, &words);
	PUT(redis, "XDEL", queue->dead, letter->dead_id);
	PUT(redis, "EXEC");
	bool ok = replies_read(redis, 4, replies) && replies_fine(redis, 4, replies);
	if (ok && is_array(replies[3], 2) && is_string(replies[3]->element[0]))
		*new_id = xstrdup(replies[3]->element[0]->str);
	else if (ok)
		ok = redis_nonsense(redis);
	replies_free(4, replies);
	return ok;
}

static bool redis_dead_drop(struct queue *queue, const char *dead_id, bool *found)
{
	struct queue_redis *redis = (struct queue_redis *)queue;

	if (!redis_ready(redis))
		return false;
	PUT(redis, "XDEL", queue->dead, dead_id);
	redisReply *reply = reply_get(redis);
	*found = reply && reply->integer == 1;
	if (reply)
		freeReplyObject(reply);
	return reply != NULL;
}

/* "\r\nNAME:VALUE\r\n" of an INFO; "" if it isn't there. */
static void info_value(const char *info, const char *name, char out[64])
{
	size_t len = strlen(name);

	out[0] = '\0';
	for (const char *line = info; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			snprintf(out, 64, "%.*s", (int)strcspn(line + len + 1, "\r\n"), line + len + 1);
			return;
		}
	}
}

static bool redis_check(struct queue *queue, struct text *warnings)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	char version[64], policy[64], aof[64], *minor;

	if (!redis_ready(redis))
		return false;
	PUT(redis, "INFO");
	redisReply *reply = reply_get(redis);
	if (!reply)
		return false;
	bool ok = is_string(reply) || redis_nonsense(redis);
	info_value(ok ? reply->str : "", "redis_version", version);
	info_value(ok ? reply->str : "", "maxmemory_policy", policy);
	info_value(ok ? reply->str : "", "aof_enabled", aof);
	freeReplyObject(reply);
	long major = strtol(version, &minor, 10);
	if (ok && (major < 6 || (major == 6 && strtol(minor + (*minor == '.'), NULL, 10) < 2)))
		ok = queue_fail(queue, "this is Redis %s; 6.2 or later is needed", version);
	if (ok && strcmp(policy, "noeviction") != 0)
		text_addf(warnings,
			  "%s: maxmemory-policy is %s: Redis may throw messages away when memory is short; "
			  "set it to noeviction\n",
			  queue->place, *policy ? policy : "not known");
	if (ok && strcmp(aof, "1") != 0)
		text_addf(warnings,
			  "%s: appendonly is %s: messages that are waiting are lost when Redis ends; set it "
			  "to yes\n",
			  queue->place, *aof ? "no" : "not known");
	return ok;
}

/* --- the URL --- */

/* A percent-decoded copy; NULL if it is broken. */
static char *url_part(const char *s, size_t len)
{
	struct text part;

	text_init(&part, URL_PART_MAX);
	char *out = url_decode(s, len, &part) ? text_detach(&part) : NULL;
	text_release(&part);
	return out;
}

/* A whole number from 0 to `max` up to `end`. */
static bool url_number(const char *s, const char *end, int max, int *out)
{
	if (s == end || end - s > 5)
		return false;
	for (*out = 0; s < end; s++) {
		if (*s < '0' || *s > '9')
			return false;
		*out = *out * 10 + (*s - '0');
	}
	return *out <= max;
}

/* [user:password@]host[:port][/db]; false without a word: it may hold a password. */
static bool url_read(const char *url, struct queue_redis *redis)
{
	const char *end = url + strcspn(url, "/?#"), *at = memrchr(url, '@', (size_t)(end - url));
	const char *host = at ? at + 1 : url, *host_end;

	if (at) {
		const char *colon = memchr(url, ':', (size_t)(at - url));
		if (!colon)
			return false;
		redis->user = colon > url ? url_part(url, (size_t)(colon - url)) : NULL;
		redis->password = url_part(colon + 1, (size_t)(at - colon - 1));
		if (!redis->password || (colon > url && !redis->user))
			return false;
	}
	if (*host == '[') {
		host++;
		host_end = memchr(host, ']', (size_t)(end - host));
		if (!host_end || (host_end + 1 != end && host_end[1] != ':'))
			return false;
	} else {
		host_end = host + strcspn(host, ":/?#");
	}
	redis->host = xmemdup0(host, (size_t)(host_end - host));
	host_end += *host_end == ']';
	redis->port = 6379;
	if (host_end < end && !url_number(host_end + 1, end, REDIS_PORT_MAX, &redis->port))
		return false;
	if (*end == '/' && end[1] && !url_number(end + 1, end + strlen(end), REDIS_DB_MAX, &redis->db))
		return false;
	return *redis->host && redis->port > 0 && (!*end || *end == '/');
}

static void redis_close(struct queue *queue)
{
	struct queue_redis *redis = (struct queue_redis *)queue;

	redis_drop(redis);
	free(redis->host);
	free(redis->path);
	free(redis->user);
	free(redis->password);
	queue_release(queue);
	free(redis);
}

static bool url_open(const char *url, struct queue_redis *redis, struct text *error)
{
	if (strncmp(url, "rediss:", 7) == 0)
		return text_error(error,
				  "rediss:// needs hiredis 1.0 or later, and this heed was built with %d.%d",
				  HIREDIS_MAJOR, HIREDIS_MINOR);
	if (strncmp(url, "redis+", 6) == 0)
		return text_error(error,
				  "%.*s:// is not yet there; give redis:// or unix:", (int)strcspn(url, ":"),
				  url);
	if (strncmp(url, "unix:", 5) == 0) {
		redis->path = xstrdup(url + 5);
		if (strlen(redis->path) >= sizeof((struct sockaddr_un *)0)->sun_path || !*redis->path)
			return text_error(error, "unix:PATH needs a path of 1 to %zu bytes",
					  sizeof((struct sockaddr_un *)0)->sun_path - 1);
		return true;
	}
	if (strncmp(url, "redis://", 8) != 0 || !url_read(url + 8, redis))
		return text_error(error, "a Redis is named redis://[user:password@]host[:port][/db]; what is "
					 "special in a password is percent-encoded");
	return true;
}

extern const struct queue_ops queue_redis_ops; /* below; adapters/registry.c names it */

static struct queue *redis_open(const struct queue_config *config, struct text *error)
{
	struct queue_redis *redis = xcalloc(1, sizeof *redis), url = {0};
	char *place = NULL;
	bool ok = url_open(config->url, &url, error);

	*redis = url;
	if (ok)
		place = url.path ? xasprintf("unix:%s", url.path)
				 : xasprintf("redis://%s:%d/%d", url.host, url.port, url.db);
	queue_init(&redis->base, &queue_redis_ops, config, ok ? place : "");
	free(place);
	for (int lane = 0; lane < LANES; lane++)
		snprintf(redis->own[lane].after, QUEUE_ID_MAX, "0-0");
	if (!ok) {
		redis_close(&redis->base);
		return NULL;
	}
	return &redis->base;
}

static const char *const redis_schemes[] = {"redis",         "unix",           "rediss",
					    "redis+cluster", "redis+sentinel", NULL};

const struct queue_ops queue_redis_ops = {
	.schemes = redis_schemes,
	.open = redis_open,
	.close = redis_close,
	.recover = redis_recover,
	.take = redis_take,
	.wait = redis_wait,
	.settle = redis_settle,
	.publish = redis_publish,
	.depths = redis_depths,
	.send = redis_send,
	.dead_list = redis_dead_list,
	.dead_retry = redis_dead_retry,
	.dead_drop = redis_dead_drop,
	.check = redis_check,
};
