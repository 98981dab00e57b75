/* The page of choices: each product with its form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hours.h"
#include "page_model_private.h"
#include "xalloc.h"
#include "banned.h"

static void set_form_of(const struct page_view *view, json_t *object, const char *key, const char *what,
			const char *name)
{
	char form[FORM_NAME_MAX];

	snprintf(form, sizeof form, "%s %s", what, name);
	page_set_form(view, object, key, form);
}

/* --- the form of a line --- */

/* Why the channel may not work, and what the customer said of it. */
static json_t *note_of(const struct page_view *view, const struct choice *choice, const char *channel)
{
	const struct preference_entry *entry = NULL;
	char wait[MOMENT_TEXT];
	size_t dead, stopped;
	struct text note, hours;

	for (size_t i = 0; i < choice->count; i++)
		if (strcmp(choice->channels[i], channel) == 0)
			entry = choice->entries[i];
	text_init(&note, SAY_MAX);
	text_init(&hours, SAY_MAX);
	if (!customer_address(view->customer, channel, &dead, &stopped))
		say_to(&note, view->words, stopped ? "note_stopped" : dead ? "note_dead" : "note_none", NULL);
	if (entry && *entry->hours) {
		say_hours(&hours, view->words, entry->hours);
		text_puts(&note, note.len ? "; " : "");
		say_to(&note, view->words, "note_hours", "hours", hours.data, NULL);
	}
	if (entry && entry->wait) {
		duration_format(entry->wait, wait);
		text_puts(&note, note.len ? "; " : "");
		say_to(&note, view->words, "note_wait", "wait", wait, NULL);
	}
	text_release(&hours);
	json_t *json = note.len ? json_stringn(note.data, note.len) : json_false();
	text_release(&note);
	return json;
}

static json_t *channels_of(const struct page_view *view, const struct choice *choice,
			   const struct choice_form *form)
{
	json_t *list = json_array();

	for (size_t i = 0; i < form->count; i++) {
		const char *channel = form->channels[i];
		json_t *places = json_array();
		struct text label;
		text_init(&label, SAY_MAX);
		say_channel(&label, view->words, channel);
		for (size_t n = 1; n <= form->count; n++) {
			char number[24];
			snprintf(number, sizeof number, "%zu", n);
			json_array_append_new(places,
					      json_pack("{s:s, s:o, s:b}", "n", number, "label",
							say(view->words, "place_n", "n", number, NULL),
							"selected", n == i + 1));
		}
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b, s:o, s:o, s:o}", "name", channel, "label",
						label.data, "on", form->on[i], "place",
						say(view->words, "place", "channel", label.data, NULL),
						"places", places, "note", note_of(view, choice, channel)));
		text_release(&label);
	}
	return list;
}

static void add_hours(json_t *list, const struct choice_form *form, const char *value, json_t *label)
{
	json_array_append_new(list, json_pack("{s:s, s:o, s:b}", "value", value, "label", label, "on",
					      strcmp(form->hours, value) == 0));
}

static json_t *hours_of(const struct page_view *view, const struct choice *choice,
			const struct choice_form *form)
{
	const char *quiet = choice->product ? choice->product->quiet_hours : "";
	json_t *list = json_array();

	if (*quiet)
		add_hours(list, form, "", say(view->words, "hours_quiet", "hours", quiet, NULL));
	add_hours(list, form, *quiet ? CHOICE_ANY : "", say(view->words, "hours_any", NULL));
	add_hours(list, form, CHOICE_DAY, say(view->words, "hours_day", NULL));
	add_hours(list, form, CHOICE_WORK, say(view->words, "hours_work", NULL));
	add_hours(list, form, CHOICE_OTHER, say(view->words, "hours_other", NULL));
	return list;
}

static json_t *digests_of(const struct page_view *view, const struct choice_form *form)
{
	static const char *const digests[] = {"immediate", "hourly", "daily", "weekly"};
	json_t *list = json_array();
	char key[32];

	for (size_t i = 0; i < 4; i++) {
		snprintf(key, sizeof key, "digest_%s", digests[i]);
		json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "value", digests[i], "label",
						      say_word(view->words, key), "on",
						      strcmp(form->word, digests[i]) == 0));
	}
	return list;
}

