/* Is a text JSON (RFC 8259)? A look at the bytes, without a tree: what is rendered is looked at by the
 * thousand. Pure. */
#ifndef HEED_JSON_SCAN_H
#define HEED_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_SCAN_DEPTH 64   /* of what is not empty */
#define JSON_SCAN_DIGITS 300 /* in front of the point */

/* True: it is. False: perhaps not, and Jansson is to be asked: escapes like \u0041, numbers with an exponent,
 * and what is nested deeper are left to it. Names that come twice are JSON. */
bool json_surely_valid(const char *json, size_t len);

#endif
