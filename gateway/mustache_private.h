/* The compiled form: what mustache_compile.c makes and mustache.c walks. Nodes lie in one array; a section's
 * body follows it, up to `next`. */
#ifndef HEED_MUSTACHE_PRIVATE_H
#define HEED_MUSTACHE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum node_kind { NODE_TEXT, NODE_VALUE, NODE_RAW, NODE_SECTION, NODE_INVERTED, NODE_PARTIAL };

struct node {
	uint8_t kind;
	bool line_start;  /* text and values: first on its line, so an indented partial indents it */
	bool standalone;  /* partials: alone on the line, indents what it brings */
	uint32_t at, len; /* text: in `source`; partials: their indentation there */
	uint32_t name;    /* in `names`: the parts of a dotted name, each with its NUL */
	uint32_t parts;   /* 0: the name is "." */
	uint32_t next;    /* sections: the first node behind the body */
};

struct mustache {
	struct node *nodes;
	uint32_t count;
	char *source;
	size_t size; /* bytes of it */
	char *names;
};

#endif
