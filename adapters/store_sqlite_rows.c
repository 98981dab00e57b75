/* Reading rows: the same for the writer and the readers. */
#include "store_sqlite_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

void sql_read_message(sqlite3_stmt *statement, struct message_row *out)
{
	struct cells cells = sql_cells(statement);

	out->n = get_number(&cells);
	out->id = get_text(&cells);
	const void *hash = sqlite3_column_blob(statement, cells.at);
	if (hash && sqlite3_column_bytes(statement, cells.at) == MESSAGE_HASH_SIZE)
		memcpy(out->hash, hash, MESSAGE_HASH_SIZE);
	cells.at++;
	out->customer = get_number(&cells);
	out->customer_id = get_text(&cells);
	out->product = get_text(&cells);
	out->template = get_text(&cells);
	out->campaign = get_text(&cells);
	out->purpose = (enum purpose)get_number(&cells);
	out->lane = (enum lane)get_number(&cells);
	out->admitted_at = get_number(&cells);
	out->send_at = get_number(&cells);
	out->expires_at = get_number(&cells);
	out->state = (enum state)get_number(&cells);
	out->waits_for = get_text(&cells);
	out->due = get_number(&cells);
	out->attempts = (int)get_number(&cells);
	out->tries = (int)get_number(&cells);
	out->epoch = get_number(&cells);
	out->lease = get_number(&cells);
	out->gateway = get_number(&cells);
	out->give_up_at = get_number(&cells);
	out->fault_since = get_number(&cells);
	out->rejected = get_text(&cells);
	out->waited = get_text(&cells);
	out->wait_channel = get_text(&cells);
	out->wait_since = get_number(&cells);
	out->wait_until = get_number(&cells);
	out->best = (enum state)get_number(&cells);
	out->counted = get_text(&cells);
	out->channel = get_text(&cells);
	out->contact = get_number(&cells);
	out->reasons = get_text(&cells);
	out->body = get_text(&cells);
	message_row_keep(out);
}

bool sql_append_messages(struct sql *sql, sqlite3_stmt *statement, struct message_rows *out)
{
	int more;

	while ((more = sql_step(sql, statement)) > 0)
		sql_read_message(statement, message_rows_add(out));
	return more == 0;
}

/* The one row of a statement, or zeroes. */
static bool sql_one_message(struct sql *sql, sqlite3_stmt *statement, struct message_row *out)
{
	int more = sql_step(sql, statement);

	*out = (struct message_row){0};
	if (more > 0) {
		sql_read_message(statement, out);
		sqlite3_reset(statement);
	}
	return more >= 0;
}

bool sql_find_message(struct sql *sql, const char *id, struct message_row *out)
{
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_MESSAGE_BY_ID,
			      "SELECT " MESSAGE_COLUMNS " FROM message m" MESSAGE_CUSTOMER "WHERE m.id = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, id);
	return sql_one_message(sql, statement, out);
}

bool sqlite_find_messages(struct store *store, const char *const ids[], size_t count,
			  struct message_row out[])
{
	struct sql *sql = &((struct store_sqlite *)store)->sql;
	bool ok = true;

	memset(out, 0, count * sizeof *out);
	for (size_t i = 0; ok && i < count; i++)
		ok = sql_find_message(sql, ids[i], &out[i]);
	return ok;
}

bool sqlite_get_messages(struct store *store, const int64_t n[], size_t count, struct message_row out[])
{
	struct sql *sql = &((struct store_sqlite *)store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_MESSAGE_BY_N,
			      "SELECT " MESSAGE_COLUMNS " FROM message m" MESSAGE_CUSTOMER "WHERE m.n = ?");
	bool ok = true;

	memset(out, 0, count * sizeof *out);
	for (size_t i = 0; ok && i < count; i++) {
		struct cells cells = sql_cells(statement);
		put_number(&cells, n[i]);
		ok = sql_one_message(sql, statement, &out[i]);
	}
	return ok;
}

