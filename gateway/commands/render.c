/* heed render: what a template makes of data, without sending anything. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "cli.h"
#include "config.h"
#include "file.h"
#include "json_read.h"
#include "mustache.h"
#include "suggest.h"
#include "templates.h"
#include "xalloc.h"
#include "banned.h"

struct options {
	const char *template, *channel;
	const char *locale;
	const char *mustache, *partials;
	const char *data_words;
	bool json;
	json_t *data; /* owned */
};

/* --- heed render --mustache FILE --- */

/* The partials of a folder, read when they are first named. */
struct folder {
	const char *path;
	struct partial {
		struct partial *next;
		char *name;
		struct mustache *template; /* NULL: there is none */
	} * first;
	struct text *error; /* of the first that is broken */
};

static struct mustache *read_mustache(const char *path, struct text *error)
{
	struct mustache *template = NULL;
	struct text source, what;

	text_init(&source, MUSTACHE_SOURCE_MAX);
	text_init(&what, TEXT_ERROR_MAX);
	if (file_read(path, MUSTACHE_SOURCE_MAX, &source, &what))
		template = mustache_compile(source.data, source.len, &what);
	if (!template)
		text_error(error, "%s: %s", path, what.data);
	text_release(&source);
	text_release(&what);
	return template;
}

static struct mustache *read_partial(struct folder *folder, const char *name)
{
	struct mustache *template = NULL;

	/* Such a name could lead out of the folder: it is never looked for. */
	if (strchr(name, '/'))
		return NULL;
	char *path = xasprintf("%s/%s.mustache", folder->path, name);
	if (access(path, F_OK) == 0) {
		struct text error;
		text_init(&error, TEXT_ERROR_MAX);
		template = read_mustache(path, &error);
		if (!template && !folder->error->len)
			text_puts(folder->error, error.data);
		text_release(&error);
	}
	free(path);
	return template;
}

static const struct mustache *find_partial(const void *context, const char *name)
{
	struct folder *folder = *(struct folder *const *)context;

	for (const struct partial *p = folder->first; p; p = p->next) {
		if (strcmp(p->name, name) == 0)
			return p->template;
	}
	struct partial *p = xcalloc(1, sizeof *p);
	p->next = folder->first;
	p->name = xstrdup(name);
	p->template = read_partial(folder, name);
	folder->first = p;
	return p->template;
}

static void folder_release(struct folder *folder)
{
	struct partial *next;

	for (struct partial *p = folder->first; p; p = next) {
		next = p->next;
		mustache_free(p->template);
		free(p->name);
		free(p);
	}
}

static int render_mustache(const struct options *options)
{
	struct text out, error;
	int status = STATUS_FAILED;

	text_init(&out, MUSTACHE_OUTPUT_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	struct folder folder = {.path = options->partials, .error = &error};
	struct folder *found_in = &folder;
	struct mustache_partials partials = {find_partial, &found_in};
	struct mustache *template = read_mustache(options->mustache, &error);
	if (!template)
		goto out;
	struct text failed;
	text_init(&failed, TEXT_ERROR_MAX);
	if (!mustache_render(template, &options->data, 1, options->partials ? &partials : NULL, ESCAPE_HTML,
			     &out, &failed) &&
	    !error.len)
		text_error(&error, "%s: %s", options->mustache, failed.data);
	text_release(&failed);
	if (!error.len) {
		fwrite(out.data, 1, out.len, stdout);
		status = STATUS_DONE;
	}
out:
	if (error.len)
		cli_error("render: %s", error.data);
	mustache_free(template);
	folder_release(&folder);
	text_release(&out);
	text_release(&error);
	return status;
}

/* --- heed render TEMPLATE CHANNEL --- */

static const struct channel_config *find_channel(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->channel_count; i++) {
		if (strcmp(config->channels[i].name, name) == 0)
			return &config->channels[i];
	}
	return NULL;
}

/* A preview has no message: what the gateway would say of it may be given in the data. */
static const char *sample(const json_t *data, const char *object, const char *key, const char *otherwise)
{
	const char *value = json_string_value(json_object_get(json_object_get(data, object), key));

	return value ? value : otherwise;
}

/* `segments`: of a short message; 0: it is none. */
static void print_rendered(const struct rendered *r, enum channel_text text, int segments, bool json)
{
	if (json) {
		json_t *object =
			json_pack("{s:s, s:s%, s:s%, s:s%, s:s%}", "locale", r->locale, "subject",
				  r->subject.data, r->subject.len, "text", r->text.data, r->text.len, "html",
				  r->html.data, r->html.len, "summary", r->summary.data, r->summary.len);
		if (segments)
			json_object_set_new(object, "segments", json_integer(segments));
		cli_json(object);
		json_decref(object);
		return;
	}
	if (text == CHANNEL_TEXT_MAIL)
		printf("Subject: %s\n\n", r->subject.data);
	fwrite(r->text.data, 1, r->text.len, stdout);
	if (r->text.len && r->text.data[r->text.len - 1] != '\n')
		putchar('\n');
	if (r->html.len)
		printf("%s%s", r->text.len ? "\n" : "", r->html.data);
	if (r->html.len && r->html.data[r->html.len - 1] != '\n')
		putchar('\n');
}

static void no_such_template(const struct config *config, const char *name, struct text *error)
{
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (size_t i = 0; i < templates_count(config->templates); i++)
		suggest_look(&suggest, template_name(templates_at(config->templates, i)));
	text_error(error, "there is no template '%s' in the configuration's templates", name);
	if (suggest.best)
		text_addf(error, "; did you mean %s?", suggest.best);
}

