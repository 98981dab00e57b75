/* What an adapter of the store fills. Only store.c and the adapters include this. The gate (store.c) has
 * checked before each call: counts are not 0; what writes is inside a transaction; nothing is called after a
 * failure but `rollback` and `close`. A call that returns false has put the reason in base.error. None may
 * be NULL. All may block on the disk. */
#ifndef HEED_STORE_PRIVATE_H
#define HEED_STORE_PRIVATE_H

#include "store.h"

struct store_ops;

#define STORE_ID_SIZE 33 /* 32 hex digits and a NUL */

/* The first member of an adapter's own struct. `open` sets ops, id and versions, and initialises error. */
struct store {
	const struct store_ops *ops;
	struct text error;
	char id[STORE_ID_SIZE];
	char erasure_key[STORE_ID_SIZE];
	struct store_versions versions;
	int64_t clock_ahead; /* set by `begin` */
	bool contended;      /* set where a call fails because of another writer; the gate clears it */
	/* the gate's */
	bool in_transaction;
	bool in_point;
	bool lost;     /* a call failed inside the transaction: only a rollback may follow */
	int64_t began; /* monotonic */
};

struct store_reader {
	const struct store_ops *ops;
	struct text error;
};

/* A table for a copy elsewhere: the same columns in every adapter that has it. */
#define STORE_COLUMNS_MAX 40
struct store_columns {
	size_t count;
	struct {
		char name[32];
		char kind; /* n, t, b: number, text, bytes */
	} list[STORE_COLUMNS_MAX];
};
struct store_cell {
	bool null;
	int64_t number;
	const char *data; /* borrowed; NUL-terminated where it is text */
	size_t len;
};
typedef bool (*store_row_taker)(void *context, const struct store_cell row[]);

struct store_ops {
	bool alone; /* one process at a time has the store */
	const char *scheme;

	/* `where`: the URL behind the scheme's colon. NULL with `error`; *locked when another holds it. */
	struct store *(*open)(const char *where, bool migrate, struct text *error, bool *locked);
	/* Rolls back what is open. Frees the store, but for `error`, which the gate releases before. */
	void (*close)(struct store *store);
	bool (*begin)(struct store *store);
	bool (*commit)(struct store *store);
	/* Leaves everything as before `begin`, numbers that were given included. Also after a failed commit.
	 */
	void (*rollback)(struct store *store);
	/* Ending without `keep` leaves everything as it was at the point, numbers included. */
	bool (*save_point)(struct store *store);
	bool (*end_point)(struct store *store, bool keep);

	/* The promises of these are in store.h, under the same names. */
	bool (*find_messages)(struct store *, const char *const ids[], size_t count,
			      struct message_row out[]);
	bool (*get_messages)(struct store *, const int64_t n[], size_t count, struct message_row out[]);
	bool (*number_messages)(struct store *, struct message_row *const rows[], size_t count);
	bool (*add_messages)(struct store *, struct message_row *const rows[], size_t count);
	bool (*save_messages)(struct store *, struct message_row *const rows[], size_t count);
	bool (*due)(struct store *, const char *waits_for, enum lane lane, int64_t now, size_t limit,
		    struct message_rows *out);
	bool (*next_due)(struct store *, const char *waits_for, int64_t *due);
	bool (*waiting)(struct store *, const char *waits_for, struct waiting_at *after, size_t limit,
			struct message_rows *out);
	bool (*expired)(struct store *, int64_t now, size_t limit, struct message_rows *out);
	bool (*next_expiry)(struct store *, int64_t *at);
	bool (*waited_for)(struct store *, char ***names, size_t *count);
	bool (*waiting_of_campaign)(struct store *, const char *campaign, int64_t after, size_t limit,
				    struct message_rows *out);
	bool (*waiting_of)(struct store *, int64_t customer, int64_t after, size_t limit,
			   struct message_rows *out);
	bool (*open_of)(struct store *, int64_t customer, struct message_rows *out);
	bool (*abandoned)(struct store *, int64_t gateway, int64_t now, int64_t silent, int64_t after,
			  size_t limit, struct message_rows *out);
	bool (*report_gateway)(struct store *, const char *name, const char *boot, int64_t at, int64_t *n,
			       int64_t *before);
	bool (*move_clock)(struct store *, int64_t was, int64_t by); /* NULL: the clock is the server's */
	bool (*gateway_name)(struct store *, int64_t gateway, char **name);

	bool (*number_contacts)(struct store *, struct contact *const contacts[], size_t count);
	bool (*add_contacts)(struct store *, struct contact *const contacts[], size_t count);
	bool (*save_contacts)(struct store *, struct contact *const contacts[], size_t count);
	bool (*get_contacts)(struct store *, const int64_t seq[], size_t count, struct contact out[]);
	bool (*doubts_of)(struct store *, int64_t customer, int64_t since, struct contact **out,
			  size_t *count);
	bool (*find_contact)(struct store *, enum direction direction, const char *provider,
			     const char *provider_ref, struct contact *out);
	bool (*last_sent)(struct store *, int64_t customer, int64_t address, const char *provider,
			  struct contact *out);
	bool (*attempt_of)(struct store *, int64_t message, const char *channel, struct contact *out);

