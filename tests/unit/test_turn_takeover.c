/* Two gateways on one store, by hand: who has a claim, who takes it over, and what comes too late. */
#include "turn_fixture.h"

#include "banned.h"

static struct turn *first, *second;

/* The second gateway, whose clock is ahead by so much. */
static void second_starts(int64_t ahead)
{
	struct config *config = world_config(NULL, NULL);
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	xreplace(&config->gateway.name, "second");
	first = world.turn;
	second = turn_new(world.store, config);
	second->ahead = ahead;
	if (!turn_ready(second, &error))
		fail_msg("%s", error.data);
	config_drop(config);
	world.turn = second;
}

static void the_second_turns(int64_t ahead)
{
	world.turn = second;
	second->ahead = ahead;
	step();
}

static void the_first_turns(int64_t ahead)
{
	world.turn = first;
	first->ahead = ahead;
	step();
}

/* Both end; the fixture ends the first. */
static void the_second_ends(void)
{
	world.turn = second;
	lines_close(second, 0);
	for (int i = 0; i < 10 && second->flight_count; i++)
		step();
	turn_free(second);
	world.turn = first;
}

/* The clocks go far ahead. */
static void never_gives_up(struct config *config)
{
	for (size_t i = 0; i < config->channel_count; i++)
		config->channels[i].retry.give_up_after = 48 * MOMENT_HOUR;
}

static void sending(const char *message, struct script *script, const char *channels)
{
	never_gives_up(world.config);
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", channels);
	admit(message, "ana", "card-alerts", "");
	step();
	begin(script, message);
}

static struct contact contact_of(const char *message, size_t which)
{
	const struct log_query query = {.message = message, .limit = 10};
	struct contact *contacts = NULL, out = {0};
	size_t count = 0;

	assert_true(store_read_log(world.reader, &query, &contacts, &count));
	assert_true(which < count);
	for (size_t i = 0; i < count; i++)
		if (i == which)
			out = contacts[i];
		else
			contact_release(&contacts[i]);
	free(contacts);
	return out;
}

static void is_late(const char *message, size_t which, enum state state)
{
	struct contact contact = contact_of(message, which);

	assert_int_equal(contact.state, state);
	assert_true(contact.late > 0);
	contact_release(&contact);
}

#define LEASE (30 * MOMENT_S)
#define OVER (2 * LEASE + MOMENT_S)

static void what_was_sending_is_in_doubt_at_the_next_start_of_the_same_gateway(void **state)
{
	(void)state;
	sending("m-1", &world.sms, "[\"sms\"]");
	script_forget(&world.sms); /* the process is gone, and what it held */
	world_crash();
	is(state_of("m-1"), "in_doubt");
	is(contacts_of("m-1"), "1:sms:in_doubt");
	sum_holds();
}

static void a_claim_is_taken_over_once_its_lease_is_over_and_its_gateway_silent(void **state)
{
	(void)state;
	sending("m-1", &world.sms, "[\"sms\"]");
	second_starts(LEASE / 2);
	is(state_of("m-1"), "sending");
	is(prefer_way("ana", "card-alerts", "[\"sms\"]"), "m-1");
	the_second_turns(OVER);
	is(state_of("m-1"), "in_doubt");
	assert_non_null(strstr(reasons_of("m-1"), "doubt_taken_over"));
	the_second_ends();
}

static void a_gateway_that_reports_keeps_what_it_claimed(void **state)
{
	(void)state;
	sending("m-1", &world.sms, "[\"sms\"]");
	second_starts(0);
	the_first_turns(OVER - MOMENT_S);
	the_second_turns(OVER);
	is(state_of("m-1"), "sending");
	the_second_ends();
	taken(&world.sms, "m-1");
	step();
	is(state_of("m-1"), "sent");
}

/* As at a start while another gateway was taking it over, whose transaction was lost then: nobody else would
 * ever look. */
