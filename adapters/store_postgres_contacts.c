/* Contacts, in a partition for each month of `at` (UTC), so that an old month is dropped whole. This month's
 * and the next one's are made ahead; others when one is added there. `changed` is given under the lock of the
 * position: in the order of the commits. */
#include "store_postgres_private.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define MONTH_TEXT_MAX 2048

static struct store_postgres *of(struct store *store)
{
	return (struct store_postgres *)store;
}

/* --- months --- */

/* 202611 */
static int month_of(int64_t at)
{
	int64_t days = at / MOMENT_DAY - (at % MOMENT_DAY < 0);
	int64_t year;
	int month;
	int day;

	moment_civil(days, &year, &month, &day);
	year = year < 0 ? 0 : year > 9999 ? 9999 : year;
	return (int)year * 100 + month;
}

static int next_month(int month)
{
	return month % 100 == 12 ? month + 89 : month + 1;
}

static int64_t month_begins(int month)
{
	return moment_days(month / 100, month % 100, 1) * MOMENT_DAY;
}

static bool months_read(struct store_postgres *store)
{
	struct pg_query query;

	if (!store->months_stale)
		return true;
	pg_query_init(
		&query, &store->pg, PG_MONTHS, "",
		"SELECT right(c.relname, 6)::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
		"WHERE i.inhparent = 'contact'::regclass AND c.relname ~ '^contact_[0-9]{6}$'");
	bool ok = pg_query_run(&query);
	store->month_count = 0;
	store->months = xreallocarray(store->months, (size_t)query.rows + 1, sizeof *store->months);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		store->months[store->month_count++] = (int)pg_get_number(&cells);
	}
	store->months_stale = !ok;
	pg_query_release(&query);
	return ok;
}

static bool month_is_there(const struct store_postgres *store, int month)
{
	for (size_t i = 0; i < store->month_count; i++)
		if (store->months[i] == month)
			return true;
	return false;
}

/* Made beside the others and then attached: that keeps nobody waiting who reads or writes them. */
static bool month_make(struct store_postgres *store, int month)
{
	struct text text;

	text_init(&text, MONTH_TEXT_MAX);
	text_addf(&text,
		  "SELECT pg_advisory_xact_lock(hashtext('heed months'), hashtext(current_schema()));"
		  "DO $$ BEGIN IF to_regclass(quote_ident(current_schema()) || '.contact_%06d') IS NULL THEN "
		  "CREATE TABLE contact_%06d (LIKE contact INCLUDING DEFAULTS INCLUDING CONSTRAINTS); "
		  "ALTER TABLE contact ATTACH PARTITION contact_%06d FOR VALUES FROM (%lld) TO (%lld); "
		  "END IF; END $$",
		  month, month, month, (long long)month_begins(month),
		  (long long)month_begins(next_month(month)));
	bool ok = pg_exec(&store->pg, text.data);
	text_release(&text);
	store->months_stale = true;
	return ok && months_read(store);
}

static bool month_wanted(struct store_postgres *store, int month)
{
	return months_read(store) && (month_is_there(store, month) || month_make(store, month));
}

bool month_for(struct store_postgres *store, int64_t at)
{
	return month_wanted(store, month_of(at));
}

bool months_ahead(struct store_postgres *store, int64_t now)
{
	int month = month_of(now);

	return month_wanted(store, month) && month_wanted(store, next_month(month));
}

/* --- contacts --- */

