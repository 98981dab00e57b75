/* Between the files of the Redis queue: queue_redis_wire.c talks, queue_redis_read.c reads, queue_redis.c
 * does the rest and says what holds for all. */
#ifndef HEED_QUEUE_REDIS_PRIVATE_H
#define HEED_QUEUE_REDIS_PRIVATE_H

#include <hiredis/hiredis.h>

#include "queue_private.h"

#define REDIS_SLICE 256 /* entries in one pipeline */
#define REDIS_SLICE_BYTES (1024 * 1024)
#define REDIS_WORDS (REDIS_SLICE + 16)           /* of one command */
#define REDIS_WIRE_MAX (2 * REDIS_SLICE_BYTES)   /* bytes that are written together */
#define REDIS_PIPELINE_MAX (2 * REDIS_SLICE + 8) /* commands in it */

struct queue_redis;

/* Who knows where the Redis is that answers for a handle's keys: a cluster's slots, or sentinels. */
struct redis_router {
	/* Puts the address into redis->host and port; queue_fail where nobody knows. */
	bool (*find)(struct redis_router *router, struct queue_redis *redis);
	/* What it said was wrong, or is not any more. */
	void (*forget)(struct redis_router *router);
	void (*free)(struct redis_router *router);
	/* The last one that took a connection and then did not answer: left alone by all handles until then
	 * (monotonic), so that it does not hold up each of them. */
	char *silent_host;
	int silent_port;
	int64_t silent_until;
};

/* Addresses as they stand in a URL: "h1:p1,[::1]:p2". */
struct redis_nodes {
	struct redis_node {
		char *host;
		int port;
	} * at;
	size_t count;
};

