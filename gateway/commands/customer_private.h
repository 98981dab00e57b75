/* Between customer.c and customer_import.c. */
#ifndef HEED_COMMANDS_CUSTOMER_PRIVATE_H
#define HEED_COMMANDS_CUSTOMER_PRIVATE_H

#include "cli.h"
#include "words.h"

int customer_import(struct cli *cli, const char *file, bool json);

#endif
