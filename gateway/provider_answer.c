#include "provider_answer.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define SECRETS_MAX 16
#define SECRET_LEN_MIN 4 /* shorter values would blot out common words */
#define FOUND_MAX 512    /* bytes of what is found in an answer */

enum finder_kind { FIND_NOTHING, FIND_JSON, FIND_TEXT, FIND_HEADER };

struct finder {
	enum finder_kind kind;
	const char *where; /* a path, a header */
	regex_t regex;
};

struct provider_answer {
	const json_t *success, *in_doubt, *dead, *company, *retry, *permanent;
	struct finder id, error_code, error_text, retry_after;
	int64_t retry_after_unit;
	char *secrets[SECRETS_MAX];
	size_t secret_count;
};

/* An answer being read. */
struct reading {
	const struct provider_reply *reply;
	json_t *json; /* NULL: it is none */
	char code[FOUND_MAX];
};

/* --- compile --- */

static void finder_compile(const json_t *response, const char *name, struct finder *out, struct text *errors)
{
	const json_t *source = json_object_get(response, name);
	const char *json = json_string_value(json_object_get(source, "json")),
		   *text = json_string_value(json_object_get(source, "text")),
		   *header = json_string_value(json_object_get(source, "header"));

	if (!json_is_object(source))
		return;
	if ((json != NULL) + (text != NULL) + (header != NULL) != 1) {
		text_addf(errors, "response.%s: must have one of json, text, header\n", name);
	} else if (text && (regcomp(&out->regex, text, REG_EXTENDED) != 0)) {
		text_addf(errors, "response.%s.text: is not an extended regular expression\n", name);
	} else if (text && out->regex.re_nsub < 1) {
		text_addf(errors, "response.%s.text: needs one group in parentheses\n", name);
		regfree(&out->regex);
	} else {
		out->kind = json ? FIND_JSON : text ? FIND_TEXT : FIND_HEADER;
		out->where = json ? json : header;
	}
}

static void take_secrets(struct provider_answer *rules, const json_t *file, const json_t *settings)
{
	const json_t *described = json_object_get(file, "settings");
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)described, name, value)
	{
		const char *secret = json_string_value(json_object_get(settings, name));
		if (json_is_true(json_object_get(value, "secret")) && secret &&
		    strlen(secret) >= SECRET_LEN_MIN && rules->secret_count < SECRETS_MAX)
			rules->secrets[rules->secret_count++] = xstrdup(secret);
	}
}

struct provider_answer *provider_answer_compile(const json_t *file, const json_t *settings,
						struct text *errors)
{
	const json_t *response = json_object_get(file, "response");
	struct provider_answer *rules = xcalloc(1, sizeof *rules);
	size_t before = errors->len;

	rules->success = json_object_get(response, "success");
	rules->in_doubt = json_object_get(response, "in_doubt");
	rules->dead = json_object_get(response, "dead");
	rules->company = json_object_get(response, "company");
	rules->retry = json_object_get(response, "retry");
	rules->permanent = json_object_get(response, "permanent");
	finder_compile(response, "id", &rules->id, errors);
	finder_compile(response, "error_code", &rules->error_code, errors);
	finder_compile(response, "error_text", &rules->error_text, errors);
	finder_compile(response, "retry_after", &rules->retry_after, errors);
	const char *unit =
		json_string_value(json_object_get(json_object_get(response, "retry_after"), "unit"));
	rules->retry_after_unit = unit && strcmp(unit, "ms") == 0 ? MOMENT_MS : MOMENT_S;
	take_secrets(rules, file, settings);
	if (rules->error_code.kind == FIND_HEADER || rules->error_text.kind == FIND_HEADER ||
	    rules->retry_after.kind == FIND_HEADER)
		text_puts(errors, "response: only id can be in a header\n");
	if (errors->len == before && !errors->full)
		return rules;
	provider_answer_free(rules);
	return NULL;
}

