#include "audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_caps.h"
#include "choose.h"
#include "moment.h"
#include "xalloc.h"
#include "zone.h"
#include "banned.h"

#define AUDIT_TEXT_MAX 1000

/* A state of an address, from a change on. By address, then seq. */
struct audit_state {
	int64_t address, seq;
	bool ok;
};

/* From `from` on; until `to`, the change that released it (MOMENT_NEVER: it stands). */
struct audit_hold {
	enum hold_kind kind;
	char *name;
	int64_t from, to;
};

/* A set of products, and the zone of who has none, from a change on. */
struct audit_set {
	int64_t seq;
	struct product_set *products; /* NULL: it can't be read */
	char *timezone;
};

struct audit_facts {
	int64_t seq;
	json_t *json;
};

struct audit_choice {
	int64_t seq;
	struct preference preference;
};

struct audit {
	audit_found found;
	void *context;
	struct audit_counts counts;
	struct audit_reached reached;
	struct audit_state *states;
	size_t state_count, state_capacity;
	bool sorted;
	struct audit_hold *holds;
	size_t hold_count;
	struct audit_set *sets;
	size_t set_count;
	/* the customer at hand */
	int64_t customer;
	struct audit_facts *facts;
	size_t fact_count;
	struct audit_choice *choices;
	size_t choice_count;
	struct audit_caps *caps;
};

static const char *const code_names[] = {
#define AUDIT(name, words, help) #name,
#include "audit_codes.h"
#undef AUDIT
};
static const char *const code_words[] = {
#define AUDIT(name, words, help) words,
#include "audit_codes.h"
#undef AUDIT
};

const char *audit_code_name(enum audit_code code)
{
	return code_names[code];
}

struct audit *audit_new(audit_found found, void *context)
{
	struct audit *audit = xcalloc(1, sizeof *audit);

	audit->found = found;
	audit->context = context;
	audit->caps = audit_caps_new();
	return audit;
}

static void customer_forget(struct audit *audit)
{
	for (size_t i = 0; i < audit->fact_count; i++)
		json_decref(audit->facts[i].json);
	for (size_t i = 0; i < audit->choice_count; i++)
		preference_release(&audit->choices[i].preference);
	audit->fact_count = audit->choice_count = 0;
}

void audit_free(struct audit *audit)
{
	if (!audit)
		return;
	customer_forget(audit);
	for (size_t i = 0; i < audit->hold_count; i++)
		free(audit->holds[i].name);
	for (size_t i = 0; i < audit->set_count; i++) {
		product_set_free(audit->sets[i].products);
		free(audit->sets[i].timezone);
	}
	free(audit->states);
	free(audit->holds);
	free(audit->sets);
	free(audit->facts);
	free(audit->choices);
	audit_caps_free(audit->caps);
	free(audit);
}

struct audit_reached *audit_reached(struct audit *audit)
{
	return &audit->reached;
}

struct audit_counts audit_counts(const struct audit *audit)
{
	return audit->counts;
}

/* `more` is "" or says what is different. */
static void find(struct audit *audit, enum audit_code code, const struct audit_contact *contact,
		 const struct audit_message *message, const char *more)
{
	struct text says;
	const char *id = contact ? contact->message_id : message ? message->id : "";

	text_init(&says, AUDIT_TEXT_MAX);
	if (contact)
		text_addf(&says, "contact %lld (%s, %s) ", (long long)contact->seq, contact->product,
			  contact->channel);
	else if (message)
		text_addf(&says, "message %s ", message->id);
	text_puts(&says, code_words[code]);
	if (*more)
		text_addf(&says, ": %s", more);
	audit->counts.findings++;
	audit->found(audit->context, &(struct audit_finding){.code = code,
							     .contact = contact   ? contact->seq
									: message ? message->contact
										  : 0,
							     .message = contact   ? contact->message_n
									: message ? message->n
										  : 0,
							     .customer = contact   ? contact->customer
									 : message ? message->customer
										   : 0,
							     .message_id = id ? id : "",
							     .says = says.data});
	text_release(&says);
}

/* --- what is for all --- */

