/* Puts messages into the queue, straight into Redis: no gateway need run. Every message is checked first. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "json_read.h"
#include "message.h"
#include "moment.h"
#include "queue.h"
#include "xalloc.h"
#include "banned.h"

#define SEND_BATCH 500                     /* messages in one go to Redis */
#define SEND_BATCH_BYTES (4 * 1024 * 1024) /* or as many as this */

/* One message that was checked and waits for its batch. */
struct parcel {
	char *message;
	char *id; /* its own, or "" */
	enum lane lane;
	struct queue_place place; /* once it is in */
	long long line;
};

struct send {
	struct queue *queue;
	bool json;
	bool has_lane; /* --lane was given */
	enum lane lane;
	struct parcel batch[SEND_BATCH];
	size_t count, bytes;
	long long sent;
};

/* --- a batch --- */

static void parcel_print(const struct send *send, const struct parcel *parcel)
{
	const struct queue_place *place = &parcel->place;
	char *id = *parcel->id ? xstrdup(parcel->id) : queue_message_id(place->stream, place->entry);

	if (send->json) {
		json_t *line =
			json_pack("{s:s,s:s,s:s}", "id", id, "stream", place->stream, "entry", place->entry);
		cli_json(line);
		json_decref(line);
	} else {
		cli_line(id);
	}
	free(id);
}

static void batch_clear(struct send *send)
{
	for (size_t i = 0; i < send->count; i++) {
		free(send->batch[i].message);
		free(send->batch[i].id);
		free(send->batch[i].place.entry);
	}
	send->count = 0;
	send->bytes = 0;
}

static bool batch_send_lane(struct send *send, enum lane lane)
{
	const char *messages[SEND_BATCH];
	struct queue_place places[SEND_BATCH];
	size_t count = 0;

	for (size_t i = 0; i < send->count; i++)
		if (send->batch[i].lane == lane)
			messages[count++] = send->batch[i].message;
	bool ok = queue_send(send->queue, lane, messages, count, places);
	for (size_t i = send->count; i-- > 0;)
		if (send->batch[i].lane == lane)
			send->batch[i].place = places[--count];
	return ok;
}

/* Sends what was gathered and prints the ids, in the order in which they came. After a failure it says from
 * which line on Redis did not confirm. */
static bool batch_send(struct send *send)
{
	const struct parcel *missing = NULL;
	bool ok = true;

	for (int lane = 0; ok && lane < LANES; lane++)
		ok = batch_send_lane(send, (enum lane)lane);
	for (size_t i = 0; i < send->count; i++) {
		if (send->batch[i].place.entry) {
			parcel_print(send, &send->batch[i]);
			send->sent++;
		} else if (!missing) {
			missing = &send->batch[i];
		}
	}
	if (!ok && missing && missing->line) {
		char *what = xasprintf(
			"send: line %lld: not known to be in the queue, nor what follows without an id",
			missing->line);
		cli_queue_error(what, send->queue);
		free(what);
	} else if (!ok) {
		cli_queue_error("send", send->queue);
	}
	batch_clear(send);
	return ok;
}

/* Checks a message and puts it into the batch. `line` 0: it is the only one. False: `error`. */
static bool send_add(struct send *send, const char *json, size_t len, long long line, struct text *error)
{
	struct message message;

	bool ok = message_parse(json, len, &message, error);
	if (ok) {
		enum lane own = message.has_lane ? message.lane : LANE_NORMAL;
		send->batch[send->count++] = (struct parcel){.message = xmemdup0(json, len),
							     .id = xstrdup(message.id),
							     .lane = send->has_lane ? send->lane : own,
							     .line = line};
		send->bytes += len;
	}
	message_release(&message);
	return ok;
}

/* --- a file --- */

/* The next line, without its end; what is longer than a message may be is cut there and `full`. */
static bool line_read(FILE *file, struct text *line, long long *bytes)
{
	int c = getc(file);

	text_clear(line);
	if (c == EOF)
		return false;
	for (; c != EOF && c != '\n'; c = getc(file)) {
		++*bytes;
		text_putc(line, (char)c);
	}
	++*bytes;
	if (line->len && line->data[line->len - 1] == '\r')
		line->data[--line->len] = '\0';
	return true;
}

