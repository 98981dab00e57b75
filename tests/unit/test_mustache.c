/* Mustache: what the specification promises, and what heed adds: bounds, places of errors, escapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mustache.h"
#include "xalloc.h"

/* Partials as {name: source}, compiled for one rendering. */
struct shelf {
	const char *names[4];
	struct mustache *compiled[4];
	size_t count;
};

static const struct mustache *shelf_find(const void *context, const char *name)
{
	const struct shelf *shelf = context;

	for (size_t i = 0; i < shelf->count; i++) {
		if (strcmp(shelf->names[i], name) == 0)
			return shelf->compiled[i];
	}
	return NULL;
}

static struct mustache *must_compile(const char *source)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct mustache *template = mustache_compile(source, strlen(source), &error);
	if (!template)
		print_error("%s\n", error.data);
	assert_non_null(template);
	text_release(&error);
	return template;
}

/* What comes out, or "!" and the error. */
static char *render_with(const char *source, const char *data, const char *partials, enum escape escape)
{
	struct shelf shelf = {.count = 0};
	struct mustache_partials found = {shelf_find, &shelf};
	json_t *json = json_loads(data, JSON_DECODE_ANY, NULL), *texts = json_loads(partials, 0, NULL), *text;
	const char *name;
	struct text out, error;

	assert_non_null(json);
	text_init(&out, MUSTACHE_OUTPUT_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	json_object_foreach(texts, name, text)
	{
		shelf.names[shelf.count] = name;
		shelf.compiled[shelf.count++] = must_compile(json_string_value(text));
	}
	struct mustache *template = must_compile(source);
	if (!mustache_render(template, &json, 1, &found, escape, &out, &error)) {
		assert_int_equal(out.len, 0);
		text_addf(&out, "!%s", error.data);
	}
	mustache_free(template);
	for (size_t i = 0; i < shelf.count; i++)
		mustache_free(shelf.compiled[i]);
	json_decref(json);
	json_decref(texts);
	text_release(&error);
	return text_detach(&out);
}

static void check(const char *source, const char *data, const char *partials, const char *expected)
{
	char *out = render_with(source, data, partials, ESCAPE_HTML);

	assert_string_equal(out, expected);
	free(out);
}

static void check_escape(enum escape escape, const char *source, const char *data, const char *expected)
{
	char *out = render_with(source, data, "{}", escape);

	assert_string_equal(out, expected);
	free(out);
}

static void check_broken(const char *source, const char *expected)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	assert_null(mustache_compile(source, strlen(source), &error));
	if (strncmp(error.data, expected, strlen(expected)) != 0)
		fail_msg("expected '%s', got '%s'", expected, error.data);
	text_release(&error);
}

static void values_are_put_in(void **state)
{
	(void)state;
	check("Card {{card}}: {{ amount }} at {{shop}}.", "{\"card\":\"4711\",\"amount\":\"12.50\"}", "{}",
	      "Card 4711: 12.50 at .");
	check("{{a}}|{{{a}}}|{{&a}}", "{\"a\":\"{{b}}\",\"b\":1}", "{}", "{{b}}|{{b}}|{{b}}");
}

static void html_cannot_leave_its_place(void **state)
{
	(void)state;
	check("<a title='{{t}}'>", "{\"t\":\"a&b <\\\"'>\"}", "{}",
	      "<a title='a&amp;b &lt;&quot;&#39;&gt;'>");
	check("{{{t}}} {{&t}}", "{\"t\":\"<b>\"}", "{}", "<b> <b>");
}

static void json_strings_stay_strings(void **state)
{
	(void)state;
	check_escape(ESCAPE_JSON, "\"{{t}}\"", "{\"t\":\"a\\\"b\\\\c\\n\\t\\u0001\\u001fé\"}",
		     "\"a\\\"b\\\\c\\n\\t\\u0001\\u001fé\"");
}

static void plain_text_is_not_escaped(void **state)
{
	(void)state;
	check_escape(ESCAPE_NONE, "{{t}}", "{\"t\":\"<a & 'b'>\"}", "<a & 'b'>");
}

