/* Delivery status notifications (RFC 3464, codes of RFC 3463), and what a status means for an address. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mail_in_private.h"
#include "xalloc.h"
#include "banned.h"

/* contract.md, What becomes of an attempt */
static bool status_is_dead(const char *status)
{
	static const char *const dead[] = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"};

	for (size_t i = 0; i < sizeof dead / sizeof dead[0]; i++)
		if (strcmp(status, dead[i]) == 0)
			return true;
	return false;
}

static bool cause_is_dead(enum mail_cause cause)
{
	return cause == CAUSE_NO_USER || cause == CAUSE_NO_DOMAIN || cause == CAUSE_MOVED;
}

/* It is about the mail, its sender or a mailbox that is there: 5.1.1 was only put before it. */
static bool cause_denies_dead(enum mail_cause cause)
{
	return cause == CAUSE_FULL || cause == CAUSE_RATE || cause == CAUSE_SPAM || cause == CAUSE_BLOCKED ||
	       cause == CAUSE_SIZE || cause == CAUSE_SENDER || cause == CAUSE_SYSTEM;
}

static bool is_unspecific(const char *status)
{
	return !*status || strcmp(status + 1, ".0.0") == 0;
}

/* "User unknown" in answer to the mail itself, when the recipient had been taken: some filters say no so. */
static bool is_late(const char *words)
{
	static const char *const late[] = {"end of data",  "to data command", "after data",
					   "command data", ">>> data <<< 5",  NULL};

	return mail_words_have(words, late);
}

/* About the sender: whatever the words name. */
static bool status_is_senders(const char *status)
{
	return strcmp(status, "5.1.7") == 0 || strcmp(status, "5.1.8") == 0;
}

static enum mail_fate fate_of(const struct mail_bounced *b, enum mail_action action, enum mail_cause said,
			      bool late)
{
	char class = *b->status ? *b->status : *b->code ? *b->code : '5';

	if (action == ACTION_DELIVERED || class == '2')
		return FATE_DELIVERED;
	if (action == ACTION_DELAYED)
		return FATE_DELAYED;
	if (class == '4')
		return FATE_RETRY;
	if (status_is_dead(b->status))
		return cause_denies_dead(said) ? FATE_REJECTED : FATE_DEAD;
	if (cause_is_dead(said) && !late && !status_is_senders(b->status))
		return FATE_DEAD;
	bool passes = said == CAUSE_EXPIRED || said == CAUSE_NETWORK;
	return passes && is_unspecific(b->status) && !*b->code ? FATE_RETRY : FATE_REJECTED;
}

/* One line of it, without what stands before the words. */
static char *detail_of(const char *words)
{
	char *line = xmalloc(MAIL_DETAIL_MAX + 1);
	size_t used = 0;

	words += strspn(words, " \t\n>:");
	for (; *words && used < MAIL_DETAIL_MAX; words++) {
		if (!isspace((unsigned char)*words))
			line[used++] = *words;
		else if (used && line[used - 1] != ' ')
			line[used++] = ' ';
	}
	if (*words) /* a character is not cut in its middle */
		while (used && ((unsigned char)*words & 0xc0) == 0x80)
			words = &line[--used];
	while (used && line[used - 1] == ' ')
		used--;
	line[used] = '\0';
	return line;
}

void mail_bounced_settle(struct mail_bounced *bounced, enum mail_action action, const char *text,
			 const char *more)
{
	char status[12], code[4];
	char *words = mail_words(text);
	enum mail_cause said = mail_cause_of(words);

	mail_find_codes(text, status, code);
	/* the receiver's own, behind its reply, is more than what a relay made of it */
	bool own = *status && *code && *status == *code && !is_unspecific(status);
	if (own || (is_unspecific(bounced->status) && (*status || !*bounced->status)))
		memcpy(bounced->status, status, sizeof status);
	if (*code && (!*bounced->status || *code == *bounced->status))
		memcpy(bounced->code, code, sizeof code);
	if (said == CAUSE_UNSAID && *more && (is_unspecific(bounced->status) || !*text)) {
		char *around = mail_words(more);
		said = mail_cause_of(around);
		free(around);
		if (!*bounced->status) {
			mail_find_codes(more, status, code);
			memcpy(bounced->status, status, sizeof status);
			memcpy(bounced->code, code, sizeof code);
		}
	}
	bounced->fate = fate_of(bounced, action, said, is_late(words) || is_late(more));
	bounced->cause = said != CAUSE_UNSAID ? said : mail_cause_of_status(bounced->status);
	free(bounced->detail);
	bounced->detail = detail_of(*text ? text : more);
	free(words);
}

struct mail_bounced *mail_bounced_add(struct mail_verdict *out, const char *recipient, size_t len)
{
	if (out->bounced_count == MAIL_BOUNCED_MAX)
		return NULL;
	struct mail_bounced *bounced = &out->bounced[out->bounced_count++];
	*bounced = (struct mail_bounced){
		.recipient = xmemdup0(recipient, len), .original = xstrdup(""), .detail = xstrdup("")};
	return bounced;
}

/* --- the fields --- */

#define STATUS_WORDS 12 /* "5.1.1 (fine)" */

/* What is said of one recipient, as far as it was read. */
struct fields {
	char *final, *original, *actual, *action, *status, *diagnostic;
};

static void fields_release(struct fields *f)
{
	free(f->final);
	free(f->original);
	free(f->actual);
	free(f->action);
	free(f->status);
	free(f->diagnostic);
	*f = (struct fields){0};
}

