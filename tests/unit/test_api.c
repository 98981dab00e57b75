#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "api.h"
#include "digest.h"
#include "queue.h"
#include "turn_private.h"
#include "xalloc.h"

/* --- a store, a turn and a configuration of the test's own --- */

static struct {
	bool store_fails, redis_fails;
	enum state waits_in;                 /* of the message m-1; 0: deferred */
	int64_t due;                         /* of it; 0: LATER */
	int log_calls, contacts_from_call;   /* the log is empty before this call */
	struct log_query query;              /* the last one */
	char asked_for[200];                 /* of the last request_*: its arguments */
	char by[32], actor[32], message[32]; /* of the query: its own strings are gone by then */
	char allow[100];                     /* the last header Allow */
	char products[64];                   /* of the query */
	struct hold holds[2];                /* that stand; their `why` tells whether there is one */
} world;

#define LATER INT64_C(32472144000123000)
#define LATER_TEXT "2999-01-01T00:00:00.123Z"

static char *offered[] = {(char *)"sms", (char *)"email"};
static struct product products[] = {
	{.name = (char *)"cards",
	 .channels = offered,
	 .channel_count = 2,
	 .defaults = offered,
	 .default_count = 1,
	 .may_stop = true,
	 .purpose = PURPOSE_SERVICE},
	{.name = (char *)"cards/fraud",
	 .parent = &products[0],
	 .channels = offered,
	 .channel_count = 2,
	 .defaults = offered,
	 .default_count = 1,
	 .may_stop = true,
	 .purpose = PURPOSE_CRITICAL},
};
static struct product_set product_set = {.products = products, .count = 2};
static struct channel_config other_sms = {.name = (char *)"sms", .provider = (char *)"vonage"};
static struct channel_config channels[] = {
	{.name = (char *)"sms", .provider = (char *)"twilio", .others = &other_sms, .other_count = 1},
	{.name = (char *)"email", .provider = (char *)"relay"}};
static struct config config = {.channels = channels, .channel_count = 2, .products = &product_set};

/* The one line that is wanted of config.c, which would pull in every adapter. */
const struct channel_config *config_channel(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->channel_count; i++)
		if (strcmp(c->channels[i].name, name) == 0)
			return &c->channels[i];
	return NULL;
}

const char *store_reader_error(const struct store_reader *reader)
{
	(void)reader;
	return "the disk is gone";
}

static struct address ana_address = {
	.n = 1, .channel = (char *)"email", .value = (char *)"ana@example.com", .details = (char *)""};
static struct customer ana = {.n = 1,
			      .id = (char *)"c/1",
			      .name = (char *)"Ana",
			      .locale = (char *)"",
			      .timezone = (char *)"",
			      .addresses = &ana_address,
			      .address_count = 1};

bool store_read_customer(struct store_reader *reader, const char *id, struct customer **out,
			 struct preference **preferences, size_t *count)
{
	(void)reader;
	*out = NULL;
	*preferences = NULL;
	*count = 0;
	if (world.store_fails || strcmp(id, "c/1") != 0)
		return !world.store_fails;
	*out = customer_copy(&ana);
	*preferences = xcalloc(1, sizeof **preferences);
	*count = 1;
	struct preference_entry *entry = xcalloc(1, sizeof *entry);
	*entry = (struct preference_entry){.channel = xstrdup("email"), .hours = xstrdup("")};
	**preferences = (struct preference){.product = xstrdup("cards"),
					    .has_channels = true,
					    .channels = entry,
					    .channel_count = 1,
					    .hours = xstrdup(""),
					    .digest = xstrdup("immediate"),
					    .version = 3,
					    .changed_by = xstrdup("cli")};
	return true;
}

bool store_read_find(struct store_reader *reader, const char *address, char ***ids, size_t *count)
{
	(void)reader;
	*ids = NULL;
	*count = 0;
	if (strcmp(address, "ana@example.com") == 0) {
		*ids = xcalloc(1, sizeof **ids);
		(*ids)[(*count)++] = xstrdup("c/1");
	}
	return !world.store_fails;
}

bool store_read_customer_id(struct store_reader *reader, int64_t customer, char **id)
{
	(void)reader;
	*id = customer == 1 ? xstrdup("c/1") : NULL;
	return !world.store_fails;
}

bool store_read_waiting_of(struct store_reader *reader, int64_t customer, size_t limit,
			   struct message_rows *out)
{
	(void)reader;
	(void)customer;
	(void)limit;
	(void)out;
	return !world.store_fails;
}

int request_stop_all(const struct turn_door *door, const struct asker *asker, const char *customer,
		     const json_t *how, json_t **answer, struct text *why)
{
	(void)door;
	(void)asker;
	(void)customer;
	(void)how;
	(void)answer;
	text_error(why, "not asked for here");
	return 503;
}

static void contact_fill(struct contact *out, int64_t seq)
{
	*out = (struct contact){.seq = seq,
				.changed = seq * 10,
				.at = 1795341600123000,
				.product = xstrdup("cards"),
				.channel = xstrdup("sms"),
				.state = STATE_SENT,
				.attempt = 1,
				.provider = xstrdup("twilio"),
				.provider_ref = xstrdup("SM1"),
				.template = xstrdup("payment"),
				.template_hash = xstrdup(""),
				.summary = xstrdup("Paid"),
				.content = xstrdup(""),
				.reason = xstrdup("chosen"),
				.reason_args = xstrdup("{\"channel\":\"sms\",\"product\":\"cards\"}"),
				.code = xstrdup("201"),
				.detail = xstrdup("queued"),
				.preference = 3,
				.customer_id = xstrdup("c/1"),
				.address_value = xstrdup("+5491155550100"),
				.message_ids = xcalloc(1, sizeof(char *)),
				.message_count = 1,
				.meta = xstrdup("{\"order\":\"7\"}")};
	out->message_ids[0] = xstrdup("m-1");
}

