/* One suite for the queue, run on every back end; what only Redis can show comes behind it. A private Redis
 * on a Unix socket in a folder of its own, ended by its pid. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "moment.h"
#include "queue.h"
#include "queue_memory.h"
#include "xalloc.h"
#include "banned.h"

#define ALL_LANES 7u
#define WAIT_MS 300
#define PATIENCE (15 * MOMENT_S)

/* --- a private Redis --- */

static char folder[] = "/tmp/heed-queue-XXXXXX";
static char socket_path[64];
static pid_t redis_pid;

static void pause_ms(int ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	nanosleep(&time, NULL);
}

static redisReply *redis_ask(int argc, const char *argv[])
{
	redisContext *context = redisConnectUnix(socket_path);
	redisReply *reply = NULL;

	if (context && !context->err)
		reply = redisCommandArgv(context, argc, argv, NULL);
	redisFree(context);
	return reply;
}

static void redis_do(const char *const words[])
{
	int count = 0;

	while (words[count])
		count++;
	redisReply *reply = redis_ask(count, (const char **)words);
	assert_non_null(reply);
	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("%s: %s", words[0], reply->str);
	freeReplyObject(reply);
}
#define REDIS(...) redis_do((const char *[]){__VA_ARGS__, NULL})

static long long redis_number(const char *a, const char *b, const char *c)
{
	const char *words[] = {a, b, c};
	redisReply *reply = redis_ask(c ? 3 : 2, words);

	assert_non_null(reply);
	long long number = reply->type == REDIS_REPLY_ARRAY ? reply->element[0]->integer : reply->integer;
	freeReplyObject(reply);
	return number;
}

static bool redis_answers(void)
{
	const char *ping[] = {"PING"};
	redisReply *reply = redis_ask(1, ping);
	bool ok = reply && reply->type == REDIS_REPLY_STATUS;

	if (reply)
		freeReplyObject(reply);
	return ok;
}

static void redis_start(void)
{
	redis_pid = fork();
	if (redis_pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* ends with the thread that started it */
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--dir",
		       folder, "--appendonly", "yes", "--appendfsync", "always", "--save", "", NULL);
		_exit(127);
	}
	int64_t until = moment_mono() + PATIENCE;
	while (!redis_answers() && moment_mono() < until)
		pause_ms(20);
	assert_true(redis_answers());
}

static void redis_stop(int with)
{
	kill(redis_pid, with);
	waitpid(redis_pid, NULL, 0);
	redis_pid = 0;
}

/* --- the two back ends --- */

struct backend {
	const char *name;
	char url[96];
	void (*add)(const char *url, const char *stream, const char *const fields[]);
	size_t (*length)(const char *url, const char *stream);
	/* the caller frees; NULL: not there */
	char *(*field)(const char *url, const char *stream, size_t index, const char *field);
};

static void redis_add(const char *url, const char *stream, const char *const fields[])
{
	const char *words[32] = {"XADD", stream, "*"};
	int count = 3;

	(void)url;
	while (*fields)
		words[count++] = *fields++;
	redis_do(words);
}

static size_t redis_length(const char *url, const char *stream)
{
	(void)url;
	return (size_t)redis_number("XLEN", stream, NULL);
}

static char *redis_field(const char *url, const char *stream, size_t index, const char *field)
{
	const char *words[] = {"XRANGE", stream, "-", "+"};
	redisReply *reply = redis_ask(4, words);
	char *value = NULL;

	(void)url;
	assert_non_null(reply);
	if (index < reply->elements) {
		const redisReply *values = reply->element[index]->element[1];
		for (size_t i = 0; i < values->elements; i += 2)
			if (strcmp(values->element[i]->str, field) == 0)
				value = xstrdup(values->element[i + 1]->str);
	}
	freeReplyObject(reply);
	return value;
}

static struct backend backends[] = {
	{"redis", "", redis_add, redis_length, redis_field},
	{"memory", "", queue_memory_add, queue_memory_length, queue_memory_field},
};

static struct backend *at; /* the one under test */

static int begin_redis(void **state)
{
	(void)state;
	at = &backends[0];
	snprintf(at->url, sizeof at->url, "unix:%s", socket_path);
	REDIS("FLUSHALL");
	return 0;
}

static int begin_memory(void **state)
{
	static int tests;

	(void)state;
	at = &backends[1];
	snprintf(at->url, sizeof at->url, "memory:%d", ++tests);
	return 0;
}

/* --- helpers --- */

#define IDLE_RECLAIM (800 * MOMENT_MS) /* a wait that ends empty takes Redis up to 100 ms more */
#define IDLE_SHORT (50 * MOMENT_MS)

static struct queue *open_config(const char *consumer, int64_t idle_reclaim, int partitions)
{
	struct queue_config config = {.url = at->url,
				      .prefix = "heed",
				      .consumer = consumer,
				      .partitions = partitions,
				      .events_max = 1000,
				      .dead_max = 1000,
				      .idle_reclaim = idle_reclaim};
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct queue *queue = queue_open(&config, &error);
	assert_string_equal(error.data, "");
	assert_non_null(queue);
	text_release(&error);
	return queue;
}

static struct queue *open_idle(const char *consumer, int64_t idle_reclaim)
{
	return open_config(consumer, idle_reclaim, 1);
}

static struct queue *open_as(const char *consumer)
{
	return open_idle(consumer, IDLE_RECLAIM);
}

static void send_one(struct queue *queue, enum lane lane, const char *message)
{
	struct queue_place place;

	assert_true(queue_send(queue, lane, &message, 1, &place));
	assert_non_null(place.entry);
	free(place.entry);
}

static void send_many(struct queue *queue, enum lane lane, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char message[64];
		snprintf(message, sizeof message, "%s %zu", lane_name(lane), i);
		send_one(queue, lane, message);
	}
}

struct reading {
	struct queue_entry *entries;
	size_t count;
};

static void reading_release(struct reading *reading)
{
	for (size_t i = 0; i < reading->count; i++)
		queue_entry_release(&reading->entries[i]);
	free(reading->entries);
	*reading = (struct reading){0};
}

static void read_up_to(struct queue *queue, unsigned lanes, size_t max, struct reading *out)
{
	if (!queue_read(queue, lanes, max, WAIT_MS, &out->entries, &out->count))
		fail_msg("queue_read: %s", queue_error(queue));
}

