/* What choosing needs of a customer, read from where it stands together: the copy of the addresses and
 * preferences beside the facts (config/schema/041-beside.sql). The tables stay the truth; the copy is written
 * in the transaction that writes them, and what has none is read from them. */
#include "store_sqlite_private.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

/* More addresses than this whose state moved: all are looked up. */
#define MOVED_MAX 100000

/* --- reading --- */

static size_t moved_bit(int64_t address)
{
	return (size_t)(((uint64_t)address * 0x9E3779B97F4A7C15u) >> 40) & (MOVED_BITS - 1);
}

static bool may_have_moved(const struct sql *sql, int64_t address)
{
	size_t bit = moved_bit(address);

	return !sql->moved || (sql->moved[bit / 8] >> (bit % 8) & 1);
}

/* The states of now, where they are others than those of the copy. */
static bool read_moved(struct sql *sql, struct customer *customer)
{
	bool ok = true;

	for (size_t i = 0; ok && i < customer->address_count; i++) {
		struct address *address = &customer->addresses[i];
		if (!may_have_moved(sql, address->n))
			continue;
		sqlite3_stmt *statement = sql_statement(sql, SQL_ADDRESS_MOVED,
							"SELECT state, seq FROM address INDEXED BY "
							"address_moved WHERE n = ? AND moved <> 0");
		struct cells cells = sql_cells(statement);
		put_number(&cells, address->n);
		int more = sql_step(sql, statement);
		if (more > 0) {
			cells = sql_cells(statement);
			address->state = (enum address_state)get_number(&cells);
			address->seq = get_number(&cells);
			sqlite3_reset(statement);
		}
		ok = more >= 0;
	}
	return ok;
}

#define FACTS "SELECT " CUSTOMER_COLUMNS ", k.addresses, k.choices FROM customer k WHERE "

bool sql_read_facts(struct sql *sql, struct facts *facts)
{
	sqlite3_stmt *statement = facts->customer_id ? sql_statement(sql, SQL_FACTS_BY_ID, FACTS "k.id = ?")
						     : sql_statement(sql, SQL_FACTS_BY_N, FACTS "k.n = ?");
	struct cells cells = sql_cells(statement);

	facts->customer = NULL;
	facts->own = facts->parents = facts->star = NULL;
	if (facts->customer_id)
		put_text(&cells, facts->customer_id);
	else
		put_number(&cells, facts->customer_n);
	int more = sql_step(sql, statement);
	if (more <= 0)
		return more == 0;
	cells = sql_cells(statement);
	struct customer *customer = facts->customer = sql_read_customer(&cells);
	const char *addresses = (const char *)sqlite3_column_text(statement, cells.at);
	const char *choices = (const char *)sqlite3_column_text(statement, cells.at + 1);
	bool beside = addresses && store_beside_addresses(addresses, customer);
	bool chosen = choices && store_beside_choices(choices, facts);
	sqlite3_reset(statement);
	bool ok = true;
	if (!beside) {
		int64_t n = customer->n;
		customer_free(customer);
		facts->customer = NULL;
		ok = sql_get_customer(sql, NULL, n, &facts->customer);
	} else {
		ok = read_moved(sql, customer);
	}
	return ok && (chosen || !facts->customer || sql_get_chain(sql, facts));
}

/* --- writing --- */

bool beside_write(struct store_sqlite *store)
{
	struct sql *sql = &store->sql;
	bool ok = true;

	store_stale_sort(&store->stale);
	for (size_t i = 0; ok && i < store->stale.count; i++) {
		sqlite3_stmt *statement =
			sql_statement(sql, SQL_BESIDE_WRITE,
				      "UPDATE customer SET choices = (SELECT b.choices FROM "
				      "customer_beside b WHERE b.n = customer.n) WHERE n = ?");
		struct cells cells = sql_cells(statement);
		put_number(&cells, store->stale.customers[i]);
		ok = sql_run(sql, statement);
	}
	if (ok)
		store->stale.count = 0;
	return ok;
}

void beside_moved(struct store_sqlite *store, int64_t address)
{
	size_t bit = moved_bit(address);

	store->sql.moved[bit / 8] |= (unsigned char)(1 << (bit % 8));
}

bool beside_load(struct store_sqlite *store)
{
	struct sql *sql = &store->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_ADDRESSES_MOVED,
			      "SELECT n FROM address INDEXED BY address_moved WHERE moved <> 0 LIMIT ?");
	struct cells cells = sql_cells(statement);
	size_t count = 0;
	int more;

	sql->moved = xcalloc(MOVED_BITS / 8, 1);
	for (size_t i = 0; i < SQL_ROWS; i++)
		text_init(&store->rooms[i], TEXT_ERROR_MAX);
	put_number(&cells, MOVED_MAX);
	for (; (more = sql_step(sql, statement)) > 0; count++)
		beside_moved(store, sqlite3_column_int64(statement, 0));
	if (count == MOVED_MAX)
		memset(sql->moved, 0xff, MOVED_BITS / 8);
	return more == 0;
}

void beside_release(struct store_sqlite *store)
{
	free(store->stale.customers);
	free(store->sql.moved);
	for (size_t i = 0; i < SQL_ROWS; i++)
		if (store->rooms[i].max)
			text_release(&store->rooms[i]);
	store->sql.moved = NULL;
}
