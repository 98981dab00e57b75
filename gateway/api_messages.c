/* Routes: one message, why it went where it went, and what an operator may do to it. */
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "choose.h"
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

/* The channel that it waits for, else that of its last attempt. */
static const char *message_channel(const struct message_row *row)
{
	bool waits = row->state == STATE_QUEUED || row->state == STATE_DEFERRED;

	return waits && *row->waits_for ? row->waits_for : row->channel;
}

/* null: it waits for nothing, or nobody can say how long (its time came, and a provider is not there). */
static json_t *message_until(const struct message_row *row)
{
	bool goes_on = row->state == STATE_DEFERRED || row->state == STATE_IN_DOUBT;
	char until[MOMENT_TEXT];

	if (!goes_on || row->due == MOMENT_NEVER || row->due <= moment_now())
		return json_null();
	moment_format(row->due, until);
	return json_string(until);
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

/* What would happen to a message now. `queued` stands for "it would be sent". */
static json_t *decision_json(const struct decision *decision)
{
	static const enum state states[] = {[CHOOSE_SEND] = STATE_QUEUED,
					    [CHOOSE_SUPPRESS] = STATE_SUPPRESSED,
					    [CHOOSE_FAIL] = STATE_FAILED,
					    [CHOOSE_STAY_IN_DOUBT] = STATE_IN_DOUBT};
	json_t *stored = reasons_to_json(&decision->reasons);
	json_t *out = json_pack(
		"{s:n, s:s, s:o, s:n, s:o}", "message", "state", state_name(states[decision->kind]),
		"channel", word_or_null(decision->channel), "until", "reasons", reasons_with_words(stored));

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

static void explain_choice(struct call *call, const char *customer, const char *name, const char *purpose)
{
	const struct config *config = call->api->config;
	struct choose_input input = {.product = product_find(config->products, name),
				     .template = "",
				     .rejected = "",
				     .doubt = "",
				     .channels = {channel_configured, channel_has_text, config},
				     .now = moment_now()};
	struct customer_view view = {0};
	struct decision decision = {0};

	if (!input.product)
		call_problem(call, 404, "product %s: there is no product of this name", name);
	else if (explain_purpose(call, purpose, input.product, &input.purpose) &&
		 customer_view_read(call, customer, &view)) {
		input.customer = view.customer;
		customer_view_choices(&view, input.product, &input.choices);
		choose(&input, &decision);
		call_answer(call, 200, decision_json(&decision));
		reasons_release(&decision.reasons);
	}
	customer_view_release(&view);
}

void api_explain(struct call *call)
{
	const char *message = NULL, *customer = NULL, *product = NULL, *purpose = NULL;
	json_t *at = NULL;
	json_error_t error;

	if (json_unpack_ex(call->body, &error, JSON_STRICT, "{s?s, s?s, s?s, s?s, s?o}", "message", &message,
			   "customer", &customer, "product", &product, "purpose", &purpose, "at", &at) < 0) {
		call_problem(call, 422, "body: %s", error.text);
	} else if (at) {
		call_problem(call, 422, "at: not yet (B)");
	} else if (message && !customer && !product && !purpose) {
		struct message_row row;
		if (message_read(call, message, &row))
			call_answer(call, 200, message_json(&row));
		message_row_release(&row);
	} else if (!message && customer && product) {
		explain_choice(call, customer, product, purpose);
	} else {
		call_problem(call, 422, "body: {\"message\"} or {\"customer\", \"product\"} is wanted");
	}
}
