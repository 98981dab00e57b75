/* The promises of gateway/store.h, on every back end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>
#include <sqlite3.h>

#include "moment.h"
#include "store.h"
#include "text.h"
#include "xalloc.h"

/* --- the store under test --- */

struct fixture {
	const char *kind; /* "sqlite", "postgresql" or "memory" */
	char *folder;
	char *url;
	struct store *store;
	struct store_reader *reader;
	int run;
};

static void open_both(struct fixture *f)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	f->store = store_open(f->url, true, &error);
	if (!f->store)
		fail_msg("%s", error.data);
	f->reader = store_reader_open(f->url, &error);
	if (!f->reader)
		fail_msg("%s", error.data);
	text_release(&error);
}

static void close_both(struct fixture *f)
{
	store_reader_close(f->reader);
	store_close(f->store);
	f->reader = NULL;
	f->store = NULL;
}

/* The server for these tests, where there is one: tests/postgres.py sets it. */
static const char *server(void)
{
	return getenv("HEED_TEST_POSTGRES");
}

static void ask_server(const char *format, int run)
{
	PGconn *conn = PQconnectdb(server());
	char *sql = xasprintf(format, (long)getpid(), run);
	PGresult *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(conn));
	PQclear(result);
	PQfinish(conn);
	free(sql);
}

/* A store of its own in the server: a schema that comes first in the search path. */
static char *schema_url(int run)
{
	const char *more = strchr(server(), '?') ? "&" : "?";

	ask_server("CREATE SCHEMA t%ld_%d", run);
	return xasprintf("%s%soptions=-csearch_path%%3Dt%ld_%d&application_name=t%ld_%d", server(), more,
			 (long)getpid(), run, (long)getpid(), run);
}

