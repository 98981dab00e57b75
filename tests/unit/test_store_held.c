/* Somebody else holds an SQLite store for a moment, as an operator's own tool may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>

#include "scratch.h"
#include "store.h"
#include "xalloc.h"

/* Longer than a turn waits, and much shorter than a start does. */
static const struct timespec moment = {.tv_sec = 1, .tv_nsec = 500 * 1000 * 1000};

static void *let_go_in_a_moment(void *argument)
{
	sqlite3 *db = argument;

	nanosleep(&moment, NULL);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return NULL;
}

static void who_starts_while_it_is_held_waits_for_it(void **state)
{
	char *url = xasprintf("sqlite:%s", scratch_path("heed.db"));
	sqlite3 *db = NULL;
	struct text error;
	pthread_t thread;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	struct store *store = store_open(url, true, &error);
	assert_non_null(store);
	assert_int_equal(sqlite3_open(scratch_path("heed.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(pthread_create(&thread, NULL, let_go_in_a_moment, db), 0);
	assert_true(store_begin(store));
	assert_true(store_commit(store));
	pthread_join(thread, NULL);
	sqlite3_close(db);
	store_close(store);
	text_release(&error);
	free(url);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
		who_starts_while_it_is_held_waits_for_it, scratch_open, scratch_close)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
