#include "page_choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cadence.h"
#include "hours.h"
#include "page_form.h"
#include "page_words.h"
#include "banned.h"

#define DEFAULT_TIME "08:00"

/* --- what applies --- */

static const struct preference *made_for(const struct preference *list, size_t count, const char *product)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].product, product) == 0)
			return &list[i];
	return NULL;
}

static bool any_offers(const struct config *config, const char *channel)
{
	for (size_t i = 0; i < config->products->count; i++)
		if (product_offers(&config->products->products[i], channel))
			return true;
	return false;
}

static void read_offered(const struct config *config, struct choice *out)
{
	size_t count = out->product ? out->product->channel_count : config->channel_count;

	for (size_t i = 0; i < count && out->offered_count < PREFERENCE_CHANNELS_MAX; i++) {
		const char *channel = out->product ? out->product->channels[i] : config->channel_names[i];
		if (config_channel(config, channel) && (out->product || any_offers(config, channel)))
			out->offered[out->offered_count++] = channel;
	}
}

static void add_channel(struct choice *choice, const char *channel, const struct preference_entry *entry)
{
	if (!choice_offers(choice, channel) || choice->count == PREFERENCE_CHANNELS_MAX)
		return;
	choice->channels[choice->count] = channel;
	choice->entries[choice->count++] = entry;
}

bool choice_read(const struct config *config, const struct product *product,
		 const struct preference *preferences, size_t count, struct choice *out)
{
	*out = (struct choice){.product = product, .name = product ? product->name : "*"};
	out->choices.star = made_for(preferences, count, "*");
	if (product) {
		out->choices.own = made_for(preferences, count, product->name);
		if (product->parent)
			out->choices.parent = made_for(preferences, count, product->parent->name);
	}
	out->own = product ? out->choices.own : out->choices.star;
	out->time = choices_time(&out->choices);
	read_offered(config, out);
	if (!product) {
		for (size_t i = 0; out->own && i < out->own->channel_count; i++)
			add_channel(out, out->own->channels[i].channel, &out->own->channels[i]);
		return out->offered_count > 0;
	}
	choices_apply(product, product->purpose, &out->choices, &out->applied);
	out->no_opt_in = product->purpose == PURPOSE_MARKETING && out->applied.source != CHOICE_OWN &&
			 out->applied.source != CHOICE_PARENT;
	for (size_t i = 0; !out->no_opt_in && i < out->applied.count; i++)
		add_channel(out, applied_channel(product, &out->applied, i), applied_entry(&out->applied, i));
	return out->offered_count > 0;
}

bool choice_may_stop(const struct choice *choice)
{
	return !choice->product || choice->product->may_stop;
}

bool choice_runs(const struct choice *choice)
{
	return choice->count > 0 || (!choice->product && !(choice->own && choice->own->has_channels));
}

int64_t choice_version(const struct choice *choice)
{
	return choice->own ? choice->own->version : 0;
}

int64_t choice_paused(const struct choice *choice, int64_t now)
{
	return choice->time && choice->time->paused_until > now ? choice->time->paused_until : 0;
}

bool choice_offers(const struct choice *choice, const char *channel)
{
	for (size_t i = 0; i < choice->offered_count; i++)
		if (strcmp(choice->offered[i], channel) == 0)
			return true;
	return false;
}

/* --- what a tap makes of it --- */

/* As the customer wrote it, or the channel alone. */
static json_t *entry_of(const struct choice *choice, const char *channel)
{
	for (size_t i = 0; i < choice->count; i++)
		if (strcmp(choice->channels[i], channel) == 0 && choice->entries[i])
			return preference_entry_json(choice->entries[i]);
	return json_string(channel);
}

/* All of it as it applies now, so that what is inherited is not lost by a line of its own. Its channels: only
 * where it has chosen them itself. */
static json_t *whole(const struct choice *choice, int64_t version)
{
	const struct preference *time = choice->time;
	json_t *channels = json_null();
	char until[MOMENT_TEXT];

	if (choice->own && choice->own->has_channels) {
		channels = json_array();
		for (size_t i = 0; i < choice->count; i++)
			json_array_append_new(channels, entry_of(choice, choice->channels[i]));
	}
	json_t *json = json_pack("{s:o, s:s, s:s}", "channels", channels, "hours", time ? time->hours : "",
				 "digest", time ? time->digest : "immediate");
	if (time && time->paused_until && choice_may_stop(choice)) {
		moment_format(time->paused_until, until);
		json_object_set_new(json, "paused_until", json_string(until));
	}
	if (version >= 0)
		json_object_set_new(json, "version", json_integer((json_int_t)version));
	return json;
}

