/* What comes in: whose it is, what it answers, its place in the history, and its effect. */
#include <stdlib.h>
#include <string.h>

#include "inbound_private.h"
#include "templates.h"
#include "xalloc.h"
#include "banned.h"

struct inbound_request {
	struct request base;
	const struct inbound *in;
};

/* --- whose it is --- */

bool customer_numbered(struct turn *turn, int64_t n, struct customer **out)
{
	struct facts facts = {.customer_n = n, .product = "*", .parent = ""};
	struct facts *const wanted[] = {&facts};
	bool ok = store_read_facts(turn->store, wanted, 1);

	*out = facts.customer;
	facts.customer = NULL;
	facts_release(&facts);
	return ok;
}

static bool find_owners(struct turn *turn, struct incoming *incoming)
{
	int64_t *owners = NULL;
	size_t count = 0;
	bool ok = !incoming->address.n ||
		  store_customers_of_address(turn->store, incoming->address.n, &owners, &count);

	incoming->owners = xcalloc(count + 1, sizeof(struct customer *));
	for (size_t i = 0; ok && i < count && incoming->owner_count < INBOUND_OWNERS_MAX; i++) {
		struct customer *owner = NULL;
		ok = customer_numbered(turn, owners[i], &owner);
		if (owner)
			incoming->owners[incoming->owner_count++] = owner;
	}
	free(owners);
	return ok;
}

/* The newest that went to the address, whoever of its owners it was for. */
static bool find_last_sent(struct turn *turn, struct incoming *incoming, const char *provider)
{
	bool ok = true;

	for (size_t i = 0; ok && i < incoming->owner_count; i++) {
		struct contact last;
		if (incoming->customer && incoming->owners[i]->n != incoming->customer->n)
			continue;
		ok = store_last_sent(turn->store, incoming->owners[i]->n, incoming->address.n, provider,
				     &last);
		if (ok && last.seq > incoming->answered.seq) {
			contact_release(&incoming->answered);
			incoming->answered = last;
		} else {
			contact_release(&last);
		}
	}
	return ok;
}

static bool find_answered(struct turn *turn, struct incoming *incoming)
{
	const struct inbound *in = incoming->in;
	bool ok = true;

	if (in->kind == INBOUND_RECORDED)
		return true;
	if (in->answers)
		ok = store_get_contacts(turn->store, &in->answers, 1, &incoming->answered);
	else if (in->answers_message)
		ok = store_attempt_of(turn->store, in->answers_message, in->channel, &incoming->answered);
	else if (*in->answers_ref)
		ok = store_find_contact(turn->store, DIRECTION_OUT, in->provider, in->answers_ref,
					&incoming->answered);
	if (ok && incoming->answered.direction != DIRECTION_OUT)
		contact_release(&incoming->answered);
	/* by whom it came first: each provider has a number of its own there */
	if (ok && !incoming->answered.seq && *in->provider)
		ok = find_last_sent(turn, incoming, in->provider);
	if (ok && !incoming->answered.seq)
		ok = find_last_sent(turn, incoming, NULL);
	if (ok && incoming->answered.seq) {
		const struct contact *answered = &incoming->answered;
		int64_t n = answered->message         ? answered->message
			    : answered->several_count ? answered->several[0]
						      : 0;
		ok = !n || store_get_messages(turn->store, &n, 1, &incoming->message);
	}
	return ok;
}

static bool find_customer(struct turn *turn, struct incoming *incoming)
{
	int64_t n = incoming->answered.customer;
	bool ok = true;

	for (size_t i = 0; !incoming->customer && i < incoming->owner_count; i++)
		if (incoming->owners[i]->n == n || (!n && incoming->owner_count == 1))
			incoming->customer = incoming->owners[i];
	if (!incoming->customer && n) { /* who does not have the address any more */
		ok = customer_numbered(turn, n, &incoming->alone);
		incoming->customer = incoming->alone;
	}
	return ok;
}

static bool incoming_find(struct request *request, struct turn *turn, struct incoming *incoming)
{
	const struct inbound *in = incoming->in;
	bool ok = true;

	if (*in->customer) {
		ok = store_get_customer(turn->store, in->customer, &incoming->alone);
		incoming->customer = incoming->alone;
		if (ok && !incoming->customer)
			request_refuse(request, 404, "customer: %s is unknown", in->customer);
		if (!ok || request->status)
			return ok;
	}
	if (*in->from)
		ok = store_get_address(turn->store, in->channel, in->from, in->kind != INBOUND_RECORDED,
				       &incoming->address);
	return ok && find_owners(turn, incoming) && find_answered(turn, incoming) &&
	       find_customer(turn, incoming);
}

