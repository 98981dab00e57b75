#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "api.h"
#include "xalloc.h"

#define BODIES_MAX (2 * API_BODY_MAX) /* so that a few can be too much */

/* What the handler was given last. */
struct seen {
	char method[16], path[256], query[256], by[32], actor[64];
	size_t body_len;
	int calls;
};
static struct seen seen;
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static char folder[] = "/tmp/heed-web-XXXXXX";
static char *socket_path;

static void answer_what_came(void *context, const struct api_request *request, struct api_response *response)
{
	(void)context;
	pthread_mutex_lock(&seen_lock);
	snprintf(seen.method, sizeof seen.method, "%s", request->method);
	snprintf(seen.path, sizeof seen.path, "%s", request->path);
	snprintf(seen.query, sizeof seen.query, "%s", request->query);
	snprintf(seen.by, sizeof seen.by, "%s", request->asker.by);
	snprintf(seen.actor, sizeof seen.actor, "%s", request->asker.actor);
	seen.body_len = request->body_len;
	seen.calls++;
	pthread_mutex_unlock(&seen_lock);
	response->status = 200;
	response->body = json_pack("{s:b}", "seen", 1);
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 20};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

/* Sends the bytes and reads to the end of the connection. The status; the rest in `answer`. */
static int ask(const char *bytes, size_t len, char *answer, size_t size)
{
	int fd = dial(), status = 0;
	size_t got = 0;
	ssize_t n;

	while (len > 0 && (n = send(fd, bytes, len, MSG_NOSIGNAL)) > 0) {
		bytes += n;
		len -= (size_t)n;
	}
	while (got + 1 < size && (n = recv(fd, answer + got, size - got - 1, 0)) > 0)
		got += (size_t)n;
	answer[got] = '\0';
	close(fd);
	pthread_mutex_lock(&seen_lock); /* what the handler wrote is seen from here on */
	pthread_mutex_unlock(&seen_lock);
	sscanf(answer, "HTTP/1.1 %d", &status);
	return status;
}

static int ask_words(const char *words, char *answer, size_t size)
{
	return ask(words, strlen(words), answer, size);
}

static bool refuses(void *context, const struct api_request *request, struct api_response *response)
{
	(void)context;
	if (strcmp(request->path, "/unwanted") != 0)
		return false;
	response->status = 401;
	response->body = api_problem(401, "not you");
	return true;
}

static struct web_server *open_at(const char *path, struct text *error)
{
	static const struct web_service service = {
		.handle = answer_what_came, .refuses = refuses, .bodies_max = BODIES_MAX};

	return web_server_open(&(struct web_listener){DOOR_SOCKET, path}, 1, &service, error);
}

static int open_server(void **state)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	seen = (struct seen){0};
	*state = open_at(socket_path, &error);
	text_release(&error);
	return *state ? 0 : -1;
}

static int close_server(void **state)
{
	web_server_close(*state);
	return access(socket_path, F_OK) == 0 ? -1 : 0;
}

static void expect_open_refused(const char *path, const char *why)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	assert_null(open_at(path, &error));
	assert_non_null(strstr(error.data, why));
	text_release(&error);
}

static void a_request_reaches_the_handler_as_it_came(void **state)
{
	char answer[2000];

	(void)state;
	assert_int_equal(ask_words("PATCH /v1/customers/c%2F1?a=%20b HTTP/1.1\r\nHost: heed\r\n"
				   "Heed-Actor: ana\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
				   answer, sizeof answer),
			 200);
	assert_string_equal(seen.method, "PATCH");
	assert_string_equal(seen.path, "/v1/customers/c%2F1");
	assert_string_equal(seen.query, "a=%20b");
	assert_string_equal(seen.by, "cli");
	assert_string_equal(seen.actor, "ana");
	assert_int_equal(seen.body_len, 2);
	assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(answer, "\r\n\r\n{\"seen\":true}"));
}

