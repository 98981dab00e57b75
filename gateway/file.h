/* Reading files whole. */
#ifndef HEED_FILE_H
#define HEED_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

/* Appends the file's bytes to `out`, at most `max`. False: `error` says why, without the path (the caller
 * knows which one people know). */
bool file_read(const char *path, size_t max, struct text *out, struct text *error);

#endif
