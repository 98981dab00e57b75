/* An import: many customers in one transaction, each whole or not at all. Most are new, or are as they were
 * already: what they come to is known before anything is written, and is then looked up, logged and written
 * for all at once. With the others something may be refused, loosened or called back: they go one by one
 * (request_customer.c). */
#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

struct item {
	const json_t *json;
	const char *id;        /* borrowed; NULL: it can't be read, and is refused one by one */
	struct customer fresh; /* as it is, where nobody has the id */
	char *facts;           /* the same for the log of changes */
	bool again;            /* another one with its id comes before it */
	/* of one run of the turn */
	struct customer *old;
	struct preferences chosen; /* of old */
	bool was_erased;           /* it, or one of its addresses */
	struct choice *choices;    /* of a new one, to be written */
	size_t choice_count;
};

struct import_batch {
	const json_t *customers;
	struct item *items;
	size_t count;
};

struct import {
	struct request base;
	const struct asker *asker;
	struct import_batch *batch;
	/* of one run of the turn: new ones that are to be written */
	struct item **added;
	size_t added_count;
};

/* --- reading, by any thread --- */

/* Also of one that is read only with what is there, as a secret without its URL. NULL: it names none. */
static const char *named_id(const struct item *item)
{
	return json_string_value(json_object_get(item->json, "id"));
}

static void item_read(const struct config *config, const json_t *json, struct item *item)
{
	*item = (struct item){.json = json};
	if (!customer_from_json(json, false, customer_address_form, config, &item->fresh, NULL))
		return;
	item->id = named_id(item);
	item->facts = customer_to_text(&item->fresh);
}

static int by_id(const void *a, const void *b)
{
	const struct item *left = *(struct item *const *)a, *right = *(struct item *const *)b;
	int order = strcmp(named_id(left), named_id(right));

	return order ? order : (left > right) - (left < right);
}

static void find_again(struct import_batch *batch)
{
	struct item **sorted = xcalloc(batch->count, sizeof *sorted);
	size_t count = 0;

	for (size_t i = 0; i < batch->count; i++)
		if (named_id(&batch->items[i]))
			sorted[count++] = &batch->items[i];
	qsort(sorted, count, sizeof *sorted, by_id);
	for (size_t i = 1; i < count; i++)
		sorted[i]->again = strcmp(named_id(sorted[i - 1]), named_id(sorted[i])) == 0;
	free(sorted);
}

struct import_batch *import_batch_read(const struct config *config, const json_t *customers)
{
	struct import_batch *batch = xcalloc(1, sizeof *batch);
	const json_t *customer;
	size_t i;

	batch->customers = customers;
	batch->items = xcalloc(json_array_size(customers), sizeof *batch->items);
	json_array_foreach((json_t *)customers, i, customer)
		item_read(config, customer, &batch->items[batch->count++]);
	find_again(batch);
	return batch;
}

void import_batch_free(struct import_batch *batch)
{
	if (!batch)
		return;
	for (size_t i = 0; i < batch->count; i++) {
		customer_release(&batch->items[i].fresh);
		free(batch->items[i].facts);
	}
	free(batch->items);
	free(batch);
}

/* --- what is there already --- */

static bool look_up_customers(struct turn *turn, struct import_batch *batch)
{
	const char **ids = xcalloc(batch->count, sizeof *ids);
	struct item **items = xcalloc(batch->count, sizeof *items);
	struct customer **there = xcalloc(batch->count, sizeof *there);
	size_t count = 0;

	for (size_t i = 0; i < batch->count; i++) {
		if (!batch->items[i].id)
			continue;
		items[count] = &batch->items[i];
		ids[count++] = batch->items[i].id;
	}
	bool ok = store_get_customers(turn->store, ids, count, there);
	for (size_t i = 0; i < count; i++)
		items[i]->old = there[i];
	free(ids);
	free(items);
	free(there);
	return ok;
}

