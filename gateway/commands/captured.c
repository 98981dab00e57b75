#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "cli.h"
#include "xalloc.h"
#include "banned.h"

#define CAPTURED_LINE_MAX (64 * 1024)

struct captured_given {
	const char *customer, *channel, *limit;
	bool json;
};

/* What would have left, line by line: fit for a terminal. --json has it byte for byte. */
static void print_content(const char *content)
{
	struct text line;

	text_init(&line, CAPTURED_LINE_MAX);
	while (*content) {
		size_t len = strcspn(content, "\n");
		char *copy = xmemdup0(content, len && content[len - 1] == '\r' ? len - 1 : len);
		text_clear(&line);
		cli_clean(&line, copy);
		cli_line(line.data);
		free(copy);
		content += len + (content[len] == '\n');
	}
	text_release(&line);
}

static void print_captured(const json_t *contact)
{
	static const char *const keys[] = {"at", "channel", "customer", "messages", "state", "segments"};
	struct text line;

	text_init(&line, CAPTURED_LINE_MAX);
	text_puts(&line, "---");
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const json_t *value = json_object_get(contact, keys[i]);
		char *words = json_is_array(value)
				      ? xstrdup(json_string_value(json_array_get(value, 0))
							? json_string_value(json_array_get(value, 0))
							: "")
				      : cli_words(contact, keys[i]);
		if (*words) {
			text_putc(&line, ' ');
			cli_clean(&line, words);
		}
		if (*words && strcmp(keys[i], "segments") == 0)
			text_puts(&line, strcmp(words, "1") == 0 ? " segment" : " segments");
		free(words);
	}
	cli_line(line.data);
	print_content(json_string_value(json_object_get(contact, "content"))
			      ? json_string_value(json_object_get(contact, "content"))
			      : "");
	cli_line("");
	text_release(&line);
}

static void print_one(const json_t *contact, bool json)
{
	if (json)
		cli_json(contact);
	else
		print_captured(contact);
}

/* Page by page from the newest; kept, to print the oldest first. */
static int read_captured(struct cli *cli, const struct captured_given *given, long long limit, json_t *kept)
{
	long long before = 0;
	struct text path;
	json_t *answer;
	int status = STATUS_DONE;

	text_init(&path, CLI_PATH_MAX);
	while (limit > 0) {
		long long page = limit < API_CAPTURED_MAX ? limit : API_CAPTURED_MAX;
		text_clear(&path);
		text_puts(&path, "/v1/captured");
		cli_query(&path, "customer", given->customer);
		cli_query(&path, "channel", given->channel);
		cli_query_number(&path, "limit", page);
		if (before)
			cli_query_number(&path, "before", before);
		status = cli_call(cli, "GET", path.data, NULL, &answer);
		if (status != STATUS_DONE)
			break;
		const json_t *contacts = json_object_get(answer, "contacts");
		size_t count = json_array_size(contacts);
		for (size_t i = count; i > 0; i--)
			json_array_append(kept, json_array_get(contacts, i - 1));
		before = json_integer_value(json_object_get(json_array_get(contacts, 0), "seq"));
		json_decref(answer);
		limit = count == (size_t)page ? limit - page : 0;
	}
	text_release(&path);
	return status;
}

static int run_captured(const char *config_file, int argc, char **argv)
{
	struct captured_given given = {0};
	long long limit;
	size_t count;

	if (!cli_parse(&command_captured, argc, argv, &given, 0, 0, NULL, &count) ||
	    !cli_limit(&command_captured, given.limit, &limit))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	json_t *kept = json_array();
	int status = read_captured(cli, &given, limit, kept);
	for (size_t i = json_array_size(kept); status == STATUS_DONE && i > 0; i--)
		print_one(json_array_get(kept, i - 1), given.json);
	json_decref(kept);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_option options_of_captured[] = {
	OPTION_VALUE(struct captured_given, customer, "--customer", "ID", "Of this customer only."),
	OPTION_VALUE(struct captured_given, channel, "--channel", "CHANNEL", "On this channel only."),
	OPTION_VALUE(struct captured_given, limit, "--limit", "N",
		     "The last ones, at most so many; 100 without it."),
	OPTION_FLAG(struct captured_given, json, "--json",
		    "The contact with its content, byte for byte; one JSON object a line."),
	{0},
};

const struct command command_captured = {
	.name = "captured",
	.usage = "captured [--customer ID] [--channel C] [--limit 100] [--json]",
	.summary = "what was captured instead of sent, oldest first",
	.help = "What channels with `adapter: capture`, or all of `heed gateway --capture`, would have sent: "
		"a mail "
		"as it would have gone to the relay, a request with its headers and body, a text. Secrets of "
		"a "
		"provider are shown as \"hidden\".\n\n"
		"The address says the outcome: +sent, +rejected, +retry or +doubt behind the local part of "
		"an e-mail "
		"(ana+retry@example.com) or at the end of a URL's path (https://example.com/hook+retry); 01, "
		"02, 03 "
		"or 04 as the last two digits of a phone number, in that order. Anything else was sent.",
	.options = options_of_captured,
	.example = "heed captured --customer c-1042 --limit 1",
	.run = run_captured,
};
