/* The subcommands: a table, one file each under commands/. main.c has no logic. */
#ifndef HEED_COMMAND_H
#define HEED_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* Exit status (contract: Command line). */
enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* An option. What is given is written into the command's own struct: cli_parse. Help, man page and completion
 * come from this table too. */
struct command_option {
	const char *name; /* "--channels"; NULL ends the table */
	const char
		*value; /* how its value is called; "a|b|c": one of these; FILE, DIR: a path; NULL: a flag */
	const char *help;
	size_t where; /* in the struct: a const char * that was NULL, or a bool for a flag */
};

/* The offset of a member that has the right type; of another it does not compile. */
#define COMMAND_MEMBER(type, member, of) \
	(offsetof(type, member) +        \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((type *)0)->member), of) ? 1 : -1]))
#define OPTION_VALUE(type, member, name, value, help)                         \
	{                                                                     \
		name, value, help, COMMAND_MEMBER(type, member, const char *) \
	}
#define OPTION_FLAG(type, member, name, help)                        \
	{                                                            \
		name, NULL, help, COMMAND_MEMBER(type, member, bool) \
	}

/* What the first word may be: a word as it stands ("put"), or what it is called ("ID"). */
struct command_word {
	const char *name;  /* NULL ends the table */
	const char *value; /* of the word behind it, as for options; NULL: there is none */
	const char *help;
};

struct command {
	const char *name;
	const char *usage;   /* "prefer ID PRODUCT [--channels sms,email] [--stop]" */
	const char *summary; /* one line for `heed --help` */
	const char *help;    /* paragraphs with an empty line between them; lines break where they fit; "" */
	const struct command_word *words;     /* NULL: none that need a word */
	const struct command_option *options; /* NULL: none */
	const char *example; /* for a shell, a command a line; each is run by a test. "": not yet */
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
	command_retry, command_render, command_migrate, command_captured, command_hold, command_release,
	command_cancel, command_link, command_token, command_inbound, command_audit, command_prune,
	command_help, command_version;

#define HEED_VERSION "0.1"

#endif
