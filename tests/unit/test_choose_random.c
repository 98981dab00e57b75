/* choose() on random cases. Without arguments: laws that hold whatever the rules say. With "cases": reads
 * cases as JSON lines and prints the decisions, which test_choose_model.py compares with its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "choose.h"
#include "xalloc.h"

#define LAW_CASES 10000
#define LIST_MAX 8

struct list {
	const char *names[LIST_MAX];
	size_t count;
};

struct world {
	struct list offered, defaults, configured, texts;
	struct preference_entry own_entries[LIST_MAX], parent_entries[LIST_MAX], star_entries[LIST_MAX];
	struct preference own, parent, star;
	struct address addresses[CUSTOMER_ADDRESSES_MAX];
	struct product product, parent_product;
	struct customer customer;
	struct choose_input input;
};

static bool has(const struct list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->names[i], name) == 0)
			return true;
	return false;
}

static bool is_configured(const void *context, const char *channel)
{
	return has(&((const struct world *)context)->configured, channel);
}

static bool has_text(const void *context, const char *channel)
{
	return has(&((const struct world *)context)->texts, channel);
}

/* What both kinds of case have in common. */
static void world_finish(struct world *w, bool part)
{
	w->product.name = part ? "cards/fraud" : "cards";
	w->parent_product.name = "cards";
	w->product.parent = part ? &w->parent_product : NULL;
	w->product.channels = (char **)w->offered.names;
	w->product.channel_count = w->offered.count;
	w->product.defaults = (char **)w->defaults.names;
	w->product.default_count = w->defaults.count;
	w->own.product = w->product.name;
	w->parent.product = "cards";
	w->star.product = "*";
	w->own.channels = w->own_entries;
	w->parent.channels = w->parent_entries;
	w->star.channels = w->star_entries;
	w->customer.id = "c-1";
	w->customer.addresses = w->addresses;
	w->input.product = &w->product;
	w->input.customer = &w->customer;
	w->input.template = "t";
	w->input.channels = (struct choose_channels){is_configured, has_text, NULL, w};
	w->input.zone_known = true;
	w->input.waited = w->input.wait_channel = "";
	w->own.hours = w->parent.hours = w->star.hours = "";
	w->own.digest = w->parent.digest = w->star.digest = "immediate";
}

/* --- cases that come in as JSON --- */

static void read_list(const json_t *json, struct list *out)
{
	assert_true(json_array_size(json) <= LIST_MAX);
	for (size_t i = 0; i < json_array_size(json); i++)
		out->names[out->count++] = json_string_value(json_array_get(json, i));
}

static const struct preference *read_preference(const json_t *json, struct preference *out,
						struct preference_entry *entries)
{
	const json_t *channels = json_object_get(json, "channels");

	if (!json || json_is_null(json))
		return NULL;
	out->has_channels = json_is_array(channels);
	for (size_t i = 0; i < json_array_size(channels); i++)
		entries[out->channel_count++] = (struct preference_entry){
			.channel = (char *)json_string_value(json_array_get(channels, i)), .hours = ""};
	return out;
}

static void world_read(struct world *w, const json_t *json)
{
	const json_t *product = json_object_get(json, "product"),
		     *addresses = json_object_get(json, "addresses");

	*w = (struct world){0};
	read_list(json_object_get(product, "channels"), &w->offered);
	read_list(json_object_get(product, "default"), &w->defaults);
	read_list(json_object_get(json, "configured"), &w->configured);
	read_list(json_object_get(json, "texts"), &w->texts);
	w->product.may_stop = json_is_true(json_object_get(product, "may_stop"));
	assert_true(
		purpose_parse(json_string_value(json_object_get(product, "purpose")), &w->product.purpose));
	assert_true(purpose_parse(json_string_value(json_object_get(json, "purpose")), &w->input.purpose));
	w->input.choices.own = read_preference(json_object_get(json, "own"), &w->own, w->own_entries);
	w->input.choices.parent =
		read_preference(json_object_get(json, "parent"), &w->parent, w->parent_entries);
	w->input.choices.star = read_preference(json_object_get(json, "star"), &w->star, w->star_entries);
	assert_true(json_array_size(addresses) <= CUSTOMER_ADDRESSES_MAX);
	for (size_t i = 0; i < json_array_size(addresses); i++) {
		const json_t *one = json_array_get(addresses, i);
		struct address *address = &w->addresses[w->customer.address_count++];
		address->channel = (char *)json_string_value(json_object_get(one, "channel"));
		address->value = (char *)json_string_value(json_object_get(one, "value"));
		assert_true(address_state_parse(json_string_value(json_object_get(one, "state")),
						&address->state));
	}
	w->input.rejected = json_string_value(json_object_get(json, "rejected"));
	w->input.doubt = json_string_value(json_object_get(json, "doubt"));
	world_finish(w, json_is_true(json_object_get(product, "part")));
}

