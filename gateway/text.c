#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

static char text_empty[1];

void text_init(struct text *t, size_t max)
{
	*t = (struct text){.data = text_empty, .max = max};
}

void text_release(struct text *t)
{
	if (t->capacity)
		free(t->data);
	text_init(t, t->max);
}

void text_clear(struct text *t)
{
	if (t->capacity)
		t->data[0] = '\0';
	t->len = 0;
	t->full = false;
}

/* Makes room for `len` more bytes and a NUL; false, and full, if the bound forbids it. */
static bool text_room(struct text *t, size_t len)
{
	if (t->full || len > t->max - t->len) {
		t->full = true;
		return false;
	}
	size_t need = t->len + len + 1;
	if (need > t->capacity) {
		size_t capacity = t->capacity ? t->capacity : 128;
		while (capacity < need)
			capacity *= 2;
		t->data = xrealloc(t->capacity ? t->data : NULL, capacity);
		t->capacity = capacity;
	}
	return true;
}

void text_expect(struct text *t, size_t len)
{
	size_t most = t->max - t->len;

	if (t->full || !text_room(t, len < most ? len : most))
		return;
	t->data[t->len] = '\0';
}

bool text_add(struct text *t, const void *data, size_t len)
{
	if (!len)
		return !t->full;
	if (!text_room(t, len))
		return false;
	memcpy(t->data + t->len, data, len);
	t->len += len;
	t->data[t->len] = '\0';
	return true;
}

bool text_puts(struct text *t, const char *s)
{
	return text_add(t, s, strlen(s));
}

bool text_putc(struct text *t, char c)
{
	if (!text_room(t, 1))
		return false;
	t->data[t->len++] = c;
	t->data[t->len] = '\0';
	return true;
}

bool text_vaddf(struct text *t, const char *format, va_list args)
{
	size_t left = t->capacity ? t->capacity - t->len : 0; /* the NUL's place among it */
	va_list again;

	if (t->full)
		return false;
	va_copy(again, args);
	int len = vsnprintf(left ? t->data + t->len : NULL, left, format, args);
	bool printed = len >= 0 && (size_t)len < left && (size_t)len <= t->max - t->len;
	if (left && !printed)
		t->data[t->len] = '\0';
	bool fits = printed || (len >= 0 && text_room(t, (size_t)len));
	if (fits && !printed) /* nothing, too, ends with a NUL */
		vsnprintf(t->data + t->len, (size_t)len + 1, format, again);
	if (fits)
		t->len += (size_t)len;
	va_end(again);
	return fits;
}

bool text_addf(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	bool fits = text_vaddf(t, format, args);
	va_end(args);
	return fits;
}

bool text_number(struct text *t, long long n)
{
	char digits[24], *at = digits + sizeof digits;
	unsigned long long left = n < 0 ? 0ULL - (unsigned long long)n : (unsigned long long)n;

	do
		*--at = (char)('0' + left % 10);
	while (left /= 10);
	if (n < 0)
		*--at = '-';
	return text_add(t, at, (size_t)(digits + sizeof digits - at));
}

bool text_json(struct text *t, const char *s)
{
	text_putc(t, '"');
	for (const char *plain = s;; s++) {
		unsigned char c = (unsigned char)*s;
		if (c >= ' ' && c != '"' && c != '\\' && c != 127)
			continue;
		text_add(t, plain, (size_t)(s - plain));
		plain = s + 1;
		if (!c)
			break;
		if (c == '"' || c == '\\')
			text_addf(t, "\\%c", c);
		else
			text_addf(t, "\\u%04x", c);
	}
	return text_putc(t, '"');
}

bool text_error(struct text *t, const char *format, ...)
{
	va_list args;
	char *whole = NULL;

	if (!t)
		return false;
	text_clear(t);
	va_start(args, format);
	int len = vasprintf(&whole, format, args);
	va_end(args);
	if (len < 0)
		return false;
	size_t cut = (size_t)len > t->max ? t->max : (size_t)len;
	while (cut < (size_t)len && cut > 0 && ((unsigned char)whole[cut] & 0xc0) == 0x80)
		cut--; /* not in the middle of a character */
	text_add(t, whole, cut);
	free(whole);
	return false;
}

char *text_detach(struct text *t)
{
	char *out = t->capacity ? t->data : xstrdup("");
	size_t max = t->max;
	text_init(t, max);
	return out;
}
