#include <stdlib.h>

#include "cli.h"
#include "banned.h"

struct link_words {
	const char *level, *product;
	bool json;
};

static int run_link(const char *config_file, int argc, char **argv)
{
	struct link_words given = {0};
	const char *words[1];
	size_t count;
	struct text path;

	if (!cli_parse(&command_link, argc, argv, &given, 1, 1, words, &count))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return cli_end(STATUS_USAGE);
	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, "/v1/customers/:/link", words[0], NULL);
	json_t *answer = NULL, *body = json_pack("{s:s, s:s*}", "level", given.level ? given.level : "choose",
						 "product", given.product);
	int status = cli_call(cli, "POST", path.data, body, &answer);
	if (status == STATUS_DONE && given.json) {
		cli_json(answer);
	} else if (status == STATUS_DONE) {
		char *url = cli_words(answer, "url");
		cli_line(url);
		free(url);
	}
	json_decref(body);
	json_decref(answer);
	text_release(&path);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_word words_of_link[] = {{"ID", NULL, "The customer's id."}, {0}};

static const struct command_option options_of_link[] = {
	OPTION_VALUE(
		struct link_words, level, "--level", "choose|full",
		"choose, as in messages: what they want to hear, for 90 days. full: addresses, history and "
		"data too, for an hour: only for whom you know to be the customer."),
	OPTION_VALUE(struct link_words, product, "--product", "PRODUCT", "What the page shows first."),
	OPTION_FLAG(struct link_words, json, "--json", "One JSON object: url, level, expires_at."),
	{0},
};

const struct command command_link = {
	.name = "link",
	.usage = "link ID [--level choose|full] [--product PRODUCT] [--json]",
	.summary = "a link to a customer's page",
	.help = "The page is served on http.public of the configuration.",
	.words = words_of_link,
	.options = options_of_link,
	.example = "heed link c-1042\nheed link c-1042 --level full --json",
	.run = run_link,
};
