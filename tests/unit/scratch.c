#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ftw.h>
#include <unistd.h>

#include <cmocka.h>

#include "banned.h"

char scratch_folder[64];

int scratch_open(void **state)
{
	(void)state;
	snprintf(scratch_folder, sizeof scratch_folder, "/tmp/heed-XXXXXX");
	return mkdtemp(scratch_folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
	(void)info;
	(void)kind;
	(void)at;
	return remove(path);
}

int scratch_close(void **state)
{
	(void)state;
	return nftw(scratch_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(const char *name)
{
	static char paths[4][256];
	static int next;

	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
	return path;
}

const char *scratch_write(const char *name, const char *text)
{
	const char *path = scratch_path(name);
	char folder[256];

	snprintf(folder, sizeof folder, "%s", path);
	for (char *slash = folder + strlen(scratch_folder) + 1; (slash = strchr(slash, '/'));
	     *slash++ = '/') {
		*slash = '\0';
		mkdir(folder, 0700);
	}
	FILE *out = fopen(path, "we");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	return path;
}

void scratch_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

void scratch_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%s", part, text);
}