bool postgres_number_contacts(struct store *store, struct contact *const contacts[], size_t count)
{
	struct pg_query query;

	pg_query_init(&query, &of(store)->pg, PG_NUMBER_CONTACTS, "n",
		      "SELECT nextval('contact_seq') FROM generate_series(1, $1)");
	pg_put_number(&query, (int64_t)count);
	bool ok = pg_query_run(&query);
	for (size_t i = 0; ok && i < count; i++) {
		struct cells cells = pg_cells(&query, (int)i);
		contacts[i]->seq = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

static bool several_add(struct store_postgres *store, struct contact *const contacts[], size_t count)
{
	struct pg_query query;
	bool any = false;

	pg_query_init(&query, &store->pg, PG_ADD_SEVERAL, "NN",
		      "INSERT INTO contact_message (contact, message) SELECT * FROM unnest($1, $2)");
	for (size_t i = 0; i < count; i++)
		for (size_t m = 0; m < contacts[i]->several_count; m++) {
			pg_put_number(&query, contacts[i]->seq);
			pg_put_number(&query, contacts[i]->several[m]);
			any = true;
		}
	if (any)
		return pg_query_done(&query, NULL);
	pg_query_release(&query);
	return true;
}

static void put_contact(struct pg_query *query, const struct contact *contact)
{
	pg_put_number(query, contact->seq);
	pg_put_number(query, contact->at);
	pg_put_number(query, contact->customer);
	pg_put_number(query, contact->message);
	pg_put_text(query, contact->product);
	pg_put_text(query, contact->channel);
	pg_put_number(query, contact->direction);
	pg_put_number(query, contact->state);
	pg_put_number(query, contact->attempt);
	pg_put_text(query, contact->provider);
	pg_put_text(query, contact->provider_ref);
	pg_put_number(query, contact->address);
	pg_put_text(query, contact->template);
	pg_put_text(query, contact->template_hash);
	pg_put_text(query, contact->summary);
	pg_put_text(query, contact->content);
	pg_put_text(query, contact->reason);
	pg_put_text(query, contact->reason_args);
	pg_put_text(query, contact->code);
	pg_put_text(query, contact->detail);
	pg_put_number(query, contact->preference);
	pg_put_number(query, contact->preference_seq);
	pg_put_number(query, contact->customer_seq);
	pg_put_number(query, contact->address_seq);
	pg_put_number(query, contact->products_seq);
	pg_put_number(query, contact->segments);
	pg_put_number(query, contact->captured);
	pg_put_number(query, contact->late);
}

#define CONTACT_FIELDS                                                                                      \
	"seq, at, customer, message, product, channel, direction, state, attempt, provider, provider_ref, " \
	"address, template, template_hash, summary, content, reason, reason_args, code, detail, "           \
	"preference, "                                                                                      \
	"preference_seq, customer_seq, address_seq, products_seq, segments, captured, late"

/* $1 is how many; the columns begin at $2, so each row begins there. *second: the answer's second cell. */
static bool give_changed(struct pg_query *query, struct contact *const contacts[], size_t count,
			 int64_t *second)
{
	bool ok = pg_query_run(query);
	struct cells cells = pg_cells(query, 0);
	int64_t base = ok ? pg_get_number(&cells) : 0;

	*second = ok ? pg_get_number(&cells) : 0;
	for (size_t i = 0; ok && i < count; i++)
		contacts[i]->changed = base + (int64_t)i + 1;
	pg_query_release(query);
	return ok;
}

bool postgres_add_contacts(struct store *base, struct contact *const contacts[], size_t count)
{
	struct store_postgres *store = of(base);
	struct pg_query query;
	int64_t last;
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++) {
		ok = month_wanted(store, month_of(contacts[i]->at));
		if (ok && !contacts[i]->seq)
			ok = postgres_number_contacts(base, contacts + i, 1);
	}
	if (!ok || !several_add(store, contacts, count))
		return false;
	pg_query_init(
		&query, &store->pg, PG_ADD_CONTACTS, "nNNNNTTNNNTTNTTTTTTTTNNNNNNNN",
		"WITH p AS (UPDATE position SET changed = changed + $1 RETURNING changed - $1 AS base), "
		"l AS (SELECT coalesce(max(seq), 0) AS last FROM change_log), "
		"added AS (INSERT INTO contact (" CONTACT_FIELDS ", changed, log_seq) SELECT " CONTACT_FIELDS
		", p.base + u.place, l.last FROM p, l, unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
		"$13, "
		"$14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29) WITH "
		"ORDINALITY "
		"u (" CONTACT_FIELDS ", place)) SELECT base, last FROM p, l");
	pg_put_number(&query, (int64_t)count);
	for (size_t i = 0; i < count; i++) {
		query.at = 1;
		put_contact(&query, contacts[i]);
	}
	ok = give_changed(&query, contacts, count, &last);
	for (size_t i = 0; ok && i < count; i++)
		contacts[i]->log_seq = last;
	return ok;
}

/* `at` finds the partition. */
bool postgres_save_contacts(struct store *base, struct contact *const contacts[], size_t count)
{
	struct pg_query query;
	int64_t saved;

	pg_query_init(
		&query, &of(base)->pg, PG_SAVE_CONTACTS, "nNNNTTTTTTTTNN",
		"WITH p AS (UPDATE position SET changed = changed + $1 RETURNING changed - $1 AS base), "
		"saved AS (UPDATE contact c SET changed = p.base + u.place, state = u.state, "
		"provider = u.provider, provider_ref = u.provider_ref, summary = u.summary, "
		"content = u.content, code = u.code, detail = u.detail, reason = u.reason, "
		"reason_args = u.reason_args, segments = u.segments, late = u.late FROM p, "
		"unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) WITH ORDINALITY u (seq, at, "
		"state, provider, provider_ref, summary, content, code, detail, reason, reason_args, "
		"segments, late, place) WHERE c.seq = u.seq AND c.at = u.at RETURNING 1) "
		"SELECT base, (SELECT count(*) FROM saved) FROM p");
	pg_put_number(&query, (int64_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct contact *contact = contacts[i];
		query.at = 1;
		pg_put_number(&query, contact->seq);
		pg_put_number(&query, contact->at);
		pg_put_number(&query, contact->state);
		pg_put_text(&query, contact->provider);
		pg_put_text(&query, contact->provider_ref);
		pg_put_text(&query, contact->summary);
		pg_put_text(&query, contact->content);
		pg_put_text(&query, contact->code);
		pg_put_text(&query, contact->detail);
		pg_put_text(&query, contact->reason);
		pg_put_text(&query, contact->reason_args);
		pg_put_number(&query, contact->segments);
		pg_put_number(&query, contact->late);
	}
	if (!give_changed(&query, contacts, count, &saved))
		return false;
	return saved == (int64_t)count ||
	       text_error(&base->error, "store: of %zu contacts only %lld are there", count,
			  (long long)saved);
}

static void read_unresolved(struct cells *cells, struct contact *out)
{
	pg_read_contact(cells, out);
	out->customer_id = xstrdup("");
	out->address_value = xstrdup("");
	out->meta = xstrdup("");
}

/* The messages of those that have several. */
static bool several_read(struct pg *pg, struct contact out[], size_t count)
{
	struct pg_query query;
	bool any = false;

	pg_query_init(&query, pg, PG_SEVERAL, "N",
		      "SELECT contact, message FROM contact_message WHERE contact = ANY ($1) "
		      "ORDER BY contact, message");
	for (size_t i = 0; i < count; i++)
		if (out[i].seq && !out[i].message) {
			pg_put_number(&query, out[i].seq);
			any = true;
		}
	bool ok = !any || pg_query_run(&query);
	for (int r = 0; any && ok && r < query.rows; r++) {
		struct cells cells = pg_cells(&query, r);
		int64_t seq = pg_get_number(&cells), message = pg_get_number(&cells);
		for (size_t i = 0; i < count; i++) {
			if (out[i].seq != seq)
				continue;
			out[i].several = xreallocarray(out[i].several, out[i].several_count + 1,
						       sizeof *out[i].several);
			out[i].several[out[i].several_count++] = message;
		}
	}
	pg_query_release(&query);
	return ok;
}

bool postgres_get_contacts(struct store *base, const int64_t seq[], size_t count, struct contact out[])
{
	struct pg_query query;

	memset(out, 0, count * sizeof *out);
	pg_query_init(&query, &of(base)->pg, PG_GET_CONTACTS, "NN",
		      "SELECT u.place, " CONTACT_COLUMNS
		      " FROM unnest($1, $2) u (place, seq) JOIN contact c ON c.seq = u.seq");
	for (size_t i = 0; i < count; i++) {
		pg_put_number(&query, (int64_t)i);
		pg_put_number(&query, seq[i]);
	}
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		int64_t place = pg_get_number(&cells);
		read_unresolved(&cells, &out[place]);
	}
	pg_query_release(&query);
	return ok && several_read(&of(base)->pg, out, count);
}

bool postgres_doubts_of(struct store *base, int64_t customer, int64_t since, struct contact **out,
			size_t *count)
{
	struct pg_query query;
	size_t start = *count;

	pg_query_init(&query, &of(base)->pg, PG_DOUBTS_OF, "nn",
		      "SELECT " CONTACT_COLUMNS " FROM contact c WHERE c.customer = $1 AND c.state = 5 AND "
		      "c.at >= $2 ORDER BY c.seq");
	pg_put_number(&query, customer);
	pg_put_number(&query, since);
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*out = xreallocarray(*out, start + (size_t)query.rows, sizeof **out);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		struct contact *contact = &(*out)[(*count)++];
		*contact = (struct contact){0};
		read_unresolved(&cells, contact);
	}
	pg_query_release(&query);
	return ok && (*count == start || several_read(&of(base)->pg, *out + start, *count - start));
}

