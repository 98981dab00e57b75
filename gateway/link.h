/* What a link to the customers' page proves, and what a form on it does. A token is 36 characters of
 * base64url:
 *
 *     kind 1 · customer 5 · product 4 · address 2 · expiry 3 · MAC 12 bytes
 *
 * The MAC is HMAC-SHA256, cut, over what stands before it and the customer's id: it says that we made this
 * link for this customer, this far and this long. The first secret signs, all of them verify, so a secret can
 * be changed while links are out. Pure but for random bytes; any thread. */
#ifndef HEED_LINK_H
#define HEED_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moment.h"
#include "text.h"

/* The numbers stand in tokens: never changed or used again. */
enum link_kind {
	LINK_CHOOSE = 1, /* choose and pause; from a message */
	LINK_FULL = 2,   /* everything: addresses, history, export, erase */
	LINK_STOP = 3    /* one-click unsubscribe (RFC 8058) of its product; does not expire */
};

#define LINK_TOKEN_LEN 36
#define LINK_TOKEN_SIZE (LINK_TOKEN_LEN + 1)
#define LINK_URL_MAX 2048
#define LINK_SECRETS_MAX 16
#define LINK_CUSTOMER_MAX ((INT64_C(1) << 40) - 1) /* rows that a token can name */
#define LINK_CHOOSE_KEEP (90 * MOMENT_DAY)
#define LINK_FULL_KEEP (1 * MOMENT_HOUR)
#define LINK_FORM_KEEP (24 * MOMENT_HOUR) /* how long a form may stand open before it is sent */
#define LINK_CODE_KEEP (15 * MOMENT_MINUTE)
#define LINK_CODE_DIGITS 6

struct link {
	enum link_kind kind;
	int64_t customer;   /* customer.n */
	uint32_t product;   /* link_product(); 0: none */
	uint16_t address;   /* link_address() that it went to; 0: none */
	int64_t expires_at; /* a whole minute; 0: never */
};

/* The short names that tokens have for products and addresses: never 0 but for "". */
uint32_t link_product(const char *product);
uint16_t link_address(const char *channel, const char *value);

/* The secrets and where customers reach us; counted, so that what is under way outlives a reload. */
struct link_keys;
/* `public_url` without a slash at its end. At most LINK_SECRETS_MAX are used. */
struct link_keys *link_keys_new(const char *public_url, const char *const secrets[], size_t count);
struct link_keys *link_keys_hold(struct link_keys *keys); /* NULL of NULL */
void link_keys_drop(struct link_keys *keys);              /* NULL is fine */
const char *link_public_url(const struct link_keys *keys);

/* expires_at is rounded up to a minute. */
void link_write(const struct link_keys *keys, const struct link *link, const char *customer_id,
		char out[LINK_TOKEN_SIZE]);
/* Its parts, of which nothing is proven yet. False: it has not the form of a token. */
bool link_read(const char *token, struct link *out);
/* Did we make it for this customer? Takes the same time whatever differs. */
bool link_opens(const struct link_keys *keys, const char *token, const char *customer_id);
bool link_expired(const struct link *link, int64_t now);
/* Appends the whole URL: PUBLIC/p/TOKEN, PUBLIC/u/TOKEN. */
void link_url(const struct link_keys *keys, const struct link *link, const char *customer_id,
	      struct text *out);

/* A form's own token, against posts from elsewhere: good for this link and this form, for LINK_FORM_KEEP. */
#define LINK_FORM_SIZE 32
void link_form_write(const struct link_keys *keys, const char *token, const char *form, int64_t now,
		     char out[LINK_FORM_SIZE]);
bool link_form_opens(const struct link_keys *keys, const char *token, const char *form, int64_t now,
		     const char *given);

/* A code that is sent to an address, and its ticket, which stands in the form where the code is typed: it
 * says for which link, purpose and address, and until when. Who counts the tries does it under the ticket. */
#define LINK_TICKET_SIZE 48
void link_ticket_write(const struct link_keys *keys, const char *token, const char *what, int64_t now,
		       char out[LINK_TICKET_SIZE], char code[LINK_CODE_DIGITS + 1]);
/* True: we made the ticket for this link and purpose. *expires_at is when it ends, *right whether the code is
 * its own (blanks and dashes in it do not count); an expired one has no right code. */
bool link_ticket_read(const struct link_keys *keys, const char *token, const char *what, int64_t now,
		      const char *ticket, const char *code, int64_t *expires_at, bool *right);

#endif
