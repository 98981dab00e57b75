#include "http_words.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "banned.h"

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* The length of what stands before a parameter, the next element or the end, blanks at its end aside. */
static size_t type_length(const char *s)
{
	size_t len = strcspn(s, ";,");

	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	return len;
}

bool http_type_is(const char *content_type, const char *type)
{
	const char *s = skip_blanks(content_type);
	size_t len = type_length(s);

	return len == strlen(type) && strncasecmp(s, type, len) == 0;
}

/* 0 to 1. By hand: strtod reads a comma in some locales, and more than digits. */
static double weight_read(const char *s)
{
	double weight = *s == '1' ? 1 : 0, unit = 0.1;

	if ((*s == '0' || *s == '1') && s[1] == '.')
		for (s += 2; *s >= '0' && *s <= '9'; s++, unit /= 10)
			weight += (*s - '0') * unit;
	return weight;
}

static double weight_of(const char *element)
{
	const char *end = element + strcspn(element, ",");

	for (const char *s = element + strcspn(element, ";,"); s < end; s += strcspn(s, ";,")) {
		s = skip_blanks(s + 1);
		if ((*s == 'q' || *s == 'Q') && s[1] == '=')
			return weight_read(s + 2);
	}
	return 1;
}

enum fit { FIT_NONE, FIT_ALL, FIT_KIND, FIT_TYPE };

static enum fit fits(const char *element, const char *type)
{
	size_t len = type_length(element), kind = strcspn(type, "/") + 1;

	if (len == strlen(type) && strncasecmp(element, type, len) == 0)
		return FIT_TYPE;
	if (len == kind + 1 && strncasecmp(element, type, kind) == 0 && element[kind] == '*')
		return FIT_KIND;
	return len == 3 && strncmp(element, "*/*", 3) == 0 ? FIT_ALL : FIT_NONE;
}

/* The nearest element that speaks of the type, and its weight; 0: it is not taken. */
static enum fit nearest(const char *accept, const char *type, double *weight)
{
	enum fit best = FIT_NONE;

	*weight = 0;
	for (const char *s = accept; *s; s += *s == ',') {
		s = skip_blanks(s);
		enum fit fit = fits(s, type);
		if (fit > best) {
			best = fit;
			*weight = weight_of(s);
		}
		s += strcspn(s, ",");
	}
	return best;
}

bool http_accepts(const char *accept, const char *type)
{
	double weight;

	nearest(accept, type, &weight);
	return !*accept || weight > 0;
}

bool http_prefers(const char *accept, const char *type, const char *usual)
{
	double weight, other;
	bool named = nearest(accept, type, &weight) == FIT_TYPE;

	return named && weight > 0 && (nearest(accept, usual, &other) != FIT_TYPE || weight >= other);
}
