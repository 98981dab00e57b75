/* Moving up: all of one store into another that is empty, whole and checked. What both call a table has the
 * same columns in both; the target says which. Each table's rows are counted and hashed on both sides, in the
 * one transaction that copies them, so that a copy that differs is not kept. */
#include <stdlib.h>
#include <string.h>

#include "store_private.h"
#include "utf8.h"
#include "xalloc.h"
#include "banned.h"

#define COPY_ROWS 1000               /* at a time */
#define COPY_BYTES (8 * 1024 * 1024) /* or fewer, of this size together */

/* In any order: the sum over the rows of a hash of each. */
struct sum {
	int64_t rows;
	uint64_t hash;
};

struct copying {
	struct store *to;
	const char *table;
	const struct store_columns *columns;
	struct sum sum;
	struct store_cell *cells; /* of the rows in hand, with data of their own */
	size_t rows, bytes;
	struct text *error;
};

/* FNV-1a */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const unsigned char *)data)[i]) * 1099511628211U;
	return hash;
}

static void sum_add(struct sum *sum, const struct store_columns *columns, const struct store_cell row[])
{
	uint64_t hash = 14695981039346656037U;

	for (size_t i = 0; i < columns->count; i++) {
		hash = hash_bytes(hash, &row[i].null, sizeof row[i].null);
		if (row[i].null)
			continue;
		if (columns->list[i].kind == 'n') {
			hash = hash_bytes(hash, &row[i].number, sizeof row[i].number);
		} else {
			hash = hash_bytes(hash, &row[i].len, sizeof row[i].len);
			hash = hash_bytes(hash, row[i].data, row[i].len);
		}
	}
	sum->rows++;
	sum->hash += hash;
}

static bool flush(struct copying *copying)
{
	size_t cells = copying->rows * copying->columns->count;
	bool ok = !copying->rows || copying->to->ops->load(copying->to, copying->table, copying->columns,
							   copying->cells, copying->rows);

	if (!ok)
		text_error(copying->error, "%s", store_error(copying->to));
	for (size_t i = 0; i < cells; i++)
		free((char *)copying->cells[i].data);
	copying->rows = copying->bytes = 0;
	return ok;
}

static bool take_row(void *context, const struct store_cell row[])
{
	struct copying *copying = context;
	struct store_cell *cells = copying->cells + copying->rows * copying->columns->count;

	for (size_t i = 0; i < copying->columns->count; i++) {
		cells[i] = row[i];
		cells[i].data = NULL;
		if (row[i].null || copying->columns->list[i].kind == 'n')
			continue;
		/* what others wrote may not be UTF-8, and a server takes nothing else */
		char *mended =
			copying->columns->list[i].kind == 't' ? utf8_mend(row[i].data, row[i].len) : NULL;
		cells[i].len = mended ? strlen(mended) : row[i].len;
		cells[i].data = mended ? mended : xmemdup0(row[i].data, row[i].len);
		copying->bytes += cells[i].len;
	}
	sum_add(&copying->sum, copying->columns, cells);
	copying->rows++;
	return (copying->rows < COPY_ROWS && copying->bytes < COPY_BYTES) || flush(copying);
}

struct checking {
	const struct store_columns *columns;
	struct sum sum;
};

static bool check_row(void *context, const struct store_cell row[])
{
	struct checking *checking = context;

	sum_add(&checking->sum, checking->columns, row);
	return true;
}

static bool sum_of(struct store *store, const char *table, const struct store_columns *columns,
		   struct sum *out, struct text *error)
{
	struct checking checking = {.columns = columns};
	bool ok = store->ops->dump(store, table, columns, check_row, &checking);

	*out = checking.sum;
	return ok || text_error(error, "%s", store_error(store));
}

static bool copy_table(struct store *from, struct store *to, const char *table, int64_t *rows,
		       struct text *error)
{
	struct store_columns columns = {0};
	struct sum there = {0};

	if (!to->ops->columns(to, table, &columns))
		return text_error(error, "%s", store_error(to));
	if (!sum_of(to, table, &columns, &there, error))
		return false;
	if (there.rows)
		return text_error(error, "store: the target is not empty: it has %lld rows of %s",
				  (long long)there.rows, table);
	struct copying copying = {.to = to, .table = table, .columns = &columns, .error = error};
	copying.cells = xcalloc(COPY_ROWS * columns.count, sizeof *copying.cells);
	bool ok = from->ops->dump(from, table, &columns, take_row, &copying);
	if (!ok && *store_error(from))
		text_error(error, "%s", store_error(from));
	ok = flush(&copying) && ok && sum_of(to, table, &columns, &there, error);
	if (ok && (there.rows != copying.sum.rows || there.hash != copying.sum.hash))
		ok = text_error(error, "store: the copy of %s differs: %lld rows, and %lld there", table,
				(long long)copying.sum.rows, (long long)there.rows);
	*rows = copying.sum.rows;
	free(copying.cells);
	return ok;
}

static bool same_counters(struct store *from, struct store *to, struct text *error)
{
	struct counters left, right;

	if (!store_counters(from, &left))
		return text_error(error, "%s", store_error(from));
	if (!store_counters(to, &right))
		return text_error(error, "%s", store_error(to));
	return memcmp(&left, &right, sizeof left) == 0 ||
	       text_error(error, "store: the sum of the copy differs");
}

static bool copy_all(struct store *from, struct store *to, store_copied tell, void *context,
		     struct text *error)
{
	int64_t numbers[NUMBERS], rows = 0;
	char **tables = NULL;
	size_t count = 0;
	bool ok = to->ops->tables(to, &tables, &count) || text_error(error, "%s", store_error(to));

	for (size_t i = 0; i < count; i++) {
		ok = ok && copy_table(from, to, tables[i], &rows, error);
		if (ok)
			tell(context, tables[i], rows);
		free(tables[i]);
	}
	free(tables);
	if (!ok)
		return false;
	if (!from->ops->numbers(from, numbers))
		return text_error(error, "%s", store_error(from));
	if (!to->ops->load_end(to, from, numbers))
		return text_error(error, "%s", store_error(to));
	return same_counters(from, to, error);
}

bool store_copy(struct store *from, struct store *to, store_copied tell, void *context, struct text *error)
{
	if (!from->ops->dump || !from->ops->numbers)
		return text_error(error, "store: %s: can't be copied from", from->ops->scheme);
	if (!to->ops->load || !to->ops->dump)
		return text_error(error, "store: %s: can't be copied to", to->ops->scheme);
	if (!store_begin(to))
		return text_error(error, "%s", store_error(to));
	bool ok = copy_all(from, to, tell, context, error);
	if (ok && !store_commit(to))
		ok = text_error(error, "%s", store_error(to));
	if (!ok)
		store_rollback(to);
	return ok;
}
