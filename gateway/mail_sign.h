/* DKIM signatures (RFC 6376, RFC 8463): a port that is filled at link time by adapters/mail_sign.c. One
 * signature for each key; threads may sign at once. */
#ifndef HEED_MAIL_SIGN_H
#define HEED_MAIL_SIGN_H

#include <jansson.h>
#include <stdbool.h>

#include "text.h"

#define MAIL_SIGN_KEYS_MAX 4 /* RSA and Ed25519, each the old and the new */

struct mail_signer;

/* `dkim` is the channel's list of { domain, selector, key }, key being PEM. NULL: `errors` has a line for
 * each mistake ("dkim.0.key: …"); what a key holds is never quoted. */
struct mail_signer *mail_signer_new(const json_t *dkim, struct text *errors);
void mail_signer_free(struct mail_signer *signer); /* NULL is fine */
/* Puts the signatures before the mail (whole, CRLF). False: `error`. */
bool mail_sign(const struct mail_signer *signer, struct text *mail, struct text *error);

#endif
