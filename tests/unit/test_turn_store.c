/* The turn and what happens around it: a store that fails, a crash, a stop, a new configuration, a slow
 * courier. */
#include <pthread.h>
#include <time.h>

#include "log.h"
#include "store_flaky.h"
#include "turn_fixture.h"
#include "banned.h"

static void pause_ms(long ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&pause, NULL);
}

/* --- a store that fails in the middle --- */

struct later {
	pthread_t thread;
	const char *customer, *json;
	int status;
	char way[200];
};

static void *prefer_thread(void *argument)
{
	struct later *later = argument;
	const struct turn_door by_the_thread = {.turn = world.turn};
	const struct asker asker = {.by = "cli", .actor = ""};
	json_t *body = json_loads(later->json, 0, NULL), *answer = NULL;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	later->status = request_prefer(&by_the_thread, &asker, later->customer, "card-alerts", body, false,
				       &answer, &error);
	char *way = json_dumps(json_object_get(answer, "on_their_way"), JSON_COMPACT);
	snprintf(later->way, sizeof later->way, "%s", way ? way : error.data);
	free(way);
	json_decref(answer);
	json_decref(body);
	text_release(&error);
	return NULL;
}

static void prefer_later(struct later *later)
{
	assert_int_equal(pthread_create(&later->thread, NULL, prefer_thread, later), 0);
	for (bool there = false; !there; pause_ms(1)) {
		pthread_mutex_lock(&world.turn->lock);
		there = world.turn->inbox.requests != NULL;
		pthread_mutex_unlock(&world.turn->lock);
	}
}

static const char *const told[] = {"m-1", "m-2", "m-3", "m-4", "m-5", "m-6", "b-1", "ana"};

/* Everything that anybody may see. */
static char *all_told(void)
{
	struct text out;

	text_init(&out, 65536);
	collect();
	for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
		text_addf(&out, "%s %s | %s | %s | %s\n", told[i], state_of(told[i]), contacts_of(told[i]),
			  events_of(told[i]), strcmp(told[i], "ana") ? reasons_of(told[i]) : "");
	text_addf(&out, "%zu acknowledged, %zu dead\n", world.acknowledged, json_array_size(world.dead));
	return text_detach(&out);
}

/* One turn with some of everything, in which the k-th call of the store fails (0: none); then all goes out.
 */
static char *busy_turn(long k, long *calls)
{
	struct later later = {.customer = "ana", .json = "{\"channels\":[\"sms\",\"webhook\"]}"};

	customer_with_all("ana");
	customer_with_all("bob");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	prefer_way("bob", "card-alerts", "[\"email\",\"sms\"]");
	line_find(world.turn, "email")->outlets[0].channel->credit = 4;
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	admit("m-3", "ana", "card-alerts", "");
	admit("b-1", "bob", "card-alerts", "");
	admit("m-4", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_ACCEPTED, SCOPE_MESSAGE, "250");
	begin(&world.email, "m-3");
	report(&world.email, "b-1", OUTCOME_REJECTED, SCOPE_ADDRESS, "5.1.1");
	admit("m-5", "ana", "card-alerts", "");
	admit("m-6", "bob", "card-alerts", "");
	admit("m-6", "nobody", "card-alerts", "");
	admit("x", "bob", "none", "");
	prefer_later(&later);
	if (k >= 0) {
		flaky_attach(world.store);
		flaky_fail(k);
	}
	bool ok = turn_step(world.turn);
	*calls = flaky.calls;
	if (!ok) {
		assert_int_equal(turn_lanes(world.turn), 0);
		assert_int_equal(later.status, 0);
		step();
	}
	if (k)
		assert_true(!ok == (k <= *calls));
	pthread_join(later.thread, NULL);
	assert_int_equal(later.status, 200);
	is(later.way, "[\"m-3\"]");
	sum_holds();
	assert_false(attempt_begin(held(&world.email, "m-2")));
	report(&world.email, "m-2", OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "");
	steps();
	for (struct script *script = &world.email; script <= &world.webhook; script++)
		while (script->held_count) {
			char id[ID_MAX + 1];
			snprintf(id, sizeof id, "%s", script->held[0]->message_id);
			script->held[0]->phase == ATTEMPT_HANDED ? begin(script, id) : (void)0;
			taken(script, id);
			steps();
		}
	assert_int_equal(world.turn->flight_count, 0);
	sum_holds();
	return all_told();
}

