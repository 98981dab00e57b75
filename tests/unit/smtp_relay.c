#include "smtp_relay.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "xalloc.h"
#include "banned.h"

struct relay relay;
static char certificates[128];

struct peer {
	int fd;
	SSL *ssl; /* NULL: in the clear */
	char buffer[65536];
	size_t at, len; /* what was not taken yet is from `at`, `len` bytes */
};

static ssize_t hear(struct peer *r, void *into, size_t room)
{
	return r->ssl ? SSL_read(r->ssl, into, (int)room) : recv(r->fd, into, room, 0);
}

static bool has_more(struct peer *r)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};
	return (r->ssl && SSL_pending(r->ssl)) || poll(&p, 1, 100) > 0;
}

static bool tell(struct peer *r, const char *words, size_t len)
{
	return r->ssl ? SSL_write(r->ssl, words, (int)len) == (int)len
		      : send(r->fd, words, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* A line with its CRLF; false: the other side is gone. */
static bool take_line(struct peer *r, struct text *line)
{
	text_clear(line);
	for (;;) {
		char *start = r->buffer + r->at, *end = memchr(start, '\n', r->len);
		if (end) {
			size_t n = (size_t)(end - start) + 1;
			text_add(line, start, n);
			r->at += n;
			r->len -= n;
			return true;
		}
		memmove(r->buffer, start, r->len);
		r->at = 0;
		if (atomic_load(&relay.ends) || r->len == sizeof r->buffer)
			return false;
		if (!has_more(r))
			continue;
		ssize_t n = hear(r, r->buffer + r->len, sizeof r->buffer - r->len);
		if (n <= 0)
			return false;
		r->len += (size_t)n;
	}
}

static bool take_bytes(struct peer *r, size_t want, struct text *out)
{
	while (want) {
		if (!r->len) {
			ssize_t n = hear(r, r->buffer, sizeof r->buffer);
			if (n <= 0)
				return false;
			r->at = 0;
			r->len = (size_t)n;
		}
		size_t n = r->len < want ? r->len : want;
		text_add(out, r->buffer + r->at, n);
		r->at += n;
		r->len -= n;
		want -= n;
	}
	return true;
}

/* False: the connection is over. */
static bool say(struct peer *r, const char *words)
{
	if (strcmp(words, CLOSE) == 0)
		return false;
	if (strcmp(words, HANG) == 0) {
		char byte;
		while (!atomic_load(&relay.ends) && recv(r->fd, &byte, 1, MSG_DONTWAIT) != 0)
			usleep(20000);
		return false;
	}
	bool drip = strncmp(words, DRIP, strlen(DRIP)) == 0, slow = strncmp(words, SLOW, strlen(SLOW)) == 0;
	bool late = strncmp(words, LATE, strlen(LATE)) == 0;
	if (drip || slow || late)
		words += strlen(SLOW);
	if (late)
		usleep(500000);
	struct text out;
	text_init(&out, 100000);
	text_puts(&out, words);
	if (words[0] && words[strlen(words) - 1] != '\t')
		text_puts(&out, "\r\n");
	bool ok = true;
	for (size_t i = 0; ok && i < out.len;) {
		size_t n = drip || slow ? 1 : out.len;
		ok = tell(r, out.data + i, n) && !atomic_load(&relay.ends);
		i += n;
		usleep(drip ? 300000 : slow ? 500 : 0);
	}
	text_release(&out);
	return ok;
}

static const char *answer(const char *scripted, size_t mail, const char *usual)
{
	return scripted && mail >= relay.script.from ? scripted : usual;
}

static bool take_data(struct peer *r, struct text *content)
{
	struct text line;
	bool whole = false;

	text_init(&line, 100000);
	while (take_line(r, &line)) {
		whole = strcmp(line.data, ".\r\n") == 0;
		if (whole || relay.script.cut_in_body)
			break;
		text_add(content, line.data, line.len);
	}
	text_release(&line);
	return whole;
}

/* False: the other side does not want to. */
static bool handshake(struct peer *r)
{
	char file[192];

	if (relay.script.hang_in_handshake)
		return say(r, HANG);
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	snprintf(file, sizeof file, "%s/%s.pem", certificates,
		 relay.script.certificate ? relay.script.certificate : "good");
	SSL_CTX_use_certificate_chain_file(context, file);
	SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM);
	if (relay.script.old_tls) {
		SSL_CTX_set_security_level(context, 0);
		SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
	}
	r->ssl = SSL_new(context);
	SSL_set_fd(r->ssl, r->fd);
	bool ok = SSL_accept(r->ssl) == 1;
	SSL_CTX_free(context);
	return ok;
}

/* False: it is over. True: TLS stands. */
static bool starttls(struct peer *r)
{
	const char *words = relay.script.starttls ? relay.script.starttls : "220 2.0.0 go";

	return say(r, words) && strncmp(words, "220", 3) == 0 && handshake(r);
}

/* Answers to AUTH, where the secret may come in lines of its own. */
static bool log_in(struct peer *r, struct text *line)
{
	size_t more = strncasecmp(line->data, "AUTH LOGIN", 10) == 0 ? 2 : 1;

	if (strchr(line->data + strlen("AUTH "), ' '))
		more--; /* the first of it stands behind the mechanism */
	while (more--) {
		if (!say(r, "334 ") || !take_line(r, line))
			return false;
		pthread_mutex_lock(&relay.lock);
		text_add(&relay.log, line->data, line->len);
		pthread_mutex_unlock(&relay.lock);
	}
	return say(r, relay.script.auth ? relay.script.auth : "235 2.7.0 welcome");
}

static void *serve(void *arg)
{
	struct peer *r = xcalloc(1, sizeof *r);
	struct text line, content;
	size_t mail = 0, here = 0;
	const struct script *s = &relay.script;

	r->fd = (int)(intptr_t)arg;
	text_init(&line, 100000);
	text_init(&content, 8 << 20);
	bool on = (relay.transport != TLS_AT_ONCE || handshake(r)) &&
		  say(r, s->greeting ? s->greeting : "220 relay ESMTP");
	while (on && take_line(r, &line)) {
		pthread_mutex_lock(&relay.lock);
		text_add(&relay.log, line.data, line.len);
		pthread_mutex_unlock(&relay.lock);
		if (strncasecmp(line.data, "EHLO", 4) == 0 && relay.transport == STARTTLS && !r->ssl) {
			on = say(r, s->clear_ehlo ? s->clear_ehlo : "250-relay\r\n250 STARTTLS");
		} else if (strncasecmp(line.data, "STARTTLS", 8) == 0) {
			on = starttls(r);
		} else if (strncasecmp(line.data, "EHLO", 4) == 0) {
			on = say(r, s->ehlo ? s->ehlo
					    : "250-relay\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES");
		} else if (strncasecmp(line.data, "AUTH", 4) == 0) {
			on = log_in(r, &line);
		} else if (strncasecmp(line.data, "MAIL", 4) == 0) {
			pthread_mutex_lock(&relay.lock);
			mail = relay.mails++;
			pthread_mutex_unlock(&relay.lock);
			if (s->limit && here++ == s->limit)
				on = say(r, s->over ? s->over : CLOSE);
			else
				on = say(r, answer(s->mail, mail, "250 2.1.0 sender fine"));
		} else if (strncasecmp(line.data, "RCPT", 4) == 0) {
			on = say(r, answer(s->rcpt, mail, "250 2.1.5 recipient fine"));
		} else if (strncasecmp(line.data, "DATA", 4) == 0) {
			const char *words = answer(s->data, mail, "354 go on");
			on = say(r, words);
			if (on && strstr(words, "354")) {
				on = take_data(r, &content);
				usleep((useconds_t)s->pause_ms * 1000);
				on = on && say(r, answer(s->final, mail, "250 2.0.0 Ok: queued as 4FzX1b"));
			}
		} else if (strncasecmp(line.data, "BDAT", 4) == 0) {
			bool last = strstr(line.data, "LAST") != NULL;
			on = take_bytes(r, (size_t)strtol(line.data + 5, NULL, 10), &content) &&
			     say(r, last ? answer(s->final, mail, "250 2.0.0 Ok: queued as 4FzX1b")
					 : "250 2.0.0 chunk");
		} else if (strncasecmp(line.data, "QUIT", 4) == 0) {
			say(r, "221 2.0.0 bye");
			on = false;
		} else {
			on = say(r, "250 2.0.0 fine");
		}
	}
	pthread_mutex_lock(&relay.lock);
	text_add(&relay.content, content.data, content.len);
	pthread_mutex_unlock(&relay.lock);
	if (r->ssl)
		SSL_free(r->ssl);
	close(r->fd);
	text_release(&line);
	text_release(&content);
	free(r);
	return NULL;
}

static void *listen_on(void *arg)
{
	(void)arg;
	while (!atomic_load(&relay.ends)) {
		struct pollfd p = {.fd = relay.listener, .events = POLLIN};
		if (poll(&p, 1, 50) <= 0)
			continue;
		int fd = accept(relay.listener, NULL, NULL), on = 1;
		if (fd < 0 || relay.connection_count == CONNECTIONS_MAX)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		pthread_create(&relay.connections[relay.connection_count++], NULL, serve,
			       (void *)(intptr_t)fd);
	}
	return NULL;
}

void relay_bind(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof at;

	relay.listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(relay.listener, (struct sockaddr *)&at, sizeof at), 0);
	getsockname(relay.listener, (struct sockaddr *)&at, &size);
	relay.port = ntohs(at.sin_port);
}

