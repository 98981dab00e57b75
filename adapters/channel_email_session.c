/* A session of libesmtp, and the mails in it; channel_email.c says how it goes. */
#include "channel_email_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "moment.h"
#include "outgoing.h"
#include "xalloc.h"
#include "banned.h"

#define SESSION_IDLE (200 * MOMENT_MS) /* how long a session waits for one more mail */

/* --- jobs: an attempt in a worker's hands --- */

static void *need(void *p)
{
	if (!p) { /* libesmtp fails in these places for nothing but memory */
		log_error("mail: out of memory");
		_exit(70);
	}
	return p;
}

void job_free(struct mail_job *job)
{
	if (!job)
		return;
	text_release(&job->bytes);
	free(job->summary);
	free(job->content);
	free(job);
}

/* Reports, once. Nothing but NOT_BEGUN is said of an attempt that was called back. */
static void job_finish(struct mail_job *job, struct outcome outcome)
{
	struct attempt *attempt = job->attempt;

	if (!job->begun && outcome.kind != OUTCOME_NOT_BEGUN && !attempt_begin(attempt))
		outcome = outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", TAKEN_BACK);
	outcome.summary = job->summary;
	outcome.content = job->content;
	job->summary = job->content = NULL;
	job->attempt = NULL;
	attempt->channel_private = NULL;
	channel_report(attempt, &outcome);
}

/* Fills `bytes`; false: the outcome says why the attempt can't be sent at all. */
static bool job_render(struct mail_job *job, const struct email *email, struct outcome *failure)
{
	const struct attempt *attempt = job->attempt;
	struct outgoing kept = {0};
	struct text error;
	bool ok = false;

	text_init(&error, TEXT_ERROR_MAX);
	enum mail_address_fault fault = mail_address_check(attempt->address);
	if (fault != MAIL_ADDRESS_OK) {
		*failure = smtp_address_refused(
			fault == MAIL_ADDRESS_NOT_ASCII,
			fault == MAIL_ADDRESS_NOT_ASCII
				? "the address is not ASCII, which plain SMTP can't carry"
				: "not an address that SMTP can carry");
		goto out;
	}
	ok = outgoing_mail(email->base.config, attempt, &email->from, &job->bytes, &kept, &error);
	if (!ok)
		*failure = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "%s", error.data);
	job->summary = kept.summary;
	job->content = kept.content;
out:
	text_release(&error);
	return ok;
}

/* NULL: it has been reported already. */
static struct mail_job *job_prepare(struct worker *w, struct attempt *attempt)
{
	struct mail_job *job = attempt->channel_private;
	struct outcome failure;

	/* a look ahead that saves the work; attempt_begin decides */
	if (atomic_load(&attempt->phase) == ATTEMPT_CALLED_BACK || moment_mono() >= attempt->lease_until) {
		email_not_begun(attempt, TAKEN_BACK);
		return NULL;
	}
	if (job) {
		job->worker = w;
		return job;
	}
	job = xcalloc(1, sizeof *job);
	job->attempt = attempt;
	job->worker = w;
	text_init(&job->bytes, MAIL_SIZE_MAX);
	if (!job_render(job, w->email, &failure)) {
		job_finish(job, failure);
		job_free(job);
		job = NULL;
	}
	return job;
}

/* --- a session --- */

/* libesmtp wants the body: first with `len` NULL, which is the point of no return, then piece by piece. To
 * give nothing and set errno makes it drop the connection without a byte of the body. */
static const char *on_body(void **context, int *len, void *arg)
{
	struct mail_job *job = arg;
	struct worker *w = job->worker;

	(void)context;
	if (!len) {
		if (job->attempt && !job->begun) {
			job->begun = !email_is_closing(w->email) && attempt_begin(job->attempt);
			job->refused = !job->begun;
		}
		w->said_len = 0;
		worker_watch(w, 2);
		return NULL;
	}
	bool give = job->begun && !job->given;
	errno = job->begun ? 0 : ECANCELED;
	job->drained = job->given;
	job->given = job->given || give;
	*len = give ? (int)job->bytes.len : 0;
	return give ? job->bytes.data : NULL;
}

static void session_add(struct worker *w, struct mail_job *job)
{
	job->reused = w->job_count > 0;
	job->message = need(smtp_add_message(w->session));
	smtp_set_messagecb(job->message, on_body, job);
	if (!smtp_set_reverse_path(job->message, w->email->envelope_from))
		need(NULL);
	job->recipient = need(smtp_add_recipient(job->message, job->attempt->address));
	w->jobs[w->job_count++] = job;
	w->job = job;
	worker_watch(w, 1);
}

