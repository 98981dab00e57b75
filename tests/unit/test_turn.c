/* The life of a message, turn by turn, on both back ends of the store. */
#include "turn_fixture.h"
#include "banned.h"

/* --- admission --- */

static void admitted_and_claimed_in_one_commit_gives_both_events_in_order(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	is(state_of("m-1"), "sending");
	is(events_of("m-1"), "queued sending");
	is(contacts_of("m-1"), "1:email:sending");
	assert_int_equal(world.acknowledged, 1);
	begin(&world.email, "m-1");
	taken(&world.email, "m-1");
	step();
	is(state_of("m-1"), "sent");
	is(events_of("m-1"), "queued sending sent");
	is(contacts_of("m-1"), "1:email:sent");
	is(reasons_of("m-1"), "chosen_default accepted");
	assert_int_equal(sum_holds(), 1);
}

static void the_same_message_again_is_acknowledged_and_not_sent(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	admit("m-1", "ana", "card-alerts", "");
	admit("m-1", "ana", "card-alerts", ",\"data\":{}");
	step();
	assert_int_equal(world.acknowledged, 2);
	assert_int_equal(world.email.handed, 1);
	assert_int_equal(json_array_size(world.dead), 1);
	is(json_string_value(json_array_get(world.dead, 0)), "id: m-1 was used before, with other content");
	assert_int_equal(sum_holds(), 1);
}

static void the_same_id_twice_in_one_batch_is_one_message(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-1", "ana", "card-alerts/fraud", "");
	steps();
	assert_int_equal(world.acknowledged, 2);
	assert_int_equal(world.email.handed, 1);
	assert_int_equal(json_array_size(world.dead), 1);
	assert_int_equal(sum_holds(), 1);
}

static void an_id_that_was_refused_is_free_again_even_in_the_same_batch(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "nobody", "card-alerts", "");
	admit("m-1", "ana", "card-alerts", "");
	steps();
	assert_int_equal(json_array_size(world.dead), 1);
	is(state_of("m-1"), "sending");
}

static void what_cannot_be_admitted_is_refused_with_an_error_of_its_own(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "bob", "card-alerts", "");
	admit("m-2", "ana", "loans", "");
	admit("m-3", "ana", "card-alerts", ",\"purpose\":\"critical\"");
	admit_json("{\"id\":\"m-4\",\"customer\":\"ana\",\"product\":\"card-alerts\",\"template\":\"none\"}");
	admit_json(
		"{\"id\":\"m-5\",\"customer\":\"ana\",\"product\":\"card-alerts\",\"template\":\"payment\"}");
	admit_json("{\"id\":\"m-6\"");
	step();
	static const char *const errors[] = {
		"customer: bob is unknown; put or import the customer first",
		"product: loans is not in the products file",
		"purpose: critical is looser than card-alerts, which is service; it may only be stricter",
		"template: none does not exist", "data: "};
	assert_int_equal(json_array_size(world.dead), 6);
	for (size_t i = 0; i < 5; i++) {
		const char *error = json_string_value(json_array_get(world.dead, i));
		if (strncmp(error, errors[i], strlen(errors[i])) != 0)
			fail_msg("%s", error);
	}
	assert_int_equal(world.acknowledged, 0);
	assert_int_equal(sum_holds(), 0);
	is(events_of("m-1"), "");
}

static void a_message_without_an_id_is_named_by_its_stream_and_entry(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit_json("{\"customer\":\"ana\",\"product\":\"card-alerts\",\"content\":{\"text\":\"x\"}}");
	step();
	is(state_of("heed:outbound:1-0"), "sending");
}

static void what_the_choice_forbids_ends_with_one_line_without_an_attempt(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[]");
	admit("m-1", "ana", "card-alerts", ",\"meta\":{\"order\":\"7\"}");
	step();
	is(state_of("m-1"), "suppressed");
	is(contacts_of("m-1"), "0::suppressed");
	is(events_of("m-1"), "suppressed");
	is(reasons_of("m-1"), "stopped");
	assert_int_equal(world.acknowledged, 1);
	assert_int_equal(sum_holds(), 1);
}

