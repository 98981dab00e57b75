/* What a relay's words say of a mail: the table of the contract, row by row. */
#include "smtp_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "banned.h"

#define REPLY(c, t) ((struct smtp_reply){.code = (c), .text = (t)})

/* A dialogue that has come to the envelope; what is not said did not happen. */
static struct smtp_dialogue envelope(struct smtp_reply mail, struct smtp_reply rcpt,
				     struct smtp_reply message)
{
	return (struct smtp_dialogue){.step = SMTP_ENVELOPE,
				      .mail = mail,
				      .rcpt = rcpt,
				      .message = message,
				      .said = "",
				      .trouble = ""};
}

static void assert_judged(struct smtp_dialogue d, enum outcome_kind kind, enum outcome_scope scope,
			  const char *code)
{
	struct outcome out = smtp_judge(&d);

	assert_string_equal(out.code, code);
	assert_int_equal(out.kind, kind);
	assert_int_equal(out.scope, scope);
}

static const struct smtp_reply none, ok = {.code = 250, .text = "ok"}, go = {.code = 354, .text = "go"};

static void the_codes_that_mean_a_dead_address(void **state)
{
	(void)state;
	static const struct {
		const char *words, *code;
		enum outcome_scope scope;
	} cases[] = {
		{"5.1.1 no such user", "550 5.1.1", SCOPE_ADDRESS},
		{"5.1.2 no such host", "550 5.1.2", SCOPE_ADDRESS},
		{"5.1.3 bad address", "550 5.1.3", SCOPE_ADDRESS},
		{"5.1.6 moved", "550 5.1.6", SCOPE_ADDRESS},
		{"5.1.10 null MX", "550 5.1.10", SCOPE_ADDRESS},
		{"5.1.0 other", "550 5.1.0", SCOPE_MESSAGE},
		{"5.1.11 what", "550 5.1.11", SCOPE_MESSAGE},
		{"5.7.1 not wanted", "550 5.7.1", SCOPE_MESSAGE},
		{"no such user", "550", SCOPE_MESSAGE},
		{"4.1.1 mixed up", "550", SCOPE_MESSAGE},
		{"5.1.1", "550 5.1.1", SCOPE_ADDRESS},
		{"see below\r\n5.1.1 no such user\r\n", "550 5.1.1", SCOPE_ADDRESS},
		{"the code is\n5.1.1x", "550", SCOPE_MESSAGE},
		{"5.1.1x no code", "550", SCOPE_MESSAGE},
		{"5.1 no such user", "550", SCOPE_MESSAGE},
		{"", "550", SCOPE_MESSAGE},
		{"5.1.1000 much", "550", SCOPE_MESSAGE},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_judged(envelope(ok, REPLY(550, cases[i].words), none), OUTCOME_REJECTED,
			      cases[i].scope, cases[i].code);
}

static void a_code_that_the_library_read_counts_as_well(void **state)
{
	(void)state;
	struct smtp_reply rcpt = {.code = 550, .enhanced = {5, 1, 1}, .text = "no such user"};
	struct smtp_dialogue d = envelope(ok, rcpt, none);
	struct outcome out = smtp_judge(&d);

	assert_string_equal(out.code, "550 5.1.1");
	assert_string_equal(out.text, "no such user");
	assert_int_equal(out.scope, SCOPE_ADDRESS);
}

static void a_refusal_counts_only_when_it_is_whole(void **state)
{
	(void)state;
	assert_judged(envelope(ok, REPLY(550, NULL), none), OUTCOME_RETRY, SCOPE_MESSAGE, "cut");
	assert_judged(envelope(REPLY(550, NULL), none, none), OUTCOME_RETRY, SCOPE_MESSAGE, "cut");
}

static void only_a_whole_final_2xx_is_accepted(void **state)
{
	(void)state;
	struct smtp_dialogue d = envelope(ok, ok, ok);

	d.body_begun = d.complete = true;
	assert_judged(d, OUTCOME_ACCEPTED, SCOPE_MESSAGE, "250");
	d.message = REPLY(250, NULL);
	assert_judged(d, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "cut");
	d.message = ok;
	d.complete = false; /* a chunk was answered, the mail wasn't */
	assert_judged(d, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "cut");
	d.complete = true;
	d.body_begun = false; /* DATA was answered so: what may that mean? */
	assert_judged(d, OUTCOME_RETRY, SCOPE_MESSAGE, "syntax");
}

static void the_doubt_begins_with_the_body(void **state)
{
	(void)state;
	struct smtp_dialogue d = envelope(ok, ok, go);

	assert_judged(d, OUTCOME_RETRY, SCOPE_MESSAGE, "syntax");
	d.message = none;
	assert_judged(d, OUTCOME_RETRY, SCOPE_MESSAGE, "cut");
	d.body_begun = true;
	d.message = go;
	assert_judged(d, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "cut");
	d.timed_out = true;
	assert_judged(d, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "timeout");
	d.said = "what?\r\n";
	assert_judged(d, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "syntax");
	d.rcpt = d.message = none; /* the body left with RCPT TO, and nothing was answered */
	d.said = "";
	assert_judged(d, OUTCOME_IN_DOUBT, SCOPE_MESSAGE, "timeout");
}

static void a_final_refusal_ends_the_doubt(void **state)
{
	(void)state;
	struct smtp_dialogue d = envelope(ok, ok, REPLY(451, "4.3.0 later"));

	d.body_begun = true;
	assert_judged(d, OUTCOME_RETRY, SCOPE_MESSAGE, "451 4.3.0");
	d.message = REPLY(554, "no");
	assert_judged(d, OUTCOME_REJECTED, SCOPE_MESSAGE, "554");
	d.message = REPLY(421, "4.3.2 closing");
	assert_judged(d, OUTCOME_RETRY, SCOPE_PROVIDER, "421 4.3.2");
}

static void the_sender_and_421_are_the_providers_fault(void **state)
{
	(void)state;
	assert_judged(envelope(REPLY(550, "not you"), none, none), OUTCOME_RETRY, SCOPE_PROVIDER, "550");
	assert_judged(envelope(REPLY(451, "later"), none, none), OUTCOME_RETRY, SCOPE_PROVIDER, "451");
	assert_judged(envelope(ok, REPLY(421, "closing"), none), OUTCOME_RETRY, SCOPE_PROVIDER, "421");
	assert_judged(envelope(ok, ok, REPLY(421, "closing")), OUTCOME_RETRY, SCOPE_PROVIDER, "421");
}

static void before_the_envelope_all_is_the_providers_fault(void **state)
{
	(void)state;
	static const struct {
		enum smtp_step step;
		const char *said, *code, *text;
		bool timed_out;
	} cases[] = {
		{SMTP_CONNECT, "", "connect", "Connection refused", false},
		{SMTP_CONNECT, "", "timeout", "no answer in time while connecting", true},
		{SMTP_GREETING, "554-5.3.2 no\r\n554 5.3.2 service\r\n", "554 5.3.2", "no 5.3.2 service",
		 false},
		{SMTP_GREETING, "421 busy\r\n", "421", "busy", false},
		{SMTP_GREETING, "HTTP/1.1 400 Bad Request\r\n", "syntax",
		 "the answer before the greeting makes no sense: HTTP/1.1 400 Bad Request", false},
		{SMTP_GREETING, "554 no", "cut", "the connection ended before the greeting", false},
		{SMTP_HELLO, "", "cut", "the connection ended at EHLO", false},
		{SMTP_HELLO, "250-relay\r\n", "timeout", "no answer in time at EHLO", true},
		{SMTP_AUTH, "535 5.7.8 wrong\r\n", "535 5.7.8", "wrong", false},
		{SMTP_AUTH, "250-relay\r\n250 SIZE\r\n", "auth",
		 "the relay offers no way to log in that heed knows (PLAIN, LOGIN, CRAM-MD5)", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct smtp_dialogue d = {.step = cases[i].step,
					  .said = cases[i].said,
					  .timed_out = cases[i].timed_out,
					  .trouble = "Connection refused"};
		struct outcome out = smtp_judge(&d);
		assert_string_equal(out.code, cases[i].code);
		assert_string_equal(out.text, cases[i].text);
		assert_int_equal(out.kind, OUTCOME_RETRY);
		assert_int_equal(out.scope, SCOPE_PROVIDER);
	}
}

static void the_relays_own_id_is_found(void **state)
{
	(void)state;
	static const struct {
		const char *words, *ref;
	} cases[] = {
		{"2.0.0 Ok: queued as 4FzX1bq2", "4FzX1bq2"},
		{"OK id=1rZ3a1-0004Xy-2B", "1rZ3a1-0004Xy-2B"},
		{"queued as 12.34.", "12.34"},
		{"queued as ", ""},
		{"accepted", ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct smtp_dialogue d = envelope(ok, ok, REPLY(250, cases[i].words));
		d.body_begun = d.complete = true;
		struct outcome out = smtp_judge(&d);
		assert_string_equal(out.provider_ref, cases[i].ref);
	}
}

static void long_words_are_cut_and_made_one_line(void **state)
{
	(void)state;
	char words[5000];
	memset(words, 'x', sizeof words - 1);
	words[sizeof words - 1] = '\0';
	memcpy(words, "one\r\n  two\t", 11);
	struct smtp_dialogue d = envelope(ok, REPLY(550, words), none);
	struct outcome out = smtp_judge(&d);
	assert_int_equal(strlen(out.text), OUTCOME_TEXT_MAX - 1);
	assert_memory_equal(out.text, "one two x", 9);
}

static void a_reply_is_read_once_it_is_whole(void **state)
{
	(void)state;
	static const struct {
		const char *said;
		int used, code;
		const char *text;
	} cases[] = {
		{"", 0, 0, ""},
		{"250 o", 0, 0, ""},
		{"250 ok\r\n", 8, 250, "ok\r\n"},
		{"250\r\n", 5, 250, ""},
		{"250-one\r\n", 0, 250, ""},
		{"250-one\r\n250 two\r\n354 go\r\n", 18, 250, "one\r\ntwo\r\n"},
		{"250-one\r\n251 two\r\n", -1, 250, ""},
		{"pardon?\r\n", -1, 0, ""},
		{"999 what\r\n", -1, 0, ""},
		{"2500 what\r\n", -1, 0, ""},
	};
	struct smtp_reply reply;
	struct text words;

	text_init(&words, TEXT_ERROR_MAX);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(smtp_reply_read(cases[i].said, &reply, &words), cases[i].used);
		assert_int_equal(reply.code, cases[i].code);
		if (cases[i].used > 0 && *cases[i].text)
			assert_string_equal(reply.text, cases[i].text);
		assert_true((reply.text != NULL) == (cases[i].used > 0));
	}
	text_release(&words);
}

static void what_tls_refuses_is_the_relays_fault_in_clear_words(void **state)
{
	(void)state;
	struct smtp_dialogue d = {
		.step = SMTP_TLS, .said = "220 go\r\n", .trouble = "certificate has expired"};
	struct outcome out = smtp_judge(&d);
	assert_int_equal(out.kind, OUTCOME_RETRY);
	assert_int_equal(out.scope, SCOPE_PROVIDER);
	assert_string_equal(out.code, "tls");
	assert_string_equal(out.text, "no safe connection: certificate has expired");
	assert_true(smtp_is_hopeless(d.step, &out));
	d.said = "454 4.7.0 TLS not available\r\n";
	assert_judged(d, OUTCOME_RETRY, SCOPE_PROVIDER, "454 4.7.0");
	d = (struct smtp_dialogue){.step = SMTP_TLS, .said = "", .trouble = "", .timed_out = true};
	assert_judged(d, OUTCOME_RETRY, SCOPE_PROVIDER, "timeout");
}

static void what_breaks_before_the_first_mail_is_told_from_a_refusal(void **state)
{
	(void)state;
	static const struct {
		enum smtp_step step;
		const char *said;
		bool timed_out, early;
	} cases[] = {
		{SMTP_GREETING, "", false, true},
		{SMTP_GREETING, "", true, true},
		{SMTP_GREETING, "what?\r\n", false, true},
		{SMTP_HELLO, "250-ha", false, true},
		{SMTP_AUTH, "", false, true},
		{SMTP_GREETING, "421 busy\r\n", false, false},
		{SMTP_AUTH, "535 no\r\n", false, false},
		{SMTP_CONNECT, "", false, false},
		{SMTP_CONNECT, "", true, false},
		{SMTP_TLS, "", true, false},
		{SMTP_ENVELOPE, "", false, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct smtp_dialogue d = {.step = cases[i].step,
					  .said = cases[i].said,
					  .trouble = "",
					  .timed_out = cases[i].timed_out};
		struct outcome out = smtp_judge(&d);
		assert_int_equal(out.kind, OUTCOME_RETRY);
		assert_true(smtp_broke_early(d.step, &out) == cases[i].early);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_is_read_once_it_is_whole),
		cmocka_unit_test(what_breaks_before_the_first_mail_is_told_from_a_refusal),
		cmocka_unit_test(what_tls_refuses_is_the_relays_fault_in_clear_words),
		cmocka_unit_test(the_codes_that_mean_a_dead_address),
		cmocka_unit_test(a_code_that_the_library_read_counts_as_well),
		cmocka_unit_test(a_refusal_counts_only_when_it_is_whole),
		cmocka_unit_test(only_a_whole_final_2xx_is_accepted),
		cmocka_unit_test(the_doubt_begins_with_the_body),
		cmocka_unit_test(a_final_refusal_ends_the_doubt),
		cmocka_unit_test(the_sender_and_421_are_the_providers_fault),
		cmocka_unit_test(before_the_envelope_all_is_the_providers_fault),
		cmocka_unit_test(the_relays_own_id_is_found),
		cmocka_unit_test(long_words_are_cut_and_made_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
