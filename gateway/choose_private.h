/* Between choose.c (which channel) and choose_when.c (at what time). Pure. */
#ifndef HEED_CHOOSE_PRIVATE_H
#define HEED_CHOOSE_PRIVATE_H

#include "cadence.h"
#include "choose.h"
#include "hours.h"

/* What holds a message whatever the channel, read once for a decision. Release with when_release. */
struct when {
	const struct preference *time; /* whose hours, digest and pause apply; NULL: nobody's */
	struct hours *own;             /* the customer's; NULL: none */
	const struct hours *quiet;     /* the product's, where the customer has none; NULL */
	struct hours *marketing;       /* where nobody knows better; NULL */
	struct cadence digest;
	int64_t paused_until; /* 0 */
	bool urgent;          /* nothing of this holds it */
};
void when_init(const struct choose_input *in, struct when *out);
void when_release(struct when *when);
/* The first instant at or after now that all of this allows, with a reason for each rule that spoke;
 * MOMENT_NEVER: the hours never open. */
int64_t when_allowed(const struct choose_input *in, const struct when *when, struct reasons *reasons);
/* The first instant at or after now that the hours and those of the channel leave open; MOMENT_NEVER. */
int64_t when_channel_opens(const struct choose_input *in, const struct when *when,
			   const struct hours *channel);
/* When what is open now closes. */
int64_t when_closes(const struct choose_input *in, const struct when *when, const struct hours *channel);

#endif
