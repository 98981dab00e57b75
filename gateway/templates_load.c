#include "templates.h"
#include "templates_private.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file.h"
#include "xalloc.h"
#include "banned.h"

struct loader {
	struct template_set *set;
	struct text *errors;
	bool failed;
};

__attribute__((format(printf, 3, 4))) static void report(struct loader *l, const char *path,
							 const char *format, ...)
{
	va_list args;

	l->failed = true;
	text_addf(l->errors, "%s: ", path);
	va_start(args, format);
	text_vaddf(l->errors, format, args);
	va_end(args);
	text_putc(l->errors, '\n');
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_shown(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && entry->d_name[len - 1] != '~';
}

static bool is_folder(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

typedef void (*take_entry)(struct loader *l, const char *path, const char *name, void *context);

/* Each entry in order of name. A folder that is not there has none. */
static void each_entry(struct loader *l, const char *path, size_t max, take_entry take, void *context)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, is_shown, by_bytes);

	if (n < 0 && errno != ENOENT)
		report(l, path, "%s", strerror(errno));
	if (n > 0 && (size_t)n > max)
		report(l, path, "holds %d; at most %zu are read", n, max);
	for (int i = 0; i < n; i++) {
		char *inside = xasprintf("%s/%s", path, entries[i]->d_name);
		if ((size_t)n <= max)
			take(l, inside, entries[i]->d_name, context);
		free(inside);
		free(entries[i]);
	}
	free(entries);
}

/* Letters, digits and the bytes of `also`; a letter or digit first. */
static bool name_valid(const char *name, const char *also)
{
	for (size_t i = 0; name[i]; i++) {
		if (!isalnum((unsigned char)name[i]) && (i == 0 || !strchr(also, name[i])))
			return false;
	}
	return name[0] && strlen(name) <= ID_MAX;
}

/* A language is two or three letters: longer ones are reserved, and more likely a mistake. */
static bool folder_is_locale(const char *name)
{
	return locale_valid(name) && strcspn(name, "-") <= 3;
}

/* The file as a JSON string (so it is UTF-8), or NULL and a report. */
static json_t *read_source(struct loader *l, const char *path)
{
	struct text source, error;
	json_t *string = NULL;

	text_init(&source, TEMPLATE_FILE_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	if (is_folder(path))
		report(l, path, "is a folder where a file would be");
	else if (!file_read(path, TEMPLATE_FILE_MAX, &source, &error))
		report(l, path, "%s", error.data);
	else if (source.len >= 3 && memcmp(source.data, "\xEF\xBB\xBF", 3) == 0)
		report(l, path, "begins with a byte order mark, which would be sent; save it without one");
	else if (!(string = json_stringn(source.data, source.len)))
		report(l, path, "is not UTF-8");
	text_release(&source);
	text_release(&error);
	return string;
}

static struct mustache *compile(struct loader *l, const char *path, const json_t *source)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct mustache *made =
		mustache_compile(json_string_value(source), json_string_length(source), &error);
	if (!made)
		report(l, path, "%s", error.data);
	text_release(&error);
	return made;
}

/* What a tag names and is not there would leave a hole in somebody's message. */
static void check_partials(struct loader *l, const char *path, const struct mustache *compiled)
{
	const char *name;

	for (size_t i = 0; compiled && (name = mustache_partial(compiled, i)); i++) {
		if (!templates_partial(l->set, name))
			report(l, path, "{{>%s}}: there is no file '%s' in the folder partials", name, name);
	}
}

static void take_partial(struct loader *l, const char *path, const char *name, void *context)
{
	struct template_set *set = l->set;
	struct template_partial partial = {0};

	(void)context;
	if (!name_valid(name, "._-")) {
		report(l, path, "a partial's name is letters, digits, '.', '_' and '-'");
		return;
	}
	/* One that is broken is kept until all is read, so that it is not reported as missing too. */
	partial.source = read_source(l, path);
	partial.compiled = partial.source ? compile(l, path, partial.source) : NULL;
	partial.name = xstrdup(name);
	set->partials = xreallocarray(set->partials, set->partial_count + 1, sizeof *set->partials);
	set->partials[set->partial_count++] = partial;
}

/* --- one template --- */

struct building {
	struct template *template;
	const char *locale;
};

/* summary, required, CHANNEL, CHANNEL.subject, CHANNEL.text, CHANNEL.html. Which channels there are, the
 * configuration knows. */
static bool file_name_valid(const char *name)
{
	const char *dot = strchr(name, '.');

	return name_valid(name, "._-") && (!dot || strcmp(dot, ".subject") == 0 ||
					   strcmp(dot, ".text") == 0 || strcmp(dot, ".html") == 0);
}

static void read_required(struct loader *l, const char *path, const json_t *source, struct template *t)
{
	const char *at = json_string_value(source);
	size_t line = 0;

	while (*at) {
		size_t len = strcspn(at, "\n");
		const char *next = at[len] ? at + len + 1 : at + len;
		line++;
		while (len && isspace((unsigned char)*at)) {
			at++;
			len--;
		}
		while (len && isspace((unsigned char)at[len - 1]))
			len--;
		char *name = xmemdup0(at, len);
		if (strcspn(name, " \t") != len || strstr(name, "..") || name[0] == '.' ||
		    (len && name[len - 1] == '.')) {
			report(l, path, "line %zu: '%s' is not a name; one name a line", line, name);
			len = 0;
		}
		if (len) {
			t->required = xreallocarray(t->required, t->required_count + 1, sizeof *t->required);
			t->required[t->required_count++] = name;
		} else {
			free(name);
		}
		at = next;
	}
}

