/* The store on PostgreSQL: one connection, one thread, beside any number of other writers. A transaction that
 * is lost leaves nothing, and the turn runs it again; a commit whose answer was lost is looked for in the
 * table `writer`, never guessed. */
#include "store_postgres_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define COMMIT_UNSURE_MAX (5 * MOMENT_MINUTE)
#define COMMIT_UNSURE_PAUSE_MS 200
#define BEGIN_TEXT_MAX 1024

static struct store_postgres *of(struct store *store)
{
	return (struct store_postgres *)store;
}

/* --- open and close --- */

static void postgres_close(struct store *base)
{
	struct store_postgres *store = of(base);
	char *forget = xasprintf("DELETE FROM writer WHERE id = '%s'", store->writer);

	if (!pg_is_lost(&store->pg) && PQtransactionStatus(store->pg.conn) == PQTRANS_IDLE)
		PQclear(PQexec(store->pg.conn, forget));
	free(forget);
	pg_disconnect(&store->pg);
	free(store->pg.url);
	free(store->months);
	free(store->stale.customers);
	text_release(&store->room);
	free(store);
}

/* The id that was made with the store; whoever comes first makes it. */
static bool load_word(struct store_postgres *store, const char *name, char out[STORE_ID_SIZE])
{
	char *word = NULL;
	bool ok = pg_schema_text(&store->pg, name, &word) &&
		  (word || text_error(store->pg.error, "store: PostgreSQL: the store has no %s", name));

	if (ok && word)
		snprintf(out, STORE_ID_SIZE, "%s", word);
	free(word);
	return ok;
}

/* The id and the key, made when they are first wanted. */
static bool load_id(struct store_postgres *store)
{
	char id[STORE_ID_SIZE], key[STORE_ID_SIZE];

	store_make_id(id);
	store_make_id(key);
	char *make = xasprintf(
		"INSERT INTO meta VALUES ('id', '%s'), ('erasure_key', '%s') ON CONFLICT DO NOTHING; "
		"DELETE FROM writer WHERE seen < now() - interval '1 day'",
		id, key);
	bool ok = pg_exec(&store->pg, make) && load_word(store, "id", store->base.id) &&
		  load_word(store, "erasure_key", store->base.erasure_key);
	free(make);
	return ok;
}

/* So that no turn has to. */
static bool make_months(struct store_postgres *store)
{
	return pg_exec(&store->pg, "BEGIN") && months_ahead(store, moment_now()) &&
	       pg_exec(&store->pg, "COMMIT");
}

static struct store *postgres_open(const char *where, bool migrate, struct text *error, bool *locked)
{
	struct store_postgres *store = xcalloc(1, sizeof *store);
	struct pg *pg = &store->pg;
	struct store_versions *versions = &store->base.versions;

	*locked = false;
	store->base.ops = &store_postgres_ops;
	text_init(&store->base.error, TEXT_ERROR_MAX);
	store->months_stale = true;
	text_init(&store->room, TEXT_ERROR_MAX);
	store_make_id(store->writer);
	*pg = (struct pg){.url = xasprintf("%s:%s", store_postgres_ops.scheme, where),
			  .error = &store->base.error,
			  .contended = &store->base.contended};
	if (pg_connect(pg) && pg_schema_version(pg, &versions->before) && (!migrate || pg_schema_apply(pg)) &&
	    pg_schema_version(pg, &versions->now) && pg_schema_check(pg, versions->now) && load_id(store) &&
	    make_months(store)) {
		versions->known = pg_schema_known();
		return &store->base;
	}
	text_error(error, "%s", store->base.error.data);
	text_release(&store->base.error);
	postgres_close(&store->base);
	return NULL;
}

/* --- transactions --- */

/* The text ends by asking for the time. */
static bool begin_with(struct store_postgres *store, const char *text)
{
	PGresult *result = PQexec(store->pg.conn, text);
	bool ok = PQresultStatus(result) == PGRES_TUPLES_OK || pg_failed(&store->pg, result);

	if (ok)
		store->base.clock_ahead = strtoll(PQgetvalue(result, 0, 0), NULL, 10) - moment_now();
	PQclear(result);
	return ok;
}

static bool postgres_begin(struct store *base)
{
	struct store_postgres *store = of(base);
	struct text text;
	char host[256] = "";

	if (!pg_connect(&store->pg))
		return false;
	gethostname(host, sizeof host - 1);
	host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] = '\0';
	text_init(&text, BEGIN_TEXT_MAX);
	text_addf(&text,
		  "BEGIN; INSERT INTO writer (id, host, process, turn, seen) VALUES ('%s', '%s', %ld, %lld, "
		  "now()) "
		  "ON CONFLICT (id) DO UPDATE SET turn = excluded.turn, seen = excluded.seen; "
		  "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
		  store->writer, host, (long)getpid(), (long long)++store->turn);
	bool ok = begin_with(store, text.data) && months_ahead(store, moment_now());
	text_release(&text);
	if (!ok && !pg_is_lost(&store->pg))
		PQclear(PQexec(store->pg.conn, "ROLLBACK"));
	return ok;
}

