/* The promise: once a change is confirmed, nothing begins against it but what the answer lists. Here where it
 * is hard: much that waits, several products at once, doubts that outlive their message, a change that is
 * late. */
#include <pthread.h>
#include <time.h>

#include "turn_fixture.h"
#include "banned.h"

#define MANY 250 /* more than a turn looks at twice */

static void pause_ms(long ms)
{
	const struct timespec pause = {.tv_nsec = ms * 1000000};
	nanosleep(&pause, NULL);
}

static const struct asker asker = {.by = "cli", .actor = ""};

static struct turn_door by_hand(void)
{
	return (struct turn_door){.turn = world.turn, .alone = !world.turn->started};
}

/* "m-1,m-2 | kept": the ids of a list. Takes the answer. */
static const char *listed(json_t *answer, const char *key)
{
	static char out[4096];
	const json_t *item;
	size_t i;

	*out = '\0';
	json_array_foreach(json_object_get(answer, key), i, item) snprintf(
		out + strlen(out), sizeof out - strlen(out), "%s%s", i ? "," : "", json_string_value(item));
	json_decref(answer);
	return out;
}

/* --- much that waits --- */

struct later {
	pthread_t thread;
	int status;
};

static void *stop_thread(void *argument)
{
	struct later *later = argument;
	const struct turn_door by_the_thread = {.turn = world.turn};
	json_t *body = json_loads("{\"channels\":[]}", 0, NULL);
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	later->status =
		request_prefer(&by_the_thread, &asker, "ana", "card-alerts", body, false, NULL, &error);
	json_decref(body);
	text_release(&error);
	return NULL;
}

static void stop_later(struct later *later)
{
	assert_int_equal(pthread_create(&later->thread, NULL, stop_thread, later), 0);
	for (bool there = false; !there; pause_ms(1)) {
		pthread_mutex_lock(&world.turn->lock);
		there = world.turn->inbox.requests != NULL;
		pthread_mutex_unlock(&world.turn->lock);
	}
}

static int64_t counted(enum state state)
{
	struct turn_stats stats;

	turn_stats(world.turn, &stats);
	return stats.counters.states[state];
}

static void wait_many(void)
{
	customer_with_all("ana");
	prefer("ana", "card-alerts", "{\"channels\":[\"email\"],\"paused_until\":\"2100-01-01T00:00:00Z\"}",
	       NULL);
	for (int i = 0; i < MANY; i++) {
		char id[16];
		snprintf(id, sizeof id, "m-%d", i);
		admit(id, "ana", "card-alerts", "");
	}
	steps();
	assert_int_equal(counted(STATE_DEFERRED), MANY);
}

static void of_many_that_wait_a_turn_looks_at_some_and_none_of_the_rest_leaves(void **state)
{
	struct later later;

	(void)state;
	wait_many();
	stop_later(&later);
	step();
	pthread_join(later.thread, NULL);
	assert_int_equal(later.status, 200);
	assert_int_equal(counted(STATE_SUPPRESSED), TURN_AGAIN_MAX);
	step();
	assert_int_equal(counted(STATE_SUPPRESSED), 2 * TURN_AGAIN_MAX);
	steps();
	assert_int_equal(counted(STATE_SUPPRESSED), MANY);
	assert_int_equal(world.email.handed, 0);
	assert_int_equal(sum_holds(), MANY);
}

static void after_a_kill_the_next_start_looks_at_the_rest(void **state)
{
	struct again_at *left = NULL;
	struct later later;
	size_t count = 0;

	(void)state;
	wait_many();
	stop_later(&later);
	step();
	pthread_join(later.thread, NULL);
	world_crash();
	steps();
	assert_int_equal(counted(STATE_SUPPRESSED), MANY);
	assert_int_equal(sum_holds(), MANY);
	assert_true(store_begin(world.store) && store_get_again(world.store, &left, &count));
	store_rollback(world.store);
	assert_int_equal(count, 0); /* and it is not done once more */
	free(left);
}

