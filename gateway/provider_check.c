/* A provider's file under check: every mistake by its line, before anything is sent. */
#include "provider.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "mustache.h"
#include "xalloc.h"
#include "banned.h"

static const char *const rule_lists[] = {"success", "in_doubt", "dead", "company", "retry", "permanent"};
#define RULE_LISTS (sizeof rule_lists / sizeof rule_lists[0])

struct checking {
	struct config_source source;
	size_t mistakes;
};

static __attribute__((format(printf, 3, 4))) void wrong(struct checking *c, const char *path,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	config_vwrong(&c->source, path, format, args);
	va_end(args);
	c->mistakes++;
}

static json_t *at(struct checking *c, const char *path)
{
	return config_is_doubtful(&c->source, path) ? NULL : config_at(c->source.values, path);
}

/* --- the request --- */

#define AUTH_KEYS 8

/* What each kind of authentication needs, and what it takes besides. */
static const struct auth_kind {
	const char *type, *needs[AUTH_KEYS], *takes[AUTH_KEYS];
} auth_kinds[] = {
	{"none", {NULL}, {NULL}},
	{"basic", {"user", "password"}, {NULL}},
	{"bearer", {"token"}, {NULL}},
	{"header", {"name", "value"}, {NULL}},
	{"query", {"name", "value"}, {NULL}},
	{"hmac", {"name", "key", "sign"}, {"value", "key_encoding", "digest", "encoding", "in"}},
	{"oauth2", {"token_url", "client_id", "client_secret"}, {"client_auth", "scope", "params"}},
};

