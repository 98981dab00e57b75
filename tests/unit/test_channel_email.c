/* Mail over SMTP against a relay that does what a script says: every way in which a dialogue can end, and
 * what heed then says of the mail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "config.h"
#include "descriptors.h"
#include "moment.h"
#include "scratch.h"
#include "smtp_relay.h"
#include "words.h"
#include "xalloc.h"
#include "banned.h"

#define WAIT_MS 20000
#define ATTEMPTS_MAX 400

extern const struct channel_ops channel_email_ops;

/* --- the turn's side --- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t count;
} reports = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static const char *text_to_render;

static struct channel_config config;
static struct channel *channel;
static struct attempt attempts[ATTEMPTS_MAX];

static void take_report(void *context, struct attempt *attempt)
{
	(void)context;
	pthread_mutex_lock(&reports.lock);
	attempt->epoch++; /* how often it was reported */
	reports.count++;
	pthread_cond_broadcast(&reports.changed);
	pthread_mutex_unlock(&reports.lock);
}

static void channel_start_at(const char *url, int sessions, int64_t timeout)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	text_to_render = "Hello\n.a line that begins with a dot\n.\nbye\n";
	reports.count = 0;
	memset(attempts, 0, sizeof attempts);
	config = (struct channel_config){
		.name = "email",
		.ops = &channel_email_ops,
		.timeout = timeout,
		.settings = json_pack("{s:s,s:s,s:s,s:i,s:s}", "relay", url, "from",
				      "Example Bank <messages@example.com>", "envelope_from",
				      "bounces@example.com", "sessions", sessions, "ca",
				      relay.transport == IN_THE_CLEAR ? "" : relay_ca()),
	};
	channel = channel_open(&config, (struct outcome_sink){.report = take_report}, &error);
	assert_string_equal(error.data, "");
	assert_non_null(channel);
	text_release(&error);
}

static void channel_start(int sessions, int64_t timeout)
{
	channel_start_at(relay_url(""), sessions, timeout);
}

/* An attempt with all that a channel may look at. */
static struct attempt *attempt_fill(size_t i, const char *address)
{
	struct attempt *a = &attempts[i];

	a->message_id = xasprintf("m-%zu", i);
	a->customer_id = xstrdup("c-1");
	a->customer_name = xstrdup("Ana");
	a->product = xstrdup("card-alerts");
	a->product_title = xstrdup("Card alerts");
	a->locale = xstrdup("en");
	a->address = xstrdup(address);
	a->address_details = xstrdup("");
	a->traceparent = xstrdup("");
	a->content = json_pack("{s:s,s:s}", "subject", "A payment", "text", text_to_render);
	a->data = json_object();
	a->meta = json_object();
	a->lease_until = MOMENT_NEVER;
	return a;
}

static struct attempt *hand_over(size_t i, const char *address)
{
	struct attempt *a = attempt_fill(i, address);

	while (!channel_credit_left(channel))
		usleep(500);
	channel_send(channel, a);
	return a;
}

static void wait_for(size_t count)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_MS / 1000;
	pthread_mutex_lock(&reports.lock);
	while (reports.count < count && pthread_cond_timedwait(&reports.changed, &reports.lock, &until) == 0)
		;
	size_t have = reports.count;
	pthread_mutex_unlock(&reports.lock);
	assert_int_equal(have, count);
}

/* Closes both sides; each attempt was reported once. */
static void finish(size_t count)
{
	channel_close(channel, 5 * MOMENT_S);
	if (relay.port) {
		relay_stop();
	}
	for (size_t i = 0; i < count; i++)
		assert_int_equal(attempts[i].epoch, 1);
	assert_int_equal(reports.count, count);
}

static void release(size_t count)
{
	for (size_t i = 0; i < count; i++) /* attempt_free wants one of its own */
		attempt_free(memcpy(xmalloc(sizeof attempts[i]), &attempts[i], sizeof attempts[i]));
	json_decref(config.settings);
	if (relay.port)
		relay_release();
}

/* One mail to a relay with this script; what became of it. */
static struct outcome one_mail_within(struct script script, int64_t timeout)
{
	relay_start(script);
	channel_start(1, timeout);
	hand_over(0, "ana@example.org");
	wait_for(1);
	finish(1);
	struct outcome outcome = attempts[0].outcome;
	outcome.summary = outcome.content = NULL;
	release(1);
	return outcome;
}

static struct outcome one_mail(struct script script)
{
	return one_mail_within(script, 10 * MOMENT_S);
}

static void assert_outcome(struct outcome outcome, enum outcome_kind kind, enum outcome_scope scope,
			   const char *code)
{
	if (outcome.kind != kind || outcome.scope != scope || strcmp(outcome.code, code) != 0)
		print_message("got kind %d scope %d code '%s' text '%s'\n", (int)outcome.kind,
			      (int)outcome.scope, outcome.code, outcome.text);
	assert_int_equal(outcome.kind, kind);
	assert_int_equal(outcome.scope, scope);
	assert_string_equal(outcome.code, code);
}

#define ACCEPTED OUTCOME_ACCEPTED, SCOPE_MESSAGE
#define RETRY OUTCOME_RETRY, SCOPE_MESSAGE
#define PROVIDER OUTCOME_RETRY, SCOPE_PROVIDER
#define REJECTED OUTCOME_REJECTED, SCOPE_MESSAGE
#define DEAD OUTCOME_REJECTED, SCOPE_ADDRESS
#define DOUBT OUTCOME_IN_DOUBT, SCOPE_MESSAGE
#define NOT_BEGUN OUTCOME_NOT_BEGUN, SCOPE_MESSAGE

/* --- taken --- */

static size_t count_of(const char *hay, const char *needle)
{
	size_t n = 0;
	for (const char *at = hay; (at = strstr(at, needle)) != NULL; at += strlen(needle))
		n++;
	return n;
}