static void incoming_release(struct incoming *incoming)
{
	for (size_t i = 0; i < incoming->owner_count; i++)
		customer_free(incoming->owners[i]);
	free(incoming->owners);
	customer_free(incoming->alone);
	contact_release(&incoming->answered);
	message_row_release(&incoming->message);
	json_decref(incoming->on_their_way);
	free(incoming->did);
}

/* --- its place in the history --- */

struct contact *contact_recorded(const struct turn *turn, enum direction direction)
{
	struct contact *contact = xcalloc(1, sizeof *contact);
	const struct contact empty = {.at = turn->now,
				      .direction = direction,
				      .state = direction == DIRECTION_IN ? STATE_RECEIVED : STATE_DELIVERED};

	contact_copy(&empty, contact);
	contact->products_seq = turn->config->products->seq;
	return contact;
}

void contact_reason_is(struct contact *contact, enum reason_code code, json_t *args)
{
	char *words = json_dumps(args, JSON_COMPACT);

	xreplace(&contact->reason, reason_code_name(code));
	xreplace(&contact->reason_args, words ? words : "{}");
	free(words);
	json_decref(args);
}

static enum reason_code reason_of(const struct incoming *incoming)
{
	static const enum reason_code codes[] = {
		[INBOUND_REPLY] = REASON_reply,           [INBOUND_SHORT] = REASON_keyword,
		[INBOUND_BOUNCE] = REASON_bounce,         [INBOUND_COMPLAINT] = REASON_complaint,
		[INBOUND_AUTO_REPLY] = REASON_auto_reply, [INBOUND_RECORDED] = REASON_recorded};
	return codes[incoming->kind];
}

static void put_text(json_t *args, const char *name, const char *value)
{
	if (value && *value)
		json_object_set_new(args, name, json_string(value));
}

static json_t *reason_args_of(const struct incoming *incoming)
{
	const struct inbound *in = incoming->in;
	json_t *args = json_object();
	char at[MOMENT_TEXT];

	put_text(args, "channel", in->channel);
	put_text(args, "code", in->code);
	put_text(args, "keyword", incoming->keyword);
	put_text(args, "did", incoming->did);
	if (incoming->answered.seq)
		json_object_set_new(args, "answers", json_integer((json_int_t)incoming->answered.seq));
	if (in->kind == INBOUND_RECORDED)
		put_text(args, "source", *in->provider ? in->provider : "the application");
	if (in->at) {
		moment_format(in->at, at);
		put_text(args, "at", at);
	}
	return args;
}

/* What of its words the history keeps. */
static void keep_words(const struct turn *turn, const struct incoming *incoming, struct contact *contact)
{
	const struct inbound *in = incoming->in;
	const struct product *product = product_find(turn->config->products, contact->product);
	enum content_kept kept = product ? product->content : turn->config->history.content;
	const char *given = in->summary ? in->summary : "";
	char *summary = templates_summary(*given ? given : *in->text ? in->text : in->subject);

	if (kept != CONTENT_NONE)
		xreplace(&contact->summary, summary);
	if (kept == CONTENT_FULL)
		xreplace(&contact->content, in->text);
	free(summary);
}

static struct contact *contact_of(const struct turn *turn, const struct incoming *incoming,
				  const struct customer *customer)
{
	const struct inbound *in = incoming->in;
	const struct contact *answered = &incoming->answered;
	struct contact *contact =
		contact_recorded(turn, in->kind == INBOUND_RECORDED ? in->direction : DIRECTION_IN);
	/* of another customer with the same address it is not known what it answers */
	bool about = customer && answered->customer == customer->n;

	contact->customer = customer ? customer->n : 0;
	contact->customer_seq = customer ? customer->seq : 0;
	contact->address = incoming->address.n;
	contact->address_seq = incoming->address.seq;
	xreplace(&contact->channel, in->channel);
	xreplace(&contact->provider, in->provider);
	xreplace(&contact->provider_ref, in->provider_ref);
	xreplace(&contact->product, *in->product ? in->product : about ? answered->product : "");
	xreplace(&contact->code, in->code);
	xreplace(&contact->detail, in->detail);
	if (about) {
		contact->message = answered->message;
		contact->several_count = answered->several_count;
		contact->several = xreallocarray(NULL, answered->several_count, sizeof *contact->several);
		for (size_t i = 0; i < answered->several_count; i++)
			contact->several[i] = answered->several[i];
	}
	contact_reason_is(contact, reason_of(incoming), reason_args_of(incoming));
	keep_words(turn, incoming, contact);
	return contact;
}