static bool is_among(const char *const words[AUTH_KEYS], const char *word)
{
	for (size_t i = 0; i < AUTH_KEYS && words[i]; i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

static void check_auth_keys(struct checking *c, const struct auth_kind *kind)
{
	const json_t *auth = at(c, "request.auth");
	const char *name;
	json_t *value;

	for (size_t i = 0; i < AUTH_KEYS && kind->needs[i]; i++)
		if (!json_object_get(auth, kind->needs[i]))
			wrong(c, "request.auth", "has no %s; type %s needs it", kind->needs[i], kind->type);
	json_object_foreach((json_t *)auth, name, value)
	{
		char *path = xasprintf("request.auth.%s", name);
		bool known = !config_is_doubtful(&c->source, path);
		if (known && strcmp(name, "type") != 0 && !is_among(kind->needs, name) &&
		    !is_among(kind->takes, name))
			wrong(c, path, "is a key that type %s does not take; leave it out", kind->type);
		free(path);
	}
}

/* Where a request goes can be said by the configuration, so that a test or a proxy can stand there. */
static void check_token_url(struct checking *c)
{
	const char *url = json_string_value(at(c, "request.auth.token_url"));

	if (url && strncmp(url, "{{settings.", 11) != 0 && strncmp(url, "{{{settings.", 12) != 0)
		wrong(c, "request.auth.token_url",
		      "does not begin with a setting; {{settings.token_url}}, whose default is the "
		      "provider's, "
		      "would be right");
}

static void check_auth(struct checking *c)
{
	const char *type = json_string_value(at(c, "request.auth.type"));

	for (size_t i = 0; type && i < sizeof auth_kinds / sizeof auth_kinds[0]; i++)
		if (strcmp(auth_kinds[i].type, type) == 0)
			check_auth_keys(c, &auth_kinds[i]);
	check_token_url(c);
}

static void check_body(struct checking *c)
{
	static const char *const bodies[] = {"form", "json", "body"};
	const json_t *request = at(c, "request");
	int found = 0;

	for (size_t i = 0; i < 3; i++)
		found += json_object_get(request, bodies[i]) != NULL;
	if (found > 1)
		wrong(c, "request", "has several of form, json and body; one of them would be right");
	if (json_object_get(request, "body") && !json_object_get(request, "content_type"))
		wrong(c, "request.body",
		      "has no content_type beside it; add one, as text/plain; charset=utf-8");
	const char *method = json_string_value(json_object_get(request, "method"));
	if (found && method && strcmp(method, "GET") == 0)
		wrong(c, "request.method", "is GET, which has no body; POST, or query, would be right");
}

static void check_url(struct checking *c)
{
	const char *url = json_string_value(at(c, "request.url"));

	if (!at(c, "settings.base_url") && !config_is_doubtful(&c->source, "settings"))
		wrong(c, "settings",
		      "has no base_url, which every provider has; its default is the provider's own address");
	if (url && strncmp(url, "{{settings.base_url}}", 21) != 0 &&
	    strncmp(url, "{{{settings.base_url}}}", 23) != 0)
		wrong(c, "request.url", "does not begin with {{settings.base_url}}; that would be right");
}

/* --- the texts --- */

static const char *const names[] = {
	"to",        "digits",     "text",        "summary",       "locale",     "attempt",
	"unicode",   "message.id", "customer.id", "customer.name", "product.id", "product.title",
	"time.unix", "time.ms",    "time.iso",    "time.http",     "nonce",      "callback_url"};
static const char *const signed_names[] = {
	"request.method",         "request.path",         "request.target",      "request.host",
	"request.body",           "request.content_type", "request.body_sha256", "request.body_sha256_base64",
	"request.body_md5_base64"};
#define NAMES (sizeof names / sizeof names[0])
#define SIGNED_NAMES (sizeof signed_names / sizeof signed_names[0])

static bool is_name(const char *name, const char *const list[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* What only a signed request shows, and only in its headers and signature. */
static bool is_shown_signed(struct checking *c, const char *path, const char *name)
{
	const char *type = json_string_value(at(c, "request.auth.type"));

	if (!type || strcmp(type, "hmac") != 0)
		return false;
	if (strcmp(name, "signature") == 0)
		return strcmp(path, "request.auth.value") == 0;
	return is_name(name, signed_names, SIGNED_NAMES) &&
	       (begins(path, "request.headers.") || begins(path, "request.auth."));
}

static void check_name(struct checking *c, const char *path, const char *name)
{
	const char *plain = begins(name, "xml.") || begins(name, "url.") ? name + 4
			    : begins(name, "json.")                      ? name + 5
									 : name;

	if (begins(plain, "settings.")) {
		const json_t *settings = json_object_get(c->source.values, "settings");
		if (!json_object_get(settings, plain + 9))
			wrong(c, path, "uses %s, which settings does not declare; add it there", plain);
		return;
	}
	bool token = begins(path, "request.auth.token_url") || begins(path, "request.auth.client_") ||
		     begins(path, "request.auth.scope") || begins(path, "request.auth.params");
	if (token)
		wrong(c, path, "uses %s; a token's request sees only settings", name);
	else if (!is_name(plain, names, NAMES) && !is_shown_signed(c, path, name) && strcmp(name, ".") != 0) {
		const char *near = config_nearest(plain, names, NAMES);
		if (is_name(name, signed_names, SIGNED_NAMES) || strcmp(name, "signature") == 0)
			wrong(c, path, "uses %s, which is there only in what auth hmac signs and in headers",
			      name);
		else if (near)
			wrong(c, path, "uses %s, which is not there; did you mean %s?", name, near);
		else
			wrong(c, path,
			      "uses %s, which is not there; to, text or settings.NAME would be right", name);
	}
}

/* Every name in a text that is Mustache. */
static void check_names(struct checking *c, const char *path, const char *s)
{
	for (const char *open = strstr(s, "{{"); open; open = strstr(open, "{{")) {
		const char *name = open + 2;
		char kind = *name;
		name += strspn(name, "{#^/& ");
		size_t len = strcspn(name, "} ");
		open = name + len;
		if (kind == '!')
			continue;
		if (kind == '>' || kind == '=') {
			wrong(c, path,
			      "has a partial or other delimiters, which are not there for providers");
			return;
		}
		char *copy = xmemdup0(name, len);
		check_name(c, path, copy);
		free(copy);
	}
}

static void check_text(struct checking *c, const char *path, const json_t *text)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct mustache *compiled =
		mustache_compile(json_string_value(text), json_string_length(text), &error);
	if (!compiled)
		wrong(c, path, "is not Mustache: at %s", error.data);
	else
		check_names(c, path, json_string_value(text));
	mustache_free(compiled);
	text_release(&error);
}

static void check_texts(struct checking *c, const char *path, const json_t *value)
{
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		check_text(c, path, value);
	json_object_foreach((json_t *)value, name, member)
	{
		char *below = xasprintf("%s.%s", path, name);
		check_texts(c, below, member);
		free(below);
	}
	json_array_foreach(value, i, member)
	{
		char *below = xasprintf("%s.%zu", path, i);
		check_texts(c, below, member);
		free(below);
	}
}

/* --- the response --- */

/* 200, "200", "2xx" */
static bool is_status(const json_t *value)
{
	const char *s = json_string_value(value);

	if (json_is_integer(value))
		return json_integer_value(value) >= 100 && json_integer_value(value) <= 599;
	if (!s || strlen(s) != 3 || *s < '1' || *s > '5')
		return false;
	return strcmp(s + 1, "xx") == 0 || strspn(s, "0123456789") == 3;
}

static bool is_plain(const json_t *value)
{
	return json_is_string(value) || json_is_integer(value) || json_is_boolean(value);
}

/* One that `fits`, or a list of them that is not empty. */
static bool one_or_list(const json_t *value, bool (*fits)(const json_t *value))
{
	json_t *member;
	size_t i;

	if (!json_is_array(value))
		return fits(value);
	json_array_foreach(value, i, member)
	{
		if (!fits(member))
			return false;
	}
	return json_array_size(value) > 0;
}

static bool is_text_rule(const json_t *value)
{
	const char *name;
	json_t *member;

	if (!json_is_object(value) || !json_object_size(value))
		return false;
	json_object_foreach((json_t *)value, name, member)
	{
		if (!json_is_string(member) || (strcmp(name, "prefix") != 0 && strcmp(name, "contains") != 0))
			return false;
	}
	return true;
}

static void check_rule(struct checking *c, const char *path, const json_t *rule)
{
	const json_t *status = json_object_get(rule, "status"), *code = json_object_get(rule, "code"),
		     *equals = json_object_get(rule, "equals"), *in = json_object_get(rule, "in"),
		     *text = json_object_get(rule, "text");

	if (!json_object_size(rule))
		wrong(c, path, "is an empty rule; { status: 400 } or the like would be right");
	if (status && !one_or_list(status, is_status))
		wrong(c, path, "has a status that is none; 200, 2xx or a list, [408, 5xx], would be right");
	if (code && !one_or_list(code, is_plain))
		wrong(c, path, "has a code that is none; a number, text or a list of them would be right");
	if (code && !at(c, "response.error_code"))
		wrong(c, path, "asks for a code, and response.error_code does not say where it is; add that");
	if (equals && !is_plain(equals))
		wrong(c, path,
		      "has an equals that is none; text, a whole number, true or false would be right");
	if (in && (!json_is_array(in) || !one_or_list(in, is_plain)))
		wrong(c, path, "has an `in` that is none; a list of text or whole numbers would be right");
	if ((equals || in) && !json_object_get(rule, "json"))
		wrong(c, path, "compares and does not say what; add json: PATH");
	if (json_object_get(rule, "json") && !equals && !in)
		wrong(c, path, "names a path and nothing to compare it with; add equals or in");
	if (text && !is_text_rule(text))
		wrong(c, path, "has a text that is none; { prefix: … } or { contains: … } would be right");
}

static void check_expression(struct checking *c, const char *path, const char *expression)
{
	regex_t regex;
	char why[128];
	int failed = regcomp(&regex, expression, REG_EXTENDED);

	if (failed) {
		regerror(failed, &regex, why, sizeof why);
		wrong(c, path, "is not an extended regular expression: %s", why);
		return;
	}
	if (regex.re_nsub < 1)
		wrong(c, path, "has no group; what is looked for stands in ( ), as in id=([0-9]+)");
	regfree(&regex);
}

static void check_finder(struct checking *c, const char *name)
{
	char *path = xasprintf("response.%s", name), *text_path = xasprintf("response.%s.text", name);
	const json_t *find = json_object_get(json_object_get(c->source.values, "response"), name);
	const char *text = json_string_value(at(c, text_path));
	int places = (json_object_get(find, "json") != NULL) + (json_object_get(find, "text") != NULL) +
		     (json_object_get(find, "header") != NULL);

	if (json_is_object(find) && places != 1)
		wrong(c, path, "does not say where once; one of json, text and header would be right");
	else if (json_object_get(find, "header") && strcmp(name, "id") != 0)
		wrong(c, path, "is in a header; only the id can be there");
	if (text)
		check_expression(c, text_path, text);
	free(path);
	free(text_path);
}

static void check_response(struct checking *c)
{
	static const char *const finds[] = {"id", "error_code", "error_text", "retry_after"};
	const json_t *response = at(c, "response");
	json_t *rule;
	size_t j;

	for (size_t i = 0; i < RULE_LISTS; i++) {
		json_array_foreach(json_object_get(response, rule_lists[i]), j, rule)
		{
			char *path = xasprintf("response.%s.%zu", rule_lists[i], j);
			if (json_is_object(rule))
				check_rule(c, path, rule);
			free(path);
		}
	}
	for (size_t i = 0; i < sizeof finds / sizeof finds[0]; i++)
		check_finder(c, finds[i]);
}

/* --- callbacks --- */

/* What each kind of signature needs, and what it takes besides. */
static const struct auth_kind signature_kinds[] = {
	{"twilio", {"key"}, {NULL}},
	{"sorted", {"key"}, {"name", "digest"}},
	{"jwt", {"key"}, {"name", "prefix", "url"}},
	{"hmac", {"key", "name"}, {"in", "digest", "encoding", "prefix", "sign"}},
	{"secret", {"key", "name"}, {"in", "prefix"}},
};

static void check_signature_keys(struct checking *c, const struct auth_kind *kind)
{
	const json_t *signature = at(c, "callbacks.signature");
	const char *name;
	json_t *value;

	for (size_t i = 0; i < AUTH_KEYS && kind->needs[i]; i++)
		if (!json_object_get(signature, kind->needs[i]))
			wrong(c, "callbacks.signature", "has no %s; type %s needs it", kind->needs[i],
			      kind->type);
	json_object_foreach((json_t *)signature, name, value)
	{
		char *path = xasprintf("callbacks.signature.%s", name);
		if (strcmp(name, "type") != 0 && !is_among(kind->needs, name) &&
		    !is_among(kind->takes, name) && !config_is_doubtful(&c->source, path))
			wrong(c, path, "is a key that type %s does not take; leave it out", kind->type);
		free(path);
	}
}

/* The key sees settings alone; what is signed sees what came. */
static void check_signature_text(struct checking *c, const char *path, bool signed_text)
{
	static const char *const seen[] = {"url", "base", "method", "body"};
	const json_t *settings = json_object_get(c->source.values, "settings"), *text = at(c, path);
	struct text error;

	if (!json_is_string(text))
		return;
	text_init(&error, TEXT_ERROR_MAX);
	struct mustache *compiled =
		mustache_compile(json_string_value(text), json_string_length(text), &error);
	if (!compiled)
		wrong(c, path, "is not Mustache: at %s", error.data);
	for (const char *open = strstr(json_string_value(text), "{{"); compiled && open;
	     open = strstr(open, "{{")) {
		const char *begin = open + 2 + strspn(open + 2, "{#^/& ");
		char *name = xmemdup0(begin, strcspn(begin, "} "));
		bool known = signed_text ? is_name(name, seen, 4) || begins(name, "header.")
					 : begins(name, "settings.") && json_object_get(settings, name + 9);
		if (!known)
			wrong(c, path, "uses %s, which is not there; %s would be right", name,
			      signed_text ? "url, base, method, body or header.NAME"
					  : "a setting that is declared");
		free(name);
		open = begin;
	}
	mustache_free(compiled);
	text_release(&error);
}

/* A state means one thing. */
static void check_states(struct checking *c)
{
	static const char *const lists[] = {"delivered", "rejected", "dead", "retry", "ignored"};
	const json_t *receipt = at(c, "callbacks.receipt");
	json_t *seen = json_object(), *word;
	size_t j;

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		json_array_foreach(json_object_get(receipt, lists[i]), j, word)
		{
			const char *state = json_string_value(word);
			const char *other = state ? json_string_value(json_object_get(seen, state)) : NULL;
			char *path = xasprintf("callbacks.receipt.%s.%zu", lists[i], j);
			if (other)
				wrong(c, path, "stands in %s as well; one of them would be right", other);
			if (state)
				json_object_set_new(seen, state, json_string(lists[i]));
			free(path);
		}
	}
	json_decref(seen);
}

static void check_callbacks(struct checking *c)
{
	const char *type = json_string_value(at(c, "callbacks.signature.type"));
	bool gives = json_is_true(at(c, "gives_receipts")), says = at(c, "callbacks.receipt") != NULL;

	if (gives && !says && !config_is_doubtful(&c->source, "callbacks"))
		wrong(c, "gives_receipts",
		      "is true, and callbacks.receipt does not say what one looks like; add that");
	else if (says && !gives)
		wrong(c, "callbacks.receipt", "is there, and gives_receipts is not true; add that");
	for (size_t i = 0; type && i < sizeof signature_kinds / sizeof signature_kinds[0]; i++)
		if (strcmp(signature_kinds[i].type, type) == 0)
			check_signature_keys(c, &signature_kinds[i]);
	check_signature_text(c, "callbacks.signature.key", false);
	check_signature_text(c, "callbacks.signature.sign", true);
	check_states(c);
}

bool provider_check(const struct config_tree *tree, const char *file, struct text *errors)
{
	json_t *values = config_tree_json(tree);
	struct checking c = {.source = {.file = file,
					.tree = tree,
					.values = values,
					.errors = errors,
					.doubtful = json_object()}};

	bool fine = config_check_tree(&c.source, &provider_table);
	if (fine)
		config_fill_tree(values, &provider_table);
	check_auth(&c);
	check_body(&c);
	check_url(&c);
	if (!config_is_broken(&c.source, "settings"))
		check_texts(&c, "request", json_object_get(values, "request"));
	check_response(&c);
	check_callbacks(&c);
	if (json_object_size(json_object_get(values, "settings")) > PROVIDER_SETTINGS_MAX)
		wrong(&c, "settings", "are too many; at most %d would be right", PROVIDER_SETTINGS_MAX);
	json_decref(c.source.doubtful);
	return fine && !c.mistakes;
}
