#include "templates.h"
#include "templates_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "channel.h"
#include "json_scan.h"
#include "xalloc.h"
#include "banned.h"

struct template_set *templates_hold(struct template_set *set)
{
	atomic_fetch_add_explicit(&set->holders, 1, memory_order_relaxed);
	return set;
}

static void template_release(struct template *t)
{
	for (size_t i = 0; i < t->file_count; i++) {
		free(t->files[i].name);
		free(t->files[i].locale);
		mustache_free(t->files[i].compiled);
	}
	for (size_t i = 0; i < t->required_count; i++)
		free(t->required[i]);
	free(t->files);
	free(t->required);
	free(t->name);
	json_decref(t->source);
}

void templates_drop(struct template_set *set)
{
	if (!set || atomic_fetch_sub_explicit(&set->holders, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < set->count; i++)
		template_release(&set->templates[i]);
	for (size_t i = 0; i < set->partial_count; i++) {
		free(set->partials[i].name);
		mustache_free(set->partials[i].compiled);
		json_decref(set->partials[i].source);
	}
	free(set->templates);
	free(set->partials);
	free(set);
}

static int template_is_named(const void *name, const void *element)
{
	return strcmp(name, ((const struct template *)element)->name);
}

static int partial_is_named(const void *name, const void *element)
{
	return strcmp(name, ((const struct template_partial *)element)->name);
}

const struct template *templates_find(const struct template_set *set, const char *name)
{
	return set->count
		       ? bsearch(name, set->templates, set->count, sizeof *set->templates, template_is_named)
		       : NULL;
}

const struct template_partial *templates_partial(const struct template_set *set, const char *name)
{
	return set->partial_count ? bsearch(name, set->partials, set->partial_count, sizeof *set->partials,
					    partial_is_named)
				  : NULL;
}

size_t templates_count(const struct template_set *set)
{
	return set->count;
}

const struct template *templates_at(const struct template_set *set, size_t i)
{
	return &set->templates[i];
}

const char *template_name(const struct template *t)
{
	return t->name;
}

const char *template_hash(const struct template *t)
{
	return t->hash;
}

json_t *template_source(const struct template *t)
{
	return json_incref(t->source);
}

/* How well a file's locale serves the one wanted: the longest that it begins with, then the template's own,
 * then any. */
static size_t locale_score(const char *has, const char *wanted)
{
	size_t len = strlen(has);

	if (!len)
		return 2;
	if (strncasecmp(has, wanted, len) == 0 && (wanted[len] == '\0' || wanted[len] == '-'))
		return 2 + len;
	return 1;
}

/* The file `channel``suffix` that serves the locale best; NULL if there is none in any. */
static const struct template_file *find_file(const struct template *t, const char *channel,
					     const char *suffix, const char *locale)
{
	const struct template_file *best = NULL;
	size_t len = strlen(channel), best_score = 0;

	for (size_t i = 0; i < t->file_count; i++) {
		const struct template_file *file = &t->files[i];
		if (*file->name != *channel || strncmp(file->name, channel, len) != 0 ||
		    strcmp(file->name + len, suffix) != 0)
			continue;
		size_t score = locale_score(file->locale, locale);
		if (score > best_score) {
			best = file;
			best_score = score;
		}
	}
	return best;
}

/* Whose files a mail channel uses: its own where it has a body of its own, so that two families do not mix.
 */
static const char *mail_family(const struct template *t, const char *channel)
{
	return find_file(t, channel, ".text", "") || find_file(t, channel, ".html", "") ? channel : "email";
}

static const struct template_file *find_json(const struct template *t, const char *channel,
					     const char *locale)
{
	const struct template_file *file = find_file(t, channel, "", locale);

	return file ? file : find_file(t, "webhook", "", locale);
}

bool template_has(const struct template *t, const char *channel, enum channel_text text)
{
	bool has = false;

	switch (text) {
	case CHANNEL_TEXT_MAIL:
		channel = mail_family(t, channel);
		has = find_file(t, channel, ".text", "") || find_file(t, channel, ".html", "");
		break;
	case CHANNEL_TEXT_JSON:
		has = find_json(t, channel, "") != NULL;
		break;
	case CHANNEL_TEXT_PLAIN:
		has = find_file(t, channel, "", "") != NULL;
		break;
	}
	return has;
}

static bool data_has(const json_t *data, const char *name)
{
	while (data) {
		size_t len = strcspn(name, ".");
		data = json_object_getn(data, name, len);
		if (!name[len])
			break;
		name += len + 1;
	}
	return data && !json_is_null(data);
}

bool template_check_data(const struct template *t, const json_t *data, struct text *error)
{
	struct text missing;

	text_init(&missing, TEXT_ERROR_MAX);
	for (size_t i = 0; i < t->required_count; i++) {
		if (!data_has(data, t->required[i]))
			text_addf(&missing, "%s%s", missing.len ? ", " : "", t->required[i]);
	}
	bool complete = !missing.len;
	if (!complete)
		text_error(error, "data: lacks what the template '%s' requires: %s", t->name, missing.data);
	text_release(&missing);
	return complete;
}

/* --- rendering --- */

struct rendering {
	const struct render_input *input;
	json_t *stack[2];
	struct rendered *out;
	struct text *error;
};

static const struct mustache *find_partial(const void *context, const char *name)
{
	const struct template_partial *partial = templates_partial(context, name);

	return partial ? partial->compiled : NULL;
}

static void put(json_t *object, const char *key, const char *value)
{
	json_object_set_new_nocheck(object, key, json_string_nocheck(value));
}

/* A link of the kind; without one it is null, which prints as "". */
static void put_link(json_t *own, const char *key, const struct render_input *input, enum link_kind kind)
{
	struct link link = input->link;
	struct text url;

	text_init(&url, LINK_URL_MAX);
	link.kind = kind;
	if (kind == LINK_STOP)
		link.expires_at = 0;
	if (input->links && (kind != LINK_STOP || input->may_stop)) {
		if (link.customer)
			link_url(input->links, &link, input->customer_id, &url);
		else
			text_addf(&url, "%s/%s/%0*d", link_public_url(input->links),
				  kind == LINK_STOP ? "u" : "p", LINK_TOKEN_LEN, 0);
	}
	if (url.len)
		put(own, key, url.data);
	else
		json_object_set_new_nocheck(own, key, json_null()); /* {{#preferences_url}} is false */
	text_release(&url);
}

/* What the gateway adds to data. On top of it, so that data cannot speak for the gateway. */
static json_t *make_own(const struct render_input *input)
{
	json_t *own = json_object(), *customer = json_object();
	json_t *product = json_object(), *message = json_object();

	put(customer, "id", input->customer_id);
	if (input->customer_name[0])
		put(customer, "name", input->customer_name);
	else
		json_object_set_new_nocheck(customer, "name", json_null()); /* {{#customer.name}} is false */
	put(customer, "locale", input->locale);
	put(product, "id", input->product);
	put(product, "title", input->product_title);
	put(message, "id", input->message_id);
	json_object_set_new_nocheck(own, "customer", customer);
	json_object_set_new_nocheck(own, "product", product);
	json_object_set_new_nocheck(own, "message", message);
	if (input->template->links) { /* else nobody asks for them */
		put_link(own, "preferences_url", input, LINK_CHOOSE);
		put_link(own, "unsubscribe_url", input, LINK_STOP);
	}
	return own;
}

static bool render_file(const struct rendering *r, const struct template_file *file, enum escape escape,
			struct text *out)
{
	const struct mustache_partials partials = {find_partial, r->input->templates};
	struct text why;

	text_init(&why, TEXT_ERROR_MAX);
	bool done = mustache_render(file->compiled, r->stack, 2, &partials, escape, out, &why);
	if (!done)
		text_error(r->error, "template '%s', %s%s%s: %s", r->input->template->name, file->locale,
			   file->locale[0] ? "/" : "", file->name, why.data);
	text_release(&why);
	return done;
}

/* Appends on one line: runs of controls, and of spaces where `spaces`, become one space; none at the ends; at
 * most `max` characters. */
static void add_line(struct text *out, const char *s, size_t len, bool spaces, size_t max)
{
	size_t start = out->len, characters = 0;
	bool gap = false;

	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)s[i];
		size_t width = 1;
		if (c < ' ' || c == 0x7f || (c == ' ' && (spaces || out->len == start))) {
			gap = true;
			i++;
			continue;
		}
		while (i + width < len && ((unsigned char)s[i + width] & 0xC0) == 0x80)
			width++;
		if (gap && out->len > start && ++characters <= max)
			text_putc(out, ' ');
		gap = false;
		if (++characters > max)
			break;
		text_add(out, s + i, width);
		i += width;
	}
	while (out->len > start && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
}

