#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "suggest.h"
#include "url.h"
#include "xalloc.h"
#include "banned.h"

#define CLI_ERROR_MAX 8192
#define CLI_LIMIT_USUAL 100

/* --- words --- */

static void say(const char *format, va_list args)
{
	struct text line;

	text_init(&line, CLI_ERROR_MAX);
	text_vaddf(&line, format, args);
	for (size_t i = 0; i < line.len; i++)
		if ((unsigned char)line.data[i] < ' ' && line.data[i] != '\n')
			line.data[i] = ' ';
	fprintf(stderr, "heed: %s\n", line.data);
	text_release(&line);
}

int cli_usage(const struct command *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	fprintf(stderr, "usage: heed [--config FILE] %s\n`heed %s --help` says more.\n", command->usage,
		command->name);
	return STATUS_USAGE;
}

json_t *cli_moment(const char *word)
{
	char at[MOMENT_TEXT];
	int64_t duration;

	if (!duration_parse(word, &duration) || duration > INT64_MAX - moment_now())
		return json_string(word);
	moment_format(moment_now() + duration, at);
	return json_string(at);
}

int cli_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return STATUS_FAILED;
}

int cli_errors(const char *lines)
{
	while (*lines) {
		size_t len = strcspn(lines, "\n");
		if (len)
			cli_error("%.*s", (int)len, lines);
		lines += len;
		lines += *lines == '\n';
	}
	return STATUS_USAGE;
}

static const struct command_option *option_find(const struct command_option *options, const char *arg,
						size_t len)
{
	for (; options && options->name; options++)
		if (strlen(options->name) == len && memcmp(options->name, arg, len) == 0)
			return options;
	return NULL;
}

static void unknown_option(const struct command *command, const char *arg, size_t len)
{
	char *word = xmemdup0(arg, len);
	struct suggest suggest;

	suggest_init(&suggest, word);
	suggest_look(&suggest, "--config");
	for (const struct command_option *option = command->options; option && option->name; option++)
		suggest_look(&suggest, option->name);
	if (suggest.best)
		cli_usage(command, "%s: there is no such option; did you mean %s?", word, suggest.best);
	else
		cli_usage(command, "%s: there is no such option", word);
	free(word);
}

bool cli_is_choice(const char *value)
{
	return strchr(value, '|') && value[strspn(value, "abcdefghijklmnopqrstuvwxyz_|")] == '\0';
}

/* Is the word one of "a|b|c"? */
static bool choice_has(const char *choices, const char *word)
{
	size_t len = strlen(word);

	for (; *choices; choices += strcspn(choices, "|"), choices += *choices == '|')
		if (len && strcspn(choices, "|") == len && memcmp(choices, word, len) == 0)
			return true;
	return false;
}

/* "a|b|c" as "a, b or c" */
static void choices_words(const char *choices, struct text *out)
{
	for (; *choices; choices++)
		if (*choices == '|')
			text_puts(out, strchr(choices + 1, '|') ? ", " : " or ");
		else
			text_putc(out, *choices);
}

static bool choice_fits(const struct command *command, const struct command_option *option, const char *value)
{
	struct text choices;

	if (!cli_is_choice(option->value) || choice_has(option->value, value))
		return true;
	text_init(&choices, CLI_ERROR_MAX);
	choices_words(option->value, &choices);
	cli_usage(command, "%s: %s is not %s", option->name, *value ? value : "''", choices.data);
	text_release(&choices);
	return false;
}

static bool flag_take(const struct command *command, const struct command_option *option, bool *flag,
		      bool has_value)
{
	if (*flag)
		cli_usage(command, "%s: is there twice", option->name);
	else if (has_value)
		cli_usage(command, "%s: takes no value", option->name);
	else
		return *flag = true;
	return false;
}

/* Takes argv[*i], an option, and its value. */
static bool option_take(const struct command *command, int argc, char **argv, int *i, char *given)
{
	const char *arg = argv[*i];
	size_t len = strcspn(arg, "=");
	const struct command_option *option = option_find(command->options, arg, len);

	if (!option) {
		unknown_option(command, arg, len);
		return false;
	}
	void *where = given + option->where;
	if (!option->value)
		return flag_take(command, option, where, arg[len] != '\0');
	const char **value = where;
	if (*value) {
		cli_usage(command, "%s: is there twice", option->name);
		return false;
	}
	if (!arg[len] && *i + 1 == argc) {
		cli_usage(command, "%s: a value is wanted: %s", option->name, option->value);
		return false;
	}
	*value = arg[len] ? arg + len + 1 : argv[++*i];
	return choice_fits(command, option, *value);
}

bool cli_parse(const struct command *command, int argc, char **argv, void *given, size_t least, size_t most,
	       const char *words[], size_t *count)
{
	bool only_words = false;

	*count = 0;
	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			if (!option_take(command, argc, argv, &i, given))
				return false;
		} else if (*count == most) {
			cli_usage(command, "%s: is one word too many", argv[i]);
			return false;
		} else {
			words[(*count)++] = argv[i];
		}
	}
	if (*count < least)
		cli_usage(command, "%s: something is missing", command->name);
	return *count >= least;
}

bool cli_limit(const struct command *command, const char *word, long long least, long long *limit)
{
	char *end;

	*limit = CLI_LIMIT_USUAL;
	errno = 0;
	if (word)
		*limit = strtoll(word, &end, 10);
	if (word && (*end || *word < '0' || *word > '9' || errno)) {
		cli_usage(command, "--limit: '%s' is not a number", word);
		return false;
	}
	if (*limit < least) {
		cli_usage(command, "--limit: %s is not %lld or more", word, least);
		return false;
	}
	return true;
}

/* What to do about it, where there is something. */
static const char *next_step(int status, const char *detail)
{
	static const struct {
		int status;
		const char *starts, *step;
	} steps[] = {
		{404, "customer", "; `heed customer find ADDRESS` looks for one"},
		{404, "message",
		 "; `heed log` shows those that are known, `heed queue` what still waits in Redis, `heed "
		 "dead "
		 "list` what could not be taken"},
		{404, "product", "; the products file of the configuration names them"},
	};

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		if (status == steps[i].status &&
		    strncmp(detail, steps[i].starts, strlen(steps[i].starts)) == 0)
			return steps[i].step;
	return "";
}

int cli_problem(int status, const json_t *problem)
{
	const char *detail = json_string_value(json_object_get(problem, "detail"));

	if (detail)
		cli_error("%s%s", detail, next_step(status, detail));
	else
		cli_error("gateway: answered %d and said nothing more", status);
	return status == 400 ? STATUS_USAGE : STATUS_FAILED;
}

/* --- paths --- */

void cli_path(struct text *path, const char *pattern, const char *first, const char *second)
{
	for (; *pattern; pattern++) {
		if (*pattern == ':') {
			url_encode(first, path);
			first = second;
		} else {
			text_putc(path, *pattern);
		}
	}
}

void cli_query(struct text *path, const char *name, const char *value)
{
	if (!value)
		return;
	text_addf(path, "%c%s=", strchr(path->data, '?') ? '&' : '?', name);
	url_encode(value, path);
}

void cli_query_number(struct text *path, const char *name, long long number)
{
	char word[32];

	snprintf(word, sizeof word, "%lld", number);
	cli_query(path, name, word);
}
