/* A choice changes: what is called back, listed, chosen again, refused. */
#include <pthread.h>
#include <time.h>

#include "turn_fixture.h"
#include "banned.h"

/* --- what had begun, and what had not --- */

static void what_has_not_begun_is_called_back_and_chosen_again_in_the_same_commit(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	is(prefer_way("ana", "card-alerts", "[\"sms\"]"), "");
	is(state_of("m-1"), "sending");
	is(contacts_of("m-1"), "1:email:called_back 1:sms:sending");
	is(events_of("m-1"), "queued sending sending");
	assert_false(attempt_begin(held(&world.email, "m-1")));
	report(&world.email, "m-1", OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "");
	step();
	begin(&world.sms, "m-1");
	taken(&world.sms, "m-1");
	step();
	is(state_of("m-1"), "sent");
	is(contacts_of("m-1"), "1:email:called_back 1:sms:sent");
	assert_int_equal(world.turn->flight_count, 0);
	sum_holds();
}

static void a_stop_suppresses_what_has_not_begun_and_lists_what_has(void **state)
{
	(void)state;
	customer_with_all("ana");
	customer_with_all("bob");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	admit("m-3", "ana", "card-alerts/fraud", "");
	admit("m-4", "ana", "terms", "");
	admit("m-5", "bob", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	begin(&world.email, "m-3");
	begin(&world.email, "m-4");
	is(prefer_way("ana", "card-alerts", "[]"), "m-1,m-3");
	is(state_of("m-1"), "sending");
	is(state_of("m-2"), "suppressed");
	is(contacts_of("m-2"), "1:email:called_back");
	is(state_of("m-4"), "sending");
	begin(&world.email, "m-5"); /* another customer's: not touched */
	assert_false(attempt_begin(held(&world.email, "m-2")));
	sum_holds();
}

static void what_is_in_doubt_is_listed(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.sms, "m-1");
	report(&world.sms, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	step();
	is(prefer_way("ana", "card-alerts", "[]"), "m-1");
	is(state_of("m-1"), "in_doubt");
	world.config->gateway.attempt_open_max = 1;
	is(prefer_way("ana", "card-alerts", "[]"), "");
}

struct later {
	pthread_t thread;
	const char *customer, *product, *json;
	int status;
	json_t *answer;
};

static void *prefer_later_thread(void *argument)
{
	struct later *later = argument;
	const struct turn_door by_the_thread = {.turn = world.turn, .alone = false};
	const struct asker asker = {.by = "cli", .actor = ""};
	json_t *body = json_loads(later->json, 0, NULL);
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	later->status = request_prefer(&by_the_thread, &asker, later->customer, later->product, body, false,
				       &later->answer, &error);
	json_decref(body);
	text_release(&error);
	return NULL;
}

static void pause_ms(long ms)
{
	const struct timespec pause = {.tv_nsec = ms * 1000000};
	nanosleep(&pause, NULL);
}

/* Waits in the inbox, so that the next step takes it with all else that waits there. */
static void prefer_later(struct later *later)
{
	assert_int_equal(pthread_create(&later->thread, NULL, prefer_later_thread, later), 0);
	for (bool there = false; !there; pause_ms(1)) {
		pthread_mutex_lock(&world.turn->lock);
		there = world.turn->inbox.requests != NULL;
		pthread_mutex_unlock(&world.turn->lock);
	}
}

static void what_becomes_in_doubt_in_the_very_turn_is_listed(void **state)
{
	struct later later = {.customer = "ana", .product = "card-alerts", .json = "{\"channels\":[]}"};

	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	prefer_later(&later);
	step();
	pthread_join(later.thread, NULL);
	assert_int_equal(later.status, 200);
	const json_t *list = json_object_get(later.answer, "on_their_way");
	assert_int_equal(json_array_size(list), 1);
	is(json_string_value(json_array_get(list, 0)), "m-1");
	json_decref(later.answer);
	is(state_of("m-1"), "in_doubt");
}

static void a_resend_that_is_called_back_is_still_in_doubt_and_listed(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	steps_for(60 * MOMENT_MS);
	is(state_of("m-1"), "sending");
	is(prefer_way("ana", "card-alerts", "[\"sms\"]"), "m-1");
	is(state_of("m-1"), "in_doubt");
	is(events_of("m-1"), "queued sending in_doubt sending in_doubt");
	is(contacts_of("m-1"), "1:email:in_doubt 2:email:called_back");
	assert_int_equal(world.sms.handed, 0);
	sum_holds();
}

static void a_change_that_came_with_a_message_holds_for_it(void **state)
{
	struct later later = {
		.customer = "ana", .product = "card-alerts", .json = "{\"channels\":[\"sms\"]}"};

	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	prefer_later(&later);
	step();
	pthread_join(later.thread, NULL);
	json_decref(later.answer);
	is(contacts_of("m-1"), "1:sms:sending");
}

/* --- what it touches --- */

static void parts_follow_unless_chosen_for_and_nothing_else_is_touched(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts/fraud", "[\"email\"]");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts/fraud", "");
	admit("m-3", "ana", "terms", "");
	step();
	is(prefer_way("ana", "card-alerts", "[\"sms\"]"), "");
	is(contacts_of("m-1"), "1:email:called_back 1:sms:sending");
	assert_true(strstr(contacts_of("m-2"), "email:sending"));
	is(contacts_of("m-3"), "1:email:sending");
}

static void the_choice_for_all_touches_what_follows_it(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\"]");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "terms", "");
	admit("m-3", "ana", "alarm", "");
	step();
	begin(&world.email, "m-2");
	is(prefer_way("ana", "*", "[\"webhook\",\"sms\"]"), "m-2");
	is(contacts_of("m-1"), "1:email:sending");
	is(contacts_of("m-2"), "1:email:sending");
	is(state_of("m-3"), "sending");
	is(prefer_way("ana", "*", "[]"), "m-2");
	is(state_of("m-3"), "suppressed");
	is(contacts_of("m-1"), "1:email:sending");
	begin(&world.email, "m-1");
	sum_holds();
}

