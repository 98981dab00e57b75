/* Time in the turn: what waits for a time, what is over, what goes together, what is too much, and a list
 * with patience. The clock is moved, not waited for. */
#include <time.h>

#include "scratch.h"
#include "turn_fixture.h"
#include "banned.h"

#define SOON (2 * MOMENT_HOUR)

/* A moment so far from now, as JSON writes it. Valid until the next call but three. */
static const char *from_now(int64_t after)
{
	static char texts[4][MOMENT_TEXT];
	static int next;
	char *out = texts[next++ % 4];

	moment_format(moment_now() + world.turn->ahead + after, out);
	return out;
}

static void later(int64_t time)
{
	world.turn->ahead += time;
	steps();
}

/* Admits with a further member whose value is a moment. */
static void admit_at(const char *id, const char *product, const char *key, int64_t after)
{
	char *more = xasprintf(",\"%s\":\"%s\"", key, from_now(after));
	admit(id, "ana", product, more);
	free(more);
}

/* Hours of two hours' length, in UTC, that open so far from now (whole hours). */
static const char *hours_opening(int64_t after)
{
	static char text[32];
	int64_t minute = (moment_now() + world.turn->ahead + after) / MOMENT_MINUTE % 1440;
	int64_t ends = (minute + 120) % 1440;

	snprintf(text, sizeof text, "%02d:%02d-%02d:%02d", (int)minute / 60, (int)minute % 60, (int)ends / 60,
		 (int)ends % 60);
	return text;
}

static void chooses(const char *product, const char *format, const char *value)
{
	char *json = xasprintf(format, value);
	if (prefer("ana", product, json, NULL) != 200)
		fail_msg("%s", problem.data);
	free(json);
}

static void products_are(const char *products)
{
	midweek();
	scratch_write("templates/messages/digest/email.text", "{{#items}}{{summary}};{{/items}}");
	scratch_write("templates/messages/digest/sms", "{{count}} of them");
	world_reload(world_config(NULL, products));
}

static void receipts_come(void)
{
	for (size_t i = 0; i < world.config->channel_count; i++)
		if (strcmp(world.config->channels[i].name, "sms") == 0)
			world.config->channels[i].receipts = true;
}

static void sent_as(struct script *script, const char *message, const char *provider_ref)
{
	struct outcome outcome = outcome_make(OUTCOME_ACCEPTED, SCOPE_MESSAGE, "201", "taken");

	snprintf(outcome.provider_ref, sizeof outcome.provider_ref, "%s", provider_ref);
	begin(script, message);
	report_outcome(script, message, outcome);
	step();
}

static int receipt(const char *provider_ref, bool delivered)
{
	const struct turn_door in = {.turn = world.turn, .alone = true};
	const struct receipt said = {.channel = "sms",
				     .provider = "twilio",
				     .provider_ref = provider_ref,
				     .says = delivered ? RECEIPT_DELIVERED : RECEIPT_REJECTED,
				     .code = delivered ? "DELIVRD" : "UNDELIV",
				     .text = ""};

	text_clear(&problem);
	return request_receipt(&in, &said, &problem);
}

/* --- send_at and expiry --- */

static void a_message_is_not_sent_before_its_time(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit_at("m-1", "card-alerts", "send_at", SOON);
	steps();
	is(state_of("m-1"), "deferred");
	is(reasons_of("m-1"), "send_at");
	later(SOON + MOMENT_S);
	is(state_of("m-1"), "sending");
	is(events_of("m-1"), "deferred sending");
	sum_holds();
}

static void what_expires_while_it_waits_ends_as_expired(void **state)
{
	(void)state;
	customer_with_all("ana");
	char *more = xasprintf(",\"send_at\":\"%s\",\"expires_at\":\"%s\"", from_now(SOON),
			       from_now(SOON + 10 * MOMENT_MS));
	admit("m-1", "ana", "card-alerts", more);
	free(more);
	steps();
	later(SOON + MOMENT_S);
	is(state_of("m-1"), "expired");
	is(contacts_of("m-1"), "0::expired");
	is(events_of("m-1"), "deferred expired");
	sum_holds();
}

