/* heed customer import: a file in batches, each one call; a bad record is named and the rest goes on. A batch
 * is one change, and must be binding in time as any other: where the store takes longer, it goes in smaller
 * ones. */
#include <errno.h>
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
#include "xalloc.h"
#include "banned.h"

#define BATCH_BYTES (API_BODY_MAX / 4) /* of the file; as JSON it grows, but hardly fourfold */
#define BUSY_PATIENCE (30 * MOMENT_S)  /* for one that is answered 503 however small it is */
#define BUSY_PAUSE_MS 100

struct import_run {
	struct cli *cli;
	const char *name;
	struct import_file *file;
	json_t *batch;
	bool recreate;
	long long lines[API_LIST_MAX];    /* of each customer of the batch */
	long long batch_from;             /* where in the file the batch began */
	size_t most;                      /* customers in a call */
	long long imported, failed, kept; /* kept: choices that an import may not loosen */
	struct cli_progress progress;
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

/* What became of each customer of the batch from the `from`th on. */
static void judge(struct import_run *run, size_t from, size_t count, const json_t *answer)
{
	for (size_t i = from; i < from + count; i++) {
		const json_t *result = json_array_get(answer, i - from),
			     *problem = json_object_get(result, "problem");
		json_int_t status = json_integer_value(json_object_get(result, "status"));
		const char *id = json_string_value(json_object_get(json_array_get(run->batch, i), "id"));
		if (json_is_object(problem))
			problem = json_object_get(problem, "detail");
		if (status >= 200 && status < 300) {
			run->imported++;
			say_kept(run, run->lines[i], id ? id : "", json_object_get(result, "kept"));
		}
		if (status < 200 || status >= 300)
			failed(run, run->lines[i], id ? id : "",
			       json_is_string(problem) ? json_string_value(problem) : "was not imported");
	}
}

/* One call. *busy: 503, nothing was changed, and it may be asked again. False, and said: it failed otherwise.
 */
static bool ask(struct import_run *run, size_t from, size_t count, bool last, bool *busy)
{
	json_t *some = json_array(), *answer = NULL;
	struct text error;
	int status = 0;

	text_init(&error, TEXT_ERROR_MAX);
	for (size_t i = from; i < from + count; i++)
		json_array_append(some, json_array_get(run->batch, i));
	bool asked =
		cli_ask(run->cli, "PATCH", run->recreate ? "/v1/customers?recreate=true" : "/v1/customers",
			some, &status, &answer, &error);
	bool ok = asked && status >= 200 && status < 300 && json_is_array(answer);
	*busy = asked && status == 503 && !last;
	if (ok)
		judge(run, from, count, answer);
	else if (asked && !*busy)
		cli_problem(status, answer);
	else if (!asked)
		cli_error("%s", error.data);
	json_decref(some);
	json_decref(answer);
	text_release(&error);
	return ok;
}

/* Sends what was gathered. False, and said: nothing can be sent any more. */
static bool flush(struct import_run *run)
{
	static const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000L};
	size_t count = json_array_size(run->batch), from = 0;
	int64_t until = moment_mono() + BUSY_PATIENCE;
	bool ok = true;

	while (ok && from < count) {
		size_t some = count - from < run->most ? count - from : run->most;
		bool busy;
		if (ask(run, from, some, moment_mono() > until, &busy)) {
			from += some;
			until = moment_mono() + BUSY_PATIENCE;
		} else if (busy) {
			until = some > 1 ? moment_mono() + BUSY_PATIENCE : until;
			run->most = some > 1 ? some / 2 : 1;
			nanosleep(&pause, NULL);
		} else {
			ok = false;
		}
	}
	if (!ok) {
		cli_error("%s:%lld: and what follows was not imported", run->name, run->lines[from]);
		run->failed += (long long)(count - from);
	}
	json_array_clear(run->batch);
	run->batch_from = import_bytes(run->file);
	cli_progress_show(&run->progress, run->batch_from, run->imported + run->failed);
	return ok;
}

/* The whole file. */
static void import_all(struct import_run *run)
{
	enum import_result got = IMPORT_CUSTOMER;
	struct text error;
	json_t *customer;
	bool going = true;

	text_init(&error, TEXT_ERROR_MAX);
	while (going && got != IMPORT_END && got != IMPORT_BROKEN) {
		got = import_next(run->file, &customer, &error);
		if (got == IMPORT_CUSTOMER) {
			run->lines[json_array_size(run->batch)] = import_line(run->file);
			json_array_append_new(run->batch, customer);
		} else if (got == IMPORT_BAD || got == IMPORT_BROKEN) {
			failed(run, import_line(run->file), "", error.data);
		}
		if (json_array_size(run->batch) == API_LIST_MAX ||
		    import_bytes(run->file) - run->batch_from > BATCH_BYTES)
			going = flush(run);
	}
	if (got == IMPORT_BROKEN)
		cli_error("%s: what follows line %lld was not imported", run->name, import_line(run->file));
	if (going)
		flush(run);
	text_release(&error);
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
	run->batch = json_array();
	run->most = API_LIST_MAX;
	cli_as_import(cli);
	cli_progress_start(&run->progress, file_size(in));
	import_all(run);
	cli_progress_end(&run->progress);
	summary(run, given->json);
	status = run->failed ? STATUS_FAILED : STATUS_DONE;
out:
	import_free(run->file);
	json_decref(run->batch);
	if (in)
		fclose(in);
	text_release(&error);
	free(run);
	return status;
}
