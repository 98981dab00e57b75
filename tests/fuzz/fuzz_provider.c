/* What a provider's API may answer: the first bytes choose the provider's file and the status, the rest is
 * the body. */
#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "fuzz.h"
#include "provider_answer.h"
#include "xalloc.h"

#define FILES_MAX 64

static struct provider_answer *rules[FILES_MAX];
static struct config_tree *trees[FILES_MAX]; /* the rules borrow of them */
static size_t count;

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_all(void)
{
	struct dirent **list = NULL;
	int found = scandir("config/providers", &list, NULL, by_name);
	struct text errors;

	text_init(&errors, CONFIG_REPORT_MAX);
	json_t *settings = json_object();
	for (int i = 0; i < found; i++) {
		char path[512];
		snprintf(path, sizeof path, "config/providers/%s", list[i]->d_name);
		struct config_tree *tree =
			strstr(path, ".yaml") && count < FILES_MAX ? config_tree_read(path, &errors) : NULL;
		if (tree &&
		    (rules[count] = provider_answer_compile(config_tree_json(tree), settings, &errors)))
			trees[count++] = tree;
		free(list[i]);
	}
	free(list);
	json_decref(settings);
	text_release(&errors);
	assert(count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome outcome = {0};

	if (!count)
		read_all();
	if (size < 4)
		return 0;
	char *body = xmemdup0((const char *)data + 4, size - 4);
	struct provider_reply reply = {.status = data[1] * 256 + data[2],
				       .complete = data[3] & 1,
				       .body = body,
				       .body_len = size - 4,
				       .header = ""};
	reply.status = reply.status >= 100 && reply.status < 600 ? reply.status : 200;
	provider_answer_judge(rules[data[0] % count], &reply, &outcome);
	free(outcome.summary);
	free(outcome.content);
	free(body);
	return 0;
}