static void a_product_says_how_long_its_messages_are_worth_sending(void **state)
{
	(void)state;
	products_are("card-alerts: { channels: [email], default: [email], expires_after: 1h }\n");
	customer_with_all("ana");
	chooses("card-alerts", "{\"paused_until\":\"%s\"}", from_now(SOON));
	admit("m-1", "ana", "card-alerts", "");
	steps();
	later(MOMENT_HOUR + MOMENT_S);
	is(state_of("m-1"), "expired");
}

static void what_waits_for_a_provider_that_is_down_expires_all_the_same(void **state)
{
	(void)state;
	customer_with_all("ana");
	admit_at("m-1", "card-alerts", "expires_at", SOON);
	steps();
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_PROVIDER, "421");
	step();
	is(state_of("m-1"), "deferred");
	world.turn->ahead += SOON + MOMENT_S;
	step();
	is(state_of("m-1"), "expired");
	sum_holds();
}

static void what_expires_while_it_is_claimed_is_not_begun(void **state)
{
	const struct timespec pause = {.tv_nsec = 200000000};
	(void)state;
	customer_with_all("ana");
	admit_at("m-1", "card-alerts", "expires_at", 150 * MOMENT_MS);
	step();
	is(state_of("m-1"), "sending");
	nanosleep(&pause, NULL);
	assert_false(attempt_begin(held(&world.email, "m-1")));
	report(&world.email, "m-1", OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "");
	step();
	is(state_of("m-1"), "expired");
	is(contacts_of("m-1"), "1:email:called_back");
	sum_holds();
}

/* --- hours and pauses --- */

static void one_deferred_for_hours(void)
{
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[\"email\"],\"hours\":\"%s\"}", hours_opening(SOON));
	admit("m-1", "ana", "card-alerts", "");
	steps();
	is(state_of("m-1"), "deferred");
	is(reasons_of("m-1"), "outside_hours");
}

static void deferred_for_hours_it_goes_where_the_customer_moved_to(void **state)
{
	(void)state;
	one_deferred_for_hours();
	chooses("card-alerts", "{\"channels\":[\"sms\"],\"hours\":\"%s\"}", hours_opening(SOON));
	steps();
	is(state_of("m-1"), "deferred");
	later(SOON + MOMENT_MINUTE);
	is(state_of("m-1"), "sending");
	is(contacts_of("m-1"), "1:sms:sending");
	sum_holds();
}

static void deferred_for_hours_it_goes_at_once_when_the_customer_opens_them(void **state)
{
	(void)state;
	one_deferred_for_hours();
	chooses("card-alerts", "{\"channels\":[\"%s\"]}", "email");
	steps();
	is(state_of("m-1"), "sending");
}

static void deferred_for_hours_it_is_suppressed_when_the_customer_stops(void **state)
{
	(void)state;
	one_deferred_for_hours();
	is(prefer_way("ana", "card-alerts", "[]"), "");
	is(state_of("m-1"), "suppressed");
	sum_holds();
}

static void a_pause_holds_until_it_is_over_but_not_what_is_urgent(void **state)
{
	(void)state;
	products_are("card-alerts: { channels: [email], default: [email] }\n"
		     "card-alerts/fraud: { purpose: critical, urgent: true }\n");
	customer_with_all("ana");
	chooses("card-alerts", "{\"paused_until\":\"%s\"}", from_now(SOON));
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts/fraud", "");
	steps();
	is(state_of("m-1"), "deferred");
	is(reasons_of("m-1"), "paused");
	is(state_of("m-2"), "sending");
	is(reasons_of("m-2"), "urgent chosen_default");
	later(SOON + MOMENT_S);
	is(state_of("m-1"), "sending");
}

/* --- digests --- */

#define DIGEST_PRODUCTS "card-alerts: { channels: [email, sms], default: [email], cap: 1/week }\n"

