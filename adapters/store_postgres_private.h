/* The store on PostgreSQL, in parts: store_postgres.c opens, commits and numbers; _connect.c keeps the
 * connection; _sql.c runs statements; _schema.c migrates; _rows.c reads rows for the writer and the readers;
 * _messages.c, _claims.c, _contacts.c, _people.c, _import.c and
 * _receipts.c write; _read.c is the readers. One connection, one thread at a time.
 *
 * Several writers may work at once (gateways, and the command line). What they read to write it again they
 * lock (FOR UPDATE; rows that are due with SKIP LOCKED); what they number for followers they number last,
 * under the lock of the one row of `position`. */
#ifndef HEED_STORE_POSTGRES_PRIVATE_H
#define HEED_STORE_POSTGRES_PRIVATE_H

#include <libpq-fe.h>

#include "store_private.h"

/* --- statements (_sql.c) --- */

/* Prepared when first used, for the life of the connection. The text stands where each is used. */
enum statement {
	PG_PLAIN, /* not kept: its text is made each time */
	PG_MARK,
	PG_MARKED,
	PG_FIND_MESSAGES,
	PG_READ_MESSAGE,
	PG_GET_MESSAGES,
	PG_NUMBER_MESSAGES,
	PG_ADD_MESSAGES,
	PG_SAVE_MESSAGES,
	PG_DUE,
	PG_NEXT_DUE,
	PG_WAITING,
	PG_EXPIRED,
	PG_NEXT_EXPIRY,
	PG_WAITED_FOR,
	PG_WAITING_OF,
	PG_WAITING_OF_CAMPAIGN,
	PG_OPEN_OF,
	PG_ABANDONED,
	PG_ABANDONED_OURS,
	PG_REPORT_GATEWAY,
	PG_GATEWAY_NAME,
	PG_HOLD_NAME,
	PG_LOCK_STRIPES,
	PG_TRY_STRIPES,
	PG_LAST_HOLD,
	PG_COUNT_GATEWAYS,
	PG_TAKE_ROLE,
	PG_ADD_EVENTS,
	PG_EVENTS,
	PG_DROP_EVENTS,
	PG_NUMBER_CONTACTS,
	PG_ADD_CONTACTS,
	PG_SAVE_CONTACTS,
	PG_GET_CONTACTS,
	PG_FIND_CONTACT,
	PG_DOUBTS_OF,
	PG_LAST_SENT,
	PG_ATTEMPT_OF,
	PG_ADD_SEVERAL,
	PG_SEVERAL,
	PG_SEVERAL_NAMES,
	PG_MONTHS,
	PG_CUSTOMERS,
	PG_MOVED,
	PG_BESIDE_WRITE,
	PG_ADDRESSES,
	PG_PREFERENCES,
	PG_CHAIN,
	PG_ANY_ERASED,
	PG_NUMBER_CUSTOMERS,
	PG_ADD_CUSTOMERS,
	PG_SAVE_CUSTOMER,
	PG_DROP_ADDRESSES,
	PG_PUT_ADDRESSES,
	PG_GET_ADDRESSES,
	PG_STAMP_CUSTOMER,
	PG_LINK_ADDRESSES,
	PG_ADDRESS_STATE,
	PG_ADDRESS_OWNERS,
	PG_MAKE_ADDRESS,
	PG_GET_ADDRESS,
	PG_ANSWERED,
	PG_KEEP_RECEIPT,
	PG_FIND_RECEIPT,
	PG_DROP_RECEIPT,
	PG_RECEIPTS,
	PG_COUNT_RECEIPTS,
	PG_PUT_PREFERENCES,
	PG_PUT_HOLD,
	PG_PUT_AGAIN,
	PG_DROP_AGAIN,
	PG_AGAIN,
	PG_DROP_HOLD,
	PG_HOLDS,
	PG_CAP_USED,
	PG_DROP_CAPS,
	PG_COUNT_CAPS,
	PG_NUMBER_CHANGES,
	PG_ADD_CHANGES,
	PG_LAST_CHOICE,
	PG_PRODUCTS_LAST,
	PG_ADD_PRODUCTS,
	PG_ADD_TEMPLATE,
	PG_COUNT,
	PG_COUNTERS,
	PG_LAST_CHANGE,
	PG_FIND,
	PG_CUSTOMER_ID,
	PG_READ_WAITING_OF,
	PG_AGES,
	PG_SIZE,
	PG_CHANGES,
	PG_CHANGES_OF,
	PG_READ_OPEN_OF,
	PG_ERASE_CUSTOMER,
	PG_ERASING,
	PG_END_ERASING,
	PG_LOCK_ADDRESS,
	PG_RENAME_ADDRESS,
	PG_REWRITE_CHANGE,
	PG_REWRITE_EVENT,
	PG_ERASED_MESSAGES,
	PG_ERASE_MESSAGES,
	PG_ERASED_CONTACTS,
	PG_ERASE_CONTACTS,
	PG_PRUNED,
	PG_SET_PRUNED,
	PG_PRUNE_TEXTS,
	PG_PRUNE_MESSAGES,
	PG_PRUNE_MONTHS,
	PG_COUNT_PRUNED,
	PG_CHANGES_OF_KIND,
	PG_AUDIT_CONTACTS,
	PG_AUDIT_MESSAGES,
	PG_AUDIT_CHANGES,
	PG_AUDIT_SUM,
	PG_PRODUCTS_GET,
	STATEMENTS
};

