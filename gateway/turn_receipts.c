/* Receipts that come before what they are about: faster than the answer to their own submit, or for something
 * that is not known here. They are kept, and count once the outcome of their attempt is committed; those that
 * nothing comes for are recorded as what they are. Nothing is guessed. */
#include <stdlib.h>
#include <string.h>

#include "inbound_private.h"
#include "xalloc.h"
#include "banned.h"

/* One that is kept, and whose contact may be there now. */
struct receipt_key {
	char *provider, *provider_ref;
	int64_t contact;
};

static void key_free(struct receipt_key *key)
{
	free(key->provider);
	free(key->provider_ref);
	free(key);
}

void receipts_forget(struct pointers *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		key_free(keys->list[i]);
	free(keys->list);
	*keys = (struct pointers){0};
}

static void try_again(struct turn *turn, const char *provider, const char *provider_ref, int64_t contact)
{
	struct receipt_key *key = xmalloc(sizeof *key);

	*key = (struct receipt_key){xstrdup(provider), xstrdup(provider_ref), contact};
	pointers_add(&turn->plan.receipts, key);
}

/* --- kept --- */

static bool record_unmatched(struct turn *turn, const struct kept_receipt *kept)
{
	struct contact *contact = contact_recorded(turn, DIRECTION_IN);
	struct contact *const contacts[] = {contact};

	xreplace(&contact->channel, kept->channel);
	xreplace(&contact->provider, kept->provider);
	xreplace(&contact->provider_ref, kept->provider_ref);
	xreplace(&contact->code, kept->code);
	xreplace(&contact->detail, kept->detail);
	contact_reason_is(contact, REASON_unmatched_receipt, json_pack("{s:s}", "provider", kept->provider));
	bool ok = store_add_contacts(turn->store, contacts, 1) &&
		  store_drop_receipt(turn->store, kept->provider, kept->provider_ref, kept->contact);
	turn->receipts.count--;
	contact_release(contact);
	free(contact);
	return ok;
}

static bool count_known(struct turn *turn)
{
	return turn->receipts.count >= 0 || store_count_receipts(turn->store, &turn->receipts.count);
}

/* The oldest makes room. */
static bool make_room(struct turn *turn)
{
	struct kept_receipt *oldest = NULL;
	size_t count = 0;
	bool ok = true;

	if (turn->receipts.count < RECEIPTS_KEPT_MAX)
		return true;
	ok = store_get_receipts(turn->store, 0, 1, &oldest, &count);
	for (size_t i = 0; ok && i < count; i++) {
		ok = record_unmatched(turn, &oldest[i]);
		kept_receipt_release(&oldest[i]);
	}
	free(oldest);
	return ok;
}

bool receipt_keep(struct turn *turn, const struct receipt *receipt, int64_t contact)
{
	const char *ref = contact ? "" : receipt->provider_ref;
	struct kept_receipt before;
	struct kept_receipt kept = {.provider = (char *)receipt->provider,
				    .provider_ref = (char *)ref,
				    .contact = contact,
				    .channel = (char *)receipt->channel,
				    .says = receipt->says,
				    .address_dead = receipt->address_dead,
				    .code = (char *)receipt->code,
				    .detail = (char *)receipt->text};
	bool ok = count_known(turn) &&
		  store_find_receipt(turn->store, receipt->provider, ref, contact, &before);

	/* of two that contradict each other the better one stands, as it does afterwards */
	if (ok && (!before.at || before.says != RECEIPT_DELIVERED)) {
		ok = before.at || make_room(turn);
		turn->receipts.count += !before.at;
		/* no two at the same time: sweeps go by it */
		turn->receipts.last_at =
			turn->now > turn->receipts.last_at ? turn->now : turn->receipts.last_at + 1;
		kept.at = before.at ? before.at : turn->receipts.last_at;
		ok = ok && store_keep_receipt(turn->store, &kept);
	}
	if (ok && kept.at + RECEIPT_KEPT_FOR < turn->receipts.due)
		turn->receipts.due = turn->now + RECEIPT_KEPT_FOR;
	kept_receipt_release(&before);
	return ok;
}

bool receipt_keep_for_next(struct turn *turn, const struct receipt *receipt, int64_t contact)
{
	try_again(turn, receipt->provider, "", contact);
	return receipt_keep(turn, receipt, contact);
}

/* --- matched --- */

bool receipt_contact(struct turn *turn, const char *provider, const char *provider_ref, int64_t seq,
		     struct contact *out)
{
	bool ok = true;

	*out = (struct contact){0};
	if (seq)
		ok = store_get_contacts(turn->store, &seq, 1, out);
	if (ok && out->seq && (out->direction != DIRECTION_OUT || strcmp(out->provider, provider) != 0))
		contact_release(out);
	if (ok && !out->seq && *provider_ref)
		ok = store_find_contact(turn->store, DIRECTION_OUT, provider, provider_ref, out);
	return ok;
}

