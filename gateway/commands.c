/* The table of subcommands, and what stands before them: --config, --help, a word that is none of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "suggest.h"
#include "banned.h"

const struct command *const commands[] = {
	&command_gateway, &command_check,
	&command_send,    &command_customer,
	&command_prefer,  &command_log,
	&command_history, &command_explain,
	&command_queue,   &command_dead,
	&command_settle,  &command_retry,
	&command_render,  &command_captured,
	&command_migrate, &command_hold,
	&command_release, &command_cancel,
	&command_link,    &command_token,
	&command_inbound, &command_audit,
	&command_prune,   &command_help,
	&command_version, NULL,
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int unknown_command(const char *word)
{
	struct suggest suggest;

	suggest_init(&suggest, word);
	for (size_t i = 0; commands[i]; i++)
		suggest_look(&suggest, commands[i]->name);
	if (suggest.best)
		cli_error("%s: there is no such command; did you mean `heed %s`?", word, suggest.best);
	else
		cli_error("%s: there is no such command; `heed help` lists them", word);
	return STATUS_USAGE;
}

/* Takes --config FILE out of argv, wherever it stands before a `--`. False: the file is missing. */
static bool take_config(int *argc, char **argv, const char **file)
{
	int kept = 1;

	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			while (i < *argc)
				argv[kept++] = argv[i++];
		} else if (strcmp(argv[i], "--config") == 0) {
			if (++i == *argc)
				return false;
			*file = argv[i];
		} else if (strncmp(argv[i], "--config=", 9) == 0) {
			*file = argv[i] + 9;
		} else {
			argv[kept++] = argv[i];
		}
	}
	argv[kept] = NULL;
	*argc = kept;
	return true;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

int commands_run(int argc, char **argv)
{
	const char *config_file = NULL;

	if (!take_config(&argc, argv, &config_file)) {
		cli_error("--config: a file is wanted");
		return STATUS_USAGE;
	}
	if (argc < 2) {
		cli_error("command: one is wanted; `heed help` lists them");
		return STATUS_USAGE;
	}
	const char *word = argv[1];
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		word = "help";
	else if (strcmp(word, "--version") == 0)
		word = "version";
	const struct command *command = command_find(word);
	if (!command)
		return unknown_command(word);
	if (wants_help(argc - 1, argv + 1)) {
		char *help[] = {(char *)"help", (char *)command->name, NULL};
		return command_help.run(config_file, 2, help);
	}
	return command->run(config_file, argc - 1, argv + 1);
}
