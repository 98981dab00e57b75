/* The customers' pages: what they say in each language, what they show, and what their forms ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "page_model.h"
#include "page_words.h"
#include "reason.h"
#include "xalloc.h"
#include "zone.h"
#include "banned.h"

#define NOW INT64_C(1795973600000000) /* 2026-11-29T17:33:20Z */

static struct page_set *pages;
static struct text text;

static int setup(void **state)
{
	struct text errors;

	(void)state;
	text_init(&errors, TEXT_ERROR_MAX);
	text_init(&text, SAY_MAX);
	pages = pages_load(NULL, "", "", &errors);
	assert_string_equal(errors.data, "");
	text_release(&errors);
	return pages ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	pages_free(pages);
	text_release(&text);
	return 0;
}

static const json_t *words(const char *language)
{
	return pages_words(pages, language);
}

/* --- languages --- */

/* {names} in a text, in order of the alphabet. */
static char *names_in(const char *s)
{
	char found[512] = "";
	size_t len = 0;

	for (const char *name = "abcdefghijklmnopqrstuvwxyz"; *name; name++)
		for (const char *at = strchr(s, '{'); at; at = strchr(at + 1, '{'))
			if (at[1] == *name && len < sizeof found - 40)
				len += (size_t)snprintf(found + len, sizeof found - len, "%.*s ",
							(int)strcspn(at, "}"), at);
	return xstrdup(found);
}

static void same_names(const char *language, const char *key, const char *a, const char *b)
{
	char *left = names_in(a), *right = names_in(b);

	if (strcmp(left, right) != 0 || !*b)
		print_error("%s: %s\n", language, key);
	assert_string_equal(left, right);
	assert_true(*b);
	free(left);
	free(right);
}

static void every_language_has_every_word_with_the_same_values_in_it(void **state)
{
	const char *language, *key, *inner;
	json_t *value, *word;
	size_t n = 0;

	(void)state;
	for (; (language = pages_language_at(pages, n)); n++)
		json_object_foreach((json_t *)words("en"), key, value)
		{
			json_t *own = json_object_get(words(language), key);
			if (json_is_string(value))
				same_names(language, key, json_string_value(value), json_string_value(own));
			json_object_foreach(value, inner, word)
				same_names(language, inner, json_string_value(word),
					   json_string_value(json_object_get(own, inner)));
		}
	assert_int_equal(n, 4);
}

/* What a language lacks would be shown in English: that it differs is how we know that it is there. */
static void hardly_a_word_is_the_same_in_two_languages(void **state)
{
	const char *language, *key;
	json_t *value;

	(void)state;
	for (size_t n = 0; (language = pages_language_at(pages, n)); n++) {
		size_t same = 0;
		json_object_foreach((json_t *)words("en"), key, value) same +=
			json_is_string(value) && json_equal(value, json_object_get(words(language), key));
		assert_true(strcmp(language, "en") == 0 || same < 8);
	}
}

static void every_reason_and_state_has_words_for_customers(void **state)
{
	(void)state;
	for (int code = 0; code < REASON_COUNT; code++) {
		const char *name = reason_code_name((enum reason_code)code);
		if (!json_object_get(json_object_get(words("en"), "why"), name))
			fail_msg("why.%s is not in en.json", name);
	}
	for (int one = 0; one < CONTACT_STATES; one++)
		if (!json_object_get(json_object_get(words("en"), "state"), state_name((enum state)one)))
			fail_msg("state.%s is not in en.json", state_name((enum state)one));
}

static void a_locale_finds_its_language(void **state)
{
	(void)state;
	assert_string_equal(pages_language(pages, "es-AR", "en"), "es");
	assert_string_equal(pages_language(pages, "DE", "en"), "de");
	assert_string_equal(pages_language(pages, "it", "fr-CA"), "fr");
	assert_string_equal(pages_language(pages, "it", "pt"), "en");
	assert_string_equal(pages_language(pages, "esperanto", "it"), "en");
	assert_string_equal(pages_language(pages, "", ""), "en");
}

static void dates_are_in_the_language_and_the_zone(void **state)
{
	(void)state;
	say_date_time(&text, words("en"), zone_find("Europe/Madrid"), NOW);
	assert_string_equal(text.data, "29 November 2026, 18:33");
	text_clear(&text);
	say_date(&text, words("es"), zone_find("Asia/Tokyo"), NOW);
	assert_string_equal(text.data, "30 de noviembre de 2026");
}

