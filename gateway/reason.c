#include "reason.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "banned.h"

#define REASON_WORDS_MAX 2048

static const struct {
	const char *name, *says, *help;
} table[] = {
#define REASON(code, says, help) {#code, says, help},
#include "reason_codes.h"
#undef REASON
};

void reasons_add(struct reasons *reasons, enum reason_code code, const char *format, ...)
{
	va_list list;
	json_error_t error;

	va_start(list, format);
	json_t *args = json_vpack_ex(&error, 0, format, list);
	va_end(list);
	if (!args) /* an argument that is not UTF-8: the code alone still says most */
		args = json_object();
	if (reasons->count == REASONS_MAX) /* full: the last one, which settles it, must be there */
		json_decref(reasons->list[--reasons->count].args);
	reasons->list[reasons->count++] = (struct reason){.code = code, .args = args};
}

void reasons_release(struct reasons *reasons)
{
	for (size_t i = 0; i < reasons->count; i++)
		json_decref(reasons->list[i].args);
	*reasons = (struct reasons){0};
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

json_t *reasons_to_json(const struct reasons *reasons)
{
	json_t *json = json_array();

	for (size_t i = 0; i < reasons->count; i++)
		json_array_append_new(json, json_pack("{s:s,s:O}", "code", table[reasons->list[i].code].name,
						      "args", reasons->list[i].args));
	return json;
}
