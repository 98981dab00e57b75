/* The writer's customers, addresses, preferences, holds and caps, and the numbered log of their changes. */
#include "store_postgres_private.h"

#include <stdlib.h>
#include <string.h>

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

bool pg_beside_write(struct store_postgres *store)
{
	struct pg_query query;

	if (!store->stale.count)
		return true;
	store_stale_sort(&store->stale);
	pg_query_init(&query, &store->pg, PG_BESIDE_WRITE, "N",
		      "UPDATE customer SET choices = b.choices FROM customer_beside b "
		      "WHERE b.n = customer.n AND customer.n = ANY ($1)");
	for (size_t i = 0; i < store->stale.count; i++)
		pg_put_number(&query, store->stale.customers[i]);
	store->stale.count = 0;
	return pg_query_done(&query, NULL);
}

bool postgres_read_facts(struct store *store, struct facts *const facts[], size_t count)
{
	return pg_beside_write(of(store)) && pg_read_facts(pg_of(store), facts, count);
}

bool postgres_get_customer(struct store *store, const char *id, struct customer **out)
{
	return pg_get_customer(pg_of(store), id, out);
}

bool postgres_get_preferences(struct store *store, int64_t customer, struct preference **out, size_t *count)
{
	return pg_get_preferences(pg_of(store), customer, out, count);
}

static bool save_facts(struct store_postgres *store, const struct customer *customer)
{
	struct pg *pg = &store->pg;
	struct pg_query query;
	int64_t changed = 0;

	pg_query_init(&query, pg, PG_SAVE_CUSTOMER,
		      "tttt"
		      "ntn",
		      "UPDATE customer SET id = $1, name = $2, locale = $3, timezone = $4, seq = $5, "
		      "addresses = $6 WHERE n = $7");
	pg_put_text(&query, customer->id);
	pg_put_text(&query, customer->name);
	pg_put_text(&query, customer->locale);
	pg_put_text(&query, customer->timezone);
	pg_put_number(&query, customer->seq);
	pg_put_text(&query, store_beside_text(customer, &store->room));
	pg_put_number(&query, customer->n);
	bool ok = pg_query_done(&query, &changed);
	return ok && (changed == 1 ||
		      text_error(pg->error, "store: there is no customer %lld", (long long)customer->n));
}

static bool put_addresses(struct store *store, const struct customer *customer)
{
	size_t count = customer->address_count;
	struct address **addresses = xreallocarray(NULL, count, sizeof *addresses);

	for (size_t i = 0; i < count; i++)
		addresses[i] = &customer->addresses[i];
	bool ok = !count || postgres_get_addresses(store, addresses, count, true);
	free(addresses);
	return ok;
}

bool postgres_put_customer(struct store *store, struct customer *customer)
{
	struct pg *pg = pg_of(store);
	struct customer *const only[] = {customer};
	struct pg_query query;

	if (!put_addresses(store, customer))
		return false;
	if (!customer->n)
		return postgres_number_customers(store, only, 1) && postgres_add_customers(store, only, 1);
	if (!save_facts(of(store), customer))
		return false;
	pg_query_init(&query, pg, PG_DROP_ADDRESSES, "n", "DELETE FROM customer_address WHERE customer = $1");
	pg_put_number(&query, customer->n);
	return pg_query_done(&query, NULL) && pg_link_addresses(pg, only, 1);
}

bool postgres_stamp_customer(struct store *store, int64_t customer, int64_t seq)
{
	struct pg *pg = pg_of(store);
	struct pg_query query;
	int64_t changed = 0;

	pg_query_init(&query, pg, PG_STAMP_CUSTOMER, "nn", "UPDATE customer SET seq = $1 WHERE n = $2");
	pg_put_number(&query, seq);
	pg_put_number(&query, customer);
	bool ok = pg_query_done(&query, &changed);
	return ok && (changed == 1 ||
		      text_error(pg->error, "store: there is no customer %lld", (long long)customer));
}

bool postgres_put_preference(struct store *store, int64_t customer, const struct preference *preference)
{
	return postgres_put_preferences(store, &(struct preference_of){customer, preference}, 1);
}

bool postgres_set_address_state(struct store *store, int64_t address, enum address_state state, int64_t seq)
{
	struct pg_query query;
	int64_t changed = 0;

	pg_query_init(&query, pg_of(store), PG_ADDRESS_STATE, "nnn",
		      "UPDATE address SET state = $1, seq = $2, moved = 1 WHERE n = $3");
	pg_put_number(&query, state);
	pg_put_number(&query, seq);
	pg_put_number(&query, address);
	if (!pg_query_done(&query, &changed))
		return false;
	return changed == 1 ||
	       text_error(&store->error, "store: there is no address %lld", (long long)address);
}

bool postgres_get_address(struct store *store, const char *channel, const char *value, bool make,
			  struct address_row *out)
{
	struct pg_query query;

