/* What the adapters that speak HTTP share, and the one request that waits: a probe, the API's client. */
#include "http_client_private.h"

#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define HEADERS_USUAL 8

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_curl_start(void)
{
	pthread_once(&curl_once, curl_start);
}

bool http_request_header(struct http_request *request, const char *name, const char *value)
{
	struct text *lines = &request->headers;
	size_t start = lines->len;
	bool ok = true;

	text_puts(lines, name);
	text_puts(lines, *value ? ": " : ":");
	text_puts(lines, value);
	for (size_t i = start; ok && i < lines->len; i++)
		ok = (unsigned char)lines->data[i] >= ' ' && lines->data[i] != 127;
	ok = ok && lines->len - start <= HTTP_HEADER_MAX && text_putc(lines, '\0');
	if (!ok) { /* the next one would go on with what is left of it */
		lines->len = start;
		lines->data[start] = '\0';
	}
	request->header_count += ok;
	return ok;
}

struct curl_slist *http_headers_list(struct http_headers *headers, const struct http_request *request)
{
	char *line = request->headers.data;

	if (!request->header_count)
		return NULL;
	if (request->header_count > headers->room) {
		headers->room = request->header_count + HEADERS_USUAL;
		headers->nodes = xreallocarray(headers->nodes, headers->room, sizeof *headers->nodes);
	}
	for (size_t i = 0; i < request->header_count; i++) {
		headers->nodes[i] = (struct curl_slist){.data = line, .next = &headers->nodes[i + 1]};
		line += strlen(line) + 1;
	}
	headers->nodes[request->header_count - 1].next = NULL;
	return headers->nodes;
}

/* What nearly all webhooks look like: nothing in it could be read in two ways. */
static bool is_plain_url(const char *url, bool allow_http)
{
	static const char host[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/?=&";
	size_t len;

	if (strncmp(url, "https://", 8) == 0)
		url += 8;
	else if (allow_http && strncmp(url, "http://", 7) == 0)
		url += 7;
	else
		return false;
	len = strspn(url, host);
	if (!len || len > 253)
		return false;
	url += len;
	if (*url == ':') {
		len = strspn(++url, "0123456789");
		if (!len || len > 5 || (len == 5 && strncmp(url, "65535", 5) > 0))
			return false;
		url += len;
	}
	return !*url || (*url == '/' && !url[strspn(url, rest)]);
}

bool http_url_check(const char *url, bool allow_http, struct text *error)
{
	if (is_plain_url(url, allow_http))
		return true;
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
	http_curl_start();
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
	http_curl_start();
	CURL *easy = curl_easy_init();
	struct http_request request = {0};
	struct http_headers headers = {0};
	struct text answer;
	CURLcode result = CURLE_FAILED_INIT;
	char *url = xasprintf("http://heed%s", path_and_query);
	char *sent = send ? json_dumps(send, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	long code = 0;

	text_init(&answer, API_ANSWER_MAX);
	text_init(&request.headers, HTTP_HEADERS_MAX);
	*status = 0;
	*body = NULL;
	if (easy && call_headers(asker, &request) && call_aim(easy, socket_path, url, timeout) &&
	    !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer) &&
	    !curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer) &&
	    !(sent && curl_easy_setopt(easy, CURLOPT_POSTFIELDS, sent)) &&
	    !curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) &&
	    !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http_headers_list(&headers, &request)))
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
	curl_easy_cleanup(easy);
	text_release(&request.headers);
	free(headers.nodes);
	text_release(&answer);
	free(sent);
	free(url);
	return result == CURLE_OK;
}
