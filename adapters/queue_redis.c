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
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "queue_redis_private.h"
#include "xalloc.h"
#include "banned.h"

/* --- settling --- */

/* The next ones that are still to be settled, dead or not, for one pipeline; *at goes on behind them. */
static size_t settle_slice(struct queue_settlement *done, size_t count, bool dead, size_t *at,
			   struct queue_settlement *slice[REDIS_SLICE])
{
	size_t bytes = 0, n = 0;

	for (; *at < count && n < REDIS_SLICE && bytes < REDIS_SLICE_BYTES; (*at)++) {
		struct queue_settlement *one = &done[*at];
		if (one->settled || (one->dead != NULL) != dead)
			continue;
		bytes += dead && !one->letter_in ? one->dead->message_len : 0;
		slice[n++] = one;
	}
	return n;
}

static void put_dead_letter(struct queue_redis *redis, const struct queue_settlement *done)
{
	const struct dead_letter *letter = done->dead;
	struct redis_words words = {.count = 0};
	char at[MOMENT_TEXT];

	moment_format(letter->at, at);
	redis_word(&words, "XADD");
	redis_word(&words, redis->base.dead);
	redis_word(&words, "*");
	redis_word(&words, "message");
	redis_word_n(&words, letter->message, letter->message_len);
	redis_word(&words, "error");
	redis_word(&words, letter->error);
	redis_word(&words, "stream");
	redis_word(&words, done->stream);
	redis_word(&words, "id");
	redis_word(&words, done->id);
	redis_word(&words, "at");
	redis_word(&words, at);
	redis_put_words(redis, &words);
}

/* XDEL and XACK of a run of entries of one stream; how many those are. */
static size_t put_done(struct queue_redis *redis, struct queue_settlement *const done[], size_t count)
{
	struct redis_words words = {.count = 0};
	size_t run = 0;

	redis_word(&words, "XDEL");
	redis_word(&words, done[0]->stream);
	for (; run < count && strcmp(done[run]->stream, done[0]->stream) == 0; run++)
		redis_word(&words, done[run]->id);
	redis_put_words(redis, &words);
	words.count = 0;
	redis_word(&words, "XACK");
	redis_word(&words, done[0]->stream);
	redis_word(&words, QUEUE_GROUP);
	for (size_t i = 0; i < run; i++)
		redis_word(&words, done[i]->id);
	redis_put_words(redis, &words);
	return run;
}

/* Needs no memory over there, and does no harm when it is repeated. */
bool redis_let_go(struct queue_redis *redis, struct queue_settlement *const slice[], size_t count)
{
	size_t commands = 0;

	for (size_t i = 0; i < count; commands += 2)
		i += put_done(redis, slice + i, count - i);
	bool ok = redis_run(redis, commands);
	for (size_t i = 0; i < count; i++)
		slice[i]->settled = ok;
	return ok;
}

/* Only a letter that Redis has said to be in is marked; it is never put in again. In a cluster the entry that
 * it stands for lies elsewhere, and would not come back with a failover that takes the letter away. */
bool redis_put_letters(struct queue_redis *redis, struct queue_settlement *const slice[], size_t count)
{
	struct queue_settlement *asked[REDIS_SLICE];
	redisReply *replies[REDIS_SLICE];
	size_t commands = 0;

	for (size_t i = 0; i < count; i++) {
		if (slice[i]->letter_in)
			continue;
		put_dead_letter(redis, slice[i]);
		asked[commands++] = slice[i];
	}
	bool ok = redis_replies(redis, commands, replies) && (!redis->cluster || redis_passed_on(redis));
	for (size_t i = 0; i < commands; i++)
		asked[i]->letter_in = (ok || !redis->cluster) && redis_is_string(replies[i]);
	ok = ok && redis_fine(redis, commands, replies);
	redis_replies_free(commands, replies);
	return ok;
}

