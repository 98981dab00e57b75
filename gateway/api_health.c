/* Routes for machines that look after the gateway: is it alive, and can it work? No token, and nothing about
 * anybody in the answers. */
#include <stdlib.h>

#include "api_private.h"
#include "queue.h"
#include "banned.h"

#define BEAT_MAX (10 * MOMENT_S) /* a turn that does not come round within this is stuck */

void api_healthz(struct call *call)
{
	struct turn_stats stats;

	if (!call->api->door.turn || call->api->door.alone) {
		call_problem(call, 503, "no gateway runs here");
		return;
	}
	turn_stats(call->api->door.turn, &stats);
	int64_t age = moment_mono() - stats.beat;
	if (age > BEAT_MAX)
		call_problem(call, 503, "the turn has not advanced for %lld s", (long long)(age / MOMENT_S));
	else
		call_answer(call, 200,
			    json_pack("{s:s, s:I}", "status", "ok", "turns", (json_int_t)stats.turns));
}

/* Redis is reported, not required: what comes over HTTP goes on without it. */
void api_readyz(struct call *call)
{
	struct queue_depths depths;
	struct counters counters;
	char *why = NULL;

	if (!call->api->door.turn || call->api->door.alone) {
		call_problem(call, 503, "no gateway runs here");
	} else if (!store_read_counters(call->api->reader, &counters)) {
		call_store_failed(call);
	} else if (!turn_lanes(call->api->door.turn)) {
		call_problem(call, 503, "the store takes nothing now, or the gateway is ending");
	} else {
		bool redis = queue_seen(call->api, &depths, &why);
		call_answer(call, 200,
			    json_pack("{s:s, s:s, s:s, s:s*}", "status", "ready", "store", "ok", "redis",
				      redis ? "ok" : "away", "redis_error", redis ? NULL : why));
	}
	free(why);
}
