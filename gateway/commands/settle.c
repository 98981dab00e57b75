#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "banned.h"

struct settle_given {
	bool json;
};

static int run_settle(const char *config_file, int argc, char **argv)
{
	const char *words[2];
	struct settle_given given = {0};
	size_t count;
	json_t *answer = NULL;
	struct text path;

	if (!cli_parse(&command_settle, argc, argv, &given, 2, 2, words, &count))
		return STATUS_USAGE;
	if (strcmp(words[1], "sent") != 0 && strcmp(words[1], "failed") != 0 &&
	    strcmp(words[1], "resend") != 0)
		return cli_usage(&command_settle, "%s: is not sent, failed or resend", words[1]);
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, "/v1/messages/:/settle", words[0], NULL);
	json_t *body = json_pack("{s:s}", "as", words[1]);
	int status = cli_call(cli, "POST", path.data, body, &answer);
	if (status == STATUS_DONE && given.json) {
		cli_json(answer);
	} else if (status == STATUS_DONE) {
		char *state = cli_words(answer, "state");
		text_clear(&path);
		text_addf(&path, "%s: %s", words[0], state);
		cli_line(path.data);
		free(state);
	}
	json_decref(body);
	json_decref(answer);
	text_release(&path);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_word words_of_settle[] = {
	{"MESSAGE", "sent|failed|resend",
	 "sent: it arrived. failed: it did not, and is not tried again. resend: it did not; send it again."},
	{0},
};

static const struct command_option options_of_settle[] = {
	OPTION_FLAG(struct settle_given, json, "--json", "One JSON object."),
	{0},
};

const struct command command_settle = {
	.name = "settle",
	.usage = "settle MESSAGE sent|failed|resend [--json]",
	.summary = "end the doubt about a message",
	.help = "For a message that is in_doubt: it may have been taken, and nobody but you can find out.",
	.words = words_of_settle,
	.options = options_of_settle,
	.example = "heed settle m-7 sent",
	.run = run_settle,
};
