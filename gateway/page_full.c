/* What only a link of the level `full` opens: addresses, what was sent, data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "page_private.h"
#include "xalloc.h"
#include "banned.h"

#define WHAT_MAX 4096
#define HISTORY_PAGE 30 /* contacts on a page */
#define WAITING_SHOWN 50
#define CHANGED_MEANWHILE_MAX 8 /* times that it is done anew, to what there is by then */

/* --- what was sent --- */

/* What has not left yet, and why: the rule that spoke last. */
static json_t *waiting_of(const struct message_rows *rows)
{
	json_t *list = json_array();

	for (size_t i = 0; i < rows->count; i++) {
		const struct message_row *row = &rows->rows[i];
		json_t *reasons = json_loads(row->reasons, 0, NULL);
		json_t *last = json_array_get(reasons, json_array_size(reasons) - 1);
		json_array_append_new(list, json_pack("{s:s, s:I, s:O}", "product", row->product, "at",
						      (json_int_t)row->admitted_at, "reason",
						      last ? last : json_null()));
		json_decref(reasons);
	}
	return list;
}

static void show_history(struct page *page)
{
	struct log_query query = {
		.customer = page->view.customer->id, .limit = HISTORY_PAGE + 1, .newest_first = true};
	const char *before = call_query(page->call, "before");
	struct message_rows rows = {0};
	struct contact *contacts = NULL;
	size_t count = 0;

	query.before = before ? strtoll(before, NULL, 10) : 0;
	if (query.before < 0) /* nothing that the page wrote: from the newest */
		query.before = 0;
	if (!store_read_log(page->call->api->reader, &query, &contacts, &count) ||
	    (!query.before &&
	     !store_read_waiting_of(page->call->api->reader, page->view.customer->n, WAITING_SHOWN, &rows))) {
		page_say(page, 503, "unavailable_title", "unavailable_text", "try_again");
	} else {
		json_t *waiting = waiting_of(&rows);
		page_show(page, 200, "history",
			  page_history(&page->view, contacts, count, HISTORY_PAGE, !query.before, waiting));
		json_decref(waiting);
	}
	message_rows_release(&rows);
	for (size_t i = 0; i < count; i++)
		contact_release(&contacts[i]);
	free(contacts);
}

/* --- addresses --- */

/* The customer's addresses on the channel, as `put` takes them, without the one that is written so. */
static json_t *addresses_but(const struct customer *customer, const char *channel, const char *value)
{
	json_t *whole = customer_to_json(customer, true), *list = json_array(), *one;
	json_t *here = json_object_get(json_object_get(whole, "addresses"), channel);
	json_t *all = json_is_array(here) ? json_incref(here) : here ? json_pack("[O]", here) : json_array();
	size_t i, k = 0;

	/* in the same order as the addresses themselves */
	for (i = 0; i < customer->address_count; i++) {
		if (strcmp(customer->addresses[i].channel, channel) != 0)
			continue;
		one = json_array_get(all, k++);
		if (one && strcmp(customer->addresses[i].value, value) != 0)
			json_array_append(list, one);
	}
	json_decref(all);
	json_decref(whole);
	return list;
}

/* What a form asks for: one address less on the channel, or (written) this one first. */
struct address_change {
	const char *channel, *value;
	bool written;
	const char *how, *done;
};

/* As they are now, with the change. 409: somebody changed the customer between our reading and the turn. */
static int ask_addresses(struct page *page, const struct address_change *change, json_t **answer,
			 struct text *problem)
{
	const struct customer *customer = page->view.customer;
	json_t *evidence = page_evidence(&page->view, change->how);
	json_t *list = addresses_but(customer, change->channel, change->value);
	const struct asker asker = {.by = "page",
				    .actor = "",
				    .source = "page:full",
				    .evidence = evidence,
				    .written = change->written ? change->value : "",
				    .facts = customer->seq};

