#include "provider_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "provider_private.h"
#include "url.h"
#include "xalloc.h"
#include "banned.h"

#define PARAMS_MAX 16

struct provider_token {
	struct mustache *url, *client_id, *client_secret, *scope;
	struct {
		const char *name;
		struct mustache *value;
	} params[PARAMS_MAX];
	size_t param_count;
	bool in_body; /* id and secret; else by Basic */
	json_t *data; /* what the texts see */

	char *value;
	unsigned number;
	int64_t early, expires; /* monotonic */
};

static void take_params(struct provider_token *token, const json_t *params, struct text *errors)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)params, name, value)
	{
		struct mustache *text = NULL;
		if (token->param_count == PARAMS_MAX)
			text_addf(errors, "request.auth.params: has more than %d entries\n", PARAMS_MAX);
		else
			text = provider_text("request.auth.params", value, errors);
		if (!text)
			break;
		token->params[token->param_count].name = name;
		token->params[token->param_count++].value = text;
	}
}

struct provider_token *provider_token_compile(const json_t *file, const json_t *settings, struct text *errors)
{
	const json_t *auth = json_object_get(json_object_get(file, "request"), "auth");
	const char *type = json_string_value(json_object_get(auth, "type")),
		   *how = json_string_value(json_object_get(auth, "client_auth"));
	size_t before = errors->len;

	if (!type || strcmp(type, "oauth2") != 0)
		return NULL;
	struct provider_token *token = xcalloc(1, sizeof *token);
	token->value = xstrdup("");
	token->in_body = how && strcmp(how, "body") == 0;
	token->data = json_pack("{s:o}", "settings", provider_settings_view(settings, VIEW_PLAIN));
	token->url = provider_text("request.auth.token_url", json_object_get(auth, "token_url"), errors);
	token->client_id =
		provider_text("request.auth.client_id", json_object_get(auth, "client_id"), errors);
	token->client_secret =
		provider_text("request.auth.client_secret", json_object_get(auth, "client_secret"), errors);
	if (json_object_get(auth, "scope"))
		token->scope = provider_text("request.auth.scope", json_object_get(auth, "scope"), errors);
	take_params(token, json_object_get(auth, "params"), errors);
	if (errors->len == before && !errors->full)
		return token;
	provider_token_free(token);
	return NULL;
}

static void forget(struct provider_token *token)
{
	explicit_bzero(token->value, strlen(token->value));
	free(token->value);
	token->value = xstrdup("");
}

void provider_token_free(struct provider_token *token)
{
	if (!token)
		return;
	mustache_free(token->url);
	mustache_free(token->client_id);
	mustache_free(token->client_secret);
	mustache_free(token->scope);
	for (size_t i = 0; i < token->param_count; i++)
		mustache_free(token->params[i].value);
	json_decref(token->data);
	forget(token);
	free(token->value);
	free(token);
}

enum token_need provider_token_need(const struct provider_token *token, int64_t now)
{
	if (!*token->value || now >= token->expires)
		return TOKEN_MISSING;
	return now >= token->early ? TOKEN_WANTED : TOKEN_FINE;
}

static bool add_field(const struct provider_token *token, const char *name, const struct mustache *template,
		      struct text *body, struct text *error)
{
	struct text value;

	text_init(&value, PROVIDER_VALUE_MAX);
	bool ok = provider_render(template, token->data, &value, error);
	if (ok && value.len) {
		text_putc(body, '&');
		ok = provider_pair(name, value.data, body);
	}
	text_release(&value);
	return ok;
}

/* RFC 6749, 2.3.1: both are encoded before they are joined. */
static bool add_basic(const struct provider_token *token, struct provider_sink *sink, struct text *error)
{
	struct text value, id, secret, line;
	bool ok = false;

	text_init(&value, PROVIDER_VALUE_MAX);
	text_init(&id, 3 * PROVIDER_VALUE_MAX);
	text_init(&secret, 3 * PROVIDER_VALUE_MAX);
	text_init(&line, 9 * PROVIDER_VALUE_MAX);
	if (provider_render(token->client_id, token->data, &value, error)) {
		url_encode(value.data, &id);
		text_clear(&value);
		ok = provider_render(token->client_secret, token->data, &value, error);
		url_encode(value.data, &secret);
	}
	if (ok) {
		provider_basic(id.data, secret.data, &line);
		ok = sink->header(sink->context, "Authorization", line.data);
	}
	text_release(&value);
	text_release(&id);
	text_release(&secret);
	text_release(&line);
	return ok;
}

