/* Statements: prepared once, run, and their failures put into words. */
#include "store_sqlite_private.h"

#include <pthread.h>
#include <stdlib.h>

#include "xalloc.h"
#include "banned.h"

bool sql_failed(struct sql *sql)
{
	int code = sqlite3_extended_errcode(sql->db);

	if ((code & 0xff) == SQLITE_FULL)
		return text_error(sql->error, "store: %s: the disk (or its quota) is full; make room",
				  sql->path);
	return text_error(sql->error, "store: %s: %s (SQLite %d)", sql->path, sqlite3_errmsg(sql->db), code);
}

static void sql_configure(void)
{
	/* Its count of memory takes a lock at every allocation. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

bool sql_open(struct sql *sql, const char *path, int flags, struct text *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, sql_configure);
	*sql = (struct sql){.path = xstrdup(path), .error = error};
	/* Each connection is used by one thread at a time: SQLite's own mutexes are not needed. */
	int code = sqlite3_open_v2(path, &sql->db, flags | SQLITE_OPEN_NOMUTEX, sqlite_vfs());
	if (code != SQLITE_OK)
		return text_error(error, "store: %s: %s", path, sqlite3_errstr(code));
	sqlite3_busy_timeout(sql->db, SQL_BUSY_WAIT_MS);
	sqlite3_extended_result_codes(sql->db, 1);
	return true;
}

void sql_close(struct sql *sql)
{
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(sql->statements[i]);
	sqlite3_close(sql->db);
	free(sql->path);
	*sql = (struct sql){0};
}

sqlite3_stmt *sql_prepare(struct sql *sql, const char *text, unsigned flags)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v3(sql->db, text, -1, flags, &statement, NULL) != SQLITE_OK)
		sql_failed(sql);
	return statement;
}

sqlite3_stmt *sql_statement(struct sql *sql, enum statement which, const char *text)
{
	if (!sql->statements[which])
		sql->statements[which] = sql_prepare(sql, text, SQLITE_PREPARE_PERSISTENT);
	return sql->statements[which];
}

int sql_step(struct sql *sql, sqlite3_stmt *statement)
{
	if (!statement)
		return -1;
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		sql_failed(sql);
	sqlite3_reset(statement);
	return code == SQLITE_DONE ? 0 : -1;
}

bool sql_run(struct sql *sql, sqlite3_stmt *statement)
{
	int more;

	while ((more = sql_step(sql, statement)) > 0)
		;
	return more == 0;
}

bool sql_exec(struct sql *sql, const char *text)
{
	return sqlite3_exec(sql->db, text, NULL, NULL, NULL) == SQLITE_OK || sql_failed(sql);
}

struct cells sql_cells(sqlite3_stmt *statement)
{
	return (struct cells){.statement = statement};
}

void put_number(struct cells *cells, int64_t value)
{
	sqlite3_bind_int64(cells->statement, ++cells->at, value);
}

void put_text(struct cells *cells, const char *value)
{
	sqlite3_bind_text(cells->statement, ++cells->at, value, -1, SQLITE_STATIC);
}

int64_t get_number(struct cells *cells)
{
	return sqlite3_column_int64(cells->statement, cells->at++);
}

char *get_text(struct cells *cells)
{
	const unsigned char *text = sqlite3_column_text(cells->statement, cells->at);
	int len = sqlite3_column_bytes(cells->statement, cells->at++);

	return xmemdup0(text ? (const char *)text : "", text ? (size_t)len : 0);
}