static void add_state(struct audit *audit, const struct change *change)
{
	if (audit->state_count == audit->state_capacity) {
		audit->state_capacity = audit->state_capacity ? 2 * audit->state_capacity : 64;
		audit->states = xreallocarray(audit->states, audit->state_capacity, sizeof *audit->states);
	}
	audit->states[audit->state_count++] =
		(struct audit_state){.address = change->address,
				     .seq = change->seq,
				     .ok = strcmp(change->new_value, "\"ok\"") == 0};
	audit->sorted = false;
}

static void add_hold(struct audit *audit, const struct change *change)
{
	const char *colon = strchr(change->subject, ':');
	bool stands = strcmp(change->new_value, "null") != 0 && *change->new_value;
	enum hold_kind kind;

	if (!colon)
		return;
	char *word = xmemdup0(change->subject, (size_t)(colon - change->subject));
	bool known = hold_kind_parse(word, &kind);
	free(word);
	for (size_t i = 0; known && i < audit->hold_count; i++) {
		struct audit_hold *hold = &audit->holds[i];
		if (hold->kind == kind && hold->to == MOMENT_NEVER && strcmp(hold->name, colon + 1) == 0) {
			if (!stands)
				hold->to = change->seq;
			return; /* or held again, with other words */
		}
	}
	if (!known || !stands)
		return;
	audit->holds = xreallocarray(audit->holds, audit->hold_count + 1, sizeof *audit->holds);
	audit->holds[audit->hold_count++] = (struct audit_hold){
		.kind = kind, .name = xstrdup(colon + 1), .from = change->seq, .to = MOMENT_NEVER};
}

void audit_change(struct audit *audit, const struct change *change)
{
	if (change->kind == CHANGE_ADDRESS)
		add_state(audit, change);
	else if (change->kind == CHANGE_HOLD)
		add_hold(audit, change);
}

char *audit_keep_products(const struct product_set *products, const char *timezone)
{
	json_t *kept = json_pack("{s:s, s:o}", "timezone", timezone, "products",
				 json_loads(products->body, 0, NULL));
	char *words = json_dumps(kept, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(kept);
	return words;
}

void audit_products(struct audit *audit, int64_t seq, const char *kept)
{
	json_t *json = json_loads(kept, 0, NULL);
	const char *timezone = json_string_value(json_object_get(json, "timezone"));

	audit->sets = xreallocarray(audit->sets, audit->set_count + 1, sizeof *audit->sets);
	audit->sets[audit->set_count++] = (struct audit_set){
		.seq = seq,
		.products = product_set_kept(json_object_get(json, "products")),
		.timezone = xstrdup(timezone ? timezone : ""),
	};
	json_decref(json);
}

static const struct audit_set *set_of(const struct audit *audit, int64_t seq)
{
	for (size_t i = audit->set_count; i > 0; i--)
		if (audit->sets[i - 1].seq == seq)
			return &audit->sets[i - 1];
	return NULL;
}

static int state_order(const void *a, const void *b)
{
	const struct audit_state *left = a, *right = b;

	if (left->address != right->address)
		return left->address < right->address ? -1 : 1;
	return (left->seq > right->seq) - (left->seq < right->seq);
}

/* The last state that the log has for the address up to there; NULL: it never changed. */
static const struct audit_state *state_at(struct audit *audit, int64_t address, int64_t log_seq)
{
	size_t low = 0, high = audit->state_count;

	if (!audit->sorted && audit->state_count)
		qsort(audit->states, audit->state_count, sizeof *audit->states, state_order);
	audit->sorted = true;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct audit_state *at = &audit->states[middle];
		if (at->address < address || (at->address == address && at->seq <= log_seq))
			low = middle + 1;
		else
			high = middle;
	}
	return low && audit->states[low - 1].address == address ? &audit->states[low - 1] : NULL;
}

/* --- one customer --- */

/* Names that the preference itself has are known: which channels were set up then is not asked. */
static bool choice_read(const char *value, struct preference *out)
{
	json_t *json = json_loads(value, 0, NULL), *entry;
	const char *known[PREFERENCE_CHANNELS_MAX];
	size_t count = 0, i;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	json_array_foreach(json_object_get(json, "channels"), i, entry)
	{
		const char *name =
			json_string_value(json_is_object(entry) ? json_object_get(entry, "channel") : entry);
		if (name && count < PREFERENCE_CHANNELS_MAX)
			known[count++] = name;
	}
	bool ok = json && preference_from_json(json, NULL, known, count, out, &error);
	out->version = json_integer_value(json_object_get(json, "version"));
	json_decref(json);
	text_release(&error);
	return ok;
}

