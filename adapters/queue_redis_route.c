/* The queue on Redis: where to ask. Sentinels name the master; a cluster's slots say which master has a key,
 * and MOVED and ASK are followed command by command (Redis cluster specification). Nothing here is kept over
 * a failover: it is asked for anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "queue_redis_private.h"
#include "url.h"
#include "xalloc.h"
#include "banned.h"

#define SLOTS 16384
#define NODES_MAX 64 /* addresses in the URL; masters in a cluster */
#define PORT_MAX 65535
#define ASK_AGAIN_PAUSE (100 * MOMENT_MS) /* between two looks at the slots, by all handles together */
#define FOLLOW_MAX 3                      /* hops behind one command */

/* --- addresses --- */

bool redis_address(const char *text, size_t len, char **host, int *port)
{
	const char *colon = memrchr(text, ':', len);
	char *end = NULL;

	if (!colon || colon == text || (size_t)(colon - text) + 1 == len)
		return false;
	char *digits = xmemdup0(colon + 1, len - (size_t)(colon - text) - 1);
	long number = strtol(digits, &end, 10);
	bool ok = digits[0] >= '0' && digits[0] <= '9' && !*end && number > 0 && number <= PORT_MAX;
	free(digits);
	if (!ok)
		return false;
	size_t host_len = (size_t)(colon - text);
	if (*text == '[' && text[host_len - 1] == ']') {
		text++;
		host_len -= 2;
	}
	*host = xmemdup0(text, host_len);
	*port = (int)number;
	return host_len > 0 || (free(*host), false);
}

void redis_nodes_release(struct redis_nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++)
		free(nodes->at[i].host);
	free(nodes->at);
	*nodes = (struct redis_nodes){0};
}

static char *decoded(const char *s, size_t len)
{
	struct text part;

	text_init(&part, URL_PART_MAX);
	char *out = url_decode(s, len, &part) ? text_detach(&part) : NULL;
	text_release(&part);
	return out;
}

bool redis_nodes_read(const char *url, struct queue_redis *redis, struct redis_nodes *out, const char **rest)
{
	const char *end = url + strcspn(url, "/"), *at = memrchr(url, '@', (size_t)(end - url));
	const char *from = at ? at + 1 : url;

	*out = (struct redis_nodes){0};
	*rest = *end ? end + 1 : end;
	if (at) {
		const char *colon = memchr(url, ':', (size_t)(at - url));
		if (!colon)
			return false;
		redis->user = colon > url ? decoded(url, (size_t)(colon - url)) : NULL;
		redis->password = decoded(colon + 1, (size_t)(at - colon - 1));
		if (!redis->password || (colon > url && !redis->user))
			return false;
	}
	out->at = xcalloc(NODES_MAX, sizeof *out->at);
	while (from < end && out->count < NODES_MAX) {
		size_t len = strcspn(from, ",/");
		struct redis_node *node = &out->at[out->count];
		if (!redis_address(from, len, &node->host, &node->port))
			return false;
		out->count++;
		from += len + (from[len] == ',');
	}
	return out->count > 0 && from == end && end[-1] != ',';
}

/* One question to one that may not be there. NULL: no answer, or it is no `type`. */
static redisReply *ask_one(const struct queue_redis *redis, const char *host, int port, const char *question,
			   const char *about)
{
	redisContext *context = redis_connect(redis, host, port);
	redisReply *reply = NULL;

	if (!context)
		return NULL;
	reply = about ? redisCommand(context, question, about) : redisCommand(context, question);
	redisFree(context);
	if (reply && !redis_is_array(reply, 1)) {
		freeReplyObject(reply);
		reply = NULL;
	}
	return reply;
}

/* --- sentinels --- */

struct sentinels {
	struct redis_router base;
	struct redis_nodes nodes;
	char *master;
};

static bool sentinels_find(struct redis_router *router, struct queue_redis *redis)
{
	struct sentinels *sentinels = (struct sentinels *)router;
	const struct queue_redis nobody = {
		.base = {.place = redis->base.place}}; /* the login is the master's */

	for (size_t i = 0; i < sentinels->nodes.count; i++) {
		const struct redis_node *node = &sentinels->nodes.at[i];
		redisReply *reply = ask_one(&nobody, node->host, node->port,
					    "SENTINEL get-master-addr-by-name %s", sentinels->master);
		if (!reply)
			continue;
		bool named = reply->elements >= 2 && redis_is_string(reply->element[0]) &&
			     redis_is_string(reply->element[1]);
		if (named) {
			xreplace(&redis->host, reply->element[0]->str);
			redis->port = (int)strtol(reply->element[1]->str, NULL, 10);
			/* the one that answered is asked first the next time */
			struct redis_node first = *node;
			memmove(sentinels->nodes.at + 1, sentinels->nodes.at, i * sizeof first);
			sentinels->nodes.at[0] = first;
		}
		freeReplyObject(reply);
		if (named)
			return true;
	}
	return queue_fail(&redis->base, "could not connect: no sentinel knows a master called \"%s\"",
			  sentinels->master);
}

