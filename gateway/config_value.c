/* What stands in values: variables, paths, URLs. */
#include "config_check.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "url.h"
#include "xalloc.h"
#include "banned.h"

/* --- variables --- */

struct expansion {
	const struct config_source *source;
	const char *folder;
	struct text path;
};

/* Only a file: a pipe or a device may be without end, or never give anything. */
static bool read_file(const char *path, struct text *out, struct text *error)
{
	struct stat info;

	if (stat(path, &info) != 0)
		return text_error(error, "%s", strerror(errno));
	if (!S_ISREG(info.st_mode))
		return text_error(error, "it is not a file");
	return file_read(path, CONFIG_VALUE_MAX, out, error);
}

static bool add_file(const struct expansion *e, const char *name, struct text *out)
{
	size_t start = out->len;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	char *path = config_path_join(e->folder, name);
	bool done = read_file(path, out, &error);
	if (!done)
		config_wrong(e->source, e->path.data,
			     "${file:%s} cannot be read: %s; mend the path or its mode", name, error.data);
	for (const char *end = "\n\r"; *end; end++)
		if (out->len > start && out->data[out->len - 1] == *end)
			out->data[--out->len] = '\0';
	free(path);
	text_release(&error);
	return done;
}

static bool name_is_valid(const char *name)
{
	if (!*name || isdigit((unsigned char)*name))
		return false;
	while (isalnum((unsigned char)*name) || *name == '_')
		name++;
	return !*name;
}

static bool add_variable(const struct expansion *e, const char *name, struct text *out)
{
	if (strncmp(name, "file:", 5) == 0)
		return add_file(e, name + 5, out);
	if (!name_is_valid(name)) {
		config_wrong(e->source, e->path.data,
			     "holds ${…} with what is not a name; ${NAME} or ${file:PATH} would be right");
		return false;
	}
	const char *value = getenv(name);
	if (!value) {
		config_wrong(e->source, e->path.data,
			     "the variable %s is not set; set it in heed's environment", name);
		return false;
	}
	text_puts(out, value);
	return true;
}

static json_t *expand_text(const struct expansion *e, const char *s)
{
	struct text out;
	bool fine = true;

	text_init(&out, CONFIG_VALUE_MAX);
	for (const char *open; fine && (open = strstr(s, "${"));) {
		const char *end = strchr(open, '}');
		if (!end) {
			config_wrong(e->source, e->path.data, "holds ${ without }; ${NAME} would be right");
			fine = false;
			break;
		}
		text_add(&out, s, (size_t)(open - s));
		char *name = xmemdup0(open + 2, (size_t)(end - open - 2));
		fine = add_variable(e, name, &out);
		free(name);
		s = end + 1;
	}
	text_puts(&out, s);
	json_t *value = fine && !out.full && !memchr(out.data, '\0', out.len)
				? json_stringn(out.data, out.len)
				: NULL;
	if (fine && !value)
		config_wrong(
			e->source, e->path.data,
			"is not text once its variables are in it; at most %d bytes of UTF-8 would be right",
			CONFIG_VALUE_MAX);
	text_release(&out);
	return value ? value : json_string("");
}

static json_t *expand(struct expansion *e, const json_t *value)
{
	json_t *out, *member;
	const char *name;
	size_t i, before = e->path.len;

	if (json_is_string(value) && strstr(json_string_value(value), "${"))
		return expand_text(e, json_string_value(value));
	if (!json_is_object(value) && !json_is_array(value))
		return json_copy((json_t *)value);
	out = json_is_object(value) ? json_object() : json_array();
	json_object_foreach((json_t *)value, name, member)
	{
		text_addf(&e->path, "%s%s", before ? "." : "", name);
		json_object_set_new(out, name, expand(e, member));
		e->path.len = before;
		e->path.data[before] = '\0';
	}
	json_array_foreach(value, i, member)
	{
		text_addf(&e->path, "%s%zu", before ? "." : "", i);
		json_array_append_new(out, expand(e, member));
		e->path.len = before;
		e->path.data[before] = '\0';
	}
	return out;
}

