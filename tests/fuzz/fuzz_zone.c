/* A TZif file. What is read shows every instant, and days and weeks end behind where they begin. */
#include <assert.h>

#include "fuzz.h"
#include "moment.h"
#include "zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t moments[] = {ZONE_BEGINS,
					  -2208988800000000,
					  0,
					  INT64_C(1795341600123000),
					  INT64_C(4102444800000000),
					  ZONE_ENDS - MOMENT_DAY};
	struct zone *zone = zone_read(data, size);

	for (size_t i = 0; zone && i < sizeof moments / sizeof moments[0]; i++) {
		struct civil civil;
		struct stretch stretch;
		int64_t both[2], at = moments[i];
		zone_civil(zone, at, &civil);
		zone_stretch(zone, at, &stretch);
		assert(stretch.from <= at && at < stretch.to);
		zone_instants(zone, &civil, both);
		zone_at_or_after(zone, &civil);
		assert(zone_day_begins(zone, at) <= at && at < zone_day_ends(zone, at));
		assert(zone_week_begins(zone, at) <= at && at < zone_week_ends(zone, at));
	}
	zone_free(zone);
	return 0;
}
