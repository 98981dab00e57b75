#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "moment.h"
#include "banned.h"

struct explain_words {
	const char *message, *customer, *product, *purpose, *at;
	bool json;
};

static json_t *explain_body(const struct explain_words *words)
{
	json_t *body = json_object();

	if (words->message)
		json_object_set_new(body, "message", json_string(words->message));
	if (words->customer)
		json_object_set_new(body, "customer", json_string(words->customer));
	if (words->product)
		json_object_set_new(body, "product", json_string(words->product));
	if (words->purpose)
		json_object_set_new(body, "purpose", json_string(words->purpose));
	if (words->at)
		json_object_set_new(body, "at", json_string(words->at));
	return body;
}

/* "m-1: deferred on email until 2026-…" */
static void show_state(const struct explain_words *words, const json_t *answer, struct text *line)
{
	char *state = cli_words(answer, "state"), *channel = cli_words(answer, "channel");
	char *until = cli_words(answer, "until");
	const struct cli_screen screen = cli_screen();

	if (words->message)
		text_addf(line, "%s: ", words->message);
	else
		text_addf(line, "%s to %s, %s: ", words->product, words->customer,
			  words->at ? words->at : "now");
	if (!words->message && strcmp(state, "queued") == 0)
		text_puts(line, "would be sent");
	else
		cli_state(line, state, 0, &screen);
	if (*channel)
		text_addf(line, " on %s", channel);
	if (*until)
		text_addf(line, " until %s", until);
	free(state);
	free(channel);
	free(until);
}

/* On a terminal the contact's line may have been cut. */
static void show_detail(const json_t *contact)
{
	char *detail = cli_words(contact, "detail");
	struct text line;

	text_init(&line, CLI_LINE_MAX);
	text_puts(&line, "    ");
	cli_clean(&line, detail);
	if (*detail && cli_screen().width)
		cli_line(line.data);
	text_release(&line);
	free(detail);
}

static void show(const struct explain_words *words, const json_t *answer)
{
	const json_t *contacts = json_object_get(answer, "contacts"), *item;
	struct text line;
	size_t i;

	text_init(&line, CLI_LINE_MAX);
	show_state(words, answer, &line);
	cli_line(line.data);
	json_array_foreach(json_object_get(answer, "reasons"), i, item)
	{
		char *says = cli_words(item, "says");
		text_clear(&line);
		text_puts(&line, "  - ");
		cli_clean(&line, says);
		cli_line(line.data);
		free(says);
	}
	if (json_array_size(contacts)) {
		cli_line("");
		cli_contact_heading();
	}
	json_array_foreach(contacts, i, item)
	{
		char *contact = cli_contact_words(item, false);
		cli_line(contact);
		free(contact);
		show_detail(item);
	}
	text_release(&line);
}

static int run_explain(const char *config_file, int argc, char **argv)
{
	struct explain_words words = {0};
	const char *message[1] = {NULL};
	size_t count;
	json_t *body = NULL, *answer = NULL;
	struct text path;
	int status;

	if (!cli_parse(&command_explain, argc, argv, &words, 0, 1, message, &count))
		return STATUS_USAGE;
	words.message = message[0];
	bool choice = words.customer && words.product;
	if (words.message ? words.customer || words.product || words.purpose || words.at : !choice)
		return cli_usage(&command_explain,
				 "explain: a message, or --customer and --product are wanted");
	int64_t at;
	if (words.at && !moment_parse(words.at, &at))
		return cli_usage(&command_explain, "--at: '%s' is not a time such as 2026-11-22T22:00:00Z",
				 words.at);
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&path, CLI_PATH_MAX);
	if (words.message && !words.json) { /* for a person with its contacts */
		cli_path(&path, "/v1/messages/:", words.message, NULL);
		status = cli_call(cli, "GET", path.data, NULL, &answer);
	} else {
		body = explain_body(&words);
		status = cli_call(cli, "POST", "/v1/explain", body, &answer);
	}
	if (status == STATUS_DONE && words.json)
		cli_json(answer);
	else if (status == STATUS_DONE)
		show(&words, answer);
	text_release(&path);
	json_decref(body);
	json_decref(answer);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_word words_of_explain[] = {
	{"MESSAGE", NULL, "Its id: each rule that spoke, and every attempt."},
	{0},
};

static const struct command_option options_of_explain[] = {
	OPTION_VALUE(struct explain_words, customer, "--customer", "ID",
		     "With --product: what would happen now to a message for this customer."),
	OPTION_VALUE(struct explain_words, product, "--product", "PRODUCT",
		     "What the message would be about."),
	OPTION_VALUE(struct explain_words, purpose, "--purpose", "service|marketing|critical",
		     "Of the message, where it is stricter than the product's."),
	OPTION_VALUE(struct explain_words, at, "--at", "TIME",
		     "To one that comes in then: 2026-11-22T22:00:00Z."),
	OPTION_FLAG(struct explain_words, json, "--json", "One JSON object."),
	{0},
};

const struct command command_explain = {
	.name = "explain",
	.usage = "explain MESSAGE | --customer ID --product P [--purpose P] [--at TIME] [--json]",
	.summary = "why a message went where it went, or what would happen now",
	.help = "",
	.words = words_of_explain,
	.options = options_of_explain,
	.example = "heed explain m-1\n"
		   "heed explain --customer c-1042 --product card-alerts --at 2026-11-22T22:00:00Z",
	.run = run_explain,
};
