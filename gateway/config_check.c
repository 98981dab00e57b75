#include "config_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define PATH_MAX_BYTES 1024
#define SHOWN_MAX 60 /* bytes of a value that are quoted */

/* --- how a mistake is written --- */

void config_report_init(struct config_report *report)
{
	text_init(&report->errors, CONFIG_REPORT_MAX);
	text_init(&report->warnings, CONFIG_REPORT_MAX);
}

void config_report_release(struct config_report *report)
{
	text_release(&report->errors);
	text_release(&report->warnings);
}

/* Where the value stands, or else what holds it. */
static int line_of(const struct config_source *source, const char *path)
{
	char *at = xstrdup(path);
	int line = config_tree_line(source->tree, at);

	for (char *dot; !line && (dot = strrchr(at, '.')); line = config_tree_line(source->tree, at))
		*dot = '\0';
	free(at);
	return line ? line : 1;
}

static __attribute__((format(printf, 4, 0))) void mistake(const struct config_source *source,
							  struct text *out, const char *path,
							  const char *format, va_list args)
{
	if (!out)
		return;
	text_addf(out, "%s%s:%d: %s%s", out->len ? "\n" : "", source->file, line_of(source, path), path,
		  *path ? ": " : "");
	text_vaddf(out, format, args);
}

void config_vwrong(const struct config_source *source, const char *path, const char *format, va_list args)
{
	mistake(source, source->errors, path, format, args);
	if (source->doubtful)
		json_object_set_new(source->doubtful, path, json_true());
}

void config_wrong(const struct config_source *source, const char *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	config_vwrong(source, path, format, args);
	va_end(args);
}

void config_warn(const struct config_source *source, const char *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	mistake(source, source->warnings, path, format, args);
	va_end(args);
}

void config_mistakes(const struct config_source *source, const char *path, const struct text *lines)
{
	text_addf(source->errors, "%s%s", source->errors->len ? "\n" : "", lines->data);
	if (source->doubtful)
		json_object_set_new(source->doubtful, path, json_true());
}

bool config_is_doubtful(const struct config_source *source, const char *path)
{
	return json_object_get(source->doubtful, path) != NULL;
}

bool config_is_broken(const struct config_source *source, const char *path)
{
	size_t len = strlen(path);
	const char *doubtful;
	json_t *value;

	json_object_foreach(source->doubtful, doubtful, value)
	{
		if (strncmp(doubtful, path, len) == 0 && (!doubtful[len] || doubtful[len] == '.'))
			return true;
	}
	return false;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance; words longer than the row are far away. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], len = strlen(b);

	if (len + 1 >= sizeof row / sizeof row[0])
		return SIZE_MAX;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t corner = row[0];
		row[0] = i + 1;
		for (size_t j = 1; j <= len; j++) {
			size_t above = row[j];
			row[j] = smaller(smaller(above, row[j - 1]) + 1, corner + (a[i] != b[j - 1]));
			corner = above;
		}
	}
	return row[len];
}

const char *config_nearest(const char *name, const char *const words[], size_t count)
{
	const char *best = NULL;
	size_t best_distance = strlen(name) / 3 + 2; /* farther than this is another word */

	for (size_t i = 0; i < count; i++) {
		size_t d = distance(name, words[i]);
		if (d < best_distance && d < strlen(words[i])) {
			best = words[i];
			best_distance = d;
		}
	}
	return best;
}

/* --- trees --- */

json_t *config_at(json_t *values, const char *path)
{
	char *all = xstrdup(path), *rest = all;

	while (values && rest && *rest) {
		char *step = strsep(&rest, ".");
		values = json_is_array(values) ? json_array_get(values, strtoul(step, NULL, 10))
					       : json_object_get(values, step);
	}
	free(all);
	return values;
}

json_t *config_raw_at(const struct config_source *source, const char *path)
{
	return config_at(config_tree_json(source->tree), path);
}

bool config_is_literal(const struct config_source *source, const char *path)
{
	const char *raw = json_string_value(config_raw_at(source, path));
	return raw && !strstr(raw, "${");
}

/* The last step of `path` if it is directly below `parent`. */
static const char *step_below(const char *parent, const char *path)
{
	size_t len = strlen(parent);

	if (!*path || strncmp(path, parent, len) != 0 || (len && path[len] != '.'))
		return NULL;
	const char *step = path + len + (len ? 1 : 0);
	return *step && !strchr(step, '.') ? step : NULL;
}

