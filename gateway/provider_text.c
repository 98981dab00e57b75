/* What the texts of a provider's description see. */
#include "provider_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "moment.h"
#include "sms_text.h"
#include "url.h"
#include "xalloc.h"
#include "banned.h"

#define NONCE_SIZE 16

struct mustache *provider_text(const char *what, const json_t *source, struct text *errors)
{
	struct text error;
	struct mustache *compiled = NULL;

	text_init(&error, TEXT_ERROR_MAX);
	if (!json_is_string(source))
		text_addf(errors, "%s: must be a text\n", what);
	else if (!(compiled =
			   mustache_compile(json_string_value(source), json_string_length(source), &error)))
		text_addf(errors, "%s: %s\n", what, error.data);
	text_release(&error);
	return compiled;
}

bool provider_render(const struct mustache *template, json_t *data, struct text *out, struct text *error)
{
	return mustache_render(template, &data, 1, NULL, ESCAPE_NONE, out, error);
}

void provider_xml_clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' && !strchr("\t\r\n", *text))
			*text = ' ';
}

static json_t *written(const char *s, enum provider_view view)
{
	struct text out;
	json_t *value = NULL;

	if (view == VIEW_PLAIN)
		return json_string(s);
	text_init(&out, 6 * PROVIDER_VALUE_MAX);
	if (view == VIEW_URL)
		url_encode(s, &out);
	else
		mustache_escape(view == VIEW_XML ? ESCAPE_HTML : ESCAPE_JSON, s, strlen(s), &out);
	if (view == VIEW_XML && out.len)
		provider_xml_clean(out.data);
	value = json_string(out.data);
	text_release(&out);
	return value;
}

/* A colon may stand in a path and a query (RFC 3986, 3.3), and some want it bare in a key: 12:ab. */
static json_t *with_colons(json_t *encoded)
{
	char *text = xstrdup(json_string_value(encoded));

	for (char *at = strstr(text, "%3A"); at; at = strstr(at, "%3A")) {
		*at++ = ':';
		memmove(at, at + 2, strlen(at + 2) + 1);
	}
	json_t *made = json_string(text);
	json_decref(encoded);
	free(text);
	return made;
}

json_t *provider_settings_view(const json_t *settings, enum provider_view view)
{
	json_t *made = json_object(), *value;
	const char *name;

	json_object_foreach((json_t *)settings, name, value)
	{
		const char *s = json_string_value(value);
		size_t len = s ? strlen(s) : 0, name_len = strlen(name);
		bool is_url = name_len >= 4 && strcmp(name + name_len - 4, "_url") == 0;
		while (s && strcmp(name, "base_url") == 0 && len && s[len - 1] == '/')
			len--; /* "{{settings.base_url}}/send" has one of its own */
		if (!len) {
			json_object_set_new(made, name, json_null());
			continue;
		}
		char *text = xmemdup0(s, len);
		json_t *shown = written(text, is_url && view == VIEW_URL ? VIEW_PLAIN : view);
		json_object_set_new(made, name, view == VIEW_URL ? with_colons(shown) : shown);
		free(text);
	}
	return made;
}

json_t *provider_message_view(const struct provider_message *m, json_t *settings, enum provider_view view)
{
	json_t *data = json_object();

	json_object_set(data, "settings", settings);
	json_object_set_new(data, "to", written(m->to, view));
	json_object_set_new(data, "digits", written(m->to + (*m->to == '+'), view));
	json_object_set_new(data, "text", written(m->text, view));
	json_object_set_new(data, "summary", written(m->summary, view));
	json_object_set_new(data, "locale", written(m->locale, view));
	json_object_set_new(data, "attempt", json_integer(m->attempt));
	if (m->callback_url && *m->callback_url) /* else a section of it is left out */
		json_object_set_new(data, "callback_url", written(m->callback_url, view));
	json_object_set_new(data, "unicode", json_boolean(!sms_text_is_gsm(m->text)));
	json_object_set_new(data, "message", json_pack("{s:o}", "id", written(m->message_id, view)));
	json_object_set_new(data, "customer",
			    json_pack("{s:o, s:o}", "id", written(m->customer_id, view), "name",
				      written(m->customer_name, view)));
	json_object_set_new(data, "product",
			    json_pack("{s:o, s:o}", "id", written(m->product, view), "title",
				      written(m->product_title, view)));
	return data;
}

/* RFC 9110, 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT" */
static void http_date(int64_t now, char out[MOMENT_TEXT + 8])
{
	static const char days[] = "ThuFriSatSunMonTueWed", /* the first day of 1970 was a Thursday */
		months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t year, seconds = now / MOMENT_S % 86400;
	int month, day;

	moment_civil(now / MOMENT_DAY, &year, &month, &day);
	snprintf(out, MOMENT_TEXT + 8, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
		 days + now / MOMENT_DAY % 7 * 3, day, months + (month - 1) * 3, (int)year,
		 (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60));
}

json_t *provider_time_view(int64_t now)
{
	char unix_s[32], ms[32], iso[MOMENT_TEXT], http[MOMENT_TEXT + 8];

	snprintf(unix_s, sizeof unix_s, "%" PRId64, now / MOMENT_S);
	snprintf(ms, sizeof ms, "%" PRId64, now / MOMENT_MS);
	moment_format(now, iso);
	if (strlen(iso) > 19)
		memcpy(iso + 19, "Z", 2); /* whole seconds: all interfaces take them */
	http_date(now, http);
	return json_pack("{s:s, s:s, s:s, s:s}", "unix", unix_s, "ms", ms, "iso", iso, "http", http);
}

json_t *provider_nonce(void)
{
	unsigned char bytes[NONCE_SIZE];
	char text[2 * NONCE_SIZE + 1];

	digest_random(bytes, sizeof bytes);
	for (size_t i = 0; i < NONCE_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

static bool text_mentions(const char *s, const char *mark)
{
	for (const char *open = strstr(s, "{{"); open; open = strstr(open + 2, "{{")) {
		const char *name = open + strspn(open, "{#^/& ");
		if (strncmp(name, mark, strlen(mark)) == 0)
			return true;
	}
	return false;
}

bool provider_mentions(const json_t *source, const char *mark)
{
	const char *name;
	json_t *value;
	size_t i;

	if (json_is_string(source))
		return text_mentions(json_string_value(source), mark);
	json_object_foreach((json_t *)source, name, value)
	{
		if (provider_mentions(value, mark))
			return true;
	}
	json_array_foreach(source, i, value)
	{
		if (provider_mentions(value, mark))
			return true;
	}
	return false;
}

bool provider_pair(const char *name, const char *value, struct text *out)
{
	url_encode(name, out);
	text_putc(out, '=');
	url_encode(value, out);
	return !out->full;
}

void provider_basic(const char *user, const char *password, struct text *out)
{
	struct text both;

	text_init(&both, 2 * PROVIDER_VALUE_MAX);
	text_addf(&both, "%s:%s", user, password);
	char *base64 = base64_encode(both.data, both.len);
	text_addf(out, "Basic %s", base64);
	free(base64);
	text_release(&both);
}
