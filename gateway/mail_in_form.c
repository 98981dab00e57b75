/* Bounces that are no reports. Every mail server had its own form before RFC 3464, and many still have; what
 * they share is read here: the addresses that stand at the beginning of a line or in X-Failed-Recipients, the
 * words behind each, and the mail that comes back below. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mail_in_private.h"
#include "xalloc.h"
#include "banned.h"

/* --- addresses --- */

#define ADDRESS_LEAST 3

static bool is_local(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-/=?^_`{|}~.", c)) ||
	       (unsigned char)c > 127;
}

static bool is_domain(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '-' || (unsigned char)c > 127;
}

const char *mail_next_address(const char *s, size_t *len)
{
	for (const char *at = strchr(s, '@'); at; at = strchr(at + 1, '@')) {
		const char *from = at, *to = at + 1;
		if (at > s && at[-1] == '"') { /* "a local part"@example.com */
			for (from = at - 1; from > s && from[-1] != '"' && from[-1] != '\n'; from--)
				;
			from -= from > s && from[-1] == '"';
		} else {
			while (from > s && is_local(from[-1]))
				from--;
			while (from < at && strchr(".'/=`", *from))
				from++;
		}
		while (is_domain(*to))
			to++;
		while (to > at + 1 && strchr(".-", to[-1]))
			to--;
		if (from < at && to - at >= ADDRESS_LEAST) {
			*len = (size_t)(to - from);
			return from;
		}
	}
	return NULL;
}

