#include "mail_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "moment.h"
#include "utf8.h"
#include "xalloc.h"
#include "banned.h"

#define LINE_SOFT 78    /* RFC 5322: should not be longer */
#define LINE_QP 76      /* RFC 2045: must not be longer, the soft break's "=" included */
#define LINE_ENCODED 76 /* RFC 2047: a header line with encoded words */
#define ENCODED_WORD 75 /* RFC 2047: one encoded word */
#define BOUNDARY_SIZE 40
#define HEAD_USUAL 1024 /* bytes of what stands around the texts */

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* What a byte may be a part of; bytes are taken in runs of a class. */
enum {
	IN_ATOM = 1,   /* RFC 5322: atext */
	IN_DOMAIN = 2, /* with what an address literal has */
	IN_TEXT = 4,   /* any printable but = and the space */
	IN_SPACE = 8,
	IN_EQUALS = 16,
	IN_LINES = 32, /* tabs and ends of lines */
};
#define IN_WORD (IN_ATOM | IN_DOMAIN | IN_TEXT)

static const uint8_t classes[256] = {
	['\t'] = IN_LINES,
	['\n'] = IN_LINES,
	[' '] = IN_SPACE,
	['!'] = IN_ATOM | IN_TEXT,
	['"'] = IN_TEXT,
	['#' ... '\''] = IN_ATOM | IN_TEXT,
	['(' ... ')'] = IN_TEXT,
	['*' ... '+'] = IN_ATOM | IN_TEXT,
	[','] = IN_TEXT,
	['-'] = IN_WORD,
	['.'] = IN_DOMAIN | IN_TEXT,
	['/'] = IN_ATOM | IN_TEXT,
	['0' ... '9'] = IN_WORD,
	[':'] = IN_DOMAIN | IN_TEXT,
	[';' ... '<'] = IN_TEXT,
	['='] = IN_ATOM | IN_EQUALS,
	['>'] = IN_TEXT,
	['?'] = IN_ATOM | IN_TEXT,
	['@'] = IN_TEXT,
	['A' ... 'Z'] = IN_WORD,
	['['] = IN_DOMAIN | IN_TEXT,
	['\\'] = IN_TEXT,
	[']'] = IN_DOMAIN | IN_TEXT,
	['^'] = IN_ATOM | IN_TEXT,
	['_'] = IN_WORD,
	['`'] = IN_ATOM | IN_TEXT,
	['a' ... 'z'] = IN_WORD,
	['{' ... '~'] = IN_ATOM | IN_TEXT,
};

/* How many bytes from `s` on, at most `max`, are in these classes. */
static size_t run(const char *s, size_t max, unsigned in)
{
	size_t n = 0;

	while (n < max && classes[(unsigned char)s[n]] & in)
		n++;
	return n;
}

/* --- addresses --- */

enum mail_address_fault mail_address_check(const char *address)
{
	size_t len = strlen(address);
	const char *at = strrchr(address, '@');

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)address[i];
		if (c <= ' ' || c == 127 || c == '<' || c == '>')
			return MAIL_ADDRESS_MALFORMED;
	}
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)address[i] > 127)
			return MAIL_ADDRESS_NOT_ASCII;
	if (!at || at == address || !at[1] || (strchr(address, '@') != at && address[0] != '"'))
		return MAIL_ADDRESS_MALFORMED;
	size_t local = (size_t)(at - address), domain = len - local - 1;
	if (run(at + 1, domain, IN_DOMAIN) != domain)
		return MAIL_ADDRESS_MALFORMED;
	/* a local part is a dot-atom, or quoted */
	bool quoted = local >= 2 && address[0] == '"' && at[-1] == '"';
	for (size_t i = 0; !quoted && i < local; i++)
		if (address[i] != '.' && !run(address + i, 1, IN_ATOM))
			return MAIL_ADDRESS_MALFORMED;
	for (size_t i = 1; quoted && i + 1 < local; i++) {
		if (address[i] == '\\' && i + 2 < local)
			i++;
		else if (address[i] == '"' || address[i] == '\\')
			return MAIL_ADDRESS_MALFORMED;
	}
	return len > MAIL_ADDRESS_MAX ? MAIL_ADDRESS_LONG : MAIL_ADDRESS_OK;
}

/* A copy without the blanks around it, and without quotes and their escapes. */
static char *unquote(const char *s, size_t len)
{
	while (len && (*s == ' ' || *s == '\t')) {
		s++;
		len--;
	}
	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	char *out = xmemdup0(s, len);
	if (len < 2 || s[0] != '"' || s[len - 1] != '"')
		return out;
	size_t n = 0;
	for (size_t i = 1; i + 1 < len; i++) {
		if (s[i] == '\\' && i + 2 < len)
			i++;
		out[n++] = s[i];
	}
	out[n] = '\0';
	return out;
}

