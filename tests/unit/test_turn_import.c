/* Many customers in one turn: what is written for all at once is what would have been written one by one. */
#include "store_flaky.h"
#include "turn_fixture.h"
#include "banned.h"

static json_t *import_as(const char *by, const char *json, bool recreate)
{
	const struct turn_door by_hand = {.turn = world.turn, .alone = true};
	const struct asker asker = {.by = by, .actor = "", .recreate = recreate};
	json_t *body = json_loads(json, 0, NULL), *answer = NULL;

	assert_non_null(body);
	struct import_batch *batch = import_batch_read(world.config, body);
	int status = request_import(&by_hand, &asker, batch, &answer, &problem);
	import_batch_free(batch);
	json_decref(body);
	if (status != 200) {
		json_decref(answer);
		return NULL;
	}
	return answer;
}

static json_t *import(const char *json)
{
	json_t *answer = import_as("import", json, false);

	assert_non_null(answer);
	return answer;
}

/* "201 200 422" */
static const char *statuses(json_t *answer)
{
	static char out[128];
	const json_t *result;
	size_t i, len = 0;

	json_array_foreach(answer, i, result) len +=
		(size_t)snprintf(out + len, sizeof out - len, "%s%lld", i ? " " : "",
				 (long long)json_integer_value(json_object_get(result, "status")));
	json_decref(answer);
	return out;
}

/* What the log of changes has of customers and addresses, a line each, without numbers and times. */
static char *log_lines(void)
{
	struct change *changes = NULL;
	size_t count = 0;
	struct text out;

	text_init(&out, 1 << 20);
	assert_true(store_read_changes(world.reader, 0, 0, 10000, &changes, &count));
	for (size_t i = 0; i < count; i++) {
		if (changes[i].kind <= CHANGE_ADDRESS)
			text_addf(&out, "%d %s %s %s -> %.*s\n", (int)changes[i].kind, changes[i].subject,
				  changes[i].by, changes[i].old_value,
				  (int)(strstr(changes[i].new_value, "\"changed_at\"")
						? strstr(changes[i].new_value, "\"changed_at\"") -
							  changes[i].new_value
						: (long)strlen(changes[i].new_value)),
				  changes[i].new_value);
		change_release(&changes[i]);
	}
	free(changes);
	return text_detach(&out);
}

static size_t log_length(void)
{
	char *lines = log_lines();
	size_t count = 0;

	for (const char *at = lines; (at = strchr(at, '\n')); at++)
		count++;
	free(lines);
	return count;
}

static char *shown(const char *id)
{
	struct customer *customer = NULL;
	struct preference *chosen = NULL;
	size_t count = 0;
	struct text out;

	text_init(&out, 1 << 16);
	assert_true(store_read_customer(world.reader, id, &customer, &chosen, &count));
	char *facts = customer ? customer_to_text(customer) : xstrdup("nobody");
	text_addf(&out, "%s", facts);
	for (size_t i = 0; i < count; i++) {
		text_addf(&out, " %s:%zu:%lld", chosen[i].product, chosen[i].channel_count,
			  (long long)chosen[i].version);
		preference_release(&chosen[i]);
	}
	free(facts);
	free(chosen);
	customer_free(customer);
	return text_detach(&out);
}

static void shows(const char *id, const char *wanted)
{
	char *got = shown(id);

	is(got, wanted);
	free(got);
}

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static const char *const people[] = {
	"{\"id\":\"ana\",\"name\":\"Ana \\\"A\\\" "
	"Díaz\",\"locale\":\"es-AR\",\"addresses\":{\"email\":\"a@x.example\"}}",
	"{\"id\":\"bob\",\"timezone\":\"Europe/"
	"Berlin\",\"addresses\":{\"sms\":[\"+491111111\",\"+492222222\"],"
	"\"webhook\":{\"url\":\"https://x.example/b\",\"secret\":\"" SECRET "\"}},"
	"\"preferences\":[{\"product\":\"card-alerts\",\"channels\":[\"sms\"],\"given_at\":\"2020-01-01T00:"
	"00:00Z\","
	"\"source\":\"branch\",\"evidence\":{\"wording\":\"yes\"}},{\"product\":\"news\",\"channels\":null},"
	"{\"product\":\"*\",\"channels\":[]}]}",
	"{\"id\":\"eve\",\"addresses\":{\"email\":[\"a@x.example\"],\"sms\":null,"
	"\"webhook\":{\"url\":\"https://x.example/e\",\"secret\":[\"" SECRET "\",\"" SECRET "\"]}}}",
	"{\"id\":\"joe\",\"name\":\"\",\"addresses\":{},\"preferences\":[]}",
};

