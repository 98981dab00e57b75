#include <stdlib.h>

#include "cli.h"
#include "banned.h"

static int run_retry(const char *config_file, int argc, char **argv)
{
	const char *words[1];
	bool json = false;
	size_t count;
	const struct cli_option options[] = {{"--json", NULL, &json}, {0}};
	json_t *answer = NULL;
	struct text path;

	if (!cli_parse(&command_retry, argc, argv, options, 1, 1, words, &count))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, "/v1/messages/:/retry", words[0], NULL);
	int status = cli_call(cli, "POST", path.data, NULL, &answer);
	if (status == STATUS_DONE && json) {
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

const struct command command_retry = {
	"retry",
	"retry MESSAGE [--json]",
	"try a failed message again",
	"From the start of what the customer chose, as it is now.\n\n"
	"Example: heed retry m-1",
	run_retry,
};