/* Letters first: an entry is let go only when its letter is in. No MULTI around the two: Redis would let the
 * entry go also when it refuses the letter for the type of its key. */
static bool settle_dead(struct queue_redis *redis, struct queue_settlement *slice[], size_t count)
{
	size_t in = 0;
	bool ok = redis_put_letters(redis, slice, count);

	if (!redis->context)
		return false;
	for (size_t i = 0; i < count; i++)
		if (slice[i]->letter_in)
			slice[in++] = slice[i];
	return redis_let_go(redis, slice, in) && ok;
}

static bool redis_settle(struct queue *queue, struct queue_settlement *done, size_t count)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	struct queue_settlement *slice[REDIS_SLICE];
	size_t n, at = 0;

	if (!redis_ready(redis))
		return false;
	while ((n = settle_slice(done, count, false, &at, slice)))
		if (!redis_let_go(redis, slice, n))
			return false;
	at = 0;
	while ((n = settle_slice(done, count, true, &at, slice)))
		if (!settle_dead(redis, slice, n))
			return false;
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

/* In one command, which goes where its key is: events in order, as far as they get in. */
static void put_script(struct queue_redis *redis, const char *stream, const char *max,
		       const char *const events[], size_t count)
{
	static const char script[] =
		"for i = 2, #ARGV - 1 do redis.call('XADD', KEYS[1], '*', 'event', ARGV[i]) end "
		"redis.call('XADD', KEYS[1], 'MAXLEN', '=', ARGV[1], '*', 'event', ARGV[#ARGV])";
	struct redis_words words = {.count = 0};

	redis_word(&words, "EVAL");
	redis_word(&words, script);
	redis_word(&words, "1");
	redis_word(&words, stream);
	redis_word(&words, max);
	for (size_t i = 0; i < count; i++)
		redis_word(&words, events[i]);
	redis_put_words(redis, &words);
}

/* A slice is one transaction: a refusal in its middle would let later events overtake earlier ones. The store
 * lets go of them after this, so a replica has them first. */
bool redis_publish(struct queue *queue, enum event_stream stream, const char *const events[], size_t count)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	char max[24];

	if (!redis_ready(redis))
		return false;
	snprintf(max, sizeof max, "%" PRId64, queue->config.events_max);
	while (count) {
		size_t slice = text_slice(events, count);
		if (redis->cluster) {
			put_script(redis, queue->out[stream], max, events, slice);
		} else {
			PUT(redis, "MULTI");
			for (size_t i = 0; i + 1 < slice; i++)
				PUT(redis, "XADD", queue->out[stream], "*", "event", events[i]);
			PUT(redis, "XADD", queue->out[stream], "MAXLEN", "=", max, "*", "event",
			    events[slice - 1]);
			PUT(redis, "EXEC");
		}
		if (!redis_run(redis, redis->cluster ? 1 : slice + 2))
			return false;
		events += slice;
		count -= slice;
	}
	return redis_passed_on(redis);
}

