/* What the audit reads. */
#include "store_postgres_private.h"

#include <stdlib.h>

#include "xalloc.h"
#include "banned.h"

#define AUDIT_CONTACTS                                                                                      \
	"SELECT c.seq, c.at, c.customer, c.product, c.channel, c.provider, c.reason, c.address, "           \
	"c.preference_seq, c.customer_seq, c.address_seq, c.products_seq, c.log_seq, c.state, c.message = " \
	"0, a.channel, a.value, "                                                                           \
	"coalesce(m.n, 0), m.id, m.customer, m.product, m.campaign, m.purpose, m.lane, m.admitted_at, "     \
	"m.send_at, m.expires_at FROM (SELECT * FROM contact WHERE (customer, seq) > ($1, $2) AND "         \
	"customer < $4 AND direction = 0 AND channel <> '' AND attempt > 0 ORDER BY customer, seq LIMIT "   \
	"$3) c "                                                                                            \
	"LEFT JOIN address a ON a.n = c.address "                                                           \
	"LEFT JOIN contact_message x ON c.message = 0 AND x.contact = c.seq "                               \
	"LEFT JOIN message m ON m.n = CASE c.message WHEN 0 THEN x.message ELSE c.message END "             \
	"ORDER BY c.customer, c.seq"

static void contact_line(struct cells *cells, struct audit_contact *line)
{
	line->seq = pg_get_number(cells);
	line->at = pg_get_number(cells);
	line->customer = pg_get_number(cells);
	line->product = pg_get_text(cells);
	line->channel = pg_get_text(cells);
	line->provider = pg_get_text(cells);
	line->reason = pg_get_text(cells);
	line->address = pg_get_number(cells);
	line->preference_seq = pg_get_number(cells);
	line->customer_seq = pg_get_number(cells);
	line->address_seq = pg_get_number(cells);
	line->products_seq = pg_get_number(cells);
	line->log_seq = pg_get_number(cells);
	line->state = (enum state)pg_get_number(cells);
	line->several = pg_get_number(cells) != 0;
	line->address_channel = pg_get_text(cells);
	line->address_value = pg_get_text(cells);
	line->message_n = pg_get_number(cells);
	line->message_id = pg_get_text(cells);
	line->message_customer = pg_get_number(cells);
	line->message_product = pg_get_text(cells);
	line->campaign = pg_get_text(cells);
	line->purpose = (enum purpose)pg_get_number(cells);
	line->lane = (enum lane)pg_get_number(cells);
	line->admitted_at = pg_get_number(cells);
	line->send_at = pg_get_number(cells);
	line->expires_at = pg_get_number(cells);
}

bool postgres_audit_contacts(struct store_reader *reader, struct audit_at *after, size_t limit,
			     struct audit_contact **out, size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_AUDIT_CONTACTS, "nnnn", AUDIT_CONTACTS);
	pg_put_number(&query, after->customer);
	pg_put_number(&query, after->seq);
	pg_put_number(&query, (int64_t)limit);
	pg_put_number(&query, after->end ? after->end : INT64_MAX);
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*out = xreallocarray(NULL, (size_t)query.rows, sizeof **out);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		struct audit_contact *line = &(*out)[(*count)++];
		contact_line(&cells, line);
		line->first = !i || line[-1].seq != line->seq;
		after->customer = line->customer;
		after->seq = line->seq;
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_audit_messages(struct store_reader *reader, int64_t after, size_t limit,
			     struct audit_message **out, size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_AUDIT_MESSAGES, "nn",
		      "SELECT m.n, m.id, m.customer, m.state, m.contact, "
		      "(SELECT coalesce(min(seq), 9223372036854775807) FROM contact), "
		      "c.seq IS NOT NULL, c.state, c.customer, c.message = m.n OR EXISTS (SELECT 1 FROM "
		      "contact_message x WHERE x.contact = m.contact AND x.message = m.n) "
		      "FROM (SELECT * FROM message WHERE n > $1 ORDER BY n LIMIT $2) m "
		      "LEFT JOIN contact c ON c.seq = m.contact ORDER BY m.n");
	pg_put_number(&query, after);
	pg_put_number(&query, (int64_t)limit);
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*out = xreallocarray(NULL, (size_t)query.rows, sizeof **out);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		struct audit_message *message = &(*out)[(*count)++];
		message->n = pg_get_number(&cells);
		message->id = pg_get_text(&cells);
		message->customer = pg_get_number(&cells);
		message->state = (enum state)pg_get_number(&cells);
		message->contact = pg_get_number(&cells);
		message->first_contact = pg_get_number(&cells);
		message->contact_there = pg_get_number(&cells) != 0;
		message->contact_state = (enum state)pg_get_number(&cells);
		message->contact_customer = pg_get_number(&cells);
		message->contact_has_it = pg_get_number(&cells) != 0;
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_audit_sum(struct store_reader *reader, struct counters *rows, struct counters *kept)
{
	struct pg *pg = postgres_reader_pg(reader);
	struct pg_query query;

	if (!pg_begin_reading(pg))
		return false;
	pg_query_init(&query, pg, PG_AUDIT_SUM, "", "SELECT state, count(*) FROM message GROUP BY state");
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		int64_t state = pg_get_number(&cells), count = pg_get_number(&cells);
		rows->admitted += count;
		if (state >= 0 && state < STATES)
			rows->states[state] = count;
	}
	pg_query_release(&query);
	ok = ok && pg_counters(pg, kept);
	pg_end_reading(pg);
	return ok;
}

bool postgres_read_products(struct store_reader *reader, const char *hash, char **body)
{
	struct pg_query query;

	pg_query_init(&query, postgres_reader_pg(reader), PG_PRODUCTS_GET, "t",
		      "SELECT body FROM product_set WHERE hash = $1");
	pg_put_text(&query, hash);
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		*body = pg_get_text(&cells);
	}
	pg_query_release(&query);
	return ok;
}
