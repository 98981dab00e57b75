/* Readers: each its own connection, which never writes, never checkpoints, and never keeps the writer
 * waiting. Each call sees one commit. */
#include "store_sqlite_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define LOG_TEXT_MAX 8192

struct reader {
	struct store_reader base;
	struct sql sql;
};

struct sql *sqlite_reader_sql(struct store_reader *reader)
{
	return &((struct reader *)reader)->sql;
}

static struct sql *sql_of(struct store_reader *reader)
{
	return sqlite_reader_sql(reader);
}

void sqlite_reader_close(struct store_reader *reader)
{
	sql_close(sql_of(reader));
	free(reader);
}

struct store_reader *sqlite_reader_open(const char *where, struct text *error)
{
	struct reader *reader = xcalloc(1, sizeof *reader);
	struct sql *sql = &reader->sql;
	int version = 0;

	reader->base.ops = &store_sqlite_ops;
	text_init(&reader->base.error, TEXT_ERROR_MAX);
	bool ok = access(where, F_OK) == 0 ||
		  text_error(&reader->base.error, "store: %s: there is no store yet; `heed migrate` makes it",
			     where);
	ok = ok && sql_open(sql, where, SQLITE_OPEN_READWRITE, &reader->base.error);
	ok = ok && sqlite3_db_config(sql->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) == SQLITE_OK;
	ok = ok && sql_exec(sql, "PRAGMA query_only = ON") && sql_exec(sql, "PRAGMA trusted_schema = OFF") &&
	     schema_version(sql, &version) && schema_check(sql, version);
	if (!ok) {
		text_error(error, "%s", reader->base.error.data);
		text_release(&reader->base.error);
		sqlite_reader_close(&reader->base);
		reader = NULL;
	}
	return reader ? &reader->base : NULL;
}

/* --- the log --- */

struct log_run {
	struct sql *sql;
	const struct log_query *query;
	int64_t customer, message; /* n; 0: any */
	bool listed;               /* the contacts are looked for in the customer's list */
	bool down;                 /* the highest first */
	struct contact *contacts;  /* the best so far, in the order in which they are looked for */
	size_t count;
};

/* What a month holds, to pass it over where it can't have any of the wanted. */
struct month_span {
	int64_t low, high; /* of what orders the query: seq or changed */
	int64_t changed;   /* the highest */
};

static bool month_span(struct log_run *run, const char *table, struct month_span *out)
{
	const char *key = run->query->by_change && !run->listed ? "changed" : "seq";
	struct text text;

	text_init(&text, LOG_TEXT_MAX);
	text_addf(&text,
		  "SELECT (SELECT min(%s) FROM %s), (SELECT max(%s) FROM %s), (SELECT max(changed) FROM %s)",
		  key, table, key, table, table);
	sqlite3_stmt *statement = sql_prepare(run->sql, text.data, 0);
	int more = sql_step(run->sql, statement);
	struct cells cells = sql_cells(statement);
	if (more > 0) {
		out->low = get_number(&cells);
		out->high = get_number(&cells);
		out->changed = get_number(&cells);
	}
	sqlite3_finalize(statement);
	text_release(&text);
	return more > 0;
}

static int64_t log_key(const struct log_run *run, const struct contact *contact)
{
	return run->query->by_change ? contact->changed : contact->seq;
}

/* Whether the month may hold one that is wanted before the last of those found. */
static bool month_may_help(const struct log_run *run, int month, const struct month_span *span)
{
	const struct log_query *query = run->query;

	if (!span->high || (query->after && span->changed <= query->after))
		return false;
	if (query->since && month < month_of(query->since))
		return false;
	if (run->count < query->limit)
		return true;
	int64_t last = log_key(run, &run->contacts[run->count - 1]);
	return run->down ? span->high > last : span->low < last;
}

