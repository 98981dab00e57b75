/* Erasure and pruning, in slices. What PostgreSQL has deleted stays in its files until it is vacuumed: that
 * is the server's affair (autovacuum), and its archive's. */
#include "store_postgres_private.h"

#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define MONTH_TEXT_MAX 512

static struct store_postgres *of(struct store *store)
{
	return (struct store_postgres *)store;
}

static struct pg *pg_of(struct store *store)
{
	return &of(store)->pg;
}

static bool one_changed(struct store *store, struct pg_query *query, const char *what, int64_t n)
{
	int64_t changed = 0;

	if (!pg_query_done(query, &changed))
		return false;
	return changed == 1 || text_error(&store->error, "store: there is no %s %lld", what, (long long)n);
}

/* --- the customer --- */

bool postgres_erase_customer(struct store *store, int64_t customer, const char *name, int64_t at)
{
	struct pg_query query;

	pg_query_init(
		&query, pg_of(store), PG_ERASE_CUSTOMER, "tnn",
		"UPDATE customer SET erasing = CASE WHEN erased_at = 0 THEN id ELSE erasing END, id = $1, "
		"name = '', locale = '', erased_at = $2, addresses = '' WHERE n = $3");
	pg_put_text(&query, name);
	pg_put_number(&query, at);
	pg_put_number(&query, customer);
	if (!one_changed(store, &query, "customer", customer))
		return false;
	pg_query_init(&query, pg_of(store), PG_DROP_ADDRESSES, "n",
		      "DELETE FROM customer_address WHERE customer = $1");
	pg_put_number(&query, customer);
	return pg_query_done(&query, NULL);
}

bool postgres_get_erasing(struct store *store, int64_t *customer, char **id)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_ERASING, "",
		      "SELECT n, erasing FROM customer WHERE erasing <> '' ORDER BY n LIMIT 1 "
		      "FOR UPDATE SKIP LOCKED");
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		*customer = pg_get_number(&cells);
		*id = pg_get_text(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_end_erasing(struct store *store, int64_t customer)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_END_ERASING, "n",
		      "UPDATE customer SET erasing = '' WHERE n = $1");
	pg_put_number(&query, customer);
	return one_changed(store, &query, "customer", customer);
}

/* Who takes an address locks its row, and so do we: what is seen behind that is not overtaken. */
static bool lock_address(struct store *store, int64_t address)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_LOCK_ADDRESS, "n",
		      "SELECT n FROM address WHERE n = $1 FOR UPDATE");
	pg_put_number(&query, address);
	return one_changed(store, &query, "address", address);
}

bool postgres_rename_address(struct store *store, int64_t address, const char *value)
{
	struct pg_query query;

	if (!lock_address(store, address))
		return false;
	pg_query_init(&query, pg_of(store), PG_RENAME_ADDRESS, "tn",
		      "UPDATE address SET value = $1 WHERE n = $2 AND NOT EXISTS "
		      "(SELECT 1 FROM customer_address l WHERE l.address = $2)");
	pg_put_text(&query, value);
	pg_put_number(&query, address);
	return pg_query_done(&query, NULL);
}

bool postgres_get_changes(struct store *store, int64_t customer, int64_t after, size_t limit,
			  struct change **out, size_t *count)
{
	return pg_read_changes(pg_of(store), customer, after, limit, out, count);
}

bool postgres_rewrite_change(struct store *store, const struct change *change)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_REWRITE_CHANGE, "ttttttn",
		      "UPDATE change_log SET subject = $1, actor = $2, source = $3, evidence = $4, "
		      "old_value = $5, new_value = $6 WHERE seq = $7");
	pg_put_text(&query, change->subject);
	pg_put_text(&query, change->actor);
	pg_put_text(&query, change->source);
	pg_put_text(&query, change->evidence);
	pg_put_text(&query, change->old_value);
	pg_put_text(&query, change->new_value);
	pg_put_number(&query, change->seq);
	return one_changed(store, &query, "change", change->seq);
}

bool postgres_rewrite_event(struct store *store, int64_t seq, const char *json)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_REWRITE_EVENT, "tn",
		      "UPDATE outbox SET json = $1 WHERE seq = $2");
	pg_put_text(&query, json);
	pg_put_number(&query, seq);
	return pg_query_done(&query, NULL);
}

/* --- contacts and messages --- */

