#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api.h"
#include "cli.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define FOLLOW_WAIT "2s" /* how long the gateway holds a call that has nothing to tell */

struct log_words {
	const char *customer, *product, *channel, *state, *since, *limit;
	bool follow, json;
	char since_text[MOMENT_TEXT]; /* of a duration */
};

/* Lines that are printed, or wait to be: from the newest page back to the oldest. */
struct lines {
	char **list;
	size_t count, capacity;
};

static void lines_add(struct lines *lines, char *line)
{
	if (lines->count == lines->capacity) {
		lines->capacity = lines->capacity ? lines->capacity * 2 : 256;
		lines->list = xreallocarray(lines->list, lines->capacity, sizeof *lines->list);
	}
	lines->list[lines->count++] = line;
}

static void lines_release(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->list[i]);
	free(lines->list);
	*lines = (struct lines){0};
}

static void log_path(const struct log_words *words, struct text *path)
{
	text_clear(path);
	text_puts(path, "/v1/log");
	cli_query(path, "customer", words->customer);
	cli_query(path, "product", words->product);
	cli_query(path, "channel", words->channel);
	cli_query(path, "state", words->state);
	cli_query(path, "since", words->since);
}

/* The last `limit` contacts, page by page from the newest; kept as lines, the newest first. `cursor` is that
 * of the first page: what changes behind it is told by --follow. */
static int read_last(struct cli *cli, const struct log_words *words, long long limit, struct lines *lines,
		     char **cursor)
{
	long long before = 0;
	struct text path;
	json_t *answer;
	int status = STATUS_DONE;

	text_init(&path, CLI_PATH_MAX);
	while (limit > 0) {
		long long page = limit < API_LIST_MAX ? limit : API_LIST_MAX;
		log_path(words, &path);
		cli_query_number(&path, "limit", page);
		if (before)
			cli_query_number(&path, "before", before);
		status = cli_call(cli, "GET", path.data, NULL, &answer);
		if (status != STATUS_DONE)
			break;
		if (!*cursor)
			*cursor = cli_words(answer, "next");
		const json_t *contacts = json_object_get(answer, "contacts");
		size_t count = json_array_size(contacts);
		for (size_t i = count; i > 0; i--)
			lines_add(lines, cli_contact_words(json_array_get(contacts, i - 1), words->json));
		before = json_integer_value(json_object_get(json_array_get(contacts, 0), "seq"));
		json_decref(answer);
		limit = count == (size_t)page ? limit - page : 0;
	}
	text_release(&path);
	return status;
}

static bool lines_have(const struct lines *lines, const char *line)
{
	for (size_t i = 0; i < lines->count; i++)
		if (strcmp(lines->list[i], line) == 0)
			return true;
	return false;
}

/* One page of what changed. False: whoever read us is gone. `shown`: a contact that changed while the first
 * lines were read is in both. */
static bool print_changed(const json_t *contacts, bool json, const struct lines *shown)
{
	const json_t *contact;
	bool ok = true;
	size_t i;

	json_array_foreach(contacts, i, contact)
	{
		char *line = cli_contact_words(contact, json);
		if (!lines_have(shown, line))
			ok = ok && cli_line(line);
		free(line);
	}
	return ok;
}

/* A line for each change, until the reader goes away or we are told to end. A gateway that goes is waited
 * for. */
