/* Reading rows: the same for the writer and the readers. */
#include "store_postgres_private.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

void pg_read_message(struct cells *cells, struct message_row *out)
{
	out->n = pg_get_number(cells);
	out->id = pg_get_text(cells);
	if (PQgetlength(cells->result, cells->row, cells->at) == MESSAGE_HASH_SIZE)
		memcpy(out->hash, PQgetvalue(cells->result, cells->row, cells->at), MESSAGE_HASH_SIZE);
	cells->at++;
	out->customer = pg_get_number(cells);
	out->customer_id = pg_get_text(cells);
	out->product = pg_get_text(cells);
	out->template = pg_get_text(cells);
	out->campaign = pg_get_text(cells);
	out->purpose = (enum purpose)pg_get_number(cells);
	out->lane = (enum lane)pg_get_number(cells);
	out->admitted_at = pg_get_number(cells);
	out->send_at = pg_get_number(cells);
	out->expires_at = pg_get_number(cells);
	out->state = (enum state)pg_get_number(cells);
	out->waits_for = pg_get_text(cells);
	out->due = pg_get_number(cells);
	out->attempts = (int)pg_get_number(cells);
	out->tries = (int)pg_get_number(cells);
	out->epoch = pg_get_number(cells);
	out->lease = pg_get_number(cells);
	out->gateway = pg_get_number(cells);
	out->give_up_at = pg_get_number(cells);
	out->fault_since = pg_get_number(cells);
	out->rejected = pg_get_text(cells);
	out->waited = pg_get_text(cells);
	out->wait_channel = pg_get_text(cells);
	out->wait_since = pg_get_number(cells);
	out->wait_until = pg_get_number(cells);
	out->best = (enum state)pg_get_number(cells);
	out->counted = pg_get_text(cells);
	out->channel = pg_get_text(cells);
	out->contact = pg_get_number(cells);
	out->reasons = pg_get_text(cells);
	out->body = pg_get_text(cells);
	message_row_keep(out);
}

bool pg_append_messages(struct pg_query *query, struct message_rows *out)
{
	bool ok = pg_query_run(query);

	for (int i = 0; ok && i < query->rows; i++) {
		struct cells cells = pg_cells(query, i);
		pg_read_message(&cells, message_rows_add(out));
	}
	pg_query_release(query);
	return ok;
}

void pg_read_contact(struct cells *cells, struct contact *out)
{
	out->seq = pg_get_number(cells);
	out->changed = pg_get_number(cells);
	out->at = pg_get_number(cells);
	out->customer = pg_get_number(cells);
	out->message = pg_get_number(cells);
	out->product = pg_get_text(cells);
	out->channel = pg_get_text(cells);
	out->direction = (enum direction)pg_get_number(cells);
	out->state = (enum state)pg_get_number(cells);
	out->attempt = (int)pg_get_number(cells);
	out->provider = pg_get_text(cells);
	out->provider_ref = pg_get_text(cells);
	out->address = pg_get_number(cells);
	out->template = pg_get_text(cells);
	out->template_hash = pg_get_text(cells);
	out->summary = pg_get_text(cells);
	out->content = pg_get_text(cells);
	out->reason = pg_get_text(cells);
	out->reason_args = pg_get_text(cells);
	out->code = pg_get_text(cells);
	out->detail = pg_get_text(cells);
	out->preference = pg_get_number(cells);
	out->preference_seq = pg_get_number(cells);
	out->customer_seq = pg_get_number(cells);
	out->address_seq = pg_get_number(cells);
	out->products_seq = pg_get_number(cells);
	out->segments = (int)pg_get_number(cells);
	out->captured = pg_get_number(cells) != 0;
	out->log_seq = pg_get_number(cells);
	out->late = pg_get_number(cells);
}

/* --- customers --- */

static struct customer *read_customer(struct cells *cells)
{
	struct customer *customer = xcalloc(1, sizeof *customer);

	customer->n = pg_get_number(cells);
	customer->id = pg_get_text(cells);
	customer->name = pg_get_text(cells);
	customer->locale = pg_get_text(cells);
	customer->timezone = pg_get_text(cells);
	customer->seq = pg_get_number(cells);
	customer->erased_at = pg_get_number(cells);
	return customer;
}