struct pg {
	PGconn *conn; /* NULL: to be connected again */
	char *url;
	bool reads_only;
	bool reading;       /* a reader's transaction is open */
	bool named;         /* this session holds the gateway's name */
	int64_t lease;      /* no transaction holds others up for as long */
	bool *contended;    /* set where another writer is why a statement failed; NULL for readers */
	struct text *error; /* of the store or reader that this belongs to */
	bool prepared[STATEMENTS];
};

#define PG_CONNECT_SECONDS "5"
#define PG_LOCK_WAIT_MS 1500 /* for another writer: below what a change may take (contract: the promise) */
#define PG_LEASE (30 * INT64_C(1000000)) /* where nobody says */
#define PG_STALL_MS "10000" /* what was sent and nobody acknowledges: the connection is given up */

/* Connects, or does nothing where it is connected. */
bool pg_connect(struct pg *pg);
/* How long a statement, and a transaction that does nothing, may take: what pg->lease allows. */
bool pg_limit(struct pg *pg);
void pg_disconnect(struct pg *pg);
/* The connection is lost, not only the statement. */
bool pg_is_lost(const struct pg *pg);
/* False, with PostgreSQL's words. `result` may be NULL. */
bool pg_failed(struct pg *pg, const PGresult *result);
bool pg_exec(struct pg *pg, const char *text); /* without parameters; several statements are fine */

/* A statement with its parameters. Columns are arrays, filled a row after the other: with "nt" each row is a
 * pg_put_number and a pg_put_text, and the statement sees $1::bigint[] and $2::text[]. A scalar is put once.
 */
#define PG_PARAMETERS_MAX 40
struct pg_parameter {
	char kind; /* n, t: a scalar; N, T, B: a column of numbers, texts, bytes */
	bool null;
	char *data;
	size_t len, capacity;
	int32_t count;
};
struct pg_query {
	struct pg *pg;
	enum statement which;
	const char *text;
	struct pg_parameter parameters[PG_PARAMETERS_MAX];
	int count, at;
	PGresult *result;
	int rows;
};
/* `kinds`: "tnNT…", a letter a parameter. */
void pg_query_init(struct pg_query *query, struct pg *pg, enum statement which, const char *kinds,
		   const char *text);
