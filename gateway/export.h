/* Everything that is known about a customer, as one JSON object: facts, preferences, every change with its
 * evidence, messages, contacts with whole addresses. Made piece by piece from a reader, so that its size does
 * not matter. What changes meanwhile may be there twice, and nothing is missing. Secrets of webhooks are
 * counted, not shown. */
#ifndef HEED_EXPORT_H
#define HEED_EXPORT_H

#include <stdbool.h>

#include "store.h"
#include "text.h"

struct export;

/* Takes the reader, also where it fails. NULL: *unknown says whether there is nobody of this id (or only one
 * who was erased); else the store failed, and `error`. */
struct export *export_open(struct store_reader *reader, const char *id, bool *unknown, struct text *error);
/* Appends at most `max` bytes. False: it is over; `failed` if it broke off. */
bool export_more(struct export *export, size_t max, struct text *out, bool *failed);
void export_close(struct export *export); /* NULL is fine */

#endif
