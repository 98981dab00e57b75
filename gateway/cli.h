/* What the subcommands share: words and options, errors, lines of output, and the door to a heed: the running
 * gateway over its Unix socket, or, where none answers, the store itself (api_handle in this process). One
 * thread. */
#ifndef HEED_CLI_H
#define HEED_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "command.h"
#include "config.h"
#include "text.h"

/* --- words --- */

/* Sorts argv into the command's options (anywhere; `--name value` or `--name=value`; `--` ends them), written
 * into `given` (NULL where there are none), and words. False, and said on standard error: an unknown option,
 * one twice, a missing value, one that is none of its choices, or not `least` to `most` words. */
bool cli_parse(const struct command *command, int argc, char **argv, void *given, size_t least, size_t most,
	       const char *words[], size_t *count);
/* Is it "a|b|c", one of which is wanted? */
bool cli_is_choice(const char *value);
/* The value of --limit; 100 without (NULL). False, and said: it is not a number, or less than `least`. */
bool cli_limit(const struct command *command, const char *word, long long least, long long *limit);
/* A moment, or a time from now (3d), as JSON has it; what is neither stays as it is. NULL: it is not UTF-8.
 */
json_t *cli_moment(const char *word);
/* `heed: …` and the usage, on standard error. */
__attribute__((format(printf, 2, 3))) int cli_usage(const struct command *command, const char *format, ...);
/* `heed: what: why`. */
__attribute__((format(printf, 1, 2))) int cli_error(const char *format, ...); /* STATUS_FAILED */
/* Each line of `lines` (a report of the configuration) as an error. */
int cli_errors(const char *lines); /* STATUS_USAGE */

/* --- output --- */

/* A line on standard output, at once. False: whoever read it is gone. */
bool cli_line(const char *line);
bool cli_json(const json_t *json);
/* Appends `s` with spaces for control characters: what others wrote may not steer a terminal. Its columns. */
size_t cli_clean(struct text *line, const char *s);
/* A cell of a table: two spaces before it unless it is the first, then `s`, clean, padded to `width` columns.
 */
void cli_cell(struct text *line, const char *s, size_t width);
/* json[key] as words: a string as it is, other values as JSON, null or none as "". The caller frees. */
char *cli_words(const json_t *json, const char *key);
/* The end of every command: an error of writing makes it STATUS_FAILED, but for a reader that went away. */
int cli_end(int status);

/* The terminal that standard output is. */
struct cli_screen {
	size_t width; /* in columns; 0: it is no terminal, and lines are as long as they are */
	bool colours; /* on a terminal, unless NO_COLOR says no (no-color.org) */
};
struct cli_screen cli_screen(void);
/* Appends a state, in its colour, padded to `width`. */
void cli_state(struct text *line, const char *state, size_t width, const struct cli_screen *screen);
/* Cuts a line without colours where the screen ends. */
void cli_fit(struct text *line, const struct cli_screen *screen);

/* A table of contacts, as log, history and explain print it; or one JSON object a line. */
void cli_contact_heading(void);
char *cli_contact_words(const json_t *contact, bool json); /* on this screen; the caller frees */
void cli_on_their_way(const json_t *answer); /* a line for each message that a change came too late for */

/* A bar on standard error while a person looks on; nothing otherwise. `total` 0: unknown. */
struct cli_progress {
	bool shown;
	long long total;
	int percent;
};
void cli_progress_start(struct cli_progress *progress, long long total);
void cli_progress_show(struct cli_progress *progress, long long done, long long records);
void cli_progress_end(struct cli_progress *progress);

/* --- the door --- */

struct cli;
struct queue;

/* Reads the configuration; nothing is opened yet. NULL, and said: then the status is STATUS_USAGE. */
struct cli *cli_open(const char *config_file);
void cli_close(struct cli *cli); /* NULL is fine */
struct config *cli_config(struct cli *cli);
/* A reader of the store, the caller's to close. NULL and `error`. */
struct store_reader *cli_take_reader(struct cli *cli, struct text *error);
/* From now on calls are an import's: changed_by says so. */
void cli_as_import(struct cli *cli);

/* The queue of the configuration, opened at the first call; the cli's own. NULL, and said: it can't be. */
struct queue *cli_queue(struct cli *cli);

/* `heed: WHAT: why`, of a call of the queue that failed. */
int cli_queue_error(const char *what, const struct queue *queue); /* STATUS_FAILED */

/* One call of the API. False: neither a gateway nor the store could be reached, `error` says why. *body may
 * be NULL; the caller releases it. */
bool cli_ask(struct cli *cli, const char *method, const char *path, const json_t *send, int *status,
	     json_t **body, struct text *error);
/* The same, of an import. `batch`: the customers as import_batch_read gave them, where the call is made in
 * this process; NULL. */
struct import_batch;
bool cli_ask_import(struct cli *cli, bool recreate, const json_t *customers, struct import_batch *batch,
		    int *status, json_t **body, struct text *error);
/* How many customers such a call may bring: more where nobody waits for the store but we. *here: in this
 * process. */
size_t cli_import_most(const struct cli *cli, bool *here);
/* The same, with every failure said on standard error. STATUS_DONE and *answer (owned by the caller), or the
 * status to end with. */
int cli_call(struct cli *cli, const char *method, const char *path, const json_t *send, json_t **answer);
/* Says a problem of the API. The status to end with. */
int cli_problem(int status, const json_t *problem);

/* Appends the pattern with `first`, then `second` (may be NULL), percent-encoded in the place of each `:`, as
 * in
 * "/v1/customers/:/history". */
void cli_path(struct text *path, const char *pattern, const char *first, const char *second);
/* Appends ?name=value or &name=value; nothing if the value is NULL. */
void cli_query(struct text *path, const char *name, const char *value);
void cli_query_number(struct text *path, const char *name, long long number);

#define CLI_PATH_MAX 16384
#define CLI_LINE_MAX (64 * 1024)
#define CLI_WIDTH_LEAST 60 /* columns: a narrower terminal breaks lines */

#endif
