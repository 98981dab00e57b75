#include "trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "moment.h"
#include "banned.h"

static const struct {
	const char *name, *stops, *over;
	bool all; /* nothing is taken and nothing begun */
} about[TROUBLES] = {
	[TROUBLE_STORE] = {"store", "nothing is taken from the queue until it works again",
			   "the store works again", true},
	[TROUBLE_DESCRIPTORS] = {"descriptors", "nothing is taken or begun until there are some again",
				 "there are file descriptors again", true},
	[TROUBLE_CLOCK] = {"clock", "nothing is taken or begun until it is back, or has gone on from there",
			   "the clock is followed again", true},
	[TROUBLE_DEAD_LETTERS] = {"dead_letters",
				  "nothing more is read until they are retried or dropped (heed dead)",
				  "dead letters are no longer over queue.dead_max: reading goes on", false},
	[TROUBLE_BACKLOG] = {"backlog", "the bulk lane is not read until there is less",
			     "the backlog is below store.max_backlog again", false},
};

void troubles_init(struct troubles *troubles)
{
	*troubles = (struct troubles){.each = {{.said = false}}};
	pthread_mutex_init(&troubles->lock, NULL);
}

void troubles_release(struct troubles *troubles)
{
	pthread_mutex_destroy(&troubles->lock);
}

const char *trouble_name(enum trouble trouble)
{
	return about[trouble].name;
}

const char *trouble_stops(enum trouble trouble)
{
	return about[trouble].stops;
}

void trouble_is(struct troubles *troubles, enum trouble trouble, const char *format, ...)
{
	char says[TROUBLE_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(says, sizeof says, format, args);
	va_end(args);
	pthread_mutex_lock(&troubles->lock);
	struct trouble_seen *seen = &troubles->each[trouble].seen;
	if (!seen->is)
		seen->since = moment_now();
	seen->is = true;
	memcpy(seen->says, says, sizeof says);
	int64_t now = moment_mono(), *at = &troubles->each[trouble].said_at;
	bool say = !troubles->each[trouble].said && (!*at || now - *at >= TROUBLE_SAID_EVERY);
	if (say) {
		troubles->each[trouble].said = true;
		*at = now;
	}
	pthread_mutex_unlock(&troubles->lock);
	if (say)
		log_line(about[trouble].all ? LOG_ERROR : LOG_WARN, "%s; %s", says, about[trouble].stops);
}

void trouble_over(struct troubles *troubles, enum trouble trouble)
{
	pthread_mutex_lock(&troubles->lock);
	bool say = troubles->each[trouble].seen.is && troubles->each[trouble].said;
	troubles->each[trouble].seen.is = troubles->each[trouble].said = false;
	pthread_mutex_unlock(&troubles->lock);
	if (say)
		log_info("%s", about[trouble].over);
}

bool trouble_has(struct troubles *troubles, enum trouble trouble)
{
	pthread_mutex_lock(&troubles->lock);
	bool is = troubles->each[trouble].seen.is;
	pthread_mutex_unlock(&troubles->lock);
	return is;
}

bool troubles_stop(struct troubles *troubles)
{
	bool stop = false;

	pthread_mutex_lock(&troubles->lock);
	for (int i = 0; i < TROUBLES; i++)
		stop = stop || (about[i].all && troubles->each[i].seen.is);
	pthread_mutex_unlock(&troubles->lock);
	return stop;
}

void troubles_see(struct troubles *troubles, struct trouble_seen out[TROUBLES])
{
	pthread_mutex_lock(&troubles->lock);
	for (int i = 0; i < TROUBLES; i++)
		out[i] = troubles->each[i].seen;
	pthread_mutex_unlock(&troubles->lock);
}