static int set_up(void **state)
{
	static int runs;
	struct fixture *f = xcalloc(1, sizeof *f);
	const char *tmp = getenv("TMPDIR");

	f->kind = *state;
	f->folder = xasprintf("%s/heed-store-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->folder));
	f->run = runs++;
	f->url = strcmp(f->kind, "memory") == 0       ? xasprintf("memory:test-%d", f->run)
		 : strcmp(f->kind, "postgresql") == 0 ? schema_url(f->run)
						      : xasprintf("sqlite:%s/new/heed.db", f->folder);
	open_both(f);
	*state = f;
	return 0;
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		char *name = xasprintf("%s/%s", path, entry->d_name);
		if (unlink(name) != 0)
			remove_folder(name);
		free(name);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close_both(f);
	if (strcmp(f->kind, "postgresql") == 0)
		ask_server("SET client_min_messages = warning; DROP SCHEMA t%ld_%d CASCADE", f->run);
	remove_folder(f->folder);
	free(f->folder);
	free(f->url);
	free(f);
	return 0;
}

static bool on_disk(const struct fixture *f)
{
	return strcmp(f->kind, "memory") != 0;
}

/* Numbers rise. Where several may write, those of a transaction that was lost may be left out. */
static void assert_next(const struct fixture *f, int64_t number, int64_t expected)
{
	if (strcmp(f->kind, "postgresql") == 0)
		assert_true(number >= expected);
	else
		assert_int_equal(number, expected);
}

/* --- what is written --- */

#define OK(call)                                                          \
	do {                                                              \
		if (!(call))                                              \
			fail_msg("%s: %s", #call, store_error(f->store)); \
	} while (0)

#define READ_OK(call)                                                             \
	do {                                                                      \
		if (!(call))                                                      \
			fail_msg("%s: %s", #call, store_reader_error(f->reader)); \
	} while (0)

static void begin(struct fixture *f)
{
	OK(store_begin(f->store));
}

static void commit(struct fixture *f)
{
	OK(store_commit(f->store));
}

static struct message_row row_of(const char *id, const char *waits_for, enum lane lane, int64_t due)
{
	return (struct message_row){.id = xstrdup(id),
				    .hash = {1, 2, 3},
				    .product = xstrdup("card-alerts"),
				    .template = xstrdup("paid"),
				    .campaign = xstrdup("may"),
				    .body = xstrdup("{\"meta\":{\"order\":\"7\"}}"),
				    .purpose = PURPOSE_SERVICE,
				    .lane = lane,
				    .admitted_at = 1000,
				    .state = STATE_QUEUED,
				    .waits_for = xstrdup(waits_for),
				    .due = due,
				    .rejected = xstrdup(""),
				    .waited = xstrdup(""),
				    .wait_channel = xstrdup(""),
				    .counted = xstrdup(""),
				    .channel = xstrdup(""),
				    .reasons = xstrdup("[]")};
}

static int64_t add_row(struct fixture *f, struct message_row row)
{
	struct message_row *rows[] = {&row};

	OK(store_number_messages(f->store, rows, 1));
	OK(store_add_messages(f->store, rows, 1));
	int64_t n = row.n;
	message_row_release(&row);
	return n;
}

static int64_t add_waiting(struct fixture *f, const char *id, const char *waits_for, enum lane lane,
			   int64_t due)
{
	return add_row(f, row_of(id, waits_for, lane, due));
}

static int64_t add_of(struct fixture *f, const char *id, int64_t customer, enum state state, int64_t due)
{
	struct message_row row = row_of(id, "sms", LANE_NORMAL, due);

	row.customer = customer;
	row.state = state;
	return add_row(f, row);
}

static struct contact contact_of(int64_t at, int64_t customer, int64_t message, const char *product,
				 const char *channel, enum state state)
{
	return (struct contact){.at = at,
				.customer = customer,
				.message = message,
				.product = xstrdup(product),
				.channel = xstrdup(channel),
				.state = state,
				.attempt = 1,
				.provider = xstrdup("twilio"),
				.provider_ref = xstrdup(""),
				.template = xstrdup("paid"),
				.template_hash = xstrdup("abc"),
				.summary = xstrdup("You paid"),
				.content = xstrdup(""),
				.reason = xstrdup("chosen"),
				.reason_args = xstrdup("{}"),
				.code = xstrdup(""),
				.detail = xstrdup(""),
				.preference = 3,
				.preference_seq = 4,
				.customer_seq = 5,
				.address_seq = 6,
				.products_seq = 7,
				.captured = true};
}

static int64_t add_contact(struct fixture *f, struct contact contact)
{
	OK(store_add_contacts(f->store, (struct contact *const[]){&contact}, 1));
	int64_t seq = contact.seq;
	contact_release(&contact);
	return seq;
}

static int64_t add_plain_contact(struct fixture *f, int64_t at)
{
	return add_contact(f, contact_of(at, 0, 0, "p", "sms", STATE_SENDING));
}

static void save_contact(struct fixture *f, int64_t seq, enum state state, const char *ref)
{
	struct contact contact;

	OK(store_get_contacts(f->store, &seq, 1, &contact));
	contact.state = state;
	free(contact.provider_ref);
	contact.provider_ref = xstrdup(ref);
	contact.segments = 2;
	OK(store_save_contacts(f->store, (struct contact *const[]){&contact}, 1));
	contact_release(&contact);
}

static struct address address_of(const char *channel, const char *value)
{
	return (struct address){.channel = xstrdup(channel), .value = xstrdup(value), .details = xstrdup("")};
}

/* A customer who is reached on up to two channels; with room for two more addresses. */
static struct customer *customer_of(const char *id, const char *email, const char *sms)
{
	struct customer *customer = xcalloc(1, sizeof *customer);

	customer->id = xstrdup(id);
	customer->name = xstrdup("Ana");
	customer->locale = xstrdup("es-AR");
	customer->timezone = xstrdup("UTC");
	customer->addresses = xcalloc(4, sizeof *customer->addresses);
	if (email)
		customer->addresses[customer->address_count++] = address_of("email", email);
	if (sms)
		customer->addresses[customer->address_count++] = address_of("sms", sms);
	return customer;
}

static int64_t put_customer(struct fixture *f, const char *id, const char *email, const char *sms)
{
	struct customer *customer = customer_of(id, email, sms);

	OK(store_put_customer(f->store, customer));
	int64_t n = customer->n;
	customer_free(customer);
	return n;
}

/* `channel` NULL: channels not chosen; "": none chosen. */
static void put_preference(struct fixture *f, int64_t customer, const char *product, const char *channel,
			   int64_t version)
{
	char nothing[] = "";
	char immediate[] = "immediate";
	char page[] = "page";
	struct preference_entry entry = {.channel = (char *)channel, .hours = nothing};
	struct preference preference = {.product = (char *)product,
					.has_channels = channel != NULL,
					.channels = &entry,
					.channel_count = channel && *channel,
					.hours = nothing,
					.digest = immediate,
					.version = version,
					.changed_at = 77,
					.changed_by = page,
					.seq = 9};

	OK(store_put_preference(f->store, customer, &preference));
}

static struct change change_of(enum change_kind kind, int64_t customer, const char *subject)
{
	static char page[] = "page", ana[] = "ana", branch[] = "branch", evidence[] = "{\"wording\":\"yes\"}";
	static char nothing[] = "", list[] = "[]";

	return (struct change){.kind = kind,
			       .at = 10,
			       .given_at = 5,
			       .customer = customer,
			       .subject = (char *)subject,
			       .by = page,
			       .actor = ana,
			       .source = branch,
			       .evidence = evidence,
			       .old_value = nothing,
			       .new_value = list};
}

/* In one call. Their last number. */
static int64_t add_events(struct fixture *f, size_t count, const char *const json[])
{
	struct event_row rows[8];
	struct event_row *list[8] = {0};

	for (size_t i = 0; i < count; i++) {
		rows[i] = (struct event_row){.json = (char *)json[i]};
		list[i] = &rows[i];
	}
	OK(store_add_events(f->store, list, count));
	for (size_t i = 1; i < count; i++)
		assert_int_equal(rows[i].seq, rows[i - 1].seq + 1);
	return rows[count - 1].seq;
}

static int64_t add_event(struct fixture *f, const char *json)
{
	struct event_row event = {.json = (char *)json};

	OK(store_add_events(f->store, (struct event_row *const[]){&event}, 1));
	return event.seq;
}

/* --- what is read --- */

static void assert_ids(struct message_rows *rows, const char *expected)
{
	struct text ids;

	text_init(&ids, 65536);
	for (size_t i = 0; i < rows->count; i++)
		text_addf(&ids, "%s%s", i ? " " : "", rows->rows[i].id);
	message_rows_release(rows);
	assert_string_equal(ids.data, expected);
	text_release(&ids);
}

static void assert_due(struct fixture *f, const char *waits_for, enum lane lane, int64_t now, size_t limit,
		       const char *expected)
{
	struct message_rows rows = {0};

	OK(store_due(f->store, waits_for, lane, now, limit, &rows));
	assert_ids(&rows, expected);
}

static void assert_next_due(struct fixture *f, const char *waits_for, int64_t expected)
{
	int64_t due = 0;

	OK(store_next_due(f->store, waits_for, &due));
	assert_true(due == expected);
}

/* The numbers of the contacts in the order of the answer. */
static void assert_log(struct fixture *f, struct log_query query, const char *expected)
{
	struct contact *contacts = NULL;
	size_t count = 0;
	struct text line;

	query.limit = query.limit ? query.limit : 100;
	READ_OK(store_read_log(f->reader, &query, &contacts, &count));
	text_init(&line, 65536);
	for (size_t i = 0; i < count; i++) {
		text_addf(&line, "%s%lld", i ? " " : "", (long long)contacts[i].seq);
		contact_release(&contacts[i]);
	}
	free(contacts);
	assert_string_equal(line.data, expected);
	text_release(&line);
}

static void read_row(struct fixture *f, const char *id, struct message_row *out)
{
	OK(store_find_messages(f->store, (const char *const[]){id}, 1, out));
}

static int count_events(struct fixture *f)
{
	struct event_row *events = NULL;
	size_t count = 0;

	OK(store_get_events(f->store, 0, 1000, &events, &count));
	for (size_t i = 0; i < count; i++)
		free(events[i].json);
	free(events);
	return (int)count;
}

/* --- messages --- */

static void a_message_is_found_by_its_id_and_comes_back_whole(void **state)
{
	struct fixture *f = *state;
	const char *ids[] = {"m-2", "unknown", "m-1"};
	struct message_row out[3];

	begin(f);
	int64_t customer = put_customer(f, "c-1", NULL, NULL);
	int64_t first = add_of(f, "m-1", customer, STATE_DEFERRED, 5);
	int64_t second = add_waiting(f, "m-2", "email", LANE_BULK, MOMENT_NEVER);
	commit(f);
	assert_true(second > first);
	OK(store_find_messages(f->store, ids, 3, out));
	assert_int_equal(out[0].n, second);
	assert_int_equal(out[1].n, 0);
	assert_int_equal(out[2].n, first);
	assert_string_equal(out[2].customer_id, "c-1");
	assert_int_equal(out[2].customer, customer);
	assert_string_equal(out[2].product, "card-alerts");
	assert_string_equal(out[2].template, "paid");
	assert_string_equal(out[2].campaign, "may");
	assert_string_equal(out[2].body, "{\"meta\":{\"order\":\"7\"}}");
	assert_memory_equal(out[2].hash, ((unsigned char[MESSAGE_HASH_SIZE]){1, 2, 3}), MESSAGE_HASH_SIZE);
	assert_int_equal(out[2].purpose, PURPOSE_SERVICE);
	assert_int_equal(out[2].lane, LANE_NORMAL);
	assert_int_equal(out[2].admitted_at, 1000);
	assert_int_equal(out[2].state, STATE_DEFERRED);
	assert_int_equal(out[2].due, 5);
	for (int i = 0; i < 3; i++)
		message_row_release(&out[i]);
}

static void what_changes_is_saved(void **state)
{
	struct fixture *f = *state;
	struct message_row row, back;

	begin(f);
	int64_t n = add_waiting(f, "m", "email", LANE_NORMAL, 5);
	OK(store_get_messages(f->store, &n, 1, &row));
	row.state = STATE_SENDING;
	row.due = MOMENT_NEVER;
	row.attempts = 2;
	row.tries = 1;
	row.epoch = 3;
	row.lease = 4;
	row.give_up_at = 5;
	row.fault_since = 6;
	row.contact = 7;
	free(row.rejected);
	row.rejected = xstrdup("sms,email");
	free(row.channel);
	row.channel = xstrdup("webhook");
	free(row.reasons);
	row.reasons = xstrdup("[{\"code\":\"chosen\"}]");
	OK(store_save_messages(f->store, (struct message_row *const[]){&row}, 1));
	commit(f);
	READ_OK(store_read_message(f->reader, "m", &back));
	assert_int_equal(back.state, STATE_SENDING);
	assert_true(back.due == MOMENT_NEVER);
	assert_int_equal(back.attempts, 2);
	assert_int_equal(back.tries, 1);
	assert_int_equal(back.epoch, 3);
	assert_int_equal(back.lease, 4);
	assert_int_equal(back.give_up_at, 5);
	assert_int_equal(back.fault_since, 6);
	assert_int_equal(back.contact, 7);
	assert_string_equal(back.rejected, "sms,email");
	assert_string_equal(back.channel, "webhook");
	assert_string_equal(back.reasons, "[{\"code\":\"chosen\"}]");
	message_row_release(&row);
	message_row_release(&back);
}

static void an_id_is_added_once(void **state)
{
	struct fixture *f = *state;
	struct message_row row = row_of("m", "sms", LANE_NORMAL, 1);
	struct message_row *rows[] = {&row};

	begin(f);
	add_waiting(f, "m", "sms", LANE_NORMAL, 1);
	OK(store_number_messages(f->store, rows, 1));
	assert_false(store_add_messages(f->store, rows, 1));
	assert_true(*store_error(f->store));
	store_rollback(f->store);
	message_row_release(&row);
}

static void what_is_due_comes_in_the_order_of_due_then_number(void **state)
{
	struct fixture *f = *state;

	begin(f);
	add_waiting(f, "late", "sms", LANE_NORMAL, 30);
	add_waiting(f, "b", "sms", LANE_NORMAL, 10);
	add_waiting(f, "a", "sms", LANE_NORMAL, 10);
	add_waiting(f, "early", "sms", LANE_NORMAL, 5);
	add_waiting(f, "bulk", "sms", LANE_BULK, 1);
	add_waiting(f, "mail", "email", LANE_NORMAL, 1);
	add_waiting(f, "none", "sms", LANE_NORMAL, MOMENT_NEVER);
	commit(f);
	assert_due(f, "sms", LANE_NORMAL, 10, 10, "early b a");
	assert_due(f, "sms", LANE_NORMAL, 10, 2, "early b");
	assert_due(f, "sms", LANE_NORMAL, 4, 10, "");
	assert_due(f, "sms", LANE_NORMAL, 100, 10, "early b a late");
	assert_due(f, "sms", LANE_BULK, 100, 10, "bulk");
	assert_due(f, "sms", LANE_URGENT, 100, 10, "");
	assert_due(f, "", LANE_NORMAL, 100, 10, "");
}

static void the_next_due_is_the_earliest_of_all_lanes(void **state)
{
	struct fixture *f = *state;

	assert_next_due(f, "sms", MOMENT_NEVER);
	begin(f);
	add_waiting(f, "a", "sms", LANE_BULK, 30);
	add_waiting(f, "b", "sms", LANE_NORMAL, 40);
	assert_next_due(f, "sms", 30);
	commit(f);
	assert_next_due(f, "sms", 30);
	assert_next_due(f, "email", MOMENT_NEVER);
}

static void set_waiting(struct fixture *f, const char *id, const char *waits_for, enum lane lane, int64_t due)
{
	struct message_row row;

	read_row(f, id, &row);
	free(row.waits_for);
	row.waits_for = xstrdup(waits_for);
	row.lane = lane;
	row.due = due;
	/* twice from the same row: it knows how it was left */
	OK(store_save_messages(f->store, (struct message_row *const[]){&row}, 1));
	OK(store_save_messages(f->store, (struct message_row *const[]){&row}, 1));
	message_row_release(&row);
}

static void the_waiting_index_follows_every_change(void **state)
{
	struct fixture *f = *state;

	begin(f);
	add_waiting(f, "m", "sms", LANE_NORMAL, 10);
	add_waiting(f, "other", "sms", LANE_NORMAL, 20);
	set_waiting(f, "m", "sms", LANE_NORMAL, 30);
	assert_due(f, "sms", LANE_NORMAL, 100, 10, "other m");
	set_waiting(f, "m", "email", LANE_NORMAL, 30);
	assert_due(f, "sms", LANE_NORMAL, 100, 10, "other");
	assert_due(f, "email", LANE_NORMAL, 100, 10, "m");
	set_waiting(f, "m", "email", LANE_BULK, 30);
	assert_due(f, "email", LANE_NORMAL, 100, 10, "");
	assert_due(f, "email", LANE_BULK, 100, 10, "m");
	set_waiting(f, "m", "", LANE_BULK, 0);
	assert_due(f, "", LANE_BULK, 0, 10, "m");
	set_waiting(f, "m", "email", LANE_BULK, MOMENT_NEVER);
	assert_due(f, "email", LANE_BULK, INT64_MAX, 10, "");
	assert_next_due(f, "email", MOMENT_NEVER);
	set_waiting(f, "m", "sms", LANE_NORMAL, 5);
	assert_due(f, "sms", LANE_NORMAL, 100, 10, "m other");
	commit(f);
	assert_due(f, "sms", LANE_NORMAL, 100, 10, "m other");
}

static void a_sweep_in_slices_sees_each_waiting_row_once(void **state)
{
	struct fixture *f = *state;
	struct waiting_at at = {0};
	struct message_rows rows = {0};

	begin(f);
	add_waiting(f, "e", "sms", LANE_BULK, 1);
	add_waiting(f, "b", "sms", LANE_NORMAL, 0);
	add_waiting(f, "d", "sms", LANE_NORMAL, 20);
	add_waiting(f, "c", "sms", LANE_NORMAL, 10);
	add_waiting(f, "a", "sms", LANE_URGENT, 99);
	add_waiting(f, "x", "email", LANE_URGENT, 1);
	commit(f);
	OK(store_waiting(f->store, "sms", &at, 2, &rows));
	assert_ids(&rows, "a b");
	OK(store_waiting(f->store, "sms", &at, 2, &rows));
	assert_ids(&rows, "c d");
	OK(store_waiting(f->store, "sms", &at, 2, &rows));
	assert_ids(&rows, "e");
	OK(store_waiting(f->store, "sms", &at, 2, &rows));
	assert_ids(&rows, "");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void what_anything_waits_for_is_named_once(void **state)
{
	struct fixture *f = *state;
	char **names = NULL;
	size_t count = 0;

	OK(store_waited_for(f->store, &names, &count));
	assert_int_equal(count, 0);
	begin(f);
	add_waiting(f, "a", "sms", LANE_NORMAL, 1);
	add_waiting(f, "b", "sms", LANE_BULK, 2);
	add_waiting(f, "c", "", LANE_BULK, 2);
	add_waiting(f, "d", "pigeon", LANE_BULK, 2);
	add_waiting(f, "e", "fax", LANE_BULK, MOMENT_NEVER);
	OK(store_waited_for(f->store, &names, &count));
	commit(f);
	assert_int_equal(count, 3);
	qsort(names, count, sizeof *names, by_name);
	assert_string_equal(names[0], "");
	assert_string_equal(names[1], "pigeon");
	assert_string_equal(names[2], "sms");
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static void a_customers_waiting_and_open_messages_are_found(void **state)
{
	struct fixture *f = *state;
	struct message_rows rows = {0};

	begin(f);
	int64_t ana = put_customer(f, "ana", NULL, NULL);
	int64_t bob = put_customer(f, "bob", NULL, NULL);
	add_of(f, "waits", ana, STATE_DEFERRED, 50);
	add_of(f, "flies", ana, STATE_SENDING, MOMENT_NEVER);
	add_of(f, "doubt", ana, STATE_IN_DOUBT, MOMENT_NEVER);
	add_of(f, "resend", ana, STATE_IN_DOUBT, 60);
	add_of(f, "over", ana, STATE_SENT, MOMENT_NEVER);
	add_of(f, "bobs", bob, STATE_SENDING, MOMENT_NEVER);
	commit(f);
	OK(store_waiting_of(f->store, ana, 0, 9, &rows));
	assert_ids(&rows, "waits resend");
	OK(store_open_of(f->store, ana, &rows));
	assert_ids(&rows, "flies doubt resend");
	OK(store_waiting_of(f->store, bob, 0, 9, &rows));
	assert_ids(&rows, "");
}

static void what_waits_of_a_customer_is_found_in_slices(void **state)
{
	struct fixture *f = *state;
	struct message_rows rows = {0};

	begin(f);
	int64_t ana = put_customer(f, "ana", NULL, NULL);
	add_of(f, "a", ana, STATE_DEFERRED, 90);
	int64_t b = add_of(f, "b", ana, STATE_DEFERRED, 10);
	add_of(f, "over", ana, STATE_SENT, MOMENT_NEVER);
	add_of(f, "c", ana, STATE_DEFERRED, 50);
	commit(f);
	OK(store_waiting_of(f->store, ana, 0, 2, &rows));
	assert_ids(&rows, "a b");
	OK(store_waiting_of(f->store, ana, b, 2, &rows));
	assert_ids(&rows, "c");
	OK(store_waiting_of(f->store, ana, 0, 0, &rows));
	assert_ids(&rows, "");
}

static void a_customers_contacts_in_doubt_are_found_until_they_are_none(void **state)
{
	struct fixture *f = *state;
	struct contact *out = NULL;
	size_t count = 0;

	begin(f);
	add_contact(f, contact_of(5, 1, 2, "p", "sms", STATE_IN_DOUBT));
	int64_t old = add_contact(f, contact_of(40 * MOMENT_DAY, 1, 3, "p", "sms", STATE_SENDING));
	add_contact(f, contact_of(40 * MOMENT_DAY, 2, 4, "p", "sms", STATE_IN_DOUBT));
	add_contact(f, contact_of(41 * MOMENT_DAY, 1, 5, "q", "sms", STATE_IN_DOUBT));
	save_contact(f, old, STATE_IN_DOUBT, "");
	commit(f);
	OK(store_doubts_of(f->store, 1, 10, &out, &count));
	assert_int_equal(count, 2);
	assert_int_equal(out[0].message, 3);
	assert_int_equal(out[1].message, 5);
	assert_string_equal(out[1].product, "q");
	begin(f);
	save_contact(f, old, STATE_DELIVERED, "");
	commit(f);
	OK(store_doubts_of(f->store, 1, 0, &out, &count));
	assert_int_equal(count, 4); /* appended: the first and the last */
	assert_int_equal(out[2].message, 2);
	for (size_t i = 0; i < count; i++)
		contact_release(&out[i]);
	free(out);
}

static void what_waits_of_a_campaign_is_found_in_slices(void **state)
{
	struct fixture *f = *state;
	struct message_rows rows = {0};

	begin(f);
	add_waiting(f, "a", "sms", LANE_NORMAL, 10);
	int64_t b = add_waiting(f, "b", "", LANE_BULK, 5);
	struct message_row other = row_of("other", "sms", LANE_NORMAL, 10);
	free(other.campaign);
	other.campaign = xstrdup("june");
	add_row(f, other);
	add_waiting(f, "sent", "", LANE_NORMAL, MOMENT_NEVER);
	add_waiting(f, "c", "hold:campaign:may", LANE_URGENT, 1);
	commit(f);
	OK(store_waiting_of_campaign(f->store, "may", 0, 2, &rows));
	assert_ids(&rows, "a b");
	OK(store_waiting_of_campaign(f->store, "may", b, 2, &rows));
	assert_ids(&rows, "c");
	begin(f);
	set_waiting(f, "a", "sms", LANE_NORMAL, MOMENT_NEVER);
	OK(store_waiting_of_campaign(f->store, "may", 0, 9, &rows));
	assert_ids(&rows, "b c");
	OK(store_waiting_of_campaign(f->store, "", 0, 9, &rows));
	assert_ids(&rows, "");
	commit(f);
}

static void what_is_sending_is_found_in_slices(void **state)
{
	struct fixture *f = *state;
	struct message_rows rows = {0};

	begin(f);
	add_of(f, "a", 1, STATE_SENDING, MOMENT_NEVER);
	add_of(f, "b", 2, STATE_IN_DOUBT, MOMENT_NEVER);
	int64_t third = add_of(f, "c", 3, STATE_SENDING, MOMENT_NEVER);
	add_of(f, "d", 4, STATE_SENT, MOMENT_NEVER);
	add_of(f, "e", 1, STATE_SENDING, MOMENT_NEVER);
	commit(f);
	OK(store_abandoned(f->store, GATEWAY_ANY, 0, 0, 0, 2, &rows));
	assert_ids(&rows, "a c");
	OK(store_abandoned(f->store, GATEWAY_ANY, 0, 0, third, 2, &rows));
	assert_ids(&rows, "e");
}

static void the_oldest_of_each_lane_is_known(void **state)
{
	static const char *const channels[] = {"sms", "email", "email", "sms"};
	static const enum lane lanes[] = {LANE_NORMAL, LANE_NORMAL, LANE_BULK, LANE_BULK};
	struct fixture *f = *state;
	int64_t oldest[LANES];

	begin(f);
	for (int i = 0; i < 4; i++) {
		char id[16];
		snprintf(id, sizeof id, "m%d", i);
		struct message_row row = row_of(id, channels[i], lanes[i], i == 0 ? MOMENT_NEVER : 50 - i);
		row.admitted_at = 100 * (i + 1);
		add_row(f, row);
	}
	commit(f);
	READ_OK(store_read_ages(f->reader, oldest));
	assert_int_equal(oldest[LANE_URGENT], 0);
	assert_int_equal(oldest[LANE_NORMAL], 200);
	assert_int_equal(oldest[LANE_BULK], 300);
}

static void its_size_on_disk_is_known_where_it_has_one(void **state)
{
	struct fixture *f = *state;
	int64_t bytes = -1;

	READ_OK(store_read_size(f->reader, &bytes));
	assert_true(bytes >= 0);
	assert_true(strncmp(f->url, "sqlite:", 7) != 0 || bytes > 4096);
}

/* --- a clock that was set --- */

/* Each row, and what becomes of it where the clock goes from 1000 by so much. */
static const struct moved {
	const char *id, *waits_for;
	enum state state;
	int64_t due, give_up_at, fault_since, wait_since, wait_until;
	int64_t ahead[5], back[5]; /* the same five, by 500 and by -500 */
} moved[] = {
	{"pauses",
	 "sms",
	 STATE_DEFERRED,
	 1010,
	 2000,
	 0,
	 900,
	 1900,
	 {1510, 2500, 0, 1400, 2400},
	 {510, 1500, 0, 400, 1400}},
	{"its-turn", "sms", STATE_QUEUED, 990, 0, 0, 0, 0, {1490, 0, 0, 0, 0}, {490, 0, 0, 0, 0}},
	{"at-fault",
	 "sms",
	 STATE_DEFERRED,
	 800,
	 2000,
	 800,
	 0,
	 0,
	 {1300, 2500, 1300, 0, 0},
	 {300, 1500, 300, 0, 0}},
	{"doubt", "sms", STATE_IN_DOUBT, 1010, 0, 0, 0, 0, {1510, 0, 0, 0, 0}, {510, 0, 0, 0, 0}},
	{"hours",
	 "",
	 STATE_DEFERRED,
	 1400,
	 3000,
	 0,
	 1400,
	 1900,
	 {1400, 3000, 0, 1400, 1900},
	 {500, 3000, 0, 1400, 1900}},
	{"receipt", "", STATE_SENT, 1900, 0, 0, 900, 1900, {2400, 0, 0, 1400, 2400}, {1400, 0, 0, 400, 1400}},
	{"held",
	 "hold:campaign:spring",
	 STATE_DEFERRED,
	 1000,
	 2000,
	 900,
	 0,
	 0,
	 {1000, 2500, 1400, 0, 0},
	 {1000, 1500, 400, 0, 0}},
	{"ended",
	 "",
	 STATE_DELIVERED,
	 MOMENT_NEVER,
	 2000,
	 0,
	 900,
	 1900,
	 {MOMENT_NEVER, 2000, 0, 900, 1900},
	 {MOMENT_NEVER, 2000, 0, 900, 1900}},
};
#define MOVED (sizeof moved / sizeof moved[0])

static void assert_moved(struct fixture *f, const char *id, const int64_t wanted[5])
{
	struct message_row row;

	OK(store_find_messages(f->store, &id, 1, &row));
	const int64_t is[5] = {row.due, row.give_up_at, row.fault_since, row.wait_since, row.wait_until};
	for (int i = 0; i < 5; i++)
		if (is[i] != wanted[i])
			fail_msg("%s: number %d is %lld, not %lld", id, i, (long long)is[i],
				 (long long)wanted[i]);
	message_row_release(&row);
}

static void what_waits_for_a_while_follows_the_clock_and_what_waits_for_a_time_of_day_keeps_it(void **state)
{
	struct fixture *f = *state;
	int64_t due;

	if (store_is_shared(f->store))
		skip(); /* the clock is the server's */
	begin(f);
	for (size_t i = 0; i < MOVED; i++) {
		struct message_row row = row_of(moved[i].id, moved[i].waits_for, LANE_NORMAL, moved[i].due);
		row.state = moved[i].state;
		row.give_up_at = moved[i].give_up_at;
		row.fault_since = moved[i].fault_since;
		row.wait_since = moved[i].wait_since;
		row.wait_until = moved[i].wait_until;
		add_row(f, row);
	}
	commit(f);
	begin(f);
	OK(store_move_clock(f->store, 1000, 500));
	for (size_t i = 0; i < MOVED; i++)
		assert_moved(f, moved[i].id, moved[i].ahead);
	OK(store_next_due(f->store, "sms", &due));
	assert_int_equal(due, 1300);
	store_rollback(f->store);
	begin(f);
	OK(store_move_clock(f->store, 1000, -500));
	commit(f);
	for (size_t i = 0; i < MOVED; i++)
		assert_moved(f, moved[i].id, moved[i].back);
	OK(store_next_due(f->store, "sms", &due));
	assert_int_equal(due, 300);
	OK(store_next_due(f->store, "", &due));
	assert_int_equal(due, 500);
}

/* --- claims --- */

static int64_t add_claimed(struct fixture *f, const char *id, int64_t gateway, int64_t lease)
{
	struct message_row row = row_of(id, "", LANE_NORMAL, MOMENT_NEVER);

	row.customer = 7;
	row.state = STATE_SENDING;
	row.gateway = gateway;
	row.lease = lease;
	row.epoch = 1;
	return add_row(f, row);
}

static void a_gateway_keeps_its_number(void **state)
{
	struct fixture *f = *state;
	int64_t one, two, again, before = -1;
	char *name;

	begin(f);
	OK(store_report_gateway(f->store, "gw-1", "boot", 10, &one, &before));
	OK(store_report_gateway(f->store, "gw-2", "boot", 10, &two, &before));
	assert_int_equal(before, 0);
	commit(f);
	begin(f);
	OK(store_report_gateway(f->store, "gw-1", "other", 20, &again, &before));
	commit(f);
	assert_int_equal(before, store_is_shared(f->store) ? 0 : 10);
	assert_int_equal(again, one);
	assert_int_not_equal(two, one);
	OK(store_gateway_name(f->store, two, &name));
	assert_string_equal(name, "gw-2");
	free(name);
	OK(store_gateway_name(f->store, 99, &name));
	assert_string_equal(name, "");
	free(name);
}

static void what_is_abandoned_is_ones_own_and_what_the_silent_claimed(void **state)
{
	struct fixture *f = *state;
	struct message_rows rows = {0};
	int64_t one, two, before;

	begin(f);
	OK(store_report_gateway(f->store, "gw-1", "boot", 100, &one, &before));
	OK(store_report_gateway(f->store, "gw-2", "boot", 50, &two, &before));
	add_claimed(f, "mine", one, 90);
	add_claimed(f, "theirs", two, 60);
	add_claimed(f, "theirs-held", two, 80);
	add_claimed(f, "nobodys", 0, 60);
	commit(f);
	OK(store_abandoned(f->store, one, 70, 60, 0, 9, &rows));
	assert_ids(&rows, "mine theirs nobodys");
	OK(store_abandoned(f->store, 0, 70, 60, 0, 9, &rows));
	assert_ids(&rows, "theirs nobodys");
	OK(store_abandoned(f->store, 0, 70, 40, 0, 9, &rows)); /* gw-2 has reported since */
	assert_ids(&rows, "nobodys");
}

static void what_another_has_claimed_is_not_overwritten(void **state)
{
	struct fixture *f = *state;
	struct message_row mine, theirs;

	begin(f);
	int64_t n = add_claimed(f, "m", 1, 60);
	OK(store_get_messages(f->store, &n, 1, &mine));
	OK(store_get_messages(f->store, &n, 1, &theirs));
	theirs.epoch++;
	theirs.gateway = 2;
	OK(store_save_messages(f->store, (struct message_row *const[]){&theirs}, 1));
	commit(f);
	begin(f);
	mine.state = STATE_SENT;
	assert_false(store_save_messages(f->store, (struct message_row *const[]){&mine}, 1));
	store_rollback(f->store);
	begin(f); /* the one that has it may save it again */
	theirs.state = STATE_DELIVERED;
	OK(store_save_messages(f->store, (struct message_row *const[]){&theirs}, 1));
	commit(f);
	message_row_release(&mine);
	OK(store_get_messages(f->store, &n, 1, &mine));
	assert_int_equal(mine.state, STATE_DELIVERED);
	assert_int_equal(mine.gateway, 2);
	message_row_release(&mine);
	message_row_release(&theirs);
}

static void a_contact_knows_how_far_the_log_was_and_takes_a_late_report(void **state)
{
	struct fixture *f = *state;
	struct change change = {.kind = CHANGE_PREFERENCE,
				.subject = (char *)"p",
				.by = (char *)"cli",
				.actor = (char *)"",
				.source = (char *)"",
				.evidence = (char *)"",
				.old_value = (char *)"",
				.new_value = (char *)"{}"};
	struct contact read;

	begin(f);
	OK(store_append_changes(f->store, (struct change *const[]){&change}, 1));
	int64_t seq = add_plain_contact(f, 1);
	OK(store_get_contacts(f->store, &seq, 1, &read));
	assert_int_equal(read.log_seq, change.seq);
	assert_int_equal(read.late, 0);
	read.late = 9;
	OK(store_save_contacts(f->store, (struct contact *const[]){&read}, 1));
	contact_release(&read);
	OK(store_get_contacts(f->store, &seq, 1, &read));
	commit(f);
	assert_int_equal(read.late, 9);
	contact_release(&read);
}

/* Behind the store's back: gives the first number of the last row. */
static int64_t tell_sqlite(const struct fixture *f, const char *words)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	int64_t number = 0;
	int code = SQLITE_DONE;

	assert_int_equal(sqlite3_open(strchr(f->url, ':') + 1, &db), SQLITE_OK);
	while (*words) {
		assert_int_equal(sqlite3_prepare_v2(db, words, -1, &statement, &words), SQLITE_OK);
		while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
			number = sqlite3_column_int64(statement, 0);
		assert_int_equal(code, SQLITE_DONE);
		sqlite3_finalize(statement);
	}
	sqlite3_close(db);
	return number;
}

static void months_of_an_earlier_heed_get_the_columns_that_came_since(void **state)
{
	struct fixture *f = *state;
	struct contact read;

	begin(f);
	int64_t seq = add_plain_contact(f, 1);
	commit(f);
	close_both(f);
	tell_sqlite(f, "ALTER TABLE contact_197001 DROP COLUMN late;"
		       "ALTER TABLE contact_197001 DROP COLUMN log_seq");
	open_both(f);
	OK(store_get_contacts(f->store, &seq, 1, &read));
	assert_int_equal(read.seq, seq);
	assert_int_equal(read.late, 0);
	contact_release(&read);
}

/* --- contacts and the log --- */

static void a_contact_comes_back_whole_and_takes_its_outcome(void **state)
{
	struct fixture *f = *state;
	struct contact out[2];

	begin(f);
	int64_t seq = add_contact(f, contact_of(MOMENT_DAY, 1, 2, "p", "sms", STATE_SENDING));
	save_contact(f, seq, STATE_SENT, "SM1");
	OK(store_get_contacts(f->store, (const int64_t[]){seq, seq + 1}, 2, out));
	commit(f);
	assert_int_equal(out[1].seq, 0);
	assert_int_equal(out[0].seq, seq);
	assert_int_equal(out[0].at, MOMENT_DAY);
	assert_int_equal(out[0].customer, 1);
	assert_int_equal(out[0].message, 2);
	assert_int_equal(out[0].state, STATE_SENT);
	assert_int_equal(out[0].attempt, 1);
	assert_string_equal(out[0].product, "p");
	assert_string_equal(out[0].channel, "sms");
	assert_string_equal(out[0].provider, "twilio");
	assert_string_equal(out[0].provider_ref, "SM1");
	assert_string_equal(out[0].template, "paid");
	assert_string_equal(out[0].template_hash, "abc");
	assert_string_equal(out[0].summary, "You paid");
	assert_string_equal(out[0].reason, "chosen");
	assert_string_equal(out[0].reason_args, "{}");
	assert_int_equal(out[0].preference, 3);
	assert_int_equal(out[0].preference_seq, 4);
	assert_int_equal(out[0].customer_seq, 5);
	assert_int_equal(out[0].address_seq, 6);
	assert_int_equal(out[0].products_seq, 7);
	assert_int_equal(out[0].segments, 2);
	assert_true(out[0].captured);
	contact_release(&out[0]);
}

static void the_log_names_what_a_contact_points_to(void **state)
{
	struct fixture *f = *state;
	struct contact *contacts = NULL;
	size_t count = 0;
	struct customer *ana = customer_of("ana", NULL, "+491");

	begin(f);
	OK(store_put_customer(f->store, ana));
	int64_t message = add_of(f, "m-1", ana->n, STATE_SENDING, MOMENT_NEVER);
	struct contact contact = contact_of(1, ana->n, message, "p", "sms", STATE_SENDING);
	contact.address = ana->addresses[0].n;
	add_contact(f, contact);
	add_plain_contact(f, 1);
	commit(f);
	READ_OK(store_read_log(f->reader, &(struct log_query){.limit = 5}, &contacts, &count));
	assert_int_equal(count, 2);
	assert_string_equal(contacts[0].customer_id, "ana");
	assert_string_equal(contacts[0].address_value, "+491");
	assert_int_equal(contacts[0].message_count, 1);
	assert_string_equal(contacts[0].message_ids[0], "m-1");
	assert_string_equal(contacts[0].meta, "{\"order\":\"7\"}");
	assert_string_equal(contacts[1].customer_id, "");
	assert_string_equal(contacts[1].address_value, "");
	assert_int_equal(contacts[1].message_count, 0);
	assert_string_equal(contacts[1].meta, "");
	contact_release(&contacts[0]);
	contact_release(&contacts[1]);
	free(contacts);
	customer_free(ana);
}

/* Ten contacts over three months, of two customers; some with a time that is not in the order of seq. */
static void fill_log(struct fixture *f)
{
	static const int days[] = {1, 2, 31, 32, 30, 33, 60, 61, 34, 62};
	static const char *const products[] = {"cards", "cards/fraud", "cards-x", "loans"};
	static const char *const channels[] = {"sms", "email", ""};

	begin(f);
	int64_t customers[] = {put_customer(f, "ana", NULL, NULL), put_customer(f, "bob", NULL, NULL)};
	int64_t message = add_of(f, "m", customers[0], STATE_SENDING, MOMENT_NEVER);
	for (int i = 0; i < 10; i++) {
		struct contact contact =
			contact_of(days[i] * MOMENT_DAY, customers[i % 2], i % 4 == 0 ? message : 0,
				   products[i % 4], channels[i % 3], i < 8 ? STATE_SENT : STATE_FAILED);
		contact.captured = i >= 4 && i < 7;
		add_contact(f, contact);
	}
	commit(f);
}

static void the_log_is_read_over_months(void **state)
{
	struct fixture *f = *state;

	fill_log(f);
	assert_log(f, (struct log_query){0}, "1 2 3 4 5 6 7 8 9 10");
	assert_log(f, (struct log_query){.newest_first = true}, "10 9 8 7 6 5 4 3 2 1");
	assert_log(f, (struct log_query){.limit = 3}, "8 9 10");
	assert_log(f, (struct log_query){.limit = 3, .newest_first = true}, "10 9 8");
	assert_log(f, (struct log_query){.limit = 7}, "4 5 6 7 8 9 10");
	assert_log(f, (struct log_query){.limit = 3, .after = 2}, "3 4 5");
	assert_log(f, (struct log_query){.limit = 3, .before = 5, .newest_first = true}, "4 3 2");
}

#define MANY_ROUNDS 18
#define MANY_EACH 500 /* 9,000 contacts in all */

/* Ana has the first of each round, others have the rest, the one behind her has none; over three months. */
static void fill_rounds(struct fixture *f, int64_t ana)
{
	struct contact contacts[MANY_EACH], *all[MANY_EACH];

	for (int round = 0; round < MANY_ROUNDS; round++) {
		for (int i = 0; i < MANY_EACH; i++) {
			contacts[i] = contact_of((1 + 5 * round) * MOMENT_DAY, i ? ana + 1 + i : ana, 0,
						 "cards", round % 2 ? "sms" : "email", STATE_SENT);
			all[i] = &contacts[i];
		}
		OK(store_add_contacts(f->store, all, MANY_EACH));
		for (int i = 0; i < MANY_EACH; i++)
			contact_release(&contacts[i]);
	}
}

static void fill_many(struct fixture *f)
{
	begin(f);
	fill_rounds(f, put_customer(f, "ana", NULL, NULL));
	put_customer(f, "bob", NULL, NULL);
	commit(f);
}

static void the_contacts_of_one_customer_are_found_among_many(void **state)
{
	struct fixture *f = *state;

	fill_many(f);
	assert_log(f, (struct log_query){.customer = "ana", .limit = 3}, "7501 8001 8501");
	assert_log(f, (struct log_query){.customer = "ana", .limit = 3, .newest_first = true},
		   "8501 8001 7501");
	assert_log(f, (struct log_query){.customer = "ana", .limit = 3, .newest_first = true, .before = 2002},
		   "2001 1501 1001");
	assert_log(f, (struct log_query){.customer = "ana", .limit = 9, .after = 6502},
		   "7001 7501 8001 8501");
	assert_log(f, (struct log_query){.customer = "ana", .limit = 9, .after = 6502, .by_change = true},
		   "7001 7501 8001 8501");
	assert_log(f, (struct log_query){.customer = "ana", .channel = "sms", .limit = 4},
		   "5501 6501 7501 8501");
	assert_log(f, (struct log_query){.customer = "ana", .since = 70 * MOMENT_DAY, .newest_first = true},
		   "8501 8001 7501 7001");
	assert_log(f, (struct log_query){.customer = "bob"}, "");
}

/* The audit's page, by customer and seq, whatever the runs that they stand in. */
static void the_audit_reads_many_contacts_by_customer(void **state)
{
	struct fixture *f = *state;
	struct audit_at after = {0};
	int64_t customer = 0, seq = 0, all = 0;
	bool more = true;

	fill_many(f);
	while (more) {
		struct audit_contact *page = NULL;
		size_t count = 0;
		READ_OK(store_audit_contacts(f->reader, &after, 700, &page, &count));
		for (size_t i = 0; i < count; i++) {
			assert_true(page[i].customer > customer ||
				    (page[i].customer == customer && page[i].seq > seq));
			customer = page[i].customer;
			seq = page[i].seq;
		}
		all += (int64_t)count;
		more = count >= 700;
		audit_contacts_free(page, count);
	}
	assert_int_equal(all, MANY_ROUNDS * MANY_EACH);
}

/* What is in nobody's list, or in another's, the audit has not seen. */
static void the_audit_says_where_a_contact_is_not_listed_as_his(void **state)
{
	struct fixture *f = *state;
	struct audit_contact *page = NULL;
	struct audit_at after = {0};
	struct counters rows, kept;
	size_t count = 0;

	begin(f);
	add_contact(f, contact_of(MOMENT_DAY, 9, 0, "cards", "sms", STATE_SENT));
	add_contact(f, contact_of(MOMENT_DAY, 9, 0, "cards", "sms", STATE_SENT));
	commit(f);
	READ_OK(store_audit_sum(f->reader, &rows, &kept));
	tell_sqlite(f, "UPDATE customer_contact SET customer = 8 WHERE seq = 2");
	assert_false(store_audit_contacts(f->reader, &after, 9, &page, &count));
	assert_non_null(
		strstr(store_reader_error(f->reader), "contact 2 is of customer 9 and listed under 8"));
	audit_contacts_free(page, count);
	tell_sqlite(f, "DELETE FROM customer_contact WHERE seq = 2");
	assert_false(store_audit_sum(f->reader, &rows, &kept));
	assert_non_null(strstr(store_reader_error(f->reader), "has 2 contacts and lists 1 by customer"));
}

#define NO_ATTEMPTS 600 /* more than the audit looks for at once where it wants one */

static void the_audit_finds_the_one_attempt_behind_many_that_are_none(void **state)
{
	struct fixture *f = *state;
	struct audit_contact *page = NULL;
	struct audit_at after = {0};
	size_t count = 0;

	begin(f);
	for (int i = 0; i < NO_ATTEMPTS; i++) {
		struct contact reply =
			contact_of(i % 2 ? MOMENT_DAY : 40 * MOMENT_DAY, 0, 0, "", "sms", STATE_SENT);
		reply.direction = DIRECTION_IN;
		add_contact(f, reply);
	}
	int64_t one = add_contact(f, contact_of(40 * MOMENT_DAY, 9, 0, "cards", "sms", STATE_SENT)),
		two = add_contact(f, contact_of(MOMENT_DAY, 9, 0, "cards", "sms", STATE_SENT));
	commit(f);
	READ_OK(store_audit_contacts(f->reader, &after, 1, &page, &count));
	assert_int_equal(count, 1);
	assert_int_equal(page->seq, one);
	audit_contacts_free(page, count);
	READ_OK(store_audit_contacts(f->reader, &after, 1, &page, &count));
	assert_int_equal(count, 1);
	assert_int_equal(page->seq, two); /* none was passed over with what was read ahead */
	audit_contacts_free(page, count);
	READ_OK(store_audit_contacts(f->reader, &after, 1, &page, &count));
	assert_int_equal(count, 0);
}

static void the_log_of_one_customer_is_in_order_though_months_overlap(void **state)
{
	struct fixture *f = *state;
	struct contact last;

	begin(f);
	int64_t ana = put_customer(f, "ana", NULL, NULL), bob = put_customer(f, "bob", NULL, NULL);
	for (int i = 0; i < 8; i++) {
		struct contact contact = contact_of(i % 2 ? MOMENT_DAY : 40 * MOMENT_DAY,
						    i % 4 < 2 ? ana : bob, 0, "cards", "sms", STATE_SENT);
		contact.address = 5;
		add_contact(f, contact);
	}
	OK(store_last_sent(f->store, ana, 5, NULL, &last));
	assert_int_equal(last.seq, 6); /* of January, and numbered behind the one of February */
	contact_release(&last);
	commit(f);
	assert_log(f, (struct log_query){.customer = "ana"}, "1 2 5 6");
	assert_log(f, (struct log_query){.customer = "ana", .newest_first = true, .limit = 3}, "6 5 2");
	assert_log(f, (struct log_query){.customer = "ana", .newest_first = true, .before = 6}, "5 2 1");
	assert_log(f, (struct log_query){.customer = "ana", .newest_first = true, .before = 1}, "");
	assert_log(f, (struct log_query){.customer = "ana", .after = 1, .limit = 2}, "2 5");
	assert_log(f, (struct log_query){.customer = "bob", .since = 35 * MOMENT_DAY}, "3 7");
}

static void a_merge_that_is_rolled_back_leaves_none_out(void **state)
{
	struct fixture *f = *state;

	begin(f);
	int64_t ana = put_customer(f, "ana", NULL, NULL);
	commit(f);
	begin(f);
	fill_rounds(f, ana);
	store_rollback(f->store);
	begin(f);
	OK(store_save_point(f->store));
	fill_rounds(f, ana);
	OK(store_end_point(f->store, false));
	fill_rounds(f, ana);
	commit(f);
	assert_log(f, (struct log_query){.customer = "ana", .limit = 3}, "7501 8001 8501");
	assert_int_equal(tell_sqlite(f, "SELECT count(*) FROM customer_contact"), MANY_ROUNDS * MANY_EACH);
	begin(f);
	fill_rounds(f, ana);
	commit(f);
	assert_log(f, (struct log_query){.customer = "ana", .limit = 3}, "16501 17001 17501");
	assert_int_equal(tell_sqlite(f, "SELECT count(*) FROM customer_contact WHERE run = 0"),
			 6 * 2048 - 1); /* numbers begin at 1 */
}

static void contacts_are_listed_by_customer_in_few_runs(void **state)
{
	struct fixture *f = *state;
	const struct prune prune = {.contacts = 40 * MOMENT_DAY};
	struct pruned out = {0};
	bool more = false;

	close_both(f);
	tell_sqlite(f, "REPLACE INTO number VALUES ('last.contact', 131072 - 5000)");
	open_both(f);
	fill_many(f);
	assert_int_equal(tell_sqlite(f, "SELECT count(*) FROM customer_contact"), MANY_ROUNDS * MANY_EACH);
	/* the last 2,048 of the block are too young to be merged, as is what the next one has */
	assert_int_equal(tell_sqlite(f, "SELECT count(*) FROM customer_contact WHERE run = 0"), 2951);
	assert_int_equal(tell_sqlite(f, "SELECT count(DISTINCT run) FROM customer_contact"), 1 + 1 + 2);
	assert_log(f,
		   (struct log_query){.customer = "ana", .limit = 9, .newest_first = true, .before = 132000},
		   "131573 131073 130573 130073 129573 129073 128573 128073 127573");
	begin(f);
	OK(store_prune(f->store, &prune, 100000, &out, &more));
	commit(f);
	assert_int_equal(out.contacts, 6 * MANY_EACH); /* of January */
	assert_int_equal(tell_sqlite(f, "SELECT count(*) FROM customer_contact"), 12 * MANY_EACH);
}

static void a_store_of_before_lists_its_contacts_when_it_is_migrated(void **state)
{
	struct fixture *f = *state;

	fill_many(f);
	close_both(f);
	tell_sqlite(f, "DROP TABLE customer_contact; UPDATE meta SET value = 41 WHERE name = 'schema';"
		       "CREATE INDEX contact_197001_by_customer ON contact_197001 (customer);"
		       "CREATE TABLE contact_196912 AS SELECT * FROM contact_197001 WHERE false");
	open_both(f);
	assert_int_equal(tell_sqlite(f, "SELECT count(*) FROM customer_contact"), MANY_ROUNDS * MANY_EACH);
	assert_log(f, (struct log_query){.customer = "ana", .limit = 3}, "7501 8001 8501");
	assert_log(f, (struct log_query){.customer = "ana", .limit = 2, .newest_first = true, .before = 502},
		   "501 1");
	assert_int_equal(tell_sqlite(f, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '*_by_customer' "
					"AND name GLOB 'contact_1*'"),
			 0);
}

static void the_log_is_filtered(void **state)
{
	struct fixture *f = *state;

	fill_log(f);
	assert_log(f, (struct log_query){.customer = "ana"}, "1 3 5 7 9");
	assert_log(f, (struct log_query){.customer = "ana", .limit = 2}, "7 9");
	assert_log(f, (struct log_query){.customer = "nobody"}, "");
	assert_log(f, (struct log_query){.product = "cards"}, "1 2 5 6 9 10");
	assert_log(f, (struct log_query){.product = "cards/fraud"}, "2 6 10");
	assert_log(f, (struct log_query){.products = ",cards/fraud,cards-x,"}, "2 3 6 7 10");
	assert_log(f, (struct log_query){.products = ",cards,nothing,"}, "1 2 5 6 9 10");
	assert_log(f, (struct log_query){.products = ",card,", .channel = "email"}, "");
	assert_log(f, (struct log_query){.products = ",cards,", .product = "cards/fraud"}, "2 6 10");
	assert_log(f, (struct log_query){.channel = "email"}, "2 5 8");
	assert_log(f, (struct log_query){.channel = ""}, "3 6 9");
	assert_log(f, (struct log_query){.message = "m"}, "1 5 9");
	assert_log(f, (struct log_query){.message = "unknown"}, "");
	assert_log(f, (struct log_query){.has_state = true, .state = STATE_FAILED}, "9 10");
	assert_log(f, (struct log_query){.captured = true}, "5 6 7");
	assert_log(f, (struct log_query){.captured = true, .customer = "ana", .limit = 1}, "7");
	assert_log(f, (struct log_query){.since = 33 * MOMENT_DAY}, "6 7 8 9 10");
	assert_log(f, (struct log_query){.since = 33 * MOMENT_DAY, .channel = "sms", .customer = "ana"}, "7");
}

static void a_follower_sees_each_change_once_in_order(void **state)
{
	struct fixture *f = *state;
	int64_t last = 0;

	begin(f);
	int64_t a = add_plain_contact(f, 1 * MOMENT_DAY);
	int64_t b = add_plain_contact(f, 40 * MOMENT_DAY);
	commit(f);
	READ_OK(store_read_last_change(f->reader, &last));
	assert_log(f, (struct log_query){.by_change = true, .after = last}, "");
	begin(f);
	save_contact(f, b, STATE_SENT, "1");
	add_plain_contact(f, 2 * MOMENT_DAY);
	save_contact(f, a, STATE_SENT, "2");
	commit(f);
	assert_log(f, (struct log_query){.by_change = true, .after = last}, "2 3 1");
	assert_log(f, (struct log_query){.by_change = true, .after = last, .limit = 1}, "2");
	assert_log(f, (struct log_query){.by_change = true, .after = last + 1, .limit = 1}, "3");
	assert_log(f, (struct log_query){.by_change = true, .after = last + 2, .limit = 1}, "1");
	assert_log(f, (struct log_query){.by_change = true, .limit = 2}, "2 3");
	READ_OK(store_read_last_change(f->reader, &last));
	assert_log(f, (struct log_query){.by_change = true, .after = last}, "");
}

/* --- customers --- */

static void a_customer_comes_back_with_addresses_in_order(void **state)
{
	struct fixture *f = *state;
	struct customer *ana = customer_of("ana", "a@x.example", "+492"), *back = NULL;

	ana->addresses[ana->address_count++] = address_of("sms", "+491");
	ana->seq = 12;
	free(ana->addresses[1].details);
	ana->addresses[1].details = xstrdup("{\"k\":1}");
	begin(f);
	OK(store_put_customer(f->store, ana));
	commit(f);
	assert_true(ana->n > 0);
	OK(store_get_customer(f->store, "ana", &back));
	assert_int_equal(back->n, ana->n);
	assert_string_equal(back->name, "Ana");
	assert_string_equal(back->locale, "es-AR");
	assert_string_equal(back->timezone, "UTC");
	assert_int_equal(back->seq, 12);
	assert_int_equal(back->address_count, 3);
	assert_string_equal(back->addresses[0].value, "a@x.example");
	assert_string_equal(back->addresses[1].value, "+492");
	assert_string_equal(back->addresses[1].details, "{\"k\":1}");
	assert_string_equal(back->addresses[2].value, "+491");
	assert_string_equal(back->addresses[2].channel, "sms");
	assert_int_equal(back->addresses[2].n, ana->addresses[2].n);
	customer_free(back);
	OK(store_get_customer(f->store, "bob", &back));
	assert_null(back);
	customer_free(ana);
}

static void putting_a_customer_again_replaces_the_facts(void **state)
{
	struct fixture *f = *state;
	struct customer *back = NULL;
	struct customer *again = customer_of("ana", NULL, "+499");

	begin(f);
	again->n = put_customer(f, "ana", "a@x.example", "+491");
	OK(store_put_customer(f->store, again));
	OK(store_get_customer(f->store, "ana", &back));
	commit(f);
	assert_int_equal(back->n, again->n);
	assert_int_equal(back->address_count, 1);
	assert_string_equal(back->addresses[0].value, "+499");
	customer_free(back);
	customer_free(again);
}

static void a_customer_is_stamped_and_keeps_the_rest(void **state)
{
	struct fixture *f = *state;
	struct customer *back = NULL;

	begin(f);
	int64_t n = put_customer(f, "ana", "a@x.example", "+491");
	OK(store_stamp_customer(f->store, n, 77));
	OK(store_get_customer(f->store, "ana", &back));
	assert_false(store_stamp_customer(f->store, n + 1, 78));
	store_rollback(f->store);
	assert_int_equal(back->seq, 77);
	assert_int_equal(back->address_count, 2);
	assert_string_equal(back->addresses[1].value, "+491");
	customer_free(back);
}

static void an_address_and_its_state_are_shared(void **state)
{
	struct fixture *f = *state;
	struct customer *ana = customer_of("ana", NULL, "+491");
	struct customer *bob = customer_of("bob", NULL, "+491");
	struct customer *back = NULL;
	int64_t *owners = NULL;
	size_t count = 0;

	begin(f);
	OK(store_put_customer(f->store, ana));
	OK(store_set_address_state(f->store, ana->addresses[0].n, ADDRESS_STOPPED, 44));
	OK(store_put_customer(f->store, bob));
	assert_int_equal(bob->addresses[0].n, ana->addresses[0].n);
	assert_int_equal(bob->addresses[0].state, ADDRESS_STOPPED);
	assert_int_equal(bob->addresses[0].seq, 44);
	OK(store_set_address_state(f->store, ana->addresses[0].n, ADDRESS_DEAD, 45));
	OK(store_get_customer(f->store, "bob", &back));
	assert_int_equal(back->addresses[0].state, ADDRESS_DEAD);
	assert_int_equal(back->addresses[0].seq, 45);
	OK(store_customers_of_address(f->store, ana->addresses[0].n, &owners, &count));
	assert_int_equal(count, 2);
	assert_int_equal(owners[0], ana->n);
	assert_int_equal(owners[1], bob->n);
	commit(f);
	free(owners);
	customer_free(back);
	customer_free(ana);
	customer_free(bob);
}

static void customers_are_looked_up_many_at_once(void **state)
{
	struct fixture *f = *state;
	static const char *const ids[] = {"eve", "nobody", "ana", "eve"};
	struct customer *out[4];

	begin(f);
	put_customer(f, "ana", NULL, "+491");
	int64_t eve = put_customer(f, "eve", "e@x.example", "+491");
	OK(store_get_customers(f->store, ids, 4, out));
	commit(f);
	assert_int_equal(out[0]->n, eve);
	assert_int_equal(out[0]->address_count, 2);
	assert_string_equal(out[0]->addresses[0].value, "e@x.example");
	assert_string_equal(out[0]->addresses[1].value, "+491");
	assert_null(out[1]);
	assert_string_equal(out[2]->id, "ana");
	assert_int_equal(out[2]->address_count, 1);
	assert_int_equal(out[3]->n, eve);
	for (size_t i = 0; i < 4; i++)
		customer_free(out[i]);
}

static void addresses_are_found_or_made_many_at_once(void **state)
{
	struct fixture *f = *state;
	struct customer *ana = customer_of("ana", NULL, "+491");
	struct address list[] = {address_of("sms", "+492"), address_of("sms", "+491"),
				 address_of("voice", "+492"), address_of("sms", "+492")};
	struct address *const all[] = {&list[0], &list[1], &list[2], &list[3]};

	begin(f);
	OK(store_put_customer(f->store, ana));
	OK(store_set_address_state(f->store, ana->addresses[0].n, ADDRESS_STOPPED, 44));
	OK(store_get_addresses(f->store, all, 4, false));
	assert_int_equal(list[0].n, 0);
	assert_int_equal(list[1].n, ana->addresses[0].n);
	assert_int_equal(list[1].state, ADDRESS_STOPPED);
	assert_int_equal(list[1].seq, 44);
	OK(store_get_addresses(f->store, all, 4, true));
	assert_true(list[0].n > 0 && list[2].n > 0 && list[0].n != list[2].n);
	assert_int_equal(list[0].n, list[3].n);
	assert_int_equal(list[0].state, ADDRESS_OK);
	assert_int_equal(list[1].state, ADDRESS_STOPPED);
	store_rollback(f->store);
	begin(f);
	OK(store_get_addresses(f->store, all, 4, false));
	assert_int_equal(list[0].n, 0);
	commit(f);
	customer_free(ana);
	for (size_t i = 0; i < 4; i++) {
		free(list[i].channel);
		free(list[i].value);
		free(list[i].details);
	}
}

/* As an import does it: the log has their numbers, they have the log's. */
static void customers_are_numbered_and_then_added(void **state)
{
	struct fixture *f = *state;
	struct customer *new[] = {customer_of("eve", "e@x.example", "+491"), customer_of("bob", NULL, NULL),
				  customer_of("ana", NULL, "+491")};
	static const char *const ids[] = {"ana", "bob", "eve"};
	struct address *const addresses[] = {&new[0]->addresses[0], &new[0]->addresses[1],
					     &new[2]->addresses[0]};
	struct customer *back[3];
	int64_t *owners = NULL;
	size_t count = 0;

	begin(f);
	OK(store_number_customers(f->store, new, 3));
	assert_true(new[0]->n > 0 && new[0]->n < new[1]->n &&new[1]->n < new[2]->n);
	OK(store_get_addresses(f->store, addresses, 3, true));
	for (int i = 0; i < 3; i++)
		new[i]->seq = 70 + i;
	OK(store_add_customers(f->store, new, 3));
	commit(f);
	OK(store_get_customers(f->store, ids, 3, back));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(back[i]->n, new[2 - i]->n);
		assert_int_equal(back[i]->seq, 72 - i);
		assert_int_equal(back[i]->address_count, new[2 - i]->address_count);
		assert_string_equal(back[i]->locale, "es-AR");
	}
	assert_int_equal(back[0]->addresses[0].n, back[2]->addresses[1].n);
	OK(store_customers_of_address(f->store, back[0]->addresses[0].n, &owners, &count));
	assert_int_equal(count, 2);
	free(owners);
	begin(f);
	int64_t next = put_customer(f, "joe", NULL, NULL);
	assert_true(next > new[2]->n);
	OK(store_number_customers(f->store, &new[1], 1));
	assert_false(store_add_customers(f->store, &new[1], 1)); /* the id is there */
	store_rollback(f->store);
	for (int i = 0; i < 3; i++) {
		customer_free(back[i]);
		customer_free(new[i]);
	}
}

static void preferences_are_written_and_read_many_at_once(void **state)
{
	struct fixture *f = *state;
	char nothing[] = "";
	char immediate[] = "immediate";
	char by[] = "import";
	char sms[] = "sms";
	char alpha[] = "alpha";
	char beta[] = "beta";
	struct preference_entry entry = {.channel = sms, .hours = nothing};
	const struct preference a = {
		.product = alpha, .hours = nothing, .digest = immediate, .changed_by = by};
	struct preference b = {.product = beta,
			       .has_channels = true,
			       .channels = &entry,
			       .channel_count = 1,
			       .hours = nothing,
			       .digest = immediate,
			       .version = 2,
			       .changed_by = by,
			       .seq = 12};
	struct preferences out[3];

	begin(f);
	int64_t ana = put_customer(f, "ana", NULL, NULL), bob = put_customer(f, "bob", NULL, NULL);
	put_preference(f, ana, "beta", "", 1);
	const struct preference_of rows[] = {{ana, &b}, {ana, &a}, {bob, &b}};
	OK(store_put_preferences(f->store, rows, 3));
	OK(store_get_preferences_of(f->store, (const int64_t[]){bob, bob + 100, ana}, 3, out));
	commit(f);
	assert_int_equal(out[0].count, 1);
	assert_int_equal(out[1].count, 0);
	assert_int_equal(out[2].count, 2);
	assert_string_equal(out[2].list[0].product, "alpha");
	assert_false(out[2].list[0].has_channels);
	assert_string_equal(out[2].list[1].product, "beta");
	assert_int_equal(out[2].list[1].version, 2);
	assert_int_equal(out[2].list[1].seq, 12);
	assert_int_equal(out[2].list[1].channel_count, 1);
	assert_string_equal(out[2].list[1].channels[0].channel, "sms");
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < out[i].count; k++)
			preference_release(&out[i].list[k]);
		free(out[i].list);
	}
}

static bool any_erased(struct fixture *f)
{
	bool any;

	OK(store_any_erased(f->store, &any));
	return any;
}

static void it_is_known_whether_anybody_was_erased(void **state)
{
	struct fixture *f = *state;
	struct address_row row = {0};

	begin(f);
	int64_t ana = put_customer(f, "ana", NULL, "+491");
	put_customer(f, "erase", NULL, NULL);
	assert_false(any_erased(f));
	OK(store_erase_customer(f->store, ana, "erased:1", 77));
	assert_true(any_erased(f));
	store_rollback(f->store);
	begin(f);
	OK(store_get_address(f->store, "sms", "+491", true, &row));
	OK(store_rename_address(f->store, row.n, "erased:2"));
	assert_true(any_erased(f));
	store_rollback(f->store);
	assert_false(any_erased(f));
}

static void an_address_keeps_its_state_while_nobody_has_it(void **state)
{
	struct fixture *f = *state;
	struct customer *ana = customer_of("ana", NULL, "+491");
	struct customer *bob = customer_of("bob", NULL, "+491");

	begin(f);
	OK(store_put_customer(f->store, ana));
	OK(store_set_address_state(f->store, ana->addresses[0].n, ADDRESS_STOPPED, 44));
	ana->address_count = 0;
	OK(store_put_customer(f->store, ana));
	ana->address_count = 1;
	OK(store_put_customer(f->store, bob));
	assert_int_equal(bob->addresses[0].state, ADDRESS_STOPPED);
	commit(f);
	customer_free(ana);
	customer_free(bob);
}

static void customers_are_found_by_address_on_any_channel(void **state)
{
	struct fixture *f = *state;
	char **ids = NULL;
	size_t count = 0;

	begin(f);
	put_customer(f, "ana", "a@x.example", "+491");
	put_customer(f, "bob", NULL, "+491");
	put_customer(f, "eve", "b@x.example", "+492");
	commit(f);
	READ_OK(store_read_find(f->reader, "+491", &ids, &count));
	assert_int_equal(count, 2);
	assert_string_equal(ids[0], "ana");
	assert_string_equal(ids[1], "bob");
	free(ids[0]);
	free(ids[1]);
	free(ids);
	READ_OK(store_read_find(f->reader, "+49", &ids, &count));
	assert_int_equal(count, 0);
}

static void a_reader_sees_what_waits_for_a_customer(void **state)
{
	struct fixture *f = *state;
	struct message_rows rows = {0};

	begin(f);
	int64_t ana = put_customer(f, "ana", NULL, NULL), bob = put_customer(f, "bob", NULL, NULL);
	add_of(f, "a", ana, STATE_DEFERRED, 90);
	add_of(f, "bobs", bob, STATE_DEFERRED, 10);
	add_of(f, "b", ana, STATE_QUEUED, 10);
	add_of(f, "over", ana, STATE_SENT, MOMENT_NEVER);
	commit(f);
	READ_OK(store_read_waiting_of(f->reader, ana, 9, &rows));
	assert_ids(&rows, "a b");
	READ_OK(store_read_waiting_of(f->reader, ana, 1, &rows));
	assert_ids(&rows, "a");
}

static void a_customers_id_is_found_by_its_row(void **state)
{
	struct fixture *f = *state;
	char *id;

	begin(f);
	put_customer(f, "ana", NULL, NULL);
	int64_t bob = put_customer(f, "bob", NULL, NULL);
	commit(f);
	READ_OK(store_read_customer_id(f->reader, bob, &id));
	assert_string_equal(id, "bob");
	free(id);
	READ_OK(store_read_customer_id(f->reader, bob + 1000, &id));
	assert_null(id);
	READ_OK(store_read_customer_id(f->reader, 0, &id));
	assert_null(id);
	READ_OK(store_read_customer_id(f->reader, (INT64_C(1) << 40) - 1, &id));
	assert_null(id);
}

static void facts_hold_own_parent_and_star(void **state)
{
	struct fixture *f = *state;
	struct facts by_id = {.customer_id = "ana", .product = "cards/fraud", .parent = "cards"};
	struct facts by_n = {.product = "loans", .parent = ""};
	struct facts unknown = {.customer_id = "nobody", .product = "loans", .parent = ""};

	begin(f);
	int64_t ana = put_customer(f, "ana", "a@x.example", NULL);
	int64_t bob = put_customer(f, "bob", NULL, NULL);
	put_preference(f, ana, "cards/fraud", "sms", 1);
	put_preference(f, ana, "cards", "email", 2);
	put_preference(f, ana, "*", "", 3);
	put_preference(f, ana, "cards/other", "webhook", 4);
	put_preference(f, bob, "*", "sms", 5);
	by_n.customer_n = ana;
	OK(store_read_facts(f->store, (struct facts *const[]){&by_id, &by_n, &unknown}, 3));
	commit(f);
	assert_int_equal(by_id.customer->n, ana);
	assert_int_equal(by_id.customer->address_count, 1);
	assert_int_equal(by_id.own->version, 1);
	assert_string_equal(by_id.own->channels[0].channel, "sms");
	assert_int_equal(by_id.parents->version, 2);
	assert_int_equal(by_id.star->version, 3);
	assert_true(by_id.star->has_channels);
	assert_int_equal(by_id.star->channel_count, 0);
	assert_string_equal(by_n.customer->id, "ana");
	assert_null(by_n.own);
	assert_null(by_n.parents);
	assert_int_equal(by_n.star->version, 3);
	assert_null(unknown.customer);
	assert_null(unknown.own);
	facts_release(&by_id);
	facts_release(&by_n);
	facts_release(&unknown);
}

/* What choosing reads of Ana, whatever way it is kept, is what the customer and the preferences are. */
static void same_facts(struct fixture *f)
{
	struct facts facts = {.customer_id = "ana", .product = "cards/fraud", .parent = "cards"};
	struct customer *customer = NULL;
	struct preference *all = NULL;
	size_t count = 0;

	OK(store_read_facts(f->store, (struct facts *const[]){&facts}, 1));
	OK(store_get_customer(f->store, "ana", &customer));
	OK(store_get_preferences(f->store, customer->n, &all, &count));
	assert_int_equal(facts.customer->n, customer->n);
	assert_string_equal(facts.customer->name, customer->name);
	assert_int_equal(facts.customer->seq, customer->seq);
	assert_int_equal(facts.customer->address_count, customer->address_count);
	for (size_t i = 0; i < customer->address_count; i++) {
		const struct address *a = &facts.customer->addresses[i], *b = &customer->addresses[i];
		assert_int_equal(a->n, b->n);
		assert_string_equal(a->channel, b->channel);
		assert_string_equal(a->value, b->value);
		assert_string_equal(a->details, b->details);
		assert_int_equal(a->state, b->state);
		assert_int_equal(a->seq, b->seq);
	}
	const struct preference *const chain[] = {facts.own, facts.parents, facts.star};
	const char *const names[] = {"cards/fraud", "cards", "*"};
	for (size_t i = 0, seen = 0; i < 3; i++, seen = 0) {
		for (size_t j = 0; j < count; j++) {
			if (strcmp(all[j].product, names[i]) != 0)
				continue;
			json_t *a = preference_to_json(chain[i]), *b = preference_to_json(&all[j]);
			assert_true(json_equal(a, b));
			assert_int_equal(chain[i]->seq, all[j].seq);
			assert_int_equal(chain[i]->has_channels, all[j].has_channels);
			json_decref(a);
			json_decref(b);
			seen++;
		}
		assert_int_equal(chain[i] != NULL, seen);
	}
	for (size_t i = 0; i < count; i++)
		preference_release(&all[i]);
	free(all);
	customer_free(customer);
	facts_release(&facts);
}

static void facts_follow_every_change(void **state)
{
	struct fixture *f = *state;
	char long_url[ADDRESS_VALUE_MAX];
	struct customer *ana = customer_of("ana", "a:12:ü@x.example", "+491");
	struct preference spoken = {.product = (char *)"cards",
				    .hours = (char *)"mon-fri 08:00-18:00",
				    .digest = (char *)"daily 08:00",
				    .paused_until = -5,
				    .version = 3,
				    .changed_at = 1763805600000000,
				    .changed_by = (char *)"cli",
				    .seq = 9};

	begin(f);
	OK(store_put_customer(f->store, ana));
	same_facts(f);
	put_preference(f, ana->n, "cards/fraud", "sms", 1);
	put_preference(f, ana->n, "*", "", 1);
	same_facts(f);
	OK(store_put_preference(f->store, ana->n, &spoken)); /* says nothing about channels */
	commit(f);
	begin(f);
	same_facts(f);
	OK(store_set_address_state(f->store, ana->addresses[0].n, ADDRESS_DEAD, 44));
	same_facts(f);
	commit(f);
	begin(f);
	same_facts(f);
	OK(store_set_address_state(f->store, ana->addresses[0].n, ADDRESS_OK, 45));
	put_customer(f, "bob", NULL, "+491");
	OK(store_set_address_state(f->store, ana->addresses[1].n, ADDRESS_STOPPED, 46));
	OK(store_stamp_customer(f->store, ana->n, 77));
	same_facts(f);
	commit(f);
	begin(f);
	memset(long_url, 'x', sizeof long_url - 1);
	long_url[sizeof long_url - 1] = '\0';
	xreplace(&ana->addresses[0].value, long_url);
	ana->addresses[0].n = 0;
	OK(store_put_customer(f->store, ana));
	same_facts(f);
	store_rollback(f->store);
	begin(f);
	same_facts(f);
	OK(store_put_customer(f->store, ana));
	commit(f);
	begin(f);
	same_facts(f);
	commit(f);
	customer_free(ana);
}

static void facts_of_many_have_the_states_of_now(void **state)
{
	struct fixture *f = *state;
	struct customer *many[] = {customer_of("ana", "a@x.example", "+491"),
				   customer_of("bob", NULL, "+491"), customer_of("eve", "e@x.example", NULL)};
	struct facts facts[3];
	struct facts *all[3];

	begin(f);
	for (int i = 0; i < 3; i++) {
		OK(store_put_customer(f->store, many[i]));
		facts[i] = (struct facts){.customer_id = many[i]->id, .product = "cards", .parent = ""};
		all[i] = &facts[i];
	}
	OK(store_set_address_state(f->store, many[2]->addresses[0].n, ADDRESS_DEAD, 43));
	OK(store_set_address_state(f->store, many[0]->addresses[1].n, ADDRESS_STOPPED, 44));
	commit(f);
	OK(store_read_facts(f->store, all, 3));
	assert_int_equal(facts[0].customer->addresses[0].state, ADDRESS_OK);
	assert_int_equal(facts[0].customer->addresses[1].state, ADDRESS_STOPPED);
	assert_int_equal(facts[1].customer->addresses[0].state, ADDRESS_STOPPED);
	assert_int_equal(facts[1].customer->addresses[0].seq, 44);
	assert_int_equal(facts[2].customer->addresses[0].state, ADDRESS_DEAD);
	for (int i = 0; i < 3; i++) {
		facts_release(&facts[i]);
		customer_free(many[i]);
	}
}

static void a_part_that_is_taken_back_leaves_the_facts_as_they_were(void **state)
{
	struct fixture *f = *state;

	begin(f);
	int64_t ana = put_customer(f, "ana", "a@x.example", NULL);
	put_preference(f, ana, "cards", "email", 1);
	OK(store_save_point(f->store));
	put_preference(f, ana, "cards", "sms", 2);
	same_facts(f);
	OK(store_end_point(f->store, false));
	same_facts(f);
	commit(f);
	begin(f);
	same_facts(f);
	commit(f);
}

static void a_preference_is_replaced_and_comes_back_whole(void **state)
{
	struct fixture *f = *state;
	struct customer *customer = NULL;
	struct preference *all = NULL;
	size_t count = 0;

	begin(f);
	int64_t ana = put_customer(f, "ana", NULL, NULL);
	put_preference(f, ana, "loans", "sms", 1);
	put_preference(f, ana, "cards", "email", 1);
	put_preference(f, ana, "loans", NULL, 2);
	commit(f);
	READ_OK(store_read_customer(f->reader, "ana", &customer, &all, &count));
	assert_int_equal(count, 2);
	assert_string_equal(all[0].product, "cards");
	assert_true(all[0].has_channels);
	assert_int_equal(all[0].channel_count, 1);
	assert_string_equal(all[0].channels[0].hours, "");
	assert_string_equal(all[0].digest, "immediate");
	assert_string_equal(all[0].changed_by, "page");
	assert_int_equal(all[0].changed_at, 77);
	assert_int_equal(all[0].seq, 9);
	assert_int_equal(all[1].version, 2);
	assert_false(all[1].has_channels);
	customer_free(customer);
	for (size_t i = 0; i < count; i++)
		preference_release(&all[i]);
	free(all);
}

static void an_entry_keeps_its_hours_and_wait(void **state)
{
	struct fixture *f = *state;
	struct preference *all = NULL;
	size_t count = 0;
	char sms[] = "sms", email[] = "email", mon[] = "mon", nothing[] = "", tue[] = "tue";
	char hourly[] = "hourly", cli[] = "cli", product[] = "p";
	struct preference_entry entries[] = {{.channel = sms, .hours = mon, .wait = 7},
					     {.channel = email, .hours = nothing}};
	struct preference preference = {.product = product,
					.has_channels = true,
					.channels = entries,
					.channel_count = 2,
					.hours = tue,
					.digest = hourly,
					.paused_until = 8,
					.changed_by = cli};

	begin(f);
	OK(store_put_preference(f->store, 1, &preference));
	OK(store_get_preferences(f->store, 1, &all, &count));
	commit(f);
	assert_int_equal(count, 1);
	assert_string_equal(all[0].channels[0].hours, "mon");
	assert_int_equal(all[0].channels[0].wait, 7);
	assert_string_equal(all[0].channels[1].channel, "email");
	assert_string_equal(all[0].hours, "tue");
	assert_string_equal(all[0].digest, "hourly");
	assert_int_equal(all[0].paused_until, 8);
	preference_release(&all[0]);
	free(all);
}

/* --- the log of changes --- */

static void changes_are_numbered_and_appended(void **state)
{
	struct fixture *f = *state;
	struct change one = change_of(CHANGE_PREFERENCE, 1, "cards");
	struct change two = change_of(CHANGE_CUSTOMER, 2, "");
	struct change three = change_of(CHANGE_PREFERENCE, 1, "loans");
	struct change *out = NULL;
	size_t count = 0;

	begin(f);
	OK(store_append_changes(f->store, (struct change *const[]){&one, &two, &three}, 3));
	commit(f);
	assert_true(one.seq > 0 && two.seq == one.seq + 1 && three.seq == two.seq + 1);
	READ_OK(store_read_changes(f->reader, 1, 0, 10, &out, &count));
	assert_int_equal(count, 2);
	assert_int_equal(out[0].seq, one.seq);
	assert_int_equal(out[0].at, 10);
	assert_int_equal(out[0].given_at, 5);
	assert_string_equal(out[0].subject, "cards");
	assert_string_equal(out[0].by, "page");
	assert_string_equal(out[0].actor, "ana");
	assert_string_equal(out[0].source, "branch");
	assert_string_equal(out[0].evidence, "{\"wording\":\"yes\"}");
	assert_string_equal(out[0].old_value, "");
	assert_string_equal(out[0].new_value, "[]");
	assert_string_equal(out[1].subject, "loans");
	for (size_t i = 0; i < count; i++)
		change_release(&out[i]);
	free(out);
	READ_OK(store_read_changes(f->reader, 0, one.seq, 1, &out, &count));
	assert_int_equal(count, 1);
	assert_int_equal(out[0].seq, two.seq);
	assert_int_equal(out[0].kind, CHANGE_CUSTOMER);
	change_release(&out[0]);
	free(out);
}

static void a_set_of_products_is_numbered_when_it_changes(void **state)
{
	struct fixture *f = *state;
	int64_t a = 0, again = 0, b = 0, back = 0;

	begin(f);
	OK(store_put_products(f->store, "aa", "{}", 1, &a));
	OK(store_put_products(f->store, "aa", "{}", 2, &again));
	OK(store_put_products(f->store, "bb", "{}", 3, &b));
	OK(store_put_products(f->store, "aa", "{}", 4, &back));
	OK(store_put_template(f->store, "h", "paid", "text", 1));
	OK(store_put_template(f->store, "h", "paid", "text", 2));
	commit(f);
	assert_true(a > 0);
	assert_int_equal(again, a);
	assert_true(b > a);
	assert_true(back > b);
}

/* --- outbox and sum --- */

static void assert_events(struct fixture *f, int64_t after, size_t limit, int64_t first, const char *said)
{
	struct event_row *events = NULL;
	size_t count = 0;
	struct text text;

	text_init(&text, TEXT_ERROR_MAX);
	OK(store_get_events(f->store, after, limit, &events, &count));
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(events[i].seq, first + (int64_t)i);
		text_addf(&text, "%s%s", i ? " " : "", events[i].json);
		free(events[i].json);
	}
	assert_string_equal(text.data, said);
	text_release(&text);
	free(events);
}

