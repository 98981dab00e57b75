/* Routes: contacts, filtered, by cursor, or as they come; and one customer's history. */
#include <inttypes.h>
#include <stdlib.h>

#include "api_private.h"
#include "http_words.h"
#include "banned.h"

#define LOG_LIMIT_USUAL 100
#define PRODUCTS_TEXT_MAX (64 * 1024) /* the names of a token's products */

struct page {
	struct contact *contacts;
	size_t count;
};

static void page_release(struct page *page)
{
	for (size_t i = 0; i < page->count; i++)
		contact_release(&page->contacts[i]);
	free(page->contacts);
	*page = (struct page){0};
}

static json_t *page_json(const struct page *page)
{
	json_t *list = json_array();

	for (size_t i = 0; i < page->count; i++)
		json_array_append_new(list, contact_to_json(&page->contacts[i]));
	return list;
}

/* A cursor is a number to us and a word to everybody else. */
static json_t *cursor_json(int64_t cursor)
{
	return json_sprintf("%" PRId64, cursor);
}

/* A token that is limited to products sees contacts of these: *products, which `list` holds. False, and
 * answered: it asks for another one. */
static bool limit_products(struct call *call, struct text *list, struct log_query *query)
{
	const struct api_token *token = call->token;

	if (!token || !token->product_count)
		return true;
	if (query->product)
		return call_product_allowed(call, query->product);
	text_puts(list, ",");
	for (size_t i = 0; i < token->product_count; i++)
		text_addf(list, "%s,", token->products[i]);
	query->products = list->data;
	return true;
}

void api_history(struct call *call)
{
	struct log_query query = {
		.customer = call->args[0], .product = call_query(call, "product"), .newest_first = true};
	struct customer_view view = {0};
	struct page page = {0};
	struct text products;

	text_init(&products, PRODUCTS_TEXT_MAX);
	if (!call_limit(call, LOG_LIMIT_USUAL, &query.limit) || !call_number(call, "before", &query.before) ||
	    !limit_products(call, &products, &query) || !customer_view_read(call, call->args[0], &view))
		goto out;
	if (!store_read_log(call->api->reader, &query, &page.contacts, &page.count)) {
		call_store_failed(call);
		goto out;
	}
	bool more = page.count == query.limit;
	call_answer(call, 200,
		    json_pack("{s:o, s:o}", "contacts", page_json(&page), "next",
			      more ? cursor_json(page.contacts[page.count - 1].seq) : json_null()));
out:
	text_release(&products);
	page_release(&page);
	customer_view_release(&view);
}

/* Reads what is asked of the log; answered with a problem where it is false. */
static bool log_query_read(struct call *call, struct text *products, struct log_query *query, int64_t *wait)
{
	const char *state = call_query(call, "state"), *since = call_query(call, "since");

	*query = (struct log_query){.customer = call_query(call, "customer"),
				    .product = call_query(call, "product"),
				    .channel = call_query(call, "channel"),
				    .message = call_query(call, "message"),
				    .has_state = state != NULL,
				    .by_change = call_query(call, "after") != NULL};
	*wait = 0;
	if (state && !state_parse(state, &query->state)) {
		call_problem(call, 400, "state: '%s' is not a state of a message or contact", state);
		return false;
	}
	if (since && !moment_parse(since, &query->since)) {
		call_problem(call, 400, "since: '%s' is not a time such as 2026-11-22T10:00:00Z", since);
		return false;
	}
	return limit_products(call, products, query) && call_duration(call, "wait", API_WAIT_MAX, wait) &&
	       call_number(call, "after", &query->after) && call_number(call, "before", &query->before) &&
	       call_limit(call, LOG_LIMIT_USUAL, &query->limit);
}

/* Looks until there is something or the wait is over. False: the store failed. */
static bool log_read(struct call *call, const struct log_query *query, int64_t wait, struct page *page)
{
	int64_t until = moment_mono() + wait;

	for (;;) {
		if (!store_read_log(call->api->reader, query, &page->contacts, &page->count))
			return false;
		if (page->count || !call_pause(call, until))
			return true;
		free(page->contacts);
		page->contacts = NULL;
	}
}

/* With `after` the contacts that changed since, in that order; without, the last `limit` ones, oldest first.
 * `next` is what to ask `after` for: it is read before the list, so that nothing falls between the two. */
void api_log(struct call *call)
{
	const char *accept = api_request_header(call->request, "Accept");
	struct log_query query;
	struct page page = {0};
	struct text products;
	int64_t wait, next;

	text_init(&products, PRODUCTS_TEXT_MAX);
	if (!log_query_read(call, &products, &query, &wait))
		goto out;
	if (http_prefers(accept, LOG_STREAM_TYPE, "application/json")) {
		api_log_stream(call, &query);
	} else if (!http_accepts(accept, "application/json")) {
		call_problem(call, 406, "Accept: the answer is application/json or " LOG_STREAM_TYPE);
	} else if (!store_read_last_change(call->api->reader, &next) ||
		   !log_read(call, &query, wait, &page)) {
		call_store_failed(call);
	} else {
		if (query.by_change)
			next = page.count ? page.contacts[page.count - 1].changed : query.after;
		call_answer(call, 200,
			    json_pack("{s:o, s:o}", "contacts", page_json(&page), "next", cursor_json(next)));
	}
out:
	text_release(&products);
	page_release(&page);
}

/* The last `limit` messages that were captured (at most API_CAPTURED_MAX), oldest first, each with the bytes
 * that would have left. `before` is a contact's seq: those older than that one. */
void api_captured(struct call *call)
{
	struct log_query query = {.customer = call_query(call, "customer"),
				  .channel = call_query(call, "channel"),
				  .captured = true};
	struct page page = {0};

	if (!call_number(call, "before", &query.before) || !call_limit(call, API_CAPTURED_MAX, &query.limit))
		return;
	if (query.limit > API_CAPTURED_MAX)
		query.limit = API_CAPTURED_MAX;
	if (store_read_log(call->api->reader, &query, &page.contacts, &page.count)) {
		json_t *list = page_json(&page), *contact;
		size_t i;
		json_array_foreach(list, i, contact)
			json_object_set_new(contact, "content", json_string(page.contacts[i].content));
		call_answer(call, 200, json_pack("{s:o}", "contacts", list));
	} else {
		call_store_failed(call);
	}
	page_release(&page);
}
