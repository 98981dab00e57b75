/* Which contacts a customer has: customer_contact (config/schema/042-customer-contact.sql).
 *
 * Messages go to customers at random. An index by customer takes each contact on another page: one more page
 * read, written to the log and written back for every message, and the more of them the larger the history.
 * So contacts are listed in runs, as in a log-structured merge tree (O'Neil et al., 1996): what is new goes
 * into a short run, which is a few pages; when it is full it is merged, in order, into the long run of its
 * block. A customer's contacts are looked for in each run: a page of each block.
 *
 * The key of a run rises with the seq of its contacts: a block's long run, then its short ones, which are
 * merged in that order. So a customer's contacts, run by run, are in the order of seq. */
#include "store_sqlite_private.h"

#include <stdio.h>

#include "banned.h"

#define RUN_SHORT 2048  /* contacts of a short run: 12 to 20 pages */
#define RUN_LONG 131072 /* and of a long one: a block */
#define RUN_STEP 128    /* between the keys of two blocks */
#define RUN_YOUNG \
	4096 /* so near to the newest contact none is merged: one may be numbered and not listed yet */

_Static_assert(RUN_LONG / RUN_SHORT < RUN_STEP, "a block's short runs have keys of its own");

static int64_t long_run(int64_t seq)
{
	return seq / RUN_LONG * RUN_STEP;
}

static int64_t short_run(int64_t seq)
{
	return long_run(seq) + 1 + seq % RUN_LONG / RUN_SHORT;
}

/* --- writing --- */

static bool run_merge(struct sql *sql, int64_t run)
{
	sqlite3_stmt *merge = sql_statement(
		sql, SQL_RUN_MERGE,
		"INSERT INTO customer_contact SELECT ?, customer, seq FROM customer_contact WHERE run = ?");
	sqlite3_stmt *drop = sql_statement(sql, SQL_RUN_DROP, "DELETE FROM customer_contact WHERE run = ?");
	struct cells cells = sql_cells(merge);

	put_number(&cells, run - run % RUN_STEP);
	put_number(&cells, run);
	if (!sql_run(sql, merge))
		return false;
	cells = sql_cells(drop);
	put_number(&cells, run);
	return sql_run(sql, drop);
}

/* The short runs that are full; a block before the newest contact's has few, if any. */
static bool runs_merge(struct sql *sql, int64_t seq)
{
	int64_t run = long_run(seq) - RUN_STEP - 1;
	const int64_t young = short_run(seq > RUN_YOUNG ? seq - RUN_YOUNG : 0);
	int more;

	while ((more = runs_next(sql, false, &run)) > 0 && run < young)
		if (run % RUN_STEP && !run_merge(sql, run))
			return false;
	return more >= 0;
}

#define RUN_ADD "INSERT INTO customer_contact (run, customer, seq) VALUES "
#define RUN_CELLS "(?, ?, ?)"

bool runs_add(struct store_sqlite *store, struct contact *const contacts[], size_t count)
{
	struct sql *sql = &store->sql;
	int64_t last = 0;
	bool ok = true;

	for (size_t i = 0; ok && i < count;) {
		size_t rows = count - i < SQL_ROWS ? 1 : SQL_ROWS;
		sqlite3_stmt *statement =
			rows == 1 ? sql_statement(sql, SQL_RUN_ADD, RUN_ADD RUN_CELLS)
				  : sql_statement(sql, SQL_RUNS_ADD, RUN_ADD SQL_EIGHT(RUN_CELLS));
		struct cells cells = sql_cells(statement);
		for (size_t end = i + rows; i < end; i++) {
			const int64_t seq = contacts[i]->seq;
			put_number(&cells, short_run(seq));
			put_number(&cells, contacts[i]->customer);
			put_number(&cells, seq);
			last = seq > last ? seq : last;
		}
		ok = sql_run(sql, statement);
	}
	if (!ok || short_run(last) <= store->run)
		return ok;
	store->run = short_run(last); /* where this is rolled back, the next one merges as much more */
	return runs_merge(sql, last);
}

bool runs_drop(struct sql *sql, int64_t customer, int64_t seq)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_RUN_FORGET,
		"DELETE FROM customer_contact WHERE run IN (?, ?) AND customer = ? AND seq = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, long_run(seq));
	put_number(&cells, short_run(seq));
	put_number(&cells, customer);
	put_number(&cells, seq);
	return sql_run(sql, statement);
}

bool runs_list(struct sql *sql, const char *table, int64_t first, int64_t last)
{
	char words[256];
	bool ok = true;

	snprintf(words, sizeof words,
		 "INSERT INTO customer_contact SELECT ?, customer, seq FROM %s WHERE seq >= ? AND seq < ? "
		 "ORDER BY customer, seq",
		 table);
	sqlite3_stmt *statement = sql_prepare(sql, words, 0);
	for (int64_t block = first / RUN_LONG; ok && block <= last / RUN_LONG; block++) {
		struct cells cells = sql_cells(statement);
		put_number(&cells, block * RUN_STEP);
		put_number(&cells, block * RUN_LONG);
		put_number(&cells, (block + 1) * RUN_LONG);
		ok = sql_run(sql, statement);
	}
	sqlite3_finalize(statement);
	return ok;
}

/* --- reading --- */

int64_t runs_from(int64_t seq, bool down)
{
	return down ? long_run(seq) + RUN_STEP : long_run(seq) - 1;
}

void run_ends(int64_t run, int64_t *low, int64_t *high)
{
	const int64_t block = run / RUN_STEP * RUN_LONG, part = run % RUN_STEP;

	*low = block + (part ? (part - 1) * RUN_SHORT : 0);
	*high = *low + (part ? RUN_SHORT : RUN_LONG) - 1;
}

int runs_next(struct sql *sql, bool down, int64_t *run)
{
	sqlite3_stmt *statement = down ? sql_statement(sql, SQL_RUN_BEFORE,
						       "SELECT max(run) FROM customer_contact WHERE run < ?")
				       : sql_statement(sql, SQL_RUN_BEHIND,
						       "SELECT min(run) FROM customer_contact WHERE run > ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, *run);
	int more = sql_step(sql, statement);
	if (more > 0) {
		more = sqlite3_column_type(statement, 0) != SQLITE_NULL;
		*run = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return more;
}

bool runs_read(struct sql *sql, int64_t customer, int64_t after, int64_t seq[], size_t limit, size_t *count)
{
	int64_t run = runs_from(after, false);
	int more = 1;

	*count = 0;
	while (*count < limit && (more = runs_next(sql, false, &run)) > 0) {
		sqlite3_stmt *statement =
			sql_statement(sql, SQL_RUN_READ,
				      "SELECT seq FROM customer_contact WHERE run = ? AND customer = ? AND "
				      "seq > ? ORDER BY seq LIMIT ?");
		struct cells cells = sql_cells(statement);
		put_number(&cells, run);
		put_number(&cells, customer);
		put_number(&cells, after);
		put_number(&cells, (int64_t)(limit - *count));
		while ((more = sql_step(sql, statement)) > 0)
			seq[(*count)++] = sqlite3_column_int64(statement, 0);
		if (more < 0)
			return false;
	}
	return more >= 0;
}
