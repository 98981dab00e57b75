/* What is left of a customer who was erased, and the turn that takes the rest away. */
#include "erase.h"
#include "store_flaky.h"
#include "turn_fixture.h"
#include "banned.h"

#define KEY "0123456789abcdef0123456789abcdef"

/* --- names --- */

static void a_name_is_the_same_again_and_tells_kinds_and_keys_apart(void **state)
{
	char one[ERASED_NAME_SIZE], two[ERASED_NAME_SIZE];

	(void)state;
	erased_customer(KEY, "ana", one);
	erased_customer(KEY, "ana", two);
	is(one, two);
	assert_int_equal(strlen(one), ERASED_NAME_SIZE - 1);
	assert_true(erased_is_name(one));
	assert_null(strstr(one, "ana"));
	erased_customer("another key", "ana", two);
	assert_string_not_equal(one, two);
	erased_address(KEY, "sms", "ana", two);
	assert_string_not_equal(one, two);
	erased_address(KEY, "email", "ana", one);
	assert_string_not_equal(one, two);
}

/* --- texts --- */

static bool found(void *context, const char *channel, const char *value)
{
	struct text *seen = context;

	text_addf(seen, "%s=%s ", channel, value);
	return true;
}

static void of_facts_the_zone_and_the_shape_stay(void **state)
{
	static const char facts[] =
		"{\"id\":\"ana\",\"name\":\"Ana\",\"locale\":\"es\",\"timezone\":\"UTC\",\"addresses\":{"
		"\"sms\":[\"+491\",\"+492\"],\"webhook\":{\"url\":\"https://"
		"a.example\",\"secret\":\"whsec_x\"}},"
		"\"states\":[{\"channel\":\"sms\",\"address\":\"+492\",\"state\":\"dead\"}]}";
	struct text seen;
	bool ok;

	(void)state;
	text_init(&seen, 1000);
	char *left = erased_facts(KEY, "ana", facts, found, &seen, &ok);
	assert_true(ok);
	is(seen.data, "sms=+492 sms=+491 sms=+492 webhook=https://a.example ");
	json_t *json = json_loads(left, 0, NULL);
	is(json_string_value(json_object_get(json, "timezone")), "UTC");
	is(json_string_value(json_object_get(json, "name")), "");
	assert_int_equal(json_array_size(json_object_get(json_object_get(json, "addresses"), "sms")), 2);
	is(json_string_value(json_array_get(json_object_get(json_object_get(json, "addresses"), "sms"), 1)),
	   json_string_value(json_object_get(json_array_get(json_object_get(json, "states"), 0), "address")));
	static const char *const gone[] = {"ana\"", "Ana", "+49", "a.example", "whsec", "\"es\""};
	for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
		assert_null(strstr(left, gone[i]));
	char *again =
		erased_facts(KEY, "ana", left, found, &seen, &ok); /* it may be cut off and begin anew */
	is(again, left);
	char *nothing = erased_facts(KEY, "ana", "", NULL, NULL, &ok);
	is(nothing, "");
	free(again);
	free(left);
	free(nothing);
	json_decref(json);
	text_release(&seen);
}

static void of_reasons_words_go_and_codes_stay(void **state)
{
	(void)state;
	char *left = erased_reasons(
		"[{\"code\":\"unsendable\",\"args\":{\"channel\":\"sms\",\"error\":\"no Ana\"}},"
		"{\"code\":\"recorded\",\"args\":{\"answers\":7}}]");
	is(left, "[{\"code\":\"unsendable\",\"args\":{\"channel\":\"sms\",\"error\":\"-\"}},"
		 "{\"code\":\"recorded\",\"args\":{\"answers\":7}}]");
	free(left);
	left = erased_args("broken");
	is(left, "{}");
	free(left);
}

static void an_event_about_somebody_else_is_left_alone(void **state)
{
	(void)state;
	assert_null(erased_event(
		KEY, "ana",
		"{\"subject\":\"m-1\",\"data\":{\"customer\":\"bob\",\"meta\":{\"a\":\"ana\"}}}"));
	char *left = erased_event(
		KEY, "ana",
		"{\"type\":\"t\",\"subject\":\"ana\",\"data\":{\"customer\":\"ana\",\"product\":\"p\","
		"\"meta\":{\"name\":\"Ana\"},\"text\":\"I am Ana\"},\"traceparent\":\"00-ab\"}");
	assert_non_null(strstr(left, "\"product\":\"p\""));
	assert_null(strstr(left, "ana\""));
	assert_null(strstr(left, "Ana"));
	assert_null(strstr(left, "00-ab"));
	free(left);
}

/* --- the turn --- */

static int erase(const char *id, json_t **answer)
{
	const struct turn_door in = {.turn = world.turn, .alone = !world.turn->started};
	const struct asker asker = {.by = "cli", .actor = "clerk"};

	text_clear(&problem);
	return request_erase(&in, &asker, id, answer, &problem);
}

static void ana_has_messages(void)
{
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", ",\"send_at\":\"2100-01-01T00:00:00Z\"");
	admit("m-3", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	taken(&world.email, "m-1");
	step();
}

static void ana_is_gone_from(const char *message)
{
	struct message_row row = row_of(message);

	is(row.body, "");
	assert_null(strstr(row.reasons, "ana@"));
	assert_true(erased_is_name(row.customer_id));
	message_row_release(&row);
}

