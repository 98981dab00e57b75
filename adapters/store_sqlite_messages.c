/* The writer's messages, and what they wait for. */
#include "store_sqlite_private.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

static struct store_sqlite *of(struct store *store)
{
	return (struct store_sqlite *)store;
}

static bool waiting_add(struct sql *sql, const struct message_row *row)
{
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_WAITING_ADD,
			      "INSERT INTO waiting (waits_for, lane, due, message, customer) "
			      "VALUES (?, ?, ?, ?, ?)");
	struct cells cells = sql_cells(statement);

	put_text(&cells, row->waits_for);
	put_number(&cells, row->lane);
	put_number(&cells, row->due);
	put_number(&cells, row->n);
	put_number(&cells, row->customer);
	return sql_run(sql, statement);
}

/* What was kept is what stands there, or the caller goes on with a row from before a rollback. */
static bool waiting_drop(struct sql *sql, const struct message_row *row)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_WAITING_DROP,
		"DELETE FROM waiting WHERE waits_for = ? AND lane = ? AND due = ? AND message = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, row->kept.waits_for);
	put_number(&cells, row->kept.lane);
	put_number(&cells, row->kept.due);
	put_number(&cells, row->n);
	if (!sql_run(sql, statement))
		return false;
	return sqlite3_changes(sql->db) == 1 ||
	       text_error(sql->error, "store: message %lld was not read in this state of the store",
			  (long long)row->n);
}

static void put_changing(struct cells *cells, const struct message_row *row)
{
	put_number(cells, row->lane);
	put_number(cells, row->state);
	put_text(cells, row->waits_for);
	put_number(cells, row->due);
	put_number(cells, row->attempts);
	put_number(cells, row->tries);
	put_number(cells, row->epoch);
	put_number(cells, row->lease);
	put_number(cells, row->gateway);
	put_number(cells, row->give_up_at);
	put_number(cells, row->fault_since);
	put_text(cells, row->rejected);
	put_text(cells, row->waited);
	put_text(cells, row->wait_channel);
	put_number(cells, row->wait_since);
	put_number(cells, row->wait_until);
	put_number(cells, row->best);
	put_text(cells, row->counted);
	put_text(cells, row->channel);
	put_number(cells, row->contact);
	put_text(cells, row->reasons);
}

bool sqlite_number_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		rows[i]->n = ++of(store)->numbers[NUMBER_MESSAGE];
	return true;
}

bool sqlite_add_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_MESSAGE_ADD,
		"INSERT INTO message (lane, state, waits_for, due, attempts, tries, epoch, lease, gateway, "
		"give_up_at, fault_since, rejected, waited, wait_channel, wait_since, wait_until, best, "
		"counted, channel, contact, reasons, n, id, hash, "
		"customer, product, template, campaign, purpose, admitted_at, send_at, expires_at, body) "
		"VALUES "
		"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
		"?, "
		"?, ?)");
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++) {
		struct message_row *row = rows[i];
		struct cells cells = sql_cells(statement);
		put_changing(&cells, row);
		put_number(&cells, row->n);
		put_text(&cells, row->id);
		sqlite3_bind_blob(statement, ++cells.at, row->hash, MESSAGE_HASH_SIZE, SQLITE_STATIC);
		put_number(&cells, row->customer);
		put_text(&cells, row->product);
		put_text(&cells, row->template);
		put_text(&cells, row->campaign);
		put_number(&cells, row->purpose);
		put_number(&cells, row->admitted_at);
		put_number(&cells, row->send_at);
		put_number(&cells, row->expires_at);
		put_text(&cells, row->body);
		ok = sql_run(sql, statement) && (row->due == MOMENT_NEVER || waiting_add(sql, row));
		message_row_keep(row);
	}
	return ok;
}

/* Moves the row in the waiting index, if it moved. */
static bool waiting_follow(struct sql *sql, struct message_row *row)
{
	bool was = row->kept.due != MOMENT_NEVER;
	bool is = row->due != MOMENT_NEVER;

	if (was == is && (!is || (row->kept.due == row->due && row->kept.lane == row->lane &&
				  strcmp(row->kept.waits_for, row->waits_for) == 0)))
		return true;
	bool ok = (!was || waiting_drop(sql, row)) && (!is || waiting_add(sql, row));
	message_row_keep(row);
	return ok;
}

bool sqlite_save_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_MESSAGE_SAVE,
		"UPDATE message SET lane = ?, state = ?, waits_for = ?, due = ?, attempts = ?, tries = ?, "
		"epoch = ?, lease = ?, gateway = ?, give_up_at = ?, fault_since = ?, rejected = ?, waited = "
		"?, "
		"wait_channel = ?, wait_since = ?, wait_until = ?, best = ?, counted = ?, channel = ?, "
		"contact = ?, reasons = ? WHERE n = ? AND epoch = ?");
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++) {
		struct cells cells = sql_cells(statement);
		put_changing(&cells, rows[i]);
		put_number(&cells, rows[i]->n);
		put_number(&cells, rows[i]->kept.epoch);
		ok = sql_run(sql, statement);
		if (ok && sqlite3_changes(sql->db) != 1)
			ok = text_error(
				sql->error,
				"store: there is no message %lld, or it was claimed by another meanwhile",
				(long long)rows[i]->n);
		ok = ok && waiting_follow(sql, rows[i]);
		rows[i]->kept.epoch = rows[i]->epoch;
	}
	return ok;
}

/* --- what waits --- */

#define MESSAGES_OF_WAITING \
	"SELECT " MESSAGE_COLUMNS " FROM waiting w CROSS JOIN message m ON m.n = w.message" MESSAGE_CUSTOMER

