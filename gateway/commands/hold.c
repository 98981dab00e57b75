/* heed hold and heed release: the same selectors. */
#include <stdlib.h>

#include "cli.h"
#include "hold.h"
#include "banned.h"

#define KIND_WIDTH 9
#define NAME_WIDTH 20

static const enum hold_kind kinds[] = {HOLD_CHANNEL, HOLD_PROVIDER, HOLD_PRODUCT, HOLD_CAMPAIGN, HOLD_LANE};
#define KINDS (sizeof kinds / sizeof kinds[0])

struct hold_words {
	const char *names[KINDS], *why;
	bool list, json;
};

/* The place in `kinds` of the one selector that was given. False, and said: none, or several. */
static bool one_selector(const struct command *command, const struct hold_words *words, size_t *which)
{
	size_t found = 0;

	for (size_t i = 0; i < KINDS; i++)
		if (words->names[i]) {
			*which = i;
			found++;
		}
	if (found != 1)
		cli_usage(command, "one of --channel, --provider, --product, --campaign and --lane is wanted");
	return found == 1;
}

static void show_list(const json_t *answer)
{
	static const char *const keys[] = {"kind", "name", "at", "by", "why"};
	static const size_t widths[] = {KIND_WIDTH, NAME_WIDTH, 24, 12, 0};
	json_t *hold;
	size_t i;
	struct text line;

	text_init(&line, CLI_PATH_MAX);
	json_array_foreach(json_object_get(answer, "holds"), i, hold)
	{
		text_clear(&line);
		for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
			char *words = cli_words(hold, keys[k]);
			cli_cell(&line, words, widths[k]);
			free(words);
		}
		cli_line(line.data);
	}
	if (!i)
		cli_line("nothing is held");
	text_release(&line);
}

static int list(struct cli *cli, bool json)
{
	json_t *answer = NULL;
	int status = cli_call(cli, "GET", "/v1/holds", NULL, &answer);

	if (status == STATUS_DONE && json)
		cli_json(answer);
	else if (status == STATUS_DONE)
		show_list(answer);
	json_decref(answer);
	return status;
}

static int hold(struct cli *cli, const struct hold_words *words, size_t which)
{
	json_t *body = json_pack("{s:s, s:s}", hold_kind_name(kinds[which]), words->names[which], "why",
				 words->why ? words->why : "");
	json_t *answer = NULL;
	struct text line;
	int status = body ? cli_call(cli, "POST", "/v1/holds", body, &answer)
			  : cli_error("the name or the reason is not UTF-8");

	text_init(&line, CLI_PATH_MAX);
	if (status == STATUS_DONE && words->json) {
		cli_json(answer);
	} else if (status == STATUS_DONE) {
		text_addf(&line, "%s %s is held", hold_kind_name(kinds[which]), words->names[which]);
		cli_line(line.data);
		cli_on_their_way(answer);
	}
	text_release(&line);
	json_decref(body);
	json_decref(answer);
	return status;
}

static int run_hold(const char *config_file, int argc, char **argv)
{
	struct hold_words words = {0};
	size_t count, which = 0;
	const struct cli_option options[] = {
		{"--channel", &words.names[0], NULL}, {"--provider", &words.names[1], NULL},
		{"--product", &words.names[2], NULL}, {"--campaign", &words.names[3], NULL},
		{"--lane", &words.names[4], NULL},    {"--why", &words.why, NULL},
		{"--list", NULL, &words.list},	      {"--json", NULL, &words.json},
		{0}};

	if (!cli_parse(&command_hold, argc, argv, options, 0, 0, NULL, &count))
		return STATUS_USAGE;
	if (!words.list && !one_selector(&command_hold, &words, &which))
		return STATUS_USAGE;
	if (!words.list && (!words.why || !*words.why))
		return cli_usage(&command_hold, "--why: say why, for those who ask later");
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	int status = words.list ? list(cli, words.json) : hold(cli, &words, which);
	cli_close(cli);
	return cli_end(status);
}

static int run_release(const char *config_file, int argc, char **argv)
{
	struct hold_words words = {0};
	size_t count, which = 0;
	const struct cli_option options[] = {
		{"--channel", &words.names[0], NULL}, {"--provider", &words.names[1], NULL},
		{"--product", &words.names[2], NULL}, {"--campaign", &words.names[3], NULL},
		{"--lane", &words.names[4], NULL},    {"--why", &words.why, NULL},
		{"--json", NULL, &words.json},	      {0}};
	json_t *answer = NULL;
	struct text text;

	if (!cli_parse(&command_release, argc, argv, options, 0, 0, NULL, &count) ||
	    !one_selector(&command_release, &words, &which))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&text, CLI_PATH_MAX);
	text_puts(&text, "/v1/holds");
	cli_query(&text, hold_kind_name(kinds[which]), words.names[which]);
	cli_query(&text, "why", words.why);
	int status = cli_call(cli, "DELETE", text.data, NULL, &answer);
	if (status == STATUS_DONE && words.json) {
		cli_json(answer);
	} else if (status == STATUS_DONE) {
		text_clear(&text);
		text_addf(&text, "%s %s goes on", hold_kind_name(kinds[which]), words.names[which]);
		cli_line(text.data);
	}
	text_release(&text);
	json_decref(answer);
	cli_close(cli);
	return cli_end(status);
}

const struct command command_hold = {
	"hold",
	"hold --channel|--provider|--product|--campaign|--lane X --why WORDS | --list [--json]",
	"stop what matches",
	"Nothing of it leaves any more once this is answered, but for the messages listed as on their way. What is\n"
	"held waits, as deferred, until `heed release`; it is not given up meanwhile. A product is held with its\n"
	"parts. Who held it, and why, stand in `heed explain` and in the log of changes.\n\n"
	"--list   what is held, and campaigns that were cancelled\n"
	"--json   as JSON\n\n"
	"Example: heed hold --campaign spring --why 'wrong date in the text'",
	run_hold,
};

const struct command command_release = {
	"release",
	"release --channel|--provider|--product|--campaign|--lane X [--why WORDS] [--json]",
	"let what was held go on",
	"It goes on where it was. A campaign that was cancelled is one like any other again: what ended stays\n"
	"ended, what comes from now on is sent.\n\n"
	"Example: heed release --campaign spring",
	run_release,
};
