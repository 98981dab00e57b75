/* A mail relay that does what a script says, in the clear, with TLS from the first byte, or by STARTTLS; one
 * at a time. Its certificates are made by the openssl command, once for a test program. */
#ifndef HEED_TESTS_SMTP_RELAY_H
#define HEED_TESTS_SMTP_RELAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define CONNECTIONS_MAX 16

#define CLOSE "\001close" /* hang up in the place of an answer */
#define HANG "\001hang"   /* say nothing more */
#define SLOW "\001slow "  /* what follows, a byte at a time */
#define LATE "\001late "  /* what follows, after half a second */
#define DRIP "\001drip "  /* what follows, a byte every 300 ms */

#define CHUNKS "250-relay\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 ENHANCEDSTATUSCODES"

enum transport { IN_THE_CLEAR, TLS_AT_ONCE, STARTTLS };

struct script {
	const char *greeting, *ehlo, *auth, *mail, *rcpt, *data, *final; /* NULL: the usual */
	size_t from;      /* the first mail (of all) that it is said to; the others get the usual answers */
	size_t limit;     /* mails a connection takes before it closes at the next MAIL FROM; 0: any */
	const char *over; /* what it says then; NULL: closes */
	bool cut_in_body;
	int pause_ms;           /* before the final answer */
	const char *clear_ehlo; /* before STARTTLS */
	const char *starttls;
	const char *certificate; /* NULL: the good one */
	bool old_tls;            /* 1.1 at most */
	bool hang_in_handshake;
};

extern struct relay {
	enum transport transport; /* of the relays to come */
	int listener, port;
	struct script script;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_t connections[CONNECTIONS_MAX];
	size_t connection_count;
	struct text log;     /* the commands, a line each */
	struct text content; /* of the mails, after DATA or by BDAT, as they came */
	size_t mails, taken;
	_Atomic bool ends;
} relay;

/* A folder with ca.pem and the certificates good.pem, expired.pem, other-name.pem and other-ca.pem, each with
 * its key.
 */
void relay_certificates(const char *folder);
const char *relay_ca(void);
/* What a channel's `relay:` would say; `login` is "" or "user:password@". Valid until the next call. */
const char *relay_url(const char *login);

void relay_bind(void);
void relay_start(struct script script);
/* Afterwards what it saw may be read. */
void relay_stop(void);
void relay_release(void);

#endif