static sqlite3_stmt *log_prepare(struct log_run *run, const char *table)
{
	const struct log_query *query = run->query;
	struct text text;

	text_init(&text, LOG_TEXT_MAX);
	text_addf(&text,
		  "SELECT " CONTACT_COLUMNS
		  ", coalesce(k.id, ''), coalesce(a.value, ''), coalesce(m.id, ''), "
		  "coalesce(m.body, '') FROM %s%s c%s LEFT JOIN customer k ON k.n = c.customer "
		  "LEFT JOIN address a ON a.n = c.address LEFT JOIN message m ON m.n = c.message WHERE true",
		  run->listed ? "customer_contact o CROSS JOIN " : "", table,
		  run->listed ? " ON c.seq = o.seq" : "");
	if (run->listed)
		text_puts(&text,
			  " AND o.run = :run AND o.customer = :customer AND o.seq BETWEEN :low AND :high");
	else if (run->customer)
		text_puts(&text, " AND c.customer = :customer");
	if (run->message)
		text_puts(&text, " AND (c.message = :message OR c.seq IN (SELECT contact FROM "
				 "contact_message WHERE message = :message))");
	if (query->product)
		text_puts(&text, " AND (c.product = :product OR "
				 "substr(c.product, 1, length(:product) + 1) = :product || '/')");
	if (query->products) /* its own name, or that of the one it is a part of */
		text_puts(&text, " AND (instr(:products, ',' || c.product || ',') OR instr(:products, ',' || "
				 "substr(c.product, 1, instr(c.product || '/', '/') - 1) || ','))");
	if (query->channel)
		text_puts(&text, " AND c.channel = :channel");
	if (query->has_state)
		text_puts(&text, " AND c.state = :state");
	if (query->captured)
		text_puts(&text, " AND c.captured");
	if (query->since)
		text_puts(&text, " AND c.at >= :since");
	if (query->after)
		text_puts(&text, " AND c.changed > :after");
	if (query->before)
		text_puts(&text, " AND c.seq < :before");
	text_addf(&text, " ORDER BY %s%s LIMIT :limit",
		  query->by_change ? "c.changed"
		  : run->listed    ? "o.seq"
				   : "c.seq",
		  run->down ? " DESC" : "");
	sqlite3_stmt *statement = sql_prepare(run->sql, text.data, 0);
	text_release(&text);
	return statement;
}

static void bind_number(sqlite3_stmt *statement, const char *name, int64_t value)
{
	int at = sqlite3_bind_parameter_index(statement, name);

	if (at)
		sqlite3_bind_int64(statement, at, value);
}

static void bind_text(sqlite3_stmt *statement, const char *name, const char *value)
{
	int at = sqlite3_bind_parameter_index(statement, name);

	if (at)
		sqlite3_bind_text(statement, at, value, -1, SQLITE_STATIC);
}

/* The messages of a contact that has several, and the meta of the first. */
static bool read_several(struct sql *sql, struct contact *out)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_SEVERAL_NAMES,
		"SELECT m.id, m.body FROM contact_message c CROSS JOIN message m ON m.n = c.message "
		"WHERE c.contact = ? ORDER BY c.message");
	struct cells cells = sql_cells(statement);
	int more;

	put_number(&cells, out->seq);
	while ((more = sql_step(sql, statement)) > 0) {
		cells = sql_cells(statement);
		out->message_ids =
			xreallocarray(out->message_ids, out->message_count + 1, sizeof *out->message_ids);
		out->message_ids[out->message_count++] = get_text(&cells);
		const char *body = (const char *)sqlite3_column_text(statement, cells.at);
		if (out->message_count == 1) {
			free(out->meta);
			out->meta = store_body_meta(body ? body : "");
		}
	}
	return more == 0;
}

static void read_log_row(sqlite3_stmt *statement, struct contact *out)
{
	struct cells cells = sql_cells(statement);

	*out = (struct contact){0};
	sql_read_contact(&cells, out);
	out->customer_id = get_text(&cells);
	out->address_value = get_text(&cells);
	char *id = get_text(&cells);
	const char *body = (const char *)sqlite3_column_text(statement, cells.at);
	out->meta = store_body_meta(body ? body : "");
	if (*id) {
		out->message_ids = xcalloc(1, sizeof *out->message_ids);
		out->message_ids[0] = id;
		out->message_count = 1;
	} else {
		free(id);
	}
}

