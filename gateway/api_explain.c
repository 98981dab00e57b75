/* What would happen to a message, and why: choose() over what a reader of the store says. */
#include <string.h>

#include "api_private.h"
#include "choose.h"
#include "counter.h"
#include "message_fit.h"
#include "banned.h"

static bool channel_configured(const void *context, const char *channel)
{
	return config_channel(context, channel) != NULL;
}

/* No template is named, so any that the company writes. */
static bool channel_has_text(const void *context, const char *channel)
{
	(void)context;
	(void)channel;
	return true;
}

/* What is waited for until the message may go: each wait may end in another. */
#define EXPLAIN_WAITS_MAX 16

/* Caps that are used up at the time that is asked for. */
static bool explain_caps(struct call *call, struct choose_input *input)
{
	struct counter counters[CHOOSE_CAPS_MAX];
	size_t count = counters_of(call->api->config, input->product, input->purpose, input->zone, input->now,
				   counters);
	int64_t used;

	input->cap_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (!store_read_cap_used(call->api->reader, input->customer->n, counters[i].name, &used)) {
			call_store_failed(call);
			return false;
		}
		if (used >= counters[i].cap.count)
			input->caps[input->cap_count++] =
				(struct choose_cap){counters[i].cap, counters[i].marketing, counters[i].ends};
	}
	return true;
}

/* When a message that is deferred would go, as far as it is known now. False, and answered: the store failed.
 */
static bool explain_until(struct call *call, const struct choose_input *input, struct decision *decision)
{
	struct choose_input later = *input;

	for (int i = 0; i < EXPLAIN_WAITS_MAX && decision->until != MOMENT_NEVER; i++) {
		struct decision next = {0};
		later.now = decision->until;
		if (!explain_caps(call, &later))
			return false;
		later.waited = decision->waited;
		if (decision->wait_channel) {
			later.wait_channel = decision->wait_channel;
			later.wait_since = decision->wait_since;
		}
		choose(&later, &next);
		if (next.channel)
			decision->channel = next.channel;
		/* as the turn keeps it */
		memcpy(decision->waited, next.waited, sizeof decision->waited);
		if (next.wait_channel) {
			decision->wait_channel = next.wait_channel;
			decision->wait_since = next.wait_since;
		}
		bool goes_on = next.kind == CHOOSE_DEFER;
		for (size_t r = 0; goes_on && r < next.reasons.count; r++)
			reasons_add_copy(&decision->reasons, &next.reasons.list[r]);
		reasons_release(&next.reasons);
		if (!goes_on)
			break;
		decision->until = next.until;
	}
	return true;
}

/* --- holds --- */

struct holds {
	struct hold *list;
	size_t count;
};

/* What a hold knows a message by; lane NULL: any. */
struct known_by {
	const char *campaign, *product, *lane;
};

static const struct hold *find_in_list(const void *holds, enum hold_kind kind, const char *name)
{
	const struct holds *in = holds;

	for (size_t i = 0; i < in->count; i++)
		if (in->list[i].kind == kind && strcmp(in->list[i].name, name) == 0)
			return &in->list[i];
	return NULL;
}

/* The channel is held, or all who carry it are. */
static const struct hold *hold_of_channel(const struct holds *holds, const struct channel_config *channel)
{
	const struct hold *hold = find_in_list(holds, HOLD_CHANNEL, channel->name);
	const struct hold *first = find_in_list(holds, HOLD_PROVIDER, channel->provider);
	bool all = first != NULL;

	for (size_t i = 0; i < channel->other_count; i++)
		all = all && find_in_list(holds, HOLD_PROVIDER, channel->others[i].provider);
	return hold || !all ? hold : first;
}

/* What an operator stopped does not go, though the customer would have it. False, and answered: the store
 * failed. */
static bool explain_holds(struct call *call, const struct known_by *about, struct decision *decision,
			  bool *cancelled)
{
	struct holds holds = {0};

	if (!store_read_holds(call->api->reader, &holds.list, &holds.count)) {
		call_store_failed(call);
		return false;
	}
	const struct hold *cancel =
		*about->campaign ? find_in_list(&holds, HOLD_CANCEL, about->campaign) : NULL;
	const struct hold *hold =
		hold_of_message(find_in_list, &holds, about->campaign, about->product, about->lane);
	const struct channel_config *channel =
		decision->channel ? config_channel(call->api->config, decision->channel) : NULL;
	if (!hold && channel)
		hold = hold_of_channel(&holds, channel);
	*cancelled = cancel != NULL;
	if (cancel) {
		reasons_release(&decision->reasons);
		decision->kind = CHOOSE_SUPPRESS;
		decision->channel = NULL;
		reasons_add(&decision->reasons, REASON_cancelled, "{s:s, s:s}", "by", hold_who(cancel), "why",
			    *cancel->why ? cancel->why : "-");
	} else if (hold && decision->kind == CHOOSE_SEND) {
		json_t *args = hold_reason_args(hold, decision->channel);
		struct reason held = {REASON_held, json_dumps(args, JSON_COMPACT)};
		reasons_add_copy(&decision->reasons, &held);
		free(held.args);
		json_decref(args);
		decision->kind = CHOOSE_DEFER;
		decision->until = MOMENT_NEVER;
	}
	holds_free(holds.list, holds.count);
	return true;
}

