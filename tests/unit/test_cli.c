#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli.h"
#include "xalloc.h"

#define WORDS_MAX 2

struct parsed {
	const char *channels, *lane, *words[WORDS_MAX];
	bool stop;
	size_t count;
};

static const struct command_option example_options[] = {
	OPTION_VALUE(struct parsed, channels, "--channels", "A,B", "The channels."),
	OPTION_VALUE(struct parsed, lane, "--lane", "urgent|normal|bulk", "The lane."),
	OPTION_FLAG(struct parsed, stop, "--stop", "None."),
	{0},
};
static const struct command example = {
	.name = "example", .usage = "example WORD [--channels A] [--stop]", .options = example_options};

/* --- what is written on one of the standard streams, as text --- */

struct capture {
	FILE *file;
	int stream, kept;
};

static void capture_begin(struct capture *capture, int stream)
{
	fflush(NULL);
	capture->file = tmpfile();
	assert_non_null(capture->file);
	capture->stream = stream;
	capture->kept = dup(stream);
	dup2(fileno(capture->file), stream);
}

static char *capture_end(struct capture *capture)
{
	char text[8192];

	fflush(NULL);
	dup2(capture->kept, capture->stream);
	close(capture->kept);
	ssize_t len = pread(fileno(capture->file), text, sizeof text - 1, 0);
	fclose(capture->file);
	assert_true(len >= 0);
	return xmemdup0(text, (size_t)len);
}

static bool parse(struct parsed *out, char *said, size_t said_size, const char *const *given)
{
	struct capture capture;
	char *argv[10];
	int argc = 0;

	*out = (struct parsed){0};
	argv[argc++] = (char *)"example";
	for (; *given; given++)
		argv[argc++] = (char *)*given;
	capture_begin(&capture, STDERR_FILENO);
	bool ok = cli_parse(&example, argc, argv, out, 1, WORDS_MAX, out->words, &out->count);
	char *text = capture_end(&capture);
	snprintf(said, said_size, "%s", text);
	free(text);
	return ok;
}

#define given(...) ((const char *const[]){__VA_ARGS__, NULL})

static void options_stand_anywhere_among_the_words(void **state)
{
	struct parsed got;
	char said[500];

	(void)state;
	assert_true(
		parse(&got, said, sizeof said, given("c-1", "--channels", "sms,email", "--stop", "cards")));
	assert_int_equal(got.count, 2);
	assert_string_equal(got.words[1], "cards");
	assert_string_equal(got.channels, "sms,email");
	assert_true(got.stop);
	assert_true(parse(&got, said, sizeof said, given("--channels=sms", "c-1")));
	assert_string_equal(got.channels, "sms");
}

static void behind_two_dashes_all_is_words(void **state)
{
	struct parsed got;
	char said[500];

	(void)state;
	assert_true(parse(&got, said, sizeof said, given("--", "--stop", "-")));
	assert_false(got.stop);
	assert_string_equal(got.words[0], "--stop");
	assert_string_equal(got.words[1], "-");
}

static void wrong_words_are_refused_with_the_usage(void **state)
{
	struct parsed got;
	char said[500];

	(void)state;
	assert_false(parse(&got, said, sizeof said, given("c-1", "--chan", "sms")));
	assert_non_null(strstr(said, "heed: --chan: there is no such option\n"));
	assert_false(parse(&got, said, sizeof said, given("c-1", "--chanels", "sms")));
	assert_non_null(strstr(said, "heed: --chanels: there is no such option; did you mean --channels?\n"));
	assert_non_null(strstr(said, "usage: heed [--config FILE] example WORD"));
	assert_false(parse(&got, said, sizeof said, given("c-1", "--stop", "--stop")));
	assert_non_null(strstr(said, "twice"));
	assert_false(parse(&got, said, sizeof said, given("c-1", "--stop=yes")));
	assert_non_null(strstr(said, "no value"));
	assert_false(parse(&got, said, sizeof said, given("c-1", "--channels")));
	assert_non_null(strstr(said, "a value is wanted"));
	assert_false(parse(&got, said, sizeof said, given("--stop")));
	assert_non_null(strstr(said, "missing"));
	assert_false(parse(&got, said, sizeof said, given("1", "2", "3")));
	assert_non_null(strstr(said, "3: is one word too many"));
}

static void a_value_is_one_of_its_choices(void **state)
{
	struct parsed got;
	char said[500];

	(void)state;
	assert_true(parse(&got, said, sizeof said, given("c-1", "--lane", "bulk")));
	assert_string_equal(got.lane, "bulk");
	assert_false(parse(&got, said, sizeof said, given("c-1", "--lane=ur")));
	assert_non_null(strstr(said, "heed: --lane: ur is not urgent, normal or bulk\n"));
	assert_false(parse(&got, said, sizeof said, given("c-1", "--lane", "")));
	assert_non_null(strstr(said, "heed: --lane: '' is not"));
}

