/* The checker of trees: one table of keys for each kind of file (configuration, products, providers), one
 * walk that finds every mistake and fills defaults, and one way to write a mistake: "FILE:LINE: KEY: what is
 * wrong; what would be right". A value is quoted only where it can't be a secret. Pure but for the variables,
 * which are read from the environment and from files. */
#ifndef HEED_CONFIG_CHECK_H
#define HEED_CONFIG_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "text.h"

#define CONFIG_REPORT_MAX (256 * 1024) /* bytes of all mistakes of a load */
#define CONFIG_VALUE_MAX (64 * 1024)   /* bytes of a value once its variables are in */

enum key_type {
	KEY_MAP,      /* the keys below it in the table */
	KEY_NAMES,    /* a map of names of the operator's own; below it the table has "*" */
	KEY_MAPS,     /* a list of maps; likewise */
	KEY_TEXT,     /* `limits`: "" or "required" (not empty) */
	KEY_TEXTS,    /* a list of text */
	KEY_LOCALES,  /* a map of locale to text */
	KEY_URL,      /* text that may hold a password: never quoted */
	KEY_WORD,     /* one of `limits`: "full|summary|none" */
	KEY_DURATION, /* 10s */
	KEY_INTEGER,  /* in `limits`: "1..64" */
	KEY_NUMBER,   /* likewise */
	KEY_BOOLEAN,
	KEY_FREE /* anything; checked by who knows it */
};

enum key_flag {
	KEY_REQUIRED = 1, /* wherever the map that holds it is */
	KEY_SECRET = 2,   /* never quoted */
	KEY_SAMPLE = 4    /* written out in the sample, not as a comment */
};

struct config_key {
	const char *path;     /* "gateway.lease", "channels.*.timeout" */
	const char *fallback; /* NULL: none, or one that is found out */
	const char *limits;
	const char *adapter; /* "": any; else the key belongs to channels of this adapter */
	const char *example; /* for the sample; "": the default */
	const char *help;
	enum key_type type;
	int flags;
};

struct config_table {
	const struct config_key *keys;
	size_t count;
	const char *what; /* whose keys: "heed", "a product" */
};

extern const struct config_table config_table, product_table, provider_table, reply_table;

/* A file under check. `values` is its tree with variables expanded, the one that is filled and used. */
struct config_source {
	const char *file;
	const struct config_tree *tree;
	json_t *values;
	struct text *errors, *warnings;
	json_t *doubtful; /* {path: true}: where a mistake was found, so that one is not told twice; may be
			     NULL */
};
bool config_is_doubtful(const struct config_source *source, const char *path);
/* Was a mistake found there, or in what it holds? */
bool config_is_broken(const struct config_source *source, const char *path);

__attribute__((format(printf, 3, 4))) void config_wrong(const struct config_source *source, const char *path,
							const char *format, ...);
__attribute__((format(printf, 3, 4))) void config_warn(const struct config_source *source, const char *path,
						       const char *format, ...);
__attribute__((format(printf, 3, 0))) void config_vwrong(const struct config_source *source, const char *path,
							 const char *format, va_list args);
/* Takes over lines that were told elsewhere, because of what stands at `path`. */
void config_mistakes(const struct config_source *source, const char *path, const struct text *lines);

/* A copy of the tree with ${NAME} and ${file:PATH} expanded in its strings. */
json_t *config_expand(const struct config_source *source, const char *folder);
/* False if a mistake was found. With `pattern` "*" the root itself is a map of names. */
bool config_check_tree(const struct config_source *source, const struct config_table *table);
/* Fills what was left out, where the map that would hold it is there or has a default itself. */
void config_fill_tree(json_t *values, const struct config_table *table);

/* By path: "http.socket", "tokens.0.name". NULL if it isn't there. */
json_t *config_at(json_t *values, const char *path);
/* As written in the file, before variables. */
json_t *config_raw_at(const struct config_source *source, const char *path);
/* True if the file itself holds the value, and not a variable. */
bool config_is_literal(const struct config_source *source, const char *path);
/* The word that is most like `name`, or NULL. */
const char *config_nearest(const char *name, const char *const words[], size_t count);
/* "a.b.c" behind the folder unless absolute; `..` at its beginning is taken from the folder. The caller
 * frees. */
char *config_path_join(const char *folder, const char *path);
/* Where the running binary lies; "." if nobody can say. The caller frees. */
char *config_binary_folder(void);

/* The parts of SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/PATH]; decoded, owned. */
struct config_url {
	char *scheme, *user, *password, *host, *path;
	int port; /* 0: not given */
};
bool config_url_parse(const char *url, struct config_url *out);
void config_url_release(struct config_url *url);
/* Is the host this machine? Asks no name server. */
bool config_host_is_local(const char *host);

#endif
