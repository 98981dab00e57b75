/* The engine with TLS.
 *
 * libcurl makes the connection: TLS at once (smtps) or by STARTTLS, certificate and name verified, then EHLO
 * and the login. There it stops (CURLOPT_CONNECT_ONLY), and the mails' dialogue goes over curl_easy_send and
 * curl_easy_recv. A transfer of libcurl's own would close the connection at each refused recipient, and could
 * not say which reply came before the body and which behind it; here every reply is seen, and attempt_begin
 * is asked directly before the body's first byte.
 *
 * Nothing goes out in the clear but EHLO and STARTTLS: a relay without STARTTLS, a certificate that is not
 * right or a word of the relay's between STARTTLS and TLS ends the session. Waits are cut into slices, so
 * that a session notices soon when the channel closes. */
#include "channel_email_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>

#include "config.h"
#include "log.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define SESSION_IDLE                                                                           \
	(5 * MOMENT_S) /* how long a session waits for one more mail: TLS and a login are dear \
			*/
#define SLICE (100 * MOMENT_MS)
#define QUIT_TIME (500 * MOMENT_MS) /* for the answer to QUIT */
#define CONNECT_STEPS 20            /* timeouts that connecting, TLS, EHLO and the login may take together */
#define REPLY_WORDS_MAX SAID_MAX

struct session {
	struct worker *w; /* NULL: a probe */
	const struct email_settings *settings;
	int64_t timeout;
	CURL *easy;
	CURLM *multi;
	char trouble[CURL_ERROR_SIZE];
	/* of one connection */
	enum smtp_step step;
	bool timed_out, barred, authenticated, pipelining;
	bool open;          /* the envelope's turn has come, and all is in order */
	bool half_envelope; /* RSET before the next one */
	size_t count;       /* mails */
	int64_t asked;      /* when the relay's turn began */
	int64_t quit_at;    /* libcurl's own QUIT; 0: none */
	char said[SAID_MAX];
	size_t said_len;
	/* of one mail */
	struct smtp_reply mail, rcpt, message;
	struct text mail_words, rcpt_words, message_words;
	bool complete;
};

/* --- waiting --- */

static bool is_cut(struct session *s)
{
	if (!s->w)
		return false;
	pthread_mutex_lock(&s->w->lock);
	bool cut = s->w->cut;
	pthread_mutex_unlock(&s->w->lock);
	return cut;
}

/* Milliseconds that the next wait may take; 0: no more. */
static int slice(struct session *s)
{
	int64_t left = s->asked + s->timeout - moment_mono();

	s->timed_out = left <= 0;
	if (left <= 0 || is_cut(s))
		return 0;
	return (int)((left < SLICE ? left : SLICE) / MOMENT_MS) + 1;
}

static void relays_turn(struct session *s)
{
	s->asked = moment_mono();
	s->said_len = 0;
	s->said[0] = '\0';
}

static void said_add(struct session *s, const char *data, size_t len)
{
	size_t room = sizeof s->said - 1 - s->said_len;
	size_t n = len < room ? len : room;

	memcpy(s->said + s->said_len, data, n);
	s->said_len += n;
	s->said[s->said_len] = '\0';
}

/* --- the connection: libcurl's part --- */

static bool starts_with(const char *data, size_t len, const char *what)
{
	return len >= strlen(what) && strncasecmp(data, what, strlen(what)) == 0;
}

static void on_command(struct session *s, const char *data, size_t len)
{
	/* libcurl says HELO after any refusal of EHLO; a 4xx is none */
	if (starts_with(data, len, "HELO") && s->said[0] == '4')
		s->barred = true;
	if (starts_with(data, len, "QUIT"))
		s->quit_at = moment_mono();
	if (s->barred || s->quit_at)
		return;
	if (starts_with(data, len, "EHLO") || starts_with(data, len, "HELO")) {
		s->step = SMTP_HELLO;
		s->pipelining = false;
	} else if (starts_with(data, len, "STARTTLS")) {
		s->step = SMTP_TLS;
	} else if (starts_with(data, len, "AUTH")) {
		s->step = SMTP_AUTH;
	}
	relays_turn(s);
}