bool store_read_log(struct store_reader *reader, const struct log_query *query, struct contact **out,
		    size_t *count)
{
	(void)reader;
	world.query = *query;
	snprintf(world.message, sizeof world.message, "%s", query->message ? query->message : "");
	snprintf(world.products, sizeof world.products, "%s", query->products ? query->products : "");
	*out = NULL;
	*count = 0;
	if (world.store_fails || ++world.log_calls < world.contacts_from_call)
		return !world.store_fails;
	*count = 2;
	*out = xcalloc(*count, sizeof **out);
	contact_fill(&(*out)[0], query->newest_first ? 18 : 17);
	contact_fill(&(*out)[1], query->newest_first ? 17 : 18);
	return true;
}

bool store_read_last_change(struct store_reader *reader, int64_t *changed)
{
	(void)reader;
	*changed = 500;
	return !world.store_fails;
}

bool store_read_message(struct store_reader *reader, const char *id, struct message_row *out)
{
	(void)reader;
	*out = (struct message_row){0};
	if (strcmp(id, "m-1") == 0)
		*out = (struct message_row){.n = 1,
					    .id = xstrdup("m-1"),
					    .customer_id = xstrdup("c/1"),
					    .product = xstrdup("cards"),
					    .template = xstrdup("payment"),
					    .state = world.waits_in ? world.waits_in : STATE_DEFERRED,
					    .waits_for = xstrdup("sms"),
					    .channel = xstrdup(""),
					    .wait_channel = xstrdup(""),
					    .due = world.due ? world.due : LATER,
					    .reasons = xstrdup("[{\"code\":\"retry\",\"args\":{\"attempt\":1,"
							       "\"channel\":\"sms\",\"code\":\"429\"}}]")};
	return !world.store_fails;
}

bool store_read_cap_used(struct store_reader *reader, int64_t customer, const char *name, int64_t *used)
{
	(void)reader, (void)customer, (void)name;
	*used = 0;
	return !world.store_fails;
}

bool store_read_holds(struct store_reader *reader, struct hold **out, size_t *count)
{
	(void)reader;
	*out = xcalloc(2, sizeof **out);
	*count = 0;
	for (int i = 0; i < 2; i++)
		if (world.holds[i].why)
			hold_copy(&world.holds[i], &(*out)[(*count)++]);
	return true;
}

bool store_read_counters(struct store_reader *reader, struct counters *out)
{
	(void)reader;
	*out = (struct counters){.admitted = 5, .states = {[STATE_SENT] = 4, [STATE_FAILED] = 1}};
	return !world.store_fails;
}

bool store_read_ages(struct store_reader *reader, int64_t oldest[LANES])
{
	(void)reader;
	oldest[LANE_URGENT] = oldest[LANE_BULK] = 0;
	oldest[LANE_NORMAL] = moment_now() - 5 * MOMENT_S;
	return true;
}

bool queue_depths(struct queue *queue, struct queue_depths *out)
{
	(void)queue;
	*out = (struct queue_depths){.waiting = {1, 2, 3}, .dead = 4};
	return !world.redis_fails;
}

const char *queue_error(const struct queue *queue)
{
	(void)queue;
	return "connection refused";
}

static int asked(const struct asker *asker, json_t **answer, struct text *problem, const char *id,
		 const char *rest)
{
	snprintf(world.asked_for, sizeof world.asked_for, "%s %s", id, rest);
	snprintf(world.by, sizeof world.by, "%s", asker->by);
	snprintf(world.actor, sizeof world.actor, "%s", asker->actor);
	if (strcmp(id, "refused") == 0) {
		text_error(problem, "refused: because");
		return 409;
	}
	*answer = json_pack("{s:b}", "done", 1);
	return 200;
}

static json_t *choices_of_two(void)
{
	return json_pack("{s:[{s:s}, {s:s}]}", "preferences", "product", "offers", "product", "cards");
}

int request_customer(const struct turn_door *door, const struct asker *asker, const char *id,
		     const json_t *customer, bool merge, json_t **answer, struct text *problem)
{
	char *words = json_dumps(customer, JSON_COMPACT | JSON_SORT_KEYS);

	(void)door;
	char *rest = xasprintf("%s %s", merge ? "merge" : "replace", words);
	int status = asked(asker, answer, problem, id, rest);
	free(words);
	free(rest);
	return status;
}

struct import_batch *import_batch_read(const struct config *configured, const json_t *customers)
{
	(void)configured;
	(void)customers;
	return NULL;
}

void import_batch_free(struct import_batch *batch)
{
	(void)batch;
}

int request_import(const struct turn_door *door, const struct asker *asker, struct import_batch *batch,
		   json_t **answer, struct text *problem)
{
	(void)door;
	(void)batch;
	return asked(asker, answer, problem, "import", "");
}

int request_prefer(const struct turn_door *door, const struct asker *asker, const char *customer,
		   const char *product, const json_t *preference, bool merge, json_t **answer,
		   struct text *problem)
{
	(void)door;
	(void)preference;
	char *rest = xasprintf("%s %s", product, merge ? "merge" : "replace");
	int status = asked(asker, answer, problem, customer, rest);
	free(rest);
	return status;
}

int request_preferences(const struct turn_door *door, const struct asker *asker, const char *customer,
			const json_t *preferences, bool merge, json_t **answer, struct text *problem)
{
	(void)door;
	char *rest = xasprintf("%zu %s", json_array_size(preferences), merge ? "merge" : "replace");
	int status = asked(asker, answer, problem, customer, rest);
	free(rest);
	if (strcmp(customer, "of-two") == 0) {
		json_decref(*answer);
		*answer = choices_of_two();
	}
	return status;
}

int request_settle(const struct turn_door *door, const struct asker *asker, const char *message,
		   const char *as, json_t **answer, struct text *problem)
{
	(void)door;
	return asked(asker, answer, problem, message, as);
}

int request_retry(const struct turn_door *door, const struct asker *asker, const char *message,
		  json_t **answer, struct text *problem)
{
	(void)door;
	return asked(asker, answer, problem, message, "retry");
}