static void three_for_the_next_hour(void)
{
	products_are(DIGEST_PRODUCTS);
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[\"email\",\"sms\"],\"digest\":\"%s\"}", "hourly");
	admit("m-1", "ana", "card-alerts", ",\"meta\":{\"order\":\"1\"}");
	admit("m-2", "ana", "card-alerts", ",\"meta\":{\"order\":\"2\"}");
	steps();
	admit("m-3", "ana", "card-alerts", "");
	steps();
}

static void what_falls_due_together_is_one_contact_of_all(void **state)
{
	(void)state;
	three_for_the_next_hour();
	is(state_of("m-1"), "deferred");
	is(state_of("m-3"), "deferred");
	assert_int_equal(world.email.handed, 0);
	later(MOMENT_HOUR);
	assert_int_equal(world.email.handed, 1);
	assert_int_equal(held(&world.email, "m-1")->item_count, 3);
	begin(&world.email, "m-1");
	taken(&world.email, "m-1");
	step();
	for (int i = 1; i <= 3; i++) {
		char id[16];
		snprintf(id, sizeof id, "m-%d", i);
		is(state_of(id), "sent");
		is(contacts_of(id), "1:email:sent");
		is(events_of(id), "deferred sending sent");
	}
	struct message_row first = row_of("m-1"), last = row_of("m-3");
	assert_true(first.contact == last.contact);
	message_row_release(&first);
	message_row_release(&last);
	sum_holds();
}

static void a_digest_begins_only_while_all_in_it_are_worth_sending(void **state)
{
	(void)state;
	products_are(DIGEST_PRODUCTS);
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[\"email\"],\"digest\":\"%s\"}", "hourly");
	admit("m-1", "ana", "card-alerts", "");
	admit_at("m-2", "card-alerts", "expires_at", MOMENT_HOUR + 30 * MOMENT_MINUTE);
	steps();
	later(MOMENT_HOUR);
	struct message_row row = row_of("m-2");
	assert_int_equal(held(&world.email, "m-1")->item_count, 2);
	assert_true(held(&world.email, "m-1")->begin_before == row.expires_at);
	message_row_release(&row);
}

static void a_product_that_becomes_advertising_needs_an_opt_in_for_what_waits_too(void **state)
{
	(void)state;
	products_are("card-alerts: { channels: [email], default: [email] }\n"
		     "fraud: { channels: [email], default: [email], purpose: critical, urgent: true }\n");
	customer_with_all("ana");
	admit_at("m-1", "card-alerts", "send_at", MOMENT_HOUR);
	admit_at("m-2", "fraud", "send_at", MOMENT_HOUR);
	steps();
	products_are("card-alerts: { channels: [email], default: [email], purpose: marketing }\n"
		     "fraud: { channels: [email], default: [email] }\n");
	later(MOMENT_HOUR + MOMENT_S);
	is(state_of("m-1"), "suppressed");
	is(reasons_of("m-1"), "no_opt_in");
	is(state_of("m-2"), "sending");
	sum_holds();
}

static void advertising_has_a_digest_of_its_own(void **state)
{
	(void)state;
	three_for_the_next_hour();
	chooses("card-alerts", "{\"channels\":[\"email\"],\"digest\":\"hourly\",\"hours\":\"%s\"}",
		"00:00-24:00");
	admit("m-4", "ana", "card-alerts", ",\"purpose\":\"marketing\"");
	steps();
	later(MOMENT_HOUR);
	assert_int_equal(held(&world.email, "m-1")->item_count, 3);
}

static void a_digest_counts_once_in_a_cap(void **state)
{
	(void)state;
	three_for_the_next_hour();
	later(MOMENT_HOUR);
	begin(&world.email, "m-1");
	taken(&world.email, "m-1");
	step();
	is(state_of("m-3"), "sent");
	admit("m-4", "ana", "card-alerts", "");
	later(MOMENT_HOUR);
	is(state_of("m-4"), "deferred");
	assert_non_null(strstr(reasons_of("m-4"), "cap"));
}

static int cancel(const char *message)
{
	const struct turn_door in = {.turn = world.turn, .alone = true};
	const struct asker operator= {.by = "cli", .actor = ""};

	text_clear(&problem);
	return request_cancel(&in, &operator, message, "", NULL, &problem);
}