	if (make)
		pg_query_init(
			&query, pg_of(store), PG_MAKE_ADDRESS, "ttnn",
			"INSERT INTO address (n, channel, value, state, seq) "
			"VALUES (nextval('address_n'), $1, $2, $3, $4) ON CONFLICT (value, channel) "
			"DO UPDATE SET channel = excluded.channel RETURNING n, state, seq, answered_at");
	else
		pg_query_init(
			&query, pg_of(store), PG_GET_ADDRESS, "tt",
			"SELECT n, state, seq, answered_at FROM address WHERE channel = $1 AND value = $2");
	pg_put_text(&query, channel);
	pg_put_text(&query, value);
	if (make) {
		pg_put_number(&query, out->state);
		pg_put_number(&query, out->seq);
	}
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		out->n = pg_get_number(&cells);
		out->state = (enum address_state)pg_get_number(&cells);
		out->seq = pg_get_number(&cells);
		out->answered_at = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_answered(struct store *store, int64_t address, int64_t at)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_ANSWERED, "nn",
		      "UPDATE address SET answered_at = $1 WHERE n = $2");
	pg_put_number(&query, at);
	pg_put_number(&query, address);
	return pg_query_done(&query, NULL);
}

bool postgres_customers_of_address(struct store *store, int64_t address, int64_t **customers, size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_ADDRESS_OWNERS, "n",
		      "SELECT DISTINCT customer FROM customer_address WHERE address = $1 ORDER BY customer");
	pg_put_number(&query, address);
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*customers = xreallocarray(NULL, (size_t)query.rows, sizeof **customers);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		(*customers)[(*count)++] = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

/* --- the log of changes --- */

bool postgres_last_choice(struct store *store, int64_t customer, const char *product, char **choice)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_LAST_CHOICE, "nt",
		      "SELECT new_value FROM change_log WHERE customer = $1 AND subject = $2 AND kind = 0 "
		      "AND changed_by <> 'import' ORDER BY seq DESC LIMIT 1");
	pg_put_number(&query, customer);
	pg_put_text(&query, product);
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		*choice = pg_get_text(&cells);
	}
	pg_query_release(&query);
	return ok;
}

static bool number_changes(struct pg *pg, struct change *const changes[], size_t count)
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_NUMBER_CHANGES, "n",
		      "SELECT nextval('change_seq') FROM generate_series(1, $1)");
	pg_put_number(&query, (int64_t)count);
	bool ok = pg_query_run(&query);
	for (size_t i = 0; ok && i < count; i++) {
		struct cells cells = pg_cells(&query, (int)i);
		changes[i]->seq = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_append_changes(struct store *store, struct change *const changes[], size_t count)
{
	struct pg_query query;

	if (!number_changes(pg_of(store), changes, count))
		return false;
	pg_query_init(
		&query, pg_of(store), PG_ADD_CHANGES, "NNNNNNTTTTTTT",
		"INSERT INTO change_log (seq, kind, at, given_at, customer, address, subject, changed_by, "
		"actor, source, evidence, old_value, new_value) SELECT * FROM unnest($1, $2, $3, $4, $5, "
		"$6, $7, $8, $9, $10, $11, $12, $13)");
	for (size_t i = 0; i < count; i++) {
		const struct change *change = changes[i];
		pg_put_number(&query, change->seq);
		pg_put_number(&query, change->kind);
		pg_put_number(&query, change->at);
		pg_put_number(&query, change->given_at);
		pg_put_number(&query, change->customer);
		pg_put_number(&query, change->address);
		pg_put_text(&query, change->subject);
		pg_put_text(&query, change->by);
		pg_put_text(&query, change->actor);
		pg_put_text(&query, change->source);
		pg_put_text(&query, change->evidence);
		pg_put_text(&query, change->old_value);
		pg_put_text(&query, change->new_value);
	}
	return pg_query_done(&query, NULL);
}

/* The last set of products; *seq 0: there is none. */
static bool products_last(struct pg *pg, const char *hash, int64_t *seq, bool *same)
{
	struct pg_query query;

	*seq = 0;
	*same = false;
	pg_query_init(&query, pg, PG_PRODUCTS_LAST, "",
		      "SELECT seq, subject FROM change_log WHERE kind = 3 ORDER BY seq DESC LIMIT 1");
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		*seq = pg_get_number(&cells);
		*same = strcmp(pg_peek_text(&cells), hash) == 0;
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_put_products(struct store *store, const char *hash, const char *body, int64_t at, int64_t *seq)
{
	struct pg_query query;
	char nothing[] = "", by[] = "gateway";
	bool same;

	if (!products_last(pg_of(store), hash, seq, &same))
		return false;
	if (same)
		return true;
	pg_query_init(&query, pg_of(store), PG_ADD_PRODUCTS, "tnt",
		      "INSERT INTO product_set (hash, at, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
	pg_put_text(&query, hash);
	pg_put_number(&query, at);
	pg_put_text(&query, body);
	if (!pg_query_done(&query, NULL))
		return false;
	struct change change = {.kind = CHANGE_PRODUCTS,
				.at = at,
				.given_at = at,
				.subject = (char *)hash,
				.by = by,
				.actor = nothing,
				.source = nothing,
				.evidence = nothing,
				.old_value = nothing,
				.new_value = nothing};
	if (!postgres_append_changes(store, (struct change *const[]){&change}, 1))
		return false;
	*seq = change.seq;
	return true;
}

bool postgres_put_template(struct store *store, const char *hash, const char *name, const char *source,
			   int64_t at)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_ADD_TEMPLATE, "ttnt",
		      "INSERT INTO template (hash, name, at, source) VALUES ($1, $2, $3, $4) "
		      "ON CONFLICT DO NOTHING");
	pg_put_text(&query, hash);
	pg_put_text(&query, name);
	pg_put_number(&query, at);
	pg_put_text(&query, source);
	return pg_query_done(&query, NULL);
}

/* --- who is looked at again --- */

bool postgres_put_again(struct store *store, const struct again_at *again)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_PUT_AGAIN, "nn",
		      "INSERT INTO again (customer, after) VALUES ($1, $2) "
		      "ON CONFLICT (customer) DO UPDATE SET after = excluded.after");
	pg_put_number(&query, again->customer);
	pg_put_number(&query, again->after);
	return pg_query_done(&query, NULL);
}

