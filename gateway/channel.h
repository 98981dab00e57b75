/* Channels: the port to whoever carries messages. A channel is handed attempts up to its credit, renders and
 * sends them in threads of its own, and reports one outcome each; it knows nothing of the store. */
#ifndef HEED_CHANNEL_H
#define HEED_CHANNEL_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "begun.h"
#include "customer.h"
#include "mail_token.h"
#include "templates.h"
#include "text.h"
#include "words.h"

struct channel_config;

enum outcome_kind {
	OUTCOME_ACCEPTED,
	OUTCOME_RETRY,      /* nothing was taken */
	OUTCOME_REJECTED,   /* nothing was taken, and never will be */
	OUTCOME_IN_DOUBT,   /* it may have been taken */
	OUTCOME_UNSENDABLE, /* it could not be rendered for this channel: our own fault, the message fails */
	OUTCOME_NOT_BEGUN   /* attempt_begin said no, or the channel is closing: nothing left the process */
};

enum outcome_scope {
	SCOPE_MESSAGE,
	SCOPE_ADDRESS, /* with REJECTED: the address is dead */
	SCOPE_PROVIDER /* with RETRY: down, credentials, rate: opens the breaker, counts no attempt */
};

/* code of a NOT_BEGUN: no file descriptor was left. The gate says it (channel_report). */
#define OUTCOME_CODE_DESCRIPTORS "descriptors"
#define OUTCOME_TEXT_MAX 300

struct outcome {
	enum outcome_kind kind;
	enum outcome_scope scope;
	bool delivered;              /* with ACCEPTED: a webhook's 2xx is the delivery */
	int64_t retry_after;         /* microseconds from now that the other side asked for; 0: did not ask */
	char code[64];               /* its own code: "550 5.1.1", "429", "curl 28" */
	char text[OUTCOME_TEXT_MAX]; /* its words, or ours; valid UTF-8, no secrets */
	char provider_ref[ID_MAX + 1];
	int segments;  /* of a short message; 0: it is none */
	char *summary; /* rendered, owned; NULL: none */
	char *content; /* rendered whole where it is kept, owned; NULL: none */
};

enum attempt_phase { ATTEMPT_HANDED, ATTEMPT_BEGUN, ATTEMPT_CALLED_BACK };

/* A message of a digest: what its summary is made of. */
struct attempt_item {
	int64_t message; /* message_row.n: what they are ordered by */
	char *message_id;
	char *locale;
	const struct template *template; /* NULL: content */
	json_t *content, *data;          /* content may be NULL */
};

/* One attempt: made and freed by the turn, lent to one channel from channel_send until channel_report.
 * Constant for the channel, but for `phase` (only through attempt_begin) and `channel_private`. */
struct attempt {
	struct attempt *next; /* the holder's list */
	struct channel *channel;
	int64_t message; /* message_row.n */
	int64_t contact; /* contact.seq */
	int64_t epoch;
	int number; /* counted attempts, this one included */
	char *message_id;
	char *customer_id;
	char *customer_name;
	char *product;
	char *locale;          /* the message's, the customer's, the configuration's */
	char *address;         /* normalised */
	char *address_details; /* JSON object or "" */
	char *product_title;
	char *traceparent; /* "" */
	/* by which a mail is known again that comes back; "" where the channel sends none */
	char mail_token[MAIL_TOKEN_MAX];    /* this attempt */
	char message_token[MAIL_TOKEN_MAX]; /* the message */
	struct template_set *templates;     /* held */
	struct link_keys *links;            /* held; NULL: there is no http.public */
	int64_t customer;                   /* customer.n */
	bool may_stop;                      /* of the product: links and headers to stop it make sense */
	const struct template *template;    /* NULL: content */
	json_t *content, *data, *meta;      /* content may be NULL */
	enum content_kept content_kept;
	struct attempt_item *items; /* of a digest, each with its summary; NULL: one message */
	size_t item_count;
	int64_t lease_until;  /* monotonic: after it attempt_begin says no */
	int64_t begin_before; /* wall clock: likewise (it expires, hours close); 0: no end */
	_Atomic int phase;
	struct begun_slot *begun; /* borrowed; NULL: what is under way at a kill is in doubt */
	void *channel_private;
	struct outcome outcome; /* filled by channel_report */
	void *turn_private;
};

/* To be called by an adapter directly before the point of no return (the first byte that could make the other
 * side take the message). False: it was called back, its lease ran out or its time is over; report
 * OUTCOME_NOT_BEGUN and send nothing. */
