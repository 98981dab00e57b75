#include "begun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file.h"
#include "xalloc.h"
#include "banned.h"

#define BEGUN_MAGIC "heed begun 1"

struct begun_header {
	char magic[16];
	char boot[BOOT_ID_SIZE];
	char store[64];
	char unused[48 + 64 - BOOT_ID_SIZE]; /* the slots begin at a cache line */
};

struct begun {
	int fd;
	struct begun_file {
		struct begun_header header;
		struct begun_slot slots[BEGUN_SLOTS];
	} * file;
	uint16_t free[BEGUN_SLOTS];
	size_t free_count;
};

static bool same_run(const struct begun_header *a, const struct begun_header *b)
{
	return memcmp(a->magic, b->magic, sizeof a->magic) == 0 && *a->boot &&
	       memcmp(a->boot, b->boot, sizeof a->boot) == 0 &&
	       memcmp(a->store, b->store, sizeof a->store) == 0;
}

static void header_make(struct begun_header *header, const char *store_id)
{
	*header = (struct begun_header){.magic = BEGUN_MAGIC};
	file_boot_id(header->boot);
	memcpy(header->store, store_id, strnlen(store_id, sizeof header->store - 1));
}

void begun_clear(struct begun *begun)
{
	if (!begun)
		return;
	for (size_t i = 0; i < BEGUN_SLOTS; i++) {
		atomic_store(&begun->file->slots[i].contact, 0);
		begun->free[i] = (uint16_t)(BEGUN_SLOTS - 1 - i);
	}
	begun->free_count = BEGUN_SLOTS;
}

struct begun *begun_open(const char *path, const char *store_id, struct text *error)
{
	struct begun *begun = xcalloc(1, sizeof *begun);
	struct begun_header header;

	header_make(&header, store_id);
	begun->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = begun->fd >= 0 && flock(begun->fd, LOCK_EX | LOCK_NB) == 0;
	/* all of it now: a disk that is full later must not end us when a page is first touched */
	int why = ok ? posix_fallocate(begun->fd, 0, sizeof *begun->file) : errno;
	ok = ok && why == 0;
	if (ok) {
		begun->file =
			mmap(NULL, sizeof *begun->file, PROT_READ | PROT_WRITE, MAP_SHARED, begun->fd, 0);
		why = errno;
		ok = begun->file != MAP_FAILED;
		begun->file = ok ? begun->file : NULL;
	}
	if (!ok) {
		text_error(error, "%s: %s", path, strerror(why));
		begun_close(begun);
		return NULL;
	}
	if (!same_run(&begun->file->header, &header)) {
		begun_clear(begun);
		begun->file->header = header;
	}
	return begun;
}

void begun_close(struct begun *begun)
{
	if (!begun)
		return;
	if (begun->file)
		munmap(begun->file, sizeof *begun->file);
	if (begun->fd >= 0)
		close(begun->fd);
	free(begun);
}

struct begun_slot *begun_take(struct begun *begun, int64_t contact, int64_t at)
{
	if (!begun || !begun->free_count)
		return NULL;
	struct begun_slot *slot = &begun->file->slots[begun->free[--begun->free_count]];
	slot->at = at;
	atomic_store_explicit(&slot->begun, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->contact, contact, memory_order_release);
	return slot;
}

void begun_mark(struct begun_slot *slot)
{
	if (slot)
		atomic_store_explicit(&slot->begun, 1, memory_order_release);
}

void begun_release(struct begun *begun, struct begun_slot *slot)
{
	if (!begun || !slot)
		return;
	atomic_store_explicit(&slot->contact, 0, memory_order_release);
	begun->free[begun->free_count++] = (uint16_t)(slot - begun->file->slots);
}

bool begun_says_no(const struct begun *begun, int64_t contact, int64_t at)
{
	for (size_t i = 0; begun && contact && i < BEGUN_SLOTS; i++) {
		const struct begun_slot *slot = &begun->file->slots[i];
		if (atomic_load(&slot->contact) == contact)
			return slot->at == at && !atomic_load(&slot->begun);
	}
	return false;
}