static size_t reading_of(const struct reading *reading, enum lane lane)
{
	size_t found = 0;

	for (size_t i = 0; i < reading->count; i++)
		found += reading->entries[i].lane == lane;
	return found;
}

static void settle_all(struct queue *queue, const struct reading *reading)
{
	struct queue_settlement *done = xcalloc(reading->count, sizeof *done);

	for (size_t i = 0; i < reading->count; i++)
		done[i] = (struct queue_settlement){.stream = reading->entries[i].stream,
						    .id = reading->entries[i].id};
	if (!queue_settle(queue, done, reading->count))
		fail_msg("queue_settle: %s", queue_error(queue));
	free(done);
}

static void settle_dead(struct queue *queue, const struct queue_entry *entry, const char *error)
{
	struct dead_letter letter = {.message = entry->payload,
				     .message_len = entry->len,
				     .error = (char *)error,
				     .at = 1763805600000000};
	struct queue_settlement done = {.stream = entry->stream, .id = entry->id, .dead = &letter};

	assert_true(queue_settle(queue, &done, 1));
}

static void assert_field(const char *stream, size_t index, const char *field, const char *expected)
{
	char *value = at->field(at->url, stream, index, field);

	assert_non_null(value);
	assert_string_equal(value, expected);
	free(value);
}

/* --- the suite --- */

static void test_a_message_is_read_with_its_stream_lane_and_id(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};
	const char *message = "{\"customer\":\"ñ\"}";
	struct queue_place place;

	(void)state;
	assert_true(queue_send(queue, LANE_URGENT, &message, 1, &place));
	read_up_to(queue, ALL_LANES, 10, &got);
	assert_int_equal(got.count, 1);
	assert_string_equal(got.entries[0].stream, "heed:outbound:urgent");
	assert_string_equal(got.entries[0].stream, place.stream);
	assert_string_equal(got.entries[0].id, place.entry);
	assert_int_equal(got.entries[0].lane, LANE_URGENT);
	assert_string_equal(got.entries[0].payload, message);
	assert_int_equal(got.entries[0].len, strlen(message));
	assert_null(got.entries[0].error);
	free(place.entry);
	reading_release(&got);
	queue_close(queue);
}

static void test_urgent_comes_first_and_each_lane_keeps_its_order(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};
	static const char *const expected[] = {"urgent 0", "urgent 1", "normal 0",
					       "normal 1", "bulk 0",   "bulk 1"};

	(void)state;
	send_many(queue, LANE_BULK, 2);
	send_many(queue, LANE_NORMAL, 2);
	send_many(queue, LANE_URGENT, 2);
	read_up_to(queue, ALL_LANES, 100, &got);
	assert_int_equal(got.count, 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(got.entries[i].payload, expected[i]);
	reading_release(&got);
	queue_close(queue);
}

static void test_normal_and_bulk_get_a_tenth_each_beside_urgent(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	for (int lane = 0; lane < LANES; lane++)
		send_many(queue, (enum lane)lane, 60);
	read_up_to(queue, ALL_LANES, 50, &got);
	assert_int_equal(reading_of(&got, LANE_URGENT), 40);
	assert_int_equal(reading_of(&got, LANE_NORMAL), 5);
	assert_int_equal(reading_of(&got, LANE_BULK), 5);
	reading_release(&got);
	queue_close(queue);
}

static void test_the_tenths_hold_for_reads_of_one_entry(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	for (int lane = 0; lane < LANES; lane++)
		send_many(queue, (enum lane)lane, 60);
	for (int i = 0; i < 50; i++)
		read_up_to(queue, ALL_LANES, 1, &got);
	assert_int_equal(got.count, 50);
	assert_in_range(reading_of(&got, LANE_NORMAL), 4, 6);
	assert_in_range(reading_of(&got, LANE_BULK), 4, 6);
	reading_release(&got);
	queue_close(queue);
}

static void test_what_a_lane_does_not_use_goes_to_the_others(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	send_many(queue, LANE_URGENT, 3);
	send_many(queue, LANE_BULK, 60);
	read_up_to(queue, ALL_LANES, 50, &got);
	assert_int_equal(got.count, 50);
	assert_int_equal(reading_of(&got, LANE_BULK), 47);
	reading_release(&got);
	queue_close(queue);
}

static void test_a_read_of_one_entry_finds_it_in_whatever_lane_it_is(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	for (int lane = LANES - 1; lane >= 0; lane--)
		send_many(queue, (enum lane)lane, 3);
	for (size_t i = 0; i < 9; i++)
		assert_true(queue_read(queue, ALL_LANES, 1, 0, &got.entries, &got.count));
	assert_int_equal(got.count, 9);
	reading_release(&got);
	queue_close(queue);
}

static void test_only_the_lanes_of_the_mask_are_read(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	for (int lane = 0; lane < LANES; lane++)
		send_many(queue, (enum lane)lane, 2);
	read_up_to(queue, 1u << LANE_NORMAL, 10, &got);
	assert_int_equal(got.count, 2);
	assert_int_equal(reading_of(&got, LANE_NORMAL), 2);
	reading_release(&got);
	read_up_to(queue, 0, 10, &got);
	assert_int_equal(got.count, 0);
	reading_release(&got);
	queue_close(queue);
}

static void test_a_read_gives_no_more_than_asked_for(void **state)
{
	struct queue *queue = open_as("a");

	(void)state;
	for (size_t max = 1; max < 8; max++) {
		struct reading got = {0};
		for (int lane = 0; lane < LANES; lane++)
			send_many(queue, (enum lane)lane, 3);
		read_up_to(queue, ALL_LANES, max, &got);
		assert_in_range(got.count, 1, max);
		reading_release(&got);
	}
	queue_close(queue);
}

static void *send_later(void *arg)
{
	struct queue *queue = open_as("sender");

	(void)arg;
	pause_ms(100);
	send_one(queue, LANE_BULK, "late");
	queue_close(queue);
	return NULL;
}

static void test_a_read_waits_for_what_comes_later(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};
	pthread_t thread;

	(void)state;
	int64_t began = moment_mono();
	pthread_create(&thread, NULL, send_later, NULL);
	assert_true(queue_read(queue, ALL_LANES, 10, 10000, &got.entries, &got.count));
	assert_int_equal(got.count, 1);
	assert_in_range(moment_mono() - began, 90 * MOMENT_MS, 5 * MOMENT_S);
	pthread_join(thread, NULL);
	reading_release(&got);
	queue_close(queue);
}

static void *interrupt_later(void *queue)
{
	pause_ms(100);
	queue_interrupt(queue);
	return NULL;
}

