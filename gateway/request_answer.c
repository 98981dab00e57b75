/* What heed itself answers: one message, back to where the customer wrote from, and no loop of them. */
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "inbound_private.h"
#include "xalloc.h"
#include "banned.h"

/* A confirmation counts for a pause longer: the next one waits for it as well, and what else is answered
 * waits for both. */
static bool may_answer(const struct turn *turn, const struct incoming *incoming, bool confirms)
{
	int64_t last = incoming->address.answered_at;

	return turn->now >= (confirms || !last ? last : last + ANSWER_PAUSE) ||
	       last > turn->now + 2 * ANSWER_PAUSE; /* the clock was ahead then */
}

static const struct customer *answered_customer(const struct incoming *incoming)
{
	return incoming->customer ? incoming->customer : incoming->owner_count ? incoming->owners[0] : NULL;
}

static char *answer_body(const struct incoming *incoming, const struct customer *customer, const char *text,
			 bool though_stopped)
{
	json_t *body = json_pack("{s:s, s:{s:s}, s:{s:I, s:s, s:I, s:b}}", "customer", customer->id,
				 "content", "text", text, "answer", "contact", (json_int_t)incoming->contact,
				 "channel", incoming->in->channel, "address", (json_int_t)incoming->address.n,
				 "stopped", though_stopped);
	const char *product = incoming->answered.product;

	if (product && *product)
		json_object_set_new(body, "product", json_string(product));
	char *words = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(body);
	return words;
}

bool incoming_answers(struct turn *turn, struct incoming *incoming, const char *text, bool confirms,
		      bool though_stopped)
{
	const struct customer *customer = answered_customer(incoming);
	unsigned char hash[SHA256_SIZE], random[8];

	if (!customer || !*text || !may_answer(turn, incoming, confirms))
		return true;
	char *body = answer_body(incoming, customer, text, though_stopped);
	digest_random(random, sizeof random);
	char *id = xasprintf("answer:%lld:%02x%02x%02x%02x%02x%02x%02x%02x", (long long)incoming->contact,
			     random[0], random[1], random[2], random[3], random[4], random[5], random[6],
			     random[7]);
	const struct message_row row = {.id = id,
					.customer = customer->n,
					.customer_id = customer->id,
					.product = incoming->answered.product,
					.body = body,
					.purpose = PURPOSE_CRITICAL,
					.lane = LANE_URGENT,
					.admitted_at = turn->now,
					.expires_at = turn->now + ANSWER_LIFE,
					.state = STATES,
					.due = MOMENT_NEVER};
	struct work *work = work_add(turn, WORK_NEW, &row);
	digest_sha256(body, strlen(body), hash);
	memcpy(work->row.hash, hash, sizeof work->row.hash);
	free(id);
	free(body);
	incoming->address.answered_at = turn->now + (confirms ? ANSWER_PAUSE : 0);
	return store_answered(turn->store, incoming->address.n, incoming->address.answered_at);
}
