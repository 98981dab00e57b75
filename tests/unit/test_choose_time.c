/* choose() in time: rule by rule, and lives of random messages from the first look to the end, of which laws
 * hold whatever the rules say. HEED_CASES chooses how many (1000000 is what is promised), HEED_SEED others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cadence.h"
#include "choose.h"
#include "hours.h"
#include "moment.h"
#include "xalloc.h"
#include "zone.h"

#define CASES 100000
#define LOOKS_MAX 2000  /* that a life may take */
#define ATTEMPTS_MAX 20 /* then the turn gives up */

/* Monday, 2026-11-23T12:00:00Z */
#define NOON (INT64_C(1795435200) * MOMENT_S)

static char *offered[] = {"sms", "email", "webhook"};

struct scene {
	struct address addresses[3];
	struct customer customer;
	struct product product;
	struct preference_entry entries[3];
	struct preference own;
	struct choose_input input;
	struct decision decision;
	bool no_digest;
};

static bool yes(const void *context, const char *channel)
{
	(void)context;
	(void)channel;
	return true;
}

static void scene_init(struct scene *s)
{
	*s = (struct scene){0};
	for (size_t i = 0; i < 3; i++)
		s->addresses[i] = (struct address){.channel = offered[i], .value = "a"};
	s->customer = (struct customer){.addresses = s->addresses, .address_count = 3, .timezone = "UTC"};
	s->product = (struct product){.name = "cards",
				      .purpose = PURPOSE_SERVICE,
				      .channels = offered,
				      .channel_count = 3,
				      .defaults = offered,
				      .default_count = 1,
				      .quiet_hours = "",
				      .may_stop = true};
	s->own = (struct preference){.product = "cards", .hours = "", .digest = "immediate", .version = 1};
	s->input = (struct choose_input){.product = &s->product,
					 .customer = &s->customer,
					 .purpose = PURPOSE_SERVICE,
					 .template = "paid",
					 .rejected = "",
					 .doubt = "",
					 .channels = {yes, yes, yes, NULL},
					 .now = NOON,
					 .admitted_at = NOON,
					 .zone_known = true,
					 .waited = "",
					 .wait_channel = ""};
}

static int set_up(void **state)
{
	struct scene *s = xmalloc(sizeof *s);

	scene_init(s);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	reasons_release(&s->decision.reasons);
	hours_free(s->product.quiet);
	free(s);
	return 0;
}

static void choosing(struct scene *s, const char *channel, const char *hours, int64_t wait)
{
	s->own.has_channels = true;
	s->own.channels = s->entries;
	s->entries[s->own.channel_count++] =
		(struct preference_entry){.channel = (char *)channel, .hours = (char *)hours, .wait = wait};
	s->input.choices.own = &s->own;
}

static void decides(struct scene *s, enum choose_kind kind, const char *codes)
{
	struct text said;

	reasons_release(&s->decision.reasons);
	choose(&s->input, &s->decision);
	text_init(&said, 1000);
	for (size_t i = 0; i < s->decision.reasons.count; i++)
		text_addf(&said, "%s%s", i ? " " : "", reason_code_name(s->decision.reasons.list[i].code));
	assert_string_equal(said.data, codes);
	assert_int_equal(s->decision.kind, kind);
	text_release(&said);
}

static void defers(struct scene *s, const char *codes, int64_t until)
{
	decides(s, CHOOSE_DEFER, codes);
	assert_int_equal((s->decision.until - NOON) / MOMENT_S, (until - NOON) / MOMENT_S);
}

/* --- rule by rule --- */

