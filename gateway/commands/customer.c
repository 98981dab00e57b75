#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json_read.h"
#include "xalloc.h"
#include "customer_private.h"
#include "banned.h"

#define CUSTOMER_FILE_MAX (1024 * 1024)

/* --- put --- */

/* NULL, and said. */
static json_t *read_customer(const char *file)
{
	json_t *customer = NULL;
	struct text body, error;
	char piece[4096];
	size_t len;

	FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
	if (!in) {
		cli_error("%s: %s", file, strerror(errno));
		return NULL;
	}
	text_init(&body, CUSTOMER_FILE_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	while ((len = fread(piece, 1, sizeof piece, in)) > 0)
		text_add(&body, piece, len);
	if (ferror(in)) {
		cli_error("%s: %s", file, strerror(errno));
	} else if (body.full) {
		cli_error("%s: more than %d bytes are no customer", file, CUSTOMER_FILE_MAX);
	} else {
		customer = json_read(body.data, body.len, true, &error);
		if (!customer)
			cli_error("%s: %s", file, error.data);
	}
	if (in != stdin)
		fclose(in);
	text_release(&body);
	text_release(&error);
	return customer;
}

static int put(struct cli *cli, const char *file, const struct customer_given *given)
{
	json_t *answer = NULL;
	int status = STATUS_FAILED;
	struct text path;

	text_init(&path, CLI_PATH_MAX);
	json_t *customer = read_customer(file);
	const char *id = json_string_value(json_object_get(customer, "id"));
	if (!customer)
		goto out;
	if (!json_is_object(customer)) {
		cli_error("%s: an object is wanted, like {\"id\": \"c-1042\", …}", file);
		goto out;
	}
	if (!id || !customer_id_valid(id)) {
		cli_error("%s: id: is wanted, 1 to %d bytes without control characters", file, ID_MAX);
		goto out;
	}
	cli_path(&path, "/v1/customers/:", id, NULL);
	if (given->recreate)
		cli_query(&path, "recreate", "true");
	status = cli_call(cli, "PUT", path.data, customer, &answer);
	if (status == STATUS_DONE && given->json) {
		cli_json(answer);
	} else if (status == STATUS_DONE) {
		text_clear(&path);
		text_addf(&path, "%s: put", id);
		cli_line(path.data);
		cli_on_their_way(answer);
	}
out:
	json_decref(customer);
	json_decref(answer);
	text_release(&path);
	return status;
}

/* --- show, find --- */

static void show_line(const char *label, const char *value)
{
	struct text line;

	text_init(&line, CLI_PATH_MAX);
	cli_cell(&line, label, 16);
	if (*value)
		cli_cell(&line, value, 0);
	cli_line(line.data);
	text_release(&line);
}

static void show_addresses(const json_t *customer)
{
	json_t *addresses = json_object_get(customer, "addresses");
	const json_t *state;
	const char *channel;
	json_t *value;
	size_t i;

	json_object_foreach(addresses, channel, value)
	{
		char *words = cli_words(addresses, channel);
		show_line(channel, words);
		free(words);
	}
	json_array_foreach(json_object_get(customer, "states"), i, state)
	{
		char *words = cli_words(state, "state"), *address = cli_words(state, "address");
		show_line(words, address);
		free(words);
		free(address);
	}
}

static void show(const json_t *customer)
{
	static const char *const facts[] = {"id", "name", "locale", "timezone"};
	const json_t *preference;
	size_t i;

	for (i = 0; i < sizeof facts / sizeof facts[0]; i++) {
		char *words = cli_words(customer, facts[i]);
		if (*words)
			show_line(facts[i], words);
		free(words);
	}
	show_addresses(customer);
	json_array_foreach(json_object_get(customer, "preferences"), i, preference)
	{
		char *product = cli_words(preference, "product"),
		     *channels = cli_words(preference, "channels");
		show_line(product, strcmp(channels, "[]") == 0 ? "stopped" : channels);
		free(product);
		free(channels);
	}
}

static int show_one(struct cli *cli, const char *id, const struct customer_given *given)
{
	struct text path;
	json_t *answer;

	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, "/v1/customers/:", id, NULL);
	int status = cli_call(cli, "GET", path.data, NULL, &answer);
	text_release(&path);
	if (status == STATUS_DONE && given->json)
		cli_json(answer);
	else if (status == STATUS_DONE)
		show(answer);
	json_decref(answer);
	return status;
}