static bool look_up_choices(struct turn *turn, struct import_batch *batch)
{
	int64_t *customers = xcalloc(batch->count, sizeof *customers);
	struct item **items = xcalloc(batch->count, sizeof *items);
	struct preferences *chosen = xcalloc(batch->count, sizeof *chosen);
	size_t count = 0;

	for (size_t i = 0; i < batch->count; i++) {
		struct item *item = &batch->items[i];
		if (!item->old || !json_array_size(json_object_get(item->json, "preferences")))
			continue;
		items[count] = item;
		customers[count++] = item->old->n;
	}
	bool ok = store_get_preferences_of(turn->store, customers, count, chosen);
	for (size_t i = 0; i < count; i++)
		items[i]->chosen = chosen[i];
	free(customers);
	free(items);
	free(chosen);
	return ok;
}

struct names {
	char (*names)[ERASED_NAME_SIZE];
	struct item **items; /* whose */
	size_t count;
};

static void names_release(struct names *names)
{
	free(names->names);
	free(names->items);
}

static struct names names_of(size_t most)
{
	return (struct names){.names = xcalloc(most, ERASED_NAME_SIZE),
			      .items = xcalloc(most, sizeof(struct item *))};
}

/* Was one of them erased under the id that somebody new has now? */
static bool look_up_erased(struct turn *turn, struct import_batch *batch)
{
	struct names names = names_of(batch->count);
	const char **ids = xcalloc(batch->count, sizeof *ids);
	struct customer **there = xcalloc(batch->count, sizeof *there);

	for (size_t i = 0; i < batch->count; i++) {
		struct item *item = &batch->items[i];
		if (!item->id || item->old)
			continue;
		erased_customer(store_erasure_key(turn->store), item->id, names.names[names.count]);
		ids[names.count] = names.names[names.count];
		names.items[names.count++] = item;
	}
	bool ok = store_get_customers(turn->store, ids, names.count, there);
	for (size_t i = 0; i < names.count; i++) {
		names.items[i]->was_erased = there[i] && there[i]->erased_at;
		customer_free(there[i]);
	}
	names_release(&names);
	free(ids);
	free(there);
	return ok;
}

/* Or one of the addresses that somebody new has? */
static bool look_up_erased_addresses(struct turn *turn, struct import_batch *batch)
{
	size_t most = 0;

	for (size_t i = 0; i < batch->count; i++)
		most += batch->items[i].fresh.address_count;
	struct names names = names_of(most);
	struct address *rows = xcalloc(most, sizeof *rows), **all = xcalloc(most, sizeof *all);
	for (size_t i = 0; i < batch->count; i++) {
		struct item *item = &batch->items[i];
		for (size_t k = 0; item->id && !item->old && k < item->fresh.address_count; k++) {
			const struct address *address = &item->fresh.addresses[k];
			erased_address(store_erasure_key(turn->store), address->channel, address->value,
				       names.names[names.count]);
			rows[names.count] = (struct address){.channel = address->channel,
							     .value = names.names[names.count]};
			all[names.count] = &rows[names.count];
			names.items[names.count++] = item;
		}
	}
	bool ok = store_get_addresses(turn->store, all, names.count, false);
	for (size_t i = 0; ok && i < names.count; i++)
		names.items[i]->was_erased = names.items[i]->was_erased || rows[i].n;
	names_release(&names);
	free(rows);
	free(all);
	return ok;
}

static bool look_up(struct turn *turn, struct import_batch *batch)
{
	bool erased = false;

	return look_up_customers(turn, batch) && look_up_choices(turn, batch) &&
	       store_any_erased(turn->store, &erased) &&
	       (!erased || (look_up_erased(turn, batch) && look_up_erased_addresses(turn, batch)));
}

/* --- as it was --- */

static bool same_text(const json_t *json, const char *key, const char *old, const char *fresh)
{
	return !json_object_get(json, key) || strcmp(old, fresh) == 0;
}

/* The next one of the channel from `at` on; NULL. */
static const struct address *next_of(const struct customer *customer, const char *channel, size_t *at)
{
	while (*at < customer->address_count) {
		const struct address *address = &customer->addresses[(*at)++];
		if (strcmp(address->channel, channel) == 0)
			return address;
	}
	return NULL;
}