static void numbers_print_shortest(void **state)
{
	(void)state;
	check("{{a}} {{b}} {{c}} {{d}} {{e}}",
	      "{\"a\":85,\"b\":12.50,\"c\":0.1,\"d\":3.0,\"e\":-9007199254740993}", "{}",
	      "85 12.5 0.1 3 -9007199254740993");
	check("{{a}} {{b}} {{c}} {{d}}", "{\"a\":1e15,\"b\":1.5e-5,\"c\":1e-5,\"d\":0.30000000000000004}",
	      "{}", "1000000000000000 0.000015 0.00001 0.30000000000000004");
	check("{{a}} {{b}}", "{\"a\":1e21,\"b\":-2.5e-9}", "{}", "1e+21 -2.5e-09");
}

static void other_values_print_as_words_or_nothing(void **state)
{
	(void)state;
	check("[{{n}}{{o}}{{l}}{{m}}] {{t}} {{f}}", "{\"n\":null,\"o\":{},\"l\":[1],\"t\":true,\"f\":false}",
	      "{}", "[] true false");
}

static void sections_follow_the_truth_of_their_value(void **state)
{
	(void)state;
	check("{{#a}}A{{/a}}{{#b}}B{{/b}}{{#c}}C{{/c}}{{#d}}D{{/d}}", "{\"a\":false,\"b\":null,\"c\":[]}",
	      "{}", "");
	check("{{^a}}A{{/a}}{{^b}}B{{/b}}{{^c}}C{{/c}}{{^d}}D{{/d}}", "{\"a\":false,\"b\":null,\"c\":[]}",
	      "{}", "ABCD");
	check("{{#a}}A{{/a}}{{#b}}B{{/b}}{{#c}}C{{/c}}{{^a}}-{{/a}}", "{\"a\":0,\"b\":\"\",\"c\":{}}", "{}",
	      "ABC");
}

static void lists_are_gone_through(void **state)
{
	(void)state;
	check("{{#rows}}{{day}}: {{sum}}{{currency}};{{/rows}}",
	      "{\"currency\":\"€\",\"rows\":[{\"day\":1,\"sum\":2},{\"day\":3,\"sum\":4}]}", "{}",
	      "1: 2€;3: 4€;");
	check("{{#l}}<{{#.}}{{.}},{{/.}}>{{/l}}", "{\"l\":[[1,2],[],[\"&\"]]}", "{}", "<1,2,><><&amp;,>");
	check("{{#.}}{{a}}{{/.}}", "[{\"a\":1},{\"a\":2}]", "{}", "12");
}

static void dotted_names_hold_to_what_their_first_part_found(void **state)
{
	(void)state;
	check("{{a.b.c}}|{{a.x.c}}|{{#a.b}}{{c}}{{/a.b}}", "{\"a\":{\"b\":{\"c\":7}},\"x\":{\"c\":8}}", "{}",
	      "7||7");
	check("{{#in}}{{who.name}}{{/in}}", "{\"who\":{\"name\":\"outer\"},\"in\":{\"who\":{}}}", "{}", "");
	check("[{{a.b}}]", "{\"a.b\":1}", "{}", "[]");
}

static void inner_data_hides_outer(void **state)
{
	(void)state;
	check("{{#p}}{{id}}{{x}}{{n}}{{/p}}",
	      "{\"id\":\"o\",\"x\":\"o\",\"n\":\"o\",\"p\":{\"id\":\"i\",\"n\":null}}", "{}", "io");
}

static void the_last_of_the_stack_is_looked_in_first(void **state)
{
	json_t *stack[3] = {json_loads("{\"a\":1,\"b\":2}", 0, NULL), NULL, json_loads("{\"a\":3}", 0, NULL)};
	struct mustache *template = must_compile("{{a}}{{b}}");
	struct text out;

	(void)state;
	text_init(&out, 100);
	assert_true(mustache_render(template, stack, 3, NULL, ESCAPE_NONE, &out, NULL));
	assert_string_equal(out.data, "32");
	text_release(&out);
	mustache_free(template);
	json_decref(stack[0]);
	json_decref(stack[2]);
}

