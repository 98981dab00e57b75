/* The engine: one thread that owns the multi handle, the sockets and the slots; `mutex` guards only the list
 * of what was handed over and the wish to close. */
#include "http_client_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define EVENTS_AT_ONCE 64
#define STARTS_AT_ONCE 16

/* --- sockets --- */

struct watched *http_watched(struct http_engine *engine, curl_socket_t fd)
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
	struct watched *w = http_watched(engine, fd);

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

/* --- the thread --- */

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

/* In attempt->channel_private: it is sent again. */
static const char again_mark;

static bool was_begun(const struct attempt *attempt)
{
	return attempt->channel_private == &again_mark;
}

static bool request_fits(const struct http_request *request, struct outcome *outcome)
{
	if (!request->url.full && !request->body.full)
		return true;
	*outcome = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "",
				"the request is too large: at most %d bytes of URL and %d of body",
				HTTP_URL_MAX, HTTP_REQUEST_MAX);
	return false;
}

static bool slot_go(struct http_engine *engine, struct slot *slot)
{
	slot->running = slot_aim(slot) && !curl_multi_add_handle(engine->multi, slot->easy);
	return slot->running;
}

static void engine_start(struct http_engine *engine, struct slot *slot, struct attempt *attempt)
{
	struct outcome outcome = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "it can't be sent");

	slot->attempt = attempt;
	slot->again = was_begun(attempt);
	attempt->channel_private = NULL;
	engine->at_work++;
	if (!slot->again && atomic_load(&attempt->phase) != ATTEMPT_HANDED) {
		outcome = outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "it was not begun");
	} else if (engine->handler->prepare(engine->channel, attempt, &slot->request, &outcome) &&
		   request_fits(&slot->request, &outcome) && slot_go(engine, slot)) {
		return;
	}
	slot_report(slot, outcome);
	slot_idle(slot);
}

static struct attempt *waiting_take(struct http_engine *engine)
{
	struct attempt *attempt = engine->waiting;

	engine->waiting = attempt->next;
	if (!engine->waiting)
		engine->waiting_tail = &engine->waiting;
	attempt->next = NULL;
	return attempt;
}

/* --- errands --- */

void http_wait_again(struct http_engine *engine, struct attempt *attempt)
{
	attempt->channel_private = (void *)&again_mark;
	attempt->next = engine->waiting;
	if (!engine->waiting)
		engine->waiting_tail = &attempt->next;
	engine->waiting = attempt;
}

/* Whoever waits for the errand ends as it did; others may go on with what is there. */
static void errand_failed(struct http_engine *engine, const struct outcome *outcome)
{
	if (engine->handler->need(engine->channel) != HTTP_NEED_FIRST)
		return;
	while (engine->waiting) {
		struct attempt *attempt = waiting_take(engine);
		attempt->channel_private = NULL;
		channel_report(attempt, outcome);
	}
}

void http_errand_end(struct http_engine *engine, CURLcode result)
{
	struct slot *slot = &engine->errand;
	struct outcome outcome = {0};

	slot->response.complete = result == CURLE_OK;
	if (!slot->response.status) {
		outcome = slot_failure(slot, result);
		outcome.kind = OUTCOME_RETRY; /* whatever became of it, no message went with it */
		outcome.scope = engine->options.fault;
	}
	bool ok = engine->handler->errand_done(engine->channel,
					       slot->response.status ? &slot->response : NULL, &outcome);
	slot_idle(slot);
	if (!ok)
		errand_failed(engine, &outcome);
}

static void errand_start(struct http_engine *engine)
{
	struct slot *slot = &engine->errand;
	struct outcome outcome = outcome_make(OUTCOME_RETRY, engine->options.fault, "", "it can't be sent");

	if (engine->handler->errand(engine->channel, &slot->request, &outcome) &&
	    request_fits(&slot->request, &outcome) && slot_go(engine, slot))
		return;
	outcome.kind = OUTCOME_RETRY;
	outcome.scope = engine->options.fault;
	engine->handler->errand_done(engine->channel, NULL, &outcome);
	slot_idle(slot);
	errand_failed(engine, &outcome);
}

/* May what waits be started? Runs the errand where there is one. */
static bool engine_may_start(struct http_engine *engine)
{
	if (!engine->handler->need)
		return true;
	enum http_need need = engine->handler->need(engine->channel);
	if (need != HTTP_NEED_NOTHING && !engine->errand.running)
		errand_start(engine);
	return need != HTTP_NEED_FIRST;
}

