/* What operators hold, release and take back; rates, and several providers of one channel. */
#include "turn_fixture.h"
#include "banned.h"

static struct turn_door door(void)
{
	return (struct turn_door){.turn = world.turn, .alone = !world.turn->started};
}

static const struct asker operator= {.by = "cli", .actor = "eva"};

/* The ids that are on their way, with commas; asserts that it was done. */
static const char *hold(enum hold_kind kind, const char *name)
{
	static char ids[4096];
	const struct turn_door in = door();
	json_t *answer = NULL, *id;
	size_t i, used = 0;

	text_clear(&problem);
	int status = request_hold(&in, &operator, kind, name, "a mistake", &answer, &problem);
	if (status != 200)
		fail_msg("%d: %s", status, problem.data);
	ids[0] = '\0';
	json_array_foreach(json_object_get(answer, "on_their_way"), i, id) used +=
		(size_t)snprintf(ids + used, sizeof ids - used, "%s%s", i ? "," : "", json_string_value(id));
	assert_int_equal(json_integer_value(json_object_get(answer, "on_their_way_count")), i);
	json_decref(answer);
	return ids;
}

static int hold_status(enum hold_kind kind, const char *name, const char *why)
{
	const struct turn_door in = door();

	text_clear(&problem);
	return request_hold(&in, &operator, kind, name, why, NULL, &problem);
}

static int release(enum hold_kind kind, const char *name)
{
	const struct turn_door in = door();

	text_clear(&problem);
	return request_release(&in, &operator, kind, name, "", NULL, &problem);
}

static int cancel(const char *message)
{
	const struct turn_door in = door();

	text_clear(&problem);
	return request_cancel(&in, &operator, message, "sent too early", NULL, &problem);
}

static const char *waits_for(const char *message)
{
	static char text[128];
	struct message_row row = row_of(message);

	snprintf(text, sizeof text, "%s", row.waits_for);
	message_row_release(&row);
	return text;
}

static void credit(const char *channel, size_t credit)
{
	line_find(world.turn, channel)->outlets[0].channel->credit = credit;
}

#define SPRING ",\"campaign\":\"spring\""

/* --- holds --- */

static void what_is_held_waits_until_it_is_released_and_the_rest_goes(void **state)
{
	(void)state;
	customer_with_all("ana");
	is(hold(HOLD_CAMPAIGN, "spring"), "");
	admit("m-1", "ana", "card-alerts", SPRING);
	admit("m-2", "ana", "card-alerts", "");
	steps();
	is(state_of("m-1"), "deferred");
	is(waits_for("m-1"), "hold:campaign:spring");
	is(reasons_of("m-1"), "chosen_default held");
	is(events_of("m-1"), "deferred");
	is(state_of("m-2"), "sending");
	sum_holds();
	assert_int_equal(release(HOLD_CAMPAIGN, "spring"), 200);
	steps();
	is(state_of("m-1"), "sending");
	is(events_of("m-1"), "deferred sending");
	assert_int_equal(release(HOLD_CAMPAIGN, "spring"), 404);
	sum_holds();
}

/* The answer names so many and no more, and counts them all. */
static void what_a_crash_left_on_its_way_is_counted_whole(void **state)
{
	enum { COUNT = 1200, NAMED = 1000 };
	json_t *answer = NULL;
	char name[24];

	(void)state;
	customer_with_all("ana");
	credit("email", COUNT);
	atomic_store(&line_find(world.turn, "email")->outlets[0].channel->pace, 1); /* known to be fast */
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "m-%d", i);
		admit(name, "ana", "card-alerts", "");
	}
	steps();
	assert_int_equal(world.email.held_count, COUNT);
	turn_free(world.turn); /* a kill; then the command alone, without a gateway */
	world.turn = turn_new(world.store, world.config);
	const struct turn_door alone = door();
	assert_int_equal(
		request_hold(&alone, &operator, HOLD_CHANNEL, "email", "a mistake", &answer, &problem), 200);
	assert_int_equal(json_integer_value(json_object_get(answer, "on_their_way_count")), COUNT);
	assert_int_equal(json_array_size(json_object_get(answer, "on_their_way")), NAMED);
	json_decref(answer);
	world_restart();
}