static void test_an_interrupt_ends_the_wait(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};
	pthread_t thread;

	(void)state;
	int64_t began = moment_mono();
	pthread_create(&thread, NULL, interrupt_later, queue);
	assert_true(queue_read(queue, ALL_LANES, 10, 10000, &got.entries, &got.count));
	assert_int_equal(got.count, 0);
	assert_in_range(moment_mono() - began, 90 * MOMENT_MS, 2 * MOMENT_S);
	pthread_join(thread, NULL);
	free(got.entries);
	queue_close(queue);
}

static void test_what_is_settled_is_gone(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	for (int lane = 0; lane < LANES; lane++)
		send_many(queue, (enum lane)lane, 3);
	read_up_to(queue, ALL_LANES, 100, &got);
	assert_int_equal(got.count, 9);
	settle_all(queue, &got);
	assert_int_equal(at->length(at->url, "heed:outbound"), 0);
	settle_all(queue, &got); /* may be repeated */
	reading_release(&got);
	queue_close(queue);
	queue = open_as("a");
	read_up_to(queue, ALL_LANES, 100, &got);
	assert_int_equal(got.count, 0);
	free(got.entries);
	queue_close(queue);
}

static void test_what_is_marked_as_settled_is_left_out(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	send_many(queue, LANE_NORMAL, 2);
	read_up_to(queue, ALL_LANES, 10, &got);
	struct dead_letter letter = {.message = "x", .message_len = 1, .error = "e"};
	struct queue_settlement done[] = {
		{.stream = got.entries[0].stream, .id = got.entries[0].id},
		{.stream = got.entries[1].stream, .id = got.entries[1].id, .dead = &letter, .settled = true}};
	assert_true(queue_settle(queue, done, 2));
	assert_true(done[0].settled);
	assert_int_equal(at->length(at->url, "heed:dead"), 0);
	assert_int_equal(at->length(at->url, "heed:outbound"), 1);
	reading_release(&got);
	queue_close(queue);
}

static void test_own_entries_that_were_not_settled_come_again_after_reopening(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	send_many(queue, LANE_NORMAL, 700);
	while (got.count < 700)
		read_up_to(queue, ALL_LANES, 300, &got);
	reading_release(&got);
	queue_close(queue);
	queue = open_as("a");
	send_one(queue, LANE_URGENT, "new");
	while (got.count < 700) {
		size_t before = got.count;
		read_up_to(queue, ALL_LANES, 300, &got);
		assert_true(got.count > before);
	}
	assert_int_equal(got.count, 700);
	assert_int_equal(reading_of(&got, LANE_NORMAL), 700);
	assert_string_equal(got.entries[0].payload, "normal 0");
	assert_string_equal(got.entries[699].payload, "normal 699");
	reading_release(&got);
	read_up_to(queue, ALL_LANES, 300, &got);
	assert_int_equal(got.count, 1);
	assert_string_equal(got.entries[0].payload, "new");
	reading_release(&got);
	queue_close(queue);
}

static void test_what_is_in_hand_is_not_handed_out_again(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0}, again = {0};

	(void)state;
	send_many(queue, LANE_NORMAL, 3);
	read_up_to(queue, ALL_LANES, 10, &got);
	for (int64_t until = moment_mono() + 3 * IDLE_RECLAIM; moment_mono() < until;)
		assert_true(queue_read(queue, ALL_LANES, 10, 20, &again.entries, &again.count));
	assert_int_equal(again.count, 0);
	reading_release(&got);
	free(again.entries);
	queue_close(queue);
}

static void test_entries_of_a_reader_that_is_gone_are_taken_over(void **state)
{
	struct queue *gone = open_as("gone"), *queue = open_as("a");
	struct reading lost = {0}, got = {0};

	(void)state;
	send_many(gone, LANE_URGENT, 3);
	send_many(gone, LANE_BULK, 300);
	while (lost.count < 303)
		read_up_to(gone, ALL_LANES, 100, &lost);
	queue_close(gone);
	int64_t until = moment_mono() + PATIENCE;
	while (got.count < 303 && moment_mono() < until)
		assert_true(queue_read(queue, ALL_LANES, 100, 20, &got.entries, &got.count));
	assert_int_equal(got.count, 303);
	assert_int_equal(reading_of(&got, LANE_BULK), 300);
	settle_all(queue, &got);
	assert_int_equal(at->length(at->url, "heed:outbound:bulk"), 0);
	reading_release(&lost);
	reading_release(&got);
	queue_close(queue);
}

static void test_entries_of_a_reader_that_lives_are_left_alone(void **state)
{
	struct queue *alive = open_as("alive"), *queue = open_as("a");
	struct reading theirs = {0}, got = {0};

	(void)state;
	send_many(alive, LANE_NORMAL, 3);
	read_up_to(alive, ALL_LANES, 10, &theirs);
	for (int64_t until = moment_mono() + 3 * IDLE_RECLAIM; moment_mono() < until;) {
		assert_true(queue_read(alive, ALL_LANES, 10, 10, &got.entries, &got.count));
		assert_true(queue_read(queue, ALL_LANES, 10, 10, &got.entries, &got.count));
	}
	assert_int_equal(got.count, 0);
	reading_release(&theirs);
	free(got.entries);
	queue_close(alive);
	queue_close(queue);
}

static void test_any_other_field_is_named_in_the_error(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};
	static const char *const wrong[][5] = {{"message", "{}", "priority", "high"},
					       {"body", "{}"},
					       {"message", "1", "message", "2"},
					       {"m\x1b", ""}};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		at->add(at->url, "heed:outbound", wrong[i]);
	read_up_to(queue, ALL_LANES, 10, &got);
	assert_int_equal(got.count, 4);
	assert_non_null(strstr(got.entries[0].error, "\"priority\""));
	assert_string_equal(got.entries[0].payload, "{}"); /* kept for the dead letter */
	assert_non_null(strstr(got.entries[1].error, "\"body\""));
	assert_string_equal(got.entries[1].payload, "");
	assert_non_null(strstr(got.entries[2].error, "2 times"));
	assert_non_null(strstr(got.entries[3].error, "\"m?\""));
	reading_release(&got);
	queue_close(queue);
}

