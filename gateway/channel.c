#include "channel.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "crash.h"
#include "descriptors.h"
#include "log.h"
#include "moment.h"
#include "sms_text.h"
#include "banned.h"

/* --- the gate --- */

struct channel *channel_open(const struct channel_config *config, struct outcome_sink sink,
			     struct text *error)
{
	const struct channel_ops *ops = config->captured_by ? config->captured_by : config->ops;
	struct channel *channel = ops->open(config, sink, error);

	if (!channel)
		return NULL;
	channel->ops = ops;
	channel->config = config;
	channel->sink = sink;
	log_info("channel %s: open, by %s, %zu at once", config->name, ops->adapter, channel->credit);
	return channel;
}

void channel_send(struct channel *channel, struct attempt *attempt)
{
	int64_t now = moment_mono();

	attempt->channel = channel;
	attempt->next = NULL;
	size_t in_hand = atomic_fetch_add(&channel->in_hand, 1) + 1;
	atomic_store(&channel->lease, attempt->lease_until - now);
	if (in_hand == 1)
		atomic_store(&channel->busy_since, now);
	if (in_hand > channel->credit)
		log_error("channel %s: handed %zu attempts, more than its credit of %zu",
			  channel->config->name, in_hand, channel->credit);
	CRASH_POINT(channel_handed);
	channel->ops->send(channel, attempt);
}

/* What a slow relay can't begin within its lease would only be called back, and claimed again. */
static size_t credit_by_pace(const struct channel *channel)
{
	int64_t pace = atomic_load(&channel->pace), lease = atomic_load(&channel->lease);

	if (!pace)
		return CREDIT_UNKNOWN_PACE;
	int64_t fits = lease / CREDIT_LEASE_PART / pace;
	return fits < CREDIT_LEAST ? CREDIT_LEAST : (size_t)fits;
}

static void note_pace(struct channel *channel)
{
	int64_t now = moment_mono(), took = now - atomic_exchange(&channel->busy_since, now);
	int64_t pace = atomic_load(&channel->pace);

	took = took > 0 ? took : 1;
	atomic_store(&channel->pace, pace ? pace + (took - pace) / 8 : took);
}

size_t channel_credit_left(const struct channel *channel)
{
	size_t in_hand = atomic_load(&channel->in_hand), credit = credit_by_pace(channel);

	if (credit > channel->credit)
		credit = channel->credit;
	return in_hand < credit ? credit - in_hand : 0;
}

void channel_close(struct channel *channel, int64_t patience)
{
	if (!channel)
		return;
	const struct channel_config *config = channel->config;
	channel->ops->close(channel, patience);
	log_info("channel %s: closed", config->name);
}

/* Bytes of the character at `s`; 0: it is cut short by the end; -1: it is none. */
static int character(const unsigned char *s)
{
	int need = s[0] < 0x80                    ? 1
		   : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
		   : (s[0] & 0xf0) == 0xe0        ? 3
		   : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
						  : -1;

	for (int i = 1; i < need; i++) {
		if (!s[i])
			return 0;
		if ((s[i] & 0xc0) != 0x80)
			return -1;
	}
	bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
	bool surrogate = s[0] == 0xed && s[1] >= 0xa0, beyond = s[0] == 0xf4 && s[1] >= 0x90;
	return overlong || surrogate || beyond ? -1 : need;
}

/* What others wrote, fit for a row, a log and a screen: UTF-8 without control characters. Never grows. */
static void clean(char *text)
{
	unsigned char *in = (unsigned char *)text;

	while (*in >= ' ' && *in < 0x7f) /* nearly always all of it */
		in++;
	unsigned char *out = in;
	while (*in) {
		int len = character(in);
		if (len == 0)
			break; /* a limit cut through the last character */
		bool control = *in < ' ' || *in == 0x7f || (*in == 0xc2 && in[1] < 0xa0);
		if (len < 0 || control) {
			*out++ = len < 0 ? '?' : ' ';
			in += len < 0 ? 1 : len;
			continue;
		}
		memmove(out, in, (size_t)len);
		out += len;
		in += len;
	}
	*out = '\0';
}

static const char *const kind_names[] = {
	[OUTCOME_ACCEPTED] = "accepted",     [OUTCOME_RETRY] = "retry",
	[OUTCOME_REJECTED] = "rejected",     [OUTCOME_IN_DOUBT] = "in doubt",
	[OUTCOME_UNSENDABLE] = "unsendable", [OUTCOME_NOT_BEGUN] = "not begun",
};

/* It could not be begun for want of a descriptor: that is nobody else's fault. */
static struct outcome outcome_ours(const struct outcome *outcome)
{
	struct outcome ours = outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, OUTCOME_CODE_DESCRIPTORS,
					   "this process has no file descriptors left");

	ours.summary = outcome->summary;
	ours.content = outcome->content;
	return ours;
}

