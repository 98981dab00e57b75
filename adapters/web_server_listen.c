/* Sockets that listen: a Unix socket for the command line, TCP for the others. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "web_server_private.h"
#include "banned.h"

/* Takes a socket that nobody serves out of the way. */
static bool clear_stale(const char *path, const struct sockaddr_un *address, struct text *error)
{
	struct stat found;

	if (lstat(path, &found) < 0)
		return errno == ENOENT || text_error(error, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(found.st_mode))
		return text_error(error, "%s: is there and is not a socket; name another file in http.socket",
				  path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int failed = fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	if (!failed)
		return text_error(error, "%s: another heed answers there", path);
	if (failed != ECONNREFUSED)
		return text_error(error, "%s: %s", path, strerror(failed));
	return unlink(path) == 0 || text_error(error, "%s: %s", path, strerror(errno));
}

int listen_on_path(const char *path, struct text *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd = -1;

	if (!len || len >= sizeof address.sun_path) {
		text_error(error, "%s: the path of a socket has 1 to %zu bytes", path,
			   sizeof address.sun_path - 1);
		return -1;
	}
	memcpy(address.sun_path, path, len + 1);
	if (!clear_stale(path, &address, error))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t before = umask(0177); /* nobody else's from its first moment */
	bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
	int failed = errno;
	umask(before);
	if (!bound || listen(fd, SOMAXCONN) < 0) {
		text_error(error, "%s: %s", path, strerror(bound ? errno : failed));
		if (bound)
			unlink(path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* -1, and errno says why. */
static int listen_at(const struct addrinfo *at)
{
	const int on = 1, off = 0;
	int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (at->ai_family == AF_INET6) /* [::] takes IPv4 too */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	int failed = errno;
	close(fd);
	errno = failed;
	return -1;
}

int listen_on_endpoint(const char *words, struct text *error)
{
	const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct net_endpoint endpoint;
	struct addrinfo *found = NULL;
	char port[8];
	int fd = -1;

	if (!net_endpoint_parse(words, &endpoint)) {
		text_error(error, "%s: is not ADDRESS:PORT", words);
		return -1;
	}
	snprintf(port, sizeof port, "%d", endpoint.port);
	int failed = getaddrinfo(endpoint.host, port, &wanted, &found);
	if (failed) {
		text_error(error, "%s: %s", words, gai_strerror(failed));
		return -1;
	}
	fd = listen_at(found);
	if (fd < 0)
		text_error(error, "%s: %s", words, strerror(errno));
	freeaddrinfo(found);
	return fd;
}
