/* What an operator stops, lets go on, and takes back. */
#include <stdlib.h>
#include <string.h>

#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

#define ON_THEIR_WAY_MAX 1000 /* ids in an answer; the count is of all */
#define ROWS_AT_ONCE 500

struct hold_request {
	struct request base;
	const struct asker *asker;
	enum hold_kind kind;
	const char *name;
	const char *why;
};

/* --- what is named --- */

static bool is_provider(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->channel_count; i++) {
		const struct channel_config *channel = &config->channels[i];
		if (*name && strcmp(channel->provider, name) == 0)
			return true;
		for (size_t o = 0; o < channel->other_count; o++)
			if (strcmp(channel->others[o].provider, name) == 0)
				return true;
	}
	return false;
}

/* A wrong name would hold nothing, and nobody would see it. False: refused. */
static bool name_fits(struct request *request, const struct config *config, enum hold_kind kind,
		      const char *name)
{
	enum lane lane;
	bool known = *name && strlen(name) <= HOLD_NAME_MAX;

	if (!known)
		request_refuse(request, 422, "%s: a name of at most %d bytes is wanted", hold_kind_name(kind),
			       HOLD_NAME_MAX);
	else if (kind == HOLD_CHANNEL && !config_channel(config, name))
		request_refuse(request, 422, "channel: %s is not in the configuration", name);
	else if (kind == HOLD_PROVIDER && !is_provider(config, name))
		request_refuse(request, 422, "provider: no channel has %s", name);
	else if (kind == HOLD_PRODUCT && !product_find(config->products, name))
		request_refuse(request, 422, "product: %s is not in the products file", name);
	else if (kind == HOLD_LANE && !lane_parse(name, &lane))
		request_refuse(request, 422, "lane: %s is not urgent, normal or bulk", name);
	return request->status == 0;
}

static bool why_fits(struct request *request, enum hold_kind kind, const char *why)
{
	if (kind != HOLD_CANCEL && !*why)
		request_refuse(request, 422, "why: say why, for those who ask later");
	else if (strlen(why) > HOLD_WHY_MAX)
		request_refuse(request, 422, "why: is longer than %d bytes", HOLD_WHY_MAX);
	return request->status == 0;
}

/* --- what is on its way --- */

static bool row_in_the_air(const struct hold_request *asked, const struct message_row *row,
			   const char *channel, const char *provider)
{
	switch (asked->kind) {
	case HOLD_CHANNEL:
		return strcmp(channel, asked->name) == 0;
	case HOLD_PROVIDER:
		return strcmp(provider, asked->name) == 0;
	case HOLD_PRODUCT:
		return product_is_within(row->product, asked->name);
	case HOLD_LANE:
		return strcmp(lane_name(row->lane), asked->name) == 0;
	case HOLD_CAMPAIGN:
	case HOLD_CANCEL:
	default:
		return strcmp(row->campaign, asked->name) == 0;
	}
}

/* Does what is asked stop it, or one of a digest? */
static bool in_the_air(const struct flight *flight, const void *context)
{
	const struct contact *contact = &flight->contact;
	bool stops = row_in_the_air(context, &flight->row, contact->channel, contact->provider);

	for (size_t i = 0; !stops && i < flight->others.count; i++)
		stops = row_in_the_air(context, &flight->others.rows[i], contact->channel, contact->provider);
	return stops;
}

struct on_way {
	json_t *ids;
	json_int_t count;
};

static void add_on_way(struct on_way *way, const struct message_row *row)
{
	if (way->count++ < ON_THEIR_WAY_MAX)
		json_array_append_new(way->ids, json_string(row->id));
}

/* Of another gateway, or of one that is gone. False: the store failed. */
static bool left_behind(struct turn *turn, const struct hold_request *asked, struct on_way *way)
{
	struct message_rows rows = {0};
	bool at_work = turn->recovered == MOMENT_NEVER && !turn->alone, ok = true;
	bool more = !at_work || !store_is_alone(turn->store);

	for (int64_t after = 0; ok && more; message_rows_release(&rows)) {
		ok = store_abandoned(turn->store, GATEWAY_ANY, turn->now, turn->now, after, ROWS_AT_ONCE,
				     &rows);
		for (size_t i = 0; ok && i < rows.count; i++)
			if (!(at_work && rows.rows[i].gateway == turn->gateway) &&
			    row_in_the_air(asked, &rows.rows[i], rows.rows[i].channel, "") &&
			    !work_of(turn, rows.rows[i].n))
				add_on_way(way, &rows.rows[i]);
		more = rows.count == ROWS_AT_ONCE;
		after = more ? rows.rows[rows.count - 1].n : after;
	}
	return ok;
}

