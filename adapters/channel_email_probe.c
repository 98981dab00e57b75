/* `heed check` asks whether a relay without TLS answers: a connection, EHLO and QUIT. */
#include "channel_email_private.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "moment.h"
#include "banned.h"

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

bool email_plain_probe(const struct email_settings *settings, struct text *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	int failure = getaddrinfo(settings->relay.host, settings->port, &hints, &found);
	bool ok = false;

	if (failure)
		text_error(error, "%s", gai_strerror(failure));
	for (const struct addrinfo *a = found; a && !ok; a = a->ai_next)
		ok = probe_one(a, moment_mono() + PROBE_TIME, error);
	if (found)
		freeaddrinfo(found);
	return ok;
}
