/* Admission: a message that came in is checked against the configuration and the store, and becomes a row.
 * What can't be admitted is a dead letter with the reason; what is known already is only acknowledged. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "message_fit.h"
#include "turn_private.h"
#include "xalloc.h"
#include "banned.h"

void admission_free(struct admission *admission)
{
	if (!admission)
		return;
	queue_entry_release(&admission->entry);
	message_release(&admission->message);
	text_release(&admission->error);
	free(admission);
}

void admission_refuse(struct admission *admission, const char *format, ...)
{
	va_list args;

	text_clear(&admission->error);
	va_start(args, format);
	text_vaddf(&admission->error, format, args);
	va_end(args);
	admission->refused = true;
	admission->status = 422;
}

static void admission_default_id(struct admission *admission)
{
	free(admission->message.id);
	admission->message.id = queue_message_id(admission->entry.stream, admission->entry.id);
}

/* What can be said without the store. */
static bool admission_fits(struct admission *admission, const struct config *config)
{
	struct text why;

	text_init(&why, TEXT_ERROR_MAX);
	bool fits = message_fits(&admission->message, config, &why);
	if (!fits)
		admission_refuse(admission, "%s", why.data);
	text_release(&why);
	return fits;
}

static void admission_admit(struct turn *turn, struct admission *admission)
{
	const struct message *message = &admission->message;
	const struct product *product = product_find(turn->config->products, message->product);
	struct message_row empty = {
		.id = message->id,
		.customer_id = message->customer,
		.product = message->product,
		.template = message->template,
		.campaign = message->campaign,
		.body = message->body,
		.purpose = message->has_purpose ? message->purpose : product->purpose,
		.lane = message->has_lane ? message->lane : admission->entry.lane,
		.admitted_at = turn->now,
		.send_at = message->send_at,
		.expires_at = message_expiry(message, product, turn->now),
		.state = STATES,
		.due = MOMENT_NEVER,
	};
	turn->plan.admitted++;
	message_row_gather(&empty);
	struct work *work = work_add(turn, WORK_NEW, &empty);
	message_row_release(&empty);

	memcpy(work->row.hash, message->hash, sizeof work->row.hash);
	work->admission = admission;
}

/* Known by the same id: the same message again, or an error. */
static void admission_repeated(struct admission *admission, const struct message_row *known)
{
	static const unsigned char erased[MESSAGE_HASH_SIZE];

	admission->state = known->state;
	if (memcmp(known->hash, erased, MESSAGE_HASH_SIZE) == 0) {
		admission_erased(admission, known->customer_id);
	} else if (memcmp(admission->message.hash, known->hash, MESSAGE_HASH_SIZE) != 0) {
		admission_refuse(admission, "id: %s was used before, with other content",
				 admission->message.id);
		admission->status = 409;
	}
}

struct inbox_lane *admission_lane(struct turn *turn, const struct admission *admission)
{
	const struct message *message = &admission->message;

	return &turn->inbox.lanes[message->has_lane ? message->lane : admission->entry.lane];
}

/* The same id again in this very batch: whether the first is admitted is known only when all are placed, so
 * the second waits for the next turn. */
static void admission_postpone(struct turn *turn, struct admission *admission)
{
	struct admission **link = &turn->admissions;

	while (*link != admission)
		link = &(*link)->next;
	*link = admission->next;
	pthread_mutex_lock(&turn->lock);
	struct inbox_lane *lane = admission_lane(turn, admission);
	admission->next = lane->first;
	if (!lane->first)
		lane->tail = &admission->next;
	lane->first = admission;
	lane->count++;
	turn->inbox.admission_count++;
	pthread_mutex_unlock(&turn->lock);
}

bool admissions_take(struct turn *turn)
{
	struct admission *fit[TURN_ADMISSIONS_MAX];
	const char *ids[TURN_ADMISSIONS_MAX];
	size_t count = 0;
	bool again = false;

	for (struct admission *a = turn->admissions; a && count < TURN_ADMISSIONS_MAX; a = a->next) {
		if (a->refused) { /* by an earlier run, whose transaction was lost */
			text_clear(&a->error);
			a->refused = false;
			a->status = 0;
		}
		if (a->error.len)
			continue;
		if (!*a->message.id)
			admission_default_id(a);
		fit[count] = a;
		ids[count++] = a->message.id;
	}
	if (!count)
		return true;
	struct message_row *known = xcalloc(count, sizeof *known);
	json_t *seen = json_object(); /* ids of this very batch */
	bool ok = store_find_messages(turn->store, ids, count, known);
	for (size_t i = 0; ok && i < count; i++)
		if (known[i].n) {
			admission_repeated(fit[i], &known[i]);
		} else if (!admission_fits(fit[i], turn->config)) {
			fit[i] = NULL; /* only what is new is judged by today's configuration */
		} else if (!json_object_get(seen, ids[i])) {
			json_object_set_new(seen, ids[i], json_true());
			admission_admit(turn, fit[i]);
			fit[i] = NULL;
		} else {
			again = true;
		}
	for (size_t i = count; again && i-- > 0;) /* from the last, so that they keep their order */
		if (fit[i] && !known[i].n)
			admission_postpone(turn, fit[i]);
	for (size_t i = 0; i < count; i++)
		message_row_release(&known[i]);
	free(known);
	json_decref(seen);
	return ok;
}