/* --- what waits --- */

static void what_waits_is_reconsidered_at_once(void **state)
{
	(void)state;
	customer_with_all("ana");
	line_find(world.turn, "email")->outlets[0].channel->credit = 1;
	admit("m-0", "ana", "terms", "");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts/fraud", "");
	step();
	is(state_of("m-1"), "queued");
	is(state_of("m-2"), "queued");
	is(prefer_way("ana", "card-alerts/fraud", "[\"sms\"]"), "");
	is(contacts_of("m-2"), "1:sms:sending");
	is(state_of("m-1"), "queued");
	is(prefer_way("ana", "card-alerts", "[]"), "");
	is(state_of("m-1"), "suppressed");
	is(contacts_of("m-1"), "0::suppressed");
	sum_holds();
}

static void a_retry_that_waits_moves_to_the_new_channel_with_patience_of_its_own(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	struct outcome later = outcome_make(OUTCOME_RETRY, SCOPE_MESSAGE, "450", "later");
	later.retry_after = MOMENT_HOUR;
	report_outcome(&world.email, "m-1", later);
	step();
	is(prefer_way("ana", "card-alerts", "[\"sms\"]"), "");
	is(contacts_of("m-1"), "1:email:retry 2:sms:sending");
	struct message_row row = row_of("m-1");
	assert_int_equal(row.tries, 1);
	message_row_release(&row);
}

static void the_same_channel_again_changes_neither_place_nor_pause(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	struct outcome later = outcome_make(OUTCOME_RETRY, SCOPE_MESSAGE, "450", "later");
	later.retry_after = MOMENT_HOUR;
	report_outcome(&world.email, "m-1", later);
	step();
	struct message_row before = row_of("m-1");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	struct message_row after = row_of("m-1");
	assert_int_equal(before.due, after.due);
	is(after.waits_for, "email");
	message_row_release(&before);
	message_row_release(&after);
	is(events_of("m-1"), "queued sending deferred");
}