static void on_answer(struct session *s, const char *data, size_t len)
{
	struct smtp_reply reply;
	struct text words;

	if (s->barred || s->quit_at)
		return;
	said_add(s, data, len);
	if (s->step == SMTP_HELLO && len > 4 && starts_with(data + 4, len - 4, "PIPELINING"))
		s->pipelining = true;
	text_init(&words, REPLY_WORDS_MAX);
	if (smtp_reply_read(s->said, &reply, &words) < 0)
		s->barred = true; /* libcurl would wait for a line that makes sense */
	if (s->step == SMTP_AUTH && reply.text && reply.code == 235)
		s->authenticated = true;
	text_release(&words);
}

/* What is said, the passwords among it, is looked at and not kept longer than that. */
static int on_traffic(CURL *easy, curl_infotype type, char *data, size_t len, void *arg)
{
	(void)easy;
	if (type == CURLINFO_HEADER_IN)
		on_answer(arg, data, len);
	else if (type == CURLINFO_HEADER_OUT)
		on_command(arg, data, len);
	return 0;
}

/* libcurl says QUIT where it gives up, and waits for the answer. Non-zero: no longer. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct session *s = arg;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return is_cut(s) || (s->quit_at && moment_mono() > s->quit_at + QUIT_TIME);
}

/* The connection stands, with smtps its TLS as well: it is for the relay to greet. */
static void see_progress(struct session *s)
{
	bool smtps = strcmp(s->settings->relay.scheme, "smtps") == 0;
	curl_off_t after = 0;

	if (s->step != SMTP_CONNECT)
		return;
	curl_easy_getinfo(s->easy, smtps ? CURLINFO_APPCONNECT_TIME_T : CURLINFO_CONNECT_TIME_T, &after);
	if (after) {
		s->step = SMTP_GREETING;
		s->asked = moment_mono();
	}
}

/* In words, what libcurl means. */
static void explain(struct session *s, CURLcode result)
{
	bool starttls = strcmp(s->settings->relay.scheme, "smtps") != 0;
	long system = 0;

	curl_easy_getinfo(s->easy, CURLINFO_OS_ERRNO, &system);
	if (result == CURLE_COULDNT_CONNECT && system)
		snprintf(s->trouble, sizeof s->trouble, "%s", strerrordesc_np((int)system));
	else if (result == CURLE_WEIRD_SERVER_REPLY && s->step == SMTP_TLS)
		snprintf(s->trouble, sizeof s->trouble, "the relay went on in the clear after STARTTLS");
	else if (result == CURLE_USE_SSL_FAILED && starttls && s->step == SMTP_HELLO)
		snprintf(s->trouble, sizeof s->trouble,
			 "the relay does not offer STARTTLS, and nothing goes out without");
	else if (!*s->trouble)
		snprintf(s->trouble, sizeof s->trouble, "%s", curl_easy_strerror(result));
}

static bool is_tls_trouble(CURLcode result)
{
	switch (result) {
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_ENGINE_SETFAILED:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_USE_SSL_FAILED:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return true;
	default:
		return false;
	}
}

static void session_options(struct session *s)
{
	const struct config_url *relay = &s->settings->relay;
	bool smtps = strcmp(relay->scheme, "smtps") == 0;
	CURL *c = s->easy;

	char *url = xasprintf(strchr(relay->host, ':') ? "%s://[%s]:%s" : "%s://%s:%s",
			      smtps ? "smtps" : "smtp", relay->host, s->settings->port);
	curl_easy_reset(c); /* not what it knows of TLS sessions */
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, smtps ? "smtps" : "smtp");
	curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(c, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (*s->settings->ca) { /* in the place of the system's */
		curl_easy_setopt(c, CURLOPT_CAINFO, s->settings->ca);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	if (*relay->user) {
		/* of the user's name libcurl would conclude other mechanisms, too: "user@domain" means
		 * Kerberos */
		curl_easy_setopt(c, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN;AUTH=CRAM-MD5");
		curl_easy_setopt(c, CURLOPT_USERNAME, relay->user);
		curl_easy_setopt(c, CURLOPT_PASSWORD, relay->password);
	}
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(CONNECT_STEPS * s->timeout / MOMENT_MS));
	curl_easy_setopt(c, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(s->timeout / MOMENT_S) + 1);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->trouble);
	curl_easy_setopt(c, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(c, CURLOPT_DEBUGFUNCTION, on_traffic);
	curl_easy_setopt(c, CURLOPT_DEBUGDATA, s);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, s);
	free(url);
}