/* A few at a time: a receiver that is quick has answered the first by then, and its slots, which are warm,
 * serve for the next. True: there is more that could be started. */
static bool engine_start_waiting(struct http_engine *engine)
{
	struct slot *slot;
	int started = 0;

	while (engine->waiting && engine_may_start(engine) && engine->waiting && (slot = slot_take(engine))) {
		engine_start(engine, slot, waiting_take(engine));
		if (++started >= STARTS_AT_ONCE)
			return true;
	}
	return false;
}

/* At the end, what waits goes back at once: answers that do not come may hold every slot. */
static void engine_let_go(struct http_engine *engine)
{
	const struct outcome outcome = outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "it was not begun");

	while (engine->waiting) {
		struct attempt *attempt = waiting_take(engine);
		attempt->channel_private = NULL;
		channel_report(attempt, &outcome);
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
	struct watched *w = http_watched(engine, fd);
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

	pthread_setname_np(pthread_self(), "http");
	for (;;) {
		int64_t deadline = engine_listen(engine);
		bool more = !engine->stopping && engine_start_waiting(engine);
		if (engine->stopping)
			engine_let_go(engine);
		if (engine->stopping && (!engine->at_work || moment_mono() >= deadline))
			break;
		int count = epoll_wait(engine->epoll, events, EVENTS_AT_ONCE,
				       more ? 0 : engine_patience(engine, deadline));
		for (int i = 0; i < count; i++) {
			engine_event(engine, &events[i]);
			engine_collect(
				engine); /* one by one: each that is taken out is looked for in the rest */
		}
		if (moment_mono() >= engine->timer) {
			engine->timer = MOMENT_NEVER; /* curl sets the next one */
			curl_multi_socket_action(engine->multi, CURL_SOCKET_TIMEOUT, 0, &running);
			engine_collect(engine);
		}
	}
	for (size_t i = 0; i < HTTP_IN_FLIGHT; i++) /* patience is over */
		if (engine->slots[i].attempt)
			slot_finish(&engine->slots[i], CURLE_OPERATION_TIMEDOUT);
	engine_let_go(engine);
	return NULL;
}

/* --- open, send, close --- */

static bool slot_open(struct http_engine *engine, struct slot *slot)
{
	slot->engine = engine;
	text_init(&slot->request.url, HTTP_URL_MAX);
	text_init(&slot->request.body, HTTP_REQUEST_MAX);
	text_init(&slot->request.headers, HTTP_HEADERS_MAX);
	text_init(&slot->response.body, HTTP_RESPONSE_MAX);
	text_init(&slot->response.header, HTTP_HEADER_MAX);
	slot->easy = curl_easy_init();
	return slot->easy && slot_setup(slot);
}

static void slot_release(struct slot *slot)
{
	if (slot->running)
		curl_multi_remove_handle(slot->engine->multi, slot->easy);
	curl_easy_cleanup(slot->easy);
	slot_clear(slot);
	text_release(&slot->request.url);
	text_release(&slot->request.body);
	text_release(&slot->request.headers);
	free(slot->headers.nodes);
	text_release(&slot->response.body);
	text_release(&slot->response.header);
}

static void engine_free(struct http_engine *engine)
{
	for (size_t i = 0; i < HTTP_IN_FLIGHT; i++)
		slot_release(&engine->slots[i]);
	slot_release(&engine->errand);
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
		ok = slot_open(engine, &engine->slots[i]) && ok;
		slot_idle(&engine->slots[i]);
	}
	ok = slot_open(engine, &engine->errand) && ok;
	return ok;
}

struct http_engine *http_engine_open(struct channel *channel, const struct http_handler *handler,
				     const struct http_options *options, struct text *error)
{
	struct http_engine *engine = xcalloc(1, sizeof *engine);

	http_curl_start();
	engine->channel = channel;
	engine->handler = handler;
	engine->options = *options;
	engine->timer = MOMENT_NEVER;
	engine->handed_tail = &engine->handed;
	engine->waiting_tail = &engine->waiting;
	pthread_mutex_init(&engine->mutex, NULL);
	channel->credit = HTTP_CREDIT;
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
