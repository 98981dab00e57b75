/* Routes: one message, what became of it, and what an operator may do to it. */
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "moment.h"
#include "reason.h"
#include "banned.h"

json_t *word_or_null(const char *word)
{
	return word && *word ? json_string(word) : json_null();
}

/* Stored reasons ([{"code","args"}]) with their words. */
json_t *reasons_with_words(const json_t *stored)
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

json_t *moment_json(int64_t at)
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

/* False, and answered: unknown (or not for this token to see), or the store failed. */
static bool message_read(struct call *call, const char *id, struct message_row *row)
{
	*row = (struct message_row){0};
	if (!store_read_message(call->api->reader, id, row)) {
		call_store_failed(call);
		return false;
	}
	bool known = row->n && call_sees_product(call, row->product);
	if (!known)
		call_problem(call, 404, "message %s: there is no message with this id", id);
	return known;
}

bool message_allowed(struct call *call, const char *id)
{
	struct message_row row = {0};
	bool allowed = !call->token || !call->token->product_count || message_read(call, id, &row);

	message_row_release(&row);
	return allowed;
}

/* Is nothing more to be expected, unless somebody does something? */
static bool message_ended(const struct config *config, const struct message_row *row)
{
	const struct channel_config *channel = config_channel(config, row->channel);

	switch (row->state) {
	case STATE_QUEUED:
	case STATE_DEFERRED:
	case STATE_SENDING:
		return false;
	case STATE_SENT:
		return row->due == MOMENT_NEVER && !(channel && channel->receipts);
	case STATE_IN_DOUBT:
		return row->due == MOMENT_NEVER;
	default:
		return true;
	}
}

/* Reads it again and again until it ended or `wait` is over. */
static bool message_await(struct call *call, const char *id, int64_t wait, struct message_row *row)
{
	int64_t until = moment_mono() + wait;

	while (message_read(call, id, row)) {
		if (message_ended(call->api->config, row) || !call_pause(call, until))
			return true;
		message_row_release(row);
	}
	return false;
}

void api_message_get(struct call *call)
{
	struct log_query query = {.message = call->args[0], .limit = API_LIST_MAX};
	struct contact *contacts = NULL;
	struct message_row row;
	char admitted[MOMENT_TEXT];
	size_t count = 0;
	int64_t wait = 0;

	if (!call_duration(call, "wait", API_WAIT_MAX, &wait))
		return;
	if (!message_await(call, call->args[0], wait, &row))
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

void message_explain(struct call *call, const char *id)
{
	struct message_row row;

	if (message_read(call, id, &row))
		call_answer(call, 200, message_json(&row));
	message_row_release(&row);
}

void api_message_settle(struct call *call)
{
	const char *as = NULL;
	json_t *answer = NULL;
	struct text problem;

	if (!call_words(call, &(struct call_word){"as", true, &as}, 1) || !call_may_change(call) ||
	    !message_allowed(call, call->args[0]))
		return;
	if (strcmp(as, "sent") != 0 && strcmp(as, "failed") != 0 && strcmp(as, "resend") != 0) {
		call_problem(call, 422, "as: '%s' is not sent, failed or resend", as);
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

	if (!call_may_change(call) || !message_allowed(call, call->args[0]))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_retry(&call->api->door, &call->request->asker, call->args[0], &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}
