/* A mailbox over IMAP (RFC 3501, RFC 2177).
 *
 * libcurl makes the connection: TLS, certificate and name verified, CAPABILITY, the login. There it stops
 * (CURLOPT_CONNECT_ONLY), and the dialogue goes over curl_easy_send and curl_easy_recv: a transfer of
 * libcurl's own marks a mail as read with the reading of it (BODY[] and not BODY.PEEK[]), before it is
 * recorded. Whatever the server says is bounded. */
#include "mail_box.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "mail_in.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define IDLE_MAX (25 * MOMENT_MINUTE) /* RFC 2177: a server may hang up after 30 */
#define SLICE (100 * MOMENT_MS)
#define CONNECT_STEPS 8                /* timeouts that connecting, TLS and the login may take together */
#define LINE_MAX_BYTES (256 * 1024)    /* of one answer; a search may find more, and is cut */
#define LITERAL_SKIPPED_MAX (64 << 20) /* a server that sends more than it was asked for is left */
#define LINES_MAX 100000               /* untagged ones before the answer to a command */

struct mail_box {
	const struct mail_box_config *config;
	const _Atomic bool *stopping;
	CURL *easy;
	CURLM *multi;
	char trouble[CURL_ERROR_SIZE];
	unsigned tag;
	bool can_idle;
	bool news;      /* the server told of mails since they were looked for */
	char in[16384]; /* read and not looked at yet */
	size_t in_at, in_len;
	struct text line;
	struct text literal; /* of the last line that had one */
};

/* --- bytes --- */

static bool is_stopping(const struct mail_box *box)
{
	return atomic_load(box->stopping);
}

/* False: `until` is over, or the gateway ends. */
static bool box_poll(struct mail_box *box, short events, int64_t until)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	curl_easy_getinfo(box->easy, CURLINFO_ACTIVESOCKET, &fd);
	while (fd != CURL_SOCKET_BAD && !is_stopping(box)) {
		struct pollfd wanted = {.fd = fd, .events = events};
		int64_t left = until - moment_mono();
		if (left <= 0)
			return false;
		int ready = poll(&wanted, 1, (int)((left < SLICE ? left : SLICE) / MOMENT_MS) + 1);
		if (ready > 0)
			return true;
		if (ready < 0 && errno != EINTR)
			return false;
	}
	return false;
}

static bool box_write(struct mail_box *box, const char *data, size_t len)
{
	int64_t until = moment_mono() + box->config->timeout;

	while (len) {
		size_t n = 0;
		CURLcode result = curl_easy_send(box->easy, data, len, &n);
		if (result == CURLE_AGAIN && box_poll(box, POLLOUT, until))
			continue;
		if (result != CURLE_OK)
			return false;
		data += n;
		len -= n;
	}
	return true;
}

/* More into `in`, which is empty. False: nothing came until then, or the connection is over (*over). */
static bool box_fill(struct mail_box *box, int64_t until, bool *over)
{
	*over = false;
	for (;;) {
		size_t n = 0;
		CURLcode result = curl_easy_recv(box->easy, box->in, sizeof box->in, &n);
		if (result == CURLE_OK && n) {
			box->in_at = 0;
			box->in_len = n;
			return true;
		}
		if (result != CURLE_AGAIN) {
			*over = true;
			return false;
		}
		if (!box_poll(box, POLLIN, until))
			return false;
	}
}

static bool read_literal(struct mail_box *box, size_t len, int64_t until, bool *over)
{
	text_clear(&box->literal);
	if (len > LITERAL_SKIPPED_MAX) {
		*over = true;
		return false;
	}
	while (len) {
		if (box->in_at == box->in_len && !box_fill(box, until, over))
			return false;
		size_t n = box->in_len - box->in_at < len ? box->in_len - box->in_at : len;
		size_t room = box->literal.max - box->literal.len;
		text_add(&box->literal, box->in + box->in_at, n < room ? n : room);
		box->in_at += n;
		len -= n;
	}
	return true;
}

/* The line ends in {123}: how long the literal behind it is; false: there is none. */
static bool announces_literal(const struct text *line, size_t *len)
{
	if (!line->len || line->data[line->len - 1] != '}')
		return false;
	const char *open = strrchr(line->data, '{');
	if (!open || !isdigit((unsigned char)open[1]))
		return false;
	char *end;
	errno = 0;
	unsigned long long value = strtoull(open + 1, &end, 10);
	*len = errno ? SIZE_MAX : (size_t)value;
	return *end == '}' || (*end == '+' && end[1] == '}');
}

/* One answer of the server, with the literal in it. False: none came until then, or *over. */
static bool box_read(struct mail_box *box, int64_t until, bool *over)
{
	size_t len;

	*over = false;
	text_clear(&box->line);
	for (;;) {
		if (box->in_at == box->in_len && !box_fill(box, until, over))
			return false;
		char c = box->in[box->in_at++];
		if (c != '\n') {
			if (c != '\r' && box->line.len < box->line.max)
				text_putc(&box->line, c);
			continue;
		}
		if (!announces_literal(&box->line, &len))
			return true;
		if (!read_literal(box, len, until, over))
			return false;
	}
}

