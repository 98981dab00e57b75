/* What a customer asks for on a line of the page: each becomes a preference that goes the way of everybody's,
 * and the answer says what the store says now. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hours.h"
#include "page_private.h"
#include "banned.h"

/* --- moments --- */

static int days_in_month(int64_t year, int month)
{
	return (int)(moment_days(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1) -
		     moment_days(year, month, 1));
}

/* The same time of day, a month later; the last day of that month where it has not as many. */
static int64_t month_later(const struct page_view *view)
{
	struct civil civil;

	zone_civil(view->zone, view->now, &civil);
	civil.year += civil.month == 12;
	civil.month = civil.month % 12 + 1;
	int last = days_in_month(civil.year, civil.month);
	civil.day = civil.day < last ? civil.day : last;
	return zone_at_or_after(view->zone, &civil);
}

/* The first moment of the day that was picked; 0: it is none, or not in the future. */
static int64_t day_picked(const struct page_view *view, const char *day)
{
	struct civil civil = {0};
	int year, month, date, end = 0;

	if (sscanf(day, "%4d-%2d-%2d%n", &year, &month, &date, &end) != 3 || day[end] || year < 2000 ||
	    month < 1 || month > 12 || date < 1 || date > days_in_month(year, month))
		return 0;
	civil.year = year;
	civil.month = month;
	civil.day = date;
	int64_t at = zone_at_or_after(view->zone, &civil);
	return at > view->now ? at : 0;
}

/* --- one line --- */

/* What was asked, and what became of it. */
struct line {
	struct page *page;
	const struct product *product;
	struct choice choice;
	struct page_typed typed;
	int64_t version;
	const char *done; /* the word of the notice */
	const char *how;  /* for the evidence */
};

static void show_line(struct line *line, int status, json_t *notice)
{
	struct page *page = line->page;
	bool typed = status != 200;

	page->view.open = line->choice.name;
	page_show(page, status, "choices", page_choices(&page->view, notice, typed ? &line->typed : NULL));
}

static void show_problem(struct line *line, int status, const char *word)
{
	const json_t *words = line->page->view.words;
	json_t *notice = notice_new(NOTICE_PROBLEM, say(words, "problem_title", NULL));
	struct choice_form form;

	choice_form_typed(&line->choice, words, line->page->form, &form);
	notice_add(notice, say(words, word, "hours", form.own.data, NULL));
	choice_form_release(&form);
	show_line(line, status, notice);
}

/* "“Card alerts”: You get it by text message." */
static json_t *says_now(struct line *line, const char *key)
{
	const struct page_view *view = &line->page->view;
	const char *title =
		line->product ? product_title(line->product, view->language, view->config->customers.locale)
			      : say_word(view->words, "rest");
	struct text state;

	text_init(&state, SAY_MAX);
	choice_says(view, &line->choice, &state);
	json_t *sentence = say(view->words, key, "product", title, "state", state.data, NULL);
	text_release(&state);
	return sentence;
}

static bool read_again(struct line *line)
{
	struct page *page = line->page;

	return page_again(page) && choice_read(page->view.config, line->product, page->view.preferences,
					       page->view.preference_count, &line->choice);
}

static void show_changed(struct line *line)
{
	const json_t *words = line->page->view.words;
	json_t *notice = notice_new(NOTICE_CHANGED, say(words, "changed_title", NULL));

	notice_add(notice, say(words, "changed_text", NULL));
	notice_add(notice, says_now(line, "done_now"));
	notice_add(notice, choice_changed_by(&line->page->view, &line->choice));
	line->typed.overwrite = true;
	show_line(line, 409, notice);
}

static void show_done(struct line *line, const json_t *answer)
{
	const json_t *words = line->page->view.words;
	json_t *notice = notice_new(NOTICE_DONE, say(words, line->done, NULL));
	json_t *pause = choice_says_pause(&line->page->view, &line->choice);

	notice_add(notice, says_now(line, "done_now"));
	if (pause)
		notice_add(notice, pause);
	page_add_way(line->page, notice, answer);
	show_line(line, 200, notice);
}

/* Takes the preference. */
static void write_line(struct line *line, json_t *preference)
{
	struct page *page = line->page;
	json_t *answer = NULL, *how = page_how(page, line->how);
	struct text problem;

	json_object_update(preference, how);
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_prefer(&page->call->api->door, &page_asker, page->view.customer->id,
				    line->choice.name, preference, false, &answer, &problem);
	bool hours = strncmp(problem.data, "channels[", 9) == 0 && strstr(problem.data, ".hours");
	if (status == 422 && hours)
		line->typed.hours_word = "hours_never";
	if (status == 503 || status == 404)
		page_refused(page, status);
	else if (!read_again(line)) /* answered */
		;
	else if (status == 200)
		show_done(line, answer);
	else if (status == 409)
		show_changed(line);
	else
		show_problem(line, 422, hours ? "hours_never" : "problem_refused");
	text_release(&problem);
	json_decref(how);
	json_decref(preference);
	json_decref(answer);
}

