/* The queue, for those who fill the port: the table of functions, and what every back end shares. The gate
 * (queue.c) decides what is read in which order, logs that the queue went away and came back, and pauses; a
 * back end only does what it is told and says with queue_fail() why it could not. */
#ifndef HEED_QUEUE_PRIVATE_H
#define HEED_QUEUE_PRIVATE_H

#include <stdatomic.h>

#include "queue.h"

#define QUEUE_GROUP "heed"
#define QUEUE_ID_MAX 48 /* room for "18446744073709551615-18446744073709551615" */

/* What a read fills: room was made beforehand. */
struct queue_batch {
	struct queue_entry *entries;
	size_t count;
	size_t room; /* entries that may still be added */
};
/* One more, zeroed; only while there is room. */
struct queue_entry *queue_batch_add(struct queue_batch *batch);

/* A field of an entry, in the order it was written. */
struct queue_field {
	const char *name;
	size_t name_len;
	const char *value;
	size_t value_len;
};
/* Adds an entry made of its fields: the payload, or what is wrong with it. */
void queue_batch_add_fields(struct queue_batch *batch, const struct queue *queue, enum lane lane,
			    const char *id, const struct queue_field *fields, size_t count);

/* First member of every back end's own struct. */
struct queue {
	const struct queue_ops *ops;
	struct queue_config config; /* the texts are owned */
	char *streams[LANES];
	char *dead, *out[EVENT_STREAMS];
	char *place; /* where it is, for logs and errors: without a password */
	struct text error;
	_Atomic bool interrupted;
	/* the gate's */
	size_t owed[LANES];                        /* tenths of an entry that a lane has waited for */
	bool read_away, settle_away, publish_away; /* and said so */
};
/* `place` is copied. */
void queue_init(struct queue *queue, const struct queue_ops *ops, const struct queue_config *config,
		const char *place);
void queue_release(struct queue *queue);
/* Says why. Always false. */
__attribute__((format(printf, 2, 3))) bool queue_fail(struct queue *queue, const char *format, ...);

/* What a back end fills. Every method is called by the handle's one thread, and may block only as long as
 * its time allows. All but open and close return false after queue_fail(); none may be NULL. */
struct queue_ops {
	/* Reads the URL, connects to nothing. NULL and `error`, which may not hold a password. */
	struct queue *(*open)(const struct queue_config *config, struct text *error);
	void (*close)(struct queue *queue);
	/* What this consumer was given before and did not settle, then what readers that are gone left
	 * behind. Not what this handle has handed out already. Called at every read: nothing to do is the
	 * usual case. */
	bool (*recover)(struct queue *queue, struct queue_batch *batch);
	/* New entries, at most counts[lane] of each lane, together no more than there is room. Does not wait.
	 */
	bool (*take)(struct queue *queue, const size_t counts[LANES], struct queue_batch *batch);
	/* New entries of `lanes` (not 0) within `ms`; may return early with none. */
	bool (*wait)(struct queue *queue, unsigned lanes, int ms, struct queue_batch *batch);
	/* Marks what it has done, and leaves out what is marked. */
	bool (*settle)(struct queue *queue, struct queue_settlement *done, size_t count);
	bool (*publish)(struct queue *queue, enum event_stream stream, const char *const events[],
			size_t count);
	bool (*depths)(struct queue *queue, struct queue_depths *out);
	/* The places are zeroed before; filled for those that are in, also when it fails in the middle. */
	bool (*send)(struct queue *queue, enum lane lane, const char *const messages[], size_t count,
		     struct queue_place places[]);
	/* From `from` ("": the oldest), that one included or not; appended to *out. */
	bool (*dead_list)(struct queue *queue, const char *from, bool included, size_t max,
			  struct dead_letter **out, size_t *count);
	bool (*dead_retry)(struct queue *queue, const struct dead_letter *letter, const char *message,
			   size_t len, char **new_id);
	bool (*dead_drop)(struct queue *queue, const char *dead_id, bool *found);
	bool (*check)(struct queue *queue, struct text *warnings);
};

#endif
