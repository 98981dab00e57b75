/* The customers' page: what a link opens, what GET shows, and where a form goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counter.h"
#include "log.h"
#include "page_private.h"
#include "xalloc.h"
#include "banned.h"

#define PAGE_MAX (4 * 1024 * 1024)
#define HTML "text/html; charset=utf-8"
#define POLICY                                                                                             \
	"default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors " \
	"'none'; base-uri 'none'"

const struct asker page_asker = {.by = "page", .actor = ""};

/* --- answers --- */

void page_show(struct page *page, int status, const char *name, json_t *model)
{
	struct text out, error;

	text_init(&out, PAGE_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	if (!pages_render(page->view.config->pages, name, model, &out, &error)) {
		log_error("page %s: %s", name, error.data);
		call_problem(page->call, 500, "the page could not be made");
	} else {
		call_text(page->call, status, HTML, &out);
		struct api_response *response = page->call->response;
		api_response_header(response, "Content-Security-Policy", POLICY);
		api_response_header(response, "X-Frame-Options", "DENY");
		api_response_header(response, "X-Robots-Tag", "noindex, nofollow");
		api_response_header(response, "Content-Language", "%s", page->view.language);
		api_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
		api_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	}
	json_decref(model);
	text_release(&out);
	text_release(&error);
}

void page_say(struct page *page, int status, const char *heading, const char *text, const char *back)
{
	const json_t *words = page->view.words;
	json_t *paragraphs = json_array();

	if (*text)
		json_array_append_new(paragraphs, say(words, text, NULL));
	page_show(page, status, "message",
		  page_message(&page->view, PAGE_CHOICES, say(words, heading, NULL), paragraphs, NULL, back));
}

void page_refused(struct page *page, int status)
{
	page_say(page, status, status == 503 ? "unavailable_title" : "problem_title",
		 status == 503 ? "problem_busy" : "problem_refused", "try_again");
}

/* --- opening --- */

static void set_language(struct page *page, const char *language)
{
	snprintf(page->view.language, sizeof page->view.language, "%s", language);
	page->view.words = pages_words(page->view.config->pages, page->view.language);
}

/* The one that was asked for, else the customer's, else, where nobody is known, the browser's first. */
static void choose_language(struct page *page)
{
	const struct config *config = page->view.config;
	const char *asked = call_query(page->call, "lang");
	const char *accepted = api_request_header(page->call->request, "Accept-Language");
	char first[LOCALE_MAX + 1];

	snprintf(first, sizeof first, "%.*s", (int)strcspn(accepted, ",; "), accepted);
	page->view.language_asked = asked && pages_has_language(config->pages, asked);
	const char *locale = page->view.language_asked      ? asked
			     : page->view.customer == NULL  ? first
			     : *page->view.customer->locale ? page->view.customer->locale
							    : config->customers.locale;
	set_language(page, pages_language(config->pages, locale, config->customers.locale));
}

static const struct product *focus_product(const struct page *page)
{
	const struct product_set *set = page->view.config->products;

	for (size_t i = 0; page->view.link.product && i < set->count; i++)
		if (link_product(set->products[i].name) == page->view.link.product)
			return &set->products[i];
	return NULL;
}

bool page_again(struct page *page)
{
	char *id = xstrdup(page->customer.customer->id);

	customer_view_release(&page->customer);
	bool ok = store_read_customer(page->call->api->reader, id, &page->customer.customer,
				      &page->customer.preferences, &page->customer.count);
	page->view.customer = page->customer.customer;
	page->view.preferences = page->customer.preferences;
	page->view.preference_count = page->customer.count;
	if (!ok)
		page_say(page, 503, "unavailable_title", "unavailable_text", NULL);
	else if (!page->customer.customer)
		page_say(page, 404, "forged_title", "forged_text", NULL);
	free(id);
	return ok && page->customer.customer;
}

/* Whoever made the link for whom is found out in one way, whatever is wrong with it. */
static bool open_link(struct page *page, const char *token, unsigned kinds)
{
	struct store_reader *reader = page->call->api->reader;
	char *id = NULL;
	bool ok = true, ours = false;

	if (link_read(token, &page->view.link)) {
		snprintf(page->token, sizeof page->token, "%s", token);
		ok = store_read_customer_id(reader, page->view.link.customer, &id);
		ours = link_opens(page->view.config->links, token, id ? id : "") && id &&
		       (kinds & 1u << page->view.link.kind);
	}
	if (ok && ours)
		ok = store_read_customer(reader, id, &page->customer.customer, &page->customer.preferences,
					 &page->customer.count);
	free(id);
	page->view.customer = page->customer.customer;
	page->view.preferences = page->customer.preferences;
	page->view.preference_count = page->customer.count;
	choose_language(page);
	if (!ok)
		page_say(page, 503, "unavailable_title", "unavailable_text", NULL);
	else if (!page->customer.customer)
		page_say(page, 404, "forged_title", "forged_text", NULL);
	return ok && page->customer.customer;
}

static bool read_form(struct page *page)
{
	const struct api_request *request = page->call->request;

	if (strcmp(request->method, "POST") != 0)
		return true;
	page->form = form_read(api_request_header(request, "Content-Type"), request->body, request->body_len);
	if (!page->form)
		page_say(page, request->body_len > FORM_BODY_MAX ? 413 : 400, "problem_title", "problem_form",
			 "try_again");
	return page->form != NULL;
}

bool page_open(struct call *call, unsigned kinds, struct page *page)
{
	const struct config *config = call->api->config;

	*page = (struct page){.call = call};
	page->view =
		(struct page_view){.config = config, .token = page->token, .now = moment_now(), .open = ""};
	if (!config->links || !config->pages) {
		call_problem(call, 404, "there is no http.public in the configuration");
		return false;
	}
	if (!open_link(page, call->args[0], kinds))
		return false;
	page->view.zone = customer_zone(config, page->view.customer);
	page->view.focus = focus_product(page);
	return read_form(page);
}

void api_page_nothing(struct call *call)
{
	const struct config *config = call->api->config;
	struct page page = {.call = call, .view = {.config = config, .token = "", .open = ""}};

	if (!config->links || !config->pages) {
		call_problem(call, 404, "there is nothing at this path");
		return;
	}
	choose_language(&page);
	page_say(&page, 404, "forged_title", "forged_text", NULL);
}

void page_close(struct page *page)
{
	customer_view_release(&page->customer);
	json_decref(page->form);
}

/* --- forms --- */

const char *page_field(const struct page *page, const char *name)
{
	return form_field(page->form, name);
}

bool page_form_own(struct page *page, const char *format, ...)
{
	const char *site = api_request_header(page->call->request, "Sec-Fetch-Site");
	struct text form;
	va_list args;

	text_init(&form, URL_PART_MAX);
	va_start(args, format);
	text_vaddf(&form, format, args);
	va_end(args);
	bool own = strcmp(site, "cross-site") != 0 &&
		   link_form_opens(page->view.config->links, page->token, form.data, page->view.now,
				   page_field(page, "form"));
	text_release(&form);
	if (!own)
		page_say(page, 403, "problem_title", "problem_form", "try_again");
	return own;
}

json_t *page_how(const struct page *page, const char *how)
{
	return json_pack("{s:s, s:o}", "source", page->view.link.kind == LINK_FULL ? "page:full" : "page",
			 "evidence", page_evidence(&page->view, how));
}

void page_add_way(const struct page *page, json_t *notice, const json_t *answer)
{
	size_t count = json_array_size(json_object_get(answer, "on_their_way"));
	char number[24];

	notice_add(notice, say(page->view.words, "done_binding", NULL));
	snprintf(number, sizeof number, "%zu", count);
	if (count)
		notice_add(notice, say(page->view.words, count == 1 ? "on_their_way_one" : "on_their_way",
				       "n", number, NULL));
}

/* --- GET and POST --- */

static void show_expired(struct page *page)
{
	const json_t *words = page->view.words;
	const struct address *address = page_link_address(page);
	json_t *paragraphs = json_array(), *ask = NULL;

	json_array_append_new(paragraphs, say(words, "expired_text", NULL));
	if (address) {
		char *mask = address_mask(address->value);
		json_array_append_new(paragraphs, say(words, "expired_offer", "address", mask, NULL));
		ask = json_pack("{s:s, s:o, s:s}", "do", "new-link", "label",
				say(words, "expired_send", NULL), "class", "main");
		page_set_form(&page->view, ask, "form", "new-link");
		free(mask);
	} else {
		json_array_append_new(paragraphs, say(words, "expired_none", NULL));
	}
	page_show(page, 410, "message",
		  page_message(&page->view, PAGE_CHOICES, say(words, "expired_title", NULL), paragraphs, ask,
			       NULL));
}

json_t *page_stays(const struct page *page)
{
	const struct page_view *view = &page->view;
	const struct product_set *set = view->config->products;
	json_t *line = NULL;
	struct text stays;

	text_init(&stays, SAY_MAX);
	for (size_t i = 0; i < set->count; i++)
		if (!set->products[i].may_stop)
			text_addf(&stays, "%s %s", stays.len ? "," : "",
				  product_title(&set->products[i], view->language,
						view->config->customers.locale));
	if (stays.len) {
		json_t *word = say(view->words, "stop_all_stays", NULL);
		line = json_sprintf("%s%s", json_string_value(word), stays.data);
		json_decref(word);
	}
	text_release(&stays);
	return line;
}

static void ask_stop_all(struct page *page)
{
	const json_t *words = page->view.words;
	json_t *paragraphs = json_array(), *ask, *stays = page_stays(page);

	json_array_append_new(paragraphs, say(words, "stop_all_help", NULL));
	if (stays)
		json_array_append_new(paragraphs, stays);
	ask = json_pack("{s:s, s:o, s:s}", "do", "stop-all", "label", say(words, "stop_all_yes", NULL),
			"class", "danger");
	page_set_form(&page->view, ask, "form", "stop-all");
	page_show(page, 200, "message",
		  page_message(&page->view, PAGE_CHOICES, say(words, "stop_all_ask", NULL), paragraphs, ask,
			       "no_back"));
}

void api_page_get(struct call *call)
{
	struct page page;

	if (page_open(call, 1u << LINK_CHOOSE | 1u << LINK_FULL, &page)) {
		const char *ask = call_query(call, "ask");
		if (link_expired(&page.view.link, page.view.now))
			show_expired(&page);
		else if (ask && strcmp(ask, "stop") == 0)
			ask_stop_all(&page);
		else if (!page_get_full(&page, call_query(call, "view")))
			page_show(&page, 200, "choices", page_choices(&page.view, NULL, NULL));
	}
	page_close(&page);
}

void api_page_post(struct call *call)
{
	struct page page;

	if (page_open(call, 1u << LINK_CHOOSE | 1u << LINK_FULL, &page)) {
		const char *action = page_field(&page, "do");
		bool expired = link_expired(&page.view.link, page.view.now);
		if (expired && strcmp(action, "new-link") != 0)
			show_expired(&page);
		else if (!call->api->door.turn)
			page_refused(&page, 503);
		else if (!page_post_code(&page, action) && !page_post_line(&page, action) &&
			 !page_post_full(&page, action))
			page_refused(&page, 400);
	}
	page_close(&page);
}

void api_asset(struct call *call)
{
	const struct page_set *pages = call->api->config->pages;
	const struct page_asset *asset = pages ? pages_asset(pages, call->args[0]) : NULL;
	struct text bytes;

	if (!asset) {
		call_problem(call, 404, "there is nothing at this path");
		return;
	}
	text_init(&bytes, PAGES_LOGO_MAX);
	text_add(&bytes, asset->data, asset->len);
	call_text(call, 200, asset->type, &bytes);
	api_response_header(call->response, "Cache-Control", "public, max-age=86400");
	api_response_header(call->response, "Content-Security-Policy",
			    "default-src 'none'; style-src 'unsafe-inline'; sandbox");
	text_release(&bytes);
}