static void a_mail_is_taken_with_the_relays_code_text_and_id(void **state)
{
	(void)state;
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	hand_over(0, "ana@example.org");
	wait_for(1);
	finish(1);
	assert_outcome(attempts[0].outcome, ACCEPTED, "250 2.0.0");
	assert_string_equal(attempts[0].outcome.text, "Ok: queued as 4FzX1b");
	assert_string_equal(attempts[0].outcome.provider_ref, "4FzX1b");
	assert_string_equal(attempts[0].outcome.summary, "A payment");
	assert_non_null(strstr(relay.log.data,
			       "MAIL FROM:<bounces@example.com>\r\nRCPT TO:<ana@example.org>\r\nDATA\r\n"));
	release(1);
}

static void the_mail_arrives_as_it_was_made(void **state)
{
	(void)state;
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	hand_over(0, "ana@example.org");
	wait_for(1);
	finish(1);
	const char *mail = relay.content.data;
	const char *only[] = {"Date: ",
			      "From: Example Bank <messages@example.com>\r\n",
			      "To: Ana <ana@example.org>\r\n",
			      "Subject: A payment\r\n",
			      "Message-ID: <m-0@example.com>\r\n",
			      "MIME-Version: 1.0\r\n",
			      "Auto-Submitted: auto-generated\r\n",
			      "Content-Type: "};
	for (size_t i = 0; i < sizeof only / sizeof only[0]; i++)
		assert_int_equal(count_of(mail, only[i]), 1);
	assert_int_equal(count_of(mail, "essage-"), 1); /* libesmtp adds none of its own */
	/* as on the wire: a dot before each dot */
	assert_non_null(strstr(mail, "\r\n\r\nHello\r\n..a line that begins with a dot\r\n..\r\nbye\r\n"));
	for (const char *at = mail; (at = strchr(at, '\n')) != NULL; at++)
		assert_int_equal(at[-1], '\r');
	release(1);
}

/* `size` bytes or a little more, with characters that have to be encoded. */
static char *long_text(size_t size)
{
	struct text text;

	text_init(&text, 2 * size + 100);
	for (int i = 0; text.len < size; i++)
		text_addf(&text, "a line of a long mail, number %d: \xc3\xa9\n", i);
	text_puts(&text, "the end\n");
	return text_detach(&text);
}

static void a_large_mail_is_taken_whole(void **state)
{
	(void)state;
	char *large = long_text(500000);
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	text_to_render = large;
	for (size_t i = 0; i < 3; i++)
		hand_over(i, "ana@example.org");
	wait_for(3);
	finish(3);
	for (size_t i = 0; i < 3; i++)
		assert_outcome(attempts[i].outcome, ACCEPTED, "250 2.0.0");
	assert_int_equal(count_of(relay.content.data, "number 12000: =C3=A9\r\n"), 3);
	assert_int_equal(count_of(relay.content.data, "the end\r\n"), 3);
	release(3);
	free(large);
}

static void a_mail_of_several_packets_does_not_stall(void **state)
{
	(void)state;
	char *text = long_text(10000);
	int64_t fastest = MOMENT_NEVER;
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	text_to_render = text;
	for (size_t i = 0; i < 50; i++) {
		int64_t begin = moment_mono();
		hand_over(i, "ana@example.org");
		wait_for(i + 1);
		int64_t took = moment_mono() - begin;
		fastest = took < fastest ? took : fastest;
	}
	finish(50);
	assert_true(fastest < 40 * MOMENT_MS); /* without TCP_NODELAY: 44 ms each */
	release(50);
	free(text);
}

static void chunks_are_as_good_as_data(void **state)
{
	(void)state;
	const char *ehlos[] = {CHUNKS, "250-relay\r\n250 CHUNKING"};
	for (size_t k = 0; k < 2; k++) {
		relay_start((struct script){.ehlo = ehlos[k]});
		channel_start(1, 10 * MOMENT_S);
		for (size_t i = 0; i < 20; i++)
			hand_over(i, "ana@example.org");
		wait_for(20);
		finish(20);
		for (size_t i = 0; i < 20; i++)
			assert_outcome(attempts[i].outcome, ACCEPTED, "250 2.0.0");
		assert_int_equal(relay.connection_count, 1);
		assert_int_equal(count_of(relay.content.data,
					  "\r\n\r\nHello\r\n.a line that begins with a dot\r\n.\r\nbye\r\n"),
				 20);
		release(20);
	}
}

static void a_session_carries_many_mails(void **state)
{
	(void)state;
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	for (size_t i = 0; i < 250; i++)
		hand_over(i, "ana@example.org");
	wait_for(250);
	finish(250);
	for (size_t i = 0; i < 250; i++)
		assert_int_equal(attempts[i].outcome.kind, OUTCOME_ACCEPTED);
	assert_int_equal(relay.connection_count, 3);
	assert_int_equal(relay.mails, 250);
	release(250);
}

static void a_steady_stream_stays_in_one_session(void **state)
{
	(void)state;
	relay_start((struct script){0});
	channel_start(4, 10 * MOMENT_S);
	for (size_t i = 0; i < 20; i++) {
		hand_over(i, "ana@example.org");
		wait_for(i + 1);
		usleep(20000);
	}
	finish(20);
	assert_int_equal(relay.connection_count, 1);
	release(20);
}

static void several_sessions_work_at_once(void **state)
{
	(void)state;
	relay_start((struct script){.pause_ms = 100});
	channel_start(4, 10 * MOMENT_S);
	int64_t begin = moment_mono();
	for (size_t i = 0; i < 20; i++)
		hand_over(i, "ana@example.org");
	wait_for(20);
	assert_true(moment_mono() - begin < 1500 * MOMENT_MS);
	finish(20);
	assert_int_equal(relay.connection_count, 4);
	release(20);
}

