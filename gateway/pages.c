#include "pages.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "file.h"
#include "json_read.h"
#include "mustache.h"
#include "page_colour.h"
#include "pages_private.h"
#include "words.h"
#include "xalloc.h"
#include "banned.h"

struct page {
	char *name; /* "choices.html" */
	char *source;
	struct mustache *compiled;
};

struct language {
	char *name;
	json_t *words;
	char wording[2 * SHA256_SIZE + 1];
};

struct page_set {
	struct page *pages;
	size_t page_count;
	struct language *languages; /* by name */
	size_t language_count;
	struct page_asset *assets;
	size_t asset_count;
	char assets_version[17];
};

struct loading {
	struct page_set *set;
	struct text *errors;
	bool failed;
};

__attribute__((format(printf, 3, 4))) static void report(struct loading *l, const char *where,
							 const char *format, ...)
{
	va_list args;

	l->failed = true;
	text_addf(l->errors, "%s: ", where);
	va_start(args, format);
	text_vaddf(l->errors, format, args);
	va_end(args);
	text_putc(l->errors, '\n');
}

/* --- one file --- */

static void take_page(struct loading *l, const char *where, const char *name, const char *source, size_t len)
{
	struct page_set *set = l->set;
	struct page *page = NULL;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct mustache *compiled = mustache_compile(source, len, &error);
	if (!compiled)
		report(l, where, "%s", error.data);
	text_release(&error);
	for (size_t i = 0; i < set->page_count; i++)
		if (strcmp(set->pages[i].name, name) == 0)
			page = &set->pages[i];
	if (!page) {
		set->pages = xreallocarray(set->pages, set->page_count + 1, sizeof *set->pages);
		page = &set->pages[set->page_count++];
		*page = (struct page){.name = xstrdup(name)};
	}
	mustache_free(page->compiled);
	free(page->source);
	page->compiled = compiled;
	page->source = xmemdup0(source, len);
}

static struct language *language_of(const struct page_set *set, const char *name)
{
	for (size_t i = 0; i < set->language_count; i++)
		if (strcasecmp(set->languages[i].name, name) == 0)
			return &set->languages[i];
	return NULL;
}

/* Every word must be one that the pages know, and of the same kind. */
static void check_words(struct loading *l, const char *where, const char *above, const json_t *words,
			const json_t *known)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)words, key, value)
	{
		const json_t *like = json_object_get(known, key);
		/* channels may have any name, and reasons of a newer heed do no harm */
		const char *dot = *above ? "." : "";
		bool open = !like && *above && json_is_string(value);
		if (!like && !open)
			report(l, where, "%s%s%s: is not among the words of the pages", above, dot, key);
		else if (like && json_typeof(value) != json_typeof(like))
			report(l, where, "%s%s%s: must be a %s", above, dot, key,
			       json_is_object(like)  ? "map"
			       : json_is_array(like) ? "list"
						     : "text");
		else if (json_is_array(like) && json_array_size(value) != json_array_size(like))
			report(l, where, "%s%s%s: must have %zu entries", above, dot, key,
			       json_array_size(like));
		else if (json_is_object(like) && !*above)
			check_words(l, where, key, value, like);
	}
}

static void take_words(struct loading *l, const char *where, const char *name, const char *source, size_t len)
{
	struct page_set *set = l->set;
	struct language *language = language_of(set, name);
	const struct language *fallback = language_of(set, PAGES_FALLBACK);
	struct text error;

	if (!locale_valid(name)) {
		report(l, where, "its name is not a language, as in es.json or es-AR.json");
		return;
	}
	text_init(&error, TEXT_ERROR_MAX);
	json_t *words = json_read(source, len, false, &error);
	if (!json_is_object(words))
		report(l, where, "%s", words ? "must be a map of words" : error.data);
	else if (fallback)
		check_words(l, where, "", words, fallback->words);
	text_release(&error);
	if (!json_is_object(words)) {
		json_decref(words);
		return;
	}
	if (!language) {
		set->languages =
			xreallocarray(set->languages, set->language_count + 1, sizeof *set->languages);
		language = &set->languages[set->language_count++];
		*language = (struct language){.name = xstrdup(name), .words = json_object()};
	}
	json_object_update_recursive(language->words, words);
	json_decref(words);
}

