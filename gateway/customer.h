/* Customers and where they are reached. */
#ifndef HEED_CUSTOMER_H
#define HEED_CUSTOMER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"
#include "words.h"

enum address_kind { ADDRESS_EMAIL, ADDRESS_PHONE, ADDRESS_URL, ADDRESS_TEXT };

/* How one country writes its own numbers. Nothing is guessed: who writes them otherwise writes + and the
 * country. */
struct number_plan {
	char country[4]; /* its code: "54"; "": only international numbers are taken */
	char trunk[4]; /* what is dialled in front inside the country, and must be there: "0"; "": nothing */
	int digits;    /* how many follow; 0: not said */
};

/* How a channel's addresses are written and compared. */
struct address_form {
	enum address_kind kind;
	struct number_plan numbers; /* of ADDRESS_PHONE */
};

struct address {
	int64_t n;     /* the row in the store; 0 until stored. The row belongs to all customers who have the
			  address */
	char *channel; /* a channel's name */
	char *value;   /* normalised; what it is found by and sent to */
	char *details; /* this customer's JSON object beside it ({"secret":[…]}), or "" */
	enum address_state state;
	int64_t seq; /* of the last change of its state in the log; 0: never changed */
};

#define CUSTOMER_ADDRESSES_MAX 64
#define CUSTOMER_NAME_MAX 256   /* bytes */
#define ADDRESS_SECRETS_MAX 8   /* for one address: the one in use and those it is changed from */
#define ADDRESS_SECRET_SIZE 256 /* bytes of one */
#define ADDRESS_SECRET_PREFIX "whsec_"
#define ADDRESS_SECRET_FORM "whsec_ and base64, like whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ADDRESS_VALUE_MAX 2048 /* bytes; the longest is a URL */

struct customer {
	int64_t n; /* the row; 0: not stored */
	char *id;
	char *name;                /* "" */
	char *locale;              /* "": the configuration's */
	char *timezone;            /* "": the configuration's */
	struct address *addresses; /* in the customer's order within a channel */
	size_t address_count;
	int64_t seq;       /* of the last change of these facts in the log */
	int64_t erased_at; /* 0; else the id is a one-way name (erase.h), and nothing is sent */
};

/* The key that a webhook is signed with: "whsec_" and base64 (Standard Webhooks). False: it is none. The
 * caller frees *key. */
bool address_secret_key(const char *secret, unsigned char **key, size_t *len);

/* The form of a channel's addresses. */
typedef struct address_form (*address_form_of)(const void *context, const char *channel, bool *known);

/* Reads a customer as `put` takes it; `preferences`, and what only an answer has (`states`, `version`,
 * `on_their_way`), are the caller's and skipped. With `merge` only the keys that are there change `out`,
 * which holds the stored customer ("", null or [] clears; addresses by channel), and an `id` must be the
 * same; a secret that is not named stays with its address, and with the one that comes in the place of a
 * channel's only one. Else it starts from nothing and `id` is required. Addresses that are read are
 * ADDRESS_OK and have no row yet. Unknown keys, channels and bad addresses are errors that name the field.
 * False: *out is as it was.
 */
bool customer_from_json(const json_t *json, bool merge, address_form_of form_of, const void *context,
			struct customer *out, struct text *error);
/* As `put` takes it, plus "states" (addresses that are not ok: [{"channel","address","state"}]). Without
 * secrets an address that has some shows how many ("secrets": 2) in their place: read back, that is an error,
 * so nobody loses a secret by it. A new reference. */
json_t *customer_to_json(const struct customer *customer, bool with_secrets);
/* The same with secrets, as JSON text: what the log of changes has. The caller frees. */
char *customer_to_text(const struct customer *customer);
/* The first usable (ok) address on the channel; NULL if none. *dead and *stopped count those passed over. */
const struct address *customer_address(const struct customer *customer, const char *channel, size_t *dead,
				       size_t *stopped);

/* Normal form: e-mail: the domain in lower case, no CR, LF, space or angle brackets, one @; phone: + and 7 to
 * 15 digits (spaces, dots, dashes and parentheses dropped, 00 for +, a national number as `numbers` says);
 * URL: http or https with a host; text: 1-512 bytes without controls. */
bool address_normalise(const struct address_form *form, const char *value, struct text *out,
		       struct text *error);
/* For logs: phone numbers to the first and last four characters, e-mail to first letter and domain, URLs to
 * their origin; anything else to its first and last two characters. The caller frees. */
char *address_mask(const char *value);

struct customer *customer_copy(const struct customer *customer);
void customer_release(struct customer *customer); /* its insides; safe on zeroes */
void customer_free(struct customer *customer);    /* NULL is fine */

#endif
