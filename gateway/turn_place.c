/* Placing: each message that this turn looks at is chosen for, under the preference that this very
 * transaction reads, and either claimed, put to wait, or ended (law 2: nothing leaves before its row says
 * `sending`). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "message_fit.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

#define REASONS_TEXT_MAX 16384
#define BOUND_PAUSE (2 * MOMENT_S) /* of what is in doubt with a provider that is at fault */

void pointers_add(struct pointers *p, void *item)
{
	if (p->count == p->capacity) {
		p->capacity = p->capacity ? p->capacity * 2 : 64;
		p->list = xreallocarray(p->list, p->capacity, sizeof *p->list);
	}
	p->list[p->count++] = item;
}

void contact_copy(const struct contact *contact, struct contact *out)
{
	*out = *contact;
	out->several = contact->several_count
			       ? xreallocarray(NULL, contact->several_count, sizeof *out->several)
			       : NULL;
	for (size_t i = 0; i < contact->several_count; i++)
		out->several[i] = contact->several[i];
	char **texts[] = {&out->product,     &out->channel,       &out->provider, &out->provider_ref,
			  &out->template,    &out->template_hash, &out->summary,  &out->content,
			  &out->reason,      &out->reason_args,   &out->code,     &out->detail,
			  &out->customer_id, &out->address_value, &out->meta};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = xstrdup(*texts[i] ? *texts[i] : "");
	out->message_ids = NULL;
	out->message_count = 0;
	out->words = NULL;
}

/* Where the work on a row stands, or would. */
static struct work **work_place_of(const struct plan *plan, int64_t n)
{
	size_t at = (size_t)((uint64_t)n * 0x9E3779B97F4A7C15u) & (plan->by_n_size - 1);

	while (plan->by_n[at] && plan->by_n[at]->row.n != n)
		at = (at + 1) & (plan->by_n_size - 1);
	return &plan->by_n[at];
}

static void work_index(struct plan *plan, struct work *work)
{
	if (2 * (plan->by_n_count + 1) > plan->by_n_size) {
		struct plan old = *plan;
		plan->by_n_size = old.by_n_size ? 2 * old.by_n_size : 256;
		plan->by_n = xcalloc(plan->by_n_size, sizeof(struct work *));
		for (size_t i = 0; i < old.by_n_size; i++)
			if (old.by_n[i])
				*work_place_of(plan, old.by_n[i]->row.n) = old.by_n[i];
		free(old.by_n);
	}
	struct work **place = work_place_of(plan, work->row.n);
	plan->by_n_count += !*place;
	*place = *place ? *place : work; /* the first work on it is the one */
}

static struct work *work_new(struct turn *turn, enum work_why why)
{
	struct work *work = xcalloc(1, sizeof *work);

	work->why = why;
	*turn->plan.tail = work;
	turn->plan.tail = &work->next;
	turn->plan.count++;
	return work;
}

struct work *work_add(struct turn *turn, enum work_why why, const struct message_row *row)
{
	struct work *work = work_new(turn, why);

	message_row_copy(row, &work->row);
	work->was = why == WORK_NEW ? STATES : row->state;
	if (work->row.n)
		work_index(&turn->plan, work);
	return work;
}

struct work *work_take(struct turn *turn, enum work_why why, struct message_row *row)
{
	struct work *work = work_new(turn, why);

	work->row = *row;
	work->was = row->state;
	*row = (struct message_row){0};
	if (work->row.n)
		work_index(&turn->plan, work);
	return work;
}

struct work *work_of(const struct turn *turn, int64_t n)
{
	return turn->plan.by_n_size ? *work_place_of(&turn->plan, n) : NULL;
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
	free(work->bound);
	free(work);
}

/* The message as it came; from the admission, else from the row's body. NULL: the body was pruned. */
const struct message *work_message(struct work *work)
{
	if (work->admission) {
		message_trace(&work->admission->message, work->row.id);
		return &work->admission->message;
	}
	if (work->message_read)
		return &work->message;
	if (!*work->row.body)
		return NULL;
	work->message_read = true;
	message_parse_stored(work->row.body, strlen(work->row.body), &work->message, NULL);
	message_trace(&work->message, work->row.id);
	return work->message.data ? &work->message : NULL;
}

