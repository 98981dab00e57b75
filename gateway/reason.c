#include "reason.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "utf8.h"
#include "xalloc.h"
#include "banned.h"

#define REASON_WORDS_MAX 2048
#define REASON_ARGS_MAX 8192

static const struct {
	const char *name, *says, *help;
} table[] = {
#define REASON(code, says, help) {#code, says, help},
#include "reason_codes.h"
#undef REASON
};

static bool is_utf8(const char *s)
{
	size_t len = strlen(s);
	uint32_t point;

	while (len) {
		size_t width = (unsigned char)*s < 0x80 ? 1 : utf8_take(s, len, &point);
		if ((unsigned char)*s >= 0x80 && width == 1)
			return false;
		s += width;
		len -= width;
	}
	return true;
}

static bool put_text(struct text *out, const char *key, const char *value)
{
	text_putc(out, out->len > 1 ? ',' : '{');
	text_json(out, key);
	text_putc(out, ':');
	text_json(out, value);
	return is_utf8(value);
}

/* Without a tree: what is chosen for is given reasons by the thousand. */
static void add(struct reasons *reasons, enum reason_code code, const char *until, const char *format,
		va_list list)
{
	struct text args;
	bool ok = true;

	text_init(&args, REASON_ARGS_MAX);
	if (until)
		put_text(&args, "until", until);
	for (const char *at = format; (at = strstr(at, "s:s")) != NULL; at += 3) {
		const char *key = va_arg(list, const char *);
		ok = put_text(&args, key, va_arg(list, const char *)) && ok;
	}
	text_puts(&args, args.len ? "}" : "{}");
	if (!ok || args.full) { /* an argument that is not UTF-8: the code alone still says most */
		text_clear(&args);
		text_puts(&args, "{}");
	}
	if (reasons->count == REASONS_MAX) /* full: the last one, which settles it, must be there */
		free(reasons->list[--reasons->count].args);
	reasons->list[reasons->count++] = (struct reason){.code = code, .args = text_detach(&args)};
}

void reasons_add(struct reasons *reasons, enum reason_code code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	add(reasons, code, NULL, format, list);
	va_end(list);
}

void reasons_add_until(struct reasons *reasons, enum reason_code code, int64_t until, const char *format, ...)
{
	char text[MOMENT_TEXT];
	va_list list;

	moment_format(until, text);
	va_start(list, format);
	add(reasons, code, text, format, list);
	va_end(list);
}

void reasons_add_copy(struct reasons *reasons, const struct reason *reason)
{
	reasons_add(reasons, reason->code, "{}");
	xreplace(&reasons->list[reasons->count - 1].args, reason->args);
}

void reasons_release(struct reasons *reasons)
{
	for (size_t i = 0; i < reasons->count; i++)
		free(reasons->list[i].args);
	reasons->count = 0;
}

const char *reason_code_name(enum reason_code code)
{
	return table[code].name;
}

const char *reason_help(enum reason_code code)
{
	return table[code].help;
}

bool reason_code_parse(const char *name, enum reason_code *code)
{
	for (size_t i = 0; i < REASON_COUNT; i++)
		if (strcmp(table[i].name, name) == 0) {
			*code = (enum reason_code)i;
			return true;
		}
	return false;
}

static void add_value(struct text *out, const json_t *value)
{
	if (json_is_string(value) && strcmp(json_string_value(value), "*") == 0) {
		text_puts(out, "all products");
	} else if (json_is_string(value)) {
		text_puts(out, json_string_value(value));
	} else if (json_is_integer(value)) {
		text_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	} else if (json_is_array(value)) {
		for (size_t i = 0; i < json_array_size(value); i++) {
			text_puts(out, i ? ", " : "");
			add_value(out, json_array_get(value, i));
		}
	} else {
		text_puts(out, "?");
	}
}

/* An argument as a person reads it. A webhook's receiver has no provider, and some trouble has no code. */
static void add_argument(struct text *out, const json_t *args, const char *name, size_t len)
{
	const json_t *value = json_object_getn(args, name, len);
	const char *s = json_string_value(value);

	if (s && !*s && strncmp(name, "provider", len) == 0)
		text_puts(out, "the receiver");
	else if (s && !*s && strncmp(name, "code", len) == 0)
		text_puts(out, "no code");
	else
		add_value(out, value);
}

char *reason_says(const char *code, const json_t *args)
{
	struct text out;
	enum reason_code known;

	text_init(&out, REASON_WORDS_MAX);
	if (!reason_code_parse(code, &known)) {
		text_addf(&out, "a rule that this heed does not know (%s)", code);
		return text_detach(&out);
	}
	for (const char *s = table[known].says; *s;) {
		size_t plain = strcspn(s, "{");
		text_add(&out, s, plain);
		s += plain;
		if (!*s)
			break;
		size_t len = strcspn(++s, "}");
		add_argument(&out, args, s, len);
		s += len + 1;
	}
	return text_detach(&out);
}

json_t *reason_json(const char *code, const json_t *args)
{
	char *says = reason_says(code, args);
	json_t *json = json_pack("{s:s,s:o,s:s}", "code", code, "args",
				 args ? json_deep_copy(args) : json_object(), "says", says);

	free(says);
	return json;
}

/* --- from the stored text, without a tree: events are made by the thousand --- */

