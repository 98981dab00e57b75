/* Placing: each message that this turn looks at is chosen for, under the preference that this very
 * transaction reads, and either claimed, put to wait, or ended (law 2: nothing leaves before its row says
 * `sending`). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define REASONS_TEXT_MAX 16384
#define EVENT_DATA_MAX (MESSAGE_META_MAX * 2 + 8192)

void pointers_add(struct pointers *p, void *item)
{
	if (p->count == p->capacity) {
		p->capacity = p->capacity ? p->capacity * 2 : 64;
		p->list = xreallocarray(p->list, p->capacity, sizeof *p->list);
	}
	p->list[p->count++] = item;
}

void message_row_copy(const struct message_row *row, struct message_row *out)
{
	*out = *row;
	char **texts[] = {&out->id,       &out->customer_id, &out->product,       &out->template,
			  &out->campaign, &out->body,        &out->waits_for,     &out->rejected,
			  &out->channel,  &out->reasons,     &out->kept.waits_for};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = xstrdup(*texts[i] ? *texts[i] : "");
}

void contact_copy(const struct contact *contact, struct contact *out)
{
	*out = *contact;
	char **texts[] = {&out->product,     &out->channel,       &out->provider, &out->provider_ref,
			  &out->template,    &out->template_hash, &out->summary,  &out->content,
			  &out->reason,      &out->reason_args,   &out->code,     &out->detail,
			  &out->customer_id, &out->address_value, &out->meta};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = xstrdup(*texts[i] ? *texts[i] : "");
	out->message_ids = NULL;
	out->message_count = 0;
}

struct work *work_add(struct turn *turn, enum work_why why, const struct message_row *row)
{
	struct work *work = xcalloc(1, sizeof *work);

	work->why = why;
	message_row_copy(row, &work->row);
	work->was = why == WORK_NEW ? STATES : row->state;
	*turn->plan.tail = work;
	turn->plan.tail = &work->next;
	turn->plan.count++;
	return work;
}

struct work *work_of(const struct turn *turn, int64_t n)
{
	if (!turn->plan.waiting_touched)
		return NULL;
	for (struct work *work = turn->plan.first; work; work = work->next)
		if (work->row.n == n)
			return work;
	return NULL;
}

void work_free(struct work *work)
{
	if (!work)
		return;
	message_row_release(&work->row);
	if (work->message_read)
		message_release(&work->message);
	facts_release(&work->facts);
	if (work->contact) {
		contact_release(work->contact);
		free(work->contact);
	}
	if (work->ended) {
		contact_release(work->ended);
		free(work->ended);
	}
	attempt_free(work->attempt);
	free(work);
}

/* The message as it came; from the admission, else from the row's body. NULL: the body was pruned. */
static const struct message *work_message(struct work *work)
{
	if (work->admission)
		return &work->admission->message;
	if (work->message_read)
		return &work->message;
	if (!*work->row.body)
		return NULL;
	work->message_read = true;
	message_parse(work->row.body, strlen(work->row.body), &work->message, NULL);
	return work->message.data ? &work->message : NULL;
}

/* --- states, events, reasons --- */

static const char *meta_text(struct work *work, char **owned)
{
	const json_t *meta = NULL;

	*owned = NULL;
	if (work->admission)
		meta = work->admission->message.meta;
	else if (work->flight && work->flight->attempt)
		meta = work->flight->attempt->meta;
	else if (work_message(work))
		meta = work->message.meta;
	if (!meta || !json_object_size(meta))
		return NULL;
	return *owned = json_dumps(meta, JSON_COMPACT);
}

/* The last reason of the row's list, as it stands there: {"code":…,"args":…}. */
static json_t *last_reason(const char *reasons)
{
	json_t *list = json_loads(reasons, 0, NULL);
	json_t *last = json_incref(json_array_get(list, json_array_size(list) - 1));
	json_decref(list);
	return last;
}