/* --- states, events, reasons --- */

/* Its customer was erased: what it tells from now on has nothing of theirs. */
static bool is_erased(struct turn *turn, const struct work *work)
{
	const char *name = work->row.customer_id;
	struct customer *customer = NULL;

	if (work->flight && work->flight->erased)
		return true;
	if (!erased_is_name(name) || work->why == WORK_NEW)
		return false;
	/* unless the application's own ids look like that; the store may fail: then the turn is lost anyway
	 */
	bool known = store_get_customer(turn->store, name, &customer);
	bool erased = !known || !customer || customer->erased_at;
	customer_free(customer);
	return erased;
}

/* What its events say of the message as it came. */
struct carried {
	const char *traceparent;
	const json_t *meta;
};

static struct carried carried_on(struct work *work)
{
	const struct attempt *attempt = work->flight ? work->flight->attempt : NULL;
	const struct message *message = NULL;

	/* nothing is read again; a digest's attempt speaks for its first message alone */
	if (!work->admission && attempt && attempt->message == work->row.n)
		return (struct carried){attempt->traceparent, attempt->meta};
	message = work_message(work);
	return message ? (struct carried){message->traceparent, message->meta} : (struct carried){"", NULL};
}

static void add_reason_member(struct text *data, const struct work *work, const struct contact *contact,
			      bool erased)
{
	struct reason_part reason;

	if (contact && contact->attempt && work->row.state == STATE_SENDING)
		reason = (struct reason_part){contact->reason, contact->reason_args, strlen(contact->reason),
					      strlen(contact->reason_args)};
	else if (!reasons_last(work->row.reasons, &reason))
		return;
	char *words = erased ? xmemdup0(reason.args, reason.args_len) : NULL,
	     *left = erased ? erased_args(words) : NULL;
	if (left)
		reason = (struct reason_part){reason.code, left, reason.code_len, strlen(left)};
	text_puts(data, ",\"reason\":");
	reason_put(data, &reason);
	free(words);
	free(left);
}

static void add_member(struct text *data, const char *name, const char *value)
{
	text_puts(data, name);
	text_json(data, value);
}

