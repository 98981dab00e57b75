/* The API under /v1: one table of routes, for the web server (Unix socket, later the listeners) and for the
 * command line when no gateway runs. A route knows nothing of HTTP's wire. */
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
	struct store_reader *reader;
	struct queue *queue;          /* may be NULL; for depths; used under the api's own lock */
	const _Atomic bool *stopping; /* may be NULL; true ends every wait: set it before web_server_close */
};

#define API_BODY_MAX (8 * 1024 * 1024)
#define API_PATH_PARTS 8
#define API_LIST_MAX 1000   /* customers in an import, contacts in an answer */
#define API_FIND_MAX 100    /* customers that `find` shows */
#define API_CAPTURED_MAX 10 /* captured messages in an answer: each may be of MAIL_SIZE_MAX */
#define API_WAIT_MAX (30 * MOMENT_S)

struct api_request {
	const char *method; /* GET, PUT, … */
	const char *path;   /* as it came: /v1/customers/c%2F1; split, then decoded */
	const char *query;  /* as it came, "" */
	const char *body;
	size_t body_len;
	struct asker asker;
};

struct api_response {
	int status;
	json_t *body; /* owned; a problem (RFC 9457) where status >= 400 */
};

void api_handle(struct api *api, const struct api_request *request, struct api_response *response);
/* An RFC 9457 problem; NULL if `detail` is not UTF-8. */
json_t *api_problem(int status, const char *detail);

/* --- the server: a port filled by adapters/web_server.c (libmicrohttpd) --- */

struct web_server;
/* Called in one of the server's threads; must be thread-safe. */
typedef void (*web_handler)(void *context, const struct api_request *request, struct api_response *response);
/* A Unix socket, mode 0600; a stale one is replaced, one that answers is an error. NULL and `error`. */
struct web_server *web_server_open(const char *socket_path, web_handler handler, void *context,
				   struct text *error);
void web_server_close(struct web_server *server);

/* --- the client: a port filled by adapters/http_client.c --- */

/* One request over the Unix socket, within `timeout` microseconds. `asker->actor` goes as Heed-Actor and,
 * where `asker->by` is "import", that as Heed-By. False: nobody answers there (`error` says why); else
 * *status and *body (parsed JSON or NULL). */
bool api_call_socket(const char *socket_path, const struct asker *asker, const char *method,
		     const char *path_and_query, const json_t *send, int64_t timeout, int *status,
		     json_t **body, struct text *error);

#endif
