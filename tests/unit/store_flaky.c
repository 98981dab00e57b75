#include "store_flaky.h"

#include "store_private.h"
#include "banned.h"

struct flaky flaky;
static const struct store_ops *real;

static bool fails(struct store *store)
{
	if (++flaky.calls == flaky.fail_at || flaky.fails)
		return !text_error(&store->error, "the test wants the store to fail");
	return false;
}

#define FLAKY(name, ...)                                       \
	static bool flaky_##name(struct store *s, __VA_ARGS__) \
	{                                                      \
		return !fails(s) && real->name
#define END \
	;   \
	}

FLAKY(find_messages, const char *const ids[], size_t n, struct message_row out[])
(s, ids, n, out) END
	FLAKY(get_messages, const int64_t at[], size_t n, struct message_row out[])(s, at, n, out) END
	FLAKY(number_messages, struct message_row *const rows[], size_t n)(s, rows, n) END
	FLAKY(add_messages, struct message_row *const rows[], size_t n)(s, rows, n) END
	FLAKY(save_messages, struct message_row *const rows[], size_t n)(s, rows, n) END
	FLAKY(due, const char *w, enum lane lane, int64_t now, size_t max,
	      struct message_rows *out)(s, w, lane, now, max, out) END
	FLAKY(next_due, const char *w, int64_t *due)(s, w, due) END
	FLAKY(waiting, const char *w, struct waiting_at *after, size_t max,
	      struct message_rows *out)(s, w, after, max, out) END
	FLAKY(waited_for, char ***names, size_t *n)(s, names, n) END
	FLAKY(waiting_of, int64_t customer, int64_t after, size_t max,
	      struct message_rows *out)(s, customer, after, max, out) END
	FLAKY(put_again, const struct again_at *again)(s, again) END
	FLAKY(drop_again, int64_t customer)(s, customer) END
	FLAKY(get_again, struct again_at **out, size_t *n)(s, out, n) END
	FLAKY(erase_customer, int64_t customer, const char *name, int64_t at)(s, customer, name, at) END
	FLAKY(get_erasing, int64_t *customer, char **id)(s, customer, id) END
	FLAKY(end_erasing, int64_t customer)(s, customer) END
	FLAKY(rename_address, int64_t address, const char *value)(s, address, value) END
	FLAKY(get_changes, int64_t customer, int64_t after, size_t max, struct change **out,
	      size_t *n)(s, customer, after, max, out, n) END
	FLAKY(rewrite_change, const struct change *change)(s, change) END
	FLAKY(erase_contacts, int64_t customer, int64_t *after, size_t max, size_t *n)(s, customer, after,
										       max, n) END
	FLAKY(rewrite_event, int64_t seq, const char *json)(s, seq, json) END
	FLAKY(prune, const struct prune *prune, size_t max, struct pruned *out, bool *more)(s, prune, max,
											    out, more) END
	FLAKY(doubts_of, int64_t customer, int64_t since, struct contact **out, size_t *n)(s, customer, since,
											   out, n) END
	FLAKY(open_of, int64_t customer, struct message_rows *out)(s, customer, out) END
	FLAKY(abandoned, int64_t g, int64_t now, int64_t silent, int64_t after, size_t max,
	      struct message_rows *out)(s, g, now, silent, after, max, out) END
	FLAKY(add_contacts, struct contact *const list[], size_t n)(s, list, n) END
	FLAKY(save_contacts, struct contact *const list[], size_t n)(s, list, n) END
	FLAKY(get_contacts, const int64_t seq[], size_t n, struct contact out[])(s, seq, n, out) END
	FLAKY(read_facts, struct facts *const facts[], size_t n)(s, facts, n) END
	FLAKY(get_customer, const char *id, struct customer **out)(s, id, out) END
	FLAKY(get_preferences, int64_t customer, struct preference **out, size_t *n)(s, customer, out, n) END
	FLAKY(get_customers, const char *const ids[], size_t n, struct customer *out[])(s, ids, n, out) END
	FLAKY(get_preferences_of, const int64_t of[], size_t n, struct preferences out[])(s, of, n, out) END
	FLAKY(get_addresses, struct address *const list[], size_t n, bool make)(s, list, n, make) END
	FLAKY(number_customers, struct customer *const list[], size_t n)(s, list, n) END
	FLAKY(add_customers, struct customer *const list[], size_t n)(s, list, n) END
	FLAKY(put_preferences, const struct preference_of rows[], size_t n)(s, rows, n) END
	FLAKY(any_erased, bool *any)(s, any) END
	FLAKY(put_customer, struct customer *customer)(s, customer) END
	FLAKY(stamp_customer, int64_t customer, int64_t seq)(s, customer, seq) END
	FLAKY(put_preference, int64_t customer, const struct preference *p)(s, customer, p) END
	FLAKY(set_address_state, int64_t address, enum address_state state, int64_t seq)(s, address, state,
											 seq) END
	FLAKY(find_contact, enum direction direction, const char *provider, const char *ref,
	      struct contact *out)(s, direction, provider, ref, out) END
	FLAKY(last_sent, int64_t customer, int64_t address, const char *provider,
	      struct contact *out)(s, customer, address, provider, out) END
	FLAKY(attempt_of, int64_t message, const char *channel, struct contact *out)(s, message, channel,
										     out) END
	FLAKY(get_address, const char *channel, const char *value, bool make,
	      struct address_row *out)(s, channel, value, make, out) END
	FLAKY(answered, int64_t address, int64_t at)(s, address, at) END
	FLAKY(keep_receipt, const struct kept_receipt *receipt)(s, receipt) END
	FLAKY(find_receipt, const char *provider, const char *ref, int64_t contact,
	      struct kept_receipt *out)(s, provider, ref, contact, out) END
	FLAKY(drop_receipt, const char *provider, const char *ref, int64_t contact)(s, provider, ref,
										    contact) END
	FLAKY(last_choice, int64_t customer, const char *product, char **choice)(s, customer, product,
										 choice) END
	FLAKY(append_changes, struct change *const changes[], size_t n)(s, changes, n) END
	FLAKY(put_products, const char *hash, const char *body, int64_t at, int64_t *seq)(s, hash, body, at,
											  seq) END
	FLAKY(put_template, const char *hash, const char *name, const char *source,
	      int64_t at)(s, hash, name, source, at) END
	FLAKY(add_events, struct event_row *const events[], size_t n)(s, events, n) END
	FLAKY(drop_events, int64_t up_to)(s, up_to) END
	FLAKY(count, const struct counters *deltas)(s, deltas) END

	static bool flaky_begin(struct store *store)
{
	return !fails(store) && real->begin(store);
}

