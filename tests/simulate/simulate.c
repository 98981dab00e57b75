/* The simulator: customers, choices, times, outcomes, answers, erasures, holds, a store that fails and
 * crashes, by chance, through the real turn with the store in memory and a clock of its own, many short lives
 * one after the other. A life is its seed: the same seed is the same life. `make simulate SEEDS=N` runs the
 * seeds 1 to N, SEEDS=FROM:N those from FROM on. What must hold is written here a second time, from the
 * contract: a hand-over that begins is on a channel of the list that is in force, inside the hours, after
 * send_at and the pause and the digest's time, before expiry, under the cap, not held, not to an address that
 * is stopped or dead, not to whom was erased, not a second copy but in doubt; the sum and the audit hold;
 * everything ends; each message's events tell its state; of who was erased nothing is left. */
#include <stdio.h>
#include <time.h>

#include "inbound.h"
#include "log.h"
#include "reply.h"
#include "unit/scratch.h"
#include "unit/store_flaky.h"
#include "unit/turn_fixture.h"
#include "banned.h"

#define CUSTOMERS 3
#define CHANNELS 3
#define MESSAGES_MAX 64
#define STEPS 30
#define ROUNDS_MAX 2000
#define ROUND_TIME (47 * MOMENT_MINUTE)  /* every window is an hour at least */
#define STARTS INT64_C(1795341600000000) /* 2026-11-22T10:00Z; a life begins up to a year later */

/* The linker puts these in the place of the clock, and of the log: see the Makefile. */
int64_t __wrap_moment_now(void);
int64_t __wrap_moment_mono(void);
int64_t __wrap_moment_boot(void);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
void __wrap_log_line(enum log_level level, const char *format, ...);

enum { ALERTS, FRAUD, TERMS, NEWS, QUIET, STAR, PRODUCT_COUNT };
static const char *const products[] = {"alerts", "alerts/fraud", "terms", "news", "quiet", "*"};
static const char *const channels[] = {"email", "sms", "webhook"};
static const char *const zones[] = {"Asia/Kolkata", "UTC", ""};
static const int zone_minutes[] = {330, 0, 0};
static const int offered[] = {7, 7, 3, 3, 3, 7}, by_default[] = {0, 0, 0, -1, 1};

#define PRODUCTS                                                                                             \
	"alerts: { channels: [sms, email, webhook], default: [email], expires_after: 2d }\n"                 \
	"alerts/fraud: { purpose: critical, urgent: true }\n"                                                \
	"terms: { channels: [email, sms], default: [email], may_stop: false }\n"                             \
	"news: { channels: [email, sms], default: [], purpose: marketing, cap: 2/day, expires_after: 3d }\n" \
	"quiet: { channels: [email, sms], default: [sms], quiet_hours: \"22:00-07:00\", cap: 3/day }\n"
#define NEWS_CAP 2
#define QUIET_CAP 3
#define QUIET_FROM (22 * 60)
#define QUIET_TO (7 * 60)

struct window {
	int from, to; /* minutes of the day, open from <= m < to; from -1: always */
};

struct choice {
	bool made;
	int count, list[CHANNELS];
	struct window hours, first_hours; /* first_hours: of the first channel */
	int64_t wait;                     /* of the first channel */
	int digest;                       /* 0: immediate; 1: hourly; else daily at digest - 2 o'clock */
	int64_t paused;
};

static struct {
	int64_t now, mono;
	uint64_t random;
	struct choice choices[CUSTOMERS][PRODUCT_COUNT];
	enum death { FINE, DYING /* reported */, DEAD, MAYBE_DEAD } dead[CUSTOMERS][CHANNELS];
	bool stopped[CUSTOMERS]; /* the number */
	bool erased[CUSTOMERS];
	bool held_product[PRODUCT_COUNT], held_channel[CHANNELS];
	struct {
		int customer, product;
		int64_t send_at, expires_at; /* as it says itself; 0 */
		int rejected;                /* channels, as bits */
		int dead_then;               /* whose address was dead or stopped when it was claimed */
		bool refused;                /* it came when its customer was erased */
		bool gone;                   /* its customer was erased since */
		int taken, doubt;            /* the channel; -1 */
		bool delivered;
		bool delivered_then;    /* when it was claimed: what is heard later calls nothing back */
		int64_t counted_day[4]; /* claimed on, where it was taken; 0: free */
	} messages[MESSAGES_MAX];
	int count;
	unsigned long seed;
	char breach[256]; /* seen where a test may not be ended */
} sim;

int64_t __wrap_moment_now(void)
{
	return sim.now;
}

int64_t __wrap_moment_mono(void)
{
	return sim.mono;
}

int64_t __wrap_moment_boot(void)
{
	return sim.mono;
}

static unsigned chance(unsigned below)
{
	sim.random = sim.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(sim.random >> 33) % below;
}

