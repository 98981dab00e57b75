/* The web server: libmicrohttpd on the Unix socket and on TCP, a thread a connection. What it adds to the
 * library: deadlines of its own (web_server_peers.c), bounds, and the refusal of what two readers could
 * understand differently. */
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "descriptors.h"
#include "web_server_private.h"
#include "words.h"
#include "xalloc.h"
#include "banned.h"

#define STACK_SIZE (1024 * 1024)
#define POOL_SIZE (64 * 1024)       /* the library's, a connection: a head that is larger is its own 431 */
#define BODY_READ_AHEAD (64 * 1024) /* what is read of a body before anybody asks whether it is wanted */
#define STREAM_BLOCK (32 * 1024)
#define ACCEPT_PAUSE_MS 100 /* where no descriptor is left */
#define PEERS_SPARE 64      /* connections that the library counts no more and has not closed yet */

struct listener {
	struct web_server *server;
	enum door door;
	char *at;
	struct MHD_Daemon *daemon;
};

struct web_server {
	struct web_service service;
	struct listener listeners[DOORS];
	size_t listener_count;
	struct peers peers;
	_Atomic size_t body_bytes; /* of all requests that come in */
	_Atomic int streams;
};

/* A request while it comes in. Made with its first line. */
struct incoming {
	struct peer *peer;
	char *path;  /* as it came, cut at the ? */
	char *query; /* behind it; "" */
	bool begun;  /* the head was looked at */
	bool bare;   /* HEAD: the answer has no content */
	bool complete;
	int refused; /* a status, for when the rest has come: it is thrown away; 0 */
	struct text body;
	size_t reserved; /* of the server's body_bytes */
	struct api_header headers[API_HEADERS_MAX];
	size_t header_count, header_bytes, line_bytes; /* line: of the target in the first line */
	char *trimmed[API_HEADERS_MAX];                /* values of headers that had blanks behind them */
};

/* --- connections --- */

static struct peer *connection_peer(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* The library tells of a connection before it reads from it, and of its end before it closes the descriptor:
 * the watch never shuts down somebody else's. */
static void on_connection(void *context, struct MHD_Connection *connection, void **peer,
			  enum MHD_ConnectionNotificationCode what)
{
	struct listener *listener = context;
	struct peers *peers = &listener->server->peers;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *fd =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		const union MHD_ConnectionInfo *address =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		*peer = peers_add(peers, fd->connect_fd,
				  listener->door == DOOR_SOCKET ? NULL : address->client_addr);
	} else if (*peer) {
		peers_remove(peers, *peer);
		*peer = NULL;
	}
}

/* In the place of libc's, for the whole process (linked with -rdynamic). Where no descriptor is left the
 * library would ask again at once, for ever, or not until somebody else has left. */
int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	static const struct timespec pause = {.tv_nsec = ACCEPT_PAUSE_MS * 1000000L};
	int got = (int)syscall(SYS_accept4, fd, address, len, flags);

	if (got < 0 && descriptors_ran_out()) {
		got = (int)syscall(SYS_accept4, fd, address, len, flags);
		if (got < 0 && descriptors_ran_out()) {
			nanosleep(&pause, NULL);
			errno = EAGAIN;
		}
	}
	return got;
}

/* Has the address as many connections as it may? */
static enum MHD_Result on_accept(void *context, const struct sockaddr *address, socklen_t len)
{
	struct listener *listener = context;
	struct web_server *server = listener->server;
	char words[NET_ADDRESS_TEXT];

	(void)len;
	if (listener->door == DOOR_SOCKET)
		return MHD_YES;
	net_address_text(address, words);
	if (net_is_loopback(words) || server->service.trusts(server->service.context, words))
		return MHD_YES;
	return peers_from(&server->peers, words) < ADDRESS_CONNECTIONS_MAX ? MHD_YES : MHD_NO;
}

/* --- one request: its beginning and end --- */

