/* The engine. Its thread owns the multi handle, the sockets and the slots; `mutex` guards only the list of
 * what was handed over and the wish to close. A slot is one easy handle, used again and again; it is idle, at
 * work for an attempt, or draining: its attempt was reported and the rest of the answer is read, so that the
 * connection can be kept. A draining slot is given up as soon as its place is wanted. */
#include "http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api.h"
#include "log.h"
#include "moment.h"
#include "net_inside.h"
#include "xalloc.h"
#include "banned.h"

#define EVENTS_AT_ONCE 64
#define SLOT_KEEP_MAX (64 * 1024) /* a buffer that grew over this is given back after its request */

struct slot {
	struct http_engine *engine;
	struct slot *next_idle;
	CURL *easy;
	struct attempt *attempt; /* NULL: idle or draining */
	struct http_request request;
	struct http_response response;
	size_t sent;          /* bytes of the body that were given away */
	size_t drained;       /* bytes of the answer since the verdict */
	bool running;         /* in the multi handle */
	bool begun;           /* attempt_begin said yes: from here on it may have been taken */
	bool not_begun;       /* attempt_begin said no */
	bool opened, blocked; /* a socket was opened; an address was refused */
};

/* What epoll knows of a socket, by its number. */
struct watched {
	uint32_t wanted, registered;
	bool lasting; /* opened by us and closed by us: may stay registered between requests */
};

struct http_engine {
	struct channel *channel;
	const struct http_handler *handler;
	struct http_options options;
	CURLM *multi;
	int epoll, wakeup;
	int64_t timer; /* monotonic: when curl wants to be called; MOMENT_NEVER */
	struct slot slots[HTTP_IN_FLIGHT];
	struct slot *idle;
	size_t at_work; /* slots with an attempt */
	struct watched *watched;
	size_t watched_count;
	struct attempt *waiting, **waiting_tail; /* taken from `handed`, for want of a slot */
	bool stopping;                           /* the thread's copy of `closing` */
	pthread_t thread;

	pthread_mutex_t mutex;
	struct attempt *handed, **handed_tail;
	bool closing;
	int64_t close_deadline;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* --- sockets --- */

static struct watched *watched_at(struct http_engine *engine, curl_socket_t fd)
{
	size_t i = (size_t)fd;

