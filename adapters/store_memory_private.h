/* The store in memory: for tests and simulations. Tables of rows by number, and an undo log for rollbacks.
 * "memory:" is private to its handle; "memory:NAME" is shared inside the process by one writer and any
 * readers, and is gone when the last of them closes. Readers wait for the end of a transaction. */
#ifndef HEED_STORE_MEMORY_PRIVATE_H
#define HEED_STORE_MEMORY_PRIVATE_H

#include <pthread.h>

#include "store_private.h"

enum table {
	MESSAGES,
	CONTACTS,
	CUSTOMERS,
	ADDRESSES,
	CHANGES,
	EVENTS,
	CAPS,
	PREFERENCES,
	HOLDS,
	GATEWAYS,
	PRODUCT_SETS, /* their bodies, by the change that they came with */
	RECEIPTS,
	AGAIN, /* int64_t, by customer */
	TABLES
};

/* Rows by their number; NULL: none. */
struct slots {
	void **at;
	size_t size;
};

/* From a text to a number. Open addressing; the keys belong to the rows. */
struct names {
	struct name {
		const char *key;
		int64_t n; /* 0: free */
	} * at;
	size_t size, count;
};

struct owned_address {
	int64_t n;
	char *details;
};

struct memory_customer {
	char *id, *name, *locale, *timezone;
	char *erasing; /* the id that it had, until its texts are gone; "" */
	int64_t seq, erased_at;
	struct owned_address *addresses;
	size_t address_count;
};

struct memory_address {
	char *key; /* channel, a space, value */
	char *channel, *value;
	enum address_state state;
	int64_t seq, answered_at;
};

struct memory_event {
	enum event_stream stream;
	char json[];
};

struct memory_gateway {
	char *name;
	int64_t at; /* its last report */
};

struct memory_cap {
	int64_t used, ends;
};

/* What belongs to a customer and only grows: not undone as a whole. */
struct memory_lists {
	int64_t *messages;
	size_t message_count;
	struct preference **preferences;
	size_t preference_count;
};

struct wait {
	int64_t due, n;
};

/* What waits for one name in one lane, in order; at[head] is the first. */
struct wait_queue {
	char *waits_for;
	enum lane lane;
	struct wait *at;
	size_t head, count, size;
};

struct undo {
	enum table table;
	int64_t n;
	size_t index; /* of a preference among the customer's */
	void *old;    /* NULL: it was not there */
};

struct memory {
	char *name; /* "" : private */
	size_t holders;
	bool has_writer;
	struct memory *next;
	pthread_mutex_t mutex; /* held by a transaction, and by each call of a reader */
	char id[STORE_ID_SIZE];
	int64_t numbers[NUMBERS], committed[NUMBERS];
	int64_t products, committed_products; /* seq of the last CHANGE_PRODUCTS */
	struct slots tables[TABLES];          /* PREFERENCES: struct memory_lists, by customer */
	struct names message_ids, customer_ids, address_keys;
	struct names cap_keys; /* customer, a space, name: number in CAPS */
	int64_t caps; /* the last number there; they stay when a rollback takes back what is in them */
	struct wait_queue *queues;
	size_t queue_count;
	struct wait_queue expiring; /* what waits and can expire, by expires_at */
	int64_t first_event;        /* there is none below */
	char erasure_key[STORE_ID_SIZE];
	int64_t receipts; /* the last number there; as caps */
	struct undo *undo;
	size_t undo_count, undo_size;
	/* the part of a transaction that may be taken back alone */
	int64_t point_numbers[NUMBERS], point_products;
	size_t point_undo;
};

struct store_memory {
	struct store base;
	struct memory *memory;
};

/* --- tables (store_memory_tables.c) --- */

