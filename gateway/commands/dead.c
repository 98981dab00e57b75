/* Dead letters: what could not be admitted. Straight from Redis: no gateway need run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json_read.h"
#include "moment.h"
#include "queue.h"
#include "xalloc.h"
#include "banned.h"

#define DEAD_PAGE 200
#define DEAD_MESSAGE_MAX (1024 * 1024) /* of a message as it is put back or shown */

/* --- words --- */

/* Bytes of one UTF-8 character at `s`; 0: it is none. */
static size_t utf8_length(const char *s, size_t len)
{
	static const size_t most = 4;

	for (size_t n = 1; n <= most && n <= len; n++) {
		json_t *one = json_stringn(s, n);
		json_decref(one);
		if (one)
			return n;
	}
	return 0;
}

/* What an application put there may be any bytes: those that are no UTF-8 become U+FFFD. */
static json_t *json_of_bytes(const char *s, size_t len)
{
	json_t *whole = json_stringn(s, len);
	struct text clean;

	if (whole)
		return whole;
	text_init(&clean, 3 * len);
	for (size_t i = 0; i < len;) {
		size_t n = utf8_length(s + i, len - i);
		text_add(&clean, n ? s + i : "\xef\xbf\xbd", n ? n : 3);
		i += n ? n : 1;
	}
	whole = json_stringn(clean.data, clean.len);
	text_release(&clean);
	return whole;
}

static void letter_json(const struct dead_letter *letter)
{
	char at[MOMENT_TEXT];
	json_t *line = json_object();

	moment_format(letter->at, at);
	json_object_set_new(line, "id", json_string(letter->dead_id));
	json_object_set_new(line, "at", json_string(at));
	json_object_set_new(line, "stream", json_of_bytes(letter->stream, strlen(letter->stream)));
	json_object_set_new(line, "entry", json_of_bytes(letter->id, strlen(letter->id)));
	json_object_set_new(line, "error", json_of_bytes(letter->error, strlen(letter->error)));
	json_object_set_new(line, "message", json_of_bytes(letter->message, letter->message_len));
	cli_json(line);
	json_decref(line);
}

/* Without the spaces behind its last cell. */
static void line_print(struct text *line)
{
	while (line->len && line->data[line->len - 1] == ' ')
		line->data[--line->len] = '\0';
	cli_line(line->data);
}

static void row_print(const char *id, const char *at, const char *stream, const char *error)
{
	const struct cli_screen screen = cli_screen();
	struct text line;

	text_init(&line, CLI_LINE_MAX);
	cli_cell(&line, id, 18);
	cli_cell(&line, at, 24);
	cli_cell(&line, stream, 20);
	cli_cell(&line, error, 0);
	cli_fit(&line, &screen);
	line_print(&line);
	text_release(&line);
}

static void letter_row(const struct dead_letter *letter)
{
	char at[MOMENT_TEXT];

	moment_format(letter->at, at);
	row_print(letter->dead_id, at, letter->stream, letter->error);
}

static void show_cell(const char *name, const char *value)
{
	struct text line;

	text_init(&line, DEAD_MESSAGE_MAX);
	cli_cell(&line, name, 8);
	cli_cell(&line, value, 0);
	line_print(&line);
	text_release(&line);
}

/* All of it, NULs and what is no text included. */
static void show_message(const struct dead_letter *letter)
{
	json_t *text = json_of_bytes(letter->message, letter->message_len);
	size_t len = json_string_length(text);
	char *shown = xmemdup0(json_string_value(text), len);

	for (char *nul = shown; (nul = memchr(nul, '\0', len - (size_t)(nul - shown)));)
		*nul = ' ';
	show_cell("message", shown);
	free(shown);
	json_decref(text);
}

static void letter_show(const struct dead_letter *letter)
{
	char at[MOMENT_TEXT];

	moment_format(letter->at, at);
	show_cell("id", letter->dead_id);
	show_cell("at", at);
	show_cell("stream", letter->stream);
	show_cell("entry", letter->id);
	show_cell("error", letter->error);
	show_message(letter);
}

/* --- retrying --- */

/* The message as it is put back: where it is an object without an id, with the one that it would have had.
 * The rest stays as it was written, byte for byte. The caller frees both. */
static char *message_with_id(const struct dead_letter *letter, size_t *len, char **id)
{
	json_t *json = json_read(letter->message, letter->message_len, false, NULL);
	const char *brace = memchr(letter->message, '{', letter->message_len);
	const json_t *own = json_object_get(json, "id");
	char *message = xmemdup0(letter->message, letter->message_len);

	*len = letter->message_len;
	*id = json_is_object(json) && !own ? queue_message_id(letter->stream, letter->id) : NULL;
	if (*id && brace) {
		free(message);
		message = xasprintf("%.*s{\"id\":\"%s\"%s%s", (int)(brace - letter->message), letter->message,
				    *id, json_object_size(json) ? "," : "", brace + 1);
		*len = strlen(message);
	} else if (json_is_string(own)) {
		*id = xstrdup(json_string_value(own));
	}
	json_decref(json);
	return message;
}

static bool letter_retry(struct queue *queue, const struct dead_letter *letter, bool json)
{
	size_t len;
	char *entry = NULL, *id = NULL, *message = message_with_id(letter, &len, &id);

	bool ok = queue_dead_retry(queue, letter, message, len, &entry);
	if (!ok) {
		char *what = xasprintf("dead: %s", letter->dead_id);
		cli_queue_error(what, queue);
		free(what);
	}
	if (ok && !id)
		id = queue_message_id(letter->stream, entry);
	if (ok && json) {
		json_t *line = json_object();
		json_object_set_new(line, "id", json_of_bytes(id, strlen(id)));
		json_object_set_new(line, "stream", json_string(letter->stream));
		json_object_set_new(line, "entry", json_string(entry));
		cli_json(line);
		json_decref(line);
	} else if (ok) {
		cli_line(id);
	}
	free(entry);
	free(id);
	free(message);
	return ok;
}

