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

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define ATEXT LETTERS "!#$%&'*+-/=?^_`{|}~"

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
	if (strspn(at + 1, LETTERS ".-_:[]") != strlen(at + 1))
		return MAIL_ADDRESS_MALFORMED;
	/* a local part is a dot-atom, or quoted */
	size_t local = (size_t)(at - address);
	bool quoted = local >= 2 && address[0] == '"' && at[-1] == '"';
	if (!quoted && strspn(address, ATEXT ".") != local)
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

static void add_hex(struct text *out, char mark, char c)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char u = (unsigned char)c;

	text_add(out, (char[]){mark, digits[u >> 4], digits[u & 15]}, 3);
}

/* One line of valid UTF-8: controls and runs of blanks become one space, none at the ends. */
static bool one_line(const char *s, struct text *out)
{
	size_t len = strlen(s);
	uint32_t point;

	text_init(out, MAIL_SUBJECT_MAX);
	for (size_t i = 0, n; i < len; i += n) {
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

	text_addf(out, "%s: ", header);
	if (!is_plain(&line)) {
		column = add_encoded(out, &line, column);
	} else if (strspn(line.data, ATEXT " ") == line.len) {
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
	text_addf(out, line.len ? "<%s>\r\n" : "%s\r\n", address);
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
static void add_message_id(struct text *out, const char *id, const char *from)
{
	text_puts(out, "Message-ID: <");
	for (size_t i = 0; id[i]; i++) {
		bool dot = id[i] == '.' && i && id[i - 1] != '.' && id[i + 1];
		if (dot || strchr(LETTERS "_-", id[i]))
			text_putc(out, id[i]);
		else
			add_hex(out, '%', id[i]);
	}
	text_addf(out, "@%s>\r\n", strrchr(from, '@') + 1);
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

/* How many bytes from `s` on, at most `max`, are printable ASCII; spaces count if `spaces`, `but` never. */
static size_t printable(const char *s, size_t max, bool spaces, char but)
{
	size_t n = 0;

	while (n < max && (s[n] > ' ' || (spaces && s[n] == ' ')) && s[n] < 127 && s[n] != but)
		n++;
	return n;
}

/* Valid UTF-8 whose lines end in \n, without controls but tabs. */
static void clean_body(const char *s, struct text *out)
{
	size_t len = strlen(s);
	uint32_t point;

	text_init(out, MAIL_SIZE_MAX);
	for (size_t i = 0, n; i < len; i += n) {
		n = printable(s + i, len - i, true, '\0');
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
		} else if (point == '\n' || point == '\t' || !utf8_is_control(point) || point > 0x9f) {
			text_add(out, s + i, n);
		}
	}
}

/* May it go as it is: ASCII, lines that nobody on the way has a reason to change? */
static bool is_7bit(const struct text *body)
{
	size_t column = 0;

	for (size_t i = 0; i < body->len; i++) {
		char c = body->data[i];
		if ((unsigned char)c > 126)
			return false;
		bool blank_end = c == '\n' && i && strchr(" \t", body->data[i - 1]);
		if (blank_end || (!column && strncmp(body->data + i, "From ", 5) == 0))
			return false;
		column = c == '\n' ? 0 : column + 1;
		if (column > LINE_SOFT)
			return false;
	}
	return !body->len || !strchr(" \t", body->data[body->len - 1]);
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

/* Quoted-printable (RFC 2045 section 6.7); a character is never cut by a soft line break. */
static void add_quoted_printable(struct text *out, const struct text *body)
{
	size_t column = 0;
	uint32_t point;

	for (size_t i = 0, n; i < body->len; i += n) {
		const char *s = body->data + i;
		bool from = !column && strncmp(s, "From ", 5) == 0; /* a mailbox file would put > before it */
		n = from ? 0 : printable(s, column < LINE_QP - 1 ? LINE_QP - 1 - column : 0, false, '=');
		if (n) {
			text_add(out, s, n);
			column += n;
			continue;
		}
		n = utf8_take(s, body->len - i, &point);
		if (point == '\n') {
			text_puts(out, "\r\n");
			column = 0;
			continue;
		}
		bool last = s[n] == '\n' || i + n == body->len;
		bool blank = point == ' ' || point == '\t';
		bool literal = blank ? !last : point > ' ' && point < 127 && point != '=' && !from;
		size_t need = literal ? 1 : 3 * n;
		if (column + need > LINE_QP - (last ? 0 : 1)) {
			text_puts(out, "=\r\n");
			column = 0;
		}
		for (size_t k = 0; k < n; k++) {
			if (literal)
				text_putc(out, s[k]);
			else
				add_hex(out, '=', s[k]);
		}
		column += need;
	}
}

static void add_part(struct text *out, const char *subtype, const struct text *body)
{
	bool plain = is_7bit(body);

	text_addf(out, "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
		  subtype, plain ? "7bit" : "quoted-printable");
	if (plain)
		add_7bit(out, body);
	else
		add_quoted_printable(out, body);
}

/* Of the mail's own words, so that it is the same each time; made anew until it stands in neither part. */
static void make_boundary(const struct text *text, const struct text *html, char boundary[BOUNDARY_SIZE])
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	for (int part = 0; part < 2; part++) {
		const struct text *body = part ? html : text;
		for (size_t i = 0; i < body->len; i++)
			hash = (hash ^ (unsigned char)body->data[i]) * UINT64_C(1099511628211);
	}
	do {
		hash = (hash ^ 0xff) * UINT64_C(1099511628211);
		snprintf(boundary, BOUNDARY_SIZE, "=_%016llx", (unsigned long long)hash);
	} while (strstr(text->data, boundary) || strstr(html->data, boundary));
}

static void add_body(struct text *out, const struct text *text, const struct text *html)
{
	char boundary[BOUNDARY_SIZE];

	if (!text->len || !html->len) {
		add_part(out, text->len ? "plain" : "html", text->len ? text : html);
	} else {
		make_boundary(text, html, boundary);
		text_addf(out, "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n", boundary);
		text_addf(out, "--%s\r\n", boundary);
		add_part(out, "plain", text);
		text_addf(out, "\r\n--%s\r\n", boundary);
		add_part(out, "html", html);
		text_addf(out, "\r\n--%s--\r\n", boundary);
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
		add_message_id(out, mail->message_id, mail->from->address);
		add_list(out, mail);
		text_puts(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
		add_body(out, &text, &html);
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
