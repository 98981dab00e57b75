#include "page_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cadence.h"
#include "channel.h"
#include "hours.h"
#include "page_words.h"
#include "xalloc.h"
#include "banned.h"

#define FORM_NAME_MAX 256

/* --- pieces --- */

/* The text as a JSON string; it is empty again. */
static json_t *taken(struct text *text)
{
	json_t *string = json_stringn(text->data, text->len);

	text_release(text);
	return string ? string : json_string("");
}

/* Mustache takes "" for true: what is empty is not there. */
static json_t *some(const char *text)
{
	return *text ? json_string(text) : json_false();
}

static void set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

json_t *notice_new(enum notice_kind kind, json_t *heading)
{
	static const char *const kinds[] = {"done", "problem", "changed"};

	return json_pack("{s:s, s:s, s:o, s:[]}", "kind", kinds[kind], "role",
			 kind == NOTICE_DONE ? "status" : "alert", "heading", heading, "lines");
}

void notice_add(json_t *notice, json_t *line)
{
	if (*json_string_value(line))
		json_array_append_new(json_object_get(notice, "lines"), line);
	else
		json_decref(line);
}

json_t *page_href(const struct page_view *view, const char *query)
{
	char *href =
		xasprintf("%s%s%s%s%s%s", view->token, view->language_asked || *query ? "?" : "",
			  view->language_asked ? "lang=" : "", view->language_asked ? view->language : "",
			  view->language_asked && *query ? "&" : "", query);
	json_t *json = json_string(href);

	free(href);
	return json;
}

void page_set_form(const struct page_view *view, json_t *object, const char *key, const char *form)
{
	char token[LINK_FORM_SIZE];

	link_form_write(view->config->links, view->token, form, view->now, token);
	set(object, key, json_string(token));
}

static void set_form_of(const struct page_view *view, json_t *object, const char *key, const char *what,
			const char *name)
{
	char form[FORM_NAME_MAX];

	snprintf(form, sizeof form, "%s %s", what, name);
	page_set_form(view, object, key, form);
}

static json_t *languages(const struct page_view *view)
{
	json_t *list = json_array();
	const char *language;

	for (size_t i = 0; (language = pages_language_at(view->config->pages, i)); i++) {
		const json_t *words = pages_words(view->config->pages, language);
		char *href = xasprintf("%s?lang=%s", view->token, language);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "code", language, "name",
						      say_word(words, "language"), "href", href, "current",
						      strcmp(language, view->language) == 0));
		free(href);
	}
	json_t *all = json_array_size(list) > 1 ? json_pack("{s:O}", "list", list) : json_false();
	json_decref(list);
	return all;
}

static json_t *views(const struct page_view *view, enum page_part part)
{
	static const struct {
		const char *query, *word;
	} parts[] = {{"", "nav_choices"},
		     {"view=addresses", "nav_addresses"},
		     {"view=history", "nav_history"},
		     {"view=data", "nav_data"}};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		json_array_append_new(
			list, json_pack("{s:o, s:s, s:b}", "href", page_href(view, parts[i].query), "label",
					say_word(view->words, parts[i].word), "current", i == (size_t)part));
	return json_pack("{s:o}", "list", list);
}

json_t *page_base(const struct page_view *view, enum page_part part, json_t *heading, json_t *notice)
{
	const char *company = view->config->company.name;
	const struct page_set *pages = view->config->pages;
	const json_t *first = notice ? json_object_get(notice, "heading") : heading;
	json_t *model = json_object();
	struct text title;

	/* the notice first: it is what a screen reader says of a page that came as an answer */
	text_init(&title, SAY_MAX);
	text_puts(&title, json_string_value(first));
	if (*company && !(first == heading && strstr(title.data, company)))
		text_addf(&title, " – %s", company);
	set(model, "title", taken(&title));
	set(model, "lang", json_string(view->language));
	json_object_set(model, "w", (json_t *)view->words);
	set(model, "company", json_string(company));
	set(model, "logo", json_boolean(pages_asset(pages, "logo")));
	set(model, "assets", json_string(pages_assets_version(pages)));
	set(model, "self", page_href(view, ""));
	set(model, "languages", languages(view));
	if (view->customer && view->link.kind == LINK_FULL)
		set(model, "views", views(view, part));
	set(model, "heading", heading);
	set(model, "notice", notice ? notice : json_false());
	return model;
}

