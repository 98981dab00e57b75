#include "requests_private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

int request_run(const struct turn_door *door, struct request *request, json_t **answer, struct text *problem)
{
	text_init(&request->problem, TEXT_ERROR_MAX);
	request->deadline = moment_mono() + REQUEST_BINDING_MAX;
	if (door->alone)
		turn_run_alone(door->turn, request);
	else
		turn_call(door->turn, request);
	if (request->status >= 400) {
		text_error(problem, "%s", request->problem.data);
		json_decref(request->answer); /* of a run that was taken back */
		request->answer = NULL;
	}
	text_release(&request->problem);
	if (answer)
		*answer = request->answer;
	else
		json_decref(request->answer);
	return request->status;
}

void stripes_of_message(struct request *request, struct turn *turn)
{
	(void)request;
	(void)turn;
}

bool request_refuse(struct request *request, int status, const char *format, ...)
{
	va_list args;

	request->status = status;
	text_clear(&request->problem);
	va_start(args, format);
	text_vaddf(&request->problem, format, args);
	va_end(args);
	return true;
}

/* --- making a change binding --- */

json_t *way_list(const json_t *on_their_way)
{
	json_t *list = json_array(), *unused;
	const char *id;

	json_object_foreach((json_t *)on_their_way, id, unused) json_array_append_new(list, json_string(id));
	return list;
}

static void way_add(json_t *on_their_way, const char *id)
{
	json_object_set_new(on_their_way, id, json_null());
}

static void list_flights(struct turn *turn, int64_t customer, const struct touched *touched,
			 json_t *on_their_way)
{
	for (struct flight *flight = turn->flights; flight; flight = flight->next) {
		if (flight->in_turn || flight->state != FLIGHT_ALOFT || flight->row.customer != customer ||
		    !touched_has(touched, flight->row.product))
			continue;
		way_add(on_their_way, flight->row.id);
		for (size_t i = 0; i < flight->others.count; i++)
			way_add(on_their_way, flight->others.rows[i].id);
	}
}

/* What this very turn finds to be in doubt, which the store does not say yet. */
static void list_new_doubts(struct turn *turn, int64_t customer, const struct touched *touched,
			    json_t *on_their_way)
{
	for (const struct work *work = turn->plan.first; work; work = work->next)
		if (work->was == STATE_SENDING && work->row.state == STATE_IN_DOUBT &&
		    work->row.customer == customer && touched_has(touched, work->row.product))
			way_add(on_their_way, work->row.id);
}

/* `sending` by another gateway, by somebody who is gone, or by the gateway where we only read beside it. */
static bool list_left_behind(struct turn *turn, int64_t customer, const struct touched *touched,
			     json_t *on_their_way)
{
	struct message_rows rows = {0};

	bool at_work = turn->recovered == MOMENT_NEVER && !turn->alone;
	if (at_work && store_is_alone(turn->store))
		return true; /* all that is sending is a flight of ours */
	bool ok = store_open_of(turn->store, customer, &rows);
	for (size_t i = 0; ok && i < rows.count; i++)
		if (rows.rows[i].state == STATE_SENDING &&
		    !(at_work && rows.rows[i].gateway == turn->gateway) &&
		    touched_has(touched, rows.rows[i].product))
			way_add(on_their_way, rows.rows[i].id);
	message_rows_release(&rows);
	return ok;
}

static bool list_doubt(struct turn *turn, const struct contact *contact, json_t *on_their_way)
{
	size_t count = contact->several_count ? contact->several_count : 1;
	const int64_t *messages = contact->several_count ? contact->several : &contact->message;
	struct message_row *rows = xcalloc(count, sizeof *rows);
	bool ok = store_get_messages(turn->store, messages, count, rows);

	for (size_t i = 0; i < count; i++) {
		if (ok && rows[i].n)
			way_add(on_their_way, rows[i].id);
		message_row_release(&rows[i]);
	}
	free(rows);
	return ok;
}

/* An attempt in doubt is on its way as far as anybody can say, whatever became of its message since. */
static bool list_doubts(struct turn *turn, int64_t customer, const struct touched *touched,
			json_t *on_their_way)
{
	struct contact *doubts = NULL;
	size_t count = 0;
	bool ok = store_doubts_of(turn->store, customer, turn->now - turn->config->gateway.attempt_open_max,
				  &doubts, &count);

	for (size_t i = 0; i < count; i++) {
		if (ok && touched_has(touched, doubts[i].product))
			ok = list_doubt(turn, &doubts[i], on_their_way);
		contact_release(&doubts[i]);
	}
	free(doubts);
	return ok;
}

static bool is_touched(const struct message_row *row, const void *touched)
{
	return touched_has(touched, row->product);
}

bool change_binds(struct turn *turn, int64_t customer, const struct touched *touched, json_t *on_their_way)
{
	flights_call_back(turn, customer, touched);
	list_flights(turn, customer, touched, on_their_way);
	list_new_doubts(turn, customer, touched, on_their_way);
	return list_left_behind(turn, customer, touched, on_their_way) &&
	       list_doubts(turn, customer, touched, on_their_way) &&
	       again_look(turn, customer, is_touched, touched, NULL);
}