/* What a client sends to a proxy, with scheme and host, means the same here (RFC 9112 section 3.2.2). */
static const char *origin_form(const char *target)
{
	size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
			: strncasecmp(target, "https://", 8) == 0 ? 8
								  : 0;

	return scheme ? target + scheme + strcspn(target + scheme, "/?") : target;
}

static void *on_request_line(void *context, const char *target, struct MHD_Connection *connection)
{
	struct listener *listener = context;
	struct incoming *in = xcalloc(1, sizeof *in);
	const char *uri = origin_form(target);
	size_t path_len = strcspn(uri, "?");

	in->peer = connection_peer(connection);
	in->path = path_len || uri == target ? xmemdup0(uri, path_len) : xstrdup("/");
	in->line_bytes = strlen(target);
	in->query = xstrdup(uri[path_len] ? uri + path_len + 1 : "");
	text_init(&in->body, api_body_max(listener->door));
	peer_asks(&listener->server->peers, in->peer);
	return in;
}

static bool reserve(struct web_server *server, size_t len)
{
	size_t taken = server->body_bytes;

	do {
		if (len > server->service.bodies_max - taken)
			return false;
	} while (!atomic_compare_exchange_weak(&server->body_bytes, &taken, taken + len));
	return true;
}

static void give_back(struct web_server *server, struct incoming *in)
{
	atomic_fetch_sub(&server->body_bytes, in->reserved);
	in->reserved = 0;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode why)
{
	struct listener *listener = context;
	struct web_server *server = listener->server;
	struct incoming *in = *request;

	*request = NULL;
	if (!in)
		return;
	const union MHD_ConnectionInfo *fd =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	bool answered =
		why == MHD_REQUEST_TERMINATED_COMPLETED_OK || why == MHD_REQUEST_TERMINATED_WITH_ERROR;
	/* what may come next on this connection; or the end of it, which the deadline bounds too */
	peer_until(&server->peers, in->peer, moment_mono() + IDLE_DEADLINE, false);
	if (!in->complete && answered && fd)
		peer_linger(fd->connect_fd);
	give_back(server, in);
	free(in->path);
	free(in->query);
	text_release(&in->body);
	for (size_t i = 0; i < in->header_count; i++)
		free(in->trimmed[i]);
	free(in);
}

/* --- answers --- */

