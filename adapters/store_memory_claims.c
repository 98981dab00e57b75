/* Who claims what, and what is abandoned. */
#include "store_memory_private.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"
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

bool memory_report_gateway(struct store *store, const char *name, const char *boot, int64_t at, int64_t *n,
			   int64_t *before)
{
	struct memory *memory = of(store);
	struct memory_gateway *row = xcalloc(1, sizeof *row);

	(void)boot; /* what is in memory is gone with the machine */
	*before = 0;
	for (*n = 1; *n <= memory->numbers[NUMBER_GATEWAY]; ++*n) {
		const struct memory_gateway *old = slots_get(&memory->tables[GATEWAYS], *n);
		if (!old || strcmp(old->name, name) != 0)
			continue;
		*before = old->at;
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

bool memory_move_clock(struct store *store, int64_t was, int64_t by)
{
	struct memory *memory = of(store);

	for (int64_t n = 1; n <= memory->numbers[NUMBER_MESSAGE]; n++) {
		const struct message_row *row = slots_get(&memory->tables[MESSAGES], n);
		if (!row || row->due == MOMENT_NEVER)
			continue;
		struct message_row *copy = message_copied(memory, n);
		message_row_move_clock(copy, was, by);
		memory_put(memory, MESSAGES, n, copy);
	}
	return true;
}
