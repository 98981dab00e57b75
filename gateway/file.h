/* Reading files whole, and what the system says of itself in one. */
#ifndef HEED_FILE_H
#define HEED_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

/* Appends the file's bytes to `out`, at most `max`. False: `error` says why, without the path (the caller
 * knows which one people know). */
bool file_read(const char *path, size_t max, struct text *out, struct text *error);

/* Makes the folder of the file at `path`, 0700, and those above it, where they are missing. False: `error`
 * says which can't be made, and why. */
bool file_make_folder(const char *path, struct text *error);
/* Could it, and could the file be made then? Changes nothing. False: `error` says what is in the way, and
 * what would be right. */
bool file_could_be_made(const char *path, struct text *error);

#define BOOT_ID_SIZE 64
/* The id of this boot of the machine; "" where the system has none. The rest of `out` is zeroed. */
void file_boot_id(char out[BOOT_ID_SIZE]);

#endif
