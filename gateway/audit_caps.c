#include "audit_caps.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "zone.h"
#include "banned.h"

struct period {
	const char *product;
	enum cap_per per;
	int64_t day; /* with which it begins, as the customer's calendar calls it */
	int used;
};

struct claimed {
	int64_t message;
	size_t period;
	bool counted;
	bool shared; /* it was in a digest */
};

struct audit_caps {
	struct period *periods;
	size_t period_count, period_capacity;
	struct claimed *messages;
	size_t message_count, message_capacity;
};

struct audit_caps *audit_caps_new(void)
{
	return xcalloc(1, sizeof(struct audit_caps));
}

void audit_caps_free(struct audit_caps *caps)
{
	if (!caps)
		return;
	free(caps->periods);
	free(caps->messages);
	free(caps);
}

void audit_caps_forget(struct audit_caps *caps)
{
	caps->period_count = caps->message_count = 0;
}

/* What it looks for is near the end of both lists. */
static size_t period_of(struct audit_caps *caps, const struct product *product, const struct zone *zone,
			int64_t at)
{
	struct civil day;

	zone_civil(zone, cap_period_begins(&product->cap, zone, at), &day);
	const struct period wanted = {.product = product->name,
				      .per = product->cap.per,
				      .day = day.year * 10000 + day.month * 100 + day.day};
	for (size_t i = caps->period_count; i > 0; i--) {
		const struct period *one = &caps->periods[i - 1];
		if (one->day == wanted.day && one->per == wanted.per &&
		    strcmp(one->product, wanted.product) == 0)
			return i - 1;
	}
	if (caps->period_count == caps->period_capacity) {
		caps->period_capacity = caps->period_capacity ? 2 * caps->period_capacity : 16;
		caps->periods = xreallocarray(caps->periods, caps->period_capacity, sizeof *caps->periods);
	}
	caps->periods[caps->period_count] = wanted;
	return caps->period_count++;
}

static struct claimed *claimed_of(struct audit_caps *caps, int64_t message, bool *known)
{
	*known = true;
	for (size_t i = caps->message_count; i > 0; i--)
		if (caps->messages[i - 1].message == message)
			return &caps->messages[i - 1];
	*known = false;
	if (caps->message_count == caps->message_capacity) {
		caps->message_capacity = caps->message_capacity ? 2 * caps->message_capacity : 16;
		caps->messages =
			xreallocarray(caps->messages, caps->message_capacity, sizeof *caps->messages);
	}
	struct claimed *claimed = &caps->messages[caps->message_count++];
	*claimed = (struct claimed){.message = message};
	return claimed;
}

bool audit_caps_claim(struct audit_caps *caps, const struct audit_contact *contact,
		      const struct product *product, const struct zone *zone)
{
	bool known, taken = contact->state == STATE_SENT || contact->state == STATE_DELIVERED;

	if (product->cap.per == CAP_NONE || product_purpose(product, contact->purpose) == PURPOSE_CRITICAL)
		return true;
	size_t period = period_of(caps, product, zone, contact->at);
	struct claimed *claimed = claimed_of(caps, contact->message_n, &known);
	if (claimed->counted)
		caps->periods[claimed->period].used--;
	claimed->counted = false;
	claimed->shared |= contact->several;
	if (claimed->shared)
		return true;
	/* what counts in the period already has its place there, whatever the cap is now; so has a doubt */
	bool has_place = (known && claimed->period == period) || strcmp(contact->reason, "doubt_resend") == 0;
	bool fits = has_place || caps->periods[period].used < product->cap.count;
	claimed->period = period;
	claimed->counted = taken;
	caps->periods[period].used += taken;
	return fits;
}
