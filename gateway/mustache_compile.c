#include "mustache.h"
#include "mustache_private.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define DELIMITER_MAX 16

struct delimiter {
	const char *s;
	size_t len;
};

struct parser {
	const char *source;
	size_t len;
	size_t at; /* behind what has been read */
	struct delimiter open, close;
	struct node *nodes;
	uint32_t count, capacity;
	struct text names;
	struct {
		uint32_t node;
		size_t tag;
	} sections[MUSTACHE_DEPTH_MAX];
	size_t depth;
	struct text *error;
};

/* A tag as it stands: from its opening delimiter to behind its closing one. */
struct tag {
	size_t from, to;
	char sigil; /* one of # ^ / > ! = & {, or 0 for a plain value */
	const char *content;
	size_t content_len;      /* without the whitespace around it */
	size_t line, after_line; /* where its line begins; where the next one does, if it stands alone */
	bool standalone;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
	return is_blank(c) || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* Always false. Columns count bytes, from 1. */
__attribute__((format(printf, 3, 4))) static bool parse_error(struct parser *p, size_t at, const char *format,
							      ...)
{
	size_t line = 1, column = 1;
	struct text what;
	va_list args;

	for (size_t i = 0; i < at && i < p->len; i++) {
		column++;
		if (p->source[i] == '\n') {
			line++;
			column = 1;
		}
	}
	text_init(&what, TEXT_ERROR_MAX);
	va_start(args, format);
	text_vaddf(&what, format, args);
	va_end(args);
	text_error(p->error, "%zu:%zu: %s", line, column, what.data);
	text_release(&what);
	return false;
}

static struct node *add_node(struct parser *p, enum node_kind kind)
{
	if (p->count == p->capacity) {
		p->capacity = p->capacity ? 2 * p->capacity : 16;
		p->nodes = xreallocarray(p->nodes, p->capacity, sizeof *p->nodes);
	}
	struct node *node = &p->nodes[p->count++];
	*node = (struct node){.kind = (uint8_t)kind};
	return node;
}

static bool begins_line(const struct parser *p, size_t at)
{
	return at == 0 || p->source[at - 1] == '\n';
}

static void add_text(struct parser *p, size_t from, size_t to)
{
	struct node *node = add_node(p, NODE_TEXT);

	node->at = (uint32_t)from;
	node->len = (uint32_t)(to - from);
	node->line_start = begins_line(p, from);
}

/* Keeps the name, cut at its dots: "a.b" becomes "a" NUL "b" NUL; "." has no parts. */
static bool add_name(struct parser *p, const struct tag *tag, struct node *node)
{
	const char *name = tag->content;
	size_t len = tag->content_len;

	if (!len)
		return parse_error(p, tag->from, "a tag without a name");
	if (strchr("$<*", name[0]))
		return parse_error(p, tag->from,
				   "'%c' belongs to an optional module; "
				   "sections, values, partials, comments and delimiters are known",
				   name[0]);
	node->name = (uint32_t)p->names.len;
	bool dotted = tag->sigil != '>';
	bool current = dotted && len == 1 && name[0] == '.';
	if (current)
		return text_putc(&p->names, '\0');
	node->parts = 1;
	for (size_t i = 0; i < len; i++) {
		if (is_space(name[i]) || name[i] == '\0')
			return parse_error(p, tag->from, "a space inside the name '%.*s'", (int)len, name);
		if (dotted && name[i] == '.') {
			if (i == 0 || i + 1 == len || name[i + 1] == '.')
				return parse_error(p, tag->from, "the name '%.*s' has an empty part",
						   (int)len, name);
			node->parts++;
			text_putc(&p->names, '\0');
		} else {
			text_putc(&p->names, name[i]);
		}
	}
	return text_putc(&p->names, '\0');
}

static bool set_delimiters(struct parser *p, const struct tag *tag)
{
	struct delimiter found[2] = {{NULL, 0}, {NULL, 0}};
	size_t n = 0, i = 0;

	while (i < tag->content_len && n < 2) {
		size_t from = i;
		while (i < tag->content_len && !is_space(tag->content[i]) && tag->content[i] != '=')
			i++;
		if (i == from || i - from > DELIMITER_MAX)
			break;
		found[n++] = (struct delimiter){tag->content + from, i - from};
		while (i < tag->content_len && is_space(tag->content[i]))
			i++;
	}
	if (i < tag->content_len || n != 2)
		return parse_error(p, tag->from,
				   "delimiters are set by two words without '=', each at most %d bytes, "
				   "as in {{=<%% %%>=}}",
				   DELIMITER_MAX);
	p->open = found[0];
	p->close = found[1];
	return true;
}

/* Always false: what is wrong with the innermost open section, by its name. */
static bool section_error(struct parser *p, size_t at, const struct node *section, const char *what)
{
	const char *part = p->names.data + section->name;
	struct text name;

	text_init(&name, TEXT_ERROR_MAX);
	text_puts(&name, section->parts ? part : ".");
	for (uint32_t i = 1; i < section->parts; i++) {
		part += strlen(part) + 1;
		text_addf(&name, ".%s", part);
	}
	parse_error(p, at, "%s '%s'", what, name.data);
	text_release(&name);
	return false;
}

static bool open_section(struct parser *p, const struct tag *tag)
{
	if (p->depth == MUSTACHE_DEPTH_MAX)
		return parse_error(p, tag->from, "sections are nested deeper than %d", MUSTACHE_DEPTH_MAX);
	p->sections[p->depth].node = p->count;
	p->sections[p->depth++].tag = tag->from;
	return add_name(p, tag, add_node(p, tag->sigil == '#' ? NODE_SECTION : NODE_INVERTED));
}

static bool close_section(struct parser *p, const struct tag *tag)
{
	struct node closing = {0};
	size_t names_len = p->names.len;

	if (!p->depth)
		return parse_error(p, tag->from, "{{/%.*s}} closes nothing", (int)tag->content_len,
				   tag->content);
	if (!add_name(p, tag, &closing))
		return false;
	struct node *section = &p->nodes[p->sections[--p->depth].node];
	size_t len = p->names.len - names_len;
	bool same = closing.parts == section->parts &&
		    memcmp(p->names.data + section->name, p->names.data + closing.name, len) == 0;
	if (!same)
		return section_error(p, tag->from, section,
				     "a section is closed by another's name; the open one is");
	p->names.len = names_len;
	section->next = p->count;
	return true;
}

static const char *find(const char *from, const char *end, const char *what, size_t len)
{
	return memmem(from, (size_t)(end - from), what, len);
}

static bool stands_at(const char *at, const char *end, struct delimiter delimiter)
{
	return (size_t)(end - at) >= delimiter.len && memcmp(at, delimiter.s, delimiter.len) == 0;
}

/* Reads the tag that begins at `from`; false if it is never closed. */
static bool read_tag(struct parser *p, size_t from, struct tag *tag)
{
	const char *end = p->source + p->len;
	const char *at = p->source + from + p->open.len;
	char closing[DELIMITER_MAX + 1];
	size_t closing_len = 0;

	*tag = (struct tag){.from = from};
	while (at < end && is_space(*at) && !stands_at(at, end, p->close))
		at++;
	if (at < end && *at && strchr("#^/>!=&{", *at) && !stands_at(at, end, p->close))
		tag->sigil = *at++;
	if (tag->sigil == '{')
		closing[closing_len++] = '}';
	else if (tag->sigil == '=')
		closing[closing_len++] = '=';
	memcpy(closing + closing_len, p->close.s, p->close.len);
	closing_len += p->close.len;
	const char *close = find(at, end, closing, closing_len);
	if (!close)
		return parse_error(p, from, "a tag is opened and not closed by '%.*s'", (int)closing_len,
				   closing);
	tag->to = (size_t)(close - p->source) + closing_len;
	while (at < close && is_space(*at))
		at++;
	while (close > at && is_space(close[-1]))
		close--;
	tag->content = at;
	tag->content_len = (size_t)(close - at);

	/* Alone on its line: but for blanks nothing before it, and nothing behind it. Values never are. */
	tag->line = from;
	while (tag->line > p->at && is_blank(p->source[tag->line - 1]))
		tag->line--;
	size_t after = tag->to;
	while (after < p->len && is_blank(p->source[after]))
		after++;
	if (after + 1 < p->len && p->source[after] == '\r' && p->source[after + 1] == '\n')
		after++;
	tag->standalone = tag->sigil && tag->sigil != '&' && tag->sigil != '{' && begins_line(p, tag->line) &&
			  (after == p->len || p->source[after] == '\n');
	tag->after_line = after < p->len ? after + 1 : after;
	return true;
}

static bool add_partial(struct parser *p, const struct tag *tag)
{
	struct node *node = add_node(p, NODE_PARTIAL);

	node->standalone = tag->standalone;
	node->at = (uint32_t)tag->line;
	node->len = tag->standalone ? (uint32_t)(tag->from - tag->line) : 0;
	return add_name(p, tag, node);
}

static bool add_value(struct parser *p, const struct tag *tag)
{
	struct node *node = add_node(p, tag->sigil ? NODE_RAW : NODE_VALUE);

	node->line_start = begins_line(p, tag->from);
	return add_name(p, tag, node);
}

static bool add_tag(struct parser *p, const struct tag *tag)
{
	bool value = !tag->sigil || tag->sigil == '&' || tag->sigil == '{';
	size_t text_end = tag->standalone ? tag->line : tag->from;

	if (text_end > p->at)
		add_text(p, p->at, text_end);
	if (!value && !tag->standalone && begins_line(p, tag->from))
		add_text(p, tag->from, tag->from); /* nothing, but indented in an indented partial */
	p->at = tag->standalone ? tag->after_line : tag->to;
	switch (tag->sigil) {
	case '!':
		return true;
	case '=':
		return set_delimiters(p, tag);
	case '#':
	case '^':
		return open_section(p, tag);
	case '/':
		return close_section(p, tag);
	case '>':
		return add_partial(p, tag);
	default:
		return add_value(p, tag);
	}
}

static bool parse(struct parser *p)
{
	const char *end = p->source + p->len;
	const char *found;
	struct tag tag;

	while ((found = find(p->source + p->at, end, p->open.s, p->open.len))) {
		if (!read_tag(p, (size_t)(found - p->source), &tag) || !add_tag(p, &tag))
			return false;
	}
	if (p->at < p->len)
		add_text(p, p->at, p->len);
	if (p->depth)
		return section_error(p, p->sections[p->depth - 1].tag,
				     &p->nodes[p->sections[p->depth - 1].node],
				     "this section is never closed:");
	return true;
}

struct mustache *mustache_compile(const char *source, size_t len, struct text *error)
{
	struct mustache *made = NULL;

