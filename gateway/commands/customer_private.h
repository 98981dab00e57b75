/* Between customer.c, customer_import.c and customer_erase.c. */
#ifndef HEED_COMMANDS_CUSTOMER_PRIVATE_H
#define HEED_COMMANDS_CUSTOMER_PRIVATE_H

#include "cli.h"
#include "words.h"

struct customer_given {
	bool json;
	bool recreate; /* put, import: what was erased may come back */
	bool yes;      /* erase: don't ask */
};

int customer_import(struct cli *cli, const char *file, const struct customer_given *given);
int customer_export(struct cli *cli, const char *id, const struct customer_given *given);
int customer_erase(struct cli *cli, const char *id, const struct customer_given *given);

#endif
