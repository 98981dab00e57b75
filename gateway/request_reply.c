/* A short message that came in: its keyword is followed and answered, or it is passed on. */
#include <stdlib.h>
#include <string.h>

#include "inbound_private.h"
#include "mustache.h"
#include "reply.h"
#include "xalloc.h"
#include "banned.h"

#define PAUSE_FOR MOMENT_DAY

/* --- what deciding asks --- */

struct world_of_reply {
	const struct turn *turn;
	const struct customer *customer;
};

static bool is_called(const char *name, const char *folded)
{
	struct text own;

	text_init(&own, (size_t)4 * ID_MAX);
	reply_fold(name, &own);
	bool same = own.len && reply_same(own.data, folded);
	text_release(&own);
	return same;
}

static const char *product_called(const void *context, const char *folded)
{
	const struct world_of_reply *world = context;
	const struct product_set *set = world->turn->config->products;
	const char *locale;
	json_t *title;

	for (size_t i = 0; i < set->count; i++)
		if (is_called(set->products[i].name, folded))
			return set->products[i].name;
	for (size_t i = 0; i < set->count; i++)
		json_object_foreach(
			set->products[i].title, locale,
			title) if (is_called(json_string_value(title) ? json_string_value(title) : "",
					     folded)) return set->products[i]
			.name;
	return NULL;
}

static bool may_stop(const void *context, const char *product)
{
	const struct world_of_reply *world = context;
	const struct product *found = product_find(world->turn->config->products, product);

	return found && found->may_stop;
}

static bool reaches(const void *context, const char *product, const char *channel)
{
	const struct world_of_reply *world = context;
	const struct product *found = product_find(world->turn->config->products, product);
	size_t dead, stopped;

	return found && product_offers(found, channel) && config_channel(world->turn->config, channel) &&
	       world->customer && customer_address(world->customer, channel, &dead, &stopped);
}

/* --- what a keyword changes --- */

/* The list that applies with the channel in the place of the first, and nowhere else. */
static bool moved_list(struct turn *turn, const struct incoming *incoming,
		       const struct reply_decision *decision, json_t **list)
{
	const struct product *product = product_find(turn->config->products, decision->product);
	struct preference *all = NULL;
	size_t count = 0, i;
	json_t *entry;
	bool ok = store_get_preferences(turn->store, incoming->customer->n, &all, &count);
	const struct choices choices = {
		.own = preference_of(all, count, product->name),
		.parent = product->parent ? preference_of(all, count, product->parent->name) : NULL,
		.star = preference_of(all, count, "*")};
	json_t *applied = preference_applied_json(product, &choices);

	*list = json_pack("[s]", decision->channel);
	json_array_foreach(json_object_get(applied, "channels"), i, entry)
	{
		const char *name =
			json_string_value(json_is_object(entry) ? json_object_get(entry, "channel") : entry);
		bool same = name && strcmp(name, decision->channel) == 0;
		if (i == 0 && same)
			json_array_set(*list, 0,
				       entry); /* it is there already, with hours of its own perhaps */
		else if (i > 0 && !same)
			json_array_append(*list, entry);
	}
	json_decref(applied);
	preferences_free(all, count);
	return ok;
}

static bool change_product(struct turn *turn, struct incoming *incoming, struct reply_decision *decision)
{
	json_t *wanted = json_object(), *list = NULL;
	char until[MOMENT_TEXT];
	bool ok = true, refused = false;

	if (decision->action == REPLY_MOVES) {
		ok = moved_list(turn, incoming, decision, &list);
		json_object_set_new(wanted, "channels", list);
	} else if (decision->action == REPLY_PAUSES) {
		moment_format(turn->now + PAUSE_FOR, until);
		json_object_set_new(wanted, "paused_until", json_string(until));
	} else {
		json_object_set_new(wanted, "channels", json_array());
	}
	ok = ok && incoming_prefers(turn, incoming, "reply", decision->product, wanted, &refused);
	if (refused) {
		decision->refused = true;
		decision->words = decision->action == REPLY_MOVES ? WORDS_NOT_MOVED : WORDS_KEPT;
	}
	json_decref(wanted);
	return ok;
}

static bool follow(struct turn *turn, struct incoming *incoming, struct reply_decision *decision)
{
	if (decision->refused)
		return true;
	switch (decision->action) {
	case REPLY_STOPS:
		return incoming_stops(turn, incoming);
	case REPLY_OPENS:
		return incoming_opens(turn, incoming);
	case REPLY_STOPS_PRODUCT:
	case REPLY_MOVES:
	case REPLY_PAUSES:
		return change_product(turn, incoming, decision);
	case REPLY_HELPS:
	case REPLY_EXPLAINS:
	case REPLY_PASSES_ON:
		break;
	}
	return true;
}