int request_hold(const struct turn_door *door, const struct asker *asker, enum hold_kind kind,
		 const char *name, const char *why, json_t **answer, struct text *problem)
{
	(void)door;
	char *rest = xasprintf("%s %s", name, why);
	int status = asked(asker, answer, problem, hold_kind_name(kind), rest);
	free(rest);
	return status;
}

int request_release(const struct turn_door *door, const struct asker *asker, enum hold_kind kind,
		    const char *name, const char *why, json_t **answer, struct text *problem)
{
	(void)door;
	char *rest = xasprintf("release %s %s", name, why);
	int status = asked(asker, answer, problem, hold_kind_name(kind), rest);
	free(rest);
	return status;
}

int request_cancel(const struct turn_door *door, const struct asker *asker, const char *message,
		   const char *why, json_t **answer, struct text *problem)
{
	(void)door;
	return asked(asker, answer, problem, message, why);
}

/* --- asking --- */

static struct turn a_turn = {.lock = PTHREAD_MUTEX_INITIALIZER,
			     .troubles = {.lock = PTHREAD_MUTEX_INITIALIZER}};
static int a_queue;
static struct api api = {.door = {.turn = &a_turn}, .config = &config, .queue = (struct queue *)&a_queue};

/* How the next requests come in. */
static struct {
	enum door door;
	struct api_header headers[4];
	size_t header_count;
} asks;

static int begin(void **state)
{
	(void)state;
	memset(&world, 0, sizeof world);
	memset(&asks, 0, sizeof asks);
	return 0;
}

static json_t *ask(const char *method, const char *path, const char *body, int wanted)
{
	size_t len = strcspn(path, "?");
	char *only_path = xmemdup0(path, len);
	struct api_request request = {.door = asks.door,
				      .method = method,
				      .path = only_path,
				      .headers = asks.headers,
				      .header_count = asks.header_count,
				      .peer = "",
				      .query = path[len] ? path + len + 1 : "",
				      .body = body,
				      .body_len = strlen(body),
				      .asker = {.by = "cli", .actor = "ana"}};
	struct api_response response;

	api_handle(&api, &request, &response);
	free(only_path);
	if (api_response_get(&response, "Allow"))
		snprintf(world.allow, sizeof world.allow, "%s", api_response_get(&response, "Allow"));
	if (response.status != wanted) {
		char *words = json_dumps(response.body, JSON_ENCODE_ANY);
		fail_msg("%s %s: %d: %s", method, path, response.status, words);
	}
	json_t *answer = json_incref(response.body);
	api_response_release(&response);
	return answer;
}

static void expect(const char *method, const char *path, const char *body, int status, const char *wanted)
{
	json_t *answer = ask(method, path, body, status), *json = json_loads(wanted, 0, NULL);

	assert_non_null(json);
	char *words = json_dumps(answer, JSON_COMPACT);
	if (!json_equal(answer, json))
		fail_msg("%s %s: got %s, wanted %s", method, path, words, wanted);
	free(words);
	json_decref(json);
	json_decref(answer);
}

static void expect_problem(const char *method, const char *path, const char *body, int status,
			   const char *why)
{
	json_t *problem = ask(method, path, body, status);
	const char *detail = json_string_value(json_object_get(problem, "detail"));

	assert_string_equal(json_string_value(json_object_get(problem, "type")), "about:blank");
	assert_int_equal(json_integer_value(json_object_get(problem, "status")), status);
	assert_non_null(json_object_get(problem, "title"));
	if (!detail || !strstr(detail, why))
		fail_msg("%s %s: '%s' does not say '%s'", method, path, detail ? detail : "", why);
	json_decref(problem);
}

/* --- the promises --- */

static unsigned char shop_hash[SHA256_SIZE], ops_hash[SHA256_SIZE], clerk_hash[SHA256_SIZE];

/* "shop-token" for the product offers, "clerk-token" for offers and cards, "ops-token" for everything. */
static void over_tcp(const char *authorization)
{
	static char *only[] = {(char *)"offers"};
	static char *both[] = {(char *)"offers", (char *)"cards"};
	static struct api_token tokens[3];

	digest_sha256("shop-token", 10, shop_hash);
	digest_sha256("ops-token", 9, ops_hash);
	digest_sha256("clerk-token", 11, clerk_hash);
	tokens[0] = (struct api_token){.name = (char *)"shop",
				       .by = (char *)"api:shop",
				       .scopes = SCOPE_READ | SCOPE_WRITE,
				       .products = only,
				       .product_count = 1};
	tokens[1] = (struct api_token){.name = (char *)"ops",
				       .by = (char *)"api:ops",
				       .scopes = SCOPE_READ | SCOPE_OPS | SCOPE_WRITE | SCOPE_HISTORY};
	memcpy(tokens[0].hash, shop_hash, sizeof shop_hash);
	tokens[2] = (struct api_token){.name = (char *)"clerk",
				       .by = (char *)"api:clerk",
				       .scopes = SCOPE_READ | SCOPE_HISTORY,
				       .products = both,
				       .product_count = 2};
	memcpy(tokens[1].hash, ops_hash, sizeof ops_hash);
	memcpy(tokens[2].hash, clerk_hash, sizeof clerk_hash);
	config.http.tokens = tokens;
	config.http.token_count = 3;
	asks.door = DOOR_INTERNAL;
	asks.headers[0] = (struct api_header){"authorization", authorization};
	asks.header_count = authorization ? 1 : 0;
}

static void over_tcp_a_token_is_wanted(void **state)
{
	(void)state;
	over_tcp(NULL);
	expect_problem("GET", "/v1/queue", "", 401, "a token is wanted");
	over_tcp("Basic b3BzOm9wcw==");
	expect_problem("GET", "/v1/queue", "", 401, "a token is wanted");
	over_tcp("Bearer ops-toke");
	expect_problem("GET", "/v1/queue", "", 401, "no such token");
	over_tcp("Bearer ");
	expect_problem("GET", "/v1/queue", "", 401, "no such token");
	over_tcp("bearer ops-token");
	json_decref(ask("GET", "/v1/queue", "", 200));
}

