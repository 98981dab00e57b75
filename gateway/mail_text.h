/* The bytes of a mail (RFC 5322, 2045-2047): from texts that others wrote to ASCII with CRLF at the end of
 * every line, at most 78 bytes wide (but for the URL of List-Unsubscribe), whatever they wrote: no header,
 * address or part can be slipped in. Pure; any thread. */
#ifndef HEED_MAIL_TEXT_H
#define HEED_MAIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define MAIL_SIZE_MAX (4 * 1024 * 1024) /* a mail as it is sent */
#define MAIL_SUBJECT_MAX 4096           /* bytes of a subject or a name, before it is encoded */
#define MAIL_ADDRESS_MAX 254            /* RFC 5321 section 4.5.3.1.3, without the angle brackets */

/* "Example Bank <messages@example.com>", with the name quoted or not, or the bare address. */
struct mailbox {
	char *name; /* "" */
	char *address;
};

struct mail {
	const struct mailbox *from;
	const char *to_name; /* "" */
	const char *to_address;
	const char *subject;
	const char *text;       /* "": no plain part */
	const char *html;       /* "": no HTML part */
	const char *message_id; /* heed's; the Message-ID is made of it, so it is the same on every attempt */
	int64_t at;             /* Date */
	/* Where it may be stopped (RFC 8058): the one URI of List-Unsubscribe, and the label of its List-Id
	 * before the sender's domain; "" or NULL: it is no list's. */
	const char *unsubscribe_url, *list;
};

/* Why an address can't be written to over plain SMTP. */
enum mail_address_fault {
	MAIL_ADDRESS_OK,
	MAIL_ADDRESS_MALFORMED,
	MAIL_ADDRESS_NOT_ASCII,
	MAIL_ADDRESS_LONG
};
enum mail_address_fault mail_address_check(const char *address);

/* False: `error` says what is wrong and what would be right. Release in both cases. */
bool mailbox_parse(const char *value, struct mailbox *out, struct text *error);
void mailbox_release(struct mailbox *mailbox);

/* Appends the whole mail to `out`, which is bounded by its own maximum or by MAIL_SIZE_MAX. False: `error`
 * says what can't be made: an address that may not be written, nothing to say, too long. */
bool mail_text_build(const struct mail *mail, struct text *out, struct text *error);

/* As it goes over the wire (RFC 5321 section 4.5.2): a dot before each line's leading dot, and the end.
 * `mail` is whole lines with CRLF. */
void mail_text_wire(const struct text *mail, struct text *out);

#endif
