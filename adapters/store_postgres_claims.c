/* Who claims what, and what is abandoned. */
#include "store_postgres_private.h"

#include <time.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define NAME_PATIENCE (3 * MOMENT_S) /* for the session of one that was killed */

static struct pg *pg_of(struct store *store)
{
	return &((struct store_postgres *)store)->pg;
}

void postgres_set_lease(struct store *store, int64_t lease)
{
	struct pg *pg = pg_of(store);

	pg->lease = lease;
	if (!pg_is_lost(pg))
		pg_limit(pg);
}

#define ABANDONED                                                                                            \
	"SELECT " MESSAGE_COLUMNS " FROM message m" MESSAGE_CUSTOMER                                         \
	"WHERE m.state = 2 AND m.n > $1 AND ($2 < 0 OR m.gateway = $2 OR (m.lease < $3 AND NOT EXISTS "      \
	"(SELECT 1 FROM gateway g WHERE g.n = m.gateway AND g.at >= $4))) ORDER BY m.n LIMIT $5 FOR UPDATE " \
	"OF m"

/* Of others' those that somebody takes over, or resolves, at this moment are left to him. For our own we
 * wait: his transaction may be lost, and once we have said that we are alive nobody would look at them again.
 */
bool postgres_abandoned(struct store *store, int64_t gateway, int64_t now, int64_t silent, int64_t after,
			size_t limit, struct message_rows *out)
{
	struct pg_query query;

	if (gateway)
		pg_query_init(&query, pg_of(store), PG_ABANDONED_OURS, "nnnnn", ABANDONED);
	else
		pg_query_init(&query, pg_of(store), PG_ABANDONED, "nnnnn", ABANDONED " SKIP LOCKED");
	pg_put_number(&query, after);
	pg_put_number(&query, gateway ? gateway : INT64_MAX);
	pg_put_number(&query, now);
	pg_put_number(&query, silent);
	pg_put_number(&query, (int64_t)limit);
	return pg_append_messages(&query, out);
}

static bool try_name(struct pg *pg, const char *name, bool *got)
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_HOLD_NAME, "t",
		      "SELECT pg_try_advisory_lock('gateway'::regclass::oid::int, hashtext($1))");
	pg_put_text(&query, name);
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*got = ok && pg_get_number(&cells) != 0;
	pg_query_release(&query);
	return ok;
}

/* Two of one name would take each other's claims for their own: the session holds the name. */
static bool hold_name(struct pg *pg, const char *name)
{
	static const struct timespec pause = {.tv_nsec = 50 * 1000000L};
	int64_t until = moment_mono() + NAME_PATIENCE;

	while (!pg->named) {
		if (!try_name(pg, name, &pg->named))
			return false;
		if (pg->named || moment_mono() > until)
			break;
		nanosleep(&pause, NULL);
	}
	return pg->named ||
	       text_error(pg->error,
			  "store: PostgreSQL: a gateway with the name %s is at work; each needs a "
			  "gateway.name of its own",
			  name);
}

bool postgres_report_gateway(struct store *store, const char *name, const char *boot, int64_t at, int64_t *n,
			     int64_t *before)
{
	struct pg_query query;

	if (!hold_name(pg_of(store), name))
		return false;
	pg_query_init(&query, pg_of(store), PG_REPORT_GATEWAY, "ttn",
		      "INSERT INTO gateway (n, name, boot, at) VALUES (nextval('gateway_n'), $1, $2, $3) "
		      "ON CONFLICT (name) DO UPDATE SET boot = excluded.boot, at = excluded.at RETURNING n");
	pg_put_text(&query, name);
	pg_put_text(&query, boot);
	pg_put_number(&query, at);
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*n = ok ? pg_get_number(&cells) : 0;
	*before = 0; /* the clock is the server's, and not asked about */
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

/* --- what others must not do meanwhile --- */

/* The functions are called in the order of the arrays. */
#define STRIPE_CLASS "'position'::regclass::oid::int"

bool postgres_lock_stripes(struct store *store, struct store_stripe stripes[], size_t count, bool wait)
{
	struct pg_query query;

	if (wait)
		pg_query_init(&query, pg_of(store), PG_LOCK_STRIPES, "NN",
			      "SELECT CASE WHEN u.exclusive = 1 THEN pg_advisory_xact_lock(" STRIPE_CLASS
			      ", u.n::int)::text ELSE pg_advisory_xact_lock_shared(" STRIPE_CLASS
			      ", u.n::int)::text END FROM unnest($1, $2) u (n, exclusive)");
	else
		pg_query_init(&query, pg_of(store), PG_TRY_STRIPES, "NN",
			      "SELECT CASE WHEN u.exclusive = 1 THEN pg_try_advisory_xact_lock(" STRIPE_CLASS
			      ", u.n::int) ELSE pg_try_advisory_xact_lock_shared(" STRIPE_CLASS
			      ", u.n::int) END FROM unnest($1, $2) u (n, exclusive)");
	for (size_t i = 0; i < count; i++) {
		pg_put_number(&query, stripes[i].n);
		pg_put_number(&query, stripes[i].exclusive);
	}
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && !wait && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		stripes[i].got = pg_get_number(&cells) != 0;
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_last_hold(struct store *store, int64_t *seq)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_LAST_HOLD, "",
		      "SELECT seq FROM change_log WHERE kind = 4 ORDER BY seq DESC LIMIT 1");
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*seq = ok && query.rows ? pg_get_number(&cells) : 0;
	pg_query_release(&query);
	return ok;
}

bool postgres_count_gateways(struct store *store, int64_t since, int64_t *count)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_COUNT_GATEWAYS, "n",
		      "SELECT count(*) FROM gateway WHERE at >= $1");
	pg_put_number(&query, since);
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*count = ok ? pg_get_number(&cells) : 1;
	pg_query_release(&query);
	return ok;
}

bool postgres_take_role(struct store *store, const char *role, int64_t gateway, int64_t now, int64_t until,
			bool *mine)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_TAKE_ROLE, "tnnn",
		      "INSERT INTO role AS r (name, gateway, until) VALUES ($1, $2, $4) ON CONFLICT (name) "
		      "DO UPDATE "
		      "SET gateway = excluded.gateway, until = excluded.until "
		      "WHERE r.gateway = excluded.gateway OR r.until < $3 RETURNING 1");
	pg_put_text(&query, role);
	pg_put_number(&query, gateway);
	pg_put_number(&query, now);
	pg_put_number(&query, until);
	bool ok = pg_query_run(&query);
	*mine = ok && query.rows > 0;
	pg_query_release(&query);
	return ok;
}
