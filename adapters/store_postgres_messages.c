/* The writer's messages, what they wait for, and the outbox. A row that is read here is locked until the end
 * of the transaction, so that it can be written as it was read; outside a transaction for that one statement.
 */
#include "store_postgres_private.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

static struct pg *pg_of(struct store *store)
{
	return &((struct store_postgres *)store)->pg;
}

#define LOCKED " FOR UPDATE OF m"
#define LOCKED_BY_NOBODY " FOR UPDATE OF m SKIP LOCKED"

/* --- by name and number --- */

/* Each row begins with its place in `out`. */
static bool take_placed(struct pg_query *query, size_t count, struct message_row out[])
{
	memset(out, 0, count * sizeof *out);
	bool ok = pg_query_run(query);
	for (int i = 0; ok && i < query->rows; i++) {
		struct cells cells = pg_cells(query, i);
		int64_t place = pg_get_number(&cells);
		pg_read_message(&cells, &out[place]);
	}
	pg_query_release(query);
	return ok;
}

bool postgres_find_messages(struct store *store, const char *const ids[], size_t count,
			    struct message_row out[])
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_FIND_MESSAGES, "NT",
		      "SELECT u.place, " MESSAGE_COLUMNS
		      " FROM unnest($1, $2) u (place, id) JOIN message m ON m.id = u.id" MESSAGE_CUSTOMER
		      "ORDER BY m.n" LOCKED);
	for (size_t i = 0; i < count; i++) {
		pg_put_number(&query, (int64_t)i);
		pg_put_text(&query, ids[i]);
	}
	return take_placed(&query, count, out);
}

bool postgres_get_messages(struct store *store, const int64_t n[], size_t count, struct message_row out[])
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_GET_MESSAGES, "NN",
		      "SELECT u.place, " MESSAGE_COLUMNS
		      " FROM unnest($1, $2) u (place, n) JOIN message m ON m.n = u.n" MESSAGE_CUSTOMER
		      "ORDER BY m.n" LOCKED);
	for (size_t i = 0; i < count; i++) {
		pg_put_number(&query, (int64_t)i);
		pg_put_number(&query, n[i]);
	}
	return take_placed(&query, count, out);
}

/* --- writing --- */

bool postgres_number_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_NUMBER_MESSAGES, "n",
		      "SELECT nextval('message_n') FROM generate_series(1, $1)");
	pg_put_number(&query, (int64_t)count);
	bool ok = pg_query_run(&query);
	for (size_t i = 0; ok && i < count; i++) {
		struct cells cells = pg_cells(&query, (int)i);
		rows[i]->n = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

/* In the order of CHANGING. */
static void put_changing(struct pg_query *query, const struct message_row *row)
{
	pg_put_number(query, row->lane);
	pg_put_number(query, row->state);
	pg_put_text(query, row->waits_for);
	pg_put_number(query, row->due);
	pg_put_number(query, row->attempts);
	pg_put_number(query, row->tries);
	pg_put_number(query, row->epoch);
	pg_put_number(query, row->lease);
	pg_put_number(query, row->gateway);
	pg_put_number(query, row->give_up_at);
	pg_put_number(query, row->fault_since);
	pg_put_text(query, row->rejected);
	pg_put_text(query, row->waited);
	pg_put_text(query, row->wait_channel);
	pg_put_number(query, row->wait_since);
	pg_put_number(query, row->wait_until);
	pg_put_number(query, row->best);
	pg_put_text(query, row->counted);
	pg_put_text(query, row->channel);
	pg_put_number(query, row->contact);
	pg_put_text(query, row->reasons);
	pg_put_number(query, row->n);
}

#define CHANGING                                                                                         \
	"lane, state, waits_for, due, attempts, tries, epoch, lease, gateway, give_up_at, fault_since, " \
	"rejected, waited, wait_channel, wait_since, wait_until, best, counted, channel, contact, reasons"
#define CHANGING_KINDS "NNTNNNNNNNNTTTNNNTTNT"
#define CHANGING_PARAMETERS \
	"$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21"

static int by_id(const void *a, const void *b)
{
	const struct message_row *const *left = a, *const *right = b;

	return strcmp((*left)->id, (*right)->id);
}

/* In the order of their ids: two gateways that admit the same ones do not wait for each other in a circle. */
bool postgres_add_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	struct pg_query query;
	struct message_row **sorted = xcalloc(count, sizeof *sorted);

	for (size_t i = 0; i < count; i++)
		sorted[i] = rows[i];
	qsort(sorted, count, sizeof *sorted, by_id);
	pg_query_init(
		&query, pg_of(store), PG_ADD_MESSAGES, CHANGING_KINDS "NTBNTTTNNNNT",
		"INSERT INTO message (" CHANGING ", n, id, hash, customer, product, template, campaign, "
		"purpose, admitted_at, send_at, expires_at, body) SELECT * FROM unnest(" CHANGING_PARAMETERS
		", $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)");
	for (size_t i = 0; i < count; i++) {
		struct message_row *row = sorted[i];
		put_changing(&query, row);
		pg_put_text(&query, row->id);
		pg_put_bytes(&query, row->hash, MESSAGE_HASH_SIZE);
		pg_put_number(&query, row->customer);
		pg_put_text(&query, row->product);
		pg_put_text(&query, row->template);
		pg_put_text(&query, row->campaign);
		pg_put_number(&query, row->purpose);
		pg_put_number(&query, row->admitted_at);
		pg_put_number(&query, row->send_at);
		pg_put_number(&query, row->expires_at);
		pg_put_text(&query, row->body);
		message_row_keep(row);
	}
	free(sorted);
	return pg_query_done(&query, NULL);
}

