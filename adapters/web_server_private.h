/* What the web server's files share: its listeners, and the connections as their watch sees them. */
#ifndef HEED_WEB_SERVER_PRIVATE_H
#define HEED_WEB_SERVER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "api.h"
#include "net_peer.h"

#define SOCKET_CONNECTIONS_MAX 128
#define LISTENER_CONNECTIONS_MAX 1024 /* of `public`, and of `internal` */
#define ADDRESS_CONNECTIONS_MAX 100   /* from one address, unless it is this machine's or a trusted proxy's */
#define REQUEST_SECONDS 15
#define REQUEST_DEADLINE (REQUEST_SECONDS * MOMENT_S) /* for head and body together */
#define ANSWER_DEADLINE (60 * MOMENT_S)               /* for the peer to take it, or a piece of a stream */
#define IDLE_DEADLINE (10 * MOMENT_S)                 /* between two requests */
#define LINGER_MAX (2 * MOMENT_S) /* a refused peer may go on sending, so that it reads the refusal */
#define LINGER_BYTES_MAX (64 * 1024 * 1024)

/* A connection. */
struct peer {
	int fd;                         /* -1: free */
	int64_t deadline;               /* monotonic; MOMENT_NEVER while we work on an answer */
	bool asking;                    /* a request is wanted: at the deadline it hears 408 */
	char address[NET_ADDRESS_TEXT]; /* "" on the socket */
};

struct peers {
	pthread_t watch;
	pthread_mutex_t lock; /* all of it, and every peer */
	pthread_cond_t wake;
	bool closing;
	size_t count;
	struct peer *list;
};

/* False: no thread. */
bool peers_open(struct peers *peers, size_t count);
void peers_close(struct peers *peers);
/* NULL: there is no room. */
struct peer *peers_add(struct peers *peers, int fd, const struct sockaddr *address);
void peers_remove(struct peers *peers, struct peer *peer);
void peer_until(struct peers *peers, struct peer *peer, int64_t deadline, bool asking);
/* Its request has begun: from now on unless it had to from the beginning of the connection. */
void peer_asks(struct peers *peers, struct peer *peer);
size_t peers_from(struct peers *peers, const char *address);
/* Has the other side closed the connection? By its own thread. */
bool peer_hung_up(const struct peer *peer);
/* Reads and forgets what a peer that was refused still sends, so that the refusal is not lost with it. */
void peer_linger(int fd);

/* The descriptor of a socket that listens; -1 and `error`. */
int listen_on_path(const char *path, struct text *error);
int listen_on_endpoint(const char *words, struct text *error);

#endif