/* The one row of a query that gives CONTACT_COLUMNS, if there is one. */
static bool take_contact(struct pg_query *query, struct contact *out)
{
	struct pg *pg = query->pg;
	bool ok = pg_query_run(query), found = ok && query->rows;

	if (found) {
		struct cells cells = pg_cells(query, 0);
		read_unresolved(&cells, out);
	}
	pg_query_release(query);
	return ok && (!found || several_read(pg, out, 1));
}

bool postgres_find_contact(struct store *base, enum direction direction, const char *provider,
			   const char *provider_ref, struct contact *out)
{
	struct pg_query query;

	if (!*provider_ref)
		return true;
	pg_query_init(&query, &of(base)->pg, PG_FIND_CONTACT, "ttn",
		      "SELECT " CONTACT_COLUMNS
		      " FROM contact c WHERE c.provider_ref = $1 AND c.provider_ref <> '' AND "
		      "c.provider = $2 AND c.direction = $3 ORDER BY c.seq DESC LIMIT 1");
	pg_put_text(&query, provider_ref);
	pg_put_text(&query, provider);
	pg_put_number(&query, direction);
	return take_contact(&query, out);
}

bool postgres_attempt_of(struct store *base, int64_t message, const char *channel, struct contact *out)
{
	struct pg_query query;

	pg_query_init(&query, &of(base)->pg, PG_ATTEMPT_OF, "nt",
		      "SELECT " CONTACT_COLUMNS
		      " FROM contact c WHERE c.seq = (SELECT max(seq) FROM (SELECT seq "
		      "FROM contact WHERE message = $1 AND channel = $2 AND direction = 0 AND attempt > 0 "
		      "UNION ALL SELECT o.seq FROM contact_message m JOIN contact o ON o.seq = m.contact "
		      "WHERE m.message = $1 AND o.channel = $2 AND o.direction = 0 AND o.attempt > 0) a)");
	pg_put_number(&query, message);
	pg_put_text(&query, channel);
	return take_contact(&query, out);
}

bool postgres_last_sent(struct store *base, int64_t customer, int64_t address, const char *provider,
			struct contact *out)
{
	struct pg_query query;

	pg_query_init(&query, &of(base)->pg, PG_LAST_SENT, "nnt",
		      "SELECT " CONTACT_COLUMNS
		      " FROM contact c WHERE c.customer = $1 AND c.address = $2 AND c.direction = 0 AND "
		      "c.attempt > 0 AND c.reason <> 'answer' AND c.state IN (2, 3, 4, 5) AND ($3 = '' OR "
		      "c.provider = $3) "
		      "ORDER BY c.seq DESC LIMIT 1");
	pg_put_number(&query, customer);
	pg_put_number(&query, address);
	pg_put_text(&query, provider ? provider : "");
	return take_contact(&query, out);
}
