/* Every row of a table, for a copy elsewhere. */
#include "store_sqlite_private.h"

#include <string.h>

#include "banned.h"

#define DUMP_TEXT_MAX 4096

struct dumping {
	struct sql *sql;
	const struct store_columns *columns;
	store_row_taker each;
	void *context;
};

static void read_cell(sqlite3_stmt *statement, int at, char kind, struct store_cell *out)
{
	*out = (struct store_cell){.null = sqlite3_column_type(statement, at) == SQLITE_NULL};
	if (out->null)
		return;
	if (kind == 'n') {
		out->number = sqlite3_column_int64(statement, at);
		return;
	}
	const void *data = kind == 't' ? (const void *)sqlite3_column_text(statement, at)
				       : sqlite3_column_blob(statement, at);
	out->data = data ? data : "";
	out->len = (size_t)sqlite3_column_bytes(statement, at);
}

static bool dump_table(const struct dumping *dumping, const char *table)
{
	struct store_cell row[STORE_COLUMNS_MAX];
	struct text text;
	int more;

	text_init(&text, DUMP_TEXT_MAX);
	for (size_t i = 0; i < dumping->columns->count; i++)
		text_addf(&text, "%s%s", i ? ", " : "SELECT ", dumping->columns->list[i].name);
	text_addf(&text, " FROM %s", table);
	sqlite3_stmt *statement = sql_prepare(dumping->sql, text.data, 0);
	bool ok = true;
	while (ok && (more = sql_step(dumping->sql, statement)) != 0) {
		ok = more > 0;
		for (size_t i = 0; ok && i < dumping->columns->count; i++)
			read_cell(statement, (int)i, dumping->columns->list[i].kind, &row[i]);
		ok = ok && dumping->each(dumping->context, row);
	}
	sqlite3_finalize(statement);
	text_release(&text);
	return ok;
}

static bool dump_month(void *context, int month)
{
	char name[MONTH_NAME];

	month_name(month, name);
	return dump_table(context, name);
}

bool sqlite_dump(struct store *store, const char *table, const struct store_columns *columns,
		 store_row_taker each, void *context)
{
	struct sql *sql = &((struct store_sqlite *)store)->sql;
	struct dumping dumping = {sql, columns, each, context};

	return strcmp(table, "contact") == 0 ? sql_months(sql, dump_month, &dumping)
					     : dump_table(&dumping, table);
}

bool sqlite_numbers(struct store *store, int64_t out[])
{
	memcpy(out, ((struct store_sqlite *)store)->numbers, NUMBERS * sizeof *out);
	return true;
}