void *slots_get(const struct slots *slots, int64_t n);
void slots_set(struct slots *slots, int64_t n, void *row);
int64_t names_find(const struct names *names, const char *key);
void names_add(struct names *names, const char *key, int64_t n);
void names_remove(struct names *names, const char *key);
/* Puts the row in its place (NULL: takes it away) and remembers what was there. Owns the row. */
void memory_put(struct memory *memory, enum table table, int64_t n, void *row);
void memory_put_preference(struct memory *memory, int64_t customer, struct preference *preference);
void memory_keep(struct memory *memory); /* commit: forgets what could be undone */
/* Takes back what was done since there were `undo_count` entries; the numbers are left to the caller. */
void memory_revert(struct memory *memory, size_t undo_count);
void memory_release(struct memory *memory);
struct memory_lists *memory_lists(struct memory *memory, int64_t customer);
struct wait_queue *queue_of(struct memory *memory, const char *waits_for, enum lane lane, bool make);
/* Where `wait` stands, or would stand, in the queue, counted from its head. */
size_t queue_place(const struct wait_queue *queue, struct wait wait);

struct memory_event *memory_event_make(enum event_stream stream, const char *json);
/* The log of changes, of one customer or (0) of all. */
void changes_read(const struct memory *memory, int64_t customer, enum change_kind kind, int64_t after,
		  size_t limit, struct change **out, size_t *count);
struct memory_address *address_copy(const struct memory *memory, int64_t n);

/* --- rows --- */

void message_row_read(const struct memory *memory, int64_t n, struct message_row *out);
void contact_read(const struct contact *from, struct contact *out);
void holds_read(const struct memory *memory, struct hold **out, size_t *count);
struct customer *customer_read(const struct memory *memory, int64_t n);
void preferences_read(struct memory *memory, int64_t customer, struct preference **out, size_t *count);
char *address_key(const char *channel, const char *value);
int64_t cap_used(const struct memory *memory, int64_t customer, const char *name);

/* --- the rest of the port (store_memory_claims.c, store_memory_people.c, store_memory_read.c) --- */

bool memory_abandoned(struct store *, int64_t gateway, int64_t now, int64_t silent, int64_t after,
		      size_t limit, struct message_rows *out);
bool memory_report_gateway(struct store *, const char *name, const char *boot, int64_t at, int64_t *n,
			   int64_t *before);
/* One to be changed and put in its place. */
struct message_row *message_copied(struct memory *memory, int64_t n);
bool memory_move_clock(struct store *, int64_t was, int64_t by);
bool memory_gateway_name(struct store *, int64_t gateway, char **name);
bool memory_read_facts(struct store *, struct facts *const facts[], size_t count);
bool memory_get_customer(struct store *, const char *id, struct customer **out);
bool memory_get_preferences(struct store *, int64_t customer, struct preference **out, size_t *count);
/* The row of one who has his n, and whose addresses have theirs. */
bool customer_write(struct store *store, const struct customer *customer);
bool memory_put_customer(struct store *, struct customer *customer);
bool memory_get_customers(struct store *, const char *const ids[], size_t count, struct customer *out[]);
bool memory_get_preferences_of(struct store *, const int64_t customers[], size_t count,
			       struct preferences out[]);
bool memory_get_addresses(struct store *, struct address *const addresses[], size_t count, bool make);
bool memory_number_customers(struct store *, struct customer *const customers[], size_t count);
bool memory_add_customers(struct store *, struct customer *const customers[], size_t count);
bool memory_put_preferences(struct store *, const struct preference_of rows[], size_t count);
bool memory_any_erased(struct store *, bool *any);
bool memory_stamp_customer(struct store *, int64_t customer, int64_t seq);
bool memory_erase_customer(struct store *, int64_t customer, const char *name, int64_t at);
bool memory_get_erasing(struct store *, int64_t *customer, char **id);
bool memory_end_erasing(struct store *, int64_t customer);
bool memory_rename_address(struct store *, int64_t address, const char *value);
bool memory_get_changes(struct store *, int64_t customer, int64_t after, size_t limit, struct change **out,
			size_t *count);
bool memory_rewrite_change(struct store *, const struct change *change);
bool memory_erase_contacts(struct store *, int64_t customer, int64_t *after, size_t limit, size_t *count);
bool memory_rewrite_event(struct store *, int64_t seq, const char *json);
bool memory_prune(struct store *, const struct prune *prune, size_t limit, struct pruned *out, bool *more);
bool memory_clean(struct store *, bool *done);
bool memory_store_preference(struct store *, int64_t customer, const struct preference *preference);
bool memory_set_address_state(struct store *, int64_t address, enum address_state state, int64_t seq);
bool memory_get_address(struct store *, const char *channel, const char *value, bool make,
			struct address_row *out);
