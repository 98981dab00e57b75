/* Export and erasure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "cli.h"
#include "customer_private.h"
#include "export.h"
#include "banned.h"

#define EXPORT_PIECE (256 * 1024)
#define ANSWER_MAX 16

/* --- export --- */

static int export_all(struct export *export)
{
	bool failed = false, more = true;

	while (more && !ferror(stdout)) {
		struct text piece;
		text_init(&piece, EXPORT_PIECE);
		more = export_more(export, EXPORT_PIECE, &piece, &failed);
		fwrite(piece.data, 1, piece.len, stdout);
		text_release(&piece);
	}
	return failed ? cli_error("customer export: the store cannot be read; the export is not whole")
		      : STATUS_DONE;
}

int customer_export(struct cli *cli, const char *id, const struct customer_given *given)
{
	struct text error;
	bool unknown = false;
	int status;

	(void)given;
	text_init(&error, TEXT_ERROR_MAX);
	struct store_reader *reader = cli_take_reader(cli, &error);
	struct export *export = reader ? export_open(reader, id, &unknown, &error) : NULL;
	if (export)
		status = export_all(export);
	else
		status = unknown ? cli_error("customer %s: there is no customer with this id", id)
				 : cli_error("%s", error.data);
	export_close(export);
	text_release(&error);
	return status;
}

/* --- erase --- */

/* Asks whoever sits at the terminal; nobody there: --yes is wanted. */
static bool is_sure(const char *id, const struct customer_given *given)
{
	char answer[ANSWER_MAX] = "";

	if (given->yes)
		return true;
	if (isatty(STDIN_FILENO) != 1) {
		cli_error("customer erase: it can't be undone; --yes says that you mean it");
		return false;
	}
	fprintf(stderr, "Erase customer %s for good? Type yes: ", id);
	return fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
}

static void show_erased(const char *id, const json_t *answer)
{
	char *name = cli_words(answer, "erased");
	struct text line;

	text_init(&line, CLI_PATH_MAX);
	text_addf(&line, "%s: erased; what the proof needs goes by %s", id, name);
	cli_line(line.data);
	cli_on_their_way(answer);
	text_release(&line);
	free(name);
}

int customer_erase(struct cli *cli, const char *id, const struct customer_given *given)
{
	json_t *answer = NULL, *more = NULL;
	struct text path;

	if (!is_sure(id, given))
		return STATUS_FAILED;
	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, "/v1/customers/:", id, NULL);
	int status = cli_call(cli, "DELETE", path.data, NULL, &answer);
	while (status == STATUS_DONE && !json_is_true(json_object_get(answer, "finished"))) {
		status = cli_call(cli, "DELETE", path.data, NULL, &more);
		json_object_set(answer, "finished", json_object_get(more, "finished"));
		json_decref(more);
		more = NULL;
	}
	text_release(&path);
	if (status == STATUS_DONE && given->json)
		cli_json(answer);
	else if (status == STATUS_DONE)
		show_erased(id, answer);
	const char *problem = json_string_value(json_object_get(answer, "dead_problem"));
	if (status == STATUS_DONE && problem)
		status = cli_error(
			"the dead letters could not be searched: %s; erase it again when Redis is there",
			problem);
	json_decref(answer);
	return status;
}
