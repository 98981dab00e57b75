/* What the audit is told: read from the store page by page. */
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "xalloc.h"
#include "banned.h"

#define AUDIT_PAGE 5000     /* contacts or messages read at once */
#define AUDIT_CHANGES 10000 /* of one customer, or of all, read at once */

static void changes_free(struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		change_release(&changes[i]);
	free(changes);
}

/* --- what is for all --- */

static bool take_products(struct audit *audit, struct store_reader *reader, const struct change *change)
{
	char *kept = NULL;
	bool ok = store_read_products(reader, change->subject, &kept);

	if (ok && kept)
		audit_products(audit, change->seq, kept);
	free(kept);
	return ok;
}

/* Behind *after, and at least up to `log`. */
static bool take_kind(struct audit *audit, struct store_reader *reader, enum change_kind kind, int64_t log,
		      int64_t *after)
{
	bool ok = true, more = true;

	while (ok && more) {
		struct change *changes = NULL;
		size_t count = 0;
		ok = store_read_changes_of_kind(reader, kind, *after, AUDIT_CHANGES, &changes, &count);
		for (size_t i = 0; ok && i < count; i++) {
			*after = changes[i].seq;
			if (kind == CHANGE_PRODUCTS)
				ok = take_products(audit, reader, &changes[i]);
			else
				audit_change(audit, &changes[i]);
		}
		more = count == AUDIT_CHANGES;
		changes_free(changes, count);
	}
	*after = *after > log ? *after : log;
	return ok;
}

/* --- contacts --- */

/* The changes of the customers of a page of contacts, read behind it, in the same order. */
struct beside {
	struct audit_at at;
	struct change *page;
	size_t count, next;
	bool more;
};

static bool beside_fill(struct beside *beside, struct store_reader *reader)
{
	changes_free(beside->page, beside->count);
	beside->page = NULL;
	beside->next = beside->count = 0;
	bool ok = store_audit_changes(reader, &beside->at, AUDIT_CHANGES, &beside->page, &beside->count);
	beside->more = beside->count == AUDIT_CHANGES;
	return ok;
}

/* Moves on to the customer, and tells the audit all that is known of him. */
static bool take_customer(struct audit *audit, struct store_reader *reader, struct beside *beside,
			  int64_t customer)
{
	struct change *all = NULL;
	size_t total = 0;
	bool ok = true;

	while (ok) {
		if (beside->next == beside->count && beside->more) {
			ok = beside_fill(beside, reader);
			continue;
		}
		if (beside->next == beside->count || beside->page[beside->next].customer > customer)
			break;
		struct change *change = &beside->page[beside->next++];
		if (change->customer < customer)
			continue;
		all = xreallocarray(all, total + 1, sizeof *all);
		all[total++] = *change;
		*change = (struct change){0}; /* it is ours */
	}
	if (ok)
		audit_customer(audit, customer, all, total);
	changes_free(all, total);
	return ok;
}

/* A gateway goes on meanwhile: a contact may have been claimed under what came since we read it. */
static bool take_common(struct audit *audit, struct store_reader *reader,
			const struct audit_contact contacts[], size_t count)
{
	struct audit_reached *reached = audit_reached(audit);
	int64_t log = reached->log;

	for (size_t i = 0; i < count; i++)
		log = contacts[i].log_seq > log ? contacts[i].log_seq : log;
	if (log == reached->log)
		return true;
	reached->log = log;
	return take_kind(audit, reader, CHANGE_PRODUCTS, log, &reached->products) &&
	       take_kind(audit, reader, CHANGE_ADDRESS, log, &reached->addresses) &&
	       take_kind(audit, reader, CHANGE_HOLD, log, &reached->holds);
}

/* Of whom the page before had the last contacts is looked at again: he may have changed his mind since. */
static bool take_page(struct audit *audit, struct store_reader *reader, const struct audit_contact page[],
		      size_t count)
{
	struct beside beside = {.at = {.customer = count ? page[0].customer : 0,
				       .end = count ? page[count - 1].customer + 1 : 0},
				.more = true};
	bool ok = take_common(audit, reader, page, count);

	for (size_t i = 0; ok && i < count; i++) {
		if (!i || page[i].customer != page[i - 1].customer)
			ok = take_customer(audit, reader, &beside, page[i].customer);
		audit_contact(audit, &page[i]);
	}
	changes_free(beside.page, beside.count);
	return ok;
}

bool audit_read_customers(struct audit *audit, struct store_reader *reader, int64_t from, int64_t to)
{
	struct audit_at after = {.customer = from, .end = to};
	bool ok = true, more = true;

	while (ok && more) {
		struct audit_contact *page = NULL;
		size_t count = 0;
		ok = store_audit_contacts(reader, &after, AUDIT_PAGE, &page, &count) &&
		     take_page(audit, reader, page, count);
		more = count >= AUDIT_PAGE;
		audit_contacts_free(page, count);
	}
	return ok;
}

bool audit_next_customer(struct store_reader *reader, int64_t from, int64_t *customer)
{
	struct audit_at after = {.customer = from};
	struct audit_contact *first = NULL;
	size_t count = 0;
	bool ok = store_audit_contacts(reader, &after, 1, &first, &count);

	*customer = count ? first->customer : 0;
	audit_contacts_free(first, count);
	return ok;
}

bool audit_read_contacts(struct audit *audit, struct store_reader *reader)
{
	return audit_read_customers(audit, reader, 0, 0);
}

/* --- messages --- */

bool audit_read_messages(struct audit *audit, struct store_reader *reader)
{
	struct counters rows, kept;
	int64_t after = 0;
	bool more = true;

	bool ok = store_audit_sum(reader, &rows, &kept);
	if (ok)
		audit_sum(audit, &rows, &kept);
	while (ok && more) {
		struct audit_message *page = NULL;
		size_t count = 0;
		ok = store_audit_messages(reader, after, AUDIT_PAGE, &page, &count);
		more = count == AUDIT_PAGE;
		for (size_t i = 0; ok && i < count; i++) {
			audit_message(audit, &page[i]);
			after = page[i].n;
		}
		audit_messages_free(page, count);
	}
	return ok;
}
