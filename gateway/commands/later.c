/* What the contract names and a later issue builds: the words are known, the answer is a clear "not yet". */
#include "cli.h"
#include "banned.h"

static int run_later(const char *config_file, int argc, char **argv)
{
	(void)config_file;
	(void)argc;
	return cli_error("%s: not yet (%s)", argv[0], command_find(argv[0])->later);
}

/* Each is called by its own name, so the table has it. */
#define LATER(NAME, USAGE, SUMMARY, LETTER)                                                        \
	{                                                                                          \
		.name = (NAME), .usage = (USAGE), .summary = (SUMMARY), .help = "", .example = "", \
		.later = (LETTER), .run = run_later                                                \
	}

const struct command command_inbound = LATER("inbound", "inbound email", "take in a mail", "G");
const struct command command_audit = LATER("audit", "audit", "prove each contact against the choice", "D");
