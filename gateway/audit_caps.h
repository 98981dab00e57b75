/* Caps counted again: whether a product's cap was used up when a customer's message was claimed. From the
 * contacts of one customer, in the order of their claims, what was taken is counted, each message once and
 * where it was claimed last. That is never more than what the turn counted, so what is over was over. What
 * went in a digest is left out: whose place it took is not kept. Pure. */
#ifndef HEED_AUDIT_CAPS_H
#define HEED_AUDIT_CAPS_H

#include "product.h"
#include "store.h"

struct audit_caps;

struct audit_caps *audit_caps_new(void);
void audit_caps_free(struct audit_caps *caps);   /* NULL is fine */
void audit_caps_forget(struct audit_caps *caps); /* another customer's contacts follow */

/* False: the cap was used up. `product` is that of the set that the claim was made under, and outlives the
 * customer's contacts; `zone` is the customer's, else the company's. */
bool audit_caps_claim(struct audit_caps *caps, const struct audit_contact *contact,
		      const struct product *product, const struct zone *zone);

#endif
