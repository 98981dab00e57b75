/* Webhooks: the request that outgoing.h describes, a POST to the customer's own URL. It is https to a public
 * address unless the channel's settings allow_http and allow_private say otherwise. The verdict falls at the
 * status line; what follows is not looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "config.h"
#include "http_client.h"
#include "outgoing.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

struct webhook {
	struct channel base;
	struct http_engine *engine;
	bool allow_http;
};

static enum address_kind webhook_address_kind(const struct channel_config *config)
{
	(void)config;
	return ADDRESS_URL;
}

/* --- a request --- */

static bool add_header(void *context, const char *name, const char *value)
{
	return http_request_header(context, name, value);
}

static bool webhook_prepare(struct channel *channel, const struct attempt *attempt,
			    struct http_request *request, struct outcome *outcome)
{
	const struct webhook *webhook = (const struct webhook *)channel;
	struct outgoing kept = {0};
	struct provider_sink sink = {
		.url = &request->url, .body = &request->body, .header = add_header, .context = request};
	struct text error, blocked;

	text_init(&error, OUTCOME_TEXT_MAX);
	text_init(&blocked, OUTCOME_TEXT_MAX);
	bool made = outgoing_to_webhook(channel->config, attempt, &sink, &kept, &error);
	bool allowed = http_url_check(attempt->address, webhook->allow_http, &blocked);
	if (!allowed)
		*outcome = outcome_make(OUTCOME_REJECTED, SCOPE_MESSAGE, "blocked", "%s", blocked.data);
	else if (!made)
		*outcome = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "%s", error.data);
	request->method = sink.method;
	request->has_body = sink.has_body;
	request->summary = kept.summary;
	request->content = kept.content;
	text_release(&error);
	text_release(&blocked);
	return made && allowed;
}

/* --- an answer --- */

static void webhook_judge(struct channel *channel, const struct http_response *response,
			  struct outcome *outcome)
{
	int status = response->status;
	enum outcome_kind kind = OUTCOME_IN_DOUBT;
	enum outcome_scope scope = SCOPE_MESSAGE;
	const char *means = "which means nothing to heed";
	char code[16];

	(void)channel;
	if (status >= 200 && status < 300) {
		kind = OUTCOME_ACCEPTED;
		means = "it took the message";
	} else if (status == 410) {
		kind = OUTCOME_REJECTED;
		scope = SCOPE_ADDRESS;
		means = "the URL is gone for good";
	} else if (status == 408 || status == 429 || (status >= 500 && status < 600)) {
		kind = OUTCOME_RETRY;
		means = "later";
	} else if (status >= 300 && status < 400) {
		kind = OUTCOME_REJECTED;
		means = "redirects are not followed";
	} else if (status >= 400 && status < 500) {
		kind = OUTCOME_REJECTED;
		means = "it refused the message";
	}
	snprintf(code, sizeof code, "%d", status);
	*outcome = outcome_make(kind, scope, code, "the receiver answered %d: %s", status, means);
	outcome->delivered = kind == OUTCOME_ACCEPTED;
	outcome->retry_after = kind == OUTCOME_RETRY ? response->retry_after : 0;
}

/* --- the channel --- */

static const struct http_handler webhook_handler = {.prepare = webhook_prepare, .judge = webhook_judge};

static bool webhook_check(const struct channel_config *config, struct text *errors)
{
	static const char *const flags[] = {"allow_private", "allow_http"};
	bool ok = true;

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		const json_t *flag = json_object_get(config->settings, flags[i]);
		if (!flag || json_is_boolean(flag))
			continue;
		text_addf(errors, "%s: must be true or false\n", flags[i]);
		ok = false;
	}
	return ok;
}

static struct channel *webhook_open(const struct channel_config *config, struct outcome_sink sink,
				    struct text *error)
{
	struct webhook *webhook = xcalloc(1, sizeof *webhook);
	struct http_options options = {
		.timeout = config->timeout,
		.status_line_decides = true,
		.vet = !json_is_true(json_object_get(config->settings, "allow_private")),
		.direct = true,
		.fault = SCOPE_MESSAGE, /* every receiver stands for itself */
	};

	(void)sink;
	webhook->allow_http = json_is_true(json_object_get(config->settings, "allow_http"));
	webhook->engine = http_engine_open(&webhook->base, &webhook_handler, &options, error);
	if (!webhook->engine) {
		free(webhook);
		return NULL;
	}
	return &webhook->base;
}

static void webhook_send(struct channel *channel, struct attempt *attempt)
{
	http_engine_send(((struct webhook *)channel)->engine, attempt);
}

static void webhook_close(struct channel *channel, int64_t patience)
{
	http_engine_close(((struct webhook *)channel)->engine, patience);
	free(channel);
}

extern const struct channel_ops channel_webhook_ops; /* adapters/registry.c names it */
const struct channel_ops channel_webhook_ops = {
	.adapter = "webhook",
	.text = CHANNEL_TEXT_JSON,
	.address_kind = webhook_address_kind,
	.has_provider = false,
	.resend_in_doubt = true,
	.check = webhook_check,
	.open = webhook_open,
	.send = webhook_send,
	.close = webhook_close,
	.probe = NULL,
};