	if (i >= engine->watched_count) {
		size_t count = i + 64;
		engine->watched = xreallocarray(engine->watched, count, sizeof *engine->watched);
		memset(engine->watched + engine->watched_count, 0,
		       (count - engine->watched_count) * sizeof *engine->watched);
		engine->watched_count = count;
	}
	return &engine->watched[i];
}

static void watch(struct http_engine *engine, curl_socket_t fd, struct watched *w, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (events == w->registered)
		return;
	if (!events)
		epoll_ctl(engine->epoll, EPOLL_CTL_DEL, fd, &event);
	else if (epoll_ctl(engine->epoll, w->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0)
		log_error("channel %s: epoll: %s", engine->channel->config->name, strerror(errno));
	w->registered = events;
}

/* A lasting socket that is wanted less stays registered as it was, until an event comes that nobody wants:
 * that saves two calls a request. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
	struct http_engine *engine = context;
	struct watched *w = watched_at(engine, fd);

	(void)easy;
	(void)socket_context;
	w->wanted = 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		w->wanted |= EPOLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		w->wanted |= EPOLLOUT;
	if (!w->lasting)
		watch(engine, fd, w, w->wanted);
	else if (w->wanted & ~w->registered)
		watch(engine, fd, w, w->wanted | w->registered);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *context)
{
	struct http_engine *engine = context;

	(void)multi;
	engine->timer = ms < 0 ? MOMENT_NEVER : moment_mono() + ms * MOMENT_MS;
	return 0;
}

static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct slot *slot = context;

	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKET_BAD;
	if (slot->engine->options.vet && net_inside(&address->addr)) {
		slot->blocked = true;
		return CURL_SOCKET_BAD;
	}
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	slot->opened = true;
	*watched_at(slot->engine, fd) = (struct watched){.lasting = true};
	return fd;
}

static int on_close_socket(void *context, curl_socket_t fd)
{
	*watched_at(context, fd) = (struct watched){0}; /* closing takes it out of epoll */
	return close(fd);
}

/* --- a request's way --- */

static void slot_report(struct slot *slot, struct outcome outcome)
{
	struct attempt *attempt = slot->attempt;

	outcome.summary = slot->request.summary;
	outcome.content = slot->request.content;
	slot->request.summary = slot->request.content = NULL;
	slot->attempt = NULL;
	slot->engine->at_work--;
	channel_report(attempt, &outcome);
}

static void slot_judge(struct slot *slot)
{
	struct outcome outcome = {0};

	slot->engine->handler->judge(slot->engine->channel, &slot->response, &outcome);
	slot_report(slot, outcome);
}

/* The connection stands and nothing was sent on it yet: the point of no return. A second call for the same
 * request is curl about to send it again, on a new connection, after the kept one had died: no. */
static int on_ready(void *context, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct slot *slot = context;

	(void)remote_ip;
	(void)local_ip;
	(void)remote_port;
	(void)local_port;
	if (slot->begun)
		return CURL_PREREQFUNC_ABORT;
	slot->not_begun = slot->engine->stopping || !attempt_begin(slot->attempt);
	slot->begun = !slot->not_begun;
	return slot->begun ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* No seek function beside it: curl can't send the body again. */
static size_t on_read(char *buffer, size_t size, size_t count, void *context)
{
	struct slot *slot = context;
	size_t left = slot->request.body.len - slot->sent, len = size * count;

	if (len > left)
		len = left;
	memcpy(buffer, slot->request.body.data + slot->sent, len);
	slot->sent += len;
	return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct slot *slot = context;
	size_t len = size * count;

	if (!slot->attempt) {
		slot->drained += len;
		return slot->drained > HTTP_RESPONSE_MAX ? 0 : len;
	}
	return text_add(&slot->response.body, data, len) ? len : 0;
}

/* "HTTP/1.1 200 OK": 200; 0 where it isn't a status line. */
static int status_of(const char *line, size_t len)
{
	if (len < 12 || memcmp(line, "HTTP/", 5) != 0)
		return 0;
	const char *space = memchr(line, ' ', len);
	if (!space || line + len - space < 4)
		return 0;
	int status = 0;
	for (int i = 1; i <= 3; i++) {
		if (space[i] < '0' || space[i] > '9')
			return 0;
		status = status * 10 + (space[i] - '0');
	}
	return status;
}

/* The value of `line` where it is the header `name`; else NULL. */
static char *header_value(const char *line, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	if (!name_len || len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
		return NULL;
	const char *from = line + name_len + 1, *to = line + len;
	while (from < to && strchr(" \t", *from))
		from++;
	while (to > from && strchr(" \t\r\n", to[-1]))
		to--;
	return xmemdup0(from, (size_t)(to - from));
}

/* RFC 9110, 10.2.3: seconds, or a date. */
static int64_t retry_after_parse(const char *value)
{
	int64_t wait = 0;

	if (*value && strspn(value, "0123456789") == strlen(value)) {
		errno = 0;
		long long seconds = strtoll(value, NULL, 10);
		wait = errno || seconds > HTTP_RETRY_AFTER_MAX / MOMENT_S ? HTTP_RETRY_AFTER_MAX
									  : seconds * MOMENT_S;
	} else {
		time_t at = curl_getdate(value, NULL);
		if (at > 0 && at < INT64_MAX / MOMENT_S)
			wait = (int64_t)at * MOMENT_S - moment_now();
	}
	if (wait > HTTP_RETRY_AFTER_MAX)
		wait = HTTP_RETRY_AFTER_MAX;
	return wait > 0 ? wait : 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
	struct slot *slot = context;
	struct http_response *response = &slot->response;
	const struct http_options *options = &slot->engine->options;
	size_t len = size * count;
	int status = status_of(line, len);
	char *value;

	if (!slot->attempt)
		return len;
	if (status)
		response->status = status >= 200 ? status : 0; /* 1xx: the answer is still to come */
	if (!response->status)
		return len;
	bool success = response->status < 300, end = len <= 2;
	if (options->status_line_decides && (success || end)) {
		slot_judge(slot);
		return len;
	}
	value = header_value(line, len, "Retry-After");
	if (value)
		response->retry_after = retry_after_parse(value);
	free(value);
	value = options->keep_header ? header_value(line, len, options->keep_header) : NULL;
	if (value) {
		text_clear(&response->header);
		text_puts(&response->header, value);
	}
	free(value);
	return len;
}

static void text_reset(struct text *t)
{
	if (t->capacity > SLOT_KEEP_MAX)
		text_release(t);
	else
		text_clear(t);
}

static void slot_clear(struct slot *slot)
{
	text_reset(&slot->request.url);
	text_reset(&slot->request.body);
	text_reset(&slot->response.body);
	text_reset(&slot->response.header);
	curl_slist_free_all(slot->request.headers);
	slot->request.headers = NULL;
	free(slot->request.summary);
	free(slot->request.content);
	slot->request.summary = slot->request.content = NULL;
	slot->request.has_body = false;
	slot->response.status = 0;
	slot->response.retry_after = 0;
	slot->response.complete = false;
	slot->sent = slot->drained = 0;
	slot->begun = slot->not_begun = slot->opened = slot->blocked = false;
}

/* Takes the slot out of curl, whatever it was at. */
static void slot_idle(struct slot *slot)
{
	if (slot->running)
		curl_multi_remove_handle(slot->engine->multi, slot->easy);
	slot->running = false;
	slot_clear(slot);
	slot->next_idle = slot->engine->idle;
	slot->engine->idle = slot;
}

/* Why a transfer ended without an answer. libcurl's fixed words, not its message: that may hold a URL, and
 * the URL a secret. */
static struct outcome slot_failure(struct slot *slot, CURLcode result)
{
	enum outcome_scope fault = slot->engine->options.fault;
	char code[32];
	long why = 0;

	snprintf(code, sizeof code, "curl %d", (int)result);
	curl_easy_getinfo(slot->easy, CURLINFO_OS_ERRNO, &why);
	if (slot->not_begun)
		return outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "it was not begun");
	if (slot->begun && (result == CURLE_ABORTED_BY_CALLBACK || result == CURLE_SEND_FAIL_REWIND))
		return outcome_make(OUTCOME_IN_DOUBT, SCOPE_MESSAGE, code,
				    "the request was begun and the kept connection was cut");
	if (slot->begun)
		return outcome_make(OUTCOME_IN_DOUBT, SCOPE_MESSAGE, code,
				    "the request was begun and got no answer: %s",
				    result == CURLE_UNSUPPORTED_PROTOCOL ? "what came is not HTTP"
									 : curl_easy_strerror(result));
	if (slot->blocked && !slot->opened)
		return outcome_make(OUTCOME_REJECTED, SCOPE_MESSAGE, "blocked",
				    "the URL's host has an address inside a network; heed sends to public "
				    "addresses only (allow_private)");
	if (result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL)
		return outcome_make(fault == SCOPE_PROVIDER ? OUTCOME_RETRY : OUTCOME_REJECTED, fault, code,
				    "the URL can't be used: %s", curl_easy_strerror(result));
	return outcome_make(OUTCOME_RETRY, fault, code, "%s%s%s", curl_easy_strerror(result), why ? ": " : "",
			    why ? strerror((int)why) : "");
}

static void slot_finish(struct slot *slot, CURLcode result)
{
	if (slot->attempt) {
		slot->response.complete = result == CURLE_OK;
		if (slot->response.status)
			slot_judge(slot);
		else
			slot_report(slot, slot_failure(slot, result));
	}
	slot_idle(slot);
}

/* --- the thread --- */

static bool slot_setup(struct slot *slot)
{
	const struct http_options *options = &slot->engine->options;
	CURL *easy = slot->easy;
	bool ok = true;

	ok &= !curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	ok &= !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	ok &= !curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	ok &= !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	ok &= !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(options->timeout / MOMENT_MS));
	ok &= !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(options->timeout / MOMENT_MS));
	ok &= !curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	ok &= !curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	ok &= !curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, slot->engine);
	ok &= !curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready);
	ok &= !curl_easy_setopt(easy, CURLOPT_PREREQDATA, slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	ok &= !curl_easy_setopt(easy, CURLOPT_READDATA, slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	ok &= !curl_easy_setopt(easy, CURLOPT_HEADERDATA, slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	ok &= !curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
	if (options->direct)
		ok &= !curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return ok;
}

static bool slot_aim(struct slot *slot)
{
	struct http_request *request = &slot->request;
	CURL *easy = slot->easy;
	bool ok = !curl_easy_setopt(easy, CURLOPT_URL, request->url.data);

	if (request->has_body) {
		ok &= http_request_header(request, "Expect", ""); /* no waiting for 100 Continue */
		ok &= !curl_easy_setopt(easy, CURLOPT_POST, 1L);
		ok &= !curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
	} else {
		ok &= !curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	}
	ok &= !curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	ok &= !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
	return ok;
}

/* A free slot; one that only drains is free. NULL: all are at work. */
static struct slot *slot_take(struct http_engine *engine)
{
	if (!engine->idle && engine->at_work < HTTP_IN_FLIGHT)
		for (size_t i = 0; i < HTTP_IN_FLIGHT && !engine->idle; i++)
			if (!engine->slots[i].attempt)
				slot_idle(&engine->slots[i]);
	struct slot *slot = engine->idle;
	if (slot)
		engine->idle = slot->next_idle;
	return slot;
}

static void engine_start(struct http_engine *engine, struct slot *slot, struct attempt *attempt)
{
	struct outcome outcome = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "it can't be sent");

	slot->attempt = attempt;
	engine->at_work++;
	if (engine->stopping || atomic_load(&attempt->phase) != ATTEMPT_HANDED) {
		outcome = outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "it was not begun");
	} else if (engine->handler->prepare(engine->channel, attempt, &slot->request, &outcome)) {
		bool fits = !slot->request.url.full && !slot->request.body.full;
		if (!fits)
			outcome = outcome_make(
				OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "",
				"the request is too large: at most %d bytes of URL and %d of body",
				HTTP_URL_MAX, HTTP_REQUEST_MAX);
		else if (slot_aim(slot) && !curl_multi_add_handle(engine->multi, slot->easy)) {
			slot->running = true;
			return;
		}
	}
	slot_report(slot, outcome);
	slot_idle(slot);
}