/* --- what is answered --- */

static const char *company_name(const struct config *config)
{
	const char *name =
		json_string_value(json_object_get(json_object_get(config->tree, "company"), "name"));

	return name ? name : "";
}

static const char *locale_of(const struct turn *turn, const struct incoming *incoming)
{
	const struct customer *customer = incoming->customer      ? incoming->customer
					  : incoming->owner_count ? incoming->owners[0]
								  : NULL;

	return customer && *customer->locale ? customer->locale : turn->config->customers.locale;
}

/* Why the last message came, in the words of its reason. */
static char *reason_words(const struct incoming *incoming)
{
	json_t *args = json_loads(incoming->answered.reason_args, 0, NULL);
	char *says = reason_says(incoming->answered.reason, args);

	json_decref(args);
	return says;
}

static json_t *words_data(const struct turn *turn, const struct incoming *incoming,
			  const struct reply_decision *decision)
{
	const struct product *product =
		decision->product ? product_find(turn->config->products, decision->product) : NULL;
	json_t *data = json_object();
	char until[MOMENT_TEXT];

	if (*company_name(turn->config))
		json_object_set_new(data, "company", json_string(company_name(turn->config)));
	if (product)
		json_object_set_new(data, "product",
				    json_string(product_title(product, locale_of(turn, incoming),
							      turn->config->customers.locale)));
	if (decision->channel)
		json_object_set_new(data, "channel", json_string(decision->channel));
	if (decision->action == REPLY_EXPLAINS) {
		char *says = reason_words(incoming);
		json_object_set_new(data, "reason", json_string(says));
		free(says);
	}
	moment_format(turn->now + PAUSE_FOR, until);
	json_object_set_new(data, "until", json_string(until));
	return data;
}

static bool answer(struct turn *turn, struct incoming *incoming, const struct reply_decision *decision,
		   bool changed)
{
	const bool stops = decision->action == REPLY_STOPS;
	json_t *data = words_data(turn, incoming, decision);
	struct text words;

	text_init(&words, MUSTACHE_OUTPUT_MAX);
	reply_render(turn->config->replies, locale_of(turn, incoming), turn->config->customers.locale,
		     decision->words, data, &words);
	/* a STOP that was said before is not confirmed again */
	bool ok = (stops && !changed) || incoming_answers(turn, incoming, words.data, stops,
							  stops || decision->action == REPLY_HELPS);
	text_release(&words);
	json_decref(data);
	return ok;
}

static char *what_was_done(const struct reply_decision *decision)
{
	static const char *const done[] = {[REPLY_PASSES_ON] = "passed on",
					   [REPLY_STOPS] = "stopped the address",
					   [REPLY_OPENS] = "opened the address",
					   [REPLY_HELPS] = "helped",
					   [REPLY_STOPS_PRODUCT] = "stopped",
					   [REPLY_MOVES] = "moved",
					   [REPLY_PAUSES] = "paused",
					   [REPLY_EXPLAINS] = "explained"};

	if (decision->refused)
		return xasprintf("%s may not be %s", decision->product, done[decision->action]);
	return xasprintf("%s%s%s%s%s", done[decision->action], decision->product ? " " : "",
			 decision->product ? decision->product : "", decision->channel ? " to " : "",
			 decision->channel ? decision->channel : "");
}

bool incoming_reply(struct turn *turn, struct incoming *incoming)
{
	const struct world_of_reply world = {turn, incoming->customer};
	const char *product = incoming->answered.seq ? incoming->answered.product : "";
	const struct reply_facts facts = {.product = product_find(turn->config->products, product) ? product
												   : NULL,
					  .product_called = product_called,
					  .may_stop = may_stop,
					  .reaches = reaches,
					  .context = &world};
	struct reply_decision decision = {.action = REPLY_PASSES_ON};
	enum address_state before = incoming->address.state;

	if (turn->config->replies)
		reply_decide(turn->config->replies, incoming->in->text, &facts, &decision);
	const bool opens_or_stops = decision.action == REPLY_STOPS || decision.action == REPLY_OPENS;
	/* whose choice would it be, and what would be stopped? A sender of letters has no number */
	if ((decision.product && !incoming->customer) || (opens_or_stops && !incoming->address.n))
		decision.action = REPLY_PASSES_ON;
	if (decision.action == REPLY_PASSES_ON) {
		incoming->kind = INBOUND_REPLY;
		return incoming_records(turn, incoming);
	}
	incoming->keyword = decision.keyword;
	incoming->did = what_was_done(&decision);
	return incoming_records(turn, incoming) && follow(turn, incoming, &decision) &&
	       answer(turn, incoming, &decision, incoming->address.state != before);
}
