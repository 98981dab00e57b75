/* The bytes of a mail, whatever was written into its texts. */
#include "mail_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "digest.h"
#include "moment.h"
#include "utf8.h"
#include "xalloc.h"
#include "banned.h"

static char bank[] = "Example Bank", bank_address[] = "messages@example.com";
static const struct mailbox from = {.name = bank, .address = bank_address};

static struct mail a_mail(void)
{
	return (struct mail){.from = &from,
			     .to_name = "Ana",
			     .to_address = "ana@example.org",
			     .subject = "A payment",
			     .text = "Hello\n",
			     .html = "",
			     .message_id = "m-1",
			     .at = INT64_C(1763805600) * MOMENT_S};
}

/* What holds of every mail: ASCII, CRLF alone ends lines, none too wide, no control but tabs. */
static void assert_sound(const struct text *mail)
{
	static const char url[] = "List-Unsubscribe: "; /* in one piece, however long */
	size_t column = 0;
	bool is_url = false;

	for (size_t i = 0; i < mail->len; i++) {
		if (!column)
			is_url = strncmp(mail->data + i, url, strlen(url)) == 0;
		unsigned char c = (unsigned char)mail->data[i];
		if (c == '\n') {
			assert_int_equal(mail->data[i - 1], '\r');
			column = 0;
			continue;
		}
		if (c == '\r') {
			assert_int_equal(mail->data[i + 1], '\n');
			continue;
		}
		assert_true((c >= ' ' && c < 127) || c == '\t');
		assert_true(++column <= 78 || is_url);
	}
	assert_int_equal(column, 0);
}

