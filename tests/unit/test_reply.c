/* What a short message asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reply.h"
#include "sms_text.h"
#include "xalloc.h"
#include "banned.h"

static struct reply_set *set;

static int setup(void **state)
{
	struct text errors;

	(void)state;
	text_init(&errors, TEXT_ERROR_MAX);
	set = reply_set_load("templates", &errors);
	if (!set)
		print_error("%s", errors.data);
	text_release(&errors);
	return set ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	reply_set_free(set);
	return 0;
}

/* --- a small world: card-alerts (sms, email), card-alerts/fraud, terms, which may not be stopped --- */

static const char *called(const void *context, const char *folded)
{
	static const char *const names[][2] = {{"card alerts", "card-alerts"},
					       {"avisos de tarjeta", "card-alerts"},
					       {"card alerts fraud", "card-alerts/fraud"},
					       {"terms", "terms"}};

	(void)context;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (reply_same(folded, names[i][0]))
			return names[i][1];
	return NULL;
}

static bool may_stop(const void *context, const char *product)
{
	(void)context;
	return strcmp(product, "terms") != 0;
}

static bool reaches(const void *context, const char *product, const char *channel)
{
	(void)context;
	(void)product;
	return strcmp(channel, "email") == 0 || strcmp(channel, "sms") == 0;
}

static struct reply_decision decide(const char *text, const char *product)
{
	const struct reply_facts facts = {
		.product = product, .product_called = called, .may_stop = may_stop, .reaches = reaches};
	struct reply_decision out;

	reply_decide(set, text, &facts, &out);
	return out;
}

static void all_are(const char *const texts[], enum reply_action action)
{
	for (; *texts; texts++) {
		const struct reply_decision out = decide(*texts, "card-alerts");
		if (out.action != action)
			fail_msg("\"%s\" is taken for %d, not %d", *texts, out.action, action);
	}
}

static void stop_and_its_like_stop_the_address_in_four_languages(void **state)
{
	static const char *const texts[] = {"STOP",
					    "QUIT",
					    "END",
					    "REVOKE",
					    "OPT OUT",
					    "OPTOUT",
					    "opt-out",
					    "CANCEL",
					    "UNSUBSCRIBE",
					    "STOPALL",
					    "Stop all",
					    "ALTO",
					    "Baja",
					    "darse de baja",
					    "PARAR",
					    "cancelar",
					    "cancelar suscripción",
					    "FIN",
					    "no más",
					    "STOPP",
					    "Ende",
					    "abmelden",
					    "KÜNDIGEN",
					    "kündigen",
					    "kuendigen",
					    "Widerruf",
					    "ARRÊT",
					    "arret",
					    "Arrêtez",
					    "DÉSABONNER",
					    "desabonner",
					    "se désabonner",
					    "résilier",
					    "désinscription",
					    NULL};

	(void)state;
	all_are(texts, REPLY_STOPS);
}

static void case_accents_punctuation_quotes_emoji_and_space_around_do_not_matter(void **state)
{
	static const char *const texts[] = {"stop",
					    "sToP",
					    " stop ",
					    "\tSTOP\r\n",
					    "stop.",
					    "Stop...",
					    "STOP!!!",
					    "stop?",
					    "'stop'",
					    "\"STOP\"",
					    "“Stop”",
					    "«stop»",
					    "»stop«",
					    "„Stopp“",
					    "‚stop‘",
					    "(stop)",
					    "[STOP]",
					    "*stop*",
					    "-stop-",
					    "...stop",
					    "¡Alto!",
					    "STOP\xc2\xa0",
					    "\xe2\x80\x8bSTOP\xe2\x80\x8b",
					    "\xef\xbb\xbfSTOP",
					    "STOP \xf0\x9f\x9b\x91",
					    "\xf0\x9f\x98\xa1stop\xf0\x9f\x98\xa1",
					    "STOP\xe2\x9d\x97\xef\xb8\x8f",
					    "ＳＴＯＰ",
					    "ｓｔｏｐ。",
					    "arre\xcc\x82t",
					    "ARRE\xcc\x82T",
					    "Stop…",
					    "stop\xe2\x80\xa8",
					    "opt  out",
					    "opt\nout",
					    "OPT_OUT",
					    "QU\xc4\xb0T",
					    "STOP \xff\xfe",
					    "unsubscr\xc4\xb1"
					    "be",
					    NULL};

	(void)state;
	all_are(texts, REPLY_STOPS);
}