bool mail_same_address(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

bool mail_mentions(const char *header, const char *address, size_t len)
{
	size_t found_len;

	for (const char *s = header; (s = mail_next_address(s, &found_len)); s += found_len)
		if (mail_same_address(s, found_len, address, len))
			return true;
	return false;
}

bool mail_is_server(const char *address, size_t len)
{
	static const char *const names[] = {
		"mailer-daemon", "postmaster",   "mailerdaemon", "mail-daemon",  "mailer_daemon",
		"post_master",   "mailer-demon", "mdaemon",      "maildaemon",   "microsoftexchange",
		"double-bounce", "bounce@",      "bounces@",     "mail.delivery"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (len >= strlen(names[i]) && strncasecmp(address, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* --- what came back --- */

static bool line_has(const char *line, size_t len, const char *word)
{
	size_t word_len = strlen(word);

	for (size_t i = 0; i + word_len <= len; i++)
		if (strncasecmp(line + i, word, word_len) == 0)
			return true;
	return false;
}

/* "------ This is a copy of the message ------" */
static bool is_marker(const char *line, size_t len)
{
	static const char *const words[] = {"copy of",          "original message", "returned message",
					    "unsent message",   "below this line",  "message header",
					    "headers of",       "original mail",    "message follows",
					    "returned mail",    "message text",     "undelivered message",
					    "rejected message", "included message", "failed message"};
	size_t dashes = strspn(line, " \t"), last = len;

	while (dashes < len && strchr("-=*_", line[dashes]))
		dashes++;
	while (last && isspace((unsigned char)line[last - 1]))
		last--;
	if (len > 20 && strncasecmp(line, "message headers follow", 22) == 0)
		return true;
	bool framed = dashes - strspn(line, " \t") >= 2;
	bool ends = last && line[last - 1] == ':';
	for (size_t i = 0; (framed || ends) && i < sizeof words / sizeof words[0]; i++)
		if (line_has(line, len, words[i]))
			return true;
	return false;
}

/* A line as only the head of a mail has it. */
static bool is_field(const char *line, size_t len)
{
	static const char *const names[] = {
		"received:",     "return-path:",   "message-id:",     "from:",
		"to:",           "subject:",       "date:",           "mime-version:",
		"x-mailer:",     "reply-to:",      "content-type:",   "sender:",
		"delivered-to:", "x-original-to:", "dkim-signature:", "x-received:"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (len >= strlen(names[i]) && strncasecmp(line, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Three of them within a few lines, one of them a server's. */
static bool begins_head(const char *line)
{
	int fields = 0, servers = 0;

	for (int i = 0; i < 30 && *line && fields < 3; i++) {
		size_t len = strcspn(line, "\n");
		if (!len)
			return false;
		if (is_field(line, len)) {
			fields++;
			servers += strncasecmp(line, "received:", 9) == 0 ||
				   strncasecmp(line, "return-path:", 12) == 0 ||
				   strncasecmp(line, "message-id:", 11) == 0;
		} else if (!i) {
			return false;
		}
		line += len + (line[len] == '\n');
	}
	return fields == 3 && servers > 0;
}

size_t mail_find_original(const char *text)
{
	const char *line = text;

	while (*line) {
		size_t len = strcspn(line, "\n");
		if (line > text && (is_marker(line, len) || begins_head(line)))
			return (size_t)(line - text);
		line += len + (line[len] == '\n');
	}
	return (size_t)(line - text);
}

/* --- where a token may be --- */

static void reference_add(struct mail_verdict *out, const char *s, size_t len)
{
	if (!len || out->reference_count == MAIL_REFERENCES)
		return;
	for (size_t i = 0; i < out->reference_count; i++)
		if (mail_same_address(out->references[i], strlen(out->references[i]), s, len))
			return;
	out->references[out->reference_count++] = xmemdup0(s, len);
}

static void reference_words(struct mail_verdict *out, const char *s)
{
	size_t len;

	for (; (s = mail_next_address(s, &len)); s += len)
		reference_add(out, s, len);
}

static void reference_headers(const struct mail_headers *headers, const char *const names[],
			      struct mail_verdict *out)
{
	for (size_t n = 0; names[n]; n++)
		for (size_t i = 0; i < headers->count; i++)
			if (strcmp(headers->list[i].name, names[n]) == 0)
				reference_words(out, headers->list[i].value);
}

/* Lines of a text: "Message-ID: <…>", "Return-Path: <…>", whatever stands before them. */
static void reference_lines(const char *text, struct mail_verdict *out)
{
	static const char *const names[] = {
		"message-id",  "return-path",        "x-envelope-from",       "original-envelope-id",
		"in-reply-to", "original-mail-from", "x-original-message-id", "envelope-from"};

	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
			if (!line_has(line, len < 200 ? len : 200, names[i]))
				continue;
			/* folded behind the colon: the next line belongs to it */
			size_t more = line[len] == '\n' && strchr(" \t", line[len + 1]) && line[len + 1]
					      ? 1 + strcspn(line + len + 1, "\n")
					      : 0;
			char *value = xmemdup0(line, len + more);
			reference_words(out, value);
			free(value);
			break;
		}
		line += len + (line[len] == '\n');
	}
}

void mail_references(const struct mail_view *view, struct mail_verdict *out)
{
	static const char *const of_original[] = {
		"message-id", "return-path", "x-envelope-from", "x-original-message-id", "errors-to", NULL};
	static const char *const of_mail[] = {"in-reply-to",
					      "x-original-to",
					      "delivered-to",
					      "envelope-to",
					      "x-envelope-to",
					      "x-original-message-id",
					      "to",
					      "cc",
					      "references",
					      NULL};
	const struct mail_parsed *mail = view->mail;

	for (size_t i = 0; i < mail->count; i++)
		if (mail->parts[i].inside == 0)
			reference_headers(&mail->parts[i].headers, of_original, out);
	reference_headers(&mail->headers, of_mail, out);
	for (size_t i = 0; i < mail->count; i++)
		if (mail->parts[i].inside == 0)
			reference_lines(mail->parts[i].text, out);
}

/* --- recipients and what is said of each --- */

/* Is it the sender's own, a server's, or the like? Then nothing failed there. */
static bool is_bystander(const struct mail_view *view, const char *address, size_t len)
{
	return mail_is_server(address, len) || mail_mentions(view->to, address, len) ||
	       mail_mentions(mail_header(&view->mail->headers, "from"), address, len);
}

/* An address that a line begins with; where there are only spaces, "<" and its like before it. */
static const char *line_recipient(const char *line, size_t len, size_t *address_len)
{
	const char *s = line + strspn(line, " \t<>*-'\"([");
	const char *address = mail_next_address(s, address_len);

	if (!address || address + *address_len > line + len || address != s)
		return NULL;
	const char *behind = address + *address_len;
	return behind >= line + len || strchr(" \t>:;,.)('\"]", *behind) ? address : NULL;
}

char *mail_paragraph_of(const char *text, const char *recipient)
{
	const char *at = *recipient ? strcasestr(text, recipient) : NULL;
	size_t len = 0, address_len;

	if (!at)
		return xstrdup("");
	at += strlen(recipient);
	at += strspn(at, "> :,\t");
	while (at[len] && strncmp(at + len, "\n\n", 2) != 0) {
		bool next = at[len] == '\n' &&
			    line_recipient(at + len + 1, strcspn(at + len + 1, "\n"), &address_len);
		if (next)
			break;
		len++;
	}
	return xmemdup0(at, len);
}

static enum mail_action action_of_all(const struct mail_view *view)
{
	static const char *const delayed[] = {"delayed",
					      "has not yet been delivered",
					      "not yet been delivered",
					      "could not send message for past",
					      "warning message only",
					      "will be retried",
					      "will continue to",
					      "will keep trying",
					      "still being retried",
					      "still undelivered",
					      "do not need to resend",
					      "no action is required on your part",
					      "(delay)",
					      NULL};
	static const char *const given_up[] = {"permanent",  "has been returned",  "given up",  "giving up",
					       "has failed", "failed permanently", "(failure)", NULL};

	return mail_words_have(view->subject, delayed) || (mail_words_have(view->words, delayed) &&
							   !mail_words_have(view->words, given_up))
		       ? ACTION_DELAYED
		       : ACTION_FAILED;
}

static struct mail_bounced *known_recipient(struct mail_verdict *out, const char *address, size_t len)
{
	for (size_t i = 0; i < out->bounced_count; i++)
		if (mail_same_address(out->bounced[i].recipient, strlen(out->bounced[i].recipient), address,
				      len))
			return &out->bounced[i];
	return NULL;
}

/* The paragraph from `from` to `to` is what is said of the one that it begins with. */
static void paragraph_end(struct mail_bounced *bounced, enum mail_action action, const char *from,
			  const char *to, const char *more)
{
	char *paragraph = xmemdup0(from, (size_t)(to - from));

	mail_bounced_settle(bounced, action, paragraph, more);
	free(paragraph);
}

/* `all`: also those that are bystanders: some write to themselves. */
static void read_paragraphs(const struct mail_view *view, const char *text, bool all, enum mail_action action,
			    struct mail_verdict *out)
{
	struct mail_bounced *now = NULL;
	const char *from = text;
	size_t address_len;

	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		const char *address = line_recipient(line, len, &address_len);
		if (address && (all || !is_bystander(view, address, address_len)) &&
		    !known_recipient(out, address, address_len)) {
			if (now)
				paragraph_end(now, action, from, line, view->words);
			now = mail_bounced_add(out, address, address_len);
			from = address + address_len;
			if (!now)
				return;
		}
		line += len + (line[len] == '\n');
	}
	if (now)
		paragraph_end(now, action, from, text + strlen(text), view->words);
}

static bool recipient_in(const struct mail_view *view, const char *place, bool all, enum mail_action action,
			 const char *text, struct mail_verdict *out)
{
	size_t len;

	for (const char *s = place; (s = mail_next_address(s, &len)); s += len)
		if (all ? !mail_mentions(view->to, s, len) : !is_bystander(view, s, len)) {
			struct mail_bounced *bounced = mail_bounced_add(out, s, len);
			mail_bounced_settle(bounced, action, text, view->words);
			return true;
		}
	return false;
}

/* Anywhere: in a header, in the text, or whom the mail that came back was for. */
static bool find_recipient(const struct mail_view *view, const char *text, enum mail_action action,
			   struct mail_verdict *out)
{
	const struct mail_parsed *mail = view->mail;
	const char *failed = mail_header(&mail->headers, "x-failed-recipients");
	size_t len;

	if ((failed = mail_next_address(failed, &len))) {
		mail_bounced_settle(mail_bounced_add(out, failed, len), action, text, view->words);
		return true;
	}
	if (recipient_in(view, text, false, action, text, out))
		return true;
	for (size_t i = 0; i < mail->count; i++)
		if (mail->parts[i].inside == 0 && mail->parts[i].headers.count &&
		    recipient_in(view, mail_header(&mail->parts[i].headers, "to"), false, action, text, out))
			return true;
	return false;
}

static bool looks_like_one(const struct mail_view *view)
{
	static const char *const subjects[] = {"undeliver",
					       "delivery status",
					       "delivery fail",
					       "delivery error",
					       "delivery problem",
					       "delivery report",
					       "failure notice",
					       "failure delivery",
					       "returned mail",
					       "returned email",
					       "returned to sender",
					       "mail delivery",
					       "message delivery",
					       "mail system error",
					       "non-delivery",
					       "nondeliverable",
					       "non remis",
					       "delivery notification",
					       "could not be delivered",
					       "unable to deliver",
					       "failed delivery",
					       "unzustellbar",
					       "zustellung",
					       "no entregado",
					       "no se pudo entregar",
					       "devuelto",
					       "non distribu",
					       "echec de la remise",
					       "échec de remise",
					       "delayed mail",
					       "warning: message",
					       "warning: could not send",
					       "undelivered",
					       "message not delivered",
					       "mail could not be",
					       "error sending",
					       "delivery has failed",
					       "rejected",
					       "bounce",
					       "failed to deliver",
					       "error report",
					       "message status",
					       "mail failure",
					       "not deliverable",
					       "delivery notice",
					       "email error",
					       "dsn:",
					       "permanent error",
					       "delivery delay",
					       NULL};
	static const char *const bodies[] = {"could not be delivered",
					     "undeliverable",
					     "delivery has failed",
					     "delivery failed",
					     "was not delivered",
					     "wasn't able to deliver",
					     "unable to deliver",
					     "did not reach the following recipient",
					     "fatal errors",
					     "returned mail",
					     "has not been delivered",
					     "couldn't be delivered",
					     "non-delivery",
					     "cannot be delivered",
					     "can not be delivered",
					     "can't be delivered",
					     "failed recipient",
					     "konnte nicht zugestellt",
					     "nicht zugestellt werden",
					     "no se pudo entregar",
					     "no pudo ser entregado",
					     "n'a pas pu être",
					     "the following address",
					     "following recipients",
					     "error from remote",
					     "delivery to the following",
					     "not deliver",
					     "failed addresses",
					     "this is the mail system at",
					     "returned to sender",
					     "mail delivery error",
					     "undelivered",
					     "user unknown",
					     "unknown user",
					     "invalid user",
					     "no such user",
					     "cannot send message",
					     "service unavailable",
					     NULL};

	bool subject = mail_words_have(view->subject, subjects), body = mail_words_have(view->words, bodies);

	if (view->server)
		return subject || body;
	/* an answer to a mail has its subject: "Re: your payment was rejected" */
	return view->machine && subject && body && !*mail_header(&view->mail->headers, "in-reply-to");
}

bool mail_read_form(const struct mail_view *view, struct mail_verdict *out)
{
	if (!looks_like_one(view))
		return false;
	enum mail_action action = action_of_all(view);
	char *all = xmemdup0(view->text, strnlen(view->text, MAIL_LOOKED_AT));
	char *text = xmemdup0(all, mail_find_original(all));
	read_paragraphs(view, text, false, action, out);
	if (!out->bounced_count && !find_recipient(view, text, action, out))
		read_paragraphs(view, text, true, action, out);
	/* below, in the mail that came back; or a server's own address */
	if (!out->bounced_count && !recipient_in(view, all, false, action, text, out))
		recipient_in(view, text, true, action, text, out);
	free(text);
	free(all);
	return out->bounced_count > 0;
}