/* --- what applies, in sentences --- */

/* "by text message; if that is not possible, by e-mail" */
static void ways(const struct page_view *view, const struct choice *choice, struct text *out)
{
	struct text rest, by, both;

	text_init(&rest, SAY_MAX);
	text_init(&by, SAY_MAX);
	text_init(&both, SAY_MAX);
	for (size_t i = choice->count; i-- > 0;) {
		text_clear(&by);
		say_by(&by, view->words, choice->channels[i]);
		text_clear(&both);
		if (rest.len)
			say_to(&both, view->words, "else", "first", by.data, "next", rest.data, NULL);
		else
			text_puts(&both, by.data);
		text_clear(&rest);
		text_puts(&rest, both.data);
	}
	text_puts(out, rest.data);
	text_release(&rest);
	text_release(&by);
	text_release(&both);
}

static bool follows_default(const struct choice *choice)
{
	return choice->product && !choice->no_opt_in && choice->applied.source == CHOICE_DEFAULT;
}

static const char *says_key(const struct choice *choice)
{
	if (choice->no_opt_in)
		return "marketing_no";
	if (!choice->product && !(choice->own && choice->own->has_channels))
		return "rest_none";
	if (!choice->product && !choice->count)
		return "rest_stopped";
	if (choice->count)
		return follows_default(choice) ? "usual" : "gets";
	if (choice->applied.count) /* of channels that are not offered any more */
		return "gets_not";
	return choice->applied.source == CHOICE_STAR      ? "stopped_all"
	       : choice->applied.source == CHOICE_DEFAULT ? "opt_in"
							  : "stopped";
}

static void says(const struct page_view *view, const struct choice *choice, const char *key, struct text *out)
{
	struct text channels;

	text_init(&channels, SAY_MAX);
	ways(view, choice, &channels);
	say_to(out, view->words, key, "channels", channels.data, NULL);
	text_release(&channels);
}

void choice_says(const struct page_view *view, const struct choice *choice, struct text *out)
{
	says(view, choice, says_key(choice), out);
}

/* On the closed line. */
static void choice_says_short(const struct page_view *view, const struct choice *choice, struct text *out)
{
	const char *key = says_key(choice);
	bool no = strcmp(key, "marketing_no") == 0 || strcmp(key, "opt_in") == 0;

	says(view, choice, no ? "gets_not" : strcmp(key, "usual") == 0 ? "usual_short" : key, out);
}

json_t *choice_changed_by(const struct page_view *view, const struct choice *choice)
{
	static const char *const known[] = {"page", "unsubscribe", "reply", "complaint", "import"};
	struct text at, by;
	char key[32] = "by_company";

	if (!choice->own)
		return json_string("");
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(choice->own->changed_by, known[i]) == 0)
			snprintf(key, sizeof key, "by_%s", known[i]);
	text_init(&at, SAY_MAX);
	text_init(&by, SAY_MAX);
	say_date_time(&at, view->words, view->zone, choice->own->changed_at);
	say_to(&by, view->words, "changed_by", "at", at.data, "by", say_word(view->words, key), NULL);
	text_release(&at);
	return taken(&by);
}

static const char *title_of(const struct page_view *view, const struct product *product)
{
	return product ? product_title(product, view->language, view->config->customers.locale)
		       : say_word(view->words, "rest");
}

static void add_says(json_t *list, json_t *sentence)
{
	if (*json_string_value(sentence))
		json_array_append_new(list, sentence);
	else
		json_decref(sentence);
}

