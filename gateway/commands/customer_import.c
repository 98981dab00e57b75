/* heed customer import: a file in parts, each one call; a bad record is named and the rest goes on. A part is
 * one change, and must be binding in time as any other: where the store takes longer, it goes in smaller
 * ones. While a part is written, a thread reads the next ones. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api.h"
#include "cli.h"
#include "customer_private.h"
#include "import.h"
#include "moment.h"
#include "requests.h"
#include "xalloc.h"
#include "banned.h"

#define PART_WEIGHT (512 * 1024) /* import_weight: some 7 MB as JSON; three parts are there at a time */
#define PARTS_AHEAD 1
#define BUSY_PATIENCE (30 * MOMENT_S) /* for one that is answered 503 however small it is */
#define BUSY_PAUSE_MS 100
#define GROW_AFTER 16 /* calls that went well: what kept the store busy may be over */

/* A record that is no customer. */
struct bad {
	long long line;
	char *why;
};

/* What was read of the file at one go. */
struct part {
	json_t *customers;
	struct import_batch *batch;        /* the same, read on; NULL: whoever is asked does that */
	long long lines[IMPORT_BATCH_MAX]; /* of each customer */
	struct bad bad[IMPORT_BATCH_MAX];
	size_t bad_count;
	enum import_result end; /* IMPORT_CUSTOMER: there is more */
	long long end_line, end_bytes;
};

struct import_run {
	struct cli *cli;
	const struct config *config;
	const char *name;
	struct import_file *file; /* the reader's, once it runs */
	bool recreate;
	size_t most;                      /* customers in a call */
	size_t well;                      /* calls since it was made smaller, or larger */
	long long imported, failed, kept; /* kept: choices that an import may not loosen */
	struct cli_progress progress;
	/* between the two threads */
	pthread_t reader;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct part *ahead[PARTS_AHEAD];
	size_t ahead_count;
	size_t part_most; /* customers in a part */
	bool here;        /* the calls are made in this process */
	bool stop;
};

static void failed(struct import_run *run, long long line, const char *id, const char *why)
{
	cli_error("%s:%lld: %s%s%s", run->name, line, id, *id ? ": " : "", why);
	run->failed++;
}

/* An import never loosens what the customer chose: said, and no failure. */
static void say_kept(struct import_run *run, long long line, const char *id, const json_t *kept)
{
	const json_t *product;
	size_t i;

	json_array_foreach(kept, i, product)
	{
		const char *name = json_string_value(product);
		cli_error("%s:%lld: %s: %s: the customer's own choice was kept; an import never loosens it",
			  run->name, line, id, name ? name : "a preference");
	}
	run->kept += (long long)json_array_size(kept);
}

/* What became of each customer of the part from the `from`th on. */
static void judge(struct import_run *run, const struct part *part, size_t from, size_t count,
		  const json_t *answer)
{
	for (size_t i = from; i < from + count; i++) {
		const json_t *result = json_array_get(answer, i - from),
			     *problem = json_object_get(result, "problem");
		json_int_t status = json_integer_value(json_object_get(result, "status"));
		const char *id = json_string_value(json_object_get(json_array_get(part->customers, i), "id"));
		if (json_is_object(problem))
			problem = json_object_get(problem, "detail");
		if (status >= 200 && status < 300) {
			run->imported++;
			say_kept(run, part->lines[i], id ? id : "", json_object_get(result, "kept"));
		}
		if (status < 200 || status >= 300)
			failed(run, part->lines[i], id ? id : "",
			       json_is_string(problem) ? json_string_value(problem) : "was not imported");
	}
}

/* One call. *busy: 503, nothing was changed, and it may be asked again. False, and said: it failed otherwise.
 */
static bool ask(struct import_run *run, const struct part *part, size_t from, size_t count, bool last,
		bool *busy)
{
	bool whole = count == json_array_size(part->customers);
	json_t *some = whole ? json_incref(part->customers) : json_array(), *answer = NULL;
	struct text error;
	int status = 0;

	text_init(&error, TEXT_ERROR_MAX);
	for (size_t i = from; !whole && i < from + count; i++)
		json_array_append(some, json_array_get(part->customers, i));
	bool asked = cli_ask_import(run->cli, run->recreate, some, whole ? part->batch : NULL, &status,
				    &answer, &error);
	bool ok = asked && status >= 200 && status < 300 && json_is_array(answer);
	*busy = asked && status == 503 && !last;
	if (ok)
		judge(run, part, from, count, answer);
	else if (asked && !*busy)
		cli_problem(status, answer);
	else if (!asked)
		cli_error("%s", error.data);
	json_decref(some);
	json_decref(answer);
	text_release(&error);
	return ok;
}

