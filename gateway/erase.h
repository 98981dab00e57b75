/* What is left of a customer who was erased: a one-way name, and what the proof needs (versions, products,
 * channels, states, times, the zone). Pure: texts in, texts out. The name is an HMAC-SHA256 under a key of
 * the store's own (store_erasure_key), made with it and never changed: whoever has the store can tell whether
 * it is of an id or address that he already knows (that is how a nightly import is refused), and nobody can
 * read it back. A secret of the configuration would be lost or changed some day, and then they came back
 * unasked. */
#ifndef HEED_ERASE_H
#define HEED_ERASE_H

#include <jansson.h>
#include <stdbool.h>

#define ERASED_PREFIX "erased:"
#define ERASED_NAME_SIZE (sizeof ERASED_PREFIX + 32) /* with the NUL */

void erased_customer(const char *key, const char *id, char out[ERASED_NAME_SIZE]);
void erased_address(const char *key, const char *channel, const char *value, char out[ERASED_NAME_SIZE]);
/* Is the text a name of this form? */
bool erased_is_name(const char *text);

/* Called for each address that facts hold. */
typedef bool (*erased_found)(void *context, const char *channel, const char *value);
/* The facts of a customer as the log of changes has them, with names in the place of id and addresses, and
 * without the customer's name, locale and secrets. "" stays "". *ok: what `found` (NULL) said of all. The
 * caller frees. */
char *erased_facts(const char *key, const char *id, const char *facts, erased_found found, void *context,
		   bool *ok);
/* Reasons ([{"code","args"}]) and the arguments of one, without what may be anybody's words. The caller
 * frees. */
char *erased_reasons(const char *reasons);
char *erased_args(const char *args);
/* An event, where it is about the customer: its id, product, channel, state; else NULL. The caller frees. */
char *erased_event(const char *key, const char *id, const char *event);

#endif
