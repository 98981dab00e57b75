/* A verdict as JSON: what `heed inbound email` prints, and how it reaches the gateway. */
#include <stdlib.h>
#include <string.h>

#include "mail_in.h"
#include "xalloc.h"
#include "banned.h"

static const char *const kinds[] = {"bounce", "complaint", "auto-reply", "reply"};
static const char *const fates[] = {"dead", "rejected", "retry", "delayed", "delivered"};
static const char *const causes[] = {"",     "no-user", "no-domain", "moved",   "full", "suspended",
				     "spam", "blocked", "policy",    "content", "size", "sender",
				     "rate", "system",  "network",   "expired"};
_Static_assert(sizeof kinds / sizeof kinds[0] == MAIL_KINDS, "a name for each");
_Static_assert(sizeof fates / sizeof fates[0] == FATES, "a name for each");
_Static_assert(sizeof causes / sizeof causes[0] == CAUSES, "a name for each");

const char *mail_kind_name(enum mail_kind kind)
{
	return kinds[kind];
}

const char *mail_fate_name(enum mail_fate fate)
{
	return fates[fate];
}

const char *mail_cause_name(enum mail_cause cause)
{
	return causes[cause];
}

json_t *mail_verdict_to_json(const struct mail_verdict *verdict)
{
	json_t *bounced = json_array(), *references = json_array();

	for (size_t i = 0; i < verdict->bounced_count; i++) {
		const struct mail_bounced *b = &verdict->bounced[i];
		json_array_append_new(bounced, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "recipient",
							 b->recipient, "original", b->original, "fate",
							 fates[b->fate], "cause", causes[b->cause], "status",
							 b->status, "code", b->code, "detail", b->detail));
	}
	for (size_t i = 0; i < verdict->reference_count; i++)
		json_array_append_new(references, json_string(verdict->references[i]));
	return json_pack("{s:s, s:b, s:s, s:s, s:s, s:o, s:s, s:o, s:s, s:s}", "kind", kinds[verdict->kind],
			 "report", verdict->report, "key", verdict->key, "from", verdict->from, "subject",
			 verdict->subject, "bounced", bounced, "feedback", verdict->feedback, "references",
			 references, "said", verdict->said, "quoted", verdict->quoted);
}