static const struct config_key *find_below(const struct config_table *table, const char *parent,
					   const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		const char *step = step_below(parent, table->keys[i].path);
		if (step && (strcmp(step, name) == 0 || strcmp(step, "*") == 0))
			return &table->keys[i];
	}
	return NULL;
}

static json_t *fallback_of(const struct config_key *key)
{
	switch (key->type) {
	case KEY_INTEGER:
		return json_integer(strtoll(key->fallback, NULL, 10));
	case KEY_NUMBER:
		return json_real(strtod(key->fallback, NULL));
	case KEY_BOOLEAN:
		return json_boolean(strcmp(key->fallback, "true") == 0);
	case KEY_MAPS:
	case KEY_TEXTS:
		return json_array();
	case KEY_MAP:
	case KEY_NAMES:
	case KEY_LOCALES:
		return json_object();
	default:
		return json_string(key->fallback);
	}
}

/* --- the walk --- */

struct walk {
	const struct config_source *source;
	const struct config_table *table;
	struct text path; /* of the value in the file */
	size_t mistakes;
};

static size_t walk_enter(struct walk *w, const char *step)
{
	size_t before = w->path.len;

	text_addf(&w->path, "%s%s", before ? "." : "", step);
	w->path.full = false;
	return before;
}

static void walk_back(struct walk *w, size_t before)
{
	w->path.len = before;
	if (w->path.capacity)
		w->path.data[before] = '\0';
}

static const char *type_is(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "a map";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "text";
	case JSON_INTEGER:
		return "a whole number";
	case JSON_REAL:
		return "a number";
	case JSON_NULL:
		return "empty";
	default:
		return "true or false";
	}
}

/* "a|b|c" as "a, b or c" */
static void add_words(const char *words, struct text *out)
{
	for (const char *word = words; *word;) {
		size_t len = strcspn(word, "|");
		bool last = !word[len];
		text_addf(out, "%s%.*s", word == words ? "" : last ? " or " : ", ", (int)len, word);
		word += len + !last;
	}
}

static void wanted(const struct config_key *key, const json_t *value, struct text *out)
{
	switch (key->type) {
	case KEY_MAP:
	case KEY_NAMES:
		text_puts(out, "a map of keys (name: value)");
		break;
	case KEY_MAPS:
		text_puts(out, "a list of maps, [ { … } ],");
		break;
	case KEY_TEXT:
	case KEY_URL:
		text_puts(out, key->limits[0] ? "text that is not empty" : "text");
		if (json_is_number(value) || json_is_boolean(value))
			text_puts(out, " in quotes");
		break;
	case KEY_TEXTS:
		text_puts(out, "a list of text, [a, b],");
		break;
	case KEY_LOCALES:
		text_puts(out, strstr(key->path, "request.") || strstr(key->path, "callbacks.")
				       ? "a map of name to text, { NAME: … },"
				       : "a map of locale to text, { en: … },");
		break;
	case KEY_WORD:
		add_words(key->limits, out);
		break;
	case KEY_DURATION:
		text_puts(out, "a duration like 500ms, 10s, 5m, 2h or 3d");
		break;
	case KEY_INTEGER:
	case KEY_NUMBER:
		text_addf(out, "a %snumber from %.*s to %s", key->type == KEY_INTEGER ? "whole " : "",
			  (int)strcspn(key->limits, "."), key->limits, strstr(key->limits, "..") + 2);
		break;
	default:
		text_puts(out, "true or false");
	}
}

static bool is_number_key(const struct config_key *key)
{
	return key->type == KEY_INTEGER || key->type == KEY_NUMBER;
}

static void wrong_value(struct walk *w, const struct config_key *key, const json_t *value)
{
	struct text want, is;
	const char *path = w->path.data;

	w->mistakes++;
	text_init(&want, TEXT_ERROR_MAX);
	text_init(&is, TEXT_ERROR_MAX);
	wanted(key, value, &want);
	bool open = json_is_string(value) && key->type != KEY_URL && !(key->flags & KEY_SECRET) &&
		    config_is_literal(w->source, path);
	if (open)
		text_addf(&is, "\"%.*s\"", SHOWN_MAX, json_string_value(value));
	else if (is_number_key(key) && json_is_number(config_raw_at(w->source, path)))
		text_addf(&is, "%.15g", json_number_value(value));
	else
		text_puts(&is, type_is(value));
	if (json_is_string(config_raw_at(w->source, path)) && !config_is_literal(w->source, path))
		text_puts(&is, " from a variable");
	config_wrong(w->source, path, "is %s; %s would be right", is.data, want.data);
	text_release(&want);
	text_release(&is);
}

