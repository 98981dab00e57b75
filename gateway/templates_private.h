/* A loaded set: what templates_load.c makes and templates.c reads. Every array is sorted by name. */
#ifndef HEED_TEMPLATES_PRIVATE_H
#define HEED_TEMPLATES_PRIVATE_H

#include <stdatomic.h>
#include <stddef.h>

#include "digest.h"
#include "mustache.h"
#include "templates.h"

struct template_file {
	char *name;   /* "email.text" */
	char *locale; /* "es-AR"; "" for the template's own */
	struct mustache *compiled;
};

struct template_partial {
	char *name;
	struct mustache *compiled;
	json_t *source; /* a string */
};

struct template
{
	char *name;
	struct template_file *files;
	size_t file_count;
	char **required;
	size_t required_count;
	json_t *source;
	bool links; /* it says preferences_url or unsubscribe_url somewhere */
	char hash[2 * SHA256_SIZE + 1];
};

struct template_set {
	_Atomic size_t holders;
	struct template *templates;
	size_t count;
	struct template_partial *partials;
	size_t partial_count;
};

/* NULL if there is none of that name. */
const struct template_partial *templates_partial(const struct template_set *set, const char *name);

#endif
