/* Erasure and pruning, in slices. What is deleted is overwritten (PRAGMA secure_delete), and what pages keep
 * of rows that were moved is not written (store_sqlite_vfs.c); the write-ahead log is cut by sqlite_clean. */
#include "store_sqlite_private.h"

#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define ERASE_TEXT_MAX 1024

static struct store_sqlite *of(struct store *store)
{
	return (struct store_sqlite *)store;
}

/* The statement about one table, for a slice; finalize it. */
__attribute__((format(printf, 2, 3))) static sqlite3_stmt *prepare(struct sql *sql, const char *format, ...)
{
	struct text text;
	va_list args;

	text_init(&text, ERASE_TEXT_MAX);
	va_start(args, format);
	text_vaddf(&text, format, args);
	va_end(args);
	sqlite3_stmt *statement = sql_prepare(sql, text.data, 0);
	text_release(&text);
	return statement;
}

static bool changed_one(struct sql *sql, sqlite3_stmt *statement, const char *what, int64_t n)
{
	if (!sql_run(sql, statement))
		return false;
	return sqlite3_changes(sql->db) == 1 ||
	       text_error(sql->error, "store: there is no %s %lld", what, (long long)n);
}

/* --- the customer --- */

bool sqlite_erase_customer(struct store *store, int64_t customer, const char *name, int64_t at)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_CUSTOMER_ERASE,
		"UPDATE customer SET erasing = CASE WHEN erased_at = 0 THEN id ELSE erasing END, id = ?, "
		"name = '', locale = '', erased_at = ?, addresses = '' WHERE n = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, name);
	put_number(&cells, at);
	put_number(&cells, customer);
	if (!changed_one(sql, statement, "customer", customer))
		return false;
	statement = sql_statement(sql, SQL_ADDRESSES_DROP, "DELETE FROM customer_address WHERE customer = ?");
	cells = sql_cells(statement);
	put_number(&cells, customer);
	return sql_run(sql, statement);
}

bool sqlite_get_erasing(struct store *store, int64_t *customer, char **id)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(sql, SQL_ERASING,
						"SELECT n, erasing FROM customer INDEXED BY customer_erasing "
						"WHERE erasing <> '' ORDER BY n LIMIT 1");
	int more = sql_step(sql, statement);

	if (more > 0) {
		struct cells cells = sql_cells(statement);
		*customer = get_number(&cells);
		*id = get_text(&cells);
		sqlite3_reset(statement);
	}
	return more >= 0;
}

bool sqlite_end_erasing(struct store *store, int64_t customer)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_ERASING_END, "UPDATE customer SET erasing = '' WHERE n = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, customer);
	return changed_one(sql, statement, "customer", customer);
}

bool sqlite_rename_address(struct store *store, int64_t address, const char *value)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_ADDRESS_RENAME, "UPDATE address SET value = ? WHERE n = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, value);
	put_number(&cells, address);
	return changed_one(sql, statement, "address", address);
}

bool sqlite_get_changes(struct store *store, int64_t customer, int64_t after, size_t limit,
			struct change **out, size_t *count)
{
	return sql_read_changes(&of(store)->sql, customer, after, limit, out, count);
}

bool sqlite_rewrite_change(struct store *store, const struct change *change)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_CHANGE_REWRITE,
			      "UPDATE change_log SET subject = ?, actor = ?, source = ?, evidence = ?, "
			      "old_value = ?, new_value = ? WHERE seq = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, change->subject);
	put_text(&cells, change->actor);
	put_text(&cells, change->source);
	put_text(&cells, change->evidence);
	put_text(&cells, change->old_value);
	put_text(&cells, change->new_value);
	put_number(&cells, change->seq);
	return changed_one(sql, statement, "change", change->seq);
}

bool sqlite_rewrite_event(struct store *store, int64_t seq, const char *json)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_EVENT_REWRITE, "UPDATE outbox SET json = ? WHERE seq = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, json);
	put_number(&cells, seq);
	return sql_run(sql, statement);
}

/* --- contacts and messages --- */

