#include "page_words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "hours.h"
#include "moment.h"
#include "zone.h"
#include "banned.h"

#define VALUES_MAX 8
#define WEEK 7

static const json_t *word_at(const json_t *words, const char *key)
{
	size_t len = strcspn(key, ".");
	const json_t *value = json_object_getn(words, key, len);

	return key[len] ? json_object_get(value, key + len + 1) : value;
}

const char *say_word(const json_t *words, const char *key)
{
	const char *word = json_string_value(word_at(words, key));

	return word ? word : "";
}

struct value {
	const char *name, *text;
};

static void fill(struct text *out, const char *like, const struct value values[], size_t count)
{
	while (*like) {
		size_t plain = strcspn(like, "{");
		text_add(out, like, plain);
		like += plain;
		if (!*like)
			break;
		size_t len = strcspn(++like, "}");
		for (size_t i = 0; i < count; i++)
			if (strlen(values[i].name) == len && memcmp(values[i].name, like, len) == 0)
				text_puts(out, values[i].text);
		like += len + (like[len] == '}');
	}
}

static size_t values_of(va_list args, struct value values[VALUES_MAX])
{
	size_t count = 0;
	const char *name;

	while (count < VALUES_MAX && (name = va_arg(args, const char *))) {
		values[count].name = name;
		values[count++].text = va_arg(args, const char *);
	}
	return count;
}

json_t *say(const json_t *words, const char *key, ...)
{
	struct value values[VALUES_MAX];
	struct text text;
	va_list args;

	va_start(args, key);
	size_t count = values_of(args, values);
	va_end(args);
	text_init(&text, SAY_MAX);
	fill(&text, say_word(words, key), values, count);
	json_t *said = json_stringn(text.data, text.len);
	text_release(&text);
	return said ? said : json_string("");
}

void say_to(struct text *out, const json_t *words, const char *key, ...)
{
	struct value values[VALUES_MAX];
	va_list args;

	va_start(args, key);
	size_t count = values_of(args, values);
	va_end(args);
	fill(out, say_word(words, key), values, count);
}

void say_values(struct text *out, const char *like, const json_t *values)
{
	struct value list[VALUES_MAX];
	size_t count = 0;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)values, name, value)
	{
		if (count < VALUES_MAX && json_is_string(value))
			list[count++] = (struct value){name, json_string_value(value)};
	}
	fill(out, like, list, count);
}

/* --- dates --- */

static const char *in_list(const json_t *words, const char *list, int i)
{
	const char *word = json_string_value(json_array_get(json_object_get(words, list), (size_t)i));

	return word ? word : "";
}

void say_date(struct text *out, const json_t *words, const struct zone *zone, int64_t at)
{
	char day[16], year[24];
	struct civil civil;

	zone_civil(zone, at, &civil);
	snprintf(day, sizeof day, "%d", civil.day);
	snprintf(year, sizeof year, "%lld", (long long)civil.year);
	say_to(out, words, "date", "day", day, "month", in_list(words, "months", civil.month - 1), "year",
	       year, NULL);
}

void say_date_time(struct text *out, const json_t *words, const struct zone *zone, int64_t at)
{
	struct civil civil;
	struct text date;
	char time[16];

	text_init(&date, SAY_MAX);
	zone_civil(zone, at, &civil);
	snprintf(time, sizeof time, "%02d:%02d", civil.hour, civil.minute);
	say_date(&date, words, zone, at);
	say_to(out, words, "date_time", "date", date.data, "time", time, NULL);
	text_release(&date);
}

/* --- channels --- */

static const char *in_map(const json_t *words, const char *map, const char *key)
{
	const char *word = json_string_value(json_object_get(json_object_get(words, map), key));

	return word ? word : "";
}

void say_channel(struct text *out, const json_t *words, const char *channel)
{
	const char *name = in_map(words, "channel", channel);

	text_puts(out, *name ? name : channel);
}