static void each_rule_of_time_says_until_when(void **state)
{
	struct scene *s = *state;
	s->input.send_at = NOON + MOMENT_MINUTE;
	defers(s, "send_at", NOON + MOMENT_MINUTE);
	s->input.send_at = 0;
	s->own.hours = "mon-fri 09:00-11:00";
	s->input.choices.own = &s->own;
	defers(s, "outside_hours", NOON + 21 * MOMENT_HOUR);
	s->own.hours = "";
	s->own.paused_until = NOON + 5;
	defers(s, "paused", NOON + 5);
	s->own.paused_until = 0;
	s->own.digest = "daily 08:00";
	defers(s, "digest", NOON + 20 * MOMENT_HOUR);
	s->own.digest = "immediate";
	s->product.quiet_hours = "10:00-13:00";
	s->product.quiet = hours_parse_quiet(s->product.quiet_hours, NULL);
	defers(s, "quiet_hours", NOON + MOMENT_HOUR);
	s->own.hours = "11:00-18:00"; /* the customer's own replace them */
	decides(s, CHOOSE_SEND, "chosen_default");
	assert_true(s->decision.before == NOON + 6 * MOMENT_HOUR);
	s->input.cap_count = 1;
	s->input.caps[0] =
		(struct choose_cap){.cap = {.count = 3, .per = CAP_DAY}, .until = NOON + 12 * MOMENT_HOUR};
	/* midnight is outside the hours */
	defers(s, "outside_hours cap", NOON + 23 * MOMENT_HOUR);
	s->input.purpose = PURPOSE_CRITICAL;
	decides(s, CHOOSE_SEND, "chosen_default");
}

static void a_digest_is_at_its_time_also_after_what_held_it(void **state)
{
	struct scene *s = *state;
	s->input.choices.own = &s->own;
	s->own.digest = "daily 18:00";
	/* what may go at the very time of a digest goes with it */
	s->input.send_at = NOON + 6 * MOMENT_HOUR;
	defers(s, "send_at", NOON + 6 * MOMENT_HOUR);
	s->input.send_at = 0;
	s->own.paused_until = NOON + 30 * MOMENT_HOUR;
	defers(s, "paused", NOON + 30 * MOMENT_HOUR);
	s->own.paused_until = 0;
	s->input.cap_count = 1;
	s->input.caps[0] =
		(struct choose_cap){.cap = {.count = 1, .per = CAP_DAY}, .until = NOON + 12 * MOMENT_HOUR};
	defers(s, "digest cap", NOON + 30 * MOMENT_HOUR); /* not at midnight */
}

static void advertising_has_hours_where_nobody_knows_better(void **state)
{
	struct scene *s = *state;
	s->product.purpose = s->input.purpose = PURPOSE_MARKETING;
	choosing(s, "sms", "", 0);
	s->input.zone_known = false;
	s->input.now = NOON + 9 * MOMENT_HOUR;
	defers(s, "marketing_hours", NOON + 21 * MOMENT_HOUR);
	s->input.zone_known = true;
	decides(s, CHOOSE_SEND, "chosen");
	s->input.zone_known = false;
	s->own.hours = "20:00-22:00";
	decides(s, CHOOSE_SEND, "chosen");
}

static void what_is_urgent_is_held_by_nothing_but_its_own_time(void **state)
{
	struct scene *s = *state;
	s->product.purpose = s->input.purpose = PURPOSE_CRITICAL;
	s->product.urgent = true;
	choosing(s, "sms", "01:00-02:00", 0);
	s->own.hours = "01:00-03:00";
	s->own.digest = "weekly mon 08:00";
	s->own.paused_until = NOON + MOMENT_DAY;
	decides(s, CHOOSE_SEND, "urgent chosen");
	assert_false(s->decision.digest);
	s->input.send_at = NOON + 1;
	defers(s, "send_at", NOON + 1);
	s->input.send_at = 0;
	s->input.expires_at = NOON;
	decides(s, CHOOSE_EXPIRE, "expired");
	s->own.channel_count = 0;
	decides(s, CHOOSE_SUPPRESS, "stopped");
}