	if (change->written)
		json_array_insert_new(list, 0, json_string(change->value));
	json_t *body = json_pack("{s:s, s:{s:o}}", "id", customer->id, "addresses", change->channel, list);
	int status =
		request_customer(&page->call->api->door, &asker, customer->id, body, true, answer, problem);
	json_decref(evidence);
	json_decref(body);
	return status;
}

static void change_addresses(struct page *page, const struct address_change *change)
{
	json_t *answer = NULL;
	struct text problem;
	int status = 409;

	text_init(&problem, TEXT_ERROR_MAX);
	for (int i = 0; status == 409 && i < CHANGED_MEANWHILE_MAX; i++) {
		if (i && !page_again(page))
			goto out; /* answered */
		text_clear(&problem);
		status = ask_addresses(page, change, &answer, &problem);
	}
	if (status >= 400) {
		page_refused(page, status);
	} else if (page_again(page)) {
		json_t *notice = notice_new(NOTICE_DONE, say(page->view.words, change->done, NULL));
		page_add_way(page, notice, answer);
		page_show(page, 200, "addresses", page_addresses(&page->view, notice, NULL));
	}
out:
	text_release(&problem);
	json_decref(answer);
}

static const char *example_of(enum address_kind kind)
{
	return kind == ADDRESS_EMAIL   ? "address_example_email"
	       : kind == ADDRESS_PHONE ? "address_example_phone"
	       : kind == ADDRESS_URL   ? "address_example_url"
				       : "";
}

static void show_bad(struct page *page, const char *channel, const struct address_form *form)
{
	const json_t *words = page->view.words;
	json_t *error = say(words, "address_bad", "example", say_word(words, example_of(form->kind)), NULL);
	json_t *notice = notice_new(NOTICE_PROBLEM, say(words, "problem_title", NULL));
	json_t *bad = json_pack("{s:s, s:s, s:O}", "channel", channel, "value", page_field(page, "address"),
				"error", error);

	notice_add(notice, error);
	page_show(page, 422, "addresses", page_addresses(&page->view, notice, bad));
	json_decref(bad);
}

/* NULL, and answered: nothing can be added there. */
static const struct channel_config *channel_to_add(struct page *page, const char *channel)
{
	const struct channel_config *config = config_channel(page->view.config, channel);

	if (config && config->ops->text != CHANNEL_TEXT_JSON)
		return config;
	page_refused(page, 422);
	return NULL;
}

static void add_address(struct page *page, const char *channel)
{
	const struct channel_config *config = channel_to_add(page, channel);
	char what[WHAT_MAX];
	struct text value;

	if (!config)
		return;
	const struct address_form form = channel_addresses(config);
	text_init(&value, ADDRESS_VALUE_MAX);
	if (address_normalise(&form, page_field(page, "address"), &value, NULL)) {
		snprintf(what, sizeof what, "add %s %s", channel, value.data);
		const struct own_message to = {
			.channel = channel, .address = value.data, .unowned = true, .keep = LINK_CODE_KEEP};
		page_ask_code(page, &to, what, "confirm", value.data);
	} else {
		show_bad(page, channel, &form);
	}
	text_release(&value);
}

static void confirm_address(struct page *page)
{
	const char *channel = page_field(page, "channel"), *value = page_field(page, "address");
	char what[WHAT_MAX];
	const char *wrong;

	if (!channel_to_add(page, channel))
		return;
	snprintf(what, sizeof what, "add %s %s", channel, value);
	if (page_code_right(page, what, &wrong)) {
		change_addresses(page, &(struct address_change){.channel = channel,
								.value = value,
								.written = true,
								.how = "address, confirmed by a code",
								.done = "address_added"});
	} else if (*wrong) {
		page_show(
			page, 422, "code",
			page_code(&page->view, "confirm", channel, value, page_field(page, "ticket"), wrong));
	}
}

