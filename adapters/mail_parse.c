/* Mail that comes in, parsed by GMime; nothing is ever written out by it. Whoever sent it may mean harm: what
 * GMime would make much of (headers, boundaries, long fields) is counted in the bytes before it sees them,
 * and the mail is cut there; what it made is taken over within the bounds of mail_in.h. */
#include "mail_in.h"

#include <ctype.h>
#include <gmime/gmime.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"
#include "xalloc.h"
#include "banned.h"

/* --- bytes, before GMime --- */

/* "Name:" as it stands at the beginning of a line. */
static bool begins_field(const char *line, size_t len)
{
	size_t n = 0;

	while (n < len && line[n] > ' ' && line[n] < 127 && line[n] != ':')
		n++;
	return n > 0 && n < len && line[n] == ':';
}

/* Where the mail has to end so that no part of it is more than its bounds. */
static size_t safe_length(const char *bytes, size_t len)
{
	size_t fields = 0, boundaries = 0, field_start = 0;
	bool in_field = false;

	for (size_t at = 0, line; at < len; at += line) {
		const char *end = memchr(bytes + at, '\n', len - at);
		line = end ? (size_t)(end - bytes) - at + 1 : len - at;
		bool folded = bytes[at] == ' ' || bytes[at] == '\t';
		if (!folded) {
			field_start = at;
			in_field = begins_field(bytes + at, line);
			fields += in_field;
		}
		boundaries += line > 2 && bytes[at] == '-' && bytes[at + 1] == '-';
		if (fields > MAIL_IN_FIELDS || boundaries > MAIL_IN_BOUNDARIES)
			return at;
		if (in_field && at + line - field_start > MAIL_IN_FIELD)
			return field_start;
	}
	return len;
}

/* Line ends as GMime wants them (old Macs wrote a lone CR), no NUL, no "From " of a mailbox file. */
static GByteArray *clean_bytes(const char *bytes, size_t len)
{
	bool lone_cr = !memchr(bytes, '\n', len);
	size_t skip = 0;

	while (skip < len && strchr("\r\n", bytes[skip]) && bytes[skip])
		skip++;
	while (len - skip > 5 &&
	       (memcmp(bytes + skip, "From ", 5) == 0 || memcmp(bytes + skip, ">From ", 6) == 0)) {
		const char *end = memchr(bytes + skip, lone_cr ? '\r' : '\n', len - skip);
		skip = end ? (size_t)(end - bytes) + 1 : len;
	}
	GByteArray *clean = g_byte_array_sized_new((guint)(len - skip + 1));
	g_byte_array_append(clean, (const guint8 *)bytes + skip, (guint)(len - skip));
	for (guint i = 0; i < clean->len; i++) {
		if (!clean->data[i])
			clean->data[i] = '?';
		else if (lone_cr && clean->data[i] == '\r')
			clean->data[i] = '\n';
	}
	return clean;
}

/* --- text --- */

/* Valid UTF-8 without controls but line ends and tabs. `line`: they become spaces, and runs of them one. */
static char *clean_text(const char *s, size_t len, size_t max, bool line)
{
	struct text out;
	uint32_t point;

	text_init(&out, max);
	for (size_t i = 0, n; i < len && !out.full; i += n) {
		n = utf8_take(s + i, len - i, &point);
		bool blank = point == ' ' || (line && (utf8_is_control(point) || point == '\t'));
		if (line && blank) {
			if (out.len && out.data[out.len - 1] != ' ')
				text_putc(&out, ' ');
		} else if (point == UTF8_REPLACEMENT) {
			text_puts(&out, UTF8_REPLACEMENT_TEXT);
		} else if (point == '\r') {
			if (i + 1 >= len || s[i + 1] != '\n')
				text_putc(&out, '\n');
		} else if (point == '\n' || point == '\t' || !utf8_is_control(point)) {
			text_add(&out, s + i, n);
		}
	}
	if (line && out.len && out.data[out.len - 1] == ' ')
		out.data[--out.len] = '\0';
	return text_detach(&out);
}