void pg_put_number(struct pg_query *query, int64_t value);
void pg_put_text(struct pg_query *query, const char *value); /* NULL: SQL's NULL */
void pg_put_bytes(struct pg_query *query, const void *data, size_t len);
/* Runs it; the rows are in query->result. False: failed. Release in both cases. */
bool pg_query_run(struct pg_query *query);
/* Runs it and releases it; *changed: how many rows it gave or changed (NULL: not wanted). */
bool pg_query_done(struct pg_query *query, int64_t *changed);
void pg_query_release(struct pg_query *query);

/* Reading a row's cells in order. */
struct cells {
	const PGresult *result;
	int row, at;
};
struct cells pg_cells(const struct pg_query *query, int row);
int64_t pg_get_number(struct cells *cells);    /* of any width; 0 for NULL */
char *pg_get_text(struct cells *cells);        /* a copy; "" for NULL */
const char *pg_peek_text(struct cells *cells); /* borrowed; NULL for NULL */

/* --- rows (_rows.c) --- */

#define MESSAGE_COLUMNS                                                                                      \
	"m.n, m.id, m.hash, m.customer, coalesce(k.id, ''), m.product, m.template, m.campaign, m.purpose, "  \
	"m.lane, m.admitted_at, m.send_at, m.expires_at, m.state, m.waits_for, m.due, m.attempts, m.tries, " \
	"m.epoch, m.lease, m.gateway, m.give_up_at, m.fault_since, m.rejected, m.waited, m.wait_channel, "   \
	"m.wait_since, m.wait_until, m.best, m.counted, m.channel, m.contact, m.reasons, m.body"
#define MESSAGE_CUSTOMER " LEFT JOIN customer k ON k.n = m.customer "

#define PG_WAITS "m.due < 9223372036854775807"
/* What anything waits for. Steps from name to name, so that the millions between them are not read. */
#define PG_NAMES                                                                                    \
	"WITH RECURSIVE name (it) AS ((SELECT m.waits_for FROM message m WHERE " PG_WAITS           \
	" ORDER BY m.waits_for LIMIT 1) UNION ALL SELECT (SELECT m.waits_for FROM message m WHERE " \
	"m.waits_for > it AND " PG_WAITS " ORDER BY m.waits_for LIMIT 1) FROM name WHERE it IS NOT NULL) "

void pg_read_message(struct cells *cells, struct message_row *out);
/* Runs it, appends all its rows, and releases it. */
bool pg_append_messages(struct pg_query *query, struct message_rows *out);

#define CONTACT_COLUMNS                                                                               \
	"c.seq, c.changed, c.at, c.customer, c.message, c.product, c.channel, c.direction, c.state, " \
	"c.attempt, c.provider, c.provider_ref, c.address, c.template, c.template_hash, c.summary, "  \
	"c.content, c.reason, c.reason_args, c.code, c.detail, c.preference, c.preference_seq, "      \
	"c.customer_seq, c.address_seq, c.products_seq, c.segments, c.captured, c.log_seq, c.late"
void pg_read_contact(struct cells *cells, struct contact *out);

bool pg_get_customer(struct pg *pg, const char *id, struct customer **out);
bool pg_get_customers(struct pg *pg, const char *const ids[], size_t count, struct customer *out[]);
/* The rows between customers and their addresses, which have their n. */
bool pg_link_addresses(struct pg *pg, struct customer *const customers[], size_t count);
bool pg_get_preferences_of(struct pg *pg, const int64_t customers[], size_t count, struct preferences out[]);
bool pg_get_preferences(struct pg *pg, int64_t customer, struct preference **out, size_t *count);
bool pg_read_facts(struct pg *pg, struct facts *const facts[], size_t count);
bool pg_get_holds(struct pg *pg, struct hold **out, size_t *count);
bool pg_cap_used(struct pg *pg, int64_t customer, const char *name, int64_t *used);
bool pg_read_changes(struct pg *pg, int64_t customer, int64_t after, size_t limit, struct change **out,
		     size_t *count);
