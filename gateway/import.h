/* What `heed customer import` makes of a file: one customer a record, as PATCH /v1/customers takes it. Pure
 * but for reading the file.
 *
 * CSV: the first record names the columns: id, name, locale, timezone, a channel's name, CHANNEL.secret
 * (beside an address that is a URL), prefer:PRODUCT. Several addresses, or secrets, in a cell are separated
 * by `;` (a `;` inside a URL is written %3B). A preference is channels as for --channels, or the word `stop`.
 * An empty cell clears. */
#ifndef HEED_IMPORT_H
#define HEED_IMPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "csv.h"
#include "text.h"

#define IMPORT_LINE_MAX (1024 * 1024)

struct import_file;

/* NULL and `error`: the columns are wrong. `channels` are the configured ones. The file stays the caller's.
 */
struct import_file *import_csv(FILE *file, char *const *channels, size_t channel_count, struct text *error);
struct import_file *import_jsonl(FILE *file);
void import_free(struct import_file *import); /* NULL is fine */

/* IMPORT_BAD: the record is not a customer, `error` says why; IMPORT_BROKEN: and the rest can't be read. */
enum import_result { IMPORT_CUSTOMER, IMPORT_BAD, IMPORT_BROKEN, IMPORT_END };
/* *customer is a new reference. */
enum import_result import_next(struct import_file *import, json_t **customer, struct text *error);
long long import_line(const struct import_file *import); /* where the last record began */
long long import_bytes(const struct import_file *import);
/* What was read so far takes memory in this proportion: a cell is a JSON value, however short it is. */
#define IMPORT_CELL_WEIGHT 40 /* bytes of the file */
long long import_weight(const struct import_file *import);

#endif
