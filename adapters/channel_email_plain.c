/* The engine without TLS: a session of libesmtp 1.1.0, and the mails in it.
 *
 * libesmtp calls back for all that happens. As soon as a mail's fate is known it is reported and the next one
 * is added, so there is never more than one undecided mail in a session, and what breaks concerns that one
 * alone. attempt_begin is asked when libesmtp wants the body: before it the relay can't take the mail; from
 * then on only the final reply says what became of it. libesmtp's own TLS is not used: it takes forged
 * plaintext after STARTTLS, and has no smtps. */
#include "channel_email_private.h"

#include <auth-client.h> /* before libesmtp.h, which declares less without it */
#include <errno.h>
#include <libesmtp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define SESSION_IDLE (200 * MOMENT_MS) /* how long a session waits for one more mail */

struct session;

struct session_mail {
	struct session *session;
	struct mail_job *job;
	smtp_message_t message;
	smtp_recipient_t recipient;
	bool given, drained; /* the body's progress */
};

struct session {
	struct worker *w;
	smtp_session_t smtp;
	struct session_mail mails[SESSION_MAILS_MAX]; /* all of them: libesmtp may still ask for one */
	size_t count;
	struct session_mail *mail; /* the undecided one */
	enum smtp_step step;
	bool authenticated, barred;
	char said[SAID_MAX];
	size_t said_len;
};

static void *need(void *p)
{
	if (!p) { /* libesmtp fails in these places for nothing but memory */
		log_error("mail: out of memory");
		_exit(70);
	}
	return p;
}

/* --- a session --- */

/* libesmtp wants the body: first with `len` NULL, which is the point of no return, then piece by piece. To
 * give nothing and set errno makes it drop the connection without a byte of the body. */
static const char *on_body(void **context, int *len, void *arg)
{
	struct session_mail *mail = arg;
	struct session *s = mail->session;

	(void)context;
	if (!len) {
		if (mail->job->attempt && !mail->job->begun)
			job_begin(s->w, mail->job);
		s->said_len = 0;
		worker_watch(s->w, 2);
		return NULL;
	}
	bool give = mail->job->begun && !mail->given;
	errno = mail->job->begun ? 0 : ECANCELED;
	mail->drained = mail->given;
	mail->given = mail->given || give;
	*len = give ? (int)mail->job->bytes.len : 0;
	return give ? mail->job->bytes.data : NULL;
}

static void session_add(struct session *s, struct mail_job *job)
{
	struct session_mail *mail = &s->mails[s->count];

	job->reused = s->count++ > 0;
	*mail = (struct session_mail){.session = s, .job = job};
	mail->message = need(smtp_add_message(s->smtp));
	smtp_set_messagecb(mail->message, on_body, mail);
	if (!smtp_set_reverse_path(mail->message, job->envelope))
		need(NULL);
	mail->recipient = need(smtp_add_recipient(mail->message, job->attempt->address));
	s->mail = mail;
	worker_watch(s->w, 1);
}

/* One more mail for the session, if one comes soon. */
static void session_go_on(struct session *s)
{
	int64_t until = moment_mono() + SESSION_IDLE;

	worker_watch(s->w, 0);
	while (s->count < SESSION_MAILS_MAX && !s->mail) {
		int64_t left = until - moment_mono();
		struct attempt *attempt = email_take(s->w->email, left > 0 ? left : 0);
		if (!attempt)
			break;
		struct mail_job *job = job_prepare(s->w, attempt);
		if (job)
			session_add(s, job);
	}
	worker_watch(s->w, 1);
}

static struct smtp_reply reply_of(const smtp_status_t *status)
{
	return (struct smtp_reply){.code = status->code,
				   .enhanced = {status->enh_class, status->enh_subject, status->enh_detail},
				   .text = status->text};
}

static struct outcome session_judge(struct session *s)
{
	struct session_mail *mail = s->mail;
	char trouble[128];