bool redis_send(struct queue *queue, enum lane lane, const char *const messages[], size_t count,
		struct queue_place places[])
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	redisReply *replies[REDIS_SLICE];
	bool ok = redis_ready(redis);

	while (ok && count) {
		size_t slice = text_slice(messages, count);
		for (size_t i = 0; i < slice; i++)
			PUT(redis, "XADD", queue->streams[lane], "*", "message", messages[i]);
		ok = redis_replies(redis, slice, replies);
		for (size_t i = 0; i < slice; i++)
			if (redis_is_string(replies[i]))
				places[i] =
					(struct queue_place){queue->streams[lane], xstrdup(replies[i]->str)};
		ok = ok && redis_fine(redis, slice, replies);
		redis_replies_free(slice, replies);
		messages += slice;
		places += slice;
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
	bool ok = redis_replies(redis, LANES + 1, replies) && redis_fine(redis, LANES + 1, replies);
	if (ok) {
		for (int lane = 0; lane < LANES; lane++)
			out->waiting[lane] = replies[lane]->integer;
		out->dead = replies[LANES]->integer;
	}
	redis_replies_free(LANES + 1, replies);
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
		if (!redis_is_string(name) || !redis_is_string(value))
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

bool redis_dead_list(struct queue *queue, const char *from, bool included, size_t max,
		     struct dead_letter **out, size_t *count)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	char start[QUEUE_ID_MAX + 1], limit[24];

	if (!redis_ready(redis))
		return false;
	snprintf(start, sizeof start, "%s%s", !*from || included ? "" : "(", *from ? from : "-");
	snprintf(limit, sizeof limit, "%zu", max);
	PUT(redis, "XRANGE", queue->dead, start, "+", "COUNT", limit);
	redisReply *reply = redis_reply(redis);
	if (!reply)
		return false;
	bool ok = redis_is_array(reply, 0) || redis_nonsense(redis);
	*out = xreallocarray(*out, *count + (ok ? reply->elements : 0), sizeof **out);
	for (size_t i = 0; ok && i < reply->elements; i++) {
		const redisReply *entry = reply->element[i];
		ok = (redis_is_array(entry, 2) && redis_is_string(entry->element[0]) &&
		      redis_is_array(entry->element[1], 0)) ||
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
	struct redis_words words = {.count = 0};
	redisReply *replies[4];

	if (!redis_ready(redis))
		return false;
	PUT(redis, "MULTI");
	redis_word(&words, "XADD");
	redis_word(&words, letter->stream);
	redis_word(&words, "*");
	redis_word(&words, "message");
	redis_word_n(&words, message, len);
	redis_put_words(redis, &words);
	PUT(redis, "XDEL", queue->dead, letter->dead_id);
	PUT(redis, "EXEC");
	bool ok = redis_replies(redis, 4, replies) && redis_fine(redis, 4, replies);
	if (ok && redis_is_array(replies[3], 2) && redis_is_string(replies[3]->element[0]))
		*new_id = xstrdup(replies[3]->element[0]->str);
	else if (ok)
		ok = redis_nonsense(redis);
	redis_replies_free(4, replies);
	return ok;
}

bool redis_dead_drop(struct queue *queue, const char *dead_id, bool *found)
{
	struct queue_redis *redis = (struct queue_redis *)queue;

	if (!redis_ready(redis))
		return false;
	PUT(redis, "XDEL", queue->dead, dead_id);
	redisReply *reply = redis_reply(redis);
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

#define KEYS_CHECKED (LANES + EVENT_STREAMS + 1)

/* A key of ours that holds something else is never written to: all of them are named. */
static bool check_keys(struct queue_redis *redis)
{
	const struct queue *queue = &redis->base;
	const char *keys[KEYS_CHECKED] = {queue->dead, queue->out[STREAM_EVENTS], queue->out[STREAM_INBOUND]};
	redisReply *replies[KEYS_CHECKED];
	struct text wrong;

	text_init(&wrong, TEXT_ERROR_MAX);
	for (int lane = 0; lane < LANES; lane++)
		keys[1 + EVENT_STREAMS + lane] = queue->streams[lane];
	for (size_t i = 0; i < KEYS_CHECKED; i++)
		PUT(redis, "TYPE", keys[i]);
	bool ok = redis_replies(redis, KEYS_CHECKED, replies) && redis_fine(redis, KEYS_CHECKED, replies);
	for (size_t i = 0; ok && i < KEYS_CHECKED; i++)
		if (redis_is_string(replies[i]) && strcmp(replies[i]->str, "stream") != 0 &&
		    strcmp(replies[i]->str, "none") != 0)
			text_addf(&wrong, "%s%s is a %s", wrong.len ? ", " : "", keys[i], replies[i]->str);
	redis_replies_free(KEYS_CHECKED, replies);
	if (ok && wrong.len)
		ok = queue_fail(&redis->base,
				"%s; it must be a stream: rename or delete it, or change queue.prefix",
				wrong.data);
	text_release(&wrong);
	return ok;
}

bool redis_check(struct queue *queue, struct text *warnings)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	char version[64], policy[64], aof[64], *minor;

	if (!redis_ready(redis))
		return false;
	PUT(redis, "INFO");
	redisReply *reply = redis_reply(redis);
	if (!reply)
		return false;
	bool ok = redis_is_string(reply) || redis_nonsense(redis);
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
	return ok && check_keys(redis);
}

/* --- opening --- */

static void where_release(struct queue_redis *redis)
{
	free(redis->host);
	free(redis->path);
	free(redis->user);
	free(redis->password);
}

void redis_part_close(struct queue_redis *redis)
{
	redis_drop(redis);
	free(redis->sent);
	text_release(&redis->wire);
	where_release(redis);
	queue_release(&redis->base);
	free(redis);
}

static void redis_close(struct queue *queue)
{
	struct queue_redis *redis = (struct queue_redis *)queue;
	struct redis_router *router = redis->router;

	redis_part_close(redis);
	if (router)
		router->free(router);
}

extern const struct queue_ops queue_redis_ops; /* below; adapters/registry.c names it */

static char *place_of(const struct queue_redis *redis, const struct queue_config *config)
{
	if (redis->path)
		return xasprintf("unix:%s", redis->path);
	if (redis->host)
		return xasprintf(strchr(redis->host, ':') ? "redis://[%s]:%d/%d" : "redis://%s:%d/%d",
				 redis->host, redis->port, redis->db);
	const char *mark = strstr(config->url, "://"), *at = strrchr(config->url, '@');
	return at ? xasprintf("%.*s%s", (int)(mark - config->url + 3), config->url, at + 1)
		  : xstrdup(config->url);
}

struct queue_redis *redis_part(const struct queue_redis *like, const struct queue_config *config,
			       unsigned lanes)
{
	struct queue_redis *redis = xcalloc(1, sizeof *redis);
	char *place = place_of(like, config);

	*redis = (struct queue_redis){.lanes = lanes, .port = like->port, .db = like->db};
	redis->host = like->host ? xstrdup(like->host) : NULL;
	redis->path = like->path ? xstrdup(like->path) : NULL;
	redis->user = like->user ? xstrdup(like->user) : NULL;
	redis->password = like->password ? xstrdup(like->password) : NULL;
	queue_init(&redis->base, &queue_redis_ops, config, place);
	for (int lane = 0; lane < LANES; lane++)
		snprintf(redis->own[lane].after, QUEUE_ID_MAX, "0-0");
	free(place);
	return redis;
}

#define ALL_LANES ((1u << LANES) - 1)

static struct queue *redis_open(const struct queue_config *config, struct text *error)
{
	static const char of_cluster[] = "redis+cluster://", of_sentinels[] = "redis+sentinel://";
	bool cluster = strncmp(config->url, of_cluster, strlen(of_cluster)) == 0;
	bool sentinels = strncmp(config->url, of_sentinels, strlen(of_sentinels)) == 0;
	struct queue_redis url = {0};
	struct redis_router *router = NULL;
	struct queue *queue = NULL;
	bool ok = cluster     ? redis_cluster_url(config->url + strlen(of_cluster), &url, &router, error)
		  : sentinels ? redis_sentinel_url(config->url + strlen(of_sentinels), &url, &router, error)
			      : redis_url(config->url, &url, error);

	if (ok && (cluster || config->partitions > 1)) {
		queue = redis_parts_open(&url, config, cluster, router);
	} else if (ok) {
		struct queue_redis *redis = redis_part(&url, config, ALL_LANES);
		redis->router = router;
		queue = &redis->base;
	}
	where_release(&url);
	return queue;
}

const struct queue_ops queue_redis_ops = {
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
