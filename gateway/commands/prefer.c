#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "preference.h"
#include "banned.h"

struct prefer_words {
	const char *channels, *hours, *digest, *paused_until;
	bool stop, json;
};

/* False, and said: it is not UTF-8. */
static bool add_word(json_t *body, const char *key, const char *word)
{
	json_t *string = word ? json_string(word) : NULL;

	if (string)
		json_object_set_new(body, key, string);
	return !word || string || cli_error("%s: is not UTF-8", key) == STATUS_DONE;
}

/* Only what was given. NULL, and said: it can't be read. */
static json_t *prefer_body(const struct prefer_words *words)
{
	json_t *body = json_object(), *channels = NULL;
	struct text error;
	bool ok = true;

	text_init(&error, TEXT_ERROR_MAX);
	if (words->stop)
		channels = json_array();
	else if (words->channels)
		channels = preference_channels_from_words(words->channels, &error);
	if (channels)
		json_object_set_new(body, "channels", channels);
	else if (words->channels)
		ok = cli_error("%s", error.data) == STATUS_DONE;
	ok = ok && add_word(body, "hours", words->hours) && add_word(body, "digest", words->digest);
	json_t *paused = !words->paused_until   ? NULL
			 : *words->paused_until ? cli_moment(words->paused_until)
						: json_null(); /* ends the pause */
	if (paused)
		json_object_set_new(body, "paused_until", paused);
	else if (words->paused_until)
		ok = cli_error("paused_until: is not UTF-8") == STATUS_DONE;
	if (!ok) {
		json_decref(body);
		body = NULL;
	}
	text_release(&error);
	return body;
}

static void add_channels(const json_t *channels, struct text *line)
{
	const json_t *entry;
	size_t i;

	if (json_is_array(channels) && !json_array_size(channels))
		text_puts(line, "stopped");
	else if (!json_is_array(channels))
		text_puts(line, "channels not chosen");
	json_array_foreach(channels, i, entry)
	{
		const json_t *name = json_is_object(entry) ? json_object_get(entry, "channel") : entry;
		const char *hours = json_string_value(json_object_get(entry, "hours"));
		const char *wait = json_string_value(json_object_get(entry, "wait"));
		text_addf(line, "%s%s", i ? ", then " : "", json_string_value(name));
		if (hours || wait)
			text_addf(line, " (%s%s%s%s)", hours ? hours : "", hours && wait ? "; " : "",
				  wait ? "waits " : "", wait ? wait : "");
	}
}

/* When they want to hear it, where that was chosen. */
static void add_time(const json_t *preference, struct text *line)
{
	char *hours = cli_words(preference, "hours"), *digest = cli_words(preference, "digest");
	char *paused = cli_words(preference, "paused_until");

	if (*hours)
		text_addf(line, "; hours %s", hours);
	if (*digest && strcmp(digest, "immediate") != 0)
		text_addf(line, "; digest %s", digest);
	if (*paused)
		text_addf(line, "; paused until %s", paused);
	free(hours);
	free(digest);
	free(paused);
}

/* Where it comes from: a version, or what applies in its absence. */
static void add_origin(const json_t *preference, struct text *line)
{
	const char *source = json_string_value(json_object_get(preference, "source"));
	const char *product = json_string_value(json_object_get(preference, "product"));
	bool all = product && strcmp(product, "*") == 0;
	json_int_t version = json_integer_value(json_object_get(preference, "version"));
	char *at = cli_words(preference, "changed_at"), *by = cli_words(preference, "changed_by");

	if (source && strcmp(source, "parent") == 0)
		text_puts(line, " (not chosen: follows the choice for the product that it is a part of)");
	else if (source && strcmp(source, "*") == 0)
		text_puts(line, " (not chosen: follows the choice for all products)");
	else if (source || !version)
		text_addf(line, " (not chosen: %s)",
			  all ? "each product's default" : "the product's default");
	if (version)
		text_addf(line, " (version %" JSON_INTEGER_FORMAT ", %s, by %s)", version, at, by);
	free(at);
	free(by);
}

