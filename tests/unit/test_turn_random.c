/* Whatever happens in whatever order: the sum holds, nobody is told what they did not choose, nothing is sent
 * twice but in doubt, and in the end nothing is left lying. HEED_SEED and HEED_STEPS run another one. */
#include <time.h>

#include "store_flaky.h"
#include "turn_fixture.h"
#include "banned.h"

#define MESSAGES_MAX 4000
#define CUSTOMERS 8

static const char *const products[] = {"card-alerts", "card-alerts/fraud", "terms", "*"};
static const char *const names[] = {"email", "sms", "webhook"};

/* A choice: channels as bits; -1: none was made. What the customer was told is in force. */
static struct {
	int choice[CUSTOMERS][4];
	struct {
		bool admitted, accepted;
		int customer, product;
		int doubt; /* the channel where it may have arrived; -1 */
	} messages[MESSAGES_MAX];
	int count;
	uint64_t seed;
	char wrong[1000];
} model;

static unsigned chance(unsigned below)
{
	model.seed = model.seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(model.seed >> 33) % below;
}

static struct script *script_at(int channel)
{
	return channel == 0 ? &world.email : channel == 1 ? &world.sms : &world.webhook;
}

/* The rules, written a second time. */
static bool may_get(int customer, int product, int channel)
{
	const int *choice = model.choice[customer];
	static const int offered[] = {7, 7, 3}, by_default = 1;
	int list = choice[product];

	if (list < 0 && product == 1)
		list = choice[0];
	if (list < 0)
		list = choice[3];
	if (list < 0 || (product == 2 && list == 0))
		list = by_default;
	return list & offered[product] & 1 << channel;
}

static int message_of(const char *id)
{
	return (int)strtol(id + 2, NULL, 10);
}

static int channel_of(const struct attempt *attempt)
{
	int channel = 0;
	while (strcmp(names[channel], attempt->channel->config->name) != 0)
		channel++;
	return channel;
}

/* Inside the hand-over: what is wrong is told after the step. */
static void watch(const struct attempt *attempt)
{
	int i = message_of(attempt->message_id), channel = channel_of(attempt);
	const char *why = !may_get(model.messages[i].customer, model.messages[i].product, channel)
				  ? "not chosen"
			  : model.messages[i].accepted ? "it was taken before"
			  : model.messages[i].doubt >= 0 && model.messages[i].doubt != channel
				  ? "it was in doubt on another channel"
				  : NULL;
	if (why && !*model.wrong)
		snprintf(model.wrong, sizeof model.wrong, "%s is handed to %s: %s; %s", attempt->message_id,
			 names[channel], why, contacts_of(attempt->message_id));
}

/* --- what may happen --- */

static void put_all(void)
{
	for (int c = 0; c < CUSTOMERS; c++) {
		char id[16], *json;
		snprintf(id, sizeof id, "c-%d", c);
		/* neighbours share a mailbox */
		json = xasprintf("{\"addresses\":{\"email\":\"c%d@example.com\",\"sms\":\"+4930123450%d\","
				 "\"webhook\":\"https://c%d.example.com/\"}}",
				 c / 2, c, c);
		int status = customer_put(id, json, NULL);
		assert_true(status == 200 || status == 201 || status == 503);
		free(json);
	}
}

static void do_admit(void)
{
	char id[16], customer[16], more[48];
	static const char *const lanes[] = {"urgent", "normal", "bulk"};
	bool again = model.count && chance(12) == 0;
	int i = again ? (int)chance((unsigned)model.count) : model.count;

	if (i == MESSAGES_MAX)
		return;
	if (!again) {
		model.messages[i].customer = (int)chance(CUSTOMERS);
		model.messages[i].product = (int)chance(3);
		model.messages[i].doubt = -1;
		model.messages[i].admitted = chance(15) != 0;
		model.count++;
	}
	snprintf(id, sizeof id, "m-%d", i);
	snprintf(customer, sizeof customer, model.messages[i].admitted ? "c-%d" : "nobody-%d",
		 model.messages[i].customer);
	snprintf(more, sizeof more, ",\"lane\":\"%s\"", lanes[i % 3]);
	admit(id, customer, products[model.messages[i].product], more);
}

