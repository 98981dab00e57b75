/* A short message that came in: its keyword is followed, or it is passed on. */
#include "inbound_private.h"
#include "banned.h"

bool incoming_reply(struct turn *turn, struct incoming *incoming)
{
	incoming->kind = INBOUND_REPLY;
	return incoming_records(turn, incoming);
}
