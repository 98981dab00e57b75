#include "hours.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "moment.h"
#include "xalloc.h"
#include "zone.h"
#include "banned.h"

#define DAY 1440 /* minutes */
#define WEEK (7 * DAY)
#define SHOWN_MAX 64 /* bytes of what somebody wrote that an error repeats */
#define RIGHT "write hours like mon-fri 09:00-20:00, sat 10:00-14:00"

/* Minutes of the week, from Monday 00:00. */
struct span {
	int from, to;
};

struct hours {
	bool given;          /* false: from "" */
	size_t count;        /* at least one */
	struct span spans[]; /* ascending, none touches the next; what goes over Sunday midnight is two */
};

/* A window as it is written: on the days from `first` to `last`, maybe over Sunday. */
struct window {
	int first, last;
	int from, to; /* minutes of the day; to <= from: of the next day */
};

/* --- reading --- */

static const char *const weekdays[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

const char *weekday_name(int weekday)
{
	return weekdays[weekday];
}

bool weekday_take(const char **s, int *weekday)
{
	for (int i = 0; i < 7; i++)
		if (strncasecmp(*s, weekdays[i], 3) == 0) {
			*weekday = i;
			*s += 3;
			return true;
		}
	return false;
}

static bool take_two(const char **s, int *out)
{
	int digits = 0;

	*out = 0;
	for (; digits < 2 && **s >= '0' && **s <= '9'; digits++, (*s)++)
		*out = *out * 10 + (**s - '0');
	return digits > 0;
}

bool clock_take(const char **s, int *minute)
{
	int hour, rest;

	if (!take_two(s, &hour) || **s != ':' || (*s)[1] < '0' || (*s)[1] > '9' || (*s)[2] < '0' ||
	    (*s)[2] > '9')
		return false;
	(*s)++;
	take_two(s, &rest);
	*minute = hour * 60 + rest;
	return rest < 60 && *minute <= DAY;
}

static void skip_spaces(const char **s)
{
	*s += strspn(*s, " \t");
}

/* [DAY[-DAY] ]HH:MM-HH:MM, stepped over. */
static bool take_window(const char **s, struct window *out, bool *has_days)
{
	*out = (struct window){.last = 6};
	skip_spaces(s);
	*has_days = weekday_take(s, &out->first);
	if (*has_days) {
		out->last = out->first;
		if (**s == '-') {
			(*s)++;
			if (!weekday_take(s, &out->last))
				return false;
		}
		if (!strspn(*s, " \t"))
			return false;
		skip_spaces(s);
	}
	if (!clock_take(s, &out->from) || out->from == DAY || **s != '-')
		return false;
	(*s)++;
	if (!clock_take(s, &out->to))
		return false;
	skip_spaces(s);
	return !**s || **s == ',';
}

static bool window_error(const char *start, const struct window *window, struct text *error)
{
	const char *s = start;
	int weekday;
	size_t len = strcspn(start, ",");

	while (len && strchr(" \t", start[len - 1]))
		len--;
	if (len > SHOWN_MAX)
		return text_error(error, "one of the windows is no window; " RIGHT);
	if (window)
		return text_error(error,
				  "\"%.*s\" never opens; write the whole day as 00:00-24:00, or another end",
				  (int)len, start);
	if (weekday_take(&s, &weekday) && s == start + len)
		return text_error(error,
				  "\"%.*s\" has no times; write each day with its own, like %s 09:00-20:00",
				  (int)len, start, weekday_name(weekday));
	return text_error(error, "\"%.*s\" is no window; " RIGHT, (int)len, start);
}

/* What the windows of a text cover, as they come. */
struct cover {
	size_t count;
	struct span spans[HOURS_WINDOWS_MAX * 8]; /* one a day, and one over Sunday midnight */
};

static void cover_window(struct cover *cover, const struct window *window)
{
	int length = window->to - window->from + (window->to > window->from ? 0 : DAY);

	for (int day = window->first;; day = (day + 1) % 7) {
		int from = day * DAY + window->from, over = from + length - WEEK;
		cover->spans[cover->count++] = (struct span){from, over > 0 ? WEEK : from + length};
		if (over > 0)
			cover->spans[cover->count++] = (struct span){0, over};
		if (day == window->last)
			break;
	}
}

static bool read_windows(const char *text, struct cover *cover, struct text *error)
{
	const char *s = text;
	bool has_days, first_has_days = false;

	for (int i = 0;; i++) {
		struct window window;
		skip_spaces(&s);
		const char *start = s;
		if (i == HOURS_WINDOWS_MAX)
			return text_error(error, "too many windows; at most %d fit", HOURS_WINDOWS_MAX);
		if (!take_window(&s, &window, &has_days))
			return window_error(start, NULL, error);
		if (window.from == window.to)
			return window_error(start, &window, error);
		if (i && has_days != first_has_days)
			return text_error(
				error,
				"some windows have days and some have none; write the days with each, "
				"mon-sun for every day, like mon-fri 09:00-12:00, mon-sun 18:00-20:00");
		first_has_days = has_days;
		cover_window(cover, &window);
		if (!*s)
			return true;
		s++; /* the comma */
	}
}

static int span_order(const void *a, const void *b)
{
	return ((const struct span *)a)->from - ((const struct span *)b)->from;
}

/* What is covered, or with `quiet` the rest of the week. */
static struct hours *hours_make(struct cover *cover, bool quiet)
{
	struct hours *hours = xcalloc(1, sizeof *hours + (cover->count + 1) * sizeof *hours->spans);
	int end = 0; /* the week is covered or done with up to here */

	qsort(cover->spans, cover->count, sizeof *cover->spans, span_order);
	for (size_t i = 0; i < cover->count; i++) {
		const struct span *span = &cover->spans[i];
		if (quiet && span->from > end)
			hours->spans[hours->count++] = (struct span){end, span->from};
		else if (!quiet && (!hours->count || span->from > end))
			hours->spans[hours->count++] = *span;
		else if (!quiet && span->to > end)
			hours->spans[hours->count - 1].to = span->to;
		end = span->to > end ? span->to : end;
	}
	if (quiet && end < WEEK)
		hours->spans[hours->count++] = (struct span){end, WEEK};
	return hours;
}

static size_t windows_of(const struct hours *hours, struct window out[HOURS_WINDOWS_MAX]);

static struct hours *parse(const char *text, bool quiet, struct text *error)
{
	struct cover cover;
	struct window windows[HOURS_WINDOWS_MAX];
	const char *s = text;

	if (strlen(text) > HOURS_TEXT_MAX) {
		text_error(error, "too long; at most %d bytes fit", HOURS_TEXT_MAX);
		return NULL;
	}
	skip_spaces(&s);
	bool given = *s != '\0';
	cover.count = 0;
	if (given && !read_windows(s, &cover, error))
		return NULL;
	struct hours *hours = hours_make(&cover, quiet || !given);
	hours->given = given;
	if (!hours->count) {
		text_error(error,
			   "leave no time of the week in which anything may go; write quiet hours like "
			   "22:00-07:00");
	} else if (windows_of(hours, windows) > HOURS_WINDOWS_MAX) {
		/* what is printed must be readable again */
		text_error(error, "too many windows; at most %d fit", HOURS_WINDOWS_MAX);
	} else {
		return hours;
	}
	hours_free(hours);
	return NULL;
}

struct hours *hours_parse(const char *text, struct text *error)
{
	return parse(text, false, error);
}

struct hours *hours_parse_quiet(const char *text, struct text *error)
{
	return parse(text, true, error);
}

void hours_free(struct hours *hours)
{
	free(hours);
}

/* --- when --- */

static bool always(const struct hours *hours)
{
	return !hours || (hours->spans[0].from == 0 && hours->spans[0].to == WEEK);
}

/* Microseconds of the week that the clock shows. */
static int64_t week_time(int64_t local)
{
	const int64_t week = 7 * MOMENT_DAY;
	int64_t since = (local + 3 * MOMENT_DAY) % week; /* 1970 began on a Thursday */
	return since < 0 ? since + week : since;
}

/* How long a clock that runs on shows closed hours; 0: open. */
static int64_t until_open(const struct hours *hours, int64_t time)
{
	for (size_t i = 0; i < hours->count; i++)
		if (time < hours->spans[i].to * MOMENT_MINUTE) {
			int64_t from = hours->spans[i].from * MOMENT_MINUTE;
			return time < from ? from - time : 0;
		}
	return (WEEK + hours->spans[0].from) * MOMENT_MINUTE - time;
}

/* How long it shows open hours; 0: closed. */
static int64_t until_closed(const struct hours *hours, int64_t time)
{
	for (size_t i = 0; i < hours->count; i++) {
		const struct span *span = &hours->spans[i];
		if (time >= span->to * MOMENT_MINUTE)
			continue;
		if (time < span->from * MOMENT_MINUTE)
			return 0;
		int on = span->to == WEEK && hours->spans[0].from == 0 ? hours->spans[0].to : 0;
		return (span->to + on) * MOMENT_MINUTE - time;
	}
	return 0;
}

bool hours_open(const struct hours *hours, const struct zone *zone, int64_t at)
{
	return always(hours) || (at < ZONE_ENDS && hours_next_open(hours, zone, at) == at);
}

int64_t hours_next_open(const struct hours *hours, const struct zone *zone, int64_t at)
{
	struct stretch stretch;

	if (always(hours) || at >= ZONE_ENDS)
		return always(hours) ? at : MOMENT_NEVER;
	at = at < ZONE_BEGINS ? ZONE_BEGINS : at;
	for (int64_t t = at; t <= at + HOURS_AHEAD_MAX; t = stretch.to) {
		zone_stretch(zone, t, &stretch);
		int64_t open = t + until_open(hours, week_time(t + stretch.offset));
		if (open < stretch.to)
			return open <= at + HOURS_AHEAD_MAX ? open : MOMENT_NEVER;
	}
	return MOMENT_NEVER;
}

/* Some two of them have no time in common. */
static bool part_ways(const struct hours *const list[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++)
			if (!hours_meet(list[i], list[j]))
				return true;
	return false;
}

int64_t hours_all_next_open(const struct hours *const list[], size_t count, const struct zone *zone,
			    int64_t at)
{
	for (int64_t t = at, from = MOMENT_NEVER; t != MOMENT_NEVER && t - at <= HOURS_AHEAD_MAX;) {
		if (t == from)
			return t;
		if (from != MOMENT_NEVER && part_ways(list, count))
			return MOMENT_NEVER;
		from = t;
		for (size_t i = 0; i < count && t != MOMENT_NEVER; i++)
			t = hours_next_open(list[i], zone, t);
	}
	return MOMENT_NEVER;
}

int64_t hours_closes(const struct hours *hours, const struct zone *zone, int64_t at)
{
	struct stretch stretch;

	if (always(hours))
		return MOMENT_NEVER;
	at = at < ZONE_BEGINS ? ZONE_BEGINS : at;
	for (int64_t t = at; t < ZONE_ENDS; t = stretch.to) {
		zone_stretch(zone, t, &stretch);
		int64_t closes = t + until_closed(hours, week_time(t + stretch.offset));
		if (closes < stretch.to)
			return closes;
	}
	return MOMENT_NEVER;
}

bool hours_meet(const struct hours *a, const struct hours *b)
{
	if (always(a) || always(b))
		return true;
	for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
		if (a->spans[i].from < b->spans[j].to && b->spans[j].from < a->spans[i].to)
			return true;
		if (a->spans[i].to < b->spans[j].to)
			i++;
		else
			j++;
	}
	return false;
}