static void a_tag_alone_on_its_line_leaves_no_line(void **state)
{
	(void)state;
	check("a\n  {{#t}}  \nb\n{{/t}}\n{{! said }}\nc", "{\"t\":true}", "{}", "a\nb\nc");
	check("a\r\n{{#t}}\r\n{{/t}}\r\nb", "{\"t\":true}", "{}", "a\r\nb");
	check("{{^f}}\nx\n\t{{/f}}", "{}", "{}", "x\n");
	check("a {{! not alone }}\n {{#t}} {{/t}} \n", "{\"t\":1}", "{}", "a \n   \n");
	check(" {{v}}\n {{&v}}\n", "{\"v\":\"\"}", "{}", " \n \n");
	check("1{{!\n\nlong\n}}\n{{!\nalone\n}}\n2", "{}", "{}", "1\n2");
}

static void delimiters_change_until_changed_again(void **state)
{
	(void)state;
	check("{{=<% %>=}}{{a}}<%a%><%&a%><%{a}%><%={{ }}=%>{{a}}", "{\"a\":\"<\"}", "{}", "{{a}}&lt;<<&lt;");
	check("{{= | | =}}\n|#a|x|/a|", "{\"a\":1}", "{}", "x");
	check("{{=[ ]=}}[>p] {{a}}", "{\"a\":1}", "{\"p\":\"{{a}}[a]\"}", "1[a] {{a}}");
}

static void partials_see_what_is_around_them(void **state)
{
	(void)state;
	check("{{#l}}{{> row }}{{/l}}{{>none}}", "{\"l\":[{\"n\":1},{\"n\":2}],\"u\":\"€\"}",
	      "{\"row\":\"{{n}}{{u}} \"}", "1€ 2€ ");
	check("{{>tree}}", "{\"v\":1,\"in\":[{\"v\":2,\"in\":[]},{\"v\":3,\"in\":[]}]}",
	      "{\"tree\":\"({{v}}{{#in}}{{>tree}}{{/in}})\"}", "(1(2)(3))");
}

static void a_partial_alone_on_its_line_is_indented(void **state)
{
	(void)state;
	check("a\n  {{>p}}\nb", "{\"v\":\"x\\ny\"}", "{\"p\":\"{{v}}\\n\\n{{#v}}\\n-{{/v}}\\n{{! }}z\\n\"}",
	      "a\n  x\ny\n  \n  -\n  z\nb");
	check(" {{>p}}\n", "{}", "{\"p\":\"1\\n {{>q}}\\n2\\n\",\"q\":\"3\\n4\\n\"}", " 1\n  3\n  4\n 2\n");
	check(" {{>p}}!\n", "{}", "{\"p\":\"1\\n2\"}", " 1\n2!\n");
	check(" {{>p}}", "{}", "{\"p\":\"1\\na {{>q}}\\n\",\"q\":\"3\\n4\"}", " 1\n a 3\n4\n");
}

static void mistakes_are_told_with_line_and_column(void **state)
{
	(void)state;
	check_broken("a\n  {{#x}}\n", "2:3: this section is never closed: 'x'");
	check_broken("{{#a}}{{/b}}", "1:7: a section is closed by another's name; the open one is 'a'");
	check_broken("{{#a.b}}{{/a.c}}", "1:9: a section is closed by another's name; the open one is 'a.b'");
	check_broken("\n\nx{{/a}}", "3:2: {{/a}} closes nothing");
	check_broken("hello {{name", "1:7: a tag is opened and not closed by '}}'");
	check_broken("{{{name}}", "1:1: a tag is opened and not closed by '}}}'");
	check_broken("{{ }}", "1:1: a tag without a name");
	check_broken("{{a b}}", "1:1: a space inside the name 'a b'");
	check_broken("{{a..b}}", "1:1: the name 'a..b' has an empty part");
	check_broken("{{=x=}}", "1:1: delimiters are set by two words");
	check_broken("{{=a b c=}}", "1:1: delimiters are set by two words");
	check_broken("{{<parent}}", "1:1: '<' belongs to an optional module");
}

