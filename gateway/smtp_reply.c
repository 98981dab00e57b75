#include "smtp_reply.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "banned.h"

#define CODE_SERVICE_CLOSING 421
#define REPLY_MAX 8192 /* of a reply before the envelope */

/* "250", "250-", "250 …" */
static int line_code(const char *line)
{
	if (line[0] < '1' || line[0] > '5' || !isdigit((unsigned char)line[1]) ||
	    !isdigit((unsigned char)line[2]))
		return 0;
	return line[3] == '\0' || strchr(" -\r\n", line[3])
		       ? (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0'
		       : 0;
}

int smtp_reply_read(const char *said, struct smtp_reply *out, struct text *words)
{
	const char *line = said;

	*out = (struct smtp_reply){0};
	text_clear(words);
	for (;;) {
		size_t len = strcspn(line, "\n");
		if (!line[len])
			return 0;
		int code = line_code(line);
		if (!code || (out->code && code != out->code))
			return -1;
		out->code = code;
		if (len > 4)
			text_add(words, line + 4, len - 4);
		text_putc(words, '\n');
		bool last = line[3] != '-';
		line += len + 1;
		if (last)
			break;
	}
	out->text = words->data;
	return (int)(line - said);
}

/* "5.1.1 no such user": the three numbers, and the words behind them. */
static const char *take_enhanced(const char *text, int code, int enhanced[3])
{
	const char *s = text;
	int found[3];

	for (int i = 0; i < 3; i++) {
		char *end;
		if (!isdigit((unsigned char)*s))
			return text;
		long n = strtol(s, &end, 10);
		if (end - s > 3 || (i < 2 && *end != '.') ||
		    (i == 2 && *end && !isspace((unsigned char)*end)))
			return text;
		found[i] = (int)n;
		s = i < 2 ? end + 1 : end;
	}
	if (found[0] != code / 100)
		return text;
	memcpy(enhanced, found, sizeof found);
	return s;
}

/* Most relays begin every line with the three numbers (RFC 2034); some only a later one: then they stay in
 * the words. */
static void reply_code(const struct smtp_reply *reply, char *out, size_t size, const char **words)
{
	int e[3] = {0};

	*words = reply->text ? reply->text : "";
	if (reply->enhanced[0] == reply->code / 100 && reply->enhanced[0])
		memcpy(e, reply->enhanced, sizeof e);
	else
		*words = take_enhanced(*words, reply->code, e);
	for (const char *line = strchr(*words, '\n'); line && !e[0]; line = strchr(line + 1, '\n'))
		take_enhanced(line + 1, reply->code, e);
	if (e[0])
		snprintf(out, size, "%d %d.%d.%d", reply->code, e[0], e[1], e[2]);
	else
		snprintf(out, size, "%d", reply->code);
}

/* RFC 3463: the codes by which a relay says that the address does not exist. */
static bool says_dead(const char *code)
{
	static const char *const dead[] = {" 5.1.1", " 5.1.2", " 5.1.3", " 5.1.6", " 5.1.10"};
	const char *enhanced = strchr(code, ' ');

	for (size_t i = 0; enhanced && i < sizeof dead / sizeof dead[0]; i++)
		if (strcmp(enhanced, dead[i]) == 0)
			return true;
	return false;
}

/* One line of what others wrote; channel.c makes valid UTF-8 of it. */
static void words_clean(const char *words, char out[OUTCOME_TEXT_MAX])
{
	size_t used = 0;

	for (; *words && used < OUTCOME_TEXT_MAX - 1; words++) {
		bool blank = (unsigned char)*words <= ' ';
		if (!blank)
			out[used++] = *words;
		else if (used && out[used - 1] != ' ')
			out[used++] = ' ';
	}
	while (used && out[used - 1] == ' ')
		used--;
	out[used] = '\0';
}

/* The relay's own id, as most relays write it: "queued as 4FzX", "OK id=1abc-00". */
static void find_ref(const char *words, char ref[ID_MAX + 1])
{
	static const char *const before[] = {"queued as ", " id="};

	for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
		const char *at = strstr(words, before[i]);
		if (!at)
			continue;
		at += strlen(before[i]);
		size_t len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_");
		while (len && at[len - 1] == '.')
			len--;
		if (len && len <= ID_MAX)
			snprintf(ref, ID_MAX + 1, "%.*s", (int)len, at);
		return;
	}
}

static struct outcome by_reply(enum outcome_kind kind, enum outcome_scope scope,
			       const struct smtp_reply *reply)
{
	char code[64], clean[OUTCOME_TEXT_MAX];
	const char *words;

	reply_code(reply, code, sizeof code, &words);
	words_clean(words, clean);
	if (kind == OUTCOME_REJECTED && says_dead(code))
		scope = SCOPE_ADDRESS;
	struct outcome out = outcome_make(kind, scope, code, "%s", clean);
	if (kind == OUTCOME_ACCEPTED)
		find_ref(clean, out.provider_ref);
	return out;
}