/* --- what is asked for --- */

static int failed(const struct queue *queue)
{
	return cli_queue_error("dead", queue);
}

/* Calls `each` for all that are there now, oldest first: what dies again meanwhile comes behind them. */
static int dead_each(struct queue *queue, bool json,
		     bool (*each)(struct queue *queue, const struct dead_letter *letter, bool json))
{
	struct queue_depths depths;
	char *after = xstrdup("");
	int status = STATUS_DONE;

	if (!queue_depths(queue, &depths)) {
		free(after);
		return failed(queue);
	}
	for (int64_t left = depths.dead; left > 0;) {
		struct dead_letter *letters = NULL;
		size_t count = 0;
		if (!queue_dead_list(queue, after, left < DEAD_PAGE ? (size_t)left : DEAD_PAGE, &letters,
				     &count)) {
			status = failed(queue);
			left = 0;
		}
		for (size_t i = 0; i < count; i++) {
			if (!each(queue, &letters[i], json))
				status = STATUS_FAILED;
			if (i + 1 == count) {
				free(after);
				after = xstrdup(letters[i].dead_id);
			}
			dead_letter_release(&letters[i]);
		}
		left = count ? left - (int64_t)count : 0;
		free(letters);
	}
	free(after);
	return status;
}

static bool list_one(struct queue *queue, const struct dead_letter *letter, bool json)
{
	(void)queue;
	if (json)
		letter_json(letter);
	else
		letter_row(letter);
	return true;
}

static int dead_list(struct queue *queue, bool json)
{
	if (!json)
		row_print("ID", "TIME (UTC)", "STREAM", "ERROR");
	return dead_each(queue, json, list_one);
}

static int no_such_letter(const char *id)
{
	return cli_error("dead: %s: there is no dead letter with this id; `heed dead list` shows all", id);
}

static int dead_one(struct queue *queue, const char *what, const char *id, bool json)
{
	struct dead_letter letter = {0};
	bool found, ok = true;

	if (strcmp(what, "drop") == 0) {
		if (!queue_dead_drop(queue, id, &found))
			return failed(queue);
		return found ? STATUS_DONE : no_such_letter(id);
	}
	if (!queue_dead_show(queue, id, &letter, &found))
		return failed(queue);
	if (!found)
		return no_such_letter(id);
	if (strcmp(what, "retry") == 0)
		ok = letter_retry(queue, &letter, json);
	else if (json)
		letter_json(&letter);
	else
		letter_show(&letter);
	dead_letter_release(&letter);
	return ok ? STATUS_DONE : STATUS_FAILED;
}

/* --- the command --- */

/* What the words ask for: a name of the list, and an id where one is wanted. */
static bool words_fit(const char *const words[], size_t count, bool all)
{
	static const struct {
		const char *name;
		bool list, all;
	} kinds[] = {{"list", true, false},
		     {"show", false, false},
		     {"retry", false, true},
		     {"drop", false, false}};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strcmp(words[0], kinds[i].name) != 0)
			continue;
		if (all && !kinds[i].all)
			cli_usage(&command_dead, "--all: is for retry");
		else if ((kinds[i].list || all) && count == 2)
			cli_usage(&command_dead, "%s: is one word too many", words[1]);
		else if (!kinds[i].list && !all && count == 1)
			cli_usage(&command_dead, "%s: the id of a dead letter is wanted", words[0]);
		else
			return true;
		return false;
	}
	cli_usage(&command_dead, "%s: is not list, show, retry or drop", words[0]);
	return false;
}

struct dead_given {
	bool json, all;
};

static int run_dead(const char *config_file, int argc, char **argv)
{
	const char *words[2] = {NULL, NULL};
	struct dead_given given = {0};
	size_t count;

	if (!cli_parse(&command_dead, argc, argv, &given, 1, 2, words, &count) ||
	    !words_fit(words, count, given.all))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	struct queue *queue = cli_queue(cli);
	int status = STATUS_USAGE;
	if (queue && strcmp(words[0], "list") == 0)
		status = dead_list(queue, given.json);
	else if (queue && given.all)
		status = dead_each(queue, given.json, letter_retry);
	else if (queue)
		status = dead_one(queue, words[0], words[1], given.json);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_word words_of_dead[] = {
	{"list", NULL, "All of them, oldest first."},
	{"show", "ID", "One, with the message as it came. ID is the letter's own, as list prints it."},
	{"retry", "ID",
	 "Back into the stream that it came from, with the id that it had or would have had; prints that."},
	{"drop", "ID", "Gone for good."},
	{0},
};

static const struct command_option options_of_dead[] = {
	OPTION_FLAG(struct dead_given, all, "--all", "With retry: all that are there now."),
	OPTION_FLAG(struct dead_given, json, "--json",
		    "One JSON object a line: id, at, stream, entry, error, message; of retry: id, stream, "
		    "entry."),
	{0},
};

const struct command command_dead = {
	.name = "dead",
	.usage = "dead list|show ID|retry ID|retry --all|drop ID [--json]",
	.summary = "messages that could not be taken, and why",
	.help = "Straight from Redis: neither a gateway nor the store is needed.",
	.words = words_of_dead,
	.options = options_of_dead,
	.example = "heed dead list\nheed dead retry --all",
	.run = run_dead,
};