static void finder_release(struct finder *finder)
{
	if (finder->kind == FIND_TEXT)
		regfree(&finder->regex);
}

void provider_answer_free(struct provider_answer *rules)
{
	if (!rules)
		return;
	finder_release(&rules->id);
	finder_release(&rules->error_code);
	finder_release(&rules->error_text);
	finder_release(&rules->retry_after);
	for (size_t i = 0; i < rules->secret_count; i++)
		free(rules->secrets[i]);
	free(rules);
}

const char *provider_answer_header(const struct provider_answer *rules)
{
	return rules->id.kind == FIND_HEADER ? rules->id.where : "";
}

/* --- find --- */

/* "messages.0.status": keys and indices. NULL: not there. */
static const json_t *at_path(const json_t *node, const char *path)
{
	while (node && *path) {
		size_t len = strcspn(path, ".");
		if (json_is_array(node)) {
			bool number = len && len < 6 && strspn(path, "0123456789") == len;
			node = number ? json_array_get(node, strtoul(path, NULL, 10)) : NULL;
		} else {
			char *key = xmemdup0(path, len);
			node = json_object_get(node, key);
			free(key);
		}
		path += len;
		path += *path == '.';
	}
	return node;
}

/* How a scalar is written; false where it is none, empty, or longer than `out`. */
static bool scalar_text(const json_t *value, char out[FOUND_MAX])
{
	int len = -1;

	if (json_is_string(value))
		len = snprintf(out, FOUND_MAX, "%s", json_string_value(value));
	else if (json_is_integer(value))
		len = snprintf(out, FOUND_MAX, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		len = snprintf(out, FOUND_MAX, "%.15g", json_real_value(value));
	else if (json_is_boolean(value))
		len = snprintf(out, FOUND_MAX, "%s", json_is_true(value) ? "true" : "false");
	return len > 0 && len < FOUND_MAX;
}

static bool find(const struct finder *finder, const struct reading *reading, char out[FOUND_MAX])
{
	regmatch_t match[2];
	int len = -1;

	out[0] = '\0';
	if (finder->kind == FIND_JSON)
		return scalar_text(at_path(reading->json, finder->where), out);
	if (finder->kind == FIND_HEADER)
		len = snprintf(out, FOUND_MAX, "%s", reading->reply->header);
	else if (finder->kind == FIND_TEXT &&
		 regexec(&finder->regex, reading->reply->body, 2, match, 0) == 0 && match[1].rm_so >= 0)
		len = snprintf(out, FOUND_MAX, "%.*s", (int)(match[1].rm_eo - match[1].rm_so),
			       reading->reply->body + match[1].rm_so);
	return len > 0 && len < FOUND_MAX;
}

/* --- rules --- */

/* 200, "200", "2xx". */
static bool status_is(const json_t *wanted, int status)
{
	const char *s = json_string_value(wanted);
	char text[16];

	if (json_is_integer(wanted))
		return json_integer_value(wanted) == status;
	if (!s)
		return false;
	snprintf(text, sizeof text, "%03d", status);
	return strcmp(s, text) == 0 || (s[0] == text[0] && strcmp(s + 1, "xx") == 0);
}

static bool text_is(const json_t *wanted, const char *text)
{
	char written[FOUND_MAX];

	return scalar_text(wanted, written) && strcmp(written, text) == 0;
}

static bool status_among(const json_t *wanted, int status)
{
	size_t i;
	json_t *value;

	if (!json_is_array(wanted))
		return status_is(wanted, status);
	json_array_foreach(wanted, i, value) if (status_is(value, status)) return true;
	return false;
}

static bool text_among(const json_t *wanted, const char *text)
{
	size_t i;
	json_t *value;

	if (!json_is_array(wanted))
		return text_is(wanted, text);
	json_array_foreach(wanted, i, value) if (text_is(value, text)) return true;
	return false;
}

static bool value_holds(const json_t *rule, const json_t *value)
{
	const json_t *equals = json_object_get(rule, "equals"), *in = json_object_get(rule, "in");
	char text[FOUND_MAX] = "";

	if (!equals && !in)
		return value != NULL;
	return scalar_text(value, text) && (!equals || text_is(equals, text)) &&
	       (!in || text_among(in, text));
}

/* "messages.*.status": of each message, and there is one. */
static bool path_holds(const json_t *rule, const json_t *node, const char *path)
{
	const char *star = *path == '*' ? path : strstr(path, ".*");
	json_t *element;
	size_t i;

	if (!star)
		return value_holds(rule, at_path(node, path));
	char *head = xmemdup0(path, (size_t)(star - path));
	const char *rest = star + (*star == '.' ? 2 : 1);
	const json_t *list = at_path(node, head);
	bool holds = json_is_array(list) && json_array_size(list) > 0;
	free(head);
	json_array_foreach(list, i, element)
	{
		holds = holds && path_holds(rule, element, rest + (*rest == '.'));
	}
	return holds;
}

static bool json_holds(const json_t *rule, const struct reading *reading)
{
	return path_holds(rule, reading->json, json_string_value(json_object_get(rule, "json")));
}

static bool text_holds(const json_t *wanted, const char *body)
{
	const char *prefix = json_string_value(json_object_get(wanted, "prefix")),
		   *contains = json_string_value(json_object_get(wanted, "contains"));

	return (prefix || contains) && (!prefix || strncmp(body, prefix, strlen(prefix)) == 0) &&
	       (!contains || strstr(body, contains));
}

static bool rule_holds(const json_t *rule, const struct reading *reading)
{
	const json_t *status = json_object_get(rule, "status"), *code = json_object_get(rule, "code"),
		     *text = json_object_get(rule, "text");

	return json_object_size(rule) > 0 && (!status || status_among(status, reading->reply->status)) &&
	       (!code || (reading->code[0] && text_among(code, reading->code))) &&
	       (!json_object_get(rule, "json") || json_holds(rule, reading)) &&
	       (!text || text_holds(text, reading->reply->body));
}

static bool any_holds(const json_t *rules, const struct reading *reading)
{
	size_t i;
	json_t *rule;

	json_array_foreach(rules, i, rule) if (rule_holds(rule, reading)) return true;
	return false;
}

/* --- judge --- */

static void kind_by_table(int status, struct outcome *outcome)
{
	outcome->scope = SCOPE_MESSAGE;
	if (status == 401 || status == 403) {
		outcome->kind = OUTCOME_RETRY;
		outcome->scope = SCOPE_PROVIDER;
	} else if (status == 408 || status == 429 || (status >= 500 && status < 600)) {
		outcome->kind = OUTCOME_RETRY;
	} else if (status >= 300 && status < 500) {
		outcome->kind = OUTCOME_REJECTED;
	} else {
		outcome->kind = OUTCOME_IN_DOUBT;
	}
}

static bool is_2xx(int status)
{
	return status >= 200 && status < 300;
}

static void kind_by_rules(const struct provider_answer *rules, const struct reading *reading,
			  struct outcome *outcome)
{
	const struct provider_reply *reply = reading->reply;
	bool success =
		json_array_size(rules->success) ? any_holds(rules->success, reading) : is_2xx(reply->status);

	outcome->kind = OUTCOME_IN_DOUBT;
	if (!reply->complete && is_2xx(reply->status))
		return;
	if (success)
		outcome->kind = OUTCOME_ACCEPTED;
	else if (any_holds(rules->in_doubt, reading))
		return;
	else if (any_holds(rules->dead, reading)) {
		outcome->kind = OUTCOME_REJECTED;
		outcome->scope = SCOPE_ADDRESS;
	} else if (any_holds(rules->company, reading)) {
		outcome->kind = OUTCOME_RETRY;
		outcome->scope = SCOPE_PROVIDER;
	} else if (any_holds(rules->retry, reading))
		outcome->kind = OUTCOME_RETRY;
	else if (any_holds(rules->permanent, reading))
		outcome->kind = OUTCOME_REJECTED;
	else
		kind_by_table(reply->status, outcome);
}

static void blot_out(char *text, const char *secret)
{
	size_t len = strlen(secret);

	for (char *at = strstr(text, secret); at; at = strstr(at, secret)) {
		memset(at, '*', len);
		at += len;
	}
}

/* The provider's words, or its whole answer where that is a short text, or ours. */
static void words(const struct provider_answer *rules, const struct reading *reading, const char *ours,
		  struct outcome *out)
{
	const struct provider_reply *reply = reading->reply;
	char found[FOUND_MAX], *theirs = NULL;

	if (find(&rules->error_text, reading, found))
		theirs = xstrdup(found);
	else if (!reading->json && reply->body_len && reply->body_len < OUTCOME_TEXT_MAX &&
		 reply->body[0] != '<')
		theirs = xstrdup(reply->body);
	else
		theirs = xstrdup("");
	/* before anything is cut: half a secret would not be found */
	for (size_t i = 0; i < rules->secret_count; i++) {
		blot_out(theirs, rules->secrets[i]);
		blot_out(out->code, rules->secrets[i]);
	}
	if (reply->secret && strlen(reply->secret) >= SECRET_LEN_MIN) {
		blot_out(theirs, reply->secret);
		blot_out(out->code, reply->secret);
	}
	struct outcome made =
		outcome_make(out->kind, out->scope, out->code, "the provider answered %d%s%s%s%s",
			     reply->status, *ours ? ", " : "", ours, *theirs ? ": " : "", theirs);
	memcpy(out->code, made.code, sizeof out->code);
	memcpy(out->text, made.text, sizeof out->text);
	free(theirs);
}

/* The wait that the body asks for; 0: none. */
static int64_t wait_said(const struct provider_answer *rules, const struct reading *reading)
{
	char found[FOUND_MAX];

	if (!find(&rules->retry_after, reading, found))
		return 0;
	double units = strtod(found, NULL), most = (double)PROVIDER_RETRY_AFTER_MAX;
	double wait = units * (double)rules->retry_after_unit;
	return !(wait > 0) ? 0 : wait > most ? PROVIDER_RETRY_AFTER_MAX : (int64_t)wait;
}

void provider_answer_judge(const struct provider_answer *rules, const struct provider_reply *reply,
			   struct outcome *outcome)
{
	struct reading reading = {.reply = reply, .json = json_loadb(reply->body, reply->body_len, 0, NULL)};
	const char *ours = "";
	char id[FOUND_MAX];

	*outcome = (struct outcome){.kind = OUTCOME_IN_DOUBT, .scope = SCOPE_MESSAGE};
	find(&rules->error_code, &reading, reading.code);
	kind_by_rules(rules, &reading, outcome);
	if (outcome->kind == OUTCOME_ACCEPTED && rules->id.kind != FIND_NOTHING) {
		if (find(&rules->id, &reading, id) && strlen(id) <= ID_MAX) {
			snprintf(outcome->provider_ref, sizeof outcome->provider_ref, "%.*s", ID_MAX, id);
		} else {
			outcome->kind = OUTCOME_IN_DOUBT;
			ours = "without an id that can be read";
		}
	} else if (outcome->kind == OUTCOME_IN_DOUBT) {
		ours = reply->complete ? "which does not say whether it was taken" : "and was cut";
	}
	if (outcome->kind == OUTCOME_RETRY)
		outcome->retry_after = reply->retry_after ? reply->retry_after : wait_said(rules, &reading);
	snprintf(outcome->code, sizeof outcome->code, "%d%s%.50s", reply->status, reading.code[0] ? " " : "",
		 reading.code);
	words(rules, &reading, ours, outcome);
	json_decref(reading.json);
}