static void odd_but_valid_answers_are_understood(void **state)
{
	(void)state;
	assert_outcome(one_mail((struct script){.greeting = SLOW "220-hello\r\n220 relay",
						.ehlo = SLOW "250 relay",
						.mail = SLOW "250 ok",
						.rcpt = SLOW "250 ok",
						.data = SLOW "354 go",
						.final = SLOW "250 ok"}),
		       ACCEPTED, "250");
	assert_outcome(one_mail((struct script){.mail = "250-2.1.0 one\r\n250 2.1.0 two",
						.rcpt = "250-one\r\n250 two",
						.final = "250-2.0.0 one\r\n250 2.0.0 two"}),
		       ACCEPTED, "250 2.0.0");
	assert_outcome(one_mail((struct script){.ehlo = "502 what"}), ACCEPTED, "250 2.0.0");
}

/* --- refused --- */

static void a_refused_recipient_is_final(void **state)
{
	(void)state;
	struct outcome out = one_mail((struct script){.rcpt = "550 5.1.1 no such user"});
	assert_outcome(out, DEAD, "550 5.1.1");
	assert_string_equal(out.text, "no such user");
	assert_outcome(one_mail((struct script){.rcpt = "550 no such user"}), REJECTED, "550");
	assert_outcome(one_mail((struct script){.rcpt = "554 5.7.1 not wanted"}), REJECTED, "554 5.7.1");
	assert_outcome(one_mail((struct script){.rcpt = "553 5.1.10 null MX"}), DEAD, "553 5.1.10");
	assert_outcome(one_mail((struct script){.rcpt = "550-5.1.1 no\r\n550 5.1.1 really no"}), DEAD,
		       "550 5.1.1");
	/* where the relay does not announce such codes it may use them all the same */
	assert_outcome(one_mail((struct script){.ehlo = "250 relay", .rcpt = "550 5.1.1 no such user"}), DEAD,
		       "550 5.1.1");
	/* and where DATA is accepted after it, or the body comes in chunks */
	assert_outcome(one_mail((struct script){.ehlo = "250-relay\r\n250 CHUNKING", .rcpt = "550 no"}),
		       REJECTED, "550");
	assert_outcome(
		one_mail((struct script){.ehlo = CHUNKS, .rcpt = "550 no", .final = "503 no recipient"}),
		REJECTED, "550");
}

static void a_refused_mail_is_final(void **state)
{
	(void)state;
	assert_outcome(one_mail((struct script){.data = "554 5.6.0 no"}), REJECTED, "554 5.6.0");
	assert_outcome(one_mail((struct script){.final = "552 5.3.4 too big"}), REJECTED, "552 5.3.4");
	assert_outcome(one_mail((struct script){.final = "550 5.1.1 no such user after all"}), DEAD,
		       "550 5.1.1");
}

static void a_4xx_is_tried_again(void **state)
{
	(void)state;
	assert_outcome(one_mail((struct script){.rcpt = "451 4.7.1 greylisted"}), RETRY, "451 4.7.1");
	assert_outcome(one_mail((struct script){.data = "451 later"}), RETRY, "451");
	assert_outcome(one_mail((struct script){.final = "452 4.3.1 full"}), RETRY, "452 4.3.1");
}

static void refusals_leave_the_session_to_the_next_mail(void **state)
{
	(void)state;
	const struct script scripts[] = {{.rcpt = "550 5.1.1 no", .from = 0},
					 {.final = "452 4.3.1 full"},
					 {.rcpt = "450 4.2.0 later", .ehlo = CHUNKS}};
	for (size_t k = 0; k < sizeof scripts / sizeof scripts[0]; k++) {
		relay_start(scripts[k]);
		channel_start(1, 10 * MOMENT_S);
		for (size_t i = 0; i < 10; i++)
			hand_over(i, "ana@example.org");
		wait_for(10);
		finish(10);
		for (size_t i = 0; i < 10; i++)
			assert_true(attempts[i].outcome.kind == OUTCOME_REJECTED ||
				    attempts[i].outcome.kind == OUTCOME_RETRY);
		assert_int_equal(relay.connection_count, 1);
		release(10);
	}
}

/* --- the relay's own trouble --- */

static void what_is_the_relays_fault_is_not_the_mails(void **state)
{
	(void)state;
	assert_outcome(one_mail((struct script){.greeting = "554 5.3.2 no service"}), PROVIDER, "554 5.3.2");
	assert_outcome(one_mail((struct script){.greeting = "421 4.3.2 busy"}), PROVIDER, "421 4.3.2");
	assert_outcome(one_mail((struct script){.ehlo = "451 4.3.0 not now"}), PROVIDER, "451 4.3.0");
	assert_outcome(one_mail((struct script){.ehlo = "421 4.3.0 not now"}), PROVIDER, "421 4.3.0");
	assert_outcome(one_mail((struct script){.mail = "550 5.7.1 not you"}), PROVIDER, "550 5.7.1");
	assert_outcome(one_mail((struct script){.mail = "451 4.3.0 later"}), PROVIDER, "451 4.3.0");
}

static void what_breaks_before_the_first_mail_is_a_try_of_it(void **state)
{
	(void)state;
	assert_outcome(one_mail((struct script){.greeting = CLOSE}), RETRY, "cut");
	assert_outcome(one_mail((struct script){.greeting = "hello, is this HTTP?"}), RETRY, "syntax");
	assert_outcome(one_mail((struct script){.ehlo = CLOSE}), RETRY, "cut");
}

static void a_relay_that_only_breaks_off_is_at_fault(void **state)
{
	(void)state;
	relay_start((struct script){.greeting = CLOSE});
	channel_start(1, 10 * MOMENT_S);
	for (size_t i = 0; i < 4; i++) {
		hand_over(i, "ana@example.org");
		wait_for(i + 1);
	}
	finish(4);
	assert_outcome(attempts[0].outcome, RETRY, "cut");
	assert_outcome(attempts[1].outcome, RETRY, "cut");
	assert_outcome(attempts[2].outcome, PROVIDER, "cut");
	assert_outcome(attempts[3].outcome, PROVIDER, "cut");
	release(4);
}