/* One more mail for the session, if one comes soon. */
static void session_go_on(struct worker *w)
{
	int64_t until = moment_mono() + SESSION_IDLE;

	worker_watch(w, 0);
	while (w->job_count < SESSION_MAILS_MAX && !w->job) {
		int64_t left = until - moment_mono();
		struct attempt *attempt = email_take(w->email, left > 0 ? left : 0);
		if (!attempt)
			break;
		struct mail_job *job = job_prepare(w, attempt);
		if (job)
			session_add(w, job);
	}
	worker_watch(w, 1);
}

static struct smtp_reply reply_of(const smtp_status_t *status)
{
	return (struct smtp_reply){.code = status->code,
				   .enhanced = {status->enh_class, status->enh_subject, status->enh_detail},
				   .text = status->text};
}

static struct outcome session_judge(struct worker *w)
{
	struct mail_job *job = w->job;
	char trouble[128];

	w->said[w->said_len] = '\0';
	pthread_mutex_lock(&w->lock);
	bool overdue = w->overdue;
	pthread_mutex_unlock(&w->lock);
	const char *words = smtp_strerror(smtp_errno(), trouble, sizeof trouble);
	struct smtp_dialogue dialogue = {
		.step = w->step,
		.mail = reply_of(smtp_reverse_path_status(job->message)),
		.rcpt = reply_of(smtp_recipient_status(job->recipient)),
		.message = reply_of(smtp_message_transfer_status(job->message)),
		.body_begun = job->begun,
		.complete = smtp_recipient_check_complete(job->recipient) != 0,
		.timed_out = overdue || moment_mono() - w->asked >= w->email->timeout,
		.said = w->said,
		.trouble = words ? words : "",
	};
	return smtp_judge(&dialogue);
}

/* The undecided mail's fate is known: reports it, and gives up what libesmtp can't ask for any more. */
static void session_decide(struct worker *w, struct outcome outcome)
{
	struct mail_job *job = w->job;

	w->job = NULL;
	job_finish(job, outcome);
	if (!job->begun || job->drained)
		text_release(&job->bytes);
}

/* A relay that says 421 will hang up; one whose answer makes no sense is better left. */
static bool is_usual(const smtp_status_t *status)
{
	int class = status->code / 100;
	return status->text && status->code != 421 && (class == 2 || class == 4 || class == 5);
}

/* MAIL FROM was answered. A refusal of a mail behind others may be the relay's limit for a session: that mail
 * stays undecided until the session has ended, and may move to the next one. */
static void on_mail_answered(struct worker *w, smtp_message_t message)
{
	if (!w->job || w->job->message != message)
		return;
	const smtp_status_t *status = smtp_reverse_path_status(message);
	if (status->code / 100 != 2 && !(status->code == 421 && w->job->reused))
		session_decide(w, session_judge(w));
}

static void on_rcpt_answered(struct worker *w, smtp_recipient_t recipient)
{
	if (!w->job || w->job->recipient != recipient)
		return;
	const smtp_status_t *status = smtp_recipient_status(recipient);
	if (status->code / 100 == 2)
		return;
	/* libesmtp reads on in the old mail where it had not come to its end: never put another behind it */
	bool go_on = is_usual(status) && (!w->job->begun || w->job->drained);
	session_decide(w, session_judge(w));
	if (go_on)
		session_go_on(w);
}

/* The final answer, or DATA was refused; then libesmtp has already seen that nothing follows. */
static void on_message_answered(struct worker *w, smtp_message_t message)
{
	if (!w->job || w->job->message != message)
		return;
	bool go_on = w->job->drained && is_usual(smtp_message_transfer_status(message));
	session_decide(w, session_judge(w));
	if (go_on)
		session_go_on(w);
}

