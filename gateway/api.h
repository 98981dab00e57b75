/* The HTTP side: one table of routes (api_routes.c) for three doors, the listeners `public` and `internal`
 * and the Unix socket, and for the command line when no gateway runs. A route knows nothing of HTTP's wire:
 * it is given a request that was read whole, and fills a response. */
#ifndef HEED_API_H
#define HEED_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "moment.h"
#include "requests.h"
#include "store.h"
#include "text.h"

/* What a route works with. The reader belongs to the calling thread. */
struct api {
	struct turn_door door;
	struct config *config;
	struct store_reader *reader; /* NULL: it could not be opened, `reader_error` says why */
	const char *reader_error;
	struct queue *queue;          /* may be NULL; for depths; used under the api's own lock */
	const _Atomic bool *stopping; /* may be NULL; true ends every wait: set it before web_server_close */
	/* May be NULL; another number than before: the configuration changed, and with it who may what. */
	const _Atomic unsigned *generation;
	_Atomic int *waiting; /* may be NULL; calls that wait: over API_WAITS_MAX they are answered at once */
};

#define API_BODY_MAX (8 * 1024 * 1024)
#define API_PUBLIC_BODY_MAX (1024 * 1024)  /* forms, and what providers tell */
#define API_BODIES_MAX (256 * 1024 * 1024) /* of all requests that come in at a time */
#define API_HEAD_MAX (32 * 1024)           /* the names and values of a request's headers */
#define API_HEADERS_MAX 64                 /* of a request */
#define API_ANSWER_HEADERS_MAX 12          /* of a response, beside those that each one has */
#define API_PATH_PARTS 8
#define API_LIST_MAX 1000   /* customers in an import, contacts in an answer */
#define API_FIND_MAX 100    /* customers that `find` shows */
#define API_CAPTURED_MAX 10 /* captured messages in an answer: each may be of MAIL_SIZE_MAX */
#define API_WAIT_MAX (60 * MOMENT_S)
#define API_WAITS_MAX 128 /* calls that wait at a time: the others find room beside them */

/* Where a request came in. */
enum door { DOOR_SOCKET, DOOR_INTERNAL, DOOR_PUBLIC, DOORS };

struct api_header {
	const char *name, *value;
};

/* Everything is borrowed, and stands until the response is filled. */
struct api_request {
	enum door door;
	const char *method; /* GET, HEAD, PUT, … */
	const char *path;   /* as it came: /v1/customers/c%2F1; split, then decoded */
	const char *query;  /* as it came, "" */
	const char *body;   /* raw; NUL-terminated behind its length */
	size_t body_len;
	json_t *tree; /* in this process: the body as it would read; NULL: `body` is to be read */
	struct import_batch *batch; /* in this process: the tree as import_batch_read gave it; NULL */
	const struct api_header *headers;
	size_t header_count;
	/* Who asks: an IP address as text; "" on the socket. Behind a trusted proxy the one that it names. */
	const char *peer;
	struct asker asker; /* on the socket; elsewhere api.c fills it from the token */
};
/* The value of the first header of that name, in whatever case; "": not there. */
const char *api_request_header(const struct api_request *request, const char *name);
bool api_request_has(const struct api_request *request, const char *name); /* also where it is empty */

/* An answer that goes on, piece by piece: first member of each kind. Its functions are called in the thread
 * of its connection, and not once the service is closed. */
struct api_stream {
	/* Appends what there is; may wait for it up to API_STREAM_STEP, and may append nothing. False: it is
	 * over. */
	bool (*more)(struct api_stream *stream, struct text *out);
	void (*close)(struct api_stream *stream); /* frees it; exactly once, whatever became of the peer */
};
#define API_STREAM_STEP (500 * MOMENT_MS)
#define API_STREAM_PIECE (1024 * 1024) /* bytes that `more` may append */
#define API_STREAMS_MAX 32             /* at a time; apart from the other connections */

/* Zeroed: nothing yet. One of body, bytes and stream, or none (204). */
struct api_response {
	int status;
	json_t *body; /* owned; a problem (RFC 9457) where status >= 400 */
	char *bytes;  /* owned */
	size_t len;
	struct api_stream *stream; /* owned */
	char *type;                /* the Content-Type of bytes and stream; owned; NULL: that of JSON */
	/* Beside those that the server gives to each answer where they are not here: Cache-Control: no-store,
	 * Content-Security-Policy: default-src 'none' …, Referrer-Policy: no-referrer,
	 * X-Content-Type-Options.
	 */
	struct {
		const char *name; /* a literal */
		char *value;      /* owned */
	} headers[API_ANSWER_HEADERS_MAX];
	size_t header_count;
};
void api_response_release(struct api_response *response);
/* Beside what is there already of that name (Set-Cookie may be there twice). Control characters in the value
 * end it: nobody's text makes a header of its own. */
__attribute__((format(printf, 3, 4))) void api_response_header(struct api_response *response,
							       const char *name, const char *format, ...);
/* The value of the header of that name; NULL. */
const char *api_response_get(const struct api_response *response, const char *name);

void api_handle(struct api *api, const struct api_request *request, struct api_response *response);
/* With the head alone: true, and answered, where the request would be refused whatever its body. */
bool api_refuses(struct api *api, const struct api_request *request, struct api_response *response);
/* An RFC 9457 problem; NULL if `detail` is not UTF-8. */
json_t *api_problem(int status, const char *detail);
/* How many bytes of body are taken there. */
size_t api_body_max(enum door door);

/* --- the server: a port filled by adapters/web_server.c (libmicrohttpd) --- */

struct web_server;

/* What is served. Called in the server's threads, many at a time. */
struct web_service {
	void *context;
	void (*handle)(void *context, const struct api_request *request, struct api_response *response);
	/* As api_refuses: asked before a large body is read. */
	bool (*refuses)(void *context, const struct api_request *request, struct api_response *response);
	/* Is the address (text) a proxy of ours, whose connections are not counted? */
	bool (*trusts)(void *context, const char *address);
	size_t bodies_max; /* bytes; 0: API_BODIES_MAX */
};

struct web_listener {
	enum door door;
	const char *at; /* DOOR_SOCKET: a path, its mode will be 0600, a stale one is replaced, one that
			   answers is an error; else "host:port", "[::1]:8480" */
};

/* NULL and `error`, which names the listener. */
struct web_server *web_server_open(const struct web_listener listeners[], size_t count,
				   const struct web_service *service, struct text *error);
/* Waits for what is under way. */
void web_server_close(struct web_server *server);

/* --- the client: a port filled by adapters/http_client.c --- */

/* One request over the Unix socket, within `timeout` microseconds. `asker->actor` goes as Heed-Actor and,
 * where `asker->by` is "import", that as Heed-By. False: nobody answers there (`error` says why); else
 * *status and *body (parsed JSON or NULL). */
bool api_call_socket(const char *socket_path, const struct asker *asker, const char *method,
		     const char *path_and_query, const json_t *send, int64_t timeout, int *status,
		     json_t **body, struct text *error);

#endif
