/* Readers: each its own connection, which only reads. Each call sees one commit. */
#include "store_postgres_private.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define LOG_TEXT_MAX 8192

struct reader {
	struct store_reader base;
	struct pg pg;
};

struct pg *postgres_reader_pg(struct store_reader *reader)
{
	struct pg *pg = &((struct reader *)reader)->pg;

	pg_connect(pg);
	return pg;
}

void postgres_reader_close(struct store_reader *base)
{
	struct reader *reader = (struct reader *)base;

	pg_disconnect(&reader->pg);
	free(reader->pg.url);
	free(reader);
}

struct store_reader *postgres_reader_open(const char *where, struct text *error)
{
	struct reader *reader = xcalloc(1, sizeof *reader);
	struct pg *pg = &reader->pg;
	int version = 0;

	reader->base.ops = &store_postgres_ops;
	text_init(&reader->base.error, TEXT_ERROR_MAX);
	*pg = (struct pg){.url = xasprintf("%s:%s", store_postgres_ops.scheme, where),
			  .reads_only = true,
			  .error = &reader->base.error};
	if (pg_connect(pg) && pg_schema_version(pg, &version) && pg_schema_check(pg, version))
		return &reader->base;
	text_error(error, "%s", reader->base.error.data);
	text_release(&reader->base.error);
	postgres_reader_close(&reader->base);
	return NULL;
}

bool pg_begin_reading(struct pg *pg)
{
	pg->reading = pg_exec(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ");
	return pg->reading;
}

void pg_end_reading(struct pg *pg)
{
	pg->reading = false;
	if (!pg_is_lost(pg))
		PQclear(PQexec(pg->conn, "COMMIT"));
}

/* --- the log --- */

struct log_names {
	int64_t customer, message; /* n; 0: any */
	bool nothing;              /* nobody has that name */
};

static bool find_names(struct pg *pg, const struct log_query *query, struct log_names *out)
{
	struct customer *customer = NULL;
	struct pg_query message;
	bool ok = true;

	*out = (struct log_names){0};
	if (query->customer) {
		ok = pg_get_customer(pg, query->customer, &customer);
		out->customer = customer ? customer->n : 0;
		out->nothing = !customer;
		customer_free(customer);
	}
	if (!ok || !query->message)
		return ok;
	pg_query_init(&message, pg, PG_PLAIN, "t", "SELECT n FROM message WHERE id = $1");
	pg_put_text(&message, query->message);
	ok = pg_query_run(&message);
	struct cells cells = pg_cells(&message, 0);
	out->message = ok && message.rows ? pg_get_number(&cells) : 0;
	out->nothing = out->nothing || !out->message;
	pg_query_release(&message);
	return ok;
}

/* The conditions: $1 customer, $2 message, $3 product, $4 channel, $5 state, $6 since, $7 after, $8 before,
 * $9 limit, $10 products; each parameter is in the text, wanted or not. */
static void write_query(struct text *out, const struct log_query *query, const struct log_names *names,
			bool down)
{
	const char *key = query->by_change ? "changed" : "seq";

	text_puts(out,
		  "SELECT " CONTACT_COLUMNS
		  ", coalesce(k.id, ''), coalesce(a.value, ''), coalesce(m.id, ''), "
		  "coalesce(m.body, '') FROM (SELECT * FROM contact c WHERE ($1, $2, $5, $6, $7, $8) IS NOT "
		  "NULL AND ($3, $4, $10) IS NOT NULL");
	if (names->customer)
		text_puts(out, " AND c.customer = $1");
	if (names->message)
		text_puts(out, " AND (c.message = $2 OR c.seq IN (SELECT contact FROM contact_message WHERE "
			       "message = $2))");
	if (query->product)
		text_puts(out, " AND (c.product = $3 OR starts_with(c.product, $3 || '/'))");
	if (query->products) /* its own name, or that of the one it is a part of */
		text_puts(out, " AND (strpos($10, ',' || c.product || ',') > 0 OR strpos($10, ',' || "
			       "split_part(c.product, '/', 1) || ',') > 0)");
	if (query->channel)
		text_puts(out, " AND c.channel = $4");
	if (query->has_state)
		text_puts(out, " AND c.state = $5");
	if (query->captured)
		text_puts(out, " AND c.captured <> 0");
	if (query->since)
		text_puts(out, " AND c.at >= $6");
	if (query->after)
		text_puts(out, " AND c.changed > $7");
	if (query->before)
		text_puts(out, " AND c.seq < $8");
	text_addf(out,
		  " ORDER BY c.%s%s LIMIT $9) c LEFT JOIN customer k ON k.n = c.customer LEFT JOIN address a "
		  "ON "
		  "a.n = c.address LEFT JOIN message m ON m.n = c.message ORDER BY c.%s%s",
		  key, down ? " DESC" : "", key, down ? " DESC" : "");
}

static void add_id(struct contact *contact, char *id)
{
	contact->message_ids =
		xreallocarray(contact->message_ids, contact->message_count + 1, sizeof *contact->message_ids);
	contact->message_ids[contact->message_count++] = id;
}

static void read_log_row(struct cells *cells, struct contact *out)
{
	*out = (struct contact){0};
	pg_read_contact(cells, out);
	out->customer_id = pg_get_text(cells);
	out->address_value = pg_get_text(cells);
	char *id = pg_get_text(cells);
	out->meta = store_body_meta(pg_peek_text(cells));
	if (*id)
		add_id(out, id);
	else
		free(id);
}

static struct contact *contact_by_seq(struct contact list[], size_t count, int64_t seq)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].seq == seq)
			return &list[i];
	return NULL;
}

