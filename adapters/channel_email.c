/* Mail over SMTP: threads that hold sessions of many mails each. A thread takes an attempt, renders it and
 * has the engine of the relay's scheme start a session with it: email_plain for smtp, email_tls for the
 * others. There is no way from the second to the first.
 *
 * libesmtp hides its socket and can't be told to stop. The socket() below is what its call resolves to: it
 * sets TCP_NODELAY, bounds connect(), and keeps a duplicate of the descriptor, by which another thread cuts
 * off a session that takes too long or is still there when the channel has to close. */
#include "channel_email_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "descriptors.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define SESSIONS_DEFAULT 4
#define SESSIONS_MAX 64
#define SESSION_CREDIT 50         /* attempts in hand a session: a few turns' worth, and few to call back */
#define STEP_MIN (1 * MOMENT_S)   /* libesmtp's own minimum for a timeout */
#define STEP_GRACE (2 * MOMENT_S) /* behind libesmtp's timeouts */
#define LOCAL_PART_MAX 64         /* RFC 5321 section 4.5.3.1.1 */
#define WATCH_EVERY (250 * MOMENT_MS)

/* --- the socket --- */

static _Thread_local struct worker *socket_owner;

void worker_watch(struct worker *w, int steps)
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
	if (w->fd < 0)
		descriptors_ran_out();
	w->overdue = false;
	bool usable = !w->cut && w->fd >= 0;
	pthread_mutex_unlock(&w->lock);
	return usable;
}

void worker_cut(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	worker_cut_locked(w);
	pthread_mutex_unlock(&w->lock);
}

void worker_begin(struct worker *w)
{
	socket_owner = w;
}

void worker_end(struct worker *w)
{
	socket_owner = NULL;
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

	if (fd < 0)
		descriptors_ran_out();
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

/* --- the attempts in hand --- */

void email_not_begun(struct attempt *attempt, const char *why)
{
	struct outcome outcome = outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "%s", why);

	job_free(attempt->channel_private);
	attempt->channel_private = NULL;
	channel_report(attempt, &outcome);
}

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
		email_not_begun(attempt, CLOSING);
}

struct attempt *email_take(struct email *email, int64_t patience)
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

struct attempt *email_take_all(struct email *email)
{
	pthread_mutex_lock(&email->lock);
	struct attempt *all = email->first;
	email->first = NULL;
	email->last = &email->first;
	email->queued = 0;
	pthread_mutex_unlock(&email->lock);
	return all;
}

void email_put_back(struct email *email, struct attempt *attempt)
{
	queue_push(email, attempt, true);
}

bool email_is_closing(struct email *email)
{
	pthread_mutex_lock(&email->lock);
	bool closing = email->closing;
	pthread_mutex_unlock(&email->lock);
	return closing;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct email *email = w->email;
	struct attempt *attempt;

	pthread_setname_np(pthread_self(), "email");
	while ((attempt = email_take(email, -1)) != NULL) {
		struct mail_job *job = job_prepare(w, attempt);
		if (job)
			email->engine->serve(w, job);
	}
	email->engine->end(w);
	pthread_mutex_lock(&email->lock);
	email->running--;
	pthread_cond_broadcast(&email->ended);
	pthread_mutex_unlock(&email->lock);
	return NULL;
}

/* --- the channel --- */