static void engine_start_waiting(struct http_engine *engine)
{
	struct slot *slot;

	while (engine->waiting && (slot = slot_take(engine))) {
		struct attempt *attempt = engine->waiting;
		engine->waiting = attempt->next;
		if (!engine->waiting)
			engine->waiting_tail = &engine->waiting;
		attempt->next = NULL;
		engine_start(engine, slot, attempt);
	}
}

/* Takes over what was handed; at the wish to close lets go of all that has not begun. */
static int64_t engine_listen(struct http_engine *engine)
{
	pthread_mutex_lock(&engine->mutex);
	*engine->waiting_tail = engine->handed;
	if (engine->handed)
		engine->waiting_tail = engine->handed_tail;
	engine->handed = NULL;
	engine->handed_tail = &engine->handed;
	bool closing = engine->closing;
	int64_t deadline = closing ? engine->close_deadline : MOMENT_NEVER;
	pthread_mutex_unlock(&engine->mutex);

	if (closing && !engine->stopping) {
		engine->stopping = true;
		for (size_t i = 0; i < HTTP_IN_FLIGHT; i++) {
			struct slot *slot = &engine->slots[i];
			if (slot->attempt && !slot->begun) {
				slot->not_begun = true;
				slot_finish(slot, CURLE_ABORTED_BY_CALLBACK);
			}
		}
	}
	return deadline;
}

