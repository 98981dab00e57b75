/* Receipts that came before what they are about. */
#include "store_postgres_private.h"

#include <stdlib.h>

#include "xalloc.h"
#include "banned.h"

#define RECEIPT_COLUMNS "provider, provider_ref, contact, channel, at, says, address_dead, code, detail"

static struct pg *pg_of(struct store *store)
{
	return &((struct store_postgres *)store)->pg;
}

static void read_receipt(struct cells *cells, struct kept_receipt *out)
{
	out->provider = pg_get_text(cells);
	out->provider_ref = pg_get_text(cells);
	out->contact = pg_get_number(cells);
	out->channel = pg_get_text(cells);
	out->at = pg_get_number(cells);
	out->says = (enum receipt_says)pg_get_number(cells);
	out->address_dead = pg_get_number(cells) != 0;
	out->code = pg_get_text(cells);
	out->detail = pg_get_text(cells);
}

bool postgres_keep_receipt(struct store *store, const struct kept_receipt *receipt)
{
	struct pg_query query;

	pg_query_init(
		&query, pg_of(store), PG_KEEP_RECEIPT, "ttntnnntt",
		"INSERT INTO kept_receipt (" RECEIPT_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
		"ON CONFLICT (provider, provider_ref, contact) DO UPDATE SET channel = excluded.channel, "
		"at = excluded.at, says = excluded.says, address_dead = excluded.address_dead, "
		"code = excluded.code, detail = excluded.detail");
	pg_put_text(&query, receipt->provider);
	pg_put_text(&query, receipt->provider_ref);
	pg_put_number(&query, receipt->contact);
	pg_put_text(&query, receipt->channel);
	pg_put_number(&query, receipt->at);
	pg_put_number(&query, receipt->says);
	pg_put_number(&query, receipt->address_dead);
	pg_put_text(&query, receipt->code);
	pg_put_text(&query, receipt->detail);
	return pg_query_done(&query, NULL);
}

static void put_key(struct pg_query *query, const char *provider, const char *provider_ref, int64_t contact)
{
	pg_put_text(query, provider);
	pg_put_text(query, provider_ref);
	pg_put_number(query, contact);
}

bool postgres_find_receipt(struct store *store, const char *provider, const char *provider_ref,
			   int64_t contact, struct kept_receipt *out)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_FIND_RECEIPT, "ttn",
		      "SELECT " RECEIPT_COLUMNS
		      " FROM kept_receipt WHERE provider = $1 AND provider_ref = $2 "
		      "AND contact = $3 FOR UPDATE");
	put_key(&query, provider, provider_ref, contact);
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		read_receipt(&cells, out);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_drop_receipt(struct store *store, const char *provider, const char *provider_ref,
			   int64_t contact)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_DROP_RECEIPT, "ttn",
		      "DELETE FROM kept_receipt WHERE provider = $1 AND provider_ref = $2 AND contact = $3");
	put_key(&query, provider, provider_ref, contact);
	return pg_query_done(&query, NULL);
}

bool postgres_get_receipts(struct store *store, int64_t after, size_t limit, struct kept_receipt **out,
			   size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_RECEIPTS, "nn",
		      "SELECT " RECEIPT_COLUMNS " FROM kept_receipt WHERE at >= $1 ORDER BY at, provider, "
		      "provider_ref, contact LIMIT $2");
	pg_put_number(&query, after);
	pg_put_number(&query, (int64_t)limit);
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*out = xreallocarray(*out, *count + (size_t)query.rows, sizeof **out);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		read_receipt(&cells, &(*out)[(*count)++]);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_count_receipts(struct store *store, int64_t *count)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_COUNT_RECEIPTS, "", "SELECT count(*) FROM kept_receipt");
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*count = ok ? pg_get_number(&cells) : 0;
	pg_query_release(&query);
	return ok;
}
