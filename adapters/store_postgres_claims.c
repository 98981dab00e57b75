/* Who claims what, and what is abandoned. */
#include "store_postgres_private.h"

#include "xalloc.h"
#include "banned.h"

static struct pg *pg_of(struct store *store)
{
	return &((struct store_postgres *)store)->pg;
}

/* Those that another takes over, or resolves, at this moment are left to it. */
bool postgres_abandoned(struct store *store, int64_t gateway, int64_t now, int64_t silent, int64_t after,
			size_t limit, struct message_rows *out)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_ABANDONED, "nnnnn",
		      "SELECT " MESSAGE_COLUMNS " FROM message m" MESSAGE_CUSTOMER
		      "WHERE m.state = 2 AND m.n > $1 AND ($2 < 0 OR m.gateway = $2 OR (m.lease < $3 AND NOT "
		      "EXISTS (SELECT 1 FROM gateway g WHERE g.n = m.gateway AND g.at >= $4))) "
		      "ORDER BY m.n LIMIT $5 FOR UPDATE OF m SKIP LOCKED");
	pg_put_number(&query, after);
	pg_put_number(&query, gateway ? gateway : INT64_MAX);
	pg_put_number(&query, now);
	pg_put_number(&query, silent);
	pg_put_number(&query, (int64_t)limit);
	return pg_append_messages(&query, out);
}

bool postgres_report_gateway(struct store *store, const char *name, const char *boot, int64_t at, int64_t *n)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_REPORT_GATEWAY, "ttn",
		      "INSERT INTO gateway (n, name, boot, at) VALUES (nextval('gateway_n'), $1, $2, $3) "
		      "ON CONFLICT (name) DO UPDATE SET boot = excluded.boot, at = excluded.at RETURNING n");
	pg_put_text(&query, name);
	pg_put_text(&query, boot);
	pg_put_number(&query, at);
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*n = ok ? pg_get_number(&cells) : 0;
	pg_query_release(&query);
	return ok;
}

bool postgres_gateway_name(struct store *store, int64_t gateway, char **name)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_GATEWAY_NAME, "n", "SELECT name FROM gateway WHERE n = $1");
	pg_put_number(&query, gateway);
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*name = ok && query.rows ? pg_get_text(&cells) : xstrdup("");
	pg_query_release(&query);
	return ok;
}
