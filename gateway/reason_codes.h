/* No include guard: a table, read several times with different REASON(). */
/* choosing */
REASON(chosen, "{channel} is the first channel in the choice for {product} that can be used",
       "The customer's list for this product (or part) was followed.")
REASON(chosen_parent,
       "the choice for {product} applies to this part; {channel} is its first channel that can be used",
       "A part follows the choice for its product.")
REASON(chosen_star, "the choice for all products applies; {channel} is its first channel that can be used",
       "The customer's choice for * applies where nothing was chosen for the product.")
REASON(chosen_default,
       "nothing was chosen for {product}; {channel} is the first channel of its default that can be used",
       "Nobody chose: the product's default applies.")
REASON(may_not_stop, "{product} cannot be stopped, so its default is used in place of the stop for {from}",
       "may_stop: false keeps the product's default where the choice above is an empty list.")
REASON(stopped, "the customer stopped {product}",
       "The list for the product, or for the one it is a part of, is empty.")
REASON(stopped_star, "the customer stopped all products, and {product} with them",
       "The list for * is empty and nothing was chosen for the product.")
REASON(stopped_default, "{product} goes only to those who choose it, and the customer did not",
       "The product's default is empty and nothing was chosen.")
REASON(no_opt_in, "advertising for {product} needs the customer's own choice, and there is none",
       "purpose: marketing needs a list of channels chosen for the product or the one it is a part of.")
REASON(not_offered, "{channel} is not offered for {product}",
       "A channel of the list is passed over because the product does not offer it.")
REASON(not_configured, "{channel} is not set up at this company",
       "A channel of the list is passed over because the configuration has no such channel.")
REASON(no_address, "there is no address on {channel}",
       "A channel is passed over because the customer has no address there.")
REASON(address_dead, "the address on {channel} does not exist any more",
       "A channel is passed over because its addresses are dead.")
REASON(address_stopped, "the owner of the address on {channel} said STOP",
       "A channel is passed over because its addresses were stopped by their owner. Where nothing else "
       "stands in the way, the message is suppressed.")
REASON(no_template, "template {template} has no text for {channel}",
       "A channel is passed over because the template has no file for it.")
REASON(channel_rejected, "{channel} failed for good for this message",
       "A channel is passed over because an attempt there was rejected.")
REASON(no_channel_left, "no channel is left of those chosen for {product}",
       "The end of the list was reached, and not only because of a STOP: the message has failed.")
REASON(none_offered, "the list that applies has no channel that {product} offers",
       "Nothing in the list may be used for this product: the message has failed.")
REASON(answer, "it answers what the customer wrote on {channel}",
       "What heed itself answers to a keyword goes back where that came from, and nowhere else.")
REASON(asked, "the customer asked for it on the page; it goes to {channel}",
       "A code or a link that the customer asked for on the page goes to the address it was asked for, and "
       "nowhere else.")
/* what came in */
REASON(reply, "the customer wrote it on {channel}", "What a customer wrote, passed on to heed:inbound.")
REASON(keyword, "the customer wrote {keyword} on {channel}: {did}", "A keyword that heed follows by itself.")
REASON(bounce, "{channel} gave it back ({code})", "A mail that came back.")
REASON(complaint, "the customer complained of it on {channel}",
       "A complaint that the mailbox's provider passed on.")
REASON(auto_reply, "a machine answered on {channel}; it changes nothing",
       "An automatic answer, such as a vacation note.")
REASON(unmatched_receipt, "{provider} reports on something that nothing is known of here",
       "A receipt whose reference no attempt has, after it was kept for a while.")
REASON(recorded, "{source} recorded it", "A contact that another system had.")
/* time */
REASON(send_at, "it is not to go before {until}", "send_at of the message.")
REASON(paused, "the customer paused {product} until {until}", "paused_until of the preference.")
REASON(digest, "the customer wants it with others, {digest}: at {until}",
       "The digest that the customer chose.")
REASON(outside_hours, "the customer wants to hear it at other times ({hours}); the next begins at {until}",
       "The hours that the customer chose.")
REASON(quiet_hours, "{product} has quiet hours ({hours}) until {until}",
       "quiet_hours of the product, where the customer chose no hours.")
REASON(marketing_hours,
       "advertising goes {hours} to whom nobody knows better; the next time begins at {until}",
       "Marketing where the customer has neither hours nor a time zone.")
