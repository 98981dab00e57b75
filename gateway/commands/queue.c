#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "words.h"
#include "banned.h"

#define LABEL_WIDTH 12
#define NUMBER_WIDTH 10

static void show_number(const json_t *answer, const char *key)
{
	const struct cli_screen screen = cli_screen();
	char *number = cli_words(answer, key);
	struct text line;

	text_init(&line, CLI_PATH_MAX);
	if (*number && strcmp(number, "0") != 0)
		cli_state(&line, key, LABEL_WIDTH, &screen);
	else
		cli_cell(&line, key, LABEL_WIDTH);
	text_addf(&line, "  %*s", NUMBER_WIDTH, *number ? number : "?");
	cli_line(line.data);
	free(number);
	text_release(&line);
}

static void show_lanes(const json_t *answer)
{
	const json_t *waiting = json_object_get(answer, "waiting"), *ages = json_object_get(answer, "ages");
	struct text line;

	text_init(&line, CLI_PATH_MAX);
	cli_line("LANE           IN REDIS  OLDEST ADMITTED THAT WAITS");
	for (int lane = 0; lane < LANES; lane++) {
		const char *name = lane_name((enum lane)lane);
		const json_t *age = json_object_get(ages, name);
		char *number = cli_words(waiting, name);
		text_clear(&line);
		cli_cell(&line, name, LABEL_WIDTH);
		text_addf(&line, "  %*s  ", NUMBER_WIDTH - 1, *number ? number : "?");
		if (json_is_number(age))
			text_addf(&line, "%.1f s", json_number_value(age));
		else
			text_puts(&line, "-");
		cli_line(line.data);
		free(number);
	}
	text_release(&line);
}

static void show(const json_t *answer)
{
	show_number(answer, "admitted");
	for (int state = 0; state < STATES; state++)
		show_number(answer, state_name((enum state)state));
	show_number(answer, "dead");
	cli_line("");
	show_lanes(answer);
	if (json_array_size(json_object_get(answer, "holds")))
		cli_line("\nSomething is held or cancelled: `heed hold --list`");
	const json_t *trouble;
	size_t i;
	json_array_foreach(json_object_get(answer, "troubles"), i, trouble)
	{
		char *says = cli_words(trouble, "says"), *stops = cli_words(trouble, "stops");
		cli_error("%s; %s", says, stops);
		free(says);
		free(stops);
	}
	char *redis = cli_words(answer, "redis");
	if (*redis)
		cli_error("Redis: %s", redis);
	free(redis);
}

struct queue_given {
	bool json;
};

static int run_queue(const char *config_file, int argc, char **argv)
{
	struct queue_given given = {0};
	size_t count;
	json_t *answer = NULL;

	if (!cli_parse(&command_queue, argc, argv, &given, 0, 0, NULL, &count))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	int status = cli_call(cli, "GET", "/v1/queue", NULL, &answer);
	if (status == STATUS_DONE && given.json)
		cli_json(answer);
	else if (status == STATUS_DONE)
		show(answer);
	json_decref(answer);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_option options_of_queue[] = {
	OPTION_FLAG(struct queue_given, json, "--json",
		    "One JSON object; dead and waiting are null where Redis does not answer, and redis says "
		    "why."),
	{0},
};

const struct command command_queue = {
	.name = "queue",
	.usage = "queue [--json]",
	.summary = "depths, ages and the sum of all states",
	.help = "admitted is always the sum of the states below it. Dead letters and what waits in Redis are "
		"not admitted. What keeps the gateway from taking messages is said as well (with --json: "
		"`troubles`).",
	.options = options_of_queue,
	.example = "heed queue\nheed queue --json",
	.run = run_queue,
};