static void ana_is_gone(void)
{
	struct customer *customer = NULL;
	struct preference *preferences = NULL;
	struct change *changes = NULL;
	size_t count = 0, n = 0;

	ana_is_gone_from("m-1");
	assert_true(store_read_customer(world.reader, "ana", &customer, &preferences, &n));
	assert_null(customer);
	assert_true(store_read_changes(world.reader, 0, 0, 1000, &changes, &count));
	for (size_t i = 0; i < count; i++) {
		assert_null(strstr(changes[i].new_value, "ana@"));
		assert_null(strstr(changes[i].old_value, "ana@"));
		assert_string_not_equal(changes[i].subject, "ana");
		change_release(&changes[i]);
	}
	free(changes);
}

static void what_waits_or_has_not_begun_is_cancelled(void **state)
{
	json_t *answer = NULL;

	(void)state;
	ana_has_messages();
	assert_int_equal(erase("ana", &answer), 200);
	assert_int_equal(json_array_size(json_object_get(answer, "on_their_way")), 0);
	assert_true(json_is_true(json_object_get(answer, "finished")));
	json_decref(answer);
	is(state_of("m-1"), "sent");
	is(state_of("m-2"), "cancelled");
	is(state_of("m-3"), "cancelled");
	is(reasons_of("m-2"), "erased");
	assert_false(attempt_begin(held(&world.email, "m-3")));
	ana_is_gone();
	sum_holds();
	assert_int_equal(erase("ana", NULL), 200);
	assert_int_equal(erase("nobody", NULL), 404);
}

static void a_doubt_stays_one_and_is_not_sent_again(void **state)
{
	json_t *answer = NULL;

	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	step();
	assert_int_equal(erase("ana", &answer), 200);
	is(json_string_value(json_array_get(json_object_get(answer, "on_their_way"), 0)), "m-1");
	json_decref(answer);
	steps_for(60 * MOMENT_MS);
	is(state_of("m-1"), "in_doubt");
	assert_int_equal(world.email.handed, 1);
	sum_holds();
}

/* What was published since there were `before`, as text; the caller frees. */
static char *published_since(size_t before)
{
	json_t *since = json_array();

	collect();
	for (size_t i = before; i < world.event_count; i++)
		json_array_append(since, json_array_get(world_events(), i));
	char *events = json_dumps(since, JSON_COMPACT);
	json_decref(since);
	return events;
}

static void its_events_go_by_the_other_name(void **state)
{
	(void)state;
	ana_has_messages();
	collect();
	size_t before = world.event_count;
	assert_int_equal(erase("ana", NULL), 200);
	char *events = published_since(before);
	assert_non_null(strstr(events, "heed.message.cancelled"));
	assert_null(strstr(events, "\"ana\""));
	free(events);
}

/* What the first commit of an erasure leaves, and a kill directly after it. */
static void killed_after_the_first_commit(const char *id)
{
	struct customer *customer = NULL;
	char name[ERASED_NAME_SIZE];

	erased_customer(store_erasure_key(world.store), id, name);
	assert_true(store_begin(world.store) && store_get_customer(world.store, id, &customer) &&
		    store_erase_customer(world.store, customer->n, name, moment_now()) &&
		    store_commit(world.store));
	customer_free(customer);
	world_crash();
}

static void one_that_a_kill_cuts_off_goes_on_and_tells_nothing_of_theirs(void **state)
{
	static const char meta[] = ",\"meta\":{\"order\":\"of ana\"}";

	(void)state;
	customer_with_all("ana");
	admit("waits", "ana", "card-alerts",
	      ",\"meta\":{\"order\":\"of ana\"},\"send_at\":\"2100-01-01T00:00:00Z\"");
	admit("flies", "ana", "card-alerts", meta);
	step();
	begin(&world.email, "flies");
	collect();
	size_t before = world.event_count;
	killed_after_the_first_commit("ana");
	steps_for(600 * MOMENT_MS);
	assert_true(erasures_finished(world.turn));
	is(state_of("waits"), "cancelled");
	is(state_of("flies"), "in_doubt");
	char *events = published_since(before);
	assert_non_null(strstr(events, "heed.message.cancelled"));
	assert_non_null(strstr(events, "heed.message.in_doubt"));
	assert_null(strstr(events, "ana"));
	free(events);
	ana_is_gone_from("waits");
	ana_is_gone_from("flies");
	sum_holds();
}

static void the_files_are_cleaned_after_a_kill_that_came_before(void **state)
{
	(void)state;
	world_crash();
	assert_false(erasures_finished(world.turn));
	steps();
	assert_true(erasures_finished(world.turn));
}

static void a_store_that_fails_anywhere_leaves_an_erasure_that_can_be_asked_for_again(void **state)
{
	(void)state;
	for (long k = 1; k < 120; k += 3) {
		ana_has_messages();
		flaky_attach(world.store);
		flaky_fail(k);
		int status = erase("ana", NULL);
		flaky_fail(0);
		if (status != 200)
			assert_int_equal(erase("ana", NULL), 200);
		ana_is_gone();
		is(state_of("m-2"), "cancelled");
		sum_holds();
		world_close(state);
		world_open_memory(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_the_same_again_and_tells_kinds_and_keys_apart),
		cmocka_unit_test(of_facts_the_zone_and_the_shape_stay),
		cmocka_unit_test(of_reasons_words_go_and_codes_stay),
		cmocka_unit_test(an_event_about_somebody_else_is_left_alone),
		ON_BOTH(what_waits_or_has_not_begun_is_cancelled),
		ON_BOTH(a_doubt_stays_one_and_is_not_sent_again),
		ON_BOTH(its_events_go_by_the_other_name),
		ON_BOTH(one_that_a_kill_cuts_off_goes_on_and_tells_nothing_of_theirs),
		ON_BOTH(the_files_are_cleaned_after_a_kill_that_came_before),
		IN_MEMORY(a_store_that_fails_anywhere_leaves_an_erasure_that_can_be_asked_for_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
