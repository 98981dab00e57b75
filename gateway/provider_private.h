/* Between the files that read a provider's description: its texts, and what they see. Pure but for the nonce.
 */
#ifndef HEED_PROVIDER_PRIVATE_H
#define HEED_PROVIDER_PRIVATE_H

#include <jansson.h>
#include <stdbool.h>

#include "mustache.h"
#include "provider_request.h"
#include "text.h"

#define PROVIDER_VALUE_MAX (256 * 1024)   /* bytes of a field */
#define PROVIDER_SIGNED_MAX (1100 * 1024) /* bytes of what is signed: a body and a little */

/* How the values of a view are written. */
enum provider_view { VIEW_PLAIN, VIEW_URL, VIEW_XML, VIEW_JSON };

/* A text of the description; `what` begins a line in `errors` where it can't be had. */
struct mustache *provider_text(const char *what, const json_t *source, struct text *errors);
bool provider_render(const struct mustache *template, json_t *data, struct text *out, struct text *error);

/* The settings as texts see them: base_url without a slash at its end; an empty one is null, so that a
 * section of it is left out; in a URL all but those named *_url is encoded. */
json_t *provider_settings_view(const json_t *settings, enum provider_view view);
/* What a message gives, under the names of provider_request.h. */
json_t *provider_message_view(const struct provider_message *message, json_t *settings,
			      enum provider_view view);
/* time.unix, time.ms, time.iso, time.http: of one moment */
json_t *provider_time_view(int64_t now);
json_t *provider_nonce(void);
/* Is a name that begins with `mark` used in any text below? */
bool provider_mentions(const json_t *source, const char *mark);

/* name=value, encoded */
bool provider_pair(const char *name, const char *value, struct text *out);
/* "Basic …" (RFC 7617) */
void provider_basic(const char *user, const char *password, struct text *out);
/* XML has no place for control characters: they become spaces. */
void provider_xml_clean(char *text);

/* auth: hmac, compiled. NULL, and a line in `errors` for each mistake. */
struct provider_sign;
struct provider_sign *provider_sign_compile(const json_t *auth, struct text *errors);
void provider_sign_free(struct provider_sign *sign);
bool provider_sign_in_query(const struct provider_sign *sign);
const char *provider_sign_name(const struct provider_sign *sign);
/* What the header or parameter holds. `data` is what the texts see, `request` included; it gets `signature`.
 */
bool provider_sign_make(const struct provider_sign *sign, json_t *data, struct text *out, struct text *error);
/* request.method, .path, .target, .host, .body, .content_type, and hashes of the body */
json_t *provider_request_view(const char *method, const char *url, const struct text *body,
			      const char *content_type);

#endif
