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

/* NULL if there is none of that name. */
const struct command *command_find(const char *name);
/* The whole of the program: takes --config FILE out, finds the command (or answers --help), runs it. */
int commands_run(int argc, char **argv);

/* Each in its own file commands/NAME.c. */
extern const struct command command_gateway, command_check, command_send, command_customer, command_prefer,
	command_log, command_history, command_explain, command_queue, command_dead, command_settle,
	command_retry, command_render, command_migrate, command_captured, command_hold, command_release, command_cancel,
	command_help, command_version;
/* Named in the contract, and not there yet: all in commands/later.c. */
extern const struct command command_link, command_token,
	command_inbound, command_audit, command_prune;

#define HEED_VERSION "0.1"

#endif
