/* Mail that comes in: what it is taken for. The mails are in tests/mails/bounces.txt; run from the
 * repository's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "mail_in.h"
#include "mail_in_private.h"
#include "xalloc.h"

#define MAILS "tests/mails/bounces.txt"
#define MAILS_MAX (1024 * 1024)

static void judge(const char *bytes, struct mail_verdict *out)
{
	struct mail_parsed mail;

	assert_true(mail_parse(bytes, strlen(bytes), &mail));
	mail_judge(&mail, out);
	mail_parsed_release(&mail);
}

/* In the words of the file. */
static char *words_of(const struct mail_verdict *verdict)
{
	struct text words;

	text_init(&words, 4096);
	text_puts(&words, mail_kind_name(verdict->kind));
	if (verdict->kind == MAIL_COMPLAINT)
		text_addf(&words, " %s", verdict->feedback);
	for (size_t i = 0; i < verdict->bounced_count; i++) {
		const struct mail_bounced *b = &verdict->bounced[i];
		const char *cause = mail_cause_name(b->cause);
		text_addf(&words, " %s %s %s %s", mail_fate_name(b->fate), *b->status ? b->status : "-",
			  *cause ? cause : "-", b->recipient);
	}
	return text_detach(&words);
}

static void each_mail_is_taken_for_what_it_is(void **state)
{
	struct text file, error;
	int count = 0, wrong = 0;

	(void)state;
	text_init(&file, MAILS_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	assert_true(file_read(MAILS, MAILS_MAX, &file, &error));
	for (char *at = strstr(file.data, "\n=== "), *next; at; at = next, count++) {
		next = strstr(at + 1, "\n=== ");
		if (next)
			*next = '\0';
		char *name = at + strlen("\n=== "), *expected = strchr(name, '\n') + 1,
		     *mail = strchr(expected, '\n') + 1;
		expected[-1] = mail[-1] = '\0';
		struct mail_verdict verdict;
		judge(mail, &verdict);
		char *words = words_of(&verdict);
		if (strcmp(words, expected) != 0) {
			print_error("%s:\n  is       %s\n  is to be %s\n", name, words, expected);
			wrong++;
		}
		free(words);
		mail_verdict_release(&verdict);
	}
	assert_int_equal(wrong, 0);
	assert_true(count > 40);
	text_release(&file);
	text_release(&error);
}

#define HEAD "From: MAILER-DAEMON@mx.test\nReturn-Path: <>\nTo: b@bank.test\nSubject: Undelivered\n"
#define REPORT                                                               \
	HEAD "Content-Type: multipart/report; report-type=delivery-status; " \
	     "boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"

/* contract.md, What becomes of an attempt */
static void each_status_means_what_the_contract_says(void **state)
{
	static const struct {
		const char *action, *status;
		enum mail_fate fate;
	} cases[] = {
		{"failed", "5.1.1", FATE_DEAD},       {"failed", "5.1.2", FATE_DEAD},
		{"failed", "5.1.3", FATE_DEAD},       {"failed", "5.1.6", FATE_DEAD},
		{"failed", "5.1.10", FATE_DEAD},      {"failed", "5.1.0", FATE_REJECTED},
		{"failed", "5.1.4", FATE_REJECTED},   {"failed", "5.1.7", FATE_REJECTED},
		{"failed", "5.1.8", FATE_REJECTED},   {"failed", "5.2.0", FATE_REJECTED},
		{"failed", "5.2.1", FATE_REJECTED},   {"failed", "5.2.2", FATE_REJECTED},
		{"failed", "5.3.4", FATE_REJECTED},   {"failed", "5.4.7", FATE_REJECTED},
		{"failed", "5.7.1", FATE_REJECTED},   {"failed", "4.2.2", FATE_RETRY},
		{"failed", "4.4.7", FATE_RETRY},      {"delayed", "4.2.2", FATE_DELAYED},
		{"delayed", "4.1.1", FATE_DELAYED},   {"delivered", "2.0.0", FATE_DELIVERED},
		{"relayed", "2.0.0", FATE_DELIVERED}, {"expanded", "2.0.0", FATE_DELIVERED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mail_verdict verdict;
		char *mail = xasprintf(
			REPORT
			"Reporting-MTA: dns; mx.test\n\nFinal-Recipient: rfc822; a@x.test\nAction: %s\n"
			"Status: %s\n\n--b--\n",
			cases[i].action, cases[i].status);
		judge(mail, &verdict);
		assert_int_equal(verdict.kind, MAIL_BOUNCE);
		assert_int_equal(verdict.bounced_count, 1);
		assert_string_equal(verdict.bounced[0].status, cases[i].status);
		if (verdict.bounced[0].fate != cases[i].fate)
			fail_msg("%s %s", cases[i].action, cases[i].status);
		mail_verdict_release(&verdict);
		free(mail);
	}
}

static bool refers_to(const struct mail_verdict *verdict, const char *reference)
{
	for (size_t i = 0; i < verdict->reference_count; i++)
		if (strcmp(verdict->references[i], reference) == 0)
			return true;
	return false;
}

static void where_a_token_may_be_is_looked_at(void **state)
{
	static const char *const mails[] = {
		/* the mail that came back, whole, its headers, or in the text */
		HEAD
		"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/rfc822\n\n"
		"Message-ID: <wanted@bank.test>\n\nx\n--b--\n",
		HEAD "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Type: "
		     "text/rfc822-headers\n\n"
		     "Return-Path: <wanted@bank.test>\n\n--b--\n",
		HEAD "\nfailed\n--- Below this line is a copy of the message.\n\nMessage-ID:\n "
		     "<wanted@bank.test>\n",
		/* whom the bounce is to, and what an answer is to */
		"From: MAILER-DAEMON@mx.test\nX-Original-To: wanted@bank.test\n\nx\n",
		"From: ana@x.test\nTo: Bank <wanted@bank.test>\n\nx\n",
		"From: ana@x.test\nIn-Reply-To: <wanted@bank.test>\n\nx\n",
		"From: ana@x.test\nReferences: <one@bank.test>\n\t<wanted@bank.test>\n\nx\n",
		REPORT "Original-Envelope-Id: wanted@bank.test\n\nFinal-Recipient: rfc822; a@x.test\nStatus: "
		       "5.1.1\n\n--b--\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof mails / sizeof mails[0]; i++) {
		struct mail_verdict verdict;
		judge(mails[i], &verdict);
		if (!refers_to(&verdict, "wanted@bank.test"))
			fail_msg("%s", mails[i]);
		mail_verdict_release(&verdict);
	}
}

static void what_is_in_a_mail_that_was_sent_along_is_not_of_this_one(void **state)
{
	struct mail_verdict verdict;

	(void)state;
	judge("From: ben@x.test\nTo: a@bank.test\nContent-Type: multipart/mixed; "
	      "boundary=b\n\n--b\n\nLook:\n--b\n"
	      "Content-Type: message/rfc822\n\nIn-Reply-To: <inner@bank.test>\nSubject: x\n\nquoted "
	      "words\n--b--\n",
	      &verdict);
	assert_int_equal(verdict.kind, MAIL_REPLY);
	assert_false(refers_to(&verdict, "inner@bank.test"));
	assert_string_equal(verdict.said, "Look:");
	mail_verdict_release(&verdict);
}

static void a_mail_that_comes_twice_has_one_key_whichever_way_it_came(void **state)
{
	struct mail_verdict one, other, different;

	(void)state;
	judge("From: a@x.test\nMessage-ID: <1@x.test>\nSubject: s\n\nwords\n", &one);
	judge("Return-Path: <a@x.test>\nReceived: by mx.test\nDelivered-To: b@bank.test\nFrom: "
	      "a@x.test\nMessage-ID: "
	      "<1@x.test>\r\nSubject: s\n\nwords\n",
	      &other);
	judge("From: a@x.test\nMessage-ID: <1@x.test>\nSubject: s\n\nother words\n", &different);
	assert_string_equal(one.key, other.key);
	assert_string_not_equal(one.key, different.key);
	mail_verdict_release(&one);
	mail_verdict_release(&other);
	mail_verdict_release(&different);
}

static void a_verdict_goes_through_json_unchanged(void **state)
{
	struct mail_verdict verdict, read;
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	judge(REPORT
	      "Reporting-MTA: dns; mx.test\n\nFinal-Recipient: rfc822; a@x.test\nOriginal-Recipient: rfc822; "
	      "b@x.test\nAction: failed\nDiagnostic-Code: smtp; 550 5.1.1 no such user \xc3\xb1\n\n--b--\n",
	      &verdict);
	json_t *json = mail_verdict_to_json(&verdict);
	assert_non_null(json);
	assert_true(mail_verdict_from_json(json, &read, &error));
	json_t *again = mail_verdict_to_json(&read);
	assert_true(json_equal(json, again));
	mail_verdict_release(&read);
	json_object_set_new(json, "kind", json_string("love letter"));
	assert_false(mail_verdict_from_json(json, &read, &error));
	assert_non_null(strstr(error.data, "kind"));
	mail_verdict_release(&read);
	text_clear(&error);
	json_object_set_new(json, "report", json_string("yes"));
	assert_false(mail_verdict_from_json(json, &read, &error));
	assert_non_null(strstr(error.data, "report"));
	mail_verdict_release(&read);
	mail_verdict_release(&verdict);
	json_decref(json);
	json_decref(again);
	text_release(&error);
}

/* --- what people write --- */

static void assert_split(const char *text, const char *said, const char *quoted)
{
	char *is_said, *is_quoted;

	mail_split_reply(text, &is_said, &is_quoted);
	assert_string_equal(is_said, said);
	assert_string_equal(is_quoted, quoted);
	free(is_said);
	free(is_quoted);
}

static void the_new_text_is_apart_from_the_quoted(void **state)
{
	(void)state;
	assert_split(
		"Thanks!\n\nOn Mon, 2 Nov 2026 at 10:00, Bank <m@bank.test> wrote:\n> You paid\n> 12.50\n",
		"Thanks!", "On Mon, 2 Nov 2026 at 10:00, Bank <m@bank.test> wrote:\n> You paid\n> 12.50");
	assert_split("Danke\n\nAm 02.11.2026 um 10:00 schrieb Bank:\n> Sie haben\n", "Danke",
		     "Am 02.11.2026 um 10:00 schrieb Bank:\n> Sie haben");
	assert_split(
		"Gracias\n\nEl lun, 2 nov 2026 a las 10:00, Bank\n(<m@bank.test>) escribió:\n\n> Pagaste\n",
		"Gracias", "El lun, 2 nov 2026 a las 10:00, Bank\n(<m@bank.test>) escribió:\n> Pagaste");
	assert_split("Merci\n\nLe lun. 2 nov. 2026 à 10:00, Bank <m@bank.test> a écrit :\n> Vous avez\n",
		     "Merci", "Le lun. 2 nov. 2026 à 10:00, Bank <m@bank.test> a écrit :\n> Vous avez");
	/* Outlook marks nothing */
	assert_split("Stop this.\n\n________________________________\nFrom: Bank <m@bank.test>\nSent: "
		     "Monday\nTo: Ana\nSubject: "
		     "Paid\n\nYou paid 12.50\n",
		     "Stop this.",
		     "________________________________\nFrom: Bank <m@bank.test>\nSent: Monday\nTo: "
		     "Ana\nSubject: Paid\n\nYou "
		     "paid 12.50");
	assert_split("Nein.\n\nVon: Bank\nGesendet: Montag\nAn: Eva\nBetreff: Zahlung\n\nSie\n", "Nein.",
		     "Von: Bank\nGesendet: Montag\nAn: Eva\nBetreff: Zahlung\n\nSie");
	assert_split("No.\n\n-----Mensaje original-----\nHola\n", "No.", "-----Mensaje original-----\nHola");
}

static void answers_between_the_lines_and_below_them_are_new(void **state)
{
	(void)state;
	assert_split(
		"Am 02.11.2026 um 10:00 schrieb Bank:\n> Waren Sie das?\nNein.\n> Wo?\nIch war zu Hause.\n",
		"Nein.\nIch war zu Hause.", "Am 02.11.2026 um 10:00 schrieb Bank:\n> Waren Sie das?\n> Wo?");
}

static void a_signature_is_not_what_was_said(void **state)
{
	(void)state;
	assert_split("Call me.\n\n-- \nAna Diaz\n+54 9 11\n", "Call me.", "--\nAna Diaz\n+54 9 11");
	assert_split("Call me.\n\nSent from my phone\n", "Call me.", "Sent from my phone");
}

static void what_only_looks_like_a_quotation_stays(void **state)
{
	(void)state;
	assert_split("On Monday I was away.\nThen the bank wrote:\nnothing.\n",
		     "On Monday I was away.\nThen the bank wrote:\nnothing.", "");
	assert_split("From: my point of view it is fine\n", "From: my point of view it is fine", "");
	assert_split("5 -- 3 is\n- a\n- b\n", "5 -- 3 is\n- a\n- b", "");
	assert_split("", "", "");
}

static void html_is_read_as_its_words(void **state)
{
	(void)state;
	char *text = mail_text_of_html(
		"<html><head><title>t</title><style>p{}</style></head><body><p>No  f&uuml;r "
		"mich<br>&lt;ok&gt; &#8364;</p><blockquote><p>You <b>paid</b></p></blockquote></body>");
	assert_string_equal(text, "No für mich\n<ok> €\n\n> You paid\n\n");
	free(text);
	text = mail_text_of_html("a < b & c &#0; &#xD800; &bogus; <unclosed");
	assert_non_null(strstr(text, "a < b & c"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mail_is_taken_for_what_it_is),
		cmocka_unit_test(each_status_means_what_the_contract_says),
		cmocka_unit_test(where_a_token_may_be_is_looked_at),
		cmocka_unit_test(what_is_in_a_mail_that_was_sent_along_is_not_of_this_one),
		cmocka_unit_test(a_mail_that_comes_twice_has_one_key_whichever_way_it_came),
		cmocka_unit_test(a_verdict_goes_through_json_unchanged),
		cmocka_unit_test(the_new_text_is_apart_from_the_quoted),
		cmocka_unit_test(answers_between_the_lines_and_below_them_are_new),
		cmocka_unit_test(a_signature_is_not_what_was_said),
		cmocka_unit_test(what_only_looks_like_a_quotation_stays),
		cmocka_unit_test(html_is_read_as_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
