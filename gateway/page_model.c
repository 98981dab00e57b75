#include "page_model_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "xalloc.h"
#include "banned.h"

/* --- pieces --- */

json_t *model_taken(struct text *text)
{
	json_t *string = json_stringn(text->data, text->len);

	text_release(text);
	return string ? string : json_string("");
}

json_t *model_some(const char *text)
{
	return *text ? json_string(text) : json_false();
}

void model_set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

json_t *notice_new(enum notice_kind kind, json_t *heading)
{
	static const char *const kinds[] = {"done", "problem", "changed"};

	return json_pack("{s:s, s:s, s:o, s:[]}", "kind", kinds[kind], "role",
			 kind == NOTICE_DONE ? "status" : "alert", "heading", heading, "lines");
}

void notice_add(json_t *notice, json_t *line)
{
	if (*json_string_value(line))
		json_array_append_new(json_object_get(notice, "lines"), line);
	else
		json_decref(line);
}

json_t *page_href(const struct page_view *view, const char *query)
{
	char *href =
		xasprintf("%s%s%s%s%s%s", view->token, view->language_asked || *query ? "?" : "",
			  view->language_asked ? "lang=" : "", view->language_asked ? view->language : "",
			  view->language_asked && *query ? "&" : "", query);
	json_t *json = json_string(href);

	free(href);
	return json;
}

void page_set_form(const struct page_view *view, json_t *object, const char *key, const char *form)
{
	char token[LINK_FORM_SIZE];

	link_form_write(view->config->links, view->token, form, view->now, token);
	model_set(object, key, json_string(token));
}

static const struct {
	const char *query, *word;
} parts[] = {[PAGE_CHOICES] = {"", "nav_choices"},
	     [PAGE_ADDRESSES] = {"view=addresses", "nav_addresses"},
	     [PAGE_HISTORY] = {"view=history", "nav_history"},
	     [PAGE_DATA] = {"view=data", "nav_data"}};

/* The same part of the page in each of them. */
static json_t *languages(const struct page_view *view, enum page_part part)
{
	json_t *list = json_array();
	const char *language;

	for (size_t i = 0; (language = pages_language_at(view->config->pages, i)); i++) {
		const json_t *words = pages_words(view->config->pages, language);
		char *href = xasprintf("%s?lang=%s%s%s", view->token, language, *parts[part].query ? "&" : "",
				       parts[part].query);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "code", language, "name",
						      say_word(words, "language"), "href", href, "current",
						      strcmp(language, view->language) == 0));
		free(href);
	}
	json_t *all = json_array_size(list) > 1 ? json_pack("{s:O}", "list", list) : json_false();
	json_decref(list);
	return all;
}

static json_t *views(const struct page_view *view, enum page_part part)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		json_array_append_new(
			list, json_pack("{s:o, s:s, s:b}", "href", page_href(view, parts[i].query), "label",
					say_word(view->words, parts[i].word), "current", i == (size_t)part));
	return json_pack("{s:o}", "list", list);
}

json_t *page_base(const struct page_view *view, enum page_part part, json_t *heading, json_t *notice)
{
	const char *company = view->config->company.name;
	const struct page_set *pages = view->config->pages;
	const json_t *first = notice ? json_object_get(notice, "heading") : heading;
	json_t *model = json_object();
	struct text title;

	/* the notice first: it is what a screen reader says of a page that came as an answer */
	text_init(&title, SAY_MAX);
	text_puts(&title, json_string_value(first));
	if (*company && !(first == heading && strstr(title.data, company)))
		text_addf(&title, " – %s", company);
	model_set(model, "title", model_taken(&title));
	model_set(model, "lang", json_string(view->language));
	json_object_set(model, "w", (json_t *)view->words);
	model_set(model, "company", json_string(company));
	model_set(model, "named", json_boolean(*company && !pages_asset(pages, "logo")));
	model_set(model, "logo", json_boolean(pages_asset(pages, "logo")));
	model_set(model, "assets", json_string(pages_assets_version(pages)));
	model_set(model, "self", page_href(view, ""));
	model_set(model, "languages", languages(view, part));
	if (view->customer && view->link.kind == LINK_FULL && !link_expired(&view->link, view->now))
		model_set(model, "views", views(view, part));
	model_set(model, "heading", heading);
	model_set(model, "notice", notice ? notice : json_false());
	return model;
}

/* --- addresses --- */

bool page_takes_code(const struct page_view *view, const char *channel)
{
	const struct channel_config *config = config_channel(view->config, channel);
	size_t dead, stopped;

	return config && config->ops->text != CHANNEL_TEXT_JSON &&
	       customer_address(view->customer, channel, &dead, &stopped);
}

