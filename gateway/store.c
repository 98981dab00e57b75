/* The gate in front of the store: finds the adapter, checks the use, times the transactions. */
#include "store_private.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "moment.h"
#include "registry.h"
#include "banned.h"

/* A transaction that takes longer holds up everything: it is worth a line. */
#define STORE_SLOW (2 * MOMENT_S)

static _Thread_local bool store_locked;

/* The adapter of a URL, and what is behind its colon. */
static const struct store_ops *store_adapter(const char *url, const char **where, struct text *error)
{
	char scheme[16] = "";
	const char *colon = strchr(url, ':');
	const struct store_ops *ops = NULL;

	if (colon && (size_t)(colon - url) < sizeof scheme) {
		memcpy(scheme, url, (size_t)(colon - url));
		ops = registry_store(scheme);
		*where = colon + 1;
	}
	if (!ops)
		text_error(error,
			   "store: no store of this kind; it is sqlite:PATH, postgresql://… or memory:");
	return ops;
}

struct store *store_open(const char *url, bool migrate, struct text *error)
{
	const char *where = NULL;
	const struct store_ops *ops = store_adapter(url, &where, error);

	store_locked = false;
	return ops ? ops->open(where, migrate, error, &store_locked) : NULL;
}

bool store_open_was_locked(void)
{
	return store_locked;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->in_transaction)
		store_rollback(store);
	text_release(&store->error);
	store->ops->close(store);
}

const char *store_error(const struct store *store)
{
	return store->error.data;
}

const char *store_id(const struct store *store)
{
	return store->id;
}

bool store_is_alone(const struct store *store)
{
	return store->ops->alone;
}

bool store_is_shared(const struct store *store)
{
	return store->ops->lock_stripes != NULL;
}

void store_set_lease(struct store *store, int64_t lease)
{
	if (store->ops->set_lease)
		store->ops->set_lease(store, lease);
}

int64_t store_clock_ahead(const struct store *store)
{
	return store->clock_ahead;
}

bool store_is_contended(const struct store *store)
{
	return store->contended;
}

struct store_versions store_versions(const struct store *store)
{
	return store->versions;
}

bool store_begin(struct store *store)
{
	if (store->in_transaction)
		return text_error(&store->error, "store: a transaction is open already");
	text_clear(&store->error);
	store->contended = false;
	if (!store->ops->begin(store))
		return false;
	store->in_transaction = true;
	store->lost = false;
	store->began = moment_mono();
	return true;
}

bool store_commit(struct store *store)
{
	if (!store->in_transaction)
		return text_error(&store->error, "store: there is no transaction to commit");
	if (store->in_point)
		return text_error(&store->error, "store: committed inside a part that was not ended");
	if (store->lost)
		return false;
	if (!store->ops->commit(store)) {
		store->lost = true;
		return false;
	}
	store->in_transaction = false;
	int64_t took = moment_mono() - store->began;
	if (took > STORE_SLOW)
		log_warn("store: a transaction took %lld ms", (long long)(took / MOMENT_MS));
	return true;
}

void store_rollback(struct store *store)
{
	if (!store->in_transaction)
		return;
	if (store->lost)
		log_debug("store: rolled back: %s", store->error.data);
	store->ops->rollback(store);
	store->in_transaction = false;
	store->in_point = false;
	store->lost = false;
}

/* Reading works in a transaction or without; after a failure nothing does. */
static bool may_read(const struct store *store)
{
	return !store->lost;
}

static bool may_write(struct store *store)
{
	if (!store->in_transaction)
		return text_error(&store->error, "store: written without a transaction");
	return !store->lost;
}

static bool done(struct store *store, bool ok)
{
	if (!ok)
		store->lost = store->in_transaction;
	return ok;
}

/* READ(store, call): the call, if it may be made now. */
#define READ(store, call) (may_read(store) && done(store, (store)->ops->call))
#define WRITE(store, call) (may_write(store) && done(store, (store)->ops->call))

bool store_save_point(struct store *store)
{
	if (store->in_point)
		return text_error(&store->error, "store: a part of a transaction inside another");
	store->in_point = WRITE(store, save_point(store));
	return store->in_point;
}

bool store_end_point(struct store *store, bool keep)
{
	if (!store->in_point)
		return text_error(&store->error, "store: there is no part of a transaction to end");
	if (!WRITE(store, end_point(store, keep)))
		return false;
	store->in_point = false;
	return true;
}

bool store_find_messages(struct store *store, const char *const ids[], size_t count, struct message_row out[])
{
	return !count || READ(store, find_messages(store, ids, count, out));
}

