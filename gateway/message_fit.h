/* A message beside the configuration: whether it can be admitted under it, and which channels have a text for
 * it. Pure; shared by the turn, and by who asks what would happen. */
#ifndef HEED_MESSAGE_FIT_H
#define HEED_MESSAGE_FIT_H

#include "choose.h"
#include "config.h"
#include "message.h"

/* What can be said without the store. False: `why` names the key and what is wrong. */
bool message_fits(const struct message *message, const struct config *config, struct text *why);
/* The earlier of what the message says and what its product allows from when it may go; 0: never. */
int64_t message_expiry(const struct message *message, const struct product *product, int64_t now);

/* What choose() asks about the texts of a message. */
struct message_texts {
	const struct config *config;
	bool content;                    /* it brings its own */
	const struct template *template; /* else; NULL: it is gone */
	const struct template *digest;   /* NULL: the company has none */
};
/* `template` "": content. */
struct message_texts message_texts_of(const struct config *config, const char *template);
/* Stands while `texts` does. */
struct choose_channels message_channels(const struct message_texts *texts);

#endif
