/* Stand-ins until the commands of these names have landed; this file goes with the last of them. */
#include "cli.h"
#include "banned.h"

static int run_pending(const char *config_file, int argc, char **argv)
{
	(void)config_file;
	(void)argc;
	return cli_error("%s: not built in", argv[0]);
}

#define PENDING(id) \
	__attribute__((weak)) const struct command command_##id = {#id, #id, "not built in", "", run_pending};
PENDING(gateway)
PENDING(check)
PENDING(send)
PENDING(dead)
PENDING(render)
PENDING(migrate)