bool pg_counters(struct pg *pg, struct counters *out);

/* --- the writer --- */

struct store_postgres {
	struct store base;
	struct pg pg;
	char writer[STORE_ID_SIZE]; /* of this open */
	int64_t turn;               /* of the transaction that is open, or the last one */
	int *months;                /* the partitions that are there */
	size_t month_count;
	bool months_stale; /* a rollback may have taken some away, or another may have made some */
	struct store_stale stale;
	struct text room; /* for what stands beside a customer, while it is made */
};
/* What stands beside those who are stale. */
bool pg_beside_write(struct store_postgres *store);

/* Makes the partition that a contact of then belongs in. */
bool month_for(struct store_postgres *store, int64_t at);
/* Makes the partitions of this month and the next. */
bool months_ahead(struct store_postgres *store, int64_t now);

bool postgres_find_messages(struct store *, const char *const ids[], size_t count, struct message_row out[]);
bool postgres_get_messages(struct store *, const int64_t n[], size_t count, struct message_row out[]);
bool postgres_number_messages(struct store *, struct message_row *const rows[], size_t count);
bool postgres_add_messages(struct store *, struct message_row *const rows[], size_t count);
bool postgres_save_messages(struct store *, struct message_row *const rows[], size_t count);
bool postgres_due(struct store *, const char *waits_for, enum lane lane, int64_t now, size_t limit,
		  struct message_rows *out);
bool postgres_next_due(struct store *, const char *waits_for, int64_t *due);
bool postgres_waiting(struct store *, const char *waits_for, struct waiting_at *after, size_t limit,
		      struct message_rows *out);
bool postgres_expired(struct store *, int64_t now, size_t limit, struct message_rows *out);
bool postgres_next_expiry(struct store *, int64_t *at);
bool postgres_waited_for(struct store *, char ***names, size_t *count);
bool postgres_waiting_of_campaign(struct store *, const char *campaign, int64_t after, size_t limit,
				  struct message_rows *out);
bool postgres_waiting_of(struct store *, int64_t customer, int64_t after, size_t limit,
			 struct message_rows *out);
bool postgres_open_of(struct store *, int64_t customer, struct message_rows *out);
bool postgres_abandoned(struct store *, int64_t gateway, int64_t now, int64_t silent, int64_t after,
			size_t limit, struct message_rows *out);
bool postgres_report_gateway(struct store *, const char *name, const char *boot, int64_t at, int64_t *n,
			     int64_t *before);
void postgres_set_lease(struct store *, int64_t lease);
bool postgres_lock_stripes(struct store *, struct store_stripe stripes[], size_t count, bool wait);
bool postgres_last_hold(struct store *, int64_t *seq);
bool postgres_count_gateways(struct store *, int64_t since, int64_t *count);
bool postgres_take_role(struct store *, const char *role, int64_t gateway, int64_t now, int64_t until,
			bool *mine);
bool postgres_gateway_name(struct store *, int64_t gateway, char **name);

bool postgres_number_contacts(struct store *, struct contact *const contacts[], size_t count);
bool postgres_add_contacts(struct store *, struct contact *const contacts[], size_t count);
bool postgres_save_contacts(struct store *, struct contact *const contacts[], size_t count);
bool postgres_get_contacts(struct store *, const int64_t seq[], size_t count, struct contact out[]);
bool postgres_find_contact(struct store *, enum direction direction, const char *provider,
			   const char *provider_ref, struct contact *out);
bool postgres_doubts_of(struct store *, int64_t customer, int64_t since, struct contact **out, size_t *count);
bool postgres_attempt_of(struct store *, int64_t message, const char *channel, struct contact *out);
bool postgres_last_sent(struct store *, int64_t customer, int64_t address, const char *provider,
			struct contact *out);