static void when_any_call_of_the_store_fails_the_turn_is_run_again_and_nothing_shows(void **state)
{
	long calls = 0, unused;

	log_set_level(LOG_ERROR);
	world_open_memory(state);
	char *wanted = busy_turn(0, &calls);
	world_close(state);
	assert_true(calls > 15);
	for (long k = 1; k <= calls; k++) {
		world_open_memory(state);
		char *got = busy_turn(k, &unused);
		world_close(state);
		if (strcmp(got, wanted) != 0)
			fail_msg("call %ld failed, and then:\n%s\nwithout:\n%s", k, got, wanted);
		free(got);
	}
	free(wanted);
}

static void while_the_store_fails_a_request_is_answered_in_time(void **state)
{
	struct later later = {.customer = "ana", .json = "{\"channels\":[]}"};

	(void)state;
	customer_with_all("ana");
	flaky_attach(world.store);
	world_run();
	flaky.fails = true;
	int64_t start = moment_mono();
	assert_int_equal(pthread_create(&later.thread, NULL, prefer_thread, &later), 0);
	pthread_join(later.thread, NULL);
	assert_int_equal(later.status, 503);
	assert_true(moment_mono() - start < 3 * MOMENT_S);
	flaky.fails = false;
	world_stop();
	admit("m-1", "ana", "card-alerts", "");
	step();
	is(state_of("m-1"), "sending");
}

static void an_ending_turn_whose_store_fails_ends_all_the_same(void **state)
{
	(void)state;
	customer_with_all("ana");
	flaky_attach(world.store);
	world_run();
	world.turn->config->gateway.drain = 50 * MOMENT_MS;
	admit("m-1", "ana", "card-alerts", "");
	for (int i = 0; i < 500 && !is_held(&world.email, "m-1"); i++)
		pause_ms(2);
	begin(&world.email, "m-1");
	flaky.fails = true;
	taken(&world.email, "m-1");
	admit("m-2", "ana", "card-alerts", "");
	pause_ms(20);
	turn_stop(world.turn);
	turn_free(world.turn);
	flaky.fails = false;
	world.turn = turn_new(world.store, world.config);
	assert_true(turn_ready(world.turn, NULL));
	is(state_of("m-1"), "in_doubt");
	is(state_of("m-2"), "unknown");
	sum_holds();
}

/* --- after a crash --- */

static void what_was_being_sent_is_in_doubt_before_anything_is_claimed(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "terms", "[\"sms\"]");
	line_find(world.turn, "email")->outlets[0].channel->credit = 1;
	admit("m-1", "ana", "card-alerts", ",\"meta\":{\"a\":\"b\"}");
	admit("m-2", "ana", "terms", "");
	admit("m-3", "ana", "card-alerts", "");
	step();
	is(state_of("m-3"), "queued");
	world_crash();
	assert_int_equal(world.email.handed, 1);
	is(state_of("m-1"), "in_doubt");
	is(state_of("m-2"), "in_doubt");
	is(contacts_of("m-1"), "1:email:in_doubt");
	is(reasons_of("m-1"), "chosen_default doubt_after_crash doubt_resend");
	is(reasons_of("m-2"), "chosen doubt_after_crash doubt_held");
	sum_holds();
	is(prefer_way("ana", "terms", "[\"email\"]"), "m-2");
	steps_for(60 * MOMENT_MS);
	is(state_of("m-1"), "sending");
	is(state_of("m-3"), "sending");
	is(state_of("m-2"), "in_doubt");
	is(contacts_of("m-1"), "1:email:in_doubt 2:email:sending");
	is(events_of("m-1"), "queued sending in_doubt sending");
	sum_holds();
}

/* Fast, and known to be. */
static void takes_many(const char *name)
{
	struct channel *channel = line_find(world.turn, name)->outlets[0].channel;

	channel->credit = 2000;
	channel->pace = 1;
	channel->lease = MOMENT_MINUTE;
}

static void a_great_many_left_behind_are_all_in_doubt(void **state)
{
	char id[16];

	(void)state;
	world_restart();
	takes_many("sms");
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"sms\"]");
	for (int i = 0; i < 1100; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		admit(id, "ana", "card-alerts", "");
	}
	steps();
	assert_int_equal(world.sms.held_count, 1100);
	world_crash();
	struct counters counters;
	for (int i = 0; i < 4; i++)
		step();
	assert_true(store_counters(world.store, &counters));
	assert_int_equal(counters.states[STATE_IN_DOUBT], 1100);
	assert_int_equal(counters.states[STATE_SENDING], 0);
	sum_holds();
}