void relay_start(struct script script)
{
	relay = (struct relay){.transport = relay.transport};
	pthread_mutex_init(&relay.lock, NULL);
	text_init(&relay.log, 1 << 20);
	text_init(&relay.content, 16 << 20);
	relay.script = script;
	relay_bind();
	assert_int_equal(listen(relay.listener, 64), 0);
	pthread_create(&relay.thread, NULL, listen_on, NULL);
}

void relay_stop(void)
{
	atomic_store(&relay.ends, true);
	pthread_join(relay.thread, NULL);
	for (size_t i = 0; i < relay.connection_count; i++)
		pthread_join(relay.connections[i], NULL);
	close(relay.listener);
}

void relay_release(void)
{
	text_release(&relay.log);
	text_release(&relay.content);
	pthread_mutex_destroy(&relay.lock);
}

const char *relay_url(const char *login)
{
	static const char *const schemes[] = {"smtp", "smtps", "smtp+starttls"};
	static char url[128];

	snprintf(url, sizeof url, "%s://%s127.0.0.1:%d", schemes[relay.transport], login, relay.port);
	return url;
}

const char *relay_ca(void)
{
	static char path[160];

	snprintf(path, sizeof path, "%s/ca.pem", certificates);
	return path;
}

void relay_certificates(const char *folder)
{
	static const char command[] =
		"set -e; cd %s\n"
		"ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
		"/CN=$1 "
		"-keyout $1.key -out $1.pem; }\n"
		"one() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=relay "
		"-keyout $1.key -out $1.csr\n"
		"echo subjectAltName=$3 > $1.ext\n"
		"openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -set_serial $5 -days $4 -extfile "
		"$1.ext "
		"-out $1.crt\n"
		"cat $1.crt $1.key > $1.pem; }\n"
		"( ca ca; ca other\n"
		"one good ca IP:127.0.0.1,DNS:localhost 2 1\n"
		"one expired ca IP:127.0.0.1,DNS:localhost -1 2\n"
		"one other-name ca DNS:mail.example.net 2 3\n"
		"one other-ca other IP:127.0.0.1,DNS:localhost 2 4 ) > log 2>&1\n";

	snprintf(certificates, sizeof certificates, "%s", folder);
	char *shell = xasprintf(command, folder);
	assert_int_equal(system(shell), 0); /* NOLINT(cert-env33-c): the test's own words */
	free(shell);
}