static void test_a_dead_letter_says_what_why_and_whence(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};
	struct queue_depths depths;

	(void)state;
	send_one(queue, LANE_BULK, "not json");
	read_up_to(queue, ALL_LANES, 10, &got);
	settle_dead(queue, &got.entries[0], "not JSON");
	assert_field("heed:dead", 0, "message", "not json");
	assert_field("heed:dead", 0, "error", "not JSON");
	assert_field("heed:dead", 0, "stream", "heed:outbound:bulk");
	assert_field("heed:dead", 0, "id", got.entries[0].id);
	assert_field("heed:dead", 0, "at", "2025-11-22T10:00:00.000Z");
	assert_true(queue_depths(queue, &depths));
	assert_int_equal(depths.dead, 1);
	assert_int_equal(depths.waiting[LANE_BULK], 0);
	reading_release(&got);
	queue_close(queue);
}

/* An application may put in whatever it likes. */
static void test_a_message_of_any_size_becomes_a_dead_letter_whole(void **state)
{
	struct queue *queue = open_as("a");
	size_t len = (size_t)5 * 1024 * 1024;
	char *huge = xmalloc(len + 1);
	struct reading got = {0};

	(void)state;
	memset(huge, 'x', len);
	huge[len] = '\0';
	send_one(queue, LANE_NORMAL, "small");
	send_one(queue, LANE_NORMAL, huge);
	send_one(queue, LANE_NORMAL, "small");
	read_up_to(queue, ALL_LANES, 10, &got);
	assert_int_equal(got.count, 3);
	for (size_t i = 0; i < 3; i++) {
		settle_dead(queue, &got.entries[i], "for the test");
		assert_field("heed:dead", i, "message", i == 1 ? huge : "small");
	}
	reading_release(&got);
	free(huge);
	queue_close(queue);
}

/* Also what the protocol itself is made of. */
static void test_a_message_of_any_bytes_becomes_a_dead_letter_byte_for_byte(void **state)
{
	static const char put[] = "redis.call('XADD', KEYS[1], '*', 'message', 'a\\0\\r\\n$3\\r\\n\\255')";
	static const char look[] = "local all = redis.call('XRANGE', KEYS[1], '-', '+') "
				   "if #all ~= 1 or all[1][2][2] ~= 'a\\0\\r\\n$3\\r\\n\\255' then "
				   "return redis.error_reply('it is another one') end";
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	REDIS("EVAL", put, "1", "heed:outbound");
	read_up_to(queue, ALL_LANES, 10, &got);
	assert_int_equal(got.count, 1);
	settle_dead(queue, &got.entries[0], "");
	REDIS("EVAL", look, "1", "heed:dead");
	reading_release(&got);
	queue_close(queue);
}

static void make_dead(struct queue *queue, enum lane lane, const char *message)
{
	struct reading got = {0};

	send_one(queue, lane, message);
	read_up_to(queue, ALL_LANES, 10, &got);
	assert_int_equal(got.count, 1);
	settle_dead(queue, &got.entries[0], "for the test");
	reading_release(&got);
}

static void test_dead_letters_are_listed_in_pages_and_shown(void **state)
{
	struct queue *queue = open_as("a");
	struct dead_letter *letters = NULL, one;
	size_t count = 0;
	bool found;

	(void)state;
	make_dead(queue, LANE_NORMAL, "1");
	make_dead(queue, LANE_NORMAL, "2");
	make_dead(queue, LANE_URGENT, "3");
	assert_true(queue_dead_list(queue, "", 2, &letters, &count));
	assert_int_equal(count, 2);
	assert_true(queue_dead_list(queue, letters[1].dead_id, 2, &letters, &count));
	assert_int_equal(count, 3);
	assert_string_equal(letters[0].message, "1");
	assert_string_equal(letters[2].message, "3");
	assert_string_equal(letters[2].stream, "heed:outbound:urgent");
	assert_string_equal(letters[2].error, "for the test");
	assert_int_equal(letters[2].at, 1763805600000000);
	assert_true(queue_dead_show(queue, letters[1].dead_id, &one, &found));
	assert_true(found);
	assert_string_equal(one.message, "2");
	dead_letter_release(&one);
	static const char *const unknown[] = {"1-1", "", "nonsense", "1", "-", "99999999999999-0"};
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		assert_true(queue_dead_show(queue, unknown[i], &one, &found));
		assert_false(found);
	}
	for (size_t i = 0; i < count; i++)
		dead_letter_release(&letters[i]);
	free(letters);
	queue_close(queue);
}

static void test_a_retried_letter_goes_back_to_its_stream(void **state)
{
	struct queue *queue = open_as("a");
	struct dead_letter *letters = NULL;
	struct reading got = {0};
	size_t count = 0;
	char *id = NULL;

	(void)state;
	make_dead(queue, LANE_URGENT, "1");
	assert_true(queue_dead_list(queue, "", 10, &letters, &count));
	assert_true(queue_dead_retry(queue, &letters[0], "1, mended", 9, &id));
	assert_int_equal(at->length(at->url, "heed:dead"), 0);
	read_up_to(queue, ALL_LANES, 10, &got);
	assert_int_equal(got.count, 1);
	assert_string_equal(got.entries[0].payload, "1, mended");
	assert_string_equal(got.entries[0].stream, "heed:outbound:urgent");
	assert_string_equal(got.entries[0].id, id);
	free(id);
	dead_letter_release(&letters[0]);
	free(letters);
	reading_release(&got);
	queue_close(queue);
}

static void test_a_letter_of_another_stream_is_not_put_back(void **state)
{
	struct queue *queue = open_as("a");
	struct dead_letter letter = {.dead_id = "1-1", .stream = "shop:carts", .id = "1-1"};
	char *id = NULL;

	(void)state;
	assert_false(queue_dead_retry(queue, &letter, "x", 1, &id));
	assert_non_null(strstr(queue_error(queue), "shop:carts"));
	queue_close(queue);
}

static void test_a_dropped_letter_is_gone(void **state)
{
	struct queue *queue = open_as("a");
	struct dead_letter *letters = NULL;
	size_t count = 0;
	bool found;

	(void)state;
	make_dead(queue, LANE_NORMAL, "1");
	assert_true(queue_dead_list(queue, "", 10, &letters, &count));
	assert_true(queue_dead_drop(queue, letters[0].dead_id, &found));
	assert_true(found);
	assert_int_equal(at->length(at->url, "heed:dead"), 0);
	assert_true(queue_dead_drop(queue, letters[0].dead_id, &found));
	assert_false(found);
	assert_true(queue_dead_drop(queue, "nonsense", &found));
	assert_false(found);
	dead_letter_release(&letters[0]);
	free(letters);
	queue_close(queue);
}

