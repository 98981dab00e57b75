/* What providers tell: POST (some call with GET) /in/CHANNEL/PROVIDER. Who is not signed is not heard. */
#include "api_callbacks.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "channel.h"
#include "inbound.h"
#include "provider_callback.h"
#include "utf8.h"
#include "xalloc.h"
#include "banned.h"

static _Atomic uint64_t counts[CALLBACK_COUNTS];

uint64_t callback_count(enum callback_count which)
{
	return atomic_load(&counts[which]);
}

static void count_one(enum callback_count which)
{
	atomic_fetch_add(&counts[which], 1);
}

/* The channel's provider of that name; NULL. */
static const struct channel_config *provider_of(const struct call *call)
{
	const struct channel_config *config = config_channel(call->api->config, call->args[0]);

	for (size_t i = 0; config && i <= config->other_count; i++) {
		const struct channel_config *one = i ? &config->others[i - 1] : config;
		if (strcmp(one->provider, call->args[1]) == 0 && one->callback)
			return one;
	}
	return NULL;
}

static const char *header_of(const void *context, const char *name)
{
	return api_request_header(context, name);
}

/* A number as customers' are kept. False: it is none, as the letters that some senders have. */
static bool normal_form(const struct channel_config *config, const char *from, struct text *out)
{
	const struct address_form form = channel_addresses(config);
	bool digits = form.kind == ADDRESS_PHONE && *from && from[strspn(from, "0123456789")] == '\0';
	char *plus = xasprintf("+%s", from);
	/* providers leave the + out, and never mean a national number */
	bool ok = address_normalise(&form, digits ? plus : from, out, NULL);

	free(plus);
	return ok;
}

/* At a character's end. */
static void cut(char *text, size_t max)
{
	size_t len = strlen(text);

	if (len <= max)
		return;
	while (max && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	text[max] = '\0';
}

static int take_reply(struct call *call, const struct channel_config *config, struct callback_item *item,
		      struct text *problem)
{
	struct text from;

	text_init(&from, ADDRESS_VALUE_MAX);
	bool known = normal_form(config, item->from, &from);
	cut(item->text, INBOUND_TEXT_MAX);
	const struct inbound in = {.kind = channel_is_sms(config) ? INBOUND_SHORT : INBOUND_REPLY,
				   .channel = config->name,
				   .provider = config->provider,
				   .provider_ref = item->id,
				   .from = known ? from.data : "",
				   .customer = "",
				   .answers_ref = item->answers,
				   .product = "",
				   .direction = DIRECTION_IN,
				   .subject = "",
				   .text = item->text,
				   .code = "",
				   .detail = known ? item->to : item->from};
	int status = request_inbound(&call->api->door, &in, NULL, problem);
	text_release(&from);
	return status;
}

static int take_item(struct call *call, const struct channel_config *config, struct callback_item *item,
		     struct text *problem)
{
	if (item->kind == CALLBACK_REPLY) {
		count_one(CALLBACKS_REPLIES);
		return take_reply(call, config, item, problem);
	}
	count_one(CALLBACKS_RECEIPTS);
	const struct receipt receipt = {.channel = config->name,
					.provider = config->provider,
					.provider_ref = item->id,
					.contact = item->attempt,
					.says = item->says,
					.address_dead = item->dead,
					.code = item->code,
					.text = item->text};
	return request_receipt(&call->api->door, &receipt, problem);
}

/* All that it tells, or 503 so that it tells it again: nothing counts twice. */
static void take_items(struct call *call, const struct channel_config *config, struct callback_items *items)
{
	struct text problem, nothing;
	int status = 200;

	text_init(&problem, TEXT_ERROR_MAX);
	text_init(&nothing, 1);
	for (size_t i = 0; i < items->count && status < 500; i++)
		status = take_item(call, config, &items->list[i], &problem);
	if (status >= 500) {
		call_problem(call, status, "%s", problem.data);
		api_response_header(call->response, "Retry-After", "5");
	} else {
		call_text(call, 200, "text/plain; charset=utf-8", &nothing);
	}
	text_release(&problem);
	text_release(&nothing);
}

void api_callback(struct call *call)
{
	const struct api_request *request = call->request;
	const struct channel_config *config = provider_of(call);
	struct callback_items items = {0};
	struct text why;

	if (!config) {
		call_problem(call, 404, "%s: no provider calls here", request->path);
		return;
	}
	if (!call_may_change(call))
		return;
	text_init(&why, TEXT_ERROR_MAX);
	const char *public_url = call->api->config->http.public_url;
	size_t len = strlen(public_url);
	while (len && public_url[len - 1] == '/') /* the path begins with one */
		len--;
	char *url = xasprintf("%.*s%s%s%s", (int)len, public_url, request->path, *request->query ? "?" : "",
			      request->query);
	const struct callback_request came = {.method = request->method,
					      .url = url,
					      .query = request->query,
					      .body = request->body ? request->body : "",
					      .body_len = request->body_len,
					      .header = header_of,
					      .context = request,
					      .now = moment_now()};
	switch (provider_callback_read(config->callback, &came, &items, &why)) {
	case CALLBACK_FINE:
		take_items(call, config, &items);
		break;
	case CALLBACK_UNSIGNED:
		count_one(CALLBACKS_UNSIGNED);
		call_problem(call, 403, "%s", why.data);
		break;
	case CALLBACK_MALFORMED:
		count_one(CALLBACKS_MALFORMED);
		call_problem(call, 400, "%s", why.data);
		break;
	}
	callback_items_release(&items);
	free(url);
	text_release(&why);
}
