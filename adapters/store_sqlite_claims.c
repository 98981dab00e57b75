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

bool sqlite_report_gateway(struct store *base, const char *name, const char *boot, int64_t at, int64_t *n)
{
	struct store_sqlite *store = of(base);
	struct sql *sql = &store->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_GATEWAY_NUMBER, "SELECT n FROM gateway WHERE name = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, name);
	int more = sql_step(sql, statement);
	if (more < 0)
		return false;
	*n = more ? sqlite3_column_int64(statement, 0) : ++store->numbers[NUMBER_GATEWAY];
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
