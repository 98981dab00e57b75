/* A copy of another store: its rows, and where the numbers go on. */
#include "store_postgres_private.h"

#include <stdio.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define COPY_TEXT_MAX 8192
#define DUMP_ROWS 2000

static struct store_postgres *of(struct store *store)
{
	return (struct store_postgres *)store;
}

static char kind_of(const char *type)
{
	return strcmp(type, "text") == 0 ? 't' : strcmp(type, "bytea") == 0 ? 'b' : 'n';
}

/* All but those that are of this store alone (how far pruning came is looked for anew), and the partitions,
 * which are of their table. */
bool postgres_tables(struct store *store, char ***names, size_t *count)
{
	struct pg_query query;

	pg_query_init(
		&query, &of(store)->pg, PG_PLAIN, "",
		"SELECT c.relname::text FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace "
		"WHERE s.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND "
		"c.relname NOT IN ('meta', 'writer', 'role', 'position', 'pruned') ORDER BY 1");
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*names = xreallocarray(NULL, (size_t)query.rows, sizeof **names);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		(*names)[(*count)++] = pg_get_text(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_columns(struct store *store, const char *table, struct store_columns *out)
{
	struct pg_query query;

	pg_query_init(&query, &of(store)->pg, PG_PLAIN, "t",
		      "SELECT column_name::text, data_type::text FROM information_schema.columns "
		      "WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position");
	pg_put_text(&query, table);
	bool ok = pg_query_run(&query);
	if (ok && (query.rows == 0 || query.rows > STORE_COLUMNS_MAX))
		ok = text_error(&store->error, "store: PostgreSQL: %s has %d columns", table, query.rows);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		snprintf(out->list[i].name, sizeof out->list[i].name, "%s", pg_peek_text(&cells));
		out->list[i].kind = kind_of(pg_peek_text(&cells));
		out->count++;
	}
	pg_query_release(&query);
	return ok;
}

static void read_cell(struct cells *cells, char kind, struct store_cell *out)
{
	*out = (struct store_cell){.null = PQgetisnull(cells->result, cells->row, cells->at)};
	if (kind == 'n') {
		out->number = pg_get_number(cells);
		return;
	}
	out->data = PQgetvalue(cells->result, cells->row, cells->at);
	out->len = (size_t)PQgetlength(cells->result, cells->row, cells->at++);
}

/* *rows: how many there were. */
static bool dump_some(struct pg *pg, const struct store_columns *columns, store_row_taker each, void *context,
		      int *rows)
{
	struct store_cell row[STORE_COLUMNS_MAX];
	struct pg_query query;
	char text[64];

	snprintf(text, sizeof text, "FETCH %d FROM dump", DUMP_ROWS);
	pg_query_init(&query, pg, PG_PLAIN, "", text);
	bool ok = pg_query_run(&query);
	*rows = ok ? query.rows : 0;
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		for (size_t c = 0; c < columns->count; c++)
			read_cell(&cells, columns->list[c].kind, &row[c]);
		ok = each(context, row);
	}
	pg_query_release(&query);
	return ok;
}

static void add_names(struct text *text, const struct store_columns *columns)
{
	for (size_t i = 0; i < columns->count; i++)
		text_addf(text, "%s%s", i ? ", " : "", columns->list[i].name);
}

bool postgres_dump(struct store *store, const char *table, const struct store_columns *columns,
		   store_row_taker each, void *context)
{
	struct pg *pg = &of(store)->pg;
	struct text text;
	int rows = DUMP_ROWS;

	text_init(&text, COPY_TEXT_MAX);
	text_puts(&text, "DECLARE dump NO SCROLL CURSOR FOR SELECT ");
	add_names(&text, columns);
	text_addf(&text, " FROM %s", table);
	bool ok = pg_exec(pg, text.data);
	while (ok && rows == DUMP_ROWS)
		ok = dump_some(pg, columns, each, context, &rows);
	ok = ok && pg_exec(pg, "CLOSE dump");
	text_release(&text);
	return ok;
}