void audit_customer(struct audit *audit, int64_t customer, const struct change changes[], size_t count)
{
	customer_forget(audit);
	if (customer != audit->customer)
		audit_caps_forget(audit->caps);
	audit->customer = customer;
	audit->facts = xreallocarray(audit->facts, count + 1, sizeof *audit->facts);
	audit->choices = xreallocarray(audit->choices, count + 1, sizeof *audit->choices);
	for (size_t i = 0; i < count; i++) {
		const struct change *change = &changes[i];
		if (change->kind == CHANGE_CUSTOMER) {
			audit->facts[audit->fact_count++] = (struct audit_facts){
				.seq = change->seq, .json = json_loads(change->new_value, 0, NULL)};
		} else if (change->kind == CHANGE_PREFERENCE) {
			struct audit_choice *choice = &audit->choices[audit->choice_count];
			*choice = (struct audit_choice){.seq = change->seq};
			if (choice_read(change->new_value, &choice->preference)) {
				choice->preference.seq = change->seq;
				xreplace(&choice->preference.product, change->subject);
				audit->choice_count++;
			} else {
				preference_release(&choice->preference);
			}
		}
	}
}

static const struct audit_facts *facts_at(const struct audit *audit, int64_t log_seq)
{
	for (size_t i = audit->fact_count; i > 0; i--)
		if (audit->facts[i - 1].seq <= log_seq)
			return &audit->facts[i - 1];
	return NULL;
}

static const struct preference *choice_at(const struct audit *audit, const char *product, int64_t log_seq)
{
	for (size_t i = audit->choice_count; i > 0; i--)
		if (audit->choices[i - 1].seq <= log_seq &&
		    strcmp(audit->choices[i - 1].preference.product, product) == 0)
			return &audit->choices[i - 1].preference;
	return NULL;
}

static bool item_is(const json_t *item, const char *value)
{
	const char *is = json_string_value(json_is_object(item) ? json_object_get(item, "url") : item);

	if (json_is_object(item) && !is)
		is = json_string_value(json_object_get(item, "address"));
	return is && strcmp(is, value) == 0;
}

static bool facts_have(const struct audit_facts *facts, const char *channel, const char *value)
{
	const json_t *there = json_object_get(json_object_get(facts->json, "addresses"), channel);
	json_t *item;
	size_t i;

	if (!json_is_array(there))
		return item_is(there, value);
	json_array_foreach((json_t *)there, i, item) if (item_is(item, value)) return true;
	return false;
}

/* --- one contact --- */

struct trying {
	const char *channel;
};

static bool is_the_channel(const void *context, const char *channel)
{
	return strcmp(((const struct trying *)context)->channel, channel) == 0;
}

/* Whether the rules say that it may go there now; `why` takes what they say otherwise. */
static bool rules_allow(const struct choose_input *in, const struct audit_contact *contact,
			int64_t *preference, char why[AUDIT_TEXT_MAX])
{
	struct decision decision;

	choose(in, &decision);
	bool allowed = decision.kind == CHOOSE_SEND && decision.channel &&
		       strcmp(decision.channel, contact->channel) == 0;
	*preference = decision.preference ? decision.preference->seq : 0;
	*why = '\0';
	if (!allowed && decision.reasons.count) {
		const struct reason *last = &decision.reasons.list[decision.reasons.count - 1];
		json_t *args = reason_args(last);
		char *says = reason_says(reason_code_name(last->code), args);
		snprintf(why, AUDIT_TEXT_MAX, "%s", says);
		free(says);
		json_decref(args);
	}
	reasons_release(&decision.reasons);
	return allowed;
}

