/* Mail over SMTP. channel_email.c has the channel, its threads and what waits for them; channel_email_job.c
 * what is done with one mail whoever carries it. Two engines carry: channel_email_plain.c by libesmtp, in the
 * clear; channel_email_tls.c by libcurl, which verifies whom it speaks to. channel_email_probe.c asks whether
 * the relay of the first answers. */
#ifndef HEED_CHANNEL_EMAIL_PRIVATE_H
#define HEED_CHANNEL_EMAIL_PRIVATE_H

#include <pthread.h>
#include <stddef.h>

#include "channel.h"
#include "config_check.h"
#include "mail_sign.h"
#include "mail_text.h"
#include "moment.h"
#include "smtp_reply.h"

#define TAKEN_BACK "taken back before it had begun"
#define CLOSING "the channel is closing"
#define SESSION_MAILS_MAX 100 /* then a new session: relays count, too */
#define SAID_MAX 4096         /* of what the relay wrote since the last command */
#define PROBE_TIME (5 * MOMENT_S)

struct worker;

struct email_settings {
	struct config_url relay;
	bool tls;       /* smtps or smtp+starttls */
	char port[8];   /* the given one, or the scheme's */
	const char *ca; /* borrowed; "": those that this system trusts */
	struct mailbox from;
	struct mailbox envelope;
	int64_t sessions;
	struct mail_signer *signer; /* NULL: none */
};

/* An attempt in a worker's hands. */
struct mail_job {
	struct attempt *attempt; /* NULL once reported */
	struct text bytes;
	char *envelope; /* MAIL FROM, with the attempt's token where it belongs */
	char *summary, *content;
	bool reused;  /* not the first of its session */
	bool moved;   /* to a new session, once */
	bool begun;   /* attempt_begin said yes: from here on it may be taken */
	bool refused; /* attempt_begin said no */
};

/* Whoever carries mail. */
struct email_engine {
	void (*init)(void); /* before there are threads */
	/* Sends the mail, and those that follow while the session lasts; all of them are reported or put
	 * back. */
	void (*serve)(struct worker *w, struct mail_job *job);
	/* The worker ends: gives up what it kept in `kept`. */
	void (*end)(struct worker *w);
	/* For heed check: connects, says EHLO, logs in where there is a password. */
	bool (*probe)(const struct email_settings *settings, struct text *error);
};
extern const struct email_engine email_plain, email_tls;

struct worker {
	struct email *email;
	pthread_t thread;
	bool started;
	void *kept;    /* the engine's, from one session to the next */
	int64_t asked; /* when heed last said something */
	/* shared with whoever cuts it off */
	pthread_mutex_t lock;
	int fd;           /* a duplicate of libesmtp's; -1 */
	bool cut;         /* for good: the channel is closing */
	bool overdue;     /* this session was cut off for standing still */
	int64_t deadline; /* 0: none */
};

struct email {
	struct channel base;
	const struct email_engine *engine;
	struct email_settings settings;
	char *ca;
	int64_t timeout;
	pthread_mutex_t lock;      /* for what follows */
	pthread_cond_t in_session; /* a session waits for one more mail */
	pthread_cond_t idle;       /* a thread without a session waits for its first */
	pthread_cond_t ended;
	struct attempt *first, **last;
	size_t queued, waiting_in_session;
	_Atomic int broken; /* sessions since the last in which a mail had its turn (smtp_broke_early) */
	size_t running;     /* workers */
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

/* NULL: it has been reported already. */
struct mail_job *job_prepare(struct worker *w, struct attempt *attempt);
/* The point of no return. False: give nothing. */
bool job_begin(struct worker *w, struct mail_job *job);
/* Reports, once. Nothing but NOT_BEGUN is said of an attempt that was called back. */
void job_finish(struct mail_job *job, struct outcome outcome);
/* Back to those that wait, unreported: the relay had had enough of the session before it looked at the mail.
 */
void job_move(struct worker *w, struct mail_job *job);
void job_free(struct mail_job *job); /* NULL is fine */
/* What the dialogue says of the mail, and of the relay after those before it. */
struct outcome email_judge(struct email *email, const struct smtp_dialogue *dialogue);
/* The relay can't be reached or hangs: what waits behind would only find the same, each after its time. */
void email_fail_all(struct email *email, const struct outcome *failure);

bool email_plain_probe(const struct email_settings *settings, struct text *error);

#endif