/* --- printing --- */

/* Windows of the same times, with the days on which they begin. */
struct shape {
	int from, to;
	unsigned days;
};

struct shapes {
	size_t count; /* over HOURS_WINDOWS_MAX: there were too many */
	struct shape list[HOURS_WINDOWS_MAX];
};

static void add_shape(struct shapes *shapes, int day, int from, int to)
{
	for (size_t i = 0; i < shapes->count && i < HOURS_WINDOWS_MAX; i++)
		if (shapes->list[i].from == from && shapes->list[i].to == to) {
			shapes->list[i].days |= 1U << day;
			return;
		}
	if (shapes->count < HOURS_WINDOWS_MAX)
		shapes->list[shapes->count] = (struct shape){from, to, 1U << day};
	shapes->count++;
}

/* One that is shorter than a day may go over midnight; a longer one is cut there. */
static void add_span(struct shapes *shapes, int start, int length)
{
	int day = start / DAY, from = start % DAY;

	if (from + length > DAY && length < DAY) {
		add_shape(shapes, day, from, from + length - DAY);
		return;
	}
	while (length > 0) {
		int part = length < DAY - from ? length : DAY - from;
		add_shape(shapes, day, from, from + part);
		length -= part;
		from = 0;
		day = (day + 1) % 7;
	}
}