bool postgres_read_facts(struct store *, struct facts *const facts[], size_t count);
bool postgres_get_customer(struct store *, const char *id, struct customer **out);
bool postgres_get_preferences(struct store *, int64_t customer, struct preference **out, size_t *count);
bool postgres_put_customer(struct store *, struct customer *customer);
bool postgres_get_customers(struct store *, const char *const ids[], size_t count, struct customer *out[]);
bool postgres_get_preferences_of(struct store *, const int64_t customers[], size_t count,
				 struct preferences out[]);
bool postgres_get_addresses(struct store *, struct address *const addresses[], size_t count, bool make);
bool postgres_number_customers(struct store *, struct customer *const customers[], size_t count);
bool postgres_add_customers(struct store *, struct customer *const customers[], size_t count);
bool postgres_put_preferences(struct store *, const struct preference_of rows[], size_t count);
bool postgres_any_erased(struct store *, bool *any);
bool postgres_stamp_customer(struct store *, int64_t customer, int64_t seq);
bool postgres_erase_customer(struct store *, int64_t customer, const char *name, int64_t at);
bool postgres_get_erasing(struct store *, int64_t *customer, char **id);
bool postgres_end_erasing(struct store *, int64_t customer);
bool postgres_rename_address(struct store *, int64_t address, const char *value);
bool postgres_get_changes(struct store *, int64_t customer, int64_t after, size_t limit, struct change **out,
			  size_t *count);
bool postgres_rewrite_change(struct store *, const struct change *change);
bool postgres_erase_contacts(struct store *, int64_t customer, int64_t *after, size_t limit, size_t *count);
bool postgres_rewrite_event(struct store *, int64_t seq, const char *json);
bool postgres_prune(struct store *, const struct prune *prune, size_t limit, struct pruned *out, bool *more);
bool postgres_clean(struct store *, bool *done);
bool postgres_put_preference(struct store *, int64_t customer, const struct preference *preference);
bool postgres_set_address_state(struct store *, int64_t address, enum address_state state, int64_t seq);
bool postgres_customers_of_address(struct store *, int64_t address, int64_t **customers, size_t *count);
bool postgres_get_address(struct store *, const char *channel, const char *value, bool make,
			  struct address_row *out);
bool postgres_answered(struct store *, int64_t address, int64_t at);
bool postgres_keep_receipt(struct store *, const struct kept_receipt *receipt);
bool postgres_find_receipt(struct store *, const char *provider, const char *provider_ref, int64_t contact,
			   struct kept_receipt *out);
bool postgres_drop_receipt(struct store *, const char *provider, const char *provider_ref, int64_t contact);
bool postgres_get_receipts(struct store *, int64_t after, size_t limit, struct kept_receipt **out,
			   size_t *count);
bool postgres_count_receipts(struct store *, int64_t *count);
bool postgres_put_again(struct store *, const struct again_at *again);
bool postgres_drop_again(struct store *, int64_t customer);
bool postgres_get_again(struct store *, struct again_at **out, size_t *count);
bool postgres_put_hold(struct store *, const struct hold *hold);
bool postgres_drop_hold(struct store *, enum hold_kind kind, const char *name);
bool postgres_get_holds(struct store *, struct hold **out, size_t *count);
bool postgres_cap_used(struct store *, int64_t customer, const char *name, int64_t *used);
bool postgres_count_caps(struct store *, const struct cap_count counts[], size_t count, int64_t now);
bool postgres_last_choice(struct store *, int64_t customer, const char *product, char **choice);
bool postgres_append_changes(struct store *, struct change *const changes[], size_t count);
bool postgres_put_products(struct store *, const char *hash, const char *body, int64_t at, int64_t *seq);
bool postgres_put_template(struct store *, const char *hash, const char *name, const char *source,
			   int64_t at);