static void what_waits_already_is_moved_and_what_had_not_begun_is_called_back(void **state)
{
	(void)state;
	customer_with_all("ana");
	credit("email", 2);
	admit("m-1", "ana", "card-alerts", SPRING);
	admit("m-2", "ana", "card-alerts", SPRING);
	step();
	admit("m-3", "ana", "card-alerts", SPRING);
	admit("m-4", "ana", "card-alerts", "");
	step();
	is(state_of("m-3"), "queued");
	begin(&world.email, "m-1");
	is(hold(HOLD_CAMPAIGN, "spring"), "m-1");
	is(state_of("m-2"), "deferred");
	is(contacts_of("m-2"), "1:email:called_back");
	is(state_of("m-3"), "deferred");
	is(waits_for("m-3"), "hold:campaign:spring");
	assert_false(attempt_begin(held(&world.email, "m-2")));
	report(&world.email, "m-2", OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "");
	taken(&world.email, "m-1");
	steps();
	is(state_of("m-1"), "sent");
	is(state_of("m-4"), "sending");
	is(state_of("m-2"), "deferred");
	sum_holds();
	assert_int_equal(release(HOLD_CAMPAIGN, "spring"), 200);
	steps();
	is(state_of("m-2"), "sending");
	is(state_of("m-3"), "queued"); /* no credit is left: nothing but its turn is missing */
	sum_holds();
}

static void a_channel_a_provider_a_product_and_a_lane_can_be_held(void **state)
{
	(void)state;
	customer_with_all("ana");
	hold(HOLD_CHANNEL, "email");
	admit("m-1", "ana", "card-alerts", "");
	steps();
	is(state_of("m-1"), "deferred");
	is(waits_for("m-1"), "email");
	assert_int_equal(release(HOLD_CHANNEL, "email"), 200);
	hold(HOLD_PROVIDER, line_find(world.turn, "email")->config->provider);
	steps();
	is(state_of("m-1"), "deferred");
	assert_int_equal(release(HOLD_PROVIDER, line_find(world.turn, "email")->config->provider), 200);
	steps();
	is(state_of("m-1"), "sending");
	hold(HOLD_PRODUCT, "card-alerts");
	admit("m-2", "ana", "card-alerts/fraud", "");
	admit("m-3", "ana", "terms", "");
	steps();
	is(state_of("m-2"), "deferred");
	is(state_of("m-3"), "sending");
	hold(HOLD_LANE, "bulk");
	admit("m-4", "ana", "terms", ",\"lane\":\"bulk\"");
	admit("m-5", "ana", "terms", ",\"lane\":\"urgent\"");
	steps();
	is(state_of("m-4"), "deferred");
	is(state_of("m-5"), "sending");
	/* two holds: the second is found when the first is gone */
	admit("m-6", "ana", "card-alerts", ",\"lane\":\"bulk\"");
	steps();
	is(waits_for("m-6"), "hold:product:card-alerts");
	assert_int_equal(release(HOLD_PRODUCT, "card-alerts"), 200);
	steps();
	is(waits_for("m-6"), "hold:lane:bulk");
	is(state_of("m-2"), "sending");
	sum_holds();
}

static void a_held_channel_defers_what_waits_and_queues_it_again(void **state)
{
	(void)state;
	customer_with_all("ana");
	credit("email", 0);
	admit("m-1", "ana", "card-alerts", "");
	steps();
	is(state_of("m-1"), "queued");
	hold(HOLD_CHANNEL, "email");
	steps();
	is(state_of("m-1"), "deferred");
	assert_int_equal(release(HOLD_CHANNEL, "email"), 200);
	steps();
	is(state_of("m-1"), "queued");
	is(events_of("m-1"), "queued deferred queued");
	sum_holds();
}

static void a_name_that_means_nothing_is_refused(void **state)
{
	(void)state;
	assert_int_equal(hold_status(HOLD_CHANNEL, "fax", "x"), 422);
	assert_int_equal(hold_status(HOLD_PROVIDER, "nobody", "x"), 422);
	assert_int_equal(hold_status(HOLD_PRODUCT, "loans", "x"), 422);
	assert_int_equal(hold_status(HOLD_LANE, "slow", "x"), 422);
	assert_int_equal(hold_status(HOLD_CAMPAIGN, "", "x"), 422);
	assert_int_equal(hold_status(HOLD_CAMPAIGN, "spring", ""), 422);
	assert_int_equal(world.turn->hold_count, 0);
}

