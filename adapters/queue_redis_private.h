/* Between the files of the Redis queue: queue_redis_wire.c talks, queue_redis_read.c reads, queue_redis.c
 * does the rest and says what holds for all. */
#ifndef HEED_QUEUE_REDIS_PRIVATE_H
#define HEED_QUEUE_REDIS_PRIVATE_H

#include <hiredis/hiredis.h>

#include "queue_private.h"

#define REDIS_SLICE 256 /* entries in one pipeline */
#define REDIS_SLICE_BYTES (1024 * 1024)
#define REDIS_WORDS (REDIS_SLICE + 16)           /* of one command */
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
/* An answer has another shape than it must have: says so and drops the connection. Always false. */
bool redis_nonsense(struct queue_redis *redis);
bool redis_is_error(const redisReply *reply, const char *code);
bool redis_is_array(const redisReply *reply, size_t at_least);
bool redis_is_string(const redisReply *reply);

/* Reads the URL into *redis; false and `error`, which holds no password. */
bool redis_url(const char *url, struct queue_redis *redis, struct text *error);

/* --- reading: of the port --- */

bool redis_recover(struct queue *queue, struct queue_batch *batch);
bool redis_take(struct queue *queue, const size_t counts[LANES], struct queue_batch *batch);
bool redis_wait(struct queue *queue, unsigned lanes, int ms, struct queue_batch *batch);

#endif
