/* The HTTP channel against a scripted provider: the shipped files, the contract's table, and what a file can
 * say. Runs in the root of the source tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "channel_fixture.h"
#include "digest.h"
#include "http_client.h"
#include "http_peer.h"
#include "provider_answer.h"
#include "provider_request.h"

extern const struct channel_ops channel_http_ops;

#define JSON_ANSWER(status, body) \
	"HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body

static struct channel_config config;
static struct channel *channel;
static struct peer *peer;

static void open_channel(json_t *file, json_t *settings, int64_t timeout)
{
	struct outcome_sink sink = {.report = reports_take};
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	config = (struct channel_config){.name = (char *)"sms",
					 .ops = &channel_http_ops,
					 .provider = (char *)"provider",
					 .settings = json_pack("{s:o}", "settings", settings),
					 .provider_file = file,
					 .timeout = timeout};
	assert_true(config.ops->check(&config, &error));
	assert_string_equal(error.data, "");
	channel = channel_open(&config, sink, &error);
	assert_non_null(channel);
	text_release(&error);
}

static void stop(void)
{
	channel_close(channel, 0);
	reports_clear();
	json_decref(config.settings);
	json_decref(config.provider_file);
	if (peer)
		peer_close(peer);
	peer = NULL;
}

static json_t *shipped(const char *name)
{
	struct text error;
	char *path = xasprintf("config/providers/%s.yaml", name);

	text_init(&error, TEXT_ERROR_MAX);
	struct config_tree *tree = config_tree_read(path, &error);
	if (!tree)
		fail_msg("%s", error.data);
	json_t *file = json_incref(config_tree_json(tree));
	config_tree_free(tree);
	text_release(&error);
	free(path);
	return file;
}

static char *base_url(void)
{
	static char url[64];

	snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_port(peer));
	return url;
}

static void start_twilio(const struct peer_step *steps, size_t count)
{
	peer = peer_open(steps, count);
	open_channel(shipped("twilio"),
		     json_pack("{s:s, s:s, s:s, s:s}", "base_url", base_url(), "account_sid", "AC1",
			       "auth_token", "s3cret-token", "from", "+15005550006"),
		     5 * MOMENT_S);
}

static void start_kannel(const struct peer_step *steps, size_t count)
{
	peer = peer_open(steps, count);
	open_channel(shipped("kannel"),
		     json_pack("{s:s, s:s, s:s, s:s}", "base_url", base_url(), "username", "heed", "password",
			       "p&ss word", "from", "Bank"),
		     5 * MOMENT_S);
}

static const struct outcome *send_text(const char *text)
{
	size_t before = reports.count;

	channel_send(channel, attempt_new("+5491155550100", "", text));
	reports_wait(before + 1);
	return &reports.list[before]->outcome;
}

/* --- Twilio --- */

static void twilio_gets_the_request_that_it_documents_and_gives_the_id(void **state)
{
	struct peer_step steps[] = {
		{PEER_ANSWER_CUT, JSON_ANSWER("201 Created", "{\"sid\":\"SM1\",\"status\":\"queued\"}")}};
	char *value;

	(void)state;
	start_twilio(steps, 1);
	const struct outcome *outcome = send_text("Año: 100% & más");
	assert_int_equal(outcome->kind, OUTCOME_ACCEPTED);
	assert_false(outcome->delivered);
	assert_string_equal(outcome->provider_ref, "SM1");
	assert_string_equal(outcome->summary, "Año: 100% & más");
	assert_memory_equal(peer_request(peer, 0), "POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1\r\n",
			    54);
	assert_string_equal(peer_body(peer, 0), "To=%2B5491155550100&From=%2B15005550006&"
						"Body=A%C3%B1o%3A%20100%25%20%26%20m%C3%A1s");
	value = peer_header(peer, 0, "authorization");
	assert_string_equal(value, "Basic QUMxOnMzY3JldC10b2tlbg==");
	free(value);
	value = peer_header(peer, 0, "content-type");
	assert_string_equal(value, "application/x-www-form-urlencoded");
	free(value);
	value = peer_header(peer, 0, "accept");
	assert_string_equal(value, "application/json");
	free(value);
	stop();
}

