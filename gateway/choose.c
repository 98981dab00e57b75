#include "choose.h"

#include <stdio.h>
#include <string.h>

#include "choose_private.h"
#include "moment.h"
#include "banned.h"

/* What stood in the way of the channels that were passed over. */
struct passed {
	bool offered;             /* one at least is offered by the product */
	bool other_than_stopped;  /* one that is offered was passed over for more than a STOP */
	const char *last_stopped; /* the last one of which only a STOP kept us; NULL */
};

bool channel_list_has(const char *list, const char *channel)
{
	size_t len = strlen(channel);

	while (len && *list) {
		size_t item = strcspn(list, ",");
		if (item == len && strncmp(list, channel, len) == 0)
			return true;
		list += item + (list[item] == ',');
	}
	return false;
}

static bool has_digest(const struct choose_input *in, const char *channel)
{
	const struct choose_channels *channels = &in->channels;
	const struct preference *time = choices_time(&in->choices);
	struct cadence digest = {0};

	return channels->has_digest && time && cadence_parse(time->digest, &digest, NULL) &&
	       digest.kind != CADENCE_IMMEDIATE && channels->has_digest(channels->context, channel);
}

/* May the channel be used for this product and message, whatever the addresses? Says why not. */
static bool channel_usable(const struct choose_input *in, const char *channel, struct reasons *reasons)
{
	const struct choose_channels *channels = &in->channels;

	if (!product_offers(in->product, channel))
		reasons_add(reasons, REASON_not_offered, "{s:s,s:s}", "channel", channel, "product",
			    in->product->name);
	else if (!channels->configured(channels->context, channel))
		reasons_add(reasons, REASON_not_configured, "{s:s}", "channel", channel);
	else if (channel_list_has(in->rejected, channel))
		reasons_add(reasons, REASON_channel_rejected, "{s:s}", "channel", channel);
	else if (!channels->has_text(channels->context, channel) && !has_digest(in, channel))
		reasons_add(reasons, REASON_no_template, "{s:s,s:s}", "channel", channel, "template",
			    in->template);
	else
		return true;
	return false;
}

/* The address to use on the channel, or NULL, why not, and what kind of obstacle it was. */
static const struct address *try_channel(const struct choose_input *in, const char *channel,
					 struct passed *passed, struct reasons *reasons)
{
	size_t dead, stopped;

	passed->offered |= product_offers(in->product, channel);
	if (!channel_usable(in, channel, reasons)) {
		passed->other_than_stopped |= product_offers(in->product, channel);
		return NULL;
	}
	const struct address *address = customer_address(in->customer, channel, &dead, &stopped);
	if (address)
		return address;
	if (dead)
		reasons_add(reasons, REASON_address_dead, "{s:s}", "channel", channel);
	if (stopped)
		reasons_add(reasons, REASON_address_stopped, "{s:s}", "channel", channel);
	if (!dead && !stopped)
		reasons_add(reasons, REASON_no_address, "{s:s}", "channel", channel);
	if (stopped && !dead)
		passed->last_stopped = channel;
	else
		passed->other_than_stopped = true;
	return NULL;
}

/* The rules that say no before any channel is looked at. */
static bool is_allowed(const struct choose_input *in, const struct applied *applied, struct reasons *reasons)
{
	const char *product = in->product->name;

	if (in->purpose == PURPOSE_MARKETING && applied->source != CHOICE_OWN &&
	    applied->source != CHOICE_PARENT) {
		reasons_add(reasons, REASON_no_opt_in, "{s:s}", "product", product);
		return false;
	}
	if (applied->refused)
		reasons_add(reasons, REASON_may_not_stop, "{s:s,s:s}", "product", product, "from",
			    applied->refused->product);
	if (applied->count)
		return true;
	if (applied->source == CHOICE_DEFAULT)
		reasons_add(reasons, REASON_stopped_default, "{s:s}", "product", product);
	else if (applied->source == CHOICE_STAR)
		reasons_add(reasons, REASON_stopped_star, "{s:s}", "product", product);
	else
		reasons_add(reasons, REASON_stopped, "{s:s}", "product", applied->preference->product);
	return false;
}

