#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "moment.h"
#include "preference.h"
#include "xalloc.h"

static char *offered[] = {"sms", "email"};
static char *defaults[] = {"sms"};
static const struct product cards = {.name = "cards",
				     .channels = offered,
				     .channel_count = 2,
				     .defaults = defaults,
				     .default_count = 1,
				     .may_stop = true};
static const struct product fraud = {.name = "cards/fraud",
				     .parent = &cards,
				     .channels = offered,
				     .channel_count = 2,
				     .defaults = defaults,
				     .default_count = 1,
				     .may_stop = true};
static const struct product terms = {
	.name = "terms", .channels = offered, .channel_count = 2, .defaults = defaults, .default_count = 1};
static const char *const known[] = {"email", "sms", "webhook"};

static bool read_preference(const char *text, const struct product *product, struct preference *out,
			    struct text *error)
{
	json_t *json = json_loads(text, 0, NULL);
	assert_non_null(json);
	text_init(error, TEXT_ERROR_MAX);
	bool ok = preference_from_json(json, product, known, 3, out, error);
	json_decref(json);
	return ok;
}

static void assert_json(json_t *json, const char *expected)
{
	char *text = json_dumps(json, JSON_COMPACT);
	assert_string_equal(text, expected);
	free(text);
	json_decref(json);
}

static void assert_reads(const char *text, const struct product *product, const char *expected)
{
	struct preference preference;
	struct text error;
	if (!read_preference(text, product, &preference, &error))
		fail_msg("%s: %s", text, error.data);
	assert_json(preference_to_json(&preference), expected);
	preference_release(&preference);
	text_release(&error);
}

static void assert_refused(const char *text, const struct product *product, const char *says)
{
	struct preference preference;
	struct text error;
	if (read_preference(text, product, &preference, &error))
		fail_msg("taken: %s", text);
	if (strcmp(error.data, says) != 0 && !strstr(error.data, says))
		fail_msg("\"%s\" does not say \"%s\"", error.data, says);
	preference_release(&preference);
	text_release(&error);
}

#define SHOWN(product, channels)                                                                          \
	"{\"product\":\"" product "\",\"channels\":" channels ",\"hours\":\"\",\"digest\":\"immediate\"," \
	"\"paused_until\":null,\"version\":0,\"changed_at\":null,\"changed_by\":\"\"}"

static void keys_that_are_left_out_take_their_default(void **unused)
{
	(void)unused;
	assert_reads("{\"channels\":[\"email\",\"sms\"]}", &cards, SHOWN("cards", "[\"email\",\"sms\"]"));
	assert_reads("{}", &cards, SHOWN("cards", "null"));
	assert_reads("{\"channels\":null}", &cards, SHOWN("cards", "null"));
	assert_reads("{\"channels\":[]}", &cards, SHOWN("cards", "[]"));
}

static void what_a_get_answers_may_be_put_back(void **unused)
{
	(void)unused;
	assert_reads("{\"product\":\"x\",\"channels\":[\"sms\"],\"hours\":\"\",\"digest\":\"immediate\","
		     "\"paused_until\":"
		     "null,\"version\":3,\"changed_at\":\"…\",\"changed_by\":\"page\",\"source\":\"parent\","
		     "\"on_their_way\":[]}",
		     &fraud, SHOWN("cards/fraud", "[\"sms\"]"));
}

static void a_stored_preference_shows_when_and_by_whom(void **unused)
{
	struct preference_entry entry = {.channel = "sms", .hours = ""};
	struct preference preference = {.product = "cards",
					.has_channels = true,
					.channels = &entry,
					.channel_count = 1,
					.hours = "",
					.digest = "immediate",
					.version = 3,
					.changed_at = 1763805600 * MOMENT_S,
					.changed_by = "page"};
	(void)unused;
	struct preference *copy = preference_copy(&preference);
	assert_json(preference_to_json(copy),
		    "{\"product\":\"cards\",\"channels\":[\"sms\"],\"hours\":\"\",\"digest\":\"immediate\","
		    "\"paused_until\":null,\"version\":3,\"changed_at\":\"2025-11-22T10:00:00.000Z\","
		    "\"changed_by\":\"page\"}");
	preference_free(copy);
	assert_null(preference_copy(NULL));
	preference_free(NULL);
}

static void a_mistake_says_what_may_be_chosen(void **unused)
{
	(void)unused;
	assert_refused("[]", &cards, "a preference must be an object");
	assert_refused("{\"chanels\":[]}", &cards,
		       "chanels: unknown key; a preference has: channels, hours, digest");
	assert_refused("{\"channels\":\"sms\"}", &cards, "channels: must be a list");
	char *long_key = xasprintf("{\"%05000d\":1}", 0);
	assert_refused(long_key, &cards, "(a long name): unknown key");
	free(long_key);
	assert_refused("{\"channels\":[7]}", &cards, "channels[0]: must be the name of a channel");
	assert_refused("{\"channels\":[\"sms\",\"fax\"]}", &cards,
		       "channels[1]: there is no channel \"fax\"; may be chosen: email, sms");
	assert_refused("{\"channels\":[\"webhook\"]}", &cards,
		       "channels[0]: cards does not offer \"webhook\"; may be chosen: email, sms");
	assert_refused("{\"channels\":[\"sms\",\"sms\"]}", &cards, "channels[1]: \"sms\" is there twice");
	assert_refused("{\"channels\":[]}", &terms,
		       "channels: terms cannot be stopped; choose at least one of: email, sms");
	assert_refused("{\"channels\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", &cards, "at most 16");
}