bool store_get_messages(struct store *store, const int64_t n[], size_t count, struct message_row out[])
{
	return !count || READ(store, get_messages(store, n, count, out));
}

bool store_number_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	return !count || WRITE(store, number_messages(store, rows, count));
}

bool store_add_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	return !count || WRITE(store, add_messages(store, rows, count));
}

bool store_save_messages(struct store *store, struct message_row *const rows[], size_t count)
{
	return !count || WRITE(store, save_messages(store, rows, count));
}

bool store_due(struct store *store, const char *waits_for, enum lane lane, int64_t now, size_t limit,
	       struct message_rows *out)
{
	return !limit || READ(store, due(store, waits_for, lane, now, limit, out));
}

bool store_next_due(struct store *store, const char *waits_for, int64_t *due)
{
	*due = MOMENT_NEVER;
	return READ(store, next_due(store, waits_for, due));
}

bool store_waiting(struct store *store, const char *waits_for, struct waiting_at *after, size_t limit,
		   struct message_rows *out)
{
	return !limit || READ(store, waiting(store, waits_for, after, limit, out));
}

bool store_expired(struct store *store, int64_t now, size_t limit, struct message_rows *out)
{
	return !limit || READ(store, expired(store, now, limit, out));
}

bool store_next_expiry(struct store *store, int64_t *at)
{
	*at = MOMENT_NEVER;
	return READ(store, next_expiry(store, at));
}

bool store_waited_for(struct store *store, char ***names, size_t *count)
{
	*names = NULL;
	*count = 0;
	return READ(store, waited_for(store, names, count));
}

bool store_waiting_of_campaign(struct store *store, const char *campaign, int64_t after, size_t limit,
			       struct message_rows *out)
{
	return !limit || READ(store, waiting_of_campaign(store, campaign, after, limit, out));
}

bool store_waiting_of(struct store *store, int64_t customer, int64_t after, size_t limit,
		      struct message_rows *out)
{
	return !limit || READ(store, waiting_of(store, customer, after, limit, out));
}

bool store_open_of(struct store *store, int64_t customer, struct message_rows *out)
{
	return READ(store, open_of(store, customer, out));
}

bool store_abandoned(struct store *store, int64_t gateway, int64_t now, int64_t silent, int64_t after,
		     size_t limit, struct message_rows *out)
{
	return !limit || READ(store, abandoned(store, gateway, now, silent, after, limit, out));
}

bool store_report_gateway(struct store *store, const char *name, const char *boot, int64_t at, int64_t *n,
			  int64_t *before)
{
	*before = 0;
	return WRITE(store, report_gateway(store, name, boot, at, n, before));
}

bool store_move_clock(struct store *store, int64_t was, int64_t by)
{
	return !store->ops->move_clock || WRITE(store, move_clock(store, was, by));
}

bool store_gateway_name(struct store *store, int64_t gateway, char **name)
{
	*name = NULL;
	return READ(store, gateway_name(store, gateway, name));
}

