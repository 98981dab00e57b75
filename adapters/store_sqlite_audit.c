/* What the audit reads. */
#include "store_sqlite_private.h"

#include <stdlib.h>

#include "xalloc.h"
#include "banned.h"

#define AUDIT_SQL_MAX 65536
#define WALK_NEAR 64 /* rows that are passed over rather than looked up behind */
#define WALK_FAR 16  /* lookups in a row after which the walk begins anew */
#define KEYS_MIN 256 /* contacts that are looked for at once, however few are wanted */
/* By customer means all over the tables: they are looked at where the system has them, without a copy. What
 * lies beyond the 2 GB that SQLite maps at most goes through a cache. */
#define AUDIT_MEMORY "PRAGMA mmap_size = 2147418112; PRAGMA cache_size = -65536"

struct months {
	struct span {
		int month;
		int64_t first, last; /* seq */
		sqlite3_stmt *get, *walk, *line;
		int64_t at; /* the walk's row; 0: it has none */
		int far;
	} * at;
	size_t count;
	struct sql *sql;
};

static bool month_add(void *context, int month)
{
	struct months *months = context;
	char name[MONTH_NAME];

	month_name(month, name);
	months->at = xreallocarray(months->at, months->count + 1, sizeof *months->at);
	struct span *span = &months->at[months->count++];
	*span = (struct span){.month = month};
	return month_ends(months->sql, name, &span->first, &span->last);
}

static bool months_read(struct sql *sql, struct months *months)
{
	*months = (struct months){.sql = sql};
	return sql_months(sql, month_add, months);
}

static void months_free(struct months *months)
{
	for (size_t i = 0; i < months->count; i++) {
		sqlite3_finalize(months->at[i].get);
		sqlite3_finalize(months->at[i].walk);
		sqlite3_finalize(months->at[i].line);
	}
	free(months->at);
}

/* --- contacts --- */

struct lines {
	struct audit_contact *list;
	size_t count, capacity, contacts;
};

static void contact_line(sqlite3_stmt *statement, struct audit_contact *line)
{
	struct cells cells = sql_cells(statement);

	line->seq = get_number(&cells);
	line->at = get_number(&cells);
	line->customer = get_number(&cells);
	line->product = get_text(&cells);
	line->channel = get_text(&cells);
	line->provider = get_text(&cells);
	line->reason = get_text(&cells);
	line->address = get_number(&cells);
	line->preference_seq = get_number(&cells);
	line->customer_seq = get_number(&cells);
	line->address_seq = get_number(&cells);
	line->products_seq = get_number(&cells);
	line->log_seq = get_number(&cells);
	line->state = (enum state)get_number(&cells);
	line->several = get_number(&cells) != 0;
	line->address_channel = get_text(&cells);
	line->address_value = get_text(&cells);
	line->message_n = get_number(&cells);
	line->message_id = get_text(&cells);
	line->message_customer = get_number(&cells);
	line->message_product = get_text(&cells);
	line->campaign = get_text(&cells);
	line->purpose = (enum purpose)get_number(&cells);
	line->lane = (enum lane)get_number(&cells);
	line->admitted_at = get_number(&cells);
	line->send_at = get_number(&cells);
	line->expires_at = get_number(&cells);
}

static sqlite3_stmt *line_prepare(struct sql *sql, int month)
{
	char name[MONTH_NAME];
	struct text text;

	month_name(month, name);
	text_init(&text, AUDIT_SQL_MAX);
	text_addf(&text,
		  "SELECT c.seq, c.at, c.customer, c.product, c.channel, c.provider, c.reason, c.address, "
		  "c.preference_seq, c.customer_seq, c.address_seq, c.products_seq, c.log_seq, c.state, "
		  "c.message = 0, a.channel, "
		  "a.value, coalesce(m.n, 0), m.id, m.customer, m.product, m.campaign, m.purpose, m.lane, "
		  "m.admitted_at, m.send_at, m.expires_at FROM %s c LEFT JOIN address a ON a.n = c.address "
		  "LEFT JOIN contact_message x ON c.message = 0 AND x.contact = c.seq "
		  "LEFT JOIN message m ON m.n = CASE c.message WHEN 0 THEN x.message ELSE c.message END "
		  "WHERE c.seq = ? AND c.direction = 0 AND c.channel <> '' AND c.attempt > 0",
		  name);
	sqlite3_stmt *statement = sql_prepare(sql, text.data, 0);
	text_release(&text);
	return statement;
}

