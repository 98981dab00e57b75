#include "carrier.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crash.h"
#include "log.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define READ_MAX 500
#define READ_WAIT_MS 200
#define URGENT_WAIT_MS 2 /* while the other lanes wait for room, which comes any moment */
#define DEPTHS_EVERY MOMENT_S
#define DEAD_SLACK 100 /* one in so many over dead_max, rather than to count them at every read */
#define EVENTS_MAX 500 /* published at a time */
#define PAUSE (100 * MOMENT_MS)

struct carrier {
	struct turn *turn;
	struct queue *in, *out;
	int64_t dead_max;
	pthread_t reader, courier;
	_Atomic bool stop_reading;
	_Atomic long long ahead;    /* read, and not acknowledged */
	_Atomic int64_t last_words; /* monotonic: the courier gives up then; MOMENT_NEVER */
};

static void pause_for(int64_t duration)
{
	const struct timespec time = {.tv_sec = (time_t)(duration / MOMENT_S),
				      .tv_nsec = (long)(duration % MOMENT_S * 1000)};
	nanosleep(&time, NULL);
}

/* --- in --- */

static struct admission *admission_of(struct queue_entry *entry)
{
	struct admission *admission = xcalloc(1, sizeof *admission);

	admission->entry = *entry;
	*entry = (struct queue_entry){0};
	text_init(&admission->error, TEXT_ERROR_MAX);
	if (admission->entry.error)
		text_error(&admission->error, "%s", admission->entry.error);
	else
		message_parse(admission->entry.payload, admission->entry.len, &admission->message,
			      &admission->error);
	return admission;
}

/* What the reader knows of the dead letters. */
struct dead_watch {
	int64_t next;   /* monotonic: when to count them again */
	long long room; /* so many may be read before that, though all of them were dead */
};

/* Over dead_max nobody looks after the dead letters: better to stop than to lose more than can be found
 * again. How many may be read now; 0: none, look again in a moment. */
static size_t dead_room(struct carrier *carrier, struct dead_watch *watch)
{
	struct troubles *troubles = turn_troubles(carrier->turn);
	struct queue_depths depths = {0};
	long long ahead = atomic_load(&carrier->ahead);
	bool over = trouble_has(troubles, TROUBLE_DEAD_LETTERS);

	if (moment_mono() >= watch->next || (watch->room <= 0 && !ahead && !over)) {
		watch->next = moment_mono() + DEPTHS_EVERY;
		watch->room = 0;
		if (!queue_depths(carrier->in, &depths))
			return 0;
		over = depths.dead > carrier->dead_max;
		if (over)
			trouble_is(troubles, TROUBLE_DEAD_LETTERS,
				   "%lld dead letters, over the %lld of queue.dead_max",
				   (long long)depths.dead, (long long)carrier->dead_max);
		else
			trouble_over(troubles, TROUBLE_DEAD_LETTERS);
		watch->room = carrier->dead_max + 1 - depths.dead + carrier->dead_max / DEAD_SLACK - ahead;
	}
	return over || watch->room <= 0 ? 0 : watch->room < (int)READ_MAX ? (size_t)watch->room : READ_MAX;
}

static void admit(struct carrier *carrier, struct queue_entry *entries, size_t count)
{
	struct admission **admissions = xcalloc(count, sizeof *admissions);

	for (size_t i = 0; i < count; i++)
		admissions[i] = admission_of(&entries[i]);
	atomic_fetch_add(&carrier->ahead, (long long)count);
	if (!turn_admit(carrier->turn, admissions, count)) {
		atomic_fetch_sub(&carrier->ahead, (long long)count);
		for (size_t i = 0; i < count; i++)
			admission_free(
				admissions[i]); /* pending in the queue: read again at the next start */
	}
	free(admissions);
}

static void *reader_thread(void *argument)
{
	struct carrier *carrier = argument;
	struct dead_watch dead = {0};

	pthread_setname_np(pthread_self(), "reader");
	while (!atomic_load(&carrier->stop_reading)) {
		struct queue_entry *entries = NULL;
		size_t count = 0;
		long long ahead = atomic_load(&carrier->ahead);
		unsigned all = turn_lanes(carrier->turn), lanes = all;
		int wait = READ_WAIT_MS;

		/* room is left for what is urgent, however much there is of the rest */
		if (ahead >= CARRIER_READ_AHEAD_MAX / 2) {
			lanes = all & 1u << LANE_URGENT;
			wait = URGENT_WAIT_MS;
		}
		if (!lanes || ahead >= CARRIER_READ_AHEAD_MAX) {
			pause_for(all ? MOMENT_MS : PAUSE);
			continue;
		}
		size_t max = dead_room(carrier, &dead);
		if (!max) {
			pause_for(ahead ? MOMENT_MS : PAUSE);
			continue;
		}
		bool ok = queue_read(carrier->in, lanes, max, wait, &entries, &count);
		dead.room -= (long long)count;
		if (count) {
			CRASH_POINT(reader_read);
			admit(carrier, entries, count);
			CRASH_POINT(reader_admitted);
		}
		for (size_t i = 0; i < count; i++)
			queue_entry_release(&entries[i]);
		free(entries);
		if (!ok)
			pause_for(PAUSE);
	}
	return NULL;
}

/* --- out --- */

static bool gives_up(struct carrier *carrier)
{
	return moment_mono() > atomic_load(&carrier->last_words);
}

/* What the courier has in hand: at most what may be read ahead, and one batch of events. */
struct load {
	struct queue_settlement *done;
	struct admission **admissions; /* of each one in `done` */
	size_t count, capacity;
	struct event_row *events;
	size_t event_count, published;
};

