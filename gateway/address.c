/* Addresses: one normal form for each kind, so that an address is found however it was typed, and the masked
 * form for logs. */
#include "customer.h"

#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define EMAIL_MAX 254 /* RFC 5321 section 4.5.3.1 with erratum 1690 */
#define EMAIL_LOCAL_MAX 64
#define HOST_MAX 253
#define PHONE_DIGITS_MIN 7
#define PHONE_DIGITS_MAX 15 /* E.164 */
#define PHONE_WRITTEN_MAX 32
#define TEXT_ADDRESS_MAX 512

#define DIGITS "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define ELLIPSIS "…"

static void add_lower(struct text *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text_putc(out, (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + ('a' - 'A') : s[i]));
}

/* A host name: labels of letters, digits, dashes (and underscores, which exist), none empty or over 63 bytes.
 */
static bool host_valid(const char *host, size_t len)
{
	size_t label = 0;

	if (!len || len > HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (host[i] == '.') {
			if (!label)
				return false;
			label = 0;
		} else if (!strchr(LETTERS DIGITS "-_", host[i]) || ++label > 63) {
			return false;
		}
	}
	return label > 0;
}

/* Only what needs no quotes (RFC 5322 atext and dots): what is left out could end a header or a command. */
static bool normalise_email(const char *value, struct text *out, struct text *error)
{
	size_t local = strspn(value, LETTERS DIGITS "!#$%&'*+-/=?^_`{|}~.");
	const char *domain = value + local + 1;

	if (!local || local > EMAIL_LOCAL_MAX || value[local] != '@' || strlen(value) > EMAIL_MAX)
		return text_error(
			error,
			"is not an e-mail address; write it like ana@example.com, without a name, spaces, "
			"quotes or angle brackets");
	if (!host_valid(domain, strlen(domain)))
		return text_error(
			error,
			"the part behind the @ is not a host name; write it like ana@example.com, other "
			"scripts as xn--…");
	text_add(out, value, local + 1);
	add_lower(out, domain, strlen(domain));
	return true;
}

/* Where + or 00 stands in front: what follows; else NULL. */
static const char *behind_international(const char *s)
{
	return *s == '+' ? s + 1 : strncmp(s, "00", 2) == 0 ? s + 2 : NULL;
}

/* From a national number's digits, trunk prefix and all, to those behind the +. */
static bool from_national(const struct number_plan *plan, const char *digits, struct text *out,
			  struct text *error)
{
	size_t trunk = strlen(plan->trunk);

	if (strncmp(digits, plan->trunk, trunk) != 0)
		return text_error(error,
				  "begins neither with + and the country nor with %s, as the country's own "
				  "numbers do here",
				  plan->trunk);
	if (plan->digits && strlen(digits + trunk) != (size_t)plan->digits)
		return text_error(error,
				  "is not a number of the country +%s, which has %d digits%s%s; begin with + "
				  "and the country for any other",
				  plan->country, plan->digits, trunk ? " behind the " : "", plan->trunk);
	text_addf(out, "%s%s", plan->country, digits + trunk);
	return true;
}

static bool normalise_phone(const struct number_plan *plan, const char *value, struct text *out,
			    struct text *error)
{
	const char *given = value + strspn(value, " "), *behind = behind_international(given);
	char digits[PHONE_WRITTEN_MAX + 1];
	size_t count = 0;

	if (!behind && !*plan->country)
		return text_error(
			error,
			"is not an international number; begin with + and the country, like +5491155550100");
	if (behind && strstr(value, "(0)"))
		return text_error(error,
				  "leave out the (0), which is not dialled from abroad: +49 30 1234567");
	for (const char *s = behind ? behind : given; *s; s++) {
		if (*s >= '0' && *s <= '9' && count < PHONE_WRITTEN_MAX)
			digits[count++] = *s;
		else if (!strchr(" .-()", *s))
			return text_error(
				error, "has a character that is not part of a number, or too many; write it "
				       "like +5491155550100");
	}
	digits[count] = '\0';
	text_putc(out, '+');
	if (behind)
		text_add(out, digits, count);
	else if (!from_national(plan, digits, out, error))
		return false;
	if (out->full || out->len < 1 + PHONE_DIGITS_MIN || out->len > 1 + PHONE_DIGITS_MAX ||
	    out->data[1] == '0')
		return text_error(
			error,
			"is not an international number; it has %d to %d digits behind the +, the first of "
			"them not 0",
			PHONE_DIGITS_MIN, PHONE_DIGITS_MAX);
	return true;
}