/* The same ones in the same order, and none of them to be tried again. */
static bool same_channel(const struct item *item, const char *channel)
{
	size_t in_old = 0, in_fresh = 0;

	for (;;) {
		const struct address *old = next_of(item->old, channel, &in_old),
				     *fresh = next_of(&item->fresh, channel, &in_fresh);
		if (!old || !fresh)
			return !old && !fresh;
		if (old->state == ADDRESS_DEAD || strcmp(old->value, fresh->value) != 0 ||
		    strcmp(old->details, fresh->details) != 0)
			return false;
	}
}

static bool same_addresses(const struct item *item)
{
	json_t *addresses = json_object_get(item->json, "addresses");
	const json_t *unused;
	const char *channel;

	if (json_is_null(addresses))
		return !item->old->address_count;
	json_object_foreach(addresses, channel, unused)
	{
		if (!same_channel(item, channel))
			return false;
	}
	return true;
}

/* Takes a refusal back: whoever goes one by one is refused there, in its own words. */
static void ask_anew(struct request *request)
{
	request->status = 0;
	text_clear(&request->problem);
}

/* Reads an item of "preferences". False: it can't be taken so. */
static bool read_choice(struct import *import, struct turn *turn, const struct customer *customer,
			const json_t *json, const struct preferences *all, struct choice *choice)
{
	const char *name = json_string_value(json_object_get(json, "product"));
	const struct product *product = name ? product_find(turn->config->products, name) : NULL;

	if (!name || (!product && strcmp(name, "*") != 0))
		return false;
	choice_judge(&import->base, turn, import->asker, customer, name, product, json, true, all, choice);
	bool ok = !import->base.status;
	ask_anew(&import->base);
	return ok;
}

static bool same_choices(struct import *import, struct turn *turn, const struct item *item)
{
	json_t *list = json_object_get(item->json, "preferences");
	const json_t *json;
	bool same = !list || json_is_null(list) || json_is_array(list);
	size_t i;

	json_array_foreach(list, i, json)
	{
		struct choice choice = {0};
		same = same && read_choice(import, turn, item->old, json, &item->chosen, &choice) &&
		       !choice.changes;
		preference_release(&choice.new);
	}
	return same;
}

static bool is_as_it_was(struct import *import, struct turn *turn, const struct item *item)
{
	const struct customer *old = item->old, *fresh = &item->fresh;

	return !old->erased_at && same_text(item->json, "name", old->name, fresh->name) &&
	       same_text(item->json, "locale", old->locale, fresh->locale) &&
	       same_text(item->json, "timezone", old->timezone, fresh->timezone) && same_addresses(item) &&
	       same_choices(import, turn, item);
}

/* --- new --- */

static bool chooses_twice(const struct item *item, const char *product)
{
	for (size_t i = 0; i < item->choice_count; i++)
		if (strcmp(item->choices[i].new.product, product) == 0)
			return true;
	return false;
}

/* What somebody new chooses, in item->choices. False: it goes one by one. */
static bool read_choices(struct import *import, struct turn *turn, struct item *item)
{
	const bool quietly = strcmp(import->asker->by, "import") == 0;
	json_t *list = json_object_get(item->json, "preferences"), *json;
	size_t count = json_array_size(list), i;
	struct preferences made = {0};
	bool ok = !list || json_is_null(list) || json_is_array(list);

	json_array_foreach(list, i, json)
	{
		if (!ok || (quietly && customer_says_nothing(turn, json)))
			continue;
		if (!item->choices) {
			item->choices = xcalloc(count, sizeof *item->choices);
			made.list = xcalloc(count, sizeof *made.list);
		}
		struct choice *choice = &item->choices[item->choice_count];
		ok = read_choice(import, turn, &item->fresh, json, &made, choice) &&
		     (!choice->changes || !chooses_twice(item, choice->new.product));
		if (ok && choice->changes) {
			made.list[made.count++] = choice->new;
			item->choice_count++;
		} else {
			preference_release(&choice->new);
		}
	}
	free(made.list); /* the choices have what it points to */
	return ok;
}

struct writing {
	struct customer **customers;
	struct address **addresses;
	struct change *changes, **lines;
	struct preference_of *preferences;
	size_t customer_count, address_count, change_count, preference_count;
};

