/* Comma-separated values as RFC 4180 says, strictly, a record at a time. A UTF-8 byte order mark at the start
 * is skipped, LF is taken for CRLF, empty lines are passed over. One thread at a time. */
#ifndef HEED_CSV_H
#define HEED_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "text.h"

#define CSV_RECORD_MAX (1024 * 1024) /* bytes of a record, unquoted */
#define CSV_FIELDS_MAX 256

struct csv {
	FILE *file;
	long long line; /* where the last record began; from 1 */
	long long next_line;
	long long bytes;              /* read so far */
	char *fields[CSV_FIELDS_MAX]; /* of the last record; valid until the next */
	size_t count;
	struct text record; /* private */
	size_t starts[CSV_FIELDS_MAX];
};

void csv_init(struct csv *csv, FILE *file);
void csv_release(struct csv *csv);

/* CSV_BAD: `error` says what is wrong with the record at csv->line; the file can't be read on, for what
 * follows might be inside a quotation. */
enum csv_result { CSV_RECORD, CSV_END, CSV_BAD };
enum csv_result csv_next(struct csv *csv, struct text *error);

#endif
