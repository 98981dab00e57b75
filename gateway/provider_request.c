#include "provider_request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "provider_private.h"
#include "xalloc.h"
#include "banned.h"

#define FIELDS_MAX 64 /* headers, query, form, and texts of a JSON tree, each */

struct field {
	const char *name;
	struct mustache *value;
};

struct fields {
	struct field list[FIELDS_MAX];
	size_t count;
};

enum auth { AUTH_NONE, AUTH_BASIC, AUTH_BEARER, AUTH_HEADER, AUTH_QUERY, AUTH_HMAC, AUTH_OAUTH2 };

struct provider_request {
	const char *method, *content_type, *auth_name;
	struct mustache *url, *body, *auth_user, *auth_value;
	enum auth auth;
	enum escape body_escape;
	struct fields headers, query, form, json_texts; /* json_texts: in the order of a walk */
	struct provider_sign *sign;
	const json_t *json;
	json_t *settings, *encoded_settings, *xml_settings, *json_settings;
	bool has_form, shows_xml, shows_json, shows_time, shows_nonce;
};

/* --- compile --- */

static void compile_field(const char *what, const char *name, const json_t *source, struct fields *out,
			  struct text *errors)
{
	if (out->count == FIELDS_MAX) {
		text_addf(errors, "%s: has more than %d entries\n", what, FIELDS_MAX);
		return;
	}
	struct mustache *value = provider_text(what, source, errors);
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
	static const char *const types[] = {"none", "basic", "bearer", "header", "query", "hmac", "oauth2"};
	const char *type = json_string_value(json_object_get(auth, "type"));
	size_t i = 0;

	if (!type)
		return;
	while (i < sizeof types / sizeof types[0] && strcmp(types[i], type) != 0)
		i++;
	if (i == sizeof types / sizeof types[0]) {
		text_addf(errors, "request.auth.type: %s is not known\n", type);
		return;
	}
	request->auth = (enum auth)i;
	if (request->auth == AUTH_BASIC) {
		request->auth_user =
			provider_text("request.auth.user", json_object_get(auth, "user"), errors);
		request->auth_value =
			provider_text("request.auth.password", json_object_get(auth, "password"), errors);
	} else if (request->auth == AUTH_BEARER) {
		request->auth_value =
			provider_text("request.auth.token", json_object_get(auth, "token"), errors);
	} else if (request->auth == AUTH_HMAC) {
		request->sign = provider_sign_compile(auth, errors);
	} else if (request->auth == AUTH_HEADER || request->auth == AUTH_QUERY) {
		request->auth_name = json_string_value(json_object_get(auth, "name"));
		if (!request->auth_name)
			text_puts(errors,
				  "request.auth.name: is missing; the header's or parameter's name\n");
		request->auth_value =
			provider_text("request.auth.value", json_object_get(auth, "value"), errors);
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
		request->body = provider_text("request.body", body, errors);
	}
}

/* The settings in each view that the texts ask for. */
static void take_settings(struct provider_request *request, const json_t *source, const json_t *settings)
{
	request->shows_xml = provider_mentions(source, "xml.");
	request->shows_json = provider_mentions(source, "json.");
	request->shows_time = provider_mentions(source, "time.");
	request->shows_nonce = provider_mentions(source, "nonce");
	request->settings = provider_settings_view(settings, VIEW_PLAIN);
	request->encoded_settings = provider_settings_view(settings, VIEW_URL);
	if (request->shows_xml)
		request->xml_settings = provider_settings_view(settings, VIEW_XML);
	if (request->shows_json)
		request->json_settings = provider_settings_view(settings, VIEW_JSON);
}

struct provider_request *provider_request_compile(const json_t *file, const json_t *settings,
						  struct text *errors)
{
	const json_t *source = json_object_get(file, "request");
	const char *method = json_string_value(json_object_get(source, "method"));
	struct provider_request *request = xcalloc(1, sizeof *request);
	size_t before = errors->len;