static void read_address(struct cells *cells, struct customer *customer)
{
	size_t count = customer->address_count;

	if ((count & (count + 1)) == 0) /* 0, 1, 3, 7, …: room for twice as many */
		customer->addresses =
			xreallocarray(customer->addresses, 2 * (count + 1), sizeof *customer->addresses);
	struct address *address = &customer->addresses[customer->address_count++];
	address->n = pg_get_number(cells);
	address->channel = pg_get_text(cells);
	address->value = pg_get_text(cells);
	address->details = pg_get_text(cells);
	address->state = (enum address_state)pg_get_number(cells);
	address->seq = pg_get_number(cells);
}

/* What could be read of the copy that stands beside a customer (config/schema/postgres/041-beside.sql). */
struct beside {
	bool addresses, choices;
};

/* Which of `count` facts has this customer first and behind `from`; -1: none. In the order of n, so that one
 * search finds all. */
struct by_customer {
	int64_t n;
	struct facts *facts;
};

static int by_n(const void *a, const void *b)
{
	int64_t left = ((const struct by_customer *)a)->n, right = ((const struct by_customer *)b)->n;

	return (left > right) - (left < right);
}

static struct by_customer *first_of(struct by_customer *list, size_t count, int64_t n)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (list[middle].n < n)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && list[low].n == n ? &list[low] : NULL;
}

#define CUSTOMER_COLUMNS \
	"k.n, k.id, k.name, k.locale, k.timezone, k.seq, k.erased_at, k.addresses, k.choices "

/* $1: places, $2: ids (or NULL), $3: n. `beside`, where it is wanted: which of them have had their addresses
 * and choices read from what stands beside them. */
static bool read_customers(struct pg *pg, struct facts *const facts[], size_t count, struct beside beside[])
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_CUSTOMERS, "NTN",
		      "SELECT u.place, " CUSTOMER_COLUMNS
		      "FROM unnest($1, $2, $3) u (place, id, n) JOIN customer k ON k.id = u.id "
		      "WHERE u.id IS NOT NULL UNION ALL "
		      "SELECT u.place, " CUSTOMER_COLUMNS
		      "FROM unnest($1, $2, $3) u (place, id, n) JOIN customer k ON k.n = u.n "
		      "WHERE u.id IS NULL");
	for (size_t i = 0; i < count; i++) {
		facts[i]->customer = NULL;
		facts[i]->own = facts[i]->parents = facts[i]->star = NULL;
		pg_put_number(&query, (int64_t)i);
		pg_put_text(&query, facts[i]->customer_id);
		pg_put_number(&query, facts[i]->customer_n);
	}
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		int64_t place = pg_get_number(&cells);
		facts[place]->customer = read_customer(&cells);
		const char *addresses = pg_peek_text(&cells), *choices = pg_peek_text(&cells);
		if (beside)
			beside[place] = (struct beside){
				addresses && store_beside_addresses(addresses, facts[place]->customer),
				choices && store_beside_choices(choices, facts[place])};
	}
	pg_query_release(&query);
	return ok;
}

static bool read_addresses(struct pg *pg, struct by_customer *list, size_t count)
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_ADDRESSES, "N",
		      "SELECT l.customer, a.n, a.channel, a.value, l.details, a.state, a.seq "
		      "FROM customer_address l JOIN address a ON a.n = l.address "
		      "WHERE l.customer = ANY ($1) ORDER BY l.customer, l.position");
	for (size_t i = 0; i < count; i++)
		if (!i || list[i].n != list[i - 1].n)
			pg_put_number(&query, list[i].n);
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		int64_t n = pg_get_number(&cells);
		const struct cells here = cells;
		struct by_customer *end = list + count;
		for (struct by_customer *at = first_of(list, count, n); at && at < end && at->n == n; at++) {
			cells = here;
			read_address(&cells, at->facts->customer);
		}
	}
	pg_query_release(&query);
	return ok;
}

#define PREFERENCE_COLUMNS                                                                                  \
	"p.product, p.channels, p.hours, p.digest, p.paused_until, p.version, p.changed_at, p.changed_by, " \
	"p.seq "

static void read_preference(struct cells *cells, struct preference *out)
{
	*out = (struct preference){.product = pg_get_text(cells)};
	store_channels_read(pg_peek_text(cells), out);
	out->hours = pg_get_text(cells);
	out->digest = pg_get_text(cells);
	out->paused_until = pg_get_number(cells);
	out->version = pg_get_number(cells);
	out->changed_at = pg_get_number(cells);
	out->changed_by = pg_get_text(cells);
	out->seq = pg_get_number(cells);
}