/* --- commands --- */

static bool box_fail(const struct mail_box *box, struct text *error, const char *what)
{
	if (is_stopping(box))
		return text_error(error, "the gateway ends");
	return text_error(error, "%s:%d: %s", box->config->host, box->config->port, what);
}

/* Says the command, and gives what the server answers before the end of it to `each` (may be NULL). False:
 * the server said no, or nothing. */
static bool box_command(struct mail_box *box, const char *command,
			void (*each)(struct mail_box *box, void *context), void *context, struct text *error)
{
	char tag[16];
	bool over = false;
	char *line = xasprintf("h%u %s\r\n", ++box->tag, command);

	snprintf(tag, sizeof tag, "h%u ", box->tag);
	bool ok = box_write(box, line, strlen(line));
	free(line);
	for (int lines = 0; ok && lines < LINES_MAX; lines++) {
		text_clear(&box->literal);
		if (!box_read(box, moment_mono() + box->config->timeout, &over))
			break;
		if (strncmp(box->line.data, tag, strlen(tag)) == 0) {
			if (strncasecmp(box->line.data + strlen(tag), "OK", 2) == 0)
				return true;
			text_error(error, "%s:%d: %.10s: the server says %.200s", box->config->host,
				   box->config->port, command, box->line.data + strlen(tag));
			return false;
		}
		box->news = box->news || strcasestr(box->line.data, " EXISTS") != NULL;
		if (each)
			each(box, context);
	}
	return box_fail(box, error, over ? "the connection was closed" : "no answer in time");
}

/* --- open and close --- */

static void box_options(struct mail_box *box)
{
	const struct mail_box_config *config = box->config;
	bool imaps = config->tls == MAIL_BOX_TLS;
	CURL *c = box->easy;
	char *url = xasprintf(strchr(config->host, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
			      imaps ? "imaps" : "imap", config->host, config->port);

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, imaps ? "imaps" : "imap");
	curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(c, CURLOPT_USE_SSL,
			 (long)(config->tls == MAIL_BOX_PLAIN ? CURLUSESSL_NONE : CURLUSESSL_ALL));
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (*config->ca) { /* in the place of the system's */
		curl_easy_setopt(c, CURLOPT_CAINFO, config->ca);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	/* of "user@domain" libcurl would conclude Kerberos */
	curl_easy_setopt(c, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN");
	curl_easy_setopt(c, CURLOPT_USERNAME, config->user);
	curl_easy_setopt(c, CURLOPT_PASSWORD, config->password);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(CONNECT_STEPS * config->timeout / MOMENT_MS));
	curl_easy_setopt(c, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(config->timeout / MOMENT_S) + 1);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, box->trouble);
	free(url);
}

static bool box_connect(struct mail_box *box, struct text *error)
{
	CURLcode result = CURLE_ABORTED_BY_CALLBACK;
	int running = 1, left;

	curl_multi_add_handle(box->multi, box->easy);
	while (running && !is_stopping(box)) {
		if (curl_multi_perform(box->multi, &running) != CURLM_OK)
			break;
		if (running)
			curl_multi_poll(box->multi, NULL, 0, (int)(SLICE / MOMENT_MS), NULL);
	}
	for (CURLMsg *m; (m = curl_multi_info_read(box->multi, &left));)
		if (m->msg == CURLMSG_DONE)
			result = m->data.result;
	if (result == CURLE_OK)
		return true;
	return box_fail(box, error, *box->trouble ? box->trouble : curl_easy_strerror(result));
}

static void see_capability(struct mail_box *box, void *context)
{
	(void)context;
	if (strncasecmp(box->line.data, "* CAPABILITY ", 13) != 0)
		return;
	for (const char *s = box->line.data; (s = strcasestr(s, " IDLE")); s++)
		box->can_idle = box->can_idle || !s[5] || s[5] == ' ';
}

/* Opens the folder; a name as IMAP quotes it. */
static bool box_select(struct mail_box *box, struct text *error)
{
	struct text command;

	text_init(&command, 4096);
	text_puts(&command, "SELECT \"");
	for (const char *s = box->config->folder; *s; s++) {
		if (strchr("\"\\", *s))
			text_putc(&command, '\\');
		if ((unsigned char)*s >= ' ')
			text_putc(&command, *s);
	}
	text_putc(&command, '"');
	bool ok = box_command(box, command.data, NULL, NULL, error);
	text_release(&command);
	return ok;
}

struct mail_box *mail_box_open(const struct mail_box_config *config, const _Atomic bool *stopping,
			       struct text *error)
{
	struct mail_box *box = xcalloc(1, sizeof *box);

	box->config = config;
	box->stopping = stopping;
	text_init(&box->line, LINE_MAX_BYTES);
	text_init(&box->literal, MAIL_IN_MAX);
	box->easy = curl_easy_init();
	box->multi = curl_multi_init();
	if (!box->easy || !box->multi) {
		text_error(error, "libcurl could not be set up");
	} else {
		box_options(box);
		if (box_connect(box, error) && box_command(box, "CAPABILITY", see_capability, NULL, error) &&
		    box_select(box, error))
			return box;
	}
	mail_box_close(box);
	return NULL;
}

