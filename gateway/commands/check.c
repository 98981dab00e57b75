/* heed check: every mistake in the files, then whether what they name answers, then what is unsafe. Changes
 * nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "cli.h"
#include "config.h"
#include "config_check.h"
#include "file.h"
#include "mail_box.h"
#include "queue.h"
#include "store.h"
#include "templates.h"
#include "text.h"
#include "xalloc.h"
#include "banned.h"

struct check {
	bool json;
	const char *file; /* of the configuration, as opened */
	int status;
};

/* "FILE:LINE: KEY: MESSAGE" into its parts; the line is 0 and the key "" where there is none. */
static json_t *split_line(const char *line)
{
	const char *colon = strchr(line, ':'), *rest = line;
	char *file = NULL, *end = NULL;
	long number = 0;

	for (; colon; colon = strchr(colon + 1, ':')) {
		number = strtol(colon + 1, &end, 10);
		if (end > colon + 1 && *end == ':' && end[1] == ' ')
			break;
	}
	if (colon) {
		file = xmemdup0(line, (size_t)(colon - line));
		rest = end + 2;
	}
	const char *message = strstr(rest, ": ");
	size_t key_len =
		message && strcspn(rest, " ") > (size_t)(message - rest) ? (size_t)(message - rest) : 0;
	char *key = xmemdup0(rest, key_len);
	json_t *out = json_pack("{s:s, s:I, s:s, s:s}", "file", file ? file : "", "line",
				(json_int_t)(colon ? number : 0), "key", key, "message",
				key_len ? message + 2 : rest);
	free(key);
	free(file);
	return out;
}

/* A line for a person; errors go where errors go. */
static void tell_person(const char *level, const char *line)
{
	if (strcmp(level, "error") == 0) {
		cli_error("%s: %s", level, line);
		return;
	}
	char *words = xasprintf("heed: %s: %s", level, line);
	cli_line(words);
	free(words);
}

static void tell_line(const struct check *check, const char *level, const char *line)
{
	if (!check->json) {
		tell_person(level, line);
		return;
	}
	json_t *parts = split_line(line);
	json_t *out = json_pack("{s:s}", "level", level);
	json_object_update(out, parts);
	cli_json(out);
	json_decref(out);
	json_decref(parts);
}

static void tell_lines(const struct check *check, const char *level, const struct text *lines)
{
	char *all = xstrdup(lines->data), *rest = all;

	for (char *line; (line = strsep(&rest, "\n"));)
		if (*line)
			tell_line(check, level, line);
	free(all);
}

/* One thing that was tried: `key` of the configuration names it. */
static void tell(struct check *check, const char *level, const char *key, const char *message)
{
	if (strcmp(level, "error") == 0)
		check->status = STATUS_FAILED;
	if (check->json) {
		json_t *out = json_pack("{s:s, s:s, s:i, s:s, s:s}", "level", level, "file", check->file,
					"line", 0, "key", key, "message", message);
		cli_json(out);
		json_decref(out);
	} else {
		char *line = xasprintf("%s%s%s", key, *key ? ": " : "", message);
		tell_person(level, line);
		free(line);
	}
}

/* --- what is tried --- */

static void try_queue(struct check *check, const struct config *config)
{
	const struct queue_config queue_config = queue_config_of(config, config->gateway.name);
	struct text warnings, error;

	text_init(&error, TEXT_ERROR_MAX);
	text_init(&warnings, CONFIG_REPORT_MAX);
	struct queue *queue = queue_open(&queue_config, &error);
	if (!queue) {
		tell(check, "error", "queue.redis", error.data);
	} else if (!queue_check(queue, &warnings)) {
		tell(check, "error", "queue.redis", queue_error(queue));
	} else {
		char *rest = warnings.len ? warnings.data : NULL;
		for (char *line; (line = strsep(&rest, "\n"));)
			if (*line)
				tell(check, "warning", "queue.redis", line);
		tell(check, "ok", "queue.redis", "answers");
	}
	if (queue)
		queue_close(queue);
	text_release(&warnings);
	text_release(&error);
}

/* A server's store. One that answers, and has none yet, will have it at the first start. */
static void try_server(struct check *check, const char *url)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct store_reader *reader = store_reader_open(url, &error);
	if (reader)
		tell(check, "ok", "store.url", "answers");
	else if (strstr(error.data, "there is no store yet"))
		tell(check, "ok", "store.url", "answers; the store will be made at the first start");
	else
		tell(check, "error", "store.url", error.data);
	store_reader_close(reader);
	text_release(&error);
}

/* Only reads: a store that is there is not migrated, one that is not there is not made. */
static void try_store(struct check *check, const struct config *config)
{
	const char *path = strchr(config->store.url, ':') + 1;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (strncmp(config->store.url, "postgresql:", 11) == 0) {
		try_server(check, config->store.url);
	} else if (strncmp(config->store.url, "sqlite:", 7) != 0) {
		tell(check, "warning", "store.url", "keeps nothing over a restart; sqlite:PATH would");
	} else if (access(path, F_OK) == 0) {
		struct store_reader *reader = store_reader_open(config->store.url, &error);
		if (!reader)
			tell(check, "error", "store.url", error.data);
		else if (access(path, W_OK) != 0)
			tell(check, "error", "store.url",
			     "can be read and not written; mend the file's mode or owner");
		else
			tell(check, "ok", "store.url", "can be opened");
		if (reader)
			store_reader_close(reader);
	} else {
		bool could = file_could_be_made(path, &error);
		tell(check, could ? "ok" : "error", "store.url",
		     could ? "will be made at the first start" : error.data);
	}
	text_release(&error);
}

