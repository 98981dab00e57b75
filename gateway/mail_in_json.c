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

/* --- read --- */

static bool take_text(const json_t *json, const char *key, size_t max, char **out, struct text *error)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_string(value) || json_string_length(value) > max)
		return text_error(error, "%s: must be a text of at most %zu bytes", key, max);
	*out = xstrdup(json_string_value(value));
	return true;
}

static bool take_word(const json_t *json, const char *key, const char *const words[], int count, int *out,
		      struct text *error)
{
	const char *word = json_string_value(json_object_get(json, key));

	for (*out = 0; word && *out < count; ++*out)
		if (strcmp(words[*out], word) == 0)
			return true;
	return text_error(error, "%s: is none of the words that may stand there", key);
}

static bool take_short(const json_t *json, const char *key, char *out, size_t size, struct text *error)
{
	const char *value = json_string_value(json_object_get(json, key));

	if (!value || strlen(value) >= size)
		return text_error(error, "%s: must be a text of at most %zu bytes", key, size - 1);
	memcpy(out, value, strlen(value) + 1);
	return true;
}

static bool take_bounced(const json_t *json, struct mail_bounced *out, struct text *error)
{
	int fate = 0, cause = 0;
	bool ok = take_text(json, "recipient", MAIL_IN_VALUE, &out->recipient, error) &&
		  take_text(json, "original", MAIL_IN_VALUE, &out->original, error) &&
		  take_text(json, "detail", MAIL_IN_VALUE, &out->detail, error) &&
		  take_word(json, "fate", fates, FATES, &fate, error) &&
		  take_word(json, "cause", causes, CAUSES, &cause, error) &&
		  take_short(json, "status", out->status, sizeof out->status, error) &&
		  take_short(json, "code", out->code, sizeof out->code, error);

	out->fate = (enum mail_fate)fate;
	out->cause = (enum mail_cause)cause;
	return ok;
}

static bool take_lists(const json_t *json, struct mail_verdict *out, struct text *error)
{
	const json_t *bounced = json_object_get(json, "bounced"),
		     *references = json_object_get(json, "references");

	if (!json_is_array(bounced) || json_array_size(bounced) > MAIL_BOUNCED_MAX)
		return text_error(error, "bounced: must be a list of at most %d", MAIL_BOUNCED_MAX);
	if (!json_is_array(references) || json_array_size(references) > MAIL_REFERENCES)
		return text_error(error, "references: must be a list of at most %d", MAIL_REFERENCES);
	for (size_t i = 0; i < json_array_size(bounced); i++)
		if (!take_bounced(json_array_get(bounced, i), &out->bounced[out->bounced_count++], error))
			return false;
	for (size_t i = 0; i < json_array_size(references); i++) {
		const char *reference = json_string_value(json_array_get(references, i));
		if (!reference || strlen(reference) > MAIL_IN_VALUE)
			return text_error(error, "references: must be texts of at most %d bytes",
					  MAIL_IN_VALUE);
		out->references[out->reference_count++] = xstrdup(reference);
	}
	return true;
}

bool mail_verdict_from_json(const json_t *json, struct mail_verdict *out, struct text *error)
{
	int kind = 0;

	*out = (struct mail_verdict){.report = json_is_true(json_object_get(json, "report"))};
	if (!json_is_boolean(json_object_get(json, "report")))
		return text_error(error, "report: must be true or false");
	bool ok = take_word(json, "kind", kinds, MAIL_KINDS, &kind, error) &&
		  take_short(json, "key", out->key, sizeof out->key, error) &&
		  take_text(json, "from", MAIL_IN_VALUE, &out->from, error) &&
		  take_text(json, "subject", MAIL_IN_VALUE, &out->subject, error) &&
		  take_text(json, "feedback", MAIL_IN_VALUE, &out->feedback, error) &&
		  take_text(json, "said", MAIL_WORDS_MAX, &out->said, error) &&
		  take_text(json, "quoted", MAIL_WORDS_MAX, &out->quoted, error) &&
		  take_lists(json, out, error);
	out->kind = (enum mail_kind)kind;
	return ok;
}
