/* Contacts, in a table for each month of `at` (UTC), so that an old month is dropped whole. seq rises over
 * all of them. */
#include "store_sqlite_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define MONTH_TEXT_MAX 4096

int month_of(int64_t at)
{
	int64_t days = at / MOMENT_DAY - (at % MOMENT_DAY < 0);
	int64_t year;
	int month;
	int day;

	moment_civil(days, &year, &month, &day);
	year = year < 0 ? 0 : year > 9999 ? 9999 : year;
	return (int)year * 100 + month;
}

void month_name(int month, char out[MONTH_NAME])
{
	snprintf(out, MONTH_NAME, "contact_%06d", month);
}

/* A statement about one month's table: %s stands for its name. */
__attribute__((format(printf, 2, 3))) static sqlite3_stmt *month_prepare(struct sql *sql, const char *format,
									 ...)
{
	struct text text;
	va_list args;

	text_init(&text, MONTH_TEXT_MAX);
	va_start(args, format);
	text_vaddf(&text, format, args);
	va_end(args);
	sqlite3_stmt *statement = sql_prepare(sql, text.data, SQLITE_PREPARE_PERSISTENT);
	text_release(&text);
	return statement;
}

bool sql_months(struct sql *sql, bool (*each)(void *context, int month), void *context)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_MONTHS,
		"SELECT CAST(substr(name, 9) AS INTEGER) FROM sqlite_schema WHERE type = "
		"'table' AND name GLOB 'contact_[0-9][0-9][0-9][0-9][0-9][0-9]' ORDER BY 1 DESC");
	int months[1024]; /* 85 years */
	size_t count = 0;
	int more;

	while ((more = sql_step(sql, statement)) > 0 && count < sizeof months / sizeof *months)
		months[count++] = sqlite3_column_int(statement, 0);
	sqlite3_reset(statement);
	bool ok = more >= 0;
	for (size_t i = 0; ok && i < count; i++)
		ok = each(context, months[i]);
	return ok;
}

void months_release(struct store_sqlite *store)
{
	for (size_t i = 0; i < store->month_count; i++) {
		sqlite3_finalize(store->months[i].add);
		sqlite3_finalize(store->months[i].save);
		sqlite3_finalize(store->months[i].get);
		sqlite3_finalize(store->months[i].find);
		sqlite3_finalize(store->months[i].doubts);
		sqlite3_finalize(store->months[i].newest);
		sqlite3_finalize(store->months[i].attempt);
	}
	free(store->months);
	store->months = NULL;
	store->month_count = 0;
}

static struct month *month_remember(struct store_sqlite *store, int month)
{
	store->months = xreallocarray(store->months, store->month_count + 1, sizeof *store->months);
	struct month *out = &store->months[store->month_count++];
	*out = (struct month){.month = month};
	return out;
}