static void events_that_were_added_together_are_read_and_dropped_one_by_one(void **state)
{
	struct fixture *f = *state;
	const char *const a[] = {"{\"a\":1}", "{\"a\":2}", "{\"a\":3}"};
	const char *const b[] = {"{\"b\":1}", "{\"b\":2}"};

	begin(f);
	int64_t last = add_events(f, 3, a), first = last - 2;
	add_events(f, 2, b);
	commit(f);
	assert_events(f, 0, 10, first, "{\"a\":1} {\"a\":2} {\"a\":3} {\"b\":1} {\"b\":2}");
	assert_events(f, first, 3, first + 1, "{\"a\":2} {\"a\":3} {\"b\":1}");
	begin(f);
	OK(store_drop_events(f->store, first + 1));
	commit(f);
	assert_events(f, 0, 10, last, "{\"a\":3} {\"b\":1} {\"b\":2}");
	begin(f);
	OK(store_drop_events(f->store, last + 1));
	commit(f);
	assert_events(f, 0, 10, last + 2, "{\"b\":2}");
	begin(f);
	OK(store_drop_events(f->store, last + 2));
	commit(f);
	assert_events(f, 0, 10, 0, "");
}

static void events_go_out_in_order_and_are_never_numbered_again(void **state)
{
	struct fixture *f = *state;
	struct event_row *events = NULL;
	size_t count = 0;

	begin(f);
	int64_t first = add_event(f, "{\"a\":1}");
	int64_t second = add_event(f, "{\"b\":2}");
	commit(f);
	assert_int_equal(second, first + 1);
	OK(store_get_events(f->store, 0, 1, &events, &count));
	OK(store_get_events(f->store, events[0].seq, 5, &events, &count));
	assert_int_equal(count, 2);
	assert_string_equal(events[0].json, "{\"a\":1}");
	assert_string_equal(events[1].json, "{\"b\":2}");
	assert_int_equal(events[1].seq, second);
	free(events[0].json);
	free(events[1].json);
	free(events);
	begin(f);
	OK(store_drop_events(f->store, first));
	assert_int_equal(count_events(f), 1);
	OK(store_drop_events(f->store, second));
	commit(f);
	assert_int_equal(count_events(f), 0);
	if (on_disk(f)) {
		close_both(f);
		open_both(f);
	}
	begin(f);
	assert_int_equal(add_event(f, "{}"), second + 1);
	commit(f);
}