static void each_answer_of_twilio_means_what_its_file_and_the_table_say(void **state)
{
	static const struct {
		const char *answer;
		enum outcome_kind kind;
		enum outcome_scope scope;
		const char *code;
	} rows[] = {
		{JSON_ANSWER("400 Bad Request", "{\"code\":21211,\"message\":\"Invalid 'To' Phone Number\"}"),
		 OUTCOME_REJECTED, SCOPE_ADDRESS, "400 21211"},
		{JSON_ANSWER("400 Bad Request", "{\"code\":21610,\"message\":\"unsubscribed\"}"),
		 OUTCOME_REJECTED, SCOPE_MESSAGE, "400 21610"},
		{JSON_ANSWER("400 Bad Request", "{\"code\":99999}"), OUTCOME_REJECTED, SCOPE_MESSAGE,
		 "400 99999"},
		{JSON_ANSWER("400 Bad Request", "{\"code\":21606}"), OUTCOME_RETRY, SCOPE_PROVIDER,
		 "400 21606"},
		{JSON_ANSWER("401 Unauthorized", "{\"code\":20003}"), OUTCOME_RETRY, SCOPE_PROVIDER,
		 "401 20003"},
		{JSON_ANSWER("403 Forbidden", ""), OUTCOME_RETRY, SCOPE_PROVIDER, "403"},
		{JSON_ANSWER("404 Not Found", ""), OUTCOME_REJECTED, SCOPE_MESSAGE, "404"},
		{JSON_ANSWER("302 Found", ""), OUTCOME_REJECTED, SCOPE_MESSAGE, "302"},
		{JSON_ANSWER("429 Too Many", "{\"code\":20429}"), OUTCOME_RETRY, SCOPE_MESSAGE, "429 20429"},
		{JSON_ANSWER("408 Timeout", ""), OUTCOME_RETRY, SCOPE_MESSAGE, "408"},
		{JSON_ANSWER("503 Busy", "<html>"), OUTCOME_RETRY, SCOPE_MESSAGE, "503"},
		{JSON_ANSWER("201 Created", "{\"status\":\"queued\"}"), OUTCOME_IN_DOUBT, SCOPE_MESSAGE,
		 "201"},
		{JSON_ANSWER("201 Created", "{\"sid\":\"\"}"), OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "201"},
		{JSON_ANSWER("201 Created", "not JSON"), OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "201"},
		{"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{\"sid\":\"SM1\"}", OUTCOME_IN_DOUBT,
		 SCOPE_MESSAGE, "201"},
		{"HTTP/1.1 400 Bad\r\nContent-Length: 99\r\n\r\n{\"code\":", OUTCOME_REJECTED, SCOPE_MESSAGE,
		 "400"},
		{"nonsense\r\n\r\n", OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "curl 1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct peer_step steps[] = {{PEER_ANSWER_CUT, rows[i].answer}};
		start_twilio(steps, 1);
		const struct outcome *outcome = send_text("hello");
		print_message("%zu: %s: %s\n", i, outcome->code, outcome->text);
		assert_int_equal(outcome->kind, rows[i].kind);
		assert_int_equal(outcome->scope, rows[i].scope);
		assert_string_equal(outcome->code, rows[i].code);
		assert_int_equal(peer_requests(peer, 1), 1);
		stop();
	}
}

static void a_body_without_end_is_cut_and_in_doubt(void **state)
{
	struct peer_step steps[] = {{PEER_ENDLESS, JSON_ANSWER("201 Created", "{\"sid\":\"SM1\"}")}};

	(void)state;
	peer = peer_open(steps, 1);
	open_channel(shipped("twilio"),
		     json_pack("{s:s, s:s, s:s, s:s}", "base_url", base_url(), "account_sid", "AC1",
			       "auth_token", "s3cret-token", "from", "x"),
		     500 * MOMENT_MS);
	assert_int_equal(send_text("hello")->kind, OUTCOME_IN_DOUBT);
	stop();
}

static void a_provider_that_refuses_the_connection_is_at_fault(void **state)
{
	(void)state;
	char *url = xasprintf("http://127.0.0.1:%d", peer_free_port());
	open_channel(shipped("twilio"),
		     json_pack("{s:s, s:s, s:s, s:s}", "base_url", url, "account_sid", "AC1", "auth_token",
			       "secret", "from", "x"),
		     MOMENT_S);
	const struct outcome *outcome = send_text("hello");
	assert_int_equal(outcome->kind, OUTCOME_RETRY);
	assert_int_equal(outcome->scope, SCOPE_PROVIDER);
	free(url);
	stop();
}

static void the_third_5xx_in_a_row_is_the_providers_fault_and_another_answer_starts_anew(void **state)
{
	static const char *const answers[] = {"500 Oops", "502 Bad", "503 Busy", "400 Bad", "500 Oops"};
	static const enum outcome_scope scopes[] = {SCOPE_MESSAGE, SCOPE_MESSAGE, SCOPE_PROVIDER,
						    SCOPE_MESSAGE, SCOPE_MESSAGE};
	struct peer_step steps[5];
	char text[5][64];

	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(text[i], sizeof text[i], "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", answers[i]);
		steps[i] = (struct peer_step){PEER_ANSWER, text[i]};
	}
	start_twilio(steps, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_text("hello")->scope, scopes[i]);
	stop();
}

