/* A contact: an attempt to send (or, later, what came in), or the closing line of a message that ended
 * without one. */
#ifndef HEED_CONTACT_H
#define HEED_CONTACT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "words.h"

struct contact {
	int64_t seq;     /* rises; given when it is written */
	int64_t changed; /* rises at every change of any contact: the cursor of `log --follow` */
	int64_t at;
	int64_t customer; /* customer.n; 0: none */
	int64_t message;  /* message_row.n; 0: none, or several */
	int64_t *several; /* their n, where it has several (a digest); owned; NULL otherwise */
	size_t several_count;
	char *product; /* "" */
	char *channel; /* "": ended without an attempt */
	enum direction direction;
	enum state state;    /* STATE_SENDING, SENT, DELIVERED, RETRY, REJECTED, IN_DOUBT, CALLED_BACK, or the
				message's */
	int attempt;         /* 0: ended without one */
	char *provider;      /* "" */
	char *provider_ref;  /* "" */
	int64_t address;     /* address.n; 0: none */
	char *template;      /* its name; "" for content */
	char *template_hash; /* "" for content */
	char *summary;       /* "" */
	char *content;       /* what was sent, where history.content is full; "" */
	char *reason;        /* a reason's code */
	char *reason_args;   /* JSON */
	char *code;          /* the provider's own: "550 5.1.1", "429", "" */
	char *detail;        /* the provider's words, cut; "" */
	int segments;        /* that a short message was sent in; 0: it is none */
	bool captured; /* by `adapter: capture` or `gateway --capture`: nothing left; content is what would
			  have */
	/* the versions that it was claimed under: what the audit recomputes from */
	int64_t preference;     /* version of the preference that gave the list; 0: a default */
	int64_t preference_seq; /* its change in the log; 0 */
	int64_t customer_seq;
	int64_t address_seq;
	int64_t products_seq;
	int64_t log_seq; /* the last change in the log then */
	int64_t late;    /* when it was reported, after others had taken it over; 0 */
	/* resolved when read, "" or NULL when written */
	char *customer_id;
	char *address_value;
	char **message_ids;
	size_t message_count;
	char *meta; /* JSON object of the (first) message; "" */

	/* Where it is set, the texts that no outcome changes (all but provider_ref, summary, content, code
	 * and detail) stand in it, shared by copies in one thread: they are not to be replaced. NULL: each is
	 * owned by itself. */
	struct contact_words *words;
};

/* Puts those texts, which may be anybody's or NULL (""), into one block; the others are made empty. */
void contact_gather(struct contact *contact);
/* A copy that shares them; the others are empty in it. Of a gathered one only. */
void contact_share(const struct contact *contact, struct contact *out);

/* As `log` and `history` print it (contract), address masked. A new reference. */
json_t *contact_to_json(const struct contact *contact);
void contact_release(struct contact *contact);

#endif
