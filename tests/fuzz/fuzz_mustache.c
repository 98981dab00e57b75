/* A template, and behind the first NUL the data that it is rendered with, escaped in each of the ways. */
#include <string.h>

#include "fuzz.h"
#include "json_read.h"
#include "mustache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, 0, size);
	size_t len = end ? (size_t)(end - data) : size;
	struct text error, out;

	text_init(&error, TEXT_ERROR_MAX);
	text_init(&out, MUSTACHE_OUTPUT_MAX);
	json_t *json = end ? json_loadb((const char *)end + 1, size - len - 1, JSON_DECODE_ANY, NULL) : NULL;
	struct mustache *template = mustache_compile((const char *)data, len, &error);
	for (int escape = ESCAPE_NONE; template && escape <= ESCAPE_JSON; escape++) {
		json_t *const stack[] = {json};
		text_clear(&out);
		mustache_render(template, stack, 1, NULL, (enum escape)escape, &out, &error);
	}
	mustache_free(template);
	json_decref(json);
	text_release(&out);
	text_release(&error);
	return 0;
}
