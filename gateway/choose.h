/* The decision: which channel and address a message goes to now, or why not. Pure (law 4): it takes values
 * and reads no clock, no store and no network. The rules are those of contract.md, "The customer's choice".
 */
#ifndef HEED_CHOOSE_H
#define HEED_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cap.h"
#include "customer.h"
#include "preference.h"
#include "product.h"
#include "reason.h"

struct zone;

/* Whether a message has a text for a channel, and whether the company has the channel at all. */
struct choose_channels {
	bool (*configured)(const void *context, const char *channel);
	bool (*has_text)(const void *context, const char *channel);
	bool (*has_digest)(const void *context, const char *channel); /* NULL: there are no digests */
	const void *context;
};

/* A cap that is used up: the customer may get more from `until` on. */
struct choose_cap {
	struct cap cap;
	bool marketing; /* of all marketing together; else of the product */
	int64_t until;
};
#define CHOOSE_CAPS_MAX 2

/* An answer to what the customer wrote, or what was asked for on the page: it goes there, whatever was
 * chosen.
 */
struct choose_answer {
	const char *channel;
	int64_t address; /* its row */
	bool though_stopped;
	bool asked;
	const struct address *unowned; /* asked: an address to be confirmed; NULL: the customer's own */
};

struct choose_input {
	const struct product *product;
	const struct customer *customer;
	struct choices choices;
	enum purpose purpose; /* of the message: never looser than the product's */
	const char *template; /* for the reasons; "" for content */
	const char *rejected; /* channels that failed for good for this message: "sms,email" or "" */
	const struct choose_answer *answer; /* NULL: it is none; then product may be NULL, and no text is
					       asked for */
	const char *doubt; /* the channel of an attempt in doubt that is to be sent again; "" otherwise */
	struct choose_channels channels;
	/* time */
	int64_t now;
	const struct zone *zone; /* the customer's, else the company's; NULL: UTC */
	bool zone_known;         /* the customer has one */
	int64_t admitted_at;
	int64_t send_at, expires_at; /* 0: none */
	struct choose_cap caps[CHOOSE_CAPS_MAX];
	size_t cap_count; /* none for what is counted already */
	/* the list with patience */
	const char *waited;       /* channels whose wait ran out */
	const char *wait_channel; /* whose turn it is; "" before the first */
	int64_t wait_since;       /* time in which the provider was at fault taken off */
	bool sent;  /* it was sent on wait_channel, whose provider gives receipts, and waits for one */
	bool taken; /* some channel took it: no earlier channel is tried again */
};

enum choose_kind {
	CHOOSE_SEND,
	CHOOSE_SUPPRESS,
	CHOOSE_FAIL,
	CHOOSE_STAY_IN_DOUBT,
	CHOOSE_DEFER,  /* not before `until`; then it is to be chosen again */
	CHOOSE_EXPIRE, /* its time is over */
	CHOOSE_REST    /* it was sent, and nothing more is to be tried */
};

#define CHOOSE_LIST_MAX 2200 /* bytes of the names of all channels that a configuration may have */

struct decision {
	enum choose_kind kind;
	const char
		*channel; /* of the choice or the product; NULL unless CHOOSE_SEND, or CHOOSE_DEFER for it */
	const struct address *address;       /* the customer's; NULL unless CHOOSE_SEND */
	const struct preference *preference; /* the one that gave the list; NULL: the product's default */
	enum choice_source source;
	int64_t until;  /* CHOOSE_DEFER */
	int64_t before; /* CHOOSE_SEND: it may not begin later: hours close, or it expires; MOMENT_NEVER */
	bool digest;    /* CHOOSE_SEND: together with all others of the customer and product that are due */
	/* the list with patience, for the next time */
	const char *wait_channel;       /* NULL: as it was */
	int64_t wait_since, wait_until; /* wait_until 0: no end */
	char waited[CHOOSE_LIST_MAX];
	struct reasons reasons; /* the last one settled it */
};

/* Release the decision's reasons with reasons_release. */
void choose(const struct choose_input *input, struct decision *out);

/* True if `channel` is one of the comma-separated `list`. */
bool channel_list_has(const char *list, const char *channel);

#endif
