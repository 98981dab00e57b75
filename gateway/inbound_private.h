/* Between the files that deal with what comes in: all of it runs in the turn's thread, inside its
 * transaction.
 */
#ifndef HEED_INBOUND_PRIVATE_H
#define HEED_INBOUND_PRIVATE_H

#include "inbound.h"
#include "requests_private.h"

#define ANSWER_PAUSE MOMENT_HOUR /* between two answers to one address */
#define ANSWER_LIFE MOMENT_HOUR  /* an answer that is later than this would only surprise */

/* What came in, with what the store knows of it. */
struct incoming {
	const struct inbound *in;
	enum inbound_kind kind;     /* as it is recorded: a short one that is a keyword, or a reply */
	struct address_row address; /* n 0: not known */
	struct contact answered;    /* seq 0: nothing is known that it could answer */
	struct message_row message; /* the (first) one of `answered`; n 0 */
	struct customer **owners;   /* who have the address, at most INBOUND_OWNERS_MAX */
	size_t owner_count;
	struct customer *customer; /* whose it is: one of the owners, or his own; NULL: of all owners */
	struct customer *alone;    /* to be freed: the customer, where it is none of the owners */
	int64_t contact;           /* seq of the (first) contact that was recorded */
	const char *keyword;       /* that is followed; NULL */
	char *did;                 /* what it did; owned; NULL */
	json_t *on_their_way;
};

/* The address is stopped, or open again, from now on, for all who have it: nothing more leaves for it. False:
 * the store failed. */
bool incoming_stops(struct turn *turn, struct incoming *incoming);
bool incoming_opens(struct turn *turn, struct incoming *incoming);
/* What the log of changes keeps of it: {"contact", "text"}. A new reference. */
json_t *incoming_evidence(const struct incoming *incoming);
/* Changes the choice of incoming->customer. A refusal is no failure: *refused. False: the store failed. */
bool incoming_prefers(struct turn *turn, struct incoming *incoming, const char *by, const char *product,
		      json_t *preference, bool *refused);
/* Records it; gives incoming->contact. */
bool incoming_records(struct turn *turn, struct incoming *incoming);
/* Sends `text` back to where it came from, unless that had an answer a short while ago. `confirms`: it is the
 * confirmation of a STOP, which even a recent answer does not keep back, but another confirmation does;
 * `though_stopped`: it may go to a stopped address. */
bool incoming_answers(struct turn *turn, struct incoming *incoming, const char *text, bool confirms,
		      bool though_stopped);
/* A short message: follows a keyword. False: the store failed. */
bool incoming_reply(struct turn *turn, struct incoming *incoming);

/* *out NULL: there is no such customer. customer_free. False: the store failed. */
bool customer_numbered(struct turn *turn, int64_t n, struct customer **out);
/* A contact that is no attempt of ours, zeroed but for texts, time and direction; contact_release. */
struct contact *contact_recorded(const struct turn *turn, enum direction direction);
/* Its reason. `args` is taken. */
void contact_reason_is(struct contact *contact, enum reason_code code, json_t *args);

#endif
