#include "api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "api_private.h"
#include "http_words.h"
#include "json_read.h"
#include "xalloc.h"
#include "banned.h"

#define API_BODY_DEPTH_MAX 64
#define API_WAIT_STEP (50 * MOMENT_MS) /* how often a call that waits looks again */

void call_answer(struct call *call, int status, json_t *body)
{
	api_response_release(call->response);
	call->response->status = status;
	call->response->body = body;
}

void call_text(struct call *call, int status, const char *type, struct text *text)
{
	if (text->full) {
		call_problem(call, 500, "the answer would be too long");
		return;
	}
	call_answer(call, status, NULL);
	call->response->len = text->len;
	call->response->bytes = text_detach(text);
	call->response->type = xstrdup(type);
}

void call_nothing(struct call *call)
{
	call_answer(call, 204, NULL);
}

void call_redirect(struct call *call, int status, const char *where)
{
	call_answer(call, status, NULL);
	api_response_header(call->response, "Location", "%s", where);
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

bool call_flag(struct call *call, const char *name, bool *flag)
{
	const char *word = call_query(call, name);

	*flag = word && strcmp(word, "true") == 0;
	if (!word || *flag || strcmp(word, "false") == 0)
		return true;
	call_problem(call, 400, "%s: '%s' is not true or false", name, word);
	return false;
}

bool call_duration(struct call *call, const char *name, int64_t most, int64_t *duration)
{
	const char *word = call_query(call, name);

	if (!word || strcmp(word, "0s") == 0)
		return true;
	if (!duration_parse(word, duration)) {
		call_problem(call, 400, "%s: '%s' is not a duration such as 5s", name, word);
		return false;
	}
	if (*duration > most)
		*duration = most;
	return true;
}

bool call_pause(struct call *call, int64_t until)
{
	static const struct timespec step = {.tv_nsec = API_WAIT_STEP * 1000};
	const struct api *api = call->api;

	if (moment_mono() >= until || (api->stopping && *api->stopping))
		return false;
	if (!call->waits && api->waiting) {
		call->waits = true;
		if (atomic_fetch_add(api->waiting, 1) >= API_WAITS_MAX)
			return false;
	}
	nanosleep(&step, NULL);
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

static const struct call_word *word_of(const struct call_word words[], size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i].key, key) == 0)
			return &words[i];
	return NULL;
}

static void unknown_word(struct call *call, const struct call_word words[], size_t count, const char *key)
{
	struct text known;

	text_init(&known, TEXT_ERROR_MAX);
	for (size_t i = 0; i < count; i++)
		text_addf(&known, "%s%s", i ? ", " : "", words[i].key);
	call_problem(call, 422, "%s: unknown key; there are: %s", key, known.data);
	text_release(&known);
}

