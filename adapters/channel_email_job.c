/* One mail: rendered, begun, reported. No library. */
#include "channel_email_private.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "descriptors.h"
#include "moment.h"
#include "outgoing.h"
#include "xalloc.h"
#include "banned.h"

#define BREAKS_IN_A_ROW 3 /* from this session on it is the relay and not the mail */

void job_free(struct mail_job *job)
{
	if (!job)
		return;
	text_release(&job->bytes);
	free(job->envelope);
	free(job->summary);
	free(job->content);
	free(job);
}

/* It could not connect for want of a descriptor: then it has not begun either, and the gate says whose fault
 * that is (channel_report). */
static bool is_ours(const struct outcome *outcome)
{
	return outcome->kind == OUTCOME_RETRY && strcmp(outcome->code, SMTP_CODE_CONNECT) == 0 &&
	       descriptors_short();
}

void job_finish(struct mail_job *job, struct outcome outcome)
{
	struct attempt *attempt = job->attempt;

	if (!job->begun && outcome.kind != OUTCOME_NOT_BEGUN && !is_ours(&outcome) && !attempt_begin(attempt))
		outcome = outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", TAKEN_BACK);
	outcome.summary = job->summary;
	outcome.content = job->content;
	job->summary = job->content = NULL;
	job->attempt = NULL;
	attempt->channel_private = NULL;
	channel_report(attempt, &outcome);
}

/* Fills `bytes`; false: the outcome says why the attempt can't be sent at all. */
static bool job_render(struct mail_job *job, const struct email *email, struct outcome *failure)
{
	const struct attempt *attempt = job->attempt;
	struct outgoing kept = {0};
	struct text error;
	bool ok = false;

	text_init(&error, TEXT_ERROR_MAX);
	enum mail_address_fault fault = mail_address_check(attempt->address);
	if (fault != MAIL_ADDRESS_OK) {
		*failure = smtp_address_refused(
			fault == MAIL_ADDRESS_NOT_ASCII,
			fault == MAIL_ADDRESS_NOT_ASCII
				? "the address is not ASCII, which plain SMTP can't carry"
				: "not an address that SMTP can carry");
		goto out;
	}
	ok = outgoing_mail(email->base.config, attempt, &email->settings.from, &job->bytes, &kept, &error) &&
	     (!email->settings.signer || mail_sign(email->settings.signer, &job->bytes, &error));
	if (!ok)
		*failure = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "%s", error.data);
	job->summary = kept.summary;
	job->content = kept.content;
out:
	text_release(&error);
	return ok;
}

/* envelope_from, for this attempt. */
static char *job_envelope(const char *pattern, const char *token)
{
	const char *mark = strstr(pattern, MAIL_TOKEN_MARK);

	if (!mark)
		return xstrdup(pattern);
	return xasprintf("%.*s%s%s", (int)(mark - pattern), pattern, token, mark + strlen(MAIL_TOKEN_MARK));
}

struct mail_job *job_prepare(struct worker *w, struct attempt *attempt)
{
	struct mail_job *job = attempt->channel_private;
	struct outcome failure;

	/* a look ahead that saves the work; attempt_begin decides */
	if (atomic_load(&attempt->phase) == ATTEMPT_CALLED_BACK || moment_mono() >= attempt->lease_until) {
		email_not_begun(attempt, TAKEN_BACK);
		return NULL;
	}
	if (job)
		return job;
	job = xcalloc(1, sizeof *job);
	job->attempt = attempt;
	text_init(&job->bytes, MAIL_SIZE_MAX);
	job->envelope = job_envelope(w->email->settings.envelope.address, attempt->mail_token);
	if (!job_render(job, w->email, &failure)) {
		job_finish(job, failure);
		job_free(job);
		job = NULL;
	}
	return job;
}

bool job_begin(struct worker *w, struct mail_job *job)
{
	job->begun = !email_is_closing(w->email) && attempt_begin(job->attempt);
	job->refused = !job->begun;
	return job->begun;
}

void job_move(struct worker *w, struct mail_job *job)
{
	job->moved = true;
	job->attempt->channel_private = job;
	email_put_back(w->email, job->attempt);
}

struct outcome email_judge(struct email *email, const struct smtp_dialogue *dialogue)
{
	struct outcome outcome = smtp_judge(dialogue);

	if (dialogue->step >= SMTP_ENVELOPE)
		atomic_store(&email->broken, 0);
	else if (smtp_broke_early(dialogue->step, &outcome) &&
		 atomic_fetch_add(&email->broken, 1) + 1 < BREAKS_IN_A_ROW)
		outcome.scope = SCOPE_MESSAGE;
	return outcome;
}

void email_fail_all(struct email *email, const struct outcome *failure)
{
	struct attempt *next, *attempt = email_take_all(email);
	bool ours = is_ours(failure);

	for (; attempt; attempt = next) {
		struct outcome outcome = *failure;
		next = attempt->next;
		if (!ours && !attempt_begin(attempt)) {
			email_not_begun(attempt, TAKEN_BACK);
			continue;
		}
		job_free(attempt->channel_private);
		attempt->channel_private = NULL;
		channel_report(attempt, &outcome);
	}
}