static void add_headers(struct MHD_Response *response, const struct api_response *from)
{
	static const struct api_header usual[] = {
		{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
		{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
		{"Referrer-Policy", "no-referrer"},
		{"X-Content-Type-Options", "nosniff"},
	};
	const char *type = from->type;

	if (!type && from->body)
		type = from->status >= 400 ? "application/problem+json" : "application/json";
	if (type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		if (!api_response_get(from, usual[i].name))
			MHD_add_response_header(response, usual[i].name, usual[i].value);
	if (from->status == MHD_HTTP_SERVICE_UNAVAILABLE &&
	    !api_response_get(from, MHD_HTTP_HEADER_RETRY_AFTER))
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	for (size_t i = 0; i < from->header_count; i++)
		MHD_add_response_header(response, from->headers[i].name, from->headers[i].value);
}

/* A stream on its way to its peer. */
struct outgoing {
	struct web_server *server;
	struct peer *peer;
	struct api_stream *stream;
	struct text piece;
	size_t taken; /* of the piece */
	bool over;
};

static ssize_t stream_read(void *context, uint64_t position, char *out, size_t max)
{
	struct outgoing *going = context;

	(void)position;
	while (going->taken == going->piece.len && !going->over) {
		text_clear(&going->piece);
		going->taken = 0;
		peer_until(&going->server->peers, going->peer, MOMENT_NEVER, false);
		going->over = !going->stream->more(going->stream, &going->piece);
		if (!going->piece.len && going->peer && peer_hung_up(going->peer))
			return MHD_CONTENT_READER_END_WITH_ERROR;
		peer_until(&going->server->peers, going->peer, moment_mono() + ANSWER_DEADLINE, false);
	}
	size_t left = going->piece.len - going->taken, take = left < max ? left : max;
	if (!take)
		return MHD_CONTENT_READER_END_OF_STREAM;
	memcpy(out, going->piece.data + going->taken, take);
	going->taken += take;
	return (ssize_t)take;
}

static void stream_end(void *context)
{
	struct outgoing *going = context;

	going->stream->close(going->stream);
	text_release(&going->piece);
	atomic_fetch_sub(&going->server->streams, 1);
	free(going);
}

/* Takes the stream. */
static struct MHD_Response *stream_response(struct web_server *server, struct peer *peer,
					    struct api_response *from)
{
	struct outgoing *going = xcalloc(1, sizeof *going);

	*going = (struct outgoing){.server = server, .peer = peer, .stream = from->stream};
	from->stream = NULL;
	text_init(&going->piece, API_STREAM_PIECE);
	struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
									  stream_read, going, stream_end);
	if (!response)
		stream_end(going);
	return response;
}

/* Takes the bytes, too. */
static struct MHD_Response *whole_response(struct api_response *from)
{
	static char nothing[1];
	char *bytes = from->body ? json_dumps(from->body, JSON_COMPACT | JSON_ENCODE_ANY) : from->bytes;
	size_t len = from->body && bytes ? strlen(bytes) : from->len;

	if (!from->body)
		from->bytes = NULL;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(bytes ? len : 0, bytes ? bytes : nothing,
						bytes ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (!response)
		free(bytes);
	return response;
}

static void refusal(struct api_response *response, int status, const char *why)
{
	api_response_release(response);
	response->status = status;
	response->body = api_problem(status, why);
}

/* Releases the response. `close`: nothing more is wanted on this connection. */
static enum MHD_Result answer(struct listener *listener, struct MHD_Connection *connection,
			      struct incoming *in, struct api_response *from, bool close)
{
	struct web_server *server = listener->server;
	struct MHD_Response *response = NULL;
	enum MHD_Result result = MHD_NO;

	if (from->stream && atomic_fetch_add(&server->streams, 1) >= API_STREAMS_MAX) {
		atomic_fetch_sub(&server->streams, 1);
		refusal(from, 503, "there are as many streams as there may be");
	}
	if (!from->status)
		refusal(from, 500, "the route gave no answer");
	const bool streams = from->stream != NULL;
	response = streams ? stream_response(server, in->peer, from) : whole_response(from);
	if (response) {
		add_headers(response, from);
		if (in->bare && streams) /* in chunks the library would send the last one */
			MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
		if (close)
			MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
		peer_until(&server->peers, in->peer, moment_mono() + ANSWER_DEADLINE, false);
		result = MHD_queue_response(connection, (unsigned)from->status, response);
		MHD_destroy_response(response);
	}
	api_response_release(from);
	return result;
}

static enum MHD_Result refuse(struct listener *listener, struct MHD_Connection *connection,
			      struct incoming *in, int status, const char *why)
{
	struct api_response response = {0};

	refusal(&response, status, why);
	return answer(listener, connection, in, &response, true);
}

/* --- one request: what it asks --- */

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
				   const char *value)
{
	struct incoming *in = context;

	(void)kind;
	in->header_bytes += strlen(name) + (value ? strlen(value) : 0);
	if (in->header_count == API_HEADERS_MAX || in->header_bytes > API_HEAD_MAX) {
		in->header_bytes = API_HEAD_MAX + 1;
		return MHD_NO;
	}
	size_t len = value ? strlen(value) : 0, bare = len;
	while (bare && (value[bare - 1] == ' ' || value[bare - 1] == '\t')) /* the library leaves them */
		bare--;
	if (bare < len)
		value = in->trimmed[in->header_count] = xmemdup0(value, bare);
	in->headers[in->header_count++] = (struct api_header){name, value ? value : ""};
	return MHD_YES;
}

static int headers_named(const struct incoming *in, const char *name)
{
	int count = 0;

	for (size_t i = 0; i < in->header_count; i++)
		count += strcasecmp(in->headers[i].name, name) == 0;
	return count;
}

static struct api_request request_of(const struct listener *listener, const char *method,
				     const struct incoming *in)
{
	struct api_request request = {.door = listener->door,
				      .method = method,
				      .path = in->path,
				      .query = in->query,
				      .body = in->body.data,
				      .body_len = in->body.len,
				      .headers = in->headers,
				      .header_count = in->header_count,
				      .peer = in->peer ? in->peer->address : "",
				      .asker = {.by = "", .actor = ""}};

	if (listener->door != DOOR_PUBLIC) /* there nobody may say who he is */
		request.asker.actor = api_request_header(&request, "Heed-Actor");
	if (listener->door == DOOR_SOCKET)
		request.asker.by =
			strcmp(api_request_header(&request, "Heed-By"), "import") == 0 ? "import" : "cli";
	return request;
}

/* NULL, or why the head can't be taken; *status says how that is answered. */
static const char *head_refused(const struct incoming *in, const struct api_request *request,
				const char *version, int *status)
{
	static const char *const once[] = {"Host",           "Content-Length", "Transfer-Encoding",
					   "Content-Type",   "Heed-Actor",     "Authorization",
					   "Idempotency-Key"};
	const char *encoding = api_request_header(request, "Transfer-Encoding");
	const char *actor = api_request_header(request, "Heed-Actor");

	*status = MHD_HTTP_URI_TOO_LONG;
	if (in->line_bytes > API_HEAD_MAX)
		return "path: is longer than 32 KiB";
	*status = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
	if (in->header_bytes > API_HEAD_MAX)
		return "head: there are more than 64 headers, or more than 32 KiB of them";
	*status = MHD_HTTP_BAD_REQUEST;
	for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
		if (headers_named(in, once[i]) > 1)
			return "head: a header is there twice that says one thing only";
	if (!headers_named(in, "Host") && strcmp(version, MHD_HTTP_VERSION_1_1) == 0)
		return "Host: is missing";
	if (*encoding && headers_named(in, "Content-Length"))
		return "head: Content-Length and Transfer-Encoding exclude each other";
	if (*encoding && strcasecmp(encoding, "chunked") != 0)
		return "Transfer-Encoding: chunked is the only one";
	if (*actor && !customer_id_valid(actor))
		return "Heed-Actor: is wanted as 1 to 128 bytes of UTF-8 without control characters";
	return NULL;
}

/* The body's length as it is announced; SIZE_MAX: nobody knows. */
static size_t announced(const struct api_request *request)
{
	const char *length = api_request_header(request, "Content-Length");

	if (*api_request_header(request, "Transfer-Encoding"))
		return SIZE_MAX;
	return (size_t)strtoull(length, NULL, 10);
}

static enum MHD_Result on_head(struct listener *listener, struct MHD_Connection *connection,
			       const char *method, const char *version, struct incoming *in)
{
	struct web_service *service = &listener->server->service;
	struct api_response response = {0};
	int status;

	in->bare = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, in);
	const struct api_request request = request_of(listener, method, in);
	const char *why = head_refused(in, &request, version, &status);
	size_t length = announced(&request);
	if (why)
		return refuse(listener, connection, in, status, why);
	if (length != SIZE_MAX && length > in->body.max)
		return refuse(listener, connection, in, MHD_HTTP_CONTENT_TOO_LARGE,
			      listener->door == DOOR_PUBLIC ? "body: is larger than 1 MiB"
							    : "body: is larger than 8 MiB");
	bool asks = *api_request_header(&request, "Expect"); /* who waits to be told whether to send it */
	if ((asks || length > BODY_READ_AHEAD) && service->refuses(service->context, &request, &response))
		return answer(listener, connection, in, &response, true);
	return MHD_YES;
}

static void on_piece(struct web_server *server, struct incoming *in, const char *piece, size_t len)
{
	if (in->refused)
		return;
	if (!reserve(server, len)) {
		in->refused = MHD_HTTP_SERVICE_UNAVAILABLE;
	} else {
		in->reserved += len;
		if (!text_add(&in->body, piece, len))
			in->refused = MHD_HTTP_CONTENT_TOO_LARGE;
	}
	if (in->refused) { /* what is thrown away takes nobody's room */
		text_release(&in->body);
		give_back(server, in);
	}
}

static enum MHD_Result run(struct listener *listener, struct MHD_Connection *connection, const char *method,
			   struct incoming *in)
{
	struct web_service *service = &listener->server->service;
	const struct api_request request = request_of(listener, method, in);
	struct api_response response = {0};

	peer_until(&listener->server->peers, in->peer, MOMENT_NEVER, false);
	service->handle(service->context, &request, &response);
	return answer(listener, connection, in, &response, false);
}

/* Called with the head, then with each piece of the body, then once more. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *piece, size_t *len,
				  void **state)
{
	struct listener *listener = context;
	struct incoming *in = *state;

	(void)url;
	if (!in)
		return MHD_NO;
	if (!in->begun) {
		in->begun = true;
		return on_head(listener, connection, method, version, in);
	}
	if (*len) { /* an answer has to wait for the end of the body */
		on_piece(listener->server, in, piece, *len);
		*len = 0;
		return MHD_YES;
	}
	in->complete = true;
	if (in->refused)
		return refuse(listener, connection, in, in->refused,
			      in->refused == MHD_HTTP_CONTENT_TOO_LARGE
				      ? "body: is too large"
				      : "there is too much to read just now");
	return run(listener, connection, method, in);
}

