/* The store on SQLite, in parts: store_sqlite.c opens, locks, migrates and commits; _sql.c runs statements;
 * _vfs.c writes pages; _rows.c reads rows for the writer and the readers; _messages.c, _claims.c,
 * _contacts.c, _people.c, _import.c and _outbox.c write; _runs.c lists contacts by customer; _checkpoint.c
 * brings the WAL into the file; _read.c is the readers. One connection, one thread at a time. */
#ifndef HEED_STORE_SQLITE_PRIVATE_H
#define HEED_STORE_SQLITE_PRIVATE_H

#include <sqlite3.h>

#include "store_private.h"

/* --- statements (_sql.c) --- */

/* Kept prepared for the life of the connection. The text stands where each is used. */
enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_POINT,
	SQL_POINT_BACK,
	SQL_POINT_END,
	SQL_SET_NUMBER,
	SQL_GET_NUMBER,
	SQL_MESSAGE_BY_ID,
	SQL_MESSAGE_BY_N,
	SQL_MESSAGE_ADD,
	SQL_MESSAGE_SAVE,
	SQL_WAITING_ADD,
	SQL_WAITING_DROP,
	SQL_DUE,
	SQL_NEXT_DUE,
	SQL_WAITING,
	SQL_EXPIRED,
	SQL_NEXT_EXPIRY,
	SQL_WAITED_FOR,
	SQL_WAITING_OF,
	SQL_WAITING_OF_CAMPAIGN,
	SQL_OPEN_OF,
	SQL_ABANDONED,
	SQL_GATEWAY_REPORT,
	SQL_MOVE_CLOCK,
	SQL_GATEWAY_NUMBER,
	SQL_GATEWAY_NAME,
	SQL_EVENT_ADD,
	SQL_EVENTS,
	SQL_EVENTS_DROP,
	SQL_EVENTS_CUT,
	SQL_EVENTS_REST,
	SQL_CUSTOMER_BY_ID,
	SQL_CUSTOMER_BY_N,
	SQL_CUSTOMER_FIND,
	SQL_ANY_ERASED,
	SQL_CUSTOMER_ADD,
	SQL_CUSTOMERS_ADD,
	SQL_ADDRESS_LINKS,
	SQL_ADDRESS_MAKE,
	SQL_CHANGES_ADD,
	SQL_CUSTOMER_SAVE,
	SQL_CUSTOMER_STAMP,
	SQL_ADDRESSES_DROP,
	SQL_ADDRESS_LINK,
	SQL_ADDRESS_FIND,
	SQL_ADDRESS_ADD,
	SQL_ADDRESS_STATE,
	SQL_ADDRESS_ANSWERED,
	SQL_ADDRESS_OWNERS,
	SQL_RECEIPT_KEEP,
	SQL_RECEIPT_FIND,
	SQL_RECEIPT_DROP,
	SQL_RECEIPTS,
	SQL_RECEIPTS_COUNT,
	SQL_PREFERENCES,
	SQL_PREFERENCES_CHAIN,
	SQL_FACTS_BY_ID,
	SQL_FACTS_BY_N,
	SQL_BESIDE_WRITE,
	SQL_ADDRESS_MOVED,
	SQL_ADDRESSES_MOVED,
	SQL_PREFERENCE_PUT,
	SQL_AGAIN_PUT,
	SQL_AGAIN_DROP,
	SQL_AGAIN,
	SQL_HOLD_PUT,
	SQL_HOLD_DROP,
	SQL_HOLDS,
	SQL_CUSTOMER_ERASE,
	SQL_ERASING,
	SQL_ERASING_END,
	SQL_ADDRESS_RENAME,
	SQL_CHANGE_REWRITE,
	SQL_EVENT_REWRITE,
	SQL_MESSAGE_ERASE,
	SQL_MESSAGE_PRUNE_TEXT,
	SQL_MESSAGE_FORGET,
	SQL_MESSAGE_DROP,
	SQL_SEVERAL_DROP,
	SQL_PRUNED_GET,
	SQL_PRUNED_SET,
	SQL_PRUNED_DROP,
	SQL_READ_OPEN_OF,
	SQL_CAP_USED,
	SQL_CAP_COUNT,
	SQL_CAPS_DROP,
	SQL_SEVERAL_ADD,
	SQL_SEVERAL,
	SQL_SEVERAL_NAMES,
	SQL_CHANGE_ADD,
	SQL_LAST_CHOICE,
	SQL_PRODUCTS_LAST,
	SQL_PRODUCTS_ADD,
	SQL_TEMPLATE_ADD,
	SQL_FIND,
	SQL_CUSTOMER_ID,
	SQL_OLDEST,
	SQL_CHANGES,
	SQL_CHANGES_OF,
	SQL_CHANGES_OF_KIND,
	SQL_AUDIT_CHANGES,
	SQL_AUDIT_KEYS,
	SQL_AUDIT_LISTED,
	SQL_AUDIT_MESSAGES,
	SQL_AUDIT_SEVERAL,
	SQL_AUDIT_SUM,
	SQL_PRODUCTS_GET,
	SQL_MONTHS,
	SQL_RUN_BEHIND,
	SQL_RUN_BEFORE,
	SQL_RUN_ADD,
	SQL_RUNS_ADD,
	SQL_RUN_MERGE,
	SQL_RUN_DROP,
	SQL_RUN_FORGET,
	SQL_RUN_READ,
	STATEMENTS
};