/* Connects, makes it safe, says EHLO, logs in. False: s->step and the rest say where it ended. */
static bool session_open(struct session *s)
{
	CURLcode result = CURLE_AGAIN;
	int running = 1, left, wait;

	s->step = SMTP_CONNECT;
	s->timed_out = s->barred = s->authenticated = s->pipelining = s->open = s->half_envelope = false;
	s->count = 0;
	s->quit_at = 0;
	s->trouble[0] = '\0';
	session_options(s);
	relays_turn(s);
	curl_multi_add_handle(s->multi, s->easy);
	for (;;) {
		if (curl_multi_perform(s->multi, &running) != CURLM_OK)
			break;
		see_progress(s);
		if (!running || s->barred || (wait = slice(s)) == 0)
			break;
		curl_multi_poll(s->multi, NULL, 0, wait, NULL);
	}
	for (CURLMsg *m; (m = curl_multi_info_read(s->multi, &left));)
		if (m->msg == CURLMSG_DONE)
			result = m->data.result;
	if (result == CURLE_OK && !s->barred) {
		s->timed_out = false;
		s->open = !*s->settings->relay.user || s->authenticated;
		s->step = s->open ? SMTP_ENVELOPE : SMTP_AUTH; /* libcurl goes on where no AUTH is offered */
		return s->open;
	}
	explain(s, result);
	if (result == CURLE_LOGIN_DENIED)
		s->step = SMTP_AUTH;
	else if (is_tls_trouble(result))
		s->step = SMTP_TLS;
	s->timed_out = s->timed_out || result == CURLE_OPERATION_TIMEDOUT;
	return false;
}

/* --- the mails' part --- */

static bool wait_for(struct session *s, short events)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	int wait;

	curl_easy_getinfo(s->easy, CURLINFO_ACTIVESOCKET, &fd);
	while (fd != CURL_SOCKET_BAD && (wait = slice(s)) != 0) {
		struct pollfd wanted = {.fd = fd, .events = events};
		int ready = poll(&wanted, 1, wait);
		if (ready > 0)
			return true;
		if (ready < 0 && errno != EINTR)
			return false;
	}
	return false;
}

/* False: not all of it left. */
static bool session_write(struct session *s, const char *data, size_t len)
{
	relays_turn(s);
	while (s->open && len) {
		size_t n = 0;
		CURLcode result = curl_easy_send(s->easy, data, len, &n);
		if (result == CURLE_AGAIN)
			s->open = wait_for(s, POLLIN | POLLOUT) && slice(s);
		else if (result != CURLE_OK)
			s->open = false;
		data += n;
		len -= n;
		if (result == CURLE_AGAIN && s->open)
			poll(NULL, 0, 1); /* readable, and still not writable: not in circles */
	}
	return s->open;
}

/* More of what the relay says, if it is there already. False: there is none now (`*again`), or never. */
static bool session_listen(struct session *s, bool *again)
{
	char block[1024];
	size_t room = sizeof s->said - 1 - s->said_len, n = 0;

	CURLcode result = room ? curl_easy_recv(s->easy, block, room < sizeof block ? room : sizeof block, &n)
			       : CURLE_RECV_ERROR;
	*again = result == CURLE_AGAIN;
	if (result != CURLE_OK || n == 0)
		return false;
	said_add(s, block, n);
	return true;
}