/* The messages of these contacts. */
static bool erase_messages(struct store *store, const int64_t contacts[], size_t count)
{
	static const unsigned char nothing[MESSAGE_HASH_SIZE];
	struct pg_query found, saved;

	pg_query_init(
		&found, pg_of(store), PG_ERASED_MESSAGES, "N",
		"SELECT n, reasons FROM message WHERE n IN (SELECT message FROM contact WHERE seq = ANY ($1) "
		"UNION SELECT message FROM contact_message WHERE contact = ANY ($1)) ORDER BY n FOR UPDATE");
	for (size_t i = 0; i < count; i++)
		pg_put_number(&found, contacts[i]);
	pg_query_init(&saved, pg_of(store), PG_ERASE_MESSAGES, "NTB",
		      "UPDATE message m SET body = '', hash = u.hash, reasons = u.reasons "
		      "FROM unnest($1, $2, $3) u (n, reasons, hash) WHERE m.n = u.n");
	bool ok = pg_query_run(&found);
	for (int i = 0; ok && i < found.rows; i++) {
		struct cells cells = pg_cells(&found, i);
		pg_put_number(&saved, pg_get_number(&cells));
		char *reasons = erased_reasons(pg_peek_text(&cells));
		pg_put_text(&saved, reasons);
		pg_put_bytes(&saved, nothing, sizeof nothing);
		free(reasons);
	}
	if (ok && found.rows)
		ok = pg_query_run(&saved);
	pg_query_release(&found);
	pg_query_release(&saved);
	return ok;
}

bool postgres_erase_contacts(struct store *store, int64_t customer, int64_t *after, size_t limit,
			     size_t *count)
{
	struct pg_query found, saved;
	int64_t *seqs = xcalloc(limit, sizeof *seqs);

	pg_query_init(&found, pg_of(store), PG_ERASED_CONTACTS, "nnn",
		      "SELECT seq, at, reason_args FROM contact WHERE customer = $1 AND seq > $2 ORDER BY "
		      "seq LIMIT $3");
	pg_put_number(&found, customer);
	pg_put_number(&found, *after);
	pg_put_number(&found, (int64_t)limit);
	pg_query_init(&saved, pg_of(store), PG_ERASE_CONTACTS, "NNT",
		      "UPDATE contact c SET summary = '', content = '', detail = '', provider_ref = '', "
		      "reason_args = u.args FROM unnest($1, $2, $3) u (seq, at, args) "
		      "WHERE c.seq = u.seq AND c.at = u.at");
	bool ok = pg_query_run(&found);
	for (int i = 0; ok && i < found.rows; i++) {
		struct cells cells = pg_cells(&found, i);
		seqs[(*count)++] = *after = pg_get_number(&cells);
		pg_put_number(&saved, *after);
		pg_put_number(&saved, pg_get_number(&cells));
		char *args = erased_args(pg_peek_text(&cells));
		pg_put_text(&saved, args);
		free(args);
	}
	if (ok && *count)
		ok = pg_query_run(&saved) && erase_messages(store, seqs, *count);
	pg_query_release(&found);
	pg_query_release(&saved);
	free(seqs);
	return ok;
}

/* --- pruning --- */

static bool pruned_get(struct pg *pg, int month, bool gone, int64_t *seq)
{
	struct pg_query query;

	*seq = 0;
	pg_query_init(&query, pg, PG_PRUNED, "nn", "SELECT seq FROM pruned WHERE month = $1 AND gone = $2");
	pg_put_number(&query, month);
	pg_put_number(&query, gone);
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		*seq = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

static bool pruned_set(struct pg *pg, int month, bool gone, int64_t seq)
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_SET_PRUNED, "nnn",
		      "INSERT INTO pruned (month, gone, seq) VALUES ($1, $2, $3) "
		      "ON CONFLICT (month, gone) DO UPDATE SET seq = excluded.seq");
	pg_put_number(&query, month);
	pg_put_number(&query, gone);
	pg_put_number(&query, seq);
	return pg_query_done(&query, NULL);
}

#define ENDED "x.due = 9223372036854775807 AND x.state <> 2"
/* The slice s of a month, and its messages m; parameters: begin, end, after, limit. */
#define SLICE                                                                                     \
	"WITH s AS (SELECT seq, at, message, summary <> '' OR content <> '' AS has FROM contact " \
	"WHERE at >= $1 AND at < $2 AND seq > $3 ORDER BY seq LIMIT $4), "
#define MESSAGES_OF(slice)                                                                               \
	"m AS (SELECT seq, message FROM " slice " WHERE message <> 0 UNION ALL SELECT c.seq, v.message " \
	"FROM " slice " c JOIN contact_message v ON v.contact = c.seq WHERE c.message = 0)"

static void put_slice(struct pg_query *query, int month, int64_t after, size_t limit)
{
	pg_put_number(query, moment_days(month / 100, month % 100, 1) * MOMENT_DAY);
	pg_put_number(query, store_month_end(month));
	pg_put_number(query, after);
	pg_put_number(query, (int64_t)limit);
}

