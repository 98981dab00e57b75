/* From files to struct config: read the tree, expand its variables, check it against the table of keys, fill
 * the defaults, then what only the whole can tell: URLs, channels, products, templates. Every step goes on
 * after a mistake, so that all are told at once. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_load.h"
#include "moment.h"
#include "queue.h"
#include "registry.h"
#include "xalloc.h"
#include "zone.h"
#include "banned.h"

/* The count stands beside the public part, which its readers never write. */
struct counted_config {
	struct config config;
	_Atomic int holders;
};

/* --- reading values that are known to fit, or to be doubtful --- */

json_t *load_value(const struct config_loading *load, const char *path)
{
	return config_is_doubtful(&load->source, path) ? NULL : config_at(load->source.values, path);
}

/* NULL if a mistake was told. */
const char *load_text(const struct config_loading *load, const char *path)
{
	return json_string_value(load_value(load, path));
}

char *load_copy(const struct config_loading *load, const char *path)
{
	const char *text = load_text(load, path);
	return xstrdup(text ? text : "");
}

int64_t load_duration(const struct config_loading *load, const char *path)
{
	int64_t duration = 0;
	const char *text = load_text(load, path);

	if (text)
		duration_parse(text, &duration);
	return duration;
}

int64_t load_integer(const struct config_loading *load, const char *path)
{
	return json_integer_value(load_value(load, path));
}

/* --- sections --- */

static void fill_gateway(struct config_loading *load)
{
	struct config *config = load->config;
	char host[256] = "";

	config->gateway.name = load_copy(load, "gateway.name");
	if (!*config->gateway.name && !config_raw_at(&load->source, "gateway.name")) {
		free(config->gateway.name);
		if (gethostname(host, sizeof host - 1) != 0 || !host[0])
			config_wrong(&load->source, "gateway.name",
				     "is missing and the host has no name; a name would be right");
		config->gateway.name = xstrdup(host);
	}
	config->gateway.lease = load_duration(load, "gateway.lease");
	config->gateway.drain = load_duration(load, "gateway.drain");
	config->gateway.attempt_open_max = load_duration(load, "gateway.attempt_open_max");
}

/* What stands before the first colon. */
static char *scheme_of(const char *url)
{
	return xmemdup0(url, strcspn(url, ":"));
}

static void wrong_redis(const struct config_loading *load, const char *scheme)
{
	const char *path = "queue.redis";

	if (strcmp(scheme, "rediss") == 0)
		config_wrong(&load->source, path,
			     "rediss:// is not in this build (it needs hiredis 1.0 or later); redis:// or "
			     "unix:PATH would be right");
	else
		config_wrong(&load->source, path,
			     "is not a Redis address; redis://[user:password@]host[:port][/db] or unix:PATH "
			     "would be right");
}

static bool redis_is_valid(const char *redis, const char *scheme)
{
	struct config_url url;

	if (strcmp(scheme, "unix") == 0)
		return redis[5] != '\0';
	bool valid = config_url_parse(redis, &url) && *url.host;
	const char *db = valid && *url.path ? url.path + 1 : "";
	valid = valid && (!*url.path || *url.path == '/') && strlen(db) <= 4 &&
		db[strspn(db, "0123456789")] == '\0';
	config_url_release(&url);
	return valid;
}

/* A cluster's or its sentinels': whoever speaks to them knows how they are written. */
static void check_many_redis(const struct config_loading *load, const char *redis)
{
	const struct queue_config asked = {.url = redis, .prefix = "heed", .consumer = ""};
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct queue *queue = queue_open(&asked, &error);
	if (!queue)
		config_wrong(&load->source, "queue.redis", "%s", error.data);
	queue_close(queue);
	text_release(&error);
}