static void the_counters_are_the_sum_of_what_was_counted(void **state)
{
	struct fixture *f = *state;
	struct counters out;

	begin(f);
	OK(store_count(f->store, &(struct counters){.admitted = 5, .states = {[STATE_QUEUED] = 5}}));
	OK(store_count(f->store, &(struct counters){.states = {[STATE_QUEUED] = -2, [STATE_SENT] = 2}}));
	OK(store_counters(f->store, &out));
	assert_int_equal(out.states[STATE_QUEUED], 3);
	commit(f);
	READ_OK(store_read_counters(f->reader, &out));
	assert_int_equal(out.admitted, 5);
	assert_int_equal(out.states[STATE_QUEUED], 3);
	assert_int_equal(out.states[STATE_SENT], 2);
	assert_int_equal(out.states[STATE_FAILED], 0);
}

/* --- who is looked at again --- */

static void assert_again(struct fixture *f, const char *expected)
{
	struct again_at *list = NULL;
	struct text line;
	size_t count;

	text_init(&line, 1000);
	OK(store_get_again(f->store, &list, &count));
	for (size_t i = 0; i < count; i++)
		text_addf(&line, "%s%lld:%lld", i ? " " : "", (long long)list[i].customer,
			  (long long)list[i].after);
	assert_string_equal(line.data, expected);
	text_release(&line);
	free(list);
}