bool call_words(struct call *call, const struct call_word words[], size_t count)
{
	const char *key;
	json_t *value;

	if (!call_wants_object(call))
		return false;
	json_object_foreach(call->body, key, value)
	{
		const struct call_word *word = word_of(words, count, key);
		if (!word) {
			unknown_word(call, words, count, key);
			return false;
		}
		if (!json_is_string(value)) {
			call_problem(call, 422, "%s: must be a string", key);
			return false;
		}
		*word->out = json_string_value(value);
	}
	for (size_t i = 0; i < count; i++)
		if (words[i].required && !json_object_get(call->body, words[i].key)) {
			call_problem(call, 422, "%s: is missing; it is required, a string", words[i].key);
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

/* What curl and others say of a body of which nobody told them what it is. */
#define UNSAID_TYPE "application/x-www-form-urlencoded"

static bool is_json(const struct api_request *request)
{
	const char *type = api_request_header(request, "Content-Type");

	return !*type || http_type_is(type, "application/json") || http_type_is(type, UNSAID_TYPE) ||
	       (strcmp(request->method, "PATCH") == 0 && http_type_is(type, "application/merge-patch+json"));
}

static bool read_json(struct call *call, bool may_be_empty)
{
	const struct api_request *request = call->request;
	const char *encoding = api_request_header(request, "Content-Encoding");
	struct text error;

	if (!is_json(request)) {
		call_problem(call, 415, "Content-Type: application/json is wanted");
		return false;
	}
	if (*encoding && strcasecmp(encoding, "identity") != 0) {
		call_problem(call, 415, "Content-Encoding: the body is wanted as it is");
		return false;
	}
	if (may_be_empty && !request->body_len) {
		call->body = json_object();
		return true;
	}
	text_init(&error, TEXT_ERROR_MAX);
	call->body = request->tree ? json_incref(request->tree)
				   : json_read(request->body_len ? request->body : "", request->body_len,
					       true, &error);
	if (!call->body)
		call_problem(call, 400, "body: %s", error.data);
	text_release(&error);
	if (!call->body)
		return false;
	if (too_deep(call->body, API_BODY_DEPTH_MAX)) {
		call_problem(call, 400, "body: nested more than %d deep", API_BODY_DEPTH_MAX);
		return false;
	}
	return true;
}

static bool read_body(struct call *call, const struct route *route)
{
	if (call->request->body_len > api_body_max(call->request->door)) {
		call_problem(call, 413, "body: more than %zu bytes", api_body_max(call->request->door));
		return false;
	}
	if (route->body != BODY_JSON && route->body != BODY_MAYBE)
		return true;
	return read_json(call, route->body == BODY_MAYBE);
}

static bool is_among(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (; *words; words += strcspn(words, " "), words += *words == ' ')
		if (len && strcspn(words, " ") == len && memcmp(words, word, len) == 0)
			return true;
	return false;
}

/* On a customer's page whatever was hung on the link behind its token does no harm. */
static bool read_query(struct call *call, const struct route *route)
{
	struct text error;

	if (route->flags & ROUTE_RAW_QUERY)
		return true;
	text_init(&error, TEXT_ERROR_MAX);
	bool read = url_query_parse(call->request->query, &call->query, &error) ||
		    call->request->door == DOOR_PUBLIC;
	if (!read)
		call_problem(call, 400, "%s", error.data);
	for (size_t i = 0; read && route->query && i < call->query.count; i++)
		if (!is_among(route->query, call->query.pairs[i].name)) {
			call_problem(call, 400, "query: there is no parameter '%s' here%s%s",
				     call->query.pairs[i].name, *route->query ? "; there are: " : "",
				     route->query);
			read = false;
		}
	text_release(&error);
	return read;
}

/* --- whose it is --- */

bool call_sees_product(const struct call *call, const char *product)
{
	return !call->token || api_token_has_product(call->token, product);
}

bool call_product_allowed(struct call *call, const char *product)
{
	if (call_sees_product(call, product))
		return true;
	call_problem(call, 403, "product: the token %s is not for %s", call->token->name, product);
	return false;
}

static bool refuse_scope(struct call *call, unsigned wanted)
{
	struct text words;

	text_init(&words, TEXT_ERROR_MAX);
	scopes_say(wanted, " or ", &words);
	call_problem(call, 403, "scope: the token %s has not %s", call->token->name, words.data);
	text_clear(&words);
	scopes_say(wanted, " ", &words);
	api_response_header(call->response, "WWW-Authenticate",
			    "Bearer realm=\"heed\", error=\"insufficient_scope\", scope=\"%s\"", words.data);
	text_release(&words);
	return false;
}

bool call_scope_allowed(struct call *call, enum scope scope)
{
	return !call->token || (call->token->scopes & scope) || refuse_scope(call, scope);
}

static bool refuse_token(struct call *call, const char *why, const char *error)
{
	call_problem(call, 401, "Authorization: %s", why);
	api_response_header(call->response, "WWW-Authenticate", "Bearer realm=\"heed\"%s", error);
	return false;
}

/* On `internal` a route with scopes wants a token that has one of them. */
static bool authorised(struct call *call, const struct route *route)
{
	const struct api_request *request = call->request;
	const struct config *config = call->api->config;
	const char *shown = api_request_header(request, "Authorization");

	if (request->door != DOOR_INTERNAL || !route->scopes)
		return true;
	if (strncasecmp(shown, "Bearer ", 7) != 0)
		return refuse_token(call, "a token is wanted, as in `Authorization: Bearer TOKEN`", "");
	call->token = api_token_find(config->http.tokens, config->http.token_count,
				     shown + 7 + strspn(shown + 7, " "));
	if (!call->token)
		return refuse_token(call, "there is no such token", ", error=\"invalid_token\"");
	if (!(call->token->scopes & route->scopes))
		return refuse_scope(call, route->scopes);
	if ((route->flags & ROUTE_WHOLE) && call->token->product_count) {
		call_problem(call, 403, "the token %s is limited to some products, and this concerns all",
			     call->token->name);
		return false;
	}
	return true;
}

/* --- finding the route --- */

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

static bool on_door(const struct route *route, enum door door)
{
	return ((route->flags & ROUTE_PUBLIC) != 0) == (door == DOOR_PUBLIC);
}

/* A person whose link was cut short sees a page. Its styles are one folder up, so deeper down there is none.
 */
static void nothing_here(struct call *call)
{
	const struct api_request *request = call->request;
	const char *accept = api_request_header(request, "Accept");
	struct text error;
	size_t depth = 0;

	for (const char *c = request->path; *c; c++)
		depth += *c == '/';
	if (request->door != DOOR_PUBLIC || depth > 2 ||
	    !http_prefers(accept, "text/html", "application/problem+json")) {
		call_problem(call, 404, "there is nothing at this path");
		return;
	}
	text_init(&error, TEXT_ERROR_MAX);
	url_query_parse(request->query, &call->query, &error); /* a language, perhaps */
	api_page_nothing(call);
	url_query_release(&call->query);
	text_release(&error);
}

static void no_route(struct call *call, const struct text *allowed)
{
	if (!allowed->len) {
		nothing_here(call);
		return;
	}
	if (strcmp(call->request->method, "OPTIONS") == 0)
		call_nothing(call);
	else
		call_problem(call, 405, "there is no %s here; %s would be right", call->request->method,
			     allowed->data);
	api_response_header(call->response, "Allow", "%s", allowed->data);
}

/* NULL, and answered: there is none. */
static const struct route *find_route(struct call *call, char *const parts[], size_t count)
{
	const bool head = strcmp(call->request->method, "HEAD") == 0;
	const char *method = head ? "GET" : call->request->method;
	const struct route *found = NULL;
	struct text allowed;

	text_init(&allowed, TEXT_ERROR_MAX);
	for (const struct route *route = api_routes; route->method && !found; route++) {
		if (!on_door(route, call->request->door) || !route_fits(route, parts, count, call->args))
			continue;
		if (strcmp(route->method, method) == 0)
			found = route;
		text_addf(&allowed, "%s%s%s", allowed.len ? ", " : "", route->method,
			  strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
	}
	if (!found)
		no_route(call, &allowed);
	text_release(&allowed);
	return found;
}

/* A header that may be there several times: does one of them accept JSON? */
static bool accepts_json(const struct api_request *request)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strcasecmp(request->headers[i].name, "Accept") == 0 &&
		    http_accepts(request->headers[i].value, "application/json"))
			return true;
	return !api_request_has(request, "Accept");
}

/* There are no entity tags: a change that is asked for under a condition is not made as if it had none. */
static bool unconditional(struct call *call)
{
	static const char *const conditions[] = {"If-Match", "If-None-Match", "If-Unmodified-Since"};
	const struct api_request *request = call->request;

	if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
		return true;
	for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++)
		if (api_request_has(request, conditions[i])) {
			call_problem(call, 412,
				     "%s: is not kept here; a choice's `version` in the body is compared",
				     conditions[i]);
			return false;
		}
	return true;
}

