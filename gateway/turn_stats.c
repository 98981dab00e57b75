/* What the turn tells of itself: numbers for /metrics and /healthz, and which lanes may be read. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "turn_private.h"
#include "banned.h"

const int64_t turn_time_bounds[TURN_TIMES - 1] = {
	1 * MOMENT_MS,    2500,
	5 * MOMENT_MS,    10 * MOMENT_MS,
	25 * MOMENT_MS,   50 * MOMENT_MS,
	100 * MOMENT_MS,  250 * MOMENT_MS,
	500 * MOMENT_MS,  1000 * MOMENT_MS,
	2500 * MOMENT_MS,
};

/* Its numbers, kept over a reload; NULL: there are too many. */
static struct outlet_stats *outlet_stats(struct turn_stats *stats, const char *channel, const char *provider)
{
	for (size_t i = 0; i < stats->outlet_count; i++)
		if (strncmp(stats->outlets[i].channel, channel, TURN_STATS_NAME_MAX - 1) == 0 &&
		    strncmp(stats->outlets[i].provider, provider, TURN_STATS_NAME_MAX - 1) == 0)
			return &stats->outlets[i];
	if (stats->outlet_count == TURN_STATS_OUTLETS_MAX)
		return NULL;
	struct outlet_stats *new = &stats->outlets[stats->outlet_count++];
	snprintf(new->channel, sizeof new->channel, "%s", channel);
	snprintf(new->provider, sizeof new->provider, "%s", provider);
	return new;
}

static void tell_outlets(struct turn *turn)
{
	struct turn_stats *stats = &turn->stats;

	for (size_t i = 0; i < stats->outlet_count; i++) {
		stats->outlets[i].breaker_open = stats->outlets[i].held = false;
		stats->outlets[i].in_hand = stats->outlets[i].credit = 0;
	}
	for (size_t i = 0; i < turn->line_count; i++)
		for (size_t o = 0; o < turn->lines[i].outlet_count; o++) {
			const struct outlet *outlet = &turn->lines[i].outlets[o];
			struct outlet_stats *told =
				outlet_stats(stats, outlet->config->name, outlet->config->provider);
			if (!told)
				continue;
			told->breaker_open = outlet->breaker.open;
			told->held = outlet->held || turn->lines[i].held;
			told->in_hand = outlet->channel ? atomic_load(&outlet->channel->in_hand) : 0;
			told->credit = outlet->channel ? outlet->channel->credit : 0;
		}
}

static void count_outcomes(struct turn *turn)
{
	for (const struct work *work = turn->plan.first; work; work = work->next) {
		const struct contact *contact = work->ended;
		struct outlet_stats *told =
			contact && !work->shares && *contact->channel
				? outlet_stats(&turn->stats, contact->channel, contact->provider)
				: NULL;
		if (told)
			told->outcomes[contact->state]++;
		turn->stats.batch_messages +=
			work->admission && work->admission->batch && !work->admission->refused;
	}
}

static void count_time(struct turn_stats *stats, int64_t time)
{
	size_t i = 0;

	while (i < TURN_TIMES - 1 && time > turn_time_bounds[i])
		i++;
	stats->times[i]++;
	stats->time_sum += time;
}

void stats_publish(struct turn *turn, bool committed)
{
	struct counters *counters = &turn->stats.counters;
	unsigned lanes = 1u << LANE_URGENT | 1u << LANE_NORMAL | 1u << LANE_BULK;

	pthread_mutex_lock(&turn->lock);
	turn->stats.turns++;
	turn->stats.committed += committed;
	turn->stats.store_failures += !committed;
	count_time(&turn->stats, moment_mono() - turn->mono);
	if (committed) {
		counters->admitted += turn->plan.deltas.admitted;
		for (int i = 0; i < STATES; i++)
			counters->states[i] += turn->plan.deltas.states[i];
		count_outcomes(turn);
	}
	int64_t backlog = counters->states[STATE_QUEUED] + counters->states[STATE_DEFERRED];
	if (backlog > turn->config->store.max_backlog) {
		lanes &= ~(1u << LANE_BULK);
		trouble_is(&turn->troubles, TROUBLE_BACKLOG,
			   "%lld messages wait, more than store.max_backlog allows", (long long)backlog);
	} else {
		trouble_over(&turn->troubles, TROUBLE_BACKLOG);
	}
	turn->lanes = committed && !turn->stopping ? lanes : 0;
	tell_outlets(turn);
	pthread_mutex_unlock(&turn->lock);
}

void turn_stats(struct turn *turn, struct turn_stats *out)
{
	pthread_mutex_lock(&turn->lock);
	*out = turn->stats;
	pthread_mutex_unlock(&turn->lock);
}