/* Is there a channel of the list with an address that works? */
static bool reachable(const struct page_view *view, const struct choice *choice)
{
	for (size_t i = 0; i < choice->count; i++) {
		size_t dead, stopped;
		if (customer_address(view->customer, choice->channels[i], &dead, &stopped))
			return true;
	}
	return false;
}

static void says_digest(const struct page_view *view, const char *digest, json_t *list)
{
	struct cadence cadence;
	char time[CHOICE_TIME_SIZE];

	if (!cadence_parse(digest, &cadence, NULL))
		return;
	snprintf(time, sizeof time, "%02d:%02d", cadence.hour % 24, cadence.minute % 60);
	const char *day = json_string_value(
		json_array_get(json_object_get(view->words, "weekdays"), (size_t)cadence.weekday % 7));
	if (cadence.kind == CADENCE_HOURLY)
		add_says(list, say(view->words, "together_hourly", NULL));
	else if (cadence.kind == CADENCE_DAILY)
		add_says(list, say(view->words, "together_daily", "time", time, NULL));
	else if (cadence.kind == CADENCE_WEEKLY)
		add_says(list, say(view->words, "together_weekly", "day", day, "time", time, NULL));
}

static void says_time(const struct page_view *view, const struct choice *choice, json_t *list)
{
	int64_t paused = choice_paused(choice, view->now);
	struct text words;

	text_init(&words, SAY_MAX);
	if (paused) {
		say_date_time(&words, view->words, view->zone, paused);
		add_says(list, say(view->words, "paused", "until", words.data, NULL));
	}
	if (choice->time && *choice->time->hours) {
		text_clear(&words);
		say_hours(&words, view->words, choice->time->hours);
		add_says(list, say(view->words, "only_at", "hours", words.data, NULL));
	}
	if (choice->time)
		says_digest(view, choice->time->digest, list);
	text_release(&words);
}

static json_t *says_of(const struct page_view *view, const struct choice *choice)
{
	const struct product *product = choice->product;
	json_t *list = json_array();
	struct text first;

	text_init(&first, SAY_MAX);
	choice_says(view, choice, &first);
	add_says(list, taken(&first));
	if (!product) {
		add_says(list, say(view->words, "rest_help", NULL));
		says_time(view, choice, list);
		return list;
	}
	if (!choice->no_opt_in && choice->applied.source == CHOICE_PARENT)
		add_says(list, say(view->words, "follows", "product", title_of(view, product->parent), NULL));
	if (!choice->no_opt_in && choice->applied.source == CHOICE_STAR && choice->count)
		add_says(list, say(view->words, "follows_rest", NULL));
	if (choice->count && !reachable(view, choice))
		add_says(list, say(view->words, "no_way", NULL));
	if (choice->count)
		says_time(view, choice, list);
	if (product->purpose == PURPOSE_MARKETING && !choice->no_opt_in && choice->count)
		add_says(list, say(view->words, "marketing_yes", NULL));
	if (product->purpose == PURPOSE_CRITICAL)
		add_says(list, say(view->words, "critical", NULL));
	if (product->urgent)
		add_says(list, say(view->words, "urgent", NULL));
	if (!product->may_stop)
		add_says(list, say(view->words, "required", NULL));
	return list;
}

