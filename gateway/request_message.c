/* What an operator may do to one message: end a doubt, try a failed one again. */
#include <stdlib.h>
#include <string.h>

#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

struct message_request {
	struct request base;
	const struct asker *asker;
	const char *message;
	const char *as; /* settle */
	int64_t n;
};

/* The message, if it is in `state`; else a refusal. False: the store failed. */
static bool find_in_state(struct request *request, struct turn *turn, const char *id, enum state state,
			  const char *instead, struct message_row *row)
{
	const char *const ids[] = {id};

	if (!store_find_messages(turn->store, ids, 1, row))
		return false;
	if (!row->n)
		request_refuse(request, 404, "message: %s is unknown", id);
	else if (row->state != state)
		request_refuse(request, 409, "message: %s is %s, not %s%s", id, state_name(row->state),
			       state_name(state), instead);
	return true;
}

/* Once everything is placed: what became of it. */
static void message_answer(struct request *request, struct turn *turn)
{
	struct message_request *asked = (struct message_request *)request;

	for (const struct work *work = turn->plan.first; work && request->status == 200; work = work->next)
		if (work->row.n == asked->n) {
			json_decref(request->answer);
			request->answer = json_pack("{s:s, s:s}", "message", work->row.id, "state",
						    state_name(work->row.state));
		}
}

static bool settle_contact(struct turn *turn, struct work *work, enum state state)
{
	struct contact last = {0};
	bool ok = store_get_contacts(turn->store, &work->row.contact, 1, &last);

	if (ok && last.seq) {
		work->ended = xcalloc(1, sizeof *work->ended);
		contact_copy(&last, work->ended);
		work->ended->state = state;
	}
	contact_release(&last);
	return ok;
}

static bool settle_as(struct request *request, struct turn *turn, const char *as,
		      const struct message_row *row)
{
	bool resend = strcmp(as, "resend") == 0, sent = strcmp(as, "sent") == 0;
	struct work *work;

	if (!resend && !sent && strcmp(as, "failed") != 0)
		return request_refuse(request, 422, "as: is neither sent, failed nor resend");
	if (work_of(turn, row->n))
		return request_refuse(request, 409, "message: %s is being dealt with", row->id);
	work = work_add(turn, resend ? WORK_AGAIN : WORK_SETTLED, row);
	work_reason(work, REASON_settled, json_pack("{s:s}", "as", as));
	request->status = 200;
	if (resend) {
		work->row.give_up_at = 0;
		work->row.tries = 0;
		xreplace(&work->row.rejected, ""); /* also where the channel refused it already */
		return true;
	}
	work_set_state(turn, work, sent ? STATE_SENT : STATE_FAILED);
	work->row.due = MOMENT_NEVER;
	if (!settle_contact(turn, work, sent ? STATE_SENT : STATE_REJECTED))
		return false;
	work_event(turn, work, work->row.state, work->ended);
	return true;
}

static bool settle_run(struct request *request, struct turn *turn)
{
	struct message_request *asked = (struct message_request *)request;
	struct message_row row = {0};
	bool ok = find_in_state(request, turn, asked->message, STATE_IN_DOUBT, "; there is nothing to settle",
				&row);

	asked->n = row.n;
	if (ok && !request->status)
		ok = settle_as(request, turn, asked->as, &row);
	message_row_release(&row);
	return ok;
}

static bool retry_run(struct request *request, struct turn *turn)
{
	struct message_request *asked = (struct message_request *)request;
	struct message_row row = {0};
	bool ok = find_in_state(request, turn, asked->message, STATE_FAILED,
				"; only what failed can be tried again", &row);

	asked->n = row.n;
	if (ok && !request->status && work_of(turn, row.n))
		request_refuse(request, 409, "message: %s is being dealt with", row.id);
	if (ok && !request->status) {
		struct work *work = work_add(turn, WORK_AGAIN, &row);
		xreplace(&work->row.rejected, "");
		work->row.tries = 0;
		work->row.give_up_at = 0;
		request->status = 200;
	}
	message_row_release(&row);
	return ok;
}

int request_settle(const struct turn_door *door, const struct asker *asker, const char *message,
		   const char *as, json_t **answer, struct text *problem)
{
	struct message_request asked = {
		.base = {.run = settle_run, .finish = message_answer, .stripes = stripes_of_message},
		.asker = asker,
		.message = message,
		.as = as};

	return request_run(door, &asked.base, answer, problem);
}

int request_retry(const struct turn_door *door, const struct asker *asker, const char *message,
		  json_t **answer, struct text *problem)
{
	struct message_request asked = {
		.base = {.run = retry_run, .finish = message_answer, .stripes = stripes_of_message},
		.asker = asker,
		.message = message};

	return request_run(door, &asked.base, answer, problem);
}
