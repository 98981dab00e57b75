#include "preference.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define IMMEDIATE "immediate"
#define SHOWN_MAX 64 /* bytes of a name that is repeated in an error */

struct preference *preference_copy(const struct preference *preference)
{
	if (!preference)
		return NULL;
	struct preference *copy = xmalloc(sizeof *copy);
	*copy = *preference;
	copy->product = xstrdup(preference->product ? preference->product : "");
	copy->hours = xstrdup(preference->hours ? preference->hours : "");
	copy->digest = xstrdup(preference->digest ? preference->digest : IMMEDIATE);
	copy->changed_by = xstrdup(preference->changed_by ? preference->changed_by : "");
	copy->channels = xcalloc(preference->channel_count, sizeof *copy->channels);
	for (size_t i = 0; i < preference->channel_count; i++) {
		const struct preference_entry *entry = &preference->channels[i];
		copy->channels[i] =
			(struct preference_entry){.channel = xstrdup(entry->channel),
						  .hours = xstrdup(entry->hours ? entry->hours : ""),
						  .wait = entry->wait};
	}
	return copy;
}

void preference_release(struct preference *preference)
{
	for (size_t i = 0; i < preference->channel_count; i++) {
		free(preference->channels[i].channel);
		free(preference->channels[i].hours);
	}
	free(preference->channels);
	free(preference->product);
	free(preference->hours);
	free(preference->digest);
	free(preference->changed_by);
	*preference = (struct preference){0};
}

void preference_free(struct preference *preference)
{
	if (preference)
		preference_release(preference);
	free(preference);
}

/* --- what applies --- */

static bool speaks(const struct preference *preference)
{
	return preference && preference->has_channels;
}

void choices_apply(const struct product *product, enum purpose purpose, const struct choices *choices,
		   struct applied *out)
{
	*out = (struct applied){.source = CHOICE_DEFAULT};
	if (speaks(choices->own))
		*out = (struct applied){.source = CHOICE_OWN, .preference = choices->own};
	else if (speaks(choices->parent))
		*out = (struct applied){.source = CHOICE_PARENT, .preference = choices->parent};
	else if (speaks(choices->star))
		*out = (struct applied){.source = CHOICE_STAR, .preference = choices->star};
	if (out->preference && !out->preference->channel_count && !product->may_stop &&
	    purpose != PURPOSE_MARKETING)
		*out = (struct applied){.source = CHOICE_DEFAULT, .refused = out->preference};
	out->count = out->preference ? out->preference->channel_count : product->default_count;
}

const char *applied_channel(const struct product *product, const struct applied *applied, size_t i)
{
	return applied->preference ? applied->preference->channels[i].channel : product->defaults[i];
}

/* --- reading --- */

/* A name that somebody wrote, as an error repeats it. */
static const char *shown(const char *name)
{
	return strlen(name) <= SHOWN_MAX ? name : "(a long name)";
}