bool sqlite_due(struct store *store, const char *waits_for, enum lane lane, int64_t now, size_t limit,
		struct message_rows *out)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_DUE,
			      MESSAGES_OF_WAITING "WHERE w.waits_for = ? AND w.lane = ? AND w.due <= ? "
						  "ORDER BY w.due, w.message LIMIT ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, waits_for);
	put_number(&cells, lane);
	put_number(&cells, now);
	put_number(&cells, (int64_t)limit);
	return sql_append_messages(sql, statement, out);
}

bool sqlite_next_due(struct store *store, const char *waits_for, int64_t *due)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_NEXT_DUE, "SELECT min(due) FROM waiting WHERE waits_for = ? AND lane = ?");
	int more = 0;

	for (int lane = 0; more >= 0 && lane < LANES; lane++) {
		struct cells cells = sql_cells(statement);
		put_text(&cells, waits_for);
		put_number(&cells, lane);
		more = sql_step(sql, statement);
		if (more > 0 && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
			int64_t found = sqlite3_column_int64(statement, 0);
			*due = found < *due ? found : *due;
		}
		sqlite3_reset(statement);
	}
	return more >= 0;
}

bool sqlite_waiting(struct store *store, const char *waits_for, struct waiting_at *after, size_t limit,
		    struct message_rows *out)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_WAITING,
		MESSAGES_OF_WAITING "WHERE w.waits_for = ? AND (w.lane, w.due, w.message) > (?, ?, ?) "
				    "ORDER BY w.lane, w.due, w.message LIMIT ?");
	struct cells cells = sql_cells(statement);
	size_t start = out->count;

	put_text(&cells, waits_for);
	put_number(&cells, after->lane);
	put_number(&cells, after->due);
	put_number(&cells, after->n);
	put_number(&cells, (int64_t)limit);
	bool ok = sql_append_messages(sql, statement, out);
	if (ok && out->count > start) {
		const struct message_row *last = &out->rows[out->count - 1];
		*after = (struct waiting_at){.lane = last->lane, .due = last->due, .n = last->n};
	}
	return ok;
}

bool sqlite_expired(struct store *store, int64_t now, size_t limit, struct message_rows *out)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_EXPIRED,
		"SELECT " MESSAGE_COLUMNS " FROM message m INDEXED BY message_expires" MESSAGE_CUSTOMER
		"WHERE m.expires_at > 0 AND m.due < 9223372036854775807 AND m.expires_at <= ? "
		"ORDER BY m.expires_at LIMIT ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, now);
	put_number(&cells, (int64_t)limit);
	return sql_append_messages(sql, statement, out);
}

bool sqlite_next_expiry(struct store *store, int64_t *at)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_NEXT_EXPIRY,
		"SELECT expires_at FROM message INDEXED BY message_expires WHERE expires_at > 0 "
		"AND due < 9223372036854775807 ORDER BY expires_at LIMIT 1");
	int more = sql_step(sql, statement);

	if (more > 0) {
		*at = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return more >= 0;
}

/* Steps from name to name, so that the millions between them are not read. */
bool sqlite_waited_for(struct store *store, char ***names, size_t *count)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_WAITED_FOR,
			      "WITH RECURSIVE name (it) AS (SELECT min(waits_for) FROM waiting UNION ALL "
			      "SELECT (SELECT min(waits_for) FROM waiting WHERE waits_for > it) FROM name "
			      "WHERE it IS NOT NULL) SELECT it FROM name WHERE it IS NOT NULL");
	int more;

	while ((more = sql_step(sql, statement)) > 0) {
		struct cells cells = sql_cells(statement);
		*names = xreallocarray(*names, *count + 1, sizeof **names);
		(*names)[(*count)++] = get_text(&cells);
	}
	return more == 0;
}

bool sqlite_waiting_of_campaign(struct store *store, const char *campaign, int64_t after, size_t limit,
				struct message_rows *out)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_WAITING_OF_CAMPAIGN,
		"SELECT " MESSAGE_COLUMNS " FROM message m INDEXED BY message_campaign" MESSAGE_CUSTOMER
		"WHERE m.campaign = ? AND m.campaign <> '' AND m.due < 9223372036854775807 AND m.n > ? "
		"ORDER BY m.n LIMIT ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, campaign);
	put_number(&cells, after);
	put_number(&cells, (int64_t)limit);
	return sql_append_messages(sql, statement, out);
}

bool sqlite_waiting_of(struct store *store, int64_t customer, int64_t after, size_t limit,
		       struct message_rows *out)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_WAITING_OF,
			      "SELECT " MESSAGE_COLUMNS " FROM waiting w INDEXED BY waiting_by_customer "
			      "CROSS JOIN message m ON m.n = w.message" MESSAGE_CUSTOMER
			      "WHERE w.customer = ? AND w.message > ? ORDER BY w.message LIMIT ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, customer);
	put_number(&cells, after);
	put_number(&cells, (int64_t)limit);
	return sql_append_messages(sql, statement, out);
}

bool sqlite_open_of(struct store *store, int64_t customer, struct message_rows *out)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(sql, SQL_OPEN_OF,
						"SELECT " MESSAGE_COLUMNS
						" FROM message m INDEXED BY message_open" MESSAGE_CUSTOMER
						"WHERE m.customer = ? AND m.state IN (2, 5) ORDER BY m.n");
	struct cells cells = sql_cells(statement);

	put_number(&cells, customer);
	return sql_append_messages(sql, statement, out);
}
