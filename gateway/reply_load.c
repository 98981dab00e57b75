/* The languages of replies: files of keywords and answers, those of the company before the installed ones. */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_check.h"
#include "reply_private.h"
#include "xalloc.h"
#include "banned.h"

static const char *const verbs[] = {"stop", "start", "help", "later", "why", "channel"};
static const char *const words[] = {"stopped",   "opened", "help", "product_stopped", "kept", "moved",
				    "not_moved", "paused", "why"};

const char *reply_verb_name(enum reply_verb verb)
{
	static const char *const shown[] = {"STOP", "START", "HELP", "LATER", "WHY", "CHANNEL"};

	return shown[verb];
}

const char *reply_words_name(enum reply_words which)
{
	return words[which];
}

static void add_words(struct reply_set *set, const json_t *list, enum reply_verb verb, const char *channel)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		struct text folded;
		text_init(&folded, REPLY_LOOKED_AT);
		reply_fold(json_string_value(item) ? json_string_value(item) : "", &folded);
		if (folded.len) {
			set->words = xreallocarray(set->words, set->word_count + 1, sizeof *set->words);
			set->words[set->word_count++] =
				(struct reply_word){xstrdup(folded.data), verb, xstrdup(channel)};
		}
		text_release(&folded);
	}
}

static void add_keywords(struct reply_set *set, json_t *keywords)
{
	const char *channel;
	json_t *list;

	for (int verb = 0; verb < VERB_CHANNEL; verb++)
		add_words(set, json_object_get(keywords, verbs[verb]), (enum reply_verb)verb, "");
	json_object_foreach(json_object_get(keywords, "channels"), channel, list)
		add_words(set, list, VERB_CHANNEL, channel);
}

static void add_answers(struct reply_language *language, const json_t *answers,
			const struct config_source *source)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	for (int which = 0; which < REPLY_WORDS; which++) {
		const json_t *text = json_object_get(answers, words[which]);
		if (!json_is_string(text))
			continue;
		language->words[which] =
			mustache_compile(json_string_value(text), json_string_length(text), &error);
		if (!language->words[which]) {
			char *path = xasprintf("answers.%s", words[which]);
			config_wrong(source, path, "is not Mustache: at %s", error.data);
			free(path);
		}
	}
	text_release(&error);
}

static void language_load(struct reply_set *set, const char *file, const char *name, struct text *errors)
{
	struct text error;
	struct config_tree *tree;

	text_init(&error, TEXT_ERROR_MAX);
	tree = config_tree_read(file, &error);
	if (!tree) {
		text_addf(errors, "%s\n", error.data);
	} else {
		const struct config_source source = {.file = file,
						     .tree = tree,
						     .values = config_tree_json(tree),
						     .errors = errors,
						     .doubtful = json_object()};
		struct reply_language language = {.name = xstrdup(name)};
		if (config_check_tree(&source, &reply_table)) {
			add_keywords(set, json_object_get(source.values, "keywords"));
			add_answers(&language, json_object_get(source.values, "answers"), &source);
		}
		set->languages =
			xreallocarray(set->languages, set->language_count + 1, sizeof *set->languages);
		set->languages[set->language_count++] = language;
		json_decref(source.doubtful);
	}
	config_tree_free(tree);
	text_release(&error);
}

static bool has_language(const struct reply_set *set, const char *name)
{
	for (size_t i = 0; i < set->language_count; i++)
		if (strcmp(set->languages[i].name, name) == 0)
			return true;
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every LANGUAGE.yaml of the folder that is not known yet. False: there is no such folder. */
static bool folder_load(struct reply_set *set, const char *folder, struct text *errors)
{
	char *names[REPLY_LANGUAGES_MAX];
	size_t count = 0;
	DIR *dir = opendir(folder);

	if (!dir)
		return false;
	for (struct dirent *entry; (entry = readdir(dir)) && count < REPLY_LANGUAGES_MAX;) {
		size_t len = strlen(entry->d_name);
		if (len > 5 && *entry->d_name != '.' && strcmp(entry->d_name + len - 5, ".yaml") == 0)
			names[count++] = xmemdup0(entry->d_name, len - 5);
	}
	closedir(dir);
	qsort(names, count, sizeof *names, by_name);
	for (size_t i = 0; i < count; i++) {
		char *file = xasprintf("%s/%s.yaml", folder, names[i]);
		if (!has_language(set, names[i]) && set->language_count < REPLY_LANGUAGES_MAX)
			language_load(set, file, names[i], errors);
		free(file);
		free(names[i]);
	}
	return true;
}

struct reply_set *reply_set_load(const char *templates, struct text *errors)
{
	struct reply_set *set = xcalloc(1, sizeof *set);
	char *binary = config_binary_folder();
	char *company = templates ? xasprintf("%s/replies", templates) : xstrdup("");
	char *installed[] = {xasprintf("%s/share/heed/templates/replies", HEED_PREFIX),
			     xasprintf("%s/../share/heed/templates/replies", binary),
			     xasprintf("%s/../templates/replies", binary)};
	size_t before = errors->len;
	bool found = false;

	folder_load(set, company, errors);
	for (size_t i = 0; i < sizeof installed / sizeof installed[0]; i++) {
		found = found || folder_load(set, installed[i], errors);
		free(installed[i]);
	}
	free(company);
	free(binary);
	if (errors->len == before && set->language_count)
		return set;
	reply_set_free(set);
	return NULL;
}

void reply_set_free(struct reply_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->word_count; i++) {
		free(set->words[i].folded);
		free(set->words[i].channel);
	}
	for (size_t i = 0; i < set->language_count; i++) {
		free(set->languages[i].name);
		for (int which = 0; which < REPLY_WORDS; which++)
			mustache_free(set->languages[i].words[which]);
	}
	free(set->words);
	free(set->languages);
	free(set);
}