/* --- stop --- */

static void *take_soon(void *message)
{
	pause_ms(100);
	taken(&world.email, message);
	return NULL;
}

static void wait_for(struct script *script, const char *message)
{
	for (int i = 0; i < 1000 && !is_held(script, message); i++)
		pause_ms(2);
	held(script, message);
}

static void at_a_stop_what_has_not_begun_goes_back_and_what_has_is_waited_for(void **state)
{
	pthread_t thread;

	(void)state;
	customer_with_all("ana");
	world.config->gateway.drain = MOMENT_MINUTE;
	world_run();
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	wait_for(&world.email, "m-1");
	wait_for(&world.email, "m-2");
	begin(&world.email, "m-1");
	pthread_create(&thread, NULL, take_soon, (void *)(uintptr_t) "m-1");
	int64_t start = moment_mono();
	turn_stop(world.turn);
	assert_true(moment_mono() - start < 10 * MOMENT_S); /* not for what was called back */
	pthread_join(thread, NULL);
	is(state_of("m-1"), "sent");
	is(state_of("m-2"), "queued");
	is(contacts_of("m-2"), "1:email:called_back");
	sum_holds();
	/* nobody hangs who asks too late */
	for (int i = 0; i < 2; i++) {
		struct later later = {.customer = "ana", .json = "{\"channels\":[]}"};
		prefer_thread(&later);
		assert_int_equal(later.status, 503);
	}
	struct text error;
	text_init(&error, TEXT_ERROR_MAX);
	assert_false(turn_reload(world.turn, world.config, &error));
	assert_true(error.len > 0);
	text_release(&error);
	world_stop();
	steps();
	is(state_of("m-2"), "sending");
	is(events_of("m-2"), "queued sending queued sending");
	assert_int_equal(world.email.open, 1);
}

static void what_is_not_done_when_the_drain_is_over_is_in_doubt(void **state)
{
	(void)state;
	customer_with_all("ana");
	world.config->gateway.drain = 50 * MOMENT_MS;
	world_run();
	admit("m-1", "ana", "card-alerts", "");
	wait_for(&world.email, "m-1");
	begin(&world.email, "m-1");
	world_stop();
	is(state_of("m-1"), "in_doubt");
	is(contacts_of("m-1"), "1:email:in_doubt");
	sum_holds();
}

/* --- a new configuration --- */

static void a_reload_brings_new_products_in_force(void **state)
{
	(void)state;
	customer_with_all("ana");
	world_reload(world_config(NULL, "loans: { channels: [sms], default: [sms] }\n"));
	admit("m-1", "ana", "loans", "");
	admit("m-2", "ana", "card-alerts", "");
	steps();
	is(contacts_of("m-1"), "1:sms:sending");
	is(state_of("m-2"), "unknown");
	assert_int_equal(json_array_size(world.dead), 1);
	assert_int_equal(world.sms.open, 1);
}

#define RELAY "{ adapter: smtp, relay: \"smtp://127.0.0.1:25\", from: \"a@example.com\" }\n"

static void what_waits_for_a_channel_that_is_gone_is_chosen_again(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	line_find(world.turn, "email")->outlets[0].channel->credit = 3;
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	admit("m-3", "ana", "card-alerts", "");
	admit("m-4", "ana", "card-alerts", "");
	step();
	line_find(world.turn, "email")->outlets[0].channel->credit = 0;
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "450");
	begin(&world.email, "m-2");
	begin(&world.email, "m-3");
	step();
	world_reload(world_config("  sms: " RELAY, "card-alerts: { channels: [sms], default: [sms] }\n"));
	steps_for(100 * MOMENT_MS);
	is(contacts_of("m-1"), "1:email:retry 2:sms:sending");
	is(contacts_of("m-4"), "1:sms:sending");
	/* what was under way reports late, by a channel that is gone */
	report(&world.email, "m-2", OUTCOME_RETRY, SCOPE_MESSAGE, "450");
	report(&world.email, "m-3", OUTCOME_RETRY, SCOPE_PROVIDER, "421");
	steps_for(60 * MOMENT_MS);
	assert_int_equal(world.email.open, 0);
	is(contacts_of("m-2"), "1:email:retry 2:sms:sending");
	is(contacts_of("m-3"), "1:email:retry 2:sms:sending");
	sum_holds();
}

