/* Several choices in one commit: all preferences of a customer, and "stop everything". */
#include <stdlib.h>
#include <string.h>

#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

#define CHOICES_MAX 1000 /* preferences in one request */

struct choices_request {
	struct request base;
	const struct asker *asker;
	const char *customer;
	const json_t *json; /* the list; of stop_all: given_at, source, evidence */
	bool merge;
};

/* What the turn's thread works with. */
struct writing {
	struct request *request;
	struct turn *turn;
	const struct choices_request *asked;
	struct customer *customer;
	const char **products; /* that were changed; borrowed */
	size_t count;
	struct preference *before; /* of "stop everything" */
	size_t before_count;
	json_t *kept, *not_stopped;
};

static void changes(struct writing *w, const char *product)
{
	w->products = xreallocarray(w->products, w->count + 1, sizeof *w->products);
	w->products[w->count++] = product;
}

static bool is_among(const struct writing *w, const char *product)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->products[i], product) == 0)
			return true;
	return false;
}

/* False: the store failed. */
static bool write_list(struct writing *w)
{
	const json_t *item;
	size_t i;
	bool ok = true;

	json_array_foreach((json_t *)w->asked->json, i, item)
	{
		const char *product = json_string_value(json_object_get(item, "product"));
		if (!product || is_among(w, product))
			return request_refuse(w->request, 422, "preferences[%zu].product: %s", i,
					      product ? "stands there twice"
						      : "is missing; it is required, a string");
		changes(w, product);
		ok = preference_write(w->request, w->turn, w->asked->asker, w->customer, product, item,
				      w->asked->merge, w->kept);
		if (ok && w->request->status) {
			char *why = xstrdup(w->request->problem.data);
			request_refuse(w->request, w->request->status == 404 ? 422 : w->request->status,
				       "preferences[%zu].%s", i, why);
			free(why);
		}
		if (!ok || w->request->status)
			break;
	}
	return ok;
}

static bool stop_one(struct writing *w, const char *product)
{
	changes(w, product);
	return preference_stop(w->request, w->turn, w->asked->asker, w->customer, product, w->asked->json);
}

/* False: the store failed. */
static bool write_stops(struct writing *w)
{
	bool ok = store_get_preferences(w->turn->store, w->customer->n, &w->before, &w->before_count) &&
		  stop_one(w, "*");

	for (size_t i = 0; ok && !w->request->status && i < w->before_count; i++) {
		const struct preference *chosen = &w->before[i];
		const struct product *product = product_find(w->turn->config->products, chosen->product);
		if (strcmp(chosen->product, "*") == 0 || !chosen->has_channels)
			continue;
		if (product && !product->may_stop)
			json_array_append_new(w->not_stopped, json_string(product->name));
		else
			ok = stop_one(w, chosen->product);
	}
	return ok;
}

/* Binds what was written, and answers. False: the store failed. */
static bool make_binding(struct writing *w)
{
	struct preference *all = NULL;
	json_t *on_their_way = json_object(), *list = json_array();
	size_t count = 0;
	bool ok = store_get_preferences(w->turn->store, w->customer->n, &all, &count);
	const struct touched touched = {
		.products = w->products, .product_count = w->count, .preferences = all, .count = count};

	ok = ok && (!w->count || change_binds(w->turn, w->customer->n, &touched, on_their_way));
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, preference_to_json(&all[i]));
	w->request->answer =
		json_pack("{s:O, s:o}", "preferences", list, "on_their_way", way_list(on_their_way));
	if (json_array_size(w->kept))
		json_object_set(w->request->answer, "kept", w->kept);
	if (w->not_stopped)
		json_object_set(w->request->answer, "not_stopped", w->not_stopped);
	w->request->status = 200;
	preferences_free(all, count);
	json_decref(on_their_way);
	json_decref(list);
	return ok;
}

/* All or none: the transaction is shared with others, so it stands behind a save point. */
static bool write_all(struct writing *w, bool (*write)(struct writing *w))
{
	size_t events = w->turn->plan.events.count;

	if (!store_save_point(w->turn->store) || !write(w))
		return false;
	bool keep = !w->request->status;
	if (keep && !make_binding(w))
		return false;
	if (!keep)
		events_forget(w->turn, events);
	return store_end_point(w->turn->store, keep);
}

static bool choices_run(struct request *request, struct turn *turn, bool (*write)(struct writing *w),
			bool stops)
{
	const struct choices_request *asked = (struct choices_request *)request;
	struct writing w = {.request = request, .turn = turn, .asked = asked, .kept = json_array()};
	bool ok = store_get_customer(turn->store, asked->customer, &w.customer);

	w.not_stopped = stops ? json_array() : NULL;
	if (ok && (!w.customer || w.customer->erased_at))
		request_refuse(request, 404, "customer %s: there is no customer with this id",
			       asked->customer);
	else if (ok)
		ok = write_all(&w, write);
	customer_free(w.customer);
	preferences_free(w.before, w.before_count);
	free(w.products);
	json_decref(w.kept);
	json_decref(w.not_stopped);
	return ok;
}

static bool preferences_run(struct request *request, struct turn *turn)
{
	const json_t *list = ((struct choices_request *)request)->json;

	if (!json_is_array(list) || json_array_size(list) > CHOICES_MAX)
		return request_refuse(request, 422, "preferences: must be an array of at most %d objects",
				      CHOICES_MAX);
	return choices_run(request, turn, write_list, false);
}

static void choices_stripes(struct request *request, struct turn *turn)
{
	stripe_change(turn, ((struct choices_request *)request)->customer);
}

int request_preferences(const struct turn_door *door, const struct asker *asker, const char *customer,
			const json_t *preferences, bool merge, json_t **answer, struct text *problem)
{
	struct choices_request request = {.base = {.run = preferences_run, .stripes = choices_stripes},
					  .asker = asker,
					  .customer = customer,
					  .json = preferences,
					  .merge = merge};

	return request_run(door, &request.base, answer, problem);
}

static bool stop_all_run(struct request *request, struct turn *turn)
{
	return choices_run(request, turn, write_stops, true);
}

int request_stop_all(const struct turn_door *door, const struct asker *asker, const char *customer,
		     const json_t *how, json_t **answer, struct text *problem)
{
	struct choices_request request = {.base = {.run = stop_all_run, .stripes = choices_stripes},
					  .asker = asker,
					  .customer = customer,
					  .json = how};

	return request_run(door, &request.base, answer, problem);
}
