#include "hold.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "xalloc.h"
#include "banned.h"

static const char *const kinds[HOLD_KINDS] = {"channel", "provider", "product", "campaign", "lane", "cancel"};

void hold_release(struct hold *hold)
{
	free(hold->name);
	free(hold->why);
	free(hold->by);
	free(hold->actor);
	*hold = (struct hold){0};
}

void hold_copy(const struct hold *hold, struct hold *out)
{
	*out = *hold;
	out->name = xstrdup(hold->name);
	out->why = xstrdup(hold->why);
	out->by = xstrdup(hold->by);
	out->actor = xstrdup(hold->actor);
}

void holds_free(struct hold *holds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		hold_release(&holds[i]);
	free(holds);
}

const char *hold_kind_name(enum hold_kind kind)
{
	return kinds[kind];
}

bool hold_kind_parse(const char *name, enum hold_kind *kind)
{
	for (int i = 0; i < HOLD_KINDS; i++)
		if (strcmp(name, kinds[i]) == 0) {
			*kind = (enum hold_kind)i;
			return true;
		}
	return false;
}

char *hold_key(enum hold_kind kind, const char *name)
{
	return xasprintf(HOLD_KEY_MARK "%s:%s", kinds[kind], name);
}

bool hold_is_key(const char *waits_for)
{
	return strncmp(waits_for, HOLD_KEY_MARK, strlen(HOLD_KEY_MARK)) == 0;
}

const char *hold_who(const struct hold *hold)
{
	return *hold->actor ? hold->actor : hold->by;
}

/* The product's own, or that of the one it is a part of. */
static const struct hold *product_hold(hold_finder find, const void *context, const char *product)
{
	const char *slash = strchr(product, '/');
	const struct hold *hold = find(context, HOLD_PRODUCT, product);

	if (!hold && slash) {
		char *parent = xmemdup0(product, (size_t)(slash - product));
		hold = find(context, HOLD_PRODUCT, parent);
		free(parent);
	}
	return hold;
}

const struct hold *hold_of_message(hold_finder find, const void *context, const char *campaign,
				   const char *product, const char *lane)
{
	const struct hold *hold = *campaign ? find(context, HOLD_CAMPAIGN, campaign) : NULL;

	if (!hold)
		hold = product_hold(find, context, product);
	return hold || !lane ? hold : find(context, HOLD_LANE, lane);
}

json_t *hold_reason_args(const struct hold *hold, const char *channel)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", kinds[hold->kind], "name", hold->name, "by",
			 hold_who(hold), "why", hold->why, "channel", channel);
}

json_t *hold_to_json(const struct hold *hold)
{
	char at[MOMENT_TEXT];

	moment_format(hold->at, at);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "kind", kinds[hold->kind], "name", hold->name,
			 "why", hold->why, "by", hold->by, "actor", hold->actor, "at", at);
}
