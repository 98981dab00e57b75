/* The names by which a mail that comes back is known again. They are signed with a key that never leaves the
 * store: nobody can make one up, nor one for somebody else's message from his own. Letters and digits only,
 * so that they survive in an address and in a Message-ID whatever is put around them, in either case. Pure;
 * any thread. */
#ifndef HEED_MAIL_TOKEN_H
#define HEED_MAIL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mail_token_kind {
	MAIL_TOKEN_ATTEMPT, /* in the envelope: a contact's seq */
	MAIL_TOKEN_MESSAGE  /* in the Message-ID, the same on every attempt: message_row.n */
};

#define MAIL_TOKEN_MAX 28         /* with the NUL */
#define MAIL_TOKEN_MARK "{token}" /* where it goes in envelope_from */

void mail_token_make(const char *key, enum mail_token_kind kind, int64_t n, char out[MAIL_TOKEN_MAX]);
/* Is one of the pieces of an address or a Message-ID ("bounces+TOKEN@example.com", "m-1.TOKEN@example.com") a
 * token that this key signed? */
bool mail_token_find(const char *key, const char *reference, enum mail_token_kind *kind, int64_t *n);

#endif
