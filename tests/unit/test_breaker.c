#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "breaker.h"
#include "moment.h"

#define T0 (100 * MOMENT_S)

/* Lets the probe out at `at` and fail; how long the pause is after it. */
static int64_t probe_fails(struct breaker *b, int64_t at, enum breaker_fault_kind kind)
{
	assert_int_equal(breaker_may_send(b, at), BREAKER_ONE);
	breaker_probe(b);
	breaker_fault(b, at, kind);
	return breaker_next(b) - at;
}

static void a_fault_holds_everything_until_the_pause_is_over(void **unused)
{
	struct breaker b = {0};
	(void)unused;
	assert_int_equal(breaker_may_send(&b, T0), BREAKER_ALL);
	assert_true(breaker_next(&b) == MOMENT_NEVER);
	breaker_fault(&b, T0, BREAKER_DOWN);
	assert_int_equal(breaker_may_send(&b, T0), BREAKER_NONE);
	assert_int_equal(breaker_may_send(&b, T0 + MOMENT_S - 1), BREAKER_NONE);
	assert_int_equal(breaker_next(&b), T0 + MOMENT_S);
	assert_int_equal(breaker_may_send(&b, T0 + MOMENT_S), BREAKER_ONE);
}

static void exactly_one_probe_goes_and_its_success_opens_the_way(void **unused)
{
	struct breaker b = {0};
	(void)unused;
	breaker_fault(&b, T0, BREAKER_DOWN);
	breaker_probe(&b);
	assert_int_equal(breaker_may_send(&b, T0 + MOMENT_DAY), BREAKER_NONE);
	assert_true(breaker_next(&b) == MOMENT_NEVER);
	assert_true(breaker_ok(&b));
	assert_int_equal(breaker_may_send(&b, T0 + MOMENT_DAY), BREAKER_ALL);
	assert_false(breaker_ok(&b));
}

static void pauses_double_to_five_seconds_for_a_provider_that_is_down(void **unused)
{
	static const int64_t pauses[] = {2, 4, 5, 5};
	struct breaker b = {0};
	(void)unused;
	breaker_fault(&b, T0, BREAKER_DOWN);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(probe_fails(&b, breaker_next(&b), BREAKER_DOWN), pauses[i] * MOMENT_S);
}

static void pauses_double_to_a_minute_for_credentials(void **unused)
{
	static const int64_t pauses[] = {2, 4, 8, 16, 32, 60, 60};
	struct breaker b = {0};
	(void)unused;
	breaker_fault(&b, T0, BREAKER_CREDENTIALS);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(probe_fails(&b, breaker_next(&b), BREAKER_CREDENTIALS),
				 pauses[i] * MOMENT_S);
	assert_int_equal(probe_fails(&b, breaker_next(&b), BREAKER_DOWN), 5 * MOMENT_S);
}

static void the_next_trouble_begins_with_the_first_pause_again(void **unused)
{
	struct breaker b = {0};
	(void)unused;
	breaker_fault(&b, T0, BREAKER_DOWN);
	probe_fails(&b, breaker_next(&b), BREAKER_DOWN);
	breaker_ok(&b);
	breaker_fault(&b, T0, BREAKER_DOWN);
	assert_int_equal(breaker_next(&b), T0 + BREAKER_PAUSE_FIRST);
}

static void many_faults_at_once_are_one(void **unused)
{
	struct breaker b = {0};
	(void)unused;
	for (int i = 0; i < 128; i++)
		breaker_fault(&b, T0 + i, BREAKER_DOWN);
	assert_int_equal(breaker_next(&b), T0 + BREAKER_PAUSE_FIRST);
}

static void a_probe_without_a_verdict_frees_its_place(void **unused)
{
	struct breaker b = {0};
	(void)unused;
	breaker_fault(&b, T0, BREAKER_DOWN);
	breaker_probe(&b);
	breaker_probe_back(&b);
	assert_int_equal(breaker_may_send(&b, T0 + MOMENT_S), BREAKER_ONE);
	assert_int_equal(breaker_next(&b), T0 + MOMENT_S);
}

static void a_provider_that_asks_for_more_time_gets_it_within_a_bound(void **unused)
{
	struct breaker b = {0};
	(void)unused;
	breaker_asked(&b, T0, MOMENT_MINUTE);
	assert_int_equal(breaker_may_send(&b, T0), BREAKER_ALL);
	breaker_fault(&b, T0, BREAKER_DOWN);
	breaker_asked(&b, T0, MOMENT_MS);
	assert_int_equal(breaker_next(&b), T0 + MOMENT_S);
	breaker_asked(&b, T0, MOMENT_MINUTE);
	assert_int_equal(breaker_next(&b), T0 + MOMENT_MINUTE);
	breaker_asked(&b, T0, INT64_MAX);
	assert_int_equal(breaker_next(&b), T0 + BREAKER_ASKED_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_holds_everything_until_the_pause_is_over),
		cmocka_unit_test(exactly_one_probe_goes_and_its_success_opens_the_way),
		cmocka_unit_test(pauses_double_to_five_seconds_for_a_provider_that_is_down),
		cmocka_unit_test(pauses_double_to_a_minute_for_credentials),
		cmocka_unit_test(the_next_trouble_begins_with_the_first_pause_again),
		cmocka_unit_test(many_faults_at_once_are_one),
		cmocka_unit_test(a_probe_without_a_verdict_frees_its_place),
		cmocka_unit_test(a_provider_that_asks_for_more_time_gets_it_within_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