/* --- the courier --- */

static int64_t last_seq;
static size_t events_seen;

static void courier_takes(void)
{
	struct carriage carriage;

	turn_collect(world.turn, 0, true, &carriage);
	for (struct admission *next; carriage.settled; carriage.settled = next) {
		next = carriage.settled->next;
		admission_free(carriage.settled);
	}
	for (size_t i = 0; i < carriage.event_count; i++) {
		assert_int_equal(carriage.events[i].seq, last_seq + 1);
		last_seq = carriage.events[i].seq;
		events_seen++;
		free(carriage.events[i].json);
	}
	free(carriage.events);
	turn_published(world.turn, last_seq);
}

static void events_keep_their_order_when_the_courier_is_slow(void **state)
{
	char id[16];

	(void)state;
	last_seq = 0;
	events_seen = 0;
	takes_many("email"); /* so that a turn admits as many as it can */
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[]");
	turn_step(world.turn);
	for (int round = 0; round < OUTBOX_MEMORY_MAX / 500 + 2; round++) {
		for (int i = 0; i < 500; i++) {
			snprintf(id, sizeof id, "m-%d", round * 500 + i);
			admit(id, "ana", "card-alerts", "");
		}
		assert_true(turn_step(world.turn));
	}
	assert_true(world.turn->outbox.behind);
	assert_true(world.turn->outbox.event_count <= OUTBOX_MEMORY_MAX);
	for (int i = 0; i < 20; i++) {
		courier_takes();
		snprintf(id, sizeof id, "n-%d", i);
		admit(id, "ana", "card-alerts", "");
		assert_true(turn_step(world.turn));
	}
	courier_takes();
	assert_false(world.turn->outbox.behind);
	assert_int_equal(events_seen, OUTBOX_MEMORY_MAX + 1000 + 20 + 1);
	/* published: another start does not repeat them */
	world_restart();
	turn_step(world.turn);
	courier_takes();
	assert_int_equal(events_seen, OUTBOX_MEMORY_MAX + 1000 + 20 + 1);
}

static void publish_meanwhile(void)
{
	turn_published(world.turn, 3);
}

static void what_is_published_during_a_commit_is_dropped_by_the_next(void **state)
{
	struct event_row *rows = NULL;
	size_t count = 0;

	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	assert_true(turn_step(world.turn));
	turn_published(world.turn, 1);
	flaky_attach(world.store);
	flaky.before_commit = publish_meanwhile;
	admit("m-2", "ana", "card-alerts", "");
	assert_true(turn_step(world.turn));
	flaky.before_commit = NULL;
	assert_true(turn_step(world.turn));
	assert_true(store_get_events(world.store, 0, 100, &rows, &count));
	assert_true(count > 0);
	assert_int_equal(rows[0].seq, 4);
	for (size_t i = 0; i < count; i++)
		free(rows[i].json);
	free(rows);
}

static void an_event_is_repeated_with_the_same_id(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	world_crash();
	step();
	assert_int_equal(world.repeated, 2);
	is(events_of("m-1"), "queued sending in_doubt");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_any_call_of_the_store_fails_the_turn_is_run_again_and_nothing_shows),
		IN_MEMORY(while_the_store_fails_a_request_is_answered_in_time),
		IN_MEMORY(an_ending_turn_whose_store_fails_ends_all_the_same),
		ON_BOTH(what_was_being_sent_is_in_doubt_before_anything_is_claimed),
		ON_BOTH(a_great_many_left_behind_are_all_in_doubt),
		ON_BOTH(at_a_stop_what_has_not_begun_goes_back_and_what_has_is_waited_for),
		IN_MEMORY(what_is_not_done_when_the_drain_is_over_is_in_doubt),
		ON_BOTH(a_reload_brings_new_products_in_force),
		ON_BOTH(what_waits_for_a_channel_that_is_gone_is_chosen_again),
		IN_MEMORY(events_keep_their_order_when_the_courier_is_slow),
		ON_BOTH(what_is_published_during_a_commit_is_dropped_by_the_next),
		IN_MEMORY(an_event_is_repeated_with_the_same_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
