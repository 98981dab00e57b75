/* A mailbox on a server, where mail comes in. A port that is filled at link time by adapters/mail_imap.c
 * (libcurl). One thread at a time. What is read there keeps its state until `taken` said yes: a crash between
 * reading and recording loses nothing. */
#ifndef HEED_MAIL_BOX_H
#define HEED_MAIL_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum mail_box_tls { MAIL_BOX_PLAIN, MAIL_BOX_STARTTLS, MAIL_BOX_TLS };

/* Owned by the channel's configuration. */
struct mail_box_config {
	enum mail_box_tls tls;
	char *host, *user, *password, *folder, *ca; /* ca "": whom this system trusts */
	int port;
	int64_t every;   /* the longest that nobody looks, microseconds */
	bool deletes;    /* what was taken is deleted, else it is marked as read */
	int64_t timeout; /* for one answer */
};
void mail_box_config_free(struct mail_box_config *config); /* NULL is fine */

#define MAIL_BOX_BATCH 200 /* mails that are looked for at once */

struct mail_box;

/* Connects, logs in, opens the folder. `stopping` ends every wait soon. NULL and `error`, without secrets. */
struct mail_box *mail_box_open(const struct mail_box_config *config, const _Atomic bool *stopping,
			       struct text *error);
void mail_box_close(struct mail_box *box); /* NULL is fine */
/* Gives each mail that is new to `take`, at most MAIL_BOX_BATCH; what it says yes to is marked or deleted,
 * the first no ends it. False: the connection is over, or `take` said no; `error` says which. *count: how
 * many were taken. */
bool mail_box_take(struct mail_box *box, bool (*take)(void *context, const char *mail, size_t len),
		   void *context, size_t *count, struct text *error);
/* Until something new is there (IDLE, RFC 2177, where the server has it), or `every` is over. False: the
 * connection is over. */
bool mail_box_wait(struct mail_box *box, struct text *error);

#endif