static void sentinels_forget(struct redis_router *router)
{
	(void)router; /* it is asked for at every connection */
}

static void sentinels_free(struct redis_router *router)
{
	struct sentinels *sentinels = (struct sentinels *)router;

	redis_nodes_release(&sentinels->nodes);
	free(sentinels->base.silent_host);
	free(sentinels->master);
	free(sentinels);
}

bool redis_sentinel_url(const char *url, struct queue_redis *redis, struct redis_router **router,
			struct text *error)
{
	struct redis_nodes nodes;
	const char *rest;
	char *end = NULL;

	bool ok = redis_nodes_read(url, redis, &nodes, &rest);
	const char *slash = strchr(rest, '/');
	size_t len = slash ? (size_t)(slash - rest) : strlen(rest);
	if (ok && slash) {
		redis->db = (int)strtol(slash + 1, &end, 10);
		ok = slash[1] >= '0' && slash[1] <= '9' && !*end && redis->db <= PORT_MAX;
	}
	if (!ok || !len) {
		redis_nodes_release(&nodes);
		return text_error(
			error, "sentinels are named redis+sentinel://[user:password@]h1:p1,h2:p2/NAME[/db]");
	}
	struct sentinels *sentinels = xcalloc(1, sizeof *sentinels);
	*sentinels = (struct sentinels){.base = {sentinels_find, sentinels_forget, sentinels_free},
					.nodes = nodes,
					.master = xmemdup0(rest, len)};
	*router = &sentinels->base;
	return true;
}

/* --- a cluster --- */

struct cluster {
	struct redis_router base;
	struct redis_nodes seeds;   /* of the URL: always asked when nobody else answers */
	struct redis_nodes masters; /* as last told */
	short owner[SLOTS];         /* into masters; -1: nobody's */
	bool known;
	int64_t asked; /* monotonic */
};

/* CRC-16 (XMODEM) of what stands in the first braces, or of all of it. */
static int slot_of(const char *key)
{
	const char *open = strchr(key, '{'), *close = open ? strchr(open, '}') : NULL;
	size_t len = strlen(key);
	unsigned crc = 0;

	if (close && close > open + 1) {
		key = open + 1;
		len = (size_t)(close - key);
	}
	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned)(unsigned char)key[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021u : 0)) & 0xffff;
	}
	return (int)(crc % SLOTS);
}

/* The place of the address among the masters; -1: there is no more room. */
static short master_at(struct cluster *cluster, const char *host, int port)
{
	for (size_t i = 0; i < cluster->masters.count; i++)
		if (cluster->masters.at[i].port == port && strcmp(cluster->masters.at[i].host, host) == 0)
			return (short)i;
	if (cluster->masters.count == NODES_MAX)
		return -1;
	cluster->masters.at[cluster->masters.count] = (struct redis_node){xstrdup(host), port};
	return (short)cluster->masters.count++;
}

/* [[first, last, [host, port, …], …], …]. An empty host is the one that was asked. */
static bool slots_read(struct cluster *cluster, const redisReply *reply, const char *asked)
{
	for (int slot = 0; slot < SLOTS; slot++)
		cluster->owner[slot] = -1;
	for (size_t i = 0; i < reply->elements; i++) {
		const redisReply *range = reply->element[i];
		if (!redis_is_array(range, 3) || !redis_is_array(range->element[2], 2))
			return false;
		const redisReply *host = range->element[2]->element[0], *port = range->element[2]->element[1];
		bool named = redis_is_string(host) && host->len;
		short owner = master_at(cluster, named ? host->str : asked, (int)port->integer);
		for (long long slot = range->element[0]->integer;
		     slot >= 0 && slot <= range->element[1]->integer && slot < SLOTS; slot++)
			cluster->owner[slot] = owner;
	}
	return true;
}

static bool slots_from(struct cluster *cluster, const struct queue_redis *redis, const char *host, int port)
{
	struct redis_nodes before = cluster->masters;
	redisReply *reply = redis_is_silent(&cluster->base, host, port)
				    ? NULL
				    : ask_one(redis, host, port, "CLUSTER SLOTS", NULL);

	if (!reply)
		return false;
	cluster->masters = (struct redis_nodes){.at = xcalloc(NODES_MAX, sizeof(struct redis_node))};
	cluster->known = slots_read(cluster, reply, host);
	freeReplyObject(reply);
	if (cluster->known)
		redis_nodes_release(&before);
	else {
		redis_nodes_release(&cluster->masters);
		cluster->masters = before;
	}
	return cluster->known;
}

