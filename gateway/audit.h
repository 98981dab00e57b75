/* The audit: was each contact allowed by the preference, the products and the facts of the customer that were
 * in force when it was claimed? Recomputed from the numbered log of changes, by the rules of choose.h: what a
 * contact names must be what the log says was in force, and under that the rules must say that it may go.
 * Pure: it takes what was read, and gives findings.
 *
 * The order: what is for all (changes of addresses and holds, sets of products) before the contacts that were
 * claimed under it; each customer's changes, and that customer's contacts; the messages, the sum. */
#ifndef HEED_AUDIT_H
#define HEED_AUDIT_H

#include <jansson.h>

#include "store.h"

struct audit;

enum audit_code {
#define AUDIT(name, words, help) AUDIT_##name,
#include "audit_codes.h"
#undef AUDIT
	AUDIT_CODES
};
const char *audit_code_name(enum audit_code code);

/* What is not as it has to be. The texts are borrowed. */
struct audit_finding {
	enum audit_code code;
	int64_t contact;        /* seq; 0 */
	int64_t message;        /* n; 0 */
	int64_t customer;       /* n; 0 */
	const char *message_id; /* "" where it is not known */
	const char *says;       /* in plain words */
};
typedef void (*audit_found)(void *context, const struct audit_finding *finding);

struct audit *audit_new(audit_found found, void *context);
void audit_free(struct audit *audit);

/* In the order of seq. Kinds other than CHANGE_ADDRESS and CHANGE_HOLD are passed over. */
void audit_change(struct audit *audit, const struct change *change);
/* A set of products came in force; `kept` is what store_put_products was given. */
void audit_products(struct audit *audit, int64_t seq, const char *kept);
/* The changes of one customer, by seq; the contacts that follow are that customer's. */
void audit_customer(struct audit *audit, int64_t customer, const struct change changes[], size_t count);
/* False: it is of another customer than audit_customer was told. */
bool audit_contact(struct audit *audit, const struct audit_contact *contact);
void audit_message(struct audit *audit, const struct audit_message *message);
void audit_sum(struct audit *audit, const struct counters *rows, const struct counters *kept);

struct audit_counts {
	int64_t contacts, messages, findings;
	int64_t erased; /* contacts of customers whose facts are erased: the choice is proved, the address not
			 */
	int64_t older;  /* contacts of a heed that did not keep how far the log was */
};
struct audit_counts audit_counts(const struct audit *audit);

/* Up to where the log was read of what is for all: each kind, and all of them. For who reads. */
struct audit_reached {
	int64_t products, addresses, holds, log;
};
struct audit_reached *audit_reached(struct audit *audit);

/* The contacts of the customers from `from` on and below `to` (0: all), with the changes that they want, each
 * judged. Who has an audit and a reader of his own may read other customers beside. All of these: false: the
 * reader failed. */
bool audit_read_customers(struct audit *audit, struct store_reader *reader, int64_t from, int64_t to);
/* The first from there on who has a contact; 0: there is none. */
bool audit_next_customer(struct store_reader *reader, int64_t from, int64_t *customer);
/* Everybody's. */
bool audit_read_contacts(struct audit *audit, struct store_reader *reader);
/* All messages, and the sum. */
bool audit_read_messages(struct audit *audit, struct store_reader *reader);

/* What config_keep() keeps of a set: the products, and what else a claim depends on. The caller frees. */
char *audit_keep_products(const struct product_set *products, const char *timezone);

#endif
