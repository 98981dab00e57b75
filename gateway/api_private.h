/* Between api.c (splits, finds the route, answers) and the files that hold the handlers. */
#ifndef HEED_API_PRIVATE_H
#define HEED_API_PRIVATE_H

#include "api.h"
#include "api_routes.h"
#include "preference.h"
#include "url.h"

#define CALL_ARGS 2

/* One request under way: what was read of it, and where the answer goes. */
struct call {
	struct api *api;
	const struct api_request *request; /* its asker filled */
	struct api_response *response;
	const struct api_token *token; /* NULL: it came without one (the socket, `public`), and may all */
	const char *args[CALL_ARGS];   /* the decoded parts that stand for a `:` of the route */
	struct url_query query;
	json_t *body; /* what was sent to a BODY_JSON route; else NULL */
	bool waits;   /* counted in api->waiting */
};

void call_answer(struct call *call, int status, json_t *body); /* takes `body` */
/* The text as it is, under that content type; leaves it empty. 500 where it was full. */
void call_text(struct call *call, int status, const char *type, struct text *text);
void call_nothing(struct call *call); /* 204 */
void call_redirect(struct call *call, int status, const char *where);
__attribute__((format(printf, 3, 4))) void call_problem(struct call *call, int status, const char *format,
							...);
/* What a request_* gave back: its answer, or its problem. Takes `answer`. */
void call_result(struct call *call, int status, json_t *answer, const struct text *problem);
/* The store could not be read: 503. */
void call_store_failed(struct call *call);
/* NULL: not there. */
const char *call_query(const struct call *call, const char *name);
/* Answered with a problem where it is false. The parameter `limit`, 1 to API_LIST_MAX. */
bool call_limit(struct call *call, size_t usual, size_t *limit);
bool call_number(struct call *call, const char *name, int64_t *number); /* stays as it was if not there */
bool call_flag(struct call *call, const char *name, bool *flag); /* `true` or `false`; false if not there */
bool call_wants_object(struct call *call);
/* The body is an object of these strings and nothing else. *out stays as it was where its key is not there.
 */
struct call_word {
	const char *key;
	bool required;
	const char **out;
};
bool call_words(struct call *call, const struct call_word words[], size_t count);
/* What the token (if there is one) is limited to. False, and answered with 403, where that is not among it.
 */
bool call_product_allowed(struct call *call, const char *product);
/* Likewise, as if what is about another product were not there. */
bool call_sees_product(const struct call *call, const char *product);
/* Where `scope` is wanted for a part of what is asked only. */
bool call_scope_allowed(struct call *call, enum scope scope);
/* The changes go through the turn; false, and answered, where this process may only read. */
bool call_may_change(struct call *call);

/* A parameter such as wait=5s; `most` where it is longer. Stays as it was where it is not there. */
bool call_duration(struct call *call, const char *name, int64_t most, int64_t *duration);
/* A moment of a call that waits. False: `until` (monotonic) is over, the gateway ends, or too many wait. */
bool call_pause(struct call *call, int64_t until);

/* What routes show alike. */
json_t *word_or_null(const char *word);                  /* NULL and "": null */
json_t *moment_json(int64_t at);                         /* null: none */
json_t *reasons_with_words(const json_t *stored);        /* [{"code","args"}] with "says" */
void message_explain(struct call *call, const char *id); /* answers as `heed explain --json` */
/* What would happen to a message that fits (message_fits) at that time, likewise. NULL, and answered: it
 * can't be said. */
json_t *explain_message(struct call *call, const struct message *message, int64_t now);
/* False, and answered, where the token is limited to products and the message is about another, or unknown.
 */
bool message_allowed(struct call *call, const char *id);

/* What waits in Redis, asked at most once a second. False: it does not answer, *why (free) says why. */
struct queue_depths;
bool queue_seen(struct api *api, struct queue_depths *depths, char **why);

/* Drops the dead letters that are wanted. False: Redis does not answer, *why (free) says why. */
struct dead_letter;
bool queue_drop_dead(struct api *api, bool (*wanted)(const struct dead_letter *, const void *),
		     const void *context, int64_t *dropped, char **why);

/* config/openapi.yaml as it stands; made by the Makefile. */
extern const char api_description[];

/* The log as it grows, as server-sent events (the WHATWG's): from the query's `after`, or Last-Event-ID, or
 * from now on. */
#define LOG_STREAM_TYPE "text/event-stream"
void api_log_stream(struct call *call, const struct log_query *query);

/* What keeps this gateway from taking messages, or some of them (trouble.h): an array; NULL: nothing does, or
 * none runs here. */
json_t *troubles_json(struct call *call);

void api_healthz(struct call *call);
void api_readyz(struct call *call);
void api_metrics(struct call *call);
void api_openapi(struct call *call);
void api_messages_post(struct call *call);
void api_customer_get(struct call *call);
void api_customer_put(struct call *call);
void api_customer_patch(struct call *call);
void api_customer_erase(struct call *call);
void api_customer_export(struct call *call);
void api_prune(struct call *call);
void api_customers_find(struct call *call);
void api_customers_import(struct call *call);
void api_preferences_get(struct call *call);
void api_preferences_put(struct call *call);
void api_preference_get(struct call *call);
void api_preference_put(struct call *call);
void api_preference_patch(struct call *call);
void api_history(struct call *call);
void api_log(struct call *call);
void api_callback(struct call *call);
void api_contact_post(struct call *call);
void api_inbound_mail(struct call *call);
void api_captured(struct call *call);
void api_message_get(struct call *call);
void api_message_settle(struct call *call);
void api_message_retry(struct call *call);
void api_explain(struct call *call);
void api_queue(struct call *call);
void api_holds_get(struct call *call);
void api_hold(struct call *call);
void api_release(struct call *call);
void api_campaign_cancel(struct call *call);
void api_message_cancel(struct call *call);
void api_message_delete(struct call *call);
void api_page_get(struct call *call);
void api_page_nothing(struct call *call); /* no route: what a link says that does not work */
void api_page_post(struct call *call);
void api_asset(struct call *call);
void api_unsubscribe_get(struct call *call);
void api_unsubscribe_post(struct call *call);
void api_link(struct call *call);
/* [hold_to_json, …]; NULL, and answered: the store failed. */
json_t *holds_json(struct call *call);

/* For routes that show a customer. False, and answered, where it is unknown or the store failed. */
struct customer_view {
	struct customer *customer;
	struct preference *preferences;
	size_t count;
};
bool customer_view_read(struct call *call, const char *id, struct customer_view *view);
void customer_view_release(struct customer_view *view);
/* Those of its preferences that speak for the product (NULL: for all). */
void customer_view_choices(const struct customer_view *view, const struct product *product,
			   struct choices *choices);

#endif
