/* What a relay may say: replies to RCPT and to the message, one behind the other, at every step of the
 * session. */
#include <assert.h>
#include <stdlib.h>

#include "fuzz.h"
#include "smtp_reply.h"
#include "xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *said = xmemdup0((const char *)data, size);
	struct text words[2];
	struct smtp_reply replies[2] = {0};

	text_init(&words[0], TEXT_ERROR_MAX);
	text_init(&words[1], TEXT_ERROR_MAX);
	int used = smtp_reply_read(said, &replies[0], &words[0]);
	if (used > 0) {
		assert((size_t)used <= size);
		smtp_reply_read(said + used, &replies[1], &words[1]);
	}
	for (int step = SMTP_CONNECT; step <= SMTP_ENVELOPE; step++) {
		for (int flags = 0; flags < 8; flags++) {
			struct smtp_dialogue dialogue = {.step = (enum smtp_step)step,
							 .mail = {.code = 250},
							 .rcpt = replies[0],
							 .message = replies[1],
							 .body_begun = flags & 1,
							 .complete = flags & 2,
							 .timed_out = flags & 4,
							 .said = said,
							 .trouble = ""};
			struct outcome outcome = smtp_judge(&dialogue);
			smtp_is_hopeless((enum smtp_step)step, &outcome);
		}
	}
	text_release(&words[0]);
	text_release(&words[1]);
	free(said);
	return 0;
}