static bool within(const struct config_key *key, double value)
{
	return value >= strtod(key->limits, NULL) && value <= strtod(strstr(key->limits, "..") + 2, NULL);
}

static bool is_word_of(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; at; at = strchr(at, '|')) {
		at += at != words;
		if (strcspn(at, "|") == len && strncmp(at, word, len) == 0)
			return true;
	}
	return false;
}

static bool value_fits(const struct config_key *key, const json_t *value)
{
	const char *s = json_string_value(value);
	int64_t duration;

	switch (key->type) {
	case KEY_MAP:
	case KEY_NAMES:
		return json_is_object(value);
	case KEY_MAPS:
		return json_is_array(value);
	case KEY_TEXT:
	case KEY_URL:
		return s && (*s || !key->limits[0]);
	case KEY_TEXTS:
		return json_is_array(value);
	case KEY_LOCALES:
		return json_is_object(value);
	case KEY_WORD:
		return s && is_word_of(key->limits, s);
	case KEY_DURATION:
		return s && duration_parse(s, &duration);
	case KEY_INTEGER:
		return json_is_integer(value) && within(key, json_number_value(value));
	case KEY_NUMBER:
		return json_is_number(value) && within(key, json_number_value(value));
	case KEY_BOOLEAN:
		return json_is_boolean(value);
	default:
		return true;
	}
}

static void wrong_name(struct walk *w, const char *pattern, const char *name)
{
	const char *words[256];
	size_t count = 0;

	for (size_t i = 0; i < w->table->count && count < sizeof words / sizeof words[0]; i++) {
		const char *step = step_below(pattern, w->table->keys[i].path);
		if (step)
			words[count++] = step;
	}
	const char *near = config_nearest(name, words, count);
	w->mistakes++;
	if (near)
		config_wrong(w->source, w->path.data, "is not a key of %s; did you mean %s?", w->table->what,
			     near);
	else
		config_wrong(w->source, w->path.data, "is not a key of %s; leave it out", w->table->what);
}

/* A channel that is captured may keep the keys of whom it stands in for, and needs none of them. */
static bool takes_all_keys(const json_t *map)
{
	const char *adapter = json_string_value(json_object_get(map, "adapter"));
	return adapter && (strcmp(adapter, "capture") == 0 || strcmp(adapter, "flaky") == 0);
}

static bool belongs(const struct config_key *key, const json_t *map)
{
	const char *adapter = json_string_value(json_object_get(map, "adapter"));
	return !key->adapter[0] || !adapter || strcmp(key->adapter, adapter) == 0 || takes_all_keys(map);
}

static void check_value(struct walk *w, const struct config_key *key, json_t *value);

/* What a variable gave is text; where a number, or true or false, is wanted it is read as such. */
static json_t *value_meant(const struct walk *w, const struct config_key *key, json_t *map, const char *name,
			   json_t *value)
{
	if (!json_is_string(value) || !(is_number_key(key) || key->type == KEY_BOOLEAN) ||
	    config_is_literal(w->source, w->path.data))
		return value;
	json_t *meant = json_loads(json_string_value(value), JSON_DECODE_ANY, NULL);
	if (!json_is_number(meant) && !json_is_boolean(meant)) {
		json_decref(meant);
		return value;
	}
	json_object_set_new(map, name, meant);
	return meant;
}

static void check_map(struct walk *w, const char *pattern, json_t *map)
{
	const char *name;
	json_t *value;
	/* a channel of which nobody said what it is: what else it lacks is not known */
	bool unsaid = find_below(w->table, pattern, "adapter") && !json_object_get(map, "adapter");

	json_object_foreach(map, name, value)
	{
		const struct config_key *key = find_below(w->table, pattern, name);
		size_t before = walk_enter(w, name);
		if (!key) {
			wrong_name(w, pattern, name);
		} else if (!belongs(key, map)) {
			w->mistakes++;
			config_wrong(w->source, w->path.data,
				     "is a key of the adapter %s, and this channel's is %s; leave it out",
				     key->adapter, json_string_value(json_object_get(map, "adapter")));
		} else {
			check_value(w, key, value_meant(w, key, map, name, value));
		}
		walk_back(w, before);
	}
	for (size_t i = 0; i < w->table->count; i++) {
		const struct config_key *key = &w->table->keys[i];
		const char *step = step_below(pattern, key->path);
		if (!step || !(key->flags & KEY_REQUIRED) || !belongs(key, map) ||
		    json_object_get(map, step) || (key->adapter[0] && (takes_all_keys(map) || unsaid)))
			continue;
		size_t before = walk_enter(w, step);
		w->mistakes++;
		config_wrong(w->source, w->path.data, "is missing; write for example %s: %s", step,
			     key->example);
		walk_back(w, before);
	}
}

