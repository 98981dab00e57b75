/* No include guard: a table, read several times with different AUDIT(). */
AUDIT(unknown_products, "names a set of products that is not in the log before it",
      "products_seq of a contact")
AUDIT(unknown_product, "is about a product that was not in force", "the set of products has no such product")
AUDIT(customer_facts, "was claimed under facts of the customer that were not in force",
      "customer_seq of a contact")
AUDIT(address_unknown, "went to an address that the customer did not have then",
      "the facts of the customer at that time")
AUDIT(address_state, "was claimed under a state of the address that was not in force, or not ok",
      "address_seq of a contact")
AUDIT(preference, "was claimed under a choice that was not in force", "preference_seq of a contact")
AUDIT(not_allowed, "was not allowed by the choice, the products and the facts in force",
      "the rules of choosing, run again")
AUDIT(cap, "was claimed when its product's cap was used up", "what was taken, counted again")
AUDIT(held, "left although it was held or cancelled", "holds in force")
AUDIT(no_message, "belongs to a message that is not there", "the messages of a contact")
AUDIT(not_its_message, "belongs to a message of another customer or product", "the messages of a contact")
AUDIT(no_contact, "has ended, or is sending, without a contact or a closing line", "the contact of a message")
AUDIT(not_its_contact, "names a contact that belongs to another message", "the contact of a message")
AUDIT(contact_state, "does not agree with the state of its contact",
      "a settled message whose contact is still sending, or the other way round")
AUDIT(sum, "the counters are not the sum of the messages", "the sum")
