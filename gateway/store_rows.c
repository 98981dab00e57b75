/* What rows are made of, and what every adapter of the store does in the same way. */
#include "store_private.h"

#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

struct row_words {
	size_t holders;
	char text[];
};

#define ROW_WORDS 6 /* what never changes */

static void row_words_of(struct message_row *row, char **out[ROW_WORDS])
{
	char **const words[ROW_WORDS] = {&row->id,       &row->customer_id, &row->product,
					 &row->template, &row->campaign,    &row->body};

	memcpy(out, words, sizeof words);
}

void message_row_gather(struct message_row *row)
{
	char **words[ROW_WORDS];
	size_t sizes[ROW_WORDS], size = 0;

	row_words_of(row, words);
	for (size_t i = 0; i < ROW_WORDS; i++)
		size += sizes[i] = strlen(*words[i]) + 1;
	row->words = xmalloc(sizeof *row->words + size);
	row->words->holders = 1;
	char *at = row->words->text;
	for (size_t i = 0; i < ROW_WORDS; at += sizes[i++])
		*words[i] = memcpy(at, *words[i], sizes[i]);
}

void message_row_copy(const struct message_row *row, struct message_row *out)
{
	*out = *row;
	char **texts[] = {&out->waits_for, &out->rejected, &out->waited,  &out->wait_channel,
			  &out->counted,   &out->channel,  &out->reasons, &out->kept.waits_for};
	char **words[ROW_WORDS];
	row_words_of(out, words);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = xstrdup(*texts[i] ? *texts[i] : "");
	for (size_t i = 0; i < ROW_WORDS && !row->words; i++)
		*words[i] = xstrdup(*words[i] ? *words[i] : "");
	if (row->words)
		row->words->holders++;
}

void message_row_move_clock(struct message_row *row, int64_t was, int64_t by)
{
	bool channel = *row->waits_for && !hold_is_key(row->waits_for);
	/* for a time of day: giving up counts from that */
	bool calendar = !*row->waits_for && row->state == STATE_DEFERRED && row->due > was;
	bool waits = row->wait_since && row->wait_since <= was;
	bool receipt = !*row->waits_for && row->state == STATE_SENT && row->due == row->wait_until && waits;

	if (row->give_up_at && !calendar)
		row->give_up_at += by;
	if (row->fault_since)
		row->fault_since += by;
	if (row->wait_until && waits)
		row->wait_until += by;
	if (waits)
		row->wait_since += by;
	if (row->due == MOMENT_NEVER)
		return;
	if (channel || receipt)
		row->due += by;
	else if (!*row->waits_for && row->state != STATE_SENT && by < 0 && row->due > was + by)
		row->due = was + by;
}

void message_row_rename(struct message_row *row, const char *customer_id)
{
	struct row_words *before = row->words;

	if (!before) {
		xreplace(&row->customer_id, customer_id);
		return;
	}
	row->customer_id = (char *)customer_id;
	message_row_gather(row);
	if (--before->holders == 0)
		free(before);
}

void message_row_release(struct message_row *row)
{
	char **words[ROW_WORDS];

	row_words_of(row, words);
	for (size_t i = 0; i < ROW_WORDS && !row->words; i++)
		free(*words[i]);
	if (row->words && --row->words->holders == 0)
		free(row->words);
	free(row->waits_for);
	free(row->rejected);
	free(row->waited);
	free(row->wait_channel);
	free(row->counted);
	free(row->channel);
	free(row->reasons);
	free(row->kept.waits_for);
	*row = (struct message_row){0};
}

void message_rows_release(struct message_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		message_row_release(&rows->rows[i]);
	free(rows->rows);
	*rows = (struct message_rows){0};
}

struct message_row *message_rows_add(struct message_rows *rows)
{
	if (rows->count == rows->capacity) {
		rows->capacity = rows->capacity ? 2 * rows->capacity : 16;
		rows->rows = xreallocarray(rows->rows, rows->capacity, sizeof *rows->rows);
	}
	struct message_row *row = &rows->rows[rows->count++];
	*row = (struct message_row){0};
	return row;
}

int store_address_order(const void *a, const void *b)
{
	const struct address *left = *(const struct address *const *)a,
			     *right = *(const struct address *const *)b;
	int order = strcmp(left->value, right->value);

	return order ? order : strcmp(left->channel, right->channel);
}

void facts_release(struct facts *facts)
{
	customer_free(facts->customer);
	preference_free(facts->own);
	preference_free(facts->parents);
	preference_free(facts->star);
	facts->customer = NULL;
	facts->own = facts->parents = facts->star = NULL;
}

void kept_receipt_release(struct kept_receipt *receipt)
{
	free(receipt->provider);
	free(receipt->provider_ref);
	free(receipt->channel);
	free(receipt->code);
	free(receipt->detail);
	*receipt = (struct kept_receipt){0};
}

void audit_contacts_free(struct audit_contact *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].product);
		free(list[i].channel);
		free(list[i].provider);
		free(list[i].reason);
		free(list[i].address_channel);
		free(list[i].address_value);
		free(list[i].message_id);
		free(list[i].message_product);
		free(list[i].campaign);
	}
	free(list);
}

void audit_messages_free(struct audit_message *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].id);
	free(list);
}

