/* The company's templates: what is found, what is seen, what is refused. Each test writes a small folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "templates.h"
#include "xalloc.h"

/* Stands in for adapters/sign.c where that is not there yet. */
__attribute__((weak)) void digest_sha256_hex(const void *data, size_t len, char out[2 * SHA256_SIZE + 1])
{
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const unsigned char *)data)[i]) * 1099511628211u;
	snprintf(out, 2 * SHA256_SIZE + 1, "%064llx", (unsigned long long)hash);
}

/* --- a folder for each test, and the rendering most of them want --- */

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "%s", "/tmp/heed-templates-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char *command = xasprintf("rm -rf '%s'", folder);
	int status = system(command); /* NOLINT: a name of our own */

	(void)state;
	free(command);
	return status;
}

static void write_bytes(const char *name, const char *data, size_t len)
{
	char *path = xasprintf("%s/%s", folder, name);

	for (char *slash = path + strlen(folder); (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	fclose(file);
	free(path);
}

static void write_file(const char *name, const char *data)
{
	write_bytes(name, data, strlen(data));
}

static struct template_set *load(void)
{
	struct text errors;

	text_init(&errors, TEXT_ERROR_MAX);
	struct template_set *set = templates_load(folder, &errors);
	if (!set)
		print_error("%s", errors.data);
	assert_non_null(set);
	text_release(&errors);
	return set;
}

/* Refused, and `expected` is somewhere in what is said. */
static void check_refused(const char *expected)
{
	struct text errors;

	text_init(&errors, TEXT_ERROR_MAX);
	assert_null(templates_load(folder, &errors));
	if (!strstr(errors.data, expected))
		fail_msg("expected '%s' in '%s'", expected, errors.data);
	text_release(&errors);
}

static struct render_input input_for(struct template_set *set, const char *template, json_t *data)
{
	return (struct render_input){.templates = set,
				     .template = template ? templates_find(set, template) : NULL,
				     .data = data,
				     .locale = "en",
				     .message_id = "m-1",
				     .customer_id = "c-1042",
				     .customer_name = "Ana Díaz",
				     .product = "card-alerts",
				     .product_title = "Card alerts"};
}

/* One rendering of the template `t`, with everything around it. */
static bool render(const char *locale, const char *channel, enum channel_text text, const char *data,
		   struct rendered *out, struct text *error)
{
	struct template_set *set = load();
	json_t *json = json_loads(data, 0, NULL);
	struct render_input input = input_for(set, "t", json);

	input.locale = locale;
	assert_non_null(input.template);
	bool done = templates_render(&input, channel, text, out, error);
	json_decref(json);
	templates_drop(set);
	return done;
}

static void check_text(const char *locale, const char *channel, enum channel_text text, const char *data,
		       const char *expected)
{
	struct rendered out;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (!render(locale, channel, text, data, &out, &error))
		fail_msg("%s", error.data);
	assert_string_equal(out.text.data, expected);
	rendered_release(&out);
	text_release(&error);
}

static void check_summary(enum channel_text text, const char *channel, const char *expected)
{
	struct rendered out;

	assert_true(render("en", channel, text, "{\"a\":\"A\"}", &out, NULL));
	assert_string_equal(out.summary.data, expected);
	rendered_release(&out);
}

/* --- what is found --- */

static void each_channel_gets_its_file(void **state)
{
	struct rendered out;

	(void)state;
	write_file("messages/t/email.subject", "Paid {{amount}}\n");
	write_file("messages/t/email.text", "You paid {{amount}}.\n");
	write_file("messages/t/email.html", "<p>You paid {{amount}}.</p>\n");
	write_file("messages/t/sms", "Paid {{amount}}\n");
	write_file("messages/t/webhook", "{\"amount\":\"{{amount}}\"}\n");
	check_text("en", "sms", CHANNEL_TEXT_PLAIN, "{\"amount\":\"1.50\"}", "Paid 1.50");
	check_text("en", "webhook", CHANNEL_TEXT_JSON, "{\"amount\":\"1.50\"}", "{\"amount\":\"1.50\"}\n");
	assert_true(render("en", "email", CHANNEL_TEXT_MAIL, "{\"amount\":\"1.50\"}", &out, NULL));
	assert_string_equal(out.subject.data, "Paid 1.50");
	assert_string_equal(out.text.data, "You paid 1.50.\n");
	assert_string_equal(out.html.data, "<p>You paid 1.50.</p>\n");
	rendered_release(&out);
}

static void escaping_follows_what_is_written(void **state)
{
	struct rendered out;
	const char *data = "{\"a\":\"<\\\"&\"}";

	(void)state;
	write_file("messages/t/email.subject", "{{a}}");
	write_file("messages/t/email.text", "{{a}}{{>p}}");
	write_file("messages/t/email.html", "{{a}}{{>p}}");
	write_file("messages/t/sms", "{{a}}");
	write_file("messages/t/webhook", "[\"{{a}}\",\"{{>p}}\"]");
	write_file("partials/p", "{{a}}");
	check_text("en", "sms", CHANNEL_TEXT_PLAIN, data, "<\"&");
	check_text("en", "webhook", CHANNEL_TEXT_JSON, data, "[\"<\\\"&\",\"<\\\"&\"]");
	assert_true(render("en", "email", CHANNEL_TEXT_MAIL, data, &out, NULL));
	assert_string_equal(out.subject.data, "<\"&");
	assert_string_equal(out.text.data, "<\"&<\"&");
	assert_string_equal(out.html.data, "&lt;&quot;&amp;&lt;&quot;&amp;");
	rendered_release(&out);
}

static void a_locale_falls_back_to_its_language_then_to_the_own_files(void **state)
{
	(void)state;
	write_file("messages/t/sms", "own");
	write_file("messages/t/es/sms", "es");
	write_file("messages/t/es-AR/sms", "es-AR");
	write_file("messages/t/zh-Hant/sms", "zh-Hant");
	check_text("es-AR", "sms", CHANNEL_TEXT_PLAIN, "{}", "es-AR");
	check_text("es-ar", "sms", CHANNEL_TEXT_PLAIN, "{}", "es-AR");
	check_text("es-MX", "sms", CHANNEL_TEXT_PLAIN, "{}", "es");
	check_text("zh-Hant-TW", "sms", CHANNEL_TEXT_PLAIN, "{}", "zh-Hant");
	check_text("zh", "sms", CHANNEL_TEXT_PLAIN, "{}", "own");
	check_text("est", "sms", CHANNEL_TEXT_PLAIN, "{}", "own");
	check_text("", "sms", CHANNEL_TEXT_PLAIN, "{}", "own");
}

static void a_file_that_a_locale_lacks_is_taken_from_the_next(void **state)
{
	struct rendered out;

	(void)state;
	write_file("messages/t/email.subject", "own subject");
	write_file("messages/t/email.text", "own text");
	write_file("messages/t/es/email.text", "texto");
	assert_true(render("es-AR", "email", CHANNEL_TEXT_MAIL, "{}", &out, NULL));
	assert_string_equal(out.subject.data, "own subject");
	assert_string_equal(out.text.data, "texto");
	assert_string_equal(out.locale, "es");
	rendered_release(&out);
}

static void another_language_is_better_than_no_message(void **state)
{
	(void)state;
	write_file("messages/t/de/sms", "de");
	write_file("messages/t/es/sms", "es");
	check_text("fr", "sms", CHANNEL_TEXT_PLAIN, "{}", "de");
}

static void channels_of_other_names_have_their_own_files_or_the_usual(void **state)
{
	struct rendered out;

	(void)state;
	write_file("messages/t/email.subject", "usual");
	write_file("messages/t/email.text", "usual");
	write_file("messages/t/email.html", "usual");
	write_file("messages/t/letters.text", "letters");
	write_file("messages/t/webhook", "1");
	write_file("messages/t/crm", "2");
	check_text("en", "mail2", CHANNEL_TEXT_MAIL, "{}", "usual");
	check_text("en", "hook2", CHANNEL_TEXT_JSON, "{}", "1");
	check_text("en", "crm", CHANNEL_TEXT_JSON, "{}", "2");
	assert_true(render("en", "letters", CHANNEL_TEXT_MAIL, "{}", &out, NULL));
	assert_string_equal(out.subject.data, "usual");
	assert_string_equal(out.text.data, "letters");
	assert_string_equal(out.html.data, "");
	rendered_release(&out);
}

static void it_is_known_which_channels_a_template_has(void **state)
{
	struct template_set *set;

	(void)state;
	write_file("messages/a/sms", "x");
	write_file("messages/b/es/email.html", "x");
	write_file("messages/c/webhook", "1");
	set = load();
	const struct template *a = templates_find(set, "a"), *b = templates_find(set, "b"),
			      *c = templates_find(set, "c");
	assert_true(template_has(a, "sms", CHANNEL_TEXT_PLAIN));
	assert_false(template_has(a, "voice", CHANNEL_TEXT_PLAIN));
	assert_false(template_has(a, "email", CHANNEL_TEXT_MAIL));
	assert_false(template_has(a, "webhook", CHANNEL_TEXT_JSON));
	assert_true(template_has(b, "email", CHANNEL_TEXT_MAIL));
	assert_true(template_has(b, "letters", CHANNEL_TEXT_MAIL));
	assert_false(template_has(b, "email", CHANNEL_TEXT_PLAIN));
	assert_true(template_has(c, "webhook", CHANNEL_TEXT_JSON));
	assert_true(template_has(c, "crm", CHANNEL_TEXT_JSON));
	assert_false(template_has(c, "sms", CHANNEL_TEXT_PLAIN));
	templates_drop(set);
}

static void a_channel_without_a_text_is_an_error(void **state)
{
	struct rendered out;
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	write_file("messages/t/sms", "x");
	assert_false(render("en", "voice", CHANNEL_TEXT_PLAIN, "{}", &out, &error));
	assert_string_equal(error.data, "template 't' has no text for voice");
	rendered_release(&out);
	text_release(&error);
}

static void templates_are_listed_by_name(void **state)
{
	(void)state;
	write_file("messages/b/sms", "x");
	write_file("messages/a/sms", "x");
	write_file("messages/.hidden/x.y", "x");
	write_file("messages/a/sms~", "x");
	struct template_set *set = load();
	assert_int_equal(templates_count(set), 2);
	assert_string_equal(template_name(templates_at(set, 0)), "a");
	assert_string_equal(template_name(templates_at(set, 1)), "b");
	assert_null(templates_find(set, "c"));
	templates_drop(set);
}

static void without_a_folder_the_set_is_empty(void **state)
{
	struct text errors;

	(void)state;
	text_init(&errors, TEXT_ERROR_MAX);
	struct template_set *set = templates_load(NULL, &errors);
	assert_int_equal(templates_count(set), 0);
	assert_null(templates_find(set, "t"));
	templates_drop(set);
	set = load(); /* a folder with nothing in it */
	assert_int_equal(templates_count(set), 0);
	templates_drop(set);
	assert_null(templates_load("/nowhere/at/all", &errors));
	assert_string_equal(errors.data, "/nowhere/at/all: there is no such folder\n");
	text_release(&errors);
}

/* --- what is seen --- */

static void templates_see_customer_product_and_message(void **state)
{
	(void)state;
	write_file("messages/t/sms", "{{customer.id}} {{customer.name}} {{customer.locale}} "
				     "{{product.id}} {{product.title}} {{message.id}}");
	check_text("es-AR", "sms", CHANNEL_TEXT_PLAIN, "{}",
		   "c-1042 Ana Díaz es-AR card-alerts Card alerts m-1");
}

static void data_cannot_speak_for_the_gateway(void **state)
{
	(void)state;
	write_file("messages/t/sms", "{{customer.id}}{{customer.tier}} {{message.id}}");
	check_text("en", "sms", CHANNEL_TEXT_PLAIN,
		   "{\"customer\":{\"id\":\"other\",\"tier\":\"gold\"},\"message\":1}", "c-1042 m-1");
}

static void a_customer_without_a_name_is_not_greeted_by_it(void **state)
{
	struct rendered out;

	(void)state;
	write_file("messages/t/sms", "Hello{{#customer.name}} {{customer.name}}{{/customer.name}}");
	struct template_set *set = load();
	struct render_input input = input_for(set, "t", NULL);
	input.customer_name = "";
	assert_true(templates_render(&input, "sms", CHANNEL_TEXT_PLAIN, &out, NULL));
	assert_string_equal(out.text.data, "Hello");
	rendered_release(&out);
	templates_drop(set);
}

static void check_data(const struct template *t, const char *data, const char *missing)
{
	json_t *json = json_loads(data, 0, NULL);
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	assert_int_equal(template_check_data(t, json, &error), !missing);
	if (missing && !strstr(error.data, missing))
		fail_msg("expected '%s' in '%s'", missing, error.data);
	text_release(&error);
	json_decref(json);
}

static void names_that_are_required_must_be_there(void **state)
{
	(void)state;
	write_file("messages/t/sms", "x");
	write_file("messages/t/required", "amount\r\n\n  shop.name  \ncard");
	write_file("messages/u/sms", "x");
	struct template_set *set = load();
	const struct template *t = templates_find(set, "t");
	check_data(t, "{\"amount\":0,\"shop\":{\"name\":\"\"},\"card\":false}", NULL);
	check_data(t, "{\"amount\":null,\"shop\":{},\"card\":1}", "'t' requires: amount, shop.name");
	check_data(t, "{}", "amount, shop.name, card");
	assert_false(template_check_data(t, NULL, NULL));
	check_data(templates_find(set, "u"), "{}", NULL);
	templates_drop(set);
}

/* --- subjects and summaries --- */

static void a_subject_is_one_line(void **state)
{
	struct rendered out;

	(void)state;
	write_file("messages/t/email.subject", "\n Paid:  {{a}}\r\n\tand more \n");
	write_file("messages/t/email.text", "x");
	assert_true(render("en", "email", CHANNEL_TEXT_MAIL, "{\"a\":\"1\\r\\nBcc: all@example.com\"}", &out,
			   NULL));
	assert_string_equal(out.subject.data, "Paid:  1 Bcc: all@example.com and more");
	rendered_release(&out);
}

static void a_mail_without_subject_is_called_as_its_product(void **state)
{
	struct rendered out;

	(void)state;
	write_file("messages/t/email.text", "x");
	assert_true(render("en", "email", CHANNEL_TEXT_MAIL, "{}", &out, NULL));
	assert_string_equal(out.subject.data, "Card alerts");
	rendered_release(&out);
}

static void a_subject_has_a_bound(void **state)
{
	struct rendered out;
	struct text error, data;

	(void)state;
	write_file("messages/t/email.subject", "{{a}}");
	write_file("messages/t/email.text", "x");
	text_init(&error, TEXT_ERROR_MAX);
	text_init(&data, 10000);
	text_puts(&data, "{\"a\":\"");
	for (int i = 0; i <= TEMPLATE_SUBJECT_MAX; i++)
		text_putc(&data, 'x');
	text_puts(&data, "\"}");
	assert_false(render("en", "email", CHANNEL_TEXT_MAIL, data.data, &out, &error));
	assert_string_equal(error.data, "the subject is longer than 2000 bytes");
	rendered_release(&out);
	text_release(&error);
	text_release(&data);
}

static void a_summary_is_its_file(void **state)
{
	(void)state;
	write_file("messages/t/summary", " Sum \n of  {{a}}\n");
	write_file("messages/t/email.subject", "Subject");
	write_file("messages/t/email.text", "Text");
	write_file("messages/t/sms", "Short");
	check_summary(CHANNEL_TEXT_MAIL, "email", "Sum of A");
	check_summary(CHANNEL_TEXT_PLAIN, "sms", "Sum of A");
}

static void a_summary_is_else_the_subject(void **state)
{
	(void)state;
	write_file("messages/t/email.subject", "Subject {{a}}");
	write_file("messages/t/email.text", "Text");
	write_file("messages/t/webhook", "{}");
	check_summary(CHANNEL_TEXT_MAIL, "email", "Subject A");
	check_summary(CHANNEL_TEXT_JSON, "webhook", "Subject A");
}

static void a_summary_is_else_the_text(void **state)
{
	(void)state;
	write_file("messages/t/sms", "Short\n{{a}}");
	write_file("messages/t/webhook", "{}");
	check_summary(CHANNEL_TEXT_PLAIN, "sms", "Short A");
	check_summary(CHANNEL_TEXT_JSON, "webhook", "{}");
}

static void the_subject_of_other_channels_stays_empty(void **state)
{
	struct rendered out;

	(void)state;
	write_file("messages/t/email.subject", "Subject");
	write_file("messages/t/sms", "Short");
	assert_true(render("en", "sms", CHANNEL_TEXT_PLAIN, "{}", &out, NULL));
	assert_string_equal(out.subject.data, "");
	rendered_release(&out);
}

static void a_summary_has_160_characters(void **state)
{
	struct text text, expected;

	(void)state;
	text_init(&text, 10000);
	text_init(&expected, 10000);
	for (int i = 0; i < 200; i++)
		text_puts(&text, "é");
	for (int i = 0; i < TEMPLATE_SUMMARY_MAX; i++)
		text_puts(&expected, "é");
	write_file("messages/t/sms", text.data);
	check_summary(CHANNEL_TEXT_PLAIN, "sms", expected.data);
	text_clear(&text);
	text_clear(&expected);
	for (int i = 0; i < 200; i++)
		text_puts(&text, i % 2 ? "\n " : "x");
	for (int i = 0; i < TEMPLATE_SUMMARY_MAX - 1; i++)
		text_puts(&expected, i % 2 ? " " : "x");
	write_file("messages/t/sms", text.data);
	check_summary(CHANNEL_TEXT_PLAIN, "sms", expected.data);
	text_release(&text);
	text_release(&expected);
}

/* --- content --- */

static bool render_content(const char *content, enum channel_text text, struct rendered *out)
{
	struct template_set *set = templates_load(NULL, NULL);
	struct render_input input = input_for(set, NULL, NULL);

	input.content = json_loads(content, 0, NULL);
	bool done = templates_render(&input, "any", text, out, NULL);
	json_decref(input.content);
	templates_drop(set);
	return done;
}

static void content_is_sent_as_it_is(void **state)
{
	struct rendered out;
	const char *content = "{\"subject\":\"S {{a}}\",\"text\":\"T {{a}}\\n\",\"html\":\"<p>{{a}}</p>\"}";

	(void)state;
	assert_true(render_content(content, CHANNEL_TEXT_MAIL, &out));
	assert_string_equal(out.subject.data, "S {{a}}");
	assert_string_equal(out.text.data, "T {{a}}\n");
	assert_string_equal(out.html.data, "<p>{{a}}</p>");
	assert_string_equal(out.summary.data, "S {{a}}");
	rendered_release(&out);
	assert_true(render_content(content, CHANNEL_TEXT_PLAIN, &out));
	assert_string_equal(out.text.data, "T {{a}}\n");
	assert_string_equal(out.html.data, "");
	rendered_release(&out);
}

static void content_becomes_a_webhook_of_four_keys(void **state)
{
	struct rendered out;

	(void)state;
	assert_true(
		render_content("{\"subject\":\"S\",\"text\":\"a \\\"b\\\"\\n\"}", CHANNEL_TEXT_JSON, &out));
	assert_string_equal(out.text.data, "{\"id\":\"m-1\",\"product\":\"card-alerts\",\"subject\":\"S\","
					   "\"text\":\"a \\\"b\\\"\\n\"}");
	rendered_release(&out);
}

static void content_without_subject_is_called_as_its_product(void **state)
{
	struct rendered out;

	(void)state;
	assert_true(render_content("{\"text\":\"T\"}", CHANNEL_TEXT_MAIL, &out));
	assert_string_equal(out.subject.data, "Card alerts");
	assert_string_equal(out.summary.data, "T");
	rendered_release(&out);
	assert_true(render_content("{\"text\":\"T\"}", CHANNEL_TEXT_JSON, &out));
	assert_non_null(strstr(out.text.data, "\"subject\":\"Card alerts\""));
	assert_string_equal(out.summary.data, "T");
	rendered_release(&out);
}

static void content_needs_a_text(void **state)
{
	struct rendered out;

	(void)state;
	assert_false(render_content("{\"subject\":\"S\"}", CHANNEL_TEXT_PLAIN, &out));
	rendered_release(&out);
}

/* --- what is refused --- */

static void a_webhook_body_must_be_json(void **state)
{
	struct rendered out;
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	write_file("messages/t/webhook", "{\"a\":\n {{a}}}");
	assert_false(render("en", "webhook", CHANNEL_TEXT_JSON, "{\"a\":\"x\"}", &out, &error));
	assert_non_null(strstr(error.data, "template 't', webhook: the rendered body is not JSON: 2:"));
	rendered_release(&out);
	assert_true(render("en", "webhook", CHANNEL_TEXT_JSON, "{\"a\":123}", &out, &error));
	rendered_release(&out);
	text_release(&error);
}

static void a_mail_may_not_come_out_empty(void **state)
{
	struct rendered out;

	(void)state;
	write_file("messages/t/email.text", "{{#a}}x{{/a}}");
	assert_false(render("en", "email", CHANNEL_TEXT_MAIL, "{}", &out, NULL));
	rendered_release(&out);
}

static void mistakes_name_file_line_and_column(void **state)
{
	(void)state;
	write_file("messages/t/email.text", "Hello\n{{#a}}");
	check_refused("/messages/t/email.text: 2:1: this section is never closed: 'a'\n");
}

static void all_mistakes_are_told_at_once(void **state)
{
	(void)state;
	write_file("messages/t/email.foo", "x");
	write_file("messages/t/sms", "{{");
	write_file("messages/loose", "x");
	write_file("partials/p", "{{/x}}");
	check_refused("/messages/t/email.foo: a template has the files");
	check_refused("/messages/t/sms: 1:1:");
	check_refused("/messages/loose: a template is a folder");
	check_refused("/partials/p: 1:1: {{/x}} closes nothing");
}

static void a_partial_that_is_not_there_is_a_mistake(void **state)
{
	(void)state;
	write_file("messages/t/sms", "{{>p}}");
	write_file("partials/p", "{{>q}}");
	check_refused("/partials/p: {{>q}}: there is no file 'q' in the folder partials");
}

static void files_in_the_wrong_place_are_mistakes(void **state)
{
	(void)state;
	write_file("messages/t/sms", "x");
	write_file("messages/t/espanol/sms", "x");
	write_file("messages/t/es/required", "x");
	write_file("messages/t/es/deep/sms", "x");
	check_refused("/messages/t/espanol: a folder in a template is a locale");
	check_refused("/messages/t/es/required: the names that are required");
	check_refused("/messages/t/es/deep: is a folder where a file would be");
}

static void a_template_without_a_text_is_a_mistake(void **state)
{
	(void)state;
	write_file("messages/t/summary", "x");
	write_file("messages/t/email.subject", "x");
	check_refused("/messages/t: has no text for any channel");
}

static void files_are_utf8_without_a_mark(void **state)
{
	(void)state;
	write_file("messages/t/sms", "caf\xE9");
	check_refused("/messages/t/sms: is not UTF-8");
	write_file("messages/t/sms", "\xEF\xBB\xBFhello");
	check_refused("/messages/t/sms: begins with a byte order mark");
}

static void names_that_are_required_stand_one_a_line(void **state)
{
	(void)state;
	write_file("messages/t/sms", "x");
	write_file("messages/t/required", "ok\namount card\n");
	check_refused("/messages/t/required: line 2: 'amount card' is not a name");
}

static void files_have_a_bound(void **state)
{
	char *long_text = xmalloc(TEMPLATE_FILE_MAX + 1);

	(void)state;
	memset(long_text, 'x', TEMPLATE_FILE_MAX + 1);
	write_bytes("messages/t/sms", long_text, TEMPLATE_FILE_MAX);
	templates_drop(load());
	write_bytes("messages/t/sms", long_text, TEMPLATE_FILE_MAX + 1);
	check_refused("/messages/t/sms: longer than 262144 bytes");
	free(long_text);
}

static void the_number_of_entries_has_a_bound(void **state)
{
	(void)state;
	for (int i = 0; i <= TEMPLATE_ENTRIES_MAX; i++) {
		char *name = xasprintf("messages/t/channel%d", i);
		write_file(name, "x");
		free(name);
	}
	check_refused("/messages/t: holds 501; at most 500 are read");
}

static void partials_that_never_end_are_an_error(void **state)
{
	struct rendered out;
	struct text error;

	(void)state;
	text_init(&error, TEXT_ERROR_MAX);
	write_file("messages/t/sms", "{{>p}}");
	write_file("partials/p", "{{>p}}");
	assert_false(render("en", "sms", CHANNEL_TEXT_PLAIN, "{}", &out, &error));
	assert_non_null(strstr(error.data, "template 't', sms: sections and partials are nested too deep"));
	rendered_release(&out);
	text_release(&error);
}

/* --- what the store keeps --- */

static void the_source_has_all_files_and_the_partials_they_reach(void **state)
{
	(void)state;
	write_file("messages/t/sms", "{{>a}}");
	write_file("messages/t/es/sms", "hola");
	write_file("messages/t/required", "x");
	write_file("partials/a", "{{>b}}");
	write_file("partials/b", "B");
	write_file("partials/unused", "U");
	struct template_set *set = load();
	json_t *source = template_source(templates_find(set, "t"));
	json_t *expected = json_pack("{s:s, s:s, s:s, s:s, s:s}", "sms", "{{>a}}", "es/sms", "hola",
				     "required", "x", "partials/a", "{{>b}}", "partials/b", "B");
	assert_true(json_equal(source, expected));
	json_decref(source);
	json_decref(expected);
	templates_drop(set);
}

static void the_hash_is_of_the_source(void **state)
{
	char first[2 * SHA256_SIZE + 1], hash[2 * SHA256_SIZE + 1];

	(void)state;
	write_file("messages/t/sms", "{{>a}}");
	write_file("partials/a", "A");
	struct template_set *set = load();
	const char *body = "{\"partials/a\":\"A\",\"sms\":\"{{>a}}\"}";
	digest_sha256_hex(body, strlen(body), hash);
	assert_string_equal(template_hash(templates_find(set, "t")), hash);
	memcpy(first, hash, sizeof first);
	templates_drop(set);
	write_file("partials/a", "B");
	set = load();
	assert_string_not_equal(template_hash(templates_find(set, "t")), first);
	templates_drop(set);
}

static void a_set_lives_as_long_as_somebody_holds_it(void **state)
{
	(void)state;
	write_file("messages/t/sms", "x");
	struct template_set *set = load();
	struct template_set *held = templates_hold(set);
	templates_drop(set);
	assert_non_null(templates_find(held, "t"));
	templates_drop(held);
	templates_drop(NULL);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(each_channel_gets_its_file),
		IN_FOLDER(escaping_follows_what_is_written),
		IN_FOLDER(a_locale_falls_back_to_its_language_then_to_the_own_files),
		IN_FOLDER(a_file_that_a_locale_lacks_is_taken_from_the_next),
		IN_FOLDER(another_language_is_better_than_no_message),
		IN_FOLDER(channels_of_other_names_have_their_own_files_or_the_usual),
		IN_FOLDER(it_is_known_which_channels_a_template_has),
		IN_FOLDER(a_channel_without_a_text_is_an_error),
		IN_FOLDER(templates_are_listed_by_name),
		IN_FOLDER(without_a_folder_the_set_is_empty),
		IN_FOLDER(templates_see_customer_product_and_message),
		IN_FOLDER(data_cannot_speak_for_the_gateway),
		IN_FOLDER(a_customer_without_a_name_is_not_greeted_by_it),
		IN_FOLDER(names_that_are_required_must_be_there),
		IN_FOLDER(a_subject_is_one_line),
		IN_FOLDER(a_mail_without_subject_is_called_as_its_product),
		IN_FOLDER(a_subject_has_a_bound),
		IN_FOLDER(a_summary_is_its_file),
		IN_FOLDER(a_summary_is_else_the_subject),
		IN_FOLDER(a_summary_is_else_the_text),
		IN_FOLDER(the_subject_of_other_channels_stays_empty),
		IN_FOLDER(a_summary_has_160_characters),
		cmocka_unit_test(content_is_sent_as_it_is),
		cmocka_unit_test(content_becomes_a_webhook_of_four_keys),
		cmocka_unit_test(content_without_subject_is_called_as_its_product),
		cmocka_unit_test(content_needs_a_text),
		IN_FOLDER(a_webhook_body_must_be_json),
		IN_FOLDER(a_mail_may_not_come_out_empty),
		IN_FOLDER(mistakes_name_file_line_and_column),
		IN_FOLDER(all_mistakes_are_told_at_once),
		IN_FOLDER(a_partial_that_is_not_there_is_a_mistake),
		IN_FOLDER(files_in_the_wrong_place_are_mistakes),
		IN_FOLDER(a_template_without_a_text_is_a_mistake),
		IN_FOLDER(files_are_utf8_without_a_mark),
		IN_FOLDER(names_that_are_required_stand_one_a_line),
		IN_FOLDER(files_have_a_bound),
		IN_FOLDER(the_number_of_entries_has_a_bound),
		IN_FOLDER(partials_that_never_end_are_an_error),
		IN_FOLDER(the_source_has_all_files_and_the_partials_they_reach),
		IN_FOLDER(the_hash_is_of_the_source),
		IN_FOLDER(a_set_lives_as_long_as_somebody_holds_it),
	};

	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
