/* The connection: made as the URL and libpq's own settings say (host, TLS, passwords: sslmode, ~/.pgpass,
 * PGSSLROOTCERT, …), and made again after it was lost. */
#include "store_postgres_private.h"

#include <string.h>

#include "moment.h"
#include "banned.h"

/* Of a process that was stopped in the middle: so long others may wait for what it has locked. */
#define IDLE_MAX_MS 5000
#define LIMITS_TEXT_MAX 512

/* Rows are found by their indexes, whatever the statistics of a young table say. We keep the copy beside a
 * customer (config/schema/postgres/042-beside-others.sql). */
static const char settings[] =
	"SET client_encoding = 'UTF8'; SET synchronous_commit = on; "
	"SET default_transaction_isolation = 'read committed'; SET enable_seqscan = off; "
	"SET plan_cache_mode = force_generic_plan; SET jit = off; "
	"SET client_min_messages = warning; SET bytea_output = hex; SET heed.beside = 'kept'";

static void quiet(void *context, const char *message)
{
	(void)context;
	(void)message;
}

static bool is_utf8_server(struct pg *pg)
{
	const char *encoding = PQparameterStatus(pg->conn, "server_encoding");

	return (encoding && strcmp(encoding, "UTF8") == 0) ||
	       text_error(pg->error, "store: PostgreSQL: the database is kept in %s; one in UTF8 is wanted",
			  encoding ? encoding : "?");
}

bool pg_connect(struct pg *pg)
{
	/* what stands in the URL counts more */
	const char *const words[] = {"connect_timeout",
				     "keepalives_idle",
				     "keepalives_interval",
				     "keepalives_count",
				     "tcp_user_timeout",
				     "fallback_application_name",
				     "dbname",
				     NULL};
	const char *const values[] = {PG_CONNECT_SECONDS, "10", "5", "3", PG_STALL_MS, "heed", pg->url, NULL};

	if (!pg_is_lost(pg))
		return true;
	pg_disconnect(pg);
	pg->conn = PQconnectdbParams(words, values, 1);
	bool ok = PQstatus(pg->conn) == CONNECTION_OK || pg_failed(pg, NULL);
	if (ok)
		PQsetNoticeProcessor(pg->conn, quiet, NULL);
	ok = ok && is_utf8_server(pg) && pg_exec(pg, settings) &&
	     (!pg->reads_only || pg_exec(pg, "SET default_transaction_read_only = on"));
	ok = ok && (pg->reads_only || pg_limit(pg));
	if (!ok)
		pg_disconnect(pg);
	return ok;
}

bool pg_limit(struct pg *pg)
{
	int64_t lease = (pg->lease ? pg->lease : PG_LEASE) / MOMENT_MS;
	int64_t idle = lease / 3 < IDLE_MAX_MS ? lease / 3 : IDLE_MAX_MS;
	struct text text;

	text_init(&text, LIMITS_TEXT_MAX);
	text_addf(&text,
		  "SET idle_in_transaction_session_timeout = %lld; SET statement_timeout = %lld; "
		  "SET lock_timeout = %d",
		  (long long)idle, (long long)(lease * 2 / 3), PG_LOCK_WAIT_MS);
	bool ok = pg_exec(pg, text.data);
	text_release(&text);
	return ok;
}

void pg_disconnect(struct pg *pg)
{
	PQfinish(pg->conn);
	pg->conn = NULL;
	pg->named = false;
	memset(pg->prepared, 0, sizeof pg->prepared);
}