json_t *choice_stop(const struct choice *choice)
{
	json_t *json = whole(choice, -1);

	json_object_set_new(json, "channels", json_array());
	return json;
}

json_t *choice_move(const struct choice *choice, const char *channel, int64_t version)
{
	json_t *json = whole(choice, version), *channels = json_array();

	json_array_append_new(channels, entry_of(choice, channel));
	json_object_set_new(json, "channels", channels);
	return json;
}

json_t *choice_pause(const struct choice *choice, int64_t until, int64_t version)
{
	json_t *json = whole(choice, version);
	char text[MOMENT_TEXT];

	json_object_set_new(json, "paused_until", json_null());
	if (until) {
		moment_format(until, text);
		json_object_set_new(json, "paused_until", json_string(text));
	}
	return json;
}

json_t *choice_follow(const struct choice *choice, int64_t version)
{
	(void)choice;
	return json_pack("{s:n, s:I}", "channels", "version", (json_int_t)version);
}

/* --- the form --- */

/* Hours in their one normal form, and in the language. */
static void print_hours(const char *hours, struct text *out)
{
	struct hours *parsed = hours_parse(hours, NULL);

	if (parsed)
		hours_print(parsed, out);
	else
		text_puts(out, hours);
	hours_free(parsed);
}

static void form_hours(const struct choice *choice, const json_t *words, struct choice_form *out)
{
	static const char *const simple[] = {"", CHOICE_ANY, CHOICE_DAY, CHOICE_WORK};
	const char *stored = choice->time ? choice->time->hours : "";
	struct text normal;

	text_init(&normal, HOURS_TEXT_MAX);
	print_hours(stored, &normal);
	snprintf(out->hours, sizeof out->hours, CHOICE_OTHER);
	for (size_t i = 0; i < 4; i++)
		if (strcmp(normal.data, simple[i]) == 0)
			snprintf(out->hours, sizeof out->hours, "%s", simple[i]);
	bool quiet = choice->product && *choice->product->quiet_hours;
	if (!quiet && strcmp(out->hours, CHOICE_ANY) == 0)
		out->hours[0] = '\0';
	if (strcmp(out->hours, CHOICE_OTHER) == 0)
		say_hours(&out->own, words, normal.data);
	text_release(&normal);
}

static const char *const digest_words[] = {"immediate", "hourly", "daily", "weekly"};

static void form_digest(const struct choice *choice, struct choice_form *out)
{
	struct cadence cadence = {.kind = CADENCE_IMMEDIATE};

	if (choice->time)
		cadence_parse(choice->time->digest, &cadence, NULL);
	out->word = digest_words[cadence.kind];
	out->weekday = cadence.kind == CADENCE_WEEKLY ? cadence.weekday : 0;
	snprintf(out->time, sizeof out->time, DEFAULT_TIME);
	if (cadence.kind == CADENCE_DAILY || cadence.kind == CADENCE_WEEKLY)
		snprintf(out->time, sizeof out->time, "%02d:%02d", cadence.hour % 24, cadence.minute % 60);
}

void choice_form_of(const struct choice *choice, const json_t *words, struct choice_form *out)
{
	*out = (struct choice_form){.count = 0};
	text_init(&out->own, HOURS_TEXT_MAX);
	for (size_t i = 0; i < choice->count; i++) {
		out->channels[out->count] = choice->channels[i];
		out->on[out->count++] = true;
	}
	for (size_t i = 0; i < choice->offered_count; i++) {
		bool there = false;
		for (size_t k = 0; k < choice->count; k++)
			there = there || strcmp(choice->channels[k], choice->offered[i]) == 0;
		if (!there)
			out->channels[out->count++] = choice->offered[i];
	}
	form_hours(choice, words, out);
	form_digest(choice, out);
}

void choice_form_release(struct choice_form *form)
{
	text_release(&form->own);
}

