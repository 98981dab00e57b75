/* The one list of adapters, filled by adapters/registry.c: the thinking finds the hands by name. */
#ifndef HEED_REGISTRY_H
#define HEED_REGISTRY_H

#include <stddef.h>

struct channel_ops;
struct store_ops;
struct queue_ops;

/* NULL if there is none of that name. */
const struct channel_ops *registry_channel(const char *adapter);
const struct channel_ops *const *registry_channels(size_t *count);
/* By the scheme of a URL: "sqlite", "memory"; "redis", "unix". */
const struct store_ops *registry_store(const char *scheme);
const struct queue_ops *registry_queue(const char *scheme);

#endif