void email_settings_release(struct email_settings *s)
{
	config_url_release(&s->relay);
	mailbox_release(&s->from);
	mailbox_release(&s->envelope);
	mail_signer_free(s->signer);
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

static const struct {
	const char *scheme;
	int port;
	bool tls;
} schemes[] = {{"smtp", 25, false}, {"smtps", 465, true}, {"smtp+starttls", 587, true}};

/* SCHEME://[user:password@]host[:port]; without TLS a password stays on this host. */
static void relay_read(const char *value, struct email_settings *s, struct text *errors)
{
	struct config_url *url = &s->relay;
	size_t i = 0, count = sizeof schemes / sizeof schemes[0];

	bool is_url = config_url_parse(value, url) && (!*url->path || strcmp(url->path, "/") == 0);
	while (is_url && i < count && strcmp(url->scheme, schemes[i].scheme) != 0)
		i++;
	if (!is_url || i == count) {
		text_addf(errors, "relay: is not a relay; smtp://host:port, smtps://user:password@host or "
				  "smtp+starttls://user:password@host would be right\n");
		return;
	}
	s->tls = schemes[i].tls;
	snprintf(s->port, sizeof s->port, "%d", url->port ? url->port : schemes[i].port);
	if (!s->tls && strchr(url->host, ':')) /* libesmtp would take it for the port */
		text_addf(errors, "relay: an IPv6 address can't be used; a host's name would be right\n");
	else if (!*url->user != !*url->password)
		text_addf(errors,
			  "relay: user and password belong together; both or neither would be right\n");
	else if (!s->tls && *url->user && !config_host_is_local(url->host))
		text_addf(errors,
			  "relay: would send its password in the clear to %s; smtps:// or smtp+starttls:// "
			  "would be right\n",
			  url->host);
}

/* A file of certificates; what is in it is seen when it is used. */
static void ca_read(const struct channel_config *config, struct email_settings *s, struct text *errors)
{
	const char *ca = setting(config, "ca", false, errors);

	s->ca = ca ? ca : "";
	if (ca && !s->tls && *s->port)
		text_addf(errors,
			  "ca: means nothing for smtp://; smtps:// or smtp+starttls:// would be right\n");
	else if (ca && access(ca, R_OK) != 0)
		text_addf(errors, "ca: %s cannot be read: %s; mend the path or its mode\n", ca,
			  strerrordesc_np(errno));
}

/* With `{token}` in it, it is another address for each attempt. */
static void envelope_check(const char *address, struct text *errors)
{
	const char *mark = strstr(address, MAIL_TOKEN_MARK), *at = strrchr(address, '@');
	size_t local = (size_t)(at - address);

	if (strchr(address, '{') && (!mark || strchr(mark + 1, '{') || mark > at))
		text_addf(errors,
			  "envelope_from: what stands in braces may be {token}, once, before the @\n");
	else if (mark && local - strlen(MAIL_TOKEN_MARK) + MAIL_TOKEN_MAX - 1 > LOCAL_PART_MAX)
		text_addf(errors,
			  "envelope_from: a token has up to %d characters, and with it more than %d stand "
			  "before "
			  "the @; a shorter one would be right\n",
			  MAIL_TOKEN_MAX - 1, LOCAL_PART_MAX);
}

bool email_settings_read(const struct channel_config *config, struct email_settings *s, struct text *errors)
{
	size_t before = errors->len;
	struct text why;

	*s = (struct email_settings){.sessions = SESSIONS_DEFAULT};
	text_init(&why, TEXT_ERROR_MAX);
	const char *relay = setting(config, "relay", true, errors);
	if (relay)
		relay_read(relay, s, errors);
	ca_read(config, s, errors);
	const char *from = setting(config, "from", true, errors);
	if (from && !mailbox_parse(from, &s->from, &why))
		text_addf(errors, "from: %s\n", why.data);
	const char *envelope = setting(config, "envelope_from", false, errors);
	if (!envelope)
		envelope = s->from.address;
	if (envelope && !mailbox_parse(envelope, &s->envelope, &why) && envelope != s->from.address)
		text_addf(errors, "envelope_from: %s\n", why.data);
	else if (envelope)
		envelope_check(s->envelope.address, errors);
	const json_t *sessions = json_object_get(config->settings, "sessions");
	if (sessions)
		s->sessions = json_is_integer(sessions) ? json_integer_value(sessions) : 0;
	if (s->sessions < 1 || s->sessions > SESSIONS_MAX)
		text_addf(errors, "sessions: must be a whole number from 1 to %d\n", SESSIONS_MAX);
	const json_t *dkim = json_object_get(config->settings, "dkim");
	if (dkim && json_array_size(dkim))
		s->signer = mail_signer_new(dkim, errors);
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
	struct email_settings settings;
	bool ok = email_settings_read(config, &settings, errors);

	email_settings_release(&settings);
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
	email_settings_release(&email->settings);
	free(email->ca);
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
	for (waiting = email_take_all(email); waiting; waiting = next) {
		next = waiting->next;
		email_not_begun(waiting, CLOSING);
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
	struct email_settings settings;
	struct text errors;

	text_init(&errors, TEXT_ERROR_MAX);
	if (!email_settings_read(config, &settings, &errors)) {
		text_error(error, "%s", errors.data);
		email_settings_release(&settings);
		text_release(&errors);
		return NULL;
	}
	text_release(&errors);
	struct email *email = xcalloc(1, sizeof *email);
	email->base.config = config;
	email->base.sink = sink;
	email->base.credit = (size_t)settings.sessions * SESSION_CREDIT;
	email->settings = settings;
	email->settings.ca = email->ca = xstrdup(settings.ca);
	email->engine = settings.tls ? &email_tls : &email_plain;
	email->timeout = config->timeout < STEP_MIN ? STEP_MIN : config->timeout;
	email->last = &email->first;
	pthread_mutex_init(&email->lock, NULL);
	cond_init(&email->in_session);
	cond_init(&email->idle);
	cond_init(&email->ended);
	email->engine->init();
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

static bool email_probe(const struct channel_config *config, struct text *error)
{
	struct email_settings settings;
	struct text errors;

	text_init(&errors, TEXT_ERROR_MAX);
	bool ok = email_settings_read(config, &settings, &errors);
	if (!ok) {
		text_error(error, "%s", errors.data);
	} else {
		ok = (settings.tls ? &email_tls : &email_plain)->probe(&settings, &errors);
		if (!ok)
			text_error(error, "relay %s:%s: %s", settings.relay.host, settings.port, errors.data);
	}
	email_settings_release(&settings);
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
