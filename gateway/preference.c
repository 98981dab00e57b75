#include "preference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cadence.h"
#include "hours.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

/* Of what is kept with a change, for ever. */
#define SOURCE_MAX 1024
#define EVIDENCE_MAX (64 * 1024)

#define IMMEDIATE "immediate"
#define SHOWN_MAX 64 /* bytes of a name that is repeated in an error */

static void copy_entries(const struct preference *from, struct preference *to)
{
	to->has_channels = from->has_channels;
	to->channel_count = from->channel_count;
	to->channels = xcalloc(from->channel_count, sizeof *to->channels);
	for (size_t i = 0; i < from->channel_count; i++) {
		const struct preference_entry *entry = &from->channels[i];
		to->channels[i] =
			(struct preference_entry){.channel = xstrdup(entry->channel),
						  .hours = xstrdup(entry->hours ? entry->hours : ""),
						  .wait = entry->wait};
	}
}

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
	copy_entries(preference, copy);
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

const struct preference_entry *applied_entry(const struct applied *applied, size_t i)
{
	return applied->preference ? &applied->preference->channels[i] : NULL;
}

/* A row that a patch or an import emptied says nothing: what applies above goes on applying. */
static bool says_anything(const struct preference *preference)
{
	return preference && (preference->has_channels || *preference->hours || preference->paused_until ||
			      strcmp(preference->digest, IMMEDIATE) != 0);
}

const struct preference *choices_time(const struct choices *choices)
{
	return says_anything(choices->own)      ? choices->own
	       : says_anything(choices->parent) ? choices->parent
	       : says_anything(choices->star)   ? choices->star
						: NULL;
}

/* Of the hours that hold the whole message, the one that never opens together with `hours`. */
static bool never_meets(const struct hours *hours, const struct hours *base, const char *of, const char *text,
			struct text *with)
{
	if (hours_meet(base, hours))
		return false;
	text_addf(with, "%s%s", of, text);
	return true;
}

const struct preference_entry *choices_never_open(const struct product *product, bool zone_known,
						  const struct choices *choices, struct text *with)
{
	const struct preference *time = choices_time(choices), *list = NULL;
	const struct preference_entry *never = NULL;
	struct applied applied = {.preference = choices->own};

	if (product)
		choices_apply(product, product->purpose, choices, &applied);
	list = applied.preference;
	bool guess = product && product->purpose == PURPOSE_MARKETING && !zone_known;
	struct hours *own = time && *time->hours ? hours_parse(time->hours, NULL) : NULL;
	struct hours *marketing = guess && !own ? hours_parse(MARKETING_HOURS, NULL) : NULL;
	for (size_t i = 0; list && !never && i < list->channel_count; i++) {
		struct hours *hours = hours_parse(list->channels[i].hours, NULL);
		if (own ? never_meets(hours, own, "hours: ", time->hours, with)
			: (product && never_meets(hours, product->quiet, "the quiet hours of this product, ",
						  product->quiet_hours, with)) ||
				    never_meets(hours, marketing,
						"the hours of advertising for whom no time zone is known, ",
						MARKETING_HOURS, with))
			never = &list->channels[i];
		hours_free(hours);
	}
	hours_free(own);
	hours_free(marketing);
	return never;
}

bool preference_never_opens(const struct preference *preference, const struct preference_entry *entry,
			    const char *with, struct text *error)
{
	return text_error(error,
			  "channels[%zu].hours: %s never opens together with %s; hours that share some time "
			  "with them would be right",
			  (size_t)(entry - preference->channels), entry->hours, with);
}