static void what_is_not_a_keyword_alone_is_for_a_person(void **state)
{
	static const char *const texts[] = {"",
					    " ",
					    "...",
					    "\xf0\x9f\x9b\x91",
					    "please stop",
					    "stop please",
					    "Stop sending me this!",
					    "don't stop",
					    "non stop",
					    "nonstop",
					    "stopped",
					    "stops",
					    "stop it",
					    "S.T.O.P",
					    "s t o p",
					    "st op",
					    "bus stop",
					    "the end",
					    "cancel my card",
					    "I want to unsubscribe",
					    "STOP STOP",
					    "stop start",
					    "yes",
					    "no",
					    "ok",
					    "thanks",
					    "STOP 2",
					    "1",
					    "c\xd0\xbet",
					    "\xd0\xa1\xd0\xa2\xd0\x9e\xd0\x9f",
					    "停止",
					    "help me",
					    "why not?",
					    "email me",
					    "later today",
					    "STOP no-such-product",
					    "HELP card-alerts",
					    "START card-alerts",
					    NULL};

	(void)state;
	all_are(texts, REPLY_PASSES_ON);
}

static void a_keyword_buried_in_a_long_text_is_none(void **state)
{
	char text[400];

	(void)state;
	memset(text, '.', sizeof text);
	memcpy(text + 100, "stop", 4);
	text[399] = '\0';
	assert_int_equal(decide(text, NULL).action, REPLY_PASSES_ON);
	text[200] = '\0';
	assert_int_equal(decide(text, NULL).action, REPLY_STOPS);
}

static void start_and_help_are_heard_in_four_languages(void **state)
{
	static const char *const start[] = {"START",   "unstop",   "Iniciar",   "ALTA",
					    "starten", "Démarrer", "reprendre", NULL};
	static const char *const help[] = {"HELP", "help?", "INFO", "¡Ayuda!", "Hilfe", "aide", NULL};

	(void)state;
	all_are(start, REPLY_OPENS);
	all_are(help, REPLY_HELPS);
}

static void a_product_behind_stop_stops_that_alone(void **state)
{
	static const char *const texts[] = {
		"STOP card-alerts",  "stop Card Alerts",       "STOP: card-alerts!", "stop cardalerts",
		"Stopp card_alerts", "BAJA avisos de tarjeta", "ARRÊT card-alerts",  NULL};

	(void)state;
	all_are(texts, REPLY_STOPS_PRODUCT);
	assert_string_equal(decide("stop card-alerts", "terms").product, "card-alerts");
	assert_string_equal(decide("stop card-alerts/fraud", NULL).product, "card-alerts/fraud");
	assert_int_equal(decide("stop card-alerts", NULL).words, WORDS_PRODUCT_STOPPED);
}

static void what_may_not_be_stopped_is_not_stopped_or_paused_and_the_answer_says_so(void **state)
{
	(void)state;
	assert_true(decide("stop terms", NULL).refused);
	assert_int_equal(decide("stop terms", NULL).words, WORDS_KEPT);
	assert_true(decide("later", "terms").refused);
	assert_false(decide("email", "terms").refused);
}

static void the_name_of_a_channel_moves_the_product_of_the_last_message_there(void **state)
{
	static const char *const texts[] = {"EMAIL",    "e-mail", "E-Mail!", "Correo electrónico",
					    "courriel", "SMS",    "texto",   NULL};

	(void)state;
	all_are(texts, REPLY_MOVES);
	assert_string_equal(decide("Courriel", "card-alerts").channel, "email");
	assert_string_equal(decide("Courriel", "card-alerts").product, "card-alerts");
	assert_string_equal(decide("sms", "card-alerts").channel, "sms");
	assert_string_equal(decide("sms terms", "card-alerts").product, "terms");
}