/* Which addresses' states may have moved: a bit by a hash of n. */
#define MOVED_BITS (1 << 18)

struct sql {
	unsigned char *moved; /* of the writer alone; MOVED_BITS / 8 bytes */
	sqlite3 *db;
	char *path;
	struct text *error; /* of the store or reader that this belongs to */
	sqlite3_stmt *statements[STATEMENTS];
};

#define SQL_BUSY_WAIT_MS 5000 /* for the moment in which another connection recovers the WAL */
/* The writer, for somebody who holds the store: two tries, with a turn's pause between them, are as long as a
 * change may take. Until its first commit it waits as at the start: a gateway or command that starts then
 * does not fail. */
#define SQL_TURN_WAIT_MS 760

bool sql_open(struct sql *sql, const char *path, int flags, struct text *error);
/* The file system that leaves nothing behind in pages (_vfs.c): its name. */
const char *sqlite_vfs(void);
void sql_close(struct sql *sql);
/* Ready to be bound; NULL, with the error, if it can't be prepared. */
sqlite3_stmt *sql_statement(struct sql *sql, enum statement which, const char *text);
sqlite3_stmt *sql_prepare(struct sql *sql, const char *text, unsigned flags);
/* 1: a row; 0: no more (reset); -1: failed (reset, with the error). A NULL statement has failed. */
int sql_step(struct sql *sql, sqlite3_stmt *statement);
/* For statements without rows; resets. */
bool sql_run(struct sql *sql, sqlite3_stmt *statement);
/* One row at most: 1 and the caller resets, or as sql_step. */
bool sql_exec(struct sql *sql, const char *text);
bool sql_failed(struct sql *sql);

/* Binding and reading in order. What is bound must live until the statement was stepped for the last time. */
struct cells {
	sqlite3_stmt *statement;
	int at;
};
struct cells sql_cells(sqlite3_stmt *statement);
void put_number(struct cells *cells, int64_t value);
void put_text(struct cells *cells, const char *value);
int64_t get_number(struct cells *cells);
char *get_text(struct cells *cells); /* a copy */

/* Several rows of values in one statement cost half of what they cost one by one. A conflict ends it where it
 * is (OR FAIL): what is left is rolled back with the transaction, and nothing is kept for less than that. */
#define SQL_ROWS 8
#define SQL_EIGHT(row) row ", " row ", " row ", " row ", " row ", " row ", " row ", " row

/* --- rows (_rows.c) --- */

#define MESSAGE_COLUMNS                                                                                      \
	"m.n, m.id, m.hash, m.customer, coalesce(k.id, ''), m.product, m.template, m.campaign, m.purpose, "  \
	"m.lane, m.admitted_at, m.send_at, m.expires_at, m.state, m.waits_for, m.due, m.attempts, m.tries, " \
	"m.epoch, m.lease, m.gateway, "                                                                      \
	"m.give_up_at, "                                                                                     \
	"m.fault_since, m.rejected, m.waited, m.wait_channel, m.wait_since, m.wait_until, m.best, "          \
	"m.counted, m.channel, m.contact, m.reasons, m.body"
