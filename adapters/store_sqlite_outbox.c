/* The outbox: events that are not published yet. A row holds a batch for one stream, a line each, under the
 * number of its last one: what a turn adds costs a few rows to write and to drop, not thousands. */
#include "store_sqlite_private.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define BATCH_MAX (64 * 1024) /* bytes, unless a single event has more */

static bool batch_put(struct sql *sql, int64_t last, enum event_stream stream, const char *lines)
{
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_EVENT_ADD, "INSERT INTO outbox (seq, json, stream) VALUES (?, ?, ?)");
	struct cells cells = sql_cells(statement);

	put_number(&cells, last);
	put_text(&cells, lines);
	put_number(&cells, stream);
	return sql_run(sql, statement);
}

bool sqlite_add_events(struct store *base, struct event_row *const events[], size_t count)
{
	struct store_sqlite *store = (struct store_sqlite *)base;
	struct text *batch = &store->batch;
	bool ok = true;

	if (!batch->max)
		text_init(batch, SIZE_MAX / 2);
	for (size_t i = 0; ok && i < count; i++) {
		text_clear(batch);
		text_puts(batch, events[i]->json);
		events[i]->seq = ++store->numbers[NUMBER_EVENT];
		while (i + 1 < count && events[i + 1]->stream == events[i]->stream &&
		       batch->len + strlen(events[i + 1]->json) < BATCH_MAX) {
			text_putc(batch, '\n');
			text_puts(batch, events[++i]->json);
			events[i]->seq = ++store->numbers[NUMBER_EVENT];
		}
		ok = batch_put(&store->sql, events[i]->seq, events[i]->stream, batch->data);
	}
	return ok;
}

/* Of the line that begins at `lines`, where the last one has the number `last`. */
static int64_t line_number(const char *lines, int64_t last)
{
	for (; *lines; lines++)
		last -= *lines == '\n';
	return last;
}

bool sqlite_get_events(struct store *store, int64_t after, size_t limit, struct event_row **out,
		       size_t *count)
{
	struct sql *sql = &((struct store_sqlite *)store)->sql;
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_EVENTS, "SELECT seq, json, stream FROM outbox WHERE seq > ? ORDER BY seq");
	struct cells cells = sql_cells(statement);
	size_t capacity = *count, end = *count + limit;
	int more = 0;

	put_number(&cells, after);
	while (*count < end && (more = sql_step(sql, statement)) > 0) {
		const char *line = (const char *)sqlite3_column_text(statement, 1);
		int64_t seq = line_number(line, sqlite3_column_int64(statement, 0));
		enum event_stream stream = (enum event_stream)sqlite3_column_int(statement, 2);
		for (; line && *count < end; seq++) {
			size_t len = strcspn(line, "\n");
			if (*count == capacity) {
				capacity = capacity ? 2 * capacity : 64;
				*out = xreallocarray(*out, capacity, sizeof **out);
			}
			if (seq > after)
				(*out)[(*count)++] = (struct event_row){seq, stream, xmemdup0(line, len)};
			line = line[len] ? line + len + 1 : NULL;
		}
	}
	sqlite3_reset(statement);
	return more >= 0;
}

/* The batch of which only a part may go is written again without it. */
static bool batch_cut(struct sql *sql, int64_t up_to)
{
	sqlite3_stmt *statement = sql_statement(
		sql, SQL_EVENTS_CUT, "SELECT seq, json FROM outbox WHERE seq > ? ORDER BY seq LIMIT 1");
	struct cells cells = sql_cells(statement);

	put_number(&cells, up_to);
	int more = sql_step(sql, statement);
	if (more <= 0)
		return more == 0;
	const char *line = (const char *)sqlite3_column_text(statement, 1);
	int64_t last = sqlite3_column_int64(statement, 0), seq = line_number(line, last);
	bool cut = seq <= up_to;
	for (; seq <= up_to; seq++)
		line += strcspn(line, "\n") + 1;
	char *rest = cut ? xstrdup(line) : NULL;
	sqlite3_reset(statement);
	if (!cut)
		return true;
	statement = sql_statement(sql, SQL_EVENTS_REST, "UPDATE outbox SET json = ? WHERE seq = ?");
	cells = sql_cells(statement);
	put_text(&cells, rest);
	put_number(&cells, last);
	bool ok = sql_run(sql, statement);
	free(rest);
	return ok;
}

bool sqlite_drop_events(struct store *store, int64_t up_to)
{
	struct sql *sql = &((struct store_sqlite *)store)->sql;
	sqlite3_stmt *statement = sql_statement(sql, SQL_EVENTS_DROP, "DELETE FROM outbox WHERE seq <= ?");
	struct cells cells = sql_cells(statement);

	put_number(&cells, up_to);
	return sql_run(sql, statement) && batch_cut(sql, up_to);
}
