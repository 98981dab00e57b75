/* Between the files of the HTTP client: a slot is one easy handle, used again and again; it is idle, at work
 * for an attempt, or draining: its attempt was reported and the rest of the answer is read, so that the
 * connection can be kept. A draining slot is given up as soon as its place is wanted. All of it is the
 * engine's thread's, but for what `mutex` guards. */
#ifndef HEED_HTTP_CLIENT_PRIVATE_H
#define HEED_HTTP_CLIENT_PRIVATE_H

#include <curl/curl.h>
#include <pthread.h>

#include "http_client.h"

/* A list for libcurl, made of lines that lie in a row. */
struct http_headers {
	struct curl_slist *nodes;
	size_t room;
};

struct slot {
	struct http_engine *engine;
	struct slot *next_idle;
	CURL *easy;
	struct attempt *attempt; /* NULL: idle or draining */
	struct http_request request;
	struct http_headers headers; /* what libcurl sees of request.headers */
	const char *method;          /* that the handle was told */
	struct http_response response;
	size_t drained;       /* bytes of the answer since the verdict */
	bool running;         /* in the multi handle */
	bool again;           /* the attempt was begun and refused before, by what an errand mended */
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
	struct slot errand; /* beside them; never idle, never with an attempt */
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

/* Once for the process, by whoever comes first. */
void http_curl_start(void);

/* The request's headers as libcurl wants them; valid until the next call, and as long as the request. */
struct curl_slist *http_headers_list(struct http_headers *headers, const struct http_request *request);

/* What epoll knows of a socket; valid until the next call. */
struct watched *http_watched(struct http_engine *engine, curl_socket_t fd);

/* The errand is over. */
void http_errand_end(struct http_engine *engine, CURLcode result);
/* Takes the attempt back to be sent again, once an errand was run. */
void http_wait_again(struct http_engine *engine, struct attempt *attempt);

/* The options that a slot keeps for ever; false: libcurl refuses one. */
bool slot_setup(struct slot *slot);
/* Points the handle at slot->request. */
bool slot_aim(struct slot *slot);
/* Why a transfer ended without an answer. */
struct outcome slot_failure(const struct slot *slot, CURLcode result);
/* The attempt is over; the slot may go on draining. */
void slot_report(struct slot *slot, struct outcome outcome);
/* The transfer is over: reports what wasn't, and puts the slot among the idle. */
void slot_finish(struct slot *slot, CURLcode result);
/* Takes the slot out of curl, whatever it was at, and puts it among the idle. */
void slot_idle(struct slot *slot);
/* Is it the one for errands? */
bool slot_is_errand(const struct slot *slot);
/* Empties it for the next request. */
void slot_clear(struct slot *slot);

#endif