static void later_pauses_and_why_explains_the_last(void **state)
{
	(void)state;
	assert_int_equal(decide("LATER", "card-alerts").action, REPLY_PAUSES);
	assert_int_equal(decide("más tarde", "card-alerts").action, REPLY_PAUSES);
	assert_int_equal(decide("Später.", "card-alerts").action, REPLY_PAUSES);
	assert_int_equal(decide("plus tard", "card-alerts").action, REPLY_PAUSES);
	assert_int_equal(decide("WHY?", "card-alerts").action, REPLY_EXPLAINS);
	assert_int_equal(decide("¿Por qué?", "card-alerts").action, REPLY_EXPLAINS);
	assert_int_equal(decide("Warum??", "card-alerts").action, REPLY_EXPLAINS);
	assert_int_equal(decide("pourquoi ?", "card-alerts").action, REPLY_EXPLAINS);
	assert_int_equal(decide("why terms", "card-alerts").action, REPLY_PASSES_ON); /* another one */
}

static void without_a_last_message_there_is_nothing_to_move_pause_or_explain(void **state)
{
	(void)state;
	assert_int_equal(decide("EMAIL", NULL).action, REPLY_PASSES_ON);
	assert_int_equal(decide("LATER", NULL).action, REPLY_PASSES_ON);
	assert_int_equal(decide("WHY", NULL).action, REPLY_PASSES_ON);
	assert_int_equal(decide("STOP", NULL).action, REPLY_STOPS);
}

static const char *render(const char *locale, enum reply_words words, json_t *data)
{
	static char out[2048];
	struct text text;

	text_init(&text, 65536);
	reply_render(set, locale, "en", words, data, &text);
	snprintf(out, sizeof out, "%s", text.data);
	text_release(&text);
	json_decref(data);
	return out;
}

static void each_answer_of_each_language_is_one_short_message(void **state)
{
	static const char *const locales[] = {"en", "es", "de", "fr", "de-AT", "es-AR"};

	(void)state;
	for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++)
		for (int words = 0; words < REPLY_WORDS; words++) {
			const char *text =
				render(locales[i], (enum reply_words)words,
				       json_pack("{s:s, s:s, s:s, s:s}", "company", "Example Bank", "product",
						 "Avisos de tarjeta", "channel", "email", "reason",
						 "email is the first channel that can be used"));
			assert_true(*text);
			assert_null(strstr(text, "{{"));
			assert_int_equal(sms_text_count(text).segments, 1);
		}
}

static void an_answer_that_would_be_longer_is_cut_at_a_character(void **state)
{
	char reason[600];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof reason; i += 2)
		memcpy(reason + i, "\xd1\x8f", 2);
	reason[598] = '\0';
	const char *text = render("en", WORDS_WHY, json_pack("{s:s, s:s}", "product", "x", "reason", reason));
	assert_int_equal(sms_text_count(text).segments, 1);
	assert_int_equal(sms_text_count(text).units, SMS_UCS2_ALONE);
	json_t *utf8 = json_string(text);
	assert_non_null(utf8);
	json_decref(utf8);
}

static void a_language_without_a_file_is_answered_in_the_companys(void **state)
{
	(void)state;
	assert_non_null(strstr(render("fr-CA", WORDS_STOPPED, json_object()), "ne recevrez plus"));
	assert_non_null(strstr(render("ja", WORDS_STOPPED, json_object()), "no more messages"));
	assert_non_null(strstr(render("", WORDS_STOPPED, json_object()), "no more messages"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_and_its_like_stop_the_address_in_four_languages),
		cmocka_unit_test(case_accents_punctuation_quotes_emoji_and_space_around_do_not_matter),
		cmocka_unit_test(what_is_not_a_keyword_alone_is_for_a_person),
		cmocka_unit_test(a_keyword_buried_in_a_long_text_is_none),
		cmocka_unit_test(start_and_help_are_heard_in_four_languages),
		cmocka_unit_test(a_product_behind_stop_stops_that_alone),
		cmocka_unit_test(what_may_not_be_stopped_is_not_stopped_or_paused_and_the_answer_says_so),
		cmocka_unit_test(the_name_of_a_channel_moves_the_product_of_the_last_message_there),
		cmocka_unit_test(later_pauses_and_why_explains_the_last),
		cmocka_unit_test(without_a_last_message_there_is_nothing_to_move_pause_or_explain),
		cmocka_unit_test(each_answer_of_each_language_is_one_short_message),
		cmocka_unit_test(an_answer_that_would_be_longer_is_cut_at_a_character),
		cmocka_unit_test(a_language_without_a_file_is_answered_in_the_companys),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
