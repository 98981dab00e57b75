/* Products: what products.yaml may say, and what a part takes from its product. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "moment.h"
#include "scratch.h"
#include "xalloc.h"
#include "banned.h"

static struct config_report report;
static const char *const configured[] = {"sms", "email", "webhook"};

static struct product_set *read_text(const char *yaml)
{
	config_report_release(&report);
	config_report_init(&report);
	return product_set_read(scratch_write("products.yaml", yaml), configured, 3, CONTENT_SUMMARY,
				&report);
}

static struct product_set *read_fine(const char *yaml)
{
	struct product_set *set = read_text(yaml);
	if (!set)
		fail_msg("%s", report.errors.data);
	return set;
}

static void is_refused(const char *yaml, const char *why)
{
	struct product_set *set = read_text(yaml);
	if (set)
		fail_msg("taken: %s", yaml);
	scratch_has(report.errors.data, why);
}

#define CARD_ALERTS                                                 \
	"card-alerts:\n"                                            \
	"  title: { en: Card alerts, es: Avisos de tarjeta }\n"     \
	"  description: { en: \"Every payment with your card\" }\n" \
	"  purpose: service\n"                                      \
	"  channels: [sms, email, webhook]\n"                       \
	"  default: [sms]\n"                                        \
	"  may_stop: true\n"                                        \
	"  content: full\n"

static void a_title_is_text_under_a_locale(void **state)
{
	(void)state;
	is_refused("a: { channels: [sms], title: { en: 5 } }\n",
		   ":1: a.title.en: is a whole number; text in quotes would be right");
	is_refused("a: { channels: [sms], description: { en_US: x } }\n",
		   ":1: a.description.en_US: is not a locale; en or es-AR would be right");
}

static void a_part_takes_what_it_leaves_out_from_its_product(void **state)
{
	(void)state;
	struct product_set *set = read_fine(
		"card-alerts/fraud: { title: { en: Fraud warnings }, purpose: critical }\n" CARD_ALERTS);
	const struct product *part = product_find(set, "card-alerts/fraud");
	assert_int_equal(set->count, 2);
	assert_string_equal(set->products[0].name, "card-alerts");
	assert_ptr_equal(part->parent, &set->products[0]);
	assert_int_equal(part->purpose, PURPOSE_CRITICAL);
	assert_int_equal(part->content, CONTENT_FULL);
	assert_int_equal(part->channel_count, 3);
	assert_string_equal(part->defaults[0], "sms");
	assert_true(product_offers(part, "webhook"));
	assert_false(product_offers(part, "voice"));
	assert_string_equal(product_title(part, "es", "en"), "Fraud warnings");
	assert_string_equal(product_description(part, "es", "en"), "Every payment with your card");
	assert_null(product_find(set, "card-alerts/none"));
	product_set_free(set);
}

static void what_is_left_out_has_its_default(void **state)
{
	(void)state;
	struct product_set *set = read_fine("news: { channels: [email] }\n");
	const struct product *news = product_find(set, "news");
	assert_int_equal(news->purpose, PURPOSE_SERVICE);
	assert_int_equal(news->default_count, 0);
	assert_true(news->may_stop);
	assert_int_equal(news->content, CONTENT_SUMMARY);
	assert_string_equal(news->quiet_hours, "");
	assert_int_equal(news->cap.per, CAP_NONE);
	assert_int_equal(news->expires_after, 0);
	assert_string_equal(product_title(news, "es", "en"), "news");
	assert_string_equal(product_description(news, "es", "en"), "");
	product_set_free(set);
}

static void a_title_falls_back_from_locale_to_language_to_any(void **state)
{
	(void)state;
	struct product_set *set = read_fine(CARD_ALERTS);
	const struct product *product = product_find(set, "card-alerts");
	assert_string_equal(product_title(product, "es-AR", "en"), "Avisos de tarjeta");
	assert_string_equal(product_title(product, "fr", "en"), "Card alerts");
	assert_string_equal(product_title(product, "fr", "de"), "Card alerts");
	product_set_free(set);
}

static void the_body_is_canonical_so_the_hash_tells_content_and_not_layout(void **state)
{
	(void)state;
	struct product_set *a =
		read_fine("b: { default: [sms], channels: [sms] }\na: { channels: [email] }\n");
	struct product_set *b =
		read_fine("# the same\na:\n  channels: [email]\nb: { channels: [sms], default: [sms] }\n");
	assert_string_equal(
		a->body,
		"{\"a\":{\"channels\":[\"email\"]},\"b\":{\"channels\":[\"sms\"],\"default\":[\"sms\"]}}");
	assert_string_equal(a->hash, b->hash);
	assert_int_equal(strlen(a->hash), 64);
	product_set_free(a);
	product_set_free(b);
}

static void contradictions_are_told_by_line(void **state)
{
	(void)state;
	is_refused("a/b: { channels: [sms] }\n", "products.yaml:1: a/b: is a part of a, which is not there");
	is_refused("a/b/c: { channels: [sms] }\n", "a/b/c: is not a product's name");
	is_refused("\"*\": { channels: [sms] }\n", "*: is not a product's name");
	is_refused("a:\n  channels: [sms, sms]\n", "names sms twice");
	is_refused("a:\n  channels: [sms]\n  default: [email]\n",
		   "products.yaml:3: a.default: has the default email");
	is_refused("a:\n  channels: [sms]\n  may_stop: false\n", "may not be stopped");
	is_refused("a: { title: { en: A } }\n", "a: has no channels");
	is_refused("a: { title: A, channels: [sms] }\n", "a.title: is \"A\"; a map of locale to text");
	is_refused("a: { purpose: advert, channels: [sms] }\n",
		   "a.purpose: is \"advert\"; service, marketing or critical would be right");
	is_refused("a: { chanels: [sms] }\n", "a.chanels: is not a key of a product; did you mean channels?");
	is_refused("a: 1\n", "a: is a whole number; a map of keys");
	is_refused("", "a map of keys");
	is_refused("{}", "has no product");
	is_refused("a: { channels: [sms], default: [sms] }\na/b: { channels: [email] }\n",
		   "a/b: has the default sms");
}

static void a_channel_that_is_not_set_up_is_warned_of(void **state)
{
	(void)state;
	product_set_free(read_fine("a:\n  channels: [sms, voice]\n"));
	scratch_has(report.warnings.data, "products.yaml:2: a.channels: names voice, which is not a channel");
}

static void all_mistakes_are_told_at_once(void **state)
{
	(void)state;
	is_refused("a: { chanels: [sms] }\nb: { channels: voice }\nc/d: {}\n", "did you mean channels?");
	scratch_has(report.errors.data, ":2: b.channels: ");
	scratch_has(report.errors.data, ":3: c/d: is a part of c");
}

static void one_wrong_key_does_not_hide_what_others_contradict(void **state)
{
	(void)state;
	is_refused("a: { purpose: advert, channels: [sms, sms], default: [email] }\n"
		   "a/b: { title: B, channels: [email], default: [sms] }\n"
		   "c: { channels: 7, default: [email] }\n"
		   "d: { chanels: [sms], default: [sms] }\n"
		   "e: { channels: [sms], title: E, cap: 20/year, quiet_hours: night, urgent: true }\n"
		   "e/f: { purpose: critical, urgent: true }\n",
		   ":1: a.purpose: is \"advert\"");
	scratch_has(report.errors.data, ":1: a.channels: names sms twice");
	scratch_has(report.errors.data, ":1: a.default: has the default email");
	scratch_has(report.errors.data, ":2: a/b.title: is \"B\"");
	scratch_has(report.errors.data, ":2: a/b.default: has the default sms");
	scratch_has(report.errors.data, ":3: c.channels: ");
	/* what only follows from those is not told as well */
	scratch_has(report.errors.data, ":5: e.cap: ");
	scratch_has(report.errors.data, ":5: e.quiet_hours: ");
	scratch_has(report.errors.data, ":5: e.urgent: ");
	assert_null(strstr(report.errors.data, "c.default"));
	assert_null(strstr(report.errors.data, "d.default"));
	assert_null(strstr(report.errors.data, "d: has no channels"));
	assert_null(strstr(report.errors.data, "e/f.cap"));
}

