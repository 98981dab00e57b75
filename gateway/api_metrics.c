/* Route: what monitoring reads, as Prometheus' text format 0.0.4, or as OpenMetrics 1.0 where that is asked
 * for. Every label is of a closed list, or of the configuration: none grows with customers or messages. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api_callbacks.h"
#include "api_private.h"
#include "command.h"
#include "http_words.h"
#include "queue.h"
#include "banned.h"

#define METRICS_MAX (1024 * 1024)
#define OPENMETRICS "application/openmetrics-text"

struct page {
	struct text text;
	bool open; /* OpenMetrics */
};

enum kind { GAUGE, COUNTER, HISTOGRAM };

/* The head of a family. A counter's name is given without its _total. */
static void family(struct page *page, enum kind kind, const char *name, const char *help)
{
	static const char *const kinds[] = {"gauge", "counter", "histogram"};
	const char *suffix = kind == COUNTER && !page->open ? "_total" : "";

	text_addf(&page->text, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix,
		  kinds[kind]);
}

static void label(struct page *page, const char *before, const char *name, const char *value)
{
	text_addf(&page->text, "%s%s=\"", before, name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			text_putc(&page->text, '\\');
		text_putc(&page->text, *value);
	}
	text_putc(&page->text, '"');
}

static void count(struct page *page, const char *name, int64_t value)
{
	text_addf(&page->text, "%s %" PRId64 "\n", name, value);
}

static void count_of(struct page *page, const char *name, const char *by, const char *value, int64_t number)
{
	text_puts(&page->text, name);
	label(page, "{", by, value);
	text_addf(&page->text, "} %" PRId64 "\n", number);
}

static double seconds(int64_t time)
{
	return (double)time / MOMENT_S;
}

static void add_messages(struct page *page, const struct counters *counters)
{
	family(page, COUNTER, "heed_admitted", "Messages admitted, ever.");
	count(page, "heed_admitted_total", counters->admitted);
	family(page, GAUGE, "heed_messages", "Messages by state; their sum is heed_admitted_total.");
	for (int state = 0; state < STATES; state++)
		count_of(page, "heed_messages", "state", state_name((enum state)state),
			 counters->states[state]);
}

static void add_ages(struct page *page, const int64_t oldest[LANES])
{
	int64_t now = moment_now();

	family(page, GAUGE, "heed_oldest_waiting_seconds",
	       "Age of the oldest admitted message that waits, by lane; 0: none waits.");
	for (int lane = 0; lane < LANES; lane++) {
		text_puts(&page->text, "heed_oldest_waiting_seconds");
		label(page, "{", "lane", lane_name((enum lane)lane));
		text_addf(&page->text, "} %.3f\n",
			  oldest[lane] && now > oldest[lane] ? seconds(now - oldest[lane]) : 0);
	}
}

static void add_turn(struct page *page, const struct turn_stats *stats)
{
	int64_t sum = 0;

	family(page, COUNTER, "heed_turns", "Turns of the one writer.");
	count(page, "heed_turns_total", stats->turns);
	family(page, COUNTER, "heed_turn_failures", "Turns whose transaction was lost.");
	count(page, "heed_turn_failures_total", stats->store_failures);
	family(page, GAUGE, "heed_turn_beat_age_seconds", "Since the turn last looked for work.");
	text_addf(&page->text, "heed_turn_beat_age_seconds %.3f\n", seconds(moment_mono() - stats->beat));
	family(page, HISTOGRAM, "heed_turn_seconds", "How long a turn took, commit and hand-over included.");
	for (size_t i = 0; i < TURN_TIMES; i++) {
		sum += stats->times[i];
		if (i < TURN_TIMES - 1 && turn_time_bounds[i] % MOMENT_S == 0)
			text_addf(&page->text, "heed_turn_seconds_bucket{le=\"%.1f\"} %" PRId64 "\n",
				  seconds(turn_time_bounds[i]), sum);
		else if (i < TURN_TIMES - 1)
			text_addf(&page->text, "heed_turn_seconds_bucket{le=\"%g\"} %" PRId64 "\n",
				  seconds(turn_time_bounds[i]), sum);
		else
			text_addf(&page->text, "heed_turn_seconds_bucket{le=\"+Inf\"} %" PRId64 "\n", sum);
	}
	text_addf(&page->text, "heed_turn_seconds_sum %.6f\n", seconds(stats->time_sum));
	count(page, "heed_turn_seconds_count", sum);
	family(page, COUNTER, "heed_api_messages", "Messages admitted over HTTP, since the start.");
	count(page, "heed_api_messages_total", stats->batch_messages);
}

static void outlet_line(struct page *page, const char *name, const struct outlet_stats *outlet, int64_t value)
{
	text_puts(&page->text, name);
	label(page, "{", "channel", outlet->channel);
	label(page, ",", "provider", outlet->provider);
	text_addf(&page->text, "} %" PRId64 "\n", value);
}

