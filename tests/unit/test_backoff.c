#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "backoff.h"
#include "config.h"
#include "moment.h"

static const struct retry_policy policy = {
	.first = 10 * MOMENT_S, .factor = 3, .max = MOMENT_HOUR, .give_up_after = MOMENT_DAY};

#define LEAST UINT64_C(0)

static int64_t most(int attempt, int64_t retry_after)
{
	int64_t longest = 0;
	for (uint64_t random = 0; random < 4096; random++) {
		int64_t pause =
			backoff_pause(&policy, attempt, retry_after, random * UINT64_C(0x9e3779b97f4a7c15));
		longest = pause > longest ? pause : longest;
	}
	return longest;
}

static void pauses_grow_by_the_factor_up_to_the_longest(void **unused)
{
	static const int64_t pauses[] = {10, 30, 90, 270, 810, 2430, 3600, 3600};
	(void)unused;
	for (int attempt = 1; attempt <= 8; attempt++)
		assert_int_equal(backoff_pause(&policy, attempt, 0, LEAST),
				 pauses[attempt - 1] * MOMENT_S / 2);
	assert_int_equal(backoff_pause(&policy, 1000000, 0, LEAST), MOMENT_HOUR / 2);
}

static void half_of_a_pause_is_drawn(void **unused)
{
	(void)unused;
	assert_in_range(most(1, 0), 10 * MOMENT_S * 99 / 100, 10 * MOMENT_S);
	assert_int_equal(backoff_pause(&policy, 1, 0, 5 * MOMENT_S), 10 * MOMENT_S);
	assert_int_not_equal(backoff_pause(&policy, 1, 0, 1), backoff_pause(&policy, 1, 0, 2));
}

static void retry_after_is_the_least_and_has_a_bound(void **unused)
{
	(void)unused;
	assert_int_equal(backoff_pause(&policy, 1, MOMENT_MINUTE, LEAST), MOMENT_MINUTE);
	assert_in_range(most(4, MOMENT_S), 270 * MOMENT_S / 2, 270 * MOMENT_S);
	assert_int_equal(backoff_pause(&policy, 1, INT64_MAX, LEAST), RETRY_AFTER_MAX);
	assert_int_equal(backoff_pause(&policy, 1, -5, LEAST), 5 * MOMENT_S);
}

static void odd_policies_still_pause(void **unused)
{
	struct retry_policy odd = {.first = 1, .factor = 0.5, .max = 1};
	(void)unused;
	assert_int_equal(backoff_pause(&odd, 9, 0, UINT64_MAX), 1);
	odd = (struct retry_policy){.first = INT64_MAX, .factor = 1e300, .max = INT64_MAX};
	assert_true(backoff_pause(&odd, 9, 0, UINT64_MAX) > 0);
	odd = (struct retry_policy){.first = 20, .factor = 2, .max = 10};
	assert_in_range(backoff_pause(&odd, 1, 0, UINT64_MAX), 5, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_grow_by_the_factor_up_to_the_longest),
		cmocka_unit_test(half_of_a_pause_is_drawn),
		cmocka_unit_test(retry_after_is_the_least_and_has_a_bound),
		cmocka_unit_test(odd_policies_still_pause),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
