/* Provider files: an HTTP API described in full (contract: Providers), so that a new provider is a file and
 * no C. The keys are in config_keys.h. Here they are checked; the adapter of the channel speaks them. */
#ifndef HEED_PROVIDER_H
#define HEED_PROVIDER_H

#include <jansson.h>
#include <stdbool.h>

#include "config.h"
#include "text.h"

#define PROVIDER_SETTINGS_MAX 64 /* of one provider */

struct config_source;

/* Adds every mistake to `errors`, a line each, "FILE:LINE: KEY: …", and fills the defaults in the tree. False
 * if there was a mistake. */
bool provider_check(const struct config_tree *tree, const char *file, struct text *errors);

/* Where the file of a channel's `provider: NAME` is: NAME itself with a /, else providers/NAME.yaml in
 * `folder` (the configuration's), else the installed one. The caller frees; NULL: there is none, and `error`
 * says where it was looked for. */
char *provider_find(const char *folder, const char *name, struct text *error);

/* Checks a channel's `settings` (at `path` of the configuration: "channels.sms.settings") against what the
 * checked `provider` asks for: unknown, missing, wrong type; fills defaults. Never quotes a value. */
bool provider_settings(const json_t *provider, json_t *settings, const struct config_source *source,
		       const char *path);

#endif