void change_release(struct change *change)
{
	free(change->subject);
	free(change->by);
	free(change->actor);
	free(change->source);
	free(change->evidence);
	free(change->old_value);
	free(change->new_value);
	*change = (struct change){0};
}

void store_make_id(char out[STORE_ID_SIZE])
{
	unsigned char bytes[(STORE_ID_SIZE - 1) / 2];

	digest_random(bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++) {
		out[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	out[STORE_ID_SIZE - 1] = '\0';
}

void message_row_keep(struct message_row *row)
{
	free(row->kept.waits_for);
	row->kept.epoch = row->epoch;
	row->kept.lane = row->lane;
	row->kept.due = row->due;
	row->kept.waits_for = row->due == MOMENT_NEVER ? NULL : xstrdup(row->waits_for);
}

bool message_row_ended(const struct message_row *row)
{
	return row->due == MOMENT_NEVER && row->state != STATE_SENDING;
}

int64_t store_month_end(int month)
{
	int year = month / 100, next = month % 100 + 1;

	return moment_days(next > 12 ? year + 1 : year, next > 12 ? 1 : next, 1) * MOMENT_DAY;
}

char *store_body_meta(const char *body)
{
	json_t *json = *body ? json_loads(body, 0, NULL) : NULL;
	json_t *meta = json_object_get(json, "meta");
	char *text = json_object_size(meta) ? json_dumps(meta, JSON_COMPACT) : NULL;

	json_decref(json);
	return text ? text : xstrdup("");
}

char *store_channels_text(const struct preference *preference)
{
	json_t *channels = json_array();

	for (size_t i = 0; i < preference->channel_count; i++) {
		const struct preference_entry *entry = &preference->channels[i];
		if (!*entry->hours && !entry->wait)
			json_array_append_new(channels, json_string(entry->channel));
		else
			json_array_append_new(channels,
					      json_pack("{s:s, s:s, s:I}", "channel", entry->channel, "hours",
							entry->hours, "wait_us", (json_int_t)entry->wait));
	}
	char *text = preference->has_channels ? json_dumps(channels, JSON_COMPACT) : NULL;
	json_decref(channels);
	return text;
}

/* A list of names alone, as store_channels_text writes it. False: it is something else. */
static bool names_read(const char *text, struct preference *out)
{
	size_t count = 0;

	if (text[0] != '[' || strpbrk(text, "\\{"))
		return false;
	for (const char *at = strchr(text, '"'); at; at = strchr(at + 1, '"'))
		count++;
	out->channels = xcalloc(count / 2, sizeof *out->channels);
	for (const char *at = strchr(text, '"'), *end; at && (end = strchr(at + 1, '"'));
	     at = strchr(end + 1, '"'))
		out->channels[out->channel_count++] = (struct preference_entry){
			.channel = xmemdup0(at + 1, (size_t)(end - at - 1)), .hours = xstrdup("")};
	return true;
}

void store_channels_read(const char *text, struct preference *out)
{
	out->has_channels = text != NULL;
	if (text && names_read(text, out))
		return;
	json_t *channels = text ? json_loads(text, 0, NULL) : NULL;
	size_t i = 0;
	json_t *item = NULL;

	out->channels = xcalloc(json_array_size(channels), sizeof *out->channels);
	json_array_foreach(channels, i, item)
	{
		const json_t *name = json_is_string(item) ? item : json_object_get(item, "channel");
		const char *hours = json_string_value(json_object_get(item, "hours"));
		out->channels[out->channel_count++] = (struct preference_entry){
			.channel = xstrdup(json_string_length(name) ? json_string_value(name) : ""),
			.hours = xstrdup(hours ? hours : ""),
			.wait = json_integer_value(json_object_get(item, "wait_us")),
		};
	}
	json_decref(channels);
}

bool store_product_among(const char *product, const char *products)
{
	for (const char *one = products; *one == ',' && one[1]; one += 1 + strcspn(one + 1, ",")) {
		size_t len = strcspn(one + 1, ",");
		if (strncmp(product, one + 1, len) == 0 && (product[len] == '\0' || product[len] == '/'))
			return true;
	}
	return false;
}

/* FNV-1a: as good as any, and the same everywhere. */
int store_stripe_of(const char *customer_id)
{
	uint32_t hash = 2166136261U;

	for (const char *c = customer_id; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619U;
	return (int)((hash ^ hash >> 16) % STORE_STRIPES);
}

bool log_query_is_tail(const struct log_query *query)
{
	return !query->newest_first && !query->after && !query->by_change;
}

void numbers_count(int64_t numbers[NUMBERS], const struct counters *deltas)
{
	numbers[NUMBER_ADMITTED] += deltas->admitted;
	for (int state = 0; state < STATES; state++) {
		numbers[NUMBER_STATE + state] += deltas->states[state];
		numbers[NUMBER_PRUNED + state] += deltas->pruned[state];
	}
}

void numbers_counters(const int64_t numbers[NUMBERS], struct counters *out)
{
	out->admitted = numbers[NUMBER_ADMITTED];
	for (int state = 0; state < STATES; state++) {
		out->states[state] = numbers[NUMBER_STATE + state];
		out->pruned[state] = numbers[NUMBER_PRUNED + state];
	}
}