static json_t *tags_of(const struct page_view *view, const struct product *product)
{
	json_t *list = json_array();

	if (product && product->purpose == PURPOSE_MARKETING)
		json_array_append_new(list, say(view->words, "tag_marketing", NULL));
	if (product && product->purpose == PURPOSE_CRITICAL)
		json_array_append_new(list, say(view->words, "tag_critical", NULL));
	if (product && !product->may_stop)
		json_array_append_new(list, say(view->words, "tag_required", NULL));
	json_t *tags = json_array_size(list) ? json_pack("{s:O}", "list", list) : json_false();
	json_decref(list);
	return tags;
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

static json_t *zone_help(const struct page_view *view)
{
	const char *name =
		*view->customer->timezone ? view->customer->timezone : view->config->customers.timezone;
	char *shown = xstrdup(name);

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
	set(line, "channels_error", error_of(view, typed ? typed->channels_word : "", form));
	set(line, "hours_error", error_of(view, typed ? typed->hours_word : "", form));
	set(line, "until_error", error_of(view, typed ? typed->until_word : "", form));
	set(line, "overwrite", json_boolean(typed && typed->overwrite));
}

/* To whom it goes back where it has a choice of its own that it need not have: false, or the label. */
static json_t *follow_of(const struct page_view *view, const struct choice *choice)
{
	const struct product *product = choice->product;
	const char *above = NULL;

	if (!product || !choice->own || !choice->own->has_channels)
		return json_false();
	if (product->parent)
		above = title_of(view, product->parent);
	else if (choice->choices.star && choice->choices.star->has_channels &&
		 product->purpose != PURPOSE_MARKETING)
		above = title_of(view, NULL);
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
	bool runs = choice->count > 0 || (!product && !(choice->own && choice->own->has_channels));
	json_t *line = json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:s, s:o, s:o, s:s, s:b, s:b, s:b, s:b, "
		"s:o, s:o}",
		"id", id, "name", choice->name, "title", title_of(view, product), "description",
		some(description), "says", says_of(view, choice), "short", taken(&first), "tags",
		tags_of(view, product), "version", (json_int_t)choice_version(choice), "channels",
		channels_of(view, choice, &form), "hours", hours_of(view, choice, &form), "hours_own",
		form.own.data, "digests", digests_of(view, &form), "days", days_of(view, &form),
		"digest_time", form.time, "may_stop", choice_may_stop(choice), "may_pause",
		choice_may_stop(choice) && runs, "runs", runs, "is_paused",
		choice_paused(choice, view->now) != 0, "zone_help", zone_help(view), "follow",
		follow_of(view, choice));
	if (product && product->parent)
		set(line, "part",
		    say(view->words, "part_of", "product", title_of(view, product->parent), NULL));
	set(line, "open", json_boolean(strcmp(view->open, choice->name) == 0));
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
	set(line, "moves", moves_of(view, &choice));
	set(line, "stop_it", say(view->words, "stop_it", "product", title_of(view, view->focus), NULL));
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
			set(model, "conflict", line_of(view, &choice, set_of->count + 2, typed));
	}
	set(model, "products", list);
	set(model, "focus", typed ? json_false() : focus_of(view));
	set(model, "stop_all", page_href(view, "ask=stop"));
	set(model, "more", more_of(view));
	return model;
}

/* --- addresses --- */

bool page_takes_code(const struct page_view *view, const char *channel)
{
	const struct channel_config *config = config_channel(view->config, channel);
	size_t dead, stopped;

	return config && config->ops->text != CHANNEL_TEXT_JSON &&
	       customer_address(view->customer, channel, &dead, &stopped);
}

static json_t *address_line(const struct page_view *view, const struct address *address, bool first)
{
	char *mask = address_mask(address->value), form[FORM_NAME_MAX], key[16];
	const char *state = address->state == ADDRESS_DEAD      ? "address_dead"
			    : address->state == ADDRESS_STOPPED ? "address_stopped"
			    : first                             ? "address_ok"
								: "address_next";

	snprintf(key, sizeof key, "%u", (unsigned)link_address(address->channel, address->value));
	json_t *line = json_pack("{s:s, s:s, s:s, s:s, s:o}", "address", mask, "state",
				 say_word(view->words, state), "channel", address->channel, "key", key,
				 "remove", say(view->words, "address_remove_it", "address", mask, NULL));
	snprintf(form, sizeof form, "remove %s %s", address->channel, key);
	page_set_form(view, line, "form", form);
	free(mask);
	return line;
}

