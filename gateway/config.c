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
#include <sys/un.h>
#include <unistd.h>

#include "channel.h"
#include "config_check.h"
#include "moment.h"
#include "provider.h"
#include "registry.h"
#include "xalloc.h"
#include "banned.h"

#define CHANNEL_NAME_MAX 32
#define CHANNELS_MAX 64
#define SECRET_MIN 32 /* bytes */

/* The count stands beside the public part, which its readers never write. */
struct counted_config {
	struct config config;
	_Atomic int holders;
};

struct load {
	struct config *config;
	struct config_source source;
	struct config_report *report;
};

/* --- reading values that are known to fit, or to be doubtful --- */

static json_t *value_at(const struct load *load, const char *path)
{
	return config_is_doubtful(&load->source, path) ? NULL : config_at(load->source.values, path);
}

/* NULL if a mistake was told. */
static const char *text_at(const struct load *load, const char *path)
{
	return json_string_value(value_at(load, path));
}

static char *copy_at(const struct load *load, const char *path)
{
	const char *text = text_at(load, path);
	return xstrdup(text ? text : "");
}

static int64_t duration_at(const struct load *load, const char *path)
{
	int64_t duration = 0;
	const char *text = text_at(load, path);

	if (text)
		duration_parse(text, &duration);
	return duration;
}

static int64_t integer_at(const struct load *load, const char *path)
{
	return json_integer_value(value_at(load, path));
}

/* --- sections --- */

static void fill_gateway(struct load *load)
{
	struct config *config = load->config;
	char host[256] = "";

	config->gateway.name = copy_at(load, "gateway.name");
	if (!*config->gateway.name && !config_raw_at(&load->source, "gateway.name")) {
		free(config->gateway.name);
		if (gethostname(host, sizeof host - 1) != 0 || !host[0])
			config_wrong(&load->source, "gateway.name",
				     "is missing and the host has no name; a name would be right");
		config->gateway.name = xstrdup(host);
	}
	config->gateway.lease = duration_at(load, "gateway.lease");
	config->gateway.drain = duration_at(load, "gateway.drain");
	config->gateway.attempt_open_max = duration_at(load, "gateway.attempt_open_max");
}

/* What stands before the first colon. */
static char *scheme_of(const char *url)
{
	return xmemdup0(url, strcspn(url, ":"));
}

