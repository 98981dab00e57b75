/* The configuration as a running heed uses it: read, checked, defaults filled, immutable; counted, so that a
 * reload leaves what is under way alone. The table of keys is config_keys.h; help, man page and sample come
 * from it. */
#ifndef HEED_CONFIG_H
#define HEED_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucket.h"
#include "customer.h"
#include "net_peer.h"
#include "product.h"
#include "templates.h"
#include "text.h"
#include "api_token.h"

struct channel_ops;
struct reply_set;
struct provider_callback;
struct mail_box_config;
struct link_keys;
struct page_set;

struct retry_policy {
	int64_t first;
	double factor;
	int64_t max;
	int64_t give_up_after;
};

struct channel_config {
	char *name;
	const struct channel_ops *ops; /* of its adapter; of what it stands in for where that is capture */
	char *provider;                /* for contacts and breakers: "twilio"; smtp: host:port; webhook: "" */
	json_t *settings;              /* the channel's whole object, variables expanded, defaults filled */
	json_t *provider_file; /* the provider's description, checked; NULL where the adapter has none */
	int64_t timeout;
	bool resend_in_doubt;
	bool receipts; /* its provider says later what became of a message */
	/* what its provider may call, and how that reads; NULL where it does not */
	char *callback_url; /* https://m.example.com/in/sms/twilio */
	struct provider_callback *callback;
	const struct channel_ops *captured_by; /* capture or flaky: nothing leaves; NULL: it is sent */
	int max_segments;                      /* of a short message; 0: no limit of its own */
	struct number_plan numbers;
	struct mail_box_config *inbound; /* the mailbox that is read; NULL: none */
	struct retry_policy retry;
	struct rate rate;
	bool of_several; /* it has several providers: settings stand under each one's name */
	struct channel_config
		*others; /* those behind the first: the same, with a provider and settings of their own */
	size_t other_count;
};

struct config {
	char *file;   /* as opened */
	char *folder; /* of the file: what relative paths count from */
	struct {
		char *name;
		int64_t lease, drain, attempt_open_max;
	} gateway;
	struct {
		char *redis;
		char *prefix;
		int partitions;
		int64_t events_max, dead_max;
	} queue;
	struct {
		char *url;    /* sqlite:/absolute/path or memory: */
		bool migrate; /* auto */
		int64_t max_backlog;
	} store;
	struct {
		char *socket;            /* absolute */
		char *public, *internal; /* "host:port"; "": no such listener */
		char *public_url;        /* without a / at its end; "" */
		struct net_range *proxies;
		size_t proxy_count;
		struct api_token *tokens;
		size_t token_count;
	} http;
	char **secrets; /* the first signs, all verify */
	size_t secret_count;
	struct {
		char *name; /* "" */
	} company;
	struct link_keys *links; /* of http.public_url and the secrets; NULL: there is no http.public */
	struct page_set *pages;  /* likewise */
	struct {
		char *timezone, *locale;
		const struct zone *zone; /* of `timezone` */
	} customers;
	struct {
		struct cap marketing; /* of one customer over all marketing together */
	} limits;
	struct {
		enum content_kept content;
		int64_t content_keep, contacts_keep;
	} history;
	struct channel_config *channels;
	size_t channel_count;
	char **channel_names; /* the same order */
	struct product_set *products;
	struct template_set *templates;
	struct reply_set *replies; /* NULL: there are no files of them */
	json_t *tree; /* everything, expanded: for keys that later issues use. Holds secrets: never print it.
		       */
};

/* Messages for people: each "FILE:LINE: KEY: what is wrong; what would be right". */
struct config_report {
	struct text errors;
	struct text warnings;
};

void config_report_init(struct config_report *report);
void config_report_release(struct config_report *report);

/* `file` NULL: HEED_CONFIG, config/heed.yaml, /etc/heed/heed.yaml. Reads configuration, products, providers
 * and templates, and reports all mistakes at once. NULL if there was an error. The count is 1. */
struct config *config_load(const char *file, struct config_report *report);
/* From now on the configuration's channels are captured (heed gateway --capture). Before anybody else holds
 * it. */
void config_capture_all(struct config *config);
struct config *config_hold(struct config *config);
void config_drop(struct config *config);

const struct channel_config *config_channel(const struct config *config, const char *name);

/* The port to the file format, filled by adapters/config_yaml.c: a Jansson tree, and where each value stood.
 * NULL: `error` is "FILE:LINE: …". Duplicate keys, aliases of nothing, and non-UTF-8 are errors. */
struct config_tree;
struct config_tree *config_tree_read(const char *file, struct text *error);
/* The same of a text that is there already; `name` stands in its errors. */
struct config_tree *config_tree_parse(const char *name, const char *yaml, size_t len, struct text *error);
json_t *config_tree_json(const struct config_tree *tree); /* borrowed */
/* The line of the value at a path of keys and indices ("channels.sms.settings", "tokens.0.name"); 0: unknown.
 */
int config_tree_line(const struct config_tree *tree, const char *path);
void config_tree_free(struct config_tree *tree);

/* The help of every key, as text for `heed help config`, as mdoc for heed.yaml(5), as the commented sample
 * files config/heed.yaml and config/products.yaml. */
enum config_help { CONFIG_HELP_TEXT, CONFIG_HELP_MAN, CONFIG_HELP_SAMPLE, CONFIG_HELP_SAMPLE_PRODUCTS };
#define CONFIG_HELP_MAX (256 * 1024)
void config_help_write(enum config_help form, struct text *out);

#endif