static int find(struct cli *cli, const char *address, const struct customer_given *given)
{
	const json_t *customer;
	struct text path;
	json_t *answer;
	size_t i;

	text_init(&path, CLI_PATH_MAX);
	text_puts(&path, "/v1/customers");
	cli_query(&path, "address", address);
	int status = cli_call(cli, "GET", path.data, NULL, &answer);
	text_release(&path);
	const json_t *found = json_object_get(answer, "customers");
	if (status == STATUS_DONE && !json_array_size(found))
		status = cli_error("address %s: no customer has it; it is looked for as it is stored, as "
				   "in +5491155550100",
				   address);
	json_array_foreach(found, i, customer)
	{
		if (given->json) {
			cli_json(customer);
			continue;
		}
		char *id = cli_words(customer, "id"), *name = cli_words(customer, "name");
		show_line(id, name);
		free(id);
		free(name);
	}
	json_decref(answer);
	return status;
}

/* --- */

static int run_customer(const char *config_file, int argc, char **argv)
{
	struct customer_given given = {0};
	const char *words[2];
	size_t count;
	int status;
	static const struct {
		const char *name;
		int (*run)(struct cli *cli, const char *word, const struct customer_given *given);
	} verbs[] = {{"put", put},   {"import", customer_import}, {"show", show_one},
		     {"find", find}, {"export", customer_export}, {"erase", customer_erase}};

	if (!cli_parse(&command_customer, argc, argv, &given, 2, 2, words, &count))
		return STATUS_USAGE;
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(words[0], verbs[i].name) != 0)
			continue;
		struct cli *cli = cli_open(config_file);
		status = cli ? verbs[i].run(cli, words[1], &given) : STATUS_USAGE;
		cli_close(cli);
		return cli_end(status);
	}
	return cli_usage(&command_customer, "%s: is not put, import, show, find, export or erase", words[0]);
}

static const struct command_word words_of_customer[] = {
	{"put", "FILE", "One customer as JSON: replaces what is known of it. - is standard input."},
	{"import", "FILE",
	 "Changes what the file names, one customer a record: JSON lines (.jsonl), or CSV with the columns "
	 "id, "
	 "name, locale, timezone, a channel's name, CHANNEL.secret, prefer:PRODUCT. Several addresses in a "
	 "cell "
	 "are separated by ; (inside a URL write %3B). A preference is written as for `prefer --channels`, "
	 "or "
	 "is the word stop. An empty cell clears."},
	{"show", "ID", "All that is known, and what was chosen."},
	{"find", "ADDRESS", "Who has it, on any channel."},
	{"export", "ID",
	 "Everything that is known, as JSON: facts, choices, every change with its evidence, messages, "
	 "contacts."},
	{"erase", "ID",
	 "Forgets the customer for good: addresses, names, texts, everywhere. What waits is cancelled. Sums "
	 "and the "
	 "proof stay, under a one-way name. An import does not bring it back."},
	{0},
};

static const struct command_option options_of_customer[] = {
	OPTION_FLAG(struct customer_given, json, "--json", "One JSON object a line."),
	OPTION_FLAG(struct customer_given, recreate, "--recreate",
		    "For put and import: who was erased, or whose address was, may come back."),
	OPTION_FLAG(struct customer_given, yes, "--yes", "For erase: without being asked."),
	{0},
};

const struct command command_customer = {
	.name = "customer",
	.usage = "customer put FILE|- | import FILE.csv|FILE.jsonl | show ID | find ADDRESS | export ID | "
		 "erase ID [--json]",
	.summary = "who is reached where",
	.help = "",
	.words = words_of_customer,
	.options = options_of_customer,
	.example = "heed customer import customers.csv\n"
		   "heed customer show c-1042\n"
		   "heed customer find ana@example.com\n"
		   "heed customer export c-1042\n"
		   "echo '{\"id\":\"c-2000\",\"addresses\":{\"email\":\"ana@example.com\"}}' | heed customer "
		   "put -",
	.run = run_customer,
};