/* By the numbers beside them; where two have the same, in the order shown. */
static void order_typed(const struct choice_form *shown, const json_t *form, struct choice_form *out)
{
	long places[PREFERENCE_CHANNELS_MAX];
	char field[160];

	for (size_t i = 0; i < shown->count; i++) {
		const char *channel = shown->channels[i];
		snprintf(field, sizeof field, "place-%s", channel);
		const char *typed = form_field(form, field);
		long place = *typed ? strtol(typed, NULL, 10) : (long)i + 1;
		snprintf(field, sizeof field, "on-%s", channel);
		bool on = *form_field(form, field) != '\0';
		size_t at = out->count++;
		for (; at && places[at - 1] > place; at--) {
			places[at] = places[at - 1];
			out->channels[at] = out->channels[at - 1];
			out->on[at] = out->on[at - 1];
		}
		places[at] = place;
		out->channels[at] = channel;
		out->on[at] = on;
	}
}

/* The ticked line counts; but who writes times of their own, and leaves the tick where it was, means them. */
static void hours_typed(const struct choice_form *shown, const json_t *form, struct choice_form *out)
{
	const bool asked = json_object_get(form, "hours") != NULL; /* a form need not ask for them */
	const char *value = asked ? form_field(form, "hours") : shown->hours;
	const char *own = asked ? form_field(form, "hours_own") : shown->own.data;

	snprintf(out->hours, sizeof out->hours, "%s", value);
	if (strcmp(value, shown->hours) == 0 && *own && strcmp(own, shown->own.data) != 0)
		snprintf(out->hours, sizeof out->hours, CHOICE_OTHER);
	text_puts(&out->own, own);
}

void choice_form_typed(const struct choice *choice, const json_t *words, const json_t *form,
		       struct choice_form *out)
{
	const char *digest = form_field(form, "digest"), *day = form_field(form, "digest_day");
	const char *time = form_field(form, "digest_time");
	struct choice_form shown;
	int minute;

	choice_form_of(choice, words, &shown);
	*out = (struct choice_form){.word = shown.word, .weekday = shown.weekday};
	text_init(&out->own, HOURS_TEXT_MAX);
	order_typed(&shown, form, out);
	hours_typed(&shown, form, out);
	for (size_t i = 0; i < 4; i++)
		if (strcmp(digest, digest_words[i]) == 0)
			out->word = digest_words[i];
	weekday_take(&day, &out->weekday);
	bool timed = strcmp(out->word, "daily") == 0 || strcmp(out->word, "weekly") == 0;
	bool read = clock_take(&time, &minute) && !*time && minute < 24 * 60;
	out->time_unread = timed && !read && json_object_get(form, "digest_time") != NULL;
	snprintf(out->time, sizeof out->time, "%s", shown.time);
	if (read)
		snprintf(out->time, sizeof out->time, "%02d:%02d", minute / 60 % 24, minute % 60);
	choice_form_release(&shown);
}

/* Is the list the one that applies already, though it was not chosen here? */
static bool only_follows(const struct choice *choice, const struct choice_form *form)
{
	size_t k = 0;

	if (choice->own && choice->own->has_channels)
		return false;
	for (size_t i = 0; i < form->count; i++) {
		if (!form->on[i])
			continue;
		if (k >= choice->count || strcmp(choice->channels[k], form->channels[i]) != 0)
			return false;
		k++;
	}
	return k == choice->count;
}

json_t *choice_save(const struct choice *choice, const json_t *words, const struct choice_form *form,
		    int64_t version)
{
	json_t *json = whole(choice, version), *channels = json_array();
	struct text hours, digest;

	text_init(&hours, HOURS_TEXT_MAX);
	text_init(&digest, 64);
	for (size_t i = 0; i < form->count; i++)
		if (form->on[i])
			json_array_append_new(channels, entry_of(choice, form->channels[i]));
	json_object_set_new(json, "channels",
			    only_follows(choice, form) ? json_null() : json_incref(channels));
	if (strcmp(form->hours, CHOICE_OTHER) == 0)
		read_hours(&hours, words, form->own.data);
	else
		text_puts(&hours, form->hours);
	json_object_set_new(json, "hours", json_string(hours.data));
	text_puts(&digest, form->word);
	if (strcmp(form->word, "weekly") == 0)
		text_addf(&digest, " %s", weekday_name(form->weekday));
	if (strcmp(form->word, "weekly") == 0 || strcmp(form->word, "daily") == 0)
		text_addf(&digest, " %s", form->time);
	json_object_set_new(json, "digest", json_string(digest.data));
	json_decref(channels);
	text_release(&hours);
	text_release(&digest);
	return json;
}
