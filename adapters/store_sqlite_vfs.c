/* SQLite's file system, but for one thing: a page of the store's file is written without what was moved away
 * from it. PRAGMA secure_delete overwrites what is deleted; where rows are moved between pages to keep them
 * balanced, their old bytes stay in the part of a page that is not in use (SQLite 3.40), and an erased name
 * with them. What is not in use is not read either, so nothing else changes. The write-ahead log has pages as
 * they were: sqlite_clean cuts it. */
#include "store_sqlite_private.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"
#include "banned.h"

#define VFS_NAME "heed"
#define PAGE_SIZE_MAX 65536
#define FILE_HEAD 100 /* bytes of the first page, before its own header */
/* A page of a long text begins with the number of the next one. While there are no more pages than this, its
 * first byte is none that a page of a table or an index begins with. */
#define PAGES_MAX 0x02000000

enum { INDEX_INNER = 2, TABLE_INNER = 5, INDEX_LEAF = 10, TABLE_LEAF = 13 }; /* first byte of a page's head */

struct plain_file {
	sqlite3_file base;
	sqlite3_int64 most; /* bytes that the file has or is to have */
			    /* the file of the system's behind it, szOsFile bytes */
};

#define GATHER_MAX 65536 /* the system's own takes less than 131072 at once */

struct log_file {
	sqlite3_file base;
	sqlite3_int64 at; /* where what is gathered begins */
	int len;
	unsigned char *gathered; /* made with the first write */
				 /* the file of the system's behind it */
};

static sqlite3_vfs *below;

static sqlite3_file *real(sqlite3_file *file)
{
	return (sqlite3_file *)((struct plain_file *)file + 1);
}

/* --- a page --- */

static size_t two(const unsigned char *at)
{
	return (size_t)at[0] << 8 | at[1];
}

/* What is not in use lies between the list of a page's cells and the first cell. False: it has none. */
static bool page_gap(const unsigned char *page, size_t size, bool first, size_t *begin, size_t *end)
{
	const unsigned char *head = page + (first ? FILE_HEAD : 0);
	bool inner = *head == INDEX_INNER || *head == TABLE_INNER;

	if (!inner && *head != INDEX_LEAF && *head != TABLE_LEAF)
		return false;
	*begin = (size_t)(head - page) + (inner ? 12 : 8) + 2 * two(head + 3);
	*end = two(head + 5) ? two(head + 5) : PAGE_SIZE_MAX;
	return *begin < *end && *end <= size;
}

static int write_page(sqlite3_file *file, const void *data, int size, sqlite3_int64 at)
{
	struct plain_file *plain = (struct plain_file *)file;
	unsigned char copy[PAGE_SIZE_MAX];
	size_t begin, end;

	if (!plain->most && real(file)->pMethods->xFileSize(real(file), &plain->most) != SQLITE_OK)
		plain->most = INT64_MAX;
	if (plain->most < at + size)
		plain->most = at + size;
	bool page = size >= 512 && size <= PAGE_SIZE_MAX && !(size & (size - 1)) && at % size == 0 &&
		    plain->most / size < PAGES_MAX;
	if (!page || !page_gap(data, (size_t)size, at == 0, &begin, &end))
		return real(file)->pMethods->xWrite(real(file), data, size, at);
	memcpy(copy, data, (size_t)size);
	memset(copy + begin, 0, end - begin);
	return real(file)->pMethods->xWrite(real(file), copy, size, at);
}

/* --- the file behind it --- */

static int file_close(sqlite3_file *file)
{
	return real(file)->pMethods->xClose(real(file));
}

