/* JSON (RFC 8259) of the plain kind that nearly all of it is, in a fraction of Jansson's time: is a text
 * JSON, and which tree is it? What is not plain is left to Jansson. Pure. */
#ifndef HEED_JSON_SCAN_H
#define HEED_JSON_SCAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define JSON_SCAN_DEPTH 64   /* of what is not empty */
#define JSON_SCAN_DIGITS 300 /* in front of the point */
#define JSON_READ_DIGITS 18  /* of a number that fits in 64 bits whatever they are */

/* True: it is. False: perhaps not, and Jansson is to be asked: escapes like \u0041, numbers with an exponent,
 * and what is nested deeper are left to it. Names that come twice are JSON. */
bool json_surely_valid(const char *json, size_t len);
/* The tree that Jansson makes of it with JSON_REJECT_DUPLICATES, owned by the caller. NULL: perhaps it is
 * none, and Jansson is to be asked: what json_surely_valid leaves to it, other escapes too, names that come
 * twice, numbers with a point or of more than JSON_READ_DIGITS, and what is neither object nor array. */
json_t *json_surely_read(const char *json, size_t len);

#endif