static void a_cut_once_the_request_was_begun_is_in_doubt_and_sent_once(void **state)
{
	struct peer_step steps[] = {
		{PEER_ANSWER, "HTTP/1.1 201 Created\r\nContent-Length: 13\r\n\r\n{\"sid\":\"SM1\"}"},
		{PEER_CUT, NULL}};

	(void)state;
	start_twilio(steps, 2);
	assert_int_equal(send_text("hello")->kind, OUTCOME_ACCEPTED);
	assert_int_equal(send_text("hello")->kind, OUTCOME_IN_DOUBT);
	assert_int_equal(peer_requests(peer, 2), 2);
	stop();
}

static void retry_after_is_passed_on(void **state)
{
	struct peer_step steps[] = {
		{PEER_ANSWER, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"}};

	(void)state;
	start_twilio(steps, 1);
	assert_int_equal(send_text("hello")->retry_after, 7 * MOMENT_S);
	stop();
}

static void a_secret_that_the_provider_repeats_is_blotted_out(void **state)
{
	struct peer_step steps[] = {
		{PEER_ANSWER_CUT, JSON_ANSWER("401 No", "{\"code\":\"s3cret-token\",\"message\":\"token "
							"s3cret-token is wrong\\nnow\"}")}};

	(void)state;
	start_twilio(steps, 1);
	const struct outcome *outcome = send_text("hello");
	assert_null(strstr(outcome->text, "s3cret"));
	assert_null(strstr(outcome->code, "s3cret"));
	assert_string_equal(outcome->text, "the provider answered 401: token ************ is wrong now");
	stop();
}

/* --- Kannel --- */

static void kannel_gets_a_get_and_its_acceptance_has_no_id(void **state)
{
	struct peer_step steps[] = {
		{PEER_ANSWER, "HTTP/1.1 202 Accepted\r\nContent-Length: 24\r\n\r\n0: Accepted for delivery"}};

	(void)state;
	start_kannel(steps, 1);
	const struct outcome *outcome = send_text("Your card: 5 €");
	assert_int_equal(outcome->kind, OUTCOME_ACCEPTED);
	assert_string_equal(outcome->provider_ref, "");
	static const char line[] =
		"GET /cgi-bin/sendsms?username=heed&password=p%26ss%20word&from=Bank&to=%2B5491155550100&"
		"text=Your%20card%3A%205%20%E2%82%AC&charset=UTF-8 HTTP/1.1\r\n";
	assert_memory_equal(peer_request(peer, 0), line, sizeof line - 1);
	stop();
}

static void kannel_is_told_to_use_ucs2_where_the_text_needs_it(void **state)
{
	(void)state;
	start_kannel(NULL, 0);
	send_text("Tu código");
	assert_non_null(
		strstr(peer_request(peer, 0), "text=Tu%20c%C3%B3digo&charset=UTF-8&coding=2 HTTP/1.1"));
	stop();
}

static void each_answer_of_kannel_means_what_its_file_says(void **state)
{
	static const struct {
		const char *answer;
		enum outcome_kind kind;
		enum outcome_scope scope;
	} rows[] = {
		{"202 Accepted\r\n\r\n3: Queued for later delivery", OUTCOME_ACCEPTED, SCOPE_MESSAGE},
		{"200 OK\r\n\r\n0: Accepted for delivery", OUTCOME_ACCEPTED, SCOPE_MESSAGE},
		{"200 OK\r\n\r\nhello", OUTCOME_IN_DOUBT, SCOPE_MESSAGE},
		{"403 Forbidden\r\n\r\nAuthorization failed for sendsms", OUTCOME_RETRY, SCOPE_PROVIDER},
		{"403 Forbidden\r\n\r\nNot routable. Do not try again.", OUTCOME_REJECTED, SCOPE_MESSAGE},
		{"400 Bad\r\n\r\nMissing receiver", OUTCOME_REJECTED, SCOPE_MESSAGE},
		{"503 Busy\r\n\r\nTemporal failure, try again later.", OUTCOME_RETRY, SCOPE_MESSAGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *answer = xasprintf("HTTP/1.1 %s", rows[i].answer);
		struct peer_step steps[] = {{PEER_ANSWER_CUT, answer}};
		start_kannel(steps, 1);
		const struct outcome *outcome = send_text("hello");
		print_message("%zu: %s: %s\n", i, outcome->code, outcome->text);
		assert_int_equal(outcome->kind, rows[i].kind);
		assert_int_equal(outcome->scope, rows[i].scope);
		stop();
		free(answer);
	}
}

static void a_get_on_a_kept_connection_that_dies_is_sent_once(void **state)
{
	struct peer_step steps[] = {
		{PEER_ANSWER, "HTTP/1.1 202 Accepted\r\nContent-Length: 24\r\n\r\n0: Accepted for delivery"},
		{PEER_CUT, NULL}};
	struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};

	(void)state;
	start_kannel(steps, 2);
	assert_int_equal(send_text("hello")->kind, OUTCOME_ACCEPTED);
	assert_int_equal(send_text("hello")->kind, OUTCOME_IN_DOUBT);
	nanosleep(&pause, NULL);
	assert_int_equal(peer_requests(peer, 2), 2);
	stop();
}

/* --- what a file can say --- */

/* A description with the given request and response, on a new peer. */
static void start_with(const char *request, const char *response, const struct peer_step *steps, size_t count)
{
	char *text = xasprintf(
		"{\"name\":\"own\",\"settings\":{\"key\":{\"secret\":true}},\"request\":%s,\"response\":%s}",
		request, response);
	json_t *file = json_loads(text, 0, NULL);

	assert_non_null(file);
	peer = peer_open(steps, count);
	open_channel(file, json_pack("{s:s, s:s}", "base_url", base_url(), "key", "k/1 \"2\""), 5 * MOMENT_S);
	free(text);
}

static void a_json_body_is_a_tree_of_texts(void **state)
{
	(void)state;
	start_with("{\"url\":\"{{settings.base_url}}/v1?c={{customer.id}}&k={{settings.key}}\","
		   "\"json\":{\"to\":[\"{{to}}\"],\"text\":\"{{text}}\",\"n\":7,\"id\":\"{{message.id}}-{{"
		   "attempt}}\"},"
		   "\"query\":{\"a b\":\"{{text}}\"}}",
		   "{}", NULL, 0);
	send_text("say \"hi\"\n");
	assert_string_equal(
		peer_body(peer, 0),
		"{\"to\":[\"+5491155550100\"],\"text\":\"say \\\"hi\\\"\\n\",\"n\":7,\"id\":\"m-1-1\"}");
	static const char line[] = "POST /v1?c=c-1&k=k%2F1%20%222%22&a%20b=say%20%22hi%22%0A HTTP/1.1\r\n";
	assert_memory_equal(peer_request(peer, 0), line, sizeof line - 1);
	stop();
}

static void a_raw_body_is_escaped_as_its_type_asks(void **state)
{
	static const struct {
		const char *type, *body;
	} rows[] = {{"application/json", "<say \\\"hi\\\" & bye>"},
		    {"application/xml", "<say &quot;hi&quot; &amp; bye>"},
		    {"text/plain", "<say \"hi\" & bye>"}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *request = xasprintf("{\"url\":\"{{settings.base_url}}/"
					  "\",\"body\":\"<{{text}}>\",\"content_type\":\"%s\"}",
					  rows[i].type);
		start_with(request, "{}", NULL, 0);
		send_text("say \"hi\" & bye");
		assert_string_equal(peer_body(peer, 0), rows[i].body);
		free(request);
		stop();
	}
}

static void the_key_goes_where_the_file_says(void **state)
{
	static const struct {
		const char *auth, *expected;
	} rows[] = {
		{"{\"type\":\"bearer\",\"token\":\"{{settings.key}}\"}",
		 "\r\nAuthorization: Bearer k/1 \"2\"\r\n"},
		{"{\"type\":\"header\",\"name\":\"X-Key\",\"value\":\"{{settings.key}}\"}",
		 "\r\nX-Key: k/1 \"2\"\r\n"},
		{"{\"type\":\"query\",\"name\":\"key\",\"value\":\"{{settings.key}}\"}",
		 "POST /?key=k%2F1%20%222%22 HTTP"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *request = xasprintf("{\"url\":\"{{settings.base_url}}/\",\"auth\":%s}", rows[i].auth);
		start_with(request, "{}", NULL, 0);
		send_text("hello");
		assert_non_null(strstr(peer_request(peer, 0), rows[i].expected));
		free(request);
		stop();
	}
}

static void a_control_character_never_gets_into_a_header(void **state)
{
	(void)state;
	start_with("{\"url\":\"{{settings.base_url}}/\",\"headers\":{\"X-Text\":\"{{text}}\"}}", "{}", NULL,
		   0);
	assert_int_equal(send_text("hi\r\nX-Evil: 1")->kind, OUTCOME_UNSENDABLE);
	assert_int_equal(send_text("")->kind, OUTCOME_UNSENDABLE);
	assert_int_equal(peer_requests(peer, 0), 0);
	stop();
}

static void the_id_can_be_in_a_text_or_a_header(void **state)
{
	struct peer_step text[] = {
		{PEER_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nOK id=af-7 x"}};
	struct peer_step header[] = {
		{PEER_ANSWER,
		 "HTTP/1.1 201 Created\r\nlocation:  /messages/9 \r\nContent-Length: 0\r\n\r\n"}};

	(void)state;
	start_with("{\"url\":\"{{settings.base_url}}/\"}", "{\"id\":{\"text\":\"id=([a-z0-9-]+)\"}}", text,
		   1);
	assert_string_equal(send_text("hello")->provider_ref, "af-7");
	stop();
	start_with("{\"url\":\"{{settings.base_url}}/\"}", "{\"id\":{\"header\":\"Location\"}}", header, 1);
	assert_string_equal(send_text("hello")->provider_ref, "/messages/9");
	stop();
}

static void rules_hold_only_whole_and_in_their_order(void **state)
{
	static const char response[] =
		"{\"success\":[{\"status\":\"2xx\",\"json\":\"messages.0.status\",\"equals\":\"0\"}],"
		"\"id\":{\"json\":\"messages.0.message-id\"},\"error_code\":{\"json\":\"messages.0.status\"},"
		"\"dead\":[{\"code\":[\"6\",7]}],\"company\":[{\"json\":\"messages.0.status\",\"in\":[\"4\","
		"9]}],"
		"\"retry\":[{\"code\":\"1\"}],\"permanent\":[{\"status\":200,\"text\":{\"contains\":"
		"\"messages\"}}]}";
	static const struct {
		const char *status;
		enum outcome_kind kind;
		enum outcome_scope scope;
	} rows[] = {{"\"0\"", OUTCOME_ACCEPTED, SCOPE_MESSAGE}, {"6", OUTCOME_REJECTED, SCOPE_ADDRESS},
		    {"\"7\"", OUTCOME_REJECTED, SCOPE_ADDRESS}, {"\"4\"", OUTCOME_RETRY, SCOPE_PROVIDER},
		    {"9", OUTCOME_RETRY, SCOPE_PROVIDER},       {"1", OUTCOME_RETRY, SCOPE_MESSAGE},
		    {"\"66\"", OUTCOME_REJECTED, SCOPE_MESSAGE}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *answer = xasprintf(
			"HTTP/1.1 200 OK\r\n\r\n{\"messages\":[{\"status\":%s,\"message-id\":\"a1\"}]}",
			rows[i].status);
		struct peer_step steps[] = {{PEER_ANSWER_CUT, answer}};
		start_with("{\"url\":\"{{settings.base_url}}/\"}", response, steps, 1);
		const struct outcome *outcome = send_text("hello");
		assert_int_equal(outcome->kind, rows[i].kind);
		assert_int_equal(outcome->scope, rows[i].scope);
		stop();
		free(answer);
	}
}

static void mistakes_in_a_file_are_told_all_at_once(void **state)
{
	struct text errors;
	json_t *file = json_loads(
		"{\"request\":{\"method\":\"GET\",\"url\":\"{{#a}}\",\"form\":{\"a\":\"{{\"},\"body\":\"x\","
		"\"auth\":{\"type\":\"oauth2\"}},\"response\":{\"id\":{\"text\":\"no "
		"group\"},\"error_code\":{\"text\":\"(\"}}}",
		0, NULL);
	struct channel_config bad = {.name = (char *)"sms", .provider_file = file, .settings = json_object()};
	static const char *const told[] = {
		"request.url:", "request.form",           "several of form",         "a GET has no body",
		"one group",    "request.auth.token_url", "response.error_code.text"};

	(void)state;
	text_init(&errors, TEXT_ERROR_MAX);
	assert_false(channel_http_ops.check(&bad, &errors));
	for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
		if (!strstr(errors.data, told[i]))
			fail_msg("\"%s\" is not in: %s", told[i], errors.data);
	json_decref(bad.settings);
	json_decref(file);
	text_release(&errors);
}

static void a_probe_tells_whether_anybody_answers(void **state)
{
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	start_kannel(NULL, 0);
	assert_true(channel_http_ops.probe(&config, &error));
	stop();
	char *url = xasprintf("http://127.0.0.1:%d", peer_free_port());
	assert_false(http_probe(url, &error));
	assert_true(error.len > 0);
	free(url);
	text_release(&error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(twilio_gets_the_request_that_it_documents_and_gives_the_id),
		cmocka_unit_test(each_answer_of_twilio_means_what_its_file_and_the_table_say),
		cmocka_unit_test(a_body_without_end_is_cut_and_in_doubt),
		cmocka_unit_test(a_provider_that_refuses_the_connection_is_at_fault),
		cmocka_unit_test(
			the_third_5xx_in_a_row_is_the_providers_fault_and_another_answer_starts_anew),
		cmocka_unit_test(a_cut_once_the_request_was_begun_is_in_doubt_and_sent_once),
		cmocka_unit_test(retry_after_is_passed_on),
		cmocka_unit_test(a_secret_that_the_provider_repeats_is_blotted_out),
		cmocka_unit_test(kannel_gets_a_get_and_its_acceptance_has_no_id),
		cmocka_unit_test(kannel_is_told_to_use_ucs2_where_the_text_needs_it),
		cmocka_unit_test(each_answer_of_kannel_means_what_its_file_says),
		cmocka_unit_test(a_get_on_a_kept_connection_that_dies_is_sent_once),
		cmocka_unit_test(a_json_body_is_a_tree_of_texts),
		cmocka_unit_test(a_raw_body_is_escaped_as_its_type_asks),
		cmocka_unit_test(the_key_goes_where_the_file_says),
		cmocka_unit_test(a_control_character_never_gets_into_a_header),
		cmocka_unit_test(the_id_can_be_in_a_text_or_a_header),
		cmocka_unit_test(rules_hold_only_whole_and_in_their_order),
		cmocka_unit_test(mistakes_in_a_file_are_told_all_at_once),
		cmocka_unit_test(a_probe_tells_whether_anybody_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
