#include <stdio.h>

#include "cli.h"
#include "banned.h"

struct version_given {
	bool json;
};

static int run_version(const char *config_file, int argc, char **argv)
{
	struct version_given given = {0};
	size_t count;

	(void)config_file;
	if (!cli_parse(&command_version, argc, argv, &given, 0, 0, NULL, &count))
		return STATUS_USAGE;
	printf(given.json ? "{\"version\":\"%s\"}\n" : "heed %s\n", HEED_VERSION);
	return cli_end(STATUS_DONE);
}

static const struct command_option options_of_version[] = {
	OPTION_FLAG(struct version_given, json, "--json", "One JSON object."),
	{0},
};

const struct command command_version = {
	.name = "version",
	.usage = "version [--json]",
	.summary = "which heed this is",
	.help = "",
	.options = options_of_version,
	.example = "heed --version",
	.run = run_version,
};