	s->said[s->said_len] = '\0';
	pthread_mutex_lock(&s->w->lock);
	bool overdue = s->w->overdue;
	pthread_mutex_unlock(&s->w->lock);
	const char *words = smtp_strerror(smtp_errno(), trouble, sizeof trouble);
	struct smtp_dialogue dialogue = {
		.step = s->step,
		.mail = reply_of(smtp_reverse_path_status(mail->message)),
		.rcpt = reply_of(smtp_recipient_status(mail->recipient)),
		.message = reply_of(smtp_message_transfer_status(mail->message)),
		.body_begun = mail->job->begun,
		.complete = smtp_recipient_check_complete(mail->recipient) != 0,
		.timed_out = overdue || moment_mono() - s->w->asked >= s->w->email->timeout,
		.said = s->said,
		.trouble = words ? words : "",
	};
	return email_judge(s->w->email, &dialogue);
}

/* The undecided mail's fate is known: reports it, and gives up what libesmtp can't ask for any more. */
static void session_decide(struct session *s, struct outcome outcome)
{
	struct session_mail *mail = s->mail;

	s->mail = NULL;
	job_finish(mail->job, outcome);
	if (!mail->job->begun || mail->drained)
		text_release(&mail->job->bytes);
}

/* A relay that says 421 will hang up; one whose answer makes no sense is better left. */
static bool is_usual(const smtp_status_t *status)
{
	int class = status->code / 100;
	return status->text && status->code != 421 && (class == 2 || class == 4 || class == 5);
}

/* MAIL FROM was answered. A refusal of a mail behind others may be the relay's limit for a session: that mail
 * stays undecided until the session has ended, and may move to the next one. */
static void on_mail_answered(struct session *s, smtp_message_t message)
{
	if (!s->mail || s->mail->message != message)
		return;
	const smtp_status_t *status = smtp_reverse_path_status(message);
	if (status->code / 100 != 2 && !(status->code == 421 && s->mail->job->reused))
		session_decide(s, session_judge(s));
}

static void on_rcpt_answered(struct session *s, smtp_recipient_t recipient)
{
	if (!s->mail || s->mail->recipient != recipient)
		return;
	const smtp_status_t *status = smtp_recipient_status(recipient);
	if (status->code / 100 == 2)
		return;
	/* libesmtp reads on in the old mail where it had not come to its end: never put another behind it */
	bool go_on = is_usual(status) && (!s->mail->job->begun || s->mail->drained);
	session_decide(s, session_judge(s));
	if (go_on)
		session_go_on(s);
}

/* The final answer, or DATA was refused; then libesmtp has already seen that nothing follows. */
static void on_message_answered(struct session *s, smtp_message_t message)
{
	if (!s->mail || s->mail->message != message)
		return;
	bool go_on = s->mail->drained && is_usual(smtp_message_transfer_status(message));
	session_decide(s, session_judge(s));
	if (go_on)
		session_go_on(s);
}

static void on_event(smtp_session_t session, int event, void *arg, ...)
{
	struct session *s = arg;
	va_list args;

	(void)session;
	va_start(args, arg);
	switch (event) {
	case SMTP_EV_CONNECT:
		s->step = SMTP_GREETING;
		s->said_len = 0;
		worker_watch(s->w, 1);
		break;
	case SMTP_EV_MAILSTATUS:
		worker_watch(s->w, 1);
		(void)va_arg(args, const char *);
		on_mail_answered(s, va_arg(args, smtp_message_t));
		break;
	case SMTP_EV_RCPTSTATUS:
		worker_watch(s->w, 1);
		(void)va_arg(args, const char *);
		on_rcpt_answered(s, va_arg(args, smtp_recipient_t));
		break;
	case SMTP_EV_MESSAGESENT:
		worker_watch(s->w, 1);
		on_message_answered(s, va_arg(args, smtp_message_t));
		break;
	default:
		break;
	}
	va_end(args);
}

static bool starts_with(const char *buf, int len, const char *what)
{
	return len >= (int)strlen(what) && strncmp(buf, what, strlen(what)) == 0;
}

/* Sees what is written before it is, and what was read before libesmtp does. Not the bodies, nor (with BDAT)
 * what comes behind the first one. */
