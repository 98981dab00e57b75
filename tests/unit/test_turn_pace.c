/* Somebody who changes his mind waits for small turns only; nobody else is slower for it. */
#include "turn_fixture.h"
#include "banned.h"

static void many(const char *name, int count, const char *more)
{
	char id[32];

	for (int i = 0; i < count; i++) {
		snprintf(id, sizeof id, "%s-%d", name, i);
		admit(id, "ana", "card-alerts", more);
	}
}

/* A message costs an eighth of a millisecond, and somebody waited so long ago. */
static void somebody_waited(int64_t ago)
{
	world.turn->pace.each = 125 * 1000;
	world.turn->pace.asked = moment_mono() - ago;
}

static void while_somebody_waits_a_turn_takes_what_fits_in_a_moment(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[]"); /* so that no channel is what they wait for */
	step();
	many("m", 300, "");
	somebody_waited(0);
	step();
	assert_int_equal(sum_holds(), 80);
	somebody_waited(0);
	step();
	assert_int_equal(sum_holds(), 160);
	somebody_waited(2 * MOMENT_S);
	step();
	assert_int_equal(sum_holds(), 300);
}

static void a_change_is_what_makes_turns_small(void **state)
{
	(void)state;
	customer_with_all("ana");
	world_run();
	assert_int_equal(prefer("ana", "card-alerts", "{\"channels\":[\"email\"]}", NULL), 200);
	assert_true(world.turn->pace.asked > 0);
	world_stop();
}

static void neither_outcomes_nor_what_is_due_are_crowded_out(void **state)
{
	(void)state;
	customer_with_all("ana");
	world.email.credit = 60;
	world_restart();
	step();
	many("first", 60, "");
	step();
	for (int i = 0; i < 60; i++) {
		char id[32];
		snprintf(id, sizeof id, "first-%d", i);
		begin(&world.email, id);
		taken(&world.email, id);
	}
	many("then", 400, "");
	for (int i = 0; i < 12; i++) {
		somebody_waited(0);
		step();
		while (world.email.held_count) {
			struct attempt *attempt = world.email.held[0];
			char id[130];
			snprintf(id, sizeof id, "%s", attempt->message_id);
			begin(&world.email, id);
			taken(&world.email, id);
		}
	}
	sum_holds();
	is(state_of("first-59"), "sent");
	assert_true(world.email.handed > 300);
}

static void what_a_message_costs_is_measured(void **state)
{
	(void)state;
	customer_with_all("ana");
	many("m", 100, "");
	step();
	assert_true(world.turn->pace.each > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(while_somebody_waits_a_turn_takes_what_fits_in_a_moment),
		ON_BOTH(a_change_is_what_makes_turns_small),
		ON_BOTH(neither_outcomes_nor_what_is_due_are_crowded_out),
		ON_BOTH(what_a_message_costs_is_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
