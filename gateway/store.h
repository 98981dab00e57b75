/* The store: the truth (law 1). Two ports: the writer, one thread (law 3), whose calls work on arrays inside
 * one transaction a turn; and readers, any number, each one thread at a time, which never block the writer.
 *
 * Every call returns false when the store failed (disk full, connection lost): store_error() says why, the
 * transaction is lost, store_rollback() must follow, and the caller may run the same turn again (reading
 * anew the rows that it saved or added before the rollback: `kept` and the numbers given are void). What
 * writes needs a transaction; what reads does not. Rows that are read own their strings. Arrays: a call with
 * count 0 does nothing and is true. Times: UTC microseconds.
 * store.c is the gate (timing, logging, checks of use); store_ops is what adapters fill. */
#ifndef HEED_STORE_H
#define HEED_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contact.h"
#include "customer.h"
#include "hold.h"
#include "message.h"
#include "preference.h"
#include "text.h"
#include "words.h"

struct store;
struct store_reader;

/* --- rows --- */

struct message_row {
	int64_t n; /* rises with time; 0: not there */
	char *id;
	unsigned char hash[MESSAGE_HASH_SIZE];
	int64_t customer;  /* customer.n */
	char *customer_id; /* resolved when read; not written */
	char *product;
	char *template; /* "" for content */
	char *campaign;
	char *body; /* message.body; "" once it was pruned */
	enum purpose purpose;
	enum lane lane;
	int64_t admitted_at;
	int64_t send_at;    /* not before; 0: at once */
	int64_t expires_at; /* not after; 0: never */
	/* what changes */
	enum state state;
	char *waits_for; /* whose turn it waits for: a channel's name; hold_key(); "": to be chosen again */
	int64_t due;     /* not before; MOMENT_NEVER: it waits for nothing (sending, or ended) */
	int attempts;    /* counted ones, on all channels */
	int tries;       /* counted ones on this channel since it was turned to: what the pauses grow with */
	int64_t epoch; /* rises when it is claimed and when it is taken over: an outcome of another is late */
	int64_t lease; /* until when the claim holds; 0 */
	int64_t gateway;     /* who claimed it last: gateway.n; 0: nobody */
	int64_t give_up_at;  /* 0: the clock has not started */
	int64_t fault_since; /* since when give_up_at stands, for a provider at fault or a hold; 0: it runs */
	char *rejected;      /* channels that failed for good: "sms,email" */
	char *waited;        /* channels whose wait ran out: "sms,email" */
	char *wait_channel;  /* the channel of the list whose turn it is; "" before the first */
	int64_t wait_since;  /* since when, from the moment that the product's hours allowed */
	int64_t wait_until;  /* when the next one is tried; 0: no end */
	enum state best;     /* STATE_SENT or _DELIVERED by an earlier attempt; STATE_QUEUED: nothing yet */
	char *counted;       /* the cap counters that it counts in, a line each; "" */
	char *channel;       /* of the last attempt; "" */
	int64_t contact;     /* seq of the last contact; 0 */
	char *reasons;       /* JSON [{"code","args"}] of the last decision and what followed it */
	/* the turn's: the block that id, customer_id, product, template, campaign and body stand in, shared
	 * by copies in one thread (message_row_gather); NULL: each is owned by itself */
	struct row_words *words;
	/* the turn's, not stored: the clocks before the claim, put back if it never begins */
	struct {
		int64_t give_up_at, fault_since, wait_since, wait_until;
	} claimed;
	/* the adapter's: how the row stood when it was read or written last */
	struct {
		int64_t epoch;
		enum lane lane;
		char *waits_for;
		int64_t due;
	} kept;
};
void message_row_release(struct message_row *row);
/* Copies what never changes, which is somebody else's, into one block of the row's own. */
void message_row_gather(struct message_row *row);
void message_row_copy(const struct message_row *row, struct message_row *out);
/* What waits for a while (a retry, a `wait`, giving up) waits neither longer nor shorter where the clock goes
 * from `was` to `was + by`; what waits for a time of day keeps it, but where that came nearer: then it is
 * due, and chosen again. */