void say_by(struct text *out, const json_t *words, const char *channel)
{
	const char *by = in_map(words, "by", channel);
	struct text name;

	if (*by && strcmp(channel, "other") != 0) {
		text_puts(out, by);
		return;
	}
	text_init(&name, SAY_MAX);
	say_channel(&name, words, channel);
	say_to(out, words, "by.other", "channel", name.data, NULL);
	text_release(&name);
}

/* --- hours --- */

/* Bytes of the word at `s`: letters, of any alphabet. */
static size_t letters(const char *s)
{
	size_t len = 0;

	while (isalpha((unsigned char)s[len]) ||
	       ((unsigned char)s[len] >= 0x80 && (unsigned char)s[len] != 0xe2))
		len++;
	return len;
}

/* Small and capital letters of Latin-1, as in SÁB, are the same. */
static bool same_letter(unsigned char a, unsigned char b, bool behind_c3)
{
	if (tolower(a) == tolower(b))
		return true;
	return behind_c3 && (a ^ b) == 0x20 && (a | 0x20) >= 0xa0 && (a | 0x20) <= 0xbf;
}

static bool same_word(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!same_letter((unsigned char)a[i], (unsigned char)b[i],
				 i && (unsigned char)a[i - 1] == 0xc3))
			return false;
	return true;
}

/* Which day it names: in the language, in full or short, or in English; -1: none. */
static int day_named(const json_t *words, const char *s, size_t len)
{
	for (int day = 0; day < WEEK; day++) {
		const char *const names[] = {in_list(words, "days", day), in_list(words, "weekdays", day),
					     weekday_name(day)};
		for (size_t i = 0; i < 3; i++)
			if (strlen(names[i]) == len && same_word(s, names[i], len))
				return day;
	}
	return -1;
}

void read_hours(struct text *out, const json_t *words, const char *typed)
{
	while (*typed) {
		size_t len = letters(typed);
		int day = len ? day_named(words, typed, len) : -1;
		if (strncmp(typed, "\xe2\x80\x93", 3) == 0) { /* an en dash, as telephones type it */
			text_putc(out, '-');
			typed += 3;
			continue;
		}
		if (day >= 0)
			text_puts(out, weekday_name(day));
		else
			text_add(out, typed, len ? len : 1);
		typed += len ? len : 1;
	}
}

void say_hours(struct text *out, const json_t *words, const char *hours)
{
	while (*hours) {
		size_t len = letters(hours);
		int day = -1;
		for (int i = 0; len == 3 && i < WEEK; i++)
			if (strncasecmp(hours, weekday_name(i), 3) == 0)
				day = i;
		if (day >= 0)
			text_puts(out, in_list(words, "days", day));
		else
			text_add(out, hours, len ? len : 1);
		hours += len ? len : 1;
	}
}

/* --- reasons --- */

void say_why(struct text *out, const json_t *words, const struct zone *zone, const char *code,
	     const json_t *args, const char *product)
{
	static const char *const moments[] = {"until", "at"};
	const char *like = in_map(words, "why", code);
	const char *channel = json_string_value(json_object_get(args, "channel"));
	struct text name, by, moment;

	text_init(&name, SAY_MAX);
	text_init(&by, SAY_MAX);
	text_init(&moment, SAY_MAX);
	say_channel(&name, words, channel ? channel : "");
	say_by(&by, words, channel ? channel : "");
	for (size_t i = 0; i < 2 && !moment.len; i++) {
		const char *stored = json_string_value(json_object_get(args, moments[i]));
		int64_t at;
		if (stored && moment_parse(stored, &at))
			say_date_time(&moment, words, zone, at);
	}
	const struct value values[] = {
		{"channel", name.data}, {"by", by.data}, {"until", moment.data}, {"product", product}};
	fill(out, *like ? like : say_word(words, "why.other"), values, sizeof values / sizeof values[0]);
	text_release(&name);
	text_release(&by);
	text_release(&moment);
}