/* Where commands reach the gateway: there, or to be made at its start. */
static void try_socket(struct check *check, const struct config *config)
{
	struct stat info;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (stat(config->http.socket, &info) == 0 && !S_ISSOCK(info.st_mode))
		tell(check, "error", "http.socket",
		     "is there and is not a socket; another path would be right");
	else if (!file_could_be_made(config->http.socket, &error))
		tell(check, "error", "http.socket", error.data);
	text_release(&error);
}

static void try_channels(struct check *check, const struct config *config)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	for (size_t i = 0; i < config->channel_count; i++) {
		const struct channel_config *channel = &config->channels[i];
		if (channel->captured_by || !channel->ops->probe)
			continue;
		char *key = xasprintf("channels.%s", channel->name);
		text_clear(&error);
		if (channel->ops->probe(channel, &error))
			tell(check, "ok", key, "answers");
		else
			tell(check, "error", key, error.data);
		free(key);
	}
	text_release(&error);
}

/* The mailboxes that are read: in, and out again; nothing in them is touched. */
static void try_mailboxes(struct check *check, const struct config *config)
{
	static const _Atomic bool never;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	for (size_t i = 0; i < config->channel_count; i++) {
		const struct channel_config *channel = &config->channels[i];
		if (channel->captured_by || !channel->inbound)
			continue;
		char *key = xasprintf("channels.%s.inbound.imap", channel->name);
		text_clear(&error);
		struct mail_box *box = mail_box_open(channel->inbound, &never, &error);
		tell(check, box ? "ok" : "error", key, box ? "answers" : error.data);
		mail_box_close(box);
		free(key);
	}
	text_release(&error);
}

/* --- what is unsafe --- */

static void warn_unsafe(struct check *check, const struct config *config)
{
	struct stat info;

	if (stat(config->file, &info) == 0 && (info.st_mode & S_IWOTH))
		tell(check, "warning", "",
		     "everybody may write to the configuration; chmod o-w would be right");
	else if (stat(config->file, &info) == 0 && (info.st_mode & S_IROTH))
		tell(check, "warning", "",
		     "everybody on this machine may read the configuration and the secrets in it; chmod o-r "
		     "would be right");
	if (geteuid() == 0)
		tell(check, "warning", "",
		     "this is root: heed needs no rights of root; run it as a user of its own");
	for (size_t i = 0; i < config->channel_count; i++) {
		static const char *const open[] = {"allow_private", "allow_http"};
		for (size_t j = 0; j < 2; j++) {
			if (!json_is_true(json_object_get(config->channels[i].settings, open[j])))
				continue;
			char *key = xasprintf("channels.%s.%s", config->channels[i].name, open[j]);
			tell(check, "warning", key,
			     "is for tests: customers' URLs may reach what they should not");
			free(key);
		}
	}
}

/* A digest goes message by message, where there is no template for all together. */
static void warn_of_digests(struct check *check, const struct config *config)
{
	if (!templates_find(config->templates, "digest"))
		tell(check, "warning", "templates",
		     "there is no messages/digest: who chose a digest gets each message by itself when it is "
		     "due");
}

static int run_check(const char *config_file, int argc, char **argv)
{
	struct check check = {.status = STATUS_DONE};
	struct config_report report;
	size_t count;

	if (!cli_parse(&command_check, argc, argv, &check, 0, 0, NULL, &count))
		return STATUS_USAGE;
	config_report_init(&report);
	struct config *config = config_load(config_file, &report);
	tell_lines(&check, "warning", &report.warnings);
	tell_lines(&check, "error", &report.errors);
	if (!config) {
		check.status = STATUS_USAGE;
	} else {
		check.file = config->file;
		tell(&check, "ok", "configuration", config->file);
		warn_unsafe(&check, config);
		warn_of_digests(&check, config);
		try_queue(&check, config);
		try_store(&check, config);
		try_socket(&check, config);
		try_channels(&check, config);
		try_mailboxes(&check, config);
	}
	config_drop(config);
	config_report_release(&report);
	return cli_end(check.status);
}

static const struct command_option options_of_check[] = {
	OPTION_FLAG(struct check, json, "--json",
		    "One JSON object a line: level (error, warning, ok), file, line, key, message."),
	{0},
};

const struct command command_check = {
	.name = "check",
	.usage = "check [--json]",
	.summary = "read all that is configured, and ask whether what it names answers",
	.help = "Prints every mistake and every warning, each with file, line and key; then tries Redis, the "
		"store and the relays. Changes nothing. Status 2: the configuration is wrong; 1: something "
		"does "
		"not answer.",
	.options = options_of_check,
	.example = "heed check\nheed check --json",
	.run = run_check,
};
