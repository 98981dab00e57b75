/* Webhooks against a scripted receiver: every row of the contract's table, the signature, the guard. */
#include <arpa/inet.h>
#include <netinet/in.h>
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
#include "net_inside.h"

extern const struct channel_ops channel_webhook_ops;

static json_t *settings;
static struct channel_config config;
static struct channel *channel;
static char url[128];

static void open_channel(int64_t timeout)
{
	struct outcome_sink sink = {.report = reports_take};
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	config = (struct channel_config){.name = (char *)"webhook",
					 .ops = &channel_webhook_ops,
					 .provider = (char *)"",
					 .settings = settings,
					 .timeout = timeout};
	channel = channel_open(&config, sink, &error);
	assert_non_null(channel);
	text_release(&error);
}

static struct peer *start(const struct peer_step *steps, size_t count)
{
	struct peer *peer = peer_open(steps, count);

	settings = json_pack("{s:b, s:b}", "allow_private", 1, "allow_http", 1);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/hook", peer_port(peer));
	open_channel(5 * MOMENT_S);
	return peer;
}

static void stop(struct peer *peer)
{
	channel_close(channel, 0);
	json_decref(settings);
	reports_clear();
	if (peer)
		peer_close(peer);
}

static const struct outcome *send_and_wait(struct attempt *attempt)
{
	size_t before = reports.count;

	channel_send(channel, attempt);
	reports_wait(before + 1);
	return &reports.list[before]->outcome;
}

static const struct outcome *send_one(void)
{
	return send_and_wait(attempt_new(url, "", "hello"));
}

/* --- the table --- */

static void each_answer_means_what_the_contract_says(void **state)
{
	static const struct {
		const char *answer;
		enum outcome_kind kind;
		enum outcome_scope scope;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", OUTCOME_ACCEPTED, SCOPE_MESSAGE},
		{"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", OUTCOME_ACCEPTED, SCOPE_MESSAGE},
		{"HTTP/1.1 204 No Content\r\n\r\n", OUTCOME_ACCEPTED, SCOPE_MESSAGE},
		{"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", OUTCOME_REJECTED, SCOPE_ADDRESS},
		{"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", OUTCOME_REJECTED, SCOPE_MESSAGE},
		{"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", OUTCOME_REJECTED, SCOPE_MESSAGE},
		{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", OUTCOME_REJECTED, SCOPE_MESSAGE},
		{"HTTP/1.1 304 Not Modified\r\n\r\n", OUTCOME_REJECTED, SCOPE_MESSAGE},
		{"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", OUTCOME_RETRY, SCOPE_MESSAGE},
		{"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n", OUTCOME_RETRY, SCOPE_MESSAGE},
		{"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", OUTCOME_RETRY, SCOPE_MESSAGE},
		{"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", OUTCOME_RETRY, SCOPE_MESSAGE},
		{"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", OUTCOME_IN_DOUBT, SCOPE_MESSAGE},
		{"nonsense\r\n\r\n", OUTCOME_IN_DOUBT, SCOPE_MESSAGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct peer_step steps[] = {{PEER_ANSWER, rows[i].answer}};
		struct peer *peer = start(steps, 1);
		const struct outcome *outcome = send_one();
		print_message("%.12s: %s\n", rows[i].answer, outcome->text);
		assert_int_equal(outcome->kind, rows[i].kind);
		assert_int_equal(outcome->scope, rows[i].scope);
		assert_int_equal(outcome->delivered, rows[i].kind == OUTCOME_ACCEPTED);
		assert_int_equal(peer_requests(peer, 1), 1);
		stop(peer);
	}
}

static void a_refused_connection_is_a_retry_and_nothing_was_begun(void **state)
{
	struct attempt *attempt;

	(void)state;
	settings = json_pack("{s:b, s:b}", "allow_private", 1, "allow_http", 1);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_free_port());
	open_channel(5 * MOMENT_S);
	attempt = attempt_new(url, "", "hello");
	const struct outcome *outcome = send_and_wait(attempt);
	assert_int_equal(outcome->kind, OUTCOME_RETRY);
	assert_int_equal(outcome->scope, SCOPE_MESSAGE);
	assert_string_equal(outcome->code, "curl 7");
	assert_true(attempt_call_back(attempt));
	stop(NULL);
}

static void an_unknown_host_is_a_retry(void **state)
{
	struct peer *peer = start(NULL, 0);

	(void)state;
	const struct outcome *outcome = send_and_wait(attempt_new("http://nowhere.invalid/", "", "hello"));
	assert_int_equal(outcome->kind, OUTCOME_RETRY);
	stop(peer);
}

static void of_a_failure_nothing_is_told_with_the_next_one(void **state)
{
	struct peer *peer = start(NULL, 0);

	(void)state;
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_free_port());
	assert_string_equal(send_one()->text, "Couldn't connect to server: Connection refused");
	const struct outcome *outcome = send_and_wait(attempt_new("http://nowhere.invalid/", "", "hello"));
	assert_null(strstr(outcome->text, "refused"));
	stop(peer);
}

