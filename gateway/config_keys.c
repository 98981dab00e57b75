#include "config_keys.h"
#include "config_check.h"
#include "banned.h"

#define KEY_ROW(PATH, TYPE, FALLBACK, LIMITS, ADAPTER, FLAGS, EXAMPLE, HELP) \
	{.path = (PATH),                                                     \
	 .type = KEY_##TYPE,                                                 \
	 .fallback = (FALLBACK),                                             \
	 .limits = (LIMITS),                                                 \
	 .adapter = (ADAPTER),                                               \
	 .flags = (FLAGS),                                                   \
	 .example = (EXAMPLE),                                               \
	 .help = (HELP)},

#define TABLE_OF(KEYS, WHAT)                                                            \
	{                                                                               \
		.keys = (KEYS), .count = sizeof(KEYS) / sizeof(KEYS)[0], .what = (WHAT) \
	}

static const struct config_key config_keys[] = {CONFIG_KEYS(KEY_ROW)};
static const struct config_key product_keys[] = {PRODUCT_KEYS(KEY_ROW)};
static const struct config_key provider_keys[] = {PROVIDER_KEYS(KEY_ROW)};
static const struct config_key reply_keys[] = {REPLY_KEYS(KEY_ROW)};

const struct config_table config_table = TABLE_OF(config_keys, "heed");
const struct config_table product_table = TABLE_OF(product_keys, "a product");
const struct config_table provider_table = TABLE_OF(provider_keys, "a provider");
const struct config_table reply_table = TABLE_OF(reply_keys, "a language of replies");