static void no_more_holds_stand_than_the_limit(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < HOLDS_MAX; i++) {
		snprintf(name, sizeof name, "c-%d", i);
		assert_int_equal(hold_status(HOLD_CAMPAIGN, name, "x"), 200);
	}
	assert_int_equal(hold_status(HOLD_CAMPAIGN, "spring", "x"), 409);
	assert_int_equal(hold_status(HOLD_CAMPAIGN, "c-7", "y"), 200);
	assert_int_equal(world.turn->hold_count, HOLDS_MAX);
}

static void a_backlog_is_moved_in_slices_and_others_behind_it_do_not_wait(void **state)
{
	const int count = 1300;
	char id[16];

	(void)state;
	customer_with_all("ana");
	credit("email", 0);
	for (int i = 0; i < count; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		admit(id, "ana", "card-alerts", SPRING ",\"lane\":\"bulk\"");
	}
	steps();
	admit("other", "ana", "card-alerts", ",\"lane\":\"bulk\"");
	steps();
	is(state_of("other"), "queued");
	hold(HOLD_CAMPAIGN, "spring");
	credit("email", 10);
	line_find(world.turn, "email")->next.due = 0;
	for (int turns = 0; turns < 4; turns++)
		step();
	is(state_of("other"), "sending");
	is(state_of("m-0"), "deferred");
	is(waits_for("m-1299"), "hold:campaign:spring");
	assert_int_equal(world.email.handed, 1);
	sum_holds();
	/* it costs nothing while it stands, and goes on in its order */
	steps();
	unsigned long turns = world.turn->number;
	steps();
	assert_true(world.turn->number <= turns + 1);
	assert_int_equal(release(HOLD_CAMPAIGN, "spring"), 200);
	steps();
	is(state_of("m-0"), "sending");
	is(state_of("m-8"), "sending");
	is(state_of("m-1299"), "queued");
	sum_holds();
}

static void a_hold_outlives_a_crash_and_a_release_goes_on_after_one(void **state)
{
	(void)state;
	customer_with_all("ana");
	hold(HOLD_CAMPAIGN, "spring");
	admit("m-1", "ana", "card-alerts", SPRING);
	steps();
	world_crash();
	steps();
	is(state_of("m-1"), "deferred");
	admit("m-2", "ana", "card-alerts", SPRING);
	steps();
	is(state_of("m-2"), "deferred");
	turn_free(world.turn);
	world.turn = turn_new(world.store, world.config); /* the command alone, without a gateway */
	assert_int_equal(release(HOLD_CAMPAIGN, "spring"), 200);
	is(state_of("m-1"), "deferred");
	world_restart();
	steps();
	is(state_of("m-1"), "sending");
	is(state_of("m-2"), "sending");
	sum_holds();
}

static void who_holds_and_why_are_in_the_log_of_changes(void **state)
{
	struct change *changes = NULL;
	size_t count = 0, found = 0;

	(void)state;
	hold(HOLD_CAMPAIGN, "spring");
	release(HOLD_CAMPAIGN, "spring");
	assert_true(store_read_changes(world.reader, 0, 0, 100, &changes, &count));
	for (size_t i = 0; i < count; i++) {
		if (changes[i].kind == CHANGE_HOLD) {
			is(changes[i].subject, "campaign:spring");
			is(changes[i].by, "cli");
			is(changes[i].actor, "eva");
			is(changes[i].evidence, found ? "{\"why\":\"\"}" : "{\"why\":\"a mistake\"}");
			found++;
		}
		change_release(&changes[i]);
	}
	free(changes);
	assert_int_equal(found, 2);
}

static void what_is_held_is_not_given_up(void **state)
{
	(void)state;
	world.config->channels[0].retry.give_up_after = 100 * MOMENT_MS;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", SPRING);
	step();
	begin(&world.email, "m-1");
	hold(HOLD_CAMPAIGN, "spring");
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	steps_for(300 * MOMENT_MS);
	is(state_of("m-1"), "deferred");
	assert_int_equal(release(HOLD_CAMPAIGN, "spring"), 200);
	steps();
	is(state_of("m-1"), "sending");
	sum_holds();
}

