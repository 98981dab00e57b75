/* The two ends of the Unix socket: api_call_socket and the web server. */
#include "api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "xalloc.h"

static const struct asker cli = {.by = "cli", .actor = ""}, importer = {.by = "import", .actor = "Ana"};

/* Answers with what it was asked. */
static void echo(void *context, const struct api_request *request, struct api_response *response)
{
	(void)context;
	response->status = strcmp(request->method, "PUT") == 0 ? 201 : 200;
	response->body = json_pack("{s:s, s:s, s:s#, s:s, s:s}", "method", request->method, "path",
				   request->path, "body", request->body, (int)request->body_len, "by",
				   request->asker.by, "actor", request->asker.actor);
}

static const struct web_service service = {.handle = echo};

static void a_call_arrives_as_it_was_made_and_its_answer_comes_back(void **state)
{
	char path[] = "/tmp/heed-XXXXXX";
	struct text error;
	json_t *send = json_pack("{s:s}", "name", "ñ"), *body;
	int status;

	(void)state;
	assert_non_null(mkdtemp(path));
	char *socket = xasprintf("%s/s", path);
	text_init(&error, TEXT_ERROR_MAX);
	struct web_server *server =
		web_server_open(&(struct web_listener){DOOR_SOCKET, socket}, 1, &service, &error);
	assert_non_null(server);
	assert_true(api_call_socket(socket, &importer, "PUT", "/v1/customers/c%2F1", send, 5 * MOMENT_S,
				    &status, &body, &error));
	assert_int_equal(status, 201);
	assert_string_equal(json_string_value(json_object_get(body, "method")), "PUT");
	assert_string_equal(json_string_value(json_object_get(body, "path")), "/v1/customers/c%2F1");
	assert_string_equal(json_string_value(json_object_get(body, "body")), "{\"name\":\"ñ\"}");
	assert_string_equal(json_string_value(json_object_get(body, "by")), "import");
	assert_string_equal(json_string_value(json_object_get(body, "actor")), "Ana");
	json_decref(body);
	assert_true(
		api_call_socket(socket, &cli, "GET", "/v1/../x", NULL, 5 * MOMENT_S, &status, &body, &error));
	assert_int_equal(status, 200);
	assert_string_equal(json_string_value(json_object_get(body, "path")), "/v1/../x");
	json_decref(body);
	json_decref(send);
	web_server_close(server);
	unlink(socket);
	rmdir(path);
	free(socket);
	text_release(&error);
}

static void a_socket_where_nobody_answers_says_so(void **state)
{
	struct text error;
	json_t *body;
	int status;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	assert_false(api_call_socket("/nonexistent/heed.sock", &cli, "GET", "/v1/queue", NULL, MOMENT_S,
				     &status, &body, &error));
	assert_non_null(strstr(error.data, "nobody answers"));
	text_release(&error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_arrives_as_it_was_made_and_its_answer_comes_back),
		cmocka_unit_test(a_socket_where_nobody_answers_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