static bool month_create(struct sql *sql, const char *name)
{
	struct text text;

	text_init(&text, MONTH_TEXT_MAX);
	text_addf(&text,
		  "CREATE TABLE IF NOT EXISTS %s (seq INTEGER PRIMARY KEY, changed INTEGER NOT NULL, "
		  "at INTEGER NOT NULL, customer INTEGER NOT NULL, message INTEGER NOT NULL, "
		  "product TEXT NOT NULL, channel TEXT NOT NULL, direction INTEGER NOT NULL, "
		  "state INTEGER NOT NULL, attempt INTEGER NOT NULL, provider TEXT NOT NULL, "
		  "provider_ref TEXT NOT NULL, address INTEGER NOT NULL, template TEXT NOT NULL, "
		  "template_hash TEXT NOT NULL, summary TEXT NOT NULL, content TEXT NOT NULL, "
		  "reason TEXT NOT NULL, reason_args TEXT NOT NULL, code TEXT NOT NULL, "
		  "detail TEXT NOT NULL, preference INTEGER NOT NULL, preference_seq INTEGER NOT NULL, "
		  "customer_seq INTEGER NOT NULL, address_seq INTEGER NOT NULL, "
		  "products_seq INTEGER NOT NULL, segments INTEGER NOT NULL, "
		  "captured INTEGER NOT NULL, log_seq INTEGER NOT NULL, late INTEGER NOT NULL);",
		  name);
	text_addf(&text,
		  "CREATE INDEX IF NOT EXISTS %s_by_ref ON %s (provider_ref) WHERE provider_ref != '';", name,
		  name);
	text_addf(&text,
		  "CREATE INDEX IF NOT EXISTS %s_by_message ON %s (message);"
		  "CREATE INDEX IF NOT EXISTS %s_by_changed ON %s (changed);"
		  "CREATE INDEX IF NOT EXISTS %s_captured ON %s (seq) WHERE captured;"
		  "CREATE INDEX IF NOT EXISTS %s_in_doubt ON %s (customer) WHERE state = 5;",
		  name, name, name, name, name, name, name, name);
	bool ok = sql_exec(sql, text.data);
	text_release(&text);
	return ok;
}

static bool month_has(struct sql *sql, const char *name, const char *column)
{
	sqlite3_stmt *statement = sql_prepare(sql, "SELECT 1 FROM pragma_table_info(?) WHERE name = ?", 0);
	struct cells cells = sql_cells(statement);

	put_text(&cells, name);
	put_text(&cells, column);
	bool has = sql_step(sql, statement) > 0;
	sqlite3_finalize(statement);
	return has;
}

static bool month_widen(void *context, int month)
{
	static const char *const columns[] = {"log_seq", "late"};
	struct sql *sql = context;
	char name[MONTH_NAME], words[128];
	bool ok = true;

	month_name(month, name);
	for (size_t i = 0; ok && i < sizeof columns / sizeof columns[0]; i++) {
		snprintf(words, sizeof words, "ALTER TABLE %s ADD COLUMN %s INTEGER NOT NULL DEFAULT 0", name,
			 columns[i]);
		ok = month_has(sql, name, columns[i]) || sql_exec(sql, words);
	}
	return ok;
}

bool months_widen(struct sql *sql)
{
	return sql_months(sql, month_widen, sql);
}

bool month_ends(struct sql *sql, const char *name, int64_t *first, int64_t *last)
{
	sqlite3_stmt *statement =
		month_prepare(sql, "SELECT (SELECT min(seq) FROM %s), (SELECT max(seq) FROM %s)", name, name);
	int more = sql_step(sql, statement);

	if (more > 0) {
		*first = sqlite3_column_int64(statement, 0);
		*last = sqlite3_column_int64(statement, 1);
	}
	sqlite3_finalize(statement);
	return more > 0;
}

static bool month_list(void *context, int month)
{
	struct sql *sql = context;
	int64_t first, last;
	char name[MONTH_NAME], words[128];

	month_name(month, name);
	snprintf(words, sizeof words, "DROP INDEX IF EXISTS %s_by_customer", name);
	return month_ends(sql, name, &first, &last) && (!first || runs_list(sql, name, first, last)) &&
	       sql_exec(sql, words);
}

bool months_list(struct sql *sql)
{
	return sql_months(sql, month_list, sql);
}

static bool month_load(void *context, int month)
{
	struct store_sqlite *store = context;
	struct month *out = month_remember(store, month);
	char name[MONTH_NAME];

	month_name(month, name);
	if (!month_create(&store->sql, name)) /* earlier ones made their months with fewer indexes */
		return false;
	return month_ends(&store->sql, name, &out->first, &out->last);
}

bool months_fresh(struct store_sqlite *store)
{
	if (store->months_stale) {
		months_release(store);
		store->months_stale = !sql_months(&store->sql, month_load, store);
	}
	return !store->months_stale;
}

struct month *month_from(struct store_sqlite *store, int from)
{
	struct month *first = NULL;