bool postgres_save_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	struct pg_query query;
	int64_t saved = 0;

	pg_query_init(
		&query, pg_of(store), PG_SAVE_MESSAGES, CHANGING_KINDS "NN",
		"UPDATE message m SET (" CHANGING ") = (u.lane, u.state, u.waits_for, u.due, u.attempts, "
		"u.tries, u.epoch, u.lease, u.gateway, u.give_up_at, u.fault_since, u.rejected, u.waited, "
		"u.wait_channel, u.wait_since, u.wait_until, u.best, u.counted, u.channel, u.contact, "
		"u.reasons) FROM unnest(" CHANGING_PARAMETERS ", $22, $23) u (" CHANGING ", n, was) "
		"WHERE m.n = u.n AND m.epoch = u.was");
	for (size_t i = 0; i < count; i++) {
		put_changing(&query, rows[i]);
		pg_put_number(&query, rows[i]->kept.epoch);
		message_row_keep(rows[i]);
	}
	if (!pg_query_done(&query, &saved))
		return false;
	store->contended = saved != (int64_t)count;
	return saved == (int64_t)count ||
	       text_error(
		       &store->error,
		       "store: of %zu messages only %lld are there, or were not claimed by another meanwhile",
		       count, (long long)saved);
}

/* --- what waits --- */

#define MESSAGES "SELECT " MESSAGE_COLUMNS " FROM message m" MESSAGE_CUSTOMER

bool postgres_due(struct store *store, const char *waits_for, enum lane lane, int64_t now, size_t limit,
		  struct message_rows *out)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_DUE, "tnnn",
		      MESSAGES "WHERE m.waits_for = $1 AND m.lane = $2 AND m.due <= $3 AND " PG_WAITS
			       " ORDER BY m.due, m.n LIMIT $4" LOCKED_BY_NOBODY);
	pg_put_text(&query, waits_for);
	pg_put_number(&query, lane);
	pg_put_number(&query, now < MOMENT_NEVER ? now : MOMENT_NEVER - 1);
	pg_put_number(&query, (int64_t)limit);
	return pg_append_messages(&query, out);
}

/* The one number of a query's first row, or what it was. */
static bool take_number(struct pg_query *query, int64_t *number)
{
	bool ok = pg_query_run(query);

	if (ok && query->rows && !PQgetisnull(query->result, 0, 0)) {
		struct cells cells = pg_cells(query, 0);
		*number = pg_get_number(&cells);
	}
	pg_query_release(query);
	return ok;
}

bool postgres_next_due(struct store *store, const char *waits_for, int64_t *due)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_NEXT_DUE, "t",
		      "SELECT min(first.due) FROM (VALUES (0), (1), (2)) l (lane) CROSS JOIN LATERAL "
		      "(SELECT m.due FROM message m WHERE m.waits_for = $1 AND m.lane = l.lane AND " PG_WAITS
		      " ORDER BY m.due, m.n LIMIT 1) first");
	pg_put_text(&query, waits_for);
	return take_number(&query, due);
}

bool postgres_waiting(struct store *store, const char *waits_for, struct waiting_at *after, size_t limit,
		      struct message_rows *out)
{
	struct pg_query query;
	size_t start = out->count;

	pg_query_init(&query, pg_of(store), PG_WAITING, "tnnnn",
		      MESSAGES "WHERE m.waits_for = $1 AND (m.lane, m.due, m.n) > ($2, $3, $4) AND " PG_WAITS
			       " ORDER BY m.lane, m.due, m.n LIMIT $5" LOCKED);
	pg_put_text(&query, waits_for);
	pg_put_number(&query, after->lane);
	pg_put_number(&query, after->due);
	pg_put_number(&query, after->n);
	pg_put_number(&query, (int64_t)limit);
	bool ok = pg_append_messages(&query, out);
	if (ok && out->count > start) {
		const struct message_row *last = &out->rows[out->count - 1];
		*after = (struct waiting_at){.lane = last->lane, .due = last->due, .n = last->n};
	}
	return ok;
}