/* --- turns on a channel --- */

static void ends(const char *text, const char *end)
{
	size_t len = strlen(text), want = strlen(end);

	if (len < want || strcmp(text + len - want, end) != 0)
		fail_msg("%s does not end in %s", text, end);
}

static void without_credit_messages_wait_queued_and_go_later(void **state)
{
	(void)state;
	customer_with_all("ana");
	world.email.credit = 0;
	lines_open(world.turn, world.config, true, NULL);
	admit("m-1", "ana", "card-alerts", "");
	steps();
	is(state_of("m-1"), "queued");
	is(events_of("m-1"), "queued");
	sum_holds();
	world.turn->lines[0].outlets[0].channel->credit = 1;
	steps();
	is(state_of("m-1"), "sending");
	is(events_of("m-1"), "queued sending");
	sum_holds();
}

static void credit(const char *channel, size_t credit)
{
	line_find(world.turn, channel)->outlets[0].channel->credit = credit;
}

static int64_t queued(void)
{
	struct counters counters;

	assert_true(store_counters(world.store, &counters));
	return counters.states[STATE_QUEUED];
}

static void what_finds_no_room_is_admitted_all_the_same_a_few_at_a_time(void **state)
{
	enum { MANY = 300 };
	char id[16];

	(void)state;
	customer_with_all("ana");
	credit("email", 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		admit(id, "ana", "card-alerts", "");
	}
	step(); /* it is not known yet what they choose */
	for (int64_t before = queued(); before < MANY; before = queued()) {
		step();
		assert_int_equal(queued() - before,
				 before + TURN_OVERFLOW_MAX < MANY ? TURN_OVERFLOW_MAX : MANY - before);
	}
	sum_holds();
}

static void urgent_goes_before_normal_before_bulk_and_bulk_keeps_a_tenth(void **state)
{
	char id[16];

	(void)state;
	customer_with_all("ana");
	credit("email", 0);
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof id, "b-%02d", i);
		admit(id, "ana", "card-alerts", ",\"lane\":\"bulk\"");
		snprintf(id, sizeof id, "n-%02d", i);
		admit(id, "ana", "card-alerts", "");
	}
	for (int i = 0; i < 15; i++) {
		snprintf(id, sizeof id, "u-%02d", i);
		admit(id, "ana", "card-alerts", ",\"lane\":\"urgent\"");
	}
	steps();
	credit("email", 20);
	step();
	assert_int_equal(world.email.held_count, 20);
	size_t urgent = 0, normal = 0, bulk = 0;
	for (size_t i = 0; i < 20; i++) {
		urgent += *world.email.held[i]->message_id == 'u';
		normal += *world.email.held[i]->message_id == 'n';
		bulk += *world.email.held[i]->message_id == 'b';
	}
	assert_int_equal(urgent, 15);
	assert_int_equal(normal, 3);
	assert_int_equal(bulk, 2);
	sum_holds();
}

static void what_waits_goes_before_what_comes_later(void **state)
{
	(void)state;
	customer_with_all("ana");
	credit("email", 0);
	admit("urgent", "ana", "card-alerts", ",\"lane\":\"urgent\"");
	admit("normal", "ana", "card-alerts", "");
	steps();
	credit("email", 1);
	admit("late-1", "ana", "card-alerts", ",\"lane\":\"bulk\"");
	step();
	assert_true(is_held(&world.email, "urgent"));
	taken(&world.email, "urgent");
	admit("late-2", "ana", "card-alerts", ",\"lane\":\"bulk\"");
	step();
	assert_true(is_held(&world.email, "normal"));
}