static void a_421_is_the_relays_fault_at_every_step(void **state)
{
	(void)state;
	assert_outcome(one_mail((struct script){.mail = "421 4.3.2 closing"}), PROVIDER, "421 4.3.2");
	assert_outcome(one_mail((struct script){.rcpt = "421 4.3.2 closing"}), PROVIDER, "421 4.3.2");
	assert_outcome(one_mail((struct script){.data = "421 4.3.2 closing"}), PROVIDER, "421 4.3.2");
	assert_outcome(one_mail((struct script){.final = "421 4.3.2 closing"}), PROVIDER, "421 4.3.2");
}

static void a_relay_that_is_not_there_fails_all_at_once(void **state)
{
	(void)state;
	relay = (struct relay){.transport = relay.transport};
	relay_bind();
	const char *url = relay_url("");
	close(relay.listener);
	relay.port = 0;
	channel_start_at(url, 2, 10 * MOMENT_S);
	for (size_t i = 0; i < 50; i++)
		hand_over(i, "ana@example.org");
	wait_for(50);
	finish(50);
	for (size_t i = 0; i < 50; i++) {
		assert_outcome(attempts[i].outcome, PROVIDER, "connect");
		assert_string_equal(attempts[i].outcome.text, "Connection refused");
	}
	release(50);
}

/* With those that wait behind the one that found it out. */
static void without_descriptors_none_is_the_relays_fault(void **state)
{
	enum { COUNT = 20 };

	(void)state;
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	for (size_t i = 0; i < COUNT; i++)
		attempt_fill(i, "ana@example.org");
	errno = EMFILE;
	assert_true(descriptors_ran_out()); /* nobody who carries messages asks for one in the next 2 s */
	for (size_t i = 0; i < COUNT; i++)
		channel_send(channel, &attempts[i]);
	wait_for(COUNT);
	assert_true(descriptors_left());
	finish(COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_outcome(attempts[i].outcome, NOT_BEGUN, OUTCOME_CODE_DESCRIPTORS);
	release(COUNT);
}

static void a_name_that_nobody_knows_is_the_relays_fault(void **state)
{
	(void)state;
	relay = (struct relay){.transport = relay.transport};
	channel_start_at(relay.transport == IN_THE_CLEAR ? "smtp://no-such-relay.invalid:25"
			 : relay.transport == STARTTLS   ? "smtp+starttls://no-such-relay.invalid"
							 : "smtps://no-such-relay.invalid",
			 1, 10 * MOMENT_S);
	hand_over(0, "ana@example.org");
	wait_for(1);
	finish(1);
	assert_outcome(attempts[0].outcome, PROVIDER, "connect");
	release(1);
}

static void a_connection_that_nobody_answers_ends_in_time(void **state)
{
	(void)state;
	int fill[8];
	relay = (struct relay){.transport = relay.transport};
	relay_bind();
	/* a full backlog: the kernel drops what more comes */
	assert_int_equal(listen(relay.listener, 0), 0);
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)relay.port)};
	for (size_t i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fill[i], (struct sockaddr *)&at, sizeof at);
	}
	int64_t begin = moment_mono();
	channel_start(1, 1 * MOMENT_S);
	for (size_t i = 0; i < 20; i++)
		hand_over(i, "ana@example.org");
	wait_for(20);
	assert_true(moment_mono() - begin < 2500 * MOMENT_MS); /* connect() itself gave up */
	relay.port = 0;
	finish(20);
	for (size_t i = 0; i < 20; i++)
		assert_outcome(attempts[i].outcome, PROVIDER, "timeout");
	for (size_t i = 0; i < 8; i++)
		close(fill[i]);
	close(relay.listener);
	release(20);
}

/* --- broken off --- */

static void what_breaks_before_the_body_is_tried_again(void **state)
{
	(void)state;
	assert_outcome(one_mail((struct script){.mail = CLOSE}), RETRY, "cut");
	assert_outcome(one_mail((struct script){.rcpt = CLOSE}), RETRY, "cut");
	assert_outcome(one_mail((struct script){.data = CLOSE}), RETRY, "cut");
	assert_outcome(one_mail((struct script){.ehlo = CHUNKS, .rcpt = CLOSE}), RETRY, "cut");
	assert_outcome(one_mail((struct script){.mail = "what?"}), RETRY, "syntax");
	assert_outcome(one_mail((struct script){.ehlo = CHUNKS, .rcpt = "what?"}), RETRY, "syntax");
	assert_outcome(one_mail((struct script){.rcpt = "333 what?"}), RETRY, "syntax");
	assert_outcome(one_mail((struct script){.rcpt = "pardon"}), RETRY, "syntax");
	assert_outcome(one_mail((struct script){.data = "250 done already"}), RETRY, "syntax");
}

static void what_breaks_from_the_body_on_is_in_doubt(void **state)
{
	(void)state;
	assert_outcome(one_mail((struct script){.cut_in_body = true}), DOUBT, "cut");
	assert_outcome(one_mail((struct script){.final = CLOSE}), DOUBT, "cut");
	assert_outcome(one_mail((struct script){.final = "done"}), DOUBT, "syntax");
	assert_outcome(one_mail((struct script){.final = "354 go on and on"}), DOUBT, "cut");
	assert_outcome(one_mail((struct script){.final = "999 what"}), DOUBT, "syntax");
	assert_outcome(one_mail((struct script){.ehlo = CHUNKS, .final = CLOSE}), DOUBT, "cut");
}

