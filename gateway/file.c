#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "descriptors.h"
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