static void what_may_not_stop_is_not_paused_by_the_choice_for_all(void **state)
{
	struct scene *s = *state;
	s->product.may_stop = false;
	s->own.product = "*";
	s->own.paused_until = NOON + MOMENT_DAY;
	s->input.choices.star = &s->own;
	decides(s, CHOOSE_SEND, "chosen_default");
}

static void a_channel_waits_for_its_hours_or_for_the_end_of_its_wait(void **state)
{
	struct scene *s = *state;
	choosing(s, "sms", "13:00-14:00", 0);
	choosing(s, "email", "", 0);
	defers(s, "channel_hours", NOON + MOMENT_HOUR);
	s->entries[0].wait = 30 * MOMENT_MINUTE;
	defers(s, "channel_hours", NOON + 30 * MOMENT_MINUTE);
	s->input.wait_channel = "sms";
	s->input.wait_since = NOON - 30 * MOMENT_MINUTE;
	decides(s, CHOOSE_SEND, "wait_over chosen");
	assert_string_equal(s->decision.channel, "email");
	assert_string_equal(s->decision.waited, "sms");
	/* the last one has no end */
	s->input.rejected = "email";
	defers(s, "channel_hours", NOON + MOMENT_HOUR);
}

static void a_receipt_is_waited_for_and_then_the_next_channel_is_tried(void **state)
{
	struct scene *s = *state;
	choosing(s, "sms", "", MOMENT_HOUR);
	choosing(s, "email", "", 0);
	s->input.wait_channel = "sms";
	s->input.wait_since = NOON - MOMENT_MINUTE;
	s->input.sent = s->input.taken = true;
	defers(s, "waits_receipt", NOON + 59 * MOMENT_MINUTE);
	s->input.wait_since = NOON - MOMENT_HOUR;
	decides(s, CHOOSE_SEND, "wait_over chosen");
	s->entries[0].wait = 0; /* patient for ever, since */
	decides(s, CHOOSE_REST, "");
	s->own.channel_count = 0;
	decides(s, CHOOSE_REST, "stopped");
}

static void hours_that_have_no_time_in_common_pass_the_channel_over(void **state)
{
	struct scene *s = *state;
	s->own.hours = "mon 11:00-13:00";
	choosing(s, "sms", "tue 09:00-10:00", 0);
	choosing(s, "email", "", 0);
	decides(s, CHOOSE_SEND, "never_opens chosen");
	assert_string_equal(s->decision.channel, "email");
	s->own.channel_count = 1;
	decides(s, CHOOSE_FAIL, "never_opens no_channel_left");
}

/* --- lives --- */

static uint64_t seed;

static unsigned below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 33) % n);
}

static const char *const some_hours[] = {"",
					 "",
					 "",
					 "mon-fri 09:00-20:00, sat 10:00-14:00",
					 "22:00-07:00",
					 "02:00-03:00",
					 "sun 00:00-24:00",
					 "mon-sun 08:00-09:00",
					 "fri 22:00-24:00",
					 "09:00-12:00, 13:00-20:00"};
static const char *const some_digests[] = {"immediate",   "immediate",   "immediate",       "hourly",
					   "daily 02:30", "daily 18:00", "weekly sun 08:00"};
static const char *const some_zones[] = {"UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"};
static const int64_t some_waits[] = {0, 0, MOMENT_MINUTE, MOMENT_HOUR, 2 * MOMENT_HOUR, 3 * MOMENT_DAY};
#define ANY(list) list[below(sizeof list / sizeof *(list))]

/* A message's life: what the turn keeps between two looks. */
struct life {
	struct scene s;
	char waited[CHOOSE_LIST_MAX], rejected[64], wait_channel[16], doubt[16];
	unsigned attempts, capped; /* capped: so often is the cap full when it is asked */
	bool counted, receipts;
};