static void on_event(smtp_session_t session, int event, void *arg, ...)
{
	struct worker *w = arg;
	va_list args;

	(void)session;
	va_start(args, arg);
	switch (event) {
	case SMTP_EV_CONNECT:
		w->step = SMTP_GREETING;
		w->said_len = 0;
		worker_watch(w, 1);
		break;
	case SMTP_EV_MAILSTATUS:
		worker_watch(w, 1);
		(void)va_arg(args, const char *);
		on_mail_answered(w, va_arg(args, smtp_message_t));
		break;
	case SMTP_EV_RCPTSTATUS:
		worker_watch(w, 1);
		(void)va_arg(args, const char *);
		on_rcpt_answered(w, va_arg(args, smtp_recipient_t));
		break;
	case SMTP_EV_MESSAGESENT:
		worker_watch(w, 1);
		on_message_answered(w, va_arg(args, smtp_message_t));
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
	struct worker *w = arg;

	if (writing == SMTP_CB_READING) {
		size_t room = sizeof w->said - 1 - w->said_len;
		size_t n = (size_t)len < room ? (size_t)len : room;
		memcpy(w->said + w->said_len, buf, n);
		w->said_len += n;
		if (w->step == SMTP_AUTH && starts_with(w->said, (int)w->said_len, "235"))
			w->authenticated = true;
		return;
	}
	if (writing != SMTP_CB_WRITING || w->barred || starts_with(buf, len, "QUIT"))
		return;
	w->said[w->said_len] = '\0';
	/* With BDAT libesmtp would send the body before RCPT TO is answered, and crash where that answer
	 * fails to come; this makes it wait. */
	if (w->step == SMTP_HELLO && (strcasestr(w->said, "CHUNKING") || w->said_len == sizeof w->said - 1))
		smtp_option_require_all_recipients(w->session, 1);
	if (starts_with(buf, len, "EHLO") || starts_with(buf, len, "HELO")) {
		w->step = SMTP_HELLO;
	} else if (starts_with(buf, len, "AUTH")) {
		w->step = SMTP_AUTH;
	} else if (starts_with(buf, len, "MAIL") && *w->email->relay.user && !w->authenticated) {
		/* libesmtp goes on when it could not log in; we don't */
		w->step = SMTP_AUTH;
		w->barred = true;
		worker_cut(w);
		return;
	} else if (starts_with(buf, len, "MAIL")) {
		w->step = SMTP_ENVELOPE;
	}
	w->said_len = 0;
	worker_watch(w, 1);
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

/* The relay can't be reached or hangs: what waits behind would only find the same, each after its time. */
static void session_fail_all(struct worker *w, const struct outcome *failure)
{
	struct attempt *next, *attempt = email_take_all(w->email);

	for (; attempt; attempt = next) {
		struct outcome outcome = *failure;
		next = attempt->next;
		if (!attempt_begin(attempt)) {
			email_not_begun(attempt, TAKEN_BACK);
			continue;
		}
		job_free(attempt->channel_private);
		attempt->channel_private = NULL;
		channel_report(attempt, &outcome);
	}
}

/* What becomes of the mail that was undecided when the session ended. */
static void session_settle(struct worker *w)
{
	struct mail_job *job = w->job;
	const smtp_status_t *mail = smtp_reverse_path_status(job->message);

	if (!job->begun && (job->refused || email_is_closing(w->email))) {
		session_decide(w, outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", TAKEN_BACK));
	} else if (!job->begun && job->reused && !job->moved && (!mail->text || mail->code == 421)) {
		/* the relay had had enough of this session before it looked at this mail: a new one */
		job->moved = true;
		w->job = NULL;
		w->job_count--;
		job->attempt->channel_private = job;
		email_put_back(w->email, job->attempt);
	} else {
		struct outcome outcome = session_judge(w);
		bool hopeless = w->step == SMTP_CONNECT ||
				(w->step < SMTP_ENVELOPE && strcmp(outcome.code, "timeout") == 0);
		session_decide(w, outcome);
		if (hopeless)
			session_fail_all(w, &outcome);
	}
}

static void session_run(struct worker *w, struct mail_job *job)
{
	static const int timeouts[] = {Timeout_GREETING, Timeout_ENVELOPE, Timeout_DATA, Timeout_TRANSFER,
				       Timeout_DATA2};
	struct email *email = w->email;
	auth_context_t auth = NULL;

	w->step = SMTP_CONNECT;
	w->authenticated = w->barred = false;
	w->said_len = w->job_count = 0;
	w->session = need(smtp_create_session());
	if (!smtp_set_server(w->session, email->server))
		need(NULL);
	smtp_set_eventcb(w->session, on_event, w);
	smtp_set_monitorcb(w->session, on_traffic, w, 0);
	for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) /* milliseconds */
		smtp_set_timeout(w->session, timeouts[i] | Timeout_OVERRIDE_RFC2822_MINIMUM,
				 (long)(email->timeout / MOMENT_MS));
	if (*email->relay.user) {
		auth = need(auth_create_context());
		auth_set_mechanism_flags(auth, AUTH_PLUGIN_PLAIN, 0);
		auth_set_interact_cb(auth, on_login, &email->relay);
		smtp_auth_set_context(w->session, auth);
	}
	session_add(w, job);
	worker_begin(w);
	smtp_start_session(w->session); /* what it returns says nothing of the mails */
	worker_end(w);
	if (w->job)
		session_settle(w);
	smtp_destroy_session(w->session);
	if (auth)
		auth_destroy_context(auth);
	for (size_t i = 0; i < w->job_count; i++)
		job_free(w->jobs[i]);
}

void email_serve(struct worker *w, struct attempt *attempt)
{
	struct mail_job *job = job_prepare(w, attempt);

	if (job)
		session_run(w, job);
}
