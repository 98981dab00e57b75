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

static bool add_customer(struct store_sqlite *store, const struct customer *customer)
{
	struct sql *sql = &store->sql;
	sqlite3_stmt *statement = sql_statement(sql, SQL_CUSTOMER_ADD,
						"INSERT INTO customer (id, name, locale, timezone, seq, n, "
						"addresses, choices) VALUES (?, ?, ?, ?, ?, ?, ?, '')");
	struct cells cells = sql_cells(statement);

	put_text(&cells, customer->id);
	put_text(&cells, customer->name);
	put_text(&cells, customer->locale);
	put_text(&cells, customer->timezone);
	put_number(&cells, customer->seq);
	put_number(&cells, customer->n);
	put_text(&cells, store_beside_text(customer, &store->room));
	return sql_run(sql, statement);
}

bool sqlite_add_customers(struct store *store, struct customer *const customers[], size_t count)
{
	struct sql *sql = &of(store)->sql;
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++)
		ok = add_customer(of(store), customers[i]);
	for (size_t i = 0; ok && i < count; i++)
		ok = sql_link_addresses(sql, customers[i]);
	return ok;
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

static int by_value(const void *a, const void *b)
{
	const struct address *left = *(const struct address *const *)a,
			     *right = *(const struct address *const *)b;
	int order = strcmp(left->value, right->value);

	return order ? order : strcmp(left->channel, right->channel);
}

bool sqlite_get_addresses(struct store *store, struct address *const addresses[], size_t count, bool make)
{
	struct address **sorted = xreallocarray(NULL, count, sizeof *sorted);
	bool ok = true;

	memcpy(sorted, addresses, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, by_value);
	for (size_t i = 0; ok && i < count; i++) {
		struct address *address = sorted[i];
		struct address_row row = {.state = address->state, .seq = address->seq};
		if (i && by_value(&sorted[i - 1], &sorted[i]) == 0)
			row = (struct address_row){.n = sorted[i - 1]->n,
						   .state = sorted[i - 1]->state,
						   .seq = sorted[i - 1]->seq};
		else
			ok = sqlite_get_address(store, address->channel, address->value, make, &row);
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
