/* For test_callback_signatures.py: reads {"provider", "settings", "method", "url", "headers", "body", "now"}
 * a line, writes "fine", "unsigned" or "malformed" a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "provider_callback.h"

#include "banned.h"

static const char *header_of(const void *context, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)context, key,
			    value) if (strcasecmp(key, name) == 0) return json_string_value(value);
	return "";
}

static enum callback_verdict verdict_on(const json_t *line)
{
	const char *url = json_string_value(json_object_get(line, "url")), *query = strchr(url, '?');
	const json_t *body = json_object_get(line, "body");
	struct callback_items items;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct config_tree *tree =
		config_tree_read(json_string_value(json_object_get(line, "provider")), &error);
	struct provider_callback *callback =
		tree ? provider_callback_compile(config_tree_json(tree), json_object_get(line, "settings"),
						 &error)
		     : NULL;
	if (!callback) {
		fprintf(stderr, "%s\n", error.data);
		exit(1);
	}
	const struct callback_request request = {
		.method = json_string_value(json_object_get(line, "method")),
		.url = url,
		.query = query ? query + 1 : "",
		.body = json_string_value(body),
		.body_len = json_string_length(body),
		.header = header_of,
		.context = json_object_get(line, "headers"),
		.now = (int64_t)json_integer_value(json_object_get(line, "now")) * MOMENT_S};
	enum callback_verdict verdict = provider_callback_read(callback, &request, &items, &error);
	callback_items_release(&items);
	provider_callback_free(callback);
	config_tree_free(tree);
	text_release(&error);
	return verdict;
}

int main(void)
{
	static const char *const words[] = {"fine", "unsigned", "malformed"};
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		json_t *json = json_loads(line, 0, NULL);
		if (!json)
			return 1;
		puts(words[verdict_on(json)]);
		json_decref(json);
	}
	free(line);
	return 0;
}
