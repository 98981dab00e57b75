#include "json_read.h"

#include "json_scan.h"
#include "banned.h"

static void say(const json_error_t *why, struct text *error)
{
	switch (json_error_code(why)) {
	case json_error_numeric_overflow:
		text_error(error,
			   "line %d, column %d: a number is too large; up to 1.7e308, or a string, would be "
			   "right",
			   why->line, why->column);
		break;
	case json_error_null_character:
	case json_error_null_byte_in_key:
		text_error(error,
			   "line %d, column %d: a text holds the character U+0000, which is not allowed",
			   why->line, why->column);
		break;
	case json_error_stack_overflow:
		text_error(error, "line %d, column %d: it is nested too deep", why->line, why->column);
		break;
	default:
		text_error(error, "is not JSON: line %d, column %d: %s", why->line, why->column, why->text);
	}
}

json_t *json_read(const char *json, size_t len, bool any, struct text *error)
{
	size_t flags = JSON_REJECT_DUPLICATES | (any ? JSON_DECODE_ANY : 0);
	json_error_t why;

	json_t *tree = json_surely_read(json, len);
	if (!tree)
		tree = json_loadb(json, len, flags, &why);
	if (!tree && json_error_code(&why) == json_error_numeric_overflow)
		tree = json_loadb(json, len, flags | JSON_DECODE_INT_AS_REAL, &why);
	if (!tree)
		say(&why, error);
	return tree;
}