/* What became of the last commit. Waits for the old connection, where the server still has it. False: nobody
 * can say yet. */
static bool look_for_commit(struct store_postgres *store, bool *committed)
{
	struct pg_query query;

	if (!pg_connect(&store->pg))
		return false;
	pg_query_init(&query, &store->pg, PG_MARKED, "t", "SELECT turn FROM writer WHERE id = $1 FOR UPDATE");
	pg_put_text(&query, store->writer);
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*committed = ok && query.rows && pg_get_number(&cells) == store->turn;
	pg_query_release(&query);
	return ok;
}

static bool commit_was_lost(struct store_postgres *store)
{
	static const struct timespec pause = {.tv_nsec = COMMIT_UNSURE_PAUSE_MS * 1000000L};
	int64_t until = moment_mono() + COMMIT_UNSURE_MAX;
	char *why = xstrdup(store->base.error.data);
	bool committed = false;

	log_warn("%s; the answer to a commit was lost: looking for what became of it", why);
	while (!look_for_commit(store, &committed)) {
		if (moment_mono() > until) {
			/* going on would be guessing; the next start finds what is there */
			log_error(
				"store: nobody could say for %d s whether the last turn is committed: ending",
				(int)(COMMIT_UNSURE_MAX / MOMENT_S));
			_exit(EXIT_FAILURE);
		}
		nanosleep(&pause, NULL);
	}
	log_info("store: the turn whose answer was lost %s committed", committed ? "is" : "is not");
	text_error(&store->base.error, "%s", why);
	free(why);
	return committed;
}

static bool postgres_commit(struct store *base)
{
	struct store_postgres *store = of(base);
	struct pg *pg = &store->pg;

	if (!pg_beside_write(store))
		return false;
	if (pg_is_lost(pg))
		return pg_failed(pg, NULL); /* it was never asked for */
	PGresult *result = PQexec(pg->conn, "COMMIT");
	bool ok = PQresultStatus(result) == PGRES_COMMAND_OK || pg_failed(pg, result);
	/* a transaction in which a statement failed is rolled back, and that is no error to PostgreSQL */
	if (ok && strcmp(PQcmdStatus(result), "COMMIT") != 0)
		ok = text_error(pg->error, "store: PostgreSQL: the transaction had failed before its commit");
	PQclear(result);
	return ok || (pg_is_lost(pg) && commit_was_lost(store));
}

static void postgres_rollback(struct store *base)
{
	struct store_postgres *store = of(base);

	store->months_stale = true;
	store->stale.count = 0;
	if (pg_is_lost(&store->pg))
		pg_disconnect(&store->pg);
	else if (PQtransactionStatus(store->pg.conn) != PQTRANS_IDLE)
		PQclear(PQexec(store->pg.conn, "ROLLBACK"));
}

static bool postgres_save_point(struct store *base)
{
	return pg_beside_write(of(base)) && pg_exec(&of(base)->pg, "SAVEPOINT part");
}

static bool postgres_end_point(struct store *base, bool keep)
{
	of(base)->months_stale = of(base)->months_stale || !keep;
	return pg_exec(&of(base)->pg, keep ? "RELEASE part" : "ROLLBACK TO part; RELEASE part");
}

/* --- the sum --- */

static bool postgres_count(struct store *base, const struct counters *deltas)
{
	struct pg_query query;

	pg_query_init(&query, &of(base)->pg, PG_COUNT, "nN",
		      "UPDATE position SET admitted = admitted + $1, states = (SELECT "
		      "array_agg(coalesce(u.had, 0) + coalesce(u.more, 0) ORDER BY u.place) FROM "
		      "unnest(states, $2) WITH ORDINALITY u (had, more, place))");
	pg_put_number(&query, deltas->admitted);
	for (int state = 0; state < STATES; state++) {
		query.at = 1;
		pg_put_number(&query, deltas->states[state]);
	}
	return pg_query_done(&query, NULL);
}

static bool postgres_counters(struct store *base, struct counters *out)
{
	return pg_counters(&of(base)->pg, out);
}