static char *build(struct mail mail)
{
	struct text out, error;

	text_init(&out, MAIL_SIZE_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	bool ok = mail_text_build(&mail, &out, &error);
	assert_string_equal(error.data, "");
	assert_true(ok);
	assert_sound(&out);
	text_release(&error);
	return text_detach(&out);
}

static void assert_part(const char *mail, const char *part)
{
	if (!strstr(mail, part))
		print_message("no '%s' in\n%s\n", part, mail);
	assert_non_null(strstr(mail, part));
}

static void a_plain_mail_byte_for_byte(void **state)
{
	(void)state;
	char *mail = build(a_mail());

	assert_string_equal(mail, "Date: Sat, 22 Nov 2025 10:00:00 +0000\r\n"
				  "From: Example Bank <messages@example.com>\r\n"
				  "To: Ana <ana@example.org>\r\n"
				  "Subject: A payment\r\n"
				  "Message-ID: <m-1@example.com>\r\n"
				  "Auto-Submitted: auto-generated\r\n"
				  "MIME-Version: 1.0\r\n"
				  "Content-Type: text/plain; charset=utf-8\r\n"
				  "Content-Transfer-Encoding: 7bit\r\n"
				  "\r\n"
				  "Hello\r\n");
	free(mail);
}

static void text_and_html_are_alternatives_text_first(void **state)
{
	(void)state;
	struct mail m = a_mail();
	m.html = "<p>Hello</p>";
	char *mail = build(m);

	assert_part(mail, "Content-Type: multipart/alternative;\r\n boundary=\"=_");
	char *text = strstr(mail, "text/plain"), *html = strstr(mail, "text/html");
	assert_true(text && html && text < html);
	char *boundary = strstr(mail, "boundary=\"") + 10;
	char line[64];
	snprintf(line, sizeof line, "\r\n--%.*s--\r\n", (int)strcspn(boundary, "\""), boundary);
	assert_string_equal(mail + strlen(mail) - strlen(line), line);
	free(mail);
}

static void html_alone_is_one_part(void **state)
{
	(void)state;
	struct mail m = a_mail();
	m.text = "";
	m.html = "<p>Hello</p>";
	char *mail = build(m);
	assert_null(strstr(mail, "multipart"));
	assert_part(mail, "Content-Type: text/html; charset=utf-8\r\n");
	free(mail);
}

static void no_text_can_hold_the_boundary(void **state)
{
	(void)state;
	struct mail m = a_mail();
	m.html = "<p>";
	char *first = build(m), *boundary = strstr(first, "boundary=\"") + 10;
	/* a text that quotes the mail's own boundary gets another one */
	char *text = xasprintf("--%.*s\n", (int)strcspn(boundary, "\""), boundary);
	m.text = text;
	char *second = build(m), *other = strstr(second, "boundary=\"") + 10;
	assert_int_not_equal(strncmp(boundary, other, strcspn(boundary, "\"")), 0);
	free(first);
	free(second);
	free(text);
}

static void what_is_not_ascii_is_quoted_printable(void **state)
{
	(void)state;
	struct mail m = a_mail();
	m.text = "Se\xc3\xb1ora: 1 = 1 \xf0\x9f\x92\xb8 \nFrom here\ttab\t\n";
	char *mail = build(m);
	assert_part(mail, "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
			  "Se=C3=B1ora: 1 =3D 1 =F0=9F=92=B8=20\r\n=46rom here\ttab=09\r\n");
	free(mail);
}

static void long_lines_are_folded_and_characters_kept_whole(void **state)
{
	(void)state;
	char text[5001 + 3000];
	struct mail m = a_mail();

	memset(text, 'x', 5000);
	for (size_t i = 0; i < 1000; i++)
		memcpy(text + 5000 + 3 * i, "\xe2\x82\xac", 3);
	text[8000] = '\0';
	m.text = text;
	char *mail = build(m); /* assert_sound has looked at the widths */
	size_t x = 0, euro = 0;
	for (char *s = strstr(mail, "\r\n\r\n"); *s; s++) {
		x += *s == 'x';
		euro += strncmp(s, "=E2=82=AC", 9) == 0;
	}
	assert_int_equal(x, 5000);
	assert_int_equal(euro, 1000);
	free(mail);
}

static void a_folded_line_does_not_go_on_with_from(void **state)
{
	(void)state;
	char text[] = "\xc3\xb1" /* =C3=B1, and 69 to the edge */
		      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		      "From here";
	struct mail m = a_mail();

	m.text = text;
	char *mail = build(m);
	assert_part(mail, "x=\r\n=46rom here\r\n");
	free(mail);
}

static void every_end_of_line_becomes_crlf(void **state)
{
	(void)state;
	struct mail m = a_mail();
	m.text = "a\rb\nc\r\nd\n\re";
	char *mail = build(m);
	assert_part(mail, "\r\n\r\na\r\nb\r\nc\r\nd\r\n\r\ne\r\n");
	free(mail);
}

static void controls_and_broken_utf8_do_not_travel(void **state)
{
	(void)state;
	struct mail m = a_mail();
	m.text = "a\x01\x7f\x1b[31mb\xff\xc3";
	m.subject = "a\x01\xff";
	char *mail = build(m);
	assert_part(mail, "\r\n\r\na[31mb=EF=BF=BD=EF=BF=BD\r\n");
	assert_part(mail, "Subject: =?UTF-8?Q?a_=EF=BF=BD?=\r\n");
	free(mail);
}

static void a_subject_cannot_add_a_header(void **state)
{
	(void)state;
	struct mail m = a_mail();
	m.subject = "Hello\r\nBcc: eve@example.net\r\n\r\nand a body\n";
	m.to_name = "Ana\r\nBcc: eve@example.net";
	char *mail = build(m);
	assert_null(strstr(mail, "\nBcc"));
	assert_part(mail, "Subject: Hello Bcc: eve@example.net and a body\r\n");
	assert_part(mail, "To: \"Ana Bcc: eve@example.net\" <ana@example.org>\r\n");
	free(mail);
}

static void subjects_beyond_ascii_are_encoded_words(void **state)
{
	(void)state;
	struct mail m = a_mail();
	m.subject = "Pago de \xe2\x82\xac 12,50";
	char *mail = build(m);
	assert_part(mail, "Subject: =?UTF-8?Q?Pago_de_=E2=82=AC_12=2C50?=\r\n");
	free(mail);
}

/* The encoded words of the subject, decoded one by one: each whole characters, on a line of its own. */
static void decode_subject(const char *mail, char encoding, struct text *out)
{
	char head[16];
	const char *s = strstr(mail, "Subject: ") + 9;

	snprintf(head, sizeof head, "=?UTF-8?%c?", encoding);
	text_init(out, 10000);
	while (strncmp(s, head, strlen(head)) == 0) {
		const char *end = strstr(s + strlen(head), "?=");
		size_t start = out->len;
		assert_true(end && end + 2 - s <= 75);
		for (s += strlen(head); encoding == 'Q' && s < end; s += *s == '=' ? 3 : 1) {
			char hex[3] = {s[1], s[2], '\0'};
			text_putc(out, *s == '=' ? (char)strtol(hex, NULL, 16) : *s == '_' ? ' ' : *s);
		}
		if (encoding == 'B') {
			unsigned char *bytes;
			size_t len;
			char *word = xmemdup0(s, (size_t)(end - s));
			assert_true(base64_decode(word, &bytes, &len));
			text_add(out, bytes, len);
			free(bytes);
			free(word);
		}
		for (size_t i = start, n; i < out->len; i += n) {
			uint32_t point;
			n = utf8_take(out->data + i, out->len - i, &point);
			assert_int_not_equal(point, UTF8_REPLACEMENT);
		}
		assert_memory_equal(end, "?=\r\n", 4);
		s = end + 4 + (end[4] == ' ');
	}
}

static void long_subjects_are_folded_at_characters(void **state)
{
	(void)state;
	static const struct {
		const char *piece;
		char encoding;
	} cases[] = {{"\xf0\x9f\x98\x80\xc3\xa9 ", 'B'}, {"se\xc3\xb1or and some more words ", 'Q'}};
	for (size_t k = 0; k < 2; k++) {
		struct mail m = a_mail();
		struct text subject, decoded;
		text_init(&subject, MAIL_SUBJECT_MAX);
		for (int i = 0; i < 60; i++)
			text_puts(&subject, cases[k].piece);
		subject.data[--subject.len] = '\0'; /* the last blank would go */
		m.subject = subject.data;
		char *mail = build(m);
		decode_subject(mail, cases[k].encoding, &decoded);
		assert_string_equal(decoded.data, subject.data);
		free(mail);
		text_release(&subject);
		text_release(&decoded);
	}
}

static void long_ascii_subjects_are_folded_at_words(void **state)
{
	(void)state;
	struct mail m = a_mail();
	struct text subject;

	text_init(&subject, MAIL_SUBJECT_MAX);
	for (int i = 0; i < 60; i++)
		text_addf(&subject, "word%d ", i);
	m.subject = subject.data;
	char *mail = build(m);
	assert_part(mail, "\r\n word");
	free(mail);
	text_clear(&subject);
	for (int i = 0; i < 1000; i++)
		text_putc(&subject, 'x'); /* nowhere to fold */
	m.subject = subject.data;
	mail = build(m);
	assert_part(mail, "Subject: =?UTF-8?Q?xxx");
	free(mail);
	text_release(&subject);
}

static void names_are_quoted_or_encoded_as_they_need(void **state)
{
	(void)state;
	static const struct {
		const char *name, *header;
	} cases[] = {
		{"", "To: ana@example.org\r\n"},
		{"Ana Maria", "To: Ana Maria <ana@example.org>\r\n"},
		{"Ana, \"the\\ best\"", "To: \"Ana, \\\"the\\\\ best\\\"\" <ana@example.org>\r\n"},
		{"eve@example.net", "To: \"eve@example.net\" <ana@example.org>\r\n"},
		{"Ana D\xc3\xad"
		 "az",
		 "To: =?UTF-8?Q?Ana_D=C3=ADaz?= <ana@example.org>\r\n"},
		{"D\xc3\xad"
		 "az <eve@example.net>",
		 "To: =?UTF-8?Q?D=C3=ADaz_=3Ceve=40example=2Enet=3E?= <ana@example.org>\r\n"},
		{"=?UTF-8?Q?Bank?=", "To: =?UTF-8?Q?=3D=3FUTF-8=3FQ=3FBank=3F=3D?= <ana@example.org>\r\n"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mail m = a_mail();
		m.to_name = cases[i].name;
		char *mail = build(m);
		assert_part(mail, cases[i].header);
		free(mail);
	}
}

static void the_message_id_is_the_same_every_time_and_well_formed(void **state)
{
	(void)state;
	static const char *const ids[][2] = {
		{"heed:outbound:urgent:1763805600000-0", "heed%3Aoutbound%3Aurgent%3A1763805600000-0"},
		{"a.b", "a.b"},
		{".a..b.", "%2Ea.%2Eb%2E"},
	};
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		struct mail m = a_mail();
		char header[200];
		m.message_id = ids[i][0];
		m.at += (int64_t)i * MOMENT_DAY; /* a later attempt */
		char *mail = build(m);
		snprintf(header, sizeof header, "Message-ID: <%s@example.com>\r\n", ids[i][1]);
		assert_part(mail, header);
		free(mail);
	}
}

static void dates_are_right_on_any_day(void **state)
{
	(void)state;
	static const struct {
		int64_t at;
		const char *date;
	} cases[] = {
		{0, "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"},
		{INT64_C(1709251199) * MOMENT_S + 999999, "Date: Thu, 29 Feb 2024 23:59:59 +0000\r\n"},
		{INT64_C(4102444800) * MOMENT_S, "Date: Fri, 1 Jan 2100 00:00:00 +0000\r\n"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mail m = a_mail();
		m.at = cases[i].at;
		char *mail = build(m);
		assert_part(mail, cases[i].date);
		free(mail);
	}
}

static void what_cannot_be_a_mail_is_refused_with_a_reason(void **state)
{
	(void)state;
	char *large = xmalloc(MAIL_SIZE_MAX + 2), *subject = xmalloc(MAIL_SUBJECT_MAX + 2);
	memset(large, 'x', MAIL_SIZE_MAX + 1);
	memset(subject, 'x', MAIL_SUBJECT_MAX + 1);
	large[MAIL_SIZE_MAX + 1] = subject[MAIL_SUBJECT_MAX + 1] = '\0';
	struct mail mails[] = {a_mail(), a_mail(), a_mail(), a_mail()};
	static const char *const reasons[] = {"nothing to send", "recipient", "longer than 4194304",
					      "longer than 4096"};

	mails[0].text = "\x01";
	mails[1].to_address = "ana@example.org>\r\nRCPT TO:<eve@example.net";
	mails[2].text = large;
	mails[3].subject = subject;
	for (size_t i = 0; i < sizeof mails / sizeof mails[0]; i++) {
		struct text out, error;
		text_init(&out, MAIL_SIZE_MAX);
		text_init(&error, TEXT_ERROR_MAX);
		assert_false(mail_text_build(&mails[i], &out, &error));
		assert_part(error.data, reasons[i]);
		text_release(&out);
		text_release(&error);
	}
	free(large);
	free(subject);
}

static void addresses_that_smtp_can_carry(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		enum mail_address_fault fault;
	} cases[] = {
		{"ana@example.org", MAIL_ADDRESS_OK},
		{"a.n+a'b@xn--mller-kva.example", MAIL_ADDRESS_OK},
		{"\"a@b\"@example.org", MAIL_ADDRESS_OK},
		{"root@[127.0.0.1]", MAIL_ADDRESS_OK},
		{"j\xc3\xb6rg@example.org", MAIL_ADDRESS_NOT_ASCII},
		{"ana@m\xc3\xbcller.example", MAIL_ADDRESS_NOT_ASCII},
		{"", MAIL_ADDRESS_MALFORMED},
		{"ana", MAIL_ADDRESS_MALFORMED},
		{"@example.org", MAIL_ADDRESS_MALFORMED},
		{"ana@", MAIL_ADDRESS_MALFORMED},
		{"a@b@example.org", MAIL_ADDRESS_MALFORMED},
		{"ana@example.org>", MAIL_ADDRESS_MALFORMED},
		{"ana @example.org", MAIL_ADDRESS_MALFORMED},
		{"ana@example.org\r\nDATA", MAIL_ADDRESS_MALFORMED},
		{"a,b@example.org", MAIL_ADDRESS_MALFORMED},
		{"ana@exa,mple.org", MAIL_ADDRESS_MALFORMED},
		{"\"a\"b\"@example.org", MAIL_ADDRESS_MALFORMED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(mail_address_check(cases[i].address), cases[i].fault);
	char longest[MAIL_ADDRESS_MAX + 2];
	memset(longest, 'a', sizeof longest);
	memcpy(longest + 64, "@", 1);
	longest[MAIL_ADDRESS_MAX + 1] = '\0';
	assert_int_equal(mail_address_check(longest), MAIL_ADDRESS_LONG);
	longest[MAIL_ADDRESS_MAX] = '\0';
	assert_int_equal(mail_address_check(longest), MAIL_ADDRESS_OK);
}

static void senders_are_read_from_the_configuration(void **state)
{
	(void)state;
	static const char *const good[][3] = {
		{"Example Bank <messages@example.com>", "Example Bank", "messages@example.com"},
		{"\"Bank, \\\"Inc\\\"\" <m@example.com>", "Bank, \"Inc\"", "m@example.com"},
		{"m@example.com", "", "m@example.com"},
		{" <m@example.com> ", "", "m@example.com"},
	};
	static const char *const bad[] = {"",
					  "Example Bank",
					  "Example <Bank",
					  "Bank <m@example.com> x",
					  "m@b\xc3\xbc.de",
					  "Bank\nBcc: x <m@example.com>"};
	struct mailbox box;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_true(mailbox_parse(good[i][0], &box, &error));
		assert_string_equal(box.name, good[i][1]);
		assert_string_equal(box.address, good[i][2]);
		mailbox_release(&box);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_false(mailbox_parse(bad[i], &box, &error));
		assert_true(error.len > 0);
		mailbox_release(&box);
	}
	text_release(&error);
}

static void utf8_is_taken_a_character_at_a_time(void **state)
{
	(void)state;
	static const struct {
		const char *s;
		size_t len;
		uint32_t point;
	} cases[] = {
		{"a", 1, 'a'},
		{"\xc3\xa9", 2, 0xe9},
		{"\xe2\x82\xac", 3, 0x20ac},
		{"\xf0\x9f\x98\x80", 4, 0x1f600},
		{"\x80", 1, UTF8_REPLACEMENT},
		{"\xc0\xaf", 1, UTF8_REPLACEMENT},
		{"\xe2\x82", 1, UTF8_REPLACEMENT},
		{"\xed\xa0\x80", 1, UTF8_REPLACEMENT},
		{"\xf4\x90\x80\x80", 1, UTF8_REPLACEMENT},
		{"\xff", 1, UTF8_REPLACEMENT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint32_t point;
		assert_int_equal(utf8_take(cases[i].s, strlen(cases[i].s), &point), cases[i].len);
		assert_int_equal(point, cases[i].point);
	}
}

static void on_the_wire_a_leading_dot_is_doubled_and_a_dot_ends_it(void **state)
{
	(void)state;
	static const struct {
		const char *mail, *wire;
	} cases[] = {{"a\r\n", "a\r\n.\r\n"},
		     {".\r\n", "..\r\n.\r\n"},
		     {"a.\r\n..b\r\n.\r\nc\r\n", "a.\r\n...b\r\n..\r\nc\r\n.\r\n"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct text mail, wire;
		text_init(&mail, 100);
		text_init(&wire, 100);
		text_puts(&mail, cases[i].mail);
		mail_text_wire(&mail, &wire);
		assert_string_equal(wire.data, cases[i].wire);
		text_release(&mail);
		text_release(&wire);
	}
}

static void a_list_has_its_three_headers_and_no_more_than_one_uri(void **state)
{
	struct mail mail = a_mail();

	(void)state;
	mail.list = "card-alerts/fraud warnings\r\nBcc: eve";
	mail.unsubscribe_url = "https://m.example.com/a-rather-long-path-of-a-company/u/"
			       "123456789012345678901234567890123456";
	char *built = build(mail);
	assert_non_null(strstr(
		built, "\r\nList-Unsubscribe: <https://m.example.com/a-rather-long-path-of-a-company/u/"
		       "123456789012345678901234567890123456>\r\n"
		       "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
	assert_non_null(strstr(built, "\r\nList-Id: <fraud-warnings--Bcc--eve.card-alerts."));
	free(built);
	mail.unsubscribe_url = "";
	built = build(mail);
	assert_null(strstr(built, "List-"));
	free(built);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_has_its_three_headers_and_no_more_than_one_uri),
		cmocka_unit_test(on_the_wire_a_leading_dot_is_doubled_and_a_dot_ends_it),
		cmocka_unit_test(a_plain_mail_byte_for_byte),
		cmocka_unit_test(text_and_html_are_alternatives_text_first),
		cmocka_unit_test(html_alone_is_one_part),
		cmocka_unit_test(no_text_can_hold_the_boundary),
		cmocka_unit_test(what_is_not_ascii_is_quoted_printable),
		cmocka_unit_test(long_lines_are_folded_and_characters_kept_whole),
		cmocka_unit_test(a_folded_line_does_not_go_on_with_from),
		cmocka_unit_test(every_end_of_line_becomes_crlf),
		cmocka_unit_test(controls_and_broken_utf8_do_not_travel),
		cmocka_unit_test(a_subject_cannot_add_a_header),
		cmocka_unit_test(subjects_beyond_ascii_are_encoded_words),
		cmocka_unit_test(long_subjects_are_folded_at_characters),
		cmocka_unit_test(long_ascii_subjects_are_folded_at_words),
		cmocka_unit_test(names_are_quoted_or_encoded_as_they_need),
		cmocka_unit_test(the_message_id_is_the_same_every_time_and_well_formed),
		cmocka_unit_test(dates_are_right_on_any_day),
		cmocka_unit_test(what_cannot_be_a_mail_is_refused_with_a_reason),
		cmocka_unit_test(addresses_that_smtp_can_carry),
		cmocka_unit_test(senders_are_read_from_the_configuration),
		cmocka_unit_test(utf8_is_taken_a_character_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