void message_row_move_clock(struct message_row *row, int64_t was, int64_t by);
void message_row_rename(struct message_row *row, const char *customer_id); /* this copy alone */

/* A place in the waiting index. */
struct waiting_at {
	enum lane lane;
	int64_t due;
	int64_t n;
};

struct message_rows {
	struct message_row *rows;
	size_t count, capacity;
};
void message_rows_release(struct message_rows *rows);
struct message_row *message_rows_add(struct message_rows *rows); /* zeroed */

/* What choose() needs about one message's customer. */
struct facts {
	/* asked */
	const char *customer_id; /* or NULL: by customer_n */
	int64_t customer_n;
	const char *product;
	const char *parent; /* "" for none */
	/* answered; release with facts_release */
	struct customer *customer;               /* NULL: unknown */
	struct preference *own, *parents, *star; /* NULL: none */
};
void facts_release(struct facts *facts); /* what was answered */

/* A line of the numbered, append-only log of changes: what the proof recomputes from. */
enum change_kind {
	CHANGE_PREFERENCE = 0,
	CHANGE_CUSTOMER = 1, /* facts: zone, locale, name, addresses */
	CHANGE_ADDRESS = 2,  /* the state of an address, for all who have it */
	CHANGE_PRODUCTS = 3, /* a set of products came in force; subject: its hash */
	CHANGE_HOLD = 4,     /* held, released or cancelled; subject: "campaign:spring" */
	CHANGE_KINDS
};
struct change {
	int64_t seq; /* given when it is appended */
	enum change_kind kind;
	int64_t at;       /* recorded */
	int64_t given_at; /* when it was given; = at unless an import says otherwise */
	int64_t customer; /* customer.n; 0 */
	int64_t address;  /* address.n; 0 */
	char *subject;    /* the product; the channel of the address; a hash */
	char *by;         /* page, api:NAME, cli, import, … ; "gateway" for what a provider said */
	char *actor;      /* "" */
	char *source;     /* "" */
	char *evidence;   /* JSON or "" */
	char *old_value;  /* JSON or "" */
	char *new_value;  /* JSON */
};
void change_release(struct change *change);

struct event_row {
	int64_t seq; /* given when it is added */
	enum event_stream stream;
	char *json; /* CloudEvents 1.0, on one line */
};

/* An address, whoever has it. */
struct address_row {
	int64_t n; /* 0: not there */
	enum address_state state;
	int64_t seq;         /* of the last change of its state in the log */
	int64_t answered_at; /* when heed last answered there by itself; 0 */
};

/* A receipt that nothing is known of yet. Its key is the provider with either its reference or the contact.
 */
struct kept_receipt {
	char *provider;
	char *provider_ref; /* "" where the contact is known */
	int64_t contact;    /* seq; 0 */
	char *channel;
	int64_t at; /* 0: there is none */
	enum receipt_says says;
	bool address_dead;
	char *code, *detail; /* "" */
};
void kept_receipt_release(struct kept_receipt *receipt);

struct counters {
	int64_t admitted;
	int64_t states[STATES];
	int64_t pruned[STATES]; /* of those: whose rows are gone */
};

/* What was kept long enough: contacts before these moments. */
struct prune {
	int64_t contents; /* lose their texts, and their messages the body */
	int64_t contacts; /* go, by whole months; with them the messages that have none left */
};
struct pruned {
	int64_t contents, contacts, messages;
};

/* --- the writer --- */

/* `url` as in the configuration (absolute path). Applies the schema if `migrate`, takes the lock. NULL and
 * `error`: who holds it (host, process id), a newer schema, … */
struct store *store_open(const char *url, bool migrate, struct text *error);
void store_close(struct store *store);
const char *store_error(const struct store *store);
/* True after a failed open when the store is locked by another process (the CLI then talks to that gateway).
 */
bool store_open_was_locked(void);

bool store_begin(struct store *store);
bool store_commit(struct store *store);
void store_rollback(struct store *store);
/* A part of a transaction that may be taken back alone; not nested. */
bool store_save_point(struct store *store);
bool store_end_point(struct store *store, bool keep);