bool postgres_add_events(struct store *, struct event_row *const events[], size_t count);
bool postgres_get_events(struct store *, int64_t after, size_t limit, struct event_row **out, size_t *count);
bool postgres_drop_events(struct store *, int64_t up_to);

/* --- copies (_copy.c) --- */

bool postgres_dump(struct store *, const char *table, const struct store_columns *columns,
		   store_row_taker each, void *context);
bool postgres_tables(struct store *, char ***names, size_t *count);
bool postgres_columns(struct store *, const char *table, struct store_columns *out);
bool postgres_load(struct store *, const char *table, const struct store_columns *columns,
		   const struct store_cell cells[], size_t rows);
bool postgres_load_end(struct store *, const struct store *from, const int64_t numbers[]);

/* --- readers (_read.c) --- */

/* Connected again, where the connection was lost since the last call. */
struct pg *postgres_reader_pg(struct store_reader *reader);
/* What is read in several statements is of one commit. */
bool pg_begin_reading(struct pg *pg);
void pg_end_reading(struct pg *pg);
struct store_reader *postgres_reader_open(const char *where, struct text *error);
void postgres_reader_close(struct store_reader *reader);
bool postgres_read_log(struct store_reader *, const struct log_query *, struct contact **out, size_t *count);
bool postgres_read_last_change(struct store_reader *, int64_t *changed);
bool postgres_read_message(struct store_reader *, const char *id, struct message_row *out);
bool postgres_read_open_of(struct store_reader *, int64_t customer, int64_t after, size_t limit,
			   struct message_rows *out);
bool postgres_read_customer(struct store_reader *, const char *id, struct customer **out,
			    struct preference **preferences, size_t *count);
bool postgres_read_cap_used(struct store_reader *, int64_t customer, const char *name, int64_t *used);
bool postgres_read_find(struct store_reader *, const char *address, char ***ids, size_t *count);
bool postgres_read_waiting_of(struct store_reader *, int64_t customer, size_t limit,
			      struct message_rows *out);
bool postgres_read_customer_id(struct store_reader *, int64_t customer, char **id);
bool postgres_read_holds(struct store_reader *, struct hold **out, size_t *count);
bool postgres_read_counters(struct store_reader *, struct counters *out);
bool postgres_read_size(struct store_reader *, int64_t *bytes);
bool postgres_read_ages(struct store_reader *, int64_t oldest[LANES]);
bool postgres_audit_contacts(struct store_reader *, struct audit_at *after, size_t limit,
			     struct audit_contact **out, size_t *count);
bool postgres_audit_changes(struct store_reader *, struct audit_at *after, size_t limit, struct change **out,
			    size_t *count);
bool postgres_audit_messages(struct store_reader *, int64_t after, size_t limit, struct audit_message **out,
			     size_t *count);
bool postgres_audit_sum(struct store_reader *, struct counters *rows, struct counters *kept);
bool postgres_read_products(struct store_reader *, const char *hash, char **body);
bool postgres_read_changes_of_kind(struct store_reader *, enum change_kind kind, int64_t after, size_t limit,
				   struct change **out, size_t *count);
bool postgres_read_changes(struct store_reader *, int64_t customer, int64_t after, size_t limit,
			   struct change **out, size_t *count);

/* --- the schema (_schema.c; the steps are made from config/schema/postgres/ by the Makefile) --- */

extern const struct schema_step postgres_steps[]; /* in order; ends with number 0 */

int pg_schema_known(void);
/* The last step applied; 0: there is no store in this schema of the database. */
bool pg_schema_version(struct pg *pg, int *version);
/* False, and the error, where this program may not use what is there. */
bool pg_schema_check(struct pg *pg, int version);
/* Applies what is missing, each step in a transaction; one program at a time. */
bool pg_schema_apply(struct pg *pg);
/* The caller frees *value; NULL: not there. */
bool pg_schema_text(struct pg *pg, const char *name, char **value);

extern const struct store_ops store_postgres_ops;

#endif
