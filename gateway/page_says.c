/* What applies to a product, in sentences. */
#include <stdio.h>
#include <string.h>

#include "cadence.h"
#include "page_model_private.h"
#include "banned.h"

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

/* What is stopped waits for no end of a pause, and what is urgent for none at all. */
json_t *choice_says_pause(const struct page_view *view, const struct choice *choice)
{
	int64_t paused = choice_paused(choice, view->now);
	bool held = choice_runs(choice) && !(choice->product && choice->product->urgent);
	struct text until;

	if (!paused || !held)
		return NULL;
	text_init(&until, SAY_MAX);
	say_date_time(&until, view->words, view->zone, paused);
	json_t *sentence = say(view->words, "paused", "until", until.data, NULL);
	text_release(&until);
	return sentence;
}

void choice_says_short(const struct page_view *view, const struct choice *choice, struct text *out)
{
	const char *key = says_key(choice);
	bool no = strcmp(key, "marketing_no") == 0 || strcmp(key, "opt_in") == 0;

	says(view, choice, no ? "gets_not" : strcmp(key, "usual") == 0 ? "usual_short" : key, out);
	json_t *pause = choice_says_pause(view, choice);
	if (pause)
		text_addf(out, " %s", json_string_value(pause));
	json_decref(pause);
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
	return model_taken(&by);
}

const char *choice_title(const struct page_view *view, const struct product *product)
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
	json_t *pause = choice_says_pause(view, choice);
	struct text words;

	text_init(&words, SAY_MAX);
	if (pause)
		json_array_append_new(list, pause);
	if (choice->time && *choice->time->hours) {
		text_clear(&words);
		say_hours(&words, view->words, choice->time->hours);
		add_says(list, say(view->words, "only_at", "hours", words.data, NULL));
	}
	if (choice->time)
		says_digest(view, choice->time->digest, list);
	text_release(&words);
}

json_t *choice_sentences(const struct page_view *view, const struct choice *choice)
{
	const struct product *product = choice->product;
	json_t *list = json_array();
	struct text first;

	text_init(&first, SAY_MAX);
	choice_says(view, choice, &first);
	add_says(list, model_taken(&first));
	if (!product) {
		add_says(list, say(view->words, "rest_help", NULL));
		says_time(view, choice, list);
		return list;
	}
	if (!choice->no_opt_in && choice->applied.source == CHOICE_PARENT)
		add_says(list,
			 say(view->words, "follows", "product", choice_title(view, product->parent), NULL));
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

json_t *choice_tags(const struct page_view *view, const struct product *product)
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
