/* Routes: one message, why it went where it went, and what an operator may do to it. */
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "choose.h"
#include "counter.h"
#include "moment.h"
#include "banned.h"

static json_t *word_or_null(const char *word)
{
	return word && *word ? json_string(word) : json_null();
}

/* Stored reasons ([{"code","args"}]) with their words. */
static json_t *reasons_with_words(const json_t *stored)
{
	json_t *list = json_array(), *reason;
	size_t i;

	json_array_foreach(stored, i, reason)
	{
		const char *code = json_string_value(json_object_get(reason, "code"));
		if (code)
			json_array_append_new(list, reason_json(code, json_object_get(reason, "args")));
	}
	return list;
}

static json_t *message_reasons(const struct message_row *row)
{
	json_t *stored = json_loads(*row->reasons ? row->reasons : "[]", 0, NULL);
	json_t *list = reasons_with_words(stored);

	json_decref(stored);
	return list;
}

/* The channel that it waits for or whose turn it is, else that of its last attempt. */
static const char *message_channel(const struct message_row *row)
{
	bool waits = row->state == STATE_QUEUED || row->state == STATE_DEFERRED;

	if (waits && *row->waits_for && !hold_is_key(row->waits_for))
		return row->waits_for;
	return waits && *row->wait_channel ? row->wait_channel : row->channel;
}

static json_t *moment_json(int64_t at)
{
	char text[MOMENT_TEXT];

	moment_format(at, text);
	return *text ? json_string(text) : json_null();
}

/* null: it waits for nothing, or nobody can say how long (its time came, and a provider is not there). */
static json_t *message_until(const struct message_row *row)
{
	bool goes_on = row->state == STATE_DEFERRED || row->state == STATE_IN_DOUBT;
	bool known = row->due != MOMENT_NEVER && row->due > moment_now() &&
		     !hold_is_key(row->waits_for); /* a hold ends when somebody ends it */

	return goes_on && known ? moment_json(row->due) : json_null();
}

/* As `heed explain --json` (contract). */
static json_t *message_json(const struct message_row *row)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "message", row->id, "state", state_name(row->state),
			 "channel", word_or_null(message_channel(row)), "until", message_until(row),
			 "reasons", message_reasons(row));
}

/* False, and answered: unknown, or the store failed. */
static bool message_read(struct call *call, const char *id, struct message_row *row)
{
	*row = (struct message_row){0};
	if (!store_read_message(call->api->reader, id, row)) {
		call_store_failed(call);
		return false;
	}
	if (!row->n)
		call_problem(call, 404, "message %s: there is no message with this id", id);
	return row->n != 0;
}

void api_message_get(struct call *call)
{
	struct log_query query = {.message = call->args[0], .limit = API_LIST_MAX};
	struct contact *contacts = NULL;
	struct message_row row;
	char admitted[MOMENT_TEXT];
	size_t count = 0;

	if (!message_read(call, call->args[0], &row))
		goto out;
	if (!store_read_log(call->api->reader, &query, &contacts, &count)) {
		call_store_failed(call);
		goto out;
	}
	moment_format(row.admitted_at, admitted);
	json_t *answer = message_json(&row), *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, contact_to_json(&contacts[i]));
	json_object_set_new(answer, "contacts", list);
	json_object_set_new(answer, "customer", word_or_null(row.customer_id));
	json_object_set_new(answer, "product", json_string(row.product));
	json_object_set_new(answer, "template", json_string(row.template));
	json_object_set_new(answer, "lane", json_string(lane_name(row.lane)));
	json_object_set_new(answer, "admitted_at", json_string(admitted));
	json_object_set_new(answer, "attempts", json_integer(row.attempts));
	call_answer(call, 200, answer);
out:
	for (size_t i = 0; i < count; i++)
		contact_release(&contacts[i]);
	free(contacts);
	message_row_release(&row);
}

void api_message_settle(struct call *call)
{
	json_t *answer = NULL;
	struct text problem;

	if (!call_wants_object(call) || !call_may_change(call))
		return;
	const char *as = json_string_value(json_object_get(call->body, "as"));
	if (!as || (strcmp(as, "sent") != 0 && strcmp(as, "failed") != 0 && strcmp(as, "resend") != 0) ||
	    json_object_size(call->body) != 1) {
		call_problem(call, 422, "body: {\"as\": \"sent\"}, \"failed\" or \"resend\" is wanted");
		return;
	}
	text_init(&problem, TEXT_ERROR_MAX);
	int status =
		request_settle(&call->api->door, &call->request->asker, call->args[0], as, &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

void api_message_retry(struct call *call)
{
	json_t *answer = NULL;
	struct text problem;

	if (!call_may_change(call))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_retry(&call->api->door, &call->request->asker, call->args[0], &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

/* --- explain --- */

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

/* What is asked about: a message that comes in at `at`. */
struct explain_asked {
	const char *customer, *product, *purpose;
	int64_t at;
};

static void explain_choice(struct call *call, const struct explain_asked *asked)
{
	const struct config *config = call->api->config;
	struct choose_input input = {.product = product_find(config->products, asked->product),
				     .template = "",
				     .rejected = "",
				     .doubt = "",
				     .waited = "",
				     .wait_channel = "",
				     .channels = {channel_configured, channel_has_text, NULL, config},
				     .admitted_at = asked->at,
				     .now = asked->at};
	struct customer_view view = {0};
	struct decision decision = {0};

	if (!input.product) {
		call_problem(call, 404, "product %s: there is no product of this name", asked->product);
	} else if (explain_purpose(call, asked->purpose, input.product, &input.purpose) &&
		   customer_view_read(call, asked->customer, &view)) {
		input.customer = view.customer;
		input.zone = customer_zone(config, view.customer);
		input.zone_known = *view.customer->timezone != '\0';
		input.expires_at =
			input.product->expires_after ? asked->at + input.product->expires_after : 0;
		customer_view_choices(&view, input.product, &input.choices);
		if (explain_caps(call, &input)) {
			choose(&input, &decision);
			if (decision.kind != CHOOSE_DEFER || explain_until(call, &input, &decision))
				call_answer(call, 200, decision_json(&decision));
		}
		reasons_release(&decision.reasons);
	}
	customer_view_release(&view);
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
		struct message_row row;
		if (message_read(call, message, &row))
			call_answer(call, 200, message_json(&row));
		message_row_release(&row);
	} else if (!message && asked.customer && asked.product) {
		explain_choice(call, &asked);
	} else {
		call_problem(call, 422, "body: {\"message\"} or {\"customer\", \"product\"} is wanted");
	}
}