static json_t *new_address(const struct page_view *view, const struct channel_config *config, const char *id,
			   const char *label, const json_t *bad)
{
	static const char *const types[] = {"email", "tel", "url", "text"}, *const fills[] = {"email", "tel",
											      "url", "off"};
	const enum address_kind kind = channel_addresses(config).kind;
	const char *channel = json_string_value(json_object_get(bad, "channel"));
	char form[FORM_NAME_MAX];

	if (config->ops->text == CHANNEL_TEXT_JSON)
		return json_false();
	bool mine = channel && strcmp(channel, config->name) == 0;
	json_t *new = json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", id, "channel", config->name, "type",
				types[kind], "autocomplete", fills[kind], "label",
				say(view->words, "address_new", "channel", label, NULL));
	set(new, "value", mine ? json_incref(json_object_get(bad, "value")) : json_string(""));
	set(new, "error", mine ? json_incref(json_object_get(bad, "error")) : json_false());
	snprintf(form, sizeof form, "add %s", config->name);
	page_set_form(view, new, "form", form);
	return new;
}

json_t *page_addresses(const struct page_view *view, json_t *notice, const json_t *bad)
{
	json_t *model = page_base(view, PAGE_ADDRESSES, say(view->words, "addresses", NULL), notice);
	json_t *channels = json_array();

	for (size_t i = 0; i < view->config->channel_count; i++) {
		const struct channel_config *config = &view->config->channels[i];
		json_t *list = json_array();
		struct text label;
		char id[40];
		bool first = true;
		for (size_t k = 0; k < view->customer->address_count; k++) {
			const struct address *address = &view->customer->addresses[k];
			if (strcmp(address->channel, config->name) != 0)
				continue;
			json_array_append_new(list, address_line(view, address, first));
			first = first && address->state != ADDRESS_OK;
		}
		snprintf(id, sizeof id, "channel-%zu", i);
		text_init(&label, SAY_MAX);
		say_channel(&label, view->words, config->name);
		json_array_append_new(channels,
				      json_pack("{s:s, s:s, s:b, s:O, s:o}", "id", id, "label", label.data,
						"has", json_array_size(list) > 0, "list", list, "new",
						new_address(view, config, id, label.data, bad)));
		json_decref(list);
		text_release(&label);
	}
	set(model, "channels", channels);
	return model;
}

/* --- history --- */

static void set_when(const struct page_view *view, json_t *object, int64_t at)
{
	char stamp[MOMENT_TEXT];
	struct text when;

	moment_format(at, stamp);
	text_init(&when, SAY_MAX);
	say_date_time(&when, view->words, view->zone, at);
	set(object, "at", json_string(stamp));
	set(object, "when", taken(&when));
}

const char *page_title_of(const struct page_view *view, const char *name)
{
	const struct product *product = product_find(view->config->products, name);

	if (product)
		return title_of(view, product);
	return *name ? name : say_word(view->words, "own_product");
}

static json_t *why(const struct page_view *view, const char *code, const json_t *args, const char *product)
{
	struct text said;

	text_init(&said, SAY_MAX);
	say_why(&said, view->words, view->zone, code, args, page_title_of(view, product));
	json_t *label = *code ? say(view->words, "why_label", "why", said.data, NULL) : json_false();
	text_release(&said);
	return label;
}

static json_t *contact_line(const struct page_view *view, const struct contact *contact)
{
	json_t *args = *contact->reason_args ? json_loads(contact->reason_args, 0, NULL) : NULL;
	char *mask = contact->address_value && *contact->address_value ? address_mask(contact->address_value)
								       : xstrdup("");
	const char *state = contact->direction == DIRECTION_IN ? "received" : state_name(contact->state);
	const char *word = json_string_value(json_object_get(json_object_get(view->words, "state"), state));
	json_t *line =
		json_pack("{s:s, s:o, s:o, s:s, s:o}", "title", page_title_of(view, contact->product),
			  "summary", some(contact->summary), "address", some(mask), "state",
			  word ? word : state, "why", why(view, contact->reason, args, contact->product));
	struct text channel;

	text_init(&channel, SAY_MAX);
	if (*contact->channel)
		say_channel(&channel, view->words, contact->channel);
	set(line, "channel", channel.len ? json_string(channel.data) : json_false());
	set_when(view, line, contact->at);
	text_release(&channel);
	free(mask);
	json_decref(args);
	return line;
}

