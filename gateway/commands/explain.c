#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "banned.h"

struct explain_words {
	const char *message, *customer, *product, *purpose, *at;
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

	if (words->message)
		text_addf(line, "%s: %s", words->message, state);
	else
		text_addf(line, "%s to %s, %s: %s", words->product, words->customer,
			  words->at ? words->at : "now",
			  strcmp(state, "queued") == 0 ? "would be sent" : state);
	if (*channel)
		text_addf(line, " on %s", channel);
	if (*until)
		text_addf(line, " until %s", until);
	free(state);
	free(channel);
	free(until);
}

static void show(const struct explain_words *words, const json_t *answer)
{
	const json_t *contacts = json_object_get(answer, "contacts"), *item;
	struct text line;
	size_t i;

	text_init(&line, CLI_PATH_MAX);
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
	}
	text_release(&line);
}

static int run_explain(const char *config_file, int argc, char **argv)
{
	struct explain_words words = {0};
	const char *message[1] = {NULL};
	bool json = false;
	size_t count;
	const struct cli_option options[] = {{"--customer", &words.customer, NULL},
					     {"--product", &words.product, NULL},
					     {"--purpose", &words.purpose, NULL},
					     {"--at", &words.at, NULL},
					     {"--json", NULL, &json},
					     {0}};
	json_t *body = NULL, *answer = NULL;
	struct text path;
	int status;

	if (!cli_parse(&command_explain, argc, argv, options, 0, 1, message, &count))
		return STATUS_USAGE;
	words.message = message[0];
	bool choice = words.customer && words.product;
	if (words.message ? words.customer || words.product || words.purpose || words.at : !choice)
		return cli_usage(&command_explain, "a message, or --customer and --product are wanted");
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&path, CLI_PATH_MAX);
	if (words.message && !json) { /* for a person with its contacts */
		cli_path(&path, "/v1/messages/:", words.message, NULL);
		status = cli_call(cli, "GET", path.data, NULL, &answer);
	} else {
		body = explain_body(&words);
		status = cli_call(cli, "POST", "/v1/explain", body, &answer);
	}
	if (status == STATUS_DONE && json)
		cli_json(answer);
	else if (status == STATUS_DONE)
		show(&words, answer);
	text_release(&path);
	json_decref(body);
	json_decref(answer);
	cli_close(cli);
	return cli_end(status);
}

const struct command command_explain = {
	"explain",
	"explain MESSAGE | --customer ID --product P [--purpose P] [--at TIME] [--json]",
	"why a message went where it went, or what would happen now",
	"MESSAGE      its id: each rule that spoke, and every attempt\n"
	"--customer, --product   what would happen to such a message now (the state `queued`: it would be "
	"sent)\n"
	"--purpose P  of the message, where it is stricter than the product's\n"
	"--at TIME    what would happen to one that came in then (2026-11-22T22:00:00Z)\n"
	"--json       one JSON object\n\n"
	"Example: heed explain m-1\n"
	"         heed explain --customer c-1042 --product card-alerts",
	run_explain,
};
