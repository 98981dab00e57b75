/* What providers call us with: whether it is signed, and how it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "digest.h"
#include "provider_callback.h"
#include "xalloc.h"
#include "banned.h"

#define NOW (INT64_C(1763805600) * MOMENT_S)

/* A request under way, and the headers that it has. */
struct calling {
	const char *file, *settings; /* JSON */
	const char *method, *url, *type, *body, *header, *value;
};

static const char *header_of(const void *context, const char *name)
{
	const struct calling *calling = context;

	if (strcasecmp(name, "Content-Type") == 0)
		return calling->type ? calling->type : "";
	return calling->header && strcasecmp(name, calling->header) == 0 ? calling->value : "";
}

static json_t *parsed(const char *json)
{
	json_t *value = json_loads(json, 0, NULL);

	if (!value)
		fail_msg("not JSON: %s", json);
	return value;
}

static enum callback_verdict call(const struct calling *calling, struct callback_items *items)
{
	json_t *file = parsed(calling->file), *settings = parsed(calling->settings);
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct provider_callback *callback = provider_callback_compile(file, settings, &error);
	assert_non_null(callback);
	const char *query = strchr(calling->url, '?');
	const struct callback_request request = {.method = calling->method,
						 .url = calling->url,
						 .query = query ? query + 1 : "",
						 .body = calling->body,
						 .body_len = strlen(calling->body),
						 .header = header_of,
						 .context = calling,
						 .now = NOW};
	enum callback_verdict verdict = provider_callback_read(callback, &request, items, &error);
	provider_callback_free(callback);
	json_decref(file);
	json_decref(settings);
	text_release(&error);
	return verdict;
}

#define FORM "application/x-www-form-urlencoded"
#define LOOKS                                                                                      \
	"\"receipt\":{\"id\":\"Id\",\"state\":\"State\",\"code\":\"Code\",\"delivered\":[\"ok\"]," \
	"\"rejected\":[\"no\"],\"dead\":[\"gone\"],\"retry\":[\"later\"],\"dead_codes\":[\"7\"]}," \
	"\"reply\":{\"id\":\"Id\",\"from\":\"From\",\"to\":\"To\",\"text\":\"Text\"}"
#define SECRET_FILE                                                                                         \
	"{\"callbacks\":{\"signature\":{\"type\":\"secret\",\"in\":\"query\",\"name\":\"key\",\"key\":\"{{" \
	"settings.s}}\"}," LOOKS "}}"

static const struct calling with_secret = {.file = SECRET_FILE,
					   .settings = "{\"s\":\"w0rd\"}",
					   .method = "POST",
					   .url = "https://m.example.com/in/sms/x?key=w0rd",
					   .type = FORM,
					   .body = ""};

static void one_is(const char *body, enum receipt_says says, bool dead, const char *code)
{
	struct calling calling = with_secret;
	struct callback_items items;

	calling.body = body;
	assert_int_equal(call(&calling, &items), CALLBACK_FINE);
	assert_int_equal(items.count, 1);
	assert_int_equal(items.list[0].kind, CALLBACK_RECEIPT);
	assert_int_equal(items.list[0].says, says);
	assert_int_equal(items.list[0].dead, dead);
	assert_string_equal(items.list[0].code, code);
	callback_items_release(&items);
}

static void none_is(const char *body)
{
	struct calling calling = with_secret;
	struct callback_items items;

	calling.body = body;
	assert_int_equal(call(&calling, &items), CALLBACK_FINE);
	assert_int_equal(items.count, 0);
	callback_items_release(&items);
}

static void a_state_says_what_became_of_it(void **state)
{
	(void)state;
	one_is("Id=1&State=ok", RECEIPT_DELIVERED, false, "ok");
	one_is("Id=1&State=no&Code=5", RECEIPT_REJECTED, false, "5");
	one_is("Id=1&State=no&Code=7", RECEIPT_REJECTED, true, "7");
	one_is("Id=1&State=gone", RECEIPT_REJECTED, true, "gone");
	one_is("Id=1&State=later&Code=7", RECEIPT_RETRY, false, "7");
	one_is("attempt=12&State=ok", RECEIPT_DELIVERED, false, "ok");
}

static void what_is_in_between_unknown_or_about_nothing_says_nothing(void **state)
{
	(void)state;
	none_is("Id=1&State=queued");
	none_is("Id=1&State=OK");
	none_is("Id=1");
	none_is("State=ok");
	none_is("State=ok&attempt=x");
	none_is("");
	none_is("&&=&%&%zz&=x");
}

