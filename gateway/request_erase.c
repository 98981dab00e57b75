/* Erasing a customer, and pruning: the first commit binds, and the turns that follow do the rest while we
 * wait. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "erase.h"
#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

#define LOOK_EVERY_MS 10

/* --- waiting for what goes on in slices --- */

struct look {
	struct request base;
	bool (*finished)(const struct turn *turn);
	void (*fill)(const struct turn *turn, json_t *answer); /* NULL */
};

static bool look_run(struct request *request, struct turn *turn)
{
	const struct look *look = (struct look *)request;
	bool finished = look->finished(turn);

	request->answer = json_pack("{s:b}", "finished", finished);
	if (look->fill)
		look->fill(turn, request->answer);
	request->status = 200;
	return true;
}

/* Takes over `finished` and what `fill` gave into the answer; false there when REQUEST_SLICES_MAX is over. */
static int wait_finished(const struct turn_door *door, bool (*finished)(const struct turn *turn),
			 void (*fill)(const struct turn *turn, json_t *answer), json_t *answer,
			 struct text *problem)
{
	static const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
	int64_t until = moment_mono() + REQUEST_SLICES_MAX;

	for (;;) {
		struct look look = {.base = {.run = look_run}, .finished = finished, .fill = fill};
		json_t *seen = NULL;
		int status = request_run(door, &look.base, &seen, problem);
		bool done = status >= 400 || json_is_true(json_object_get(seen, "finished"));
		if (seen)
			json_object_update(answer, seen);
		json_decref(seen);
		if (done || moment_mono() > until)
			return status;
		nanosleep(&pause, NULL);
	}
}

/* Takes what was said. */
static int give(int status, json_t *said, json_t **answer)
{
	if (answer && status < 400)
		*answer = said;
	else
		json_decref(said);
	return status;
}

/* --- erasing --- */

struct erase_request {
	struct request base;
	const struct asker *asker;
	const char *customer;
};

/* What this turn and the channels have of it goes by its one-way name from now on. */
static void rename_here(struct turn *turn, int64_t customer, const char *id, const char *name)
{
	for (struct flight *flight = turn->flights; flight; flight = flight->next) {
		if (flight->row.customer != customer)
			continue;
		flight->erased = true;
		message_row_rename(&flight->row, name);
		for (size_t i = 0; i < flight->others.count; i++)
			message_row_rename(&flight->others.rows[i], name);
	}
	for (struct work *work = turn->plan.first; work; work = work->next)
		if (work->row.customer == customer)
			message_row_rename(&work->row, name);
	for (size_t i = 0; i < turn->plan.events.count; i++) {
		struct event_row *event = turn->plan.events.list[i];
		char *left = erased_event(store_erasure_key(turn->store), id, event->json);
		if (left) {
			free(event->json);
			event->json = left;
		}
	}
}

static bool append_erasure(struct turn *turn, const struct asker *asker, const struct customer *customer,
			   const char *name)
{
	struct change change = {.kind = CHANGE_CUSTOMER,
				.at = turn->now,
				.given_at = turn->now,
				.customer = customer->n,
				.subject = (char *)name,
				.by = (char *)asker->by,
				.actor = (char *)asker->actor,
				.source = (char *)"",
				.evidence = (char *)"",
				.old_value = (char *)"",
				.new_value = (char *)"{\"erased\":true}"};

	return store_append_changes(turn->store, (struct change *const[]){&change}, 1);
}

/* One who was erased before under this id, and came back since, makes room. */
static bool make_room(struct turn *turn, const char *id, const char *name)
{
	struct customer *before = NULL;
	bool ok = erased_find(turn, id, &before);

	if (ok && before) {
		char *other = xasprintf("%s:%lld", name, (long long)before->n);
		ok = store_erase_customer(turn->store, before->n, other, before->erased_at);
		free(other);
	}
	customer_free(before);
	return ok;
}

/* Not there: it was erased before, or never was. */
static bool erased_before(struct request *request, struct turn *turn, const char *id)
{
	struct customer *before = NULL;
	bool ok = erased_find(turn, id, &before);

	if (before) {
		request->status = 200;
		request->answer = json_pack("{s:s, s:[]}", "erased", before->id, "on_their_way");
	} else if (ok) {
		request_refuse(request, 404, "customer %s: there is no customer with this id", id);
	}
	customer_free(before);
	return ok;
}

static bool erase_run(struct request *request, struct turn *turn)
{
	struct erase_request *asked = (struct erase_request *)request;
	const struct touched all = {0};
	json_t *on_their_way = json_object();
	struct customer *customer = NULL;
	char name[ERASED_NAME_SIZE];
	bool ok = store_get_customer(turn->store, asked->customer, &customer);

	erased_customer(store_erasure_key(turn->store), asked->customer, name);
	if (ok && (!customer || customer->erased_at)) {
		ok = erased_before(request, turn, asked->customer);
	} else if (ok) {
		rename_here(turn, customer->n, asked->customer, name);
		ok = make_room(turn, asked->customer, name) &&
		     append_erasure(turn, asked->asker, customer, name) &&
		     store_erase_customer(turn->store, customer->n, name, turn->now) &&
		     change_binds(turn, customer->n, &all, on_their_way);
		request->status = 200;
		request->answer =
			json_pack("{s:s, s:o}", "erased", name, "on_their_way", way_list(on_their_way));
		turn->erasing.pending = true;
		turn->erasing.not_before = 0;
	}
	json_decref(on_their_way);
	customer_free(customer);
	return ok;
}

int request_erase(const struct turn_door *door, const struct asker *asker, const char *customer,
		  json_t **answer, struct text *problem)
{
	struct erase_request request = {.base = {.run = erase_run}, .asker = asker, .customer = customer};
	json_t *said = NULL;
	int status = request_run(door, &request.base, &said, problem);

	if (status == 200)
		status = wait_finished(door, erasures_finished, NULL, said, problem);
	return give(status, said, answer);
}

/* --- pruning --- */

static bool prune_run(struct request *request, struct turn *turn)
{
	prune_start(turn);
	request->answer = json_object();
	request->status = 200;
	return true;
}

static bool prune_finished(const struct turn *turn)
{
	return !turn->prune.running && erasures_finished(turn);
}

static void prune_fill(const struct turn *turn, json_t *answer)
{
	const struct pruned *done = &turn->prune.done;

	json_object_set_new(answer, "contacts", json_integer(done->contacts));
	json_object_set_new(answer, "messages", json_integer(done->messages));
	json_object_set_new(answer, "contents", json_integer(done->contents));
}

int request_prune(const struct turn_door *door, json_t **answer, struct text *problem)
{
	struct request request = {.run = prune_run};
	json_t *said = NULL;
	int status = request_run(door, &request, &said, problem);

	if (status == 200)
		status = wait_finished(door, prune_finished, prune_fill, said, problem);
	return give(status, said, answer);
}
