/* A mail that came in, judged: whose it is, by the tokens in it and by nothing else, and what it does. */
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "inbound.h"
#include "mail_token.h"
#include "xalloc.h"
#include "banned.h"

/* Of several recipients of one mail the one that fared best: a list that has one dead member is not dead. */
static const struct mail_bounced *best_of(const struct mail_verdict *verdict)
{
	const struct mail_bounced *best = NULL;

	for (size_t i = 0; i < verdict->bounced_count; i++)
		if (!best || verdict->bounced[i].fate > best->fate)
			best = &verdict->bounced[i];
	return best;
}

/* Does whoever complains want no more? Not who takes it back, nor a machine that tells of signatures. */
static bool wants_no_more(const char *feedback)
{
	static const char *const kinds[] = {"abuse", "fraud", "complaint", "opt-out", "opt-out-list"};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(feedback, kinds[i]) == 0)
			return true;
	return false;
}

static enum inbound_effect effect_of(const struct mail_verdict *verdict, const struct mail_bounced *bounced)
{
	static const enum inbound_effect effects[FATES] = {[FATE_DEAD] = INBOUND_ADDRESS_DEAD,
							   [FATE_REJECTED] = INBOUND_REJECTED,
							   [FATE_RETRY] = INBOUND_RETRY};

	if (verdict->kind == MAIL_BOUNCE && bounced)
		return effects[bounced->fate];
	if (verdict->kind == MAIL_COMPLAINT && wants_no_more(verdict->feedback))
		return INBOUND_STOPS_PRODUCT;
	return INBOUND_CHANGES_NOTHING;
}

/* The attempt is named in the envelope, the message in the Message-ID: the first is worth more. False:
 * nothing of ours is named. */
static bool find_token(const struct turn *turn, const struct mail_verdict *verdict, struct inbound *in)
{
	enum mail_token_kind kind;
	int64_t n;

	for (size_t i = 0; i < verdict->reference_count && !in->answers; i++)
		if (mail_token_find(turn_mail_key(turn), verdict->references[i], &kind, &n))
			*(kind == MAIL_TOKEN_ATTEMPT ? &in->answers : &in->answers_message) = n;
	return in->answers || in->answers_message;
}

static const char *effect_name(enum inbound_effect effect)
{
	static const char *const names[] = {[INBOUND_CHANGES_NOTHING] = "nothing",
					    [INBOUND_ADDRESS_DEAD] = "dead",
					    [INBOUND_REJECTED] = "rejected",
					    [INBOUND_RETRY] = "retry",
					    [INBOUND_STOPS_PRODUCT] = "stops"};
	return names[effect];
}

int request_mail(const struct turn_door *door, const struct config *config, const char *channel,
		 const struct mail_verdict *verdict, json_t **answer, struct text *problem)
{
	static const enum inbound_kind kinds[MAIL_KINDS] = {[MAIL_BOUNCE] = INBOUND_BOUNCE,
							    [MAIL_COMPLAINT] = INBOUND_COMPLAINT,
							    [MAIL_AUTO] = INBOUND_AUTO_REPLY,
							    [MAIL_REPLY] = INBOUND_REPLY};
	const struct channel_config *by = config_channel(config, channel);
	const struct mail_bounced *bounced = best_of(verdict);
	struct text from;

	*answer = NULL;
	if (!by || by->ops->text != CHANNEL_TEXT_MAIL) {
		text_error(problem, "channel: %s is none that sends mail", channel);
		return 404;
	}
	text_init(&from, ADDRESS_VALUE_MAX);
	struct inbound in = {.kind = kinds[verdict->kind],
			     .channel = channel,
			     .provider = "mail",
			     .provider_ref = verdict->key,
			     .from = "",
			     .customer = "",
			     .answers_ref = "",
			     .product = "",
			     .direction = DIRECTION_IN,
			     .subject = verdict->subject,
			     .text = verdict->kind == MAIL_BOUNCE && bounced ? bounced->detail
									     : verdict->said,
			     .quoted = verdict->quoted,
			     .code = bounced ? bounced->status : "",
			     .detail = bounced ? bounced->detail : verdict->feedback};
	if (bounced && !*bounced->status)
		in.code = bounced->code;
	bool ours = find_token(door->turn, verdict, &in);
	/* nothing is guessed: without a token of ours it is recorded, and that is all */
	if (ours)
		in.effect = effect_of(verdict, bounced);
	const struct address_form form = channel_addresses(by);
	if (verdict->kind == MAIL_REPLY && address_normalise(&form, verdict->from, &from, NULL))
		in.from = from.data;
	int status = request_inbound(door, &in, answer, problem);
	if (*answer) {
		json_object_set_new(*answer, "matched", json_boolean(ours));
		json_object_set_new(*answer, "effect", json_string(effect_name(in.effect)));
	}
	text_release(&from);
	return status;
}