static bool slots_learn(struct cluster *cluster, struct queue_redis *redis)
{
	int64_t now = moment_mono();

	if (cluster->known)
		return true;
	if (now - cluster->asked < ASK_AGAIN_PAUSE)
		return queue_fail(&redis->base, "could not connect: the cluster's slots are not known yet");
	cluster->asked = now;
	for (size_t i = 0; i < cluster->masters.count; i++) {
		char *host = xstrdup(cluster->masters.at[i].host);
		bool told = slots_from(cluster, redis, host, cluster->masters.at[i].port);
		free(host);
		if (told)
			return true;
	}
	for (size_t i = 0; i < cluster->seeds.count; i++)
		if (slots_from(cluster, redis, cluster->seeds.at[i].host, cluster->seeds.at[i].port))
			return true;
	return queue_fail(&redis->base, "could not connect: no node of the cluster answers");
}

/* What another handle has learned a moment ago is as new as can be: one part whose master is away must not
 * take away from all others what they need to find theirs. */
static void cluster_forget(struct redis_router *router)
{
	struct cluster *cluster = (struct cluster *)router;

	if (moment_mono() - cluster->asked >= ASK_AGAIN_PAUSE)
		cluster->known = false;
}

static bool cluster_find(struct redis_router *router, struct queue_redis *redis)
{
	struct cluster *cluster = (struct cluster *)router;
	int slot = slot_of(redis->key);

	if (!slots_learn(cluster, redis))
		return false;
	short owner = cluster->owner[slot];
	if (owner < 0) {
		cluster_forget(router);
		return queue_fail(&redis->base, "could not connect: slot %d of the cluster has no master",
				  slot);
	}
	xreplace(&redis->host, cluster->masters.at[owner].host);
	redis->port = cluster->masters.at[owner].port;
	return true;
}

static void cluster_free(struct redis_router *router)
{
	struct cluster *cluster = (struct cluster *)router;

	redis_nodes_release(&cluster->seeds);
	redis_nodes_release(&cluster->masters);
	free(cluster->base.silent_host);
	free(cluster);
}

bool redis_cluster_url(const char *url, struct queue_redis *redis, struct redis_router **router,
		       struct text *error)
{
	struct redis_nodes nodes;
	const char *rest;

	bool ok = redis_nodes_read(url, redis, &nodes, &rest);
	if (!ok || *rest) {
		redis_nodes_release(&nodes);
		return text_error(error, "a cluster is named redis+cluster://[user:password@]h1:p1,h2:p2");
	}
	struct cluster *cluster = xcalloc(1, sizeof *cluster);
	*cluster = (struct cluster){.base = {cluster_find, cluster_forget, cluster_free},
				    .seeds = nodes,
				    .asked = -ASK_AGAIN_PAUSE};
	*router = &cluster->base;
	return true;
}

/* --- MOVED and ASK --- */

/* "MOVED 3999 HOST:PORT", "ASK 3999 HOST:PORT". */
static bool elsewhere(const redisReply *reply, char **host, int *port, bool *asking)
{
	*asking = redis_is_error(reply, "ASK ");
	if (!*asking && !redis_is_error(reply, "MOVED "))
		return false;
	const char *slot = strchr(reply->str, ' '), *where = strchr(slot + 1, ' ');
	return where && redis_address(where + 1, strlen(where + 1), host, port);
}

static redisReply *ask_there(redisContext *context, const struct redis_sent *sent, bool asking)
{
	redisReply *reply = NULL;

	if (asking) {
		redisAppendCommand(context, "ASKING");
		if (redisGetReply(context, (void **)&reply) != REDIS_OK)
			return NULL;
		freeReplyObject(reply);
		reply = NULL;
	}
	redisAppendFormattedCommand(context, sent->text, sent->len);
	return redisGetReply(context, (void **)&reply) == REDIS_OK ? reply : NULL;
}

void redis_follow(struct queue_redis *redis, size_t count, redisReply *replies[])
{
	redisContext *context = NULL;
	char *host = NULL, *there = NULL;
	int port = 0, there_port = 0;
	bool asking = false;

	for (size_t i = 0; i < count && i < redis->sent_count; i++) {
		for (int hop = 0; hop < FOLLOW_MAX && elsewhere(replies[i], &host, &port, &asking); hop++) {
			redis->stale |= !asking; /* the slots are others now: the next call asks for them */
			if (!context || !there || strcmp(there, host) != 0 || there_port != port) {
				if (context)
					redisFree(context);
				context = redis_connect(redis, host, port);
				xreplace(&there, host);
				there_port = port;
			}
			free(host);
			redisReply *answer = context ? ask_there(context, &redis->sent[i], asking) : NULL;
			if (!answer)
				break; /* the error stays: the call fails, and is repeated */
			freeReplyObject(replies[i]);
			replies[i] = answer;
		}
	}
	free(there);
	if (context)
		redisFree(context);
}
