/* Contacts as a table: whole into a pipe; on a terminal as wide as that, so that each is one line. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "xalloc.h"
#include "banned.h"

#define WHY_SHARE 4 /* WHY has this part of the width before other columns grow */
#define GAP 2       /* columns between two cells */

static const struct column {
	const char *key, *heading;
	size_t plain;       /* columns in a pipe */
	size_t least, most; /* on a terminal */
	size_t from;        /* the narrowest terminal that shows it */
} columns[] = {
	{"at", "TIME (UTC)", 24, 14, 14, 0},      {"state", "STATE", 11, 11, 11, 0},
	{"channel", "CHANNEL", 8, 7, 8, 0},       {"customer", "CUSTOMER", 14, 8, 16, 0},
	{"product", "PRODUCT", 18, 11, 20, 70},   {"address", "ADDRESS", 22, 12, 20, 130},
	{"messages", "MESSAGE", 16, 12, 30, 100},
};
#define COLUMNS (sizeof columns / sizeof columns[0])

/* --- the terminal --- */

struct cli_screen cli_screen(void)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size = {0};
	struct cli_screen screen = {0};

	if (isatty(STDOUT_FILENO) != 1)
		return screen;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		screen.width = size.ws_col;
	if (screen.width && screen.width < CLI_WIDTH_LEAST)
		screen.width = CLI_WIDTH_LEAST;
	screen.colours = (!no_colour || !*no_colour) && term && *term && strcmp(term, "dumb") != 0;
	return screen;
}

/* The number of its colour (ECMA-48, SGR); "": none. */
static const char *state_colour(const char *state)
{
	static const struct {
		const char *colour, *states;
	} colours[] = {
		{"32", " sent delivered "},
		{"36", " queued sending "},
		{"33", " deferred retry "},
		{"35", " in_doubt "},
		{"31", " failed rejected dead "},
		{"90", " suppressed held_out expired cancelled called_back "},
	};
	struct text word;
	const char *found = "";

	text_init(&word, CLI_LINE_MAX);
	text_addf(&word, " %s ", state);
	for (size_t i = 0; i < sizeof colours / sizeof colours[0]; i++)
		if (strstr(colours[i].states, word.data))
			found = colours[i].colour;
	text_release(&word);
	return found;
}

void cli_state(struct text *line, const char *state, size_t width, const struct cli_screen *screen)
{
	const char *colour = screen->colours ? state_colour(state) : "";

	if (*colour)
		text_addf(line, "\033[%sm", colour);
	size_t taken = cli_clean(line, state);
	if (*colour)
		text_puts(line, "\033[0m");
	for (; taken < width; taken++)
		text_putc(line, ' ');
}

/* --- cells --- */

static bool begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

/* The first or last `width` columns of clean text, with … in the place of the rest. */
static void cut(struct text *line, const struct text *clean, size_t taken, size_t width, bool keep_end)
{
	size_t skip = keep_end ? taken - width + 1 : 0, column = 0;

	if (keep_end)
		text_puts(line, "…");
	for (size_t i = 0; i < clean->len; i++) {
		column += begins_character(clean->data[i]);
		if (column > skip && (keep_end || column < width))
			text_putc(line, clean->data[i]);
	}
	if (!keep_end)
		text_puts(line, "…");
}

/* `s`, clean and exactly `width` columns wide; the last cell of a line (`pad` false) may be shorter. */
static void put_cell(struct text *line, const char *s, size_t width, bool keep_end, bool pad)
{
	struct text clean;

	text_init(&clean, CLI_LINE_MAX);
	size_t taken = cli_clean(&clean, s);
	if (taken > width) {
		cut(line, &clean, taken, width, keep_end);
		taken = width;
	} else {
		text_add(line, clean.data, clean.len);
	}
	for (; pad && taken < width; taken++)
		text_putc(line, ' ');
	text_release(&clean);
}

void cli_fit(struct text *line, const struct cli_screen *screen)
{
	char *all = text_detach(line);

	text_init(line, CLI_LINE_MAX);
	if (screen->width)
		put_cell(line, all, screen->width, false, false);
	else
		text_puts(line, all);
	free(all);
}

/* --- lines --- */

/* How wide each column is, 0 where it is not shown; and what is left for WHY. */
static size_t lay_out(const struct cli_screen *screen, size_t widths[])
{
	size_t used = 0;

	for (size_t i = 0; i < COLUMNS; i++) {
		bool shown = !screen->width || screen->width >= columns[i].from;
		widths[i] = !shown ? 0 : screen->width ? columns[i].least : columns[i].plain;
		used += shown ? widths[i] + GAP : 0;
	}
	for (size_t i = 0; i < COLUMNS; i++)
		while (widths[i] && widths[i] < columns[i].most &&
		       used + screen->width / WHY_SHARE < screen->width) {
			widths[i]++;
			used++;
		}
	return screen->width > used ? screen->width - used : 0; /* never 0 from CLI_WIDTH_LEAST on */
}