static void wrong_redis(const struct load *load, const char *scheme)
{
	const char *path = "queue.redis";

	if (strncmp(scheme, "redis+", 6) == 0)
		config_wrong(&load->source, path,
			     "%s:// is not yet (E); redis://host:port/db or unix:PATH would be right",
			     scheme);
	else if (strcmp(scheme, "rediss") == 0)
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

static void fill_queue(struct load *load)
{
	struct config *config = load->config;
	const char *redis = text_at(load, "queue.redis");

	config->queue.redis = copy_at(load, "queue.redis");
	if (redis) {
		char *scheme = scheme_of(redis);
		if (!registry_queue(scheme) || !redis_is_valid(redis, scheme)) {
			wrong_redis(load, scheme);
		} else if (strcmp(scheme, "unix") == 0) {
			char *path = config_path_join(config->folder, redis + strlen("unix:"));
			free(config->queue.redis);
			config->queue.redis = xasprintf("unix:%s", path);
			free(path);
		}
		free(scheme);
	}
	config->queue.prefix = copy_at(load, "queue.prefix");
	for (const char *c = config->queue.prefix; *c; c++) {
		if ((unsigned char)*c <= ' ' || strchr("{}*", *c)) {
			config_wrong(&load->source, "queue.prefix",
				     "holds a blank, brace or star; letters, digits, - and : would be right");
			break;
		}
	}
	config->queue.partitions = (int)integer_at(load, "queue.partitions");
	config->queue.events_max = integer_at(load, "queue.events_max");
	config->queue.dead_max = integer_at(load, "queue.dead_max");
}

static void fill_store(struct load *load)
{
	struct config *config = load->config;
	const char *url = text_at(load, "store.url"), *migrate = text_at(load, "store.migrate");

	config->store.url = copy_at(load, "store.url");
	config->store.migrate = migrate && strcmp(migrate, "auto") == 0;
	config->store.max_backlog = integer_at(load, "store.max_backlog");
	if (!url)
		return;
	char *scheme = scheme_of(url);
	if (strncmp(scheme, "postgres", 8) == 0) {
		config_wrong(&load->source, "store.url",
			     "postgresql:// is not yet (E); sqlite:PATH would be right");
	} else if (!registry_store(scheme) || !strchr(url, ':') ||
		   (strcmp(scheme, "sqlite") == 0 && !url[7])) {
		config_wrong(&load->source, "store.url", "is not a store; sqlite:PATH would be right");
	} else if (strcmp(scheme, "sqlite") == 0) {
		char *path = config_path_join(config->folder, url + strlen("sqlite:"));
		free(config->store.url);
		config->store.url = xasprintf("sqlite:%s", path);
		free(path);
	}
	free(scheme);
}

static void check_secrets(struct load *load)
{
	json_t *secret;
	size_t i;

	json_array_foreach(value_at(load, "secrets"), i, secret)
	{
		char *path = xasprintf("secrets.%zu", i);
		if (!config_is_doubtful(&load->source, path) && json_string_length(secret) < SECRET_MIN)
			config_wrong(&load->source, path, "is too short; %d bytes or more would be right",
				     SECRET_MIN);
		free(path);
	}
}

static void fill_http(struct load *load)
{
	struct config *config = load->config;
	const char *socket = text_at(load, "http.socket");

	config->http.socket = config_path_join(config->folder, socket ? socket : "");
	config->http.public_url = copy_at(load, "http.public_url");
	if (strlen(config->http.socket) >= sizeof((struct sockaddr_un *)0)->sun_path)
		config_wrong(&load->source, "http.socket",
			     "is too long a path (%s); at most %zu bytes would be right", config->http.socket,
			     sizeof((struct sockaddr_un *)0)->sun_path - 1);
	if (text_at(load, "http.public")) {
		if (!*config->http.public_url && !config_is_doubtful(&load->source, "http.public_url"))
			config_wrong(&load->source, "http.public",
				     "needs http.public_url beside it, how customers reach it");
		if (!json_array_size(value_at(load, "secrets")) &&
		    !config_is_doubtful(&load->source, "secrets"))
			config_wrong(&load->source, "http.public",
				     "needs secrets: [ … ], which sign its links");
	}
	check_secrets(load);
}

static bool zone_exists(const char *zone)
{
	struct stat info;

	if (*zone == '/' || strstr(zone, ".."))
		return false;
	char *path = xasprintf("/usr/share/zoneinfo/%s", zone);
	bool exists = stat(path, &info) == 0 && S_ISREG(info.st_mode);
	free(path);
	return exists;
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

static void fill_customers(struct load *load)
{
	struct config *config = load->config;
	const char *zone = text_at(load, "customers.timezone"), *locale = text_at(load, "customers.locale");
	const char *content = text_at(load, "history.content");

	config->customers.timezone = copy_at(load, "customers.timezone");
	config->customers.locale = copy_at(load, "customers.locale");
	if (zone && !zone_exists(zone))
		config_wrong(
			&load->source, "customers.timezone",
			"is not a time zone that this machine knows; UTC or Europe/Madrid would be right");
	if (locale && !locale_is_valid(locale))
		config_wrong(&load->source, "customers.locale",
			     "is not a locale; en or es-AR would be right");
	if (content)
		content_kept_parse(content, &config->history.content);
	config->history.content_keep = duration_at(load, "history.content_keep");
	config->history.contacts_keep = duration_at(load, "history.contacts_keep");
}

/* --- channels --- */

static void wrong_adapter(const struct load *load, const char *path, const char *adapter)
{
	const char *words[CHANNELS_MAX];
	size_t count;
	struct text all;

	if (strcmp(adapter, "capture") == 0) {
		config_wrong(
			&load->source, path,
			"capture is not yet (A2), and it would change who gets what; leave the channel out");
		return;
	}
	const struct channel_ops *const *ops = registry_channels(&count);
	text_init(&all, TEXT_ERROR_MAX);
	for (size_t i = 0; i < count && i < CHANNELS_MAX; i++) {
		words[i] = ops[i]->adapter;
		text_addf(&all, "%s%s", !i ? "" : i + 1 == count ? " or " : ", ", words[i]);
	}
	const char *near = config_nearest(adapter, words, count < CHANNELS_MAX ? count : CHANNELS_MAX);
	config_wrong(&load->source, path, "is no adapter that heed has; %s would be right%s%s", all.data,
		     near ? "; did you mean " : "", near ? near : "");
	text_release(&all);
}

static bool channel_name_is_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	return *name && strchr(letters, *name) &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] &&
	       strlen(name) <= CHANNEL_NAME_MAX;
}

