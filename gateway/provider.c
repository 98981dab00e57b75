#include "provider.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_check.h"
#include "xalloc.h"
#include "banned.h"

#define SETTINGS_MAX 64 /* of one provider */

static const char *const rule_lists[] = {"success", "dead", "company", "retry", "permanent"};
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

static void check_auth(struct checking *c)
{
	static const struct {
		const char *type, *keys[2];
	} kinds[] = {{"none", {NULL, NULL}},
		     {"basic", {"user", "password"}},
		     {"bearer", {"token", NULL}},
		     {"header", {"name", "value"}},
		     {"query", {"name", "value"}}};
	const json_t *auth = at(c, "request.auth");
	const char *type = json_string_value(at(c, "request.auth.type"));

	if (!auth || !type)
		return;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strcmp(kinds[i].type, type) != 0)
			continue;
		size_t found = 0;
		for (size_t j = 0; j < 2 && kinds[i].keys[j]; j++) {
			found += json_object_get(auth, kinds[i].keys[j]) != NULL;
			if (!json_object_get(auth, kinds[i].keys[j]))
				wrong(c, "request.auth", "has no %s; type %s needs it", kinds[i].keys[j],
				      type);
		}
		if (json_object_size(auth) > found + 1)
			wrong(c, "request.auth", "has keys that type %s does not take; leave them out", type);
		return;
	}
	wrong(c, "request.auth.type", "%s is not yet (A2); basic, bearer, header or query would be right",
	      type);
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
	if (found && strcmp(json_string_value(json_object_get(request, "method")), "GET") == 0)
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

/* Every {{settings.NAME}} in a text names a setting that is declared. */
static void check_references(struct checking *c, const char *path, const char *s)
{
	static const char mark[] = "settings.";

	for (const char *open = strstr(s, "{{"); open; open = strstr(open, "{{")) {
		const char *name = open + strspn(open, "{#^/& ");
		open += 2;
		if (strncmp(name, mark, sizeof mark - 1) != 0)
			continue;
		name += sizeof mark - 1;
		char *setting = xmemdup0(name, strcspn(name, "} "));
		if (!json_object_get(json_object_get(c->source.values, "settings"), setting))
			wrong(c, path, "uses settings.%s, which settings does not declare; add it there",
			      setting);
		free(setting);
	}
}

static void check_texts(struct checking *c, const char *path, const json_t *value)
{
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		check_references(c, path, json_string_value(value));
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

static void check_response(struct checking *c)
{
	static const char *const finds[] = {"id", "error_code", "error_text"};
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
	for (size_t i = 0; i < 3; i++) {
		const json_t *find = json_object_get(response, finds[i]);
		char *path = xasprintf("response.%s", finds[i]);
		if (json_is_object(find) && json_object_size(find) != 1)
			wrong(c, path,
			      "does not say where once; one of json, text and header would be right");
		free(path);
	}
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
	if (fine) {
		config_fill_tree(values, &provider_table);
		check_auth(&c);
		check_body(&c);
		check_url(&c);
		check_texts(&c, "request", json_object_get(values, "request"));
		check_response(&c);
		if (json_object_size(json_object_get(values, "settings")) > SETTINGS_MAX)
			wrong(&c, "settings", "are too many; at most %d would be right", SETTINGS_MAX);
	}
	json_decref(c.source.doubtful);
	return fine && !c.mistakes;
}

/* --- a channel's --- */

char *provider_find(const char *folder, const char *name, struct text *error)
{
	if (strchr(name, '/')) {
		char *path = config_path_join(folder, name);
		if (access(path, R_OK) == 0)
			return path;
		text_error(error, "%s cannot be read; the path of a provider's file would be right", path);
		free(path);
		return NULL;
	}
	char *beside = xasprintf("%s/providers/%s.yaml", folder, name);
	char *installed = xasprintf("%s/share/heed/providers/%s.yaml", HEED_PREFIX, name);
	char *found = access(beside, R_OK) == 0      ? xstrdup(beside)
		      : access(installed, R_OK) == 0 ? xstrdup(installed)
						     : NULL;
	if (!found)
		text_error(error, "is a provider without a file; %s or %s would be right", beside, installed);
	free(beside);
	free(installed);
	return found;
}

static void unknown_setting(const json_t *declared, const char *name, const struct config_source *source,
			    const char *path)
{
	const char *words[SETTINGS_MAX];
	size_t count = 0;
	const char *word;
	json_t *value;
	struct text all;

	text_init(&all, TEXT_ERROR_MAX);
	json_object_foreach((json_t *)declared, word, value)
	{
		if (count < SETTINGS_MAX)
			words[count++] = word;
		text_addf(&all, "%s%s", all.len ? ", " : "", word);
	}
	const char *near = config_nearest(name, words, count);
	if (near)
		config_wrong(source, path, "is not a setting of this provider; did you mean %s?", near);
	else
		config_wrong(source, path, "is not a setting of this provider; it has %s", all.data);
	text_release(&all);
}

static void check_setting(const json_t *declared, const char *name, json_t *value,
			  const struct config_source *source, const char *path)
{
	if (!json_object_get(declared, name))
		unknown_setting(declared, name, source, path);
	else if (!json_is_string(value))
		config_wrong(source, path, "is not text; text in quotes would be right");
	else if (!*json_string_value(value) && !config_is_doubtful(source, path) &&
		 json_is_true(json_object_get(json_object_get(declared, name), "required")))
		config_wrong(source, path, "is empty; the provider asks for it");
}

bool provider_settings(const json_t *provider, json_t *settings, const struct config_source *source,
		       const char *path)
{
	const json_t *declared = json_object_get(provider, "settings");
	size_t before = source->errors->len;
	const char *name;
	json_t *value;

	json_object_foreach(settings, name, value)
	{
		char *at_path = xasprintf("%s.%s", path, name);
		check_setting(declared, name, value, source, at_path);
		free(at_path);
	}
	json_object_foreach((json_t *)declared, name, value)
	{
		json_t *fallback = json_object_get(value, "default");
		if (json_object_get(settings, name))
			continue;
		char *at_path = xasprintf("%s.%s", path, name);
		if (fallback)
			json_object_set(settings, name, fallback);
		else if (json_is_true(json_object_get(value, "required")))
			config_wrong(source, at_path, "is missing; the provider asks for it");
		else
			json_object_set_new(settings, name, json_string(""));
		free(at_path);
	}
	return source->errors->len == before;
}