static void a_scope_that_is_missing_is_named(void **state)
{
	(void)state;
	over_tcp("Bearer shop-token");
	expect_problem("GET", "/v1/queue", "", 403, "the token shop has not ops");
	expect_problem("GET", "/v1/log", "", 403, "the token shop has not history or ops");
}

static void changes_are_made_by_the_tokens_name(void **state)
{
	(void)state;
	over_tcp("Bearer ops-token");
	json_decref(ask("PUT", "/v1/customers/c%2F1/preferences/cards", "{\"channels\":[]}", 200));
	assert_string_equal(world.by, "api:ops");
}

static void the_public_door_shows_nothing_of_the_others(void **state)
{
	(void)state;
	asks.door = DOOR_PUBLIC;
	expect_problem("GET", "/v1/queue", "", 404, "nothing at this path");
	expect_problem("POST", "/v1/messages", "{}", 404, "nothing at this path");
	expect_problem("GET", "/metrics", "", 404, "nothing at this path");
	asks.door = DOOR_SOCKET;
	expect_problem("GET", "/p/abc", "", 404, "nothing at this path");
}

static void only_json_is_taken_and_given(void **state)
{
	(void)state;
	asks.header_count = 1;
	asks.headers[0] = (struct api_header){"Content-Type", "text/plain"};
	expect_problem("PUT", "/v1/customers/c-1", "{}", 415, "application/json");
	asks.headers[0] = (struct api_header){"Content-Type", "application/JSON; charset=utf-8"};
	json_decref(ask("PUT", "/v1/customers/c-1", "{}", 200));
	asks.headers[0] = (struct api_header){"Content-Type", "application/x-www-form-urlencoded"};
	json_decref(ask("PUT", "/v1/customers/c-1", "{}", 200)); /* nobody said what it is */
	asks.headers[0] = (struct api_header){"Accept", "text/html"};
	expect_problem("GET", "/v1/queue", "", 406, "application/json");
	asks.headers[0] = (struct api_header){"Accept", "text/html, application/*;q=0.1"};
	json_decref(ask("GET", "/v1/queue", "", 200));
}

static void a_patch_may_say_that_it_is_one(void **state)
{
	(void)state;
	asks.header_count = 1;
	asks.headers[0] = (struct api_header){"Content-Type", "application/merge-patch+json"};
	json_decref(ask("PATCH", "/v1/customers/c-1", "{}", 200));
	expect_problem("PUT", "/v1/customers/c-1", "{}", 415, "application/json");
}

static void a_body_that_is_packed_is_refused(void **state)
{
	(void)state;
	asks.header_count = 1;
	asks.headers[0] = (struct api_header){"Content-Encoding", "gzip"};
	expect_problem("PUT", "/v1/customers/c-1", "{}", 415, "Content-Encoding");
	asks.headers[0] = (struct api_header){"Content-Encoding", "identity"};
	json_decref(ask("PUT", "/v1/customers/c-1", "{}", 200));
}

static void a_parameter_that_nobody_knows_is_told(void **state)
{
	(void)state;
	expect_problem("GET", "/v1/log?chanel=sms", "", 400, "no parameter 'chanel' here; there are: after");
	expect_problem("GET", "/v1/queue?x", "", 400, "no parameter 'x' here");
	expect_problem("GET", "/v1/log?=1", "", 400, "no parameter '' here");
	expect_problem("GET", "/v1/log?limit=1&limit=2", "", 400, "twice");
	expect_problem("PUT", "/v1/customers/c-1?recreate=yes", "{}", 400, "true or false");
	json_decref(ask("GET", "/openapi.json?probe=1", "", 200));
	assert_string_equal(world.asked_for, "");
}

static void what_may_be_left_out_may_be_left_out_with_the_body(void **state)
{
	(void)state;
	expect("POST", "/v1/messages/m-1/cancel", "", 200, "{\"done\":true}");
	expect("POST", "/v1/campaigns/spring/cancel", "", 200, "{\"done\":true}");
	expect_problem("POST", "/v1/messages/m-1/cancel", "7", 422, "object");
	expect_problem("POST", "/v1/messages/m-1/settle", "", 400, "not JSON");
}

static void expect_field(const char *method, const char *path, const char *body, const char *field)
{
	json_t *problem = ask(method, path, body, 422);

	assert_string_equal(json_string_value(json_object_get(problem, "field")), field);
	json_decref(problem);
}

static void a_key_that_does_not_fit_is_named(void **state)
{
	(void)state;
	expect_field("POST", "/v1/holds", "{\"channel\":\"sms\"}", "why");
	expect_field("POST", "/v1/holds", "{\"channel\":7,\"why\":\"x\"}", "channel");
	expect_field("POST", "/v1/holds", "{\"pigeon\":\"x\",\"why\":\"x\"}", "pigeon");
	expect_field("POST", "/v1/explain", "{\"customer\":\"c/1\",\"product\":7}", "product");
	expect_field("POST", "/v1/messages/m-1/cancel", "{\"why\":[]}", "why");
	expect_field("POST", "/v1/messages/m-1/settle", "{}", "as");
	expect_field("POST", "/v1/messages/m-1/settle", "{\"as\":\"lost\"}", "as");
}

static void the_methods_of_a_path_can_be_asked_for(void **state)
{
	(void)state;
	assert_null(ask("OPTIONS", "/v1/holds", "", 204));
	assert_string_equal(world.allow, "GET, HEAD, POST, DELETE");
	expect_problem("OPTIONS", "/v1/nothing", "", 404, "nothing at this path");
	json_t *problem = ask("TRACE", "/v1/holds", "", 405);
	assert_null(json_object_get(problem, "field"));
	json_decref(problem);
}

