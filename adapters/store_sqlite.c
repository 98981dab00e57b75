/* The store on SQLite: one connection writes and alone checkpoints; a flock on PATH.lock keeps a second
 * process out (two connections that checkpoint at once can lose commits in SQLite 3.40). */
#include "store_sqlite_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "file.h"
#include "xalloc.h"
#include "banned.h"

#define LOCK_WORDS_MAX 512
#define PATH_TEXT_MAX 4096

static struct store_sqlite *of(struct store *store)
{
	return (struct store_sqlite *)store;
}

/* --- files --- */

/* Who holds the lock, in the words of lock_take. */
static void lock_read(int fd, char out[LOCK_WORDS_MAX])
{
	ssize_t len = pread(fd, out, LOCK_WORDS_MAX - 1, 0);

	out[len > 0 ? len : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static void lock_write(int fd)
{
	char host[256] = "";
	char boot[BOOT_ID_SIZE];
	struct text words;

	file_boot_id(boot);
	gethostname(host, sizeof host - 1);
	text_init(&words, LOCK_WORDS_MAX - 1);
	text_addf(&words, "process %ld on %s (boot %s)\n", (long)getpid(), host, boot);
	/* The words only help who waits: a full disk must not keep us from opening. */
	if (ftruncate(fd, 0) == 0) {
		ssize_t ignored = pwrite(fd, words.data, words.len, 0);
		(void)ignored;
	}
	text_release(&words);
}

/* The descriptor that holds the lock, or -1. */
static int lock_take(const char *path, struct text *error, bool *locked)
{
	char *name = xasprintf("%s.lock", path);
	char holder[LOCK_WORDS_MAX];
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		text_error(error, "store: %s: %s", name, strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		*locked = errno == EWOULDBLOCK;
		lock_read(fd, holder);
		if (*locked)
			text_error(error, "store: %s: held by %s; one heed at a time may write", path,
				   *holder ? holder : "another process");
		else
			text_error(error, "store: %s: %s", name, strerror(errno));
		close(fd);
		fd = -1;
	} else {
		lock_write(fd);
	}
	free(name);
	return fd;
}

/* So that the file, its WAL and its index are ours alone, whatever the umask. A file that is there is not
 * opened: closing it again would drop the locks of SQLite's readers in this process. */
static bool make_file(const char *path, struct text *error)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST || text_error(error, "store: %s: %s", path, strerror(errno));
	close(fd);
	return true;
}

/* --- open and close --- */

static void sqlite_close(struct store *base)
{
	struct store_sqlite *store = of(base);

	months_release(store);
	if (store->batch.max)
		text_release(&store->batch);
	checkpoint_close(store->checkpoint);
	beside_release(store);
	sql_close(&store->sql);
	if (store->lock >= 0)
		close(store->lock); /* the file stays: taking it away would let two hold two locks */
	free(store);
}

static bool set_up(struct sql *sql)
{
	return sql_exec(sql, "PRAGMA journal_mode = WAL") && sql_exec(sql, "PRAGMA synchronous = FULL") &&
	       sql_exec(sql, "PRAGMA wal_autocheckpoint = 4000") && /* 16 MB */
	       sql_exec(sql, "PRAGMA journal_size_limit = 67108864") &&
	       sql_exec(sql, "PRAGMA cache_size = -12288") &&
	       sql_exec(sql, "PRAGMA secure_delete = ON") && /* what is erased is not left in free pages */
	       sql_exec(sql, "PRAGMA temp_store = MEMORY") && sql_exec(sql, "PRAGMA trusted_schema = OFF");
}

/* A random word of the store's, made when it is first wanted. */
static bool load_word(struct store_sqlite *store, const char *name, char out[STORE_ID_SIZE])
{
	char *word = NULL;
	struct text words;
	bool ok = schema_text(&store->sql, name, &word);

	if (ok && !word) {
		store_make_id(out);
		text_init(&words, PATH_TEXT_MAX);
		text_addf(&words, "INSERT INTO meta VALUES ('%s', '%s')", name, out);
		ok = sql_exec(&store->sql, words.data);
		text_release(&words);
	} else if (ok) {
		size_t len = strnlen(word, STORE_ID_SIZE - 1);
		memcpy(out, word, len);
		out[len] = '\0';
	}
	free(word);
	return ok;
}

/* The id, the key and the numbers. */
static bool load(struct store_sqlite *store)
{
	bool ok = load_word(store, "id", store->base.id) &&
		  load_word(store, "erasure_key", store->base.erasure_key);

	for (int i = 0; ok && i < NUMBERS; i++)
		ok = sql_get_number(&store->sql, (enum number)i, &store->numbers[i]);
	memcpy(store->committed, store->numbers, sizeof store->numbers);
	return ok;
}

static struct store *sqlite_open(const char *where, bool migrate, struct text *error, bool *locked)
{
	struct store_sqlite *store = xcalloc(1, sizeof *store);
	struct sql *sql = &store->sql;
	struct store_versions *versions = &store->base.versions;

	store->base.ops = &store_sqlite_ops;
	text_init(&store->base.error, TEXT_ERROR_MAX);
	store->months_stale = true;
	store->lock = -1;
	bool ok = *where || text_error(error, "store: sqlite: needs a path, as sqlite:../var/heed.db");
	if (ok && !migrate && access(where, F_OK) != 0)
		ok = text_error(error, "store: %s: there is no store yet; `heed migrate` makes it", where);
	ok = ok && file_make_folder(where, error);
	ok = ok && (store->lock = lock_take(where, error, locked)) >= 0;
	ok = ok && make_file(where, error);
	if (ok) {
		ok = sql_open(sql, where, SQLITE_OPEN_READWRITE, &store->base.error) && set_up(sql) &&
		     schema_version(sql, &versions->before) &&
		     (!migrate || schema_apply(sql, versions->before)) &&
		     schema_version(sql, &versions->now) && schema_check(sql, versions->now) && load(store) &&
		     beside_load(store);
		versions->known = schema_known();
		if (!ok)
			text_error(error, "%s", store->base.error.data);
	}
	if (ok)
		store->checkpoint = checkpoint_open(sql);
	if (!ok) {
		text_release(&store->base.error);
		sqlite_close(&store->base);
		store = NULL;
	}
	return store ? &store->base : NULL;
}

/* --- transactions --- */

static bool sqlite_begin(struct store *base)
{
	struct sql *sql = &of(base)->sql;

	checkpoint_step(of(base)->checkpoint);
	return sql_run(sql, sql_statement(sql, SQL_BEGIN, "BEGIN IMMEDIATE"));
}

static bool set_number(struct sql *sql, enum number number, int64_t value)
{
	sqlite3_stmt *statement =
		sql_statement(sql, SQL_SET_NUMBER, "REPLACE INTO number (name, value) VALUES (?, ?)");
	struct cells cells = sql_cells(statement);
	char name[32];

	put_text(&cells, number_name(number, name));
	put_number(&cells, value);
	return sql_run(sql, statement);
}

static bool sqlite_commit(struct store *base)
{
	struct store_sqlite *store = of(base);
	struct sql *sql = &store->sql;
	bool ok = beside_write(store);

	for (int i = 0; ok && i < NUMBERS; i++)
		if (store->numbers[i] != store->committed[i])
			ok = set_number(sql, (enum number)i, store->numbers[i]);
	ok = ok && sql_run(sql, sql_statement(sql, SQL_COMMIT, "COMMIT"));
	if (ok)
		memcpy(store->committed, store->numbers, sizeof store->numbers);
	if (ok && !store->turned)
		sqlite3_busy_timeout(sql->db, SQL_TURN_WAIT_MS);
	store->turned = store->turned || ok;
	return ok;
}

static void sqlite_rollback(struct store *base)
{
	struct store_sqlite *store = of(base);

	memcpy(store->numbers, store->committed, sizeof store->numbers);
	store->months_stale = true;
	store->stale.count = 0;
	/* After a full disk SQLite may have rolled back by itself. */
	if (!sqlite3_get_autocommit(store->sql.db))
		sqlite3_exec(store->sql.db, "ROLLBACK", NULL, NULL, NULL);
}

static bool sqlite_save_point(struct store *base)
{
	struct sql *sql = &of(base)->sql;

	memcpy(of(base)->at_point, of(base)->numbers, sizeof of(base)->numbers);
	return beside_write(of(base)) && sql_run(sql, sql_statement(sql, SQL_POINT, "SAVEPOINT part"));
}

static bool sqlite_end_point(struct store *base, bool keep)
{
	struct store_sqlite *store = of(base);
	struct sql *sql = &store->sql;

	if (!keep) {
		if (!sql_run(sql, sql_statement(sql, SQL_POINT_BACK, "ROLLBACK TO part")))
			return false;
		memcpy(store->numbers, store->at_point, sizeof store->numbers);
		store->months_stale = true;
	}
	return sql_run(sql, sql_statement(sql, SQL_POINT_END, "RELEASE part"));
}

static bool sqlite_count(struct store *base, const struct counters *deltas)
{
	numbers_count(of(base)->numbers, deltas);
	return true;
}

static bool sqlite_counters(struct store *base, struct counters *out)
{
	numbers_counters(of(base)->numbers, out);
	return true;
}

const struct store_ops store_sqlite_ops = {
	.scheme = "sqlite",
	.alone = true, /* the lock */
	.open = sqlite_open,
	.close = sqlite_close,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.save_point = sqlite_save_point,
	.end_point = sqlite_end_point,
	.find_messages = sqlite_find_messages,
	.get_messages = sqlite_get_messages,
	.number_messages = sqlite_number_messages,
	.add_messages = sqlite_add_messages,
	.save_messages = sqlite_save_messages,
	.due = sqlite_due,
	.next_due = sqlite_next_due,
	.waiting = sqlite_waiting,
	.expired = sqlite_expired,
	.next_expiry = sqlite_next_expiry,
	.waited_for = sqlite_waited_for,
	.waiting_of_campaign = sqlite_waiting_of_campaign,
	.waiting_of = sqlite_waiting_of,
	.open_of = sqlite_open_of,
	.abandoned = sqlite_abandoned,
	.report_gateway = sqlite_report_gateway,
	.move_clock = sqlite_move_clock,
	.gateway_name = sqlite_gateway_name,
	.number_contacts = sqlite_number_contacts,
	.add_contacts = sqlite_add_contacts,
	.save_contacts = sqlite_save_contacts,
	.get_contacts = sqlite_get_contacts,
	.find_contact = sqlite_find_contact,
	.last_sent = sqlite_last_sent,
	.attempt_of = sqlite_attempt_of,
	.read_facts = sqlite_read_facts,
	.get_customer = sqlite_get_customer,
	.get_preferences = sqlite_get_preferences,
	.put_customer = sqlite_put_customer,
	.get_customers = sqlite_get_customers,
	.get_preferences_of = sqlite_get_preferences_of,
	.get_addresses = sqlite_get_addresses,
	.number_customers = sqlite_number_customers,
	.add_customers = sqlite_add_customers,
	.put_preferences = sqlite_put_preferences,
	.any_erased = sqlite_any_erased,
	.stamp_customer = sqlite_stamp_customer,
	.erase_customer = sqlite_erase_customer,
	.get_erasing = sqlite_get_erasing,
	.end_erasing = sqlite_end_erasing,
	.rename_address = sqlite_rename_address,
	.get_changes = sqlite_get_changes,
	.rewrite_change = sqlite_rewrite_change,
	.erase_contacts = sqlite_erase_contacts,
	.rewrite_event = sqlite_rewrite_event,
	.prune = sqlite_prune,
	.clean = sqlite_clean,
	.put_preference = sqlite_put_preference,
	.set_address_state = sqlite_set_address_state,
	.doubts_of = sqlite_doubts_of,
	.get_address = sqlite_get_address,
	.answered = sqlite_answered,
	.customers_of_address = sqlite_customers_of_address,
	.keep_receipt = sqlite_keep_receipt,
	.find_receipt = sqlite_find_receipt,
	.drop_receipt = sqlite_drop_receipt,
	.get_receipts = sqlite_get_receipts,
	.count_receipts = sqlite_count_receipts,
	.put_again = sqlite_put_again,
	.drop_again = sqlite_drop_again,
	.get_again = sqlite_get_again,
	.put_hold = sqlite_put_hold,
	.drop_hold = sqlite_drop_hold,
	.get_holds = sqlite_get_holds,
	.cap_used = sqlite_cap_used,
	.count_caps = sqlite_count_caps,
	.append_changes = sqlite_append_changes,
	.last_choice = sqlite_last_choice,
	.put_products = sqlite_put_products,
	.put_template = sqlite_put_template,
	.add_events = sqlite_add_events,
	.get_events = sqlite_get_events,
	.drop_events = sqlite_drop_events,
	.count = sqlite_count,
	.counters = sqlite_counters,
	.dump = sqlite_dump,
	.numbers = sqlite_numbers,
	.reader_open = sqlite_reader_open,
	.reader_close = sqlite_reader_close,
	.read_log = sqlite_read_log,
	.read_last_change = sqlite_read_last_change,
	.read_message = sqlite_read_message,
	.read_open_of = sqlite_read_open_of,
	.read_customer = sqlite_read_customer,
	.read_cap_used = sqlite_read_cap_used,
	.read_find = sqlite_read_find,
	.read_waiting_of = sqlite_read_waiting_of,
	.read_customer_id = sqlite_read_customer_id,
	.read_holds = sqlite_read_holds,
	.read_counters = sqlite_read_counters,
	.read_ages = sqlite_read_ages,
	.read_size = sqlite_read_size,
	.read_changes = sqlite_read_changes,
	.audit_contacts = sqlite_audit_contacts,
	.audit_changes = sqlite_audit_changes,
	.audit_messages = sqlite_audit_messages,
	.audit_sum = sqlite_audit_sum,
	.read_products = sqlite_read_products,
	.read_changes_of_kind = sqlite_read_changes_of_kind,
};
