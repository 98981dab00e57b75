/* What a customer asks heed for on the page: a code or a link to an address, bounded; and the tries of a
 * code. The counts stand beside those of caps, so they hold over a restart and over several gateways. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counter.h"
#include "digest.h"
#include "requests_private.h"
#include "xalloc.h"
#include "banned.h"

/* Counts one more (or `add`) of what may be `max` until `ends`; *full: it was used up already. False: the
 * store failed. */
static bool count_one(struct turn *turn, int64_t customer, const char *name, int64_t max, int64_t add,
		      int64_t ends, bool *full)
{
	const struct cap_count count = {.customer = customer, .name = name, .used = add, .ends = ends};
	int64_t used;

	if (!store_cap_used(turn->store, customer, name, &used))
		return false;
	*full = used >= max;
	return *full || store_count_caps(turn->store, &count, 1, turn->now);
}

/* Of the hour and the day. */
static bool count_message(struct turn *turn, int64_t customer, bool *full)
{
	char hour[COUNTER_NAME_MAX], day[COUNTER_NAME_MAX];
	int64_t hours = turn->now / MOMENT_HOUR, days = turn->now / MOMENT_DAY;

	snprintf(hour, sizeof hour, "page:hour:%lld", (long long)hours);
	snprintf(day, sizeof day, "page:day:%lld", (long long)days);
	/* the hour first: what it refuses does not use up the day */
	return count_one(turn, customer, hour, OWN_HOUR_MAX, 1, (hours + 1) * MOMENT_HOUR, full) &&
	       (*full || count_one(turn, customer, day, OWN_DAY_MAX, 1, (days + 1) * MOMENT_DAY, full));
}

struct own {
	struct request base;
	const char *customer;
	const struct own_message *message;
	const char *ticket;
	int64_t ends;
	bool right;
};

/* NULL in *customer, and refused: there is none. */
static bool get_customer(struct request *request, struct turn *turn, const char *id,
			 struct customer **customer)
{
	bool ok = store_get_customer(turn->store, id, customer);

	if (ok && !*customer)
		request_refuse(request, 404, "customer %s: there is no customer with this id", id);
	return ok;
}

static int64_t row_of(const struct customer *customer, const struct own_message *message)
{
	for (size_t i = 0; i < customer->address_count; i++)
		if (strcmp(customer->addresses[i].channel, message->channel) == 0 &&
		    strcmp(customer->addresses[i].value, message->address) == 0)
			return customer->addresses[i].n;
	return 0;
}

static void add_message(struct turn *turn, const struct customer *customer, const struct own_message *message,
			json_t **answer)
{
	unsigned char hash[SHA256_SIZE], random[8];
	json_t *body = json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:b, s:s, s:I, s:s}}", "customer", customer->id,
				 "locale", message->locale, "content", "subject", message->subject, "text",
				 message->text, "answer", "asked", 1, "channel", message->channel, "address",
				 (json_int_t)row_of(customer, message), "value",
				 message->unowned ? message->address : "");
	char *words = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);

	digest_random(random, sizeof random);
	char *id = xasprintf("page:%02x%02x%02x%02x%02x%02x%02x%02x", random[0], random[1], random[2],
			     random[3], random[4], random[5], random[6], random[7]);
	const struct message_row row = {.id = id,
					.customer = customer->n,
					.customer_id = customer->id,
					.product = (char *)"",
					.body = words,
					.purpose = PURPOSE_CRITICAL,
					.lane = LANE_URGENT,
					.admitted_at = turn->now,
					.expires_at = turn->now + message->keep,
					.state = STATES,
					.due = MOMENT_NEVER};
	struct work *work = work_add(turn, WORK_NEW, &row);
	digest_sha256(words, strlen(words), hash);
	memcpy(work->row.hash, hash, sizeof work->row.hash);
	*answer = json_pack("{s:s}", "message", id);
	free(id);
	free(words);
	json_decref(body);
}

static bool message_run(struct request *request, struct turn *turn)
{
	const struct own *own = (struct own *)request;
	const struct own_message *message = own->message;
	struct customer *customer = NULL;
	struct address_row row;
	bool full = false, ok = get_customer(request, turn, own->customer, &customer);

	if (!ok || !customer)
		return ok;
	/* counted before anything is said of the address: nobody tries many to learn who said STOP */
	ok = count_message(turn, customer->n, &full) &&
	     store_get_address(turn->store, message->channel, message->address, false, &row);
	if (ok && full) {
		request_refuse(request, 429, "too many were asked for; it goes on in an hour, or tomorrow");
	} else if (ok && row.n && row.state == ADDRESS_STOPPED) {
		request_refuse(request, 409, "the owner of the address said STOP there");
	} else if (ok) {
		request->status = 200;
		add_message(turn, customer, message, &request->answer);
	}
	customer_free(customer);
	return ok;
}

int request_own_message(const struct turn_door *door, const char *customer, const struct own_message *message,
			json_t **answer, struct text *problem)
{
	struct own own = {.base = {.run = message_run}, .customer = customer, .message = message};

	return request_run(door, &own.base, answer, problem);
}

static bool try_run(struct request *request, struct turn *turn)
{
	const struct own *own = (struct own *)request;
	struct customer *customer = NULL;
	bool full = false, ok = get_customer(request, turn, own->customer, &customer);
	char name[COUNTER_NAME_MAX];

	if (!ok || !customer)
		return ok;
	snprintf(name, sizeof name, "page:try:%s", own->ticket);
	ok = count_one(turn, customer->n, name, OWN_TRIES_MAX, own->right ? OWN_TRIES_MAX : 1, own->ends,
		       &full);
	request->status = 200;
	if (full)
		request_refuse(request, 429, "this code is used up");
	customer_free(customer);
	return ok;
}

int request_own_try(const struct turn_door *door, const char *customer, const char *ticket, int64_t ends,
		    bool right, struct text *problem)
{
	struct own own = {.base = {.run = try_run},
			  .customer = customer,
			  .ticket = ticket,
			  .ends = ends,
			  .right = right};

	return request_run(door, &own.base, NULL, problem);
}