static void test_events_go_out_in_order_and_are_trimmed(void **state)
{
	struct queue *queue = open_as("a");
	static char texts[3000][32];
	const char *events[3000];

	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(texts[i], sizeof texts[i], "{\"n\":%d}", i);
		events[i] = texts[i];
	}
	assert_true(queue_publish(queue, STREAM_EVENTS, events, 3));
	assert_field("heed:events", 0, "event", "{\"n\":0}");
	assert_field("heed:events", 2, "event", "{\"n\":2}");
	assert_true(queue_publish(queue, STREAM_EVENTS, events + 3, 2997));
	size_t length = at->length(at->url, "heed:events");
	assert_int_equal(length, 1000);
	assert_field("heed:events", length - 1, "event", "{\"n\":2999}");
	queue_close(queue);
}

static void test_what_customers_said_goes_out_on_a_stream_of_its_own(void **state)
{
	struct queue *queue = open_as("a");
	const char *said = "{\"said\":1}", *event = "{\"n\":1}";

	(void)state;
	assert_true(queue_publish(queue, STREAM_INBOUND, &said, 1));
	assert_true(queue_publish(queue, STREAM_EVENTS, &event, 1));
	assert_field("heed:inbound", 0, "event", said);
	assert_field("heed:events", 0, "event", event);
	assert_int_equal(at->length(at->url, "heed:inbound"), 1);
	queue_close(queue);
}

static void test_depths_count_what_waits_in_each_lane(void **state)
{
	struct queue *queue = open_as("a");
	struct queue_depths depths;
	struct reading got = {0};

	(void)state;
	send_many(queue, LANE_URGENT, 1);
	send_many(queue, LANE_NORMAL, 2);
	send_many(queue, LANE_BULK, 3);
	read_up_to(queue, ALL_LANES, 2, &got); /* read, but not settled */
	assert_true(queue_depths(queue, &depths));
	assert_int_equal(depths.waiting[LANE_URGENT], 1);
	assert_int_equal(depths.waiting[LANE_NORMAL], 2);
	assert_int_equal(depths.waiting[LANE_BULK], 3);
	assert_int_equal(depths.dead, 0);
	reading_release(&got);
	queue_close(queue);
}

static void test_what_an_operator_should_know_is_said(void **state)
{
	struct queue *queue = open_as("a");
	struct text warnings;

	(void)state;
	text_init(&warnings, TEXT_ERROR_MAX);
	assert_true(queue_check(queue, &warnings));
	if (strcmp(at->name, "memory") == 0)
		assert_non_null(strstr(warnings.data, "for tests"));
	else
		assert_string_equal(warnings.data, "");
	text_release(&warnings);
	queue_close(queue);
}

/* --- Redis alone --- */

static void test_an_unsafe_redis_is_named_loudly(void **state)
{
	struct queue *queue = open_as("a");
	struct text warnings;

	(void)state;
	text_init(&warnings, TEXT_ERROR_MAX);
	REDIS("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
	REDIS("CONFIG", "SET", "appendonly", "no");
	assert_true(queue_check(queue, &warnings));
	REDIS("CONFIG", "SET", "maxmemory-policy", "noeviction");
	REDIS("CONFIG", "SET", "appendonly", "yes");
	assert_non_null(strstr(warnings.data, "maxmemory-policy is allkeys-lru"));
	assert_non_null(strstr(warnings.data, "appendonly is no"));
	text_release(&warnings);
	queue_close(queue);
}

static void test_a_group_that_is_gone_is_made_again_from_the_start(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	send_many(queue, LANE_NORMAL, 2);
	read_up_to(queue, ALL_LANES, 10, &got);
	settle_all(queue, &got);
	reading_release(&got);
	REDIS("FLUSHALL");
	send_many(queue, LANE_NORMAL, 3); /* before there is a group again */
	int64_t until = moment_mono() + PATIENCE;
	while (got.count < 3 && moment_mono() < until)
		queue_read(queue, ALL_LANES, 10, WAIT_MS, &got.entries, &got.count);
	assert_int_equal(got.count, 3);
	assert_string_equal(got.entries[0].payload, "normal 0");
	reading_release(&got);
	queue_close(queue);
}

/* Three times; then stays, as the server ends with the thread that started it. */
static void *restart_redis(void *all_read)
{
	for (int i = 0; i < 3; i++) {
		pause_ms(150);
		redis_stop(SIGKILL);
		pause_ms(150);
		redis_start();
	}
	while (!atomic_load((atomic_bool *)all_read))
		pause_ms(20);
	return NULL;
}

static int64_t number_of(const struct queue_entry *entry)
{
	return strtoll(entry->payload + strcspn(entry->payload, " "), NULL, 10);
}

static void test_nothing_is_lost_when_redis_is_killed_and_comes_back(void **state)
{
	enum { COUNT = 5000 };
	struct queue *reader = open_as("a"), *settler = open_as("a");
	static bool seen[COUNT];
	size_t distinct = 0;
	atomic_bool all_read = false;
	pthread_t thread;

	(void)state;
	memset(seen, 0, sizeof seen);
	send_many(reader, LANE_NORMAL, COUNT);
	pthread_create(&thread, NULL, restart_redis, &all_read);
	int64_t until = moment_mono() + 2 * PATIENCE;
	while (distinct < COUNT && moment_mono() < until) {
		struct reading got = {0};
		if (queue_read(reader, ALL_LANES, 10, 50, &got.entries, &got.count)) {
			for (size_t i = 0; i < got.count; i++) {
				distinct += !seen[number_of(&got.entries[i])];
				seen[number_of(&got.entries[i])] = true;
			}
			struct queue_settlement *done = xcalloc(got.count, sizeof *done);
			for (size_t i = 0; i < got.count; i++)
				done[i] = (struct queue_settlement){.stream = got.entries[i].stream,
								    .id = got.entries[i].id};
			while (!queue_settle(settler, done, got.count) && moment_mono() < until)
				pause_ms(20);
			free(done);
			pause_ms(1);
		}
		reading_release(&got);
	}
	atomic_store(&all_read, true);
	pthread_join(thread, NULL);
	redis_stop(SIGKILL);
	redis_start();
	assert_int_equal(distinct, COUNT);
	assert_int_equal(at->length(at->url, "heed:outbound"), 0);
	queue_close(reader);
	queue_close(settler);
}

static void test_an_entry_is_kept_when_its_dead_letter_is_refused(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	send_one(queue, LANE_NORMAL, "x");
	read_up_to(queue, ALL_LANES, 10, &got);
	REDIS("SET", "heed:dead", "in the way");
	struct dead_letter letter = {.message = "x", .message_len = 1, .error = "e"};
	struct queue_settlement done = {
		.stream = got.entries[0].stream, .id = got.entries[0].id, .dead = &letter};
	assert_false(queue_settle(queue, &done, 1));
	assert_non_null(strstr(queue_error(queue), "WRONGTYPE"));
	assert_int_equal(at->length(at->url, "heed:outbound"), 1);
	REDIS("DEL", "heed:dead");
	assert_true(queue_settle(queue, &done, 1));
	assert_int_equal(at->length(at->url, "heed:outbound"), 0);
	reading_release(&got);
	queue_close(queue);
}

/* --- a Redis that is full --- */

static int redis_has_room_again(void **state)
{
	(void)state;
	REDIS("CONFIG", "SET", "maxmemory", "0");
	return 0;
}

static void redis_room(long long bytes)
{
	const char *words[] = {"INFO", "memory"};
	redisReply *reply = redis_ask(2, words);
	char max[24];

	assert_non_null(reply);
	const char *used = strstr(reply->str, "used_memory:");
	assert_non_null(used);
	snprintf(max, sizeof max, "%lld", strtoll(used + strlen("used_memory:"), NULL, 10) + bytes);
	freeReplyObject(reply);
	REDIS("CONFIG", "SET", "maxmemory", max);
}

static void test_a_redis_that_is_full_is_still_read_and_acknowledged(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};
	const char *event = "{}";

	(void)state;
	send_many(queue, LANE_NORMAL, 3);
	read_up_to(queue, ALL_LANES, 1, &got); /* makes the groups */
	reading_release(&got);
	queue_close(queue);
	REDIS("CONFIG", "SET", "maxmemory", "1");
	queue = open_as("a");
	while (got.count < 3)
		read_up_to(queue, ALL_LANES, 10, &got);
	struct dead_letter letter = {.message = "x", .message_len = 1, .error = "e"};
	struct queue_settlement done[] = {
		{.stream = got.entries[0].stream, .id = got.entries[0].id, .dead = &letter},
		{.stream = got.entries[1].stream, .id = got.entries[1].id},
		{.stream = got.entries[2].stream, .id = got.entries[2].id}};
	assert_false(queue_publish(queue, STREAM_EVENTS, &event, 1));
	assert_false(queue_settle(queue, done, 3));
	assert_non_null(strstr(queue_error(queue), "OOM"));
	assert_int_equal(at->length(at->url, "heed:outbound"), 1);
	assert_true(!done[0].settled && done[1].settled && done[2].settled);
	REDIS("CONFIG", "SET", "maxmemory", "0");
	assert_true(queue_settle(queue, done, 3));
	assert_int_equal(at->length(at->url, "heed:outbound"), 0);
	assert_int_equal(at->length(at->url, "heed:dead"), 1);
	reading_release(&got);
	queue_close(queue);
}

