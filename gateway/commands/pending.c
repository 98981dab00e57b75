/* Stand-ins until the commands of these names have landed; this file goes with the last of them. */
#include "cli.h"
#include "banned.h"

static int run_pending(const char *config_file, int argc, char **argv)
{
	(void)config_file;
	(void)argc;
	return cli_error("%s: not built in", argv[0]);
}

__attribute__((weak)) const struct command command_migrate = {
	"migrate", "migrate", "bring the store's schema up to date", "", run_pending};