static void a_problem_names_the_field(void **state)
{
	(void)state;
	json_t *problem = ask("PUT", "/v1/customers/c-1", "{\"id\":\"c-2\"}", 422);
	assert_string_equal(json_string_value(json_object_get(problem, "field")), "id");
	json_decref(problem);
}

static void what_is_not_there_is_a_problem(void **state)
{
	(void)state;
	expect_problem("GET", "/", "", 404, "");
	expect_problem("GET", "/v1/nothing", "", 404, "there is nothing at this path");
	expect_problem("GET", "/v1//queue", "", 404, "there is nothing at this path");
	expect_problem("GET", "/v1/customers/a%00b", "", 400, "UTF-8");
	expect_problem("GET", "/v1/customers/a%ffb", "", 400, "UTF-8");
	expect_problem("GET", "/v1/customers/a%2", "", 400, "percent-encoded");
	expect_problem("DELETE", "/v1/queue", "", 405, "DELETE");
	assert_string_equal(world.allow, "GET, HEAD");
	expect_problem("POST", "/v1/holds/x", "", 404, "");
	expect_problem("PUT", "/v1/holds", "", 405, "");
	assert_string_equal(world.allow, "GET, HEAD, POST, DELETE");
	expect_problem("GET", "/v1/customers/c-9", "", 404, "customer c-9");
	expect_problem("GET", "/v1/messages/m-9", "", 404, "message m-9");
}

static void bodies_are_checked_before_anything_is_done(void **state)
{
	char deep[400] = "";

	(void)state;
	memset(deep, '[', 70);
	memset(deep + 70, ']', 70);
	expect_problem("PUT", "/v1/customers/c-1", "", 400, "not JSON");
	expect_problem("PUT", "/v1/customers/c-1", "[]", 422, "object");
	expect_problem("PUT", "/v1/customers/c-1", "{\"name\":1,\"name\":2}", 400, "duplicate");
	expect_problem("PUT", "/v1/customers/c-1", "{\"id\":\"c-2\"}", 422, "id");
	expect_problem("PATCH", "/v1/customers", deep, 400, "deep");
	expect_problem("PATCH", "/v1/customers", "{}", 422, "array");
	assert_string_equal(world.asked_for, "");
}

static void an_import_is_bounded(void **state)
{
	json_t *list = json_array();

	(void)state;
	for (int i = 0; i < API_LIST_MAX; i++)
		json_array_append_new(list, json_object());
	char *fits = json_dumps(list, 0);
	json_array_append_new(list, json_object());
	char *over = json_dumps(list, 0);
	expect("PATCH", "/v1/customers", fits, 200, "{\"done\":true}");
	expect_problem("PATCH", "/v1/customers", over, 422, "at most");
	free(fits);
	free(over);
	json_decref(list);
}

static void a_customer_is_shown_with_its_preferences(void **state)
{
	(void)state;
	json_t *answer = ask("GET", "/v1/customers/c%2F1", "", 200);
	assert_string_equal(json_string_value(json_object_get(answer, "name")), "Ana");
	const json_t *preference = json_array_get(json_object_get(answer, "preferences"), 0);
	assert_string_equal(json_string_value(json_object_get(preference, "product")), "cards");
	json_decref(answer);
}

static void a_customer_is_found_by_its_address_however_it_is_written(void **state)
{
	(void)state;
	json_t *answer = ask("GET", "/v1/customers?address=ana%40EXAMPLE.com", "", 200);
	assert_int_equal(json_array_size(json_object_get(answer, "customers")), 1);
	json_decref(answer);
	expect("GET", "/v1/customers?address=nobody%40example.com", "", 200, "{\"customers\":[]}");
	expect_problem("GET", "/v1/customers", "", 400, "address");
}

static void put_replaces_and_patch_merges(void **state)
{
	(void)state;
	expect("PUT", "/v1/customers/c%2F2", "{\"name\":\"Bo\"}", 200, "{\"done\":true}");
	assert_string_equal(world.asked_for, "c/2 replace {\"id\":\"c/2\",\"name\":\"Bo\"}");
	assert_string_equal(world.by, "cli");
	assert_string_equal(world.actor, "ana");
	expect("PATCH", "/v1/customers/c-2", "{}", 200, "{\"done\":true}");
	assert_string_equal(world.asked_for, "c-2 merge {\"id\":\"c-2\"}");
}

static void what_the_turn_refuses_is_a_problem_with_its_words(void **state)
{
	(void)state;
	expect_problem("PUT", "/v1/customers/refused", "{}", 409, "refused: because");
}

static void the_product_of_a_preference_may_be_a_part_or_a_star(void **state)
{
	(void)state;
	expect("PATCH", "/v1/customers/c-1/preferences/cards%2Ffraud", "{}", 200, "{\"done\":true}");
	assert_string_equal(world.asked_for, "c-1 cards/fraud merge");
	expect("PUT", "/v1/customers/c-1/preferences/%2A", "{}", 200, "{\"done\":true}");
	assert_string_equal(world.asked_for, "c-1 * replace");
	expect("PUT", "/v1/customers/c-1/preferences/*", "{}", 200, "{\"done\":true}");
	assert_string_equal(world.asked_for, "c-1 * replace");
}

static void all_preferences_are_put_in_one_commit(void **state)
{
	(void)state;
	expect("PUT", "/v1/customers/c-1/preferences", "{\"preferences\":[{},{}]}", 200, "{\"done\":true}");
	assert_string_equal(world.asked_for, "c-1 2 replace");
	expect("PUT", "/v1/customers/c-1/preferences", "[{}]", 200, "{\"done\":true}");
	assert_string_equal(world.asked_for, "c-1 1 replace");
	expect_problem("PUT", "/v1/customers/c-1/preferences", "{}", 422, "preferences: ");
	expect_problem("PUT", "/v1/customers/c-1/preferences", "{\"preferences\":[],\"x\":1}", 422,
		       "nothing beside");
}