struct queue_redis {
	struct queue base;
	unsigned lanes;              /* those of the streams that it is for: a mask */
	struct redis_router *router; /* NULL: host and port, or path, are those of the URL; borrowed */
	const char *key;             /* with a router: one of its keys; all lie in the same slot */
	bool cluster; /* MOVED and ASK are followed, and no transaction is wider than a command */
	bool had_context;
	bool stale;          /* the other side is not the one to ask any more */
	int64_t not_before;  /* monotonic: nobody answered; not tried before */
	int64_t alone_until; /* monotonic: no replica answered; none is waited for before */
	struct redis_sent {  /* cluster: the commands of the pipeline, to be asked again elsewhere */
		char *text;
		size_t len;
	} * sent;
	size_t sent_count, sent_room;
	struct text wire; /* else: the commands of the pipeline, until their answers are read */
	char *host;       /* NULL: path */
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

struct redis_words {
	const char *at[REDIS_WORDS];
	size_t len[REDIS_WORDS];
	int count;
};

void redis_word(struct redis_words *words, const char *word);
void redis_word_n(struct redis_words *words, const char *word, size_t len);
/* Into the pipeline; the words are copied. */
void redis_put_words(struct queue_redis *redis, const struct redis_words *words);
void redis_put(struct queue_redis *redis, const char *const words[]);
#define PUT(redis, ...) redis_put(redis, (const char *[]){__VA_ARGS__, NULL})

/* At the start of every call: connected, or queue_fail. */
bool redis_ready(struct queue_redis *redis);
void redis_drop(struct queue_redis *redis);
/* Reads `count` answers, always all of them, so that the next command meets its own. False: the connection
 * broke; what is missing is NULL. */
bool redis_replies(struct queue_redis *redis, size_t count, redisReply *replies[]);
void redis_replies_free(size_t count, redisReply *replies[]);
/* False, and said, at the first one that is an error. */
bool redis_fine(struct queue_redis *redis, size_t count, redisReply *replies[]);
/* Sends the `count` commands of the pipeline; only whether all went well matters. */
bool redis_run(struct queue_redis *redis, size_t count);
/* One command that was put: its answer, or NULL after queue_fail. */
redisReply *redis_reply(struct queue_redis *redis);
/* Where a failover may come: what was written by this handle is with a replica too. Without one that answers
 * in time the master's word has to do. False: the connection broke, and nobody knows. */
bool redis_passed_on(struct queue_redis *redis);
/* An answer has another shape than it must have: says so and drops the connection. Always false. */
bool redis_nonsense(struct queue_redis *redis);
bool redis_is_error(const redisReply *reply, const char *code);
bool redis_is_array(const redisReply *reply, size_t at_least);
bool redis_is_string(const redisReply *reply);

/* The host behind a MOVED or an ASK: "MOVED 3999 127.0.0.1:6381" into host (freed by the caller) and port. */
bool redis_address(const char *text, size_t len, char **host, int *port);
/* cluster: those of the answers that say where else to ask are replaced by what is said there. */
void redis_follow(struct queue_redis *redis, size_t count, redisReply *replies[]);
/* This address answered nothing lately. */
bool redis_is_silent(const struct redis_router *router, const char *host, int port);
/* A connection beside the handle's own, within a second, logged in; NULL. */
redisContext *redis_connect(const struct queue_redis *redis, const char *host, int port);
void redis_forget_sent(struct queue_redis *redis, size_t count);

/* [user:password@]h1:p1,h2:p2[/rest] into nodes, user and password; *rest points behind the slash, or is "".
 */
bool redis_nodes_read(const char *url, struct queue_redis *redis, struct redis_nodes *out, const char **rest);
void redis_nodes_release(struct redis_nodes *nodes);
/* What stands behind redis+cluster:// and redis+sentinel://: the login into *redis, and who knows the way.
 * The router of a cluster is for the parts of one handle, that of sentinels too: one thread. */
bool redis_cluster_url(const char *url, struct queue_redis *redis, struct redis_router **router,
		       struct text *error);
bool redis_sentinel_url(const char *url, struct queue_redis *redis, struct redis_router **router,
			struct text *error);

/* A handle for some of the lanes' streams, or for none: not a queue of its own, but a part of one. `like`:
 * where it is, and the login. */
struct queue_redis *redis_part(const struct queue_redis *like, const struct queue_config *config,
			       unsigned lanes);
void redis_part_close(struct queue_redis *redis);

/* Partitions, or a cluster: streams in many places. Takes what `like` holds of the URL. */
struct queue *redis_parts_open(struct queue_redis *like, const struct queue_config *config, bool cluster,
			       struct redis_router *router);

/* Reads the URL into *redis; false and `error`, which holds no password. */
bool redis_url(const char *url, struct queue_redis *redis, struct text *error);

/* --- reading: of the port --- */

bool redis_recover(struct queue *queue, struct queue_batch *batch);
bool redis_take(struct queue *queue, const size_t counts[LANES], struct queue_batch *batch);
bool redis_wait(struct queue *queue, unsigned lanes, int ms, struct queue_batch *batch);
/* The two halves of redis_take: asks, and gives the number of answers to come; hears them. */
bool redis_ask_new(struct queue_redis *redis, const size_t counts[LANES], size_t *asked);
bool redis_hear_new(struct queue_redis *redis, size_t asked, struct queue_batch *batch);

/* --- the rest: of the port, for a handle that has the keys --- */

/* Settles what is committed, of this handle's streams; of what is dead, puts the letters in (at most a
 * slice). */
bool redis_let_go(struct queue_redis *redis, struct queue_settlement *const slice[], size_t count);
bool redis_put_letters(struct queue_redis *redis, struct queue_settlement *const slice[], size_t count);
bool redis_publish(struct queue *queue, enum event_stream stream, const char *const events[], size_t count);
bool redis_send(struct queue *queue, enum lane lane, const char *const messages[], size_t count,
		struct queue_place places[]);
bool redis_dead_list(struct queue *queue, const char *from, bool included, size_t max,
		     struct dead_letter **out, size_t *count);
bool redis_dead_drop(struct queue *queue, const char *dead_id, bool *found);
bool redis_check(struct queue *queue, struct text *warnings);

#endif