static void in_one_batch_urgent_goes_first(void **state)
{
	(void)state;
	customer_with_all("ana");
	credit("email", 1);
	admit("bulk", "ana", "card-alerts", ",\"lane\":\"bulk\"");
	admit("normal", "ana", "card-alerts", "");
	admit("urgent", "ana", "card-alerts", ",\"lane\":\"urgent\"");
	step();
	assert_true(is_held(&world.email, "urgent"));
}

/* --- outcomes --- */

static void a_retry_is_deferred_with_growing_pauses(void **state)
{
	int64_t pauses[3];

	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	for (int i = 0; i < 3; i++) {
		begin(&world.email, "m-1");
		report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "450");
		step();
		is(state_of("m-1"), "deferred");
		struct message_row row = row_of("m-1");
		pauses[i] = row.due - world.turn->now;
		is(row.waits_for, "email");
		assert_int_equal(row.tries, i + 1);
		message_row_release(&row);
		sum_holds();
		while (!is_held(&world.email, "m-1"))
			steps_for(5 * MOMENT_MS);
	}
	assert_true(pauses[0] >= 10 * MOMENT_MS && pauses[0] <= 20 * MOMENT_MS);
	assert_true(pauses[1] >= 20 * MOMENT_MS && pauses[1] <= 40 * MOMENT_MS);
	assert_true(pauses[2] >= 40 * MOMENT_MS && pauses[2] <= 80 * MOMENT_MS);
	is(contacts_of("m-1"), "1:email:retry 2:email:retry 3:email:retry 4:email:sending");
	is(events_of("m-1"), "queued sending deferred sending deferred sending deferred sending");
}

static void retry_after_is_the_least_pause(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	struct outcome outcome = outcome_make(OUTCOME_RETRY, SCOPE_MESSAGE, "429", "slower");
	outcome.retry_after = 5 * MOMENT_S;
	report_outcome(&world.email, "m-1", outcome);
	step();
	struct message_row row = row_of("m-1");
	assert_int_equal(row.due - world.turn->now, 5 * MOMENT_S);
	message_row_release(&row);
}

static void after_give_up_after_it_has_failed(void **state)
{
	(void)state;
	world.config->channels[0].retry.give_up_after = 60 * MOMENT_MS;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	world.email.answers = true;
	world.email.answer = outcome_make(OUTCOME_RETRY, SCOPE_MESSAGE, "450", "later");
	admit("m-1", "ana", "card-alerts", "");
	steps_for(150 * MOMENT_MS);
	is(state_of("m-1"), "failed");
	ends(reasons_of("m-1"), "gave_up");
	assert_int_equal(world.sms.handed, 0);
	assert_null(strstr(contacts_of("m-1"), "0:"));
	sum_holds();
}

static void the_give_up_clock_stands_while_the_provider_is_at_fault(void **state)
{
	(void)state;
	world.config->channels[0].retry.give_up_after = 300 * MOMENT_MS;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_PROVIDER, "421");
	step();
	is(state_of("m-1"), "deferred");
	steps_for(1100 * MOMENT_MS); /* the breaker's first pause is a second */
	is(state_of("m-1"), "sending");
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	step();
	is(state_of("m-1"), "deferred");
	steps_for(400 * MOMENT_MS);
	/* it was tried again within what was left of its time, and then the time was over */
	if (is_held(&world.email, "m-1")) {
		report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
		steps_for(50 * MOMENT_MS);
	}
	is(state_of("m-1"), "failed");
}

static void a_rejection_after_the_time_to_give_up_still_goes_to_the_next_channel(void **state)
{
	(void)state;
	world.config->channels[0].retry.give_up_after = MOMENT_MS;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	steps_for(5 * MOMENT_MS);
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "550");
	step();
	is(state_of("m-1"), "sending");
	assert_true(is_held(&world.sms, "m-1"));
}

static void a_rejected_message_goes_to_the_next_channel(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "552");
	step();
	is(state_of("m-1"), "sending");
	is(contacts_of("m-1"), "1:email:rejected 2:sms:sending");
	report(&world.sms, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "30006");
	step();
	is(state_of("m-1"), "failed");
	is(contacts_of("m-1"), "1:email:rejected 2:sms:rejected");
	is(events_of("m-1"), "queued sending sending failed");
	assert_int_equal(sum_holds(), 1);
}

