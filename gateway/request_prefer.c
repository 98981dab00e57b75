/* A choice: the customer's preference for a product, as a transaction with a promise. */
#include <stdlib.h>
#include <string.h>

#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

const struct preference *preference_of(const struct preference *list, size_t count, const char *product)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].product, product) == 0)
			return &list[i];
	return NULL;
}

void preferences_free(struct preference *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		preference_release(&list[i]);
	free(list);
}

/* The channels of the nearest choice that the customer made, by whatever an import changed it since: for the
 * product, for the one it is a part of, for all. *level: 0 for the product itself. NULL in *channels: the
 * customer never chose. */
static bool customers_own(struct turn *turn, int64_t customer, const char *product, json_t **channels,
			  int *level)
{
	char *parent =
		strchr(product, '/') ? xmemdup0(product, (size_t)(strchr(product, '/') - product)) : NULL;
	const char *const names[] = {product, parent, strcmp(product, "*") == 0 ? NULL : "*"};
	bool ok = true;

	*channels = NULL;
	for (int i = 0; ok && i < 3 && !*channels; i++) {
		char *words = NULL;
		ok = !names[i] || store_last_choice(turn->store, customer, names[i], &words);
		json_t *choice = words ? json_loads(words, 0, NULL) : NULL;
		json_t *list = json_object_get(choice, "channels");
		*channels = json_is_array(list) ? json_incref(list) : NULL;
		*level = i;
		json_decref(choice);
		free(words);
	}
	free(parent);
	return ok;
}

/* Is the channel among them, at no other hours than those? Which of two hours is the wider is not asked. */
static bool is_among(const json_t *channels, const struct preference_entry *wanted)
{
	json_t *entry;
	size_t i;

	json_array_foreach((json_t *)channels, i, entry)
	{
		const char *name =
			json_string_value(json_is_object(entry) ? json_object_get(entry, "channel") : entry);
		const char *hours = json_string_value(json_object_get(entry, "hours"));
		if (name && strcmp(name, wanted->channel) == 0)
			return !hours || strcmp(hours, wanted->hours) == 0;
	}
	return false;
}

/* Would it reach the customer at times that `own` keeps free? */
static bool time_loosens(const json_t *own, const struct preference *to, int64_t now)
{
	const char *hours = json_string_value(json_object_get(own, "hours"));
	const char *digest = json_string_value(json_object_get(own, "digest"));
	const char *paused = json_string_value(json_object_get(own, "paused_until"));
	int64_t until = 0;

	return (hours && *hours && strcmp(hours, to->hours) != 0) ||
	       (digest && strcmp(digest, "immediate") != 0 && strcmp(digest, to->digest) != 0) ||
	       (paused && moment_parse(paused, &until) && until > now &&
		to->paused_until / MOMENT_MS < until / MOMENT_MS);
}

/* Would an import of `to` reach the customer where, or when, the customer's own choice does not? */
static bool import_loosens(struct turn *turn, int64_t customer, const char *product,
			   const struct preference *to, bool *loosens)
{
	json_t *own = NULL, *last = NULL;
	char *words = NULL;
	int level = 0;
	bool ok = customers_own(turn, customer, product, &own, &level) &&
		  store_last_choice(turn->store, customer, product, &words);

	last = words ? json_loads(words, 0, NULL) : NULL;
	*loosens = (own && !to->has_channels && level == 0) || time_loosens(last, to, turn->now);
	for (size_t i = 0; ok && own && i < to->channel_count; i++)
		*loosens = *loosens || !is_among(own, &to->channels[i]);
	json_decref(own);
	json_decref(last);
	free(words);
	return ok;
}

/* The same list and hours. */
static bool same_hours(const struct preference *a, const struct preference *b)
{
	bool same = a->has_channels == b->has_channels && a->channel_count == b->channel_count &&
		    strcmp(a->hours, b->hours) == 0;

	for (size_t i = 0; same && i < a->channel_count; i++) {
		const struct preference_entry *left = &a->channels[i], *right = &b->channels[i];
		same = strcmp(left->channel, right->channel) == 0 && strcmp(left->hours, right->hours) == 0 &&
		       left->wait == right->wait;
	}
	return same;
}