static char *lower(const char *s)
{
	char *out = xstrdup(s ? s : "");

	for (char *c = out; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return out;
}

/* On top of those that are there. */
static void headers_take(GMimeHeaderList *from, struct mail_headers *to)
{
	int count = g_mime_header_list_get_count(from), room = MAIL_IN_HEADERS - (int)to->count;

	if (count > room)
		count = room;
	to->list = xreallocarray(to->list, to->count + (size_t)count + 1, sizeof *to->list);
	for (int i = 0; i < count; i++) {
		GMimeHeader *header = g_mime_header_list_get_header_at(from, i);
		const char *raw = g_mime_header_get_raw_value(header);
		const char *value =
			raw && strlen(raw) <= MAIL_IN_VALUE ? g_mime_header_get_value(header) : raw;
		size_t len = value ? strnlen(value, MAIL_IN_VALUE) : 0;
		to->list[to->count].name = lower(g_mime_header_get_name(header));
		to->list[to->count++].value = clean_text(value ? value : "", len, MAIL_IN_VALUE, true);
	}
}

/* --- parts --- */

struct taking {
	struct mail_parsed *out;
	size_t texts; /* bytes so far */
};

static struct mail_part *part_add(struct taking *taking, GMimeObject *object, int inside)
{
	struct mail_parsed *out = taking->out;

	if (out->count == MAIL_IN_PARTS) {
		out->cut = true;
		return NULL;
	}
	struct mail_part *part = &out->parts[out->count++];
	char *type = g_mime_content_type_get_mime_type(g_mime_object_get_content_type(object));
	const char *disposition = g_mime_object_get_disposition(object);
	*part = (struct mail_part){.type = lower(type),
				   .inside = inside,
				   .attached = disposition && strcasecmp(disposition, "attachment") == 0,
				   .text = xstrdup("")};
	g_free(type);
	return part;
}

static void filter_add(GMimeStream *stream, GMimeFilter *filter)
{
	if (!filter)
		return; /* no such encoding or charset: as it is */
	g_mime_stream_filter_add(GMIME_STREAM_FILTER(stream), filter);
	g_object_unref(filter);
}

/* Decoded, and UTF-8 as far as the part says what it is in. At most `max` bytes are made of it. */
static char *content_read(GMimePart *part, size_t max)
{
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	GMimeStream *raw = content ? g_mime_data_wrapper_get_stream(content) : NULL;
	const char *charset = g_mime_object_get_content_type_parameter(GMIME_OBJECT(part), "charset");
	struct text bytes;
	char block[4096];
	ssize_t n;

	if (!raw)
		return xstrdup("");
	text_init(&bytes, max);
	g_mime_stream_reset(raw);
	GMimeStream *stream = g_mime_stream_filter_new(raw);
	filter_add(stream, g_mime_filter_basic_new(g_mime_data_wrapper_get_encoding(content), FALSE));
	if (charset && strcasecmp(charset, "utf-8") != 0 && strcasecmp(charset, "us-ascii") != 0)
		filter_add(stream, g_mime_filter_charset_new(charset, "utf-8"));
	while (!bytes.full && (n = g_mime_stream_read(stream, block, sizeof block)) > 0)
		text_add(&bytes, block,
			 bytes.max - bytes.len < (size_t)n ? bytes.max - bytes.len : (size_t)n),
			bytes.full = bytes.len == bytes.max;
	g_object_unref(stream);
	char *text = clean_text(bytes.data, bytes.len, 3 * max, false);
	text_release(&bytes);
	return text;
}

/* text/rfc822-headers: the headers of the mail that came back, as text. */
static void headers_of_text(const char *text, struct mail_headers *headers)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(text, strlen(text));
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);

	if (message) {
		headers_take(g_mime_object_get_header_list(GMIME_OBJECT(message)), headers);
		g_object_unref(message);
	}
	g_object_unref(parser);
	g_object_unref(stream);
}

static bool is_text(const char *type)
{
	return strncmp(type, "text/", 5) == 0 || strncmp(type, "message/", 8) == 0;
}