static void on_traffic(const char *buf, int len, int writing, void *arg)
{
	struct session *s = arg;

	if (writing == SMTP_CB_READING) {
		size_t room = sizeof s->said - 1 - s->said_len;
		size_t n = (size_t)len < room ? (size_t)len : room;
		memcpy(s->said + s->said_len, buf, n);
		s->said_len += n;
		if (s->step == SMTP_AUTH && starts_with(s->said, (int)s->said_len, "235"))
			s->authenticated = true;
		return;
	}
	if (writing != SMTP_CB_WRITING || s->barred || starts_with(buf, len, "QUIT"))
		return;
	s->said[s->said_len] = '\0';
	/* With BDAT libesmtp would send the body before RCPT TO is answered, and crash where that answer
	 * fails to come; this makes it wait. */
	if (s->step == SMTP_HELLO && (strcasestr(s->said, "CHUNKING") || s->said_len == sizeof s->said - 1))
		smtp_option_require_all_recipients(s->smtp, 1);
	if (starts_with(buf, len, "EHLO") || starts_with(buf, len, "HELO")) {
		s->step = SMTP_HELLO;
	} else if (starts_with(buf, len, "AUTH")) {
		s->step = SMTP_AUTH;
	} else if (starts_with(buf, len, "MAIL") && *s->w->email->settings.relay.user && !s->authenticated) {
		/* libesmtp goes on when it could not log in; we don't */
		s->step = SMTP_AUTH;
		s->barred = true;
		worker_cut(s->w);
		return;
	} else if (starts_with(buf, len, "MAIL")) {
		s->step = SMTP_ENVELOPE;
	}
	s->said_len = 0;
	worker_watch(s->w, 1);
}

static int on_login(auth_client_request_t request, char **result, int fields, void *arg)
{
	const struct config_url *relay = arg;

	for (int i = 0; i < fields; i++)
		result[i] = request[i].flags & AUTH_USER   ? relay->user
			    : request[i].flags & AUTH_PASS ? relay->password
							   : NULL;
	return 1;
}

/* What becomes of the mail that was undecided when the session ended. */
static void session_settle(struct session *s)
{
	struct mail_job *job = s->mail->job;
	const smtp_status_t *from = smtp_reverse_path_status(s->mail->message);

	if (!job->begun && (job->refused || email_is_closing(s->w->email))) {
		session_decide(s, outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", TAKEN_BACK));
	} else if (!job->begun && job->reused && !job->moved && (!from->text || from->code == 421)) {
		s->mail = NULL;
		s->count--;
		job_move(s->w, job);
	} else {
		struct outcome outcome = session_judge(s);
		session_decide(s, outcome);
		if (smtp_is_hopeless(s->step, &outcome))
			email_fail_all(s->w->email, &outcome);
	}
}

static void plain_serve(struct worker *w, struct mail_job *job)
{
	static const int timeouts[] = {Timeout_GREETING, Timeout_ENVELOPE, Timeout_DATA, Timeout_TRANSFER,
				       Timeout_DATA2};
	struct email *email = w->email;
	struct session s = {.w = w, .step = SMTP_CONNECT};
	auth_context_t auth = NULL;

	char *server = xasprintf("%s:%s", email->settings.relay.host, email->settings.port);
	s.smtp = need(smtp_create_session());
	if (!smtp_set_server(s.smtp, server))
		need(NULL);
	smtp_set_eventcb(s.smtp, on_event, &s);
	smtp_set_monitorcb(s.smtp, on_traffic, &s, 0);
	for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) /* milliseconds */
		smtp_set_timeout(s.smtp, timeouts[i] | Timeout_OVERRIDE_RFC2822_MINIMUM,
				 (long)(email->timeout / MOMENT_MS));
	if (*email->settings.relay.user) {
		auth = need(auth_create_context());
		auth_set_mechanism_flags(auth, AUTH_PLUGIN_PLAIN, 0);
		auth_set_interact_cb(auth, on_login, &email->settings.relay);
		smtp_auth_set_context(s.smtp, auth);
	}
	session_add(&s, job);
	worker_begin(w);
	smtp_start_session(s.smtp); /* what it returns says nothing of the mails */
	worker_end(w);
	if (s.mail)
		session_settle(&s);
	smtp_destroy_session(s.smtp);
	if (auth)
		auth_destroy_context(auth);
	for (size_t i = 0; i < s.count; i++)
		job_free(s.mails[i].job);
	free(server);
}

static void plain_init(void)
{
	auth_client_init();
}

static void plain_end(struct worker *w)
{
	(void)w;
}

const struct email_engine email_plain = {
	.init = plain_init, .serve = plain_serve, .end = plain_end, .probe = email_plain_probe};
