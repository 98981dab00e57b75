/* The WAL is brought into the database beside the commits: it stays small, and a machine that stops at
 * whatever moment has lost nothing that was committed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "moment.h"
#include "scratch.h"
#include "store.h"
#include "xalloc.h"

#define COMMITS 120
#define CHANGES 200 /* of a page each, in a commit */
#define WAL_MOST (80 * 1024 * 1024)

static char page[3800];

static struct store *open_store(const char *at)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct store *store = store_open(at, true, &error);
	if (!store)
		fail_msg("%s", error.data);
	return store;
}

static void commit_some(struct store *store)
{
	char nothing[] = "";

	assert_true(store_begin(store));
	for (int i = 0; i < CHANGES; i++) {
		struct change change = {.kind = CHANGE_CUSTOMER,
					.at = MOMENT_S,
					.customer = 1,
					.subject = nothing,
					.by = nothing,
					.actor = nothing,
					.source = nothing,
					.evidence = page,
					.old_value = nothing,
					.new_value = nothing};
		assert_true(store_append_changes(store, (struct change *const[]){&change}, 1));
	}
	assert_true(store_commit(store));
}

static void copy_file(const char *from, const char *to)
{
	static char bytes[1 << 16];
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	size_t len;

	assert_non_null(in);
	assert_non_null(out);
	while ((len = fread(bytes, 1, sizeof bytes, in)) > 0)
		assert_int_equal(fwrite(bytes, 1, len, out), len);
	fclose(in);
	fclose(out);
}

static int64_t number(const char *at, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;

	assert_int_equal(sqlite3_open(at, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t out = strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0
			      ? 1
			      : sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return out;
}

static int64_t wal_size(void)
{
	struct stat about = {0};

	stat(scratch_path("heed.db-wal"), &about);
	return about.st_size;
}

/* The files as a machine that stops now would leave them, without what only lives in memory. */
static void assert_nothing_is_lost(int64_t changes)
{
	copy_file(scratch_path("heed.db"), scratch_path("copy.db"));
	copy_file(scratch_path("heed.db-wal"), scratch_path("copy.db-wal"));
	const char *copy = scratch_path("copy.db");
	assert_int_equal(number(copy, "PRAGMA quick_check"), 1);
	assert_int_equal(number(copy, "SELECT count(*) FROM change_log WHERE customer = 1"), changes);
	remove(copy);
}

static void the_wal_stays_small_and_nothing_is_lost_at_whatever_moment(void **state)
{
	char *url = xasprintf("sqlite:%s", scratch_path("heed.db"));
	int64_t most = 0;

	(void)state;
	memset(page, 'x', sizeof page - 1);
	struct store *store = open_store(url);
	for (int i = 1; i <= COMMITS; i++) {
		commit_some(store);
		most = wal_size() > most ? wal_size() : most;
		/* when it is brought over for the first time, and when it has begun anew */
		if ((i >= 33 && i <= 43 && i % 2 == 0) || i == 60 || i == COMMITS)
			assert_nothing_is_lost((int64_t)i * CHANGES);
	}
	assert_true(most < WAL_MOST);
	store_close(store);
	assert_int_equal(wal_size(), 0);
	const char *path = scratch_path("heed.db");
	assert_int_equal(number(path, "SELECT count(*) FROM change_log WHERE customer = 1"),
			 COMMITS * CHANGES);
	free(url);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
		the_wal_stays_small_and_nothing_is_lost_at_whatever_moment, scratch_open, scratch_close)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
