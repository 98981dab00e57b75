/* Memory: the one allocator. Running out ends the process at once; the store and the queue survive it.
 * Never returns NULL. Release with free(). Jansson is pointed at it by xalloc_init(), before any thread. */
#ifndef HEED_XALLOC_H
#define HEED_XALLOC_H

#include <stddef.h>

void xalloc_init(void);
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
/* Room for `count` elements of `size`; the multiplication is checked. */
void *xreallocarray(void *old, size_t count, size_t size);
char *xstrdup(const char *s);
/* Frees *text (NULL is fine) and puts a copy of `with`, which may be a part of it, in its place. */
void xreplace(char **text, const char *with);
char *xmemdup0(const void *data, size_t len); /* a copy with a NUL behind it */
__attribute__((format(printf, 1, 2))) char *xasprintf(const char *format, ...);

#endif