static const char *type_of(const char *name, const char *data, size_t len)
{
	const char *dot = strrchr(name, '.');

	if (len >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
		return "image/png";
	if (len >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0)
		return "image/jpeg";
	if (len >= 6 && memcmp(data, "GIF8", 4) == 0)
		return "image/gif";
	if (len >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
		return "image/webp";
	if (dot && strcmp(dot, ".css") == 0)
		return "text/css; charset=utf-8";
	if (dot && strcmp(dot, ".svg") == 0 && memmem(data, len, "<svg", 4))
		return "image/svg+xml";
	return NULL;
}

static void take_asset(struct loading *l, const char *name, const char *type, const char *data, size_t len)
{
	struct page_set *set = l->set;
	struct page_asset *asset = (struct page_asset *)pages_asset(set, name);

	if (!asset) {
		set->assets = xreallocarray(set->assets, set->asset_count + 1, sizeof *set->assets);
		asset = &set->assets[set->asset_count++];
		*asset = (struct page_asset){.name = xstrdup(name)};
	}
	free(asset->data);
	asset->data = xmemdup0(data, len);
	asset->len = len;
	asset->type = type;
}

static void take_asset_file(struct loading *l, const char *where, const char *name, const char *data,
			    size_t len)
{
	const char *type = type_of(name, data, len);

	if (type)
		take_asset(l, name, type, data, len);
	else
		report(l, where, "is neither a style sheet (.css) nor a picture (PNG, JPEG, GIF, WebP, SVG)");
}

/* --- a folder --- */

typedef void (*take_file)(struct loading *l, const char *where, const char *name, const char *data,
			  size_t len);

static int is_shown(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && entry->d_name[len - 1] != '~';
}

/* Each file whose name ends in `suffix` ("": any), which `take` gets without it where `cut`. A folder that is
 * not there has none. */
static void each_file(struct loading *l, const char *path, const char *suffix, bool cut, take_file take)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, is_shown, alphasort);

	if (n > PAGES_FILES_MAX)
		report(l, path, "holds %d files; at most %d are read", n, PAGES_FILES_MAX);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		size_t len = strlen(name), end = strlen(suffix);
		bool wanted = len > end && strcmp(name + len - end, suffix) == 0 && n <= PAGES_FILES_MAX;
		char *file = xasprintf("%s/%s", path, name);
		char *known_as = xmemdup0(name, cut && wanted ? len - end : len);
		struct text data, error;
		struct stat status;

		text_init(&data, PAGES_FILE_MAX);
		text_init(&error, TEXT_ERROR_MAX);
		if (stat(file, &status) == 0 && S_ISDIR(status.st_mode))
			wanted = false;
		if (wanted && file_read(file, PAGES_FILE_MAX, &data, &error))
			take(l, file, known_as, data.data, data.len);
		else if (wanted)
			report(l, file, "%s", error.data);
		text_release(&data);
		text_release(&error);
		free(known_as);
		free(file);
		free(entries[i]);
	}
	free(entries);
}

/* --- the set --- */

static void take_own(struct loading *l, const char *folder, const char *suffix, take_file take)
{
	for (const struct page_source *source = page_sources; source->name; source++) {
		const char *name = source->name + strlen(folder);
		size_t len = strlen(source->name), end = strlen(suffix);
		if (strncmp(source->name, folder, strlen(folder)) != 0 || strchr(name, '/') ||
		    strcmp(source->name + len - end, suffix) != 0)
			continue;
		char *known_as = xmemdup0(name, strlen(name) - (take == take_words ? strlen(".json") : 0));
		take(l, source->name, known_as, source->text, source->len);
		free(known_as);
	}
}

static void take_logo(struct loading *l, const char *logo)
{
	struct text data, error;

	if (!*logo)
		return;
	text_init(&data, PAGES_LOGO_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	const char *type = NULL;
	if (!file_read(logo, PAGES_LOGO_MAX, &data, &error))
		report(l, logo, "%s", error.data);
	else if (!(type = type_of(logo, data.data, data.len)) || strncmp(type, "image/", 6) != 0)
		report(l, logo, "is no picture (PNG, JPEG, GIF, WebP, SVG)");
	else
		take_asset(l, "logo", type, data.data, data.len);
	text_release(&data);
	text_release(&error);
}

static void take_colour(struct loading *l, const char *colour)
{
	struct colour company;
	struct text css;

	text_init(&css, PAGES_FILE_MAX);
	if (*colour && !colour_parse(colour, &company))
		report(l, "company.colour", "%s is not a colour; #0a5c36 would be right", colour);
	else if (*colour)
		colour_css(company, &css);
	take_asset(l, "company.css", "text/css; charset=utf-8", css.data, css.len);
	text_release(&css);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct language *)a)->name, ((const struct language *)b)->name);
}

/* What a language lacks is said in the fallback; then each one's wording has its hash. */
static void complete(struct page_set *set)
{
	json_t *english = json_deep_copy(language_of(set, PAGES_FALLBACK)->words);
	struct text all;

	for (size_t i = 0; i < set->language_count; i++) {
		struct language *language = &set->languages[i];
		json_t *whole = json_deep_copy(english);
		json_object_update_recursive(whole, language->words);
		json_decref(language->words);
		language->words = whole;
	}
	json_decref(english);
	qsort(set->languages, set->language_count, sizeof *set->languages, by_name);
	for (size_t i = 0; i < set->language_count; i++) {
		json_t *source = pages_wording_source(set, set->languages[i].name);
		char *words = json_dumps(source, JSON_COMPACT | JSON_SORT_KEYS);
		digest_sha256_hex(words, strlen(words), set->languages[i].wording);
		free(words);
		json_decref(source);
	}
	char hash[2 * SHA256_SIZE + 1];
	text_init(&all, (size_t)PAGES_FILES_MAX * PAGES_FILE_MAX);
	for (size_t i = 0; i < set->asset_count; i++)
		text_add(&all, set->assets[i].data, set->assets[i].len);
	digest_sha256_hex(all.data, all.len, hash);
	snprintf(set->assets_version, sizeof set->assets_version, "%.16s", hash);
	text_release(&all);
}

