/* The part of the configuration that the customers' pages are made of: company, secrets, pages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_load.h"
#include "link.h"
#include "page_colour.h"
#include "pages.h"
#include "xalloc.h"
#include "banned.h"

#define MISTAKES_MAX (64 * 1024)

/* The folder of templates; NULL: there is none, and that was told. */
static char *folder_of(const struct config_loading *load)
{
	const char *folder = load_text(load, "templates");
	char *path = folder ? config_path_join(load->config->folder, folder) : NULL;
	struct stat info;

	if (path && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
		return path;
	free(path);
	return NULL;
}

/* The path of the company's logo; "": there is none that could be read. */
static char *picture_of(const struct config_loading *load)
{
	const char *logo = load_text(load, "company.logo");
	char *path = logo && *logo ? config_path_join(load->config->folder, logo) : xstrdup("");

	if (*path && access(path, R_OK) != 0) {
		config_wrong(&load->source, "company.logo",
			     "%s cannot be read: %s; the path of a picture would be right", path,
			     strerror(errno));
		*path = '\0';
	}
	return path;
}

void config_load_pages(struct config_loading *load)
{
	struct config *config = load->config;
	const char *colour = load_text(load, "company.colour");
	struct text errors;
	struct colour company;

	config->company.name = load_copy(load, "company.name");
	if (config->secret_count > LINK_SECRETS_MAX)
		config_wrong(&load->source, "secrets", "has %zu; %d or fewer would be right",
			     config->secret_count, LINK_SECRETS_MAX);
	if (colour && *colour && !colour_parse(colour, &company)) {
		config_wrong(&load->source, "company.colour", "is not a colour; \"#0a5c36\" would be right");
		colour = "";
	}
	char *picture = picture_of(load);
	if (!*config->http.public || !config->secret_count)
		goto out;
	config->links = link_keys_new(config->http.public_url, (const char *const *)config->secrets,
				      config->secret_count);
	char *folder = folder_of(load);
	text_init(&errors, MISTAKES_MAX);
	config->pages = pages_load(folder, picture, colour ? colour : "", &errors);
	if (errors.len && errors.data[errors.len - 1] == '\n')
		errors.data[--errors.len] = '\0';
	if (errors.len)
		config_mistakes(&load->source, "http.public", &errors);
	text_release(&errors);
	free(folder);
out:
	free(picture);
}

void config_pages_release(struct config *config)
{
	free(config->company.name);
	link_keys_drop(config->links);
	pages_free(config->pages);
}