static void test_a_letter_that_is_in_is_not_put_in_again_after_a_refusal(void **state)
{
	enum { COUNT = 1500 };
	struct queue *queue = open_as("a");
	struct reading got = {0};
	char text[400];
	int refusals = 0;

	(void)state;
	memset(text, 'x', sizeof text);
	send_many(queue, LANE_NORMAL, COUNT);
	while (got.count < COUNT)
		read_up_to(queue, ALL_LANES, COUNT, &got);
	struct dead_letter letter = {.message = text, .message_len = sizeof text, .error = "e"};
	struct queue_settlement *done = xcalloc(COUNT, sizeof *done);
	for (size_t i = 0; i < COUNT; i++)
		done[i] = (struct queue_settlement){
			.stream = got.entries[i].stream, .id = got.entries[i].id, .dead = &letter};
	redis_room(200000);
	while (!queue_settle(queue, done, COUNT) && ++refusals < 200)
		redis_room(200000);
	assert_in_range(refusals, 1, 199);
	assert_int_equal(at->length(at->url, "heed:dead"), COUNT);
	assert_int_equal(at->length(at->url, "heed:outbound"), 0);
	free(done);
	reading_release(&got);
	queue_close(queue);
}

static void test_a_key_that_is_no_stream_is_an_error_of_the_check(void **state)
{
	struct queue *queue = open_as("a");
	struct text warnings;

	(void)state;
	text_init(&warnings, TEXT_ERROR_MAX);
	REDIS("SET", "heed:events", "x");
	REDIS("RPUSH", "heed:outbound", "x");
	assert_false(queue_check(queue, &warnings));
	assert_non_null(strstr(queue_error(queue), "heed:events is a string"));
	assert_non_null(strstr(queue_error(queue), "heed:outbound is a list"));
	text_release(&warnings);
	queue_close(queue);
}

/* --- what is there, but not as it was --- */

static void test_an_entry_that_was_deleted_while_pending_is_acknowledged(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	send_many(queue, LANE_NORMAL, 2);
	read_up_to(queue, ALL_LANES, 10, &got);
	queue_close(queue);
	REDIS("XDEL", "heed:outbound", got.entries[0].id);
	reading_release(&got);
	queue = open_as("a");
	read_up_to(queue, ALL_LANES, 10, &got);
	assert_int_equal(got.count, 1);
	assert_string_equal(got.entries[0].payload, "normal 1");
	assert_int_equal(redis_number("XPENDING", "heed:outbound", "heed"), 1);
	reading_release(&got);
	queue_close(queue);
}

static void test_consumers_that_are_gone_for_long_are_forgotten(void **state)
{
	struct queue *queue = open_idle("a", IDLE_SHORT);
	struct reading got = {0};
	const char *words[] = {"XINFO", "CONSUMERS", "heed:outbound", "heed"};
	size_t consumers = 0;

	(void)state;
	read_up_to(queue, ALL_LANES, 10, &got);
	REDIS("XGROUP", "CREATECONSUMER", "heed:outbound", "heed", "old");
	int64_t until = moment_mono() + PATIENCE;
	do {
		assert_true(queue_read(queue, ALL_LANES, 10, 50, &got.entries, &got.count));
		send_one(queue, LANE_NORMAL, "x"); /* keeps ours from being idle */
		redisReply *reply = redis_ask(4, words);
		consumers = reply->elements;
		freeReplyObject(reply);
	} while (consumers > 1 && moment_mono() < until);
	assert_int_equal(consumers, 1);
	reading_release(&got);
	queue_close(queue);
}