static void a_reply_is_read_with_plus_as_space_and_escapes(void **state)
{
	struct calling calling = with_secret;
	struct callback_items items;

	(void)state;
	calling.body = "Id=9&From=%2B4917&To=123&Text=Que+tal%2C+%C3%B1and%C3%BA%00%FF&State=ok";
	assert_int_equal(call(&calling, &items), CALLBACK_FINE);
	assert_int_equal(items.count, 1);
	assert_int_equal(items.list[0].kind, CALLBACK_REPLY);
	assert_string_equal(items.list[0].from, "+4917");
	assert_string_equal(items.list[0].to, "123");
	assert_string_equal(items.list[0].text, "Que tal, ñandú\xef\xbf\xbd\xef\xbf\xbd");
	callback_items_release(&items);
}

static void a_list_in_json_is_read_one_by_one(void **state)
{
	struct calling calling = with_secret;
	struct callback_items items;

	(void)state;
	calling.file = "{\"callbacks\":{\"signature\":{\"type\":\"secret\",\"in\":\"query\",\"name\":\"key\","
		       "\"key\":\"{{settings.s}}\"},"
		       "\"receipt\":{\"each\":\"results\",\"id\":\"id\",\"state\":\"status.name\","
		       "\"delivered\":[\"D\"],"
		       "\"rejected\":[\"U\"],\"when\":{\"kind\":\"dlr\"}}}}";
	calling.type = "application/json";
	calling.body = "{\"results\":[{\"id\":\"a\",\"kind\":\"dlr\",\"status\":{\"name\":\"D\"}},7,null,"
		       "{\"id\":2,\"kind\":\"dlr\",\"status\":{\"name\":\"U\"}},{\"id\":\"c\",\"kind\":\"x\","
		       "\"status\":{\"name\":\"D\"}}]}";
	assert_int_equal(call(&calling, &items), CALLBACK_FINE);
	assert_int_equal(items.count, 2);
	assert_string_equal(items.list[0].id, "a");
	assert_string_equal(items.list[1].id, "2");
	assert_int_equal(items.list[1].says, RECEIPT_REJECTED);
	callback_items_release(&items);
}

static void who_does_not_know_the_word_is_not_heard(void **state)
{
	static const char *const urls[] = {
		"https://m.example.com/in/sms/x",          "https://m.example.com/in/sms/x?key=",
		"https://m.example.com/in/sms/x?key=w0r",  "https://m.example.com/in/sms/x?key=w0rdy",
		"https://m.example.com/in/sms/x?Key=w0rd", NULL};
	struct calling calling = with_secret;
	struct callback_items items;

	(void)state;
	calling.body = "Id=1&State=ok";
	for (size_t i = 0; urls[i]; i++) {
		calling.url = urls[i];
		assert_int_equal(call(&calling, &items), CALLBACK_UNSIGNED);
		assert_int_equal(items.count, 0);
	}
}

static void without_a_key_nothing_is_believed(void **state)
{
	json_t *file = parsed(SECRET_FILE), *settings = parsed("{\"s\":\"\"}");
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	assert_null(provider_callback_compile(file, settings, &error));
	json_decref(file);
	json_decref(settings);
	text_release(&error);
}

/* As Twilio's "Validating requests" works it out. */
static void twilios_own_example_is_signed(void **state)
{
	struct calling calling = {.file = "{\"callbacks\":{\"signature\":{\"type\":\"twilio\",\"key\":\"{{"
					  "settings.t}}\"}," LOOKS "}}",
				  .settings = "{\"t\":\"12345\"}",
				  .method = "POST",
				  .url = "https://mycompany.com/myapp.php?foo=1&bar=2",
				  .type = FORM,
				  .body = "CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%"
					  "2B12349013030&To=%2B18005551212",
				  .header = "x-twilio-signature",
				  .value = "0/KCTR6DLpKmkAf8muzZqo1nDgQ="};
	struct callback_items items;

	(void)state;
	assert_int_equal(call(&calling, &items), CALLBACK_FINE);
	calling.body = "Digits=1234&To=%2B18005551212&CallSid=CA1234567890ABCDE&From=%2B12349013030&Caller=%"
		       "2B12349013030";
	assert_int_equal(call(&calling, &items), CALLBACK_FINE); /* in whatever order */
	calling.body = "CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1235&From=%2B12349013030&To=%"
		       "2B18005551212";
	assert_int_equal(call(&calling, &items), CALLBACK_UNSIGNED);
	calling.url = "https://mycompany.com/myapp.php?foo=1&bar=3";
	assert_int_equal(call(&calling, &items), CALLBACK_UNSIGNED);
}

