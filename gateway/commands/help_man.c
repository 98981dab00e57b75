/* heed(1), from the table of commands. */
#include <string.h>

#include "help_private.h"
#include "mdoc.h"
#include "banned.h"

static const char head[] =
	".Dd November 23, 2026\n.Dt HEED 1\n.Os\n.Sh NAME\n.Nm heed\n"
	".Nd messaging gateway that honours the customer's choice of channel\n"
	".Sh SYNOPSIS\n.Nm heed\n.Op Fl \\-config Ar FILE\n.Ar COMMAND ...\n"
	".Nm heed\n.Ar COMMAND\n.Fl \\-help\n"
	".Sh DESCRIPTION\n"
	"Applications enqueue a message for a customer about a product, with one\n.Ql XADD\nto Redis.\n"
	".Nm\nlooks up what that customer chose for that product, sends it there, and records every "
	"contact.\n"
	".Pp\n"
	"Commands that ask or change something talk to the running gateway over its Unix socket.\n"
	"Where none runs they open the store themselves, if nobody else has it.\n"
	".Cm send\nand\n.Cm dead\nspeak with Redis, and need no gateway.\n"
	".Pp\n"
	"Options may stand anywhere among the words;\n.Ql \\-\\-\nends them.\n";

static const char tail[] =
	".Sh ENVIRONMENT\n.Bl -tag -width HEED_CONFIG\n"
	".It Ev HEED_CONFIG\nThe configuration, where\n.Fl \\-config\ndoes not name it.\n"
	".It Ev NO_COLOR\nIf it is set and not empty, states have no colours on a terminal.\n"
	".El\n"
	".Sh FILES\nThe first of these that is there is the configuration, unless it is named:\n"
	".Bl -tag -width Ds\n"
	".It Pa config/heed.yaml\nIn the current folder.\n"
	".It Pa /etc/heed/heed.yaml\nOf the system.\n"
	".El\n.Pp\nWhat comes with it:\n.Bl -tag -width Ds\n"
	".It Pa " HEED_PREFIX "/share/heed/config\nSamples to begin with.\n"
	".It Pa " HEED_PREFIX "/share/heed/providers\nFiles that describe providers.\n"
	".It Pa " HEED_PREFIX "/share/heed/templates\nTemplates to begin with.\n"
	".El\n"
	".Sh EXIT STATUS\n.Bl -tag -width Ds\n"
	".It 0\nDone.\n"
	".It 1\nIt could not be done.\n"
	".It 2\nThe words or the configuration are wrong.\n"
	".El\n.Pp\nErrors go to standard error as\n.Ql heed: what: why .\n"
	".Sh SEE ALSO\n.Xr heed.yaml 5\n";

/* A summary as a sentence. */
static void write_sentence(const char *s, struct text *out)
{
	struct text line;

	text_init(&line, HELP_MAX);
	text_addf(&line, "%c%s.", *s >= 'a' && *s <= 'z' ? *s - 'a' + 'A' : *s, s + 1);
	mdoc_text(out, line.data);
	text_release(&line);
}

static void write_paragraphs(const char *s, struct text *out)
{
	struct text line;

	text_init(&line, HELP_MAX);
	while (*s) {
		const char *end = strstr(s, "\n\n");
		size_t len = end ? (size_t)(end - s) : strlen(s);
		text_clear(&line);
		text_add(&line, s, len);
		text_puts(out, ".Pp\n");
		mdoc_text(out, line.data);
		s += len + (end ? 2 : 0);
	}
	text_release(&line);
}

static void write_item(const char *name, const char *value, const char *help, struct text *out)
{
	text_puts(out, help_is_literal(name) ? ".It Cm" : ".It Ar");
	mdoc_word(out, name);
	if (value) {
		text_puts(out, cli_is_choice(value) ? " Cm" : " Ar");
		mdoc_word(out, value);
	}
	text_puts(out, "\n");
	mdoc_text(out, help);
}

static void write_lists(const struct command *command, struct text *out)
{
	if (!command->words && !command->options)
		return;
	text_puts(out, ".Bl -tag -width Ds\n");
	for (const struct command_word *w = command->words; w && w->name; w++)
		write_item(w->name, w->value, w->help, out);
	for (const struct command_option *o = command->options; o && o->name; o++)
		write_item(o->name, o->value, o->help, out);
	text_puts(out, ".El\n");
}

static void write_example(const char *example, struct text *out)
{
	if (!*example)
		return;
	text_puts(out, ".Pp\nFor example:\n.Bd -literal -offset indent\n");
	while (*example) {
		struct text line;
		size_t len = strcspn(example, "\n");
		text_init(&line, HELP_MAX);
		text_add(&line, example, len);
		mdoc_line(out, line.data);
		text_release(&line);
		example += len + (example[len] == '\n');
	}
	text_puts(out, ".Ed\n");
}

static void write_command(const struct command *command, struct text *out)
{
	text_addf(out, ".Ss %s\n", command->name);
	write_sentence(command->summary, out);
	text_puts(out, ".Bd -ragged -offset indent\n.Nm heed\n");
	mdoc_line(out, command->usage);
	text_puts(out, ".Ed\n");
	write_paragraphs(command->help, out);
	write_lists(command, out);
	write_example(command->example, out);
}

void help_man_write(struct text *out)
{
	text_puts(out, head);
	text_puts(out, ".Sh COMMANDS\n");
	for (size_t i = 0; commands[i]; i++)
		write_command(commands[i], out);
	text_puts(out, tail);
}