static void what_cannot_be_rendered_has_failed(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	report(&world.email, "m-1", OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "");
	step();
	is(state_of("m-1"), "failed");
	is(contacts_of("m-1"), "1:email:rejected");
	sum_holds();
}

static size_t address_states(const char *customer, enum address_state wanted)
{
	struct customer *found = NULL;
	struct preference *preferences = NULL;
	size_t count = 0, states = 0;

	assert_true(store_read_customer(world.reader, customer, &found, &preferences, &count));
	for (size_t i = 0; i < found->address_count; i++)
		states += found->addresses[i].state == wanted;
	for (size_t i = 0; i < count; i++)
		preference_release(&preferences[i]);
	free(preferences);
	customer_free(found);
	return states;
}

static size_t changes_of(enum change_kind kind, const char *by)
{
	struct change *changes = NULL;
	size_t count = 0, found = 0;

	assert_true(store_read_changes(world.reader, 0, 0, 1000, &changes, &count));
	for (size_t i = 0; i < count; i++) {
		found += changes[i].kind == kind && strcmp(changes[i].by, by) == 0;
		change_release(&changes[i]);
	}
	free(changes);
	return found;
}

static void two_share_an_address(void)
{
	customer_is("ana", "{\"addresses\":{\"email\":\"house@example.com\",\"sms\":\"+49301234561\"}}");
	customer_is("bob", "{\"addresses\":{\"email\":\"house@example.com\",\"sms\":\"+49301234562\"}}");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	prefer_way("bob", "card-alerts", "[\"email\",\"sms\"]");
}

static void a_dead_address_is_recorded_told_and_passed_over_for_all_who_share_it(void **state)
{
	(void)state;
	two_share_an_address();
	admit("m-1", "ana", "card-alerts", "");
	step();
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_ADDRESS, "5.1.1");
	step();
	is(contacts_of("m-1"), "1:email:rejected 2:sms:sending");
	assert_int_equal(address_states("ana", ADDRESS_DEAD), 1);
	assert_int_equal(changes_of(CHANGE_ADDRESS, "gateway"), 1);
	is(events_of("ana"), "heed.preference.changed heed.address.dead");
	is(events_of("bob"), "heed.preference.changed heed.address.dead");
	admit("m-2", "bob", "card-alerts", "");
	step();
	is(contacts_of("m-2"), "1:sms:sending");
	/* written again, unchanged: it lives */
	two_share_an_address();
	assert_int_equal(address_states("ana", ADDRESS_DEAD), 0);
	admit("m-3", "bob", "card-alerts", "");
	step();
	is(contacts_of("m-3"), "1:email:sending");
	sum_holds();
}

static void an_address_dies_once(void **state)
{
	(void)state;
	two_share_an_address();
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "bob", "card-alerts", "");
	admit("m-3", "bob", "card-alerts", "");
	step();
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_ADDRESS, "5.1.1");
	report(&world.email, "m-2", OUTCOME_REJECTED, SCOPE_ADDRESS, "5.1.1");
	step();
	report(&world.email, "m-3", OUTCOME_REJECTED, SCOPE_ADDRESS, "5.1.1");
	step();
	is(contacts_of("m-3"), "1:email:rejected 2:sms:sending");
	assert_int_equal(changes_of(CHANGE_ADDRESS, "gateway"), 1);
	assert_int_equal(events_typed("heed.address.dead"), 2); /* one for each who has it */
}