static int window_order(const void *a, const void *b)
{
	const struct window *one = a, *other = b;

	if (one->first != other->first)
		return one->first - other->first;
	return one->from != other->from ? one->from - other->from : one->to - other->to;
}

/* In normal form and order; a count over HOURS_WINDOWS_MAX: there are too many. */
static size_t windows_of(const struct hours *hours, struct window out[HOURS_WINDOWS_MAX])
{
	struct shapes shapes = {0};
	size_t count = 0, last = hours->count - 1;
	/* what goes on over Sunday midnight begins on its day */
	bool joined = last > 0 && hours->spans[0].from == 0 && hours->spans[last].to == WEEK;

	for (size_t i = joined; i <= last; i++)
		add_span(&shapes, hours->spans[i].from,
			 hours->spans[i].to - hours->spans[i].from +
				 (joined && i == last ? hours->spans[0].to : 0));
	if (shapes.count > HOURS_WINDOWS_MAX)
		return shapes.count;
	for (size_t i = 0; i < shapes.count; i++) {
		const struct shape *shape = &shapes.list[i];
		for (int day = 0; day < 7; day++) {
			bool all = shape->days == 0x7f;
			bool here = shape->days >> day & 1, before = shape->days >> (day + 6) % 7 & 1;
			if (all ? day > 0 : !here || before)
				continue;
			if (count == HOURS_WINDOWS_MAX)
				return count + 1;
			int end = all ? 6 : day;
			while (!all && shape->days >> (end + 1) % 7 & 1)
				end = (end + 1) % 7;
			out[count++] = (struct window){day, end, shape->from, shape->to};
		}
	}
	qsort(out, count, sizeof *out, window_order);
	return count;
}

void hours_print(const struct hours *hours, struct text *out)
{
	struct window windows[HOURS_WINDOWS_MAX] = {0};
	bool with_days = false;

	if (!hours || !hours->given)
		return;
	size_t count = windows_of(hours, windows);
	for (size_t i = 0; i < count; i++)
		with_days |= windows[i].first != 0 || windows[i].last != 6;
	for (size_t i = 0; i < count; i++) {
		const struct window *w = &windows[i];
		text_puts(out, i ? ", " : "");
		if (with_days)
			text_addf(out, w->first == w->last ? "%s " : "%s-%s ", weekdays[w->first],
				  weekdays[w->last]);
		text_addf(out, "%02d:%02d-%02d:%02d", w->from / 60, w->from % 60, w->to / 60, w->to % 60);
	}
}
