/* POST /v1/contacts: a contact that another system had, so that the history is the company's whole memory. */
#include <string.h>

#include "api_private.h"
#include "inbound.h"
#include "banned.h"

#define CLOCKS_DIFFER (5 * MOMENT_MINUTE)

static const char *const keys[] = {"customer", "channel", "direction", "at",       "subject",
				   "text",     "summary", "product",   "provider", "provider_ref"};

static bool known_keys(struct call *call)
{
	const char *key;
	json_t *value;

	json_object_foreach(call->body, key, value)
	{
		bool known = false;
		for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
			known = known || strcmp(key, keys[i]) == 0;
		if (!known) {
			call_problem(
				call, 422,
				"%s: is not a key of a contact; those are customer, channel, direction, at, "
				"subject, text, summary, product, provider, provider_ref",
				key);
			return false;
		}
		if (!json_is_string(value)) {
			call_problem(call, 422, "%s: must be a string", key);
			return false;
		}
	}
	return true;
}

/* "" where it is not there. False, and answered: too long, or missing. */
static bool read_word(struct call *call, const char *key, bool required, size_t max, const char **out)
{
	const json_t *value = json_object_get(call->body, key);
	size_t len = json_string_length(value);

	*out = value ? json_string_value(value) : "";
	if (required && !len)
		call_problem(call, 422, "%s: is missing; it is required, a string", key);
	else if (len > max)
		call_problem(call, 422, "%s: has %zu bytes; at most %zu are allowed", key, len, max);
	else
		return true;
	return false;
}

static bool read_times(struct call *call, struct inbound *out)
{
	const json_t *at = json_object_get(call->body, "at");
	int64_t now = moment_now();

	if (!at)
		return true;
	if (!moment_parse(json_string_value(at), &out->at))
		call_problem(call, 422, "at: is not a moment like 2026-11-22T10:00:00Z (RFC 3339)");
	else if (out->at > now + CLOCKS_DIFFER)
		call_problem(call, 422, "at: is in the future; a contact is recorded once it was");
	else if (out->at < now - INBOUND_AGE_MAX)
		call_problem(call, 422, "at: is more than twenty years ago");
	else
		return true;
	return false;
}

static bool read_direction(struct call *call, struct inbound *out)
{
	const char *direction = json_string_value(json_object_get(call->body, "direction"));

	out->direction = direction && strcmp(direction, "out") == 0 ? DIRECTION_OUT : DIRECTION_IN;
	if (!direction || strcmp(direction, "out") == 0 || strcmp(direction, "in") == 0)
		return true;
	call_problem(call, 422, "direction: is neither in nor out");
	return false;
}

static bool read_channel(struct call *call, struct inbound *out)
{
	if (!read_word(call, "channel", true, INBOUND_SOURCE_MAX, &out->channel))
		return false;
	if (strspn(out->channel, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(out->channel))
		return true;
	call_problem(call, 422, "channel: may hold only a-z 0-9 _ -, as voice, visit or letter");
	return false;
}

/* A token that is for some products may not record what is about none of them. */
static bool may_record(struct call *call, const char *product)
{
	if (!*product) {
		if (!call->token || !call->token->product_count)
			return true;
		call_problem(call, 403, "product: the token %s is for some products; name one of them",
			     call->token->name);
		return false;
	}
	if (!product_find(call->api->config->products, product)) {
		call_problem(call, 422, "product: %s is not in the products file", product);
		return false;
	}
	return call_product_allowed(call, product);
}

void api_contact_post(struct call *call)
{
	struct inbound in = {
		.kind = INBOUND_RECORDED, .from = "", .answers_ref = "", .code = "", .detail = ""};
	struct text problem;
	json_t *answer = NULL;
	bool told = json_object_get(call->body, "subject") || json_object_get(call->body, "summary");

	if (!call_wants_object(call) || !call_may_change(call) || !known_keys(call) ||
	    !read_word(call, "customer", true, ID_MAX, &in.customer) || !read_channel(call, &in) ||
	    !read_word(call, "subject", false, TEMPLATE_SUBJECT_MAX, &in.subject) ||
	    !read_word(call, "summary", false, TEMPLATE_SUBJECT_MAX, &in.summary) ||
	    !read_word(call, "text", !told, INBOUND_TEXT_MAX, &in.text) ||
	    !read_word(call, "product", false, ID_MAX, &in.product) ||
	    !read_word(call, "provider", false, INBOUND_SOURCE_MAX, &in.provider) ||
	    !read_word(call, "provider_ref", false, ID_MAX, &in.provider_ref) || !read_direction(call, &in) ||
	    !read_times(call, &in) || !may_record(call, in.product))
		return;
	if (!*in.provider && strncmp(call->request->asker.by, "api:", 4) == 0)
		in.provider = call->request->asker.by + 4;
	text_init(&problem, TEXT_ERROR_MAX);
	int status = request_inbound(&call->api->door, &in, &answer, &problem);
	call_result(call, status, answer, &problem);
	text_release(&problem);
}
