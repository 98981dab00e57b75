/* Routes: customers and their preferences. */
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "channel.h"
#include "xalloc.h"
#include "banned.h"

bool customer_view_read(struct call *call, const char *id, struct customer_view *view)
{
	*view = (struct customer_view){0};
	if (!store_read_customer(call->api->reader, id, &view->customer, &view->preferences, &view->count)) {
		call_store_failed(call);
		return false;
	}
	if (!view->customer)
		call_problem(call, 404, "customer %s: there is no customer with this id", id);
	return view->customer != NULL;
}

void customer_view_release(struct customer_view *view)
{
	customer_free(view->customer);
	for (size_t i = 0; i < view->count; i++)
		preference_release(&view->preferences[i]);
	free(view->preferences);
	*view = (struct customer_view){0};
}

static const struct preference *preference_for(const struct customer_view *view, const char *product)
{
	for (size_t i = 0; i < view->count; i++)
		if (strcmp(view->preferences[i].product, product) == 0)
			return &view->preferences[i];
	return NULL;
}

void customer_view_choices(const struct customer_view *view, const struct product *product,
			   struct choices *choices)
{
	*choices = (struct choices){.star = preference_for(view, "*")};
	if (product)
		choices->own = preference_for(view, product->name);
	if (product && product->parent)
		choices->parent = preference_for(view, product->parent->name);
}

/* Those that the token may see. */
static json_t *preferences_json(const struct call *call, const struct customer_view *view)
{
	json_t *list = json_array();

	for (size_t i = 0; i < view->count; i++)
		if (call_sees_product(call, view->preferences[i].product))
			json_array_append_new(list, preference_to_json(&view->preferences[i]));
	return list;
}

/* Are those of a "preferences" array (may be NULL, or something else) for the token to write? What has no
 * product is told by whoever reads it. */
static bool preferences_allowed(struct call *call, const json_t *preferences)
{
	const json_t *preference;
	size_t i;

	json_array_foreach(preferences, i, preference)
	{
		const char *product = json_string_value(json_object_get(preference, "product"));
		if (product && !call_product_allowed(call, product))
			return false;
	}
	return true;
}

/* Likewise, of those that were made into an answer. */
static void preferences_keep_allowed(const struct call *call, json_t *list)
{
	for (size_t i = json_array_size(list); i-- > 0;) {
		const json_t *product = json_object_get(json_array_get(list, i), "product");
		if (!call_sees_product(call, json_string_value(product)))
			json_array_remove(list, i);
	}
}

static json_t *customer_view_json(const struct call *call, const struct customer_view *view)
{
	json_t *json = customer_to_json(view->customer, false);

	json_object_set_new(json, "preferences", preferences_json(call, view));
	return json;
}

void api_customer_get(struct call *call)
{
	struct customer_view view;

	if (customer_view_read(call, call->args[0], &view))
		call_answer(call, 200, customer_view_json(call, &view));
	customer_view_release(&view);
}

/* Whoever asks; with ?recreate=true what was erased may come back. */
static bool read_asker(struct call *call, struct asker *asker)
{
	*asker = call->request->asker;
	return call_flag(call, "recreate", &asker->recreate);
}

