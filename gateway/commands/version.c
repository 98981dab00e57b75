#include <stdio.h>

#include "cli.h"
#include "banned.h"

static int run_version(const char *config_file, int argc, char **argv)
{
	bool json = false;
	size_t count;
	const struct cli_option options[] = {{"--json", NULL, &json}, {0}};

	(void)config_file;
	if (!cli_parse(&command_version, argc, argv, options, 0, 0, NULL, &count))
		return STATUS_USAGE;
	printf(json ? "{\"version\":\"%s\"}\n" : "heed %s\n", HEED_VERSION);
	return cli_end(STATUS_DONE);
}

const struct command command_version = {
	"version", "version [--json]", "which heed this is", "Example: heed --version", run_version,
};
