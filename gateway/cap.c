#include "cap.h"

#include <string.h>

#include "moment.h"
#include "words.h"
#include "zone.h"
#include "banned.h"

bool cap_parse(const char *text, struct cap *out, struct text *error)
{
	const char *s = text;
	int64_t count;

	*out = (struct cap){0};
	if (!*text)
		return true;
	if (count_take(&s, CAP_COUNT_MAX, &count)) {
		out->count = (int)count;
		out->per = strcmp(s, "/day") == 0 ? CAP_DAY : strcmp(s, "/week") == 0 ? CAP_WEEK : CAP_NONE;
	}
	if (out->per == CAP_NONE) {
		*out = (struct cap){0};
		return text_error(error,
				  "must be a count from 1 to %d for a day or a week, like 20/day or 3/week",
				  CAP_COUNT_MAX);
	}
	return true;
}

void cap_print(const struct cap *cap, struct text *out)
{
	if (cap->per != CAP_NONE)
		text_addf(out, "%d/%s", cap->count, cap->per == CAP_DAY ? "day" : "week");
}

int64_t cap_period_begins(const struct cap *cap, const struct zone *zone, int64_t at)
{
	if (cap->per == CAP_NONE)
		return INT64_MIN;
	return cap->per == CAP_DAY ? zone_day_begins(zone, at) : zone_week_begins(zone, at);
}

int64_t cap_period_ends(const struct cap *cap, const struct zone *zone, int64_t at)
{
	if (cap->per == CAP_NONE)
		return MOMENT_NEVER;
	return cap->per == CAP_DAY ? zone_day_ends(zone, at) : zone_week_ends(zone, at);
}
