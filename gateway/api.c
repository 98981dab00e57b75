#include "api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "json_read.h"
#include "xalloc.h"
#include "banned.h"

#define API_BODY_DEPTH_MAX 64

/* A `:` is any one part, an argument of the handler. */
static const struct route {
	const char *method, *path;
	void (*handle)(struct call *call);
	bool has_body;
	const char *later; /* the letter of the issue that brings it; NULL: it is there */
} routes[] = {
	{"GET", "/healthz", NULL, false, "C"},
	{"GET", "/readyz", NULL, false, "C"},
	{"GET", "/metrics", NULL, false, "C"},
	{"GET", "/openapi.json", NULL, false, "C"},
	{"GET", "/v1/customers", api_customers_find, false, NULL},
	{"PATCH", "/v1/customers", api_customers_import, true, NULL},
	{"GET", "/v1/customers/:", api_customer_get, false, NULL},
	{"PUT", "/v1/customers/:", api_customer_put, true, NULL},
	{"PATCH", "/v1/customers/:", api_customer_patch, true, NULL},
	{"DELETE", "/v1/customers/:", NULL, false, "C"},
	{"GET", "/v1/customers/:/export", NULL, false, "C"},
	{"POST", "/v1/customers/:/link", NULL, false, "C"},
	{"GET", "/v1/customers/:/history", api_history, false, NULL},
	{"GET", "/v1/customers/:/preferences", api_preferences_get, false, NULL},
	{"PUT", "/v1/customers/:/preferences", api_preferences_put, true, NULL},
	{"GET", "/v1/customers/:/preferences/:", api_preference_get, false, NULL},
	{"PUT", "/v1/customers/:/preferences/:", api_preference_put, true, NULL},
	{"PATCH", "/v1/customers/:/preferences/:", api_preference_patch, true, NULL},
	{"GET", "/v1/log", api_log, false, NULL},
	{"GET", "/v1/captured", api_captured, false, NULL},
	{"POST", "/v1/messages", NULL, false, "C"},
	{"GET", "/v1/messages/:", api_message_get, false, NULL},
	{"DELETE", "/v1/messages/:", api_message_delete, false, NULL},
	{"POST", "/v1/messages/:/cancel", api_message_cancel, true, NULL},
	{"POST", "/v1/messages/:/settle", api_message_settle, true, NULL},
	{"POST", "/v1/messages/:/retry", api_message_retry, false, NULL},
	{"POST", "/v1/explain", api_explain, true, NULL},
	{"GET", "/v1/queue", api_queue, false, NULL},
	{"GET", "/v1/holds", api_holds_get, false, NULL},
	{"POST", "/v1/holds", api_hold, true, NULL},
	{"DELETE", "/v1/holds", api_release, false, NULL},
	{"POST", "/v1/campaigns/:/cancel", api_campaign_cancel, true, NULL},
	{"POST", "/v1/contacts", NULL, false, "G"},
	{"POST", "/in/:/:", NULL, false, "G"},
};

void call_answer(struct call *call, int status, json_t *body)
{
	json_decref(call->response->body);
	call->response->status = status;
	call->response->body = body;
}

void call_problem(struct call *call, int status, const char *format, ...)
{
	struct text detail;
	va_list args;

	text_init(&detail, TEXT_ERROR_MAX);
	va_start(args, format);
	text_vaddf(&detail, format, args);
	va_end(args);
	json_t *body = api_problem(status, detail.data);
	if (!body) /* not UTF-8: the words of a library */
		body = api_problem(status, "the details cannot be shown: they are not UTF-8");
	call_answer(call, status, body);
	text_release(&detail);
}

void call_result(struct call *call, int status, json_t *answer, const struct text *problem)
{
	if (status >= 400) {
		json_decref(answer);
		call_problem(call, status, "%s", problem->data);
	} else {
		call_answer(call, status, answer);
	}
}

void call_store_failed(struct call *call)
{
	call_problem(call, 503, "the store cannot be read: %s", store_reader_error(call->api->reader));
}

const char *call_query(const struct call *call, const char *name)
{
	return url_query_get(&call->query, name);
}

