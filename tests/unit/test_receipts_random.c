/* Answers of submits and receipts in random order, lost and repeated, with crashes between: whatever comes,
 * the states are right in the end and the sum holds. HEED_RECEIPTS messages (2,000), HEED_SEED. */
#include "turn_fixture.h"
#include "banned.h"

#define BATCH 50
#define RECEIPTS_MOST 4

static uint64_t dice;

static unsigned below(unsigned n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice >> 11) % n;
}

/* What is to come of one message, in the order in which it comes. */
enum coming { COMES_TAKEN, COMES_LOST, COMES_DELIVERED, COMES_REJECTED };

struct life {
	char id[32];
	int64_t contact;
	enum coming coming[1 + RECEIPTS_MOST];
	bool by_attempt[1 + RECEIPTS_MOST]; /* the receipt names the attempt; else the reference */
	size_t count, next;
	bool crashed; /* before its answer was committed */
};

static size_t delivered, failed, sent, doubted, unmatched, crashes;

static int receipt(const struct life *life, size_t i)
{
	const struct turn_door door = {.turn = world.turn, .alone = true};
	const bool arrived = life->coming[i] == COMES_DELIVERED;
	const struct receipt said = {.channel = "sms",
				     .provider = "twilio",
				     .provider_ref = life->id,
				     .contact = life->by_attempt[i] ? life->contact : 0,
				     .says = arrived ? RECEIPT_DELIVERED : RECEIPT_REJECTED,
				     .code = arrived ? "" : "30003",
				     .text = ""};

	text_clear(&problem);
	return request_receipt(&door, &said, &problem);
}

static void life_make(struct life *life, unsigned long number)
{
	size_t receipts = below(RECEIPTS_MOST + 1);
	bool one_word = below(3) > 0; /* providers seldom contradict themselves */
	enum coming word = below(3) ? COMES_DELIVERED : COMES_REJECTED;

	*life = (struct life){0};
	snprintf(life->id, sizeof life->id, "r-%lu", number);
	life->coming[life->count++] = below(5) ? COMES_TAKEN : COMES_LOST;
	for (size_t i = 0; i < receipts; i++) {
		life->by_attempt[life->count] = below(2);
		life->coming[life->count++] = one_word ? word : below(2) ? COMES_DELIVERED : COMES_REJECTED;
	}
	for (size_t i = life->count; i > 1; i--) { /* in any order */
		size_t other = below((unsigned)i);
		enum coming coming = life->coming[i - 1];
		bool by = life->by_attempt[i - 1];
		life->coming[i - 1] = life->coming[other];
		life->by_attempt[i - 1] = life->by_attempt[other];
		life->coming[other] = coming;
		life->by_attempt[other] = by;
	}
}

static void life_goes_on(struct life *life)
{
	size_t i = life->next++;
	struct outcome outcome = outcome_make(OUTCOME_ACCEPTED, SCOPE_MESSAGE, "201", "taken");

	switch (life->coming[i]) {
	case COMES_TAKEN:
		if (life->crashed)
			return;
		snprintf(outcome.provider_ref, sizeof outcome.provider_ref, "%s", life->id);
		report_outcome(&world.sms, life->id, outcome);
		break;
	case COMES_LOST:
		if (!life->crashed)
			report(&world.sms, life->id, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "cut");
		break;
	case COMES_DELIVERED:
	case COMES_REJECTED:
		if (receipt(life, i) >= 400)
			fail_msg("a receipt is refused: %s", problem.data);
		break;
	}
	if (below(3) == 0)
		step();
}

/* What it must have come to: the best of what could be matched, and nothing that was guessed. */
static const char *life_ends(const struct life *life)
{
	bool has_ref = false, arrived = false, refused = false;

	for (size_t i = 0; i < life->count; i++)
		has_ref = has_ref || (life->coming[i] == COMES_TAKEN && !life->crashed);
	for (size_t i = 0; i < life->count; i++) {
		bool known = has_ref || life->by_attempt[i];
		arrived = arrived || (known && life->coming[i] == COMES_DELIVERED);
		refused = refused || (known && life->coming[i] == COMES_REJECTED);
	}
	return arrived ? "delivered" : refused ? "failed" : has_ref ? "sent" : "in_doubt";
}

