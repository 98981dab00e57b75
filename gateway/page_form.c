#include "page_form.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_words.h"
#include "text.h"
#include "xalloc.h"
#include "banned.h"

#define BOUNDARY_MAX 70 /* RFC 2046 section 5.1.1 */

static bool add_field(json_t *form, const struct text *name, const char *value, size_t len)
{
	json_t *key = json_stringn(name->data, name->len), *text = json_stringn(value, len);
	bool ok = key && text && !memchr(value, '\0', len) && !memchr(name->data, '\0', name->len) &&
		  json_object_size(form) < FORM_FIELDS_MAX;

	if (ok && !json_object_get(form, name->data))
		json_object_set(form, name->data, text);
	json_decref(key);
	json_decref(text);
	return ok;
}

/* --- application/x-www-form-urlencoded --- */

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static bool decode(const char *s, size_t len, struct text *out)
{
	text_clear(out);
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '%') {
			if (i + 2 >= len || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0)
				return false;
			text_putc(out, (char)(hex(s[i + 1]) * 16 + hex(s[i + 2])));
			i += 2;
		} else {
			text_putc(out, s[i] == '+' ? ' ' : s[i]);
		}
	}
	return true;
}

static const char *find(const char *from, const char *end, char c)
{
	const char *at = memchr(from, c, (size_t)(end - from));

	return at ? at : end;
}

static bool read_urlencoded(const char *body, size_t len, json_t *form)
{
	struct text name, value;
	bool ok = true;

	while (len && (body[len - 1] == '\n' || body[len - 1] == '\r')) /* a line's end is no part of it */
		len--;
	const char *end = body + len;
	text_init(&name, FORM_BODY_MAX);
	text_init(&value, FORM_BODY_MAX);
	for (const char *at = body; ok && at < end;) {
		const char *stop = find(at, end, '&'), *equals = find(at, stop, '=');
		if (stop > at)
			ok = decode(at, (size_t)(equals - at), &name) &&
			     decode(equals + (equals < stop), (size_t)(stop - equals - (equals < stop)),
				    &value) &&
			     add_field(form, &name, value.data, value.len);
		at = stop + 1;
	}
	text_release(&name);
	text_release(&value);
	return ok;
}

/* --- multipart/form-data --- */

/* A parameter's value, quoted or not: `boundary` of the type, `name` of a disposition. False: it is not
 * there. */
static bool parameter(const char *s, const char *end, const char *name, struct text *out)
{
	size_t len = strlen(name);

	text_clear(out);
	for (const char *at = find(s, end, ';'); at < end; at = find(at, end, ';')) {
		at++;
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		if ((size_t)(end - at) <= len || strncasecmp(at, name, len) != 0 || at[len] != '=')
			continue;
		at += len + 1;
		if (at < end && *at == '"') {
			for (at++; at < end && *at != '"'; at++)
				if (*at != '\\' || at + 1 == end)
					text_putc(out, *at);
			return at < end;
		}
		while (at < end && *at != ';' && *at != ' ')
			text_putc(out, *at++);
		return true;
	}
	return false;
}

/* The name in the part's headers. False: it is no field of a form. */
static bool part_name(const char *head, const char *end, struct text *name)
{
	static const char disposition[] = "Content-Disposition:";

	while (head < end) {
		const char *line = find(head, end, '\n');
		if ((size_t)(line - head) > strlen(disposition) &&
		    strncasecmp(head, disposition, strlen(disposition)) == 0) {
			const char *stop = line;
			while (stop > head && stop[-1] == '\r')
				stop--;
			return parameter(head, stop, "name", name);
		}
		head = line < end ? line + 1 : end;
	}
	return false;
}

static bool read_multipart(const char *content_type, const char *body, size_t len, json_t *form)
{
	struct text boundary, name;
	bool ok = false, last = false;

	text_init(&boundary, BOUNDARY_MAX);
	text_init(&name, FORM_BODY_MAX);
	if (!parameter(content_type, content_type + strlen(content_type), "boundary", &boundary) ||
	    !boundary.len || boundary.full)
		goto out;
	char *mark = xasprintf("\r\n--%s", boundary.data);
	size_t mark_len = strlen(mark);
	const char *end = body + len;
	const char *at = len >= mark_len - 2 && memcmp(body, mark + 2, mark_len - 2) == 0
				 ? body + mark_len - 2
				 : memmem(body, len, mark, mark_len);
	if (at && at != body + mark_len - 2)
		at += mark_len;
	ok = at != NULL;
	while (ok && !last) {
		last = end - at >= 2 && at[0] == '-' && at[1] == '-';
		if (last)
			break;
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		const char *head = at + 2 <= end && at[0] == '\r' && at[1] == '\n' ? at + 2 : NULL;
		const char *blank = head ? memmem(at, (size_t)(end - at), "\r\n\r\n", 4) : NULL;
		const char *next =
			blank ? memmem(blank + 2, (size_t)(end - blank - 2), mark, mark_len) : NULL;
		ok = next != NULL && part_name(head, blank, &name) &&
		     add_field(form, &name, next < blank + 4 ? next : blank + 4,
			       next < blank + 4 ? 0 : (size_t)(next - blank - 4));
		at = next ? next + mark_len : end;
	}
	free(mark);
out:
	text_release(&boundary);
	text_release(&name);
	return ok;
}

json_t *form_read(const char *content_type, const char *body, size_t len)
{
	json_t *form = json_object();
	bool ok = len <= FORM_BODY_MAX;

	if (ok && (!*content_type || http_type_is(content_type, "application/x-www-form-urlencoded")))
		ok = read_urlencoded(body, len, form);
	else if (ok && http_type_is(content_type, "multipart/form-data"))
		ok = read_multipart(content_type, body, len, form);
	else
		ok = false;
	if (ok)
		return form;
	json_decref(form);
	return NULL;
}

const char *form_field(const json_t *form, const char *name)
{
	const char *value = json_string_value(json_object_get(form, name));

	return value ? value : "";
}