static void engine_collect(struct http_engine *engine)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(engine->multi, &left))) {
		struct slot *slot = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode result = message->data.result; /* gone once the handle is removed */
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
		slot_finish(slot, result);
	}
}

static void engine_event(struct http_engine *engine, const struct epoll_event *event)
{
	int fd = event->data.fd, running, what = 0;
	uint64_t count;

	if (fd == engine->wakeup) {
		ssize_t ignored = read(fd, &count, sizeof count);
		(void)ignored;
		return;
	}
	struct watched *w = watched_at(engine, fd);
	if (event->events & (EPOLLERR | EPOLLHUP))
		what |= CURL_CSELECT_ERR;
	if (event->events & EPOLLIN)
		what |= CURL_CSELECT_IN;
	if (event->events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (w->lasting && (event->events & ~w->wanted))
		watch(engine, fd, w, w->wanted);
	if (w->wanted)
		curl_multi_socket_action(engine->multi, fd, what, &running);
}

static int engine_patience(const struct http_engine *engine, int64_t deadline)
{
	int64_t until = engine->timer < deadline ? engine->timer : deadline;

	if (until == MOMENT_NEVER)
		return -1;
	int64_t left = until - moment_mono();
	if (left <= 0)
		return 0;
	return left > MOMENT_HOUR ? (int)(MOMENT_HOUR / MOMENT_MS)
				  : (int)((left + MOMENT_MS - 1) / MOMENT_MS);
}

static void *engine_run(void *context)
{
	struct http_engine *engine = context;
	struct epoll_event events[EVENTS_AT_ONCE];
	int running;

	for (;;) {
		int64_t deadline = engine_listen(engine);
		engine_start_waiting(engine);
		if (engine->stopping && (!engine->at_work || moment_mono() >= deadline))
			break;
		int count =
			epoll_wait(engine->epoll, events, EVENTS_AT_ONCE, engine_patience(engine, deadline));
		for (int i = 0; i < count; i++)
			engine_event(engine, &events[i]);
		if (moment_mono() >= engine->timer) {
			engine->timer = MOMENT_NEVER; /* curl sets the next one */
			curl_multi_socket_action(engine->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		}
		engine_collect(engine);
	}
	for (size_t i = 0; i < HTTP_IN_FLIGHT; i++) /* patience is over */
		if (engine->slots[i].attempt)
			slot_finish(&engine->slots[i], CURLE_OPERATION_TIMEDOUT);
	return NULL;
}

/* --- open, send, close --- */

static void engine_free(struct http_engine *engine)
{
	for (size_t i = 0; i < HTTP_IN_FLIGHT; i++) {
		struct slot *slot = &engine->slots[i];
		if (slot->running)
			curl_multi_remove_handle(engine->multi, slot->easy);
		curl_easy_cleanup(slot->easy);
		slot_clear(slot);
		text_release(&slot->request.url);
		text_release(&slot->request.body);
		text_release(&slot->response.body);
		text_release(&slot->response.header);
	}
	curl_multi_cleanup(engine->multi);
	if (engine->epoll >= 0)
		close(engine->epoll);
	if (engine->wakeup >= 0)
		close(engine->wakeup);
	free(engine->watched);
	pthread_mutex_destroy(&engine->mutex);
	free(engine);
}

static bool engine_setup(struct http_engine *engine)
{
	struct epoll_event event = {.events = EPOLLIN};
	CURLM *multi = engine->multi = curl_multi_init();
	bool ok = multi != NULL;

	engine->epoll = epoll_create1(EPOLL_CLOEXEC);
	engine->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	event.data.fd = engine->wakeup;
	ok = ok && engine->epoll >= 0 && engine->wakeup >= 0 &&
	     epoll_ctl(engine->epoll, EPOLL_CTL_ADD, engine->wakeup, &event) == 0 &&
	     !curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) &&
	     !curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, engine) &&
	     !curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) &&
	     !curl_multi_setopt(multi, CURLMOPT_TIMERDATA, engine) &&
	     !curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) &&
	     !curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)HTTP_IN_FLIGHT);
	for (size_t i = HTTP_IN_FLIGHT; i-- > 0;) {
		struct slot *slot = &engine->slots[i];
		slot->engine = engine;
		text_init(&slot->request.url, HTTP_URL_MAX);
		text_init(&slot->request.body, HTTP_REQUEST_MAX);
		text_init(&slot->response.body, HTTP_RESPONSE_MAX);
		text_init(&slot->response.header, HTTP_HEADER_MAX);
		slot->easy = curl_easy_init();
		ok = ok && slot->easy && slot_setup(slot);
		slot_idle(slot);
	}
	return ok;
}