/* "rfc822; <ana@example.com>" */
static char *typed_address(const char *value)
{
	const char *semicolon = strchr(value, ';');
	size_t len;
	const char *s = semicolon ? semicolon + 1 : value;
	const char *address = mail_next_address(s, &len);

	return address ? xmemdup0(address, len) : xstrdup("");
}

static enum mail_action action_of(const char *word)
{
	static const struct {
		const char *word;
		enum mail_action action;
	} actions[] = {{"failed", ACTION_FAILED},         {"failure", ACTION_FAILED},
		       {"delayed", ACTION_DELAYED},       {"delivered", ACTION_DELIVERED},
		       {"deliverable", ACTION_DELIVERED}, {"relayed", ACTION_DELIVERED},
		       {"expanded", ACTION_DELIVERED}};

	while (isspace((unsigned char)*word))
		word++;
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (strncasecmp(word, actions[i].word, strlen(actions[i].word)) == 0)
			return actions[i].action;
	return ACTION_UNSAID;
}

static void fields_end(struct fields *f, const struct mail_view *view, struct mail_verdict *out)
{
	char *recipient = f->final ? typed_address(f->final) : xstrdup("");
	char *original = f->original ? typed_address(f->original) : xstrdup("");
	char ignored[4];

	if (!*recipient && f->actual) {
		free(recipient);
		recipient = typed_address(f->actual);
	}
	if (!*recipient) {
		free(recipient);
		recipient = xstrdup(original);
	}
	bool says = f->action || f->status || f->diagnostic;
	struct mail_bounced *bounced = says && (*recipient || f->status)
					       ? mail_bounced_add(out, recipient, strlen(recipient))
					       : NULL;
	if (bounced) {
		const char *semicolon = f->diagnostic ? strchr(f->diagnostic, ';') : NULL;
		const char *diagnostic = semicolon ? semicolon + 1 : f->diagnostic ? f->diagnostic : "";
		enum mail_action action = f->action ? action_of(f->action) : ACTION_UNSAID;
		xreplace(&bounced->original, original);
		if (f->status)
			mail_find_codes(f->status, bounced->status, ignored);
		if (action == ACTION_UNSAID && *bounced->status == '4')
			action = ACTION_DELAYED;
		/* what stands behind "Status: 5.1.1" may be all there is; else what the text says of it */
		bool status_says = f->status && strlen(f->status) > STATUS_WORDS;
		char *paragraph =
			*diagnostic || status_says ? xstrdup("") : mail_paragraph_of(view->text, recipient);
		mail_bounced_settle(bounced, action, *diagnostic ? diagnostic : paragraph,
				    status_says ? f->status : view->words);
		free(paragraph);
	}
	free(recipient);
	free(original);
	fields_release(f);
}

static bool takes(char **field, const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncasecmp(line, name, len) != 0)
		return false;
	line += len + strspn(line + len, " \t");
	if (*line++ != ':')
		return false;
	line += strspn(line, " \t");
	free(*field);
	*field = xmemdup0(line, strcspn(line, "\n"));
	return true;
}

/* Not conforming: several recipients without an empty line between them. */
static bool begins_another(const struct fields *f, const char *line)
{
	char *seen = NULL;
	bool final = takes(&seen, line, "final-recipient"),
	     original = takes(&seen, line, "original-recipient");

	free(seen);
	return (final && f->final) || (original && (f->original || (f->final && f->status)));
}

static void fields_read(const char *text, const struct mail_view *view, struct mail_verdict *out)
{
	struct fields f = {0};
	char **last = NULL;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len = strcspn(line, "\n");
		if (!len) {
			last = NULL;
			if (f.final || f.original || f.status)
				fields_end(&f, view, out);
			continue;
		}
		if ((*line == ' ' || *line == '\t') && last && *last && strlen(*last) < MAIL_IN_VALUE) {
			char *folded =
				xasprintf("%s %.*s", *last, (int)(len < MAIL_IN_VALUE ? len : MAIL_IN_VALUE),
					  line + strspn(line, " \t"));
			free(*last);
			*last = folded;
			continue;
		}
		if (begins_another(&f, line))
			fields_end(&f, view, out);
		last = takes(&f.final, line, "final-recipient")         ? &f.final
		       : takes(&f.original, line, "original-recipient") ? &f.original
		       : takes(&f.actual, line, "x-actual-recipient")   ? &f.actual
		       : takes(&f.action, line, "action")               ? &f.action
		       : takes(&f.status, line, "status")               ? &f.status
		       : takes(&f.diagnostic, line, "diagnostic-code")  ? &f.diagnostic
									: NULL;
	}
	fields_end(&f, view, out);
	fields_release(&f);
}

static bool has_fields(const char *text)
{
	const char *at = text;

	while ((at = strcasestr(at, "final-recipient:"))) {
		if (at == text || at[-1] == '\n')
			return true;
		at++;
	}
	return false;
}

bool mail_read_report(const struct mail_view *view, bool loose, struct mail_verdict *out)
{
	const struct mail_parsed *mail = view->mail;

	for (size_t i = 0; i < mail->count; i++) {
		const struct mail_part *part = &mail->parts[i];
		bool is_status = strcmp(part->type, "message/delivery-status") == 0 ||
				 strcmp(part->type, "message/global-delivery-status") == 0;
		if (part->inside == 0 && (is_status || (loose && has_fields(part->text))))
			fields_read(part->text, view, out);
	}
	return out->bounced_count > 0;
}
