#include "mail_reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "backoff.h"
#include "digest.h"
#include "inbound.h"
#include "log.h"
#include "mail_box.h"
#include "mail_in.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

static const struct retry_policy patience = {.first = 5 * MOMENT_S, .factor = 2, .max = 5 * MOMENT_MINUTE};

struct box_thread {
	struct mail_reader *reader;
	const struct channel_config *channel;
	pthread_t thread;
	bool started;
};

struct mail_reader {
	struct turn *turn;
	struct config *config; /* held: the threads read it */
	_Atomic bool stopping;
	struct box_thread *threads;
	size_t count;
};

/* One mail. False: it could not be recorded, and stays as it is. */
static bool take(void *context, const char *bytes, size_t len)
{
	const struct box_thread *box = context;
	const struct turn_door door = {.turn = box->reader->turn};
	struct mail_parsed mail;
	struct mail_verdict verdict = {0};
	struct text problem;
	json_t *answer = NULL;
	int status = 200;

	text_init(&problem, TEXT_ERROR_MAX);
	if (mail_parse(bytes, len, &mail)) {
		mail_judge(&mail, &verdict);
		status = request_mail(&door, box->reader->config, box->channel->name, &verdict, &answer,
				      &problem);
	} else {
		log_warn("channel %s: something in its mailbox is no mail, and is passed over",
			 box->channel->name);
	}
	if (status >= 400)
		log_warn("channel %s: a mail could not be recorded: %s", box->channel->name, problem.data);
	mail_parsed_release(&mail);
	mail_verdict_release(&verdict);
	json_decref(answer);
	text_release(&problem);
	return status < 500; /* what is refused would be refused again */
}

static void pause_for(const struct mail_reader *reader, int64_t pause)
{
	static const struct timespec slice = {.tv_nsec = 100 * 1000 * 1000};
	int64_t until = moment_mono() + pause;

	while (!atomic_load(&reader->stopping) && moment_mono() < until)
		nanosleep(&slice, NULL);
}

/* Reads for as long as the connection lasts. */
static void read_box(struct box_thread *box, int *failures, struct text *error)
{
	struct mail_box *mails = mail_box_open(box->channel->inbound, &box->reader->stopping, error);
	bool ok = mails != NULL;
	size_t count;

	if (ok && *failures)
		log_info("channel %s: its mailbox can be read again", box->channel->name);
	while (ok && !atomic_load(&box->reader->stopping)) {
		ok = mail_box_take(mails, take, box, &count, error);
		*failures = ok ? 0 : *failures;
		if (ok && count < MAIL_BOX_BATCH)
			ok = mail_box_wait(mails, error);
	}
	mail_box_close(mails);
}

static void *box_main(void *argument)
{
	struct box_thread *box = argument;
	struct text error;
	uint64_t random;
	int failures = 0;

	digest_random(&random, sizeof random);
	text_init(&error, TEXT_ERROR_MAX);
	while (!atomic_load(&box->reader->stopping)) {
		text_clear(&error);
		read_box(box, &failures, &error);
		if (atomic_load(&box->reader->stopping))
			break;
		if (!failures++)
			log_warn("channel %s: its mailbox cannot be read: %s", box->channel->name,
				 error.data);
		pause_for(box->reader, backoff_pause(&patience, failures, 0, random * (uint64_t)failures));
	}
	text_release(&error);
	return NULL;
}

struct mail_reader *mail_reader_start(struct turn *turn, struct config *config)
{
	struct mail_reader *reader = xcalloc(1, sizeof *reader);

	reader->turn = turn;
	reader->config = config_hold(config);
	reader->threads = xcalloc(config->channel_count + 1, sizeof *reader->threads);
	for (size_t i = 0; i < config->channel_count; i++) {
		if (!config->channels[i].inbound)
			continue;
		struct box_thread *box = &reader->threads[reader->count++];
		*box = (struct box_thread){.reader = reader, .channel = &config->channels[i]};
		box->started = pthread_create(&box->thread, NULL, box_main, box) == 0;
		if (!box->started)
			log_error("channel %s: the thread that reads its mailbox could not be made",
				  box->channel->name);
	}
	return reader;
}

void mail_reader_stop(struct mail_reader *reader)
{
	if (!reader)
		return;
	atomic_store(&reader->stopping, true);
	for (size_t i = 0; i < reader->count; i++)
		if (reader->threads[i].started)
			pthread_join(reader->threads[i].thread, NULL);
	config_drop(reader->config);
	free(reader->threads);
	free(reader);
}
