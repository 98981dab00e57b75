/* Mail that comes in: whatever the bytes are, it is read and judged, within the bounds, and what heed makes
 * of it is the same once it went through JSON to the gateway. */
#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "mail_in.h"
#include "mail_token.h"
#include "xalloc.h"

static void goes_through_json(const struct mail_verdict *verdict)
{
	struct mail_verdict again;
	struct text error;
	json_t *json = mail_verdict_to_json(verdict), *same;

	text_init(&error, TEXT_ERROR_MAX);
	assert(json); /* all of it is UTF-8 */
	assert(mail_verdict_from_json(json, &again, &error));
	same = mail_verdict_to_json(&again);
	assert(json_equal(json, same));
	json_decref(same);
	json_decref(json);
	mail_verdict_release(&again);
	text_release(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_parsed mail;
	struct mail_verdict verdict = {0};
	enum mail_token_kind kind;
	int64_t n;

	if (mail_parse((const char *)data, size, &mail)) {
		assert(mail.count <= MAIL_IN_PARTS && mail.headers.count <= MAIL_IN_HEADERS);
		for (size_t i = 0; i < mail.count; i++)
			assert(mail.parts[i].inside <= MAIL_IN_LEVELS);
		mail_judge(&mail, &verdict);
		mail_verdict_refer(&verdict, "bounces+aaaaaaaaaaaaaaaaaaaa@example.com");
		assert(verdict.kind < MAIL_KINDS && verdict.bounced_count <= MAIL_BOUNCED_MAX &&
		       verdict.reference_count <= MAIL_REFERENCES);
		assert(strlen(verdict.said) <= MAIL_WORDS_MAX && strlen(verdict.quoted) <= MAIL_WORDS_MAX);
		for (size_t i = 0; i < verdict.reference_count; i++)
			assert(!mail_token_find("0123456789abcdef0123456789abcdef", verdict.references[i],
						&kind, &n));
		goes_through_json(&verdict);
	}
	mail_verdict_release(&verdict);
	mail_parsed_release(&mail);
	return 0;
}
