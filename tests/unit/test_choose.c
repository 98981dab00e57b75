/* The customer's choice, rule by rule (contract: "The customer's choice"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "choose.h"
#include "xalloc.h"

static char *offered[] = {"sms", "email", "webhook"};
static char *defaults[] = {"sms"};

/* A customer with one address on every channel, a product and its part; nothing chosen. Each test changes
 * what it is about. */
struct scene {
	struct address addresses[4];
	struct customer customer;
	struct product product, part;
	struct preference_entry entries[3][4];
	struct preference own, parent, star;
	const char *not_configured, *no_text; /* a channel; NULL: none */
	struct choose_input input;
	struct decision decision;
};

static bool configured(const void *context, const char *channel)
{
	const struct scene *s = context;
	return !s->not_configured || strcmp(s->not_configured, channel) != 0;
}

static bool has_text(const void *context, const char *channel)
{
	const struct scene *s = context;
	return !s->no_text || strcmp(s->no_text, channel) != 0;
}

static int set_up(void **state)
{
	struct scene *s = xcalloc(1, sizeof *s);
	const char *const channels[] = {"sms", "email", "webhook", "fax"};

	for (int i = 0; i < 4; i++)
		s->addresses[i] = (struct address){.channel = (char *)channels[i], .value = "first"};
	s->customer = (struct customer){.addresses = s->addresses, .address_count = 4};
	s->product = (struct product){.name = "cards",
				      .purpose = PURPOSE_SERVICE,
				      .channels = offered,
				      .channel_count = 3,
				      .defaults = defaults,
				      .default_count = 1,
				      .may_stop = true};
	s->part = s->product;
	s->part.name = "cards/fraud";
	s->part.parent = &s->product;
	s->own.product = s->parent.product = "cards";
	s->star.product = "*";
	s->own.hours = s->parent.hours = s->star.hours = "";
	s->own.digest = s->parent.digest = s->star.digest = "immediate";
	s->customer.timezone = "";
	s->input = (struct choose_input){.product = &s->product,
					 .customer = &s->customer,
					 .purpose = PURPOSE_SERVICE,
					 .template = "paid",
					 .rejected = "",
					 .doubt = "",
					 .zone_known = true,
					 .waited = "",
					 .wait_channel = "",
					 .channels = {configured, has_text, NULL, s}};
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	reasons_release(&s->decision.reasons);
	free(s);
	return 0;
}

/* The customer chooses: "sms,email"; "" stops. */
static void choosing(struct scene *s, struct preference *preference, const char *list)
{
	static const char *const names[] = {"sms", "email", "webhook", "fax"};
	struct preference_entry *entries = s->entries[preference == &s->own      ? 0
						      : preference == &s->parent ? 1
										 : 2];

	preference->has_channels = true;
	preference->channels = entries;
	preference->channel_count = 0;
	for (const char *at = list; *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ','))
		for (int i = 0; i < 4; i++)
			if (strncmp(at, names[i], strlen(names[i])) == 0)
				entries[preference->channel_count++] =
					(struct preference_entry){.channel = (char *)names[i], .hours = ""};
	if (preference == &s->own)
		s->input.choices.own = preference;
	else if (preference == &s->parent)
		s->input.choices.parent = preference;
	else
		s->input.choices.star = preference;
}

static void address_is(struct scene *s, const char *channel, enum address_state state)
{
	for (size_t i = 0; i < s->customer.address_count; i++)
		if (strcmp(s->addresses[i].channel, channel) == 0)
			s->addresses[i].state = state;
}

/* Decides, and compares the codes: "not_offered no_channel_left". */
static void assert_decides(struct scene *s, enum choose_kind kind, const char *channel, const char *codes)
{
	struct text said;

	reasons_release(&s->decision.reasons);
	choose(&s->input, &s->decision);
	text_init(&said, 1000);
	for (size_t i = 0; i < s->decision.reasons.count; i++)
		text_addf(&said, "%s%s", i ? " " : "", reason_code_name(s->decision.reasons.list[i].code));
	assert_string_equal(said.data, codes);
	text_release(&said);
	assert_int_equal(s->decision.kind, kind);
	if (channel)
		assert_string_equal(s->decision.channel, channel);
	else
		assert_null(s->decision.channel);
}

static void assert_last_says(struct scene *s, const char *words)
{
	const struct reason *last = &s->decision.reasons.list[s->decision.reasons.count - 1];
	json_t *args = reason_args(last);
	char *says = reason_says(reason_code_name(last->code), args);
	assert_string_equal(says, words);
	free(says);
	json_decref(args);
}

