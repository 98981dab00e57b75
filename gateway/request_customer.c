/* Customers: put, merged, imported, with the preferences that come along. */
#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

struct put {
	struct request base;
	const struct asker *asker;
	const char *id; /* NULL in an import: each has its own */
	const json_t *json;
	bool merge;
};

struct address_form customer_address_form(const void *context, const char *channel, bool *known)
{
	const struct channel_config *config = config_channel(context, channel);

	*known = config != NULL;
	return config ? channel_addresses(config) : (struct address_form){.kind = ADDRESS_TEXT};
}

struct change customer_change(const struct turn *turn, const struct asker *asker, const struct customer *old,
			      const struct customer *new, const char *facts)
{
	return (struct change){.kind = CHANGE_CUSTOMER,
			       .at = turn->now,
			       .given_at = turn->now,
			       .customer = new->n,
			       .subject = new->id,
			       .by = (char *)asker->by,
			       .actor = (char *)asker->actor,
			       .source = (char *)(asker->source ? asker->source : ""),
			       .evidence = asker->evidence ? json_dumps(asker->evidence, JSON_COMPACT)
							   : xstrdup(""),
			       .old_value = old ? customer_to_text(old) : xstrdup(""),
			       .new_value = facts ? xstrdup(facts) : customer_to_text(new)};
}

static bool append_facts(struct turn *turn, const struct asker *asker, const struct customer *old,
			 struct customer *new)
{
	struct change change = customer_change(turn, asker, old, new, NULL);
	bool ok = store_append_changes(turn->store, (struct change *const[]){&change}, 1);

	new->seq = change.seq;
	change_drop_texts(&change);
	return ok;
}

bool customer_revive(struct turn *turn, const struct asker *asker, const struct customer *customer,
		     const struct address *address)
{
	struct change change = {.kind = CHANGE_ADDRESS,
				.at = turn->now,
				.given_at = turn->now,
				.customer = customer->n,
				.address = address->n,
				.subject = address->channel,
				.by = (char *)asker->by,
				.actor = (char *)asker->actor,
				.source = (char *)"",
				.evidence = (char *)"",
				.old_value = (char *)"\"dead\"",
				.new_value = (char *)"\"ok\""};
	struct change *const changes[] = {&change};

	return store_append_changes(turn->store, changes, 1) &&
	       store_set_address_state(turn->store, address->n, ADDRESS_OK, change.seq);
}

static bool same_facts(const struct customer *a, const struct customer *b)
{
	json_t *left = customer_to_json(a, true), *right = customer_to_json(b, true);

	json_object_del(left, "states");
	json_object_del(right, "states");
	bool same = json_equal(left, right);
	json_decref(left);
	json_decref(right);
	return same;
}

/* Writes the facts; *changed says whether anything did. */
static bool write_facts(struct turn *turn, const struct asker *asker, const struct customer *old,
			struct customer *new, bool *changed)
{
	bool *written = xcalloc(new->address_count, sizeof *written);

	for (size_t i = 0; i < new->address_count; i++)
		written[i] = new->addresses[i].n == 0 && /* read just now, not kept by a merge */
			     (!asker->written || strcmp(new->addresses[i].value, asker->written) == 0);
	*changed = !old || !same_facts(old, new);
	new->n = old ? old->n : 0;
	new->seq = old ? old->seq : 0;
	/* the log wants the row's number, the row wants the log's */
	bool ok = store_put_customer(turn->store, new);
	if (ok && *changed)
		ok = append_facts(turn, asker, old, new) &&
		     store_stamp_customer(turn->store, new->n, new->seq);
	for (size_t i = 0; ok && i < new->address_count; i++)
		if (written[i] && new->addresses[i].state == ADDRESS_DEAD) {
			ok = customer_revive(turn, asker, new, &new->addresses[i]);
			*changed = true;
		}
	free(written);
	return ok;
}

bool customer_says_nothing(const struct turn *turn, const json_t *preference)
{
	const char *product = json_string_value(json_object_get(preference, "product"));

	return product && json_object_size(preference) == 2 &&
	       json_is_null(json_object_get(preference, "channels")) &&
	       (strcmp(product, "*") == 0 || product_find(turn->config->products, product));
}