struct http_engine *http_engine_open(struct channel *channel, const struct http_handler *handler,
				     const struct http_options *options, struct text *error)
{
	struct http_engine *engine = xcalloc(1, sizeof *engine);

	pthread_once(&curl_once, curl_start);
	engine->channel = channel;
	engine->handler = handler;
	engine->options = *options;
	engine->timer = MOMENT_NEVER;
	engine->handed_tail = &engine->handed;
	engine->waiting_tail = &engine->waiting;
	pthread_mutex_init(&engine->mutex, NULL);
	channel->credit = HTTP_IN_FLIGHT;
	if (!engine_setup(engine) || pthread_create(&engine->thread, NULL, engine_run, engine) != 0) {
		text_error(error, "libcurl, epoll or a thread can't be had: %s", strerror(errno));
		engine_free(engine);
		return NULL;
	}
	return engine;
}

static void engine_wake(struct http_engine *engine)
{
	uint64_t one = 1;
	ssize_t ignored = write(engine->wakeup, &one, sizeof one);

	(void)ignored;
}

void http_engine_send(struct http_engine *engine, struct attempt *attempt)
{
	attempt->next = NULL;
	pthread_mutex_lock(&engine->mutex);
	bool first = !engine->handed; /* else the thread was woken and has not come yet */
	*engine->handed_tail = attempt;
	engine->handed_tail = &attempt->next;
	pthread_mutex_unlock(&engine->mutex);
	if (first)
		engine_wake(engine);
}

