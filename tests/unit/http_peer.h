/* The other side of an HTTP channel: a server on 127.0.0.1 that does with each request what a script says,
 * and remembers every request, byte for byte. */
#ifndef HEED_HTTP_PEER_H
#define HEED_HTTP_PEER_H

#include <stdbool.h>
#include <stddef.h>

enum peer_act {
	PEER_ANSWER,      /* sends `answer`, keeps the connection */
	PEER_ANSWER_CUT,  /* sends `answer` and closes */
	PEER_CUT,         /* reads the request and closes */
	PEER_SILENT,      /* reads the request and says nothing until the peer is closed */
	PEER_ENDLESS,     /* sends `answer`, then bytes for ever */
	PEER_ANSWER_HOLD, /* sends `answer`, then nothing more, and keeps the connection open */
	PEER_CUT_FIRST,   /* closes before it reads */
};

struct peer_step {
	enum peer_act act;
	const char *answer;
};

struct peer;

/* Steps are taken one a request, over all connections; behind the last it answers 204. The steps outlive it.
 */
struct peer *peer_open(const struct peer_step *steps, size_t count);
int peer_port(const struct peer *peer);
/* Waits until there were `count` requests, 5 s at most; how many there are. */
size_t peer_requests(struct peer *peer, size_t count);
size_t peer_connections(struct peer *peer);
/* The whole request, borrowed; "" if there is none. */
const char *peer_request(struct peer *peer, size_t i);
/* The value of a header of request `i`; NULL: it has none. The caller frees. */
char *peer_header(struct peer *peer, size_t i, const char *name);
const char *peer_body(struct peer *peer, size_t i);
void peer_close(struct peer *peer);

/* A port on 127.0.0.1 where nobody listens. */
int peer_free_port(void);

#endif