static void a_limited_token_is_told_of_its_own_choices_only(void **state)
{
	(void)state;
	over_tcp("Bearer shop-token");
	expect("PUT", "/v1/customers/of-two/preferences", "[{\"product\":\"offers\"}]", 200,
	       "{\"preferences\":[{\"product\":\"offers\"}]}");
	expect_problem("PUT", "/v1/customers/of-two/preferences", "[{\"product\":\"cards\"}]", 403,
		       "not for cards");
}

static void a_preference_is_shown_or_what_applies_in_its_place(void **state)
{
	(void)state;
	json_t *own = ask("GET", "/v1/customers/c%2F1/preferences/cards", "", 200);
	assert_int_equal(json_integer_value(json_object_get(own, "version")), 3);
	json_decref(own);
	json_t *part = ask("GET", "/v1/customers/c%2F1/preferences/cards%2Ffraud", "", 200);
	assert_int_equal(json_integer_value(json_object_get(part, "version")), 0);
	assert_string_equal(json_string_value(json_object_get(part, "source")), "parent");
	json_decref(part);
	json_t *star = ask("GET", "/v1/customers/c%2F1/preferences/*", "", 200);
	assert_int_equal(json_integer_value(json_object_get(star, "version")), 0);
	json_decref(star);
	expect_problem("GET", "/v1/customers/c%2F1/preferences/pigeons", "", 404, "product pigeons");
}

static void a_contact_is_shown_as_the_contract_says(void **state)
{
	(void)state;
	json_t *answer = ask("GET", "/v1/log", "", 200);
	json_t *wanted = json_loads(
		"{\"seq\":17,\"at\":\"2026-11-22T10:00:00.123Z\",\"messages\":[\"m-1\"],\"customer\":\"c/1\","
		"\"product\":\"cards\",\"channel\":\"sms\",\"direction\":\"out\",\"state\":\"sent\","
		"\"attempt\":1,"
		"\"provider\":\"twilio\",\"provider_ref\":\"SM1\",\"address\":\"+549…0100\","
		"\"template\":\"payment\",\"summary\":\"Paid\",\"reason\":{\"code\":\"chosen\",\"args\":"
		"{\"channel\":\"sms\",\"product\":\"cards\"},\"says\":\"sms is the first channel in the "
		"choice "
		"for cards that can be used\"},\"preference\":3,\"meta\":{\"order\":\"7\"},\"code\":\"201\","
		"\"detail\":\"queued\"}",
		0, NULL);
	const json_t *got = json_array_get(json_object_get(answer, "contacts"), 0);
	char *words = json_dumps(got, JSON_COMPACT);
	if (!json_equal(got, wanted))
		fail_msg("%s", words);
	assert_int_equal(strncmp(words, "{\"seq\":17,\"at\":", 15), 0); /* in the contract's order */
	free(words);
	json_decref(wanted);
	json_decref(answer);
}

static void the_log_is_filtered_by_what_is_asked(void **state)
{
	(void)state;
	json_decref(
		ask("GET", "/v1/log?channel=sms&state=in_doubt&since=2026-11-22T10:00:00Z&limit=7", "", 200));
	assert_true(world.query.has_state);
	assert_int_equal(world.query.state, STATE_IN_DOUBT);
	assert_int_equal(world.query.since, 1795341600000000);
	assert_int_equal(world.query.limit, 7);
	assert_false(world.query.by_change);
	expect_problem("GET", "/v1/log?state=lost", "", 400, "lost");
	expect_problem("GET", "/v1/log?since=yesterday", "", 400, "yesterday");
	expect_problem("GET", "/v1/log?limit=0", "", 400, "limit");
	expect_problem("GET", "/v1/log?limit=1001", "", 400, "limit");
	expect_problem("GET", "/v1/log?after=x", "", 400, "after");
	expect_problem("GET", "/v1/log?wait=31", "", 400, "wait");
	json_decref(ask("GET", "/v1/log?wait=0s", "", 200));
	json_decref(ask("GET", "/v1/log?wait=3d", "", 200)); /* there is something: it waits for nothing */
}

static void a_limited_token_sees_all_of_its_products_and_no_other(void **state)
{
	(void)state;
	over_tcp("Bearer clerk-token");
	json_decref(ask("GET", "/v1/log", "", 200));
	assert_string_equal(world.products, ",offers,cards,");
	json_decref(ask("GET", "/v1/customers/c%2F1/history", "", 200));
	assert_string_equal(world.products, ",offers,cards,");
	json_decref(ask("GET", "/v1/log?product=cards/fraud", "", 200));
	assert_string_equal(world.products, "");
	expect_problem("GET", "/v1/log?product=card", "", 403, "not for card");
}

/* The cursor of a first page is the store's before it was read; behind it, that of the last contact shown. */
static void a_cursor_misses_nothing(void **state)
{
	(void)state;
	json_t *first = ask("GET", "/v1/log", "", 200);
	assert_string_equal(json_string_value(json_object_get(first, "next")), "500");
	json_decref(first);
	json_t *next = ask("GET", "/v1/log?after=0", "", 200);
	assert_true(world.query.by_change);
	assert_string_equal(json_string_value(json_object_get(next, "next")), "180");
	json_decref(next);
	world.contacts_from_call = 100;
	expect("GET", "/v1/log?after=77", "", 200, "{\"contacts\":[],\"next\":\"77\"}");
}

static void a_call_that_waits_answers_as_soon_as_there_is_something(void **state)
{
	int64_t begun = moment_mono();

	(void)state;
	world.contacts_from_call = 3;
	json_t *answer = ask("GET", "/v1/log?after=0&wait=30s", "", 200);
	assert_int_equal(json_array_size(json_object_get(answer, "contacts")), 2);
	assert_true(moment_mono() - begun < 5 * MOMENT_S);
	json_decref(answer);
}

static void a_call_that_waits_ends_when_the_gateway_stops(void **state)
{
	_Atomic bool stopping = true;
	int64_t begun = moment_mono();

	(void)state;
	world.contacts_from_call = 1000;
	api.stopping = &stopping;
	expect("GET", "/v1/log?after=5&wait=30s", "", 200, "{\"contacts\":[],\"next\":\"5\"}");
	api.stopping = NULL;
	assert_true(moment_mono() - begun < 5 * MOMENT_S);
}

