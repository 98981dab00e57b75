#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock_watch.h"

#define WALL (1000 * MOMENT_DAY)
#define STEADY (5 * MOMENT_HOUR)

static struct clock_watch watch;

/* `after` it began to be watched; the wall clock is off by so much. */
static int64_t see(int64_t after, int64_t off)
{
	return clock_watch_see(&watch, WALL + after + off, STEADY + after) - WALL - after;
}

static int begin(void **unused)
{
	(void)unused;
	watch = (struct clock_watch){0};
	return (int)see(0, 0);
}

static void a_small_difference_is_followed_at_once(void **unused)
{
	(void)unused;
	assert_int_equal(see(MOMENT_S, 59 * MOMENT_S), 59 * MOMENT_S);
	assert_int_equal(see(2 * MOMENT_S, 118 * MOMENT_S), 118 * MOMENT_S);
	assert_int_equal(see(3 * MOMENT_S, 60 * MOMENT_S), 60 * MOMENT_S);
	assert_int_equal(watch.jump, 0);
}

static void a_jump_is_not_followed_and_one_that_comes_back_was_nothing(void **unused)
{
	(void)unused;
	assert_int_equal(see(MOMENT_S, MOMENT_DAY), 0);
	assert_int_equal(watch.jump, MOMENT_DAY);
	assert_int_equal(see(9 * MOMENT_S, MOMENT_DAY), 0);
	assert_false(watch.trusted);
	assert_int_equal(see(9 * MOMENT_S, MOMENT_MS), MOMENT_MS);
	assert_int_equal(watch.jump, 0);
	assert_int_equal(see(20 * MOMENT_S, -MOMENT_HOUR), MOMENT_MS);
	assert_false(watch.trusted);
}

static void one_that_stays_is_trusted_and_followed_when_it_is_said(void **unused)
{
	(void)unused;
	see(MOMENT_S, -MOMENT_HOUR);
	assert_int_equal(see(MOMENT_S + CLOCK_TRUSTED_AFTER, -MOMENT_HOUR), 0);
	assert_true(watch.trusted);
	clock_watch_move(&watch, watch.jump);
	assert_int_equal(see(12 * MOMENT_S, -MOMENT_HOUR), -MOMENT_HOUR);
	assert_int_equal(watch.jump, 0);
}

static void one_that_jumps_again_is_trusted_from_then_on(void **unused)
{
	(void)unused;
	see(MOMENT_S, MOMENT_HOUR);
	see(8 * MOMENT_S, 3 * MOMENT_HOUR);
	see(12 * MOMENT_S, 3 * MOMENT_HOUR);
	assert_false(watch.trusted);
	see(18 * MOMENT_S, 3 * MOMENT_HOUR);
	assert_true(watch.trusted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_small_difference_is_followed_at_once, begin),
		cmocka_unit_test_setup(a_jump_is_not_followed_and_one_that_comes_back_was_nothing, begin),
		cmocka_unit_test_setup(one_that_stays_is_trusted_and_followed_when_it_is_said, begin),
		cmocka_unit_test_setup(one_that_jumps_again_is_trusted_from_then_on, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
