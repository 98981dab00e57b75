#include "json_scan.h"

#include <stdint.h>
#include <string.h>

#include "utf8.h"
#include "banned.h"

struct scan {
	const char *at, *end;
};

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->end &&
	       (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
		scan->at++;
}

/* The next byte, if it is `c`, is taken. */
static bool take(struct scan *scan, char c)
{
	bool is = scan->at < scan->end && *scan->at == c;

	scan->at += is;
	return is;
}

static bool scan_string(struct scan *scan)
{
	if (!take(scan, '"'))
		return false;
	while (scan->at < scan->end) {
		unsigned char c = (unsigned char)*scan->at;
		uint32_t point;
		size_t width = 1;
		if (c == '"') {
			scan->at++;
			return true;
		}
		if (c < ' ')
			return false;
		if (c == '\\') {
			width = 2; /* \u is left to who knows all of it */
			if (scan->end - scan->at < 2 || !scan->at[1] || !strchr("\"\\/bfnrt", scan->at[1]))
				return false;
		} else if (c >= 0x80) {
			width = utf8_take(scan->at, (size_t)(scan->end - scan->at), &point);
			if (width == 1)
				return false;
		}
		scan->at += width;
	}
	return false;
}

static size_t scan_digits(struct scan *scan)
{
	const char *from = scan->at;

	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	return (size_t)(scan->at - from);
}

/* Without an exponent, and not so long that it could be too large. */
static bool scan_number(struct scan *scan)
{
	take(scan, '-');
	bool zero = scan->at < scan->end && *scan->at == '0';
	size_t digits = scan_digits(scan);
	if (!digits || digits > JSON_SCAN_DIGITS || (zero && digits > 1))
		return false;
	if (take(scan, '.') && !scan_digits(scan))
		return false;
	return scan->at == scan->end || (*scan->at != 'e' && *scan->at != 'E');
}

static bool scan_word(struct scan *scan)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		size_t len = strlen(words[i]);
		if ((size_t)(scan->end - scan->at) >= len && memcmp(scan->at, words[i], len) == 0) {
			scan->at += len;
			return true;
		}
	}
	return false;
}

static bool scan_key(struct scan *scan)
{
	skip_space(scan);
	bool ok = scan_string(scan);
	skip_space(scan);
	return ok && take(scan, ':');
}

bool json_surely_valid(const char *json, size_t len)
{
	struct scan scan = {json, json + len};
	char open[JSON_SCAN_DEPTH];
	size_t depth = 0;

	for (;;) {
		skip_space(&scan);
		bool object = take(&scan, '{'), array = !object && take(&scan, '[');
		if (object || array) {
			char closes = object ? '}' : ']';
			skip_space(&scan);
			if (!take(&scan, closes)) {
				if (depth == JSON_SCAN_DEPTH || (object && !scan_key(&scan)))
					return false;
				open[depth++] = closes;
				continue;
			}
		} else if (scan.at == scan.end ||
			   !(*scan.at == '"'                                           ? scan_string(&scan)
			     : *scan.at == '-' || (*scan.at >= '0' && *scan.at <= '9') ? scan_number(&scan)
										       : scan_word(&scan))) {
			return false;
		}
		for (skip_space(&scan); depth && take(&scan, open[depth - 1]); skip_space(&scan))
			depth--;
		if (!depth)
			return scan.at == scan.end;
		if (!take(&scan, ',') || (open[depth - 1] == '}' && !scan_key(&scan)))
			return false;
	}
}

/* --- the tree --- */

static json_t *read_value(struct scan *scan, int depth);

/* A string without escapes: its bytes, in place. */
static bool read_plain(struct scan *scan, const char **s, size_t *len)
{
	*s = scan->at + 1;
	if (!scan_string(scan))
		return false;
	*len = (size_t)(scan->at - 1 - *s);
	return !memchr(*s, '\\', *len);
}

static json_t *read_string(struct scan *scan)
{
	const char *s;
	size_t len;

	return read_plain(scan, &s, &len) ? json_stringn_nocheck(s, len) : NULL;
}

static json_t *read_integer(struct scan *scan)
{
	bool negative = take(scan, '-');
	const char *digits = scan->at;
	size_t count = scan_digits(scan);
	json_int_t value = 0;

	if (!count || count > JSON_READ_DIGITS || (*digits == '0' && count > 1) ||
	    (scan->at < scan->end && strchr(".eE", *scan->at)))
		return NULL;
	for (size_t i = 0; i < count; i++)
		value = 10 * value + (digits[i] - '0');
	return json_integer(negative ? -value : value);
}

static json_t *read_word(struct scan *scan)
{
	char first = *scan->at;

	if (!scan_word(scan))
		return NULL;
	return first == 'n' ? json_null() : json_boolean(first == 't');
}

static bool read_member(struct scan *scan, json_t *object, int depth)
{
	const char *key;
	size_t len;

	skip_space(scan);
	if (!read_plain(scan, &key, &len))
		return false;
	skip_space(scan);
	if (!take(scan, ':'))
		return false;
	json_t *value = read_value(scan, depth);
	return value && json_object_setn_new_nocheck(object, key, len, value) == 0;
}

/* Behind the opening bracket. */
static json_t *read_inside(struct scan *scan, bool object, int depth)
{
	json_t *all = object ? json_object() : json_array();
	char closes = object ? '}' : ']';
	size_t count = 0;
	bool ok = true;

	skip_space(scan);
	for (bool more = !take(scan, closes); ok && more;) {
		json_t *value = object ? NULL : read_value(scan, depth);
		ok = object ? read_member(scan, all, depth) : value && json_array_append_new(all, value) == 0;
		count++;
		skip_space(scan);
		more = ok && take(scan, ',');
		ok = ok && (more || take(scan, closes));
	}
	if (ok && (!object || json_object_size(all) == count)) /* else a name came twice */
		return all;
	json_decref(all);
	return NULL;
}

static json_t *read_value(struct scan *scan, int depth)
{
	skip_space(scan);
	if (scan->at == scan->end)
		return NULL;
	switch (*scan->at) {
	case '{':
	case '[':
		return depth < JSON_SCAN_DEPTH ? read_inside(scan, *scan->at++ == '{', depth + 1) : NULL;
	case '"':
		return read_string(scan);
	case 't':
	case 'f':
	case 'n':
		return read_word(scan);
	default:
		return read_integer(scan);
	}
}

json_t *json_surely_read(const char *json, size_t len)
{
	struct scan scan = {json, json + len};

	skip_space(&scan);
	if (scan.at == scan.end || (*scan.at != '{' && *scan.at != '['))
		return NULL;
	json_t *tree = read_value(&scan, 0);
	skip_space(&scan);
	if (tree && scan.at == scan.end)
		return tree;
	json_decref(tree);
	return NULL;
}