static char *all_of_them(void)
{
	struct text out;

	text_init(&out, 1 << 16);
	for (size_t i = 0; i < sizeof people / sizeof people[0]; i++)
		text_addf(&out, "%s%s", i ? "," : "[", people[i]);
	text_puts(&out, "]");
	return text_detach(&out);
}

static void at_once_or_one_by_one_the_log_says_the_same(void **state)
{
	char *batch = all_of_them();

	is(statuses(import(batch)), "201 201 201 201");
	char *at_once = log_lines();
	assert_int_equal(log_length(), 6);
	assert_int_equal(events_typed("heed.preference.changed"), 2);
	world_close(state);
	world_open_memory(state);
	for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
		char *one = xasprintf("[%s]", people[i]);
		/* with leave to bring back who was erased each goes by itself */
		is(statuses(import_as("import", one, true)), "201");
		free(one);
	}
	char *one_by_one = log_lines();
	is(at_once, one_by_one);
	free(at_once);
	free(one_by_one);
	free(batch);
}

static void the_same_import_again_changes_nothing(void **state)
{
	char *batch = all_of_them();

	(void)state;
	json_decref(import(batch));
	size_t before = log_length();
	is(statuses(import(batch)), "200 200 200 200");
	assert_int_equal(log_length(), before);
	assert_int_equal(events_typed("heed.preference.changed"), 2);
	is(statuses(import("[{\"id\":\"bob\"},{\"id\":\"ana\",\"addresses\":null}]")), "200 200");
	assert_int_equal(log_length(), before + 1);
	free(batch);
}

static void what_is_another_each_time_is_written_and_logged(void **state)
{
	static const char *const other[] = {
		"{\"id\":\"bob\",\"name\":\"Bob\"}",
		"{\"id\":\"bob\",\"timezone\":\"\"}",
		"{\"id\":\"bob\",\"addresses\":{\"sms\":[\"+492222222\",\"+491111111\"]}}",
		"{\"id\":\"bob\",\"addresses\":{\"sms\":\"+492222222\"}}",
		"{\"id\":\"bob\",\"addresses\":{\"webhook\":{\"secret\":null}}}",
		"{\"id\":\"bob\",\"preferences\":[{\"product\":\"card-alerts\",\"channels\":null}]}",
	};
	char *batch = all_of_them();

	(void)state;
	json_decref(import(batch));
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
		size_t before = log_length();
		char *one = xasprintf("[%s]", other[i]);
		is(statuses(import(one)), "200");
		assert_int_equal(log_length(), before + 1);
		is(statuses(import(one)), "200");
		assert_int_equal(log_length(), before + 1);
		free(one);
	}
	free(batch);
}

static void an_id_that_comes_twice_ends_as_the_last_one_says(void **state)
{
	(void)state;
	is(statuses(import("[{\"id\":\"ana\",\"name\":\"first\",\"addresses\":{\"email\":\"a@x.example\"}},"
			   "{\"id\":\"bob\"},{\"id\":\"ana\",\"name\":\"second\"},{\"id\":\"ana\",\"locale\":"
			   "\"de\"}]")),
	   "201 201 200 200");
	shows("ana", "{\"id\":\"ana\",\"name\":\"second\",\"locale\":\"de\",\"timezone\":\"\",\"addresses\":"
		     "{\"email\":\"a@x.example\"},\"states\":[]}");
	assert_int_equal(log_length(), 4);
}

#define WITH_SECRET(secret)                                                                           \
	"{\"id\":\"ana\",\"name\":\"\",\"locale\":\"\",\"timezone\":\"\",\"addresses\":{\"webhook\":" \
	"{\"url\":\"https://x.example/a\",\"secret\":\"" secret "\"}},\"states\":[]}"

/* A line that has only a secret says nothing on its own. */
static void a_secret_alone_is_for_who_comes_before_it_in_the_file(void **state)
{
	const char *url = "{\"id\":\"ana\",\"addresses\":{\"webhook\":{\"url\":\"https://x.example/a\","
			  "\"secret\":\"" SECRET "\"}}}";
	const char *other = "{\"id\":\"ana\",\"addresses\":{\"webhook\":{\"secret\":\"whsec_AAAA\"}}}";
	char *after = xasprintf("[%s,%s]", url, other), *before = xasprintf("[%s,%s]", other, url);

	(void)state;
	is(statuses(import(after)), "201 200");
	shows("ana", WITH_SECRET("whsec_AAAA"));
	for (int i = 0; i < 2; i++) /* the second time it is as it was, but for the line before it */
		is(statuses(import(before)), "200 200");
	shows("ana", WITH_SECRET(SECRET));
	free(after);
	free(before);
}

