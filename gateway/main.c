/* heed: the program. What it can do is the table in commands.c. */
#include <signal.h>
#include <sys/stat.h>

#include "command.h"
#include "xalloc.h"
#include "banned.h"

int main(int argc, char **argv)
{
	xalloc_init();
	umask(S_IRWXG | S_IRWXO); /* what it makes holds addresses and texts: nobody else reads them */
	signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error of its call, not our end */
	signal(SIGXFSZ, SIG_IGN); /* so is a limit on the size of files */
	return commands_run(argc, argv);
}
