/* A store that fails when it is told to, in front of a real one: the calls of the writer are counted. */
#ifndef HEED_STORE_FLAKY_H
#define HEED_STORE_FLAKY_H

#include "store.h"

struct flaky {
	_Atomic long calls;          /* since flaky_attach or flaky_fail */
	_Atomic long fail_at;        /* this one fails, once; 0: none */
	_Atomic bool fails;          /* all of them */
	void (*before_commit)(void); /* NULL */
};
extern struct flaky flaky;

/* From now on the store's calls go through `flaky`. One store at a time. */
void flaky_attach(struct store *store);
/* The k-th call from now on fails. */
void flaky_fail(long k);

#endif
