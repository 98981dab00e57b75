/* The decision: which channel and address a message goes to now, or why not. Pure (law 4): it takes values
 * and reads no clock, no store and no network. The rules are those of contract.md, "The customer's choice".
 */
#ifndef HEED_CHOOSE_H
#define HEED_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "customer.h"
#include "preference.h"
#include "product.h"
#include "reason.h"

/* Whether a message has a text for a channel, and whether the company has the channel at all. */
struct choose_channels {
	bool (*configured)(const void *context, const char *channel);
	bool (*has_text)(const void *context, const char *channel);
	const void *context;
};

struct choose_input {
	const struct product *product;
	const struct customer *customer;
	struct choices choices;
	enum purpose purpose; /* of the message: never looser than the product's */
	const char *template; /* for the reasons; "" for content */
	const char *rejected; /* channels that failed for good for this message: "sms,email" or "" */
	const char *doubt;    /* the channel of an attempt in doubt that is to be sent again; "" otherwise */
	struct choose_channels channels;
	int64_t now;
};

enum choose_kind { CHOOSE_SEND, CHOOSE_SUPPRESS, CHOOSE_FAIL, CHOOSE_STAY_IN_DOUBT };

struct decision {
	enum choose_kind kind;
	const char *channel;                 /* of the choice or the product; NULL unless CHOOSE_SEND */
	const struct address *address;       /* the customer's; NULL unless CHOOSE_SEND */
	const struct preference *preference; /* the one that gave the list; NULL: the product's default */
	enum choice_source source;
	struct reasons reasons; /* the last one settled it */
};

/* Release the decision's reasons with reasons_release. */
void choose(const struct choose_input *input, struct decision *out);

/* True if `channel` is one of the comma-separated `list`. */
bool channel_list_has(const char *list, const char *channel);

#endif
