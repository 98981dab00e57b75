/* Between the files that read callbacks: what came, as fields, and whether it is signed. */
#ifndef HEED_PROVIDER_CALLBACK_PRIVATE_H
#define HEED_PROVIDER_CALLBACK_PRIVATE_H

#include "digest.h"
#include "mustache.h"
#include "provider_callback.h"

struct callback_field {
	char *name, *value;
};
struct callback_fields {
	struct callback_field *list; /* in the order in which they came */
	size_t count;
};

/* A request being read. */
struct callback_reading {
	const struct callback_request *request;
	struct callback_fields query, form;
	bool is_form;
	json_t *json; /* NULL: the body is none */
};

enum callback_signature { SIGNED_TWILIO, SIGNED_SORTED, SIGNED_JWT, SIGNED_HMAC, SIGNED_SECRET };

struct callback_sign {
	enum callback_signature type;
	char *key; /* never empty */
	size_t key_len;
	const char *name; /* of the header or parameter */
	bool in_query, base64, wants_url;
	enum digest_kind digest;
	const char *prefix;
	struct mustache *sign; /* SIGNED_HMAC: what is signed; NULL: the body */
	const char *sign_source;
};

bool callback_is_signed(const struct callback_sign *sign, const struct callback_reading *reading);
/* Of the form, else of the query; NULL. */
const char *callback_field(const struct callback_reading *reading, const char *name);

#endif
