/* Webhooks: a POST to the customer's own URL, signed as Standard Webhooks say (standardwebhooks.com):
 *
 *   webhook-id          the message's id, the same on every attempt
 *   webhook-timestamp   seconds since 1970, of this attempt
 *   webhook-signature   "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body", one for each secret
 * that the customer gave (newest first, a space between); left out where there is no secret traceparent the
 * message's, where it has one heed-meta           the message's `meta`, where it has any: compact JSON in
 * ASCII
 *
 * The URL is a customer's: it is https to a public address unless the channel's settings allow_http and
 * allow_private say otherwise. The verdict falls at the status line; what follows is not looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "command.h"
#include "config.h"
#include "digest.h"
#include "http_client.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define SECRETS_MAX 8 /* signatures of one request */

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

/* Adds "v1,…" for one secret: "whsec_" and base64, or the base64 alone. */
static bool sign(const char *secret, const struct text *signed_text, struct text *signatures)
{
	static const char prefix[] = "whsec_";
	unsigned char *key, mac[SHA256_SIZE];
	size_t key_len;

	if (strncmp(secret, prefix, sizeof prefix - 1) == 0)
		secret += sizeof prefix - 1;
	if (!base64_decode(secret, &key, &key_len))
		return false;
	if (key_len)
		digest_hmac_sha256(key, key_len, signed_text->data, signed_text->len, mac);
	free(key);
	if (!key_len)
		return false;
	char *base64 = base64_encode(mac, sizeof mac);
	text_addf(signatures, "%sv1,%s", signatures->len ? " " : "", base64);
	free(base64);
	return true;
}

static bool sign_all(const json_t *secrets, const struct text *signed_text, struct text *signatures)
{
	if (json_is_string(secrets))
		return sign(json_string_value(secrets), signed_text, signatures);
	if (!json_is_array(secrets) || json_array_size(secrets) > SECRETS_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(secrets); i++) {
		const char *secret = json_string_value(json_array_get(secrets, i));
		if (!secret || !sign(secret, signed_text, signatures))
			return false;
	}
	return true;
}

/* False: the secret that stands beside the address is none. */
static bool add_signature(const struct attempt *attempt, struct http_request *request)
{
	json_t *details = *attempt->address_details ? json_loads(attempt->address_details, 0, NULL) : NULL;
	const json_t *secrets = json_object_get(details, "secret");
	struct text signed_text, signatures;
	char timestamp[24];

	snprintf(timestamp, sizeof timestamp, "%lld", (long long)(moment_now() / MOMENT_S));
	text_init(&signed_text, HTTP_REQUEST_MAX + 256);
	text_init(&signatures, HTTP_HEADER_MAX);
	bool ok = http_request_header(request, "webhook-id", attempt->message_id) &&
		  http_request_header(request, "webhook-timestamp", timestamp);
	if (ok && secrets && !json_is_null(secrets)) {
		text_addf(&signed_text, "%s.%s.", attempt->message_id, timestamp);
		text_add(&signed_text, request->body.data, request->body.len);
		ok = sign_all(secrets, &signed_text, &signatures);
		if (ok && signatures.len)
			ok = http_request_header(request, "webhook-signature", signatures.data);
	}
	text_release(&signed_text);
	text_release(&signatures);
	json_decref(details);
	return ok;
}

static bool add_headers(const struct attempt *attempt, struct http_request *request)
{
	bool ok = http_request_header(request, "Content-Type", "application/json") &&
		  http_request_header(request, "User-Agent", "heed/" HEED_VERSION);

	if (ok && *attempt->traceparent)
		ok = http_request_header(request, "traceparent", attempt->traceparent);
	if (ok && json_object_size(attempt->meta)) {
		char *meta = json_dumps(attempt->meta, JSON_COMPACT | JSON_ENSURE_ASCII);
		ok = meta && http_request_header(request, "heed-meta", meta);
		free(meta);
	}
	return ok;
}

static bool webhook_prepare(struct channel *channel, const struct attempt *attempt,
			    struct http_request *request, struct outcome *outcome)
{
	const struct webhook *webhook = (const struct webhook *)channel;
	struct render_input input;
	struct rendered rendered = {0};
	struct text error;
	bool ok = false;

	text_init(&error, OUTCOME_TEXT_MAX);
	attempt_render_input(attempt, &input);
	if (!templates_render(&input, channel->config->name, CHANNEL_TEXT_JSON, &rendered, &error)) {
		*outcome = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "%s", error.data);
		goto out;
	}
	request->summary = xmemdup0(rendered.summary.data, rendered.summary.len);
	if (!http_url_check(attempt->address, webhook->allow_http, &error)) {
		*outcome = outcome_make(OUTCOME_REJECTED, SCOPE_MESSAGE, "blocked", "%s", error.data);
		goto out;
	}
	request->method = "POST";
	request->has_body = true;
	text_puts(&request->url, attempt->address);
	text_add(&request->body, rendered.text.data, rendered.text.len);
	if (attempt->content_kept == CONTENT_FULL)
		request->content = xmemdup0(rendered.text.data, rendered.text.len);
	if (!add_headers(attempt, request)) {
		*outcome = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "its headers can't be made");
		goto out;
	}
	if (!add_signature(attempt, request)) {
		*outcome =
			outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "",
				     "the address's secret is not whsec_ and base64, or a list of at most %d",
				     SECRETS_MAX);
		goto out;
	}
	ok = true;
out:
	rendered_release(&rendered);
	text_release(&error);
	return ok;
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