/* What can be said of a form before anybody is asked. True: there is nothing. */
static bool save_fits(struct line *line, const struct choice_form *form)
{
	const json_t *words = line->page->view.words;
	struct text hours;
	bool any = false;

	for (size_t i = 0; i < form->count; i++)
		any = any || form->on[i];
	if (!any && line->choice.count)
		line->typed.channels_word =
			choice_may_stop(&line->choice) ? "problem_none" : "problem_required";
	text_init(&hours, HOURS_TEXT_MAX);
	read_hours(&hours, words, strcmp(form->hours, CHOICE_OTHER) == 0 ? form->own.data : form->hours);
	struct hours *parsed = hours_parse(hours.data, NULL);
	bool empty = strcmp(form->hours, CHOICE_OTHER) == 0 && hours.data[strspn(hours.data, " ")] == '\0';
	if (!parsed || empty)
		line->typed.hours_word = "hours_bad";
	hours_free(parsed);
	text_release(&hours);
	return !*line->typed.channels_word && !*line->typed.hours_word && !form->time_unread;
}

static void save(struct line *line)
{
	const json_t *words = line->page->view.words;
	struct choice_form form;

	choice_form_typed(&line->choice, words, line->page->form, &form);
	line->done = "done_saved";
	line->how = "form";
	if (save_fits(line, &form))
		write_line(line, choice_save(&line->choice, words, &form, line->version));
	else
		show_problem(line, 422,
			     *line->typed.channels_word ? line->typed.channels_word
			     : *line->typed.hours_word  ? line->typed.hours_word
							: "problem_time");
	choice_form_release(&form);
}

static void pause_line(struct line *line, const char *until)
{
	const struct page_view *view = &line->page->view;
	int64_t at = strcmp(until, "day") == 0     ? view->now + MOMENT_DAY
		     : strcmp(until, "week") == 0  ? view->now + 7 * MOMENT_DAY
		     : strcmp(until, "month") == 0 ? month_later(view)
						   : day_picked(view, page_field(line->page, "until"));

	line->done = "done_paused";
	line->how = "pause";
	if (at) {
		write_line(line, choice_pause(&line->choice, at, line->version));
		return;
	}
	line->typed.until_word = "problem_date";
	show_problem(line, 422, "problem_date");
}

static void move(struct line *line, const char *channel)
{
	line->done = "done_moved";
	line->how = "one tap";
	if (choice_offers(&line->choice, channel))
		write_line(line, choice_move(&line->choice, channel, line->version));
	else
		page_refused(line->page, 422);
}

static void run_line(struct line *line, const char *action)
{
	if (strcmp(action, "save") == 0) {
		save(line);
	} else if (strcmp(action, "stop") == 0) {
		line->done = "done_stopped";
		line->how = "one tap";
		write_line(line, choice_stop(&line->choice));
	} else if (strncmp(action, "move:", 5) == 0) {
		move(line, action + 5);
	} else if (strncmp(action, "pause:", 6) == 0) {
		pause_line(line, action + 6);
	} else if (strcmp(action, "resume") == 0) {
		line->done = "done_resumed";
		line->how = "resume";
		write_line(line, choice_pause(&line->choice, 0, line->version));
	} else {
		line->done = "done_saved";
		line->how = "follow";
		write_line(line, choice_follow(&line->choice, line->version));
	}
}

static void stop_all(struct page *page)
{
	json_t *answer = NULL, *how = page_how(page, "stop everything, asked twice");
	struct text problem;

	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_stop_all(&page->call->api->door, &page_asker, page->view.customer->id, how,
				      &answer, &problem);
	if (status != 200) {
		page_refused(page, status);
	} else if (page_again(page)) {
		json_t *notice = notice_new(NOTICE_DONE, say(page->view.words, "done_all", NULL));
		json_t *stays = page_stays(page);
		if (stays)
			notice_add(notice, stays);
		page_add_way(page, notice, answer);
		page->view.focus = NULL;
		page_show(page, 200, "choices", page_choices(&page->view, notice, NULL));
	}
	text_release(&problem);
	json_decref(how);
	json_decref(answer);
}

static bool is_line_action(const char *action)
{
	static const char *const actions[] = {"save", "stop", "resume", "follow"};

	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (strcmp(action, actions[i]) == 0)
			return true;
	return strncmp(action, "move:", 5) == 0 || strncmp(action, "pause:", 6) == 0;
}

bool page_post_line(struct page *page, const char *action)
{
	const char *name = page_field(page, "product");
	struct line line = {.page = page,
			    .product = product_find(page->view.config->products, name),
			    .typed = {.product = name,
				      .form = page->form,
				      .channels_word = "",
				      .hours_word = "",
				      .until_word = ""},
			    .version = strtoll(page_field(page, "version"), NULL, 10)};

	if (strcmp(action, "stop-all") == 0) {
		if (page_form_own(page, "stop-all"))
			stop_all(page);
		return true;
	}
	if (!is_line_action(action))
		return false;
	if (!page_form_own(page, "line %s", name))
		return true;
	if ((!line.product && strcmp(name, "*") != 0) ||
	    !choice_read(page->view.config, line.product, page->view.preferences, page->view.preference_count,
			 &line.choice))
		page_refused(page, 422);
	else
		run_line(&line, action);
	return true;
}
