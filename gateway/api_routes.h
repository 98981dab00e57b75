/* The table of routes: what is where, on which doors, and what it wants. One line a route in api_routes.c;
 * its handler lives in its own file (api_*.c, page_*.c, inbound_*.c). */
#ifndef HEED_API_ROUTES_H
#define HEED_API_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "api_token.h"

struct call;

enum route_body {
	BODY_NONE,  /* what is sent is not looked at */
	BODY_JSON,  /* parsed into call->body; another content type is 415 */
	BODY_MAYBE, /* likewise, and an empty one stands for {} */
	BODY_RAW    /* call->request->body, whatever its content type */
};

enum route_flag {
	ROUTE_PUBLIC = 1, /* on `public` and nowhere else; no token */
	/* Concerns all products: not for a token that is limited to some. Where it is not set the handler
	 * looks: call_product_allowed(). */
	ROUTE_WHOLE = 2,
	ROUTE_ANY_TYPE = 4,  /* answers in other types than JSON: Accept is the handler's matter */
	ROUTE_STORELESS = 8, /* works where the store cannot be read: call->api->reader may be NULL */
	ROUTE_RAW_QUERY = 16 /* call->query is left empty: the handler reads it as it came */
};

struct route {
	const char *method, *path; /* a `:` is any one part, an argument of the handler */
	void (*handle)(struct call *call);
	enum route_body body;
	unsigned scopes; /* enum scope: one of them is wanted; 0: no token at all */
	unsigned flags;
	/* The parameters that it knows, with blanks between them; another one is 400: a filter with a slip of
	 * the pen would answer with what nobody asked for. NULL: whatever stands there is let be. */
	const char *query;
};

/* Ends with one whose method is NULL. */
extern const struct route api_routes[];

#endif