static int follow(struct cli *cli, const struct log_words *words, struct lines *shown, char **cursor)
{
	static const struct timespec pause = {.tv_nsec = 500 * 1000 * 1000};
	bool going = true, told = false;
	int http, status = STATUS_DONE;
	struct text path, error;
	json_t *answer;

	text_init(&path, CLI_PATH_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	while (going) {
		log_path(words, &path);
		cli_query(&path, "after", *cursor);
		cli_query_number(&path, "limit", API_LIST_MAX);
		cli_query(&path, "wait", FOLLOW_WAIT);
		answer = NULL;
		if (cli_ask(cli, "GET", path.data, NULL, &http, &answer, &error) && http == 200 && answer) {
			const json_t *contacts = json_object_get(answer, "contacts");
			going = print_changed(contacts, words->json, shown);
			if (json_array_size(contacts))
				lines_release(shown);
			free(*cursor);
			*cursor = cli_words(answer, "next");
			told = false;
		} else if (http >= 400 && http < 500) {
			status = cli_problem(http, answer);
			going = false;
		} else {
			if (!told)
				cli_error("waiting for the store: %s",
					  error.len ? error.data : "it does not answer");
			told = true;
			nanosleep(&pause, NULL);
		}
		json_decref(answer);
	}
	text_release(&path);
	text_release(&error);
	return status;
}

/* A duration is one from now back. */
static bool read_words(struct log_words *words)
{
	int64_t since;

	if (!words->since || moment_parse(words->since, &since))
		return true;
	if (!duration_parse(words->since, &since)) {
		cli_usage(&command_log,
			  "--since: '%s' is neither a time such as 2026-11-22T10:00:00Z nor a duration such "
			  "as 1h",
			  words->since);
		return false;
	}
	moment_format(moment_now() - since, words->since_text);
	words->since = words->since_text;
	return true;
}

static int run_log(const char *config_file, int argc, char **argv)
{
	struct log_words words = {0};
	struct lines lines = {0};
	char *cursor = NULL;
	struct cli *cli;
	long long limit;
	size_t count;
	int status;

	if (!cli_parse(&command_log, argc, argv, &words, 0, 0, NULL, &count) || !read_words(&words) ||
	    !cli_limit(&command_log, words.limit, words.follow ? 0 : 1, &limit))
		return STATUS_USAGE;
	cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	/* --limit 0 --follow: only what changes from now on */
	status = read_last(cli, &words, limit ? limit : 1, &lines, &cursor);
	if (status == STATUS_DONE) {
		bool ok = true;
		if (!words.json)
			cli_contact_heading();
		for (size_t i = limit ? lines.count : 0; ok && i > 0; i--)
			ok = cli_line(lines.list[i - 1]);
		if (!limit)
			lines_release(&lines);
		if (ok && words.follow)
			status = follow(cli, &words, &lines, &cursor);
	}
	lines_release(&lines);
	free(cursor);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_option options_of_log[] = {
	OPTION_FLAG(struct log_words, follow, "--follow",
		    "Goes on: a line again whenever one changes; misses none."),
	OPTION_VALUE(struct log_words, customer, "--customer", "ID", "Of this customer only."),
	OPTION_VALUE(struct log_words, product, "--product", "PRODUCT",
		     "About this product only, and its parts."),
	OPTION_VALUE(struct log_words, channel, "--channel", "CHANNEL", "On this channel only."),
	OPTION_VALUE(struct log_words, state, "--state",
		     "queued|deferred|sending|sent|delivered|in_doubt|suppressed|held_out|expired|cancelled|"
		     "failed|retry|rejected|called_back|received",
		     "In this state only."),
	OPTION_VALUE(struct log_words, since, "--since", "TIME",
		     "Not older, as 2026-11-22T10:00:00Z or 1h (ago)."),
	OPTION_VALUE(struct log_words, limit, "--limit", "N", "At most so many; 100 without it."),
	OPTION_FLAG(struct log_words, json, "--json", "One JSON object a line, whole."),
	{0},
};

const struct command command_log = {
	.name = "log",
	.usage = "log [--follow] [--customer ID] [--product P] [--channel C] [--state S] [--since TIME] "
		 "[--limit 100] "
		 "[--json]",
	.summary = "contacts, oldest first",
	.help = "The last contacts, and a line for each message that ended without one. On a terminal a line "
		"is as "
		"wide as it; into a pipe it is whole.",
	.options = options_of_log,
	.example = "heed log --product card-alerts --since 2026-11-22T10:00:00Z\n"
		   "heed log --state failed --json\n"
		   "heed log --follow",
	.run = run_log,
};
