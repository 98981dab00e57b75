/* The file format of the configuration: one YAML document into a Jansson tree, by libyaml's events. Plain
 * scalars are resolved by the core schema of YAML 1.2 (so `no` and `on` are text); quoted ones are text. An
 * alias is a copy of what its anchor marks, and `<<` takes over the keys of a map, below those that stand
 * there. Tags and second documents are refused: they hide what a file says. What is wrong with a value is
 * noted and reading goes on; a broken syntax ends it. */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "xalloc.h"
#include "banned.h"

#define CONFIG_BYTES_MAX (1024 * 1024)
#define CONFIG_DEPTH_MAX 32
#define CONFIG_NODES_MAX 50000
#define CONFIG_PATH_MAX 1024 /* bytes of the path to a value */

struct config_tree {
	json_t *json;
	json_t *lines; /* {path: line} */
};

struct reader {
	const char *file;
	yaml_parser_t parser;
	struct config_tree *tree;
	struct text *error;
	struct text path;
	json_t *anchors; /* {name: value}, once the value was read whole */
	size_t nodes;
	bool failed;  /* something is wrong; the tree will not be used */
	bool stopped; /* and nothing more can be read */
};

static __attribute__((format(printf, 3, 4))) void wrong(struct reader *r, size_t line, const char *format,
							...)
{
	va_list args;

	r->failed = true;
	if (!r->error)
		return;
	text_addf(r->error, "%s%s:%zu: %s%s", r->error->len ? "\n" : "", r->file, line, r->path.data,
		  r->path.len ? ": " : "");
	va_start(args, format);
	text_vaddf(r->error, format, args);
	va_end(args);
}

/* libyaml's own complaint. Its marks count from 0; a reader's error (not UTF-8) has only an offset. */
static void wrong_syntax(struct reader *r, const char *data)
{
	const yaml_parser_t *p = &r->parser;
	size_t line = p->problem_mark.line + 1;

	r->stopped = true;
	text_clear(&r->path);
	if (p->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < p->problem_offset; i++)
			line += data[i] == '\n';
		wrong(r, line, "is not UTF-8 text (%s); save the file as UTF-8",
		      p->problem ? p->problem : "unreadable");
	} else {
		wrong(r, line, "is not YAML: %s%s%s; mend the line or the one before",
		      p->context ? p->context : "", p->context ? ", " : "",
		      p->problem ? p->problem : "cannot be read");
	}
}

static const char *skip_digits(const char *s)
{
	return s + strspn(s, "0123456789");
}

static const char *skip_sign(const char *s)
{
	return s + (*s == '+' || *s == '-');
}

static bool is_integer(const char *s)
{
	s = skip_sign(s);
	return *s && !*skip_digits(s);
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *s)
{
	const char *digits = skip_sign(s);
	const char *end = skip_digits(digits);
	bool any = end > digits;

	if (*end == '.') {
		const char *fraction = end + 1;
		end = skip_digits(fraction);
		any = any || end > fraction;
	}
	if (!any)
		return false;
	if (*end == 'e' || *end == 'E') {
		const char *exponent = skip_sign(end + 1);
		end = skip_digits(exponent);
		if (end == exponent)
			return false;
	}
	return !*end;
}

static bool is_one_of(const char *s, const char *const words[])
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

static json_t *integer_value(struct reader *r, size_t line, const char *digits, int base, bool negative)
{
	errno = 0;
	long long value = strtoll(digits, NULL, base);
	if (errno == ERANGE) {
		wrong(r, line, "is a number that is too large; in quotes it would be text");
		return json_null();
	}
	return json_integer(negative ? -value : value);
}

static json_t *plain_value(struct reader *r, size_t line, const char *s)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	static const char *const endless[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};

	if (is_one_of(s, nulls))
		return json_null();
	if (is_one_of(s, trues) || is_one_of(s, falses))
		return json_boolean(is_one_of(s, trues));
	if (is_integer(s))
		return integer_value(r, line, skip_sign(s), 10, *s == '-');
	if (strncmp(s, "0x", 2) == 0 && s[2] && !s[2 + strspn(s + 2, "0123456789abcdefABCDEF")])
		return integer_value(r, line, s + 2, 16, false);
	if (strncmp(s, "0o", 2) == 0 && s[2] && !s[2 + strspn(s + 2, "01234567")])
		return integer_value(r, line, s + 2, 8, false);
	if (is_float(s)) {
		double value = strtod(s, NULL);
		if (isfinite(value))
			return json_real(value);
	}
	if (is_float(s) || is_one_of(skip_sign(s), endless)) {
		wrong(r, line, "is a number without end; in quotes it would be text");
		return json_null();
	}
	return json_string(s);
}

static json_t *scalar_value(struct reader *r, const yaml_event_t *event)
{
	const char *s = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	size_t line = event->start_mark.line + 1;

	if (memchr(s, '\0', len)) {
		wrong(r, line, "holds a NUL character; leave it out");
		return json_null();
	}
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return plain_value(r, line, s);
	json_t *text = json_stringn(s, len);
	if (text)
		return text;
	wrong(r, line, "is not UTF-8 text; save the file as UTF-8");
	return json_null();
}