static void fill_queue(struct config_loading *load)
{
	struct config *config = load->config;
	const char *redis = load_text(load, "queue.redis");

	config->queue.redis = load_copy(load, "queue.redis");
	config->queue.partitions = (int)load_integer(load, "queue.partitions");
	if (redis) {
		char *scheme = scheme_of(redis);
		if (strncmp(scheme, "redis+", 6) == 0) {
			check_many_redis(load, redis);
		} else if (!registry_queue(scheme) || !redis_is_valid(redis, scheme)) {
			wrong_redis(load, scheme);
		} else if (strcmp(scheme, "unix") == 0) {
			char *path = config_path_join(config->folder, redis + strlen("unix:"));
			free(config->queue.redis);
			config->queue.redis = xasprintf("unix:%s", path);
			free(path);
		}
		free(scheme);
	}
	config->queue.prefix = load_copy(load, "queue.prefix");
	for (const char *c = config->queue.prefix; *c; c++) {
		if ((unsigned char)*c <= ' ' || strchr("{}*", *c)) {
			config_wrong(&load->source, "queue.prefix",
				     "holds a blank, brace or star; letters, digits, - and : would be right");
			break;
		}
	}
	config->queue.events_max = load_integer(load, "queue.events_max");
	config->queue.dead_max = load_integer(load, "queue.dead_max");
}

static void fill_store(struct config_loading *load)
{
	struct config *config = load->config;
	const char *url = load_text(load, "store.url"), *migrate = load_text(load, "store.migrate");

	config->store.url = load_copy(load, "store.url");
	config->store.migrate = migrate && strcmp(migrate, "auto") == 0;
	config->store.max_backlog = load_integer(load, "store.max_backlog");
	if (!url)
		return;
	char *scheme = scheme_of(url);
	if (!registry_store(scheme) || !strchr(url, ':') || (strcmp(scheme, "sqlite") == 0 && !url[7]) ||
	    (strcmp(scheme, "postgresql") == 0 && strncmp(url + strlen(scheme), "://", 3) != 0)) {
		config_wrong(&load->source, "store.url",
			     "is not a store; sqlite:PATH or postgresql://USER@HOST/DATABASE would be right");
	} else if (strcmp(scheme, "sqlite") == 0) {
		char *path = config_path_join(config->folder, url + strlen("sqlite:"));
		free(config->store.url);
		config->store.url = xasprintf("sqlite:%s", path);
		free(path);
	}
	free(scheme);
}