static void the_first_channel_of_the_list_is_used(void **state)
{
	struct scene *s = *state;
	choosing(s, &s->own, "email,sms");
	assert_decides(s, CHOOSE_SEND, "email", "chosen");
	assert_last_says(s, "email is the first channel in the choice for cards that can be used");
	assert_ptr_equal(s->decision.preference, &s->own);
	assert_ptr_equal(s->decision.address, &s->addresses[1]);
}

static void a_part_follows_its_product_until_it_is_chosen_itself(void **state)
{
	struct scene *s = *state;
	s->input.product = &s->part;
	choosing(s, &s->star, "webhook");
	choosing(s, &s->parent, "email");
	assert_decides(s, CHOOSE_SEND, "email", "chosen_parent");
	assert_last_says(
		s, "the choice for cards applies to this part; email is its first channel that can be used");
	s->own.product = "cards/fraud";
	s->input.choices.own = &s->own; /* says nothing about channels yet */
	assert_decides(s, CHOOSE_SEND, "email", "chosen_parent");
	choosing(s, &s->own, "sms");
	assert_decides(s, CHOOSE_SEND, "sms", "chosen");
}

static void star_comes_before_the_default(void **state)
{
	struct scene *s = *state;
	assert_decides(s, CHOOSE_SEND, "sms", "chosen_default");
	assert_null(s->decision.preference);
	choosing(s, &s->star, "email");
	assert_decides(s, CHOOSE_SEND, "email", "chosen_star");
	assert_int_equal(s->decision.source, CHOICE_STAR);
}

static void an_empty_list_stops_whoever_wrote_it(void **state)
{
	struct scene *s = *state;
	choosing(s, &s->star, "");
	assert_decides(s, CHOOSE_SUPPRESS, NULL, "stopped_star");
	choosing(s, &s->own, "");
	assert_decides(s, CHOOSE_SUPPRESS, NULL, "stopped");
	s->input.purpose = PURPOSE_CRITICAL;
	assert_decides(s, CHOOSE_SUPPRESS, NULL, "stopped");
	s->product.default_count = 0;
	s->input.choices = (struct choices){0};
	assert_decides(s, CHOOSE_SUPPRESS, NULL, "stopped_default");
}

static void a_legal_notice_can_be_moved_and_not_stopped(void **state)
{
	struct scene *s = *state;
	s->product.may_stop = false;
	choosing(s, &s->star, "");
	assert_decides(s, CHOOSE_SEND, "sms", "may_not_stop chosen_default");
	assert_null(s->decision.preference);
	choosing(s, &s->own, "email");
	assert_decides(s, CHOOSE_SEND, "email", "chosen");
	choosing(s, &s->own, "");
	assert_decides(s, CHOOSE_SEND, "sms", "may_not_stop chosen_default");
}

static void marketing_needs_an_opt_in_for_this_very_product(void **state)
{
	struct scene *s = *state;
	s->input.purpose = PURPOSE_MARKETING;
	assert_decides(s, CHOOSE_SUPPRESS, NULL, "no_opt_in");
	choosing(s, &s->star, "email");
	assert_decides(s, CHOOSE_SUPPRESS, NULL, "no_opt_in");
	choosing(s, &s->own, "");
	assert_decides(s, CHOOSE_SUPPRESS, NULL, "stopped");
	s->product.may_stop = false;
	assert_decides(s, CHOOSE_SUPPRESS, NULL, "stopped");
	choosing(s, &s->own, "email");
	assert_decides(s, CHOOSE_SEND, "email", "chosen");
	s->input.product = &s->part;
	s->input.choices.own = NULL;
	choosing(s, &s->parent, "webhook");
	assert_decides(s, CHOOSE_SEND, "webhook", "chosen_parent");
}

static void what_cannot_be_used_is_passed_over_and_said(void **state)
{
	struct scene *s = *state;
	choosing(s, &s->own, "fax,sms,email,webhook");
	s->not_configured = "sms";
	s->no_text = "email";
	assert_decides(s, CHOOSE_SEND, "webhook", "not_offered not_configured no_template chosen");
	address_is(s, "webhook", ADDRESS_DEAD);
	assert_decides(s, CHOOSE_FAIL, NULL,
		       "not_offered not_configured no_template address_dead no_channel_left");
	s->input.rejected = "sms,webhook";
	s->not_configured = NULL;
	assert_decides(s, CHOOSE_FAIL, NULL,
		       "not_offered channel_rejected no_template channel_rejected no_channel_left");
	s->input.rejected = "";
	s->customer.address_count = 0;
	assert_decides(s, CHOOSE_FAIL, NULL, "not_offered no_address no_template no_address no_channel_left");
}