/* The relay of a mail channel: its provider is host:port. Only plain smtp:// is there so far, and a password
 * never crosses a network that way. */
static void fill_relay(struct load *load, struct channel_config *channel, const char *path)
{
	const char *relay = text_at(load, path);
	struct config_url url = {0};

	if (!relay)
		return;
	if (!config_url_parse(relay, &url) || (*url.path && strcmp(url.path, "/") != 0)) {
		config_wrong(&load->source, path, "is not a relay; smtp://host:port would be right");
	} else if (strcmp(url.scheme, "smtps") == 0 || strcmp(url.scheme, "smtp+starttls") == 0) {
		config_wrong(&load->source, path,
			     "%s:// is not yet (A2); smtp:// to a relay on this host would be right",
			     url.scheme);
	} else if (strcmp(url.scheme, "smtp") != 0) {
		config_wrong(&load->source, path, "is not a relay; smtp://host:port would be right");
	} else {
		bool local = config_host_is_local(url.host);
		if (!local && (*url.user || *url.password))
			config_wrong(&load->source, path,
				     "would send its password in the clear to %s; a relay on this host would "
				     "be right",
				     url.host);
		else if (!local)
			config_warn(&load->source, path,
				    "mail goes to %s in the clear; right only on a network that you trust",
				    url.host);
		free(channel->provider);
		channel->provider = xasprintf(strchr(url.host, ':') ? "[%s]:%d" : "%s:%d", url.host,
					      url.port ? url.port : 25);
	}
	config_url_release(&url);
}

/* The file of an HTTP channel's provider, checked, and the channel's settings against it. */
static void fill_provider(struct load *load, struct channel_config *channel, const char *path)
{
	char *provider_path = xasprintf("%s.provider", path), *settings_path = xasprintf("%s.settings", path);
	const char *name = text_at(load, provider_path);
	struct config_tree *tree = NULL;
	char *file = NULL;
	struct text error;

	text_init(&error, CONFIG_REPORT_MAX);
	if (!name)
		goto out;
	file = provider_find(load->config->folder, name, &error);
	if (!file) {
		config_wrong(&load->source, provider_path, "%s", error.data);
		goto out;
	}
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	const char *dot = strrchr(base, '.');
	free(channel->provider);
	channel->provider = xmemdup0(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
	tree = config_tree_read(file, &error);
	if (!tree || !provider_check(tree, file, &error)) {
		text_addf(load->source.errors, "%s%s", load->source.errors->len ? "\n" : "", error.data);
		goto out;
	}
	channel->provider_file = json_incref(config_tree_json(tree));
	json_t *settings = json_object_get(channel->settings, "settings");
	if (!settings) {
		settings = json_object();
		json_object_set_new(channel->settings, "settings", settings);
	}
	if (json_is_object(settings))
		provider_settings(channel->provider_file, settings, &load->source, settings_path);
	else if (!config_is_doubtful(&load->source, settings_path))
		config_wrong(&load->source, settings_path, "is not a map; { NAME: … } would be right");
out:
	config_tree_free(tree);
	text_release(&error);
	free(file);
	free(provider_path);
	free(settings_path);
}

/* The adapter's own complaints, a line each, that begin with a key of the channel where one is meant. */
static void check_adapter(struct load *load, const struct channel_config *channel, const char *path)
{
	struct text errors;

	if (!channel->ops->check)
		return;
	text_init(&errors, CONFIG_REPORT_MAX);
	channel->ops->check(channel, &errors);
	char *rest = errors.len ? errors.data : NULL;
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *key = xmemdup0(line, strcspn(line, ": "));
		bool names_key = line[strlen(key)] == ':' && json_object_get(channel->settings, key);
		char *where = names_key ? xasprintf("%s.%s", path, key) : xstrdup(path);
		if (*line && !config_is_doubtful(&load->source, where))
			config_wrong(&load->source, where, "%s",
				     names_key ? line + strlen(key) + 1 + strspn(line + strlen(key) + 1, " ")
					       : line);
		free(where);
		free(key);
	}
	text_release(&errors);
}