/* Somebody new in an import: a column has a cell for everybody, and most say nothing. */
static bool says_anything(const struct turn *turn, const struct put *put, const struct customer *old,
			  const json_t *item)
{
	return old || put->id || strcmp(put->asker->by, "import") != 0 || !customer_says_nothing(turn, item);
}

/* Could a preference still be refused? */
static bool any_says(const struct turn *turn, const struct put *put, const struct customer *old,
		     const json_t *json)
{
	const json_t *list = json_object_get(json, "preferences"), *item;
	bool any = list && !json_is_array(list) && !json_is_null(list);
	size_t i;

	json_array_foreach((json_t *)list, i, item) any = any || says_anything(turn, put, old, item);
	return any;
}

static bool write_preferences(struct request *request, struct turn *turn, const struct put *put,
			      const struct customer *old, const struct customer *customer, const json_t *json,
			      json_t *kept, bool *changed)
{
	const json_t *list = json_object_get(json, "preferences");
	json_t *item;
	size_t i;

	if (!list || json_is_null(list))
		return true;
	if (!json_is_array(list))
		return request_refuse(request, 422, "preferences: must be an array of objects");
	json_array_foreach((json_t *)list, i, item)
	{
		const char *product = json_string_value(json_object_get(item, "product"));
		if (!says_anything(turn, put, old, item))
			continue;
		if (!product)
			return request_refuse(
				request, 422,
				"preferences[%zu].product: is missing; it is required, a string", i);
		if (!preference_write(request, turn, put->asker, customer, product, item, put->merge, kept))
			return false;
		if (request->status) {
			char *why = xstrdup(request->problem.data);
			request_refuse(request, request->status == 404 ? 422 : request->status,
				       "preferences[%zu].%s", i, why);
			free(why);
			return true;
		}
		*changed = true;
	}
	return true;
}

/* One who was erased, or an address that was, comes back only where that is asked for; the address with the
 * state that it had. *refused: said in the request. False: the store failed. */
static bool recreate(struct request *request, struct turn *turn, const struct put *put, const char *id,
		     const struct customer *old, const struct customer *new, bool *refused)
{
	static const char asks[] = "?recreate=true (--recreate) brings it back";
	const char *key = store_erasure_key(turn->store);
	struct customer *erased = NULL;
	char name[ERASED_NAME_SIZE];
	bool ok = old || erased_find(turn, id, &erased);

	if (erased && !put->asker->recreate)
		request_refuse(request, 409, "customer %s: was erased; %s", id, asks);
	if (ok && erased &&
	    put->asker->recreate) { /* what is left of the one before keeps a name of its own */
		char *other = xasprintf("%s:%lld", erased->id, (long long)erased->n);
		ok = store_erase_customer(turn->store, erased->n, other, erased->erased_at);
		free(other);
	}
	for (size_t i = 0; ok && !request->status && i < new->address_count; i++) {
		const struct address *address = &new->addresses[i];
		struct address_row row = {0}, real = {0};
		if (address->n) /* kept by a merge */
			continue;
		erased_address(key, address->channel, address->value, name);
		ok = store_get_address(turn->store, address->channel, name, false, &row) &&
		     (!row.n ||
		      store_get_address(turn->store, address->channel, address->value, false, &real));
		if (!ok || !row.n || real.n)
			continue;
		if (put->asker->recreate)
			ok = store_rename_address(turn->store, row.n, address->value);
		else
			request_refuse(request, 409, "addresses.%s: was erased with its customer; %s",
				       address->channel, asks);
	}
	*refused = request->status != 0;
	customer_free(erased);
	return ok;
}

/* One customer, whole or not at all: the transaction is shared with others, so it stands behind a save point,
 * where something could still be refused once something is written. */