static void a_stopped_address_does_not_become_dead(void **state)
{
	(void)state;
	two_share_an_address();
	admit("m-1", "ana", "card-alerts", "");
	step();
	assert_true(store_begin(world.store));
	assert_true(
		store_set_address_state(world.store, held(&world.email, "m-1") ? 1 : 0, ADDRESS_STOPPED, 1));
	assert_true(store_commit(world.store));
	size_t stopped = address_states("ana", ADDRESS_STOPPED);
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_ADDRESS, "5.1.1");
	step();
	assert_int_equal(stopped, 1);
	assert_int_equal(address_states("ana", ADDRESS_STOPPED), 1);
	assert_int_equal(address_states("ana", ADDRESS_DEAD), 0);
}

/* --- the provider at fault --- */

static void a_provider_at_fault_costs_no_attempt_and_no_other_channel(void **state)
{
	char id[16];

	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	credit("email", 2);
	for (int i = 0; i < 6; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		admit(id, "ana", "card-alerts", "");
	}
	step();
	assert_int_equal(world.email.held_count, 2);
	is(state_of("m-5"), "queued");
	report(&world.email, "m-0", OUTCOME_RETRY, SCOPE_PROVIDER, "421");
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_PROVIDER, "421");
	steps();
	/* all wait as deferred, and say for whom */
	for (int i = 0; i < 6; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		is(state_of(id), "deferred");
		ends(reasons_of(id), "provider_at_fault");
		struct message_row row = row_of(id);
		assert_int_equal(row.attempts, 0);
		assert_int_equal(row.tries, 0);
		message_row_release(&row);
	}
	is(events_of("m-5"), "queued deferred");
	admit("m-6", "ana", "card-alerts", "");
	step();
	is(state_of("m-6"), "deferred");
	assert_int_equal(world.sms.handed, 0);
	sum_holds();
	/* one probes */
	steps_for(1050 * MOMENT_MS);
	assert_int_equal(world.email.held_count, 1);
	taken(&world.email, world.email.held[0]->message_id);
	steps();
	assert_int_equal(world.email.held_count, 2);
	while (world.email.held_count) {
		taken(&world.email, world.email.held[0]->message_id);
		steps();
	}
	for (int i = 0; i < 7; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		is(state_of(id), "sent");
	}
	sum_holds();
}