/* Calls back what has not begun, and names the rest. */
static bool call_back(struct turn *turn, const struct hold_request *asked, json_t *answer)
{
	struct on_way way = {.ids = json_array()};

	flights_call_back_if(turn, in_the_air, asked);
	for (struct flight *flight = turn->flights; flight; flight = flight->next) {
		if (flight->in_turn || flight->state != FLIGHT_ALOFT || !in_the_air(flight, asked))
			continue;
		add_on_way(&way, &flight->row);
		for (size_t i = 0; i < flight->others.count; i++)
			add_on_way(&way, &flight->others.rows[i]);
	}
	bool ok = left_behind(turn, asked, &way);
	json_object_set_new(answer, "on_their_way", way.ids);
	json_object_set_new(answer, "on_their_way_count", json_integer(way.count));
	return ok;
}

/* --- hold, release --- */

static bool log_change(struct turn *turn, const struct hold_request *asked, const json_t *old,
		       const json_t *new, int64_t *seq)
{
	char *subject = xasprintf("%s:%s", hold_kind_name(asked->kind), asked->name);
	json_t *evidence = json_pack("{s:s}", "why", asked->why);
	struct change change = {.kind = CHANGE_HOLD,
				.at = turn->now,
				.given_at = turn->now,
				.subject = subject,
				.by = (char *)asked->asker->by,
				.actor = (char *)asked->asker->actor,
				.source = (char *)"",
				.evidence = json_dumps(evidence, JSON_COMPACT),
				.old_value = old ? json_dumps(old, JSON_COMPACT) : xstrdup(""),
				.new_value = new ? json_dumps(new, JSON_COMPACT) : xstrdup("null")};
	struct change *const changes[] = {&change};
	bool ok = store_append_changes(turn->store, changes, 1);

	*seq = change.seq;
	free(change.evidence);
	free(change.old_value);
	free(change.new_value);
	free(subject);
	json_decref(evidence);
	return ok;
}

/* From now on the turn goes by what the store says. */
static bool holds_changed(struct turn *turn)
{
	turn->holds_known = false;
	return holds_load(turn);
}

static bool hold_run(struct request *request, struct turn *turn)
{
	struct hold_request *asked = (struct hold_request *)request;
	const struct hold *old = holds_find(turn, asked->kind, asked->name);
	struct hold hold = {.kind = asked->kind,
			    .name = (char *)asked->name,
			    .why = (char *)asked->why,
			    .by = (char *)asked->asker->by,
			    .actor = (char *)asked->asker->actor,
			    .at = turn->now};

	if (!name_fits(request, turn->config, asked->kind, asked->name) ||
	    !why_fits(request, asked->kind, asked->why))
		return true;
	if (!old && turn->hold_count >= HOLDS_MAX)
		return request_refuse(request, 409, "holds: there are %d, the most that may stand at a time",
				      HOLDS_MAX);
	json_t *before = old ? hold_to_json(old) : NULL;
	request->answer = hold_to_json(&hold);
	request->status = 200;
	bool ok = log_change(turn, asked, before, request->answer, &hold.seq) &&
		  store_put_hold(turn->store, &hold) && holds_changed(turn) &&
		  call_back(turn, asked, request->answer);
	json_decref(before);
	return ok;
}

static bool release_one(struct hold_request *asked, struct turn *turn, enum hold_kind kind, json_t *released)
{
	const struct hold *hold = holds_find(turn, kind, asked->name);
	int64_t seq;

	if (!hold)
		return true;
	asked->kind = kind;
	json_t *before = hold_to_json(hold);
	bool ok = log_change(turn, asked, before, NULL, &seq) &&
		  store_drop_hold(turn->store, kind, asked->name);
	json_array_append_new(released, before);
	return ok;
}