static void life_init(struct life *l)
{
	struct scene *s = &l->s;

	*l = (struct life){0};
	scene_init(s);
	s->input.now = NOON + (int64_t)below(400) * MOMENT_DAY + (int64_t)below(86400) * MOMENT_S;
	s->input.admitted_at = s->input.now;
	s->input.zone = zone_find(ANY(some_zones));
	s->input.zone_known = below(3) > 0;
	s->input.purpose = s->product.purpose = (enum purpose)below(PURPOSES);
	s->product.urgent = s->input.purpose == PURPOSE_CRITICAL && below(2);
	s->product.may_stop = below(5) > 0;
	if (below(3) == 0) {
		s->product.quiet_hours = "22:00-07:00";
		s->product.quiet = hours_parse_quiet(s->product.quiet_hours, NULL);
	}
	s->own.hours = (char *)ANY(some_hours);
	s->own.digest = (char *)ANY(some_digests);
	s->own.paused_until = below(5) ? 0 : s->input.now + (int64_t)below(72) * MOMENT_HOUR - MOMENT_DAY;
	if (below(6)) {
		unsigned first = below(3), count = below(4);
		s->own.has_channels = true;
		s->own.channels = s->entries;
		s->input.choices.own = &s->own;
		for (unsigned i = 0; i < count; i++)
			choosing(s, offered[(first + i) % 3], ANY(some_hours), ANY(some_waits));
	} else if (below(2)) {
		s->input.choices.star = &s->own;
	}
	for (size_t i = 0; i < 3; i++)
		s->addresses[i].state = below(6) ? ADDRESS_OK : (enum address_state)below(ADDRESS_STATES);
	if (below(4) == 0)
		s->input.send_at = s->input.now + (int64_t)below(48) * MOMENT_HOUR;
	if (below(3) == 0)
		s->input.expires_at = s->input.now + (int64_t)below(96) * MOMENT_HOUR + 1;
	l->capped = below(4) ? 0 : below(4);
	l->receipts = below(2);
	s->input.waited = l->waited;
	s->input.rejected = l->rejected;
	s->input.wait_channel = l->wait_channel;
	s->input.doubt = l->doubt;
}

static bool open_now(const struct life *l, const char *text)
{
	struct hours *hours = hours_parse(text, NULL);
	bool open = hours_open(hours, l->s.input.zone, l->s.input.now);

	hours_free(hours);
	return open;
}

/* What must hold of everything that is sent, looked up again, naively. */
static void sent_lawfully(const struct life *l)
{
	const struct scene *s = &l->s;
	const struct choose_input *in = &s->input;
	const struct decision *d = &s->decision;
	const struct preference *p = d->preference;
	const struct preference_entry *entry = NULL;
	bool urgent = s->product.urgent && in->purpose == PURPOSE_CRITICAL;
	const struct preference *time = in->choices.own ? in->choices.own : in->choices.star;

	for (size_t i = 0; p && i < p->channel_count; i++)
		if (strcmp(p->channels[i].channel, d->channel) == 0)
			entry = &p->channels[i];
	assert_true(entry || (!p && strcmp(d->channel, "sms") == 0)); /* never outside the list */
	assert_false(channel_list_has(in->rejected, d->channel));
	assert_true(!in->expires_at || in->now < in->expires_at); /* never after expiry */
	assert_true(in->now >= in->send_at);
	assert_true(d->before > in->now);
	if (in->purpose != PURPOSE_CRITICAL)
		assert_int_equal(in->cap_count, 0); /* never over a cap */
	if (urgent)
		return;
	if (time && *time->hours)
		assert_true(open_now(l, time->hours)); /* never in closed hours */
	else if (s->product.quiet)
		assert_false(open_now(l, s->product.quiet_hours));
	if (entry)
		assert_true(open_now(l, entry->hours));
	if (in->purpose == PURPOSE_MARKETING && !in->zone_known && !(time && *time->hours))
		assert_true(open_now(l, "09:00-20:00"));
	if (time && (s->product.may_stop || in->purpose == PURPOSE_MARKETING))
		assert_true(in->now >= time->paused_until);
}

