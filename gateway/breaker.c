#include "breaker.h"

#include "moment.h"
#include "banned.h"

enum breaker_allows breaker_may_send(const struct breaker *b, int64_t now)
{
	if (now < b->paced_until)
		return BREAKER_NONE;
	if (!b->open)
		return BREAKER_ALL;
	return !b->probing && now >= b->until ? BREAKER_ONE : BREAKER_NONE;
}

void breaker_probe(struct breaker *b)
{
	b->probing = b->open;
}

void breaker_probe_back(struct breaker *b)
{
	b->probing = false;
}

void breaker_fault(struct breaker *b, int64_t now, enum breaker_fault_kind kind)
{
	int64_t longest = kind == BREAKER_CREDENTIALS ? BREAKER_PAUSE_CREDENTIALS : BREAKER_PAUSE_DOWN;

	if (b->open && !b->probing)
		return;
	b->pause = b->pause ? b->pause * 2 : BREAKER_PAUSE_FIRST;
	if (b->pause > longest)
		b->pause = longest;
	b->until = now + b->pause;
	b->open = true;
	b->probing = false;
}

void breaker_asked(struct breaker *b, int64_t now, int64_t retry_after)
{
	if (retry_after > BREAKER_ASKED_MAX)
		retry_after = BREAKER_ASKED_MAX;
	if (b->open && now + retry_after > b->until)
		b->until = now + retry_after;
}

bool breaker_ok(struct breaker *b)
{
	bool was_open = b->open;

	*b = (struct breaker){.paced_until = b->paced_until};
	return was_open;
}

void breaker_pace(struct breaker *b, int64_t now, int64_t asked)
{
	int64_t pause = asked < BREAKER_ASKED_MAX ? asked : BREAKER_ASKED_MAX;

	*b = (struct breaker){.pace = b->pace, .paced_until = b->paced_until};
	if (!pause && now < b->paced_until)
		return;
	if (!pause)
		pause = b->pace = !b->pace                         ? BREAKER_PACE_FIRST
				  : b->pace > BREAKER_PACE_MAX / 2 ? BREAKER_PACE_MAX
								   : b->pace * 2;
	if (now + pause > b->paced_until)
		b->paced_until = now + pause;
}

int64_t breaker_next(const struct breaker *b)
{
	return b->open && !b->probing ? b->until : MOMENT_NEVER;
}