static bool erase_message(struct sql *sql, int64_t contact, int64_t n, void *context)
{
	static const unsigned char nothing[MESSAGE_HASH_SIZE];
	struct message_row row = {0};
	bool ok = sqlite_get_messages(context, &n, 1, &row);

	(void)contact;
	if (!ok || !row.n)
		return ok;
	char *reasons = erased_reasons(row.reasons);
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_MESSAGE_ERASE, "UPDATE message SET body = '', hash = ?, reasons = ? WHERE n = ?");
	struct cells cells = sql_cells(statement);
	sqlite3_bind_blob(statement, ++cells.at, nothing, MESSAGE_HASH_SIZE, SQLITE_STATIC);
	put_text(&cells, reasons);
	put_number(&cells, n);
	ok = sql_run(sql, statement);
	free(reasons);
	message_row_release(&row);
	return ok;
}

/* One contact as a slice sees it. */
struct seen {
	int64_t seq, message, at, customer;
	char *args;
};

static void seen_free(struct seen *seen, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(seen[i].args);
	free(seen);
}

#define SEEN_COLUMNS "seq, message, at, customer, reason_args"

static struct seen read_seen(sqlite3_stmt *statement)
{
	struct cells cells = sql_cells(statement);
	struct seen seen;

	seen.seq = get_number(&cells);
	seen.message = get_number(&cells);
	seen.at = get_number(&cells);
	seen.customer = get_number(&cells);
	seen.args = get_text(&cells);
	return seen;
}

/* At most `limit` contacts of a month, by seq, behind `after`. */
static bool see(struct store_sqlite *store, int month, int64_t after, size_t limit, struct seen **out,
		size_t *count)
{
	struct sql *sql = &store->sql;
	char name[MONTH_NAME];
	int more = 0;

	month_name(month, name);
	sqlite3_stmt *statement =
		prepare(sql, "SELECT " SEEN_COLUMNS " FROM %s WHERE seq > ? ORDER BY seq LIMIT ?", name);
	struct cells cells = sql_cells(statement);
	put_number(&cells, after);
	put_number(&cells, (int64_t)limit);
	*out = xcalloc(limit, sizeof **out);
	*count = 0;
	while (*count < limit && (more = sql_step(sql, statement)) > 0)
		(*out)[(*count)++] = read_seen(statement);
	sqlite3_finalize(statement);
	return more >= 0;
}

/* Calls `each` for every message of the contact. */
static bool each_message(struct sql *sql, const struct seen *seen,
			 bool (*each)(struct sql *sql, int64_t contact, int64_t message, void *context),
			 void *context)
{
	struct contact several = {.seq = seen->seq};

	if (seen->message)
		return each(sql, seen->seq, seen->message, context);
	bool ok = several_read(sql, &several);
	for (size_t i = 0; ok && i < several.several_count; i++)
		ok = each(sql, seen->seq, several.several[i], context);
	free(several.several);
	return ok;
}

/* The contact loses what anybody said, if `get` finds it. */
static bool erase_contact(struct store_sqlite *store, sqlite3_stmt *get, sqlite3_stmt *set, int64_t seq)
{
	struct sql *sql = &store->sql;
	struct cells cells = sql_cells(get);

	put_number(&cells, seq);
	int more = sql_step(sql, get);
	if (more <= 0)
		return more == 0;
	struct seen seen = read_seen(get);
	sqlite3_reset(get);
	char *args = erased_args(seen.args);
	cells = sql_cells(set);
	put_text(&cells, args);
	put_number(&cells, seq);
	bool ok = sql_run(sql, set) && each_message(sql, &seen, erase_message, store);
	free(args);
	free(seen.args);
	return ok;
}