/* Puts a contact at its place among those found; the last falls out where there are too many. */
static void log_keep(struct log_run *run, struct contact *contact)
{
	size_t at = run->count;
	int64_t key = log_key(run, contact);

	while (at && (run->down ? log_key(run, &run->contacts[at - 1]) < key
				: log_key(run, &run->contacts[at - 1]) > key))
		at--;
	if ((run->count & (run->count + 1)) == 0) /* 0, 1, 3, 7, …: room for twice as many */
		run->contacts = xreallocarray(run->contacts, 2 * (run->count + 1), sizeof *run->contacts);
	memmove(run->contacts + at + 1, run->contacts + at, (run->count - at) * sizeof *run->contacts);
	run->contacts[at] = *contact;
	run->count++;
	if (run->count > run->query->limit)
		contact_release(&run->contacts[--run->count]);
}

static void log_bind(const struct log_run *run, sqlite3_stmt *statement)
{
	const struct log_query *query = run->query;

	bind_number(statement, ":customer", run->customer);
	bind_number(statement, ":message", run->message);
	bind_text(statement, ":product", query->product);
	bind_text(statement, ":products", query->products);
	bind_text(statement, ":channel", query->channel);
	bind_number(statement, ":state", query->state);
	bind_number(statement, ":since", query->since);
	bind_number(statement, ":after", query->after);
	bind_number(statement, ":before", query->before);
	bind_number(statement, ":limit", (int64_t)query->limit);
}

static bool log_rows(struct log_run *run, sqlite3_stmt *statement)
{
	bool ok = true;
	int more = 0;

	while (ok && (more = sql_step(run->sql, statement)) > 0) {
		struct contact contact;
		read_log_row(statement, &contact);
		ok = contact.message || read_several(run->sql, &contact);
		log_keep(run, &contact);
	}
	return ok && more == 0;
}

static bool log_month(void *context, int month)
{
	struct log_run *run = context;
	struct month_span span = {0};
	char table[MONTH_NAME];

	month_name(month, table);
	if (!month_span(run, table, &span))
		return false;
	if (!month_may_help(run, month, &span))
		return true;
	sqlite3_stmt *statement = log_prepare(run, table);
	log_bind(run, statement);
	bool ok = log_rows(run, statement);
	sqlite3_finalize(statement);
	return ok;
}

/* --- the log of one customer --- */

/* The months that may have what is wanted, and how it is read there. */
struct log_month {
	struct month_span span;
	sqlite3_stmt *read;
};
struct log_months {
	struct log_run *run;
	struct log_month *list;
	size_t count;
	int64_t low, high; /* seq, of all of them */
};

static bool log_months_add(void *context, int month)
{
	struct log_months *months = context;
	struct log_run *run = months->run;
	struct log_month found = {.read = NULL};
	char table[MONTH_NAME];

	month_name(month, table);
	if (!month_span(run, table, &found.span))
		return false;
	if (!month_may_help(run, month, &found.span))
		return true;
	found.read = log_prepare(run, table);
	log_bind(run, found.read);
	months->low = found.span.low < months->low ? found.span.low : months->low;
	months->high = found.span.high > months->high ? found.span.high : months->high;
	months->list = xreallocarray(months->list, months->count + 1, sizeof *months->list);
	months->list[months->count++] = found;
	return true;
}

/* What is wanted of the contacts of a run, which are from `low` to `high`: as many as are missing. */
static bool log_listed(struct log_months *months, int64_t key, int64_t low, int64_t high)
{
	struct log_run *run = months->run;
	const size_t room = run->query->limit - (run->query->by_change ? 0 : run->count);
	bool ok = true;

	for (size_t i = 0; ok && i < months->count; i++) {
		const struct log_month *month = &months->list[i];
		if (month->span.low > high || month->span.high < low)
			continue;
		bind_number(month->read, ":run", key);
		bind_number(month->read, ":low", month->span.low);
		bind_number(month->read, ":high",
			    month->span.high < months->high ? month->span.high : months->high);
		bind_number(month->read, ":limit", (int64_t)room);
		ok = log_rows(run, month->read);
	}
	return ok;
}

