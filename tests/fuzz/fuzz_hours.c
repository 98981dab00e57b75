/* What customers and operators write about time. What is taken prints, and what is printed reads back to the
 * same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "cadence.h"
#include "cap.h"
#include "fuzz.h"
#include "hours.h"
#include "moment.h"
#include "xalloc.h"

#define SOME_TIME INT64_C(1795341600123000)

static void hours(const char *words, bool quiet)
{
	struct text error, printed, again;

	text_init(&error, TEXT_ERROR_MAX);
	text_init(&printed, 4 * HOURS_TEXT_MAX);
	text_init(&again, 4 * HOURS_TEXT_MAX);
	struct hours *read = quiet ? hours_parse_quiet(words, &error) : hours_parse(words, &error);
	if (read) {
		int64_t opens = hours_next_open(read, NULL, SOME_TIME);
		assert(opens >= SOME_TIME && hours_open(read, NULL, opens));
		hours_print(read, &printed);
		struct hours *same = hours_parse(printed.data, &error);
		assert(same);
		hours_print(same, &again);
		assert(strcmp(printed.data, again.data) == 0);
		hours_free(same);
	} else {
		assert(error.len > 0);
	}
	hours_free(read);
	text_release(&again);
	text_release(&printed);
	text_release(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words = xmemdup0((const char *)data, size);
	struct cadence cadence;
	struct rate rate;
	struct cap cap;
	struct text error;
	int64_t at;

	text_init(&error, TEXT_ERROR_MAX);
	hours(words, false);
	hours(words, true);
	if (cadence_parse(words, &cadence, &error) && cadence.kind != CADENCE_IMMEDIATE)
		assert(cadence_next(&cadence, NULL, SOME_TIME) > SOME_TIME);
	text_clear(&error);
	cap_parse(words, &cap, &error);
	text_clear(&error);
	rate_parse(words, &rate, &error);
	moment_parse(words, &at);
	duration_parse(words, &at);
	text_release(&error);
	free(words);
	return 0;
}