static void what_is_held_follows_the_customers_choice(void **state)
{
	(void)state;
	customer_with_all("ana");
	hold(HOLD_CAMPAIGN, "spring");
	admit("m-1", "ana", "card-alerts", SPRING);
	admit("m-2", "ana", "card-alerts", SPRING);
	steps();
	is(prefer_way("ana", "card-alerts", "[\"sms\"]"), "");
	steps();
	is(state_of("m-1"), "deferred");
	assert_int_equal(release(HOLD_CAMPAIGN, "spring"), 200);
	steps();
	assert_true(is_held(&world.sms, "m-1"));
	hold(HOLD_CAMPAIGN, "spring");
	is(prefer_way("ana", "card-alerts", "[]"), "");
	is(state_of("m-1"), "suppressed");
	is(state_of("m-2"), "suppressed");
	sum_holds();
}

/* --- taking back --- */

static void a_message_that_waits_is_taken_back_and_says_who_did_it(void **state)
{
	(void)state;
	customer_with_all("ana");
	credit("email", 0);
	admit("m-1", "ana", "card-alerts", "");
	steps();
	assert_int_equal(cancel("m-1"), 200);
	is(state_of("m-1"), "cancelled");
	is(contacts_of("m-1"), "0::cancelled");
	is(events_of("m-1"), "queued cancelled");
	struct message_row row = row_of("m-1");
	assert_non_null(strstr(row.reasons, "\"by\":\"eva\""));
	assert_non_null(strstr(row.reasons, "sent too early"));
	message_row_release(&row);
	assert_int_equal(cancel("m-1"), 200);
	assert_int_equal(cancel("m-9"), 404);
	sum_holds();
}

static void one_that_is_sending_is_taken_back_only_before_it_has_begun(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	assert_int_equal(cancel("m-1"), 409);
	assert_int_equal(cancel("m-2"), 200);
	is(state_of("m-2"), "cancelled");
	is(contacts_of("m-2"), "1:email:called_back");
	assert_false(attempt_begin(held(&world.email, "m-2")));
	report(&world.email, "m-2", OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "");
	taken(&world.email, "m-1");
	steps();
	is(state_of("m-1"), "sent");
	is(state_of("m-2"), "cancelled");
	assert_int_equal(cancel("m-1"), 409);
	sum_holds();
}

static void a_cancelled_campaign_ends_and_so_does_what_still_comes_of_it(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit("sent", "ana", "card-alerts", SPRING);
	admit("doubt", "ana", "card-alerts", SPRING);
	admit("begun", "ana", "card-alerts", SPRING);
	admit("back", "ana", "card-alerts", SPRING);
	admit("later", "ana", "card-alerts", SPRING);
	admit("other", "ana", "card-alerts", "");
	step();
	begin(&world.email, "sent");
	taken(&world.email, "sent");
	begin(&world.email, "doubt");
	report(&world.email, "doubt", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	report(&world.email, "later", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	begin(&world.email, "begun");
	step();
	is(state_of("doubt"), "in_doubt");
	is(hold(HOLD_CANCEL, "spring"), "begun");
	is(state_of("later"), "cancelled");
	is(state_of("back"), "cancelled");
	report(&world.email, "begun", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	admit("new", "ana", "card-alerts", SPRING);
	steps_for(300 * MOMENT_MS);
	is(state_of("sent"), "sent");
	is(state_of("doubt"), "in_doubt"); /* it may have arrived; it is not sent again */
	is(contacts_of("doubt"), "1:email:in_doubt");
	is(state_of("begun"), "cancelled");
	is(state_of("new"), "cancelled");
	is(contacts_of("new"), "0::cancelled");
	is(state_of("other"), "sending");
	sum_holds();
	assert_int_equal(release(HOLD_CAMPAIGN, "spring"), 200);
	admit("again", "ana", "card-alerts", SPRING);
	steps();
	is(state_of("again"), "sending");
	is(state_of("new"), "cancelled");
	sum_holds();
}

static void without_a_gateway_a_cancelled_campaign_has_ended_when_it_is_answered(void **state)
{
	char id[16];

	(void)state;
	customer_with_all("ana");
	hold(HOLD_CAMPAIGN, "spring");
	for (int i = 0; i < 1200; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		admit(id, "ana", "card-alerts", SPRING);
	}
	steps();
	turn_free(world.turn);
	world.turn = turn_new(world.store, world.config);
	assert_int_equal(hold_status(HOLD_CANCEL, "spring", ""), 200);
	is(state_of("m-0"), "cancelled");
	is(state_of("m-1199"), "cancelled");
	world_restart();
	assert_int_equal(sum_holds(), 1200);
}

/* --- rates --- */

static void rate(const char *text)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	assert_true(rate_parse(text, &world.config->channels[0].rate, &error));
	lines_open(world.turn, world.config, true, NULL);
	text_release(&error);
}

static void a_rate_is_kept_and_the_rest_waits_queued_for_the_exact_moment(void **state)
{
	char id[16];

	(void)state;
	customer_with_all("ana");
	rate("20/s");
	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof id, "m-%d", i);
		admit(id, "ana", "card-alerts", "");
	}
	step();
	assert_int_equal(world.email.handed, 1);
	is(state_of("m-1"), "queued");
	int64_t wait = lines_next(world.turn);
	assert_true(wait > 0 && wait <= 51 * MOMENT_MS);
	steps_for(240 * MOMENT_MS);
	assert_in_range(world.email.handed, 3, 6);
	sum_holds();
}

