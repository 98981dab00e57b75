/* Why a message went where it went: each rule that spoke, as a code with arguments; words are made when read.
 * Codes are stored and part of the contract (`heed help reasons`): they are never renamed. The table is
 * reason_codes.h; each line is REASON(code, "words with {argument}", "help: when it speaks"). */
#ifndef HEED_REASON_H
#define HEED_REASON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum reason_code {
#define REASON(code, says, help) REASON_##code,
#include "reason_codes.h"
#undef REASON
	REASON_COUNT
};

#define REASONS_MAX 24

struct reason {
	enum reason_code code;
	char *args; /* an object, as compact JSON; owned */
};

struct reasons {
	struct reason list[REASONS_MAX]; /* in the order in which the rules spoke; the last one settled it */
	size_t count;
};

/* `format` as for json_pack, an object of texts: reasons_add(&r, REASON_chosen, "{s:s}", "channel", name). */
void reasons_add(struct reasons *reasons, enum reason_code code, const char *format, ...);
/* The same with {"until": until} in front. */
void reasons_add_until(struct reasons *reasons, enum reason_code code, int64_t until, const char *format,
		       ...);
void reasons_add_copy(struct reasons *reasons, const struct reason *reason);
void reasons_release(struct reasons *reasons); /* leaves it empty */

const char *reason_code_name(enum reason_code code);
const char *reason_help(enum reason_code code);
/* False for a code of a newer heed. */
bool reason_code_parse(const char *name, enum reason_code *code);
/* The plain words for a stored code and its arguments (json may be NULL). The caller frees. */
char *reason_says(const char *code, const json_t *args);
/* {"code":…,"args":…,"says":…}; a new reference. */
json_t *reason_json(const char *code, const json_t *args);
/* The last of a stored list, as its parts stand there; not ended by a NUL. False: it holds none. */
struct reason_part {
	const char *code, *args;
	size_t code_len, args_len;
};
bool reasons_last(const char *stored, struct reason_part *out);
/* Appends what reason_json makes, from the compact JSON that is stored. */
void reason_put(struct text *out, const struct reason_part *reason);
/* A new reference. */
json_t *reason_args(const struct reason *reason);
/* Appends [{"code":…,"args":…}] without words, as it is stored. */
void reasons_put(struct text *out, const struct reasons *reasons);
/* The same as a tree: a new reference. */
json_t *reasons_to_json(const struct reasons *reasons);

#endif