static bool read_chains(struct pg *pg, struct facts *const facts[], size_t count)
{
	struct pg_query query;

	pg_query_init(
		&query, pg, PG_CHAIN, "NNTT",
		"SELECT u.place, " PREFERENCE_COLUMNS
		"FROM unnest($1, $2, $3, $4) u (place, customer, product, parent) "
		"JOIN preference p ON p.customer = u.customer AND p.product IN (u.product, u.parent, '*')");
	for (size_t i = 0; i < count; i++) {
		if (!facts[i]->customer)
			continue;
		pg_put_number(&query, (int64_t)i);
		pg_put_number(&query, facts[i]->customer->n);
		pg_put_text(&query, facts[i]->product);
		pg_put_text(&query, facts[i]->parent);
	}
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		struct facts *of = facts[pg_get_number(&cells)];
		struct preference *preference = xcalloc(1, sizeof *preference);
		read_preference(&cells, preference);
		struct preference **place = strcmp(preference->product, of->product) == 0  ? &of->own
					    : strcmp(preference->product, of->parent) == 0 ? &of->parents
											   : &of->star;
		preference_free(*place);
		*place = preference;
	}
	pg_query_release(&query);
	return ok;
}

struct moved {
	int64_t n, state, seq;
};

static int by_moved(const void *a, const void *b)
{
	int64_t left = ((const struct moved *)a)->n, right = ((const struct moved *)b)->n;

	return (left > right) - (left < right);
}

static void move(struct customer *customer, const struct moved moved[], size_t count)
{
	for (size_t i = 0; i < customer->address_count; i++) {
		struct address *address = &customer->addresses[i];
		const struct moved wanted = {.n = address->n},
				   *found = bsearch(&wanted, moved, count, sizeof wanted, by_moved);
		if (!found)
			continue;
		address->state = (enum address_state)found->state;
		address->seq = found->seq;
	}
}

/* The states of now, where they are others than those of the copy. */
static bool read_moved(struct pg *pg, struct facts *const facts[], size_t count, const struct beside beside[])
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_MOVED, "N",
		      "SELECT n, state, seq FROM address WHERE moved <> 0 AND n = ANY ($1)");
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; beside[i].addresses && j < facts[i]->customer->address_count; j++)
			pg_put_number(&query, facts[i]->customer->addresses[j].n);
	bool ok = pg_query_run(&query);
	size_t rows = ok ? (size_t)query.rows : 0;
	struct moved *moved = xcalloc(rows, sizeof *moved);
	for (size_t r = 0; r < rows; r++) {
		struct cells cells = pg_cells(&query, (int)r);
		moved[r].n = pg_get_number(&cells);
		moved[r].state = pg_get_number(&cells);
		moved[r].seq = pg_get_number(&cells);
	}
	qsort(moved, rows, sizeof *moved, by_moved);
	for (size_t i = 0; rows && i < count; i++)
		if (beside[i].addresses)
			move(facts[i]->customer, moved, rows);
	free(moved);
	pg_query_release(&query);
	return ok;
}

/* Two statements, however many they are; two more for those who have no copy beside them. */
bool pg_read_facts(struct pg *pg, struct facts *const facts[], size_t count)
{
	struct by_customer *list = xcalloc(count, sizeof *list);
	struct facts **chains = xcalloc(count, sizeof *chains);
	struct beside *beside = xcalloc(count, sizeof *beside);
	size_t known = 0, chained = 0, copies = 0;
	bool ok = read_customers(pg, facts, count, beside);

	for (size_t i = 0; ok && i < count; i++) {
		if (!facts[i]->customer)
			continue;
		if (!beside[i].addresses)
			list[known++] = (struct by_customer){facts[i]->customer->n, facts[i]};
		if (!beside[i].choices)
			chains[chained++] = facts[i];
		copies += beside[i].addresses && facts[i]->customer->address_count;
	}
	qsort(list, known, sizeof *list, by_n);
	ok = ok && (!copies || read_moved(pg, facts, count, beside)) &&
	     (!known || read_addresses(pg, list, known)) && (!chained || read_chains(pg, chains, chained));
	free(list);
	free(chains);
	free(beside);
	return ok;
}

