/* The schema: numbered steps, each applied whole or not at all. A store of a newer schema may be used if it
 * says that a program which knows as many steps as this one may. */
#include "store_sqlite_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "xalloc.h"
#include "banned.h"

int schema_known(void)
{
	int known = 0;

	for (const struct schema_step *step = schema_steps; step->number; step++)
		known = step->number;
	return known;
}

bool schema_text(struct sql *sql, const char *name, char **value)
{
	sqlite3_stmt *statement = sql_prepare(sql, "SELECT value FROM meta WHERE name = ?", 0);
	struct cells cells = sql_cells(statement);

	*value = NULL;
	put_text(&cells, name);
	int more = sql_step(sql, statement);
	if (more > 0) {
		cells = sql_cells(statement);
		*value = get_text(&cells);
	}
	sqlite3_finalize(statement);
	return more >= 0;
}

static bool schema_number(struct sql *sql, const char *name, int *value)
{
	char *text = NULL;
	bool ok = schema_text(sql, name, &text);

	*value = text ? (int)strtol(text, NULL, 10) : 0;
	free(text);
	return ok;
}

bool schema_version(struct sql *sql, int *version)
{
	sqlite3_stmt *statement =
		sql_prepare(sql, "SELECT count(*), sum(name = 'meta') FROM sqlite_schema", 0);
	int more = sql_step(sql, statement);
	bool empty = more > 0 && sqlite3_column_int(statement, 0) == 0;
	bool ours = more > 0 && sqlite3_column_int(statement, 1) == 1;

	sqlite3_finalize(statement);
	*version = 0;
	if (more < 0)
		return false;
	if (!empty && !ours)
		return text_error(sql->error,
				  "store: %s: this is another program's database; name a file of heed's own",
				  sql->path);
	return empty || schema_number(sql, "schema", version);
}

bool schema_check(struct sql *sql, int version)
{
	int known = schema_known();
	int oldest = 0;

	if (version == 0)
		return text_error(sql->error, "store: %s: there is no store yet; `heed migrate` makes it",
				  sql->path);
	if (version < known)
		return text_error(sql->error,
				  "store: %s: its schema is %d and this heed needs %d; run `heed migrate`",
				  sql->path, version, known);
	if (!schema_number(sql, "oldest_program", &oldest))
		return false;
	return oldest <= known ||
	       text_error(sql->error,
			  "store: %s: its schema is %d, for a heed that knows schema %d or later; this one "
			  "knows %d: use a newer heed",
			  sql->path, version, oldest, known);
}

#define STEP_CUSTOMER_CONTACT 42 /* lists the contacts that are there */

static bool schema_step_apply(struct sql *sql, const struct schema_step *step)
{
	char set[128];

	snprintf(set, sizeof set, "REPLACE INTO meta VALUES ('schema', %d)", step->number);
	return sql_exec(sql, "BEGIN IMMEDIATE") && sql_exec(sql, step->sql) &&
	       (step->number != STEP_CUSTOMER_CONTACT || months_list(sql)) && sql_exec(sql, set) &&
	       sql_exec(sql, "COMMIT");
}

bool schema_apply(struct sql *sql, int version)
{
	for (const struct schema_step *step = schema_steps; step->number; step++) {
		if (step->number <= version)
			continue;
		if (!schema_step_apply(sql, step)) {
			char *why = xstrdup(sql->error->data);
			text_error(sql->error, "%s, in step %s of the schema", why, step->name);
			free(why);
			sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
			return false;
		}
	}
	return months_widen(sql);
}