/* out[i].n is 0 where there is no such id. */
bool store_find_messages(struct store *store, const char *const ids[], size_t count,
			 struct message_row out[]);
bool store_get_messages(struct store *store, const int64_t n[], size_t count, struct message_row out[]);
/* Gives n to rows that are to be added in this transaction, so that their contacts can be written first. */
bool store_number_messages(struct store *store, struct message_row *const rows[], size_t count);
/* Rows that were numbered. Adds to the waiting index unless due is MOMENT_NEVER. */
bool store_add_messages(struct store *store, struct message_row *const rows[], size_t count);
/* Saves the lane and what changes, and keeps the waiting index in step. Fails where a row's epoch is not the
 * one that it was read with any more: somebody else has claimed it or taken it over. */
bool store_save_messages(struct store *store, struct message_row *const rows[], size_t count);

/* Rows that wait for `waits_for` in `lane` and are due at `now`, the earliest first, at most `limit`;
 * appended. */
bool store_due(struct store *store, const char *waits_for, enum lane lane, int64_t now, size_t limit,
	       struct message_rows *out);
/* When the next row of any lane that waits for it is due; MOMENT_NEVER if none waits. */
bool store_next_due(struct store *store, const char *waits_for, int64_t *due);
/* Rows that wait for it in the order of the waiting index (lane, due, n), behind `after` (zeroed: from the
 * first), whatever their due time; appended. For sweeps in slices: *after is moved on. */
bool store_waiting(struct store *store, const char *waits_for, struct waiting_at *after, size_t limit,
		   struct message_rows *out);
/* Rows that wait, whatever for, and whose time is over at `now`; the earliest first; appended. */
bool store_expired(struct store *store, int64_t now, size_t limit, struct message_rows *out);
/* When the next row that waits expires; MOMENT_NEVER. */
bool store_next_expiry(struct store *store, int64_t *at);
/* What anything waits for, each once: to find rows that wait for a channel which is gone. The caller frees.
 */
bool store_waited_for(struct store *store, char ***names, size_t *count);
/* Those of a campaign that wait, whatever for, above n `after`; by n; appended. */
bool store_waiting_of_campaign(struct store *store, const char *campaign, int64_t after, size_t limit,
			       struct message_rows *out);
/* Of one customer: those that wait, above n `after`; those that are sending or in doubt. By n. Appended. */
bool store_waiting_of(struct store *store, int64_t customer, int64_t after, size_t limit,
		      struct message_rows *out);
bool store_open_of(struct store *store, int64_t customer, struct message_rows *out);
/* What is `sending`, and nobody will say what became of it: claimed by `gateway` (0: by none; GATEWAY_ANY: by
 * whomever), or with a lease that was over at `now`, by one that has not reported since `silent`. By n, above
 * `after`. Appended. */
#define GATEWAY_ANY (-1)
bool store_abandoned(struct store *store, int64_t gateway, int64_t now, int64_t silent, int64_t after,
		     size_t limit, struct message_rows *out);

/* A gateway is alive at `at`: gives its number, by its name, for good. *before: when it said so
 * last; 0: never, or the clock is the server's. */
bool store_report_gateway(struct store *store, const char *name, const char *boot, int64_t at, int64_t *n,
			  int64_t *before);
/* The clock, which was at `was`, is followed by so much (message_row_move_clock): in all rows that wait.
 * Where the clock is the server's, nothing is done. */
bool store_move_clock(struct store *store, int64_t was, int64_t by);
/* "" where there is none. The caller frees. */
bool store_gateway_name(struct store *store, int64_t gateway, char **name);

/* Gives seq to contacts that are to be added in this transaction. */
bool store_number_contacts(struct store *store, struct contact *const contacts[], size_t count);
/* Gives changed and log_seq, and seq where it was not given yet. One of several messages has them in
 * `several`, and 0 in `message`. */
bool store_add_contacts(struct store *store, struct contact *const contacts[], size_t count);
/* Saves state, provider, provider_ref, summary, content, code, detail, reason, reason_args, segments, late by
 * seq; gives a new `changed`. */