bool attempt_begin(struct attempt *attempt);
/* By the turn. True: it had not begun and never will; the channel still reports it, as NOT_BEGUN. */
bool attempt_call_back(struct attempt *attempt);
void attempt_free(struct attempt *attempt);
/* The link to the customer's page that goes with it; its kind and expiry may be changed. */
struct link attempt_link(const struct attempt *attempt);
/* What templates_render wants, from an attempt. Valid as long as the attempt. */
void attempt_render_input(const struct attempt *attempt, struct render_input *out);

/* Where outcomes go: the turn's inbox. Called from channel threads. */
struct outcome_sink {
	void (*report)(void *context, struct attempt *attempt);
	void *context;
};

struct channel {
	const struct channel_ops *ops;       /* of who carries: config->ops, or capture's */
	const struct channel_config *config; /* outlives the channel */
	struct outcome_sink sink;
	_Atomic size_t in_hand; /* handed over and not reported */
	size_t credit;          /* most attempts in hand; set by open */
	/* The gate's: how fast it gets on, so that it is not handed more than it can begin within the lease.
	 */
	_Atomic int64_t lease;      /* how long an attempt may take to begin, microseconds */
	_Atomic int64_t busy_since; /* monotonic: the last that it got done with, or was handed when idle */
	_Atomic int64_t pace; /* microseconds between two that it got done with, smoothed; 0: not known */
};

#define CREDIT_UNKNOWN_PACE 64 /* at the most in hand, until the first is done with */
#define CREDIT_LEAST 4         /* however slow the other side is */
#define CREDIT_LEASE_PART 3    /* what is in hand can begin within this part of the lease */

/* What an adapter fills. Every method is called by the turn's thread unless it says otherwise. */
struct channel_ops {
	const char *adapter;    /* "smtp", "http", "webhook": the `adapter:` of the configuration */
	enum channel_text text; /* what its templates are */
	/* How the channel's addresses are written. Any thread. */
	enum address_kind (*address_kind)(const struct channel_config *config);
	bool stands_in;       /* it opens in the place of another: registry_stand_in */
	const char *unsafe;   /* why nobody should run with it; NULL: it is fine */
	bool has_provider;    /* false: every receiver stands for itself (webhook), no breaker */
	bool resend_in_doubt; /* default of in_doubt: true = resend, false = hold */
	/* Checks its part of the configuration and adds every mistake to `errors`, a line each. No network.
	 */
	bool (*check)(const struct channel_config *config, struct text *errors);
	/* NULL and `error`. Starts threads; sets credit. May not block on the network. */
	struct channel *(*open)(const struct channel_config *config, struct outcome_sink sink,
				struct text *error);
	/* Takes the attempt; never blocks, never fails: what goes wrong is an outcome. At most `credit` in
	 * hand. */
	void (*send)(struct channel *channel, struct attempt *attempt);
	/* Begins nothing more (NOT_BEGUN for those), waits at most `patience` microseconds for the rest,
	 * reports all (those that had begun and are cut: IN_DOUBT), ends its threads, frees itself. */
	void (*close)(struct channel *channel, int64_t patience);
	/* For `heed check`: does the other side answer? May block a few seconds. NULL: nothing to ask. */
	bool (*probe)(const struct channel_config *config, struct text *error);
};

/* The gate before the adapters: logs and counts. A channel whose configuration has `captured_by` is opened by
 * that, whatever its own adapter is. */
struct channel *channel_open(const struct channel_config *config, struct outcome_sink sink,
			     struct text *error);
void channel_send(struct channel *channel, struct attempt *attempt);
size_t channel_credit_left(const struct channel *channel);
/* By adapters, from any thread, exactly once for each attempt. Takes outcome.summary and .content. */
void channel_report(struct attempt *attempt, const struct outcome *outcome);
void channel_close(struct channel *channel, int64_t patience);

/* How the channel's addresses are written. */
struct address_form channel_addresses(const struct channel_config *config);
/* Is what it sends a short message (SMS)? Then its segments are counted and max_segments holds: the addresses
 * are phone numbers, and its provider, where it has one, is made for sms. */
bool channel_is_sms(const struct channel_config *config);
/* 0 where it is no short message. False, and `error`: more than the channel's max_segments. */
bool channel_count_segments(const struct channel_config *config, const char *text, int *segments,
			    struct text *error);

/* A short outcome without texts; the format gives outcome.text. */
__attribute__((format(printf, 4, 5))) struct outcome outcome_make(enum outcome_kind kind,
								  enum outcome_scope scope, const char *code,
								  const char *format, ...);

#endif