/* The digest without its first message is sent, and the cap of one a week is used up. */
static void the_rest_goes_and_is_counted(void)
{
	assert_int_equal(held(&world.email, "m-2")->item_count, 2);
	begin(&world.email, "m-2");
	taken(&world.email, "m-2");
	step();
	is(state_of("m-3"), "sent");
	admit("m-4", "ana", "card-alerts", "");
	later(MOMENT_HOUR);
	is(state_of("m-4"), "deferred");
	assert_non_null(strstr(reasons_of("m-4"), "cap"));
	sum_holds();
}

static void a_digest_counts_though_the_message_that_counted_for_all_is_taken_back(void **state)
{
	(void)state;
	three_for_the_next_hour();
	later(MOMENT_HOUR);
	assert_int_equal(cancel("m-1"), 200);
	steps();
	the_rest_goes_and_is_counted();
}

static void a_digest_that_is_put_off_counts_though_its_first_message_is_taken_back(void **state)
{
	(void)state;
	three_for_the_next_hour();
	later(MOMENT_HOUR);
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	step();
	assert_int_equal(cancel("m-1"), 200);
	later(MOMENT_S);
	the_rest_goes_and_is_counted();
}

static void a_digest_that_is_put_off_goes_together_again(void **state)
{
	(void)state;
	three_for_the_next_hour();
	later(MOMENT_HOUR);
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	step();
	is(state_of("m-2"), "deferred");
	later(MOMENT_S);
	assert_int_equal(held(&world.email, "m-1")->item_count, 3);
	is(contacts_of("m-2"), "1:email:retry 2:email:sending");
	/* refused there: all go on to the next channel */
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "550");
	step();
	assert_int_equal(held(&world.sms, "m-1")->item_count, 3);
	is(contacts_of("m-3"), "1:email:retry 2:email:rejected 3:sms:sending");
	sum_holds();
}

static void a_digest_in_doubt_is_sent_again_as_it_was(void **state)
{
	(void)state;
	three_for_the_next_hour();
	later(MOMENT_HOUR);
	int64_t ahead = world.turn->ahead;
	begin(&world.email, "m-1");
	world_crash();
	is(state_of("m-2"), "in_doubt");
	admit("m-4", "ana", "card-alerts", "");
	world.turn->ahead = ahead;
	steps_for(100 * MOMENT_MS);
	assert_int_equal(held(&world.email, "m-1")->item_count, 3);
	is(contacts_of("m-2"), "1:email:in_doubt 2:email:sending");
	sum_holds();
}

static void a_digest_is_called_back_whole(void **state)
{
	(void)state;
	three_for_the_next_hour();
	later(MOMENT_HOUR);
	is(prefer_way("ana", "card-alerts", "[]"), "");
	is(state_of("m-1"), "suppressed");
	is(state_of("m-3"), "suppressed");
	is(contacts_of("m-3"), "1:email:called_back");
	sum_holds();
}

static void what_is_on_its_way_in_a_digest_is_listed_by_message(void **state)
{
	(void)state;
	three_for_the_next_hour();
	later(MOMENT_HOUR);
	begin(&world.email, "m-1");
	is(prefer_way("ana", "card-alerts", "[]"), "m-1,m-2,m-3");
	taken(&world.email, "m-1");
	step();
	is(state_of("m-3"), "sent");
}

/* --- caps --- */

static size_t handed_of(unsigned count)
{
	size_t sending = 0;

	for (unsigned i = 0; i < count; i++) {
		char id[16];
		snprintf(id, sizeof id, "m-%u", i);
		sending += strcmp(state_of(id), "sending") == 0;
	}
	return sending;
}

static void no_more_than_the_cap_goes_in_a_day_however_many_come_at_once(void **state)
{
	(void)state;
	products_are("card-alerts: { channels: [email], default: [email], cap: 3/day }\n");
	customer_with_all("ana");
	for (unsigned i = 0; i < 20; i++) {
		char id[16];
		snprintf(id, sizeof id, "m-%u", i);
		admit(id, "ana", "card-alerts", "");
		if (i == 10)
			step();
	}
	steps();
	assert_int_equal(handed_of(20), 3);
	is(reasons_of("m-19"), "cap");
	later(MOMENT_DAY);
	assert_int_equal(handed_of(20), 6);
	sum_holds();
}

