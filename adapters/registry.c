/* The one list of adapters. */
#include "registry.h"

#include <string.h>

#include "channel.h"
#include "banned.h"

extern const struct channel_ops channel_email_ops, channel_http_ops, channel_webhook_ops, channel_capture_ops;
extern const struct store_ops store_sqlite_ops, store_postgres_ops, store_memory_ops;
extern const struct queue_ops queue_redis_ops, queue_memory_ops;

static const struct channel_ops *const channels[] = {&channel_email_ops, &channel_http_ops,
						     &channel_webhook_ops, &channel_capture_ops};

static const struct {
	const char *scheme;
	const struct store_ops *ops;
} stores[] = {
	{"sqlite", &store_sqlite_ops}, {"postgresql", &store_postgres_ops}, {"memory", &store_memory_ops}};

static const struct {
	const char *scheme;
	const struct queue_ops *ops;
} queues[] = {{"redis", &queue_redis_ops},
	      {"unix", &queue_redis_ops},
	      {"redis+cluster", &queue_redis_ops},
	      {"redis+sentinel", &queue_redis_ops},
	      {"memory", &queue_memory_ops}};

const struct channel_ops *registry_channel(const char *adapter)
{
	for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++)
		if (strcmp(channels[i]->adapter, adapter) == 0)
			return channels[i];
	return NULL;
}

const struct channel_ops *registry_capture(void)
{
	return &channel_capture_ops;
}

const struct channel_ops *registry_stand_in(const char *channel, const json_t *settings)
{
	if (json_object_get(settings, "provider") || json_array_size(json_object_get(settings, "providers")))
		return &channel_http_ops;
	if (json_object_get(settings, "relay") || strcmp(channel, "email") == 0)
		return &channel_email_ops;
	return strcmp(channel, "webhook") == 0 ? &channel_webhook_ops : &channel_capture_ops;
}

const struct channel_ops *const *registry_channels(size_t *count)
{
	*count = sizeof channels / sizeof channels[0];
	return channels;
}

const struct store_ops *registry_store(const char *scheme)
{
	for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++)
		if (strcmp(stores[i].scheme, scheme) == 0)
			return stores[i].ops;
	return NULL;
}

const struct queue_ops *registry_queue(const char *scheme)
{
	for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++)
		if (strcmp(queues[i].scheme, scheme) == 0)
			return queues[i].ops;
	return NULL;
}