static bool record_for(struct turn *turn, struct incoming *incoming, const struct customer *customer)
{
	struct contact *contact = contact_of(turn, incoming, customer);
	struct contact *const contacts[] = {contact};
	bool ok = store_add_contacts(turn->store, contacts, 1);

	if (!incoming->contact)
		incoming->contact = contact->seq;
	contact_release(contact);
	free(contact);
	return ok;
}

bool incoming_records(struct turn *turn, struct incoming *incoming)
{
	bool ok = true;

	if (incoming->customer || !incoming->owner_count)
		return record_for(turn, incoming, incoming->customer);
	for (size_t i = 0; ok && i < incoming->owner_count; i++)
		ok = record_for(turn, incoming, incoming->owners[i]);
	return ok;
}

static json_t *customers_of(const struct incoming *incoming)
{
	json_t *ids = json_array();

	if (incoming->customer)
		json_array_append_new(ids, json_string(incoming->customer->id));
	for (size_t i = 0; !incoming->customer && i < incoming->owner_count; i++)
		json_array_append_new(ids, json_string(incoming->owners[i]->id));
	return ids;
}

/* heed.contact.received: the application that reads it can answer. */
static void pass_on(struct turn *turn, const struct incoming *incoming)
{
	const struct inbound *in = incoming->in;
	const char *subject = incoming->customer ? incoming->customer->id : in->from;
	json_t *data = json_object();
	struct message message = {0};

	json_object_set_new(data, "contact", json_integer((json_int_t)incoming->contact));
	put_text(data, "kind", reason_code_name(reason_of(incoming)));
	put_text(data, "customer", incoming->customer ? incoming->customer->id : "");
	if (!incoming->customer)
		json_object_set_new(data, "customers", customers_of(incoming));
	put_text(data, "message", incoming->message.n ? incoming->message.id : "");
	put_text(data, "product", incoming->answered.product);
	put_text(data, "channel", in->channel);
	put_text(data, "provider", in->provider);
	put_text(data, "provider_ref", in->provider_ref);
	put_text(data, "address", in->from);
	put_text(data, "subject", in->subject);
	json_object_set_new(data, "text", json_string(in->text));
	put_text(data, "quoted", in->quoted);
	if (incoming->answered.seq)
		json_object_set_new(data, "answers", json_integer((json_int_t)incoming->answered.seq));
	if (incoming->message.n && *incoming->message.body &&
	    message_parse_stored(incoming->message.body, strlen(incoming->message.body), &message, NULL) &&
	    json_object_size(message.meta))
		json_object_set(data, "meta", message.meta);
	message_release(&message);
	char *words = json_dumps(data, JSON_COMPACT);
	event_add_inbound(turn, "heed.contact.received", *subject ? subject : in->channel, words);
	free(words);
	json_decref(data);
}

/* --- its effect --- */

json_t *incoming_evidence(const struct incoming *incoming)
{
	char *words = templates_summary(incoming->in->text);
	json_t *evidence = json_pack("{s:I, s:s}", "contact", (json_int_t)incoming->contact, "text", words);

	free(words);
	return evidence;
}

bool incoming_prefers(struct turn *turn, struct incoming *incoming, const char *by, const char *product,
		      json_t *preference, bool *refused)
{
	const struct asker asker = {.by = by, .actor = ""};
	struct request asked = {0};
	struct preference *all = NULL;
	size_t count = 0;
	json_t *kept = json_array();

	text_init(&asked.problem, TEXT_ERROR_MAX);
	json_object_set_new(preference, "source", json_string(incoming->in->channel));
	json_object_set_new(preference, "evidence", incoming_evidence(incoming));
	bool ok = preference_write(&asked, turn, &asker, incoming->customer, product, preference, true, kept);
	*refused = asked.status != 0;
	if (ok && !*refused) {
		ok = store_get_preferences(turn->store, incoming->customer->n, &all, &count);
		const struct touched touched = {.product = product, .preferences = all, .count = count};
		ok = ok && change_binds(turn, incoming->customer->n, &touched, incoming->on_their_way);
	}
	preferences_free(all, count);
	text_release(&asked.problem);
	json_decref(kept);
	return ok;
}