static void what_a_gateway_has_as_its_own_and_knows_nothing_of_is_in_doubt_once_its_lease_is_over(
	void **state)
{
	(void)state;
	sending("m-1", &world.sms, "[\"sms\"]");
	struct flight *forgotten = world.turn->flights;
	const size_t count = world.turn->flight_count;
	world.turn->flights = NULL;
	world.turn->flight_count = 0;
	world.turn->ahead = LEASE / 2;
	step();
	is(state_of("m-1"), "sending");
	world.turn->ahead = OVER;
	step();
	is(state_of("m-1"), "in_doubt");
	assert_non_null(strstr(reasons_of("m-1"), "doubt_after_crash"));
	sum_holds();
	forgotten->lost = true;
	world.turn->flights = forgotten;
	world.turn->flight_count = count;
	taken(&world.sms, "m-1");
	step();
	is(state_of("m-1"), "sent");
	is_late("m-1", 0, STATE_SENT);
}

static void what_takes_longer_than_its_lease_is_no_orphan(void **state)
{
	(void)state;
	sending("m-1", &world.sms, "[\"sms\"]");
	for (int64_t ahead = LEASE; ahead <= 4 * LEASE; ahead += LEASE / 2) {
		world.turn->ahead = ahead;
		step();
	}
	is(state_of("m-1"), "sending");
	taken(&world.sms, "m-1");
	step();
	is(state_of("m-1"), "sent");
}

static void a_late_yes_settles_the_doubt(void **state)
{
	(void)state;
	sending("m-1", &world.sms, "[\"sms\"]");
	second_starts(OVER);
	is(state_of("m-1"), "in_doubt");
	taken(&world.sms, "m-1");
	the_first_turns(OVER);
	is(state_of("m-1"), "sent");
	is_late("m-1", 0, STATE_SENT);
	the_second_ends();
}

static void a_late_no_lets_the_next_channel_have_its_turn(void **state)
{
	(void)state;
	sending("m-1", &world.sms, "[\"sms\",\"email\"]");
	second_starts(OVER);
	is(state_of("m-1"), "in_doubt");
	report(&world.sms, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "21211");
	the_first_turns(OVER);
	is_late("m-1", 0, STATE_REJECTED);
	is(contacts_of("m-1"), "1:sms:rejected 2:email:sending");
	the_second_ends();
}

static void what_comes_late_does_not_overwrite_its_successors_outcome(void **state)
{
	(void)state;
	sending("m-1", &world.email, "[\"email\"]");
	struct attempt *zombies = held(&world.email, "m-1");
	second_starts(OVER);
	the_second_turns(OVER + MOMENT_S); /* mail is sent again in doubt */
	is(contacts_of("m-1"), "1:email:in_doubt 2:email:sending");
	world.email.held[0] = world.email.held[1];
	world.email.held[1] = zombies;
	begin(&world.email, "m-1");
	taken(&world.email, "m-1");
	the_second_turns(OVER + MOMENT_S);
	is(state_of("m-1"), "sent");
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "550");
	the_first_turns(OVER + MOMENT_S);
	is(state_of("m-1"), "sent");
	is(contacts_of("m-1"), "1:email:rejected 2:email:sent");
	is_late("m-1", 0, STATE_REJECTED);
	the_second_ends();
}

/* Its own clock says that nothing can have been taken from it: the epoch of the row says otherwise. */
static void a_zombie_that_does_not_know_it_is_stopped_by_the_epoch(void **state)
{
	(void)state;
	sending("m-1", &world.sms, "[\"sms\"]");
	second_starts(OVER);
	report(&world.sms, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "21211");
	world.turn = first;
	assert_false(turn_step(first));
	is(state_of("m-1"), "in_doubt");
	step();
	is(state_of("m-1"), "failed");
	is_late("m-1", 0, STATE_REJECTED);
	the_second_ends();
}

static void what_was_taken_over_is_on_its_way_until_it_reports(void **state)
{
	(void)state;
	sending("m-1", &world.email, "[\"email\"]");
	struct attempt *zombies = held(&world.email, "m-1");
	second_starts(OVER);
	the_second_turns(OVER + MOMENT_S);
	world.email.held[0] = world.email.held[1];
	world.email.held[1] = zombies;
	begin(&world.email, "m-1");
	taken(&world.email, "m-1");
	the_second_turns(OVER + MOMENT_S);
	is(state_of("m-1"), "sent");
	is(prefer_way("ana", "card-alerts", "[]"), "m-1");
	taken(&world.email, "m-1");
	the_first_turns(OVER + MOMENT_S);
	world.turn = second;
	is(prefer_way("ana", "card-alerts", "[]"), "");
	the_second_ends();
}

