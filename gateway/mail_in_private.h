/* Between mail_in.c (which kind of mail it is) and the files that read one kind each. All pure. */
#ifndef HEED_MAIL_IN_PRIVATE_H
#define HEED_MAIL_IN_PRIVATE_H

#include "mail_in.h"

/* What all of them look at. */
struct mail_view {
	const struct mail_parsed *mail;
	char *text;     /* of the mail itself, HTML as text where there is nothing else */
	char *words;    /* mail_words of it, without the mail that came back */
	char *subject;  /* mail_words of it */
	const char *to; /* the header */
	bool server;    /* a mail server wrote it */
	bool machine;   /* or some program */
};

/* --- mail_in_words.c --- */

#define MAIL_LOOKED_AT (32 * 1024) /* bytes of a text in which phrases and recipients are looked for */

/* As phrases are looked for in it: lower case, one space between words, quotation marks plain; its beginning.
 * The caller frees. */
char *mail_words(const char *text);
bool mail_words_have(const char *words, const char *const phrases[]); /* any of them; NULL ends */
/* CAUSE_UNSAID where no phrase of its table is there. */
enum mail_cause mail_cause_of(const char *words);
enum mail_cause mail_cause_of_status(const char *status);
/* "5.1.1" and "550", where they are there; what is found is written. A status behind its reply code is
 * preferred. */
void mail_find_codes(const char *text, char status[12], char code[4]);

/* --- mail_in_status.c --- */

enum mail_action { ACTION_UNSAID, ACTION_FAILED, ACTION_DELAYED, ACTION_DELIVERED };
/* Settles fate, cause, status, code and detail of one recipient by what is said of it: `text` is the other
 * side's own words (a Diagnostic-Code, a paragraph); `more` what stands around it, looked at only for what
 * `text` does not say. */
void mail_bounced_settle(struct mail_bounced *bounced, enum mail_action action, const char *text,
			 const char *more);
struct mail_bounced *mail_bounced_add(struct mail_verdict *out, const char *recipient, size_t len);
/* Reads the fields of RFC 3464, in a part of their own or (`loose`) in any text of a machine. False: there
 * are none. */
bool mail_read_report(const struct mail_view *view, bool loose, struct mail_verdict *out);

/* --- mail_in_form.c --- */

/* A bounce that is no report: as Exim, qmail, Exchange, Domino and many others write it. */
bool mail_read_form(const struct mail_view *view, struct mail_verdict *out);
/* Where the mail that came back begins in a text; its end where there is none. */
size_t mail_find_original(const char *text);
/* Appends what a token may be in: of headers that came back, of text. */
void mail_references(const struct mail_view *view, struct mail_verdict *out);

/* --- mail_in_reply.c --- */

/* What is new in it, and what it quotes (its signature goes there). The caller frees both. */
void mail_split_reply(const char *text, char **said, char **quoted);

/* --- mail_in_html.c --- */

/* Its words; what is quoted begins with "> ". The caller frees. */
char *mail_text_of_html(const char *html);

/* --- addresses --- */

/* The next thing like an address in `s`: where it begins, and its length; NULL: there is none. */
const char *mail_next_address(const char *s, size_t *len);
bool mail_same_address(const char *a, size_t a_len, const char *b, size_t b_len);
bool mail_mentions(const char *header, const char *address, size_t len); /* is it among the header's? */
/* What stands in a text behind the recipient, up to an empty line; "". The caller frees. */
char *mail_paragraph_of(const char *text, const char *recipient);
/* mailer-daemon, postmaster and their like. */
bool mail_is_server(const char *address, size_t len);

#endif
