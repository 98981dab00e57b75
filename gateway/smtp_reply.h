/* What an SMTP dialogue says about one mail (contract: "What becomes of an attempt"; RFC 5321, RFC 3463).
 * Pure; any thread. The doubt begins with the body: before it nothing can have been taken, after it only a
 * whole final reply says what became of the mail. */
#ifndef HEED_SMTP_REPLY_H
#define HEED_SMTP_REPLY_H

#include <stdbool.h>

#include "channel.h"

struct smtp_reply {
	int code;        /* 0: none was read */
	int enhanced[3]; /* RFC 3463; zeroes: none known, it may still be in the text */
	const char *
		text; /* all lines without code and enhanced code; NULL: the reply was cut off or malformed */
};

/* The first reply in `said`: its words go to `words`, which is cleared before and has to live as long as
 * `out`. How many bytes it takes; 0: it has no end yet; -1: it makes no sense. */
int smtp_reply_read(const char *said, struct smtp_reply *out, struct text *words);

/* How far the session came. From SMTP_ENVELOPE on it is the mails' turn, and each has replies of its own. */
enum smtp_step { SMTP_CONNECT, SMTP_TLS, SMTP_GREETING, SMTP_HELLO, SMTP_AUTH, SMTP_ENVELOPE };

struct smtp_dialogue {
	enum smtp_step step;
	struct smtp_reply mail, rcpt;
	struct smtp_reply message; /* to DATA; once the body has begun, the last one there was since DATA */
	bool body_begun;           /* a byte of it may have left */
	bool complete;             /* message is the final reply, and the recipient is covered by it */
	bool timed_out;
	const char *said;    /* all that the relay wrote since heed last spoke; "" where that isn't known */
	const char *trouble; /* what the system said of a connection, or of TLS, that failed; "" */
};

/* Did it break, without a refusal, when there was a connection and no mail's turn had come? */
bool smtp_broke_early(enum smtp_step step, const struct outcome *outcome);

#define SMTP_CODE_CONNECT "connect" /* code of an outcome: there was no connection */

struct outcome smtp_judge(const struct smtp_dialogue *dialogue);
/* Would the mails that wait find the same, and only later, or hurt (a password that is tried again and
 * again)? */
bool smtp_is_hopeless(enum smtp_step step, const struct outcome *outcome);

/* Where no relay has to be asked: an address that plain SMTP can't carry. */
struct outcome smtp_address_refused(bool not_ascii, const char *why);

#endif
