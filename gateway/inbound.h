/* What comes in: what a customer said, a mail that came back, what another system tells. It is recorded in
 * the history of whom it is from, beside what went out, and its effect is made in the same transaction. All
 * texts are UTF-8. Any thread. */
#ifndef HEED_INBOUND_H
#define HEED_INBOUND_H

#include <stdint.h>

#include "mail_in.h"
#include "requests.h"

#define INBOUND_TEXT_MAX (64 * 1024) /* bytes of a text that are looked at and passed on */
#define INBOUND_OWNERS_MAX 100       /* customers with one address whose history gets it */
#define INBOUND_SOURCE_MAX 64        /* characters of a channel or a source that heed itself does not have */
#define INBOUND_AGE_MAX (20 * 366 * MOMENT_DAY) /* a contact that another system recorded */

/* Each is the code of the contact's reason. */
enum inbound_kind {
	INBOUND_REPLY, /* passed on to heed:inbound */
	INBOUND_SHORT, /* likewise, but that a keyword is followed (reply.h) */
	INBOUND_BOUNCE,
	INBOUND_COMPLAINT,
	INBOUND_AUTO_REPLY,
	INBOUND_RECORDED /* by another system */
};

enum inbound_effect {
	INBOUND_CHANGES_NOTHING,
	INBOUND_ADDRESS_DEAD, /* what it answers was rejected, and the address is dead */
	INBOUND_REJECTED,     /* what it answers was rejected: the next channel of the list */
	INBOUND_RETRY,        /* what it answers did not arrive, and may be tried again */
	INBOUND_STOPS_PRODUCT /* the product of what it answers; by "complaint" where it is one, else "reply"
			       */
};

struct inbound {
	enum inbound_kind kind;
	enum inbound_effect effect;
	const char *channel;
	const char *provider;     /* who brought it; of INBOUND_RECORDED: the system that had it; "" */
	const char *provider_ref; /* it is known there by this, and recorded once; "" */
	const char *from;         /* the address that it came from, or that gave it back, normalised; "" */
	const char *customer;     /* an id, where that is said; "": whose address it is */
	/* what it answers: a contact's seq, or the provider's reference of one; 0 and "": the last one that
	 * went to the address */
	int64_t answers;
	const char *answers_ref;
	int64_t answers_message;    /* or a message's n: its last attempt on the channel; 0 */
	const char *product;        /* INBOUND_RECORDED; "" */
	enum direction direction;   /* INBOUND_RECORDED */
	int64_t at;                 /* INBOUND_RECORDED: when it was; 0: now */
	const char *subject, *text; /* "" */
	const char *summary; /* INBOUND_RECORDED: in the place of what the text begins with; NULL or "" */
	const char *quoted;  /* what the text answers, as it quotes it; NULL: nothing */
	const char *code, *detail; /* of a bounce: "5.1.1", and the words; "" */
};

/* Answer: {"contact": seq, "customers": [ids], "kind", "repeated"?, "did"?, "on_their_way"?}. 201; 200 where
 * it was recorded before; 404: no customer of that id. */
int request_inbound(const struct turn_door *door, const struct inbound *inbound, json_t **answer,
		    struct text *problem);

/* A mail that came in for a channel that sends mail. What it is about is found by the tokens in it alone;
 * without one it is recorded and changes nothing. Answer: as above, with "matched" and "effect": nothing,
 * dead, rejected, retry, stops. 404: there is no such channel. */
int request_mail(const struct turn_door *door, const struct config *config, const char *channel,
		 const struct mail_verdict *verdict, json_t **answer, struct text *problem);

#endif