static void a_history_is_newest_first_and_goes_on(void **state)
{
	(void)state;
	json_t *answer = ask("GET", "/v1/customers/c%2F1/history?limit=2&before=20", "", 200);
	assert_true(world.query.newest_first);
	assert_int_equal(world.query.before, 20);
	assert_string_equal(json_string_value(json_object_get(answer, "next")), "17");
	json_decref(answer);
	answer = ask("GET", "/v1/customers/c%2F1/history", "", 200);
	assert_true(json_is_null(json_object_get(answer, "next")));
	json_decref(answer);
}

#define M1                                                                                                \
	"{\"message\":\"m-1\",\"state\":\"deferred\",\"channel\":\"sms\",\"until\":\"" LATER_TEXT "\","   \
	"\"reasons\":[{\"code\":\"retry\",\"args\":{\"attempt\":1,\"channel\":\"sms\",\"code\":\"429\"}," \
	"\"says\":\"attempt 1 on sms was put off by the other side (429); tried again later\"}]}"

static void a_message_is_explained(void **state)
{
	(void)state;
	expect("POST", "/v1/explain", "{\"message\":\"m-1\"}", 200, M1);
	json_t *answer = ask("GET", "/v1/messages/m-1", "", 200);
	assert_int_equal(json_array_size(json_object_get(answer, "contacts")), 2);
	assert_string_equal(world.message, "m-1");
	json_decref(answer);
}

static void what_would_happen_is_explained(void **state)
{
	(void)state;
	json_t *answer = ask("POST", "/v1/explain", "{\"customer\":\"c/1\",\"product\":\"cards\"}", 200);
	assert_true(json_is_null(json_object_get(answer, "message")));
	assert_string_equal(json_string_value(json_object_get(answer, "state")), "queued");
	assert_string_equal(json_string_value(json_object_get(answer, "channel")), "email");
	assert_true(json_array_size(json_object_get(answer, "reasons")) >= 1);
	json_decref(answer);
}

static void expect_held(const char *product, enum hold_kind kind, const char *name, const char *state)
{
	world.holds[0] = (struct hold){.kind = kind,
				       .name = (char *)name,
				       .why = (char *)"a wrong price",
				       .by = (char *)"api:ops",
				       .actor = (char *)""};
	char *body = xasprintf("{\"customer\":\"c/1\",\"product\":\"%s\"}", product);
	json_t *answer = ask("POST", "/v1/explain", body, 200);
	const json_t *reasons = json_object_get(answer, "reasons"),
		     *last = json_array_get(reasons, json_array_size(reasons) - 1);
	bool held = strcmp(json_string_value(json_object_get(last, "code")), "held") == 0;
	const char *says = json_string_value(json_object_get(last, "says"));

	assert_string_equal(json_string_value(json_object_get(answer, "state")), state);
	assert_string_equal(json_string_value(json_object_get(answer, "channel")), "email");
	assert_true(held == (strcmp(state, "deferred") == 0));
	assert_true(!held || strstr(says, "is held by api:ops: a wrong price"));
	assert_true(json_is_null(json_object_get(answer, "until")));
	json_decref(answer);
	free(body);
}

static void what_operators_hold_is_explained(void **state)
{
	(void)state;
	expect_held("cards", HOLD_CHANNEL, "email", "deferred");
	expect_held("cards", HOLD_PROVIDER, "relay", "deferred");
	expect_held("cards/fraud", HOLD_PRODUCT, "cards", "deferred");
	expect_held("cards", HOLD_PRODUCT, "cards/fraud", "queued");
	expect_held("cards", HOLD_CHANNEL, "sms", "queued");
	expect_held("cards", HOLD_CAMPAIGN, "spring", "queued");
}

static void an_explanation_needs_words_that_fit(void **state)
{
	(void)state;
	expect_problem("POST", "/v1/explain", "{}", 422, "wanted");
	expect_problem("POST", "/v1/explain", "{\"message\":\"m-1\",\"product\":\"cards\"}", 422, "wanted");
	expect_problem("POST", "/v1/explain", "{\"why\":1}", 422, "why");
	expect_problem("POST", "/v1/explain", "{\"customer\":\"c/1\",\"product\":\"pigeons\"}", 404,
		       "pigeons");
	expect_problem("POST", "/v1/explain",
		       "{\"customer\":\"c/1\",\"product\":\"cards\",\"purpose\":\"critical\"}", 422,
		       "looser");
	expect_problem("POST", "/v1/explain",
		       "{\"customer\":\"c/1\",\"product\":\"cards\",\"at\":\"tomorrow\"}", 422,
		       "at: is not a moment");
}

static void expect_until(enum state state, int64_t due, const char *until)
{
	world.waits_in = state;
	world.due = due;
	json_t *answer = ask("POST", "/v1/explain", "{\"message\":\"m-1\"}", 200);
	const char *said = json_string_value(json_object_get(answer, "until"));
	assert_string_equal(said ? said : "null", until);
	json_decref(answer);
}

static void until_is_when_a_message_goes_on_by_itself(void **state)
{
	(void)state;
	expect_until(STATE_DEFERRED, LATER, LATER_TEXT);
	expect_until(STATE_IN_DOUBT, LATER, LATER_TEXT); /* it is resent */
	expect_until(STATE_IN_DOUBT, MOMENT_NEVER, "null");
	expect_until(STATE_DEFERRED, moment_now() - MOMENT_HOUR, "null"); /* behind an open breaker */
	expect_until(STATE_SENT, MOMENT_NEVER, "null");
}

static void an_operator_settles_and_retries(void **state)
{
	(void)state;
	expect("POST", "/v1/messages/m-1/settle", "{\"as\":\"resend\"}", 200, "{\"done\":true}");
	assert_string_equal(world.asked_for, "m-1 resend");
	expect("POST", "/v1/messages/m-1/retry", "", 200, "{\"done\":true}");
	assert_string_equal(world.asked_for, "m-1 retry");
	expect_problem("POST", "/v1/messages/m-1/settle", "{\"as\":\"maybe\"}", 422, "resend");
}

