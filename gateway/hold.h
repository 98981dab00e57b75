/* What an operator stopped: all that goes through a channel or a provider, is about a product, or belongs to
 * a campaign or a lane, waits until it is released; what belongs to a cancelled campaign ends. Pure words;
 * who acts on them is turn_holds.c. */
#ifndef HEED_HOLD_H
#define HEED_HOLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stored, so never changed. */
enum hold_kind {
	HOLD_CHANNEL = 0,
	HOLD_PROVIDER = 1,
	HOLD_PRODUCT = 2, /* with its parts */
	HOLD_CAMPAIGN = 3,
	HOLD_LANE = 4,
	HOLD_CANCEL = 5, /* a campaign that was taken back: what comes of it still ends as cancelled */
	HOLD_KINDS = 6
};

#define HOLDS_MAX 1000        /* that stand at a time */
#define HOLD_NAME_MAX 256     /* bytes */
#define HOLD_WHY_MAX 500      /* bytes */
#define HOLD_KEY_MARK "hold:" /* what waits_for begins with for what is held: no channel's name does */

struct hold {
	enum hold_kind kind;
	char *name;
	char *why;
	char *by;    /* cli, api:NAME */
	char *actor; /* "" */
	int64_t at;
	int64_t seq; /* of the change in the log */
};
void hold_release(struct hold *hold);
void hold_copy(const struct hold *hold, struct hold *out);
void holds_free(struct hold *holds, size_t count); /* each and the array */

/* "channel", …; "cancel" for a cancelled campaign. */
const char *hold_kind_name(enum hold_kind kind);
bool hold_kind_parse(const char *name, enum hold_kind *kind);
/* What waits_for says of a message that it holds: "hold:campaign:spring". The caller frees. */
char *hold_key(enum hold_kind kind, const char *name);
bool hold_is_key(const char *waits_for);
/* {"kind","name","why","by","actor","at"}. A new reference. */
json_t *hold_to_json(const struct hold *hold);
/* Which hold stops a message, by its campaign ("": none), its product or what that is a part of, and its lane
 * (NULL: not known); asks `find` for each, which may say NULL. */
typedef const struct hold *(*hold_finder)(const void *context, enum hold_kind kind, const char *name);
const struct hold *hold_of_message(hold_finder find, const void *context, const char *campaign,
				   const char *product, const char *lane);
/* The arguments of the reason "held". A new reference. */
json_t *hold_reason_args(const struct hold *hold, const char *channel);
/* Who, for a person to read. */
const char *hold_who(const struct hold *hold);

#endif