/* Nobody has to get marketing, so there a pause holds for every product. */
bool choice_may_pause(const struct product *product, enum purpose purpose)
{
	return product->may_stop || purpose == PURPOSE_MARKETING;
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

/* The name of a channel that may be chosen, and not twice. */
static bool check_name(const char *name, size_t i, const struct product *product, const char *const *known,
		       size_t known_count, const struct preference *out, struct text *error)
{
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
	return true;
}

/* Hours of nothing but blanks say as little as "". */
static const char *hours_said(const char *hours)
{
	return hours[strspn(hours, " \t")] ? hours : "";
}

/* {"channel", "hours", "wait"}: hours and wait as text, "" where they are not there. */
static bool read_patience(const json_t *value, size_t i, const char **hours, const char **wait,
			  struct text *error)
{
	const char *key;
	json_t *member;

	*hours = *wait = "";
	json_object_foreach((json_t *)value, key, member)
	{
		const char *text = json_string_value(member);
		if (strcmp(key, "channel") != 0 && strcmp(key, "hours") != 0 && strcmp(key, "wait") != 0)
			return text_error(error,
					  "channels[%zu].%s: unknown key; an entry has: channel, hours, wait",
					  i, shown(key));
		if (json_is_null(member) && strcmp(key, "channel") != 0)
			continue;
		if (!text)
			return text_error(error, "channels[%zu].%s: must be a string", i, key);
		if (strcmp(key, "hours") == 0)
			*hours = hours_said(text);
		else if (strcmp(key, "wait") == 0)
			*wait = text;
	}
	return true;
}

/* Hours as they were written, if they can be read. `name` is the field. */
static struct hours *check_hours(const char *text, const char *name, struct text *error)
{
	struct text why;

	text_init(&why, TEXT_ERROR_MAX);
	struct hours *hours = hours_parse(text, &why);
	if (!hours)
		text_error(error, "%s: %s", name, why.data);
	text_release(&why);
	return hours;
}

static bool read_entry(const json_t *value, size_t i, const struct product *product, const char *const *known,
		       size_t known_count, struct preference *out, struct text *error)
{
	const char *name =
		json_string_value(json_is_object(value) ? json_object_get(value, "channel") : value);
	const char *hours = "", *wait = "";
	char field[48];
	struct preference_entry entry = {0};

	if (!name)
		return text_error(
			error,
			"channels[%zu]: must be the name of a channel, like \"email\", or "
			"{\"channel\": \"email\", \"hours\": \"mon-fri 09:00-18:00\", \"wait\": \"2h\"}",
			i);
	if (!check_name(name, i, product, known, known_count, out, error) ||
	    (json_is_object(value) && !read_patience(value, i, &hours, &wait, error)))
		return false;
	snprintf(field, sizeof field, "channels[%zu].hours", i);
	struct hours *parsed = check_hours(hours, field, error);
	if (!parsed)
		return false;
	hours_free(parsed);
	if (*wait && (!duration_parse(wait, &entry.wait) || entry.wait > PREFERENCE_WAIT_MAX))
		return text_error(error,
				  "channels[%zu].wait: is not a time to wait; 30m, 2h or 3d would be right, "
				  "90d at most",
				  i);
	entry.channel = xstrdup(name);
	entry.hours = xstrdup(hours);
	out->channels[out->channel_count++] = entry;
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

/* A text that may be null or left out; "" then. NULL: it is something else. */
static const char *text_at(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	return !value || json_is_null(value) ? "" : json_string_value(value);
}

static bool read_digest(const json_t *json, struct preference *out, struct text *error)
{
	const char *digest = text_at(json, "digest");
	struct cadence cadence;
	struct text why;

	text_init(&why, TEXT_ERROR_MAX);
	bool ok = digest && cadence_parse(digest, &cadence, &why);
	if (ok && *digest)
		xreplace(&out->digest, digest);
	else if (!ok)
		text_error(error, "digest: %s", digest ? why.data : "must be a string like \"daily 08:00\"");
	text_release(&why);
	return ok;
}

static bool read_time(const json_t *json, const struct product *product, struct preference *out,
		      struct text *error)
{
	const char *hours = text_at(json, "hours"), *paused = text_at(json, "paused_until");

	if (!hours)
		return text_error(error,
				  "hours: must be a string like \"mon-fri 09:00-20:00, sat 10:00-14:00\"");
	struct hours *parsed = check_hours(hours, "hours", error);
	if (!parsed)
		return false;
	hours_free(parsed);
	xreplace(&out->hours, hours_said(hours));
	if (!paused || (*paused && !moment_parse(paused, &out->paused_until)))
		return text_error(error,
				  "paused_until: must be a moment like \"2027-01-31T08:00:00Z\", or null");
	if (out->paused_until && product && !product->may_stop)
		return text_error(
			error, "paused_until: %s cannot be paused; leave it out, or choose another channel",
			product->name);
	return read_digest(json, out, error);
}

/* A channel's hours come on top of the customer's own. */
static bool hours_agree(const struct preference *out, struct text *error)
{
	const struct choices choices = {.own = out};
	struct text with;

	text_init(&with, TEXT_ERROR_MAX);
	const struct preference_entry *entry = choices_never_open(NULL, true, &choices, &with);
	if (entry)
		preference_never_opens(out, entry, with.data, error);
	text_release(&with);
	return !entry;
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
					  "paused_until, version, given_at, source, evidence",
					  shown(key));
	}
	const json_t *source = json_object_get(json, "source"), *evidence = json_object_get(json, "evidence");
	if (source && !json_is_null(source) &&
	    (!json_is_string(source) || json_string_length(source) > SOURCE_MAX))
		return text_error(error, "source: must be a string of at most %d bytes", SOURCE_MAX);
	if (evidence && json_dumpb(evidence, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) > EVIDENCE_MAX)
		return text_error(error, "evidence: has more than %d bytes; a reference or a hash would do",
				  EVIDENCE_MAX);
	return true;
}

