/* The writer's customers, addresses, preferences, and the numbered log of their changes. */
#include "store_sqlite_private.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

static struct store_sqlite *of(struct store *store)
{
	return (struct store_sqlite *)store;
}

bool sqlite_read_facts(struct store *store, struct facts *const facts[], size_t count)
{
	bool ok = beside_write(of(store));

	for (size_t i = 0; ok && i < count; i++)
		ok = sql_read_facts(&of(store)->sql, facts[i]);
	return ok;
}

bool sqlite_get_customer(struct store *store, const char *id, struct customer **out)
{
	return sql_get_customer(&of(store)->sql, id, 0, out);
}

bool sqlite_get_preferences(struct store *store, int64_t customer, struct preference **out, size_t *count)
{
	return sql_get_preferences(&of(store)->sql, customer, out, count);
}

static bool save_facts(struct store_sqlite *store, const struct customer *customer)
{
	struct sql *sql = &store->sql;
	sqlite3_stmt *statement = sql_statement(sql, SQL_CUSTOMER_SAVE,
						"UPDATE customer SET id = ?, name = ?, locale = ?, "
						"timezone = ?, seq = ?, addresses = ? WHERE n = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, customer->id);
	put_text(&cells, customer->name);
	put_text(&cells, customer->locale);
	put_text(&cells, customer->timezone);
	put_number(&cells, customer->seq);
	put_text(&cells, store_beside_text(customer, &store->rooms[0]));
	put_number(&cells, customer->n);
	if (!sql_run(sql, statement))
		return false;
	return sqlite3_changes(sql->db) == 1 ||
	       text_error(sql->error, "store: there is no customer %lld", (long long)customer->n);
}

static bool find_address(struct sql *sql, const char *channel, const char *value, struct address_row *out)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_ADDRESS_FIND,
		"SELECT n, state, seq, answered_at FROM address WHERE value = ? AND channel = ?");
	struct cells cells = sql_cells(statement);

	put_text(&cells, value);
	put_text(&cells, channel);
	int more = sql_step(sql, statement);
	if (more <= 0)
		return more == 0;
	cells = sql_cells(statement);
	out->n = get_number(&cells);
	out->state = (enum address_state)get_number(&cells);
	out->seq = get_number(&cells);
	out->answered_at = get_number(&cells);
	sqlite3_reset(statement);
	return true;
}

/* A row that is there already is found; else it is made, as `row` says, and gets its number. */
static bool address_there(struct store_sqlite *store, const char *channel, const char *value,
			  struct address_row *row)
{
	struct sql *sql = &store->sql;

	if (!find_address(sql, channel, value, row))
		return false;
	if (row->n)
		return true;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_ADDRESS_ADD,
			      "INSERT INTO address (n, channel, value, state, seq) VALUES (?, ?, ?, ?, ?)");
	struct cells cells = sql_cells(statement);
	row->n = ++store->numbers[NUMBER_ADDRESS];
	put_number(&cells, row->n);
	put_text(&cells, channel);
	put_text(&cells, value);
	put_number(&cells, row->state);
	put_number(&cells, row->seq);
	return sql_run(sql, statement);
}

/* The address's row: the one that all share, or a new one. */
static bool put_address(struct store_sqlite *store, struct address *address)
{
	struct address_row row = {.state = address->state, .seq = address->seq};
	bool ok = address_there(store, address->channel, address->value, &row);

	address->n = row.n;
	address->state = row.state;
	address->seq = row.seq;
	return ok;
}

bool sqlite_get_address(struct store *store, const char *channel, const char *value, bool make,
			struct address_row *out)
{
	return make ? address_there(of(store), channel, value, out)
		    : find_address(&of(store)->sql, channel, value, out);
}

bool sqlite_answered(struct store *store, int64_t address, int64_t at)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_ADDRESS_ANSWERED, "UPDATE address SET answered_at = ? WHERE n = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, at);
	put_number(&cells, address);
	return sql_run(sql, statement);
}

bool sqlite_stamp_customer(struct store *store, int64_t customer, int64_t seq)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_CUSTOMER_STAMP, "UPDATE customer SET seq = ? WHERE n = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, seq);
	put_number(&cells, customer);
	if (!sql_run(sql, statement))
		return false;
	return sqlite3_changes(sql->db) == 1 ||
	       text_error(sql->error, "store: there is no customer %lld", (long long)customer);
}

static bool drop_links(struct sql *sql, int64_t customer)
{
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_ADDRESSES_DROP, "DELETE FROM customer_address WHERE customer = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, customer);
	return sql_run(sql, statement);
}

bool sqlite_put_customer(struct store *store, struct customer *customer)
{
	struct sql *sql = &of(store)->sql;
	struct customer *const only[] = {customer};
	bool ok = true;

	for (size_t i = 0; ok && i < customer->address_count; i++)
		ok = put_address(of(store), &customer->addresses[i]);
	if (!ok)
		return false;
	if (!customer->n)
		return sqlite_number_customers(store, only, 1) && sqlite_add_customers(store, only, 1);
	return save_facts(of(store), customer) && drop_links(sql, customer->n) &&
	       sql_link_addresses(sql, only, 1);
}

