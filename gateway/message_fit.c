#include "message_fit.h"

#include "channel.h"
#include "moment.h"
#include "banned.h"

bool message_fits(const struct message *message, const struct config *config, struct text *why)
{
	const struct product *product = product_find(config->products, message->product);

	if (!product)
		return text_error(why, "product: %s is not in the products file", message->product);
	if (message->has_purpose && message->purpose < product->purpose)
		return text_error(why, "purpose: %s is looser than %s, which is %s; it may only be stricter",
				  purpose_name(message->purpose), product->name,
				  purpose_name(product->purpose));
	if (!*message->template)
		return true;
	const struct template *template = templates_find(config->templates, message->template);
	if (!template)
		return text_error(why, "template: %s does not exist", message->template);
	return template_check_data(template, message->data, why);
}

int64_t message_expiry(const struct message *message, const struct product *product, int64_t now)
{
	int64_t from = message->send_at > now ? message->send_at : now;
	int64_t after = product->expires_after && from < MOMENT_NEVER - product->expires_after
				? from + product->expires_after
				: 0;

	return !after || (message->expires_at && message->expires_at < after) ? message->expires_at : after;
}

struct message_texts message_texts_of(const struct config *config, const char *template)
{
	return (struct message_texts){.config = config,
				      .content = !*template,
				      .template =
					      *template ? templates_find(config->templates, template) : NULL,
				      .digest = templates_find(config->templates, TEMPLATE_DIGEST)};
}

static bool is_configured(const void *context, const char *channel)
{
	const struct message_texts *in = context;
	return config_channel(in->config, channel) != NULL;
}

static bool has_text(const void *context, const char *channel)
{
	const struct message_texts *in = context;
	const struct channel_config *config = config_channel(in->config, channel);

	if (in->content)
		return true;
	return in->template && config && template_has(in->template, channel, config->ops->text);
}

static bool has_digest(const void *context, const char *channel)
{
	const struct message_texts *in = context;
	const struct channel_config *config = config_channel(in->config, channel);

	return in->digest && config && template_has(in->digest, channel, config->ops->text);
}

struct choose_channels message_channels(const struct message_texts *texts)
{
	return (struct choose_channels){is_configured, has_text, has_digest, texts};
}