	bool (*read_facts)(struct store *, struct facts *const facts[], size_t count);
	bool (*get_customer)(struct store *, const char *id, struct customer **out);
	bool (*get_preferences)(struct store *, int64_t customer, struct preference **out, size_t *count);
	bool (*put_customer)(struct store *, struct customer *customer);
	bool (*get_customers)(struct store *, const char *const ids[], size_t count, struct customer *out[]);
	bool (*get_preferences_of)(struct store *, const int64_t customers[], size_t count,
				   struct preferences out[]);
	bool (*get_addresses)(struct store *, struct address *const addresses[], size_t count, bool make);
	bool (*number_customers)(struct store *, struct customer *const customers[], size_t count);
	bool (*add_customers)(struct store *, struct customer *const customers[], size_t count);
	bool (*put_preferences)(struct store *, const struct preference_of rows[], size_t count);
	bool (*any_erased)(struct store *, bool *any);
	bool (*stamp_customer)(struct store *, int64_t customer, int64_t seq);
	bool (*erase_customer)(struct store *, int64_t customer, const char *name, int64_t at);
	bool (*get_erasing)(struct store *, int64_t *customer, char **id);
	bool (*end_erasing)(struct store *, int64_t customer);
	bool (*rename_address)(struct store *, int64_t address, const char *value);
	bool (*get_changes)(struct store *, int64_t customer, int64_t after, size_t limit,
			    struct change **out, size_t *count);
	bool (*rewrite_change)(struct store *, const struct change *change);
	bool (*erase_contacts)(struct store *, int64_t customer, int64_t *after, size_t limit, size_t *count);
	bool (*rewrite_event)(struct store *, int64_t seq, const char *json);
	bool (*prune)(struct store *, const struct prune *prune, size_t limit, struct pruned *out,
		      bool *more);
	bool (*clean)(struct store *, bool *done);
	bool (*put_preference)(struct store *, int64_t customer, const struct preference *preference);
	bool (*set_address_state)(struct store *, int64_t address, enum address_state state, int64_t seq);
	bool (*get_address)(struct store *, const char *channel, const char *value, bool make,
			    struct address_row *out);
	bool (*answered)(struct store *, int64_t address, int64_t at);
	bool (*customers_of_address)(struct store *, int64_t address, int64_t **customers, size_t *count);
	bool (*keep_receipt)(struct store *, const struct kept_receipt *receipt);
	bool (*find_receipt)(struct store *, const char *provider, const char *provider_ref, int64_t contact,
			     struct kept_receipt *out);
	bool (*drop_receipt)(struct store *, const char *provider, const char *provider_ref, int64_t contact);
	bool (*get_receipts)(struct store *, int64_t after, size_t limit, struct kept_receipt **out,
			     size_t *count);
	bool (*count_receipts)(struct store *, int64_t *count);
	bool (*put_again)(struct store *, const struct again_at *again);
	bool (*drop_again)(struct store *, int64_t customer);
	bool (*get_again)(struct store *, struct again_at **out, size_t *count);
	bool (*put_hold)(struct store *, const struct hold *hold);
	bool (*drop_hold)(struct store *, enum hold_kind kind, const char *name);
	bool (*get_holds)(struct store *, struct hold **out, size_t *count);
	bool (*cap_used)(struct store *, int64_t customer, const char *name, int64_t *used);
	bool (*count_caps)(struct store *, const struct cap_count counts[], size_t count, int64_t now);
	bool (*append_changes)(struct store *, struct change *const changes[], size_t count);
	bool (*last_choice)(struct store *, int64_t customer, const char *product, char **choice);
	bool (*put_products)(struct store *, const char *hash, const char *body, int64_t at, int64_t *seq);
	bool (*put_template)(struct store *, const char *hash, const char *name, const char *source,
			     int64_t at);

	bool (*add_events)(struct store *, struct event_row *const events[], size_t count);
	bool (*get_events)(struct store *, int64_t after, size_t limit, struct event_row **out,
			   size_t *count);
	bool (*drop_events)(struct store *, int64_t up_to);
	bool (*count)(struct store *, const struct counters *deltas);
	bool (*counters)(struct store *, struct counters *out);

	/* For copies (store_copy.c). NULL: it can't be copied from, or to. `numbers`: enum number. */
	bool (*dump)(struct store *, const char *table, const struct store_columns *columns,
		     store_row_taker each, void *context);
	bool (*numbers)(struct store *, int64_t out[]);
	bool (*tables)(struct store *, char ***names, size_t *count); /* that are to be copied */
	bool (*columns)(struct store *, const char *table, struct store_columns *out);
	bool (*load)(struct store *, const char *table, const struct store_columns *columns,
		     const struct store_cell cells[], size_t rows);
	bool (*load_end)(struct store *, const struct store *from, const int64_t numbers[]);
	/* NULL where no two transactions are open at the same time. */
	void (*set_lease)(struct store *, int64_t lease);
	bool (*lock_stripes)(struct store *, struct store_stripe stripes[], size_t count, bool wait);
	bool (*last_hold)(struct store *, int64_t *seq);
	bool (*count_gateways)(struct store *, int64_t since, int64_t *count);
	bool (*take_role)(struct store *, const char *role, int64_t gateway, int64_t now, int64_t until,
			  bool *mine);