static void a_relay_that_hangs_is_left_in_time(void **state)
{
	(void)state;
	const struct {
		struct script script;
		enum outcome_kind kind;
		enum outcome_scope scope;
	} cases[] = {
		{{.greeting = HANG}, RETRY}, {{.ehlo = HANG}, RETRY}, {{.mail = HANG}, RETRY},
		{{.rcpt = HANG}, RETRY},     {{.data = HANG}, RETRY}, {{.final = HANG}, DOUBT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t begin = moment_mono();
		assert_outcome(one_mail_within(cases[i].script, 1 * MOMENT_S), cases[i].kind, cases[i].scope,
			       "timeout");
		assert_true(moment_mono() - begin < 3 * MOMENT_S);
	}
}

static void a_relay_that_drips_is_left_in_time(void **state)
{
	(void)state;
	int64_t begin = moment_mono();
	assert_outcome(one_mail_within((struct script){.mail = DRIP
						       "250 one byte after the other, for ever and ever"},
				       1 * MOMENT_S),
		       RETRY, "timeout");
	assert_true(moment_mono() - begin < 6 * MOMENT_S);
}

static void nobody_waits_long_for_an_answer_to_quit(void **state)
{
	(void)state;
	int64_t begin = moment_mono();
	assert_outcome(one_mail_within((struct script){.quit = HANG}, 1 * MOMENT_S), ACCEPTED, "250 2.0.0");
	assert_outcome(
		one_mail_within((struct script){.greeting = "554 5.3.2 no", .quit = HANG}, 1 * MOMENT_S),
		PROVIDER, "554 5.3.2");
	assert_true(moment_mono() - begin < 6 * MOMENT_S);
}

static void a_session_that_the_relay_ends_costs_the_next_mail_nothing(void **state)
{
	(void)state;
	const char *ends[] = {NULL, "421 4.7.0 too many mails in one session"};
	for (size_t k = 0; k < 2; k++) {
		relay_start((struct script){.limit = 3, .over = ends[k]});
		channel_start(1, 10 * MOMENT_S);
		for (size_t i = 0; i < 10; i++)
			hand_over(i, "ana@example.org");
		wait_for(10);
		finish(10);
		for (size_t i = 0; i < 10; i++)
			assert_outcome(attempts[i].outcome, ACCEPTED, "250 2.0.0");
		assert_int_equal(relay.connection_count, 4);
		release(10);
	}
}

/* --- taken back, closed --- */

static void what_was_called_back_does_not_leave(void **state)
{
	(void)state;
	relay_start((struct script){.pause_ms = 200});
	channel_start(1, 10 * MOMENT_S);
	for (size_t i = 0; i < 5; i++)
		hand_over(i, "ana@example.org");
	usleep(100000);
	for (size_t i = 2; i < 5; i++)
		assert_true(attempt_call_back(&attempts[i]));
	wait_for(5);
	finish(5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(attempts[i].outcome.kind, i < 2 ? OUTCOME_ACCEPTED : OUTCOME_NOT_BEGUN);
	assert_int_equal(relay.mails, 2);
	release(5);
}

static void a_no_at_the_last_moment_keeps_the_body_back(void **state)
{
	(void)state;
	relay_start((struct script){.data = LATE "354 go on", .from = 1});
	channel_start(1, 10 * MOMENT_S);
	hand_over(0, "ana@example.org");
	wait_for(1);
	hand_over(1, "bob@example.org");
	usleep(200000); /* it is at DATA now */
	assert_true(attempt_call_back(&attempts[1]));
	wait_for(2);
	finish(2);
	assert_outcome(attempts[0].outcome, ACCEPTED, "250 2.0.0");
	assert_int_equal(attempts[1].outcome.kind, OUTCOME_NOT_BEGUN);
	assert_non_null(strstr(relay.log.data, "bob@example.org"));
	assert_null(strstr(relay.content.data, "bob@example.org"));
	release(2);
}

static void a_lease_that_is_over_begins_nothing(void **state)
{
	(void)state;
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	struct attempt *a = attempt_fill(0, "ana@example.org");
	a->lease_until = moment_mono() - 1;
	channel_send(channel, a);
	wait_for(1);
	finish(1);
	assert_int_equal(a->outcome.kind, OUTCOME_NOT_BEGUN);
	assert_int_equal(relay.mails, 0);
	release(1);
}

static void closing_reports_everything_once(void **state)
{
	(void)state;
	relay_start((struct script){.final = HANG, .from = 1});
	channel_start(1, 10 * MOMENT_S);
	for (size_t i = 0; i < 10; i++)
		hand_over(i, "ana@example.org");
	wait_for(1);
	usleep(100000);
	int64_t begin = moment_mono();
	channel_close(channel, 300 * MOMENT_MS);
	assert_true(moment_mono() - begin < 1500 * MOMENT_MS);
	relay_stop();
	assert_int_equal(attempts[0].outcome.kind, OUTCOME_ACCEPTED);
	assert_int_equal(attempts[1].outcome.kind, OUTCOME_IN_DOUBT);
	for (size_t i = 2; i < 10; i++)
		assert_int_equal(attempts[i].outcome.kind, OUTCOME_NOT_BEGUN);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(attempts[i].epoch, 1);
	release(10);
}

static void closing_waits_for_what_is_on_its_way(void **state)
{
	(void)state;
	relay_start((struct script){.pause_ms = 500});
	channel_start(1, 10 * MOMENT_S);
	hand_over(0, "ana@example.org");
	usleep(200000);
	finish(1);
	assert_int_equal(attempts[0].outcome.kind, OUTCOME_ACCEPTED);
	release(1);
}

static void closing_cuts_a_connection_that_is_being_made(void **state)
{
	(void)state;
	int fill[8];
	relay = (struct relay){.transport = relay.transport};
	relay_bind();
	assert_int_equal(listen(relay.listener, 0), 0);
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)relay.port)};
	for (size_t i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fill[i], (struct sockaddr *)&at, sizeof at);
	}
	channel_start(1, 30 * MOMENT_S);
	hand_over(0, "ana@example.org");
	usleep(200000);
	int64_t begin = moment_mono();
	channel_close(channel, 100 * MOMENT_MS);
	assert_true(moment_mono() - begin < 2 * MOMENT_S);
	assert_int_equal(attempts[0].outcome.kind, OUTCOME_NOT_BEGUN);
	for (size_t i = 0; i < 8; i++)
		close(fill[i]);
	close(relay.listener);
	relay.port = 0;
	release(1);
}