/* The shape of BCP 47: two to eight letters, then parts of one to eight letters and digits. */
static bool locale_is_valid(const char *locale)
{
	size_t len = strspn(locale, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
	bool valid = len >= 2 && len <= 8;

	for (locale += len; valid && *locale; locale += len) {
		valid = *locale++ == '-';
		len = strspn(locale, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
		valid = valid && len >= 1 && len <= 8;
	}
	return valid;
}

static void fill_limits(struct config_loading *load)
{
	const char *marketing = load_text(load, "limits.marketing");
	struct text why;

	text_init(&why, TEXT_ERROR_MAX);
	if (marketing && !cap_parse(marketing, &load->config->limits.marketing, &why))
		config_wrong(&load->source, "limits.marketing", "%s", why.data);
	text_release(&why);
}

static void fill_customers(struct config_loading *load)
{
	struct config *config = load->config;
	const char *zone = load_text(load, "customers.timezone"),
		   *locale = load_text(load, "customers.locale");
	const char *content = load_text(load, "history.content");

	config->customers.timezone = load_copy(load, "customers.timezone");
	config->customers.locale = load_copy(load, "customers.locale");
	config->customers.zone = zone ? zone_find(zone) : NULL;
	if (zone && !config->customers.zone)
		config_wrong(
			&load->source, "customers.timezone",
			"is not a time zone that this machine knows; UTC or Europe/Madrid would be right");
	if (locale && !locale_is_valid(locale))
		config_wrong(&load->source, "customers.locale",
			     "is not a locale; en or es-AR would be right");
	if (content)
		content_kept_parse(content, &config->history.content);
	fill_limits(load);
	config->history.content_keep = load_duration(load, "history.content_keep");
	config->history.contacts_keep = load_duration(load, "history.contacts_keep");
}

/* --- what stands in other files --- */

static void fill_products(struct config_loading *load)
{
	struct config *config = load->config;
	const char *file = load_text(load, "products");

	if (!file)
		return;
	char *path = config_path_join(config->folder, file);
	if (access(path, R_OK) != 0)
		config_wrong(&load->source, "products",
			     "%s cannot be read: %s; the file of products would be right", path,
			     strerror(errno));
	else
		config->products =
			product_set_read(path, (const char *const *)config->channel_names,
					 config->channel_count, config->history.content, load->report);
	free(path);
}

static void fill_templates(struct config_loading *load)
{
	struct config *config = load->config;
	const char *folder = load_text(load, "templates");
	struct text errors;
	struct stat info;

	if (!folder)
		return;
	char *path = config_path_join(config->folder, folder);
	text_init(&errors, CONFIG_REPORT_MAX);
	bool named = json_object_get(config_tree_json(load->source.tree), "templates") != NULL;
	if (!named && stat(path, &info) != 0) {
		config_warn(&load->source, "templates",
			    "there is no folder %s: only messages with content can go", path);
		config->templates = templates_load(NULL, &errors);
	} else if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
		config_wrong(&load->source, "templates",
			     "%s is not a folder; the one that holds messages/ would be right", path);
	} else {
		config->templates = templates_load(path, &errors);
		if (errors.len && errors.data[errors.len - 1] == '\n')
			errors.data[--errors.len] = '\0';
		if (errors.len)
			config_mistakes(&load->source, "templates", &errors);
	}
	text_release(&errors);
	free(path);
}

/* --- secrets that everybody may read --- */

static bool holds_password(const char *url)
{
	struct config_url parsed;

	bool holds = config_url_parse(url, &parsed) && *parsed.password;
	config_url_release(&parsed);
	return holds;
}

static bool is_open_secret(const struct config_loading *load, const char *path)
{
	const char *raw = json_string_value(config_raw_at(&load->source, path));
	return raw && *raw && config_is_literal(&load->source, path);
}

static void warn_open(const struct config_loading *load, const char *path, mode_t mode)
{
	config_warn(&load->source, path,
		    "is a secret in a file that everybody may read (mode %04o); chmod 600 it, or take it "
		    "from ${NAME} or ${file:PATH}",
		    (unsigned)(mode & 07777));
}

static void warn_of_open_settings(struct config_loading *load, const struct channel_config *channel,
				  mode_t mode)
{
	const char *name;
	json_t *setting;

	json_object_foreach(json_object_get(channel->provider_file, "settings"), name, setting)
	{
		char *path = channel->of_several ? xasprintf("channels.%s.settings.%s.%s", channel->name,
							     channel->provider, name)
						 : xasprintf("channels.%s.settings.%s", channel->name, name);
		if (json_is_true(json_object_get(setting, "secret")) && is_open_secret(load, path))
			warn_open(load, path, mode);
		free(path);
	}
}

static void warn_of_open_secrets(struct config_loading *load)
{
	const struct config *config = load->config;
	struct stat info;
	json_t *setting;
	size_t i;

	if (stat(config->file, &info) != 0 || !(info.st_mode & S_IROTH))
		return;
	if (is_open_secret(load, "queue.redis") && holds_password(config->queue.redis))
		warn_open(load, "queue.redis", info.st_mode);
	json_array_foreach(load_value(load, "secrets"), i, setting)
	{
		char *path = xasprintf("secrets.%zu", i);
		if (is_open_secret(load, path))
			warn_open(load, path, info.st_mode);
		free(path);
	}
	for (i = 0; i < config->channel_count; i++) {
		const struct channel_config *channel = &config->channels[i];
		char *relay = xasprintf("channels.%s.relay", channel->name);
		if (is_open_secret(load, relay) &&
		    holds_password(load_text(load, relay) ? load_text(load, relay) : ""))
			warn_open(load, relay, info.st_mode);
		free(relay);
		warn_of_open_settings(load, channel, info.st_mode);
		for (size_t o = 0; o < channel->other_count; o++)
			warn_of_open_settings(load, &channel->others[o], info.st_mode);
	}
}

/* --- the whole --- */

static char *folder_of(const char *file)
{
	char real[PATH_MAX];
	const char *slash = strrchr(file, '/');

	char *folder = !slash ? xstrdup(".") : xmemdup0(file, slash == file ? 1 : (size_t)(slash - file));
	if (realpath(folder, real)) {
		free(folder);
		folder = xstrdup(real);
	}
	return folder;
}

/* NULL if there is none; *tried then says where it was looked for. */
static const char *find_file(const char *file)
{
	static const char *const places[] = {"config/heed.yaml", "/etc/heed/heed.yaml"};
	const char *named = getenv("HEED_CONFIG");

	if (file)
		return file;
	if (named && *named)
		return named;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (access(places[i], F_OK) == 0)
			return places[i];
	return NULL;
}

static void load_all(struct config_loading *load)
{
	struct config_source *source = &load->source;

	source->values = config_expand(source, load->config->folder);
	load->config->tree = source->values;
	config_check_tree(source, &config_table);
	if (!json_is_object(source->values))
		return;
	config_fill_tree(source->values, &config_table);
	fill_gateway(load);
	fill_queue(load);
	fill_store(load);
	config_load_http(load);
	fill_customers(load);
	config_load_channels(load);
	fill_products(load);
	config_check_tokens(load);
	fill_templates(load);
	config_load_pages(load);
	warn_of_open_secrets(load);
}

struct config *config_load(const char *file, struct config_report *report)
{
	struct counted_config *counted = xcalloc(1, sizeof *counted);
	struct config_loading load = {.config = &counted->config, .report = report};
	size_t before = report->errors.len;

	atomic_init(&counted->holders, 1);
	const char *found = find_file(file);
	if (!found) {
		text_puts(&report->errors, "config/heed.yaml:1: is not there, and neither is "
					   "/etc/heed/heed.yaml; --config FILE or "
					   "HEED_CONFIG would be right; `heed help config sample` "
					   "prints one to begin with");
		goto out;
	}
	counted->config.file = xstrdup(found);
	counted->config.folder = folder_of(found);
	struct config_tree *tree = config_tree_read(found, &report->errors);
	if (!tree)
		goto out;
	load.source = (struct config_source){.file = found,
					     .tree = tree,
					     .errors = &report->errors,
					     .warnings = &report->warnings,
					     .doubtful = json_object()};
	load_all(&load);
	json_decref(load.source.doubtful);
	config_tree_free(tree);
out:
	if (report->errors.len > before || report->errors.full) {
		config_drop(&counted->config);
		return NULL;
	}
	return &counted->config;
}

void config_capture_all(struct config *config)
{
	for (size_t i = 0; i < config->channel_count; i++) {
		struct channel_config *channel = &config->channels[i];
		channel->captured_by = registry_capture();
		for (size_t o = 0; o < channel->other_count; o++)
			channel->others[o].captured_by = registry_capture();
	}
}

struct config *config_hold(struct config *config)
{
	if (config)
		atomic_fetch_add(&((struct counted_config *)config)->holders, 1);
	return config;
}

static void channel_drop(struct channel_config *channel)
{
	free(channel->name);
	free(channel->provider);
	json_decref(channel->settings);
	json_decref(channel->provider_file);
}

void config_drop(struct config *config)
{
	struct counted_config *counted = (struct counted_config *)config;

	if (!config || atomic_fetch_sub(&counted->holders, 1) > 1)
		return;
	for (size_t i = 0; i < config->channel_count; i++) {
		for (size_t o = 0; o < config->channels[i].other_count; o++)
			channel_drop(&config->channels[i].others[o]);
		free(config->channels[i].others);
		channel_drop(&config->channels[i]);
	}
	free(config->channels);
	free(config->channel_names);
	free(config->file);
	free(config->folder);
	free(config->gateway.name);
	free(config->queue.redis);
	free(config->queue.prefix);
	free(config->store.url);
	config_http_release(config);
	config_pages_release(config);
	free(config->customers.timezone);
	free(config->customers.locale);
	product_set_free(config->products);
	templates_drop(config->templates);
	json_decref(config->tree);
	free(counted);
}

const struct channel_config *config_channel(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->channel_count; i++)
		if (strcmp(config->channels[i].name, name) == 0)
			return &config->channels[i];
	return NULL;
}
