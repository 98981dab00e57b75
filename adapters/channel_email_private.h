/* Mail over SMTP, in three files: channel_email.c has the channel, its threads and what waits for them,
 * channel_email_session.c a session of libesmtp and the mails in it, channel_email_probe.c the question
 * whether the relay answers. */
#ifndef HEED_CHANNEL_EMAIL_PRIVATE_H
#define HEED_CHANNEL_EMAIL_PRIVATE_H

#include <stddef.h>

#include <auth-client.h> /* before libesmtp.h, which declares less without it */
#include <libesmtp.h>
#include <pthread.h>

#include "channel.h"
#include "config_check.h"
#include "mail_text.h"
#include "smtp_reply.h"

#define TAKEN_BACK "taken back before it had begun"
#define CLOSING "the channel is closing"
#define SESSION_MAILS_MAX 100 /* then a new session: relays count, too */
#define SAID_MAX 4096         /* of what the relay wrote since the last command */

struct email_settings {
	struct config_url relay;
	char port[8];
	struct mailbox from;
	struct mailbox envelope;
	int64_t sessions;
};

struct mail_job {
	struct attempt *attempt; /* NULL once reported */
	struct worker *worker;
	struct text bytes;
	char *summary, *content;
	smtp_message_t message;
	smtp_recipient_t recipient;
	bool reused; /* not the first of its session */
	bool moved;  /* to a new session, once */
	/* the body's progress */
	bool begun;   /* attempt_begin said yes: from here on it may be taken */
	bool refused; /* attempt_begin said no */
	bool given, drained;
};

struct worker {
	struct email *email;
	pthread_t thread;
	bool started;
	/* the session's, of the worker's thread alone */
	smtp_session_t session;
	struct mail_job *jobs[SESSION_MAILS_MAX]; /* all of this session: libesmtp may still ask for them */
	size_t job_count;
	struct mail_job *job; /* the undecided one */
	enum smtp_step step;
	bool authenticated, barred;
	int64_t asked; /* when heed last said something */
	char said[SAID_MAX];
	size_t said_len;
	/* shared with whoever cuts it off */
	pthread_mutex_t lock;
	int fd;           /* a duplicate of libesmtp's; -1 */
	bool cut;         /* for good: the channel is closing */
	bool overdue;     /* this session was cut off for standing still */
	int64_t deadline; /* 0: none */
};

struct email {
	struct channel base;
	struct config_url relay; /* no user: no AUTH */
	char *server;            /* host:port */
	struct mailbox from;
	char *envelope_from;
	int64_t timeout;
	pthread_mutex_t lock;      /* for what follows */
	pthread_cond_t in_session; /* a session waits for one more mail */
	pthread_cond_t idle;       /* a thread without a session waits for its first */
	pthread_cond_t ended;
	struct attempt *first, **last;
	size_t queued, waiting_in_session;
	size_t running; /* workers */
	bool closing, watched, watch_ends;
	size_t worker_count;
	struct worker *workers;
	pthread_t watch;
};

/* All mistakes in the channel's settings, a line each. Release in both cases. */
bool email_settings_read(const struct channel_config *config, struct email_settings *out,
			 struct text *errors);
void email_settings_release(struct email_settings *settings);

/* Waits at most `patience`; < 0: until there is one. NULL: none came, or the channel is closing. */
struct attempt *email_take(struct email *email, int64_t patience);
struct attempt *email_take_all(struct email *email);
/* In front of those that wait; when the channel is closing it is reported instead. */
void email_put_back(struct email *email, struct attempt *attempt);
bool email_is_closing(struct email *email);
void email_not_begun(struct attempt *attempt, const char *why);

/* From worker_begin to worker_end the thread's sockets are the session's: the last one can be cut off. */
void worker_begin(struct worker *w);
void worker_end(struct worker *w);
void worker_cut(struct worker *w);
/* The other side has `steps` timeouts for what comes next, from now on; 0: it is our turn. */
void worker_watch(struct worker *w, int steps);

/* Serves an attempt, and those that follow while the session lasts. */
void email_serve(struct worker *w, struct attempt *attempt);
void job_free(struct mail_job *job); /* NULL is fine */

bool email_probe(const struct channel_config *config, struct text *error);

#endif
