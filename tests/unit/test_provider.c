/* Providers' descriptions beyond the plain ones: signed requests, access tokens, what texts see, what answers
 * mean. Signatures are recomputed here from what a peer received. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "channel_fixture.h"
#include "digest.h"
#include "http_peer.h"
#include "provider_answer.h"
#include "provider_request.h"
#include "provider_token.h"

extern const struct channel_ops channel_http_ops;

#define ANSWER(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body

/* --- a request that is made and not sent --- */

#define HEADERS_MAX 16

struct made {
	struct text url, body, error;
	char *headers[HEADERS_MAX];
	size_t header_count;
	const char *method;
	bool ok;
};

static bool keep_header(void *context, const char *name, const char *value)
{
	struct made *made = context;

	made->headers[made->header_count++] = xasprintf("%s: %s", name, value);
	return true;
}

static const struct provider_message usual = {.to = "+5491155550100",
					      .text = "Hi <Ana> & \"Bob\"",
					      .summary = "Hi",
					      .locale = "en",
					      .message_id = "m-1",
					      .customer_id = "c-1",
					      .customer_name = "Ana",
					      .product = "card-alerts",
					      .product_title = "Card alerts",
					      .attempt = 1,
					      .now = INT64_C(784111777123456)}; /* RFC 9110's own example */

static void made_release(struct made *made)
{
	text_release(&made->url);
	text_release(&made->body);
	text_release(&made->error);
	for (size_t i = 0; i < made->header_count; i++)
		free(made->headers[i]);
}

static struct made make(const char *request, const struct provider_message *message)
{
	struct made made = {0};
	char *text = xasprintf("{\"request\":%s}", request);
	json_t *file = json_loads(text, 0, NULL);
	json_t *settings = json_pack("{s:s, s:s, s:s, s:s}", "base_url", "https://api.example.com", "key",
				     "a<b", "secret", "c2VjcmV0", "empty", "");

	if (!file)
		fail_msg("not JSON: %s", text);
	text_init(&made.url, 4096);
	text_init(&made.body, 4096);
	text_init(&made.error, 4096);
	struct provider_request *compiled = provider_request_compile(file, settings, &made.error);
	if (!compiled)
		fail_msg("%s", made.error.data);
	struct provider_sink sink = {
		.url = &made.url, .body = &made.body, .header = keep_header, .context = &made};
	made.ok = provider_request_make(compiled, message, &sink, &made.error);
	made.method = strcmp(sink.method, "GET") == 0 ? "GET" : "POST";
	provider_request_free(compiled);
	json_decref(settings);
	json_decref(file);
	free(text);
	return made;
}

static bool has_header(const struct made *made, const char *line)
{
	for (size_t i = 0; i < made->header_count; i++)
		if (strcmp(made->headers[i], line) == 0)
			return true;
	for (size_t i = 0; i < made->header_count; i++)
		print_message("header: %s\n", made->headers[i]);
	return false;
}

static char *mac_base64(const char *key, const char *data)
{
	unsigned char mac[SHA256_SIZE];

	digest_hmac_sha256(key, strlen(key), data, strlen(data), mac);
	return base64_encode(mac, sizeof mac);
}

#define TO_BODY "\"url\":\"{{settings.base_url}}/v1/messages?a=1\",\"json\":{\"to\":\"{{to}}\"}"