/* "host", "host:8443", "[::1]:8443". */
static bool authority_valid(const char *authority, size_t len)
{
	size_t host = 0;

	if (*authority == '[') {
		host = 1 + strspn(authority + 1, DIGITS "abcdefABCDEF:.");
		if (host < 3 || host >= len || authority[host++] != ']')
			return false;
	} else {
		host = strcspn(authority, ":");
		host = host < len ? host : len;
		if (!host_valid(authority, host))
			return false;
	}
	if (host == len)
		return true;
	size_t digits = strspn(authority + host + 1, DIGITS);
	return authority[host] == ':' && digits >= 1 && digits <= 5 && host + 1 + digits == len &&
	       strtol(authority + host + 1, NULL, 10) >= 1 && strtol(authority + host + 1, NULL, 10) <= 65535;
}

static bool normalise_url(const char *value, struct text *out, struct text *error)
{
	const char *colon = strstr(value, "://");
	size_t scheme = colon ? (size_t)(colon - value) : 0;

	if (!(scheme == 5 && strncasecmp(value, "https", 5) == 0) &&
	    !(scheme == 4 && strncasecmp(value, "http", 4) == 0))
		return text_error(error, "is not a web address; write it like https://example.com/hook");
	if (strlen(value) > ADDRESS_VALUE_MAX)
		return text_error(error, "is too long; a URL has at most %d bytes", ADDRESS_VALUE_MAX);
	for (const char *s = value; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"<>\\^`{|}", *s))
			return text_error(
				error,
				"has a character that a URL may not have; write it as %%XX (other scripts in "
				"the host as xn--…)");
	const char *authority = colon + 3;
	size_t len = strcspn(authority, "/?#");
	if (memchr(authority, '@', len))
		return text_error(
			error,
			"has a user or password before the host; leave it out (a webhook is signed with its "
			"secret)");
	if (!authority_valid(authority, len))
		return text_error(
			error, "its host or port is not right; write it like https://example.com:8443/hook");
	add_lower(out, value, (size_t)(authority + len - value));
	text_add(out, authority + len, strcspn(authority + len, "#")); /* a fragment is never sent */
	return true;
}

/* The characters of valid UTF-8; the first byte of the n-th one. */
static size_t characters(const char *s)
{
	size_t count = 0;

	for (; *s; s++)
		count += ((unsigned char)*s & 0xc0) != 0x80;
	return count;
}

static const char *character(const char *s, size_t n)
{
	for (; *s; s++)
		if (((unsigned char)*s & 0xc0) != 0x80 && n-- == 0)
			break;
	return s;
}

static bool normalise_text(const char *value, struct text *out, struct text *error)
{
	json_t *utf8 = json_string(value); /* NULL unless it is UTF-8 */
	bool ok = utf8 != NULL && *value && strlen(value) <= TEXT_ADDRESS_MAX;

	json_decref(utf8);
	for (const char *s = value; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f ||
		    ((unsigned char)*s == 0xc2 && (unsigned char)s[1] < 0xa0))
			ok = false;
	if (!ok)
		return text_error(error, "must be 1-%d bytes of UTF-8 without control characters",
				  TEXT_ADDRESS_MAX);
	text_puts(out, value);
	return true;
}

bool address_normalise(const struct address_form *form, const char *value, struct text *out,
		       struct text *error)
{
	bool ok = false;

	text_clear(out);
	switch (form->kind) {
	case ADDRESS_EMAIL:
		ok = normalise_email(value, out, error);
		break;
	case ADDRESS_PHONE:
		ok = normalise_phone(&form->numbers, value, out, error);
		break;
	case ADDRESS_URL:
		ok = normalise_url(value, out, error);
		break;
	case ADDRESS_TEXT:
		ok = normalise_text(value, out, error);
		break;
	}
	if (ok && out->full)
		ok = text_error(error, "is too long; at most %zu bytes", out->max);
	return ok;
}

/* --- masks --- */

static char *mask_ends(const char *value, size_t keep)
{
	size_t count = characters(value);
	const char *head_end = character(value, keep), *tail = character(value, count - keep);

	return xasprintf("%.*s" ELLIPSIS "%s", (int)(head_end - value), value, tail);
}

static char *mask_url(const char *value, const char *authority)
{
	size_t len = strcspn(authority, "/?#\\");
	const char *at = memrchr(authority, '@', len);
	const char *host = at ? at + 1 : authority; /* never a user's name or password */

	return xasprintf("%.*s%.*s", (int)(authority - value), value, (int)(authority + len - host), host);
}

char *address_mask(const char *value)
{
	const char *colon = strstr(value, "://"), *at = strrchr(value, '@');
	size_t count = characters(value);

	if (colon)
		return mask_url(value, colon + 3);
	if (at && at > value)
		return xasprintf("%.*s" ELLIPSIS "%s", (int)(character(value, 1) - value), value, at);
	if (value[0] == '+' && value[1] && value[1 + strspn(value + 1, DIGITS)] == '\0')
		/* the shortest numbers would be shown whole */
		return mask_ends(value, count > 8 ? 4 : count > 6 ? 2 : 0);
	return mask_ends(value, count > 6 ? 2 : 0);
}