#define MESSAGE_CUSTOMER " LEFT JOIN customer k ON k.n = m.customer "

void sql_read_message(sqlite3_stmt *statement, struct message_row *out);
/* All rows of a statement, appended. */
bool sql_append_messages(struct sql *sql, sqlite3_stmt *statement, struct message_rows *out);
bool sql_waiting_of(struct sql *sql, int64_t customer, int64_t after, size_t limit, struct message_rows *out);
bool sql_find_message(struct sql *sql, const char *id, struct message_row *out);

#define CONTACT_COLUMNS                                                                               \
	"c.seq, c.changed, c.at, c.customer, c.message, c.product, c.channel, c.direction, c.state, " \
	"c.attempt, c.provider, c.provider_ref, c.address, c.template, c.template_hash, c.summary, "  \
	"c.content, c.reason, c.reason_args, c.code, c.detail, c.preference, c.preference_seq, "      \
	"c.customer_seq, c.address_seq, c.products_seq, c.segments, c.captured, c.log_seq, c.late"

/* The cells behind the contact's columns are left to the caller. */
void sql_read_contact(struct cells *cells, struct contact *out);

bool sql_get_customer(struct sql *sql, const char *id, int64_t n, struct customer **out);
/* The rows between customers and their addresses, which have their n. */
bool sql_link_addresses(struct sql *sql, struct customer *const customers[], size_t count);
bool sql_get_preferences(struct sql *sql, int64_t customer, struct preference **out, size_t *count);
/* The preferences for the product, its parent and "*". */
bool sql_get_chain(struct sql *sql, struct facts *facts);
#define CUSTOMER_COLUMNS "k.n, k.id, k.name, k.locale, k.timezone, k.seq, k.erased_at"
struct customer *sql_read_customer(struct cells *cells);
bool sql_get_number(struct sql *sql, enum number number, int64_t *value);
bool sql_get_holds(struct sql *sql, struct hold **out, size_t *count);
bool sql_cap_used(struct sql *sql, int64_t customer, const char *name, int64_t *used);
bool sql_read_changes(struct sql *sql, int64_t customer, int64_t after, size_t limit, struct change **out,
		      size_t *count);
bool sql_begin_reading(struct sql *sql);
void sql_end_reading(struct sql *sql);
char *number_name(enum number number, char out[32]);

/* --- months (_contacts.c) --- */

#define MONTH_NAME 24

/* Calls `each` for every month's table, the newest first; false if it failed or `each` did. */
bool sql_months(struct sql *sql, bool (*each)(void *context, int month), void *context);
void month_name(int month, char out[MONTH_NAME]);
int month_of(int64_t at); /* 202611 */
/* The first and the last seq of a month's table; 0 where it is empty. */
bool month_ends(struct sql *sql, const char *name, int64_t *first, int64_t *last);
/* Gives months that an earlier heed made the columns that came since. */
bool months_widen(struct sql *sql);
/* Lists the contacts of months that an earlier heed made, in a transaction. */
bool months_list(struct sql *sql);

/* --- checkpoints (_checkpoint.c) --- */

/* Takes over from SQLite's own. NULL: that stays. */
struct checkpoint *checkpoint_open(struct sql *writer);
/* Between two transactions: begins one, or ends it, where it is time to. */
void checkpoint_step(struct checkpoint *checkpoint);
/* Waits for the disk: nothing of ours is in the way of another one. */
void checkpoint_settle(struct checkpoint *checkpoint);
void checkpoint_close(struct checkpoint *checkpoint); /* before the writer */

/* --- the writer --- */

struct month {
	int month;
	int64_t first, last; /* seq; 0 while it is empty */
	sqlite3_stmt *add, *save, *get, *find, *newest, *attempt, *doubts;
};