static void add_reason_member(struct text *data, const struct work *work, const struct contact *contact)
{
	json_t *args = NULL, *last = NULL, *json = NULL;
	const char *code = NULL;

	if (contact && contact->attempt && work->row.state == STATE_SENDING) {
		args = json_loads(contact->reason_args, 0, NULL);
		code = contact->reason;
	} else {
		last = last_reason(work->row.reasons);
		code = json_string_value(json_object_get(last, "code"));
		args = json_incref(json_object_get(last, "args"));
	}
	if (code && (json = reason_json(code, args))) {
		char *words = json_dumps(json, JSON_COMPACT);
		text_addf(data, ",\"reason\":%s", words);
		free(words);
	}
	json_decref(json);
	json_decref(args);
	json_decref(last);
}

void work_event(struct turn *turn, struct work *work, enum state state, const struct contact *contact)
{
	char type[40], *owned;
	struct text data;

	text_init(&data, EVENT_DATA_MAX);
	text_puts(&data, "{\"message\":");
	text_json(&data, work->row.id);
	text_puts(&data, ",\"customer\":");
	text_json(&data, work->row.customer_id);
	text_puts(&data, ",\"product\":");
	text_json(&data, work->row.product);
	if (contact && contact->attempt && state != STATE_QUEUED) {
		text_puts(&data, ",\"channel\":");
		text_json(&data, contact->channel);
		text_addf(&data, ",\"attempt\":%d", contact->attempt);
		if (*contact->provider) {
			text_puts(&data, ",\"provider\":");
			text_json(&data, contact->provider);
		}
		if (*contact->provider_ref) {
			text_puts(&data, ",\"provider_ref\":");
			text_json(&data, contact->provider_ref);
		}
	}
	if (state != STATE_QUEUED)
		add_reason_member(&data, work, contact);
	const char *meta = meta_text(work, &owned);
	if (meta)
		text_addf(&data, ",\"meta\":%s", meta);
	free(owned);
	text_putc(&data, '}');
	snprintf(type, sizeof type, "heed.message.%s", state_name(state));
	event_add(turn, type, work->row.id, data.data);
	text_release(&data);
}

void work_set_state(struct turn *turn, struct work *work, enum state state)
{
	struct counters *deltas = &turn->plan.deltas;

	if (work->was == STATES && work->row.state == STATES)
		deltas->admitted++;
	else
		deltas->states[work->row.state]--;
	deltas->states[state]++;
	work->row.state = state;
}

void work_reason(struct work *work, enum reason_code code, json_t *args)
{
	struct text json;
	size_t len = strlen(work->row.reasons);
	char *words = args ? json_dumps(args, JSON_COMPACT) : xstrdup("{}");

	text_init(&json, REASONS_TEXT_MAX);
	text_putc(&json, '[');
	if (len > 2 && len < REASONS_TEXT_MAX / 2) {
		text_add(&json, work->row.reasons + 1, len - 2);
		text_putc(&json, ',');
	}
	text_addf(&json, "{\"code\":\"%s\",\"args\":%s}]", reason_code_name(code), words);
	free(words);
	json_decref(args);
	free(work->row.reasons);
	work->row.reasons = text_detach(&json);
}

/* --- ends and waits --- */

static struct contact *contact_new(const struct turn *turn, const struct work *work,
				   const struct preference *preference)
{
	struct contact *contact = xcalloc(1, sizeof *contact);
	const struct contact empty = {.at = turn->now,
				      .customer = work->row.customer,
				      .message = work->row.n,
				      .direction = DIRECTION_OUT};

	contact_copy(&empty, contact);
	xreplace(&contact->product, work->row.product);
	xreplace(&contact->template, work->row.template);
	contact->customer_seq = work->facts.customer ? work->facts.customer->seq : 0;
	contact->products_seq = turn->config->products->seq;
	if (preference) {
		contact->preference = preference->version;
		contact->preference_seq = preference->seq;
	}
	return contact;
}