bool store_save_contacts(struct store *store, struct contact *const contacts[], size_t count);
/* By seq, without what is resolved; seq 0 in out[i] where there is none. */
bool store_get_contacts(struct store *store, const int64_t seq[], size_t count, struct contact out[]);
/* The customer's contacts that are in doubt and not older than `since`, by seq, with `several`, without what
 * is resolved; appended to *out (realloc'd): contact_release each, free the array. */
bool store_doubts_of(struct store *store, int64_t customer, int64_t since, struct contact **out,
		     size_t *count);
/* The newest contact in that direction that a provider knows by this reference, with `several`; seq 0 where
 * there is none. */
bool store_find_contact(struct store *store, enum direction direction, const char *provider,
			const char *provider_ref, struct contact *out);
/* The customer's newest attempt at the address that may have arrived, by the provider (NULL: by any), heed's
 * own answers aside; seq 0 where there is none. */
bool store_last_sent(struct store *store, int64_t customer, int64_t address, const char *provider,
		     struct contact *out);

/* The newest attempt of a message (message_row.n) on a channel, alone or in a digest; seq 0 where there is
 * none. */
bool store_attempt_of(struct store *store, int64_t message, const char *channel, struct contact *out);

bool store_read_facts(struct store *store, struct facts *const facts[], size_t count);
/* NULL in *out if unknown. */
bool store_get_customer(struct store *store, const char *id, struct customer **out);
bool store_get_preferences(struct store *store, int64_t customer, struct preference **out, size_t *count);
/* Inserts (n is 0: gives n) or replaces the facts and which addresses the customer has, in this order. An
 * address row that exists is shared and keeps its state; a new one starts as it is given. Gives address.n;
 * reads back its state and seq. */
bool store_put_customer(struct store *store, struct customer *customer);
/* What an import brings, many at once. out[i] is NULL where there is no such id; customer_free each. */
bool store_get_customers(struct store *store, const char *const ids[], size_t count, struct customer *out[]);
/* Of customers by their n, by product; preference_release each and free the list. */
struct preferences {
	struct preference *list;
	size_t count;
};
bool store_get_preferences_of(struct store *store, const int64_t customers[], size_t count,
			      struct preferences out[]);
/* By channel and (normalised) value: gives n, state and seq of the row, with `make` of one that is there
 * afterwards; else n is 0 where there is none. The same one may stand there twice. */
bool store_get_addresses(struct store *store, struct address *const addresses[], size_t count, bool make);
/* Gives n to customers that are to be added in this transaction, so that their changes can be logged first.
 */
bool store_number_customers(struct store *store, struct customer *const customers[], size_t count);
/* Customers that were numbered, with ids that nobody has, and whose addresses have their n. */
bool store_add_customers(struct store *store, struct customer *const customers[], size_t count);
struct preference_of {
	int64_t customer;
	const struct preference *preference;
};
/* As store_put_preference; a customer's product once. */
bool store_put_preferences(struct store *store, const struct preference_of rows[], size_t count);
/* Is there a one-way name anywhere, of a customer or an address? */
bool store_any_erased(struct store *store, bool *any);
/* The number of the last change of the facts, where nothing else of them changed. */
bool store_stamp_customer(struct store *store, int64_t customer, int64_t seq);
/* Erasure, in slices (erase.h says what is left). The customer loses id, name, locale and addresses for the
 * one-way name, and is one of those that are being erased until store_end_erasing. */
bool store_erase_customer(struct store *store, int64_t customer, const char *name, int64_t at);
/* Somebody who is being erased: n, and the id that it had (the caller frees); 0 and NULL: nobody. */
bool store_get_erasing(struct store *store, int64_t *customer, char **id);
bool store_end_erasing(struct store *store, int64_t customer);
/* The text of an address that nobody has becomes another one, which no address has. Where another writer gave
 * it to somebody meanwhile, it stays. */
bool store_rename_address(struct store *store, int64_t address, const char *value);
/* As store_read_changes, of one customer, by the writer. */
bool store_get_changes(struct store *store, int64_t customer, int64_t after, size_t limit,
		       struct change **out, size_t *count);
/* Saves subject, actor, source, evidence and values by seq: the one way in which a line of the log changes.
 */
