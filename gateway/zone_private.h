/* What zone.c and zone_read.c share: a zone in memory. Seconds here, as in the files. */
#ifndef HEED_ZONE_PRIVATE_H
#define HEED_ZONE_PRIVATE_H

#include "zone.h"

/* A day of the year and a time of it, as a POSIX TZ string says them. */
enum rule_day { RULE_JULIAN /* 1-365, no 29 February */, RULE_ZERO /* 0-365 */, RULE_WEEKDAY };
struct rule_change {
	enum rule_day kind;
	int day;         /* of the year; RULE_WEEKDAY: 0 (Sunday) to 6 */
	int month, week; /* RULE_WEEKDAY; week 5: the last */
	int32_t time;    /* since local midnight; may be negative, or over a day */
};

struct zone_rule {
	int32_t standard, daylight; /* offsets */
	bool changes;               /* false: standard time all year */
	struct rule_change begins, ends;
};

struct zone_transition {
	int64_t at;
	int32_t offset; /* from then on */
};

struct zone {
	int32_t before; /* the offset before the first transition */
	size_t count;
	struct zone_transition *transitions; /* ascending, each with another offset than the one before */
	bool has_rule;                       /* `rule` holds from rule_from on */
	int64_t rule_from;
	struct zone_rule rule;
};

/* Reads a POSIX TZ string as a TZif file's footer has it (RFC 9636, 3.3), with the larger hours of version 3.
 */
bool zone_rule_parse(const char *s, struct zone_rule *out);

#endif
