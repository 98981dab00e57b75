#include <stdio.h>
#include <string.h>

#include "help_private.h"
#include "reason.h"
#include "banned.h"

#define HELP_WIDTH 80
#define HELP_LABEL_MAX 24 /* columns; what is longer stands on a line of its own */

static const struct {
	const char *code, *says, *help;
} reasons[] = {
#define REASON(code, says, help) {#code, says, help},
#include "reason_codes.h"
#undef REASON
};

static int help_reasons(bool json)
{
	bool ok = true;

	for (size_t i = 0; ok && i < sizeof reasons / sizeof reasons[0]; i++) {
		if (json) {
			json_t *line = json_pack("{s:s, s:s, s:s}", "code", reasons[i].code, "says",
						 reasons[i].says, "help", reasons[i].help);
			ok = cli_json(line);
			json_decref(line);
		} else {
			ok = printf("%s\n    \"%s\"\n    %s\n", reasons[i].code, reasons[i].says,
				    reasons[i].help) >= 0;
		}
	}
	return cli_end(STATUS_DONE);
}

/* --- forms that several share --- */

void help_label(const char *name, const char *value, struct text *out)
{
	text_puts(out, name);
	if (value)
		text_addf(out, " %s", value);
}

enum help_values help_values(const char *value)
{
	if (value && cli_is_choice(value))
		return HELP_CHOICES;
	if (value && strcmp(value, "FILE") == 0)
		return HELP_FILES;
	return value && strcmp(value, "DIR") == 0 ? HELP_FOLDERS : HELP_NOTHING;
}

bool help_is_literal(const char *word)
{
	return *word < 'A' || *word > 'Z';
}

/* --- `heed COMMAND --help` --- */

static size_t columns_of(const char *s, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len; i++)
		columns += ((unsigned char)s[i] & 0xc0) != 0x80;
	return columns;
}

/* The words of `s`, in lines that begin at column `indent`; the first is there already, at `column`. */
static void wrap(const char *s, size_t indent, size_t column, struct text *out)
{
	for (bool first = true; *s; first = false) {
		size_t len = strcspn(s, " \n"), columns = columns_of(s, len);
		if (strncmp(s, "\n\n", 2) == 0) {
			text_addf(out, "\n\n%*s", (int)indent, "");
			column = indent;
			s += 2;
			first = true;
			len = strcspn(s, " \n");
			columns = columns_of(s, len);
		}
		if (!first && column + 1 + columns > HELP_WIDTH) {
			text_addf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first && column > indent) {
			text_putc(out, ' ');
			column++;
		}
		text_add(out, s, len);
		column += columns;
		s += len;
		if (*s && strncmp(s, "\n\n", 2) != 0)
			s++;
	}
	text_puts(out, "\n");
}

static void write_item(const char *name, const char *value, const char *help, size_t width, struct text *out)
{
	struct text label;

	text_init(&label, HELP_MAX);
	help_label(name, value, &label);
	size_t columns = columns_of(label.data, label.len);
	text_addf(out, "  %s", label.data);
	if (columns > width)
		text_addf(out, "\n%*s", (int)width + 4, "");
	else
		text_addf(out, "%*s", (int)(width - columns) + 2, "");
	wrap(help, width + 4, width + 4, out);
	text_release(&label);
}

static size_t item_columns(const char *name, const char *value)
{
	size_t columns = columns_of(name, strlen(name)) + (value ? 1 + columns_of(value, strlen(value)) : 0);

	return columns > HELP_LABEL_MAX ? 0 : columns;
}

/* As wide as the widest label that is not too wide. */
static size_t label_width(const struct command *command)
{
	size_t width = 0;

	for (const struct command_word *w = command->words; w && w->name; w++)
		if (item_columns(w->name, w->value) > width)
			width = item_columns(w->name, w->value);
	for (const struct command_option *o = command->options; o && o->name; o++)
		if (item_columns(o->name, o->value) > width)
			width = item_columns(o->name, o->value);
	return width;
}

static void write_example(const char *example, struct text *out)
{
	text_addf(out, "\nExample%s:\n  ", strstr(example, "\nheed ") ? "s" : "");
	for (; *example; example++) {
		text_putc(out, *example);
		if (*example == '\n')
			text_puts(out, "  ");
	}
	text_puts(out, "\n");
}

