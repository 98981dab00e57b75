/* The section http: listeners, proxies, tokens; and the secrets that sign what the public listener gives out.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "config_load.h"
#include "xalloc.h"
#include "banned.h"

#define SECRET_MIN 32 /* bytes */

static void fill_socket(struct config_loading *load)
{
	const char *socket = load_text(load, "http.socket");

	load->config->http.socket = config_path_join(load->config->folder, socket ? socket : "");
	if (strlen(load->config->http.socket) >= sizeof((struct sockaddr_un *)0)->sun_path)
		config_wrong(&load->source, "http.socket",
			     "is too long a path (%s); at most %zu bytes would be right",
			     load->config->http.socket, sizeof((struct sockaddr_un *)0)->sun_path - 1);
}

/* The caller frees; "" where there is none, or a mistake was told. */
static char *fill_listener(struct config_loading *load, const char *path, struct net_endpoint *endpoint)
{
	const char *words = load_text(load, path);

	*endpoint = (struct net_endpoint){.port = 0};
	if (words && !net_endpoint_parse(words, endpoint))
		config_wrong(&load->source, path,
			     "'%s' is not ADDRESS:PORT; \"127.0.0.1:8480\" or \"[::1]:8480\" would be right",
			     words);
	return xstrdup(words ? words : "");
}

/* How customers reach us: scheme, host, and perhaps a path. */
static void fill_public_url(struct config_loading *load)
{
	struct config *config = load->config;
	char *url = load_copy(load, "http.public_url");
	struct config_url parsed = {0};
	bool ok = !*url ||
		  (config_url_parse(url, &parsed) && *parsed.host && !*parsed.user && !strpbrk(url, "?# ") &&
		   (strcmp(parsed.scheme, "https") == 0 || strcmp(parsed.scheme, "http") == 0));

	if (!ok)
		config_wrong(&load->source, "http.public_url",
			     "is not the address of a site; https://m.example.com would be right");
	else if (*url && strcmp(parsed.scheme, "http") == 0 && !config_host_is_local(parsed.host))
		config_warn(&load->source, "http.public_url",
			    "is http://: customers' links and answers can be read on the way; https:// would "
			    "be right");
	for (size_t len = strlen(url); len && url[len - 1] == '/';)
		url[--len] = '\0';
	config_url_release(&parsed);
	config->http.public_url = url;
}

static void check_public(struct config_loading *load)
{
	struct config *config = load->config;

	if (!*config->http.public)
		return;
	if (!*config->http.public_url && !config_is_doubtful(&load->source, "http.public_url"))
		config_wrong(&load->source, "http.public",
			     "needs http.public_url beside it, how customers reach it");
	if (!json_array_size(load_value(load, "secrets")) && !config_is_doubtful(&load->source, "secrets"))
		config_wrong(&load->source, "http.public", "needs secrets: [ … ], which sign its links");
}

static void fill_proxies(struct config_loading *load)
{
	struct config *config = load->config;
	json_t *list = load_value(load, "http.trusted_proxies"), *proxy;
	size_t i;

	config->http.proxies = xcalloc(json_array_size(list) + 1, sizeof *config->http.proxies);
	json_array_foreach(list, i, proxy)
	{
		const char *words = json_string_value(proxy);
		struct net_range *range = &config->http.proxies[config->http.proxy_count];
		char *path = xasprintf("http.trusted_proxies.%zu", i);
		if (config_is_doubtful(&load->source, path))
			;
		else if (!net_range_parse(words, range))
			config_wrong(
				&load->source, path,
				"'%s' is not an address or a network; \"10.0.0.0/8\" or \"::1\" would be "
				"right",
				words);
		else
			config->http.proxy_count++;
		if (words && strlen(words) > 2 && strcmp(words + strlen(words) - 2, "/0") == 0)
			config_warn(&load->source, path,
				    "trusts everybody: anyone may say to be any address");
		free(path);
	}
}

/* --- tokens --- */

static void fill_scopes(struct config_loading *load, const char *path, struct api_token *token)
{
	json_t *list = load_value(load, path), *word;
	enum scope scope;
	size_t i;

	if (list && !json_array_size(list))
		config_wrong(&load->source, path,
			     "is empty; some of send, read, history, write, ops would be right");
	json_array_foreach(list, i, word)
	{
		if (!json_is_string(word))
			continue;
		if (scope_parse(json_string_value(word), &scope))
			token->scopes |= scope;
		else
			config_wrong(&load->source, path,
				     "'%s' is not a scope; send, read, history, write or ops would be right",
				     json_string_value(word));
	}
}

static void fill_token_products(struct config_loading *load, const char *path, struct api_token *token)
{
	json_t *list = load_value(load, path), *word;
	size_t i;

	if (list && !json_array_size(list))
		config_wrong(&load->source, path, "is empty; leave it out for all products");
	token->products = xcalloc(json_array_size(list) + 1, sizeof *token->products);
	json_array_foreach(list, i, word) if (json_is_string(word)) token->products[token->product_count++] =
		xstrdup(json_string_value(word));
}

