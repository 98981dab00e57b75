/* The words of an HTML mail, as far as reading needs them: lines, quotations, no layout. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mail_in_private.h"
#include "xalloc.h"
#include "banned.h"

#define QUOTE_DEPTH_MAX 8

struct html {
	struct text out;
	int quotes;
	bool at_line; /* nothing is in this line yet */
};

static void new_line(struct html *h, bool always)
{
	if (!h->at_line || always)
		text_putc(&h->out, '\n');
	h->at_line = true;
}

static void add(struct html *h, const char *s, size_t len)
{
	for (int i = 0; h->at_line && i < h->quotes; i++)
		text_puts(&h->out, "> ");
	h->at_line = false;
	text_add(&h->out, s, len);
}

static void add_blank(struct html *h)
{
	if (!h->at_line && h->out.len && h->out.data[h->out.len - 1] != ' ')
		text_putc(&h->out, ' ');
}

/* &amp; and its like; how many bytes it takes, 0: it is none. */
static size_t add_entity(struct html *h, const char *s)
{
	static const struct {
		const char *name, *is;
	} names[] = {{"amp;", "&"},    {"lt;", "<"},     {"gt;", ">"},     {"quot;", "\""},  {"apos;", "'"},
		     {"nbsp;", " "},   {"eacute;", "é"}, {"egrave;", "è"}, {"agrave;", "à"}, {"aacute;", "á"},
		     {"iacute;", "í"}, {"oacute;", "ó"}, {"uacute;", "ú"}, {"ntilde;", "ñ"}, {"auml;", "ä"},
		     {"ouml;", "ö"},   {"uuml;", "ü"},   {"szlig;", "ß"},  {"ccedil;", "ç"}, {"euro;", "€"}};
	unsigned long point = 0;
	char utf8[4];
	size_t n = 0;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strncmp(s + 1, names[i].name, strlen(names[i].name)) == 0) {
			add(h, names[i].is, strlen(names[i].is));
			return 1 + strlen(names[i].name);
		}
	if (s[1] != '#')
		return 0;
	char *end;
	bool hex = s[2] == 'x' || s[2] == 'X';
	if (!isxdigit((unsigned char)s[hex ? 3 : 2]))
		return 0;
	point = strtoul(s + (hex ? 3 : 2), &end, hex ? 16 : 10);
	if (point < ' ' || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ||
	    (point >= 127 && point < 160))
		point = ' ';
	if (point < 0x80) {
		utf8[n++] = (char)point;
	} else if (point < 0x800) {
		utf8[n++] = (char)(0xc0 | point >> 6);
	} else if (point < 0x10000) {
		utf8[n++] = (char)(0xe0 | point >> 12);
		utf8[n++] = (char)(0x80 | (point >> 6 & 0x3f));
	} else {
		utf8[n++] = (char)(0xf0 | point >> 18);
		utf8[n++] = (char)(0x80 | (point >> 12 & 0x3f));
		utf8[n++] = (char)(0x80 | (point >> 6 & 0x3f));
	}
	if (point >= 0x80)
		utf8[n++] = (char)(0x80 | (point & 0x3f));
	add(h, utf8, n);
	return (size_t)(end - s) + (*end == ';');
}

static bool is_tag(const char *tag, const char *name)
{
	size_t len = strlen(name);

	return strncasecmp(tag, name, len) == 0 && !isalnum((unsigned char)tag[len]);
}

/* What a tag does to the lines. Returns the end tag up to which nothing is read; NULL. */
static const char *take_tag(struct html *h, const char *tag)
{
	static const char *const blocks[] = {"p",  "div", "tr", "li", "table", "h1",
					     "h2", "h3",  "ul", "ol", "hr",    "blockquote"};
	bool end = *tag == '/';
	const char *name = tag + end;

	if (is_tag(name, "br"))
		new_line(h, true);
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
		if (is_tag(name, blocks[i]))
			new_line(h, false);
	if (is_tag(name, "p") && end)
		new_line(h, true);
	if (is_tag(name, "td"))
		add_blank(h);
	if (is_tag(name, "blockquote"))
		h->quotes += end ? -(h->quotes > 0) : (h->quotes < QUOTE_DEPTH_MAX);
	if (!end && is_tag(name, "style"))
		return "</style";
	if (!end && is_tag(name, "script"))
		return "</script";
	return !end && is_tag(name, "title") ? "</title" : NULL;
}

char *mail_text_of_html(const char *html)
{
	struct html h = {.at_line = true};

	text_init(&h.out, MAIL_IN_TEXT_MAX);
	for (const char *s = html; *s && !h.out.full;) {
		if (strncmp(s, "<!--", 4) == 0) {
			const char *end = strstr(s, "-->");
			s = end ? end + 3 : s + strlen(s);
		} else if (*s == '<' && (isalpha((unsigned char)s[1]) || s[1] == '/' || s[1] == '!')) {
			const char *close = strchr(s, '>');
			const char *skip = take_tag(&h, s + 1);
			s = close ? close + 1 : s + strlen(s);
			if (skip) { /* one that does not end takes all that follows */
				const char *to = strcasestr(s, skip);
				s = to ? to : s + strlen(s);
			}
		} else if (isspace((unsigned char)*s)) {
			add_blank(&h);
			s++;
		} else {
			size_t took = *s == '&' ? add_entity(&h, s) : 0;
			if (!took) {
				took = strcspn(s + 1, "<& \t\r\n") + 1;
				add(&h, s, took);
			}
			s += took;
		}
	}
	return text_detach(&h.out);
}