static void a_template_is_at_most_source_max_long(void **state)
{
	char *source = xmalloc(MUSTACHE_SOURCE_MAX + 1);

	(void)state;
	memset(source, 'x', MUSTACHE_SOURCE_MAX + 1);
	assert_null(mustache_compile(source, MUSTACHE_SOURCE_MAX + 1, NULL));
	struct mustache *template = mustache_compile(source, MUSTACHE_SOURCE_MAX, NULL);
	assert_non_null(template);
	mustache_free(template);
	free(source);
}

static void sections_nest_to_depth_max(void **state)
{
	struct text source;

	(void)state;
	text_init(&source, 1 << 16);
	for (int i = 0; i < MUSTACHE_DEPTH_MAX; i++)
		text_puts(&source, "{{#a}}");
	text_puts(&source, "x");
	for (int i = 0; i < MUSTACHE_DEPTH_MAX; i++)
		text_puts(&source, "{{/a}}");
	check(source.data, "{\"a\":1}", "{}", "x");
	text_clear(&source);
	for (int i = 0; i <= MUSTACHE_DEPTH_MAX; i++)
		text_puts(&source, "{{#a}}");
	check_broken(source.data, "1:385: sections are nested deeper than 64");
	text_release(&source);
}

static void a_partial_that_never_ends_is_an_error(void **state)
{
	char *out = render_with("{{>p}}", "{}", "{\"p\":\"x{{>p}}\"}", ESCAPE_NONE);

	(void)state;
	assert_ptr_equal(strstr(out, "!sections and partials are nested too deep"), out);
	free(out);
}

/* A list of 1000 inside itself, again and again. */
static void check_lists(const char *source, const char *expected)
{
	struct text data;

	text_init(&data, 1 << 16);
	text_puts(&data, "{\"l\":[1");
	for (int i = 1; i < 1000; i++)
		text_puts(&data, ",1");
	text_puts(&data, "]}");
	char *out = render_with(source, data.data, "{}", ESCAPE_NONE);
	assert_ptr_equal(strstr(out, expected), out);
	free(out);
	text_release(&data);
}

static void output_has_a_bound(void **state)
{
	(void)state;
	check_lists("{{#l}}{{#l}}xx{{/l}}{{/l}}", "!the text is too long");
}

static void work_has_a_bound(void **state)
{
	(void)state;
	check_lists("{{#l}}{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}{{/l}}", "!too much work");
}

static void indentation_has_a_bound(void **state)
{
	struct text partials;

	(void)state;
	text_init(&partials, 1 << 16);
	text_puts(&partials, "{\"p\":\"");
	for (int i = 0; i < 1000; i++)
		text_putc(&partials, ' ');
	text_puts(&partials, "{{>p}}\"}");
	char *out = render_with("{{>p}}", "{}", partials.data, ESCAPE_NONE);
	assert_ptr_equal(strstr(out, "!partials are indented too far"), out);
	free(out);
	text_release(&partials);
}

static void a_failed_rendering_adds_nothing(void **state)
{
	json_t *data = json_loads("{\"a\":\"0123456789\"}", 0, NULL);
	struct mustache *template = must_compile("abc{{a}}");
	struct text out;

	(void)state;
	text_init(&out, 10);
	text_puts(&out, "kept ");
	assert_false(mustache_render(template, &data, 1, NULL, ESCAPE_NONE, &out, NULL));
	assert_string_equal(out.data, "kept ");
	assert_false(out.full);
	assert_int_equal(out.max, 10);
	text_release(&out);
	mustache_free(template);
	json_decref(data);
}