bool mailbox_parse(const char *value, struct mailbox *out, struct text *error)
{
	const char *open = strrchr(value, '<');
	const char *close = open ? strchr(open, '>') : NULL;

	*out = (struct mailbox){0};
	if (open && close && close[1 + strspn(close + 1, " \t")] == '\0') {
		out->name = unquote(value, (size_t)(open - value));
		out->address = xmemdup0(open + 1, (size_t)(close - open - 1));
	} else {
		out->name = xstrdup("");
		out->address = unquote(value, strlen(value));
	}
	for (const char *c = out->name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return text_error(error, "the name holds a line break or another control character; "
						 "leave it out");
	if (strlen(out->name) > MAIL_SUBJECT_MAX)
		return text_error(error, "the name is longer than %d bytes", MAIL_SUBJECT_MAX);
	switch (mail_address_check(out->address)) {
	case MAIL_ADDRESS_OK:
		return true;
	case MAIL_ADDRESS_NOT_ASCII:
		return text_error(error, "the address is not ASCII; write its domain as xn--… (punycode)");
	case MAIL_ADDRESS_LONG:
		return text_error(error, "the address is longer than %d bytes", MAIL_ADDRESS_MAX);
	default:
		return text_error(error, "not a mail address; right would be \"Example Bank "
					 "<messages@example.com>\"");
	}
}

void mailbox_release(struct mailbox *mailbox)
{
	free(mailbox->name);
	free(mailbox->address);
	*mailbox = (struct mailbox){0};
}

/* --- headers --- */

static void put_hex(char *to, char mark, char c)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char u = (unsigned char)c;

	to[0] = mark;
	to[1] = digits[u >> 4];
	to[2] = digits[u & 15];
}

static void add_hex(struct text *out, char mark, char c)
{
	char hex[3];

	put_hex(hex, mark, c);
	text_add(out, hex, sizeof hex);
}

/* One line of valid UTF-8: controls and runs of blanks become one space, none at the ends. */
static bool one_line(const char *s, struct text *out)
{
	size_t len = strlen(s);
	uint32_t point;

	text_init(out, MAIL_SUBJECT_MAX);
	for (size_t i = 0, n; i < len; i += n) {
		n = run(s + i, len - i, IN_TEXT | IN_EQUALS);
		if (n) {
			text_add(out, s + i, n);
			continue;
		}
		n = utf8_take(s + i, len - i, &point);
		if (point == ' ' || utf8_is_control(point)) {
			if (out->len && out->data[out->len - 1] != ' ')
				text_putc(out, ' ');
		} else if (point == UTF8_REPLACEMENT) {
			text_puts(out, UTF8_REPLACEMENT_TEXT);
		} else {
			text_add(out, s + i, n);
		}
	}
	if (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
	return !out->full;
}

/* May it stand in a header as it is: ASCII that no reader takes for an encoded word, with places to fold? */
static bool is_plain(const struct text *line)
{
	size_t word = 0;

	for (size_t i = 0; i < line->len; i++) {
		word = line->data[i] == ' ' ? 0 : word + 1;
		if ((unsigned char)line->data[i] > 126 || word > LINE_SOFT / 2)
			return false;
	}
	return strstr(line->data, "=?") == NULL;
}

/* Bytes that the character at `s` takes in an encoded word "Q" (RFC 2047, with what a phrase allows). */
static size_t q_size(const char *s, size_t n)
{
	return n == 1 && (*s == ' ' || strchr(LETTERS "!*+-/", *s)) ? 1 : 3 * n;
}

static void add_q(struct text *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (q_size(s + i, 1) > 1)
			add_hex(out, '=', s[i]);
		else
			text_putc(out, s[i] == ' ' ? '_' : s[i]);
	}
}

static size_t b_size(size_t len)
{
	return (len + 2) / 3 * 4;
}

/* How many bytes of `s`, whole characters, fit into `room` when they are encoded. */
static size_t encoded_fit(const char *s, size_t len, size_t room, bool as_b)
{
	size_t end = 0, q = 0;
	uint32_t point;

	while (end < len) {
		size_t n = utf8_take(s + end, len - end, &point);
		q += q_size(s + end, n);
		if ((as_b ? b_size(end + n) : q) > room)
			break;
		end += n;
	}
	return end;
}

/* `line` as encoded words (RFC 2047), a line each: Q, or B where that saves words. The header's line has
 * `column` bytes already; returns how many the last one has. */