static void fill_retry(struct load *load, struct channel_config *channel, const char *path)
{
	const char *names[] = {"first", "max", "give_up_after"};
	int64_t *durations[] = {&channel->retry.first, &channel->retry.max, &channel->retry.give_up_after};

	for (size_t i = 0; i < 3; i++) {
		char *at = xasprintf("%s.retry.%s", path, names[i]);
		*durations[i] = duration_at(load, at);
		free(at);
	}
	char *at = xasprintf("%s.retry.factor", path);
	channel->retry.factor = json_number_value(value_at(load, at));
	free(at);
	at = xasprintf("%s.retry", path);
	if (channel->retry.first && channel->retry.max && channel->retry.first > channel->retry.max)
		config_wrong(&load->source, at,
			     "has a first pause longer than max; a longer max would be right");
	free(at);
}

/* True if the channel can be used; what else is wrong has been told. */
static void fill_channel(struct load *load, const char *name, json_t *value)
{
	struct config *config = load->config;
	struct channel_config *channel = &config->channels[config->channel_count];
	char *path = xasprintf("channels.%s", name), *adapter_path = xasprintf("channels.%s.adapter", name),
	     *timeout_path = xasprintf("channels.%s.timeout", name),
	     *doubt_path = xasprintf("channels.%s.in_doubt", name),
	     *relay_path = xasprintf("channels.%s.relay", name);
	const char *adapter = text_at(load, adapter_path);

	if (!channel_name_is_valid(name))
		config_wrong(&load->source, path,
			     "is not a channel's name; a small letter, then at most %d more of a-z 0-9 _ - "
			     "would be right",
			     CHANNEL_NAME_MAX - 1);
	*channel = (struct channel_config){.name = xstrdup(name),
					   .ops = adapter ? registry_channel(adapter) : NULL,
					   .provider = xstrdup(""),
					   .settings = json_incref(value)};
	config->channel_names[config->channel_count++] = channel->name;
	if (adapter && !channel->ops)
		wrong_adapter(load, adapter_path, adapter);
	channel->timeout = duration_at(load, timeout_path);
	fill_retry(load, channel, path);
	if (channel->ops) {
		const char *in_doubt = text_at(load, doubt_path);
		channel->resend_in_doubt =
			in_doubt ? strcmp(in_doubt, "resend") == 0 : channel->ops->resend_in_doubt;
		if (!config_at(value, "in_doubt"))
			json_object_set_new(value, "in_doubt",
					    json_string(channel->resend_in_doubt ? "resend" : "hold"));
		size_t before = load->source.errors->len;
		fill_relay(load, channel, relay_path);
		if (config_at(value, "provider"))
			fill_provider(load, channel, path);
		if (load->source.errors->len == before) /* the adapter builds on what is right so far */
			check_adapter(load, channel, path);
	}
	free(path);
	free(adapter_path);
	free(timeout_path);
	free(doubt_path);
	free(relay_path);
}

static void fill_channels(struct load *load)
{
	struct config *config = load->config;
	json_t *channels = value_at(load, "channels"), *value;
	const char *name;

	size_t room = json_object_size(channels) + 1;
	config->channels = xcalloc(room, sizeof *config->channels);
	config->channel_names = xcalloc(room, sizeof *config->channel_names);
	if (json_is_object(channels) && room == 1)
		config_wrong(&load->source, "channels", "has no channel; at least one would be right");
	if (room > CHANNELS_MAX + 1) {
		config_wrong(&load->source, "channels", "has too many channels; at most %d would be right",
			     CHANNELS_MAX);
		return;
	}
	json_object_foreach(channels, name, value) if (json_is_object(value)) fill_channel(load, name, value);
}

/* --- what stands in other files --- */