bool memory_answered(struct store *, int64_t address, int64_t at);
bool memory_keep_receipt(struct store *, const struct kept_receipt *receipt);
bool memory_find_receipt(struct store *, const char *provider, const char *provider_ref, int64_t contact,
			 struct kept_receipt *out);
bool memory_drop_receipt(struct store *, const char *provider, const char *provider_ref, int64_t contact);
bool memory_get_receipts(struct store *, int64_t after, size_t limit, struct kept_receipt **out,
			 size_t *count);
bool memory_count_receipts(struct store *, int64_t *count);
bool memory_customers_of_address(struct store *, int64_t address, int64_t **customers, size_t *count);
bool memory_put_again(struct store *, const struct again_at *again);
bool memory_drop_again(struct store *, int64_t customer);
bool memory_get_again(struct store *, struct again_at **out, size_t *count);
bool memory_put_hold(struct store *, const struct hold *hold);
bool memory_drop_hold(struct store *, enum hold_kind kind, const char *name);
bool memory_get_holds(struct store *, struct hold **out, size_t *count);
bool memory_cap_used(struct store *, int64_t customer, const char *name, int64_t *used);
bool memory_count_caps(struct store *, const struct cap_count counts[], size_t count, int64_t now);
bool memory_last_choice(struct store *, int64_t customer, const char *product, char **choice);
bool memory_append_changes(struct store *, struct change *const changes[], size_t count);
bool memory_put_products(struct store *, const char *hash, const char *body, int64_t at, int64_t *seq);
bool memory_put_template(struct store *, const char *hash, const char *name, const char *source, int64_t at);

/* Shared with the other holders of the name; NULL and `error` where it has a writer already. */
struct memory *memory_attach(const char *name, bool writer, struct text *error);
void memory_detach(struct memory *memory, bool writer);

/* A reader's way in and out: NULL, and the error, inside a transaction of the same thread. */
struct memory *memory_enter(struct store_reader *reader);
bool memory_leave(struct memory *memory);
struct store_reader *memory_reader_open(const char *where, struct text *error);
void memory_reader_close(struct store_reader *reader);
bool memory_read_log(struct store_reader *, const struct log_query *, struct contact **out, size_t *count);
bool memory_read_last_change(struct store_reader *, int64_t *changed);
bool memory_read_message(struct store_reader *, const char *id, struct message_row *out);
bool memory_read_open_of(struct store_reader *, int64_t customer, int64_t after, size_t limit,
			 struct message_rows *out);
bool memory_read_customer(struct store_reader *, const char *id, struct customer **out,
			  struct preference **preferences, size_t *count);
bool memory_read_cap_used(struct store_reader *, int64_t customer, const char *name, int64_t *used);
bool memory_read_find(struct store_reader *, const char *address, char ***ids, size_t *count);
bool memory_read_waiting_of(struct store_reader *, int64_t customer, size_t limit, struct message_rows *out);
bool memory_read_customer_id(struct store_reader *, int64_t customer, char **id);
bool memory_read_holds(struct store_reader *, struct hold **out, size_t *count);
bool memory_read_counters(struct store_reader *, struct counters *out);
bool memory_read_ages(struct store_reader *, int64_t oldest[LANES]);
bool memory_audit_contacts(struct store_reader *, struct audit_at *after, size_t limit,
			   struct audit_contact **out, size_t *count);
bool memory_audit_changes(struct store_reader *, struct audit_at *after, size_t limit, struct change **out,
			  size_t *count);
bool memory_audit_messages(struct store_reader *, int64_t after, size_t limit, struct audit_message **out,
			   size_t *count);
bool memory_audit_sum(struct store_reader *, struct counters *rows, struct counters *kept);
bool memory_read_products(struct store_reader *, const char *hash, char **body);
bool memory_read_changes_of_kind(struct store_reader *, enum change_kind kind, int64_t after, size_t limit,
				 struct change **out, size_t *count);
bool memory_read_changes(struct store_reader *, int64_t customer, int64_t after, size_t limit,
			 struct change **out, size_t *count);

extern const struct store_ops store_memory_ops;

#endif