void work_event(struct turn *turn, struct work *work, enum state state, const struct contact *contact)
{
	struct text *data = event_begin(turn, "heed.message.", state_name(state), work->row.id);
	const bool erased = is_erased(turn, work);
	const struct carried carried = erased ? (struct carried){"", NULL} : carried_on(work);

	add_member(data, "{\"message\":", work->row.id);
	add_member(data, ",\"customer\":", work->row.customer_id);
	add_member(data, ",\"product\":", work->row.product);
	if (contact && contact->attempt && state != STATE_QUEUED) {
		add_member(data, ",\"channel\":", contact->channel);
		text_puts(data, ",\"attempt\":");
		text_number(data, contact->attempt);
		if (*contact->provider)
			add_member(data, ",\"provider\":", contact->provider);
		if (*contact->provider_ref && !erased)
			add_member(data, ",\"provider_ref\":", contact->provider_ref);
	}
	if (state != STATE_QUEUED)
		add_reason_member(data, work, contact, erased);
	if (json_object_size(carried.meta)) {
		char *meta = json_dumps(carried.meta, JSON_COMPACT);
		text_puts(data, ",\"meta\":");
		text_puts(data, meta);
		free(meta);
	}
	text_putc(data, '}');
	if (*carried.traceparent)
		add_member(data, ",\"traceparent\":", carried.traceparent);
	event_end(turn);
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

void work_reason_text(struct work *work, enum reason_code code, const char *args)
{
	size_t len = strlen(work->row.reasons);
	struct text json;

	text_init(&json, REASONS_TEXT_MAX);
	text_putc(&json, '[');
	if (len > 2 && len < REASONS_TEXT_MAX / 2) {
		text_add(&json, work->row.reasons + 1, len - 2);
		text_putc(&json, ',');
	}
	text_puts(&json, "{\"code\":\"");
	text_puts(&json, reason_code_name(code));
	text_puts(&json, "\",\"args\":");
	text_puts(&json, args);
	text_puts(&json, "}]");
	free(work->row.reasons);
	work->row.reasons = text_detach(&json);
}

void work_reason(struct work *work, enum reason_code code, json_t *args)
{
	char *words = args ? json_dumps(args, JSON_COMPACT) : NULL;

	work_reason_text(work, code, words ? words : "{}");
	free(words);
	json_decref(args);
}

/* --- ends and waits --- */

struct contact *contact_new(const struct turn *turn, const struct work *work, const struct facts *facts,
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
	contact->customer_seq = facts->customer ? facts->customer->seq : 0;
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
	struct contact *contact = contact_new(turn, work, &work->facts, preference);
	struct reason_part last = {.code = "", .args = "{}", .args_len = 2};

	contact->state = work->row.state;
	reasons_last(work->row.reasons, &last);
	free(contact->reason);
	contact->reason = xmemdup0(last.code, last.code_len);
	free(contact->reason_args);
	contact->reason_args = xmemdup0(last.args, last.args_len);
	work->contact = contact;
}

void work_end(struct turn *turn, struct work *work, enum state state, const struct preference *preference)
{
	state = row_rests(&work->row, state);
	if (work->row.state != state)
		work_set_state(turn, work, state);
	work->row.due = MOMENT_NEVER;
	work->row.fault_since = 0;
	if (!work->row.contact)
		add_closing_line(turn, work, preference);
	if (work->was != state)
		work_event(turn, work, state, work->contact);
}

void work_wait(struct turn *turn, struct work *work, enum state state, const char *waits_for, int64_t due)
{
	if (work->row.state != state)
		work_set_state(turn, work, state);
	xreplace(&work->row.waits_for, waits_for);
	work->row.lease = 0;
	work->row.due = due;
	line_waits(turn, waits_for, due);
	expiry_waits(turn, &work->row);
	if (work->was != state)
		work_event(turn, work, state, NULL);
}

/* --- choosing --- */

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
static bool place_send(struct turn *turn, struct work *work, const struct decision *decision,
		       const struct product *product)
{
	struct message_row *row = &work->row;
	struct line *line = line_find(turn, decision->channel);
	/* a doubt is not forgotten, and what was sent stays so until the next channel is claimed */
	bool stays = row->state == STATE_IN_DOUBT || row->state == STATE_SENT;
	const struct hold *hold = holds_stop(turn, row, line, work->bound);

	if (line && work->why == WORK_NEW)
		line->chosen++;
	if (hold) { /* called back, it counts in no cap: others may go meanwhile */
		work_hold(turn, work, hold, decision->channel);
		return row->state == STATE_IN_DOUBT || row->best || caps_release(turn, work);
	}
	if (strcmp(row->channel, decision->channel) != 0) {
		row->tries = 0; /* another channel: its own pauses, its own patience */
		row->give_up_at = 0;
	} else if (work_gave_up(turn, work)) {
		return row->state != STATE_FAILED || caps_release(turn, work);
	}
	struct outlet *outlet =
		line && turn->claiming
			? line_outlet(line, work->bound, product->urgent && row->purpose == PURPOSE_CRITICAL)
			: NULL;
	if (outlet)
		return work_claim(turn, work, outlet, decision, product);
	if (line && line_at_fault(line, work->bound)) {
		const struct outlet *at_fault =
			work->bound ? line_find_outlet(line, work->bound) : line->outlets;
		/* one that may go to nobody else does not keep the others waiting behind it */
		int64_t due = line_at_fault(line, NULL) ? turn->now : turn->now + BOUND_PAUSE;
		work_reason(work, REASON_provider_at_fault,
			    json_pack("{s:s, s:s}", "provider", at_fault->config->provider, "code", ""));
		row_queued(row, turn->now);
		if (!row->fault_since)
			row->fault_since = turn->now;
		work_wait(turn, work, stays ? row->state : STATE_DEFERRED, decision->channel, due);
	} else if (work->why == WORK_DUE && strcmp(row->waits_for, decision->channel) == 0) {
		work->unchanged = true; /* others were faster: it keeps its place */
	} else {
		bool held = hold_is_key(row->waits_for); /* and is no more: nothing but its turn is missing */
		enum state waiting =
			stays || (row->state == STATE_DEFERRED && !held) ? row->state : STATE_QUEUED;
		work_reason(work, REASON_waits_turn, json_pack("{s:s}", "channel", decision->channel));
		work_wait(turn, work, waiting, decision->channel, turn->now);
	}
	return true;
}

/* Not yet: waits for nobody in particular, and is chosen again then. */
static bool place_defer(struct turn *turn, struct work *work, const struct decision *decision)
{
	struct message_row *row = &work->row;
	bool stays = row->state == STATE_IN_DOUBT || row->state == STATE_SENT, ok = true;

	row_fault_over(row, turn->now);
	/* the clock of giving up stands while the customer, not the other side, has it wait */
	if (row->give_up_at && row->state == STATE_DEFERRED && !*row->waits_for && row->due > turn->now &&
	    row->due != MOMENT_NEVER)
		row->give_up_at -= row->due - turn->now;
	if (row->give_up_at)
		row->give_up_at += decision->until - turn->now;
	if (row->state != STATE_IN_DOUBT && !row->best)
		ok = caps_release(turn, work);
	work_wait(turn, work, stays ? row->state : STATE_DEFERRED, "", decision->until);
	return ok;
}

static bool place_end(struct turn *turn, struct work *work, const struct decision *decision)
{
	static const enum state ends[] = {[CHOOSE_SUPPRESS] = STATE_SUPPRESSED,
					  [CHOOSE_FAIL] = STATE_FAILED,
					  [CHOOSE_STAY_IN_DOUBT] = STATE_IN_DOUBT,
					  [CHOOSE_EXPIRE] = STATE_EXPIRED,
					  [CHOOSE_REST] = STATE_SENT};

	work_end(turn, work, ends[decision->kind], decision->preference);
	if (work->row.state != STATE_SENT && work->row.state != STATE_DELIVERED &&
	    work->row.state != STATE_IN_DOUBT)
		return caps_release(turn, work);
	return true;
}

static void store_reasons(struct work *work, const struct decision *decision)
{
	struct text list;

	text_init(&list, SIZE_MAX / 2); /* REASONS_MAX of them */
	reasons_put(&list, &decision->reasons);
	free(work->row.reasons);
	work->row.reasons = text_detach(&list);
}

/* Whether the row stays as it is: it waits for the same channel, or until the same time. */
static bool stays(const struct work *work, const struct decision *decision)
{
	const struct message_row *row = &work->row;

	if (work->why != WORK_RECONSIDER)
		return false;
	if (decision->kind == CHOOSE_SEND)
		return strcmp(decision->channel, row->waits_for) == 0;
	return decision->kind == CHOOSE_DEFER && !*row->waits_for && row->due == decision->until;
}

/* Where what heed itself says goes. An address that is to be confirmed is nobody's, or somebody else's: it is
 * looked up here, for its owner may have said STOP there. False: the store failed. */
static bool answer_fill(struct turn *turn, struct work *work, const struct answer_to *to,
			struct choose_answer *out)
{
	struct address_row row;

	*out = (struct choose_answer){.channel = to->channel,
				      .address = to->address,
				      .though_stopped = to->though_stopped,
				      .asked = to->asked};
	if (!*to->value)
		return true;
	if (!store_get_address(turn->store, to->channel, to->value, false, &row))
		return false;
	/* dead for another customer is no reason; that this very message was refused there is one */
	bool died = strstr(work->row.reasons, "\"address_died\"") != NULL;
	work->unowned = (struct address){.n = row.n,
					 .channel = to->channel,
					 .value = to->value,
					 .details = (char *)"",
					 .state = died                           ? ADDRESS_DEAD
						  : row.state == ADDRESS_STOPPED ? ADDRESS_STOPPED
										 : ADDRESS_OK,
					 .seq = row.n ? row.seq : 0};
	out->unowned = &work->unowned;
	return true;
}

bool work_decide(struct turn *turn, struct work *work, const struct facts *facts, bool caps,
		 struct decision *out)
{
	struct message_row *row = &work->row;
	const struct product *product = product_find(turn->config->products, row->product);
	const struct message *message = work_message(work);
	const bool answers = message && message_answers(message);
	struct choose_answer answer = {.channel = ""};
	const struct message_texts texts = message_texts_of(turn->config, row->template);
	if (product && !answers) /* heed's own answers are outside caps, whatever they are about */
		row->purpose = product_purpose(product, row->purpose);
	struct choose_input input = {.product = product,
				     .customer = facts->customer,
				     .choices = {facts->own, facts->parents, facts->star},
				     .purpose = row->purpose,
				     .template = row->template,
				     .answer = answers ? &answer : NULL,
				     .rejected = row->rejected,
				     .doubt = row->state == STATE_IN_DOUBT ? row->channel : "",
				     .channels = message_channels(&texts)};

	*out = (struct decision){0};
	if (answers && !answer_fill(turn, work, &message->answer, &answer))
		return false;
	if (!when_fill(turn, row, facts->customer, product, &input))
		return false;
	if (!caps)
		input.cap_count = 0;
	choose(&input, out);
	return true;
}

/* The turn in the list, for the next time. The decision leaves out the time in which the clock of the wait
 * stood, the row does once that is over. */
static void keep_turn_in_list(struct message_row *row, const struct decision *decision, int64_t now)
{
	int64_t stood = 0;

	xreplace(&row->waited, decision->waited);
	if (!decision->wait_channel)
		return;
	if (strcmp(row->wait_channel, decision->wait_channel) != 0)
		row_fault_over(row, now);
	else
		stood = row_wait_stood(row, now);
	xreplace(&row->wait_channel, decision->wait_channel);
	row->wait_since = decision->wait_since - stood;
	row->wait_until = decision->wait_until ? decision->wait_until - stood : 0;
}

/* NULL: it is not in the configuration any more. */
static const struct product *product_of(const struct turn *turn, struct work *work)
{
	static const struct product none = {.name = (char *)"", .content = CONTENT_SUMMARY, .may_stop = true};
	static const struct product secret = {.name = (char *)"", .content = CONTENT_NONE, .may_stop = true};
	const struct product *product = product_find(turn->config->products, work->row.product);
	const struct message *message = work_message(work);

	if (product || !message || !message_answers(message))
		return product;
	return message->answer.asked ? &secret : &none; /* a code or a link is for nobody else to read */
}

/* Unknown, or known and erased. False: the store failed. */
static bool refuse_unknown(struct turn *turn, struct work *work)
{
	struct customer *erased = NULL;

	if (work->facts.customer) {
		admission_erased(work->admission, work->facts.customer->id);
		return true;
	}
	bool ok = erased_find(turn, work->row.customer_id, &erased);
	if (erased)
		admission_erased(work->admission, erased->id);
	else
		admission_refuse(work->admission, "customer: %s is unknown; put or import the customer first",
				 work->row.customer_id);
	customer_free(erased);
	return ok;
}

/* Nothing is sent to whom was erased; a doubt stays one, and what was sent is sent. */
static bool work_erase(struct turn *turn, struct work *work)
{
	struct message_row *row = &work->row;
	bool rests =
		row->state == STATE_IN_DOUBT || row->state == STATE_SENT || row->state == STATE_DELIVERED;

	free(row->reasons);
	row->reasons = xstrdup("[]");
	work_reason(work, REASON_erased, NULL);
	work_end(turn, work, rests ? row->state : STATE_CANCELLED, NULL);
	return rests || caps_release(turn, work);
}

static bool work_place(struct turn *turn, struct work *work)
{
	struct message_row *row = &work->row;
	const struct product *product = product_of(turn, work);
	struct decision decision;
	bool ok;

	work->placed = true;
	if (work->why == WORK_NEW) {
		if (!work->facts.customer || work->facts.customer->erased_at) {
			work->unchanged = true;
			return refuse_unknown(turn, work);
		}
		row->customer = work->facts.customer->n;
	} else if (work->facts.customer && work->facts.customer->erased_at) {
		return work_erase(turn, work);
	}
	const struct hold *cancel = holds_cancel(turn, row);
	if (cancel)
		return work_cancel(turn, work, hold_who(cancel), cancel->why);
	if (row->best == STATE_DELIVERED) { /* a receipt came meanwhile: nothing more is tried */
		work_end(turn, work, STATE_DELIVERED, NULL);
		return true;
	}
	if (!product || !work_message(work) || !work->facts.customer) {
		work_reason(work, REASON_unsendable,
			    json_pack("{s:s, s:s}", "channel", "", "error",
				      !product ? "the product is not in the configuration any more"
					       : "its content is not kept any more"));
		work_end(turn, work, row->state == STATE_IN_DOUBT ? STATE_IN_DOUBT : STATE_FAILED, NULL);
		return true;
	}
	ok = work_decide(turn, work, &work->facts, true, &decision);
	if (ok && stays(work, &decision)) {
		work->unchanged = true;
	} else if (ok) {
		store_reasons(work, &decision);
		keep_turn_in_list(row, &decision, turn->now);
		if (decision.kind == CHOOSE_SEND)
			ok = place_send(turn, work, &decision, product);
		else if (decision.kind == CHOOSE_DEFER)
			ok = place_defer(turn, work, &decision);
		else
			ok = place_end(turn, work, &decision);
	}
	reasons_release(&decision.reasons);
	return ok;
}

static bool place_lane(struct turn *turn, struct work *first, enum lane lane, bool new)
{
	bool ok = true;

	for (struct work *work = first; ok && work; work = work->next)
		if (work->why != WORK_SETTLED && (work->why == WORK_NEW) == new && work->row.lane == lane &&
		    !work->placed)
			ok = work_place(turn, work);
	return ok;
}

/* By lane, but for the tenth that bulk keeps; in a lane what waits goes before what is new: a backlog is not
 * overtaken. */
static bool place_all(struct turn *turn, struct work *first)
{
	bool ok = true;

	for (struct work *work = first; ok && work; work = work->next)
		if (work->kept && !work->placed)
			ok = work_place(turn, work);
	for (int lane = 0; ok && lane < LANES; lane++)
		ok = place_lane(turn, first, (enum lane)lane, false) &&
		     place_lane(turn, first, (enum lane)lane, true);
	return ok;
}

/* What is in doubt goes to the provider that it was tried with, or to none: where a channel has several, the
 * last contact says which. False: the store failed. */
static bool work_bind(struct turn *turn, struct work *work)
{
	struct line *line = work->row.state == STATE_IN_DOUBT ? line_find(turn, work->row.channel) : NULL;
	struct contact last = {0};

	if (!line || line->outlet_count < 2 || work->bound)
		return true;
	bool ok = store_get_contacts(turn->store, &work->row.contact, 1, &last);
	if (ok && last.seq)
		work->bound = xstrdup(last.provider);
	contact_release(&last);
	return ok;
}

/* Reads facts for all from `work` on that needs choosing, and places each. */
static bool place_from(struct turn *turn, struct work *first)
{
	struct facts **wanted = xcalloc(turn->plan.count + 1, sizeof *wanted);
	size_t count = 0;
	bool ok = several_place(turn, first);

	for (struct work *work = first; ok && work; work = work->next) {
		if (work->why == WORK_SETTLED)
			continue;
		ok = work_bind(turn, work);
		const struct product *product = product_find(turn->config->products, work->row.product);
		facts_release(&work->facts);
		work->facts.customer_id = work->row.customer ? NULL : work->row.customer_id;
		work->facts.customer_n = work->row.customer;
		work->facts.product = work->row.product;
		work->facts.parent = product && product->parent ? product->parent->name : "";
		wanted[count++] = &work->facts;
	}
	ok = ok && store_read_facts(turn->store, wanted, count);
	free(wanted);
	return ok && place_all(turn, first);
}

bool works_place(struct turn *turn)
{
	bool ok = place_from(turn, turn->plan.first), any = true;

	for (int i = 0; ok && any && turn->plan.freed.count && i < TURN_FREED_MAX; i++) {
		struct work **tail = turn->plan.tail;
		ok = caps_freed(turn, &any) && place_from(turn, *tail);
	}
	return ok;
}