/* *matched false: there is no such contact yet. */
static bool kept_counts(struct turn *turn, const struct kept_receipt *kept, bool *matched)
{
	const struct receipt receipt = {.channel = kept->channel,
					.provider = kept->provider,
					.provider_ref = kept->provider_ref,
					.contact = kept->contact,
					.says = kept->says,
					.address_dead = kept->address_dead,
					.code = kept->code,
					.text = kept->detail};
	struct contact contact;
	bool ok = receipt_contact(turn, kept->provider, kept->provider_ref, kept->contact, &contact);

	*matched = ok && contact.seq && contact.state != STATE_SENDING;
	if (*matched) {
		turn->receipts.count--;
		ok = count_known(turn) &&
		     store_drop_receipt(turn->store, kept->provider, kept->provider_ref, kept->contact) &&
		     receipt_take(turn, &receipt, &contact);
	}
	contact_release(&contact);
	return ok;
}

/* What the last turn found. */
static bool take_found(struct turn *turn)
{
	bool ok = count_known(turn), matched;

	for (size_t i = 0; ok && i < turn->receipts.found.count; i++) {
		const struct receipt_key *key = turn->receipts.found.list[i];
		struct kept_receipt kept;
		ok = store_find_receipt(turn->store, key->provider, key->provider_ref, key->contact, &kept) &&
		     (!kept.at || kept_counts(turn, &kept, &matched));
		kept_receipt_release(&kept);
	}
	return ok;
}

/* At the start: what was kept, and whose outcome may have been committed in the last moment before. */
static bool sweep(struct turn *turn)
{
	struct kept_receipt *kept = NULL;
	size_t count = 0;
	bool ok = store_get_receipts(turn->store, turn->receipts.swept, RECEIPTS_A_TURN, &kept, &count),
	     matched;

	for (size_t i = 0; ok && i < count; i++)
		ok = kept_counts(turn, &kept[i], &matched);
	turn->receipts.swept_now = count < RECEIPTS_A_TURN ? MOMENT_NEVER : kept[count - 1].at + 1;
	for (size_t i = 0; i < count; i++) {
		if (kept[i].at > turn->receipts.last_at)
			turn->receipts.last_at = kept[i].at;
		kept_receipt_release(&kept[i]);
	}
	free(kept);
	return ok;
}

/* Those that were kept long enough. */
static bool take_old(struct turn *turn)
{
	struct kept_receipt *kept = NULL;
	size_t count = 0;
	bool ok = count_known(turn) && store_get_receipts(turn->store, 0, RECEIPTS_A_TURN, &kept, &count),
	     matched = false;
	int64_t due = MOMENT_NEVER;

	for (size_t i = 0; ok && i < count; i++) {
		if (kept[i].at + RECEIPT_KEPT_FOR > turn->now) {
			due = kept[i].at + RECEIPT_KEPT_FOR;
			break;
		}
		ok = kept_counts(turn, &kept[i], &matched) && (matched || record_unmatched(turn, &kept[i]));
		due = turn->now;
	}
	turn->receipts.due = due;
	for (size_t i = 0; i < count; i++)
		kept_receipt_release(&kept[i]);
	free(kept);
	return ok;
}

bool receipts_take(struct turn *turn)
{
	turn->receipts.swept_now = turn->receipts.swept;
	return turn->alone || (take_found(turn) && (turn->receipts.swept == MOMENT_NEVER || sweep(turn)) &&
			       (turn->receipts.due > turn->now || take_old(turn)));
}

/* An outcome is there: was its receipt faster? */
bool receipts_match(struct turn *turn)
{
	bool ok = true;

	for (const struct work *work = turn->plan.first; ok && work; work = work->next) {
		const struct contact *ended = work->shares ? NULL : work->ended;
		const struct channel_config *config =
			ended && ended->seq ? config_channel(turn->config, ended->channel) : NULL;
		struct kept_receipt kept = {0};
		if (!config || !config->receipts)
			continue;
		ok = store_find_receipt(turn->store, ended->provider, "", ended->seq, &kept);
		if (ok && !kept.at && *ended->provider_ref)
			ok = store_find_receipt(turn->store, ended->provider, ended->provider_ref, 0, &kept);
		if (ok && kept.at)
			try_again(turn, kept.provider, kept.provider_ref, kept.contact);
		kept_receipt_release(&kept);
	}
	return ok;
}

void receipts_after_commit(struct turn *turn)
{
	receipts_forget(&turn->receipts.found);
	turn->receipts.found = turn->plan.receipts;
	turn->plan.receipts = (struct pointers){0};
	turn->receipts.swept = turn->receipts.swept_now;
}

void receipts_lost(struct turn *turn)
{
	turn->receipts.count = -1;
	turn->receipts.due = 0;
}