static void writing_release(struct writing *w)
{
	for (size_t i = 0; i < w->change_count; i++)
		change_drop_texts(&w->changes[i]);
	free(w->customers);
	free(w->addresses);
	free(w->changes);
	free(w->lines);
	free(w->preferences);
}

static void gather(const struct import *import, struct writing *w)
{
	size_t addresses = 0, choices = 0, count = import->added_count;

	for (size_t i = 0; i < count; i++) {
		addresses += import->added[i]->fresh.address_count;
		choices += import->added[i]->choice_count;
	}
	*w = (struct writing){.customers = xcalloc(count, sizeof *w->customers),
			      .addresses = xcalloc(addresses, sizeof *w->addresses),
			      .changes = xcalloc(count + choices, sizeof *w->changes),
			      .lines = xcalloc(count + choices, sizeof *w->lines),
			      .preferences = xcalloc(choices, sizeof *w->preferences)};
	for (size_t i = 0; i < count; i++) {
		struct customer *customer = &import->added[i]->fresh;
		w->customers[w->customer_count++] = customer;
		for (size_t k = 0; k < customer->address_count; k++)
			w->addresses[w->address_count++] = &customer->addresses[k];
	}
}

/* Facts as they were read, where no address has a state that the log is to show. */
static const char *facts_of(const struct item *item)
{
	for (size_t i = 0; i < item->fresh.address_count; i++)
		if (item->fresh.addresses[i].state != ADDRESS_OK)
			return NULL;
	return item->facts;
}

/* Everybody's facts and choices, in the order of the file. */
static bool log_changes(const struct import *import, struct turn *turn, struct writing *w)
{
	for (size_t i = 0; i < import->added_count; i++) {
		struct item *item = import->added[i];
		w->changes[w->change_count++] =
			customer_change(turn, import->asker, NULL, &item->fresh, facts_of(item));
		for (size_t k = 0; k < item->choice_count; k++)
			w->changes[w->change_count++] =
				choice_change(turn, import->asker, &item->fresh, &item->choices[k]);
	}
	for (size_t i = 0; i < w->change_count; i++)
		w->lines[i] = &w->changes[i];
	if (!store_append_changes(turn->store, w->lines, w->change_count))
		return false;
	const struct change *change = w->changes;
	for (size_t i = 0; i < import->added_count; i++) {
		struct item *item = import->added[i];
		item->fresh.seq = change++->seq;
		for (size_t k = 0; k < item->choice_count; k++) {
			item->choices[k].new.seq = change++->seq;
			w->preferences[w->preference_count++] =
				(struct preference_of){item->fresh.n, &item->choices[k].new};
		}
	}
	return true;
}

static bool revive_dead(const struct import *import, struct turn *turn, struct writing *w)
{
	bool ok = true;

	for (size_t i = 0; ok && i < import->added_count; i++) {
		const struct customer *customer = &import->added[i]->fresh;
		for (size_t k = 0; ok && k < customer->address_count; k++) {
			const int64_t n = customer->addresses[k].n;
			if (customer->addresses[k].state != ADDRESS_DEAD)
				continue;
			ok = customer_revive(turn, import->asker, customer, &customer->addresses[k]);
			for (size_t j = 0; j < w->address_count; j++) /* whoever else has it */
				if (w->addresses[j]->n == n)
					w->addresses[j]->state = ADDRESS_OK;
		}
	}
	return ok;
}

/* Writes those that were gathered. False: the store failed. */
static bool write_added(struct import *import, struct turn *turn)
{
	struct writing w;

	gather(import, &w);
	bool ok = store_get_addresses(turn->store, w.addresses, w.address_count, true) &&
		  store_number_customers(turn->store, w.customers, w.customer_count) &&
		  log_changes(import, turn, &w) &&
		  store_add_customers(turn->store, w.customers, w.customer_count) &&
		  store_put_preferences(turn->store, w.preferences, w.preference_count) &&
		  revive_dead(import, turn, &w);
	for (size_t i = 0; ok && i < import->added_count; i++)
		for (size_t k = 0; k < import->added[i]->choice_count; k++)
			choice_event(turn, &import->added[i]->fresh, &import->added[i]->choices[k]);
	import->added_count = 0;
	writing_release(&w);
	return ok;
}

/* --- the request --- */