bool postgres_expired(struct store *store, int64_t now, size_t limit, struct message_rows *out)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_EXPIRED, "nn",
		      MESSAGES "WHERE m.expires_at > 0 AND m.expires_at <= $1 AND " PG_WAITS
			       " ORDER BY m.expires_at LIMIT $2" LOCKED_BY_NOBODY);
	pg_put_number(&query, now);
	pg_put_number(&query, (int64_t)limit);
	return pg_append_messages(&query, out);
}

bool postgres_next_expiry(struct store *store, int64_t *at)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_NEXT_EXPIRY, "",
		      "SELECT m.expires_at FROM message m WHERE m.expires_at > 0 AND " PG_WAITS
		      " ORDER BY m.expires_at LIMIT 1");
	return take_number(&query, at);
}

bool postgres_waited_for(struct store *store, char ***names, size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_WAITED_FOR, "",
		      PG_NAMES "SELECT it FROM name WHERE it IS NOT NULL");
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*names = xreallocarray(NULL, (size_t)query.rows, sizeof **names);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		(*names)[(*count)++] = pg_get_text(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_waiting_of_campaign(struct store *store, const char *campaign, int64_t after, size_t limit,
				  struct message_rows *out)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_WAITING_OF_CAMPAIGN, "tnn",
		      MESSAGES "WHERE m.campaign = $1 AND m.campaign <> '' AND " PG_WAITS
			       " AND m.n > $2 ORDER BY m.n LIMIT $3" LOCKED);
	pg_put_text(&query, campaign);
	pg_put_number(&query, after);
	pg_put_number(&query, (int64_t)limit);
	return pg_append_messages(&query, out);
}

bool postgres_waiting_of(struct store *store, int64_t customer, int64_t after, size_t limit,
			 struct message_rows *out)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_WAITING_OF, "nnn",
		      MESSAGES "WHERE m.customer = $1 AND m.n > $2 AND " PG_WAITS
			       " ORDER BY m.n LIMIT $3" LOCKED_BY_NOBODY);
	pg_put_number(&query, customer);
	pg_put_number(&query, after);
	pg_put_number(&query, (int64_t)limit);
	return pg_append_messages(&query, out);
}

/* Only to be named: those that are sending are their gateway's, and not waited for. */
bool postgres_open_of(struct store *store, int64_t customer, struct message_rows *out)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_OPEN_OF, "n",
		      MESSAGES "WHERE m.customer = $1 AND m.state IN (2, 5) ORDER BY m.n");
	pg_put_number(&query, customer);
	return pg_append_messages(&query, out);
}

/* --- the outbox --- */

/* Numbered under the lock of the position: in the order of the commits. */
bool postgres_add_events(struct store *store, struct event_row *const events[], size_t count)
{
	struct pg_query query;

	pg_query_init(
		&query, pg_of(store), PG_ADD_EVENTS, "nTN",
		"WITH p AS (UPDATE position SET event = event + $1 RETURNING event - $1 AS base), "
		"added AS (INSERT INTO outbox (seq, json, stream) SELECT p.base + u.place, u.json, u.stream "
		"FROM p, unnest($2, $3) WITH ORDINALITY u (json, stream, place)) SELECT base FROM p");
	pg_put_number(&query, (int64_t)count);
	for (size_t i = 0; i < count; i++) {
		query.at = 1;
		pg_put_text(&query, events[i]->json);
		pg_put_number(&query, events[i]->stream);
	}
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	int64_t base = ok ? pg_get_number(&cells) : 0;
	for (size_t i = 0; ok && i < count; i++)
		events[i]->seq = base + (int64_t)i + 1;
	pg_query_release(&query);
	return ok;
}

bool postgres_get_events(struct store *store, int64_t after, size_t limit, struct event_row **out,
			 size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_EVENTS, "nn",
		      "SELECT seq, json, stream FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2");
	pg_put_number(&query, after);
	pg_put_number(&query, (int64_t)limit);
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*out = xreallocarray(*out, *count + (size_t)query.rows, sizeof **out);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		struct event_row *event = &(*out)[(*count)++];
		event->seq = pg_get_number(&cells);
		event->json = pg_get_text(&cells);
		event->stream = (enum event_stream)pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_drop_events(struct store *store, int64_t up_to)
{
	struct pg_query query;

	pg_query_init(&query, pg_of(store), PG_DROP_EVENTS, "n", "DELETE FROM outbox WHERE seq <= $1");
	pg_put_number(&query, up_to);
	return pg_query_done(&query, NULL);
}