bool store_rewrite_change(struct store *store, const struct change *change);
/* The customer's contacts behind `after` (seq), which is moved on: without summary, content, detail,
 * reference, and reasons in anybody's words; likewise their messages, without body and hash. *count: how
 * many. */
bool store_erase_contacts(struct store *store, int64_t customer, int64_t *after, size_t limit, size_t *count);
/* By seq: another text for an event that is not published. */
bool store_rewrite_event(struct store *store, int64_t seq, const char *json);
/* A slice of pruning: at most `limit` contacts; what was done is added to *out. *more: there is more to do.
 * The counters stay, and say how many rows of each state are gone. */
bool store_prune(struct store *store, const struct prune *prune, size_t limit, struct pruned *out,
		 bool *more);
/* Outside of a transaction: what was taken out of the store is in none of its files any more. *done false:
 * somebody reads; ask again. */
bool store_clean(struct store *store, bool *done);
/* Random, made with the store: what one-way names are made with. */
const char *store_erasure_key(const struct store *store);
bool store_put_preference(struct store *store, int64_t customer, const struct preference *preference);
bool store_set_address_state(struct store *store, int64_t address, enum address_state state, int64_t seq);
/* The address of a channel, normalised; with `make` it is there afterwards, whoever has it. */
bool store_get_address(struct store *store, const char *channel, const char *value, bool make,
		       struct address_row *out);
bool store_answered(struct store *store, int64_t address, int64_t at);
/* Who has the address: their n. The caller frees *customers. */
bool store_customers_of_address(struct store *store, int64_t address, int64_t **customers, size_t *count);
/* Takes the place of one with the same key. */
bool store_keep_receipt(struct store *store, const struct kept_receipt *receipt);
/* By its key; at 0 where there is none. kept_receipt_release. */
bool store_find_receipt(struct store *store, const char *provider, const char *provider_ref, int64_t contact,
			struct kept_receipt *out);
bool store_drop_receipt(struct store *store, const char *provider, const char *provider_ref, int64_t contact);
/* The oldest first, those from `after` on, at most limit; the caller releases each and frees *out. */
bool store_get_receipts(struct store *store, int64_t after, size_t limit, struct kept_receipt **out,
			size_t *count);
bool store_count_receipts(struct store *store, int64_t *count);
/* A customer of whom more waits than one turn looks at, and the n that it came to; it takes the place of the
 * customer's last one. */
struct again_at {
	int64_t customer, after;
};
bool store_put_again(struct store *store, const struct again_at *again);
bool store_drop_again(struct store *store, int64_t customer);
/* All, by customer; the caller frees *out. */
bool store_get_again(struct store *store, struct again_at **out, size_t *count);
/* Takes the place of one of the same kind and name. */
bool store_put_hold(struct store *store, const struct hold *hold);
bool store_drop_hold(struct store *store, enum hold_kind kind, const char *name);
/* All, by seq. holds_free. */
bool store_get_holds(struct store *store, struct hold **out, size_t *count);
/* How much of a cap the customer has had: `name` is what is counted and the period. */
bool store_cap_used(struct store *store, int64_t customer, const char *name, int64_t *used);
/* Adds to it (or takes back, with used < 0). Counters of the customer whose `ends` is over at `now` go. */
struct cap_count {
	int64_t customer;
	const char *name;
	int64_t used; /* to be added */
	int64_t ends; /* of the period */
};
bool store_count_caps(struct store *store, const struct cap_count counts[], size_t count, int64_t now);
bool store_append_changes(struct store *store, struct change *const changes[], size_t count);
/* The `new_value` of the customer's last choice for the product that was not an import's; NULL: there is
 * none. The caller frees. */
bool store_last_choice(struct store *store, int64_t customer, const char *product, char **choice);
/* Whether it is one of a log_query's `products`, or a part of one. */
bool store_product_among(const char *product, const char *products);
/* A set of products: *seq is that of the last one if its hash is the same, else a new CHANGE_PRODUCTS is
 * appended. */
bool store_put_products(struct store *store, const char *hash, const char *body, int64_t at, int64_t *seq);
bool store_put_template(struct store *store, const char *hash, const char *name, const char *source,
			int64_t at);

