/* The channel for drills: sends nothing, and answers as a bad day would: `faults` of the configuration says
 * how often what happens, in percent; the rest is accepted. It stands in for whom its keys or its name say,
 * as capture does, so retries, breakers, doubts and the next channel can be seen to work. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "config.h"
#include "digest.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define CREDIT 200 /* attempts in hand */

enum fault {
	FAULT_REJECTED,
	FAULT_DEAD,
	FAULT_RETRY,
	FAULT_PROVIDER,
	FAULT_IN_DOUBT,
	FAULT_SLOW,
	FAULT_HANG,
	FAULTS
};

static const struct {
	const char *key;
	enum outcome_kind kind;
	enum outcome_scope scope;
	const char *code;
} faults[FAULTS] = {
	[FAULT_REJECTED] = {"rejected", OUTCOME_REJECTED, SCOPE_MESSAGE, "flaky rejected"},
	[FAULT_DEAD] = {"dead", OUTCOME_REJECTED, SCOPE_ADDRESS, "flaky dead"},
	[FAULT_RETRY] = {"retry", OUTCOME_RETRY, SCOPE_MESSAGE, "flaky retry"},
	[FAULT_PROVIDER] = {"provider", OUTCOME_RETRY, SCOPE_PROVIDER, "flaky provider"},
	[FAULT_IN_DOUBT] = {"in_doubt", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "flaky in doubt"},
	[FAULT_SLOW] = {"slow", OUTCOME_ACCEPTED, SCOPE_MESSAGE, "flaky slow"},
	[FAULT_HANG] = {"hang", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "flaky hang"},
};

/* One that has begun, and is answered at `at`. */
struct pending {
	struct attempt *attempt;
	int64_t at; /* monotonic */
	struct outcome outcome;
};

struct flaky {
	struct channel base;
	int percent[FAULTS];
	int64_t delay;
	uint64_t random;
	pthread_t thread;
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t more;
	struct attempt *first, **last;
	struct pending pending[CREDIT];
	size_t pending_count;
	bool closing;
	int64_t until; /* closing: whom we wait for, monotonic */
};

static int roll(struct flaky *flaky)
{
	flaky->random ^= flaky->random << 13;
	flaky->random ^= flaky->random >> 7;
	flaky->random ^= flaky->random << 17;
	return (int)(flaky->random % 100);
}

static struct outcome decide(struct flaky *flaky, int64_t *wait)
{
	const struct channel_config *config = flaky->base.config;
	int at = roll(flaky), fault = 0;

	for (; fault < FAULTS && at >= flaky->percent[fault]; fault++)
		at -= flaky->percent[fault];
	*wait = fault == FAULT_SLOW ? flaky->delay : fault == FAULT_HANG ? config->timeout : 0;
	struct outcome outcome = fault == FAULTS
					 ? outcome_make(OUTCOME_ACCEPTED, SCOPE_MESSAGE, "flaky accepted",
							"a drill: nothing was sent")
					 : outcome_make(faults[fault].kind, faults[fault].scope,
							faults[fault].code, "a drill: nothing was sent");
	outcome.delivered = outcome.kind == OUTCOME_ACCEPTED && config->ops->text == CHANNEL_TEXT_JSON;
	return outcome;
}

/* Begins it, and answers at once or later. */
static void take(struct flaky *flaky, struct attempt *attempt)
{
	int64_t wait;
	struct outcome outcome = decide(flaky, &wait);

	if (!attempt_begin(attempt)) {
		outcome =
			outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "taken back before it had begun");
		wait = 0;
	}
	if (!wait) {
		channel_report(attempt, &outcome);
		return;
	}
	pthread_mutex_lock(&flaky->lock);
	flaky->pending[flaky->pending_count++] =
		(struct pending){.attempt = attempt, .at = moment_mono() + wait, .outcome = outcome};
	pthread_mutex_unlock(&flaky->lock);
}

/* Answers one whose time has come, without the lock; or sets *next. Under the lock. */
static bool answer_one(struct flaky *flaky, int64_t *next)
{
	int64_t now = moment_mono();

	for (size_t i = 0; i < flaky->pending_count; i++) {
		struct pending due = flaky->pending[i];
		if (due.at > now) {
			*next = due.at < *next ? due.at : *next;
			continue;
		}
		flaky->pending[i] = flaky->pending[--flaky->pending_count];
		pthread_mutex_unlock(&flaky->lock);
		channel_report(due.attempt, &due.outcome);
		pthread_mutex_lock(&flaky->lock);
		return true;
	}
	return false;
}

