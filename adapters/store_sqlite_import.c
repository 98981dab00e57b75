/* The writer's customers, many at once. Each index is touched in its own order: pages that lie side by side
 * are then looked for once, and where a batch is large against a table, written once. */
#include "store_sqlite_private.h"

#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "xalloc.h"
#include "banned.h"

static struct store_sqlite *of(struct store *store)
{
	return (struct store_sqlite *)store;
}

/* --- customers --- */

struct asked {
	const char *id;
	size_t place;
};

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct asked *)a)->id, ((const struct asked *)b)->id);
}

/* Most are not there, and that is all that the index is asked. */
static bool find_customer(struct sql *sql, const char *id, int64_t *n)
{
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_CUSTOMER_FIND, "SELECT n FROM customer WHERE id = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, id);
	int more = sql_step(sql, statement);
	*n = more > 0 ? sqlite3_column_int64(statement, 0) : 0;
	if (more > 0)
		sqlite3_reset(statement);
	return more >= 0;
}

bool sqlite_get_customers(struct store *store, const char *const ids[], size_t count, struct customer *out[])
{
	struct sql *sql = &of(store)->sql;
	struct asked *asked = xcalloc(count, sizeof *asked);
	bool ok = true;

	for (size_t i = 0; i < count; i++)
		asked[i] = (struct asked){ids[i], i};
	qsort(asked, count, sizeof *asked, by_id);
	for (size_t i = 0; ok && i < count; i++) {
		int64_t n = 0;
		ok = find_customer(sql, asked[i].id, &n) &&
		     (!n || sql_get_customer(sql, NULL, n, &out[asked[i].place]));
	}
	free(asked);
	return ok;
}

bool sqlite_number_customers(struct store *store, struct customer *const customers[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		customers[i]->n = ++of(store)->numbers[NUMBER_CUSTOMER];
	return true;
}

#define CUSTOMER_ADD \
	"INSERT OR FAIL INTO customer (id, name, locale, timezone, seq, n, addresses, choices) VALUES "
#define CUSTOMER_CELLS "(?, ?, ?, ?, ?, ?, ?, '')"

static bool add_rows(struct store_sqlite *store, struct customer *const customers[], size_t count)
{
	struct sql *sql = &store->sql;
	size_t i = 0;
	bool ok = true;

	while (ok && i < count) {
		size_t rows = count - i < SQL_ROWS ? 1 : SQL_ROWS;
		sqlite3_stmt *statement =
			rows == 1 ? sql_statement(sql, SQL_CUSTOMER_ADD, CUSTOMER_ADD CUSTOMER_CELLS)
				  : sql_statement(sql, SQL_CUSTOMERS_ADD,
						  CUSTOMER_ADD SQL_EIGHT(CUSTOMER_CELLS));
		struct cells cells = sql_cells(statement);
		for (size_t row = 0; row < rows; row++, i++) {
			put_text(&cells, customers[i]->id);
			put_text(&cells, customers[i]->name);
			put_text(&cells, customers[i]->locale);
			put_text(&cells, customers[i]->timezone);
			put_number(&cells, customers[i]->seq);
			put_number(&cells, customers[i]->n);
			put_text(&cells, store_beside_text(customers[i], &store->rooms[row]));
		}
		ok = sql_run(sql, statement);
	}
	return ok;
}

#define LINK_ADD "INSERT OR FAIL INTO customer_address (customer, position, address, details) VALUES "
#define LINK_CELLS "(?, ?, ?, ?)"

struct link {
	int64_t customer, position;
	const struct address *address;
};

static bool add_links(struct sql *sql, const struct link links[], size_t count)
{
	sqlite3_stmt *statement =
		count == 1 ? sql_statement(sql, SQL_ADDRESS_LINK, LINK_ADD LINK_CELLS)
			   : sql_statement(sql, SQL_ADDRESS_LINKS, LINK_ADD SQL_EIGHT(LINK_CELLS));
	struct cells cells = sql_cells(statement);

	for (size_t i = 0; i < count; i++) {
		put_number(&cells, links[i].customer);
		put_number(&cells, links[i].position);
		put_number(&cells, links[i].address->n);
		put_text(&cells, links[i].address->details);
	}
	return sql_run(sql, statement);
}

bool sql_link_addresses(struct sql *sql, struct customer *const customers[], size_t count)
{
	struct link links[SQL_ROWS];
	size_t gathered = 0;
	bool ok = true;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; ok && k < customers[i]->address_count; k++) {
			links[gathered++] =
				(struct link){customers[i]->n, (int64_t)k, &customers[i]->addresses[k]};
			if (gathered < SQL_ROWS)
				continue;
			ok = add_links(sql, links, SQL_ROWS);
			gathered = 0;
		}
	}
	for (size_t i = 0; ok && i < gathered; i++)
		ok = add_links(sql, &links[i], 1);
	return ok;
}

