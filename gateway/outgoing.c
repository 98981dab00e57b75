#include "outgoing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "config.h"
#include "customer.h"
#include "digest.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

void outgoing_release(struct outgoing *kept)
{
	free(kept->summary);
	free(kept->content);
	*kept = (struct outgoing){0};
}

static bool render(const struct channel_config *config, const struct attempt *attempt, enum channel_text text,
		   struct rendered *out, struct outgoing *kept, struct text *error)
{
	struct render_input input;

	attempt_render_input(attempt, &input);
	if (!templates_render(&input, config->name, text, out, error))
		return false;
	if (attempt->content_kept != CONTENT_NONE)
		kept->summary = xmemdup0(out->summary.data, out->summary.len);
	if (attempt->content_kept == CONTENT_FULL && text != CHANNEL_TEXT_MAIL)
		kept->content = xmemdup0(out->text.data, out->text.len);
	return true;
}

/* "" where its product may not be stopped, or there is no page. */
static void unsubscribe_url(const struct attempt *attempt, struct text *out)
{
	if (!attempt->links || !attempt->may_stop || !*attempt->product)
		return;
	struct link link = attempt_link(attempt);
	link.kind = LINK_STOP;
	link.expires_at = 0;
	link_url(attempt->links, &link, attempt->customer_id, out);
}

bool outgoing_mail(const struct channel_config *config, const struct attempt *attempt,
		   const struct mailbox *from, struct text *bytes, struct outgoing *kept, struct text *error)
{
	struct rendered rendered = {0};
	bool ok = render(config, attempt, CHANNEL_TEXT_MAIL, &rendered, kept, error);

	struct text url;

	text_init(&url, LINK_URL_MAX);
	if (ok) {
		unsubscribe_url(attempt, &url);
		const struct mail mail = {.from = from,
					  .to_name = attempt->customer_name,
					  .to_address = attempt->address,
					  .subject = rendered.subject.data,
					  .text = rendered.text.data,
					  .html = rendered.html.data,
					  .message_id = attempt->message_id,
					  .token = attempt->message_token,
					  .at = moment_now(),
					  .unsubscribe_url = url.data,
					  .list = attempt->product};
		if (attempt->content_kept == CONTENT_FULL)
			kept->content =
				xasprintf("%s\n\n%s", rendered.subject.data,
					  rendered.text.len ? rendered.text.data : rendered.html.data);
		ok = mail_text_build(&mail, bytes, error);
	}
	text_release(&url);
	rendered_release(&rendered);
	return ok;
}

bool outgoing_to_provider(const struct channel_config *config, const struct attempt *attempt,
			  const struct provider_request *request, struct provider_sink *sink,
			  struct outgoing *kept, struct text *error)
{
	struct rendered rendered = {0};
	bool ok = render(config, attempt, CHANNEL_TEXT_PLAIN, &rendered, kept, error) &&
		  channel_count_segments(config, rendered.text.data, &kept->segments, error);

	char *callback_url = config->callback_url ? xasprintf("%s?attempt=%lld", config->callback_url,
							      (long long)attempt->contact)
						  : NULL;
	if (ok) {
		const struct provider_message message = {.to = attempt->address,
							 .text = rendered.text.data,
							 .summary = rendered.summary.data,
							 .locale = attempt->locale,
							 .message_id = attempt->message_id,
							 .customer_id = attempt->customer_id,
							 .customer_name = attempt->customer_name,
							 .product = attempt->product,
							 .product_title = attempt->product_title,
							 .attempt = attempt->number,
							 .callback_url = callback_url,
							 .now = moment_now()};
		ok = sink->header(sink->context, "User-Agent", "heed/" HEED_VERSION) &&
		     provider_request_make(request, &message, sink, error);
	}
	free(callback_url);
	rendered_release(&rendered);
	return ok;
}

bool outgoing_plain(const struct channel_config *config, const struct attempt *attempt, struct text *bytes,
		    struct outgoing *kept, struct text *error)
{
	struct rendered rendered = {0};
	bool ok = render(config, attempt, CHANNEL_TEXT_PLAIN, &rendered, kept, error) &&
		  channel_count_segments(config, rendered.text.data, &kept->segments, error) &&
		  text_add(bytes, rendered.text.data, rendered.text.len);

	rendered_release(&rendered);
	return ok;
}

/* --- webhooks --- */