/* --- what is refused --- */

static void a_version_that_was_changed_meanwhile_is_refused(void **state)
{
	(void)state;
	customer_with_all("ana");
	assert_int_equal(prefer("ana", "card-alerts", "{\"channels\":[\"sms\"],\"version\":0}", NULL), 200);
	assert_int_equal(prefer("ana", "card-alerts", "{\"channels\":[],\"version\":0}", NULL), 409);
	assert_int_equal(prefer("ana", "card-alerts", "{\"channels\":[],\"version\":1}", NULL), 200);
	assert_int_equal(prefer("ana", "card-alerts", "{\"channels\":[],\"version\":1}", NULL), 409);
	assert_int_equal(prefer("ana", "card-alerts", "{\"channels\":[\"email\"]}", NULL), 200);
	assert_int_equal(events_typed("heed.preference.changed"), 3);
}

static void what_may_not_be_chosen_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "terms", "");
	step();
	assert_int_equal(prefer("ana", "terms", "{\"channels\":[]}", NULL), 422);
	assert_int_equal(prefer("ana", "terms", "{\"channels\":[\"webhook\"]}", NULL), 422);
	assert_int_equal(prefer("ana", "terms", "{\"channels\":[\"pigeon\"]}", NULL), 422);
	assert_int_equal(prefer("ana", "loans", "{\"channels\":[]}", NULL), 404);
	assert_int_equal(prefer("bob", "terms", "{\"channels\":[\"sms\"]}", NULL), 404);
	begin(&world.email, "m-1");
	assert_int_equal(events_typed("heed.preference.changed"), 0);
}

static size_t preferences_of(const char *id, int64_t *version)
{
	struct customer *customer = NULL;
	struct preference *preferences = NULL;
	size_t count = 0;

	assert_true(store_read_customer(world.reader, id, &customer, &preferences, &count));
	*version = count ? preferences[0].version : 0;
	for (size_t i = 0; i < count; i++)
		preference_release(&preferences[i]);
	free(preferences);
	customer_free(customer);
	return count;
}

static void a_put_with_one_bad_preference_writes_nothing(void **state)
{
	int64_t version;

	(void)state;
	assert_int_equal(customer_put("ana",
				      "{\"addresses\":{\"email\":\"ana@example.com\"},\"preferences\":["
				      "{\"product\":\"card-alerts\",\"channels\":[\"sms\"]},"
				      "{\"product\":\"terms\",\"channels\":[]}]}",
				      NULL),
			 422);
	assert_non_null(strstr(problem.data, "preferences[1]."));
	struct customer *customer = NULL;
	struct preference *preferences = NULL;
	size_t count = 0;
	store_read_customer(world.reader, "ana", &customer, &preferences, &count);
	assert_null(customer);
	assert_int_equal(events_typed("heed.preference.changed"), 0);
	customer_with_all("ana");
	assert_int_equal(customer_put("ana",
				      "{\"addresses\":{},\"preferences\":["
				      "{\"product\":\"card-alerts\",\"channels\":[\"sms\"]},"
				      "{\"product\":\"terms\",\"channels\":[]}]}",
				      NULL),
			 422);
	assert_int_equal(preferences_of("ana", &version), 0);
	admit("m-1", "ana", "card-alerts", "");
	step();
	is(contacts_of("m-1"), "1:email:sending");
}

static void a_put_that_takes_an_address_away_calls_back(void **state)
{
	json_t *answer = NULL;

	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-2");
	assert_int_equal(customer_put("ana", "{\"addresses\":{\"sms\":\"+49301234567\"}}", &answer), 200);
	assert_int_equal(json_array_size(json_object_get(answer, "on_their_way")), 1);
	json_decref(answer);
	is(contacts_of("m-1"), "1:email:called_back 1:sms:sending");
	is(contacts_of("m-2"), "1:email:sending");
	sum_holds();
}

