/* Which attempts have begun, in a small file that outlives the process: written by every channel directly
 * before its first byte, read at the next start. What the file says has not begun is not in doubt after a
 * kill. It is a file of the page cache, not of the disk: it outlives the process, not the machine, so it
 * carries the boot's id and is worth nothing after another boot, or for another store; then everything that
 * was `sending` is in doubt, as it would be without it.
 *
 * A claim is its contact's seq and the moment of the claim: a store that was put back from a copy gives the
 * same seq again, but not at the same microsecond. The turn's thread, but for begun_mark. */
#ifndef HEED_BEGUN_H
#define HEED_BEGUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct begun;

#define BEGUN_SLOTS 8192 /* claims at once; what finds none is in doubt after a kill */

struct begun_slot {
	_Atomic int64_t contact; /* seq; 0: free */
	int64_t at;              /* the claim's moment */
	_Atomic int64_t begun;
	int64_t unused;
};

/* Makes the file where it is missing. What is in it stays to be asked for until begun_clear. NULL and
 * `error`: it is another's, or can't be written. */
struct begun *begun_open(const char *path, const char *store_id, struct text *error);
/* Leaves the file as it stands. */
void begun_close(struct begun *begun);
/* After everything was asked for. */
void begun_clear(struct begun *begun);

/* Before the claim's commit: from now on the file says that it has not begun. NULL: there is no room. */
struct begun_slot *begun_take(struct begun *begun, int64_t contact, int64_t at);
/* By the channel, before the first byte. NULL is fine. */
void begun_mark(struct begun_slot *slot);
/* After the outcome's commit, or where there was none of the claim. NULL is fine. */
void begun_release(struct begun *begun, struct begun_slot *slot);

/* Does the file of the run before say that this claim had not begun? */
bool begun_says_no(const struct begun *begun, int64_t contact, int64_t at);

#endif
