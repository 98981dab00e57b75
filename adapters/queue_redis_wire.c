/* The queue on Redis: the connection, commands and their answers, the URL. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "log.h"
#include "moment.h"
#include "queue_redis_private.h"
#include "url.h"
#include "xalloc.h"
#include "banned.h"

#define REDIS_CONNECT_SECONDS 5
#define REDIS_ROUTED_SECONDS 1
#define REDIS_ROUTED_PAUSE (200 * MOMENT_MS)
#define REDIS_COMMAND_SECONDS 10 /* far above the longest wait that is asked for */
#define REDIS_ROUTED_COMMAND_SECONDS 2
#define REDIS_SILENT_PAUSE (4 * MOMENT_S) /* so that one that hangs costs others a third of their time */
#define REDIS_REPLICA_MS "500"
#define REDIS_ALONE_PAUSE (10 * MOMENT_S)
#define REDIS_WIRE_KEEP (512 * 1024)
#define REDIS_SIZE_MAX 24 /* bytes around a word: $SIZE and two ends of lines */
#define REDIS_PORT_MAX 65535
#define REDIS_DB_MAX 65535

/* --- commands and answers --- */

void redis_word_n(struct redis_words *words, const char *word, size_t len)
{
	words->at[words->count] = word;
	words->len[words->count++] = len;
}

void redis_word(struct redis_words *words, const char *word)
{
	redis_word_n(words, word, strlen(word));
}

/* What was put so far becomes hiredis's. */
static void wire_hand_over(struct queue_redis *redis)
{
	struct text *wire = &redis->wire;

	if (wire->len)
		redisAppendFormattedCommand(redis->context, wire->data, wire->len);
	text_clear(wire);
	if (wire->capacity > REDIS_WIRE_KEEP)
		text_release(wire);
}

static void wire_size(struct text *wire, char kind, size_t size)
{
	text_putc(wire, kind);
	text_number(wire, (long long)size);
	text_add(wire, "\r\n", 2);
}

/* As RESP has it. Hiredis would make a string of each command, and copy that. */
static void wire_put(struct queue_redis *redis, const struct redis_words *words)
{
	struct text *wire = &redis->wire;
	size_t size = 0;

	for (int i = 0; i < words->count; i++)
		size += words->len[i] + REDIS_SIZE_MAX;
	if (!wire->max)
		text_init(wire, REDIS_WIRE_MAX);
	if (size + REDIS_SIZE_MAX > REDIS_WIRE_MAX - wire->len)
		wire_hand_over(redis);
	if (size + REDIS_SIZE_MAX > REDIS_WIRE_MAX) { /* somebody's huge message */
		redisAppendCommandArgv(redis->context, words->count, (const char **)words->at, words->len);
		return;
	}
	wire_size(wire, '*', (size_t)words->count);
	for (int i = 0; i < words->count; i++) {
		wire_size(wire, '$', words->len[i]);
		text_add(wire, words->at[i], words->len[i]);
		text_add(wire, "\r\n", 2);
	}
}

/* In a cluster it is remembered, as it is written, until it was answered. */
void redis_put_words(struct queue_redis *redis, const struct redis_words *words)
{
	if (!redis->cluster) {
		wire_put(redis, words);
		return;
	}
	if (redis->sent_count == redis->sent_room) {
		redis->sent_room = redis->sent_room ? 2 * redis->sent_room : 64;
		redis->sent = xreallocarray(redis->sent, redis->sent_room, sizeof *redis->sent);
	}
	struct redis_sent *sent = &redis->sent[redis->sent_count++];
	int len = redisFormatCommandArgv(&sent->text, words->count, (const char **)words->at, words->len);
	sent->len = len > 0 ? (size_t)len : 0;
	redisAppendFormattedCommand(redis->context, sent->text, sent->len);
}

void redis_forget_sent(struct queue_redis *redis, size_t count)
{
	count = count < redis->sent_count ? count : redis->sent_count;
	for (size_t i = 0; i < count; i++)
		redisFreeCommand(redis->sent[i].text);
	redis->sent_count -= count;
	memmove(redis->sent, redis->sent + count, redis->sent_count * sizeof *redis->sent);
}

