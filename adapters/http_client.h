/* HTTP for the adapters that speak it: an engine of one thread a channel, which keeps many requests in flight
 * over kept connections, and says of each attempt exactly whether it could have been taken.
 *
 * It promises (contract: "What becomes of an attempt"): attempt_begin() is called when the connection stands
 * and directly before the first byte of the request; what fails before is a retry, what fails after is in
 * doubt; no request is ever sent twice, unless it was answered and the handler says so (`again`). Redirects
 * are not followed. Everything is bounded by a name below. */
#ifndef HEED_HTTP_CLIENT_H
#define HEED_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "text.h"

#define HTTP_IN_FLIGHT 128                      /* requests at once of a channel */
#define HTTP_CREDIT (4 * HTTP_IN_FLIGHT)        /* in hand: a few turns' worth, as they come in batches */
#define HTTP_RESPONSE_MAX (64 * 1024)           /* bytes of an answer that are read */
#define HTTP_REQUEST_MAX (1024 * 1024)          /* bytes of a body */
#define HTTP_URL_MAX (16 * 1024)                /* bytes of a URL, query included */
#define HTTP_HEADER_MAX (16 * 1024)             /* bytes of a header, ours or theirs */
#define HTTP_HEADERS_MAX (256 * 1024)           /* bytes of all headers of a request */
#define HTTP_RETRY_AFTER_MAX (24 * MOMENT_HOUR) /* a longer Retry-After is taken for this */
#define HTTP_PROBE_TIMEOUT (5 * MOMENT_S)       /* heed check */

/* What `prepare` fills; empty before. */
struct http_request {
	const char *method; /* constant: "POST", "GET", … */
	struct text url;
	bool has_body;
	struct text body;
	struct text headers; /* http_request_header: lines, each with a NUL behind it */
	size_t header_count;
	int segments;            /* goes into the outcome */
	char *summary, *content; /* go into the outcome, owned */
	unsigned tag;            /* the handler's own */
};
/* "Name: value". False: it holds a control character or is too long. */
bool http_request_header(struct http_request *request, const char *name, const char *value);

struct http_response {
	int status;          /* of the final answer; 0: none came */
	bool complete;       /* its end was seen, and it was not too long */
	int64_t retry_after; /* microseconds; 0: none */
	struct text body;    /* at most HTTP_RESPONSE_MAX; empty where the status line decides */
	struct text header;  /* the value of options.keep_header */
};

struct http_options {
	int64_t timeout;          /* of the whole request */
	bool status_line_decides; /* 2xx is judged at the status line, the rest at the end of the headers: the
				     body is neither waited for nor kept */
	bool vet;                 /* no addresses inside (net_inside.h) */
	bool direct;              /* no proxy, whatever the environment says */
	enum outcome_scope fault; /* of a retry because the other side was not reached */
	const char *keep_header;  /* name of a header that `judge` wants; "" or NULL: none */
};

enum http_need {
	HTTP_NEED_NOTHING,
	HTTP_NEED_SOON, /* requests go on beside the errand */
	HTTP_NEED_FIRST /* they wait for it */
};

/* All in the engine's thread, and quick. */
struct http_handler {
	/* False: it can't be sent, and `outcome` says why. */
	bool (*prepare)(struct channel *channel, const struct attempt *attempt, struct http_request *request,
			struct outcome *outcome);
	/* What an answer means; response->status is not 0. */
	void (*judge)(struct channel *channel, const struct http_response *response, struct outcome *outcome);

	/* What has to be fetched before requests can be made, as an access token: one request of the engine's
	 * own at a time, beside the others. All NULL: nothing. */
	enum http_need (*need)(struct channel *channel);
	/* False: as for prepare. */
	bool (*errand)(struct channel *channel, struct http_request *request, struct outcome *outcome);
	/* `response` NULL: there was none, and `outcome` says why. False: `outcome` is that of all who wait.
	 */
	bool (*errand_done)(struct channel *channel, const struct http_response *response,
			    struct outcome *outcome);
	/* True: nothing was taken, and the same request may do once an errand was run. Asked once an attempt.
	 */
	bool (*again)(struct channel *channel, const struct http_request *request,
		      const struct http_response *response);
};

struct http_engine;

/* Starts the thread; `channel` gets its credit. NULL and `error`. */
struct http_engine *http_engine_open(struct channel *channel, const struct http_handler *handler,
				     const struct http_options *options, struct text *error);
/* Any thread; never blocks. The outcome is reported by channel_report. */
void http_engine_send(struct http_engine *engine, struct attempt *attempt);
/* As channel_ops.close, without freeing the channel. */
void http_engine_close(struct http_engine *engine, int64_t patience);

/* What a customer may give as a webhook's URL: https (or http), a host, no user, no password. */
bool http_url_check(const char *url, bool allow_http, struct text *error);
/* Does the host of the URL answer, with TLS where it says so? Blocks up to HTTP_PROBE_TIMEOUT. */
bool http_probe(const char *url, struct text *error);

#endif