/* A line for each message of the contact, if it is an attempt of this month. */
static bool contact_lines(struct sql *sql, struct span *span, const struct audit_at *key, struct lines *out)
{
	int more;

	if (!span->line)
		span->line = line_prepare(sql, span->month);
	struct cells cells = sql_cells(span->line);
	put_number(&cells, key->seq);
	while ((more = sql_step(sql, span->line)) > 0) {
		if (out->count == out->capacity) {
			out->capacity = out->capacity ? 2 * out->capacity : 256;
			out->list = xreallocarray(out->list, out->capacity, sizeof *out->list);
		}
		struct audit_contact *line = &out->list[out->count];
		contact_line(span->line, line);
		line->first = !out->count || line[-1].seq != line->seq;
		out->contacts += line->first;
		out->count++;
		if (line->customer != key->customer) {
			sqlite3_reset(span->line);
			return text_error(sql->error,
					  "store: %s: contact %lld is of customer %lld and listed under %lld",
					  sql->path, (long long)key->seq, (long long)line->customer,
					  (long long)key->customer);
		}
	}
	return more == 0;
}

/* Contacts behind *after, by customer and seq: at most `limit`. All runs are looked into; SQLite leaves a run
 * where it comes to what is behind the `limit` best so far. */
static bool keys_page(struct sql *sql, const struct audit_at *after, size_t limit, struct audit_at keys[],
		      size_t *count)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_AUDIT_KEYS,
		"WITH RECURSIVE runs (run) AS (SELECT min(run) FROM customer_contact UNION ALL SELECT "
		"(SELECT min(k.run) FROM customer_contact k WHERE k.run > r.run) FROM runs r WHERE r.run IS "
		"NOT NULL) SELECT k.customer, k.seq FROM runs r CROSS JOIN customer_contact k ON k.run = "
		"r.run WHERE (k.customer, k.seq) > (?, ?) AND k.customer < ? ORDER BY k.customer, k.seq "
		"LIMIT ?");
	struct cells cells = sql_cells(statement);
	int more;

	put_number(&cells, after->customer);
	put_number(&cells, after->seq);
	put_number(&cells, after->end ? after->end : INT64_MAX);
	put_number(&cells, (int64_t)limit);
	*count = 0;
	while ((more = sql_step(sql, statement)) > 0) {
		cells = sql_cells(statement);
		keys[*count].customer = get_number(&cells);
		keys[(*count)++].seq = get_number(&cells);
	}
	return more == 0;
}

static bool contacts_page(struct sql *sql, struct months *months, struct audit_at *after, size_t limit,
			  struct audit_contact **out, size_t *count)
{
	struct audit_at *keys = xcalloc(limit + KEYS_MIN, sizeof *keys);
	struct lines lines = {.list = NULL};
	size_t room, found;
	bool ok;

	do { /* what is listed and no attempt makes no line */
		room = limit - lines.contacts > KEYS_MIN ? limit - lines.contacts : KEYS_MIN;
		ok = keys_page(sql, after, room, keys, &found);
		for (size_t i = 0; ok && i < found && lines.contacts < limit; i++) {
			for (size_t m = 0; ok && m < months->count; m++)
				if (keys[i].seq >= months->at[m].first && keys[i].seq <= months->at[m].last)
					ok = contact_lines(sql, &months->at[m], &keys[i], &lines);
			after->customer = keys[i].customer;
			after->seq = keys[i].seq;
		}
	} while (ok && found == room && lines.contacts < limit);
	free(keys);
	*out = lines.list;
	*count = lines.count;
	return ok;
}

bool sqlite_audit_contacts(struct store_reader *reader, struct audit_at *after, size_t limit,
			   struct audit_contact **out, size_t *count)
{
	struct sql *sql = sqlite_reader_sql(reader);
	struct months months;