bool sqlite_put_preference(struct store *store, int64_t customer, const struct preference *preference)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_PREFERENCE_PUT,
			      "REPLACE INTO preference (customer, product, channels, hours, digest, "
			      "paused_until, version, changed_at, changed_by, seq) "
			      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	struct cells cells = sql_cells(statement);
	char *channels = store_channels_text(preference);

	put_number(&cells, customer);
	put_text(&cells, preference->product);
	put_text(&cells, channels);
	put_text(&cells, preference->hours);
	put_text(&cells, preference->digest);
	put_number(&cells, preference->paused_until);
	put_number(&cells, preference->version);
	put_number(&cells, preference->changed_at);
	put_text(&cells, preference->changed_by);
	put_number(&cells, preference->seq);
	bool ok = sql_run(sql, statement);
	free(channels);
	store_stale_add(&of(store)->stale, customer);
	return ok;
}

bool sqlite_set_address_state(struct store *store, int64_t address, enum address_state state, int64_t seq)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_ADDRESS_STATE, "UPDATE address SET state = ?, seq = ?, moved = 1 WHERE n = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, state);
	put_number(&cells, seq);
	put_number(&cells, address);
	beside_moved(of(store), address);
	if (!sql_run(sql, statement))
		return false;
	return sqlite3_changes(sql->db) == 1 ||
	       text_error(sql->error, "store: there is no address %lld", (long long)address);
}

bool sqlite_customers_of_address(struct store *store, int64_t address, int64_t **customers, size_t *count)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_ADDRESS_OWNERS,
		"SELECT DISTINCT customer FROM customer_address WHERE address = ? ORDER BY customer");
	struct cells cells = sql_cells(statement);
	size_t capacity = 0;
	int more;

	put_number(&cells, address);
	while ((more = sql_step(sql, statement)) > 0) {
		if (*count == capacity) {
			capacity = capacity ? 2 * capacity : 8;
			*customers = xreallocarray(*customers, capacity, sizeof **customers);
		}
		(*customers)[(*count)++] = sqlite3_column_int64(statement, 0);
	}
	return more == 0;
}

bool sqlite_last_choice(struct store *store, int64_t customer, const char *product, char **choice)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_LAST_CHOICE,
		"SELECT new_value FROM change_log WHERE customer = ? AND subject = ? AND kind = 0 "
		"AND changed_by <> 'import' ORDER BY seq DESC LIMIT 1");
	struct cells cells = sql_cells(statement);

	put_number(&cells, customer);
	put_text(&cells, product);
	int more = sql_step(sql, statement);
	if (more > 0)
		*choice = xstrdup((const char *)sqlite3_column_text(statement, 0));
	sqlite3_reset(statement);
	return more >= 0;
}

bool sqlite_put_again(struct store *store, const struct again_at *again)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_AGAIN_PUT, "REPLACE INTO again (customer, after) VALUES (?, ?)");
	struct cells cells = sql_cells(statement);

	put_number(&cells, again->customer);
	put_number(&cells, again->after);
	return sql_run(sql, statement);
}

bool sqlite_drop_again(struct store *store, int64_t customer)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(sql, SQL_AGAIN_DROP, "DELETE FROM again WHERE customer = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, customer);
	return sql_run(sql, statement);
}

bool sqlite_get_again(struct store *store, struct again_at **out, size_t *count)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_AGAIN, "SELECT customer, after FROM again ORDER BY customer");
	int more;

	while ((more = sql_step(sql, statement)) > 0) {
		struct cells cells = sql_cells(statement);
		*out = xreallocarray(*out, *count + 1, sizeof **out);
		struct again_at *again = &(*out)[(*count)++];
		again->customer = get_number(&cells);
		again->after = get_number(&cells);
	}
	return more == 0;
}

bool sqlite_put_hold(struct store *store, const struct hold *hold)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_HOLD_PUT,
		"REPLACE INTO hold (kind, name, why, held_by, actor, at, seq) VALUES (?, ?, ?, ?, ?, ?, ?)");
	struct cells cells = sql_cells(statement);

	put_number(&cells, hold->kind);
	put_text(&cells, hold->name);
	put_text(&cells, hold->why);
	put_text(&cells, hold->by);
	put_text(&cells, hold->actor);
	put_number(&cells, hold->at);
	put_number(&cells, hold->seq);
	return sql_run(sql, statement);
}

bool sqlite_drop_hold(struct store *store, enum hold_kind kind, const char *name)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_HOLD_DROP, "DELETE FROM hold WHERE kind = ? AND name = ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, kind);
	put_text(&cells, name);
	return sql_run(sql, statement);
}

bool sqlite_get_holds(struct store *store, struct hold **out, size_t *count)
{
	return sql_get_holds(&of(store)->sql, out, count);
}