/* As Sinch's voice and verification interfaces sign: the body's MD5, the type, a header, the path. */
static void a_request_is_signed_over_method_hash_type_header_and_path(void **state)
{
	(void)state;
	struct made made = make(
		"{" TO_BODY ",\"headers\":{\"x-timestamp\":\"{{time.iso}}\"},\"auth\":{\"type\":\"hmac\","
		"\"key\":\"{{settings.secret}}\",\"key_encoding\":\"base64\",\"encoding\":\"base64\","
		"\"sign\":\"{{request.method}}\\n{{request.body_md5_base64}}\\n{{request.content_type}}\\n"
		"x-timestamp:{{time.iso}}\\n{{request.path}}\",\"name\":\"Authorization\","
		"\"value\":\"application {{settings.key}}:{{signature}}\"}}",
		&usual);
	unsigned char md5[DIGEST_SIZE_MAX];
	size_t size = digest_hash(DIGEST_MD5, made.body.data, made.body.len, md5);
	char *md5_text = base64_encode(md5, size);
	char *signed_text = xasprintf(
		"POST\n%s\napplication/json\nx-timestamp:1994-11-06T08:49:37Z\n/v1/messages", md5_text);
	char *mac = mac_base64("secret", signed_text);
	char *line = xasprintf("Authorization: application a<b:%s", mac);

	assert_true(made.ok);
	assert_true(has_header(&made, line));
	assert_true(has_header(&made, "x-timestamp: 1994-11-06T08:49:37Z"));
	free(md5_text);
	free(signed_text);
	free(mac);
	free(line);
	made_release(&made);
}

/* As Azure Communication Services sign: path and query, date, host and the body's SHA-256. */
static void a_request_is_signed_over_target_date_host_and_hash(void **state)
{
	(void)state;
	struct made made =
		make("{" TO_BODY ",\"headers\":{\"x-ms-date\":\"{{time.http}}\",\"x-ms-content-sha256\":"
		     "\"{{request.body_sha256_base64}}\"},\"auth\":{\"type\":\"hmac\",\"key\":\"{{settings."
		     "secret}}\","
		     "\"key_encoding\":\"base64\",\"encoding\":\"base64\",\"sign\":\"{{request.method}}\\n"
		     "{{request.target}}\\n{{time.http}};{{request.host}};{{request.body_sha256_base64}}\","
		     "\"name\":\"Authorization\",\"value\":\"HMAC-SHA256 SignedHeaders=x-ms-date;host;"
		     "x-ms-content-sha256&Signature={{signature}}\"}}",
		     &usual);
	unsigned char hash[SHA256_SIZE];
	digest_sha256(made.body.data, made.body.len, hash);
	char *hash_text = base64_encode(hash, sizeof hash);
	char *signed_text = xasprintf(
		"POST\n/v1/messages?a=1\nSun, 06 Nov 1994 08:49:37 GMT;api.example.com;%s", hash_text);
	char *mac = mac_base64("secret", signed_text);
	char *line = xasprintf("Authorization: HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&"
			       "Signature=%s",
			       mac);

	assert_true(has_header(&made, line));
	assert_true(has_header(&made, "x-ms-date: Sun, 06 Nov 1994 08:49:37 GMT"));
	free(hash_text);
	free(signed_text);
	free(mac);
	free(line);
	made_release(&made);
}

/* As DingTalk's robots want it: a time and the secret, in the URL. */
static void a_signature_can_be_in_the_url_and_in_hex(void **state)
{
	(void)state;
	struct made made =
		make("{\"url\":\"{{settings.base_url}}/send\",\"query\":{\"timestamp\":\"{{time.ms}}\"},"
		     "\"auth\":{\"type\":\"hmac\",\"key\":\"{{settings.key}}\",\"sign\":\"{{time.ms}}|"
		     "{{settings.key}}\",\"in\":\"query\",\"name\":\"sign\"}}",
		     &usual);
	unsigned char mac[SHA256_SIZE];
	static const char data[] = "784111777123|a<b";
	struct text url;

	digest_hmac_sha256("a<b", 3, data, sizeof data - 1, mac);
	text_init(&url, 4096);
	text_puts(&url, "https://api.example.com/send?timestamp=784111777123&sign=");
	for (size_t i = 0; i < sizeof mac; i++)
		text_addf(&url, "%02x", mac[i]);
	assert_string_equal(made.url.data, url.data);
	text_release(&url);
	made_release(&made);
}