static int send_lines(struct send *send, FILE *file, const char *name)
{
	struct cli_progress progress;
	struct text line, error;
	struct stat about;
	long long number = 0, bytes = 0;
	int status = STATUS_DONE;
	bool ok = true;

	text_init(&line, MESSAGE_SIZE_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	cli_progress_start(&progress,
			   fstat(fileno(file), &about) == 0 && S_ISREG(about.st_mode) ? about.st_size : 0);
	while (ok && line_read(file, &line, &bytes)) {
		number++;
		if (line.full)
			text_error(&error, "it is longer than %d bytes", MESSAGE_SIZE_MAX);
		if (line.len == strspn(line.data, " \t"))
			continue;
		if (line.full || !send_add(send, line.data, line.len, number, &error))
			status = cli_error("send: %s: line %lld: %s", name, number, error.data);
		if (send->count == SEND_BATCH || send->bytes >= SEND_BATCH_BYTES) {
			ok = batch_send(send);
			cli_progress_show(&progress, bytes, send->sent);
		}
	}
	if (ferror(file))
		status = cli_error("send: %s: %s", name, strerror(errno));
	ok = ok && batch_send(send);
	cli_progress_show(&progress, bytes, send->sent);
	cli_progress_end(&progress);
	text_release(&line);
	text_release(&error);
	return ok ? status : STATUS_FAILED;
}

static int send_file(struct send *send, const char *name)
{
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");

	if (!file)
		return cli_error("send: %s: %s", name, strerror(errno));
	int status = send_lines(send, file, file == stdin ? "standard input" : name);
	if (file != stdin)
		fclose(file);
	return status;
}

/* --- one message, from the options --- */

struct send_options {
	const char *file, *lane;
	const char *customer, *product, *template, *id, *locale, *purpose, *campaign, *traceparent;
	const char *data, *content, *meta, *text, *subject, *send_at, *expires_at;
	bool json;
};

static bool set_text(json_t *message, const char *key, const char *value)
{
	return !value || json_object_set_new(message, key, json_string(value)) == 0 ||
	       (cli_usage(&command_send, "--%s: is not UTF-8", key), false);
}

static bool set_json(json_t *message, const char *key, const char *value)
{
	struct text why;

	if (!value)
		return true;
	text_init(&why, TEXT_ERROR_MAX);
	json_t *json = json_read(value, strlen(value), true, &why);
	if (json)
		json_object_set_new(message, key, json);
	else
		cli_usage(&command_send, "--%s: %s", key, why.data);
	text_release(&why);
	return json != NULL;
}

/* A moment, or a time from now: 2h. */
static bool set_moment(json_t *message, const char *key, const char *option, const char *value)
{
	char from_now[MOMENT_TEXT];
	int64_t at;

	if (value && !moment_parse(value, &at)) {
		if (!duration_parse(value, &at)) {
			cli_usage(&command_send,
				  "%s: '%s' is neither a time such as 2026-11-22T10:00:00Z nor a duration "
				  "such as 2h",
				  option, value);
			return false;
		}
		moment_format(moment_now() + at, from_now);
		value = from_now;
	}
	return set_text(message, key, value);
}

/* NULL, and said: something is not what it should be. */
static json_t *message_make(const struct send_options *options)
{
	json_t *message = json_object(), *content = json_object();

	bool ok = set_text(message, "id", options->id) && set_text(message, "customer", options->customer) &&
		  set_text(message, "product", options->product) &&
		  set_text(message, "template", options->template) &&
		  set_json(message, "content", options->content) &&
		  set_json(message, "data", options->data) && set_json(message, "meta", options->meta) &&
		  set_text(message, "locale", options->locale) &&
		  set_text(message, "purpose", options->purpose) &&
		  set_text(message, "campaign", options->campaign) &&
		  set_text(message, "traceparent", options->traceparent) &&
		  set_moment(message, "send_at", "--send-at", options->send_at) &&
		  set_moment(message, "expires_at", "--expires-at", options->expires_at) &&
		  set_text(content, "subject", options->subject) && set_text(content, "text", options->text);
	if (ok && json_object_size(content))
		json_object_set(message, "content", content);
	json_decref(content);
	if (!ok)
		json_decref(message);
	return ok ? message : NULL;
}

static int send_one(struct send *send, json_t *message)
{
	char *json = json_dumps(message, JSON_COMPACT);
	struct text error;
	int status = STATUS_DONE;

	text_init(&error, TEXT_ERROR_MAX);
	if (!send_add(send, json, strlen(json), 0, &error)) {
		cli_error("send: %s", error.data);
		status = STATUS_USAGE;
	} else if (!batch_send(send)) {
		status = STATUS_FAILED;
	}
	text_release(&error);
	free(json);
	return status;
}

/* --- the command --- */

static bool options_fit(const struct send_options *options, struct send *send)
{
	bool words = options->customer || options->product || options->template || options->content ||
		     options->text || options->subject || options->data || options->meta || options->id ||
		     options->locale || options->purpose || options->campaign || options->traceparent ||
		     options->send_at || options->expires_at;

	if (options->file && words)
		cli_usage(&command_send,
			  "--file: the messages are in the file; of the rest only --lane fits");
	else if (!options->file && (!options->customer || !options->product))
		cli_usage(&command_send, "send: --customer and --product, or --file, are wanted");
	else if (!options->file && !options->template && !options->content && !options->text)
		cli_usage(&command_send, "send: --template, --content or --text is wanted");
	else if (options->content && (options->text || options->subject))
		cli_usage(&command_send, "--content: says it all; --text and --subject don't fit with it");
	else
		return !options->lane || lane_parse(options->lane, &send->lane);
	return false;
}

static int run_send(const char *config_file, int argc, char **argv)
{
	struct send_options given = {0};
	struct send *send = xcalloc(1, sizeof *send);
	json_t *message = NULL;
	struct cli *cli = NULL;
	size_t count;
	int status = STATUS_USAGE;

	if (!cli_parse(&command_send, argc, argv, &given, 0, 0, NULL, &count) || !options_fit(&given, send))
		goto out;
	if (!given.file && !(message = message_make(&given)))
		goto out;
	cli = cli_open(config_file);
	if (!cli)
		goto out;
	send->json = given.json;
	send->has_lane = given.lane != NULL;
	send->queue = cli_queue(cli);
	if (send->queue)
		status = given.file ? send_file(send, given.file) : send_one(send, message);
out:
	batch_clear(send);
	cli_close(cli);
	json_decref(message);
	free(send);
	return cli_end(status);
}

static const struct command_option options_of_send[] = {
	OPTION_VALUE(struct send_options, customer, "--customer", "ID", "Whom it is for."),
	OPTION_VALUE(struct send_options, product, "--product", "PRODUCT", "What it is about."),
	OPTION_VALUE(struct send_options, template, "--template", "TEMPLATE",
		     "What it says, made from --data; or one of --text and --content."),
	OPTION_VALUE(struct send_options, data, "--data", "JSON", "An object: what the template sees."),
	OPTION_VALUE(struct send_options, text, "--text", "TEXT", "The words themselves."),
	OPTION_VALUE(struct send_options, subject, "--subject", "TEXT",
		     "With --text, where the channel has subjects."),
	OPTION_VALUE(struct send_options, content, "--content", "JSON",
		     "The words as an object of subject, text and html."),
	OPTION_VALUE(struct send_options, id, "--id", "ID",
		     "Your own; a message with the same id is never sent twice."),
	OPTION_VALUE(struct send_options, lane, "--lane", "urgent|normal|bulk",
		     "Which of the three queues; normal without it."),
	OPTION_VALUE(struct send_options, locale, "--locale", "LOCALE",
		     "Instead of the customer's, as es-AR."),
	OPTION_VALUE(struct send_options, purpose, "--purpose", "service|marketing|critical",
		     "Where it is stricter than the product's."),
	OPTION_VALUE(struct send_options, send_at, "--send-at", "TIME",
		     "Not before: 2027-01-31T08:00:00Z, or from now: 2h."),
	OPTION_VALUE(struct send_options, expires_at, "--expires-at", "TIME", "Not after, likewise."),
	OPTION_VALUE(struct send_options, campaign, "--campaign", "NAME", "For holds and reports."),
	OPTION_VALUE(struct send_options, meta, "--meta", "JSON",
		     "An object of texts, carried on to events, log and webhooks."),
	OPTION_VALUE(struct send_options, traceparent, "--traceparent", "TRACEPARENT",
		     "W3C's, carried on to events and webhooks."),
	OPTION_VALUE(struct send_options, file, "--file", "FILE",
		     "A message a line, as JSON; - is standard input. Lines that are wrong are named and "
		     "left out, and the status is 1."),
	OPTION_FLAG(struct send_options, json, "--json", "One JSON object a message: id, stream, entry."),
	{0},
};

const struct command command_send = {
	.name = "send",
	.usage = "send --customer ID --product P --template T [--data JSON] … | --file FILE.jsonl",
	.summary = "put messages into the queue; prints their ids",
	.help = "The message is checked and put into Redis; a gateway that runs, or starts later, takes it "
		"from there.",
	.options = options_of_send,
	.example = "heed send --customer c-1042 --product card-alerts --template payment-received \\\n"
		   "    --data '{\"amount\":\"12.50\"}'\n"
		   "heed send --customer c-1042 --product card-alerts --text 'Your card was blocked.' --lane "
		   "urgent\n"
		   "heed send --file messages.jsonl",
	.run = run_send,
};
