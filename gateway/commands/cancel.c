#include <stdlib.h>

#include "cli.h"
#include "banned.h"

struct cancel_given {
	const char *campaign, *why;
	bool json;
};

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
	const char *words[1] = {NULL};
	struct cancel_given given = {0};
	size_t count;
	json_t *answer = NULL;
	struct text path;

	if (!cli_parse(&command_cancel, argc, argv, &given, 0, 1, words, &count))
		return STATUS_USAGE;
	const char *message = count ? words[0] : NULL;
	if (!message == !given.campaign)
		return cli_usage(&command_cancel, "cancel: a message or --campaign is wanted");
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, message ? "/v1/messages/:/cancel" : "/v1/campaigns/:/cancel",
		 message ? message : given.campaign, NULL);
	json_t *body = json_pack("{s:s}", "why", given.why ? given.why : "");
	int status =
		body ? cli_call(cli, "POST", path.data, body, &answer) : cli_error("--why: is not UTF-8");
	if (status == STATUS_DONE && given.json)
		cli_json(answer);
	else if (status == STATUS_DONE)
		show(answer, message, given.campaign);
	json_decref(body);
	json_decref(answer);
	text_release(&path);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_word words_of_cancel[] = {
	{"MESSAGE", NULL, "One that waits; what is on its way can't be taken back."},
	{0},
};

static const struct command_option options_of_cancel[] = {
	OPTION_VALUE(struct cancel_given, campaign, "--campaign", "CAMPAIGN",
		     "All of it, in the place of one message."),
	OPTION_VALUE(struct cancel_given, why, "--why", "WORDS", "For those who ask later."),
	OPTION_FLAG(struct cancel_given, json, "--json", "One JSON object."),
	{0},
};

const struct command command_cancel = {
	.name = "cancel",
	.usage = "cancel MESSAGE|--campaign X [--why WORDS] [--json]",
	.summary = "take messages back",
	.help = "What waits ends as cancelled. A campaign stays cancelled until `heed release --campaign X`: "
		"nothing "
		"of it leaves any more, what waits of it ends within seconds, and so does what still comes "
		"of it "
		"out of the queue. What was in doubt stays so, and is not sent again.",
	.words = words_of_cancel,
	.options = options_of_cancel,
	.example = "heed cancel --campaign spring --why 'wrong date in the text'",
	.run = run_cancel,
};
