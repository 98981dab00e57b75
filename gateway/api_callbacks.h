/* How many callbacks of providers came, since the start. Any thread. */
#ifndef HEED_API_CALLBACKS_H
#define HEED_API_CALLBACKS_H

#include <stdint.h>

enum callback_count {
	CALLBACKS_RECEIPTS,
	CALLBACKS_REPLIES,
	CALLBACKS_UNSIGNED, /* refused with 403 */
	CALLBACKS_MALFORMED,
	CALLBACK_COUNTS
};
uint64_t callback_count(enum callback_count which);

#endif