static void a_key_that_is_not_written_as_the_file_says_can_not_sign(void **state)
{
	(void)state;
	static const char *const encodings[] = {"base64", "hex"};

	for (size_t i = 0; i < 2; i++) {
		char *request =
			xasprintf("{" TO_BODY ",\"auth\":{\"type\":\"hmac\",\"key\":\"{{settings.key}}\","
				  "\"key_encoding\":\"%s\",\"sign\":\"x\",\"name\":\"X\"}}",
				  encodings[i]);
		struct made made = make(request, &usual);
		assert_false(made.ok);
		assert_non_null(strstr(made.error.data, encodings[i]));
		assert_null(strstr(made.error.data, "a<b"));
		made_release(&made);
		free(request);
	}
}

static void texts_see_the_message_in_each_writing(void **state)
{
	(void)state;
	struct made made =
		make("{\"url\":\"{{settings.base_url}}/{{to}}\",\"form\":{"
		     "\"a\":\"{{digits}}\",\"b\":\"<Say>{{xml.text}}</Say>\",\"c\":\"{{xml.settings.key}}\","
		     "\"d\":\"{{url.text}}\",\"e\":\"{{json.text}}\",\"f\":\"{{settings.empty}}\","
		     "\"g\":\"{{^settings.empty}}none{{/settings.empty}}\",\"h\":\"{{product.title}}, "
		     "{{summary}}, {{locale}}, {{customer.name}}\"}}",
		     &usual);
	assert_string_equal(made.url.data, "https://api.example.com/%2B5491155550100");
	assert_string_equal(
		made.body.data,
		"a=5491155550100&b=%3CSay%3EHi%20%26lt%3BAna%26gt%3B%20%26amp%3B%20%26quot%3BBob%26quot%3B"
		"%3C%2FSay%3E&c=a%26lt%3Bb&d=Hi%2520%253CAna%253E%2520%2526%2520%2522Bob%2522&"
		"e=Hi%20%3CAna%3E%20%26%20%5C%22Bob%5C%22&g=none&h=Card%20alerts%2C%20Hi%2C%20en%2C%20Ana");
	made_release(&made);
}

static void xml_gets_no_control_characters(void **state)
{
	(void)state;
	struct provider_message message = usual;
	message.text = "a\x01"
		       "b\nc";
	struct made made =
		make("{\"url\":\"{{settings.base_url}}\",\"form\":{\"x\":\"{{xml.text}}\"}}", &message);
	assert_string_equal(made.body.data, "x=a%20b%0Ac");
	made_release(&made);
	made = make("{\"url\":\"{{settings.base_url}}\",\"body\":\"<t>{{text}}</t>\",\"content_type\":\"text/"
		    "xml\"}",
		    &message);
	assert_string_equal(made.body.data, "<t>a b\nc</t>");
	made_release(&made);
}

static void a_member_of_a_json_body_that_is_empty_is_left_out(void **state)
{
	(void)state;
	struct made made =
		make("{\"url\":\"{{settings.base_url}}\",\"json\":{\"a\":\"{{settings.empty}}\",\"b\":1,"
		     "\"c\":{\"d\":\"{{to}}\"}}}",
		     &usual);
	assert_string_equal(made.body.data, "{\"b\":1,\"c\":{\"d\":\"+5491155550100\"}}");
	made_release(&made);
}

static void each_request_has_a_nonce_of_its_own(void **state)
{
	(void)state;
	static const char request[] =
		"{\"url\":\"{{settings.base_url}}/{{nonce}}\",\"headers\":{\"N\":\"{{nonce}}\"}}";
	struct made one = make(request, &usual), other = make(request, &usual);

	assert_int_equal(strlen(one.headers[0]), 3 + 32);
	assert_string_not_equal(one.headers[0], other.headers[0]);
	made_release(&one);
	made_release(&other);
}

/* --- answers --- */

static struct outcome judge(const char *response, int status, const char *body, const char *secret)
{
	char *text = xasprintf("{\"response\":%s}", response);
	json_t *file = json_loads(text, 0, NULL);
	struct outcome outcome;
	struct text errors;
	struct provider_reply reply = {.status = status,
				       .complete = true,
				       .body = body,
				       .body_len = strlen(body),
				       .header = "",
				       .secret = secret};

