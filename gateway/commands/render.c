/* heed render: what a template makes of data, without sending anything. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "command.h"
#include "config.h"
#include "file.h"
#include "mustache.h"
#include "templates.h"
#include "xalloc.h"
#include "banned.h"

struct options {
	const char *template, *channel;
	const char *locale;
	const char *mustache, *partials;
	json_t *data; /* owned */
	bool json;
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

	/* Such a name could lead out of the folder. */
	if (strchr(name, '/')) {
		if (!folder->error->len)
			text_error(folder->error, "{{>%s}}: a partial's name may not have a '/'", name);
		return NULL;
	}
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
		fprintf(stderr, "heed: render: %s\n", error.data);
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
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
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

static int render_in(const struct config *config, const struct options *options, struct text *error)
{
	const struct template *template = templates_find(config->templates, options->template);
	const struct channel_config *channel = find_channel(config, options->channel);
	struct rendered rendered;

	if (!template) {
		text_error(error, "there is no template '%s' in the configuration's templates",
			   options->template);
		return STATUS_FAILED;
	}
	if (!channel) {
		text_error(error, "there is no channel '%s' in the configuration", options->channel);
		return STATUS_FAILED;
	}
	if (!template_has(template, channel->name, channel->ops->text)) {
		text_error(error, "the template '%s' has no text for %s", options->template, channel->name);
		return STATUS_FAILED;
	}
	if (!template_check_data(template, options->data, error))
		return STATUS_FAILED;
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
		fprintf(stderr, "%s", report.errors.data);
	if (error.len)
		fprintf(stderr, "heed: render: %s\n", error.data);
	config_drop(config);
	config_report_release(&report);
	text_release(&error);
	return status;
}

static int usage(const char *what)
{
	fprintf(stderr, "heed: render: %s; usage: heed %s\n", what, command_render.usage);
	return STATUS_USAGE;
}

static int run(const char *config_file, int argc, char **argv)
{
	static const struct option known[] = {
		{"locale", required_argument, NULL, 'l'},   {"data", required_argument, NULL, 'd'},
		{"mustache", required_argument, NULL, 'm'}, {"partials", required_argument, NULL, 'p'},
		{"json", no_argument, NULL, 'j'},           {NULL, 0, NULL, 0},
	};
	struct options options = {0};
	const char *data = "{}";
	json_error_t wrong;
	int option;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'l')
			options.locale = optarg;
		else if (option == 'd')
			data = optarg;
		else if (option == 'm')
			options.mustache = optarg;
		else if (option == 'p')
			options.partials = optarg;
		else if (option == 'j')
			options.json = true;
		else
			return usage("unknown option, or one without its value");
	}
	if (options.mustache ? optind != argc || options.locale || options.json
			     : optind + 2 != argc || options.partials)
		return usage("a template and a channel are needed, or --mustache FILE");
	options.data = json_loads(data, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &wrong);
	if (!options.data) {
		fprintf(stderr, "heed: render: --data: not JSON: %s (column %d)\n", wrong.text, wrong.column);
		return STATUS_USAGE;
	}
	int status = STATUS_USAGE;
	if (options.mustache) {
		status = render_mustache(&options);
	} else if (!json_is_object(options.data)) {
		usage("--data of a template is a JSON object");
	} else {
		options.template = argv[optind];
		options.channel = argv[optind + 1];
		status = render_template(config_file, &options);
	}
	json_decref(options.data);
	return status;
}

const struct command command_render = {
	.name = "render",
	.usage = "render TEMPLATE CHANNEL [--locale L] [--data JSON] [--json] | "
		 "render --mustache FILE --data JSON [--partials DIR]",
	.summary = "show what a template makes of data; nothing is sent",
	.help = "  --locale L       the customer's language, as in es-AR; else the configuration's\n"
		"  --data JSON      what the template sees; objects customer, product and message in it\n"
		"                   stand for what the gateway would know of them\n"
		"  --json           subject, text, html, summary and the locale found, as one object\n"
		"  --mustache FILE  any Mustache file, HTML-escaped; no configuration is read\n"
		"  --partials DIR   {{>NAME}} is DIR/NAME.mustache\n"
		"\n"
		"  heed render payment-received email --locale es --data '{\"amount\":\"12.50\"}'\n",
	.run = run,
};
