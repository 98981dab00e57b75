/* Mail over SMTP by libesmtp 1.1.0: threads that hold sessions of many mails each.
 *
 * A thread takes an attempt, renders it and starts a session with it; libesmtp calls back for all that
 * follows. As soon as a mail's fate is known it is reported and the next one is added, so there is never more
 * than one undecided mail in a session, and what breaks concerns that one alone. attempt_begin is asked when
 * libesmtp wants the body: before it the relay can't take the mail; from then on only the final reply says
 * what became of it.
 *
 * libesmtp hides its socket and can't be told to stop. The socket() below is what its call resolves to: it
 * sets TCP_NODELAY, bounds connect(), and keeps a duplicate of the descriptor, by which another thread cuts
 * off a session that takes too long or is still there when the channel has to close. */
#include <errno.h>
#include <fcntl.h>
#include <auth-client.h> /* before libesmtp.h, which declares less without it */
#include <libesmtp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "config.h"
#include "log.h"
#include "mail_text.h"
#include "moment.h"
#include "smtp_relay.h"
#include "smtp_reply.h"
#include "xalloc.h"
#include "banned.h"

#define SESSIONS_DEFAULT 4
#define SESSIONS_MAX 64
#define SESSION_CREDIT 50     /* attempts in hand a session: a few turns' worth, and few to call back */
#define SESSION_MAILS_MAX 100 /* then a new session: relays count, too */
#define SESSION_IDLE (200 * MOMENT_MS) /* how long a session waits for one more mail */
#define STEP_MIN (1 * MOMENT_S)        /* libesmtp's own minimum for a timeout */
#define STEP_GRACE (2 * MOMENT_S)      /* behind libesmtp's timeouts: they start again at every byte */
#define WATCH_EVERY (250 * MOMENT_MS)
#define PROBE_TIME (5 * MOMENT_S)
#define TAKEN_BACK "taken back before it had begun"
#define CLOSING "the channel is closing"
#define SAID_MAX 4096 /* of what the relay wrote since the last command */

struct mail_job {
	struct attempt *attempt; /* NULL once reported */
	struct worker *worker;
	struct text bytes;
	char *summary, *content;
	smtp_message_t message;
	smtp_recipient_t recipient;
	bool reused; /* not the first of its session */
	bool moved;  /* to a new session, once */
	/* the body's progress */
	bool begun;   /* attempt_begin said yes: from here on it may be taken */
	bool refused; /* attempt_begin said no */
	bool given, drained;
};

struct worker {
	struct email *email;
	pthread_t thread;
	bool started;
	/* the session's, of the worker's thread alone */
	smtp_session_t session;
	struct mail_job *jobs[SESSION_MAILS_MAX]; /* all of this session: libesmtp may still ask for them */
	size_t job_count;
	struct mail_job *job; /* the undecided one */
	enum smtp_step step;
	bool authenticated, barred;
	int64_t asked; /* when heed last said something */
	char said[SAID_MAX];
	size_t said_len;
	/* shared with whoever cuts it off */
	pthread_mutex_t lock;
	int fd;           /* a duplicate of libesmtp's; -1 */
	bool cut;         /* for good: the channel is closing */
	bool overdue;     /* this session was cut off for standing still */
	int64_t deadline; /* 0: none */
};

struct email {
	struct channel base;
	struct smtp_relay relay;
	char *server; /* host:port */
	struct mailbox from;
	char *envelope_from;
	int64_t timeout;
	pthread_mutex_t lock;      /* for what follows */
	pthread_cond_t in_session; /* a session waits for one more mail */
	pthread_cond_t idle;       /* a thread without a session waits for its first */
	pthread_cond_t ended;
	struct attempt *first, **last;
	size_t queued, waiting_in_session;
	size_t running; /* workers */
	bool closing, watched, watch_ends;
	size_t worker_count;
	struct worker *workers;
	pthread_t watch;
};

static _Thread_local struct worker *socket_owner;

/* --- the socket --- */