static void the_next_usable_address_of_a_channel_is_used(void **state)
{
	struct scene *s = *state;
	choosing(s, &s->own, "sms,email");
	s->addresses[3] = (struct address){.channel = "sms", .value = "second"};
	s->addresses[0].state = ADDRESS_DEAD;
	assert_decides(s, CHOOSE_SEND, "sms", "chosen");
	assert_string_equal(s->decision.address->value, "second");
}

static void a_channel_that_is_not_in_the_list_is_never_a_fallback(void **state)
{
	struct scene *s = *state;
	choosing(s, &s->own, "email");
	s->input.rejected = "email";
	s->input.purpose = PURPOSE_CRITICAL;
	assert_decides(s, CHOOSE_FAIL, NULL, "channel_rejected no_channel_left");
}

static void a_list_without_anything_that_is_offered_fails_and_says_so(void **state)
{
	struct scene *s = *state;
	choosing(s, &s->star, "fax");
	assert_decides(s, CHOOSE_FAIL, NULL, "not_offered none_offered");
}

static void where_only_a_stop_stands_in_the_way_it_is_the_customers_no(void **state)
{
	struct scene *s = *state;
	choosing(s, &s->own, "sms,email,fax");
	address_is(s, "sms", ADDRESS_STOPPED);
	assert_decides(s, CHOOSE_SEND, "email", "address_stopped chosen");
	address_is(s, "email", ADDRESS_STOPPED);
	assert_decides(s, CHOOSE_SUPPRESS, NULL,
		       "address_stopped address_stopped not_offered address_stopped");
	assert_last_says(s, "the owner of the address on email said STOP");
	choosing(s, &s->own, "sms");
	assert_decides(s, CHOOSE_SUPPRESS, NULL, "address_stopped");
	s->addresses[3] = (struct address){.channel = "sms", .value = "second", .state = ADDRESS_DEAD};
	assert_decides(s, CHOOSE_FAIL, NULL, "address_dead address_stopped no_channel_left");
}

static void a_doubt_is_sent_again_on_its_channel_or_not_at_all(void **state)
{
	struct scene *s = *state;
	s->input.doubt = "email";
	choosing(s, &s->own, "sms,email");
	assert_decides(s, CHOOSE_SEND, "email", "doubt_resend");
	address_is(s, "email", ADDRESS_DEAD);
	assert_decides(s, CHOOSE_STAY_IN_DOUBT, NULL, "address_dead doubt_elsewhere");
	address_is(s, "email", ADDRESS_OK);
	choosing(s, &s->own, "sms");
	assert_decides(s, CHOOSE_STAY_IN_DOUBT, NULL, "doubt_elsewhere");
	choosing(s, &s->own, "");
	assert_decides(s, CHOOSE_STAY_IN_DOUBT, NULL, "stopped doubt_elsewhere");
}

static void a_list_of_channels_is_read_by_whole_names(void **state)
{
	(void)state;
	assert_true(channel_list_has("sms,email", "sms"));
	assert_true(channel_list_has("sms,email", "email"));
	assert_false(channel_list_has("sms,email", "mail"));
	assert_false(channel_list_has("sms-2,email", "sms"));
	assert_false(channel_list_has("", "sms"));
	assert_false(channel_list_has("sms,,email", ""));
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(the_first_channel_of_the_list_is_used),
		SCENE_TEST(a_part_follows_its_product_until_it_is_chosen_itself),
		SCENE_TEST(star_comes_before_the_default),
		SCENE_TEST(an_empty_list_stops_whoever_wrote_it),
		SCENE_TEST(a_legal_notice_can_be_moved_and_not_stopped),
		SCENE_TEST(marketing_needs_an_opt_in_for_this_very_product),
		SCENE_TEST(what_cannot_be_used_is_passed_over_and_said),
		SCENE_TEST(the_next_usable_address_of_a_channel_is_used),
		SCENE_TEST(a_channel_that_is_not_in_the_list_is_never_a_fallback),
		SCENE_TEST(a_list_without_anything_that_is_offered_fails_and_says_so),
		SCENE_TEST(where_only_a_stop_stands_in_the_way_it_is_the_customers_no),
		SCENE_TEST(a_doubt_is_sent_again_on_its_channel_or_not_at_all),
		SCENE_TEST(a_list_of_channels_is_read_by_whole_names),
	};
	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
