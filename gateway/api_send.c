/* Route: messages that do not come through the queue. They go through the turn as those of the queue do, and
 * are answered once they are committed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "message_fit.h"
#include "xalloc.h"
#include "banned.h"

#define SEND_MAX 1000                 /* messages of a call */
#define SEND_PATIENCE (10 * MOMENT_S) /* for the commit; the store may be busy, or fail */
#define ID_TEXT 37

/* One of the messages, from the body to its place in the answer. */
struct item {
	struct admission *admission;
	int status;      /* 0: nothing is wrong with it */
	json_t *problem; /* owned */
};

/* As UUID version 7 (RFC 9562): ids rise with time, which is what an index likes. */
static void id_make(char out[ID_TEXT])
{
	unsigned char b[16];
	uint64_t ms = (uint64_t)(moment_now() / MOMENT_MS);

	digest_random(b, sizeof b);
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)(ms >> (40 - 8 * i));
	b[6] = (unsigned char)(0x70 | (b[6] & 0x0f));
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	snprintf(out, ID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		 b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

__attribute__((format(printf, 3, 4))) static void item_refuse(struct item *item, int status,
							      const char *format, ...)
{
	struct text why;
	va_list args;

	text_init(&why, TEXT_ERROR_MAX);
	va_start(args, format);
	text_vaddf(&why, format, args);
	va_end(args);
	item->status = status;
	item->problem = api_problem(status, why.data);
	if (!item->problem) /* it quotes what is not UTF-8 */
		item->problem = api_problem(status, "the details cannot be shown: they are not UTF-8");
	text_release(&why);
}

/* What `heed send` would say, and whether the token is for it. */
static void item_read(struct call *call, const json_t *json, struct item *item)
{
	struct admission *admission = item->admission = xcalloc(1, sizeof *admission);
	struct message *message = &admission->message;

	admission->entry.lane = LANE_NORMAL;
	text_init(&admission->error, TEXT_ERROR_MAX);
	if (!message_from_json(json, message, &admission->error))
		item_refuse(item, 422, "%s", admission->error.data);
	else if (strlen(message->body) > MESSAGE_SIZE_MAX)
		item_refuse(item, 422, "message: has %zu bytes; %d are allowed", strlen(message->body),
			    MESSAGE_SIZE_MAX);
	else if (!call_sees_product(call, message->product))
		item_refuse(item, 403, "product: the token %s is not for %s", call->token->name,
			    message->product);
}

static void item_release(struct item *item)
{
	admission_free(item->admission);
	json_decref(item->problem);
}

static json_t *item_json(struct item *item)
{
	const char *id = item->admission->message.id;

	if (!item->status)
		return json_pack("{s:s, s:s}", "id", id, "state", state_name(item->admission->state));
	if (id && *id)
		json_object_set_new(item->problem, "id", json_string(id));
	return json_incref(item->problem);
}

/* The header serves as id where the body has none. False, and answered: it does not fit. */
static bool idempotency_key(struct call *call)
{
	const char *key = api_request_header(call->request, "Idempotency-Key");
	const json_t *id = json_object_get(call->body, "id");
	size_t len = strlen(key);

	if (!api_request_has(call->request, "Idempotency-Key"))
		return true;
	if (json_is_array(call->body)) {
		call_problem(call, 422,
			     "Idempotency-Key: is for one message; give each of several its own id");
		return false;
	}
	bool quoted = len > 1 && *key == '"' && key[len - 1] == '"'; /* as RFC 8941 writes a string */
	char *bare = xmemdup0(key + quoted, len - 2 * quoted);
	bool valid = message_id_valid(bare),
	     fits = !id || (json_is_string(id) && strcmp(json_string_value(id), bare) == 0);
	if (!valid)
		call_problem(call, 422, "Idempotency-Key: 1 to 128 of A-Z a-z 0-9 . _ : - are wanted");
	else if (!fits)
		call_problem(call, 422, "Idempotency-Key: is not the id of the message");
	else if (!id && json_is_object(call->body))
		json_object_set_new(call->body, "id", json_string(bare));
	free(bare);
	return valid && fits;
}

/* --- enqueue --- */

/* NULL, or why nothing can be taken now. */
static const char *not_now(struct call *call, const struct message *message)
{
	unsigned lanes = turn_lanes(call->api->door.turn);

	if (!lanes)
		return "the gateway does not take anything now (/readyz says why); it was not admitted";
	if (!(lanes & 1u << (message->has_lane ? message->lane : LANE_NORMAL)))
		return "lane: too much waits (store.max_backlog), and bulk goes last; it was not admitted";
	return NULL;
}

static void enqueue(struct call *call, struct item items[], size_t count)
{
	struct admission_batch batch = {.list = xcalloc(count, sizeof *batch.list),
					.deadline = moment_mono() + SEND_PATIENCE};
	char id[ID_TEXT];

	for (size_t i = 0; i < count; i++) {
		struct message *message = &items[i].admission->message;
		const char *why = items[i].status ? NULL : not_now(call, message);
		if (why)
			item_refuse(&items[i], 503, "%s", why);
		if (items[i].status)
			continue;
		if (!*message->id) {
			id_make(id);
			xreplace(&message->id, id);
		}
		batch.list[batch.count++] = items[i].admission;
	}
	if (batch.count)
		turn_admit_batch(call->api->door.turn, &batch);
	for (size_t i = 0; i < count; i++)
		if (!items[i].status && items[i].admission->refused)
			item_refuse(&items[i], items[i].admission->status, "%s",
				    items[i].admission->error.data);
	free(batch.list);
}

/* --- check --- */

/* Takes what a helper answered as the item's. */
static void item_take_problem(struct call *call, struct item *item)
{
	item->status = call->response->status;
	item->problem = json_incref(call->response->body);
	api_response_release(call->response);
}

/* What would happen, as the item's line of the answer; NULL: a problem was found. */
static json_t *check_item(struct call *call, struct item *item, int64_t now)
{
	const struct message *message = &item->admission->message;
	struct message_row known = {0};
	json_t *answer = NULL;
	struct text why;

	text_init(&why, TEXT_ERROR_MAX);
	if (*message->id && !store_read_message(call->api->reader, message->id, &known)) {
		item_refuse(item, 503, "the store cannot be read: %s", store_reader_error(call->api->reader));
	} else if (known.n && memcmp(known.hash, message->hash, sizeof known.hash) != 0) {
		item_refuse(item, 409, "id: %s was used before, with other content", message->id);
	} else if (known.n) {
		message_explain(call, message->id);
		answer = json_incref(call->response->body);
		api_response_release(call->response);
	} else if (!message_fits(message, call->api->config, &why)) {
		item_refuse(item, 422, "%s", why.data);
	} else if (!(answer = explain_message(call, message, now))) {
		item_take_problem(call, item);
		if (item->status == 404) { /* a message for nobody is not admitted */
			json_decref(item->problem);
			item_refuse(item, 422, "customer: %s is unknown; put or import the customer first",
				    message->customer);
		}
	}
	if (answer && *message->id)
		json_object_set_new(answer, "id", json_string(message->id));
	message_row_release(&known);
	text_release(&why);
	return answer;
}

/* Refuses the item where one before it in the batch would have its id by then, with other content. */
static void check_before(const struct item items[], struct item *item)
{
	const struct message *message = &item->admission->message;

	for (const struct item *first = items; !item->status && *message->id && first < item; first++)
		if (!first->status && strcmp(first->admission->message.id, message->id) == 0 &&
		    memcmp(first->admission->message.hash, message->hash, sizeof message->hash) != 0)
			item_refuse(item, 409, "id: %s was used before, with other content", message->id);
}

/* --- the route --- */

static void answer_one(struct call *call, struct item *item, json_t *checked)
{
	if (item->status)
		call_answer(call, item->status, item_json(item));
	else
		call_answer(call, checked ? 200 : 202, checked ? json_incref(checked) : item_json(item));
}

/* 503 for all where nothing could be taken now: who sends tries again later. */
static void answer_all(struct call *call, struct item items[], size_t count, json_t *checked)
{
	json_t *list = json_array();
	size_t later = 0;

	for (size_t i = 0; i < count; i++) {
		later += items[i].status == 503;
		json_t *line = items[i].status || !checked ? item_json(&items[i])
							   : json_incref(json_array_get(checked, i));
		json_array_append_new(list, line);
	}
	if (count && later == count) {
		json_decref(list);
		call_answer(call, 503, json_incref(items[0].problem));
	} else {
		call_answer(call, checked ? 200 : 202, list);
	}
}

static void send_all(struct call *call, bool check)
{
	const bool many = json_is_array(call->body);
	size_t count = many ? json_array_size(call->body) : 1;
	struct item *items = xcalloc(count, sizeof *items);
	json_t *checked = check ? json_array() : NULL;
	int64_t now = moment_now();

	for (size_t i = 0; i < count; i++)
		item_read(call, many ? json_array_get(call->body, i) : call->body, &items[i]);
	for (size_t i = 0; check && i < count; i++) {
		check_before(items, &items[i]);
		json_t *line = items[i].status ? NULL : check_item(call, &items[i], now);
		json_array_append_new(checked, line ? line : json_null());
	}
	if (!check)
		enqueue(call, items, count);
	if (many)
		answer_all(call, items, count, checked);
	else
		answer_one(call, &items[0], json_array_get(checked, 0));
	for (size_t i = 0; i < count; i++)
		item_release(&items[i]);
	free(items);
	json_decref(checked);
}

void api_messages_post(struct call *call)
{
	bool check;

	if (!call_flag(call, "check", &check) || !idempotency_key(call))
		return;
	if (json_array_size(call->body) > SEND_MAX)
		call_problem(call, 422, "body: a message, or an array of at most %d, is wanted", SEND_MAX);
	else if (!check && (!call->api->door.turn || call->api->door.alone))
		call_problem(call, 503, "no gateway runs here: put it in the queue (heed send)");
	else
		send_all(call, check);
}