static bool stop_product(struct turn *turn, struct incoming *incoming)
{
	const char *product = incoming->answered.product,
		   *by = incoming->in->kind == INBOUND_COMPLAINT ? "complaint" : "reply";
	json_t *nothing = json_pack("{s:[]}", "channels");
	bool refused = false, ok = true;

	if (incoming->customer && incoming->answered.seq && *product)
		ok = incoming_prefers(turn, incoming, by, product, nothing, &refused);
	json_decref(nothing);
	return ok;
}

static bool incoming_effect(struct turn *turn, struct incoming *incoming)
{
	const struct inbound *in = incoming->in;
	struct receipt receipt = {.channel = in->channel,
				  .provider = incoming->answered.provider,
				  .provider_ref = incoming->answered.provider_ref,
				  .contact = incoming->answered.seq,
				  .says = in->effect == INBOUND_RETRY ? RECEIPT_RETRY : RECEIPT_REJECTED,
				  .address_dead = in->effect == INBOUND_ADDRESS_DEAD,
				  .code = in->code,
				  .text = in->detail};

	if (in->effect == INBOUND_CHANGES_NOTHING)
		return true;
	if (in->effect == INBOUND_STOPS_PRODUCT)
		return stop_product(turn, incoming);
	return !incoming->answered.seq || receipt_take(turn, &receipt, &incoming->answered);
}

/* --- the request --- */

/* The contact that it is again, and whose that is; 0: it is new. */
static bool known_before(struct turn *turn, const struct inbound *in, int64_t *contact, int64_t *customer)
{
	struct contact known;
	bool ok = true;

	*contact = *customer = 0;
	for (int direction = DIRECTION_OUT; ok && *in->provider_ref && direction <= DIRECTION_IN;
	     direction++) {
		if (direction == DIRECTION_OUT && in->kind != INBOUND_RECORDED)
			continue;
		ok = store_find_contact(turn->store, (enum direction)direction, in->provider,
					in->provider_ref, &known);
		/* what we sent ourselves is no repetition of what another system tells */
		if (ok && known.seq && (known.direction == DIRECTION_IN || !known.attempt)) {
			*contact = known.seq;
			*customer = known.customer;
		}
		contact_release(&known);
	}
	return ok;
}

static void inbound_answer(struct request *request, const struct incoming *incoming)
{
	json_t *answer = json_pack("{s:I, s:o, s:s}", "contact", (json_int_t)incoming->contact, "customers",
				   customers_of(incoming), "kind", reason_code_name(reason_of(incoming)));

	put_text(answer, "did", incoming->did);
	json_object_set_new(answer, "on_their_way", way_list(incoming->on_their_way));
	request->answer = answer;
	request->status = 201;
}

static bool inbound_run(struct request *request, struct turn *turn)
{
	const struct inbound *in = ((struct inbound_request *)request)->in;
	struct incoming incoming = {.in = in, .kind = in->kind, .on_their_way = json_object()};
	int64_t before, whose;
	bool ok = known_before(turn, in, &before, &whose);

	if (ok && before && in->kind == INBOUND_RECORDED) {
		ok = incoming_find(request, turn, &incoming);
		if (ok && !request->status && incoming.customer && incoming.customer->n != whose)
			request_refuse(request, 409,
				       "provider_ref: %s of %s was recorded before, of another customer",
				       in->provider_ref, in->provider);
		if (!ok || request->status)
			goto out;
	}
	if (ok && before) {
		request->answer = json_pack("{s:I, s:b}", "contact", (json_int_t)before, "repeated", 1);
		request->status = 200;
		goto out;
	}
	ok = ok && incoming_find(request, turn, &incoming);
	if (!ok || request->status)
		goto out;
	if (in->kind == INBOUND_SHORT)
		ok = incoming_reply(turn, &incoming);
	else
		ok = incoming_records(turn, &incoming) && incoming_effect(turn, &incoming);
	if (ok && incoming.kind == INBOUND_REPLY)
		pass_on(turn, &incoming);
	if (ok)
		inbound_answer(request, &incoming);
out:
	incoming_release(&incoming);
	return ok;
}

int request_inbound(const struct turn_door *door, const struct inbound *inbound, json_t **answer,
		    struct text *problem)
{
	struct inbound_request asked = {.base = {.run = inbound_run}, .in = inbound};

	return request_run(door, &asked.base, answer, problem);
}