void channel_report(struct attempt *attempt, const struct outcome *outcome)
{
	struct channel *channel = attempt->channel;
	struct outcome_sink sink = channel->sink;

	CRASH_POINT(channel_outcome);
	attempt->outcome = *outcome;
	if (outcome->kind == OUTCOME_RETRY && atomic_load(&attempt->phase) == ATTEMPT_HANDED &&
	    descriptors_short())
		attempt->outcome = outcome_ours(outcome);
	if (atomic_load(&attempt->phase) == ATTEMPT_CALLED_BACK) /* whatever else went wrong on the way */
		attempt->outcome.kind = OUTCOME_NOT_BEGUN;
	clean(attempt->outcome.code);
	clean(attempt->outcome.text);
	clean(attempt->outcome.provider_ref);
	log_debug("channel %s: message %s, attempt %d: %s, %s", channel->config->name, attempt->message_id,
		  attempt->number, kind_names[attempt->outcome.kind], attempt->outcome.code);
	if (atomic_load(&attempt->phase) == ATTEMPT_BEGUN)
		note_pace(channel);
	atomic_fetch_sub(&channel->in_hand, 1); /* first: whoever hears of it may hand over the next */
	sink.report(sink.context, attempt);
	CRASH_POINT(channel_reported);
}

struct outcome outcome_make(enum outcome_kind kind, enum outcome_scope scope, const char *code,
			    const char *format, ...)
{
	struct outcome outcome = {.kind = kind, .scope = scope};
	va_list args;

	memcpy(outcome.code, code, strnlen(code, sizeof outcome.code - 1));
	va_start(args, format);
	vsnprintf(outcome.text, sizeof outcome.text, format, args);
	va_end(args);
	clean(outcome.code);
	clean(outcome.text);
	return outcome;
}

/* --- what the configuration says of it --- */

struct address_form channel_addresses(const struct channel_config *config)
{
	return (struct address_form){.kind = config->ops->address_kind(config), .numbers = config->numbers};
}

bool channel_is_sms(const struct channel_config *config)
{
	const char *made_for = json_string_value(json_object_get(config->provider_file, "channel"));

	if (config->ops->text != CHANNEL_TEXT_PLAIN || config->ops->address_kind(config) != ADDRESS_PHONE)
		return false;
	if (!config->provider_file) /* captured: nothing but its name says what it is for */
		return strcmp(config->name, "sms") == 0;
	return !made_for || !*made_for || strcmp(made_for, "sms") == 0;
}

bool channel_count_segments(const struct channel_config *config, const char *text, int *segments,
			    struct text *error)
{
	size_t most = config->max_segments > 0 ? (size_t)config->max_segments : SMS_SEGMENTS_MAX;

	*segments = 0;
	if (!channel_is_sms(config))
		return true;
	struct sms_count count = sms_text_count(text);
	*segments = count.segments < INT_MAX ? (int)count.segments : INT_MAX;
	return count.segments <= most ||
	       text_error(error,
			  "the text takes %zu segments (%zu %s), and channel %s allows max_segments: %zu; a "
			  "shorter text would be right%s",
			  count.segments, count.units,
			  count.alphabet == SMS_GSM ? "septets of the GSM alphabet" : "UCS-2 characters",
			  config->name, most,
			  count.alphabet == SMS_GSM ? "" : ", or one within the GSM alphabet");
}

/* --- an attempt --- */

static bool leave_handed(struct attempt *attempt, enum attempt_phase to)
{
	int handed = ATTEMPT_HANDED;

	return atomic_compare_exchange_strong(&attempt->phase, &handed, to);
}

bool attempt_begin(struct attempt *attempt)
{
	CRASH_POINT(channel_before_begin);
	if (moment_mono() >= attempt->lease_until ||
	    (attempt->begin_before && moment_now() >= attempt->begin_before) ||
	    !leave_handed(attempt, ATTEMPT_BEGUN))
		return false;
	begun_mark(attempt->begun);
	CRASH_POINT(channel_begun);
	return true;
}

bool attempt_call_back(struct attempt *attempt)
{
	return leave_handed(attempt, ATTEMPT_CALLED_BACK);
}

void attempt_free(struct attempt *attempt)
{
	if (!attempt)
		return;
	for (size_t i = 0; i < attempt->item_count; i++) {
		free(attempt->items[i].message_id);
		free(attempt->items[i].locale);
		json_decref(attempt->items[i].content);
		json_decref(attempt->items[i].data);
	}
	free(attempt->items);
	free(attempt->message_id);
	free(attempt->customer_id);
	free(attempt->customer_name);
	free(attempt->product);
	free(attempt->locale);
	free(attempt->address);
	free(attempt->address_details);
	free(attempt->product_title);
	free(attempt->traceparent);
	if (attempt->templates)
		templates_drop(attempt->templates);
	link_keys_drop(attempt->links);
	json_decref(attempt->content);
	json_decref(attempt->data);
	json_decref(attempt->meta);
	free(attempt->outcome.summary);
	free(attempt->outcome.content);
	free(attempt);
}

struct link attempt_link(const struct attempt *attempt)
{
	return (struct link){.kind = LINK_CHOOSE,
			     .customer = attempt->customer,
			     .product = link_product(attempt->product),
			     .address = link_address(attempt->channel->config->name, attempt->address),
			     .expires_at = moment_now() + LINK_CHOOSE_KEEP};
}

void attempt_render_input(const struct attempt *attempt, struct render_input *out)
{
	*out = (struct render_input){
		.templates = attempt->templates,
		.template = attempt->template,
		.content = attempt->template ? NULL : attempt->content,
		.data = attempt->data,
		.locale = attempt->locale,
		.message_id = attempt->message_id,
		.customer_id = attempt->customer_id,
		.customer_name = attempt->customer_name,
		.product = attempt->product,
		.product_title = attempt->product_title,
		.links = attempt->links,
		.may_stop = attempt->may_stop,
		.items = attempt->items,
		.item_count = attempt->item_count,
	};
	if (attempt->links && attempt->template)
		out->link = attempt_link(attempt);
}
