#include <stdio.h>
#include <stdlib.h>

#include "api.h"
#include "cli.h"
#include "xalloc.h"
#include "banned.h"

/* One page, printed. *before is moved on; 0 at the end. */
static int history_page(struct cli *cli, const char *customer, long long limit, char **before, bool json,
			long long *printed)
{
	const json_t *contact;
	struct text path;
	json_t *answer;
	size_t i;

	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, "/v1/customers/:/history", customer, NULL);
	cli_query_number(&path, "limit", limit < API_LIST_MAX ? limit : API_LIST_MAX);
	if (**before)
		cli_query(&path, "before", *before);
	int status = cli_call(cli, "GET", path.data, NULL, &answer);
	text_release(&path);
	if (status != STATUS_DONE)
		return status;
	if (!json && !*printed)
		cli_contact_heading();
	json_array_foreach(json_object_get(answer, "contacts"), i, contact)
	{
		char *line = cli_contact_words(contact, json);
		cli_line(line);
		free(line);
		++*printed;
	}
	free(*before);
	*before = cli_words(answer, "next");
	json_decref(answer);
	return status;
}

struct history_given {
	const char *limit;
	bool json;
};

static int run_history(const char *config_file, int argc, char **argv)
{
	struct history_given given = {0};
	long long limit, printed = 0;
	const char *words[1];
	size_t count;
	int status;

	if (!cli_parse(&command_history, argc, argv, &given, 1, 1, words, &count) ||
	    !cli_limit(&command_history, given.limit, 1, &limit))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	char *before = xstrdup("");
	do {
		status = history_page(cli, words[0], limit > printed ? limit - printed : 1, &before,
				      given.json, &printed);
	} while (status == STATUS_DONE && *before && printed < limit && !ferror(stdout));
	free(before);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_option options_of_history[] = {
	OPTION_VALUE(struct history_given, limit, "--limit", "N", "At most so many; 100 without it."),
	OPTION_FLAG(struct history_given, json, "--json", "One JSON object a line."),
	{0},
};

const struct command command_history = {
	.name = "history",
	.usage = "history ID [--limit 100] [--json]",
	.summary = "all contacts of a customer, newest first",
	.help = "",
	.options = options_of_history,
	.example = "heed history c-1042",
	.run = run_history,
};