static void fill_products(struct load *load)
{
	struct config *config = load->config;
	const char *file = text_at(load, "products");

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

static void fill_templates(struct load *load)
{
	struct config *config = load->config;
	const char *folder = text_at(load, "templates");
	struct text errors;
	struct stat info;

	if (!folder)
		return;
	char *path = config_path_join(config->folder, folder);
	text_init(&errors, CONFIG_REPORT_MAX);
	if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
		config_wrong(&load->source, "templates",
			     "%s is not a folder; the one that holds messages/ would be right", path);
	} else {
		config->templates = templates_load(path, &errors);
		if (errors.len && errors.data[errors.len - 1] == '\n')
			errors.data[--errors.len] = '\0';
		if (errors.len)
			text_addf(load->source.errors, "%s%s", load->source.errors->len ? "\n" : "",
				  errors.data);
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

static bool is_open_secret(const struct load *load, const char *path)
{
	const char *raw = json_string_value(config_raw_at(&load->source, path));
	return raw && *raw && config_is_literal(&load->source, path);
}

static void warn_open(const struct load *load, const char *path, mode_t mode)
{
	config_warn(&load->source, path,
		    "is a secret in a file that everybody may read (mode %04o); chmod 600 it, or take it "
		    "from ${NAME} or ${file:PATH}",
		    (unsigned)(mode & 07777));
}

static void warn_of_open_secrets(struct load *load)
{
	const struct config *config = load->config;
	const char *name;
	struct stat info;
	json_t *setting;
	size_t i;

	if (stat(config->file, &info) != 0 || !(info.st_mode & S_IROTH))
		return;
	if (is_open_secret(load, "queue.redis") && holds_password(config->queue.redis))
		warn_open(load, "queue.redis", info.st_mode);
	json_array_foreach(value_at(load, "secrets"), i, setting)
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
		    holds_password(text_at(load, relay) ? text_at(load, relay) : ""))
			warn_open(load, relay, info.st_mode);
		free(relay);
		json_object_foreach(json_object_get(channel->provider_file, "settings"), name, setting)
		{
			char *path = xasprintf("channels.%s.settings.%s", channel->name, name);
			if (json_is_true(json_object_get(setting, "secret")) && is_open_secret(load, path))
				warn_open(load, path, info.st_mode);
			free(path);
		}
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

static void load_all(struct load *load)
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
	fill_http(load);
	fill_customers(load);
	fill_channels(load);
	fill_products(load);
	fill_templates(load);
	warn_of_open_secrets(load);
}

struct config *config_load(const char *file, struct config_report *report)
{
	struct counted_config *counted = xcalloc(1, sizeof *counted);
	struct load load = {.config = &counted->config, .report = report};
	size_t before = report->errors.len;

	atomic_init(&counted->holders, 1);
	const char *found = find_file(file);
	if (!found) {
		text_puts(&report->errors, "config/heed.yaml:1: is not there, and neither is "
					   "/etc/heed/heed.yaml; --config FILE or "
					   "HEED_CONFIG would be right");
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

struct config *config_hold(struct config *config)
{
	if (config)
		atomic_fetch_add(&((struct counted_config *)config)->holders, 1);
	return config;
}

void config_drop(struct config *config)
{
	struct counted_config *counted = (struct counted_config *)config;

	if (!config || atomic_fetch_sub(&counted->holders, 1) > 1)
		return;
	for (size_t i = 0; i < config->channel_count; i++) {
		free(config->channels[i].name);
		free(config->channels[i].provider);
		json_decref(config->channels[i].settings);
		json_decref(config->channels[i].provider_file);
	}
	free(config->channels);
	free(config->channel_names);
	free(config->file);
	free(config->folder);
	free(config->gateway.name);
	free(config->queue.redis);
	free(config->queue.prefix);
	free(config->store.url);
	free(config->http.socket);
	free(config->http.public_url);
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

void config_report_init(struct config_report *report)
{
	text_init(&report->errors, CONFIG_REPORT_MAX);
	text_init(&report->warnings, CONFIG_REPORT_MAX);
}

void config_report_release(struct config_report *report)
{
	text_release(&report->errors);
	text_release(&report->warnings);
}
