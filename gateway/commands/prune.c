#include <stdlib.h>

#include "cli.h"
#include "banned.h"

struct prune_given {
	bool json;
};

static int run_prune(const char *config_file, int argc, char **argv)
{
	struct prune_given given = {0};
	json_t *answer = NULL;
	size_t count;

	if (!cli_parse(&command_prune, argc, argv, &given, 0, 0, NULL, &count))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	int status = cli_call(cli, "POST", "/v1/prune", NULL, &answer);
	while (status == STATUS_DONE && !json_is_true(json_object_get(answer, "finished"))) {
		json_decref(answer);
		status = cli_call(cli, "POST", "/v1/prune", NULL, &answer);
	}
	if (status == STATUS_DONE && given.json) {
		cli_json(answer);
	} else if (status == STATUS_DONE) {
		struct text line;
		text_init(&line, CLI_PATH_MAX);
		text_addf(&line, "%lld contacts and %lld messages dropped; the texts of %lld contacts",
			  (long long)json_integer_value(json_object_get(answer, "contacts")),
			  (long long)json_integer_value(json_object_get(answer, "messages")),
			  (long long)json_integer_value(json_object_get(answer, "contents")));
		cli_line(line.data);
		text_release(&line);
	}
	json_decref(answer);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_option options_of_prune[] = {
	OPTION_FLAG(struct prune_given, json, "--json", "One JSON object."),
	{0},
};

const struct command command_prune = {
	.name = "prune",
	.usage = "prune [--json]",
	.summary = "drop what was kept long enough",
	.help = "Texts of contacts older than history.content_keep, and what their messages said; then whole "
		"months of "
		"contacts older than history.contacts_keep, with the messages that have none left: their ids "
		"are new "
		"again. The sums stay. The gateway does it by itself, once a day.",
	.options = options_of_prune,
	.example = "heed prune --json",
	.run = run_prune,
};