static void worker_watch(struct worker *w, int steps)
{
	w->asked = moment_mono();
	pthread_mutex_lock(&w->lock);
	w->deadline = steps ? w->asked + steps * w->email->timeout + STEP_GRACE : 0;
	pthread_mutex_unlock(&w->lock);
}

static void worker_cut_locked(struct worker *w)
{
	if (w->fd >= 0)
		shutdown(w->fd, SHUT_RDWR);
}

/* The duplicate is in place before the descriptor goes back to libesmtp. False: it is too late to begin. */
static bool worker_own_socket(struct worker *w, int fd)
{
	struct timeval patience = {.tv_sec = w->email->timeout / MOMENT_S,
				   .tv_usec = w->email->timeout % MOMENT_S};

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* connect() heeds it */
	worker_watch(w, 1);
	pthread_mutex_lock(&w->lock);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	w->overdue = false;
	bool usable = !w->cut && w->fd >= 0;
	pthread_mutex_unlock(&w->lock);
	return usable;
}

static void worker_drop_socket(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->deadline = 0;
	pthread_mutex_unlock(&w->lock);
}

/* In the place of libc's, for the whole process (linked with -rdynamic). */
int socket(int domain, int type, int protocol)
{
	static const int on = 1;
	struct worker *w = socket_owner;
	int fd = (int)syscall(SYS_socket, domain, w ? type | SOCK_CLOEXEC : type, protocol);

	if (fd < 0 || (domain != AF_INET && domain != AF_INET6) ||
	    (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM)
		return fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (w && !worker_own_socket(w, fd)) {
		close(fd);
		fd = -1;
		errno = ECANCELED;
	}
	return fd;
}

/* Cuts off what has stood still for too long: libesmtp's timeouts begin anew at every byte. */
static void *watch_main(void *arg)
{
	struct email *email = arg;

	pthread_mutex_lock(&email->lock);
	while (!email->watch_ends) {
		pthread_mutex_unlock(&email->lock);
		int64_t now = moment_mono();
		for (size_t i = 0; i < email->worker_count; i++) {
			struct worker *w = &email->workers[i];
			pthread_mutex_lock(&w->lock);
			if (w->deadline && now > w->deadline) {
				w->overdue = true;
				worker_cut_locked(w);
			}
			pthread_mutex_unlock(&w->lock);
		}
		pthread_mutex_lock(&email->lock);
		int64_t until = moment_mono() + WATCH_EVERY;
		struct timespec at = {.tv_sec = until / MOMENT_S, .tv_nsec = until % MOMENT_S * 1000};
		if (!email->watch_ends)
			pthread_cond_timedwait(&email->ended, &email->lock, &at);
	}
	pthread_mutex_unlock(&email->lock);
	return NULL;
}

/* --- jobs: an attempt in a worker's hands --- */

static void *need(void *p)
{
	if (!p) { /* libesmtp fails in these places for nothing but memory */
		log_error("mail: out of memory");
		_exit(70);
	}
	return p;
}

static void job_free(struct mail_job *job)
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

static void attempt_not_begun(struct attempt *attempt, const char *why)
{
	struct outcome outcome = outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "%s", why);

	job_free(attempt->channel_private);
	attempt->channel_private = NULL;
	channel_report(attempt, &outcome);
}

/* Fills `bytes`; false: the outcome says why the attempt can't be sent at all. */
static bool job_render(struct mail_job *job, const struct email *email, struct outcome *failure)
{
	const struct attempt *attempt = job->attempt;
	struct render_input input;
	struct rendered rendered = {0};
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
	attempt_render_input(attempt, &input);
	if (!templates_render(&input, email->base.config->name, CHANNEL_TEXT_MAIL, &rendered, &error))
		goto unsendable;
	struct mail mail = {.from = &email->from,
			    .to_name = attempt->customer_name,
			    .to_address = attempt->address,
			    .subject = rendered.subject.data,
			    .text = rendered.text.data,
			    .html = rendered.html.data,
			    .message_id = attempt->message_id,
			    .at = moment_now()};
	if (!mail_text_build(&mail, &job->bytes, &error))
		goto unsendable;
	if (attempt->content_kept != CONTENT_NONE)
		job->summary = xstrdup(rendered.summary.data);
	if (attempt->content_kept == CONTENT_FULL)
		job->content = xasprintf("%s\n\n%s", rendered.subject.data,
					 rendered.text.len ? rendered.text.data : rendered.html.data);
	ok = true;
	goto out;
unsendable:
	*failure = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "%s", error.data);
