/* heed token: makes a token and shows it once; the configuration keeps only its hash. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../api_token.h"
#include "../cli.h"
#include "../product.h"
#include "../banned.h"

#define LINE_MAX_BYTES 8192

struct token_given {
	const char *scopes, *products;
	bool json;
};

/* The words of "a,b"; *list is an array of them. False: one is empty or there twice. */
static bool split(const char *words, json_t **list)
{
	*list = json_array();
	for (const char *word = words;; word++) {
		size_t len = strcspn(word, ","), i;
		json_t *before, *one = json_stringn(word, len);
		bool fine = len && one;
		json_array_foreach(*list, i, before) fine = fine && !json_equal(before, one);
		json_array_append_new(*list, one ? one : json_null());
		if (!fine)
			return false;
		word += len;
		if (!*word)
			return true;
	}
}

static bool scopes_valid(const char *words, json_t **list)
{
	enum scope scope;
	json_t *word;
	size_t i;

	if (!split(words, list))
		return false;
	json_array_foreach(*list, i, word) if (!scope_parse(json_string_value(word), &scope)) return false;
	return true;
}

static bool products_valid(const char *words, json_t **list)
{
	json_t *word;
	size_t i;

	if (!split(words, list))
		return false;
	json_array_foreach(*list, i, word) if (!product_name_valid(json_string_value(word))) return false;
	return true;
}

/* As YAML reads it back as text: what looks like a number or another word of its own is quoted. */
static void add_word(struct text *line, const char *word)
{
	static const char *const others[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
	bool plain = (*word >= 'a' && *word <= 'z') || (*word >= 'A' && *word <= 'Z');

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		plain = plain && strcasecmp(word, others[i]) != 0;
	text_addf(line, plain ? "%s" : "\"%s\"", word);
}

static void add_list(struct text *line, const char *key, const json_t *list)
{
	json_t *word;
	size_t i;

	text_addf(line, ", %s: [", key);
	json_array_foreach((json_t *)list, i, word)
	{
		text_puts(line, i ? ", " : "");
		add_word(line, json_string_value(word));
	}
	text_puts(line, "]");
}

static void show(const char *name, const json_t *scopes, const json_t *products, bool json)
{
	char token[TOKEN_TEXT + 1], hash[2 * SHA256_SIZE + 1];
	struct text line;

	api_token_new(token);
	digest_sha256_hex(token, strlen(token), hash);
	text_init(&line, LINE_MAX_BYTES);
	text_puts(&line, "{ name: ");
	add_word(&line, name);
	text_addf(&line, ", sha256: \"%s\"", hash);
	add_list(&line, "scopes", scopes);
	if (products)
		add_list(&line, "products", products);
	text_puts(&line, " }");
	if (json) {
		json_t *out =
			json_pack("{s:s, s:s, s:s, s:O, s:O*, s:s}", "token", token, "name", name, "sha256",
				  hash, "scopes", scopes, "products", products, "line", line.data);
		cli_json(out);
		json_decref(out);
	} else {
		cli_line(token);
		cli_line(line.data);
	}
	text_release(&line);
}

static int run_token(const char *config_file, int argc, char **argv)
{
	const char *words[1];
	struct token_given given = {0};
	json_t *scopes = NULL, *products = NULL;
	size_t count;
	int status = STATUS_DONE;

	(void)config_file;
	if (!cli_parse(&command_token, argc, argv, &given, 1, 1, words, &count))
		return STATUS_USAGE;
	if (!api_token_name_valid(words[0]))
		status = cli_usage(&command_token, "%s: is not 1 to %d letters, digits, ., _ and -", words[0],
				   TOKEN_NAME_MAX);
	else if (!given.scopes || !scopes_valid(given.scopes, &scopes))
		status = cli_usage(&command_token,
				   "--scopes: some of send, read, history, write and ops are wanted, as in "
				   "send,read");
	else if (given.products && !products_valid(given.products, &products))
		status = cli_usage(&command_token,
				   "--products: names of products are wanted, as in card-alerts,offers");
	else
		show(words[0], scopes, products, given.json);
	json_decref(scopes);
	json_decref(products);
	return cli_end(status);
}

static const struct command_option options_of_token[] = {
	OPTION_VALUE(
		struct token_given, scopes, "--scopes", "SCOPE,…",
		"What it may: send (messages, and take them back), read (messages, customers, choices), "
		"history (contacts), write (customers, choices), ops (holds, doubts, the queue, the log)."),
	OPTION_VALUE(struct token_given, products, "--products", "PRODUCT,…",
		     "For these and their parts only. Without: for all."),
	OPTION_FLAG(struct token_given, json, "--json", "One JSON object."),
	{0},
};

const struct command command_token = {
	.name = "token",
	.usage = "token NAME --scopes SCOPE,… [--products PRODUCT,…] [--json]",
	.summary = "make a token for the API",
	.help = "Prints a new token, which is shown this once, and the line for http.tokens in the "
		"configuration, "
		"which holds its hash. Send SIGHUP to the gateway once the line is in.",
	.options = options_of_token,
	.example = "heed token shop --scopes send,read --products card-alerts",
	.run = run_token,
};
