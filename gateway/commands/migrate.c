#include <string.h>

#include "cli.h"
#include "moment.h"
#include "store.h"
#include "banned.h"

static int show(struct store_versions versions, bool json)
{
	struct text line;

	if (json) {
		json_t *object = json_pack("{s:i, s:i, s:i}", "before", versions.before, "now", versions.now,
					   "known", versions.known);
		cli_json(object);
		json_decref(object);
		return STATUS_DONE;
	}
	text_init(&line, TEXT_ERROR_MAX);
	if (!versions.known)
		text_puts(&line, "this store has no schema");
	else if (versions.before == versions.now)
		text_addf(&line, "schema %d: nothing to do", versions.now);
	else if (versions.before)
		text_addf(&line, "schema %d, was %d", versions.now, versions.before);
	else
		text_addf(&line, "schema %d, new", versions.now);
	if (versions.now > versions.known)
		text_addf(&line, "; made by a newer heed, this one knows %d", versions.known);
	cli_line(line.data);
	text_release(&line);
	return STATUS_DONE;
}

struct migrate_given {
	bool json;
	const char *to;
};

/* --- to another store --- */

#define COPY_LEASE (7 * MOMENT_DAY) /* nobody waits for the copy */

static void tell_table(void *context, const char *table, int64_t rows)
{
	const struct migrate_given *given = context;
	struct text line;

	if (given->json) {
		json_t *object = json_pack("{s:s, s:I}", "table", table, "rows", (json_int_t)rows);
		cli_json(object);
		json_decref(object);
		return;
	}
	text_init(&line, TEXT_ERROR_MAX);
	cli_cell(&line, table, 18);
	text_addf(&line, "  %12lld", (long long)rows);
	cli_line(line.data);
	text_release(&line);
}

/* The gateway must not run, so the queue keeps what comes meanwhile. */
static int copy_to(struct store *from, struct migrate_given *given)
{
	struct text error;
	int status = STATUS_DONE;

	text_init(&error, TEXT_ERROR_MAX);
	struct store *to = store_open(given->to, true, &error);
	if (to)
		store_set_lease(to, COPY_LEASE);
	if (!to || !store_copy(from, to, tell_table, given, &error))
		status = cli_error("%s; nothing was copied", error.data);
	else if (!given->json)
		cli_line("copied whole, and checked: every row of it is there. Name it in store.url now");
	store_close(to);
	text_release(&error);
	return status;
}

static int run_migrate(const char *config_file, int argc, char **argv)
{
	struct migrate_given given = {0};
	size_t count;
	struct text error;
	int status;

	if (!cli_parse(&command_migrate, argc, argv, &given, 0, 0, NULL, &count))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&error, TEXT_ERROR_MAX);
	struct store *store = store_open(cli_config(cli)->store.url, true, &error);
	if (!store)
		status = cli_error("%s%s", error.data, store_open_was_locked() ? "; end that one first" : "");
	else
		status = given.to ? copy_to(store, &given) : show(store_versions(store), given.json);
	store_close(store);
	text_release(&error);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_option options_of_migrate[] = {
	OPTION_VALUE(struct migrate_given, to, "--to", "URL",
		     "Copy all of the store into another one, which must be empty: postgresql://…. Whole and "
		     "checked, or not at all."),
	OPTION_FLAG(struct migrate_given, json, "--json", "One JSON object; with --to one for each table."),
	{0},
};

const struct command command_migrate = {
	.name = "migrate",
	.usage = "migrate [--to URL] [--json]",
	.summary = "make the store, or bring its schema up to date",
	.help = "Applies the steps of the schema that are missing, each whole or not at all. The gateway "
		"does so "
		"itself at its start unless the configuration says `store: { migrate: manual }`; it must not "
		"be "
		"running.\n\n"
		"With --to it moves up from SQLite to PostgreSQL: what applications enqueue meanwhile waits "
		"in "
		"Redis. The old store stays as it is; the configuration is yours to change.",
	.options = options_of_migrate,
	.example = "heed migrate\nheed migrate --to postgresql://heed@db.example.com/heed",
	.run = run_migrate,
};