static json_t *waiting_line(const struct page_view *view, const json_t *waiting)
{
	const char *product = json_string_value(json_object_get(waiting, "product"));
	const json_t *reason = json_object_get(waiting, "reason");
	const char *code = json_string_value(json_object_get(reason, "code"));
	json_t *line = json_pack("{s:s, s:o}", "title", page_title_of(view, product), "why",
				 why(view, code ? code : "", json_object_get(reason, "args"), product));

	set_when(view, line, json_integer_value(json_object_get(waiting, "at")));
	return line;
}

json_t *page_history(const struct page_view *view, const struct contact contacts[], size_t count,
		     size_t limit, bool newest, const json_t *waiting)
{
	json_t *model = page_base(view, PAGE_HISTORY, say(view->words, "history", NULL), NULL);
	json_t *list = json_array(), *waits = json_array(), *one;
	char query[64];
	size_t i;

	for (i = 0; i < count && i < limit; i++)
		json_array_append_new(list, contact_line(view, &contacts[i]));
	json_array_foreach((json_t *)waiting, i, one) json_array_append_new(waits, waiting_line(view, one));
	set(model, "contacts", list);
	set(model, "waiting", json_array_size(waits) ? json_pack("{s:O}", "list", waits) : json_false());
	json_decref(waits);
	snprintf(query, sizeof query, "view=history&before=%" PRId64,
		 count > limit ? contacts[limit - 1].seq : 0);
	set(model, "older", count > limit ? page_href(view, query) : json_false());
	set(model, "newest", newest ? json_false() : page_href(view, "view=history"));
	return model;
}

/* --- the other pages --- */

json_t *page_data(const struct page_view *view, json_t *notice)
{
	json_t *model = page_base(view, PAGE_DATA, say(view->words, "data", NULL), notice);

	set(model, "has", json_false());
	page_set_form(view, model, "form_export", "export");
	set(model, "erase", page_href(view, "ask=erase"));
	return model;
}

json_t *page_message(const struct page_view *view, json_t *heading, json_t *paragraphs, json_t *ask,
		     const char *back)
{
	json_t *model = page_base(view, PAGE_CHOICES, heading, NULL);

	set(model, "paragraphs", paragraphs);
	set(model, "action", page_href(view, ""));
	set(model, "ask", ask ? ask : json_false());
	set(model, "back",
	    back ? json_pack("{s:o, s:s}", "href", page_href(view, ""), "label", say_word(view->words, back))
		 : json_false());
	return model;
}

json_t *page_code(const struct page_view *view, const char *action, const char *channel, const char *address,
		  const char *ticket, const char *wrong)
{
	json_t *model = page_base(view, PAGE_CHOICES, say(view->words, "code_title", NULL), NULL);
	struct text by;

	text_init(&by, SAY_MAX);
	say_by(&by, view->words, channel);
	set(model, "sent", say(view->words, "code_sent", "channel", by.data, NULL));
	set(model, "do", json_string(action));
	set(model, "channel", json_string(channel));
	set(model, "address", json_string(address));
	set(model, "ticket", json_string(ticket));
	set(model, "wrong", *wrong ? say(view->words, wrong, NULL) : json_false());
	page_set_form(view, model, "form", action);
	text_release(&by);
	return model;
}

json_t *page_evidence(const struct page_view *view, const char *how)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "wording",
			 pages_wording(view->config->pages, view->language), "locale", view->language,
			 "products", view->config->products->hash, "how", how, "link",
			 view->link.kind == LINK_FULL   ? "full"
			 : view->link.kind == LINK_STOP ? "unsubscribe"
							: "choose");
}