void redis_put(struct queue_redis *redis, const char *const words[])
{
	struct redis_words command = {.count = 0};

	for (; *words; words++)
		redis_word(&command, *words);
	redis_put_words(redis, &command);
}

void redis_drop(struct queue_redis *redis)
{
	if (redis->context)
		redisFree(redis->context);
	redis->context = NULL;
	text_clear(&redis->wire);
	if (redis->sent_count)
		redis_forget_sent(redis, redis->sent_count);
}

static int command_seconds(const struct queue_redis *redis)
{
	return redis->router ? REDIS_ROUTED_COMMAND_SECONDS : REDIS_COMMAND_SECONDS;
}

bool redis_is_silent(const struct redis_router *router, const char *host, int port)
{
	return router->silent_host && port == router->silent_port && strcmp(host, router->silent_host) == 0 &&
	       moment_mono() < router->silent_until;
}

/* The connection is dead: says why. */
static bool redis_broken(struct queue_redis *redis)
{
	if (redis->context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		queue_fail(&redis->base, "no answer within %d s", command_seconds(redis));
		if (redis->router && redis->host) {
			xreplace(&redis->router->silent_host, redis->host);
			redis->router->silent_port = redis->port;
			redis->router->silent_until = moment_mono() + REDIS_SILENT_PAUSE;
		}
	} else {
		queue_fail(&redis->base, "%s", redis->context->errstr);
	}
	redis_drop(redis);
	return false;
}

bool redis_nonsense(struct queue_redis *redis)
{
	queue_fail(&redis->base, "an answer that was not expected; is this Redis 6.2 or later?");
	redis_drop(redis);
	return false;
}