	text_init(&errors, TEXT_ERROR_MAX);
	struct provider_answer *rules = provider_answer_compile(file, NULL, &errors);
	if (!rules)
		fail_msg("%s", errors.data);
	provider_answer_judge(rules, &reply, &outcome);
	provider_answer_free(rules);
	json_decref(file);
	text_release(&errors);
	free(text);
	return outcome;
}

static void a_star_means_each_element(void **state)
{
	(void)state;
	static const char rules[] =
		"{\"success\":[{\"status\":\"2xx\",\"json\":\"messages.*.status\",\"equals\":\"0\"}],"
		"\"retry\":[{\"json\":\"messages.*.status\",\"in\":[\"1\",\"5\"]}],"
		"\"permanent\":[{\"json\":\"*.x\",\"equals\":1}]}";
	static const struct {
		const char *body;
		enum outcome_kind kind;
	} rows[] = {
		{"{\"messages\":[{\"status\":\"0\"},{\"status\":\"0\"}]}", OUTCOME_ACCEPTED},
		{"{\"messages\":[{\"status\":\"1\"},{\"status\":\"5\"}]}", OUTCOME_RETRY},
		{"{\"messages\":[{\"status\":\"0\"},{\"status\":\"1\"}]}", OUTCOME_IN_DOUBT},
		{"{\"messages\":[{\"status\":\"1\"},{\"status\":\"0\"}]}", OUTCOME_IN_DOUBT},
		{"{\"messages\":[]}", OUTCOME_IN_DOUBT},
		{"{\"messages\":{\"status\":\"0\"}}", OUTCOME_IN_DOUBT},
		{"[{\"x\":1},{\"x\":1}]", OUTCOME_REJECTED},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(judge(rules, 200, rows[i].body, NULL).kind, rows[i].kind);
}

static void a_provider_can_say_that_it_does_not_know(void **state)
{
	(void)state;
	static const char rules[] =
		"{\"error_code\":{\"json\":\"error\"},\"success\":[{\"json\":\"ok\",\"equals\":true}],"
		"\"in_doubt\":[{\"code\":\"fatal\"}],\"permanent\":[{\"json\":\"ok\",\"equals\":false}]}";

	assert_int_equal(judge(rules, 200, "{\"ok\":false,\"error\":\"fatal\"}", NULL).kind,
			 OUTCOME_IN_DOUBT);
	assert_int_equal(judge(rules, 200, "{\"ok\":false,\"error\":\"other\"}", NULL).kind,
			 OUTCOME_REJECTED);
}

static void the_wait_that_an_answer_asks_for_is_bounded(void **state)
{
	(void)state;
	static const char seconds[] = "{\"retry_after\":{\"json\":\"p.after\"}}",
			  ms[] = "{\"retry_after\":{\"json\":\"after\",\"unit\":\"ms\"}}";

	assert_int_equal(judge(seconds, 429, "{\"p\":{\"after\":3}}", NULL).retry_after, 3 * MOMENT_S);
	assert_int_equal(judge(seconds, 429, "{\"p\":{\"after\":0.25}}", NULL).retry_after, 250 * MOMENT_MS);
	assert_int_equal(judge(ms, 429, "{\"after\":\"1500\"}", NULL).retry_after, 1500 * MOMENT_MS);
	assert_int_equal(judge(seconds, 429, "{\"p\":{\"after\":1e300}}", NULL).retry_after,
			 PROVIDER_RETRY_AFTER_MAX);
	assert_int_equal(judge(seconds, 429, "{\"p\":{\"after\":-1}}", NULL).retry_after, 0);
	assert_int_equal(judge(seconds, 400, "{\"p\":{\"after\":3}}", NULL).retry_after, 0);
}

static void a_token_that_the_provider_repeats_is_blotted_out(void **state)
{
	(void)state;
	assert_null(strstr(judge("{}", 400, "bad token abcdef12", "abcdef12").text, "abcdef12"));
}

/* --- tokens, apart from the wire --- */

#define OAUTH_FILE(more)                                                                                   \
	"{\"request\":{\"url\":\"{{settings.base_url}}/send\",\"auth\":{\"type\":\"oauth2\","              \
	"\"token_url\":\"{{settings.token_url}}/token\",\"client_id\":\"{{settings.id}}\","                \
	"\"client_secret\":\"{{settings.secret}}\"" more "}},\"settings\":{\"secret\":{\"secret\":true}}," \
	"\"response\":{}}"

static json_t *oauth_settings(const char *base_url, const char *token_url)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "base_url", base_url, "token_url", token_url, "id", "my id",
			 "secret", "s3cret&x");
}