/* --- one channel, in time --- */

/* The channel whose turn it is. */
struct turned {
	const char *channel;
	const struct address *address;
	int64_t since, until; /* of its wait; until 0: no end */
	enum reason_code code;
};

static void keep_turn(const struct turned *turned, struct decision *out)
{
	out->channel = turned->channel;
	out->wait_channel = turned->channel;
	out->wait_since = turned->since;
	out->wait_until = turned->until;
}

/* Sends on the channel, or defers to its next hours or the end of its wait. False: it never opens. */
static bool use(const struct choose_input *in, const struct when *when, const struct preference_entry *entry,
		const struct turned *turned, struct decision *out)
{
	const char *product = out->source == CHOICE_PARENT ? out->preference->product : in->product->name;
	struct hours *hours = entry && *entry->hours ? hours_parse(entry->hours, NULL) : NULL;
	int64_t opens = when_channel_opens(in, when, hours);

	if (opens == MOMENT_NEVER) {
		reasons_add(&out->reasons, REASON_never_opens, "{s:s, s:s}", "channel", turned->channel,
			    "product", product);
		hours_free(hours);
		return false;
	}
	keep_turn(turned, out);
	if (opens > in->now) {
		out->kind = CHOOSE_DEFER;
		out->until = turned->until && turned->until < opens ? turned->until : opens;
		reasons_add_until(&out->reasons, REASON_channel_hours, opens, "{s:s, s:s}", "channel",
				  turned->channel, "hours", entry ? entry->hours : "");
	} else {
		out->kind = CHOOSE_SEND;
		out->address = turned->address;
		out->before = when_closes(in, when, hours);
		if (in->expires_at && in->expires_at < out->before)
			out->before = in->expires_at;
		out->digest = !when->urgent && has_digest(in, turned->channel);
		reasons_add(&out->reasons, turned->code, "{s:s,s:s}", "channel", turned->channel, "product",
			    product);
	}
	hours_free(hours);
	return true;
}

/* Holds the message where something does, whatever the channel. */
static bool hold(const struct choose_input *in, const struct when *when, struct decision *out)
{
	int64_t at = when_allowed(in, when, &out->reasons);

	if (at == in->now)
		return false;
	out->kind = at == MOMENT_NEVER ? CHOOSE_FAIL : CHOOSE_DEFER;
	out->until = at;
	if (at == MOMENT_NEVER)
		reasons_add(&out->reasons, REASON_never_opens, "{s:s, s:s}", "channel", "advertising",
			    "product", in->product->name);
	return true;
}

static bool is_expired(const struct choose_input *in, struct reasons *reasons)
{
	char at[MOMENT_TEXT];

	if (!in->expires_at || in->now < in->expires_at)
		return false;
	moment_format(in->expires_at, at);
	reasons_add(reasons, REASON_expired, "{s:s}", "at", at);
	return true;
}

/* A message in doubt goes again where it may have arrived, while the choice still names that, or nowhere. */
static void choose_again(const struct choose_input *in, const struct applied *applied, bool allowed,
			 const struct when *when, struct decision *out)
{
	struct passed passed = {0};

	if (allowed && is_expired(in, &out->reasons)) {
		out->kind = CHOOSE_STAY_IN_DOUBT;
		return;
	}
	for (size_t i = 0; allowed && i < applied->count; i++) {
		const char *channel = applied_channel(in->product, applied, i);
		if (strcmp(channel, in->doubt) != 0)
			continue;
		const struct address *address = try_channel(in, channel, &passed, &out->reasons);
		const struct turned turned = {channel, address, in->wait_since, 0, REASON_doubt_resend};
		if (address &&
		    (hold(in, when, out) || use(in, when, applied_entry(applied, i), &turned, out)) &&
		    out->kind != CHOOSE_FAIL)
			return;
		break;
	}
	out->kind = CHOOSE_STAY_IN_DOUBT;
	reasons_add(&out->reasons, REASON_doubt_elsewhere, "{s:s}", "channel", in->doubt);
}

