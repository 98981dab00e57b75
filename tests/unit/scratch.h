/* A folder of its own for each test, and files written into it. */
#ifndef HEED_TESTS_SCRATCH_H
#define HEED_TESTS_SCRATCH_H

#include "config.h"

/* cmocka's setup and teardown. */
int scratch_open(void **state);
int scratch_close(void **state);

extern char scratch_folder[64];
/* The path of a file in the folder; valid until the next call but three. */
const char *scratch_path(const char *name);
/* Writes it, folders included, and gives its path. */
const char *scratch_write(const char *name, const char *text);

/* cmocka asserts that say what the text was. */
void scratch_has(const char *text, const char *part);
void scratch_has_not(const char *text, const char *part);

#endif