static void what_waits_is_chosen_for_when_it_is_claimed_though_nobody_looked_again(void **state)
{
	struct later later;

	(void)state;
	wait_many();
	stop_later(&later);
	step();
	pthread_join(later.thread, NULL);
	struct customer *ana = NULL;
	assert_true(store_begin(world.store) && store_get_customer(world.store, "ana", &ana) &&
		    store_drop_again(world.store, ana->n) && store_commit(world.store));
	customer_free(ana);
	world_crash(); /* the rest was not looked at, and nobody remembers it */
	world.turn->ahead = 100 * 365 * MOMENT_DAY;
	steps();
	assert_int_equal(counted(STATE_SUPPRESSED), MANY);
	assert_int_equal(world.email.handed, 0);
}

/* --- several products --- */

static int put_all(const char *json, json_t **answer)
{
	const struct turn_door in = by_hand();
	json_t *list = json_loads(json, 0, NULL);

	assert_non_null(list);
	text_clear(&problem);
	int status = request_preferences(&in, &asker, "ana", list, false, answer, &problem);
	json_decref(list);
	return status;
}

static void all_preferences_are_one_commit_and_one_list(void **state)
{
	json_t *answer = NULL;

	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts/fraud", "");
	admit("m-2", "ana", "terms", "");
	admit("m-3", "ana", "alarm", "");
	step();
	begin(&world.email, "m-1");
	begin(&world.email, "m-2");
	begin(&world.sms, "m-3");
	assert_int_equal(put_all("[{\"product\":\"card-alerts\",\"channels\":[]},"
				 "{\"product\":\"terms\",\"channels\":[\"sms\"]}]",
				 &answer),
			 200);
	assert_int_equal(json_array_size(json_object_get(answer, "preferences")), 2);
	const char *ids = listed(answer, "on_their_way");
	assert_true(strcmp(ids, "m-1,m-2") == 0 || strcmp(ids, "m-2,m-1") == 0);
}

static void of_several_preferences_with_one_that_is_wrong_none_is_written(void **state)
{
	(void)state;
	customer_with_all("ana");
	assert_int_equal(put_all("[{\"product\":\"card-alerts\",\"channels\":[]},"
				 "{\"product\":\"terms\",\"channels\":[]}]",
				 NULL),
			 422);
	assert_non_null(strstr(problem.data, "preferences[1]."));
	assert_int_equal(put_all("[{\"product\":\"card-alerts\"},{\"product\":\"card-alerts\"}]", NULL), 422);
	assert_non_null(strstr(problem.data, "preferences[1].product: stands there twice"));
	assert_int_equal(events_typed("heed.preference.changed"), 0);
	admit("m-1", "ana", "card-alerts", "");
	step();
	is(state_of("m-1"), "sending");
}

static void stop_everything_stops_also_what_is_not_in_the_products_file_now(void **state)
{
	static const char without[] = "news: {title: {en: News}, purpose: marketing, channels: [email]}\n";
	struct config *before = config_hold(world.config);
	const struct turn_door in = by_hand();
	json_t *answer = NULL;

	(void)state;
	customer_with_all("ana");
	prefer("ana", "card-alerts", "{\"channels\":[\"sms\"]}", NULL);
	world_reload(world_config(NULL, without));
	step();
	assert_int_equal(prefer("ana", "card-alerts", "{\"channels\":[]}", NULL), 404);
	assert_int_equal(request_stop_all(&in, &asker, "ana", NULL, &answer, &problem), 200);
	assert_int_equal(json_array_size(json_object_get(answer, "preferences")), 2);
	json_decref(answer);
	world_reload(before);
	step();
	admit("m-1", "ana", "card-alerts", "");
	step();
	is(state_of("m-1"), "suppressed");
}