void http_engine_close(struct http_engine *engine, int64_t patience)
{
	pthread_mutex_lock(&engine->mutex);
	engine->closing = true;
	engine->close_deadline = moment_mono() + patience;
	pthread_mutex_unlock(&engine->mutex);
	engine_wake(engine);
	pthread_join(engine->thread, NULL);
	engine_free(engine);
}

/* --- what adapters share --- */

bool http_request_header(struct http_request *request, const char *name, const char *value)
{
	struct text line;
	bool ok = false;

	text_init(&line, HTTP_HEADER_MAX);
	text_addf(&line, "%s:%s%s", name, *value ? " " : "", value);
	for (size_t i = 0; i < line.len; i++)
		if ((unsigned char)line.data[i] < ' ' || line.data[i] == 127)
			goto out;
	if (!line.full) {
		struct curl_slist *longer = curl_slist_append(request->headers, line.data);
		ok = longer != NULL;
		if (longer)
			request->headers = longer;
	}
out:
	text_release(&line);
	return ok;
}

bool http_url_check(const char *url, bool allow_http, struct text *error)
{
	CURLU *parsed = curl_url();
	char *scheme = NULL, *user = NULL, *password = NULL;
	bool ok = false;

	if (!parsed || curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) ||
	    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0)) {
		text_error(error, "it is not a URL");
		goto out;
	}
	if (strcmp(scheme, "https") != 0 && !(allow_http && strcmp(scheme, "http") == 0)) {
		text_error(error,
			   allow_http ? "a webhook's URL begins with https:// or http://"
				      : "a webhook's URL begins with https:// (http:// needs allow_http)");
		goto out;
	}
	if (!curl_url_get(parsed, CURLUPART_USER, &user, 0) ||
	    !curl_url_get(parsed, CURLUPART_PASSWORD, &password, 0)) {
		text_error(error, "a webhook's URL holds no user or password; requests are signed instead");
		goto out;
	}
	ok = true;
