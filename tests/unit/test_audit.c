/* The audit finds what is not so: a store that is sound is changed behind heed's back, in one place a test.
 */
#include "turn_fixture.h"

#include <sqlite3.h>

#include "audit.h"
#include "banned.h"

/* A sound store: m-1 was sent by sms as Ana chose, m-2 suppressed by Bob's choice, m-3 waits for a campaign.
 */
static int open_sound(void **state)
{
	int failed = world_open_sqlite(state);

	customer_with_all("ana");
	customer_with_all("bob");
	prefer_way("ana", "card-alerts", "[\"sms\"]");
	prefer_way("bob", "card-alerts", "[]");
	admit("m-1", "ana", "card-alerts", ",\"campaign\":\"spring\"");
	admit("m-2", "bob", "card-alerts", "");
	step();
	begin(&world.sms, "m-1");
	taken(&world.sms, "m-1");
	step();
	is(state_of("m-1"), "sent");
	is(state_of("m-2"), "suppressed");
	sum_holds();
	world.corrupt = true;
	return failed;
}

/* In all months' tables: %s is the contacts'. */
static void behind_our_back(const char *words)
{
	char table[32] = "", *error = NULL;
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;

	assert_int_equal(sqlite3_open(strchr(world.url, ':') + 1, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db,
				   "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB "
				   "'contact_[0-9]*' ORDER BY name DESC",
				   -1, &statement, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	snprintf(table, sizeof table, "%s", (const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	struct text text;
	text_init(&text, 4096);
	for (const char *at = words; *at; at++)
		if (strncmp(at, "CONTACT", 7) == 0) {
			text_puts(&text, table);
			at += 6;
		} else {
			text_putc(&text, *at);
		}
	if (sqlite3_exec(db, text.data, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s", error);
	text_release(&text);
	sqlite3_close(db);
}

struct found {
	size_t count;
	char codes[512], says[2048];
};

static void remember(void *context, const struct audit_finding *finding)
{
	struct found *found = context;

	found->count++;
	snprintf(found->codes + strlen(found->codes), sizeof found->codes - strlen(found->codes), "%s ",
		 audit_code_name(finding->code));
	snprintf(found->says + strlen(found->says), sizeof found->says - strlen(found->says), "%s\n",
		 finding->says);
}

/* Exactly these findings, and words that a person understands. */
static void finds(const char *codes, const char *words)
{
	struct found found = {0};
	struct audit *audit = audit_new(remember, &found);

	assert_true(audit_read_contacts(audit, world.reader));
	assert_true(audit_read_messages(audit, world.reader));
	assert_int_equal(audit_counts(audit).findings, found.count);
	audit_free(audit);
	is(found.codes, codes);
	if (!strstr(found.says, words))
		fail_msg("\"%s\" is not in \"%s\"", words, found.says);
}

static void a_contact_on_a_channel_that_was_not_chosen(void **state)
{
	(void)state;
	behind_our_back(
		"UPDATE CONTACT SET channel = 'email', address = (SELECT n FROM address WHERE channel = "
		"'email' AND value LIKE 'ana%') WHERE channel = 'sms'");
	finds("not_allowed ", "contact 1 (card-alerts, email) was not allowed");
}

static void a_contact_after_the_customer_stopped(void **state)
{
	(void)state;
	behind_our_back(
		"INSERT INTO change_log SELECT 1 + (SELECT max(seq) FROM change_log), kind, at, given_at, "
		"customer, address, subject, changed_by, actor, source, evidence, old_value, "
		"'{\"channels\":[],\"version\":2}' FROM change_log WHERE kind = 0 AND new_value LIKE "
		"'%sms%'; "
		"UPDATE CONTACT SET log_seq = log_seq + 1 WHERE channel = 'sms'");
	finds("not_allowed ", "the customer stopped card-alerts");
}

static void a_contact_under_a_choice_that_was_another(void **state)
{
	(void)state;
	behind_our_back("UPDATE CONTACT SET preference_seq = 1 WHERE channel = 'sms'");
	finds("preference ", "it names change 1, and ");
}

static void a_contact_under_facts_that_were_not_in_force(void **state)
{
	(void)state;
	behind_our_back("UPDATE CONTACT SET customer_seq = customer_seq + 1 WHERE channel = 'sms'");
	finds("customer_facts ", "it names change ");
}

static void a_contact_to_an_address_that_was_not_the_customers(void **state)
{
	(void)state;
	behind_our_back(
		"UPDATE CONTACT SET address = (SELECT address FROM customer_address l JOIN address a ON "
		"a.n = l.address WHERE a.channel = 'sms' AND l.customer = 2) WHERE channel = 'sms'");
	finds("address_unknown ", "did not have then");
}

static void a_contact_to_an_address_that_was_dead(void **state)
{
	(void)state;
	behind_our_back(
		"INSERT INTO change_log SELECT 1 + (SELECT max(seq) FROM change_log), 2, at, given_at, 1, "
		"(SELECT address FROM CONTACT WHERE channel = 'sms'), 'sms', 'gateway', '', '', '', "
		"'\"ok\"', '\"dead\"' FROM change_log LIMIT 1; "
		"UPDATE CONTACT SET log_seq = log_seq + 1 WHERE channel = 'sms'");
	finds("address_state ", "not in force, or not ok");
}

static void a_contact_of_advertising_nobody_opted_in_to(void **state)
{
	(void)state;
	behind_our_back("UPDATE change_log SET subject = '*' WHERE kind = 0 AND new_value LIKE '%sms%'; "
			"UPDATE message SET purpose = 2 WHERE id = 'm-1'");
	finds("not_allowed ", "needs the customer's own choice");
}

static void a_contact_in_the_quiet_hours(void **state)
{
	(void)state;
	behind_our_back("UPDATE product_set SET body = replace(body, '\"card-alerts\":{', "
			"'\"card-alerts\":{\"quiet_hours\":\"02:00-04:00\",'); "
			"UPDATE CONTACT SET at = at - at % 86400000000 + 10800000000 WHERE channel = 'sms'; "
			"UPDATE message SET admitted_at = 0");
	finds("not_allowed ", "has quiet hours (02:00-04:00)");
}

static void a_contact_of_what_was_held(void **state)
{
	(void)state;
	behind_our_back(
		"INSERT INTO change_log SELECT 1 + (SELECT max(seq) FROM change_log), 4, at, given_at, 0, 0, "
		"'campaign:spring', 'cli', '', '', '', '', '{\"kind\":\"campaign\"}' FROM change_log LIMIT "
		"1; "
		"UPDATE CONTACT SET log_seq = log_seq + 1 WHERE channel = 'sms'");
	finds("held ", "although it was held or cancelled: spring");
}

static void a_contact_under_products_that_are_not_in_the_log(void **state)
{
	(void)state;
	behind_our_back("UPDATE CONTACT SET products_seq = 99 WHERE channel = 'sms'");
	finds("unknown_products ", "a set of products that is not in the log");
}

static void a_contact_of_a_message_that_is_gone(void **state)
{
	(void)state;
	behind_our_back("DELETE FROM message WHERE id = 'm-1'; "
			"UPDATE number SET value = value - 1 WHERE name IN ('admitted', 'state.sent')");
	finds("no_message ", "belongs to a message that is not there");
}

static void a_contact_of_another_customers_message(void **state)
{
	(void)state;
	behind_our_back("UPDATE message SET customer = 2 WHERE id = 'm-1'");
	finds("not_its_message not_its_contact ", "of another customer or product");
}

static void a_settled_message_without_a_contact(void **state)
{
	(void)state;
	behind_our_back("UPDATE message SET contact = 0 WHERE id = 'm-2'");
	finds("no_contact ",
	      "message m-2 has ended, or is sending, without a contact or a closing line: suppressed");
}

static void a_closing_line_that_is_gone(void **state)
{
	(void)state;
	behind_our_back("DELETE FROM CONTACT WHERE channel = ''; DELETE FROM CONTACT WHERE channel = ''");
	finds("no_contact ", "message m-2");
}

static void a_message_with_anothers_contact(void **state)
{
	(void)state;
	behind_our_back("UPDATE message SET contact = (SELECT contact FROM message WHERE id = 'm-1') WHERE "
			"id = 'm-2'");
	finds("not_its_contact ", "message m-2 names a contact that belongs to another");
}

static void a_settled_message_whose_contact_is_still_sending(void **state)
{
	(void)state;
	behind_our_back("UPDATE CONTACT SET state = 2 WHERE channel = 'sms'");
	finds("contact_state ", "it is sent, its contact sending");
}

static void a_counter_that_is_off_by_one(void **state)
{
	(void)state;
	behind_our_back("UPDATE number SET value = value + 1 WHERE name = 'state.sent'");
	finds("sum sum ", "1 are sent, and the counter says 2");
}

static void one_more_than_the_cap_of_the_product(void **state)
{
	(void)state;
	world_reload(world_config(NULL, "tips: { channels: [sms], default: [sms], cap: 2/day }\n"));
	for (int i = 0; i < 3; i++) {
		char *id = xasprintf("t-%d", i);
		admit(id, "ana", "tips", "");
		steps();
		if (i < 2) {
			begin(&world.sms, id);
			taken(&world.sms, id);
			steps();
		}
		free(id);
	}
	is(state_of("t-2"), "deferred");
	finds("", "");
	behind_our_back("UPDATE product_set SET body = replace(body, '2/day', '1/day')");
	finds("cap ", "was claimed when its product's cap was used up: 1 a day");
}

static void what_came_in_force_while_it_reads_is_known(void **state)
{
	struct found found = {0};
	struct audit *audit = audit_new(remember, &found);

	(void)state;
	assert_true(audit_read_customers(audit, world.reader, 0, 0));
	world_reload(world_config(NULL, "tips: { channels: [sms], default: [sms] }\n"));
	customer_with_all("eve");
	admit("t-1", "eve", "tips", "");
	steps();
	begin(&world.sms, "t-1");
	assert_true(audit_read_customers(audit, world.reader, 0, 0));
	is(found.codes, "");
	audit_free(audit);
}

static void a_row_that_went_without_being_counted_as_pruned(void **state)
{
	(void)state;
	behind_our_back("DELETE FROM message WHERE id = 'm-2'");
	finds("sum sum ", "0 are suppressed, and the counter says 1");
	behind_our_back("INSERT INTO number VALUES ('pruned.suppressed', 1)");
	finds("", "");
}

static void a_state_that_was_changed_without_its_counter(void **state)
{
	(void)state;
	behind_our_back("UPDATE message SET state = 4 WHERE id = 'm-1'");
	finds("sum sum ", "0 are sent, and the counter says 1");
}

#define FOUND(test)                                        \
	{                                                  \
#test, test, open_sound, world_close, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOUND(a_contact_on_a_channel_that_was_not_chosen),
		FOUND(a_contact_after_the_customer_stopped),
		FOUND(a_contact_under_a_choice_that_was_another),
		FOUND(a_contact_under_facts_that_were_not_in_force),
		FOUND(a_contact_to_an_address_that_was_not_the_customers),
		FOUND(a_contact_to_an_address_that_was_dead),
		FOUND(a_contact_of_advertising_nobody_opted_in_to),
		FOUND(a_contact_in_the_quiet_hours),
		FOUND(a_contact_of_what_was_held),
		FOUND(a_contact_under_products_that_are_not_in_the_log),
		FOUND(a_contact_of_a_message_that_is_gone),
		FOUND(a_contact_of_another_customers_message),
		FOUND(a_settled_message_without_a_contact),
		FOUND(a_closing_line_that_is_gone),
		FOUND(a_message_with_anothers_contact),
		FOUND(a_settled_message_whose_contact_is_still_sending),
		FOUND(a_counter_that_is_off_by_one),
		FOUND(one_more_than_the_cap_of_the_product),
		FOUND(what_came_in_force_while_it_reads_is_known),
		FOUND(a_row_that_went_without_being_counted_as_pruned),
		FOUND(a_state_that_was_changed_without_its_counter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
