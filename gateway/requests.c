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

/* Each once: what another gateway took over from this one is both in flight and taken over. */
static void list_message(const char *id, json_t *on_their_way)
{
	json_t *there;
	size_t i;

	json_array_foreach(on_their_way, i, there) if (strcmp(json_string_value(there), id) == 0) return;
	json_array_append_new(on_their_way, json_string(id));
}

static void list_flight(const struct flight *flight, json_t *on_their_way)
{
	list_message(flight->row.id, on_their_way);
	for (size_t i = 0; i < flight->others.count; i++)
		list_message(flight->others.rows[i].id, on_their_way);
}

static void list_flights(struct turn *turn, int64_t customer, const struct touched *touched,
			 json_t *on_their_way)
{
	for (struct flight *flight = turn->flights; flight; flight = flight->next)
		if (!flight->in_turn && flight->state == FLIGHT_ALOFT && flight->row.customer == customer &&
		    touched_has(touched, flight->row.product))
			list_flight(flight, on_their_way);
}

/* In doubt, or `sending` by another gateway or by one that is gone: on its way as far as anybody can say. */
static bool list_doubts(struct turn *turn, int64_t customer, const struct touched *touched,
			json_t *on_their_way)
{
	struct message_rows rows = {0};
	int64_t open_since = turn->now - turn->config->gateway.attempt_open_max;
	bool ok = store_open_of(turn->store, customer, &rows);

	for (size_t i = 0; ok && i < rows.count; i++) {
		const struct message_row *row = &rows.rows[i];
		struct contact last = {0};
		if (!touched_has(touched, row->product))
			continue;
		if (row->state == STATE_SENDING && row->gateway == turn->gateway &&
		    turn->recovered == MOMENT_NEVER && !turn->alone)
			continue; /* a flight of ours: list_flights, or it was called back */
		ok = store_get_contacts(turn->store, &row->contact, 1, &last);
		if (ok && last.at >= open_since)
			list_message(row->id, on_their_way);
		contact_release(&last);
	}
	message_rows_release(&rows);
	return ok;
}

/* Taken over from a gateway that has not reported since. */
static bool list_taken_over(struct turn *turn, int64_t customer, const struct touched *touched,
			    json_t *on_their_way)
{
	struct message_rows rows = {0};
	bool ok = store_taken_over_of(turn->store, customer, turn->now, &rows);

	for (size_t i = 0; ok && i < rows.count; i++)
		if (touched_has(touched, rows.rows[i].product))
			list_message(rows.rows[i].id, on_their_way);
	message_rows_release(&rows);
	return ok;
}

static bool reconsider_waiting(struct turn *turn, int64_t customer, const struct touched *touched)
{
	struct message_rows rows = {0};
	bool ok = store_waiting_of(turn->store, customer, &rows);

	for (size_t i = 0; ok && i < rows.count && i < TURN_RECONSIDER_MAX; i++) {
		if (!touched_has(touched, rows.rows[i].product) || work_of(turn, rows.rows[i].n))
			continue;
		work_add(turn, WORK_RECONSIDER, &rows.rows[i]);
		turn->plan.waiting_touched = true;
	}
	message_rows_release(&rows);
	return ok;
}

/* What this very turn finds to be in doubt, which the store does not say yet. */
static void list_new_doubts(struct turn *turn, int64_t customer, const struct touched *touched,
			    json_t *on_their_way)
{
	for (const struct work *work = turn->plan.first; work; work = work->next)
		if (work->was == STATE_SENDING && work->row.state == STATE_IN_DOUBT &&
		    work->row.customer == customer && touched_has(touched, work->row.product))
			list_message(work->row.id, on_their_way);
}

bool change_binds(struct turn *turn, int64_t customer, const struct touched *touched, json_t *on_their_way)
{
	flights_call_back(turn, customer, touched);
	list_flights(turn, customer, touched, on_their_way);
	list_new_doubts(turn, customer, touched, on_their_way);
	return list_doubts(turn, customer, touched, on_their_way) &&
	       list_taken_over(turn, customer, touched, on_their_way) &&
	       reconsider_waiting(turn, customer, touched);
}