static void a_reload_gives_nothing_away(void **state)
{
	(void)state;
	customer_with_all("ana");
	rate("1/h");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	step();
	is(state_of("m-1"), "sending");
	lines_open(world.turn, world.config, true, NULL);
	steps();
	is(state_of("m-2"), "queued");
}

static void an_urgent_critical_message_is_not_held_by_the_rate(void **state)
{
	(void)state;
	customer_with_all("ana");
	rate("1/h");
	((struct product *)product_find(world.config->products, "alarm"))->urgent = true;
	prefer_way("ana", "alarm", "[\"email\"]");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	step();
	is(state_of("m-2"), "queued");
	admit("m-3", "ana", "alarm", "");
	step();
	is(state_of("m-3"), "sending");
	is(state_of("m-2"), "queued");
}

static void a_provider_that_asks_for_less_is_left_alone_for_that_long(void **state)
{
	struct outcome outcome = outcome_make(OUTCOME_RETRY, SCOPE_MESSAGE, "429", "slow down");

	(void)state;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	outcome.retry_after = 200 * MOMENT_MS;
	report_outcome(&world.email, "m-1", outcome);
	admit("m-2", "ana", "card-alerts", "");
	step();
	is(state_of("m-2"), "queued");
	steps_for(100 * MOMENT_MS);
	is(state_of("m-2"), "queued");
	steps_for(150 * MOMENT_MS);
	is(state_of("m-2"), "sending");
	/* without a time of its own: a short pause */
	report(&world.email, "m-2", OUTCOME_RETRY, SCOPE_MESSAGE, "450 4.2.0");
	admit("m-3", "ana", "card-alerts", "");
	step();
	is(state_of("m-3"), "queued");
	steps_for(150 * MOMENT_MS);
	is(state_of("m-3"), "sending");
	sum_holds();
}

/* --- several providers --- */

static void email_has_a_second_provider(void)
{
	struct channel_config *first = &world.config->channels[0];

	is(first->name, "email");
	first->others = xcalloc(1, sizeof *first->others);
	first->others[0] = *first;
	first->others[0].name = xstrdup("email");
	first->others[0].provider = xstrdup("second");
	json_incref(first->settings);
	json_incref(first->provider_file);
	first->others[0].others = NULL;
	first->others[0].other_count = 0;
	first->other_count = 1;
	lines_open(world.turn, world.config, true, NULL);
}

static const char *provider_of(struct script *script, const char *message)
{
	return held(script, message)->channel->config->provider;
}

static void the_next_provider_takes_over_while_the_first_is_at_fault_and_gives_back(void **state)
{
	(void)state;
	email_has_a_second_provider();
	const char *first = world.config->channels[0].provider;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	step();
	is(provider_of(&world.email, "m-1"), first);
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_PROVIDER, "connect");
	steps();
	is(state_of("m-1"), "sending");
	is(provider_of(&world.email, "m-1"), "second");
	admit("m-2", "ana", "card-alerts", "");
	steps();
	is(provider_of(&world.email, "m-2"), "second");
	taken(&world.email, "m-1");
	/* a probe goes to the first once its pause is over; it works again */
	steps_for(1100 * MOMENT_MS);
	admit("m-3", "ana", "card-alerts", "");
	admit("m-4", "ana", "card-alerts", "");
	steps();
	is(provider_of(&world.email, "m-3"), first);
	is(provider_of(&world.email, "m-4"), "second");
	taken(&world.email, "m-3");
	steps();
	admit("m-5", "ana", "card-alerts", "");
	steps();
	is(provider_of(&world.email, "m-5"), first);
	struct message_row row = row_of("m-1");
	assert_int_equal(row.attempts, 1); /* the company's own trouble counts as none */
	message_row_release(&row);
	sum_holds();
}