REASON(channel_hours, "{channel} is wanted at other times ({hours}); the next begins at {until}",
       "The hours that the customer chose for the channel.")
REASON(never_opens, "the hours for {channel} and those for {product} have no time in common",
       "A channel is passed over because its hours never open together with the others.")
REASON(cap, "no more than {cap} of {product} for a customer; it goes on at {until}",
       "cap of the product: as many were sent in this day or week.")
REASON(marketing_cap, "no more advertising than {cap} for a customer; it goes on at {until}",
       "limits.marketing: as many were sent in this day or week.")
REASON(urgent, "{product} is urgent: hours, digest and pause do not hold it",
       "urgent of the product, where something would have held it.")
REASON(wait_over, "it waited for {channel} as long as the customer chose ({wait})",
       "A channel is passed over because its wait ran out.")
REASON(waits_receipt, "it was sent on {channel}; without a receipt the next channel is tried at {until}",
       "The provider gives receipts, and the wait that the customer chose is not over.")
REASON(expired, "its time was over at {at}", "expires_at of the message or expires_after of the product.")
REASON(in_digest, "it went together with others, {count} in one",
       "A digest is one contact for several messages.")
/* waiting */
REASON(waits_turn, "it waits for its turn on {channel}",
       "The channel is busy; nothing but its turn is missing.")
REASON(provider_at_fault, "{provider} does not work at the moment ({code}); the message waits for it",
       "The company's own trouble: no attempt is counted and no other channel is tried.")
REASON(retry, "attempt {attempt} on {channel} was put off by the other side ({code}); tried again later",
       "A temporary refusal.")
REASON(held, "{kind} {name} is held by {by}: {why}",
       "An operator holds the channel, provider, product, campaign or lane; the message waits for the "
       "release.")
REASON(doubt_resend, "it may have arrived already; it is sent again on {channel}, as the policy there says",
       "in_doubt: resend.")
REASON(called_back, "the choice changed before it had left, so it was taken back",
       "An attempt was taken back because the customer changed the choice.")
/* outcomes */
REASON(accepted, "{provider} took it ({code})", "The relay, provider or receiver accepted.")
REASON(rejected, "{provider} refused it for good ({code})", "A permanent refusal of this message.")
REASON(address_died, "{provider} says that the address does not exist ({code})",
       "A permanent refusal of this address: it is dead until written again.")
REASON(in_doubt, "the connection to {provider} broke when it may already have been taken ({code})",
       "Nobody can say whether it arrived.")
REASON(doubt_after_crash, "the gateway ended while it was being sent; it may have arrived",
       "Found as sending at a start.")
REASON(doubt_taken_over, "its gateway fell silent while it was being sent; it may have arrived",
       "Taken over from another gateway that did not report for longer than gateway.lease.")
REASON(late_report,
       "attempt {attempt} on {channel} was reported late, after it had been taken over: {outcome}",
       "A gateway that had fallen silent came back and said what became of its attempt.")
REASON(doubt_held, "it may have arrived already; it is not sent again on {channel}, as the policy there says",
       "in_doubt: hold.")
REASON(doubt_elsewhere,
       "it may have arrived on {channel}, which may no longer be used for it; it is not sent again",
       "The choice, the address or the template there is gone, and a message in doubt is never moved to "
       "another channel.")
REASON(gave_up, "it was tried for {after} without success, and given up", "retry.give_up_after is over.")
REASON(unsendable, "it could not be made ready for {channel}: {error}",
       "The rendered message is not valid for the channel.")
REASON(receipt_delivered, "{provider} says that it arrived", "A receipt of the provider.")
REASON(receipt_rejected, "{provider} says that it did not arrive ({code})",
       "A receipt of the provider: the address failed for good for this message.")
REASON(receipt_retry, "{provider} says that it did not arrive ({code}); tried again later",
       "A receipt or a bounce of the other side: a temporary failure.")
REASON(settled, "an operator settled it as {as}", "heed settle.")
REASON(cancelled, "it was taken back by {by}: {why}", "heed cancel, or the application that sent it.")
REASON(erased, "the customer was erased",
       "heed customer erase, or DELETE of the customer: what waited is cancelled.")
REASON(retried, "an operator had it tried again", "heed retry.")
