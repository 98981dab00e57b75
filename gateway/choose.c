#include "choose.h"

#include <string.h>

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
	else if (!channels->has_text(channels->context, channel))
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

static void use(const struct choose_input *in, const char *channel, const struct address *address,
		enum reason_code code, struct decision *out)
{
	const char *product = out->source == CHOICE_PARENT ? out->preference->product : in->product->name;

	out->kind = CHOOSE_SEND;
	out->channel = channel;
	out->address = address;
	reasons_add(&out->reasons, code, "{s:s,s:s}", "channel", channel, "product", product);
}

/* A message in doubt goes again where it may have arrived, while the choice still names that, or nowhere. */
static void choose_again(const struct choose_input *in, const struct applied *applied, bool allowed,
			 struct decision *out)
{
	struct passed passed = {0};

	for (size_t i = 0; allowed && i < applied->count; i++) {
		const char *channel = applied_channel(in->product, applied, i);
		if (strcmp(channel, in->doubt) != 0)
			continue;
		const struct address *address = try_channel(in, channel, &passed, &out->reasons);
		if (address) {
			use(in, channel, address, REASON_doubt_resend, out);
			return;
		}
		break;
	}
	out->kind = CHOOSE_STAY_IN_DOUBT;
	reasons_add(&out->reasons, REASON_doubt_elsewhere, "{s:s}", "channel", in->doubt);
}

static void choose_first(const struct choose_input *in, const struct applied *applied, struct decision *out)
{
	static const enum reason_code chosen[] = {[CHOICE_OWN] = REASON_chosen,
						  [CHOICE_PARENT] = REASON_chosen_parent,
						  [CHOICE_STAR] = REASON_chosen_star,
						  [CHOICE_DEFAULT] = REASON_chosen_default};
	struct passed passed = {0};
	struct reasons *reasons = &out->reasons;

	for (size_t i = 0; i < applied->count; i++) {
		const char *channel = applied_channel(in->product, applied, i);
		const struct address *address = try_channel(in, channel, &passed, reasons);
		if (address) {
			use(in, channel, address, chosen[out->source], out);
			return;
		}
	}
	out->kind = CHOOSE_FAIL;
	if (!passed.offered) {
		reasons_add(reasons, REASON_none_offered, "{s:s}", "product", in->product->name);
	} else if (passed.other_than_stopped) {
		reasons_add(reasons, REASON_no_channel_left, "{s:s}", "product", in->product->name);
	} else {
		/* Nothing failed: the owners of the addresses said no, and theirs is the last word. */
		out->kind = CHOOSE_SUPPRESS;
		if (reasons->list[reasons->count - 1].code != REASON_address_stopped)
			reasons_add(reasons, REASON_address_stopped, "{s:s}", "channel", passed.last_stopped);
	}
}

void choose(const struct choose_input *input, struct decision *out)
{
	struct applied applied;

	*out = (struct decision){.kind = CHOOSE_SUPPRESS};
	choices_apply(input->product, input->purpose, &input->choices, &applied);
	bool allowed = is_allowed(input, &applied, &out->reasons);
	out->preference = applied.preference;
	out->source = applied.source;
	if (*input->doubt)
		choose_again(input, &applied, allowed, out);
	else if (allowed)
		choose_first(input, &applied, out);
}