bool pg_get_customers(struct pg *pg, const char *const ids[], size_t count, struct customer *out[])
{
	struct facts *facts = xcalloc(count, sizeof *facts), **all = xcalloc(count, sizeof *all);
	struct by_customer *list = xcalloc(count, sizeof *list);
	size_t known = 0;

	for (size_t i = 0; i < count; i++) {
		facts[i].customer_id = ids[i];
		all[i] = &facts[i];
	}
	bool ok = read_customers(pg, all, count, NULL);
	for (size_t i = 0; ok && i < count; i++)
		if (facts[i].customer)
			list[known++] = (struct by_customer){facts[i].customer->n, &facts[i]};
	qsort(list, known, sizeof *list, by_n);
	ok = ok && (!known || read_addresses(pg, list, known));
	for (size_t i = 0; i < count; i++)
		out[i] = facts[i].customer;
	free(facts);
	free(all);
	free(list);
	return ok;
}

bool pg_get_customer(struct pg *pg, const char *id, struct customer **out)
{
	return pg_get_customers(pg, &id, 1, out);
}

bool pg_get_preferences_of(struct pg *pg, const int64_t customers[], size_t count, struct preferences out[])
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_PREFERENCES, "NN",
		      "SELECT u.place, " PREFERENCE_COLUMNS
		      "FROM unnest($1, $2) u (place, customer) JOIN preference p ON p.customer = u.customer "
		      "ORDER BY u.place, p.product");
	for (size_t i = 0; i < count; i++) {
		pg_put_number(&query, (int64_t)i);
		pg_put_number(&query, customers[i]);
	}
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		struct preferences *to = &out[pg_get_number(&cells)];
		to->list = xreallocarray(to->list, to->count + 1, sizeof *to->list);
		read_preference(&cells, &to->list[to->count++]);
	}
	pg_query_release(&query);
	return ok;
}

bool pg_get_preferences(struct pg *pg, int64_t customer, struct preference **out, size_t *count)
{
	struct preferences of = {0};
	bool ok = pg_get_preferences_of(pg, &customer, 1, &of);

	*out = of.list;
	*count = of.count;
	return ok;
}

/* --- holds, caps, the sum --- */

bool pg_get_holds(struct pg *pg, struct hold **out, size_t *count)
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_HOLDS, "",
		      "SELECT kind, name, why, held_by, actor, at, seq FROM hold ORDER BY seq");
	bool ok = pg_query_run(&query);
	if (ok && query.rows)
		*out = xreallocarray(NULL, (size_t)query.rows, sizeof **out);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		struct hold *hold = &(*out)[(*count)++];
		hold->kind = (enum hold_kind)pg_get_number(&cells);
		hold->name = pg_get_text(&cells);
		hold->why = pg_get_text(&cells);
		hold->by = pg_get_text(&cells);
		hold->actor = pg_get_text(&cells);
		hold->at = pg_get_number(&cells);
		hold->seq = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

bool pg_cap_used(struct pg *pg, int64_t customer, const char *name, int64_t *used)
{
	struct pg_query query;

	pg_query_init(&query, pg, PG_CAP_USED, "nt",
		      "SELECT used FROM cap_count WHERE customer = $1 AND name = $2");
	pg_put_number(&query, customer);
	pg_put_text(&query, name);
	bool ok = pg_query_run(&query);
	if (ok && query.rows) {
		struct cells cells = pg_cells(&query, 0);
		*used = pg_get_number(&cells);
	}
	pg_query_release(&query);
	return ok;
}

/* A row for the number admitted, and one for each state. */
bool pg_counters(struct pg *pg, struct counters *out)
{
	struct pg_query query;

	*out = (struct counters){0};
	pg_query_init(&query, pg, PG_COUNTERS, "",
		      "SELECT p.admitted, u.state - 1, u.count, u.pruned FROM position p LEFT JOIN LATERAL "
		      "unnest(p.states, p.pruned) WITH ORDINALITY u (count, pruned, state) ON true");
	bool ok = pg_query_run(&query);
	for (int i = 0; ok && i < query.rows; i++) {
		struct cells cells = pg_cells(&query, i);
		out->admitted = pg_get_number(&cells);
		int64_t state = pg_get_number(&cells);
		int64_t count = pg_get_number(&cells);
		if (state >= 0 && state < STATES) {
			out->states[state] = count;
			out->pruned[state] = pg_get_number(&cells);
		}
	}
	pg_query_release(&query);
	return ok;
}