static void do_outcome(void)
{
	static const enum outcome_scope scopes[] = {SCOPE_MESSAGE, SCOPE_MESSAGE, SCOPE_ADDRESS,
						    SCOPE_PROVIDER};
	int channel = (int)chance(3);
	struct script *script = script_at(channel);

	if (!script->held_count)
		return;
	struct attempt *attempt = script->held[chance((unsigned)script->held_count)];
	int i = message_of(attempt->message_id);
	char id[16];
	snprintf(id, sizeof id, "%s", attempt->message_id);
	if (chance(4) && attempt_begin(attempt)) {
		if (!may_get(model.messages[i].customer, model.messages[i].product, channel))
			fail_msg("%s begins on %s against the choice", id, names[channel]);
		return;
	}
	bool begun = attempt->phase == ATTEMPT_BEGUN;
	/* the same channel may hold one that was called back, and its successor: each speaks for itself */
	for (size_t at = 0; at < script->held_count; at++)
		if (script->held[at] == attempt)
			memmove(script->held + at, script->held + at + 1,
				(--script->held_count - at) * sizeof(struct attempt *));
	enum outcome_kind kind = attempt->phase == ATTEMPT_CALLED_BACK ? OUTCOME_NOT_BEGUN
				 : begun ? (enum outcome_kind)chance(OUTCOME_IN_DOUBT + 1)
					 : OUTCOME_RETRY + (enum outcome_kind)chance(2);
	enum outcome_scope scope = scopes[chance(4)];
	if (!begun && kind != OUTCOME_NOT_BEGUN && chance(6) == 0)
		kind = chance(2) ? OUTCOME_UNSENDABLE : OUTCOME_NOT_BEGUN;
	if ((scope == SCOPE_ADDRESS && kind != OUTCOME_REJECTED) ||
	    (scope == SCOPE_PROVIDER && kind != OUTCOME_RETRY))
		scope = SCOPE_MESSAGE;
	if (kind == OUTCOME_ACCEPTED)
		model.messages[i].accepted = true;
	if (kind == OUTCOME_IN_DOUBT)
		model.messages[i].doubt = channel;
	struct outcome outcome = outcome_make(kind, scope, "1", "by chance");
	outcome.delivered = chance(2);
	channel_report(attempt, &outcome);
}

static void do_prefer(void)
{
	int customer = (int)chance(CUSTOMERS), product = (int)chance(4),
	    before = model.choice[customer][product];
	int list = (int)chance(8);
	char id[16], json[80];

	snprintf(id, sizeof id, "c-%d", customer);
	snprintf(json, sizeof json, "{\"channels\":[%s%s%s%s%s]}", list & 1 ? "\"email\"" : "",
		 list & 1 && list & 6 ? "," : "", list & 2 ? "\"sms\"" : "", list & 2 && list & 4 ? "," : "",
		 list & 4 ? "\"webhook\"" : "");
	if (product != 2 || (list && !(list & 4)))
		model.choice[customer][product] = list; /* the turn that confirms it may hand over under it */
	int status = prefer(id, products[product], json, NULL);
	if (status != 200)
		model.choice[customer][product] = before;
	assert_true(status == 200 || status == 422 || status == 503);
}

static void do_operator(void)
{
	static const char *const as[] = {"sent", "failed", "resend"};
	char id[16];

	if (!model.count)
		return;
	int i = (int)chance((unsigned)model.count);
	unsigned how = chance(3);
	snprintf(id, sizeof id, "m-%d", i);
	int doubt = model.messages[i].doubt;
	if (chance(2)) {
		if (settle(id, as[how]) == 200 && how < 2) {
			model.messages[i].doubt = -1;
			model.messages[i].accepted = how == 0;
		}
		return;
	}
	model.messages[i].doubt = -1; /* a failed one starts anew */
	if (retry(id) != 200)
		model.messages[i].doubt = doubt;
}

/* A kill leaves in doubt whatever its row calls `sending`; an end in order only what had begun. */
static void do_crash(void)
{
	bool kill = chance(2);

	flaky.fail_at = 0;
	do
		step();
	while (world.turn->inbox.outcomes || world.turn->inbox.admission_count);
	for (int channel = 0; channel < 3; channel++)
		for (size_t at = 0; at < script_at(channel)->held_count; at++) {
			const struct attempt *attempt = script_at(channel)->held[at];
			struct message_row row = row_of(attempt->message_id);
			if (row.state == STATE_SENDING && row.epoch == attempt->epoch &&
			    (kill || attempt->phase == ATTEMPT_BEGUN))
				model.messages[message_of(attempt->message_id)].doubt = channel;
			message_row_release(&row);
		}
	if (kill)
		world_crash();
	else
		world_restart();
}

static void time_passes(void)
{
	for (size_t i = 0; i < world.turn->line_count; i++)
		world.turn->lines[i].outlets[0].breaker.until = 0;
	const struct timespec pause = {.tv_nsec = 2000000};
	nanosleep(&pause, NULL);
}