out:
	rendered_release(&rendered);
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
		attempt_not_begun(attempt, TAKEN_BACK);
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

/* --- the queue of attempts in hand --- */

static void queue_push(struct email *email, struct attempt *attempt, bool in_front)
{
	pthread_mutex_lock(&email->lock);
	bool closing = email->closing;
	if (!closing) {
		attempt->next = in_front ? email->first : NULL;
		if (in_front)
			email->first = attempt;
		else
			*email->last = attempt;
		if (!attempt->next)
			email->last = &attempt->next;
		email->queued++;
		/* an open session is worth more than a new one */
		pthread_cond_signal(email->queued <= email->waiting_in_session ? &email->in_session
									       : &email->idle);
	}
	pthread_mutex_unlock(&email->lock);
	if (closing)
		attempt_not_begun(attempt, CLOSING);
}

/* Waits at most `patience`; < 0: until there is one. NULL: none came, or the channel is closing. */
static struct attempt *queue_take(struct email *email, int64_t patience)
{
	int64_t until = moment_mono() + patience;
	struct timespec at = {.tv_sec = until / MOMENT_S, .tv_nsec = until % MOMENT_S * 1000};
	int waited = 0;

	pthread_mutex_lock(&email->lock);
	while (!email->first && !email->closing && waited != ETIMEDOUT) {
		if (patience < 0) {
			pthread_cond_wait(&email->idle, &email->lock);
		} else {
			email->waiting_in_session++;
			waited = pthread_cond_timedwait(&email->in_session, &email->lock, &at);
			email->waiting_in_session--;
		}
	}
	struct attempt *attempt = email->closing ? NULL : email->first;
	if (attempt) {
		email->first = attempt->next;
		if (!email->first)
			email->last = &email->first;
		attempt->next = NULL;
		email->queued--;
	}
	pthread_mutex_unlock(&email->lock);
	return attempt;
}

static struct attempt *queue_take_all(struct email *email)
{
	pthread_mutex_lock(&email->lock);
	struct attempt *all = email->first;
	email->first = NULL;
	email->last = &email->first;
	email->queued = 0;
	pthread_mutex_unlock(&email->lock);
	return all;
}

static bool is_closing(struct email *email)
{
	pthread_mutex_lock(&email->lock);
	bool closing = email->closing;
	pthread_mutex_unlock(&email->lock);
	return closing;
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
			job->begun = !is_closing(w->email) && attempt_begin(job->attempt);
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
		struct attempt *attempt = queue_take(w->email, left > 0 ? left : 0);
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
	} else if (starts_with(buf, len, "MAIL") && w->email->relay.user && !w->authenticated) {
		/* libesmtp goes on when it could not log in; we don't */
		w->step = SMTP_AUTH;
		w->barred = true;
		pthread_mutex_lock(&w->lock);
		worker_cut_locked(w);
		pthread_mutex_unlock(&w->lock);
		return;
	} else if (starts_with(buf, len, "MAIL")) {
		w->step = SMTP_ENVELOPE;
	}
	w->said_len = 0;
	worker_watch(w, 1);
}

static int on_login(auth_client_request_t request, char **result, int fields, void *arg)
{
	const struct smtp_relay *relay = arg;

	for (int i = 0; i < fields; i++)
		result[i] = request[i].flags & AUTH_USER   ? relay->user
			    : request[i].flags & AUTH_PASS ? relay->password
							   : NULL;
	return 1;
}