static void add_outlets(struct page *page, const struct turn_stats *stats)
{
	static const char *const names[] = {"heed_channel_in_hand", "heed_channel_credit",
					    "heed_breaker_open", "heed_channel_held"};
	static const char *const helps[] = {
		"Attempts that a provider's channel has in hand.", "Attempts that it takes at once.",
		"1 while the provider is at fault.", "1 while an operator holds it."};

	for (int n = 0; n < 4; n++) {
		family(page, GAUGE, names[n], helps[n]);
		for (size_t i = 0; i < stats->outlet_count; i++) {
			const struct outlet_stats *outlet = &stats->outlets[i];
			const int64_t values[] = {(int64_t)outlet->in_hand, (int64_t)outlet->credit,
						  outlet->breaker_open, outlet->held};
			outlet_line(page, names[n], outlet, values[n]);
		}
	}
}

static void add_contacts(struct page *page, const struct turn_stats *stats)
{
	family(page, COUNTER, "heed_contacts", "Outcomes of attempts, since the start.");
	for (size_t i = 0; i < stats->outlet_count; i++)
		for (int state = 0; state < CONTACT_STATES; state++) {
			const struct outlet_stats *outlet = &stats->outlets[i];
			if (!outlet->outcomes[state])
				continue;
			text_puts(&page->text, "heed_contacts_total");
			label(page, "{", "channel", outlet->channel);
			label(page, ",", "provider", outlet->provider);
			label(page, ",", "outcome", state_name((enum state)state));
			text_addf(&page->text, "} %" PRId64 "\n", outlet->outcomes[state]);
		}
}

static void add_callbacks(struct page *page)
{
	static const char *const kinds[] = {"receipt", "reply", "unsigned", "malformed"};

	family(page, COUNTER, "heed_callbacks",
	       "What providers told, since the start; unsigned: refused with 403, malformed: with 400.");
	for (int kind = 0; kind < CALLBACK_COUNTS; kind++)
		count_of(page, "heed_callbacks_total", "kind", kinds[kind],
			 (int64_t)callback_count((enum callback_count)kind));
}

static void add_redis(struct page *page, struct api *api)
{
	struct queue_depths depths;
	char *why = NULL;
	bool up = queue_seen(api, &depths, &why);

	free(why);
	family(page, GAUGE, "heed_redis_up", "1 while Redis answers.");
	count(page, "heed_redis_up", up);
	if (!up)
		return;
	family(page, GAUGE, "heed_redis_waiting", "Entries in Redis that are not admitted yet, by lane.");
	for (int lane = 0; lane < LANES; lane++)
		count_of(page, "heed_redis_waiting", "lane", lane_name((enum lane)lane),
			 depths.waiting[lane]);
	family(page, GAUGE, "heed_dead_letters", "Messages that could not be admitted, in heed:dead.");
	count(page, "heed_dead_letters", depths.dead);
}

static bool add_store(struct page *page, struct api *api)
{
	struct hold *holds = NULL;
	size_t count_of_holds = 0;
	int64_t bytes = 0;
	bool ok = store_read_size(api->reader, &bytes) &&
		  store_read_holds(api->reader, &holds, &count_of_holds);

	family(page, GAUGE, "heed_store_size_bytes", "What the store takes on disk; 0: it does not say.");
	count(page, "heed_store_size_bytes", bytes);
	family(page, GAUGE, "heed_holds", "Holds and cancels of operators that are in force.");
	count(page, "heed_holds", (int64_t)count_of_holds);
	holds_free(holds, count_of_holds);
	return ok;
}

static void add_troubles(struct page *page, struct turn *turn)
{
	struct trouble_seen seen[TROUBLES];

	troubles_see(turn_troubles(turn), seen);
	family(page, GAUGE, "heed_trouble", "1 while this keeps the gateway from taking messages, or some.");
	for (int i = 0; i < TROUBLES; i++)
		count_of(page, "heed_trouble", "cause", trouble_name((enum trouble)i), seen[i].is);
}

void api_metrics(struct call *call)
{
	struct page page = {
		.open = http_prefers(api_request_header(call->request, "Accept"), OPENMETRICS, "text/plain")};
	int64_t oldest[LANES];
	struct counters counters;
	struct turn_stats stats = {0};

	text_init(&page.text, METRICS_MAX);
	if (call->api->door.turn && !call->api->door.alone)
		turn_stats(call->api->door.turn, &stats);
	bool ok = store_read_counters(call->api->reader, &counters) &&
		  store_read_ages(call->api->reader, oldest);
	if (call->api->door.turn && !call->api->door.alone)
		add_troubles(&page, call->api->door.turn);
	family(&page, GAUGE, "heed_build_info", "The version that runs.");
	count_of(&page, "heed_build_info", "version", HEED_VERSION, 1);
	if (ok) {
		add_messages(&page, &counters);
		add_ages(&page, oldest);
		add_turn(&page, &stats);
		add_outlets(&page, &stats);
		add_contacts(&page, &stats);
		add_callbacks(&page);
		add_redis(&page, call->api);
		ok = add_store(&page, call->api);
	}
	if (page.open)
		text_puts(&page.text, "# EOF\n");
	if (ok)
		call_text(call, 200,
			  page.open ? OPENMETRICS "; version=1.0.0; charset=utf-8"
				    : "text/plain; version=0.0.4; charset=utf-8",
			  &page.text);
	else
		call_store_failed(call);
	text_release(&page.text);
}
