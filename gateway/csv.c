#include "csv.h"

#include <errno.h>
#include <string.h>

#include "banned.h"

void csv_init(struct csv *csv, FILE *file)
{
	*csv = (struct csv){.file = file, .next_line = 1};
	text_init(&csv->record, CSV_RECORD_MAX);
}

void csv_release(struct csv *csv)
{
	text_release(&csv->record);
}

/* The next byte; CRLF is one LF. */
static int take(struct csv *csv)
{
	int c = getc_unlocked(csv->file);

	csv->bytes += c != EOF;
	if (c == '\r') {
		int next = getc_unlocked(csv->file);
		if (next == '\n') {
			csv->bytes++;
			c = next;
		} else if (next != EOF) {
			ungetc(next, csv->file);
		}
	}
	csv->next_line += c == '\n';
	return c;
}

static void skip_mark(struct csv *csv)
{
	static const int mark[] = {0xef, 0xbb, 0xbf};

	/* a file that begins with only a part of it is not UTF-8, and is refused when it is read */
	for (size_t i = 0; i < 3; i++) {
		int c = getc_unlocked(csv->file);
		if (c != mark[i]) {
			if (c != EOF)
				ungetc(c, csv->file);
			return;
		}
		csv->bytes++;
	}
}

static bool add(struct csv *csv, int c, struct text *error)
{
	if (c == '\0')
		return text_error(error, "a NUL byte");
	return text_putc(&csv->record, (char)c) ||
	       text_error(error, "the record has more than %d bytes", CSV_RECORD_MAX);
}

/* Behind the opening quote. */
static bool read_quoted(struct csv *csv, int *end, struct text *error)
{
	for (;;) {
		int c = take(csv);
		if (c == EOF)
			return text_error(error, "the quotation is not closed");
		if (c == '"') {
			*end = take(csv);
			if (*end != '"')
				break;
		}
		if (!add(csv, c, error))
			return false;
	}
	return *end == ',' || *end == '\n' || *end == EOF ||
	       text_error(error, "behind a closing quote a comma or the end of the line is wanted");
}

static bool read_plain(struct csv *csv, int c, int *end, struct text *error)
{
	for (; c != ',' && c != '\n' && c != EOF; c = take(csv)) {
		if (c == '"')
			return text_error(error, "a quote inside a field that is not quoted");
		if (c == '\r')
			return text_error(error, "a carriage return inside a field that is not quoted");
		if (!add(csv, c, error))
			return false;
	}
	*end = c;
	return true;
}

/* One field; *end is what ended it. */
static bool read_field(struct csv *csv, int first, int *end, struct text *error)
{
	if (csv->count == CSV_FIELDS_MAX)
		return text_error(error, "more than %d fields", CSV_FIELDS_MAX);
	csv->starts[csv->count++] = csv->record.len;
	bool ok = first == '"' ? read_quoted(csv, end, error) : read_plain(csv, first, end, error);
	return ok && (text_putc(&csv->record, '\0') ||
		      text_error(error, "the record has more than %d bytes", CSV_RECORD_MAX));
}

enum csv_result csv_next(struct csv *csv, struct text *error)
{
	int c, end = ',';

	if (csv->bytes == 0)
		skip_mark(csv);
	text_clear(&csv->record);
	csv->count = 0;
	do {
		csv->line = csv->next_line;
		c = take(csv);
	} while (c == '\n');
	if (c == EOF && ferror(csv->file)) {
		text_error(error, "%s", strerror(errno));
		return CSV_BAD;
	}
	if (c == EOF)
		return CSV_END;
	for (; end == ','; c = end == ',' ? take(csv) : end)
		if (!read_field(csv, c, &end, error))
			return CSV_BAD;
	for (size_t i = 0; i < csv->count; i++)
		csv->fields[i] = csv->record.data + csv->starts[i];
	return CSV_RECORD;
}