static void *render_often(void *context)
{
	json_t *data = json_loads("{\"l\":[1,2,3]}", 0, NULL);
	struct text out;

	text_init(&out, 100);
	for (int i = 0; i < 1000; i++) {
		text_clear(&out);
		mustache_render(context, &data, 1, NULL, ESCAPE_HTML, &out, NULL);
	}
	bool same = strcmp(out.data, "1,2,3,") == 0;
	text_release(&out);
	json_decref(data);
	return same ? context : NULL;
}

static void threads_share_a_template(void **state)
{
	struct mustache *template = must_compile("{{#l}}{{.}},{{/l}}");
	pthread_t threads[4];
	void *result;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, render_often, template), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		assert_ptr_equal(result, template);
	}
	mustache_free(template);
}

static void partials_of_a_template_are_known(void **state)
{
	struct mustache *template = must_compile("{{>a}}{{#x}}{{> b.c }}{{/x}}");

	(void)state;
	assert_string_equal(mustache_partial(template, 0), "a");
	assert_string_equal(mustache_partial(template, 1), "b.c");
	assert_null(mustache_partial(template, 2));
	mustache_free(template);
}

/* Any bytes either compile and render, or are an error with a place: never more. */
static void random_templates_do_no_harm(void **state)
{
	static const char *const pieces[] = {"{{", "}}", "{{{", "}}}", "#",  "/",  "^", ">", "!", "=", "&",
					     "a",  "b",  ".",   " ",   "\n", "\r", "x", "|", "{", "}", "%"};
	json_t *data = json_loads("{\"a\":[{\"b\":1},{\"b\":{\"a\":2}}],\"b\":\"t\"}", 0, NULL);
	unsigned seed = 20261122;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct text source, out, error;
		text_init(&source, 1000);
		text_init(&out, 10000);
		text_init(&error, TEXT_ERROR_MAX);
		for (int i = rand_r(&seed) % 24; i >= 0; i--)
			text_puts(&source, pieces[(size_t)rand_r(&seed) % (sizeof pieces / sizeof *pieces)]);
		struct mustache *template = mustache_compile(source.data, source.len, &error);
		if (template) {
			struct shelf shelf = {.names = {"a"}, .compiled = {template}, .count = 1};
			struct mustache_partials partials = {shelf_find, &shelf};
			mustache_render(template, &data, 1, &partials, ESCAPE_HTML, &out, NULL);
		} else {
			assert_non_null(strchr(error.data, ':'));
		}
		mustache_free(template);
		text_release(&source);
		text_release(&out);
		text_release(&error);
	}
	json_decref(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_put_in),
		cmocka_unit_test(html_cannot_leave_its_place),
		cmocka_unit_test(json_strings_stay_strings),
		cmocka_unit_test(plain_text_is_not_escaped),
		cmocka_unit_test(numbers_print_shortest),
		cmocka_unit_test(other_values_print_as_words_or_nothing),
		cmocka_unit_test(sections_follow_the_truth_of_their_value),
		cmocka_unit_test(lists_are_gone_through),
		cmocka_unit_test(dotted_names_hold_to_what_their_first_part_found),
		cmocka_unit_test(inner_data_hides_outer),
		cmocka_unit_test(the_last_of_the_stack_is_looked_in_first),
		cmocka_unit_test(a_tag_alone_on_its_line_leaves_no_line),
		cmocka_unit_test(delimiters_change_until_changed_again),
		cmocka_unit_test(partials_see_what_is_around_them),
		cmocka_unit_test(a_partial_alone_on_its_line_is_indented),
		cmocka_unit_test(mistakes_are_told_with_line_and_column),
		cmocka_unit_test(a_template_is_at_most_source_max_long),
		cmocka_unit_test(sections_nest_to_depth_max),
		cmocka_unit_test(a_partial_that_never_ends_is_an_error),
		cmocka_unit_test(output_has_a_bound),
		cmocka_unit_test(work_has_a_bound),
		cmocka_unit_test(indentation_has_a_bound),
		cmocka_unit_test(a_failed_rendering_adds_nothing),
		cmocka_unit_test(threads_share_a_template),
		cmocka_unit_test(partials_of_a_template_are_known),
		cmocka_unit_test(random_templates_do_no_harm),
	};

	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
