/* The counters of caps that a message counts in: a product's, and that of all marketing together, each for a
 * calendar day or week of the customer. Pure; who counts is the turn. */
#ifndef HEED_COUNTER_H
#define HEED_COUNTER_H

#include "choose.h"
#include "config.h"

#define COUNTER_NAME_MAX 256

struct counter {
	struct cap cap;
	bool marketing;
	int64_t ends;                /* of the period */
	char name[COUNTER_NAME_MAX]; /* what is counted and the period, as the store knows it */
};

/* Critical messages are outside caps. */
size_t counters_of(const struct config *config, const struct product *product, enum purpose purpose,
		   const struct zone *zone, int64_t now, struct counter out[CHOOSE_CAPS_MAX]);
/* The customer's zone, else the company's. */
const struct zone *customer_zone(const struct config *config, const struct customer *customer);

#endif
