/* What tests of a channel share: attempts to hand over, and a sink to wait at. Include behind cmocka.h. */
#ifndef HEED_CHANNEL_FIXTURE_H
#define HEED_CHANNEL_FIXTURE_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "channel.h"
#include "config.h"
#include "moment.h"
#include "xalloc.h"

#define REPORTS_MAX 1024

struct reports {
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct attempt *list[REPORTS_MAX];
	size_t count;
};

static struct reports reports = {.mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void reports_take(void *context, struct attempt *attempt)
{
	(void)context;
	pthread_mutex_lock(&reports.mutex);
	reports.list[reports.count++] = attempt;
	pthread_cond_broadcast(&reports.more);
	pthread_mutex_unlock(&reports.mutex);
}

/* Waits until there are `count` reports in all; 10 s at most. */
static void reports_wait(size_t count)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&reports.mutex);
	while (reports.count < count && pthread_cond_timedwait(&reports.more, &reports.mutex, &until) == 0)
		;
	pthread_mutex_unlock(&reports.mutex);
	assert_int_equal(reports.count, count);
}

static void reports_clear(void)
{
	for (size_t i = 0; i < reports.count; i++)
		attempt_free(reports.list[i]);
	reports.count = 0;
}

static struct attempt *attempt_new(const char *address, const char *details, const char *text)
{
	struct attempt *attempt = xcalloc(1, sizeof *attempt);

	attempt->number = 1;
	attempt->message_id = xstrdup("m-1");
	attempt->customer_id = xstrdup("c-1");
	attempt->customer_name = xstrdup("Ana");
	attempt->product = xstrdup("card-alerts");
	attempt->product_title = xstrdup("Card alerts");
	attempt->locale = xstrdup("en");
	attempt->address = xstrdup(address);
	attempt->address_details = xstrdup(details);
	attempt->traceparent = xstrdup("");
	attempt->content = json_pack("{s:s}", "text", text);
	attempt->data = json_object();
	attempt->meta = json_object();
	attempt->content_kept = CONTENT_SUMMARY;
	attempt->lease_until = moment_mono() + MOMENT_MINUTE;
	return attempt;
}

#endif