static void make_smaller(struct import_run *run, size_t was)
{
	run->most = was > 1 ? was / 2 : 1;
	run->well = 0;
}

static void went_well(struct import_run *run)
{
	if (++run->well < GROW_AFTER || run->most >= IMPORT_BATCH_MAX)
		return;
	run->most *= 2;
	run->well = 0;
}

/* How many go at once from there on: a part that was read on goes whole. */
static size_t at_once(const struct import_run *run, const struct part *part, size_t from)
{
	size_t most = run->most < API_LIST_MAX ? run->most : API_LIST_MAX;
	size_t all = json_array_size(part->customers);

	if (part->batch && !from && all <= run->most)
		return all;
	return all - from < most ? all - from : most;
}

/* False, and said: nothing can be sent any more. */
static bool send_part(struct import_run *run, struct part *part)
{
	static const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000L};
	size_t count = json_array_size(part->customers), from = 0;
	int64_t until = moment_mono() + BUSY_PATIENCE;
	bool ok = true;

	while (ok && from < count) {
		size_t some = at_once(run, part, from);
		bool busy;
		if (ask(run, part, from, some, moment_mono() > until, &busy)) {
			from += some;
			until = moment_mono() + BUSY_PATIENCE;
			went_well(run);
		} else if (busy) {
			until = some > 1 ? moment_mono() + BUSY_PATIENCE : until;
			make_smaller(run, some);
			nanosleep(&pause, NULL);
		} else {
			ok = false;
		}
	}
	if (!ok) {
		cli_error("%s:%lld: and what follows was not imported", run->name, part->lines[from]);
		run->failed += (long long)(count - from);
	}
	cli_progress_show(&run->progress, part->end_bytes, run->imported + run->failed);
	return ok;
}

/* --- the reader --- */

static void part_free(struct part *part)
{
	if (!part)
		return;
	for (size_t i = 0; i < part->bad_count; i++)
		free(part->bad[i].why);
	import_batch_free(part->batch);
	json_decref(part->customers);
	free(part);
}

static struct part *part_read(struct import_file *file, size_t most)
{
	struct part *part = xcalloc(1, sizeof *part);
	const long long from = import_weight(file);
	struct text error;
	json_t *customer;

	part->customers = json_array();
	text_init(&error, TEXT_ERROR_MAX);
	for (size_t taken = 0; taken < most && import_weight(file) - from <= PART_WEIGHT; taken++) {
		part->end = import_next(file, &customer, &error);
		if (part->end == IMPORT_CUSTOMER) {
			part->lines[json_array_size(part->customers)] = import_line(file);
			json_array_append_new(part->customers, customer);
			continue;
		}
		if (part->end == IMPORT_BAD || part->end == IMPORT_BROKEN)
			part->bad[part->bad_count++] = (struct bad){import_line(file), xstrdup(error.data)};
		if (part->end != IMPORT_BAD)
			break;
	}
	part->end_line = import_line(file);
	part->end_bytes = import_bytes(file);
	text_release(&error);
	return part;
}

static bool is_last(const struct part *part)
{
	return part->end == IMPORT_END || part->end == IMPORT_BROKEN;
}

static void *read_ahead(void *context)
{
	struct import_run *run = context;
	bool going = true;

	pthread_setname_np(pthread_self(), "read");
	while (going) {
		pthread_mutex_lock(&run->lock);
		size_t most = run->part_most;
		bool here = run->here;
		pthread_mutex_unlock(&run->lock);
		struct part *part = part_read(run->file, most);
		if (here)
			part->batch = import_batch_read(run->config, part->customers);
		going = !is_last(part);
		pthread_mutex_lock(&run->lock);
		while (!run->stop && run->ahead_count == PARTS_AHEAD)
			pthread_cond_wait(&run->changed, &run->lock);
		going = going && !run->stop;
		if (run->stop)
			part_free(part);
		else
			run->ahead[run->ahead_count++] = part;
		pthread_cond_signal(&run->changed);
		pthread_mutex_unlock(&run->lock);
	}
	return NULL;
}

