#include "counter.h"

#include <stdio.h>

#include "zone.h"
#include "banned.h"

const struct zone *customer_zone(const struct config *config, const struct customer *customer)
{
	return *customer->timezone ? zone_find(customer->timezone) : config->customers.zone;
}

static void counter_make(struct counter *out, const struct cap *cap, const char *what, bool marketing,
			 const struct zone *zone, int64_t now)
{
	struct civil day;

	zone_civil(zone, cap_period_begins(cap, zone, now), &day);
	*out = (struct counter){.cap = *cap, .marketing = marketing, .ends = cap_period_ends(cap, zone, now)};
	snprintf(out->name, sizeof out->name, "%s %s %04d-%02d-%02d", what,
		 cap->per == CAP_WEEK ? "week" : "day", (int)day.year, day.month, day.day);
}

size_t counters_of(const struct config *config, const struct product *product, enum purpose purpose,
		   const struct zone *zone, int64_t now, struct counter out[CHOOSE_CAPS_MAX])
{
	const struct cap *marketing = &config->limits.marketing;
	size_t count = 0;

	if (purpose == PURPOSE_CRITICAL)
		return 0;
	if (product->cap.per != CAP_NONE)
		counter_make(&out[count++], &product->cap, product->name, false, zone, now);
	if (purpose == PURPOSE_MARKETING && marketing->per != CAP_NONE)
		counter_make(&out[count++], marketing, "*", true, zone, now);
	return count;
}