static bool flaky_commit(struct store *store)
{
	if (flaky.before_commit)
		flaky.before_commit();
	return !fails(store) && real->commit(store);
}

void flaky_attach(struct store *store)
{
	static struct store_ops ops;

	flaky_fail(0);
	flaky.fails = false;
	flaky.before_commit = NULL;
	real = store->ops;
	ops = *real;
	ops.begin = flaky_begin;
	ops.commit = flaky_commit;
#define THROUGH(name) ops.name = flaky_##name
	THROUGH(find_messages);
	THROUGH(get_messages);
	THROUGH(number_messages);
	THROUGH(add_messages);
	THROUGH(save_messages);
	THROUGH(due);
	THROUGH(next_due);
	THROUGH(waiting);
	THROUGH(waited_for);
	THROUGH(waiting_of);
	THROUGH(doubts_of);
	THROUGH(put_again);
	THROUGH(drop_again);
	THROUGH(get_again);
	THROUGH(erase_customer);
	THROUGH(get_erasing);
	THROUGH(end_erasing);
	THROUGH(rename_address);
	THROUGH(get_changes);
	THROUGH(rewrite_change);
	THROUGH(erase_contacts);
	THROUGH(rewrite_event);
	THROUGH(prune);
	THROUGH(open_of);
	THROUGH(abandoned);
	THROUGH(add_contacts);
	THROUGH(save_contacts);
	THROUGH(get_contacts);
	THROUGH(read_facts);
	THROUGH(get_customer);
	THROUGH(get_customers);
	THROUGH(get_preferences_of);
	THROUGH(get_addresses);
	THROUGH(number_customers);
	THROUGH(add_customers);
	THROUGH(put_preferences);
	THROUGH(any_erased);
	THROUGH(get_preferences);
	THROUGH(put_customer);
	THROUGH(stamp_customer);
	THROUGH(put_preference);
	THROUGH(set_address_state);
	THROUGH(find_contact);
	THROUGH(last_sent);
	THROUGH(attempt_of);
	THROUGH(get_address);
	THROUGH(answered);
	THROUGH(keep_receipt);
	THROUGH(find_receipt);
	THROUGH(drop_receipt);
	THROUGH(append_changes);
	THROUGH(last_choice);
	THROUGH(put_products);
	THROUGH(put_template);
	THROUGH(add_events);
	THROUGH(drop_events);
	THROUGH(count);
	store->ops = &ops;
}

void flaky_fail(long k)
{
	flaky.calls = 0;
	flaky.fail_at = k;
}