static void when_it_may_go_is_checked_and_inherited(void **state)
{
	(void)state;
	struct product_set *set = read_fine("a: { channels: [sms], cap: 20/day, expires_after: 24h, "
					    "quiet_hours: \"22:00-07:00\" }\n"
					    "a/b: { purpose: critical, urgent: true }\n");
	const struct product *part = product_find(set, "a/b");
	assert_int_equal(part->cap.count, 20);
	assert_int_equal(part->cap.per, CAP_DAY);
	assert_true(part->expires_after == MOMENT_DAY && part->urgent);
	assert_non_null(part->quiet);
	product_set_free(set);
	is_refused("a:\n  channels: [sms]\n  quiet_hours: night\n", ":3: a.quiet_hours: ");
	is_refused("a: { channels: [sms], cap: 20 }\n", "a.cap: ");
	is_refused("a: { channels: [sms], urgent: true }\n", "a.urgent: is for purpose critical only");
	is_refused("a: { channels: [sms], purpose: critical, urgent: true }\na/b: { purpose: service }\n",
		   ":2: a/b.urgent: has it from its product, and it is for purpose critical only; that, or "
		   "urgent: false");
	product_set_free(read_fine("a: { channels: [sms], cap: \"\", urgent: false, quiet_hours: \"\" }\n"));
}

static void marketing_by_default_is_warned_of(void **state)
{
	(void)state;
	product_set_free(read_fine("a:\n  purpose: marketing\n  channels: [sms]\n  default: [sms]\n"));
	scratch_has(report.warnings.data, "products.yaml:4: a.default: does nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_title_is_text_under_a_locale),
		cmocka_unit_test(a_part_takes_what_it_leaves_out_from_its_product),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(a_title_falls_back_from_locale_to_language_to_any),
		cmocka_unit_test(the_body_is_canonical_so_the_hash_tells_content_and_not_layout),
		cmocka_unit_test(contradictions_are_told_by_line),
		cmocka_unit_test(a_channel_that_is_not_set_up_is_warned_of),
		cmocka_unit_test(all_mistakes_are_told_at_once),
		cmocka_unit_test(one_wrong_key_does_not_hide_what_others_contradict),
		cmocka_unit_test(when_it_may_go_is_checked_and_inherited),
		cmocka_unit_test(marketing_by_default_is_warned_of),
	};
	xalloc_init();
	config_report_init(&report);
	int failed = cmocka_run_group_tests_name("product", tests, scratch_open, scratch_close);
	config_report_release(&report);
	return failed;
}