struct store_sqlite {
	struct store base;
	struct sql sql;
	int lock; /* the descriptor that holds the flock */
	int64_t numbers[NUMBERS];
	int64_t committed[NUMBERS]; /* as they are in the store */
	int64_t at_point[NUMBERS];
	struct month *months;
	size_t month_count;
	struct text batch; /* of events, while it is made */
	struct store_stale stale;
	struct text rooms[SQL_ROWS]; /* for what stands beside customers, while it is written */
	struct checkpoint *checkpoint;
	int64_t run;       /* the newest that a contact was listed in */
	bool months_stale; /* a rollback may have taken some away */
	bool turned;       /* something was committed since it was opened */
};

/* --- what stands beside a customer (_beside.c) --- */

/* Those that are stale. */
bool beside_write(struct store_sqlite *store);
/* Once, at the start. */
bool beside_load(struct store_sqlite *store);
void beside_moved(struct store_sqlite *store, int64_t address);
void beside_release(struct store_sqlite *store);
bool sql_read_facts(struct sql *sql, struct facts *facts);

/* --- which contacts a customer has (_runs.c) --- */

/* Lists contacts that were added. */
bool runs_add(struct store_sqlite *store, struct contact *const contacts[], size_t count);
/* And takes one off that goes. */
bool runs_drop(struct sql *sql, int64_t customer, int64_t seq);
/* All of a month's table, from seq `first` to `last`. */
bool runs_list(struct sql *sql, const char *table, int64_t first, int64_t last);

/* Where runs_next begins, to come to all that have contacts from `seq` on (down: up to it). */
int64_t runs_from(int64_t seq, bool down);
/* The next run behind (down: before) `run`: 1; 0: there is none; -1: failed. */
int runs_next(struct sql *sql, bool down, int64_t *run);
/* The lowest and the highest seq that it may have. */
void run_ends(int64_t run, int64_t *low, int64_t *high);
/* At most `limit` of a customer's contacts, by seq, behind `after`. */
bool runs_read(struct sql *sql, int64_t customer, int64_t after, int64_t seq[], size_t limit, size_t *count);

void months_release(struct store_sqlite *store);
/* Knows the months again after a rollback. */
bool months_fresh(struct store_sqlite *store);
/* A month's numbers may lie between those of another. */
bool month_may_have(const struct month *month, int64_t seq);
/* The earliest from `from` on; NULL: none. */
struct month *month_from(struct store_sqlite *store, int from);
bool month_drop(struct store_sqlite *store, struct month *month);
/* The messages of a contact that has several; appended to out->several. */
bool several_read(struct sql *sql, struct contact *out);

bool sqlite_find_messages(struct store *, const char *const ids[], size_t count, struct message_row out[]);
bool sqlite_get_messages(struct store *, const int64_t n[], size_t count, struct message_row out[]);
bool sqlite_number_messages(struct store *, struct message_row *const rows[], size_t count);
bool sqlite_add_messages(struct store *, struct message_row *const rows[], size_t count);
bool sqlite_save_messages(struct store *, struct message_row *const rows[], size_t count);
bool sqlite_due(struct store *, const char *waits_for, enum lane lane, int64_t now, size_t limit,
		struct message_rows *out);
bool sqlite_next_due(struct store *, const char *waits_for, int64_t *due);
bool sqlite_waiting(struct store *, const char *waits_for, struct waiting_at *after, size_t limit,
		    struct message_rows *out);
bool sqlite_expired(struct store *, int64_t now, size_t limit, struct message_rows *out);
bool sqlite_next_expiry(struct store *, int64_t *at);
bool sqlite_waited_for(struct store *, char ***names, size_t *count);
bool sqlite_waiting_of_campaign(struct store *, const char *campaign, int64_t after, size_t limit,
				struct message_rows *out);
bool sqlite_waiting_of(struct store *, int64_t customer, int64_t after, size_t limit,
		       struct message_rows *out);
bool sqlite_open_of(struct store *, int64_t customer, struct message_rows *out);
bool sqlite_abandoned(struct store *, int64_t gateway, int64_t now, int64_t silent, int64_t after,
		      size_t limit, struct message_rows *out);
bool sqlite_report_gateway(struct store *, const char *name, const char *boot, int64_t at, int64_t *n,
			   int64_t *before);