static void test_an_answer_that_was_lost_is_read_again(void **state)
{
	struct queue *queue = open_as("a");
	struct reading got = {0};

	(void)state;
	send_many(queue, LANE_NORMAL, 2);
	read_up_to(queue, ALL_LANES, 10, &got);
	send_one(queue, LANE_NORMAL, "lost");
	/* as if Redis had given it to us and the connection had ended before we heard of it */
	REDIS("XREADGROUP", "GROUP", "heed", "a", "STREAMS", "heed:outbound", ">");
	REDIS("CLIENT", "KILL", "TYPE", "normal");
	reading_release(&got);
	int64_t until = moment_mono() + PATIENCE;
	while (!got.count && moment_mono() < until)
		queue_read(queue, ALL_LANES, 10, WAIT_MS, &got.entries, &got.count);
	assert_int_equal(got.count, 1);
	assert_string_equal(got.entries[0].payload, "lost");
	reading_release(&got);
	queue_close(queue);
}

/* One that Redis gave to us, on a connection that ended before we heard of it; then comes a newer one. */
static void *give_and_cut(void *stream)
{
	static const char give[] = "redis.call('XADD', KEYS[1], '*', 'message', 'lost') "
				   "redis.call('XREADGROUP', 'GROUP', 'heed', 'a', 'STREAMS', KEYS[1], '>')";

	pause_ms(100); /* the other thread waits by then; if it doesn't, there is less to be seen */
	REDIS("EVAL", give, "1", stream);
	REDIS("CLIENT", "KILL", "TYPE", "normal");
	REDIS("XADD", stream, "*", "message", "newer");
	return NULL;
}

static void test_what_was_given_before_a_cut_in_a_wait_comes_before_what_is_newer(void **state)
{
	struct queue *queue = open_config("a", IDLE_RECLAIM, 2);
	struct reading got = {0};
	char stream[] = "heed:outbound:{1}";
	pthread_t thread;

	(void)state;
	read_up_to(queue, ALL_LANES, 10, &got); /* makes the groups */
	pthread_create(&thread, NULL, give_and_cut, stream);
	int64_t until = moment_mono() + PATIENCE;
	while (got.count < 2 && moment_mono() < until)
		queue_read(queue, ALL_LANES, 10, 5000, &got.entries, &got.count);
	pthread_join(thread, NULL);
	assert_int_equal(got.count, 2);
	assert_string_equal(got.entries[0].payload, "lost");
	assert_string_equal(got.entries[1].payload, "newer");
	reading_release(&got);
	queue_close(queue);
}

static void test_a_customer_has_a_partition(void **state)
{
	(void)state;
	/* CRC-32's check value is that of "123456789": 0xCBF43926 */
	assert_int_equal(queue_partition("123456789", 9, UINT32_MAX), 0xCBF43926);
	assert_int_equal(queue_partition("123456789", 9, 16), 0xCBF43926 % 16);
	assert_int_equal(queue_partition("", 0, 7), 0);
}

static void test_a_message_without_an_id_is_called_by_its_stream_and_entry(void **state)
{
	char *plain = queue_message_id("heed:outbound:urgent", "17-0");
	char *part = queue_message_id("heed:outbound:urgent:{3}", "17-0");

	(void)state;
	assert_string_equal(plain, "heed:outbound:urgent:17-0");
	assert_string_equal(part, "heed:outbound:urgent:3:17-0");
	free(plain);
	free(part);
}

static void expect_url_error(const char *url, const char *says, const char *hides)
{
	struct queue_config config = {.url = url, .prefix = "heed", .consumer = "a"};
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct queue *queue = queue_open(&config, &error);
	if (queue)
		fail_msg("%s was taken", url);
	if (!strstr(error.data, says))
		fail_msg("%s: %s", url, error.data);
	if (hides)
		assert_null(strstr(error.data, hides));
	text_release(&error);
}

static void test_a_wrong_url_is_refused_without_showing_its_password(void **state)
{
	(void)state;
	expect_url_error("http://x", "not a kind of queue", NULL);
	expect_url_error("localhost", "no scheme", NULL);
	expect_url_error("rediss://u:hunter2@h", "not a kind of queue", "hunter2");
	expect_url_error("redis+cluster://u:hunter2@h", "redis+cluster://[user", "hunter2");
	expect_url_error("redis+cluster://h:1,", "redis+cluster://[user", NULL);
	expect_url_error("redis+cluster://h:1/0", "redis+cluster://[user", NULL);
	expect_url_error("redis+sentinel://u:hunter2@h:1/", "redis+sentinel://[user", "hunter2");
	expect_url_error("redis+sentinel://h:99999/m", "redis+sentinel://[user", NULL);
	expect_url_error("redis://u:hunter2@", "redis://[user", "hunter2");
	expect_url_error("redis://u:hunter2@h:99999", "redis://[user", "hunter2");
	expect_url_error("redis://u:hunter2@h:x", "redis://[user", "hunter2");
	expect_url_error("redis://u:hunter2@h/x", "redis://[user", "hunter2");
	expect_url_error("redis://u:%zzhunter2@h", "redis://[user", "hunter2");
	expect_url_error("redis://hunter2@h", "redis://[user", "hunter2");
	expect_url_error("redis://h:0", "redis://[user", NULL);
	expect_url_error("redis://[::1", "redis://[user", NULL);
	expect_url_error("unix:", "1 to 107 bytes", NULL);
	expect_url_error(
		"unix:/12345678901234567890123456789012345678901234567890123456789012345678901234567890"
		"1234567890123456789012345678",
		"1 to 107 bytes", NULL);
}

