/* What would happen to a message, and why: choose() over what a reader of the store says. */
#include <string.h>

#include "api_private.h"
#include "choose.h"
#include "counter.h"
#include "message_fit.h"
#include "reason.h"
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
		bool goes_on = next.kind == CHOOSE_DEFER;
		for (size_t r = 0; goes_on && r < next.reasons.count; r++)
			reasons_add(&decision->reasons, next.reasons.list[r].code, "O",
				    next.reasons.list[r].args);
		reasons_release(&next.reasons);
		if (!goes_on)
			break;
		decision->until = next.until;
	}
	return true;
}

/* What would happen to a message now. `queued` stands for "it would be sent". */
static json_t *decision_json(const struct decision *decision)
{
	static const enum state states[] = {
		[CHOOSE_SEND] = STATE_QUEUED,    [CHOOSE_SUPPRESS] = STATE_SUPPRESSED,
		[CHOOSE_FAIL] = STATE_FAILED,    [CHOOSE_STAY_IN_DOUBT] = STATE_IN_DOUBT,
		[CHOOSE_DEFER] = STATE_DEFERRED, [CHOOSE_EXPIRE] = STATE_EXPIRED,
		[CHOOSE_REST] = STATE_SENT};
	json_t *until = decision->kind == CHOOSE_DEFER ? moment_json(decision->until) : json_null();
	json_t *stored = reasons_to_json(&decision->reasons);
	json_t *out =
		json_pack("{s:n, s:s, s:o, s:o, s:o}", "message", "state", state_name(states[decision->kind]),
			  "channel", word_or_null(decision->channel), "until", until, "reasons",
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

/* --- what operators hold --- */

/* What the message is of, beside its product. "": none, or it is not known. */
struct belongs {
	const char *campaign, *lane;
};

struct stood {
	struct hold *holds;
	size_t count;
};

static const struct hold *find_hold(const struct stood *stood, enum hold_kind kind, const char *name)
{
	for (size_t i = 0; *name && i < stood->count; i++)
		if (stood->holds[i].kind == kind &&
		    (strcmp(stood->holds[i].name, name) == 0 ||
		     (kind == HOLD_PRODUCT && store_product_covers(name, stood->holds[i].name))))
			return &stood->holds[i];
	return NULL;
}

/* That of a provider, where there is no other beside it that is free. */
static const struct hold *find_provider_hold(const struct stood *stood, const struct channel_config *channel)
{
	const struct hold *hold = find_hold(stood, HOLD_PROVIDER, channel->provider);

	for (size_t i = 0; hold && i < channel->other_count; i++)
		if (!find_hold(stood, HOLD_PROVIDER, channel->others[i].provider))
			return NULL;
	return hold;
}

/* As turn_holds.c, in the same order. NULL: it may go. */
static const struct hold *find_stop(const struct stood *stood, const struct config *config,
				    const struct belongs *belongs, const char *product, const char *channel)
{
	const struct channel_config *through = config_channel(config, channel);
	const struct hold *hold = find_hold(stood, HOLD_CAMPAIGN, belongs->campaign);

	if (!hold)
		hold = find_hold(stood, HOLD_PRODUCT, product);
	if (!hold)
		hold = find_hold(stood, HOLD_LANE, belongs->lane);
	if (!hold)
		hold = find_hold(stood, HOLD_CHANNEL, channel);
	return hold || !through ? hold : find_provider_hold(stood, through);
}

static json_t *cancelled_json(const struct hold *cancel)
{
	json_t *args =
		json_pack("{s:s, s:s}", "by", hold_who(cancel), "why", *cancel->why ? cancel->why : "-");
	json_t *answer = json_pack("{s:n, s:s, s:n, s:n, s:[o]}", "message", "state",
				   state_name(STATE_CANCELLED), "channel", "until", "reasons",
				   reason_json(reason_code_name(REASON_cancelled), args));

	json_decref(args);
	return answer;
}

static void decision_hold(struct decision *decision, const struct hold *hold)
{
	reasons_add(&decision->reasons, REASON_held, "{s:s, s:s, s:s, s:s, s:s}", "kind",
		    hold_kind_name(hold->kind), "name", hold->name, "by", hold_who(hold), "why", hold->why,
		    "channel", decision->channel);
	decision->kind = CHOOSE_DEFER;
	decision->until = MOMENT_NEVER;
}

/* --- one answer --- */

/* With what is left of the input filled from the customer. NULL, and answered: it can't be said. */
static json_t *explain_seen(struct call *call, struct choose_input *input, const struct belongs *belongs,
			    const struct stood *stood, const struct customer_view *view)
{
	const struct hold *cancel = find_hold(stood, HOLD_CANCEL, belongs->campaign);
	struct decision decision = {0};
	json_t *answer = NULL;

	if (cancel)
		return cancelled_json(cancel);
	input->customer = view->customer;
	input->zone = customer_zone(call->api->config, view->customer);
	input->zone_known = *view->customer->timezone != '\0';
	customer_view_choices(view, input->product, &input->choices);
	if (explain_caps(call, input)) {
		choose(input, &decision);
		const struct hold *hold = decision.kind == CHOOSE_SEND
						  ? find_stop(stood, call->api->config, belongs,
							      input->product->name, decision.channel)
						  : NULL;
		if (hold)
			decision_hold(&decision, hold);
		if (hold || decision.kind != CHOOSE_DEFER || explain_until(call, input, &decision))
			answer = decision_json(&decision);
	}
	reasons_release(&decision.reasons);
	return answer;
}

static json_t *explain_for(struct call *call, struct choose_input *input, const struct belongs *belongs,
			   const char *customer)
{
	struct customer_view view = {0};
	struct stood stood = {0};
	json_t *answer = NULL;

	input->rejected = input->doubt = input->waited = input->wait_channel = "";
	if (customer_view_read(call, customer, &view)) {
		if (store_read_holds(call->api->reader, &stood.holds, &stood.count))
			answer = explain_seen(call, input, belongs, &stood, &view);
		else
			call_store_failed(call);
	}
	holds_free(stood.holds, stood.count);
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

	const struct belongs belongs = {message->campaign,
					lane_name(message->has_lane ? message->lane : LANE_NORMAL)};

	return explain_for(call, &input, &belongs, message->customer);
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
		json_t *answer = explain_for(call, &input, &(struct belongs){"", ""}, asked->customer);
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
