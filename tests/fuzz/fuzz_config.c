/* The whole configuration: the bytes are heed.yaml, in a folder with the shipped products, providers and
 * templates. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "config_check.h"
#include "fuzz.h"

static char file[64];

static void forget_file(void)
{
	unlink(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_report report;

	if (!*file) {
		snprintf(file, sizeof file, "config/fuzz-%d.yaml", (int)getpid());
		atexit(forget_file);
	}
	FILE *out = fopen(file, "wb");
	assert(out && fwrite(data, 1, size, out) == size && fclose(out) == 0);
	config_report_init(&report);
	struct config *config = config_load(file, &report);
	assert((config == NULL) == (report.errors.len > 0));
	config_drop(config);
	config_report_release(&report);
	return 0;
}