bool sqlite_move_clock(struct store *, int64_t was, int64_t by);
bool sqlite_gateway_name(struct store *, int64_t gateway, char **name);

bool sqlite_number_contacts(struct store *, struct contact *const contacts[], size_t count);
bool sqlite_add_contacts(struct store *, struct contact *const contacts[], size_t count);
bool sqlite_save_contacts(struct store *, struct contact *const contacts[], size_t count);
bool sqlite_get_contacts(struct store *, const int64_t seq[], size_t count, struct contact out[]);
bool sqlite_doubts_of(struct store *, int64_t customer, int64_t since, struct contact **out, size_t *count);
bool sqlite_find_contact(struct store *, enum direction direction, const char *provider,
			 const char *provider_ref, struct contact *out);
bool sqlite_attempt_of(struct store *, int64_t message, const char *channel, struct contact *out);
bool sqlite_last_sent(struct store *, int64_t customer, int64_t address, const char *provider,
		      struct contact *out);

bool sqlite_read_facts(struct store *, struct facts *const facts[], size_t count);
bool sqlite_get_customer(struct store *, const char *id, struct customer **out);
bool sqlite_get_preferences(struct store *, int64_t customer, struct preference **out, size_t *count);
bool sqlite_put_customer(struct store *, struct customer *customer);
bool sqlite_get_customers(struct store *, const char *const ids[], size_t count, struct customer *out[]);
bool sqlite_get_preferences_of(struct store *, const int64_t customers[], size_t count,
			       struct preferences out[]);
bool sqlite_get_addresses(struct store *, struct address *const addresses[], size_t count, bool make);
bool sqlite_number_customers(struct store *, struct customer *const customers[], size_t count);
bool sqlite_add_customers(struct store *, struct customer *const customers[], size_t count);
bool sqlite_put_preferences(struct store *, const struct preference_of rows[], size_t count);
bool sqlite_any_erased(struct store *, bool *any);
bool sqlite_stamp_customer(struct store *, int64_t customer, int64_t seq);
bool sqlite_erase_customer(struct store *, int64_t customer, const char *name, int64_t at);
bool sqlite_get_erasing(struct store *, int64_t *customer, char **id);
bool sqlite_end_erasing(struct store *, int64_t customer);
bool sqlite_rename_address(struct store *, int64_t address, const char *value);
bool sqlite_get_changes(struct store *, int64_t customer, int64_t after, size_t limit, struct change **out,
			size_t *count);
bool sqlite_rewrite_change(struct store *, const struct change *change);
bool sqlite_erase_contacts(struct store *, int64_t customer, int64_t *after, size_t limit, size_t *count);
bool sqlite_rewrite_event(struct store *, int64_t seq, const char *json);
bool sqlite_prune(struct store *, const struct prune *prune, size_t limit, struct pruned *out, bool *more);
bool sqlite_clean(struct store *, bool *done);
bool sqlite_put_preference(struct store *, int64_t customer, const struct preference *preference);
bool sqlite_set_address_state(struct store *, int64_t address, enum address_state state, int64_t seq);
bool sqlite_get_address(struct store *, const char *channel, const char *value, bool make,
			struct address_row *out);
bool sqlite_answered(struct store *, int64_t address, int64_t at);
bool sqlite_customers_of_address(struct store *, int64_t address, int64_t **customers, size_t *count);
bool sqlite_keep_receipt(struct store *, const struct kept_receipt *receipt);
bool sqlite_find_receipt(struct store *, const char *provider, const char *provider_ref, int64_t contact,
			 struct kept_receipt *out);
bool sqlite_drop_receipt(struct store *, const char *provider, const char *provider_ref, int64_t contact);
bool sqlite_get_receipts(struct store *, int64_t after, size_t limit, struct kept_receipt **out,
			 size_t *count);
