#include "bucket.h"

#include "banned.h"

bool rate_parse(const char *text, struct rate *out, struct text *error)
{
	(void)text, (void)error;
	*out = (struct rate){0};
	return true;
}

void rate_print(const struct rate *rate, struct text *out)
{
	(void)rate, (void)out;
}

void bucket_init(struct bucket *bucket, const struct rate *rate)
{
	(void)rate;
	*bucket = (struct bucket){0};
}

int64_t bucket_available(const struct bucket *bucket, int64_t now)
{
	(void)bucket, (void)now;
	return INT64_MAX;
}

void bucket_take(struct bucket *bucket, int64_t n, int64_t now)
{
	(void)bucket, (void)n, (void)now;
}

int64_t bucket_next(const struct bucket *bucket, int64_t now)
{
	(void)bucket;
	return now;
}