static void time_passes(int64_t time)
{
	sim.now += time;
	sim.mono += time;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)time; /* whoever waits so looks again until it is true: more at once is fewer looks */
	(void)left;
	time_passes(MOMENT_S);
	return 0;
}

/* A store that fails is no news here. */
void __wrap_log_line(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

#define broken(...) fail_msg(__VA_ARGS__)

/* --- the rules, a second time --- */

static int64_t local_minute(int customer, int64_t at)
{
	return at / MOMENT_MINUTE + zone_minutes[customer];
}

static bool inside(const struct window *window, int customer)
{
	int minute = (int)(local_minute(customer, sim.now) % 1440);

	if (window->from < 0)
		return true;
	return window->from < window->to ? minute >= window->from && minute < window->to
					 : minute >= window->from || minute < window->to;
}

/* The choice that is asked first, of those that were made. */
static const struct choice *in_force(int customer, int product)
{
	const struct choice *all = sim.choices[customer];

	return all[product].made                      ? &all[product]
	       : product == FRAUD && all[ALERTS].made ? &all[ALERTS]
	       : all[STAR].made                       ? &all[STAR]
						      : NULL;
}

/* The place of the channel in the list that is in force; -1: it is not there. `list` NULL: the default. */
static int place_of(int customer, int product, int channel, const struct choice **list)
{
	const struct choice *choice = in_force(customer, product);

	if (product == NEWS && (!choice || choice == &sim.choices[customer][STAR]))
		return -1;
	if (choice && product == TERMS && choice->count == 0)
		choice = NULL;
	*list = choice;
	if (!choice) {
		int usual = product == FRAUD ? by_default[ALERTS] : by_default[product];
		return usual == channel ? 0 : -1;
	}
	for (int i = 0; i < choice->count; i++)
		if (choice->list[i] == channel)
			return offered[product] & 1 << channel ? i : -1;
	return -1;
}

static int64_t digest_time(int customer, const struct choice *choice, int64_t from)
{
	int64_t step = choice->digest == 1 ? 60 : 1440,
		at = choice->digest == 1 ? 0 : (choice->digest - 2) * 60;
	int64_t minute = local_minute(customer, from) - at;

	return ((minute - minute % step + step + at) - zone_minutes[customer]) * MOMENT_MINUTE;
}

static void check_time(const char *id, int i, int channel, int place, const struct choice *list,
		       int64_t admitted)
{
	static const struct window marketing = {9 * 60, 20 * 60};
	static const struct window not_quiet = {QUIET_TO, QUIET_FROM};
	int customer = sim.messages[i].customer, product = sim.messages[i].product;
	const struct choice *time = in_force(customer, product);
	int64_t from = sim.messages[i].send_at > admitted ? sim.messages[i].send_at : admitted;
	int64_t until = product == NEWS    ? from + 3 * MOMENT_DAY
			: product <= FRAUD ? from + 2 * MOMENT_DAY
					   : INT64_MAX;

	if (sim.messages[i].expires_at && sim.messages[i].expires_at < until)
		until = sim.messages[i].expires_at;
	if (sim.now >= until)
		broken("%s begins on %s after it expired", id, channels[channel]);
	if (sim.now < sim.messages[i].send_at)
		broken("%s begins before its send_at", id);
	if (product == FRAUD)
		return;
	if (time && product != TERMS && sim.now < time->paused)
		broken("%s begins while the customer paused it", id);
	if (time && product != TERMS && time->paused > from)
		from = time->paused;
	if (time && time->digest && sim.now < digest_time(customer, time, from))
		broken("%s begins before its digest is due", id);
	if (time && !inside(&time->hours, customer))
		broken("%s begins outside the customer's hours", id);
	if (list && place == 0 && !inside(&list->first_hours, customer))
		broken("%s begins outside the hours of %s", id, channels[channel]);
	if ((!time || time->hours.from < 0) && product == QUIET && !inside(&not_quiet, customer))
		broken("%s begins in quiet hours", id);
	if ((!time || time->hours.from < 0) && product == NEWS && !*zones[customer] &&
	    !inside(&marketing, customer))
		broken("%s is advertising outside 09:00-20:00", id);
}

/* What heed itself answers has another name, and is nobody's choice. */
static bool is_answer(const char *id)
{
	return strncmp(id, "m-", 2) != 0;
}

static int message_of(const char *id)
{
	return (int)strtol(id + 2, NULL, 10);
}

/* It begins now: everything that stands against it is a breach. */
static void check_begin(const char *id, int channel)
{
	if (is_answer(id))
		return;
	int i = message_of(id), customer = sim.messages[i].customer, product = sim.messages[i].product;
	const struct choice *list = NULL;
	if (sim.messages[i].gone || sim.messages[i].refused)
		broken("%s begins, and its customer is erased; %s", id, contacts_of(id));
	int place = place_of(customer, product, channel, &list);
	struct message_row row = row_of(id);
	int64_t admitted = row.admitted_at;
	int waited =
		0; /* channels whose wait ran out, maybe under an earlier choice: they are not gone back to */

	for (int other = 0; other < CHANNELS; other++)
		waited |= channel_list_has(row.waited, channels[other]) << other;
	message_row_release(&row);
	if (place < 0)
		broken("%s begins on %s, which is not chosen; %s", id, channels[channel], contacts_of(id));
	if (channel == 1 && sim.stopped[customer])
		broken("%s begins on a number that is stopped; %s", id, contacts_of(id));
	if (sim.messages[i].rejected & 1 << channel)
		broken("%s begins on %s, where it was rejected; %s; %s", id, channels[channel],
		       contacts_of(id), events_of(id));
	for (int earlier = 0; list && earlier < place; earlier++) {
		int before = list->list[earlier];
		if (offered[product] & 1 << before && !(waited & 1 << before) &&
		    !(sim.messages[i].rejected & 1 << before) && !(sim.messages[i].dead_then & 1 << before) &&
		    !(earlier == 0 && (list->wait || list->first_hours.from >= 0)) &&
		    sim.messages[i].doubt != channel)
			broken("%s begins on %s, and %s comes before it; %s; %s; rejected %d", id,
			       channels[channel], channels[before], contacts_of(id), reasons_of(id),
			       sim.messages[i].rejected);
	}
	if (sim.messages[i].taken >= 0 &&
	    (sim.messages[i].delivered_then || sim.messages[i].taken != 1 || channel == 1))
		broken("%s begins on %s, and was taken on %s before; %s", id, channels[channel],
		       channels[sim.messages[i].taken], contacts_of(id));
	if (sim.messages[i].doubt >= 0 && sim.messages[i].doubt != channel)
		broken("%s begins on %s, and is in doubt on %s", id, channels[channel],
		       channels[sim.messages[i].doubt]);
	if (sim.held_channel[channel] || sim.held_product[product] ||
	    (product == FRAUD && sim.held_product[ALERTS]))
		broken("%s begins while it is held", id);
	check_time(id, i, channel, place, list, admitted);
}

static void check_cap(const char *id, int64_t claimed)
{
	int of = message_of(id), customer = sim.messages[of].customer, product = sim.messages[of].product,
	    used = 0;
	int64_t day = local_minute(customer, claimed) / 1440;

	for (int k = 0; k < 4; k++) {
		int64_t *counted = &sim.messages[of].counted_day[k];
		if (*counted == day)
			break;
		if (!*counted) {
			*counted = day;
			break;
		}
	}
	for (int i = 0; i < sim.count; i++)
		for (int k = 0; k < 4; k++)
			used += sim.messages[i].customer == customer && sim.messages[i].product == product &&
				sim.messages[i].counted_day[k] == day;
	if ((product == NEWS && used > NEWS_CAP) || (product == QUIET && used > QUIET_CAP))
		broken("%s is the %dth of %s that day", id, used, products[product]);
}

/* --- what may happen --- */

static struct script *script_at(int channel)
{
	return channel == 0 ? &world.email : channel == 1 ? &world.sms : &world.webhook;
}

static struct turn_door door(void)
{
	return (struct turn_door){.turn = world.turn, .alone = true};
}

static const struct asker operator= {.by = "cli", .actor = ""};

/* A turn was committed: what was reported counts. */
static void outcomes_count(void)
{
	for (int customer = 0; customer < CUSTOMERS && !world.turn->inbox.outcomes; customer++)
		for (int channel = 0; channel < CHANNELS; channel++)
			if (sim.dead[customer][channel] == DYING)
				sim.dead[customer][channel] = DEAD;
}

static void a_turn(void)
{
	step();
	outcomes_count();
}

/* All that came is dealt with: the order of what follows is known. */
static void settle_down(void)
{
	do
		a_turn();
	while (world.turn->inbox.outcomes || world.turn->inbox.admission_count);
}

/* It was written again; what is reported may be seen before that or after. */
static void may_be_used(enum death *address)
{
	*address = *address == DYING ? MAYBE_DEAD : FINE;
}

static void put_customer(int customer)
{
	const struct asker asker = {.by = "cli", .actor = "", .recreate = true};
	const struct turn_door in = door();
	char id[16], *json;

	if (sim.erased[customer])
		settle_down();
	snprintf(id, sizeof id, "c-%d", customer);
	json = xasprintf(
		"{\"timezone\":\"%s\",\"addresses\":{\"email\":\"c%d@example.com\",\"sms\":\"+4930123450%d\","
		"\"webhook\":\"https://c%d.example.com/\"}}",
		zones[customer], customer, customer, customer);
	json_t *body = json_loads(json, 0, NULL);
	text_clear(&problem);
	for (int channel = 0; channel < CHANNELS; channel++) /* the turn that hears of it may claim at once */
		may_be_used(&sim.dead[customer][channel]);
	int status = request_customer(&in, &asker, id, body, false, NULL, &problem);
	if (status != 200 && status != 201)
		broken("put: %d: %s", status, problem.data);
	json_decref(body);
	free(json);
	sim.erased[customer] = false;
}

/* Any of the messages of the attempt, which may be a digest. */
static size_t messages_in(const struct attempt *attempt)
{
	return attempt->item_count ? attempt->item_count : 1;
}

static const char *message_in(const struct attempt *attempt, size_t i)
{
	return attempt->item_count ? attempt->items[i].message_id : attempt->message_id;
}

static void do_admit(void)
{
	char id[16], customer[16], at[MOMENT_TEXT];
	struct text more;

	if (sim.count == MESSAGES_MAX)
		return;
	int i = sim.count++;
	sim.messages[i].customer = (int)chance(CUSTOMERS);
	sim.messages[i].product = (int)chance(PRODUCT_COUNT - 1);
	sim.messages[i].taken = sim.messages[i].doubt = -1;
	sim.messages[i].refused = sim.erased[sim.messages[i].customer];
	text_init(&more, 256);
	if (chance(5) == 0) {
		sim.messages[i].send_at =
			sim.now - sim.now % 1000 + (1 + (int64_t)chance(600)) * MOMENT_MINUTE;
		moment_format(sim.messages[i].send_at, at);
		text_addf(&more, ",\"send_at\":\"%s\"", at);
	}
	if (chance(5) == 0) {
		int64_t from = sim.messages[i].send_at ? sim.messages[i].send_at : sim.now - sim.now % 1000;
		sim.messages[i].expires_at = from + (1 + (int64_t)chance(900)) * MOMENT_MINUTE;
		moment_format(sim.messages[i].expires_at, at);
		text_addf(&more, ",\"expires_at\":\"%s\"", at);
	}
	snprintf(id, sizeof id, "m-%d", i);
	snprintf(customer, sizeof customer, "c-%d", sim.messages[i].customer);
	admit(id, customer, products[sim.messages[i].product], more.len ? more.data : "");
	text_release(&more);
}

static struct attempt *take(struct script *script, size_t at)
{
	struct attempt *attempt = script->held[at];

	memmove(script->held + at, script->held + at + 1,
		(--script->held_count - at) * sizeof(struct attempt *));
	return attempt;
}

static void note_outcome(struct attempt *attempt, int channel, enum outcome_kind kind,
			 enum outcome_scope scope, bool delivered)
{
	for (size_t k = 0; k < messages_in(attempt) && !is_answer(attempt->message_id); k++) {
		int i = message_of(message_in(attempt, k));
		if (kind == OUTCOME_ACCEPTED) {
			sim.messages[i].taken = channel;
			sim.messages[i].delivered |= delivered;
			sim.messages[i].doubt = -1;
		} else if (kind == OUTCOME_IN_DOUBT) {
			sim.messages[i].doubt = channel;
		} else if (kind == OUTCOME_REJECTED) {
			if (scope == SCOPE_ADDRESS) /* until it is written again */
				sim.dead[sim.messages[i].customer][channel] =
					sim.messages[i].gone ? MAYBE_DEAD : DYING;
			else
				sim.messages[i].rejected |= 1 << channel;
		}
	}
	if (kind == OUTCOME_ACCEPTED && !is_answer(attempt->message_id))
		check_cap(message_in(attempt, 0), (int64_t)(intptr_t)attempt->channel_private);
}

static void watch(const struct attempt *attempt)
{
	((struct attempt *)(uintptr_t)attempt)->channel_private = (void *)(intptr_t)sim.now;
	for (size_t k = 0; k < messages_in(attempt) && !is_answer(attempt->message_id); k++) {
		int i = message_of(message_in(attempt, k)), customer = sim.messages[i].customer;
		sim.messages[i].dead_then = sim.stopped[customer] << 1;
		sim.messages[i].delivered_then = sim.messages[i].delivered;
		for (int channel = 0; channel < CHANNELS; channel++) {
			sim.messages[i].dead_then |= (sim.dead[customer][channel] != FINE) << channel;
			if (strcmp(attempt->channel->config->name, channels[channel]) == 0 &&
			    (sim.dead[customer][channel] == DEAD || (channel == 1 && sim.stopped[customer])))
				snprintf(sim.breach, sizeof sim.breach,
					 "%s was claimed for %s of c-%d, which is %s", message_in(attempt, k),
					 channels[channel], customer,
					 sim.dead[customer][channel] == DEAD ? "dead" : "stopped");
		}
	}
}

/* One that is held begins, or did, and is reported. `kind` OUTCOME_NOT_BEGUN: by chance. */
static void do_attempt(int channel, bool end)
{
	struct script *script = script_at(channel);

	if (!script->held_count)
		return;
	size_t at = chance((unsigned)script->held_count);
	struct attempt *attempt = script->held[at];
	bool begun = attempt->phase == ATTEMPT_BEGUN;
	if (!begun && attempt_begin(attempt)) {
		for (size_t k = 0; k < messages_in(attempt); k++)
			check_begin(message_in(attempt, k), channel);
		begun = true;
		if (!end && chance(2))
			return; /* it is under way */
	}
	take(script, at);
	enum outcome_kind kind = !begun ? OUTCOME_NOT_BEGUN
				 : end  ? OUTCOME_ACCEPTED
					: OUTCOME_ACCEPTED + (enum outcome_kind)chance(4);
	enum outcome_scope scope = SCOPE_MESSAGE;
	if (kind != OUTCOME_ACCEPTED && kind != OUTCOME_RETRY && kind != OUTCOME_REJECTED &&
	    kind != OUTCOME_IN_DOUBT)
		kind = OUTCOME_NOT_BEGUN;
	if (begun && kind == OUTCOME_NOT_BEGUN)
		kind = OUTCOME_RETRY;
	if (kind == OUTCOME_REJECTED && chance(2) && !is_answer(attempt->message_id))
		scope = SCOPE_ADDRESS;
	if (kind == OUTCOME_RETRY && chance(3) == 0)
		scope = SCOPE_PROVIDER;
	struct outcome outcome = outcome_make(kind, scope, "1", "by chance");
	outcome.delivered = channel == 2;
	if (channel == 1 && kind == OUTCOME_ACCEPTED)
		snprintf(outcome.provider_ref, sizeof outcome.provider_ref, "ref-%s", attempt->message_id);
	note_outcome(attempt, channel, kind, scope, outcome.delivered);
	channel_report(attempt, &outcome);
}

static struct window any_window(void)
{
	if (chance(3))
		return (struct window){-1, 0};
	int from = (int)chance(24) * 60, to = (from + 60 * (1 + (int)chance(20))) % 1440;
	return (struct window){from, to};
}

static void add_window(struct text *json, const char *key, const struct window *window)
{
	if (window->from >= 0)
		text_addf(json, ",\"%s\":\"%02d:00-%02d:00\"", key, window->from / 60, window->to / 60);
}

static void choice_json(const struct choice *choice, struct text *json)
{
	char at[MOMENT_TEXT];

	text_puts(json, "{\"channels\":[");
	for (int i = 0; i < choice->count; i++) {
		text_addf(json, "%s{\"channel\":\"%s\"", i ? "," : "", channels[choice->list[i]]);
		if (i == 0) {
			add_window(json, "hours", &choice->first_hours);
			if (choice->wait)
				text_addf(json, ",\"wait\":\"%dm\"", (int)(choice->wait / MOMENT_MINUTE));
		}
		text_puts(json, "}");
	}
	text_puts(json, "]");
	add_window(json, "hours", &choice->hours);
	if (choice->digest)
		text_addf(json,
			  choice->digest == 1 ? ",\"digest\":\"hourly\"" : ",\"digest\":\"daily %02d:00\"",
			  choice->digest - 2);
	if (choice->paused) {
		moment_format(choice->paused, at);
		text_addf(json, ",\"paused_until\":\"%s\"", at);
	}
	text_puts(json, "}");
}

static void do_prefer(void)
{
	int customer = (int)chance(CUSTOMERS), product = (int)chance(PRODUCT_COUNT), order = (int)chance(6),
	    left = 7;
	struct choice *choice = &sim.choices[customer][product], before = *choice;
	struct text json;
	char id[16];

	*choice = (struct choice){.made = true,
				  .count = (int)chance(CHANNELS + 1),
				  .hours = any_window(),
				  .first_hours = any_window()};
	for (int i = 0; i < choice->count; i++) {
		int skip = i == 0 ? order % 3 : order / 3 % 2, channel = 0;
		for (channel = 0; !(left & 1 << channel) || skip-- > 0; channel = (channel + 1) % CHANNELS)
			;
		choice->list[i] = channel;
		left &= ~(1 << channel);
	}
	if (choice->count && chance(3) == 0)
		choice->wait = (1 + (int64_t)chance(300)) * MOMENT_MINUTE;
	if (chance(4) == 0)
		choice->digest = 1 + (int)chance(25);
	if (chance(5) == 0 && product != TERMS)
		choice->paused = sim.now - sim.now % 1000 + (1 + (int64_t)chance(1000)) * MOMENT_MINUTE;
	text_init(&json, 1024);
	choice_json(choice, &json);
	snprintf(id, sizeof id, "c-%d", customer);
	int status = prefer(id, products[product], json.data, NULL);
	if (status != 200)
		*choice = before;
	if (status != 200 && status != 422 && !(status == 404 && sim.erased[customer]))
		broken("prefer: %d: %s", status, problem.data);
	text_release(&json);
}

static void do_hold(bool release)
{
	const struct turn_door in = door();
	bool by_channel = chance(2);
	int which = (int)chance(by_channel ? CHANNELS : PRODUCT_COUNT - 1);
	bool *held = by_channel ? &sim.held_channel[which] : &sim.held_product[which];
	enum hold_kind kind;

	assert_true(hold_kind_parse(by_channel ? "channel" : "product", &kind));
	const char *name = by_channel ? channels[which] : products[which];
	text_clear(&problem);
	if (release && *held) {
		*held = false;
		assert_int_equal(request_release(&in, &operator, kind, name, "over", NULL, &problem), 200);
	} else if (!release) {
		*held = true;
		assert_int_equal(request_hold(&in, &operator, kind, name, "by chance", NULL, &problem), 200);
	}
}

static void do_operator(void)
{
	static const char *const as[] = {"sent", "failed", "resend"};
	const struct turn_door in = door();
	char id[16];

	if (!sim.count)
		return;
	int i = (int)chance((unsigned)sim.count);
	unsigned how = chance(4);
	snprintf(id, sizeof id, "m-%d", i);
	if (chance(3) == 0) {
		text_clear(&problem);
		request_cancel(&in, &operator, id, "by chance", NULL, &problem);
		return;
	}
	if (how == 3) {
		int rejected = sim.messages[i].rejected;
		sim.messages[i].rejected = 0; /* the turn that hears of it may hand over at once */
		if (retry(id) != 200)
			sim.messages[i].rejected = rejected;
		return;
	}
	int doubt = sim.messages[i].doubt;
	if (how < 2)
		sim.messages[i].doubt = -1;
	int status = settle(id, as[how]);
	if (status != 200)
		sim.messages[i].doubt = doubt;
	else if (how == 0 && sim.messages[i].taken < 0)
		sim.messages[i].taken = doubt;
	else if (how == 2 && doubt >= 0) /* whatever was said there */
		sim.messages[i].rejected &= ~(1 << doubt);
}

/* A reference here is a message's, not an attempt's: what is kept must not meet a later attempt. */
static void forget_kept(const char *reference)
{
	assert_true(store_begin(world.store));
	assert_true(store_drop_receipt(world.store, "twilio", reference, 0));
	assert_true(store_commit(world.store));
	world.turn->receipts.count = -1;
}

static void do_receipt(void)
{
	const struct turn_door in = door();
	char reference[24];

	if (!sim.count)
		return;
	int i = (int)chance((unsigned)sim.count);
	bool delivered = chance(2);
	snprintf(reference, sizeof reference, "ref-m-%d", i);
	struct message_row row = row_of(reference + 4);
	bool rests = row.n && row.contact && sim.messages[i].taken == 1;
	message_row_release(&row);
	if (!rests)
		return;
	int rejected = sim.messages[i].rejected, taken = sim.messages[i].taken;
	if (delivered) {
		sim.messages[i].delivered = true;
	} else {
		sim.messages[i].rejected |= 2; /* the turn that hears of it may hand over at once */
		sim.messages[i].taken = sim.messages[i].delivered ? 1 : -1;
	}
	const struct receipt said = {.channel = "sms",
				     .provider = "twilio",
				     .provider_ref = reference,
				     .says = delivered ? RECEIPT_DELIVERED : RECEIPT_REJECTED,
				     .code = "1",
				     .text = ""};
	text_clear(&problem);
	int status = request_receipt(&in, &said, &problem);
	if (status != 200 && status != 202) { /* 202: it counts once the outcome is committed */
		sim.messages[i].rejected = rejected;
		sim.messages[i].taken = taken;
		forget_kept(reference);
	} else if (!sim.messages[i].delivered) { /* what did not arrive counts in no cap */
		memset(sim.messages[i].counted_day, 0, sizeof sim.messages[i].counted_day);
	}
}

/* STOP and START, as a text message. */
static void do_reply(void)
{
	const struct turn_door in = door();
	int customer = (int)chance(CUSTOMERS);
	bool stops = chance(2);
	char *from = xasprintf("+4930123450%d", customer);
	const struct inbound said = {.kind = INBOUND_SHORT,
				     .channel = "sms",
				     .provider = "twilio",
				     .provider_ref = "",
				     .from = from,
				     .customer = "",
				     .answers_ref = "",
				     .product = "",
				     .subject = "",
				     .text = stops ? "Stop." : "START",
				     .code = "",
				     .detail = ""};

	text_clear(&problem);
	sim.stopped[customer] = stops;
	if (!stops) /* who writes from it has it */
		may_be_used(&sim.dead[customer][1]);
	int status = request_inbound(&in, &said, NULL, &problem);
	if (status != 200 && status != 201)
		broken("%s: %d: %s", said.text, status, problem.data);
	free(from);
}

static void do_erase(void)
{
	const struct turn_door in = door();
	int customer = (int)chance(CUSTOMERS);
	char id[16];

	settle_down();
	snprintf(id, sizeof id, "c-%d", customer);
	text_clear(&problem);
	for (int i = 0; i < sim.count; i++)
		sim.messages[i].gone |= sim.messages[i].customer == customer;
	int status = request_erase(&in, &operator, id, NULL, &problem);
	if (status != 200)
		broken("erase: %d: %s", status, problem.data);
	sim.erased[customer] = true;
	memset(sim.choices[customer], 0, sizeof sim.choices[customer]);
	for (int channel = 0; channel < CHANNELS; channel++)
		sim.dead[customer][channel] = MAYBE_DEAD;
}

/* A turn that the store lets down somewhere: it is turned again, as if it had not been. */
static void do_fail(void)
{
	flaky_fail(1 + (long)chance(40));
	if (turn_step(world.turn))
		outcomes_count();
	flaky_fail(0);
}

/* A kill leaves in doubt whatever its row calls `sending`; where it is remembered what had begun, only that.
 */
static void do_crash(void)
{
	settle_down();
	for (int channel = 0; channel < CHANNELS; channel++)
		for (size_t at = 0; at < script_at(channel)->held_count; at++) {
			const struct attempt *attempt = script_at(channel)->held[at];
			for (size_t k = 0; k < messages_in(attempt); k++) {
				struct message_row row = row_of(message_in(attempt, k));
				if (row.state == STATE_SENDING && row.epoch == attempt->epoch &&
				    !is_answer(row.id) &&
				    (!world.remembers || attempt->phase == ATTEMPT_BEGUN))
					sim.messages[message_of(row.id)].doubt = channel;
				message_row_release(&row);
			}
		}
	world_crash();
	for (int channel = 0; channel < CHANNELS; channel++)
		while (script_at(channel)->held_count)
			take(script_at(channel), 0);
}

static void something_happens(void)
{
	unsigned what = chance(100);

	if (what < 34)
		do_admit();
	else if (what < 66)
		do_attempt((int)chance(CHANNELS), false);
	else if (what < 76)
		do_prefer();
	else if (what < 79)
		do_operator();
	else if (what < 82)
		do_receipt();
	else if (what < 84)
		do_hold(chance(2));
	else if (what < 86)
		put_customer((int)chance(CUSTOMERS));
	else if (what < 87)
		do_crash();
	else if (what < 89)
		do_reply();
	else if (what < 90)
		chance(3) ? do_fail() : do_erase();
	else if (what < 92)
		time_passes((int64_t)chance(5 * 60) * MOMENT_S);
	else if (what <
		 95) /* to where the next hour begins: what is claimed now begins when hours have closed */
		time_passes(MOMENT_HOUR - sim.now % MOMENT_HOUR - (int64_t)chance(20) * MOMENT_S);
	else
		time_passes((int64_t)chance(12 * 60) * MOMENT_MINUTE);
}

/* --- a life --- */

static bool left_open(void)
{
	struct counters counters;

	assert_true(store_counters(world.store, &counters));
	return counters.states[STATE_QUEUED] + counters.states[STATE_DEFERRED] +
		       counters.states[STATE_SENDING] >
	       0;
}

/* Until something is due, as the turn itself remembers it; providers are asked again at once. */
static int64_t until_next(void)
{
	int64_t due = world.turn->unassigned.due;

	if (world.turn->expiry.due < due)
		due = world.turn->expiry.due;
	for (size_t i = 0; i < world.turn->line_count; i++) {
		world.turn->lines[i].outlets[0].breaker.until = 0;
		if (world.turn->lines[i].next.due < due)
			due = world.turn->lines[i].next.due;
	}
	return due > sim.now && due < sim.now + 30 * MOMENT_DAY ? due - sim.now : MOMENT_MS;
}

static void everything_ends(void)
{
	const struct turn_door in = door();

	for (int which = 0; which < CHANNELS + PRODUCT_COUNT - 1; which++) {
		bool *held =
			which < CHANNELS ? &sim.held_channel[which] : &sim.held_product[which - CHANNELS];
		enum hold_kind kind;
		assert_true(hold_kind_parse(which < CHANNELS ? "channel" : "product", &kind));
		if (*held) {
			*held = false;
			text_clear(&problem);
			request_release(&in, &operator, kind,
					which < CHANNELS ? channels[which] : products[which - CHANNELS],
					"over", NULL, &problem);
		}
	}
	for (int round = 0; round < ROUNDS_MAX; round++) {
		a_turn();
		bool any = false;
		for (int channel = 0; channel < CHANNELS; channel++)
			while (script_at(channel)->held_count) {
				do_attempt(channel, true);
				any = true;
			}
		a_turn();
		if (!left_open())
			return;
		time_passes(any ? MOMENT_MS : until_next());
	}
	for (int i = 0; i < sim.count; i++) {
		char id[16];
		snprintf(id, sizeof id, "m-%d", i);
		const char *state = state_of(id);
		if (strcmp(state, "queued") == 0 || strcmp(state, "deferred") == 0 ||
		    strcmp(state, "sending") == 0)
			broken("%s is left %s: %s; %s", id, state, contacts_of(id), reasons_of(id));
	}
}

static void each_message_tells_how_it_ended(void)
{
	for (int i = 0; i < sim.count; i++) {
		char id[16];
		snprintf(id, sizeof id, "m-%d", i);
		const char *state = state_of(id), *events = events_of(id), *contacts = contacts_of(id);
		const char *last = strrchr(events, ' ') ? strrchr(events, ' ') + 1 : events;
		if (sim.messages[i].refused && strcmp(state, "unknown") == 0)
			continue;
		if (sim.messages[i].refused)
			broken("%s came when its customer was erased, and is %s", id, state);
		if (strcmp(last, state) != 0 || !*contacts || strstr(contacts, ":sending"))
			broken("%s is %s, its events are %s, its contacts %s", id, state, events, contacts);
	}
}

/* The log of changes is kept for ever, and has no trace of who is erased now. */
static void of_who_is_erased_nothing_is_left(void)
{
	struct change *changes = NULL;
	size_t count = 0;
	bool any = false;

	for (int customer = 0; customer < CUSTOMERS; customer++)
		any |= sim.erased[customer];
	if (!any)
		return;
	for (int round = 0; !erasures_finished(world.turn); round++) {
		if (round > ROUNDS_MAX)
			broken("an erasure does not come to its end");
		a_turn();
		time_passes(MOMENT_S);
	}
	assert_true(store_read_changes_of_kind(world.reader, CHANGE_CUSTOMER, 0, 10000, &changes, &count));
	for (int customer = 0; customer < CUSTOMERS; customer++) {
		char *address = xasprintf("c%d@example.com", customer);
		for (size_t i = 0; sim.erased[customer] && i < count; i++)
			if (strstr(changes[i].new_value, address) || strstr(changes[i].old_value, address))
				broken("c-%d is erased, and change %lld says %s", customer,
				       (long long)changes[i].seq, changes[i].new_value);
		free(address);
	}
	for (size_t i = 0; i < count; i++)
		change_release(&changes[i]);
	free(changes);
}

static void receipts_come(void)
{
	for (size_t i = 0; i < world.config->channel_count; i++)
		if (strcmp(world.config->channels[i].name, "sms") == 0)
			world.config->channels[i].receipts = true;
}

static void a_life(unsigned long seed)
{
	memset(&sim, 0, sizeof sim);
	sim.seed = seed;
	sim.random = seed * UINT64_C(0x9e3779b97f4a7c15);
	chance(2);
	sim.now = STARTS + (int64_t)chance(365 * 24 * 60) * MOMENT_MINUTE + (int64_t)chance(60) * MOMENT_S;
	sim.mono = MOMENT_HOUR;
	world.remembers = seed % 8 == 0;
	world_fresh();
	flaky_attach(world.store);
	world.turn->random = seed | 1;
	world.email.watch = world.sms.watch = world.webhook.watch = watch;
	for (int customer = 0; customer < CUSTOMERS; customer++)
		put_customer(customer);
	for (int i = 0; i < STEPS; i++) {
		something_happens();
		if (chance(3) == 0)
			a_turn();
		if (*sim.breach)
			broken("%s", sim.breach);
		time_passes((int64_t)chance(10000) * MOMENT_MS);
	}
	everything_ends();
	if (*sim.breach)
		broken("%s", sim.breach);
	sum_holds();
	each_message_tells_how_it_ended();
	of_who_is_erased_nothing_is_left();
}

static unsigned long first = 1, count = 1000;

static void what_must_hold_holds_in_every_life(void **state)
{
	(void)state;
	scratch_write("templates/messages/digest/email.text", "{{#items}}{{summary}};{{/items}}");
	scratch_write("templates/messages/digest/sms", "{{count}} of them");
	struct config *config = world_config(NULL, PRODUCTS);
	config->replies = reply_set_load("templates", &problem);
	assert_non_null(config->replies);
	world_reload(config);
	receipts_come();
	for (unsigned long i = 0; i < count; i++)
		a_life(first + i);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {IN_MEMORY(what_must_hold_holds_in_every_life)};
	char *rest = NULL;

	sim.now = STARTS;
	if (argc > 1) {
		count = strtoul(argv[1], &rest, 10);
		if (*rest == ':') {
			first = count;
			count = strtoul(rest + 1, &rest, 10);
		}
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (failed)
		printf("seed %lu broke it: make simulate SEEDS=%lu:1\n", sim.seed, sim.seed);
	else
		printf("%lu lives, seeds %lu to %lu\n", count, first, first + count - 1);
	return failed != 0;
}
