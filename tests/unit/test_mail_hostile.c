/* Mails of those who mean harm: nested to the limit and beyond, floods of headers, parts and addresses,
 * broken encodings, and the corpus with bytes changed at random. Each is read and judged within its bounds.
 * 500 by default, 10,000 with HEED_FULL=1 (make hostile-mail). Run from the repository's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "file.h"
#include "mail_in.h"
#include "moment.h"
#include "xalloc.h"

#define MAILS "tests/mails/bounces.txt"
#define MAILS_MAX (1024 * 1024)
#define HOSTILE_MAX (3 * 1024 * 1024) /* more than is read */
#define PEAK_MAX_KIB (400 * 1024)     /* of the whole process, without a sanitizer */
#define FOREVER_S 1800                /* of CPU: it holds on a machine that is busy */

static uint64_t seed;

static unsigned draw(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return below ? (unsigned)(seed % below) : 0;
}

static void fill(struct text *mail, size_t len, const char *from)
{
	size_t count = strlen(from);

	for (size_t i = 0; i < len; i++)
		text_putc(mail, from[draw((unsigned)count)]);
}

static void repeat(struct text *mail, const char *what, unsigned count)
{
	for (unsigned i = 0; i < count && !mail->full; i++)
		text_puts(mail, what);
}

#define FROM "From: MAILER-DAEMON@x.test\nReturn-Path: <>\nSubject: Undelivered\nTo: b@bank.test\n"

static void nested_parts(struct text *mail)
{
	unsigned depth = 1 + draw(4000);
	bool same = draw(2);

	text_puts(mail, FROM);
	for (unsigned i = 0; i < depth; i++)
		text_addf(mail, "Content-Type: multipart/mixed; boundary=b%u\n\n--b%u\n", same ? 0 : i,
			  same ? 0 : i);
	text_puts(mail, "\nuser unknown <a@x.test>\n");
	for (unsigned i = depth; draw(2) && i > 0; i--)
		text_addf(mail, "--b%u--\n", i - 1);
}

static void nested_mails(struct text *mail)
{
	unsigned depth = 1 + draw(8000);

	text_puts(mail, FROM);
	repeat(mail, "Content-Type: message/rfc822\n\nSubject: again\n", depth);
	text_puts(mail, "\nend\n");
}

static void many_headers(struct text *mail)
{
	text_puts(mail, FROM);
	for (unsigned i = draw(100000); i > 0; i--)
		text_addf(mail, "X-%u: %u\n", i, i);
	text_puts(mail, "\nuser unknown\n");
}

static void long_headers(struct text *mail)
{
	static const char *const names[] = {"Subject",      "References", "To",   "From",
					    "Content-Type", "Message-ID", "X-Any"};
	static const char *const pieces[] = {"=?utf-8?B?w7HDsQ==?= ",
					     "=?utf-8?Q?=C3?= =?utf-8?Q?=B1?= ",
					     "<a@b.c> ",
					     "a@b.c, ",
					     "(((((",
					     "\"\\\"",
					     "group: ",
					     "text/plain; a=b; ",
					     " a*0*=utf-8''%41; a*1=b;",
					     "\n ",
					     "\n\t",
					     "=?x?y?z?=",
					     "@",
					     ";;;;"};

	text_puts(mail, FROM);
	for (int i = 0; i < 4; i++) {
		text_addf(mail, "%s: ", names[draw(7)]);
		repeat(mail, pieces[draw(14)], draw(2) ? draw(60000) : draw(2000));
		text_puts(mail, "\n");
	}
	text_puts(mail, "\nbody\n");
}

static void many_parts(struct text *mail)
{
	static const char *const parts[] = {"--b\n\n",
					    "--b\n\nx\n",
					    "--b\nContent-Type: message/delivery-status\n\nStatus: 5.1.1\n",
					    "--b\nContent-Type: message/rfc822\n\nA: b\n\n",
					    "--b--\n",
					    "--\n",
					    "--b"};

	text_puts(mail, FROM "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n");
	repeat(mail, parts[draw(7)], draw(100000));
}

