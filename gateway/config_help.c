/* What people read about the keys, made from the table: the help, the man page, the samples. */
#include <stdio.h>
#include <string.h>

#include "config_check.h"
#include "mdoc.h"
#include "banned.h"

static int depth_of(const char *path)
{
	int depth = 0;

	for (; *path; path++)
		depth += *path == '.';
	return depth;
}

static const char *step_of(const char *path)
{
	const char *dot = strrchr(path, '.');
	return dot ? dot + 1 : path;
}

static bool holds_keys(const struct config_key *key)
{
	return key->type == KEY_MAP || key->type == KEY_NAMES || key->type == KEY_MAPS;
}

static const char *type_name(const struct config_key *key)
{
	switch (key->type) {
	case KEY_MAP:
	case KEY_NAMES:
	case KEY_LOCALES:
	case KEY_FREE:
		return "map";
	case KEY_MAPS:
	case KEY_TEXTS:
		return "list";
	case KEY_DURATION:
		return "duration";
	case KEY_INTEGER:
		return "whole number";
	case KEY_NUMBER:
		return "number";
	case KEY_BOOLEAN:
		return "true or false";
	case KEY_WORD:
		return key->limits;
	default:
		return "text";
	}
}

/* "duration, default 30s" */
static void describe(const struct config_key *key, struct text *out)
{
	text_puts(out, type_name(key));
	if (key->type == KEY_INTEGER || key->type == KEY_NUMBER)
		text_addf(out, " %s", key->limits);
	if (key->flags & KEY_REQUIRED)
		text_puts(out, ", required");
	else if (key->fallback && *key->fallback)
		text_addf(out, ", default %s", key->fallback);
	if (key->adapter[0])
		text_addf(out, ", of adapter %s", key->adapter);
}

/* --- the help --- */

static void write_text(const char *title, const struct config_table *table, struct text *out)
{
	text_addf(out, "%s\n\n", title);
	for (size_t i = 0; i < table->count; i++) {
		const struct config_key *key = &table->keys[i];
		text_addf(out, "%s (", key->path);
		describe(key, out);
		text_addf(out, ")\n    %s\n", key->help);
	}
}

/* --- the man page --- */

static void write_man(const char *title, const char *says, const struct config_table *table, struct text *out)
{
	struct text line;

	text_init(&line, TEXT_ERROR_MAX);
	text_addf(out, ".Sh %s\n%s.Bl -tag -width Ds\n", title, says);
	for (size_t i = 0; i < table->count; i++) {
		const struct config_key *key = &table->keys[i];
		text_puts(out, ".It Cm");
		mdoc_word(out, key->path);
		text_puts(out, "\n");
		mdoc_text(out, key->help);
		text_clear(&line);
		text_puts(&line, "(");
		describe(key, &line);
		text_puts(&line, ")");
		mdoc_line(out, line.data);
	}
	text_puts(out, ".El\n");
	text_release(&line);
}

static void write_man_page(struct text *out)
{
	text_puts(out, ".Dd November 23, 2026\n.Dt HEED.YAML 5\n.Os\n.Sh NAME\n.Nm heed.yaml\n"
		       ".Nd configuration of heed\n.Sh DESCRIPTION\n"
		       "The format is YAML.\nRelative paths count from the file's folder.\n"
		       ".Ql ${NAME}\nis taken from the environment,\n.Ql ${file:PATH}\nfrom a file.\n"
		       "Durations are written as 500ms, 10s, 5m, 2h, 3d.\n"
		       "An unknown key, a wrong type or a missing variable is an error;\n"
		       ".Ql heed check\nnames all of them, each with file and line.\n");
	write_man("KEYS", "A dot leads into a map;\n.Ql *\nis a name of your own.\n", &config_table, out);
	write_man("PRODUCTS", "The file that\n.Cm products\nnames;\n.Ql *\nis a product's name.\n",
		  &product_table, out);
	write_man("PROVIDERS", "A file that describes the API of a provider.\n", &provider_table, out);
	text_puts(out, ".Sh SEE ALSO\n.Xr heed 1\n");
}

/* --- the samples --- */

struct sample {
	struct text *out;
	const struct config_table *table;
	bool commented; /* everything, not only what is left at its default */
};