static bool prune_texts(struct pg *pg, int month, int64_t before, size_t limit, struct pruned *out,
			size_t *used)
{
	struct pg_query query;
	int64_t after = 0, looked = 0, last = 0;

	if (!pruned_get(pg, month, false, &after))
		return false;
	/* up to the first that is younger: none is passed over */
	pg_query_init(&query, pg, PG_PRUNE_TEXTS, "nnnnn",
		      SLICE
		      "c AS (SELECT * FROM s WHERE seq < coalesce((SELECT min(seq) FROM s WHERE at >= $5), "
		      "9223372036854775807)), " MESSAGES_OF(
			      "c") ", t AS (UPDATE contact x SET summary = '', "
				   "content = '' FROM c WHERE x.seq = c.seq AND x.at = c.at AND c.has "
				   "RETURNING 1), "
				   "b AS (UPDATE message x SET body = '' FROM m WHERE x.n = m.message AND "
				   "x.contact = m.seq "
				   "AND x.body <> '' AND " ENDED ") "
				   "SELECT (SELECT count(*) FROM c), (SELECT coalesce(max(seq), 0) FROM c), "
				   "(SELECT count(*) FROM t)");
	put_slice(&query, month, after, limit - *used);
	pg_put_number(&query, before);
	bool ok = pg_query_run(&query);
	if (ok) {
		struct cells cells = pg_cells(&query, 0);
		looked = pg_get_number(&cells);
		last = pg_get_number(&cells);
		out->contents += pg_get_number(&cells);
		*used += (size_t)looked;
	}
	pg_query_release(&query);
	return ok && (!looked || pruned_set(pg, month, false, last));
}

static bool count_pruned(struct pg *pg, const int64_t states[STATES])
{
	struct pg_query query;

	pg_query_init(
		&query, pg, PG_COUNT_PRUNED, "N",
		"UPDATE position SET pruned = (SELECT array_agg(coalesce(u.had, 0) + coalesce(u.more, 0) "
		"ORDER BY u.place) FROM unnest(pruned, $1) WITH ORDINALITY u (had, more, place))");
	for (int state = 0; state < STATES; state++)
		pg_put_number(&query, states[state]);
	return pg_query_done(&query, NULL);
}

static bool month_drop(struct store_postgres *store, int month)
{
	struct text text;

	text_init(&text, MONTH_TEXT_MAX);
	text_addf(&text, "DROP TABLE contact_%06d; DELETE FROM pruned WHERE month = %d", month, month);
	bool ok = pg_exec(&store->pg, text.data);
	text_release(&text);
	store->months_stale = true;
	return ok;
}

/* The messages of a whole month, in slices; then the month. */
static bool prune_month(struct store_postgres *store, int month, size_t limit, struct pruned *out,
			size_t *used)
{
	struct pg *pg = &store->pg;
	struct pg_query query;
	int64_t after = 0, last = 0, got = 0, states[STATES] = {0};

	if (!pruned_get(pg, month, true, &after))
		return false;
	pg_query_init(
		&query, pg, PG_PRUNE_MESSAGES, "nnnn",
		SLICE MESSAGES_OF(
			"s") ", gone AS (DELETE FROM message x USING m WHERE x.n = m.message AND "
			     "x.contact = m.seq AND " ENDED " RETURNING x.state), "
			     "stays AS (UPDATE message x SET contact = 0 FROM m WHERE x.n = m.message AND "
			     "x.contact = m.seq AND NOT (" ENDED ")), "
			     "v AS (DELETE FROM contact_message d USING s WHERE d.contact = s.seq AND "
			     "s.message = 0) "
			     "SELECT -1, count(*), coalesce(max(seq), 0) FROM s UNION ALL "
			     "SELECT state, count(*), 0 FROM gone GROUP BY state");
	size_t room = limit - *used;
	put_slice(&query, month, after, room);
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		int64_t state = pg_get_number(&cells), count = pg_get_number(&cells);
		if (state < 0) {
			got = count;
			last = pg_get_number(&cells);
		} else if (state < STATES) {
			states[state] = count;
			out->messages += count;
		}
	}
	pg_query_release(&query);
	out->contacts += got;
	*used += (size_t)got;
	ok = ok && (!got || count_pruned(pg, states));
	if (ok && got < (int64_t)room)
		return month_drop(store, month);
	return ok && pruned_set(pg, month, true, last);
}

bool postgres_prune(struct store *base, const struct prune *prune, size_t limit, struct pruned *out,
		    bool *more)
{
	struct store_postgres *store = of(base);
	struct pg_query query;
	size_t used = 0;

	pg_query_init(
		&query, &store->pg, PG_PRUNE_MONTHS, "",
		"SELECT right(c.relname, 6)::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
		"WHERE i.inhparent = 'contact'::regclass AND c.relname ~ '^contact_[0-9]{6}$' ORDER BY 1");
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && used < limit && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		int month = (int)pg_get_number(&cells);
		if (store_month_end(month) <= prune->contacts)
			ok = prune_month(store, month, limit, out, &used);
		else if (moment_days(month / 100, month % 100, 1) * MOMENT_DAY < prune->contents)
			ok = prune_texts(&store->pg, month, prune->contents, limit, out, &used);
	}
	pg_query_release(&query);
	*more = used >= limit;
	return ok;
}

bool postgres_clean(struct store *store, bool *done)
{
	(void)store;
	*done = true;
	return true;
}
