/* Checkpoints: what the WAL holds goes into the database, by the one connection that writes (law 3).
 *
 * SQLite's own does it in a commit, and waits there until a thousand pages are on the disk: for that long
 * nothing is admitted, claimed or recorded. Here the pages are only written, between two transactions; a
 * thread of its own makes the disk take them, while the turn goes on into the same WAL. Until they are there
 * the WAL must not begin anew: a reader of ours holds it. What came meanwhile is little, and is then
 * checkpointed in SQLite's way, to the disk; now the WAL may begin anew.
 *
 * A crash in between: the WAL is whole, and the next to open it reads it from the start. */
#include "store_sqlite_private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "log.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define CHECKPOINT_PAGES 8000 /* in the WAL: 32 MB */
#define CHECKPOINT_AGAIN 500  /* pages later, where it did not begin anew */
#define SYNC_AGAIN MOMENT_S   /* after the disk failed */

struct checkpoint {
	struct sql *writer;
	struct sql holder; /* reads, so that the WAL is not begun anew; and its file is what is synced */
	struct text error; /* the holder's */
	int pages;         /* in the WAL, after the last commit */
	int tried;         /* how many there were at the last try; 0: it has begun anew since */
	bool syncing;      /* the thread is there */
	pthread_t thread;
	_Atomic bool done, give_up;
	sqlite3_file *file;
};

static int on_commit(void *context, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	struct checkpoint *checkpoint = context;

	checkpoint->pages = pages;
	if (pages < checkpoint->tried)
		checkpoint->tried = 0;
	return SQLITE_OK;
}

/* Ends once the disk has it: what it failed to take it may have forgotten, and the WAL still has. */
static void *sync_thread(void *context)
{
	static const struct timespec pause = {.tv_sec = SYNC_AGAIN / MOMENT_S};
	struct checkpoint *checkpoint = context;

	pthread_setname_np(pthread_self(), "checkpoint");
	while (checkpoint->file->pMethods->xSync(checkpoint->file, SQLITE_SYNC_NORMAL) != SQLITE_OK) {
		log_error("store: %s: the disk does not take what is written", checkpoint->writer->path);
		if (atomic_load(&checkpoint->give_up))
			return NULL;
		nanosleep(&pause, NULL);
	}
	atomic_store(&checkpoint->done, true);
	return NULL;
}

/* As far as no reader is in the way; `sync` false: written, but perhaps not on the disk. A failure shows in
 * what comes next, as it does where SQLite checkpoints by itself. */
static void checkpoint_run(const struct checkpoint *checkpoint, bool sync)
{
	sqlite3 *db = checkpoint->writer->db;

	if (!sync && sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL) != SQLITE_OK)
		return;
	sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (!sync && sqlite3_exec(db, "PRAGMA synchronous = FULL", NULL, NULL, NULL) != SQLITE_OK)
		abort(); /* commits would not be on the disk */
}

static void let_go(struct checkpoint *checkpoint)
{
	if (!sqlite3_get_autocommit(checkpoint->holder.db))
		sqlite3_exec(checkpoint->holder.db, "COMMIT", NULL, NULL, NULL);
}

/* From here on the WAL is not begun anew. */
static bool hold(struct checkpoint *checkpoint)
{
	bool held = sqlite3_exec(checkpoint->holder.db, "BEGIN; SELECT count(*) FROM meta", NULL, NULL,
				 NULL) == SQLITE_OK;

	if (!held)
		let_go(checkpoint);
	return held;
}

struct checkpoint *checkpoint_open(struct sql *writer)
{
	struct checkpoint *checkpoint = xcalloc(1, sizeof *checkpoint);
	struct sql *holder = &checkpoint->holder;

	checkpoint->writer = writer;
	atomic_init(&checkpoint->done, true);
	text_init(&checkpoint->error, TEXT_ERROR_MAX);
	bool ok = sql_open(holder, writer->path, SQLITE_OPEN_READWRITE, &checkpoint->error) &&
		  sqlite3_db_config(holder->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) == SQLITE_OK &&
		  sql_exec(holder, "PRAGMA query_only = ON") &&
		  sqlite3_file_control(holder->db, "main", SQLITE_FCNTL_FILE_POINTER, &checkpoint->file) ==
			  SQLITE_OK &&
		  checkpoint->file && checkpoint->file->pMethods;
	if (!ok) {
		sql_close(holder);
		text_release(&checkpoint->error);
		free(checkpoint);
		return NULL;
	}
	/* a run before may have been killed between writing and the disk */
	checkpoint->file->pMethods->xSync(checkpoint->file, SQLITE_SYNC_NORMAL);
	sqlite3_wal_hook(writer->db, on_commit, checkpoint);
	return checkpoint;
}

/* A reader may keep the WAL from beginning anew: it is tried again, but not at each commit. */
static bool is_time(const struct checkpoint *checkpoint)
{
	int from = checkpoint->tried ? checkpoint->tried + CHECKPOINT_AGAIN : CHECKPOINT_PAGES;

	return !checkpoint->syncing && checkpoint->pages >= from;
}

void checkpoint_step(struct checkpoint *checkpoint)
{
	if (checkpoint && checkpoint->syncing && atomic_load(&checkpoint->done)) {
		checkpoint_settle(checkpoint);
		checkpoint_run(checkpoint, true);
		checkpoint->tried = checkpoint->pages;
	} else if (checkpoint && is_time(checkpoint)) {
		bool held = hold(checkpoint);
		checkpoint_run(checkpoint, !held);
		atomic_store(&checkpoint->done, !held);
		checkpoint->syncing =
			held && pthread_create(&checkpoint->thread, NULL, sync_thread, checkpoint) == 0;
		if (held && !checkpoint->syncing) { /* no thread: here, then */
			sync_thread(checkpoint);
			let_go(checkpoint);
		}
		checkpoint->tried = checkpoint->pages;
	}
}

void checkpoint_settle(struct checkpoint *checkpoint)
{
	if (!checkpoint || !checkpoint->syncing)
		return;
	pthread_join(checkpoint->thread, NULL);
	checkpoint->syncing = false;
	let_go(checkpoint);
}

void checkpoint_close(struct checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	atomic_store(&checkpoint->give_up, true);
	checkpoint_settle(checkpoint);
	sqlite3_wal_hook(checkpoint->writer->db, NULL, NULL);
	/* what the disk did not take stays in the WAL */
	if (!atomic_load(&checkpoint->done))
		sqlite3_db_config(checkpoint->writer->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sql_close(&checkpoint->holder);
	text_release(&checkpoint->error);
	free(checkpoint);
}
