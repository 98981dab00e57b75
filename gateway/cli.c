#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "url.h"
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

static const struct cli_option *option_find(const struct cli_option *options, const char *arg, size_t len)
{
	for (; options->name; options++)
		if (strlen(options->name) == len && memcmp(options->name, arg, len) == 0)
			return options;
	return NULL;
}

/* Takes argv[*i], an option, and its value. */
static bool option_take(const struct command *command, int argc, char **argv, int *i,
			const struct cli_option *options)
{
	const char *arg = argv[*i];
	size_t len = strcspn(arg, "=");
	const struct cli_option *option = option_find(options, arg, len);

	if (!option) {
		cli_usage(command, "%.*s: there is no such option", (int)len, arg);
		return false;
	}
	if ((option->value && *option->value) || (option->flag && *option->flag)) {
		cli_usage(command, "%s: is there twice", option->name);
		return false;
	}
	if (option->flag) {
		if (arg[len])
			cli_usage(command, "%s: takes no value", option->name);
		*option->flag = true;
		return !arg[len];
	}
	if (!arg[len] && *i + 1 == argc) {
		cli_usage(command, "%s: a value is wanted", option->name);
		return false;
	}
	if (option->value)
		*option->value = arg[len] ? arg + len + 1 : argv[++*i];
	return option->value != NULL;
}

bool cli_parse(const struct command *command, int argc, char **argv, const struct cli_option options[],
	       size_t least, size_t most, const char *words[], size_t *count)
{
	bool only_words = false;

	*count = 0;
	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			if (!option_take(command, argc, argv, &i, options))
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

bool cli_limit(const struct command *command, const char *word, long long *limit)
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
	return true;
}

int cli_problem(int status, const json_t *problem)
{
	const char *detail = json_string_value(json_object_get(problem, "detail"));

	if (detail)
		cli_error("%s", detail);
	else
		cli_error("the gateway answered %d and said nothing more", status);
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