static void the_queue_is_the_sum_and_what_waits(void **state)
{
	(void)state;
	json_t *answer = ask("GET", "/v1/queue", "", 200);
	json_int_t sum = 0;
	for (int i = 0; i < STATES; i++) {
		const json_t *number = json_object_get(answer, state_name((enum state)i));
		assert_true(json_is_integer(number));
		sum += json_integer_value(number);
	}
	assert_int_equal(json_integer_value(json_object_get(answer, "admitted")), sum);
	assert_int_equal(json_integer_value(json_object_get(answer, "dead")), 4);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(answer, "waiting"), "bulk")), 3);
	assert_true(json_number_value(json_object_get(json_object_get(answer, "ages"), "normal")) >= 5.0);
	assert_true(json_is_null(json_object_get(json_object_get(answer, "ages"), "bulk")));
	json_decref(answer);
}

static void the_sum_is_told_without_redis(void **state)
{
	(void)state;
	world.redis_fails = true;
	json_t *answer = ask("GET", "/v1/queue", "", 200);
	assert_int_equal(json_integer_value(json_object_get(answer, "admitted")), 5);
	assert_true(json_is_null(json_object_get(answer, "dead")));
	assert_true(json_is_null(json_object_get(answer, "waiting")));
	assert_string_equal(json_string_value(json_object_get(answer, "redis")), "connection refused");
	json_decref(answer);
}

static void what_keeps_the_gateway_from_taking_is_said(void **state)
{
	(void)state;
	json_t *answer = ask("GET", "/v1/queue", "", 200);
	assert_null(json_object_get(answer, "troubles"));
	json_decref(answer);
	trouble_is(&a_turn.troubles, TROUBLE_STORE, "the disk is full");
	trouble_is(&a_turn.troubles, TROUBLE_BACKLOG, "7 messages wait");
	answer = ask("GET", "/v1/queue", "", 200);
	const json_t *troubles = json_object_get(answer, "troubles");
	assert_int_equal(json_array_size(troubles), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(troubles, 0), "cause")),
			    "store");
	assert_string_equal(json_string_value(json_object_get(json_array_get(troubles, 1), "says")),
			    "7 messages wait");
	json_decref(answer);
	expect_problem("GET", "/readyz", "", 503, "the disk is full; nothing is taken");
	trouble_over(&a_turn.troubles, TROUBLE_STORE);
	a_turn.lanes = 1;
	answer = ask("GET", "/readyz", "", 200);
	assert_int_equal(json_array_size(json_object_get(answer, "troubles")), 1);
	json_decref(answer);
	trouble_over(&a_turn.troubles, TROUBLE_BACKLOG);
	a_turn.lanes = 0;
}

static void a_store_that_fails_is_503(void **state)
{
	(void)state;
	world.store_fails = true;
	expect_problem("GET", "/v1/customers/c%2F1", "", 503, "the disk is gone");
	expect_problem("GET", "/v1/log", "", 503, "the disk is gone");
	expect_problem("GET", "/v1/messages/m-1", "", 503, "the disk is gone");
	expect_problem("GET", "/v1/queue", "", 503, "the disk is gone");
}

static void a_process_that_only_reads_changes_nothing(void **state)
{
	struct turn *turn = api.door.turn;

	(void)state;
	api.door.turn = NULL;
	expect_problem("PUT", "/v1/customers/c-1", "{}", 503, "only read");
	expect_problem("POST", "/v1/messages/m-1/retry", "", 503, "only read");
	api.door.turn = turn;
	assert_string_equal(world.asked_for, "");
}

#define story(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(what_is_not_there_is_a_problem),
		story(over_tcp_a_token_is_wanted),
		story(a_scope_that_is_missing_is_named),
		story(changes_are_made_by_the_tokens_name),
		story(the_public_door_shows_nothing_of_the_others),
		story(only_json_is_taken_and_given),
		story(a_patch_may_say_that_it_is_one),
		story(a_body_that_is_packed_is_refused),
		story(a_parameter_that_nobody_knows_is_told),
		story(what_may_be_left_out_may_be_left_out_with_the_body),
		story(a_key_that_does_not_fit_is_named),
		story(the_methods_of_a_path_can_be_asked_for),
		story(a_problem_names_the_field),
		story(bodies_are_checked_before_anything_is_done),
		story(an_import_is_bounded),
		story(a_customer_is_shown_with_its_preferences),
		story(a_customer_is_found_by_its_address_however_it_is_written),
		story(put_replaces_and_patch_merges),
		story(what_the_turn_refuses_is_a_problem_with_its_words),
		story(the_product_of_a_preference_may_be_a_part_or_a_star),
		story(all_preferences_are_put_in_one_commit),
		story(a_limited_token_is_told_of_its_own_choices_only),
		story(a_preference_is_shown_or_what_applies_in_its_place),
		story(a_contact_is_shown_as_the_contract_says),
		story(the_log_is_filtered_by_what_is_asked),
		story(a_limited_token_sees_all_of_its_products_and_no_other),
		story(a_cursor_misses_nothing),
		story(a_call_that_waits_answers_as_soon_as_there_is_something),
		story(a_call_that_waits_ends_when_the_gateway_stops),
		story(a_history_is_newest_first_and_goes_on),
		story(a_message_is_explained),
		story(what_would_happen_is_explained),
		story(what_operators_hold_is_explained),
		story(an_explanation_needs_words_that_fit),
		story(until_is_when_a_message_goes_on_by_itself),
		story(an_operator_settles_and_retries),
		story(the_queue_is_the_sum_and_what_waits),
		story(the_sum_is_told_without_redis),
		story(what_keeps_the_gateway_from_taking_is_said),
		story(a_store_that_fails_is_503),
		story(a_process_that_only_reads_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
