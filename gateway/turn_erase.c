/* Erasure in the turn. The request (request_erase.c) makes it binding in one commit: the customer has a
 * one-way name, no address, and nothing is sent any more. What is left of texts goes in slices, by the turns
 * that follow; the store says who is being erased and by which id, so that a crash changes nothing. It ends
 * when nothing of the customer is on its way: an outcome brings texts back. */
#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "log.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define ERASE_SLICE 200               /* changes, contacts or events, a turn */
#define ERASE_PAUSE (250 * MOMENT_MS) /* until it is looked again whether all has come back */
#define CLEAN_PAUSE (200 * MOMENT_MS) /* while somebody reads */

/* --- steps; *done: the step is over --- */

/* What waits ends as cancelled when it is placed. */
static bool erase_waiting(struct turn *turn, int64_t customer, bool *done)
{
	struct message_rows rows = {0};
	bool ok = store_waiting_of(turn->store, customer, 0, 1, &rows);

	*done = ok && !rows.count;
	message_rows_release(&rows);
	return ok && (*done || again_look(turn, customer, NULL, NULL, NULL));
}

struct address_run {
	struct turn *turn;
	const char *key;
};

/* An address that nobody has any more loses its text. */
static bool erase_address(void *context, const char *channel, const char *value)
{
	struct address_run *run = context;
	struct store *store = run->turn->store;
	struct address_row row = {0}, named = {0};
	char name[ERASED_NAME_SIZE];
	int64_t *owners = NULL;
	size_t count = 0;

	erased_address(run->key, channel, value, name);
	bool ok = store_get_address(store, channel, value, false, &row) &&
		  (!row.n || (store_customers_of_address(store, row.n, &owners, &count) &&
			      store_get_address(store, channel, name, false, &named)));
	if (ok && row.n && !count) {
		/* erased once, and written since by somebody who has it no more */
		char *other = named.n ? xasprintf("%s:%lld", name, (long long)row.n) : xstrdup(name);
		ok = store_rename_address(store, row.n, other);
		free(other);
	}
	free(owners);
	return ok;
}

static void replace(char **text, char *with)
{
	free(*text);
	*text = with;
}

static bool erase_change(struct turn *turn, const char *id, struct change *change)
{
	const char *key = store_erasure_key(turn->store);
	struct address_run run = {turn, key};
	char name[ERASED_NAME_SIZE];
	bool old_ok = true, new_ok = true;

	if (change->kind == CHANGE_CUSTOMER) {
		erased_customer(key, id, name);
		replace(&change->subject, xstrdup(name));
		replace(&change->old_value,
			erased_facts(key, id, change->old_value, erase_address, &run, &old_ok));
		replace(&change->new_value,
			erased_facts(key, id, change->new_value, erase_address, &run, &new_ok));
	}
	/* who sat at the command line is one of ours; any other may be the customer */
	if (strcmp(change->by, "cli") != 0)
		replace(&change->actor, xstrdup(""));
	if (change->kind != CHANGE_ADDRESS) /* there it is the provider */
		replace(&change->source, xstrdup(""));
	replace(&change->evidence, xstrdup(""));
	return old_ok && new_ok && store_rewrite_change(turn->store, change);
}

static bool erase_changes(struct turn *turn, int64_t customer, const char *id, int64_t *after, bool *done)
{
	struct change *changes = NULL;
	size_t count = 0;
	bool ok = store_get_changes(turn->store, customer, *after, ERASE_SLICE, &changes, &count);

	*done = count < ERASE_SLICE;
	for (size_t i = 0; i < count; i++) {
		ok = ok && erase_change(turn, id, &changes[i]);
		*after = changes[i].seq;
		change_release(&changes[i]);
	}
	free(changes);
	return ok;
}

/* Those that the courier has not taken yet. */
static void erase_events_here(struct turn *turn, const char *id)
{
	pthread_mutex_lock(&turn->lock);
	for (size_t i = 0; i < turn->outbox.event_count; i++) {
		struct event_row *event = &turn->outbox.events[i];
		char *left = erased_event(store_erasure_key(turn->store), id, event->json);
		if (left)
			replace(&event->json, left);
	}
	pthread_mutex_unlock(&turn->lock);
}

static bool erase_events(struct turn *turn, const char *id, int64_t *after, bool *done)
{
	struct event_row *events = NULL;
	size_t count = 0;
	bool ok = store_get_events(turn->store, *after, ERASE_SLICE, &events, &count);

	*done = count < ERASE_SLICE;
	erase_events_here(turn, id);
	for (size_t i = 0; i < count; i++) {
		char *left = erased_event(store_erasure_key(turn->store), id, events[i].json);
		if (ok && left)
			ok = store_rewrite_event(turn->store, events[i].seq, left);
		*after = events[i].seq;
		free(left);
		free(events[i].json);
	}
	free(events);
	return ok;
}

