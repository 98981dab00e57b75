/* heed audit: reads the store in order, page by page, and has gateway/audit.c judge. Reads only; a gateway
 * may run beside it. Contacts and messages are read by two threads, each with a reader of its own. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../audit.h"
#include "../cli.h"
#include "../moment.h"
#include "../xalloc.h"
#include "../banned.h"

struct audit_given {
	bool json;
};

struct job {
	struct store_reader *reader;
	struct audit *audit;
	bool ok;
};

static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;

static void print_finding(void *context, const struct audit_finding *finding)
{
	const struct audit_given *given = context;

	pthread_mutex_lock(&printing);
	if (given->json) {
		json_t *line =
			json_pack("{s:s, s:I, s:s, s:I, s:s}", "code", audit_code_name(finding->code),
				  "contact", (json_int_t)finding->contact, "message", finding->message_id,
				  "customer", (json_int_t)finding->customer, "says", finding->says);
		cli_json(line);
		json_decref(line);
	} else {
		cli_line(finding->says);
	}
	pthread_mutex_unlock(&printing);
}

static void *read_contacts(void *argument)
{
	struct job *job = argument;

	job->ok = audit_read_contacts(job->audit, job->reader);
	return NULL;
}

static void *read_messages(void *argument)
{
	struct job *job = argument;

	job->ok = audit_read_messages(job->audit, job->reader);
	return NULL;
}

/* --- the command --- */

static int say_counts(const struct audit_given *given, struct audit_counts contacts,
		      struct audit_counts messages, int64_t took)
{
	int64_t findings = contacts.findings + messages.findings;
	struct text line;

	if (given->json)
		return findings ? STATUS_FAILED : STATUS_DONE;
	text_init(&line, TEXT_ERROR_MAX);
	text_addf(&line, "%lld contacts and %lld messages in %.1f s: ", (long long)contacts.contacts,
		  (long long)messages.messages, (double)took / MOMENT_S);
	if (findings)
		text_addf(&line, "%lld findings", (long long)findings);
	else
		text_puts(&line,
			  "each contact was allowed, each message has what it must, and the sum holds");
	if (contacts.erased)
		text_addf(&line, "; of %lld the customer is erased, so the address is not proved",
			  (long long)contacts.erased);
	if (contacts.older)
		text_addf(&line, "; %lld are of a heed that did not keep enough to prove them",
			  (long long)contacts.older);
	cli_line(line.data);
	text_release(&line);
	return findings ? STATUS_FAILED : STATUS_DONE;
}

static int run_both(const struct audit_given *given, struct job jobs[2])
{
	int64_t start = moment_mono();
	pthread_t thread;

	for (int i = 0; i < 2; i++)
		jobs[i].audit = audit_new(print_finding, (void *)given);
	bool beside = pthread_create(&thread, NULL, read_messages, &jobs[1]) == 0;
	read_contacts(&jobs[0]);
	if (beside)
		pthread_join(thread, NULL);
	else
		read_messages(&jobs[1]);
	int status = STATUS_DONE;
	for (int i = 0; i < 2; i++)
		if (!jobs[i].ok)
			status = cli_error("audit: %s", store_reader_error(jobs[i].reader));
	if (status == STATUS_DONE)
		status = say_counts(given, audit_counts(jobs[0].audit), audit_counts(jobs[1].audit),
				    moment_mono() - start);
	for (int i = 0; i < 2; i++)
		audit_free(jobs[i].audit);
	return status;
}

static int run_audit(const char *config_file, int argc, char **argv)
{
	struct audit_given given = {0};
	struct job jobs[2] = {0};
	struct text error;
	size_t words = 0;
	int status = STATUS_DONE;

	if (!cli_parse(&command_audit, argc, argv, &given, 0, 0, NULL, &words))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&error, TEXT_ERROR_MAX);
	for (int i = 0; i < 2 && status == STATUS_DONE; i++)
		if (!(jobs[i].reader = store_reader_open(cli_config(cli)->store.url, &error)))
			status = cli_error("%s", error.data);
	if (status == STATUS_DONE)
		status = run_both(&given, jobs);
	for (int i = 0; i < 2; i++)
		store_reader_close(jobs[i].reader);
	text_release(&error);
	cli_close(cli);
	return cli_end(status);
}

static const struct command_option options_of_audit[] = {
	OPTION_FLAG(struct audit_given, json, "--json",
		    "One JSON object a line for each finding, and nothing else."),
	{0},
};

const struct command command_audit = {
	.name = "audit",
	.usage = "audit [--json]",
	.summary = "prove each contact against the choice",
	.help = "Recomputes for each contact, from the numbered log of changes, whether the preference, the "
		"products and the facts of the customer that were in force when it was claimed allowed it; "
		"that each "
		"contact belongs to its messages, and each message that has ended has its contact or its "
		"closing line; and that the counters are the sum of the messages. Prints what is not so, and "
		"ends "
		"with status 1 then. Caps are not counted again. Reads only: a gateway may run.",
	.options = options_of_audit,
	.example = "heed audit",
	.run = run_audit,
};
