#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "config_load.h"
#include "mail_box.h"
#include "moment.h"
#include "provider.h"
#include "provider_callback.h"
#include "registry.h"
#include "xalloc.h"
#include "banned.h"

#define CHANNEL_NAME_MAX 32
#define CHANNELS_MAX 64
#define PROVIDERS_MAX 8

static void wrong_adapter(const struct config_loading *load, const char *path, const char *adapter)
{
	const char *words[CHANNELS_MAX];
	size_t count;
	struct text all;

	const struct channel_ops *const *ops = registry_channels(&count);
	text_init(&all, TEXT_ERROR_MAX);
	for (size_t i = 0; i < count && i < CHANNELS_MAX; i++) {
		words[i] = ops[i]->adapter;
		text_addf(&all, "%s%s", !i ? "" : i + 1 == count ? " or " : ", ", words[i]);
	}
	const char *near = config_nearest(adapter, words, count < CHANNELS_MAX ? count : CHANNELS_MAX);
	config_wrong(&load->source, path, "is no adapter that heed has; %s would be right%s%s%s", all.data,
		     near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	text_release(&all);
}

static bool channel_name_is_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	return *name && strchr(letters, *name) &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] &&
	       strlen(name) <= CHANNEL_NAME_MAX;
}

/* The relay of a mail channel: its provider is host:port. Without TLS a password never crosses a network. */
static void fill_relay(struct config_loading *load, struct channel_config *channel, const char *path)
{
	static const struct {
		const char *scheme;
		int port;
	} schemes[] = {{"smtp", 25}, {"smtps", 465}, {"smtp+starttls", 587}};
	const char *relay = load_text(load, path);
	struct config_url url = {0};
	int port = 0;

	if (!relay)
		return;
	bool valid = config_url_parse(relay, &url) && (!*url.path || strcmp(url.path, "/") == 0);
	for (size_t i = 0; valid && i < sizeof schemes / sizeof schemes[0]; i++)
		if (strcmp(url.scheme, schemes[i].scheme) == 0)
			port = schemes[i].port;
	if (!port) {
		config_wrong(&load->source, path,
			     "is not a relay; smtp://host:port, smtps://user:password@host or "
			     "smtp+starttls://user:password@host would be right");
	} else {
		bool open = strcmp(url.scheme, "smtp") == 0 && !config_host_is_local(url.host);
		if (open && (*url.user || *url.password))
			config_wrong(&load->source, path,
				     "would send its password in the clear to %s; smtps:// or "
				     "smtp+starttls:// would be right",
				     url.host);
		else if (open)
			config_warn(&load->source, path,
				    "mail goes to %s in the clear; right only on a network that you trust",
				    url.host);
		free(channel->provider);
		channel->provider = xasprintf(strchr(url.host, ':') ? "[%s]:%d" : "%s:%d", url.host,
					      url.port ? url.port : port);
	}
	config_url_release(&url);
}

/* A private certification authority: the adapter gets the whole path. */
static void fill_ca(struct config_loading *load, struct channel_config *channel, const char *path)
{
	const char *ca = load_text(load, path);

	if (ca && *ca) {
		char *whole = config_path_join(load->config->folder, ca);
		json_object_set_new(channel->settings, "ca", json_string(whole));
		free(whole);
	}
}

void mail_box_config_free(struct mail_box_config *config)
{
	if (!config)
		return;
	free(config->host);
	free(config->user);
	free(config->password);
	free(config->folder);
	free(config->ca);
	free(config);
}

static const struct {
	const char *scheme;
	int port;
	enum mail_box_tls tls;
} boxes[] = {{"imap", 143, MAIL_BOX_PLAIN},
	     {"imap+starttls", 143, MAIL_BOX_STARTTLS},
	     {"imaps", 993, MAIL_BOX_TLS}};

/* SCHEME://user:password@host[:port]/FOLDER. NULL, and told: it is none. */
static struct mail_box_config *box_of(const struct config_loading *load, const char *path, const char *value)
{
	struct config_url url = {0};
	struct mail_box_config *box = NULL;
	size_t count = sizeof boxes / sizeof boxes[0], i = 0;

	bool valid = config_url_parse(value, &url) && *url.user && *url.password;
	while (valid && i < count && strcmp(url.scheme, boxes[i].scheme) != 0)
		i++;
	if (!valid || i == count) {
		config_wrong(&load->source, path,
			     "is not a mailbox; imaps://user:password@host/INBOX would be right");
	} else if (boxes[i].tls == MAIL_BOX_PLAIN && !config_host_is_local(url.host)) {
		config_wrong(&load->source, path,
			     "would send its password in the clear to %s; imaps:// or imap+starttls:// would "
			     "be right",
			     url.host);
	} else {
		box = xcalloc(1, sizeof *box);
		*box = (struct mail_box_config){
			.tls = boxes[i].tls,
			.host = xstrdup(url.host),
			.user = xstrdup(url.user),
			.password = xstrdup(url.password),
			.folder = xstrdup(*url.path && url.path[1] ? url.path + 1 : "INBOX"),
			.ca = xstrdup(""),
			.port = url.port ? url.port : boxes[i].port};
	}
	config_url_release(&url);
	return box;
}

