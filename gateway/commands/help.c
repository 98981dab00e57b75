#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "reason.h"
#include "banned.h"

#define HELP_MAX (1024 * 1024)

static const struct {
	const char *code, *says, *help;
} reasons[] = {
#define REASON(code, says, help) {#code, says, help},
#include "reason_codes.h"
#undef REASON
};

static int help_reasons(bool json)
{
	bool ok = true;

	for (size_t i = 0; ok && i < sizeof reasons / sizeof reasons[0]; i++) {
		if (json) {
			json_t *line = json_pack("{s:s, s:s, s:s}", "code", reasons[i].code, "says",
						 reasons[i].says, "help", reasons[i].help);
			ok = cli_json(line);
			json_decref(line);
		} else {
			ok = printf("%s\n    \"%s\"\n    %s\n", reasons[i].code, reasons[i].says,
				    reasons[i].help) >= 0;
		}
	}
	return cli_end(STATUS_DONE);
}

static int help_config(enum config_help form)
{
	struct text out;

	text_init(&out, HELP_MAX);
	config_help_write(form, &out);
	fputs(out.data, stdout);
	text_release(&out);
	return cli_end(STATUS_DONE);
}

static int help_all(void)
{
	printf("heed: a messaging gateway that honours the customer's choice of channel\n\n"
	       "usage: heed [--config FILE] COMMAND …\n\n");
	for (size_t i = 0; commands[i]; i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n`heed COMMAND --help` says more; so do `heed help config` and `heed help reasons`.\n"
	       "Without --config: HEED_CONFIG, config/heed.yaml, /etc/heed/heed.yaml.\n"
	       "Status: 0 done, 1 it could not be done, 2 the words or the configuration are wrong.\n");
	return cli_end(STATUS_DONE);
}

static int help_command(const struct command *command)
{
	const char *help = command->help ? command->help : "";

	printf("usage: heed [--config FILE] %s\n\n%s\n", command->usage, command->summary);
	if (*help)
		printf("\n%s%s", help, help[strlen(help) - 1] == '\n' ? "" : "\n");
	return cli_end(STATUS_DONE);
}

static int run_help(const char *config_file, int argc, char **argv)
{
	const char *words[2];
	bool json = false;
	size_t count;
	const struct cli_option options[] = {
		{"--json", NULL, &json}, {"--help", NULL, &(bool){false}}, {"-h", NULL, &(bool){false}}, {0}};

	(void)config_file;
	if (!cli_parse(&command_help, argc, argv, options, 0, 2, words, &count))
		return STATUS_USAGE;
	if (!count)
		return help_all();
	if (strcmp(words[0], "config") == 0) {
		const char *form = count == 2 ? words[1] : "text";
		if (strcmp(form, "man") == 0)
			return help_config(CONFIG_HELP_MAN);
		if (strcmp(form, "sample") == 0)
			return help_config(CONFIG_HELP_SAMPLE);
		if (strcmp(form, "text") == 0)
			return help_config(CONFIG_HELP_TEXT);
		return cli_usage(&command_help, "%s: is not text, man or sample", form);
	}
	if (count == 2)
		return cli_usage(&command_help, "%s: is one word too many", words[1]);
	if (strcmp(words[0], "reasons") == 0)
		return help_reasons(json);
	const struct command *command = command_find(words[0]);
	if (!command)
		return cli_usage(&command_help, "%s: there is no help of this name", words[0]);
	return help_command(command);
}

const struct command command_help = {
	"help",
	"help [COMMAND | reasons [--json] | config [text|man|sample]]",
	"what there is",
	"reasons   every code that says why a message went where it went\n"
	"config    every key of the configuration; `man` and `sample` print it as mdoc and as a file to "
	"begin "
	"with\n\n"
	"Example: heed help prefer",
	run_help,
};