static void many_recipients(struct text *mail)
{
	static const char *const fields[] = {
		"Final-Recipient: rfc822; a@x.test\nAction: failed\nStatus: 5.1.1\n\n",
		"Final-Recipient: rfc822; a@x.test\n",
		"Diagnostic-Code: smtp; 550 x\n ",
		" folded\n",
		"Original-Recipient: ",
		"Status: 5.1.1 5.1.1 ",
		";\n",
		"\n\n"};

	text_puts(mail,
		  FROM "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n"
		       "Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; "
		       "z@x.test\nDiagnostic-Code: y\n");
	repeat(mail, fields[draw(8)], draw(100000));
}

static void broken_encodings(struct text *mail)
{
	static const char *const encodings[] = {"base64", "quoted-printable", "x-uuencode",
						"8bit",   "binary",           "nonsense"};
	static const char *const charsets[] = {"utf-8",        "utf-16",   "utf-7",  "iso-2022-jp", "gb18030",
					       "windows-1252", "nonsense", "utf-32", "hz-gb-2312",  "\"\""};

	text_addf(mail, FROM "Content-Type: text/%s; charset=%s\nContent-Transfer-Encoding: %s\n\n",
		  draw(2) ? "plain" : "html", charsets[draw(10)], encodings[draw(6)]);
	if (draw(2)) {
		fill(mail, draw(100000), "ABCDEFabcdef0123456789+/=\n\r\x1b$B(~{}<>&;# ");
	} else {
		for (unsigned i = draw(100000); i > 0; i--)
			text_putc(mail, (char)draw(256));
	}
}

static void many_words(struct text *mail)
{
	static const char *const lines[] = {"On Mon, 2 Nov 2026 a@b.c wrote:\n",
					    "> ",
					    ">\n",
					    "<a@x.test>: 550 no such user\n",
					    "From: x\nSent: y\nTo: z\n",
					    "@",
					    "b@bank.test ",
					    "a@x.test\n",
					    "--- Below this line is a copy of the message.\n",
					    "Message-ID: <x@y>\n",
					    "5.1.1 ",
					    "____________________\n",
					    "\n",
					    "-- \n"};

	text_puts(mail, FROM "\n");
	for (int i = 0; i < 3; i++)
		repeat(mail, lines[draw(14)], draw(100000));
}

static void bad_html(struct text *mail)
{
	static const char *const pieces[] = {
		"<style>", "<blockquote>",         "<!--", "<",  "&",
		"&#x",     "&#99999999999;",       "<p",   "</", "<script>x</script",
		"<br>",    "<div><table><tr><td>", "&amp"};

	text_puts(mail, "From: a@x.test\nContent-Type: text/html\n\n");
	for (int i = 0; i < 3; i++)
		repeat(mail, pieces[draw(13)], draw(60000));
}

/* One of the corpus, or two put together, with bytes changed, lost, doubled. */
static void mutated(struct text *mail)
{
	static char *corpus[128];
	static size_t count;
	static struct text file;
	struct text error;

	if (!count) {
		text_init(&file, MAILS_MAX);
		text_init(&error, TEXT_ERROR_MAX);
		assert_true(file_read(MAILS, MAILS_MAX, &file, &error));
		text_release(&error);
		for (char *at = strstr(file.data, "\n=== "); at && count < 128;
		     at = strstr(at + 1, "\n=== ")) {
			*at = '\0';
			corpus[count++] = strchr(strchr(at + 1, '\n') + 1, '\n') + 1;
			*at = '\n';
			at++;
		}
		for (char *at = strstr(file.data, "\n=== "); at; at = strstr(at + 1, "\n=== "))
			*at = '\0';
	}
	text_puts(mail, corpus[draw((unsigned)count)]);
	for (unsigned i = draw(30); i > 0 && mail->len > 2; i--) {
		size_t at = draw((unsigned)mail->len), len = draw((unsigned)(mail->len - at));
		switch (draw(4)) {
		case 0:
			mail->data[at] = (char)draw(256);
			break;
		case 1:
			if (draw(8))
				break;
			mail->len = at + 1;
			mail->data[mail->len] = '\0';
			break;
		case 2:
			if (mail->len + len < HOSTILE_MAX) {
				char *copy = xmemdup0(mail->data + at, len);
				text_add(mail, copy, len);
				free(copy);
			}
			break;
		default:
			memmove(mail->data + at, mail->data + at + len, mail->len - at - len);
			mail->len -= len;
			break;
		}
	}
}

