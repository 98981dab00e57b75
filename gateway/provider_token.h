/* The access token of a provider with OAuth 2.0 client credentials (RFC 6749, section 4.4): when one must be
 * fetched, by which request, and what its answer means. Where the token's endpoint fails, that is the
 * provider's fault. Pure but for what it keeps: one thread; the clock is monotonic and passed in. */
#ifndef HEED_PROVIDER_TOKEN_H
#define HEED_PROVIDER_TOKEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "moment.h"
#include "provider_answer.h"
#include "provider_request.h"
#include "text.h"

#define TOKEN_MAX 8192                    /* bytes */
#define TOKEN_LIFE_UNSAID MOMENT_HOUR     /* where the answer has no expires_in */
#define TOKEN_LIFE_MAX (30 * MOMENT_DAY)  /* a longer one is taken for this */
#define TOKEN_EARLY MOMENT_MINUTE         /* fetched anew so long before its end, or a tenth of its life */
#define TOKEN_AGAIN (5 * MOMENT_S)        /* after a failure, while the old one still serves */
#define TOKEN_REFUSED_PAUSE MOMENT_MINUTE /* wrong credentials: asking more often may lock an account */

struct provider_token;

/* `file` and `settings` outlive it. NULL: the file asks for no token, or there are lines in `errors`. */
struct provider_token *provider_token_compile(const json_t *file, const json_t *settings,
					      struct text *errors);
void provider_token_free(struct provider_token *token);

enum token_need {
	TOKEN_FINE,
	TOKEN_WANTED, /* the one that is there still serves */
	TOKEN_MISSING
};
enum token_need provider_token_need(const struct provider_token *token, int64_t now);

/* The request for one. */
bool provider_token_request(const struct provider_token *token, struct provider_sink *sink,
			    struct text *error);
/* Its answer; NULL: none came, and `outcome` says why. False: `outcome` is that of whoever waits. */
bool provider_token_take(struct provider_token *token, const struct provider_reply *reply, int64_t now,
			 struct outcome *outcome);
/* The n-th token was refused (401): it serves no longer. */
void provider_token_refuse(struct provider_token *token, unsigned n);

const char *provider_token_value(const struct provider_token *token); /* "" */
unsigned provider_token_number(const struct provider_token *token);

#endif
