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
/* What the store refused, on a page of its own; after 503 or what the form can't show. */
void page_refused(struct page *page, int status);
extern const struct asker page_asker; /* changed_by: page */

/* page_lines.c: save, stop, move, pause, resume, follow; stop everything. True: `action` was one of them. */
bool page_post_line(struct page *page, const char *action);

#endif
