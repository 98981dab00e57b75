#include "smtp_relay.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define SCHEME "smtp://"

static bool is_this_host(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0;
}

static int hex(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

/* NULL if an escape is wrong or hides a NUL. */
static char *percent_decode(const char *s, size_t len)
{
	char *out = xmemdup0(s, len);
	size_t n = 0;

	for (size_t i = 0; i < len; i++, n++) {
		out[n] = s[i];
		if (s[i] != '%')
			continue;
		int value =
			i + 2 < len && isxdigit((unsigned char)s[i + 1]) && isxdigit((unsigned char)s[i + 2])
				? hex(s[i + 1]) * 16 + hex(s[i + 2])
				: -1;
		if (value <= 0) {
			free(out);
			return NULL;
		}
		out[n] = (char)value;
		i += 2;
	}
	out[n] = '\0';
	return out;
}

bool smtp_relay_parse(const char *url, struct smtp_relay *out, struct text *error)
{
	*out = (struct smtp_relay){0};
	if (strncmp(url, "smtps://", 8) == 0 || strncmp(url, "smtp+starttls://", 16) == 0)
		return text_error(error,
				  "TLS to the relay is not yet there; right would be smtp://host:port, to "
				  "a relay on this host or a trusted network");
	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
		return text_error(error, "not a relay; right would be smtp://host:port");
	const char *rest = url + strlen(SCHEME);
	const char *at = strrchr(rest, '@');
	const char *host = at ? at + 1 : rest;
	size_t len = strcspn(host, ":");
	if (host[0] == '[')
		return text_error(error, "an IPv6 address can't be used here; right would be a host's name");
	if (!len || strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") < len)
		return text_error(error, "no host; right would be smtp://host:port");
	out->host = xmemdup0(host, len);
	out->port = xstrdup(host[len] ? host + len + 1 : SMTP_PORT);
	long port = strspn(out->port, "0123456789") == strlen(out->port) && strlen(out->port) <= 5
			    ? strtol(out->port, NULL, 10)
			    : 0;
	if (port < 1 || port > 65535)
		return text_error(error, "no port number; right would be smtp://host:port");
	if (!at)
		return true;
	const char *colon = memchr(rest, ':', (size_t)(at - rest));
	if (!colon || colon == rest || colon + 1 == at)
		return text_error(error, "user and password belong together; right would be "
					 "smtp://user:password@host:port");
	out->user = percent_decode(rest, (size_t)(colon - rest));
	out->password = percent_decode(colon + 1, (size_t)(at - colon - 1));
	if (!out->user || !out->password)
		return text_error(error,
				  "a %% in user or password must be followed by two hexadecimal digits "
				  "(%%25 is the percent sign)");
	if (!is_this_host(out->host))
		return text_error(error,
				  "a password would travel to %s in the clear; right would be a relay on "
				  "this host (127.0.0.1)",
				  out->host);
	return true;
}

void smtp_relay_release(struct smtp_relay *relay)
{
	free(relay->host);
	free(relay->port);
	free(relay->user);
	free(relay->password);
	*relay = (struct smtp_relay){0};
}