out:
	curl_free(scheme);
	curl_free(user);
	curl_free(password);
	curl_url_cleanup(parsed);
	return ok;
}

bool http_probe(const char *url, struct text *error)
{
	pthread_once(&curl_once, curl_start);
	CURL *easy = curl_easy_init();
	CURLcode result = CURLE_FAILED_INIT;

	if (easy && !curl_easy_setopt(easy, CURLOPT_URL, url) &&
	    !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
	    !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	    !curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) &&
	    !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(HTTP_PROBE_TIMEOUT / MOMENT_MS)))
		result = curl_easy_perform(easy);
	curl_easy_cleanup(easy);
	return result == CURLE_OK || text_error(error, "%s", curl_easy_strerror(result));
}

/* --- the API's client: one request over a Unix socket --- */

#define API_ANSWER_MAX (64 * 1024 * 1024)

static size_t on_answer(char *data, size_t size, size_t count, void *context)
{
	return text_add(context, data, size * count) ? size * count : 0;
}

static bool call_headers(const struct asker *asker, struct http_request *request)
{
	bool ok = http_request_header(request, "Content-Type", "application/json") &&
		  http_request_header(request, "Expect", "");

	if (ok && *asker->actor)
		ok = http_request_header(request, "Heed-Actor", asker->actor);
	if (ok && strcmp(asker->by, "import") == 0)
		ok = http_request_header(request, "Heed-By", asker->by);
	return ok;
}

static bool call_aim(CURL *easy, const char *socket_path, const char *url, int64_t timeout)
{
	return !curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket_path) &&
	       !curl_easy_setopt(easy, CURLOPT_URL, url) && !curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_PROXY, "") && !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout / MOMENT_MS));
}

bool api_call_socket(const char *socket_path, const struct asker *asker, const char *method,
		     const char *path_and_query, const json_t *send, int64_t timeout, int *status,
		     json_t **body, struct text *error)
{
	pthread_once(&curl_once, curl_start);
	CURL *easy = curl_easy_init();
	struct http_request request = {0};
	struct text answer;
	CURLcode result = CURLE_FAILED_INIT;
	char *url = xasprintf("http://heed%s", path_and_query);
	char *sent = send ? json_dumps(send, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	long code = 0;

	text_init(&answer, API_ANSWER_MAX);
	*status = 0;
	*body = NULL;
	if (easy && call_headers(asker, &request) && call_aim(easy, socket_path, url, timeout) &&
	    !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer) &&
	    !curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer) &&
	    !(sent && curl_easy_setopt(easy, CURLOPT_POSTFIELDS, sent)) &&
	    !curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) &&
	    !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request.headers))
		result = curl_easy_perform(easy);
	if (result == CURLE_OK) {
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
		*status = (int)code;
		*body = json_loadb(answer.data, answer.len, JSON_DECODE_ANY, NULL);
	} else if (result == CURLE_COULDNT_CONNECT) {
		text_error(error, "%s: nobody answers there; is the gateway running?", socket_path);
	} else {
		text_error(error, "%s: %s", socket_path, curl_easy_strerror(result));
	}
	curl_slist_free_all(request.headers);
	curl_easy_cleanup(easy);
	text_release(&answer);
	free(sent);
	free(url);
	return result == CURLE_OK;
}
