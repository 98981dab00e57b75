#include <stdlib.h>

#include "cli.h"
#include "banned.h"

struct retry_given {
	bool json;
};

static int run_retry(const char *config_file, int argc, char **argv)
{
	const char *words[1];
	struct retry_given given = {0};
	size_t count;
	json_t *answer = NULL;
	struct text path;

	if (!cli_parse(&command_retry, argc, argv, &given, 1, 1, words, &count))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, "/v1/messages/:/retry", words[0], NULL);
	int status = cli_call(cli, "POST", path.data, NULL, &answer);
	if (status == STATUS_DONE && given.json) {
		cli_json(answer);
	} else if (status == STATUS_DONE) {
		char *state = cli_words(answer, "state");
		text_clear(&path);
		text_addf(&path, "%s: %s", words[0], state);
		cli_line(path.data);
		free(state);
	}
	json_decref(answer);
	text_release(&path);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_option options_of_retry[] = {
	OPTION_FLAG(struct retry_given, json, "--json", "One JSON object."),
	{0},
};

const struct command command_retry = {
	.name = "retry",
	.usage = "retry MESSAGE [--json]",
	.summary = "try a failed message again",
	.help = "From the start of what the customer chose, as it is now.",
	.options = options_of_retry,
	.example = "heed retry m-8",
	.run = run_retry,
};
