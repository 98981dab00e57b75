#include "words.h"

#include <string.h>

#include <jansson.h>

#include "banned.h"

static const char *const lanes[] = {"urgent", "normal", "bulk"};
static const char *const purposes[] = {"critical", "service", "marketing"};
static const char *const states[] = {"queued",   "deferred",   "sending",  "sent",        "delivered",
				     "in_doubt", "suppressed", "held_out", "expired",     "cancelled",
				     "failed",   "retry",      "rejected", "called_back", "received"};
static const char *const address_states[] = {"ok", "dead", "stopped"};

const char *lane_name(enum lane lane)
{
	return lanes[lane];
}

const char *purpose_name(enum purpose purpose)
{
	return purposes[purpose];
}

const char *state_name(enum state state)
{
	return states[state];
}

const char *address_state_name(enum address_state state)
{
	return address_states[state];
}

static int word_find(const char *name, const char *const words[], int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(name, words[i]) == 0)
			return i;
	return -1;
}

bool lane_parse(const char *name, enum lane *lane)
{
	int found = word_find(name, lanes, LANES);
	if (found >= 0)
		*lane = (enum lane)found;
	return found >= 0;
}

bool purpose_parse(const char *name, enum purpose *purpose)
{
	int found = word_find(name, purposes, PURPOSES);
	if (found >= 0)
		*purpose = (enum purpose)found;
	return found >= 0;
}

bool state_parse(const char *name, enum state *state)
{
	int found = word_find(name, states, CONTACT_STATES);
	if (found >= 0)
		*state = (enum state)found;
	return found >= 0;
}

bool address_state_parse(const char *name, enum address_state *state)
{
	int found = word_find(name, address_states, ADDRESS_STATES);
	if (found >= 0)
		*state = (enum address_state)found;
	return found >= 0;
}

bool customer_id_valid(const char *id)
{
	size_t len = strlen(id);
	if (len < 1 || len > ID_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)id[i];
		if (c < 0x20 || c == 0x7f)
			return false;
		if (c == 0xc2 && (unsigned char)id[i + 1] >= 0x80 && (unsigned char)id[i + 1] <= 0x9f)
			return false; /* C1 controls */
	}
	json_t *utf8 = json_stringn(id, len); /* NULL unless it is UTF-8 */
	json_decref(utf8);
	return utf8 != NULL;
}

bool message_id_valid(const char *id)
{
	size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-");
	return len >= 1 && len <= ID_MAX && id[len] == '\0';
}

bool locale_valid(const char *locale)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t part = strspn(locale, letters);
	/* x-… is private, i-… is from before (RFC 5646 section 2.1) */
	bool single = part == 1 && strchr("xXiI", *locale) && locale[1] == '-';

	if ((part < 2 && !single) || part > 8 || strspn(locale, "0123456789") || strlen(locale) > LOCALE_MAX)
		return false;
	for (locale += part; *locale == '-'; locale += part) {
		locale++;
		part = strspn(locale, letters);
		if (part < 1 || part > 8)
			return false;
	}
	return *locale == '\0';
}

bool count_take(const char **s, int64_t max, int64_t *count)
{
	int64_t value = 0;

	if (**s < '1' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		if (value > (max - (**s - '0')) / 10)
			return false;
		value = value * 10 + (**s - '0');
	}
	*count = value;
	return true;
}
