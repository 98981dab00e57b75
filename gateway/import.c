#include "import.h"

#include <stdlib.h>
#include <string.h>

#include "preference.h"
#include "xalloc.h"
#include "banned.h"

#define NO_COLUMN SIZE_MAX

enum column_kind { COLUMN_FACT, COLUMN_ADDRESS, COLUMN_SECRET, COLUMN_PREFER };

struct column {
	enum column_kind kind;
	char *name;    /* the key, the channel, or the product */
	size_t secret; /* of an address: the column of its secrets */
};

struct import_file {
	bool is_csv;
	struct csv csv;
	struct column columns[CSV_FIELDS_MAX];
	size_t count;
	/* JSON lines */
	FILE *file;
	struct text buffer;
	long long line, bytes;
	long long cells;
};

/* --- CSV --- */

static bool one_of(const char *name, size_t len, char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i]) == len && memcmp(list[i], name, len) == 0)
			return true;
	return false;
}

static bool column_read(struct column *column, const char *heading, char *const *channels, size_t count,
			struct text *error)
{
	static char *const facts[] = {(char *)"id", (char *)"name", (char *)"locale", (char *)"timezone"};
	size_t len = strlen(heading);
	size_t stem = len > 7 && strcmp(heading + len - 7, ".secret") == 0 ? len - 7 : 0;

	column->secret = NO_COLUMN;
	if (one_of(heading, len, facts, 4)) {
		column->kind = COLUMN_FACT;
	} else if (strncmp(heading, "prefer:", 7) == 0 && heading[7]) {
		column->kind = COLUMN_PREFER;
		heading += 7;
		len -= 7;
	} else if (one_of(heading, len, channels, count)) {
		column->kind = COLUMN_ADDRESS;
	} else if (stem && one_of(heading, stem, channels, count)) {
		column->kind = COLUMN_SECRET;
		len = stem;
	} else {
		return text_error(error,
				  "column '%s': is not id, name, locale, timezone, a configured channel, "
				  "CHANNEL.secret or prefer:PRODUCT",
				  heading);
	}
	column->name = xmemdup0(heading, len);
	return true;
}

static size_t column_find(const struct import_file *import, enum column_kind kind, const char *name,
			  size_t up_to)
{
	for (size_t i = 0; i < up_to; i++)
		if (import->columns[i].kind == kind && strcmp(import->columns[i].name, name) == 0)
			return i;
	return NO_COLUMN;
}

/* Each column once, an id, and each secret beside its address. */
static bool columns_agree(struct import_file *import, struct text *error)
{
	for (size_t i = 0; i < import->count; i++) {
		const struct column *column = &import->columns[i];
		if (column_find(import, column->kind, column->name, i) != NO_COLUMN)
			return text_error(error, "column '%s': is there twice", import->csv.fields[i]);
		if (column->kind != COLUMN_SECRET)
			continue;
		size_t address = column_find(import, COLUMN_ADDRESS, column->name, import->count);
		if (address == NO_COLUMN)
			return text_error(error, "column '%s': needs the column '%s' beside it",
					  import->csv.fields[i], column->name);
		import->columns[address].secret = i;
	}
	return column_find(import, COLUMN_FACT, "id", import->count) != NO_COLUMN ||
	       text_error(error, "there is no column 'id'");
}

struct import_file *import_csv(FILE *file, char *const *channels, size_t channel_count, struct text *error)
{
	struct import_file *import = xcalloc(1, sizeof *import);
	bool ok;

	import->is_csv = true;
	csv_init(&import->csv, file);
	enum csv_result first = csv_next(&import->csv, error);
	if (first == CSV_END)
		text_error(error, "the file is empty: its first line names the columns");
	ok = first == CSV_RECORD;
	for (size_t i = 0; ok && i < import->csv.count; i++) {
		ok = column_read(&import->columns[i], import->csv.fields[i], channels, channel_count, error);
		import->count += ok;
	}
	ok = ok && columns_agree(import, error);
	if (!ok) {
		import_free(import);
		import = NULL;
	}
	return import;
}

/* "a; b" as ["a","b"]; NULL if it is not UTF-8. */
static json_t *cell_list(const char *cell)
{
	json_t *list = json_array();

	while (*cell) {
		size_t len = strcspn(cell, ";"), blank = strspn(cell, " \t");
		const char *start = cell + (blank < len ? blank : len), *end = cell + len;
		while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		if (end > start &&
		    json_array_append_new(list, json_stringn(start, (size_t)(end - start))) < 0) {
			json_decref(list);
			return NULL;
		}
		cell += len;
		cell += *cell == ';';
	}
	return list;
}

static json_t *cell_addresses(const struct import_file *import, const struct column *column, const char *cell)
{
	json_t *list = cell_list(cell);
	json_t *secrets = column->secret == NO_COLUMN ? NULL : cell_list(import->csv.fields[column->secret]);
	json_t *address;
	size_t i;

	if (list && secrets) /* an empty cell clears */
		json_array_foreach(list, i, address)
			json_array_set_new(list, i,
					   json_pack("{s:O, s:O}", "url", address, "secret",
						     json_array_size(secrets) ? secrets : json_null()));
	else if (column->secret != NO_COLUMN && !secrets) {
		json_decref(list);
		list = NULL;
	}
	json_decref(secrets);
	return list;
}