static void who_is_refused_leaves_nothing_and_the_others_are_there(void **state)
{
	(void)state;
	json_t *answer = import("[{\"id\":\"ana\"},{\"id\":\"bob\",\"addresses\":{\"email\":\"nonsense\"}},"
				"{\"id\":\"eve\",\"addresses\":{\"email\":\"e@x.example\"},\"preferences\":["
				"{\"product\":\"card-alerts\",\"channels\":[\"sms\"]},{\"product\":\"none\","
				"\"channels\":[]}]},"
				"{\"id\":\"\"},7,{\"id\":\"joe\",\"preferences\":[{\"product\":\"card-"
				"alerts\",\"channels\":[\"sms\"]},"
				"{\"product\":\"card-alerts\",\"channels\":[\"email\"]}]},{\"id\":\"zoe\"}]");
	const char *problem_of_bob = json_string_value(json_object_get(json_array_get(answer, 1), "problem"));
	const char *problem_of_eve = json_string_value(json_object_get(json_array_get(answer, 2), "problem"));
	assert_non_null(strstr(problem_of_bob, "addresses.email"));
	assert_non_null(strstr(problem_of_eve, "preferences[1].product: none"));
	is(statuses(answer), "201 422 422 422 422 201 201");
	shows("bob", "nobody");
	shows("eve", "nobody");
	shows("joe", "{\"id\":\"joe\",\"name\":\"\",\"locale\":\"\",\"timezone\":\"\",\"addresses\":{},"
		     "\"states\":[]} card-alerts:1:2");
	assert_int_equal(events_typed("heed.preference.changed"), 2);
	assert_int_equal(log_length(), 5);
}

static void who_was_erased_or_whose_address_was_comes_back_only_if_asked(void **state)
{
	const struct turn_door by_hand = {.turn = world.turn, .alone = true};
	const struct asker asker = {.by = "cli", .actor = ""};

	(void)state;
	customer_is("ana", "{\"addresses\":{\"email\":\"a@x.example\"}}");
	assert_int_equal(request_erase(&by_hand, &asker, "ana", NULL, &problem), 200);
	const char *batch = "[{\"id\":\"ana\"},{\"id\":\"bob\",\"addresses\":{\"email\":\"a@x.example\"}},"
			    "{\"id\":\"eve\",\"addresses\":{\"sms\":\"+491111111\"}}]";
	is(statuses(import(batch)), "409 409 201");
	shows("bob", "nobody");
	is(statuses(import_as("import", batch, true)), "201 201 200");
}

static void kill_address_of(const char *message)
{
	step();
	begin(&world.email, message);
	report(&world.email, message, OUTCOME_REJECTED, SCOPE_ADDRESS, "5.1.1");
	step();
}

static void a_dead_address_that_is_written_again_is_tried_again(void **state)
{
	(void)state;
	customer_is("ana", "{\"addresses\":{\"email\":\"a@x.example\"}}");
	admit("m-1", "ana", "card-alerts", "");
	kill_address_of("m-1");
	size_t before = log_length();
	is(statuses(import("[{\"id\":\"bob\",\"addresses\":{\"email\":\"a@x.example\"}},"
			   "{\"id\":\"eve\",\"addresses\":{\"email\":\"a@x.example\"}},"
			   "{\"id\":\"ana\",\"addresses\":{\"email\":\"a@x.example\"}}]")),
	   "201 201 200");
	char *lines = log_lines();
	assert_non_null(strstr(lines, "2 email import \"dead\" -> \"ok\"\n"));
	free(lines);
	assert_int_equal(log_length(), before + 3); /* two who came, one address that is tried again */
	admit("m-2", "eve", "card-alerts", "");
	step();
	is(state_of("m-2"), "sending");
}

/* Whatever the store says no to, the same batch later leaves the same. */
static void a_store_that_fails_anywhere_loses_nobody(void **state)
{
	char *batch = all_of_them();

	for (long k = 1; k < 30; k++) {
		flaky_attach(world.store);
		flaky_fail(k);
		json_t *answer = import_as("import", batch, false);
		flaky_fail(0);
		if (!answer) {
			shows("ana", "nobody");
			assert_int_equal(log_length(), 0);
		}
		json_decref(answer);
		json_decref(import(batch));
		assert_int_equal(log_length(), 6);
		audit_holds();
		world_close(state);
		world_open_memory(state);
	}
	free(batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(at_once_or_one_by_one_the_log_says_the_same),
		ON_BOTH(the_same_import_again_changes_nothing),
		ON_BOTH(what_is_another_each_time_is_written_and_logged),
		ON_BOTH(an_id_that_comes_twice_ends_as_the_last_one_says),
		ON_BOTH(a_secret_alone_is_for_who_comes_before_it_in_the_file),
		ON_BOTH(who_is_refused_leaves_nothing_and_the_others_are_there),
		ON_BOTH(who_was_erased_or_whose_address_was_comes_back_only_if_asked),
		ON_BOTH(a_dead_address_that_is_written_again_is_tried_again),
		IN_MEMORY(a_store_that_fails_anywhere_loses_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