static bool list_has(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

/* "sms, email": those of `known` that the product offers. */
static void add_choosable(struct text *error, const struct product *product, const char *const *known,
			  size_t known_count)
{
	size_t shown = 0;

	for (size_t i = 0; i < known_count; i++)
		if (!product || product_offers(product, known[i]))
			text_addf(error, "%s%s", shown++ ? ", " : "", known[i]);
	if (!shown)
		text_puts(error, "none");
}

static bool read_entry(const json_t *value, size_t i, const struct product *product, const char *const *known,
		       size_t known_count, struct preference *out, struct text *error)
{
	const char *name = json_string_value(value);

	if (json_is_object(value))
		return text_error(
			error,
			"channels[%zu]: hours and wait of a channel are not yet there; write its name "
			"alone",
			i);
	if (!name)
		return text_error(error, "channels[%zu]: must be the name of a channel, like \"email\"", i);
	bool is_known = list_has(known, known_count, name);
	if (!is_known || (product && !product_offers(product, name))) {
		if (is_known)
			text_error(error, "channels[%zu]: %s does not offer \"%s\"; may be chosen: ", i,
				   product->name, shown(name));
		else
			text_error(error, "channels[%zu]: there is no channel \"%s\"; may be chosen: ", i,
				   shown(name));
		if (error)
			add_choosable(error, product, known, known_count);
		return false;
	}
	for (size_t k = 0; k < out->channel_count; k++)
		if (strcmp(out->channels[k].channel, name) == 0)
			return text_error(error,
					  "channels[%zu]: \"%s\" is there twice; name each channel once", i,
					  name);
	out->channels[out->channel_count++] =
		(struct preference_entry){.channel = xstrdup(name), .hours = xstrdup("")};
	return true;
}

static bool read_channels(const json_t *channels, const struct product *product, const char *const *known,
			  size_t known_count, struct preference *out, struct text *error)
{
	if (!channels || json_is_null(channels))
		return true;
	if (!json_is_array(channels))
		return text_error(
			error,
			"channels: must be a list in the order of choice, like [\"sms\", \"email\"]; [] "
			"stops");
	size_t count = json_array_size(channels);
	if (count > PREFERENCE_CHANNELS_MAX)
		return text_error(error, "channels: has %zu entries; at most %d", count,
				  PREFERENCE_CHANNELS_MAX);
	if (!count && product && !product->may_stop) {
		text_error(error, "channels: %s cannot be stopped; choose at least one of: ", product->name);
		if (error)
			add_choosable(error, product, known, known_count);
		return false;
	}
	out->has_channels = true;
	out->channels = xcalloc(count, sizeof *out->channels);
	for (size_t i = 0; i < count; i++)
		if (!read_entry(json_array_get(channels, i), i, product, known, known_count, out, error))
			return false;
	return true;
}

/* What is marked (B): only its default is taken until it is built. */
static bool read_later(const json_t *json, struct text *error)
{
	const json_t *hours = json_object_get(json, "hours"), *digest = json_object_get(json, "digest"),
		     *paused = json_object_get(json, "paused_until");

	if (hours && !json_is_null(hours) && !json_is_string(hours))
		return text_error(
			error,
			"hours: must be a string; until hours can be chosen only \"\" (always) is right");
	if (json_is_string(hours) && *json_string_value(hours))
		return text_error(
			error,
			"hours: not yet: hours cannot be chosen yet; leave it out or write \"\" (always)");
	if (digest && !json_is_null(digest) && !json_is_string(digest))
		return text_error(error,
				  "digest: must be a string; until digests can be chosen only \"" IMMEDIATE
				  "\" is "
				  "right");
	if (json_is_string(digest) && strcmp(json_string_value(digest), IMMEDIATE) != 0)
		return text_error(error,
				  "digest: not yet: digests cannot be chosen yet; leave it out or write "
				  "\"" IMMEDIATE "\"");
	if (paused && !json_is_null(paused))
		return text_error(
			error,
			"paused_until: not yet: a pause cannot be chosen yet; leave it out or write null");
	return true;
}

static bool check_keys(const json_t *json, struct text *error)
{
	static const char *const keys[] = {"channels",   "hours",    "digest",     "paused_until",
					   "product",    "version",  "changed_at", "source",
					   "changed_by", "given_at", "evidence",   "on_their_way"};
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return text_error(error, "a preference must be an object, like {\"channels\": [\"email\"]}");
	json_object_foreach((json_t *)json, key, value)
	{
		if (!list_has(keys, sizeof keys / sizeof keys[0], key))
			return text_error(error,
					  "%s: unknown key; a preference has: channels, hours, digest, "
					  "paused_until, version",
					  shown(key));
	}
	return true;
}

bool preference_from_json(const json_t *json, const struct product *product, const char *const *known,
			  size_t known_count, struct preference *out, struct text *error)
{
	*out = (struct preference){.product = xstrdup(product ? product->name : "*"),
				   .hours = xstrdup(""),
				   .digest = xstrdup(IMMEDIATE),
				   .changed_by = xstrdup("")};
	return check_keys(json, error) && read_later(json, error) &&
	       read_channels(json_object_get(json, "channels"), product, known, known_count, out, error);
}

json_t *preference_channels_from_words(const char *words, struct text *error)
{
	json_t *channels = json_array();

	for (const char *at = words;;) {
		at += strspn(at, " ");
		size_t len = strcspn(at, ",{");
		if (at[len] == '{') {
			text_error(error, "channels: hours and wait of a channel ({…}) are not yet there; "
					  "write names alone, "
					  "like sms,email");
			goto bad;
		}
		size_t name = len;
		while (name && at[name - 1] == ' ')
			name--;
		json_t *one = name ? json_stringn(at, name) : NULL;
		if (!one) {
			text_error(error,
				   "channels: \"%s\" is not a list of channels; write names with commas "
				   "between them, like sms,email",
				   shown(words));
			goto bad;
		}
		json_array_append_new(channels, one);
		if (!at[len])
			return channels;
		at += len + 1;
	}
bad:
	json_decref(channels);
	return NULL;
}

/* --- writing --- */

static json_t *moment_json(int64_t at)
{
	char text[MOMENT_TEXT];

	if (!at)
		return json_null();
	moment_format(at, text);
	return json_string(text);
}

json_t *preference_to_json(const struct preference *preference)
{
	json_t *channels = preference->has_channels ? json_array() : json_null();

	for (size_t i = 0; i < preference->channel_count; i++)
		json_array_append_new(channels, json_string(preference->channels[i].channel));
	return json_pack("{s:s,s:o,s:s,s:s,s:o,s:I,s:o,s:s}", "product", preference->product, "channels",
			 channels, "hours", preference->hours, "digest", preference->digest, "paused_until",
			 moment_json(preference->paused_until), "version", (json_int_t)preference->version,
			 "changed_at", moment_json(preference->changed_at), "changed_by",
			 preference->changed_by);
}

json_t *preference_applied_json(const struct product *product, const struct choices *choices)
{
	static const char *const sources[] = {"own", "parent", "*", "default"};
	const struct preference *made = product ? choices->own : choices->star;
	json_t *channels = json_null(), *json;
	const char *source = "default";

	if (made && made->has_channels)
		return preference_to_json(made);
	if (product) {
		struct applied applied;
		choices_apply(product, product->purpose, choices, &applied);
		source = sources[applied.source];
		channels = json_array();
		/* marketing: nothing but a choice of its own applies, and this is where there is none */
		if (product->purpose == PURPOSE_MARKETING && applied.source != CHOICE_PARENT)
			applied.count = 0;
		for (size_t i = 0; i < applied.count; i++)
			json_array_append_new(channels, json_string(applied_channel(product, &applied, i)));
	}
	if (!made)
		return json_pack("{s:s,s:o,s:s,s:s,s:n,s:i,s:s}", "product", product ? product->name : "*",
				 "channels", channels, "hours", "", "digest", IMMEDIATE, "paused_until",
				 "version", 0, "source", source);
	json = preference_to_json(made);
	json_object_set_new(json, "channels", channels);
	json_object_set_new(json, "source", json_string(source));
	return json;
}

static bool product_or_part(const char *product, const char *of)
{
	size_t len = strlen(of);
	return strncmp(product, of, len) == 0 && (product[len] == '\0' || product[len] == '/');
}

bool touched_has(const struct touched *touched, const char *product)
{
	if (!touched->product)
		return true;
	if (strcmp(touched->product, "*") != 0)
		return product_or_part(product, touched->product);
	for (size_t i = 0; i < touched->count; i++)
		if (touched->preferences[i].has_channels &&
		    product_or_part(product, touched->preferences[i].product))
			return false; /* it has a choice of its own, or of the product it is a part of */
	return true;
}