static struct provider_reply reply_with(int status, const char *body)
{
	return (struct provider_reply){
		.status = status, .complete = true, .body = body, .body_len = strlen(body), .header = ""};
}

static struct provider_token *token_new(const char *file_text, json_t **file, json_t **settings)
{
	struct text errors;

	text_init(&errors, TEXT_ERROR_MAX);
	*file = json_loads(file_text, 0, NULL);
	*settings = oauth_settings("http://x", "http://h");
	struct provider_token *token = provider_token_compile(*file, *settings, &errors);
	if (!token)
		fail_msg("%s", errors.data);
	text_release(&errors);
	return token;
}

static void a_token_is_fetched_before_its_end_and_no_token_serves_after_it(void **state)
{
	(void)state;
	json_t *file, *settings;
	struct provider_token *token = token_new(OAUTH_FILE(""), &file, &settings);
	struct provider_reply reply =
		reply_with(200, "{\"access_token\":\"T1\",\"token_type\":\"Bearer\",\"expires_in\":3600}");
	struct outcome outcome;

	assert_int_equal(provider_token_need(token, 0), TOKEN_MISSING);
	assert_true(provider_token_take(token, &reply, 0, &outcome));
	assert_string_equal(provider_token_value(token), "T1");
	assert_int_equal(provider_token_need(token, 3539 * MOMENT_S), TOKEN_FINE);
	assert_int_equal(provider_token_need(token, 3540 * MOMENT_S), TOKEN_WANTED);
	assert_int_equal(provider_token_need(token, 3600 * MOMENT_S), TOKEN_MISSING);

	/* a failure while it still serves: not asked for again at once */
	assert_false(provider_token_take(token, NULL, 3540 * MOMENT_S, &outcome));
	assert_int_equal(provider_token_need(token, 3541 * MOMENT_S), TOKEN_FINE);
	assert_int_equal(provider_token_need(token, 3545 * MOMENT_S), TOKEN_WANTED);

	reply = reply_with(200, "{\"access_token\":\"T2\",\"expires_in\":\"20\"}");
	assert_true(provider_token_take(token, &reply, 0, &outcome));
	assert_int_equal(provider_token_need(token, 17 * MOMENT_S), TOKEN_FINE);
	assert_int_equal(provider_token_need(token, 18 * MOMENT_S), TOKEN_WANTED);

	provider_token_refuse(token, provider_token_number(token) - 1); /* the one before */
	assert_string_equal(provider_token_value(token), "T2");
	provider_token_refuse(token, provider_token_number(token));
	assert_int_equal(provider_token_need(token, 0), TOKEN_MISSING);
	provider_token_free(token);
	json_decref(file);
	json_decref(settings);
}