static void pause_until(struct flaky *flaky, int64_t at)
{
	const struct timespec until = {.tv_sec = (time_t)(at / MOMENT_S),
				       .tv_nsec = (long)(at % MOMENT_S * 1000)};

	if (at == MOMENT_NEVER)
		pthread_cond_wait(&flaky->more, &flaky->lock);
	else
		pthread_cond_timedwait(&flaky->more, &flaky->lock, &until);
}

static void *flaky_main(void *argument)
{
	struct flaky *flaky = argument;

	pthread_mutex_lock(&flaky->lock);
	for (;;) {
		struct attempt *attempt = flaky->closing ? NULL : flaky->first;
		int64_t next = flaky->closing ? flaky->until : MOMENT_NEVER;
		if (answer_one(flaky, &next))
			continue;
		if (flaky->closing && (!flaky->pending_count || moment_mono() >= flaky->until))
			break;
		if (!attempt) {
			pause_until(flaky, next);
			continue;
		}
		flaky->first = attempt->next;
		if (!flaky->first)
			flaky->last = &flaky->first;
		pthread_mutex_unlock(&flaky->lock);
		take(flaky, attempt);
		pthread_mutex_lock(&flaky->lock);
	}
	pthread_mutex_unlock(&flaky->lock);
	return NULL;
}

static void flaky_free(struct flaky *flaky)
{
	pthread_mutex_destroy(&flaky->lock);
	pthread_cond_destroy(&flaky->more);
	free(flaky);
}

static struct channel *flaky_open(const struct channel_config *config, struct outcome_sink sink,
				  struct text *error)
{
	const json_t *given = json_object_get(config->settings, "faults");
	const char *delay = json_string_value(json_object_get(given, "delay"));
	struct flaky *flaky = xcalloc(1, sizeof *flaky);
	pthread_condattr_t monotonic;
	int sum = 0;

	(void)sink;
	pthread_mutex_init(&flaky->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&flaky->more, &monotonic);
	pthread_condattr_destroy(&monotonic);
	flaky->last = &flaky->first;
	flaky->base.credit = CREDIT;
	flaky->base.config = config;
	digest_random((unsigned char *)&flaky->random, sizeof flaky->random);
	flaky->random |= 1;
	flaky->delay = MOMENT_S;
	if (delay)
		duration_parse(delay, &flaky->delay);
	for (int i = 0; i < FAULTS; i++)
		sum += flaky->percent[i] = (int)json_integer_value(json_object_get(given, faults[i].key));
	bool ok = sum <= 100 ||
		  text_error(error, "its faults come to %d percent; at most 100 would be right", sum);
	if (ok && pthread_create(&flaky->thread, NULL, flaky_main, flaky) != 0)
		ok = text_error(error, "its thread could not be made");
	if (ok)
		return &flaky->base;
	flaky_free(flaky);
	return NULL;
}

static void flaky_send(struct channel *channel, struct attempt *attempt)
{
	struct flaky *flaky = (struct flaky *)channel;

	attempt->next = NULL;
	pthread_mutex_lock(&flaky->lock);
	*flaky->last = attempt;
	flaky->last = &attempt->next;
	pthread_cond_signal(&flaky->more);
	pthread_mutex_unlock(&flaky->lock);
}

static void flaky_close(struct channel *channel, int64_t patience)
{
	struct flaky *flaky = (struct flaky *)channel;

	pthread_mutex_lock(&flaky->lock);
	flaky->closing = true;
	flaky->until = moment_mono() + patience;
	pthread_cond_signal(&flaky->more);
	pthread_mutex_unlock(&flaky->lock);
	pthread_join(flaky->thread, NULL);
	for (size_t i = 0; i < flaky->pending_count; i++) {
		struct outcome cut =
			outcome_make(OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "flaky cut", "the channel was closed");
		channel_report(flaky->pending[i].attempt, &cut);
	}
	for (struct attempt *attempt = flaky->first, *next; attempt; attempt = next) {
		struct outcome outcome =
			outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "the channel is closing");
		next = attempt->next;
		channel_report(attempt, &outcome);
	}
	flaky_free(flaky);
}

/* Where nothing but the name says what it stands in for. */
static enum address_kind flaky_address_kind(const struct channel_config *config)
{
	bool phone = strcmp(config->name, "sms") == 0 || strcmp(config->name, "voice") == 0;

	return phone ? ADDRESS_PHONE : ADDRESS_TEXT;
}

extern const struct channel_ops channel_flaky_ops; /* adapters/registry.c names it */
const struct channel_ops channel_flaky_ops = {
	.adapter = "flaky",
	.stands_in = true,
	.unsafe = "is for drills: it sends nothing and fails as `faults` says",
	.text = CHANNEL_TEXT_PLAIN,
	.address_kind = flaky_address_kind,
	.open = flaky_open,
	.send = flaky_send,
	.close = flaky_close,
};