/* The names and hashes of those before it are not its own. */
static void check_unique(struct config_loading *load, const char *path, const struct api_token *token)
{
	for (const struct api_token *other = load->config->http.tokens; other < token; other++) {
		if (*token->name && strcmp(other->name, token->name) == 0)
			config_wrong(&load->source, path, "has the name '%s', as another one has",
				     token->name);
		if (memcmp(other->hash, token->hash, sizeof token->hash) == 0)
			config_wrong(&load->source, path, "has the same sha256 as '%s'", other->name);
	}
}

static void fill_token(struct config_loading *load, size_t i)
{
	struct api_token *token = &load->config->http.tokens[i];
	char *path = xasprintf("http.tokens.%zu", i), *name = xasprintf("%s.name", path),
	     *hash = xasprintf("%s.sha256", path), *scopes = xasprintf("%s.scopes", path),
	     *products = xasprintf("%s.products", path);
	const char *hex = load_text(load, hash);

	load->config->http.token_count++;
	token->name = load_copy(load, name);
	token->by = xasprintf("api:%s", token->name);
	if (load_text(load, name) && !api_token_name_valid(token->name))
		config_wrong(&load->source, name, "'%s' is not 1 to %d letters, digits, ., _ and -",
			     token->name, TOKEN_NAME_MAX);
	bool hashed = hex && api_token_hash_parse(hex, token->hash);
	if (hex && !hashed)
		config_wrong(
			&load->source, hash,
			"is not 64 digits of hex; the line that `heed token NAME` prints would be right");
	if (hashed)
		check_unique(load, path, token);
	fill_scopes(load, scopes, token);
	fill_token_products(load, products, token);
	free(path);
	free(name);
	free(hash);
	free(scopes);
	free(products);
}

static void fill_tokens(struct config_loading *load)
{
	size_t count = json_array_size(load_value(load, "http.tokens"));

	load->config->http.tokens = xcalloc(count + 1, sizeof *load->config->http.tokens);
	for (size_t i = 0; i < count; i++)
		fill_token(load, i);
}

void config_check_tokens(struct config_loading *load)
{
	const struct config *config = load->config;

	for (size_t i = 0; config->products && i < config->http.token_count; i++) {
		const struct api_token *token = &config->http.tokens[i];
		char *path = xasprintf("http.tokens.%zu.products", i);
		for (size_t p = 0; p < token->product_count; p++)
			if (!product_find(config->products, token->products[p]))
				config_wrong(&load->source, path, "%s is not in the products file",
					     token->products[p]);
		free(path);
	}
}

static void fill_secrets(struct config_loading *load)
{
	struct config *config = load->config;
	json_t *list = load_value(load, "secrets"), *secret;
	size_t i;

	config->secrets = xcalloc(json_array_size(list) + 1, sizeof *config->secrets);
	json_array_foreach(list, i, secret)
	{
		char *path = xasprintf("secrets.%zu", i);
		if (!config_is_doubtful(&load->source, path) && json_string_length(secret) < SECRET_MIN)
			config_wrong(&load->source, path, "is too short; %d bytes or more would be right",
				     SECRET_MIN);
		else if (json_is_string(secret))
			config->secrets[config->secret_count++] = xstrdup(json_string_value(secret));
		free(path);
	}
}

void config_load_http(struct config_loading *load)
{
	struct config *config = load->config;
	struct net_endpoint public, internal;

	fill_socket(load);
	config->http.public = fill_listener(load, "http.public", &public);
	config->http.internal = fill_listener(load, "http.internal", &internal);
	fill_public_url(load);
	fill_proxies(load);
	fill_tokens(load);
	fill_secrets(load);
	check_public(load);
	if (internal.port && internal.port == public.port && strcmp(internal.host, public.host) == 0)
		config_wrong(&load->source, "http.internal",
			     "is the same as http.public: the API is not for customers");
	if (internal.port && !net_endpoint_is_local(&internal))
		config_warn(
			&load->source, "http.internal",
			"is not on this machine alone: tokens and customers' data go there without TLS; a "
			"loopback address with a proxy in front would be right");
	if (internal.port && !config->http.token_count)
		config_warn(&load->source, "http.tokens",
			    "there is none, so nobody can use the API; `heed token NAME` makes one");
}

void config_http_release(struct config *config)
{
	free(config->http.socket);
	free(config->http.public);
	free(config->http.internal);
	free(config->http.public_url);
	free(config->http.proxies);
	for (size_t i = 0; i < config->http.token_count; i++)
		api_token_release(&config->http.tokens[i]);
	free(config->http.tokens);
	for (size_t i = 0; i < config->secret_count; i++)
		free(config->secrets[i]);
	free(config->secrets);
}