static void write_line(const struct sample *s, const struct config_key *key, int depth, bool off)
{
	struct text line;
	const char *value = key->example[0] ? key->example : key->fallback ? key->fallback : "";
	/* an empty text or list has to be written */
	const char *shown = holds_keys(key) && !key->fallback ? "" : *value ? value : "\"\"";

	text_init(&line, TEXT_ERROR_MAX);
	text_addf(&line, "%s%*s%s:%s%s", off ? "#" : "", 2 * depth, "", step_of(key->path), *shown ? " " : "",
		  shown);
	int pad = line.len < 40 ? (int)(40 - line.len) : 1;
	text_addf(s->out, "%s%*s# %s\n", line.data, pad, "", key->help);
	text_release(&line);
}

static bool is_below(const char *parent, const char *path)
{
	size_t len = strlen(parent);
	return strncmp(path, parent, len) == 0 && path[len] == '.';
}

static bool is_written(const struct sample *s, const struct config_key *key)
{
	return !s->commented && (key->flags & KEY_SAMPLE);
}

/* A channel of the sample: the keys of its adapter, then those of all. */
static void write_channel(const struct sample *s, const char *name, const char *adapter, bool off)
{
	const struct sample channel = {.out = s->out, .table = s->table, .commented = off};

	text_addf(s->out, "%s  %s:\n", off ? "#" : "", name);
	for (size_t i = 0; i < s->table->count; i++) {
		struct config_key key = s->table->keys[i];
		if (!is_below("channels.*", key.path) || strchr(key.path + strlen("channels.*"), '*') ||
		    (key.adapter[0] && strcmp(key.adapter, adapter) != 0))
			continue;
		if (strcmp(key.path, "channels.*.adapter") == 0)
			key.example = adapter;
		else if (!key.adapter[0] && strcmp(name, "email") != 0)
			continue; /* those of all are shown once */
		write_line(&channel, &key, depth_of(key.path), !is_written(&channel, &key));
	}
}

static void write_config_sample(struct text *out)
{
	const struct sample s = {.out = out, .table = &config_table};

	text_puts(out, "# heed.yaml: what heed is told before it starts. `heed check` reads it and tells "
		       "every mistake.\n"
		       "# Lines that begin with #KEY show defaults, or what may be added. Relative paths "
		       "count from this\n"
		       "# file's folder; ${NAME} is taken from the environment, ${file:PATH} from a file.\n"
		       "# Made from gateway/config_keys.h.\n");
	for (size_t i = 0; i < s.table->count; i++) {
		const struct config_key *key = &s.table->keys[i];
		if (strchr(key->path, '*') != NULL)
			continue;
		if (!depth_of(key->path))
			text_puts(out, "\n");
		write_line(&s, key, depth_of(key->path), !is_written(&s, key));
	}
	write_channel(&s, "email", "smtp", false);
	write_channel(&s, "webhook", "webhook", false);
	write_channel(&s, "sms", "http", true);
}

static void write_product_sample(struct text *out)
{
	const struct sample s = {.out = out, .table = &product_table};

	text_puts(out, "# products.yaml: what messages are about, and what customers choose for.\n"
		       "# Made from gateway/config_keys.h.\n\n"
		       "card-alerts:\n");
	for (size_t i = 0; i < s.table->count; i++) {
		const struct config_key *key = &s.table->keys[i];
		if (depth_of(key->path))
			write_line(&s, key, depth_of(key->path), !is_written(&s, key));
	}
	text_puts(out, "\n# A part of a product: keys left out are those of card-alerts.\n"
		       "card-alerts/fraud:\n"
		       "  title: { en: Fraud warnings, es: Avisos de fraude }\n"
		       "  purpose: critical\n"
		       "\n# Only for customers who opt in.\n"
		       "offers:\n"
		       "  title: { en: Offers, es: Ofertas }\n"
		       "  purpose: marketing\n"
		       "  channels: [email]\n"
		       "  default: []\n");
}

void config_help_write(enum config_help form, struct text *out)
{
	switch (form) {
	case CONFIG_HELP_TEXT:
		write_text("heed.yaml", &config_table, out);
		write_text("\nproducts.yaml (* is a product's name)", &product_table, out);
		write_text("\nproviders/NAME.yaml", &provider_table, out);
		break;
	case CONFIG_HELP_MAN:
		write_man_page(out);
		break;
	case CONFIG_HELP_SAMPLE:
		write_config_sample(out);
		break;
	case CONFIG_HELP_SAMPLE_PRODUCTS:
		write_product_sample(out);
		break;
	}
}