static void nothing_of(const struct product *product, struct preference *out)
{
	*out = (struct preference){.product = xstrdup(product ? product->name : "*"),
				   .hours = xstrdup(""),
				   .digest = xstrdup(IMMEDIATE),
				   .changed_by = xstrdup("")};
}

bool preference_from_json(const json_t *json, const struct product *product, const char *const *known,
			  size_t known_count, struct preference *out, struct text *error)
{
	nothing_of(product, out);
	return check_keys(json, error) && read_time(json, product, out, error) &&
	       read_channels(json_object_get(json, "channels"), product, known, known_count, out, error) &&
	       hours_agree(out, error);
}

bool preference_patched(const struct preference *stored, const json_t *patch, const struct product *product,
			const char *const *known, size_t known_count, struct preference *out,
			struct text *error)
{
	const bool keeps_channels = stored && !json_object_get(patch, "channels");
	const bool keeps_pause = stored && !json_object_get(patch, "paused_until");
	json_t *json = stored ? preference_to_json(stored) : json_object();

	json_object_update(json, (json_t *)patch);
	nothing_of(product, out);
	bool ok = check_keys(json, error) && read_time(json, keeps_pause ? NULL : product, out, error);
	if (ok && keeps_channels)
		copy_entries(stored, out);
	else if (ok)
		ok = read_channels(json_object_get(json, "channels"), product, known, known_count, out,
				   error);
	json_decref(json);
	return ok && hours_agree(out, error);
}

#define LIST_EXAMPLE "sms{hours=mon-fri 09:00-18:00,wait=2h},email"

static const char *trimmed(const char *at, size_t *len)
{
	while (*len && *at == ' ') {
		at++;
		--*len;
	}
	while (*len && at[*len - 1] == ' ')
		--*len;
	return at;
}

/* "hours=mon-fri 09:00-18:00, sat 10:00-14:00,wait=2h", up to the brace: a comma ends a value only before
 * the next key. */
static bool words_patience(const char *at, size_t len, json_t *entry, struct text *error)
{
	static const char *const keys[] = {"hours=", "wait="};
	const char *end = at + len, *value = NULL, *key = NULL;
	bool seen[2] = {false, false}, twice = false;

	while (at <= end) {
		size_t item = at < end ? strcspn(at, ",}") : 0, size = item;
		const char *word = trimmed(at, &size);
		for (size_t i = 0; i < 2; i++)
			if (size >= strlen(keys[i]) && strncmp(word, keys[i], strlen(keys[i])) == 0) {
				key = keys[i];
				value = word + strlen(keys[i]);
				twice = twice || seen[i];
				seen[i] = true;
			}
		if (!key || twice)
			return text_error(
				error,
				"channels: in {…} stand hours=… and wait=…, once each, as in " LIST_EXAMPLE);
		size = (size_t)(at + item - value);
		const char *text = trimmed(value, &size);
		char *name = xmemdup0(key, strlen(key) - 1);
		json_t *string = json_stringn(text, size);
		bool ok = string && json_object_set_new(entry, name, string) == 0;
		free(name);
		if (!ok)
			return text_error(error, "channels: is not UTF-8");
		at += item + 1;
	}
	return true;
}

