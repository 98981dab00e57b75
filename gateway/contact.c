#include "contact.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"

#include "banned.h"

struct contact_words {
	size_t holders;
	char text[];
};

#define CONTACT_WORDS 10 /* what no outcome changes */

static void contact_words_of(struct contact *contact, char **out[CONTACT_WORDS])
{
	char **const words[CONTACT_WORDS] = {
		&contact->product,       &contact->channel, &contact->provider,    &contact->template,
		&contact->template_hash, &contact->reason,  &contact->reason_args, &contact->customer_id,
		&contact->address_value, &contact->meta};

	memcpy(out, words, sizeof words);
}

static void outcome_is_empty(struct contact *contact)
{
	char **const texts[] = {&contact->provider_ref, &contact->summary, &contact->content, &contact->code,
				&contact->detail};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = xstrdup("");
}

void contact_gather(struct contact *contact)
{
	char **words[CONTACT_WORDS];
	size_t sizes[CONTACT_WORDS], size = 0;

	contact_words_of(contact, words);
	for (size_t i = 0; i < CONTACT_WORDS; i++)
		size += sizes[i] = (*words[i] ? strlen(*words[i]) : 0) + 1;
	contact->words = xmalloc(sizeof *contact->words + size);
	contact->words->holders = 1;
	char *at = contact->words->text;
	for (size_t i = 0; i < CONTACT_WORDS; at += sizes[i++])
		*words[i] = memcpy(at, *words[i] ? *words[i] : "", sizes[i]);
	outcome_is_empty(contact);
}

void contact_share(const struct contact *contact, struct contact *out)
{
	*out = *contact;
	out->words->holders++;
	out->several = contact->several_count
			       ? xreallocarray(NULL, contact->several_count, sizeof *out->several)
			       : NULL;
	for (size_t i = 0; i < contact->several_count; i++)
		out->several[i] = contact->several[i];
	outcome_is_empty(out);
	out->message_ids = NULL;
	out->message_count = 0;
}

void contact_release(struct contact *contact)
{
	char **words[CONTACT_WORDS];

	contact_words_of(contact, words);
	for (size_t i = 0; i < CONTACT_WORDS && !contact->words; i++)
		free(*words[i]);
	if (contact->words && --contact->words->holders == 0)
		free(contact->words);
	free(contact->several);
	free(contact->provider_ref);
	free(contact->summary);
	free(contact->content);
	free(contact->code);
	free(contact->detail);
	for (size_t i = 0; i < contact->message_count; i++)
		free(contact->message_ids[i]);
	free(contact->message_ids);
	*contact = (struct contact){0};
}