static void remove_address(struct page *page, const char *channel, const char *key)
{
	const struct customer *customer = page->view.customer;
	char own[16], *found = NULL;

	for (size_t i = 0; i < customer->address_count && !found; i++) {
		const struct address *address = &customer->addresses[i];
		snprintf(own, sizeof own, "%u", (unsigned)link_address(address->channel, address->value));
		if (strcmp(address->channel, channel) == 0 && strcmp(own, key) == 0)
			found = xstrdup(address->value);
	}
	if (found)
		change_addresses(page, &(struct address_change){.channel = channel,
								.value = found,
								.how = "address removed",
								.done = "address_removed"});
	else /* it is gone already */
		page_show(page, 200, "addresses", page_addresses(&page->view, NULL, NULL));
	free(found);
}

/* --- data: what the API does for applications, done for the customer --- */

/* A route's handler, for this customer; its answer is the call's response. */
static void run_route(struct page *page, void (*handle)(struct call *call), const json_t *evidence)
{
	struct api_request request = *page->call->request;
	struct call call = {.api = page->call->api,
			    .request = &request,
			    .response = page->call->response,
			    .args = {page->view.customer->id}};

	request.asker =
		(struct asker){.by = "page", .actor = "", .source = "page:full", .evidence = evidence};
	handle(&call);
}

static void export_data(struct page *page)
{
	run_route(page, api_customer_export, NULL);
	if (page->call->response->status == 200)
		api_response_header(page->call->response, "Content-Disposition",
				    "attachment; filename=\"messages.json\"");
	else
		page_refused(page, 503);
}

static void erase_data(struct page *page)
{
	json_t *evidence = page_evidence(&page->view, "erase everything, asked twice");

	run_route(page, api_customer_erase, evidence);
	if (page->call->response->status < 300)
		page_say(page, 200, "erase_done", "erase_done_text", NULL);
	else
		page_refused(page, 503);
	json_decref(evidence);
}

static void ask_erase(struct page *page)
{
	const json_t *words = page->view.words;
	json_t *paragraphs = json_array(), *ask;

	json_array_append_new(paragraphs, say(words, "erase_help", NULL));
	json_array_append_new(paragraphs, say(words, "erase_ask_text", NULL));
	ask = json_pack("{s:s, s:o, s:s, s:o}", "do", "erase", "label", say(words, "erase_yes", NULL),
			"class", "danger", "tick", say(words, "erase_tick", NULL));
	page_set_form(&page->view, ask, "form", "erase");
	page_show(page, 200, "message",
		  page_message(&page->view, PAGE_DATA, say(words, "erase_ask", NULL), paragraphs, ask,
			       "no_back"));
}

/* --- GET and POST --- */

bool page_get_full(struct page *page, const char *view)
{
	if (!view || page->view.link.kind != LINK_FULL)
		return false;
	if (strcmp(view, "addresses") == 0)
		page_show(page, 200, "addresses", page_addresses(&page->view, NULL, NULL));
	else if (strcmp(view, "history") == 0)
		show_history(page);
	else if (strcmp(view, "data") == 0)
		page_show(page, 200, "data", page_data(&page->view));
	else if (strcmp(view, "erase") == 0)
		ask_erase(page);
	else
		return false;
	return true;
}

bool page_post_full(struct page *page, const char *action)
{
	const char *channel = page_field(page, "channel"), *address = page_field(page, "address");

	if (page->view.link.kind != LINK_FULL)
		return false;
	if (strcmp(action, "add") == 0) {
		if (page_form_own(page, "add %s", channel))
			add_address(page, channel);
	} else if (strcmp(action, "confirm") == 0) {
		if (page_form_own(page, "confirm"))
			confirm_address(page);
	} else if (strcmp(action, "remove") == 0) {
		if (page_form_own(page, "remove %s %s", channel, address))
			remove_address(page, channel, address);
	} else if (strcmp(action, "export") == 0) {
		if (page_form_own(page, "export"))
			export_data(page);
	} else if (strcmp(action, "erase") == 0) {
		if (!*page_field(page, "sure"))
			ask_erase(page);
		else if (page_form_own(page, "erase"))
			erase_data(page);
	} else {
		return false;
	}
	return true;
}