	for (size_t i = 0; i < store->month_count; i++)
		if (store->months[i].month >= from && (!first || store->months[i].month < first->month))
			first = &store->months[i];
	return first;
}

/* The months are known anew afterwards, also if it is rolled back. */
bool month_drop(struct store_sqlite *store, struct month *month)
{
	char name[MONTH_NAME];
	struct text text;

	month_name(month->month, name);
	months_release(store);
	store->months_stale = true;
	text_init(&text, MONTH_TEXT_MAX);
	text_addf(&text, "DROP TABLE %s", name);
	bool ok = sql_exec(&store->sql, text.data);
	text_release(&text);
	return ok;
}

/* The month's table, made if it is not there. NULL: failed. */
static struct month *month_get(struct store_sqlite *store, int month)
{
	char name[MONTH_NAME];

	for (size_t i = 0; i < store->month_count; i++)
		if (store->months[i].month == month)
			return &store->months[i];
	month_name(month, name);
	return month_create(&store->sql, name) ? month_remember(store, month) : NULL;
}

#define ADD_CONTACT                                                                                          \
	"INSERT INTO %s (seq, changed, at, customer, message, product, channel, direction, state, attempt, " \
	"provider, provider_ref, address, template, template_hash, summary, content, reason, reason_args, "  \
	"code, detail, preference, preference_seq, customer_seq, address_seq, products_seq, "                \
	"segments, captured, log_seq, late) VALUES "                                                         \
	"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

static bool several_add(struct sql *sql, const struct contact *contact)
{
	bool ok = true;

	for (size_t i = 0; ok && i < contact->several_count; i++) {
		sqlite3_stmt *statement = sql_statement(
			sql, SQL_SEVERAL_ADD, "INSERT INTO contact_message (contact, message) VALUES (?, ?)");
		struct cells cells = sql_cells(statement);
		put_number(&cells, contact->seq);
		put_number(&cells, contact->several[i]);
		ok = sql_run(sql, statement);
	}
	return ok;
}

bool several_read(struct sql *sql, struct contact *out)
{
	int more = 0;

	if (out->message)
		return true;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_SEVERAL, "SELECT message FROM contact_message WHERE contact = ? ORDER BY message");
	struct cells cells = sql_cells(statement);
	put_number(&cells, out->seq);
	while ((more = sql_step(sql, statement)) > 0) {
		out->several = xreallocarray(out->several, out->several_count + 1, sizeof *out->several);
		out->several[out->several_count++] = sqlite3_column_int64(statement, 0);
	}
	return more == 0;
}

static bool contact_add(struct store_sqlite *store, struct contact *contact)
{
	struct month *month = month_get(store, month_of(contact->at));
	char name[MONTH_NAME];

	if (!month)
		return false;
	month_name(month->month, name);
	if (!month->add)
		month->add = month_prepare(&store->sql, ADD_CONTACT, name);
	if (!contact->seq)
		contact->seq = ++store->numbers[NUMBER_CONTACT];
	contact->changed = ++store->numbers[NUMBER_CHANGED];
	contact->log_seq = store->numbers[NUMBER_CHANGE];
	month->first = month->first && month->first < contact->seq ? month->first : contact->seq;
	month->last = contact->seq > month->last ? contact->seq : month->last;

	struct cells cells = sql_cells(month->add);
	put_number(&cells, contact->seq);
	put_number(&cells, contact->changed);
	put_number(&cells, contact->at);
	put_number(&cells, contact->customer);
	put_number(&cells, contact->message);
	put_text(&cells, contact->product);
	put_text(&cells, contact->channel);
	put_number(&cells, contact->direction);
	put_number(&cells, contact->state);
	put_number(&cells, contact->attempt);
	put_text(&cells, contact->provider);
	put_text(&cells, contact->provider_ref);
	put_number(&cells, contact->address);
	put_text(&cells, contact->template);
	put_text(&cells, contact->template_hash);
	put_text(&cells, contact->summary);
	put_text(&cells, contact->content);
	put_text(&cells, contact->reason);
	put_text(&cells, contact->reason_args);
	put_text(&cells, contact->code);
	put_text(&cells, contact->detail);
	put_number(&cells, contact->preference);
	put_number(&cells, contact->preference_seq);
	put_number(&cells, contact->customer_seq);
	put_number(&cells, contact->address_seq);
	put_number(&cells, contact->products_seq);
	put_number(&cells, contact->segments);
	put_number(&cells, contact->captured);
	put_number(&cells, contact->log_seq);
	put_number(&cells, contact->late);
	return sql_run(&store->sql, month->add) && several_add(&store->sql, contact);
}

