/* The subcommands: a table, one file each under commands/. main.c has no logic. */
#ifndef HEED_COMMAND_H
#define HEED_COMMAND_H

#include <stdbool.h>

/* Exit status (contract: Command line). */
enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct command {
	const char *name;
	const char *usage;   /* "prefer ID PRODUCT [--channels sms,email] [--stop]" */
	const char *summary; /* one line for `heed --help` */
	const char *help;    /* options and an example */
	/* argv[0] is the command's name. `config_file` NULL: the usual places. */
	int (*run)(const char *config_file, int argc, char **argv);
};

/* Ends with an entry whose name is NULL. */
extern const struct command *const commands[];

/* Each in its own file commands/NAME.c. */
extern const struct command command_gateway, command_check, command_send, command_customer, command_prefer,
	command_log, command_history, command_explain, command_queue, command_dead, command_settle,
	command_retry, command_render, command_migrate, command_help, command_version;

#endif
