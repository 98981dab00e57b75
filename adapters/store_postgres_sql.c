/* Statements: parameters made, prepared once, run, and their failures put into words. Everything goes in
 * PostgreSQL's binary form: big-endian numbers, texts as they are, arrays with a short head. */
#include "store_postgres_private.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "xalloc.h"
#include "banned.h"

/* Of pg_type: they are the same in every server. */
#define OID_BYTES 17
#define OID_NUMBER 20
#define OID_TEXT 25
#define OID_BYTES_COLUMN 1001
#define OID_TEXT_COLUMN 1009
#define OID_NUMBER_COLUMN 1016

#define ARRAY_HEAD 20  /* dimensions, has NULLs, type of elements, their number, the first index */
#define ARRAY_EMPTY 12 /* the same without a dimension */

bool pg_is_lost(const struct pg *pg)
{
	return !pg->conn || PQstatus(pg->conn) != CONNECTION_OK;
}

/* Serialization, deadlock, a lock that was not to be had in time, an id that another added first. */
static bool is_contention(const char *state)
{
	static const char *const states[] = {"40001", "40P01", "55P03", "23505"};
	bool is = false;

	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		is = is || strcmp(state, states[i]) == 0;
	return is;
}

bool pg_failed(struct pg *pg, const PGresult *result)
{
	const char *words = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

	if (state && pg->contended)
		*pg->contended = is_contention(state);
	if (words)
		return text_error(pg->error, "store: PostgreSQL: %s (%s)", words, state ? state : "");
	words = pg->conn ? PQerrorMessage(pg->conn) : "not connected";
	return text_error(pg->error, "store: PostgreSQL: %.*s", (int)strcspn(words, "\n"), words);
}

/* A reader finds out that its connection is gone when it asks: then it asks again, on a new one. */
static bool ask_again(struct pg *pg)
{
	return pg->reads_only && !pg->reading && pg_is_lost(pg) && pg_connect(pg);
}

static bool exec_once(struct pg *pg, const char *text)
{
	if (!pg->conn)
		return pg_failed(pg, NULL);
	PGresult *result = PQexec(pg->conn, text);
	ExecStatusType status = PQresultStatus(result);
	bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || pg_failed(pg, result);

	PQclear(result);
	return ok;
}

bool pg_exec(struct pg *pg, const char *text)
{
	return exec_once(pg, text) || (ask_again(pg) && exec_once(pg, text));
}

/* --- parameters --- */

static bool is_column(char kind)
{
	return kind == 'N' || kind == 'T' || kind == 'B';
}

static Oid oid_of(char kind)
{
	switch (kind) {
	case 'n':
		return OID_NUMBER;
	case 't':
		return OID_TEXT;
	case 'N':
		return OID_NUMBER_COLUMN;
	case 'T':
		return OID_TEXT_COLUMN;
	default:
		return OID_BYTES_COLUMN;
	}
}

static Oid oid_of_element(char kind)
{
	return kind == 'N' ? OID_NUMBER : kind == 'T' ? OID_TEXT : OID_BYTES;
}

void pg_query_init(struct pg_query *query, struct pg *pg, enum statement which, const char *kinds,
		   const char *text)
{
	*query = (struct pg_query){.pg = pg, .which = which, .text = text};
	for (; kinds[query->count]; query->count++) {
		struct pg_parameter *parameter = &query->parameters[query->count];
		parameter->kind = kinds[query->count];
		parameter->len = is_column(parameter->kind) ? ARRAY_HEAD : 0;
	}
}

static char *room(struct pg_parameter *parameter, size_t more)
{
	if (!parameter->data || parameter->len + more > parameter->capacity) {
		parameter->capacity = 2 * parameter->capacity + more + 64;
		parameter->data = xrealloc(parameter->data, parameter->capacity);
	}
	char *at = parameter->data + parameter->len;
	parameter->len += more;
	return at;
}

static void put32(char *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof value);
}

static struct pg_parameter *next(struct pg_query *query, uint32_t element)
{
	struct pg_parameter *parameter = &query->parameters[query->at];

	query->at = (query->at + 1) % query->count;
	parameter->count++;
	if (is_column(parameter->kind))
		put32(room(parameter, 4), element);
	return parameter;
}

void pg_put_number(struct pg_query *query, int64_t value)
{
	uint64_t number = htobe64((uint64_t)value);

	memcpy(room(next(query, sizeof number), sizeof number), &number, sizeof number);
}

void pg_put_bytes(struct pg_query *query, const void *data, size_t len)
{
	struct pg_parameter *parameter = next(query, (uint32_t)len);

	if (len)
		memcpy(room(parameter, len), data, len);
}