/* The messages of the contacts that have several, and the meta of the first. */
static bool read_several(struct pg *pg, struct contact list[], size_t count)
{
	struct pg_query query;
	bool any = false;

	pg_query_init(
		&query, pg, PG_SEVERAL_NAMES, "N",
		"SELECT c.contact, m.id, m.body FROM contact_message c JOIN message m ON m.n = c.message "
		"WHERE c.contact = ANY ($1) ORDER BY c.contact, c.message");
	for (size_t i = 0; i < count; i++)
		if (!list[i].message) {
			pg_put_number(&query, list[i].seq);
			any = true;
		}
	bool ok = !any || pg_query_run(&query);
	for (int r = 0; any && ok && r < query.rows; r++) {
		struct cells cells = pg_cells(&query, r);
		struct contact *contact = contact_by_seq(list, count, pg_get_number(&cells));
		add_id(contact, pg_get_text(&cells));
		if (contact->message_count == 1) {
			free(contact->meta);
			contact->meta = store_body_meta(pg_peek_text(&cells));
		}
	}
	pg_query_release(&query);
	return ok;
}

static bool read_log(struct pg *pg, const struct log_query *query, const struct log_names *names,
		     struct contact **out, size_t *count)
{
	bool tail = log_query_is_tail(query), down = query->newest_first || tail;
	struct pg_query rows;
	struct text text;

	text_init(&text, LOG_TEXT_MAX);
	write_query(&text, query, names, down);
	pg_query_init(&rows, pg, PG_PLAIN, "nnttnnnnnt", text.data);
	pg_put_number(&rows, names->customer);
	pg_put_number(&rows, names->message);
	pg_put_text(&rows, query->product ? query->product : "");
	pg_put_text(&rows, query->channel ? query->channel : "");
	pg_put_number(&rows, query->state);
	pg_put_number(&rows, query->since);
	pg_put_number(&rows, query->after);
	pg_put_number(&rows, query->before);
	pg_put_number(&rows, (int64_t)query->limit);
	pg_put_text(&rows, query->products ? query->products : "");
	bool ok = pg_query_run(&rows);
	if (ok && rows.rows)
		*out = xreallocarray(NULL, (size_t)rows.rows, sizeof **out);
	for (int i = 0; ok && i < rows.rows; i++) {
		struct cells cells = pg_cells(&rows, tail ? rows.rows - 1 - i : i);
		read_log_row(&cells, &(*out)[(*count)++]);
	}
	pg_query_release(&rows);
	text_release(&text);
	return ok && read_several(pg, *out, *count);
}