/* The one line of a message that ends without an attempt. */
static void add_closing_line(struct turn *turn, struct work *work, const struct preference *preference)
{
	json_t *last = last_reason(work->row.reasons);
	struct contact *contact = contact_new(turn, work, preference);
	char *args = json_dumps(json_object_get(last, "args"), JSON_COMPACT);

	contact->state = work->row.state;
	xreplace(&contact->reason, json_string_value(json_object_get(last, "code"))
					   ? json_string_value(json_object_get(last, "code"))
					   : "");
	free(contact->reason_args);
	contact->reason_args = args ? args : xstrdup("{}");
	json_decref(last);
	work->contact = contact;
}

/* `preference`: the one that settled it; NULL where none did. */
static void work_end(struct turn *turn, struct work *work, enum state state,
		     const struct preference *preference)
{
	if (work->row.state != state)
		work_set_state(turn, work, state);
	work->row.due = MOMENT_NEVER;
	work->row.fault_since = 0;
	if (!work->row.contact)
		add_closing_line(turn, work, preference);
	if (work->was != state)
		work_event(turn, work, state, work->contact);
}

static void work_wait(struct turn *turn, struct work *work, enum state state, const char *channel,
		      int64_t due)
{
	if (work->row.state != state)
		work_set_state(turn, work, state);
	xreplace(&work->row.waits_for, channel);
	work->row.lease = 0;
	work->row.due = due;
	line_waits(turn, channel, due);
	if (work->was != state)
		work_event(turn, work, state, NULL);
}

/* --- claiming --- */

static const char *first_text(const char *a, const char *b, const char *c)
{
	return a && *a ? a : b && *b ? b : c;
}

static struct attempt *attempt_make(struct turn *turn, struct work *work, const struct line *line,
				    const struct decision *decision, const struct product *product)
{
	struct attempt *attempt = xcalloc(1, sizeof *attempt);
	const struct message *message = work_message(work);
	const struct customer *customer = work->facts.customer;
	const struct config *config = turn->config;

	attempt->channel = line->channel;
	attempt->epoch = work->row.epoch;
	attempt->number = work->row.attempts;
	attempt->message_id = xstrdup(work->row.id);
	attempt->customer_id = xstrdup(customer->id);
	attempt->customer_name = xstrdup(customer->name);
	attempt->product = xstrdup(product->name);
	attempt->locale = xstrdup(first_text(message->locale, customer->locale, config->customers.locale));
	attempt->address = xstrdup(decision->address->value);
	attempt->address_details = xstrdup(decision->address->details);
	attempt->product_title = xstrdup(product_title(product, attempt->locale, config->customers.locale));
	attempt->traceparent = xstrdup(message->traceparent);
	attempt->templates = templates_hold(config->templates);
	attempt->template = *message->template ? templates_find(config->templates, message->template) : NULL;
	/* deep copies: the attempt goes to another thread, and the row's message stays with the turn */
	attempt->content = json_deep_copy(message->content);
	attempt->data = json_deep_copy(message->data);
	attempt->meta = json_deep_copy(message->meta);
	attempt->content_kept = product->content;
	attempt->lease_until = turn->mono + config->gateway.lease;
	atomic_init(&attempt->phase, ATTEMPT_HANDED);
	return attempt;
}

