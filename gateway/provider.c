#include "provider.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_check.h"
#include "xalloc.h"
#include "banned.h"

char *config_binary_folder(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);

	if (len <= 0)
		return xstrdup(".");
	path[len] = '\0';
	*strrchr(path, '/') = '\0';
	return xstrdup(path);
}

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
	/* beside the configuration, where it was installed, and where the binary lies: installed elsewhere,
	 * or built */
	char *binary = config_binary_folder();
	char *places[] = {xasprintf("%s/providers/%s.yaml", folder, name),
			  xasprintf("%s/share/heed/providers/%s.yaml", HEED_PREFIX, name),
			  xasprintf("%s/../share/heed/providers/%s.yaml", binary, name),
			  xasprintf("%s/../config/providers/%s.yaml", binary, name)};
	char *found = NULL;
	for (size_t i = 0; i < sizeof places / sizeof places[0] && !found; i++)
		if (access(places[i], R_OK) == 0)
			found = xstrdup(places[i]);
	if (!found)
		text_error(error, "is a provider without a file; %s or %s would be right", places[0],
			   places[1]);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		free(places[i]);
	free(binary);
	return found;
}

static void unknown_setting(const json_t *declared, const char *name, const struct config_source *source,
			    const char *path)
{
	const char *words[PROVIDER_SETTINGS_MAX];
	size_t count = 0;
	const char *word;
	json_t *value;
	struct text all;

	text_init(&all, TEXT_ERROR_MAX);
	json_object_foreach((json_t *)declared, word, value)
	{
		if (count < PROVIDER_SETTINGS_MAX)
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

static void check_base_url(const char *url, const struct config_source *source, const char *path)
{
	char *at_path = xasprintf("%s.base_url", path);
	struct config_url parts;

	if (url && !config_is_doubtful(source, at_path)) {
		bool fine = config_url_parse(url, &parts) && *parts.host &&
			    (strcmp(parts.scheme, "https") == 0 || strcmp(parts.scheme, "http") == 0);
		if (!fine)
			config_wrong(source, at_path,
				     "is not the address of an API; https://api.example.com would be right");
		config_url_release(&parts);
	}
	free(at_path);
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
	check_base_url(json_string_value(json_object_get(settings, "base_url")), source, path);
	return source->errors->len == before;
}