/* One reply. False: none came that is whole, and the connection is of no more use. */
static bool session_read(struct session *s, struct smtp_reply *reply, struct text *words)
{
	bool again = false;
	int used;

	while ((used = smtp_reply_read(s->said, reply, words)) == 0)
		if (!session_listen(s, &again) && !(again && wait_for(s, POLLIN)))
			break;
	if (used > 0) {
		memmove(s->said, s->said + used, s->said_len - (size_t)used + 1);
		s->said_len -= (size_t)used;
	} else {
		s->open = false;
	}
	return used > 0;
}

static bool session_say(struct session *s, const char *command, struct smtp_reply *reply, struct text *words)
{
	return session_write(s, command, strlen(command)) && session_read(s, reply, words);
}

/* A relay that says 421 will hang up; one whose answer makes no sense is better left. */
static bool is_refusal(const struct smtp_reply *reply)
{
	int class = reply->code / 100;
	return reply->text && reply->code != 421 && (class == 4 || class == 5);
}

static bool is_ok(const struct smtp_reply *reply)
{
	return reply->text && reply->code / 100 == 2;
}

/* True: MAIL FROM and RCPT TO are accepted. */
static bool session_envelope(struct session *s, const struct mail_job *job)
{
	char *from = xasprintf("MAIL FROM:<%s>\r\n", job->envelope);
	char *to = xasprintf("RCPT TO:<%s>\r\n", job->attempt->address);
	char *both = xasprintf("%s%s", from, to);
	bool ok = true;

	if (s->half_envelope)
		ok = session_say(s, "RSET\r\n", &s->mail, &s->mail_words) && is_ok(&s->mail);
	s->mail = (struct smtp_reply){0};
	s->half_envelope = true;
	if (!ok) {
		s->open = false;
	} else if (s->pipelining) {
		ok = session_say(s, both, &s->mail, &s->mail_words) &&
		     session_read(s, &s->rcpt, &s->rcpt_words) && is_ok(&s->mail) && is_ok(&s->rcpt);
	} else {
		ok = session_say(s, from, &s->mail, &s->mail_words) && is_ok(&s->mail) &&
		     session_say(s, to, &s->rcpt, &s->rcpt_words) && is_ok(&s->rcpt);
	}
	free(from);
	free(to);
	free(both);
	return ok;
}

/* The body and its reply, once attempt_begin agrees. Without it the connection has to end: there is no other
 * way back from 354. */
static void session_body(struct session *s, struct mail_job *job)
{
	struct text wire;

	if (!job_begin(s->w, job)) {
		s->open = false;
		return;
	}
	s->message = (struct smtp_reply){0};
	text_init(&wire, 2 * MAIL_SIZE_MAX);
	mail_text_wire(&job->bytes, &wire);
	bool whole = session_write(s, wire.data, wire.len);
	text_release(&wire);
	if (whole) {
		s->asked = moment_mono(); /* for its reply, a time of its own */
		s->complete = session_read(s, &s->message, &s->message_words);
		s->half_envelope = false;
	} else if (!is_cut(s)) {
		bool again; /* it may have said why it does not want more */
		while (smtp_reply_read(s->said, &s->message, &s->message_words) == 0 &&
		       session_listen(s, &again))
			;
	}
}

/* True: the session can take one more. */
static bool session_mail(struct session *s, struct mail_job *job)
{
	s->mail = s->rcpt = s->message = (struct smtp_reply){0};
	s->complete = false;
	if (session_envelope(s, job) && session_say(s, "DATA\r\n", &s->message, &s->message_words) &&
	    s->message.code == 354)
		session_body(s, job);
	const struct smtp_reply *last = s->message.text ? &s->message : is_ok(&s->mail) ? &s->rcpt : &s->mail;
	bool usual = s->complete ? is_ok(last) || is_refusal(last) : is_refusal(last);
	s->open = s->open && usual;
	return s->open;
}

static struct outcome session_judge(const struct session *s, const struct mail_job *job)
{
	struct smtp_dialogue dialogue = {
		.step = s->step,
		.mail = s->mail,
		.rcpt = s->rcpt,
		.message = s->message,
		.body_begun = job && job->begun,
		.complete = s->complete,
		.timed_out = s->timed_out,
		.said = s->said,
		.trouble = s->trouble,
	};
	return s->w ? email_judge(s->w->email, &dialogue) : smtp_judge(&dialogue);
}