static bool same_choice(const struct preference *a, const struct preference *b)
{
	return same_hours(a, b) && strcmp(a->digest, b->digest) == 0 &&
	       a->paused_until / MOMENT_MS == b->paused_until / MOMENT_MS;
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
		request_refuse(request, 409,
			       "version: is %lld here, and the stored one is %lld: somebody changed it "
			       "meanwhile; read it again",
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

struct change choice_change(const struct turn *turn, const struct asker *asker,
			    const struct customer *customer, const struct choice *choice)
{
	const char *source = json_string_value(json_object_get(choice->json, "source"));
	json_t *old = choice->old ? preference_to_json(choice->old) : NULL,
	       *new = preference_to_json(&choice->new), *evidence = json_object_get(choice->json, "evidence");
	struct change change = {.kind = CHANGE_PREFERENCE,
				.at = turn->now,
				.given_at = choice->given,
				.customer = customer->n,
				.subject = choice->new.product,
				.by = (char *)asker->by,
				.actor = (char *)asker->actor,
				.source = (char *)(source ? source : ""),
				.evidence = evidence ? json_dumps(evidence, JSON_COMPACT | JSON_ENCODE_ANY)
						     : xstrdup(""),
				.old_value = old ? json_dumps(old, JSON_COMPACT) : xstrdup(""),
				.new_value = json_dumps(new, JSON_COMPACT)};

	json_decref(old);
	json_decref(new);
	return change;
}

void change_drop_texts(struct change *change)
{
	free(change->evidence);
	free(change->old_value);
	free(change->new_value);
}

void choice_event(struct turn *turn, const struct customer *customer, const struct choice *choice)
{
	json_t *data = json_pack("{s:s, s:s, s:o}", "customer", customer->id, "product", choice->new.product,
				 "preference", preference_to_json(&choice->new));
	char *words = json_dumps(data, JSON_COMPACT);

	event_add(turn, "heed.preference.changed", customer->id, words);
	free(words);
	json_decref(data);
}

static bool has_entry(const struct preference *preference, const struct preference_entry *entry)
{
	bool has = false;

	for (size_t i = 0; i < preference->channel_count; i++)
		has = has || &preference->channels[i] == entry;
	return has;
}

/* The hours of a channel may stand in one choice and those of the message in another: a part that follows the
 * list of its product, a product that follows that of "*". False: refused, for they never open together. */
static bool hours_open(struct request *request, const struct turn *turn, const struct customer *customer,
		       const struct preference *all, size_t count, const struct preference *new)
{
	bool fits = true;
	struct text with;

	text_init(&with, TEXT_ERROR_MAX);
	for (size_t i = 0; fits && i <= count; i++) {
		const struct preference *own = i < count ? &all[i] : new;
		const struct product *product = product_find(turn->config->products, own->product);
		if (!product || (i < count && strcmp(own->product, new->product) == 0))
			continue;
		const char *const above[] = {product->parent ? product->parent->name : "", "*"};
		const struct preference *over[2];
		for (int k = 0; k < 2; k++)
			over[k] = strcmp(above[k], new->product) == 0 ? new
								      : preference_of(all, count, above[k]);
		const struct choices choices = {.own = own, .parent = over[0], .star = over[1]};
		const struct preference_entry *entry =
			choices_never_open(product, *customer->timezone != '\0', &choices, &with);
		bool listed = has_entry(new, entry), timed = choices_time(&choices) == new;
		fits = !entry || (!listed && !timed);
		if (!fits && listed && i == count) {
			preference_never_opens(new, entry, with.data, &request->problem);
			request->status = 422;
		} else if (!fits) {
			request_refuse(request, 422,
				       "hours: a message about %s would never go by %s: its hours, %s, never "
				       "open together with %s",
				       product->name, entry->channel, entry->hours, with.data);
		}
		text_clear(&with);
	}
	text_release(&with);
	return fits;
}

void choice_judge(struct request *request, const struct turn *turn, const struct asker *asker,
		  const struct customer *customer, const char *product_name, const struct product *product,
		  const json_t *json, bool merge, const struct preferences *all, struct choice *out)
{
	const struct config *config = turn->config;
	static const struct preference nothing = {.hours = (char *)"", .digest = (char *)"immediate"};
	struct preference *new = &out->new;

	*out = (struct choice){.json = json, .old = preference_of(all->list, all->count, product_name)};
	const struct preference *old = out->old;
	if (!json_is_object(json)) {
		request_refuse(request, 422,
			       "preference: must be a JSON object like {\"channels\": [\"email\"]}");
		return;
	}
	if (!version_fits(request, old, json) || !given_at(request, turn, json, &out->given))
		return;
	const char *const *known = (const char *const *)config->channel_names;
	bool fine = merge ? preference_patched(old, json, product, known, config->channel_count, new,
					       &request->problem)
			  : preference_from_json(json, product, known, config->channel_count, new,
						 &request->problem);
	if (!fine) {
		request->status = 422;
		return;
	}
	if (strcmp(asker->by, "import") == 0 && same_choice(old ? old : &nothing, new))
		return; /* a nightly import says the same again: nothing to record */
	xreplace(&new->product, product_name);
	/* what the company changed since is no reason to refuse a pause */
	if (!same_hours(old ? old : &nothing, new) &&
	    !hours_open(request, turn, customer, all->list, all->count, new))
		return;
	xreplace(&new->changed_by, asker->by);
	new->version = (old ? old->version : 0) + 1;
	new->changed_at = turn->now;
	out->changes = true;
}

/* `product` NULL: for all of them, or for one that is not in the products file. */
static bool choice_write(struct request *request, struct turn *turn, const struct asker *asker,
			 const struct customer *customer, const char *product_name,
			 const struct product *product, const json_t *json, bool merge, json_t *kept)
{
	struct preferences all = {0};
	struct choice choice = {0};
	bool loosens = false, ok = store_get_preferences(turn->store, customer->n, &all.list, &all.count);

	if (ok)
		choice_judge(request, turn, asker, customer, product_name, product, json, merge, &all,
			     &choice);
	if (choice.changes && strcmp(asker->by, "import") == 0)
		ok = import_loosens(turn, customer->n, product_name, &choice.new, &loosens);
	if (ok && loosens) {
		json_array_append_new(kept, json_string(product_name));
	} else if (ok && choice.changes) {
		struct change change = choice_change(turn, asker, customer, &choice);
		ok = store_append_changes(turn->store, (struct change *const[]){&change}, 1);
		choice.new.seq = change.seq;
		change_drop_texts(&change);
		ok = ok && store_put_preference(turn->store, customer->n, &choice.new);
		if (ok)
			choice_event(turn, customer, &choice);
	}
	preferences_free(all.list, all.count);
	preference_release(&choice.new);
	return ok;
}

bool preference_write(struct request *request, struct turn *turn, const struct asker *asker,
		      const struct customer *customer, const char *product_name, const json_t *json,
		      bool merge, json_t *kept)
{
	const struct product *product = product_find(turn->config->products, product_name);

	if (!product && strcmp(product_name, "*") != 0)
		return request_refuse(request, 404, "product: %s is not in the products file", product_name);
	return choice_write(request, turn, asker, customer, product_name, product, json, merge, kept);
}

bool preference_stop(struct request *request, struct turn *turn, const struct asker *asker,
		     const struct customer *customer, const char *product_name, const json_t *how)
{
	const struct product *product = product_find(turn->config->products, product_name);
	json_t *stop = how ? json_copy((json_t *)how) : json_object();

	json_object_set_new(stop, "channels", json_array());
	bool ok = choice_write(request, turn, asker, customer, product_name, product, stop, true, NULL);
	json_decref(stop);
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
	json_t *kept = json_array();
	json_t *on_their_way = json_object();
	size_t count = 0;
	bool ok = store_get_customer(turn->store, prefer->customer, &customer);

	if (customer && customer->erased_at) {
		customer_free(customer);
		customer = NULL;
	}
	if (ok && !customer)
		request_refuse(request, 404, "customer %s: there is no customer with this id",
			       prefer->customer);
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
	json_object_set_new(request->answer, "on_their_way", way_list(on_their_way));
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

static void prefer_stripes(struct request *request, struct turn *turn)
{
	stripe_change(turn, ((struct prefer *)request)->customer);
}

int request_prefer(const struct turn_door *door, const struct asker *asker, const char *customer,
		   const char *product, const json_t *preference, bool merge, json_t **answer,
		   struct text *problem)
{
	struct prefer prefer = {.base = {.run = prefer_run, .stripes = prefer_stripes},
				.asker = asker,
				.customer = customer,
				.product = product,
				.json = preference,
				.merge = merge};

	return request_run(door, &prefer.base, answer, problem);
}
