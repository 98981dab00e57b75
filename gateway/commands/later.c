/* What the contract names and a later issue builds: the words are known, the answer is a clear "not yet". */
#include <string.h>

#include "cli.h"
#include "banned.h"

static const struct {
	const char *command, *issue;
} issues[] = {
	{"link", "C"},
	{"token", "C"}, {"inbound", "G"}, {"audit", "D"},  {"prune", "D"},
};

static int run_later(const char *config_file, int argc, char **argv)
{
	(void)config_file;
	(void)argc;
	for (size_t i = 0; i < sizeof issues / sizeof issues[0]; i++)
		if (strcmp(argv[0], issues[i].command) == 0)
			return cli_error("%s: not yet (%s)", argv[0], issues[i].issue);
	return cli_error("%s: not yet", argv[0]);
}

const struct command command_link = {"link", "link ID", "a link to the customer's page (not yet: C)", "",
				     run_later};
const struct command command_token = {"token", "token NAME --scopes SCOPE,…",
				      "make a token for the API (not yet: C)", "", run_later};
const struct command command_inbound = {"inbound", "inbound email", "take in a mail (not yet: G)", "",
					run_later};
const struct command command_audit = {"audit", "audit", "prove each contact against the choice (not yet: D)",
				      "", run_later};
const struct command command_prune = {"prune", "prune", "drop what was kept long enough (not yet: D)", "",
				      run_later};
