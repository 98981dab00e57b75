/* Route: the description of the API, config/openapi.yaml, as JSON. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api_private.h"
#include "xalloc.h"
#include "banned.h"

static char *description; /* made once, kept to the end */

static void describe(void)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct config_tree *tree =
		config_tree_parse("openapi.yaml", api_description, strlen(api_description), &error);
	description = tree ? json_dumps(config_tree_json(tree), JSON_COMPACT) : xstrdup("");
	config_tree_free(tree);
	text_release(&error);
}

void api_openapi(struct call *call)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, describe);
	if (!*description) {
		call_problem(call, 500, "the description that was built in cannot be read");
		return;
	}
	call_answer(call, 200, NULL);
	call->response->bytes = xstrdup(description);
	call->response->len = strlen(description);
	call->response->type = xstrdup("application/json");
}