static void work_claim(struct turn *turn, struct work *work, struct line *line,
		       const struct decision *decision, const struct product *product)
{
	struct message_row *row = &work->row;
	const struct reason *why = &decision->reasons.list[decision->reasons.count - 1];

	if (work->was == STATES && row->state == STATES) {
		work_set_state(turn, work, STATE_QUEUED);
		work_event(turn, work, STATE_QUEUED, NULL);
	}
	if (row->fault_since && row->give_up_at)
		row->give_up_at += turn->now - row->fault_since;
	row->fault_since = 0;
	if (!row->give_up_at)
		row->give_up_at = turn->now + line->config->retry.give_up_after;
	row->epoch++;
	row->attempts++;
	row->tries++;
	row->lease = turn->now + turn->config->gateway.lease;
	row->due = MOMENT_NEVER;
	xreplace(&row->waits_for, "");
	xreplace(&row->channel, line->config->name);
	work_set_state(turn, work, STATE_SENDING);
	line->budget--;
	work->probe = line->breaker.open;

	struct contact *contact = contact_new(turn, work, decision->preference);
	contact->state = STATE_SENDING;
	contact->attempt = row->attempts;
	xreplace(&contact->channel, line->config->name);
	xreplace(&contact->provider, line->config->provider);
	contact->captured = line->config->captured_by != NULL;
	contact->address = decision->address->n;
	contact->address_seq = decision->address->seq;
	xreplace(&contact->reason, reason_code_name(why->code));
	free(contact->reason_args);
	contact->reason_args = why->args ? json_dumps(why->args, JSON_COMPACT) : xstrdup("{}");
	work->contact = contact;
	work->line = line;
	work->attempt = attempt_make(turn, work, line, decision, product);
	if (work->attempt->template)
		xreplace(&contact->template_hash, template_hash(work->attempt->template));
	work_event(turn, work, STATE_SENDING, contact);
}

/* --- choosing --- */

struct text_context {
	const struct config *config;
	const struct template *template;
	bool content;
};

static bool choose_configured(const void *context, const char *channel)
{
	const struct text_context *in = context;
	return config_channel(in->config, channel) != NULL;
}

static bool choose_has_text(const void *context, const char *channel)
{
	const struct text_context *in = context;
	const struct channel_config *config = config_channel(in->config, channel);

	if (in->content)
		return true;
	return in->template && config && template_has(in->template, channel, config->ops->text);
}

/* The time to give up is over: a doubt stays one, anything else has failed. */
static bool work_gave_up(struct turn *turn, struct work *work)
{
	struct message_row *row = &work->row;
	int64_t stood = row->fault_since ? turn->now - row->fault_since : 0;

	if (!row->give_up_at || turn->now < row->give_up_at + stood)
		return false;
	const struct channel_config *config = config_channel(turn->config, row->channel);
	char after[32];
	snprintf(after, sizeof after, "%lld s",
		 (long long)(config ? config->retry.give_up_after / MOMENT_S : 0));
	work_reason(work, REASON_gave_up, json_pack("{s:s, s:s}", "channel", row->channel, "after", after));
	work_end(turn, work, row->state == STATE_IN_DOUBT ? STATE_IN_DOUBT : STATE_FAILED, NULL);
	return true;
}

/* Sends, or waits for whom it was chosen to go through. */
static void place_send(struct turn *turn, struct work *work, const struct decision *decision,
		       const struct product *product)
{
	struct message_row *row = &work->row;
	struct line *line = line_find(turn, decision->channel);
	bool doubt = row->state == STATE_IN_DOUBT;

	if (strcmp(row->channel, decision->channel) != 0) {
		row->tries = 0; /* another channel: its own pauses, its own patience */
		row->give_up_at = 0;
	} else if (work_gave_up(turn, work)) {
		return;
	}
	if (line && line->budget > 0 && turn->claiming &&
	    breaker_may_send(&line->breaker, turn->mono) != BREAKER_NONE) {
		work_claim(turn, work, line, decision, product);
	} else if (line && line->breaker.open) {
		work_reason(work, REASON_provider_at_fault,
			    json_pack("{s:s, s:s}", "provider", line->config->provider, "code", ""));
		if (!row->fault_since)
			row->fault_since = turn->now;
		work_wait(turn, work, doubt ? STATE_IN_DOUBT : STATE_DEFERRED, decision->channel, turn->now);
	} else if (work->why == WORK_DUE && strcmp(row->waits_for, decision->channel) == 0) {
		work->unchanged = true; /* others were faster: it keeps its place */
	} else {
		enum state waiting = row->state == STATE_DEFERRED || doubt ? row->state : STATE_QUEUED;
		work_reason(work, REASON_waits_turn, json_pack("{s:s}", "channel", decision->channel));
		work_wait(turn, work, waiting, decision->channel, turn->now);
	}
}