static void put_cell(struct pg_query *query, char kind, const struct store_cell *cell)
{
	if (kind == 'n')
		pg_put_number(query, cell->number);
	else if (kind == 'b')
		pg_put_bytes(query, cell->data, cell->len);
	else
		pg_put_text(query, cell->null ? NULL : cell->data);
}

/* The partitions of what is to be added. */
static bool months_of(struct store_postgres *store, const char *table, const struct store_columns *columns,
		      const struct store_cell cells[], size_t rows)
{
	bool ok = true;

	for (size_t c = 0; strcmp(table, "contact") == 0 && c < columns->count; c++)
		for (size_t r = 0; ok && strcmp(columns->list[c].name, "at") == 0 && r < rows; r++)
			ok = month_for(store, cells[r * columns->count + c].number);
	return ok;
}

bool postgres_load(struct store *store, const char *table, const struct store_columns *columns,
		   const struct store_cell cells[], size_t rows)
{
	char kinds[STORE_COLUMNS_MAX + 1] = "";
	struct pg_query query;
	struct text text;

	text_init(&text, COPY_TEXT_MAX);
	text_addf(&text, "INSERT INTO %s (", table);
	add_names(&text, columns);
	text_puts(&text, ") SELECT * FROM unnest(");
	for (size_t i = 0; i < columns->count; i++) {
		kinds[i] = (char)(columns->list[i].kind - 'a' + 'A');
		text_addf(&text, "%s$%zu", i ? ", " : "", i + 1);
	}
	text_putc(&text, ')');
	pg_query_init(&query, &of(store)->pg, PG_PLAIN, kinds, text.data);
	for (size_t i = 0; i < rows * columns->count; i++)
		put_cell(&query, columns->list[i % columns->count].kind, &cells[i]);
	bool ok = months_of(of(store), table, columns, cells, rows) && pg_query_run(&query);
	pg_query_release(&query);
	text_release(&text);
	return ok;
}

/* The next number of a sequence follows `last`. */
static bool go_on(struct pg *pg, const char *sequence, int64_t last)
{
	char text[128];

	snprintf(text, sizeof text, "SELECT setval('%s', %lld, %s)", sequence, (long long)(last ? last : 1),
		 last ? "true" : "false");
	return pg_exec(pg, text);
}

bool postgres_load_end(struct store *store, const struct store *from, const int64_t numbers[])
{
	static const struct {
		const char *sequence;
		enum number number;
	} sequences[] = {{"message_n", NUMBER_MESSAGE}, {"contact_seq", NUMBER_CONTACT},
			 {"change_seq", NUMBER_CHANGE}, {"customer_n", NUMBER_CUSTOMER},
			 {"address_n", NUMBER_ADDRESS}, {"gateway_n", NUMBER_GATEWAY}};
	struct pg *pg = &of(store)->pg;
	struct pg_query query;
	bool ok = true;

	for (size_t i = 0; ok && i < sizeof sequences / sizeof sequences[0]; i++)
		ok = go_on(pg, sequences[i].sequence, numbers[sequences[i].number]);
	pg_query_init(
		&query, pg, PG_PLAIN, "nnnNNtt",
		"WITH i AS (UPDATE meta SET value = $6 WHERE name = 'id'), "
		"k AS (UPDATE meta SET value = $7 WHERE name = 'erasure_key') "
		"UPDATE position SET changed = $1, event = $2, admitted = $3, states = $4, pruned = $5");
	pg_put_number(&query, numbers[NUMBER_CHANGED]);
	pg_put_number(&query, numbers[NUMBER_EVENT]);
	pg_put_number(&query, numbers[NUMBER_ADMITTED]);
	for (int state = 0; state < STATES; state++) {
		query.at = 3;
		pg_put_number(&query, numbers[NUMBER_STATE + state]);
		query.at = 4;
		pg_put_number(&query, numbers[NUMBER_PRUNED + state]);
	}
	query.at = 5;
	pg_put_text(&query, from->id);
	pg_put_text(&query, from->erasure_key);
	ok = ok && pg_query_run(&query);
	pg_query_release(&query);
	return ok;
}
