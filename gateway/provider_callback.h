/* A provider's `callbacks` (contract: Providers): what it calls us with, how that is signed, and what a
 * receipt and a reply look like. Immutable once compiled; any thread. */
#ifndef HEED_PROVIDER_CALLBACK_H
#define HEED_PROVIDER_CALLBACK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "moment.h"
#include "text.h"
#include "words.h"

#define CALLBACK_FIELDS_MAX 256              /* of a query and of a form, each */
#define CALLBACK_ITEMS_MAX 1000              /* receipts and replies in one request */
#define CALLBACK_DEPTH_MAX 16                /* of its JSON */
#define CALLBACK_VALUE_MAX 512               /* bytes of a field but for a reply's text */
#define CALLBACK_AGE_MAX (5 * MOMENT_MINUTE) /* of what says when it was signed */

struct provider_callback;

/* `file` is the whole description and outlives the result; `settings` the channel's. NULL: it has none, or
 * what they are signed with was not given (then nothing is asked for, and nothing believed), or lines in
 * `errors`. */
struct provider_callback *provider_callback_compile(const json_t *file, const json_t *settings,
						    struct text *errors);
void provider_callback_free(struct provider_callback *callback);
/* Does it say what became of a message? */
bool provider_callback_has_receipts(const struct provider_callback *callback);

/* As it came. */
struct callback_request {
	const char *method;
	const char *url;   /* as the provider called it: public_url, the path, ? and the query */
	const char *query; /* raw, "" */
	const char *body;
	size_t body_len;
	const char *(*header)(const void *context, const char *name); /* "" where it is not there */
	const void *context;
	int64_t now; /* the wall clock */
};

enum callback_kind { CALLBACK_RECEIPT, CALLBACK_REPLY };
struct callback_item {
	enum callback_kind kind;
	char *id;        /* the provider's reference; "" */
	int64_t attempt; /* the contact that the receipt names; 0 */
	enum receipt_says says;
	bool dead;
	char *code, *text;         /* of a receipt its words, of a reply what was written; "" */
	char *from, *to, *answers; /* of a reply; "" */
};
struct callback_items {
	struct callback_item *list;
	size_t count;
};
void callback_items_release(struct callback_items *items);

enum callback_verdict {
	CALLBACK_FINE,
	CALLBACK_UNSIGNED, /* not by whom it should be */
	CALLBACK_MALFORMED
};
/* `why`: what is wrong, without secrets. What is neither a receipt nor a reply, or a state in between, gives
 * no items. */
enum callback_verdict provider_callback_read(const struct provider_callback *callback,
					     const struct callback_request *request,
					     struct callback_items *items, struct text *why);

#endif
