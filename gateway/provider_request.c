#include "provider_request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "digest.h"
#include "mustache.h"
#include "sms_text.h"
#include "url.h"
#include "xalloc.h"
#include "banned.h"

#define FIELDS_MAX 64 /* headers, query, form, and texts of a JSON tree, each */
#define VALUE_MAX (256 * 1024)

struct field {
	const char *name;
	struct mustache *value;
};

struct fields {
	struct field list[FIELDS_MAX];
	size_t count;
};

enum auth { AUTH_NONE, AUTH_BASIC, AUTH_BEARER, AUTH_HEADER, AUTH_QUERY };

struct provider_request {
	const char *method, *content_type, *auth_name;
	struct mustache *url, *body, *auth_user, *auth_value;
	enum auth auth;
	enum escape body_escape;
	struct fields headers, query, form, json_texts; /* json_texts: in the order of a walk */
	const json_t *json;
	json_t *settings, *encoded_settings;
	bool has_form;
};

/* --- compile --- */

static struct mustache *compile(const char *what, const json_t *source, struct text *errors)
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

static void compile_field(const char *what, const char *name, const json_t *source, struct fields *out,
			  struct text *errors)
{
	if (out->count == FIELDS_MAX) {
		text_addf(errors, "%s: has more than %d entries\n", what, FIELDS_MAX);
		return;
	}
	struct mustache *value = compile(what, source, errors);
	if (value)
		out->list[out->count++] = (struct field){name, value};
}

static void compile_fields(const char *what, const json_t *object, struct fields *out, struct text *errors)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value) compile_field(what, name, value, out, errors);
}

static void compile_tree(const json_t *node, struct fields *out, struct text *errors)
{
	const char *name;
	json_t *value;
	size_t i;

	if (json_is_string(node))
		compile_field("request.json", "", node, out, errors);
	else if (json_is_object(node))
		json_object_foreach((json_t *)node, name, value) compile_tree(value, out, errors);
	else if (json_is_array(node))
		json_array_foreach(node, i, value) compile_tree(value, out, errors);
}

static void compile_auth(struct provider_request *request, const json_t *auth, struct text *errors)
{
	static const char *const types[] = {"none", "basic", "bearer", "header", "query"};
	const char *type = json_string_value(json_object_get(auth, "type"));
	size_t i = 0;

	if (!type)
		return;
	while (i < sizeof types / sizeof types[0] && strcmp(types[i], type) != 0)
		i++;
	if (i == sizeof types / sizeof types[0]) {
		text_addf(errors,
			  "request.auth.type: %s is not there yet; none, basic, bearer, header, query\n",
			  type);
		return;
	}
	request->auth = (enum auth)i;
	if (request->auth == AUTH_BASIC) {
		request->auth_user = compile("request.auth.user", json_object_get(auth, "user"), errors);
		request->auth_value =
			compile("request.auth.password", json_object_get(auth, "password"), errors);
	} else if (request->auth == AUTH_BEARER) {
		request->auth_value = compile("request.auth.token", json_object_get(auth, "token"), errors);
	} else if (request->auth != AUTH_NONE) {
		request->auth_name = json_string_value(json_object_get(auth, "name"));
		if (!request->auth_name)
			text_puts(errors,
				  "request.auth.name: is missing; the header's or parameter's name\n");
		request->auth_value = compile("request.auth.value", json_object_get(auth, "value"), errors);
	}
}

static void compile_body(struct provider_request *request, const json_t *source, struct text *errors)
{
	const json_t *form = json_object_get(source, "form"), *json = json_object_get(source, "json"),
		     *body = json_object_get(source, "body");

	if ((form != NULL) + (json != NULL) + (body != NULL) > 1)
		text_puts(errors, "request: has several of form, json and body; one would be right\n");
	if ((form || json || body) && strcmp(request->method, "GET") == 0)
		text_puts(errors, "request: a GET has no body; form, json or body go with POST\n");
	if (form) {
		request->has_form = true;
		request->content_type = "application/x-www-form-urlencoded";
		compile_fields("request.form", form, &request->form, errors);
	} else if (json) {
		request->json = json;
		request->content_type = "application/json";
		compile_tree(json, &request->json_texts, errors);
	} else if (body) {
		const char *type = json_string_value(json_object_get(source, "content_type"));
		request->content_type = type ? type : "text/plain; charset=utf-8";
		request->body_escape = strcasestr(request->content_type, "json")  ? ESCAPE_JSON
				       : strcasestr(request->content_type, "xml") ? ESCAPE_HTML
										  : ESCAPE_NONE;
		request->body = compile("request.body", body, errors);
	}
}