static void (*const makers[])(struct text *) = {nested_parts, nested_mails,    many_headers,     long_headers,
						many_parts,   many_recipients, broken_encodings, many_words,
						bad_html,     mutated};

/* Within the bounds of mail_in.h. */
static void assert_bounded(const struct mail_parsed *mail, const struct mail_verdict *verdict)
{
	size_t texts = 0;

	assert_true(mail->headers.count <= MAIL_IN_HEADERS && mail->count <= MAIL_IN_PARTS);
	for (size_t i = 0; i < mail->headers.count; i++)
		assert_true(strlen(mail->headers.list[i].value) <= MAIL_IN_VALUE);
	for (size_t i = 0; i < mail->count; i++) {
		assert_true(mail->parts[i].inside <= MAIL_IN_LEVELS &&
			    mail->parts[i].headers.count <= MAIL_IN_HEADERS);
		texts += strlen(mail->parts[i].text);
	}
	assert_true(texts <= 3 * (MAIL_IN_TEXTS_MAX + MAIL_IN_TEXT_MAX)); /* U+FFFD takes three bytes */
	assert_true(strlen(verdict->said) <= MAIL_WORDS_MAX && strlen(verdict->quoted) <= MAIL_WORDS_MAX);
	json_t *json = mail_verdict_to_json(verdict); /* all of it is UTF-8 */
	assert_non_null(json);
	json_decref(json);
}

static void hostile_mails_are_read_within_their_bounds(void **state)
{
	static const size_t kinds = sizeof makers / sizeof makers[0];
	unsigned count = getenv("HEED_FULL") ? 10000 : 500;
	int64_t longest = 0, began = moment_mono();
	struct rusage usage;
	size_t of = 0;

	(void)state;
	setitimer(ITIMER_PROF, &(const struct itimerval){.it_value.tv_sec = FOREVER_S}, NULL);
	for (unsigned i = 0; i < count; i++) {
		struct text mail;
		struct mail_parsed parsed;
		struct mail_verdict verdict = {0};
		seed = 0x9e3779b97f4a7c15u * (i + 1);
		text_init(&mail, HOSTILE_MAX);
		makers[i % kinds](&mail);
		int64_t at = moment_mono();
		bool is_mail = mail_parse(mail.data, mail.len, &parsed);
		if (is_mail) {
			mail_judge(&parsed, &verdict);
			assert_bounded(&parsed, &verdict);
		}
		int64_t took = moment_mono() - at;
		if (took > longest) {
			longest = took;
			of = i % kinds;
		}
		mail_parsed_release(&parsed);
		mail_verdict_release(&verdict);
		text_release(&mail);
		if ((i + 1) % 1000 == 0)
			print_message("%u mails\n", i + 1);
	}
	getrusage(RUSAGE_SELF, &usage);
	print_message("%u mails in %.1f s, the slowest (kind %zu) in %.0f ms, at most %ld MiB\n", count,
		      (double)(moment_mono() - began) / 1e6, of, (double)longest / 1e3,
		      usage.ru_maxrss / 1024);
#ifndef __SANITIZE_ADDRESS__
	assert_true(usage.ru_maxrss < PEAK_MAX_KIB);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_mails_are_read_within_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
