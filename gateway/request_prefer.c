/* A choice: the customer's preference for a product, as a transaction with a promise. */
#include <stdlib.h>
#include <string.h>

#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

static const struct preference *preference_of(const struct preference *list, size_t count,
					      const char *product)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].product, product) == 0)
			return &list[i];
	return NULL;
}

static void preferences_free(struct preference *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		preference_release(&list[i]);
	free(list);
}

static const struct preference_entry *entry_of(const struct preference *preference, const char *channel)
{
	for (size_t i = 0; i < preference->channel_count; i++)
		if (strcmp(preference->channels[i].channel, channel) == 0)
			return &preference->channels[i];
	return NULL;
}

/* True where `to` may reach the customer where, or when, `from` did not. Which of two hours is the narrower
 * is not asked: any other than those chosen may be the wider. */
static bool loosens(const struct preference *from, const struct preference *to)
{
	if ((*from->hours && strcmp(from->hours, to->hours) != 0) || to->paused_until < from->paused_until ||
	    (strcmp(from->digest, "immediate") != 0 && strcmp(from->digest, to->digest) != 0))
		return true;
	if (!from->has_channels)
		return false;
	if (!to->has_channels)
		return true;
	for (size_t i = 0; i < to->channel_count; i++) {
		const struct preference_entry *had = entry_of(from, to->channels[i].channel);
		if (!had || (*had->hours && strcmp(had->hours, to->channels[i].hours) != 0))
			return true;
	}
	return false;
}

static bool same_choice(const struct preference *a, const struct preference *b)
{
	bool same = a->has_channels == b->has_channels && a->channel_count == b->channel_count &&
		    strcmp(a->hours, b->hours) == 0 && strcmp(a->digest, b->digest) == 0 &&
		    a->paused_until / MOMENT_MS == b->paused_until / MOMENT_MS;

	for (size_t i = 0; same && i < a->channel_count; i++) {
		const struct preference_entry *left = &a->channels[i], *right = &b->channels[i];
		same = strcmp(left->channel, right->channel) == 0 && strcmp(left->hours, right->hours) == 0 &&
		       left->wait == right->wait;
	}
	return same;
}

/* The stored keys with those of `patch` over them. */
static json_t *merged(const struct preference *stored, const json_t *patch)
{
	json_t *json = stored ? preference_to_json(stored) : json_object();

	json_object_update(json, (json_t *)patch);
	return json;
}

static bool version_fits(struct request *request, const struct preference *stored, const json_t *json)
{
	const json_t *version = json_object_get(json, "version");
	json_int_t now = stored ? stored->version : 0;

	if (!version || json_is_null(version))
		return true;
	if (!json_is_integer(version))
		request_refuse(request, 422, "version: must be a whole number");
	else if (json_integer_value(version) != now)
		request_refuse(request, 409, "version: %lld was changed meanwhile; the stored one is %lld",
			       (long long)json_integer_value(version), (long long)now);
	else
		return true;
	return false;
}

static bool given_at(struct request *request, const struct turn *turn, const json_t *json, int64_t *at)
{
	const json_t *given = json_object_get(json, "given_at");

	*at = turn->now;
	if (!given || json_is_null(given))
		return true;
	if (json_is_string(given) && moment_parse(json_string_value(given), at))
		return true;
	request_refuse(request, 422, "given_at: is not a moment like 2026-11-22T10:00:00Z");
	return false;
}

static bool append_change(struct turn *turn, const struct asker *asker, const struct customer *customer,
			  const struct preference *old, struct preference *new, const json_t *json,
			  int64_t given)
{
	const char *source = json_string_value(json_object_get(json, "source"));
	json_t *old_json = old ? preference_to_json(old) : NULL, *new_json = preference_to_json(new);
	json_t *evidence = json_object_get(json, "evidence");
	struct change change = {.kind = CHANGE_PREFERENCE,
				.at = turn->now,
				.given_at = given,
				.customer = customer->n,
				.subject = new->product,
				.by = (char *)asker->by,
				.actor = (char *)asker->actor,
				.source = (char *)(source ? source : ""),
				.evidence = evidence ? json_dumps(evidence, JSON_COMPACT | JSON_ENCODE_ANY)
						     : xstrdup(""),
				.old_value = old_json ? json_dumps(old_json, JSON_COMPACT) : xstrdup(""),
				.new_value = json_dumps(new_json, JSON_COMPACT)};
	struct change *const changes[] = {&change};
	bool ok = store_append_changes(turn->store, changes, 1);

	new->seq = change.seq;
	free(change.evidence);
	free(change.old_value);
	free(change.new_value);
	json_decref(old_json);
	json_decref(new_json);
	return ok;
}