/* His contacts in the order of seq, which is the order wanted, but where it is that of the changes. */
static bool log_of_customer(struct log_run *run)
{
	const struct log_query *query = run->query;
	struct log_months months = {.run = run, .low = INT64_MAX};
	bool ok = sql_months(run->sql, log_months_add, &months);
	int64_t low, high;
	int more = months.count > 0;

	if (query->before && query->before <= months.high)
		months.high = query->before - 1;
	for (int64_t key = runs_from(run->down ? months.high : months.low, run->down);
	     ok && more > 0 && (query->by_change || run->count < query->limit);) {
		more = runs_next(run->sql, run->down, &key);
		run_ends(key, &low, &high);
		if (more > 0 && (run->down ? high < months.low : low > months.high))
			break;
		ok = more <= 0 || log_listed(&months, key, low, high);
	}
	for (size_t i = 0; i < months.count; i++)
		sqlite3_finalize(months.list[i].read);
	free(months.list);
	return ok && more >= 0;
}

/* The n behind the names of the query. False: failed; *nothing: nobody has that name. */
static bool log_names(struct log_run *run, bool *nothing)
{
	struct customer *customer = NULL;
	struct message_row message = {0};
	bool ok = true;

	if (run->query->customer) {
		ok = sql_get_customer(run->sql, run->query->customer, 0, &customer);
		run->customer = customer ? customer->n : 0;
		*nothing = !customer;
	}
	if (ok && run->query->message) {
		ok = sql_find_message(run->sql, run->query->message, &message);
		run->message = message.n;
		*nothing = *nothing || !message.n;
	}
	run->listed = run->customer && !run->message; /* a message has few contacts */
	customer_free(customer);
	message_row_release(&message);
	return ok;
}

bool sqlite_read_log(struct store_reader *reader, const struct log_query *query, struct contact **out,
		     size_t *count)
{
	struct sql *sql = sql_of(reader);
	bool tail = log_query_is_tail(query);
	struct log_run run = {.sql = sql, .query = query, .down = query->newest_first || tail};
	int64_t changed = 0;
	bool nothing = false;

	if (!sql_begin_reading(sql))
		return false;
	bool ok = sql_get_number(sql, NUMBER_CHANGED, &changed) && log_names(&run, &nothing);
	if (ok && !nothing && changed > query->after)
		ok = run.listed ? log_of_customer(&run) : sql_months(sql, log_month, &run);
	sql_end_reading(sql);
	for (size_t i = 0; tail && i < run.count / 2; i++) {
		struct contact other = run.contacts[i];
		run.contacts[i] = run.contacts[run.count - 1 - i];
		run.contacts[run.count - 1 - i] = other;
	}
	*out = run.contacts;
	*count = run.count;
	return ok;
}

bool sqlite_read_last_change(struct store_reader *reader, int64_t *changed)
{
	return sql_get_number(sql_of(reader), NUMBER_CHANGED, changed);
}

/* --- the rest --- */

bool sqlite_read_message(struct store_reader *reader, const char *id, struct message_row *out)
{
	return sql_find_message(sql_of(reader), id, out);
}

bool sqlite_read_open_of(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			 struct message_rows *out)
{
	struct sql *sql = sql_of(reader);
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_READ_OPEN_OF,
		"SELECT " MESSAGE_COLUMNS
		" FROM (SELECT message AS n FROM waiting INDEXED BY waiting_by_customer "
		"WHERE customer = ?1 AND message > ?2 UNION SELECT n FROM message INDEXED BY message_open "
		"WHERE customer = ?1 AND state IN (2, 5) AND n > ?2 ORDER BY 1 LIMIT ?3) o "
		"CROSS JOIN message m ON m.n = o.n" MESSAGE_CUSTOMER "ORDER BY m.n");
	struct cells cells = sql_cells(statement);

	put_number(&cells, customer);
	put_number(&cells, after);
	put_number(&cells, (int64_t)limit);
	return sql_append_messages(sql, statement, out);
}

