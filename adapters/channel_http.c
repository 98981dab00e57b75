/* The channel for HTTP APIs: a provider's file says all that is particular to it (provider_request.h,
 * provider_answer.h); here is what the files have in common. */
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "config.h"
#include "http_client.h"
#include "outgoing.h"
#include "provider_answer.h"
#include "xalloc.h"
#include "banned.h"

#define FAILURES_IN_A_ROW 3 /* from this 5xx on it is the provider and not the message */

struct http_channel {
	struct channel base;
	struct http_engine *engine;
	struct provider_request *request;
	struct provider_answer *answer;
	int failures; /* 5xx since the last other answer; the engine's thread */
};

static enum address_kind http_address_kind(const struct channel_config *config)
{
	static const struct {
		const char *name;
		enum address_kind kind;
	} kinds[] = {{"phone", ADDRESS_PHONE}, {"email", ADDRESS_EMAIL}, {"url", ADDRESS_URL}};
	const char *name = json_string_value(json_object_get(config->provider_file, "address"));

	for (size_t i = 0; name && i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(name, kinds[i].name) == 0)
			return kinds[i].kind;
	return ADDRESS_TEXT;
}

/* The provider's settings; the configuration has filled the defaults in. */
static const json_t *settings_of(const struct channel_config *config)
{
	return json_object_get(config->settings, "settings");
}

static bool add_header(void *context, const char *name, const char *value)
{
	return http_request_header(context, name, value);
}

static bool http_prepare(struct channel *base, const struct attempt *attempt, struct http_request *request,
			 struct outcome *outcome)
{
	const struct http_channel *channel = (const struct http_channel *)base;
	struct outgoing kept = {0};
	struct provider_sink sink = {
		.url = &request->url, .body = &request->body, .header = add_header, .context = request};
	struct text error;

	text_init(&error, OUTCOME_TEXT_MAX);
	bool ok = outgoing_to_provider(base->config, attempt, channel->request, &sink, &kept, &error);
	if (!ok)
		*outcome = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "%s", error.data);
	request->method = sink.method;
	request->has_body = sink.has_body;
	request->summary = kept.summary;
	request->content = kept.content;
	request->segments = kept.segments;
	text_release(&error);
	return ok;
}

static void http_judge(struct channel *base, const struct http_response *response, struct outcome *outcome)
{
	struct http_channel *channel = (struct http_channel *)base;
	struct provider_reply reply = {.status = response->status,
				       .complete = response->complete,
				       .body = response->body.data,
				       .body_len = response->body.len,
				       .header = response->header.data,
				       .retry_after = response->retry_after};

	provider_answer_judge(channel->answer, &reply, outcome);
	channel->failures = response->status >= 500 ? channel->failures + 1 : 0;
	if (outcome->kind == OUTCOME_RETRY && channel->failures >= FAILURES_IN_A_ROW)
		outcome->scope = SCOPE_PROVIDER;
}

static const struct http_handler http_handler = {.prepare = http_prepare, .judge = http_judge};

static bool http_check(const struct channel_config *config, struct text *errors)
{
	const json_t *settings = settings_of(config);

	if (!config->provider_file) {
		text_puts(errors, "has no provider; provider: NAME of a file in providers/ would be right\n");
		return false;
	}
	struct provider_request *request = provider_request_compile(config->provider_file, settings, errors);
	struct provider_answer *answer = provider_answer_compile(config->provider_file, settings, errors);
	bool ok = request && answer;

	provider_request_free(request);
	provider_answer_free(answer);
	return ok;
}

static void http_free(struct http_channel *channel)
{
	provider_request_free(channel->request);
	provider_answer_free(channel->answer);
	free(channel);
}

static struct channel *http_open(const struct channel_config *config, struct outcome_sink sink,
				 struct text *error)
{
	struct http_channel *channel = xcalloc(1, sizeof *channel);
	const json_t *settings = settings_of(config);

	(void)sink;
	channel->request = provider_request_compile(config->provider_file, settings, error);
	channel->answer = provider_answer_compile(config->provider_file, settings, error);
	if (channel->request && channel->answer) {
		struct http_options options = {.timeout = config->timeout,
					       .fault = SCOPE_PROVIDER,
					       .keep_header = provider_answer_header(channel->answer)};
		channel->engine = http_engine_open(&channel->base, &http_handler, &options, error);
	}
	if (!channel->engine) {
		http_free(channel);
		return NULL;
	}
	return &channel->base;
}

static void http_send(struct channel *channel, struct attempt *attempt)
{
	http_engine_send(((struct http_channel *)channel)->engine, attempt);
}

static void http_close(struct channel *base, int64_t patience)
{
	struct http_channel *channel = (struct http_channel *)base;

	http_engine_close(channel->engine, patience);
	http_free(channel);
}

static bool http_channel_probe(const struct channel_config *config, struct text *error)
{
	const json_t *settings = settings_of(config);
	const char *url = json_string_value(json_object_get(settings, "base_url"));
	bool ok = !url || http_probe(url, error);

	return ok;
}

extern const struct channel_ops channel_http_ops; /* adapters/registry.c names it */
const struct channel_ops channel_http_ops = {
	.adapter = "http",
	.text = CHANNEL_TEXT_PLAIN,
	.address_kind = http_address_kind,
	.has_provider = true,
	.resend_in_doubt = false,
	.check = http_check,
	.open = http_open,
	.send = http_send,
	.close = http_close,
	.probe = http_channel_probe,
};