	if (!sql_exec(sql, AUDIT_MEMORY) || !sql_begin_reading(sql))
		return false;
	bool ok = months_read(sql, &months) &&
		  (!months.count || contacts_page(sql, &months, after, limit, out, count));
	months_free(&months);
	sql_end_reading(sql);
	return ok;
}

/* --- messages --- */

/* `row` is at a contact: seq, state, customer, message. False: the store failed. */
static bool take_contact(struct months *months, sqlite3_stmt *row, struct audit_message *message)
{
	struct cells cells = sql_cells(row);

	cells.at = 1;
	message->contact_there = true;
	message->contact_state = (enum state)get_number(&cells);
	message->contact_customer = get_number(&cells);
	message->contact_has_it = get_number(&cells) == message->n;
	if (message->contact_has_it)
		return true;
	sqlite3_stmt *several =
		sql_statement(months->sql, SQL_AUDIT_SEVERAL,
			      "SELECT 1 FROM contact_message WHERE contact = ? AND message = ?");
	cells = sql_cells(several);
	put_number(&cells, message->contact);
	put_number(&cells, message->n);
	int more = sql_step(months->sql, several);
	message->contact_has_it = more > 0;
	sqlite3_reset(several);
	return more >= 0;
}

static sqlite3_stmt *month_statement(struct sql *sql, int month, const char *which)
{
	char name[MONTH_NAME], text[256];

	month_name(month, name);
	snprintf(text, sizeof text, "SELECT seq, state, customer, message FROM %s WHERE seq %s", name, which);
	return sql_prepare(sql, text, 0);
}

/* Messages and their contacts rise together, but for what was tried again: a walk along both reads each page
 * once. What is not near is looked up; where nothing is near any more, the walk goes on from there. */
static int walk_to(struct months *months, struct span *span, int64_t contact)
{
	struct sql *sql = months->sql;
	int more = 1;

	if (span->at && contact >= span->at && contact - span->at <= WALK_NEAR) {
		while (span->at < contact && (more = sql_step(sql, span->walk)) > 0)
			span->at = sqlite3_column_int64(span->walk, 0);
		span->at = more > 0 ? span->at : 0;
		span->far = 0;
		return more < 0 ? -1 : span->at == contact;
	}
	if (span->at && ++span->far < WALK_FAR)
		return 0;
	span->far = 0;
	if (!span->walk)
		span->walk = month_statement(sql, span->month, ">= ? ORDER BY seq");
	sqlite3_reset(span->walk);
	struct cells cells = sql_cells(span->walk);
	put_number(&cells, contact);
	more = sql_step(sql, span->walk);
	span->at = more > 0 ? sqlite3_column_int64(span->walk, 0) : 0;
	return more < 0 ? -1 : span->at == contact;
}

static int look_up(struct months *months, struct span *span, struct audit_message *message)
{
	if (!span->get)
		span->get = month_statement(months->sql, span->month, "= ?");
	struct cells cells = sql_cells(span->get);
	put_number(&cells, message->contact);
	int more = sql_step(months->sql, span->get);
	if (more > 0 && !take_contact(months, span->get, message))
		more = -1;
	sqlite3_reset(span->get);
	return more;
}

/* What the message's contact says, if it is there. */
static bool message_contact(struct months *months, struct audit_message *message)
{
	int more = 0;

	for (size_t i = 0; i < months->count && !more; i++) {
		struct span *span = &months->at[i];
		if (!message->contact || message->contact < span->first || message->contact > span->last)
			continue;
		more = walk_to(months, span, message->contact);
		if (more == 0)
			more = look_up(months, span, message);
		else if (more > 0 && !take_contact(months, span->walk, message))
			more = -1;
	}
	return more >= 0;
}

