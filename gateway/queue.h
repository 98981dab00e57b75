/* The queue: the port to what carries messages in and events out. A handle is one connection, used by one
 * thread; the gateway opens one to read and one to settle and publish. A handle reconnects by itself: a call
 * that finds the other side gone returns false at once or after its time, and the next call tries again;
 * queue_error() says why. The handle makes its groups again where they are missing. Nothing is lost by a call
 * that failed: it may be repeated. */
#ifndef HEED_QUEUE_H
#define HEED_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"
#include "words.h"

struct queue;
struct config;

struct queue_config {
	const char *url;      /* redis://…, unix:PATH, redis+cluster://…, redis+sentinel://… */
	const char *prefix;   /* "heed" */
	const char *consumer; /* stable: the gateway's name */
	int partitions;       /* streams for each lane, beside those without braces; 0 and 1: none */
	int64_t events_max, dead_max;
	int64_t idle_reclaim; /* another consumer's entries are taken over after this long, if it is gone;
				 microseconds */
};

struct queue_entry {
	char *stream; /* the whole key */
	char *id;     /* 1763805600000-0 */
	enum lane lane;
	char *payload; /* the field `message`; "" if there was none */
	size_t len;
	char *error; /* NULL, or why the entry itself can't be a message (another field, none, twice) */
};
void queue_entry_release(struct queue_entry *entry);

struct dead_letter {
	char *dead_id; /* its id in the dead stream; "" when written */
	char *message;
	size_t message_len;
	char *error;
	char *stream;
	char *id;
	int64_t at;
};
void dead_letter_release(struct dead_letter *letter);

/* One entry that is done with: acknowledged and deleted; with `dead`, after the dead letter is in. The marks
 * begin as false. */
struct queue_settlement {
	const char *stream, *id;
	const struct dead_letter *dead; /* NULL: it was committed to the store */
	bool letter_in;                 /* set by queue_settle: the letter is in, and is not put in again */
	bool settled;                   /* set by queue_settle: nothing more is to be done */
};

struct queue_depths {
	int64_t waiting[LANES]; /* entries in the streams, read or not */
	int64_t dead;
};

/* As the configuration says, for this consumer. */
struct queue_config queue_config_of(const struct config *config, const char *consumer);
/* Which partition a customer's messages are put in: CRC-32 (IEEE 802.3) of the id, modulo. */
unsigned queue_partition(const char *customer, size_t len, unsigned partitions);
/* The id of a message that brought none (contract: A message): the stream's name without the braces
 * themselves, a colon, the entry's id: two partitions may give the same entry id. The caller frees. */
char *queue_message_id(const char *stream, const char *entry);

/* Does not connect yet. NULL and `error` if the URL is bad. */
struct queue *queue_open(const struct queue_config *config, struct text *error);
void queue_close(struct queue *queue);
const char *queue_error(const struct queue *queue);
/* From another thread: makes a queue_read that waits return soon (with 0 entries). */
void queue_interrupt(struct queue *queue);

/* Appends at most `max` entries, waiting up to `wait_ms` for the first. Own entries pending from before come
 * first, then those of readers that are gone, then new ones: urgent before normal before bulk, each lane in
 * its own order, normal and bulk at least a tenth when they wait. `lanes` is a mask (1 << lane) of those to
 * read new entries of. */
bool queue_read(struct queue *queue, unsigned lanes, size_t max, int wait_ms, struct queue_entry **out,
		size_t *count);
/* Deletes and acknowledges, in pipelines: first what was committed, which needs no memory over there, then,
 * once their letters are in, the dead. After a failure the marks say how far it came: the same list may be
 * given again and goes on from there. */
bool queue_settle(struct queue *queue, struct queue_settlement *done, size_t count);
/* XADD to a stream of what goes out, in order, trimmed to events_max. */
bool queue_publish(struct queue *queue, enum event_stream stream, const char *const events[], size_t count);
/* *dead: length of the dead stream: the gateway stops reading over dead_max. */
bool queue_depths(struct queue *queue, struct queue_depths *out);

/* For the command line. */
/* Where a message was put. */
struct queue_place {
	const char *stream; /* the whole key; owned by the queue */
	char *entry;        /* its id there; the caller frees; NULL where it is not known to be in */
};
/* Puts messages in; each into the partition of its customer. An entry is NULL only if the call failed. */
bool queue_send(struct queue *queue, enum lane lane, const char *const messages[], size_t count,
		struct queue_place places[]);
/* From `after` ("" : the oldest), at most `max`; appended. */
bool queue_dead_list(struct queue *queue, const char *after, size_t max, struct dead_letter **out,
		     size_t *count);
/* *found false: no such letter. */
bool queue_dead_show(struct queue *queue, const char *dead_id, struct dead_letter *out, bool *found);
/* Puts `message` back into the letter's stream and takes the letter out, in one transaction (MULTI). */
bool queue_dead_retry(struct queue *queue, const struct dead_letter *letter, const char *message, size_t len,
		      char **new_id);
bool queue_dead_drop(struct queue *queue, const char *dead_id, bool *found);
/* What an operator should know (no AOF, an eviction policy): a line each. False: it does not answer, or can't
 * be used as it is (a key that is no stream). */
bool queue_check(struct queue *queue, struct text *warnings);

#endif