static void what_never_reports_is_listed_no_longer_than_attempt_open_max(void **state)
{
	(void)state;
	sending("m-1", &world.sms, "[\"sms\"]");
	second_starts(OVER);
	is(prefer_way("ana", "card-alerts", "[]"), "m-1");
	second->ahead = 24 * MOMENT_HOUR + MOMENT_MINUTE;
	is(prefer_way("ana", "card-alerts", "[]"), "");
	the_second_ends();
}

/* --- what had not begun when a process was killed --- */

static void the_process_is_killed(void)
{
	script_forget(&world.email); /* gone with it */
	script_forget(&world.sms);
	world_crash();
	steps();
}

static void what_had_not_begun_is_not_in_doubt_after_a_kill(void **state)
{
	(void)state;
	world.remembers = true;
	world_restart();
	sending("m-1", &world.sms, "[\"sms\"]");
	admit("m-2", "ana", "card-alerts", "");
	step();
	held(&world.sms, "m-2");
	the_process_is_killed();
	is(state_of("m-1"), "in_doubt");
	is(contacts_of("m-1"), "1:sms:in_doubt");
	is(contacts_of("m-2"), "1:sms:called_back 1:sms:sending");
	begin(&world.sms, "m-2");
	taken(&world.sms, "m-2");
	step();
	is(state_of("m-2"), "sent");
	sum_holds();
}

static void a_choice_that_came_before_the_restart_holds_for_what_had_not_begun(void **state)
{
	(void)state;
	world.remembers = true;
	world_restart();
	sending("m-1", &world.sms, "[\"sms\"]");
	admit("m-2", "ana", "card-alerts", "");
	step();
	held(&world.sms, "m-2");
	script_forget(&world.sms);
	const char *way = prefer_way("ana", "card-alerts", "[]");
	is(way, "m-1"); /* m-2 was called back, and not handed over again */
	the_process_is_killed();
	is(state_of("m-2"), "suppressed");
}

static void a_resend_that_had_not_begun_is_as_much_in_doubt_as_before(void **state)
{
	(void)state;
	world.remembers = true;
	world_restart();
	sending("m-1", &world.email, "[\"email\"]");
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	for (int i = 0; i < 100 && !is_held(&world.email, "m-1"); i++)
		steps_for(10 * MOMENT_MS);
	held(&world.email, "m-1");
	script_forget(&world.email);
	world.email.credit = 0;
	world_crash();
	is(state_of("m-1"), "in_doubt");
	is(contacts_of("m-1"), "1:email:in_doubt 2:email:called_back");
	sum_holds();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(what_had_not_begun_is_not_in_doubt_after_a_kill),
		IN_MEMORY(a_choice_that_came_before_the_restart_holds_for_what_had_not_begun),
		ON_BOTH(a_resend_that_had_not_begun_is_as_much_in_doubt_as_before),
		ON_BOTH(what_was_sending_is_in_doubt_at_the_next_start_of_the_same_gateway),
		IN_MEMORY(a_claim_is_taken_over_once_its_lease_is_over_and_its_gateway_silent),
		IN_MEMORY(a_gateway_that_reports_keeps_what_it_claimed),
		IN_MEMORY(
			what_a_gateway_has_as_its_own_and_knows_nothing_of_is_in_doubt_once_its_lease_is_over),
		IN_MEMORY(what_takes_longer_than_its_lease_is_no_orphan),
		IN_MEMORY(a_late_yes_settles_the_doubt),
		IN_MEMORY(a_late_no_lets_the_next_channel_have_its_turn),
		IN_MEMORY(what_comes_late_does_not_overwrite_its_successors_outcome),
		IN_MEMORY(a_zombie_that_does_not_know_it_is_stopped_by_the_epoch),
		IN_MEMORY(what_was_taken_over_is_on_its_way_until_it_reports),
		IN_MEMORY(what_never_reports_is_listed_no_longer_than_attempt_open_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