static void print_decision(const struct decision *decision)
{
	static const char *const kinds[] = {"send", "suppress", "fail", "stay_in_doubt"};
	static const char *const sources[] = {"own", "parent", "*", "default"};
	json_t *reasons = json_array();

	for (size_t i = 0; i < decision->reasons.count; i++) {
		const struct reason *reason = &decision->reasons.list[i];
		/* the channel of the reasons that are about one */
		json_t *args = reason_args(reason);
		json_array_append_new(reasons,
				      json_pack("[s,s?]", reason_code_name(reason->code),
						json_string_value(json_object_get(args, "channel"))));
		json_decref(args);
	}
	json_t *json =
		json_pack("{s:s,s:s?,s:s?,s:s,s:o}", "kind", kinds[decision->kind], "channel",
			  decision->channel, "address", decision->address ? decision->address->value : NULL,
			  "source", sources[decision->source], "reasons", reasons);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static int decide_cases(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		struct world world;
		struct decision decision;
		json_t *json = json_loads(line, 0, NULL);
		if (!json) {
			fprintf(stderr, "not JSON: %s", line);
			return 1;
		}
		world_read(&world, json);
		choose(&world.input, &decision);
		print_decision(&decision);
		reasons_release(&decision.reasons);
		json_decref(json);
	}
	free(line);
	return 0;
}

/* --- laws --- */

static uint64_t state;

static size_t below(size_t n) /* splitmix64 */
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (size_t)((z ^ (z >> 31)) % n);
}

static const char *const names[] = {"email", "sms", "webhook", "voice"};
#define NAMES (sizeof names / sizeof names[0])

static void random_list(struct list *out)
{
	size_t start = below(NAMES), count = below(NAMES + 1);
	for (size_t i = 0; i < count; i++)
		out->names[out->count++] = names[(start + i) % NAMES];
}

static const struct preference *random_preference(struct preference *out, struct preference_entry *entries)
{
	struct list list = {0};

	if (below(3) == 0)
		return NULL;
	random_list(&list);
	out->has_channels = below(5) > 0;
	for (size_t i = 0; out->has_channels && i < list.count; i++)
		entries[out->channel_count++] =
			(struct preference_entry){.channel = (char *)list.names[i], .hours = ""};
	return out;
}

static void world_random(struct world *w)
{
	*w = (struct world){0};
	random_list(&w->offered);
	random_list(&w->defaults);
	random_list(&w->configured);
	random_list(&w->texts);
	w->product.may_stop = below(4) > 0;
	w->input.purpose = (enum purpose)below(PURPOSES);
	w->input.choices.own = random_preference(&w->own, w->own_entries);
	w->input.choices.parent = random_preference(&w->parent, w->parent_entries);
	w->input.choices.star = random_preference(&w->star, w->star_entries);
	for (size_t i = below(8); i > 0; i--)
		w->addresses[w->customer.address_count++] =
			(struct address){.channel = (char *)names[below(NAMES)],
					 .value = "a",
					 .state = (enum address_state)below(3)};
	w->input.rejected = below(4) ? "" : "sms,voice";
	w->input.doubt = below(6) ? "" : names[below(NAMES)];
	world_finish(w, w->input.choices.parent != NULL);
}

/* The list that the customer (or for nobody's choice the product) gave: looked up again, naively. */
static bool in_force(const struct world *w, const struct decision *decision, const char *channel)
{
	const struct preference *p = decision->preference;

	if (!p)
		return has(&w->defaults, channel);
	for (size_t i = 0; i < p->channel_count; i++)
		if (strcmp(p->channels[i].channel, channel) == 0)
			return true;
	return false;
}

static void nothing_goes_to_a_channel_that_is_not_in_the_list_in_force(void **unused)
{
	(void)unused;
	state = 1042;
	for (int i = 0; i < LAW_CASES; i++) {
		struct world w;
		struct decision d;
		world_random(&w);
		choose(&w.input, &d);
		assert_int_equal(d.kind == CHOOSE_SEND, d.channel != NULL);
		assert_int_equal(d.kind == CHOOSE_SEND, d.address != NULL);
		assert_in_range(d.reasons.count, 1, REASONS_MAX);
		if (d.kind == CHOOSE_SEND) {
			assert_true(in_force(&w, &d, d.channel));
			assert_true(has(&w.offered, d.channel) && has(&w.configured, d.channel));
			assert_true(has(&w.texts, d.channel));
			assert_false(channel_list_has(w.input.rejected, d.channel));
			assert_string_equal(d.address->channel, d.channel);
			assert_int_equal(d.address->state, ADDRESS_OK);
			assert_true(!*w.input.doubt || strcmp(w.input.doubt, d.channel) == 0);
			assert_true(w.input.purpose != PURPOSE_MARKETING || d.source == CHOICE_OWN ||
				    d.source == CHOICE_PARENT);
		}
		assert_int_equal(d.kind == CHOOSE_STAY_IN_DOUBT, *w.input.doubt && d.kind != CHOOSE_SEND);
		reasons_release(&d.reasons);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_goes_to_a_channel_that_is_not_in_the_list_in_force),
	};

	xalloc_init();
	if (argc > 1 && strcmp(argv[1], "cases") == 0)
		return decide_cases();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