static void make_summary(struct text *summary, const struct text *subject, const struct text *text)
{
	const struct text *from = subject->len ? subject : text;

	add_line(summary, from->data, from->len, true, TEMPLATE_SUMMARY_MAX);
}

static bool subject_fits(const struct rendering *r)
{
	return !r->out->subject.full ||
	       text_error(r->error, "the subject is longer than %d bytes", TEMPLATE_SUBJECT_MAX);
}

/* A subject is written for the mail; where the template has one it also is the summary on other channels. */
static bool render_subject(const struct rendering *r, const char *channel, struct text *out)
{
	const struct render_input *in = r->input;
	const struct template_file *file = find_file(in->template, channel, ".subject", in->locale);
	struct text raw;

	if (!file)
		file = find_file(in->template, "email", ".subject", in->locale);
	if (!file)
		return true;
	text_init(&raw, MUSTACHE_OUTPUT_MAX);
	bool done = render_file(r, file, ESCAPE_NONE, &raw);
	if (done)
		add_line(out, raw.data, raw.len, false, raw.len);
	text_release(&raw);
	return done;
}

static bool render_summary(const struct rendering *r, const char *channel, bool has_subject)
{
	const struct render_input *in = r->input;
	const struct template_file *file = find_file(in->template, "summary", "", in->locale);
	struct text raw;
	bool done = true;

	text_init(&raw, MUSTACHE_OUTPUT_MAX);
	if (file)
		done = render_file(r, file, ESCAPE_NONE, &raw);
	else if (has_subject)
		text_add(&raw, r->out->subject.data, r->out->subject.len);
	else
		done = render_subject(r, channel, &raw);
	if (done)
		make_summary(&r->out->summary, &raw, &r->out->text);
	text_release(&raw);
	return done;
}

