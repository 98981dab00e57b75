/* What commands print: lines, cells, contacts, progress. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "xalloc.h"
#include "banned.h"

static int output_failed; /* the errno of the first write that failed; 0 */

bool cli_line(const char *line)
{
	errno = 0;
	bool ok = fputs(line, stdout) >= 0 && fputc('\n', stdout) != EOF && fflush(stdout) == 0;

	if (!ok && !output_failed)
		output_failed = errno;
	return ok;
}

bool cli_json(const json_t *json)
{
	char *line = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	bool ok = cli_line(line ? line : "null");

	free(line);
	return ok;
}

int cli_end(int status)
{
	errno = 0;
	bool ok = fflush(stdout) == 0 && !ferror(stdout);
	int why = output_failed ? output_failed : errno;

	output_failed = 0;
	if (ok || why == EPIPE)
		return status;
	return cli_error("standard output: %s", why ? strerror(why) : "not all could be written");
}

size_t cli_clean(struct text *line, const char *s)
{
	size_t columns = 0;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s, next = (unsigned char)s[1];
		bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0; /* controls of two bytes */
		s += c1;
		text_putc(line, c < ' ' || c == 127 || c1 ? ' ' : (char)c);
		columns += (c & 0xc0) != 0x80; /* continuation bytes of UTF-8 take no room */
	}
	return columns;
}

void cli_cell(struct text *line, const char *s, size_t width)
{
	if (line->len)
		text_puts(line, "  ");
	for (size_t columns = cli_clean(line, s); columns < width; columns++)
		text_putc(line, ' ');
}

char *cli_words(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	if (!value || json_is_null(value))
		return xstrdup("");
	if (json_is_string(value))
		return xstrdup(json_string_value(value));
	char *words = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	return words ? words : xstrdup("");
}

void cli_on_their_way(const json_t *answer)
{
	const json_t *item;
	struct text line;
	size_t i;

	text_init(&line, CLI_LINE_MAX);
	json_array_foreach(json_object_get(answer, "on_their_way"), i, item)
	{
		char *channel = cli_words(item, "channel");
		const char *id =
			json_string_value(json_is_object(item) ? json_object_get(item, "message") : item);
		text_clear(&line);
		text_addf(&line, "on its way since before the change: %s%s%s", id ? id : "?",
			  *channel ? " on " : "", channel);
		cli_line(line.data);
		free(channel);
	}
	text_release(&line);
}

/* --- progress --- */

#define BAR_WIDTH 40

void cli_progress_start(struct cli_progress *progress, long long total)
{
	*progress = (struct cli_progress){.shown = isatty(STDERR_FILENO) == 1, .total = total, .percent = -1};
}

void cli_progress_show(struct cli_progress *progress, long long done, long long records)
{
	int percent = progress->total > 0 ? (int)(done * 100 / progress->total) : 0;

	if (!progress->shown || (progress->total > 0 && percent == progress->percent))
		return;
	progress->percent = percent = percent > 100 ? 100 : percent;
	if (progress->total > 0)
		fprintf(stderr, "\r[%.*s%*s] %3d %%  %lld", percent * BAR_WIDTH / 100,
			"########################################", BAR_WIDTH - percent * BAR_WIDTH / 100, "",
			percent, records);
	else
		fprintf(stderr, "\r%lld", records);
}

void cli_progress_end(struct cli_progress *progress)
{
	if (progress->shown && progress->percent >= 0)
		fputc('\n', stderr);
	progress->shown = false;
}
