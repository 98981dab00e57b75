/* Rendering. A frame is a stretch of nodes that is being walked: the template, the body of a section, or a
 * partial. No recursion and, but for the output and indentation, no memory. */
#include "mustache.h"
#include "mustache_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "banned.h"

#define INDENT_MAX 4096

struct frame {
	const struct mustache *template;
	uint32_t node, start, end;
	json_t *list; /* what is iterated, or NULL */
	size_t i, count;
	bool pushed;                    /* a value of the stack is this frame's */
	size_t indent_from, indent_len; /* to return to */
};

struct renderer {
	struct frame frames[MUSTACHE_DEPTH_MAX + 1];
	size_t depth;
	json_t *stack[MUSTACHE_STACK_MAX + MUSTACHE_DEPTH_MAX];
	size_t top;
	/* All indentation of the partials on the way here; what counts in this one begins at indent_from. */
	struct text indent;
	size_t indent_from;
	const struct mustache_partials *partials;
	enum escape escape;
	struct text *out;
	size_t steps;
	const char *failed;
};

static const char html_special[256] = {['&'] = 1, ['<'] = 1, ['>'] = 1, ['"'] = 1, ['\''] = 1};

static void html_escape(const char *s, size_t len, struct text *out)
{
	size_t from = 0;

	for (size_t i = 0; i < len; i++) {
		if (!html_special[(unsigned char)s[i]])
			continue;
		text_add(out, s + from, i - from);
		from = i + 1;
		text_puts(out, s[i] == '&'   ? "&amp;"
			       : s[i] == '<' ? "&lt;"
			       : s[i] == '>' ? "&gt;"
			       : s[i] == '"' ? "&quot;"
					     : "&#39;");
	}
	text_add(out, s + from, len - from);
}

static void json_escape(const char *s, size_t len, struct text *out)
{
	static const char names[32] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	size_t from = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c >= 32 && c != '"' && c != '\\')
			continue;
		text_add(out, s + from, i - from);
		from = i + 1;
		if (c >= 32)
			text_addf(out, "\\%c", c);
		else if (names[c])
			text_addf(out, "\\%c", names[c]);
		else
			text_addf(out, "\\u%04x", c);
	}
	text_add(out, s + from, len - from);
}

void mustache_escape(enum escape escape, const char *s, size_t len, struct text *out)
{
	if (escape == ESCAPE_HTML)
		html_escape(s, len, out);
	else if (escape == ESCAPE_JSON)
		json_escape(s, len, out);
	else
		text_add(out, s, len);
}

/* The shortest digits that read back as the same number; without an exponent where people write none. */
static void add_real(double v, struct text *out)
{
	char digits[64];
	int precision = 15;

	snprintf(digits, sizeof digits, "%.*g", precision, v);
	while (precision < 17 && strtod(digits, NULL) != v)
		snprintf(digits, sizeof digits, "%.*g", ++precision, v);
	const char *exponent = strchr(digits, 'e');
	double size = fabs(v);
	if (exponent && size >= 1e-6 && size < 1e21) {
		/* What stands behind the point: the digits of the mantissa less its power of ten. */
		const char *point = strchr(digits, '.');
		int decimals =
			(point ? (int)(exponent - point) - 1 : 0) - (int)strtol(exponent + 1, NULL, 10);
		snprintf(digits, sizeof digits, "%.*f", decimals > 0 ? decimals : 0, v);
	}
	text_puts(out, digits);
}

static void add_value(struct renderer *r, const json_t *value, bool raw)
{
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		mustache_escape(raw ? ESCAPE_NONE : r->escape, json_string_value(value),
				json_string_length(value), r->out);
		break;
	case JSON_INTEGER:
		text_addf(r->out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		add_real(json_real_value(value), r->out);
		break;
	case JSON_TRUE:
		text_puts(r->out, "true");
		break;
	case JSON_FALSE:
		text_puts(r->out, "false");
		break;
	case JSON_NULL:
	case JSON_OBJECT:
	case JSON_ARRAY:
		break;
	}
}

/* The first part is looked up through the stack, the rest only in what that gave. */
static json_t *look_up(const struct renderer *r, const struct mustache *template, const struct node *node)
{
	const char *name = template->names + node->name;
	json_t *value = NULL;

	if (!node->parts)
		return r->top ? r->stack[r->top - 1] : NULL;
	for (size_t i = r->top; i-- > 0 && !value;)
		value = json_object_get(r->stack[i], name);
	for (uint32_t part = 1; part < node->parts && value; part++) {
		name += strlen(name) + 1;
		value = json_object_get(value, name);
	}
	return value;
}

static bool is_true(const json_t *value)
{
	return value && !json_is_null(value) && !json_is_false(value) &&
	       !(json_is_array(value) && json_array_size(value) == 0);
}

static void add_indent(struct renderer *r)
{
	text_add(r->out, r->indent.data + r->indent_from, r->indent.len - r->indent_from);
}

