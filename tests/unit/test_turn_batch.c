/* Messages that somebody waits for: answered after the commit, or not admitted at all. */
#include <pthread.h>

#include "store_flaky.h"
#include "turn_fixture.h"

#define BATCH_MAX 1000

static struct admission *list[BATCH_MAX];
static struct admission_batch batch;

static void batch_begin(void)
{
	batch = (struct admission_batch){.list = list};
}

/* `more` as for admit(). */
static void with(const char *id, const char *customer, const char *product, const char *more)
{
	struct admission *admission = list[batch.count++] = xcalloc(1, sizeof *admission);
	char *json = xasprintf("{\"id\":\"%s\",\"customer\":\"%s\",\"product\":\"%s\","
			       "\"content\":{\"text\":\"Hello\"}%s}",
			       id, customer, product, more);

	admission->entry.lane = LANE_NORMAL;
	text_init(&admission->error, TEXT_ERROR_MAX);
	assert_true(message_parse(json, strlen(json), &admission->message, &admission->error));
	free(json);
}

static void batch_go(int64_t patience)
{
	batch.deadline = moment_mono() + patience;
	turn_admit_batch(world.turn, &batch);
	assert_int_equal(batch.left, 0);
}

static void batch_end(void)
{
	for (size_t i = 0; i < batch.count; i++)
		admission_free(list[i]);
}

static void each_is_answered_with_its_state_once_it_is_committed(void **state)
{
	(void)state;
	customer_with_all("ana");
	customer_with_all("ben");
	prefer_way("ben", "card-alerts", "[]");
	world_run();
	batch_begin();
	with("m-1", "ana", "card-alerts", "");
	with("m-2", "ben", "card-alerts", "");
	with("m-3", "nobody", "card-alerts", "");
	with("m-4", "ana", "pigeons", "");
	batch_go(20 * MOMENT_S);
	assert_int_equal(list[0]->state, STATE_SENDING);
	assert_int_equal(list[1]->state, STATE_SUPPRESSED);
	assert_int_equal(list[2]->status, 422);
	assert_non_null(strstr(list[2]->error.data, "customer: nobody is unknown"));
	assert_int_equal(list[3]->status, 422);
	assert_non_null(strstr(list[3]->error.data, "product: pigeons"));
	is(state_of("m-2"), "suppressed");
	batch_end();
	world_stop();
	assert_int_equal(sum_holds(), 2);
}

static void the_same_again_is_the_same_message_and_other_content_is_an_error(void **state)
{
	(void)state;
	customer_with_all("ana");
	world_run();
	batch_begin();
	with("m-1", "ana", "card-alerts", "");
	with("m-1", "ana", "card-alerts", "");
	with("m-1", "ana", "card-alerts", ",\"campaign\":\"x\"");
	batch_go(20 * MOMENT_S);
	assert_int_equal(list[0]->status, 0);
	assert_int_equal(list[1]->status, 0);
	assert_int_equal(list[1]->state, STATE_SENDING);
	assert_int_equal(list[2]->status, 409);
	batch_end();
	world_stop();
	assert_int_equal(sum_holds(), 1);
}

static void a_batch_larger_than_a_turn_is_admitted_whole(void **state)
{
	char id[32];

	(void)state;
	customer_with_all("ana");
	world_run();
	batch_begin();
	for (int i = 0; i < BATCH_MAX; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		with(id, "ana", "card-alerts", "");
	}
	batch_go(60 * MOMENT_S);
	for (size_t i = 0; i < batch.count; i++)
		assert_int_equal(list[i]->status, 0);
	batch_end();
	world_stop();
	assert_int_equal(sum_holds(), BATCH_MAX);
}

static void what_the_store_does_not_take_in_time_is_not_admitted_later_either(void **state)
{
	(void)state;
	customer_with_all("ana");
	flaky_attach(world.store);
	world_run();
	flaky.fails = true;
	batch_begin();
	with("m-1", "ana", "card-alerts", "");
	batch_go(300 * MOMENT_MS);
	assert_int_equal(list[0]->status, 503);
	assert_non_null(strstr(list[0]->error.data, "not admitted"));
	batch_end();
	flaky.fails = false;
	batch_begin();
	with("m-2", "ana", "card-alerts", "");
	batch_go(20 * MOMENT_S);
	assert_int_equal(list[0]->status, 0);
	batch_end();
	world_stop();
	is(state_of("m-1"), "unknown");
	assert_int_equal(sum_holds(), 1);
}

static void one_that_comes_while_the_turn_ends_is_refused(void **state)
{
	(void)state;
	customer_with_all("ana");
	world_run();
	turn_stop(world.turn);
	batch_begin();
	with("m-1", "ana", "card-alerts", "");
	batch_go(20 * MOMENT_S);
	assert_int_equal(list[0]->status, 503);
	batch_end();
	is(state_of("m-1"), "unknown");
}

struct sender {
	pthread_t thread;
	int number, refused;
};

static void *send_some(void *argument)
{
	struct sender *sender = argument;
	struct admission *own[20];
	char json[200];

	for (int round = 0; round < 10; round++) {
		struct admission_batch mine = {
			.list = own, .count = 20, .deadline = moment_mono() + 60 * MOMENT_S};
		for (int i = 0; i < 20; i++) {
			own[i] = xcalloc(1, sizeof *own[i]);
			text_init(&own[i]->error, TEXT_ERROR_MAX);
			snprintf(json, sizeof json,
				 "{\"id\":\"s-%d-%d-%d\",\"customer\":\"ana\",\"product\":\"card-alerts\","
				 "\"content\":{\"text\":\"Hello\"}}",
				 sender->number, round, i);
			message_parse(json, strlen(json), &own[i]->message, &own[i]->error);
		}
		turn_admit_batch(world.turn, &mine);
		for (int i = 0; i < 20; i++) {
			sender->refused += own[i]->status != 0;
			admission_free(own[i]);
		}
	}
	return NULL;
}

static void many_senders_beside_a_store_that_stumbles_lose_nothing(void **state)
{
	struct sender senders[8] = {0};

	(void)state;
	customer_with_all("ana");
	flaky_attach(world.store);
	world_run();
	for (int i = 0; i < 8; i++) {
		senders[i].number = i;
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_some, &senders[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		flaky_fail(40);
	for (int i = 0; i < 8; i++) {
		pthread_join(senders[i].thread, NULL);
		assert_int_equal(senders[i].refused, 0);
	}
	world_stop();
	assert_int_equal(sum_holds(), 8 * 10 * 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(each_is_answered_with_its_state_once_it_is_committed),
		ON_BOTH(the_same_again_is_the_same_message_and_other_content_is_an_error),
		ON_BOTH(a_batch_larger_than_a_turn_is_admitted_whole),
		IN_MEMORY(what_the_store_does_not_take_in_time_is_not_admitted_later_either),
		IN_MEMORY(one_that_comes_while_the_turn_ends_is_refused),
		IN_MEMORY(many_senders_beside_a_store_that_stumbles_lose_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