/* PostgreSQL takes no text that is not UTF-8: a reply of somebody's server must not stop the turn. */
void pg_put_text(struct pg_query *query, const char *value)
{
	if (!value) {
		next(query, UINT32_MAX)->null = true; /* -1: NULL, as an element as well */
		return;
	}
	size_t len = strlen(value);
	char *mended = utf8_mend(value, len);
	pg_put_bytes(query, mended ? mended : value, mended ? strlen(mended) : len);
	free(mended);
}

/* The head of an array stands in the room that was left for it. */
static const char *value_of(struct pg_parameter *parameter, int *len)
{
	if (!is_column(parameter->kind)) {
		*len = (int)parameter->len;
		return parameter->null ? NULL : parameter->data ? parameter->data : "";
	}
	room(parameter, 0); /* of one without elements there is only the head */
	put32(parameter->data, parameter->count > 0);
	put32(parameter->data + 4, parameter->null);
	put32(parameter->data + 8, oid_of_element(parameter->kind));
	put32(parameter->data + 12, (uint32_t)parameter->count);
	put32(parameter->data + 16, 1);
	*len = parameter->count ? (int)parameter->len : ARRAY_EMPTY;
	return parameter->data;
}

/* --- running --- */

static bool prepare(struct pg_query *query, const char *name, const Oid types[])
{
	struct pg *pg = query->pg;

	if (pg->prepared[query->which])
		return true;
	PGresult *result = PQprepare(pg->conn, name, query->text, query->count, types);
	bool ok = PQresultStatus(result) == PGRES_COMMAND_OK || pg_failed(pg, result);
	pg->prepared[query->which] = ok;
	PQclear(result);
	return ok;
}

static bool run_once(struct pg_query *query)
{
	struct pg *pg = query->pg;
	Oid types[PG_PARAMETERS_MAX];
	const char *values[PG_PARAMETERS_MAX];
	int lengths[PG_PARAMETERS_MAX], formats[PG_PARAMETERS_MAX];
	char name[16];

	if (!pg->conn)
		return pg_failed(pg, NULL);
	for (int i = 0; i < query->count; i++) {
		types[i] = oid_of(query->parameters[i].kind);
		values[i] = value_of(&query->parameters[i], &lengths[i]);
		formats[i] = 1;
	}
	if (query->which == PG_PLAIN) {
		query->result =
			PQexecParams(pg->conn, query->text, query->count, types, values, lengths, formats, 1);
	} else {
		snprintf(name, sizeof name, "h%d", (int)query->which);
		if (!prepare(query, name, types))
			return false;
		query->result = PQexecPrepared(pg->conn, name, query->count, values, lengths, formats, 1);
	}
	ExecStatusType status = PQresultStatus(query->result);
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		return pg_failed(pg, query->result);
	query->rows = PQntuples(query->result);
	return true;
}

bool pg_query_run(struct pg_query *query)
{
	if (run_once(query))
		return true;
	if (!ask_again(query->pg))
		return false;
	PQclear(query->result);
	query->result = NULL;
	return run_once(query);
}

void pg_query_release(struct pg_query *query)
{
	for (int i = 0; i < query->count; i++)
		free(query->parameters[i].data);
	PQclear(query->result);
	*query = (struct pg_query){0};
}

bool pg_query_done(struct pg_query *query, int64_t *changed)
{
	bool ok = pg_query_run(query);

	if (ok && changed)
		*changed = strtoll(PQcmdTuples(query->result), NULL, 10);
	pg_query_release(query);
	return ok;
}

/* --- cells --- */

struct cells pg_cells(const struct pg_query *query, int row)
{
	return (struct cells){.result = query->result, .row = row};
}

int64_t pg_get_number(struct cells *cells)
{
	const char *value = PQgetvalue(cells->result, cells->row, cells->at);
	int len = PQgetlength(cells->result, cells->row, cells->at);
	bool null = PQgetisnull(cells->result, cells->row, cells->at);
	uint64_t wide;
	uint32_t middle;
	uint16_t narrow;

	cells->at++;
	if (null)
		return 0;
	switch (len) {
	case 8:
		memcpy(&wide, value, sizeof wide);
		return (int64_t)be64toh(wide);
	case 4:
		memcpy(&middle, value, sizeof middle);
		return (int32_t)be32toh(middle);
	case 2:
		memcpy(&narrow, value, sizeof narrow);
		return (int16_t)be16toh(narrow);
	default: /* a boolean */
		return len == 1 && *value;
	}
}

char *pg_get_text(struct cells *cells)
{
	const char *value = PQgetvalue(cells->result, cells->row, cells->at);
	int len = PQgetlength(cells->result, cells->row, cells->at);

	cells->at++;
	return xmemdup0(value, (size_t)len);
}

const char *pg_peek_text(struct cells *cells)
{
	bool null = PQgetisnull(cells->result, cells->row, cells->at);
	const char *value = PQgetvalue(cells->result, cells->row, cells->at);

	cells->at++;
	return null ? NULL : value;
}