static void no_such_channel(const struct config *config, const char *name, struct text *error)
{
	text_error(error, "there is no channel '%s' in the configuration; it has", name);
	for (size_t i = 0; i < config->channel_count; i++)
		text_addf(error, "%s %s", i ? "," : "", config->channel_names[i]);
}

static int render_in(const struct config *config, const struct options *options, struct text *error)
{
	const struct template *template = templates_find(config->templates, options->template);
	const struct channel_config *channel = find_channel(config, options->channel);
	struct rendered rendered;

	if (!template) {
		no_such_template(config, options->template, error);
		return STATUS_FAILED;
	}
	if (!channel) {
		no_such_channel(config, options->channel, error);
		return STATUS_FAILED;
	}
	if (!template_has(template, channel->name, channel->ops->text)) {
		text_error(error, "the template '%s' has no text for %s", options->template, channel->name);
		return STATUS_FAILED;
	}
	if (!template_check_data(template, options->data, error)) {
		text_puts(error, "; --data '{\"NAME\":…}' gives it");
		return STATUS_FAILED;
	}
	const char *name = sample(options->data, "product", "id", "");
	const struct product *product = product_find(config->products, name);
	const char *locale = options->locale ? options->locale : config->customers.locale;
	const char *title = product ? product_title(product, locale, config->customers.locale) : name;
	struct render_input input = {
		.templates = config->templates,
		.template = template,
		.data = options->data,
		.locale = locale,
		.message_id = sample(options->data, "message", "id", "preview"),
		.customer_id = sample(options->data, "customer", "id", ""),
		.customer_name = sample(options->data, "customer", "name", ""),
		.product = name,
		.product_title = sample(options->data, "product", "title", title),
		.links = config->links,
		.may_stop = !product || product->may_stop,
	};
	int segments = 0;
	bool done = templates_render(&input, channel->name, channel->ops->text, &rendered, error) &&
		    channel_count_segments(channel, rendered.text.data, &segments, error);
	if (done)
		print_rendered(&rendered, channel->ops->text, segments, options->json);
	rendered_release(&rendered);
	return done ? STATUS_DONE : STATUS_FAILED;
}

static int render_template(const char *config_file, const struct options *options)
{
	struct config_report report;
	struct text error;
	int status = STATUS_USAGE;

	config_report_init(&report);
	text_init(&error, TEXT_ERROR_MAX);
	struct config *config = config_load(config_file, &report);
	if (config)
		status = render_in(config, options, &error);
	else
		cli_errors(report.errors.data);
	if (error.len)
		cli_error("render: %s", error.data);
	config_drop(config);
	config_report_release(&report);
	text_release(&error);
	return status;
}

static int run_render(const char *config_file, int argc, char **argv)
{
	struct options options = {0};
	const char *words[2];
	int status = STATUS_USAGE;
	struct text wrong;
	size_t count;

	if (!cli_parse(&command_render, argc, argv, &options, 0, 2, words, &count))
		return STATUS_USAGE;
	if (options.mustache && options.json)
		return cli_usage(&command_render, "--json: is not for --mustache, which prints the text");
	if (options.mustache ? count || options.locale : count != 2 || options.partials)
		return cli_usage(&command_render,
				 "render: a template and a channel are wanted, or --mustache FILE");
	if (!options.data_words)
		options.data_words = "{}";
	text_init(&wrong, TEXT_ERROR_MAX);
	options.data = json_read(options.data_words, strlen(options.data_words), true, &wrong);
	if (!options.data) {
		cli_usage(&command_render, "--data: %s", wrong.data);
	} else if (options.mustache) {
		status = render_mustache(&options);
	} else if (!json_is_object(options.data)) {
		cli_usage(&command_render, "--data: of a template it is a JSON object");
	} else {
		options.template = words[0];
		options.channel = words[1];
		status = render_template(config_file, &options);
	}
	json_decref(options.data);
	text_release(&wrong);
	return cli_end(status);
}

static const struct command_word words_of_render[] = {
	{"TEMPLATE", "CHANNEL", "A template of the configuration, as it is on that channel."},
	{0},
};

static const struct command_option options_of_render[] = {
	OPTION_VALUE(struct options, locale, "--locale", "LOCALE",
		     "The customer's language, as es-AR; else the configuration's."),
	OPTION_VALUE(struct options, data_words, "--data", "JSON",
		     "What the template sees. Objects customer, product and message in it stand for what the "
		     "gateway would know of them."),
	OPTION_FLAG(struct options, json, "--json",
		    "One object: locale (the one found), subject, text, html, summary."),
	OPTION_VALUE(struct options, mustache, "--mustache", "FILE",
		     "Any Mustache file, HTML-escaped; no configuration is read."),
	OPTION_VALUE(struct options, partials, "--partials", "DIR",
		     "With --mustache: {{>NAME}} is DIR/NAME.mustache."),
	{0},
};

const struct command command_render = {
	.name = "render",
	.usage = "render TEMPLATE CHANNEL [--locale L] [--data JSON] [--json] | "
		 "render --mustache FILE --data JSON [--partials DIR]",
	.summary = "show what a template makes of data; nothing is sent",
	.help = "",
	.words = words_of_render,
	.options = options_of_render,
	.example = "heed render payment-received email --locale es --data '{\"amount\":\"12.50\"}'",
	.run = run_render,
};