static json_t *days_of(const struct page_view *view, const struct choice_form *form)
{
	json_t *list = json_array();

	for (int day = 0; day < 7; day++)
		json_array_append_new(
			list, json_pack("{s:s, s:O, s:b}", "value", weekday_name(day), "label",
					json_array_get(json_object_get(view->words, "weekdays"), (size_t)day),
					"on", day == form->weekday));
	return list;
}

/* By its city: Buenos Aires of America/Argentina/Buenos_Aires. */
static json_t *zone_help(const struct page_view *view)
{
	const char *name =
		*view->customer->timezone ? view->customer->timezone : view->config->customers.timezone;
	const char *city = strrchr(name, '/');
	char *shown = xstrdup(city ? city + 1 : name);

	for (char *c = shown; *c; c++)
		*c = *c == '_' ? ' ' : *c;
	json_t *help = say(view->words, "when_zone", "zone", shown, NULL);
	free(shown);
	return help;
}

static json_t *error_of(const struct page_view *view, const char *key, const struct choice_form *form)
{
	return *key ? say(view->words, key, "hours", form->own.data, NULL) : json_false();
}

static void set_typed(const struct page_view *view, json_t *line, const struct choice_form *form,
		      const struct page_typed *typed)
{
	model_set(line, "channels_error", error_of(view, typed ? typed->channels_word : "", form));
	model_set(line, "hours_error", error_of(view, typed ? typed->hours_word : "", form));
	model_set(line, "time_error", error_of(view, typed && form->time_unread ? "problem_time" : "", form));
	model_set(line, "until_error", error_of(view, typed ? typed->until_word : "", form));
	model_set(line, "overwrite", json_boolean(typed && typed->overwrite));
}

/* To whom it goes back where it has a choice of its own that it need not have: false, or the label. */
static json_t *follow_of(const struct page_view *view, const struct choice *choice)
{
	const struct product *product = choice->product;
	const char *above = NULL;

	if (!product || !choice->own || !choice->own->has_channels)
		return json_false();
	if (product->parent)
		above = choice_title(view, product->parent);
	else if (choice->choices.star && choice->choices.star->has_channels &&
		 product->purpose != PURPOSE_MARKETING)
		above = choice_title(view, NULL);
	return above ? say(view->words, "follow_again", "product", above, NULL) : json_false();
}

/* One tap to move it: each channel offered that works and is not the one in use. */
static json_t *moves_of(const struct page_view *view, const struct choice *choice)
{
	json_t *list = json_array();
	size_t dead, stopped;

	for (size_t i = 0; i < choice->offered_count; i++) {
		const char *channel = choice->offered[i];
		struct text by;
		if ((choice->count && strcmp(choice->channels[0], channel) == 0) ||
		    !customer_address(view->customer, channel, &dead, &stopped))
			continue;
		text_init(&by, SAY_MAX);
		say_by(&by, view->words, channel);
		json_array_append_new(list, json_pack("{s:s, s:o}", "channel", channel, "label",
						      say(view->words, choice->count ? "move_it" : "get_it",
							  "channel", by.data, NULL)));
		text_release(&by);
	}
	return list;
}