static void show(const char *customer, const char *product, const json_t *answer)
{
	struct text line;

	text_init(&line, CLI_PATH_MAX);
	text_addf(&line, "%s, %s: ", customer, product);
	add_channels(json_object_get(answer, "channels"), &line);
	add_time(answer, &line);
	add_origin(answer, &line);
	cli_line(line.data);
	cli_on_their_way(answer);
	text_release(&line);
}

static int run_prefer(const char *config_file, int argc, char **argv)
{
	struct prefer_words given = {0};
	const char *words[2];
	size_t count;
	json_t *body = NULL, *answer = NULL;
	struct cli *cli = NULL;
	struct text path;
	int status = STATUS_USAGE;

	if (!cli_parse(&command_prefer, argc, argv, &given, 2, 2, words, &count))
		return STATUS_USAGE;
	if (given.stop && given.channels)
		return cli_usage(&command_prefer, "--stop: does not go with --channels");
	if (given.channels && !*given.channels)
		return cli_usage(&command_prefer, "--channels: names are wanted; --stop is for none");
	text_init(&path, CLI_PATH_MAX);
	cli = cli_open(config_file);
	if (!cli)
		goto out;
	status = STATUS_FAILED;
	body = prefer_body(&given);
	if (!body)
		goto out;
	cli_path(&path, "/v1/customers/:/preferences/:", words[0], words[1]);
	status = json_object_size(body) ? cli_call(cli, "PATCH", path.data, body, &answer)
					: cli_call(cli, "GET", path.data, NULL, &answer);
	if (status != STATUS_DONE)
		goto out;
	if (given.json)
		cli_json(answer);
	else
		show(words[0], words[1], answer);
out:
	json_decref(body);
	json_decref(answer);
	text_release(&path);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_word words_of_prefer[] = {
	{"ID", "PRODUCT",
	 "PRODUCT may be a part (card-alerts/fraud), or '*' for all that nothing was chosen for."},
	{0},
};

static const struct command_option options_of_prefer[] = {
	OPTION_VALUE(struct prefer_words, channels, "--channels", "A,B",
		     "The channels, in order; each may have hours of its own, and how long a message waits "
		     "for it before "
		     "the next one is tried: 'sms{hours=mon-fri 09:00-18:00,wait=2h},email'."),
	OPTION_FLAG(struct prefer_words, stop, "--stop", "None: nothing is sent about it."),
	OPTION_VALUE(struct prefer_words, hours, "--hours", "HOURS",
		     "When they want to hear it, in their time zone: 'mon-fri 09:00-20:00, sat "
		     "10:00-14:00'; '' is always, but for the product's quiet hours."),
	OPTION_VALUE(struct prefer_words, digest, "--digest", "DIGEST",
		     "Together: immediate, hourly, 'daily 08:00', 'weekly mon 08:00'."),
	OPTION_VALUE(struct prefer_words, paused_until, "--pause-until", "TIME",
		     "Nothing before: 2027-01-31T08:00:00Z, or from now: 3d; '' ends the pause."),
	OPTION_FLAG(struct prefer_words, json, "--json", "One JSON object."),
	{0},
};

const struct command command_prefer = {
	.name = "prefer",
	.usage = "prefer ID PRODUCT [--channels sms,email] [--stop] [--hours HOURS] [--digest DIGEST] "
		 "[--pause-until TIME] [--json]",
	.summary = "show or change what a customer chose for a product",
	.help = "Without options it shows what was chosen, or what applies where nothing was.\n\n"
		"Only what is given changes. It answers once the change is committed and nothing more can "
		"leave "
		"against it; what was on its way already is listed.",
	.words = words_of_prefer,
	.options = options_of_prefer,
	.example = "heed prefer c-1042 card-alerts\n"
		   "heed prefer c-1042 card-alerts --channels sms,email\n"
		   "heed prefer c-1042 card-alerts --hours 'mon-fri 09:00-20:00' --digest 'daily 18:00'",
	.run = run_prefer,
};