static void a_receiver_that_does_not_speak_tls_is_a_retry(void **state)
{
	struct peer_step steps[] = {{PEER_CUT_FIRST, NULL}};
	struct peer *peer = start(steps, 1);

	(void)state;
	snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(peer));
	assert_int_equal(send_one()->kind, OUTCOME_RETRY);
	stop(peer);
}

static void a_cut_or_a_timeout_once_the_request_was_begun_is_in_doubt(void **state)
{
	static const enum peer_act acts[] = {PEER_CUT_FIRST, PEER_CUT, PEER_SILENT};

	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
		struct peer_step steps[] = {{acts[i], NULL}};
		struct peer *peer = peer_open(steps, 1);
		settings = json_pack("{s:b, s:b}", "allow_private", 1, "allow_http", 1);
		snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_port(peer));
		open_channel(300 * MOMENT_MS);
		assert_int_equal(send_one()->kind, OUTCOME_IN_DOUBT);
		assert_true(peer_requests(peer, 0) <= 1);
		stop(peer);
	}
}

static void a_kept_connection_that_dies_before_the_answer_is_in_doubt_and_sent_once(void **state)
{
	struct peer_step steps[] = {{PEER_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
				    {PEER_CUT, NULL}};
	struct peer *peer = start(steps, 2);

	(void)state;
	assert_int_equal(send_one()->kind, OUTCOME_ACCEPTED);
	const struct outcome *outcome = send_one();
	assert_int_equal(outcome->kind, OUTCOME_IN_DOUBT);
	struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	nanosleep(&pause, NULL);
	assert_int_equal(peer_requests(peer, 2), 2);
	assert_true(peer_connections(peer) <= 2);
	stop(peer);
}

static void many_messages_to_one_receiver_share_a_connection(void **state)
{
	struct peer *peer = start(NULL, 0);

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(send_one()->kind, OUTCOME_ACCEPTED);
	assert_int_equal(peer_connections(peer), 1);
	assert_int_equal(peer_requests(peer, 20), 20);
	stop(peer);
}

static void delivered_falls_at_the_status_line_and_a_body_without_end_harms_nobody(void **state)
{
	struct peer_step steps[] = {{PEER_ENDLESS, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"},
				    {PEER_ANSWER_HOLD, "HTTP/1.1 200 OK\r\n"},
				    {PEER_ANSWER_HOLD, "HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\n"}};
	struct peer *peer = start(steps, 3);
	int64_t before = moment_mono();

	(void)state;
	assert_int_equal(send_one()->kind, OUTCOME_ACCEPTED);
	assert_int_equal(send_one()->kind, OUTCOME_ACCEPTED);
	assert_int_equal(send_one()->kind, OUTCOME_RETRY);
	assert_int_equal(send_one()->kind, OUTCOME_ACCEPTED);
	assert_true(moment_mono() - before < 2 * MOMENT_S);
	stop(peer);
}

static void receivers_that_never_end_their_bodies_do_not_use_up_the_channel(void **state)
{
	static struct peer_step steps[HTTP_IN_FLIGHT + 10];
	int64_t before = moment_mono();

	(void)state;
	for (size_t i = 0; i < HTTP_IN_FLIGHT + 10; i++)
		steps[i] =
			(struct peer_step){PEER_ANSWER_HOLD, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"};
	struct peer *peer = start(steps, HTTP_IN_FLIGHT + 10);
	for (size_t i = 0; i < HTTP_IN_FLIGHT + 10; i++)
		assert_int_equal(send_one()->kind, OUTCOME_ACCEPTED);
	assert_true(moment_mono() - before < 4 * MOMENT_S);
	stop(peer);
}

static void a_redirect_is_refused_and_not_followed(void **state)
{
	struct peer_step steps[] = {
		{PEER_ANSWER, "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"}};
	struct peer *peer = start(steps, 1);

	(void)state;
	assert_int_equal(send_one()->kind, OUTCOME_REJECTED);
	assert_int_equal(peer_requests(peer, 1), 1);
	stop(peer);
}

static int64_t retry_after(const char *value)
{
	char answer[200];
	struct peer_step steps[] = {{PEER_ANSWER, answer}};

	snprintf(answer, sizeof answer, "HTTP/1.1 429 Slow\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
		 value);
	struct peer *peer = start(steps, 1);
	int64_t wait = send_one()->retry_after;
	stop(peer);
	return wait;
}

static void retry_after_is_heard_in_seconds_and_as_a_date_and_bounded(void **state)
{
	char date[64];
	time_t later = time(NULL) + 100;
	struct tm tm;

	(void)state;
	assert_int_equal(retry_after("17"), 17 * MOMENT_S);
	assert_int_equal(retry_after("99999999999999999999"), HTTP_RETRY_AFTER_MAX);
	assert_int_equal(retry_after("soon"), 0);
	assert_int_equal(retry_after("-5"), 0);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&later, &tm));
	int64_t wait = retry_after(date);
	assert_true(wait > 90 * MOMENT_S && wait <= 100 * MOMENT_S);
	assert_int_equal(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
}

static void an_early_answer_1xx_is_not_the_answer(void **state)
{
	struct peer_step steps[] = {{PEER_ANSWER, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 "
						  "500 No\r\nContent-Length: 0\r\n\r\n"}};
	struct peer *peer = start(steps, 1);

	(void)state;
	assert_int_equal(send_one()->kind, OUTCOME_RETRY);
	stop(peer);
}

/* --- the request --- */

/* The body that request `i` brought, read as JSON, has this text. */
static void expect_text(struct peer *peer, size_t i, const char *text)
{
	json_t *body = json_loads(peer_body(peer, i), 0, NULL);

	assert_non_null(body);
	assert_string_equal(json_string_value(json_object_get(body, "id")), "m-1");
	assert_string_equal(json_string_value(json_object_get(body, "text")), text);
	json_decref(body);
}

static void the_request_is_a_post_of_the_rendered_json(void **state)
{
	struct peer *peer = start(NULL, 0);
	struct attempt *attempt = attempt_new(url, "", "You paid 12.50");
	char *value;

	(void)state;
	json_object_set_new(attempt->meta, "order", json_string("ñ\r\n7"));
	free(attempt->traceparent);
	attempt->traceparent = xstrdup("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	send_and_wait(attempt);
	assert_memory_equal(peer_request(peer, 0), "POST /hook HTTP/1.1\r\n", 21);
	expect_text(peer, 0, "You paid 12.50");
	value = peer_header(peer, 0, "content-type");
	assert_string_equal(value, "application/json");
	free(value);
	value = peer_header(peer, 0, "user-agent");
	assert_memory_equal(value, "heed/", 5);
	free(value);
	value = peer_header(peer, 0, "traceparent");
	assert_string_equal(value, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	free(value);
	value = peer_header(peer, 0, "heed-meta");
	assert_string_equal(value, "{\"order\":\"\\u00F1\\r\\n7\"}");
	free(value);
	assert_null(peer_header(peer, 0, "expect"));
	assert_null(peer_header(peer, 0, "webhook-signature"));
	assert_string_equal(reports.list[0]->outcome.summary, "You paid 12.50");
	assert_null(reports.list[0]->outcome.content);
	stop(peer);
}

static void the_content_is_kept_only_where_it_is_asked_for(void **state)
{
	struct peer *peer = start(NULL, 0);
	struct attempt *attempt = attempt_new(url, "", "hello");

	(void)state;
	attempt->content_kept = CONTENT_FULL;
	const struct outcome *outcome = send_and_wait(attempt);
	assert_string_equal(outcome->content, peer_body(peer, 0));
	stop(peer);
}

static void a_large_body_arrives_whole(void **state)
{
	struct peer *peer = start(NULL, 0);
	char *text = xmalloc(600001);

	(void)state;
	memset(text, 'x', 600000);
	text[600000] = '\0';
	assert_int_equal(send_and_wait(attempt_new(url, "", text))->kind, OUTCOME_ACCEPTED);
	expect_text(peer, 0, text);
	free(text);
	stop(peer);
}

static void what_cannot_be_rendered_is_unsendable(void **state)
{
	struct peer *peer = start(NULL, 0);
	char *text = xmalloc(HTTP_REQUEST_MAX + 1);

	(void)state;
	memset(text, 'x', HTTP_REQUEST_MAX);
	text[HTTP_REQUEST_MAX] = '\0'; /* with what is around it, it is too long */
	assert_int_equal(send_and_wait(attempt_new(url, "", text))->kind, OUTCOME_UNSENDABLE);
	assert_int_equal(peer_requests(peer, 0), 0);
	free(text);
	stop(peer);
}

/* --- the signature --- */

/* The signature of the request that the peer got, made anew from what arrived. */
static void expect_signature(struct peer *peer, size_t i, const char *secret, const char *signature,
			     size_t len)
{
	unsigned char *key, mac[SHA256_SIZE];
	size_t key_len;
	char *id = peer_header(peer, i, "webhook-id"), *at = peer_header(peer, i, "webhook-timestamp");
	char *text = xasprintf("%s.%s.%s", id, at, peer_body(peer, i));

	assert_true(base64_decode(secret, &key, &key_len));
	digest_hmac_sha256(key, key_len, text, strlen(text), mac);
	char *base64 = base64_encode(mac, sizeof mac), *expected = xasprintf("v1,%s", base64);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(signature, expected, len);
	assert_true(strtoll(at, NULL, 10) >= time(NULL) - 10 && strtoll(at, NULL, 10) <= time(NULL));
	assert_string_equal(id, "m-1");
	free(id);
	free(at);
	free(text);
	free(base64);
	free(expected);
	free(key);
}

static void the_published_vector_of_standard_webhooks_holds(void **state)
{
	static const char signed_text[] = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
	unsigned char *key, mac[SHA256_SIZE];
	size_t key_len;

	(void)state;
	assert_true(base64_decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &key, &key_len));
	digest_hmac_sha256(key, key_len, signed_text, strlen(signed_text), mac);
	char *base64 = base64_encode(mac, sizeof mac);
	assert_string_equal(base64, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	free(base64);
	free(key);
}

static void a_long_body_is_not_held_back_until_a_100_comes(void **state)
{
	struct peer *peer = start(NULL, 0);
	char text[8000];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_int_equal(send_and_wait(attempt_new(url, "", text))->kind, OUTCOME_ACCEPTED);
	expect_text(peer, 0, text);
	assert_null(peer_header(peer, 0, "expect"));
	stop(peer);
}

/* The handle and the connection are kept. */
static void of_a_request_nothing_is_in_the_next_one(void **state)
{
	static const char *const gone[] = {"webhook-signature", "traceparent", "heed-meta", "expect"};
	struct peer *peer = start(NULL, 0);
	char text[100000];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	struct attempt *first =
		attempt_new(url, "{\"secret\":[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]}", text);
	xreplace(&first->traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	json_object_set_new(first->meta, "order", json_string("17"));
	assert_int_equal(send_and_wait(first)->kind, OUTCOME_ACCEPTED);
	assert_int_equal(send_one()->kind, OUTCOME_ACCEPTED);
	assert_int_equal(peer_connections(peer), 1);
	for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
		assert_null(peer_header(peer, 1, gone[i]));
	expect_text(peer, 1, "hello");
	stop(peer);
}

static void of_a_header_that_is_refused_nothing_is_left(void **state)
{
	static const char both[] = "A: 1\0D: 4";
	struct http_request request = {0};

	(void)state;
	text_init(&request.headers, HTTP_HEADERS_MAX);
	assert_true(http_request_header(&request, "A", "1"));
	assert_false(http_request_header(&request, "B", "2\r\nC: 3"));
	assert_true(http_request_header(&request, "D", "4"));
	assert_int_equal(request.header_count, 2);
	assert_int_equal(request.headers.len, sizeof both);
	assert_memory_equal(request.headers.data, both, sizeof both);
	text_release(&request.headers);
}

static void one_secret_gives_one_signature_and_several_give_several_newest_first(void **state)
{
	static const char a[] = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b[] = "c2Vjb25kIHNlY3JldCBvZiBvdXJz";
	struct peer *peer = start(NULL, 0);

	(void)state;
	send_and_wait(attempt_new(url, "{\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}", "hello"));
	char *one = peer_header(peer, 0, "webhook-signature");
	expect_signature(peer, 0, a, one, strlen(one));
	send_and_wait(attempt_new(url,
				  "{\"secret\":[\"whsec_c2Vjb25kIHNlY3JldCBvZiBvdXJz\",\"whsec_"
				  "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]}",
				  "hello again"));
	char *two = peer_header(peer, 1, "webhook-signature"), *space = strchr(two, ' ');
	assert_non_null(space);
	expect_signature(peer, 1, b, two, (size_t)(space - two));
	expect_signature(peer, 1, a, space + 1, strlen(space + 1));
	send_and_wait(
		attempt_new(url, "{\"secret\":[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]}", "a list"));
	char *of_list = peer_header(peer, 2, "webhook-signature");
	expect_signature(peer, 2, a, of_list, strlen(of_list));
	free(of_list);
	free(one);
	free(two);
	stop(peer);
}

static void a_secret_that_is_none_is_never_sent_unsigned(void **state)
{
	static const char *const details[] = {"{\"secret\":\"whsec_*\"}", "{\"secret\":\"whsec_\"}",
					      "{\"secret\":7}", "{\"secret\":[\"whsec_AAAA\",3]}"};
	struct peer *peer = start(NULL, 0);

	(void)state;
	for (size_t i = 0; i < sizeof details / sizeof details[0]; i++)
		assert_int_equal(send_and_wait(attempt_new(url, details[i], "hello"))->kind,
				 OUTCOME_UNSENDABLE);
	assert_int_equal(peer_requests(peer, 0), 0);
	stop(peer);
}

/* --- the guard --- */

static bool inside(const char *address)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
		return net_inside((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
	return net_inside((struct sockaddr *)&v6);
}

static void addresses_inside_are_known(void **state)
{
	static const char *const in[] = {"0.0.0.0",
					 "0.1.2.3",
					 "10.0.0.1",
					 "10.255.255.255",
					 "100.64.0.1",
					 "100.127.255.255",
					 "127.0.0.1",
					 "127.255.0.1",
					 "169.254.169.254",
					 "172.16.0.1",
					 "172.31.255.255",
					 "192.0.0.1",
					 "192.168.1.1",
					 "198.18.0.1",
					 "198.19.255.255",
					 "192.0.2.1",
					 "198.51.100.1",
					 "203.0.113.9",
					 "224.0.0.1",
					 "239.1.1.1",
					 "240.0.0.1",
					 "255.255.255.255",
					 "::",
					 "::1",
					 "::ffff:127.0.0.1",
					 "::ffff:10.1.1.1",
					 "::127.0.0.1",
					 "::8.8.8.8",
					 "fe80::1",
					 "febf::1",
					 "fc00::1",
					 "fd12:3456::1",
					 "fec0::1",
					 "ff02::1",
					 "2002:7f00:1::",
					 "2002:a00:1::1",
					 "64:ff9b::a00:1",
					 "64:ff9b:1::1",
					 "64:ff9b::7f00:1",
					 "2001:db8::1",
					 "2001::1",
					 "2001:10::1",
					 "3fff::1",
					 "100::1",
					 "::ffff:0:8.8.8.8"};
	static const char *const out[] = {"8.8.8.8",         "1.1.1.1",          "100.63.255.255",
					  "100.128.0.1",     "172.15.0.1",       "172.32.0.1",
					  "192.167.1.1",     "223.255.255.255",  "198.17.0.1",
					  "2606:4700::1111", "2a00:1450::1",     "::ffff:8.8.8.8",
					  "2002:808:808::1", "64:ff9b::808:808", "2001:4860:4860::8888"};

	(void)state;
	for (size_t i = 0; i < sizeof in / sizeof in[0]; i++)
		if (!inside(in[i]))
			fail_msg("%s is inside", in[i]);
	for (size_t i = 0; i < sizeof out / sizeof out[0]; i++)
		if (inside(out[i]))
			fail_msg("%s is not inside", out[i]);
	struct sockaddr odd = {.sa_family = AF_UNIX};
	assert_true(net_inside(&odd));
}

static void however_it_is_written_an_address_inside_is_refused_before_a_byte(void **state)
{
	static const char *const forms[] = {
		"127.0.0.1", "localhost", "2130706433",         "0x7f.1", "0177.0.0.1",
		"127.1",     "[::1]",     "[::ffff:127.0.0.1]", "0",      "[::ffff:7f00:1]"};
	struct peer *peer = peer_open(NULL, 0);

	(void)state;
	settings = json_pack("{s:b}", "allow_http", 1);
	open_channel(2 * MOMENT_S);
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		snprintf(url, sizeof url, "http://%s:%d/", forms[i], peer_port(peer));
		const struct outcome *outcome = send_one();
		print_message("%s: %s\n", url, outcome->text);
		assert_int_equal(outcome->kind, OUTCOME_REJECTED);
		assert_int_equal(outcome->scope, SCOPE_MESSAGE);
		assert_string_equal(outcome->code, "blocked");
	}
	assert_int_equal(peer_connections(peer), 0);
	stop(peer);
}

static void urls_that_are_not_plain_https_are_refused(void **state)
{
	static const char *const urls[] = {"http://example.com/",       "ftp://example.com/",
					   "file:///etc/passwd",        "https://user:pw@example.com/",
					   "https://user@example.com/", "not a url",
					   "gopher://127.0.0.1/",       "https://example.com:65536/"};

	(void)state;
	settings = json_object();
	open_channel(2 * MOMENT_S);
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		const struct outcome *outcome = send_and_wait(attempt_new(urls[i], "", "hello"));
		assert_int_equal(outcome->kind, OUTCOME_REJECTED);
		assert_string_equal(outcome->code, "blocked");
	}
	stop(NULL);
}

/* --- the gate --- */

static void what_was_called_back_or_outlived_its_lease_sends_nothing(void **state)
{
	struct peer *peer = start(NULL, 0);
	struct attempt *back = attempt_new(url, "", "hello"), *late = attempt_new(url, "", "hello");

	(void)state;
	assert_true(attempt_call_back(back));
	assert_int_equal(send_and_wait(back)->kind, OUTCOME_NOT_BEGUN);
	late->lease_until = moment_mono() - 1;
	assert_int_equal(send_and_wait(late)->kind, OUTCOME_NOT_BEGUN);
	assert_int_equal(peer_requests(peer, 0), 0);
	stop(peer);
}

/* A receiver whose TLS handshake never comes: connected, and nothing begun. */
static struct peer *start_mute(int64_t timeout)
{
	struct peer *peer = peer_open(NULL, 0);

	settings = json_pack("{s:b}", "allow_private", 1);
	snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer_port(peer));
	open_channel(timeout);
	return peer;
}

static void wait_connected(struct peer *peer)
{
	struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};

	for (int i = 0; i < 500 && !peer_connections(peer); i++)
		nanosleep(&pause, NULL);
	assert_int_equal(peer_connections(peer), 1);
}

static void a_timeout_before_the_request_was_begun_is_a_retry(void **state)
{
	struct peer *peer = start_mute(200 * MOMENT_MS);

	(void)state;
	assert_int_equal(send_one()->kind, OUTCOME_RETRY);
	assert_string_equal(reports.list[0]->outcome.code, "curl 28");
	stop(peer);
}

static void what_is_called_back_while_it_connects_is_not_begun(void **state)
{
	struct peer *peer = start_mute(300 * MOMENT_MS);
	struct attempt *attempt = attempt_new(url, "", "hello");

	(void)state;
	channel_send(channel, attempt);
	wait_connected(peer);
	assert_true(attempt_call_back(attempt));
	reports_wait(1);
	assert_int_equal(attempt->outcome.kind, OUTCOME_NOT_BEGUN);
	stop(peer);
}

static void closing_lets_go_at_once_of_what_only_connects(void **state)
{
	const int64_t patience = 60 * MOMENT_S;
	struct peer *peer = start_mute(patience);
	struct attempt *attempt = attempt_new(url, "", "hello");
	int64_t before = moment_mono();

	(void)state;
	channel_send(channel, attempt);
	wait_connected(peer);
	channel_close(channel, patience);
	assert_true(moment_mono() - before < patience);
	reports_wait(1);
	assert_int_equal(attempt->outcome.kind, OUTCOME_NOT_BEGUN);
	assert_true(attempt_call_back(attempt));
	open_channel(MOMENT_S);
	stop(peer);
}

static void closing_reports_all_that_waits_for_its_turn(void **state)
{
	enum { HANDED = 3 * HTTP_IN_FLIGHT };
	struct peer *peer = start_mute(60 * MOMENT_S);

	(void)state;
	for (size_t i = 0; i < HANDED; i++)
		channel_send(channel, attempt_new(url, "", "hello"));
	channel_close(channel, 60 * MOMENT_S);
	reports_wait(HANDED);
	for (size_t i = 0; i < HANDED; i++)
		assert_int_equal(reports.list[i]->outcome.kind, OUTCOME_NOT_BEGUN);
	open_channel(MOMENT_S);
	stop(peer);
}

/* Answers that do not come hold every slot. */
static void closing_lets_go_of_what_waits_behind_answers_that_do_not_come(void **state)
{
	enum { HANDED = 3 * HTTP_IN_FLIGHT };
	struct peer_step steps[HTTP_IN_FLIGHT] = {{0}};
	size_t doubts = 0;

	(void)state;
	for (size_t i = 0; i < HTTP_IN_FLIGHT; i++)
		steps[i].act = PEER_SILENT;
	struct peer *peer = start(steps, HTTP_IN_FLIGHT);
	for (size_t i = 0; i < HANDED; i++)
		channel_send(channel, attempt_new(url, "", "hello"));
	assert_int_equal(peer_requests(peer, HTTP_IN_FLIGHT), HTTP_IN_FLIGHT);
	channel_close(channel, 200 * MOMENT_MS);
	reports_wait(HANDED);
	for (size_t i = 0; i < HANDED; i++)
		doubts += reports.list[i]->outcome.kind == OUTCOME_IN_DOUBT;
	assert_int_equal(doubts, HTTP_IN_FLIGHT);
	open_channel(MOMENT_S);
	stop(peer);
}

static void a_flood_is_sent_whole_and_each_reported_once(void **state)
{
	enum { FLOOD = 500 };
	struct peer *peer = start(NULL, 0);

	(void)state;
	for (size_t sent = 0; sent < FLOOD;) {
		if (!channel_credit_left(channel)) {
			struct timespec pause = {.tv_nsec = 1000 * 1000};
			nanosleep(&pause, NULL);
			continue;
		}
		channel_send(channel, attempt_new(url, "", "hello"));
		sent++;
	}
	reports_wait(FLOOD);
	for (size_t i = 0; i < FLOOD; i++)
		assert_int_equal(reports.list[i]->outcome.kind, OUTCOME_ACCEPTED);
	assert_int_equal(peer_requests(peer, FLOOD), FLOOD);
	assert_int_equal(channel_credit_left(channel), HTTP_CREDIT);
	stop(peer);
}

static void closing_waits_for_an_answer_that_comes_in_time_and_reports_what_does_not_as_doubt(void **state)
{
	struct peer_step steps[] = {{PEER_SILENT, NULL}};
	struct peer *peer = start(steps, 1);
	int64_t before = moment_mono();

	(void)state;
	channel_send(channel, attempt_new(url, "", "hello"));
	assert_int_equal(peer_requests(peer, 1), 1);
	channel_close(channel, 200 * MOMENT_MS);
	assert_true(moment_mono() - before >= 200 * MOMENT_MS);
	reports_wait(1);
	assert_int_equal(reports.list[0]->outcome.kind, OUTCOME_IN_DOUBT);
	open_channel(MOMENT_S);
	stop(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_means_what_the_contract_says),
		cmocka_unit_test(a_refused_connection_is_a_retry_and_nothing_was_begun),
		cmocka_unit_test(an_unknown_host_is_a_retry),
		cmocka_unit_test(of_a_failure_nothing_is_told_with_the_next_one),
		cmocka_unit_test(a_receiver_that_does_not_speak_tls_is_a_retry),
		cmocka_unit_test(a_cut_or_a_timeout_once_the_request_was_begun_is_in_doubt),
		cmocka_unit_test(a_kept_connection_that_dies_before_the_answer_is_in_doubt_and_sent_once),
		cmocka_unit_test(many_messages_to_one_receiver_share_a_connection),
		cmocka_unit_test(delivered_falls_at_the_status_line_and_a_body_without_end_harms_nobody),
		cmocka_unit_test(receivers_that_never_end_their_bodies_do_not_use_up_the_channel),
		cmocka_unit_test(a_redirect_is_refused_and_not_followed),
		cmocka_unit_test(retry_after_is_heard_in_seconds_and_as_a_date_and_bounded),
		cmocka_unit_test(an_early_answer_1xx_is_not_the_answer),
		cmocka_unit_test(the_request_is_a_post_of_the_rendered_json),
		cmocka_unit_test(the_content_is_kept_only_where_it_is_asked_for),
		cmocka_unit_test(a_large_body_arrives_whole),
		cmocka_unit_test(what_cannot_be_rendered_is_unsendable),
		cmocka_unit_test(the_published_vector_of_standard_webhooks_holds),
		cmocka_unit_test(a_long_body_is_not_held_back_until_a_100_comes),
		cmocka_unit_test(of_a_request_nothing_is_in_the_next_one),
		cmocka_unit_test(of_a_header_that_is_refused_nothing_is_left),
		cmocka_unit_test(one_secret_gives_one_signature_and_several_give_several_newest_first),
		cmocka_unit_test(a_secret_that_is_none_is_never_sent_unsigned),
		cmocka_unit_test(addresses_inside_are_known),
		cmocka_unit_test(however_it_is_written_an_address_inside_is_refused_before_a_byte),
		cmocka_unit_test(urls_that_are_not_plain_https_are_refused),
		cmocka_unit_test(what_was_called_back_or_outlived_its_lease_sends_nothing),
		cmocka_unit_test(a_timeout_before_the_request_was_begun_is_a_retry),
		cmocka_unit_test(what_is_called_back_while_it_connects_is_not_begun),
		cmocka_unit_test(closing_lets_go_at_once_of_what_only_connects),
		cmocka_unit_test(closing_reports_all_that_waits_for_its_turn),
		cmocka_unit_test(closing_lets_go_of_what_waits_behind_answers_that_do_not_come),
		cmocka_unit_test(a_flood_is_sent_whole_and_each_reported_once),
		cmocka_unit_test(
			closing_waits_for_an_answer_that_comes_in_time_and_reports_what_does_not_as_doubt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
