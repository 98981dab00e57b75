/* Who claims what, what is abandoned, and what was taken over. */
#include "store_memory_private.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

static struct memory *of(struct store *store)
{
	return ((struct store_memory *)store)->memory;
}

static bool is_abandoned(const struct memory *memory, const struct message_row *row, int64_t gateway,
			 int64_t now, int64_t silent)
{
	const struct memory_gateway *by = slots_get(&memory->tables[GATEWAYS], row->gateway);
	bool own = gateway == GATEWAY_ANY || (gateway && row->gateway == gateway);

	return row->state == STATE_SENDING && (own || (row->lease < now && !(by && by->at >= silent)));
}

bool memory_abandoned(struct store *store, int64_t gateway, int64_t now, int64_t silent, int64_t after,
		      size_t limit, struct message_rows *out)
{
	const struct memory *memory = of(store);

	for (int64_t n = after + 1; limit && n <= memory->numbers[NUMBER_MESSAGE]; n++) {
		const struct message_row *row = slots_get(&memory->tables[MESSAGES], n);
		if (row && is_abandoned(memory, row, gateway, now, silent)) {
			message_row_read(memory, n, message_rows_add(out));
			limit--;
		}
	}
	return true;
}

bool memory_report_gateway(struct store *store, const char *name, const char *boot, int64_t at, int64_t *n)
{
	struct memory *memory = of(store);
	struct memory_gateway *row = xcalloc(1, sizeof *row);

	(void)boot; /* what is in memory is gone with the machine */
	for (*n = 1; *n <= memory->numbers[NUMBER_GATEWAY]; ++*n) {
		const struct memory_gateway *old = slots_get(&memory->tables[GATEWAYS], *n);
		if (old && strcmp(old->name, name) == 0)
			break;
	}
	if (*n > memory->numbers[NUMBER_GATEWAY])
		memory->numbers[NUMBER_GATEWAY] = *n;
	row->name = xstrdup(name);
	row->at = at;
	memory_put(memory, GATEWAYS, *n, row);
	return true;
}

bool memory_gateway_name(struct store *store, int64_t gateway, char **name)
{
	const struct memory_gateway *row = slots_get(&of(store)->tables[GATEWAYS], gateway);

	*name = xstrdup(row ? row->name : "");
	return true;
}

/* --- taken over: a row for each contact and message, by a number of its own --- */

static struct taken_over *taken_copy(const struct taken_over *row)
{
	struct taken_over *copy = xmalloc(sizeof *copy);

	*copy = *row;
	return copy;
}

bool memory_add_taken_over(struct store *store, const struct taken_over rows[], size_t count, int64_t now)
{
	struct memory *memory = of(store);
	struct slots *table = &memory->tables[TAKEN];

	for (size_t n = 1; n < table->size; n++) {
		const struct taken_over *row = table->at[n];
		if (row && row->until <= now)
			memory_put(memory, TAKEN, (int64_t)n, NULL);
	}
	for (size_t i = 0, n = 1; i < count; i++) {
		while (slots_get(table, (int64_t)n))
			n++;
		memory_put(memory, TAKEN, (int64_t)n, taken_copy(&rows[i]));
	}
	return true;
}

bool memory_drop_taken_over(struct store *store, int64_t contact)
{
	struct memory *memory = of(store);
	struct slots *table = &memory->tables[TAKEN];

	for (size_t n = 1; n < table->size; n++) {
		const struct taken_over *row = table->at[n];
		if (row && row->contact == contact)
			memory_put(memory, TAKEN, (int64_t)n, NULL);
	}
	return true;
}

static bool has_row(const struct message_rows *rows, size_t from, int64_t n)
{
	for (size_t i = from; i < rows->count; i++)
		if (rows->rows[i].n == n)
			return true;
	return false;
}

bool memory_taken_over_of(struct store *store, int64_t customer, int64_t now, struct message_rows *out)
{
	const struct memory *memory = of(store);
	const struct slots *table = &memory->tables[TAKEN];
	size_t start = out->count;

	for (size_t n = 1; n < table->size; n++) {
		const struct taken_over *row = table->at[n];
		if (row && row->customer == customer && row->until > now &&
		    !has_row(out, start, row->message))
			message_row_read(memory, row->message, message_rows_add(out));
	}
	message_rows_sort(out, start);
	return true;
}
