#include "product.h"

#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "digest.h"
#include "hours.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define PRODUCT_NAME_MAX 64 /* bytes of each half */

/* --- reading --- */

struct reading {
	const struct config_source *source;
	const char *const *channels; /* configured */
	size_t channel_count;
	enum content_kept content;
	struct product_set *set;
	size_t mistakes;
};

static __attribute__((format(printf, 4, 5))) void wrong(struct reading *r, const char *product,
							const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	char *path = xasprintf("%s%s%s", product, *key ? "." : "", key);
	if (r->source)
		config_vwrong(r->source, path, format, args);
	va_end(args);
	free(path);
	r->mistakes++;
}

static const char *skip_name(const char *s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t first = strspn(s, letters);
	const char *end = first ? s + first +
					  strspn(s + first, "-_.ABCDEFGHIJKLMNOPQRSTUVWXYZ"
							    "abcdefghijklmnopqrstuvwxyz0123456789")
				: s;
	return end - s <= PRODUCT_NAME_MAX ? end : s;
}

bool product_name_valid(const char *name)
{
	const char *end = skip_name(name);

	if (end == name)
		return false;
	if (*end == '/') {
		const char *part = end + 1;
		end = skip_name(part);
		if (end == part)
			return false;
	}
	return !*end;
}

static bool is_among(const char *name, const char *const names[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool is_listed(const json_t *list, const char *name, size_t before)
{
	for (size_t i = 0; i < before && i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
			return true;
	return false;
}

static char **copy_list(const json_t *list, size_t *count)
{
	*count = json_array_size(list);
	char **out = xreallocarray(NULL, *count + 1, sizeof *out);
	for (size_t i = 0; i < *count; i++)
		out[i] = xstrdup(json_string_value(json_array_get(list, i)));
	return out;
}

static void check_channels(struct reading *r, const char *name, const json_t *own, const json_t *whole)
{
	const json_t *channels = json_object_get(whole, "channels"),
		     *defaults = json_object_get(whole, "default");
	bool own_channels = json_object_get(own, "channels") != NULL;
	const char *default_key = json_object_get(own, "default") ? "default" : "";
	json_t *item;
	size_t i;

	json_array_foreach(channels, i, item)
	{
		const char *channel = json_string_value(item);
		if (own_channels && !is_among(channel, r->channels, r->channel_count)) {
			char *path = xasprintf("%s.channels", name);
			config_warn(
				r->source, path,
				"names %s, which is not a channel of the configuration: it is passed over",
				channel);
			free(path);
		}
		if (own_channels && is_listed(channels, channel, i))
			wrong(r, name, "channels", "names %s twice; once would be right", channel);
	}
	json_array_foreach(defaults, i, item)
	{
		const char *channel = json_string_value(item);
		if (!is_listed(channels, channel, SIZE_MAX))
			wrong(r, name, default_key,
			      "has the default %s, which is not among its channels; one of those would be "
			      "right",
			      channel);
		if (*default_key && is_listed(defaults, channel, i))
			wrong(r, name, default_key, "names %s twice; once would be right", channel);
	}
	if (!json_array_size(channels))
		wrong(r, name, own_channels ? "channels" : "",
		      "has no channels; a list of those that may be chosen would be right, as channels: "
		      "[email]");
	else if (!json_array_size(defaults) && json_is_false(json_object_get(whole, "may_stop")))
		wrong(r, name, "",
		      "may not be stopped (may_stop: false) and has no default; a default channel would be "
		      "right");
}

/* Texts by locale. */
static void check_locales(struct reading *r, const char *name, const char *key, const json_t *own)
{
	const char *locale;
	json_t *text;

	json_object_foreach(json_object_get(own, key), locale, text)
	{
		if (locale_valid(locale))
			continue;
		char *at = xasprintf("%s.%s", key, locale);
		wrong(r, name, at, "is not a locale; en or es-AR would be right");
		free(at);
	}
}

/* Quiet hours and cap. What a part has from its product was told there. */
static void check_time(struct reading *r, const char *name, const json_t *own, const json_t *whole,
		       struct product *product)
{
	const char *cap = json_string_value(json_object_get(whole, "cap"));
	struct text why;

	text_init(&why, TEXT_ERROR_MAX);
	if (*product->quiet_hours && !(product->quiet = hours_parse_quiet(product->quiet_hours, &why)) &&
	    json_object_get(own, "quiet_hours"))
		wrong(r, name, "quiet_hours", "%s", why.data);
	text_clear(&why);
	if (!cap_parse(cap, &product->cap, &why) && json_object_get(own, "cap"))
		wrong(r, name, "cap", "%s", why.data);
	text_release(&why);
}

/* `whole`, with what it has from the one it is a part of, is checked for types and filled; `own` stands in
 * the file. */
static void add_product(struct reading *r, const char *name, const json_t *own, const json_t *whole)
{
	struct product *product = &r->set->products[r->set->count++];
	const char *content = json_string_value(json_object_get(whole, "content"));

	*product = (struct product){
		.name = xstrdup(name),
		.title = json_incref(json_object_get(whole, "title")),
		.description = json_incref(json_object_get(whole, "description")),
		.may_stop = json_is_true(json_object_get(whole, "may_stop")),
		.content = r->content,
		.urgent = json_is_true(json_object_get(whole, "urgent")),
		.quiet_hours = xstrdup(json_string_value(json_object_get(whole, "quiet_hours"))),
	};
	check_time(r, name, own, whole, product);
	if (!product->title)
		product->title = json_object();
	if (!product->description)
		product->description = json_object();
	purpose_parse(json_string_value(json_object_get(whole, "purpose")), &product->purpose);
	if (content)
		content_kept_parse(content, &product->content);
	const char *expires = json_string_value(json_object_get(whole, "expires_after"));
	if (expires)
		duration_parse(expires, &product->expires_after);
	product->channels = copy_list(json_object_get(whole, "channels"), &product->channel_count);
	product->defaults = copy_list(json_object_get(whole, "default"), &product->default_count);
}

/* What a purpose asks of the rest. */
static void check_purpose(struct reading *r, const char *name, const json_t *own,
			  const struct product *product)
{
	if (product->urgent && product->purpose != PURPOSE_CRITICAL)
		wrong(r, name, "urgent", "%sis for purpose critical only; that, or %s, would be right",
		      json_object_get(own, "urgent") ? "" : "has it from its product, and it ",
		      json_object_get(own, "urgent") ? "no urgent" : "urgent: false");
	if (product->purpose == PURPOSE_MARKETING && product->default_count) {
		char *path = xasprintf("%s.default", name);
		config_warn(r->source, path,
			    "does nothing: marketing goes only to whom opted in, never by default; [] would "
			    "be right");
		free(path);
	}
}

/* What stands in the file for a product, on top of what stands for the one it is a part of; defaults filled.
 */
static json_t *whole_of(const json_t *parent, json_t *own)
{
	json_t *whole = parent ? json_copy((json_t *)parent) : json_object();
	json_object_update(whole, own);
	json_t *one = json_pack("{s:o}", "product", whole);
	config_fill_tree(one, &product_table);
	json_incref(whole);
	json_decref(one);
	return whole;
}

/* What stands in the file for a product, without the keys where a mistake was found. */
static json_t *sound_keys(const struct reading *r, const char *name, const json_t *product)
{
	json_t *sound = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)product, key, value)
	{
		char *path = xasprintf("%s.%s", name, key);
		if (!config_is_broken(r->source, path))
			json_object_set(sound, key, value);
		free(path);
	}
	return sound;
}

/* Do the product and the one it is a part of say nothing wrong of these keys (NULL-terminated), so that they
 * may be held against each other? */
static bool keys_sound(const struct reading *r, const char *name, const json_t *own, const char *parent,
		       const char *const keys[])
{
	bool sound = !*parent || !config_is_doubtful(r->source, parent);

	for (size_t i = 0; keys[i]; i++) {
		const char *from = *parent && !json_object_get(own, keys[i]) ? parent : name;
		char *path = xasprintf("%s.%s", from, keys[i]);
		sound = sound && !config_is_broken(r->source, path);
		free(path);
	}
	return sound;
}

static void read_product(struct reading *r, const char *name, json_t *own)
{
	static const char *const about_channels[] = {"channels", "default", "may_stop", NULL};
	static const char *const about_purpose[] = {"purpose", "urgent", "default", NULL};
	json_t *parent = NULL;
	char *parent_name = NULL;
	const char *slash = strchr(name, '/');

	if (!product_name_valid(name)) {
		wrong(r, name, "",
		      "is not a product's name; letters, digits, - and _ would be right, and one / before a "
		      "part");
		return;
	}
	if (slash) {
		parent_name = xmemdup0(name, (size_t)(slash - name));
		parent = json_object_get(r->source->values, parent_name);
		if (!parent)
			wrong(r, name, "", "is a part of %s, which is not there; write %s: above it",
			      parent_name, parent_name);
	}
	if ((!slash || parent) && !config_is_doubtful(r->source, name)) {
		const char *above = parent_name ? parent_name : "";
		bool fine = !config_is_broken(r->source, name) &&
			    (!parent || !config_is_broken(r->source, above));
		bool channels_sound = keys_sound(r, name, own, above, about_channels);
		json_t *sound = sound_keys(r, name, own);
		json_t *sound_parent = parent ? sound_keys(r, above, parent) : NULL;
		json_t *whole = whole_of(sound_parent, sound);
		/* without channels, what else is wrong may be their name */
		if (channels_sound && (fine || json_object_get(whole, "channels")))
			check_channels(r, name, sound, whole);
		check_locales(r, name, "title", sound);
		check_locales(r, name, "description", sound);
		/* of a set with a mistake nothing is used; all the others are found all the same */
		add_product(r, name, sound, whole);
		if (keys_sound(r, name, own, above, about_purpose))
			check_purpose(r, name, sound, &r->set->products[r->set->count - 1]);
		json_decref(whole);
		json_decref(sound);
		json_decref(sound_parent);
	}
	free(parent_name);
}

static int product_order(const void *a, const void *b)
{
	return strcmp(((const struct product *)a)->name, ((const struct product *)b)->name);
}

static void link_parts(struct product_set *set)
{
	qsort(set->products, set->count, sizeof *set->products, product_order);
	for (size_t i = 0; i < set->count; i++) {
		const char *slash = strchr(set->products[i].name, '/');
		if (!slash)
			continue;
		char *parent = xmemdup0(set->products[i].name, (size_t)(slash - set->products[i].name));
		set->products[i].parent = product_find(set, parent);
		free(parent);
	}
}

static void read_products(struct reading *r)
{
	json_t *all = r->source->values, *own;
	const char *name;

	r->set->products = xcalloc(json_object_size(all) + 1, sizeof *r->set->products);
	if (json_object_size(all) == 0)
		wrong(r, "", "", "has no product; at least one would be right");
	json_object_foreach(all, name, own)
	{
		read_product(r, name, own);
	}
	link_parts(r->set);
	r->set->body = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
	char hash[2 * SHA256_SIZE + 1];
	digest_sha256_hex(r->set->body, strlen(r->set->body), hash);
	r->set->hash = xstrdup(hash);
}

struct product_set *product_set_read(const char *file, const char *const channels[], size_t channel_count,
				     enum content_kept content, struct config_report *report)
{
	struct text error;
	struct product_set *set = NULL;

	text_init(&error, CONFIG_REPORT_MAX);
	struct config_tree *tree = config_tree_read(file, &error);
	if (!tree) {
		text_addf(&report->errors, "%s%s", report->errors.len ? "\n" : "", error.data);
		goto out;
	}
	struct config_source source = {.file = file,
				       .tree = tree,
				       .values = config_tree_json(tree),
				       .errors = &report->errors,
				       .warnings = &report->warnings,
				       .doubtful = json_object()};
	bool fine = config_check_tree(&source, &product_table);
	set = xcalloc(1, sizeof *set);
	struct reading r = {.source = &source,
			    .channels = channels,
			    .channel_count = channel_count,
			    .content = content,
			    .set = set};
	if (json_is_object(source.values))
		read_products(&r);
	json_decref(source.doubtful);
	if (!fine || r.mistakes) {
		product_set_free(set);
		set = NULL;
	}
out:
	config_tree_free(tree);
	text_release(&error);
	return set;
}

struct product_set *product_set_kept(const json_t *products)
{
	struct product_set *set = xcalloc(1, sizeof *set);
	struct reading r = {.set = set};
	const char *name;
	json_t *own;

	set->products = xcalloc(json_object_size(products) + 1, sizeof *set->products);
	json_object_foreach((json_t *)products, name, own)
	{
		const char *slash = strchr(name, '/');
		char *above = xmemdup0(name, slash ? (size_t)(slash - name) : 0);
		json_t *parent = slash ? json_object_get(products, above) : NULL;
		json_t *whole = json_is_object(own) ? whole_of(parent, own) : NULL;
		r.mistakes += !whole;
		if (whole)
			add_product(&r, name, own, whole);
		json_decref(whole);
		free(above);
	}
	link_parts(set);
	set->hash = xstrdup("");
	set->body = xstrdup("");
	if (!r.mistakes && set->count)
		return set;
	product_set_free(set);
	return NULL;
}

/* --- asking --- */

bool content_kept_parse(const char *name, enum content_kept *content)
{
	static const char *const names[] = {"full", "summary", "none"};

	for (int i = 0; i < 3; i++) {
		if (strcmp(name, names[i]) == 0) {
			*content = (enum content_kept)i;
			return true;
		}
	}
	return false;
}

static int name_order(const void *name, const void *product)
{
	return strcmp(name, ((const struct product *)product)->name);
}

const struct product *product_find(const struct product_set *set, const char *name)
{
	return bsearch(name, set->products, set->count, sizeof *set->products, name_order);
}

enum purpose product_purpose(const struct product *product, enum purpose said)
{
	return said < product->purpose ? product->purpose : said;
}

bool product_is_within(const char *product, const char *of)
{
	size_t len = strlen(of);

	return strncmp(product, of, len) == 0 && (product[len] == '\0' || product[len] == '/');
}

bool product_offers(const struct product *product, const char *channel)
{
	return is_among(channel, (const char *const *)product->channels, product->channel_count);
}

/* In the locale, or in its language: what stands before the first - or _. */
static const char *in_locale(const json_t *texts, const char *locale)
{
	const char *text = json_string_value(json_object_get(texts, locale));

	if (!text && locale[strcspn(locale, "-_")]) {
		char *language = xmemdup0(locale, strcspn(locale, "-_"));
		text = json_string_value(json_object_get(texts, language));
		free(language);
	}
	return text;
}

static const char *localised(const json_t *texts, const char *locale, const char *fallback)
{
	const char *text = in_locale(texts, locale);

	if (!text)
		text = in_locale(texts, fallback);
	if (!text)
		text = json_string_value(json_object_iter_value(json_object_iter((json_t *)texts)));
	return text;
}

const char *product_title(const struct product *product, const char *locale, const char *fallback)
{
	const char *text = localised(product->title, locale, fallback);
	return text ? text : product->name;
}

const char *product_description(const struct product *product, const char *locale, const char *fallback)
{
	const char *text = localised(product->description, locale, fallback);
	return text ? text : "";
}

void product_set_free(struct product_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++) {
		struct product *product = &set->products[i];
		for (size_t j = 0; j < product->channel_count; j++)
			free(product->channels[j]);
		for (size_t j = 0; j < product->default_count; j++)
			free(product->defaults[j]);
		free(product->name);
		free(product->channels);
		free(product->defaults);
		free(product->quiet_hours);
		hours_free(product->quiet);
		json_decref(product->title);
		json_decref(product->description);
	}
	free(set->products);
	free(set->hash);
	free(set->body);
	free(set);
}
