/* The file format: what a YAML text means, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"
#include "xalloc.h"
#include "banned.h"

static struct text error;

static struct config_tree *read_text(const char *yaml)
{
	text_release(&error);
	text_init(&error, TEXT_ERROR_MAX);
	return config_tree_read(scratch_write("a.yaml", yaml), &error);
}

static void reads_as(const char *yaml, const char *json)
{
	struct config_tree *tree = read_text(yaml);
	if (!tree)
		fail_msg("%s", error.data);
	char *got = json_dumps(config_tree_json(tree), JSON_COMPACT | JSON_ENCODE_ANY);
	assert_string_equal(got, json);
	free(got);
	config_tree_free(tree);
}

static void is_refused(const char *yaml, const char *why)
{
	struct config_tree *tree = read_text(yaml);
	assert_null(tree);
	scratch_has(error.data, scratch_folder);
	scratch_has(error.data, why);
}

static void plain_words_are_what_the_core_schema_says(void **state)
{
	(void)state;
	reads_as("[true, False, null, ~, 12, -3, +7, 0x1F, 0o17, 1.5, .5, 2., 1e3]",
		 "[true,false,null,null,12,-3,7,31,15,1.5,0.5,2.0,1000.0]");
	reads_as("[yes, no, on, off, 1_000, 12:30, 0b1, +x, 1e, '-', 10s]",
		 "[\"yes\",\"no\",\"on\",\"off\",\"1_000\",\"12:30\",\"0b1\",\"+x\",\"1e\",\"-\",\"10s\"]");
}

static void quoted_words_are_text(void **state)
{
	(void)state;
	reads_as("a: \"12\"\nb: 'true'\nc: |\n  null\n", "{\"a\":\"12\",\"b\":\"true\",\"c\":\"null\\n\"}");
}

static void every_value_knows_its_line(void **state)
{
	(void)state;
	struct config_tree *tree = read_text("# heed\na:\n  b: 1\n  c:\n    - x\n    - { d: 2 }\n");
	assert_non_null(tree);
	assert_int_equal(config_tree_line(tree, ""), 1);
	assert_int_equal(config_tree_line(tree, "a"), 2);
	assert_int_equal(config_tree_line(tree, "a.b"), 3);
	assert_int_equal(config_tree_line(tree, "a.c.1.d"), 6);
	assert_int_equal(config_tree_line(tree, "a.z"), 0);
	config_tree_free(tree);
}

static void a_key_twice_is_an_error_and_reading_goes_on(void **state)
{
	(void)state;
	is_refused("a: 1\nb: 2\na: 3\nb: 4\n", "a.yaml:3: a: stands here a second time (first in line 1)");
	scratch_has(error.data, "a.yaml:4: b: stands here a second time (first in line 2)");
}

static void what_hides_the_meaning_is_refused(void **state)
{
	(void)state;
	is_refused("a: !!str 12\n", "a.yaml:1: a: has a tag");
	is_refused("a: 1\n---\nb: 2\n", "a.yaml:2: begins a second document");
	is_refused("? [a, b]\n: 1\n", "has a key that is a list");
	is_refused("a: \"x\\0y\"\n", "holds a NUL");
	is_refused("a: 99999999999999999999\n", "too large");
	is_refused("a: .inf\n", "without end");
	is_refused("a: 1e999\n", "without end");
}

static void an_alias_is_a_copy_of_what_its_anchor_marks(void **state)
{
	(void)state;
	reads_as("a: &r { first: 1s, max: 2s }\nb: *r\nc: [&x 5, *x]\n",
		 "{\"a\":{\"first\":\"1s\",\"max\":\"2s\"},\"b\":{\"first\":\"1s\",\"max\":\"2s\"},\"c\":[5,"
		 "5]}");
	reads_as("a: &a { x: 1, y: 2 }\nb: &b { y: 3, z: 4 }\nc: { <<: [*a, *b], x: 0 }\nd: { w: 9, <<: *a "
		 "}\n",
		 "{\"a\":{\"x\":1,\"y\":2},\"b\":{\"y\":3,\"z\":4},\"c\":{\"x\":0,\"y\":2,\"z\":4},"
		 "\"d\":{\"w\":9,\"x\":1,\"y\":2}}");
	is_refused("a: 1\nb: *x\n", "a.yaml:2: b: is *x, and no value before it has the anchor &x");
	is_refused("a: &x { b: *x }\n", "a.b: is *x, and no value before it");
	is_refused("a: &x 1\nb: { <<: *x }\n", "a.yaml:2: b.<<: takes over what is no map");
}

static void aliases_of_aliases_do_not_go_past_the_bounds(void **state)
{
	(void)state;
	is_refused("a: &a [1,1,1,1,1,1,1,1,1]\n"
		   "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
		   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
		   "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
		   "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
		   "f: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
		   "one value too many");
	is_refused("a: &a [[[[[[[[[[[[1]]]]]]]]]]]]\n"
		   "b: &b [[[[[[[[[[[*a]]]]]]]]]]]\n"
		   "c: [[[[[[[[[[[*b]]]]]]]]]]]\n",
		   "a.yaml:3: c.0.0.0.0.0.0.0.0.0.0.0: is nested more than");
}

static void the_mark_that_some_editors_put_in_front_is_no_text(void **state)
{
	(void)state;
	reads_as("\xEF\xBB\xBF"
		 "a: 1\nb: 2\n",
		 "{\"a\":1,\"b\":2}");
}

/* Found by the fuzzer: what is wrong below a key that is none was told from behind the end of its path. */
static void what_is_wrong_below_a_key_that_is_none_is_told(void **state)
{
	(void)state;
	is_refused("? [a]\n: !!str 4\n", ":2: has a tag");
}

