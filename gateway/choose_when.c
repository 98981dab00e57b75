/* When a message may go, whatever the channel: send_at, pause, digest, hours, caps. Each rule may push the
 * time on, and another rule may then be in the way again, so they are asked until none moves it. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "choose_private.h"
#include "moment.h"
#include "banned.h"

#define ROUNDS_MAX 1000 /* a round moves on to a window of hours, the end of a period or a digest */

void when_init(const struct choose_input *in, struct when *out)
{
	const struct product *product = in->product;

	*out = (struct when){.time = choices_time(&in->choices)};
	out->urgent = product->urgent && in->purpose == PURPOSE_CRITICAL;
	if (out->time) {
		out->own = *out->time->hours ? hours_parse(out->time->hours, NULL) : NULL;
		cadence_parse(out->time->digest, &out->digest, NULL);
		if (choice_may_pause(product, in->purpose))
			out->paused_until = out->time->paused_until;
	}
	if (out->own)
		return;
	out->quiet = product->quiet;
	if (in->purpose == PURPOSE_MARKETING && !in->zone_known)
		out->marketing = hours_parse(MARKETING_HOURS, NULL);
}

void when_release(struct when *when)
{
	hours_free(when->own);
	hours_free(when->marketing);
}

int64_t when_channel_opens(const struct choose_input *in, const struct when *when,
			   const struct hours *channel)
{
	const struct hours *const list[] = {when->own, when->quiet, when->marketing, channel};

	return when->urgent ? in->now : hours_all_next_open(list, 4, in->zone, in->now);
}

int64_t when_closes(const struct choose_input *in, const struct when *when, const struct hours *channel)
{
	const struct hours *const list[] = {when->own, when->quiet, when->marketing, channel};
	int64_t closes = MOMENT_NEVER;

	for (size_t i = 0; i < 4 && !when->urgent; i++) {
		int64_t one = list[i] ? hours_closes(list[i], in->zone, in->now) : MOMENT_NEVER;
		closes = one < closes ? one : closes;
	}
	return closes;
}

/* The next digest after the message came in; or once its own time, a pause or a cap lets it go: then also
 * one of that very instant. A cap that was asked before is behind `at`. */
static int64_t digest_at(const struct choose_input *in, const struct when *when, int64_t at)
{
	int64_t from = in->admitted_at;

	if (in->send_at > from)
		from = in->send_at - 1;
	if (when->paused_until > from)
		from = when->paused_until - 1;
	for (size_t i = 0; i < in->cap_count && in->purpose != PURPOSE_CRITICAL; i++)
		if (in->caps[i].until > from && in->caps[i].until <= at)
			from = in->caps[i].until - 1;
	return cadence_next(&when->digest, in->zone, from);
}

enum rule {
	RULE_SEND_AT,
	RULE_PAUSED,
	RULE_DIGEST,
	RULE_OWN,
	RULE_QUIET,
	RULE_MARKETING,
	RULE_CAPS,
	RULES = 16
};

/* The first instant at or after `at` that the rule allows. */
static int64_t rule_allows(const struct choose_input *in, const struct when *when, unsigned rule, int64_t at)
{
	int64_t until = at;

	switch (rule) {
	case RULE_SEND_AT:
		until = in->send_at;
		break;
	case RULE_PAUSED:
		until = when->paused_until;
		break;
	case RULE_DIGEST:
		until = when->digest.kind == CADENCE_IMMEDIATE ? at : digest_at(in, when, at);
		break;
	case RULE_OWN:
		until = when->own ? hours_next_open(when->own, in->zone, at) : at;
		break;
	case RULE_QUIET:
		until = when->quiet ? hours_next_open(when->quiet, in->zone, at) : at;
		break;
	case RULE_MARKETING:
		until = when->marketing ? hours_next_open(when->marketing, in->zone, at) : at;
		break;
	default:
		if (rule - RULE_CAPS < in->cap_count && in->purpose != PURPOSE_CRITICAL)
			until = in->caps[rule - RULE_CAPS].until;
		break;
	}
	return until > at ? until : at;
}

static void cap_speaks(const struct choose_input *in, const struct choose_cap *cap, int64_t until,
		       struct reasons *reasons)
{
	struct text words;

	text_init(&words, TEXT_ERROR_MAX);
	cap_print(&cap->cap, &words);
	reasons_add_until(reasons, cap->marketing ? REASON_marketing_cap : REASON_cap, until, "{s:s, s:s}",
			  "product", in->product->name, "cap", words.data);
	text_release(&words);
}

static void rule_speaks(const struct choose_input *in, const struct when *when, unsigned rule, int64_t until,
			struct reasons *reasons)
{
	const char *product = in->product->name;

	switch (rule) {
	case RULE_SEND_AT:
		reasons_add_until(reasons, REASON_send_at, until, "{}");
		break;
	case RULE_PAUSED:
		reasons_add_until(reasons, REASON_paused, until, "{s:s}", "product", product);
		break;
	case RULE_DIGEST:
		reasons_add_until(reasons, REASON_digest, until, "{s:s}", "digest", when->time->digest);
		break;
	case RULE_OWN:
		reasons_add_until(reasons, REASON_outside_hours, until, "{s:s}", "hours", when->time->hours);
		break;
	case RULE_QUIET:
		reasons_add_until(reasons, REASON_quiet_hours, until, "{s:s, s:s}", "product", product,
				  "hours", in->product->quiet_hours);
		break;
	case RULE_MARKETING:
		reasons_add_until(reasons, REASON_marketing_hours, until, "{s:s}", "hours", MARKETING_HOURS);
		break;
	default:
		cap_speaks(in, &in->caps[rule - RULE_CAPS], until, reasons);
		break;
	}
}

/* Asks the rules in `asked` until none moves the time; `said` has a bit for each that did. */
static int64_t rules_allow(const struct choose_input *in, const struct when *when, unsigned asked,
			   unsigned *said, int64_t until[RULES])
{
	int64_t at = in->now;

	*said = 0;
	for (int round = 0; round < ROUNDS_MAX; round++) {
		int64_t start = at;
		for (unsigned rule = 0; rule < RULE_CAPS + CHOOSE_CAPS_MAX && at != MOMENT_NEVER; rule++) {
			int64_t next = asked & 1u << rule ? rule_allows(in, when, rule, at) : at;
			if (next > at) {
				*said |= 1u << rule;
				until[rule] = next;
			}
			at = next;
		}
		if (at == start || at == MOMENT_NEVER)
			return at;
	}
	return MOMENT_NEVER;
}

int64_t when_allowed(const struct choose_input *in, const struct when *when, struct reasons *reasons)
{
	int64_t until[RULES] = {0};
	unsigned said, all = ~0u;
	int64_t at = rules_allow(in, when, when->urgent ? 1u << RULE_SEND_AT : all, &said, until);

	for (unsigned rule = 0; rule < RULE_CAPS + CHOOSE_CAPS_MAX; rule++)
		if (said & 1u << rule)
			rule_speaks(in, when, rule, until[rule], reasons);
	if (when->urgent && at == in->now && rules_allow(in, when, all, &said, until) != in->now)
		reasons_add(reasons, REASON_urgent, "{s:s}", "product", in->product->name);
	return at;
}