static struct part *part_take(struct import_run *run)
{
	pthread_mutex_lock(&run->lock);
	run->part_most = cli_import_most(run->cli, &run->here);
	while (!run->ahead_count)
		pthread_cond_wait(&run->changed, &run->lock);
	struct part *part = run->ahead[0];
	memmove(run->ahead, run->ahead + 1, --run->ahead_count * sizeof(struct part *));
	pthread_cond_signal(&run->changed);
	pthread_mutex_unlock(&run->lock);
	return part;
}

static void reader_end(struct import_run *run)
{
	pthread_mutex_lock(&run->lock);
	run->stop = true;
	pthread_cond_signal(&run->changed);
	pthread_mutex_unlock(&run->lock);
	pthread_join(run->reader, NULL);
	for (size_t i = 0; i < run->ahead_count; i++)
		part_free(run->ahead[i]);
	pthread_mutex_destroy(&run->lock);
	pthread_cond_destroy(&run->changed);
}

/* False, and said: there is no thread for it. */
static bool reader_begin(struct import_run *run)
{
	run->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	run->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	run->part_most = cli_import_most(run->cli, &run->here);
	int why = pthread_create(&run->reader, NULL, read_ahead, run);
	if (why)
		cli_error("%s: %s", run->name, strerror(why));
	return !why;
}

/* The whole file. False, and said: not a record was read. */
static bool import_all(struct import_run *run)
{
	bool going = true;

	if (!reader_begin(run))
		return false;
	while (going) {
		struct part *part = part_take(run);
		for (size_t i = 0; i < part->bad_count; i++)
			failed(run, part->bad[i].line, "", part->bad[i].why);
		if (part->end == IMPORT_BROKEN)
			cli_error("%s: what follows line %lld was not imported", run->name, part->end_line);
		going = send_part(run, part) && !is_last(part);
		part_free(part);
	}
	reader_end(run);
	return true;
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), end_len = strlen(end);

	return len >= end_len && strcmp(s + len - end_len, end) == 0;
}

static long long file_size(FILE *file)
{
	struct stat about;

	return fstat(fileno(file), &about) == 0 && S_ISREG(about.st_mode) ? (long long)about.st_size : 0;
}

static void summary(const struct import_run *run, bool json)
{
	char line[128];

	snprintf(line, sizeof line,
		 json ? "{\"imported\":%lld,\"failed\":%lld,\"kept\":%lld}"
		      : "%lld imported, %lld failed, %lld choices of customers kept",
		 run->imported, run->failed, run->kept);
	cli_line(line);
}

int customer_import(struct cli *cli, const char *name, const struct customer_given *given)
{
	struct import_run *run = xcalloc(1, sizeof *run);
	const struct config *config = cli_config(cli);
	bool csv = ends_with(name, ".csv");
	int status = STATUS_FAILED;
	struct text error;
	FILE *in = NULL;

	text_init(&error, TEXT_ERROR_MAX);
	if (!csv && !ends_with(name, ".jsonl")) {
		cli_error("%s: a file that ends in .csv or .jsonl is wanted", name);
		status = STATUS_USAGE;
		goto out;
	}
	in = fopen(name, "re");
	if (!in) {
		cli_error("%s: %s", name, strerror(errno));
		goto out;
	}
	run->file =
		csv ? import_csv(in, config->channel_names, config->channel_count, &error) : import_jsonl(in);
	if (!run->file) {
		cli_error("%s:1: %s", name, error.data);
		goto out;
	}
	run->cli = cli;
	run->recreate = given->recreate;
	run->name = name;
	run->config = config;
	run->most = IMPORT_BATCH_MAX;
	cli_as_import(cli);
	cli_progress_start(&run->progress, file_size(in));
	bool done = import_all(run);
	cli_progress_end(&run->progress);
	if (done)
		summary(run, given->json);
	status = run->failed || !done ? STATUS_FAILED : STATUS_DONE;
out:
	import_free(run->file);
	if (in)
		fclose(in);
	text_release(&error);
	free(run);
	return status;
}