static void check_list(struct walk *w, const char *pattern, json_t *list)
{
	const struct config_key *key = find_below(w->table, pattern, "*");
	json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
	{
		char step[24];
		snprintf(step, sizeof step, "%zu", i);
		size_t before = walk_enter(w, step);
		check_value(w, key, value);
		walk_back(w, before);
	}
}

static void check_text(struct walk *w, const char *step, const json_t *member)
{
	if (json_is_string(member))
		return;
	size_t before = walk_enter(w, step);
	w->mistakes++;
	config_wrong(w->source, w->path.data, "is %s; text%s would be right", type_is(member),
		     json_is_number(member) || json_is_boolean(member) ? " in quotes" : "");
	walk_back(w, before);
}

/* A list or map of text. */
static void check_texts(struct walk *w, json_t *value)
{
	const char *name;
	json_t *member;
	size_t i;

	json_array_foreach(value, i, member)
	{
		char step[24];
		snprintf(step, sizeof step, "%zu", i);
		check_text(w, step, member);
	}
	json_object_foreach(value, name, member)
	{
		check_text(w, name, member);
	}
}

static void check_value(struct walk *w, const struct config_key *key, json_t *value)
{
	if (config_is_doubtful(w->source, w->path.data))
		return;
	if (!value_fits(key, value)) {
		wrong_value(w, key, value);
		return;
	}
	if (key->type == KEY_MAP || key->type == KEY_NAMES)
		check_map(w, key->path, value);
	else if (key->type == KEY_MAPS)
		check_list(w, key->path, value);
	else if (key->type == KEY_TEXTS || key->type == KEY_LOCALES)
		check_texts(w, value);
}

bool config_check_tree(const struct config_source *source, const struct config_table *table)
{
	struct walk w = {.source = source, .table = table};

	text_init(&w.path, PATH_MAX_BYTES);
	if (json_is_object(source->values)) {
		check_map(&w, "", source->values);
	} else {
		w.mistakes++;
		config_wrong(source, "", "is %s; a map of keys (name: value) would be right",
			     type_is(source->values));
	}
	text_release(&w.path);
	return w.mistakes == 0;
}

/* --- defaults --- */

static bool has_fallback_below(const struct config_table *table, const char *pattern)
{
	size_t len = strlen(pattern);

	for (size_t i = 0; i < table->count; i++)
		if (strncmp(table->keys[i].path, pattern, len) == 0 && table->keys[i].path[len] == '.' &&
		    table->keys[i].fallback)
			return true;
	return false;
}

static void fill_map(json_t *map, const struct config_table *table, const char *pattern);

static void fill_value(json_t *value, const struct config_table *table, const struct config_key *key)
{
	const struct config_key *each = NULL;
	const char *name;
	json_t *member;
	size_t i;

	if (key->type == KEY_MAP)
		fill_map(value, table, key->path);
	else if (key->type == KEY_NAMES || key->type == KEY_MAPS)
		each = find_below(table, key->path, "*");
	if (!each)
		return;
	json_object_foreach(value, name, member)
	{
		fill_value(member, table, each);
	}
	json_array_foreach(value, i, member)
	{
		fill_value(member, table, each);
	}
}

static void fill_map(json_t *map, const struct config_table *table, const char *pattern)
{
	const char *name;
	json_t *member;

	if (!json_is_object(map))
		return;
	for (size_t i = 0; i < table->count; i++) {
		const struct config_key *key = &table->keys[i];
		const char *step = step_below(pattern, key->path);
		if (!step || strcmp(step, "*") == 0 || json_object_get(map, step) || !belongs(key, map))
			continue;
		if (key->fallback)
			json_object_set_new(map, step, fallback_of(key));
		else if (key->type == KEY_MAP && !(key->flags & KEY_REQUIRED) &&
			 has_fallback_below(table, key->path))
			json_object_set_new(map, step, json_object());
	}
	json_object_foreach(map, name, member)
	{
		const struct config_key *key = find_below(table, pattern, name);
		if (key)
			fill_value(member, table, key);
	}
}

void config_fill_tree(json_t *values, const struct config_table *table)
{
	fill_map(values, table, "");
}
