/* A load under way, shared by config.c and config_channels.c: what is read goes from `source` into `config`.
 */
#ifndef HEED_CONFIG_LOAD_H
#define HEED_CONFIG_LOAD_H

#include "config_check.h"

struct config_loading {
	struct config *config;
	struct config_source source;
	struct config_report *report;
};

/* Values by path, of the type that the table asks for; NULL or 0 where a mistake was told. */
json_t *load_value(const struct config_loading *load, const char *path);
const char *load_text(const struct config_loading *load, const char *path);
char *load_copy(const struct config_loading *load, const char *path); /* "" for NULL; the caller frees */
int64_t load_duration(const struct config_loading *load, const char *path);
int64_t load_integer(const struct config_loading *load, const char *path);

void config_load_channels(struct config_loading *load);
/* What the customers' pages want, behind http, products and templates; what it made goes with
 * config_pages_release.
 */
void config_load_pages(struct config_loading *load);
void config_pages_release(struct config *config);
/* The section http, and secrets. */
void config_load_http(struct config_loading *load);
void config_check_tokens(struct config_loading *load); /* once the products are known */
void config_http_release(struct config *config);

#endif