static void what_was_refused_does_not_count_and_the_next_may_go(void **state)
{
	(void)state;
	products_are("card-alerts: { channels: [email], default: [email], cap: 1/week }\n");
	customer_with_all("ana");
	admit("m-0", "ana", "card-alerts", "");
	admit("m-1", "ana", "card-alerts", "");
	steps();
	is(state_of("m-1"), "deferred");
	begin(&world.email, "m-0");
	report(&world.email, "m-0", OUTCOME_REJECTED, SCOPE_MESSAGE, "550");
	steps();
	is(state_of("m-0"), "failed");
	is(state_of("m-1"), "sending");
	/* put off: it keeps its place, and counts once */
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	step();
	later(MOMENT_S);
	is(state_of("m-1"), "sending");
	admit("m-2", "ana", "card-alerts", "");
	steps();
	is(state_of("m-2"), "deferred");
	sum_holds();
}

static void what_is_held_lets_others_go_within_the_cap(void **state)
{
	(void)state;
	const struct turn_door in = {.turn = world.turn, .alone = true};
	const struct asker operator= {.by = "cli", .actor = ""};
	products_are("card-alerts: { channels: [email], default: [email], cap: 1/day }\n");
	customer_with_all("ana");
	admit("m-1", "ana", "card-alerts", ",\"campaign\":\"spring\"");
	admit("m-2", "ana", "card-alerts", "");
	steps();
	is(state_of("m-1"), "sending");
	is(reasons_of("m-2"), "cap");
	assert_int_equal(request_hold(&in, &operator, HOLD_CAMPAIGN, "spring", "?", NULL, &problem), 200);
	steps();
	is(state_of("m-1"), "deferred");
	is(state_of("m-2"), "sending");
	sum_holds();
}

static void all_marketing_together_has_a_limit(void **state)
{
	(void)state;
	products_are("news: { channels: [email], purpose: marketing }\n"
		     "offers: { channels: [email], purpose: marketing }\n");
	world.config->limits.marketing = (struct cap){.count = 1, .per = CAP_WEEK};
	customer_is("ana", "{\"timezone\":\"UTC\",\"addresses\":{\"email\":\"ana@example.com\"}}");
	chooses("news", "{\"channels\":[\"%s\"]}", "email");
	chooses("offers", "{\"channels\":[\"%s\"]}", "email");
	admit("m-1", "ana", "news", "");
	admit("m-2", "ana", "offers", "");
	steps();
	is(state_of("m-1"), "sending");
	is(reasons_of("m-2"), "marketing_cap");
}

/* --- a list with patience --- */

static struct channel_config *channel_of(const char *name)
{
	for (size_t i = 0; i < world.config->channel_count; i++)
		if (strcmp(world.config->channels[i].name, name) == 0)
			return &world.config->channels[i];
	fail_msg("no channel %s", name);
	return NULL;
}

static void sms_is_tried_again_after(int64_t pause)
{
	struct retry_policy *retry = &channel_of("sms")->retry;

	retry->first = retry->max = pause;
	retry->give_up_after = MOMENT_DAY;
}

static void after_its_wait_the_next_channel_is_tried(void **state)
{
	(void)state;
	sms_is_tried_again_after(MOMENT_MINUTE);
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[{\"channel\":\"sms\",\"wait\":\"%s\"},\"email\"]}", "5s");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.sms, "m-1");
	report(&world.sms, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "503");
	step();
	later(6 * MOMENT_S);
	is(contacts_of("m-1"), "1:sms:retry 2:email:sending");
	is(reasons_of("m-1"), "wait_over chosen");
	/* the last one has no next: there it may take as long as it takes */
	begin(&world.email, "m-1");
	taken(&world.email, "m-1");
	step();
	is(state_of("m-1"), "sent");
	sum_holds();
}

