/* A growing buffer of bytes with an upper bound. Past the bound nothing more is added and `full` is set, so a
 * chain of adds is checked once at its end. `data` is always NUL-terminated, "" when empty (never NULL).
 * One thread at a time. */
#ifndef HEED_TEXT_H
#define HEED_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
	char *data;
	size_t len;
	size_t capacity; /* 0: `data` is the shared empty string */
	size_t max;      /* bytes that may be held, without the NUL */
	bool full;       /* something did not fit */
};

#define TEXT_ERROR_MAX 4096 /* for error messages */

void text_init(struct text *t, size_t max);
void text_release(struct text *t); /* may be used again after text_init */
void text_clear(struct text *t);   /* keeps the memory */
/* So many bytes will be added: memory for them is had at once. It is no promise: more fit up to `max`. */
void text_expect(struct text *t, size_t len);
bool text_add(struct text *t, const void *data, size_t len);
bool text_puts(struct text *t, const char *s);
bool text_putc(struct text *t, char c);
__attribute__((format(printf, 2, 3))) bool text_addf(struct text *t, const char *format, ...);
__attribute__((format(printf, 2, 0))) bool text_vaddf(struct text *t, const char *format, va_list args);
bool text_number(struct text *t, long long n); /* in decimal */
/* As a JSON string, quotes included (RFC 8259). `s` is UTF-8. */
bool text_json(struct text *t, const char *s);
/* Replaces what was there, cut where it would be too long: for errors. Always false, so that `return
 * text_error(e, "…")` reads well. `t` may be NULL. */
__attribute__((format(printf, 2, 3))) bool text_error(struct text *t, const char *format, ...);
/* The caller owns the result (free); `t` is empty again. */
char *text_detach(struct text *t);

#endif