/* The mailbox that is read. */
static void fill_inbound(struct config_loading *load, struct channel_config *channel, const char *path)
{
	char *imap = xasprintf("%s.inbound.imap", path), *ca = xasprintf("%s.inbound.ca", path),
	     *every = xasprintf("%s.inbound.every", path), *then = xasprintf("%s.inbound.then", path);
	const char *url = load_text(load, imap), *word = load_text(load, then), *file = load_text(load, ca);
	struct mail_box_config *box = url ? box_of(load, imap, url) : NULL;

	if (box) {
		box->every = load_duration(load, every);
		box->deletes = word && strcmp(word, "delete") == 0;
		box->timeout = channel->timeout;
		if (file && *file) {
			free(box->ca);
			box->ca = config_path_join(load->config->folder, file);
		}
	}
	channel->inbound = box;
	free(imap);
	free(ca);
	free(every);
	free(then);
}

/* What contacts call it: providers/x.yaml is x. */
static char *provider_called(const char *name)
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	const char *dot = strrchr(base, '.');

	return xmemdup0(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

/* Where the provider calls, once somebody can reach us there. */
static void fill_callback(struct config_loading *load, struct channel_config *channel)
{
	const char *public_url = load_text(load, "http.public_url");
	const json_t *settings = json_object_get(channel->settings, "settings");
	struct text errors;

	if (!public_url || !*public_url)
		return;
	text_init(&errors, CONFIG_REPORT_MAX);
	channel->callback = provider_callback_compile(channel->provider_file, settings, &errors);
	text_release(&errors);
	if (!channel->callback || channel->captured_by) /* what does not leave has no receipt */
		return;
	size_t len = strlen(public_url);
	while (len && public_url[len - 1] == '/')
		len--;
	free(channel->callback_url);
	channel->callback_url =
		xasprintf("%.*s/in/%s/%s", (int)len, public_url, channel->name, channel->provider);
	channel->receipts = provider_callback_has_receipts(channel->callback);
}

/* The file of an HTTP channel's provider, checked, and the channel's settings against it. */
static void fill_provider(struct config_loading *load, struct channel_config *channel, const char *name,
			  const char *provider_path, const char *settings_path)
{
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
	free(channel->provider);
	channel->provider = provider_called(name);
	tree = config_tree_read(file, &error);
	if (!tree || !provider_check(tree, file, &error)) {
		config_mistakes(&load->source, provider_path, &error);
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
	fill_callback(load, channel);
out:
	config_tree_free(tree);
	text_release(&error);
	free(file);
}

/* --- several providers --- */

/* The channel's own object, with the settings of one provider in the place of all. */
static json_t *settings_of(const json_t *channel, const char *provider)
{
	json_t *own = json_copy((json_t *)channel);
	json_t *settings = json_object_get(json_object_get(channel, "settings"), provider);

	json_object_set_new(own, "settings", settings ? json_deep_copy(settings) : json_object());
	return own;
}

/* Names that stand twice, and settings for none of them. */
static void check_names(struct config_loading *load, const json_t *names, const json_t *settings,
			const char *path)
{
	json_t *given = json_object(), *value;
	const char *key;
	size_t i;

	json_array_foreach(names, i, value)
	{
		char *called = provider_called(json_string_value(value) ? json_string_value(value) : "");
		if (json_object_get(given, called)) {
			char *at = xasprintf("%s.providers.%zu", path, i);
			config_wrong(&load->source, at,
				     "is there already; each provider once would be right");
			free(at);
		}
		json_object_set_new(given, called, json_true());
		free(called);
	}
	json_object_foreach((json_t *)settings, key, value)
	{
		if (json_object_get(given, key))
			continue;
		char *at = xasprintf("%s.settings.%s", path, key);
		config_wrong(&load->source, at,
			     "is none of the providers; { NAME: { … } } for each of them would be right");
		free(at);
	}
	json_decref(given);
}

static void fill_one_of_several(struct config_loading *load, struct channel_config *channel,
				const json_t *whole, const char *name, size_t i, const char *path)
{
	char *called = provider_called(name), *at = xasprintf("%s.providers.%zu", path, i),
	     *settings_path = xasprintf("%s.settings.%s", path, called);

	json_decref(channel->settings);
	channel->settings = settings_of(whole, called);
	channel->of_several = true;
	fill_provider(load, channel, name, at, settings_path);
	free(called);
	free(at);
	free(settings_path);
}

/* The first is the channel itself. */
static void fill_first(struct config_loading *load, struct channel_config *channel, const char *path)
{
	json_t *whole = json_incref(channel->settings), *names = json_object_get(whole, "providers");
	const char *first = json_string_value(json_array_get(names, 0));
	char *at = xasprintf("%s.providers", path);

	if (json_object_get(whole, "provider"))
		config_wrong(&load->source, at, "stands beside `provider`; one of them would be right");
	if (json_array_size(names) > PROVIDERS_MAX)
		config_wrong(&load->source, at, "names more than %d providers", PROVIDERS_MAX);
	check_names(load, names, json_object_get(whole, "settings"), path);
	if (first)
		fill_one_of_several(load, channel, whole, first, 0, path);
	json_decref(whole);
	free(at);
}

/* The others are as the channel is, but for what is their own. Once the channel is filled. */
static void fill_others(struct config_loading *load, struct channel_config *channel, const json_t *whole,
			const char *path)
{
	const json_t *names = json_object_get(whole, "providers");
	size_t count = json_array_size(names);

	channel->others = xcalloc(count + 1, sizeof *channel->others);
	for (size_t i = 1; i < count && i < PROVIDERS_MAX; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		struct channel_config *other = &channel->others[channel->other_count++];
		*other = *channel;
		other->others = NULL;
		other->other_count = 0;
		other->name = xstrdup(channel->name);
		other->provider = xstrdup("");
		other->settings = json_object();
		other->provider_file = NULL;
		other->callback_url = NULL;
		other->callback = NULL;
		other->receipts = false;
		if (name)
			fill_one_of_several(load, other, whole, name, i, path);
		if (other->provider_file &&
		    (channel_addresses(other).kind != channel_addresses(channel).kind ||
		     channel_is_sms(other) != channel_is_sms(channel))) {
			char *at = xasprintf("%s.providers.%zu", path, i);
			config_wrong(&load->source, at,
				     "is for other addresses than %s; one of the same kind "
				     "would be right",
				     channel->provider);
			free(at);
		}
	}
}

/* The adapter's own complaints, a line each, that begin with a key of the channel where one is meant. */
static void check_adapter(struct config_loading *load, const struct channel_config *channel, const char *path)
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

/* Reads `numbers`; what is wrong is told. */
static void fill_numbers(struct config_loading *load, struct channel_config *channel, const char *path)
{
	char *country_path = xasprintf("%s.numbers.country", path),
	     *trunk_path = xasprintf("%s.numbers.trunk", path),
	     *digits_path = xasprintf("%s.numbers.digits", path);
	const char *country = load_text(load, country_path), *trunk = load_text(load, trunk_path);
	struct number_plan *plan = &channel->numbers;

	if (country)
		country += *country == '+';
	if (country && (!*country || *country == '0' || country[strspn(country, "0123456789")] ||
			strlen(country) >= sizeof plan->country))
		config_wrong(&load->source, country_path,
			     "is not the code of a country; 1 to %zu digits, as \"54\", would be right",
			     sizeof plan->country - 1);
	else if (country)
		snprintf(plan->country, sizeof plan->country, "%s", country);
	if (trunk && (trunk[strspn(trunk, "0123456789")] || strlen(trunk) >= sizeof plan->trunk ||
		      strncmp(trunk, "00", 2) == 0))
		config_wrong(
			&load->source, trunk_path,
			"is not what stands before a national number; at most %zu digits, as \"0\", would "
			"be right",
			sizeof plan->trunk - 1);
	else if (trunk)
		snprintf(plan->trunk, sizeof plan->trunk, "%s", trunk);
	plan->digits = (int)load_integer(load, digits_path);
	free(country_path);
	free(trunk_path);
	free(digits_path);
}

/* What only channels to phone numbers have. */
static void fill_phone(struct config_loading *load, struct channel_config *channel, const char *path)
{
	char *segments_path = xasprintf("%s.max_segments", path),
	     *numbers_path = xasprintf("%s.numbers", path);

	if (load_value(load, segments_path)) {
		channel->max_segments = (int)load_integer(load, segments_path);
		if (!channel_is_sms(channel))
			config_wrong(&load->source, segments_path,
				     "is for short messages, and this channel carries none; leave it out");
	}
	if (load_value(load, numbers_path)) {
		fill_numbers(load, channel, path);
		if (channel_addresses(channel).kind != ADDRESS_PHONE)
			config_wrong(
				&load->source, numbers_path,
				"is for phone numbers, and this channel's addresses are none; leave it out");
	}
	free(segments_path);
	free(numbers_path);
}

static void fill_retry(struct config_loading *load, struct channel_config *channel, const char *path)
{
	const char *names[] = {"first", "max", "give_up_after"};
	int64_t *durations[] = {&channel->retry.first, &channel->retry.max, &channel->retry.give_up_after};

	for (size_t i = 0; i < 3; i++) {
		char *at = xasprintf("%s.retry.%s", path, names[i]);
		*durations[i] = load_duration(load, at);
		free(at);
	}
	char *at = xasprintf("%s.retry.factor", path);
	channel->retry.factor = json_number_value(load_value(load, at));
	free(at);
	at = xasprintf("%s.retry", path);
	if (channel->retry.first && channel->retry.max && channel->retry.first > channel->retry.max)
		config_wrong(&load->source, at,
			     "has a first pause longer than max; a longer max would be right");
	free(at);
}

static void fill_rate(struct config_loading *load, struct channel_config *channel, const char *path)
{
	char *at = xasprintf("%s.rate", path);
	const char *rate = load_text(load, at);
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (rate && !rate_parse(rate, &channel->rate, &error))
		config_wrong(&load->source, at, "%s", error.data);
	text_release(&error);
	free(at);
}

/* True if the channel can be used; what else is wrong has been told. */
static void fill_channel(struct config_loading *load, const char *name, json_t *value)
{
	struct config *config = load->config;
	struct channel_config *channel = &config->channels[config->channel_count];
	char *path = xasprintf("channels.%s", name), *adapter_path = xasprintf("channels.%s.adapter", name),
	     *timeout_path = xasprintf("channels.%s.timeout", name),
	     *doubt_path = xasprintf("channels.%s.in_doubt", name),
	     *relay_path = xasprintf("channels.%s.relay", name),
	     *provider_path = xasprintf("channels.%s.provider", name),
	     *settings_path = xasprintf("channels.%s.settings", name),
	     *ca_path = xasprintf("channels.%s.ca", name);
	const char *adapter = load_text(load, adapter_path);

	if (!channel_name_is_valid(name))
		config_wrong(&load->source, path,
			     "is not a channel's name; a small letter, then at most %d more of a-z 0-9 _ - "
			     "would be right",
			     CHANNEL_NAME_MAX - 1);
	else if (strcmp(name, "summary") == 0 || strcmp(name, "required") == 0)
		config_wrong(&load->source, path,
			     "is a file that every template may have; another name would be right");
	*channel = (struct channel_config){.name = xstrdup(name),
					   .ops = adapter ? registry_channel(adapter) : NULL,
					   .provider = xstrdup(""),
					   .settings = json_incref(value)};
	config->channel_names[config->channel_count++] = channel->name;
	if (adapter && !channel->ops)
		wrong_adapter(load, adapter_path, adapter);
	if (channel->ops && channel->ops->unsafe)
		config_warn(&load->source, adapter_path, "%s", channel->ops->unsafe);
	if (channel->ops && channel->ops->stands_in) {
		channel->captured_by = channel->ops;
		channel->ops = registry_stand_in(name, value);
	}
	channel->timeout = load_duration(load, timeout_path);
	fill_retry(load, channel, path);
	fill_rate(load, channel, path);
	if (channel->ops) {
		const char *in_doubt = load_text(load, doubt_path);
		channel->resend_in_doubt =
			in_doubt ? strcmp(in_doubt, "resend") == 0 : channel->ops->resend_in_doubt;
		if (!config_at(value, "in_doubt"))
			json_object_set_new(value, "in_doubt",
					    json_string(channel->resend_in_doubt ? "resend" : "hold"));
		fill_relay(load, channel, relay_path);
		fill_ca(load, channel, ca_path);
		fill_inbound(load, channel, path);
		if (json_array_size(json_object_get(value, "providers")))
			fill_first(load, channel, path);
		else if (config_at(value, "provider"))
			fill_provider(load, channel, load_text(load, provider_path), provider_path,
				      settings_path);
		else if (strcmp(adapter, "http") == 0)
			config_wrong(
				&load->source, provider_path,
				"is missing; NAME of a file in providers/ would be right, or `providers`, "
				"a list");
		if (!config_is_broken(&load->source, path)) /* what follows builds on what is right so far */
			fill_phone(load, channel, path);
		if (channel->of_several && !config_is_broken(&load->source, path))
			fill_others(load, channel, value, path);
		for (size_t i = 0; i <= channel->other_count; i++)
			if (!channel->captured_by && !config_is_broken(&load->source, path))
				check_adapter(load, i ? &channel->others[i - 1] : channel, path);
	}
	free(path);
	free(adapter_path);
	free(timeout_path);
	free(doubt_path);
	free(relay_path);
	free(provider_path);
	free(settings_path);
	free(ca_path);
}

void config_load_channels(struct config_loading *load)
{
	struct config *config = load->config;
	json_t *channels = load_value(load, "channels"), *value;
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
	json_object_foreach(channels, name, value)
	{
		if (json_is_object(value))
			fill_channel(load, name, value);
	}
}