/* --- what can't be sent --- */

static void an_address_that_smtp_cannot_carry_is_rejected(void **state)
{
	(void)state;
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	hand_over(0, "j\xc3\xb6rg@example.org");
	hand_over(1, "a@example.org>\r\nRCPT TO:<b@example.org");
	wait_for(2);
	finish(2);
	assert_outcome(attempts[0].outcome, REJECTED, "553 5.6.7");
	assert_outcome(attempts[1].outcome, REJECTED, "553");
	assert_int_equal(relay.mails, 0);
	release(2);
}

static void what_cannot_be_rendered_is_our_own_fault(void **state)
{
	(void)state;
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	text_to_render = "";
	hand_over(0, "ana@example.org");
	wait_for(1);
	finish(1);
	assert_outcome(attempts[0].outcome, OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "");
	assert_true(*attempts[0].outcome.text != 0);
	release(1);
}

/* --- AUTH --- */

static struct outcome one_mail_with_password(struct script script)
{
	relay_start(script);
	channel_start_at(relay_url("shop:s%40fe@"), 1, 10 * MOMENT_S);
	hand_over(0, "ana@example.org");
	wait_for(1);
	finish(1);
	return attempts[0].outcome;
}

static void a_password_is_used_and_without_it_nothing_leaves(void **state)
{
	(void)state;
	assert_outcome(one_mail_with_password((struct script){.ehlo = "250-relay\r\n250 AUTH PLAIN"}),
		       ACCEPTED, "250 2.0.0");
	assert_non_null(strstr(relay.log.data, "AUTH PLAIN"));
	assert_non_null(strstr(relay.log.data, "AHNob3AAc0BmZQ==\r\n")); /* \0shop\0s@fe */
	release(1);
	assert_outcome(one_mail_with_password((struct script){.ehlo = "250-relay\r\n250 AUTH PLAIN",
							      .auth = "535 5.7.8 wrong password"}),
		       PROVIDER, "535 5.7.8");
	assert_int_equal(relay.mails, 0);
	release(1);
	assert_outcome(one_mail_with_password((struct script){.ehlo = "250 relay"}), PROVIDER, "auth");
	assert_int_equal(relay.mails, 0);
	release(1);
	assert_outcome(one_mail_with_password((struct script){.ehlo = "250-relay\r\n250 AUTH GSSAPI"}),
		       PROVIDER, "auth");
	assert_int_equal(relay.mails, 0);
	release(1);
}

/* --- configuration and probe --- */

static void mistakes_in_the_settings_are_named(void **state)
{
	(void)state;
	struct channel_config bad = {.name = "email", .timeout = MOMENT_S};
	struct text errors;

	text_init(&errors, TEXT_ERROR_MAX);
	bad.settings = json_pack("{s:s,s:s,s:i}", "relay", "smtp://u:secret@mail.example.com", "from",
				 "nobody", "sessions", 65);
	assert_false(channel_email_ops.check(&bad, &errors));
	assert_non_null(strstr(errors.data, "relay: "));
	assert_non_null(strstr(errors.data, "from: "));
	assert_non_null(strstr(errors.data, "sessions: "));
	assert_null(strstr(errors.data, "secret"));
	assert_int_equal(count_of(errors.data, "\n"), 3);
	assert_null(channel_email_ops.open(&bad, (struct outcome_sink){0}, &errors));
	json_decref(bad.settings);
	text_clear(&errors);
	bad.settings = json_pack("{s:s,s:s}", "relay", "smtp://127.0.0.1", "from", "Bank <m@example.com>");
	assert_true(channel_email_ops.check(&bad, &errors));
	assert_string_equal(errors.data, "");
	json_decref(bad.settings);
	text_release(&errors);
}

static void the_probe_says_whether_the_relay_answers(void **state)
{
	(void)state;
	const struct {
		const char *greeting, *error;
	} cases[] = {{NULL, ""}, {"554 no", "554"}};
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	for (size_t i = 0; i < 2; i++) {
		relay_start((struct script){.greeting = cases[i].greeting});
		struct channel_config probed = {
			.name = "email",
			.settings =
				json_pack("{s:s,s:s,s:s}", "relay", relay_url(""), "from", "m@example.com",
					  "ca", relay.transport == IN_THE_CLEAR ? "" : relay_ca())};
		assert_int_equal(channel_email_ops.probe(&probed, &error), i == 0);
		assert_non_null(strstr(error.data, cases[i].error));
		json_decref(probed.settings);
		relay_stop();
		relay_release();
	}
	text_release(&error);
}

/* --- TLS --- */

/* What became of a mail for which there was no safe connection; the relay saw no envelope and no password. */
static struct outcome unsafe(struct script script)
{
	relay_start(script);
	channel_start_at(relay_url("shop:s%40fe@"), 1, 10 * MOMENT_S);
	for (size_t i = 0; i < 5; i++)
		hand_over(i, "ana@example.org");
	wait_for(5);
	finish(5);
	assert_int_equal(relay.mails, 0);
	assert_null(strstr(relay.log.data, "AUTH"));
	assert_string_equal(relay.content.data, "");
	for (size_t i = 1; i < 5; i++)
		assert_int_equal(attempts[i].outcome.scope, SCOPE_PROVIDER);
	struct outcome outcome = attempts[0].outcome;
	outcome.summary = outcome.content = NULL;
	release(5);
	return outcome;
}