/* The relay can't be reached or hangs: what waits behind would only find the same, each after its time. */
static void session_fail_all(struct worker *w, const struct outcome *failure)
{
	struct attempt *next, *attempt = queue_take_all(w->email);

	for (; attempt; attempt = next) {
		struct outcome outcome = *failure;
		next = attempt->next;
		if (!attempt_begin(attempt)) {
			attempt_not_begun(attempt, TAKEN_BACK);
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

	if (!job->begun && (job->refused || is_closing(w->email))) {
		session_decide(w, outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", TAKEN_BACK));
	} else if (!job->begun && job->reused && !job->moved && (!mail->text || mail->code == 421)) {
		/* the relay had had enough of this session before it looked at this mail: a new one */
		job->moved = true;
		w->job = NULL;
		w->job_count--;
		job->attempt->channel_private = job;
		queue_push(w->email, job->attempt, true);
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
	if (email->relay.user) {
		auth = need(auth_create_context());
		auth_set_mechanism_flags(auth, AUTH_PLUGIN_PLAIN, 0);
		auth_set_interact_cb(auth, on_login, &email->relay);
		smtp_auth_set_context(w->session, auth);
	}
	session_add(w, job);
	socket_owner = w;
	smtp_start_session(w->session); /* what it returns says nothing of the mails */
	socket_owner = NULL;
	worker_drop_socket(w);
	if (w->job)
		session_settle(w);
	smtp_destroy_session(w->session);
	if (auth)
		auth_destroy_context(auth);
	for (size_t i = 0; i < w->job_count; i++)
		job_free(w->jobs[i]);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct email *email = w->email;
	struct attempt *attempt;

	while ((attempt = queue_take(email, -1)) != NULL) {
		struct mail_job *job = job_prepare(w, attempt);
		if (job)
			session_run(w, job);
	}
	pthread_mutex_lock(&email->lock);
	email->running--;
	pthread_cond_broadcast(&email->ended);
	pthread_mutex_unlock(&email->lock);
	return NULL;
}

/* --- the channel --- */

struct settings {
	struct smtp_relay relay;
	struct mailbox from;
	struct mailbox envelope;
	int64_t sessions;
};

static void settings_release(struct settings *s)
{
	smtp_relay_release(&s->relay);
	mailbox_release(&s->from);
	mailbox_release(&s->envelope);
}

/* A string of the channel's settings; NULL, and a line in `errors`, where it has to be there and isn't. */
static const char *setting(const struct channel_config *config, const char *key, bool required,
			   struct text *errors)
{
	const json_t *value = json_object_get(config->settings, key);

	if (json_is_string(value) && *json_string_value(value))
		return json_string_value(value);
	bool absent = !value || (json_is_string(value) && !required); /* left out, or its default: "" */
	if (!absent || required)
		text_addf(errors, "%s: %s\n", key, value ? "must be a text" : "is missing");
	return NULL;
}

/* All mistakes, a line each. */
static bool settings_read(const struct channel_config *config, struct settings *s, struct text *errors)
{
	size_t before = errors->len;
	struct text why;

	*s = (struct settings){.sessions = SESSIONS_DEFAULT};
	text_init(&why, TEXT_ERROR_MAX);
	const char *relay = setting(config, "relay", true, errors);
	if (relay && !smtp_relay_parse(relay, &s->relay, &why))
		text_addf(errors, "relay: %s\n", why.data);
	const char *from = setting(config, "from", true, errors);
	if (from && !mailbox_parse(from, &s->from, &why))
		text_addf(errors, "from: %s\n", why.data);
	const char *envelope = setting(config, "envelope_from", false, errors);
	if (!envelope)
		envelope = s->from.address;
	if (envelope && !mailbox_parse(envelope, &s->envelope, &why) && envelope != s->from.address)
		text_addf(errors, "envelope_from: %s\n", why.data);
	const json_t *sessions = json_object_get(config->settings, "sessions");
	if (sessions)
		s->sessions = json_is_integer(sessions) ? json_integer_value(sessions) : 0;
	if (s->sessions < 1 || s->sessions > SESSIONS_MAX)
		text_addf(errors, "sessions: must be a whole number from 1 to %d\n", SESSIONS_MAX);
	text_release(&why);
	return errors->len == before;
}

static enum address_kind email_address_kind(const struct channel_config *config)
{
	(void)config;
	return ADDRESS_EMAIL;
}

static bool email_check(const struct channel_config *config, struct text *errors)
{
	struct settings settings;
	bool ok = settings_read(config, &settings, errors);

	settings_release(&settings);
	return ok;
}

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static void email_free(struct email *email)
{
	for (size_t i = 0; i < email->worker_count; i++)
		pthread_mutex_destroy(&email->workers[i].lock);
	pthread_mutex_destroy(&email->lock);
	pthread_cond_destroy(&email->in_session);
	pthread_cond_destroy(&email->idle);
	pthread_cond_destroy(&email->ended);
	smtp_relay_release(&email->relay);
	mailbox_release(&email->from);
	free(email->envelope_from);
	free(email->server);
	free(email->workers);
	free(email);
}

/* Ends the threads that there are. */
static void email_join(struct email *email)
{
	for (size_t i = 0; i < email->worker_count; i++)
		if (email->workers[i].started)
			pthread_join(email->workers[i].thread, NULL);
	pthread_mutex_lock(&email->lock);
	email->watch_ends = true;
	pthread_cond_broadcast(&email->ended);
	pthread_mutex_unlock(&email->lock);
	if (email->watched)
		pthread_join(email->watch, NULL);
}

/* Threads that take no signals: SIGPIPE would end the process when a relay hangs up, and the others are for
 * the main thread. */
static bool email_start(struct email *email, size_t sessions)
{
	sigset_t all, old;
	bool ok = true;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	email->workers = xcalloc(sessions, sizeof *email->workers);
	for (size_t i = 0; i < sessions; i++) {
		struct worker *w = &email->workers[i];
		w->email = email;
		w->fd = -1;
		pthread_mutex_init(&w->lock, NULL);
	}
	email->worker_count = sessions;
	ok = pthread_create(&email->watch, NULL, watch_main, email) == 0;
	email->watched = ok;
	email->running = ok ? sessions : 0; /* before any of them ends */
	for (size_t i = 0; ok && i < sessions; i++) {
		struct worker *w = &email->workers[i];
		ok = w->started = pthread_create(&w->thread, NULL, worker_main, w) == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ok;
}

static void email_close(struct channel *channel, int64_t patience)
{
	struct email *email = (struct email *)channel;
	int64_t until = moment_mono() + patience;
	struct timespec at = {.tv_sec = until / MOMENT_S, .tv_nsec = until % MOMENT_S * 1000};
	struct attempt *next, *waiting;

	pthread_mutex_lock(&email->lock);
	email->closing = true;
	pthread_cond_broadcast(&email->idle);
	pthread_cond_broadcast(&email->in_session);
	pthread_mutex_unlock(&email->lock);
	for (waiting = queue_take_all(email); waiting; waiting = next) {
		next = waiting->next;
		attempt_not_begun(waiting, CLOSING);
	}
	pthread_mutex_lock(&email->lock);
	while (email->running && pthread_cond_timedwait(&email->ended, &email->lock, &at) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&email->lock);
	for (size_t i = 0; i < email->worker_count; i++) {
		struct worker *w = &email->workers[i];
		pthread_mutex_lock(&w->lock);
		w->cut = true;
		worker_cut_locked(w);
		pthread_mutex_unlock(&w->lock);
	}
	email_join(email);
	email_free(email);
}

static struct channel *email_open(const struct channel_config *config, struct outcome_sink sink,
				  struct text *error)
{
	struct settings settings;
	struct text errors;

	text_init(&errors, TEXT_ERROR_MAX);
	if (!settings_read(config, &settings, &errors)) {
		text_error(error, "%s", errors.data);
		settings_release(&settings);
		text_release(&errors);
		return NULL;
	}
	text_release(&errors);
	struct email *email = xcalloc(1, sizeof *email);
	email->base.config = config;
	email->base.sink = sink;
	email->base.credit = (size_t)settings.sessions * SESSION_CREDIT;
	email->relay = settings.relay;
	email->from = settings.from;
	email->server = xasprintf("%s:%s", settings.relay.host, settings.relay.port);
	email->envelope_from = settings.envelope.address;
	free(settings.envelope.name);
	email->timeout = config->timeout < STEP_MIN ? STEP_MIN : config->timeout;
	email->last = &email->first;
	pthread_mutex_init(&email->lock, NULL);
	cond_init(&email->in_session);
	cond_init(&email->idle);
	cond_init(&email->ended);
	auth_client_init();
	if (!email_start(email, (size_t)settings.sessions)) {
		email_close(&email->base, 0);
		text_error(error, "channel %s: no more threads can be started", config->name);
		return NULL;
	}
	return &email->base;
}

static void email_send(struct channel *channel, struct attempt *attempt)
{
	attempt->channel_private = NULL;
	queue_push((struct email *)channel, attempt, false);
}

/* --- the probe: connects, says EHLO and QUIT --- */

static bool probe_wait(int fd, short events, int64_t until)
{
	struct pollfd wanted = {.fd = fd, .events = events};
	int64_t left = until - moment_mono();

	return left > 0 && poll(&wanted, 1, (int)(left / MOMENT_MS) + 1) > 0;
}

/* One whole reply; its code, 0 if none came. */
static int probe_reply(int fd, int64_t until)
{
	char said[SAID_MAX];
	size_t len = 0, line = 0;

	while (len < sizeof said && probe_wait(fd, POLLIN, until)) {
		ssize_t n = recv(fd, said + len, sizeof said - len, MSG_DONTWAIT);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		for (size_t i = line; i < len; i++) {
			if (said[i] != '\n')
				continue;
			if (i - line < 3 || said[line + 3] != '-')
				return (int)strtol(said + line, NULL, 10);
			line = i + 1;
		}
	}
	return 0;
}

static bool probe_one(const struct addrinfo *address, int64_t until, struct text *error)
{
	static const char ehlo[] = "EHLO localhost\r\n", quit[] = "QUIT\r\n";
	int failure = 0, fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof failure;
	bool ok = false;

	if (fd < 0)
		return text_error(error, "%s", strerrordesc_np(errno));
	if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS)
		failure = errno;
	else if (!probe_wait(fd, POLLOUT, until))
		failure = ETIMEDOUT;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
	if (failure) {
		text_error(error, "%s", strerrordesc_np(failure));
		goto out;
	}
	int greeting = probe_reply(fd, until);
	if (greeting != 220) {
		text_error(error, "it greets with %d in place of 220", greeting);
		goto out;
	}
	int hello = send(fd, ehlo, sizeof ehlo - 1, MSG_NOSIGNAL) > 0 ? probe_reply(fd, until) : 0;
	if (hello != 250) {
		text_error(error, "it answers EHLO with %d in place of 250", hello);
		goto out;
	}
	ok = true;
	if (send(fd, quit, sizeof quit - 1, MSG_NOSIGNAL) > 0)
		probe_reply(fd, until);
out:
	close(fd);
	return ok;
}

static bool email_probe(const struct channel_config *config, struct text *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	struct settings settings;
	struct text errors;
	bool ok = false;

	text_init(&errors, TEXT_ERROR_MAX);
	if (!settings_read(config, &settings, &errors)) {
		text_error(error, "%s", errors.data);
		goto out;
	}
	int failure = getaddrinfo(settings.relay.host, settings.relay.port, &hints, &found);
	if (failure)
		text_error(&errors, "%s", gai_strerror(failure));
	for (const struct addrinfo *a = found; a && !ok; a = a->ai_next)
		ok = probe_one(a, moment_mono() + PROBE_TIME, &errors);
	if (!ok)
		text_error(error, "relay %s:%s: %s", settings.relay.host, settings.relay.port, errors.data);
	if (found)
		freeaddrinfo(found);
out:
	settings_release(&settings);
	text_release(&errors);
	return ok;
}

extern const struct channel_ops channel_email_ops; /* adapters/registry.c names it */
const struct channel_ops channel_email_ops = {
	.adapter = "smtp",
	.text = CHANNEL_TEXT_MAIL,
	.address_kind = email_address_kind,
	.has_provider = true,
	.resend_in_doubt = true,
	.check = email_check,
	.open = email_open,
	.send = email_send,
	.close = email_close,
	.probe = email_probe,
};
