#include "xalloc.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "banned.h"

/* Read by jemalloc, where it is linked: pages that are free go back soon, and a thread keeps little. */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:4,dirty_decay_ms:1000,muzzy_decay_ms:0,lg_tcache_max:13";

static _Noreturn void out_of_memory(void)
{
	static const char words[] = "heed: out of memory: ending; the store and the queue keep everything\n";
	ssize_t ignored = write(STDERR_FILENO, words, sizeof words - 1);
	(void)ignored;
	_exit(70);
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xreallocarray(void *old, size_t count, size_t size)
{
	size_t total;
	if (__builtin_mul_overflow(count, size, &total))
		out_of_memory();
	return xrealloc(old, total);
}

char *xmemdup0(const void *data, size_t len)
{
	char *copy = xmalloc(len + 1);
	if (len)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

char *xstrdup(const char *s)
{
	return xmemdup0(s, strlen(s));
}

void xreplace(char **text, const char *with)
{
	char *copy = xstrdup(with);

	free(*text);
	*text = copy;
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *out = NULL;

	va_start(args, format);
	int len = vasprintf(&out, format, args);
	va_end(args);
	if (len < 0)
		out_of_memory();
	return out;
}

void xalloc_init(void)
{
	json_set_alloc_funcs(xmalloc, free);
	json_object_seed(0);
}