static char *base64url(const void *data, size_t len)
{
	char *text = base64_encode(data, len);

	for (char *at = text; *at; at++)
		*at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at);
	text[strcspn(text, "=")] = '\0';
	return text;
}

static char *token(const char *head, const char *claims, const char *key)
{
	unsigned char mac[SHA256_SIZE];
	char *a = base64url(head, strlen(head)), *b = base64url(claims, strlen(claims)),
	     *both = xasprintf("%s.%s", a, b);

	digest_hmac_sha256(key, strlen(key), both, strlen(both), mac);
	char *c = base64url(mac, sizeof mac), *out = xasprintf("%s.%s", both, c);
	free(a);
	free(b);
	free(c);
	free(both);
	return out;
}

static enum callback_verdict with_token(const char *head, const char *claims, const char *key)
{
	char *value = token(head, claims, key);
	const struct calling calling = {.file = "{\"callbacks\":{\"signature\":{\"type\":\"jwt\",\"name\":"
						"\"X-JWT\",\"url\":true,\"key\":\"{{settings.k}}\"}," LOOKS
						"}}",
					.settings = "{\"k\":\"key\"}",
					.method = "POST",
					.url = "https://m.example.com/in/sms/x",
					.type = FORM,
					.body = "a=1",
					.header = "X-JWT",
					.value = value};
	struct callback_items items;
	enum callback_verdict verdict = call(&calling, &items);

	free(value);
	callback_items_release(&items);
	return verdict;
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static void a_token_must_fit_key_body_url_and_time(void **state)
{
	char body[2 * SHA256_SIZE + 1], url[2 * SHA256_SIZE + 1];
	char *good, *no_body, *no_url, *old, *no_time, *early;

	(void)state;
	digest_sha256_hex("a=1", 3, body);
	digest_sha256_hex("https://m.example.com/in/sms/x", 30, url);
	good = xasprintf(
		"{\"exp\":1763805660,\"nbf\":1763805600,\"payload_hash\":\"%s\",\"url_hash\":\"%s\"}", body,
		url);
	no_body = xasprintf("{\"exp\":1763805660,\"url_hash\":\"%s\"}", url);
	no_url = xasprintf("{\"exp\":1763805660,\"payload_hash\":\"%s\"}", body);
	old = xasprintf("{\"exp\":1763805500,\"payload_hash\":\"%s\",\"url_hash\":\"%s\"}", body, url);
	no_time = xasprintf("{\"payload_hash\":\"%s\",\"url_hash\":\"%s\"}", body, url);
	early = xasprintf(
		"{\"exp\":1763809600,\"nbf\":1763805700,\"payload_hash\":\"%s\",\"url_hash\":\"%s\"}", body,
		url);
	assert_int_equal(with_token(HS256, good, "key"), CALLBACK_FINE);
	assert_int_equal(with_token(HS256, good, "other"), CALLBACK_UNSIGNED);
	assert_int_equal(with_token("{\"alg\":\"none\"}", good, "key"), CALLBACK_UNSIGNED);
	assert_int_equal(with_token("{\"alg\":\"HS512\"}", good, "key"),
			 CALLBACK_UNSIGNED); /* the MAC is another */
	assert_int_equal(with_token("{\"alg\":\"RS256\"}", good, "key"), CALLBACK_UNSIGNED);
	assert_int_equal(with_token(HS256, no_body, "key"), CALLBACK_UNSIGNED);
	assert_int_equal(with_token(HS256, no_url, "key"), CALLBACK_UNSIGNED);
	assert_int_equal(with_token(HS256, old, "key"), CALLBACK_UNSIGNED);
	assert_int_equal(with_token(HS256, no_time, "key"), CALLBACK_UNSIGNED);
	assert_int_equal(with_token(HS256, early, "key"), CALLBACK_UNSIGNED);
	free(good);
	free(no_body);
	free(no_url);
	free(old);
	free(no_time);
	free(early);
}

static void a_token_of_no_time_that_there_is_fits_no_time(void **state)
{
	static const char *const times[] = {"\"iat\":17960000000000", "\"iat\":1e300",
					    "\"iat\":-1e300",         "\"exp\":1e300,\"nbf\":1e300",
					    "\"exp\":-9e18",          "\"exp\":\"never\""};
	char body[2 * SHA256_SIZE + 1], url[2 * SHA256_SIZE + 1];

	(void)state;
	digest_sha256_hex("a=1", 3, body);
	digest_sha256_hex("https://m.example.com/in/sms/x", 30, url);
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		char *claims =
			xasprintf("{%s,\"payload_hash\":\"%s\",\"url_hash\":\"%s\"}", times[i], body, url);
		assert_int_equal(with_token(HS256, claims, "key"), CALLBACK_UNSIGNED);
		free(claims);
	}
}