static void how_far_a_second_look_came_is_kept_until_it_is_dropped(void **state)
{
	struct fixture *f = *state;

	begin(f);
	OK(store_put_again(f->store, &(struct again_at){7, 100}));
	OK(store_put_again(f->store, &(struct again_at){3, 5}));
	commit(f);
	begin(f);
	OK(store_put_again(f->store, &(struct again_at){7, 200}));
	assert_again(f, "3:5 7:200");
	OK(store_drop_again(f->store, 3));
	OK(store_drop_again(f->store, 9));
	store_rollback(f->store);
	begin(f);
	assert_again(f, "3:5 7:100");
	OK(store_drop_again(f->store, 3));
	OK(store_drop_again(f->store, 7));
	commit(f);
	begin(f);
	assert_again(f, "");
	commit(f);
}

/* --- holds --- */

static void put_hold(struct fixture *f, enum hold_kind kind, const char *name, const char *why, int64_t seq)
{
	OK(store_put_hold(f->store, &(struct hold){.kind = kind,
						   .name = (char *)name,
						   .why = (char *)why,
						   .by = (char *)"cli",
						   .actor = (char *)"ana",
						   .at = 77,
						   .seq = seq}));
}

/* "1 campaign:may why" each, as the writer reads them, and as a reader does. */
static void assert_holds(struct fixture *f, const char *expected)
{
	for (int reader = 0; reader < 2; reader++) {
		struct hold *holds = NULL;
		size_t count = 0;
		struct text line;

		text_init(&line, 4096);
		if (reader)
			READ_OK(store_read_holds(f->reader, &holds, &count));
		else
			OK(store_get_holds(f->store, &holds, &count));
		for (size_t i = 0; i < count; i++) {
			assert_string_equal(holds[i].by, "cli");
			assert_string_equal(holds[i].actor, "ana");
			assert_int_equal(holds[i].at, 77);
			text_addf(&line, "%s%lld %s:%s %s", i ? ", " : "", (long long)holds[i].seq,
				  hold_kind_name(holds[i].kind), holds[i].name, holds[i].why);
		}
		assert_string_equal(line.data, expected);
		text_release(&line);
		holds_free(holds, count);
	}
}

static void holds_are_kept_until_they_are_dropped(void **state)
{
	struct fixture *f = *state;

	assert_holds(f, "");
	begin(f);
	put_hold(f, HOLD_CAMPAIGN, "may", "wrong text", 1);
	put_hold(f, HOLD_CANCEL, "may", "stop", 2);
	put_hold(f, HOLD_CHANNEL, "sms", "strike", 3);
	commit(f);
	assert_holds(f, "1 campaign:may wrong text, 2 cancel:may stop, 3 channel:sms strike");
	begin(f);
	put_hold(f, HOLD_CAMPAIGN, "may", "wrong date", 4);
	OK(store_drop_hold(f->store, HOLD_CHANNEL, "sms"));
	OK(store_drop_hold(f->store, HOLD_PROVIDER, "sms"));
	commit(f);
	assert_holds(f, "2 cancel:may stop, 4 campaign:may wrong date");
	begin(f);
	OK(store_drop_hold(f->store, HOLD_CANCEL, "may"));
	put_hold(f, HOLD_LANE, "bulk", "night", 5);
	store_rollback(f->store);
	assert_holds(f, "2 cancel:may stop, 4 campaign:may wrong date");
}

/* --- transactions --- */

/* Adds something of every kind. */
static void add_everything(struct fixture *f, const char *message, const char *customer)
{
	int64_t seq = 0;
	struct change change = change_of(CHANGE_CUSTOMER, 1, "");
	int64_t n = put_customer(f, customer, "a@x.example", "+491");

	put_preference(f, n, "cards", "sms", 1);
	add_of(f, message, n, STATE_SENDING, 10);
	add_contact(f, contact_of(100 * MOMENT_DAY, n, 1, "p", "sms", STATE_SENDING));
	add_event(f, "{}");
	OK(store_append_changes(f->store, (struct change *const[]){&change}, 1));
	OK(store_put_products(f->store, message, "{}", 1, &seq));
	OK(store_count(f->store, &(struct counters){.admitted = 1}));
}

/* Alters what an earlier transaction added. */
static void alter_everything(struct fixture *f)
{
	struct customer *ana = NULL;

	OK(store_get_customer(f->store, "ana", &ana));
	OK(store_set_address_state(f->store, ana->addresses[0].n, ADDRESS_DEAD, 3));
	put_preference(f, ana->n, "cards", "email", 2);
	put_preference(f, ana->n, "loans", "email", 1);
	ana->address_count = 1;
	OK(store_put_customer(f->store, ana));
	ana->address_count = 2;
	customer_free(ana);
	set_waiting(f, "m-1", "email", LANE_BULK, 70);
	save_contact(f, 1, STATE_SENT, "x");
	OK(store_drop_events(f->store, INT64_MAX));
}

static void describe_logs(struct fixture *f, struct text *out)
{
	struct contact *contacts = NULL;
	struct change *changes = NULL;
	struct counters counters;
	size_t count = 0;

	READ_OK(store_read_log(f->reader, &(struct log_query){.limit = 100}, &contacts, &count));
	for (size_t i = 0; i < count; i++) {
		text_addf(out, "contact %lld %lld %s\n", (long long)contacts[i].seq,
			  (long long)contacts[i].changed, state_name(contacts[i].state));
		contact_release(&contacts[i]);
	}
	free(contacts);
	READ_OK(store_read_changes(f->reader, 0, 0, 100, &changes, &count));
	for (size_t i = 0; i < count; i++) {
		text_addf(out, "change %lld %s\n", (long long)changes[i].seq, changes[i].subject);
		change_release(&changes[i]);
	}
	free(changes);
	READ_OK(store_read_counters(f->reader, &counters));
	text_addf(out, "admitted %lld\nevents %d\n", (long long)counters.admitted, count_events(f));
}

/* All that add_everything and alter_everything touch, as one text. */
static char *describe(struct fixture *f)
{
	struct text out;
	struct customer *ana = NULL;
	struct preference *preferences = NULL;
	struct message_rows rows = {0};
	size_t count = 0;

	text_init(&out, 65536);
	describe_logs(f, &out);
	READ_OK(store_read_customer(f->reader, "ana", &ana, &preferences, &count));
	for (size_t i = 0; i < count; i++) {
		text_addf(&out, "preference %s %lld\n", preferences[i].product,
			  (long long)preferences[i].version);
		preference_release(&preferences[i]);
	}
	free(preferences);
	for (size_t i = 0; ana && i < ana->address_count; i++)
		text_addf(&out, "address %s %s\n", ana->addresses[i].value,
			  address_state_name(ana->addresses[i].state));
	OK(store_open_of(f->store, ana ? ana->n : 0, &rows));
	OK(store_due(f->store, "sms", LANE_NORMAL, 100, 100, &rows));
	customer_free(ana);
	for (size_t i = 0; i < rows.count; i++)
		text_addf(&out, "message %lld %s\n", (long long)rows.rows[i].n, rows.rows[i].id);
	message_rows_release(&rows);
	return text_detach(&out);
}

static void assert_described(struct fixture *f, char *before)
{
	char *after = describe(f);

	assert_string_equal(after, before);
	free(after);
	free(before);
}

static void a_rollback_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	begin(f);
	add_everything(f, "m-1", "ana");
	commit(f);
	char *before = describe(f);
	begin(f);
	alter_everything(f);
	add_everything(f, "m-2", "bob");
	store_rollback(f->store);
	assert_described(f, before);
	/* and the numbers go on as if it had not been */
	begin(f);
	assert_next(f, add_waiting(f, "m-3", "sms", LANE_NORMAL, 5), 2);
	assert_next(f, add_plain_contact(f, 100 * MOMENT_DAY), 2);
	assert_int_equal(add_event(f, "{}"), 2);
	assert_next(f, put_customer(f, "eve", NULL, NULL), 2);
	commit(f);
}

static void a_rollback_of_the_first_transaction_leaves_an_empty_store(void **state)
{
	struct fixture *f = *state;
	char *before = describe(f);

	begin(f);
	add_everything(f, "m-1", "ana");
	store_rollback(f->store);
	assert_described(f, before);
	begin(f);
	add_everything(f, "m-1", "ana");
	commit(f);
	assert_log(f, (struct log_query){0}, strcmp(f->kind, "postgresql") == 0 ? "2" : "1");
}

static void a_part_of_a_transaction_is_taken_back_alone(void **state)
{
	struct fixture *f = *state;

	begin(f);
	add_everything(f, "m-1", "ana");
	commit(f);
	char *before = describe(f);
	begin(f);
	OK(store_save_point(f->store));
	alter_everything(f);
	add_everything(f, "m-2", "bob");
	OK(store_end_point(f->store, false));
	commit(f);
	assert_described(f, before);
	begin(f);
	add_waiting(f, "before", "fax", LANE_NORMAL, 1);
	OK(store_save_point(f->store));
	add_waiting(f, "gone", "fax", LANE_NORMAL, 2);
	OK(store_end_point(f->store, false));
	OK(store_save_point(f->store));
	add_waiting(f, "kept", "fax", LANE_NORMAL, 3);
	OK(store_end_point(f->store, true));
	commit(f);
	assert_due(f, "fax", LANE_NORMAL, 100, 10, "before kept");
}

static void writing_needs_a_transaction(void **state)
{
	struct fixture *f = *state;

	assert_false(store_count(f->store, &(struct counters){.admitted = 1}));
	assert_non_null(strstr(store_error(f->store), "transaction"));
	assert_false(store_commit(f->store));
	begin(f);
	assert_false(store_begin(f->store));
	commit(f);
}

static void after_a_failure_only_a_rollback_works(void **state)
{
	struct fixture *f = *state;
	struct message_row row = row_of("m", "sms", LANE_NORMAL, 1);
	struct message_row *rows[] = {&row};

	begin(f);
	add_waiting(f, "m", "sms", LANE_NORMAL, 1);
	OK(store_number_messages(f->store, rows, 1));
	assert_false(store_add_messages(f->store, rows, 1));
	assert_false(store_count(f->store, &(struct counters){.admitted = 1}));
	assert_false(store_commit(f->store));
	store_rollback(f->store);
	message_row_release(&row);
	begin(f);
	add_waiting(f, "m", "sms", LANE_NORMAL, 1);
	commit(f);
	assert_due(f, "sms", LANE_NORMAL, 9, 9, "m");
}

/* --- opening --- */

static void a_second_writer_is_told_who_holds_the_store(void **state)
{
	struct fixture *f = *state;
	struct text error;
	char pid[32];

	text_init(&error, TEXT_ERROR_MAX);
	snprintf(pid, sizeof pid, "process %ld", (long)getpid());
	assert_null(store_open(f->url, true, &error));
	assert_true(store_open_was_locked());
	if (!strstr(error.data, pid))
		fail_msg("%s", error.data);
	text_release(&error);
}

static void an_unknown_kind_of_store_is_refused(void **state)
{
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	assert_null(store_open("oracle:x", true, &error));
	assert_false(store_open_was_locked());
	assert_non_null(strstr(error.data, "sqlite:"));
	text_release(&error);
}

/* --- on disk --- */

static void reopening_keeps_everything(void **state)
{
	struct fixture *f = *state;

	begin(f);
	add_everything(f, "m-1", "ana");
	commit(f);
	char *id = xstrdup(store_id(f->store));
	char *before = describe(f);
	close_both(f);
	open_both(f);
	assert_described(f, before);
	assert_string_equal(store_id(f->store), id);
	assert_int_equal(strlen(id), 32);
	free(id);
	begin(f);
	assert_int_equal(add_waiting(f, "m-2", "sms", LANE_NORMAL, 5), 2);
	assert_int_equal(add_plain_contact(f, 1), 2);
	commit(f);
	assert_log(f, (struct log_query){0}, "1 2");
}

