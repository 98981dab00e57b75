/* A provider's `response` (contract: Providers; "What becomes of an attempt"): what an answer over HTTP
 * means. The lists of rules are tried in the order success, in_doubt, dead, company, retry, permanent; within
 * a rule all that it names must hold, and where its path has a *, for every element, of which there must be
 * one; what no rule knows goes by the contract's table. Immutable once compiled; any thread. */
#ifndef HEED_PROVIDER_ANSWER_H
#define HEED_PROVIDER_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "moment.h"
#include "text.h"

#define PROVIDER_RETRY_AFTER_MAX (24 * MOMENT_HOUR) /* a longer wait in an answer is taken for this */

struct provider_answer;

/* `file` is the whole description and outlives the result; `settings` the channel's: the values of those that
 * the file calls secret never come out in an outcome. NULL, and a line in `errors` for each mistake. */
struct provider_answer *provider_answer_compile(const json_t *file, const json_t *settings,
						struct text *errors);
void provider_answer_free(struct provider_answer *rules);
/* The header that holds the id; "" if none does. */
const char *provider_answer_header(const struct provider_answer *rules);

struct provider_reply {
	int status;
	bool complete;    /* else the body ended too early or was too long */
	const char *body; /* with a NUL behind it */
	size_t body_len;
	const char *header;  /* the value of provider_answer_header; "" */
	int64_t retry_after; /* of the header */
	const char *secret;  /* a further one that never comes out in an outcome: the access token; NULL */
};

void provider_answer_judge(const struct provider_answer *rules, const struct provider_reply *reply,
			   struct outcome *outcome);

#endif
