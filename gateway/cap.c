#include "cap.h"

#include "moment.h"
#include "banned.h"

bool cap_parse(const char *text, struct cap *out, struct text *error)
{
	(void)text, (void)error;
	*out = (struct cap){0};
	return true;
}

void cap_print(const struct cap *cap, struct text *out)
{
	(void)cap, (void)out;
}

int64_t cap_period_begins(const struct cap *cap, const struct zone *zone, int64_t at)
{
	(void)cap, (void)zone, (void)at;
	return INT64_MIN;
}

int64_t cap_period_ends(const struct cap *cap, const struct zone *zone, int64_t at)
{
	(void)cap, (void)zone, (void)at;
	return MOMENT_NEVER;
}