	if (len > MUSTACHE_SOURCE_MAX) {
		text_error(error, "1:1: longer than %d bytes", MUSTACHE_SOURCE_MAX);
		return NULL;
	}
	struct parser p = {.source = xmemdup0(source, len), .len = len, .error = error};
	p.open = (struct delimiter){"{{", 2};
	p.close = (struct delimiter){"}}", 2};
	/* Every part of a name has at least its delimiters in the source: this is never full. */
	text_init(&p.names, 2 * len + 2);
	if (parse(&p)) {
		made = xcalloc(1, sizeof *made);
		made->nodes = p.nodes;
		made->count = p.count;
		made->source = (char *)(uintptr_t)p.source;
		made->size = len;
		made->names = text_detach(&p.names);
	} else {
		free(p.nodes);
		free((char *)(uintptr_t)p.source);
		text_release(&p.names);
	}
	return made;
}

void mustache_free(struct mustache *template)
{
	if (!template)
		return;
	free(template->nodes);
	free(template->source);
	free(template->names);
	free(template);
}

const char *mustache_partial(const struct mustache *template, size_t i)
{
	for (uint32_t n = 0; n < template->count; n++) {
		if (template->nodes[n].kind == NODE_PARTIAL && i-- == 0)
			return template->names + template->nodes[n].name;
	}
	return NULL;
}
