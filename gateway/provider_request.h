/* A provider's `request` (contract: Providers): compiled once, then made into requests. Its texts are
 * Mustache over
 *
 *   settings.NAME  to  digits (`to` without its +)  text  summary  locale  attempt
 *   message.id  customer.id  customer.name  product.id  product.title
 *   callback_url (where it is to report what became of this attempt; left out where it can't)
 *   unicode (true where `text` needs UCS-2)  time.unix  time.ms  time.iso  time.http  nonce
 *
 * and the same below xml., json. and url., escaped for where it is put. With auth hmac the headers and what
 * is signed also see request.method, .path, .target (path and query), .host, .body, .content_type,
 * .body_sha256, .body_sha256_base64 and .body_md5_base64, and the signature's value sees `signature`.
 *
 * In `url` every value is URL-encoded but settings named *_url; `query` and `form` are encoded whole; `json`
 * is a tree whose strings are Mustache; `body` is escaped as its content_type asks (JSON, XML, else nothing).
 * A header, a field of query or form, or a member in `json` that comes out empty is left out; an empty
 * setting is false. Immutable once compiled; any thread. */
#ifndef HEED_PROVIDER_REQUEST_H
#define HEED_PROVIDER_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct provider_request;

/* `file` is the whole description and outlives the result; `settings` the channel's. NULL, and a line in
 * `errors` for each mistake. */
struct provider_request *provider_request_compile(const json_t *file, const json_t *settings,
						  struct text *errors);
void provider_request_free(struct provider_request *request);

struct provider_message {
	const char *to, *text, *summary, *locale, *message_id, *customer_id, *customer_name, *product,
		*product_title;
	const char *callback_url; /* where it is to report; NULL and "": nowhere */
	int attempt;
	int64_t now; /* the wall clock */
};

/* Where a made request goes. */
struct provider_sink {
	struct text *url;
	struct text *body;
	bool has_body;      /* set */
	const char *method; /* set; as long as the description */
	/* False: it can't be a header. */
	bool (*header)(void *context, const char *name, const char *value);
	void *context;
	const char *token; /* with oauth2: the access token; NULL: there is none to show */
};

bool provider_request_make(const struct provider_request *request, const struct provider_message *message,
			   struct provider_sink *sink, struct text *error);
/* settings.base_url as it is used; "" */
const char *provider_request_base_url(const struct provider_request *request);

#endif