struct page_set *pages_load(const char *folder, const char *logo, const char *colour, struct text *errors)
{
	struct loading l = {.set = xcalloc(1, sizeof *l.set), .errors = errors};

	take_own(&l, "pages/", ".html", take_page);
	take_own(&l, "pages/words/", PAGES_FALLBACK ".json", take_words); /* first: the others are like it */
	take_own(&l, "pages/words/", ".json", take_words);
	take_own(&l, "assets/", "", take_asset_file);
	if (folder) {
		char *pages = xasprintf("%s/pages", folder), *words = xasprintf("%s/pages/words", folder);
		char *assets = xasprintf("%s/assets", folder);
		each_file(&l, pages, ".html", false, take_page);
		each_file(&l, words, ".json", true, take_words);
		each_file(&l, assets, "", false, take_asset_file);
		free(pages);
		free(words);
		free(assets);
	}
	take_logo(&l, logo);
	take_colour(&l, colour);
	complete(l.set);
	if (!l.failed)
		return l.set;
	pages_free(l.set);
	return NULL;
}

void pages_free(struct page_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->page_count; i++) {
		free(set->pages[i].name);
		free(set->pages[i].source);
		mustache_free(set->pages[i].compiled);
	}
	for (size_t i = 0; i < set->language_count; i++) {
		free(set->languages[i].name);
		json_decref(set->languages[i].words);
	}
	for (size_t i = 0; i < set->asset_count; i++) {
		free(set->assets[i].name);
		free(set->assets[i].data);
	}
	free(set->pages);
	free(set->languages);
	free(set->assets);
	free(set);
}

/* --- languages --- */

/* The longest name that the locale begins with. */
static const struct language *serving(const struct page_set *set, const char *locale)
{
	const struct language *best = NULL;

	for (size_t i = 0; i < set->language_count; i++) {
		const struct language *language = &set->languages[i];
		size_t len = strlen(language->name);
		if (strncasecmp(language->name, locale, len) == 0 && (!locale[len] || locale[len] == '-') &&
		    (!best || len > strlen(best->name)))
			best = language;
	}
	return best;
}

const char *pages_language(const struct page_set *set, const char *locale, const char *otherwise)
{
	const struct language *language = serving(set, locale);

	if (!language)
		language = serving(set, otherwise);
	return language ? language->name : PAGES_FALLBACK;
}

bool pages_has_language(const struct page_set *set, const char *language)
{
	return language_of(set, language) != NULL;
}

const char *pages_language_at(const struct page_set *set, size_t i)
{
	return i < set->language_count ? set->languages[i].name : NULL;
}

json_t *pages_words(const struct page_set *set, const char *language)
{
	return language_of(set, language)->words;
}

const char *pages_wording(const struct page_set *set, const char *language)
{
	return language_of(set, language)->wording;
}

json_t *pages_wording_source(const struct page_set *set, const char *language)
{
	json_t *pages = json_object();

	for (size_t i = 0; i < set->page_count; i++)
		json_object_set_new(pages, set->pages[i].name, json_string(set->pages[i].source));
	return json_pack("{s:o, s:O}", "pages", pages, "words", language_of(set, language)->words);
}

/* --- pages and assets --- */

static const struct mustache *find_page(const void *context, const char *name)
{
	const struct page_set *set = context;

	for (size_t i = 0; i < set->page_count; i++)
		if (strcmp(set->pages[i].name, name) == 0)
			return set->pages[i].compiled;
	return NULL;
}

bool pages_render(const struct page_set *set, const char *name, json_t *model, struct text *out,
		  struct text *error)
{
	const struct mustache_partials partials = {find_page, set};
	char *file = xasprintf("%s.html", name);
	const struct mustache *page = find_page(set, file);

	free(file);
	if (!page)
		return text_error(error, "there is no page %s", name);
	return mustache_render(page, &model, 1, &partials, ESCAPE_HTML, out, error);
}

const struct page_asset *pages_asset(const struct page_set *set, const char *name)
{
	for (size_t i = 0; i < set->asset_count; i++)
		if (strcmp(set->assets[i].name, name) == 0)
			return &set->assets[i];
	return NULL;
}

const char *pages_assets_version(const struct page_set *set)
{
	return set->assets_version;
}
