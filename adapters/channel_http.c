/* The channel for HTTP APIs: a provider's file says all that is particular to it (provider_request.h,
 * provider_answer.h); here is what the files have in common. */
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "config.h"
#include "config_check.h"
#include "http_client.h"
#include "command.h"
#include "moment.h"
#include "outgoing.h"
#include "provider_answer.h"
#include "provider_token.h"
#include "xalloc.h"
#include "banned.h"

#define FAILURES_IN_A_ROW 3 /* from this 5xx on it is the provider and not the message */

struct http_channel {
	struct channel base;
	struct http_engine *engine;
	struct provider_request *request;
	struct provider_answer *answer;
	struct provider_token *token; /* NULL: the file asks for none; the engine's thread */
	int failures;                 /* 5xx since the last other answer; the engine's thread */
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
	struct provider_sink sink = {.url = &request->url,
				     .body = &request->body,
				     .header = add_header,
				     .context = request,
				     .token = channel->token ? provider_token_value(channel->token) : NULL};
	struct text error;

	text_init(&error, OUTCOME_TEXT_MAX);
	bool ok = outgoing_to_provider(base->config, attempt, channel->request, &sink, &kept, &error);
	if (!ok)
		*outcome = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "%s", error.data);
	request->tag = channel->token ? provider_token_number(channel->token) : 0;
	request->method = sink.method;
	request->has_body = sink.has_body;
	request->summary = kept.summary;
	request->content = kept.content;
	request->segments = kept.segments;
	text_release(&error);
	return ok;
}

static struct provider_reply reply_of(const struct http_channel *channel,
				      const struct http_response *response)
{
	return (struct provider_reply){.status = response->status,
				       .complete = response->complete,
				       .body = response->body.data,
				       .body_len = response->body.len,
				       .header = response->header.data,
				       .retry_after = response->retry_after,
				       .secret =
					       channel->token ? provider_token_value(channel->token) : NULL};
}

static void http_judge(struct channel *base, const struct http_response *response, struct outcome *outcome)
{
	struct http_channel *channel = (struct http_channel *)base;
	struct provider_reply reply = reply_of(channel, response);

	provider_answer_judge(channel->answer, &reply, outcome);
	channel->failures = response->status >= 500 ? channel->failures + 1 : 0;
	if (outcome->kind == OUTCOME_RETRY && channel->failures >= FAILURES_IN_A_ROW)
		outcome->scope = SCOPE_PROVIDER;
}

/* --- the access token --- */

static enum http_need token_need(struct channel *base)
{
	static const enum http_need needs[] = {[TOKEN_FINE] = HTTP_NEED_NOTHING,
					       [TOKEN_WANTED] = HTTP_NEED_SOON,
					       [TOKEN_MISSING] = HTTP_NEED_FIRST};
	const struct http_channel *channel = (const struct http_channel *)base;

	return channel->token ? needs[provider_token_need(channel->token, moment_mono())] : HTTP_NEED_NOTHING;
}

static bool token_errand(struct channel *base, struct http_request *request, struct outcome *outcome)
{
	const struct http_channel *channel = (const struct http_channel *)base;
	struct provider_sink sink = {
		.url = &request->url, .body = &request->body, .header = add_header, .context = request};
	struct text error;

	text_init(&error, OUTCOME_TEXT_MAX);
	bool ok = http_request_header(request, "User-Agent", "heed/" HEED_VERSION) &&
		  provider_token_request(channel->token, &sink, &error);
	request->method = sink.method;
	request->has_body = sink.has_body;
	if (!ok)
		*outcome = outcome_make(OUTCOME_RETRY, SCOPE_PROVIDER, "token",
					"the request for a token can't be made: %s", error.data);
	text_release(&error);
	return ok;
}

static bool token_done(struct channel *base, const struct http_response *response, struct outcome *outcome)
{
	struct http_channel *channel = (struct http_channel *)base;

	if (!response) {
		struct outcome why = *outcome;
		*outcome = outcome_make(OUTCOME_RETRY, SCOPE_PROVIDER, why.code, "no token could be had: %s",
					why.text);
		return provider_token_take(channel->token, NULL, moment_mono(), outcome);
	}
	struct provider_reply reply = reply_of(channel, response);
	return provider_token_take(channel->token, &reply, moment_mono(), outcome);
}

/* A token may end before its time: once more with a new one. */
static bool token_refused(struct channel *base, const struct http_request *request,
			  const struct http_response *response)
{
	struct http_channel *channel = (struct http_channel *)base;

	if (!channel->token || response->status != 401)
		return false;
	provider_token_refuse(channel->token, request->tag);
	return true;
}

static const struct http_handler http_handler = {.prepare = http_prepare,
						 .judge = http_judge,
						 .need = token_need,
						 .errand = token_errand,
						 .errand_done = token_done,
						 .again = token_refused};

static bool http_check(const struct channel_config *config, struct text *errors)
{
	const json_t *settings = settings_of(config);

	if (!config->provider_file) {
		text_puts(errors, "has no provider; provider: NAME of a file in providers/ would be right\n");
		return false;
	}
	struct provider_request *request = provider_request_compile(config->provider_file, settings, errors);
	struct provider_answer *answer = provider_answer_compile(config->provider_file, settings, errors);
	size_t before = errors->len;
	struct provider_token *token = provider_token_compile(config->provider_file, settings, errors);
	bool ok = request && answer && errors->len == before;

	provider_token_free(token);
	provider_request_free(request);
	provider_answer_free(answer);
	return ok;
}

static void http_free(struct http_channel *channel)
{
	provider_request_free(channel->request);
	provider_answer_free(channel->answer);
	provider_token_free(channel->token);
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
	size_t before = error->len;
	channel->token = provider_token_compile(config->provider_file, settings, error);
	if (channel->request && channel->answer && error->len == before) {
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
	struct text why;

	text_init(&why, TEXT_ERROR_MAX);
	bool ok = !url || http_probe(url, &why);
	if (!ok) {
		struct config_url address; /* its login is nobody's business */
		config_url_parse(url, &address);
		text_error(error, "%s at %s: %s", config->provider, address.host ? address.host : "base_url",
			   why.data);
		config_url_release(&address);
	}
	text_release(&why);
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