static void facts_that_were_read_too_early_change_nothing(void **state)
{
	const struct turn_door in = by_hand();
	json_t *moved = json_loads("{\"addresses\":{\"sms\":[]}}", 0, NULL);
	struct customer *read = NULL;
	struct preference *none = NULL;
	size_t count = 0;

	(void)state;
	customer_with_all("ana");
	assert_true(store_read_customer(world.reader, "ana", &read, &none, &count));
	struct asker page = {.by = "page", .actor = "", .facts = read->seq};
	customer_is("ana", "{\"id\":\"ana\",\"name\":\"Ana\",\"addresses\":{\"sms\":\"+34600000199\"}}");
	assert_int_equal(request_customer(&in, &page, "ana", moved, true, NULL, &problem), 409);
	customer_free(read);
	assert_true(store_read_customer(world.reader, "ana", &read, &none, &count));
	assert_int_equal(read->address_count, 1);
	page.facts = read->seq;
	assert_int_equal(request_customer(&in, &page, "ana", moved, true, NULL, &problem), 200);
	customer_free(read);
	json_decref(moved);
}

static void stop_everything_stops_all_that_may_be_and_keeps_the_hours(void **state)
{
	const struct turn_door in = by_hand();
	json_t *how = json_loads("{\"source\":\"page\",\"evidence\":{\"wording\":\"Stop it all\"}}", 0, NULL);
	json_t *answer = NULL, *item;
	struct change *changes = NULL;
	size_t count = 0, i;

	(void)state;
	customer_with_all("ana");
	prefer("ana", "card-alerts", "{\"channels\":[\"sms\"],\"hours\":\"mon-fri 09:00-18:00\"}", NULL);
	prefer("ana", "news", "{\"channels\":[\"email\"]}", NULL);
	prefer("ana", "terms", "{\"channels\":[\"sms\"]}", NULL);
	assert_int_equal(request_stop_all(&in, &asker, "ana", how, &answer, &problem), 200);
	json_array_foreach(json_object_get(answer, "preferences"), i, item)
	{
		bool terms = strcmp(json_string_value(json_object_get(item, "product")), "terms") == 0;
		assert_int_equal(json_array_size(json_object_get(item, "channels")), terms ? 1 : 0);
		if (strcmp(json_string_value(json_object_get(item, "product")), "card-alerts") == 0)
			is(json_string_value(json_object_get(item, "hours")), "mon-fri 09:00-18:00");
	}
	assert_int_equal(i, 4);
	is(listed(answer, "not_stopped"), "terms");
	json_decref(how);
	assert_true(store_read_changes(world.reader, 0, 0, 100, &changes, &count));
	assert_string_equal(changes[count - 1].evidence, "{\"wording\":\"Stop it all\"}");
	for (i = 0; i < count; i++)
		change_release(&changes[i]);
	free(changes);
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "alarm", "");
	admit("m-3", "ana", "terms", "");
	step();
	is(state_of("m-1"), "suppressed");
	is(state_of("m-2"), "suppressed");
	is(state_of("m-3"), "sending");
}

/* --- addresses --- */

static void nothing_leaves_for_an_address_that_was_changed_but_what_is_listed(void **state)
{
	json_t *answer = NULL;

	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	assert_int_equal(customer_put("ana", "{\"addresses\":{\"email\":\"new@example.com\"}}", &answer),
			 200);
	is(listed(answer, "on_their_way"), "m-1");
	assert_false(attempt_begin(held(&world.email, "m-2")));
	report(&world.email, "m-2", OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "");
	step();
	is(held(&world.email, "m-2")->address, "new@example.com");
}

/* --- doubts --- */

static void an_attempt_in_doubt_stays_listed_when_its_message_was_sent_again(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	steps_for(60 * MOMENT_MS);
	begin(&world.email, "m-1");
	taken(&world.email, "m-1");
	step();
	is(state_of("m-1"), "sent");
	is(prefer_way("ana", "card-alerts", "[]"), "m-1");
	world.turn->ahead += world.config->gateway.attempt_open_max + MOMENT_S;
	is(prefer_way("ana", "card-alerts", "[\"sms\"]"), "");
}

static void what_a_crash_left_in_doubt_is_listed_once(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	world_crash();
	is(prefer_way("ana", "card-alerts", "[]"), "m-1");
}

/* --- a new configuration --- */

