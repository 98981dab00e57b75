/* Between the handlers of the customers' pages (page_*.c). */
#ifndef HEED_PAGE_PRIVATE_H
#define HEED_PAGE_PRIVATE_H

#include "api_private.h"
#include "page_form.h"
#include "page_model.h"
#include "page_words.h"

/* A page under way: what the link opened, read anew for each request. */
struct page {
	struct call *call;
	struct page_view view;
	struct customer_view customer;
	char token[LINK_TOKEN_SIZE];
	json_t *form; /* POST: what was sent; else NULL */
};

/* Opens args[0] as a link of one of the kinds (a mask of 1 << enum link_kind), expired or not. False, and
 * answered: it is none of ours, the store can't be read, or what was sent is no form. page_close in both
 * cases. */
bool page_open(struct call *call, unsigned kinds, struct page *page);
void page_close(struct page *page);
/* Reads the customer again, after a change. False, and answered. */
bool page_again(struct page *page);
/* Renders templates/pages/NAME.html; takes the model. */
void page_show(struct page *page, int status, const char *name, json_t *model);
/* Says something: words by their keys, "" for none; `back` as page_message. */
void page_say(struct page *page, int status, const char *heading, const char *text, const char *back);
/* The form's own token. False, and answered with 403: it came from elsewhere, or is too old. */
__attribute__((format(printf, 2, 3))) bool page_form_own(struct page *page, const char *format, ...);
/* A field of what was sent; "". */
const char *page_field(const struct page *page, const char *name);
/* What a change carries into the log: the customer's page, and what was shown. */
json_t *page_how(const struct page *page, const char *how);
/* The lines of a notice after a change: how many messages were on their way. */
void page_add_way(const struct page *page, json_t *notice, const json_t *answer);
/* A line that says what stays although everything is stopped; NULL: nothing does. */
json_t *page_stays(const struct page *page);
/* What the store refused, on a page of its own; after 503 or what the form can't show. */
void page_refused(struct page *page, int status);
extern const struct asker page_asker; /* changed_by: page */

/* page_code.c: a code or a link that is sent, a code that is typed. */
bool page_post_code(struct page *page, const char *action);
/* page_full.c: addresses, history, data: what a link of the level `full` opens. True: `view` was one of them,
 * and was shown. */
bool page_get_full(struct page *page, const char *view);
bool page_post_full(struct page *page, const char *action);
/* Sends heed's own words (keys of the language) to an address, with {code} or {url}. False, and answered. */
bool page_send(struct page *page, const struct own_message *to, const char *subject, const char *text,
	       const char *value);
/* Types a code: true where it was right. Else what is wrong, a word's key, is in *wrong; "", and answered:
 * the store failed. */
bool page_code_right(struct page *page, const char *what, const char **wrong);
/* Sends a code for `what`, and shows where it is typed. `shown`: the address as the form has it. */
void page_ask_code(struct page *page, const struct own_message *to, const char *what, const char *action,
		   const char *shown);
/* The address that the link went to, where it still is the customer's and works; NULL. */
const struct address *page_link_address(const struct page *page);

/* page_lines.c: save, stop, move, pause, resume, follow; stop everything. True: `action` was one of them. */
bool page_post_line(struct page *page, const char *action);

#endif