static json_t *import(const char *json)
{
	const struct turn_door by_hand = {.turn = world.turn, .alone = true};
	const struct asker asker = {.by = "import", .actor = ""};
	json_t *body = json_loads(json, 0, NULL), *answer = NULL;

	assert_non_null(body);
	struct import_batch *batch = import_batch_read(world.config, body);
	assert_int_equal(request_import(&by_hand, &asker, batch, &answer, &problem), 200);
	import_batch_free(batch);
	json_decref(body);
	return answer;
}

static void an_import_never_loosens_a_choice_that_the_customer_made(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[]");
	json_t *answer = import("[{\"id\":\"ana\",\"preferences\":["
				"{\"product\":\"card-alerts\",\"channels\":[\"email\"]},"
				"{\"product\":\"terms\",\"channels\":[\"sms\"]}]}]");
	is(json_string_value(json_array_get(json_object_get(json_array_get(answer, 0), "kept"), 0)),
	   "card-alerts");
	json_decref(answer);
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "terms", "");
	step();
	is(state_of("m-1"), "suppressed");
	is(contacts_of("m-2"), "1:sms:sending");
	/* what an import wrote, an import may change */
	json_decref(import(
		"[{\"id\":\"ana\",\"preferences\":[{\"product\":\"terms\",\"channels\":[\"email\"]}]}]"));
	admit("m-3", "ana", "terms", "");
	step();
	is(contacts_of("m-3"), "1:email:sending");
}

static void each_customer_of_an_import_stands_alone(void **state)
{
	(void)state;
	json_t *answer = import("[{\"id\":\"ana\",\"addresses\":{\"email\":\"ana@example.com\"}},"
				"{\"id\":\"bob\",\"preferences\":[{\"product\":\"none\",\"channels\":[]}]},"
				"{\"id\":\"eve\",\"addresses\":{\"email\":\"nonsense\"}},"
				"{\"id\":\"joe\"}]");
	static const int wanted[] = {201, 422, 422, 201};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(json_integer_value(json_object_get(json_array_get(answer, i), "status")),
				 wanted[i]);
	json_decref(answer);
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "bob", "card-alerts", "");
	step();
	is(state_of("m-1"), "sending");
	is(state_of("m-2"), "unknown");
}

static void hours_and_channels_of_two_choices_must_meet(void **state)
{
	(void)state;
	customer_with_all("ana");
	assert_int_equal(prefer("ana", "*",
				"{\"channels\":[{\"channel\":\"sms\",\"hours\":\"sat 10:00-14:00\"}]}", NULL),
			 200);
	assert_int_equal(prefer("ana", "card-alerts", "{\"hours\":\"mon-fri 09:00-20:00\"}", NULL), 422);
	assert_non_null(strstr(problem.data, "a message about card-alerts would never go by sms"));
	assert_int_equal(prefer("ana", "card-alerts", "{\"hours\":\"fri-sat 09:00-20:00\"}", NULL), 200);
	assert_int_equal(prefer("ana", "*",
				"{\"channels\":[{\"channel\":\"sms\",\"hours\":\"sun 10:00-14:00\"}]}", NULL),
			 422);
	assert_int_equal(prefer("ana", "*", "{\"channels\":[\"sms\"]}", NULL), 200);
	/* advertising to whom no zone is known of goes by day */
	assert_int_equal(prefer("ana", "news",
				"{\"channels\":[{\"channel\":\"sms\",\"hours\":\"21:00-23:00\"}]}", NULL),
			 422);
	assert_int_equal(prefer("ana", "news",
				"{\"hours\":\"20:00-23:00\",\"channels\":[{\"channel\":\"sms\",\"hours\":"
				"\"21:00-23:00\"}]}",
				NULL),
			 200);
	/* what the company changed since keeps nobody from a stop, or a pause */
	assert_int_equal(prefer("ana", "card-alerts",
				"{\"channels\":[{\"channel\":\"sms\",\"hours\":\"21:00-23:00\"}]}", NULL),
			 200);
	world_reload(world_config(NULL, "card-alerts: { channels: [sms, email], default: [sms], quiet_hours: "
					"\"20:00-24:00\" }\n"));
	step();
	assert_int_equal(prefer("ana", "*", "{\"channels\":[]}", NULL), 200);
	const char *later = "{\"channels\":[{\"channel\":\"sms\",\"hours\":\"21:00-23:00\"}],\"paused_"
			    "until\":\"2100-01-01T00:00:00Z\"}";
	assert_int_equal(prefer("ana", "card-alerts", later, NULL), 200);
	assert_int_equal(prefer("ana", "card-alerts", "{\"channels\":[]}", NULL), 200);
	assert_int_equal(prefer("ana", "card-alerts", later, NULL), 422);
	assert_non_null(
		strstr(problem.data, "channels[0].hours: 21:00-23:00 never opens together with the quiet"));
}

