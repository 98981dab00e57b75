#include <string.h>

#include "cli.h"
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
};

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
	status = store ? show(store_versions(store), given.json)
		       : cli_error("%s%s", error.data, store_open_was_locked() ? "; end that one first" : "");
	store_close(store);
	text_release(&error);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_option options_of_migrate[] = {
	OPTION_FLAG(struct migrate_given, json, "--json", "One JSON object."),
	{0},
};

const struct command command_migrate = {
	.name = "migrate",
	.usage = "migrate [--json]",
	.summary = "make the store, or bring its schema up to date",
	.help = "Applies the steps of the schema that are missing, each whole or not at all. The gateway "
		"does so "
		"itself at its start unless the configuration says `store: { migrate: manual }`; it must not "
		"be "
		"running.",
	.options = options_of_migrate,
	.example = "heed migrate",
	.run = run_migrate,
};