#define CHANGE_ADD                                                                                          \
	"INSERT OR FAIL INTO change_log (seq, kind, at, given_at, customer, address, subject, changed_by, " \
	"actor, source, evidence, old_value, new_value) VALUES "
#define CHANGE_CELLS "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

static void put_change(struct cells *cells, const struct change *change)
{
	put_number(cells, change->seq);
	put_number(cells, change->kind);
	put_number(cells, change->at);
	put_number(cells, change->given_at);
	put_number(cells, change->customer);
	put_number(cells, change->address);
	put_text(cells, change->subject);
	put_text(cells, change->by);
	put_text(cells, change->actor);
	put_text(cells, change->source);
	put_text(cells, change->evidence);
	put_text(cells, change->old_value);
	put_text(cells, change->new_value);
}

bool sqlite_append_changes(struct store *store, struct change *const changes[], size_t count)
{
	struct sql *sql = &of(store)->sql;
	size_t i = 0;
	bool ok = true;

	while (ok && i < count) {
		size_t rows = count - i < SQL_ROWS ? 1 : SQL_ROWS;
		sqlite3_stmt *statement =
			rows == 1 ? sql_statement(sql, SQL_CHANGE_ADD, CHANGE_ADD CHANGE_CELLS)
				  : sql_statement(sql, SQL_CHANGES_ADD, CHANGE_ADD SQL_EIGHT(CHANGE_CELLS));
		struct cells cells = sql_cells(statement);
		for (size_t end = i + rows; i < end; i++) {
			changes[i]->seq = ++of(store)->numbers[NUMBER_CHANGE];
			put_change(&cells, changes[i]);
		}
		ok = sql_run(sql, statement);
	}
	return ok;
}

bool sqlite_put_products(struct store *store, const char *hash, const char *body, int64_t at, int64_t *seq)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_PRODUCTS_LAST,
			      "SELECT seq, subject FROM change_log WHERE kind = 3 ORDER BY seq DESC LIMIT 1");
	int more = sql_step(sql, statement);

	if (more < 0)
		return false;
	if (more > 0) {
		bool same = strcmp((const char *)sqlite3_column_text(statement, 1), hash) == 0;
		*seq = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
		if (same)
			return true;
	}
	statement = sql_statement(sql, SQL_PRODUCTS_ADD,
				  "INSERT OR IGNORE INTO product_set (hash, at, body) VALUES (?, ?, ?)");
	struct cells cells = sql_cells(statement);
	put_text(&cells, hash);
	put_number(&cells, at);
	put_text(&cells, body);
	if (!sql_run(sql, statement))
		return false;
	char nothing[] = "";
	char by[] = "gateway";
	struct change change = {.kind = CHANGE_PRODUCTS,
				.at = at,
				.given_at = at,
				.subject = (char *)hash,
				.by = by,
				.actor = nothing,
				.source = nothing,
				.evidence = nothing,
				.old_value = nothing,
				.new_value = nothing};
	if (!sqlite_append_changes(store, (struct change *const[]){&change}, 1))
		return false;
	*seq = change.seq;
	return true;
}

bool sqlite_put_template(struct store *store, const char *hash, const char *name, const char *source,
			 int64_t at)
{
	struct sql *sql = &of(store)->sql;
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_TEMPLATE_ADD,
			      "INSERT OR IGNORE INTO template (hash, name, at, source) VALUES (?, ?, ?, ?)");
	struct cells cells = sql_cells(statement);

	put_text(&cells, hash);
	put_text(&cells, name);
	put_number(&cells, at);
	put_text(&cells, source);
	return sql_run(sql, statement);
}

/* --- caps --- */

bool sqlite_cap_used(struct store *store, int64_t customer, const char *name, int64_t *used)
{
	return sql_cap_used(&((struct store_sqlite *)store)->sql, customer, name, used);
}

bool sqlite_count_caps(struct store *store, const struct cap_count counts[], size_t count, int64_t now)
{
	struct sql *sql = &((struct store_sqlite *)store)->sql;
	sqlite3_stmt *add =
		sql_statement(sql, SQL_CAP_COUNT,
			      "INSERT INTO cap_count (customer, name, used, ends) VALUES (?, ?, ?, ?) "
			      "ON CONFLICT DO UPDATE SET used = used + excluded.used");
	sqlite3_stmt *drop =
		sql_statement(sql, SQL_CAPS_DROP, "DELETE FROM cap_count WHERE customer = ? AND ends <= ?");
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++) {
		struct cells cells = sql_cells(drop);
		put_number(&cells, counts[i].customer);
		put_number(&cells, now);
		ok = sql_run(sql, drop);
		if (!ok || counts[i].ends <= now)
			continue;
		cells = sql_cells(add);
		put_number(&cells, counts[i].customer);
		put_text(&cells, counts[i].name);
		put_number(&cells, counts[i].used);
		put_number(&cells, counts[i].ends);
		ok = sql_run(sql, add);
	}
	return ok;
}