/* The path is split before it is decoded, so the library may not. */
static size_t on_unescape(void *context, struct MHD_Connection *connection, char *s)
{
	(void)context;
	(void)connection;
	return strlen(s);
}

/* --- open and close --- */

static size_t connections_max(enum door door)
{
	size_t most = door == DOOR_SOCKET ? SOCKET_CONNECTIONS_MAX : LISTENER_CONNECTIONS_MAX;

	return door == DOOR_PUBLIC ? most : most + API_STREAMS_MAX;
}

static bool listener_open(struct listener *listener, struct text *error)
{
	int fd = listener->door == DOOR_SOCKET ? listen_on_path(listener->at, error)
					       : listen_on_endpoint(listener->at, error);

	if (fd < 0)
		return false;
	listener->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, on_accept,
		listener, on_request, listener, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)connections_max(listener->door),
		MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_SIZE,
		MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_SIZE, MHD_OPTION_URI_LOG_CALLBACK,
		on_request_line, listener, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, listener,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, listener, MHD_OPTION_END);
	if (listener->daemon)
		return true;
	text_error(error, "%s: the web server could not be started: %s", listener->at, strerror(errno));
	if (listener->door == DOOR_SOCKET)
		unlink(listener->at);
	close(fd);
	return false;
}

static void listener_close(struct listener *listener)
{
	if (listener->daemon && listener->door == DOOR_SOCKET)
		unlink(listener->at); /* who comes now finds nobody, rather than somebody who leaves */
	if (listener->daemon)
		MHD_stop_daemon(listener->daemon); /* closes its socket; calls under way are waited for */
	free(listener->at);
}

struct web_server *web_server_open(const struct web_listener listeners[], size_t count,
				   const struct web_service *service, struct text *error)
{
	struct web_server *server = xcalloc(1, sizeof *server);
	size_t connections = 0;

	server->service = *service;
	if (!service->bodies_max)
		server->service.bodies_max = API_BODIES_MAX;
	for (size_t i = 0; i < count; i++)
		connections += connections_max(listeners[i].door) + PEERS_SPARE;
	bool ok = peers_open(&server->peers, connections) ||
		  text_error(error, "the web server's thread could not be made");
	for (size_t i = 0; ok && i < count; i++) {
		struct listener *listener = &server->listeners[server->listener_count++];
		*listener = (struct listener){.server = server, .door = listeners[i].door};
		listener->at = xstrdup(listeners[i].at);
		ok = listener_open(listener, error);
	}
	if (ok)
		return server;
	web_server_close(server);
	return NULL;
}

void web_server_close(struct web_server *server)
{
	if (!server)
		return;
	for (size_t i = server->listener_count; i-- > 0;)
		listener_close(&server->listeners[i]);
	peers_close(&server->peers);
	free(server);
}
