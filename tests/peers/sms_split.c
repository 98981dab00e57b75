/* For test_sms_segments.py: reads a JSON text a line, writes {"gsm": true, "units": 5, "parts": ["…"]} a
 * line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "sms_text.h"

#include "banned.h"

int main(void)
{
	char *line = NULL;
	size_t room = 0, ends[SMS_SEGMENTS_MAX];

	while (getline(&line, &room, stdin) > 0) {
		json_t *json = json_loads(line, JSON_DECODE_ANY, NULL), *parts = json_array();
		const char *text = json_string_value(json);
		struct sms_count count = sms_text_count(text);
		size_t segments = sms_text_split(text, ends, SMS_SEGMENTS_MAX), from = 0;
		if (segments != count.segments || segments > SMS_SEGMENTS_MAX)
			return 1;
		for (size_t i = 0; i < segments; from = ends[i++])
			json_array_append_new(parts, json_stringn(text + from, ends[i] - from));
		json_t *out = json_pack("{s:b, s:I, s:o}", "gsm", count.alphabet == SMS_GSM, "units",
					(json_int_t)count.units, "parts", parts);
		json_dumpf(out, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(out);
		json_decref(json);
	}
	free(line);
	return 0;
}