/* --- the list, with patience --- */

/* Is there a channel behind the i-th that could be tried next? */
static bool has_next(const struct choose_input *in, const struct applied *applied, size_t i)
{
	bool has = false;

	while (!has && ++i < applied->count) {
		const char *channel = applied_channel(in->product, applied, i);
		struct reasons silent = {0};
		struct passed passed = {0};
		has = !channel_list_has(in->waited, channel) && try_channel(in, channel, &passed, &silent);
		reasons_release(&silent);
	}
	return has;
}

static void ran_out(const struct preference_entry *entry, struct decision *out)
{
	size_t len = strlen(out->waited);

	if (!channel_list_has(out->waited, entry->channel) &&
	    len + strlen(entry->channel) + 2 < sizeof out->waited)
		snprintf(out->waited + len, sizeof out->waited - len, "%s%s", len ? "," : "", entry->channel);
}

/* It was sent on a channel whose provider gives receipts: until the wait there is over, nothing is tried.
 * True: the next one is to be chosen. */
static bool receipt_is_overdue(const struct choose_input *in, const struct applied *applied,
			       struct decision *out)
{
	for (size_t i = 0; i < applied->count && applied->preference; i++) {
		const struct preference_entry *entry = applied_entry(applied, i);
		if (strcmp(entry->channel, in->wait_channel) != 0)
			continue;
		if (!entry->wait || !has_next(in, applied, i))
			return false;
		int64_t until = in->wait_since + entry->wait;
		if (in->now >= until) {
			ran_out(entry, out);
			return true;
		}
		const struct turned turned = {entry->channel, NULL, in->wait_since, until,
					      REASON_waits_receipt};
		keep_turn(&turned, out);
		out->kind = CHOOSE_DEFER;
		out->until = until;
		reasons_add_until(&out->reasons, REASON_waits_receipt, until, "{s:s}", "channel",
				  entry->channel);
		return false;
	}
	return false;
}

static void choose_none(const struct choose_input *in, const struct passed *passed, struct decision *out)
{
	struct reasons *reasons = &out->reasons;

	out->kind = CHOOSE_FAIL;
	if (!passed->offered) {
		reasons_add(reasons, REASON_none_offered, "{s:s}", "product", in->product->name);
	} else if (passed->other_than_stopped) {
		reasons_add(reasons, REASON_no_channel_left, "{s:s}", "product", in->product->name);
	} else {
		/* Nothing failed: the owners of the addresses said no, and theirs is the last word. */
		out->kind = CHOOSE_SUPPRESS;
		if (reasons->list[reasons->count - 1].code != REASON_address_stopped)
			reasons_add(reasons, REASON_address_stopped, "{s:s}", "channel",
				    passed->last_stopped);
	}
}

static void choose_first(const struct choose_input *in, const struct applied *applied,
			 const struct when *when, struct decision *out)
{
	static const enum reason_code chosen[] = {[CHOICE_OWN] = REASON_chosen,
						  [CHOICE_PARENT] = REASON_chosen_parent,
						  [CHOICE_STAR] = REASON_chosen_star,
						  [CHOICE_DEFAULT] = REASON_chosen_default};
	const struct preference_entry *last_entry = NULL;
	struct passed passed = {0};
	struct turned last = {0}; /* the last of those whose wait ran out */

	for (size_t i = 0; i < applied->count; i++) {
		const char *channel = applied_channel(in->product, applied, i);
		const struct preference_entry *entry = applied_entry(applied, i);
		const struct address *address = try_channel(in, channel, &passed, &out->reasons);
		if (!address)
			continue;
		struct turned turned = {channel, address, in->now, 0, chosen[out->source]};
		if (strcmp(in->wait_channel, channel) == 0)
			turned.since = in->wait_since;
		if (entry && entry->wait && has_next(in, applied, i))
			turned.until = turned.since + entry->wait;
		if (entry &&
		    (channel_list_has(out->waited, channel) || (turned.until && in->now >= turned.until))) {
			char wait[MOMENT_TEXT];
			duration_format(entry->wait ? entry->wait : MOMENT_MS, wait);
			reasons_add(&out->reasons, REASON_wait_over, "{s:s, s:s}", "channel", channel, "wait",
				    wait);
			ran_out(entry, out);
			turned.until = 0;
			last = turned;
			last_entry = entry;
		} else if (use(in, when, entry, &turned, out)) {
			return;
		}
		passed.other_than_stopped = true;
	}
	/* Nothing comes behind them: what waited goes on waiting, but what was taken is not sent there again.
	 */
	if (!last.channel || in->taken || !use(in, when, last_entry, &last, out))
		choose_none(in, &passed, out);
}