/* Every line of a partial that stands alone is indented; what values bring is not. */
static void add_lines(struct renderer *r, const char *s, size_t len, bool line_start)
{
	if (r->indent.len == r->indent_from) {
		text_add(r->out, s, len);
		return;
	}
	if (line_start)
		add_indent(r);
	while (len) {
		const char *newline = memchr(s, '\n', len);
		size_t line = newline ? (size_t)(newline - s) + 1 : len;
		text_add(r->out, s, line);
		s += line;
		len -= line;
		if (newline && len)
			add_indent(r);
	}
}

static struct frame *push_frame(struct renderer *r, const struct mustache *template, uint32_t start,
				uint32_t end)
{
	if (r->depth > MUSTACHE_DEPTH_MAX) {
		r->failed = "sections and partials are nested too deep";
		return NULL;
	}
	struct frame *frame = &r->frames[r->depth++];
	*frame = (struct frame){.template = template,
				.node = start,
				.start = start,
				.end = end,
				.indent_from = r->indent_from,
				.indent_len = r->indent.len};
	return frame;
}

/* At the end of its nodes: the next turn of its list, or back to the frame before. */
static void end_frame(struct renderer *r, struct frame *frame)
{
	if (++frame->i < frame->count) {
		r->stack[r->top - 1] = json_array_get(frame->list, frame->i);
		frame->node = frame->start;
		return;
	}
	if (frame->pushed)
		r->top--;
	r->indent_from = frame->indent_from;
	r->indent.len = frame->indent_len;
	r->depth--;
}

static void begin_section(struct renderer *r, struct frame *parent, const struct node *node)
{
	json_t *value = look_up(r, parent->template, node);
	uint32_t body = parent->node;

	parent->node = node->next;
	if (is_true(value) == (node->kind == NODE_INVERTED))
		return;
	struct frame *frame = push_frame(r, parent->template, body, node->next);
	if (!frame || node->kind == NODE_INVERTED)
		return;
	if (json_is_array(value)) {
		frame->list = value;
		frame->count = json_array_size(value);
		value = json_array_get(value, 0);
	}
	frame->pushed = true;
	r->stack[r->top++] = value;
}

static void begin_partial(struct renderer *r, const struct frame *parent, const struct node *node)
{
	const char *name = parent->template->names + node->name;
	const struct mustache *partial = r->partials ? r->partials->find(r->partials->context, name) : NULL;

	if (!partial || !push_frame(r, partial, 0, partial->count))
		return;
	if (!node->standalone)
		r->indent_from = r->indent.len;
	else if (node->len && !text_add(&r->indent, parent->template->source + node->at, node->len))
		r->failed = "partials are indented too far";
}

static void walk(struct renderer *r)
{
	while (r->depth && !r->failed) {
		struct frame *frame = &r->frames[r->depth - 1];
		if (++r->steps > MUSTACHE_STEPS_MAX)
			r->failed = "too much work: lists inside lists";
		if (frame->node == frame->end) {
			end_frame(r, frame);
			continue;
		}
		const struct node *node = &frame->template->nodes[frame->node++];
		switch ((enum node_kind)node->kind) {
		case NODE_TEXT:
			add_lines(r, frame->template->source + node->at, node->len, node->line_start);
			break;
		case NODE_VALUE:
		case NODE_RAW:
			if (node->line_start)
				add_indent(r);
			add_value(r, look_up(r, frame->template, node), node->kind == NODE_RAW);
			break;
		case NODE_SECTION:
		case NODE_INVERTED:
			begin_section(r, frame, node);
			break;
		case NODE_PARTIAL:
			begin_partial(r, frame, node);
			break;
		}
		if (r->out->full)
			r->failed = "the text is too long";
	}
}

bool mustache_render(const struct mustache *template, json_t *const *stack, size_t stack_len,
		     const struct mustache_partials *partials, enum escape escape, struct text *out,
		     struct text *error)
{
	struct renderer r;
	size_t start = out->len, out_max = out->max;

	if (out->full)
		return text_error(error, "the text is too long");
	if (stack_len > MUSTACHE_STACK_MAX)
		return text_error(error, "more than %d values to look names up in", MUSTACHE_STACK_MAX);
	/* Frames and stack are written before they are read: clearing 6 KB for every text would cost more
	 * than most texts do. */
	r.depth = r.top = r.steps = r.indent_from = 0;
	r.partials = partials;
	r.escape = escape;
	r.out = out;
	r.failed = NULL;
	text_init(&r.indent, INDENT_MAX);
	for (size_t i = 0; i < stack_len; i++) {
		if (stack[i])
			r.stack[r.top++] = stack[i];
	}
	if (out->max - out->len > MUSTACHE_OUTPUT_MAX)
		out->max = out->len + MUSTACHE_OUTPUT_MAX;
	text_expect(out, template->size + template->size / 2); /* values and partials, as a guess */
	push_frame(&r, template, 0, template->count);
	walk(&r);
	if (r.failed) {
		text_error(error, "%s (at most %d deep, %zu bytes, %d steps)", r.failed, MUSTACHE_DEPTH_MAX,
			   out->max - start, MUSTACHE_STEPS_MAX);
		out->len = start;
		if (out->capacity)
			out->data[start] = '\0';
		out->full = false;
	}
	out->max = out_max;
	text_release(&r.indent);
	return !r.failed;
}