bool sqlite_count_receipts(struct store *, int64_t *count);
bool sqlite_put_again(struct store *, const struct again_at *again);
bool sqlite_drop_again(struct store *, int64_t customer);
bool sqlite_get_again(struct store *, struct again_at **out, size_t *count);
bool sqlite_put_hold(struct store *, const struct hold *hold);
bool sqlite_drop_hold(struct store *, enum hold_kind kind, const char *name);
bool sqlite_get_holds(struct store *, struct hold **out, size_t *count);
bool sqlite_cap_used(struct store *, int64_t customer, const char *name, int64_t *used);
bool sqlite_count_caps(struct store *, const struct cap_count counts[], size_t count, int64_t now);
bool sqlite_last_choice(struct store *, int64_t customer, const char *product, char **choice);
bool sqlite_append_changes(struct store *, struct change *const changes[], size_t count);
bool sqlite_put_products(struct store *, const char *hash, const char *body, int64_t at, int64_t *seq);
bool sqlite_put_template(struct store *, const char *hash, const char *name, const char *source, int64_t at);

bool sqlite_add_events(struct store *, struct event_row *const events[], size_t count);
bool sqlite_get_events(struct store *, int64_t after, size_t limit, struct event_row **out, size_t *count);
bool sqlite_drop_events(struct store *, int64_t up_to);

/* --- copies (_copy.c) --- */

bool sqlite_dump(struct store *, const char *table, const struct store_columns *columns, store_row_taker each,
		 void *context);
bool sqlite_numbers(struct store *, int64_t out[]);

/* --- readers (_read.c) --- */

struct sql *sqlite_reader_sql(struct store_reader *reader);
struct store_reader *sqlite_reader_open(const char *where, struct text *error);
void sqlite_reader_close(struct store_reader *reader);
bool sqlite_read_log(struct store_reader *, const struct log_query *, struct contact **out, size_t *count);
bool sqlite_read_last_change(struct store_reader *, int64_t *changed);
bool sqlite_read_message(struct store_reader *, const char *id, struct message_row *out);
bool sqlite_read_open_of(struct store_reader *, int64_t customer, int64_t after, size_t limit,
			 struct message_rows *out);
bool sqlite_read_customer(struct store_reader *, const char *id, struct customer **out,
			  struct preference **preferences, size_t *count);
bool sqlite_read_cap_used(struct store_reader *, int64_t customer, const char *name, int64_t *used);
bool sqlite_read_find(struct store_reader *, const char *address, char ***ids, size_t *count);
bool sqlite_read_waiting_of(struct store_reader *, int64_t customer, size_t limit, struct message_rows *out);
bool sqlite_read_customer_id(struct store_reader *, int64_t customer, char **id);
bool sqlite_read_holds(struct store_reader *, struct hold **out, size_t *count);
bool sqlite_read_counters(struct store_reader *, struct counters *out);
bool sqlite_read_size(struct store_reader *, int64_t *bytes);
bool sqlite_read_ages(struct store_reader *, int64_t oldest[LANES]);
bool sqlite_audit_contacts(struct store_reader *, struct audit_at *after, size_t limit,
			   struct audit_contact **out, size_t *count);
bool sqlite_audit_changes(struct store_reader *, struct audit_at *after, size_t limit, struct change **out,
			  size_t *count);
bool sqlite_audit_messages(struct store_reader *, int64_t after, size_t limit, struct audit_message **out,
			   size_t *count);
bool sqlite_audit_sum(struct store_reader *, struct counters *rows, struct counters *kept);
bool sqlite_read_products(struct store_reader *, const char *hash, char **body);
bool sqlite_read_changes_of_kind(struct store_reader *, enum change_kind kind, int64_t after, size_t limit,
				 struct change **out, size_t *count);
bool sqlite_read_changes(struct store_reader *, int64_t customer, int64_t after, size_t limit,
			 struct change **out, size_t *count);

/* --- the schema (_schema.c; the steps are made from config/schema/ by the Makefile) --- */

extern const struct schema_step schema_steps[]; /* in order; ends with number 0 */

int schema_known(void);
/* The last step applied; 0: an empty file. False: failed. */
bool schema_version(struct sql *sql, int *version);
/* False, and the error, where this program may not use what is there. */
bool schema_check(struct sql *sql, int version);
/* Applies what is missing, each step in a transaction. */
bool schema_apply(struct sql *sql, int version);
bool schema_text(struct sql *sql, const char *name, char **value);

extern const struct store_ops store_sqlite_ops;

#endif
