#include "mdoc.h"

#include <string.h>

#include "banned.h"

/* A backslash begins an escape; only \- is the minus that can be copied; '…' is not in every font. */
static const char *put(struct text *out, const char *s, bool quoted)
{
	if (*s == '\\')
		text_puts(out, "\\e");
	else if (*s == '-')
		text_puts(out, "\\-");
	else if (*s == '"' && quoted)
		text_puts(out, "\\(dq");
	else if (*s == '\'')
		text_puts(out, "\\(aq");
	else if (*s == '`')
		text_puts(out, "\\(ga");
	else if (strncmp(s, "…", strlen("…")) == 0) {
		text_puts(out, "...");
		return s + strlen("…");
	} else {
		text_putc(out, *s);
	}
	return s + 1;
}

/* Text up to `end`, on a line. */
static void write_line(struct text *out, const char *s, const char *end)
{
	if (*s == '.' || strncmp(s, "…", strlen("…")) == 0)
		text_puts(out, "\\&"); /* else it would be a request */
	while (s < end)
		s = put(out, s, false);
	text_puts(out, "\n");
}

void mdoc_line(struct text *out, const char *s)
{
	write_line(out, s, s + strlen(s));
}

void mdoc_text(struct text *out, const char *s)
{
	const char *end;

	for (; (end = strstr(s, ". ")); s = end + 2)
		write_line(out, s, end + 1);
	mdoc_line(out, s);
}

void mdoc_word(struct text *out, const char *s)
{
	text_puts(out, " \"");
	while (*s) {
		bool bar = *s == '|';
		s = put(out, s, true);
		if (bar)
			text_puts(out, "\\:");
	}
	text_puts(out, "\"");
}