static bool put_one(struct request *request, struct turn *turn, const struct put *put, const char *id,
		    const json_t *json, json_t **answer)
{
	struct customer *old = NULL, new = {0}, *stored = NULL;
	json_t *kept = json_array(), *whole = json_copy((json_t *)json);
	json_t *on_their_way = json_object();
	bool changed = false, ok = true, begun = false;
	size_t events = turn->plan.events.count;

	if (!json_is_object(json)) {
		request_refuse(request, 422, "customer: must be a JSON object");
		goto out;
	}
	if (!json_object_get(whole, "id"))
		json_object_set_new(whole, "id", json_string(id));
	id = id ? id : json_string_value(json_object_get(whole, "id"));
	if (!id || !customer_id_valid(id)) {
		request_refuse(request, 422, "id: must be 1 to %d bytes of UTF-8 without control characters",
			       ID_MAX);
		goto out;
	}
	if (strcmp(id, json_string_value(json_object_get(whole, "id"))
			       ? json_string_value(json_object_get(whole, "id"))
			       : "") != 0) {
		request_refuse(request, 422, "id: is not the one that was asked for");
		goto out;
	}
	ok = store_get_customer(turn->store, id, &old);
	if (!ok)
		goto out;
	if (old && old->erased_at) {
		request_refuse(request, 404, "customer %s: was erased", id);
		goto out;
	}
	if (put->asker->facts && (!old || old->seq != put->asker->facts)) {
		request_refuse(request, 409, "customer %s: was changed meanwhile; read it again", id);
		goto out;
	}
	bool merge = put->merge && old;
	if (merge) {
		struct customer *copy = customer_copy(old);
		new = *copy;
		free(copy);
	}
	if (!customer_from_json(whole, merge, customer_address_form, turn->config, &new, &request->problem)) {
		request->status = 422;
		goto out;
	}
	begun = put->asker->recreate || any_says(turn, put, old, whole);
	ok = !begun || store_save_point(turn->store);
	begun = begun && ok;
	bool refused = false;
	ok = ok && recreate(request, turn, put, id, old, &new, &refused);
	if (ok && !refused)
		ok = write_facts(turn, put->asker, old, &new, &changed) &&
		     write_preferences(request, turn, put, old, &new, whole, kept, &changed);
	if (!ok || request->status)
		goto out;
	const struct touched touched = {0};
	if (changed && old && !change_binds(turn, new.n, &touched, on_their_way)) {
		ok = false;
		goto out;
	}
	*answer = json_object();
	if (put->id) { /* in an import nobody looks at it */
		ok = store_get_customer(turn->store, id, &stored);
		if (!ok || !stored)
			goto out;
		json_decref(*answer);
		*answer = customer_to_json(stored, false);
		json_object_set_new(*answer, "version", json_integer((json_int_t)stored->seq));
	}
	json_object_set_new(*answer, "on_their_way", way_list(on_their_way));
	if (json_array_size(kept))
		json_object_set(*answer, "kept", kept);
	request->status = old ? 200 : 201;
out:
	if (begun && ok) {
		ok = store_end_point(turn->store, request->status < 400);
		if (request->status >= 400)
			events_forget(turn, events);
	}
	customer_free(old);
	customer_free(stored);
	customer_release(&new);
	json_decref(kept);
	json_decref(on_their_way);
	json_decref(whole);
	return ok;
}

bool customer_put_one(struct request *request, struct turn *turn, const struct asker *asker, const char *id,
		      const json_t *json, bool merge, json_t **answer)
{
	const struct put put = {.asker = asker, .id = id, .merge = merge};

	return put_one(request, turn, &put, id, json, answer);
}

static bool put_run(struct request *request, struct turn *turn)
{
	struct put *put = (struct put *)request;

	return put_one(request, turn, put, put->id, put->json, &request->answer);
}

static void put_stripes(struct request *request, struct turn *turn)
{
	stripe_change(turn, ((struct put *)request)->id);
}

int request_customer(const struct turn_door *door, const struct asker *asker, const char *id,
		     const json_t *customer, bool merge, json_t **answer, struct text *problem)
{
	struct put put = {.base = {.run = put_run, .stripes = put_stripes},
			  .asker = asker,
			  .id = id,
			  .json = customer,
			  .merge = merge};

	return request_run(door, &put.base, answer, problem);
}
