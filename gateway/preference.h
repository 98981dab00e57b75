/* A preference: what a customer chose for a product, as a transaction keeps it. */
#ifndef HEED_PREFERENCE_H
#define HEED_PREFERENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moment.h"
#include "product.h"
#include "text.h"

struct preference_entry {
	char *channel;
	char *hours;  /* of the channel itself (hours.h); "" for none */
	int64_t wait; /* microseconds that a message may wait for it before the next one is tried; 0: no end
		       */
};

#define PREFERENCE_CHANNELS_MAX 16
#define PREFERENCE_WAIT_MAX (90 * MOMENT_DAY)

struct preference {
	char *product;     /* a product, a part, or "*" */
	bool has_channels; /* false: channels were not chosen here; what applies above goes on applying */
	struct preference_entry *channels; /* none, with has_channels: stopped */
	size_t channel_count;
	char *hours;          /* when they want to hear it (hours.h); "": always */
	char *digest;         /* how often (cadence.h); "immediate" */
	int64_t paused_until; /* 0: not paused */
	int64_t version;      /* 1 at the first write; 0: never written */
	int64_t changed_at;
	char *changed_by;
	int64_t seq; /* of the change in the log */
};

/* What applies to a product for a customer: the chain of preferences that speak, nearest first. */
enum choice_source { CHOICE_OWN, CHOICE_PARENT, CHOICE_STAR, CHOICE_DEFAULT };
struct choices {
	const struct preference *own;    /* made for the product (or part) itself; NULL: none */
	const struct preference *parent; /* for the product that it is a part of; NULL */
	const struct preference *star;   /* for "*"; NULL */
};

/* The list that applies: of the nearest preference that speaks about channels, else the product's default.
 * Where that list is empty and the product may not be stopped, the default stands in (`refused` is the one
 * that would have stopped it), but not for marketing, which nobody has to get. */
struct applied {
	enum choice_source source;
	const struct preference *preference; /* NULL: the product's default */
	const struct preference *refused;    /* NULL, or the empty one that may not stop the product */
	size_t count;
};
void choices_apply(const struct product *product, enum purpose purpose, const struct choices *choices,
		   struct applied *out);
/* The i-th channel of the list; owned by the preference or the product. */
const char *applied_channel(const struct product *product, const struct applied *applied, size_t i);

/* The i-th entry as the customer wrote it; NULL where the product's default applies. */
const struct preference_entry *applied_entry(const struct applied *applied, size_t i);
/* Whose hours, digest and pause apply: the nearest preference that says anything at all. NULL: none does. */
const struct preference *choices_time(const struct choices *choices);

/* When advertising goes to a customer of whom neither hours nor zone is known, in the company's zone. */
#define MARKETING_HOURS "09:00-20:00"

/* The first entry of the list that applies whose hours have no time of the week in common with those that
 * hold the whole message, which are added to `with`; NULL: each has. `product` NULL: choices->own is for "*".
 */
const struct preference_entry *choices_never_open(const struct product *product, bool zone_known,
						  const struct choices *choices, struct text *with);
/* Says so of an entry of the preference. False. */
bool preference_never_opens(const struct preference *preference, const struct preference_entry *entry,
			    const char *with, struct text *error);
/* Does a pause hold a message of this purpose about it? What may not be stopped may not be paused. */
bool choice_may_pause(const struct product *product, enum purpose purpose);

/* Reads {"channels":…, …} as PUT takes it: keys left out take their default; product, version, changed_*,
 * source, given_at, evidence and on_their_way are the caller's affair and skipped. `product` NULL: "*".
 * Checks names against the product and against `known` (the configured channels), and that its hours and
 * those of its channels open at some time. False: `error` says which field and what would be right. Release
 * *out in both cases. */
bool preference_from_json(const json_t *json, const struct product *product, const char *const *known,
			  size_t known_count, struct preference *out, struct text *error);
/* Likewise, of an object that changes only the keys that it has; `stored` NULL: nothing was. What it leaves
 * as it was is not judged again: the company may offer other channels since, and that is no reason to refuse
 * a pause. */
bool preference_patched(const struct preference *stored, const json_t *patch, const struct product *product,
			const char *const *known, size_t known_count, struct preference *out,
			struct text *error);
/* A channel's name, or {"channel", "hours", "wait"} where it has any. A new reference. */
json_t *preference_entry_json(const struct preference_entry *entry);
/* As the contract shows it; "channels" is null where the preference does not speak about them. A new
 * reference. */
json_t *preference_to_json(const struct preference *preference);
/* What a GET answers: the preference that was made for the product itself, else version 0. Where it does not
 * speak about channels, those that apply, with their `source` (parent, *, default); for marketing [] where
 * neither product nor parent was chosen. `product` NULL: for "*", where no channels apply (null). A new
 * reference. */
json_t *preference_applied_json(const struct product *product, const struct choices *choices);
/* --channels 'sms{hours=mon-fri 09:00-18:00,wait=2h},email' into the JSON array that preference_from_json
 * reads. NULL and `error` if it can't be. */
json_t *preference_channels_from_words(const char *words, struct text *error);

/* What a change of a customer's choices or facts touches: messages about these products. */
struct touched {
	const char *product;         /* a product with its parts; "*": all that follow it; NULL: everything */
	const char *const *products; /* or several such, in the place of the one */
	size_t product_count;
	const struct preference *preferences; /* the customer's, after the change: who follows "*" */
	size_t count;
};
bool touched_has(const struct touched *touched, const char *product);

struct preference *preference_copy(const struct preference *preference); /* NULL of NULL */
void preference_release(struct preference *preference);                  /* its insides; safe on zeroes */
void preference_free(struct preference *preference);                     /* NULL is fine */

#endif