static bool messages_page(struct sql *sql, struct months *months, int64_t after, size_t limit,
			  struct audit_message **out, size_t *count)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_AUDIT_MESSAGES,
		"SELECT n, id, customer, state, contact FROM message WHERE n > ? ORDER BY n LIMIT ?");
	struct cells cells = sql_cells(statement);
	int64_t first = INT64_MAX;
	int more = 0;
	bool ok = true;

	for (size_t i = 0; i < months->count; i++)
		if (months->at[i].first && months->at[i].first < first)
			first = months->at[i].first;
	put_number(&cells, after);
	put_number(&cells, (int64_t)limit);
	*out = xreallocarray(NULL, limit, sizeof **out);
	while (ok && (more = sql_step(sql, statement)) > 0) {
		struct audit_message *message = &(*out)[(*count)++];
		*message = (struct audit_message){.first_contact = first};
		cells = sql_cells(statement);
		message->n = get_number(&cells);
		message->id = get_text(&cells);
		message->customer = get_number(&cells);
		message->state = (enum state)get_number(&cells);
		message->contact = get_number(&cells);
		ok = message_contact(months, message);
	}
	sqlite3_reset(statement);
	return ok && more == 0;
}

bool sqlite_audit_messages(struct store_reader *reader, int64_t after, size_t limit,
			   struct audit_message **out, size_t *count)
{
	struct sql *sql = sqlite_reader_sql(reader);
	struct months months;

	if (!sql_exec(sql, AUDIT_MEMORY) || !sql_begin_reading(sql))
		return false;
	bool ok = months_read(sql, &months) && messages_page(sql, &months, after, limit, out, count);
	months_free(&months);
	sql_end_reading(sql);
	return ok;
}

struct counting {
	struct sql *sql;
	int64_t contacts;
};

static bool count_month(void *context, int month)
{
	struct counting *counting = context;
	char name[MONTH_NAME], words[128];

	month_name(month, name);
	snprintf(words, sizeof words, "SELECT count(*) FROM %s", name);
	sqlite3_stmt *statement = sql_prepare(counting->sql, words, 0);
	int more = sql_step(counting->sql, statement);
	if (more > 0)
		counting->contacts += sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return more > 0;
}

/* What is in no customer's list, the audit has not seen. */
static bool all_are_listed(struct sql *sql)
{
	struct counting counting = {.sql = sql};
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_AUDIT_LISTED, "SELECT count(*) FROM customer_contact");
	int more = sql_step(sql, statement);
	const int64_t listed = more > 0 ? sqlite3_column_int64(statement, 0) : 0;

	sqlite3_reset(statement);
	return more > 0 && sql_months(sql, count_month, &counting) &&
	       (counting.contacts <= listed ||
		text_error(sql->error, "store: %s: it has %lld contacts and lists %lld by customer",
			   sql->path, (long long)counting.contacts, (long long)listed));
}

bool sqlite_audit_sum(struct store_reader *reader, struct counters *rows, struct counters *kept)
{
	struct sql *sql = sqlite_reader_sql(reader);
	int more = -1;

	if (!sql_begin_reading(sql))
		return false;
	/* counted here: to group them SQLite would sort them */
	sqlite3_stmt *statement = sql_statement(sql, SQL_AUDIT_SUM, "SELECT state FROM message");
	while ((more = sql_step(sql, statement)) > 0) {
		int state = sqlite3_column_int(statement, 0);
		rows->admitted++;
		if (state >= 0 && state < STATES)
			rows->states[state]++;
	}
	int64_t numbers[NUMBERS] = {0};
	bool ok = more == 0;
	for (int i = 0; ok && i < NUMBERS; i++)
		ok = sql_get_number(sql, (enum number)i, &numbers[i]);
	numbers_counters(numbers, kept);
	ok = ok && all_are_listed(sql);
	sql_end_reading(sql);
	return ok;
}

bool sqlite_read_products(struct store_reader *reader, const char *hash, char **body)
{
	struct sql *sql = sqlite_reader_sql(reader);
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_PRODUCTS_GET, "SELECT body FROM product_set WHERE hash = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, hash);
	int more = sql_step(sql, statement);
	if (more > 0) {
		cells = sql_cells(statement);
		*body = get_text(&cells);
		sqlite3_reset(statement);
	}
	return more >= 0;
}
