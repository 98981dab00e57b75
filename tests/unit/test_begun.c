/* The file that says which attempts had begun when the process ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "begun.h"
#include "scratch.h"
#include "xalloc.h"
#include "banned.h"

static char *path;

static int open_folder(void **state)
{
	int failed = scratch_open(state);

	path = xasprintf("%s/heed.begun", scratch_folder);
	return failed;
}

static int close_folder(void **state)
{
	free(path);
	return scratch_close(state);
}

static struct begun *opened(const char *store)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct begun *begun = begun_open(path, store, &error);
	if (!begun)
		fail_msg("%s", error.data);
	text_release(&error);
	return begun;
}

/* Two claims, 7 and 8, of which 8 has begun; then the process is gone. */
static void ended_with_two(void)
{
	struct begun *begun = opened("store");

	begun_clear(begun);
	assert_non_null(begun_take(begun, 7, 1000));
	begun_mark(begun_take(begun, 8, 1000));
	begun_close(begun);
}

static void the_next_start_knows_what_had_begun(void **state)
{
	(void)state;
	ended_with_two();
	struct begun *begun = opened("store");
	assert_true(begun_says_no(begun, 7, 1000));
	assert_false(begun_says_no(begun, 8, 1000));
	assert_false(begun_says_no(begun, 9, 1000)); /* never heard of it */
	begun_close(begun);
}

static void a_claim_of_the_same_number_at_another_moment_is_another(void **state)
{
	(void)state;
	ended_with_two();
	struct begun *begun = opened("store");
	assert_false(begun_says_no(begun, 7, 1001));
	begun_close(begun);
}

static void another_store_has_no_use_for_it(void **state)
{
	(void)state;
	ended_with_two();
	struct begun *begun = opened("other");
	assert_false(begun_says_no(begun, 7, 1000));
	begun_close(begun);
	begun = opened("store"); /* and it is gone for the first one, too */
	assert_false(begun_says_no(begun, 7, 1000));
	begun_close(begun);
}

static void another_boot_has_no_use_for_it(void **state)
{
	(void)state;
	ended_with_two();
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 16, SEEK_SET), 0); /* the boot's id */
	assert_int_not_equal(fputs("00000000", file), EOF);
	assert_int_equal(fclose(file), 0);
	struct begun *begun = opened("store");
	assert_false(begun_says_no(begun, 7, 1000));
	begun_close(begun);
}

static void what_was_released_is_not_there_any_more(void **state)
{
	struct begun *begun = opened("store");

	(void)state;
	begun_clear(begun);
	begun_release(begun, begun_take(begun, 7, 1000));
	assert_false(begun_says_no(begun, 7, 1000));
	begun_close(begun);
}

static void what_finds_no_room_is_not_noted_and_room_comes_back(void **state)
{
	struct begun *begun = opened("store");
	struct begun_slot *last = NULL;

	(void)state;
	begun_clear(begun);
	for (int64_t i = 1; i <= BEGUN_SLOTS; i++)
		assert_non_null(last = begun_take(begun, i, 1000));
	assert_null(begun_take(begun, BEGUN_SLOTS + 1, 1000));
	begun_mark(NULL);
	begun_release(begun, NULL);
	begun_release(begun, last);
	assert_non_null(begun_take(begun, BEGUN_SLOTS + 1, 1000));
	begun_close(begun);
}

static void a_second_process_does_not_share_it(void **state)
{
	struct begun *begun = opened("store");
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	assert_null(begun_open(path, "store", &error));
	assert_non_null(strstr(error.data, path));
	begun_close(begun);
	assert_null(begun_open("/nowhere/heed.begun", "store", &error));
	text_release(&error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_folder, close_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_next_start_knows_what_had_begun),
		TEST(a_claim_of_the_same_number_at_another_moment_is_another),
		TEST(another_store_has_no_use_for_it),
		TEST(another_boot_has_no_use_for_it),
		TEST(what_was_released_is_not_there_any_more),
		TEST(what_finds_no_room_is_not_noted_and_room_comes_back),
		TEST(a_second_process_does_not_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