void sql_read_contact(struct cells *cells, struct contact *out)
{
	out->seq = get_number(cells);
	out->changed = get_number(cells);
	out->at = get_number(cells);
	out->customer = get_number(cells);
	out->message = get_number(cells);
	out->product = get_text(cells);
	out->channel = get_text(cells);
	out->direction = (enum direction)get_number(cells);
	out->state = (enum state)get_number(cells);
	out->attempt = (int)get_number(cells);
	out->provider = get_text(cells);
	out->provider_ref = get_text(cells);
	out->address = get_number(cells);
	out->template = get_text(cells);
	out->template_hash = get_text(cells);
	out->summary = get_text(cells);
	out->content = get_text(cells);
	out->reason = get_text(cells);
	out->reason_args = get_text(cells);
	out->code = get_text(cells);
	out->detail = get_text(cells);
	out->preference = get_number(cells);
	out->preference_seq = get_number(cells);
	out->customer_seq = get_number(cells);
	out->address_seq = get_number(cells);
	out->products_seq = get_number(cells);
	out->segments = (int)get_number(cells);
	out->captured = get_number(cells) != 0;
	out->log_seq = get_number(cells);
	out->late = get_number(cells);
}

/* --- customers --- */

/* A row for each address, in order; one with a NULL where there is none. */
#define CUSTOMER_CELLS 7 /* before those of the address */
#define CUSTOMER_WITH_ADDRESSES                                                                      \
	"SELECT " CUSTOMER_COLUMNS ", a.n, a.channel, a.value, l.details, "                          \
	"a.state, a.seq FROM customer k LEFT JOIN customer_address l ON l.customer = k.n LEFT JOIN " \
	"address a ON a.n = l.address "

struct customer *sql_read_customer(struct cells *cells)
{
	struct customer *customer = xcalloc(1, sizeof *customer);

	customer->n = get_number(cells);
	customer->id = get_text(cells);
	customer->name = get_text(cells);
	customer->locale = get_text(cells);
	customer->timezone = get_text(cells);
	customer->seq = get_number(cells);
	customer->erased_at = get_number(cells);
	return customer;
}

bool sql_get_customer(struct sql *sql, const char *id, int64_t n, struct customer **out)
{
	sqlite3_stmt *statement =
		id ? sql_statement(sql, SQL_CUSTOMER_BY_ID,
				   CUSTOMER_WITH_ADDRESSES "WHERE k.id = ? ORDER BY l.position")
		   : sql_statement(sql, SQL_CUSTOMER_BY_N,
				   CUSTOMER_WITH_ADDRESSES "WHERE k.n = ? ORDER BY l.position");
	struct cells cells = sql_cells(statement);
	struct customer *customer = NULL;
	size_t capacity = 0;
	int more;

	*out = NULL;
	if (id)
		put_text(&cells, id);
	else
		put_number(&cells, n);
	while ((more = sql_step(sql, statement)) > 0) {
		cells = sql_cells(statement);
		if (!customer)
			customer = *out = sql_read_customer(&cells);
		cells.at = CUSTOMER_CELLS;
		if (sqlite3_column_type(statement, CUSTOMER_CELLS) == SQLITE_NULL)
			continue;
		if (customer->address_count == capacity) {
			capacity = capacity ? 2 * capacity : 4;
			customer->addresses =
				xreallocarray(customer->addresses, capacity, sizeof *customer->addresses);
		}
		struct address *address = &customer->addresses[customer->address_count++];
		address->n = get_number(&cells);
		address->channel = get_text(&cells);
		address->value = get_text(&cells);
		address->details = get_text(&cells);
		address->state = (enum address_state)get_number(&cells);
		address->seq = get_number(&cells);
	}
	if (more < 0) {
		customer_free(customer);
		*out = NULL;
	}
	return more == 0;
}

/* --- preferences --- */

#define PREFERENCE_COLUMNS                                                                             \
	"SELECT product, channels, hours, digest, paused_until, version, changed_at, changed_by, seq " \
	"FROM preference WHERE customer = ? "

static void read_preference(sqlite3_stmt *statement, struct preference *out)
{
	struct cells cells = sql_cells(statement);

	*out = (struct preference){.product = get_text(&cells)};
	store_channels_read((const char *)sqlite3_column_text(statement, cells.at++), out);
	out->hours = get_text(&cells);
	out->digest = get_text(&cells);
	out->paused_until = get_number(&cells);
	out->version = get_number(&cells);
	out->changed_at = get_number(&cells);
	out->changed_by = get_text(&cells);
	out->seq = get_number(&cells);
}

