/* A message as an application enqueues it. What is taken is taken again from its own canonical body, and is
 * the same. */
#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "message.h"
#include "xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message message, again;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (message_parse((const char *)data, size, &message, &error)) {
		assert(error.len == 0);
		assert(message_parse(message.body, strlen(message.body), &again, &error));
		assert(strcmp(again.body, message.body) == 0);
		assert(memcmp(again.hash, message.hash, sizeof again.hash) == 0);
		message_release(&again);
	} else {
		assert(error.len > 0);
	}
	message_release(&message);
	text_release(&error);
	return 0;
}