void mail_box_close(struct mail_box *box)
{
	if (!box)
		return;
	if (box->multi && box->easy)
		curl_multi_remove_handle(box->multi, box->easy);
	curl_easy_cleanup(box->easy);
	curl_multi_cleanup(box->multi);
	text_release(&box->line);
	text_release(&box->literal);
	free(box);
}

/* --- mails --- */

struct found {
	unsigned long uids[MAIL_BOX_BATCH];
	size_t count;
};

static void see_search(struct mail_box *box, void *context)
{
	struct found *found = context;
	const char *s = box->line.data;
	char *end;

	if (strncasecmp(s, "* SEARCH", 8) != 0)
		return;
	for (s += 8; *s == ' ' && found->count < MAIL_BOX_BATCH; s = end) {
		unsigned long uid = strtoul(s + 1, &end, 10);
		if (end == s + 1 || !uid)
			break;
		if (*end == ' ' || !*end) /* not one that was cut */
			found->uids[found->count++] = uid;
	}
}

struct fetched {
	struct text mail;
	bool there;
};

static void see_mail(struct mail_box *box, void *context)
{
	struct fetched *fetched = context;

	if (!box->literal.len || !strcasestr(box->line.data, "FETCH"))
		return;
	text_release(&fetched->mail);
	fetched->mail = box->literal;
	fetched->there = true;
	text_init(&box->literal, MAIL_IN_MAX);
}

/* False: the connection is over, or it was not taken. One that is gone meanwhile is passed over. */
static bool take_one(struct mail_box *box, unsigned long uid,
		     bool (*take)(void *context, const char *mail, size_t len), void *context, bool *taken,
		     struct text *error)
{
	struct fetched fetched = {0};
	char *fetch = xasprintf("UID FETCH %lu BODY.PEEK[]<0.%d>", uid, MAIL_IN_MAX);
	char *store = xasprintf("UID STORE %lu +FLAGS.SILENT (%s)", uid,
				box->config->deletes ? "\\Seen \\Deleted" : "\\Seen");
	bool ok;

	text_init(&fetched.mail, MAIL_IN_MAX);
	ok = box_command(box, fetch, see_mail, &fetched, error);
	*taken = ok && fetched.there;
	if (*taken && !take(context, fetched.mail.data, fetched.mail.len)) {
		*taken = false;
		ok = text_error(error, "it could not be recorded");
	}
	/* only now is it ours */
	ok = ok && box_command(box, store, NULL, NULL, error);
	text_release(&fetched.mail);
	free(fetch);
	free(store);
	return ok;
}

bool mail_box_take(struct mail_box *box, bool (*take)(void *context, const char *mail, size_t len),
		   void *context, size_t *count, struct text *error)
{
	struct found *found = xcalloc(1, sizeof *found);
	bool taken;

	*count = 0;
	box->news = false;
	bool ok = box_command(box,
			      box->config->deletes ? "UID SEARCH UNDELETED" : "UID SEARCH UNSEEN UNDELETED",
			      see_search, found, error);
	for (size_t i = 0; ok && i < found->count; i++) {
		ok = !is_stopping(box) && take_one(box, found->uids[i], take, context, &taken, error);
		*count += ok && taken;
	}
	if (ok && box->config->deletes && *count)
		ok = box_command(box, "EXPUNGE", NULL, NULL, error);
	free(found);
	return ok;
}

/* --- waiting --- */

static bool box_sleep(struct mail_box *box)
{
	int64_t until = moment_mono() + box->config->every;

	while (!is_stopping(box) && moment_mono() < until)
		poll(NULL, 0, (int)(SLICE / MOMENT_MS));
	return true;
}

bool mail_box_wait(struct mail_box *box, struct text *error)
{
	int64_t every = box->config->every < IDLE_MAX ? box->config->every : IDLE_MAX;
	int64_t until = moment_mono() + every;
	bool over = false, news = false;
	char tag[16];

	if (box->news)
		return true;
	if (!box->can_idle)
		return box_sleep(box);
	char *idle = xasprintf("h%u IDLE\r\n", ++box->tag);
	snprintf(tag, sizeof tag, "h%u ", box->tag);
	bool ok = box_write(box, idle, strlen(idle));
	free(idle);
	for (int lines = 0; ok && !news && lines < LINES_MAX && box_read(box, until, &over); lines++)
		news = strcasestr(box->line.data, " EXISTS") != NULL ||
		       strncmp(box->line.data, tag, strlen(tag)) == 0;
	ok = ok && !over && box_write(box, "DONE\r\n", 6);
	until = moment_mono() + box->config->timeout;
	for (int lines = 0; ok && lines < LINES_MAX; lines++) {
		ok = box_read(box, until, &over);
		if (ok && strncmp(box->line.data, tag, strlen(tag)) == 0)
			return true;
	}
	return box_fail(box, error, over ? "the connection was closed" : "no answer in time");
}