static size_t add_encoded(struct text *out, const struct text *line, size_t column)
{
	size_t around = strlen("=?UTF-8?Q?") + strlen("?="), q = 0;

	for (size_t i = 0; i < line->len; i++)
		q += q_size(line->data + i, 1);
	bool as_b = q > LINE_ENCODED - column - around && b_size(line->len) < q;
	for (size_t i = 0, n; i < line->len; i += n) {
		if (i) {
			text_puts(out, "\r\n ");
			column = 1;
		}
		size_t left = LINE_ENCODED - column;
		n = encoded_fit(line->data + i, line->len - i,
				(left < ENCODED_WORD ? left : ENCODED_WORD) - around, as_b);
		size_t before = out->len;
		text_puts(out, as_b ? "=?UTF-8?B?" : "=?UTF-8?Q?");
		if (as_b) {
			char *b = base64_encode(line->data + i, n);
			text_puts(out, b);
			free(b);
		} else {
			add_q(out, line->data + i, n);
		}
		text_puts(out, "?=");
		column += out->len - before;
	}
	return column;
}

/* Words of at most half a line, folded at spaces. */
static size_t add_folded(struct text *out, const struct text *line, size_t column)
{
	for (size_t i = 0; i < line->len;) {
		size_t word = strcspn(line->data + i + 1, " ") + 1; /* with the space before it */
		if (i && column + word > LINE_SOFT) {
			text_puts(out, "\r\n");
			column = 0;
		}
		text_add(out, line->data + i, word);
		column += word;
		i += word;
	}
	return column;
}

static bool add_subject(struct text *out, const char *subject)
{
	struct text line;
	bool fits = one_line(subject, &line);
	size_t column = strlen("Subject: ");

	text_puts(out, "Subject: ");
	if (is_plain(&line))
		add_folded(out, &line, column);
	else
		add_encoded(out, &line, column);
	text_puts(out, "\r\n");
	text_release(&line);
	return fits;
}

/* NAME: display-name <address>. */
static bool add_mailbox(struct text *out, const char *header, const char *name, const char *address)
{
	struct text line;
	bool fits = one_line(name, &line);
	size_t column = strlen(header) + 2;

	text_puts(out, header);
	text_puts(out, ": ");
	if (!is_plain(&line)) {
		column = add_encoded(out, &line, column);
	} else if (run(line.data, line.len, IN_ATOM | IN_SPACE) == line.len) {
		column = add_folded(out, &line, column);
	} else {
		struct text quoted;
		text_init(&quoted, 2 * MAIL_SUBJECT_MAX + 2);
		text_putc(&quoted, '"');
		for (size_t i = 0; i < line.len; i++) {
			if (strchr("\"\\", line.data[i]))
				text_putc(&quoted, '\\');
			text_putc(&quoted, line.data[i]);
		}
		text_putc(&quoted, '"');
		column = add_folded(out, &quoted, column);
		text_release(&quoted);
	}
	if (line.len)
		text_puts(out, column + strlen(address) + 3 > LINE_SOFT ? "\r\n " : " ");
	text_puts(out, line.len ? "<" : "");
	text_puts(out, address);
	text_puts(out, line.len ? ">\r\n" : "\r\n");
	text_release(&line);
	return fits;
}

static void add_date(struct text *out, int64_t at)
{
	static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int64_t day = at / MOMENT_DAY - (at % MOMENT_DAY < 0), year;
	int64_t second = (at - day * MOMENT_DAY) / MOMENT_S;
	int month, mday;

	moment_civil(day, &year, &month, &mday);
	text_addf(out, "Date: %s, %d %s %04d %02d:%02d:%02d +0000\r\n", days[(day % 7 + 7) % 7], mday,
		  months[month - 1], (int)year, (int)(second / 3600), (int)(second / 60 % 60),
		  (int)(second % 60));
}

/* heed's id as the left side of a Message-ID: a dot-atom (RFC 5322), so that all else is written %XX. */
static void add_message_id(struct text *out, const char *id, const char *token, const char *from)
{
	text_puts(out, "Message-ID: <");
	for (size_t i = 0; id[i]; i++) {
		bool dot = id[i] == '.' && i && id[i - 1] != '.' && id[i + 1];
		if (dot || strchr(LETTERS "_-", id[i]))
			text_putc(out, id[i]);
		else
			add_hex(out, '%', id[i]);
	}
	if (token && *token)
		text_addf(out, ".%s", token);
	text_puts(out, strrchr(from, '@'));
	text_puts(out, ">\r\n");
}