static bool next_event(struct reader *r, const char *data, yaml_event_t *event)
{
	if (r->stopped)
		return false;
	if (yaml_parser_parse(&r->parser, event))
		return true;
	wrong_syntax(r, data);
	return false;
}

/* Adds a step to the path; path_back undoes it. What would not fit is left out: only messages suffer. */
static size_t path_enter(struct reader *r, const char *step)
{
	size_t before = r->path.len;

	text_addf(&r->path, "%s%s", before ? "." : "", step);
	r->path.full = false;
	return before;
}

static void path_back(struct reader *r, size_t before)
{
	r->path.len = before;
	if (r->path.capacity)
		r->path.data[before] = '\0';
}

/* A value in a map stands where its key stands, wherever its text begins. */
static void note_line(struct reader *r, size_t line)
{
	if (r->path.len && !json_object_get(r->tree->lines, r->path.data))
		json_object_set_new(r->tree->lines, r->path.data, json_integer((json_int_t)line));
}

static json_t *read_value(struct reader *r, const char *data, const yaml_event_t *event, int depth);

static json_t *read_list(struct reader *r, const char *data, int depth)
{
	json_t *list = json_array();
	yaml_event_t event;

	while (next_event(r, data, &event)) {
		bool ended = event.type == YAML_SEQUENCE_END_EVENT;
		if (!ended) {
			char step[24];
			snprintf(step, sizeof step, "%zu", json_array_size(list));
			size_t before = path_enter(r, step);
			json_array_append_new(list, read_value(r, data, &event, depth));
			path_back(r, before);
		}
		yaml_event_delete(&event);
		if (ended)
			break;
	}
	return list;
}

/* The key of a map's next entry, or NULL where there is none that could be used: the value is read all the
 * same. */
static char *read_key(struct reader *r, const char *data, const yaml_event_t *event, int depth)
{
	size_t line = event->start_mark.line + 1;

	if (event->type != YAML_SCALAR_EVENT) {
		wrong(r, line, "has a key that is a list, a map or an alias; a word would be right");
		json_decref(read_value(r, data, event, depth));
		return NULL;
	}
	const char *key = (const char *)event->data.scalar.value;
	if (!*key || strlen(key) != event->data.scalar.length) {
		wrong(r, line, "has an empty key; a word would be right");
		return NULL;
	}
	return xstrdup(key);
}

/* What `<<` names: a map, or a list of maps of which the first wins. */
static void merge(struct reader *r, size_t line, json_t *map, const json_t *merged)
{
	json_t *one;
	size_t i;

	json_array_foreach(merged, i, one)
	{
		merge(r, line, map, json_is_object(one) ? one : json_null());
	}
	if (json_is_object(merged))
		json_object_update_missing(map, (json_t *)merged);
	else if (!json_is_array(merged))
		wrong(r, line, "takes over what is no map; *NAME of a map with &NAME would be right");
}

static json_t *read_map(struct reader *r, const char *data, int depth)
{
	json_t *map = json_object();
	yaml_event_t event;

	while (next_event(r, data, &event)) {
		if (event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			break;
		}
		char *key = read_key(r, data, &event, depth);
		size_t line = event.start_mark.line + 1;
		yaml_event_delete(&event);
		size_t before = path_enter(r, key ? key : "");
		note_line(r, line);
		if (key && json_object_get(map, key))
			wrong(r, line, "stands here a second time (first in line %d); leave one out",
			      config_tree_line(r->tree, r->path.data));
		if (next_event(r, data, &event)) {
			json_object_set_new(map, key ? key : "", read_value(r, data, &event, depth));
			yaml_event_delete(&event);
		}
		path_back(r, before);
		free(key);
	}
	json_t *merged = json_incref(json_object_get(map, "<<"));
	if (merged) {
		size_t before = path_enter(r, "<<");
		json_object_del(map, "<<");
		merge(r, (size_t)config_tree_line(r->tree, r->path.data), map, merged);
		path_back(r, before);
	}
	json_decref(merged);
	return map;
}

static bool has_tag(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.tag != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.tag != NULL;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.tag != NULL;
	default:
		return false;
	}
}

/* NULL: none. */
static const char *anchor_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return (const char *)event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

/* One value more, so deep. False, and reading stops: that is too much. */
static bool has_room(struct reader *r, size_t line, int depth)
{
	if (r->stopped)
		return false;
	if (++r->nodes <= CONFIG_NODES_MAX && depth < CONFIG_DEPTH_MAX)
		return true;
	if (depth >= CONFIG_DEPTH_MAX)
		wrong(r, line, "is nested more than %d deep; make it flatter", CONFIG_DEPTH_MAX);
	else
		wrong(r, line, "is one value too many; at most %d would be right", CONFIG_NODES_MAX);
	r->stopped = true;
	return false;
}

