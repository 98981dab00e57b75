/* What the kinds of requests share: all of it runs in the turn's thread, inside its transaction. */
#ifndef HEED_REQUESTS_PRIVATE_H
#define HEED_REQUESTS_PRIVATE_H

#include "requests.h"
#include "turn_private.h"

/* A change is binding within this, or rolled back and answered 503 (contract: The promise). */
#define REQUEST_BINDING_MAX (2 * MOMENT_S)
/* What goes on in slices after the first commit is waited for so long; it goes on by itself. */
#define REQUEST_SLICES_MAX (25 * MOMENT_S)

/* Runs it by whoever holds the store, takes answer and problem out, and gives the status. */
int request_run(const struct turn_door *door, struct request *request, json_t **answer, struct text *problem);
/* `stripes` of a request about one message: its row is locked when it is read, and that is enough. */
void stripes_of_message(struct request *request, struct turn *turn);
/* A refusal: sets status and problem; true, as `run` wants it. */
__attribute__((format(printf, 3, 4))) bool request_refuse(struct request *request, int status,
							  const char *format, ...);

/* Ids of messages are gathered in an object, {"m-1": null}, so that each is listed once; the answer has them
 * as an array. A new reference. */
json_t *way_list(const json_t *on_their_way);
/* Makes the change binding: calls back what has not begun, has what waits chosen again, and gives the ids of
 * what is on its way. False: the store failed. */
bool change_binds(struct turn *turn, int64_t customer, const struct touched *touched, json_t *on_their_way);

/* The receipt counts for the contact that it names or whose reference it has, or is kept. */
bool receipt_take(struct turn *turn, const struct receipt *receipt, const struct contact *contact);
/* The contact that it is about: by its seq, else by the reference; seq 0 where there is none. */
bool receipt_contact(struct turn *turn, const char *provider, const char *provider_ref, int64_t seq,
		     struct contact *out);
/* Kept until the outcome of the attempt is there: by the contact, where that is known, else by the reference.
 */
bool receipt_keep(struct turn *turn, const struct receipt *receipt, int64_t contact);
/* Until the next turn. */
bool receipt_keep_for_next(struct turn *turn, const struct receipt *receipt, int64_t contact);

const struct preference *preference_of(const struct preference *list, size_t count, const char *product);
void preferences_free(struct preference *list, size_t count);
/* Writes the items of a "preferences" array, or one. `kept` takes the products whose choice an import may not
 * loosen. A refusal sets request->status. False: the store failed. */
bool preference_write(struct request *request, struct turn *turn, const struct asker *asker,
		      const struct customer *customer, const char *product, const json_t *json, bool merge,
		      json_t *kept);
/* A choice as it is to be written. */
struct choice {
	const struct preference *old; /* among those that are there; NULL */
	struct preference new;        /* preference_release */
	int64_t given;
	const json_t *json; /* borrowed: its source and evidence */
	bool changes;       /* nothing is to be written otherwise: it was refused, or is as it was */
};
/* Reads one against those that are there; without the store. Whether an import loosens what the customer
 * chose is not asked. `product` NULL: for all of them, or for one that is not in the products file. */
void choice_judge(struct request *request, const struct turn *turn, const struct asker *asker,
		  const struct customer *customer, const char *product_name, const struct product *product,
		  const json_t *json, bool merge, const struct preferences *all, struct choice *out);
/* Its line in the log of changes, which borrows; and its event. change_drop_texts. */
struct change choice_change(const struct turn *turn, const struct asker *asker,
			    const struct customer *customer, const struct choice *choice);
void choice_event(struct turn *turn, const struct customer *customer, const struct choice *choice);
/* Of one that borrows all else: evidence and values. */
void change_drop_texts(struct change *change);

/* One customer, whole or not at all, beside others in the same transaction. `id` NULL: as an import brings
 * it, by the id that it has; *answer then goes without the facts. A refusal sets request->status. False: the
 * store failed. */
bool customer_put_one(struct request *request, struct turn *turn, const struct asker *asker, const char *id,
		      const json_t *json, bool merge, json_t **answer);
/* The form of a channel's addresses; `context` is a struct config. */
struct address_form customer_address_form(const void *context, const char *channel, bool *known);
/* The line of the log for facts that changed; `old` NULL: a new one. `facts` NULL: made of `new`.
 * change_drop_texts. */
struct change customer_change(const struct turn *turn, const struct asker *asker, const struct customer *old,
			      const struct customer *new, const char *facts);
/* A dead address that was written again is tried again; a stopped one stays stopped. */
bool customer_revive(struct turn *turn, const struct asker *asker, const struct customer *customer,
		     const struct address *address);
/* Somebody new in an import: a column has a cell for everybody, and most say nothing. */
bool customer_says_nothing(const struct turn *turn, const json_t *preference);

/* Writes `[]`, also where the product is not in the products file now: it may come back. `how`: source,
 * evidence, given_at; NULL. */
bool preference_stop(struct request *request, struct turn *turn, const struct asker *asker,
		     const struct customer *customer, const char *product, const json_t *how);

#endif