static bool erase_contacts(struct turn *turn, int64_t customer, int64_t *after, bool *done)
{
	size_t count = 0;
	bool ok = store_erase_contacts(turn->store, customer, after, ERASE_SLICE, &count);

	*done = count < ERASE_SLICE;
	return ok;
}

/* Is anything of it on its way? Alone we can't tell: what the gateway left is in doubt at its next start. */
static bool is_sending(struct turn *turn, int64_t customer, bool *sending)
{
	struct message_rows rows = {0};
	bool ok = turn->alone || store_open_of(turn->store, customer, &rows);

	*sending = false;
	for (size_t i = 0; i < rows.count; i++)
		*sending = *sending || rows.rows[i].state == STATE_SENDING;
	message_rows_release(&rows);
	return ok;
}

static bool erase_end(struct turn *turn, struct erasing *next, bool *done)
{
	bool sending;

	if (!is_sending(turn, next->customer, &sending))
		return false;
	*done = !sending;
	next->contact = 0;
	next->event = 0; /* another gateway's may still say it all */
	next->step = ERASE_EVENTS;
	next->not_before = turn->mono + ERASE_PAUSE;
	return sending || store_end_erasing(turn->store, next->customer);
}

/* --- a slice --- */

static bool erase_step(struct turn *turn, struct erasing *next, const char *id)
{
	bool done = false, ok = true;

	switch (next->step) {
	case ERASE_WAITING:
		ok = erase_waiting(turn, next->customer, &done);
		break;
	case ERASE_CHANGES:
		ok = erase_changes(turn, next->customer, id, &next->change, &done);
		break;
	case ERASE_EVENTS:
		ok = erase_events(turn, id, &next->event, &done);
		break;
	case ERASE_CONTACTS:
		ok = erase_contacts(turn, next->customer, &next->contact, &done);
		break;
	case ERASE_END:
		ok = erase_end(turn, next, &done);
		if (ok && done) /* whoever is next */
			*next = (struct erasing){.pending = true, .cleaning = true};
		return ok;
	}
	next->step = (enum erase_step)(next->step + done);
	return ok;
}

bool erasures_take(struct turn *turn)
{
	struct erasing *next = &turn->erasing_next;
	int64_t customer;
	char *id;

	*next = turn->erasing;
	if (!next->pending || turn->mono < next->not_before)
		return true;
	bool ok = store_get_erasing(turn->store, &customer, &id);
	if (ok && !customer) {
		next->pending = false;
	} else if (ok) {
		if (customer != next->customer)
			*next = (struct erasing){
				.pending = true, .cleaning = next->cleaning, .customer = customer};
		ok = erase_step(turn, next, id);
	}
	free(id);
	return ok;
}

void erasures_after_commit(struct turn *turn)
{
	turn->erasing = turn->erasing_next;
}

/* Microseconds; 0: at once. */
int64_t erasures_next(const struct turn *turn)
{
	if (turn->erasing.pending)
		return turn->erasing.not_before > turn->mono ? turn->erasing.not_before - turn->mono : 0;
	if (turn->erasing.cleaning)
		return turn->clean_at > turn->mono ? turn->clean_at - turn->mono : 0;
	return MOMENT_NEVER;
}

void erasures_clean(struct turn *turn)
{
	bool done = false;

	if (!turn->erasing.cleaning || turn->erasing.pending || turn->mono < turn->clean_at)
		return;
	if (!store_clean(turn->store, &done))
		log_warn("store: it could not be cleaned of what was erased: %s", store_error(turn->store));
	turn->erasing.cleaning = !done;
	turn->clean_at = turn->mono + CLEAN_PAUSE;
}

bool erasures_finished(const struct turn *turn)
{
	return !turn->erasing.pending && !turn->erasing.cleaning;
}

/* --- who is erased --- */

bool erased_find(struct turn *turn, const char *id, struct customer **out)
{
	char name[ERASED_NAME_SIZE];

	erased_customer(store_erasure_key(turn->store), id, name);
	if (!store_get_customer(turn->store, name, out))
		return false;
	if (*out && !(*out)->erased_at) { /* somebody's own id, which looks like one */
		customer_free(*out);
		*out = NULL;
	}
	return true;
}

void admission_erased(struct admission *admission, const char *name)
{
	const struct message *message = &admission->message;
	json_t *left = json_pack("{s:s, s:s, s:s, s:s}", "id", message->id, "customer", name, "product",
				 message->product, "template", message->template);

	admission_refuse(admission,
			 "customer: %s was erased; only ?recreate=true (heed customer put --recreate) brings "
			 "it back. What the message said was not kept",
			 name);
	free(admission->entry.payload);
	admission->entry.payload = json_dumps(left, JSON_COMPACT);
	admission->entry.len = admission->entry.payload ? strlen(admission->entry.payload) : 0;
	json_decref(left);
}