static void while_one_probes_what_had_begun_before_lets_no_second_one_go(void **state)
{
	(void)state;
	customer_with_all("ana");
	credit("email", 3);
	admit("m-0", "ana", "card-alerts", "");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	admit("m-3", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	begin(&world.email, "m-2");
	report(&world.email, "m-0", OUTCOME_RETRY, SCOPE_PROVIDER, "421");
	steps_for(1050 * MOMENT_MS);
	assert_int_equal(world.email.held_count, 3); /* the two, and the probe */
	size_t handed = world.email.handed;
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	steps();
	report(&world.email, "m-2", OUTCOME_RETRY, SCOPE_PROVIDER, "421");
	steps();
	assert_int_equal(world.email.handed, handed);
	assert_true(line_find(world.turn, "email")->outlets[0].breaker.probing);
}

static void a_channel_without_a_provider_has_nobody_at_fault(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"webhook\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	report(&world.webhook, "m-1", OUTCOME_RETRY, SCOPE_PROVIDER, "503");
	step();
	is(state_of("m-1"), "deferred"); /* for a pause, and it counts */
	is(contacts_of("m-1"), "1:webhook:retry");
	struct message_row row = row_of("m-1");
	assert_int_equal(row.tries, 1);
	message_row_release(&row);
}

/* --- doubt --- */

static void in_doubt_with_resend_it_goes_again_on_the_same_channel_only(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	step();
	is(state_of("m-1"), "in_doubt");
	sum_holds();
	steps_for(60 * MOMENT_MS);
	is(state_of("m-1"), "sending");
	is(contacts_of("m-1"), "1:email:in_doubt 2:email:sending");
	is(events_of("m-1"), "queued sending in_doubt sending");
	/* put off: still in doubt */
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	step();
	is(state_of("m-1"), "in_doubt");
	sum_holds();
	steps_for(100 * MOMENT_MS);
	taken(&world.email, "m-1");
	step();
	is(state_of("m-1"), "sent");
	assert_int_equal(world.sms.handed, 0);
	sum_holds();
}

static void in_doubt_with_hold_it_stays_so_until_it_is_settled(void **state)
{
	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"sms\",\"email\"]");
	for (const char *const *id = (const char *const[]){"m-1", "m-2", "m-3", NULL}; *id; id++) {
		admit(*id, "ana", "card-alerts", "");
		step();
		begin(&world.sms, *id);
		report(&world.sms, *id, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
		step();
	}
	steps_for(60 * MOMENT_MS);
	is(state_of("m-1"), "in_doubt");
	assert_int_equal(settle("m-1", "sent"), 200);
	assert_int_equal(settle("m-2", "failed"), 200);
	assert_int_equal(settle("m-3", "resend"), 200);
	is(state_of("m-1"), "sent");
	is(contacts_of("m-1"), "1:sms:sent");
	is(state_of("m-2"), "failed");
	is(contacts_of("m-2"), "1:sms:rejected");
	is(state_of("m-3"), "sending");
	is(contacts_of("m-3"), "1:sms:in_doubt 2:sms:sending");
	is(events_of("m-1"), "queued sending in_doubt sent");
	assert_int_equal(settle("m-1", "sent"), 409);
	assert_int_equal(settle("m-3", "resend"), 409);
	assert_int_equal(settle("m-9", "sent"), 404);
	assert_int_equal(settle("m-2", "perhaps"), 409);
	assert_int_equal(world.email.handed, 0);
	sum_holds();
}

static void a_refused_resend_leaves_the_doubt_and_tries_no_other_channel(void **state)
{
	static const enum outcome_scope scopes[] = {SCOPE_MESSAGE, SCOPE_ADDRESS};

	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"email\",\"sms\"]");
	for (int i = 0; i < 2; i++) {
		const char *id = i ? "m-1" : "m-0";
		admit(id, "ana", "card-alerts", "");
		step();
		begin(&world.email, id);
		report(&world.email, id, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
		steps_for(60 * MOMENT_MS);
		report(&world.email, id, OUTCOME_REJECTED, scopes[i], "550");
		steps();
		is(state_of(id), "in_doubt");
		is(contacts_of(id), "1:email:in_doubt 2:email:rejected");
		is(events_of(id), "queued sending in_doubt sending in_doubt");
		sum_holds();
	}
	assert_int_equal(world.sms.handed, 0);
	/* an operator may insist */
	assert_int_equal(settle("m-0", "resend"), 200);
	is(state_of("m-0"), "in_doubt"); /* the address died with the second */
	customer_with_all("ana");
	assert_int_equal(settle("m-0", "resend"), 200);
	is(state_of("m-0"), "sending");
}

static void a_resend_that_cannot_be_rendered_leaves_the_doubt(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	steps_for(60 * MOMENT_MS);
	report(&world.email, "m-1", OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "");
	steps_for(60 * MOMENT_MS);
	is(state_of("m-1"), "in_doubt");
	is(contacts_of("m-1"), "1:email:in_doubt 2:email:rejected");
	sum_holds();
}

static void a_doubt_stays_when_the_customer_moved_to_another_channel(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	step();
	is(prefer_way("ana", "card-alerts", "[\"sms\"]"), "m-1");
	steps_for(60 * MOMENT_MS);
	is(state_of("m-1"), "in_doubt");
	is(reasons_of("m-1"), "doubt_elsewhere");
	assert_int_equal(world.email.handed + world.sms.handed, 1);
	sum_holds();
}

static void what_failed_is_tried_again_from_the_start_of_the_list(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	assert_int_equal(retry("m-1"), 409);
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "550");
	step();
	is(state_of("m-1"), "failed");
	assert_int_equal(retry("m-1"), 200);
	is(state_of("m-1"), "sending");
	is(contacts_of("m-1"), "1:email:rejected 2:email:sending");
	assert_int_equal(retry("m-9"), 404);
	sum_holds();
}

