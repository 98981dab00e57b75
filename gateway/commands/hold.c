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
	const char *channel, *provider, *product, *campaign, *lane, *why;
	bool list, json;
};

/* The one selector that was given. False, and said: none, or several. */
static bool one_selector(const struct command *command, const struct hold_words *words, enum hold_kind *kind,
			 const char **name)
{
	const char *const values[KINDS] = {words->channel, words->provider, words->product, words->campaign,
					   words->lane};
	size_t found = 0;

	for (size_t i = 0; i < KINDS; i++)
		if (values[i]) {
			*kind = kinds[i];
			*name = values[i];
			found++;
		}
	if (found != 1)
		cli_usage(command,
			  "%s: one of --channel, --provider, --product, --campaign and --lane is wanted",
			  command->name);
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

static int hold(struct cli *cli, const struct hold_words *words, enum hold_kind kind, const char *name)
{
	json_t *body = json_pack("{s:s, s:s}", hold_kind_name(kind), name, "why", words->why);
	json_t *answer = NULL;
	struct text line;
	int status = body ? cli_call(cli, "POST", "/v1/holds", body, &answer)
			  : cli_error("hold: the name or the reason is not UTF-8");

	text_init(&line, CLI_PATH_MAX);
	if (status == STATUS_DONE && words->json) {
		cli_json(answer);
	} else if (status == STATUS_DONE) {
		text_addf(&line, "%s %s is held", hold_kind_name(kind), name);
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
	enum hold_kind kind = HOLD_CHANNEL;
	const char *name = NULL;
	size_t count;

	if (!cli_parse(&command_hold, argc, argv, &words, 0, 0, NULL, &count))
		return STATUS_USAGE;
	if (!words.list && !one_selector(&command_hold, &words, &kind, &name))
		return STATUS_USAGE;
	if (!words.list && (!words.why || !*words.why))
		return cli_usage(&command_hold, "--why: say why, for those who ask later");
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	int status = words.list ? list(cli, words.json) : hold(cli, &words, kind, name);
	cli_close(cli);
	return cli_end(status);
}

static int run_release(const char *config_file, int argc, char **argv)
{
	struct hold_words words = {0};
	enum hold_kind kind = HOLD_CHANNEL;
	const char *name = NULL;
	size_t count;
	json_t *answer = NULL;
	struct text text;

	if (!cli_parse(&command_release, argc, argv, &words, 0, 0, NULL, &count) ||
	    !one_selector(&command_release, &words, &kind, &name))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&text, CLI_PATH_MAX);
	text_puts(&text, "/v1/holds");
	cli_query(&text, hold_kind_name(kind), name);
	cli_query(&text, "why", words.why);
	int status = cli_call(cli, "DELETE", text.data, NULL, &answer);
	if (status == STATUS_DONE && words.json) {
		cli_json(answer);
	} else if (status == STATUS_DONE) {
		text_clear(&text);
		text_addf(&text, "%s %s goes on", hold_kind_name(kind), name);
		cli_line(text.data);
	}
	text_release(&text);
	json_decref(answer);
	cli_close(cli);
	return cli_end(status);
}

#define SELECTOR_OPTIONS                                                                                  \
	OPTION_VALUE(struct hold_words, channel, "--channel", "CHANNEL", "All that goes there."),         \
		OPTION_VALUE(                                                                             \
			struct hold_words, provider, "--provider", "PROVIDER",                            \
			"All that goes through it; where the channel has another, that one takes over."), \
		OPTION_VALUE(struct hold_words, product, "--product", "PRODUCT",                          \
			     "All about it and its parts."),                                              \
		OPTION_VALUE(struct hold_words, campaign, "--campaign", "CAMPAIGN",                       \
			     "All that belongs to it."),                                                  \
		OPTION_VALUE(struct hold_words, lane, "--lane", "urgent|normal|bulk", "All in it.")

static const struct command_option options_of_hold[] = {
	SELECTOR_OPTIONS,
	OPTION_VALUE(struct hold_words, why, "--why", "WORDS", "For those who ask later; wanted."),
	OPTION_FLAG(struct hold_words, list, "--list", "What is held, and which campaigns are cancelled."),
	OPTION_FLAG(struct hold_words, json, "--json", "One JSON object."),
	{0},
};

static const struct command_option options_of_release[] = {
	SELECTOR_OPTIONS,
	OPTION_VALUE(struct hold_words, why, "--why", "WORDS", "For those who ask later."),
	OPTION_FLAG(struct hold_words, json, "--json", "One JSON object."),
	{0},
};

const struct command command_hold = {
	.name = "hold",
	.usage = "hold --channel|--provider|--product|--campaign|--lane X --why WORDS | --list [--json]",
	.summary = "stop what matches",
	.help = "Nothing of it leaves any more once this is answered, but for the messages that are listed "
		"as on "
		"their way. What is held waits, as deferred, until `heed release`, and is not given up "
		"meanwhile. Who held it, and why, stand in `heed explain` and in the log of changes.",
	.options = options_of_hold,
	.example = "heed hold --campaign spring --why 'wrong date in the text'\n"
		   "heed hold --list",
	.run = run_hold,
};

const struct command command_release = {
	.name = "release",
	.usage = "release --channel|--provider|--product|--campaign|--lane X [--why WORDS] [--json]",
	.summary = "let what was held go on",
	.help = "It goes on where it was. A campaign that was cancelled is one like any other again: what "
		"ended "
		"stays ended, what comes from now on is sent.",
	.options = options_of_release,
	.example = "heed release --campaign spring",
	.run = run_release,
};