static void a_certificate_that_is_not_right_is_the_relays_fault_and_nothing_leaves(void **state)
{
	(void)state;
	const struct {
		const char *certificate, *says;
	} cases[] = {{"expired", "certificate has expired"},
		     {"other-name", "no alternative certificate subject name matches"},
		     {"other-ca", "unable to get local issuer certificate"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct outcome outcome = unsafe((struct script){.certificate = cases[i].certificate,
								.ehlo = "250-relay\r\n250 AUTH PLAIN"});
		assert_outcome(outcome, PROVIDER, "tls");
		scratch_has(outcome.text, "no safe connection: ");
		scratch_has(outcome.text, cases[i].says);
	}
}

static void an_old_tls_is_none(void **state)
{
	(void)state;
	assert_outcome(unsafe((struct script){.old_tls = true}), PROVIDER, "tls");
}

static void a_relay_whose_issuer_nobody_knows_is_not_trusted(void **state)
{
	(void)state;
	relay_start((struct script){0});
	channel_start(1, 10 * MOMENT_S);
	channel_close(channel, 0);
	json_object_set_new(config.settings, "ca", json_string(""));
	struct text error;
	text_init(&error, TEXT_ERROR_MAX);
	channel = channel_open(&config, (struct outcome_sink){.report = take_report}, &error);
	hand_over(0, "ana@example.org");
	wait_for(1);
	finish(1);
	assert_outcome(attempts[0].outcome, PROVIDER, "tls");
	release(1);
	text_release(&error);
}

static void a_login_is_plain_or_login(void **state)
{
	(void)state;
	const char *ehlos[] = {"250-relay\r\n250 AUTH PLAIN LOGIN", "250-relay\r\n250 AUTH LOGIN",
			       "250-relay\r\n250 AUTH GSSAPI NTLM PLAIN"};
	for (size_t i = 0; i < sizeof ehlos / sizeof ehlos[0]; i++) {
		relay_start((struct script){.ehlo = ehlos[i]});
		channel_start_at(relay_url("shop%40example.com:s%40fe@"), 1, 10 * MOMENT_S);
		hand_over(0, "ana@example.org");
		wait_for(1);
		finish(1);
		assert_outcome(attempts[0].outcome, ACCEPTED, "250 2.0.0");
		scratch_has(relay.log.data, i == 1 ? "c0BmZQ==\r\n" : "AHNob3BAZXhhbXBsZS5jb20Ac0BmZQ==\r\n");
		release(1);
	}
}

static void a_refused_login_is_tried_once_and_not_for_every_mail(void **state)
{
	(void)state;
	relay_start(
		(struct script){.ehlo = "250-relay\r\n250 AUTH PLAIN", .auth = "535 5.7.8 wrong password"});
	channel_start_at(relay_url("shop:s%40fe@"), 1, 10 * MOMENT_S);
	for (size_t i = 0; i < 20; i++)
		attempt_fill(i, "ana@example.org");
	for (size_t i = 0; i < 20; i++)
		channel_send(channel, &attempts[i]);
	wait_for(20);
	finish(20);
	for (size_t i = 0; i < 20; i++)
		assert_outcome(attempts[i].outcome, PROVIDER, "535 5.7.8");
	assert_true(relay.connection_count <= 2);
	release(20);
}

static void a_handshake_that_hangs_is_left_in_time(void **state)
{
	(void)state;
	relay_start((struct script){.hang_in_handshake = true});
	channel_start(1, 1 * MOMENT_S);
	int64_t begin = moment_mono();
	hand_over(0, "ana@example.org");
	wait_for(1);
	assert_true(moment_mono() - begin < 3 * MOMENT_S);
	finish(1);
	assert_outcome(attempts[0].outcome, PROVIDER, "timeout");
	scratch_has(attempts[0].outcome.text,
		    relay.transport == STARTTLS ? "during the TLS handshake" : "while connecting");
	release(1);
}

/* --- STARTTLS --- */

static void a_relay_without_starttls_gets_nothing(void **state)
{
	(void)state;
	const char *clear[] = {"250 relay", "250-relay\r\n250 AUTH PLAIN LOGIN",
			       "250-relay\r\n250 XSTARTTLS"};
	for (size_t i = 0; i < sizeof clear / sizeof clear[0]; i++) {
		struct outcome outcome = unsafe((struct script){.clear_ehlo = clear[i]});
		assert_outcome(outcome, PROVIDER, "tls");
		assert_string_equal(outcome.text,
				    "no safe connection: the relay does not offer STARTTLS, and "
				    "nothing goes out without");
	}
	assert_outcome(unsafe((struct script){.clear_ehlo = "502 5.5.1 what"}), PROVIDER, "502 5.5.1");
}

static void a_starttls_that_is_refused_ends_it(void **state)
{
	(void)state;
	assert_outcome(unsafe((struct script){.starttls = "454 4.7.0 TLS not available"}), PROVIDER,
		       "454 4.7.0");
	assert_outcome(unsafe((struct script){.starttls = "501 5.5.4 no"}), PROVIDER, "501 5.5.4");
	assert_outcome(unsafe((struct script){.starttls = "250 2.0.0 fine, go on"}), PROVIDER, "tls");
	assert_outcome(unsafe((struct script){.starttls = CLOSE}), PROVIDER, "tls");
}

static void a_forged_word_before_tls_ends_it(void **state)
{
	(void)state;
	const char *forged[] = {
		"220 go\r\n250-relay\r\n250 AUTH PLAIN",
		"220 go\r\n250-relay\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 ok\r\n250 ok\r\n354 go"};
	for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
		struct outcome outcome = unsafe((struct script){.starttls = forged[i]});
		assert_outcome(outcome, PROVIDER, "tls");
		scratch_has(outcome.text, "in the clear after STARTTLS");
	}
	/* what was offered in the clear counts for nothing afterwards */
	relay_start((struct script){.clear_ehlo = "250-relay\r\n250-AUTH PLAIN\r\n250 STARTTLS",
				    .ehlo = "250 relay"});
	channel_start_at(relay_url("shop:s%40fe@"), 1, 10 * MOMENT_S);
	hand_over(0, "ana@example.org");
	wait_for(1);
	finish(1);
	assert_outcome(attempts[0].outcome, PROVIDER, "auth");
	assert_null(strstr(relay.log.data, "AUTH"));
	release(1);
}