bool store_add_events(struct store *store, struct event_row *const events[], size_t count);
/* Above `after`, oldest first, at most limit; appended to *out (realloc'd); the caller frees each json. */
bool store_get_events(struct store *store, int64_t after, size_t limit, struct event_row **out,
		      size_t *count);
bool store_drop_events(struct store *store, int64_t up_to);

bool store_count(struct store *store, const struct counters *deltas);
bool store_counters(struct store *store, struct counters *out);
/* --- several writers: each call is nothing, and true, where one writes alone --- */

/* Nobody else can have claims in it: whoever had one is gone. */
bool store_is_alone(const struct store *store);
/* Transactions of several writers may be open at the same time. */
bool store_is_shared(const struct store *store);
/* No transaction of ours holds up others for as long as this. */
void store_set_lease(struct store *store, int64_t lease);
/* How far the store's clock, by which leases count, was ahead of ours when the transaction began. */
int64_t store_clock_ahead(const struct store *store);
/* The last call failed because somebody else was faster, or had locked what was wanted: nothing is wrong with
 * the store, and the turn is run again. */
bool store_is_contended(const struct store *store);

/* What a transaction reads of a customer to claim, or changes, it locks by the customer's stripe, shared or
 * exclusively, in a statement of its own before it reads. Stripe STORE_STRIPES stands for everybody: shared
 * for each transaction, exclusive for what concerns all. Held until the end of the transaction. */
#define STORE_STRIPES 1024
struct store_stripe {
	int n;
	bool exclusive;
	bool got; /* answered */
};
int store_stripe_of(const char *customer_id);
/* All of them, waiting for others; in the order of n, and before anything else is locked. */
bool store_lock_stripes(struct store *store, struct store_stripe stripes[], size_t count);
/* Those that can be had without waiting. */
bool store_try_stripes(struct store *store, struct store_stripe stripes[], size_t count);
/* seq of the last change of holds in the log: another one than before, and they are to be read again. */
bool store_last_hold(struct store *store, int64_t *seq);
/* Gateways that have reported since. */
bool store_count_gateways(struct store *store, int64_t since, int64_t *count);
/* What only one gateway does at a time: *mine until `until`, unless somebody else has it at `now`. */
bool store_take_role(struct store *store, const char *role, int64_t gateway, int64_t now, int64_t until,
		     bool *mine);

/* A random id, made with the store. */
const char *store_id(const struct store *store);

/* The schema's steps: what was applied before this open and is now, and what this program knows. All 0 where
 * there is no schema. */
struct store_versions {
	int before, now, known;
};
struct store_versions store_versions(const struct store *store);

/* Copies all of `from` into `to`, which must be empty, in one transaction of it; whole and checked, or not at
 * all. `tell` hears of each table. */
typedef void (*store_copied)(void *context, const char *table, int64_t rows);
bool store_copy(struct store *from, struct store *to, store_copied tell, void *context, struct text *error);

/* --- readers --- */

/* `url` as for store_open. Takes no lock. NULL and `error`. */
struct store_reader *store_reader_open(const char *url, struct text *error);
void store_reader_close(struct store_reader *reader);
const char *store_reader_error(const struct store_reader *reader);

struct log_query {
	const char *customer; /* ids and names; NULL: any */
	const char *product;  /* with its parts */
	/* Of any of these, with their parts, as ",cards,offers/news,"; beside `product`. NULL: of any. */
	const char *products;
	const char *channel;
	const char *message; /* a message's id */
	enum state state;
	bool has_state;
	bool captured;  /* only what was captured */
	int64_t since;  /* at >= since */
	int64_t after;  /* changed > after; 0: any */
	int64_t before; /* seq < before; 0: any */
	bool by_change; /* ordered by `changed` instead of by seq: to follow, so never the last ones */
	bool newest_first;
	/* 0: none. By seq, oldest first and without `after`, the last `limit` ones, as `tail` does. */
	size_t limit;
};
/* Contacts with customer_id, address_value, message_ids and meta resolved. Free each and the array. */
bool store_read_log(struct store_reader *reader, const struct log_query *query, struct contact **out,
		    size_t *count);
