/* Customers in memory, many at once. */
#include "store_memory_private.h"

#include "erase.h"
#include "banned.h"

static struct memory *of(struct store *store)
{
	return ((struct store_memory *)store)->memory;
}

bool memory_get_customers(struct store *store, const char *const ids[], size_t count, struct customer *out[])
{
	for (size_t i = 0; i < count; i++)
		memory_get_customer(store, ids[i], &out[i]);
	return true;
}

bool memory_get_preferences_of(struct store *store, const int64_t customers[], size_t count,
			       struct preferences out[])
{
	for (size_t i = 0; i < count; i++)
		preferences_read(of(store), customers[i], &out[i].list, &out[i].count);
	return true;
}

bool memory_get_addresses(struct store *store, struct address *const addresses[], size_t count, bool make)
{
	for (size_t i = 0; i < count; i++) {
		struct address *address = addresses[i];
		struct address_row row = {.state = address->state, .seq = address->seq};
		memory_get_address(store, address->channel, address->value, make, &row);
		address->n = row.n;
		address->state = row.state;
		address->seq = row.seq;
	}
	return true;
}

bool memory_number_customers(struct store *store, struct customer *const customers[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		customers[i]->n = ++of(store)->numbers[NUMBER_CUSTOMER];
	return true;
}

bool memory_add_customers(struct store *store, struct customer *const customers[], size_t count)
{
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++)
		ok = customer_write(store, customers[i]);
	return ok;
}

bool memory_put_preferences(struct store *store, const struct preference_of rows[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		memory_store_preference(store, rows[i].customer, rows[i].preference);
	return true;
}

bool memory_any_erased(struct store *store, bool *any)
{
	const struct slots *tables = of(store)->tables;

	for (size_t n = 1; !*any && n < tables[CUSTOMERS].size; n++) {
		const struct memory_customer *customer = tables[CUSTOMERS].at[n];
		*any = customer && erased_is_name(customer->id);
	}
	for (size_t n = 1; !*any && n < tables[ADDRESSES].size; n++) {
		const struct memory_address *address = tables[ADDRESSES].at[n];
		*any = address && erased_is_name(address->value);
	}
	return true;
}