#define FIRST "[{\"code\":\""
#define NEXT "},{\"code\":\"" /* in no string: a quote there has a backslash in front */
#define ARGS "\",\"args\":"

bool reasons_last(const char *stored, struct reason_part *out)
{
	size_t len = strlen(stored);
	const char *at = NULL;

	if (len < sizeof FIRST || strncmp(stored, FIRST, sizeof FIRST - 1) != 0)
		return false;
	for (size_t i = len; !at && i >= sizeof NEXT; i--)
		if (stored[i - 1] == '{' && strncmp(stored + i - 3, NEXT, sizeof NEXT - 1) == 0)
			at = stored + i - 3 + sizeof NEXT - 1;
	out->code = at ? at : stored + sizeof FIRST - 1;
	out->code_len = strcspn(out->code, "\"");
	out->args = out->code + out->code_len + sizeof ARGS - 1;
	if (strncmp(out->code + out->code_len, ARGS, sizeof ARGS - 1) != 0 || out->args + 4 > stored + len)
		return false;
	out->args_len = (size_t)(stored + len - out->args) - 2; /* "}]" of the list */
	return true;
}

/* The end of the string that begins behind a quote: at its closing quote. */
static const char *string_end(const char *s, const char *end)
{
	while (s < end && *s != '"')
		s += *s == '\\' ? 2 : 1;
	return s;
}

/* The value of a member of a flat object of strings and numbers, as it stands in the compact text: a string
 * without its quotes. False: there is none, or it is something else. */
static bool flat_member(const struct reason_part *in, const char *name, size_t name_len, const char **value,
			size_t *len, bool *is_string)
{
	const char *end = in->args + in->args_len, *s = in->args + 1;

	while (s < end && *s == '"') {
		const char *key = s + 1, *key_end = string_end(key, end);
		const char *at = key_end + 2, *stop;
		*is_string = at < end && *at == '"';
		if (*is_string) {
			stop = string_end(++at, end);
			s = stop + 1;
		} else {
			stop = at + strspn(at, "-0123456789");
			if (stop == at || stop >= end)
				return false;
			s = stop;
		}
		if ((size_t)(key_end - key) == name_len && strncmp(key, name, name_len) == 0) {
			*value = at;
			*len = stop > at ? (size_t)(stop - at) : 0;
			return stop < end;
		}
		if (*s != ',')
			return false;
		s++;
	}
	return false;
}

/* As add_argument, into a JSON string. */
static bool put_argument(struct text *out, const struct reason_part *reason, const char *name,
			 size_t name_len)
{
	const char *value = NULL;
	size_t len = 0;
	bool is_string = false;

	if (!flat_member(reason, name, name_len, &value, &len, &is_string))
		return false;
	if (is_string && !len && strncmp(name, "provider", name_len) == 0)
		return text_puts(out, "the receiver");
	if (is_string && !len && strncmp(name, "code", name_len) == 0)
		return text_puts(out, "no code");
	if (is_string && len == 1 && *value == '*')
		return text_puts(out, "all products");
	return text_add(out, value, len);
}

static bool put_words(struct text *out, const char *says, const struct reason_part *reason)
{
	bool known = true;

	while (known && *says) {
		size_t plain = strcspn(says, "{"); /* the table's words need no escape */
		text_add(out, says, plain);
		says += plain;
		if (!*says)
			break;
		size_t len = strcspn(++says, "}");
		known = put_argument(out, reason, says, len);
		says += len + 1;
	}
	return known;
}

void reason_put(struct text *out, const struct reason_part *reason)
{
	size_t start = out->len, i = 0;

	while (i < REASON_COUNT && (strncmp(table[i].name, reason->code, reason->code_len) != 0 ||
				    table[i].name[reason->code_len]))
		i++;
	text_puts(out, &FIRST[1]);
	text_add(out, reason->code, reason->code_len);
	text_puts(out, ARGS);
	text_add(out, reason->args, reason->args_len);
	text_puts(out, ",\"says\":\"");
	if (i < REASON_COUNT && put_words(out, table[i].says, reason)) {
		text_puts(out, "\"}");
		return;
	}
	/* an argument that is none of the usual ones */
	char *code = xmemdup0(reason->code, reason->code_len);
	json_t *args = json_loadb(reason->args, reason->args_len, 0, NULL), *json = reason_json(code, args);
	char *words = json_dumps(json, JSON_COMPACT);
	out->len = start;
	text_puts(out, words);
	free(words);
	json_decref(json);
	json_decref(args);
	free(code);
}

json_t *reason_args(const struct reason *reason)
{
	return json_loads(reason->args, 0, NULL);
}

void reasons_put(struct text *out, const struct reasons *reasons)
{
	for (size_t i = 0; i < reasons->count; i++) {
		text_puts(out, i ? &NEXT[1] : FIRST);
		text_puts(out, table[reasons->list[i].code].name);
		text_puts(out, ARGS);
		text_puts(out, reasons->list[i].args);
		text_putc(out, '}');
	}
	text_puts(out, reasons->count ? "]" : "[]");
}

json_t *reasons_to_json(const struct reasons *reasons)
{
	json_t *json = json_array();

	for (size_t i = 0; i < reasons->count; i++)
		json_array_append_new(json, json_pack("{s:s,s:o}", "code", table[reasons->list[i].code].name,
						      "args", reason_args(&reasons->list[i])));
	return json;
}
