/* What people and applications may ask of the turn. JSON in, JSON out; the status is HTTP's. Each blocks
 * until it is committed and binding. `problem` says what is wrong, where, and what would be right. Any
 * thread. */
#ifndef HEED_REQUESTS_H
#define HEED_REQUESTS_H

#include <jansson.h>
#include <stdbool.h>

#include "config.h"
#include "hold.h"
#include "moment.h"
#include "text.h"
#include "turn.h"

/* Who asks, for the log of changes. */
struct asker {
	const char *by;    /* "cli", "api:NAME", "import", "page" */
	const char *actor; /* Heed-Actor; "" */
	/* of a change of a customer's facts (a preference has its own): where from, what was shown; NULL */
	const char *source;
	const json_t *evidence;
	bool recreate; /* what was erased may come back */
	/* the one address that was written, normalised, "" for none; NULL: all that are there. A dead one
	 * that is written again may be used again. */
	const char *written;
	int64_t facts; /* customer.seq of the facts that were read: others are refused with 409; 0: not asked
			*/
};

/* Where a request is run: by the running turn's thread, or in ours when we hold the store alone. */
struct turn_door {
	struct turn *turn;
	bool alone;
};

/* PUT (replaces) and PATCH (merge) of a customer, with "preferences" where they are there. Answer: the
 * customer as customer_to_json, with "version" and "on_their_way". 201 for a new one. */
int request_customer(const struct turn_door *door, const struct asker *asker, const char *id,
		     const json_t *customer, bool merge, json_t **answer, struct text *problem);
#define IMPORT_BATCH_MAX 4000
/* A batch for `import`: [{…},…] at most so many, merged, each on its own. What can be read of it without the
 * store is read before, by any thread; `customers` is borrowed. Answer:
 * [{"id","status","problem"?,"kept"?,"on_their_way"?},…]. */
struct import_batch *import_batch_read(const struct config *config, const json_t *customers);
void import_batch_free(struct import_batch *batch); /* NULL is fine */
int request_import(const struct turn_door *door, const struct asker *asker, struct import_batch *batch,
		   json_t **answer, struct text *problem);
/* PUT of a preference ("*" for all): `preference` as the contract shows it; with `merge` only the keys that
 * are there change what is stored. Answer: the preference, and "on_their_way": the ids of
 * messages. */
int request_prefer(const struct turn_door *door, const struct asker *asker, const char *customer,
		   const char *product, const json_t *preference, bool merge, json_t **answer,
		   struct text *problem);
/* Several in one commit: [{"product",…},…], each as PUT of one takes it; all or none. Products that are not
 * named keep what was chosen for them. Answer: {"preferences": [all that are stored], "on_their_way"}. */
int request_preferences(const struct turn_door *door, const struct asker *asker, const char *customer,
			const json_t *preferences, bool merge, json_t **answer, struct text *problem);
/* Stop everything: [] for "*" and for each product chosen for; hours and digest stay. `how` may have
 * "given_at", "source" and "evidence", for the log of changes; NULL. Answer: as request_preferences, and
 * "not_stopped": products that may not be (their choice stays as it was). */
int request_stop_all(const struct turn_door *door, const struct asker *asker, const char *customer,
		     const json_t *how, json_t **answer, struct text *problem);
/* The customer is forgotten: addresses, name, texts, in contacts, log and events alike; what waits is
 * cancelled, and a one-way name stays (erase.h). Answer: {"erased": that name, "on_their_way", "finished"};
 * not finished: the rest goes by itself. 200 also for one who was erased before; 404 for one who never was.
 */
int request_erase(const struct turn_door *door, const struct asker *asker, const char *customer,
		  json_t **answer, struct text *problem);
/* What was kept long enough goes. Answer: {"contacts", "messages", "contents", "finished"}: since it was
 * started. */
int request_prune(const struct turn_door *door, json_t **answer, struct text *problem);
/* as: "sent", "failed" or "resend". Answer: {"message","state"}. 409 where it is not in doubt. */
int request_settle(const struct turn_door *door, const struct asker *asker, const char *message,
		   const char *as, json_t **answer, struct text *problem);
/* A failed message is tried again from the start of the customer's list. */
int request_retry(const struct turn_door *door, const struct asker *asker, const char *message,
		  json_t **answer, struct text *problem);
/* Holds all that the name means, or cancels a campaign (HOLD_CANCEL; it stands until the campaign is
 * released). Answer: the hold as hold_to_json, "on_their_way": ids of what had begun, and
 * "on_their_way_count". */
int request_hold(const struct turn_door *door, const struct asker *asker, enum hold_kind kind,
		 const char *name, const char *why, json_t **answer, struct text *problem);
/* Answer: {"released": [hold, …]}; a campaign's hold and cancel alike. 404 where nothing is held. */
int request_release(const struct turn_door *door, const struct asker *asker, enum hold_kind kind,
		    const char *name, const char *why, json_t **answer, struct text *problem);
/* Takes a message back that waits, or that had not begun. Answer: {"message","state"}. 409: it had, or ended.
 */
int request_cancel(const struct turn_door *door, const struct asker *asker, const char *message,
		   const char *why, json_t **answer, struct text *problem);

#define RECEIPT_KEPT_FOR MOMENT_HOUR

/* What heed itself sends because the customer asked for it on the page: a code, a link. It goes to this
 * address and nowhere else, is outside choices and caps, and is kept out of the history's texts. */
struct own_message {
	const char *channel;
	const char *address; /* normalised; with `unowned` not the customer's, to be confirmed */
	bool unowned;
	const char *subject, *text, *locale;
	int64_t keep; /* microseconds: not sent later */
};
#define OWN_HOUR_MAX 5  /* of one customer in an hour */
#define OWN_DAY_MAX 15  /* and in a day (UTC) */
#define OWN_TRIES_MAX 5 /* of typing one code */
/* Answer: {"message"}. 429: too many were asked for; 409: the owner of the address said STOP there. */
int request_own_message(const struct turn_door *door, const char *customer, const struct own_message *message,
			json_t **answer, struct text *problem);
/* Counts a try of the code with this ticket, which ends at `ends`; a right one is the last. 429: there were
 * too many. */
int request_own_try(const struct turn_door *door, const char *customer, const char *ticket, int64_t ends,
		    bool right, struct text *problem);

/* What a provider says of what it took, later. */
struct receipt {
	const char *channel;
	const char *provider, *provider_ref; /* as in the contact */
	int64_t contact;                     /* its seq, where the receipt names it; 0 */
	enum receipt_says says;
	bool address_dead;       /* with RECEIPT_REJECTED: and the address does not exist */
	const char *code, *text; /* the provider's own; "" */
};
/* 200: it counts, or says nothing new. 202: nothing is known of it yet; it is kept for RECEIPT_KEPT_FOR and
 * counts once the outcome of its attempt is there, else it is recorded as unmatched. */
int request_receipt(const struct turn_door *door, const struct receipt *receipt, struct text *problem);

#endif
