/* Routes: a customer's rights, and pruning. */
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "export.h"
#include "log.h"
#include "queue.h"
#include "xalloc.h"
#include "banned.h"

/* --- export --- */

struct export_stream {
	struct api_stream base;
	struct export *export;
};

static bool export_stream_more(struct api_stream *base, struct text *out)
{
	struct export_stream *stream = (struct export_stream *)base;
	bool failed, more = export_more(stream->export, API_STREAM_PIECE / 2, out, &failed);

	if (failed)
		log_warn("an export broke off: the store cannot be read");
	return more;
}

static void export_stream_close(struct api_stream *base)
{
	struct export_stream *stream = (struct export_stream *)base;

	export_close(stream->export);
	free(stream);
}

void api_customer_export(struct call *call)
{
	struct export *export = NULL;
	struct text error;
	bool unknown = false;

	text_init(&error, TEXT_ERROR_MAX);
	struct store_reader *reader = store_reader_open(call->api->config->store.url, &error);
	if (reader)
		export = export_open(reader, call->args[0], &unknown, &error);
	if (export) {
		struct export_stream *stream = xcalloc(1, sizeof *stream);
		*stream = (struct export_stream){{export_stream_more, export_stream_close}, export};
		call->response->status = 200;
		call->response->stream = &stream->base;
		call->response->type = xstrdup("application/json");
	} else if (unknown) {
		call_problem(call, 404, "customer %s: there is no customer with this id", call->args[0]);
	} else {
		call_problem(call, 503, "the store cannot be read: %s", error.data);
	}
	text_release(&error);
}

/* --- erasure --- */

struct forgotten {
	const char *id;
	char *word; /* the id as JSON has it */
	struct customer_view view;
};

static bool has_text(const struct dead_letter *letter, const char *text)
{
	return *text && memmem(letter->message, letter->message_len, text, strlen(text));
}

/* For the customer, or says the id or an address. */
static bool is_about(const struct dead_letter *letter, const void *context)
{
	const struct forgotten *who = context;
	bool about = has_text(letter, who->word);

	for (size_t i = 0; !about && who->view.customer && i < who->view.customer->address_count; i++)
		about = has_text(letter, who->view.customer->addresses[i].value);
	return about;
}

/* What could not be admitted lies in Redis, not in the store. */
static void erase_dead(struct call *call, const struct forgotten *who, json_t *answer)
{
	int64_t dropped = 0;
	char *why = NULL;

	if (queue_drop_dead(call->api, is_about, who, &dropped, &why)) {
		json_object_set_new(answer, "dead", json_integer(dropped));
		return;
	}
	json_t *words = json_string(why);
	json_object_set_new(answer, "dead", json_null());
	json_object_set_new(answer, "dead_problem", words ? words : json_string("Redis does not answer"));
	free(why);
}

void api_customer_erase(struct call *call)
{
	struct forgotten who = {.id = call->args[0]};
	struct text problem, word;
	json_t *answer = NULL;

	if (!call_may_change(call))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	text_init(&word, 8 * URL_PART_MAX);
	text_json(&word, who.id);
	who.word = word.data;
	/* before it is gone: what it is found by in the dead letters */
	if (!store_read_customer(call->api->reader, who.id, &who.view.customer, &who.view.preferences,
				 &who.view.count)) {
		call_store_failed(call);
		goto out;
	}
	int status = request_erase(&call->api->door, &call->request->asker, who.id, &answer, &problem);
	if (status == 200)
		erase_dead(call, &who, answer);
	call_result(call, status, answer, &problem);
out:
	customer_view_release(&who.view);
	text_release(&word);
	text_release(&problem);
}

/* --- pruning --- */

void api_prune(struct call *call)
{
	json_t *answer = NULL;
	struct text problem;

	if (!call_may_change(call))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_prune(&call->api->door, &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}