bool call_number(struct call *call, const char *name, int64_t *number)
{
	const char *word = call_query(call, name);
	char *end;

	if (!word)
		return true;
	errno = 0;
	long long value = strtoll(word, &end, 10);
	if (*word < '0' || *word > '9' || *end || errno) {
		call_problem(call, 400, "%s: '%s' is not a whole number", name, word);
		return false;
	}
	*number = value;
	return true;
}

bool call_limit(struct call *call, size_t usual, size_t *limit)
{
	int64_t number = (int64_t)usual;

	if (!call_number(call, "limit", &number))
		return false;
	if (number < 1 || number > API_LIST_MAX) {
		call_problem(call, 400, "limit: %" PRId64 " is not between 1 and %d", number, API_LIST_MAX);
		return false;
	}
	*limit = (size_t)number;
	return true;
}

bool call_wants_object(struct call *call)
{
	if (!json_is_object(call->body)) {
		call_problem(call, 422, "body: a JSON object is wanted");
		return false;
	}
	return true;
}

bool call_may_change(struct call *call)
{
	if (!call->api->door.turn)
		call_problem(call, 503, "this process may only read the store");
	return call->api->door.turn != NULL;
}

static bool too_deep(const json_t *json, int left)
{
	const char *key;
	json_t *value;
	size_t i;

	if (!left)
		return true;
	json_object_foreach((json_t *)json, key, value) if (too_deep(value, left - 1)) return true;
	json_array_foreach(json, i, value) if (too_deep(value, left - 1)) return true;
	return false;
}

static bool read_body(struct call *call)
{
	const struct api_request *request = call->request;
	struct text error;

	if (request->body_len > API_BODY_MAX) {
		call_problem(call, 413, "body: more than %d bytes", API_BODY_MAX);
		return false;
	}
	text_init(&error, TEXT_ERROR_MAX);
	call->body = json_read(request->body_len ? request->body : "", request->body_len, true, &error);
	if (!call->body)
		call_problem(call, 422, "body: %s", error.data);
	text_release(&error);
	if (!call->body)
		return false;
	if (too_deep(call->body, API_BODY_DEPTH_MAX)) {
		call_problem(call, 422, "body: nested more than %d deep", API_BODY_DEPTH_MAX);
		return false;
	}
	return true;
}

/* Does the route's path fit? Fills the arguments. */
static bool route_fits(const struct route *route, char *const parts[], size_t count,
		       const char *args[CALL_ARGS])
{
	const char *path = route->path;
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		if (*path++ != '/')
			return false;
		size_t len = strcspn(path, "/");
		if (len == 1 && *path == ':')
			args[used++] = parts[i];
		else if (strlen(parts[i]) != len || memcmp(parts[i], path, len) != 0)
			return false;
		path += len;
	}
	return !*path;
}

static void find_and_run(struct call *call, char *const parts[], size_t count)
{
	const char *method = call->request->method;
	bool path_known = false;
	struct text error;

	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		const struct route *route = &routes[i];
		if (!route_fits(route, parts, count, call->args))
			continue;
		path_known = true;
		if (strcmp(route->method, method) != 0)
			continue;
		if (route->later) {
			call_problem(call, 501, "%s %s: not yet (%s)", method, call->request->path,
				     route->later);
			return;
		}
		text_init(&error, TEXT_ERROR_MAX);
		if (!url_query_parse(call->request->query, &call->query, &error))
			call_problem(call, 400, "%s", error.data);
		else if (!route->has_body || read_body(call))
			route->handle(call);
		text_release(&error);
		return;
	}
	if (path_known)
		call_problem(call, 405, "%s: not for %s", method, call->request->path);
	else
		call_problem(call, 404, "%s: there is nothing here", call->request->path);
}

void api_handle(struct api *api, const struct api_request *request, struct api_response *response)
{
	struct call call = {.api = api, .request = request, .response = response};
	char *parts[API_PATH_PARTS];
	size_t count;

	*response = (struct api_response){0};
	if (url_parts(request->path, API_PATH_PARTS, parts, &count))
		find_and_run(&call, parts, count);
	else
		call_problem(&call, 404, "the path is not one of percent-encoded UTF-8 parts");
	url_parts_free(parts, count);
	url_query_release(&call.query);
	json_decref(call.body);
}