/* A label of a List-Id (RFC 2919): what is not for a dot-atom becomes a -. */
static void add_label(struct text *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text_putc(out, strchr(LETTERS "-_", s[i]) ? s[i] : '-');
}

/* RFC 2369, RFC 8058 and RFC 2919. "card-alerts/fraud" is the list fraud.card-alerts of the sender's domain.
 */
static void add_list(struct text *out, const struct mail *mail)
{
	const char *url = mail->unsubscribe_url, *list = mail->list;

	if (!url || !*url || !list || !*list)
		return;
	size_t product = strcspn(list, "/");
	text_puts(out, "List-Id: <");
	if (list[product]) {
		add_label(out, list + product + 1, strlen(list + product + 1));
		text_putc(out, '.');
	}
	add_label(out, list, product);
	text_addf(out, ".%s>\r\n", strrchr(mail->from->address, '@') + 1);
	text_addf(out, "List-Unsubscribe: <%s>\r\n",
		  url); /* in one piece, however long: who looks for it may not unfold */
	text_puts(out, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
}

/* --- the body --- */

/* Valid UTF-8 whose lines end in \n, without controls but tabs. */
static void clean_body(const char *s, struct text *out)
{
	size_t len = strlen(s);
	uint32_t point;

	text_init(out, MAIL_SIZE_MAX);
	text_expect(out, len);
	for (size_t i = 0, n; i < len; i += n) {
		n = run(s + i, len - i, IN_TEXT | IN_SPACE | IN_EQUALS | IN_LINES);
		if (n) {
			text_add(out, s + i, n);
			continue;
		}
		n = utf8_take(s + i, len - i, &point);
		if (point == '\r') {
			n += s[i + 1] == '\n';
			text_putc(out, '\n');
		} else if (point == UTF8_REPLACEMENT) {
			text_puts(out, UTF8_REPLACEMENT_TEXT);
		} else if (!utf8_is_control(point) || point > 0x9f) {
			text_add(out, s + i, n);
		}
	}
}

/* May it go as it is: ASCII, lines that nobody on the way has a reason to change? */
static bool is_7bit(const struct text *body)
{
	const char *s = body->data, *end = s + body->len;

	while (s < end) {
		size_t left = (size_t)(end - s), max = left < LINE_SOFT + 1 ? left : LINE_SOFT + 1;
		const char *newline = memchr(s, '\n', max);
		size_t line = newline ? (size_t)(newline - s) : left;
		if (line > LINE_SOFT || strncmp(s, "From ", 5) == 0 || (line && strchr(" \t", s[line - 1])))
			return false;
		for (size_t i = 0; i < line; i++)
			if ((unsigned char)s[i] > 126)
				return false;
		s += line + (newline != NULL);
	}
	return true;
}

static void add_7bit(struct text *out, const struct text *body)
{
	for (size_t i = 0; i < body->len;) {
		size_t line = strcspn(body->data + i, "\n");
		text_add(out, body->data + i, line);
		i += line;
		if (i < body->len) {
			text_puts(out, "\r\n");
			i++;
		}
	}
}

/* Copies as much of the line as may go as it is; a blank at its end may not. */
static size_t copy_run(char *to, const char *s, size_t left, size_t room)
{
	size_t n = 0, max = left < room ? left : room;

	for (; n < max && classes[(unsigned char)s[n]] & (IN_TEXT | IN_SPACE); n++)
		to[n] = s[n];
	return n && s[n - 1] == ' ' && (n == left || s[n] == '\n') ? n - 1 : n;
}

/* Quoted-printable (RFC 2045 section 6.7), a line at a time; a character is never cut by a soft line break.
 */
static void add_quoted_printable(struct text *out, const struct text *body)
{
	char line[LINE_QP + 3];
	size_t column = 0;
	uint32_t point;

	for (size_t i = 0, n; i < body->len; i += n) {
		const char *s = body->data + i;
		/* a mailbox file would put > before it */
		bool from = !column && *s == 'F' && strncmp(s, "From ", 5) == 0;
		n = from || column >= LINE_QP - 1
			    ? 0
			    : copy_run(line + column, s, body->len - i, LINE_QP - 1 - column);
		if (n) {
			column += n;
			continue;
		}
		n = utf8_take(s, body->len - i, &point);
		bool last = s[n] == '\n' || i + n == body->len;
		bool blank = point == ' ' || point == '\t', ends = point == '\n';
		bool literal = blank ? !last : point > ' ' && point < 127 && point != '=' && !from;
		size_t need = literal ? 1 : 3 * n;
		if (!ends && column + need > LINE_QP - (last ? 0 : 1)) {
			line[column++] = '=';
			ends = true;
			n = 0; /* it comes on the next line */
		}
		if (ends) {
			line[column++] = '\r';
			line[column++] = '\n';
			text_add(out, line, column);
			column = 0;
			continue;
		}
		for (size_t k = 0; k < n; k++) {
			if (!literal)
				put_hex(line + column, '=', s[k]);
			else
				line[column] = s[k];
			column += literal ? 1 : 3;
		}
	}
	text_add(out, line, column);
}

static void add_part(struct text *out, const char *subtype, const struct text *body)
{
	bool plain = is_7bit(body);

	text_puts(out, "Content-Type: text/");
	text_puts(out, subtype);
	text_puts(out, "; charset=utf-8\r\nContent-Transfer-Encoding: ");
	text_puts(out, plain ? "7bit\r\n\r\n" : "quoted-printable\r\n\r\n");
	if (plain)
		add_7bit(out, body);
	else
		add_quoted_printable(out, body);
}

/* Of the message's id, so that it is the same each time; made anew until it stands in neither part. */
static void make_boundary(const char *id, const struct text *text, const struct text *html,
			  char boundary[BOUNDARY_SIZE])
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * UINT64_C(1099511628211);
	do {
		hash = (hash ^ 0xff) * UINT64_C(1099511628211);
		snprintf(boundary, BOUNDARY_SIZE, "=_%016llx", (unsigned long long)hash);
	} while (strstr(text->data, boundary) || strstr(html->data, boundary));
}