static void load_add(struct load *load, struct admission *admission)
{
	struct dead_letter *dead = NULL;

	if (load->count == load->capacity) {
		load->capacity = load->capacity ? load->capacity * 2 : READ_MAX;
		load->done = xreallocarray(load->done, load->capacity, sizeof *load->done);
		load->admissions = xreallocarray(load->admissions, load->capacity, sizeof *load->admissions);
	}
	if (admission->error.len) {
		dead = xcalloc(1, sizeof *dead);
		*dead = (struct dead_letter){.message = admission->entry.payload,
					     .message_len = admission->entry.len,
					     .error = admission->error.data,
					     .stream = admission->entry.stream,
					     .id = admission->entry.id,
					     .at = moment_now()};
	}
	load->done[load->count] = (struct queue_settlement){
		.stream = admission->entry.stream, .id = admission->entry.id, .dead = dead};
	load->admissions[load->count++] = admission;
}

static void load_take(struct load *load, const struct carriage *carriage)
{
	struct admission *next;

	for (struct admission *a = carriage->settled; a; a = next) {
		next = a->next;
		load_add(load, a);
	}
	if (carriage->event_count) {
		load->events = carriage->events;
		load->event_count = carriage->event_count;
	}
}

/* Those that are settled, or all, are let go of; the others keep their order. */
static void load_drop_settled(struct carrier *carrier, struct load *load, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < load->count; i++) {
		if (load->done[i].settled || all) {
			free((struct dead_letter *)load->done[i].dead); /* its texts are the admission's */
			admission_free(load->admissions[i]);
		} else {
			load->done[kept] = load->done[i];
			load->admissions[kept++] = load->admissions[i];
		}
	}
	atomic_fetch_sub(&carrier->ahead, (long long)(load->count - kept));
	load->count = kept;
}

static void load_drop_events(struct load *load)
{
	for (size_t i = 0; i < load->event_count; i++)
		free(load->events[i].json);
	free(load->events);
	load->events = NULL;
	load->event_count = load->published = 0;
}

static bool settle(struct carrier *carrier, struct load *load)
{
	bool ok = queue_settle(carrier->out, load->done, load->count);

	if (load->count)
		CRASH_POINT(courier_settled);
	load_drop_settled(carrier, load, false);
	return ok;
}

static bool publish(struct carrier *carrier, struct load *load)
{
	const char *json[EVENTS_MAX];

	while (load->published < load->event_count) {
		size_t left = load->event_count - load->published;
		const struct event_row *first = &load->events[load->published];
		size_t slice = 0;
		for (; slice < left && slice < EVENTS_MAX && first[slice].stream == first->stream; slice++)
			json[slice] = first[slice].json;
		if (!queue_publish(carrier->out, first->stream, json, slice))
			return false;
		CRASH_POINT(courier_published);
		load->published += slice;
		turn_published(carrier->turn, load->events[load->published - 1].seq);
	}
	load_drop_events(load);
	return true;
}

/* One try of each, in turns: neither waits for the other. What is given up at the end comes again at the next
 * start: entries from the queue, events from the store. */
static void *courier_thread(void *argument)
{
	struct carrier *carrier = argument;
	struct load load = {0};
	struct carriage carriage;

	pthread_setname_np(pthread_self(), "courier");
	while (turn_collect(carrier->turn, READ_WAIT_MS, !load.events, &carriage) || load.count ||
	       load.events) {
		load_take(&load, &carriage);
		if (load.count)
			CRASH_POINT(courier_collected);
		bool settled = settle(carrier, &load), published = publish(carrier, &load);
		if (settled && published)
			continue;
		if (gives_up(carrier))
			break;
		pause_for(PAUSE);
	}
	load_drop_settled(carrier, &load, true);
	load_drop_events(&load);
	free(load.done);
	free(load.admissions);
	return NULL;
}

/* --- open and close --- */

struct carrier *carrier_start(struct turn *turn, const struct config *config, struct text *error)
{
	struct carrier *carrier = xcalloc(1, sizeof *carrier);
	const struct queue_config queue = queue_config_of(config, config->gateway.name);

	carrier->turn = turn;
	carrier->dead_max = config->queue.dead_max;
	atomic_init(&carrier->last_words, MOMENT_NEVER);
	if (!(carrier->in = queue_open(&queue, error)) || !(carrier->out = queue_open(&queue, error)))
		goto fail;
	/* the reader first: it ends when it is told to, the courier only with the turn */
	if (pthread_create(&carrier->reader, NULL, reader_thread, carrier) == 0) {
		if (pthread_create(&carrier->courier, NULL, courier_thread, carrier) == 0)
			return carrier;
		carrier_stop_reading(carrier);
		pthread_join(carrier->reader, NULL);
	}
	text_error(error, "the threads for the queue could not be made");
fail:
	queue_close(carrier->in);
	queue_close(carrier->out);
	free(carrier);
	return NULL;
}

void carrier_stop_reading(struct carrier *carrier)
{
	atomic_store(&carrier->stop_reading, true);
	queue_interrupt(carrier->in);
}

void carrier_finish(struct carrier *carrier)
{
	atomic_store(&carrier->last_words, moment_mono() + CARRIER_LAST_WORDS);
	pthread_join(carrier->reader, NULL);
	pthread_join(carrier->courier, NULL);
	queue_close(carrier->in);
	queue_close(carrier->out);
	free(carrier);
}
