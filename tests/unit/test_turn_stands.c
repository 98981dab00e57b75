/* What keeps the turn from taking: no descriptors, a clock that jumped. */
#include "turn_fixture.h"

#include "banned.h"

/* --- descriptors --- */

static void an_attempt_that_found_no_descriptor_counts_for_nothing(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"sms\",\"email\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	report(&world.sms, "m-1", OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, OUTCOME_CODE_DESCRIPTORS);
	step();
	assert_true(trouble_has(&world.turn->troubles, TROUBLE_DESCRIPTORS));
	assert_int_equal(turn_lanes(world.turn), 0);
	admit("m-2", "ana", "card-alerts", "");
	step();
	is(state_of("m-1"), "queued");
	is(state_of("m-2"), "unknown");
	assert_false(world.turn->lines[1].outlets[0].breaker.open);
	world.turn->next_look = 0; /* a second is over, and there are some */
	steps();
	assert_false(trouble_has(&world.turn->troubles, TROUBLE_DESCRIPTORS));
	taken(&world.sms, "m-1");
	taken(&world.sms, "m-2");
	steps();
	is(contacts_of("m-1"), "1:sms:called_back 1:sms:sent");
	is(contacts_of("m-2"), "1:sms:sent");
}

/* --- the clock --- */

/* As if it had jumped by so much: it is the time before that was wrong. */
static void clock_jumps(int64_t by)
{
	world.turn->watch.offset -= by;
}

static void so_long_ago(int64_t time)
{
	world.turn->watch.since -= time;
}

static int64_t due_of(const char *id)
{
	struct message_row row = row_of(id);
	int64_t due = row.due;

	message_row_release(&row);
	return due;
}

static void a_jump_takes_nothing_and_gives_nothing_up_until_it_is_followed(void **state)
{
	(void)state;
	world.config->channels[0].retry.first = world.config->channels[0].retry.max = MOMENT_MINUTE;
	world.config->channels[0].retry.give_up_after = MOMENT_HOUR;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\"]");
	admit("m-1", "ana", "card-alerts", "");
	admit("flies", "ana", "card-alerts", "");
	step();
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	step();
	int64_t due = due_of("m-1"), was = world.turn->now;

	clock_jumps(MOMENT_DAY);
	steps();
	assert_true(trouble_has(&world.turn->troubles, TROUBLE_CLOCK));
	assert_int_equal(turn_lanes(world.turn), 0);
	admit("m-2", "ana", "card-alerts", "");
	step();
	is(state_of("m-2"), "unknown");
	is(state_of("m-1"), "deferred");
	assert_true(world.turn->now - was < MOMENT_HOUR);

	so_long_ago(CLOCK_TRUSTED_AFTER);
	steps();
	assert_false(trouble_has(&world.turn->troubles, TROUBLE_CLOCK));
	int64_t by = world.turn->watch.offset - (moment_now() - moment_boot());
	assert_true(by > -MOMENT_MINUTE && by < MOMENT_MINUTE);
	assert_in_range(due_of("m-1") - due, MOMENT_DAY - MOMENT_S, MOMENT_DAY + MOMENT_S);
	taken(&world.email, "m-2");
	begin(&world.email, "flies"); /* it was on its way all the time, and has not waited a day either */
	report(&world.email, "flies", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	steps();
	is(state_of("m-2"), "sent");
	is(state_of("flies"), "deferred");
	is(contacts_of("m-1"), "1:email:retry");
	assert_true(world.turn->prune.next > world.turn->mono + 23 * MOMENT_HOUR);
}

static void after_a_jump_back_what_waits_for_its_turn_does_not_wait_for_the_clock(void **state)
{
	(void)state;
	world.email.credit = 1;
	line_find(world.turn, "email")->outlets[0].channel->credit = 1;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\"]");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	steps_for(20 * MOMENT_MS);
	is(state_of("m-2"), "queued");
	clock_jumps(-MOMENT_DAY);
	steps();
	so_long_ago(CLOCK_TRUSTED_AFTER);
	steps();
	taken(&world.email, "m-1");
	steps();
	taken(&world.email, "m-2");
	steps();
	is(state_of("m-2"), "sent");
}

static void a_transaction_that_is_lost_does_not_move_the_clock_twice(void **state)
{
	(void)state;
	world.config->channels[0].retry.first = world.config->channels[0].retry.max = 4 * MOMENT_HOUR;
	world.config->channels[0].retry.give_up_after = MOMENT_DAY;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	step();
	int64_t due = due_of("m-1");
	clock_jumps(-MOMENT_HOUR);
	steps();
	so_long_ago(CLOCK_TRUSTED_AFTER);
	store_begin(world.store); /* so that the turn's fails */
	assert_false(turn_step(world.turn));
	assert_true(trouble_has(&world.turn->troubles, TROUBLE_STORE));
	steps();
	assert_in_range(due - due_of("m-1"), MOMENT_HOUR - MOMENT_S, MOMENT_HOUR + MOMENT_S);
	assert_false(trouble_has(&world.turn->troubles, TROUBLE_STORE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MEMORY(an_attempt_that_found_no_descriptor_counts_for_nothing),
		ON_BOTH(a_jump_takes_nothing_and_gives_nothing_up_until_it_is_followed),
		ON_BOTH(after_a_jump_back_what_waits_for_its_turn_does_not_wait_for_the_clock),
		ON_BOTH(a_transaction_that_is_lost_does_not_move_the_clock_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