/* As heed prefer and PATCH change it: only the keys that are there. */
static int patch(const char *customer, const char *product, const char *json)
{
	const struct turn_door in = {.turn = world.turn, .alone = true};
	const struct asker asker = {.by = "cli", .actor = ""};
	json_t *body = json_loads(json, 0, NULL), *answer = NULL;

	text_clear(&problem);
	int status = request_prefer(&in, &asker, customer, product, body, true, &answer, &problem);
	json_decref(answer);
	json_decref(body);
	return status;
}

static void what_a_change_leaves_as_it_was_is_not_judged_again(void **state)
{
	(void)state;
	customer_with_all("ana");
	assert_int_equal(prefer("ana", "card-alerts", "{\"channels\":[\"sms\"]}", NULL), 200);
	world_reload(world_config(NULL, "card-alerts: { channels: [email], default: [email] }\n"));
	step();
	assert_int_equal(patch("ana", "card-alerts", "{\"paused_until\":\"2100-01-01T00:00:00Z\"}"), 200);
	world_reload(world_config(NULL,
				  "card-alerts: { channels: [email], default: [email], may_stop: false }\n"));
	step();
	assert_int_equal(patch("ana", "card-alerts", "{\"hours\":\"00:00-24:00\"}"), 200);
	assert_int_equal(patch("ana", "card-alerts", "{\"paused_until\":\"2100-01-01T00:00:00Z\"}"), 422);
	assert_int_equal(patch("ana", "card-alerts", "{\"channels\":[\"sms\"]}"), 422);
	admit("m-1", "ana", "card-alerts", "");
	step();
	is(state_of("m-1"), "failed");
	assert_non_null(strstr(reasons_of("m-1"), "none_offered"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MEMORY(hours_and_channels_of_two_choices_must_meet),
		IN_MEMORY(what_a_change_leaves_as_it_was_is_not_judged_again),
		ON_BOTH(what_has_not_begun_is_called_back_and_chosen_again_in_the_same_commit),
		ON_BOTH(a_stop_suppresses_what_has_not_begun_and_lists_what_has),
		ON_BOTH(what_is_in_doubt_is_listed),
		IN_MEMORY(what_becomes_in_doubt_in_the_very_turn_is_listed),
		IN_MEMORY(a_resend_that_is_called_back_is_still_in_doubt_and_listed),
		IN_MEMORY(a_change_that_came_with_a_message_holds_for_it),
		ON_BOTH(parts_follow_unless_chosen_for_and_nothing_else_is_touched),
		ON_BOTH(the_choice_for_all_touches_what_follows_it),
		ON_BOTH(what_waits_is_reconsidered_at_once),
		IN_MEMORY(a_retry_that_waits_moves_to_the_new_channel_with_patience_of_its_own),
		IN_MEMORY(the_same_channel_again_changes_neither_place_nor_pause),
		ON_BOTH(a_version_that_was_changed_meanwhile_is_refused),
		ON_BOTH(what_may_not_be_chosen_is_refused_and_changes_nothing),
		ON_BOTH(a_put_with_one_bad_preference_writes_nothing),
		ON_BOTH(a_put_that_takes_an_address_away_calls_back),
		ON_BOTH(an_import_never_loosens_a_choice_that_the_customer_made),
		ON_BOTH(each_customer_of_an_import_stands_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