static void a_busy_provider_is_waited_for_and_a_held_one_is_passed_over(void **state)
{
	(void)state;
	email_has_a_second_provider();
	const char *first = world.config->channels[0].provider;
	customer_with_all("ana");
	credit("email", 1);
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	steps();
	is(state_of("m-2"), "queued");
	hold(HOLD_PROVIDER, first);
	steps();
	is(provider_of(&world.email, "m-2"), "second");
	is(contacts_of("m-1"), "1:email:called_back 1:email:sending");
	hold(HOLD_PROVIDER, "second");
	is(state_of("m-1"), "deferred");
	is(state_of("m-2"), "deferred");
	while (world.email.held_count)
		report(&world.email, world.email.held[0]->message_id, OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "");
	credit("email", 2);
	assert_int_equal(release(HOLD_PROVIDER, first), 200);
	steps();
	is(provider_of(&world.email, "m-2"), first);
	sum_holds();
}

static void what_is_in_doubt_stays_with_the_provider_that_it_was_tried_with(void **state)
{
	(void)state;
	email_has_a_second_provider();
	const char *first = world.config->channels[0].provider;
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	report(&world.email, "m-2", OUTCOME_RETRY, SCOPE_PROVIDER, "connect");
	steps_for(100 * MOMENT_MS);
	is(provider_of(&world.email, "m-2"), "second");
	is(state_of("m-1"), "in_doubt");
	is(contacts_of("m-1"), "1:email:in_doubt");
	steps_for(3200 * MOMENT_MS);
	is(state_of("m-1"), "sending");
	is(provider_of(&world.email, "m-1"), first);
	sum_holds();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(what_is_held_waits_until_it_is_released_and_the_rest_goes),
		ON_BOTH(what_waits_already_is_moved_and_what_had_not_begun_is_called_back),
		ON_BOTH(what_a_crash_left_on_its_way_is_counted_whole),
		ON_BOTH(a_channel_a_provider_a_product_and_a_lane_can_be_held),
		IN_MEMORY(a_held_channel_defers_what_waits_and_queues_it_again),
		IN_MEMORY(a_name_that_means_nothing_is_refused),
		IN_MEMORY(no_more_holds_stand_than_the_limit),
		ON_BOTH(a_backlog_is_moved_in_slices_and_others_behind_it_do_not_wait),
		ON_BOTH(a_hold_outlives_a_crash_and_a_release_goes_on_after_one),
		ON_BOTH(who_holds_and_why_are_in_the_log_of_changes),
		IN_MEMORY(what_is_held_is_not_given_up),
		IN_MEMORY(what_is_held_follows_the_customers_choice),
		ON_BOTH(a_message_that_waits_is_taken_back_and_says_who_did_it),
		IN_MEMORY(one_that_is_sending_is_taken_back_only_before_it_has_begun),
		ON_BOTH(a_cancelled_campaign_ends_and_so_does_what_still_comes_of_it),
		ON_BOTH(without_a_gateway_a_cancelled_campaign_has_ended_when_it_is_answered),
		IN_MEMORY(a_rate_is_kept_and_the_rest_waits_queued_for_the_exact_moment),
		IN_MEMORY(a_reload_gives_nothing_away),
		IN_MEMORY(an_urgent_critical_message_is_not_held_by_the_rate),
		IN_MEMORY(a_provider_that_asks_for_less_is_left_alone_for_that_long),
		IN_MEMORY(the_next_provider_takes_over_while_the_first_is_at_fault_and_gives_back),
		IN_MEMORY(a_busy_provider_is_waited_for_and_a_held_one_is_passed_over),
		IN_MEMORY(what_is_in_doubt_stays_with_the_provider_that_it_was_tried_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