static bool render_body(const struct rendering *r, const struct template_file *file, enum escape escape,
			struct text *out)
{
	if (!file)
		return true;
	if (!r->out->locale)
		r->out->locale = xstrdup(file->locale);
	return render_file(r, file, escape, out);
}

static bool render_mail(const struct rendering *r, const char *channel)
{
	const struct render_input *in = r->input;
	const char *family = mail_family(in->template, channel);
	const struct template_file *text = find_file(in->template, family, ".text", in->locale);
	const struct template_file *html = find_file(in->template, family, ".html", in->locale);

	return render_subject(r, channel, &r->out->subject) && subject_fits(r) &&
	       render_body(r, text, ESCAPE_NONE, &r->out->text) &&
	       render_body(r, html, ESCAPE_HTML, &r->out->html);
}

/* Every valid JSON text passes: numbers of any size, NUL, values that are no object. */
static bool check_json(const struct rendering *r, const struct template_file *file)
{
	const struct text *body = &r->out->text;
	json_error_t wrong;

	if (json_surely_valid(body->data, body->len))
		return true;
	json_t *json = json_loadb(body->data, body->len,
				  JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &wrong);
	if (!json)
		return text_error(r->error, "template '%s', %s%s%s: the rendered body is not JSON: %d:%d: %s",
				  r->input->template->name, file->locale, file->locale[0] ? "/" : "",
				  file->name, wrong.line, wrong.column, wrong.text);
	json_decref(json);
	return true;
}