static void test_a_login_by_password_works_and_is_never_shown(void **state)
{
	struct queue_depths depths;
	struct reading got = {0};
	char wrong[] = "redis://:swordfish@127.0.0.1:16391/3",
	     right[] = "redis://:p%40ss%3a@127.0.0.1:16391/3";
	char old[sizeof at->url];

	(void)state;
	memcpy(old, at->url, sizeof old);
	REDIS("CONFIG", "SET", "requirepass", "p@ss:");
	redisContext *context = redisConnectUnix(socket_path);
	freeReplyObject(redisCommand(context, "AUTH p@ss:"));
	redisReply *port = redisCommand(context, "CONFIG SET port 16391");
	bool listens = port->type != REDIS_REPLY_ERROR;
	freeReplyObject(port);
	if (listens) {
		snprintf(at->url, sizeof at->url, "%s", wrong);
		struct queue *queue = open_as("a");
		assert_false(queue_depths(queue, &depths));
		assert_non_null(strstr(queue_error(queue), "login was refused"));
		assert_null(strstr(queue_error(queue), "swordfish"));
		queue_close(queue);
		snprintf(at->url, sizeof at->url, "%s", right);
		queue = open_as("a");
		send_one(queue, LANE_NORMAL, "x");
		read_up_to(queue, ALL_LANES, 10, &got);
		assert_int_equal(got.count, 1);
		queue_close(queue);
	}
	freeReplyObject(redisCommand(context, "CONFIG SET port 0"));
	freeReplyObject(redisCommand(context, "CONFIG SET requirepass %s", ""));
	redisFree(context);
	memcpy(at->url, old, sizeof old);
	reading_release(&got);
	if (!listens)
		skip();
}

static void test_a_redis_that_is_not_there_is_an_error_within_its_time(void **state)
{
	char old[sizeof at->url];
	struct reading got = {0};
	const char *message = "x";
	struct queue_place place;

	(void)state;
	memcpy(old, at->url, sizeof old);
	snprintf(at->url, sizeof at->url, "unix:%s/nobody", folder);
	struct queue *queue = open_as("a");
	memcpy(at->url, old, sizeof old);
	int64_t began = moment_mono();
	assert_false(queue_read(queue, ALL_LANES, 10, 1000, &got.entries, &got.count));
	assert_in_range(moment_mono() - began, 100 * MOMENT_MS, 2 * MOMENT_S); /* not spun on */
	assert_non_null(strstr(queue_error(queue), "could not connect"));
	assert_false(queue_send(queue, LANE_NORMAL, &message, 1, &place));
	assert_null(place.entry);
	free(got.entries);
	queue_close(queue);
}

#define ON_BOTH(test)                                            \
	{"redis: " #test, test, begin_redis, NULL, NULL},        \
	{                                                        \
		"memory: " #test, test, begin_memory, NULL, NULL \
	}
#define ON_FULL_REDIS(test)                                                    \
	{                                                                      \
		"redis: " #test, test, begin_redis, redis_has_room_again, NULL \
	}
#define ON_REDIS(test)                                         \
	{                                                      \
		"redis: " #test, test, begin_redis, NULL, NULL \
	}

static int start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(folder))
		return -1;
	snprintf(socket_path, sizeof socket_path, "%s/s", folder);
	redis_start();
	return 0;
}

static int stop(void **state)
{
	char command[128];

	(void)state;
	redis_stop(SIGKILL);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_a_message_is_read_with_its_stream_lane_and_id),
		ON_BOTH(test_urgent_comes_first_and_each_lane_keeps_its_order),
		ON_BOTH(test_normal_and_bulk_get_a_tenth_each_beside_urgent),
		ON_BOTH(test_the_tenths_hold_for_reads_of_one_entry),
		ON_BOTH(test_a_read_of_one_entry_finds_it_in_whatever_lane_it_is),
		ON_BOTH(test_what_a_lane_does_not_use_goes_to_the_others),
		ON_BOTH(test_only_the_lanes_of_the_mask_are_read),
		ON_BOTH(test_a_read_gives_no_more_than_asked_for),
		ON_BOTH(test_a_read_waits_for_what_comes_later),
		ON_BOTH(test_an_interrupt_ends_the_wait),
		ON_BOTH(test_what_is_settled_is_gone),
		ON_BOTH(test_what_is_marked_as_settled_is_left_out),
		ON_BOTH(test_own_entries_that_were_not_settled_come_again_after_reopening),
		ON_BOTH(test_what_is_in_hand_is_not_handed_out_again),
		ON_BOTH(test_entries_of_a_reader_that_is_gone_are_taken_over),
		ON_BOTH(test_entries_of_a_reader_that_lives_are_left_alone),
		ON_BOTH(test_any_other_field_is_named_in_the_error),
		ON_BOTH(test_a_dead_letter_says_what_why_and_whence),
		ON_BOTH(test_a_message_of_any_size_becomes_a_dead_letter_whole),
		ON_BOTH(test_dead_letters_are_listed_in_pages_and_shown),
		ON_BOTH(test_a_retried_letter_goes_back_to_its_stream),
		ON_BOTH(test_a_letter_of_another_stream_is_not_put_back),
		ON_BOTH(test_a_dropped_letter_is_gone),
		ON_BOTH(test_events_go_out_in_order_and_are_trimmed),
		ON_BOTH(test_what_customers_said_goes_out_on_a_stream_of_its_own),
		ON_BOTH(test_depths_count_what_waits_in_each_lane),
		ON_BOTH(test_what_an_operator_should_know_is_said),
		ON_REDIS(test_an_unsafe_redis_is_named_loudly),
		ON_REDIS(test_a_group_that_is_gone_is_made_again_from_the_start),
		ON_REDIS(test_nothing_is_lost_when_redis_is_killed_and_comes_back),
		ON_REDIS(test_an_entry_is_kept_when_its_dead_letter_is_refused),
		ON_FULL_REDIS(test_a_redis_that_is_full_is_still_read_and_acknowledged),
		ON_FULL_REDIS(test_a_letter_that_is_in_is_not_put_in_again_after_a_refusal),
		ON_REDIS(test_a_key_that_is_no_stream_is_an_error_of_the_check),
		ON_REDIS(test_an_entry_that_was_deleted_while_pending_is_acknowledged),
		ON_REDIS(test_consumers_that_are_gone_for_long_are_forgotten),
		ON_REDIS(test_a_message_of_any_bytes_becomes_a_dead_letter_byte_for_byte),
		ON_REDIS(test_an_answer_that_was_lost_is_read_again),
		ON_REDIS(test_what_was_given_before_a_cut_in_a_wait_comes_before_what_is_newer),
		ON_REDIS(test_a_customer_has_a_partition),
		ON_REDIS(test_a_message_without_an_id_is_called_by_its_stream_and_entry),
		ON_REDIS(test_a_wrong_url_is_refused_without_showing_its_password),
		ON_REDIS(test_a_login_by_password_works_and_is_never_shown),
		ON_REDIS(test_a_redis_that_is_not_there_is_an_error_within_its_time),
	};

	return cmocka_run_group_tests_name("queue", tests, start, stop);
}
