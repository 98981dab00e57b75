/* Routes: what is held, and what is taken back. */
#include <string.h>

#include "api_private.h"
#include "banned.h"

static const enum hold_kind selectors[] = {HOLD_CHANNEL, HOLD_PROVIDER, HOLD_PRODUCT, HOLD_CAMPAIGN,
					   HOLD_LANE};
#define SELECTORS (sizeof selectors / sizeof selectors[0])

json_t *holds_json(struct call *call)
{
	struct hold *holds = NULL;
	size_t count = 0;
	json_t *list = NULL;

	if (store_read_holds(call->api->reader, &holds, &count)) {
		list = json_array();
		for (size_t i = 0; i < count; i++)
			json_array_append_new(list, hold_to_json(&holds[i]));
	} else {
		call_store_failed(call);
	}
	holds_free(holds, count);
	return list;
}

void api_holds_get(struct call *call)
{
	json_t *list = holds_json(call);

	if (list)
		call_answer(call, 200, json_pack("{s:o}", "holds", list));
}

/* The one selector that is there. False, and answered: none, or several. */
static bool one_selector(struct call *call, const char *const values[SELECTORS], enum hold_kind *kind,
			 const char **name)
{
	size_t found = 0;

	for (size_t i = 0; i < SELECTORS; i++)
		if (values[i]) {
			*kind = selectors[i];
			*name = values[i];
			found++;
		}
	if (found != 1)
		call_problem(call, 422,
			     "body: one of channel, provider, product, campaign and lane is wanted");
	return found == 1;
}

void api_hold(struct call *call)
{
	const char *values[SELECTORS] = {NULL}, *why = NULL, *name = NULL;
	const struct call_word words[] = {{"channel", false, &values[0]}, {"provider", false, &values[1]},
					  {"product", false, &values[2]}, {"campaign", false, &values[3]},
					  {"lane", false, &values[4]},    {"why", true, &why}};
	enum hold_kind kind = HOLD_CHANNEL;
	json_t *answer = NULL;
	struct text problem;

	if (!call_words(call, words, sizeof words / sizeof words[0]) || !call_may_change(call))
		return;
	if (!one_selector(call, values, &kind, &name))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	int status =
		request_hold(&call->api->door, &call->request->asker, kind, name, why, &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

void api_release(struct call *call)
{
	const char *values[SELECTORS], *why = call_query(call, "why"), *name = NULL;
	enum hold_kind kind = HOLD_CHANNEL;
	json_t *answer = NULL;
	struct text problem;

	for (size_t i = 0; i < SELECTORS; i++)
		values[i] = call_query(call, hold_kind_name(selectors[i]));
	if (!call_may_change(call) || !one_selector(call, values, &kind, &name))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_release(&call->api->door, &call->request->asker, kind, name, why ? why : "",
				     &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

/* {"why"}, which may be left out. False, and answered: something else. */
static bool read_why(struct call *call, const char **why)
{
	*why = "";
	return call_words(call, &(struct call_word){"why", false, why}, 1) && call_may_change(call);
}

void api_campaign_cancel(struct call *call)
{
	json_t *answer = NULL;
	struct text problem;
	const char *why;

	if (!read_why(call, &why))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_hold(&call->api->door, &call->request->asker, HOLD_CANCEL, call->args[0], why,
				  &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

static void cancel_message(struct call *call, const char *why)
{
	json_t *answer = NULL;
	struct text problem;

	if (!message_allowed(call, call->args[0]))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_cancel(&call->api->door, &call->request->asker, call->args[0], why, &answer,
				    &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

void api_message_cancel(struct call *call)
{
	const char *why;

	if (read_why(call, &why))
		cancel_message(call, why);
}

void api_message_delete(struct call *call)
{
	if (call_may_change(call))
		cancel_message(call, "");
}
