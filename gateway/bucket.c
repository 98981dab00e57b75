#include "bucket.h"

#include <string.h>

#include "moment.h"
#include "words.h"
#include "banned.h"

#define NS INT64_C(1000) /* in a microsecond */

static const struct {
	const char *name;
	int64_t per;
} units[] = {{"/s", MOMENT_S}, {"/m", MOMENT_MINUTE}, {"/h", MOMENT_HOUR}};

bool rate_parse(const char *text, struct rate *out, struct text *error)
{
	const char *s = text;
	int64_t count;

	*out = (struct rate){0};
	if (!*text)
		return true;
	if (count_take(&s, RATE_COUNT_MAX, &count))
		for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
			if (strcmp(s, units[i].name) == 0) {
				*out = (struct rate){count, units[i].per};
				return true;
			}
	return text_error(
		error,
		"must be a count from 1 to %d for a second, a minute or an hour, like 100/s, 30/m or "
		"1000/h",
		RATE_COUNT_MAX);
}

void rate_print(const struct rate *rate, struct text *out)
{
	for (size_t i = 0; rate->count && i < sizeof units / sizeof units[0]; i++)
		if (rate->per == units[i].per)
			text_addf(out, "%lld%s", (long long)rate->count, units[i].name);
}

/* Full, it lets `depth` go at once; so that no more than `count` go in any `per`, the rest of them fill it.
 */
void bucket_init(struct bucket *bucket, const struct rate *rate)
{
	*bucket = (struct bucket){0};
	if (!rate->count)
		return;
	int64_t depth = rate->count * BUCKET_BURST / rate->per;
	bucket->depth = depth > 1 ? depth : 1;
	int64_t filling = rate->count - bucket->depth + 1;
	int64_t per = rate->per * NS;
	bucket->interval = (per + per / BUCKET_SLACK + filling - 1) / filling;
	bucket->full_at = INT64_MIN;
}

void bucket_begin(struct bucket *bucket, int64_t from)
{
	bucket->full_at = from * NS + bucket->depth * bucket->interval;
}

int64_t bucket_available(const struct bucket *bucket, int64_t now)
{
	if (!bucket->depth)
		return INT64_MAX;
	if (bucket->full_at <= now * NS)
		return bucket->depth;
	int64_t missing = (bucket->full_at - now * NS + bucket->interval - 1) / bucket->interval;
	return missing < bucket->depth ? bucket->depth - missing : 0;
}

void bucket_take(struct bucket *bucket, int64_t n, int64_t now)
{
	if (!bucket->depth)
		return;
	if (bucket->full_at < now * NS)
		bucket->full_at = now * NS;
	bucket->full_at += n * bucket->interval;
}

int64_t bucket_next(const struct bucket *bucket, int64_t now)
{
	if (bucket_available(bucket, now) > 0)
		return now;
	/* when all but one have come in, in whole microseconds */
	int64_t at = bucket->full_at - (bucket->depth - 1) * bucket->interval;
	return (at + NS - 1) / NS;
}