static void take_file(struct loader *l, const char *path, const char *name, void *context)
{
	struct building *b = context;
	struct template *t = b->template;

	if (!b->locale[0] && is_folder(path)) {
		if (!folder_is_locale(name)) {
			report(l, path, "a folder in a template is a locale, as in es or es-AR");
			return;
		}
		struct building inside = {t, name};
		each_entry(l, path, TEMPLATE_ENTRIES_MAX, take_file, &inside);
		return;
	}
	if (!file_name_valid(name)) {
		report(l, path,
		       "a template has the files CHANNEL, CHANNEL.subject, CHANNEL.text, CHANNEL.html, "
		       "summary and required");
		return;
	}
	bool required = strcmp(name, "required") == 0;
	if (required && b->locale[0]) {
		report(l, path, "the names that are required are the same in all locales; move it up");
		return;
	}
	json_t *source = read_source(l, path);
	if (!source)
		return;
	if (required) {
		read_required(l, path, source, t);
	} else {
		struct mustache *compiled = compile(l, path, source);
		if (compiled) {
			check_partials(l, path, compiled);
			t->files = xreallocarray(t->files, t->file_count + 1, sizeof *t->files);
			t->files[t->file_count++] =
				(struct template_file){xstrdup(name), xstrdup(b->locale), compiled};
		}
	}
	char *key = xasprintf("%s%s%s", b->locale, b->locale[0] ? "/" : "", name);
	json_object_set_new(t->source, key, source);
	free(key);
}

/* Own files come first, then locale by locale. */
static int by_locale(const void *a, const void *b)
{
	const struct template_file *x = a, *y = b;
	int order = strcmp(x->locale, y->locale);

	return order ? order : strcmp(x->name, y->name);
}

/* The partials that the files reach, directly or through others, belong to the template's source. */
static void add_reached(const struct template_set *set, struct template *t, const struct mustache *compiled)
{
	const char *name;

	for (size_t i = 0; compiled && (name = mustache_partial(compiled, i)); i++) {
		const struct template_partial *partial = templates_partial(set, name);
		char *key = xasprintf("partials/%s", name);
		if (partial && !json_object_get(t->source, key)) {
			json_object_set(t->source, key, partial->source);
			add_reached(set, t, partial->compiled);
		}
		free(key);
	}
}

static void take_template(struct loader *l, const char *path, const char *name, void *context)
{
	struct template_set *set = l->set;
	struct template t = {0};
	bool has_text = false;

	(void)context;
	if (!name_valid(name, "._-") || !is_folder(path)) {
		report(l, path, "a template is a folder; its name is letters, digits, '.', '_' and '-'");
		return;
	}
	t.name = xstrdup(name);
	t.source = json_object();
	struct building b = {&t, ""};
	each_entry(l, path, TEMPLATE_ENTRIES_MAX, take_file, &b);
	if (t.file_count)
		qsort(t.files, t.file_count, sizeof *t.files, by_locale);
	for (size_t i = 0; i < t.file_count; i++) {
		const char *dot = strchr(t.files[i].name, '.');
		has_text = has_text || (strcmp(t.files[i].name, "summary") != 0 &&
					(!dot || strcmp(dot, ".subject") != 0));
		add_reached(set, &t, t.files[i].compiled);
	}
	if (!has_text && !l->failed)
		report(l, path, "has no text for any channel, as in sms or email.text");
	char *body = json_dumps(t.source, JSON_COMPACT | JSON_SORT_KEYS);
	digest_sha256_hex(body, strlen(body), t.hash);
	t.links = strstr(body, "preferences_url") || strstr(body, "unsubscribe_url");
	free(body);
	set->templates = xreallocarray(set->templates, set->count + 1, sizeof *set->templates);
	set->templates[set->count++] = t;
}

struct template_set *templates_load(const char *folder, struct text *errors)
{
	struct loader l = {.set = xcalloc(1, sizeof *l.set), .errors = errors};

	l.set->holders = 1;
	if (!folder)
		return l.set;
	char *partials = xasprintf("%s/partials", folder);
	char *messages = xasprintf("%s/messages", folder);
	if (!is_folder(folder)) {
		report(&l, folder, "there is no such folder");
	} else {
		each_entry(&l, partials, TEMPLATE_PARTIALS_MAX, take_partial, NULL);
		for (size_t i = 0; i < l.set->partial_count; i++) {
			char *path = xasprintf("%s/%s", partials, l.set->partials[i].name);
			check_partials(&l, path, l.set->partials[i].compiled);
			free(path);
		}
		each_entry(&l, messages, TEMPLATES_MAX, take_template, NULL);
	}
	free(partials);
	free(messages);
	if (l.failed) {
		templates_drop(l.set);
		return NULL;
	}
	return l.set;
}
