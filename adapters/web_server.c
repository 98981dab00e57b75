/* The web server: libmicrohttpd on a Unix socket, a thread a connection. What it adds to the library: a
 * deadline of its own for head and body (the library's is for idleness only, so a peer that sends a byte now
 * and then would stay for ever), bounds, and the refusal of what two readers could understand differently. */
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api.h"
#include "moment.h"
#include "words.h"
#include "xalloc.h"
#include "banned.h"

#define CONNECTIONS_MAX 128
#define STACK_SIZE (1024 * 1024)
#define HEAD_MAX (32 * 1024)
#define IDLE_SECONDS 10U
#define REQUEST_DEADLINE (15 * MOMENT_S) /* for head and body together */
#define ANSWER_DEADLINE (60 * MOMENT_S)  /* for the peer to take it */
#define WATCH_STEP (250 * MOMENT_MS)

/* A connection as the watch sees it. */
struct peer {
	int fd;           /* -1: free */
	int64_t deadline; /* monotonic; MOMENT_NEVER while we work on an answer */
};

struct web_server {
	struct MHD_Daemon *daemon;
	web_handler handler;
	void *context;
	char *socket_path;
	pthread_t watch;
	pthread_mutex_t lock; /* peers and closing */
	pthread_cond_t wake;
	bool closing;
	struct peer peers[CONNECTIONS_MAX];
};

/* A request while it comes in. Made with its first line. */
struct incoming {
	char *path;  /* as it came, cut at the ? */
	char *query; /* behind it; "" */
	bool begun;  /* the head was looked at */
	bool too_large;
	struct text body;
};

/* --- the watch --- */

static struct peer *peer_find(struct web_server *server, int fd)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (server->peers[i].fd == fd)
			return &server->peers[i];
	return NULL;
}