	struct store_reader *(*reader_open)(const char *where, struct text *error);
	void (*reader_close)(struct store_reader *reader);
	bool (*read_log)(struct store_reader *, const struct log_query *, struct contact **out,
			 size_t *count);
	bool (*read_last_change)(struct store_reader *, int64_t *changed);
	bool (*read_message)(struct store_reader *, const char *id, struct message_row *out);
	bool (*read_open_of)(struct store_reader *, int64_t customer, int64_t after, size_t limit,
			     struct message_rows *out);
	bool (*read_customer)(struct store_reader *, const char *id, struct customer **out,
			      struct preference **preferences, size_t *count);
	bool (*read_cap_used)(struct store_reader *, int64_t customer, const char *name, int64_t *used);
	bool (*read_find)(struct store_reader *, const char *address, char ***ids, size_t *count);
	bool (*read_waiting_of)(struct store_reader *, int64_t customer, size_t limit,
				struct message_rows *out);
	bool (*read_customer_id)(struct store_reader *, int64_t customer, char **id);
	bool (*read_holds)(struct store_reader *, struct hold **out, size_t *count);
	bool (*read_counters)(struct store_reader *, struct counters *out);
	bool (*read_ages)(struct store_reader *, int64_t oldest[LANES]);
	bool (*audit_contacts)(struct store_reader *, struct audit_at *after, size_t limit,
			       struct audit_contact **out, size_t *count);
	bool (*audit_changes)(struct store_reader *, struct audit_at *after, size_t limit,
			      struct change **out, size_t *count);
	bool (*audit_messages)(struct store_reader *, int64_t after, size_t limit, struct audit_message **out,
			       size_t *count);
	bool (*audit_sum)(struct store_reader *, struct counters *rows, struct counters *kept);
	bool (*read_products)(struct store_reader *, const char *hash, char **body);
	bool (*read_changes_of_kind)(struct store_reader *, enum change_kind kind, int64_t after,
				     size_t limit, struct change **out, size_t *count);
	bool (*read_size)(struct store_reader *, int64_t *bytes); /* NULL: it can't say */
	bool (*read_changes)(struct store_reader *, int64_t customer, int64_t after, size_t limit,
			     struct change **out, size_t *count);
};

/* Helpers that every adapter needs. */

void store_make_id(char out[STORE_ID_SIZE]);
/* Remembers how the row stands: after it was read, added or saved. */
/* Has it ended, so that it may go with its last contact? */
bool message_row_ended(const struct message_row *row);
/* The first moment of the month behind 202611. */
int64_t store_month_end(int month);
void message_row_keep(struct message_row *row);
/* The "meta" of a message's body, "" where there is none. The caller frees. */
char *store_body_meta(const char *body);
/* A preference's channels as text, and read from it; NULL where they were not chosen. The caller frees. */
char *store_channels_text(const struct preference *preference);
void store_channels_read(const char *text, struct preference *out);
/* For qsort of pointers to addresses: by value, then channel, as the index of addresses has them. */
int store_address_order(const void *a, const void *b);
/* What stands beside a customer (schema step 041; store_beside.c): the addresses as text, which is `room`'s;
 * NULL where they would be long. */
const char *store_beside_text(const struct customer *customer, struct text *room);
/* False: it can't be read, and nothing was. */
bool store_beside_addresses(const char *text, struct customer *out);
bool store_beside_choices(const char *text, struct facts *out);
/* Customers whose copy of the choices is of before: written anew before it is next read, and before the
 * commit. */
struct store_stale {
	int64_t *customers;
	size_t count, capacity;
};
void store_stale_add(struct store_stale *stale, int64_t customer);
void store_stale_sort(struct store_stale *stale); /* each once, by n */
/* Whether a query takes the last ones. */
bool log_query_is_tail(const struct log_query *query);

/* A step of a schema: compiled in from config/schema/ by the Makefile; a list ends with number 0. */
struct schema_step {
	int number;
	const char *name;
	const char *sql;
};

/* All that rises and is never used again, and the sum. Kept in memory by the one writer, written at commit.
 */
enum number {
	NUMBER_MESSAGE,
	NUMBER_CONTACT,
	NUMBER_CHANGED,
	NUMBER_EVENT,
	NUMBER_CHANGE,
	NUMBER_CUSTOMER,
	NUMBER_ADDRESS,
	NUMBER_GATEWAY,
	NUMBER_ADMITTED,
	NUMBER_STATE,                          /* + a state */
	NUMBER_PRUNED = NUMBER_STATE + STATES, /* + a state */
	NUMBERS = NUMBER_PRUNED + STATES
};
void numbers_count(int64_t numbers[NUMBERS], const struct counters *deltas);
void numbers_counters(const int64_t numbers[NUMBERS], struct counters *out);

#endif