static void a_provider_at_fault_uses_up_no_wait(void **state)
{
	(void)state;
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[{\"channel\":\"sms\",\"wait\":\"%s\"},\"email\"]}", "5s");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.sms, "m-1");
	report(&world.sms, "m-1", OUTCOME_RETRY, SCOPE_PROVIDER, "503");
	step();
	world.turn->ahead += MOMENT_MINUTE;
	step();
	is(contacts_of("m-1"), "1:sms:retry");
	is(state_of("m-1"), "deferred");
}

static void a_rate_uses_up_no_wait(void **state)
{
	(void)state;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	rate_parse("1/m", &channel_of("sms")->rate, &error);
	text_release(&error);
	lines_open(world.turn, world.config, true, NULL);
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[{\"channel\":\"sms\",\"wait\":\"%s\"},\"email\"]}", "5s");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	step();
	is(state_of("m-1"), "sending");
	is(state_of("m-2"), "queued");
	world.turn->ahead += 10 * MOMENT_MINUTE;
	world.turn->lines[1].outlets[0].bucket = (struct bucket){0}; /* its clock is not moved */
	steps();
	is(contacts_of("m-2"), "1:sms:sending");
	struct message_row row = row_of("m-2");
	assert_in_range(row.wait_until - world.turn->now, 4 * MOMENT_S, 5 * MOMENT_S);
	message_row_release(&row);
}

static void a_provider_that_says_too_many_uses_up_no_wait(void **state)
{
	(void)state;
	sms_is_tried_again_after(MOMENT_MINUTE);
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[{\"channel\":\"sms\",\"wait\":\"%s\"},\"email\"]}", "5s");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.sms, "m-1");
	report(&world.sms, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "429");
	step();
	struct message_row row = row_of("m-1");
	assert_true(row.due > world.turn->now + 20 * MOMENT_S && row.wait_until > row.due);
	message_row_release(&row);
}

static void a_queue_and_a_hold_after_it_use_up_no_wait(void **state)
{
	const struct asker operator= {.by = "cli", .actor = ""};

	(void)state;
	const struct turn_door in = {.turn = world.turn, .alone = true};
	line_find(world.turn, "sms")->outlets[0].channel->credit = 1;
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[{\"channel\":\"sms\",\"wait\":\"%s\"},\"email\"]}", "5s");
	admit("m-1", "ana", "card-alerts", "");
	admit("m-2", "ana", "card-alerts", "");
	step();
	begin(&world.sms, "m-1");
	for (int kind = HOLD_CHANNEL; kind <= HOLD_PRODUCT; kind += HOLD_PRODUCT - HOLD_CHANNEL) {
		const char *name = kind == HOLD_CHANNEL ? "sms" : "card-alerts";
		later(MOMENT_MINUTE);
		assert_int_equal(
			request_hold(&in, &operator,(enum hold_kind) kind, name, "?", NULL, &problem), 200);
		later(MOMENT_MINUTE);
		is(state_of("m-2"), "deferred");
		assert_int_equal(
			request_release(&in, &operator,(enum hold_kind) kind, name, "", NULL, &problem), 200);
		later(MOMENT_MINUTE);
		is(state_of("m-2"), "queued");
	}
	taken(&world.sms, "m-1");
	steps();
	is(contacts_of("m-2"), "1:sms:sending");
	struct message_row row = row_of("m-2");
	assert_in_range(row.wait_until - world.turn->now, 4 * MOMENT_S, 5 * MOMENT_S);
	message_row_release(&row);
}

static void without_receipts_sent_ends_the_wait(void **state)
{
	(void)state;
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[{\"channel\":\"sms\",\"wait\":\"%s\"},\"email\"]}", "5s");
	admit("m-1", "ana", "card-alerts", "");
	step();
	sent_as(&world.sms, "m-1", "SM1");
	later(MOMENT_HOUR);
	is(contacts_of("m-1"), "1:sms:sent");
}

static void sent_without_a_receipt(void)
{
	customer_with_all("ana");
	receipts_come();
	chooses("card-alerts", "{\"channels\":[{\"channel\":\"sms\",\"wait\":\"%s\"},\"email\"]}", "5s");
	admit("m-1", "ana", "card-alerts", "");
	step();
	sent_as(&world.sms, "m-1", "SM1");
	is(state_of("m-1"), "sent");
}

static void without_a_receipt_in_time_the_next_channel_is_tried_and_the_best_result_stands(void **state)
{
	(void)state;
	sent_without_a_receipt();
	later(6 * MOMENT_S);
	is(state_of("m-1"), "sending");
	is(contacts_of("m-1"), "1:sms:sent 2:email:sending");
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "550");
	steps();
	is(state_of("m-1"), "sent");
	is(events_of("m-1"), "queued sending sent sending sent");
	later(MOMENT_DAY);
	is(contacts_of("m-1"), "1:sms:sent 2:email:rejected");
	sum_holds();
}

static void a_receipt_ends_the_wait(void **state)
{
	(void)state;
	sent_without_a_receipt();
	assert_int_equal(receipt("SM9", true), 202);
	assert_int_equal(receipt("SM1", true), 200);
	is(state_of("m-1"), "delivered");
	is(contacts_of("m-1"), "1:sms:delivered");
	is(events_of("m-1"), "queued sending sent delivered");
	assert_int_equal(receipt("SM1", true), 200);
	assert_int_equal(receipt("SM1", false), 200); /* the first word stands */
	is(state_of("m-1"), "delivered");
	later(MOMENT_HOUR);
	is(contacts_of("m-1"), "1:sms:delivered");
	sum_holds();
}

static void a_receipt_that_says_no_has_the_next_channel_tried_at_once(void **state)
{
	(void)state;
	sent_without_a_receipt();
	assert_int_equal(receipt("SM1", false), 200);
	steps();
	is(state_of("m-1"), "sending");
	is(contacts_of("m-1"), "1:sms:rejected 2:email:sending");
	begin(&world.email, "m-1");
	report(&world.email, "m-1", OUTCOME_REJECTED, SCOPE_MESSAGE, "550");
	steps();
	is(state_of("m-1"), "failed");
	sum_holds();
}

static void a_late_receipt_is_the_best_while_the_next_channel_has_it(void **state)
{
	(void)state;
	sent_without_a_receipt();
	later(6 * MOMENT_S);
	begin(&world.email, "m-1");
	assert_int_equal(receipt("SM1", true), 200);
	is(state_of("m-1"), "sending");
	is(contacts_of("m-1"), "1:sms:delivered 2:email:sending");
	report(&world.email, "m-1", OUTCOME_RETRY, SCOPE_MESSAGE, "451");
	steps();
	is(state_of("m-1"), "delivered");
	sum_holds();
}

static void who_stops_while_a_receipt_is_waited_for_gets_no_other_channel(void **state)
{
	(void)state;
	sent_without_a_receipt();
	is(prefer_way("ana", "card-alerts", "[]"), "");
	later(MOMENT_HOUR);
	is(state_of("m-1"), "sent");
	is(contacts_of("m-1"), "1:sms:sent");
	sum_holds();
}

static void a_late_receipt_ends_a_doubt(void **state)
{
	(void)state;
	customer_with_all("ana");
	chooses("card-alerts", "{\"channels\":[\"%s\"]}", "sms");
	admit("m-1", "ana", "card-alerts", "");
	step();
	struct outcome outcome = outcome_make(OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "", "cut");
	snprintf(outcome.provider_ref, sizeof outcome.provider_ref, "SM1");
	begin(&world.sms, "m-1");
	report_outcome(&world.sms, "m-1", outcome);
	step();
	is(state_of("m-1"), "in_doubt");
	assert_int_equal(receipt("SM1", true), 200);
	is(state_of("m-1"), "delivered");
	sum_holds();
}

static void the_hours_of_a_channel_and_its_wait_count_together(void **state)
{
	(void)state;
	customer_with_all("ana");
	chooses("card-alerts",
		"{\"channels\":[{\"channel\":\"sms\",\"hours\":\"%s\",\"wait\":\"1h\"},\"email\"]}",
		hours_opening(SOON));
	admit("m-1", "ana", "card-alerts", "");
	steps();
	is(state_of("m-1"), "deferred");
	is(reasons_of("m-1"), "channel_hours");
	later(MOMENT_HOUR + MOMENT_S);
	is(contacts_of("m-1"), "1:email:sending");
}

static void a_doubt_is_not_sent_again_in_closed_hours(void **state)
{
	(void)state;
	customer_with_all("ana");
	for (size_t i = 0; i < world.config->channel_count; i++)
		world.config->channels[i].retry.give_up_after = MOMENT_DAY;
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	chooses("card-alerts", "{\"channels\":[\"email\"],\"hours\":\"%s\"}", hours_opening(SOON));
	report(&world.email, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "");
	steps_for(100 * MOMENT_MS);
	is(state_of("m-1"), "in_doubt");
	is(contacts_of("m-1"), "1:email:in_doubt");
	later(SOON + MOMENT_MINUTE);
	is(contacts_of("m-1"), "1:email:in_doubt 2:email:sending");
	sum_holds();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(a_message_is_not_sent_before_its_time),
		ON_BOTH(what_expires_while_it_waits_ends_as_expired),
		ON_BOTH(a_product_says_how_long_its_messages_are_worth_sending),
		ON_BOTH(what_waits_for_a_provider_that_is_down_expires_all_the_same),
		ON_BOTH(what_expires_while_it_is_claimed_is_not_begun),
		ON_BOTH(deferred_for_hours_it_goes_where_the_customer_moved_to),
		ON_BOTH(deferred_for_hours_it_goes_at_once_when_the_customer_opens_them),
		ON_BOTH(deferred_for_hours_it_is_suppressed_when_the_customer_stops),
		ON_BOTH(a_pause_holds_until_it_is_over_but_not_what_is_urgent),
		ON_BOTH(what_falls_due_together_is_one_contact_of_all),
		ON_BOTH(a_digest_begins_only_while_all_in_it_are_worth_sending),
		ON_BOTH(advertising_has_a_digest_of_its_own),
		ON_BOTH(a_product_that_becomes_advertising_needs_an_opt_in_for_what_waits_too),
		ON_BOTH(a_digest_counts_once_in_a_cap),
		ON_BOTH(a_digest_counts_though_the_message_that_counted_for_all_is_taken_back),
		ON_BOTH(a_digest_that_is_put_off_counts_though_its_first_message_is_taken_back),
		ON_BOTH(a_digest_that_is_put_off_goes_together_again),
		ON_BOTH(a_digest_in_doubt_is_sent_again_as_it_was),
		ON_BOTH(a_digest_is_called_back_whole),
		ON_BOTH(what_is_on_its_way_in_a_digest_is_listed_by_message),
		ON_BOTH(no_more_than_the_cap_goes_in_a_day_however_many_come_at_once),
		ON_BOTH(what_was_refused_does_not_count_and_the_next_may_go),
		ON_BOTH(what_is_held_lets_others_go_within_the_cap),
		ON_BOTH(all_marketing_together_has_a_limit),
		ON_BOTH(after_its_wait_the_next_channel_is_tried),
		ON_BOTH(a_provider_at_fault_uses_up_no_wait),
		ON_BOTH(a_rate_uses_up_no_wait),
		ON_BOTH(a_provider_that_says_too_many_uses_up_no_wait),
		ON_BOTH(a_queue_and_a_hold_after_it_use_up_no_wait),
		ON_BOTH(without_receipts_sent_ends_the_wait),
		ON_BOTH(without_a_receipt_in_time_the_next_channel_is_tried_and_the_best_result_stands),
		ON_BOTH(a_receipt_ends_the_wait),
		ON_BOTH(a_receipt_that_says_no_has_the_next_channel_tried_at_once),
		ON_BOTH(a_late_receipt_is_the_best_while_the_next_channel_has_it),
		ON_BOTH(who_stops_while_a_receipt_is_waited_for_gets_no_other_channel),
		ON_BOTH(a_late_receipt_ends_a_doubt),
		ON_BOTH(the_hours_of_a_channel_and_its_wait_count_together),
		ON_BOTH(a_doubt_is_not_sent_again_in_closed_hours),
	};

	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