static json_t *address_line(const struct page_view *view, const struct address *address, bool first)
{
	char *mask = address_mask(address->value), form[FORM_NAME_MAX], key[16];
	const char *state = address->state == ADDRESS_DEAD      ? "address_dead"
			    : address->state == ADDRESS_STOPPED ? "address_stopped"
			    : first                             ? "address_ok"
								: "address_next";

	snprintf(key, sizeof key, "%u", (unsigned)link_address(address->channel, address->value));
	json_t *line = json_pack("{s:s, s:s, s:s, s:s, s:o}", "address", mask, "state",
				 say_word(view->words, state), "channel", address->channel, "key", key,
				 "remove", say(view->words, "address_remove_it", "address", mask, NULL));
	snprintf(form, sizeof form, "remove %s %s", address->channel, key);
	page_set_form(view, line, "form", form);
	free(mask);
	return line;
}

static json_t *new_address(const struct page_view *view, const struct channel_config *config, const char *id,
			   const char *label, const json_t *bad)
{
	static const char *const types[] = {"email", "tel", "url", "text"}, *const fills[] = {"email", "tel",
											      "url", "off"};
	static const char *const asks[] = {"address_new_email", "address_new_phone", "address_new_url",
					   "address_new"};
	const enum address_kind kind = channel_addresses(config).kind;
	const char *channel = json_string_value(json_object_get(bad, "channel"));
	char form[FORM_NAME_MAX];

	if (config->ops->text == CHANNEL_TEXT_JSON)
		return json_false();
	bool mine = channel && strcmp(channel, config->name) == 0;
	json_t *new = json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", id, "channel", config->name, "type",
				types[kind], "autocomplete", fills[kind], "label",
				say(view->words, asks[kind], "channel", label, NULL));
	model_set(new, "value", mine ? json_incref(json_object_get(bad, "value")) : json_string(""));
	model_set(new, "error", mine ? json_incref(json_object_get(bad, "error")) : json_false());
	snprintf(form, sizeof form, "add %s", config->name);
	page_set_form(view, new, "form", form);
	return new;
}

json_t *page_addresses(const struct page_view *view, json_t *notice, const json_t *bad)
{
	json_t *model = page_base(view, PAGE_ADDRESSES, say(view->words, "addresses", NULL), notice);
	json_t *channels = json_array();

	for (size_t i = 0; i < view->config->channel_count; i++) {
		const struct channel_config *config = &view->config->channels[i];
		json_t *list = json_array();
		struct text label;
		char id[40];
		bool first = true;
		for (size_t k = 0; k < view->customer->address_count; k++) {
			const struct address *address = &view->customer->addresses[k];
			if (strcmp(address->channel, config->name) != 0)
				continue;
			json_array_append_new(list, address_line(view, address, first));
			first = first && address->state != ADDRESS_OK;
		}
		snprintf(id, sizeof id, "channel-%zu", i);
		text_init(&label, SAY_MAX);
		say_channel(&label, view->words, config->name);
		json_array_append_new(channels,
				      json_pack("{s:s, s:s, s:b, s:O, s:o}", "id", id, "label", label.data,
						"has", json_array_size(list) > 0, "list", list, "new",
						new_address(view, config, id, label.data, bad)));
		json_decref(list);
		text_release(&label);
	}
	model_set(model, "channels", channels);
	return model;
}

/* --- history --- */

static void set_when(const struct page_view *view, json_t *object, int64_t at)
{
	char stamp[MOMENT_TEXT];
	struct text when;

	moment_format(at, stamp);
	text_init(&when, SAY_MAX);
	say_date_time(&when, view->words, view->zone, at);
	model_set(object, "at", json_string(stamp));
	model_set(object, "when", model_taken(&when));
}

const char *page_title_of(const struct page_view *view, const char *name)
{
	const struct product *product = product_find(view->config->products, name);

	if (product)
		return choice_title(view, product);
	return *name ? name : say_word(view->words, "no_product");
}

/* What is about no product is heed's own where it was asked for on the page: a code, a new link. */
static const char *titled(const struct page_view *view, const char *product, const char *reason)
{
	return !*product && strcmp(reason, "asked") == 0 ? say_word(view->words, "own_product")
							 : page_title_of(view, product);
}

static json_t *why(const struct page_view *view, const char *code, const json_t *args, const char *product)
{
	struct text said;

	text_init(&said, SAY_MAX);
	say_why(&said, view->words, view->zone, code, args, page_title_of(view, product));
	json_t *label = *code ? say(view->words, "why_label", "why", said.data, NULL) : json_false();
	text_release(&said);
	return label;
}

