/* Until adapters/registry.c and adapters/sign.c are there. */
#include <string.h>
#include <sys/random.h>

#include "digest.h"
#include "registry.h"
#include "store_private.h"

extern const struct store_ops store_sqlite_ops, store_memory_ops;
__attribute__((weak)) const struct store_ops *registry_store(const char *scheme)
{
	return strcmp(scheme, "sqlite") == 0   ? &store_sqlite_ops
	       : strcmp(scheme, "memory") == 0 ? &store_memory_ops
					       : NULL;
}
__attribute__((weak)) void digest_random(void *out, size_t len)
{
	(void)!getrandom(out, len, 0);
}
