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
