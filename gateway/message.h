/* A message as an application enqueues it (contract: "A message"): read and checked, without the store. */
#ifndef HEED_MESSAGE_H
#define HEED_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "text.h"
#include "words.h"

#define MESSAGE_SIZE_MAX (256 * 1024)
#define MESSAGE_BODY_MAX (8 * MESSAGE_SIZE_MAX) /* as it is kept, where 0.1 takes 19 bytes */
#define MESSAGE_META_MAX 2048
#define MESSAGE_DEPTH_MAX 64
#define MESSAGE_HASH_SIZE 16

/* What heed itself says: an answer to something that came in, or what the customer asked for on the page (a
 * code, a link). It goes there, and nowhere else. */
struct answer_to {
	int64_t contact; /* seq of what came in; 0: nothing did */
	bool asked;      /* for on the page; with neither it is a message of an application */
	char *channel;   /* where that came from, and where the answer goes: "" */
	int64_t address;
	bool though_stopped; /* also to an address whose owner said STOP: the confirmation of that, or help */
	char *value;         /* asked: of an address that is not the customer's yet, to be confirmed; "" */
};

struct message {
	char *id; /* the application's, or "" */
	char *customer;
	char *product;
	char *template;  /* "" when there is content */
	json_t *content; /* {"subject","text","html"} or NULL */
	json_t *data;    /* an object; never NULL */
	json_t *meta;    /* an object of strings; never NULL */
	char *locale;    /* "": the customer's */
	bool has_purpose;
	enum purpose purpose;
	bool has_lane;
	enum lane lane;
	int64_t send_at;         /* not before; 0: at once */
	int64_t expires_at;      /* not after; 0: never */
	char *campaign;          /* "" */
	char *traceparent;       /* well-formed, or "" */
	bool trace_malformed;    /* message_trace() has one in its place */
	struct answer_to answer; /* message_answers() */
	char *body; /* the message without its id, canonical: what the store keeps; message_parse reads it */
	/* of the body without its traceparent: same id, same hash, same message */
	unsigned char hash[MESSAGE_HASH_SIZE];
};

/* Reads and checks all that needs no configuration. False: `error` names the key and what would be right.
 * Release *out in both cases. */
bool message_parse(const char *json, size_t len, struct message *out, struct text *error);
bool message_from_json(const json_t *json, struct message *out, struct text *error);
/* A body that heed keeps: it may be an answer, {"answer": {"contact" or "asked", "channel", "address",
 * "stopped", "value"}}, which nobody else may send. */
bool message_parse_stored(const char *json, size_t len, struct message *out, struct text *error);
/* In the place of a malformed traceparent, one of the message's own: the same whenever it is asked for. */
void message_trace(struct message *message, const char *id);
/* Is it heed's own? */
bool message_answers(const struct message *message);
void message_release(struct message *message);

#endif
