/* What somebody wrote, apart from what they quote. Mail programs put the mail that is answered below the
 * answer or between its lines, and announce it in the language of whoever answers. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mail_in_private.h"
#include "xalloc.h"
#include "banned.h"

#define ANNOUNCE_LINES 4 /* that "On … wrote:" may be broken into */
#define HEAD_LINES 6     /* in which Outlook's head of the old mail stands */

struct line {
	const char *s;
	size_t len; /* without blanks at its end */
};

static bool line_starts(const struct line *line, const char *word)
{
	return line->len >= strlen(word) && strncasecmp(line->s, word, strlen(word)) == 0;
}

static bool line_ends(const struct line *line, const char *word)
{
	size_t len = strlen(word);

	return line->len >= len && strncasecmp(line->s + line->len - len, word, len) == 0;
}

static bool any(const struct line *line, bool (*is)(const struct line *, const char *),
		const char *const words[])
{
	for (size_t i = 0; words[i]; i++)
		if (is(line, words[i]))
			return true;
	return false;
}

static bool is_quoted(const struct line *line)
{
	size_t blank = strspn(line->s, " \t");

	return blank < line->len && line->s[blank] == '>';
}

/* "On Monday … <ana@example.com> wrote:", over up to four lines. How many; 0: it is none. */
static size_t announces(const struct line *lines, size_t count)
{
	static const char *const begins[] = {"On ", "Am ", "El ",  "Le ",     "Em ",
					     "Il ", "Op ", "Den ", "W dniu ", NULL};
	static const char *const ends[] = {"wrote:",      "schrieb:",    "geschrieben:",
					   "escribió:",   "escribio:",   "escribió\xc2\xa0:",
					   "a écrit :",   "a écrit:",    "a écrit\xc2\xa0:",
					   "escreveu:",   "ha scritto:", "schreef:",
					   "napisał(a):", "skrev:",      NULL};
	bool begun = any(&lines[0], line_starts, begins), dated = false;

	for (size_t i = 0; i < count && i < ANNOUNCE_LINES; i++) {
		if (!lines[i].len || is_quoted(&lines[i]))
			return 0;
		for (size_t c = 0; c < lines[i].len; c++)
			dated = dated || isdigit((unsigned char)lines[i].s[c]) || lines[i].s[c] == '@';
		bool german = line_ends(&lines[i], ":") && memmem(lines[i].s, lines[i].len, "schrieb ", 8);
		if (german || any(&lines[i], line_ends, ends))
			return (begun || i == 0) && dated ? i + 1 : 0;
		if (!begun)
			return 0;
	}
	return 0;
}

/* "-----Original Message-----", and in the other languages. */
static bool is_divider(const struct line *line)
{
	static const char *const words[] = {"original message",
					    "ursprüngliche nachricht",
					    "originalnachricht",
					    "mensaje original",
					    "message d'origine",
					    "message original",
					    "weitergeleitete nachricht",
					    "forwarded message",
					    "mensaje reenviado",
					    "message transféré",
					    NULL};
	size_t dashes = 0;

	while (dashes < line->len && strchr("-_ *", line->s[dashes]))
		dashes++;
	if (dashes < 2)
		return false;
	const struct line rest = {line->s + dashes, line->len - dashes};
	return any(&rest, line_starts, words);
}

/* From, Sent, To, Subject, one below the other, as Outlook puts them above the old mail. */
static bool is_head(const struct line *lines, size_t count)
{
	static const char *const from[] = {
		"From:", "Von:", "De:", "De :", "Desde:", "*From:*", "*Von:*", "*De:*", NULL};
	static const char *const sent[] = {"Sent:",      "Date:",       "Gesendet:", "Datum:",
					   "Enviado:",   "Enviado el:", "Fecha:",    "Envoyé:",
					   "Envoyé :",   "Date :",      "*Sent:*",   "*Gesendet:*",
					   "*Enviado:*", "*Envoyé :*",  NULL};
	static const char *const others[] = {
		"To:",     "An:",    "Para:",   "À:",    "À :",   "Subject:", "Betreff:",
		"Asunto:", "Objet:", "Objet :", "*To:*", "*An:*", "*Para:*",  NULL};
	bool dated = false, more = false;

	if (!any(&lines[0], line_starts, from))
		return false;
	for (size_t i = 1; i < count && i < HEAD_LINES; i++) {
		dated = dated || any(&lines[i], line_starts, sent);
		more = more || any(&lines[i], line_starts, others);
	}
	return dated && more;
}

static bool is_ruler(const struct line *line)
{
	size_t n = 0;

	while (n < line->len && line->s[n] == '_')
		n++;
	return n >= 20 && n == line->len;
}

static bool is_signature(const struct line *line)
{
	static const char *const phones[] = {"Sent from my ",      "Von meinem ",
					     "Enviado desde mi ",  "Envoyé de mon ",
					     "Envoyé depuis mon ", "Get Outlook for ",
					     "Obtener Outlook ",   "Outlook für ",
					     "Gesendet mit der ",  NULL};

	return (line->len == 2 && memcmp(line->s, "--", 2) == 0) || any(line, line_starts, phones);
}

static size_t split_lines(const char *text, struct line **out)
{
	size_t count = 0, capacity = 64;
	struct line *lines = xreallocarray(NULL, capacity, sizeof *lines);

	for (const char *s = text; *s;) {
		size_t len = strcspn(s, "\n"), end = len;
		while (end && isspace((unsigned char)s[end - 1]))
			end--;
		if (count == capacity)
			lines = xreallocarray(lines, capacity *= 2, sizeof *lines);
		lines[count++] = (struct line){s, end};
		s += len + (s[len] == '\n');
	}
	*out = lines;
	return count;
}

static void put(struct text *to, const struct line *line)
{
	/* the first line is none of nothing, and there is one empty line at most */
	if (!line->len && (!to->len || (to->len > 1 && strcmp(to->data + to->len - 2, "\n\n") == 0)))
		return;
	text_add(to, line->s, line->len);
	text_putc(to, '\n');
}

static char *finish(struct text *t)
{
	while (t->len && isspace((unsigned char)t->data[t->len - 1]))
		t->data[--t->len] = '\0';
	return text_detach(t);
}

/* Is what the announcement announces marked with ">"? Then what stands behind it may be new again. */
static bool quote_is_marked(const struct line *lines, size_t count)
{
	size_t i = 0;

	while (i < count && !lines[i].len)
		i++;
	return i < count && is_quoted(&lines[i]);
}

void mail_split_reply(const char *text, char **said, char **quoted)
{
	struct text new_text, old;
	struct line *lines;
	size_t count = split_lines(text, &lines), i = 0;

	text_init(&new_text, MAIL_WORDS_MAX);
	text_init(&old, MAIL_WORDS_MAX);
	while (i < count) {
		const struct line *line = &lines[i];
		size_t announced = announces(line, count - i);
		bool ruled = is_ruler(line) && i + 1 < count && is_head(line + 1, count - i - 1);
		bool rest = is_divider(line) || is_signature(line) || ruled || is_head(line, count - i) ||
			    (announced && !quote_is_marked(line + announced, count - i - announced));
		if (rest) {
			while (i < count)
				put(&old, &lines[i++]);
		} else if (announced) {
			while (announced--)
				put(&old, &lines[i++]);
		} else {
			put(is_quoted(line) ? &old : &new_text, line);
			i++;
		}
	}
	free(lines);
	*said = finish(&new_text);
	*quoted = finish(&old);
}