/* The highest `changed` that is committed: where a follower starts. */
bool store_read_last_change(struct store_reader *reader, int64_t *changed);
bool store_read_message(struct store_reader *reader, const char *id, struct message_row *out);
/* One customer's (n) that wait, are sending or in doubt, above `after`, by n; appended. */
bool store_read_open_of(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			struct message_rows *out);
bool store_read_customer(struct store_reader *reader, const char *id, struct customer **out,
			 struct preference **preferences, size_t *count);
bool store_read_cap_used(struct store_reader *reader, int64_t customer, const char *name, int64_t *used);
/* Ids of customers that have this (normalised) address on any channel; free each and the array. */
bool store_read_find(struct store_reader *reader, const char *address, char ***ids, size_t *count);
/* Those of the customer (n) that wait, whatever for, by n; at most `limit`; appended. */
bool store_read_waiting_of(struct store_reader *reader, int64_t customer, size_t limit,
			   struct message_rows *out);
/* The id of the customer of this row; NULL: there is none. The caller frees *id. */
bool store_read_customer_id(struct store_reader *reader, int64_t customer, char **id);
bool store_read_holds(struct store_reader *reader, struct hold **out, size_t *count);
bool store_read_counters(struct store_reader *reader, struct counters *out);
/* The oldest waiting message of each lane: admitted_at, 0 for none. */
bool store_read_ages(struct store_reader *reader, int64_t oldest[LANES]);
/* What the audit wants of a contact that heed made. One of several messages gives a line for each of them. */
struct audit_contact {
	int64_t seq, at, customer, address;
	int64_t preference_seq, customer_seq, address_seq, products_seq, log_seq;
	char *product, *channel, *provider, *reason;
	char *address_channel, *address_value; /* "" where there is no such row */
	enum state state;
	bool first;   /* of the contact's lines */
	bool several; /* a contact of several messages */
	/* its message; 0 and "" where that is not there */
	int64_t message_n, message_customer;
	char *message_id, *message_product, *campaign;
	enum purpose purpose;
	enum lane lane;
	int64_t admitted_at, send_at, expires_at;
};
/* And of a message, with its last contact. */
struct audit_message {
	int64_t n, customer;
	char *id;
	enum state state;
	int64_t contact;       /* seq; 0 */
	int64_t first_contact; /* the lowest seq that is kept */
	bool contact_there, contact_has_it;
	int64_t contact_customer;
	enum state contact_state;
};
struct audit_at {
	int64_t customer, seq;
	int64_t end; /* up to this customer, and not of it; 0: of all */
};
/* Attempts by customer, then seq, behind *after, which is moved on; at most `limit` contacts. */
bool store_audit_contacts(struct store_reader *reader, struct audit_at *after, size_t limit,
			  struct audit_contact **out, size_t *count);
void audit_contacts_free(struct audit_contact *list, size_t count);
/* What the log has of customers' facts and choices, by customer, then seq, likewise. */
bool store_audit_changes(struct store_reader *reader, struct audit_at *after, size_t limit,
			 struct change **out, size_t *count);
/* By n, above `after`. */
bool store_audit_messages(struct store_reader *reader, int64_t after, size_t limit,
			  struct audit_message **out, size_t *count);
void audit_messages_free(struct audit_message *list, size_t count);
/* The rows as they are, counted, beside the counters, at one moment. */
bool store_audit_sum(struct store_reader *reader, struct counters *rows, struct counters *kept);
/* What store_put_products was given under this hash; NULL: there is none. The caller frees. */
bool store_read_products(struct store_reader *reader, const char *hash, char **body);
/* The changes of one kind above `after`, oldest first. */
bool store_read_changes_of_kind(struct store_reader *reader, enum change_kind kind, int64_t after,
				size_t limit, struct change **out, size_t *count);
/* Bytes that it takes on disk; 0: it can't say. */
bool store_read_size(struct store_reader *reader, int64_t *bytes);
/* The log of changes of one customer (n), or all (0), above `after`, oldest first. */
bool store_read_changes(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			struct change **out, size_t *count);

#endif
