/* What `heed help` writes from the tables of commands, in its several forms. */
#ifndef HEED_HELP_PRIVATE_H
#define HEED_HELP_PRIVATE_H

#include "cli.h"

#define HELP_MAX (1024 * 1024)

/* `heed COMMAND --help`. */
void help_command_write(const struct command *command, struct text *out);
/* heed(1), as mdoc. */
void help_man_write(struct text *out);
/* For bash, zsh or fish. False: there is no such shell. */
bool help_completion_write(const char *shell, struct text *out);

/* "put FILE", "--data JSON", "--follow" */
void help_label(const char *name, const char *value, struct text *out);

/* The values of the first words, and those of options: what to complete there. */
enum help_values { HELP_NOTHING, HELP_CHOICES, HELP_FILES, HELP_FOLDERS };
enum help_values help_values(const char *value); /* NULL: nothing */
/* Is the word said as it stands ("put"), and does not only name what is wanted ("ID")? */
bool help_is_literal(const char *word);

#endif
