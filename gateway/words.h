/* The words of the contract that are closed lists: states, lanes, purposes. Names are those of the contract's
 * tables; the numbers are stored, so they are never changed or used again. */
#ifndef HEED_WORDS_H
#define HEED_WORDS_H

#include <stdbool.h>
#include <stdint.h>

enum lane { LANE_URGENT = 0, LANE_NORMAL = 1, LANE_BULK = 2, LANES = 3 };

/* From loose to strict: a message may only be stricter than its product. */
enum purpose { PURPOSE_CRITICAL = 0, PURPOSE_SERVICE = 1, PURPOSE_MARKETING = 2, PURPOSES = 3 };

enum state {
	STATE_QUEUED = 0,
	STATE_DEFERRED = 1,
	STATE_SENDING = 2,
	STATE_SENT = 3,
	STATE_DELIVERED = 4,
	STATE_IN_DOUBT = 5,
	STATE_SUPPRESSED = 6,
	STATE_HELD_OUT = 7,
	STATE_EXPIRED = 8,
	STATE_CANCELLED = 9,
	STATE_FAILED = 10,
	STATES = 11, /* of a message; what follows is of a contact only */
	STATE_RETRY = 11,
	STATE_REJECTED = 12,
	STATE_CALLED_BACK = 13,
	STATE_RECEIVED = 14, /* it came in */
	CONTACT_STATES = 15
};

enum address_state { ADDRESS_OK = 0, ADDRESS_DEAD = 1, ADDRESS_STOPPED = 2, ADDRESS_STATES = 3 };

enum direction { DIRECTION_OUT = 0, DIRECTION_IN = 1 };

/* Where an event goes out. */
enum event_stream { STREAM_EVENTS = 0, STREAM_INBOUND = 1, EVENT_STREAMS = 2 };

/* What a provider says, later, of what it took. */
enum receipt_says {
	RECEIPT_DELIVERED = 0,
	RECEIPT_REJECTED = 1, /* it failed for good for this message */
	RECEIPT_RETRY = 2     /* it did not arrive, and may be tried again */
};

const char *lane_name(enum lane lane);
const char *purpose_name(enum purpose purpose);
const char *state_name(enum state state); /* of messages and contacts */
const char *address_state_name(enum address_state state);
bool lane_parse(const char *name, enum lane *lane);
bool purpose_parse(const char *name, enum purpose *purpose);
bool state_parse(const char *name, enum state *state);
bool address_state_parse(const char *name, enum address_state *state);

/* 1-128 bytes of UTF-8 without control characters (contract: customer). */
bool customer_id_valid(const char *id);
/* 1-128 of A-Za-z0-9._:- (contract: a message's id). */
bool message_id_valid(const char *id);

#define ID_MAX 128

/* The shape of a BCP 47 language tag (RFC 5646): "es", "es-AR", "zh-Hant-TW". */
bool locale_valid(const char *locale);

#define LOCALE_MAX 35

/* A count from 1 to `max` in digits, stepped over: "20" of "20/day". */
bool count_take(const char **s, int64_t max, int64_t *count);

#endif
