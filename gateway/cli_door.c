/* How a command reaches a heed: the gateway's socket first. Where nobody answers there, what only reads takes
 * a reader, and what changes takes the store itself, if it gets the lock. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "cli.h"
#include "moment.h"
#include "queue.h"
#include "store.h"
#include "turn.h"
#include "xalloc.h"
#include "banned.h"

#define CALL_TIMEOUT (60 * MOMENT_S)
#define LOCK_PATIENCE (3 * MOMENT_S) /* a gateway that starts, another command that is at work */

struct cli {
	struct config *config;
	struct asker asker;
	/* what was opened because no gateway answered */
	struct store *store;
	struct turn *turn;
	struct store_reader *reader;
	struct queue *queue;
};

/* Who sits before the terminal, for the log of changes. */
static const char *actor_name(void)
{
	static const char *const names[] = {"SUDO_USER", "LOGNAME", "USER"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *name = getenv(names[i]);
		if (name && customer_id_valid(name))
			return name;
	}
	return "";
}

struct cli *cli_open(const char *config_file)
{
	struct config_report report;
	struct cli *cli = NULL;

	config_report_init(&report);
	struct config *config = config_load(config_file, &report);
	if (config) {
		cli = xcalloc(1, sizeof *cli);
		cli->config = config;
		cli->asker = (struct asker){.by = "cli", .actor = actor_name()};
	} else {
		cli_errors(report.errors.data);
	}
	config_report_release(&report);
	return cli;
}

void cli_close(struct cli *cli)
{
	if (!cli)
		return;
	if (cli->queue)
		queue_close(cli->queue);
	if (cli->reader)
		store_reader_close(cli->reader);
	if (cli->turn)
		turn_free(cli->turn);
	if (cli->store)
		store_close(cli->store);
	config_drop(cli->config);
	free(cli);
}

struct config *cli_config(struct cli *cli)
{
	return cli->config;
}

void cli_as_import(struct cli *cli)
{
	cli->asker.by = "import";
}

/* The reader of a store that need not be there yet: then it is made, under its lock, and let go at once. */
static bool open_reader(struct cli *cli, struct text *error)
{
	struct text why;

	if (cli->reader)
		return true;
	cli->reader = store_reader_open(cli->config->store.url, error);
	if (cli->reader || cli->store)
		return cli->reader != NULL;
	text_init(&why, TEXT_ERROR_MAX);
	struct store *store = store_open(cli->config->store.url, cli->config->store.migrate, &why);
	if (store) {
		store_close(store);
		cli->reader = store_reader_open(cli->config->store.url, error);
	}
	text_release(&why);
	return cli->reader != NULL;
}

struct store_reader *cli_take_reader(struct cli *cli, struct text *error)
{
	struct store_reader *reader = open_reader(cli, error) ? cli->reader : NULL;

	cli->reader = NULL;
	return reader;
}

static struct queue *open_queue(struct cli *cli, struct text *error)
{
	const struct queue_config config = queue_config_of(cli->config, "cli");

	if (!cli->queue)
		cli->queue = queue_open(&config, error);
	return cli->queue;
}

struct queue *cli_queue(struct cli *cli)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (!open_queue(cli, &error))
		cli_error("queue.redis: %s", error.data);
	text_release(&error);
	return cli->queue;
}

int cli_queue_error(const char *what, const struct queue *queue)
{
	const char *why = queue_error(queue);
	bool away = strstr(why, "could not connect") != NULL;

	return cli_error("%s: %s%s", what, why,
			 away ? "; does Redis run there? queue.redis in the configuration says where" : "");
}

/* The call in this process, on what was opened. */
static void call_here(struct cli *cli, const char *method, const char *path, const json_t *send,
		      struct import_batch *batch, int *status, json_t **body)
{
	struct api api = {.door = {.turn = cli->turn, .alone = true},
			  .config = cli->config,
			  .reader = cli->reader,
			  .queue = cli->queue};
	size_t path_len = strcspn(path, "?");
	char *only_path = xmemdup0(path, path_len);
	struct api_request request = {.door = DOOR_SOCKET,
				      .method = method,
				      .peer = "",
				      .path = only_path,
				      .query = path[path_len] ? path + path_len + 1 : "",
				      .body = "",
				      .tree = (json_t *)send,
				      .batch = batch,
				      .asker = cli->asker};
	struct api_response response;

	api_handle(&api, &request, &response);
	*status = response.status;
	*body = json_incref(response.body);
	api_response_release(&response);
	free(only_path);
}

/* Takes the store for ourselves. False: *locked by somebody, or `error`. */
static bool open_store(struct cli *cli, bool *locked, struct text *error)
{
	struct text why;

	*locked = false;
	if (cli->turn)
		return true;
	text_init(&why, TEXT_ERROR_MAX);
	cli->store = store_open(cli->config->store.url, cli->config->store.migrate, &why);
	if (cli->store) {
		cli->turn = turn_new(cli->store, cli->config);
	} else {
		*locked = store_open_was_locked();
		text_error(error, "%s%s", why.data,
			   *locked ? "; if that is a gateway, http.socket of its configuration is wanted here"
				   : "");
	}
	text_release(&why);
	return cli->turn != NULL;
}

static bool only_reads(const char *method, const char *path)
{
	const char *last = strrchr(path, '/');

	return strcmp(method, "GET") == 0 || strcmp(path, "/v1/explain") == 0 || strcmp(last, "/link") == 0;
}

static bool ask(struct cli *cli, const char *method, const char *path, const json_t *send,
		struct import_batch *batch, int *status, json_t **body, struct text *error)
{
	static const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
	int64_t until = moment_mono() + LOCK_PATIENCE;
	bool locked = false;

	*status = 0;
	*body = NULL;
	for (;;) {
		/* once we hold the store no gateway can be there */
		if (!cli->turn && api_call_socket(cli->config->http.socket, &cli->asker, method, path, send,
						  CALL_TIMEOUT, status, body, error))
			return true;
		if (only_reads(method, path) || open_store(cli, &locked, error)) {
			if (!open_reader(cli, error))
				return false;
			open_queue(cli, error); /* a bad URL was refused with the configuration */
			call_here(cli, method, path, send, batch, status, body);
			return true;
		}
		if (!locked || moment_mono() >= until)
			return false;
		nanosleep(&pause, NULL);
	}
}

bool cli_ask(struct cli *cli, const char *method, const char *path, const json_t *send, int *status,
	     json_t **body, struct text *error)
{
	return ask(cli, method, path, send, NULL, status, body, error);
}

bool cli_ask_import(struct cli *cli, bool recreate, const json_t *customers, struct import_batch *batch,
		    int *status, json_t **body, struct text *error)
{
	return ask(cli, "PATCH", recreate ? "/v1/customers?recreate=true" : "/v1/customers", customers, batch,
		   status, body, error);
}

size_t cli_import_most(const struct cli *cli, bool *here)
{
	*here = cli->turn != NULL;
	return *here && !store_is_shared(cli->store) ? IMPORT_BATCH_MAX : API_LIST_MAX;
}

int cli_call(struct cli *cli, const char *method, const char *path, const json_t *send, json_t **answer)
{
	struct text error;
	int status, result = STATUS_DONE;

	*answer = NULL;
	text_init(&error, TEXT_ERROR_MAX);
	if (!cli_ask(cli, method, path, send, &status, answer, &error))
		result = cli_error("%s", error.data);
	else if (status >= 400 || status < 200 || !*answer)
		result = cli_problem(status, *answer);
	if (result != STATUS_DONE) {
		json_decref(*answer);
		*answer = NULL;
	}
	text_release(&error);
	return result;
}