static void item_begin(struct item *item)
{
	item->fresh.n = item->fresh.seq = 0;
	for (size_t i = 0; i < item->fresh.address_count; i++) {
		struct address *address = &item->fresh.addresses[i];
		address->n = address->seq = 0;
		address->state = ADDRESS_OK;
	}
	item->was_erased = false;
}

static void item_end(struct item *item)
{
	customer_free(item->old);
	preferences_free(item->chosen.list, item->chosen.count);
	for (size_t i = 0; i < item->choice_count; i++)
		preference_release(&item->choices[i].new);
	free(item->choices);
	item->old = NULL;
	item->chosen = (struct preferences){0};
	item->choices = NULL;
	item->choice_count = 0;
}

static json_t *result_of(const struct request *request, const json_t *json, const json_t *answer)
{
	json_t *result = json_object(), *id = json_object_get(json, "id"),
	       *kept = json_object_get(answer, "kept"), *way = json_object_get(answer, "on_their_way");

	json_object_set(result, "id", json_is_string(id) ? id : json_null());
	json_object_set_new(result, "status", json_integer(request->status));
	if (request->status >= 400)
		json_object_set_new(result, "problem", json_string(request->problem.data));
	if (kept)
		json_object_set(result, "kept", kept);
	if (json_array_size(way))
		json_object_set(result, "on_their_way", way);
	return result;
}

static bool take_alone(struct import *import, struct turn *turn, const struct item *item, json_t **answer)
{
	bool ok = !item->again || write_added(import, turn); /* one of them may be the one before it */

	return ok && customer_put_one(&import->base, turn, import->asker, NULL, item->json, true, answer);
}

/* False: the store failed. */
static bool take(struct import *import, struct turn *turn, struct item *item, bool plain, json_t *results)
{
	struct request *request = &import->base;
	json_t *answer = NULL;
	bool ok = true;

	ask_anew(request);
	bool alone = !plain || !item->id || item->again || item->was_erased;
	if (!alone && item->old && is_as_it_was(import, turn, item)) {
		request->status = 200;
	} else if (!alone && !item->old && read_choices(import, turn, item)) {
		import->added[import->added_count++] = item;
		request->status = 201;
	} else {
		ok = take_alone(import, turn, item, &answer);
	}
	json_array_append_new(results, result_of(request, item->json, answer));
	json_decref(answer);
	return ok;
}

static bool import_run(struct request *request, struct turn *turn)
{
	struct import *import = (struct import *)request;
	struct import_batch *batch = import->batch;
	const struct asker *asker = import->asker;
	const bool plain = !asker->recreate && !asker->facts && !asker->written;
	json_t *results = json_array();

	import->added = xcalloc(batch->count, sizeof(struct item *));
	import->added_count = 0;
	for (size_t i = 0; i < batch->count; i++)
		item_begin(&batch->items[i]);
	bool ok = !plain || look_up(turn, batch);
	for (size_t i = 0; ok && i < batch->count; i++)
		ok = take(import, turn, &batch->items[i], plain, results);
	ok = ok && (!import->added_count || write_added(import, turn));
	for (size_t i = 0; i < batch->count; i++)
		item_end(&batch->items[i]);
	free(import->added);
	request->status = 200;
	text_clear(&request->problem);
	request->answer = results;
	return ok;
}

static void import_stripes(struct request *request, struct turn *turn)
{
	const struct import_batch *batch = ((struct import *)request)->batch;

	for (size_t i = 0; i < batch->count; i++) {
		const char *id = json_string_value(json_object_get(batch->items[i].json, "id"));
		if (id)
			stripe_change(turn, id);
	}
}

int request_import(const struct turn_door *door, const struct asker *asker, struct import_batch *batch,
		   json_t **answer, struct text *problem)
{
	struct import import = {
		.base = {.run = import_run, .stripes = import_stripes}, .asker = asker, .batch = batch};

	if (!json_is_array(batch->customers) || batch->count > IMPORT_BATCH_MAX) {
		*answer = NULL;
		text_error(problem, "customers: must be an array of at most %d objects", IMPORT_BATCH_MAX);
		return 422;
	}
	return request_run(door, &import.base, answer, problem);
}