bool postgres_read_log(struct store_reader *reader, const struct log_query *query, struct contact **out,
		       size_t *count)
{
	struct pg *pg = postgres_reader_pg(reader);
	struct log_names names = {0};

	if (!pg_begin_reading(pg))
		return false;
	bool ok = find_names(pg, query, &names) && (names.nothing || read_log(pg, query, &names, out, count));
	pg_end_reading(pg);
	return ok;
}

bool postgres_read_last_change(struct store_reader *reader, int64_t *changed)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_LAST_CHANGE, "", "SELECT changed FROM position");
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*changed = ok && query.rows ? pg_get_number(&cells) : 0;
	pg_query_release(&query);
	return ok;
}

/* --- the rest --- */

bool postgres_read_message(struct store_reader *reader, const char *id, struct message_row *out)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_READ_MESSAGE, "t",
		      "SELECT " MESSAGE_COLUMNS " FROM message m" MESSAGE_CUSTOMER "WHERE m.id = $1");
	pg_put_text(&query, id);
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		pg_read_message(&cells, out);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_read_open_of(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			   struct message_rows *out)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_READ_OPEN_OF, "nnn",
		      "SELECT " MESSAGE_COLUMNS
		      " FROM (SELECT n FROM message m WHERE customer = $1 AND n > $2 AND " PG_WAITS
		      " UNION SELECT n FROM message WHERE customer = $1 AND n > $2 AND state IN (2, 5) "
		      "ORDER BY 1 LIMIT $3) o JOIN message m ON m.n = o.n" MESSAGE_CUSTOMER "ORDER BY m.n");
	pg_put_number(&query, customer);
	pg_put_number(&query, after);
	pg_put_number(&query, (int64_t)limit);
	return pg_append_messages(&query, out);
}

bool postgres_read_customer(struct store_reader *reader, const char *id, struct customer **out,
			    struct preference **preferences, size_t *count)
{
	struct pg *pg = postgres_reader_pg(reader);

	if (!pg_begin_reading(pg))
		return false;
	bool ok = pg_get_customer(pg, id, out) &&
		  (!*out || pg_get_preferences(pg, (*out)->n, preferences, count));
	pg_end_reading(pg);
	return ok;
}

bool postgres_read_cap_used(struct store_reader *reader, int64_t customer, const char *name, int64_t *used)
{
	return pg_cap_used(postgres_reader_pg(reader), customer, name, used);
}

bool postgres_read_find(struct store_reader *reader, const char *address, char ***ids, size_t *count)
{
	struct pg_query query;

	pg_query_init(
		&query, postgres_reader_pg(reader), PG_FIND, "t",
		"SELECT k.id FROM address a JOIN customer_address l ON l.address = a.n "
		"JOIN customer k ON k.n = l.customer WHERE a.value = $1 GROUP BY k.n, k.id ORDER BY k.n");
	pg_put_text(&query, address);
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*ids = xreallocarray(NULL, (size_t)query.rows, sizeof **ids);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		(*ids)[(*count)++] = pg_get_text(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_read_waiting_of(struct store_reader *reader, int64_t customer, size_t limit,
			      struct message_rows *out)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_READ_WAITING_OF, "nn",
		      "SELECT " MESSAGE_COLUMNS " FROM message m" MESSAGE_CUSTOMER
		      "WHERE m.customer = $1 AND " PG_WAITS " ORDER BY m.n LIMIT $2");
	pg_put_number(&query, customer);
	pg_put_number(&query, (int64_t)limit);
	return pg_append_messages(&query, out);
}

bool postgres_read_customer_id(struct store_reader *reader, int64_t customer, char **id)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_CUSTOMER_ID, "n",
		      "SELECT id FROM customer WHERE n = $1");
	pg_put_number(&query, customer);
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		*id = pg_get_text(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_read_holds(struct store_reader *reader, struct hold **out, size_t *count)
{
	return pg_get_holds(postgres_reader_pg(reader), out, count);
}

bool postgres_read_counters(struct store_reader *reader, struct counters *out)
{
	return pg_counters(postgres_reader_pg(reader), out);
}

/* n rises with time: the lowest n that waits is the oldest. */
bool postgres_read_ages(struct store_reader *reader, int64_t oldest[LANES])
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_AGES, "",
		      PG_NAMES
		      "SELECT l.lane, min(first.admitted_at) FROM name CROSS JOIN "
		      "(VALUES (0), (1), (2)) l (lane) CROSS JOIN LATERAL (SELECT m.admitted_at FROM "
		      "message m WHERE m.waits_for = it AND m.lane = l.lane AND " PG_WAITS
		      " ORDER BY m.n LIMIT 1) first WHERE it IS NOT NULL GROUP BY l.lane");
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		int64_t lane = pg_get_number(&cells);
		oldest[lane] = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