static void something_happens(void)
{
	unsigned what = chance(100);

	if (what < 40)
		do_admit();
	else if (what < 80)
		do_outcome();
	else if (what < 88)
		do_prefer();
	else if (what < 91)
		do_operator();
	else if (what < 93)
		put_all();
	else if (what < 96)
		time_passes();
	else if (what < 99)
		flaky_fail(1 + (long)chance(30));
	else if (chance(4) == 0)
		do_crash();
}

/* --- the end --- */

static void everything_ends(void)
{
	flaky.fail_at = 0;
	for (int round = 0; round < 3000; round++) {
		struct counters counters;
		for (int channel = 0; channel < 3; channel++)
			while (script_at(channel)->held_count) {
				struct attempt *attempt = script_at(channel)->held[0];
				char id[16];
				snprintf(id, sizeof id, "%s", attempt->message_id);
				bool called_back =
					attempt->phase == ATTEMPT_CALLED_BACK ||
					(attempt->phase == ATTEMPT_HANDED && !attempt_begin(attempt));
				if (!called_back)
					model.messages[message_of(id)].accepted = true;
				report(script_at(channel), id,
				       called_back ? OUTCOME_NOT_BEGUN : OUTCOME_ACCEPTED, SCOPE_MESSAGE, "");
			}
		time_passes();
		step();
		assert_true(store_counters(world.store, &counters));
		if (!(counters.states[STATE_QUEUED] + counters.states[STATE_DEFERRED] +
		      counters.states[STATE_SENDING]) &&
		    round > 100)
			return;
	}
	for (int i = 0; i < model.count; i++) {
		char id[16];
		snprintf(id, sizeof id, "m-%d", i);
		if (strcmp(state_of(id), "queued") == 0 || strcmp(state_of(id), "deferred") == 0 ||
		    strcmp(state_of(id), "sending") == 0)
			fail_msg("%s is left %s: %s, %s", id, state_of(id), contacts_of(id), reasons_of(id));
	}
}

static void each_message_tells_how_it_ended(void)
{
	char id[16];

	for (int i = 0; i < model.count; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		const char *state = state_of(id), *events = events_of(id), *contacts = contacts_of(id);
		if (strcmp(state, "unknown") == 0) {
			assert_false(model.messages[i].admitted);
			continue;
		}
		const char *last = strrchr(events, ' ') ? strrchr(events, ' ') + 1 : events;
		if (strcmp(last, state) != 0 || !*contacts || strstr(contacts, ":sending"))
			fail_msg("%s is %s, its events are %s, its contacts %s", id, state, events, contacts);
		if (model.messages[i].accepted)
			assert_true(strcmp(state, "sent") == 0 || strcmp(state, "delivered") == 0);
	}
}

static void whatever_happens(unsigned long seed, long count)
{
	model.seed = seed;
	model.count = 0;
	*model.wrong = '\0';
	memset(model.messages, 0, sizeof model.messages);
	for (int c = 0; c < CUSTOMERS; c++)
		for (int p = 0; p < 4; p++)
			model.choice[c][p] = -1;
	flaky_attach(world.store);
	put_all();
	world.email.watch = world.sms.watch = world.webhook.watch = watch;
	for (int channel = 0; channel < 3; channel++)
		line_find(world.turn, names[channel])->outlets[0].channel->credit = 10;
	for (long i = 0; i < count; i++) {
		something_happens();
		if (*model.wrong)
			fail_msg("step %ld: %s", i, model.wrong);
		if (chance(3) == 0 && turn_step(world.turn))
			collect();
		if (i % 50 == 0) {
			flaky.fail_at = 0;
			sum_holds();
		}
	}
	everything_ends();
	if (*model.wrong)
		fail_msg("at the end: %s", model.wrong);
	sum_holds();
	each_message_tells_how_it_ended();
}

static long from_environment(const char *name, long otherwise)
{
	const char *value = getenv(name);
	return value ? strtol(value, NULL, 10) : otherwise;
}

static void the_laws_hold_whatever_happens(void **state)
{
	(void)state;
	whatever_happens((unsigned long)from_environment("HEED_SEED", 1),
			 from_environment("HEED_STEPS", 2000));
}

static void the_laws_hold_on_disk_too(void **state)
{
	(void)state;
	whatever_happens((unsigned long)from_environment("HEED_SEED", 2),
			 from_environment("HEED_STEPS", 500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MEMORY(the_laws_hold_whatever_happens),
		{"the_laws_hold_on_disk_too", the_laws_hold_on_disk_too, world_open_sqlite, world_close,
		 NULL},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