static void broken_text_is_told_by_line(void **state)
{
	(void)state;
	is_refused("a: 1\nb: [1, 2\nc: 3\n", "a.yaml:3: is not YAML");
	is_refused("a: 1\nb: \xff\xfe\n", "a.yaml:2: is not UTF-8");
	is_refused("\xff\xfe"
		   "a",
		   "a.yaml:1: is not UTF-8");
	text_release(&error);
	text_init(&error, TEXT_ERROR_MAX);
	assert_null(config_tree_read(scratch_path("none.yaml"), &error));
	scratch_has(error.data, "none.yaml: cannot be opened");
}

static void size_depth_and_number_of_values_are_bounded(void **state)
{
	(void)state;
	struct text yaml;

	text_init(&yaml, 4 * 1024 * 1024);
	for (int i = 0; i < 40; i++)
		text_putc(&yaml, '[');
	is_refused(yaml.data, "nested more than");
	text_clear(&yaml);
	for (int i = 0; i < 50001; i++)
		text_puts(&yaml, "- 1\n");
	is_refused(yaml.data, "one value too many");
	text_clear(&yaml);
	for (int i = 0; i < 200000; i++)
		text_puts(&yaml, "# comment\n");
	is_refused(yaml.data, "too large");
	text_release(&yaml);
}

static void an_empty_file_is_null(void **state)
{
	(void)state;
	reads_as("", "null");
	reads_as("# nothing\n", "null");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_words_are_what_the_core_schema_says),
		cmocka_unit_test(quoted_words_are_text),
		cmocka_unit_test(every_value_knows_its_line),
		cmocka_unit_test(a_key_twice_is_an_error_and_reading_goes_on),
		cmocka_unit_test(what_hides_the_meaning_is_refused),
		cmocka_unit_test(an_alias_is_a_copy_of_what_its_anchor_marks),
		cmocka_unit_test(aliases_of_aliases_do_not_go_past_the_bounds),
		cmocka_unit_test(the_mark_that_some_editors_put_in_front_is_no_text),
		cmocka_unit_test(what_is_wrong_below_a_key_that_is_none_is_told),
		cmocka_unit_test(broken_text_is_told_by_line),
		cmocka_unit_test(size_depth_and_number_of_values_are_bounded),
		cmocka_unit_test(an_empty_file_is_null),
	};
	xalloc_init();
	text_init(&error, TEXT_ERROR_MAX);
	int failed = cmocka_run_group_tests_name("config_yaml", tests, scratch_open, scratch_close);
	text_release(&error);
	return failed;
}