static bool render_json(const struct rendering *r, const char *channel)
{
	const struct template_file *file = find_json(r->input->template, channel, r->input->locale);

	return render_body(r, file, ESCAPE_JSON, &r->out->text) && (!file || check_json(r, file));
}

/* The newline that ends a file does not belong to a text message. */
static bool render_plain(const struct rendering *r, const char *channel)
{
	const struct template_file *file = find_file(r->input->template, channel, "", r->input->locale);
	struct text *text = &r->out->text;

	bool done = render_body(r, file, ESCAPE_NONE, text);
	while (text->len && strchr(" \t\r\n", text->data[text->len - 1]))
		text->data[--text->len] = '\0';
	return done;
}

static bool render_template(struct rendering *r, const char *channel, enum channel_text text)
{
	struct rendered *out = r->out;
	bool done = false;

	if (!template_has(r->input->template, channel, text))
		return text_error(r->error, "template '%s' has no text for %s", r->input->template->name,
				  channel);
	json_t *own = make_own(r->input);
	r->stack[0] = r->input->data;
	r->stack[1] = own;
	switch (text) {
	case CHANNEL_TEXT_MAIL:
		done = render_mail(r, channel);
		break;
	case CHANNEL_TEXT_JSON:
		done = render_json(r, channel);
		break;
	case CHANNEL_TEXT_PLAIN:
		done = render_plain(r, channel);
		break;
	}
	done = done && render_summary(r, channel, text == CHANNEL_TEXT_MAIL);
	if (done && text == CHANNEL_TEXT_MAIL && !out->text.len && !out->html.len)
		done = text_error(r->error, "template '%s': text and html came out empty",
				  r->input->template->name);
	json_decref(own);
	return done;
}

static void add_content(const struct rendering *r, const char *key, struct text *out)
{
	const json_t *value = json_object_get(r->input->content, key);

	text_add(out, json_string_value(value), json_string_length(value));
}

static void add_member(struct text *out, const char *key, const char *value, size_t len)
{
	text_addf(out, "%c\"%s\":\"", out->len ? ',' : '{', key);
	mustache_escape(ESCAPE_JSON, value, len, out);
	text_putc(out, '"');
}

/* Content as it came: nothing in it is expanded. */
static bool render_content(const struct rendering *r, enum channel_text text)
{
	struct rendered *out = r->out;
	const struct render_input *in = r->input;
	const json_t *subject = json_object_get(in->content, "subject");
	struct text body;

	text_init(&body, MUSTACHE_OUTPUT_MAX);
	add_content(r, "text", &body);
	add_line(&out->subject, json_string_value(subject), json_string_length(subject), false, SIZE_MAX);
	make_summary(&out->summary, &out->subject, &body);
	bool done = subject_fits(r);
	if (!out->subject.len)
		add_line(&out->subject, in->product_title, strlen(in->product_title), false, SIZE_MAX);
	if (text == CHANNEL_TEXT_JSON) {
		add_member(&out->text, "id", in->message_id, strlen(in->message_id));
		add_member(&out->text, "product", in->product, strlen(in->product));
		add_member(&out->text, "subject", out->subject.data, out->subject.len);
		add_member(&out->text, "text", body.data, body.len);
		text_putc(&out->text, '}');
	} else {
		text_add(&out->text, body.data, body.len);
	}
	if (text == CHANNEL_TEXT_MAIL)
		add_content(r, "html", &out->html);
	text_release(&body);
	if (done && (out->text.full || out->html.full || body.full))
		done = text_error(r->error, "the content is longer than %d bytes", MUSTACHE_OUTPUT_MAX);
	if (done && !out->text.len)
		done = text_error(r->error, "the content has no text");
	return done;
}

/* Its summary file or its subject, without the rest. */
static bool render_short(const struct render_input *input, const char *channel, struct text *summary,
			 struct text *error)
{
	struct rendered out = {0};
	struct rendering r = {.input = input, .out = &out, .error = error};
	json_t *own = make_own(input);

