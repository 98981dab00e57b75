#include "json_write.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define MEMBERS_USUAL 32
#define NUMBER_MAX 64

struct member {
	const char *key;
	const json_t *value;
};

static void write_string(struct text *out, const char *s, size_t len)
{
	static const char names[32] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	static const char digits[] = "0123456789ABCDEF";
	size_t from = 0;

	text_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c >= ' ' && c != '"' && c != '\\')
			continue;
		text_add(out, s + from, i - from);
		from = i + 1;
		if (c >= ' ' || names[c])
			text_add(out, (char[]){'\\', c < ' ' ? names[c] : (char)c}, 2);
		else
			text_add(out, (char[]){'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]}, 6);
	}
	text_add(out, s + from, len - from);
	text_putc(out, '"');
}

/* As Jansson writes it: how a double is written is its own affair. */
static void write_real(struct text *out, const json_t *value)
{
	char number[NUMBER_MAX];
	size_t len = json_dumpb(value, number, sizeof number, JSON_COMPACT | JSON_ENCODE_ANY);

	text_add(out, number, len < sizeof number ? len : 0);
}

static bool is_left_out(const char *key, const char *const without[])
{
	for (; without && *without; without++)
		if (strcmp(key, *without) == 0)
			return true;
	return false;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static void sort_members(struct member members[], size_t count)
{
	if (count > MEMBERS_USUAL) {
		qsort(members, count, sizeof *members, by_key);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		struct member one = members[i];
		size_t to = i;
		for (; to && by_key(&one, &members[to - 1]) < 0; to--)
			members[to] = members[to - 1];
		members[to] = one;
	}
}

void json_write_without(struct text *out, const json_t *object, const char *const without[])
{
	json_t *iterated = (json_t *)(uintptr_t)object; /* iterating does not change it */
	struct member usual[MEMBERS_USUAL], *members = usual;
	size_t size = json_object_size(object), count = 0;

	if (size > MEMBERS_USUAL)
		members = xreallocarray(NULL, size, sizeof *members);
	for (void *i = json_object_iter(iterated); i; i = json_object_iter_next(iterated, i)) {
		const char *key = json_object_iter_key(i);
		if (!is_left_out(key, without))
			members[count++] = (struct member){key, json_object_iter_value(i)};
	}
	sort_members(members, count);
	text_putc(out, '{');
	for (size_t i = 0; i < count; i++) {
		if (i)
			text_putc(out, ',');
		write_string(out, members[i].key, strlen(members[i].key));
		text_putc(out, ':');
		json_write(out, members[i].value);
	}
	text_putc(out, '}');
	if (members != usual)
		free(members);
}

static void write_array(struct text *out, const json_t *array)
{
	text_putc(out, '[');
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i)
			text_putc(out, ',');
		json_write(out, json_array_get(array, i));
	}
	text_putc(out, ']');
}

void json_write(struct text *out, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		json_write_without(out, value, NULL);
		break;
	case JSON_ARRAY:
		write_array(out, value);
		break;
	case JSON_STRING:
		write_string(out, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		text_number(out, json_integer_value(value));
		break;
	case JSON_REAL:
		write_real(out, value);
		break;
	case JSON_TRUE:
		text_puts(out, "true");
		break;
	case JSON_FALSE:
		text_puts(out, "false");
		break;
	case JSON_NULL:
		text_puts(out, "null");
		break;
	}
}