static void store_reasons(struct work *work, const struct decision *decision)
{
	json_t *list = reasons_to_json(&decision->reasons);

	free(work->row.reasons);
	work->row.reasons = json_dumps(list, JSON_COMPACT);
	json_decref(list);
}

static void work_place(struct turn *turn, struct work *work)
{
	struct message_row *row = &work->row;
	const struct product *product = product_find(turn->config->products, row->product);
	const struct message *message = work_message(work);
	struct decision decision;

	if (work->why == WORK_NEW) {
		if (!work->facts.customer) {
			admission_refuse(work->admission,
					 "customer: %s is unknown; put or import the customer first",
					 row->customer_id);
			work->unchanged = true;
			return;
		}
		row->customer = work->facts.customer->n;
	}
	if (!product || !message || !work->facts.customer) {
		work_reason(work, REASON_unsendable,
			    json_pack("{s:s, s:s}", "channel", "", "error",
				      !product ? "the product is not in the configuration any more"
					       : "its content is not kept any more"));
		work_end(turn, work, row->state == STATE_IN_DOUBT ? STATE_IN_DOUBT : STATE_FAILED, NULL);
		return;
	}
	const struct text_context context = {
		.config = turn->config,
		.content = !*row->template,
		.template = *row->template ? templates_find(turn->config->templates, row->template) : NULL};
	const struct choose_input input = {
		.product = product,
		.customer = work->facts.customer,
		.choices = {work->facts.own, work->facts.parents, work->facts.star},
		.purpose = row->purpose,
		.template = row->template,
		.rejected = row->rejected,
		.doubt = row->state == STATE_IN_DOUBT ? row->channel : "",
		.channels = {choose_configured, choose_has_text, &context},
		.now = turn->now};
	choose(&input, &decision);
	if (work->why == WORK_RECONSIDER && decision.kind == CHOOSE_SEND &&
	    strcmp(decision.channel, row->waits_for) == 0) {
		work->unchanged = true; /* the same channel: it keeps its place and its pause */
		goto out;
	}
	store_reasons(work, &decision);
	switch (decision.kind) {
	case CHOOSE_SEND:
		place_send(turn, work, &decision, product);
		break;
	case CHOOSE_SUPPRESS:
		work_end(turn, work, STATE_SUPPRESSED, decision.preference);
		break;
	case CHOOSE_FAIL:
		work_end(turn, work, STATE_FAILED, decision.preference);
		break;
	case CHOOSE_STAY_IN_DOUBT:
		work_end(turn, work, STATE_IN_DOUBT, decision.preference);
		break;
	}
out:
	reasons_release(&decision.reasons);
}

/* What waits goes before what is new, and what is new by its lane: a backlog is not overtaken. */
static void place_all(struct turn *turn)
{
	for (struct work *work = turn->plan.first; work; work = work->next)
		if (work->why != WORK_SETTLED && work->why != WORK_NEW)
			work_place(turn, work);
	for (int lane = 0; lane < LANES; lane++)
		for (struct work *work = turn->plan.first; work; work = work->next)
			if (work->why == WORK_NEW && (int)work->row.lane == lane)
				work_place(turn, work);
}

bool works_place(struct turn *turn)
{
	struct facts **wanted = xcalloc(turn->plan.count + 1, sizeof *wanted);
	size_t count = 0;

	for (struct work *work = turn->plan.first; work; work = work->next) {
		if (work->why == WORK_SETTLED)
			continue;
		const struct product *product = product_find(turn->config->products, work->row.product);
		facts_release(&work->facts);
		work->facts.customer_id = work->row.customer ? NULL : work->row.customer_id;
		work->facts.customer_n = work->row.customer;
		work->facts.product = work->row.product;
		work->facts.parent = product && product->parent ? product->parent->name : "";
		wanted[count++] = &work->facts;
	}
	bool ok = store_read_facts(turn->store, wanted, count);
	free(wanted);
	if (ok)
		place_all(turn);
	return ok;
}
