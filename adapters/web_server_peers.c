/* The watch over connections: the library's own timeout is for idleness only, so a peer that sends a byte now
 * and then would stay for ever. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "web_server_private.h"
#include "xalloc.h"
#include "banned.h"

#define WATCH_STEP (250 * MOMENT_MS)

#define WORDS_OF(number) #number
#define WORDS(number) WORDS_OF(number)
#define TOO_SLOW                                                                  \
	"{\"type\":\"about:blank\",\"title\":\"Request Timeout\",\"status\":408," \
	"\"detail\":\"the request did not come within " WORDS(REQUEST_SECONDS) " s\"}"
_Static_assert(sizeof TOO_SLOW - 1 == 109, "the Content-Length of too_slow");

static const char too_slow[] = "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\n"
			       "Connection: close\r\nContent-Length: 109\r\n\r\n" TOO_SLOW;

static void cut(struct peer *peer)
{
	/* whatever it can't take at once it does not get: the watch waits for nobody */
	if (peer->asking && send(peer->fd, too_slow, sizeof too_slow - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		peer->asking = false;
	shutdown(peer->fd, SHUT_RDWR);
	peer->deadline = MOMENT_NEVER;
}

static void *watch_run(void *context)
{
	struct peers *peers = context;

	pthread_mutex_lock(&peers->lock);
	while (!peers->closing) {
		int64_t now = moment_mono(), until = now + WATCH_STEP;
		for (size_t i = 0; i < peers->count; i++)
			if (peers->list[i].fd >= 0 && peers->list[i].deadline < now)
				cut(&peers->list[i]);
		struct timespec at = {.tv_sec = until / MOMENT_S, .tv_nsec = until % MOMENT_S * 1000};
		pthread_cond_timedwait(&peers->wake, &peers->lock, &at);
	}
	pthread_mutex_unlock(&peers->lock);
	return NULL;
}

bool peers_open(struct peers *peers, size_t count)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&peers->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&peers->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	peers->count = count;
	peers->list = xcalloc(count, sizeof *peers->list);
	for (size_t i = 0; i < count; i++)
		peers->list[i].fd = -1;
	if (pthread_create(&peers->watch, NULL, watch_run, peers) == 0)
		return true;
	peers->closing = true;
	peers_close(peers);
	return false;
}

void peers_close(struct peers *peers)
{
	if (!peers->list)
		return;
	pthread_mutex_lock(&peers->lock);
	bool watched = !peers->closing;
	peers->closing = true;
	pthread_cond_signal(&peers->wake);
	pthread_mutex_unlock(&peers->lock);
	if (watched)
		pthread_join(peers->watch, NULL);
	pthread_cond_destroy(&peers->wake);
	pthread_mutex_destroy(&peers->lock);
	free(peers->list);
	peers->list = NULL;
}

struct peer *peers_add(struct peers *peers, int fd, const struct sockaddr *address)
{
	struct peer *free_one = NULL;

	pthread_mutex_lock(&peers->lock);
	for (size_t i = 0; i < peers->count && !free_one; i++)
		if (peers->list[i].fd < 0)
			free_one = &peers->list[i];
	if (free_one) {
		*free_one =
			(struct peer){.fd = fd, .deadline = moment_mono() + REQUEST_DEADLINE, .asking = true};
		if (address)
			net_address_text(address, free_one->address);
	}
	pthread_mutex_unlock(&peers->lock);
	return free_one;
}

void peers_remove(struct peers *peers, struct peer *peer)
{
	pthread_mutex_lock(&peers->lock);
	peer->fd = -1;
	pthread_mutex_unlock(&peers->lock);
}

void peer_until(struct peers *peers, struct peer *peer, int64_t deadline, bool asking)
{
	if (!peer)
		return;
	pthread_mutex_lock(&peers->lock);
	peer->deadline = deadline;
	peer->asking = asking;
	pthread_mutex_unlock(&peers->lock);
}

void peer_asks(struct peers *peers, struct peer *peer)
{
	if (!peer)
		return;
	pthread_mutex_lock(&peers->lock);
	if (!peer->asking)
		peer->deadline = moment_mono() + REQUEST_DEADLINE;
	peer->asking = true;
	pthread_mutex_unlock(&peers->lock);
}

size_t peers_from(struct peers *peers, const char *address)
{
	size_t count = 0;

	pthread_mutex_lock(&peers->lock);
	for (size_t i = 0; i < peers->count; i++)
		count += peers->list[i].fd >= 0 && strcmp(peers->list[i].address, address) == 0;
	pthread_mutex_unlock(&peers->lock);
	return count;
}

bool peer_hung_up(const struct peer *peer)
{
	char next;
	ssize_t got = recv(peer->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

void peer_linger(int fd)
{
	char unread[16 * 1024];
	int64_t until = moment_mono() + LINGER_MAX, left;
	size_t total = 0;
	struct pollfd wanted = {.fd = fd, .events = POLLIN};

	shutdown(fd, SHUT_WR);
	while (total < LINGER_BYTES_MAX && (left = until - moment_mono()) > 0) {
		if (poll(&wanted, 1, (int)(left / MOMENT_MS) + 1) <= 0)
			return;
		ssize_t got = recv(fd, unread, sizeof unread, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return;
		total += got > 0 ? (size_t)got : 0;
	}
}
