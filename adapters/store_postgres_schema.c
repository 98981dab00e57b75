/* The schema: numbered steps, each applied whole or not at all, by one program at a time. A store of a newer
 * schema may be used if it says that a program which knows as many steps as this one may: so two versions
 * work side by side. */
#include "store_postgres_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "xalloc.h"
#include "banned.h"

int pg_schema_known(void)
{
	int known = 0;

	for (const struct schema_step *step = postgres_steps; step->number; step++)
		known = step->number;
	return known;
}

bool pg_schema_text(struct pg *pg, const char *name, char **value)
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_PLAIN, "t", "SELECT value FROM meta WHERE name = $1");
	pg_put_text(&query, name);
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	*value = ok && query.rows ? pg_get_text(&cells) : NULL;
	pg_query_release(&query);
	return ok;
}

static bool schema_number(struct pg *pg, const char *name, int *value)
{
	char *text = NULL;
	bool ok = pg_schema_text(pg, name, &text);

	*value = text ? (int)strtol(text, NULL, 10) : 0;
	free(text);
	return ok;
}

bool pg_schema_version(struct pg *pg, int *version)
{
	struct pg_query query;

	*version = 0;
	pg_query_init(&query, pg, PG_PLAIN, "",
		      "SELECT to_regclass(quote_ident(current_schema()) || '.meta') IS NOT NULL, "
		      "to_regclass(quote_ident(current_schema()) || '.position') IS NOT NULL");
	bool ok = pg_query_run(&query);
	struct cells cells = pg_cells(&query, 0);
	bool meta = ok && pg_get_number(&cells) != 0, ours = ok && pg_get_number(&cells) != 0;
	pg_query_release(&query);
	if (ok && meta && !ours)
		return text_error(
			pg->error,
			"store: PostgreSQL: this is another program's database; name one of heed's own");
	return ok && (!meta || schema_number(pg, "schema", version));
}

bool pg_schema_check(struct pg *pg, int version)
{
	int known = pg_schema_known();
	int oldest = 0;

	if (version == 0)
		return text_error(pg->error,
				  "store: PostgreSQL: there is no store yet; `heed migrate` makes it");
	if (version < known)
		return text_error(
			pg->error,
			"store: PostgreSQL: the schema is %d and this heed needs %d; run `heed migrate`",
			version, known);
	if (!schema_number(pg, "oldest_program", &oldest))
		return false;
	return oldest <= known ||
	       text_error(
		       pg->error,
		       "store: PostgreSQL: the schema is %d, for a heed that knows schema %d or later; this "
		       "one knows %d: use a newer heed",
		       version, oldest, known);
}

static bool step_apply(struct pg *pg, const struct schema_step *step)
{
	char set[160];

	snprintf(set, sizeof set,
		 "INSERT INTO meta VALUES ('schema', '%d') ON CONFLICT (name) DO UPDATE SET value = '%d'",
		 step->number, step->number);
	return pg_exec(pg, step->sql) && pg_exec(pg, set) && pg_exec(pg, "COMMIT");
}

bool pg_schema_apply(struct pg *pg)
{
	bool ok = true;

	for (const struct schema_step *step = postgres_steps; ok && step->number; step++) {
		int version = 0;
		/* whoever comes second finds it done */
		ok = pg_exec(pg, "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; "
				 "SELECT pg_advisory_xact_lock(hashtext('heed migrate'), "
				 "hashtext(current_schema()))") &&
		     pg_schema_version(pg, &version);
		if (ok && step->number <= version) {
			ok = pg_exec(pg, "COMMIT");
		} else if (ok && !step_apply(pg, step)) {
			char *why = xstrdup(pg->error->data);
			text_error(pg->error, "%s, in step %s of the schema", why, step->name);
			free(why);
			ok = false;
		}
	}
	if (!ok && !pg_is_lost(pg))
		PQclear(PQexec(pg->conn, "ROLLBACK"));
	return ok;
}
