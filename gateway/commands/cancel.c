#include <stdlib.h>

#include "cli.h"
#include "banned.h"

static void show(const json_t *answer, const char *message, const char *campaign)
{
	char *state = cli_words(answer, "state");
	struct text line;

	text_init(&line, CLI_PATH_MAX);
	if (message)
		text_addf(&line, "%s: %s", message, state);
	else
		text_addf(&line, "campaign %s is cancelled", campaign);
	cli_line(line.data);
	cli_on_their_way(answer);
	text_release(&line);
	free(state);
}

static int run_cancel(const char *config_file, int argc, char **argv)
{
	const char *words[1] = {NULL}, *campaign = NULL, *why = NULL;
	bool json = false;
	size_t count;
	const struct cli_option options[] = {
		{"--campaign", &campaign, NULL}, {"--why", &why, NULL}, {"--json", NULL, &json}, {0}};
	json_t *answer = NULL;
	struct text path;

	if (!cli_parse(&command_cancel, argc, argv, options, 0, 1, words, &count))
		return STATUS_USAGE;
	const char *message = count ? words[0] : NULL;
	if (!message == !campaign)
		return cli_usage(&command_cancel, "a message or --campaign is wanted");
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, message ? "/v1/messages/:/cancel" : "/v1/campaigns/:/cancel",
		 message ? message : campaign, NULL);
	json_t *body = json_pack("{s:s}", "why", why ? why : "");
	int status = body ? cli_call(cli, "POST", path.data, body, &answer)
			  : cli_error("--why: is not UTF-8");
	if (status == STATUS_DONE && json)
		cli_json(answer);
	else if (status == STATUS_DONE)
		show(answer, message, campaign);
	json_decref(body);
	json_decref(answer);
	text_release(&path);
	cli_close(cli);
	return cli_end(status);
}

const struct command command_cancel = {
	"cancel",
	"cancel MESSAGE|--campaign X [--why WORDS] [--json]",
	"take messages back",
	"A message that waits ends as cancelled; one that is on its way can't be taken back.\n\n"
	"A campaign stays cancelled until `heed release --campaign X`: what waits of it ends, in slices and first\n"
	"of all what would go next, and so does what still comes of it out of the queue. What was in doubt stays\n"
	"so and is not sent again.\n\n"
	"Example: heed cancel --campaign spring --why 'wrong date in the text'",
	run_cancel,
};
