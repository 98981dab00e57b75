/* TZif files (RFC 9636), and the zones that were read. */
#include "zone_private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "moment.h"
#include "xalloc.h"
#include "banned.h"

#define ZONES "/usr/share/zoneinfo/"
#define HEADER 44 /* bytes */
#define TYPE 6    /* bytes of a local time type: offset, daylight, name */
#define TYPES_MAX 256
#define FOOTER_MAX 256 /* bytes */

/* --- a file --- */

struct block {
	uint32_t ut, std, leaps, times, types, chars;
};

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t get64(const unsigned char *p)
{
	return (int64_t)((uint64_t)get32(p) << 32 | get32(p + 4));
}

/* A header and the data behind it, in which a time has `width` bytes. *size: of the data. */
static bool read_header(const unsigned char *p, size_t len, size_t width, struct block *out, size_t *size)
{
	if (len < HEADER || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return false;
	*out = (struct block){get32(p + 20), get32(p + 24), get32(p + 28),
			      get32(p + 32), get32(p + 36), get32(p + 40)};
	*size = (size_t)out->times * (width + 1) + (size_t)out->types * TYPE + out->chars +
		(size_t)out->leaps * (width + 4) + out->std + out->ut;
	return *size <= len - HEADER;
}

/* Times so far off that no moment reaches them, drawn in to where seconds and microseconds can be counted. */
static int64_t drawn_in(int64_t seconds)
{
	const int64_t first = ZONE_BEGINS / MOMENT_S - 1, last = ZONE_ENDS / MOMENT_S + 1;
	return seconds < first ? first : seconds > last ? last : seconds;
}

static bool read_transitions(const unsigned char *p, const struct block *block, struct zone *zone)
{
	const unsigned char *types = p + (size_t)block->times * 8, *infos = types + block->times;
	int64_t last = INT64_MIN;

	for (uint32_t i = 0; i < block->types; i++) {
		int32_t offset = (int32_t)get32(infos + (size_t)i * TYPE);
		if (offset <= -ZONE_OFFSET_MAX || offset >= ZONE_OFFSET_MAX)
			return false;
	}
	zone->before = (int32_t)get32(infos);
	zone->transitions = xcalloc(block->times + 1, sizeof *zone->transitions);
	zone->rule_from = INT64_MIN;
	int32_t offset = zone->before;
	for (uint32_t i = 0; i < block->times; i++) {
		int64_t at = get64(p + (size_t)i * 8);
		if ((i && at <= last) || types[i] >= block->types)
			return false;
		last = at;
		zone->rule_from = drawn_in(at);
		int32_t next = (int32_t)get32(infos + (size_t)types[i] * TYPE);
		if (next != offset) /* else only a name changed */
			zone->transitions[zone->count++] = (struct zone_transition){zone->rule_from, next};
		offset = next;
	}
	return true;
}

/* "\nTZ string\n"; an empty one says nothing about the time beyond the table. */
static bool read_footer(const unsigned char *p, size_t len, struct zone *zone)
{
	char footer[FOOTER_MAX + 1];

	const unsigned char *end = len > 1 && p[0] == '\n' ? memchr(p + 1, '\n', len - 1) : NULL;
	if (!end || end - p > FOOTER_MAX)
		return false;
	size_t size = (size_t)(end - p) - 1;
	memcpy(footer, p + 1, size);
	footer[size] = '\0';
	zone->has_rule = size > 0;
	return !size || (strlen(footer) == size && zone_rule_parse(footer, &zone->rule));
}

struct zone *zone_read(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	struct block block;
	size_t size;
	bool fine = false;
	struct zone *zone = xcalloc(1, sizeof *zone);

	/* the first block, with times of 32 bits, is for readers of another age */
	if (!read_header(p, len, 4, &block, &size))
		goto out;
	p += HEADER + size;
	len -= HEADER + size;
	if (!read_header(p, len, 8, &block, &size))
		goto out;
	if (block.leaps || block.times > ZONE_TRANSITIONS_MAX || !block.types || block.types > TYPES_MAX)
		goto out;
	fine = read_transitions(p + HEADER, &block, zone) &&
	       read_footer(p + HEADER + size, len - HEADER - size, zone);
out:
	if (!fine) {
		zone_free(zone);
		zone = NULL;
	}
	return zone;
}

void zone_free(struct zone *zone)
{
	if (zone)
		free(zone->transitions);
	free(zone);
}

/* --- the zones that were read --- */

struct entry {
	char *name;
	const struct zone *zone;
};

static struct {
	pthread_mutex_t lock;
	struct entry *entries; /* by name */
	size_t count;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* No dot, so no "..", and one way only to write each name, so that there are no more than files. */
static bool name_is_safe(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");
	return len && len <= ZONE_NAME_MAX && !name[len] && name[0] != '/' && name[len - 1] != '/' &&
	       !strstr(name, "//");
}

static struct zone *load(const char *name)
{
	struct text bytes;

	text_init(&bytes, ZONE_FILE_MAX);
	char *path = xasprintf(ZONES "%s", name);
	struct zone *zone =
		file_read(path, ZONE_FILE_MAX, &bytes, NULL) ? zone_read(bytes.data, bytes.len) : NULL;
	if (!zone && strcmp(name, "UTC") == 0)
		zone = xcalloc(1, sizeof *zone);
	free(path);
	text_release(&bytes);
	return zone;
}

/* Where the name is, or belongs. Under the lock. */
static size_t place_of(const char *name, bool *there)
{
	size_t low = 0, high = cache.count;

	*there = false;
	while (low < high && !*there) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(cache.entries[middle].name, name);
		*there = order == 0;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return *there ? high : low;
}

const struct zone *zone_find(const char *name)
{
	const struct zone *found = NULL;
	struct zone *loaded = NULL;
	bool there;

	if (!name_is_safe(name))
		return NULL;
	pthread_mutex_lock(&cache.lock);
	size_t place = place_of(name, &there);
	if (there)
		found = cache.entries[place].zone;
	pthread_mutex_unlock(&cache.lock);
	if (found || !(loaded = load(name)))
		return found;
	pthread_mutex_lock(&cache.lock);
	place = place_of(name, &there); /* another thread may have been here */
	if (!there && cache.count < ZONES_MAX) {
		cache.entries = xreallocarray(cache.entries, cache.count + 1, sizeof *cache.entries);
		memmove(&cache.entries[place + 1], &cache.entries[place],
			(cache.count - place) * sizeof *cache.entries);
		cache.entries[place] = (struct entry){xstrdup(name), loaded};
		cache.count++;
		loaded = NULL;
		there = true;
	}
	found = there ? cache.entries[place].zone : NULL;
	pthread_mutex_unlock(&cache.lock);
	zone_free(loaded);
	return found;
}