static json_t *line_of(const struct page_view *view, const struct choice *choice, size_t number,
		       const struct page_typed *typed)
{
	const struct product *product = choice->product;
	const char *description =
		product ? product_description(product, view->language, view->config->customers.locale) : "";
	const bool urgent = product && product->urgent; /* neither hours nor digest nor pause holds it */
	struct choice_form form;
	struct text first;
	char id[40];

	if (typed)
		choice_form_typed(choice, view->words, typed->form, &form);
	else
		choice_form_of(choice, view->words, &form);
	snprintf(id, sizeof id, "line-%zu", number);
	text_init(&first, SAY_MAX);
	choice_says_short(view, choice, &first);
	const bool runs = choice_runs(choice);
	json_t *line = json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:s, s:o, s:o, s:s, s:b, s:b, s:b, s:b, "
		"s:o, s:o}",
		"id", id, "name", choice->name, "title", choice_title(view, product), "description",
		model_some(description), "says", choice_sentences(view, choice), "short", model_taken(&first),
		"tags", choice_tags(view, product), "version", (json_int_t)choice_version(choice), "channels",
		channels_of(view, choice, &form), "hours", hours_of(view, choice, &form), "hours_own",
		form.own.data, "digests", digests_of(view, &form), "days", days_of(view, &form),
		"digest_time", form.time, "may_stop", choice_may_stop(choice), "may_pause",
		choice_may_stop(choice) && runs && !urgent, "runs", runs, "is_paused",
		choice_paused(choice, view->now) != 0, "zone_help", zone_help(view), "follow",
		follow_of(view, choice));
	if (product && product->parent)
		model_set(line, "part",
			  say(view->words, "part_of", "product", choice_title(view, product->parent), NULL));
	model_set(line, "may_time", json_boolean(!urgent));
	model_set(line, "open", json_boolean(strcmp(view->open, choice->name) == 0));
	set_typed(view, line, &form, typed);
	set_form_of(view, line, "form_save", "line", choice->name);
	choice_form_release(&form);
	return line;
}

static json_t *focus_of(const struct page_view *view)
{
	struct choice choice;

	if (!view->focus ||
	    !choice_read(view->config, view->focus, view->preferences, view->preference_count, &choice))
		return json_false();
	json_t *line = line_of(view, &choice, 0, NULL);
	model_set(line, "moves", moves_of(view, &choice));
	model_set(line, "stop_it",
		  say(view->words, "stop_it", "product", choice_title(view, view->focus), NULL));
	set_form_of(view, line, "form_tap", "line", choice.name);
	return line;
}

/* --- the choices --- */

static json_t *more_of(const struct page_view *view)
{
	json_t *ways_to = json_array();

	if (view->link.kind == LINK_FULL) {
		json_decref(ways_to);
		return json_false();
	}
	for (size_t i = 0; i < view->config->channel_count; i++) {
		const char *channel = view->config->channel_names[i];
		struct text label;
		if (!page_takes_code(view, channel))
			continue;
		text_init(&label, SAY_MAX);
		say_channel(&label, view->words, channel);
		json_array_append_new(ways_to, json_pack("{s:s, s:s, s:b}", "channel", channel, "label",
							 label.data, "on", !json_array_size(ways_to)));
		text_release(&label);
	}
	json_t *more = json_pack("{s:b, s:O}", "none", json_array_size(ways_to) == 0, "ways", ways_to);
	page_set_form(view, more, "form", "code");
	json_decref(ways_to);
	return more;
}

json_t *page_choices(const struct page_view *view, json_t *notice, const struct page_typed *typed)
{
	const struct product_set *set_of = view->config->products;
	const char *company = view->config->company.name;
	json_t *heading = *company ? say(view->words, "page_title_company", "company", company, NULL)
				   : say(view->words, "page_title", NULL);
	json_t *model = page_base(view, PAGE_CHOICES, heading, notice), *list = json_array();
	struct choice choice;

	for (size_t i = 0; i <= set_of->count; i++) {
		const struct product *product = i < set_of->count ? &set_of->products[i] : NULL;
		if (!choice_read(view->config, product, view->preferences, view->preference_count, &choice))
			continue;
		bool mine = typed && strcmp(typed->product, choice.name) == 0;
		json_array_append_new(
			list, line_of(view, &choice, i + 1, mine && !typed->overwrite ? typed : NULL));
		if (mine && typed->overwrite)
			model_set(model, "conflict", line_of(view, &choice, set_of->count + 2, typed));
	}
	model_set(model, "products", list);
	model_set(model, "focus", typed ? json_false() : focus_of(view));
	model_set(model, "stop_all", page_href(view, "ask=stop"));
	model_set(model, "more", more_of(view));
	return model;
}