bool sqlite_add_customers(struct store *store, struct customer *const customers[], size_t count)
{
	struct sql *sql = &of(store)->sql;

	return add_rows(of(store), customers, count) && sql_link_addresses(sql, customers, count);
}

bool sqlite_any_erased(struct store *store, bool *any)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_ANY_ERASED,
			      "SELECT EXISTS (SELECT 1 FROM customer WHERE id GLOB '" ERASED_PREFIX
			      "*') OR EXISTS (SELECT 1 FROM address WHERE value GLOB '" ERASED_PREFIX "*')");
	int more = sql_step(sql, statement);

	*any = more > 0 && sqlite3_column_int(statement, 0);
	sqlite3_reset(statement);
	return more > 0;
}

/* --- addresses --- */

/* Makes it where it is not there, as most are not when many come at once; else row->n stays 0. */
static bool make_address(struct store_sqlite *store, const struct address *address, struct address_row *row)
{
	struct sql *sql = &store->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_ADDRESS_MAKE,
			      "INSERT INTO address (n, channel, value, state, seq) VALUES (?, ?, ?, ?, ?) "
			      "ON CONFLICT DO NOTHING");
	struct cells cells = sql_cells(statement);
	int64_t n = store->numbers[NUMBER_ADDRESS] + 1;

	put_number(&cells, n);
	put_text(&cells, address->channel);
	put_text(&cells, address->value);
	put_number(&cells, row->state);
	put_number(&cells, row->seq);
	if (!sql_run(sql, statement))
		return false;
	if (sqlite3_changes(sql->db) == 1)
		row->n = store->numbers[NUMBER_ADDRESS] = n;
	return true;
}

static bool get_address(struct store *store, const struct address *address, bool make,
			struct address_row *row)
{
	return (!make || make_address(of(store), address, row)) &&
	       (row->n || sqlite_get_address(store, address->channel, address->value, false, row));
}

bool sqlite_get_addresses(struct store *store, struct address *const addresses[], size_t count, bool make)
{
	struct address **sorted = xreallocarray(NULL, count, sizeof *sorted);
	bool ok = true;

	memcpy(sorted, addresses, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, store_address_order);
	for (size_t i = 0; ok && i < count; i++) {
		struct address *address = sorted[i];
		struct address_row row = {.state = address->state, .seq = address->seq};
		if (i && store_address_order(&sorted[i - 1], &sorted[i]) == 0)
			row = (struct address_row){.n = sorted[i - 1]->n,
						   .state = sorted[i - 1]->state,
						   .seq = sorted[i - 1]->seq};
		else
			ok = get_address(store, address, make, &row);
		address->n = row.n;
		address->state = row.state;
		address->seq = row.seq;
	}
	free(sorted);
	return ok;
}

/* --- preferences --- */

bool sqlite_get_preferences_of(struct store *store, const int64_t customers[], size_t count,
			       struct preferences out[])
{
	struct sql *sql = &of(store)->sql;
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++)
		ok = sql_get_preferences(sql, customers[i], &out[i].list, &out[i].count);
	return ok;
}

bool sqlite_put_preferences(struct store *store, const struct preference_of rows[], size_t count)
{
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++)
		ok = sqlite_put_preference(store, rows[i].customer, rows[i].preference);
	return ok;
}