/* One entry of the list: NAME or NAME{…}; *at moves behind it. NULL and `error`. */
static json_t *words_entry(const char **at, struct text *error)
{
	size_t len = strcspn(*at, ",{"), size = len;
	const char *name = trimmed(*at, &size), *rest = *at + len;
	json_t *entry = size ? json_stringn(name, size) : NULL;

	if (entry && *rest == '{') {
		size_t inner = strcspn(rest + 1, "}");
		entry = json_pack("{s:o}", "channel", entry);
		if (!rest[1 + inner]) {
			text_error(error, "channels: { is not closed; as in " LIST_EXAMPLE " would be right");
			goto bad;
		}
		if (!words_patience(rest + 1, inner, entry, error))
			goto bad;
		rest += inner + 2;
		rest += strspn(rest, " ");
	}
	if (!entry || (*rest && *rest != ',')) {
		text_error(error,
			   "channels: \"%s\" is not a list of channels; write names with commas between "
			   "them, like sms,email or " LIST_EXAMPLE,
			   shown(*at));
		goto bad;
	}
	*at = rest;
	return entry;
bad:
	json_decref(entry);
	return NULL;
}

json_t *preference_channels_from_words(const char *words, struct text *error)
{
	json_t *channels = json_array();

	for (const char *at = words;; at++) {
		json_t *entry = words_entry(&at, error);
		if (!entry) {
			json_decref(channels);
			return NULL;
		}
		json_array_append_new(channels, entry);
		if (!*at)
			return channels;
	}
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

json_t *preference_entry_json(const struct preference_entry *entry)
{
	char wait[MOMENT_TEXT];

	if (!*entry->hours && !entry->wait)
		return json_string(entry->channel);
	json_t *json = json_pack("{s:s}", "channel", entry->channel);
	if (*entry->hours)
		json_object_set_new(json, "hours", json_string(entry->hours));
	if (entry->wait) {
		duration_format(entry->wait, wait);
		json_object_set_new(json, "wait", json_string(wait));
	}
	return json;
}

json_t *preference_to_json(const struct preference *preference)
{
	json_t *channels = preference->has_channels ? json_array() : json_null();

	for (size_t i = 0; i < preference->channel_count; i++)
		json_array_append_new(channels, preference_entry_json(&preference->channels[i]));
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
	const struct preference *time = choices_time(choices);
	const bool pauses = time && (!product || choice_may_pause(product, product->purpose));
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
			json_array_append_new(channels,
					      applied.preference
						      ? preference_entry_json(applied_entry(&applied, i))
						      : json_string(applied_channel(product, &applied, i)));
	}
	if (!made)
		return json_pack("{s:s,s:o,s:s,s:s,s:o,s:i,s:s}", "product", product ? product->name : "*",
				 "channels", channels, "hours", time ? time->hours : "", "digest",
				 time ? time->digest : IMMEDIATE, "paused_until",
				 moment_json(pauses ? time->paused_until : 0), "version", 0, "source",
				 source);
	json = preference_to_json(made);
	json_object_set_new(json, "channels", channels);
	json_object_set_new(json, "source", json_string(source));
	return json;
}

static bool touches(const struct touched *touched, const char *changed, const char *product)
{
	if (strcmp(changed, "*") != 0)
		return product_is_within(product, changed);
	for (size_t i = 0; i < touched->count; i++)
		if (touched->preferences[i].has_channels &&
		    product_is_within(product, touched->preferences[i].product))
			return false; /* it has a choice of its own, or of the product it is a part of */
	return true;
}

bool touched_has(const struct touched *touched, const char *product)
{
	bool has = touched->product ? touches(touched, touched->product, product) : !touched->product_count;

	for (size_t i = 0; !has && i < touched->product_count; i++)
		has = touches(touched, touched->products[i], product);
	return has;
}
