/* Who claims what, and what is abandoned. */
#include "store_sqlite_private.h"

#include "xalloc.h"
#include "banned.h"

static struct store_sqlite *of(struct store *store)
{
	return (struct store_sqlite *)store;
}

bool sqlite_abandoned(struct store *store, int64_t gateway, int64_t now, int64_t silent, int64_t after,
		      size_t limit, struct message_rows *out)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_ABANDONED,
		"SELECT " MESSAGE_COLUMNS " FROM message m INDEXED BY message_open" MESSAGE_CUSTOMER
		"WHERE m.state IN (2, 5) AND m.state = 2 AND m.n > ?1 AND (?2 < 0 OR m.gateway = ?2 OR "
		"(m.lease < ?3 AND NOT EXISTS (SELECT 1 FROM gateway g WHERE g.n = m.gateway AND g.at >= "
		"?4))) "
		"ORDER BY m.n LIMIT ?5");
	struct cells cells = sql_cells(statement);

	put_number(&cells, after);
	put_number(&cells, gateway ? gateway : INT64_MAX);
	put_number(&cells, now);
	put_number(&cells, silent);
	put_number(&cells, (int64_t)limit);
	return sql_append_messages(sql, statement, out);
}

bool sqlite_report_gateway(struct store *base, const char *name, const char *boot, int64_t at, int64_t *n,
			   int64_t *before)
{
	struct store_sqlite *store = of(base);
	struct sql *sql = &store->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_GATEWAY_NUMBER, "SELECT n, at FROM gateway WHERE name = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, name);
	int more = sql_step(sql, statement);
	if (more < 0)
		return false;
	*n = more ? sqlite3_column_int64(statement, 0) : ++store->numbers[NUMBER_GATEWAY];
	*before = more ? sqlite3_column_int64(statement, 1) : 0;
	sqlite3_reset(statement);
	statement = sql_statement(sql, SQL_GATEWAY_REPORT,
				  "REPLACE INTO gateway (n, name, boot, at) VALUES (?, ?, ?, ?)");
	cells = sql_cells(statement);
	put_number(&cells, *n);
	put_text(&cells, name);
	put_text(&cells, boot);
	put_number(&cells, at);
	return sql_run(sql, statement);
}

bool sqlite_gateway_name(struct store *store, int64_t gateway, char **name)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_GATEWAY_NAME, "SELECT name FROM gateway WHERE n = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, gateway);
	int more = sql_step(sql, statement);
	if (more > 0) {
		cells = sql_cells(statement);
		*name = get_text(&cells);
		sqlite3_reset(statement);
	} else {
		*name = xstrdup("");
	}
	return more >= 0;
}

/* As message_row_move_clock has it. */
bool sqlite_move_clock(struct store *store, int64_t was, int64_t by)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_MOVE_CLOCK,
		"UPDATE message SET "
		"give_up_at = give_up_at + CASE WHEN give_up_at = 0 OR (waits_for = '' AND state = 1 AND due "
		"> "
		"?1) THEN 0 ELSE ?2 END, "
		"fault_since = fault_since + CASE fault_since WHEN 0 THEN 0 ELSE ?2 END, "
		"wait_until = wait_until + CASE WHEN wait_until > 0 AND wait_since BETWEEN 1 AND ?1 THEN ?2 "
		"ELSE 0 END, "
		"wait_since = wait_since + CASE WHEN wait_since BETWEEN 1 AND ?1 THEN ?2 ELSE 0 END, "
		"due = CASE WHEN waits_for <> '' THEN due + CASE WHEN waits_for GLOB '" HOLD_KEY_MARK
		"*' THEN 0 "
		"ELSE ?2 END "
		"WHEN state = 3 THEN due + CASE WHEN due = wait_until AND wait_since BETWEEN 1 AND ?1 THEN "
		"?2 "
		"ELSE 0 END "
		"WHEN ?2 < 0 THEN min(due, ?1 + ?2) ELSE due END "
		"WHERE n IN (SELECT message FROM waiting)");
	struct cells cells = sql_cells(statement);

	put_number(&cells, was);
	put_number(&cells, by);
	return sql_run(sql, statement) &&
	       sql_run(sql, sql_statement(sql, SQL_MOVE_WAITING,
					  "UPDATE waiting SET due = (SELECT m.due FROM message m WHERE m.n = "
					  "waiting.message)"));
}