static void part_take(struct taking *taking, GMimePart *leaf, int inside)
{
	struct mail_part *part = part_add(taking, GMIME_OBJECT(leaf), inside);
	size_t left = MAIL_IN_TEXTS_MAX - taking->texts;

	if (!part || !is_text(part->type))
		return;
	free(part->text);
	part->text = content_read(leaf, left < MAIL_IN_TEXT_MAX ? left : MAIL_IN_TEXT_MAX);
	size_t len = strlen(part->text);
	taking->texts += len < left ? len : left;
	if (strcmp(part->type, "text/rfc822-headers") == 0 ||
	    strcmp(part->type, "message/rfc822-headers") == 0 ||
	    strcmp(part->type, "message/global-headers") == 0)
		headers_of_text(part->text, &part->headers);
}

static void object_take(struct taking *taking, GMimeObject *object, int inside, int level)
{
	if (!object)
		return;
	if (level == MAIL_IN_LEVELS) {
		taking->out->cut = true;
	} else if (GMIME_IS_MULTIPART(object)) {
		int count = g_mime_multipart_get_count(GMIME_MULTIPART(object));
		for (int i = 0; i < count && taking->out->count < MAIL_IN_PARTS; i++)
			object_take(taking, g_mime_multipart_get_part(GMIME_MULTIPART(object), i), inside,
				    level + 1);
	} else if (GMIME_IS_MESSAGE_PART(object)) {
		GMimeMessage *message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));
		struct mail_part *part = part_add(taking, object, inside);
		if (!part || !message)
			return;
		headers_take(g_mime_object_get_header_list(GMIME_OBJECT(message)), &part->headers);
		object_take(taking, g_mime_message_get_mime_part(message), inside + 1, level + 1);
	} else if (GMIME_IS_PART(object)) {
		part_take(taking, GMIME_PART(object), inside);
	}
}

/* --- the mail --- */

static void start(void)
{
	g_mime_init();
}

/* What is a multipart without parts, and the like: all that stands behind the headers is its text. */
static void body_as_text(struct mail_parsed *out, const GByteArray *bytes)
{
	const char *data = (const char *)bytes->data;
	size_t len = bytes->len, at = 0;

	for (size_t i = 0; i < out->count; i++)
		if (*out->parts[i].text || out->parts[i].headers.count)
			return;
	while (at < len && data[at] != '\n') {
		const char *end = memchr(data + at, '\n', len - at);
		at = end ? (size_t)(end - data) + 1 : len;
		at += at < len && data[at] == '\r';
	}
	if (at >= len || out->count == MAIL_IN_PARTS)
		return;
	size_t left = len - at < MAIL_IN_TEXT_MAX ? len - at : MAIL_IN_TEXT_MAX;
	out->parts[out->count++] = (struct mail_part){.type = xstrdup("text/plain"),
						      .text = clean_text(data + at, left, 3 * left, false)};
}

bool mail_parse(const char *bytes, size_t len, struct mail_parsed *out)
{
	static pthread_once_t started = PTHREAD_ONCE_INIT;
	struct taking taking = {.out = out};
	bool is_mail = false;

	*out = (struct mail_parsed){.parts = xcalloc(MAIL_IN_PARTS, sizeof *out->parts)};
	pthread_once(&started, start);
	GByteArray *clean = clean_bytes(bytes, len < MAIL_IN_MAX ? len : MAIL_IN_MAX);
	size_t safe = safe_length((const char *)clean->data, clean->len);
	out->cut = len > MAIL_IN_MAX || safe < clean->len;
	g_byte_array_set_size(clean, (guint)safe);

	GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(clean);
	g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
	if (message) {
		GMimeObject *body = g_mime_message_get_mime_part(message);
		headers_take(g_mime_object_get_header_list(GMIME_OBJECT(message)), &out->headers);
		is_mail = out->headers.count > 0;
		object_take(&taking, body, 0, 0);
		if (is_mail)
			body_as_text(out, clean);
		if (body) /* GMime keeps those that begin with Content- apart */
			headers_take(g_mime_object_get_header_list(body), &out->headers);
		g_object_unref(message);
	}
	g_object_unref(parser);
	g_object_unref(stream);
	g_byte_array_free(clean, TRUE);
	return is_mail;
}