static void keep_turn(struct life *l)
{
	const struct decision *d = &l->s.decision;

	memcpy(l->waited, d->waited, sizeof l->waited);
	if (!d->wait_channel)
		return;
	snprintf(l->wait_channel, sizeof l->wait_channel, "%s", d->wait_channel);
	l->s.input.wait_since = d->wait_since;
}

/* An attempt, and what becomes of it. False: nothing more is to be done. */
static bool life_attempt(struct life *l)
{
	struct choose_input *in = &l->s.input;
	const char *channel = l->s.decision.channel;
	int64_t until = l->s.decision.wait_until;
	size_t len = strlen(l->rejected);

	l->counted = true;
	l->doubt[0] = '\0';
	in->now += below(10) * MOMENT_S;
	if (++l->attempts >= ATTEMPTS_MAX)
		return false;
	switch (below(5)) {
	case 0:
		snprintf(l->rejected + len, sizeof l->rejected - len, "%s%s", len ? "," : "", channel);
		in->sent = false;
		return true;
	case 1:
	case 2:
		in->now += (int64_t)(1 + below(3600)) * MOMENT_S;
		in->sent = false;
		return true;
	case 3:
		snprintf(l->doubt, sizeof l->doubt, "%s", channel);
		in->sent = false;
		return below(2);
	default:
		in->sent = in->taken = l->receipts && until;
		return in->sent;
	}
}

static void a_life(struct life *l)
{
	struct choose_input *in = &l->s.input;
	bool goes_on = true;

	for (int look = 0; goes_on; look++) {
		if (look > LOOKS_MAX)
			fail_msg("it does not end");
		in->cap_count = 0;
		if (!l->counted && l->capped && l->capped--)
			in->caps[in->cap_count++] =
				(struct choose_cap){.cap = {.count = 1, .per = CAP_DAY},
						    .until = zone_day_ends(in->zone, in->now)};
		choose(in, &l->s.decision);
		keep_turn(l);
		switch (l->s.decision.kind) {
		case CHOOSE_SEND:
			sent_lawfully(l);
			goes_on = life_attempt(l);
			break;
		case CHOOSE_DEFER:
			assert_true(l->s.decision.until > in->now && l->s.decision.until != MOMENT_NEVER);
			assert_true(l->s.decision.reasons.count > 0);
			in->now = l->s.decision.until;
			break;
		case CHOOSE_SUPPRESS:
		case CHOOSE_FAIL:
		case CHOOSE_STAY_IN_DOUBT:
		case CHOOSE_EXPIRE:
		case CHOOSE_REST:
			goes_on = false;
			break;
		}
		reasons_release(&l->s.decision.reasons);
	}
	hours_free(l->s.product.quiet);
}

static void every_life_is_lawful_and_ends(void **state)
{
	const char *cases = getenv("HEED_CASES"), *chosen = getenv("HEED_SEED");
	long count = cases ? strtol(cases, NULL, 10) : CASES;

	(void)state;
	seed = chosen ? strtoull(chosen, NULL, 10) * 2 + 1 : 1043;
	for (long i = 0; i < count; i++) {
		struct life life;
		life_init(&life);
		a_life(&life);
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(each_rule_of_time_says_until_when),
		IN_SCENE(a_digest_is_at_its_time_also_after_what_held_it),
		IN_SCENE(advertising_has_hours_where_nobody_knows_better),
		IN_SCENE(what_is_urgent_is_held_by_nothing_but_its_own_time),
		IN_SCENE(what_may_not_stop_is_not_paused_by_the_choice_for_all),
		IN_SCENE(a_channel_waits_for_its_hours_or_for_the_end_of_its_wait),
		IN_SCENE(a_receipt_is_waited_for_and_then_the_next_channel_is_tried),
		IN_SCENE(hours_that_have_no_time_in_common_pass_the_channel_over),
		cmocka_unit_test(every_life_is_lawful_and_ends),
	};

	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