json_t *config_expand(const struct config_source *source, const char *folder)
{
	struct expansion e = {.source = source, .folder = folder};

	text_init(&e.path, CONFIG_VALUE_MAX);
	json_t *out = expand(&e, config_tree_json(source->tree));
	text_release(&e.path);
	return out;
}

/* --- paths --- */

char *config_path_join(const char *folder, const char *path)
{
	if (*path == '/')
		return xstrdup(path);
	size_t len = strlen(folder);
	for (;;) {
		if (strncmp(path, "./", 2) == 0) {
			path += 2;
		} else if (strncmp(path, "../", 3) == 0) {
			while (len && folder[len - 1] != '/')
				len--;
			while (len && folder[len - 1] == '/')
				len--;
			path += 3;
		} else {
			break;
		}
	}
	while (len && folder[len - 1] == '/')
		len--;
	return xasprintf("%.*s/%s", (int)len, folder, path);
}

/* --- URLs --- */

/* False: a broken escape. */
static bool decode(const char *s, size_t len, char **out)
{
	struct text decoded;

	text_init(&decoded, CONFIG_VALUE_MAX);
	bool fine = url_decode(s, len, &decoded);
	*out = text_detach(&decoded);
	return fine;
}

static bool parse_port(const char *s, size_t len, int *port)
{
	int value = 0;

	if (!len || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)s[i]))
			return false;
		value = value * 10 + (s[i] - '0');
	}
	*port = value;
	return value >= 1 && value <= 65535;
}

/* HOST, HOST:PORT, [IPV6], [IPV6]:PORT */
static bool parse_host(const char *s, size_t len, struct config_url *out)
{
	const char *colon = NULL;
	const char *host = s;
	size_t host_len = len;

	if (len && *s == '[') {
		const char *end = memchr(s, ']', len);
		if (!end)
			return false;
		host = s + 1;
		host_len = (size_t)(end - host);
		if (end + 1 < s + len) {
			colon = end + 1;
			if (*colon != ':')
				return false;
		}
		if (host_len != strspn(host, "0123456789abcdefABCDEF:."))
			return false;
	} else {
		colon = memchr(s, ':', len);
		if (colon)
			host_len = (size_t)(colon - s);
		for (size_t i = 0; i < host_len; i++)
			if (!isalnum((unsigned char)host[i]) && !strchr(".-_", host[i]))
				return false;
	}
	out->host = xmemdup0(host, host_len);
	return host_len && (!colon || parse_port(colon + 1, (size_t)(s + len - colon - 1), &out->port));
}

bool config_url_parse(const char *url, struct config_url *out)
{
	const char *mark = strstr(url, "://");

	*out = (struct config_url){0};
	if (!mark || mark == url)
		return false;
	out->scheme = xmemdup0(url, (size_t)(mark - url));
	const char *from = mark + 3;
	size_t len = strcspn(from, "/?#");
	out->path = xstrdup(from + len);
	const char *host = from;
	for (size_t i = 0; i < len; i++)
		if (from[i] == '@')
			host = from + i + 1; /* the last one: passwords may hold others */
	size_t user_len = host > from ? (size_t)(host - from - 1) : 0;
	const char *colon = memchr(from, ':', user_len);
	size_t name_len = colon ? (size_t)(colon - from) : user_len;
	size_t password_len = colon ? user_len - name_len - 1 : 0;
	return decode(from, name_len, &out->user) &&
	       decode(colon ? colon + 1 : "", password_len, &out->password) &&
	       parse_host(host, (size_t)(from + len - host), out);
}

void config_url_release(struct config_url *url)
{
	free(url->scheme);
	free(url->user);
	free(url->password);
	free(url->host);
	free(url->path);
	*url = (struct config_url){0};
}

bool config_host_is_local(const char *host)
{
	char own[256] = "";

	if (gethostname(own, sizeof own - 1) != 0)
		own[0] = '\0';
	return strcasecmp(host, "localhost") == 0 ||
	       (strncmp(host, "127.", 4) == 0 && !host[strspn(host, "0123456789.")]) ||
	       strcmp(host, "::1") == 0 || (own[0] && strcasecmp(host, own) == 0);
}