static void a_cell_is_as_wide_as_it_looks(void **state)
{
	struct text line;

	(void)state;
	text_init(&line, 100);
	cli_cell(&line, "Díaz", 6);
	cli_cell(&line, "x", 0);
	assert_string_equal(line.data, "Díaz    x");
	text_release(&line);
}

static void what_others_wrote_may_not_steer_a_terminal(void **state)
{
	struct text line;

	(void)state;
	text_init(&line, 100);
	cli_clean(&line, "a\033[2Jb\nc\xc2\x9b"
			 "d\177");
	assert_string_equal(line.data, "a [2Jb c d ");
	text_release(&line);
}

static void a_path_holds_any_id(void **state)
{
	struct text path;

	(void)state;
	text_init(&path, 200);
	cli_path(&path, "/v1/customers/:/preferences/:", "c/1 é", "a/b");
	cli_query(&path, "limit", "5");
	cli_query(&path, "state", NULL);
	cli_query(&path, "customer", "a&b");
	assert_string_equal(path.data,
			    "/v1/customers/c%2F1%20%C3%A9/preferences/a%2Fb?limit=5&customer=a%26b");
	text_release(&path);
}

static void problems_become_a_line_and_a_status(void **state)
{
	json_t *problem = json_pack("{s:s}", "detail", "c-1: because\nof this");
	struct capture capture;

	(void)state;
	capture_begin(&capture, STDERR_FILENO);
	int refused = cli_problem(422, problem), worded = cli_problem(400, problem),
	    silent = cli_problem(500, NULL);
	char *said = capture_end(&capture);
	assert_int_equal(refused, STATUS_FAILED);
	assert_int_equal(worded, STATUS_USAGE);
	assert_int_equal(silent, STATUS_FAILED);
	assert_int_equal(strncmp(said, "heed: c-1: because", 18), 0);
	free(said);
	json_decref(problem);
}

static void a_limit_is_a_number(void **state)
{
	struct capture capture;
	long long limit;

	(void)state;
	assert_true(cli_limit(&example, NULL, &limit));
	assert_int_equal(limit, 100);
	assert_true(cli_limit(&example, "7", &limit));
	assert_int_equal(limit, 7);
	capture_begin(&capture, STDERR_FILENO);
	bool minus = cli_limit(&example, "-1", &limit), word = cli_limit(&example, "7x", &limit);
	bool huge = cli_limit(&example, "99999999999999999999", &limit);
	free(capture_end(&capture));
	assert_false(minus || word || huge);
}

static void a_reader_that_went_away_is_no_failure(void **state)
{
	int pipe_ends[2], kept = dup(STDOUT_FILENO);

	(void)state;
	assert_int_equal(pipe(pipe_ends), 0);
	fflush(stdout);
	dup2(pipe_ends[1], STDOUT_FILENO);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	bool written = cli_line("nobody reads this");
	int status = cli_end(STATUS_DONE);
	clearerr(stdout);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	assert_false(written);
	assert_int_equal(status, STATUS_DONE);
}

static void a_full_disk_is_a_failure(void **state)
{
	int full = open("/dev/full", O_WRONLY), kept = dup(STDOUT_FILENO);
	struct capture capture;

	(void)state;
	fflush(stdout);
	dup2(full, STDOUT_FILENO);
	close(full);
	capture_begin(&capture, STDERR_FILENO);
	cli_line("no room for this");
	int status = cli_end(STATUS_DONE);
	char *said = capture_end(&capture);
	clearerr(stdout);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	assert_int_equal(status, STATUS_FAILED);
	assert_non_null(strstr(said, "standard output"));
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere_among_the_words),
		cmocka_unit_test(behind_two_dashes_all_is_words),
		cmocka_unit_test(wrong_words_are_refused_with_the_usage),
		cmocka_unit_test(a_value_is_one_of_its_choices),
		cmocka_unit_test(a_cell_is_as_wide_as_it_looks),
		cmocka_unit_test(what_others_wrote_may_not_steer_a_terminal),
		cmocka_unit_test(a_path_holds_any_id),
		cmocka_unit_test(problems_become_a_line_and_a_status),
		cmocka_unit_test(a_limit_is_a_number),
		cmocka_unit_test(a_reader_that_went_away_is_no_failure),
		cmocka_unit_test(a_full_disk_is_a_failure),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