/* All that can be said without the body. NULL, and answered: no. */
static const struct route *admit(struct call *call, char *const parts[], size_t count)
{
	const struct route *route = find_route(call, parts, count);

	if (!route || !authorised(call, route))
		return NULL;
	if (!(route->flags & ROUTE_PUBLIC) && !unconditional(call))
		return NULL;
	if (!(route->flags & (ROUTE_PUBLIC | ROUTE_ANY_TYPE)) && !accepts_json(call->request)) {
		call_problem(call, 406, "Accept: the answer is application/json");
		return NULL;
	}
	return route;
}

static void run(struct call *call, const struct route *route)
{
	bool readable = call->api->reader || !call->api->reader_error || (route->flags & ROUTE_STORELESS);

	if (read_query(call, route) && !readable)
		call_problem(call, 503, "the store cannot be read: %s", call->api->reader_error);
	else if (!call->response->status && read_body(call, route))
		route->handle(call);
	if (call->waits)
		atomic_fetch_sub(call->api->waiting, 1);
	url_query_release(&call->query);
	json_decref(call->body);
}

/* With `run_it`, or only as far as the head goes. True: it was answered. */
static bool handle(struct api *api, const struct api_request *request, bool run_it,
		   struct api_response *response)
{
	struct api_request known = *request;
	struct call call = {.api = api, .request = &known, .response = response};
	const struct route *route = NULL;
	char *parts[API_PATH_PARTS];
	size_t count;

	*response = (struct api_response){0};
	if (url_parts(request->path, API_PATH_PARTS, parts, &count))
		route = admit(&call, parts, count);
	else if (request->path[0] == '/' && url_is_encoded(request->path))
		nothing_here(&call);
	else
		call_problem(&call, 400, "path: is not one of percent-encoded UTF-8");
	if (call.token)
		known.asker.by = call.token->by;
	if (route && run_it)
		run(&call, route);
	url_parts_free(parts, count);
	return !route || run_it;
}

void api_handle(struct api *api, const struct api_request *request, struct api_response *response)
{
	handle(api, request, true, response);
}

bool api_refuses(struct api *api, const struct api_request *request, struct api_response *response)
{
	return handle(api, request, false, response);
}
