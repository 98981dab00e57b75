/* The one list of adapters, filled by adapters/registry.c: the thinking finds the hands by name. */
#ifndef HEED_REGISTRY_H
#define HEED_REGISTRY_H

#include <jansson.h>
#include <stddef.h>

struct channel_ops;
struct store_ops;
struct queue_ops;

/* NULL if there is none of that name. */
const struct channel_ops *registry_channel(const char *adapter);
const struct channel_ops *const *registry_channels(size_t *count);
/* Who opens a channel whose messages are captured. */
const struct channel_ops *registry_capture(void);
/* What a channel with `adapter: capture` stands in for: whose addresses and texts it has. By its keys
 * (provider, relay), else by its name (email, webhook), else plain text. */
const struct channel_ops *registry_stand_in(const char *channel, const json_t *settings);
/* By the scheme of a URL: "sqlite", "memory"; "redis", "unix". */
const struct store_ops *registry_store(const char *scheme);
const struct queue_ops *registry_queue(const char *scheme);

#endif
