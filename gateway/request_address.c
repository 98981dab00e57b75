/* The owner of an address says STOP or START there: for all customers who have it. */
#include <stdlib.h>
#include <string.h>

#include "inbound_private.h"
#include "banned.h"

static bool state_changes(struct turn *turn, struct incoming *incoming, enum address_state to)
{
	json_t *evidence = incoming_evidence(incoming),
	       *old = json_string(address_state_name(incoming->address.state)),
	       *new = json_string(address_state_name(to));
	struct change change = {.kind = CHANGE_ADDRESS,
				.at = turn->now,
				.given_at = turn->now,
				.customer = incoming->customer ? incoming->customer->n : 0,
				.address = incoming->address.n,
				.subject = (char *)incoming->in->channel,
				.by = (char *)"reply",
				.actor = (char *)"",
				.source = (char *)incoming->in->provider,
				.evidence = json_dumps(evidence, JSON_COMPACT),
				.old_value = json_dumps(old, JSON_ENCODE_ANY),
				.new_value = json_dumps(new, JSON_ENCODE_ANY)};
	struct change *const changes[] = {&change};
	bool ok = store_append_changes(turn->store, changes, 1) &&
		  store_set_address_state(turn->store, incoming->address.n, to, change.seq);

	incoming->address.state = to;
	incoming->address.seq = change.seq;
	free(change.evidence);
	free(change.old_value);
	free(change.new_value);
	json_decref(evidence);
	json_decref(old);
	json_decref(new);
	return ok;
}

static void stopped_event(struct turn *turn, const struct incoming *incoming, const struct customer *owner)
{
	json_t *data =
		json_pack("{s:s, s:s, s:s, s:I}", "customer", owner->id, "channel", incoming->in->channel,
			  "provider", incoming->in->provider, "contact", (json_int_t)incoming->contact);
	char *words = json_dumps(data, JSON_COMPACT);

	event_add(turn, "heed.address.stopped", owner->id, words);
	free(words);
	json_decref(data);
}

static bool goes_there(const struct flight *flight, const void *context)
{
	return flight->contact.address == *(const int64_t *)context;
}

bool incoming_stops(struct turn *turn, struct incoming *incoming)
{
	const struct touched all = {0};

	if (incoming->address.state == ADDRESS_STOPPED)
		return true;
	bool ok = state_changes(turn, incoming, ADDRESS_STOPPED);
	/* also of owners beyond those that are listed here */
	if (ok)
		flights_call_back_if(turn, goes_there, &incoming->address.n);
	for (size_t i = 0; ok && i < incoming->owner_count; i++) {
		stopped_event(turn, incoming, incoming->owners[i]);
		ok = change_binds(turn, incoming->owners[i]->n, &all, incoming->on_their_way);
	}
	return ok;
}

bool incoming_opens(struct turn *turn, struct incoming *incoming)
{
	const struct touched all = {0};

	if (incoming->address.state == ADDRESS_OK)
		return true;
	bool ok = state_changes(turn, incoming, ADDRESS_OK);
	for (size_t i = 0; ok && i < incoming->owner_count; i++)
		ok = change_binds(turn, incoming->owners[i]->n, &all, incoming->on_their_way);
	return ok;
}