static int connection_fd(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static void peer_deadline(struct web_server *server, struct MHD_Connection *connection, int64_t deadline)
{
	pthread_mutex_lock(&server->lock);
	struct peer *peer = peer_find(server, connection_fd(connection));
	if (peer)
		peer->deadline = deadline;
	pthread_mutex_unlock(&server->lock);
}

/* The library tells of a connection before it reads from it, and of its end before it closes the descriptor:
 * the watch never shuts down somebody else's. */
static void on_connection(void *context, struct MHD_Connection *connection, void **unused,
			  enum MHD_ConnectionNotificationCode what)
{
	struct web_server *server = context;
	int fd = connection_fd(connection);

	(void)unused;
	pthread_mutex_lock(&server->lock);
	struct peer *peer = peer_find(server, what == MHD_CONNECTION_NOTIFY_STARTED ? -1 : fd);
	if (peer && what == MHD_CONNECTION_NOTIFY_STARTED)
		*peer = (struct peer){fd, moment_mono() + REQUEST_DEADLINE};
	else if (peer)
		peer->fd = -1;
	pthread_mutex_unlock(&server->lock);
}

static void *watch_run(void *context)
{
	struct web_server *server = context;

	pthread_mutex_lock(&server->lock);
	while (!server->closing) {
		int64_t now = moment_mono(), until = now + WATCH_STEP;
		for (size_t i = 0; i < CONNECTIONS_MAX; i++)
			if (server->peers[i].fd >= 0 && server->peers[i].deadline < now)
				shutdown(server->peers[i].fd, SHUT_RDWR);
		struct timespec at = {.tv_sec = until / MOMENT_S, .tv_nsec = until % MOMENT_S * 1000};
		pthread_cond_timedwait(&server->wake, &server->lock, &at);
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

static void watch_stop(struct web_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->closing = true;
	pthread_cond_signal(&server->wake);
	pthread_mutex_unlock(&server->lock);
	pthread_join(server->watch, NULL);
}

/* --- one request --- */

static void *on_request_line(void *context, const char *uri, struct MHD_Connection *connection)
{
	struct incoming *in = xcalloc(1, sizeof *in);
	size_t path_len = strcspn(uri, "?");

	(void)context;
	(void)connection;
	in->path = xmemdup0(uri, path_len);
	in->query = xstrdup(uri[path_len] ? uri + path_len + 1 : "");
	text_init(&in->body, API_BODY_MAX);
	return in;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode why)
{
	struct incoming *in = *request;

	(void)why;
	if (in) {
		free(in->path);
		free(in->query);
		text_release(&in->body);
		free(in);
	}
	*request = NULL;
	/* what may come next on this connection */
	peer_deadline(context, connection, moment_mono() + IDLE_SECONDS * MOMENT_S + REQUEST_DEADLINE);
}

static enum MHD_Result answer(struct MHD_Connection *connection, int status, json_t *body)
{
	static char nothing[1];
	char *words = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(words ? strlen(words) : 0, words ? words : nothing,
						words ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = MHD_NO;

	if (!response) {
		free(words);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				status >= 400 ? "application/problem+json" : "application/json");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	result = MHD_queue_response(connection, (unsigned)status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, int status, const char *why)
{
	json_t *problem = api_problem(status, why);
	enum MHD_Result result = answer(connection, status, problem);

	json_decref(problem);
	return result;
}

struct header_count {
	const char *name;
	int count;
};

static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *name,
				    const char *value)
{
	struct header_count *wanted = context;

	(void)kind;
	(void)value;
	wanted->count += strcasecmp(name, wanted->name) == 0;
	return MHD_YES;
}

static int headers_named(struct MHD_Connection *connection, const char *name)
{
	struct header_count wanted = {.name = name};

	MHD_get_connection_values(connection, MHD_HEADER_KIND, count_header, &wanted);
	return wanted.count;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);

	return value ? value : "";
}

/* NULL, or why the head can't be taken; *status says how that is answered. */
static const char *head_refused(struct MHD_Connection *connection, int *status)
{
	int lengths = headers_named(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *actor = header(connection, "Heed-Actor");

	*status = MHD_HTTP_BAD_REQUEST;
	if (lengths > 1 || headers_named(connection, MHD_HTTP_HEADER_HOST) > 1)
		return "head: Content-Length or Host is there twice";
	if (lengths && headers_named(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		return "head: Content-Length and Transfer-Encoding exclude each other";
	if (headers_named(connection, "Heed-Actor") > 1 || (*actor && !customer_id_valid(actor)))
		return "Heed-Actor: is wanted once, 1 to 128 bytes of UTF-8 without control characters";
	if (strtoull(header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH), NULL, 10) > API_BODY_MAX) {
		*status = MHD_HTTP_CONTENT_TOO_LARGE;
		return "body: is larger than 8 MiB";
	}
	return NULL;
}

static enum MHD_Result run(struct web_server *server, struct MHD_Connection *connection, const char *method,
			   const struct incoming *in)
{
	bool import = strcmp(header(connection, "Heed-By"), "import") == 0;
	struct api_request request = {
		.method = method,
		.path = in->path,
		.query = in->query,
		.body = in->body.data,
		.body_len = in->body.len,
		.asker = {.by = import ? "import" : "cli", .actor = header(connection, "Heed-Actor")}};
	struct api_response response = {0};

	peer_deadline(server, connection, MOMENT_NEVER);
	server->handler(server->context, &request, &response);
	peer_deadline(server, connection, moment_mono() + ANSWER_DEADLINE);
	enum MHD_Result result =
		answer(connection, response.status ? response.status : MHD_HTTP_INTERNAL_SERVER_ERROR,
		       response.body);
	json_decref(response.body);
	return result;
}

/* Called with the head, then with each piece of the body, then once more. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *piece, size_t *len,
				  void **state)
{
	struct incoming *in = *state;
	const char *why;
	int status;

	(void)url;
	(void)version;
	if (!in)
		return MHD_NO;
	if (!in->begun) {
		in->begun = true;
		why = head_refused(connection, &status);
		return why ? refuse(connection, status, why) : MHD_YES;
	}
	if (*len) { /* an answer has to wait for the end of the body, so the rest is thrown away */
		in->too_large = in->too_large || !text_add(&in->body, piece, *len);
		*len = 0;
		return MHD_YES;
	}
	if (in->too_large)
		return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "body: is larger than 8 MiB");
	return run(context, connection, method, in);
}

/* The path is split before it is decoded, so the library may not. */
static size_t on_unescape(void *context, struct MHD_Connection *connection, char *s)
{
	(void)context;
	(void)connection;
	return strlen(s);
}

/* --- open and close --- */

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

/* -1 and `error`. */
static int listen_on(const char *path, struct text *error)
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

static void server_init(struct web_server *server)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&server->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&server->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		server->peers[i].fd = -1;
}

static void server_free(struct web_server *server)
{
	pthread_cond_destroy(&server->wake);
	pthread_mutex_destroy(&server->lock);
	free(server->socket_path);
	free(server);
}

struct web_server *web_server_open(const char *socket_path, web_handler handler, void *context,
				   struct text *error)
{
	struct web_server *server = xcalloc(1, sizeof *server);
	int fd = listen_on(socket_path, error);

	server_init(server);
	server->handler = handler;
	server->context = context;
	server->socket_path = xstrdup(socket_path);
	if (fd < 0)
		goto failed;
	int watching = pthread_create(&server->watch, NULL, watch_run, server);
	if (watching == 0)
		server->daemon = MHD_start_daemon(
			MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL,
			on_request, server, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
			MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
			IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MAX,
			MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_SIZE, MHD_OPTION_URI_LOG_CALLBACK,
			on_request_line, server, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, server,
			MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
			on_completed, server, MHD_OPTION_END);
	if (server->daemon)
		return server;
	text_error(error, "%s: the web server could not be started: %s", socket_path,
		   strerror(watching ? watching : errno));
	unlink(socket_path);
	close(fd);
	if (watching == 0)
		watch_stop(server);
failed:
	server_free(server);
	return NULL;
}

void web_server_close(struct web_server *server)
{
	if (!server)
		return;
	unlink(server->socket_path);     /* who comes now finds nobody, rather than somebody who leaves */
	MHD_stop_daemon(server->daemon); /* closes the socket too; calls under way are waited for */
	watch_stop(server);
	server_free(server);
}
