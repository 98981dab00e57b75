/* A request's way through its slot: what libcurl calls back, and what the end of it means. */
#include "http_client_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.h"
#include "moment.h"
#include "net_inside.h"
#include "xalloc.h"
#include "banned.h"

#define SLOT_KEEP_MAX (64 * 1024) /* a buffer that grew over this is given back after its request */
#define READ_SIZE 4096L
#define EXPECT_FROM 1024 /* the smallest body for which any libcurl sends Expect: 100-continue */
#define CONNECT_TIMEOUT_OWN (300 * MOMENT_S) /* libcurl's, where it is told none */

static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct slot *slot = context;

	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKET_BAD;
	if (slot->engine->options.vet && net_inside(&address->addr)) {
		slot->blocked = true;
		return CURL_SOCKET_BAD;
	}
	if (descriptors_refused())
		return CURL_SOCKET_BAD;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0) {
		descriptors_ran_out();
		return CURL_SOCKET_BAD;
	}
	slot->opened = true;
	*http_watched(slot->engine, fd) = (struct watched){.lasting = true};
	return fd;
}

static int on_close_socket(void *context, curl_socket_t fd)
{
	*http_watched(context, fd) = (struct watched){0}; /* closing takes it out of epoll */
	return close(fd);
}

void slot_report(struct slot *slot, struct outcome outcome)
{
	struct attempt *attempt = slot->attempt;

	outcome.segments = slot->request.segments;
	outcome.summary = slot->request.summary;
	outcome.content = slot->request.content;
	slot->request.summary = slot->request.content = NULL;
	slot->attempt = NULL;
	slot->engine->at_work--;
	channel_report(attempt, &outcome);
}

bool slot_is_errand(const struct slot *slot)
{
	return slot == &slot->engine->errand;
}

static void slot_judge(struct slot *slot)
{
	const struct http_handler *handler = slot->engine->handler;
	struct outcome outcome = {0};

	if (handler->again && !slot->again &&
	    handler->again(slot->engine->channel, &slot->request, &slot->response)) {
		struct attempt *attempt = slot->attempt;
		slot->attempt = NULL;
		slot->engine->at_work--;
		http_wait_again(slot->engine, attempt);
		return;
	}
	slot->engine->handler->judge(slot->engine->channel, &slot->response, &outcome);
	slot_report(slot, outcome);
}

/* One that is sent again was begun before; its lease counts as if it had not. */
static bool slot_may_begin(struct slot *slot)
{
	if (slot_is_errand(slot))
		return true;
	return slot->again ? moment_mono() < slot->attempt->lease_until : attempt_begin(slot->attempt);
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
	slot->not_begun = slot->engine->stopping || !slot_may_begin(slot);
	slot->begun = !slot->not_begun;
	return slot->begun ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct slot *slot = context;
	size_t len = size * count;

	if (!slot->attempt && !slot_is_errand(slot)) {
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

	if (!slot->attempt && !slot_is_errand(slot))
		return len;
	if (status)
		response->status = status >= 200 ? status : 0; /* 1xx: the answer is still to come */
	if (!response->status)
		return len;
	bool success = response->status < 300, end = len <= 2;
	if (options->status_line_decides && slot->attempt && (success || end)) {
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

void slot_clear(struct slot *slot)
{
	text_reset(&slot->request.url);
	text_reset(&slot->request.body);
	text_reset(&slot->response.body);
	text_reset(&slot->response.header);
	text_reset(&slot->request.headers);
	slot->request.header_count = 0;
	free(slot->request.summary);
	free(slot->request.content);
	slot->request.segments = 0;
	slot->request.summary = slot->request.content = NULL;
	slot->request.has_body = false;
	slot->response.status = 0;
	slot->response.retry_after = 0;
	slot->response.complete = false;
	slot->drained = 0;
	slot->begun = slot->not_begun = slot->again = slot->opened = slot->blocked = false;
}

/* Takes the slot out of curl, whatever it was at. */
void slot_idle(struct slot *slot)
{
	if (slot->running)
		curl_multi_remove_handle(slot->engine->multi, slot->easy);
	slot->running = false;
	slot_clear(slot);
	if (slot_is_errand(slot))
		return;
	slot->next_idle = slot->engine->idle;
	slot->engine->idle = slot;
}

/* Why a transfer ended without an answer. libcurl's fixed words, not its message: that may hold a URL, and
 * the URL a secret. */
struct outcome slot_failure(const struct slot *slot, CURLcode result)
{
	enum outcome_scope fault = slot->engine->options.fault;
	char code[32];
	long why = 0;

	snprintf(code, sizeof code, "curl %d", (int)result);
	if (result == CURLE_COULDNT_CONNECT) /* else it may be that of a transfer before */
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

void slot_finish(struct slot *slot, CURLcode result)
{
	if (slot_is_errand(slot)) {
		http_errand_end(slot->engine, result);
		return;
	}
	if (slot->attempt) {
		slot->response.complete = result == CURLE_OK;
		if (slot->response.status)
			slot_judge(slot);
		else
			slot_report(slot, slot_failure(slot, result));
	}
	slot_idle(slot);
}

bool slot_setup(struct slot *slot)
{
	const struct http_options *options = &slot->engine->options;
	CURL *easy = slot->easy;
	bool ok = true;

	ok &= !curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	ok &= !curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_SIZE); /* libcurl takes a new one each time */
	/* a name that does not resolve in time is let go of: waiting for its thread would stop all others */
	ok &= !curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	ok &= !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	ok &= !curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	ok &= !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	ok &= !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(options->timeout / MOMENT_MS));
	/* a timer less for each request: connecting is within the whole */
	if (options->timeout > CONNECT_TIMEOUT_OWN)
		ok &= !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
					(long)(options->timeout / MOMENT_MS));
	ok &= !curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	ok &= !curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	ok &= !curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, slot->engine);
	ok &= !curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready);
	ok &= !curl_easy_setopt(easy, CURLOPT_PREREQDATA, slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	ok &= !curl_easy_setopt(easy, CURLOPT_HEADERDATA, slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	ok &= !curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
	if (options->direct)
		ok &= !curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return ok;
}

/* What a POST with a body is to libcurl already need not be said. */
static bool slot_method(struct slot *slot)
{
	const char *method = slot->request.method;

	if (slot->request.has_body && strcmp(method, "POST") == 0)
		method = NULL;
	if (method == slot->method)
		return true;
	slot->method = method;
	return !curl_easy_setopt(slot->easy, CURLOPT_CUSTOMREQUEST, method);
}

bool slot_aim(struct slot *slot)
{
	struct http_request *request = &slot->request;
	CURL *easy = slot->easy;
	bool ok = !curl_easy_setopt(easy, CURLOPT_URL, request->url.data);

	if (request->has_body) {
		/* no waiting for 100 Continue, which libcurl thinks of where a body is large */
		ok &= request->body.len < EXPECT_FROM || http_request_header(request, "Expect", "");
		/* as it stands in memory: curl sends it together with the head */
		ok &= !curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
		ok &= !curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.data);
	} else {
		ok &= !curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	}
	ok &= slot_method(slot);
	ok &= !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http_headers_list(&slot->headers, request));
	return ok;
}