/* Aliases of aliases multiply: what they stand for is counted as if it had been written out. */
static json_t *copy_value(struct reader *r, size_t line, const json_t *value, int depth)
{
	json_t *out, *member;
	const char *name;
	size_t i;

	if (!has_room(r, line, depth))
		return json_null();
	if (!json_is_object(value) && !json_is_array(value))
		return json_copy((json_t *)value);
	out = json_is_object(value) ? json_object() : json_array();
	json_object_foreach((json_t *)value, name, member)
	{
		json_object_set_new(out, name, copy_value(r, line, member, depth + 1));
	}
	json_array_foreach(value, i, member)
	{
		json_array_append_new(out, copy_value(r, line, member, depth + 1));
	}
	return out;
}

static json_t *alias_value(struct reader *r, const yaml_event_t *event, int depth)
{
	const char *name = (const char *)event->data.alias.anchor;
	size_t line = event->start_mark.line + 1;
	const json_t *value = json_object_get(r->anchors, name);

	if (value)
		return copy_value(r, line, value, depth);
	wrong(r, line, "is *%s, and no value before it has the anchor &%s", name, name);
	return json_null();
}

/* Never NULL. */
static json_t *read_value(struct reader *r, const char *data, const yaml_event_t *event, int depth)
{
	size_t line = event->start_mark.line + 1;
	const char *anchor = anchor_of(event);
	json_t *value;

	note_line(r, line);
	if (has_tag(event))
		wrong(r, line, "has a tag (!…); leave it out: quotes make text, nothing else is needed");
	if (event->type == YAML_ALIAS_EVENT)
		return alias_value(r, event, depth);
	if (!has_room(r, line, depth))
		return json_null();
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		value = scalar_value(r, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		value = read_list(r, data, depth + 1);
		break;
	case YAML_MAPPING_START_EVENT:
		value = read_map(r, data, depth + 1);
		break;
	default:
		value = json_null();
	}
	if (anchor)
		json_object_set(r->anchors, anchor, value);
	return value;
}

static void read_documents(struct reader *r, const char *data)
{
	yaml_event_t event;
	bool ended = false;
	int documents = 0;

	while (!ended && next_event(r, data, &event)) {
		switch (event.type) {
		case YAML_STREAM_END_EVENT:
			ended = true;
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (documents++) {
				wrong(r, event.start_mark.line + 1,
				      "begins a second document (---); one would be right");
				r->stopped = true;
			}
			break;
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		default:
			r->tree->json = read_value(r, data, &event, 0);
		}
		yaml_event_delete(&event);
	}
	if (!r->tree->json)
		r->tree->json = json_null();
}

/* The whole file, or false and `error`. */
static bool read_bytes(const char *file, struct text *out, struct text *error)
{
	char block[16384];
	size_t got;
	bool done = false;

	FILE *in = fopen(file, "re");
	if (!in)
		return text_error(error, "%s: cannot be opened: %s", file, strerror(errno));
	while (!out->full && (got = fread(block, 1, sizeof block, in)) > 0)
		text_add(out, block, got);
	if (ferror(in))
		text_error(error, "%s: cannot be read: %s", file, strerror(errno));
	else if (out->full)
		text_error(error, "%s: is too large; at most %d bytes would be right", file,
			   CONFIG_BYTES_MAX);
	else
		done = true;
	fclose(in);
	return done;
}

struct config_tree *config_tree_parse(const char *name, const char *yaml, size_t len, struct text *error)
{
	struct reader r = {.file = name, .error = error, .anchors = json_object()};
	static const char mark[] = "\xEF\xBB\xBF"; /* of UTF-8, as some editors write it */

	if (len >= strlen(mark) && memcmp(yaml, mark, strlen(mark)) == 0) {
		yaml += strlen(mark);
		len -= strlen(mark);
	}
	text_init(&r.path, CONFIG_PATH_MAX);
	r.tree = xcalloc(1, sizeof *r.tree);
	r.tree->lines = json_object();
	yaml_parser_initialize(&r.parser);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)yaml, len);
	read_documents(&r, yaml);
	yaml_parser_delete(&r.parser);
	if (r.failed) {
		config_tree_free(r.tree);
		r.tree = NULL;
	}
	json_decref(r.anchors);
	text_release(&r.path);
	return r.tree;
}

struct config_tree *config_tree_read(const char *file, struct text *error)
{
	struct config_tree *tree = NULL;
	struct text bytes;

	text_init(&bytes, CONFIG_BYTES_MAX);
	if (error)
		text_clear(error);
	if (read_bytes(file, &bytes, error))
		tree = config_tree_parse(file, bytes.data, bytes.len, error);
	text_release(&bytes);
	return tree;
}

json_t *config_tree_json(const struct config_tree *tree)
{
	return tree->json;
}

int config_tree_line(const struct config_tree *tree, const char *path)
{
	return *path ? (int)json_integer_value(json_object_get(tree->lines, path)) : 1;
}

void config_tree_free(struct config_tree *tree)
{
	if (!tree)
		return;
	json_decref(tree->json);
	json_decref(tree->lines);
	free(tree);
}