static json_t *encoded_string(const char *s)
{
	struct text out;

	text_init(&out, 3 * VALUE_MAX);
	url_encode(s, &out);
	json_t *encoded = json_string(out.data);
	text_release(&out);
	return encoded;
}

/* The settings as they are rendered, and as they are rendered in a URL. */
static void take_settings(struct provider_request *request, const json_t *settings)
{
	const char *name;
	json_t *value;

	request->settings = json_object();
	request->encoded_settings = json_object();
	json_object_foreach((json_t *)settings, name, value)
	{
		const char *text = json_string_value(value);
		size_t len = text ? strlen(text) : 0;
		bool base = strcmp(name, "base_url") == 0;
		while (base && len && text[len - 1] == '/')
			len--; /* "{{settings.base_url}}/send" has one of its own */
		json_object_set_new(request->settings, name,
				    text ? json_stringn(text, len) : json_incref(value));
		json_object_set_new(request->encoded_settings, name,
				    !text  ? json_incref(value)
				    : base ? json_stringn(text, len)
					   : encoded_string(text));
	}
}

struct provider_request *provider_request_compile(const json_t *file, const json_t *settings,
						  struct text *errors)
{
	const json_t *source = json_object_get(file, "request");
	const char *method = json_string_value(json_object_get(source, "method"));
	struct provider_request *request = xcalloc(1, sizeof *request);
	size_t before = errors->len;

	request->method = method ? method : "POST";
	take_settings(request, settings);
	request->url = compile("request.url", json_object_get(source, "url"), errors);
	compile_auth(request, json_object_get(source, "auth"), errors);
	compile_fields("request.headers", json_object_get(source, "headers"), &request->headers, errors);
	compile_fields("request.query", json_object_get(source, "query"), &request->query, errors);
	compile_body(request, source, errors);
	if (errors->len == before && !errors->full)
		return request;
	provider_request_free(request);
	return NULL;
}

static void fields_release(struct fields *fields)
{
	for (size_t i = 0; i < fields->count; i++)
		mustache_free(fields->list[i].value);
}

void provider_request_free(struct provider_request *request)
{
	if (!request)
		return;
	mustache_free(request->url);
	mustache_free(request->body);
	mustache_free(request->auth_user);
	mustache_free(request->auth_value);
	fields_release(&request->headers);
	fields_release(&request->query);
	fields_release(&request->form);
	fields_release(&request->json_texts);
	json_decref(request->settings);
	json_decref(request->encoded_settings);
	free(request);
}

const char *provider_request_base_url(const struct provider_request *request)
{
	const char *url = json_string_value(json_object_get(request->settings, "base_url"));

	return url ? url : "";
}

/* --- make --- */

/* One request being made: the data, and a value at a time. */
struct making {
	const struct provider_request *request;
	json_t *data, *encoded;
	struct text value;
	struct text *error;
};

static json_t *data_of(const struct provider_message *m, json_t *settings, bool encode)
{
	json_t *data = json_object(), *message = json_object(), *customer = json_object();

	json_object_set(data, "settings", settings);
	json_object_set_new(data, "to", encode ? encoded_string(m->to) : json_string(m->to));
	json_object_set_new(data, "text", encode ? encoded_string(m->text) : json_string(m->text));
	json_object_set_new(data, "attempt", json_integer(m->attempt));
	json_object_set_new(data, "unicode", json_boolean(!sms_text_is_gsm(m->text)));
	json_object_set_new(message, "id",
			    encode ? encoded_string(m->message_id) : json_string(m->message_id));
	json_object_set_new(customer, "id",
			    encode ? encoded_string(m->customer_id) : json_string(m->customer_id));
	json_object_set_new(data, "message", message);
	json_object_set_new(data, "customer", customer);
	return data;
}

static bool render(struct making *m, const struct mustache *template, json_t *data, enum escape escape,
		   struct text *out)
{
	return mustache_render(template, &data, 1, NULL, escape, out, m->error);
}

/* Into m->value, afresh. */
static bool value_of(struct making *m, const struct mustache *template)
{
	text_clear(&m->value);
	return render(m, template, m->data, ESCAPE_NONE, &m->value);
}

static bool add_pair(const char *name, const char *value, struct text *out)
{
	url_encode(name, out);
	text_putc(out, '=');
	url_encode(value, out);
	return !out->full;
}

/* name=value&… ; `separator` stands before the first pair, where it isn't NUL. */
static bool add_pairs(struct making *m, const struct fields *fields, char separator, struct text *out)
{
	for (size_t i = 0; i < fields->count; i++) {
		if (!value_of(m, fields->list[i].value))
			return false;
		if (!m->value.len)
			continue;
		if (separator)
			text_putc(out, separator);
		separator = '&';
		add_pair(fields->list[i].name, m->value.data, out);
	}
	return true;
}