/* Says what became of the mail, or moves it to a new session where this one ended before it. */
static void session_settle(struct session *s, struct mail_job *job)
{
	struct email *email = s->w->email;

	if (!job->begun && (job->refused || (!s->open && !s->mail.text && email_is_closing(email)))) {
		job_finish(job, outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", TAKEN_BACK));
	} else if (!job->begun && job->reused && !job->moved && (!s->mail.text || s->mail.code == 421)) {
		job_move(s->w, job);
		return;
	} else {
		struct outcome outcome = session_judge(s, job);
		job_finish(job, outcome);
		if (smtp_is_hopeless(s->step, &outcome))
			email_fail_all(email, &outcome);
	}
	job_free(job);
}

/* One more mail for the session, if one comes soon. */
static struct mail_job *session_next(struct session *s)
{
	int64_t until = moment_mono() + SESSION_IDLE;
	struct mail_job *job = NULL;

	while (s->count < SESSION_MAILS_MAX && !job) {
		int64_t left = until - moment_mono();
		struct attempt *attempt = email_take(s->w->email, left > 0 ? left : 0);
		if (!attempt)
			break;
		job = job_prepare(s->w, attempt);
	}
	return job;
}

static void session_close(struct session *s)
{
	if (s->open) {
		int64_t timeout = s->timeout;
		s->timeout = timeout < QUIT_TIME ? timeout : QUIT_TIME;
		session_say(s, "QUIT\r\n", &s->mail, &s->mail_words);
		s->timeout = timeout;
	}
	s->open = false;
	curl_multi_remove_handle(s->multi, s->easy); /* and closes the connection */
}

static struct session *session_new(struct worker *w, const struct email_settings *settings, int64_t timeout)
{
	struct session *s = xcalloc(1, sizeof *s);

	s->w = w;
	s->settings = settings;
	s->timeout = timeout;
	s->easy = curl_easy_init();
	s->multi = curl_multi_init();
	if (!s->easy || !s->multi) { /* fails for nothing but memory */
		log_error("mail: out of memory");
		_exit(70);
	}
	text_init(&s->mail_words, REPLY_WORDS_MAX);
	text_init(&s->rcpt_words, REPLY_WORDS_MAX);
	text_init(&s->message_words, REPLY_WORDS_MAX);
	return s;
}

static void session_free(struct session *s)
{
	if (!s)
		return;
	curl_easy_cleanup(s->easy);
	curl_multi_cleanup(s->multi);
	text_release(&s->mail_words);
	text_release(&s->rcpt_words);
	text_release(&s->message_words);
	free(s);
}

/* --- the engine --- */

static void tls_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void tls_serve(struct worker *w, struct mail_job *job)
{
	if (!w->kept)
		w->kept = session_new(w, &w->email->settings, w->email->timeout);
	struct session *s = w->kept;

	s->mail = (struct smtp_reply){0};
	for (session_open(s); job; job = s->open ? session_next(s) : NULL) {
		job->reused = s->count++ > 0;
		if (s->open)
			session_mail(s, job);
		session_settle(s, job);
	}
	session_close(s);
}

static void tls_end(struct worker *w)
{
	session_free(w->kept);
	w->kept = NULL;
}

static bool tls_probe(const struct email_settings *settings, struct text *error)
{
	tls_init();
	struct session *s = session_new(NULL, settings, PROBE_TIME);
	bool ok = session_open(s);

	if (!ok) {
		struct outcome outcome = session_judge(s, NULL);
		bool reply = outcome.code[0] >= '1' && outcome.code[0] <= '5';
		text_error(error, "%s%s%s%s", reply ? "it answers " : "", reply ? outcome.code : "",
			   reply ? " " : "", outcome.text);
	}
	session_close(s);
	session_free(s);
	return ok;
}

const struct email_engine email_tls = {
	.init = tls_init, .serve = tls_serve, .end = tls_end, .probe = tls_probe};