bool sqlite_number_contacts(struct store *base, struct contact *const contacts[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		contacts[i]->seq = ++((struct store_sqlite *)base)->numbers[NUMBER_CONTACT];
	return true;
}

bool sqlite_add_contacts(struct store *base, struct contact *const contacts[], size_t count)
{
	struct store_sqlite *store = (struct store_sqlite *)base;
	bool ok = months_fresh(store);

	for (size_t i = 0; ok && i < count; i++)
		ok = contact_add(store, contacts[i]);
	return ok && runs_add(store, contacts, count);
}

/* 1: saved; 0: it is not in this month; -1: failed. */
static int month_save(struct store_sqlite *store, struct month *month, const struct contact *contact)
{
	char name[MONTH_NAME];

	month_name(month->month, name);
	if (!month->save)
		month->save = month_prepare(&store->sql,
					    "UPDATE %s SET changed = ?, state = ?, provider = ?, "
					    "provider_ref = ?, summary = ?, content = ?, code = ?, "
					    "detail = ?, reason = ?, reason_args = ?, segments = ?, late = ? "
					    "WHERE seq = ?",
					    name);
	struct cells cells = sql_cells(month->save);
	put_number(&cells, contact->changed);
	put_number(&cells, contact->state);
	put_text(&cells, contact->provider);
	put_text(&cells, contact->provider_ref);
	put_text(&cells, contact->summary);
	put_text(&cells, contact->content);
	put_text(&cells, contact->code);
	put_text(&cells, contact->detail);
	put_text(&cells, contact->reason);
	put_text(&cells, contact->reason_args);
	put_number(&cells, contact->segments);
	put_number(&cells, contact->late);
	put_number(&cells, contact->seq);
	return sql_run(&store->sql, month->save) ? sqlite3_changes(store->sql.db) == 1 : -1;
}

/* The next row of a statement that gives CONTACT_COLUMNS: 1; 0: none; -1: failed. */
static int month_next(struct store_sqlite *store, sqlite3_stmt *statement, struct contact *out)
{
	int more = sql_step(&store->sql, statement);

	if (more <= 0)
		return more;
	struct cells cells = sql_cells(statement);
	*out = (struct contact){0};
	sql_read_contact(&cells, out);
	out->customer_id = xstrdup("");
	out->address_value = xstrdup("");
	out->meta = xstrdup("");
	return several_read(&store->sql, out) ? 1 : -1;
}

/* The one row of a statement: likewise. */
static int month_take(struct store_sqlite *store, sqlite3_stmt *statement, struct contact *out)
{
	int more = month_next(store, statement, out);

	if (more)
		sqlite3_reset(statement);
	return more;
}

static int month_read(struct store_sqlite *store, struct month *month, int64_t seq, struct contact *out)
{
	char name[MONTH_NAME];

	month_name(month->month, name);
	if (!month->get)
		month->get = month_prepare(&store->sql, "SELECT " CONTACT_COLUMNS " FROM %s c WHERE seq = ?",
					   name);
	struct cells cells = sql_cells(month->get);
	put_number(&cells, seq);
	return month_take(store, month->get, out);
}

bool month_may_have(const struct month *month, int64_t seq)
{
	return month->first && month->first <= seq && seq <= month->last;
}

bool sqlite_save_contacts(struct store *base, struct contact *const contacts[], size_t count)
{
	struct store_sqlite *store = (struct store_sqlite *)base;
	bool ok = months_fresh(store);

	for (size_t i = 0; ok && i < count; i++) {
		int saved = 0;
		contacts[i]->changed = ++store->numbers[NUMBER_CHANGED];
		for (size_t m = 0; !saved && m < store->month_count; m++)
			if (month_may_have(&store->months[m], contacts[i]->seq))
				saved = month_save(store, &store->months[m], contacts[i]);
		ok = saved > 0;
		if (!saved)
			text_error(&base->error, "store: there is no contact %lld",
				   (long long)contacts[i]->seq);
	}
	return ok;
}

bool sqlite_get_contacts(struct store *base, const int64_t seq[], size_t count, struct contact out[])
{
	struct store_sqlite *store = (struct store_sqlite *)base;
	bool ok = months_fresh(store);

	memset(out, 0, count * sizeof *out);
	for (size_t i = 0; ok && i < count; i++) {
		int found = 0;
		for (size_t m = 0; !found && m < store->month_count; m++)
			if (month_may_have(&store->months[m], seq[i]))
				found = month_read(store, &store->months[m], seq[i], &out[i]);
		ok = found >= 0;
	}
	return ok;
}

static int by_seq(const void *a, const void *b)
{
	int64_t left = ((const struct contact *)a)->seq, right = ((const struct contact *)b)->seq;

	return (left > right) - (left < right);
}

static int month_doubts(struct store_sqlite *store, struct month *month, int64_t customer, int64_t since,
			struct contact **out, size_t *count)
{
	char name[MONTH_NAME];
	int more;

	month_name(month->month, name);
	if (!month->doubts)
		month->doubts = month_prepare(&store->sql,
					      "SELECT " CONTACT_COLUMNS " FROM %s c INDEXED BY %s_in_doubt "
					      "WHERE c.customer = ? AND c.state = 5 AND c.at >= ?",
					      name, name);
	struct cells cells = sql_cells(month->doubts);
	put_number(&cells, customer);
	put_number(&cells, since);
	do {
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		more = month_next(store, month->doubts, &(*out)[*count]);
		*count += more > 0;
	} while (more > 0);
	sqlite3_reset(month->doubts);
	return more;
}

bool sqlite_doubts_of(struct store *base, int64_t customer, int64_t since, struct contact **out,
		      size_t *count)
{
	struct store_sqlite *store = (struct store_sqlite *)base;
	size_t start = *count;
	bool ok = months_fresh(store);

	for (size_t m = 0; ok && m < store->month_count; m++)
		ok = store->months[m].month < month_of(since) ||
		     month_doubts(store, &store->months[m], customer, since, out, count) == 0;
	if (*count > start)
		qsort(*out + start, *count - start, sizeof **out, by_seq);
	return ok;
}

/* The newest month before `below`; NULL: there is none. */
static struct month *month_before(struct store_sqlite *store, int below)
{
	struct month *newest = NULL;

	for (size_t m = 0; m < store->month_count; m++)
		if (store->months[m].month < below && (!newest || store->months[m].month > newest->month))
			newest = &store->months[m];
	return newest;
}

bool sqlite_find_contact(struct store *base, enum direction direction, const char *provider,
			 const char *provider_ref, struct contact *out)
{
	struct store_sqlite *store = (struct store_sqlite *)base;
	struct month *month = NULL;
	int found = months_fresh(store) ? 0 : -1;
	char name[MONTH_NAME];

	while (found == 0 && *provider_ref && (month = month_before(store, month ? month->month : INT_MAX))) {
		month_name(month->month, name);
		if (!month->find)
			month->find = month_prepare(&store->sql,
						    "SELECT " CONTACT_COLUMNS
						    " FROM %s c WHERE c.provider_ref = ? AND "
						    "c.provider_ref != '' AND c.provider = ? AND "
						    "c.direction = ? ORDER BY c.seq DESC LIMIT 1",
						    name);
		struct cells cells = sql_cells(month->find);
		put_text(&cells, provider_ref);
		put_text(&cells, provider);
		put_number(&cells, direction);
		found = month_take(store, month->find, out);
	}
	return found >= 0;
}

/* The newest in a run that may have arrived, if it is in this month: 1, 0 or -1. */
static int month_sent(struct store_sqlite *store, struct month *month, int64_t run, int64_t customer,
		      int64_t address, const char *provider, struct contact *out)
{
	char name[MONTH_NAME];

	month_name(month->month, name);
	if (!month->newest)
		month->newest = month_prepare(
			&store->sql,
			"SELECT " CONTACT_COLUMNS " FROM customer_contact o CROSS JOIN %s c ON c.seq = o.seq "
			"WHERE o.run = ?1 AND o.customer = ?2 AND c.address = ?3 "
			"AND c.direction = 0 AND c.attempt > 0 AND c.reason <> 'answer' "
			"AND c.state IN (2, 3, 4, 5) "
			"AND (?4 = '' OR c.provider = ?4) "
			"ORDER BY o.seq DESC LIMIT 1",
			name);
	struct cells cells = sql_cells(month->newest);
	put_number(&cells, run);
	put_number(&cells, customer);
	put_number(&cells, address);
	put_text(&cells, provider ? provider : "");
	return month_take(store, month->newest, out);
}

bool sqlite_last_sent(struct store *base, int64_t customer, int64_t address, const char *provider,
		      struct contact *out)
{
	struct store_sqlite *store = (struct store_sqlite *)base;
	int64_t run = runs_from(INT64_MAX, true), low, high;
	int found = months_fresh(store) ? 0 : -1, more = 0;

	while (found >= 0 && !out->seq && (more = runs_next(&store->sql, true, &run)) > 0) {
		run_ends(run, &low, &high);
		for (size_t m = 0; found >= 0 && m < store->month_count; m++) {
			struct contact next = {0};
			if (store->months[m].first > high || store->months[m].last < low)
				continue;
			found = month_sent(store, &store->months[m], run, customer, address, provider, &next);
			if (found > 0 && next.seq > out->seq) {
				contact_release(out);
				*out = next;
			} else {
				contact_release(&next);
			}
		}
	}
	return found >= 0 && more >= 0;
}

bool sqlite_attempt_of(struct store *base, int64_t message, const char *channel, struct contact *out)
{
	struct store_sqlite *store = (struct store_sqlite *)base;
	struct month *month = NULL;
	int found = months_fresh(store) ? 0 : -1;
	char name[MONTH_NAME];

	while (found == 0 && (month = month_before(store, month ? month->month : INT_MAX))) {
		month_name(month->month, name);
		if (!month->attempt)
			month->attempt = month_prepare(
				&store->sql,
				"SELECT " CONTACT_COLUMNS " FROM (SELECT seq AS newest FROM %s "
				"WHERE message = ?1 AND channel = ?2 AND direction = 0 AND attempt > 0 "
				"UNION ALL SELECT c.seq FROM contact_message m JOIN %s c ON c.seq = "
				"m.contact "
				"WHERE m.message = ?1 AND c.channel = ?2 AND c.direction = 0 AND c.attempt > "
				"0 "
				"ORDER BY 1 DESC LIMIT 1) JOIN %s c ON c.seq = newest",
				name, name, name);
		struct cells cells = sql_cells(month->attempt);
		put_number(&cells, message);
		put_text(&cells, channel);
		found = month_take(store, month->attempt, out);
	}
	return found >= 0;
}