static void what_was_claimed_under_other_products_and_has_not_begun_is_chosen_again(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	world_reload(world_config(NULL, "card-alerts: { channels: [sms, email], default: [sms] }\n"));
	step();
	assert_false(attempt_begin(held(&world.email, "m-2")));
	is(contacts_of("m-2"), "1:email:called_back 1:sms:sending");
	is(contacts_of("m-1"), "1:email:sending");
}

/* --- in time, or not at all --- */

struct slow {
	struct request base;
	struct text words;
};

/* Writes, and finds that its time is over. */
static bool slow_run(struct request *request, struct turn *turn)
{
	struct hold hold = {.kind = HOLD_CAMPAIGN,
			    .name = (char *)"slow",
			    .why = (char *)"",
			    .by = (char *)"",
			    .actor = (char *)"",
			    .seq = 1};

	request->status = 200;
	request->answer = json_object();
	request->deadline = 1;
	return store_put_hold(turn->store, &hold);
}

static void *slow_thread(void *argument)
{
	struct slow *slow = argument;

	turn_call(world.turn, &slow->base);
	return NULL;
}

static void a_change_that_is_late_before_its_commit_is_rolled_back_and_the_rest_goes_on(void **state)
{
	struct slow slow = {.base = {.run = slow_run}};
	struct hold *holds = NULL;
	pthread_t thread;
	size_t count = 0;

	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	text_init(&slow.base.problem, TEXT_ERROR_MAX);
	assert_int_equal(pthread_create(&thread, NULL, slow_thread, &slow), 0);
	for (bool there = false; !there; pause_ms(1)) {
		pthread_mutex_lock(&world.turn->lock);
		there = world.turn->inbox.requests != NULL;
		pthread_mutex_unlock(&world.turn->lock);
	}
	assert_false(turn_step(world.turn));
	pthread_join(thread, NULL);
	assert_int_equal(slow.base.status, 503);
	assert_non_null(strstr(slow.base.problem.data, "nothing was changed"));
	json_decref(slow.base.answer);
	text_release(&slow.base.problem);
	is(state_of("m-1"), "unknown");
	step();
	is(state_of("m-1"), "sending");
	assert_true(store_read_holds(world.reader, &holds, &count));
	assert_int_equal(count, 0);
	free(holds);
	assert_false(trouble_has(&world.turn->troubles, TROUBLE_STORE));
}

static void a_change_that_no_turn_took_is_answered_in_time(void **state)
{
	struct later later;
	int64_t from = moment_mono();

	(void)state;
	customer_with_all("ana");
	stop_later(&later); /* no turn runs */
	pthread_join(later.thread, NULL);
	assert_int_equal(later.status, 503);
	assert_true(moment_mono() - from >= 2 * MOMENT_S);
	step();
	admit("m-1", "ana", "card-alerts", "");
	step();
	is(state_of("m-1"), "sending");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(of_many_that_wait_a_turn_looks_at_some_and_none_of_the_rest_leaves),
		ON_BOTH(after_a_kill_the_next_start_looks_at_the_rest),
		ON_BOTH(what_waits_is_chosen_for_when_it_is_claimed_though_nobody_looked_again),
		ON_BOTH(all_preferences_are_one_commit_and_one_list),
		ON_BOTH(of_several_preferences_with_one_that_is_wrong_none_is_written),
		ON_BOTH(stop_everything_stops_all_that_may_be_and_keeps_the_hours),
		ON_BOTH(stop_everything_stops_also_what_is_not_in_the_products_file_now),
		ON_BOTH(facts_that_were_read_too_early_change_nothing),
		ON_BOTH(nothing_leaves_for_an_address_that_was_changed_but_what_is_listed),
		ON_BOTH(an_attempt_in_doubt_stays_listed_when_its_message_was_sent_again),
		ON_BOTH(what_a_crash_left_in_doubt_is_listed_once),
		IN_MEMORY(what_was_claimed_under_other_products_and_has_not_begun_is_chosen_again),
		ON_BOTH(a_change_that_is_late_before_its_commit_is_rolled_back_and_the_rest_goes_on),
		IN_MEMORY(a_change_that_no_turn_took_is_answered_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