static void an_import_says_so(void **state)
{
	char answer[2000];

	(void)state;
	assert_int_equal(
		ask_words("GET / HTTP/1.1\r\nHost: heed\r\nHeed-By: import\r\nConnection: close\r\n\r\n",
			  answer, sizeof answer),
		200);
	assert_string_equal(seen.by, "import");
}

static void a_connection_carries_several_requests(void **state)
{
	char answer[4000];

	(void)state;
	ask_words("GET /1 HTTP/1.1\r\nHost: heed\r\n\r\nGET /2 HTTP/1.1\r\nHost: heed\r\nConnection: "
		  "close\r\n\r\n",
		  answer, sizeof answer);
	assert_int_equal(seen.calls, 2);
	assert_string_equal(seen.path, "/2");
}

static void the_socket_is_the_owners_alone(void **state)
{
	struct stat about;

	(void)state;
	assert_int_equal(stat(socket_path, &about), 0);
	assert_int_equal(about.st_mode & 0777, 0600);
}

static void heads_that_two_could_read_differently_are_refused(void **state)
{
	static const char *const heads[] = {
		"Host: a\r\nHost: b\r\n",
		"Host: a\r\nContent-Length: 0\r\nContent-Length: 2\r\n",
		"Host: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
		"Host: a\r\nHeed-Actor: a\r\nHeed-Actor: b\r\n",
		"Host: a\r\nHeed-Actor: \xff\r\n",
	};
	char request[500], answer[2000];

	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		snprintf(request, sizeof request, "POST / HTTP/1.1\r\n%sConnection: close\r\n\r\n", heads[i]);
		assert_int_equal(ask_words(request, answer, sizeof answer), 400);
	}
	assert_int_equal(seen.calls, 0);
}

static void a_body_over_the_bound_is_refused_by_its_length(void **state)
{
	char request[200], answer[2000];

	(void)state;
	snprintf(request, sizeof request, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
		 API_BODY_MAX + 1);
	assert_int_equal(ask_words(request, answer, sizeof answer), 413);
	assert_non_null(strstr(answer, "application/problem+json"));
	assert_int_equal(seen.calls, 0);
}

