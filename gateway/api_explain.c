/* What would happen to a message, and why: choose() over what a reader of the store says. */
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

/* Fills what is left of the input from the customer, and chooses. NULL, and answered: it can't be said. */
static json_t *explain_for(struct call *call, struct choose_input *input, const char *customer)
{
	struct customer_view view = {0};
	struct decision decision = {0};
	json_t *answer = NULL;

	input->rejected = input->doubt = input->waited = input->wait_channel = "";
	if (customer_view_read(call, customer, &view)) {
		input->customer = view.customer;
		input->zone = customer_zone(call->api->config, view.customer);
		input->zone_known = *view.customer->timezone != '\0';
		customer_view_choices(&view, input->product, &input->choices);
		if (explain_caps(call, input)) {
			choose(input, &decision);
			if (decision.kind != CHOOSE_DEFER || explain_until(call, input, &decision))
				answer = decision_json(&decision);
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

	return explain_for(call, &input, message->customer);
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
		json_t *answer = explain_for(call, &input, asked->customer);
		if (answer)
			call_answer(call, 200, answer);
	}
}

void api_explain(struct call *call)
{
	struct explain_asked asked = {.at = moment_now()};
	const char *message = NULL, *at = NULL;
	json_error_t error;

	if (json_unpack_ex(call->body, &error, JSON_STRICT, "{s?s, s?s, s?s, s?s, s?s}", "message", &message,
			   "customer", &asked.customer, "product", &asked.product, "purpose", &asked.purpose,
			   "at", &at) < 0) {
		call_problem(call, 422, "body: %s", error.text);
	} else if (at && !moment_parse(at, &asked.at)) {
		call_problem(call, 422, "at: is not a moment like 2026-11-22T10:00:00Z");
	} else if (message && !asked.customer && !asked.product && !asked.purpose && !at) {
		message_explain(call, message);
	} else if (!message && asked.customer && asked.product) {
		explain_choice(call, &asked);
	} else {
		call_problem(call, 422, "body: {\"message\"} or {\"customer\", \"product\"} is wanted");
	}
}