static int file_read(sqlite3_file *file, void *out, int size, sqlite3_int64 at)
{
	return real(file)->pMethods->xRead(real(file), out, size, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return real(file)->pMethods->xTruncate(real(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
	return real(file)->pMethods->xSync(real(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out)
{
	return real(file)->pMethods->xFileSize(real(file), out);
}

static int file_lock(sqlite3_file *file, int lock)
{
	return real(file)->pMethods->xLock(real(file), lock);
}

static int file_unlock(sqlite3_file *file, int lock)
{
	return real(file)->pMethods->xUnlock(real(file), lock);
}

static int file_is_reserved(sqlite3_file *file, int *out)
{
	return real(file)->pMethods->xCheckReservedLock(real(file), out);
}

static int file_control(sqlite3_file *file, int what, void *with)
{
	struct plain_file *plain = (struct plain_file *)file;

	/* how far a checkpoint is going to write */
	if (what == SQLITE_FCNTL_SIZE_HINT && plain->most < *(sqlite3_int64 *)with)
		plain->most = *(sqlite3_int64 *)with;
	return real(file)->pMethods->xFileControl(real(file), what, with);
}

static int file_sector(sqlite3_file *file)
{
	return real(file)->pMethods->xSectorSize(real(file));
}

static int file_device(sqlite3_file *file)
{
	return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int file_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
	return real(file)->pMethods->xShmMap(real(file), region, size, extend, out);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
	real(file)->pMethods->xShmBarrier(real(file));
}

static int file_shm_unmap(sqlite3_file *file, int drop)
{
	return real(file)->pMethods->xShmUnmap(real(file), drop);
}

/* For who asks for a map of the file, and only reads (the audit): nobody else has one. */
static int file_fetch(sqlite3_file *file, sqlite3_int64 at, int size, void **out)
{
	return real(file)->pMethods->xFetch(real(file), at, size, out);
}

static int file_unfetch(sqlite3_file *file, sqlite3_int64 at, void *page)
{
	return real(file)->pMethods->xUnfetch(real(file), at, page);
}

/* --- the write-ahead log --- */

static sqlite3_file *real_log(sqlite3_file *file)
{
	return (sqlite3_file *)((struct log_file *)file + 1);
}

static int log_flush(sqlite3_file *file)
{
	struct log_file *log = (struct log_file *)file;
	int len = log->len;

	log->len = 0;
	return len ? real_log(file)->pMethods->xWrite(real_log(file), log->gathered, len, log->at)
		   : SQLITE_OK;
}

static int log_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 at)
{
	struct log_file *log = (struct log_file *)file;
	int code = SQLITE_OK;

	if (log->len && (at != log->at + log->len || size > GATHER_MAX - log->len))
		code = log_flush(file);
	if (code != SQLITE_OK || size > GATHER_MAX)
		return code != SQLITE_OK ? code
					 : real_log(file)->pMethods->xWrite(real_log(file), data, size, at);
	if (!log->gathered)
		log->gathered = xmalloc(GATHER_MAX);
	if (!log->len)
		log->at = at;
	memcpy(log->gathered + log->len, data, (size_t)size);
	log->len += size;
	return SQLITE_OK;
}

static int log_close(sqlite3_file *file)
{
	struct log_file *log = (struct log_file *)file;
	int flushed = log_flush(file), closed = real_log(file)->pMethods->xClose(real_log(file));

	free(log->gathered);
	return flushed != SQLITE_OK ? flushed : closed;
}

static int log_read(sqlite3_file *file, void *out, int size, sqlite3_int64 at)
{
	const struct log_file *log = (const struct log_file *)file;
	int code = at < log->at + log->len && log->at < at + size ? log_flush(file) : SQLITE_OK;

	return code != SQLITE_OK ? code : real_log(file)->pMethods->xRead(real_log(file), out, size, at);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int code = log_flush(file);

	return code != SQLITE_OK ? code : real_log(file)->pMethods->xTruncate(real_log(file), size);
}

static int log_sync(sqlite3_file *file, int flags)
{
	int code = log_flush(file);

	return code != SQLITE_OK ? code : real_log(file)->pMethods->xSync(real_log(file), flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *out)
{
	int code = log_flush(file);

	return code != SQLITE_OK ? code : real_log(file)->pMethods->xFileSize(real_log(file), out);
}

static int log_control(sqlite3_file *file, int what, void *with)
{
	return real_log(file)->pMethods->xFileControl(real_log(file), what, with);
}

static int log_sector(sqlite3_file *file)
{
	return real_log(file)->pMethods->xSectorSize(real_log(file));
}

static int log_device(sqlite3_file *file)
{
	return real_log(file)->pMethods->xDeviceCharacteristics(real_log(file));
}

/* A log is neither locked nor mapped. */
static const sqlite3_io_methods log_methods = {
	.iVersion = 1,
	.xClose = log_close,
	.xRead = log_read,
	.xWrite = log_write,
	.xTruncate = log_truncate,
	.xSync = log_sync,
	.xFileSize = log_size,
	.xFileControl = log_control,
	.xSectorSize = log_sector,
	.xDeviceCharacteristics = log_device,
};

/* --- the store's file --- */

static const sqlite3_io_methods methods = {
	.iVersion = 3,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = write_page,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_is_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_device,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
	.xFetch = file_fetch,
	.xUnfetch = file_unfetch,
};

/* --- the file system --- */

static int open_log(const char *name, sqlite3_file *file, int flags, int *out)
{
	struct log_file *log = (struct log_file *)file;

	*log = (struct log_file){.len = 0};
	int code = below->xOpen(below, name, real_log(file), flags, out);
	if (real_log(file)->pMethods)
		log->base.pMethods = &log_methods;
	return code;
}

/* Files of the moment are the system's own. */
static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	struct plain_file *plain = (struct plain_file *)file;

	(void)vfs;
	if (flags & SQLITE_OPEN_WAL)
		return open_log(name, file, flags, out);
	if (!(flags & SQLITE_OPEN_MAIN_DB))
		return below->xOpen(below, name, file, flags, out);
	*plain = (struct plain_file){.most = 0};
	int code = below->xOpen(below, name, real(file), flags, out);
	if (real(file)->pMethods)
		plain->base.pMethods = &methods;
	return code;
}

static void register_once(void)
{
	static sqlite3_vfs vfs;

	below = sqlite3_vfs_find(NULL);
	if (!below)
		return;
	vfs = *below; /* its other functions work on names, and are the same */
	vfs.zName = VFS_NAME;
	vfs.xOpen = vfs_open;
	vfs.szOsFile += (int)(sizeof(struct plain_file) > sizeof(struct log_file) ? sizeof(struct plain_file)
										  : sizeof(struct log_file));
	sqlite3_vfs_register(&vfs, 0);
}

const char *sqlite_vfs(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_once);
	return VFS_NAME;
}