bool sqlite_read_customer(struct store_reader *reader, const char *id, struct customer **out,
			  struct preference **preferences, size_t *count)
{
	struct sql *sql = sql_of(reader);

	if (!sql_begin_reading(sql))
		return false;
	bool ok = sql_get_customer(sql, id, 0, out) &&
		  (!*out || sql_get_preferences(sql, (*out)->n, preferences, count));
	sql_end_reading(sql);
	return ok;
}

bool sqlite_read_cap_used(struct store_reader *reader, int64_t customer, const char *name, int64_t *used)
{
	return sql_cap_used(sql_of(reader), customer, name, used);
}

bool sqlite_read_find(struct store_reader *reader, const char *address, char ***ids, size_t *count)
{
	struct sql *sql = sql_of(reader);
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_FIND,
		"SELECT DISTINCT k.id FROM address a JOIN customer_address l ON l.address = a.n "
		"JOIN customer k ON k.n = l.customer WHERE a.value = ? ORDER BY k.n");
	struct cells cells = sql_cells(statement);
	int more;

	put_text(&cells, address);
	while ((more = sql_step(sql, statement)) > 0) {
		cells = sql_cells(statement);
		*ids = xreallocarray(*ids, *count + 1, sizeof **ids);
		(*ids)[(*count)++] = get_text(&cells);
	}
	return more == 0;
}

bool sqlite_read_waiting_of(struct store_reader *reader, int64_t customer, size_t limit,
			    struct message_rows *out)
{
	return sql_waiting_of(sql_of(reader), customer, 0, limit, out);
}

bool sqlite_read_customer_id(struct store_reader *reader, int64_t customer, char **id)
{
	struct sql *sql = sql_of(reader);
	sqlite3_stmt *statement = sql_statement(sql, SQL_CUSTOMER_ID, "SELECT id FROM customer WHERE n = ?");
	struct cells cells = sql_cells(statement);
	int more;

	put_number(&cells, customer);
	while ((more = sql_step(sql, statement)) > 0) {
		cells = sql_cells(statement);
		*id = get_text(&cells);
	}
	return more == 0;
}

bool sqlite_read_holds(struct store_reader *reader, struct hold **out, size_t *count)
{
	return sql_get_holds(sql_of(reader), out, count);
}

bool sqlite_read_counters(struct store_reader *reader, struct counters *out)
{
	struct sql *sql = sql_of(reader);
	int64_t numbers[NUMBERS];

	if (!sql_begin_reading(sql))
		return false;
	bool ok = true;
	for (int i = NUMBER_ADMITTED; ok && i < NUMBERS; i++)
		ok = sql_get_number(sql, (enum number)i, &numbers[i]);
	sql_end_reading(sql);
	if (ok)
		numbers_counters(numbers, out);
	return ok;
}

/* n rises with time: the lowest n that waits is the oldest. */
bool sqlite_read_ages(struct store_reader *reader, int64_t oldest[LANES])
{
	struct sql *sql = sql_of(reader);
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_OLDEST,
		"WITH RECURSIVE name (it) AS (SELECT min(waits_for) FROM waiting UNION ALL "
		"SELECT (SELECT min(waits_for) FROM waiting WHERE waits_for > it) FROM name "
		"WHERE it IS NOT NULL) SELECT min(m.admitted_at) FROM name CROSS JOIN message m ON m.n = "
		"(SELECT min(message) FROM waiting WHERE waits_for = it AND lane = ?) "
		"WHERE it IS NOT NULL");
	int more = 0;

	for (int lane = 0; more >= 0 && lane < LANES; lane++) {
		struct cells cells = sql_cells(statement);
		put_number(&cells, lane);
		more = sql_step(sql, statement);
		if (more > 0)
			oldest[lane] = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return more >= 0;
}