static void customer_change(struct call *call, bool merge)
{
	const char *id = call->args[0];
	struct asker asker;
	json_t *answer = NULL;
	struct text problem;

	if (!read_asker(call, &asker) || !call_wants_object(call) || !call_may_change(call))
		return;
	const json_t *named = json_object_get(call->body, "id");
	if (named && (!json_is_string(named) || strcmp(json_string_value(named), id) != 0)) {
		call_problem(call, 422, "id: is not the one of the path, '%s'", id);
		return;
	}
	if (!preferences_allowed(call, json_object_get(call->body, "preferences")))
		return;
	if (!named && json_object_set_new(call->body, "id", json_string(id)) < 0)
		abort(); /* the path was checked to be UTF-8 */
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_customer(&call->api->door, &asker, id, call->body, merge, &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

void api_customer_put(struct call *call)
{
	customer_change(call, false);
}

void api_customer_patch(struct call *call)
{
	customer_change(call, true);
}

void api_customers_import(struct call *call)
{
	json_t *answer = NULL, *customer;
	struct asker asker;
	size_t i;
	struct text problem;

	struct import_batch *read = call->request->batch;
	if (!json_is_array(call->body) || (!read && json_array_size(call->body) > API_LIST_MAX)) {
		call_problem(call, 422, "body: an array of at most %d customers is wanted", API_LIST_MAX);
		return;
	}
	if (!read_asker(call, &asker) || !call_may_change(call))
		return;
	json_array_foreach(
		call->body, i,
		customer) if (!preferences_allowed(call, json_object_get(customer, "preferences"))) return;
	text_init(&problem, TEXT_ERROR_MAX);
	struct import_batch *batch = read ? read : import_batch_read(call->api->config, call->body);
	int status = request_import(&call->api->door, &asker, batch, &answer, &problem);
	if (!read)
		import_batch_free(batch);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

/* Adds the customers that have the address written so, each once. False: the store failed. */
static bool find_by(struct call *call, const char *address, json_t *found)
{
	char **ids = NULL;
	size_t count = 0;
	bool ok = store_read_find(call->api->reader, address, &ids, &count);

	for (size_t i = 0; i < count; i++) {
		if (json_object_size(found) < API_FIND_MAX)
			json_object_set_new(found, ids[i], json_null());
		free(ids[i]);
	}
	free(ids);
	return ok;
}

/* Adds those found by the address in one form; nobody, where it is not written so. False: the store failed.
 */
static bool find_in_form(struct call *call, const struct address_form *form, const char *address,
			 json_t *found)
{
	struct text normal;

	text_init(&normal, URL_PART_MAX);
	bool ok = !address_normalise(form, address, &normal, NULL) || find_by(call, normal.data, found);
	text_release(&normal);
	return ok;
}

/* Nobody says which channel it is of, so each way to write an address is tried. */
void api_customers_find(struct call *call)
{
	static const struct address_form forms[] = {{.kind = ADDRESS_EMAIL},
						    {.kind = ADDRESS_PHONE},
						    {.kind = ADDRESS_URL},
						    {.kind = ADDRESS_TEXT}};
	const struct config *config = call->api->config;
	const char *address = call_query(call, "address");
	json_t *found = json_object(), *list = json_array(), *unused;
	const char *id;
	bool ok = true;

	if (!address) {
		call_problem(call, 400, "address: is wanted, as in /v1/customers?address=ana%%40example.com");
		goto out;
	}
	for (size_t i = 0; ok && i < sizeof forms / sizeof forms[0]; i++)
		ok = find_in_form(call, &forms[i], address, found);
	for (size_t i = 0; ok && i < config->channel_count; i++) {
		if (!*config->channels[i].numbers.country)
			continue;
		const struct address_form form = channel_addresses(&config->channels[i]);
		ok = find_in_form(call, &form, address, found);
	}
	json_object_foreach(found, id, unused)
	{
		struct customer_view view = {0};
		ok = ok && store_read_customer(call->api->reader, id, &view.customer, &view.preferences,
					       &view.count);
		if (ok && view.customer)
			json_array_append_new(list, customer_view_json(call, &view));
		customer_view_release(&view);
	}
	if (ok)
		call_answer(call, 200, json_pack("{s:O}", "customers", list));
	else
		call_store_failed(call);
out:
	json_decref(found);
	json_decref(list);
}

/* --- preferences --- */

void api_preferences_get(struct call *call)
{
	struct customer_view view;

	if (customer_view_read(call, call->args[0], &view))
		call_answer(call, 200, json_pack("{s:o}", "preferences", preferences_json(call, &view)));
	customer_view_release(&view);
}

void api_preferences_put(struct call *call)
{
	const json_t *list =
		json_is_array(call->body) ? call->body : json_object_get(call->body, "preferences");
	json_t *answer = NULL;
	struct text problem;

	if (!list || (json_is_object(call->body) && json_object_size(call->body) != 1)) {
		call_problem(call, 422, "preferences: an array of objects is wanted, and nothing beside it");
		return;
	}
	if (!call_may_change(call) || !preferences_allowed(call, list))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_preferences(&call->api->door, &call->request->asker, call->args[0], list, false,
					 &answer, &problem);
	preferences_keep_allowed(call, json_object_get(answer, "preferences"));
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

void api_preference_get(struct call *call)
{
	const char *name = call->args[1];
	const struct product *product = product_find(call->api->config->products, name);
	const struct preference *stored;
	struct customer_view view;
	struct choices choices;

	view = (struct customer_view){0};
	if (!call_product_allowed(call, name) || !customer_view_read(call, call->args[0], &view))
		goto out;
	stored = preference_for(&view, name);
	if (product || strcmp(name, "*") == 0) {
		customer_view_choices(&view, product, &choices);
		call_answer(call, 200, preference_applied_json(product, &choices));
	} else if (stored) { /* its product is no longer there */
		call_answer(call, 200, preference_to_json(stored));
	} else {
		call_problem(call, 404, "product %s: there is no product of this name", name);
	}
out:
	customer_view_release(&view);
}

static void preference_change(struct call *call, bool merge)
{
	json_t *answer = NULL;
	struct text problem;

	if (!call_wants_object(call) || !call_may_change(call) || !call_product_allowed(call, call->args[1]))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_prefer(&call->api->door, &call->request->asker, call->args[0], call->args[1],
				    call->body, merge, &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}

void api_preference_put(struct call *call)
{
	preference_change(call, false);
}

void api_preference_patch(struct call *call)
{
	preference_change(call, true);
}
