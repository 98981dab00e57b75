/* What comes in, in the turn: receipts in any order, replies, bounces, complaints, and what they change. */
#include "inbound.h"
#include "reply.h"
#include "store_flaky.h"
#include "turn_fixture.h"
#include "banned.h"

#define NUMBER "+491701234567"

static void receipts_and_replies_come(void)
{
	for (size_t i = 0; i < world.config->channel_count; i++)
		if (strcmp(world.config->channels[i].name, "sms") == 0)
			world.config->channels[i].receipts = true;
	text_clear(&problem);
	if (!world.config->replies)
		world.config->replies = reply_set_load("templates", &problem);
	assert_non_null(world.config->replies);
}

static int setup_memory(void **state)
{
	int failed = world_open_memory(state);

	receipts_and_replies_come();
	return failed;
}

static int setup_sqlite(void **state)
{
	int failed = world_open_sqlite(state);

	receipts_and_replies_come();
	return failed;
}

#define ON_EITHER(test)                                                  \
	{#test " (memory)", test, setup_memory, world_close, NULL},      \
	{                                                                \
#test " (sqlite)", test, setup_sqlite, world_close, NULL \
	}

static const struct turn_door *door(void)
{
	static struct turn_door door;

	door = (struct turn_door){.turn = world.turn, .alone = !world.turn->started};
	return &door;
}

/* --- receipts --- */

static int receipt_about(const char *ref, int64_t contact, enum receipt_says says)
{
	const struct receipt said = {.channel = "sms",
				     .provider = "twilio",
				     .provider_ref = ref,
				     .contact = contact,
				     .says = says,
				     .code = says == RECEIPT_DELIVERED ? "DELIVRD" : "UNDELIV",
				     .text = ""};
	text_clear(&problem);
	int status = request_receipt(door(), &said, &problem);
	collect();
	return status;
}

static int receipt(const char *ref, enum receipt_says says)
{
	return receipt_about(ref, 0, says);
}

static void sent_as(const char *message, const char *ref)
{
	struct outcome outcome = outcome_make(OUTCOME_ACCEPTED, SCOPE_MESSAGE, "201", "taken");

	snprintf(outcome.provider_ref, sizeof outcome.provider_ref, "%s", ref);
	begin(&world.sms, message);
	report_outcome(&world.sms, message, outcome);
	steps();
}

static void ana_by_sms(const char *channels)
{
	customer_is("ana", "{\"locale\":\"en\",\"addresses\":{\"sms\":\"" NUMBER
			   "\",\"email\":\"ana@example.com\"}}");
	prefer_way("ana", "card-alerts", channels);
}

static int64_t contact_number(const char *message)
{
	struct message_row row = row_of(message);
	int64_t contact = row.contact;

	message_row_release(&row);
	return contact;
}

static int64_t kept(void)
{
	int64_t count;

	assert_true(store_count_receipts(world.store, &count));
	return count;
}

static void a_receipt_before_the_answer_to_its_submit_counts_once_that_is_there(void **state)
{
	(void)state;
	ana_by_sms("[\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	assert_int_equal(receipt("SM1", RECEIPT_DELIVERED), 202);
	is(state_of("m-1"), "sending");
	sent_as("m-1", "SM1");
	is(state_of("m-1"), "delivered");
	is(contacts_of("m-1"), "1:sms:delivered");
	is(events_of("m-1"), "queued sending sent delivered");
	assert_int_equal(kept(), 0);
	sum_holds();
}

static void a_receipt_that_names_its_attempt_settles_a_doubt_without_a_reference(void **state)
{
	(void)state;
	ana_by_sms("[\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	int64_t contact = contact_number("m-1");
	assert_int_equal(receipt_about("SM1", contact, RECEIPT_DELIVERED), 202);
	begin(&world.sms, "m-1");
	report(&world.sms, "m-1", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "cut");
	steps();
	is(state_of("m-1"), "delivered");
	assert_int_equal(receipt_about("SM1", contact, RECEIPT_REJECTED), 200); /* the better one stands */
	is(state_of("m-1"), "delivered");
	sum_holds();
}

static void a_receipt_that_waited_through_a_crash_counts(void **state)
{
	(void)state;
	ana_by_sms("[\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	assert_int_equal(receipt_about("SM1", contact_number("m-1"), RECEIPT_DELIVERED), 202);
	begin(&world.sms, "m-1");
	world_crash();
	for (size_t i = 0; i < world.config->channel_count; i++)
		world.config->channels[i].receipts = true;
	steps();
	is(state_of("m-1"), "delivered");
	sum_holds();
}

static void what_was_refused_after_all_goes_to_the_next_channel_also_when_the_receipt_came_first(void **state)
{
	(void)state;
	ana_by_sms("[\"sms\",\"email\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	assert_int_equal(receipt("SM1", RECEIPT_REJECTED), 202);
	sent_as("m-1", "SM1");
	steps();
	is(contacts_of("m-1"), "1:sms:rejected 2:email:sending");
	sum_holds();
}

static void what_had_failed_and_arrived_all_the_same_is_delivered(void **state)
{
	(void)state;
	ana_by_sms("[\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	sent_as("m-1", "SM1");
	assert_int_equal(receipt("SM1", RECEIPT_REJECTED), 200);
	is(state_of("m-1"), "failed");
	assert_int_equal(receipt("SM1", RECEIPT_DELIVERED), 200);
	is(state_of("m-1"), "delivered");
	is(contacts_of("m-1"), "1:sms:delivered");
	sum_holds();
}

static void a_temporary_failure_said_later_is_tried_again(void **state)
{
	(void)state;
	ana_by_sms("[\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	sent_as("m-1", "SM1");
	assert_int_equal(receipt("SM1", RECEIPT_RETRY), 200);
	is(state_of("m-1"), "deferred");
	steps_for(300 * MOMENT_MS);
	is(contacts_of("m-1"), "1:sms:retry 2:sms:sending");
	sum_holds();
}

static json_t *last_line(const char *customer)
{
	const struct log_query query = {.customer = customer, .limit = 1, .newest_first = true};
	struct contact *found = NULL;
	size_t count = 0;

	assert_true(store_read_log(world.reader, &query, &found, &count));
	assert_int_equal(count, 1);
	json_t *json = contact_to_json(&found[0]);
	contact_release(&found[0]);
	free(found);
	return json;
}

static const char *word_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static void a_receipt_for_something_unknown_is_recorded_as_unmatched_after_a_while(void **state)
{
	(void)state;
	ana_by_sms("[\"sms\"]");
	assert_int_equal(receipt("XX9", RECEIPT_DELIVERED), 202);
	assert_int_equal(receipt("XX9", RECEIPT_DELIVERED), 202);
	assert_int_equal(kept(), 1);
	world.turn->ahead += RECEIPT_KEPT_FOR - MOMENT_MINUTE;
	steps();
	assert_int_equal(kept(), 1);
	world.turn->ahead += 2 * MOMENT_MINUTE;
	steps();
	assert_int_equal(kept(), 0);
	json_t *line = last_line(NULL);
	is(word_of(line, "direction"), "in");
	is(word_of(line, "kind"), "unmatched_receipt");
	is(word_of(line, "state"), "received");
	is(word_of(line, "provider_ref"), "XX9");
	is(word_of(line, "customer"), "");
	json_decref(line);
	assert_int_equal(receipt("", RECEIPT_DELIVERED), 202); /* nothing to know it by */
	assert_int_equal(kept(), 0);
	sum_holds();
}

/* --- what customers say --- */

static const struct inbound nothing = {.kind = INBOUND_REPLY,
				       .channel = "sms",
				       .provider = "twilio",
				       .provider_ref = "",
				       .from = NUMBER,
				       .customer = "",
				       .answers_ref = "",
				       .product = "",
				       .direction = DIRECTION_IN,
				       .subject = "",
				       .text = "",
				       .code = "",
				       .detail = ""};

static int comes(const struct inbound *in, json_t **answer)
{
	json_t *out = NULL;

	text_clear(&problem);
	int status = request_inbound(door(), in, &out, &problem);
	if (answer)
		*answer = out;
	else
		json_decref(out);
	collect();
	return status;
}

static void a_reply_stands_in_the_history_beside_what_it_answers_and_is_passed_on(void **state)
{
	struct inbound in = nothing;

	(void)state;
	ana_by_sms("[\"sms\"]");
	admit("m-1", "ana", "card-alerts", ",\"meta\":{\"order\":\"7\"}");
	step();
	sent_as("m-1", "SM1");
	in.text = "Was that me?\nI do not know";
	in.provider_ref = "SMin1";
	assert_int_equal(comes(&in, NULL), 201);
	json_t *line = last_line("ana");
	is(word_of(line, "direction"), "in");
	is(word_of(line, "kind"), "reply");
	is(word_of(line, "product"), "card-alerts");
	is(word_of(line, "summary"), "Was that me? I do not know");
	is(word_of(line, "address"), "+491…4567");
	is(json_string_value(json_array_get(json_object_get(line, "messages"), 0)), "m-1");
	assert_int_equal(json_integer_value(json_object_get(line, "answers")), contact_number("m-1"));
	json_decref(line);
	assert_int_equal(events_typed("heed.contact.received"), 1);
	json_t *again = NULL;
	assert_int_equal(comes(&in, &again), 200); /* the provider repeats it */
	assert_true(json_is_true(json_object_get(again, "repeated")));
	json_decref(again);
	assert_int_equal(events_typed("heed.contact.received"), 1);
	is(state_of("m-1"), "sent");
	sum_holds();
}

static void a_reply_from_nobody_known_is_recorded_all_the_same(void **state)
{
	struct inbound in = nothing;
	json_t *answer = NULL;

	(void)state;
	in.text = "Who are you?";
	assert_int_equal(comes(&in, &answer), 201);
	assert_int_equal(json_array_size(json_object_get(answer, "customers")), 0);
	json_decref(answer);
	json_t *line = last_line(NULL);
	is(word_of(line, "customer"), "");
	is(word_of(line, "address"), "+491…4567");
	json_decref(line);
}

static void a_reply_from_a_shared_number_is_his_to_whom_was_written(void **state)
{
	struct inbound in = nothing;

	(void)state;
	customer_is("bob", "{\"addresses\":{\"sms\":\"" NUMBER "\"}}");
	ana_by_sms("[\"sms\"]");
	in.text = "hello";
	assert_int_equal(comes(&in, NULL), 201); /* of both, as nobody was written to */
	json_t *anas = last_line("ana"), *bobs = last_line("bob");
	is(word_of(anas, "summary"), "hello");
	is(word_of(bobs, "summary"), "hello");
	json_decref(anas);
	json_decref(bobs);
	admit("m-1", "ana", "card-alerts", "");
	step();
	sent_as("m-1", "SM1");
	in.text = "yes";
	assert_int_equal(comes(&in, NULL), 201);
	anas = last_line("ana");
	bobs = last_line("bob");
	is(word_of(anas, "summary"), "yes");
	is(word_of(bobs, "summary"), "hello");
	json_decref(anas);
	json_decref(bobs);
}

static void a_complaint_stops_the_product_that_it_is_about(void **state)
{
	struct inbound in = nothing;
	json_t *answer = NULL;

	(void)state;
	ana_by_sms("[\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	sent_as("m-1", "SM1");
	admit("m-2", "ana", "card-alerts", "");
	step();
	in.kind = INBOUND_COMPLAINT;
	in.effect = INBOUND_STOPS_PRODUCT;
	in.answers = contact_number("m-1");
	assert_int_equal(comes(&in, NULL), 201);
	is(state_of("m-2"), "suppressed"); /* called back: it had not begun */
	is(state_of("m-1"), "sent");
	prefer("ana", "news", "{\"channels\":[]}", &answer);
	json_decref(answer);
	struct preference *all = NULL;
	size_t count = 0;
	struct customer *ana = NULL;
	assert_true(store_read_customer(world.reader, "ana", &ana, &all, &count));
	for (size_t i = 0; i < count; i++) {
		if (strcmp(all[i].product, "card-alerts") == 0) {
			is(all[i].changed_by, "complaint");
			assert_int_equal(all[i].channel_count, 0);
		}
		preference_release(&all[i]);
	}
	free(all);
	customer_free(ana);
	sum_holds();
}

static void a_mail_that_comes_back_for_good_goes_to_the_next_channel_and_its_address_is_dead(void **state)
{
	struct inbound in = nothing;

	(void)state;
	ana_by_sms("[\"email\",\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	step();
	begin(&world.email, "m-1");
	taken(&world.email, "m-1");
	steps();
	in.kind = INBOUND_BOUNCE;
	in.effect = INBOUND_ADDRESS_DEAD;
	in.channel = "email";
	in.provider = "relay";
	in.from = "ana@example.com";
	in.answers = contact_number("m-1");
	in.code = "5.1.1";
	in.detail = "no such user";
	assert_int_equal(comes(&in, NULL), 201);
	is(contacts_of("m-1"), "1:email:rejected 0:email:received 2:sms:sending");
	assert_int_equal(events_typed("heed.address.dead"), 1);
	sum_holds();
}

static void a_contact_that_another_system_had_is_recorded_once(void **state)
{
	struct inbound in = nothing;

	(void)state;
	ana_by_sms("[\"sms\"]");
	in.kind = INBOUND_RECORDED;
	in.channel = "voice";
	in.provider = "call-centre";
	in.provider_ref = "call-7";
	in.from = "";
	in.customer = "ana";
	in.direction = DIRECTION_OUT;
	in.at = moment_now() - MOMENT_DAY;
	in.text = "asked for a new card";
	assert_int_equal(comes(&in, NULL), 201);
	assert_int_equal(comes(&in, NULL), 200);
	json_t *line = last_line("ana");
	is(word_of(line, "kind"), "recorded");
	is(word_of(line, "direction"), "out");
	is(word_of(line, "channel"), "voice");
	assert_non_null(word_of(line, "recorded_at"));
	assert_true(strcmp(word_of(line, "at"), word_of(line, "recorded_at")) < 0);
	json_decref(line);
	in.customer = "nobody";
	in.provider_ref = "call-8";
	assert_int_equal(comes(&in, NULL), 404);
	assert_int_equal(events_typed("heed.contact.received"), 0);
}

/* --- keywords --- */

static int writes(const char *text)
{
	struct inbound in = nothing;

	in.kind = INBOUND_SHORT;
	in.text = text;
	int status = comes(&in, NULL);
	steps();
	return status;
}

static void ana_got(const char *message)
{
	ana_by_sms("[\"sms\"]");
	admit(message, "ana", "card-alerts", "");
	step();
	sent_as(message, message);
}

/* The answer that is on its way by sms; "" where there is none. */
static const char *answer_held(void)
{
	static char text[2048];

	*text = '\0';
	for (size_t i = 0; i < world.sms.held_count; i++)
		if (strncmp(world.sms.held[i]->message_id, "answer:", 7) == 0)
			snprintf(text, sizeof text, "%s",
				 json_string_value(json_object_get(world.sms.held[i]->content, "text")));
	return text;
}

static void answer_goes(void)
{
	for (size_t i = 0; i < world.sms.held_count; i++)
		if (strncmp(world.sms.held[i]->message_id, "answer:", 7) == 0) {
			char *id = xstrdup(world.sms.held[i]->message_id);
			sent_as(id, id);
			free(id);
			return;
		}
	fail_msg("there is no answer");
}

static const char *choice_of(const char *customer, const char *product)
{
	static char out[512];
	struct preference *all = NULL;
	struct customer *found = NULL;
	size_t count = 0;

	snprintf(out, sizeof out, "none");
	assert_true(store_read_customer(world.reader, customer, &found, &all, &count));
	for (size_t i = 0; i < count; i++) {
		if (strcmp(all[i].product, product) == 0) {
			snprintf(out, sizeof out, "%s:", all[i].changed_by);
			for (size_t c = 0; c < all[i].channel_count; c++)
				snprintf(out + strlen(out), sizeof out - strlen(out), " %s",
					 all[i].channels[c].channel);
			if (all[i].paused_until > world.turn->now)
				snprintf(out + strlen(out), sizeof out - strlen(out), " paused");
		}
		preference_release(&all[i]);
	}
	free(all);
	customer_free(found);
	return out;
}

static void stop_stops_the_number_for_all_who_have_it_with_one_confirmation(void **state)
{
	(void)state;
	customer_is("bob", "{\"addresses\":{\"sms\":\"" NUMBER "\"}}");
	ana_got("m-1");
	prefer_way("bob", "card-alerts", "[\"sms\"]");
	admit("m-2", "ana", "card-alerts", "");
	admit("m-3", "bob", "card-alerts", "");
	admit("m-4", "bob", "card-alerts", "");
	step();
	begin(&world.sms, "m-4"); /* on its way */
	assert_int_equal(writes("Stop!"), 201);
	is(state_of("m-2"), "suppressed");
	is(state_of("m-3"), "suppressed");
	is(state_of("m-4"), "sending");
	assert_int_equal(events_typed("heed.address.stopped"), 2);
	assert_non_null(strstr(answer_held(), "no more messages"));
	answer_goes();
	is(answer_held(), "");
	assert_int_equal(writes("STOP"), 201);
	is(answer_held(), "");
	admit("m-5", "bob", "card-alerts", "");
	admit("m-6", "bob", "alarm", "");
	steps();
	is(state_of("m-5"), "suppressed");
	is(state_of("m-6"), "suppressed"); /* also what is critical */
	assert_int_equal(events_typed("heed.contact.received"), 0);
	sum_holds();
}

static void start_opens_the_number_again(void **state)
{
	(void)state;
	ana_got("m-1");
	writes("STOP");
	answer_goes();
	writes("start");
	admit("m-2", "ana", "card-alerts", "");
	steps();
	is(state_of("m-2"), "sending");
	is(answer_held(), ""); /* one an hour */
	world.turn->ahead += 3 * MOMENT_HOUR;
	writes("start");
	assert_non_null(strstr(answer_held(), "again"));
	sum_holds();
}

static void answers_cannot_make_a_loop(void **state)
{
	size_t answers = 0;

	(void)state;
	ana_got("m-1");
	for (int i = 0; i < 20; i++) {
		writes(i % 3 == 0 ? "HELP" : i % 3 == 1 ? "STOP" : "START");
		if (*answer_held()) {
			answer_goes();
			answers++;
		}
	}
	assert_int_equal(answers, 2); /* the help, and the one confirmation that a STOP always has */
	sum_holds();
}

static void a_stopped_number_gets_help_and_nothing_else(void **state)
{
	(void)state;
	ana_got("m-1");
	writes("STOP");
	answer_goes();
	world.turn->ahead += 3 * MOMENT_HOUR;
	writes("WHY");
	is(answer_held(), "");
	world.turn->ahead += 3 * MOMENT_HOUR;
	writes("HELP");
	assert_non_null(strstr(answer_held(), "STOP ends"));
	sum_holds();
}

static void stop_with_a_product_stops_that(void **state)
{
	(void)state;
	ana_got("m-1");
	writes("STOP card-alerts");
	is(choice_of("ana", "card-alerts"), "reply:");
	assert_non_null(strstr(answer_held(), "no more of"));
	sum_holds();
}

static void what_may_not_be_stopped_stays_and_the_answer_says_so(void **state)
{
	(void)state;
	ana_got("m-1");
	writes("STOP terms");
	is(choice_of("ana", "terms"), "none");
	assert_non_null(strstr(answer_held(), "cannot be stopped"));
	sum_holds();
}

static void the_name_of_a_channel_moves_the_product_there_and_back(void **state)
{
	(void)state;
	ana_got("m-1");
	prefer_way("ana", "card-alerts", "[\"sms\",\"webhook\"]");
	writes("EMAIL");
	is(choice_of("ana", "card-alerts"), "reply: email webhook");
	assert_non_null(strstr(answer_held(), "comes by email"));
	writes("SMS");
	is(choice_of("ana", "card-alerts"), "reply: sms webhook");
	sum_holds();
}

static void later_pauses_the_product_for_a_day(void **state)
{
	(void)state;
	ana_got("m-1");
	writes("later");
	is(choice_of("ana", "card-alerts"), "reply: sms paused");
	admit("m-2", "ana", "card-alerts", "");
	steps();
	is(state_of("m-2"), "deferred");
	world.turn->ahead += MOMENT_DAY + MOMENT_MINUTE;
	steps();
	is(state_of("m-2"), "sending");
	sum_holds();
}

static void why_is_answered_with_the_words_of_the_reason(void **state)
{
	(void)state;
	ana_got("m-1");
	writes("Why?");
	assert_non_null(strstr(answer_held(), "sms is the first channel in the choice"));
	answer_goes();
	world.turn->ahead += 2 * MOMENT_HOUR;
	writes("WHY"); /* of the message, not of the answer */
	assert_non_null(strstr(answer_held(), "sms is the first channel in the choice"));
	sum_holds();
}

static void a_number_that_is_not_known_is_stopped_before_somebody_has_it(void **state)
{
	(void)state;
	assert_int_equal(writes("STOP"), 201);
	is(answer_held(), "");
	ana_by_sms("[\"sms\"]");
	admit("m-1", "ana", "card-alerts", "");
	steps();
	is(state_of("m-1"), "suppressed");
	sum_holds();
}

static void an_answer_that_comes_too_late_is_not_sent(void **state)
{
	(void)state;
	ana_got("m-1");
	writes("HELP");
	assert_non_null(strstr(answer_held(), "STOP ends"));
	for (size_t i = 0; i < world.sms.held_count; i++)
		assert_in_range(world.sms.held[i]->begin_before,
				world.turn->now + MOMENT_HOUR - MOMENT_MINUTE, world.turn->now + MOMENT_HOUR);
	sum_holds();
}

static void an_answer_counts_in_no_cap(void **state)
{
	(void)state;
	midweek();
	world_reload(world_config(NULL, "card-alerts: { channels: [sms], default: [sms], cap: 2/day }\n"));
	receipts_and_replies_come();
	ana_got("m-1");
	writes("HELP");
	answer_goes();
	admit("m-2", "ana", "card-alerts", "");
	steps();
	is(state_of("m-2"), "sending");
	sum_holds();
}

static void a_doubt_of_the_store_does_not_lose_or_double_a_stop(void **state)
{
	(void)state;
	ana_got("m-1");
	flaky_attach(world.store);
	for (long at = 1; at < 100; at++) {
		flaky_fail(at);
		struct inbound in = nothing;
		in.kind = INBOUND_SHORT;
		in.text = "STOP";
		int status = comes(&in, NULL);
		flaky_fail(0);
		if (status == 201)
			break;
		assert_int_equal(status, 503);
	}
	steps();
	assert_int_equal(events_typed("heed.address.stopped"), 1);
	sum_holds();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_EITHER(a_receipt_before_the_answer_to_its_submit_counts_once_that_is_there),
		ON_EITHER(a_receipt_that_names_its_attempt_settles_a_doubt_without_a_reference),
		ON_EITHER(a_receipt_that_waited_through_a_crash_counts),
		ON_EITHER(
			what_was_refused_after_all_goes_to_the_next_channel_also_when_the_receipt_came_first),
		ON_EITHER(what_had_failed_and_arrived_all_the_same_is_delivered),
		ON_EITHER(a_temporary_failure_said_later_is_tried_again),
		ON_EITHER(a_receipt_for_something_unknown_is_recorded_as_unmatched_after_a_while),
		ON_EITHER(a_reply_stands_in_the_history_beside_what_it_answers_and_is_passed_on),
		ON_EITHER(a_reply_from_nobody_known_is_recorded_all_the_same),
		ON_EITHER(a_reply_from_a_shared_number_is_his_to_whom_was_written),
		ON_EITHER(a_complaint_stops_the_product_that_it_is_about),
		ON_EITHER(a_mail_that_comes_back_for_good_goes_to_the_next_channel_and_its_address_is_dead),
		ON_EITHER(a_contact_that_another_system_had_is_recorded_once),
		ON_EITHER(stop_stops_the_number_for_all_who_have_it_with_one_confirmation),
		ON_EITHER(start_opens_the_number_again),
		ON_EITHER(answers_cannot_make_a_loop),
		ON_EITHER(a_stopped_number_gets_help_and_nothing_else),
		ON_EITHER(stop_with_a_product_stops_that),
		ON_EITHER(what_may_not_be_stopped_stays_and_the_answer_says_so),
		ON_EITHER(the_name_of_a_channel_moves_the_product_there_and_back),
		ON_EITHER(later_pauses_the_product_for_a_day),
		ON_EITHER(why_is_answered_with_the_words_of_the_reason),
		ON_EITHER(a_number_that_is_not_known_is_stopped_before_somebody_has_it),
		ON_EITHER(an_answer_that_comes_too_late_is_not_sent),
		ON_EITHER(an_answer_counts_in_no_cap),
		ON_EITHER(a_doubt_of_the_store_does_not_lose_or_double_a_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
