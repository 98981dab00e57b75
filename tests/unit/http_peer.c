#include "http_peer.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "xalloc.h"

#define PEER_CONNECTIONS_MAX 512
#define PEER_REQUESTS_MAX 1024
#define PEER_REQUEST_SIZE (2 * 1024 * 1024)

struct connection {
	struct peer *peer;
	int fd;
	pthread_t thread;
};

struct peer {
	int listener, port, stop[2]; /* stop: a pipe whose end wakes all */
	pthread_t thread;
	const struct peer_step *steps;
	size_t step_count;

	pthread_mutex_t mutex;
	pthread_cond_t more;
	size_t step;
	struct connection connections[PEER_CONNECTIONS_MAX];
	size_t connection_count;
	char *requests[PEER_REQUESTS_MAX];
	size_t request_count;
};

/* False: the peer is being closed. */
static bool readable(struct peer *peer, int fd)
{
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = peer->stop[0], .events = POLLIN}};

	return poll(fds, 2, -1) > 0 && !fds[1].revents;
}

static bool request_whole(const char *text, size_t len)
{
	const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
	size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;

	return end && len >= (size_t)(end + 4 - text) + body;
}

/* NULL: the other side went away, or the peer is being closed. */
static char *request_read(struct peer *peer, int fd)
{
	char *text = xcalloc(1, PEER_REQUEST_SIZE);
	size_t len = 0;

	while (!request_whole(text, len)) {
		ssize_t got = readable(peer, fd) ? read(fd, text + len, PEER_REQUEST_SIZE - 1 - len) : 0;
		if (got <= 0) {
			free(text);
			return NULL;
		}
		len += (size_t)got;
	}
	char *exact = xrealloc(text, len + 1);
	return exact;
}

static bool send_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		text += sent;
		len -= (size_t)sent;
	}
	return true;
}

static struct peer_step next_step(struct peer *peer, bool take)
{
	struct peer_step step = {PEER_ANSWER, "HTTP/1.1 204 No Content\r\n\r\n"};

	pthread_mutex_lock(&peer->mutex);
	if (peer->step < peer->step_count)
		step = peer->steps[peer->step];
	if (take)
		peer->step++;
	pthread_mutex_unlock(&peer->mutex);
	return step;
}

static void remember(struct peer *peer, char *request)
{
	pthread_mutex_lock(&peer->mutex);
	peer->requests[peer->request_count++ % PEER_REQUESTS_MAX] = request;
	pthread_cond_broadcast(&peer->more);
	pthread_mutex_unlock(&peer->mutex);
}

/* False: the connection is over. */
static bool act(struct peer *peer, int fd, const struct peer_step *step)
{
	if (step->answer && !send_all(fd, step->answer))
		return false;
	switch (step->act) {
	case PEER_ANSWER:
		return true;
	case PEER_SILENT:
	case PEER_ANSWER_HOLD:
		while (readable(peer, fd)) {
			char ignored[64];
			if (read(fd, ignored, sizeof ignored) <= 0)
				break;
		}
		return false;
	case PEER_ENDLESS:
		for (struct pollfd stop = {.fd = peer->stop[0], .events = POLLIN}; poll(&stop, 1, 1) == 0;)
			if (!send_all(fd, "endless "))
				break;
		return false;
	default:
		return false;
	}
}

static void *connection_run(void *context)
{
	struct connection *connection = context;
	struct peer *peer = connection->peer;
	char *request;

	while ((request = request_read(peer, connection->fd))) {
		struct peer_step step = next_step(peer, true);
		remember(peer, request);
		if (!act(peer, connection->fd, &step))
			break;
	}
	close(connection->fd);
	return NULL;
}

static void *peer_run(void *context)
{
	struct peer *peer = context;

	while (readable(peer, peer->listener)) {
		int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		pthread_mutex_lock(&peer->mutex);
		struct connection *connection = &peer->connections[peer->connection_count++];
		pthread_mutex_unlock(&peer->mutex);
		*connection = (struct connection){.peer = peer, .fd = fd};
		if (next_step(peer, false).act == PEER_CUT_FIRST) {
			next_step(peer, true);
			close(fd);
			connection->peer = NULL;
		} else {
			pthread_create(&connection->thread, NULL, connection_run, connection);
		}
	}
	return NULL;
}

static int listen_somewhere(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 128) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		abort();
	*port = ntohs(address.sin_port);
	return fd;
}

int peer_free_port(void)
{
	int port;

	close(listen_somewhere(&port));
	return port;
}

struct peer *peer_open(const struct peer_step *steps, size_t count)
{
	struct peer *peer = xcalloc(1, sizeof *peer);

	peer->steps = steps;
	peer->step_count = count;
	peer->listener = listen_somewhere(&peer->port);
	if (pipe(peer->stop) < 0)
		abort();
	pthread_mutex_init(&peer->mutex, NULL);
	pthread_cond_init(&peer->more, NULL);
	pthread_create(&peer->thread, NULL, peer_run, peer);
	return peer;
}

int peer_port(const struct peer *peer)
{
	return peer->port;
}

size_t peer_requests(struct peer *peer, size_t count)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&peer->mutex);
	while (peer->request_count < count && pthread_cond_timedwait(&peer->more, &peer->mutex, &until) == 0)
		;
	size_t there = peer->request_count;
	pthread_mutex_unlock(&peer->mutex);
	return there;
}

size_t peer_connections(struct peer *peer)
{
	pthread_mutex_lock(&peer->mutex);
	size_t count = peer->connection_count;
	pthread_mutex_unlock(&peer->mutex);
	return count;
}

const char *peer_request(struct peer *peer, size_t i)
{
	return peer_requests(peer, i + 1) > i ? peer->requests[i] : "";
}

char *peer_header(struct peer *peer, size_t i, const char *name)
{
	const char *at = strstr(peer_request(peer, i), "\r\n");
	size_t len = strlen(name);

	while (at && strncmp(at, "\r\n\r\n", 4) != 0) {
		at += 2;
		if (strncasecmp(at, name, len) == 0 && at[len] == ':') {
			at += len + 1;
			at += strspn(at, " ");
			return xmemdup0(at, strcspn(at, "\r"));
		}
		at = strstr(at, "\r\n");
	}
	return NULL;
}

const char *peer_body(struct peer *peer, size_t i)
{
	const char *end = strstr(peer_request(peer, i), "\r\n\r\n");

	return end ? end + 4 : "";
}

void peer_close(struct peer *peer)
{
	close(peer->stop[1]);
	pthread_join(peer->thread, NULL);
	for (size_t i = 0; i < peer->connection_count; i++)
		if (peer->connections[i].peer)
			pthread_join(peer->connections[i].thread, NULL);
	for (size_t i = 0; i < peer->request_count; i++)
		free(peer->requests[i]);
	close(peer->stop[0]);
	close(peer->listener);
	pthread_cond_destroy(&peer->more);
	pthread_mutex_destroy(&peer->mutex);
	free(peer);
}