static void hours_are_read_in_the_language_and_in_english(void **state)
{
	static const struct {
		const char *language, *typed, *read;
	} cases[] = {{"de", "mo-fr 9:00-20:00, Sa 10:00-14:00", "mon-fri 9:00-20:00, sat 10:00-14:00"},
		     {"es",
		      "lun-vie 9:00-20:00, S\xc3\x81"
		      "B 10:00-14:00",
		      "mon-fri 9:00-20:00, sat 10:00-14:00"},
		     {"fr", "lundi\xe2\x80\x93vendredi 9:00-20:00", "mon-fri 9:00-20:00"},
		     {"de", "Mon-Fri 9:00-20:00", "mon-fri 9:00-20:00"},
		     {"en", "half past nine", "half past nine"},
		     {"es", "", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		text_clear(&text);
		read_hours(&text, words(cases[i].language), cases[i].typed);
		assert_string_equal(text.data, cases[i].read);
	}
	text_clear(&text);
	say_hours(&text, words("de"), "mon-fri 09:00-20:00, sat 10:00-14:00");
	assert_string_equal(text.data, "mo-fr 09:00-20:00, sa 10:00-14:00");
}

static void a_reason_is_told_with_channel_and_time_in_the_language(void **state)
{
	json_t *args = json_pack("{s:s, s:s}", "channel", "sms", "until", "2026-11-29T17:33:20Z");

	(void)state;
	say_why(&text, words("de"), NULL, "waits_receipt", args, "Karte");
	assert_non_null(strstr(text.data, "29. November 2026, 17:33 Uhr"));
	text_clear(&text);
	say_why(&text, words("en"), NULL, "a_rule_of_a_newer_heed", args, "");
	assert_string_equal(text.data, "A rule of ours decided it.");
	json_decref(args);
}

/* --- what a form asks for --- */

static struct product products[2];
static char *channels[] = {(char *)"sms", (char *)"email"}, *defaults[] = {(char *)"email"};
static struct product_set set = {.hash = (char *)"h", .products = products, .count = 2};
static struct channel_config channel_configs[2];
static struct config config = {.channels = channel_configs, .channel_count = 2, .channel_names = channels};

static void world(void)
{
	for (int i = 0; i < 2; i++) {
		products[i] = (struct product){.name = (char *)(i ? "cards/fraud" : "cards"),
					       .parent = i ? &products[0] : NULL,
					       .purpose = PURPOSE_SERVICE,
					       .channels = channels,
					       .channel_count = 2,
					       .defaults = defaults,
					       .default_count = 1,
					       .may_stop = true,
					       .quiet_hours = (char *)""};
		channel_configs[i] = (struct channel_config){.name = channels[i]};
	}
	config.products = &set;
}

/* What the form of a line becomes; `form` is JSON of its fields. */
static char *saved(const struct product *product, const struct preference *preferences, size_t count,
		   const char *fields)
{
	json_t *form = json_loads(fields, 0, NULL);
	struct choice_form typed;
	struct choice choice;

	assert_true(choice_read(&config, product, preferences, count, &choice));
	choice_form_typed(&choice, words("en"), form, &typed);
	json_t *json = choice_save(&choice, words("en"), &typed, choice_version(&choice));
	char *out = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	choice_form_release(&typed);
	json_decref(json);
	json_decref(form);
	return out;
}

static void is_saved(const struct product *product, const struct preference *preferences, size_t count,
		     const char *fields, const char *wanted)
{
	char *out = saved(product, preferences, count, fields);

	assert_string_equal(out, wanted);
	free(out);
}

static void ticks_and_numbers_become_a_list_in_order(void **state)
{
	(void)state;
	world();
	is_saved(&products[0], NULL, 0,
		 "{\"on-sms\":\"yes\",\"on-email\":\"yes\",\"place-sms\":\"1\",\"place-email\":\"2\"}",
		 "{\"channels\":[\"sms\",\"email\"],\"digest\":\"immediate\",\"hours\":\"\",\"version\":0}");
	is_saved(&products[0], NULL, 0, "{\"on-sms\":\"yes\",\"place-sms\":\"-7\"}",
		 "{\"channels\":[\"sms\"],\"digest\":\"immediate\",\"hours\":\"\",\"version\":0}");
}

static void what_is_not_changed_is_not_chosen(void **state)
{
	(void)state;
	world();
	is_saved(&products[0], NULL, 0,
		 "{\"on-email\":\"yes\",\"digest\":\"daily\",\"digest_time\":\"18:30\"}",
		 "{\"channels\":null,\"digest\":\"daily 18:30\",\"hours\":\"\",\"version\":0}");
}

static void what_the_page_does_not_show_stays(void **state)
{
	struct preference_entry entries[] = {{(char *)"sms", (char *)"mon-fri 09:00-18:00", 2 * MOMENT_HOUR},
					     {(char *)"email", (char *)"", 0}};
	struct preference own = {.product = (char *)"cards",
				 .has_channels = true,
				 .channels = entries,
				 .channel_count = 2,
				 .hours = (char *)"",
				 .digest = (char *)"immediate",
				 .paused_until = NOW,
				 .version = 7};

	(void)state;
	world();
	is_saved(&products[0], &own, 1,
		 "{\"on-sms\":\"yes\",\"on-email\":\"yes\",\"place-email\":\"1\",\"place-sms\":\"2\"}",
		 "{\"channels\":[\"email\",{\"channel\":\"sms\",\"hours\":\"mon-fri "
		 "09:00-18:00\",\"wait\":\"2h\"}],"
		 "\"digest\":\"immediate\",\"hours\":\"\",\"paused_until\":\"2026-11-29T17:33:20.000Z\","
		 "\"version\":7}");
}

/* A part inherits times as long as it says nothing of its own: its first line of its own takes them along. */
static void a_part_keeps_the_times_that_it_inherited(void **state)
{
	struct preference parent = {.product = (char *)"cards",
				    .hours = (char *)"mon-fri 09:00-18:00",
				    .digest = (char *)"hourly",
				    .version = 1};
	struct choice choice;

	(void)state;
	world();
	assert_true(choice_read(&config, &products[1], &parent, 1, &choice));
	json_t *json = choice_pause(&choice, NOW, 0);
	assert_string_equal(json_string_value(json_object_get(json, "hours")), "mon-fri 09:00-18:00");
	assert_string_equal(json_string_value(json_object_get(json, "digest")), "hourly");
	assert_true(json_is_null(json_object_get(json, "channels")));
	json_decref(json);
}

static void times_of_ones_own_count_though_the_tick_was_left_where_it_was(void **state)
{
	char *out;

	(void)state;
	world();
	out = saved(&products[0], NULL, 0,
		    "{\"on-email\":\"yes\",\"hours\":\"\",\"hours_own\":\"mon-fri 9:00-20:00\"}");
	assert_non_null(strstr(out, "\"hours\":\"mon-fri 9:00-20:00\""));
	free(out);
	out = saved(&products[0], NULL, 0,
		    "{\"on-email\":\"yes\",\"hours\":\"08:00-21:00\",\"hours_own\":\"mon-fri 9:00-20:00\"}");
	assert_non_null(strstr(out, "\"hours\":\"08:00-21:00\""));
	free(out);
}

static void advertising_that_nobody_asked_for_has_no_ticks(void **state)
{
	struct preference_entry email = {(char *)"email", (char *)"", 0};
	struct preference star = {.product = (char *)"*",
				  .has_channels = true,
				  .channels = &email,
				  .channel_count = 1,
				  .hours = (char *)"",
				  .digest = (char *)"immediate"};
	struct choice choice;

	(void)state;
	world();
	products[0].purpose = PURPOSE_MARKETING;
	assert_true(choice_read(&config, &products[0], &star, 1, &choice));
	assert_int_equal(choice.count, 0);
	assert_true(choice.no_opt_in);
	products[0].purpose = PURPOSE_SERVICE;
	assert_true(choice_read(&config, &products[0], &star, 1, &choice));
	assert_int_equal(choice.count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_language_has_every_word_with_the_same_values_in_it),
		TEST(hardly_a_word_is_the_same_in_two_languages),
		TEST(every_reason_and_state_has_words_for_customers),
		TEST(a_locale_finds_its_language),
		TEST(dates_are_in_the_language_and_the_zone),
		TEST(hours_are_read_in_the_language_and_in_english),
		TEST(a_reason_is_told_with_channel_and_time_in_the_language),
		TEST(ticks_and_numbers_become_a_list_in_order),
		TEST(what_is_not_changed_is_not_chosen),
		TEST(what_the_page_does_not_show_stays),
		TEST(a_part_keeps_the_times_that_it_inherited),
		TEST(times_of_ones_own_count_though_the_tick_was_left_where_it_was),
		TEST(advertising_that_nobody_asked_for_has_no_ticks),
	};

	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