static json_t *contact_line(const struct page_view *view, const struct contact *contact)
{
	json_t *args = *contact->reason_args ? json_loads(contact->reason_args, 0, NULL) : NULL;
	char *mask = contact->address_value && *contact->address_value ? address_mask(contact->address_value)
								       : xstrdup("");
	const char *state = contact->direction == DIRECTION_IN ? "received" : state_name(contact->state);
	const char *word = json_string_value(json_object_get(json_object_get(view->words, "state"), state));
	json_t *line = json_pack(
		"{s:s, s:o, s:o, s:s, s:o}", "title", titled(view, contact->product, contact->reason),
		"summary", model_some(contact->summary), "address", model_some(mask), "state",
		word ? word : state, "why", why(view, contact->reason, args, contact->product));
	struct text channel;

	text_init(&channel, SAY_MAX);
	if (*contact->channel)
		say_channel(&channel, view->words, contact->channel);
	model_set(line, "channel", channel.len ? json_string(channel.data) : json_false());
	set_when(view, line, contact->at);
	text_release(&channel);
	free(mask);
	json_decref(args);
	return line;
}

static json_t *waiting_line(const struct page_view *view, const json_t *waiting)
{
	const char *product = json_string_value(json_object_get(waiting, "product"));
	const json_t *reason = json_object_get(waiting, "reason");
	const char *code = json_string_value(json_object_get(reason, "code"));
	json_t *line = json_pack("{s:s, s:o}", "title", titled(view, product, code ? code : ""), "why",
				 why(view, code ? code : "", json_object_get(reason, "args"), product));

	set_when(view, line, json_integer_value(json_object_get(waiting, "at")));
	return line;
}

json_t *page_history(const struct page_view *view, const struct contact contacts[], size_t count,
		     size_t limit, bool newest, const json_t *waiting)
{
	json_t *model = page_base(view, PAGE_HISTORY, say(view->words, "history", NULL), NULL);
	json_t *list = json_array(), *waits = json_array(), *one;
	char query[64];
	size_t i;

	for (i = 0; i < count && i < limit; i++)
		json_array_append_new(list, contact_line(view, &contacts[i]));
	json_array_foreach((json_t *)waiting, i, one) json_array_append_new(waits, waiting_line(view, one));
	model_set(model, "contacts", list);
	model_set(model, "waiting",
		  json_array_size(waits) ? json_pack("{s:O}", "list", waits) : json_false());
	json_decref(waits);
	snprintf(query, sizeof query, "view=history&before=%" PRId64,
		 count > limit ? contacts[limit - 1].seq : 0);
	model_set(model, "older", count > limit ? page_href(view, query) : json_false());
	model_set(model, "newest", newest ? json_false() : page_href(view, "view=history"));
	return model;
}

/* --- the other pages --- */

json_t *page_data(const struct page_view *view)
{
	json_t *model = page_base(view, PAGE_DATA, say(view->words, "data", NULL), NULL);

	model_set(model, "erase", page_href(view, "view=erase"));
	page_set_form(view, model, "form", "export");
	return model;
}

json_t *page_message(const struct page_view *view, enum page_part part, json_t *heading, json_t *paragraphs,
		     json_t *ask, const char *back)
{
	json_t *model = page_base(view, part, heading, NULL);

	model_set(model, "paragraphs", paragraphs);
	model_set(model, "action", page_href(view, ""));
	model_set(model, "ask", ask ? ask : json_false());
	model_set(model, "back",
		  back ? json_pack("{s:o, s:s}", "href", page_href(view, ""), "label",
				   say_word(view->words, back))
		       : json_false());
	return model;
}

json_t *page_code(const struct page_view *view, const char *action, const char *channel, const char *address,
		  const char *ticket, const char *wrong)
{
	json_t *model = page_base(view, PAGE_CHOICES, say(view->words, "code_title", NULL), NULL);
	struct text by;

	text_init(&by, SAY_MAX);
	say_by(&by, view->words, channel);
	model_set(model, "sent", say(view->words, "code_sent", "channel", by.data, NULL));
	model_set(model, "do", json_string(action));
	model_set(model, "channel", json_string(channel));
	model_set(model, "address", json_string(address));
	model_set(model, "ticket", json_string(ticket));
	model_set(model, "wrong", *wrong ? say(view->words, wrong, NULL) : json_false());
	page_set_form(view, model, "form", action);
	text_release(&by);
	return model;
}

json_t *page_evidence(const struct page_view *view, const char *how)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "wording",
			 pages_wording(view->config->pages, view->language), "locale", view->language,
			 "products", view->config->products->hash, "how", how, "link",
			 view->link.kind == LINK_FULL   ? "full"
			 : view->link.kind == LINK_STOP ? "unsubscribe"
							: "choose");
}
