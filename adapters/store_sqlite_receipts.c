/* Receipts that came before what they are about. */
#include "store_sqlite_private.h"

#include <stdlib.h>

#include "xalloc.h"
#include "banned.h"

#define RECEIPT_COLUMNS "provider, provider_ref, contact, channel, at, says, address_dead, code, detail"

static struct sql *sql_of(struct store *store)
{
	return &((struct store_sqlite *)store)->sql;
}

static void read_receipt(sqlite3_stmt *statement, struct kept_receipt *out)
{
	struct cells cells = sql_cells(statement);

	out->provider = get_text(&cells);
	out->provider_ref = get_text(&cells);
	out->contact = get_number(&cells);
	out->channel = get_text(&cells);
	out->at = get_number(&cells);
	out->says = (enum receipt_says)get_number(&cells);
	out->address_dead = get_number(&cells) != 0;
	out->code = get_text(&cells);
	out->detail = get_text(&cells);
}

bool sqlite_keep_receipt(struct store *store, const struct kept_receipt *receipt)
{
	struct sql *sql = sql_of(store);
	sqlite3_stmt *statement = sql_statement(sql, SQL_RECEIPT_KEEP,
						"REPLACE INTO kept_receipt (" RECEIPT_COLUMNS
						") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
	struct cells cells = sql_cells(statement);

	put_text(&cells, receipt->provider);
	put_text(&cells, receipt->provider_ref);
	put_number(&cells, receipt->contact);
	put_text(&cells, receipt->channel);
	put_number(&cells, receipt->at);
	put_number(&cells, receipt->says);
	put_number(&cells, receipt->address_dead);
	put_text(&cells, receipt->code);
	put_text(&cells, receipt->detail);
	return sql_run(sql, statement);
}

static void put_key(struct cells *cells, const char *provider, const char *provider_ref, int64_t contact)
{
	put_text(cells, provider);
	put_text(cells, provider_ref);
	put_number(cells, contact);
}

bool sqlite_find_receipt(struct store *store, const char *provider, const char *provider_ref, int64_t contact,
			 struct kept_receipt *out)
{
	struct sql *sql = sql_of(store);
	sqlite3_stmt *statement = sql_statement(sql, SQL_RECEIPT_FIND,
						"SELECT " RECEIPT_COLUMNS " FROM kept_receipt WHERE "
						"provider = ? AND provider_ref = ? AND contact = ?");
	struct cells cells = sql_cells(statement);

	put_key(&cells, provider, provider_ref, contact);
	int more = sql_step(sql, statement);
	if (more > 0) {
		read_receipt(statement, out);
		sqlite3_reset(statement);
	}
	return more >= 0;
}

bool sqlite_drop_receipt(struct store *store, const char *provider, const char *provider_ref, int64_t contact)
{
	struct sql *sql = sql_of(store);
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_RECEIPT_DROP,
		"DELETE FROM kept_receipt WHERE provider = ? AND provider_ref = ? AND contact = ?");
	struct cells cells = sql_cells(statement);

	put_key(&cells, provider, provider_ref, contact);
	return sql_run(sql, statement);
}

bool sqlite_get_receipts(struct store *store, int64_t after, size_t limit, struct kept_receipt **out,
			 size_t *count)
{
	struct sql *sql = sql_of(store);
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_RECEIPTS,
			      "SELECT " RECEIPT_COLUMNS " FROM kept_receipt WHERE at >= ? ORDER BY at, "
			      "provider, provider_ref, contact LIMIT ?");
	struct cells cells = sql_cells(statement);
	int more;

	put_number(&cells, after);
	put_number(&cells, (int64_t)limit);
	while ((more = sql_step(sql, statement)) > 0) {
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		read_receipt(statement, &(*out)[(*count)++]);
	}
	return more == 0;
}

bool sqlite_count_receipts(struct store *store, int64_t *count)
{
	struct sql *sql = sql_of(store);
	sqlite3_stmt *statement = sql_statement(sql, SQL_RECEIPTS_COUNT, "SELECT count(*) FROM kept_receipt");
	int more = sql_step(sql, statement);

	if (more > 0) {
		*count = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return more >= 0;
}
