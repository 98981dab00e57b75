/* The log as it grows. A reader of its own, a cursor that rises with each change, and a sign of life now and
 * then: who was cut off goes on from the last id that it saw, and misses nothing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api_private.h"
#include "xalloc.h"
#include "banned.h"

#define STREAM_PAGE 100              /* contacts read at a time */
#define STREAM_STEP (50 * MOMENT_MS) /* how often it looks */
#define STREAM_SIGN_OF_LIFE (10 * MOMENT_S)

struct log_stream {
	struct api_stream base;
	struct store_reader *reader;
	const _Atomic bool *stopping;
	const _Atomic unsigned *generation;
	unsigned born; /* the generation then: another one, and whoever listens shows its token again */
	struct log_query query; /* its words are owned */
	int64_t next_sign;      /* monotonic */
};

static void add_contact(const struct contact *contact, struct text *out)
{
	json_t *json = contact_to_json(contact);
	char *words = json_dumps(json, JSON_COMPACT);

	text_addf(out, "id: %" PRId64 "\nevent: contact\ndata: %s\n\n", contact->changed, words);
	free(words);
	json_decref(json);
}

/* What changed since. False: the store failed. */
static bool add_page(struct log_stream *stream, struct text *out, size_t *added)
{
	struct contact *contacts = NULL;
	size_t count = 0;
	bool ok = store_read_log(stream->reader, &stream->query, &contacts, &count);

	*added = 0;
	for (size_t i = 0; ok && i < count; i++) {
		size_t before = out->len;
		add_contact(&contacts[i], out);
		if (out->full) { /* the rest goes with the next piece */
			out->data[out->len = before] = '\0';
			out->full = false;
			break;
		}
		stream->query.after = contacts[i].changed;
		(*added)++;
	}
	for (size_t i = 0; i < count; i++)
		contact_release(&contacts[i]);
	free(contacts);
	return ok;
}

static bool is_over(const struct log_stream *stream)
{
	return (stream->stopping && *stream->stopping) ||
	       (stream->generation && *stream->generation != stream->born);
}

static bool log_stream_more(struct api_stream *base, struct text *out)
{
	static const struct timespec step = {.tv_nsec = STREAM_STEP * 1000};
	struct log_stream *stream = (struct log_stream *)base;
	int64_t until = moment_mono() + API_STREAM_STEP;
	size_t added = 0;

	while (!is_over(stream)) {
		if (!add_page(stream, out, &added)) {
			text_puts(out, "event: problem\ndata: the store cannot be read\n\n");
			return false;
		}
		if (!added && moment_mono() >= stream->next_sign) {
			text_puts(out, ": still here\n\n");
			added++;
		}
		if (added) {
			stream->next_sign = moment_mono() + STREAM_SIGN_OF_LIFE;
			return true;
		}
		if (moment_mono() >= until)
			return true;
		nanosleep(&step, NULL);
	}
	return false;
}

static void log_stream_close(struct api_stream *base)
{
	struct log_stream *stream = (struct log_stream *)base;

	store_reader_close(stream->reader);
	free((char *)stream->query.customer);
	free((char *)stream->query.product);
	free((char *)stream->query.products);
	free((char *)stream->query.channel);
	free((char *)stream->query.message);
	free(stream);
}

static const char *own(const char *word)
{
	return word ? xstrdup(word) : NULL;
}

/* Where to begin. False, and answered: Last-Event-ID is none of ours, or the store failed. */
static bool begin_after(struct call *call, const struct log_query *query, int64_t *after)
{
	const char *last = api_request_header(call->request, "Last-Event-ID");

	*after = query->after;
	if (*last) { /* a browser sends it with the address that it was first given */
		char *end;
		*after = strtoll(last, &end, 10);
		if (*last < '0' || *last > '9' || *end) {
			call_problem(call, 400, "Last-Event-ID: is not one of this log");
			return false;
		}
	} else if (!query->by_change && !store_read_last_change(call->api->reader, after)) {
		call_store_failed(call);
		return false;
	}
	return true;
}

void api_log_stream(struct call *call, const struct log_query *query)
{
	const struct api *api = call->api;
	struct text error;
	int64_t after;

	if (!begin_after(call, query, &after))
		return;
	text_init(&error, TEXT_ERROR_MAX);
	struct store_reader *reader = store_reader_open(api->config->store.url, &error);
	if (reader) {
		struct log_stream *stream = xcalloc(1, sizeof *stream);
		*stream = (struct log_stream){.base = {log_stream_more, log_stream_close},
					      .reader = reader,
					      .stopping = api->stopping,
					      .generation = api->generation,
					      .born = api->generation ? *api->generation : 0,
					      .query = *query};
		stream->query.customer = own(query->customer);
		stream->query.product = own(query->product);
		stream->query.products = own(query->products);
		stream->query.channel = own(query->channel);
		stream->query.message = own(query->message);
		stream->query.by_change = true;
		stream->query.after = after;
		stream->query.before = 0;
		stream->query.limit = STREAM_PAGE;
		call_answer(call, 200, NULL);
		call->response->stream = &stream->base;
		call->response->type = xstrdup(LOG_STREAM_TYPE);
		api_response_header(call->response, "X-Accel-Buffering", "no"); /* nginx: as it comes */
	} else {
		call_problem(call, 503, "the store cannot be read: %s", error.data);
	}
	text_release(&error);
}