void cli_contact_heading(void)
{
	const struct cli_screen screen = cli_screen();
	size_t widths[COLUMNS];
	struct text line;

	text_init(&line, CLI_LINE_MAX);
	lay_out(&screen, widths);
	for (size_t i = 0; i < COLUMNS; i++)
		if (widths[i])
			cli_cell(&line, columns[i].heading, widths[i]);
	cli_cell(&line, "WHY", 0);
	cli_line(line.data);
	text_release(&line);
}

/* ["m-1","m-2"] as m-1,m-2 */
static char *message_words(const json_t *contact)
{
	struct text words;
	const json_t *message;
	size_t i;

	text_init(&words, CLI_LINE_MAX);
	json_array_foreach(json_object_get(contact, "messages"), i, message)
		text_addf(&words, "%s%s", i ? "," : "", json_string_value(message));
	return text_detach(&words);
}

/* "2026-11-22T10:00:00.123Z" as "11-22 10:00:00" */
static void put_short_moment(struct text *line, const char *at)
{
	if (strlen(at) < sizeof "2026-11-22T10:00:00" - 1) {
		put_cell(line, at, columns[0].least, false, true);
		return;
	}
	text_add(line, at + sizeof "2026-" - 1, sizeof "11-22" - 1);
	text_putc(line, ' ');
	text_add(line, at + sizeof "2026-11-22T" - 1, sizeof "10:00:00" - 1);
}

static void put_column(struct text *line, const struct column *column, size_t width, const json_t *contact,
		       const struct cli_screen *screen)
{
	bool messages = strcmp(column->key, "messages") == 0;
	char *words = messages ? message_words(contact) : cli_words(contact, column->key);
	const char *shown = *words ? words : "-";

	if (strcmp(column->key, "state") == 0)
		cli_state(line, shown, width, screen);
	else if (!screen->width)
		for (size_t taken = cli_clean(line, shown); taken < width; taken++)
			text_putc(line, ' ');
	else if (strcmp(column->key, "at") == 0)
		put_short_moment(line, shown);
	else
		put_cell(line, shown, width, messages, true); /* what tells ids apart is at their ends */
	free(words);
}

/* What was said comes first, where it is no attempt of ours. */
static char *why_recorded(const json_t *contact)
{
	char *says = cli_words(json_object_get(contact, "reason"), "says");
	char *summary = cli_words(contact, "summary");
	char *why = xasprintf("%s%s%s%s", *summary ? "“" : "", summary, *summary ? "”  " : "", says);

	free(says);
	free(summary);
	return why;
}

/* The reason, and what the other side said: of trouble on a terminal first, so that the other is cut. */
static char *why_attempt(const json_t *contact, size_t width)
{
	char *says = cli_words(json_object_get(contact, "reason"), "says");
	char *detail = cli_words(contact, "detail");
	char *state = cli_words(contact, "state");
	bool fine = strcmp(state, "sent") == 0 || strcmp(state, "delivered") == 0;
	const char *first = width && *detail && !fine ? detail : says,
		   *second = first == says ? detail : says;
	char *why = xasprintf("%s%s%s", *first ? first : "-", *second ? "  " : "", second);

	free(state);
	free(says);
	free(detail);
	return why;
}

static void put_why(struct text *line, const json_t *contact, size_t width)
{
	char *why = json_object_get(contact, "kind") ? why_recorded(contact) : why_attempt(contact, width);

	if (width)
		put_cell(line, why, width, false, false);
	else
		cli_clean(line, why);
	free(why);
}

static void write_contact(const json_t *contact, const struct cli_screen *screen, struct text *line)
{
	size_t widths[COLUMNS];
	size_t left = lay_out(screen, widths);

	for (size_t i = 0; i < COLUMNS; i++) {
		if (!widths[i])
			continue;
		put_column(line, &columns[i], widths[i], contact, screen);
		text_puts(line, "  ");
	}
	put_why(line, contact, left);
}

char *cli_contact_words(const json_t *contact, bool json)
{
	const struct cli_screen screen = cli_screen();
	struct text line;

	if (json)
		return json_dumps(contact, JSON_COMPACT);
	text_init(&line, CLI_LINE_MAX);
	write_contact(contact, &screen, &line);
	return text_detach(&line);
}