static void only_the_owner_may_read_the_files(void **state)
{
	static const char *const names[] = {"", "-wal", "-shm", ".lock"};
	struct fixture *f = *state;
	struct stat info;

	begin(f);
	add_everything(f, "m-1", "ana");
	commit(f);
	for (size_t i = 0; i < 4; i++) {
		char *name = xasprintf("%s%s", strchr(f->url, ':') + 1, names[i]);
		assert_int_equal(stat(name, &info), 0);
		assert_int_equal(info.st_mode & 0777, 0600);
		free(name);
	}
	char *folder = xasprintf("%s/new", f->folder);
	assert_int_equal(stat(folder, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
	free(folder);
}

static void a_reader_sees_only_what_is_committed(void **state)
{
	struct fixture *f = *state;

	begin(f);
	add_plain_contact(f, 1);
	assert_log(f, (struct log_query){0}, "");
	commit(f);
	assert_log(f, (struct log_query){0}, "1");
}

/* Runs it in a child that has the store to itself; what it answers is the child's status. */
static int in_child(struct fixture *f, int (*run)(struct fixture *f))
{
	int status = 0;

	close_both(f);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct text error;
		text_init(&error, TEXT_ERROR_MAX);
		f->store = store_open(f->url, true, &error);
		_exit(f->store ? run(f) : 99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	open_both(f);
	return status;
}

static int die_in_the_middle(struct fixture *f)
{
	static char big[128 * 1024];

	memset(big, 'x', sizeof big - 1);
	begin(f);
	add_everything(f, "m-1", "ana");
	commit(f);
	begin(f);
	add_everything(f, "m-2", "bob");
	for (int i = 0; i < 1000; i++) /* more than SQLite's cache holds: pages are on the disk already */
		add_event(f, big);
	kill(getpid(), SIGKILL);
	return 1;
}

static void a_kill_in_the_middle_leaves_the_commit_before(void **state)
{
	struct fixture *f = *state;
	struct message_row row;
	int status = in_child(f, die_in_the_middle);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	read_row(f, "m-1", &row);
	assert_int_equal(row.n, 1);
	message_row_release(&row);
	read_row(f, "m-2", &row);
	assert_int_equal(row.n, 0);
	assert_int_equal(count_events(f), 1);
	assert_log(f, (struct log_query){0}, "1");
}

#define DISK_LEFT (64 * 1024)

/* A turn that does not fit; with room again the same store goes on. Answers where it went wrong. */
static int run_out_of_disk(struct fixture *f)
{
	struct rlimit limit;
	bool failed = false;
	char big[4096];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	signal(SIGXFSZ, SIG_IGN);
	if (!store_begin(f->store) || getrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 2;
	rlim_t enough = limit.rlim_cur;
	limit.rlim_cur = DISK_LEFT;
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 3;
	for (int i = 0; !failed && i < 1000; i++) {
		struct event_row event = {.json = big};
		failed = !store_add_events(f->store, (struct event_row *const[]){&event}, 1);
	}
	if (store_commit(f->store) || !*store_error(f->store))
		return 4;
	store_rollback(f->store);
	limit.rlim_cur = enough;
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 5;
	struct event_row event = {.json = (char *)"{\"after\":true}"};
	if (!store_begin(f->store) || !store_add_events(f->store, (struct event_row *const[]){&event}, 1))
		return 6;
	if (!store_commit(f->store))
		return 7;
	store_close(f->store);
	return 0;
}

static void a_full_disk_fails_cleanly_and_the_store_goes_on(void **state)
{
	struct fixture *f = *state;
	struct event_row *events = NULL;
	size_t count = 0;
	int status = in_child(f, run_out_of_disk);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	OK(store_get_events(f->store, 0, 10, &events, &count));
	assert_int_equal(count, 1);
	assert_int_equal(events[0].seq, 1);
	assert_string_equal(events[0].json, "{\"after\":true}");
	free(events[0].json);
	free(events);
}

static void another_process_is_kept_out(void **state)
{
	struct fixture *f = *state;
	int status = 0;

	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct text error;
		char holder[32];
		text_init(&error, TEXT_ERROR_MAX);
		snprintf(holder, sizeof holder, "process %ld on", (long)getppid());
		bool out = !store_open(f->url, true, &error) && store_open_was_locked() &&
			   strstr(error.data, holder);
		_exit(out ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_store_that_is_not_there_is_made_only_when_asked(void **state)
{
	struct fixture *f = *state;
	struct text error;
	char *url = xasprintf("sqlite:%s/other.db", f->folder);

	text_init(&error, TEXT_ERROR_MAX);
	assert_null(store_open(url, false, &error));
	assert_non_null(strstr(error.data, "heed migrate"));
	assert_null(store_reader_open(url, &error));
	assert_non_null(strstr(error.data, "heed migrate"));
	assert_int_equal(access(strchr(url, ':') + 1, F_OK), -1);
	struct store *store = store_open(url, true, &error);
	assert_non_null(store);
	struct store_versions versions = store_versions(store);
	assert_int_equal(versions.before, 0);
	assert_int_equal(versions.now, versions.known);
	store_close(store);
	store = store_open(url, false, &error);
	assert_non_null(store);
	assert_int_equal(store_versions(store).before, versions.known);
	store_close(store);
	text_release(&error);
	free(url);
}

/* As a newer heed would have left the store. */
static void set_meta(const struct fixture *f, const char *name, int value)
{
	char *words = xasprintf("UPDATE meta SET value = %d WHERE name = '%s'", value, name);

	tell_sqlite(f, words);
	free(words);
}

static void a_newer_schema_is_used_only_where_it_allows_it(void **state)
{
	struct fixture *f = *state;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	close_both(f);
	set_meta(f, "schema", 99);
	struct store *store = store_open(f->url, true, &error);
	assert_non_null(store);
	assert_int_equal(store_versions(store).now, 99);
	store_close(store);
	set_meta(f, "oldest_program", 98);
	assert_null(store_open(f->url, true, &error));
	assert_false(store_open_was_locked());
	assert_non_null(strstr(error.data, "newer heed"));
	assert_null(store_reader_open(f->url, &error));
	assert_non_null(strstr(error.data, "newer heed"));
	text_release(&error);
}

static void a_file_that_is_no_store_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct text error;
	char *path = xasprintf("%s/letter.db", f->folder);
	char *url = xasprintf("sqlite:%s", path);
	FILE *file = fopen(path, "w");
	struct stat before, after;

	text_init(&error, TEXT_ERROR_MAX);
	assert_non_null(file);
	fputs("Dear diary, this is not a database at all, only some words that are long enough.\n", file);
	fclose(file);
	assert_int_equal(stat(path, &before), 0);
	assert_null(store_open(url, true, &error));
	assert_non_null(strstr(error.data, "letter.db"));
	assert_false(store_open_was_locked());
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	text_release(&error);
	free(path);
	free(url);
}

#define ON(kind, test)                                                     \
	{                                                                  \
#test " (" kind ")", test, set_up, tear_down, (void *)kind \
	}
#define BOTH(test) ON("sqlite", test), ON("postgresql", test), ON("memory", test)
#define KEPT(test) ON("sqlite", test), ON("postgresql", test)

/* --- time --- */

static void expires(struct fixture *f, const char *id, int64_t at, int64_t due)
{
	struct message_row row = row_of(id, "", LANE_NORMAL, due);

	row.expires_at = at;
	add_row(f, row);
}

static void what_waits_and_is_over_is_found_the_earliest_first(void **state)
{
	struct fixture *f = *state;
	struct message_rows rows = {0};
	int64_t at = 0;

	begin(f);
	OK(store_next_expiry(f->store, &at));
	assert_true(at == MOMENT_NEVER);
	expires(f, "late", 300, 1000);
	expires(f, "early", 100, 2000);
	expires(f, "ended", 50, MOMENT_NEVER);
	expires(f, "never", 0, 10);
	commit(f);
	begin(f);
	OK(store_next_expiry(f->store, &at));
	assert_int_equal(at, 100);
	OK(store_expired(f->store, 299, 10, &rows));
	assert_int_equal(rows.count, 1);
	OK(store_expired(f->store, 300, 10, &rows));
	assert_int_equal(rows.count, 3);
	assert_string_equal(rows.rows[1].id, "early");
	assert_string_equal(rows.rows[2].id, "late");
	struct message_row *ended[] = {&rows.rows[1]};
	rows.rows[1].due = MOMENT_NEVER;
	OK(store_save_messages(f->store, ended, 1));
	commit(f);
	begin(f);
	OK(store_next_expiry(f->store, &at));
	assert_int_equal(at, 300);
	store_rollback(f->store);
	message_rows_release(&rows);
}

static void the_turn_in_the_list_is_kept(void **state)
{
	struct fixture *f = *state;
	struct message_row row = row_of("m", "", LANE_NORMAL, 5), read = {0};

	row.send_at = 7;
	row.expires_at = 9;
	row.wait_since = 11;
	row.wait_until = 13;
	row.best = STATE_SENT;
	xreplace(&row.waited, "sms");
	xreplace(&row.wait_channel, "email");
	xreplace(&row.counted, "1 cards day 2026-11-23");
	begin(f);
	add_row(f, row);
	commit(f);
	READ_OK(store_read_message(f->reader, "m", &read));
	assert_true(read.send_at == 7 && read.expires_at == 9 && read.wait_since == 11 &&
		    read.wait_until == 13 && read.best == STATE_SENT);
	assert_string_equal(read.waited, "sms");
	assert_string_equal(read.wait_channel, "email");
	assert_string_equal(read.counted, "1 cards day 2026-11-23");
	message_row_release(&read);
}

static void caps_are_counted_and_taken_back_with_the_transaction(void **state)
{
	struct fixture *f = *state;
	const struct cap_count once[] = {{7, "cards day 2026-11-23", 1, 1000}};
	const struct cap_count back[] = {{7, "cards day 2026-11-23", -1, 1000}};
	int64_t used = 9;

	begin(f);
	OK(store_cap_used(f->store, 7, "cards day 2026-11-23", &used));
	assert_int_equal(used, 0);
	OK(store_count_caps(f->store, once, 1, 10));
	OK(store_count_caps(f->store, once, 1, 10));
	OK(store_cap_used(f->store, 7, "cards day 2026-11-23", &used));
	assert_int_equal(used, 2);
	OK(store_cap_used(f->store, 8, "cards day 2026-11-23", &used));
	assert_int_equal(used, 0);
	commit(f);
	begin(f);
	OK(store_count_caps(f->store, once, 1, 10));
	store_rollback(f->store);
	READ_OK(store_read_cap_used(f->reader, 7, "cards day 2026-11-23", &used));
	assert_int_equal(used, 2);
	begin(f);
	OK(store_count_caps(f->store, back, 1, 10));
	commit(f);
	READ_OK(store_read_cap_used(f->reader, 7, "cards day 2026-11-23", &used));
	assert_int_equal(used, 1);
}

static void a_contact_of_several_messages_is_in_the_history_of_each(void **state)
{
	struct fixture *f = *state;
	const struct log_query query = {.message = "m-2", .limit = 10};
	struct contact *found = NULL;
	size_t count = 0;

	begin(f);
	int64_t one = add_waiting(f, "m-1", "", LANE_NORMAL, 1),
		two = add_waiting(f, "m-2", "", LANE_NORMAL, 1);
	struct contact contact = contact_of(1000, 0, 0, "cards", "email", STATE_SENDING), read = {0};
	struct contact *const contacts[] = {&contact};
	contact.several = xcalloc(2, sizeof *contact.several);
	contact.several[0] = one;
	contact.several[1] = two;
	contact.several_count = 2;
	OK(store_add_contacts(f->store, contacts, 1));
	xreplace(&contact.provider_ref, "SM1");
	OK(store_save_contacts(f->store, contacts, 1));
	commit(f);
	begin(f);
	OK(store_find_contact(f->store, DIRECTION_OUT, "twilio", "SM1", &read));
	assert_int_equal(read.seq, contact.seq);
	assert_int_equal(read.several_count, 2);
	assert_int_equal(read.several[1], two);
	contact_release(&read);
	OK(store_find_contact(f->store, DIRECTION_OUT, "other", "SM1", &read));
	assert_int_equal(read.seq, 0);
	OK(store_get_contacts(f->store, &contact.seq, 1, &read));
	assert_int_equal(read.several_count, 2);
	store_rollback(f->store);
	READ_OK(store_read_log(f->reader, &query, &found, &count));
	assert_int_equal(count, 1);
	assert_int_equal(found[0].message_count, 2);
	assert_string_equal(found[0].message_ids[0], "m-1");
	assert_string_equal(found[0].message_ids[1], "m-2");
	assert_string_equal(found[0].meta, "{\"order\":\"7\"}");
	contact_release(&found[0]);
	free(found);
	contact_release(&read);
	contact_release(&contact);
}

static void an_event_keeps_the_stream_that_it_goes_out_on(void **state)
{
	struct fixture *f = *state;
	struct event_row said = {.stream = STREAM_INBOUND, .json = (char *)"{}"}, *events = NULL;
	size_t count = 0;

	begin(f);
	add_event(f, "{}");
	OK(store_add_events(f->store, (struct event_row *const[]){&said}, 1));
	commit(f);
	OK(store_get_events(f->store, 0, 10, &events, &count));
	assert_int_equal(count, 2);
	assert_int_equal(events[0].stream, STREAM_EVENTS);
	assert_int_equal(events[1].stream, STREAM_INBOUND);
	free(events[0].json);
	free(events[1].json);
	free(events);
}

static void an_address_is_known_whoever_has_it(void **state)
{
	struct fixture *f = *state;
	struct customer *ana = customer_of("ana", NULL, "+491");
	struct address_row row;

	begin(f);
	OK(store_get_address(f->store, "sms", "+491", false, &row));
	assert_int_equal(row.n, 0);
	OK(store_get_address(f->store, "sms", "+491", true, &row));
	assert_int_not_equal(row.n, 0);
	assert_int_equal(row.state, ADDRESS_OK);
	assert_int_equal(row.answered_at, 0);
	OK(store_set_address_state(f->store, row.n, ADDRESS_STOPPED, 7));
	OK(store_answered(f->store, row.n, 99));
	OK(store_put_customer(f->store, ana));
	assert_int_equal(ana->addresses[0].n, row.n);
	assert_int_equal(ana->addresses[0].state, ADDRESS_STOPPED);
	commit(f);
	OK(store_get_address(f->store, "sms", "+491", false, &row));
	assert_int_equal(row.state, ADDRESS_STOPPED);
	assert_int_equal(row.seq, 7);
	assert_int_equal(row.answered_at, 99);
	OK(store_get_address(f->store, "voice", "+491", false, &row));
	assert_int_equal(row.n, 0);
	customer_free(ana);
}

static int64_t add_sent(struct fixture *f, int64_t at, int64_t customer, int64_t address, enum state state)
{
	struct contact contact = contact_of(at, customer, 0, "cards", "sms", state);
	struct contact *const contacts[] = {&contact};

	contact.address = address;
	OK(store_add_contacts(f->store, contacts, 1));
	int64_t seq = contact.seq;
	contact_release(&contact);
	return seq;
}

static void the_last_that_may_have_arrived_at_an_address_is_found(void **state)
{
	struct fixture *f = *state;
	const int64_t month = 40 * MOMENT_DAY;
	struct contact last;

	begin(f);
	int64_t ana = put_customer(f, "ana", "a@x.example", "+491");
	int64_t old = add_sent(f, month, ana, 2, STATE_SENT);
	add_sent(f, 2 * month, ana, 1, STATE_SENT);
	add_sent(f, 2 * month, ana, 2, STATE_REJECTED);
	add_sent(f, 2 * month, ana + 1, 2, STATE_SENT);
	OK(store_last_sent(f->store, ana, 2, NULL, &last));
	assert_int_equal(last.seq, old);
	contact_release(&last);
	int64_t newer = add_sent(f, 2 * month, ana, 2, STATE_DELIVERED);
	OK(store_last_sent(f->store, ana, 2, "twilio", &last));
	assert_int_equal(last.seq, newer);
	contact_release(&last);
	OK(store_last_sent(f->store, ana, 2, "other", &last));
	assert_int_equal(last.seq, 0);
	OK(store_last_sent(f->store, ana, 3, NULL, &last));
	assert_int_equal(last.seq, 0);
	commit(f);
}

static int64_t add_attempt(struct fixture *f, int64_t at, int64_t message, const char *channel)
{
	struct contact contact = contact_of(at, 1, message, "cards", channel, STATE_SENT);
	struct contact *const contacts[] = {&contact};

	OK(store_add_contacts(f->store, contacts, 1));
	int64_t seq = contact.seq;
	contact_release(&contact);
	return seq;
}

static int64_t attempt_of(struct fixture *f, int64_t message, const char *channel)
{
	struct contact found;

	OK(store_attempt_of(f->store, message, channel, &found));
	int64_t seq = found.seq;
	contact_release(&found);
	return seq;
}

static void the_last_attempt_of_a_message_on_a_channel_is_found_alone_or_in_a_digest(void **state)
{
	struct fixture *f = *state;
	const int64_t month = 40 * MOMENT_DAY;
	struct contact digest = contact_of(2 * month, 1, 0, "cards", "email", STATE_SENT);
	struct contact *const contacts[] = {&digest};

	begin(f);
	int64_t first = add_attempt(f, month, 7, "email");
	int64_t sms = add_attempt(f, 2 * month, 7, "sms");
	add_attempt(f, 2 * month, 8, "email");
	assert_int_equal(attempt_of(f, 7, "email"), first);
	assert_int_equal(attempt_of(f, 7, "sms"), sms);
	assert_int_equal(attempt_of(f, 7, "webhook"), 0);
	assert_int_equal(attempt_of(f, 9, "email"), 0);
	digest.several = xreallocarray(NULL, 2, sizeof *digest.several);
	digest.several[0] = 7;
	digest.several[1] = 9;
	digest.several_count = 2;
	OK(store_add_contacts(f->store, contacts, 1));
	assert_int_equal(attempt_of(f, 7, "email"), digest.seq);
	assert_int_equal(attempt_of(f, 9, "email"), digest.seq);
	contact_release(&digest);
	commit(f);
}

static void what_came_in_and_what_went_out_have_references_of_their_own(void **state)
{
	struct fixture *f = *state;
	struct contact in = contact_of(1000, 0, 0, "", "sms", STATE_RECEIVED), found;
	struct contact *const contacts[] = {&in};

	begin(f);
	in.direction = DIRECTION_IN;
	xreplace(&in.provider_ref, "SM1");
	OK(store_add_contacts(f->store, contacts, 1));
	OK(store_find_contact(f->store, DIRECTION_OUT, "twilio", "SM1", &found));
	assert_int_equal(found.seq, 0);
	OK(store_find_contact(f->store, DIRECTION_IN, "twilio", "SM1", &found));
	assert_int_equal(found.seq, in.seq);
	commit(f);
	contact_release(&found);
	contact_release(&in);
}

static void keep_receipt(struct fixture *f, const char *ref, int64_t contact, int64_t at,
			 enum receipt_says says)
{
	const struct kept_receipt receipt = {.provider = (char *)"twilio",
					     .provider_ref = (char *)ref,
					     .contact = contact,
					     .channel = (char *)"sms",
					     .at = at,
					     .says = says,
					     .address_dead = true,
					     .code = (char *)"30003",
					     .detail = (char *)"gone"};

	OK(store_keep_receipt(f->store, &receipt));
}

static void a_receipt_that_came_first_is_kept_until_it_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct kept_receipt receipt, *all;
	size_t count;
	int64_t kept;

	begin(f);
	keep_receipt(f, "SM2", 0, 20, RECEIPT_REJECTED);
	keep_receipt(f, "SM1", 0, 10, RECEIPT_REJECTED);
	keep_receipt(f, "", 7, 30, RECEIPT_DELIVERED);
	keep_receipt(f, "SM1", 0, 15, RECEIPT_DELIVERED); /* in the place of the first */
	commit(f);
	OK(store_count_receipts(f->store, &kept));
	assert_int_equal(kept, 3);
	OK(store_find_receipt(f->store, "twilio", "SM1", 0, &receipt));
	assert_int_equal(receipt.at, 15);
	assert_int_equal(receipt.says, RECEIPT_DELIVERED);
	assert_true(receipt.address_dead);
	assert_string_equal(receipt.channel, "sms");
	assert_string_equal(receipt.code, "30003");
	assert_string_equal(receipt.detail, "gone");
	kept_receipt_release(&receipt);
	OK(store_find_receipt(f->store, "vonage", "SM1", 0, &receipt));
	assert_int_equal(receipt.at, 0);
	OK(store_get_receipts(f->store, 16, 1, &all, &count));
	assert_int_equal(count, 1);
	assert_string_equal(all[0].provider_ref, "SM2");
	kept_receipt_release(&all[0]);
	free(all);
	begin(f);
	OK(store_drop_receipt(f->store, "twilio", "", 7));
	OK(store_drop_receipt(f->store, "twilio", "", 8)); /* there is none */
	store_rollback(f->store);
	begin(f);
	OK(store_drop_receipt(f->store, "twilio", "", 7));
	commit(f);
	OK(store_count_receipts(f->store, &kept));
	assert_int_equal(kept, 2);
	OK(store_find_receipt(f->store, "twilio", "", 7, &receipt));
	assert_int_equal(receipt.at, 0);
}

/* --- erasure and pruning --- */

static void who_is_erased_keeps_a_one_way_name_and_the_zone(void **state)
{
	struct fixture *f = *state;
	struct customer *back = NULL;
	char *id = NULL;
	int64_t n;

	begin(f);
	int64_t ana = put_customer(f, "ana", "ana@example.com", "+491");
	OK(store_get_erasing(f->store, &n, &id));
	assert_int_equal(n, 0);
	OK(store_erase_customer(f->store, ana, "erased:1", 77));
	OK(store_get_customer(f->store, "ana", &back));
	assert_null(back);
	OK(store_get_customer(f->store, "erased:1", &back));
	assert_int_equal(back->n, ana);
	assert_int_equal(back->erased_at, 77);
	assert_int_equal(back->address_count, 0);
	assert_string_equal(back->name, "");
	assert_string_equal(back->locale, "");
	assert_string_equal(back->timezone, "UTC");
	customer_free(back);
	OK(store_erase_customer(f->store, ana, "erased:1:1", 77)); /* another name for what is left */
	OK(store_get_erasing(f->store, &n, &id));
	assert_int_equal(n, ana);
	assert_string_equal(id, "ana");
	free(id);
	OK(store_end_erasing(f->store, ana));
	OK(store_get_erasing(f->store, &n, &id));
	assert_int_equal(n, 0);
	assert_true(put_customer(f, "ana", "ana@example.com", NULL) > ana); /* the id is free */
	commit(f);
	assert_int_equal(strlen(store_erasure_key(f->store)), 32);
}

static void an_address_is_renamed_and_keeps_its_state(void **state)
{
	struct fixture *f = *state;
	struct address_row row = {0};

	begin(f);
	int64_t ana = put_customer(f, "ana", "ana@example.com", NULL);
	OK(store_get_address(f->store, "email", "ana@example.com", false, &row));
	int64_t n = row.n;
	OK(store_set_address_state(f->store, n, ADDRESS_STOPPED, 5));
	OK(store_erase_customer(f->store, ana, "erased:1", 6));
	OK(store_rename_address(f->store, n, "erased:2"));
	row = (struct address_row){0};
	OK(store_get_address(f->store, "email", "ana@example.com", false, &row));
	assert_int_equal(row.n, 0);
	OK(store_get_address(f->store, "email", "erased:2", false, &row));
	assert_int_equal(row.n, n);
	assert_int_equal(row.state, ADDRESS_STOPPED);
	commit(f);
}

static void a_change_is_rewritten_and_nothing_else_of_it(void **state)
{
	struct fixture *f = *state;
	struct change one = change_of(CHANGE_CUSTOMER, 1, "ana"), two = change_of(CHANGE_CUSTOMER, 2, "bob");
	struct change *list = NULL;
	size_t count = 0;

	begin(f);
	OK(store_append_changes(f->store, (struct change *const[]){&one, &two}, 2));
	OK(store_get_changes(f->store, 1, 0, 9, &list, &count));
	assert_int_equal(count, 1);
	free(list[0].subject);
	list[0].subject = xstrdup("erased:1");
	free(list[0].new_value);
	list[0].new_value = xstrdup("{}");
	OK(store_rewrite_change(f->store, &list[0]));
	change_release(&list[0]);
	count = 0;
	OK(store_get_changes(f->store, 1, 0, 9, &list, &count));
	assert_string_equal(list[0].subject, "erased:1");
	assert_string_equal(list[0].new_value, "{}");
	assert_int_equal(list[0].at, one.at);
	assert_string_equal(list[0].by, one.by);
	change_release(&list[0]);
	count = 0;
	OK(store_get_changes(f->store, 1, one.seq, 9, &list, &count));
	assert_int_equal(count, 0);
	commit(f);
	free(list);
}

static void texts_of_a_customers_contacts_and_messages_go_in_slices(void **state)
{
	struct fixture *f = *state;
	int64_t after = 0;
	struct contact contact;
	struct message_row row;
	size_t count = 9;

	begin(f);
	int64_t ana = put_customer(f, "ana", NULL, NULL), bob = put_customer(f, "bob", NULL, NULL);
	int64_t one = add_of(f, "one", ana, STATE_SENT, MOMENT_NEVER);
	int64_t two = add_of(f, "two", bob, STATE_SENT, MOMENT_NEVER);
	int64_t first = add_contact(f, contact_of(5, ana, one, "p", "sms", STATE_SENT));
	int64_t other = add_contact(f, contact_of(5, bob, two, "p", "sms", STATE_SENT));
	int64_t last = add_contact(f, contact_of(40 * MOMENT_DAY, ana, one, "p", "sms", STATE_SENT));
	save_contact(f, last, STATE_SENT, "SM1");
	OK(store_erase_contacts(f->store, ana, &after, 1, &count));
	assert_int_equal(count, 1);
	OK(store_get_contacts(f->store, &first, 1, &contact));
	assert_string_equal(contact.summary, "");
	contact_release(&contact);
	OK(store_get_contacts(f->store, &last, 1, &contact));
	assert_string_equal(contact.provider_ref, "SM1");
	contact_release(&contact);
	OK(store_erase_contacts(f->store, ana, &after, 9, &count));
	assert_int_equal(count, 1);
	OK(store_get_contacts(f->store, &last, 1, &contact));
	assert_string_equal(contact.provider_ref, "");
	assert_string_equal(contact.product, "p");
	contact_release(&contact);
	OK(store_get_messages(f->store, &one, 1, &row));
	assert_string_equal(row.body, "");
	assert_string_equal(row.id, "one");
	assert_int_equal(row.hash[0], 0);
	message_row_release(&row);
	OK(store_get_contacts(f->store, &other, 1, &contact));
	assert_string_not_equal(contact.summary, "");
	contact_release(&contact);
	OK(store_erase_contacts(f->store, ana, &after, 9, &count));
	assert_int_equal(count, 0);
	commit(f);
}

static void an_event_that_waits_is_rewritten(void **state)
{
	struct fixture *f = *state;
	struct event_row *events = NULL;
	size_t count = 0;

	begin(f);
	int64_t seq = add_event(f, "{\"a\":1}");
	OK(store_rewrite_event(f->store, seq, "{}"));
	OK(store_get_events(f->store, 0, 9, &events, &count));
	commit(f);
	assert_int_equal(count, 1);
	assert_int_equal(events[0].seq, seq);
	assert_string_equal(events[0].json, "{}");
	free(events[0].json);
	free(events);
}

/* Contact and message, ended or waiting, at a day. */
static int64_t add_at(struct fixture *f, const char *id, int day, enum state state, int64_t due)
{
	struct message_row row = row_of(id, "sms", LANE_NORMAL, due);

	row.state = state;
	OK(store_number_messages(f->store, (struct message_row *const[]){&row}, 1));
	row.contact = add_contact(f, contact_of(day * MOMENT_DAY, 1, row.n, "p", "sms", STATE_SENT));
	OK(store_add_messages(f->store, (struct message_row *const[]){&row}, 1));
	int64_t n = row.n;
	message_row_release(&row);
	return n;
}

static void what_was_kept_long_enough_goes_and_the_sum_stays(void **state)
{
	struct fixture *f = *state;
	const struct prune prune = {.contents = 70 * MOMENT_DAY, .contacts = 40 * MOMENT_DAY};
	const struct counters deltas = {.admitted = 4, .states = {[STATE_SENT] = 3, [STATE_DEFERRED] = 1}};
	struct pruned out = {0};
	struct message_row rows[4];
	struct counters counters;
	struct contact contact;
	bool more = false;

	begin(f);
	const int64_t n[] = {add_at(f, "january", 5, STATE_SENT, MOMENT_NEVER),
			     add_at(f, "waits", 6, STATE_DEFERRED, 900 * MOMENT_DAY),
			     add_at(f, "february", 41, STATE_SENT, MOMENT_NEVER),
			     add_at(f, "april", 100, STATE_SENT, MOMENT_NEVER)};
	OK(store_count(f->store, &deltas));
	OK(store_prune(f->store, &prune, 1, &out, &more));
	assert_true(more);
	while (more)
		OK(store_prune(f->store, &prune, 1, &out, &more));
	commit(f);
	assert_int_equal(out.contacts, 2);
	assert_int_equal(out.messages, 1);
	assert_int_equal(out.contents, 1);
	OK(store_get_messages(f->store, n, 4, rows));
	assert_int_equal(rows[0].n, 0);
	assert_string_not_equal(rows[1].body, "");
	assert_int_equal(rows[1].contact, 0); /* it has none any more: it gets a closing line when it ends */
	assert_string_equal(rows[2].body, "");
	assert_string_not_equal(rows[3].body, "");
	OK(store_get_contacts(f->store, &rows[2].contact, 1, &contact));
	assert_string_equal(contact.summary, "");
	assert_string_equal(contact.channel, "sms");
	contact_release(&contact);
	OK(store_get_contacts(f->store, &rows[3].contact, 1, &contact));
	assert_string_not_equal(contact.summary, "");
	contact_release(&contact);
	for (int i = 0; i < 4; i++)
		message_row_release(&rows[i]);
	OK(store_counters(f->store, &counters));
	assert_int_equal(counters.admitted, 4);
	assert_int_equal(counters.states[STATE_SENT], 3);
	assert_int_equal(counters.pruned[STATE_SENT], 1);
	begin(f);
	out = (struct pruned){0};
	OK(store_prune(f->store, &prune, 9, &out, &more));
	assert_false(more);
	assert_int_equal(out.contacts + out.contents + out.messages, 0);
	add_at(f, "january", 7, STATE_SENT, MOMENT_NEVER); /* the id is free, and the month made anew */
	commit(f);
}

static void a_lost_slice_of_pruning_is_as_if_it_had_not_been(void **state)
{
	struct fixture *f = *state;
	const struct prune prune = {.contents = 70 * MOMENT_DAY, .contacts = 40 * MOMENT_DAY};
	struct pruned out = {0};
	bool more = false;

	begin(f);
	add_at(f, "january", 5, STATE_SENT, MOMENT_NEVER);
	add_at(f, "february", 41, STATE_SENT, MOMENT_NEVER);
	commit(f);
	begin(f);
	OK(store_prune(f->store, &prune, 9, &out, &more));
	store_rollback(f->store);
	begin(f);
	out = (struct pruned){0};
	OK(store_prune(f->store, &prune, 9, &out, &more));
	commit(f);
	assert_int_equal(out.contacts, 1);
	assert_int_equal(out.messages, 1);
	assert_int_equal(out.contents, 1);
}

/* Whether any of the store's files has the bytes. */
static bool files_have(const struct fixture *f, const char *bytes)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	bool found = false;

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		char *name = xasprintf("%s%s", strchr(f->url, ':') + 1, ends[i]);
		FILE *file = fopen(name, "re");
		free(name);
		if (!file)
			continue;
		fseek(file, 0, SEEK_END);
		size_t len = (size_t)ftell(file);
		rewind(file);
		char *all = xmalloc(len + 1);
		found = found || (fread(all, 1, len, file) == len && memmem(all, len, bytes, strlen(bytes)));
		free(all);
		fclose(file);
	}
	return found;
}

/* As it goes on with a message: its row gets longer, and others have to move to another page. */
static void rows_grow(struct fixture *f, int64_t count, int step)
{
	for (int64_t n = 1; n <= count; n++) {
		struct message_row row = {0};
		if (n % 100 == 1)
			begin(f);
		OK(store_get_messages(f->store, &n, 1, &row));
		free(row.reasons);
		row.reasons = xasprintf("[{\"code\":\"chosen\",\"args\":{\"channel\":\"%0*d\"}}]",
					(int)(n * step % 600) + 1, 7);
		OK(store_save_messages(f->store, (struct message_row *const[]){&row}, 1));
		message_row_release(&row);
		if (n % 100 == 0)
			commit(f);
	}
}

static void what_is_taken_out_and_cleaned_is_in_no_file(void **state)
{
	struct fixture *f = *state;
	int64_t after = 0;
	size_t count = 0;
	bool done = false;
	char id[16];

	for (int round = 0; round < 20; round++) { /* pages are split, moved and freed meanwhile */
		begin(f);
		for (int i = 0; i < 40; i++) {
			snprintf(id, sizeof id, "m-%d-%d", round, i);
			struct message_row row = row_of(id, "sms", LANE_NORMAL, i % 3 ? 10 : MOMENT_NEVER);
			free(row.body);
			row.body = xasprintf("{\"name\":\"Quetzalcoatl\",\"filler\":\"%0*d\"}",
					     i % 7 == 0 ? 9000 : 20 * i + 1, i);
			row.customer = 1;
			OK(store_number_messages(f->store, (struct message_row *const[]){&row}, 1));
			struct contact contact =
				contact_of(round * MOMENT_DAY, 1, row.n, "p", "sms", STATE_SENT);
			free(contact.content);
			contact.content = xasprintf("Dear Quetzalcoatl, %0*d", 30 * i + 1, i);
			row.contact = add_contact(f, contact);
			OK(store_add_messages(f->store, (struct message_row *const[]){&row}, 1));
			row.due = i % 2 ? 20 : MOMENT_NEVER;
			row.state = STATE_SENT;
			OK(store_save_messages(f->store, (struct message_row *const[]){&row}, 1));
			message_row_release(&row);
		}
		commit(f);
	}
	rows_grow(f, 20 * 40, 37);
	rows_grow(f, 20 * 40, 101);
	assert_true(files_have(f, "Quetzalcoatl"));
	begin(f);
	do
		OK(store_erase_contacts(f->store, 1, &after, 100, &count));
	while (count == 100);
	commit(f);
	OK(store_clean(f->store, &done));
	assert_true(done);
	assert_false(files_have(f, "Quetzalcoatl"));
	rows_grow(f, 20 * 40, 3); /* what is still in memory does not bring it back */
	assert_false(files_have(f, "Quetzalcoatl"));
}

/* --- what the audit reads --- */

static void the_audit_reads_attempts_by_customer_in_pages(void **state)
{
	struct fixture *f = *state;
	struct audit_contact *page = NULL;
	struct audit_at after = {0};
	size_t count = 0;

	begin(f);
	int64_t one = add_of(f, "m-1", 1, STATE_SENT, MOMENT_NEVER),
		two = add_of(f, "m-2", 1, STATE_SENT, MOMENT_NEVER),
		other = add_of(f, "m-3", 2, STATE_SENT, MOMENT_NEVER);
	add_contact(f, contact_of(MOMENT_DAY, 2, other, "card-alerts", "sms", STATE_SENT));
	add_contact(f, contact_of(60 * MOMENT_DAY, 1, one, "card-alerts", "sms", STATE_SENT));
	struct contact closing = contact_of(MOMENT_DAY, 1, one, "card-alerts", "", STATE_FAILED);
	closing.attempt = 0;
	add_contact(f, closing);
	struct contact digest = contact_of(MOMENT_DAY, 1, 0, "card-alerts", "email", STATE_SENT);
	digest.several = xcalloc(2, sizeof *digest.several);
	digest.several[0] = one;
	digest.several[1] = two;
	digest.several_count = 2;
	add_contact(f, digest);
	commit(f);
	READ_OK(store_audit_contacts(f->reader, &after, 2, &page, &count));
	assert_int_equal(count, 3); /* the second has two messages */
	assert_string_equal(page[0].channel, "sms");
	assert_string_equal(page[0].message_id, "m-1");
	assert_string_equal(page[0].campaign, "may");
	assert_int_equal(page[0].products_seq, 7);
	assert_true(page[1].first);
	assert_false(page[2].first);
	assert_string_equal(page[2].channel, "email");
	assert_int_equal(page[1].message_n + page[2].message_n, one + two);
	audit_contacts_free(page, count);
	READ_OK(store_audit_contacts(f->reader, &after, 2, &page, &count));
	assert_int_equal(count, 1);
	assert_int_equal(page[0].customer, 2);
	assert_int_equal(page[0].message_n, other);
	audit_contacts_free(page, count);
	READ_OK(store_audit_contacts(f->reader, &after, 2, &page, &count));
	assert_int_equal(count, 0);
	audit_contacts_free(page, count);
	after = (struct audit_at){.customer = 1, .end = 2};
	READ_OK(store_audit_contacts(f->reader, &after, 9, &page, &count));
	assert_int_equal(count, 3);
	assert_int_equal(page[2].customer, 1);
	audit_contacts_free(page, count);
	after = (struct audit_at){.customer = 2};
	READ_OK(store_audit_contacts(f->reader, &after, 9, &page, &count));
	assert_int_equal(count, 1);
	audit_contacts_free(page, count);
}

static void the_audit_reads_changes_by_customer_in_pages(void **state)
{
	static const struct {
		int64_t customer;
		enum change_kind kind;
	} log[] = {{3, CHANGE_CUSTOMER},   {1, CHANGE_CUSTOMER}, {0, CHANGE_HOLD},
		   {3, CHANGE_PREFERENCE}, {1, CHANGE_ADDRESS},  {1, CHANGE_PREFERENCE},
		   {2, CHANGE_PREFERENCE}};
	static const size_t expected[] = {1, 5, 6, 0, 3};
	struct fixture *f = *state;
	struct audit_at after = {.customer = 1, .end = 4};
	struct change *page = NULL;
	int64_t seq[7];
	size_t count = 0, seen = 0;

	begin(f);
	for (size_t i = 0; i < 7; i++) {
		struct change change = {.kind = log[i].kind,
					.customer = log[i].customer,
					.subject = (char *)"p",
					.by = (char *)"cli",
					.actor = (char *)"",
					.source = (char *)"",
					.evidence = (char *)"",
					.old_value = (char *)"",
					.new_value = (char *)"{}"};
		OK(store_append_changes(f->store, (struct change *const[]){&change}, 1));
		seq[i] = change.seq;
	}
	commit(f);
	do {
		READ_OK(store_audit_changes(f->reader, &after, 2, &page, &count));
		for (size_t i = 0; i < count; i++, seen++) {
			assert_true(seen < 5);
			assert_int_equal(page[i].seq, seq[expected[seen]]);
			assert_int_equal(page[i].customer, log[expected[seen]].customer);
			change_release(&page[i]);
		}
		free(page);
	} while (count);
	assert_int_equal(seen, 5);
	after = (struct audit_at){.customer = 2, .end = 3};
	READ_OK(store_audit_changes(f->reader, &after, 9, &page, &count));
	assert_int_equal(count, 1);
	change_release(&page[0]);
	free(page);
}

/* In whatever order contacts came, with gaps between, in two months. */
static void the_audit_finds_the_contact_of_each_message(void **state)
{
	enum { MANY = 400, FREE = 3 };
	struct fixture *f = *state;
	struct audit_message *page = NULL;
	int64_t contacts[MANY], after = 0;
	size_t count = 0, seen = 0;

	begin(f);
	for (int i = 0; i < MANY; i++) {
		int n = i < MANY / 2 ? i : MANY - 1 - (i * 37) % (MANY / 2);
		int64_t at = i < MANY / 4 ? MOMENT_DAY : 40 * MOMENT_DAY;
		contacts[n] = add_contact(f, contact_of(at, 1, n + 1, "card-alerts", "sms", STATE_SENT));
		for (int gap = i % 50 ? 0 : 100; gap > 0; gap--)
			add_contact(f, contact_of(at, 1, 0, "card-alerts", "sms", STATE_SENT));
	}
	for (int n = 0; n < MANY; n++) {
		char *id = xasprintf("m-%d", n);
		struct message_row row = row_of(id, "", LANE_NORMAL, MOMENT_NEVER);
		row.customer = 1;
		row.state = STATE_SENT;
		row.contact = n % 100 == FREE ? contacts[MANY - 1] + 1000 : contacts[n];
		assert_int_equal(add_row(f, row), n + 1);
		free(id);
	}
	commit(f);
	do {
		READ_OK(store_audit_messages(f->reader, after, 150, &page, &count));
		for (size_t i = 0; i < count; i++, seen++) {
			after = page[i].n;
			bool there = (page[i].n - 1) % 100 != FREE;
			assert_int_equal(page[i].contact_there, there);
			assert_int_equal(page[i].contact_has_it, there);
		}
		audit_messages_free(page, count);
	} while (count);
	assert_int_equal(seen, MANY);
}

static void the_audit_reads_messages_with_their_contact_and_the_sum(void **state)
{
	struct fixture *f = *state;
	struct audit_message *page = NULL;
	struct counters rows, kept, more = {.admitted = 2, .states = {[STATE_SENT] = 2}};
	size_t count = 0;

	begin(f);
	struct message_row row = row_of("m-1", "", LANE_NORMAL, MOMENT_NEVER);
	row.customer = 1;
	row.state = STATE_SENT;
	row.contact = add_contact(f, contact_of(MOMENT_DAY, 1, 1, "card-alerts", "sms", STATE_SENT));
	int64_t one = add_row(f, row);
	int64_t two = add_of(f, "m-2", 1, STATE_SENT, MOMENT_NEVER);
	OK(store_count(f->store, &more));
	commit(f);
	READ_OK(store_audit_messages(f->reader, 0, 1, &page, &count));
	assert_int_equal(count, 1);
	assert_int_equal(page[0].n, one);
	assert_true(page[0].contact_there);
	assert_true(page[0].contact_has_it);
	assert_int_equal(page[0].contact_state, STATE_SENT);
	assert_int_equal(page[0].contact_customer, 1);
	audit_messages_free(page, count);
	READ_OK(store_audit_messages(f->reader, one, 9, &page, &count));
	assert_int_equal(count, 1);
	assert_int_equal(page[0].n, two);
	assert_false(page[0].contact_there);
	audit_messages_free(page, count);
	READ_OK(store_audit_sum(f->reader, &rows, &kept));
	assert_memory_equal(&rows, &kept, sizeof rows);
	assert_int_equal(rows.admitted, 2);
}

static void a_set_of_products_and_changes_of_a_kind_are_read_again(void **state)
{
	struct fixture *f = *state;
	struct change *changes = NULL;
	char *body = NULL;
	size_t count = 0;
	int64_t first, second;

	begin(f);
	OK(store_put_products(f->store, "h1", "{\"a\":1}", 1, &first));
	put_customer(f, "ana", "ana@example.com", NULL);
	OK(store_put_products(f->store, "h2", "{\"a\":2}", 1, &second));
	commit(f);
	READ_OK(store_read_products(f->reader, "h1", &body));
	assert_string_equal(body, "{\"a\":1}");
	free(body);
	READ_OK(store_read_products(f->reader, "h3", &body));
	assert_null(body);
	READ_OK(store_read_changes_of_kind(f->reader, CHANGE_PRODUCTS, first, 9, &changes, &count));
	assert_int_equal(count, 1);
	assert_int_equal(changes[0].seq, second);
	assert_string_equal(changes[0].subject, "h2");
	change_release(&changes[0]);
	free(changes);
}

/* --- several writers --- */

static struct store *second_writer(struct fixture *f)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct store *store = store_open(f->url, false, &error);
	if (!store)
		fail_msg("%s", error.data);
	text_release(&error);
	return store;
}

static bool gets(struct store *store, int n, bool exclusive)
{
	struct store_stripe stripe = {.n = n, .exclusive = exclusive};

	if (!store_try_stripes(store, &stripe, 1))
		fail_msg("%s", store_error(store));
	return stripe.got;
}

static void a_stripe_is_shared_to_claim_and_held_alone_to_change(void **state)
{
	struct fixture *f = *state;
	struct store *other = second_writer(f);
	struct store_stripe stripes[] = {{.n = 3}, {.n = 7, .exclusive = true}};

	begin(f);
	OK(store_lock_stripes(f->store, stripes, 2));
	assert_true(stripes[0].got && stripes[1].got);
	assert_true(store_begin(other));
	assert_true(gets(other, 3, false));
	assert_false(gets(other, 3, true));
	assert_false(gets(other, 7, false));
	assert_true(gets(other, 8, true));
	/* who waits for it too long is told so, and may try again */
	assert_false(store_lock_stripes(other, &stripes[1], 1));
	assert_true(store_is_contended(other));
	store_rollback(other);
	commit(f);
	assert_true(store_begin(other));
	assert_true(gets(other, 7, true));
	store_rollback(other);
	store_close(other);
}

static void what_one_has_in_hand_the_other_passes_over(void **state)
{
	struct fixture *f = *state;
	struct store *other = second_writer(f);
	struct message_rows rows = {0};

	begin(f);
	add_waiting(f, "a", "sms", LANE_NORMAL, 1);
	add_waiting(f, "b", "sms", LANE_NORMAL, 2);
	commit(f);
	begin(f);
	assert_due(f, "sms", LANE_NORMAL, 10, 1, "a");
	assert_true(store_begin(other));
	assert_true(store_due(other, "sms", LANE_NORMAL, 10, 10, &rows));
	assert_ids(&rows, "b");
	store_rollback(other);
	commit(f);
	store_close(other);
}

/* A transaction that takes them over may be lost; then nobody but their own gateway would find them. */
static void what_is_ones_own_is_not_passed_over_while_another_takes_it(void **state)
{
	struct fixture *f = *state;
	struct store *other = second_writer(f);
	struct message_rows rows = {0};
	int64_t mine, before;

	begin(f);
	OK(store_report_gateway(f->store, "gw-1", "boot", 50, &mine, &before));
	add_claimed(f, "m", mine, 60);
	commit(f);
	assert_true(store_begin(other) && store_abandoned(other, 0, 70, 60, 0, 9, &rows));
	assert_ids(&rows, "m");
	begin(f);
	assert_false(store_abandoned(f->store, mine, 70, 60, 0, 9, &rows)); /* it waits, and is tried again */
	assert_true(store_is_contended(f->store));
	store_rollback(f->store);
	store_rollback(other);
	begin(f);
	OK(store_abandoned(f->store, mine, 70, 60, 0, 9, &rows));
	assert_ids(&rows, "m");
	commit(f);
	store_close(other);
}

static void a_row_that_was_claimed_by_another_is_not_overwritten(void **state)
{
	struct fixture *f = *state;
	struct store *other = second_writer(f);
	struct message_row mine = {0}, theirs = {0};

	begin(f);
	int64_t n = add_waiting(f, "m", "sms", LANE_NORMAL, 1);
	commit(f);
	OK(store_get_messages(f->store, &n, 1, &mine));
	assert_true(store_begin(other) && store_get_messages(other, &n, 1, &theirs));
	theirs.epoch++;
	assert_true(store_save_messages(other, (struct message_row *const[]){&theirs}, 1));
	assert_true(store_commit(other));
	begin(f);
	mine.epoch++;
	assert_false(store_save_messages(f->store, (struct message_row *const[]){&mine}, 1));
	assert_true(store_is_contended(f->store));
	store_rollback(f->store);
	message_row_release(&mine);
	message_row_release(&theirs);
	store_close(other);
}

static void an_address_that_somebody_took_meanwhile_keeps_its_text(void **state)
{
	struct fixture *f = *state;
	struct store *other = second_writer(f);
	struct customer *bob = customer_of("bob", "shared@example.com", NULL);
	struct address_row row = {0};
	int64_t *owners = NULL;
	size_t count = 0;

	begin(f);
	int64_t ana = put_customer(f, "ana", "shared@example.com", NULL);
	OK(store_get_address(f->store, "email", "shared@example.com", false, &row));
	OK(store_erase_customer(f->store, ana, "erased:1", 6));
	commit(f);
	begin(f);
	OK(store_customers_of_address(f->store, row.n, &owners, &count));
	assert_int_equal(count, 0);
	assert_true(store_begin(other) && store_put_customer(other, bob) && store_commit(other));
	OK(store_rename_address(f->store, row.n, "erased:2"));
	commit(f);
	OK(store_get_address(f->store, "email", "shared@example.com", false, &row));
	assert_int_equal(row.n, bob->addresses[0].n);
	customer_free(bob);
	free(owners);
	store_close(other);
}

static void an_office_changes_hands_when_its_time_is_over(void **state)
{
	struct fixture *f = *state;
	bool mine = false;

	begin(f);
	OK(store_take_role(f->store, "events", 1, 100, 200, &mine));
	assert_true(mine);
	OK(store_take_role(f->store, "events", 2, 150, 250, &mine));
	assert_false(mine);
	OK(store_take_role(f->store, "events", 1, 150, 300, &mine));
	assert_true(mine);
	OK(store_take_role(f->store, "events", 2, 301, 400, &mine));
	assert_true(mine);
	commit(f);
}

static void two_gateways_of_one_name_are_not_at_work_at_once(void **state)
{
	struct fixture *f = *state;
	struct store *other = second_writer(f);
	int64_t n = 0, again = 0, count = 0, before;

	begin(f);
	OK(store_report_gateway(f->store, "g1", "boot", 100, &n, &before));
	commit(f);
	assert_true(store_begin(other));
	assert_false(store_report_gateway(other, "g1", "boot", 100, &again, &before));
	assert_non_null(strstr(store_error(other), "a gateway with the name g1 is at work"));
	store_rollback(other);
	assert_true(store_begin(other) && store_report_gateway(other, "g2", "boot", 50, &again, &before));
	assert_true(store_commit(other));
	assert_true(again != n);
	OK(store_count_gateways(f->store, 60, &count));
	assert_int_equal(count, 1);
	OK(store_count_gateways(f->store, 50, &count));
	assert_int_equal(count, 2);
	store_close(other);
}

/* Runs in a child while the parent's transaction is open: it may not commit before it. */
static int add_one_more(struct fixture *f)
{
	struct event_row event = {.json = (char *)"{\"second\":true}"};

	return store_begin(f->store) && store_add_events(f->store, (struct event_row *const[]){&event}, 1) &&
			       store_commit(f->store)
		       ? 0
		       : 1;
}

static void events_are_numbered_in_the_order_of_their_commits(void **state)
{
	struct fixture *f = *state;
	struct event_row *events = NULL;
	size_t count = 0;
	int status = 1;

	begin(f);
	add_event(f, "{\"first\":true}");
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fixture child = *f;
		child.store = second_writer(f);
		_exit(add_one_more(&child));
	}
	usleep(300 * 1000); /* it waits; were it not to, its event would come first */
	assert_int_equal(count_events(f), 1);
	commit(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	OK(store_get_events(f->store, 0, 10, &events, &count));
	assert_int_equal(count, 2);
	assert_string_equal(events[0].json, "{\"first\":true}");
	for (size_t i = 0; i < count; i++)
		free(events[i].json);
	free(events);
}

static void a_connection_that_is_cut_is_made_again(void **state)
{
	struct fixture *f = *state;
	struct message_row row;

	begin(f);
	add_waiting(f, "gone", "sms", LANE_NORMAL, 1);
	ask_server("DO $$ BEGIN PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE "
		   "application_name = 't%ld_%d'; END $$",
		   f->run);
	assert_false(store_commit(f->store));
	store_rollback(f->store);
	begin(f);
	add_waiting(f, "m", "sms", LANE_NORMAL, 1);
	commit(f);
	READ_OK(store_read_message(f->reader, "m", &row));
	assert_true(row.n > 0);
	message_row_release(&row);
	READ_OK(store_read_message(f->reader, "gone", &row));
	assert_int_equal(row.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_message_is_found_by_its_id_and_comes_back_whole),
		BOTH(what_changes_is_saved),
		BOTH(what_waits_and_is_over_is_found_the_earliest_first),
		BOTH(the_turn_in_the_list_is_kept),
		BOTH(caps_are_counted_and_taken_back_with_the_transaction),
		BOTH(a_contact_of_several_messages_is_in_the_history_of_each),
		BOTH(an_event_keeps_the_stream_that_it_goes_out_on),
		BOTH(an_address_is_known_whoever_has_it),
		BOTH(the_last_that_may_have_arrived_at_an_address_is_found),
		BOTH(the_last_attempt_of_a_message_on_a_channel_is_found_alone_or_in_a_digest),
		BOTH(what_came_in_and_what_went_out_have_references_of_their_own),
		BOTH(a_receipt_that_came_first_is_kept_until_it_is_dropped),
		BOTH(an_id_is_added_once),
		BOTH(what_is_due_comes_in_the_order_of_due_then_number),
		BOTH(the_next_due_is_the_earliest_of_all_lanes),
		BOTH(the_waiting_index_follows_every_change),
		BOTH(a_sweep_in_slices_sees_each_waiting_row_once),
		BOTH(what_anything_waits_for_is_named_once),
		BOTH(a_customers_waiting_and_open_messages_are_found),
		BOTH(what_waits_of_a_customer_is_found_in_slices),
		BOTH(who_is_erased_keeps_a_one_way_name_and_the_zone),
		BOTH(an_address_is_renamed_and_keeps_its_state),
		BOTH(a_change_is_rewritten_and_nothing_else_of_it),
		BOTH(texts_of_a_customers_contacts_and_messages_go_in_slices),
		BOTH(an_event_that_waits_is_rewritten),
		BOTH(what_was_kept_long_enough_goes_and_the_sum_stays),
		BOTH(a_lost_slice_of_pruning_is_as_if_it_had_not_been),
		ON("sqlite", what_is_taken_out_and_cleaned_is_in_no_file),
		BOTH(a_customers_contacts_in_doubt_are_found_until_they_are_none),
		BOTH(what_is_sending_is_found_in_slices),
		BOTH(a_gateway_keeps_its_number),
		BOTH(the_audit_reads_attempts_by_customer_in_pages),
		BOTH(the_audit_reads_changes_by_customer_in_pages),
		BOTH(the_audit_finds_the_contact_of_each_message),
		BOTH(the_audit_reads_messages_with_their_contact_and_the_sum),
		BOTH(a_set_of_products_and_changes_of_a_kind_are_read_again),
		BOTH(what_is_abandoned_is_ones_own_and_what_the_silent_claimed),
		BOTH(what_another_has_claimed_is_not_overwritten),
		BOTH(a_contact_knows_how_far_the_log_was_and_takes_a_late_report),
		ON("sqlite", months_of_an_earlier_heed_get_the_columns_that_came_since),
		BOTH(the_contacts_of_one_customer_are_found_among_many),
		BOTH(the_audit_reads_many_contacts_by_customer),
		BOTH(the_audit_finds_the_one_attempt_behind_many_that_are_none),
		BOTH(the_log_of_one_customer_is_in_order_though_months_overlap),
		ON("sqlite", the_audit_says_where_a_contact_is_not_listed_as_his),
		ON("sqlite", a_merge_that_is_rolled_back_leaves_none_out),
		ON("sqlite", contacts_are_listed_by_customer_in_few_runs),
		ON("sqlite", a_store_of_before_lists_its_contacts_when_it_is_migrated),
		BOTH(the_oldest_of_each_lane_is_known),
		BOTH(its_size_on_disk_is_known_where_it_has_one),
		BOTH(what_waits_for_a_while_follows_the_clock_and_what_waits_for_a_time_of_day_keeps_it),
		BOTH(a_contact_comes_back_whole_and_takes_its_outcome),
		BOTH(the_log_names_what_a_contact_points_to),
		BOTH(the_log_is_read_over_months),
		BOTH(the_log_is_filtered),
		BOTH(a_follower_sees_each_change_once_in_order),
		BOTH(a_customer_comes_back_with_addresses_in_order),
		BOTH(putting_a_customer_again_replaces_the_facts),
		BOTH(a_customer_is_stamped_and_keeps_the_rest),
		BOTH(an_address_and_its_state_are_shared),
		BOTH(customers_are_looked_up_many_at_once),
		BOTH(addresses_are_found_or_made_many_at_once),
		BOTH(customers_are_numbered_and_then_added),
		BOTH(preferences_are_written_and_read_many_at_once),
		BOTH(it_is_known_whether_anybody_was_erased),
		BOTH(an_address_keeps_its_state_while_nobody_has_it),
		BOTH(customers_are_found_by_address_on_any_channel),
		BOTH(a_reader_sees_what_waits_for_a_customer),
		BOTH(a_customers_id_is_found_by_its_row),
		BOTH(facts_hold_own_parent_and_star),
		BOTH(facts_follow_every_change),
		BOTH(facts_of_many_have_the_states_of_now),
		BOTH(a_part_that_is_taken_back_leaves_the_facts_as_they_were),
		BOTH(a_preference_is_replaced_and_comes_back_whole),
		BOTH(an_entry_keeps_its_hours_and_wait),
		BOTH(changes_are_numbered_and_appended),
		BOTH(a_set_of_products_is_numbered_when_it_changes),
		BOTH(how_far_a_second_look_came_is_kept_until_it_is_dropped),
		BOTH(holds_are_kept_until_they_are_dropped),
		BOTH(what_waits_of_a_campaign_is_found_in_slices),
		BOTH(events_go_out_in_order_and_are_never_numbered_again),
		BOTH(events_that_were_added_together_are_read_and_dropped_one_by_one),
		BOTH(the_counters_are_the_sum_of_what_was_counted),
		BOTH(a_rollback_leaves_nothing),
		BOTH(a_rollback_of_the_first_transaction_leaves_an_empty_store),
		BOTH(a_part_of_a_transaction_is_taken_back_alone),
		BOTH(writing_needs_a_transaction),
		BOTH(after_a_failure_only_a_rollback_works),
		ON("sqlite", a_second_writer_is_told_who_holds_the_store),
		ON("memory", a_second_writer_is_told_who_holds_the_store),
		BOTH(an_unknown_kind_of_store_is_refused),
		KEPT(reopening_keeps_everything),
		ON("postgresql", a_stripe_is_shared_to_claim_and_held_alone_to_change),
		ON("postgresql", what_one_has_in_hand_the_other_passes_over),
		ON("postgresql", what_is_ones_own_is_not_passed_over_while_another_takes_it),
		ON("postgresql", a_row_that_was_claimed_by_another_is_not_overwritten),
		ON("postgresql", an_address_that_somebody_took_meanwhile_keeps_its_text),
		ON("postgresql", an_office_changes_hands_when_its_time_is_over),
		ON("postgresql", two_gateways_of_one_name_are_not_at_work_at_once),
		ON("postgresql", events_are_numbered_in_the_order_of_their_commits),
		ON("postgresql", a_connection_that_is_cut_is_made_again),
		ON("sqlite", only_the_owner_may_read_the_files),
		KEPT(a_reader_sees_only_what_is_committed),
		KEPT(a_kill_in_the_middle_leaves_the_commit_before),
		ON("sqlite", a_full_disk_fails_cleanly_and_the_store_goes_on),
		ON("sqlite", another_process_is_kept_out),
		ON("sqlite", a_store_that_is_not_there_is_made_only_when_asked),
		ON("sqlite", a_newer_schema_is_used_only_where_it_allows_it),
		ON("sqlite", a_file_that_is_no_store_is_left_alone),
	};

	struct CMUnitTest wanted[sizeof tests / sizeof tests[0]];
	size_t count = 0;

	xalloc_init();
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
		if (server() || strcmp(tests[i].initial_state, "postgresql") != 0)
			wanted[count++] = tests[i];
	if (!server())
		puts("store_postgres: SKIPPED, HEED_TEST_POSTGRES is not set (tests/postgres.py sets it)");
	return _cmocka_run_group_tests("store", wanted, count, NULL, NULL);
}
