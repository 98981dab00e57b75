/* Codes and links that go to an address on file: from `choose` to `full`, and a new link for one that has
 * expired. The code stands nowhere but in the message: its ticket, in the form, is signed and says for what
 * it is, and the tries are counted in the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page_private.h"
#include "banned.h"

#define WHAT_MAX 4096
#define LINK_MESSAGE_KEEP (1 * MOMENT_HOUR)

const struct address *page_link_address(const struct page *page)
{
	const struct customer *customer = page->view.customer;

	for (size_t i = 0; page->view.link.address && i < customer->address_count; i++) {
		const struct address *address = &customer->addresses[i];
		if (address->state == ADDRESS_OK &&
		    link_address(address->channel, address->value) == page->view.link.address)
			return address;
	}
	return NULL;
}

bool page_send(struct page *page, const struct own_message *to, const char *subject, const char *text,
	       const char *value)
{
	const json_t *words = page->view.words;
	const char *company = page->view.config->company.name;
	struct own_message message = *to;
	struct text said, problem;

	text_init(&said, SAY_MAX);
	text_init(&problem, TEXT_ERROR_MAX);
	json_t *body = say(words, text, "code", value, "url", value, NULL);
	if (*company)
		say_to(&said, words, "message_from", "company", company, "text", json_string_value(body),
		       NULL);
	else
		text_puts(&said, json_string_value(body));
	message.subject = say_word(words, subject);
	message.text = said.data;
	message.locale = page->view.language;
	int status = request_own_message(&page->call->api->door, page->view.customer->id, &message, NULL,
					 &problem);
	if (status == 429)
		page_say(page, 429, "too_often_title", "too_often_text", "back");
	else if (status == 409)
		page_say(page, 409, "problem_title", "address_is_stopped", "back");
	else if (status != 200)
		page_refused(page, status);
	text_release(&said);
	text_release(&problem);
	json_decref(body);
	return status == 200;
}

void page_ask_code(struct page *page, const struct own_message *to, const char *what, const char *action,
		   const char *shown)
{
	char ticket[LINK_TICKET_SIZE], code[LINK_CODE_DIGITS + 1];

	link_ticket_write(page->view.config->links, page->token, what, page->view.now, ticket, code);
	if (page_send(page, to, to->unowned ? "address_subject" : "code_subject",
		      to->unowned ? "address_message" : "code_message", code))
		page_show(page, 200, "code", page_code(&page->view, action, to->channel, shown, ticket, ""));
}

bool page_code_right(struct page *page, const char *what, const char **wrong)
{
	const char *ticket = page_field(page, "ticket");
	struct text problem;
	int64_t ends;
	bool right;

	*wrong = "code_over";
	if (!link_ticket_read(page->view.config->links, page->token, what, page->view.now, ticket,
			      page_field(page, "code"), &ends, &right) ||
	    page->view.now >= ends)
		return false;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_own_try(&page->call->api->door, page->view.customer->id, ticket, ends, right,
				     &problem);
	text_release(&problem);
	if (status == 200 && right)
		return true;
	*wrong = status == 200 ? "code_wrong" : status == 429 ? "code_over" : "";
	if (!**wrong)
		page_refused(page, status);
	return false;
}

/* --- from choose to full --- */

static void send_code(struct page *page)
{
	const char *channel = page_field(page, "channel");
	char what[WHAT_MAX], key[16];
	size_t dead, stopped;

	if (!page_takes_code(&page->view, channel)) {
		page_refused(page, 422);
		return;
	}
	const struct address *address = customer_address(page->view.customer, channel, &dead, &stopped);
	snprintf(key, sizeof key, "%u", (unsigned)link_address(channel, address->value));
	snprintf(what, sizeof what, "open %s %s", channel, key);
	const struct own_message to = {.channel = channel, .address = address->value, .keep = LINK_CODE_KEEP};
	page_ask_code(page, &to, what, "open", key);
}

static void open_full(struct page *page)
{
	const char *channel = page_field(page, "channel"), *address = page_field(page, "address");
	const char *language = page->view.language;
	char what[WHAT_MAX], token[LINK_TOKEN_SIZE];
	struct link full = page->view.link;
	struct text where;
	const char *wrong;

	snprintf(what, sizeof what, "open %s %s", channel, address);
	if (!page_code_right(page, what, &wrong)) {
		if (*wrong)
			page_show(page, 422, "code",
				  page_code(&page->view, "open", channel, address, page_field(page, "ticket"),
					    wrong));
		return;
	}
	full.kind = LINK_FULL;
	full.address = (uint16_t)strtoul(address, NULL, 10);
	full.expires_at = page->view.now + LINK_FULL_KEEP;
	link_write(page->view.config->links, &full, page->view.customer->id, token);
	text_init(&where, LINK_URL_MAX);
	text_addf(&where, "%s%s%s", token, page->view.language_asked ? "?lang=" : "",
		  page->view.language_asked ? language : "");
	call_redirect(page->call, 303, where.data);
	text_release(&where);
}

/* --- for a link that has expired --- */

static void send_link(struct page *page)
{
	const struct address *address = page_link_address(page);
	struct link link = page->view.link;
	struct text url;

	if (!address) {
		page_say(page, 410, "expired_title", "expired_none", NULL);
		return;
	}
	const struct own_message to = {
		.channel = address->channel, .address = address->value, .keep = LINK_MESSAGE_KEEP};
	text_init(&url, LINK_URL_MAX);
	link.kind = LINK_CHOOSE;
	link.expires_at = page->view.now + LINK_CHOOSE_KEEP;
	link_url(page->view.config->links, &link, page->view.customer->id, &url);
	if (page_send(page, &to, "link_subject", "link_message", url.data)) {
		char *mask = address_mask(address->value);
		json_t *paragraphs = json_array();
		json_array_append_new(paragraphs, say(page->view.words, "sent_text", "address", mask, NULL));
		page_show(page, 200, "message",
			  page_message(&page->view, PAGE_CHOICES, say(page->view.words, "sent_title", NULL),
				       paragraphs, NULL, NULL));
		free(mask);
	}
	text_release(&url);
}

bool page_post_code(struct page *page, const char *action)
{
	if (strcmp(action, "code") == 0) {
		if (page_form_own(page, "code"))
			send_code(page);
	} else if (strcmp(action, "open") == 0) {
		if (page_form_own(page, "open"))
			open_full(page);
	} else if (strcmp(action, "new-link") == 0) {
		if (page_form_own(page, "new-link"))
			send_link(page);
	} else {
		return false;
	}
	return true;
}
