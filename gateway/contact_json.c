/* A contact as people and programs see it (contract: Command line). */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "contact.h"
#include "customer.h"
#include "moment.h"
#include "reason.h"
#include "banned.h"

/* What a provider said might be anything: one bad byte may not take the whole contact from the page. */
static json_t *word(const char *s)
{
	json_t *json = json_string(s ? s : "");

	return json ? json : json_string("(not UTF-8)");
}

/* Stored JSON; `otherwise` (a new reference) where there is none. */
static json_t *stored_json(const char *s, json_t *otherwise)
{
	json_t *json = s && *s ? json_loads(s, 0, NULL) : NULL;

	if (!json)
		return otherwise;
	json_decref(otherwise);
	return json;
}

static json_t *contact_reason(const struct contact *contact)
{
	if (!contact->reason || !*contact->reason)
		return json_null();
	json_t *args = stored_json(contact->reason_args, json_object());
	json_t *reason = reason_json(contact->reason, args);
	json_decref(args);
	return reason;
}

/* No attempt of ours: it came in, or another system had it. */
static bool is_recorded(const struct contact *contact)
{
	return contact->direction == DIRECTION_IN ||
	       (contact->reason && strcmp(contact->reason, "recorded") == 0);
}

/* What it is, what it answers, and when it was, where another system says that. */
static void add_recorded(json_t *json, const struct contact *contact)
{
	json_t *args = stored_json(contact->reason_args, json_object());
	json_t *answers = json_object_get(args, "answers"), *at = json_object_get(args, "at");

	json_object_set_new(json, "kind", word(contact->reason));
	if (answers)
		json_object_set(json, "answers", answers);
	if (at) {
		json_object_set(json, "recorded_at", json_object_get(json, "at"));
		json_object_set(json, "at", at);
	}
	json_decref(args);
}

json_t *contact_to_json(const struct contact *contact)
{
	char at[MOMENT_TEXT];
	bool has_address = contact->address_value && *contact->address_value;
	char *masked = has_address ? address_mask(contact->address_value) : NULL;
	json_t *messages = json_array();

	moment_format(contact->at, at);
	for (size_t i = 0; i < contact->message_count; i++)
		json_array_append_new(messages, json_string(contact->message_ids[i]));
	json_t *json = json_pack(
		"{s:I, s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, "
		"s:o}",
		"seq", (json_int_t)contact->seq, "at", at, "messages", messages, "customer",
		word(contact->customer_id), "product", word(contact->product), "channel",
		word(contact->channel), "direction", contact->direction == DIRECTION_IN ? "in" : "out",
		"state", state_name(contact->state), "attempt", contact->attempt, "provider",
		word(contact->provider), "provider_ref", word(contact->provider_ref), "address", word(masked),
		"template", word(contact->template), "summary", word(contact->summary), "reason",
		contact_reason(contact), "preference", (json_int_t)contact->preference, "meta",
		stored_json(contact->meta, json_object()), "code", word(contact->code), "detail",
		word(contact->detail));
	if (contact->segments > 0)
		json_object_set_new(json, "segments", json_integer(contact->segments));
	if (contact->late) {
		moment_format(contact->late, at);
		json_object_set_new(json, "reported_late", json_string(at));
	}
	if (contact->captured)
		json_object_set_new(json, "captured", json_true());
	if (is_recorded(contact))
		add_recorded(json, contact);
	free(masked);
	return json;
}