/* Those of the contacts (by seq) that are in this month. */
static bool erase_in_month(struct store_sqlite *store, const struct month *month, const int64_t seq[],
			   size_t count)
{
	char name[MONTH_NAME];
	bool ok = true;

	if (!count || month->last < seq[0] || month->first > seq[count - 1])
		return true;
	month_name(month->month, name);
	sqlite3_stmt *get = prepare(&store->sql, "SELECT " SEEN_COLUMNS " FROM %s WHERE seq = ?", name);
	sqlite3_stmt *set = prepare(&store->sql,
				    "UPDATE %s SET summary = '', content = '', detail = '', "
				    "provider_ref = '', reason_args = ? WHERE seq = ?",
				    name);
	for (size_t i = 0; ok && i < count; i++)
		ok = !month_may_have(month, seq[i]) || erase_contact(store, get, set, seq[i]);
	sqlite3_finalize(get);
	sqlite3_finalize(set);
	return ok;
}

bool sqlite_erase_contacts(struct store *base, int64_t customer, int64_t *after, size_t limit, size_t *count)
{
	struct store_sqlite *store = of(base);
	int64_t *seq = xcalloc(limit, sizeof *seq);
	bool ok = months_fresh(store) && runs_read(&store->sql, customer, *after, seq, limit, count);

	for (size_t m = 0; ok && m < store->month_count; m++)
		ok = erase_in_month(store, &store->months[m], seq, *count);
	if (ok && *count)
		*after = seq[*count - 1];
	free(seq);
	return ok;
}

/* --- pruning --- */

static bool pruned_get(struct sql *sql, int month, int64_t *seq)
{
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_PRUNED_GET, "SELECT seq FROM pruned WHERE month = ?");
	struct cells cells = sql_cells(statement);

	*seq = 0;
	put_number(&cells, month);
	int more = sql_step(sql, statement);
	if (more > 0) {
		*seq = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return more >= 0;
}

static bool pruned_set(struct sql *sql, int month, int64_t seq)
{
	sqlite3_stmt *statement =
		seq ? sql_statement(sql, SQL_PRUNED_SET, "REPLACE INTO pruned (month, seq) VALUES (?, ?)")
		    : sql_statement(sql, SQL_PRUNED_DROP, "DELETE FROM pruned WHERE month = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, month);
	if (seq)
		put_number(&cells, seq);
	return sql_run(sql, statement);
}

#define ENDED "contact = ? AND due = 9223372036854775807 AND state <> 2"

static bool prune_body(struct sql *sql, int64_t contact, int64_t message, void *context)
{
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_MESSAGE_PRUNE_TEXT,
			      "UPDATE message SET body = '' WHERE n = ? AND body <> '' AND " ENDED);
	struct cells cells = sql_cells(statement);

	(void)context;
	put_number(&cells, message);
	put_number(&cells, contact);
	return sql_run(sql, statement);
}

/* Texts of one month, from where the last slice ended. */
static bool prune_texts(struct store_sqlite *store, const struct month *month, int64_t before, size_t limit,
			struct pruned *out, size_t *used)
{
	struct sql *sql = &store->sql;
	struct seen *seen = NULL;
	size_t got = 0, i = 0;
	char name[MONTH_NAME];
	int64_t after;

	bool ok = pruned_get(sql, month->month, &after) &&
		  see(store, month->month, after, limit - *used, &seen, &got);
	month_name(month->month, name);
	sqlite3_stmt *statement = ok && got
					  ? prepare(sql,
						    "UPDATE %s SET summary = '', content = '' WHERE seq = ? "
						    "AND (summary <> '' OR content <> '')",
						    name)
					  : NULL;
	/* up to the first that is younger: none is passed over */
	for (; ok && i < got && seen[i].at < before; i++) {
		struct cells cells = sql_cells(statement);
		put_number(&cells, seen[i].seq);
		ok = sql_run(sql, statement);
		out->contents += ok && sqlite3_changes(sql->db);
		ok = ok && each_message(sql, &seen[i], prune_body, NULL);
	}
	if (ok && i)
		ok = pruned_set(sql, month->month, seen[i - 1].seq);
	*used += i;
	sqlite3_finalize(statement);
	seen_free(seen, got);
	return ok;
}

struct drop_run {
	struct store_sqlite *store;
	struct pruned *out;
};