void help_command_write(const struct command *command, struct text *out)
{
	size_t width = label_width(command);

	text_puts(out, "usage: heed [--config FILE] ");
	wrap(command->usage, sizeof "usage: " - 1, sizeof "usage: heed [--config FILE] " - 1, out);
	text_puts(out, "\n");
	wrap(command->summary, 0, 0, out);
	if (*command->help) {
		text_puts(out, "\n");
		wrap(command->help, 0, 0, out);
	}
	if (command->words || command->options)
		text_puts(out, "\n");
	for (const struct command_word *w = command->words; w && w->name; w++)
		write_item(w->name, w->value, w->help, width, out);
	for (const struct command_option *o = command->options; o && o->name; o++)
		write_item(o->name, o->value, o->help, width, out);
	if (*command->example)
		write_example(command->example, out);
}

/* --- the command --- */

static int print(struct text *out)
{
	fputs(out->data, stdout);
	text_release(out);
	return cli_end(STATUS_DONE);
}

static int help_config(const char *word)
{
	static const struct {
		const char *name;
		enum config_help form;
	} forms[] = {{"text", CONFIG_HELP_TEXT},
		     {"man", CONFIG_HELP_MAN},
		     {"sample", CONFIG_HELP_SAMPLE},
		     {"products", CONFIG_HELP_SAMPLE_PRODUCTS}};
	struct text out;

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (strcmp(word, forms[i].name) != 0)
			continue;
		text_init(&out, HELP_MAX);
		config_help_write(forms[i].form, &out);
		return print(&out);
	}
	return cli_usage(&command_help, "%s: is not text, man, sample or products", word);
}

static int help_completion(const char *shell)
{
	struct text out;

	text_init(&out, HELP_MAX);
	if (help_completion_write(shell, &out))
		return print(&out);
	text_release(&out);
	return cli_usage(&command_help, "%s: is not bash, zsh or fish", *shell ? shell : "completion");
}

static int help_all(void)
{
	printf("heed: a messaging gateway that honours the customer's choice of channel\n\n"
	       "usage: heed [--config FILE] COMMAND …\n\n");
	for (size_t i = 0; commands[i]; i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n`heed COMMAND --help` says more; so do `heed help config` and `heed help reasons`.\n"
	       "Without --config: HEED_CONFIG, config/heed.yaml, /etc/heed/heed.yaml.\n"
	       "Status: 0 done, 1 it could not be done, 2 the words or the configuration are wrong.\n");
	return cli_end(STATUS_DONE);
}

static int help_command(const struct command *command)
{
	struct text out;

	text_init(&out, HELP_MAX);
	help_command_write(command, &out);
	return print(&out);
}

static int help_man(void)
{
	struct text out;

	text_init(&out, HELP_MAX);
	help_man_write(&out);
	return print(&out);
}

struct help_given {
	bool json;
};

static int run_help(const char *config_file, int argc, char **argv)
{
	struct help_given given = {0};
	const char *words[2];
	size_t count;

	(void)config_file;
	if (!cli_parse(&command_help, argc, argv, &given, 0, 2, words, &count))
		return STATUS_USAGE;
	if (given.json && (!count || strcmp(words[0], "reasons") != 0))
		return cli_usage(&command_help, "--json: is for reasons");
	if (!count)
		return help_all();
	if (strcmp(words[0], "config") == 0)
		return help_config(count == 2 ? words[1] : "text");
	if (strcmp(words[0], "completion") == 0)
		return help_completion(count == 2 ? words[1] : "");
	if (count == 2)
		return cli_usage(&command_help, "%s: is one word too many", words[1]);
	if (strcmp(words[0], "reasons") == 0)
		return help_reasons(given.json);
	if (strcmp(words[0], "man") == 0)
		return help_man();
	const struct command *command = command_find(words[0]);
	if (!command)
		return cli_usage(&command_help, "%s: there is no help of this name", words[0]);
	return help_command(command);
}

static const struct command_word words_of_help[] = {
	{"COMMAND", NULL, "One command: what it does, its options, examples."},
	{"reasons", NULL, "Every code that says why a message went where it went."},
	{"config", "text|man|sample|products",
	 "Every key of the configuration; as text, as heed.yaml(5), or as files to begin with: heed.yaml, "
	 "products.yaml."},
	{"man", NULL, "heed(1)."},
	{"completion", "bash|zsh|fish", "For that shell: what completes heed's words there."},
	{0},
};

static const struct command_option options_of_help[] = {
	OPTION_FLAG(struct help_given, json, "--json", "With reasons: one JSON object a line."),
	{0},
};

const struct command command_help = {
	.name = "help",
	.usage = "help [COMMAND | reasons [--json] | config [text|man|sample|products] | man | completion "
		 "bash|zsh|fish]",
	.summary = "what there is",
	.help = "",
	.words = words_of_help,
	.options = options_of_help,
	.example = "heed help prefer\n"
		   "heed help config sample\n"
		   "heed help completion bash",
	.run = run_help,
};