static void what_is_no_token_is_the_providers_fault(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *body, *code;
		int64_t retry_after;
	} rows[] = {
		{401, "{\"error\":\"invalid_client\",\"error_description\":\"s3cret&x\"}",
		 "401 token invalid_client", TOKEN_REFUSED_PAUSE},
		{400, "{\"error\":\"s3cret&x\"}", "400 token", TOKEN_REFUSED_PAUSE},
		{503, "<html>", "503 token", 0},
		{429, "", "429 token", 0},
		{302, "", "302 token", 0},
		{200, "{}", "200 token", 0},
		{200, "{\"access_token\":\"\"}", "200 token", 0},
		{200, "{\"access_token\":\"a\\r\\nEvil: 1\"}", "200 token", 0},
		{200, "{\"access_token\":\"a\",\"token_type\":\"mac\"}", "200 token", 0},
		{200, "access_token=a", "200 token", 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		json_t *file, *settings;
		struct provider_token *token = token_new(OAUTH_FILE(""), &file, &settings);
		struct provider_reply reply = reply_with(rows[i].status, rows[i].body);
		struct outcome outcome = {0};
		assert_false(provider_token_take(token, &reply, 0, &outcome));
		print_message("%s: %s\n", outcome.code, outcome.text);
		assert_int_equal(outcome.kind, OUTCOME_RETRY);
		assert_int_equal(outcome.scope, SCOPE_PROVIDER);
		assert_string_equal(outcome.code, rows[i].code);
		assert_int_equal(outcome.retry_after, rows[i].retry_after);
		assert_null(strstr(outcome.text, "s3cret"));
		assert_int_equal(provider_token_need(token, 0), TOKEN_MISSING);
		provider_token_free(token);
		json_decref(file);
		json_decref(settings);
	}
}

static void a_token_is_asked_for_as_the_file_says(void **state)
{
	(void)state;
	static const struct {
		const char *file, *body;
		bool basic;
	} rows[] = {
		{OAUTH_FILE(",\"scope\":\"sms send\",\"params\":{\"audience\":\"a/b\"}"),
		 "grant_type=client_credentials&scope=sms%20send&audience=a%2Fb", true},
		{OAUTH_FILE(",\"client_auth\":\"body\""),
		 "grant_type=client_credentials&client_id=my%20id&client_secret=s3cret%26x", false},
	};

	for (size_t i = 0; i < 2; i++) {
		json_t *file, *settings;
		struct provider_token *token = token_new(rows[i].file, &file, &settings);
		struct made made = {0};
		text_init(&made.url, 4096);
		text_init(&made.body, 4096);
		text_init(&made.error, 4096);
		struct provider_sink sink = {
			.url = &made.url, .body = &made.body, .header = keep_header, .context = &made};
		assert_true(provider_token_request(token, &sink, &made.error));
		assert_string_equal(made.url.data, "http://h/token");
		assert_string_equal(made.body.data, rows[i].body);
		assert_true(has_header(&made, "Content-Type: application/x-www-form-urlencoded"));
		/* "my%20id:s3cret%26x": RFC 6749, 2.3.1 */
		if (rows[i].basic)
			assert_true(has_header(&made, "Authorization: Basic bXklMjBpZDpzM2NyZXQlMjZ4"));
		else
			assert_int_equal(made.header_count, 2);
		made_release(&made);
		provider_token_free(token);
		json_decref(file);
		json_decref(settings);
	}
}

/* --- tokens on the wire --- */

static struct channel_config config;
static struct channel *channel;
static struct peer *peer, *token_peer; /* token_peer NULL: the same */
static size_t sent;                    /* since start */

static void start(const struct peer_step *steps, size_t count)
{
	struct outcome_sink sink = {.report = reports_take};
	struct text error;
	char url[64], token_url[64];

	text_init(&error, TEXT_ERROR_MAX);
	sent = 0;
	peer = peer_open(steps, count);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", peer_port(peer));
	snprintf(token_url, sizeof token_url, "http://127.0.0.1:%d",
		 peer_port(token_peer ? token_peer : peer));
	config = (struct channel_config){
		.name = (char *)"push",
		.ops = &channel_http_ops,
		.provider = (char *)"own",
		.settings = json_pack("{s:o}", "settings", oauth_settings(url, token_url)),
		.provider_file = json_loads(OAUTH_FILE(""), 0, NULL),
		.timeout = 2 * MOMENT_S};
	assert_true(config.ops->check(&config, &error));
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
	peer_close(peer);
}

static void send_one(void)
{
	sent++;
	channel_send(channel, attempt_new("+5491155550100", "", "hello"));
}