/* The database, and what was not yet written back into it. */
bool sqlite_read_size(struct store_reader *reader, int64_t *bytes)
{
	static const char *const suffixes[] = {"", "-wal"};
	const char *file = sqlite3_db_filename(sql_of(reader)->db, "main");
	struct stat info;

	for (size_t i = 0; file && i < sizeof suffixes / sizeof suffixes[0]; i++) {
		char *path = xasprintf("%s%s", file, suffixes[i]);
		if (stat(path, &info) == 0)
			*bytes += info.st_size;
		free(path);
	}
	return true;
}

#define CHANGE_COLUMNS                                                                                      \
	"SELECT seq, kind, at, given_at, customer, address, subject, changed_by, actor, source, evidence, " \
	"old_value, new_value FROM change_log "

static bool take_changes(struct sql *sql, sqlite3_stmt *statement, struct change **out, size_t *count)
{
	size_t capacity = *count;
	int more;

	while ((more = sql_step(sql, statement)) > 0) {
		if (*count == capacity) {
			capacity = capacity ? 2 * capacity : 16;
			*out = xreallocarray(*out, capacity, sizeof **out);
		}
		struct change *change = &(*out)[(*count)++];
		struct cells cells = sql_cells(statement);
		change->seq = get_number(&cells);
		change->kind = (enum change_kind)get_number(&cells);
		change->at = get_number(&cells);
		change->given_at = get_number(&cells);
		change->customer = get_number(&cells);
		change->address = get_number(&cells);
		change->subject = get_text(&cells);
		change->by = get_text(&cells);
		change->actor = get_text(&cells);
		change->source = get_text(&cells);
		change->evidence = get_text(&cells);
		change->old_value = get_text(&cells);
		change->new_value = get_text(&cells);
	}
	return more == 0;
}

bool sql_read_changes(struct sql *sql, int64_t customer, int64_t after, size_t limit, struct change **out,
		      size_t *count)
{
	sqlite3_stmt *statement =
		customer ? sql_statement(sql, SQL_CHANGES_OF,
					 CHANGE_COLUMNS "WHERE customer = ? AND seq > ? ORDER BY seq LIMIT ?")
			 : sql_statement(sql, SQL_CHANGES,
					 CHANGE_COLUMNS "WHERE seq > ? ORDER BY seq LIMIT ?");
	struct cells cells = sql_cells(statement);

	if (customer)
		put_number(&cells, customer);
	put_number(&cells, after);
	put_number(&cells, (int64_t)limit);
	return take_changes(sql, statement, out, count);
}

bool sqlite_read_changes(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			 struct change **out, size_t *count)
{
	return sql_read_changes(sql_of(reader), customer, after, limit, out, count);
}

bool sqlite_read_changes_of_kind(struct store_reader *reader, enum change_kind kind, int64_t after,
				 size_t limit, struct change **out, size_t *count)
{
	struct sql *sql = sql_of(reader);
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_CHANGES_OF_KIND, CHANGE_COLUMNS "WHERE kind = ? AND seq > ? ORDER BY seq LIMIT ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, kind);
	put_number(&cells, after);
	put_number(&cells, (int64_t)limit);
	return take_changes(sql, statement, out, count);
}

/* In this order by its index. */
bool sqlite_audit_changes(struct store_reader *reader, struct audit_at *after, size_t limit,
			  struct change **out, size_t *count)
{
	struct sql *sql = sql_of(reader);
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_AUDIT_CHANGES,
		CHANGE_COLUMNS "INDEXED BY change_log_by_customer WHERE customer >= ?1 AND customer < ?4 "
			       "AND (customer > ?1 OR seq > ?2) AND kind IN (0, 1) "
			       "ORDER BY customer, seq LIMIT ?3");
	struct cells cells = sql_cells(statement);

	put_number(&cells, after->customer);
	put_number(&cells, after->seq);
	put_number(&cells, (int64_t)limit);
	put_number(&cells, after->end ? after->end : INT64_MAX);
	return take_changes(sql, statement, out, count);
}