/* Adds "v1,…" for one secret. */
static bool sign(const char *secret, const struct text *signed_text, struct text *signatures)
{
	unsigned char *key, mac[SHA256_SIZE];
	size_t key_len;

	if (!address_secret_key(secret, &key, &key_len))
		return false;
	digest_hmac_sha256(key, key_len, signed_text->data, signed_text->len, mac);
	free(key);
	char *base64 = base64_encode(mac, sizeof mac);
	text_puts(signatures, signatures->len ? " v1," : "v1,");
	text_puts(signatures, base64);
	free(base64);
	return true;
}

static bool sign_all(const json_t *secrets, const struct text *signed_text, struct text *signatures)
{
	if (json_is_string(secrets))
		return sign(json_string_value(secrets), signed_text, signatures);
	if (!json_is_array(secrets) || json_array_size(secrets) > ADDRESS_SECRETS_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(secrets); i++) {
		const char *secret = json_string_value(json_array_get(secrets, i));
		if (!secret || !sign(secret, signed_text, signatures))
			return false;
	}
	return true;
}

/* What stands beside nearly all addresses: {"secret":["…"]}, without escapes. NULL: something else. */
static char *one_secret(const char *details)
{
	static const char before[] = "{\"secret\":[\"", behind[] = "\"]}";

	if (strncmp(details, before, sizeof before - 1) != 0)
		return NULL;
	const char *secret = details + sizeof before - 1;
	size_t len = strcspn(secret, "\"\\");
	return strcmp(secret + len, behind) == 0 ? xmemdup0(secret, len) : NULL;
}

/* False: the secret that stands beside the address is none. */
static bool add_signature(const struct attempt *attempt, struct provider_sink *sink)
{
	char *one = one_secret(attempt->address_details);
	json_t *details =
		!one && *attempt->address_details ? json_loads(attempt->address_details, 0, NULL) : NULL;
	const json_t *secrets = json_object_get(details, "secret");
	struct text signed_text, signatures;
	char timestamp[24];

	snprintf(timestamp, sizeof timestamp, "%lld", (long long)(moment_now() / MOMENT_S));
	text_init(&signed_text, WEBHOOK_SIGNED_MAX + 256);
	text_init(&signatures, WEBHOOK_SIGNATURES_MAX);
	bool ok = sink->header(sink->context, "webhook-id", attempt->message_id) &&
		  sink->header(sink->context, "webhook-timestamp", timestamp);
	if (ok && (one || (secrets && !json_is_null(secrets)))) {
		text_expect(&signed_text, strlen(attempt->message_id) + sizeof timestamp + sink->body->len);
		text_puts(&signed_text, attempt->message_id);
		text_putc(&signed_text, '.');
		text_puts(&signed_text, timestamp);
		text_putc(&signed_text, '.');
		text_add(&signed_text, sink->body->data, sink->body->len);
		ok = (one ? sign(one, &signed_text, &signatures)
			  : sign_all(secrets, &signed_text, &signatures)) &&
		     !signed_text.full && !signatures.full;
		if (ok && signatures.len)
			ok = sink->header(sink->context, "webhook-signature", signatures.data);
	}
	text_release(&signed_text);
	text_release(&signatures);
	json_decref(details);
	free(one);
	return ok;
}

static bool add_headers(const struct attempt *attempt, struct provider_sink *sink)
{
	bool ok = sink->header(sink->context, "Content-Type", "application/json") &&
		  sink->header(sink->context, "User-Agent", "heed/" HEED_VERSION);

	if (ok && *attempt->traceparent)
		ok = sink->header(sink->context, "traceparent", attempt->traceparent);
	if (ok && json_object_size(attempt->meta)) {
		char *meta = json_dumps(attempt->meta, JSON_COMPACT | JSON_ENSURE_ASCII);
		ok = meta && sink->header(sink->context, "heed-meta", meta);
		free(meta);
	}
	return ok;
}

bool outgoing_to_webhook(const struct channel_config *config, const struct attempt *attempt,
			 struct provider_sink *sink, struct outgoing *kept, struct text *error)
{
	struct rendered rendered = {0};
	bool ok = render(config, attempt, CHANNEL_TEXT_JSON, &rendered, kept, error);

	sink->method = "POST";
	sink->has_body = true;
	if (ok && (!text_puts(sink->url, attempt->address) ||
		   !text_add(sink->body, rendered.text.data, rendered.text.len)))
		ok = text_error(error, "its URL or body is too long");
	if (ok && !add_headers(attempt, sink))
		ok = text_error(error, "its headers can't be made");
	if (ok && !add_signature(attempt, sink))
		ok = text_error(
			error, "the address's secret is not " ADDRESS_SECRET_FORM ", or a list of at most %d",
			ADDRESS_SECRETS_MAX);
	rendered_release(&rendered);
	return ok;
}
