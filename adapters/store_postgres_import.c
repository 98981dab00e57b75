/* The writer's customers, many at once: a statement each, however many they are. */
#include "store_postgres_private.h"

#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "xalloc.h"
#include "banned.h"

static struct store_postgres *of(struct store *store)
{
	return (struct store_postgres *)store;
}

static struct pg *pg_of(struct store *store)
{
	return &of(store)->pg;
}

/* --- customers --- */

bool postgres_get_customers(struct store *store, const char *const ids[], size_t count,
			    struct customer *out[])
{
	return pg_get_customers(pg_of(store), ids, count, out);
}

bool postgres_number_customers(struct store *store, struct customer *const customers[], size_t count)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_NUMBER_CUSTOMERS, "n",
		      "SELECT nextval('customer_n') FROM generate_series(1, $1)");
	pg_put_number(&query, (int64_t)count);
	bool ok = pg_query_run(&query);
	for (size_t i = 0; ok && i < count; i++) {
		struct cells cells = pg_cells(&query, (int)i);
		customers[i]->n = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool pg_link_addresses(struct pg *pg, struct customer *const customers[], size_t count)
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_LINK_ADDRESSES, "NNNT",
		      "INSERT INTO customer_address (customer, position, address, details) "
		      "SELECT * FROM unnest($1, $2, $3, $4)");
	for (size_t k = 0; k < count; k++) {
		for (size_t i = 0; i < customers[k]->address_count; i++) {
			pg_put_number(&query, customers[k]->n);
			pg_put_number(&query, (int64_t)i);
			pg_put_number(&query, customers[k]->addresses[i].n);
			pg_put_text(&query, customers[k]->addresses[i].details);
		}
	}
	return pg_query_done(&query, NULL);
}

bool postgres_add_customers(struct store *store, struct customer *const customers[], size_t count)
{
	struct pg *pg = pg_of(store);
	struct pg_query query;

	pg_query_init(&query, pg, PG_ADD_CUSTOMERS, "NTTTTNT",
		      "INSERT INTO customer (n, id, name, locale, timezone, seq, addresses, choices) "
		      "SELECT u.*, '' FROM unnest($1, $2, $3, $4, $5, $6, $7) u");
	for (size_t i = 0; i < count; i++) {
		pg_put_number(&query, customers[i]->n);
		pg_put_text(&query, customers[i]->id);
		pg_put_text(&query, customers[i]->name);
		pg_put_text(&query, customers[i]->locale);
		pg_put_text(&query, customers[i]->timezone);
		pg_put_number(&query, customers[i]->seq);
		pg_put_text(&query, store_beside_text(customers[i], &of(store)->room));
	}
	return pg_query_done(&query, NULL) && pg_link_addresses(pg, customers, count);
}

bool postgres_any_erased(struct store *store, bool *any)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_ANY_ERASED, "",
		      "SELECT EXISTS (SELECT 1 FROM customer WHERE id LIKE '" ERASED_PREFIX
		      "%') OR EXISTS (SELECT 1 FROM address WHERE value LIKE '" ERASED_PREFIX "%')");
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		*any = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

/* --- addresses --- */

/* The first of `sorted` that is not below the address. */
static size_t place_of(struct address *const sorted[], size_t count, const struct address *address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (store_address_order(&sorted[middle], &address) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* n, channel, value, state, seq of a row, for all that have its address. */
static void read_row(struct cells *cells, struct address *const sorted[], size_t count)
{
	int64_t n = pg_get_number(cells);
	const char *channel = pg_peek_text(cells), *value = pg_peek_text(cells);
	const struct address row = {.channel = (char *)channel, .value = (char *)value}, *wanted = &row;
	int64_t state = pg_get_number(cells), seq = pg_get_number(cells);

	for (size_t i = place_of(sorted, count, wanted);
	     i < count && store_address_order(&sorted[i], &wanted) == 0; i++) {
		sorted[i]->n = n;
		sorted[i]->state = (enum address_state)state;
		sorted[i]->seq = seq;
	}
}

/* Rows that all share, or new ones. The update that changes nothing locks and gives a row that is there; the
 * order keeps two who write the same ones from waiting for each other. */
bool postgres_get_addresses(struct store *store, struct address *const addresses[], size_t count, bool make)
{
	struct address **sorted = xreallocarray(NULL, count, sizeof *sorted);
	struct pg_query query;

	memcpy(sorted, addresses, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, store_address_order);
	if (make)
		pg_query_init(&query, pg_of(store), PG_PUT_ADDRESSES, "TTNN",
			      "INSERT INTO address (n, channel, value, state, seq) "
			      "SELECT nextval('address_n'), channel, value, min(state), min(seq) "
			      "FROM unnest($1, $2, $3, $4) u (channel, value, state, seq) "
			      "GROUP BY channel, value ORDER BY value, channel "
			      "ON CONFLICT (value, channel) DO UPDATE SET channel = excluded.channel "
			      "RETURNING n, channel, value, state, seq");
	else
		pg_query_init(&query, pg_of(store), PG_GET_ADDRESSES, "TTNN",
			      "SELECT a.n, a.channel, a.value, a.state, a.seq "
			      "FROM unnest($1, $2, $3, $4) u (channel, value, state, seq) "
			      "JOIN address a ON a.value = u.value AND a.channel = u.channel");
	for (size_t i = 0; i < count; i++) {
		addresses[i]->n = 0;
		pg_put_text(&query, addresses[i]->channel);
		pg_put_text(&query, addresses[i]->value);
		pg_put_number(&query, addresses[i]->state);
		pg_put_number(&query, addresses[i]->seq);
	}
	bool ok = pg_query_run(&query);
	for (int r = 0; ok && r < query.rows; r++) {
		struct cells cells = pg_cells(&query, r);
		read_row(&cells, sorted, count);
	}
	pg_query_release(&query);
	free(sorted);
	return ok;
}

/* --- preferences --- */

bool postgres_get_preferences_of(struct store *store, const int64_t customers[], size_t count,
				 struct preferences out[])
{
	return pg_get_preferences_of(pg_of(store), customers, count, out);
}

bool postgres_put_preferences(struct store *store, const struct preference_of rows[], size_t count)
{
	struct pg_query query;

	pg_query_init(
		&query, pg_of(store), PG_PUT_PREFERENCES,
		"NTTTT"
		"NNNTN",
		"INSERT INTO preference (customer, product, channels, hours, digest, paused_until, version, "
		"changed_at, changed_by, seq) "
		"SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
		"ON CONFLICT (customer, product) DO UPDATE SET channels = excluded.channels, "
		"hours = excluded.hours, digest = excluded.digest, paused_until = excluded.paused_until, "
		"version = excluded.version, changed_at = excluded.changed_at, "
		"changed_by = excluded.changed_by, seq = excluded.seq");
	for (size_t i = 0; i < count; i++) {
		const struct preference *preference = rows[i].preference;
		char *channels = store_channels_text(preference);
		pg_put_number(&query, rows[i].customer);
		pg_put_text(&query, preference->product);
		pg_put_text(&query, channels);
		pg_put_text(&query, preference->hours);
		pg_put_text(&query, preference->digest);
		pg_put_number(&query, preference->paused_until);
		pg_put_number(&query, preference->version);
		pg_put_number(&query, preference->changed_at);
		pg_put_text(&query, preference->changed_by);
		pg_put_number(&query, preference->seq);
		free(channels);
		store_stale_add(&of(store)->stale, rows[i].customer);
	}
	return pg_query_done(&query, NULL);
}
