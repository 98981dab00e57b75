/* heed audit: reads the store in order, page by page, and has gateway/audit.c judge. Reads only; a gateway
 * may run beside it. Several threads read, each with a reader of its own: one the messages, then all of them
 * contacts, so many customers at a time. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../audit.h"
#include "../cli.h"
#include "../moment.h"
#include "../xalloc.h"
#include "../banned.h"

struct audit_given {
	bool json;
};

#define READERS_MAX 4  /* as many as there are cores, and at least two: they wait for the store by turns */
#define CUSTOMERS 4096 /* that one of them takes at once */

/* What is left to be read. */
struct rest {
	pthread_mutex_t lock;
	bool messages; /* not begun yet */
	int64_t next;  /* customer; -1: there is none left */
};

struct job {
	pthread_t thread;
	struct store_reader *reader;
	struct audit *audit;
	struct rest *rest;
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

/* The next customers of whom nobody has read. False: there are none, or the reader failed. */
static bool take_part(struct job *job, int64_t *from)
{
	struct rest *rest = job->rest;
	int64_t first = 0;

	pthread_mutex_lock(&rest->lock);
	if (rest->next >= 0 && job->ok) {
		job->ok = audit_next_customer(job->reader, rest->next, &first);
		rest->next = first ? first + CUSTOMERS : -1;
	}
	pthread_mutex_unlock(&rest->lock);
	*from = first;
	return first != 0;
}

static bool take_messages(struct rest *rest)
{
	pthread_mutex_lock(&rest->lock);
	bool mine = rest->messages;
	rest->messages = false;
	pthread_mutex_unlock(&rest->lock);
	return mine;
}

static void *read_all(void *argument)
{
	struct job *job = argument;
	int64_t from;

	if (take_messages(job->rest))
		job->ok = audit_read_messages(job->audit, job->reader);
	while (take_part(job, &from))
		job->ok = audit_read_customers(job->audit, job->reader, from, from + CUSTOMERS);
	return NULL;
}

/* --- the command --- */

static struct audit_counts sum_of(const struct job jobs[], size_t count)
{
	struct audit_counts sum = {0};

	for (size_t i = 0; i < count; i++) {
		struct audit_counts one = audit_counts(jobs[i].audit);
		sum.contacts += one.contacts;
		sum.messages += one.messages;
		sum.findings += one.findings;
		sum.erased += one.erased;
		sum.older += one.older;
	}
	return sum;
}

static int say_counts(const struct audit_given *given, struct audit_counts counts, int64_t took)
{
	struct text line;

	if (given->json)
		return counts.findings ? STATUS_FAILED : STATUS_DONE;
	text_init(&line, TEXT_ERROR_MAX);
	text_addf(&line, "%lld contacts and %lld messages in %.1f s: ", (long long)counts.contacts,
		  (long long)counts.messages, (double)took / MOMENT_S);
	if (counts.findings)
		text_addf(&line, "%lld findings", (long long)counts.findings);
	else
		text_puts(&line,
			  "each contact was allowed, each message has what it must, and the sum holds");
	if (counts.erased)
		text_addf(&line, "; of %lld the customer is erased, so the address is not proved",
			  (long long)counts.erased);
	if (counts.older)
		text_addf(&line, "; %lld are of a heed that did not keep enough to prove them",
			  (long long)counts.older);
	cli_line(line.data);
	text_release(&line);
	return counts.findings ? STATUS_FAILED : STATUS_DONE;
}

static int run_jobs(const struct audit_given *given, struct job jobs[], size_t count)
{
	struct rest rest = {.lock = PTHREAD_MUTEX_INITIALIZER, .messages = true};
	int64_t start = moment_mono();
	size_t started = 1;

	for (size_t i = 0; i < count; i++) {
		jobs[i].audit = audit_new(print_finding, (void *)given);
		jobs[i].rest = &rest;
		jobs[i].ok = true;
	}
	while (started < count && pthread_create(&jobs[started].thread, NULL, read_all, &jobs[started]) == 0)
		started++;
	read_all(&jobs[0]);
	for (size_t i = 1; i < started; i++)
		pthread_join(jobs[i].thread, NULL);
	int status = STATUS_DONE;
	for (size_t i = 0; i < started && status == STATUS_DONE; i++)
		if (!jobs[i].ok)
			status = cli_error("audit: %s", store_reader_error(jobs[i].reader));
	if (status == STATUS_DONE)
		status = say_counts(given, sum_of(jobs, count), moment_mono() - start);
	for (size_t i = 0; i < count; i++)
		audit_free(jobs[i].audit);
	return status;
}

static size_t readers_wanted(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores < 2 ? 2 : cores > READERS_MAX ? READERS_MAX : (size_t)cores;
}

static int run_audit(const char *config_file, int argc, char **argv)
{
	struct audit_given given = {0};
	struct job jobs[READERS_MAX] = {0};
	struct text error;
	size_t words = 0, count = readers_wanted();
	int status = STATUS_DONE;

	if (!cli_parse(&command_audit, argc, argv, &given, 0, 0, NULL, &words))
		return STATUS_USAGE;
	struct cli *cli = cli_open(config_file);
	if (!cli)
		return STATUS_USAGE;
	text_init(&error, TEXT_ERROR_MAX);
	for (size_t i = 0; i < count && status == STATUS_DONE; i++)
		if (!(jobs[i].reader = store_reader_open(cli_config(cli)->store.url, &error)))
			status = cli_error("%s", error.data);
	if (status == STATUS_DONE)
		status = run_jobs(&given, jobs, count);
	for (size_t i = 0; i < count; i++)
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
		"products and the facts of the customer that were in force when it was claimed allowed it, "
		"products' caps among them (digests and limits.marketing are not counted again); that each "
		"contact belongs to its messages, and each message that has ended has its contact or its "
		"closing line; and that the counters are the sum of the messages. Prints what is not so, and "
		"ends with status 1 then. Reads only: a gateway may run.",
	.options = options_of_audit,
	.example = "heed audit",
	.run = run_audit,
};
