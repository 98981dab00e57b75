/* Mail that comes in (RFC 5322): bounces (RFC 3464 and the older forms), complaints (RFC 5965), auto-replies
 * (RFC 3834), and what people write. Two steps: mail_parse makes headers and parts of bytes; mail_judge says
 * what the mail is. Judging is pure; both: any thread. A mail that was read is never written out again.
 *
 * Nothing here believes what a mail says: whose mail it is about is for the turn to find out, by the tokens
 * that heed signed (mail_token.h). Everything has a bound; what is beyond it is not there. */
#ifndef HEED_MAIL_IN_H
#define HEED_MAIL_IN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* Law 5: what is read of one mail. */
#define MAIL_IN_MAX (2 * 1024 * 1024)   /* bytes; the rest of a longer one is let go */
#define MAIL_IN_LEVELS 24               /* of parts in parts, and of mails in mails */
#define MAIL_IN_PARTS 64                /* that are looked at */
#define MAIL_IN_HEADERS 200             /* of one mail */
#define MAIL_IN_VALUE 8192              /* bytes of one of them */
#define MAIL_IN_FIELD (32 * 1024)       /* bytes of one as it is written */
#define MAIL_IN_TEXT_MAX (256 * 1024)   /* of one part */
#define MAIL_IN_TEXTS_MAX (1024 * 1024) /* of all of them */
#define MAIL_IN_FIELDS 20000            /* lines that look like headers */
#define MAIL_IN_BOUNDARIES 2000         /* lines that look like boundaries */

/* --- as it was parsed --- */

struct mail_header {
	char *name;  /* lower case */
	char *value; /* one line of UTF-8, encoded words decoded */
};

struct mail_headers {
	struct mail_header *list;
	size_t count;
};

struct mail_part {
	char *type; /* "text/plain", lower case */
	int inside; /* in so many mails that were sent along; 0: of this mail itself */
	bool attached;
	char *text; /* UTF-8, lines end in \n; "" for what is none and for a mail sent along */
	struct mail_headers headers; /* of the mail sent along (message/rfc822, text/rfc822-headers) */
};

struct mail_parsed {
	struct mail_headers headers;
	struct mail_part *parts; /* depth first */
	size_t count;
	bool cut; /* there was more than is read */
};

/* A port filled at link time by adapters/mail_parse.c (GMime). False: these bytes are no mail at all. Release
 * in both cases. */
bool mail_parse(const char *bytes, size_t len, struct mail_parsed *out);
void mail_parsed_release(struct mail_parsed *mail);
/* The first header of that (lower case) name; "" where there is none. */
const char *mail_header(const struct mail_headers *headers, const char *name);

/* --- what it is --- */

enum mail_kind {
	MAIL_BOUNCE,    /* about a mail that could not be delivered, or not yet, or that was */
	MAIL_COMPLAINT, /* a feedback report */
	MAIL_AUTO,      /* an auto-reply, a vacation note, a receipt for reading, a list's mail */
	MAIL_REPLY,     /* somebody wrote it */
	MAIL_KINDS
};

/* What became of the mail, for one recipient. */
enum mail_fate {
	FATE_DEAD,      /* the address does not exist */
	FATE_REJECTED,  /* refused for good */
	FATE_RETRY,     /* given up, for a cause that passes */
	FATE_DELAYED,   /* still tried */
	FATE_DELIVERED, /* or handed on to where no more is said */
	FATES
};

/* Why. */
enum mail_cause {
	CAUSE_UNSAID,
	CAUSE_NO_USER,
	CAUSE_NO_DOMAIN,
	CAUSE_MOVED,
	CAUSE_FULL,      /* the mailbox */
	CAUSE_SUSPENDED, /* the mailbox: disabled, inactive */
	CAUSE_SPAM,
	CAUSE_BLOCKED, /* the sender's host, its reputation, its DNS */
	CAUSE_POLICY,  /* authentication, relaying, rules of the receiver */
	CAUSE_CONTENT, /* virus, form */
	CAUSE_SIZE,
	CAUSE_SENDER, /* the sender's address */
	CAUSE_RATE,   /* too many, too fast */
	CAUSE_SYSTEM, /* of the receiver: disk, program, loop */
	CAUSE_NETWORK,
	CAUSE_EXPIRED,
	CAUSES
};

#define MAIL_BOUNCED_MAX 10 /* recipients in one report */
#define MAIL_REFERENCES 32  /* Message-IDs and addresses that a token may be in */
#define MAIL_DETAIL_MAX 300
#define MAIL_WORDS_MAX (64 * 1024) /* of what somebody wrote */

struct mail_bounced {
	char *recipient; /* as the bounce names it; "" */
	char *original;  /* before it was forwarded; "" */
	enum mail_fate fate;
	enum mail_cause cause;
	char status[12]; /* "5.1.1"; "": none was said */
	char code[4];    /* of the SMTP reply: "550"; "" */
	char *detail;    /* one line of the other side's words; "" */
};

struct mail_verdict {
	enum mail_kind kind;
	bool report;   /* in the form of RFC 3464 or RFC 5965 */
	char key[65];  /* the same for a mail that comes twice, by whichever way: hex */
	char *from;    /* the address it says it is from; "" */
	char *subject; /* "" */
	struct mail_bounced bounced[MAIL_BOUNCED_MAX];
	size_t bounced_count;
	char *feedback;                    /* of a complaint: "abuse"; "" */
	char *references[MAIL_REFERENCES]; /* where a token may be: "id@domain", without brackets */
	size_t reference_count;
	char *said;   /* of a reply: its new text; "" */
	char *quoted; /* of a reply: what it quotes; "" */
};

void mail_judge(const struct mail_parsed *mail, struct mail_verdict *out);
/* One more place where a token may be, looked at first: whom the mail server was given the mail for. */
void mail_verdict_refer(struct mail_verdict *verdict, const char *reference);
void mail_verdict_release(struct mail_verdict *verdict);
/* As `heed inbound email --json` and POST /v1/inbound/email have it. A new reference. */
json_t *mail_verdict_to_json(const struct mail_verdict *verdict);
/* False, and `error`: it is not what mail_verdict_to_json makes. Release in both cases. */
bool mail_verdict_from_json(const json_t *json, struct mail_verdict *out, struct text *error);

const char *mail_kind_name(enum mail_kind kind);
const char *mail_fate_name(enum mail_fate fate);
const char *mail_cause_name(enum mail_cause cause);

#endif