static void changed_event(struct turn *turn, const struct customer *customer,
			  const struct preference *preference)
{
	json_t *data = json_pack("{s:s, s:s, s:o}", "customer", customer->id, "product", preference->product,
				 "preference", preference_to_json(preference));
	char *words = json_dumps(data, JSON_COMPACT);

	event_add(turn, "heed.preference.changed", customer->id, words);
	free(words);
	json_decref(data);
}

bool preference_write(struct request *request, struct turn *turn, const struct asker *asker,
		      const struct customer *customer, const char *product_name, const json_t *json,
		      bool merge, json_t *kept)
{
	const struct config *config = turn->config;
	const struct product *product = product_find(config->products, product_name);
	static const struct preference nothing = {.hours = (char *)"", .digest = (char *)"immediate"};
	const bool import = strcmp(asker->by, "import") == 0;
	struct preference *all = NULL, new = {0};
	json_t *whole = NULL;
	size_t count = 0;
	int64_t given;
	bool ok = true;

	if (!product && strcmp(product_name, "*") != 0)
		return request_refuse(request, 404, "product: %s is not in the products file", product_name);
	if (!json_is_object(json))
		return request_refuse(request, 422,
				      "preference: must be a JSON object like {\"channels\": [\"email\"]}");
	ok = store_get_preferences(turn->store, customer->n, &all, &count);
	if (!ok)
		goto out;
	const struct preference *old = preference_of(all, count, product_name);
	if (!version_fits(request, old, json) || !given_at(request, turn, json, &given))
		goto out;
	whole = merge ? merged(old, json) : json_incref((json_t *)json);
	if (!preference_from_json(whole, product, (const char *const *)config->channel_names,
				  config->channel_count, &new, &request->problem)) {
		request->status = 422;
		goto out;
	}
	if (import && same_choice(old ? old : &nothing, &new))
		goto out; /* a nightly import says the same again: nothing to record */
	if (import && old && strcmp(old->changed_by, "import") != 0 && loosens(old, &new)) {
		json_array_append_new(kept, json_string(product_name));
		goto out;
	}
	xreplace(&new.product, product_name);
	xreplace(&new.changed_by, asker->by);
	new.version = (old ? old->version : 0) + 1;
	new.changed_at = turn->now;
	ok = append_change(turn, asker, customer, old, &new, json, given) &&
	     store_put_preference(turn->store, customer->n, &new);
	if (ok)
		changed_event(turn, customer, &new);
out:
	preferences_free(all, count);
	preference_release(&new);
	json_decref(whole);
	return ok;
}

/* --- the request --- */

struct prefer {
	struct request base;
	const struct asker *asker;
	const char *customer, *product;
	const json_t *json;
	bool merge;
};

static bool prefer_run(struct request *request, struct turn *turn)
{
	struct prefer *prefer = (struct prefer *)request;
	struct customer *customer = NULL;
	struct preference *all = NULL;
	json_t *kept = json_array(), *on_their_way = json_array();
	size_t count = 0;
	bool ok = store_get_customer(turn->store, prefer->customer, &customer);

	if (ok && !customer)
		request_refuse(request, 404, "customer: %s is unknown", prefer->customer);
	if (!ok || !customer)
		goto out;
	ok = preference_write(request, turn, prefer->asker, customer, prefer->product, prefer->json,
			      prefer->merge, kept) &&
	     store_get_preferences(turn->store, customer->n, &all, &count);
	if (!ok || request->status)
		goto out;
	const struct touched touched = {.product = prefer->product, .preferences = all, .count = count};
	ok = change_binds(turn, customer->n, &touched, on_their_way);
	const struct preference *now = preference_of(all, count, prefer->product);
	request->answer = now ? preference_to_json(now) : json_object();
	json_object_set(request->answer, "on_their_way", on_their_way);
	if (json_array_size(kept))
		json_object_set(request->answer, "kept", kept);
	request->status = 200;
out:
	preferences_free(all, count);
	customer_free(customer);
	json_decref(kept);
	json_decref(on_their_way);
	return ok;
}

int request_prefer(const struct turn_door *door, const struct asker *asker, const char *customer,
		   const char *product, const json_t *preference, bool merge, json_t **answer,
		   struct text *problem)
{
	struct prefer prefer = {.base = {.run = prefer_run},
				.asker = asker,
				.customer = customer,
				.product = product,
				.json = preference,
				.merge = merge};

	return request_run(door, &prefer.base, answer, problem);
}