static void add_boundary(struct text *out, const char *before, const char *boundary, const char *behind)
{
	text_puts(out, before);
	text_puts(out, boundary);
	text_puts(out, behind);
}

static void add_body(struct text *out, const char *id, const struct text *text, const struct text *html)
{
	char boundary[BOUNDARY_SIZE];

	if (!text->len || !html->len) {
		add_part(out, text->len ? "plain" : "html", text->len ? text : html);
	} else {
		make_boundary(id, text, html, boundary);
		add_boundary(out, "Content-Type: multipart/alternative;\r\n boundary=\"", boundary,
			     "\"\r\n\r\n");
		add_boundary(out, "--", boundary, "\r\n");
		add_part(out, "plain", text);
		add_boundary(out, "\r\n--", boundary, "\r\n");
		add_part(out, "html", html);
		add_boundary(out, "\r\n--", boundary, "--\r\n");
	}
	if (out->len < 2 || memcmp(out->data + out->len - 2, "\r\n", 2) != 0)
		text_puts(out, "\r\n");
}

bool mail_text_build(const struct mail *mail, struct text *out, struct text *error)
{
	struct text text, html;
	bool ok = false;

	clean_body(mail->text, &text);
	clean_body(mail->html, &html);
	if (out->max > MAIL_SIZE_MAX)
		out->max = MAIL_SIZE_MAX;
	text_expect(out, HEAD_USUAL + text.len + text.len / 8 + html.len + html.len / 8);
	if (mail_address_check(mail->from->address) != MAIL_ADDRESS_OK) {
		text_error(error, "the sender's address can't be written");
	} else if (mail_address_check(mail->to_address) != MAIL_ADDRESS_OK) {
		text_error(error, "the recipient's address can't be written");
	} else if (!text.len && !html.len && !text.full && !html.full) {
		text_error(error, "neither text nor HTML: there is nothing to send");
	} else {
		add_date(out, mail->at);
		bool fits = add_mailbox(out, "From", mail->from->name, mail->from->address);
		fits = add_mailbox(out, "To", mail->to_name, mail->to_address) && fits;
		fits = add_subject(out, mail->subject) && fits;
		add_message_id(out, mail->message_id, mail->token, mail->from->address);
		add_list(out, mail);
		text_puts(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
		add_body(out, mail->message_id, &text, &html);
		if (!fits)
			text_error(error, "the subject or a name is longer than %d bytes", MAIL_SUBJECT_MAX);
		else if (text.full || html.full || out->full)
			text_error(error, "the mail is longer than %zu bytes", out->max);
		else
			ok = true;
	}
	text_release(&text);
	text_release(&html);
	return ok;
}

void mail_text_wire(const struct text *mail, struct text *out)
{
	size_t from = 0;

	for (size_t i = 0; i < mail->len; i++) {
		if (mail->data[i] != '.' || (i && mail->data[i - 1] != '\n'))
			continue;
		text_add(out, mail->data + from, i - from);
		text_putc(out, '.');
		from = i;
	}
	text_add(out, mail->data + from, mail->len - from);
	text_puts(out, ".\r\n");
}