	request->method = method ? method : "POST";
	take_settings(request, source, settings);
	request->url = provider_text("request.url", json_object_get(source, "url"), errors);
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
	provider_sign_free(request->sign);
	json_decref(request->settings);
	json_decref(request->encoded_settings);
	json_decref(request->xml_settings);
	json_decref(request->json_settings);
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

/* What the texts see: the message as it is and, where they ask for them, its other views, time and a nonce.
 */
static void take_data(struct making *m, const struct provider_message *message)
{
	const struct provider_request *request = m->request;

	m->data = provider_message_view(message, request->settings, VIEW_PLAIN);
	m->encoded = provider_message_view(message, request->encoded_settings, VIEW_URL);
	json_object_set(m->data, "url", m->encoded);
	if (request->shows_xml)
		json_object_set_new(m->data, "xml",
				    provider_message_view(message, request->xml_settings, VIEW_XML));
	if (request->shows_json)
		json_object_set_new(m->data, "json",
				    provider_message_view(message, request->json_settings, VIEW_JSON));
	if (request->shows_time)
		json_object_set_new(m->data, "time", provider_time_view(message->now));
	if (request->shows_nonce)
		json_object_set_new(m->data, "nonce", provider_nonce());
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
		provider_pair(fields->list[i].name, m->value.data, out);
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
		provider_pair(request->auth_name, m->value.data, url);
	}
	return true;
}

static bool add_header(struct making *m, struct provider_sink *sink, const char *name, const char *value)
{
	return !*value || sink->header(sink->context, name, value) ||
	       text_error(m->error, "the header %s can't be made: a control character, or too long", name);
}

static bool add_authorization(struct making *m, struct provider_sink *sink)
{
	const struct provider_request *request = m->request;
	struct text line, user;
	bool ok = false;

	text_init(&line, 2 * PROVIDER_VALUE_MAX);
	text_init(&user, PROVIDER_VALUE_MAX);
	if (request->auth == AUTH_OAUTH2) {
		ok = text_addf(&line, "Bearer %s", sink->token ? sink->token : "");
	} else if (request->auth == AUTH_BEARER) {
		ok = value_of(m, request->auth_value) && text_addf(&line, "Bearer %s", m->value.data);
	} else if (render(m, request->auth_user, m->data, ESCAPE_NONE, &user)) {
		ok = value_of(m, request->auth_value);
		provider_basic(user.data, m->value.data, &line);
	}
	ok = ok && add_header(m, sink, "Authorization", line.data);
	text_release(&line);
	text_release(&user);
	return ok;
}

/* The last of all: it signs what is there. */
static bool add_signature(struct making *m, struct provider_sink *sink)
{
	const struct provider_sign *sign = m->request->sign;
	const char *name = provider_sign_name(sign);

	text_clear(&m->value);
	if (!provider_sign_make(sign, m->data, &m->value, m->error))
		return false;
	if (!provider_sign_in_query(sign))
		return add_header(m, sink, name, m->value.data);
	text_putc(sink->url, strchr(sink->url->data, '?') ? '&' : '?');
	return provider_pair(name, m->value.data, sink->url);
}

static bool add_auth(struct making *m, struct provider_sink *sink)
{
	const struct provider_request *request = m->request;

	switch (request->auth) {
	case AUTH_BASIC:
	case AUTH_BEARER:
	case AUTH_OAUTH2:
		return add_authorization(m, sink);
	case AUTH_HEADER:
		return value_of(m, request->auth_value) &&
		       add_header(m, sink, request->auth_name, m->value.data);
	case AUTH_HMAC:
		return add_signature(m, sink);
	case AUTH_NONE:
	case AUTH_QUERY: /* is in the URL */
		break;
	}
	return true;
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
		json_object_foreach((json_t *)node, name, value)
		{
			json_t *member = make_tree(m, value, next);
			if (!member)
				goto failed;
			if (json_is_string(member) && !json_string_length(member))
				json_decref(member);
			else
				json_object_set_new(made, name, member);
		}
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
	if (request->body) {
		bool ok = render(m, request->body, m->data, request->body_escape, sink->body);
		if (ok && request->body_escape == ESCAPE_HTML && sink->body->len)
			provider_xml_clean(sink->body->data);
		return ok;
	}
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

	take_data(&m, message);
	text_init(&m.value, PROVIDER_VALUE_MAX);
	sink->method = request->method;
	bool ok = add_url(&m, sink->url) && add_body(&m, sink);
	if (ok && request->auth == AUTH_HMAC)
		json_object_set_new(
			m.data, "request",
			provider_request_view(request->method, sink->url->data, sink->body,
					      request->content_type ? request->content_type : ""));
	if (ok && request->content_type)
		ok = add_header(&m, sink, "Content-Type", request->content_type);
	for (size_t i = 0; ok && i < request->headers.count; i++)
		ok = value_of(&m, request->headers.list[i].value) &&
		     add_header(&m, sink, request->headers.list[i].name, m.value.data);
	ok = ok && add_auth(&m, sink);
	if (ok && (sink->url->full || sink->body->full))
		ok = text_error(error, "the request is too large for the provider's description");
	text_release(&m.value);
	json_decref(m.data);
	json_decref(m.encoded);
	return ok;
}