/* The message goes where this was its last contact; one that goes on has none any more. */
static bool drop_message(struct sql *sql, int64_t contact, int64_t message, void *context)
{
	struct drop_run *run = context;
	sqlite3_stmt *drop = sql_statement(sql, SQL_MESSAGE_DROP,
					   "DELETE FROM message WHERE n = ? AND " ENDED " RETURNING state");
	struct cells cells = sql_cells(drop);

	put_number(&cells, message);
	put_number(&cells, contact);
	int more = sql_step(sql, drop);
	if (more > 0) {
		run->store->numbers[NUMBER_PRUNED + sqlite3_column_int(drop, 0)]++;
		run->out->messages++;
		return sql_run(sql, drop);
	}
	sqlite3_stmt *forget = sql_statement(sql, SQL_MESSAGE_FORGET,
					     "UPDATE message SET contact = 0 WHERE n = ? AND contact = ?");
	cells = sql_cells(forget);
	put_number(&cells, message);
	put_number(&cells, contact);
	return more == 0 && sql_run(sql, forget);
}

static bool drop_contact(struct sql *sql, sqlite3_stmt *statement, const struct seen *seen)
{
	struct cells cells = sql_cells(statement);

	put_number(&cells, seen->seq);
	if (!sql_run(sql, statement) || !runs_drop(sql, seen->customer, seen->seq))
		return false;
	if (seen->message)
		return true;
	sqlite3_stmt *several =
		sql_statement(sql, SQL_SEVERAL_DROP, "DELETE FROM contact_message WHERE contact = ?");
	cells = sql_cells(several);
	put_number(&cells, seen->seq);
	return sql_run(sql, several);
}

/* A whole month, row by row, so that nothing waits for it; then its empty table. */
static bool prune_month(struct store_sqlite *store, struct month *month, size_t limit, struct pruned *out,
			size_t *used)
{
	struct sql *sql = &store->sql;
	struct drop_run run = {store, out};
	struct seen *seen = NULL;
	size_t got = 0;
	char name[MONTH_NAME];
	const int number = month->month;

	month_name(number, name);
	bool ok = see(store, number, 0, limit - *used, &seen, &got);
	sqlite3_stmt *statement = ok && got ? prepare(sql, "DELETE FROM %s WHERE seq = ?", name) : NULL;
	for (size_t i = 0; ok && i < got; i++)
		ok = each_message(sql, &seen[i], drop_message, &run) &&
		     drop_contact(sql, statement, &seen[i]);
	sqlite3_finalize(statement);
	seen_free(seen, got);
	out->contacts += (int64_t)got;
	*used += got;
	if (ok && *used < limit)
		ok = month_drop(store, month) && pruned_set(sql, number, 0);
	return ok;
}

bool sqlite_prune(struct store *base, const struct prune *prune, size_t limit, struct pruned *out, bool *more)
{
	struct store_sqlite *store = of(base);
	struct month *month = NULL;
	size_t used = 0;
	bool ok = months_fresh(store);

	for (int from = 0; ok && used < limit && (month = month_from(store, from)) != NULL;) {
		from = month->month + 1;
		if (store_month_end(month->month) <= prune->contacts)
			ok = prune_month(store, month, limit, out, &used) && months_fresh(store);
		else if (month->month <= month_of(prune->contents))
			ok = prune_texts(store, month, prune->contents, limit, out, &used);
	}
	*more = used >= limit;
	return ok;
}

bool sqlite_clean(struct store *base, bool *done)
{
	struct sql *sql = &of(base)->sql;

	checkpoint_settle(of(base)->checkpoint);
	sqlite3_busy_timeout(sql->db, 0); /* readers are not waited for */
	int code = sqlite3_wal_checkpoint_v2(sql->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(sql->db, SQL_TURN_WAIT_MS);
	*done = code == SQLITE_OK;
	/* pages in memory still have what was moved away, and would bring it to the next log */
	sqlite3_db_release_memory(sql->db);
	return *done || (code & 0xff) == SQLITE_BUSY || sql_failed(sql);
}