/* Once all that were sent are reported. */
static const struct outcome *outcome_of(size_t i)
{
	reports_wait(sent);
	return &reports.list[i]->outcome;
}

#define TOKEN(name)                                                                                    \
	{                                                                                              \
		PEER_ANSWER_CUT, ANSWER("200 OK", "{\"access_token\":\"" name                          \
						  "\",\"token_type\":\"bearer\",\"expires_in\":3600}") \
	}
#define TAKEN                                           \
	{                                               \
		PEER_ANSWER_CUT, ANSWER("200 OK", "{}") \
	}
#define REFUSED                                                   \
	{                                                         \
		PEER_ANSWER_CUT, ANSWER("401 Unauthorized", "{}") \
	}

static void asked(size_t i, const char *line, const char *authorization)
{
	assert_memory_equal(peer_request(peer, i), line, strlen(line));
	if (authorization) {
		char *value = peer_header(peer, i, "authorization");
		assert_string_equal(value, authorization);
		free(value);
	}
}

static void a_token_is_fetched_once_for_all_that_wait(void **state)
{
	struct peer_step steps[] = {TOKEN("T1"), TAKEN, TAKEN, TAKEN};

	(void)state;
	start(steps, 4);
	for (int i = 0; i < 3; i++)
		send_one();
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(outcome_of(i)->kind, OUTCOME_ACCEPTED);
	assert_int_equal(peer_requests(peer, 4), 4);
	asked(0, "POST /token ", "Basic bXklMjBpZDpzM2NyZXQlMjZ4");
	for (size_t i = 1; i < 4; i++)
		asked(i, "POST /send ", "Bearer T1");
	stop();
}

static void a_token_that_is_refused_is_fetched_anew_and_the_message_sent_once_more(void **state)
{
	struct peer_step steps[] = {TOKEN("T1"), TAKEN, REFUSED, TOKEN("T2"), TAKEN};

	(void)state;
	start(steps, 5);
	send_one();
	assert_int_equal(outcome_of(0)->kind, OUTCOME_ACCEPTED);
	send_one();
	assert_int_equal(outcome_of(1)->kind, OUTCOME_ACCEPTED);
	assert_int_equal(peer_requests(peer, 5), 5);
	asked(2, "POST /send ", "Bearer T1");
	asked(3, "POST /token ", NULL);
	asked(4, "POST /send ", "Bearer T2");
	stop();
}

static void a_second_refusal_is_the_providers_fault(void **state)
{
	struct peer_step steps[] = {TOKEN("T1"), REFUSED, TOKEN("T2"), REFUSED};

	(void)state;
	start(steps, 4);
	send_one();
	assert_int_equal(outcome_of(0)->kind, OUTCOME_RETRY);
	assert_int_equal(outcome_of(0)->scope, SCOPE_PROVIDER);
	assert_string_equal(outcome_of(0)->code, "401");
	assert_int_equal(peer_requests(peer, 4), 4);
	stop();
}