bool redis_is_error(const redisReply *reply, const char *code)
{
	return reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

bool redis_is_array(const redisReply *reply, size_t at_least)
{
	return reply && reply->type == REDIS_REPLY_ARRAY && reply->elements >= at_least;
}

bool redis_is_string(const redisReply *reply)
{
	return reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
}

/* An error as Redis words it, but for the arguments that it repeats: they may be content or secrets. */
static bool redis_refused(struct queue_redis *redis, const redisReply *reply)
{
	const char *args = strstr(reply->str, ", with args");
	int len = args ? (int)(args - reply->str) : (int)reply->len;

	if (redis_is_error(reply, "NOGROUP"))
		redis->groups = false; /* the next call makes it again */
	if (redis->router && (redis_is_error(reply, "READONLY") || redis_is_error(reply, "CLUSTERDOWN") ||
			      redis_is_error(reply, "MOVED") || redis_is_error(reply, "LOADING"))) {
		redis->stale = true;
		redis->not_before = moment_mono() + REDIS_ROUTED_PAUSE;
	}
	return queue_fail(&redis->base, "%.*s", len, reply->str);
}

bool redis_replies(struct queue_redis *redis, size_t count, redisReply *replies[])
{
	bool ok = true;

	wire_hand_over(redis);
	for (size_t i = 0; i < count; i++) {
		replies[i] = NULL;
		if (ok && redisGetReply(redis->context, (void **)&replies[i]) != REDIS_OK)
			ok = redis_broken(redis);
	}
	if (ok && redis->cluster) {
		redis_follow(redis, count, replies);
		redis_forget_sent(redis, count);
	}
	return ok;
}

void redis_replies_free(size_t count, redisReply *replies[])
{
	for (size_t i = 0; i < count; i++)
		if (replies[i])
			freeReplyObject(replies[i]);
}

bool redis_fine(struct queue_redis *redis, size_t count, redisReply *replies[])
{
	for (size_t i = 0; i < count; i++) {
		if (replies[i]->type == REDIS_REPLY_ERROR)
			return redis_refused(redis, replies[i]);
		for (size_t j = 0; replies[i]->type == REDIS_REPLY_ARRAY && j < replies[i]->elements; j++)
			if (replies[i]->element[j]->type == REDIS_REPLY_ERROR) /* inside an EXEC */
				return redis_refused(redis, replies[i]->element[j]);
	}
	return true;
}

bool redis_run(struct queue_redis *redis, size_t count)
{
	redisReply *replies[REDIS_PIPELINE_MAX];

	bool ok = redis_replies(redis, count, replies) && redis_fine(redis, count, replies);
	redis_replies_free(count, replies);
	return ok;
}

redisReply *redis_reply(struct queue_redis *redis)
{
	redisReply *reply = NULL;

	if (!redis_replies(redis, 1, &reply))
		return NULL;
	if (reply->type == REDIS_REPLY_ERROR) {
		redis_refused(redis, reply);
		freeReplyObject(reply);
		return NULL;
	}
	return reply;
}

bool redis_passed_on(struct queue_redis *redis)
{
	if (!redis->router || moment_mono() < redis->alone_until)
		return true;
	PUT(redis, "WAIT", "1", REDIS_REPLICA_MS);
	redisReply *reply = redis_reply(redis);
	if (reply && reply->integer < 1) {
		redis->alone_until = moment_mono() + REDIS_ALONE_PAUSE;
		log_debug("queue: %s: no replica answers; a failover would lose what was just written",
			  redis->base.place);
	}
	if (reply)
		freeReplyObject(reply);
	return reply != NULL;
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
	if (!redis_replies(redis, 1, &reply))
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
	redisReply *reply = redis_reply(redis);
	if (!reply) {
		redis_drop(redis);
		return false;
	}
	freeReplyObject(reply);
	return true;
}

/* A server that went away while we were silent is noticed here, and not by a command that fails. */
static bool is_closed(const redisContext *context)
{
	char byte;
	ssize_t got = recv(context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Connected to where the router says, or to where the URL does; not logged in. */
static bool redis_dial(struct queue_redis *redis)
{
	/* behind a router one that hangs does not hold up the others for long */
	struct timeval connect = {.tv_sec = redis->router ? REDIS_ROUTED_SECONDS : REDIS_CONNECT_SECONDS};
	struct timeval command = {.tv_sec = command_seconds(redis)};

	if (redis->router && !redis->router->find(redis->router, redis))
		return false;
	if (redis->router && redis_is_silent(redis->router, redis->host, redis->port))
		return queue_fail(&redis->base, "%s:%d does not answer", redis->host, redis->port);
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
	return true;
}

redisContext *redis_connect(const struct queue_redis *redis, const char *host, int port)
{
	struct queue_redis beside = {.host = (char *)(uintptr_t)host,
				     .port = port,
				     .user = redis->user,
				     .password = redis->password,
				     .base = {.place = redis->base.place}};
	struct timeval connect = {.tv_sec = REDIS_ROUTED_SECONDS};

	text_init(&beside.base.error, TEXT_ERROR_MAX);
	beside.context = redisConnectWithTimeout(host, port, connect);
	if (beside.context && (beside.context->err || redisSetTimeout(beside.context, connect) != REDIS_OK))
		redis_drop(&beside);
	if (beside.context && !redis_login(&beside))
		redis_drop(&beside);
	text_release(&beside.base.error);
	text_release(&beside.wire);
	return beside.context;
}

bool redis_ready(struct queue_redis *redis)
{
	if (redis->context && !redis->stale && !is_closed(redis->context))
		return true;
	redis_drop(redis);
	if (redis->router && moment_mono() < redis->not_before)
		return false;
	if (redis->router && (redis->stale || redis->had_context))
		redis->router->forget(redis->router);
	redis->stale = redis->had_context = false;
	if (!redis_dial(redis)) {
		redis->not_before = moment_mono() + REDIS_ROUTED_PAUSE;
		redis->stale = redis->router != NULL; /* it is asked for again then */
		return false;
	}
	redis->had_context = true;
	redis->groups = false;
	for (int lane = 0; lane < LANES; lane++) {
		redis->own[lane].done = false;
		/* a replica that took over may not know what we acknowledged: it is read again, and known */
		if (redis->sweep.unanswered || redis->router)
			snprintf(redis->own[lane].after, QUEUE_ID_MAX, "0-0");
	}
	redis->sweep.unanswered = false;
	return redis_login(redis) && redis_select(redis);
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

bool redis_url(const char *url, struct queue_redis *redis, struct text *error)
{
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