bool store_lock_stripes(struct store *store, struct store_stripe stripes[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		stripes[i].got = true;
	return !count || !store->ops->lock_stripes || WRITE(store, lock_stripes(store, stripes, count, true));
}

bool store_try_stripes(struct store *store, struct store_stripe stripes[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		stripes[i].got = true;
	return !count || !store->ops->lock_stripes ||
	       WRITE(store, lock_stripes(store, stripes, count, false));
}

bool store_last_hold(struct store *store, int64_t *seq)
{
	*seq = 0;
	return !store->ops->last_hold || READ(store, last_hold(store, seq));
}

bool store_count_gateways(struct store *store, int64_t since, int64_t *count)
{
	*count = 1;
	return !store->ops->count_gateways || READ(store, count_gateways(store, since, count));
}

bool store_take_role(struct store *store, const char *role, int64_t gateway, int64_t now, int64_t until,
		     bool *mine)
{
	*mine = true;
	return !store->ops->take_role || WRITE(store, take_role(store, role, gateway, now, until, mine));
}

bool store_number_contacts(struct store *store, struct contact *const contacts[], size_t count)
{
	return !count || WRITE(store, number_contacts(store, contacts, count));
}

bool store_add_contacts(struct store *store, struct contact *const contacts[], size_t count)
{
	return !count || WRITE(store, add_contacts(store, contacts, count));
}

bool store_save_contacts(struct store *store, struct contact *const contacts[], size_t count)
{
	return !count || WRITE(store, save_contacts(store, contacts, count));
}

bool store_get_contacts(struct store *store, const int64_t seq[], size_t count, struct contact out[])
{
	return !count || READ(store, get_contacts(store, seq, count, out));
}

bool store_doubts_of(struct store *store, int64_t customer, int64_t since, struct contact **out,
		     size_t *count)
{
	return READ(store, doubts_of(store, customer, since, out, count));
}

bool store_find_contact(struct store *store, enum direction direction, const char *provider,
			const char *provider_ref, struct contact *out)
{
	*out = (struct contact){0};
	return READ(store, find_contact(store, direction, provider, provider_ref, out));
}

bool store_last_sent(struct store *store, int64_t customer, int64_t address, const char *provider,
		     struct contact *out)
{
	*out = (struct contact){0};
	return READ(store, last_sent(store, customer, address, provider, out));
}

bool store_attempt_of(struct store *store, int64_t message, const char *channel, struct contact *out)
{
	*out = (struct contact){0};
	return READ(store, attempt_of(store, message, channel, out));
}

bool store_read_facts(struct store *store, struct facts *const facts[], size_t count)
{
	return !count || READ(store, read_facts(store, facts, count));
}

bool store_get_customer(struct store *store, const char *id, struct customer **out)
{
	*out = NULL;
	return READ(store, get_customer(store, id, out));
}

bool store_get_preferences(struct store *store, int64_t customer, struct preference **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	return READ(store, get_preferences(store, customer, out, count));
}

bool store_put_customer(struct store *store, struct customer *customer)
{
	return WRITE(store, put_customer(store, customer));
}

bool store_get_customers(struct store *store, const char *const ids[], size_t count, struct customer *out[])
{
	for (size_t i = 0; i < count; i++)
		out[i] = NULL;
	return !count || READ(store, get_customers(store, ids, count, out));
}

bool store_get_preferences_of(struct store *store, const int64_t customers[], size_t count,
			      struct preferences out[])
{
	for (size_t i = 0; i < count; i++)
		out[i] = (struct preferences){0};
	return !count || READ(store, get_preferences_of(store, customers, count, out));
}

bool store_get_addresses(struct store *store, struct address *const addresses[], size_t count, bool make)
{
	return !count || (make ? WRITE(store, get_addresses(store, addresses, count, true))
			       : READ(store, get_addresses(store, addresses, count, false)));
}

bool store_number_customers(struct store *store, struct customer *const customers[], size_t count)
{
	return !count || WRITE(store, number_customers(store, customers, count));
}

bool store_add_customers(struct store *store, struct customer *const customers[], size_t count)
{
	return !count || WRITE(store, add_customers(store, customers, count));
}

bool store_put_preferences(struct store *store, const struct preference_of rows[], size_t count)
{
	return !count || WRITE(store, put_preferences(store, rows, count));
}

bool store_any_erased(struct store *store, bool *any)
{
	*any = false;
	return READ(store, any_erased(store, any));
}

bool store_stamp_customer(struct store *store, int64_t customer, int64_t seq)
{
	return WRITE(store, stamp_customer(store, customer, seq));
}

bool store_erase_customer(struct store *store, int64_t customer, const char *name, int64_t at)
{
	return WRITE(store, erase_customer(store, customer, name, at));
}

bool store_get_erasing(struct store *store, int64_t *customer, char **id)
{
	*customer = 0;
	*id = NULL;
	return READ(store, get_erasing(store, customer, id));
}

bool store_end_erasing(struct store *store, int64_t customer)
{
	return WRITE(store, end_erasing(store, customer));
}

bool store_rename_address(struct store *store, int64_t address, const char *value)
{
	return WRITE(store, rename_address(store, address, value));
}

bool store_get_changes(struct store *store, int64_t customer, int64_t after, size_t limit,
		       struct change **out, size_t *count)
{
	return !limit || READ(store, get_changes(store, customer, after, limit, out, count));
}

bool store_rewrite_change(struct store *store, const struct change *change)
{
	return WRITE(store, rewrite_change(store, change));
}

bool store_erase_contacts(struct store *store, int64_t customer, int64_t *after, size_t limit, size_t *count)
{
	*count = 0;
	return !limit || WRITE(store, erase_contacts(store, customer, after, limit, count));
}

bool store_rewrite_event(struct store *store, int64_t seq, const char *json)
{
	return WRITE(store, rewrite_event(store, seq, json));
}

bool store_prune(struct store *store, const struct prune *prune, size_t limit, struct pruned *out, bool *more)
{
	*more = false;
	return !limit || WRITE(store, prune(store, prune, limit, out, more));
}

bool store_clean(struct store *store, bool *done)
{
	*done = false;
	if (store->in_transaction)
		return text_error(&store->error, "store: cleaned inside a transaction");
	return store->ops->clean(store, done);
}

const char *store_erasure_key(const struct store *store)
{
	return store->erasure_key;
}

bool store_put_preference(struct store *store, int64_t customer, const struct preference *preference)
{
	return WRITE(store, put_preference(store, customer, preference));
}

bool store_set_address_state(struct store *store, int64_t address, enum address_state state, int64_t seq)
{
	return WRITE(store, set_address_state(store, address, state, seq));
}

bool store_get_address(struct store *store, const char *channel, const char *value, bool make,
		       struct address_row *out)
{
	*out = (struct address_row){0};
	return make ? WRITE(store, get_address(store, channel, value, true, out))
		    : READ(store, get_address(store, channel, value, false, out));
}

bool store_answered(struct store *store, int64_t address, int64_t at)
{
	return WRITE(store, answered(store, address, at));
}

bool store_customers_of_address(struct store *store, int64_t address, int64_t **customers, size_t *count)
{
	*customers = NULL;
	*count = 0;
	return READ(store, customers_of_address(store, address, customers, count));
}

bool store_keep_receipt(struct store *store, const struct kept_receipt *receipt)
{
	return WRITE(store, keep_receipt(store, receipt));
}

bool store_find_receipt(struct store *store, const char *provider, const char *provider_ref, int64_t contact,
			struct kept_receipt *out)
{
	*out = (struct kept_receipt){0};
	return READ(store, find_receipt(store, provider, provider_ref, contact, out));
}

bool store_drop_receipt(struct store *store, const char *provider, const char *provider_ref, int64_t contact)
{
	return WRITE(store, drop_receipt(store, provider, provider_ref, contact));
}

bool store_get_receipts(struct store *store, int64_t after, size_t limit, struct kept_receipt **out,
			size_t *count)
{
	*out = NULL;
	*count = 0;
	return !limit || READ(store, get_receipts(store, after, limit, out, count));
}

bool store_count_receipts(struct store *store, int64_t *count)
{
	*count = 0;
	return READ(store, count_receipts(store, count));
}

bool store_put_again(struct store *store, const struct again_at *again)
{
	return WRITE(store, put_again(store, again));
}

bool store_drop_again(struct store *store, int64_t customer)
{
	return WRITE(store, drop_again(store, customer));
}

bool store_get_again(struct store *store, struct again_at **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	return READ(store, get_again(store, out, count));
}

bool store_put_hold(struct store *store, const struct hold *hold)
{
	return WRITE(store, put_hold(store, hold));
}

bool store_drop_hold(struct store *store, enum hold_kind kind, const char *name)
{
	return WRITE(store, drop_hold(store, kind, name));
}

bool store_get_holds(struct store *store, struct hold **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	return READ(store, get_holds(store, out, count));
}

bool store_cap_used(struct store *store, int64_t customer, const char *name, int64_t *used)
{
	*used = 0;
	return READ(store, cap_used(store, customer, name, used));
}

bool store_count_caps(struct store *store, const struct cap_count counts[], size_t count, int64_t now)
{
	return !count || WRITE(store, count_caps(store, counts, count, now));
}

bool store_last_choice(struct store *store, int64_t customer, const char *product, char **choice)
{
	*choice = NULL;
	return READ(store, last_choice(store, customer, product, choice));
}

bool store_append_changes(struct store *store, struct change *const changes[], size_t count)
{
	return !count || WRITE(store, append_changes(store, changes, count));
}

bool store_put_products(struct store *store, const char *hash, const char *body, int64_t at, int64_t *seq)
{
	return WRITE(store, put_products(store, hash, body, at, seq));
}

bool store_put_template(struct store *store, const char *hash, const char *name, const char *source,
			int64_t at)
{
	return WRITE(store, put_template(store, hash, name, source, at));
}

bool store_add_events(struct store *store, struct event_row *const events[], size_t count)
{
	return !count || WRITE(store, add_events(store, events, count));
}

bool store_get_events(struct store *store, int64_t after, size_t limit, struct event_row **out, size_t *count)
{
	return !limit || READ(store, get_events(store, after, limit, out, count));
}

bool store_drop_events(struct store *store, int64_t up_to)
{
	return WRITE(store, drop_events(store, up_to));
}

bool store_count(struct store *store, const struct counters *deltas)
{
	return WRITE(store, count(store, deltas));
}

bool store_counters(struct store *store, struct counters *out)
{
	return READ(store, counters(store, out));
}

/* --- readers --- */

struct store_reader *store_reader_open(const char *url, struct text *error)
{
	const char *where = NULL;
	const struct store_ops *ops = store_adapter(url, &where, error);

	return ops ? ops->reader_open(where, error) : NULL;
}

void store_reader_close(struct store_reader *reader)
{
	if (!reader)
		return;
	text_release(&reader->error);
	reader->ops->reader_close(reader);
}

const char *store_reader_error(const struct store_reader *reader)
{
	return reader->error.data;
}

bool store_read_log(struct store_reader *reader, const struct log_query *query, struct contact **out,
		    size_t *count)
{
	*out = NULL;
	*count = 0;
	return !query->limit || reader->ops->read_log(reader, query, out, count);
}

bool store_read_last_change(struct store_reader *reader, int64_t *changed)
{
	*changed = 0;
	return reader->ops->read_last_change(reader, changed);
}

bool store_read_message(struct store_reader *reader, const char *id, struct message_row *out)
{
	*out = (struct message_row){0};
	return reader->ops->read_message(reader, id, out);
}

bool store_read_open_of(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			struct message_rows *out)
{
	return !limit || reader->ops->read_open_of(reader, customer, after, limit, out);
}

bool store_read_customer(struct store_reader *reader, const char *id, struct customer **out,
			 struct preference **preferences, size_t *count)
{
	*out = NULL;
	*preferences = NULL;
	*count = 0;
	return reader->ops->read_customer(reader, id, out, preferences, count);
}

bool store_read_cap_used(struct store_reader *reader, int64_t customer, const char *name, int64_t *used)
{
	*used = 0;
	return reader->ops->read_cap_used(reader, customer, name, used);
}

bool store_read_find(struct store_reader *reader, const char *address, char ***ids, size_t *count)
{
	*ids = NULL;
	*count = 0;
	return reader->ops->read_find(reader, address, ids, count);
}

bool store_read_waiting_of(struct store_reader *reader, int64_t customer, size_t limit,
			   struct message_rows *out)
{
	return !limit || reader->ops->read_waiting_of(reader, customer, limit, out);
}

bool store_read_customer_id(struct store_reader *reader, int64_t customer, char **id)
{
	*id = NULL;
	return reader->ops->read_customer_id(reader, customer, id);
}

bool store_read_holds(struct store_reader *reader, struct hold **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	return reader->ops->read_holds(reader, out, count);
}

bool store_read_counters(struct store_reader *reader, struct counters *out)
{
	return reader->ops->read_counters(reader, out);
}

bool store_read_ages(struct store_reader *reader, int64_t oldest[LANES])
{
	memset(oldest, 0, LANES * sizeof *oldest);
	return reader->ops->read_ages(reader, oldest);
}

bool store_read_size(struct store_reader *reader, int64_t *bytes)
{
	*bytes = 0;
	return !reader->ops->read_size || reader->ops->read_size(reader, bytes);
}

bool store_read_changes(struct store_reader *reader, int64_t customer, int64_t after, size_t limit,
			struct change **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	return !limit || reader->ops->read_changes(reader, customer, after, limit, out, count);
}

bool store_audit_contacts(struct store_reader *reader, struct audit_at *after, size_t limit,
			  struct audit_contact **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	return !limit || reader->ops->audit_contacts(reader, after, limit, out, count);
}

bool store_audit_changes(struct store_reader *reader, struct audit_at *after, size_t limit,
			 struct change **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	if (!limit)
		return true;
	bool ok = reader->ops->audit_changes(reader, after, limit, out, count);
	if (*count) {
		after->customer = (*out)[*count - 1].customer;
		after->seq = (*out)[*count - 1].seq;
	}
	return ok;
}

bool store_audit_messages(struct store_reader *reader, int64_t after, size_t limit,
			  struct audit_message **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	return !limit || reader->ops->audit_messages(reader, after, limit, out, count);
}

bool store_audit_sum(struct store_reader *reader, struct counters *rows, struct counters *kept)
{
	*rows = *kept = (struct counters){0};
	return reader->ops->audit_sum(reader, rows, kept);
}

bool store_read_products(struct store_reader *reader, const char *hash, char **body)
{
	*body = NULL;
	return reader->ops->read_products(reader, hash, body);
}

bool store_read_changes_of_kind(struct store_reader *reader, enum change_kind kind, int64_t after,
				size_t limit, struct change **out, size_t *count)
{
	*out = NULL;
	*count = 0;
	return !limit || reader->ops->read_changes_of_kind(reader, kind, after, limit, out, count);
}