static void the_choice_for_all_products_may_name_any_channel_or_none(void **unused)
{
	(void)unused;
	assert_reads("{\"channels\":[\"webhook\"]}", NULL, SHOWN("*", "[\"webhook\"]"));
	assert_reads("{\"channels\":[]}", NULL, SHOWN("*", "[]"));
	assert_refused("{\"channels\":[\"fax\"]}", NULL, "may be chosen: email, sms, webhook");
}

static void hours_digest_and_pause_are_kept_as_they_were_written(void **unused)
{
	(void)unused;
	assert_reads("{\"hours\":\"mon-fri 09:00-20:00, sat 10:00-14:00\",\"digest\":\"daily 08:00\","
		     "\"paused_until\":\"2027-01-01T01:00:00+01:00\"}",
		     &cards,
		     "{\"product\":\"cards\",\"channels\":null,\"hours\":\"mon-fri 09:00-20:00, sat "
		     "10:00-14:00\",\"digest\":\"daily 08:00\",\"paused_until\":\"2027-01-01T00:00:00.000Z\","
		     "\"version\":0,\"changed_at\":null,\"changed_by\":\"\"}");
	assert_reads("{\"channels\":[{\"channel\":\"sms\",\"hours\":\"mon-fri 09:00-18:00\",\"wait\":"
		     "\"120m\"},{\"channel\":\"email\"}]}",
		     &cards,
		     SHOWN("cards", "[{\"channel\":\"sms\",\"hours\":\"mon-fri "
				    "09:00-18:00\",\"wait\":\"2h\"},\"email\"]"));
}

static void bad_hours_get_an_error_that_shows_the_right_form(void **unused)
{
	(void)unused;
	assert_refused("{\"hours\":\"9 to 5\"}", &cards, "hours: ");
	assert_refused("{\"hours\":\"9 to 5\"}", &cards, "mon-fri 09:00-20:00");
	assert_refused("{\"hours\":7}", &cards, "hours: must be a string");
	assert_refused("{\"digest\":\"often\"}", &cards, "digest: ");
	assert_refused("{\"digest\":[]}", &cards, "digest: must be a string");
	assert_refused("{\"paused_until\":\"soon\"}", &cards, "paused_until: must be a moment");
	assert_refused("{\"paused_until\":\"2027-01-01T00:00:00Z\"}", &terms, "terms cannot be paused");
	assert_refused("{\"channels\":[{\"channel\":\"sms\",\"wait\":\"a while\"}]}", &cards,
		       "channels[0].wait: is not a time to wait");
	assert_refused("{\"channels\":[{\"channel\":\"sms\",\"wait\":\"91d\"}]}", &cards, "90d at most");
	assert_refused("{\"channels\":[{\"channel\":\"sms\",\"hours\":\"never\"}]}", &cards,
		       "channels[0].hours: ");
	assert_refused("{\"channels\":[{\"channel\":\"sms\",\"colour\":\"red\"}]}", &cards,
		       "channels[0].colour: unknown key");
}

static void hours_that_never_open_together_are_refused(void **unused)
{
	(void)unused;
	assert_refused(
		"{\"hours\":\"mon-fri 09:00-17:00\",\"channels\":[{\"channel\":\"sms\",\"hours\":\"sat "
		"10:00-14:00\"}]}",
		&cards, "channels[0].hours: sat 10:00-14:00 never opens together with hours: ");
}

static void blanks_are_no_hours(void **unused)
{
	struct preference preference;
	struct text error;
	json_t *json = json_loads(
		"{\"hours\":\" \\t\",\"channels\":[{\"channel\":\"sms\",\"hours\":\"  \"}]}", 0, NULL);
	(void)unused;
	text_init(&error, TEXT_ERROR_MAX);
	assert_true(preference_from_json(json, &cards, known, 3, &preference, &error));
	assert_string_equal(preference.hours, "");
	assert_string_equal(preference.channels[0].hours, "");
	preference_release(&preference);
	text_release(&error);
	json_decref(json);
}

