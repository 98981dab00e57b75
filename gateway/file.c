#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptors.h"
#include "xalloc.h"
#include "banned.h"

bool file_read(const char *path, size_t max, struct text *out, struct text *error)
{
	char buffer[16384];
	size_t total = 0;
	ssize_t n = 0;
	bool done = false;

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && descriptors_ran_out())
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return text_error(error, "%s", strerror(errno));
	while ((n = read(fd, buffer, sizeof buffer)) > 0) {
		total += (size_t)n;
		if (total > max || !text_add(out, buffer, (size_t)n)) {
			text_error(error, "longer than %zu bytes", max);
			goto out;
		}
	}
	if (n < 0) {
		text_error(error, "%s", strerror(errno));
		goto out;
	}
	done = true;
out:
	close(fd);
	return done;
}

bool file_make_folder(const char *path, struct text *error)
{
	char *folder = xstrdup(path);
	bool ok = true;

	for (char *slash = strchr(folder + 1, '/'); ok && slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(folder, 0700) != 0 && errno != EEXIST)
			ok = text_error(error, "%s: the folder can't be made: %s", folder, strerror(errno));
		*slash = '/';
	}
	free(folder);
	return ok;
}

bool file_could_be_made(const char *path, struct text *error)
{
	char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');
	bool ok = true;

	for (; slash && slash > folder; slash = strrchr(folder, '/')) {
		*slash = '\0';
		if (access(folder, F_OK) == 0)
			break;
	}
	const char *there = !slash ? "." : slash > folder ? folder : "/";
	struct stat info;
	if (stat(there, &info) == 0 && !S_ISDIR(info.st_mode))
		ok = text_error(error, "%s is not a folder; another path would be right", there);
	else if (access(there, W_OK | X_OK) != 0)
		ok = text_error(error, "%s can't be written in: %s; mend its mode or owner", there,
				strerror(errno));
	free(folder);
	return ok;
}

void file_boot_id(char out[BOOT_ID_SIZE])
{
	struct text id, error;

	memset(out, 0, BOOT_ID_SIZE);
	text_init(&id, BOOT_ID_SIZE);
	text_init(&error, TEXT_ERROR_MAX);
	if (file_read("/proc/sys/kernel/random/boot_id", BOOT_ID_SIZE - 1, &id, &error))
		memcpy(out, id.data, strcspn(id.data, "\n"));
	text_release(&id);
	text_release(&error);
}
