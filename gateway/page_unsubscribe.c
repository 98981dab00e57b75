/* One-click unsubscribe (RFC 8058): POST stops the link's product on all its channels, and nothing else; GET
 * asks first, for whoever followed the link by hand. The link does not expire. */
#include <string.h>

#include "page_private.h"
#include "banned.h"

static const struct asker unsubscribe_asker = {.by = "unsubscribe", .actor = ""};

static json_t *titled(const struct page *page, const char *key)
{
	return say(page->view.words, key, "product",
		   product_title(page->view.focus, page->view.language, page->view.config->customers.locale),
		   NULL);
}

static void say_titled(struct page *page, int status, const char *heading, json_t *paragraphs)
{
	page_show(page, status, "message",
		  page_message(&page->view, PAGE_CHOICES, titled(page, heading), paragraphs, NULL, NULL));
}

static bool is_stopped(const struct choice *choice)
{
	return choice->own && choice->own->has_channels && !choice->own->channel_count;
}

/* False, and answered: the product is gone, or may not be stopped. */
static bool may_stop(struct page *page, struct choice *choice)
{
	if (!page->view.focus) {
		page_say(page, 410, "unsubscribe_gone", "", NULL);
		return false;
	}
	choice_read(page->view.config, page->view.focus, page->view.preferences, page->view.preference_count,
		    choice);
	if (page->view.focus->may_stop)
		return true;
	say_titled(page, 422, "unsubscribe_cannot", json_array());
	return false;
}

void api_unsubscribe_get(struct call *call)
{
	struct choice choice;
	struct page page;

	if (page_open(call, 1u << LINK_STOP, &page) && may_stop(&page, &choice)) {
		const json_t *words = page.view.words;
		json_t *paragraphs = json_array(), *ask;
		if (is_stopped(&choice)) {
			say_titled(&page, 200, "unsubscribe_already", paragraphs);
		} else {
			json_array_append_new(paragraphs, say(words, "unsubscribe_text", NULL));
			ask = json_pack("{s:s, s:o, s:s, s:[{s:s, s:s}]}", "do", "stop", "label",
					say(words, "unsubscribe_yes", NULL), "class", "main", "hidden",
					"name", "List-Unsubscribe", "value", "One-Click");
			page_set_form(&page.view, ask, "form", "unsubscribe");
			page_show(&page, 200, "message",
				  page_message(&page.view, PAGE_CHOICES, titled(&page, "unsubscribe_title"),
					       paragraphs, ask, NULL));
		}
	}
	page_close(&page);
}

static void stop(struct page *page, const struct choice *choice)
{
	bool by_hand = *page_field(page, "do") != '\0';
	json_t *answer = NULL, *preference = choice_stop(choice);
	struct text problem;

	json_object_set_new(preference, "source", json_string("unsubscribe"));
	json_object_set_new(
		preference, "evidence",
		page_evidence(&page->view, by_hand ? "unsubscribe page" : "one-click (RFC 8058)"));
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_prefer(&page->call->api->door, &unsubscribe_asker, page->view.customer->id,
				    choice->name, preference, false, &answer, &problem);
	if (status == 200) {
		json_t *notice = notice_new(NOTICE_DONE, titled(page, "unsubscribe_done"));
		page_add_way(page, notice, answer);
		say_titled(page, 200, "unsubscribe_done", json_incref(json_object_get(notice, "lines")));
		json_decref(notice);
	} else {
		page_refused(page, status);
	}
	text_release(&problem);
	json_decref(preference);
	json_decref(answer);
}

void api_unsubscribe_post(struct call *call)
{
	struct choice choice;
	struct page page;

	if (page_open(call, 1u << LINK_STOP, &page) && may_stop(&page, &choice)) {
		if (strcmp(page_field(&page, "List-Unsubscribe"), "One-Click") != 0)
			page_say(&page, 400, "problem_title", "problem_form", "try_again");
		else if (!call->api->door.turn)
			page_refused(&page, 503);
		else if (is_stopped(&choice))
			say_titled(&page, 200, "unsubscribe_already", json_array());
		else
			stop(&page, &choice);
	}
	page_close(&page);
}
