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

json_t *troubles_json(struct call *call)
{
	struct trouble_seen seen[TROUBLES];
	json_t *list = NULL;
	char since[MOMENT_TEXT];

	if (!call->api->door.turn || call->api->door.alone)
		return list;
	troubles_see(turn_troubles(call->api->door.turn), seen);
	for (int i = 0; i < TROUBLES; i++) {
		if (!seen[i].is)
			continue;
		json_t *says = json_string(seen[i].says);
		moment_format(seen[i].since, since);
		list = list ? list : json_array();
		json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:s}", "cause",
						      trouble_name((enum trouble)i), "says",
						      says ? says : json_string("it can't be said"), "stops",
						      trouble_stops((enum trouble)i), "since", since));
	}
	return list;
}

/* Each with what is not done for it. */
static void not_ready(struct call *call)
{
	json_t *list = troubles_json(call), *one;
	struct text words;
	size_t i;

	text_init(&words, (size_t)TROUBLES * (TROUBLE_TEXT_MAX + 200));
	json_array_foreach(list, i, one)
		text_addf(&words, "%s%s; %s", i ? ". " : "", json_string_value(json_object_get(one, "says")),
			  json_string_value(json_object_get(one, "stops")));
	call_problem(call, 503, "%s", words.len ? words.data : "the gateway is ending");
	text_release(&words);
	json_decref(list);
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
		not_ready(call);
	} else {
		bool redis = queue_seen(call->api, &depths, &why);
		call_answer(call, 200,
			    json_pack("{s:s, s:s, s:s, s:s*, s:o*}", "status", "ready", "store", "ok",
				      "redis", redis ? "ok" : "away", "redis_error", redis ? NULL : why,
				      "troubles", troubles_json(call)));
	}
	free(why);
}