static void what_is_no_token_is_no_crash(void **state)
{
	static const char *const values[] = {"",
					     ".",
					     "..",
					     "...",
					     "a.b.c",
					     "e30.e30.",
					     "e30.e30.e30",
					     "====.====.====",
					     "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
					     NULL};
	struct callback_items items;

	(void)state;
	for (size_t i = 0; values[i]; i++) {
		const struct calling calling = {.file = "{\"callbacks\":{\"signature\":{\"type\":\"jwt\","
							"\"key\":\"{{settings.k}}\",\"name\":\"X\"}," LOOKS
							"}}",
						.settings = "{\"k\":\"key\"}",
						.method = "POST",
						.url = "https://m.example.com/",
						.type = FORM,
						.body = "",
						.header = "X",
						.value = values[i]};
		assert_int_equal(call(&calling, &items), CALLBACK_UNSIGNED);
	}
}

static void a_hmac_covers_what_the_file_says(void **state)
{
	struct calling calling = {.file = "{\"callbacks\":{\"signature\":{\"type\":\"hmac\",\"name\":\"X-"
					  "Sig\",\"prefix\":\"sha256=\",\"key\":\"{{settings.k}}\"}," LOOKS
					  "}}",
				  .settings = "{\"k\":\"key\"}",
				  .method = "POST",
				  .url = "https://m.example.com/in",
				  .type = "application/json",
				  .body = "{}",
				  .header = "X-Sig"};
	struct callback_items items;
	unsigned char mac[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 8] = "sha256=";

	(void)state;
	digest_hmac_sha256("key", 3, "{}", 2, mac);
	for (size_t i = 0; i < sizeof mac; i++)
		snprintf(hex + 7 + 2 * i, 3, "%02X", mac[i]); /* some write it large */
	calling.value = hex;
	assert_int_equal(call(&calling, &items), CALLBACK_FINE);
	calling.body = "{ }";
	assert_int_equal(call(&calling, &items), CALLBACK_UNSIGNED);
	calling.body = "{}";
	calling.value = hex + 7; /* without its prefix */
	assert_int_equal(call(&calling, &items), CALLBACK_UNSIGNED);
}

static void what_is_signed_and_broken_is_refused(void **state)
{
	struct calling calling = with_secret;
	struct callback_items items;
	struct text deep;

	(void)state;
	calling.type = "application/json";
	calling.body = "{";
	assert_int_equal(call(&calling, &items), CALLBACK_MALFORMED);
	calling.body = "{\"a\":1,\"a\":2}";
	assert_int_equal(call(&calling, &items), CALLBACK_MALFORMED);
	text_init(&deep, 65536);
	for (int i = 0; i < 100; i++)
		text_puts(&deep, "[");
	for (int i = 0; i < 100; i++)
		text_puts(&deep, "]");
	calling.body = deep.data;
	assert_int_equal(call(&calling, &items), CALLBACK_MALFORMED);
	text_clear(&deep);
	for (int i = 0; i <= CALLBACK_FIELDS_MAX; i++)
		text_addf(&deep, "a%d=1&", i);
	calling.type = FORM;
	calling.body = deep.data;
	assert_int_equal(call(&calling, &items), CALLBACK_MALFORMED);
	text_release(&deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_says_what_became_of_it),
		cmocka_unit_test(what_is_in_between_unknown_or_about_nothing_says_nothing),
		cmocka_unit_test(a_reply_is_read_with_plus_as_space_and_escapes),
		cmocka_unit_test(a_list_in_json_is_read_one_by_one),
		cmocka_unit_test(who_does_not_know_the_word_is_not_heard),
		cmocka_unit_test(without_a_key_nothing_is_believed),
		cmocka_unit_test(twilios_own_example_is_signed),
		cmocka_unit_test(a_token_must_fit_key_body_url_and_time),
		cmocka_unit_test(a_token_of_no_time_that_there_is_fits_no_time),
		cmocka_unit_test(what_is_no_token_is_no_crash),
		cmocka_unit_test(a_hmac_covers_what_the_file_says),
		cmocka_unit_test(what_is_signed_and_broken_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