static bool add_url(struct making *m, struct text *url)
{
	const struct provider_request *request = m->request;

	if (!render(m, request->url, m->encoded, ESCAPE_NONE, url) ||
	    !add_pairs(m, &request->query, strchr(url->data, '?') ? '&' : '?', url))
		return false;
	if (request->auth == AUTH_QUERY) {
		if (!value_of(m, request->auth_value))
			return false;
		text_putc(url, strchr(url->data, '?') ? '&' : '?');
		add_pair(request->auth_name, m->value.data, url);
	}
	return true;
}

static bool add_header(struct making *m, struct provider_sink *sink, const char *name, const char *value)
{
	return !*value || sink->header(sink->context, name, value) ||
	       text_error(m->error, "the header %s can't be made: a control character, or too long", name);
}

static bool add_auth(struct making *m, struct provider_sink *sink)
{
	const struct provider_request *request = m->request;
	struct text line;
	bool ok = false;

	text_init(&line, VALUE_MAX);
	switch (request->auth) {
	case AUTH_BASIC:
		ok = value_of(m, request->auth_user) && text_addf(&line, "%s:", m->value.data) &&
		     value_of(m, request->auth_value) && text_puts(&line, m->value.data);
		if (ok) {
			char *base64 = base64_encode(line.data, line.len);
			text_clear(&line);
			text_addf(&line, "Basic %s", base64);
			free(base64);
			ok = add_header(m, sink, "Authorization", line.data);
		}
		break;
	case AUTH_BEARER:
		ok = value_of(m, request->auth_value) && text_addf(&line, "Bearer %s", m->value.data) &&
		     add_header(m, sink, "Authorization", line.data);
		break;
	case AUTH_HEADER:
		ok = value_of(m, request->auth_value) &&
		     add_header(m, sink, request->auth_name, m->value.data);
		break;
	case AUTH_NONE:
	case AUTH_QUERY:
		ok = true;
		break;
	}
	text_release(&line);
	return ok;
}

/* The tree with its strings rendered; walks as compile_tree did. NULL: `error`. */
static json_t *make_tree(struct making *m, const json_t *node, size_t *next)
{
	json_t *made = NULL, *value;
	const char *name;
	size_t i;

	if (json_is_string(node)) {
		if (value_of(m, m->request->json_texts.list[(*next)++].value))
			made = json_stringn(m->value.data, m->value.len);
	} else if (json_is_object(node)) {
		made = json_object();
		json_object_foreach((json_t *)node, name,
				    value) if (json_object_set_new(made, name, make_tree(m, value, next)) <
					       0) goto failed;
	} else if (json_is_array(node)) {
		made = json_array();
		json_array_foreach(node, i,
				   value) if (json_array_append_new(made, make_tree(m, value, next)) <
					      0) goto failed;
	} else {
		made = json_deep_copy(node);
	}
	return made;
failed:
	json_decref(made);
	return NULL;
}

static bool add_body(struct making *m, struct provider_sink *sink)
{
	const struct provider_request *request = m->request;

	sink->has_body = request->has_form || request->json || request->body;
	if (request->has_form)
		return add_pairs(m, &request->form, '\0', sink->body);
	if (request->body)
		return render(m, request->body, m->data, request->body_escape, sink->body);
	if (request->json) {
		size_t next = 0;
		json_t *tree = make_tree(m, request->json, &next);
		char *dump = tree ? json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
		bool ok = dump != NULL;
		if (ok)
			text_puts(sink->body, dump);
		free(dump);
		json_decref(tree);
		return ok;
	}
	if (strcmp(request->method, "GET") != 0)
		sink->has_body = true; /* an empty one */
	return true;
}

bool provider_request_make(const struct provider_request *request, const struct provider_message *message,
			   struct provider_sink *sink, struct text *error)
{
	struct making m = {.request = request, .error = error};

	m.data = data_of(message, request->settings, false);
	m.encoded = data_of(message, request->encoded_settings, true);
	text_init(&m.value, VALUE_MAX);
	sink->method = request->method;
	bool ok = add_url(&m, sink->url) && add_body(&m, sink) && add_auth(&m, sink);
	if (ok && request->content_type)
		ok = add_header(&m, sink, "Content-Type", request->content_type);
	for (size_t i = 0; ok && i < request->headers.count; i++)
		ok = value_of(&m, request->headers.list[i].value) &&
		     add_header(&m, sink, request->headers.list[i].name, m.value.data);
	if (ok && (sink->url->full || sink->body->full))
		ok = text_error(error, "the request is too large for the provider's description");
	text_release(&m.value);
	json_decref(m.data);
	json_decref(m.encoded);
	return ok;
}
