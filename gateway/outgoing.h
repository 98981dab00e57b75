/* What an attempt becomes for whom it goes to: the bytes of a mail, the request to a provider's API, the
 * webhook. The same whether it is sent or captured. Pure but for the clock; any thread. */
#ifndef HEED_OUTGOING_H
#define HEED_OUTGOING_H

#include <stdbool.h>

#include "channel.h"
#include "mail_text.h"
#include "provider_request.h"
#include "text.h"

#define WEBHOOK_SIGNED_MAX (1024 * 1024) /* bytes of a body that is signed */
#define WEBHOOK_SIGNATURES_MAX 4096      /* bytes of all signatures of a request */

/* What the history keeps of it. */
struct outgoing {
	char *summary, *content; /* NULL: not kept; owned */
	int segments;            /* of a short message; 0: it is none */
};
void outgoing_release(struct outgoing *kept);

/* Each: false, and `error`: it can't be made, whatever the other side says (OUTCOME_UNSENDABLE). `kept` is
 * filled in any case as far as it goes. */
bool outgoing_mail(const struct channel_config *config, const struct attempt *attempt,
		   const struct mailbox *from, struct text *bytes, struct outgoing *kept, struct text *error);
/* A text over the channel's max_segments is an error, never cut. */
bool outgoing_to_provider(const struct channel_config *config, const struct attempt *attempt,
			  const struct provider_request *request, struct provider_sink *sink,
			  struct outgoing *kept, struct text *error);
/* A POST to the customer's own URL, signed as Standard Webhooks say (standardwebhooks.com):
 *
 *   webhook-id          the message's id, the same on every attempt
 *   webhook-timestamp   seconds since 1970, of this attempt
 *   webhook-signature   "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body", one for each secret
 *                       that the customer gave (newest first, a space between); left out where there is none
 *   traceparent         the message's, where it has one
 *   heed-meta           the message's `meta`, where it has any: compact JSON in ASCII */
bool outgoing_to_webhook(const struct channel_config *config, const struct attempt *attempt,
			 struct provider_sink *sink, struct outgoing *kept, struct text *error);
/* The text alone, where nothing says how it would go. */
bool outgoing_plain(const struct channel_config *config, const struct attempt *attempt, struct text *bytes,
		    struct outgoing *kept, struct text *error);

#endif