/* The tables and indexes of our schema: the database may be others' too. */
bool postgres_read_size(struct store_reader *reader, int64_t *bytes)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_SIZE, "",
		      "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
		      "WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace");
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		*bytes = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

#define CHANGE_COLUMNS                                                                                      \
	"SELECT seq, kind, at, given_at, customer, address, subject, changed_by, actor, source, evidence, " \
	"old_value, new_value FROM change_log "

static bool take_changes(struct pg_query *query, struct change **out, size_t *count)
{
	bool ok = pg_query_run(query);
	if (ok && query->rows)
		*out = xreallocarray(*out, *count + (size_t)query->rows, sizeof **out);
	for (int i = 0; ok && i < query->rows; i++) {
		struct cells cells = pg_cells(query, i);
		struct change *change = &(*out)[(*count)++];
		change->seq = pg_get_number(&cells);
		change->kind = (enum change_kind)pg_get_number(&cells);
		change->at = pg_get_number(&cells);
		change->given_at = pg_get_number(&cells);
		change->customer = pg_get_number(&cells);
		change->address = pg_get_number(&cells);
		change->subject = pg_get_text(&cells);
		change->by = pg_get_text(&cells);
		change->actor = pg_get_text(&cells);
		change->source = pg_get_text(&cells);
		change->evidence = pg_get_text(&cells);
		change->old_value = pg_get_text(&cells);
		change->new_value = pg_get_text(&cells);
	}
	pg_query_release(query);
	return ok;
}

bool pg_read_changes(struct pg *pg, int64_t customer, int64_t after, size_t limit, struct change **out,
		     size_t *count)
{
	struct pg_query query;

	if (customer)
		pg_query_init(&query, pg, PG_CHANGES_OF, "nnn",
			      CHANGE_COLUMNS "WHERE seq > $1 AND customer = $3 ORDER BY seq LIMIT $2");
	else
		pg_query_init(&query, pg, PG_CHANGES, "nn",
			      CHANGE_COLUMNS "WHERE seq > $1 ORDER BY seq LIMIT $2");
	pg_put_number(&query, after);
	pg_put_number(&query, (int64_t)limit);
	if (customer)
		pg_put_number(&query, customer);
	return take_changes(&query, out, count);
}

bool postgres_read_changes(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			   struct change **out, size_t *count)
{
	return pg_read_changes(postgres_reader_pg(reader), customer, after, limit, out, count);
}

bool postgres_audit_changes(struct store_reader *reader, struct audit_at *after, size_t limit,
			    struct change **out, size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_AUDIT_CHANGES, "nnnn",
		      CHANGE_COLUMNS "WHERE (customer, seq) > ($1, $2) AND customer < $4 AND kind IN (0, 1) "
				     "ORDER BY customer, seq LIMIT $3");
	pg_put_number(&query, after->customer);
	pg_put_number(&query, after->seq);
	pg_put_number(&query, (int64_t)limit);
	pg_put_number(&query, after->end ? after->end : INT64_MAX);
	return take_changes(&query, out, count);
}

bool postgres_read_changes_of_kind(struct store_reader *reader, enum change_kind kind, int64_t after,
				   size_t limit, struct change **out, size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_CHANGES_OF_KIND, "nnn",
		      CHANGE_COLUMNS "WHERE seq > $1 AND kind = $3 ORDER BY seq LIMIT $2");
	pg_put_number(&query, after);
	pg_put_number(&query, (int64_t)limit);
	pg_put_number(&query, kind);
	return take_changes(&query, out, count);
}