static void life_print(const struct life *life)
{
	static const char *const words[] = {"taken", "lost", "delivered", "rejected"};

	for (size_t i = 0; i < life->count; i++)
		print_error("%s%s, ", words[life->coming[i]], life->by_attempt[i] ? " (by attempt)" : "");
	print_error("%s%s\n", life->crashed ? "its answer lost in a crash; " : "", reasons_of(life->id));
}

static void count_end(const struct life *life, const char *end)
{
	delivered += strcmp(end, "delivered") == 0;
	failed += strcmp(end, "failed") == 0;
	sent += strcmp(end, "sent") == 0;
	doubted += strcmp(end, "in_doubt") == 0;
	if (strcmp(state_of(life->id), end) != 0)
		life_print(life);
	if (strcmp(state_of(life->id), end) != 0)
		fail_msg("%s is %s, not %s (%s)", life->id, state_of(life->id), end, contacts_of(life->id));
}

static void receipts_come(void)
{
	for (size_t i = 0; i < world.config->channel_count; i++)
		world.config->channels[i].receipts = true;
}

static void crash(struct life *lives, size_t count)
{
	/* an answer that is not committed is lost with the process, whether it came or not */
	for (size_t i = 0; i < count; i++)
		lives[i].crashed = lives[i].crashed || strcmp(state_of(lives[i].id), "sending") == 0;
	world_crash();
	receipts_come();
	crashes++;
	steps();
}

static void batch(unsigned long first, size_t count)
{
	struct life lives[BATCH];
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		life_make(&lives[i], first + i);
		left += lives[i].count;
		admit(lives[i].id, "ana", "card-alerts", "");
	}
	steps();
	for (size_t i = 0; i < count; i++) {
		struct message_row row = row_of(lives[i].id);
		lives[i].contact = row.contact;
		message_row_release(&row);
		begin(&world.sms, lives[i].id);
	}
	while (left) {
		struct life *life = &lives[below((unsigned)count)];
		if (life->next == life->count)
			continue;
		life_goes_on(life);
		left--;
		if (below(2000) == 0)
			crash(lives, count);
	}
	steps();
	for (size_t i = 0; i < count; i++)
		count_end(&lives[i], life_ends(&lives[i]));
}

static void in_any_order_lost_and_repeated_the_states_are_right_in_the_end(void **state)
{
	const char *wanted = getenv("HEED_RECEIPTS"), *seed = getenv("HEED_SEED");
	unsigned long messages = wanted ? strtoul(wanted, NULL, 10) : 2000;
	int64_t kept;

	(void)state;
	dice = seed ? strtoull(seed, NULL, 10) : 0x9e3779b97f4a7c15ULL;
	receipts_come();
	customer_is("ana", "{\"addresses\":{\"sms\":\"+491701234567\"}}");
	prefer_way("ana", "card-alerts", "[\"sms\"]");
	for (unsigned long first = 0; first < messages; first += BATCH)
		batch(first, messages - first < BATCH ? messages - first : BATCH);
	assert_int_equal(sum_holds(), messages);
	assert_true(store_count_receipts(world.store, &kept));
	world.turn->ahead += RECEIPT_KEPT_FOR + MOMENT_MINUTE;
	for (int64_t i = 0; i <= kept / RECEIPTS_A_TURN + 1; i++)
		step();
	unmatched = (size_t)kept;
	assert_true(store_count_receipts(world.store, &kept));
	assert_int_equal(kept, 0);
	assert_int_equal(sum_holds(), messages);
	print_message("%lu messages, %zu crashes: %zu delivered, %zu failed, %zu sent, %zu in doubt; %zu "
		      "receipts that "
		      "nothing is known of\n",
		      messages, crashes, delivered, failed, sent, doubted, unmatched);
	assert_true(delivered && failed && sent && doubted && unmatched);
}

/* The disk only at length. */
static int open_world(void **state)
{
	return getenv("HEED_RECEIPTS") ? world_open_sqlite(state) : world_open_memory(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"in_any_order_lost_and_repeated_the_states_are_right_in_the_end",
		 in_any_order_lost_and_repeated_the_states_are_right_in_the_end, open_world, world_close,
		 NULL},
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