static int in_the_clear(void **state)
{
	(void)state;
	relay.transport = IN_THE_CLEAR;
	return 0;
}

static int tls_at_once(void **state)
{
	(void)state;
	relay.transport = TLS_AT_ONCE;
	return 0;
}

static int by_starttls(void **state)
{
	(void)state;
	relay.transport = STARTTLS;
	return 0;
}

/* The same dialogues whatever carries them. */
#define DIALOGUES                                                                                          \
	cmocka_unit_test(a_mail_is_taken_with_the_relays_code_text_and_id),                                \
		cmocka_unit_test(the_mail_arrives_as_it_was_made),                                         \
		cmocka_unit_test(a_large_mail_is_taken_whole),                                             \
		cmocka_unit_test(a_mail_of_several_packets_does_not_stall),                                \
		cmocka_unit_test(a_session_carries_many_mails),                                            \
		cmocka_unit_test(a_steady_stream_stays_in_one_session),                                    \
		cmocka_unit_test(several_sessions_work_at_once),                                           \
		cmocka_unit_test(odd_but_valid_answers_are_understood),                                    \
		cmocka_unit_test(a_refused_recipient_is_final), cmocka_unit_test(a_refused_mail_is_final), \
		cmocka_unit_test(a_4xx_is_tried_again),                                                    \
		cmocka_unit_test(refusals_leave_the_session_to_the_next_mail),                             \
		cmocka_unit_test(what_is_the_relays_fault_is_not_the_mails),                               \
		cmocka_unit_test(what_breaks_before_the_first_mail_is_a_try_of_it),                        \
		cmocka_unit_test(a_relay_that_only_breaks_off_is_at_fault),                                \
		cmocka_unit_test(a_421_is_the_relays_fault_at_every_step),                                 \
		cmocka_unit_test(a_relay_that_is_not_there_fails_all_at_once),                             \
		cmocka_unit_test(a_name_that_nobody_knows_is_the_relays_fault),                            \
		cmocka_unit_test(a_connection_that_nobody_answers_ends_in_time),                           \
		cmocka_unit_test(what_breaks_before_the_body_is_tried_again),                              \
		cmocka_unit_test(what_breaks_from_the_body_on_is_in_doubt),                                \
		cmocka_unit_test(a_relay_that_hangs_is_left_in_time),                                      \
		cmocka_unit_test(a_relay_that_drips_is_left_in_time),                                      \
		cmocka_unit_test(nobody_waits_long_for_an_answer_to_quit),                                 \
		cmocka_unit_test(a_session_that_the_relay_ends_costs_the_next_mail_nothing),               \
		cmocka_unit_test(what_was_called_back_does_not_leave),                                     \
		cmocka_unit_test(a_no_at_the_last_moment_keeps_the_body_back),                             \
		cmocka_unit_test(a_lease_that_is_over_begins_nothing),                                     \
		cmocka_unit_test(closing_reports_everything_once),                                         \
		cmocka_unit_test(closing_waits_for_what_is_on_its_way),                                    \
		cmocka_unit_test(closing_cuts_a_connection_that_is_being_made),                            \
		cmocka_unit_test(an_address_that_smtp_cannot_carry_is_rejected),                           \
		cmocka_unit_test(what_cannot_be_rendered_is_our_own_fault),                                \
		cmocka_unit_test(a_password_is_used_and_without_it_nothing_leaves),                        \
		cmocka_unit_test(the_probe_says_whether_the_relay_answers)

#define SAFETY                                                                                    \
	cmocka_unit_test(a_certificate_that_is_not_right_is_the_relays_fault_and_nothing_leaves), \
		cmocka_unit_test(an_old_tls_is_none),                                             \
		cmocka_unit_test(a_relay_whose_issuer_nobody_knows_is_not_trusted),               \
		cmocka_unit_test(a_login_is_plain_or_login),                                      \
		cmocka_unit_test(a_refused_login_is_tried_once_and_not_for_every_mail),           \
		cmocka_unit_test(a_handshake_that_hangs_is_left_in_time)

int main(void)
{
	const struct CMUnitTest clear[] = {DIALOGUES, cmocka_unit_test(chunks_are_as_good_as_data),
					   cmocka_unit_test(without_descriptors_none_is_the_relays_fault),
					   cmocka_unit_test(mistakes_in_the_settings_are_named)};
	const struct CMUnitTest tls[] = {DIALOGUES, SAFETY};
	const struct CMUnitTest starttls[] = {DIALOGUES, SAFETY,
					      cmocka_unit_test(a_relay_without_starttls_gets_nothing),
					      cmocka_unit_test(a_starttls_that_is_refused_ends_it),
					      cmocka_unit_test(a_forged_word_before_tls_ends_it)};
	void *state = NULL;

	xalloc_init();
	signal(SIGPIPE, SIG_IGN); /* the relay's own, under TLS */
	if (scratch_open(&state) != 0)
		return 1;
	relay_certificates(scratch_folder);
	int failed = cmocka_run_group_tests_name("in the clear", clear, in_the_clear, NULL) +
		     cmocka_run_group_tests_name("TLS", tls, tls_at_once, NULL) +
		     cmocka_run_group_tests_name("STARTTLS", starttls, by_starttls, NULL);
	scratch_close(&state);
	return failed;
}