static void every_event_of_a_message_carries_its_meta(void **state)
{
	json_t *event;
	size_t i;

	(void)state;
	customer_with_all("ana");
	prefer_way("ana", "card-alerts", "[\"sms\"]");
	credit("sms", 1);
	admit("m-1", "ana", "card-alerts", ",\"meta\":{\"order\":\"7\"}");
	admit("m-2", "ana", "card-alerts", ",\"meta\":{\"order\":\"8\"}");
	step();
	begin(&world.sms, "m-1");
	report(&world.sms, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	step();
	settle("m-1", "failed");
	report(&world.sms, "m-2", OUTCOME_RETRY, SCOPE_PROVIDER, "503");
	steps();
	admit("m-3", "ana", "card-alerts", ",\"meta\":{\"order\":\"9\"}");
	steps();
	world_crash();
	collect();
	steps();
	json_array_foreach(world_events(), i, event)
	{
		if (strncmp(json_string_value(json_object_get(event, "type")), "heed.message.", 13) == 0 &&
		    !json_object_get(json_object_get(json_object_get(event, "data"), "meta"), "order"))
			fail_msg("without meta: %s", json_dumps(event, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(admitted_and_claimed_in_one_commit_gives_both_events_in_order),
		ON_BOTH(the_same_message_again_is_acknowledged_and_not_sent),
		ON_BOTH(the_same_id_twice_in_one_batch_is_one_message),
		IN_MEMORY(an_id_that_was_refused_is_free_again_even_in_the_same_batch),
		ON_BOTH(what_cannot_be_admitted_is_refused_with_an_error_of_its_own),
		IN_MEMORY(a_message_without_an_id_is_named_by_its_stream_and_entry),
		ON_BOTH(what_the_choice_forbids_ends_with_one_line_without_an_attempt),
		ON_BOTH(without_credit_messages_wait_queued_and_go_later),
		ON_BOTH(what_finds_no_room_is_admitted_all_the_same_a_few_at_a_time),
		ON_BOTH(urgent_goes_before_normal_before_bulk_and_bulk_keeps_a_tenth),
		IN_MEMORY(what_waits_goes_before_what_comes_later),
		IN_MEMORY(in_one_batch_urgent_goes_first),
		ON_BOTH(a_retry_is_deferred_with_growing_pauses),
		IN_MEMORY(retry_after_is_the_least_pause),
		IN_MEMORY(after_give_up_after_it_has_failed),
		IN_MEMORY(the_give_up_clock_stands_while_the_provider_is_at_fault),
		IN_MEMORY(a_rejection_after_the_time_to_give_up_still_goes_to_the_next_channel),
		ON_BOTH(a_rejected_message_goes_to_the_next_channel),
		IN_MEMORY(what_cannot_be_rendered_has_failed),
		ON_BOTH(a_dead_address_is_recorded_told_and_passed_over_for_all_who_share_it),
		ON_BOTH(an_address_dies_once),
		IN_MEMORY(a_stopped_address_does_not_become_dead),
		ON_BOTH(a_provider_at_fault_costs_no_attempt_and_no_other_channel),
		IN_MEMORY(while_one_probes_what_had_begun_before_lets_no_second_one_go),
		IN_MEMORY(a_channel_without_a_provider_has_nobody_at_fault),
		ON_BOTH(in_doubt_with_resend_it_goes_again_on_the_same_channel_only),
		ON_BOTH(in_doubt_with_hold_it_stays_so_until_it_is_settled),
		IN_MEMORY(a_refused_resend_leaves_the_doubt_and_tries_no_other_channel),
		IN_MEMORY(a_resend_that_cannot_be_rendered_leaves_the_doubt),
		ON_BOTH(a_doubt_stays_when_the_customer_moved_to_another_channel),
		ON_BOTH(what_failed_is_tried_again_from_the_start_of_the_list),
		IN_MEMORY(every_event_of_a_message_carries_its_meta),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