static void a_chunked_body_over_the_bound_is_refused_at_its_end(void **state)
{
	char answer[2000];
	struct text request;

	(void)state;
	text_init(&request, API_BODY_MAX + 1000);
	text_puts(&request,
		  "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
	text_addf(&request, "%x\r\n", API_BODY_MAX + 1);
	for (size_t i = 0; i < API_BODY_MAX + 1; i++)
		text_putc(&request, ' ');
	text_puts(&request, "\r\n0\r\n\r\n");
	assert_int_equal(ask(request.data, request.len, answer, sizeof answer), 413);
	assert_int_equal(seen.calls, 0);
	text_release(&request);
}

static void a_body_up_to_the_bound_is_taken(void **state)
{
	char answer[2000];
	struct text request;

	(void)state;
	text_init(&request, API_BODY_MAX + 1000);
	text_addf(&request, "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
		  API_BODY_MAX);
	for (size_t i = 0; i < API_BODY_MAX; i++)
		text_putc(&request, ' ');
	assert_int_equal(ask(request.data, request.len, answer, sizeof answer), 200);
	assert_int_equal(seen.body_len, API_BODY_MAX);
	text_release(&request);
}

static void a_peer_that_trickles_is_cut_off(void **state)
{
	static const char head[] = "GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	int fd = dial(), seconds = 0;

	(void)state;
	/* never idle for long enough to be idle, never done */
	while (seconds < 30 && send(fd, head + seconds, 1, MSG_NOSIGNAL) == 1) {
		seconds++;
		sleep(1);
	}
	assert_in_range(seconds, 10, 25);
	close(fd);
}

static void a_socket_that_answers_is_left_alone(void **state)
{
	char answer[2000];

	(void)state;
	expect_open_refused(socket_path, "another heed answers there");
	assert_int_equal(
		ask_words("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", answer, sizeof answer),
		200);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	assert_int_equal(open_server(state), 0);
	assert_int_equal(close_server(state), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	FILE *file = fopen(socket_path, "w");

	(void)state;
	fclose(file);
	expect_open_refused(socket_path, "is not a socket");
	assert_int_equal(unlink(socket_path), 0);
}

static void a_path_too_long_for_a_socket_is_refused(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	expect_open_refused(path, "1 to 107 bytes");
}

static void send_all(int fd, const char *bytes, size_t len)
{
	for (ssize_t n; len > 0 && (n = send(fd, bytes, len, MSG_NOSIGNAL)) > 0; len -= (size_t)n)
		bytes += n;
	assert_int_equal(len, 0);
}

/* A request whose body comes but for its last byte. */
static int begin_large(const char *body)
{
	char head[200];
	int fd = dial();

	snprintf(head, sizeof head,
		 "PUT /x HTTP/1.1\r\nHost: heed\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
		 API_BODY_MAX);
	send_all(fd, head, strlen(head));
	send_all(fd, body, API_BODY_MAX - 1);
	return fd;
}

static int end_large(int fd, char *answer, size_t size)
{
	size_t got = 0;
	int status = 0;

	send_all(fd, "x", 1);
	for (ssize_t n; got + 1 < size && (n = recv(fd, answer + got, size - got - 1, 0)) > 0;)
		got += (size_t)n;
	answer[got] = '\0';
	close(fd);
	pthread_mutex_lock(&seen_lock); /* what the handler wrote is seen from here on */
	pthread_mutex_unlock(&seen_lock);
	sscanf(answer, "HTTP/1.1 %d", &status);
	return status;
}

static void all_bodies_together_have_a_bound(void **state)
{
	char answer[2000], *body = xcalloc(1, API_BODY_MAX);
	int fds[3], busy = 0, taken = 0;

	(void)state;
	for (int i = 0; i < 3;
	     i++) /* each was read, but for what a socket holds, before the next one begins */
		fds[i] = begin_large(body);
	for (int i = 0; i < 3; i++) {
		int status = end_large(fds[i], answer, sizeof answer);
		busy += status == 503 && strstr(answer, "Retry-After: ") != NULL;
		taken += status == 200;
	}
	assert_int_equal(busy, 1);
	assert_int_equal(taken, 2);
	assert_int_equal(end_large(begin_large(body), answer, sizeof answer), 200); /* it is given back */
	free(body);
}

static void blanks_behind_a_value_are_not_part_of_it(void **state)
{
	char answer[2000];

	(void)state;
	assert_int_equal(
		ask_words("GET / HTTP/1.1\r\nHost: heed\r\nHeed-Actor: ana \t \r\nConnection: close\r\n\r\n",
			  answer, sizeof answer),
		200);
	assert_string_equal(seen.actor, "ana");
}

#define served(test) cmocka_unit_test_setup_teardown(test, open_server, close_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		served(a_request_reaches_the_handler_as_it_came),
		served(an_import_says_so),
		served(a_connection_carries_several_requests),
		served(the_socket_is_the_owners_alone),
		served(heads_that_two_could_read_differently_are_refused),
		served(a_body_over_the_bound_is_refused_by_its_length),
		served(a_chunked_body_over_the_bound_is_refused_at_its_end),
		served(a_body_up_to_the_bound_is_taken),
		served(all_bodies_together_have_a_bound),
		served(blanks_behind_a_value_are_not_part_of_it),
		served(a_peer_that_trickles_is_cut_off),
		served(a_socket_that_answers_is_left_alone),
		cmocka_unit_test(a_stale_socket_is_replaced),
		cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
		cmocka_unit_test(a_path_too_long_for_a_socket_is_refused),
	};

	if (!mkdtemp(folder))
		return 1;
	socket_path = xasprintf("%s/s", folder);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	free(socket_path);
	return failed;
}