static void check_choice(struct audit *audit, const struct audit_contact *contact,
			 const struct audit_set *set, const struct product *product, const char *timezone)
{
	struct address address = {.n = contact->address,
				  .channel = (char *)contact->channel,
				  .value = (char *)contact->address_value,
				  .details = (char *)"",
				  .state = ADDRESS_OK};
	struct customer customer = {.n = contact->customer,
				    .timezone = (char *)timezone,
				    .addresses = &address,
				    .address_count = 1};
	const struct trying trying = {contact->channel};
	struct choose_input in = {
		.product = product,
		.customer = &customer,
		.choices = {choice_at(audit, contact->product, contact->log_seq),
			    product->parent ? choice_at(audit, product->parent->name, contact->log_seq)
					    : NULL,
			    choice_at(audit, "*", contact->log_seq)},
		.purpose = product_purpose(product, contact->purpose),
		.template = "",
		.rejected = "",
		.doubt = strcmp(contact->reason, "doubt_resend") == 0 ? contact->channel : "",
		.channels = {is_the_channel, is_the_channel, is_the_channel, &trying},
		.now = contact->at,
		.zone = zone_find(*timezone ? timezone : set->timezone),
		.zone_known = *timezone != '\0',
		.admitted_at = contact->admitted_at,
		.send_at = contact->send_at,
		.expires_at = contact->expires_at,
		.waited = "",
		.wait_channel = "",
	};
	char why[AUDIT_TEXT_MAX];
	int64_t preference;

	if (!rules_allow(&in, contact, &preference, why)) {
		find(audit, AUDIT_not_allowed, contact, NULL, why);
	} else if (preference != contact->preference_seq) {
		snprintf(why, sizeof why, "it names change %lld, and %lld was in force",
			 (long long)contact->preference_seq, (long long)preference);
		find(audit, AUDIT_preference, contact, NULL, why);
	}
	if (!audit_caps_claim(audit->caps, contact, product, in.zone)) {
		snprintf(why, sizeof why, "%d a %s", product->cap.count,
			 product->cap.per == CAP_WEEK ? "week" : "day");
		find(audit, AUDIT_cap, contact, NULL, why);
	}
}

static bool is_held(const struct audit_hold *hold, const struct audit_contact *contact)
{
	if (hold->from > contact->log_seq || hold->to <= contact->log_seq)
		return false;
	switch (hold->kind) {
	case HOLD_CHANNEL:
		return strcmp(hold->name, contact->channel) == 0;
	case HOLD_PROVIDER:
		return strcmp(hold->name, contact->provider) == 0;
	case HOLD_PRODUCT:
		return product_is_within(contact->product, hold->name);
	case HOLD_LANE:
		return strcmp(hold->name, lane_name(contact->lane)) == 0;
	case HOLD_CAMPAIGN:
	case HOLD_CANCEL:
	default:
		return *contact->campaign && strcmp(hold->name, contact->campaign) == 0;
	}
}

static void check_holds(struct audit *audit, const struct audit_contact *contact)
{
	for (size_t i = 0; i < audit->hold_count; i++)
		if (is_held(&audit->holds[i], contact)) {
			find(audit, AUDIT_held, contact, NULL, audit->holds[i].name);
			return;
		}
}

/* A one-way name, in the place of what was erased; or "". */
static bool is_erased(const char *text)
{
	return !text || !*text || strncmp(text, "erased:", 7) == 0;
}

/* The address was the customer's, and could be used. Of who was erased both have the same one-way name, but
 * for an address that others have as well. */
static void check_address(struct audit *audit, const struct audit_contact *contact,
			  const struct audit_facts *facts)
{
	const struct audit_state *state = state_at(audit, contact->address, contact->log_seq);
	bool erased = is_erased(json_string_value(json_object_get(facts->json, "id"))) ||
		      is_erased(contact->address_value);

	bool known = strcmp(contact->address_channel, contact->channel) == 0 &&
		     facts_have(facts, contact->channel, contact->address_value);
	audit->counts.erased += erased && !known;
	if (!erased && !known)
		find(audit, AUDIT_address_unknown, contact, NULL, "");
	if (state ? state->seq != contact->address_seq || !state->ok : contact->address_seq != 0)
		find(audit, AUDIT_address_state, contact, NULL, "");
}

static bool check_message(struct audit *audit, const struct audit_contact *contact)
{
	if (!contact->message_n)
		find(audit, AUDIT_no_message, contact, NULL, "");
	else if (contact->message_customer != contact->customer ||
		 strcmp(contact->message_product, contact->product) != 0)
		find(audit, AUDIT_not_its_message, contact, NULL, "");
	else
		return true;
	return false;
}