bool provider_token_request(const struct provider_token *token, struct provider_sink *sink,
			    struct text *error)
{
	bool ok = provider_render(token->url, token->data, sink->url, error);

	sink->method = "POST";
	sink->has_body = true;
	ok = ok && text_puts(sink->body, "grant_type=client_credentials");
	if (token->in_body)
		ok = ok && add_field(token, "client_id", token->client_id, sink->body, error) &&
		     add_field(token, "client_secret", token->client_secret, sink->body, error);
	else
		ok = ok && add_basic(token, sink, error);
	if (token->scope)
		ok = ok && add_field(token, "scope", token->scope, sink->body, error);
	for (size_t i = 0; i < token->param_count; i++)
		ok = ok && add_field(token, token->params[i].name, token->params[i].value, sink->body, error);
	return ok && sink->header(sink->context, "Content-Type", "application/x-www-form-urlencoded") &&
	       sink->header(sink->context, "Accept", "application/json");
}

/* --- the answer --- */

/* RFC 6749, 5.2: one of the words that it knows, so that nothing secret is repeated; "". */
static const char *error_word(const json_t *answer)
{
	static const char *const words[] = {
		"invalid_request", "invalid_client",         "invalid_grant", "unauthorized_client",
		"invalid_scope",   "unsupported_grant_type", "access_denied", "server_error",
		"invalid_target",  "temporarily_unavailable"};
	const char *word = json_string_value(json_object_get(answer, "error"));

	for (size_t i = 0; word && i < sizeof words / sizeof words[0]; i++)
		if (strcmp(word, words[i]) == 0)
			return words[i];
	return "";
}

static struct outcome fault(const struct provider_reply *reply, const char *word, const char *why)
{
	char code[64];
	bool refused =
		reply->status >= 400 && reply->status < 500 && reply->status != 408 && reply->status != 429;

	snprintf(code, sizeof code, "%d token%s%s", reply->status, *word ? " " : "", word);
	struct outcome outcome =
		outcome_make(OUTCOME_RETRY, SCOPE_PROVIDER, code, "the token's endpoint answered %d%s%s%s",
			     reply->status, *word ? ": " : "", word, why);
	outcome.retry_after = reply->retry_after ? reply->retry_after : refused ? TOKEN_REFUSED_PAUSE : 0;
	return outcome;
}

static int64_t life_of(const json_t *answer)
{
	const json_t *value = json_object_get(answer, "expires_in");
	double seconds =
		json_is_string(value) ? strtod(json_string_value(value), NULL) : json_number_value(value);

	if (!(seconds > 0))
		return TOKEN_LIFE_UNSAID;
	return seconds > (double)TOKEN_LIFE_MAX / (double)MOMENT_S ? TOKEN_LIFE_MAX
								   : (int64_t)(seconds * (double)MOMENT_S);
}

/* Visible ASCII, as it goes into a header. */
static bool is_token(const char *s)
{
	size_t len = s ? strlen(s) : 0;

	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] >= 127)
			return false;
	return len > 0 && len <= TOKEN_MAX;
}

bool provider_token_take(struct provider_token *token, const struct provider_reply *reply, int64_t now,
			 struct outcome *outcome)
{
	json_t *answer = NULL;
	bool ok = false;

	token->early = now + TOKEN_AGAIN;
	if (!reply)
		return false;
	answer = json_loadb(reply->body, reply->body_len, JSON_REJECT_DUPLICATES, NULL);
	const char *value = json_string_value(json_object_get(answer, "access_token")),
		   *type = json_string_value(json_object_get(answer, "token_type"));
	if (reply->status < 200 || reply->status > 299) {
		*outcome = fault(reply, error_word(answer), "");
	} else if (!reply->complete || !is_token(value)) {
		*outcome = fault(reply, "", ", without an access_token that can be read");
	} else if (type && strcasecmp(type, "bearer") != 0) {
		*outcome = fault(reply, "", " with a token that is no bearer token");
	} else {
		int64_t life = life_of(answer), early = life / 10 < TOKEN_EARLY ? life / 10 : TOKEN_EARLY;
		forget(token);
		free(token->value);
		token->value = xstrdup(value);
		token->number++;
		token->expires = now + life;
		token->early = token->expires - early;
		ok = true;
	}
	json_decref(answer);
	return ok;
}

void provider_token_refuse(struct provider_token *token, unsigned n)
{
	if (n == token->number)
		forget(token);
}

const char *provider_token_value(const struct provider_token *token)
{
	return token->value;
}

unsigned provider_token_number(const struct provider_token *token)
{
	return token->number;
}