/* --- what heed itself answers --- */

static const struct address *address_numbered(const struct customer *customer, int64_t n)
{
	for (size_t i = 0; i < customer->address_count; i++)
		if (customer->addresses[i].n == n)
			return &customer->addresses[i];
	return NULL;
}

/* To where the customer wrote from, or nowhere; a STOP leaves only what confirms it, and help. */
static void choose_answer(const struct choose_input *in, struct decision *out)
{
	const struct choose_answer *answer = in->answer;
	const struct address *address =
		answer->unowned ? answer->unowned : address_numbered(in->customer, answer->address);

	out->kind = *in->doubt ? CHOOSE_STAY_IN_DOUBT : CHOOSE_FAIL;
	if (in->sent) {
		out->kind = CHOOSE_REST;
	} else if (is_expired(in, &out->reasons)) {
		out->kind = *in->doubt ? CHOOSE_STAY_IN_DOUBT : CHOOSE_EXPIRE;
	} else if (!in->channels.configured(in->channels.context, answer->channel)) {
		reasons_add(&out->reasons, REASON_not_configured, "{s:s}", "channel", answer->channel);
	} else if (channel_list_has(in->rejected, answer->channel)) {
		reasons_add(&out->reasons, REASON_channel_rejected, "{s:s}", "channel", answer->channel);
	} else if (!address) {
		reasons_add(&out->reasons, REASON_no_address, "{s:s}", "channel", answer->channel);
	} else if (address->state == ADDRESS_DEAD) {
		reasons_add(&out->reasons, REASON_address_dead, "{s:s}", "channel", answer->channel);
	} else if (address->state == ADDRESS_STOPPED && !answer->though_stopped) {
		out->kind = *in->doubt ? CHOOSE_STAY_IN_DOUBT : CHOOSE_SUPPRESS;
		reasons_add(&out->reasons, REASON_address_stopped, "{s:s}", "channel", answer->channel);
	} else {
		out->kind = CHOOSE_SEND;
		out->channel = answer->channel;
		out->address = address;
		out->before = in->expires_at ? in->expires_at : MOMENT_NEVER;
		reasons_add(&out->reasons, answer->asked ? REASON_asked : REASON_answer, "{s:s}", "channel",
			    answer->channel);
	}
}

void choose(const struct choose_input *input, struct decision *out)
{
	struct applied applied;
	struct when when;

	*out = (struct decision){.kind = CHOOSE_SUPPRESS, .until = MOMENT_NEVER, .before = MOMENT_NEVER};
	snprintf(out->waited, sizeof out->waited, "%s", input->waited);
	if (input->answer) {
		choose_answer(input, out);
		return;
	}
	choices_apply(input->product, input->purpose, &input->choices, &applied);
	bool allowed = is_allowed(input, &applied, &out->reasons);
	out->preference = applied.preference;
	out->source = applied.source;
	when_init(input, &when);
	if (*input->doubt) {
		choose_again(input, &applied, allowed, &when, out);
	} else if (input->sent) {
		out->kind = CHOOSE_REST;
		if (allowed && !is_expired(input, &out->reasons) &&
		    receipt_is_overdue(input, &applied, out) && !hold(input, &when, out))
			choose_first(input, &applied, &when, out);
	} else if (allowed && is_expired(input, &out->reasons)) {
		out->kind = CHOOSE_EXPIRE;
	} else if (allowed && !hold(input, &when, out)) {
		choose_first(input, &applied, &when, out);
	}
	when_release(&when);
}