/* What would happen to a message now. `queued` stands for "it would be sent". */
static json_t *decision_json(const struct decision *decision, bool cancelled)
{
	static const enum state states[] = {
		[CHOOSE_SEND] = STATE_QUEUED,    [CHOOSE_SUPPRESS] = STATE_SUPPRESSED,
		[CHOOSE_FAIL] = STATE_FAILED,    [CHOOSE_STAY_IN_DOUBT] = STATE_IN_DOUBT,
		[CHOOSE_DEFER] = STATE_DEFERRED, [CHOOSE_EXPIRE] = STATE_EXPIRED,
		[CHOOSE_REST] = STATE_SENT};
	json_t *until = decision->kind == CHOOSE_DEFER ? moment_json(decision->until) : json_null();
	json_t *stored = reasons_to_json(&decision->reasons);
	json_t *out = json_pack("{s:n, s:s, s:o, s:o, s:o}", "message", "state",
				state_name(cancelled ? STATE_CANCELLED : states[decision->kind]), "channel",
				word_or_null(decision->channel), "until", until, "reasons",
				reasons_with_words(stored));

	json_decref(stored);
	return out;
}

static bool explain_purpose(struct call *call, const char *word, const struct product *product,
			    enum purpose *purpose)
{
	*purpose = product->purpose;
	if (word && !purpose_parse(word, purpose)) {
		call_problem(call, 422, "purpose: '%s' is not service, marketing or critical", word);
		return false;
	}
	if (*purpose < product->purpose) {
		call_problem(call, 422, "purpose: %s is looser than that of %s, %s", word, product->name,
			     purpose_name(product->purpose));
		return false;
	}
	return true;
}

/* Fills what is left of the input from the customer, and chooses. NULL, and answered: it can't be said. */
static json_t *explain_for(struct call *call, struct choose_input *input, const struct known_by *about,
			   const char *customer)
{
	struct customer_view view = {0};
	struct decision decision = {0};
	json_t *answer = NULL;
	bool cancelled;

	input->rejected = input->doubt = input->waited = input->wait_channel = "";
	if (customer_view_read(call, customer, &view)) {
		input->customer = view.customer;
		input->zone = customer_zone(call->api->config, view.customer);
		input->zone_known = *view.customer->timezone != '\0';
		customer_view_choices(&view, input->product, &input->choices);
		if (explain_caps(call, input)) {
			choose(input, &decision);
			if ((decision.kind != CHOOSE_DEFER || explain_until(call, input, &decision)) &&
			    explain_holds(call, about, &decision, &cancelled))
				answer = decision_json(&decision, cancelled);
		}
		reasons_release(&decision.reasons);
	}
	customer_view_release(&view);
	return answer;
}

json_t *explain_message(struct call *call, const struct message *message, int64_t now)
{
	const struct config *config = call->api->config;
	const struct product *product = product_find(config->products, message->product);
	const struct message_texts texts = message_texts_of(config, message->template);
	struct choose_input input = {.product = product,
				     .purpose = message->has_purpose ? message->purpose : product->purpose,
				     .template = message->template,
				     .channels = message_channels(&texts),
				     .admitted_at = now,
				     .now = now,
				     .send_at = message->send_at,
				     .expires_at = message_expiry(message, product, now)};

	const struct known_by about = {message->campaign, product->name,
				       lane_name(message->has_lane ? message->lane : LANE_NORMAL)};

	return explain_for(call, &input, &about, message->customer);
}

/* What is asked about: any message that comes in at `at`. */
struct explain_asked {
	const char *customer, *product, *purpose;
	int64_t at;
};

static void explain_choice(struct call *call, const struct explain_asked *asked)
{
	const struct config *config = call->api->config;
	struct choose_input input = {.product = product_find(config->products, asked->product),
				     .template = "",
				     .channels = {channel_configured, channel_has_text, NULL, config},
				     .admitted_at = asked->at,
				     .now = asked->at};

	if (!call_product_allowed(call, asked->product))
		return;
	if (!input.product) {
		call_problem(call, 404, "product %s: there is no product of this name", asked->product);
	} else if (explain_purpose(call, asked->purpose, input.product, &input.purpose)) {
		input.expires_at =
			input.product->expires_after ? asked->at + input.product->expires_after : 0;
		const struct known_by about = {"", asked->product, NULL};
		json_t *answer = explain_for(call, &input, &about, asked->customer);
		if (answer)
			call_answer(call, 200, answer);
	}
}

void api_explain(struct call *call)
{
	struct explain_asked asked = {.at = moment_now()};
	const char *message = NULL, *at = NULL;
	const struct call_word words[] = {{"message", false, &message},
					  {"customer", false, &asked.customer},
					  {"product", false, &asked.product},
					  {"purpose", false, &asked.purpose},
					  {"at", false, &at}};

	if (!call_words(call, words, sizeof words / sizeof words[0]))
		return;
	if (at && !moment_parse(at, &asked.at)) {
		call_problem(call, 422, "at: is not a moment like 2026-11-22T10:00:00Z");
	} else if (message && !asked.customer && !asked.product && !asked.purpose && !at) {
		message_explain(call, message);
	} else if (!message && asked.customer && asked.product) {
		explain_choice(call, &asked);
	} else {
		call_problem(call, 422, "body: {\"message\"} or {\"customer\", \"product\"} is wanted");
	}
}