	r.stack[0] = input->data;
	r.stack[1] = own;
	text_init(&out.text, MUSTACHE_OUTPUT_MAX);
	text_init(&out.summary, (size_t)4 * TEMPLATE_SUMMARY_MAX);
	bool done = render_summary(&r, channel, false);
	text_add(summary, out.summary.data, out.summary.len);
	text_release(&out.text);
	text_release(&out.summary);
	json_decref(own);
	return done;
}

/* The summary of a digest's item, which need not have a text for the channel. */
static bool render_item(const struct render_input *input, const char *channel, enum channel_text text,
			struct text *summary, struct text *error)
{
	const struct template *t = input->template;
	struct rendered out;

	if (t &&
	    (find_file(t, "summary", "", input->locale) || find_file(t, channel, ".subject", input->locale) ||
	     find_file(t, "email", ".subject", input->locale)))
		return render_short(input, channel, summary, error);
	bool mail = t && !template_has(t, channel, text);
	bool done = templates_render(input, mail ? "email" : channel, mail ? CHANNEL_TEXT_MAIL : text, &out,
				     error);
	text_add(summary, out.summary.data, out.summary.len);
	rendered_release(&out);
	return done;
}

/* What a digest's template sees; NULL: an item can't be rendered. */
static json_t *digest_data(const struct render_input *input, const char *channel, enum channel_text text,
			   struct text *error)
{
	json_t *items = json_array();
	bool done = true;

	for (size_t i = 0; done && i < input->item_count; i++) {
		const struct attempt_item *item = &input->items[i];
		struct render_input one = *input;
		struct text summary;
		one.items = NULL;
		one.item_count = 0;
		one.template = item->template;
		one.content = item->content;
		one.data = item->data;
		one.locale = item->locale;
		one.message_id = item->message_id;
		text_init(&summary, (size_t)4 * TEMPLATE_SUMMARY_MAX);
		done = render_item(&one, channel, text, &summary, error);
		json_array_append_new(items, json_pack("{s:s, s:s, s:b}", "id", item->message_id, "summary",
						       summary.len ? summary.data : "", "more",
						       i + 1 < input->item_count));
		text_release(&summary);
	}
	if (!done) {
		json_decref(items);
		return NULL;
	}
	return json_pack("{s:o, s:i}", "items", items, "count", (int)input->item_count);
}

bool templates_render(const struct render_input *input, const char *channel, enum channel_text text,
		      struct rendered *out, struct text *error)
{
	struct render_input digest = *input;
	struct rendering r = {.input = input, .out = out, .error = error};
	bool done = true;

	if (input->item_count) {
		digest.data = digest_data(input, channel, text, error);
		done = digest.data != NULL;
		r.input = &digest;
	}
	out->locale = NULL;
	text_init(&out->subject, TEMPLATE_SUBJECT_MAX);
	text_init(&out->text, MUSTACHE_OUTPUT_MAX);
	text_init(&out->html, MUSTACHE_OUTPUT_MAX);
	text_init(&out->summary, (size_t)4 * TEMPLATE_SUMMARY_MAX);
	if (done)
		done = input->template ? render_template(&r, channel, text) : render_content(&r, text);
	if (text == CHANNEL_TEXT_MAIL && !out->subject.len)
		add_line(&out->subject, input->product_title, strlen(input->product_title), false, SIZE_MAX);
	else if (text != CHANNEL_TEXT_MAIL)
		text_clear(&out->subject);
	if (done && !out->summary.len)
		make_summary(&out->summary, &out->subject, &out->text);
	if (!out->locale)
		out->locale = xstrdup("");
	if (input->item_count)
		json_decref(digest.data);
	return done;
}

char *templates_summary(const char *text)
{
	struct text summary;

	text_init(&summary, (size_t)4 * TEMPLATE_SUMMARY_MAX);
	add_line(&summary, text, strlen(text), true, TEMPLATE_SUMMARY_MAX);
	return text_detach(&summary);
}

void rendered_release(struct rendered *rendered)
{
	text_release(&rendered->subject);
	text_release(&rendered->text);
	text_release(&rendered->html);
	text_release(&rendered->summary);
	free(rendered->locale);
	rendered->locale = NULL;
}