const struct store_ops store_postgres_ops = {
	.scheme = "postgresql",
	.open = postgres_open,
	.close = postgres_close,
	.begin = postgres_begin,
	.commit = postgres_commit,
	.rollback = postgres_rollback,
	.save_point = postgres_save_point,
	.end_point = postgres_end_point,
	.find_messages = postgres_find_messages,
	.get_messages = postgres_get_messages,
	.number_messages = postgres_number_messages,
	.add_messages = postgres_add_messages,
	.save_messages = postgres_save_messages,
	.due = postgres_due,
	.next_due = postgres_next_due,
	.waiting = postgres_waiting,
	.expired = postgres_expired,
	.next_expiry = postgres_next_expiry,
	.waited_for = postgres_waited_for,
	.waiting_of_campaign = postgres_waiting_of_campaign,
	.waiting_of = postgres_waiting_of,
	.open_of = postgres_open_of,
	.abandoned = postgres_abandoned,
	.report_gateway = postgres_report_gateway,
	.gateway_name = postgres_gateway_name,
	.number_contacts = postgres_number_contacts,
	.add_contacts = postgres_add_contacts,
	.save_contacts = postgres_save_contacts,
	.get_contacts = postgres_get_contacts,
	.find_contact = postgres_find_contact,
	.last_sent = postgres_last_sent,
	.attempt_of = postgres_attempt_of,
	.read_facts = postgres_read_facts,
	.get_customer = postgres_get_customer,
	.get_preferences = postgres_get_preferences,
	.put_customer = postgres_put_customer,
	.get_customers = postgres_get_customers,
	.get_preferences_of = postgres_get_preferences_of,
	.get_addresses = postgres_get_addresses,
	.number_customers = postgres_number_customers,
	.add_customers = postgres_add_customers,
	.put_preferences = postgres_put_preferences,
	.any_erased = postgres_any_erased,
	.stamp_customer = postgres_stamp_customer,
	.erase_customer = postgres_erase_customer,
	.get_erasing = postgres_get_erasing,
	.end_erasing = postgres_end_erasing,
	.rename_address = postgres_rename_address,
	.get_changes = postgres_get_changes,
	.rewrite_change = postgres_rewrite_change,
	.erase_contacts = postgres_erase_contacts,
	.rewrite_event = postgres_rewrite_event,
	.prune = postgres_prune,
	.clean = postgres_clean,
	.put_preference = postgres_put_preference,
	.set_address_state = postgres_set_address_state,
	.doubts_of = postgres_doubts_of,
	.get_address = postgres_get_address,
	.answered = postgres_answered,
	.customers_of_address = postgres_customers_of_address,
	.keep_receipt = postgres_keep_receipt,
	.find_receipt = postgres_find_receipt,
	.drop_receipt = postgres_drop_receipt,
	.get_receipts = postgres_get_receipts,
	.count_receipts = postgres_count_receipts,
	.put_again = postgres_put_again,
	.drop_again = postgres_drop_again,
	.get_again = postgres_get_again,
	.put_hold = postgres_put_hold,
	.drop_hold = postgres_drop_hold,
	.get_holds = postgres_get_holds,
	.cap_used = postgres_cap_used,
	.count_caps = postgres_count_caps,
	.append_changes = postgres_append_changes,
	.last_choice = postgres_last_choice,
	.put_products = postgres_put_products,
	.put_template = postgres_put_template,
	.add_events = postgres_add_events,
	.get_events = postgres_get_events,
	.drop_events = postgres_drop_events,
	.count = postgres_count,
	.counters = postgres_counters,
	.set_lease = postgres_set_lease,
	.lock_stripes = postgres_lock_stripes,
	.last_hold = postgres_last_hold,
	.count_gateways = postgres_count_gateways,
	.take_role = postgres_take_role,
	.dump = postgres_dump,
	.tables = postgres_tables,
	.columns = postgres_columns,
	.load = postgres_load,
	.load_end = postgres_load_end,
	.reader_open = postgres_reader_open,
	.reader_close = postgres_reader_close,
	.read_log = postgres_read_log,
	.read_last_change = postgres_read_last_change,
	.read_message = postgres_read_message,
	.read_open_of = postgres_read_open_of,
	.read_customer = postgres_read_customer,
	.read_cap_used = postgres_read_cap_used,
	.read_find = postgres_read_find,
	.read_waiting_of = postgres_read_waiting_of,
	.read_customer_id = postgres_read_customer_id,
	.read_holds = postgres_read_holds,
	.read_counters = postgres_read_counters,
	.read_ages = postgres_read_ages,
	.read_size = postgres_read_size,
	.read_changes = postgres_read_changes,
	.audit_contacts = postgres_audit_contacts,
	.audit_changes = postgres_audit_changes,
	.audit_messages = postgres_audit_messages,
	.audit_sum = postgres_audit_sum,
	.read_products = postgres_read_products,
	.read_changes_of_kind = postgres_read_changes_of_kind,
};
