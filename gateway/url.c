#include "url.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_utf8(const char *s, size_t len)
{
	json_t *string = json_stringn(s, len);
	json_decref(string);
	return string != NULL;
}

bool url_decode(const char *s, size_t len, struct text *out)
{
	size_t start = out->len;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (c == '%') {
			int high = i + 2 < len ? hex_value(s[i + 1]) : -1;
			int low = high >= 0 ? hex_value(s[i + 2]) : -1;
			if (low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0' || !text_putc(out, c))
			return false;
	}
	return is_utf8(out->data + start, out->len - start);
}

bool url_is_encoded(const char *s)
{
	struct text out;

	text_init(&out, strlen(s));
	bool ok = url_decode(s, strlen(s), &out);
	text_release(&out);
	return ok;
}

void url_encode(const char *s, struct text *out)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *s; s++) {
		if (strchr(unreserved, *s))
			text_putc(out, *s);
		else
			text_addf(out, "%%%02X", (unsigned char)*s);
	}
}

/* A decoded copy; NULL if it can't be. */
static char *decoded(const char *s, size_t len)
{
	struct text part;
	char *out = NULL;

	text_init(&part, URL_PART_MAX);
	if (url_decode(s, len, &part))
		out = text_detach(&part);
	text_release(&part);
	return out;
}

bool url_parts(const char *path, size_t max, char *parts[], size_t *count)
{
	*count = 0;
	while (*path == '/') {
		size_t len = strcspn(++path, "/");
		if (!len || *count == max)
			return false;
		char *part = decoded(path, len);
		if (!part)
			return false;
		parts[(*count)++] = part;
		path += len;
	}
	return !*path && *count > 0;
}

void url_parts_free(char *parts[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(parts[i]);
}

bool url_query_parse(const char *query, struct url_query *out, struct text *error)
{
	*out = (struct url_query){0};
	while (*query) {
		size_t len = strcspn(query, "&");
		size_t name_len = strcspn(query, "=&");
		if (len && out->count == URL_QUERY_MAX)
			return text_error(error, "query: more than %d parameters", URL_QUERY_MAX);
		if (len) {
			char *name = decoded(query, name_len);
			char *value = name_len < len ? decoded(query + name_len + 1, len - name_len - 1)
						     : xstrdup("");
			bool twice = name && url_query_get(out, name);
			if (!name || !value || twice) {
				text_error(error, "query: %s",
					   twice ? "a parameter is there twice"
						 : "not percent-encoded UTF-8, or too long");
				free(name);
				free(value);
				return false;
			}
			out->pairs[out->count].name = name;
			out->pairs[out->count++].value = value;
		}
		query += len;
		query += *query == '&';
	}
	return true;
}

void url_query_release(struct url_query *query)
{
	for (size_t i = 0; i < query->count; i++) {
		free(query->pairs[i].name);
		free(query->pairs[i].value);
	}
	*query = (struct url_query){0};
}

const char *url_query_get(const struct url_query *query, const char *name)
{
	for (size_t i = 0; i < query->count; i++)
		if (strcmp(query->pairs[i].name, name) == 0)
			return query->pairs[i].value;
	return NULL;
}
