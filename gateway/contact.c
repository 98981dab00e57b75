#include "contact.h"

#include <stdlib.h>

#include "banned.h"

void contact_release(struct contact *contact)
{
	free(contact->several);
	free(contact->product);
	free(contact->channel);
	free(contact->provider);
	free(contact->provider_ref);
	free(contact->template);
	free(contact->template_hash);
	free(contact->summary);
	free(contact->content);
	free(contact->reason);
	free(contact->reason_args);
	free(contact->code);
	free(contact->detail);
	free(contact->customer_id);
	free(contact->address_value);
	for (size_t i = 0; i < contact->message_count; i++)
		free(contact->message_ids[i]);
	free(contact->message_ids);
	free(contact->meta);
	*contact = (struct contact){0};
}