bool sql_get_preferences(struct sql *sql, int64_t customer, struct preference **out, size_t *count)
{
	sqlite3_stmt *statement = sql_statement(sql, SQL_PREFERENCES, PREFERENCE_COLUMNS "ORDER BY product");
	struct cells cells = sql_cells(statement);
	size_t capacity = 0;
	int more;

	put_number(&cells, customer);
	while ((more = sql_step(sql, statement)) > 0) {
		if (*count == capacity) {
			capacity = capacity ? 2 * capacity : 8;
			*out = xreallocarray(*out, capacity, sizeof **out);
		}
		read_preference(statement, &(*out)[(*count)++]);
	}
	return more == 0;
}

bool sql_get_chain(struct sql *sql, struct facts *facts)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_PREFERENCES_CHAIN, /* by comparing: an IN would make a table of its list each time */
		PREFERENCE_COLUMNS "AND (+product = ? OR +product = ? OR +product = '*')");
	struct cells cells = sql_cells(statement);
	int more;

	put_number(&cells, facts->customer->n);
	put_text(&cells, facts->product);
	put_text(&cells, facts->parent);
	while ((more = sql_step(sql, statement)) > 0) {
		struct preference *preference = xcalloc(1, sizeof *preference);
		read_preference(statement, preference);
		if (strcmp(preference->product, facts->product) == 0)
			facts->own = preference;
		else if (strcmp(preference->product, facts->parent) == 0)
			facts->parents = preference;
		else
			facts->star = preference;
	}
	return more == 0;
}

/* --- holds --- */

bool sql_get_holds(struct sql *sql, struct hold **out, size_t *count)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_HOLDS, "SELECT kind, name, why, held_by, actor, at, seq FROM hold ORDER BY seq");
	int more;

	while ((more = sql_step(sql, statement)) > 0) {
		struct cells cells = sql_cells(statement);
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		struct hold *hold = &(*out)[(*count)++];
		hold->kind = (enum hold_kind)get_number(&cells);
		hold->name = get_text(&cells);
		hold->why = get_text(&cells);
		hold->by = get_text(&cells);
		hold->actor = get_text(&cells);
		hold->at = get_number(&cells);
		hold->seq = get_number(&cells);
	}
	return more == 0;
}

/* --- numbers --- */

char *number_name(enum number number, char out[32])
{
	static const char *const names[] = {"last.message", "last.contact", "last.changed",
					    "last.event",   "last.change",  "last.customer",
					    "last.address", "last.gateway", "admitted"};

	if (number < NUMBER_STATE)
		snprintf(out, 32, "%s", names[number]);
	else if (number >= NUMBER_PRUNED)
		snprintf(out, 32, "pruned.%s", state_name((enum state)(number - NUMBER_PRUNED)));
	else
		snprintf(out, 32, "state.%s", state_name((enum state)(number - NUMBER_STATE)));
	return out;
}

bool sql_get_number(struct sql *sql, enum number number, int64_t *value)
{
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_GET_NUMBER, "SELECT value FROM number WHERE name = ?");
	struct cells cells = sql_cells(statement);
	char name[32];

	*value = 0;
	put_text(&cells, number_name(number, name));
	int more = sql_step(sql, statement);
	if (more > 0) {
		*value = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return more >= 0;
}

bool sql_cap_used(struct sql *sql, int64_t customer, const char *name, int64_t *used)
{
	sqlite3_stmt *statement = sql_statement(sql, SQL_CAP_USED,
						"SELECT used FROM cap_count WHERE customer = ? AND name = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, customer);
	put_text(&cells, name);
	int more = sql_step(sql, statement);
	if (more > 0) {
		*used = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return more >= 0;
}

bool sql_begin_reading(struct sql *sql)
{
	return sql_run(sql, sql_statement(sql, SQL_BEGIN, "BEGIN"));
}

void sql_end_reading(struct sql *sql)
{
	if (!sqlite3_get_autocommit(sql->db))
		sql_run(sql, sql_statement(sql, SQL_COMMIT, "COMMIT"));
}