static void a_tokens_endpoint_at_fault_holds_the_messages_and_begins_none(void **state)
{
	static const struct {
		struct peer_step step;
		const char *code;
	} rows[] = {
		{{PEER_ANSWER_CUT, ANSWER("503 Busy", "")}, "503 token"},
		{{PEER_ANSWER_CUT, ANSWER("401 No", "{\"error\":\"invalid_client\"}")},
		 "401 token invalid_client"},
		{{PEER_CUT, NULL}, "curl 52"},
		{{PEER_ANSWER_CUT, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"access_token\":\"T\"}"},
		 "200 token"},
		{{PEER_SILENT, NULL}, "curl 28"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start(&rows[i].step, 1);
		send_one();
		send_one();
		for (size_t j = 0; j < 2; j++) {
			const struct outcome *outcome = outcome_of(j);
			print_message("%s: %s\n", outcome->code, outcome->text);
			assert_int_equal(outcome->kind, OUTCOME_RETRY);
			assert_int_equal(outcome->scope, SCOPE_PROVIDER);
		}
		assert_string_equal(outcome_of(0)->code, rows[i].code);
		assert_int_equal(atomic_load(&reports.list[0]->phase), ATTEMPT_HANDED);
		stop();
	}
}

static void a_message_that_waits_for_a_token_can_be_called_back(void **state)
{
	struct peer_step steps[] = {{PEER_SILENT, NULL}};

	(void)state;
	start(steps, 1);
	struct attempt *attempt = attempt_new("+5491155550100", "", "hello");
	sent++;
	channel_send(channel, attempt);
	assert_int_equal(peer_requests(peer, 1), 1);
	assert_true(attempt_call_back(attempt));
	assert_int_equal(outcome_of(0)->kind, OUTCOME_NOT_BEGUN);
	stop();
}

static void a_channel_that_closes_waits_for_no_token(void **state)
{
	struct peer_step steps[] = {{PEER_SILENT, NULL}};

	(void)state;
	start(steps, 1);
	send_one();
	assert_int_equal(peer_requests(peer, 1), 1);
	channel_close(channel, 5 * MOMENT_S);
	assert_int_equal(outcome_of(0)->kind, OUTCOME_NOT_BEGUN);
	reports_clear();
	json_decref(config.settings);
	json_decref(config.provider_file);
	peer_close(peer);
}

/* The second token never comes; what has the first one goes on. */
static void messages_go_on_while_the_next_token_is_fetched(void **state)
{
	struct peer_step tokens[] = {
		{PEER_ANSWER_CUT, ANSWER("200 OK", "{\"access_token\":\"T1\",\"expires_in\":2}")},
		{PEER_SILENT, NULL}};
	struct timespec nearly = {.tv_sec = 1, .tv_nsec = 820 * 1000 * 1000};

	(void)state;
	token_peer = peer_open(tokens, 2);
	start(NULL, 0);
	send_one();
	assert_int_equal(outcome_of(0)->kind, OUTCOME_ACCEPTED);
	nanosleep(&nearly, NULL);
	send_one();
	assert_int_equal(outcome_of(1)->kind, OUTCOME_ACCEPTED);
	asked(1, "POST /send ", "Bearer T1");
	assert_int_equal(peer_requests(token_peer, 2), 2);
	stop();
	peer_close(token_peer);
	token_peer = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_signed_over_method_hash_type_header_and_path),
		cmocka_unit_test(a_request_is_signed_over_target_date_host_and_hash),
		cmocka_unit_test(a_signature_can_be_in_the_url_and_in_hex),
		cmocka_unit_test(a_key_that_is_not_written_as_the_file_says_can_not_sign),
		cmocka_unit_test(texts_see_the_message_in_each_writing),
		cmocka_unit_test(xml_gets_no_control_characters),
		cmocka_unit_test(a_member_of_a_json_body_that_is_empty_is_left_out),
		cmocka_unit_test(each_request_has_a_nonce_of_its_own),
		cmocka_unit_test(a_star_means_each_element),
		cmocka_unit_test(a_provider_can_say_that_it_does_not_know),
		cmocka_unit_test(the_wait_that_an_answer_asks_for_is_bounded),
		cmocka_unit_test(a_token_that_the_provider_repeats_is_blotted_out),
		cmocka_unit_test(a_token_is_fetched_before_its_end_and_no_token_serves_after_it),
		cmocka_unit_test(what_is_no_token_is_the_providers_fault),
		cmocka_unit_test(a_token_is_asked_for_as_the_file_says),
		cmocka_unit_test(a_token_is_fetched_once_for_all_that_wait),
		cmocka_unit_test(a_token_that_is_refused_is_fetched_anew_and_the_message_sent_once_more),
		cmocka_unit_test(a_second_refusal_is_the_providers_fault),
		cmocka_unit_test(a_tokens_endpoint_at_fault_holds_the_messages_and_begins_none),
		cmocka_unit_test(a_message_that_waits_for_a_token_can_be_called_back),
		cmocka_unit_test(a_channel_that_closes_waits_for_no_token),
		cmocka_unit_test(messages_go_on_while_the_next_token_is_fetched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
