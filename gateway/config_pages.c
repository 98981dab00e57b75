/* The part of the configuration that the customers' pages are made of: company, secrets, pages. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config_load.h"
#include "link.h"
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

void config_load_pages(struct config_loading *load)
{
	struct config *config = load->config;
	const char *logo = load_text(load, "company.logo"), *colour = load_text(load, "company.colour");
	struct text errors;

	config->company.name = load_copy(load, "company.name");
	if (config->secret_count > LINK_SECRETS_MAX)
		config_wrong(&load->source, "secrets", "has %zu; %d or fewer would be right",
			     config->secret_count, LINK_SECRETS_MAX);
	if (!*config->http.public || !config->secret_count)
		return;
	config->links = link_keys_new(config->http.public_url, (const char *const *)config->secrets,
				      config->secret_count);
	char *folder = folder_of(load);
	char *picture = logo && *logo ? config_path_join(config->folder, logo) : xstrdup("");
	text_init(&errors, MISTAKES_MAX);
	config->pages = pages_load(folder, picture, colour ? colour : "", &errors);
	if (errors.len && errors.data[errors.len - 1] == '\n')
		errors.data[--errors.len] = '\0';
	if (errors.len)
		config_mistakes(&load->source, "http.public", &errors);
	text_release(&errors);
	free(folder);
	free(picture);
}

void config_pages_release(struct config *config)
{
	free(config->company.name);
	link_keys_drop(config->links);
	pages_free(config->pages);
}