static void the_words_of_the_command_line_have_hours_and_wait(void **unused)
{
	static const char *const bad[] = {"sms{",      "sms{hours}", "sms{wait=2h}email",
					  "{wait=2h}", "sms{}",      "sms{wait=2h,wait=3h}"};
	struct text error;
	(void)unused;
	text_init(&error, TEXT_ERROR_MAX);
	assert_json(preference_channels_from_words("sms{hours=mon-fri 09:00-18:00,wait=2h},email", &error),
		    "[{\"channel\":\"sms\",\"hours\":\"mon-fri 09:00-18:00\",\"wait\":\"2h\"},\"email\"]");
	assert_json(preference_channels_from_words("sms{wait=1h, hours=mon-fri 09:00-18:00, sat 10:00-14:00}",
						   &error),
		    "[{\"channel\":\"sms\",\"wait\":\"1h\",\"hours\":\"mon-fri 09:00-18:00, sat "
		    "10:00-14:00\"}]");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (preference_channels_from_words(bad[i], &error))
			fail_msg("%s was read", bad[i]);
	text_release(&error);
}

static void words_of_the_command_line_become_a_list(void **unused)
{
	static const char *const bad[] = {"", ",", "sms,", ",sms", "sms,,email", "  "};
	struct text error;
	(void)unused;
	text_init(&error, TEXT_ERROR_MAX);
	assert_json(preference_channels_from_words("sms,email", &error), "[\"sms\",\"email\"]");
	assert_json(preference_channels_from_words(" sms , email ", &error), "[\"sms\",\"email\"]");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_null(preference_channels_from_words(bad[i], &error));
	assert_non_null(strstr(error.data, "like sms,email"));
	text_release(&error);
}

#define APPLIES(product, channels, source)                                                                \
	"{\"product\":\"" product "\",\"channels\":" channels ",\"hours\":\"\",\"digest\":\"immediate\"," \
	"\"paused_until\":null,\"version\":0,\"source\":\"" source "\"}"

#define WITHOUT_CHANNELS(product, channels, source)                                                        \
	"{\"product\":\"" product "\",\"channels\":" channels ",\"hours\":\"\",\"digest\":\"immediate\","  \
	"\"paused_until\":null,\"version\":0,\"changed_at\":null,\"changed_by\":\"\",\"source\":\"" source \
	"\"}"

static void where_nothing_was_chosen_the_answer_is_what_applies(void **unused)
{
	struct preference_entry email = {.channel = "email", .hours = ""};
	struct preference silent = {.product = "cards", .hours = "", .digest = "immediate", .changed_by = ""};
	struct preference parent = silent, star = silent;
	(void)unused;
	parent.has_channels = star.has_channels = true;
	parent.channels = &email;
	parent.channel_count = 1;
	star.product = "*";
	struct choices choices = {.parent = &parent, .star = &star};
	assert_json(preference_applied_json(&fraud, &choices),
		    APPLIES("cards/fraud", "[\"email\"]", "parent"));
	choices.parent = &silent;
	assert_json(preference_applied_json(&fraud, &choices), APPLIES("cards/fraud", "[]", "*"));
	assert_json(preference_applied_json(&terms, &choices), APPLIES("terms", "[\"sms\"]", "default"));
	choices = (struct choices){.own = &silent};
	assert_json(preference_applied_json(&cards, &choices),
		    WITHOUT_CHANNELS("cards", "[\"sms\"]", "default"));
	choices.star = &star;
	assert_json(preference_applied_json(&cards, &choices), WITHOUT_CHANNELS("cards", "[]", "*"));
	silent.product = "*";
	choices = (struct choices){.star = &silent};
	assert_json(preference_applied_json(NULL, &choices), WITHOUT_CHANNELS("*", "null", "default"));
	silent.paused_until = MOMENT_S; /* does not hold what may not be stopped */
	assert_json(preference_applied_json(&terms, &choices), APPLIES("terms", "[\"sms\"]", "default"));
	choices = (struct choices){0};
	assert_json(preference_applied_json(&cards, &choices), APPLIES("cards", "[\"sms\"]", "default"));
	assert_json(preference_applied_json(NULL, &choices), APPLIES("*", "null", "default"));
	struct product offers = cards;
	offers.purpose = PURPOSE_MARKETING;
	assert_json(preference_applied_json(&offers, &choices), APPLIES("cards", "[]", "default"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_that_are_left_out_take_their_default),
		cmocka_unit_test(what_a_get_answers_may_be_put_back),
		cmocka_unit_test(a_stored_preference_shows_when_and_by_whom),
		cmocka_unit_test(a_mistake_says_what_may_be_chosen),
		cmocka_unit_test(the_choice_for_all_products_may_name_any_channel_or_none),
		cmocka_unit_test(hours_digest_and_pause_are_kept_as_they_were_written),
		cmocka_unit_test(bad_hours_get_an_error_that_shows_the_right_form),
		cmocka_unit_test(blanks_are_no_hours),
		cmocka_unit_test(hours_that_never_open_together_are_refused),
		cmocka_unit_test(the_words_of_the_command_line_have_hours_and_wait),
		cmocka_unit_test(words_of_the_command_line_become_a_list),
		cmocka_unit_test(where_nothing_was_chosen_the_answer_is_what_applies),
	};
	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
