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

/* Is the element's weight zero? */
static bool is_refused(const char *element)
{
	const char *end = element + strcspn(element, ",");

	for (const char *s = element + strcspn(element, ";,"); s < end; s += strcspn(s, ";,")) {
		s = skip_blanks(s + 1);
		if ((*s == 'q' || *s == 'Q') && s[1] == '=')
			return strtod(s + 2, NULL) <= 0;
	}
	return false;
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

/* The nearest element that speaks of the type; *refused: with a weight of zero. */
static enum fit nearest(const char *accept, const char *type, bool *refused)
{
	enum fit best = FIT_NONE;

	*refused = false;
	for (const char *s = accept; *s; s += *s == ',') {
		s = skip_blanks(s);
		enum fit fit = fits(s, type);
		if (fit > best) {
			best = fit;
			*refused = is_refused(s);
		}
		s += strcspn(s, ",");
	}
	return best;
}

bool http_accepts(const char *accept, const char *type)
{
	bool refused;

	return !*accept || (nearest(accept, type, &refused) != FIT_NONE && !refused);
}

bool http_asks_for(const char *accept, const char *type)
{
	bool refused;

	return nearest(accept, type, &refused) == FIT_TYPE && !refused;
}