static bool release_run(struct request *request, struct turn *turn)
{
	struct hold_request *asked = (struct hold_request *)request;
	const enum hold_kind kind = asked->kind;
	json_t *released = json_array();

	request->answer = json_pack("{s:o}", "released", released);
	/* what comes of the campaign from now on is sent again, held or cancelled before */
	bool ok = release_one(asked, turn, kind, released) &&
		  (kind != HOLD_CAMPAIGN || release_one(asked, turn, HOLD_CANCEL, released));
	asked->kind = kind;
	if (ok && !json_array_size(released))
		return request_refuse(request, 404, "%s: %s is not held", hold_kind_name(kind), asked->name);
	request->status = 200;
	return ok && holds_changed(turn);
}

int request_hold(const struct turn_door *door, const struct asker *asker, enum hold_kind kind,
		 const char *name, const char *why, json_t **answer, struct text *problem)
{
	struct hold_request asked = {
		.base = {.run = hold_run}, .asker = asker, .kind = kind, .name = name, .why = why};

	return request_run(door, &asked.base, answer, problem);
}

int request_release(const struct turn_door *door, const struct asker *asker, enum hold_kind kind,
		    const char *name, const char *why, json_t **answer, struct text *problem)
{
	struct hold_request asked = {
		.base = {.run = release_run}, .asker = asker, .kind = kind, .name = name, .why = why};

	return request_run(door, &asked.base, answer, problem);
}

/* --- one message --- */

struct cancel_request {
	struct request base;
	const struct asker *asker;
	const char *message, *why;
};

/* It is `sending`: only before the channel has begun can it be taken back. Its works; NULL: too late. */
static struct work *take_back(struct turn *turn, int64_t n)
{
	for (struct flight *flight = turn->flights; flight; flight = flight->next)
		if (flight_has(flight, n))
			return flight_call_back(turn, flight);
	return NULL;
}

static bool cancel_row(struct cancel_request *asked, struct turn *turn, const struct message_row *row)
{
	struct request *request = &asked->base;
	const struct asker *asker = asked->asker;
	const bool waits = row->state == STATE_QUEUED || row->state == STATE_DEFERRED;
	struct work *work = NULL;

	if (row->state == STATE_CANCELLED) {
		request->status = 200;
		request->answer = json_pack("{s:s, s:s}", "message", row->id, "state", "cancelled");
		return true;
	}
	if (work_of(turn, row->n))
		return request_refuse(request, 409, "message: %s is being dealt with; try again", row->id);
	if (waits) {
		work = work_add(turn, WORK_SETTLED, row);
	} else if (row->state == STATE_SENDING) {
		work = take_back(turn, row->n);
		while (work && work->row.n != row->n) /* of a digest: the others are chosen again */
			work = work->next;
		if (!work)
			return request_refuse(request, 409, "message: %s is on its way", row->id);
		work->why = WORK_SETTLED;
	} else {
		return request_refuse(request, 409, "message: %s is %s; only what waits can be taken back",
				      row->id, state_name(row->state));
	}
	bool ok = work_cancel(turn, work, *asker->actor ? asker->actor : asker->by, asked->why);
	request->status = 200;
	request->answer = json_pack("{s:s, s:s}", "message", row->id, "state", state_name(work->row.state));
	return ok;
}

static bool cancel_run(struct request *request, struct turn *turn)
{
	struct cancel_request *asked = (struct cancel_request *)request;
	struct message_row row = {0};

	if (!why_fits(request, HOLD_CANCEL, asked->why))
		return true;
	bool ok = store_find_messages(turn->store, &asked->message, 1, &row);
	if (ok && !row.n)
		request_refuse(request, 404, "message: %s is unknown, or was not admitted yet",
			       asked->message);
	else if (ok)
		ok = cancel_row(asked, turn, &row);
	message_row_release(&row);
	return ok;
}

int request_cancel(const struct turn_door *door, const struct asker *asker, const char *message,
		   const char *why, json_t **answer, struct text *problem)
{
	struct cancel_request asked = {.base = {.run = cancel_run, .stripes = stripes_of_message},
				       .asker = asker,
				       .message = message,
				       .why = why};

	return request_run(door, &asked.base, answer, problem);
}
