/* How fast a provider takes messages: 100/s, 30/m, 1000/h. A token bucket; pure, the clock (moment_mono) is
 * passed in. In no second (minute, hour) do more than that many go, wherever it begins: the bucket is shallow
 * (BUCKET_BURST), so that a turn finds a batch, and fills a little slower than the rate to make up for it and
 * for the way there (BUCKET_SLACK).
 * One thread at a time. */
#ifndef HEED_BUCKET_H
#define HEED_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct rate {
	int64_t count; /* 0: no rate, as many as there are */
	int64_t per;   /* microseconds: a second, a minute or an hour */
};

#define RATE_COUNT_MAX 1000000
#define BUCKET_BURST \
	(INT64_C(30) * 1000) /* microseconds of the rate that the bucket holds; one message at least */

/* "": no rate. False: `error` says what is wrong and what would be right (without naming the field). */
bool rate_parse(const char *text, struct rate *out, struct text *error);
void rate_print(const struct rate *rate, struct text *out);

#define BUCKET_SLACK 100 /* that part slower: two messages may arrive closer together than they left */

struct bucket {
	int64_t depth;    /* messages that it holds; 0: no rate */
	int64_t interval; /* nanoseconds in which one comes in */
	int64_t full_at;  /* nanoseconds: when it is full again */
};

void bucket_init(struct bucket *bucket, const struct rate *rate); /* full */
/* Nothing goes before `from`; then it fills from nothing. */
void bucket_begin(struct bucket *bucket, int64_t from);
/* How many may go now; INT64_MAX without a rate. */
int64_t bucket_available(const struct bucket *bucket, int64_t now);
/* n go now. More than are available are owed: nothing more goes until they came in. */
void bucket_take(struct bucket *bucket, int64_t n, int64_t now);
/* When the next may go: `now`, or later. */
int64_t bucket_next(const struct bucket *bucket, int64_t now);

#endif