/* NULL and `error`. */
static json_t *cell_preference(const struct column *column, const char *cell, struct text *error)
{
	json_t *channels;

	if (!*cell)
		channels = json_null();
	else if (strcmp(cell, "stop") == 0)
		channels = json_array();
	else
		channels = preference_channels_from_words(cell, error);
	return channels ? json_pack("{s:s, s:o}", "product", column->name, "channels", channels) : NULL;
}

static bool cell_add(const struct import_file *import, size_t i, json_t *customer, json_t *addresses,
		     json_t *preferences, struct text *error)
{
	const struct column *column = &import->columns[i];
	const char *cell = import->csv.fields[i];
	json_t *string = json_string(cell);
	bool utf8 = string != NULL, ok = utf8;

	json_decref(string);
	if (column->kind == COLUMN_FACT)
		ok = ok && json_object_set_new(customer, column->name, json_string(cell)) == 0;
	else if (column->kind == COLUMN_ADDRESS)
		ok = ok &&
		     json_object_set_new(addresses, column->name, cell_addresses(import, column, cell)) == 0;
	else if (column->kind == COLUMN_PREFER)
		ok = ok && json_array_append_new(preferences, cell_preference(column, cell, error)) == 0;
	if (!ok && (!utf8 || !error->len))
		text_error(error, "column %zu: is not UTF-8", i + 1);
	return ok;
}

static enum import_result next_csv(struct import_file *import, json_t **customer, struct text *error)
{
	enum csv_result got = csv_next(&import->csv, error);

	import->cells += (long long)import->csv.count;
	if (got != CSV_RECORD)
		return got == CSV_END ? IMPORT_END : IMPORT_BROKEN;
	if (import->csv.count != import->count) {
		text_error(error, "%zu fields where the first line names %zu columns", import->csv.count,
			   import->count);
		return IMPORT_BAD;
	}
	json_t *out = json_object(), *addresses = json_object(), *preferences = json_array();
	bool ok = true;
	text_clear(error);
	for (size_t i = 0; ok && i < import->count; i++)
		ok = cell_add(import, i, out, addresses, preferences, error);
	if (json_object_size(addresses))
		json_object_set(out, "addresses", addresses);
	if (json_array_size(preferences))
		json_object_set(out, "preferences", preferences);
	json_decref(addresses);
	json_decref(preferences);
	if (!ok) {
		json_decref(out);
		return IMPORT_BAD;
	}
	*customer = out;
	return IMPORT_CUSTOMER;
}

/* --- JSON lines --- */

struct import_file *import_jsonl(FILE *file)
{
	struct import_file *import = xcalloc(1, sizeof *import);

	import->file = file;
	text_init(&import->buffer, IMPORT_LINE_MAX);
	return import;
}

/* False at the end of the file. A line that is too long is read to its end, and `full`. */
static bool read_line(struct import_file *import)
{
	int c;

	text_clear(&import->buffer);
	import->line++;
	while ((c = getc_unlocked(import->file)) != EOF && c != '\n') {
		import->bytes++;
		text_putc(&import->buffer, (char)c);
	}
	import->bytes += c == '\n';
	return c == '\n' || import->buffer.len > 0 || import->buffer.full;
}

static enum import_result next_jsonl(struct import_file *import, json_t **customer, struct text *error)
{
	json_error_t why;

	do {
		if (!read_line(import))
			return IMPORT_END;
	} while (strspn(import->buffer.data, " \t\r") == import->buffer.len && !import->buffer.full);
	if (import->buffer.full) {
		text_error(error, "the line has more than %d bytes", IMPORT_LINE_MAX);
		return IMPORT_BAD;
	}
	*customer = json_loadb(import->buffer.data, import->buffer.len, JSON_REJECT_DUPLICATES, &why);
	if (!*customer) {
		text_error(error, "not JSON: column %d: %s", why.column, why.text);
		return IMPORT_BAD;
	}
	if (!json_is_object(*customer)) {
		text_error(error, "a JSON object is wanted");
		json_decref(*customer);
		*customer = NULL;
		return IMPORT_BAD;
	}
	return IMPORT_CUSTOMER;
}

enum import_result import_next(struct import_file *import, json_t **customer, struct text *error)
{
	*customer = NULL;
	return import->is_csv ? next_csv(import, customer, error) : next_jsonl(import, customer, error);
}

long long import_line(const struct import_file *import)
{
	return import->is_csv ? import->csv.line : import->line;
}

long long import_bytes(const struct import_file *import)
{
	return import->is_csv ? import->csv.bytes : import->bytes;
}

long long import_weight(const struct import_file *import)
{
	return import_bytes(import) + IMPORT_CELL_WEIGHT * import->cells;
}

void import_free(struct import_file *import)
{
	if (!import)
		return;
	for (size_t i = 0; i < CSV_FIELDS_MAX; i++)
		free(import->columns[i].name);
	if (import->is_csv)
		csv_release(&import->csv);
	else
		text_release(&import->buffer);
	free(import);
}