bool postgres_drop_again(struct store *store, int64_t customer)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_DROP_AGAIN, "n", "DELETE FROM again WHERE customer = $1");
	pg_put_number(&query, customer);
	return pg_query_done(&query, NULL);
}

bool postgres_get_again(struct store *store, struct again_at **out, size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_AGAIN, "",
		      "SELECT customer, after FROM again ORDER BY customer");
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*out = xreallocarray(*out, (size_t)query.rows, sizeof **out);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		struct again_at *again = &(*out)[(*count)++];
		again->customer = pg_get_number(&cells);
		again->after = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

/* --- holds --- */

bool postgres_put_hold(struct store *store, const struct hold *hold)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_PUT_HOLD, "nttttnn",
		      "INSERT INTO hold (kind, name, why, held_by, actor, at, seq) "
		      "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, name) DO UPDATE SET "
		      "why = excluded.why, held_by = excluded.held_by, actor = excluded.actor, "
		      "at = excluded.at, seq = excluded.seq");
	pg_put_number(&query, hold->kind);
	pg_put_text(&query, hold->name);
	pg_put_text(&query, hold->why);
	pg_put_text(&query, hold->by);
	pg_put_text(&query, hold->actor);
	pg_put_number(&query, hold->at);
	pg_put_number(&query, hold->seq);
	return pg_query_done(&query, NULL);
}

bool postgres_drop_hold(struct store *store, enum hold_kind kind, const char *name)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_DROP_HOLD, "nt",
		      "DELETE FROM hold WHERE kind = $1 AND name = $2");
	pg_put_number(&query, kind);
	pg_put_text(&query, name);
	return pg_query_done(&query, NULL);
}

bool postgres_get_holds(struct store *store, struct hold **out, size_t *count)
{
	return pg_get_holds(pg_of(store), out, count);
}

/* --- caps --- */

bool postgres_cap_used(struct store *store, int64_t customer, const char *name, int64_t *used)
{
	return pg_cap_used(pg_of(store), customer, name, used);
}

bool postgres_count_caps(struct store *store, const struct cap_count counts[], size_t count, int64_t now)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_DROP_CAPS, "nN",
		      "DELETE FROM cap_count WHERE customer = ANY ($2) AND ends <= $1");
	pg_put_number(&query, now);
	for (size_t i = 0; i < count; i++) {
		query.at = 1;
		pg_put_number(&query, counts[i].customer);
	}
	if (!pg_query_done(&query, NULL))
		return false;
	pg_query_init(
		&query, pg_of(store), PG_COUNT_CAPS, "nNTNN",
		"INSERT INTO cap_count AS c (customer, name, used, ends) SELECT customer, name, sum(used), "
		"max(ends) FROM unnest($2, $3, $4, $5) u (customer, name, used, ends) WHERE ends > $1 "
		"GROUP BY customer, name ORDER BY customer, name "
		"ON CONFLICT (customer, name) DO UPDATE SET used = c.used + excluded.used");
	pg_put_number(&query, now);
	for (size_t i = 0; i < count; i++) {
		query.at = 1;
		pg_put_number(&query, counts[i].customer);
		pg_put_text(&query, counts[i].name);
		pg_put_number(&query, counts[i].used);
		pg_put_number(&query, counts[i].ends);
	}
	return pg_query_done(&query, NULL);
}