/* It broke: no reply, half a reply, or one that makes no sense where it came. */
static struct outcome broke(const struct smtp_dialogue *d, enum outcome_kind kind, enum outcome_scope scope,
			    const char *where, const struct smtp_reply *reply)
{
	char clean[OUTCOME_TEXT_MAX];

	if (reply && reply->text) {
		words_clean(reply->text, clean);
		return outcome_make(kind, scope, "syntax", "the answer %s makes no sense there: %d %s", where,
				    reply->code, clean);
	}
	if (strchr(d->said, '\n') && !line_code(d->said)) {
		words_clean(d->said, clean);
		return outcome_make(kind, scope, "syntax", "the answer %s makes no sense: %s", where, clean);
	}
	if (d->timed_out)
		return outcome_make(kind, scope, "timeout", "no answer in time %s", where);
	return outcome_make(kind, scope, "cut", "the connection ended %s", where);
}

/* Before the envelope: nothing was said of any mail yet, so it is the relay's fault. */
static struct outcome judge_session(const struct smtp_dialogue *d)
{
	static const char *const where[] = {"while connecting", "during the TLS handshake",
					    "before the greeting", "at EHLO", "at AUTH"};
	struct smtp_reply reply;
	struct text words;
	struct outcome out;

	text_init(&words, REPLY_MAX);
	smtp_reply_read(d->said, &reply, &words);
	int class = reply.code / 100;
	if (reply.text && (class == 4 || class == 5))
		out = by_reply(OUTCOME_RETRY, SCOPE_PROVIDER, &reply);
	else if (d->step == SMTP_CONNECT && !d->timed_out)
		out = outcome_make(OUTCOME_RETRY, SCOPE_PROVIDER, SMTP_CODE_CONNECT, "%s", d->trouble);
	else if (d->step == SMTP_TLS && !d->timed_out)
		out = outcome_make(OUTCOME_RETRY, SCOPE_PROVIDER, "tls", "no safe connection: %s",
				   d->trouble);
	else if (d->step == SMTP_AUTH && reply.text && class == 2)
		out = outcome_make(OUTCOME_RETRY, SCOPE_PROVIDER, "auth",
				   "the relay offers no way to log in that heed knows (PLAIN, LOGIN, "
				   "CRAM-MD5)");
	else
		out = broke(d, OUTCOME_RETRY, SCOPE_PROVIDER, where[d->step],
			    d->step == SMTP_GREETING ? &reply : NULL);
	text_release(&words);
	return out;
}

/* A refusal of the mail in whole words, at RCPT, DATA or after the body: nothing was taken. False: it isn't
 * one. */
static bool judge_refusal(const struct smtp_reply *reply, struct outcome *out)
{
	int class = reply->code / 100;

	if (!reply->text || (class != 4 && class != 5))
		return false;
	if (reply->code == CODE_SERVICE_CLOSING)
		*out = by_reply(OUTCOME_RETRY, SCOPE_PROVIDER, reply);
	else
		*out = by_reply(class == 4 ? OUTCOME_RETRY : OUTCOME_REJECTED, SCOPE_MESSAGE, reply);
	return true;
}

struct outcome smtp_judge(const struct smtp_dialogue *d)
{
	struct outcome out;

	if (d->step < SMTP_ENVELOPE)
		return judge_session(d);
	if (d->mail.text && (d->mail.code / 100 == 4 || d->mail.code / 100 == 5))
		return by_reply(OUTCOME_RETRY, SCOPE_PROVIDER, &d->mail);
	if (judge_refusal(&d->rcpt, &out) || judge_refusal(&d->message, &out))
		return out;
	if (d->body_begun) {
		if (d->complete && d->rcpt.code / 100 == 2 && d->message.text && d->message.code / 100 == 2)
			return by_reply(OUTCOME_ACCEPTED, SCOPE_MESSAGE, &d->message);
		/* what was answered before the body's end says nothing of it */
		bool early = d->message.code / 100 == 2 || d->message.code == 354;
		return broke(d, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "after the body was begun",
			     early ? NULL : &d->message);
	}
	if (!d->mail.text || d->mail.code / 100 != 2)
		return broke(d, OUTCOME_RETRY, SCOPE_MESSAGE, "at MAIL FROM", &d->mail);
	if (!d->rcpt.text || d->rcpt.code / 100 != 2)
		return broke(d, OUTCOME_RETRY, SCOPE_MESSAGE, "at RCPT TO", &d->rcpt);
	return broke(d, OUTCOME_RETRY, SCOPE_MESSAGE, "at DATA", &d->message);
}

bool smtp_broke_early(enum smtp_step step, const struct outcome *outcome)
{
	static const char *const codes[] = {"cut", "timeout", "syntax"};
	bool broke = false;

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		broke = broke || strcmp(outcome->code, codes[i]) == 0;
	return broke && step > SMTP_TLS && step < SMTP_ENVELOPE;
}

bool smtp_is_hopeless(enum smtp_step step, const struct outcome *outcome)
{
	if (outcome->scope != SCOPE_PROVIDER)
		return false;
	return step == SMTP_CONNECT || step == SMTP_TLS || step == SMTP_AUTH ||
	       (step < SMTP_ENVELOPE && strcmp(outcome->code, "timeout") == 0);
}

struct outcome smtp_address_refused(bool not_ascii, const char *why)
{
	return outcome_make(OUTCOME_REJECTED, SCOPE_MESSAGE, not_ascii ? "553 5.6.7" : "553", "%s", why);
}