/* What heed answers to what a customer wrote goes back there, whatever was chosen. */
static bool is_answer(const struct audit_contact *contact)
{
	return strcmp(contact->reason, "answer") == 0 || strcmp(contact->reason, "asked") == 0;
}

static void check_claim(struct audit *audit, const struct audit_contact *contact)
{
	const struct audit_facts *facts = facts_at(audit, contact->log_seq);
	const struct audit_set *set = set_of(audit, contact->products_seq);
	const struct product *product =
		set && set->products ? product_find(set->products, contact->product) : NULL;
	char why[AUDIT_TEXT_MAX];

	if (!facts || facts->seq != contact->customer_seq) {
		snprintf(why, sizeof why, "it names change %lld, and %lld was in force",
			 (long long)contact->customer_seq, (long long)(facts ? facts->seq : 0));
		find(audit, AUDIT_customer_facts, contact, NULL, why);
	}
	if (!set || set->seq > contact->log_seq)
		find(audit, AUDIT_unknown_products, contact, NULL, "");
	else if (!product && !is_answer(contact))
		find(audit, AUDIT_unknown_product, contact, NULL, "");
	if (facts && !is_answer(contact))
		check_address(audit, contact, facts);
	const char *timezone = facts ? json_string_value(json_object_get(facts->json, "timezone")) : NULL;
	if (product && facts && !is_answer(contact))
		check_choice(audit, contact, set, product, timezone ? timezone : "");
	check_holds(audit, contact);
}

bool audit_contact(struct audit *audit, const struct audit_contact *contact)
{
	if (contact->customer != audit->customer)
		return false;
	audit->counts.contacts += contact->first;
	if (!check_message(audit, contact))
		return true;
	if (contact->log_seq)
		check_claim(audit, contact);
	else
		audit->counts.older += contact->first;
	return true;
}

/* --- messages and the sum --- */

static bool has_ended(enum state state)
{
	return state != STATE_QUEUED && state != STATE_DEFERRED && state != STATE_SENDING;
}

void audit_message(struct audit *audit, const struct audit_message *message)
{
	bool wants_one = has_ended(message->state) || message->state == STATE_SENDING;
	bool sends = message->contact_state == STATE_SENDING;

	audit->counts.messages++;
	if (message->contact && !message->contact_there && message->contact < message->first_contact)
		return; /* its month was dropped */
	if (!message->contact || !message->contact_there) {
		if (wants_one || message->contact)
			find(audit, AUDIT_no_contact, NULL, message, state_name(message->state));
	} else if (!message->contact_has_it || message->contact_customer != message->customer) {
		find(audit, AUDIT_not_its_contact, NULL, message, "");
	} else if (sends != (message->state == STATE_SENDING)) {
		char more[AUDIT_TEXT_MAX];
		snprintf(more, sizeof more, "it is %s, its contact %s", state_name(message->state),
			 state_name(message->contact_state));
		find(audit, AUDIT_contact_state, NULL, message, more);
	}
}

/* Rows that were pruned are counted apart, by the state in which they ended. */
void audit_sum(struct audit *audit, const struct counters *rows, const struct counters *kept)
{
	int64_t sum = 0, known = rows->admitted;
	char more[AUDIT_TEXT_MAX];

	for (int state = 0; state < STATES; state++) {
		int64_t there = rows->states[state] + kept->pruned[state];
		sum += kept->states[state];
		known += kept->pruned[state];
		if (there == kept->states[state])
			continue;
		snprintf(more, sizeof more, "%lld are %s, and the counter says %lld", (long long)there,
			 state_name((enum state)state), (long long)kept->states[state]);
		find(audit, AUDIT_sum, NULL, NULL, more);
	}
	if (sum != kept->admitted || known != kept->admitted) {
		snprintf(more, sizeof more,
			 "%lld were admitted, the states sum up to %lld, and %lld are there or were pruned",
			 (long long)kept->admitted, (long long)sum, (long long)known);
		find(audit, AUDIT_sum, NULL, NULL, more);
	}
}
